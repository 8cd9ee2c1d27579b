"""docs/spec/bundle-v1.md, sections 3 and 4: independent frames, and the table that finds them."""

import os
import random
import struct
from collections.abc import Callable
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bundler.bundle.frames import (
    FRAME,
    GROUP,
    MAX_FRAMES,
    Run,
    Table,
    beginning,
    check_frames,
    check_ratio,
    compress,
    decompress,
    longest,
    runs,
    table,
)
from bundler.errors import Code, FormatError, IntegrityError
from tests.support.cases import each

TEXT = b"compressible " * 1000
NOISE = random.Random(1).randbytes(300_000)  # noqa: S311 - the same each time
records = st.lists(st.tuples(st.integers(1, 20_000).map(lambda blocks: blocks * 512), st.booleans()), max_size=40)


def whole(frame: bytes, size: int) -> bytes:
    return b"".join(decompress(memoryview(frame), size, what="x"))


def read_from(data: bytes) -> Callable[[int, int], bytes]:
    def read(offset: int, count: int) -> bytes:
        found = data[offset : offset + count]
        if len(found) < count:
            raise IntegrityError("short", code=Code.CONTENT_TRUNCATED)
        return found

    return read


# --- the plan ---


@given(records)
def test_the_plan_covers_every_record_once_and_in_order(sizes: list[tuple[int, bool]]) -> None:
    plan = list(runs(1024, sizes, 1024))
    assert [n for run in plan for n in range(run.first, run.first + run.records)] == list(range(len(sizes) + 1))
    lengths = [1024, *(size for size, _ in sizes)]
    assert [run.size for run in plan[:-1]] == [sum(lengths[run.first : run.first + run.records]) for run in plan[:-1]]
    assert [run.start for run in plan] == [sum(run.size for run in plan[:n]) for n in range(len(plan))]
    assert [frame for run in plan for frame in run.frames] == list(range(sum(len(run.frames) for run in plan)))
    assert all(0 < run.content(frame) <= FRAME for run in plan for frame in run.frames)
    assert all(sum(run.content(frame) for frame in run.frames) == run.size for run in plan)
    assert (plan[-1].records, plan[-1].size) == (0, 1024)


@given(records)
def test_a_group_is_small_and_never_holds_both_layers_and_other_things(sizes: list[tuple[int, bool]]) -> None:
    for run in list(runs(1024, sizes, 1024))[1:-1]:
        assert run.records == 1 or run.size <= GROUP
        assert len({blob for _, blob in sizes[run.first - 1 : run.first - 1 + run.records]}) == 1


@given(records)
def test_a_group_is_never_cut_short(sizes: list[tuple[int, bool]]) -> None:
    plan = list(runs(1024, sizes, 1024))[1:-1]
    for one, other in pairwise(plan):
        size, blob = sizes[other.first - 1]
        assert one.size + size > GROUP or sizes[one.first - 1][1] is not blob


def test_a_seal_that_is_larger_than_a_frame_has_frames_of_its_own() -> None:
    seal, group, end = runs(FRAME + 512, [(1024, False)], 1024)
    assert list(seal.frames) == [0, 1]
    assert (seal.content(0), seal.content(1)) == (FRAME, 512)
    assert (list(group.frames), list(end.frames)) == ([2], [3])


def test_a_group_is_filled_to_a_mebibyte() -> None:
    _, full, rest, _ = runs(1024, [(GROUP - 512, False), (512, False), (512, False)], 1024)
    assert (full.records, full.size, rest.records) == (2, GROUP, 1)


# --- frames ---


@each("content", [b"x", b"x" * 255, b"x" * 256, b"x" * 65791, b"x" * 65792, TEXT, NOISE, TEXT + NOISE, bytes(FRAME)])
def test_a_frame_gives_its_content_to_us_and_to_any_reader(content: bytes) -> None:
    frame = compress(content)
    assert whole(frame, len(content)) == content
    assert zstandard.ZstdDecompressor().decompress(frame) == content
    told = zstandard.get_frame_parameters(frame)
    assert (told.content_size, told.has_checksum, told.dict_id) == (len(content), True, 0)
    assert told.window_size <= 8 << 20
    assert len(frame) <= longest(len(content))


def test_what_does_not_compress_is_stored() -> None:
    assert len(NOISE) < len(compress(NOISE)) < len(NOISE) + 100


