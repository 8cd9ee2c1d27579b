"""Files that get their names together: a main file, and small ones beside it that say something about it.

All are prepared first: written and synced under hidden names. Naming them is several steps, and no file system makes them
one; their order is such that a main file never stands beside what was said about another one. An error or a signal on the
way undoes what was done. After a kill or a power cut, a journal in the folder tells :func:`tidy` what is to be undone or
finished.
"""

import fcntl
import hashlib
import os
import re
import secrets
import signal
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from bundler import strictjson
from bundler.content.files import (
    HIDDEN,
    NO_LINKS,
    TEMPORARY,
    check_not_taken,
    disk,
    name,
    owner_of_new,
    settle,
    sweep,
    sync_folder,
    temporary,
    write_whole,
)
from bundler.errors import BundlerError

MAX_BESIDE = 64 << 10  # a checksum of the longest name takes 600 bytes, a signature by RSA-8192 1 KiB
_MAX_JOURNAL = 8 << 10  # three names of 255 bytes in hex, and as many hidden ones
_OLD = re.compile(re.escape(HIDDEN) + r"[0-9a-f]{16}\.old", re.ASCII)
_JOURNAL = re.compile(re.escape(HIDDEN) + r"[0-9a-f]{16}\.names", re.ASCII)
_CLOSE = 2_000_000_000  # nanoseconds: FAT keeps times in steps of two seconds
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def together(main: Path, *beside: Path, replace: bool = False, modes: Sequence[int] = ()) -> Iterator[tuple[BinaryIO, ...]]:
    """Write ``main`` and files of the same folder ``beside`` it, of at most MAX_BESIDE bytes each; all or none get their names.

    After an error or a signal all are as they were before; a kill leaves ``main`` as it was or new, and beside it nothing
    that is not about it. Two runs that name the same files do it one after the other, where the file system has locks.

    Raises ConflictError (``output.exists``) unless ``replace`` and files are there, TransportError (``disk.io``, ``disk.full``).
    """
    paths = (main, *beside)
    for path in paths:
        check_not_taken(path, replace=replace)
    with disk(f"{main} cannot be written"), ExitStack() as stack:
        made = [stack.enter_context(temporary(main.parent, mode)) for mode in modes or [0o666] * len(paths)]
        yield tuple(file for _, file in made)
        for _, file in made:
            settle(file)
        with alone(main.parent) as locked, _undisturbed():
            for path in paths:
                check_not_taken(path, replace=replace)  # once more: others may have come between
            _Naming.of(paths, made).done(main.parent, journal=locked)


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """No other run names files in ``folder`` meanwhile; False where its file system cannot see to that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            locked = False
        else:
            locked = True
        yield locked
    finally:
        os.close(descriptor)


def tidy(folder: Path) -> list[int]:
    """Undo or finish what runs that were killed have begun to name in ``folder``, and remove their hidden files.

    Gives how large each of these was, in bytes. What cannot be told to be of a killed run is left alone. Raises TransportError
    (``disk.io``) for a folder that cannot be looked through.
    """
    with disk(f"{folder} cannot be looked through"), alone(folder) as locked:
        removed = []
        if locked and _recovered(folder):
            removed = sweep(folder, _OLD)
        return removed + sweep(folder)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is to be named, its hidden name, and the hidden name that what it replaces is kept under."""

    path: Path
    hidden: Path
    old: Path
    digest: str
    """Hex of the SHA-256 of a file beside the main one."""
    told: "_Told | None"
    """Of the main one."""
    new: os.stat_result | None = None
    """Which file it is, as long as the run lasts that wrote it."""

    @property
    def is_named(self) -> bool:
        """Whether this file has its name, and not what was there before or what came meanwhile."""
        if self.new is not None:
            return _is(self.path, self.new)
        if (hidden := _status(self.hidden)) is not None:
            return _is(self.path, hidden)
        return _digest(self.path) == self.digest if self.digest else _Told.of(self.path) == self.told

    def set_aside(self) -> None:
        """Keep what has the name under a hidden one."""
        try:
            os.link(self.path, self.old, follow_symlinks=False)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            self.path.rename(self.old)

    def put_back(self) -> None:
        """Give what was set aside its name again, unless something else came to have it."""
        if _status(self.old) and (self.is_named or not _status(self.path)):
            self.old.replace(self.path)


@dataclass(frozen=True, slots=True)
class _Told:
    """What tells a large file from another of the same name, without reading it: it is the same after another mount."""

    size: int
    changed: int
    """Nanoseconds since 1970."""

    @classmethod
    def of(cls, path: Path) -> "Self | None":
        status = _status(path)
        return cls(status.st_size, status.st_mtime_ns) if status else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Told) and self.size == other.size and abs(self.changed - other.changed) <= _CLOSE

    __hash__ = None  # type: ignore[assignment]  # what is close to a third need not be close to each other


