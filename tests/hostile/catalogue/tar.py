"""TAR: archive structure.

Nothing is extracted, and every header follows from the seal, so a hostile record can come in three ways. In place of the
last member, with the frames as they were: then the header is compared, and is another one. Beside it, with frames that
fit: then the plan of the seal does not. And listed in the seal, by whoever may seal: then the seal is refused.
"""

import base64
import gzip
import hashlib
import tarfile
from dataclasses import replace
from functools import partial
from typing import Any

from bundler.bundle import frames, tar
from bundler.bundle.seal import Kind, Member
from bundler.errors import Code
from bundler.oci.digest import Digest
from tests.support import making
from tests.support.hostile import Cases, fold, mended
from tests.support.making import Parts, base

CASES = Cases()
LAYER = base().members[-1].path
ROOM = len(making.record(LAYER, base().files[LAYER]))
FIRST, SECOND = "index.json", "oci-layout"


def in_place(stream: bytes) -> Parts:
    """The last record gives way to as much of ``stream`` as has room there."""
    return fold(lambda _: stream[:ROOM].ljust(ROOM, b"\0"))


def beside(stream: bytes) -> Parts:
    """``stream`` before the last record, in frames that fit."""
    return replace(base(), records=lambda records: [*records[:-1], stream, records[-1]])


def listed(name: str, data: bytes = b"hostile") -> Parts:
    """A further member of that name, in the tar and in the seal."""
    parts = base()
    return parts.listing([*parts.members, Member(Kind.BLOB, len(data), Digest.of(data), name)], {name: data})


def head(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **fields: Any) -> bytes:
    told = tarfile.TarInfo(name)
    told.type, told.size = kind, size
    for field, value in fields.items():
        setattr(told, field, value)
    return told.tobuf(tarfile.GNU_FORMAT)[-512:] if size < 0 else told.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape")


def patched(block: bytes, *changes: tuple[int, bytes]) -> bytes:
    for start, data in changes:
        block = block[:start] + data + block[start + len(data) :]
    return mended(block)


def padded(data: bytes) -> bytes:
    return data + bytes(tar.padding(len(data)))


def member(name: str, data: bytes = b"hostile") -> bytes:
    return head(name, size=len(data)) + padded(data)


def pax(*records: bytes | tuple[str, str], kind: bytes = tarfile.XHDTYPE, size: int | None = None) -> bytes:
    """An extended header of these records."""
    body = b"".join(each if isinstance(each, bytes) else _record(*each) for each in records)
    return head("pax", kind, len(body) if size is None else size) + padded(body)


def _record(name: str, value: str) -> bytes:
    text = f" {name}={value}\n".encode("utf-8", "surrogateescape")
    size = len(text) + 1
    while len(str(size)) + len(text) != size:
        size = len(str(size)) + len(text)
    return str(size).encode() + text


def long(name: bytes, kind: bytes = b"L") -> bytes:
    """GNU's long name of the next member."""
    return head("././@LongLink", kind, len(name) + 1) + padded(name + b"\0")


def hostile(number: str, words: str, stream: bytes, code: Code = Code.FORMAT_UNLISTED) -> None:
    CASES.add(f"TAR-{number}", f"{words}: in place of a member", code, lambda: in_place(stream))
    CASES.add(f"TAR-{number}", f"{words}: beside the members", Code.FORMAT_BUNDLE, lambda: beside(stream))


# --- names ---

