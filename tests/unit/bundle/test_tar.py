"""docs/spec/bundle-v1.md, section 5: one shape of tar. Python's tarfile is the second reader (R-25)."""

import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.bundle import tar
from bundler.errors import Code, FormatError
from tests.support.cases import each

NAME = "blobs/sha256/" + "a" * 64
BORDER = 8 << 30  # where plain octal ends


def by_tarfile(name: str, size: int, mtime: int) -> bytes:
    told = tarfile.TarInfo(name)
    told.size, told.mtime, told.mode = size, mtime, 0o644
    return told.tobuf(tarfile.USTAR_FORMAT if size < BORDER else tarfile.GNU_FORMAT)


@given(
    name=st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=100).filter(
        lambda name: not name.endswith("/")
    ),
    size=st.integers(0, (1 << 53) - 1),
    mtime=st.integers(0, (1 << 33) - 1),
)
def test_a_header_is_the_one_that_tarfile_writes(name: str, size: int, mtime: int) -> None:
    assert tar.header(name, size, mtime=mtime) == by_tarfile(name, size, mtime)


@pytest.mark.parametrize(("name", "mtime"), [("x", 0), ("x" * 100, (1 << 33) - 1)])
def test_the_least_and_the_most_that_a_header_holds_is_written(name: str, mtime: int) -> None:
    assert tar.header(name, 1, mtime=mtime) == by_tarfile(name, 1, mtime)


@each("size", [0, 1, 511, 512, 513, BORDER - 1, BORDER, BORDER + 1, 9 << 30])
def test_both_sides_of_eight_gigabytes_are_read_back_by_tarfile(size: int) -> None:
    header = tar.header(NAME, size, mtime=1700000000)
    assert header == by_tarfile(NAME, size, 1700000000)
    told = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
    assert (told.name, told.size, told.mtime, told.type) == (NAME, size, 1700000000, tarfile.REGTYPE)
    assert (header[257:265] == b"ustar  \0") is (size >= BORDER)


@pytest.mark.parametrize("name", ["", "x" * 101, "a\0b"])
def test_a_name_that_a_header_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(FormatError) as refused:
        tar.header(name, 1, mtime=0)
    assert refused.value.code == Code.FORMAT_TAR


@pytest.mark.parametrize("mtime", [-1, 1 << 33])
def test_a_time_that_a_header_cannot_hold_is_refused(mtime: int) -> None:
    with pytest.raises(FormatError, match="time"):
        tar.header(NAME, 1, mtime=mtime)


@pytest.mark.parametrize(("size", "zeros"), [(0, 0), (1, 511), (511, 1), (512, 0), (513, 511)])
def test_a_record_is_whole_blocks(size: int, zeros: int) -> None:
    assert tar.padding(size) == zeros
    assert tar.record(size) == 512 + size + zeros


def test_size_and_time_of_the_first_member_are_read_from_its_header() -> None:
    assert tar.read_header(tar.header("x", 1234, mtime=5678), "x") == (1234, 5678)


@each("bit", range(8))
def test_no_bit_of_the_first_header_can_be_another_and_mean_the_same(bit: int) -> None:
    header = tar.header("x", 1234, mtime=5678)
    for at in range(512):
        changed = header[:at] + bytes([header[at] ^ 1 << bit]) + header[at + 1 :]
        with pytest.raises(FormatError):
            tar.read_header(changed, "x")


@each(
    "size",
    [
        *(b"0o000000003\0", b"0000000_003\0", b"+0000000003\0", b"-0000000003\0", b" " * 12, b"0000000003 \0", b"00000000003 "),
        *(b"\xff" * 12, b"\xff" * 10 + b"\xfe\0", b"\x80" + (3).to_bytes(11, "big"), b"\xb2" * 12, b"00000000008\0"),
    ],
)
def test_a_size_has_one_spelling(size: bytes) -> None:  # TAR-090 to -097
    header = tar.header("x", 3, mtime=0)
    block = header[:124] + size + header[136:]
    block = block[:148] + b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:])) + block[156:]
    for read in (lambda: tar.read_header(block, "x"), lambda: tar.check_header(block, "x", 3, mtime=0)):
        with pytest.raises(FormatError) as refused:
            read()
        assert refused.value.code == Code.FORMAT_TAR


@each(
    ("found", "code", "words"),
    [
        (tar.header("y", 3, mtime=0), Code.FORMAT_UNLISTED, "found y, wanted x"),
        (tar.header("\x1b[2J", 3, mtime=0), Code.FORMAT_UNLISTED, r"found \\x1b\[2J, wanted x"),
        (bytes(512), Code.FORMAT_UNLISTED, "found nothing"),
        (tar.header("x", 4, mtime=0), Code.FORMAT_TAR, "size field"),
        (tar.header("x", 3, mtime=1), Code.FORMAT_TAR, "time field"),
        (tar.header("x", 3, mtime=0)[:-1] + b"x", Code.FORMAT_TAR, "byte 511"),
        (tar.header("x", 3, mtime=0)[:300], Code.FORMAT_TAR, "byte 300"),
    ],
)
def test_a_header_that_is_not_the_seals_says_what_differs(found: bytes, code: Code, words: str) -> None:
    with pytest.raises(FormatError, match=words) as refused:
        tar.check_header(found, "x", 3, mtime=0)
    assert refused.value.code == code


def test_padding_holds_nothing() -> None:  # TAR-109
    tar.check_padding(bytes(511), "x")
    with pytest.raises(FormatError, match="x is padded with more than zeros"):
        tar.check_padding(bytes(510) + b"\1", "x")
