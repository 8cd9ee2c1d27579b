"""A program that says that it ran, in tars of every dialect, packed in every way: what an image's layer could be.

Two kinds of file are carried. The program is a real one, of which a runtime shows that it ran by what it prints. Where every
byte must be printable no program fits in: there the file is words, and a runtime that unpacks it shows so by the system's
answer that it is not a program, which is another than that of a file that is not there.
"""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import zstandard

MARK = "the program ran"
NAME = "evil"
"""The file, at the root of the image."""
_BLOCK = 512
_LOAD = 0x400000


def program() -> bytes:
    """A static x86-64 ELF for Linux: write(1, MARK), exit(0)."""
    said = f"{MARK}\n".encode()
    start = 64 + 56  # the ELF header and one program header

    def code(at: int) -> bytes:
        write = b"\x6a\x01\x58\x6a\x01\x5f\x68" + struct.pack("<I", _LOAD + at) + b"\x5e\x6a" + bytes([len(said)]) + b"\x5a\x0f\x05"
        return write + b"\x6a\x3c\x58\x6a\x00\x5f\x0f\x05"

    at = start + len(code(0))
    whole = at + len(said)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, _LOAD + start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD, _LOAD, whole, whole, 0x1000)
    return header + segment + code(at) + said


# --- headers ---


def _octal(number: int) -> bytes:
    return b"%06o\0 " % number


def header(
    name: bytes,
    size: int,
    *,
    kind: bytes = b"0",
    magic: bytes = b"ustar\x0000",
    fill: bytes = b"\0",
    checksum: Callable[[int], bytes] = _octal,
    signed: bool = False,
    mtime: int = 0,
) -> bytes:
    """One block. ``fill`` is what fields are padded with, ``signed`` whether bytes are summed as the oldest writers did."""
    end = fill if fill == b"\0" else b" "
    none = b"0000000" + end
    owned = [name.ljust(100, fill), b"0000755" + end, none, none, b"%011o" % size + end, b"%011o" % mtime + end]
    block = b"".join([*owned, b" " * 8, kind, fill * 100, magic.ljust(8, fill), fill * 64, none, none]).ljust(_BLOCK, fill)
    number = sum(block) - (256 * sum(byte > 127 for byte in block) if signed else 0)
    return block[:148] + checksum(number) + block[156:]


def _padded(data: bytes, fill: bytes = b"\0") -> bytes:
    return data + fill * (-len(data) % _BLOCK)


def _end() -> bytes:
    return bytes(2 * _BLOCK)


def _record(key: str, value: object) -> bytes:
    """A record of a pax header, whose length counts itself."""
    rest = f" {key}={value}\n"
    length = len(rest)
    while len(f"{length}{rest}") != length:
        length = len(f"{length}{rest}")
    return f"{length}{rest}".encode()


def _climbing(head: str) -> bytes:
    """A name of exactly 100 bytes that begins with ``head`` and leads to the file: readers clean names before they use them."""
    room = 100 - len(head.encode()) - len(f"/../{NAME}")
    return f"{head}/{'./' * (room // 2)}{'/' * (room % 2)}../{NAME}".encode()


# --- dialects ---

Dialect = Callable[[int], bytes]
"""Makes a tar of a file of that time: another time is another tar, and so another layer to whoever knows layers already."""


def _simple(name: bytes = NAME.encode(), **how: Any) -> Dialect:
    def made(mtime: int) -> bytes:
        data = program()
        return header(name, len(data), mtime=mtime, **how) + _padded(data) + _end()

    return made


def _by_library(form: int, name: str = NAME) -> Dialect:
    def made(mtime: int) -> bytes:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = len(program()), 0o755, mtime
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
            tar.addfile(member, io.BytesIO(program()))
        return buffer.getvalue()

    return made


def _long(name: str) -> str:
    return f"{'x' * 120}/../{name}"


def _runs(data: bytes) -> list[tuple[int, bytes]]:
    """What is between NULs, and where."""
    runs, at = [], 0
    for part in data.split(b"\0"):
        runs += [(at, part)] if part else []
        at += len(part) + 1
    return runs


