"""A medium that is not a file: memory, in pieces of any sizes."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle


class Memory:
    """Bytes in memory as :class:`bundler.content.medium.Medium` has them. What comes at once ends where one of its pieces does.

    ``sizes`` are those of the pieces, over and over again.
    """

    def __init__(self, data: bytes = b"", *, sizes: Sequence[int] = (1 << 20,)) -> None:
        self._sizes = sizes
        self._pieces = list(_cut(data, sizes))
        self.synced = False

    @property
    def data(self) -> bytes:
        return b"".join(self._pieces)

    @property
    def size(self) -> int:
        return sum(map(len, self._pieces))

    def read_into(self, view: memoryview, offset: int) -> int:
        for piece in self._pieces:
            if offset < len(piece):
                some = piece[offset : offset + len(view)]
                view[: len(some)] = some
                return len(some)
            offset -= len(piece)
        return 0

    def write(self, pieces: Iterable[bytes]) -> int:
        self._pieces = list(_cut(b"".join(pieces), self._sizes))
        return self.size

    def sync(self) -> None:
        self.synced = True


def _cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    at, more = 0, cycle(sizes)
    while at < len(data):
        size = next(more)
        yield data[at : at + size]
        at += size
