"""Reading a trust folder: only what nobody but root and the caller may have written, and through no symlink."""

from pathlib import Path, PurePosixPath

from bundler.content.files import disk
from bundler.content.guarded import GuardedFolder
from bundler.errors import Code, UsageError
from bundler.trust.notation.revocation import MAX_CRL
from bundler.trust.table import FILE, MAX_FILE

MAX_NAMED = MAX_CRL  # bytes: of the files that trust.toml may name, lists of revoked certificates are the largest


class TrustFolder:
    """Reads files of a folder that only root and the caller may write, through no symlink."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._folder = GuardedFolder(path, refused=Code.TRUST_PERMISSIONS)
        except OSError as error:
            raise UsageError(
                f"there is no trust at {path}",
                code=Code.TRUST_MISSING,
                found=error.strerror,
                next=f"make it with `oci-bundler trust init {path}`",
            ) from error

    def read(self, name: str) -> bytes:
        """The file ``name``, a relative path that the policy has checked to stay inside."""
        try:
            return self._folder.read(PurePosixPath(name), limit=MAX_FILE if name == FILE else MAX_NAMED, large=Code.TRUST_FORM)
        except OSError as error:
            missing = Code.TRUST_MISSING if name == FILE else Code.TRUST_KEY
            path = error.filename or self._path / name
            raise UsageError(f"{path} is named by trust and not there", code=missing, found=error.strerror) from error

    def keys(self, raw: bytes) -> frozenset[str]:
        """The files under ``keys/``, where ``trust.toml`` names a key by its fingerprint; which it is, the policy finds out."""
        folder = self._path / "keys"
        if b"sha256:" not in raw or not folder.is_dir():
            return frozenset()
        with disk(f"{folder} cannot be read"):
            return frozenset(f"keys/{path.name}" for path in folder.iterdir() if path.suffix == ".pub")
