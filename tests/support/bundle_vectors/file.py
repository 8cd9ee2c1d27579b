"""Faults of the file, its frames and its seek table (bundle-v1.md, sections 2 to 4)."""

from dataclasses import replace

from bundler.bundle import frames
from bundler.errors import Code
from tests.support.bundle_vectors.vector import Vectors
from tests.support.making import LAST, MAGIC, SKIPPABLE, Parts, at, base, by_hand, contents_of, flipped, spoilt

VECTORS = Vectors()


# --- section 2: the file ---


@VECTORS.refused("file-empty", "2", Code.FORMAT_BUNDLE, "a file of no bytes")
def _() -> bytes:
    return b""


@VECTORS.refused("file-text", "2", Code.FORMAT_BUNDLE, "a file of something else")
def _() -> bytes:
    return b"this is no bundle\n" * 100


@VECTORS.refused("file-plain-tar", "2", Code.FORMAT_BUNDLE, "the tar without compression")
def _() -> bytes:
    return b"".join(contents_of(base()))


@VECTORS.refused("file-one-frame", "2", Code.CONTENT_TRUNCATED, "the tar in one frame, as zstd itself writes it: no seek table", exit=4)
def _() -> bytes:
    return frames.compress(b"".join(contents_of(base())))


@VECTORS.refused("file-no-table", "4", Code.CONTENT_TRUNCATED, "cut where the seek table begins", exit=4)
def _() -> Parts:
    return replace(base(), table=lambda _: b"")


@VECTORS.refused("file-cut-table", "4", Code.CONTENT_TRUNCATED, "cut by one byte", exit=4)
def _() -> Parts:
    return replace(base(), whole=lambda whole: whole[:-1])


@VECTORS.refused("file-cut-frame", "2", Code.CONTENT_TRUNCATED, "cut in the middle of a frame", exit=4)
def _() -> Parts:
    return replace(base(), whole=lambda whole: whole[: len(whole) // 2])


@VECTORS.refused("file-trailing-byte", "2", Code.CONTENT_TRUNCATED, "a zero byte behind the seek table", exit=4)
def _() -> Parts:
    return replace(base(), whole=lambda whole: whole + b"\0")


@VECTORS.refused("file-leading-skippable", "2", Code.FORMAT_BUNDLE, "a skippable frame before the first frame, not in the seek table")
def _() -> Parts:
    return replace(base(), whole=lambda whole: SKIPPABLE + whole)


@VECTORS.refused("file-twice", "2", Code.FORMAT_BUNDLE, "the bundle twice, one behind the other")
def _() -> Parts:
    return replace(base(), whole=lambda whole: whole + whole)


@VECTORS.refused("file-frame-before-table", "2", Code.FORMAT_BUNDLE, "a further frame before the seek table, not in it")
def _() -> Parts:
    return replace(base(), table=lambda table: frames.compress(b"more") + table)


# --- section 3: frames ---


@VECTORS.valid("frame-by-hand", "3", "a frame of one raw block, as another writer may make it")
def _() -> Parts:
    return spoilt(by_hand)


@VECTORS.refused("frame-checksum", "3", Code.CONTENT_FRAME, "a checksum that is off by one bit", exit=4)
def _() -> Parts:
    return replace(base(), frames=at(LAST, lambda frame: flipped(frame, -1)))


@VECTORS.refused("frame-damaged", "3", Code.CONTENT_FRAME, "one bit in the middle of a compressed block is another", exit=4)
def _() -> Parts:
    return replace(base(), frames=at(1, lambda frame: flipped(frame, len(frame) // 2)))


@VECTORS.refused("frame-no-checksum", "3", Code.FORMAT_BUNDLE, "a frame without a checksum")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, descriptor=0xA0, checksum=False))


@VECTORS.refused("frame-no-content-size", "3", Code.FORMAT_BUNDLE, "a frame that does not say how much it holds")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, descriptor=0x04, window=b"\x50"))


@VECTORS.refused("frame-content-size", "3", Code.FORMAT_BUNDLE, "a frame that says that it holds a byte less")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content).replace(len(content).to_bytes(4, "little"), (len(content) - 1).to_bytes(4, "little"), 1))


@VECTORS.refused("frame-content-size-1-tib", "3", Code.FORMAT_BUNDLE, "a frame that says that it holds a terabyte")
def _() -> Parts:
    def edit(content: bytes) -> bytes:
        return MAGIC + b"\xe4" + (1 << 40).to_bytes(8, "little") + by_hand(content)[9:]

    return spoilt(edit)


@VECTORS.refused("frame-dictionary", "3", Code.FORMAT_BUNDLE, "a frame that needs a dictionary")
def _() -> Parts:
    return spoilt(lambda content: MAGIC + b"\xa5" + b"\x2a" + by_hand(content)[5:])


@VECTORS.refused("frame-reserved-bit", "3", Code.FORMAT_BUNDLE, "the reserved bit of a frame header is set")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, descriptor=0xAC))


@VECTORS.refused("frame-unused-bit", "3", Code.FORMAT_BUNDLE, "the unused bit of a frame header is set")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, descriptor=0xB4))


@VECTORS.refused("frame-window", "3", Code.FORMAT_BUNDLE, "a frame that asks for a window of 16 MiB")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, descriptor=0x84, window=b"\x70"))


@VECTORS.refused("frame-window-3-tib", "3", Code.FORMAT_BUNDLE, "a frame that asks for a window of 3.75 TiB")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, descriptor=0x84, window=b"\xff"))