NAMES = {
    "001": ("an absolute path", "/HOSTILE-abs"),
    "002": ("a path that leads out", "../HOSTILE-parent"),
    "003": ("a path that leads out below an allowed prefix", "blobs/sha256/../../../HOSTILE-prefix"),
    "004": ("a dot, then the parent", "./../HOSTILE-dot"),
    "005": ("backslashes that lead out", "..\\..\\HOSTILE-bs"),
    "006": ("a path on a drive", "C:HOSTILE"),
    "009": ("a dot", "."),
    "010": ("two dots", ".."),
    "011": ("a blob with a slash more", LAYER.replace("/", "//", 1)),
    "012": ("index.json behind a dot", "./index.json"),
    "015": ("a name that speaks to a terminal", "blobs/\x1b]0;pwned\x07\x1b[2Jx"),
    "016": ("a name with a forged line of a log", "x\nINFO import ok digest=sha256:00"),
    "018": ("a name in another form of Unicode", "blobs/sha256/e\u0301"),
    "019": ("a name that is read from right to left", "index\u202enosj.json"),
    "020": ("index.json in upper case", "INDEX.JSON"),
    "021": ("index.json with a dot behind", "index.json."),
    "022": ("a stream of index.json", "index.json:evil"),
    "023": ("a device of Windows", "CON"),
    "024": ("a log of some tool", "audit.log"),
    "025": ("a key", "cosign.pub"),
    "026": ("a script", "install.sh"),
    "113": ("index.json again", "index.json"),
    "117": ("something below a file", "index.json/x"),
    "129": ("another tar", "bundle.tar"),
}
for _number, (_words, _name) in NAMES.items():
    hostile(_number, _words, member(_name))
    CASES.add(
        f"TAR-{_number}",
        f"{_words}: listed and sealed",
        Code.FORMAT_JSON if "\x1b" in _name else Code.FORMAT_SEAL,
        partial(listed, _name),
    )

hostile("007", "a NUL inside the name", pax(("path", "index.json\0.evil")) + member(LAYER))
hostile("008", "no name", member("\0"))
hostile("013", "a path of 70,000 bytes", pax(("path", "x" * 70_000)) + member(LAYER))
hostile("014", "a path 2,000 folders deep", pax(("path", "d/" * 2000)) + member(LAYER))
hostile("017", "a name that is not UTF-8", member("\udcff\udcfe\udc80"))

# --- kinds of members, in a header that is right in all else ---


def kind(number: str, words: str, flag: bytes, link: str = "", **fields: Any) -> None:
    hostile(number, words, head(LAYER, flag, linkname=link, **fields), Code.FORMAT_TAR)


kind("030", "a symbolic link to an absolute path", tarfile.SYMTYPE, "/etc/passwd")
kind("031", "a symbolic link that leads out", tarfile.SYMTYPE, "../../../../etc/passwd")
hostile(
    "032",
    "a folder that is a symbolic link, then a file in it",
    head("blobs", tarfile.SYMTYPE, linkname="/HOSTILE") + member("blobs/HOSTILE"),
)
hostile("033", "index.json is a symbolic link inside", head(FIRST, tarfile.SYMTYPE, linkname=LAYER))
hostile("034", "two symbolic links in a circle", head("a", tarfile.SYMTYPE, linkname="b") + head("b", tarfile.SYMTYPE, linkname="a"))
kind("035", "a hard link to a file outside", tarfile.LNKTYPE, "/etc/passwd")
kind("036", "a hard link to a name without a slash", tarfile.LNKTYPE, "canary")
kind("037", "a hard link to an earlier member", tarfile.LNKTYPE, FIRST)
hostile(
    "038", "a hard link to a symbolic link", head("s", tarfile.SYMTYPE, linkname="/etc/passwd") + head("h", tarfile.LNKTYPE, linkname="s")
)
kind("039", "a hard link to what is not there", tarfile.LNKTYPE, "not/there")
hostile(
    "040",
    "symbolic links longer than a path may be",
    b"".join(head(f"{i:x}" * 90, tarfile.SYMTYPE, linkname="d" * 99) for i in range(16)) + member("escape/HOSTILE"),
)
kind("041", "a character device", tarfile.CHRTYPE, devmajor=1, devminor=3)
kind("042", "a block device", tarfile.BLKTYPE, devmajor=8)
kind("043", "a FIFO", tarfile.FIFOTYPE)
hostile("044", "a kind that nobody knows, with a header for content", head(LAYER, b"Z", 512) + head("HOSTILE"), Code.FORMAT_TAR)
kind("045", "a contiguous file", tarfile.CONTTYPE)
kind("046", "a sparse file of the old kind", tarfile.GNUTYPE_SPARSE)
hostile(
    "047",
    "a sparse file of 8 EiB",
    patched(head(LAYER, tarfile.GNUTYPE_SPARSE), (483, b"\x80" + (1 << 62).to_bytes(11, "big"))),
    Code.FORMAT_TAR,
)
hostile(
    "048", "a sparse file of pax that has another name", pax(("GNU.sparse.name", "../HOSTILE"), ("GNU.sparse.major", "1")) + member(LAYER)
)
kind("049", "the rest of a file of another volume", b"M")
kind("050", "a volume's header", b"V")
hostile("051", "GNU's list of what to delete", head(LAYER, b"D", 512) + padded(b"Ycanary\0\0"), Code.FORMAT_TAR)
hostile("118", "a folder with content", head(LAYER, tarfile.DIRTYPE, 512) + head("HOSTILE"), Code.FORMAT_UNLISTED)
hostile("119", "a symbolic link with content", head(LAYER, tarfile.SYMTYPE, 512, linkname="/etc/passwd") + head("HOSTILE"), Code.FORMAT_TAR)
hostile("120", "a file of the old kind whose name ends as a folder's", patched(head("dd/", size=512), (156, b"\0")) + bytes(512))
kind("121", "a file that runs as its owner", tarfile.REGTYPE, mode=0o6777)
hostile("122", "a folder that nobody may enter", head("blobs", tarfile.DIRTYPE, mode=0))

