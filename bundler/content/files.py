"""Files that appear whole or not at all."""

import errno
import fcntl
import mmap
import os
import re
import secrets
import stat
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bundler.content.stream import side_by_side
from bundler.errors import Code, ConflictError, TransportError, UsageError

HIDDEN = ".oci-bundler-"
"""Begins the name of everything that is not whole yet."""
TEMPORARY = re.compile(re.escape(HIDDEN) + r"[0-9a-f]{16}\.tmp", re.ASCII)

_NO_ROOM = {
    errno.ENOSPC: "make room and run it again",
    errno.EDQUOT: "make room or have the quota raised, and run it again",
    errno.EFBIG: "write to a file system that takes files as large as this (FAT ends at 4 GiB)",
}
_BLOCK = 2 << 20  # what a disk takes at once; a whole number of its own blocks
_WRITERS = 2  # while one waits for the disk, the other fills what the disk takes next
_TRIES = 100  # a sweep holds a new file for the moment between two system calls, and each run sweeps a folder once
_NOT_SUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
NO_LINKS = (errno.EPERM, errno.EINVAL, *_NOT_SUPPORTED)  # what FAT, FUSE and their kin say when they are asked for one


@contextmanager
def disk(what: str) -> Iterator[None]:
    """Let an OSError of this block leave it as TransportError (``disk.full`` or ``disk.io``)."""
    try:
        yield
    except OSError as error:
        advice = _NO_ROOM.get(error.errno or 0)
        raise TransportError(
            what,
            code=Code.DISK_FULL if advice else Code.DISK_IO,
            found=error.strerror or str(error),
            next=advice,
        ) from error


