"""ZST: the compressed stream. STK: the table that finds the frames.

The size of every frame's content follows from the seal, so that no frame can give more; what it may take in the file is
bounded too, and it is walked block by block before libzstd sees it.
"""

import gzip
import lzma
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from bundler.bundle import frames, tar
from bundler.errors import Code
from tests.hostile.catalogue.tar import member, whole
from tests.support import making
from tests.support.hostile import Cases, Make
from tests.support.layouts import PLAIN_LAYER
from tests.support.making import Parts, Plain, base

CASES = Cases()
SKIPPABLE = making.SKIPPABLE
BLOCK = 128 << 10


def frame(data: bytes, **told: Any) -> bytes:
    """A frame of one raw block that holds ``data``, of which anything can be another."""
    return bytes(making.by_hand(data, **told))


def zeros(count: int) -> bytes:
    """Blocks that repeat one zero: 4 bytes for 128 KiB."""
    return ((BLOCK << 3 | 2).to_bytes(3, "little") + b"\0") * (count // BLOCK - 1) + (BLOCK << 3 | 3).to_bytes(3, "little") + b"\0"


def layer(edit: Callable[[bytes], bytes]) -> Parts:
    """The base, with the frame of its layer made by ``edit`` from its content."""
    return making.spoilt(edit)


def before(data: bytes) -> Parts:
    return replace(base(), whole=lambda file: data + file)


def behind(data: bytes, *, before_table: bool = False) -> Parts:
    return replace(base(), table=lambda table: data + table) if before_table else replace(base(), whole=lambda file: file + data)


def add(number: str, words: str, code: Code, make: Make) -> None:
    CASES.add(f"ZST-{number}", words, code, make)


def flooded(size: int) -> Parts:
    """A layer of so many zeros, truthful in all but its digest: what it takes to find out must not be memory."""
    plain = Plain()
    descriptor = replace(plain.blob(b"seed", PLAIN_LAYER), size=size)
    parts = plain.parts({making.APP: plain.signed(plain.image("hello", more=[descriptor]))})
    return replace(parts, files={**parts.files, parts.members[-1].path: bytes(size)})


# --- more than there should be ---

add(
    "001",
    "8 GiB of zeros where the seal lists a small layer",
    Code.FORMAT_BUNDLE,
    lambda: layer(lambda c: frame(c, descriptor=0xE4, blocks=zeros(8 << 30))),
)
add("001", "64 MiB of zeros where the seal lists them, with another digest", Code.CONTENT_DIGEST, lambda: flooded(64 << 20))
add(
    "002",
    "2 MB that say they are 64 GiB",
    Code.FORMAT_BUNDLE,
    lambda: layer(lambda c: frame(b"", descriptor=0xE4, blocks=zeros(64 << 30)).replace(bytes(8), (64 << 30).to_bytes(8, "little"), 1)),
)
add(
    "003",
    "8 GiB of zeros behind the end of the tar",
    Code.FORMAT_BUNDLE,
    lambda: behind(frame(b"", blocks=zeros(8 << 30)), before_table=True),
)
add(
    "003",
    "in the last frame of the tar",
    Code.FORMAT_BUNDLE,
    lambda: replace(base(), frames=making.at(-1, lambda _: frame(tar.END, blocks=zeros(1 << 30)))),
)
for _number, _words, _byte in (("004", "128 MiB", 0x88), ("005", "1 GiB", 0xA0), ("006", "2 GiB", 0xA8), ("007", "3.75 TiB", 0xFF)):
    add(
        _number,
        f"a window of {_words}",
        Code.FORMAT_BUNDLE,
        partial(layer, partial(frame, descriptor=0x84, window=bytes([_byte]))),
    )


def claims(size: int) -> Parts:
    """The layer's frame says that it holds ``size`` bytes."""
    return layer(lambda content: making.MAGIC + b"\xe4" + size.to_bytes(8, "little") + frame(content)[9:])


CASES.vector("ZST-008", "content of 1 TiB", "frame-content-size-1-tib")
add("009", "content of 10 bytes", Code.FORMAT_BUNDLE, lambda: claims(10))
add("010", "content of 2^64 - 1 bytes", Code.FORMAT_BUNDLE, lambda: claims((1 << 64) - 1))
add("011", "content of 2^64 - 2 bytes", Code.FORMAT_BUNDLE, lambda: claims((1 << 64) - 2))
add("012", "a segment of 1 TiB", Code.FORMAT_BUNDLE, lambda: claims(1 << 40))
add(
    "008",
    "the same in the frame of the seal",
    Code.FORMAT_BUNDLE,
    lambda: replace(base(), frames=making.at(0, lambda first: making.MAGIC + b"\xe4" + (1 << 40).to_bytes(8, "little") + first[9:])),
)

# --- cut ---

CASES.vector("ZST-013", "the last byte is missing", "file-cut-table")
add("013", "the last byte of a frame is missing", Code.FORMAT_BUNDLE, lambda: layer(lambda content: frames.compress(content)[:-1]))
CASES.vector("ZST-014", "half of the file is missing", "file-cut-frame")
add("015", "cut behind the header of the first frame", Code.CONTENT_TRUNCATED, lambda: base().file()[:6])
add("015", "a frame is cut behind its header", Code.FORMAT_BUNDLE, lambda: layer(lambda content: frame(content)[:9]))
CASES.vector("ZST-016", "no block is the last", "frame-no-last-block")
add("017", "the magic alone", Code.CONTENT_TRUNCATED, lambda: making.MAGIC)
CASES.vector("ZST-018", "a frame of nothing", "frame-empty")
add("018", "the layer's frame holds nothing", Code.FORMAT_BUNDLE, lambda: layer(lambda _: frame(b"")))

# --- further frames ---

CASES.vector("ZST-019", "four bytes behind a frame", "frame-trailing-bytes")
add("019", "16 bytes behind the file", Code.CONTENT_TRUNCATED, lambda: behind(b"\xff" * 16))
CASES.vector("ZST-020", "a frame with a member more", "tar-unlisted-member")
add(
    "020",
    "a frame with a member more that the table does not list",
    Code.FORMAT_BUNDLE,
    lambda: behind(frames.compress(member("hidden") + tar.END), before_table=True),
)
CASES.vector("ZST-021", "a record in two frames", "frame-halved")
CASES.vector("ZST-022", "a skippable frame first", "file-leading-skippable")
CASES.vector("ZST-022", "a skippable frame first, in the table", "frame-skippable-listed")
add("023", "a skippable frame behind the table", Code.CONTENT_TRUNCATED, lambda: behind(SKIPPABLE))
add("023", "a skippable frame before the table", Code.FORMAT_BUNDLE, lambda: behind(SKIPPABLE, before_table=True))
add("024", "a skippable frame that says it has 4 GiB", Code.FORMAT_BUNDLE, lambda: before(b"\x50\x2a\x4d\x18" + b"\xff" * 4 + b"junk"))
add(
    "024", "the table's frame says so", Code.FORMAT_BUNDLE, lambda: replace(base(), table=lambda table: table[:4] + b"\xff" * 4 + table[8:])
)
add("025", "100,000 skippable frames", Code.FORMAT_BUNDLE, lambda: before((b"\x50\x2a\x4d\x18" + bytes(4)) * 100_000))
add("026", "200,000 frames of nothing", Code.FORMAT_BUNDLE, lambda: before(frame(b"", descriptor=0x20, checksum=False) * 200_000))
add(
    "026",
    "10,000 of them in the table",
    Code.FORMAT_BUNDLE,
    lambda: replace(base(), contents=lambda contents: [*contents[:1], *[b""] * 10_000, *contents[1:]]),
)

# --- blocks ---

CASES.vector("ZST-027", "more blocks of nothing than the frame may have", "frame-empty-blocks")
add(
    "027",
    "1,000,000 blocks of nothing",
    Code.FORMAT_BUNDLE,
    lambda: layer(lambda content: frame(content, blocks=bytes(3) * 1_000_000 + b"\1\0\0")),
)
add(
    "028",
    "300,000 blocks of a byte",
    Code.FORMAT_BUNDLE,
    lambda: layer(lambda content: frame(content, blocks=(b"\x08\0\0x" * 300_000) + b"\1\0\0")),
)
CASES.vector("ZST-029", "a checksum that is off by one bit", "frame-checksum")
add("030", "the checksum is not there", Code.FORMAT_BUNDLE, lambda: layer(lambda content: frame(content, checksum=False)))
CASES.vector("ZST-030", "no checksum at all", "frame-no-checksum")
CASES.vector("ZST-031", "a dictionary", "frame-dictionary")
CASES.vector("ZST-032", "a reserved bit", "frame-reserved-bit")
CASES.vector("ZST-033", "a block of the reserved type", "frame-reserved-block")
CASES.vector("ZST-034", "a block that is longer than its frame", "frame-long-block")
add("034", "a block of 200,000 bytes", Code.FORMAT_BUNDLE, lambda: sealed_with(bytes(200_000), frame))
add(
    "035",
    "a block larger than the window",
    Code.FORMAT_BUNDLE,
    lambda: sealed_with(bytes(range(256)) * 16, lambda content: frame(content, descriptor=0x84, window=b"\0")),
)
CASES.vector("ZST-036", "one bit of a compressed block", "frame-damaged")


def sealed_with(data: bytes, edit: Callable[[bytes], bytes]) -> Parts:
    """A layer of these bytes, whose frame ``edit`` makes."""
    plain = Plain()
    parts = plain.parts({making.APP: plain.signed(plain.image("hello", more=[plain.blob(data, PLAIN_LAYER)]))})
    content = making.contents_of(parts)[-2]
    return replace(parts, frames=making.at(-2, lambda _: edit(content)))


# --- other formats ---

add("037", "the magic of zstd 0.7", Code.FORMAT_BUNDLE, lambda: b"\x27\xb5\x2f\xfd" + base().file()[4:])
add("038", "the tar in gzip, named .zst", Code.FORMAT_BUNDLE, lambda: gzip.compress(whole(), mtime=0))
add("039", "xz, named .zst", Code.FORMAT_BUNDLE, lambda: lzma.compress(whole()))
CASES.vector("ZST-040", "a plain tar, named .zst", "file-plain-tar")
add("041", "a bundle, compressed again", Code.FORMAT_BUNDLE, lambda: frames.compress(base().file()))
add("042", "zeros compressed five times", Code.FORMAT_BUNDLE, lambda: compressed(128 << 20, times=5))
CASES.elsewhere(
    "ZST-043", "a bundle with another name: the name means nothing", "tests/hostile/test_every_byte.py::test_an_untouched_bundle_is_taken"
)
for _number, _words in {
    "044": "the magic",
    "045": "a frame header",
    "046": "a block header",
    "047": "a tar header",
    "048": "index.json",
    "049": "a blob",
    "050": "a checksum",
}.items():
    CASES.elsewhere(f"ZST-{_number}", f"a bit of {_words}", "tests/hostile/test_every_byte.py::test_every_byte_counts")


def compressed(size: int, *, times: int) -> bytes:
    data = frame(b"", descriptor=0xE4, blocks=zeros(size))
    for _ in range(times - 1):
        data = frames.compress(data)
    return data


# --- the table ---

TABLE = Cases()
TABLE.vector("STK-001", "a frame reaches further than it does", "table-compressed")
TABLE.add(
    "STK-001", "the last frame reaches past the table", Code.FORMAT_BUNDLE, lambda: sized(lambda s: [*s[:-1], (s[-1][0] + 1000, s[-1][1])])
)
TABLE.add("STK-002", "two frames overlap", Code.FORMAT_BUNDLE, lambda: sized(lambda s: [s[0], s[1], s[1], *s[3:]]))
TABLE.vector("STK-003", "2^27 frames", "table-count")
TABLE.vector("STK-004", "no frame", "table-none")
TABLE.vector("STK-005", "contents of other sizes", "table-content")
TABLE.add(
    "STK-005",
    "the contents of two frames changed places",
    Code.FORMAT_BUNDLE,
    lambda: sized(lambda s: [s[0], (s[1][0], s[2][1]), (s[2][0], s[1][1]), *s[3:]]),
)
TABLE.vector("STK-006", "reserved bits", "table-reserved")
TABLE.add(
    "STK-007",
    "two tables, the second of which says otherwise",
    Code.FORMAT_BUNDLE,
    lambda: replace(base(), table=lambda table: table + frames.table([(1, 1)])),
)
TABLE.add("STK-008", "10,000 frames of nothing", Code.FORMAT_BUNDLE, lambda: sized(lambda s: [*s, *[(0, 0)] * 10_000]))
TABLE.elsewhere(
    "STK-020",
    "a table is not a part of the seal: any byte of it counts all the same",
    "tests/hostile/test_every_byte.py::test_every_byte_counts",
)
TABLE.add(
    "STK-021",
    "a frame begins in the middle of another",
    Code.FORMAT_BUNDLE,
    lambda: sized(lambda s: [s[0], (s[1][0] + 7, s[1][1]), (s[2][0] - 7, s[2][1]), *s[3:]]),
)
TABLE.vector("STK-022", "two members whose frames have changed places", "content-exchanged")
TABLE.vector("STK-023", "a member of 2^53 - 1 bytes", "member-size-huge")
TABLE.add("STK-023", "frames of 4 GiB", Code.FORMAT_BUNDLE, lambda: sized(lambda s: [*s[:-1], (0xFFFFFFFF, s[-1][1])]))
TABLE.vector("STK-024", "a frame that the table does not list", "table-few")


def sized(edit: Callable[[list[tuple[int, int]]], list[tuple[int, int]]]) -> Parts:
    return replace(base(), sizes=edit)
