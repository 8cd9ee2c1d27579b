"""Independent zstd frames and the table that finds them (docs/spec/bundle-v1.md, sections 3 and 4).

A frame is walked block by block before libzstd sees it, so that it ends where the table says and nothing hides in it;
and it never gives more bytes than the seal's plan, at most :data:`FRAME`.
"""

import struct
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import zstandard

from bundler.content.stream import CHUNK
from bundler.errors import Code, FormatError, IntegrityError, translated

GROUP = 1 << 20  # small members of one image share a frame; reading one of them decodes no more than this
FRAME = 2 << 20  # writer and reader hold some ten of these, and their frames, at a time: measured by scripts/memory
MAX_WINDOW = 8 << 20  # what every decoder takes (RFC 8878, section 3.1.1.1.2)
MAX_FRAMES = 1 << 27  # the seekable format's
MAX_SEAL_RATIO = 128  # seals of a thousand images compress fivefold, of a thousand names of one image 119-fold; zeros, 20,000-fold
MAX_BLOCKS = 1 << 22  # of a file that others wrote: one of 512 GiB has as many of the usual size; to walk them takes seconds

_LEVEL = 3  # its window is 2 MiB
_FASTEST = -100  # every block is stored as it is
_SAMPLE = 64 << 10

MAGIC = b"\x28\xb5\x2f\xfd"
_MAX_BLOCK = 128 << 10
_SKIPPABLE = b"\x2a\x4d\x18"  # behind a byte of 0x50 to 0x5f
_HEADS = 4 << 10  # bytes read at once to find the next blocks: of long ones there is one in it, of short ones many
_TABLE_HEAD = struct.Struct("<4sI")
_TABLE_ENTRY = struct.Struct("<II")
_TABLE_FOOT = struct.Struct("<IB4s")
_TABLE_MAGIC = b"\x5e\x2a\x4d\x18", b"\xb1\xea\x92\x8f"