# --- headers about the next header ---

hostile("060", "a long name that leads out", long(b"../HOSTILE") + member("harmless"))
hostile("061", "a long link, then a symbolic link", long(b"/etc/passwd", b"K") + head(LAYER, tarfile.SYMTYPE, linkname="x"))
hostile("062", "a long name of 3 GB", head(LAYER, b"L", 3_000_000_000), Code.FORMAT_TAR)
hostile("063", "a long name of 2^80 bytes", patched(head(LAYER, b"L"), (124, b"\x80" + (1 << 80).to_bytes(11, "big"))), Code.FORMAT_TAR)
hostile("064", "a long name, then nothing", long(b"x" * 20))
hostile("065", "two long names in a row", long(b"l1") + long(b"l2") + member(LAYER))
hostile("066", "a pax header of 2 GB", head(LAYER, tarfile.XHDTYPE, 2_000_000_000), Code.FORMAT_TAR)
hostile("067", "a size in a pax header that hides members", pax(("size", "1024")) + head(LAYER) + head("hidden") + head("hidden2"))
hostile("068", "a size in a pax header of a long name", pax(("size", "2048")) + long(b"longname") + member("a") + member("b"))
hostile("069", "a pax path for all members", pax(("path", "HOSTILE"), kind=tarfile.XGLTYPE) + member(LAYER))
hostile("070", "a pax size for all members", pax(("size", "512"), kind=tarfile.XGLTYPE) + member(LAYER))
PAX: dict[str, tuple[str, tuple[str, str] | bytes]] = {
    "071": ("a negative size", ("size", "-512")),
    "072": ("a size that is not a number", ("size", "abc")),
    "073": ("a size in full-width digits", ("size", "\uff13")),
    "074": ("a size with an underscore and spaces", ("size", " 1_0 ")),
    "075": ("a record longer than its header", b"999 path=x\n"),
    "076": ("a record of length 0", b"0 a=b"),
    "077": ("a record without a line end", b"10 path=xx"),
    "078": ("100,000 digits", b"1" * 100_000),
    "080": ("a path in no character set", b"21 hdrcharset=BINARY\n9 path=\xff\n"),
    "082": ("a path in place of a harmless one", ("path", "index.json")),
    "084": ("a capability among the attributes", ("SCHILY.xattr.security.capability", "\x01\x00\x00\x02")),
    "085": ("50,000 comments", _record("comment", "x" * 10) * 50_000),
    "086": ("a time that is not a number", ("mtime", "NaN")),
}
for _number, (_words, _one) in PAX.items():
    hostile(_number, f"{_words} in a pax header", pax(_one) + member(LAYER))
