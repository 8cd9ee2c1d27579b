"""Carrying images out: what is refused before anything is written, what is written, and that it is the same each time."""

import errno
import gzip
import json
import os
import resource
import socket
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard

from bundler.bundle.seal import time
from bundler.cli.options import after
from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support import signing
from tests.support.layouts import Content, tar_of, write_layout
from tests.support.signing import Key
from tests.support.station import EXPORTER, RELEASE, Crossing, Image, Ran, ran, run, spawned, write_key, write_trust

EPOCH = {"SOURCE_DATE_EPOCH": "1767225600"}


def export(crossing: Crossing, *words: object, to: str = "b.oci.tar.zst", env: dict[str, str] | None = None) -> Ran:
    return run("export", *words, "-o", crossing.folder / to, "--key", crossing.keys["exporter"], "--json", env=env)


def nothing_is_left(crossing: Crossing, name: str = "b.oci.tar.zst") -> bool:
    return not [path.name for path in crossing.folder.iterdir() if path.name.startswith((name, ".oci-bundler"))]


def claims(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = run("inspect", bundle, "--json").json["claims"]
    return found


# --- what the source lacks ---


def test_an_image_that_is_not_there_is_missing(crossing: Crossing) -> None:
    done = export(crossing, f"{crossing.here.host}/team/none:v1")
    assert (done.exit, done.code) == (6, "image.missing")


@pytest.mark.parametrize("platform", ["linux/s390x", "linux/arm64/v7", "windows/amd64"])
def test_a_platform_that_nobody_has_is_missing_and_those_that_are_there_are_named(platform: str, crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    done = export(crossing, image.reference, "--platform", "linux/amd64", "--platform", platform)
    assert (done.exit, done.code) == (6, "image.platform")
    assert done.json["error"]["found"] == "linux/amd64, linux/arm64"
    assert nothing_is_left(crossing)


def test_a_single_image_of_another_platform_is_missing_too(crossing: Crossing) -> None:
    done = export(crossing, crossing.signed_image().reference, "--platform", "linux/arm64")
    assert (done.exit, done.code) == (6, "image.platform")
    assert done.json["error"]["found"] == "linux/amd64"


def test_what_has_no_platform_at_all_goes_with_every_platform(crossing: Crossing) -> None:
    """Charts and other artifacts beside images in one list."""
    chart = crossing.push(crossing.sign(crossing.content.chart()), "team/chart:0.1.0")
    assert export(crossing, chart.reference, "--platform", "linux/amd64").exit == 0


@pytest.mark.parametrize("which", [0, 1], ids=["config", "layer"])
def test_a_blob_that_the_source_lacks_leaves_no_output(which: int, crossing: Crossing) -> None:
    image = crossing.signed_image()
    crossing.here.forget(f"{crossing.here.host}/team/app", image.root.blobs[which].digest)
    done = export(crossing, image.reference)
    assert (done.exit, done.code) == (6, "blob.missing")
    assert nothing_is_left(crossing)


def test_a_child_that_the_source_lacks_leaves_no_output(crossing: Crossing) -> None:
    elsewhere = Content()
    root = elsewhere.index()
    for digest in [child.digest for child in root.children]:
        elsewhere.documents.pop(digest)
    crossing.content = elsewhere
    image = crossing.push(crossing.sign(root))
    done = export(crossing, image.reference)
    assert (done.exit, done.code) == (6, "blob.missing")
    assert nothing_is_left(crossing)


@pytest.mark.parametrize("change", [lambda b: b[:-1] + b"x", lambda b: b + b"x", lambda b: b[:-9]], ids=["other", "longer", "shorter"])
def test_other_bytes_than_the_manifest_names_leave_no_output(change: Callable[[bytes], bytes], crossing: Crossing) -> None:
    image = crossing.signed_image()
    layer = image.root.blobs[1]
    path = f"/v2/team/app/blobs/{layer.digest}"
    crossing.here.after = lambda request, _: change(crossing.content.blobs[layer.digest]) if request.path == path else None
    done = export(crossing, image.reference)
    assert done.exit in {4, 6}
    assert done.code.startswith("content.")
    assert nothing_is_left(crossing)


# --- what nobody has signed ---


def test_an_image_that_nothing_signed_is_about_is_refused(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.index())
    done = export(crossing, image.reference)
    assert (done.exit, done.code) == (5, "signature.missing")
    assert "--allow-unsigned" in done.json["error"]["next"]
    assert nothing_is_left(crossing)


def test_it_is_carried_when_asked_for(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.index())
    done = export(crossing, image.reference, "--allow-unsigned")
    assert done.exit == 0
    assert done.json["images"][0]["found"] == []


@pytest.mark.parametrize("kind", ["sbom tag", "sbom referrer", "buildkit"])
def test_what_nobody_signed_does_not_make_an_image_signed(kind: str, crossing: Crossing) -> None:
    root = crossing.content.with_buildkit()
    if kind == "sbom tag":
        crossing.content.sbom(root.digest, b"SPDX")
    if kind == "sbom referrer":
        crossing.content.artifact(b"{}", subject=root)
    assert export(crossing, crossing.push(root).reference).code == "signature.missing"


@pytest.mark.parametrize("kind", ["sig", "att", "bundle", "notation", "on a child"])
def test_every_form_of_signature_makes_an_image_signed(kind: str, crossing: Crossing) -> None:
    root = crossing.content.index()
    match kind:
        case "sig":
            crossing.sign(root)
        case "att":
            crossing.content.att(root.digest, signing.att(root))
        case "bundle":
            crossing.attach(root)
        case "notation":
            crossing.content.notation(root, b"{}")
        case _:
            crossing.sign(crossing.content.documents[root.children[1].digest])
    done = export(crossing, crossing.push(root).reference)
    assert done.exit == 0
    assert len(done.json["images"][0]["found"]) == 1


# --- trust on this side ---


def test_without_trust_nothing_is_checked_and_output_and_seal_say_so(crossing: Crossing) -> None:
    image = crossing.signed_image(key=signing.OTHER)
    done = export(crossing, image.reference)
    assert done.json["images"][0]["checked"] is False
    assert "nothing is verified" in done.err
    assert claims(crossing.folder / "b.oci.tar.zst")["checked_with"] is None


def test_with_trust_what_passes_is_carried_with_what_judged_it(crossing: Crossing) -> None:
    image = crossing.signed_image()
    done = export(crossing, image.reference, "--trust", crossing.trust)
    assert done.json["images"][0]["checked"] is True
    said = claims(crossing.folder / "b.oci.tar.zst")
    digest = run("trust", "list", crossing.trust, "--json").json["digest"]
    assert said["checked_with"] == digest
    carried = {member["sha256"] for member in said["members"] if member["kind"] == "trust"}
    assert carried == {Digest.of(RELEASE.pem).encoded, Digest.of(EXPORTER.pem).encoded}


def test_with_trust_what_does_not_pass_is_not_carried(crossing: Crossing) -> None:
    image = crossing.signed_image(key=signing.OTHER)
    done = export(crossing, image.reference, "--trust", crossing.trust)
    assert (done.exit, done.code) == (5, "policy.threshold")
    assert nothing_is_left(crossing)


def test_trust_that_is_found_is_used_as_trust_that_is_given(crossing: Crossing) -> None:
    image = crossing.signed_image(key=signing.OTHER)
    assert export(crossing, image.reference, env={"OCI_BUNDLER_TRUST": str(crossing.trust)}).exit == 5


def test_an_unusable_trust_is_no_missing_trust(crossing: Crossing) -> None:
    image = crossing.signed_image()
    (crossing.trust / "trust.toml").write_text("version = 2")
    assert export(crossing, image.reference, env={"OCI_BUNDLER_TRUST": str(crossing.trust)}).exit == 2
    assert export(crossing, image.reference, env={"OCI_BUNDLER_TRUST": str(crossing.folder / "none")}).exit == 2


# --- which images ---


def test_a_tag_with_a_digest_must_be_that_digest_and_is_carried_as_the_tag(crossing: Crossing) -> None:
    image = crossing.signed_image()
    assert export(crossing, f"{image.reference}@{image.root.digest}").json["images"][0]["reference"] == image.reference
    other = Digest.of(b"other")
    moved = export(crossing, f"{image.reference}@{other}", to="c")
    assert (moved.exit, moved.code) == (4, "image.moved")
    assert (moved.json["error"]["found"], moved.json["error"]["wanted"]) == (str(image.root.digest), str(other))


DIGEST_SAID = {
    "the layout's own name": ("registry.example/app@{other}", "", ()),
    "its name with a tag": ("registry.example/app:v1@{other}", "", ()),
    "what is asked for by name": ("registry.example/app:v1", "registry.example/app:v1@{other}", ()),
    "what is asked for by a tag": ("v1", "v1@{other}", ("--as", "registry.example/app:v1")),
    "the name to go under": ("v1", "v1", ("--as", "registry.example/app@{other}")),
    "the name to go under, by another algorithm": ("v1", "v1", ("--as", "registry.example/app:v1@sha512:" + "0" * 128)),
    "a name that is not gone under": ("registry.example/app@{other}", "", ("--as", "registry.example/app:v1")),
}


@pytest.mark.parametrize("place", ["oci", "oci-archive"])
@pytest.mark.parametrize(("listed", "asked", "flags"), DIGEST_SAID.values(), ids=DIGEST_SAID)
def test_a_digest_in_a_name_is_compared_wherever_the_image_lies(
    crossing: Crossing, place: str, listed: str, asked: str, flags: tuple[str]
) -> None:
    root, other = crossing.sign(crossing.content.image()), crossing.content.image("other")
    said = [word.format(other=other.digest) for word in (listed, asked, *flags)]
    folder = write_layout(crossing.folder / "layout", crossing.content, {said[0]: root})
    archive = crossing.folder / "layout.tar"
    archive.write_bytes(tar_of({str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}))
    where = f"{place}:{folder if place == 'oci' else archive}" + (f":{said[1]}" if asked else "")
    for ended in (export(crossing, where, *said[2:]), crossing.run("verify", where, *said[2:], "--json")):
        assert (ended.exit, ended.code) == (4, "image.moved")
        assert ended.json["error"]["found"] == str(root.digest)


EVIDENCE_NAMES = ["sha256-" + "a" * 64, "sha256-" + "a" * 64 + ".sig", "sha256-" + "b" * 64 + ".other"]


@pytest.mark.parametrize("tag", EVIDENCE_NAMES)
def test_nothing_is_carried_under_a_name_for_evidence(crossing: Crossing, tag: str) -> None:
    """Readers would take it for what vouches for another manifest."""
    image = crossing.push(crossing.sign(crossing.content.image()), f"team/app:{tag}")
    good = crossing.signed_image()
    folder = write_layout(crossing.folder / "layout", crossing.content, {f"registry.example/app:{tag}": image.root})
    crossing.here.asked.clear()
    for words in ([image.reference], [good.reference, "--as", f"registry.example/app:{tag}"], [f"oci:{folder}:registry.example/app:{tag}"]):
        ended = export(crossing, *words)
        assert (ended.exit, ended.code) == (2, "usage.reference")
        assert "--as" in ended.json["error"]["next"]
    assert crossing.here.asked == []


def test_a_list_gives_references_and_names_to_carry(crossing: Crossing) -> None:
    one, two = crossing.signed_image("team/one:v1", words="one"), crossing.signed_image("team/two:v1", words="two")
    listed = crossing.folder / "list"
    lines = ["# what we ship", "", one.reference, f"  docker://{two.reference}\tregistry.example/two:v2  # renamed", one.reference]
    listed.write_bytes("\r\n".join(lines).encode())
    done = export(crossing, "--images", listed)
    assert done.exit == 0, done.err
    assert [image["reference"] for image in done.json["images"]] == [one.reference, "registry.example/two:v2"]


def test_a_list_may_come_from_stdin(crossing: Crossing) -> None:
    image = crossing.signed_image()
    words = ["export", "--images", "-", "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json"]
    assert run(*words, stdin=f"{image.reference}\n".encode()).json["images"][0]["reference"] == image.reference


@pytest.mark.parametrize(
    "line", [b"a b c", b"registry.example/UPPER:v1", b"registry.example/a:v1 UPPER/x", b"a\0b", b"\xff\xfe", b"oci:", b"a\x1b[31m"]
)
def test_a_bad_line_is_named_by_its_number_and_shown_harmless(line: bytes, crossing: Crossing) -> None:
    listed = crossing.folder / "list"
    listed.write_bytes(b"# fine\nregistry.example/fine:v1\n" + line + b"\n")
    done = run("export", "--images", listed, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"])
    assert done.exit == 2
    assert f"line 3 of {listed}" in done.err
    assert done.err.replace("\n", "").isprintable()


@pytest.mark.parametrize("content", [b"", b"# nothing\n\n"])
def test_an_empty_list_is_nothing_to_export(content: bytes, crossing: Crossing) -> None:
    (crossing.folder / "list").write_bytes(content)
    assert export(crossing, "--images", crossing.folder / "list").exit == 2


def test_a_million_lines_are_refused_in_time(crossing: Crossing) -> None:
    (crossing.folder / "list").write_bytes(b"registry.example/app:v1\n" * 1_000_000)
    assert export(crossing, "--images", crossing.folder / "list").exit == 2


def test_an_image_is_carried_under_another_name(crossing: Crossing) -> None:
    done = export(crossing, crossing.signed_image().reference, "--as", "registry.example/app:v9")
    assert done.json["images"][0]["reference"] == "registry.example/app:v9"


def test_a_name_for_several_images_is_refused(crossing: Crossing) -> None:
    one, two = crossing.signed_image("team/one:v1", words="one"), crossing.signed_image("team/two:v1", words="two")
    assert export(crossing, one.reference, two.reference, "--as", "registry.example/x:1").exit == 2


def test_two_images_under_one_name_are_refused_before_anything_is_written(crossing: Crossing) -> None:
    one, two = crossing.signed_image("team/one:v1", words="one"), crossing.signed_image("team/two:v1", words="two")
    listed = crossing.folder / "list"
    listed.write_text(f"{one.reference} registry.example/x:1\n{two.reference} registry.example/x:1\n")
    done = export(crossing, "--images", listed)
    assert done.exit == 2
    assert [(one["reference"], one["code"]) for one in done.json["failed"]] == [(i.reference, "usage.reference") for i in (one, two)]
    assert all(str(image.root.digest) in failed["found"] for failed in done.json["failed"] for image in (one, two))
    assert nothing_is_left(crossing)


def test_one_image_named_twice_is_carried_once(crossing: Crossing) -> None:
    image = crossing.signed_image()
    done = export(crossing, image.reference, f"docker://{image.reference}")
    assert done.exit == 0, done.err
    assert len(claims(crossing.folder / "b.oci.tar.zst")["images"]) == 1
    assert len(done.json["images"]) == 1


# --- platforms ---


def test_the_index_keeps_its_bytes_and_what_is_left_out_is_in_the_seal(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.index("words", ["linux/amd64", "linux/arm/v6", "linux/arm/v7"]))
    image = crossing.push(root)
    done = export(crossing, image.reference, "--platform", "linux/arm")
    [entry] = claims(crossing.folder / "b.oci.tar.zst")["images"]
    assert entry["digest"] == str(root.digest)
    assert entry["platforms"] == ["linux/arm/v6", "linux/arm/v7"]  # no variant asked for: any
    assert entry["left_out"] == [{"digest": str(root.children[0].digest), "platform": "linux/amd64"}]
    assert "many registries refuse such an index" in done.err


def test_the_variant_that_is_asked_for_is_the_one(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.index("words", ["linux/arm/v6", "linux/arm/v7"]))
    export(crossing, crossing.push(root).reference, "--platform", "linux/arm/v7")
    [entry] = claims(crossing.folder / "b.oci.tar.zst")["images"]
    assert entry["platforms"] == ["linux/arm/v7"]


@pytest.mark.parametrize("platform", ["linux", "linux/", "linux/amd64/v1/x", "LINUX amd64", "linux/\x1b[31m"])
def test_a_platform_that_is_none_is_refused(platform: str, crossing: Crossing) -> None:
    done = run("export", "registry.example/x", "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--platform", platform)
    assert done.exit == 2
    assert "\x1b" not in done.err


# --- every kind of image ---


def docker_index(content: Content) -> Document:
    return content.index(docker=True)


def zstd_layers(content: Content) -> Document:
    packed = zstandard.ZstdCompressor().compress(tar_of({"words": b"words"}))
    estargz = gzip.compress(tar_of({"stargz.index.json": b"{}"}), mtime=0)
    told = content.blob(estargz, "application/vnd.oci.image.layer.v1.tar+gzip")
    return content.image(layers=[content.blob(packed, "application/vnd.oci.image.layer.v1.tar+zstd"), told])


def empty_layers(content: Content) -> Document:
    empty = content.blob(b"", "application/octet-stream")
    return content.image(layers=[empty, empty, content.layer("words")])


KINDS: dict[str, Callable[[Content], Document]] = {
    "OCI image": lambda content: content.image(),
    "OCI index": lambda content: content.index(),
    "Docker image": lambda content: content.image(docker=True),
    "Docker list": docker_index,
    "index in index": lambda content: content.nested(),
    "BuildKit": lambda content: content.with_buildkit(),
    "Helm chart": lambda content: content.chart(),
    "artifact with an empty config": lambda content: content.artifact(b"anything", "application/vnd.example.thing"),
    "zstd and estargz layers": zstd_layers,
    "empty layers": empty_layers,
    "index of artifacts": lambda content: content.index(children=[content.artifact(b"one"), content.chart()]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_crosses_unchanged(kind: str, crossing: Crossing) -> None:
    root = KINDS[kind](crossing.content)
    image = crossing.push(crossing.sign(root))
    bundle = crossing.export(image)
    assert crossing.import_(bundle).exit == 0
    arrived = crossing.arrived(image)
    assert arrived.document("v1") == root
    for document in crossing.content.below(root):
        assert arrived.document(document.digest) == document
        assert all(b"".join(arrived.chunks(blob)) == crossing.content.blobs[blob.digest] for blob in document.blobs)


def test_docker_schema_1_is_refused_by_name(crossing: Crossing) -> None:
    raw = b'{"schemaVersion":1,"name":"team/app","tag":"v1","fsLayers":[],"history":[],"signatures":[]}'
    crossing.here.answer_with("/v2/team/app/manifests/v1", raw, "application/vnd.docker.distribution.manifest.v1+prettyjws")
    done = export(crossing, f"{crossing.here.host}/team/app:v1")
    assert (done.exit, done.code) == (3, "format.schema1")


def test_a_foreign_layer_that_the_source_has_travels(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image(foreign=True))
    foreign = root.blobs[-1]
    image = crossing.push(root)
    repository = crossing.here.repository("team/app")
    repository.put(foreign, lambda: iter([b"base layer of words"]))
    bundle = crossing.export(image)
    assert claims(bundle)["left_out"] == []
    assert crossing.import_(bundle).exit == 0
    assert b"".join(crossing.arrived(image).chunks(foreign)) == b"base layer of words"


def test_a_foreign_layer_that_the_source_lacks_is_left_out_and_listed(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image(foreign=True))
    image = crossing.push(root)
    done = export(crossing, image.reference)
    foreign = root.blobs[-1]
    assert f"the foreign layer {foreign.digest} is not at the source" in done.err
    said = claims(crossing.folder / "b.oci.tar.zst")["left_out"]
    assert said == [{"digest": str(foreign.digest), "mediaType": foreign.media_type, "size": foreign.size}]
    assert crossing.import_(crossing.folder / "b.oci.tar.zst").exit == 0
    assert crossing.arrived(image).document("v1") == root


def test_a_foreign_layer_among_evidence_keeps_nothing_from_being_judged(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    foreign = crossing.content.image(foreign=True).blobs[-1]
    odd = crossing.content.manifest(crossing.content.blob(b"{}", mediatype.EMPTY), [foreign], subject=root, artifact_type="x/y")
    image = crossing.push(root)
    bundle = crossing.export(image)
    ran_ = crossing.import_(bundle, "--json")
    assert ran_.exit == 0, ran_.err
    assert crossing.arrived(image).document(odd.digest) is None
    checks = ran_.json["images"][0]["checks"]
    assert [check["code"] for check in checks if check["subject"] == str(odd.digest)] == ["evidence.runnable", "evidence.unsigned"]


# --- sources on disk ---


@pytest.mark.parametrize("place", ["oci", "oci-archive", "oci-archive.gz", "oci-archive.zst"])
def test_layouts_and_archives_are_sources(place: str, crossing: Crossing) -> None:
    content = crossing.content
    root = crossing.sign(content.index())
    attached = crossing.attach(root)
    name = "registry.example/app:v1"
    tagged = {f"registry.example/app:{tag}": document for tag, document in content.tags.items()}
    folder = write_layout(crossing.folder / "layout", content, {name: root, **tagged}, unnamed=[attached])
    where = f"oci:{folder}:{name}"
    if place != "oci":
        packed = tar_of({str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()})
        packed = gzip.compress(packed) if place.endswith("gz") else packed
        packed = zstandard.ZstdCompressor().compress(packed) if place.endswith("zst") else packed
        file = crossing.folder / "layout.tar"
        file.write_bytes(packed)
        where = f"oci-archive:{file}:{name}"
    done = export(crossing, where)
    assert done.exit == 0, done.err
    [image] = done.json["images"]
    assert (image["reference"], image["digest"]) == (name, str(root.digest))
    assert {piece["kind"] for piece in image["found"]} == {"sig", "referrer"}
    assert crossing.run("verify", crossing.folder / "b.oci.tar.zst").exit == 0


def test_a_name_in_a_layout_that_is_no_full_reference_needs_another(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    folder = write_layout(crossing.folder / "layout", crossing.content, {"v1": root, **crossing.content.tags})
    refused = export(crossing, f"oci:{folder}:v1")
    assert (refused.exit, refused.code) == (2, "usage.reference")
    assert "--as" in refused.json["error"]["next"]
    assert export(crossing, f"oci:{folder}:v1", "--as", "registry.example/app:v1").exit == 0


@pytest.mark.parametrize("where", ["oci:", "oci::v1", "oci-archive:"])
def test_a_place_without_a_path_is_refused_and_never_means_the_working_folder(
    where: str, crossing: Crossing, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = crossing.sign(crossing.content.image())
    monkeypatch.chdir(
        write_layout(crossing.folder / "layout", crossing.content, {"registry.example/app:v1": root, **crossing.content.tags})
    )
    assert export(crossing, where).exit == 2


# --- what is written ---


def test_the_same_images_give_the_same_bytes_with_one_thread_or_many(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.nested())
    crossing.attach(root)
    image = crossing.push(root)
    files = [crossing.folder / name for name in ("one/b", "two/b", "many/b")]
    for file, jobs in zip(files, ("1", "1", "8"), strict=True):
        file.parent.mkdir()
        assert run("export", image.reference, "-o", file, "--key", crossing.keys["exporter"], "-j", jobs, env=EPOCH).exit == 0
    assert len({file.read_bytes() for file in files}) == 1
    for ending in (".sha256", ".sha256.sig"):
        assert len({file.with_name(f"b{ending}").read_bytes() for file in files}) == 1


def test_source_date_epoch_is_the_time_of_creation_and_the_sequence(crossing: Crossing) -> None:
    crossing.export(crossing.signed_image(), to="b")
    done = run("export", crossing.signed_image().reference, "-o", crossing.folder / "c", "--key", crossing.keys["exporter"], env=EPOCH)
    assert done.exit == 0
    said = claims(crossing.folder / "c")
    assert (said["created"], said["sequence"]) == ("2026-01-01T00:00:00Z", 1767225600000)
    assert claims(crossing.folder / "b")["created"] != said["created"]


@pytest.mark.parametrize("epoch", ["soon", "-1", "1.5", "99999999999", str(8**11), "²"])
def test_a_source_date_epoch_that_no_bundle_can_have_is_refused(epoch: str, crossing: Crossing) -> None:
    assert export(crossing, "registry.example/x", env={"SOURCE_DATE_EPOCH": epoch}).exit == 2


def test_the_words_of_the_seal_are_those_of_the_command(crossing: Crossing) -> None:
    image = crossing.signed_image()
    first = crossing.export(image, to="first")
    identity = claims(first)["identity"]
    flags = ["--stream", "weekly", "--sequence", "7", "--previous", first, "--expires", "90d"]
    done = export(crossing, image.reference, *flags, env=EPOCH)
    assert done.exit == 0, done.err
    said = claims(crossing.folder / "b.oci.tar.zst")
    assert (said["stream"], said["sequence"], said["previous"], said["expires"]) == ("weekly", 7, identity, "2026-04-01T00:00:00Z")
    by_digest = export(crossing, image.reference, "--previous", identity, to="c")
    assert by_digest.exit == 0
    assert claims(crossing.folder / "c")["previous"] == identity


@pytest.mark.parametrize(
    ("duration", "until"),
    [
        ("36h", "2026-01-02T12:00:00Z"),
        ("2w", "2026-01-15T00:00:00Z"),
        ("1m", "2026-02-01T00:00:00Z"),
        ("14m", "2027-03-01T00:00:00Z"),
        ("2y", "2028-01-01T00:00:00Z"),
    ],
)
def test_a_duration_is_one_of_the_calendar(duration: str, until: str) -> None:
    assert time(after(datetime(2026, 1, 1, tzinfo=UTC), duration)) == until


@pytest.mark.parametrize(("start", "duration", "until"), [((2026, 11, 30), "3m", (2027, 2, 28)), ((2028, 2, 29), "1y", (2029, 2, 28))])
def test_a_day_that_the_month_lacks_is_its_last(start: tuple[int, int, int], duration: str, until: tuple[int, int, int]) -> None:
    assert after(datetime(*start, 13, 5, tzinfo=UTC), duration) == datetime(*until, 13, 5, tzinfo=UTC)


BAD_FLAGS = [
    ["--stream", "a/b"],
    ["--stream", ""],
    ["--stream", "x" * 65],
    ["--station", ""],
    ["--station", "x" * 256],
    ["--station", "plant\n7"],
    ["--station", "plant\x7f"],
    ["--sequence", "-1"],
    ["--sequence", str(1 << 53)],
    ["--sequence", "one"],
    ["--expires", "0d"],
    ["--expires", "90"],
    ["--expires", "tomorrow"],
    ["--expires", "99999y"],
    ["--expires", "99999m"],
    ["--previous", "sha256:abc"],
    ["--previous", "/nowhere"],
    ["--carry", "/nowhere"],
    ["-j", "0"],
    ["--images", "/nowhere"],
    ["--as", "UPPER"],
]


@pytest.mark.parametrize("flags", BAD_FLAGS, ids=" ".join)
def test_a_flag_that_cannot_be_is_refused_with_2_and_nothing_is_written(flags: list[str], crossing: Crossing) -> None:
    done = export(crossing, crossing.signed_image().reference, *flags)
    assert done.exit == 2
    assert nothing_is_left(crossing)


def test_an_output_that_exists_is_refused_before_anything_is_asked(crossing: Crossing) -> None:
    image = crossing.signed_image()
    for name in ("b.oci.tar.zst", "b.oci.tar.zst.sha256", "b.oci.tar.zst.sha256.sig"):
        (crossing.folder / name).write_bytes(b"mine")
        crossing.here.asked.clear()
        done = export(crossing, image.reference)
        assert (done.exit, done.code) == (8, "output.exists")
        assert crossing.here.asked == []
        assert (crossing.folder / name).read_bytes() == b"mine"
        (crossing.folder / name).unlink()


@pytest.mark.parametrize("kind", ["folder", "symlink", "fifo"])
def test_replace_never_follows_or_removes_what_is_no_file_of_ours(kind: str, crossing: Crossing) -> None:
    target, output = crossing.folder / "target", crossing.folder / "b.oci.tar.zst"
    target.write_bytes(b"mine")
    match kind:
        case "folder":
            output.mkdir()
        case "symlink":
            output.symlink_to(target)
        case _:
            os.mkfifo(output)
    done = export(crossing, crossing.signed_image().reference, "--replace")
    assert done.exit == (0 if kind == "symlink" else 8)
    assert target.read_bytes() == b"mine"


def test_replace_replaces_all_three(crossing: Crossing) -> None:
    one, two = crossing.signed_image("team/one:v1", words="one"), crossing.signed_image("team/two:v1", words="two")
    assert export(crossing, one.reference).exit == 0
    before = {path.name: path.read_bytes() for path in crossing.folder.glob("b.oci.tar.zst*")}
    assert export(crossing, two.reference, "--replace").exit == 0
    after = {path.name: path.read_bytes() for path in crossing.folder.glob("b.oci.tar.zst*")}
    assert before.keys() == after.keys()
    assert all(before[name] != after[name] for name in before)
    subprocess.run(["sha256sum", "-c", "--quiet", "b.oci.tar.zst.sha256"], check=True, cwd=crossing.folder)


def test_a_replacement_that_fails_leaves_what_was_there(crossing: Crossing) -> None:
    image = crossing.signed_image()
    assert export(crossing, image.reference).exit == 0
    before = {path.name: path.read_bytes() for path in crossing.folder.glob("b.oci.tar.zst*")}
    crossing.here.forget(f"{crossing.here.host}/team/app", image.root.blobs[1].digest)
    assert export(crossing, image.reference, "--replace").exit == 6
    assert {path.name: path.read_bytes() for path in crossing.folder.glob("b.oci.tar.zst*")} == before


def refused_before_anything_is_asked(crossing: Crossing, output: Path, *flags: object) -> Ran:
    image = crossing.signed_image()
    crossing.here.asked.clear()
    done = run("export", image.reference, "-o", output, "--key", crossing.keys["exporter"], "--json", *flags)
    assert done.exit != 0
    assert crossing.here.asked == []
    return done


@pytest.mark.parametrize("replace", [[], ["--replace"]])
@pytest.mark.parametrize("which", ["", ".sha256", ".sha256.sig"])
@pytest.mark.parametrize("kind", ["folder", "fifo", "dangling link"])
def test_what_is_no_file_under_any_of_the_three_names_is_refused_at_once(
    kind: str, which: str, replace: list[str], crossing: Crossing
) -> None:
    there = crossing.folder / f"b.oci.tar.zst{which}"
    match kind:
        case "folder":
            there.mkdir()
        case "fifo":
            os.mkfifo(there)
        case _:
            there.symlink_to("nowhere")
    done = refused_before_anything_is_asked(crossing, crossing.folder / "b.oci.tar.zst", *replace)
    assert (done.exit, done.code) == (8, "output.exists")
    assert os.path.lexists(there)


def test_a_device_is_never_replaced(crossing: Crossing) -> None:
    before = Path("/dev/null").stat()
    done = refused_before_anything_is_asked(crossing, Path("/dev/null"), "--replace")
    assert (done.exit, done.code) == (8, "output.exists")
    assert Path("/dev/null").stat().st_rdev == before.st_rdev


def test_a_folder_that_is_not_there_is_refused_at_once(crossing: Crossing) -> None:
    done = refused_before_anything_is_asked(crossing, crossing.folder / "none" / "b")
    assert (done.exit, done.code) == (2, "usage")
    assert "the folder" in done.json["error"]["what"]


@pytest.mark.parametrize("name", ["a" * 245, "é" * 122 + "a", "a" * 255, "a" * 256, "a" * 5000])
def test_a_name_that_is_too_long_for_what_goes_beside_it_is_refused_at_once(name: str, crossing: Crossing) -> None:
    done = refused_before_anything_is_asked(crossing, crossing.folder / name)
    assert (done.exit, done.code) == (2, "usage")
    assert "too long" in done.json["error"]["what"]
    assert nothing_is_left(crossing, name[:5])


@pytest.mark.parametrize("name", ["a" * 244, "é" * 122])
def test_the_longest_name_that_there_can_be_is_written(name: str, crossing: Crossing) -> None:
    assert export(crossing, crossing.signed_image().reference, to=name).exit == 0
    assert (crossing.folder / f"{name}.sha256.sig").exists()


@pytest.mark.parametrize(("error", "code"), [(errno.EROFS, "disk.io"), (errno.EACCES, "disk.io"), (errno.ENOSPC, "disk.full")])
def test_a_folder_that_takes_no_files_is_refused_at_once(
    error: int, code: str, crossing: Crossing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is mounted to be read, a folder of somebody else, one without a free entry."""
    genuine = os.open

    def opened(path: Path, flags: int, *rest: object, **named: object) -> int:
        if flags & os.O_CREAT and Path(path).parent == crossing.folder / "out":
            raise OSError(error, os.strerror(error))
        return genuine(path, flags, *rest, **named)  # type: ignore[arg-type]

    (crossing.folder / "out").mkdir()
    monkeypatch.setattr(os, "open", opened)
    done = refused_before_anything_is_asked(crossing, crossing.folder / "out" / "b")
    assert (done.exit, done.code) == (7, code)


def with_room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    """Every disk has that many bytes free, as far as it says."""
    genuine = os.statvfs

    def told(path: Path) -> os.statvfs_result:
        fields = list(genuine(path))
        fields[0], fields[1], fields[4] = 1, 1, free
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "statvfs", told)


def with_layer(crossing: Crossing, media_type: str, size: int = 400_000) -> Image:
    return crossing.push(crossing.sign(crossing.content.image(layers=[crossing.content.blob(os.urandom(size), media_type)])))


@pytest.mark.parametrize(("ending", "free"), [("tar", 190_000), ("tar+gzip", 390_000), ("tar+zstd", 390_000)])
def test_a_disk_without_room_for_the_plan_is_told_before_a_layer_is_asked_for(
    ending: str, free: int, crossing: Crossing, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = with_layer(crossing, f"application/vnd.oci.image.layer.v1.{ending}")
    with_room(monkeypatch, free)
    crossing.here.asked.clear()
    done = export(crossing, image.reference)
    assert (done.exit, done.code) == (7, "disk.full")
    error = done.json["error"]
    assert str(free) in error["found"]
    needed = int("".join(c for c in error["wanted"] if c.isdigit()))
    assert free < needed < 2 * free + 20_000
    assert error["next"]
    assert not [line for line in crossing.here.asked if str(image.root.blobs[1].digest) in line]
    assert nothing_is_left(crossing)


@pytest.mark.parametrize(("free", "noted"), [(300_000, True), (500_000, False)])
def test_where_there_may_not_be_room_the_export_goes_on_and_says_so(
    free: int, noted: bool, crossing: Crossing, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = with_layer(crossing, "application/vnd.oci.image.layer.v1.tar")
    with_room(monkeypatch, free)
    done = export(crossing, image.reference)
    assert done.exit == 0
    assert (f"{free} are free" in done.err) is noted


def test_a_dry_run_wants_no_room(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    image = crossing.signed_image()
    with_room(monkeypatch, 0)
    assert export(crossing, image.reference, "--dry-run").exit == 0


def test_what_a_killed_run_left_is_removed_and_said(crossing: Crossing) -> None:
    left = crossing.folder / ".oci-bundler-0011223344556677.tmp"
    left.write_bytes(b"half" * 1024)
    done = export(crossing, crossing.signed_image().reference)
    assert done.exit == 0
    assert not left.exists()
    assert [line for line in done.err.splitlines() if "killed" in line] == ["removed what a killed run had left: 1 hidden file, 4.0 KiB"]
    assert "killed" not in export(crossing, crossing.signed_image().reference, "--replace").err


@pytest.mark.parametrize("output", ["", ".", "..", "/", "none/b"])
def test_an_output_that_is_no_name_ends_without_a_trace(output: str, crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(crossing.folder)
    done = run("export", crossing.signed_image().reference, "-o", output, "--key", crossing.keys["exporter"])
    assert done.exit in {2, 7, 8}
    assert "Traceback" not in done.err


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa3072"])
def test_anyone_can_check_a_bundle_with_sha256sum_and_openssl(kind: str, crossing: Crossing) -> None:
    key = write_key(crossing.folder / "seal.key", Key.of(kind))
    image = crossing.signed_image()
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", key, "--key", crossing.keys["exporter"], "--json")
    assert done.exit == 0, done.err
    checksum = (crossing.folder / "b.sha256").read_text()
    assert checksum == f"{done.json['sha256']}  b\n"
    assert done.json["size"] == (crossing.folder / "b").stat().st_size
    subprocess.run(["sha256sum", "-c", "b.sha256"], check=True, cwd=crossing.folder, stdout=subprocess.DEVNULL)
    verify: list[str | Path] = ["openssl", "dgst", "-sha256", "-verify", key.with_suffix(".pub"), "-signature", "b.sha256.sig", "b.sha256"]
    subprocess.run(verify, check=True, cwd=crossing.folder, stdout=subprocess.DEVNULL)


def test_a_name_that_coreutils_escapes_can_be_checked_too(crossing: Crossing) -> None:
    name = "a\\b\nc.oci.tar.zst"
    done = run("export", crossing.signed_image().reference, "-o", crossing.folder / name, "--key", crossing.keys["exporter"])
    assert done.exit == 0
    assert "\n" not in done.first
    assert done.out.startswith(f"{crossing.folder}/a\\b\\nc.oci.tar.zst")
    subprocess.run(["sha256sum", "-c", f"{name}.sha256"], check=True, cwd=crossing.folder, stdout=subprocess.DEVNULL)


def test_a_name_that_is_no_text_is_written_as_it_is(crossing: Crossing) -> None:
    name = os.fsdecode(b"\xff\xfe.zst")
    done = run("export", crossing.signed_image().reference, "-o", crossing.folder / name, "--key", crossing.keys["exporter"], "--json")
    assert done.exit == 0, done.err
    assert (crossing.folder / name).exists()


@pytest.mark.parametrize("kind", ["ed25519", "rsa2048", "p521"])
def test_a_key_that_openssl_cannot_check_unaided_seals_nothing(kind: str, crossing: Crossing) -> None:
    key = write_key(crossing.folder / "seal.key", Key.of(kind))
    done = run("export", crossing.signed_image().reference, "-o", crossing.folder / "b", "--key", key, "--json")
    assert (done.exit, done.code) == (2, "usage.key")


def test_more_keys_than_a_seal_may_have_are_refused(crossing: Crossing) -> None:
    keys = [word for n in range(17) for word in ("--key", write_key(crossing.folder / f"{n}.key", Key.of("p256", 100 + n)))]
    done = run("export", crossing.signed_image().reference, "-o", crossing.folder / "b", *keys)
    assert done.exit == 2


def test_one_key_given_twice_signs_once(crossing: Crossing) -> None:
    twice = write_key(crossing.folder / "again.key", EXPORTER)
    assert export(crossing, crossing.signed_image().reference, "--key", twice).exit == 0
    assert "signatures on the seal: 1\n" in run("inspect", crossing.folder / "b.oci.tar.zst").out


def test_further_files_travel_and_authorise_nothing(crossing: Crossing) -> None:
    files = {"root.json": b'{"mediaType":"x"}', "ca.crt": b"-----BEGIN CERTIFICATE-----\n", "note.txt": b"read me", "empty": b""}
    flags = []
    for name, data in files.items():
        (crossing.folder / name).write_bytes(data)
        flags += ["--carry", crossing.folder / name]
    assert export(crossing, crossing.signed_image().reference, *flags).exit == 0
    members = claims(crossing.folder / "b.oci.tar.zst")["members"]
    named = {member["name"].rpartition(".")[2] for member in members if member["kind"] == "trust"}
    assert named == {"json", "crt", "bin", "pub"}
    assert crossing.run("verify", crossing.folder / "b.oci.tar.zst").exit == 0


def test_a_private_key_is_not_carried_by_mistake(crossing: Crossing) -> None:
    done = export(crossing, crossing.signed_image().reference, "--carry", crossing.keys["release"])
    assert (done.exit, done.code) == (2, "usage.key")


def test_a_dry_run_says_what_and_how_big_and_writes_nothing(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    crossing.here.asked.clear()
    done = export(crossing, image.reference, "--dry-run")
    assert done.exit == 0
    assert (done.json["sha256"], done.json["bundle"]) == (None, None)
    assert done.json["size"] > sum(len(blob) for blob in crossing.content.blobs.values()) / 2
    assert done.json["images"][0]["digest"] == str(image.root.digest)
    assert nothing_is_left(crossing)
    layers = {str(b.digest) for d in crossing.content.below(image.root) for b in d.blobs[1:]}
    assert not [line for line in crossing.here.asked if line.startswith("GET") and line.rpartition("/")[2] in layers]


@pytest.mark.parametrize("room", [4, 1, 0])
def test_a_small_blob_is_asked_for_once_as_long_as_there_is_room(crossing: Crossing, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """Configs are read for their platform and signatures to be judged, before both are carried."""
    monkeypatch.setattr("bundler.stations.cache._MOST", room)
    image = crossing.signed_image()
    crossing.here.asked.clear()
    assert export(crossing, image.reference, "--trust", crossing.trust).exit == 0
    asked = [line for line in crossing.here.asked if line.startswith("GET") and "/blobs/" in line]
    assert (len(asked) == len(set(asked))) == (room > 1)
    assert crossing.run("verify", crossing.folder / "b.oci.tar.zst").exit == 0


# --- cut off ---


def test_a_cache_goes_on_after_a_cut_and_asks_for_no_blob_again(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    last = crossing.content.below(image.root)[1].blobs[1]
    crossing.here.refuse(404, "BLOB_UNKNOWN", when=lambda request: str(last.digest) in request.path)
    assert export(crossing, image.reference, "--cache", crossing.folder / "cache").exit == 6
    crossing.here.before = lambda _: None
    crossing.here.asked.clear()
    assert export(crossing, image.reference, "--cache", crossing.folder / "cache").exit == 0
    fetched = {line.rpartition("/")[2] for line in crossing.here.asked if line.startswith("GET") and "/blobs/" in line}
    assert str(last.digest) in fetched
    assert len(fetched) < len(crossing.content.blobs)
    crossing.here.asked.clear()
    assert export(crossing, image.reference, "--cache", crossing.folder / "cache", "--replace").exit == 0
    assert not [line for line in crossing.here.asked if "/blobs/" in line]
    assert crossing.run("verify", crossing.folder / "b.oci.tar.zst").exit == 0


@pytest.mark.parametrize("rot", [lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[:-1], lambda data: b""])
def test_a_file_that_rots_in_the_cache_is_mended(rot: Callable[[bytes], bytes], crossing: Crossing) -> None:
    image = crossing.signed_image()
    cache = crossing.folder / "cache"
    assert export(crossing, image.reference, "--cache", cache).exit == 0
    before = (crossing.folder / "b.oci.tar.zst").read_bytes()
    layer = cache / "blobs/sha256" / image.root.blobs[1].digest.encoded
    whole = layer.read_bytes()
    layer.write_bytes(rot(whole))
    assert export(crossing, image.reference, "--cache", cache, to="again").exit == 0
    assert layer.read_bytes() == whole
    assert crossing.run("verify", crossing.folder / "again").exit == 0
    assert len(before) > 0


def test_a_symlink_in_the_cache_is_not_followed(crossing: Crossing) -> None:
    """FS-003."""
    image = crossing.signed_image()
    cache, outside = crossing.folder / "cache/blobs/sha256", crossing.folder / "outside"
    cache.mkdir(parents=True)
    outside.write_bytes(b"mine")
    (cache / image.root.blobs[1].digest.encoded).symlink_to(outside)
    assert export(crossing, image.reference, "--cache", crossing.folder / "cache").exit == 0
    assert outside.read_bytes() == b"mine"


def test_a_cache_that_was_killed_is_swept(crossing: Crossing) -> None:
    image = crossing.signed_image()
    left = crossing.folder / "cache/blobs/sha256/.oci-bundler-0011223344556677.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    assert export(crossing, image.reference, "--cache", crossing.folder / "cache").exit == 0
    assert not left.exists()


def plant(path: Path, what: str) -> None:
    match what:
        case "folder":
            path.mkdir()
            (path / "mine").touch()
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(path))
        case "other bytes":
            path.write_bytes(bytes(100_000))
        case "fewer bytes":
            path.write_bytes(b"x")


@pytest.mark.parametrize("what", ["folder", "fifo", "link", "socket", "other bytes", "fewer bytes"])
def test_what_is_planted_in_a_cache_is_passed_over_and_said_once(what: str, crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = crossing.content.blob(os.urandom(100_000), "application/vnd.oci.image.layer.v1.tar")
    images = [crossing.push(crossing.sign(crossing.content.image(name, layers=[layer])), f"team/{name}:v1") for name in ("one", "two")]
    kept = crossing.folder / "cache/blobs/sha256"
    kept.mkdir(parents=True)
    monkeypatch.chdir(kept)  # the name of a socket must be short
    plant(Path(layer.digest.encoded), what)
    before = (kept / layer.digest.encoded).lstat()
    for number in range(2):
        done = export(crossing, *(image.reference for image in images), "--cache", crossing.folder / "cache", to=f"b{number}")
        assert done.exit == 0, done.err
        mended = "bytes" in what and number
        assert [layer.digest.encoded in line for line in done.err.splitlines()].count(True) == (0 if mended else 1)
        assert crossing.run("verify", crossing.folder / f"b{number}").exit == 0
    if "bytes" in what:
        assert (kept / layer.digest.encoded).read_bytes() == crossing.content.blobs[layer.digest]
    else:
        assert (kept / layer.digest.encoded).lstat().st_ino == before.st_ino


@pytest.mark.parametrize("where", ["blobs", "blobs/sha256"])
@pytest.mark.parametrize("what", ["link", "fifo", "file"])
def test_a_cache_whose_folder_is_something_else_is_not_used_and_nothing_is_written_outside(
    where: str, what: str, crossing: Crossing
) -> None:
    outside, cache = crossing.folder / "outside", crossing.folder / "cache"
    (outside / "sha256").mkdir(parents=True)
    (outside / "sha256/.oci-bundler-0011223344556677.tmp").touch()
    before = sorted(outside.rglob("*"))
    (cache / where).parent.mkdir(parents=True)
    match what:
        case "link":
            (cache / where).symlink_to(outside)
        case "fifo":
            os.mkfifo(cache / where)
        case _:
            (cache / where).touch()
    done = export(crossing, crossing.signed_image().reference, "--cache", cache)
    assert done.exit == 0
    assert [line for line in done.err.splitlines() if "the cache is not used" in line]
    assert sorted(outside.rglob("*")) == before


def test_a_foreign_layer_is_not_had_because_a_cache_says_so(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.image(foreign=True)))
    kept = crossing.folder / "cache/blobs/sha256"
    kept.mkdir(parents=True)
    layer = image.root.blobs[-1]
    (kept / layer.digest.encoded).write_bytes(bytes(layer.size))
    done = export(crossing, image.reference, "--cache", crossing.folder / "cache")
    assert done.exit == 0
    assert f"{layer.digest} is not at the source" in done.err


def test_a_full_disk_leaves_no_output(crossing: Crossing) -> None:
    """A file size limit is as full as a disk can be (EFBIG)."""
    layer = crossing.content.blob(os.urandom(300_000), "application/vnd.oci.image.layer.v1.tar+gzip")
    image = crossing.push(crossing.sign(crossing.content.image(layers=[layer])))
    words = ["export", image.reference, "-o", crossing.folder / "b.oci.tar.zst", "--key", crossing.keys["exporter"], "--json"]

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = ran(spawned(*words, preexec_fn=small))
    assert (done.exit, done.code) == (7, "disk.full")
    assert done.json["error"]["next"]
    assert nothing_is_left(crossing)


def test_what_is_written_next_to_the_bundle_is_as_whole_as_the_bundle(crossing: Crossing) -> None:
    """The checksum's place is taken by somebody else while the bundle is written."""
    image = crossing.signed_image()
    taken = crossing.folder / "b.oci.tar.zst.sha256"
    layer = str(image.root.blobs[1].digest)

    def meanwhile(request: object) -> None:
        if layer in request.path and not taken.exists():  # type: ignore[attr-defined]
            taken.mkdir()

    crossing.here.before = meanwhile
    done = export(crossing, image.reference)
    assert done.exit == 8
    assert not (crossing.folder / "b.oci.tar.zst").exists()


def test_the_json_is_as_it_was_promised(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    attached = crossing.attach(root)
    image: Image = crossing.push(root)
    said = export(crossing, image.reference).json
    assert set(said) == {"file", "sha256", "size", "bundle", "images", "base", "failed"}
    assert said["failed"] == []
    assert said["bundle"] == claims(crossing.folder / "b.oci.tar.zst")["identity"]
    signature = crossing.content.tags[f"{root.digest.tag}.sig"]
    carried = (root, signature, attached)
    assert said["images"] == [
        {
            "reference": image.reference,
            "digest": str(root.digest),
            "checked": False,
            "size": sum(len(crossing.content.blobs[blob.digest]) for d in carried for blob in d.blobs) + sum(len(d.raw) for d in carried),
            "found": [
                {"kind": "sig", "digest": str(signature.digest), "subject": str(root.digest)},
                {"kind": "referrer", "digest": str(attached.digest), "subject": str(root.digest)},
            ],
        }
    ]


def test_a_trusted_root_of_a_rule_that_judged_nothing_here_stays_here(crossing: Crossing) -> None:
    trust = write_trust(
        crossing.folder / "two",
        rules=[signing.rule(RELEASE, scope="**"), signing.rule(signing.THIRD, scope="elsewhere.example/**")],
        seals=[signing.seal(EXPORTER)],
    )
    assert export(crossing, crossing.signed_image().reference, "--trust", trust).exit == 0
    members = claims(crossing.folder / "b.oci.tar.zst")["members"]
    carried = {member["sha256"] for member in members if member["kind"] == "trust"}
    assert Digest.of(signing.THIRD.pem).encoded not in carried


def test_a_predicate_of_the_seal_says_nothing_that_an_image_could_be_signed_by(crossing: Crossing) -> None:
    """Lifted out and attached to an image, a seal counts for nothing."""
    image = crossing.signed_image()
    bundle = crossing.export(image)
    seal = json.loads(subprocess.run(["tar", "--zstd", "-xOf", bundle, "oci-bundler/seal.json"], check=True, capture_output=True).stdout)
    crossing.content = Content()
    root = crossing.content.image("another")
    crossing.content.att(root.digest, json.dumps(seal).encode())
    crossing.content.bundle(root, json.dumps({"mediaType": mediatype.SIGSTORE_BUNDLE_V03, "dsseEnvelope": seal}).encode())
    victim = crossing.push(root, "team/victim:v1")
    trust = write_trust(crossing.folder / "mixed", rules=[signing.rule(EXPORTER, scope="**")])
    ran_ = run("verify", f"docker://{victim.reference}", "--trust", trust, "--json")
    assert ran_.exit == 5
    assert ran_.json["images"][0]["signers"] == []