Read = Callable[[int, int], bytes]
"""Bytes of the file, by offset and count; raises IntegrityError where they are not all there."""


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of the tar that is cut into frames by itself: a group of small records, one large one, the seal or the end."""

    first: int
    """The first of its records, counted from 0."""
    records: int
    start: int
    """Where it begins in the tar, in bytes."""
    size: int
    frame: int
    """The first of its frames, counted from 0."""

    @property
    def frames(self) -> range:
        return range(self.frame, self.frame + -(-self.size // FRAME))

    def content(self, frame: int) -> int:
        """How many bytes of the tar the frame of that number holds."""
        return min(FRAME, self.size - (frame - self.frame) * FRAME)


def runs(seal: int, records: Iterable[tuple[int, bool]], end: int) -> Iterator[Run]:
    """The plan of a bundle: the seal's record, then the others, each as its size and whether it is a blob's, then the end."""
    yield Run(first=0, records=1, start=0, size=seal, frame=0)
    first, count, start, size, frame, kind = 1, 0, seal, 0, -(-seal // FRAME), False
    for record, is_blob in records:
        if count and (size + record > GROUP or is_blob is not kind):
            yield Run(first, count, start, size, frame)
            first, count, start, size, frame = first + count, 0, start + size, 0, frame + -(-size // FRAME)
        count, size, kind = count + 1, size + record, is_blob
    if count:
        yield Run(first, count, start, size, frame)
    yield Run(first + count, 0, start + size, end, frame + -(-size // FRAME))


def compress(content: bytes, *, ratio: int | None = None) -> bytes:
    """A frame of ``content``; nearly for free where a sample of it does not compress.

    With a ``ratio``, content that would be so many times smaller is stored as it is.
    """
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL if _compresses(content) else _FASTEST,
        source_size=len(content),
        write_content_size=True,
        write_checksum=True,
        write_dict_id=False,
    )
    frame = zstandard.ZstdCompressor(compression_params=parameters).compress(content)
    return frame if ratio is None or len(content) <= ratio * len(frame) else _stored(frame, content)


def _stored(frame: bytes, content: bytes) -> bytes:
    """The frame with its header and checksum, and blocks that are stored (RFC 8878, section 3.1.1.2)."""
    at, window = _check_frame_header(frame, len(content), "the seal")
    longest = min(window, _MAX_BLOCK)
    starts = range(0, len(content), longest)
    blocks = [
        (len(block) << 3 | (start == starts[-1])).to_bytes(3, "little") + block
        for start in starts
        for block in (content[start : start + longest],)
    ]
    return b"".join((frame[:at], *blocks, frame[-4:]))


def check_ratio(compressed: int, content: int) -> None:
    """Refuse a frame of the seal that is far larger inside than outside. Raises FormatError (``limit.seal``)."""
    if content > MAX_SEAL_RATIO * compressed:
        raise FormatError(
            "a frame of the seal is far larger inside than outside",
            code=Code.LIMIT_SEAL,
            found=f"{content} bytes in {compressed}",
            wanted=f"at most {MAX_SEAL_RATIO}-fold",
        )


def longest(size: int) -> int:
    """What a frame of ``size`` bytes of content may take in the file."""
    return size + (size >> 8) + 1024


def decompress(frame: bytes | memoryview, size: int, *, what: str) -> Iterator[bytes]:
    """The ``size`` bytes that ``frame`` holds, in pieces; ``what`` is to be found there. libzstd ends on no other size than stated.

    Raises FormatError (``format.bundle``) for a frame that the format does not allow, IntegrityError (``content.frame``) for one
    that does not decompress.
    """
    at, window = _check_frame_header(frame, size, what)
    _check_blocks(frame, at, size, longest=min(window, _MAX_BLOCK), what=what)
    with (
        translated(zstandard.ZstdError, to=IntegrityError, what=f"the frame of {what} is damaged", code=Code.CONTENT_FRAME),
        zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(frame) as reader,
    ):
        while piece := reader.read(CHUNK):  # small, so that each has the memory of the one before
            yield piece


def beginning(data: bytes, size: int) -> bytes:
    """As much of the first ``size`` bytes of content as ``data``, the beginning of a file, gives; nothing of what is not zstd."""
    try:
        with zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(data) as reader:
            return reader.read(size)
    except zstandard.ZstdError:
        return b""


def check_frames(read: Read, size: int, *, what: str) -> None:
    """Walk the frames of a file of ``size`` bytes that others wrote: libzstd ends without a word where the file ends within one.

    ``read`` gives fewer bytes at the end of the file. Raises IntegrityError (``content.truncated``, ``content.frame`` for what is
    neither a frame nor skippable), FormatError (``limit.archive``) for more than :data:`MAX_BLOCKS` blocks.
    """
    at, blocks = 0, 0
    while at < size:
        head = read(at, 8)
        if len(head) < 8:  # neither kind is shorter (RFC 8878, section 3.1)
            raise _cut(what, size)
        if head[0] & 0xF0 == 0x50 and head[1:4] == _SKIPPABLE:
            at += 8 + int.from_bytes(head[4:], "little")
            continue
        if head[:4] != MAGIC:
            raise IntegrityError(f"{what} goes on with what is not a frame", code=Code.CONTENT_FRAME, found=f"{head[:4].hex(' ')} at {at}")
        single, content, dictionary = head[4] & 0x20, head[4] >> 6, head[4] & 3
        at += 5 + (0 if single else 1) + (0, 1, 2, 4)[dictionary] + (1 if single and not content else (0, 2, 4, 8)[content])
        for after in _blocks(read, at, what=what, size=size):
            at, blocks = after, blocks + 1
            if blocks > MAX_BLOCKS:
                raise FormatError(f"{what} has too many blocks", code=Code.LIMIT_ARCHIVE, wanted=f"at most {MAX_BLOCKS}")
        at += 4 if head[4] & 4 else 0
    if at > size:
        raise _cut(what, size)


def _blocks(read: Read, at: int, *, what: str, size: int) -> Iterator[int]:
    """Where each block of a frame ends, the first of which begins at ``at`` (RFC 8878, section 3.1.1.2)."""
    window, start, last = b"", at, 0
    while not last:
        if at + 3 > start + len(window):
            window, start = read(at, _HEADS), at
        head = window[at - start : at - start + 3]
        if len(head) < 3:
            raise _cut(what, size)
        block = int.from_bytes(head, "little")
        last, kind, length = block & 1, block >> 1 & 3, block >> 3
        at += 3 + (1 if kind == 1 else length)
        yield at


def _cut(what: str, size: int) -> IntegrityError:
    return IntegrityError(f"{what} ends within a frame", code=Code.CONTENT_TRUNCATED, found=f"{size} bytes", next="copy it again")


def table(sizes: Iterable[tuple[int, int]]) -> bytes:
    """The seek table of frames of these sizes, compressed and content."""
    entries = b"".join(_TABLE_ENTRY.pack(*pair) for pair in sizes)
    count = len(entries) // _TABLE_ENTRY.size
    head = _TABLE_HEAD.pack(_TABLE_MAGIC[0], len(entries) + _TABLE_FOOT.size)
    return head + entries + _TABLE_FOOT.pack(count, 0, _TABLE_MAGIC[1])


@dataclass(frozen=True, slots=True)
class Table:
    """Where the seek table of a file lies, and what it says; believed only as far as the seal's plan agrees."""

    read: Read
    start: int
    count: int

    @classmethod
    def find(cls, read: Read, size: int) -> "Table | None":
        """The table at the end of a file of ``size`` bytes; None if there is none. Raises FormatError (``format.bundle``)."""
        if size < _TABLE_HEAD.size + _TABLE_FOOT.size:
            return None
        count, descriptor, magic = _TABLE_FOOT.unpack(read(size - _TABLE_FOOT.size, _TABLE_FOOT.size))
        if magic != _TABLE_MAGIC[1]:
            return None
        start = size - _TABLE_FOOT.size - count * _TABLE_ENTRY.size - _TABLE_HEAD.size
        if not 0 < count <= MAX_FRAMES or descriptor != 0 or start < 0:
            raise FormatError("the seek table is not well-formed", found=f"{count} frames, descriptor {descriptor}")
        if read(start, _TABLE_HEAD.size) != _TABLE_HEAD.pack(_TABLE_MAGIC[0], size - start - _TABLE_HEAD.size):
            raise FormatError("the seek table does not begin where it says")
        return cls(read=read, start=start, count=count)

    def sizes(self, first: int, count: int) -> Iterator[tuple[int, int]]:
        """Compressed size and content of ``count`` frames from the ``first`` on. Raises FormatError (``format.bundle``)."""
        if first + count > self.count:
            raise FormatError("the seek table has too few frames", found=self.count, wanted=f"at least {first + count}")
        at, left = self.start + _TABLE_HEAD.size + first * _TABLE_ENTRY.size, count
        while left:
            some = min(left, 8192)
            yield from _TABLE_ENTRY.iter_unpack(self.read(at, some * _TABLE_ENTRY.size))
            at, left = at + some * _TABLE_ENTRY.size, left - some

    def offsets(self, plan: Iterable[Run]) -> "array[int]":
        """Where each frame of the plan begins in the file, and where the last one ends: at the table.

        Raises FormatError (``format.bundle``) where the table does not fit the plan or the file.
        """
        sizes, offsets = self.sizes(0, self.count), array("Q", [0])
        for run in plan:
            if run.frames.stop > self.count:
                raise FormatError("the seek table has fewer frames than the seal asks for", found=self.count)
            for frame in run.frames:
                compressed, content = next(sizes)
                if content != run.content(frame) or compressed > longest(content):
                    raise FormatError(
                        f"the seek table does not fit the seal at frame {frame}",
                        found=f"{compressed} bytes for {content}",
                        wanted=f"at most {longest(run.content(frame))} for {run.content(frame)}",
                    )
                offsets.append(offsets[-1] + compressed)
        if len(offsets) - 1 != self.count or offsets[-1] != self.start:
            raise FormatError(
                "the frames do not fill the file",
                found=f"{self.count} frames, {self.start} bytes",
                wanted=f"{len(offsets) - 1} frames, {offsets[-1]} bytes",
            )
        return offsets


