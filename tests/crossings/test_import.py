"""Filling a registry: asked before it is written, what was verified and nothing else, and what others put there stays."""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from bundler.content.store import SMALL
from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document, Manifest
from bundler.serving.exchange import Request, Response
from tests.support import signing
from tests.support.layouts import PLAIN_LAYER, Content, push, write_layout
from tests.support.station import EXPORTER, RELEASE, STRANGER, Crossing, Image, Ran, faults, run, tags_of, write_trust


def import_(crossing: Crossing, image: Image, *flags: object) -> Ran:
    return crossing.import_(crossing.export(image), "--json", *flags)


def noise(number: int, size: int) -> bytes:
    """The same bytes for the same number, which nothing compresses."""
    return b"".join(hashlib.sha256(b"%d %d" % (number, block)).digest() for block in range(size // 32))


def layers(document: Document | None) -> list[tuple[Digest, str | None]]:
    assert document is not None
    assert isinstance(document.content, Manifest)
    return [(layer.digest, layer.annotations.get("dev.cosignproject.cosign/signature")) for layer in document.content.layers]


# --- names ---


def test_an_image_goes_below_the_prefix_under_its_own_host_and_path(crossing: Crossing) -> None:
    image = crossing.signed_image("team/app:v1")
    ran = crossing.import_(crossing.export(image), "--json", prefix="mirror/one")
    host = crossing.here.host.replace(":", "-")
    assert ran.json["images"][0]["destination"] == f"{crossing.there.host}/mirror/one/{host}/team/app:v1"
    assert crossing.there.repository(f"mirror/one/{host}/team/app").document("v1") == image.root


MAPS: dict[str, tuple[list[str], str]] = {
    "the longest FROM wins": (["{host}=a", "{host}/team=b", "{host}/team/app=c/d"], "c/d"),
    "whatever the order": (["{host}/team/app=c/d", "{host}=a", "{host}/team=b"], "c/d"),
    "what is below FROM stays": (["{host}/team=b"], "b/app"),
    "an empty TO": (["{host}="], "team/app"),
    "whole components": (["{host}/te=x", "{host}/team/ap=y"], "{dashed}/team/app"),
    "slashes around it": (["{host}/team/=/b/"], "b/app"),
}


@pytest.mark.parametrize("case", MAPS)
def test_names_are_mapped(case: str, crossing: Crossing) -> None:
    rules, wanted = MAPS[case]
    host = crossing.here.host
    flags = [word for rule in rules for word in ("--map", rule.format(host=host))]
    ran = import_(crossing, crossing.signed_image("team/app:v1"), *flags)
    path = wanted.format(dashed=host.replace(":", "-"))
    assert ran.json["images"][0]["destination"] == f"{crossing.there.host}/{path}:v1"


BAD_MAPS = [
    ["--map", "nonsense"],
    ["--map", "=x"],
    ["--map", "a=x", "--map", "a=y"],
    ["--map", "{host}/team=UPPER"],
    ["--map", "{host}=a:5000"],
]


@pytest.mark.parametrize("flags", BAD_MAPS)
def test_a_map_that_makes_no_name_is_refused_before_anything_is_sent(flags: list[str], crossing: Crossing) -> None:
    ran = import_(crossing, crossing.signed_image(), *(flag.format(host=crossing.here.host) for flag in flags))
    assert ran.exit == 2
    assert not crossing.there.changes


def test_an_image_that_a_map_leaves_without_a_name_is_refused(crossing: Crossing) -> None:
    ran = import_(crossing, crossing.signed_image("team/app:v1"), "--map", f"{crossing.here.host}/team/app=")
    assert (ran.exit, ran.code) == (2, "usage.reference")
    assert not crossing.there.changes


def test_a_map_that_fits_nothing_is_said(crossing: Crossing) -> None:
    ran = import_(crossing, crossing.signed_image(), "--map", "registry.exmaple=x")
    assert ran.exit == 0
    assert "--map registry.exmaple=… fits no image" in ran.err


@pytest.mark.parametrize("destination", ["", "nohost", "http://127.0.0.1:5000", "127.0.0.1:5000/UPPER", "127.0.0.1:5000/a b", "[::1"])
def test_a_destination_that_is_none_is_refused(destination: str, crossing: Crossing) -> None:
    ran = crossing.run("import", crossing.export(crossing.signed_image()), destination, "--json")
    assert (ran.exit, ran.code) == (2, "usage.reference")


def test_a_digest_goes_without_a_tag_and_that_is_said(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    crossing.push(root)
    bundle = crossing.export(f"{crossing.here.host}/team/app@{root.digest}")
    ran = crossing.import_(bundle)
    path = f"{crossing.here.host.replace(':', '-')}/team/app"
    assert f"now at {crossing.there.host}/{path}@{root.digest} " in ran.said
    assert "note: it has no tag there: it is reached by its digest alone" in ran.said
    assert list(tags_of(crossing.there.repository(path))) == [f"{root.digest.tag}.sig"]
    assert crossing.there.repository(path).document(root.digest) == root


# --- one image under many names ---


def test_an_image_under_many_names_is_judged_by_the_rule_of_each(crossing: Crossing) -> None:
    host = crossing.here.host
    root = crossing.sign(crossing.content.image())
    images = [crossing.push(root, name) for name in ("one/app:v1", "one/app:v2", "two/app:v1", "three/app:v1", "four/app:v1")]
    named = signing.rule(RELEASE, scope=f"{host}/four/*", name="signed")
    rules = [signing.rule(RELEASE, scope="*/*/*"), signing.rule(STRANGER, scope=f"{host}/two/*"), named]
    write_trust(crossing.trust, rules=rules, seals=[signing.seal(EXPORTER)])
    ran = crossing.run("verify", crossing.export(*images), "--json")
    assert [(image["reference"], image["passed"], image["reasons"][:1]) for image in ran.json["images"]] == [
        (images[0].reference, True, []),
        (images[1].reference, True, []),
        (images[2].reference, False, ["policy.threshold"]),
        (images[3].reference, True, []),
        (images[4].reference, False, ["policy.name"]),
    ]


def test_a_signature_that_names_one_repository_counts_in_that_one(crossing: Crossing) -> None:
    host = crossing.here.host
    root = crossing.content.image()
    crossing.content.sig(root.digest, signing.signed(root, reference=f"{host}/one/app"))
    images = [crossing.push(root, name) for name in ("one/app:v1", "two/app:v1")]
    write_trust(crossing.trust, rules=[signing.rule(RELEASE, scope="*/*/*", name="signed")], seals=[signing.seal(EXPORTER)])
    ran = crossing.run("verify", crossing.export(*images), "--json")
    assert [(image["passed"], image["reasons"]) for image in ran.json["images"]] == [(True, []), (False, ["policy.name"])]


def test_other_evidence_in_another_repository_is_another_verdict(crossing: Crossing) -> None:
    root = crossing.content.image()
    unsigned = crossing.push(root, "one/app:v1")
    signed = crossing.push(crossing.sign(root), "two/app:v1")
    ran = crossing.run("verify", crossing.export(unsigned, signed, flags=["--allow-unsigned"]), "--json")
    assert [image["passed"] for image in ran.json["images"]] == [False, True]


# --- conflicts ---


def test_all_names_that_are_taken_are_listed_together_and_nothing_is_sent(crossing: Crossing) -> None:
    images = [crossing.signed_image(f"team/{name}:v1", words=name) for name in ("one", "two", "three")]
    for image in images[:2]:
        crossing.content = Content()
        push(crossing.arrived(image), crossing.content, crossing.content.image("other"), tag="v1")
    crossing.there.asked.clear()
    ran = crossing.import_(crossing.export(*images), "--json")
    assert (ran.exit, ran.code) == (8, "name.conflict")
    other = crossing.content.image("other").digest
    for image in images[:2]:
        assert f"/{image.path}:v1 is {other}, and would become {image.root.digest}" in ran.json["error"]["found"]
    assert "three" not in ran.json["error"]["found"]
    assert not crossing.there.changes


def test_replace_moves_the_tag(crossing: Crossing) -> None:
    image = crossing.signed_image()
    other = Content()
    push(crossing.arrived(image), other, other.image("other"), tag="v1")
    assert import_(crossing, image, "--replace").exit == 0
    assert tags_of(crossing.arrived(image))["v1"] == image.root.digest


def test_a_name_that_holds_what_nobody_can_read_is_a_conflict_too(crossing: Crossing) -> None:
    image = crossing.signed_image()
    path = f"/v2/{crossing.here.host.replace(':', '-')}/team/app/manifests/v1"
    crossing.there.answer_with(path, b'{"schemaVersion":1}', mediatype.OCI_MANIFEST)
    assert (import_(crossing, image).exit, crossing.there.changes) == (8, [])


@pytest.mark.parametrize("tag", ["v1", "v2"])
def test_two_repositories_that_end_at_one_are_a_conflict_whatever_is_there(tag: str, crossing: Crossing) -> None:
    one, two = crossing.signed_image("one/app:v1", words="one"), crossing.signed_image(f"two/app:{tag}", words="two")
    host = crossing.here.host
    ran = crossing.import_(crossing.export(one, two), "--json", "--map", f"{host}/one=x", "--map", f"{host}/two=x", "--replace")
    assert (ran.exit, ran.code) == (8, "name.conflict")
    assert ran.json["error"]["found"] == f"{host}/two/app and {host}/one/app both become {crossing.there.host}/x/app"
    assert crossing.there.asked == ["GET /v2/"]


def test_two_repositories_of_one_image_may_not_end_at_one_either(crossing: Crossing) -> None:
    """What each of them has as evidence was judged by the rule of its own."""
    one = crossing.signed_image("one/app:v1")
    two = crossing.push(one.root, "two/app:v1")
    host = crossing.here.host
    ran = crossing.import_(crossing.export(one, two), "--json", "--map", f"{host}/one=x", "--map", f"{host}/two=x")
    assert (ran.exit, ran.code) == (8, "name.conflict")


def test_a_host_with_a_port_and_one_with_a_hyphen_do_not_become_one_repository(crossing: Crossing) -> None:
    """``HOST:PORT`` is written ``HOST-PORT`` at the destination, which another host may be called."""
    dashed = f"{crossing.here.host.replace(':', '-')}/team/app:v2"
    one = crossing.signed_image("team/app:v1")
    other = write_layout(crossing.folder / "layout", crossing.content, {"v2": one.root, **crossing.content.tags})
    images = crossing.folder / "images"
    images.write_text(f"oci:{other}:v2 {dashed}\n")
    ran = crossing.import_(crossing.export(one, flags=["--images", images]), "--json")
    assert (ran.exit, ran.code) == (8, "name.conflict")
    assert all(name in ran.json["error"]["found"] for name in (f"{crossing.here.host}/team/app", dashed.removesuffix(":v2")))
    assert crossing.there.asked == ["GET /v2/"]


def test_what_is_there_already_is_sent_no_second_time(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    bundle = crossing.export(image)
    assert crossing.import_(bundle).exit == 0
    crossing.there.asked.clear()
    again = crossing.import_(bundle, "-v")
    assert again.exit == 0
    assert "0 blobs" in again.err
    assert not [line for line in crossing.there.changes if "/blobs/" in line]
    assert not [line for line in crossing.there.changes if line.endswith("/manifests/v1")]


def of_one_large_layer(crossing: Crossing) -> Document:
    """An image whose layer is asked for before it is sent."""
    return crossing.content.image(layers=[crossing.content.blob(bytes(SMALL + 1), PLAIN_LAYER)])


def test_a_blob_is_mounted_from_a_sibling_repository(crossing: Crossing) -> None:
    one = crossing.push(crossing.sign(of_one_large_layer(crossing)), "one/app:v1")
    two = crossing.push(one.root, "two/app:v1")
    assert crossing.import_(crossing.export(one, two)).exit == 0
    assert len([line for line in crossing.there.asked if line.startswith("PUT") and "/uploads/" in line]) == 1
    assert faults(crossing.arrived(two)) == []


def test_what_many_images_share_is_sent_once_though_they_are_placed_side_by_side(crossing: Crossing) -> None:
    one = crossing.push(crossing.sign(of_one_large_layer(crossing)), "shared/app0:v1")
    others = [crossing.push(one.root, f"shared/app{number}:v1") for number in range(1, 9)]
    crossing.there.before = lambda request: time.sleep(0.05) if request.method == "POST" else None
    assert crossing.import_(crossing.export(one, *others), "-j", "8").exit == 0
    assert len([line for line in crossing.there.asked if line.startswith("PUT") and "/uploads/" in line]) == 1
    assert [faults(crossing.arrived(image)) for image in others] == [[]] * 8


# --- dry run ---


def test_a_dry_run_changes_nothing_and_says_where_things_would_go(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    ran = crossing.import_(bundle, "--dry-run")
    assert ran.exit == 0
    assert ran.first == "PASSED: 1 image verified, and would be imported"
    assert f"would go to {crossing.there.host}/" in ran.out
    assert not crossing.there.changes
    assert crossing.there.asked


def test_a_dry_run_finds_conflicts(crossing: Crossing) -> None:
    image = crossing.signed_image()
    other = Content()
    push(crossing.arrived(image), other, other.image("other"), tag="v1")
    assert import_(crossing, image, "--dry-run").exit == 8


# --- what is not admitted ---


def mixed(crossing: Crossing) -> tuple[Image, Image, Path]:
    good, bad = crossing.signed_image("team/good:v1", words="good"), crossing.signed_image("team/bad:v1", key=STRANGER, words="bad")
    return good, bad, crossing.export(good, bad)


def test_one_refused_image_keeps_the_whole_bundle_out(crossing: Crossing) -> None:
    *_, bundle = mixed(crossing)
    ran = crossing.import_(bundle, "--json")
    assert ran.exit == 5
    assert [image["passed"] for image in ran.json["images"]] == [True, False]
    assert [image["destination"] for image in ran.json["images"]] == [None, None]
    assert crossing.there.asked == ["GET /v2/"]


def test_the_passing_ones_are_admitted_when_asked_and_the_rest_is_named(crossing: Crossing) -> None:
    good, bad, bundle = mixed(crossing)
    ran = crossing.import_(bundle, "--json", "--admit-passing")
    assert ran.exit == 9
    assert not ran.json["passed"]
    first, second = ran.json["images"]
    assert first["destination"].endswith("/team/good:v1")
    assert (second["destination"], second["reasons"][0]) == (None, "policy.threshold")
    assert tags_of(crossing.arrived(good))["v1"] == good.root.digest
    assert crossing.arrived(bad).tags() == []
    words = crossing.import_(bundle, "--admit-passing")
    assert words.first == "PARTLY: 1 image verified and imported; 1 refused"


def test_admitting_what_passes_admits_nothing_where_nothing_does(crossing: Crossing) -> None:
    ran = import_(crossing, crossing.signed_image(key=STRANGER), "--admit-passing")
    assert (ran.exit, crossing.there.asked) == (5, ["GET /v2/"])


@pytest.mark.parametrize("flags", [(), ("--verify-first",)], ids=["read once", "verified first"])
def test_a_damaged_bundle_admits_nothing_whatever_is_asked(crossing: Crossing, flags: tuple[str, ...]) -> None:
    good, _, bundle = mixed(crossing)
    data = bytearray(bundle.read_bytes())
    layer = next(b for b in crossing.content.blobs.values() if b[:2] == b"\x1f\x8b")  # stored as it is
    data[data.index(layer[10:40]) + 15] ^= 1
    bundle.write_bytes(data)
    verified = crossing.run("verify", bundle, "--json")
    ran = crossing.import_(bundle, "--json", "--admit-passing", *flags)
    assert ran.exit == 4
    assert ran.json == verified.json
    assert not ran.json["content"]["passed"]
    assert not crossing.there.named
    assert crossing.arrived(good).tags() == []
    if flags:
        assert not crossing.there.changes


def test_a_damaged_bundle_leaves_blobs_that_are_what_their_digests_say_and_no_manifest(crossing: Crossing) -> None:
    """The first image's layers were read, hashed and sent before the damage in the second one's was met."""
    blobs = [crossing.content.blob(noise(number, 1_200_000), PLAIN_LAYER) for number in (1, 2)]
    images = [
        crossing.push(crossing.sign(crossing.content.image(layers=[layer])), f"team/{name}:v1")
        for layer, name in zip(blobs, ("one", "two"), strict=True)
    ]
    bundle = crossing.export(*images)
    data = bytearray(bundle.read_bytes())
    data[data.index(noise(2, 1_200_000)[-40:])] ^= 1
    bundle.write_bytes(data)
    ran = crossing.import_(bundle, "-j", 1)
    assert ran.exit == 4
    assert "no manifest and no tag was put; blobs that were sent before the damage was met are there without a name" in ran.err
    assert not crossing.there.named
    repository = crossing.arrived(images[0])
    blob = images[0].root.blobs[1]
    assert b"".join(repository.chunks(blob)) == crossing.content.blobs[blob.digest]
    assert [repository.document(image.root.digest) for image in images] == [None, None]
    assert not crossing.arrived(images[1]).has(images[1].root.blobs[1])


@pytest.mark.parametrize("there", [False, True], ids=["sent", "there already"])
def test_an_import_reads_the_medium_once(crossing: Crossing, monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    """Also the blobs that are at the destination: the bundle must be whole for anything to be named."""
    sizes = (300_000, 300_000, 1_500_000, 20_000, 20_000, 20_000)
    blobs = [crossing.content.blob(noise(number, size), PLAIN_LAYER) for number, size in enumerate(sizes)]
    root = crossing.sign(crossing.content.image(layers=blobs))
    bundle = crossing.export(crossing.push(root))
    if there:
        assert crossing.import_(bundle).exit == 0
    asked: list[int] = []
    preadv = os.preadv

    def counted(file: int, buffers: list[memoryview], offset: int) -> int:
        got = preadv(file, buffers, offset)
        asked.append(got)
        return got

    monkeypatch.setattr(os, "preadv", counted)
    assert crossing.import_(bundle).exit == 0
    assert bundle.stat().st_size <= sum(asked) <= 1.02 * bundle.stat().st_size


@pytest.mark.parametrize("form", ["sig", "att", "sbom"])
def test_what_lies_under_a_tag_and_refers_to_another_manifest_is_carried_named_and_not_pushed(crossing: Crossing, form: str) -> None:
    """At the registry it would be that one's."""
    root, other = crossing.sign(crossing.content.image()), crossing.content.image("other")
    subject = crossing.content.index() if form == "sig" else root
    crossing.sign(subject)
    stray = crossing.content.artifact(b"{}", "application/spdx+json", subject=other)
    crossing.content.tags[f"{(subject.children[0].digest if form == 'sig' else root.digest).tag}.{form}"] = stray
    image = crossing.push(subject)
    out = run("export", image.reference, "-o", crossing.folder / "stray", "--key", crossing.keys["exporter"])
    assert out.exit == 0, out.err
    assert f"{stray.digest}, which refers to another manifest" in out.err
    ran = crossing.import_(crossing.folder / "stray", "--json")
    assert ran.exit == 0, ran.err
    checks = [check["code"] for check in ran.json["images"][0]["checks"] if check["subject"] == str(stray.digest)]
    assert checks == ["carrier.subject"]
    assert crossing.arrived(image).document(stray.digest) is None


def test_evidence_that_could_be_run_is_not_pushed(crossing: Crossing) -> None:
    """An image in the place of an SBOM, and one that refers to the image."""
    root = crossing.sign(crossing.content.image())
    layer = crossing.content.layer("evil")
    config = crossing.content.blob(json.dumps({"architecture": "amd64", "os": "linux"}).encode(), mediatype.OCI_CONFIG)
    by_subject = crossing.content.manifest(config, [layer], subject=root)
    by_tag = crossing.content.manifest(config, [layer, layer])
    crossing.content.tags[f"{root.digest.tag}.sbom"] = by_tag
    image = crossing.push(root)
    ran = import_(crossing, image)
    assert ran.exit == 0
    runnable = {check["subject"] for check in ran.json["images"][0]["checks"] if check["code"] == "evidence.runnable"}
    assert runnable == {str(by_subject.digest), str(by_tag.digest)}
    arrived = crossing.arrived(image)
    assert arrived.document(by_subject.digest) is None
    assert arrived.document(by_tag.digest) is None
    assert sorted(tags_of(arrived)) == [f"{root.digest.tag}.sig", "v1"]
    assert not arrived.has(layer)


# --- what others put there ---


def theirs(crossing: Crossing, image: Image, *signatures: tuple[bytes, bytes], **how: Any) -> Document:
    """A ``.sig`` that lies at the destination before."""
    content = Content()
    push(crossing.arrived(image), content, made := content.sig(image.root.digest, *signatures, **how), tag=f"{image.root.digest.tag}.sig")
    return made


def test_signatures_that_are_there_and_those_that_come_are_merged(crossing: Crossing) -> None:
    image = crossing.signed_image()
    ours = crossing.content.tags[f"{image.root.digest.tag}.sig"]
    there = theirs(crossing, image, signing.signed(image.root, STRANGER), signing.signed(image.root, signing.THIRD))
    ran = crossing.import_(crossing.export(image))
    assert ran.exit == 0
    assert f"merged: {image.root.digest.tag}.sig is " in ran.said
    union = crossing.arrived(image).document(f"{image.root.digest.tag}.sig")
    assert layers(union) == layers(there) + layers(ours)
    assert union is not None
    config = json.loads(b"".join(crossing.arrived(image).chunks(union.blobs[0])))
    assert config["rootfs"]["diff_ids"] == [str(digest) for digest, _ in layers(union)]
    assert crossing.arrived(image).document(ours.digest) == ours
    assert faults(crossing.arrived(image)) == []


def test_a_second_import_merges_nothing_more(crossing: Crossing) -> None:
    image = crossing.signed_image()
    theirs(crossing, image, signing.signed(image.root, STRANGER))
    bundle = crossing.export(image)
    assert crossing.import_(bundle).exit == 0
    before = tags_of(crossing.arrived(image))
    ran = crossing.import_(bundle)
    assert "merged" not in ran.out
    assert tags_of(crossing.arrived(image)) == before


def test_what_is_there_stays_where_it_has_all_of_ours(crossing: Crossing) -> None:
    image = crossing.signed_image()
    ours = crossing.content.tags[f"{image.root.digest.tag}.sig"]
    there = theirs(crossing, image, signing.signed(image.root, STRANGER), signing.signed(image.root, RELEASE))
    ran = crossing.import_(crossing.export(image))
    assert "merged" not in ran.out
    assert tags_of(crossing.arrived(image))[f"{image.root.digest.tag}.sig"] == there.digest
    assert crossing.arrived(image).document(ours.digest) == ours


def test_ours_is_written_where_it_has_all_of_theirs(crossing: Crossing) -> None:
    root = crossing.content.image()
    ours = crossing.content.sig(root.digest, signing.signed(root, RELEASE), signing.signed(root, STRANGER))
    image = crossing.push(root)
    theirs(crossing, image, signing.signed(root, STRANGER))
    ran = crossing.import_(crossing.export(image))
    assert "merged" not in ran.out
    assert tags_of(crossing.arrived(image))[f"{root.digest.tag}.sig"] == ours.digest


def test_two_signatures_over_one_payload_are_two(crossing: Crossing) -> None:
    """They differ in their annotations alone."""
    image = crossing.signed_image()
    payload, _ = signing.signed(image.root)
    theirs(crossing, image, (payload, STRANGER.sign(payload)))
    assert crossing.import_(crossing.export(image)).exit == 0
    assert len(layers(crossing.arrived(image).document(f"{image.root.digest.tag}.sig"))) == 2


@pytest.mark.parametrize(
    "config", [b"{}", b"[]", b"no JSON", b'{"rootfs":null}', b'{"rootfs":{"diff_ids":[1,2,3]}}', b'{"rootfs":{"diff_ids":5}}']
)
def test_a_config_that_is_no_list_of_layers_is_made_anew(config: bytes, crossing: Crossing) -> None:
    image = crossing.signed_image()
    content = Content()
    payload, signature = signing.signed(image.root, STRANGER)
    layer = content.blob(payload, mediatype.SIMPLE_SIGNING)
    signed = layer.to_json() | {"annotations": {"dev.cosignproject.cosign/signature": signing.b64(signature)}}
    described = content.blob(config, mediatype.OCI_CONFIG).to_json()
    there = content.document({"mediaType": mediatype.OCI_MANIFEST, "config": described, "layers": [signed]})
    push(crossing.arrived(image), content, there, tag=f"{image.root.digest.tag}.sig")
    ran = crossing.import_(crossing.export(image))
    assert ran.exit == 0, ran.err
    union = crossing.arrived(image).document(f"{image.root.digest.tag}.sig")
    assert union is not None
    made = json.loads(b"".join(crossing.arrived(image).chunks(union.blobs[0])))
    assert made["rootfs"] == {"type": "layers", "diff_ids": [str(digest) for digest, _ in layers(union)]}


def test_an_index_in_the_place_of_signatures_stays_and_is_reported(crossing: Crossing) -> None:
    image = crossing.signed_image()
    ours = crossing.content.tags[f"{image.root.digest.tag}.sig"]
    other = Content()
    there = push(crossing.arrived(image), other, other.index("other"), tag=f"{image.root.digest.tag}.sig")
    ran = crossing.import_(crossing.export(image))
    assert ran.exit == 0
    assert f"holds {there.digest}, and was left as it is; what came is {ours.digest}" in ran.said
    assert crossing.arrived(image).document(ours.digest) == ours


def test_another_sbom_that_is_there_stays_and_is_reported(crossing: Crossing) -> None:
    """cosign reads exactly one layer there."""
    root = crossing.sign(crossing.content.image())
    ours = crossing.content.sbom(root.digest, b"ours")
    image = crossing.push(root)
    content = Content()
    there = push(crossing.arrived(image), content, content.sbom(root.digest, b"theirs"), tag=f"{root.digest.tag}.sbom")
    ran = crossing.import_(crossing.export(image))
    assert ran.exit == 0
    assert "was left as it is" in ran.said
    assert tags_of(crossing.arrived(image))[f"{root.digest.tag}.sbom"] == there.digest
    assert crossing.arrived(image).document(ours.digest) == ours


@pytest.fixture
def flat(tmp_path: Path) -> Any:
    """A destination without an API for referrers."""
    with Crossing(tmp_path / "flat", referrers_there=False) as running:
        yield running


def test_what_the_fallback_index_lists_already_stays_in_it(flat: Crossing) -> None:
    root = flat.sign(flat.content.image())
    ours = flat.attach(root)
    image = flat.push(root)
    content = Content()
    other = content.artifact(b"theirs", subject=root, annotations={"by": "them"})
    repository = flat.arrived(image)
    push(repository, content, other)
    before = push(repository, content, content.fallback(root.digest, other), tag=root.digest.tag)
    assert flat.import_(flat.export(image)).exit == 0
    after = repository.document(root.digest.tag)
    assert after is not None
    assert [child.digest for child in after.children] == [other.digest, ours.digest]
    [entry, _] = json.loads(after.raw)["manifests"]
    assert [{name: value for name, value in entry.items() if name != "platform"}] == json.loads(before.raw)["manifests"]


def test_an_image_at_the_fallback_tag_is_not_overwritten_but_reported(flat: Crossing) -> None:
    root = flat.sign(flat.content.image())
    ours = flat.attach(root)
    image = flat.push(root)
    content = Content()
    there = push(flat.arrived(image), content, content.image("theirs"), tag=root.digest.tag)
    ran = flat.import_(flat.export(image))
    assert ran.exit == 0
    assert f"{root.digest.tag} holds an image, {there.digest}, where the list of referrers belongs" in ran.said
    assert tags_of(flat.arrived(image))[root.digest.tag] == there.digest
    assert flat.arrived(image).document(ours.digest) == ours


def test_a_fallback_index_that_lists_what_is_gone_is_mended_where_the_registry_minds(flat: Crossing) -> None:
    root = flat.sign(flat.content.image())
    ours = flat.attach(root)
    image = flat.push(root)
    content, elsewhere = Content(), Content()
    gone, kept = elsewhere.artifact(b"gone", subject=root), content.artifact(b"kept", subject=root)
    push(flat.arrived(image), content, kept)
    push(flat.arrived(image), content, content.fallback(root.digest, gone, kept), tag=root.digest.tag)
    flat.there.strict_about_children = True
    ran = flat.import_(flat.export(image))
    assert ran.exit == 0, ran.err
    assert f"listed {gone.digest}, which the registry does not have" in ran.said
    after = flat.arrived(image).document(root.digest.tag)
    assert after is not None
    assert [child.digest for child in after.children] == [kept.digest, ours.digest]


def test_a_registry_that_lists_referrers_itself_gets_no_fallback_index(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    crossing.attach(root)
    image = crossing.push(root)
    assert crossing.import_(crossing.export(image)).exit == 0
    assert root.digest.tag not in crossing.arrived(image).tags()


def test_a_registry_that_promises_a_listing_and_does_not_list_gets_the_fallback_index(crossing: Crossing) -> None:
    """Checklist 5: some answer OCI-Subject and have no API."""
    root = crossing.sign(crossing.content.image())
    ours = crossing.attach(root)
    image = crossing.push(root)
    bundle = crossing.export(image)
    crossing.there.refuse(404, "UNSUPPORTED", when=lambda request: "/referrers/" in request.path)
    assert crossing.import_(bundle).exit == 0
    after = crossing.arrived(image).document(root.digest.tag)
    assert after is not None
    assert [child.digest for child in after.children] == [ours.digest]


def test_another_writer_between_reading_and_writing_does_not_lose_ours(flat: Crossing) -> None:
    """The fallback index is written by somebody else right after us: what is read back is not ours, so it is joined again."""
    root = flat.sign(flat.content.image())
    ours = flat.attach(root)
    image = flat.push(root)
    bundle = flat.export(image)
    content = Content()
    other = content.artifact(b"theirs", subject=root)
    push(flat.arrived(image), content, other)
    between = [content.fallback(root.digest, other)]
    put: list[bool] = []

    def meanwhile(request: Request) -> None:
        if request.path.endswith(f"/manifests/{root.digest.tag}"):
            if request.method == "PUT":
                put.append(True)
            elif put and between:
                push(flat.arrived(image), content, between.pop(), tag=root.digest.tag)

    flat.there.before = meanwhile
    ran = flat.import_(bundle)
    assert ran.exit == 0, ran.err
    after = flat.arrived(image).document(root.digest.tag)
    assert after is not None
    assert {child.digest for child in after.children} == {other.digest, ours.digest}


def test_images_that_share_a_subject_do_not_write_its_list_at_the_same_time(flat: Crossing) -> None:
    root = flat.sign(flat.content.image())
    ours = flat.attach(root)
    images = [flat.push(root, f"team/app:v{number}") for number in range(4)]
    bundle = flat.export(*images)
    names = (f"/manifests/{root.digest.tag}", f"/manifests/{root.digest.tag}.sig")
    flat.there.after = lambda request, _: time.sleep(0.1) if request.method == "GET" and request.path.endswith(names) else None
    assert flat.import_(bundle, "-j", "8").exit == 0
    written = [line.rpartition("/manifests/")[2] for line in flat.there.changes]
    assert sorted(name for name in written if name.startswith(root.digest.tag)) == [root.digest.tag, f"{root.digest.tag}.sig"]
    after = flat.arrived(images[0]).document(root.digest.tag)
    assert after is not None
    assert [child.digest for child in after.children] == [ours.digest]


# --- a registry with habits ---


@pytest.mark.parametrize("of", ["image", "signature"])
def test_a_manifest_refused_for_a_lost_blob_is_sent_again_with_that_blob(crossing: Crossing, of: str) -> None:
    """Registries collect garbage, and a blob that was there a moment ago is not."""
    image = crossing.signed_image()
    bundle = crossing.export(image)
    tag = f"{image.root.digest.tag}.sig"
    name, document = ("v1", image.root) if of == "image" else (tag, crossing.content.tags[tag])
    layer = document.blobs[1]
    lost: list[bool] = []

    def collect(request: Request) -> None:
        if request.method == "PUT" and request.path.endswith(f"/manifests/{name}") and not lost:
            lost.append(True)
            crossing.there.forget(crossing.arrived(image).name, layer.digest)

    crossing.there.before = collect
    ran = crossing.import_(bundle)
    assert ran.exit == 0, ran.err
    assert lost
    assert faults(crossing.arrived(image)) == []
    assert sum(line.startswith("POST") and "/uploads/" in line for line in crossing.there.asked) == 5


def test_a_registry_that_goes_on_refusing_is_named(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    crossing.there.refuse(404, "MANIFEST_BLOB_UNKNOWN", "unknown", when=lambda r: r.method == "PUT" and r.path.endswith("/manifests/v1"))
    ran = crossing.import_(bundle, "--json")
    assert (ran.exit, ran.code) == (7, "registry.status")
    assert "although everything that it names was sent" in ran.json["error"]["what"]
    assert "v1" not in crossing.arrived(image).tags()


REFUSALS = {
    "as distribution 2.8": (400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"),
    "as olareg": (404, "MANIFEST_UNKNOWN", "manifest unknown"),
    "as others": (400, "MANIFEST_INVALID", "manifest invalid: child missing"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_registry_that_refuses_a_sparse_index_is_said_to(refusal: str, crossing: Crossing) -> None:
    status, code, message = REFUSALS[refusal]
    image = crossing.push(crossing.sign(crossing.content.index()))
    bundle = crossing.export(image, flags=["--platform", "linux/amd64"])
    crossing.there.refuse(status, code, message, when=lambda r: r.method == "PUT" and r.path.endswith(f"/manifests/{image.root.digest}"))
    ran = crossing.import_(bundle, "--json")
    assert (ran.exit, ran.code) == (7, "registry.sparse-index")
    assert "without --platform" in ran.json["error"]["next"]
    assert "v1" not in crossing.arrived(image).tags()


def test_a_registry_that_refuses_a_sparse_index_without_a_word_is_said_to(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    bundle = crossing.export(image, flags=["--platform", "linux/amd64"])
    root = f"/manifests/{image.root.digest}"
    crossing.there.before = lambda request: Response(400) if request.method == "PUT" and request.path.endswith(root) else None
    ran = crossing.import_(bundle, "--json")
    assert (ran.exit, ran.code, ran.json["error"]["found"]) == (7, "registry.sparse-index", "400")


def test_a_sparse_index_enters_where_it_may(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    ran = crossing.import_(crossing.export(image, flags=["--platform", "linux/arm64"]), "--json")
    assert ran.exit == 0
    [said] = ran.json["images"]
    assert said["platforms"] == ["linux/arm64"]
    assert said["left_out"] == [{"digest": str(image.root.children[0].digest), "platform": "linux/amd64"}]
    assert crossing.arrived(image).document("v1") == image.root
    assert crossing.arrived(image).document(image.root.children[0].digest) is None


def test_a_registry_that_gives_back_other_bytes_is_found_out(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    path = f"/v2/{crossing.here.host.replace(':', '-')}/team/app/manifests/v1"
    said = image.root.raw + b"\n"
    crossing.there.after = lambda request, answer: said if (request.method, request.path, answer.status) == ("GET", path, 200) else None
    ran = crossing.import_(bundle, "--json")
    assert (ran.exit, ran.code) == (7, "registry.read-back")


def test_a_registry_that_only_reads_gets_nothing(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    crossing.there.refuse(405, "UNSUPPORTED", when=lambda request: request.method in {"POST", "PUT", "PATCH"})
    ran = crossing.import_(bundle, "--json")
    assert (ran.exit, ran.code) == (7, "registry.status")


# --- the medium ---


def test_what_changes_on_the_medium_after_it_was_verified_is_not_committed(crossing: Crossing) -> None:
    """FS-005: bytes are hashed again while they are sent."""
    image = crossing.signed_image()
    bundle = crossing.export(image)
    data = bytearray(bundle.read_bytes())
    layer = crossing.content.blobs[image.root.blobs[1].digest]
    data[data.index(layer[10:40]) + 15] ^= 1

    def exchange(request: Request) -> None:
        if len(crossing.there.asked) == 2:  # the first that names something of the bundle, when its documents are verified
            bundle.write_bytes(data)

    crossing.there.before = exchange
    ran = crossing.import_(bundle, "--json")
    assert ran.exit == 4
    assert not crossing.arrived(image).has(image.root.blobs[1])
    assert crossing.arrived(image).tags() == []
    assert crossing.arrived(image).document(image.root.digest) is None


def test_verify_and_import_need_no_file_beside_the_bundle_and_write_none(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    for beside in bundle.parent.glob(f"{bundle.name}.*"):
        beside.unlink()
    before = sorted(path.name for path in bundle.parent.iterdir())
    bundle.chmod(0o400)
    assert crossing.run("verify", bundle).exit == 0
    assert crossing.import_(bundle).exit == 0
    assert sorted(path.name for path in bundle.parent.iterdir()) == before


def test_the_far_end_is_verified_as_the_near_one_was(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    assert crossing.import_(crossing.export(image)).exit == 0
    arrived = f"docker://{crossing.arrived(image).name}:v1"
    assert crossing.run("verify", arrived, "--as", image.reference).exit == 0
    assert run("verify", arrived, "--trust", crossing.trust, "--as", "elsewhere.example/x:1").exit == 0