@contextmanager
def whole(path: Path, *, replace: bool = False, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Write ``path`` through this: it has its name only once everything is written and synced.

    What an error or a kill leaves behind is at most a hidden temporary file, never a part of ``path``; an error removes
    that too. Raises ConflictError (``output.exists``) unless ``replace`` and a file is there, TransportError (``disk.io``,
    ``disk.full``).
    """
    check_not_taken(path, replace=replace)
    with disk(f"{path} cannot be written"), temporary(path.parent, mode) as (hidden, file):
        yield file
        settle(file)
        if replace:
            os.replace(hidden, path)
        else:
            name(hidden, path)
        _sync_name(path, replaced=replace)


@contextmanager
def temporary(folder: Path, mode: int = 0o666) -> Iterator[tuple[Path, BinaryIO]]:
    """A new hidden file in ``folder``, to be written and given a name; its hidden name is gone when the block ends.

    It is locked until then, where the file system has locks, so that :func:`sweep` can tell it from what a killed run left.
    Raises OSError.
    """
    path, file = _locked(folder, mode)
    kept = os.dup(file.fileno())  # has the lock too, for after the file is closed
    try:
        with _closed(file):
            yield path, file
    finally:
        with suppress(OSError):
            os.unlink(path)
        os.close(kept)


def settle(file: BinaryIO) -> None:
    """Let what was written survive a power cut. Raises OSError."""
    file.flush()
    os.fsync(file.fileno())


def name(hidden: Path, path: Path) -> None:
    """Give a hidden file its name, but never one that is taken. Raises ConflictError (``output.exists``), OSError."""
    try:
        os.link(hidden, path)  # unlike a rename, it never takes a name that came up meanwhile
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(path):
            raise _exists(path) from None
        os.replace(hidden, path)


def check_not_taken(path: Path, *, replace: bool) -> None:
    """Raises ConflictError (``output.exists``) for what is there, but for a regular file, or a link to one, with ``replace``."""
    try:
        mode = os.lstat(path).st_mode  # asked once: another run may be replacing it
    except OSError:
        return
    if not replace or not (stat.S_ISREG(mode) or (stat.S_ISLNK(mode) and os.path.isfile(path))):
        raise _exists(path)


def check_names(paths: Sequence[Path]) -> None:
    """Refuse names that could not be given: too long for the file system, or in a folder that is not there or takes no files.

    A hidden file is made for it and removed again. Raises UsageError (``usage``) for a folder that is not there or a name that
    is too long, TransportError (``disk.io``, ``disk.full``) for a folder that nothing can be written to.
    """
    folder = paths[0].parent
    if not os.path.isdir(folder):
        raise UsageError(f"the folder {folder} is not there", next="make it, or name another")
    with disk(f"{paths[0]} cannot be written"), temporary(folder):
        longest = os.pathconf(folder, "PC_NAME_MAX")
    for path in paths:
        if len(os.fsencode(path.name)) > longest or _is_too_long(path):
            length = len(os.fsencode(path.name))
            raise UsageError(
                f"the name {path.name} is too long", found=f"{length} bytes", wanted=f"at most {longest}", next="choose a shorter one"
            )


def _is_too_long(path: Path) -> bool:
    """Whether the file system says so: some count letters, and all of them the whole path too. Raises TransportError (``disk.io``)."""
    with disk(f"{path} cannot be written"):
        try:
            os.lstat(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return True
    return False


def check_space(folder: Path, needed: int, *, what: str) -> int:
    """How many bytes are free where ``folder`` is. Raises TransportError (``disk.full``) for fewer than ``needed``, ``disk.io``."""
    with disk(what):
        status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if free < needed:
        raise TransportError(
            what,
            code=Code.DISK_FULL,
            found=f"{free} bytes free in {folder}",
            wanted=f"at least {needed} bytes",
            next="make room there, or write to another file system",
        )
    return free


def sweep(folder: Path, pattern: re.Pattern[str] = TEMPORARY) -> list[int]:
    """Remove from ``folder`` the hidden files that killed runs left; gives how large each was, in bytes.

    Removed are regular files only, whose names match the whole ``pattern``, that belong to whoever new files here belong to,
    and that no living process has locked, as :func:`temporary` does. Nothing is removed where the file system has no locks,
    and what cannot be removed stays: this is tidiness, and no error.
    """
    sizes: list[int] = []
    with suppress(OSError):
        owner = owner_of_new(folder)
        for entry in sorted(os.listdir(folder)):
            if pattern.fullmatch(entry):
                with suppress(OSError):
                    sizes += _removed(folder / entry, owner)
    return sizes


def owner_of_new(folder: Path) -> int:
    """The user whom files belong to that we make in ``folder``: us, but on FAT the mount's. Raises OSError where none can be made."""
    with temporary(folder) as (_, probe):
        return os.fstat(probe.fileno()).st_uid


def _removed(path: Path, owner: int) -> list[int]:
    status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != owner:
        return []
    file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # to write: NFS locks nothing else
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(file), status) or not _is_named(file, path):
            return []
        os.unlink(path)
        return [status.st_size if status.st_nlink == 1 else 0]  # of a file that has its name too, nothing becomes free
    finally:
        os.close(file)


def _locked(folder: Path, mode: int) -> tuple[Path, BinaryIO]:
    """A new hidden file, locked. One that a sweep comes upon before it is locked is made anew."""
    for _ in range(_TRIES):
        path = folder / f"{HIDDEN}{secrets.token_hex(8)}.tmp"  # as short for the longest name that there can be
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode), "wb")
        try:
            if _lock(file) and _is_named(file.fileno(), path):
                return path, file
            os.unlink(path)
        except FileNotFoundError:
            pass
        except BaseException:
            file.close()
            raise
        file.close()
    raise BlockingIOError(errno.EAGAIN, "others lock what is made there")


