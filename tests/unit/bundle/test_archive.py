"""docs/spec/bundle-v1.md, sections 10 and 11: written in one pass, read at any place, and never believed further than it was checked."""

import functools
import hashlib
import io
import json
import os
import random
import shutil
import tarfile
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from bundler.bundle import archive as module
from bundler.bundle import records, tar
from bundler.bundle.archive import MAX_FAULTS, Content, opened
from bundler.bundle.frames import FRAME, GROUP, MAX_FRAMES, Table, longest, table
from bundler.bundle.records import MAX_KEPT
from bundler.bundle.seal import Kind, Member
from bundler.errors import BundlerError, Code, ConflictError, FormatError, IntegrityError, TransportError, TrustError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT
from tests.support import layouts
from tests.support.bundles import CREATED, Bundle, checked, content_of, sign
from tests.support.layouts import PLAIN_LAYER
from tests.support.signing import EXPORTER, OTHER, P256, Key

APP = "registry.example/app:v1"
EPOCH = int(CREATED.timestamp())
SIZES = (0, 1, 511, 512, 513, GROUP - 512, GROUP - 511, GROUP, FRAME - 512, FRAME - 511, FRAME, FRAME + 1, 2 * FRAME + 700)


@functools.cache
def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311 - the same each time


@pytest.fixture(scope="module")
def made() -> Bundle:
    """An image with layers of every size at which something changes, and with a signature."""
    content = layouts.Content()
    image = content.image(layers=[content.blob(noise(size), PLAIN_LAYER) for size in SIZES])
    content.sig(image.digest, (b"payload", b"signature"))
    return Bundle.of(content, {APP: image})


