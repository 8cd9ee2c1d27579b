"""Folders that decide what this machine does: read only where nobody but root and the caller may have written, through no symlink."""

import os
import stat
from pathlib import Path, PurePosixPath

from bundler.errors import Code, UsageError


class GuardedFolder:
    """Reads files of a folder that only root and the caller may write, through no symlink."""

    def __init__(self, path: Path, *, refused: Code) -> None:
        """``refused`` is the code of whatever others may have written. Raises OSError where nothing is there, UsageError."""
        self.path = path
        self._refused = refused
        self._check(path, os.lstat(path), folder=True)

    def read(self, name: PurePosixPath, *, limit: int, large: Code) -> bytes:
        """The file ``name``, a relative path that leads nowhere outside, of at most ``limit`` bytes.

        Raises OSError where it is not there, UsageError (``large`` for one that is longer).
        """
        self.check(name, folder=False)
        path = self.path / name
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                self._check(path, os.fstat(file.fileno()), folder=False)  # what is read is what was checked
                data = file.read(limit + 1)
        except OSError as error:
            raise UsageError(f"{path} cannot be read", code=self._refused, found=error.strerror) from error
        if len(data) > limit:
            raise UsageError(f"{path} is too large", code=large, wanted=f"at most {limit} bytes")
        return data

    def check(self, name: PurePosixPath, *, folder: bool) -> None:
        """That only root and the caller may have written ``name``, and made what it lies in. Raises OSError where it is not there,
        UsageError."""
        for above in reversed(name.parents[:-1]):
            self._check(self.path / above, os.lstat(self.path / above), folder=True)
        self._check(self.path / name, os.lstat(self.path / name), folder=folder)

    def _check(self, path: Path, seen: os.stat_result, *, folder: bool) -> None:
        kind = "a folder" if folder else "a regular file"
        if not (stat.S_ISDIR if folder else stat.S_ISREG)(seen.st_mode):
            raise UsageError(f"{path} is not {kind}", code=self._refused, found=_kind(seen), wanted=kind)
        if seen.st_uid not in (0, os.geteuid()):
            raise UsageError(
                f"{path} belongs to somebody else",
                code=self._refused,
                found=f"uid {seen.st_uid}",
                wanted=f"root or uid {os.geteuid()}",
            )
        if seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UsageError(
                f"others may write {path}",
                code=self._refused,
                found=f"mode {stat.S_IMODE(seen.st_mode):04o}",
                wanted="not writable by group or others",
                next=f"look at what is in it, then: chmod go-w {path}",
            )


def _kind(seen: os.stat_result) -> str:
    return "a symlink" if stat.S_ISLNK(seen.st_mode) else "something else"
