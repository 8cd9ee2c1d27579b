"""Image layouts in archives that others wrote (``oci-archive:``): every dialect of tar that is in use, and what hides in one."""

import gzip
import io
import os
import resource
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

from bundler.bundle import foreign
from bundler.bundle.foreign import open_archive
from bundler.content.layout import Layout
from bundler.errors import BundlerError, Code, FormatError, IncompleteError, UsageError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support.layouts import Content, layout_files, tar_of, write_layout

BLOCK = 512


@dataclass(frozen=True)
class Case:
    """A layout with one image and all that vouches for it, and a place for an archive of it."""

    folder: Path
    content: Content
    image: Document
    members: dict[str, bytes]

    def archive(self, data: bytes) -> Path:
        path = self.folder / "layout.tar"
        path.write_bytes(data)
        return path

    def check(self, layout: Layout) -> None:
        """It is that layout."""
        assert layout.image(None).descriptor.digest == self.image.digest
        repository = layout.repository(None)
        assert repository.document(f"{self.image.digest.tag}.sig") == self.content.tags[f"{self.image.digest.tag}.sig"]
        assert len(repository.referrers(self.image.digest).listed) == 1
        for document in self.content.below(self.image):
            assert repository.document(document.digest) == document
            for blob in document.blobs:
                assert repository.has(blob)
                assert b"".join(repository.chunks(blob)) == self.content.blobs[blob.digest]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    content = Content()
    image = content.index("words")
    content.sig(image.digest, (b"{}", b"signature"))
    content.bundle(image, b"{}")
    return Case(tmp_path, content, image, layout_files(content, {"v1": image, **content.tags}))


# --- archives that are fine ---


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("dotted", [False, True])
def test_every_form_of_tar_is_read(case: Case, form: int, dotted: bool):
    names = {("./" if dotted else "") + name: data for name, data in case.members.items()}
    with open_archive(case.archive(tar_of(names, format=form))) as layout:
        case.check(layout)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_sha512_which_fit_no_header_are_read(case: Case, form: int):
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
def test_the_order_of_members_means_nothing(case: Case, last: bool):
    names = sorted(case.members, reverse=last)
    with open_archive(case.archive(tar_of({name: case.members[name] for name in names}))) as layout:
        case.check(layout)


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])


def framed(data: bytes) -> bytes:
    frames = [zstandard.ZstdCompressor(level=level).compress(part) for level, part in ((1, data[:5_000]), (19, data[5_000:]))]
    return frames[0] + b"\x50\x2a\x4d\x18\x04\0\0\0skip" + frames[1]


@pytest.mark.parametrize("compressed", [gzip.compress, gzipped, zstandard.ZstdCompressor().compress, framed])
def test_compressed_archives_are_read(case: Case, compressed: Callable[[bytes], bytes]):
    with open_archive(case.archive(compressed(tar_of(case.members)))) as layout:
        case.check(layout)


@pytest.mark.parametrize("options", [["--format=gnu"], ["--format=posix"], ["--format=ustar"], ["-z"], ["--zstd"]])
def test_what_gnu_tar_makes_of_a_folder_is_read(case: Case, tmp_path: Path, options: list[str]):
    folder = write_layout(tmp_path / "layout", case.content, {"v1": case.image, **case.content.tags})
    subprocess.run(["tar", *options, "-C", folder, "-cf", tmp_path / "archive", "."], check=True)
    with open_archive(tmp_path / "archive") as layout:
        case.check(layout)


def test_folders_and_files_of_no_layout_are_passed_over(case: Case):
    more = {"manifest.json": b"[]", "repositories": b"{}", "oci-bundler/seal.json": b"{}", "../evil": b"x", "/etc/passwd": b"x"}
    more |= {"blobs/sha256/short": b"x", "blobs/md5/" + "0" * 32: b"x", "INDEX.JSON": b"{}", "index.json.": b"{}", "index.json:x": b"{}"}
    more |= {"blobs//sha256/" + "0" * 64: b"x", "blobs/sha256/" + "A" * 64: b"x", "blobs/sha256/" + "0" * 64 + "/x": b"x"}
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


def test_a_plain_archive_is_read_where_it_lies(case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: pytest.fail("nothing is copied"))
    with open_archive(case.archive(tar_of(case.members))) as layout:
        assert layout.image(None)