def test_what_compresses_is_compressed_wherever_noise_stands() -> None:
    assert len(compress(NOISE[:1000] + TEXT)) < 2000


@pytest.mark.parametrize("size", [1, 1000, 128 << 10, (128 << 10) + 1, FRAME])
def test_what_would_be_smaller_than_a_ratio_allows_is_stored(size: int) -> None:
    content = bytes(size)
    frame = compress(content, ratio=2)
    assert len(frame) >= len(content)
    assert len(frame) <= longest(len(content))
    assert b"".join(decompress(frame, len(content), what="x")) == content == zstandard.decompress(frame)


def test_a_ratio_changes_nothing_that_it_allows() -> None:
    content = b"".join(b"%d " % number for number in range(100_000))
    frame = compress(content)
    ratio = -(-len(content) // len(frame))
    assert compress(content, ratio=ratio) == frame
    assert len(compress(content, ratio=ratio - 1)) > len(content)


@pytest.mark.parametrize(("compressed", "content", "fits"), [(100, 12_800, True), (100, 12_801, False), (1, 1, True), (0, 1, False)])
def test_a_frame_of_the_seal_has_a_greatest_ratio(compressed: int, content: int, fits: bool) -> None:
    if fits:
        check_ratio(compressed, content)
        return
    with pytest.raises(FormatError, match="far larger inside than outside") as refused:
        check_ratio(compressed, content)
    assert (refused.value.exit, refused.value.code) == (3, Code.LIMIT_SEAL)


def test_the_same_content_gives_the_same_frame() -> None:
    assert compress(TEXT + NOISE) == compress(TEXT + NOISE)


def hand_made(content: bytes, *, head: bytes | None = None, blocks: bytes | None = None, checksum: bytes | None = None) -> bytes:
    size = struct.pack("<I", len(content))
    head = b"\xa4" + size if head is None else head
    blocks = struct.pack("<I", 1 | len(content) << 3)[:3] + content if blocks is None else blocks
    return b"\x28\xb5\x2f\xfd" + head + blocks + (compress(content)[-4:] if checksum is None else checksum)


def raw(content: bytes, *, last: bool = False, kind: int = 0) -> bytes:
    return struct.pack("<I", last | kind << 1 | len(content) << 3)[:3] + content


CONTENT = b"abcdefgh" * 64
SIZE = struct.pack("<I", len(CONTENT))


def test_a_frame_made_by_hand_is_read() -> None:
    assert whole(hand_made(CONTENT), len(CONTENT)) == CONTENT
    assert whole(hand_made(CONTENT, head=b"\x84\x68" + SIZE), len(CONTENT)) == CONTENT  # a window of 8 MiB
    assert whole(hand_made(CONTENT, blocks=raw(CONTENT[:9]) + raw(CONTENT[9:], last=True)), len(CONTENT)) == CONTENT


@each(
    ("frame", "words"),
    [
        pytest.param(b"", "no frame where x should be", id="nothing"),
        pytest.param(hand_made(CONTENT)[:5], "no frame where x should be", id="only a magic number (ZST-017)"),
        pytest.param(b"\x1e\xb5\x2f\xfd" + hand_made(CONTENT)[4:], "no frame where x should be", id="legacy magic number (ZST-037)"),
        pytest.param(b"\x50\x2a\x4d\x18" + hand_made(CONTENT)[4:], "no frame where x should be", id="skippable (ZST-022)"),
        pytest.param(b"\x1f\x8b\x08\x00" + hand_made(CONTENT)[4:], "no frame where x should be", id="gzip (ZST-038)"),
        pytest.param(hand_made(CONTENT, head=b"\xa0" + SIZE, checksum=b""), "another header", id="no checksum"),
        pytest.param(hand_made(CONTENT, head=b"\x04\x50"), "found descriptor 0x04", id="no content size"),
        pytest.param(hand_made(CONTENT, head=b"\xa5\x2a" + SIZE), "another header", id="a dictionary (ZST-031)"),
        pytest.param(hand_made(CONTENT, head=b"\xac" + SIZE), "another header", id="reserved bit (ZST-032)"),
        pytest.param(hand_made(CONTENT, head=b"\xb4" + SIZE), "another header", id="unused bit"),
        pytest.param(hand_made(CONTENT, head=b"\xa4" + struct.pack("<I", 511)), "content of 511 bytes", id="claims less (ZST-009)"),
        pytest.param(hand_made(CONTENT, head=b"\xe4" + struct.pack("<Q", 1 << 40)), "content of 1099511627776", id="1 TiB (ZST-008)"),
        pytest.param(hand_made(CONTENT, head=b"\xe4" + b"\xff" * 8), "content of 18446744073709551615", id="2^64-1 (ZST-010)"),
        pytest.param(hand_made(CONTENT, head=b"\x84\x70" + SIZE), "a window of 16777216", id="window of 16 MiB"),
        pytest.param(hand_made(CONTENT, head=b"\x84\x69" + SIZE), "a window of 9437184", id="window of 9 MiB"),
        pytest.param(hand_made(CONTENT, head=b"\x84\xff" + SIZE), "a window of", id="window of 3.75 TiB (ZST-007)"),
        pytest.param(hand_made(CONTENT, blocks=raw(CONTENT)), "not made of blocks", id="no last block (ZST-016)"),
        pytest.param(hand_made(CONTENT)[:-1], "not made of blocks", id="a byte short (ZST-013)"),
        pytest.param(hand_made(CONTENT)[:100], "not made of blocks", id="cut in a block (ZST-014)"),
        pytest.param(hand_made(CONTENT)[:6], "another header", id="cut in the header (ZST-017)"),
        pytest.param(hand_made(CONTENT)[:12], "found 12 bytes, wanted 528", id="cut before a block (ZST-014)"),
        pytest.param(hand_made(CONTENT)[:11], "found 11 bytes, wanted 13", id="cut in the size of a block (ZST-014)"),
        pytest.param(hand_made(CONTENT, checksum=b""), "not made of blocks", id="no checksum where one is announced (ZST-030)"),
        pytest.param(hand_made(CONTENT) + b"\0", "not made of blocks", id="a byte more (ZST-019)"),
        pytest.param(hand_made(CONTENT) + hand_made(b""), "not made of blocks", id="an empty frame more (ZST-026)"),
        pytest.param(hand_made(CONTENT) + b"\x50\x2a\x4d\x18" + bytes(4), "not made of blocks", id="a skippable frame more (ZST-023)"),
        pytest.param(hand_made(CONTENT, blocks=raw(CONTENT, last=True, kind=3)), "not made of blocks", id="reserved type (ZST-033)"),
        pytest.param(hand_made(CONTENT, blocks=raw(b"") * 66 + raw(CONTENT, last=True)), "not made of blocks", id="empty blocks (ZST-027)"),
    ],
)
def test_a_frame_that_the_format_does_not_allow_is_refused(frame: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words) as refused:
        whole(frame, len(CONTENT))
    assert refused.value.code == Code.FORMAT_BUNDLE


def test_a_block_is_no_longer_than_128_kib() -> None:  # ZST-034
    content = bytes(200_000)
    with pytest.raises(FormatError, match="not made of blocks"):
        whole(hand_made(content), len(content))


def test_a_million_empty_blocks_cost_nothing() -> None:  # ZST-027, SP-23
    frame = hand_made(CONTENT, blocks=bytes(3_000_000) + raw(CONTENT, last=True))
    with pytest.raises(FormatError, match="not made of blocks"):
        whole(frame, len(CONTENT))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(hand_made(CONTENT, checksum=b"\0\0\0\0"), id="checksum (ZST-029)"),
        pytest.param(hand_made(CONTENT, blocks=raw(CONTENT[:-1], last=True)), id="less than announced"),
        pytest.param(hand_made(CONTENT, blocks=raw(CONTENT) + raw(b"x", last=True)), id="more than announced"),
        pytest.param(hand_made(CONTENT, blocks=raw(b"\xff" * 40, last=True, kind=2)), id="a compressed block of nonsense"),
        pytest.param(
            hand_made(CONTENT, blocks=raw(CONTENT) + struct.pack("<I", 1 | 1 << 1 | 9 << 3)[:3] + b"x"), id="repeats too much (ZST-001)"
        ),
    ],
)
def test_a_frame_that_does_not_decompress_is_damaged(frame: bytes) -> None:
    with pytest.raises(IntegrityError, match="the frame of x is damaged") as refused:
        whole(frame, len(CONTENT))
    assert refused.value.code == Code.CONTENT_FRAME


