"""Bundles written in one pass (docs/spec/bundle-v1.md, section 10)."""

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

from bundler.bundle import tar
from bundler.bundle.frames import FRAME, GROUP, MAX_SEAL_RATIO, Run, compress, table
from bundler.bundle.records import Report, plan_of
from bundler.bundle.seal import SEAL, Member
from bundler.content.medium import Medium
from bundler.content.stream import ahead, side_by_side, verified
from bundler.oci.digest import Digest

_AHEAD = 8  # chunks of a blob fetched before its turn: with 4 jobs, 4 blobs of 2 MiB hide what a registry takes to answer


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: its size in bytes, and its digest."""

    size: int
    digest: Digest


def write(
    to: Medium,
    *,
    envelope: bytes,
    members: Sequence[Member],
    chunks: Callable[[Member], Iterable[bytes]],
    mtime: int = 0,
    jobs: int = 4,
    report: Report = lambda _: None,
) -> Written:
    """Write a bundle: the envelope, then the members in this order, each from what ``chunks`` gives for it.

    ``to`` is empty; it is synced, and whoever gave it names it, or leaves no trace of it where this raises.
    ``mtime`` is 0 or the seal's ``created`` in seconds, else nobody reads it. ``chunks`` is called by several threads, and for
    at most ``jobs`` blobs at a time. The bytes do not depend on ``jobs``.

    Raises IntegrityError (``content.size``, ``content.truncated``, ``content.digest``) for other bytes than the members say,
    FormatError (``format.tar``), and OSError of the medium.
    """
    plan = tuple(plan_of(len(envelope), members))
    # glibc keeps memory that it has seen freed. Without this it would get it anew, page by page, for each frame.
    bytearray(4 * FRAME)  # mutant-equivalent without: it only saves time
    sizes, hasher = list[tuple[int, int]](), hashlib.sha256()
    half = max(1, jobs // 2)

    def framed(numbered: tuple[int, bytes]) -> tuple[int, bytes]:
        number, content = numbered
        return len(content), compress(content, ratio=MAX_SEAL_RATIO if number in plan[0].frames else None)

    with (
        closing(side_by_side(_Contents(plan, envelope, members, chunks, mtime).of, plan, jobs=half)) as contents,
        closing(_frames(plan, contents)) as frames,
        closing(side_by_side(framed, enumerate(frames), jobs=half)) as compressed,
    ):

        def pieces() -> Iterator[bytes]:
            for size, frame in compressed:
                sizes.append((len(frame), size))
                hasher.update(frame)
                yield frame
                report(size)
            seek_table = table(sizes)
            hasher.update(seek_table)
            yield seek_table

        size = to.write(pieces())
        to.sync()
    return Written(size, Digest("sha256", hasher.hexdigest()))


class _Contents:
    """What the runs of a new bundle hold, as chunks; each asked for ahead of its turn."""

    def __init__(
        self,
        plan: Sequence[Run],
        envelope: bytes,
        members: Sequence[Member],
        chunks: Callable[[Member], Iterable[bytes]],
        mtime: int,
    ) -> None:
        self._end = plan[-1]
        self._envelope = envelope
        self._members = members
        self._chunks = chunks
        self._mtime = mtime

    def of(self, run: Run) -> Iterable[bytes]:
        if run is self._end:
            return (tar.END,)
        if run.first == 0:
            return self._record(SEAL, len(self._envelope), (self._envelope,))
        if run.size > GROUP:
            return self._large(self._members[run.first - 1])
        return (b"".join(chain.from_iterable(map(self._small, self._members[run.first - 1 : run.first - 1 + run.records]))),)

    def _small(self, member: Member) -> Iterable[bytes]:
        return self._record(member.path, member.size, verified(member.blob, self._chunks(member)))

    def _large(self, member: Member) -> Iterable[bytes]:
        chunks = ahead(verified(member.blob, self._chunks(member)), depth=_AHEAD)
        first = next(chunks)  # from here on it is fetched, while others are written
        return self._record(member.path, member.size, chain((first,), chunks))

    def _record(self, name: str, size: int, content: Iterable[bytes]) -> Iterable[bytes]:
        return chain((tar.header(name, size, mtime=self._mtime),), content, (bytes(tar.padding(size)),))


def _frames(plan: Iterable[Run], contents: Iterable[Iterable[bytes]]) -> Generator[bytes, None, None]:
    """The content of every frame."""
    for run, content in zip(plan, contents, strict=True):
        yield from _cut(run, content)


def _cut(run: Run, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a run, frame by frame."""
    source, rest = iter(chunks), memoryview(b"")
    for frame in run.frames:
        pieces, left = list[memoryview](), run.content(frame)
        while left:
            rest = rest or memoryview(next(source))
            pieces.append(rest[:left])
            left, rest = left - len(pieces[-1]), rest[len(pieces[-1]) :]
        yield b"".join(pieces)
    for _ in source:  # the last thing that verified content does is to compare its digest
        pass