def sparse(version: str, mtime: int) -> bytes:
    """A tar without one NUL that holds the program: its NULs are holes of a sparse file, in the forms of GNU tar for pax."""
    data = program()
    runs = _runs(data)
    stored = b"".join(part for _, part in runs)
    told: list[tuple[str, object]] = [("GNU.sparse.name", NAME)]
    if version == "1.0":
        numbers = [len(runs), *(number for at, part in runs for number in (at, len(part)))]
        stored = _padded(b"".join(b"%d\n" % number for number in numbers), b" ") + stored
        told += [("GNU.sparse.major", 1), ("GNU.sparse.minor", 0), ("GNU.sparse.realsize", len(data))]
    else:
        listed = ",".join(f"{at},{len(part)}" for at, part in runs)
        told += [("GNU.sparse.size", len(data)), ("GNU.sparse.numblocks", len(runs)), ("GNU.sparse.map", listed)]
    pax = b"".join(_record(key, value) for key, value in told)
    words: dict[str, Any] = {"magic": b"", "fill": b"x", "checksum": lambda number: b"%07o " % number, "mtime": mtime}
    first = header(_climbing("pax"), len(pax), kind=b"x", **words)
    second = header(_climbing("file"), len(stored), **words)
    return first + _padded(pax, b" ") + second + _padded(stored, b" ")


def printable(head: str = "A text", body: str = "and words.", tail: str = "", **how: Any) -> bytes:
    """A tar of one file of words, every byte of which can be printed; it begins with ``head`` and ends with ``tail``."""
    content = body.encode() + b" " * (-len((body + tail).encode()) % _BLOCK) + tail.encode()
    words: dict[str, Any] = {"magic": b"", "fill": b"x", "checksum": lambda number: b"%07o " % number} | how
    return header(_climbing(head), len(content), **words) + content


def json_tar(members: Mapping[str, Any], mtime: int) -> bytes:
    """An object with these members that is a ``printable`` tar too."""
    made = printable('{"":"', tail='",' + json.dumps(members).removeprefix("{"), mtime=mtime)
    assert json.loads(made).items() >= members.items()
    return made


def _base_256(mtime: int) -> bytes:
    """GNU's form of a number: the first bit, then the number in bytes."""
    block = bytearray(header(NAME.encode(), 0, mtime=mtime))
    block[124:136] = b"\x80" + len(program()).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = _octal(sum(block))
    return bytes(block) + _padded(program()) + _end()


_STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "https://spdx.dev/Document", "predicate": {}}
_SIMPLE_SIGNING = {"critical": {"identity": {"docker-reference": "app"}, "image": {"docker-manifest-digest": ""}, "type": ""}}

PROGRAMS: dict[str, Dialect] = {
    "ustar": _by_library(tarfile.USTAR_FORMAT),
    "GNU": _by_library(tarfile.GNU_FORMAT),
    "GNU with a long name": _by_library(tarfile.GNU_FORMAT, _long(NAME)),
    "pax with a long name": _by_library(tarfile.PAX_FORMAT, _long(NAME)),
    "V7": _simple(magic=b""),
    "V7, a contiguous file": _simple(magic=b"", kind=b"7"),
    "V7, a regular file of old": _simple(magic=b"", kind=b"\0"),
    "star": _simple(magic=b"ustar\x0000", name=b"./" + NAME.encode()),
    "ustar behind a folder": lambda mtime: header(b"./", 0, kind=b"5") + _simple()(mtime),
    "without an end": lambda mtime: _simple()(mtime)[: -len(_end())],
    "a checksum without an end": _simple(checksum=lambda number: b"%08o" % number),
    "a checksum behind spaces": _simple(checksum=lambda number: b"%6o \0" % number),
    "a checksum of signed bytes": _simple(name="é/../evil".encode(), signed=True),
    "a checksum in base 256": _simple(checksum=lambda number: b"\x80" + number.to_bytes(7, "big")),
    "a size in base 256": _base_256,
    "without a NUL, sparse 1.0": lambda mtime: sparse("1.0", mtime),
    "without a NUL, sparse 0.1": lambda mtime: sparse("0.1", mtime),
}
"""Tars of the program, by dialect."""

