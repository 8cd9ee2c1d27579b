"""Image layouts as sources and sinks (image-spec, image-layout.md; LAY cases of docs/hostile-cases.md)."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from bundler import strictjson
from bundler.content.layout import Layout
from bundler.content.listing import listing
from bundler.content.store import Sink
from bundler.content.stream import side_by_side
from bundler.errors import BundlerError, Code, ConflictError, FormatError, IncompleteError, TransportError, UsageError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT
from bundler.oci.reference import CONTAINERD_NAME, REF_NAME
from bundler.stations.survey import survey
from tests.support.layouts import OCI_LAYOUT, SBOM, Content, push, push_with_evidence, write_layout
from tests.support.listings import APP, Counted, index_of, listing_of
from tests.support.measured import MIB


@pytest.fixture
def content() -> Content:
    return Content()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "layout"


def blob_path(folder: Path, digest: Digest) -> Path:
    return folder / "blobs" / digest.algorithm / digest.encoded


def relist(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change what ``index.json`` says."""
    index = json.loads((folder / "index.json").read_text())
    changed = change(index)
    (folder / "index.json").write_text(json.dumps(index if changed is None else changed))


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- finding images ---


def test_an_image_is_found_by_its_name(folder: Path, content: Content) -> None:
    one, two = content.image("one"), content.index("two")
    layout = Layout.at(write_layout(folder, content, {"v1": one, str(APP): two}))
    assert layout.names() == ["v1", str(APP)]
    assert layout.image("v1").descriptor.digest == one.digest
    assert layout.image(str(APP)).descriptor.digest == two.digest
    assert [entry.reference for entry in layout.entries] == [None, APP]


@pytest.mark.parametrize("name", ["v1", "latest", "team/app", "registry.example/team/app", "registry.example/team/app@sha256:1"])
def test_only_a_full_reference_is_one(folder: Path, content: Content, name: str) -> None:
    [entry] = Layout.at(write_layout(folder, content, {name: content.image()})).entries
    assert (entry.name, entry.reference) == (name, None)


def test_the_name_that_containerd_reads_is_a_name_too(folder: Path, content: Content) -> None:
    write_layout(folder, content, {"v1": content.image("one")})
    relist(folder, lambda index: index["manifests"][0]["annotations"].update({CONTAINERD_NAME: str(APP)}))
    layout = Layout.at(folder)
    assert layout.names() == [str(APP)]
    assert layout.image(str(APP)) == layout.image("v1")
    assert layout.repository(APP).document("v1") is not None


def test_without_a_name_it_is_the_only_image(folder: Path, content: Content) -> None:
    image = content.index("words")
    content.sig(image.digest, (b"{}", b"signature"))
    write_layout(
        folder,
        content,
        {str(APP): image, "v1": image, **{f"{APP.repository}:{tag}": document for tag, document in content.tags.items()}},
        unnamed=[content.artifact(subject=image), content.artifact(b"of it", subject=content.artifact(subject=image))],
    )
    assert Layout.at(folder).image(None).descriptor.digest == image.digest
    assert Layout.at(folder).image(None).name == str(APP)


def test_the_only_image_needs_no_name(folder: Path, content: Content) -> None:
    image = content.image()
    entry = Layout.at(write_layout(folder, content, unnamed=[image])).image(None)
    assert (entry.descriptor.digest, entry.name, entry.reference) == (image.digest, None, None)


def test_a_platform_that_is_listed_beside_its_index_is_no_further_image(folder: Path, content: Content) -> None:
    image = content.index("words")
    children = [content.documents[child.digest] for child in image.children]
    layout = Layout.at(write_layout(folder, content, unnamed=[*children, image]))
    assert layout.image(None).descriptor.digest == image.digest


def test_of_several_images_one_must_be_named(folder: Path, content: Content) -> None:
    layout = Layout.at(write_layout(folder, content, {f"v{n}": content.image(str(n)) for n in range(30)}))
    with pytest.raises(UsageError, match="does not hold one image alone") as caught:
        layout.image(None)
    assert (caught.value.code, caught.value.exit) == (Code.USAGE_REFERENCE, 2)
    assert caught.value.found
    assert caught.value.found.startswith("v0, v1, v2")
    assert "oci:DIR:NAME" in (caught.value.next or "")


def test_an_empty_layout_has_no_image(folder: Path) -> None:
    with pytest.raises(UsageError, match="does not hold one image alone"):
        Layout.at(folder, create=True).image(None)


def test_an_image_is_found_by_number_and_by_digest(folder: Path, content: Content) -> None:
    one, two = content.image("one"), content.index("two")
    layout = Layout.at(write_layout(folder, content, {"one": one}, unnamed=[two]))
    assert [layout.image(f"@{n}").descriptor.digest for n in range(2)] == [one.digest, two.digest]
    assert layout.image(f"@{two.digest}").descriptor.digest == two.digest
    child = two.children[0].digest
    assert layout.image(f"@{child}").descriptor.digest == child
    assert layout.image(f"one@{one.digest}").name == "one"


@pytest.mark.parametrize("asked", ["absent", "", "@2", "@999999999", f"@{Digest.of(b'absent')}", "V1", "v1 ", "one/two"])
def test_what_is_not_there_is_missing(folder: Path, content: Content, asked: str) -> None:
    layout = Layout.at(write_layout(folder, content, {"v1": content.image()}, unnamed=[content.image("two")]))
    with pytest.raises(IncompleteError) as caught:
        layout.image(asked)
    assert (caught.value.code, caught.value.exit) == (Code.IMAGE_MISSING, 6)


@pytest.mark.parametrize("asked", ["@sha256:bad", "@x", "v1@md5:00"])
def test_what_is_no_digest_is_a_mistake_of_the_person(folder: Path, content: Content, asked: str) -> None:
    layout = Layout.at(write_layout(folder, content, {"v1": content.image()}))
    with pytest.raises(UsageError) as caught:
        layout.image(asked)
    assert caught.value.code == Code.USAGE_REFERENCE


