"""Some images of a bundle, proved, as a layout: without a byte of the others."""

import errno
import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.content.layout import Layout
from bundler.oci.digest import Digest
from tests.support.layouts import LAYER, Content, write_layout
from tests.support.station import STRANGER, Crossing, Image, Ran, run


def extract(crossing: Crossing, bundle: Path, *references: str, to: str = "out") -> Ran:
    return crossing.run("extract", bundle, *references, "--to", f"oci:{crossing.folder / to}", "--json")


def two(crossing: Crossing) -> tuple[Image, Image, Path]:
    """Each with a layer that does not compress, and is larger than what small members share a frame of."""
    images = []
    for name in ("one", "two"):
        layer = crossing.content.blob(os.urandom(3 << 20), LAYER)
        root = crossing.sign(crossing.content.image(name, layers=[layer]))
        crossing.attach(root)
        images.append(crossing.push(root, f"team/{name}:v1"))
    one, other = images
    return one, other, crossing.export(one, other)


def test_an_image_is_extracted_with_its_evidence_under_its_name(crossing: Crossing) -> None:
    one, other, bundle = two(crossing)
    ran = extract(crossing, bundle, one.reference)
    assert ran.exit == 0
    assert [image["reference"] for image in ran.json["images"]] == [one.reference]
    assert ran.json["content"] is None
    with Layout.at(crossing.folder / "out") as layout:
        entry = layout.find(one.reference)
        assert entry is not None
        assert entry.descriptor.digest == one.root.digest
        assert layout.find(f"{crossing.here.host}/team/one:{one.root.digest.tag}.sig")
        assert len(layout.referrers(one.root.digest)) == 1
    assert crossing.run("verify", f"oci:{crossing.folder / 'out'}:{one.reference}").exit == 0
    names = sorted(path.name for path in (crossing.folder / "out/blobs/sha256").iterdir())
    assert not any(blob.digest.encoded in names for blob in other.root.blobs)


def test_nothing_of_the_other_images_layers_is_read(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, bundle = two(crossing)
    read: list[tuple[int, int]] = []
    preadv = os.preadv

    def noted(file: int, buffers: list[memoryview], offset: int) -> int:
        read.append((offset, offset + sum(map(len, buffers))))
        return preadv(file, buffers, offset)

    monkeypatch.setattr(os, "preadv", noted)
    assert extract(crossing, bundle, one.reference).exit == 0
    data = bundle.read_bytes()
    for image, wanted in ((one, True), (other, False)):
        at = data.index(crossing.content.blobs[image.root.blobs[1].digest][1000:1040])
        assert any(first <= at < last for first, last in read) is wanted


def test_damage_elsewhere_is_no_matter_and_damage_here_is(crossing: Crossing) -> None:
    one, other, bundle = two(crossing)
    data = bytearray(bundle.read_bytes())
    data[data.index(crossing.content.blobs[other.root.blobs[1].digest][1000:1040])] ^= 1
    bundle.write_bytes(data)
    assert crossing.run("verify", bundle).exit == 4
    assert extract(crossing, bundle, one.reference).exit == 0
    damaged = extract(crossing, bundle, other.reference, to="other")
    assert damaged.exit == 4
    with Layout.at(crossing.folder / "other") as layout:
        assert layout.find(other.reference) is None


NAMES: dict[str, Callable[[Image], str]] = {
    "by its name": lambda image: image.reference,
    "by name and digest": lambda image: f"{image.reference}@{image.root.digest}",
    "by digest": lambda image: f"{image.reference.rpartition(':')[0]}@{image.root.digest}",
}


@pytest.mark.parametrize("how", NAMES)
def test_an_image_is_meant(how: str, crossing: Crossing) -> None:
    image = crossing.signed_image()
    assert extract(crossing, crossing.export(image), NAMES[how](image)).exit == 0


def test_several_are_extracted_together(crossing: Crossing) -> None:
    one, other, bundle = two(crossing)
    ran = extract(crossing, bundle, one.reference, other.reference)
    assert [image["reference"] for image in ran.json["images"]] == [one.reference, other.reference]
    words = crossing.run("extract", bundle, one.reference, other.reference, "--to", f"oci:{crossing.folder / 'again'}")
    assert words.first == f"PASSED: 2 images verified and extracted to oci:{crossing.folder / 'again'}"


def test_a_second_extraction_adds_to_the_layout(crossing: Crossing) -> None:
    one, other, bundle = two(crossing)
    assert extract(crossing, bundle, one.reference).exit == 0
    assert extract(crossing, bundle, other.reference).exit == 0
    assert extract(crossing, bundle, one.reference).exit == 0
    with Layout.at(crossing.folder / "out") as layout:
        assert {one.reference, other.reference} <= set(layout.names())


@pytest.mark.parametrize("reference", ["registry.example/none:v1", "{name}:other", "{name}:v1@{digest}"])
def test_what_the_bundle_does_not_carry_is_missing(reference: str, crossing: Crossing) -> None:
    image = crossing.signed_image()
    text = reference.format(name=image.reference.rpartition(":")[0], digest=Digest.of(b"other"))
    ran = extract(crossing, crossing.export(image), text)
    assert (ran.exit, ran.code) == (6, "image.missing")
    assert image.reference in ran.json["error"]["found"]
    assert not (crossing.folder / "out").exists()


def test_what_does_not_pass_is_not_extracted(crossing: Crossing) -> None:
    good, bad = crossing.signed_image("team/good:v1", words="good"), crossing.signed_image("team/bad:v1", key=STRANGER, words="bad")
    bundle = crossing.export(good, bad)
    ran = extract(crossing, bundle, good.reference, bad.reference)
    assert (ran.exit, ran.json["images"][1]["reasons"][0]) == (5, "policy.threshold")
    assert not (crossing.folder / "out").exists()
    assert extract(crossing, bundle, good.reference).exit == 0


def test_a_seal_by_a_stranger_opens_nothing(crossing: Crossing) -> None:
    image = crossing.signed_image()
    run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["stranger"])
    ran = extract(crossing, crossing.folder / "b", image.reference)
    assert (ran.exit, ran.json["seal"]["reasons"]) == (5, ["seal.signature"])
    assert not (crossing.folder / "out").exists()


