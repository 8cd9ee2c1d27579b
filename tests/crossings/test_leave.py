"""What an image or its evidence names and nobody can read: named, left out only by ``--leave``, and seen at the far side."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.lookup import LeftOut
from bundler.oci.manifest import Document
from bundler.stations.carried import left_blobs
from tests.support import signing
from tests.support.layouts import Content, write_layout
from tests.support.station import Crossing, Ran, run, write_trust

APP = "registry.example/team/app:v1"
AT_THE_FAR_SIDE = "registry.example/team/app"


def laid(crossing: Crossing, root: Document) -> str:
    """A layout with all of the content, in which ``root`` is listed with its signature."""
    names = {APP: root} | {f"registry.example/team/app:{tag}": document for tag, document in crossing.content.tags.items()}
    return f"oci:{write_layout(crossing.folder / 'layout', crossing.content, names)}:{APP}"


def export(crossing: Crossing, image: str, *flags: object) -> Ran:
    return run("export", image, "-o", crossing.folder / "b.oci.tar.zst", "--key", crossing.keys["exporter"], "--json", *flags)


def left_out(done: Ran) -> list[dict[str, Any]]:
    [image] = done.json["images"]
    assert image["passed"], image["reasons"]
    found: list[dict[str, Any]] = image["left_out"]
    return found


def crossed(crossing: Crossing) -> list[dict[str, Any]]:
    """What ``verify`` and then ``import`` say was left out of the bundle."""
    bundle = crossing.folder / "b.oci.tar.zst"
    verified = left_out(crossing.run("verify", bundle, "--json"))
    assert left_out(crossing.import_(bundle, "--json")) == verified
    return verified


def malformed(crossing: Crossing, subject: Document, **members: Any) -> Digest:
    """Evidence about ``subject`` in the layout, whose own descriptor of it has no media type."""
    about = {"digest": str(subject.digest), "size": len(subject.raw)}
    value = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST, "layers": [], "subject": about, **members}
    return crossing.content.blob(json.dumps(value).encode()).digest


# --- evidence ---


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({}, id="a malformed subject"),
        pytest.param({"mediaType": "application/vnd.oci.artifact.manifest.v1+json", "blobs": []}, id="an artifact manifest"),
    ],
)
def test_evidence_in_a_layout_that_cannot_be_read_stops_the_export_and_is_left_out_by_name(
    crossing: Crossing, members: dict[str, Any]
) -> None:
    root = crossing.sign(crossing.content.image())
    broken = malformed(crossing, root, **members)
    image = laid(crossing, root)
    refused = export(crossing, image)
    assert (refused.exit, refused.code.partition(".")[0]) == (3, "format")
    assert f"{broken}, found about {root.digest}" in refused.json["error"]["found"]
    assert f"--leave {broken}" in refused.json["error"]["next"]
    assert export(crossing, image, "--leave", broken).exit == 0
    assert crossed(crossing) == [{"digest": str(broken), "platform": None}]
    arrived = crossing.there.repository(AT_THE_FAR_SIDE)
    assert arrived.document("v1") == root
    assert arrived.document(f"{root.digest.tag}.sig") is not None
    seal = run("inspect", crossing.folder / "b.oci.tar.zst", "--json").json["claims"]
    assert {"digest": str(broken), "form": "referrer"} in [found for lookup in seal["lookups"] for found in lookup["found"]]


def test_json_that_is_no_manifest_may_have_a_subject(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    crossing.content.blob(json.dumps({"subject": {"digest": str(root.digest)}, "predicate": {}}).encode())
    assert export(crossing, laid(crossing, root)).exit == 0


def test_all_that_cannot_be_read_is_named_at_once(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    broken = [malformed(crossing, root, annotations={"n": str(n)}) for n in range(3)]
    image = laid(crossing, root)
    assert all(f"--leave {digest}" in export(crossing, image).json["error"]["next"] for digest in broken)
    some = export(crossing, image, "--leave", broken[0], "--leave", broken[1])
    assert f"--leave {broken[2]}" in some.json["error"]["next"]
    assert str(broken[0]) not in some.json["error"]["next"]
    assert export(crossing, image, *(word for digest in broken for word in ("--leave", digest))).exit == 0
    assert {child["digest"] for child in crossed(crossing)} == set(map(str, broken))


def test_a_referrer_that_is_listed_and_gone_is_left_out_by_name(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    gone = crossing.content.artifact(b'{"gone": true}', subject=root)
    crossing.content.fallback(root.digest, gone)
    crossing.content.documents.pop(gone.digest)
    image = crossing.push(root)
    refused = export(crossing, image.reference)
    assert (refused.exit, refused.code) == (6, "blob.missing")
    assert f"--leave {gone.digest}" in refused.json["error"]["next"]
    said = run(
        "export", image.reference, "-o", crossing.folder / "b.oci.tar.zst", "--key", crossing.keys["exporter"], "--leave", gone.digest
    )
    assert said.exit == 0
    assert "  evidence 1\n" in said.out
    assert crossed(crossing) == [{"digest": str(gone.digest), "platform": None}]


def test_a_signature_that_is_left_out_is_none(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.image())
    path = f"/v2/{image.path}/manifests/{image.root.digest.tag}.sig"
    raw = b'{"schemaVersion":2,"layers":[]}'
    crossing.here.answer_with(path, raw, mediatype.OCI_MANIFEST, digest=str(Digest.of(raw)))
    refused = export(crossing, image.reference, "--allow-unsigned")
    assert (refused.exit, refused.code) == (3, "format.manifest")
    assert f"--leave {Digest.of(raw)}" in refused.json["error"]["next"]
    unsigned = export(crossing, image.reference, "--leave", Digest.of(raw))
    assert (unsigned.exit, unsigned.code) == (5, "signature.missing")
    assert export(crossing, image.reference, "--leave", Digest.of(raw), "--allow-unsigned").exit == 0
    verified = crossing.run("verify", crossing.folder / "b.oci.tar.zst", "--json")
    assert verified.exit == 5
    assert "signature.missing" in verified.json["images"][0]["reasons"]


def test_a_signature_that_a_layout_lists_and_lacks_is_left_out_by_name(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    crossing.attach(root)
    image = laid(crossing, root)
    gone = crossing.content.tags[f"{root.digest.tag}.sig"].digest
    (crossing.folder / "layout/blobs/sha256" / gone.encoded).unlink()
    refused = export(crossing, image)
    assert (refused.exit, refused.code) == (6, "blob.missing")
    assert f"--leave {gone}" in refused.json["error"]["next"]
    assert export(crossing, image, "--leave", gone).exit == 0
    assert crossed(crossing) == [{"digest": str(gone), "platform": None}]


def test_a_list_of_referrers_that_cannot_be_read_is_left_out_by_name(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    image = crossing.push(root)
    raw = b'{"schemaVersion":2,"manifests":{}}'
    crossing.here.answer_with(f"/v2/{image.path}/manifests/{root.digest.tag}", raw, mediatype.OCI_INDEX, digest=str(Digest.of(raw)))
    refused = export(crossing, image.reference)
    assert (refused.exit, refused.code) == (3, "format.manifest")
    assert f"--leave {Digest.of(raw)}" in refused.json["error"]["next"]
    assert export(crossing, image.reference, "--leave", Digest.of(raw)).exit == 0
    assert crossed(crossing) == [{"digest": str(Digest.of(raw)), "platform": None}]


def test_what_can_be_read_is_carried_whatever_is_to_be_left(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    signature = crossing.content.tags[f"{root.digest.tag}.sig"]
    done = export(crossing, laid(crossing, root), "--leave", signature.digest, "--leave", root.digest)
    assert done.exit == 0
    assert f"nothing of the digest {signature.digest} was left out" in done.err
    assert crossed(crossing) == []


def test_what_is_to_be_left_is_a_digest(crossing: Crossing) -> None:
    refused = export(crossing, laid(crossing, crossing.content.image()), "--leave", "v1")
    assert (refused.exit, refused.code) == (2, "usage")


def test_where_it_lies_an_image_is_verified_beside_evidence_that_cannot_be_read(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    broken = malformed(crossing, root)
    done = crossing.run("verify", laid(crossing, root))
    assert done.exit == 0
    assert str(broken) in done.out + done.err


def test_one_image_leaves_out_what_another_does_not_have(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    whole = shutil.copytree(Path(laid(crossing, root).split(":")[1]), crossing.folder / "whole")
    broken = malformed(crossing, root)
    images = [laid(crossing, root), f"oci:{whole}:{APP}"]
    words = [word for image in images for word in (image,)]
    bundle = crossing.folder / "b.oci.tar.zst"
    done = run("export", *words, "-o", bundle, "--key", crossing.keys["exporter"], "--leave", broken)
    assert done.exit == 0
    assert crossed(crossing) == [{"digest": str(broken), "platform": None}]


# --- parts of indexes ---


def saved(crossing: Crossing, *, without: str) -> tuple[str, Document, list[Digest]]:
    """As ``docker save`` writes an image of which it has one platform: the others, or all attestations, are listed and not there."""
    root = crossing.sign(crossing.content.with_buildkit())
    amd, arm, of_amd, of_arm = (child.digest for child in root.children)
    gone = [of_amd, of_arm] if without == "attestations" else [arm, of_arm]
    for digest in gone:
        crossing.content.documents.pop(digest)
    assert amd in crossing.content.documents
    return laid(crossing, root), root, gone


def test_attestations_that_are_not_there_are_left_out_by_name(crossing: Crossing) -> None:
    image, root, gone = saved(crossing, without="attestations")
    refused = export(crossing, image)
    assert (refused.exit, refused.code) == (6, "blob.missing")
    assert all(f"--leave {digest}" in refused.json["error"]["next"] for digest in gone)
    assert "--platform" not in refused.json["error"]["next"]
    assert crossing.run("verify", image, "--json").code == "blob.missing"
    flags = [word for digest in gone for word in ("--leave", digest)]
    assert export(crossing, image, *flags).exit == 0
    assert crossed(crossing) == [{"digest": str(digest), "platform": "unknown/unknown"} for digest in gone]
    arrived = crossing.there.repository(AT_THE_FAR_SIDE)
    assert all((arrived.document(child.digest) is None) is (child.digest in gone) for child in root.children)
    assert export(crossing, image, "--replace", "--platform", "linux/amd64", "--leave", gone[0]).exit == 0


def test_platforms_that_are_not_there_are_left_out_by_platform_or_by_name(crossing: Crossing) -> None:
    image, _, gone = saved(crossing, without="platforms")
    refused = export(crossing, image)
    assert (refused.exit, refused.code) == (6, "blob.missing")
    assert "--platform" in refused.json["error"]["next"]
    assert export(crossing, image, "--platform", "linux/amd64").exit == 0
    by_platform = crossed(crossing)
    flags = [word for digest in gone for word in ("--leave", digest)]
    said = run("export", image, "-o", crossing.folder / "b.oci.tar.zst", "--key", crossing.keys["exporter"], "--replace", *flags)
    assert said.exit == 0
    assert "  evidence 1\n" in said.out
    assert crossed(crossing) == by_platform
    assert [(child["digest"], child["platform"]) for child in by_platform] == [
        (str(gone[0]), "linux/arm64"),
        (str(gone[1]), "unknown/unknown"),
    ]
    [verified] = crossing.run("verify", crossing.folder / "b.oci.tar.zst", "--json").json["images"]
    assert verified["platforms"] == ["linux/amd64"]


def with_others(crossing: Crossing, *others: tuple[bytes, str], signed: bool = True) -> Document:
    image = crossing.content.image()
    listed = [image.descriptor.to_json() | {"platform": {"os": "linux", "architecture": "amd64"}}]
    listed += [crossing.content.blob(data, media_type).to_json() for data, media_type in others]
    root = crossing.content.document({"mediaType": mediatype.OCI_INDEX, "manifests": listed})
    return crossing.sign(root) if signed else root


OTHERS = [(b"<x/>\n", "application/xml"), (b"\x1f\x8b layer", "application/vnd.oci.image.layer.v1.tar+gzip")]


def test_what_an_index_lists_of_other_media_types_is_carried_as_it_is(crossing: Crossing) -> None:
    root = with_others(crossing, *OTHERS)
    assert export(crossing, laid(crossing, root)).exit == 0
    assert crossed(crossing) == []
    arrived = crossing.there.repository(AT_THE_FAR_SIDE)
    assert arrived.document("v1") == root
    for other, (data, _) in zip(root.others, OTHERS, strict=True):
        assert b"".join(arrived.chunks(other)) == data
    out = crossing.folder / "out"
    assert crossing.run("extract", crossing.folder / "b.oci.tar.zst", "--to", f"oci:{out}", APP).exit == 0
    assert all(
        (out / "blobs/sha256" / other.digest.encoded).read_bytes() == data for other, (data, _) in zip(root.others, OTHERS, strict=True)
    )


def test_of_an_index_of_other_media_types_alone_all_is_carried(crossing: Crossing) -> None:
    """BuildKit's cache."""
    listed = [crossing.content.blob(data, media_type).to_json() for data, media_type in OTHERS]
    root = crossing.sign(crossing.content.document({"mediaType": mediatype.OCI_INDEX, "manifests": listed}))
    assert export(crossing, laid(crossing, root)).exit == 0
    assert crossed(crossing) == []


