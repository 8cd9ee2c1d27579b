"""What something large lies on: bytes that are read at any place, and written once from their beginning."""

import os
from collections.abc import Iterable
from typing import BinaryIO, Protocol

from bundler.content.files import settle, write_direct


class Medium(Protocol):
    """A file, or whatever gives and takes bytes as one does. Many threads may read at once. Raises OSError."""

    @property
    def size(self) -> int:
        """In bytes."""
        ...

    def read_into(self, view: memoryview, offset: int) -> int:
        """Some of the bytes from ``offset`` on, as many as come at once; how many, 0 behind the last one."""
        ...

    def write(self, pieces: Iterable[bytes]) -> int:
        """``pieces``, one after the other, onto an empty medium; how many bytes they are. Raises what ``pieces`` raises."""
        ...

    def sync(self) -> None:
        """Let what was written survive a power cut."""
        ...


class FileMedium:
    """A regular file, as whoever opened it may read or write it. It is not closed here."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    @property
    def size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def read_into(self, view: memoryview, offset: int) -> int:
        return os.preadv(self._file.fileno(), [view], offset)

    def write(self, pieces: Iterable[bytes]) -> int:
        return write_direct(self._file, pieces)

    def sync(self) -> None:
        settle(self._file)