def test_a_name_that_means_two_things_is_refused(folder: Path, content: Content) -> None:
    layout = Layout.at(write_layout(folder, content, {"v1": content.image("one"), "other": content.image("two")}))
    relist(folder, lambda index: index["manifests"][1]["annotations"].update({REF_NAME: "v1"}))
    layout = Layout.at(folder)
    for ask in (lambda: layout.image("v1"), lambda: layout.repository(None).document("v1")):
        with pytest.raises(FormatError, match="twice") as caught:
            ask()
        assert (caught.value.code, caught.value.exit) == (Code.FORMAT_LAYOUT, 3)


def test_a_name_that_means_one_thing_twice_is_no_question(folder: Path, content: Content) -> None:
    image = content.image()
    write_layout(folder, content, {"v1": image})
    relist(folder, lambda index: index["manifests"].append(index["manifests"][0]))
    assert Layout.at(folder).image("v1").descriptor.digest == image.digest


def test_other_media_types_in_the_index_are_ignored(folder: Path, content: Content) -> None:
    image = content.image()
    write_layout(folder, content, {"v1": image})
    other = {"mediaType": "application/xml", "digest": str(Digest.of(b"<x/>")), "size": 4, "annotations": {REF_NAME: "v1"}}
    relist(folder, lambda index: index["manifests"].insert(0, other))
    assert Layout.at(folder).image("v1").descriptor.digest == image.digest
    assert Layout.at(folder).image("@0").descriptor.digest == image.digest


# --- evidence ---


@pytest.mark.parametrize("full", [False, True])
def test_signatures_are_found_by_tags_in_full_and_bare(folder: Path, content: Content, full: bool) -> None:
    image = content.image()
    signed = content.sig(image.digest, (b"{}", b"signature"))
    attested = content.att(image.digest, b"{}")
    prefix = f"{APP.repository}:" if full else ""
    write_layout(folder, content, {str(APP) if full else "v1": image, **{prefix + tag: d for tag, d in content.tags.items()}})
    repository = Layout.at(folder).repository(APP)
    assert repository.document(f"{image.digest.tag}.sig") == signed
    assert repository.document(f"{image.digest.tag}.att") == attested
    assert repository.document(f"{image.digest.tag}.sbom") is None
    assert repository.tags() == sorted(["v1", *content.tags])


def test_a_signature_of_another_repository_is_not_found(folder: Path, content: Content) -> None:
    image = content.image()
    content.sig(image.digest, (b"{}", b"signature"))
    write_layout(folder, content, {str(APP): image, **{f"registry.example/other:{tag}": d for tag, d in content.tags.items()}})
    repository = Layout.at(folder).repository(APP)
    assert repository.document(f"{image.digest.tag}.sig") is None
    assert repository.tags() == ["v1"]


def test_a_tag_in_full_goes_before_a_bare_one(folder: Path, content: Content) -> None:
    layout = Layout.at(write_layout(folder, content, {"v1": content.image("bare"), str(APP): (ours := content.image("ours"))}))
    assert layout.repository(APP).document("v1") == ours


def test_what_cosign_saved_is_found_by_its_kinds(folder: Path, content: Content) -> None:
    image = content.image()
    signed, attested = content.sig(image.digest, (b"{}", b"signature")), content.att(image.digest, b"{}")
    write_layout(folder, content, unnamed=[image, signed, attested])

    def as_cosign(index: dict[str, Any]) -> None:
        for entry, kind in zip(index["manifests"], ("image", "sigs", "atts"), strict=True):
            entry["annotations"] = {"kind": f"dev.cosignproject.cosign/{kind}"}

    relist(folder, as_cosign)
    layout = Layout.at(folder)
    assert layout.image(None).descriptor.digest == image.digest
    repository = layout.repository(None)
    assert repository.document(f"{image.digest.tag}.sig") == signed
    assert repository.document(f"{image.digest.tag}.att") == attested
    assert repository.document(f"{Digest.of(b'another').tag}.sig") is None


@pytest.mark.parametrize("vendor", ["dev.hauler", "dev.cosignproject.cosign"])
@pytest.mark.parametrize("more", ["", "/0123abcd"])
def test_what_hauler_saved_is_found_under_the_name_of_its_image(folder: Path, content: Content, vendor: str, more: str) -> None:
    name, old = "docker.io/library/busybox", "index.docker.io/library/busybox"
    image, other = content.image(), content.index("other")
    signed, attested, listed = content.sig(image.digest, (b"{}", b"s")), content.att(image.digest, b"{}"), content.sbom(image.digest, b"{}")
    of_other, referrer = content.sig(other.digest, (b"{}", b"o")), content.bundle(image, b"{}")
    write_layout(folder, content, unnamed=[image, signed, attested, listed, referrer, other, of_other])
    kinds = ["image", f"sigs{more}", f"atts{more}", f"sboms{more}", f"referrers/{referrer.digest.encoded}", "imageIndex", f"sigs{more}"]

    def as_hauler(index: dict[str, Any]) -> None:
        for entry, kind, tag in zip(index["manifests"], kinds, ["1.36"] * 5 + ["1.37"] * 2, strict=True):
            entry["annotations"] = {"kind": f"{vendor}/{kind}", REF_NAME: f"library/busybox:{tag}", CONTAINERD_NAME: f"{old}:{tag}"}

    relist(folder, as_hauler)
    layout = Layout.at(folder)
    assert layout.names() == [f"{old}:1.36", f"{old}:1.37"]
    found = layout.image(f"{old}:1.36")
    assert (found.descriptor.digest, str(found.reference)) == (image.digest, f"{name}:1.36")
    repository = layout.repository(found.reference)
    forms = ("sig", "att", "sbom")
    assert [repository.document(f"{image.digest.tag}.{form}") for form in forms] == [signed, attested, listed]
    assert [repository.document(f"{other.digest.tag}.{form}") for form in forms] == [of_other, None, None]
    assert repository.referrers(image.digest).listed == (referrer.as_referrer,)
    assert refused(lambda: layout.image(None)) == (2, Code.USAGE_REFERENCE)