DISGUISED = [
    '{"schemaVersion":2,"config":{},"layers":[]}',
    '{"schemaVersion":2,"Config":{},"LAYERS":[]}',
    '{"manifests":[]}',
    '{"fsLayers":[]}',
    '\ufeff{"manifests":[]}',
    '{"config":{},"config":{},"layers":[]}',
    ' {"a": 1} // manifests',
]


@pytest.mark.parametrize("text", DISGUISED)
def test_a_manifest_that_an_index_lists_as_another_thing_does_not_travel(crossing: Crossing, text: str) -> None:
    root = with_others(crossing, (text.encode(), "application/x-other"))
    image = laid(crossing, root)
    refused = export(crossing, image)
    assert (refused.exit, refused.code) == (3, "format.media-type")
    assert export(crossing, image, "--leave", root.others[0].digest).exit == 0
    assert crossed(crossing) == [{"digest": str(root.others[0].digest), "platform": None}]


@pytest.mark.parametrize("text", ['{"layers":[],"records":[]}', '{"spdxVersion":"SPDX-2.3","a":{"manifests":[1.5]}}', "[]", "{" * 10])
def test_json_that_is_no_manifest_travels_in_an_index(crossing: Crossing, text: str) -> None:
    """BuildKit's cache config, and SBOMs."""
    kind = "format.media-type" if text.startswith("{{") else None
    done = export(crossing, laid(crossing, with_others(crossing, (text.encode(), "application/x-other"))))
    assert (done.json.get("error") or {}).get("code") == kind


