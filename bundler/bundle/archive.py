"""Bundles as files: written in one pass, read at any place (docs/spec/bundle-v1.md, sections 10 and 11).

Reading goes who, then what: :func:`opened` gives the envelope; whoever has checked its signatures hands its payload back,
and only then is there any content. Nothing is extracted, and every byte that leaves here has been compared with its digest.
"""

import hashlib
import os
import stat
from array import array
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from bundler.bundle import layout, tar
from bundler.bundle.envelope import MAX_ENVELOPE, Envelope
from bundler.bundle.frames import (
    FRAME,
    GROUP,
    MAGIC,
    MAX_FRAMES,
    MAX_SEAL_RATIO,
    Run,
    Table,
    beginning,
    check_ratio,
    compress,
    decompress,
    longest,
    runs,
    table,
)
from bundler.bundle.seal import SEAL, ImageEntry, Kind, Lookup, Member, Seal, looked_up, time
from bundler.content.files import disk, whole, write_direct
from bundler.content.stream import CHUNK, Turns, ahead, side_by_side, verified
from bundler.errors import BundlerError, Code, FormatError, IntegrityError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, Document
from bundler.oci.reference import Reference

MAX_FAULTS = 100  # who reads more of them?

Report = Callable[[int], None]
"""Told how many bytes were passed, from any thread."""

_AHEAD = 8  # chunks of a blob fetched before its turn: with 4 jobs, 4 blobs of 2 MiB hide what a registry takes to answer
MAX_KEPT = 32 << 20  # bytes of the file's beginning in memory: the manifests and signatures of 10,000 small images take 20 MiB
_SMALL_DOCUMENT = 16 << 10  # bytes; the manifest of an image has one or two thousand


@dataclass(frozen=True, slots=True)
class Written:
    """The file that was written: its size in bytes, and its digest."""

    size: int
    digest: Digest


