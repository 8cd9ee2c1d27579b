"""A medium that is not a file: memory, in pieces of any sizes."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, cycle


class Memory:
    """Bytes in memory as :class:`bundler.content.medium.Medium` has them. What comes at once ends where one of its pieces does.

    ``sizes`` are those of the pieces, over and over again.
    """

    def __init__(self, data: bytes = b"", *, sizes: Sequence[int] = (1 << 20,)) -> None:
        self._sizes = sizes
        self._keep(data)
        self.synced = False

    @property
    def data(self) -> bytes:
        return b"".join(self._pieces)

    @property
    def size(self) -> int:
        return self._ends[-1] if self._ends else 0

    def read_into(self, view: memoryview, offset: int) -> int:
        number = bisect_right(self._ends, offset)
        if number == len(self._pieces):
            return 0
        left = self._ends[number] - offset
        some = self._pieces[number][-left:][: len(view)]
        view[: len(some)] = some
        return len(some)

    def write(self, pieces: Iterable[bytes]) -> int:
        self._keep(b"".join(pieces))
        return self.size

    def _keep(self, data: bytes) -> None:
        self._pieces = list(_cut(data, self._sizes))
        self._ends = list(accumulate(map(len, self._pieces)))

    def sync(self) -> None:
        self.synced = True


def _cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    at, more = 0, cycle(sizes)
    while at < len(data):
        size = next(more)
        yield data[at : at + size]
        at += size