@pytest.mark.parametrize("data", [b"other", b"<x/>\n<y/>"], ids=["of its size", "of another size"])
def test_of_what_an_index_lists_the_bytes_are_verified(crossing: Crossing, data: bytes) -> None:
    root = with_others(crossing, (b"<x/>\n", "application/xml"))
    image = laid(crossing, root)
    (crossing.folder / "layout/blobs/sha256" / root.others[0].digest.encoded).write_bytes(data)
    refused = export(crossing, image)
    assert (refused.exit, refused.code) == (6, "blob.missing")
    assert not (crossing.folder / "b.oci.tar.zst").exists()


def test_what_an_index_lists_and_the_source_lacks_is_left_out_by_name(crossing: Crossing) -> None:
    root = with_others(crossing, *OTHERS)
    image = laid(crossing, root)
    gone = root.others[0].digest
    (crossing.folder / "layout/blobs/sha256" / gone.encoded).unlink()
    refused = export(crossing, image)
    assert (refused.exit, refused.code) == (6, "blob.missing")
    done = export(crossing, image, "--leave", gone)
    assert done.exit == 0
    assert "foreign layer" not in done.err
    at_root = f"/manifests/{root.digest}"
    crossing.there.refuse(400, "MANIFEST_BLOB_UNKNOWN", when=lambda r: r.method == "PUT" and r.path.endswith(at_root), times=1)
    assert crossing.import_(crossing.folder / "b.oci.tar.zst", "--json").code == "registry.sparse-index"
    assert crossed(crossing) == [{"digest": str(gone), "platform": None}]
    assert b"".join(crossing.there.repository(AT_THE_FAR_SIDE).chunks(root.others[1])) == OTHERS[1][0]