def _compresses(content: bytes) -> bool:
    """Whether a sample from the middle loses more than a sixteenth."""
    middle = max(0, (len(content) - _SAMPLE) // 2)
    sample = content[middle : middle + _SAMPLE]
    least = len(zstandard.ZstdCompressor(level=1).compress(sample))
    return least < len(sample) - len(sample) // 16  # mutant-equivalent past limit 1: one byte of a sample says nothing


def _check_frame_header(frame: bytes | memoryview, size: int, what: str) -> tuple[int, int]:
    """Where the blocks begin, and the window (RFC 8878, section 3.1.1.1)."""
    if frame[:4] != MAGIC or len(frame) < 6:
        raise FormatError(f"there is no frame where {what} should be", found=frame[:4].hex(" "), wanted=MAGIC.hex(" "))
    descriptor = frame[4]
    single, content = descriptor & 0x20, descriptor >> 6
    if descriptor & 0x1B or not descriptor & 0x04 or not (single or content):
        raise FormatError(
            f"the frame of {what} has another header than the format allows",
            found=f"descriptor {descriptor:#04x}",
            wanted="checksum and content size, no dictionary, reserved bits 0",
        )
    at = 5 if single else 6
    length = (1, 2, 4, 8)[content]
    stated = int.from_bytes(frame[at : at + length], "little") + (256 if length == 2 else 0)
    window = stated if single else (1 << (10 + (frame[5] >> 3))) // 8 * (8 + (frame[5] & 7))
    if stated != size or window > MAX_WINDOW:
        raise FormatError(
            f"the frame of {what} has another header than the format allows",
            found=f"content of {stated} bytes, a window of {window}",
            wanted=f"{size} bytes, at most {MAX_WINDOW}",
        )
    return at + length, window


def _check_blocks(frame: bytes | memoryview, at: int, size: int, *, longest: int, what: str) -> None:
    """The blocks and the checksum end exactly where the frame does, none longer than may be (RFC 8878, section 3.1.1.2)."""
    for _ in range(64 + size // 256):
        block = int.from_bytes(frame[at : at + 3], "little")
        last, kind, length = block & 1, block >> 1 & 3, block >> 3
        if kind == 3 or length > longest or at + 3 > len(frame):
            break
        at += 3 + (1 if kind == 1 else length)
        if last:
            if at + 4 != len(frame):
                break
            return
    raise FormatError(f"the frame of {what} is not made of blocks that end with it", found=f"{len(frame)} bytes", wanted=at + 4)
