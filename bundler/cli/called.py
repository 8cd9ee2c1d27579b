"""What people are called where they are shown: by their names, beside as much of a fingerprint as tells keys apart."""

_SHORT = len("sha256:") + 12  # as many digits as image tools show of a digest
_WHOLE = len("sha256:") + 64


def short(who: str) -> str:
    """The beginning of a fingerprint; what else a signer is known by as it is."""
    return f"{who[:_SHORT]}…" if who.startswith("sha256:") and len(who) == _WHOLE else who


def called(name: str | None, who: str, *, whole: bool = False) -> str:
    """``release (sha256:64f1a2b3c4d5…)``, or with the ``whole`` fingerprint; without a name the rest alone. Foreign where ``who`` is."""
    known = who if whole else short(who)
    return known if name is None else f"{name} ({known})"