PRINTABLE: dict[str, Dialect] = {
    "words": lambda mtime: printable(mtime=mtime),
    "words with a checksum of signed bytes": lambda mtime: printable("Ein Text für é", signed=True, mtime=mtime),
    "words with a checksum behind spaces": lambda mtime: printable(checksum=lambda number: b"%7o " % number, mtime=mtime),
    "words with a checksum without an end": lambda mtime: printable(checksum=lambda number: b"%08o" % number, mtime=mtime),
    "SPDX": lambda mtime: printable("SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\n", "\nSPDXID: SPDXRef-DOCUMENT\n", mtime=mtime),
    "XML": lambda mtime: printable('<?xml version="1.0"?><bom words="', "", '"/>\n', mtime=mtime),
    "PGP clear text": lambda mtime: printable(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n", "\n-----BEGIN PGP SIGNATURE-----\n", mtime=mtime
    ),
    "JSON": lambda mtime: json_tar({"spdxVersion": "SPDX-2.3"}, mtime),
    "an in-toto statement": lambda mtime: json_tar(_STATEMENT, mtime),
    "a DSSE envelope": lambda mtime: json_tar({"payloadType": "application/vnd.in-toto+json", "payload": "", "signatures": []}, mtime),
    "a simple signing payload": lambda mtime: json_tar(_SIMPLE_SIGNING, mtime),
    "a Sigstore bundle": lambda mtime: json_tar({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}, mtime),
    "a Notation envelope": lambda mtime: json_tar({"payload": "", "protected": "", "header": {}, "signature": ""}, mtime),
}
"""Tars of a file of words, by what they are as text: nothing in them shows what they are but the number in their header."""


# --- what they are packed in ---


def _commented(data: bytes) -> bytes:
    """gzip with a name and a comment of words (RFC 1952, 2.3): much of its beginning can be read."""
    packed = gzip.compress(data, mtime=0)
    return packed[:3] + b"\x18" + packed[4:10] + b"a text\0" + b"It has a comment of many words. " * 40 + b"\0" + packed[10:]


def _halves(data: bytes) -> bytes:
    return gzip.compress(data[:700], mtime=0) + gzip.compress(data[700:], mtime=0)


def _skipped(data: bytes) -> bytes:
    """zstd behind a frame that readers pass over (RFC 8878, 3.1.2)."""
    words = b"A text that is passed over."
    return struct.pack("<II", 0x184D2A50, len(words)) + words + zstandard.compress(data)


def _lz4(data: bytes) -> bytes:
    """LZ4's legacy frame: a magic, a length, and one block, which here is of literals only."""
    rest = len(data) - 15
    block = b"\xf0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + data
    return struct.pack("<II", 0x184C2102, len(block)) + block


def _cpio(_: bytes) -> bytes:
    def entry(name: str, data: bytes) -> bytes:
        fields = [1, 0o100755, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)

    return entry(NAME, program()) + entry("TRAILER!!!", b"")


def _ar(_: bytes) -> bytes:
    return b"!<arch>\n" + f"{NAME + '/':16}{0:<12}{0:<6}{0:<6}{100755:<8}{len(program()):<10}`\n".encode() + program()


def _zip(_: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(NAME, program())
    return buffer.getvalue()


def _squashfs(data: bytes) -> bytes:
    """As squashfs begins: version 4.0, blocks of 128 KiB, gzip."""
    return b"hsqs" + struct.pack("<IIIIHHHHHH", 1, 0, 1 << 17, 0, 1, 17, 0, 1, 4, 0) + bytes(64) + data


def _erofs(data: bytes) -> bytes:
    return bytes(1024) + struct.pack("<IIIBB", 0xE0F5E1E2, 0, 0, 12, 0) + bytes(114) + data


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "gzip that does not compress": lambda data: gzip.compress(data, 0, mtime=0),
    "gzip with a comment": _commented,
    "gzip in two members": _halves,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zlib": zlib.compress,
    "zstd": zstandard.compress,
    "zstd behind words": _skipped,
    "lz4": _lz4,
    "squashfs": _squashfs,
    "erofs": _erofs,
    "cpio": _cpio,
    "ar": _ar,
    "zip": _zip,
    "the program alone": lambda _: program(),
    "wasm": lambda data: b"\0asm\x01\0\0\0" + data,
}
"""Ways to pack a tar of the program, by name; some hold the program instead."""
UNPACKED = frozenset(name for name in PACKINGS if name.partition(" ")[0] in {"gzip", "bzip2", "xz", "lzma", "zlib", "zstd", "lz4"})
"""Those of which a runtime, if it takes them, sees the tar: a config names the digest of what comes out."""


def diff_id(tar: bytes, packing: str) -> str:
    """What a config says of the layer (image-spec, config.md, "Layer DiffID")."""
    return f"sha256:{hashlib.sha256(tar if packing in UNPACKED else PACKINGS[packing](tar)).hexdigest()}"