def test_a_name_that_the_layout_has_for_something_else_is_a_conflict(crossing: Crossing) -> None:
    image = crossing.signed_image()
    content = Content()
    folder = write_layout(crossing.folder / "out", content, {image.reference: content.image("other")})
    before = (folder / "index.json").read_bytes()
    ran = extract(crossing, crossing.export(image), image.reference)
    assert (ran.exit, ran.code) == (8, "name.conflict")
    assert (folder / "index.json").read_bytes() == before


def test_the_index_is_written_once_however_many_images_there_are(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [crossing.signed_image(f"team/{name}:v1", words=name) for name in ("one", "two", "three")]
    bundle = crossing.export(*images)
    written: list[str] = []
    replace = os.replace

    def noted(source: Path, name: Path) -> None:
        written.append(Path(name).name)
        replace(source, name)

    monkeypatch.setattr(os, "replace", noted)
    assert extract(crossing, bundle, *(image.reference for image in images)).exit == 0
    assert written.count("index.json") == 1  # that of an empty layout replaces nothing
    assert written[-1] == "index.json"
    for image in images:
        assert crossing.run("verify", f"oci:{crossing.folder / 'out'}:{image.reference}").exit == 0


def test_a_disk_without_room_is_told_and_what_is_there_needs_none(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, bundle = two(crossing)
    assert extract(crossing, bundle, one.reference).exit == 0
    before = (crossing.folder / "out/index.json").read_bytes()
    genuine = os.statvfs

    def told(path: Path) -> os.statvfs_result:
        fields = list(genuine(path))
        fields[0], fields[1], fields[4] = 1, 1, 3 << 20
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", told)
    done = extract(crossing, bundle, one.reference, other.reference)
    assert (done.exit, done.code) == (7, "disk.full")
    assert str(3 << 20) in done.json["error"]["found"]
    needed = int("".join(c for c in done.json["error"]["wanted"] if c.isdigit()))
    assert 3 << 20 < needed < 4 << 20
    assert (crossing.folder / "out/index.json").read_bytes() == before
    assert not (crossing.folder / "out/blobs/sha256" / other.root.digest.encoded).exists()
    assert extract(crossing, bundle, one.reference).exit == 0


def test_what_a_killed_run_left_is_removed_before_room_is_looked_for(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, bundle = two(crossing)
    assert extract(crossing, bundle, one.reference).exit == 0
    hidden = [crossing.folder / "out" / below / ".oci-bundler-0123456789abcdef.tmp" for below in ("", "blobs/sha256")]
    for path in hidden:
        path.write_bytes(b"half")
    genuine = os.statvfs

    def told(path: Path) -> os.statvfs_result:
        fields = list(genuine(path))
        fields[4] = 0 if any(each.exists() for each in hidden) else fields[4]
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", told)
    assert extract(crossing, bundle, other.reference).exit == 0
    assert not any(path.exists() for path in hidden)


@pytest.mark.parametrize("name", ["oci-layout", "index.json", "referrer"])
def test_a_medium_that_ends_a_file_of_a_layout_early_is_damaged(name: str, crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the file is not called a malformed one."""
    root = crossing.sign(crossing.content.image())
    referrer = crossing.attach(root)
    image = crossing.push(root)
    assert extract(crossing, crossing.export(image), image.reference).exit == 0
    path = f"blobs/sha256/{referrer.digest.encoded}" if name == "referrer" else name
    read, spoiled = os.read, (crossing.folder / "out" / path).stat()

    def cut(file: int, size: int) -> bytes:
        return b"" if os.path.samestat(os.fstat(file), spoiled) else read(file, size)

    monkeypatch.setattr(os, "read", cut)
    done = crossing.run("verify", f"oci:{crossing.folder / 'out'}:{image.reference}", "--json")
    assert (done.exit, done.code) == (4, "content.truncated")


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_before_anything_is_written(
    crossing: Crossing, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)

    def no_locks(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    done = extract(crossing, bundle, image.reference)
    assert (done.exit, done.code) == (7, "disk.io")
    assert done.json["error"]["found"] == os.strerror(error)
    assert "flock" in done.json["error"]["next"]
    assert sorted(path.name for path in (crossing.folder / "out").iterdir()) == ["index.json", "oci-layout"]


def test_an_error_at_the_second_image_lists_neither(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other, bundle = two(crossing)
    fsync = os.fsync

    def broken(descriptor: int) -> None:
        if (crossing.folder / "out/blobs/sha256" / one.root.digest.encoded).exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        assert extract(crossing, bundle, one.reference, other.reference).exit == 7
    assert json.loads((crossing.folder / "out/index.json").read_bytes())["manifests"] == []
    assert extract(crossing, bundle, one.reference, other.reference).exit == 0


@pytest.mark.parametrize("target", ["out", "oci:", "oci-archive:x", "docker://x"])
def test_a_target_that_is_no_layout_is_refused(target: str, crossing: Crossing) -> None:
    image = crossing.signed_image()
    assert crossing.run("extract", crossing.export(image), image.reference, "--to", target).exit == 2


def test_a_folder_that_holds_something_else_is_left_alone(crossing: Crossing) -> None:
    image = crossing.signed_image()
    (crossing.folder / "out").mkdir()
    (crossing.folder / "out/mine").write_text("mine")
    ran = extract(crossing, crossing.export(image), image.reference)
    assert ran.exit in {3, 8}
    assert [path.name for path in (crossing.folder / "out").iterdir()] == ["mine"]


def test_braces_in_a_folders_name_are_braces(crossing: Crossing) -> None:
    image = crossing.signed_image()
    ran = crossing.run("extract", crossing.export(image), image.reference, "--to", f"oci:{crossing.folder}/{{x}}{{images}}")
    assert ran.exit == 0
    assert ran.first.endswith("{x}{images}")


def test_an_image_without_a_tag_is_extracted_by_its_digest(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.index())
    crossing.push(root)
    reference = f"{crossing.here.host}/team/app@{root.digest}"
    assert extract(crossing, crossing.export(reference), reference).exit == 0
    listed = json.loads((crossing.folder / "out/index.json").read_bytes())["manifests"]
    assert str(root.digest) in [entry["digest"] for entry in listed]
