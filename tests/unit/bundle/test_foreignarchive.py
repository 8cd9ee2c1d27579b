"""Image layouts in archives that others wrote (``oci-archive:``): every dialect of tar that is in use, and what hides in one."""

import gzip
import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import zstandard

from bundler.bundle import foreignarchive, frames
from bundler.bundle.foreignarchive import open_archive
from bundler.errors import BundlerError, Code, FormatError, IncompleteError, UsageError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from tests.support.foreignarchives import BLOCK, Case, case_in, member, refused
from tests.support.layouts import Content, layout_files, tar_of, write_layout


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return case_in(tmp_path)


# --- archives that are fine ---


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("dotted", [False, True])
def test_every_form_of_tar_is_read(case: Case, form: int, dotted: bool) -> None:
    names = {("./" if dotted else "") + name: data for name, data in case.members.items()}
    with open_archive(case.archive(tar_of(names, format=form))) as layout:
        case.check(layout)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_sha512_which_fit_no_header_are_read(case: Case, form: int) -> None:
    content = Content()
    image = content.index(algorithm="sha512")
    members = layout_files(content, {"v1": image})
    if form == tarfile.USTAR_FORMAT:
        with pytest.raises(ValueError, match="too long"):
            tar_of(members, format=form)
        return
    with open_archive(case.archive(tar_of(members, format=form))) as layout:
        assert layout.repository(None).document("v1") == image


@pytest.mark.parametrize("last", [False, True])
def test_the_order_of_members_means_nothing(case: Case, last: bool) -> None:
    names = sorted(case.members, reverse=last)
    with open_archive(case.archive(tar_of({name: case.members[name] for name in names}))) as layout:
        case.check(layout)


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])


def framed(data: bytes) -> bytes:
    frames = [zstandard.ZstdCompressor(level=level).compress(part) for level, part in ((1, data[:5_000]), (19, data[5_000:]))]
    return frames[0] + b"\x50\x2a\x4d\x18\x04\0\0\0skip" + frames[1]


@pytest.mark.parametrize("compressed", [gzip.compress, gzipped, zstandard.ZstdCompressor().compress, framed])
def test_compressed_archives_are_read(case: Case, compressed: Callable[[bytes], bytes]) -> None:
    with open_archive(case.archive(compressed(tar_of(case.members)))) as layout:
        case.check(layout)


@pytest.mark.parametrize("options", [["--format=gnu"], ["--format=posix"], ["--format=ustar"], ["-z"], ["--zstd"]])
def test_what_gnu_tar_makes_of_a_folder_is_read(case: Case, tmp_path: Path, options: list[str]) -> None:
    folder = write_layout(tmp_path / "layout", case.content, {"v1": case.image, **case.content.tags})
    subprocess.run(["tar", *options, "-C", folder, "-cf", tmp_path / "archive", "."], check=True)
    with open_archive(tmp_path / "archive") as layout:
        case.check(layout)