def _lock(file: BinaryIO) -> bool:
    """False if another holds it. Where the file system has no locks, nobody does."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN)
    return True


def _is_named(file: int, path: Path) -> bool:
    """Whether the open file is what ``path`` leads to."""
    try:
        return os.path.samestat(os.fstat(file), os.lstat(path))
    except FileNotFoundError:
        return False


def write_direct(file: BinaryIO, pieces: Iterable[bytes]) -> int:
    """``pieces``, one after the other, into a file that :func:`whole` gives; returns their bytes.

    Past the page cache where the file system can do that: memory for all of a large file costs more than the disk, and who
    reads the file afterwards reads what the medium holds. Raises OSError, and what ``pieces`` raises.
    """
    _set_direct(file, wanted=True)
    free = deque(mmap.mmap(-1, _BLOCK) for _ in range(2 * _WRITERS))  # as many as there are in flight; aligned, as direct writes need it

    def put(block: tuple[int, mmap.mmap, int]) -> int:
        at, memory, length = block
        with memoryview(memory) as view:
            _write_at(file, view[:length], at)
        free.append(memory)
        return length

    with closing(side_by_side(put, _blocks(pieces, free), jobs=_WRITERS)) as written:
        return sum(written)


def _blocks(pieces: Iterable[bytes], free: "deque[mmap.mmap]") -> Iterator[tuple[int, mmap.mmap, int]]:
    """Where each block goes, what it is, and how much of it: all of it, but of the last."""
    at, memory, filled = 0, free.popleft(), 0
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            part = rest[: _BLOCK - filled]
            memory[filled : filled + len(part)] = part
            filled, rest = filled + len(part), rest[len(part) :]
            if filled == _BLOCK:
                yield at, memory, filled
                at, memory, filled = at + filled, free.popleft(), 0
    yield at, memory, filled


def _write_at(file: BinaryIO, data: memoryview, offset: int) -> None:
    direct = True
    while data:
        try:
            done = os.pwrite(file.fileno(), data, offset)
        except OSError as error:
            if error.errno != errno.EINVAL or not direct:
                raise
            direct = False
            _set_direct(file, wanted=False)  # no whole blocks of the disk: the end, or what is left of a write that was short
            continue
        data, offset = data[done:], offset + done


def _set_direct(file: BinaryIO, *, wanted: bool) -> None:
    """Turn direct writes on, where the file system has them, or off."""
    flag = getattr(os, "O_DIRECT", 0)
    with suppress(OSError):
        flags = fcntl.fcntl(file, fcntl.F_GETFL)
        fcntl.fcntl(file, fcntl.F_SETFL, flags | flag if wanted else flags & ~flag)


def write_whole(path: Path, data: bytes, *, replace: bool = False, mode: int = 0o666) -> None:
    """``data`` as the file ``path``, whole or not at all; raises as :func:`whole`."""
    with whole(path, replace=replace, mode=mode) as file:
        file.write(data)


def read_small(path: Path, *, limit: int, what: str) -> bytes:
    """A regular file of at most ``limit`` bytes, whole. Raises UsageError (``usage.input``)."""
    try:
        with open(path, "rb", opener=at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{what} {path} is not a regular file", code=Code.USAGE_INPUT)
            data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{what} {path} cannot be read", code=Code.USAGE_INPUT, found=error.strerror) from error
    if len(data) > limit:
        raise UsageError(f"{what} {path} is too large", code=Code.USAGE_INPUT, wanted=f"at most {limit} bytes")
    return data


def at_once(path: str, flags: int) -> int:
    """A FIFO or a terminal must not make the run wait, nor become its own."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def is_taken(path: Path) -> bool:
    """Whether anything has that name, be it a link to nothing. Where the answer is an error, as in a folder that may not be searched,
    it must not be taken for a no."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut, where its file system can do that. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_opened(descriptor)
    finally:
        os.close(descriptor)


def sync_opened(folder: int) -> None:
    """The same as :func:`sync_folder` for a folder that is open."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, *_NOT_SUPPORTED):  # SMB and some FUSE have no such thing for folders
            raise


@contextmanager
def _closed(file: BinaryIO) -> Iterator[None]:
    """Close the file after the block. After an error in it, what a close cannot write any more is not another error."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            file.close()
        raise
    file.close()


def _sync_name(path: Path, *, replaced: bool) -> None:
    """Make the name survive. Where that fails there is no file, so that the run can be repeated; but for one that took another's place."""
    try:
        sync_folder(path.parent)
    except OSError:
        if not replaced:
            os.unlink(path)
        raise


def _exists(path: Path) -> ConflictError:
    return ConflictError(f"{path} exists", code=Code.OUTPUT_EXISTS, next="choose another name, or replace it with --replace")
