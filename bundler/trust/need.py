"""The one word for a check: it holds, or the signature it belongs to is refused with a reason code."""

from bundler.errors import Code, TrustError


def need(holds: bool, code: Code, what: str, *, found: object = None, wanted: object = None) -> None:
    """Go on if it ``holds``, else raise TrustError with ``code``.

    Every check of a signature is one such line, so that a tool can take it away and see which test notices.
    """
    if not holds:
        raise TrustError(what, code=code, found=found, wanted=wanted)