def test_folders_and_files_of_no_layout_are_passed_over(case: Case) -> None:
    more = {"manifest.json": b"[]", "repositories": b"{}", "oci-bundler/seal.json": b"{}", "../evil": b"x", "/etc/passwd": b"x"}
    more |= {"blobs/sha256/short": b"x", "blobs/md5/" + "0" * 32: b"x", "INDEX.JSON": b"{}", "index.json.": b"{}", "index.json:x": b"{}"}
    more |= {"blobs/sha256/" + "A" * 64: b"x", "blobs/sha256/x/" + "0" * 64: b"x", "x/index.json": b"x", "x//y/.././z": b"x"}
    more |= {"blobs/sha256/" + "0" * 63: b"x", "blobs/sha512/" + "0" * 64: b"x"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in ("blobs", "blobs/sha256", "./"):
            folder = tarfile.TarInfo(name)
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
    inside = buffer.getvalue().rstrip(b"\0")
    inside += bytes(-len(inside) % BLOCK)
    with open_archive(case.archive(inside + tar_of(case.members | more))) as layout:
        case.check(layout)


def test_a_plain_archive_is_read_where_it_lies(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: pytest.fail("nothing is copied"))
    with open_archive(case.archive(tar_of(case.members))) as layout:
        layout.image(None)


def test_nothing_is_left_of_a_compressed_one(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with open_archive(case.archive(gzip.compress(tar_of(case.members)))) as layout:
        layout.image(None)
        assert list((tmp_path / "temporary").iterdir()) == []


def test_an_archive_cannot_be_written_to(case: Case) -> None:
    with open_archive(case.archive(tar_of(case.members))) as layout:
        assert not layout.writable
        with pytest.raises(UsageError, match="cannot be written to"):
            layout.repository(None).put(Descriptor.of(b"x", "text/plain"), lambda: iter([b"x"]))
        with pytest.raises(UsageError, match="cannot be written to"):
            layout.repository(None).put_document(Content().index(platforms=[]), tag="v1")


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_hole_of_eight_gibibytes_is_no_burden(case: Case, tmp_path: Path, form: Literal[1, 2]) -> None:
    """From that size on, GNU tar writes it in binary; in pax, which has a record for it, the header says 0."""
    path, size = tmp_path / "large.tar", 8 << 30
    large = tarfile.TarInfo(f"blobs/sha256/{Digest.of(b'large').encoded}")
    large.size = size
    header = large.tobuf(form)
    with path.open("wb") as file:
        file.write(header)
        file.seek(len(header) + size)
        file.write(tar_of(case.members))
    with open_archive(path) as layout:
        case.check(layout)
        assert not layout.has(Descriptor("a/b", Digest.of(b"large"), 1))


# --- archives that are not ---


def patched(block: bytes, at: int, field: bytes) -> bytes:
    """The member with another field in its header, and the checksum that fits."""
    header = block[:at] + field + block[at + len(field) : BLOCK]
    header = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(header) + header[156:] + block[BLOCK:]


def pax(*records: tuple[bytes, bytes], raw: bytes | None = None, type: bytes = tarfile.XHDTYPE) -> bytes:  # noqa: A002
    data = raw if raw is not None else b"".join(_record(key, value) for key, value in records)
    return member("pax", data, type=type)


def _record(key: bytes, value: bytes) -> bytes:
    line = b" %b=%b\n" % (key, value)
    length = len(line) + 1
    while len(str(length)) + len(line) != length:
        length += 1
    return str(length).encode() + line


def hostile() -> dict[str, tuple[bytes, int, Code]]:
    """What stands before the case.members of an archive that is otherwise fine, and how that ends."""
    name, other = f"blobs/sha256/{'0' * 64}", f"blobs/sha256/{'1' * 64}"
    tar, size = (3, Code.FORMAT_TAR), slice(124, 136)
    plain = member(name, b"abc")
    return {
        "index.json twice": (member("index.json", b"{}"), *tar),  # LAY, R5
        "index.json twice, once with a dot": (member("./index.json", b"{}"), *tar),  # TAR-012
        "a blob twice": (plain + plain, *tar),
        **{
            f"{spelling % 'index.json'} beside index.json": (member(spelling % "index.json", b"{}"), *tar)
            for spelling in (".//%s", "././%s", "/%s", "//%s", "/./%s", "a/../%s", "../%s", "./a/..//%s", "%s/", "%s/.", "%s//", "%s/x/..")
        },
        **{
            f"a blob as {spelling % name[-4:]}": (member(spelling % name, b"abc"), *tar)
            for spelling in (".//%s", "/%s", "blobs/../%s", "blobs//sha256/../../%s")
        },
        "a blob behind two slashes": (member(name.replace("/", "//"), b"abc"), *tar),
        "a long name in another spelling": (member("L", b".//index.json\0", type=b"L") + plain, *tar),
        "a pax path in another spelling": (pax((b"path", b"/index.json")) + plain, *tar),
        **{
            f"a folder named {folder[-14:]}": (member(folder, type=tarfile.DIRTYPE), *tar)
            for folder in ("index.json", "index.json/", "./oci-layout", "x/../index.json", name, f"{name}/below", "index.json/x")
        },
        "a folder of that name by a long name": (member("L", b"index.json\0", type=b"L") + member("x", type=tarfile.DIRTYPE), *tar),
        "an old folder of that name": (member("index.json/", type=tarfile.AREGTYPE), *tar),
        "an old folder with content": (member("x/", b"abc", type=tarfile.AREGTYPE), *tar),
        "a file below a file": (member("index.json/x", b"abc"), *tar),
        "a file below a blob": (member(f"{name}/x/y/z", b"abc"), *tar),
        **{f"a file named {folder}": (member(folder, b"abc"), *tar) for folder in ("blobs", "./blobs/sha256", "blobs/sha512", ".", "x/")},
        "a folder that a pax header gives content": (pax((b"size", b"512")) + member("x", type=tarfile.DIRTYPE), *tar),
        "a symlink named index.json": (member("index.json", type=tarfile.SYMTYPE, linkname="x"), *tar),
        "a hard link named index.json": (member("index.json", type=tarfile.LNKTYPE, linkname=name), *tar),
        "a symlink": (member(name, type=tarfile.SYMTYPE, linkname="/etc/passwd"), *tar),  # TAR-030
        "a symlink elsewhere": (member("x", type=tarfile.SYMTYPE, linkname="y"), *tar),
        "a folder that is a symlink": (member("blobs", type=tarfile.SYMTYPE, linkname="/etc"), *tar),  # TAR-032
        "a hard link": (plain + member(other, type=tarfile.LNKTYPE, linkname=name), *tar),  # TAR-037
        "a character device": (member(name, type=tarfile.CHRTYPE), *tar),  # TAR-041
        "a block device": (member(name, type=tarfile.BLKTYPE), *tar),
        "a FIFO": (member(name, type=tarfile.FIFOTYPE), *tar),  # TAR-043
        "an unknown type": (member(name, b"x", type=b"Z"), *tar),  # TAR-044
        "a contiguous file": (member(name, b"x", type=tarfile.CONTTYPE), *tar),  # TAR-045
        "a sparse file": (member(name, b"x", type=tarfile.GNUTYPE_SPARSE), *tar),  # TAR-046
        "a volume": (member(name, b"x", type=b"V"), *tar),
        "a long link name": (member("././@LongLink", b"x\0", type=tarfile.GNUTYPE_LONGLINK), *tar),  # TAR-061
        "a folder with content": (member("blobs", member(name), type=tarfile.DIRTYPE), *tar),
        "a damaged header": (b"\xff" * BLOCK, *tar),  # TAR-101
        "a wrong checksum": (plain[:148] + b"000000\0 " + plain[156:], *tar),  # TAR-100
        "an end that goes on": (bytes(BLOCK) + plain, *tar),
        "a negative size": (patched(plain, size.start, b"\xff" * 12), *tar),  # TAR-090
        "a size of 2^63": (patched(plain, size.start, b"\x80" + (1 << 63).to_bytes(11, "big")), *tar),
        "a size of 2^62": (patched(plain, size.start, b"\x80" + (1 << 62).to_bytes(11, "big")), *tar),
        "a size of 2^80": (patched(plain, size.start, b"\x80" + (1 << 80).to_bytes(11, "big")), *tar),
        "a size with 0o": (patched(plain, size.start, b"0o000000003\0"), *tar),  # TAR-093
        "a size with _": (patched(plain, size.start, b"0000000_003\0"), *tar),  # TAR-094
        "a size with +": (patched(plain, size.start, b"+0000000003\0"), *tar),  # TAR-095
        "a size with -": (patched(plain, size.start, b"-0000000003\0"), *tar),  # TAR-096
        "a blank size": (patched(plain, size.start, b" " * 12), *tar),  # TAR-097
        "a size that is no number": (patched(plain, size.start, b"abcdefghijk\0"), *tar),
        "a long name of 3 GB": (patched(member("L", type=tarfile.GNUTYPE_LONGNAME), size.start, b"26264057000\0"), *tar),  # TAR-062
        "two long names": (member("L", b"a\0", type=b"L") + member("L", b"b\0", type=b"L") + plain, *tar),  # TAR-065
        "a long name with a zero byte": (member("L", b"index.json\0.evil\0", type=b"L") + plain, *tar),  # TAR-007
        "a pax header of 2 GB": (patched(member("x", type=b"x"), size.start, b"17777777777\0"), *tar),  # TAR-066
        "a pax size that hides members": (pax((b"size", b"1024")) + member(other) + plain, *tar),  # TAR-067
        "a pax size before a long name": (pax((b"size", b"2048")) + member("L", b"a\0", type=b"L") + plain, *tar),  # TAR-068
        "a path for all": (pax((b"path", b"x"), type=b"g") + plain, *tar),  # TAR-069
        "a size for all": (pax((b"size", b"512"), type=b"g") + plain, *tar),  # TAR-070
        "a negative pax size": (pax((b"size", b"-512")) + plain, *tar),  # TAR-071
        "a pax size of letters": (pax((b"size", b"abc")) + plain, *tar),  # TAR-072
        "a pax size in full width": (pax((b"size", "\uff13".encode())) + plain, *tar),  # TAR-073
        "a pax size with _": (pax((b"size", b" 1_0 ")) + plain, *tar),  # TAR-074
        "a pax record that is too long": (pax(raw=b"999 path=x\n") + plain, *tar),  # TAR-075
        "a pax record of length 0": (pax(raw=b"0 a=b\n") + plain, *tar),  # TAR-076
        "a pax record of length 1": (pax(raw=b"1 a=b\n") + plain, *tar),
        "a pax record without an end": (pax(raw=b"10 path=xx") + plain, *tar),  # TAR-077
        "a pax record without =": (pax(raw=b"7 path\n") + plain, *tar),
        "a pax header of digits": (pax(raw=b"9" * 60_000) + plain, *tar),  # TAR-078
        "a pax path twice": (pax((b"path", b"index.json"), (b"path", b"x")) + plain, *tar),  # TAR-079
        "two pax headers": (pax((b"path", b"a")) + pax((b"path", b"b")) + plain, *tar),  # TAR-081
        "an empty pax path": (pax((b"path", b"")) + plain, *tar),
        "a pax path with a zero byte": (pax((b"path", b"index.json\0x")) + plain, *tar),
        "an empty pax size": (pax((b"size", b"")) + plain, *tar),
        "an empty long name": (member("L", b"\0", type=b"L") + plain, *tar),
        "a pax size beside another": (pax((b"size", b"4")) + plain, *tar),
        "a sparse file of star": (pax((b"SCHILY.realsize", b"3")) + plain, *tar),
        "a sparse file of Solaris": (pax((b"SUN.holesdata", b" 0 3")) + plain, *tar),
        "holes for all": (pax((b"GNU.sparse.major", b"1"), type=b"g") + plain, *tar),
        "a part of a volume": (pax((b"GNU.volume.offset", b"512")) + plain, *tar),
        "a prefix without a magic": (patched(patched(member("x", b"abc"), 257, bytes(8)), 345, b"blobs"), *tar),
        "a prefix in a header of GNU": (patched(member("x", b"abc"), 345, b"00000000000"), *tar),
        "a prefix in a header of star": (
            patched(patched(patched(member("x", b"abc"), 257, b"ustar\x0000"), 345, b"blobs"), 508, b"tar\0"),
            *tar,
        ),
        "a pax sparse file": (pax((b"GNU.sparse.realsize", b"3")) + plain, *tar),  # TAR-048
        "a Solaris header": (pax((b"path", b"x"), type=b"X") + plain, *tar),  # TAR-083
        "a size beyond the file": (patched(plain, size.start, b"77777777777\0"), 4, Code.CONTENT_TRUNCATED),
        "a size of 2^61": (patched(plain, size.start, b"\x80" + (1 << 61).to_bytes(11, "big")), 4, Code.CONTENT_TRUNCATED),  # TAR-092
    }


@pytest.mark.parametrize("trick", hostile())
def test_what_two_readers_could_read_in_two_ways_is_refused(case: Case, trick: str) -> None:
    before, status, code = hostile()[trick]
    assert refused(case.archive(before + tar_of(case.members))) == (status, code)


def test_what_a_prefix_puts_before_a_name_counts(case: Case) -> None:
    index = case.members.pop("index.json")
    blob = next(name for name in case.members if name.startswith("blobs/"))
    folder, _, rest = blob.partition("/")
    split = patched(patched(member(rest, case.members.pop(blob)), 257, b"ustar\x0000"), 345, folder.encode())
    with open_archive(case.archive(split + tar_of(case.members | {"index.json": index}))) as layout:
        case.check(layout)
    twice = patched(patched(member("index.json", index), 257, b"ustar\x0000"), 345, b".")
    assert refused(case.archive(twice + tar_of(case.members | {"index.json": index}))) == (3, Code.FORMAT_TAR)


def ended(data: bytes) -> bytes:
    """The tar up to its end, without what pads it."""
    length = len(data.rstrip(b"\0"))
    return data[: length + -length % BLOCK + 2 * BLOCK]


@pytest.mark.parametrize("padding", [0, 1, 511, 512, 100_000, 10 << 20])
def test_zeros_behind_the_end_are_padding(case: Case, padding: int) -> None:
    with open_archive(case.archive(ended(tar_of(case.members)) + bytes(padding))) as layout:
        case.check(layout)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
@pytest.mark.parametrize("before", [0, 1, 512, 10_000, 300_000])
@pytest.mark.parametrize("what", [b"x", member("index.json", b"{}") + bytes(2 * BLOCK)])
def test_anything_else_behind_the_end_is_refused(case: Case, compress: Callable[[bytes], bytes], before: int, what: bytes) -> None:
    """GNU tar reads on there with --ignore-zeros, and so do those who join archives."""
    assert refused(case.archive(compress(ended(tar_of(case.members)) + bytes(before) + what))) == (3, Code.FORMAT_TAR)


def test_a_name_that_a_pax_header_gives_counts(case: Case) -> None:
    index = case.members.pop("index.json")
    renamed = pax((b"path", b"index.json"), (b"mtime", b"nan"), (b"comment", b"x")) + member("harmless", index)
    with open_archive(case.archive(renamed + tar_of(case.members))) as layout:
        case.check(layout)


@pytest.mark.parametrize("length", [40, (64 << 10) - len(b"65536 comment=\n")])
def test_a_comment_for_all_members_is_no_matter(case: Case, length: int) -> None:
    with open_archive(case.archive(pax((b"comment", b"0" * length), type=b"g") + tar_of(case.members))) as layout:
        case.check(layout)


def test_a_comment_of_more_than_64_kib_is_refused(case: Case) -> None:
    header = pax((b"comment", b"0" * ((64 << 10) - len(b"65536 comment=\n") + 1)))
    assert refused(case.archive(header + tar_of(case.members))) == (3, Code.FORMAT_TAR)


def test_an_extension_without_a_member_is_refused(case: Case) -> None:
    data = tar_of(case.members)
    end = len(data.rstrip(b"\0"))
    end += -end % BLOCK
    assert refused(case.archive(data[:end] + pax((b"path", b"x")) + bytes(2 * BLOCK))) == (3, Code.FORMAT_TAR)  # TAR-064


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_cut_anywhere_it_is_corrupt(case: Case, compress: Callable[[bytes], bytes]) -> None:
    plain = tar_of(case.members)
    ended = len(plain.rstrip(b"\0"))
    data = compress(plain[: ended + -ended % BLOCK + 2 * BLOCK])
    behind = 0 if compress is bytes else 12  # the checksum of what is there in whole
    for length in {*range(10, len(data) - behind, 997), len(data) - behind - 1, len(data) // 2}:
        status, code = refused(case.archive(data[:length]))
        assert (status, code) == (4, Code.CONTENT_TRUNCATED), f"cut at {length} of {len(data)}"


def test_cut_in_a_pax_header_it_is_corrupt(case: Case) -> None:
    assert refused(case.archive(pax((b"path", b"index.json"))[: BLOCK + 5])) == (4, Code.CONTENT_TRUNCATED)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress])
def test_a_damaged_one_is_corrupt(case: Case, compress: Callable[[bytes], bytes]) -> None:
    data = bytearray(compress(tar_of(case.members)))
    data[len(data) // 2] ^= 0xFF
    status, code = refused(case.archive(bytes(data)))
    assert status in (3, 4)
    assert code in (Code.CONTENT_FRAME, Code.CONTENT_TRUNCATED, Code.FORMAT_TAR)


def test_a_damaged_checksum_is_corrupt(case: Case) -> None:
    data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(tar_of(case.members)))
    data[-1] ^= 1
    assert refused(case.archive(bytes(data))) == (4, Code.CONTENT_FRAME)
    data = bytearray(gzip.compress(tar_of(case.members)))
    data[-6] ^= 1
    assert refused(case.archive(bytes(data))) == (4, Code.CONTENT_FRAME)


def zstd(data: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(data)


def flushed(data: bytes) -> bytes:
    """A frame of many blocks, without the size of its content, as a writer makes it that does not know what comes."""
    stream = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    pieces = [stream.compress(data[at : at + 500]) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for at in range(0, len(data), 500)]
    return b"".join(pieces) + stream.flush()


SKIPPABLE = b"\x5f\x2a\x4d\x18\x05\0\0\0hello"


@pytest.mark.parametrize(
    "compress",
    [
        pytest.param(gzip.compress, id="gzip"),
        pytest.param(gzipped, id="gzip, two members"),
        pytest.param(zstd, id="zstd"),
        pytest.param(lambda data: zstd(data, write_checksum=True), id="zstd, checksum"),
        pytest.param(lambda data: zstd(data, write_content_size=False), id="zstd, no content size"),
        pytest.param(flushed, id="zstd, many blocks"),
        pytest.param(framed, id="zstd, three frames"),
        pytest.param(lambda data: zstd(data) + SKIPPABLE, id="zstd, skippable last"),
        pytest.param(lambda data: zstd(data) + zstd(b"", write_checksum=True), id="zstd, an empty frame last"),
        pytest.param(lambda data: zstd(data) + zstd(bytes(5_000_000)), id="zstd, blocks of one byte last"),
    ],
)
def test_a_compressed_archive_that_lacks_a_byte_is_never_read(case: Case, compress: Callable[[bytes], bytes]) -> None:
    """Even where all of the tar comes out of what is there; but for where the last frame begins, before which nothing is missing."""
    data = compress(tar_of(case.members))
    first = zstd(tar_of(case.members))
    whole = {len(first)} if data.startswith(first) else set()
    with open_archive(case.archive(data)) as layout:
        case.check(layout)
    for length in {*range(len(data) - 30, len(data)), *range(20, len(data), 499)}:
        if length not in whole:
            assert refused(case.archive(data[:length])) == (4, Code.CONTENT_TRUNCATED), f"cut at {length} of {len(data)}"


@pytest.mark.parametrize("byte", range(-8, 0))
def test_a_wrong_checksum_or_size_of_gzip_is_damage(case: Case, byte: int) -> None:
    data = bytearray(gzip.compress(tar_of(case.members)))
    data[byte] ^= 1
    assert refused(case.archive(bytes(data))) == (4, Code.CONTENT_FRAME)


@pytest.mark.parametrize("byte", range(-4, 0))
def test_a_wrong_checksum_of_zstd_is_damage(case: Case, byte: int) -> None:
    for tail in (b"", SKIPPABLE, zstd(b"")):
        data = bytearray(zstd(tar_of(case.members), write_checksum=True))
        data[byte] ^= 1
        assert refused(case.archive(bytes(data) + tail)) == (4, Code.CONTENT_FRAME)


@pytest.mark.parametrize("off", [-1, 1, 1 << 20])
def test_a_wrong_content_size_of_zstd_is_damage(case: Case, off: int) -> None:
    plain = tar_of(case.members).ljust(70_000, b"\0")
    data = bytearray(zstd(plain))
    assert data[4] & 0xE0 == 0xA0, "a single segment, and four bytes of content size"
    data[5:9] = (len(plain) + off).to_bytes(4, "little")
    assert refused(case.archive(bytes(data))) == (4, Code.CONTENT_FRAME)


@pytest.mark.parametrize("tail", [b"JUNKJUNK", b"\x28\xb5\x2f\xfe" + bytes(20), b"\x60\x2a\x4d\x18\0\0\0\0"])
@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_what_is_no_frame_behind_the_last_is_damage(case: Case, compress: Callable[[bytes], bytes], tail: bytes) -> None:
    assert refused(case.archive(compress(tar_of(case.members)) + tail)) == (4, Code.CONTENT_FRAME)


def test_a_file_of_empty_blocks_is_not_walked_for_long(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_BLOCKS", 1000)
    empty = b"\x28\xb5\x2f\xfd\x00\x00" + b"\0\0\0" * 998
    assert refused(case.archive(empty + b"\x01\0\0")) == (4, Code.CONTENT_TRUNCATED)  # there is no tar in it
    assert refused(case.archive(empty + b"\0\0\0\x01\0\0")) == (4, Code.CONTENT_TRUNCATED)
    assert refused(case.archive(empty + b"\0\0\0\0\0\0\x01\0\0")) == (3, Code.LIMIT_ARCHIVE)


def test_a_blob_of_other_bytes_is_seen(case: Case) -> None:
    name = f"blobs/sha256/{case.image.digest.encoded}"
    with open_archive(case.archive(tar_of(case.members | {name: case.members[name][:-1] + b" "}))) as layout:
        with pytest.raises(BundlerError) as caught:
            layout.repository(None).document("v1")
        assert (caught.value.exit, caught.value.code) == (4, Code.CONTENT_DIGEST)


def test_a_blob_that_is_not_there_is_missing(case: Case) -> None:
    del case.members[f"blobs/sha256/{case.image.digest.encoded}"]
    with open_archive(case.archive(tar_of(case.members))) as layout:
        with pytest.raises(IncompleteError):
            layout.repository(None).document("v1")
        with pytest.raises(IncompleteError):
            list(layout.chunks(case.image.descriptor))


@pytest.mark.parametrize("missing", ["oci-layout", "index.json"])
def test_an_archive_of_something_else_is_malformed(case: Case, missing: str) -> None:
    del case.members[missing]
    assert refused(case.archive(tar_of(case.members))) == (3, Code.FORMAT_LAYOUT)


def linked(files: dict[str, bytes], kind: bytes = tarfile.SYMTYPE) -> bytes:
    """An archive whose first member is a link, as in those of skopeo's ``docker-archive:``."""
    link = tarfile.TarInfo("0123/layer.tar")
    link.type, link.linkname = kind, "../4567.tar"
    return link.tobuf() + tar_of(files)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_docker_archive_is_told_with_the_command_that_converts_it(case: Case, kind: bytes) -> None:
    path = case.archive(linked({"4567.tar": b"layer", "89ab.json": b"{}", "manifest.json": b"[]", "repositories": b"{}"}, kind))
    with pytest.raises(FormatError, match="is a docker-archive and not an image layout") as raised:
        open_archive(path)
    assert raised.value.code is Code.FORMAT_LAYOUT
    assert f"skopeo copy docker-archive:{path.name} oci:DIR:NAME" in (raised.value.next or "")


@pytest.mark.parametrize("more", [{}, {"manifest.json": b"[]"}])
def test_a_layout_with_a_link_is_refused_whatever_else_it_holds(case: Case, more: dict[str, bytes]) -> None:
    assert refused(case.archive(linked(case.members | more))) == (3, Code.FORMAT_TAR)


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 2_000])
def test_what_is_no_archive_is_refused(case: Case, data: bytes) -> None:
    status, code = refused(case.archive(data))
    assert (status, code) in ((3, Code.FORMAT_TAR), (4, Code.CONTENT_TRUNCATED))


@pytest.mark.parametrize(("magic", "name"), [(b"PK\x03\x04", "zip"), (b"BZh9", "bzip2"), (b"\xfd7zXZ\0", "xz")])
def test_an_archive_in_another_compression_is_told_which(case: Case, magic: bytes, name: str) -> None:
    with pytest.raises(FormatError, match=f"is compressed with {name}.*wanted plain tar, gzip or zstd") as caught:
        open_archive(case.archive(magic + bytes(600)))
    assert caught.value.code is Code.FORMAT_TAR


def test_a_window_beyond_every_decoder_is_refused(case: Case) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    stream = compressor.compressobj()
    assert refused(case.archive(stream.compress(tar_of(case.members)) + stream.flush())) == (4, Code.CONTENT_FRAME)


def test_too_many_members_are_refused(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreignarchive, "MAX_MEMBERS", 100)
    assert refused(case.archive(member("x") * 101 + bytes(2 * BLOCK))) == (3, Code.LIMIT_ARCHIVE)


def test_a_file_that_cannot_be_read_is_a_mistake_of_the_person(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in ("absent", "fifo", "."):
        assert refused(tmp_path / name) == (2, Code.USAGE_INPUT)


def test_a_file_that_becomes_shorter_is_corrupt(case: Case) -> None:
    path = case.archive(tar_of(case.members))
    with open_archive(path) as layout:
        os.truncate(path, 100)
        with pytest.raises(BundlerError) as caught:
            list(layout.chunks(case.content.documents[case.image.children[0].digest].blobs[0]))
        assert (caught.value.exit, caught.value.code) == (4, Code.CONTENT_TRUNCATED)


def test_no_file_stays_open(case: Case) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for data in (
        tar_of(case.members),
        gzip.compress(tar_of(case.members)),
        b"x" * 2_000,
        gzip.compress(b"x" * 2_000),
        gzip.compress(tar_of({})),
    ):
        try:
            open_archive(case.archive(data)).close()
        except BundlerError:
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) <= before  # what tests before this one left may have been closed


@pytest.mark.parametrize(
    "header",
    [pax(raw=b"11 comment\n"), pax((b"path", b"")), member("L", b"\0", type=b"L")],
    ids=["a record without =", "an empty path", "an empty long name"],
)
def test_an_extension_that_says_nothing_is_refused_before_a_folder_too(case: Case, header: bytes) -> None:
    """Whose name nothing asks for."""
    rest = member("folder", type=tarfile.DIRTYPE) + tar_of(case.members)
    with open_archive(case.archive(rest)):
        pass
    assert refused(case.archive(header + rest)) == (3, Code.FORMAT_TAR)


def test_more_than_64_mib_behind_the_end_are_not_read(case: Case) -> None:
    path = case.archive(ended(tar_of(case.members)))
    size = path.stat().st_size
    os.truncate(path, size + (64 << 20))
    with open_archive(path) as layout:
        case.check(layout)
    os.truncate(path, size + (64 << 20) + 1)
    assert refused(path) == (3, Code.LIMIT_ARCHIVE)


def test_what_unpacks_to_64_mib_is_no_bomb_and_a_byte_more_is_one(case: Case) -> None:
    data = tar_of(case.members).ljust(64 << 20, b"\0")
    with open_archive(case.archive(zstandard.compress(data))) as layout:
        case.check(layout)
    assert refused(case.archive(zstandard.compress(data + b"\0"))) == (3, Code.LIMIT_ARCHIVE)