def test_signatures_that_hauler_saved_twice_are_not_chosen_from(folder: Path, content: Content) -> None:
    image = content.image()
    both = [content.sig(image.digest, (b"{}", signature)) for signature in (b"a", b"b")]
    write_layout(folder, content, unnamed=[image, *both])

    def as_hauler(index: dict[str, Any]) -> None:
        for entry, kind in zip(index["manifests"], ("image", "sigs", "sigs"), strict=True):
            entry["annotations"] = {"kind": f"dev.hauler/{kind}", REF_NAME: str(APP)}

    relist(folder, as_hauler)
    layout = Layout.at(folder)
    assert layout.image(None).descriptor.digest == layout.image(str(APP)).descriptor.digest == image.digest
    assert refused(lambda: layout.repository(APP).document(f"{image.digest.tag}.sig")) == (3, Code.FORMAT_LAYOUT)


def test_referrers_are_found_listed_or_not(folder: Path, content: Content) -> None:
    image = content.index("words")
    child = content.documents[image.children[0].digest]
    listed = content.artifact(b"listed", SBOM, subject=image, annotations={"k": "v"})
    hidden = content.bundle(image, b"{}")
    of_child, of_listed = content.notation(child, b"jws"), content.bundle(listed, b"{}")
    content.blob(json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": str(image.digest)}]}).encode())
    repository = Layout.at(write_layout(folder, content, {"v1": image}, unnamed=[listed])).repository(None)
    assert {r.digest for r in repository.referrers(image.digest).listed} == {listed.digest, hidden.digest}
    assert set(repository.referrers(image.digest).listed) == {listed.as_referrer, hidden.as_referrer}
    assert [r.digest for r in repository.referrers(child.digest).listed] == [of_child.digest]
    assert [r.digest for r in repository.referrers(listed.digest).listed] == [of_listed.digest]
    assert repository.referrers(Digest.of(b"none")).listed == ()
    assert repository.referrers(image.digest).api


def test_the_order_of_referrers_does_not_depend_on_the_index(tmp_path: Path, content: Content) -> None:
    image = content.image()
    referrers = [content.artifact(bytes([n]), subject=image) for n in range(5)]
    told = [
        Layout.at(write_layout(tmp_path / str(n), content, unnamed=[*order, image])).referrers(image.digest)
        for n, order in enumerate((referrers, referrers[::-1], []))
    ]
    assert told[0] == told[1] == told[2]


def test_a_layout_with_large_blobs_is_looked_through_in_little_memory_and_time(folder: Path, content: Content) -> None:
    image = content.image()
    content.artifact(subject=image)
    write_layout(folder, content, {"v1": image})
    with blob_path(folder, Digest.of(b"large")).open("wb") as file:
        file.truncate(64 << 30)  # a hole: reading it would take minutes
    assert len(Layout.at(folder).referrers(image.digest)) == 1


def test_threads_look_through_a_layout_once_together(content: Content) -> None:
    image = content.image()
    referrers = sorted((content.artifact(b"%d" % number, subject=image).as_referrer for number in range(300)), key=lambda d: d.digest)
    files = listing_of(content, [])
    layout = Layout(files)
    assert list(side_by_side(lambda _: layout.referrers(image.digest), range(8), jobs=8)) == [tuple(referrers)] * 8
    assert set(files.read.values()) == {1}


@pytest.mark.parametrize(("beginning", "taken"), [(b"\x1f\x8b", 1), (b"{", MAX_DOCUMENT // MIB + 1)], ids=["no JSON", "perhaps JSON"])
def test_of_a_blob_that_may_be_anything_no_more_is_read_than_tells_what_it_is(content: Content, beginning: bytes, taken: int) -> None:
    """A file may grow while it is read."""
    image = content.image()
    files = Growing(listing_of(content, []), beginning)
    assert Layout(files).referrers(image.digest) == ()
    assert files.taken == taken


def test_an_index_that_grows_while_it_is_read_is_too_large(content: Content) -> None:
    with pytest.raises(FormatError) as raised:
        Layout(Growing(listing_of(content, []), b"{", "index.json"))
    assert raised.value.code is Code.LIMIT_DOCUMENT


class Growing:
    """The files of a layout with one that is said to be small and has 64 MiB; ``taken`` are the MiB of it that were read."""

    def __init__(self, files: Counted, beginning: bytes, name: str = f"blobs/sha256/{'0' * 64}") -> None:
        self._files, self._beginning, self._name = files, beginning, name
        self.taken = 0

    def size(self, name: str) -> int | None:
        return 1 if name == self._name else self._files.size(name)

    def chunks(self, name: str) -> Iterator[bytes]:
        if name != self._name:
            yield from self._files.chunks(name)
            return
        for _ in range(64):
            self.taken += 1
            yield self._beginning.ljust(MIB)

    def blobs(self) -> Iterator[Digest]:
        yield from self._files.blobs()
        yield Digest("sha256", "0" * 64)

    def close(self) -> None: ...


@pytest.mark.parametrize("platforms", [(), (Platform("linux", "a1"),)], ids=["all", "one"])
@pytest.mark.parametrize("nested", [False, True])
def test_of_a_large_index_each_document_is_read_twice_at_most(content: Content, nested: bool, platforms: tuple[Platform, ...]) -> None:
    """Once to see what refers to what, and once as itself if it is wanted."""
    images = [content.manifest(content.blob(b"{}"), [], annotations={"n": str(number)}) for number in range(200)]
    listed = [
        image.descriptor.to_json() | {"platform": {"os": "linux", "architecture": f"a{number % 25}"}} for number, image in enumerate(images)
    ]
    parts = [listed[at : at + 20] for at in range(0, 200, 20)] if nested else [listed]
    indexes = [content.document({"mediaType": mediatype.OCI_INDEX, "manifests": part}) for part in parts]
    root = content.index(children=indexes)
    files = listing_of(content, [root.descriptor.to_json() | {"annotations": {REF_NAME: "v1"}}])
    found = survey(APP, root, Layout(files).repository(APP), platforms=platforms)
    assert len(found.carried.own) == 1 + len(parts) + (8 if platforms else 200)
    assert set(files.read.values()) <= {1, 2}
    assert sum(files.read.values()) <= len(files.read) + len(found.carried.own)


@pytest.mark.parametrize(
    "annotations",
    [
        pytest.param(lambda _: {}, id="unnamed"),
        pytest.param(lambda _: {REF_NAME: "v1"}, id="one name"),
        pytest.param(lambda number: {REF_NAME: f"v{number}"}, id="as many names"),
        pytest.param(lambda _: {"kind": "dev.cosignproject.cosign/sigs"}, id="as a signature that cosign saved"),
    ],
)
def test_a_document_is_read_once_however_often_it_is_listed(content: Content, annotations: Callable[[int], dict[str, str]]) -> None:
    image, other = content.image(), content.image("other")
    entry = image.descriptor.to_json()
    files = listing_of(content, [entry | {"annotations": annotations(number)} for number in range(500)] + [other.descriptor.to_json()])
    layout = Layout(files)
    with suppress(UsageError):
        layout.image(None)
    assert max(files.read.values()) == 1
    layout.referrers(image.digest)
    layout.repository(APP).document(f"{image.digest.tag}.sig")
    assert max(files.read.values()) <= 2


def test_of_many_entries_of_one_image_one_with_a_name_is_the_image(content: Content) -> None:
    image = content.image()
    entry = image.descriptor.to_json()
    names = [{}, {REF_NAME: f"{image.digest.tag}.sig"}, {REF_NAME: "v1"}, {REF_NAME: "v2"}]
    layout = Layout(listing_of(content, [entry | {"annotations": each} for each in names]))
    assert layout.image(None).name == "v1"


@pytest.mark.parametrize("where", ["annotations", "data"])
def test_an_entry_has_at_most_8_mib(content: Content, where: str) -> None:
    image = content.image()

    def layout(length: int) -> Layout:
        text = "x" * length
        told = {"annotations": {REF_NAME: text}} if where == "annotations" else {"annotations": {}, "other": text}
        return Layout(listing_of(content, [image.descriptor.to_json() | told]))

    assert len(layout(8 * MIB - 1000).entries) == 1
    with pytest.raises(FormatError, match="too long an item") as refused:
        layout(8 * MIB)
    assert refused.value.code == Code.LIMIT_DOCUMENT


def test_a_very_long_name_is_quoted_in_few_words(content: Content) -> None:
    image = content.image()
    names = ["x" * (4 * MIB), "\N{GRINNING FACE}" * (MIB // 2)]
    layout = Layout(listing_of(content, [image.descriptor.to_json() | {"annotations": {REF_NAME: name}} for name in names]))
    for asked in (*names, "y" * MIB):
        with pytest.raises(IncompleteError) as missing:
            layout.image(f"{asked}y")
        assert len(str(missing.value)) < 2500


# --- reading ---


def test_documents_and_blobs_come_as_they_are(folder: Path, content: Content) -> None:
    image = content.index("words", algorithm="sha512")
    write_layout(folder, content, {"v1": image})
    repository: Sink = Layout.at(folder).repository(None)
    assert repository.document("v1") == image
    assert repository.document(image.digest) == image
    child = repository.document(image.children[0].digest)
    assert child is not None
    for blob in child.blobs:
        assert repository.has(blob)
        assert b"".join(repository.chunks(blob)) == content.blobs[blob.digest]


def test_docker_manifests_are_read(folder: Path, content: Content) -> None:
    image = content.index(docker=True)
    assert Layout.at(write_layout(folder, content, {"v1": image})).repository(None).document("v1") == image


def test_what_is_absent_is_none(folder: Path, content: Content) -> None:
    repository = Layout.at(write_layout(folder, content, {"v1": content.image()})).repository(None)
    absent = Descriptor.of(b"absent", "text/plain")
    assert repository.document("absent") is None
    assert repository.document(absent.digest) is None
    assert not repository.has(absent)
    with pytest.raises(IncompleteError) as caught:
        list(repository.chunks(absent))
    assert (caught.value.code, caught.value.exit) == (Code.BLOB_MISSING, 6)


def test_what_is_listed_and_not_there_is_missing(folder: Path, content: Content) -> None:
    image = content.image()
    write_layout(folder, content, {"v1": image})
    blob_path(folder, image.digest).unlink()
    with pytest.raises(IncompleteError) as caught:
        Layout.at(folder).repository(None).document("v1")
    assert caught.value.code == Code.BLOB_MISSING


# --- hostile layouts ---


def refused(act: Callable[[], Any]) -> tuple[int, Code]:
    with pytest.raises(BundlerError) as caught:
        act()
    return caught.value.exit, caught.value.code


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("oci-layout", None, Code.FORMAT_LAYOUT),  # LAY-001
        ("index.json", None, Code.FORMAT_LAYOUT),  # LAY-002
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', Code.FORMAT_LAYOUT),  # LAY-003
        ("oci-layout", b"1.0.0!", Code.FORMAT_JSON),  # LAY-004
        ("oci-layout", b'["1.0.0"]', Code.FORMAT_LAYOUT),  # LAY-005
        ("oci-layout", b'{"imageLayoutVersion":"1.0.0","imageLayoutVersion":"2.0.0"}', Code.FORMAT_JSON),  # LAY-006
        ("oci-layout", b" " * 2_000 + OCI_LAYOUT, Code.LIMIT_DOCUMENT),
        ("index.json", b"", Code.FORMAT_JSON),
        ("index.json", b"[]", Code.FORMAT_LAYOUT),
        ("index.json", b'{"schemaVersion":2}', Code.FORMAT_LAYOUT),
        ("index.json", b'{"schemaVersion":1,"manifests":[]}', Code.FORMAT_LAYOUT),
        ("index.json", b'{"schemaVersion":2,"manifests":[],"manifests":[]}', Code.FORMAT_JSON),
        ("index.json", b'{"schemaVersion":2,"manifests":[],"Manifests":[]}', Code.FORMAT_JSON),
        ("index.json", b'{"schemaVersion":2.0,"manifests":[]}', Code.FORMAT_LAYOUT),
        ("index.json", b'{"schemaVersion":2,"manifests":{}}', Code.FORMAT_LAYOUT),
        ("index.json", b'{"schemaVersion":2,"manifests":["x"]}', Code.FORMAT_MANIFEST),
        ("index.json", b'{"schemaVersion":2,"mediaType":"text/plain","manifests":[]}', Code.FORMAT_LAYOUT),
        ("index.json", b'{"schemaVersion":2,"manifests":[' + b"[" * 40 + b"]" * 40 + b"]}", Code.FORMAT_JSON),
        ("index.json", b" " * (48 << 20), Code.LIMIT_DOCUMENT),  # LAY-029
    ],
)
def test_what_is_no_layout_is_malformed(folder: Path, content: Content, name: str, data: bytes | None, code: Code) -> None:
    write_layout(folder, content, {"v1": content.image()})
    if data is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(data)
    assert refused(lambda: Layout.at(folder)) == (3, code)


def test_json_that_cannot_be_read_is_named(folder: Path, content: Content) -> None:
    write_layout(folder, content, {"v1": content.image()})
    (folder / "index.json").write_bytes(b"{")
    with pytest.raises(FormatError, match=r"index\.json: JSON is not well-formed"):
        Layout.at(folder)
    (folder / "oci-layout").write_bytes(b"{")
    with pytest.raises(FormatError, match="oci-layout: JSON is not well-formed"):
        Layout.at(folder)


def test_annotations_in_index_json_are_compared_exactly(folder: Path, content: Content) -> None:
    write_layout(folder, content, {"v1": content.image()})
    relist(folder, lambda index: index["manifests"][0]["annotations"].update({"Maintainer": "a", "maintainer": "b\x1b"}))
    found = Layout.at(folder).image("v1").descriptor.annotations
    assert (found["Maintainer"], found["maintainer"]) == ("a", "b\x1b")


@pytest.mark.parametrize(
    "digest", ["md5:" + "0" * 32, "sha1:" + "0" * 40, "sha256:" + "A" * 64, "sha256:" + "0" * 63, "sha512:" + "0" * 64, "sha256:../../x"]
)
def test_an_entry_without_a_digest_that_counts_is_malformed(folder: Path, content: Content, digest: str) -> None:
    write_layout(folder, content, {"v1": content.image()})
    relist(folder, lambda index: index["manifests"][0].update({"digest": digest}))
    assert refused(lambda: Layout.at(folder)) == (3, Code.FORMAT_DIGEST)  # LAY-019 to LAY-024


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    match how:
        case "flipped":
            path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        case "truncated":
            path.write_bytes(data[:-1])
        case "longer":
            path.write_bytes(data + b"\n")
        case "empty":
            path.write_bytes(b"")


@pytest.mark.parametrize("how", ["flipped", "truncated", "longer", "empty"])
@pytest.mark.parametrize("tag", ["v1", None])
def test_a_document_of_other_bytes_is_corrupt(folder: Path, content: Content, how: str, tag: str | None) -> None:
    image = content.image()
    write_layout(folder, content, {"v1": image})
    damage(blob_path(folder, image.digest), how)  # LAY-012
    assert refused(lambda: Layout.at(folder).repository(None).document(tag or image.digest)) == (4, Code.CONTENT_DIGEST)


@pytest.mark.parametrize("how", ["flipped", "truncated", "longer", "empty"])
def test_a_blob_of_other_bytes_is_not_had(folder: Path, content: Content, how: str) -> None:
    image = content.image()
    write_layout(folder, content, {"v1": image})
    layer = image.blobs[1]
    damage(blob_path(folder, layer.digest), how)  # LAY-010, LAY-013 to LAY-015
    assert not Layout.at(folder).has(layer)


def test_a_damaged_referrer_is_corrupt_and_never_absent(folder: Path, content: Content) -> None:
    image = content.image()
    hidden = content.bundle(image, b"{}")
    write_layout(folder, content, {"v1": image})
    blob_path(folder, hidden.digest).write_bytes(hidden.raw.replace(b"2026", b"2027"))
    assert refused(lambda: Layout.at(folder).referrers(image.digest)) == (4, Code.CONTENT_DIGEST)


def test_an_entry_of_another_size_or_media_type_is_refused(folder: Path, content: Content) -> None:
    image = content.image()
    write_layout(folder, content, {"v1": image})
    relist(folder, lambda index: index["manifests"][0].update({"size": 1}))
    assert refused(lambda: Layout.at(folder).document(image.digest)) == (4, Code.CONTENT_SIZE)
    relist(folder, lambda index: index["manifests"][0].update({"mediaType": mediatype.OCI_INDEX}))
    assert refused(lambda: Layout.at(folder).document(image.digest)) == (3, Code.FORMAT_MEDIA_TYPE)


def test_a_document_above_its_limit_is_not_read(folder: Path, content: Content) -> None:
    image = content.image()
    write_layout(folder, content, {"v1": image})
    with blob_path(folder, image.digest).open("wb") as file:
        file.truncate(1 << 40)
    assert refused(lambda: Layout.at(folder).document(image.digest)) == (3, Code.LIMIT_DOCUMENT)


def outside(tmp_path: Path, path: Path, what: str) -> None:
    """Something else than a file in the place of ``path``, that has the very bytes where it can have any."""
    kept = tmp_path / "outside"
    path.rename(kept)
    match what:
        case "symlink":
            path.symlink_to(kept)
        case "dangling":
            path.symlink_to(tmp_path / "nowhere")
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                here = os.open(path.parent, os.O_RDONLY)
                try:
                    bound.bind(f"/proc/self/fd/{here}/{path.name}")
                finally:
                    os.close(here)


@pytest.mark.parametrize("what", ["symlink", "dangling", "fifo", "folder", "device", "socket"])
@pytest.mark.parametrize("name", ["oci-layout", "index.json", "document", "blob"])
def test_nothing_but_regular_files_is_read(tmp_path: Path, folder: Path, content: Content, what: str, name: str) -> None:
    """R-27: no link is followed, no FIFO waited for."""
    image = content.image()
    write_layout(folder, content, {"v1": image})
    digest = {"document": image.digest, "blob": image.blobs[1].digest}.get(name)
    outside(tmp_path, blob_path(folder, digest) if digest else folder / name, what)
    if digest is None:
        assert refused(lambda: Layout.at(folder)) == (3, Code.FORMAT_LAYOUT)
    elif name == "document":
        assert refused(lambda: Layout.at(folder).document(image.digest)) == (3, Code.FORMAT_LAYOUT)
    else:
        assert refused(lambda: list(Layout.at(folder).chunks(image.blobs[1]))) == (3, Code.FORMAT_LAYOUT)
        assert refused(lambda: Layout.at(folder).has(image.blobs[1])) == (3, Code.FORMAT_LAYOUT)


@pytest.mark.parametrize("below", ["blobs", "blobs/sha256"])
def test_no_linked_folder_is_followed(tmp_path: Path, folder: Path, content: Content, below: str) -> None:
    """R-28: a link in the middle of a path is none either, to read or to write."""
    image = content.image()
    write_layout(folder, content, {"v1": image})
    layout = Layout.at(folder)
    (folder / below).rename(tmp_path / "outside")
    (folder / below).symlink_to(tmp_path / "outside")
    assert refused(lambda: layout.document(image.digest)) == (3, Code.FORMAT_LAYOUT)
    assert refused(lambda: layout.referrers(image.digest)) == (3, Code.FORMAT_LAYOUT)
    new = Descriptor.of(b"new", "text/plain")
    before = files(tmp_path / "outside")
    assert refused(lambda: layout.put(new, lambda: iter([b"new"]))) == (3, Code.FORMAT_LAYOUT)
    assert files(tmp_path / "outside") == before


def test_a_person_may_name_a_layout_by_a_link(tmp_path: Path, folder: Path, content: Content) -> None:
    write_layout(folder, content, {"v1": content.image()})
    (tmp_path / "current").symlink_to(folder)
    assert Layout.at(tmp_path / "current").names() == ["v1"]


def test_a_folder_that_is_not_there_is_a_mistake_of_the_person(tmp_path: Path) -> None:
    assert refused(lambda: Layout.at(tmp_path / "absent")) == (2, Code.USAGE_INPUT)
    (tmp_path / "file").write_text("x")
    assert refused(lambda: Layout.at(tmp_path / "file")) == (2, Code.USAGE_INPUT)


# --- writing ---


def test_what_is_put_in_comes_out(folder: Path, content: Content) -> None:
    image = content.index("words")
    content.sig(image.digest, (b"{}", b"signature"))
    content.bundle(image, b"{}")
    layout = Layout.at(folder, create=True)
    push_with_evidence(layout.repository(APP), content, image, tag="v1")
    assert {name: data for name, data in files(folder).items() if name.startswith("blobs/")} == content.files()
    for again in (layout, Layout.at(folder)):
        repository = again.repository(APP)
        assert repository.document("v1") == image
        assert repository.document(f"{image.digest.tag}.sig") == content.tags[f"{image.digest.tag}.sig"]
        assert len(repository.referrers(image.digest).listed) == 1
        assert again.image(None).reference == APP


def test_what_is_listed_follows_the_rules_of_other_tools(folder: Path, content: Content) -> None:
    """R1 to R4: images by their full reference, twice; signatures by it; referrers without a name; children not at all."""
    image = content.nested()
    signed = content.sig(image.digest, (b"{}", b"signature"))
    referrer = content.artifact(b"sbom", SBOM, subject=image)
    push_with_evidence(Layout.at(folder, create=True).repository(APP), content, image, tag="v1")
    assert (folder / "oci-layout").read_bytes() == OCI_LAYOUT
    listed = {entry["digest"]: entry for entry in index_of(folder)}
    assert set(listed) == {str(image.digest), str(signed.digest), str(referrer.digest)}
    assert listed[str(image.digest)]["annotations"] == {REF_NAME: str(APP), CONTAINERD_NAME: str(APP)}
    assert listed[str(signed.digest)]["annotations"] == {REF_NAME: f"{APP.repository}:{image.digest.tag}.sig"}
    assert (listed[str(referrer.digest)]["artifactType"], "annotations" in listed[str(referrer.digest)]) == (SBOM, False)


def test_an_image_without_a_tag_is_listed_without_a_name(folder: Path, content: Content) -> None:
    image = content.index("words")
    push(Layout.at(folder, create=True).repository(APP), content, image)
    [entry] = index_of(folder)
    assert (entry["digest"], "annotations" in entry) == (str(image.digest), False)
    assert Layout.at(folder).image(None).descriptor.digest == image.digest
    push(Layout.at(folder).repository(APP), content, image, tag="v1")
    assert [entry["annotations"][REF_NAME] for entry in index_of(folder)] == [str(APP)]
    push(Layout.at(folder).repository(APP), content, image)
    assert len(index_of(folder)) == 1


def test_two_tags_of_one_image_are_two_entries_and_a_tag_moves(folder: Path, content: Content) -> None:
    layout = Layout.at(folder, create=True)
    one, two = content.image("one"), content.image("two")
    for image, tag in ((one, "v1"), (one, "latest"), (two, "latest")):
        push(layout.repository(None), content, image, tag=tag)
    assert [(entry["annotations"][REF_NAME], entry["digest"]) for entry in index_of(folder)] == [
        ("v1", str(one.digest)),
        ("latest", str(two.digest)),
    ]
    assert CONTAINERD_NAME not in index_of(folder)[0]["annotations"]
    assert layout.repository(None).document("latest") == two


def test_what_others_wrote_into_the_index_stays(folder: Path, content: Content) -> None:
    other, ours = content.image("other"), content.image("ours")
    write_layout(folder, content, {"other": other})
    strange = {"mediaType": "application/xml", "digest": str(Digest.of(b"x")), "size": 1, "annotations": {"a": "b"}, "x-more": [1]}
    relist(folder, lambda index: index.update({"annotations": {"c": "d"}, "x-own": {}, "manifests": [strange, *index["manifests"]]}))
    before = json.loads((folder / "index.json").read_text())
    push(Layout.at(folder).repository(None), content, ours, tag="ours")
    after = json.loads((folder / "index.json").read_text())
    assert after.pop("manifests")[:2] == before.pop("manifests")
    assert after == before


def test_a_manifest_whose_blobs_are_not_there_is_not_listed(folder: Path, content: Content) -> None:
    image = content.image()
    layout = Layout.at(folder, create=True)
    before = files(folder)
    with pytest.raises(IncompleteError) as caught:
        layout.repository(None).put_document(image, tag="v1")
    assert caught.value.code == Code.BLOB_MISSING
    assert files(folder) == before


def test_a_foreign_layer_need_not_be_there(folder: Path, content: Content) -> None:
    image = content.image(foreign=True)
    push(Layout.at(folder, create=True).repository(None), content, image, tag="v1")
    assert Layout.at(folder).repository(None).document("v1") == image


def test_a_sparse_index_is_kept(folder: Path, content: Content) -> None:
    index = content.index(children=[Content().image("elsewhere")])
    assert Layout.at(folder, create=True).repository(None).put_document(index, tag="v1") is False
    assert Layout.at(folder).repository(None).document("v1") == index


def test_a_referrer_is_said_to_be_listed_and_is(folder: Path, content: Content) -> None:
    image = content.image()
    repository = Layout.at(folder, create=True).repository(None)
    push(repository, content, image, tag="v1")
    assert repository.referrers(image.digest).listed == ()
    for n in range(3):
        referrer = content.artifact(bytes([n]), subject=image)
        for blob in referrer.blobs:
            repository.put(blob, _giving(content.blobs[blob.digest]))
        assert repository.put_document(referrer) is True
        assert referrer.as_referrer in repository.referrers(image.digest).listed
    assert repository.referrers(image.digest).listed == Layout.at(folder).referrers(image.digest)


def _giving(data: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter([data])


def test_a_blob_that_is_there_and_sound_is_not_written_again(folder: Path, content: Content) -> None:
    layer = content.layer("words")
    layout = Layout.at(write_layout(folder, content))
    before = blob_path(folder, layer.digest).stat()
    layout.put(layer, lambda: pytest.fail("its bytes are there"))
    assert layout.has(layer)
    assert blob_path(folder, layer.digest).stat() == before
    assert layout.repository(None).mount(layer, "anywhere")


def test_a_blob_that_is_there_and_damaged_is_written_again(folder: Path, content: Content) -> None:
    """R-30: what is there is hashed before it is taken for what it says."""
    layer = content.layer("words")
    write_layout(folder, content)
    damage(blob_path(folder, layer.digest), "flipped")
    layout = Layout.at(folder)
    assert not layout.has(layer)
    layout.put(layer, _giving(content.blobs[layer.digest]))
    assert layout.has(layer)


def test_a_blob_whose_bytes_end_in_an_error_is_never_there(folder: Path) -> None:
    blob = Descriptor.of(b"hello world", "text/plain")
    layout = Layout.at(folder, create=True)

    def cut() -> Iterator[bytes]:
        yield b"hello "
        raise TransportError("the line is dead")

    with pytest.raises(TransportError, match="the line is dead"):
        layout.put(blob, cut)
    assert not layout.has(blob)
    assert [name for name in files(folder) if name.startswith("blobs/")] == []


def test_an_empty_blob_is_a_file(folder: Path) -> None:
    empty = Descriptor.of(b"", "text/plain")
    layout = Layout.at(folder, create=True)
    layout.put(empty, lambda: iter([]))
    assert layout.has(empty)
    assert b"".join(layout.chunks(empty)) == b""


def test_a_folder_of_something_else_is_not_made_a_layout(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(ConflictError) as caught:
        Layout.at(folder, create=True)
    assert (caught.value.code, caught.value.exit) == (Code.OUTPUT_EXISTS, 8)
    assert files(folder) == {"thesis.txt": b"years of work"}
    with pytest.raises(ConflictError):
        Layout.at(folder / "thesis.txt", create=True)


def test_a_layout_that_was_only_begun_is_finished(folder: Path) -> None:
    folder.mkdir()
    (folder / "oci-layout").write_bytes(OCI_LAYOUT)
    (folder / ".index.json.0123456789ab.tmp").write_bytes(b"{")
    assert Layout.at(folder, create=True).names() == []


def test_two_that_write_at_once_lose_nothing(folder: Path) -> None:
    Layout.at(folder, create=True)
    program = (
        "import sys; from pathlib import Path; from bundler.content.layout import Layout\n"
        "from tests.support.layouts import Content, push\n"
        "content = Content(); repository = Layout.at(Path(sys.argv[1])).repository(None)\n"
        "for n in range(10): push(repository, content, content.image(f'{sys.argv[2]} {n}'), tag=f'{sys.argv[2]}-{n}')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, str(folder), name]) for name in ("one", "two")]
    content = Content()
    layout = Layout.at(folder)
    threads = [
        threading.Thread(target=push, args=(layout.repository(None), content, content.image(f"three {n}")), kwargs={"tag": f"three-{n}"})
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [writer.wait() for writer in writers] == [0, 0]
    assert Layout.at(folder).repository(None).tags() == sorted(
        [f"{name}-{n}" for name in ("one", "two") for n in range(10)] + [f"three-{n}" for n in range(4)]
    )


def test_what_is_listed_at_once_is_found_before_and_written_once(folder: Path, content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    image, other = content.index("words"), content.image("other")
    sig = content.sig(image.digest, (b"{}", b"signature"))
    referrer = content.bundle(image, b"{}")
    layout = Layout.at(folder, create=True)
    repository = layout.repository(APP)
    before = files(folder)
    replaced: list[str] = []
    genuine = os.replace

    def noted(source: Path, name: Path) -> None:
        replaced.append(Path(name).name)
        genuine(source, name)

    monkeypatch.setattr(os, "replace", noted)
    with layout.listed_at_once():
        push_with_evidence(repository, content, image, tag="v1")
        push(repository, content, other, tag="v2")
        assert repository.document("v1") == image
        assert repository.document(f"{image.digest.tag}.sig") == sig
        assert repository.document(other.digest) == other
        push(repository, content, other, tag="v1")
        assert repository.document("v1") == other
        assert repository.referrers(image.digest).listed == (referrer.as_referrer,)
        assert files(folder)["index.json"] == before["index.json"]
    assert replaced.count("index.json") == 1
    assert Layout.at(folder).repository(APP).document("v1") == other
    assert Layout.at(folder).repository(APP).document(f"{image.digest.tag}.sig") == sig
    assert Layout.at(folder).repository(APP).tags() == sorted(["v1", "v2", f"{image.digest.tag}.sig"])


def test_one_by_one_and_at_once_give_the_same_index(tmp_path: Path, content: Content) -> None:
    index, image = content.index("words"), content.image("other")
    content.sig(index.digest, (b"{}", b"signature"))
    content.bundle(index, b"{}")
    for folder, at_once in ((tmp_path / "one", False), (tmp_path / "two", True)):
        layout = Layout.at(folder, create=True)
        push(layout.repository(None), content, content.image("there before"), tag="there")
        with layout.listed_at_once() if at_once else nullcontext():
            for tag in ("v1", "v2", None, "there"):
                push_with_evidence(layout.repository(APP), content, index, tag=tag)
            for tag in (None, "v1", None):
                push(layout.repository(APP), content, image, tag=tag)
            for child in index.children:
                layout.put_document(content.documents[child.digest], name=None)
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.parametrize("error", [TransportError("gone"), KeyboardInterrupt()])
def test_an_error_before_all_is_there_lists_nothing(folder: Path, content: Content, error: BaseException) -> None:
    Layout.at(write_layout(folder, content))
    before = files(folder)["index.json"]
    layout = Layout.at(folder)

    def broken() -> None:
        with layout.listed_at_once():
            push(layout.repository(APP), content, content.image("words"), tag="v1")
            raise error

    with pytest.raises(type(error)):
        broken()
    assert files(folder)["index.json"] == before
    assert layout.repository(APP).document("v1") is None
    push(layout.repository(APP), content, content.image("words"), tag="v1")
    assert Layout.at(folder).repository(APP).tags() == ["v1"]


def test_what_others_list_meanwhile_stays(folder: Path, content: Content) -> None:
    layout = Layout.at(folder, create=True)
    with layout.listed_at_once():
        push(layout.repository(None), content, content.image("ours"), tag="ours")
        push(Layout.at(folder).repository(None), content, content.image("theirs"), tag="theirs")
    assert Layout.at(folder).repository(None).tags() == ["ours", "theirs"]


def test_ten_thousand_documents_are_listed_in_one_go(content: Content) -> None:
    """Each by itself among all others would be hundreds of millions of comparisons."""
    image = content.image("words")
    index = listing({"schemaVersion": 2, "manifests": []}, [(image, f"registry.example/app:{number}") for number in range(10_000)])
    again = listing(index, [(image, f"registry.example/app:{number}") for number in range(10_000)])
    assert index == again
    assert len(again["manifests"]) == 10_000


def test_what_a_killed_run_left_among_the_blobs_is_removed(folder: Path, content: Content) -> None:
    push(Layout.at(folder, create=True).repository(None), content, content.image("words"))
    left = folder / "blobs/sha256/.oci-bundler-0011223344556677.tmp"
    left.write_bytes(b"half")
    layout = Layout.at(folder)
    with layout.listed_at_once():
        pass
    assert not left.exists()


def test_the_index_is_written_in_one_spelling(tmp_path: Path, content: Content) -> None:
    image = content.index("words")
    for name in ("one", "two"):
        push(Layout.at(tmp_path / name, create=True).repository(APP), content, image, tag="v1")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    raw = (tmp_path / "one/index.json").read_bytes()
    assert strictjson.dumps(json.loads(raw)) == raw