hostile("079", "two paths in a pax header", pax(("path", "index.json"), ("path", "HOSTILE")) + member(LAYER))
hostile("081", "two pax headers in a row", pax(("path", "index.json")) + pax(("path", "other")) + member(LAYER))
hostile("083", "an extended header of Solaris", pax(("path", "HOSTILE"), kind=b"X") + member(LAYER))
CASES.vector("TAR-082", "and as a vector", "tar-pax")

# --- fields of the header of a member that is there ---


def field(number: str, words: str, start: int, data: bytes) -> None:
    CASES.add(f"TAR-{number}", words, Code.FORMAT_TAR, lambda: making.patched(start, data))


def binary(value: int) -> bytes:
    return value.to_bytes(12, "big", signed=True) if value < 0 else b"\x80" + value.to_bytes(11, "big")


field("090", "a size of -512", 124, binary(-512))
field("091", "a size of -1024", 124, binary(-1024))
field("092", "a size of 2^62", 124, binary(1 << 62))
field("093", "a size as Python writes octal numbers", 124, b"0o000000003\0")
field("094", "a size with an underscore", 124, b"0000000_003\0")
field("095", "a size with a plus", 124, b"+0000000003\0")
field("096", "a size with a minus", 124, b"-0000000003\0")
field("097", "a size of spaces", 124, b" " * 12)
field("098", "a time of 2^62", 136, binary(1 << 62))
field("099", "an owner that is not a number", 108, b"rootroot")
field("112", "no magic, as before POSIX", 257, bytes(8))
for _number, _start, _data in (
    ("090", 124, binary(-512)),
    ("092", 124, binary(1 << 62)),
    ("093", 124, b"0o000000003\0"),
    ("097", 124, b" " * 12),
    ("098", 136, binary(1 << 62)),
):
    CASES.add(
        f"TAR-{_number}",
        f"and in the header of the seal, from which alone a size is read ({_start})",
        Code.FORMAT_TAR,
        partial(making.patched, _start, _data, number=0),
    )
CASES.vector("TAR-100", "a checksum that is wrong", "tar-checksum")
CASES.vector("TAR-110", "a prefix that leads out", "tar-prefix")
CASES.vector("TAR-111", "GNU's magic in a small member", "tar-gnu-magic")
CASES.add(
    "TAR-111",
    "a prefix beside GNU's magic",
    Code.FORMAT_TAR,
    lambda: fold(lambda before: patched(before[:512], (257, b"ustar  \0"), (345, b"..")) + before[512:]),
)
CASES.vector("TAR-109", "something in the padding", "tar-padding")

# --- where the tar ends ---

END = tar.END


def ending(end: bytes) -> Parts:
    return replace(base(), end=end)