def test_nothing_is_left_of_a_compressed_one(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with open_archive(case.archive(gzip.compress(tar_of(case.members)))) as layout:
        assert layout.image(None)
        assert list((tmp_path / "temporary").iterdir()) == []


def test_an_archive_cannot_be_written_to(case: Case):
    with open_archive(case.archive(tar_of(case.members))) as layout:
        assert not layout.writable
        with pytest.raises(UsageError, match="cannot be written to"):
            layout.repository(None).put(Descriptor.of(b"x", "text/plain"), lambda: iter([b"x"]))
        with pytest.raises(UsageError, match="cannot be written to"):
            layout.repository(None).put_document(Content().index(platforms=[]), tag="v1")


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_hole_of_eight_gibibytes_is_no_burden(case: Case, tmp_path: Path, form: int):
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


def refused(path: Path) -> tuple[int, Code]:
    with pytest.raises(BundlerError) as caught, open_archive(path):
        pass
    return caught.value.exit, caught.value.code


def member(name: str | bytes, data: bytes = b"", *, type: bytes = tarfile.REGTYPE, **changed: Any) -> bytes:  # noqa: A002 - tarfile's word
    """Header and content of one member."""
    info = tarfile.TarInfo(name if isinstance(name, str) else name.decode("latin-1"))
    info.type, info.size = type, len(data)
    for key, value in changed.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % BLOCK)


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
        "a pax sparse file": (pax((b"GNU.sparse.realsize", b"3")) + plain, *tar),  # TAR-048
        "a Solaris header": (pax((b"path", b"x"), type=b"X") + plain, *tar),  # TAR-083
        "a size beyond the file": (patched(plain, size.start, b"77777777777\0"), 4, Code.CONTENT_TRUNCATED),
        "a size of 2^61": (patched(plain, size.start, b"\x80" + (1 << 61).to_bytes(11, "big")), 4, Code.CONTENT_TRUNCATED),  # TAR-092
    }


@pytest.mark.parametrize("trick", hostile())
def test_what_two_readers_could_read_in_two_ways_is_refused(case: Case, trick: str):
    before, status, code = hostile()[trick]
    assert refused(case.archive(before + tar_of(case.members))) == (status, code)


def test_a_name_that_a_pax_header_gives_counts(case: Case):
    index = case.members.pop("index.json")
    renamed = pax((b"path", b"index.json"), (b"mtime", b"nan"), (b"comment", b"x")) + member("harmless", index)
    with open_archive(case.archive(renamed + tar_of(case.members))) as layout:
        case.check(layout)


@pytest.mark.parametrize("length", [40, (64 << 10) - len(b"65536 comment=\n")])
def test_a_comment_for_all_members_is_no_matter(case: Case, length: int):
    with open_archive(case.archive(pax((b"comment", b"0" * length), type=b"g") + tar_of(case.members))) as layout:
        case.check(layout)


def test_a_comment_of_more_than_64_kib_is_refused(case: Case):
    header = pax((b"comment", b"0" * ((64 << 10) - len(b"65536 comment=\n") + 1)))
    assert refused(case.archive(header + tar_of(case.members))) == (3, Code.FORMAT_TAR)


def test_an_extension_without_a_member_is_refused(case: Case):
    data = tar_of(case.members)
    end = len(data.rstrip(b"\0"))
    end += -end % BLOCK
    assert refused(case.archive(data[:end] + pax((b"path", b"x")) + bytes(2 * BLOCK))) == (3, Code.FORMAT_TAR)  # TAR-064


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_cut_anywhere_it_is_corrupt(case: Case, compress: Callable[[bytes], bytes]):
    plain = tar_of(case.members)
    ended = len(plain.rstrip(b"\0"))
    data = compress(plain[: ended + -ended % BLOCK + 2 * BLOCK])
    behind = 0 if compress is bytes else 12  # the checksum of what is there in whole
    for length in {*range(10, len(data) - behind, 997), len(data) - behind - 1, len(data) // 2}:
        status, code = refused(case.archive(data[:length]))
        assert (status, code) == (4, Code.CONTENT_TRUNCATED), f"cut at {length} of {len(data)}"


def test_cut_in_a_pax_header_it_is_corrupt(case: Case):
    assert refused(case.archive(pax((b"path", b"index.json"))[: BLOCK + 5])) == (4, Code.CONTENT_TRUNCATED)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress])