@pytest.mark.parametrize("content", [TEXT, NOISE[:1000]])
def test_no_byte_of_a_frame_can_be_another_and_give_other_content(content: bytes) -> None:
    frame = compress(content)
    for at in range(len(frame)):
        for bit in range(8):
            changed = frame[:at] + bytes([frame[at] ^ 1 << bit]) + frame[at + 1 :]
            try:
                assert whole(changed, len(content)) == content
            except (FormatError, IntegrityError):
                continue


def test_the_beginning_of_a_cut_file_can_be_read() -> None:
    assert beginning(compress(NOISE)[:200_000], 10) == NOISE[:10]
    assert beginning(b"no zstd", 10) == b""
    assert beginning(b"", 10) == b""


# --- the table ---

FRAMES = [compress(TEXT), compress(NOISE), compress(b"end")]
SIZES = [(len(FRAMES[0]), len(TEXT)), (len(FRAMES[1]), len(NOISE)), (len(FRAMES[2]), 3)]
PLAN = [Run(0, 1, 0, len(TEXT), 0), Run(1, 1, len(TEXT), len(NOISE), 1), Run(2, 0, len(TEXT) + len(NOISE), 3, 2)]
FILE = b"".join(FRAMES) + table(SIZES)


def found_in(data: bytes) -> Table:
    found = Table.find(read_from(data), len(data))
    assert found is not None
    return found


