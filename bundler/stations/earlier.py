"""Bundles that were imported before, read again for what a delta leaves out: only those that a trusted key has sealed."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bundler.bundle.archive import Archive, Content, opened
from bundler.errors import Code, TrustError
from bundler.stations.truststore import Trust
from bundler.trust.sealtrust import OpenedSeal, open_seal


@contextmanager
def earlier_bundles(paths: Sequence[Path], trust: Trust) -> Iterator[tuple[Content, ...]]:
    """The content of each bundle. That its time is over, or that it is for another station, does not matter: its bytes are compared
    with the digests that another seal gives.

    Raises TrustError (``seal.signature``), and as :func:`opened` and :meth:`Archive.sealed_by`.
    """
    with ExitStack() as stack:
        contents = []
        for path in paths:
            archive = stack.enter_context(opened(path))
            sealed_for(archive, trust, what=f"{path}, an earlier bundle, is not sealed by anybody who is trusted here")
            contents.append(archive.sealed_by(archive.envelope.payload()))
        yield tuple(contents)


def sealed_for(archive: Archive, trust: Trust, *, what: str, instead: str | None = None) -> OpenedSeal:
    """Who sealed it. Raises TrustError (``seal.signature``), which says ``what``, where they may not seal anything here."""
    met = open_seal(trust.policy, archive.envelope.signatures, archive.envelope.signed)
    if not met.met:
        raise TrustError(
            what,
            code=Code.SEAL_SIGNATURE,
            found="; ".join(met.details),
            wanted=f"enough keys of a [[seal]] in {trust.path}",
            next=instead,
        )
    return met
