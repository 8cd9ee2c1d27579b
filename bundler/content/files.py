"""Files that appear whole or not at all."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bundler.errors import Code, ConflictError, TransportError, UsageError

_NO_ROOM = {
    errno.ENOSPC: "make room and run it again",
    errno.EDQUOT: "make room or have the quota raised, and run it again",
    errno.EFBIG: "write to a file system that takes files as large as this (FAT ends at 4 GiB)",
}
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


def write_at(file: BinaryIO, data: bytes, offset: int) -> None:
    """All of ``data`` at ``offset`` of a file that :func:`whole` gives, from any thread and in any order. Raises OSError."""
    done = 0
    while done < len(data):
        done += os.pwrite(file.fileno(), memoryview(data)[done:], offset + done)
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):  # so the disk begins to write now, and the sync at the end has little left to wait for
            os.posix_fadvise(file.fileno(), offset, len(data), os.POSIX_FADV_DONTNEED)


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
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, *_NOT_SUPPORTED):  # SMB and some FUSE have no such thing for folders
            raise
    finally:
        os.close(descriptor)


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