@VECTORS.refused("frame-no-last-block", "3", Code.FORMAT_BUNDLE, "no block of a frame is its last")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, blocks=(len(content) << 3).to_bytes(3, "little") + content))


@VECTORS.refused("frame-reserved-block", "3", Code.FORMAT_BUNDLE, "a block of the reserved type")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, blocks=(7 | len(content) << 3).to_bytes(3, "little") + content))


@VECTORS.refused("frame-long-block", "3", Code.FORMAT_BUNDLE, "a block that says that it is longer than the frame")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, blocks=(1 | len(content) + 1 << 3).to_bytes(3, "little") + content))


@VECTORS.refused("frame-empty-blocks", "3", Code.FORMAT_BUNDLE, "more empty blocks than a frame may have")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, blocks=bytes(3 * 100) + (1 | len(content) << 3).to_bytes(3, "little") + content))


@VECTORS.refused("frame-too-long", "3", Code.FORMAT_BUNDLE, "a frame that is longer than any of its content needs to be")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content, blocks=bytes(3000) + (1 | len(content) << 3).to_bytes(3, "little") + content))


@VECTORS.refused("frame-trailing-bytes", "3", Code.FORMAT_BUNDLE, "four bytes between the end of a frame and the next one")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content) + b"junk")


@VECTORS.refused("frame-skippable-inside", "3", Code.FORMAT_BUNDLE, "a skippable frame behind a frame, where the seek table counts it in")
def _() -> Parts:
    return spoilt(lambda content: by_hand(content) + SKIPPABLE)


@VECTORS.refused("frame-skippable-listed", "3", Code.FORMAT_BUNDLE, "a skippable frame between two frames, listed as holding nothing")
def _() -> Parts:
    return replace(
        base(), contents=lambda contents: [*contents[:1], b"", *contents[1:]], frames=lambda got: [*got[:1], SKIPPABLE, *got[2:]]
    )


@VECTORS.refused("frame-empty", "3", Code.FORMAT_BUNDLE, "a frame that holds nothing")
def _() -> Parts:
    return replace(base(), contents=lambda contents: [*contents[:1], b"", *contents[1:]])


@VECTORS.refused("frame-two-runs", "3", Code.FORMAT_BUNDLE, "documents and layers in one frame")
def _() -> Parts:
    return replace(base(), contents=lambda contents: [contents[0], contents[1] + contents[2], *contents[3:]])


@VECTORS.refused("frame-halved", "3", Code.FORMAT_BUNDLE, "a run in two frames")
def _() -> Parts:
    return replace(base(), contents=lambda contents: [contents[0], contents[1][:512], contents[1][512:], *contents[2:]])


@VECTORS.refused("frame-seal-shared", "3", Code.FORMAT_BUNDLE, "the seal shares its frame with what it lists")
def _() -> Parts:
    return replace(base(), contents=lambda contents: [contents[0] + contents[1], *contents[2:]])


# --- section 4: the seek table ---


@VECTORS.refused("table-few", "4", Code.FORMAT_BUNDLE, "the seek table lists a frame less")
def _() -> Parts:
    return replace(base(), sizes=lambda sizes: sizes[:-1])


@VECTORS.refused("table-many", "4", Code.FORMAT_BUNDLE, "the seek table lists a frame more")
def _() -> Parts:
    return replace(base(), sizes=lambda sizes: [*sizes, (0, 0)])


@VECTORS.refused("table-none", "4", Code.FORMAT_BUNDLE, "the seek table lists no frame")
def _() -> Parts:
    return replace(base(), sizes=lambda _: [])


@VECTORS.refused("table-count", "4", Code.FORMAT_BUNDLE, "the seek table says that there are 2^27 frames")
def _() -> Parts:
    return replace(base(), table=lambda table: table[:-9] + (1 << 27).to_bytes(4, "little") + table[-5:])


@VECTORS.refused("table-compressed", "4", Code.FORMAT_BUNDLE, "one frame is a byte longer and the next a byte shorter than they are")
def _() -> Parts:
    return replace(base(), sizes=lambda s: [s[0], (s[1][0] + 1, s[1][1]), (s[2][0] - 1, s[2][1]), *s[3:]])


@VECTORS.refused("table-content", "4", Code.FORMAT_BUNDLE, "a frame holds 512 bytes more than the seal gives it, and the next 512 less")
def _() -> Parts:
    return replace(base(), sizes=lambda s: [s[0], (s[1][0], s[1][1] + 512), (s[2][0], s[2][1] - 512), *s[3:]])


@VECTORS.refused("table-checksums", "4", Code.FORMAT_BUNDLE, "the seek table says that it has checksums")
def _() -> Parts:
    return replace(base(), table=lambda table: table[:-5] + b"\x80" + table[-4:])


@VECTORS.refused("table-reserved", "4", Code.FORMAT_BUNDLE, "reserved bits of the seek table are set")
def _() -> Parts:
    return replace(base(), table=lambda table: table[:-5] + b"\x7c" + table[-4:])


@VECTORS.refused("table-length", "4", Code.FORMAT_BUNDLE, "the frame of the seek table says that it is longer")
def _() -> Parts:
    return replace(base(), table=lambda table: table[:4] + (len(table) - 7).to_bytes(4, "little") + table[8:])


@VECTORS.refused("table-other-skippable", "4", Code.FORMAT_BUNDLE, "the seek table is in a skippable frame of another number")
def _() -> Parts:
    return replace(base(), table=lambda table: b"\x50" + table[1:])
