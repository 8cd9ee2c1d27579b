"""The records of a bundle's tar in the frames that hold them, on any medium (docs/spec/bundle-v1.md, sections 3 and 11).

What is read here has the shape that follows from the seal, and is not compared with a digest yet: what a record means, and
whether it is what was sealed, :mod:`.archive` knows.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

from bundler.bundle import tar
from bundler.bundle.frames import FRAME, GROUP, MAX_FRAMES, Run, Table, decompress, longest, runs
from bundler.bundle.seal import Kind, Member
from bundler.content.files import disk
from bundler.content.medium import Medium
from bundler.content.stream import Turns
from bundler.errors import Code, FormatError, IntegrityError

Report = Callable[[int], None]
"""Told how many bytes were passed, from any thread."""

MAX_KEPT = 32 << 20  # bytes of the medium's beginning in memory: the manifests and signatures of 10,000 small images take 20 MiB


class Frames:
    """A medium that frames are read from; ``what`` names it in errors."""

    def __init__(self, medium: Medium, *, what: str) -> None:
        self.what = what
        self._medium, self._kept = medium, bytearray()

    def read(self, offset: int, count: int) -> bytes:
        """Bytes of the medium. Raises IntegrityError (``content.truncated``), TransportError (``disk.io``)."""
        data = bytearray(count)
        self._fill(memoryview(data), offset)
        return bytes(data)

    def keep(self, until: int) -> None:
        """Read the beginning up to there into memory, if it is at most MAX_KEPT, so that the medium gives it once."""
        if len(self._kept) < until <= MAX_KEPT:  # mutant-equivalent past limit 1: what is kept gives itself
            kept = bytearray(until)
            self._fill(memoryview(kept), 0)
            self._kept = kept

    def content(self, run: Run, offset: int, sizes: Iterable[int], *, what: str) -> Iterator[bytes]:
        """What a run's frames hold, which begin at ``offset`` and have these compressed sizes there."""
        memory = bytearray(longest(min(run.size, FRAME)))  # one for all: to get it costs as much as to decompress
        for frame, compressed in zip(run.frames, sizes, strict=True):
            data = memoryview(memory)[:compressed]
            self._fill(data, offset)
            yield from decompress(data, run.content(frame), what=what)
            offset += compressed

    def _fill(self, data: memoryview, offset: int) -> None:
        """Read until ``data`` is full. Raises as :meth:`read`."""
        done = 0
        if offset + len(data) <= len(self._kept):
            data[:] = self._kept[offset : offset + len(data)]
            return
        with disk(f"{self.what} cannot be read"):
            while done < len(data) and (more := self._medium.read_into(data[done:], offset + done)):
                done += more
        if done < len(data):
            raise IntegrityError(
                f"{self.what} has become shorter",
                code=Code.CONTENT_TRUNCATED,
                found=f"{offset + done} bytes",
                wanted=f"{offset + len(data)} bytes",
            )


class Records:
    """The records behind the seal's, which hold ``members`` in this order. Any can be read by itself, from any thread.

    They are counted from 1, as the seal's is 0. Raises FormatError (``format.bundle``) where the table does not fit them.
    """

    def __init__(self, frames: Frames, table: Table, seal_size: int, members: Sequence[Member], *, mtime: int) -> None:
        self.members = members
        self._frames, self._mtime = frames, mtime
        self._starts = _starts(seal_size, members)
        self.runs = tuple(plan_of(seal_size, members))
        """The seal's run first, and that of the tar's end last."""
        self._offsets = table.offsets(self.runs)
        self._firsts = array("Q", (run.first for run in self.runs))
        self._group, self._turns = lru_cache(maxsize=8)(self._decoded), Turns()

    def pieces(self, record: int) -> Iterator[bytes]:
        """What a record holds, between its header and its padding.

        Raises FormatError (``format.tar``, ``format.unlisted``, ``format.bundle``), IntegrityError (``content.frame``,
        ``content.truncated``), TransportError (``disk.io``).
        """
        run = self.runs[bisect_right(self._firsts, record) - 1]
        if run.size > GROUP:
            return self.within(record, run, None)
        with self._turns.of(run.first):  # who wants another record of the group waits, and need not read it once more
            return self.within(record, run, self._group(run))

    def within(self, record: int, run: Run, group: bytes | None) -> Iterator[bytes]:
        """The same where its run is known and what :meth:`group` gives for that."""
        member, at = self.members[record - 1], self._starts[record] - run.start
        pieces = self._content(run, what=member.path) if group is None else iter((group[at : at + tar.record(member.size)],))
        return inside(pieces, member.path, member.size, mtime=self._mtime)

    def group(self, run: Run) -> bytes | None:
        """All of a group of small records, or of the end; None of what is too large for memory. Raises as :meth:`pieces`."""
        return None if run.size > GROUP else self._decoded(run)

    def keep(self, last: Run) -> None:
        """Read all up to the end of the ``last`` of these runs into memory, as :meth:`Frames.keep`."""
        self._frames.keep(self._offsets[last.frames.stop])

    def _decoded(self, run: Run) -> bytes:
        what = self.members[run.first - 1].path if run.records else "the end of the tar"
        return b"".join(self._content(run, what=what))

    def _content(self, run: Run, *, what: str) -> Iterator[bytes]:
        sizes = (self._offsets[frame + 1] - self._offsets[frame] for frame in run.frames)
        return self._frames.content(run, self._offsets[run.frame], sizes, what=what)


def plan_of(seal_size: int, members: Iterable[Member]) -> Iterator[Run]:
    """The runs of a bundle whose records hold an envelope of that size and these members, in this order."""
    return runs(tar.record(seal_size), ((tar.record(member.size), member.kind is Kind.BLOB) for member in members), len(tar.END))


def _starts(seal_size: int, members: Iterable[Member]) -> "array[int]":
    """Where each record begins in the tar. Raises FormatError (``format.bundle``) for more than a bundle can hold."""
    starts, at = array("Q", [0]), tar.record(seal_size)
    for member in members:
        if at + tar.record(member.size) > MAX_FRAMES * FRAME:
            raise FormatError("the seal lists more than a bundle can hold", found=f"{member.size} bytes for {member.path}")
        starts.append(at)
        at += tar.record(member.size)
    return starts


def inside(pieces: Iterable[bytes], name: str, size: int, *, mtime: int) -> Iterator[bytes]:
    """The content of a record that comes in pieces, its header in the first; what is around it is checked."""
    left = size
    for number, piece in enumerate(pieces):
        rest = piece
        if number == 0:
            tar.check_header(piece[: tar.BLOCK], name, size, mtime=mtime)
            rest = piece[tar.BLOCK :]
        tar.check_padding(rest[left:], name)
        content = rest[:left]
        left -= len(content)
        yield content