def test_the_table_finds_every_frame() -> None:
    offsets = found_in(FILE).offsets(PLAN)
    assert [FILE[start:end] for start, end in pairwise(offsets)] == FRAMES


def test_a_table_is_a_skippable_frame_that_readers_pass_over() -> None:
    with zstandard.ZstdDecompressor().stream_reader(FILE, read_across_frames=True) as reader:
        assert reader.read() == TEXT + NOISE + b"end"


def test_a_file_without_a_table_has_none() -> None:
    for data in (b"", b"x" * 16, b"".join(FRAMES), FILE[:-1], FILE + b"\0"):
        assert Table.find(read_from(data), len(data)) is None


@each(
    "data",
    [
        pytest.param(b"".join(FRAMES) + table([]), id="no frames (STK-004)"),
        pytest.param(table([]), id="no frames, and nothing else"),
        pytest.param(FILE[:-9] + struct.pack("<I", 1 << 27) + FILE[-5:], id="2^27 frames (STK-003)"),
        pytest.param(FILE[:-9] + struct.pack("<I", MAX_FRAMES + 1) + FILE[-5:], id="more than the format has"),
        pytest.param(FILE[:-9] + b"\xff" * 4 + FILE[-5:], id="2^32 - 1 frames"),
        pytest.param(FILE[:-5] + b"\x7c" + FILE[-4:], id="reserved bits (STK-006)"),
        pytest.param(FILE[:-5] + b"\x80" + FILE[-4:], id="says it has checksums"),
        pytest.param(FILE[:-5] + b"\x01" + FILE[-4:], id="unused bits"),
        pytest.param(FILE[:-41] + b"\x51" + FILE[-40:], id="another skippable frame"),
        pytest.param(FILE[:-37] + b"\xff" + FILE[-36:], id="another length"),
    ],
)
def test_a_table_that_is_not_well_formed_is_refused_before_it_is_read(data: bytes) -> None:
    with pytest.raises(FormatError) as refused:
        Table.find(read_from(data), len(data))
    assert refused.value.code == Code.FORMAT_BUNDLE


@pytest.mark.parametrize(("count", "fits"), [(1, True), (MAX_FRAMES, True), (MAX_FRAMES + 1, False)])
def test_a_file_may_be_a_table_of_as_many_frames_as_the_format_has(count: int, fits: bool) -> None:
    size = 8 + count * 8 + 9

    def read(offset: int, length: int) -> bytes:
        whole = {0: struct.pack("<4sI", b"\x5e\x2a\x4d\x18", size - 8), size - 9: struct.pack("<IB4s", count, 0, b"\xb1\xea\x92\x8f")}
        return whole[offset][:length]

    if fits:
        assert Table.find(read, size) == Table(read, 0, count)
    else:
        with pytest.raises(FormatError, match="not well-formed"):
            Table.find(read, size)


