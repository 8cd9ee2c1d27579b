"""The one shape of tar that we write and accept (docs/spec/bundle-v1.md, section 5).

A header follows from a name, a size and a time, so reading is comparing: what a member's header must be is known from
the seal before its bytes are seen. Only the seal's own size has to be read, and is believed once it encodes to the same bytes.
"""

import re

from bundler.errors import Code, FormatError

BLOCK = 512
END = bytes(2 * BLOCK)
MAX_OCTAL_SIZE = 8**11  # where GNU's binary size begins: 8 GiB
MAX_TIME = 8**11  # in the year 2242

_OCTAL = re.compile(rb"[0-7]{11}\0")
_SIZE, _TIME = slice(124, 136), slice(136, 148)


def header(name: str, size: int, *, mtime: int) -> bytes:
    """The 512 bytes before a regular file of ``size`` bytes: what ``tarfile.TarInfo.tobuf`` gives for it.

    Raises FormatError (``format.tar``) for what has no such header.
    """
    encoded = name.encode("utf-8", "surrogateescape")
    if not 0 < len(encoded) <= 100 or b"\0" in encoded:
        raise FormatError("a name does not fit a tar header", code=Code.FORMAT_TAR, found=ascii(name[:200]), wanted="1 to 100 bytes")
    if not 0 <= mtime < MAX_TIME:
        raise FormatError("a time does not fit a tar header", code=Code.FORMAT_TAR, found=mtime, wanted=f"0 to {MAX_TIME - 1}")
    gnu = size >= MAX_OCTAL_SIZE
    before = b"%b0000644\0000000000\0000000000\0%b%011o\0" % (
        encoded.ljust(100, b"\0"),
        b"\x80" + size.to_bytes(11, "big") if gnu else b"%011o\0" % size,
        mtime,
    )
    after = b"0" + bytes(100) + (b"ustar  \0" if gnu else b"ustar\00000")
    checksum = sum(before) + 8 * ord(" ") + sum(after)
    return (before + b"%06o\0 " % checksum + after).ljust(BLOCK, b"\0")


def padding(size: int) -> int:
    """How many zero bytes follow a content of ``size`` bytes."""
    return -size % BLOCK


def record(size: int) -> int:
    """How long header, content and padding are together."""
    return BLOCK + size + padding(size)


def read_header(block: bytes, name: str) -> tuple[int, int]:
    """Size and mtime in the header of the member ``name``, which must be spelt as :func:`header` spells it.

    Raises FormatError (``format.tar``).
    """
    if _OCTAL.fullmatch(block[_SIZE]) and _OCTAL.fullmatch(block[_TIME]):
        size, mtime = int(block[_SIZE][:11], 8), int(block[_TIME][:11], 8)
        if block == header(name, size, mtime=mtime):
            return size, mtime
    raise FormatError(f"the first member is not {name}", code=Code.FORMAT_TAR, found=ascii(block[:40].rstrip(b"\0"))[2:-1])


def check_header(block: bytes, name: str, size: int, *, mtime: int) -> None:
    """Refuse any other header than the one that the seal makes.

    Raises FormatError: ``format.unlisted`` for another name, else ``format.tar``.
    """
    wanted = header(name, size, mtime=mtime)
    if block == wanted:
        return
    if block[:100] != wanted[:100]:
        raise FormatError(
            "the tar holds a member that the seal does not list in this place",
            code=Code.FORMAT_UNLISTED,
            found=ascii(block[:100].rstrip(b"\0"))[2:-1] or "nothing",
            wanted=name,
        )
    raise FormatError(f"{name} has another tar header than the seal gives it", code=Code.FORMAT_TAR, found=_difference(block, wanted))


def check_padding(block: bytes, name: str) -> None:
    """Raises FormatError (``format.tar``) for anything but zeros behind ``name``."""
    if block.count(0) != len(block):
        raise FormatError(f"{name} is padded with more than zeros", code=Code.FORMAT_TAR)


def _difference(block: bytes, wanted: bytes) -> str:
    if block[_SIZE] != wanted[_SIZE]:
        return f"size field {ascii(block[_SIZE])[1:]}"
    if block[_TIME] != wanted[_TIME]:
        return f"time field {ascii(block[_TIME])[1:]}"
    return f"byte {next((i for i, (a, b) in enumerate(zip(block, wanted, strict=False)) if a != b), len(block))}"