def test_where_platforms_are_signed_an_index_that_lists_more_is_signed_too(crossing: Crossing) -> None:
    rules = [signing.rule(signing.Key.of("p256"), scope="**", node="platforms")]
    write_trust(crossing.folder / "platforms", rules=rules, seals=[])
    plain = crossing.content.index(children=[crossing.content.image()])
    more = with_others(crossing, *OTHERS, signed=False)
    for child in (*plain.children, *more.children):
        crossing.content.sig(child.digest, signing.signed(crossing.content.documents[child.digest]))
    crossing.content.tags.pop(f"{more.digest.tag}.sig", None)
    trust = ("--trust", crossing.folder / "platforms", "--json")
    assert run("verify", laid(crossing, plain), *trust).exit == 0
    refused = run("verify", laid(crossing, more), *trust)
    assert (refused.exit, refused.json["images"][0]["reasons"]) == (5, ["policy.threshold", "signature.missing"])
    crossing.content.sig(more.digest, signing.signed(more))
    assert run("verify", laid(crossing, more), *trust).exit == 0


@pytest.mark.parametrize(
    "platform",
    [
        pytest.param({"os": "linux", "architecture": ""}, id="no architecture"),
        pytest.param({"os": "", "architecture": "amd64"}, id="no system"),
        pytest.param({"os": "linux", "architecture": "arm64/v8"}, id="a variant in the architecture"),
        pytest.param({"os": "linux", "architecture": "\x1b[31m"}, id="an escape"),
        pytest.param({"architecture": "amd64"}, id="half of it"),
    ],
)
def test_a_child_with_an_odd_platform_has_none(crossing: Crossing, platform: dict[str, str]) -> None:
    amd, odd = crossing.content.image(), crossing.content.image("odd")
    listed = [
        amd.descriptor.to_json() | {"platform": {"os": "linux", "architecture": "amd64"}},
        odd.descriptor.to_json() | {"platform": platform},
    ]
    root = crossing.sign(crossing.content.document({"mediaType": mediatype.OCI_INDEX, "manifests": listed}))
    assert export(crossing, laid(crossing, root), "--platform", "linux/amd64").exit == 0
    assert crossed(crossing) == []
    [verified] = crossing.run("verify", crossing.folder / "b.oci.tar.zst", "--json").json["images"]
    assert verified["platforms"] == ["linux/amd64"]
    assert crossing.there.repository(AT_THE_FAR_SIDE).document(odd.digest) == odd


def test_what_a_manifest_needs_is_carried_whatever_an_index_leaves_out() -> None:
    image, other = Content().image(), Digest.of(b"other")
    assert left_blobs([LeftOut(image.blobs[1].digest, None), LeftOut(other, None)], [image]) == {other}