def write(
    to: Path | BinaryIO,
    *,
    envelope: bytes,
    members: Sequence[Member],
    chunks: Callable[[Member], Iterable[bytes]],
    mtime: int = 0,
    jobs: int = 4,
    replace: bool = False,
    report: Report = lambda _: None,
) -> Written:
    """Write a bundle: the envelope, then the members in this order, each from what ``chunks`` gives for it.

    ``to`` is a path, or an empty file that the caller has opened with :func:`together` and that is named later.
    ``mtime`` is 0 or the seal's ``created`` in seconds, else nobody reads it. ``chunks`` is called by several threads, and for
    at most ``jobs`` blobs at a time. The bytes do not depend on ``jobs``.

    Raises IntegrityError (``content.size``, ``content.truncated``, ``content.digest``) for other bytes than the members say,
    FormatError (``format.tar``), and as :func:`whole`. Whatever is raised, there is no file of that path then.
    """
    plan = tuple(runs(tar.record(len(envelope)), _records(members), len(tar.END)))
    # glibc keeps memory that it has seen freed. Without this it would get it anew, page by page, for each frame.
    bytearray(4 * FRAME)  # mutant-equivalent without: it only saves time
    sizes, hasher = list[tuple[int, int]](), hashlib.sha256()
    half = max(1, jobs // 2)

    def framed(numbered: tuple[int, bytes]) -> tuple[int, bytes]:
        number, content = numbered
        return len(content), compress(content, ratio=MAX_SEAL_RATIO if number in plan[0].frames else None)

    with (
        whole(to, replace=replace) if isinstance(to, Path) else nullcontext(to) as file,
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

        size = write_direct(file, pieces())
    return Written(size, Digest("sha256", hasher.hexdigest()))


@contextmanager
def opened(path: Path) -> "Iterator[Archive]":
    """Open a bundle; once, so that nobody can put another file in its place.

    Raises UsageError (``usage.input``), FormatError (``format.bundle``, ``format.tar``, ``limit.seal``), IntegrityError
    (``content.truncated``, ``content.frame``), TransportError (``disk.io``).
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # not blocking: a FIFO must not make the run wait
    except OSError as error:
        raise UsageError(
            f"the bundle {path} cannot be read", code=Code.USAGE_INPUT, found=error.strerror, next=_instead(path, error)
        ) from error
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"the bundle {path} is not a regular file", code=Code.USAGE_INPUT, next="copy it into a file first")
        yield Archive(file, status.st_size, what=str(path))
    finally:
        os.close(file)


def _instead(path: Path, error: OSError) -> str | None:
    """What may have been meant by the name of a file that is not there: an image at a registry, with host and tag or digest."""
    text = str(path)
    try:
        image = Reference.parse(text) if isinstance(error, FileNotFoundError | NotADirectoryError) else None
    except FormatError:
        return None
    meant = image is not None and text.startswith(f"{image.registry}/") and text.endswith((f":{image.tag}", f"@{image.digest}"))
    return f"for an image at a registry: docker://{text}" if meant else None


class Archive:
    """A file that is a bundle as far as can be seen without its seal."""

    def __init__(self, file: int, size: int, *, what: str) -> None:
        self._file, self._what, self._kept = file, what, bytearray()
        found = Table.find(self.read, size)
        if found is None:
            raise self._no_table(size)
        self.table = found
        compressed, content = next(found.sizes(0, 1))
        if content > FRAME or compressed > longest(content):
            raise FormatError(f"{what} begins with a frame that is too long", found=f"{compressed} bytes for {content}")
        first = next(decompress(self.read(0, compressed), content, what=SEAL), b"")
        self.seal_size, self.mtime = tar.read_header(first[: tar.BLOCK], SEAL)
        if self.seal_size > MAX_ENVELOPE:
            raise FormatError(
                "the seal is over its limit", code=Code.LIMIT_SEAL, found=f"{self.seal_size} bytes", wanted=f"at most {MAX_ENVELOPE}"
            )

    @cached_property
    def envelope(self) -> Envelope:
        """Signatures, and what they are over. Raises as :meth:`Envelope.read`, and as :func:`opened`."""
        return Envelope.read(self._envelope)

    def sealed_by(self, payload: bytes) -> "Content":
        """The content, as said by the payload of the envelope. The caller has verified who signed it.

        Raises as :meth:`Seal.parse`; FormatError (``format.bundle``, ``format.tar``) where the file does not fit the seal.
        """
        seal, identity = Seal.parse(payload), Digest.of(payload)
        del payload  # it may be large, and whoever called need not keep it either
        if self.mtime not in (0, seal.created.timestamp()):
            raise FormatError(
                "the headers have another time than the seal", code=Code.FORMAT_TAR, found=self.mtime, wanted=f"0 or {time(seal.created)}"
            )
        return Content(self, seal, identity)

    def read(self, offset: int, count: int) -> bytes:
        """Bytes of the file. Raises IntegrityError (``content.truncated``), TransportError (``disk.io``)."""
        data = bytearray(count)
        self._fill(memoryview(data), offset)
        return bytes(data)

    def keep(self, until: int) -> None:
        """Read the file's beginning up to there into memory, if it is at most MAX_KEPT, so that the medium gives it once."""
        if len(self._kept) < until <= MAX_KEPT:
            kept = bytearray(until)
            self._fill(memoryview(kept), 0)
            self._kept = kept

    def frames(self, run: Run, offset: int, sizes: Iterable[int], *, what: str) -> Iterator[bytes]:
        """The content of a run's frames, which begin at ``offset`` in the file and have these compressed sizes there."""
        memory = bytearray(longest(min(run.size, FRAME)))  # one for all: to get it costs as much as to decompress
        for frame, compressed in zip(run.frames, sizes, strict=True):
            data = memoryview(memory)[:compressed]
            self._fill(data, offset)
            yield from decompress(data, run.content(frame), what=what)
            offset += compressed

    def _fill(self, data: memoryview, offset: int) -> None:
        """Read bytes of the file until ``data`` is full. Raises as :meth:`read`."""
        done = 0
        if offset + len(data) <= len(self._kept):
            data[:] = self._kept[offset : offset + len(data)]
            return
        with disk(f"{self._what} cannot be read"):
            while done < len(data) and (more := os.preadv(self._file, [data[done:]], offset + done)):
                done += more
        if done < len(data):
            raise IntegrityError(
                f"{self._what} has become shorter",
                code=Code.CONTENT_TRUNCATED,
                found=f"{offset + done} bytes",
                wanted=f"{offset + len(data)} bytes",
            )

    def _envelope(self) -> Iterator[bytes]:
        run = next(runs(tar.record(self.seal_size), (), 0))
        sizes = tuple(self.table.sizes(0, len(run.frames)))
        if any(content != run.content(frame) or compressed > longest(content) for frame, (compressed, content) in enumerate(sizes)):
            raise FormatError("the seek table does not fit the seal", found=f"{len(sizes)} frames")
        for compressed, content in sizes:
            check_ratio(compressed, content)
        pieces = self.frames(run, 0, (compressed for compressed, _ in sizes), what=SEAL)
        return _content(pieces, SEAL, self.seal_size, mtime=self.mtime)

    def _no_table(self, size: int) -> BundlerError:
        """What a file is that has no seek table at its end: a bundle that was cut, or none."""
        start = self.read(0, min(size, CHUNK))
        if start[: len(MAGIC)] == MAGIC and beginning(start, len(SEAL)) in (SEAL.encode(), b""):
            return IntegrityError(
                f"{self._what} does not end as a bundle does",
                code=Code.CONTENT_TRUNCATED,
                found=f"{size} bytes and no seek table",
                next="copy it again, and compare it with its .sha256",
            )
        return FormatError(f"{self._what} is {'not a bundle' if size else 'empty'}", wanted="a bundle that oci-bundler export wrote")


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of reading everything."""

    members: int
    """How many were as the seal says, the seal among them."""
    bytes: int
    """What their content is together."""
    faults: tuple[BundlerError, ...]
    """What was not, in the order of the file; no more than :data:`MAX_FAULTS`."""

    @property
    def passed(self) -> bool:
        return not self.faults


class Content:
    """The members of a bundle whose sealers were checked. Any of them can be read by itself, from any thread."""

    def __init__(self, archive: Archive, seal: Seal, identity: Digest) -> None:
        self.seal, self.identity = seal, identity
        self._archive = archive
        self._starts = _starts(archive.seal_size, seal.members)
        self._runs = tuple(runs(tar.record(archive.seal_size), _records(seal.members), len(tar.END)))
        self._offsets = archive.table.offsets(self._runs)
        self._firsts = array("Q", (run.first for run in self._runs))
        self._records = {member.key: record for record, member in enumerate(seal.members, start=1)}
        self._whole = bytearray(1 + len(seal.members))  # of each record, whether it was read to its end and was as the seal says
        self._group, self._turns = lru_cache(maxsize=8)(self._decoded), Turns()
        # What many images share is parsed once: a manifest takes ten times its size in memory, so few that are large are kept.
        self._small, self._large = lru_cache(maxsize=64)(self._parsed), lru_cache(maxsize=4)(self._parsed)

    @property
    def size_of_blobs(self) -> int:
        """Bytes of what lies behind the documents and the evidence."""
        return sum(member.size for member in self.seal.members if member.kind is Kind.BLOB)

    def has(self, digest: Digest) -> bool:
        """Whether that content is a member."""
        return digest.encoded in self._records

    def member(self, what: Digest | str) -> Member:
        """The member of that digest or name. Raises IntegrityError (``content.missing``)."""
        return self.seal.members[self._record(what) - 1]

    def read(self, what: Digest | str) -> bytes:
        """All of a small member, at most 16 MiB, verified.

        Raises FormatError (``format.tar``, ``format.unlisted``, ``format.bundle``, ``limit.evidence``), IntegrityError
        (``content.missing``, ``content.frame``, ``content.digest``), TransportError (``disk.io``).
        """
        member = self.member(what)
        if member.size > layout.MAX_PAYLOAD:
            raise FormatError(f"{member.path} is too large to be read whole", code=Code.LIMIT_EVIDENCE, found=f"{member.size} bytes")
        return b"".join(self.chunks(what))

    def chunks(self, what: Digest | str) -> Iterator[bytes]:
        """A member in pieces, which end only if they were all of it. Raises as :meth:`read`, but for its size."""
        record = self._record(what)
        return self._marked(record, verified(self.member(what).blob, self._pieces(record)))

    def document(self, digest: Digest, media_type: str | None = None) -> Document:
        """A manifest or index that is stated to be of that media type. Raises as :meth:`read` and :meth:`Document.parse`."""
        member = self.member(digest)
        if member.size > MAX_DOCUMENT:
            raise FormatError(
                f"{digest} is too large a manifest", code=Code.LIMIT_DOCUMENT, found=member.size, wanted=f"at most {MAX_DOCUMENT}"
            )
        return (self._small if member.size <= _SMALL_DOCUMENT else self._large)(digest, media_type)

    def verify(self, *, jobs: int = 4, report: Report = lambda _: None) -> Checked:
        """Read every byte: all frames, headers, padding and digests, but for members that were read to their end and were whole.

        A bundle is whole if :meth:`check_derived` passes too. Raises TransportError (``disk.io``); all else is among the faults.
        """
        return self._checked(self._runs[1:], jobs=jobs, report=report)

    def verify_documents(self, *, jobs: int = 4, report: Report = lambda _: None) -> Checked:
        """The same of what lies before the blobs, and that is read into memory if it fits, so that it need not be read again."""
        early = [run for run in self._runs[1:] if run.records and self.seal.members[run.first - 1].kind is not Kind.BLOB]
        self._archive.keep(self._offsets[early[-1].frames.stop])
        return self._checked(early, jobs=jobs, report=report)

    def _checked(self, todo: Sequence[Run], *, jobs: int, report: Report) -> Checked:
        faults = dict[int, BundlerError]()
        for bad in side_by_side(lambda run: self._verify(run, report), _longest_first(todo) if jobs > 1 else todo, jobs=jobs):
            faults |= bad
            if len(faults) >= MAX_FAULTS:
                break
        good = [member for member, whole in zip(self.seal.members, self._whole[1:], strict=True) if whole]
        total = self._archive.seal_size + sum(member.size for member in good)
        return Checked(1 + len(good), total, tuple(faults[record] for record in sorted(faults))[:MAX_FAULTS])

    def check_derived(self) -> None:
        """Refuse members, lookups and derived documents that are not what images and documents make them.

        Raises as :func:`bundler.bundle.layout.check` and :meth:`document`.
        """
        layout.check(self.seal, self.document, lambda config: self.read(config.digest))

    def walk(self, image: ImageEntry) -> layout.Walk:
        """All documents of an image of the seal, and which lookup found what. Raises as :func:`bundler.bundle.layout.walk`."""
        return layout.walk(image, self._lookups, self.document)

    @cached_property
    def _lookups(self) -> dict[tuple[str, Digest], Lookup]:
        return looked_up(self.seal.lookups)

    def _parsed(self, digest: Digest, media_type: str | None) -> Document:
        return Document.parse(self.read(digest), media_type=media_type, digest=digest)

    def _record(self, what: Digest | str) -> int:
        """The number of its record in the tar, where the seal's is 0."""
        key = what if isinstance(what, str) else what.encoded if what.algorithm == "sha256" else str(what)
        record = self._records.get(key)
        if record is None:
            raise IntegrityError("the bundle lacks something that an image needs", code=Code.CONTENT_MISSING, wanted=what)
        return record

    def _pieces(self, record: int) -> Iterator[bytes]:
        """A member's content, not yet compared with its digest."""
        run = self._runs[bisect_right(self._firsts, record) - 1]
        if run.size > GROUP:
            return self._inside(record, run, None)
        with self._turns.of(run.first):  # who wants another member of the group waits, and need not read it once more
            return self._inside(record, run, self._group(run))

    def _inside(self, record: int, run: Run, group: bytes | None) -> Iterator[bytes]:
        """The same where its run is known and, if that is a group, decoded."""
        member, at = self.seal.members[record - 1], self._starts[record] - run.start
        pieces = self._frames(run, what=member.path) if group is None else iter((group[at : at + tar.record(member.size)],))
        return _content(pieces, member.path, member.size, mtime=self._archive.mtime)

    def _frames(self, run: Run, *, what: str) -> Iterator[bytes]:
        sizes = (self._offsets[frame + 1] - self._offsets[frame] for frame in run.frames)
        return self._archive.frames(run, self._offsets[run.frame], sizes, what=what)

    def _verify(self, run: Run, report: Report) -> dict[int, BundlerError]:
        """What is wrong in a run, by record."""
        faults = dict[int, BundlerError]()
        todo = [record for record in range(run.first, run.first + run.records) if not self._whole[record]]
        if run.records and not todo:
            return faults
        try:
            group = None if run.size > GROUP else self._decoded(run)
        except (FormatError, IntegrityError) as error:
            return {run.first: error}
        if not run.records and group != tar.END:
            faults[run.first] = FormatError("the tar does not end with two blocks of zeros", code=Code.FORMAT_TAR)
        for record in todo:
            content = verified(self.seal.members[record - 1].blob, self._inside(record, run, group))
            try:
                for piece in self._marked(record, content):
                    report(len(piece))
            except (FormatError, IntegrityError) as error:
                faults[record] = error
        return faults

    def _marked(self, record: int, content: Iterable[bytes]) -> Iterator[bytes]:
        """Verified content, and once it has ended, that it was whole."""
        yield from content
        self._whole[record] = True

    def _decoded(self, run: Run) -> bytes:
        """All of a group of small records, or of the end."""
        what = self.seal.members[run.first - 1].path if run.records else "the end of the tar"
        return b"".join(self._frames(run, what=what))


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


def _longest_first(plan: Iterable[Run]) -> Sequence[Run]:
    """So that the longest is not the last, for which all others wait."""
    return sorted(plan, key=lambda run: -run.size)


def _records(members: Iterable[Member]) -> Iterator[tuple[int, bool]]:
    return ((tar.record(member.size), member.kind is Kind.BLOB) for member in members)


def _starts(seal_size: int, members: Iterable[Member]) -> "array[int]":
    """Where each record begins in the tar. Raises FormatError (``format.bundle``) for more than a bundle can hold."""
    starts, at = array("Q", [0]), tar.record(seal_size)
    for member in members:
        if at + tar.record(member.size) > MAX_FRAMES * FRAME:
            raise FormatError("the seal lists more than a bundle can hold", found=f"{member.size} bytes for {member.path}")
        starts.append(at)
        at += tar.record(member.size)
    return starts


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


def _content(pieces: Iterable[bytes], name: str, size: int, *, mtime: int) -> Iterator[bytes]:
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
