"""The files of an image layout, and a folder that holds some.

Beneath the folder that a person named, no link is followed and nothing but regular files is opened; what is written is
whole before it has its name.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from bundler.content.files import disk, sweep, sync_folder, whole, write_direct, write_whole
from bundler.content.stream import CHUNK
from bundler.errors import Code, ConflictError, FormatError, IncompleteError, IntegrityError, TransportError, UsageError
from bundler.oci.digest import Digest

ALGORITHMS = ("sha256", "sha512")  # what a Digest can be of


class Files(Protocol):
    """The files of a layout by their names in it: ``oci-layout``, ``index.json``, ``blobs/ALGORITHM/HEX``."""

    def size(self, name: str) -> int | None:
        """In bytes; None for what is not there. Raises FormatError (``format.layout``) for what is not a regular file."""
        ...

    def chunks(self, name: str) -> Iterator[bytes]:
        """Its bytes in pieces, unchecked. Raises IncompleteError (``blob.missing``) for what is not there, IntegrityError
        (``content.truncated``) where the medium gives fewer bytes than there are."""
        ...

    def blobs(self) -> Iterator[Digest]:
        """All that there is below ``blobs``."""
        ...

    def close(self) -> None: ...


class Folder:
    """A layout's folder. What is below it may have been made by anyone; the folder itself is what a person named."""

    def __init__(self, folder: Path, *, make: Mapping[str, bytes] | None = None) -> None:
        """``make`` are the files of an empty layout, which a folder gets that is absent or empty, the first of them first.

        Raises UsageError (``usage.input``) for a folder that is not there, ConflictError (``output.exists``) for one to be
        made that holds something else.
        """
        self._folder = folder
        if make is not None:
            self._make(make)
        elif not folder.is_dir():
            raise UsageError(f"the layout {folder} is not there", code=Code.USAGE_INPUT)

    def close(self) -> None:
        """Nothing is held open between two calls."""

    def size(self, name: str) -> int | None:
        with self._opened(name) as file:
            return None if file is None else os.fstat(file).st_size

    def chunks(self, name: str) -> Iterator[bytes]:
        with self._opened(name) as file:
            if file is None:
                raise IncompleteError(f"{name} is not in the layout {self._folder}", code=Code.BLOB_MISSING)
            size, read = os.fstat(file).st_size, 0
            while True:
                with disk(f"{name} of {self._folder} cannot be read"):
                    chunk = os.read(file, CHUNK)
                if not chunk:
                    break
                read += len(chunk)
                yield chunk
            if read < size:  # else a medium that ends early would make the file a malformed one, or evidence none
                raise IntegrityError(
                    f"{name} of the layout {self._folder} ended early", code=Code.CONTENT_TRUNCATED, found=read, wanted=f"{size} bytes"
                )

    def blobs(self) -> Iterator[Digest]:
        for algorithm in ALGORITHMS:
            with self._below(("blobs", algorithm)) as folder:
                names = [] if folder is None else sorted(os.listdir(folder))  # noqa: PTH208 - a Path cannot begin at an open folder
            for name in names:
                try:
                    yield Digest(algorithm, name)
                except FormatError:
                    continue  # a temporary file of whoever writes here

    # --- writing ---

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """A blob, whole once ``chunks`` has ended; instead of what was there, which was other content.

        Who calls this has asked for :meth:`size`, so no link is on the way.
        """
        path = self._folder / name
        with disk(f"{path} cannot be written"):
            for folder in (path.parent.parent, path.parent):
                if not folder.exists():
                    folder.mkdir(exist_ok=True)
                    sync_folder(folder.parent)
        with whole(path, replace=True) as file:
            write_direct(file, chunks)

    def replace(self, name: str, data: bytes) -> None:
        write_whole(self._folder / name, data, replace=True)

    def sweep(self) -> None:
        """Remove what killed runs left of files that were not whole."""
        sweep(self._folder)
        for algorithm in ALGORITHMS:
            with self._below(("blobs", algorithm)) as folder:  # which is not a link then
                if folder is not None:
                    sweep(self._folder / "blobs" / algorithm)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process, and no other thread, writes the index meanwhile. Raises TransportError (``disk.io``)."""
        what = f"the layout {self._folder} cannot be locked"
        with disk(what):
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(folder, fcntl.LOCK_EX)
            except OSError as error:
                advice = "write to a file system that has locks (flock)"
                raise TransportError(what, code=Code.DISK_IO, found=error.strerror, next=advice) from error
            yield
        finally:
            os.close(folder)

    def _make(self, files: Mapping[str, bytes]) -> None:
        if self._folder.exists() and not self._folder.is_dir():
            raise ConflictError(f"{self._folder} is not a folder", code=Code.OUTPUT_EXISTS, next="name another folder")
        with disk(f"the layout {self._folder} cannot be made"):
            self._folder.mkdir(parents=True, exist_ok=True)
            there = {path.name for path in self._folder.iterdir() if not path.name.endswith(".tmp")}
        if there and next(iter(files)) not in there:
            raise ConflictError(
                f"{self._folder} holds something else than an image layout", code=Code.OUTPUT_EXISTS, next="name another folder"
            )
        for name in [name for name in files if name not in there]:
            with suppress(ConflictError):  # another run has made it meanwhile, and may have listed something
                write_whole(self._folder / name, files[name])

    # --- opening ---

    @contextmanager
    def _opened(self, name: str) -> Iterator[int | None]:
        """The regular file of that name; None if there is none."""
        *folders, last = name.split("/")
        with self._below(folders) as folder:
            file = None if folder is None else self._open(last, os.O_NONBLOCK, within=folder)
        try:
            if file is not None and not stat.S_ISREG(os.fstat(file).st_mode):
                raise FormatError(f"{name} of the layout {self._folder} is not a regular file", code=Code.FORMAT_LAYOUT)
            yield file
        finally:
            if file is not None:
                os.close(file)

    @contextmanager
    def _below(self, folders: Iterable[str]) -> Iterator[int | None]:
        with disk(f"the layout {self._folder} cannot be read"):
            folder: int | None = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in folders:
                if folder is not None:
                    above, folder = folder, None
                    try:
                        folder = self._open(name, os.O_DIRECTORY, within=above)
                    finally:
                        os.close(above)
            yield folder
        finally:
            if folder is not None:
                os.close(folder)

    def _open(self, name: str, flags: int, *, within: int) -> int | None:
        with disk(f"{name} of the layout {self._folder} cannot be read"):
            try:
                return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=within)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
                    raise
                raise FormatError(
                    f"{name} of the layout {self._folder} is a link, or neither a file nor a folder", code=Code.FORMAT_LAYOUT
                ) from error