hostile("101", "a block of garbage in the middle", b"\xff" * 512)
CASES.add(
    "TAR-102",
    "cut inside a header",
    Code.FORMAT_BUNDLE,
    lambda: replace(base(), records=making.at(-1, lambda before: before[:300]), end=b""),
)
CASES.add(
    "TAR-103",
    "cut inside a blob",
    Code.FORMAT_BUNDLE,
    lambda: replace(base(), records=making.at(-1, lambda before: before[:600]), end=b""),
)
CASES.add("TAR-104", "no blocks of zeros at the end", Code.FORMAT_BUNDLE, lambda: ending(b""))
CASES.vector("TAR-104", "one block of zeros at the end", "tar-short-end")
hostile("105", "a block of zeros, then members", bytes(512) + member("hidden"))
CASES.add("TAR-106", "members behind the end", Code.FORMAT_BUNDLE, lambda: ending(END + member("hidden")))
CASES.vector("TAR-106", "a member in the end", "tar-hidden-in-end")
CASES.add("TAR-107", "4 KiB of garbage behind the end", Code.FORMAT_BUNDLE, lambda: ending(END + b"\xff" * 4096))
CASES.vector("TAR-108", "the bundle twice", "file-twice")
CASES.add("TAR-108", "the tar twice", Code.FORMAT_BUNDLE, lambda: ending(END + whole()))
CASES.add(
    "TAR-130",
    "a header and nothing else",
    Code.FORMAT_BUNDLE,
    lambda: replace(base(), records=lambda records: [*records[:-1], records[-1][:512]], end=b""),
)
CASES.add("TAR-131", "the last member is longer than the file", Code.FORMAT_BUNDLE, lambda: base().editing("members", longer))


def longer(members: list[Any]) -> None:
    members[-1]["size"] += 512


def whole() -> bytes:
    return b"".join(making.contents_of(base()))


# --- members twice ---


def twice(name: str, data: bytes, *, first: bool = False) -> Parts:
    """A second record of that name, before or behind the genuine one."""

    def edited(records: list[bytes]) -> list[bytes]:
        at = 1 + [each.path for each in base().members].index(name)
        return [*records[: at + (not first)], member(name, data), *records[at + (not first) :]]

    return replace(base(), records=edited)


CASES.vector("TAR-113", "a member twice, and sealed so", "member-twice")
CASES.add("TAR-114", "index.json twice, the second of other bytes", Code.FORMAT_BUNDLE, lambda: twice(FIRST, b'{"manifests":[]}'))
CASES.add("TAR-115", "a blob twice, the second shorter", Code.FORMAT_BUNDLE, lambda: twice(LAYER, b"short"))
CASES.add("TAR-116", "a blob twice, the first hostile", Code.FORMAT_BUNDLE, lambda: twice(LAYER, b"hostile", first=True))
CASES.vector("TAR-116", "a blob of other bytes", "content-layer")

# --- no tar at all ---

FILES = {
    "123": ("no member at all", bytes(1024)),
    "124": ("no bytes", b""),
    "125": ("one byte", b"\0"),
    "126": ("100,000 bytes of noise", b"".join(hashlib.sha256(bytes([i % 256, i // 256])).digest() for i in range(3125))),
}
for _number, (_words, _data) in FILES.items():
    CASES.add(f"TAR-{_number}", _words, Code.FORMAT_BUNDLE, partial(bytes, _data))
CASES.add("TAR-123", "no member at all, in a frame", Code.FORMAT_BUNDLE, lambda: frames.compress(bytes(1024)))
CASES.add("TAR-127", "the tar in gzip", Code.FORMAT_BUNDLE, lambda: gzip.compress(whole(), mtime=0))
ZIP = base64.b64decode("UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==")
CASES.add("TAR-128", "a ZIP file behind the bundle", Code.CONTENT_TRUNCATED, lambda: base().file() + ZIP)
CASES.add("TAR-128", "a ZIP file behind the tar", Code.FORMAT_BUNDLE, lambda: ending(END + ZIP))

# --- very many of them ---

CASES.add(
    "TAR-140",
    "200,000 members that the seal does not list",
    Code.FORMAT_BUNDLE,
    lambda: beside(b"".join(tar.header(f"{i:x}", 0, mtime=0) for i in range(200_000))),
)
CASES.add("TAR-141", "64 MiB of zeros behind the end", Code.FORMAT_BUNDLE, lambda: ending(END + bytes(64 << 20)))
CASES.add("TAR-142", "50,000 long names and no file", Code.FORMAT_BUNDLE, lambda: beside(long(b"x" * 20) * 50_000))