@each(
    ("sizes", "words"),
    [
        pytest.param([(SIZES[0][0] + 1000, SIZES[0][1]), *SIZES[1:]], "fill the file", id="points past the frames (STK-001)"),
        pytest.param([SIZES[0], SIZES[0], SIZES[2]], "does not fit the seal", id="overlapping (STK-002)"),
        pytest.param([(SIZES[0][0], SIZES[1][1]), (SIZES[1][0], SIZES[0][1]), SIZES[2]], "does not fit the seal", id="swapped (STK-005)"),
        pytest.param(SIZES[:2], "fewer frames", id="too few"),
        pytest.param([*SIZES, (0, 0)], "fill the file", id="too many"),
        pytest.param([(0, 0)] * 100, "does not fit the seal", id="frames of nothing (STK-008)"),
        pytest.param([(longest(len(TEXT)) + 1, len(TEXT)), *SIZES[1:]], "does not fit the seal", id="longer than its content can be"),
        pytest.param([(longest(len(TEXT)), len(TEXT)), *SIZES[1:]], "fill the file", id="as long as its content can be"),
        pytest.param([(0xFFFFFFFF, len(TEXT)), *SIZES[1:]], "does not fit the seal", id="4 GiB (STK-023)"),
    ],
)
def test_a_table_that_the_plan_contradicts_is_refused(sizes: list[tuple[int, int]], words: str) -> None:
    with pytest.raises(FormatError, match=words) as refused:
        found_in(b"".join(FRAMES) + table(sizes)).offsets(PLAN)
    assert refused.value.code == Code.FORMAT_BUNDLE


def test_a_plan_of_more_frames_than_there_are_costs_nothing() -> None:  # BND-028, BND-032
    huge = Run(0, 1, 0, (1 << 53) - 1, 0)
    with pytest.raises(FormatError, match="fewer frames than the seal asks for"):
        found_in(FILE).offsets([huge])


def test_many_frames_are_found(tmp_path: os.PathLike[str]) -> None:
    sizes = [(9, 512)] * 20_000
    data = bytes(9 * 20_000) + table(sizes)
    plan = [Run(n, 1, n * 512, 512, n) for n in range(20_000)]
    assert list(found_in(data).offsets(plan)) == [9 * n for n in range(20_001)]
    assert list(found_in(data).sizes(19_999, 1)) == [(9, 512)]
    with pytest.raises(FormatError, match="too few frames"):
        list(found_in(data).sizes(19_999, 2))


def test_what_is_exactly_as_many_times_smaller_as_allowed_is_compressed() -> None:
    """As the reader takes it."""
    content = next(content for content in map(bytes, range(200, 9000)) if len(content) % len(compress(content)) == 0)
    frame = compress(content)
    assert compress(content, ratio=len(content) // len(frame)) == frame


def test_a_sample_from_the_middle_says_whether_it_is_worth_while() -> None:
    letters = NOISE[:50_000].hex().encode()  # half their bits say nothing
    noise = NOISE[100_000:]
    assert len(compress(letters + noise)) > len(letters) + len(noise)
    assert len(compress(noise[:40_000] + letters + noise[-40_000:])) < 80_000 + len(letters)


@pytest.mark.parametrize("first", [0x50, 0x5F])
def test_frames_that_are_skipped_are_known_by_all_of_their_first_bytes(first: int) -> None:
    skipped = bytes([first]) + b"\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"text"
    data = compress(TEXT) + skipped + compress(TEXT)

    def checked(data: bytes) -> None:
        check_frames(lambda offset, count: data[offset : offset + count], len(data), what="x")

    checked(data)
    for at, other in ((0, 0x4F), (0, 0x60), (1, 0), (2, 0), (3, 0)):
        start = len(compress(TEXT)) + at
        spoilt = data[:start] + bytes([other]) + data[start + 1 :]
        with pytest.raises(IntegrityError, match="what is not a frame") as refused:
            checked(spoilt)
        assert (refused.value.exit, refused.value.code) == (4, Code.CONTENT_FRAME)


def test_short_blocks_are_found_by_one_reading_of_four_kibibytes() -> None:
    frame = b"\x28\xb5\x2f\xfd\x20\x01" + b"\x08\0\0x" + b"\0\0\0" * 1363 + b"\1\0\0"
    assert len(frame) == 6 + (4 << 10)
    asked: list[int] = []

    def read(offset: int, count: int) -> bytes:
        asked.append(offset)
        return frame[offset : offset + count]

    check_frames(read, len(frame), what="x")
    assert asked == [0, 6]
    with pytest.raises(IntegrityError, match="ends within a frame"):
        check_frames(read, len(frame) - 1, what="x")
