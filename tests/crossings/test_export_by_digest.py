"""Platforms without their index: which manifest goes under which name, with what, and what is said of the rest."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from bundler.oci import mediatype
from bundler.oci.descriptor import Platform
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from bundler.stations.apart import apart
from bundler.stations.survey import survey
from tests.support import signing
from tests.support.layouts import write_layout
from tests.support.station import RELEASE, STRANGER, Crossing, Image, Ran, run, tags_of, write_trust

AMD64, ARM64 = ("--platform", "linux/amd64"), ("--platform", "linux/arm64")


def export(crossing: Crossing, *words: object) -> Ran:
    return run("export", *words, "--by-digest", "-o", crossing.folder / "b.oci.tar.zst", "--key", crossing.keys["exporter"], "--json")


def claims(crossing: Crossing) -> Any:
    return run("inspect", crossing.folder / "b.oci.tar.zst", "--json").json["claims"]


def signed(crossing: Crossing, root: Document, name: str = "team/app:v1", *, also: bool = True) -> Image:
    """The index with a signature, and with one of each manifest below it."""
    for digest in (root.digest, *(child.digest for child in root.children if also)):
        crossing.sign(crossing.content.documents[digest])
    return crossing.push(root, name)


def listing(*entries: Mapping[str, Any]) -> bytes:
    return json.dumps({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": entries}).encode()


def test_the_manifest_of_each_platform_goes_under_a_name_of_its_own_and_arrives(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index("words", ["linux/amd64", "linux/arm64/v8", "linux/s390x"]))
    crossing.there.strict_about_children = True  # as distribution is, which refuses the index
    done = export(crossing, image.reference, *AMD64, *ARM64, "--trust", crossing.trust)
    assert done.exit == 0, done.err
    amd64, arm64, _ = image.root.children
    wanted = {f"{image.reference}-linux-amd64": str(amd64.digest), f"{image.reference}-linux-arm64-v8": str(arm64.digest)}
    assert {one["reference"]: one["digest"] for one in done.json["images"]} == wanted
    assert all(one["checked"] for one in done.json["images"])
    ran = crossing.import_(crossing.folder / "b.oci.tar.zst", "--json")
    assert ran.exit == 0, ran.err
    there = tags_of(crossing.arrived(image))
    assert there["v1-linux-amd64"] == amd64.digest
    assert there["v1-linux-arm64-v8"] == arm64.digest
    assert f"{amd64.digest.tag}.sig" in there
    assert "v1" not in there


def test_the_index_and_what_is_about_it_stay_behind_and_it_is_said(crossing: Crossing) -> None:
    root = crossing.content.with_buildkit()
    crossing.attach(root)
    crossing.sign(crossing.content.documents[root.children[0].digest])
    image = signed(crossing, root, also=False)
    done = export(crossing, image.reference, *AMD64)
    assert done.exit == 0, done.err
    held = {member["sha256"] for member in claims(crossing)["members"]}
    about = [document for document in crossing.content.documents.values() if document.subject and document.subject.digest == root.digest]
    gone = [root.digest, crossing.content.tags[f"{root.digest.tag}.sig"].digest, *(document.digest for document in about)]
    assert len(gone) == 3
    assert not held & {digest.encoded for digest in gone}
    assert {lookup["manifest"] for lookup in claims(crossing)["lookups"]}.isdisjoint(map(str, gone))
    assert f"note: carried is {image.reference}-linux-amd64; the index {image.reference} stays behind with 2 pieces of evidence" in done.err
    assert ", and 1 manifest beside the platforms" in done.err  # BuildKit's attestation lies in the index
    assert "many registries refuse" not in done.err


def test_a_platform_alone_is_surveyed_as_if_it_had_been_asked_for(crossing: Crossing) -> None:
    """Evidence on evidence, in lists and by tags, and what was left out of it."""
    content = crossing.content
    root = content.index()
    child = content.documents[root.children[0].digest]
    sbom = content.sbom(child.digest, b"SPDX")
    crossing.sign(sbom)
    crossing.attach(crossing.attach(child))
    content.index("notes", subject=child, artifact_type="application/vnd.notes")
    image = signed(crossing, root)
    source = crossing.here.repository("team/app")
    gone = content.artifact(b"gone", subject=child).as_referrer
    entries = [entry.to_json() for entry in (*source.referrers(child.digest).listed, gone)]
    crossing.here.answer_with(f"/v2/team/app/referrers/{child.digest}", listing(*entries), mediatype.OCI_INDEX)
    platforms = [Platform.parse("linux/amd64")]
    whole = survey(Reference.parse(image.reference), root, source, platforms=platforms, leave=[gone.digest])
    [part] = apart(whole, platforms, renamed=True)
    alone = survey(Reference.parse(f"{image.reference}-linux-amd64"), child, source, platforms=platforms, leave=[gone.digest])
    assert [left.digest for left in alone.carried.left_out] == [gone.digest]
    for name in ("reference", "root", "own", "platforms", "left_out", "absent"):
        assert getattr(part.carried, name) == getattr(alone.carried, name), name
    assert part.carried.documents == alone.carried.documents
    assert len(part.carried.documents) > 6
    assert {lookup.manifest: lookup for lookup in part.carried.lookups} == {lookup.manifest: lookup for lookup in alone.carried.lookups}
    assert part.size == alone.size


def test_evidence_of_the_platform_that_is_left_is_left_and_of_the_index_is_no_slip(crossing: Crossing) -> None:
    content = crossing.content
    root = content.index()
    child = content.documents[root.children[0].digest]
    image = signed(crossing, root)
    gone = {subject.digest: content.artifact(subject.raw, subject=subject).as_referrer for subject in (root, child)}
    listings = {f"/v2/team/app/referrers/{digest}": listing(entry.to_json()) for digest, entry in gone.items()}
    crossing.here.after = lambda request, _: listings.get(request.path)
    leave = [word for entry in gone.values() for word in ("--leave", entry.digest)]
    refused = export(crossing, image.reference, *AMD64)
    assert (refused.exit, refused.code) == (6, "blob.missing")
    done = export(crossing, image.reference, *AMD64, *leave)
    assert done.exit == 0, done.err
    assert "nothing of the digest" not in done.err
    assert all(f"note: left out: {entry.digest}, found about {subject}" in done.err for subject, entry in gone.items())
    [entry] = claims(crossing)["images"]
    assert [left["digest"] for left in entry["left_out"]] == [str(gone[child.digest].digest)]
    assert crossing.run("verify", crossing.folder / "b.oci.tar.zst").exit == 0


def test_a_foreign_layer_that_is_not_at_the_source_is_not_asked_for(crossing: Crossing) -> None:
    child = crossing.content.image("foreign", foreign=True)
    entry = child.descriptor.to_json() | {"platform": {"os": "linux", "architecture": "amd64"}}
    root = crossing.content.document({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [entry]})
    done = export(crossing, signed(crossing, root).reference, *AMD64)
    assert done.exit == 0, done.err
    [layer] = [blob for blob in child.blobs if blob.foreign]
    assert f"the foreign layer {layer.digest} is not at the source" in done.err
    assert [left["digest"] for left in claims(crossing)["left_out"]] == [str(layer.digest)]


# --- who has signed ---


def test_without_a_signature_of_its_own_a_platform_is_refused_and_told_what_helps(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index(), also=False)
    done = export(crossing, image.reference, *AMD64)
    assert (done.exit, done.code) == (5, "signature.missing")
    error = done.json["error"]
    assert error["what"] == f"{image.reference}-linux-amd64, a platform of {image.reference}, is not signed itself"
    assert "sign --recursive" in error["next"]
    assert "without --by-digest" in error["next"]
    assert export(crossing, image.reference, *AMD64, "--allow-unsigned").exit == 0


@pytest.mark.parametrize("key", [None, STRANGER], ids=["unsigned", "by a stranger"])
def test_with_trust_a_platform_has_to_pass_by_itself(crossing: Crossing, key: Any) -> None:
    root = crossing.sign(crossing.content.index())
    for child in root.children if key else ():
        crossing.sign(crossing.content.documents[child.digest], key)
    image = crossing.push(root)
    done = export(crossing, image.reference, *AMD64, "--trust", crossing.trust, "--allow-unsigned")
    assert done.exit == 5
    assert f"{image.reference}-linux-amd64 does not pass" in done.json["error"]["what"]
    assert "sign --recursive" in done.json["error"]["next"]


def test_what_no_rule_covers_is_not_helped_by_signing_it(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index())
    trust = write_trust(crossing.folder / "other", rules=[signing.rule(RELEASE, scope="elsewhere.example/**")])
    done = export(crossing, image.reference, *AMD64, "--trust", trust)
    assert (done.exit, done.code) == (5, "policy.no-match")
    assert "sign --recursive" not in done.json["error"]["next"]


def test_one_platform_that_fails_leaves_its_whole_image_behind_and_no_other(crossing: Crossing) -> None:
    root = crossing.content.index()
    crossing.sign(crossing.content.documents[root.children[0].digest])
    image = crossing.push(root)
    good = signed(crossing, crossing.content.index("other"), "team/other:v1")
    done = export(crossing, image.reference, good.reference, *AMD64, *ARM64, "--skip-failing")
    assert done.exit == 9
    assert [(one["reference"], one["code"]) for one in done.json["failed"]] == [(image.reference, "signature.missing")]
    assert [one["reference"] for one in done.json["images"]] == [f"{good.reference}-linux-{arch}" for arch in ("amd64", "arm64")]
    assert not {member["sha256"] for member in claims(crossing)["members"]} & {child.digest.encoded for child in root.children}


@pytest.mark.parametrize("tagged", [True, False], ids=["by tag", "by digest"])
def test_a_platform_that_the_index_alone_says_is_not_taken_for_it(crossing: Crossing, *, tagged: bool) -> None:
    """The index is not judged where it stays behind, so anyone may have written it about manifests that are signed."""
    arm64 = crossing.sign(crossing.content.image("words", "linux/arm64"))
    entry = arm64.descriptor.to_json() | {"platform": {"os": "linux", "architecture": "amd64"}}
    image = crossing.push(crossing.content.document({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [entry]}))
    wanted = image.reference if tagged else f"{image.reference.rpartition(':')[0]}@{image.root.digest}"
    done = export(crossing, wanted, *AMD64, "--trust", crossing.trust)
    assert (done.exit, done.code) == (6, "image.platform")
    assert "linux/arm64" in done.json["error"]["found"]
    assert done.json["error"]["wanted"] == "linux/amd64"


# --- names ---


def test_of_an_index_without_a_tag_each_platform_goes_by_its_own_digest(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index())
    repository, _, _ = image.reference.rpartition(":")
    done = export(crossing, f"{repository}@{image.root.digest}", *AMD64)
    assert [one["reference"] for one in done.json["images"]] == [f"{repository}@{image.root.children[0].digest}"]


@pytest.mark.parametrize(("length", "exit"), [(116, 0), (117, 2)])  # and -linux-amd64
def test_a_name_has_at_most_128_characters_behind_the_colon(crossing: Crossing, length: int, exit: int) -> None:  # noqa: A002
    image = signed(crossing, crossing.content.index(), f"team/app:{'v' * length}")
    done = export(crossing, image.reference, *AMD64)
    assert done.exit == exit
    if exit:
        assert done.code == "usage.reference"
        assert "--as" in done.json["error"]["next"]
    else:
        assert crossing.run("verify", crossing.folder / "b.oci.tar.zst").exit == 0


def test_a_name_that_is_another_image_at_the_source_is_refused(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index())
    taken = crossing.signed_image("team/app:v1-linux-amd64", words="other")
    done = export(crossing, image.reference, *AMD64)
    assert (done.exit, done.code) == (2, "usage.reference")
    assert done.json["error"]["found"] == str(taken.root.digest)
    assert done.json["error"]["wanted"] == str(image.root.children[0].digest)
    assert export(crossing, image.reference, *AMD64, "--as", image.reference).code == "usage.reference"
    assert export(crossing, image.reference, *ARM64).exit == 0
    assert export(crossing, image.reference, *AMD64, "--as", "registry.example/app:v1", "--replace").exit == 0


def test_a_name_that_is_this_very_manifest_at_the_source_is_fine(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index())
    child = crossing.content.documents[image.root.children[0].digest]
    crossing.push(child, "team/app:v1-linux-amd64")
    assert export(crossing, image.reference, *AMD64).exit == 0


def test_what_nobody_can_read_has_the_name_too(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index())
    crossing.here.answer_with("/v2/team/app/manifests/v1-linux-amd64", b'{"schemaVersion":1}', mediatype.OCI_MANIFEST)
    done = export(crossing, image.reference, *AMD64)
    assert (done.exit, done.code) == (2, "usage.reference")


def test_two_manifests_of_one_platform_have_no_names(crossing: Crossing) -> None:
    """As Windows has them, which differ in a version that no name says."""
    content = crossing.content
    entries = [
        content.image(words, "windows/amd64").descriptor.to_json()
        | {"platform": {"os": "windows", "architecture": "amd64", "os.version": v}}
        for words, v in {"old": "10.0.1", "new": "10.0.2"}.items()
    ]
    root = content.document({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": entries})
    image = signed(crossing, root)
    done = export(crossing, image.reference, "--platform", "windows/amd64")
    assert (done.exit, done.code) == (2, "usage.reference")
    assert all(entry["digest"] in done.json["error"]["found"] for entry in entries)


def test_a_platform_and_an_image_of_its_name_in_one_list_conflict(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index())
    other = crossing.signed_image("team/other:v1", words="other")
    (crossing.folder / "list").write_text(f"{image.reference} x.example/app:1\n{other.reference} x.example/app:1-linux-amd64\n")
    done = export(crossing, "--images", crossing.folder / "list", *AMD64)
    assert done.exit == 2
    assert [one["what"] for one in done.json["failed"]] == ["two images would be carried as x.example/app:1-linux-amd64"] * 2


# --- what has no platforms to choose from ---


def test_a_single_manifest_goes_under_its_own_name(crossing: Crossing) -> None:
    image = crossing.signed_image()
    done = export(crossing, image.reference, *AMD64)
    assert [one["reference"] for one in done.json["images"]] == [image.reference]
    assert "stays behind" not in done.err


def test_an_index_that_names_no_platform_goes_whole(crossing: Crossing) -> None:
    chart = crossing.content.chart()
    image = signed(crossing, crossing.content.index(children=[chart]))
    done = export(crossing, image.reference, *AMD64)
    assert [(one["reference"], one["digest"]) for one in done.json["images"]] == [(image.reference, str(image.root.digest))]


def test_an_index_of_one_platform_gives_the_same_name_as_one_of_many(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index("words", ["linux/amd64"]))
    done = export(crossing, image.reference, *AMD64)
    assert [one["reference"] for one in done.json["images"]] == [f"{image.reference}-linux-amd64"]


def test_a_platform_in_an_index_below_an_index_is_found(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.index(children=[crossing.content.index()]))
    done = export(crossing, image.reference, *AMD64, "--allow-unsigned")
    assert done.exit == 0, done.err
    assert [one["reference"] for one in done.json["images"]] == [f"{image.reference}-linux-amd64"]


@pytest.mark.parametrize("beside", [(), ("linux/amd64",)], ids=["alone", "beside another platform"])
def test_a_platform_that_is_an_index_itself_is_not_left_behind_in_silence(crossing: Crossing, beside: tuple[str, ...]) -> None:
    """What it lists names no platform, so nothing of it has a name of its own."""
    content = crossing.content
    inner = content.document(
        {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [content.image("arm", "linux/arm64").descriptor.to_json()]}
    )
    entries = [content.image("words", each).descriptor.to_json() | {"platform": Platform.parse(each).to_json()} for each in beside]
    entries += [inner.descriptor.to_json() | {"platform": {"os": "linux", "architecture": "arm64"}}]
    image = crossing.push(content.document({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": entries}))
    platforms = [word for each in (*beside, "linux/arm64") for word in ("--platform", each)]
    done = export(crossing, image.reference, *platforms, "--allow-unsigned")
    assert (done.exit, done.code) == (6, "image.platform")
    assert done.json["error"]["what"] == f"linux/arm64 of {image.reference} is not a single manifest"
    assert str(inner.digest) in done.json["error"]["found"]
    assert not (crossing.folder / "b.oci.tar.zst").exists()


def test_a_platform_of_a_layout_is_carried_too(crossing: Crossing) -> None:
    root = crossing.content.index()
    signature = crossing.sign(crossing.content.documents[root.children[0].digest]).digest.tag + ".sig"
    names = {"registry.example/app:v1": root, f"registry.example/app:{signature}": crossing.content.tags[signature]}
    folder = write_layout(crossing.folder / "layout", crossing.content, names)
    done = export(crossing, f"oci:{folder}:registry.example/app:v1", *AMD64, "--trust", crossing.trust)
    assert done.exit == 0, done.out
    assert [one["reference"] for one in done.json["images"]] == ["registry.example/app:v1-linux-amd64"]


def test_without_a_platform_it_is_refused(crossing: Crossing) -> None:
    done = export(crossing, crossing.signed_image().reference)
    assert (done.exit, done.code) == (2, "usage")
    assert "--platform" in done.json["error"]["wanted"]


def test_the_note_about_a_sparse_index_offers_it(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index())
    words = ("-o", crossing.folder / "b.oci.tar.zst", "--key", crossing.keys["exporter"])
    assert "With --by-digest " in run("export", image.reference, *AMD64, *words).err


def test_one_index_named_twice_is_told_of_once(crossing: Crossing) -> None:
    image = signed(crossing, crossing.content.index())
    done = export(crossing, image.reference, f"docker://{image.reference}", *AMD64)
    assert done.exit == 0, done.err
    assert [one["reference"] for one in done.json["images"]] == [f"{image.reference}-linux-amd64"]
    assert done.err.count("stays behind") == 1
    assert done.err.count("-linux-amd64") == 1
