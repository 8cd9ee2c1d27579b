"""Public keys in files that a person names."""

from pathlib import Path

from bundler.content.files import read_small
from bundler.trust.keys import MAX_KEY_FILE, PublicKey, Role


def public_key(path: Path, *, role: Role = "image") -> PublicKey:
    """Raises UsageError (``usage.input``, ``trust.key``)."""
    return PublicKey.parse(read_small(path, limit=MAX_KEY_FILE, what="the public key"), role=role)