def test_a_damaged_one_is_corrupt(case: Case, compress: Callable[[bytes], bytes]):
    data = bytearray(compress(tar_of(case.members)))
    data[len(data) // 2] ^= 0xFF
    status, code = refused(case.archive(bytes(data)))
    assert status in (3, 4)
    assert code in (Code.CONTENT_FRAME, Code.CONTENT_TRUNCATED, Code.FORMAT_TAR)


def test_a_damaged_checksum_is_corrupt(case: Case):
    data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(tar_of(case.members)))
    data[-1] ^= 1
    assert refused(case.archive(bytes(data))) == (4, Code.CONTENT_FRAME)
    data = bytearray(gzip.compress(tar_of(case.members)))
    data[-6] ^= 1
    assert refused(case.archive(bytes(data))) == (4, Code.CONTENT_FRAME)


def test_a_blob_of_other_bytes_is_seen(case: Case):
    name = f"blobs/sha256/{case.image.digest.encoded}"
    with open_archive(case.archive(tar_of(case.members | {name: case.members[name][:-1] + b" "}))) as layout:
        with pytest.raises(BundlerError) as caught:
            layout.repository(None).document("v1")
        assert (caught.value.exit, caught.value.code) == (4, Code.CONTENT_DIGEST)


def test_a_blob_that_is_not_there_is_missing(case: Case):
    del case.members[f"blobs/sha256/{case.image.digest.encoded}"]
    with open_archive(case.archive(tar_of(case.members))) as layout:
        with pytest.raises(IncompleteError):
            layout.repository(None).document("v1")
        with pytest.raises(IncompleteError):
            list(layout.chunks(case.image.descriptor))


@pytest.mark.parametrize("missing", ["oci-layout", "index.json"])
def test_an_archive_of_something_else_is_malformed(case: Case, missing: str):
    del case.members[missing]
    assert refused(case.archive(tar_of(case.members))) == (3, Code.FORMAT_LAYOUT)


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 2_000])
def test_what_is_no_archive_is_refused(case: Case, data: bytes):
    status, code = refused(case.archive(data))
    assert (status, code) in ((3, Code.FORMAT_TAR), (4, Code.CONTENT_TRUNCATED))


@pytest.mark.parametrize(("magic", "name"), [(b"PK\x03\x04", "zip"), (b"BZh9", "bzip2"), (b"\xfd7zXZ\0", "xz")])
def test_an_archive_in_another_compression_is_told_which(case: Case, magic: bytes, name: str):
    with pytest.raises(FormatError, match=f"is compressed with {name}.*wanted plain tar, gzip or zstd") as caught:
        open_archive(case.archive(magic + bytes(600)))
    assert caught.value.code is Code.FORMAT_TAR


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_bomb_is_stopped(case: Case, compress: Callable[[bytes], bytes]):
    """A hundred mebibytes of zeros in some kilobytes, whatever the tar in it says."""
    zeros = member("blobs/sha256/" + "0" * 64, bytes(1 << 20)) * 96
    path = case.archive(compress(zeros))
    assert path.stat().st_size < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(path) == (3, Code.LIMIT_ARCHIVE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_what_unpacks_to_64_mib_is_no_bomb_and_a_byte_more_is_one(case: Case):
    data = tar_of(case.members).ljust(64 << 20, b"\0")
    with open_archive(case.archive(zstandard.compress(data))) as layout:
        case.check(layout)
    assert refused(case.archive(zstandard.compress(data + b"\0"))) == (3, Code.LIMIT_ARCHIVE)


def test_a_window_beyond_every_decoder_is_refused(case: Case):
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    stream = compressor.compressobj()
    assert refused(case.archive(stream.compress(tar_of(case.members)) + stream.flush())) == (4, Code.CONTENT_FRAME)


def test_too_many_members_are_refused(case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(foreign, "MAX_MEMBERS", 100)
    assert refused(case.archive(member("x") * 101 + bytes(2 * BLOCK))) == (3, Code.LIMIT_ARCHIVE)


def test_a_file_that_cannot_be_read_is_a_mistake_of_the_person(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    for name in ("absent", "fifo", "."):
        assert refused(tmp_path / name) == (2, Code.USAGE_INPUT)


def test_a_file_that_becomes_shorter_is_corrupt(case: Case):
    path = case.archive(tar_of(case.members))
    with open_archive(path) as layout:
        os.truncate(path, 100)
        with pytest.raises(BundlerError) as caught:
            list(layout.chunks(case.content.documents[case.image.children[0].digest].blobs[0]))
        assert (caught.value.exit, caught.value.code) == (4, Code.CONTENT_TRUNCATED)


def test_no_file_stays_open(case: Case):
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