@dataclass(frozen=True, slots=True)
class _Naming:
    """The files, the main one first, and what the main one replaces."""

    files: Sequence[_File]
    was: _Told | None

    @classmethod
    def of(cls, paths: Sequence[Path], made: Sequence[tuple[Path, BinaryIO]]) -> Self:
        olds = [path.with_name(f"{HIDDEN}{secrets.token_hex(8)}.old") for path in paths]
        digests = ["", *(_digest(hidden) for hidden, _ in made[1:])]
        return cls(
            [
                _File(path, hidden, old, digest, None if digest else _Told.of(hidden), os.fstat(file.fileno()))
                for path, (hidden, file), old, digest in zip(paths, made, olds, digests, strict=True)
            ],
            _Told.of(paths[0]),
        )

    def done(self, folder: Path, *, journal: bool) -> None:
        """Name them all. Raises OSError and ConflictError; then everything is as before, or the journal tells how it was."""
        told = folder / f"{HIDDEN}{secrets.token_hex(8)}.names"
        if journal:
            write_whole(told, strictjson.dumps(self._to_json()), mode=0o600)
        try:
            self._name(folder)
        except BaseException:
            with suppress(OSError):  # what cannot be undone now, the next run that comes here undoes by the journal
                self.undo()
                self.clear(told)
            raise
        with suppress(OSError):
            self.clear(told)

    def _name(self, folder: Path) -> None:
        main, *beside = self.files
        there = [file for file in self.files if _status(file.path)]
        for file in reversed(there):
            file.set_aside()
        for file in reversed(beside):
            file.path.unlink(missing_ok=True)
        if main in there:
            sync_folder(folder)
            main.hidden.replace(main.path)
        sync_folder(folder)
        for file in beside:
            name(file.hidden, file.path)
        if main not in there:
            sync_folder(folder)
            name(main.hidden, main.path)
        sync_folder(folder)

    def undo(self) -> None:
        """Whatever has been done, all is as before then. Raises OSError."""
        main, *beside = self.files
        for file in beside:
            if file.is_named:
                file.path.unlink()
        if main.new is not None and main.is_named and not _status(main.old):
            main.path.unlink()
        main.put_back()
        if _Told.of(main.path) == self.was:
            for file in beside:
                file.put_back()
        sync_folder(main.path.parent)

    def recover(self, journal: Path) -> None:
        """What the journal of a killed run tells of: finished if the main file has its name, else undone. Raises as :meth:`done`."""
        if self._can_be_finished:
            self._finish()
        else:
            self.undo()
        self.clear(journal)

    def _finish(self) -> None:
        for file in self.files[1:]:
            if _status(file.hidden) and not _status(file.path):
                name(file.hidden, file.path)
        sync_folder(self.files[0].path.parent)

    def clear(self, journal: Path) -> None:
        """Remove what was kept for an undoing, and at last the journal. Raises OSError."""
        for file in self.files:
            file.old.unlink(missing_ok=True)
        journal.unlink(missing_ok=True)

    @property
    def _can_be_finished(self) -> bool:
        main, *beside = self.files
        return main.is_named and (not _status(main.old) or all(file.is_named or _status(file.hidden) for file in beside))

    def _to_json(self) -> dict[str, Any]:
        return {
            "files": [
                {"name": os.fsencode(file.path.name).hex(), "hidden": file.hidden.name, "old": file.old.name, "sha256": file.digest}
                for file in self.files
            ],
            "new": _pair(self.files[0].told),
            "was": _pair(self.was),
        }

    @classmethod
    def read(cls, journal: Path) -> Self:
        """Raises OSError, FormatError, and ValueError for what :meth:`done` did not write."""
        match strictjson.loads(_small(journal, _MAX_JOURNAL), limit=_MAX_JOURNAL):
            case {"files": [_, *_] as files, "new": new, "was": was}:
                told = _told(new)
                read = [_file(journal.parent, value, None if number else told) for number, value in enumerate(files)]
                return cls(read, _told(was))
        raise ValueError("this is not a journal")


def _recovered(folder: Path) -> bool:
    """Bring to an end what every journal in the folder tells of; whether there is none left. Raises OSError."""
    owner = owner_of_new(folder)
    journals = [path for path in sorted(folder.iterdir()) if _JOURNAL.fullmatch(path.name)]
    for journal in journals:
        with suppress(OSError, ValueError, BundlerError):  # then it stays, and with it all that it tells of
            if os.lstat(journal).st_uid == owner:
                _Naming.read(journal).recover(journal)
    return not any(_status(journal) for journal in journals)


def _file(folder: Path, value: Any, told: _Told | None) -> _File:
    match value:
        case {"name": str(coded), "hidden": str(hidden), "old": str(old), "sha256": str(digest)}:
            plain = os.fsdecode(bytes.fromhex(coded))
            if (
                "/" not in plain
                and "\0" not in plain
                and plain not in ("", ".", "..")
                and TEMPORARY.fullmatch(hidden)
                and _OLD.fullmatch(old)
            ):
                return _File(folder / plain, folder / hidden, folder / old, digest, told)
    raise ValueError("this is not a file of a journal")


def _told(value: Any) -> _Told | None:
    match value:
        case None:
            return None
        case [int(size), int(changed)]:
            return _Told(size, changed)
    raise ValueError("this is not a size and a time")


def _pair(told: _Told | None) -> list[int] | None:
    return [told.size, told.changed] if told else None


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals that end a run wait until the block has ended; it takes no longer than a disk needs for a few names."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _status(path: Path) -> os.stat_result | None:
    """Of what has that name, which may be a link; None for nothing. Raises OSError."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _is(path: Path, status: os.stat_result) -> bool:
    there = _status(path)
    return there is not None and os.path.samestat(there, status)


def _digest(path: Path) -> str:
    """Hex of the SHA-256 of a small regular file; empty if it is not one, or not there. Raises OSError."""
    try:
        return hashlib.sha256(_small(path, MAX_BESIDE)).hexdigest()
    except (FileNotFoundError, ValueError):
        return ""


def _small(path: Path, limit: int) -> bytes:
    """Raises OSError, and ValueError for what is not a regular file of at most ``limit`` bytes."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) or len(data := file.read(limit + 1)) > limit:
            raise ValueError("this is not a small file")
    return data
