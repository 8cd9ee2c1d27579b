"""Reading a trust folder: only what nobody but root and the caller may have written, and through no symlink."""

import os
import stat
from pathlib import Path, PurePosixPath

from bundler.content.files import disk
from bundler.errors import Code, UsageError
from bundler.trust.notation.revocation import MAX_CRL
from bundler.trust.table import FILE, MAX_FILE

MAX_NAMED = MAX_CRL  # bytes: of the files that trust.toml may name, lists of revoked certificates are the largest


class TrustFolder:
    """Reads files of a folder that only root and the caller may write, through no symlink."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            seen = os.lstat(path)
        except OSError as error:
            raise UsageError(
                f"there is no trust at {path}",
                code=Code.TRUST_MISSING,
                found=error.strerror,
                next=f"make it with `oci-bundler trust init {path}`",
            ) from error
        self._check(path, seen, folder=True)

    def read(self, name: str) -> bytes:
        """The file ``name``, a relative path that the policy has checked to stay inside."""
        inside = PurePosixPath(name)
        limit = MAX_FILE if name == FILE else MAX_NAMED
        for folder in reversed(inside.parents[:-1]):
            self._check(self._path / folder, self._lstat(folder), folder=True)
        path = self._path / inside
        self._check(path, self._lstat(inside), folder=False)
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                self._check(path, os.fstat(file.fileno()), folder=False)  # what is read is what was checked
                data = file.read(limit + 1)
        except OSError as error:
            raise UsageError(f"{path} cannot be read", code=Code.TRUST_PERMISSIONS, found=error.strerror) from error
        if len(data) > limit:
            raise UsageError(f"{path} is too large", code=Code.TRUST_FORM, wanted=f"at most {limit} bytes")
        return data

    def keys(self, raw: bytes) -> frozenset[str]:
        """The files under ``keys/``, where ``trust.toml`` names a key by its fingerprint; which it is, the policy finds out."""
        folder = self._path / "keys"
        if b"sha256:" not in raw or not folder.is_dir():
            return frozenset()
        with disk(f"{folder} cannot be read"):
            return frozenset(f"keys/{path.name}" for path in folder.iterdir() if path.suffix == ".pub")

    def _lstat(self, name: PurePosixPath) -> os.stat_result:
        path = self._path / name
        try:
            return os.lstat(path)
        except OSError as error:
            missing = Code.TRUST_MISSING if str(name) == FILE else Code.TRUST_KEY
            raise UsageError(f"{path} is named by trust and not there", code=missing, found=error.strerror) from error

    def _check(self, path: Path, seen: os.stat_result, *, folder: bool) -> None:
        kind = "a folder" if folder else "a regular file"
        if not (stat.S_ISDIR if folder else stat.S_ISREG)(seen.st_mode):
            raise UsageError(f"{path} is not {kind}", code=Code.TRUST_PERMISSIONS, found=_kind(seen), wanted=kind)
        if seen.st_uid not in (0, os.geteuid()):
            raise UsageError(
                f"{path} belongs to somebody else",
                code=Code.TRUST_PERMISSIONS,
                found=f"uid {seen.st_uid}",
                wanted=f"root or uid {os.geteuid()}",
            )
        if seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UsageError(
                f"others may write {path}",
                code=Code.TRUST_PERMISSIONS,
                found=f"mode {stat.S_IMODE(seen.st_mode):04o}",
                wanted="not writable by group or others",
                next=f"look at what is in it, then: chmod go-w {path}",
            )


def _kind(seen: os.stat_result) -> str:
    return "a symlink" if stat.S_ISLNK(seen.st_mode) else "something else"