@pytest.fixture(scope="module")
def written(made: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file, to be copied: writing it takes many times as long."""
    path = tmp_path_factory.mktemp("made") / "app.oci.tar.zst"
    made.write(path)
    return path


@pytest.fixture(scope="module")
def small() -> Bundle:
    content = layouts.Content()
    root = content.index()
    content.sig(root.digest, (b"payload", b"signature"))
    return Bundle.of(content, {APP: root})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.oci.tar.zst"


# --- what is written can be read, by us and by others ---


def test_what_was_sealed_is_what_is_read(made: Bundle, written: Path, path: Path) -> None:
    shutil.copyfile(written, path)
    with content_of(path) as content:
        assert content.seal == made.seal
        assert content.identity == Digest.of(made.seal.statement())
        for member in made.seal.members:
            what = member.name or member.digest
            assert content.member(what) == member
            assert content.read(what) == made.files[member.path]
            assert b"".join(content.chunks(what)) == made.files[member.path]
        assert not content.verify().faults
        content.check_derived()


def test_everything_that_was_read_is_counted(made: Bundle, written: Path, path: Path) -> None:
    shutil.copyfile(written, path)
    told: list[int] = []
    lock = threading.Lock()

    def report(size: int) -> None:
        with lock:
            told.append(size)

    with content_of(path) as content, opened(path) as archive:
        found = content.verify(jobs=3, report=report)
        assert found.passed
        assert found.members == len(made.seal.members) + 1
        assert found.bytes == sum(member.size for member in made.seal.members) + archive.seal_size
        assert sum(told) == sum(member.size for member in made.seal.members)


def test_the_size_and_digest_of_the_file_are_told(made: Bundle, path: Path) -> None:
    written = made.write(path)
    assert (written.size, written.digest) == (path.stat().st_size, Digest.of(path.read_bytes()))


def test_everything_that_was_written_is_counted(made: Bundle, path: Path) -> None:
    told: list[int] = []
    made.write(path, report=told.append)
    assert sum(told) == len(zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True).read())


def test_any_zstd_and_any_tar_read_it(made: Bundle, written: Path, path: Path) -> None:  # R7, R8, R11 to R15, R-25
    shutil.copyfile(written, path)
    raw = path.read_bytes()
    assert raw.startswith(b"\x28\xb5\x2f\xfd")
    with zstandard.ZstdDecompressor(max_window_size=8 << 20).stream_reader(raw, read_across_frames=True) as reader:
        plain = reader.read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == ["oci-bundler/seal.json", *(member.path for member in made.seal.members)]
        assert all(member.isreg() and not member.pax_headers for member in members)
        assert {(m.mode, m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0o644, 0, 0, "", "", 0)}
        for member, listed in zip(members[1:], made.seal.members, strict=True):
            file = tar.extractfile(member)
            assert file is not None
            assert Digest.of(file.read()) == listed.digest
    assert plain.endswith(bytes(1024))
    assert len(plain) == members[-1].offset_data + -(-members[-1].size // 512) * 512 + 1024


def test_the_bytes_do_not_depend_on_how_many_write_them(made: Bundle, path: Path) -> None:
    assert len({made.write(path, jobs=jobs, replace=True).digest for jobs in (1, 2, 3, 8)}) == 1


def test_the_bytes_do_not_depend_on_how_content_arrives(small: Bundle, path: Path) -> None:
    def crumbs(member: Member) -> Iterator[bytes]:
        return (small.files[member.path][at : at + 7] for at in range(0, member.size, 7))

    assert small.write(path).digest == small.write(path, chunks=crumbs, replace=True).digest


@settings(max_examples=min(25, settings().max_examples))  # one takes long, and make unit asks for fewer still
@given(
    sizes=st.lists(
        st.one_of(st.integers(0, 3000), st.integers(GROUP - 1600, GROUP + 600), st.integers(FRAME - 1100, FRAME + 1100)), max_size=5
    )
)
def test_layers_of_any_sizes_cross(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    content = layouts.Content()
    blobs = [content.blob(b"%d" % number + bytes(size), PLAIN_LAYER) for number, size in enumerate(sizes)]
    bundle = Bundle.of(content, {APP: content.image(layers=blobs)})
    path = tmp_path_factory.mktemp("sizes") / "app.oci.tar.zst"
    bundle.write(path, jobs=2)
    with content_of(path) as read:
        assert read.verify(jobs=2).passed
        assert all(b"".join(read.chunks(blob.digest)) == content.blobs[blob.digest] for blob in blobs)


def test_headers_may_have_the_time_of_the_seal(small: Bundle, path: Path) -> None:
    small.write(path, mtime=EPOCH)
    with content_of(path) as content:
        assert content.verify().passed
    with tarfile.open(
        fileobj=io.BytesIO(zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True).read())
    ) as tar:
        assert {member.mtime for member in tar.getmembers()} == {EPOCH}


def test_headers_may_not_have_any_other_time(small: Bundle, path: Path) -> None:
    small.write(path, mtime=EPOCH + 1)
    with pytest.raises(FormatError) as refused, content_of(path):
        pass
    assert refused.value.code == Code.FORMAT_TAR


def test_large_content_comes_in_pieces_of_a_quarter_mebibyte(written: Path, path: Path) -> None:
    shutil.copyfile(written, path)
    with content_of(path) as content:
        assert max(len(piece) for piece in content.chunks(Digest.of(noise(2 * FRAME + 700)))) == 256 << 10


def test_content_can_be_left_in_the_middle(written: Path, path: Path) -> None:
    shutil.copyfile(written, path)
    with content_of(path) as content:
        for size in (FRAME + 1, 2 * FRAME + 700):
            chunks = content.chunks(Digest.of(noise(size)))
            assert next(chunks)
            assert isinstance(chunks, Generator)
            chunks.close()
        assert content.verify().passed


def test_content_is_read_by_many_at_once(made: Bundle, written: Path, path: Path) -> None:
    shutil.copyfile(written, path)
    wrong: list[str] = []

    def read(content: Content) -> None:
        members = random.sample(made.seal.members, len(made.seal.members))
        wrong.extend(member.path for member in members if content.read(member.name or member.digest) != made.files[member.path])

    with content_of(path) as content:
        threads = [threading.Thread(target=read, args=(content,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_documents_are_parsed_as_what_they_are_stated_to_be(small: Bundle, path: Path) -> None:
    small.write(path)
    (image,) = small.seal.images
    with content_of(path) as content:
        assert content.document(image.digest, image.media_type).raw == small.files[f"blobs/sha256/{image.digest.encoded}"]
        with pytest.raises(FormatError) as refused:
            content.document(image.digest, "application/vnd.oci.image.manifest.v1+json")
        assert refused.value.code == Code.FORMAT_MEDIA_TYPE
        walked = content.walk(image)
        assert [document.digest for document in walked.documents] == [lookup.manifest for lookup in walked.lookups]


def test_a_large_member_is_not_read_whole(path: Path) -> None:
    content = layouts.Content()
    most, large = content.blob(bytes(16 << 20), PLAIN_LAYER), content.blob(bytes((16 << 20) + 1), PLAIN_LAYER)
    Bundle.of(content, {APP: content.image(layers=[most, large])}).write(path)
    with content_of(path) as read:
        assert len(read.read(most.digest)) == most.size
        with pytest.raises(FormatError) as refused:
            read.read(large.digest)
        assert refused.value.code == Code.LIMIT_EVIDENCE
        with pytest.raises(FormatError) as refused:
            read.document(large.digest)
        assert refused.value.code == Code.LIMIT_DOCUMENT
        assert sum(map(len, read.chunks(large.digest))) == large.size


def test_a_document_of_four_mebibytes_is_read(path: Path) -> None:
    content = layouts.Content()
    bare = content.image(annotations={"padding": ""})
    image = content.image(annotations={"padding": "x" * (MAX_DOCUMENT - len(bare.raw))})
    Bundle.of(content, {APP: image}).write(path)
    with content_of(path) as read:
        assert len(read.document(image.digest).raw) == MAX_DOCUMENT


@pytest.mark.parametrize("what", [Digest.of(b"other"), Digest.of(b"payload", algorithm="sha512"), "oci-bundler/seal.json", "../x"])
def test_what_is_no_member_is_missing(small: Bundle, path: Path, what: Digest | str) -> None:
    small.write(path)
    with content_of(path) as content:
        assert isinstance(what, str) or not content.has(what)
        for read in (content.read, content.chunks, content.member):
            with pytest.raises(IntegrityError) as missing:
                read(what)
            assert missing.value.code == Code.CONTENT_MISSING
        assert content.has(Digest.of(b"payload"))


# --- who, then what ---


def test_a_stranger_can_make_nobody_parse_a_payload(small: Bundle, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write(path, keys=(OTHER,), payload=b"this is no JSON")
    parsed: list[bytes] = []
    monkeypatch.setattr(module, "seal_of", parsed.append)
    with pytest.raises(TrustError) as refused, content_of(path, EXPORTER):
        pass
    assert refused.value.code == Code.SEAL_SIGNATURE
    assert parsed == []


def test_any_of_several_signatures_can_be_the_one_that_counts(small: Bundle, path: Path) -> None:
    small.write(path, keys=(OTHER, EXPORTER, P256))
    with opened(path) as archive:
        assert len(archive.envelope.signatures) == 3
        assert checked(archive, EXPORTER).seal == small.seal


def test_the_digest_of_the_seal_is_that_of_its_envelope_with_all_signatures(small: Bundle, path: Path) -> None:
    small.write(path, keys=(EXPORTER, P256))
    with opened(path) as archive:
        data = zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True).read()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar_:
            member = tar_.extractfile("oci-bundler/seal.json")
            assert member is not None
            assert archive.seal_digest == Digest.of(member.read())


def test_the_identity_does_not_depend_on_who_signed(small: Bundle, path: Path) -> None:
    identities = set()
    for number in (1, 2):
        small.write(path, keys=(Key.of("p256", number),), replace=True)
        with content_of(path, Key.of("p256", number)) as content:
            identities.add(content.identity)
    assert len(identities) == 1


def test_a_seal_that_changes_after_it_was_judged_is_noticed(small: Bundle, path: Path, tmp_path: Path) -> None:  # FS-005
    other = small.sealed_as(sequence=2)
    small.write(path)
    other.write(tmp_path / "other")
    with opened(path) as archive:
        assert archive.envelope.signatures
        path.write_bytes((tmp_path / "other").read_bytes())
        with pytest.raises(BundlerError) as noticed:
            archive.sealed_by(archive.envelope.payload())
    assert noticed.value.exit in (3, 4)


# --- writing ends whole or not at all ---


@pytest.mark.parametrize(("size", "jobs"), [(SIZES[4], 1), (SIZES[4], 4), (SIZES[-1], 1), (SIZES[-1], 4)])
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda data: data[:-1], Code.CONTENT_TRUNCATED),
        (lambda data: data + b"x", Code.CONTENT_SIZE),
        (lambda data: b"x" + data[1:], Code.CONTENT_DIGEST),
        (lambda data: data[:-1] + b"x", Code.CONTENT_DIGEST),
        (lambda _: b"", Code.CONTENT_TRUNCATED),
    ],
)
def test_a_source_that_lies_leaves_no_file(made: Bundle, path: Path, *, spoil: Any, code: Code, size: int, jobs: int) -> None:
    victim = Digest.of(noise(size))

    def chunks(member: Member) -> Iterator[bytes]:
        data = made.files[member.path]
        data = spoil(data) if member.digest == victim else data
        return (data[at : at + 100_000] for at in range(0, len(data), 100_000))

    with pytest.raises(IntegrityError) as refused:
        made.write(path, chunks=chunks, jobs=jobs)
    assert refused.value.code == code
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_source_that_fails_leaves_no_file_and_no_thread(made: Bundle, path: Path, jobs: int) -> None:
    before = set(threading.enumerate())

    def chunks(member: Member) -> Iterator[bytes]:
        yield from made.chunks(member)
        if member.size == 2 * FRAME + 700:
            raise TransportError("the registry is gone", code=Code.REGISTRY_UNREACHABLE)

    with pytest.raises(TransportError, match="the registry is gone"):
        made.write(path, chunks=chunks, jobs=jobs)
    assert list(path.parent.iterdir()) == []
    assert set(threading.enumerate()) <= before  # those of tests before this one may be about to end


def test_an_output_that_is_there_is_kept(small: Bundle, path: Path) -> None:
    path.write_bytes(b"mine")
    with pytest.raises(ConflictError) as refused:
        small.write(path)
    assert refused.value.code == Code.OUTPUT_EXISTS
    assert path.read_bytes() == b"mine"
    small.write(path, replace=True)
    with content_of(path) as content:
        assert content.verify().passed


def test_no_more_blobs_are_fetched_at_a_time_than_there_are_jobs(path: Path) -> None:
    content = layouts.Content()
    blobs = [content.blob(noise(GROUP + number), PLAIN_LAYER) for number in range(12)]
    bundle = Bundle.of(content, {APP: content.image(layers=blobs)})
    lock, open_now, most, two = threading.Lock(), set[Digest](), list[int](), threading.Event()

    def chunks(member: Member) -> Iterator[bytes]:
        with lock:
            open_now.add(member.digest)
            most.append(len(open_now))
            if len(open_now) == 2:
                two.set()
        assert member.size < GROUP or two.wait(120), "the first blob is alone"
        yield from bundle.chunks(member)
        with lock:
            open_now.remove(member.digest)

    bundle.write(path, chunks=chunks, jobs=4)
    assert max(most) <= 5  # four ahead, and the one that is being written


def test_a_large_layer_is_written_while_it_comes(path: Path) -> None:
    """Whoever held it whole would need as much memory as the largest layer."""
    content = layouts.Content()
    layer = content.blob(noise(8 * FRAME), PLAIN_LAYER)
    bundle = Bundle.of(content, {APP: content.image(layers=[layer])})
    told: list[int] = []
    written: list[int] = []

    def chunks(member: Member) -> Iterator[bytes]:
        yield from bundle.chunks(member)
        if member.size == layer.size:
            written.append(sum(told))

    bundle.write(path, chunks=chunks, report=told.append, jobs=1)
    assert written[0] > 4 * FRAME


def test_a_member_that_no_header_can_hold_is_refused(small: Bundle, path: Path) -> None:
    with pytest.raises(FormatError) as refused:
        small.write(path, mtime=-1)
    assert refused.value.code == Code.FORMAT_TAR
    assert list(path.parent.iterdir()) == []


# --- what is no bundle, or no longer ---


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("registry.example/app:1", "for an image at a registry: docker://registry.example/app:1"),
        ("some.folder/app.oci.tar.zst", None),
        ("Not A Reference:1", None),
        ("app:1", None),  # whose registry is not named
        (f"registry.example/{'a' * 5_000}:1", None),  # which no file could be called
    ],
)
def test_a_file_that_is_not_there_may_be_meant_as_an_image(name: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as refused, opened(Path(name)):
        pass
    assert (refused.value.code, refused.value.next) == (Code.USAGE_INPUT, hint)


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused, opened(tmp_path / "none"):
        pass
    assert refused.value.code == Code.USAGE_INPUT


def test_what_is_no_file_is_refused_and_nobody_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/null")):
        with pytest.raises(UsageError, match="not a regular file"), opened(path):
            pass


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\0", "is not a bundle"),
        (b"\x28\xb5", "is not a bundle"),
        (bytes(1024), "is not a bundle"),
        (noise(100_000), "is not a bundle"),
        (b"\x1f\x8b\x08\0" + bytes(100), "is not a bundle"),
        (zstandard.compress(b"hello " * 1000), "is not a bundle"),
    ],
)
def test_a_file_of_something_else_is_malformed(path: Path, data: bytes, words: str) -> None:  # TAR-123 to -130, ZST-038 to -041
    path.write_bytes(data)
    with pytest.raises(FormatError, match=words) as refused, opened(path):
        pass
    assert (refused.value.exit, refused.value.code) == (3, Code.FORMAT_BUNDLE)


def test_a_bundle_that_was_cut_says_so_and_what_to_do(written: Path, path: Path) -> None:
    shutil.copyfile(written, path)
    os.truncate(path, path.stat().st_size - 1000)
    with pytest.raises(IntegrityError, match="does not end as a bundle does") as refused, opened(path):
        pass
    assert (refused.value.exit, refused.value.code) == (4, Code.CONTENT_TRUNCATED)
    assert refused.value.next == "copy it again, and compare it with its .sha256"


@pytest.mark.parametrize("change", [-1, 1, 100_000])
def test_a_file_that_shrinks_while_it_is_read_is_noticed(written: Path, path: Path, change: int) -> None:  # FS-006
    shutil.copyfile(written, path)
    with content_of(path) as content:
        os.truncate(path, path.stat().st_size + change if change > 0 else path.stat().st_size // 2)
        found = content.verify()
        assert {fault.code for fault in found.faults} == (set() if change > 0 else {Code.CONTENT_TRUNCATED})


def test_no_file_stays_open(small: Bundle, path: Path, tmp_path: Path) -> None:
    small.write(path)
    (tmp_path / "other").write_bytes(b"no bundle")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with content_of(path):
        pass
    for refused in ("other", "."):
        with pytest.raises(BundlerError), opened(tmp_path / refused):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) <= before  # what tests before this one left may have been closed


def test_a_file_can_be_read_only(small: Bundle, path: Path) -> None:
    small.write(path)
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with content_of(path) as content:
            assert content.verify().passed
        assert [each.name for each in path.parent.iterdir()] == [path.name]
    finally:
        path.parent.chmod(0o700)


def test_a_medium_that_cannot_be_read_is_told_apart_from_a_damaged_one(
    small: Bundle, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # F-024
    small.write(path)

    def preadv(file: int, buffers: object, offset: int) -> int:
        raise OSError(5, "Input/output error")

    with content_of(path) as content:
        monkeypatch.setattr(os, "preadv", preadv)
        with pytest.raises(TransportError) as refused:
            content.verify()
    assert refused.value.code == Code.DISK_IO


def test_reads_that_come_in_parts_are_put_together(written: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copyfile(written, path)
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, buffers, offset: preadv(file, [buffers[0][:50_000]], offset))
    with content_of(path) as content:
        assert content.verify().passed


# --- reading once ---


def read_of(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes of files are asked for from now on."""
    asked: list[int] = []
    preadv = os.preadv

    def counted(file: int, buffers: list[memoryview], offset: int) -> int:
        got = preadv(file, buffers, offset)
        asked.append(got)
        return got

    monkeypatch.setattr(os, "preadv", counted)
    return asked


def test_documents_are_read_once_however_often_they_are_looked_at(
    made: Bundle, written: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(written, path)
    blobs = [member for member in made.seal.members if member.kind is Kind.BLOB]
    early = sum(member.size for member in made.seal.members if member.kind is not Kind.BLOB)
    with content_of(path) as content:
        assert content.size_of_blobs == sum(member.size for member in blobs)
        found = content.verify_documents(jobs=2)
        assert found.passed
        assert found.members == 1 + len(made.seal.members) - len(blobs)
        asked = read_of(monkeypatch)
        content.check_derived()
        for image in made.seal.images:
            content.walk(image)
        assert content.verify_documents(jobs=2) == found
        assert sum(asked) == 0
        assert early > 0


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_was_read_to_its_end_is_not_read_again_to_be_verified(
    made: Bundle, written: Path, path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    shutil.copyfile(written, path)
    told: list[int] = []
    with content_of(path) as content:
        content.verify_documents()
        asked = read_of(monkeypatch)
        blobs = [member for member in made.seal.members if member.kind is Kind.BLOB]
        for member in blobs:
            assert sum(map(len, content.chunks(member.digest))) == member.size
        whole = sum(asked)
        found = content.verify(jobs=jobs, report=told.append)
        assert (found.passed, found.members) == (True, 1 + len(made.seal.members))
        assert sum(asked) - whole < 1000  # the two blocks of zeros at the end
        assert whole <= path.stat().st_size * 1.02
        assert told == []


def test_what_was_not_read_to_its_end_is_verified(made: Bundle, written: Path, path: Path) -> None:
    shutil.copyfile(written, path)
    large = next(member for member in made.seal.members if member.size > GROUP)
    spoilt_at(path, path.read_bytes().index(made.files[large.path][-40:]))
    with content_of(path) as content:
        content.verify_documents()
        assert next(iter(content.chunks(large.digest)))
        assert [fault.code for fault in content.verify().faults] == [Code.CONTENT_FRAME]
        with pytest.raises(IntegrityError):
            list(content.chunks(large.digest))
        assert [fault.code for fault in content.verify().faults] == [Code.CONTENT_FRAME]


def test_a_beginning_above_its_limit_is_read_each_time(written: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copyfile(written, path)
    with opened(path) as archive:
        asked = read_of(monkeypatch)
        archive.frames.keep(MAX_KEPT + 1)
        assert asked == []
        archive.frames.keep(100)
        assert (archive.frames.read(50, 50), sum(asked)) == (path.read_bytes()[50:100], 100)
        archive.frames.keep(50)
        assert (archive.frames.read(51, 50), sum(asked)) == (path.read_bytes()[51:101], 150)


# --- faults ---


def spoilt_at(path: Path, *offsets: int) -> None:
    data = bytearray(path.read_bytes())
    for offset in offsets:
        data[offset] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_every_fault_is_listed_in_the_order_of_the_file(made: Bundle, written: Path, path: Path, jobs: int) -> None:
    shutil.copyfile(written, path)
    raw, victims = path.read_bytes(), [Digest.of(noise(size)) for size in (FRAME, 2 * FRAME + 700, GROUP)]
    spoilt_at(path, *(raw.index(noise(size)[-40:]) for size in (FRAME, 2 * FRAME + 700, GROUP)))
    with content_of(path) as content:
        found = content.verify(jobs=jobs)
        assert [fault.code for fault in found.faults] == [Code.CONTENT_FRAME] * 3
        order = [member.digest for member in made.seal.members if member.digest in victims]
        assert [next(d for d in victims if d.encoded in fault.what) for fault in found.faults] == order
        assert found.members == len(made.seal.members) + 1 - 3
        with pytest.raises(IntegrityError):
            list(content.chunks(victims[0]))


def test_the_same_faults_are_found_however_many_look(small: Bundle, path: Path) -> None:
    small.write(path)
    with opened(path) as archive:
        end = next(archive.table.sizes(0, 1))[0]
    spoilt_at(path, end + 200)
    told = []
    for jobs in (1, 2, 4):
        with content_of(path) as content:
            told.append([(str(fault), fault.code) for fault in content.verify(jobs=jobs).faults])
    assert told[0] == told[1] == told[2] != []


def test_no_more_than_a_hundred_faults_are_told(path: Path) -> None:
    content = layouts.Content()
    blobs = [content.blob(b"%d" % number, PLAIN_LAYER) for number in range(300)]
    bundle = Bundle.of(content, {APP: content.image(layers=blobs)})
    payload = bundle.seal.statement()
    for number, blob in enumerate(blobs):
        other = b"%d" % ((number + 1) % 1000) if len(b"%d" % (number + 1)) == blob.size else b"x" * blob.size
        payload = payload.replace(blob.digest.encoded.encode(), hashlib.sha256(other + b"!").hexdigest().encode())
    bundle.write(path, payload=payload)
    with content_of(path) as read:
        assert len(read.verify().faults) == MAX_FAULTS


def test_after_a_hundred_faults_the_rest_is_not_read(path: Path) -> None:
    """A large layer stands behind them, which takes long and is not needed to refuse."""
    content = layouts.Content()
    blobs = [content.blob(b"%d" % number, PLAIN_LAYER) for number in range(MAX_FAULTS)]
    large = content.blob(noise(GROUP + 1), PLAIN_LAYER)
    bundle = Bundle.of(content, {APP: content.image(layers=[*blobs, large])})
    payload = bundle.seal.statement()
    for blob in blobs:
        payload = payload.replace(blob.digest.encoded.encode(), hashlib.sha256(blob.digest.encoded.encode()).hexdigest().encode())
    bundle.write(path, payload=payload)
    told: list[int] = []
    with content_of(path) as read:
        assert len(read.verify(jobs=1, report=told.append).faults) == MAX_FAULTS
    assert sum(told) < large.size


def with_table(path: Path, edit: Callable[[list[tuple[int, int]]], object]) -> None:
    """The file with other numbers in its seek table."""
    raw = path.read_bytes()
    found = Table.find(lambda offset, count: raw[offset : offset + count], len(raw))
    assert found is not None
    sizes = list(found.sizes(0, found.count))
    edit(sizes)
    path.write_bytes(raw[: found.start] + table(sizes))


@pytest.mark.parametrize("sizes", [(0xFFFFFFFF, 512), (512, 0xFFFFFFFF), (FRAME + 100_000, FRAME), (longest(512) + 1, 512)])
def test_a_first_frame_that_is_too_long_is_not_read(small: Bundle, path: Path, sizes: tuple[int, int]) -> None:  # SP-21
    small.write(path)
    with_table(path, lambda table: table.__setitem__(0, sizes))
    with pytest.raises(FormatError, match="begins with a frame that is too long"), opened(path):
        pass


@pytest.mark.parametrize("edit", [lambda t: t.__setitem__(1, (0xFFFFFFFF, t[1][1])), lambda t: t.__setitem__(1, (t[1][0], 512))])
def test_the_other_frames_of_a_seal_are_not_believed_either(path: Path, edit: Callable[[list[tuple[int, int]]], object]) -> None:
    members = Bundle.of(content := layouts.Content(), {APP: content.image()})
    members.write(path, payload=noise(FRAME).hex().encode())
    with opened(path) as archive:
        assert archive.envelope.size == 2 * FRAME
    with_table(path, edit)
    with pytest.raises(FormatError, match="the seek table does not fit the seal"), opened(path) as archive:
        assert archive.envelope is not None


@pytest.mark.parametrize("frame", [0, 1])
def test_a_frame_of_a_seal_that_is_as_long_as_it_may_be_is_read(path: Path, frame: int) -> None:
    """And only then found to end elsewhere."""
    content = layouts.Content()
    bundle = Bundle.of(content, {APP: content.image(layers=[content.blob(noise(2 * FRAME), PLAIN_LAYER)])})
    bundle.write(path, payload=noise(FRAME).hex().encode())
    with_table(path, lambda table: table.__setitem__(frame, (longest(table[frame][1]), table[frame][1])))
    with pytest.raises(FormatError, match="not made of blocks that end with it"), opened(path) as archive:
        assert archive.envelope is not None


def test_a_seal_over_its_limit_is_refused_by_its_header(small: Bundle, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write(path)
    with opened(path) as archive:
        size = archive.seal_size
    monkeypatch.setattr(module, "MAX_ENVELOPE", size)
    with opened(path) as archive:
        assert archive.envelope is not None
    monkeypatch.setattr(module, "MAX_ENVELOPE", size - 1)
    with pytest.raises(FormatError) as refused, opened(path):
        pass
    assert refused.value.code == Code.LIMIT_SEAL


def test_a_bundle_holds_as_much_as_its_frames_can() -> None:
    most = MAX_FRAMES * FRAME - 2 * tar.BLOCK - tar.BLOCK
    assert list(records._starts(1, [Member(Kind.BLOB, most, Digest.of(b""))])) == [0, 2 * tar.BLOCK]
    with pytest.raises(FormatError, match="more than a bundle can hold"):
        records._starts(1, [Member(Kind.BLOB, most + 1, Digest.of(b""))])


def test_what_the_documents_contradict_is_refused(small: Bundle, path: Path) -> None:
    small.sealed_as(lookups=small.seal.lookups[::-1]).write(path)
    with content_of(path) as content:
        assert content.verify().passed
        with pytest.raises(FormatError) as refused:
            content.check_derived()
    assert refused.value.code == Code.FORMAT_SEAL


def test_a_seal_of_huge_sizes_costs_nothing(small: Bundle, path: Path) -> None:  # BND-028
    value = json.loads(small.seal.statement())
    for member in value["predicate"]["members"][4:]:
        member["size"] = (1 << 53) - 1
    value["predicate"]["members"][3]["size"] = small.seal.images[0].size
    payload = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    small.write(path, payload=payload)
    with pytest.raises(FormatError, match="more than a bundle can hold"), content_of(path):
        pass


def test_signatures_are_the_same_each_time(small: Bundle) -> None:
    assert sign(small.seal.statement()) == sign(small.seal.statement())


def test_a_beginning_as_long_as_its_limit_is_read_once(small: Bundle, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write(path)
    with opened(path) as archive:
        os.truncate(path, MAX_KEPT)
        asked = read_of(monkeypatch)
        archive.frames.keep(MAX_KEPT)
        archive.frames.keep(MAX_KEPT)
        assert (archive.frames.read(MAX_KEPT - 1, 1), sum(asked)) == (b"\0", MAX_KEPT)


@pytest.mark.parametrize(("size", "kept"), [(16 << 10, True), ((16 << 10) + 1, False)])
def test_many_small_documents_are_kept_and_few_large_ones(path: Path, size: int, kept: bool) -> None:
    content = layouts.Content()
    short = [len(content.image(f"image {number}", annotations={"x": ""}).raw) for number in range(5)]
    images = [content.image(f"image {number}", annotations={"x": "x" * (size - length)}) for number, length in enumerate(short)]
    assert {len(image.raw) for image in images} == {size}
    Bundle.of(content, {f"registry.example/app:v{number}": image for number, image in enumerate(images)}).write(path)
    with content_of(path) as read:
        first, *_ = [read.document(image.digest) for image in images]
        assert (read.document(images[0].digest) is first) is kept
