"""Files that appear whole or not at all."""

import errno
import fcntl
import mmap
import os
import secrets
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bundler.content.stream import side_by_side
from bundler.errors import Code, ConflictError, TransportError, UsageError

_NO_ROOM = {
    errno.ENOSPC: "make room and run it again",
    errno.EDQUOT: "make room or have the quota raised, and run it again",
    errno.EFBIG: "write to a file system that takes files as large as this (FAT ends at 4 GiB)",
}
_BLOCK = 2 << 20  # what a disk takes at once; a whole number of its own blocks
_WRITERS = 2  # while one waits for the disk, the other fills what the disk takes next
_NOT_SUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


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
    if os.path.lexists(path) and not (replace and os.path.isfile(path)):
        raise _exists(path)
    temporary = path.parent / f".oci-bundler-{secrets.token_hex(8)}.tmp"  # as short for the longest name that there can be
    with disk(f"{path} cannot be written"):
        file = os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode), "wb")
        try:
            with _closed(file):
                yield file
                file.flush()
                os.fsync(file.fileno())
            _name(temporary, path, replace=replace)
            _sync_name(path, replaced=replace)
        finally:
            with suppress(OSError):
                os.unlink(temporary)


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
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"{what} {path} is no regular file", code=Code.USAGE_INPUT)
            data = file.read(limit + 1)
    except OSError as error:
        raise UsageError(f"{what} {path} cannot be read", code=Code.USAGE_INPUT, found=error.strerror) from error
    if len(data) > limit:
        raise UsageError(f"{what} {path} is too large", code=Code.USAGE_INPUT, wanted=f"at most {limit} bytes")
    return data


def _at_once(path: str, flags: int) -> int:
    """A FIFO or a terminal must not make the run wait, nor become its own."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


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


def _name(temporary: Path, path: Path, *, replace: bool) -> None:
    if replace:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)  # unlike a rename, it never takes a name that came up meanwhile
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        if error.errno not in (errno.EPERM, *_NOT_SUPPORTED):  # FAT and its kin have no links
            raise
        if os.path.lexists(path):
            raise _exists(path) from None
        os.replace(temporary, path)


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
