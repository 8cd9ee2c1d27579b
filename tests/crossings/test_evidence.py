"""Nothing that vouches for an image gets lost: the layouts A to H and J of evidence, on every manifest, from each kind of
registry into each kind (checklist 1 to 10 of what carriers lose).

A cosign's .sig tag, B its .att tag, C its .sbom tag, D signatures that refer to their subject, E Sigstore bundles,
F Notation, G whatever the fallback index lists, H BuildKit's attestations in the index, J any other referrer, and
referrers of those.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.content.registry.client import Repository
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support import signing
from tests.support.layouts import Content
from tests.support.station import Crossing, Image, run

Attach = Callable[[Content, Document], object]


def sig(content: Content, subject: Document) -> object:
    return content.sig(subject.digest, signing.signed(subject), signing.signed(subject, signing.OTHER))


def att(content: Content, subject: Document) -> object:
    return content.att(subject.digest, signing.att(subject), signing.att(subject, signing.OTHER, signing.SLSA))


def sbom(content: Content, subject: Document) -> object:
    return content.sbom(subject.digest, b"SPDXVersion: SPDX-2.3\n" + subject.digest.encoded.encode())


def sig_by_subject(content: Content, subject: Document) -> object:
    payload, signature = signing.signed(subject)
    layer = content.blob(payload, mediatype.SIMPLE_SIGNING)
    annotated = Descriptor(layer.media_type, layer.digest, layer.size, annotations={signing_annotation: signing.b64(signature)})
    return content.manifest(content.blob(b"{}", "application/vnd.dev.cosign.artifact.sig.v1+json"), [annotated], subject=subject)


signing_annotation = "dev.cosignproject.cosign/signature"


def bundle(content: Content, subject: Document) -> object:
    return content.bundle(subject, json.dumps(signing.bundle(signing.dsse(subject))).encode(), predicate_type=signing.SIGN)


COSE = b"\xd2\x84\x43\xa1\x01\x26\xa0\x42{}\x41s"  # COSE_Sign1: the algorithm ES256, nothing unprotected, a payload, a signature


def notation(content: Content, subject: Document) -> object:
    return [content.notation(subject, b'{"payload":"e30"}'), content.notation(subject, COSE, cose=True)]


def others(content: Content, subject: Document) -> object:
    """An SBOM; a VEX document about the SBOM, and a signature of that."""
    attached = content.artifact(b'{"spdxVersion":"SPDX-2.3"}' + subject.digest.encoded.encode(), subject=subject)
    about = content.artifact(b'{"vex":true}', "application/vnd.openvex+json", subject=attached, annotations={"made": "by hand"})
    return sig(content, about)


LAYOUTS: dict[str, Attach] = {"A": sig, "B": att, "C": sbom, "D": sig_by_subject, "E": bundle, "F": notation, "J": others}


def image_with(content: Content, attach: Attach) -> Document:
    """An index over indexes over images, with evidence on each of its manifests."""
    root = content.nested()
    for document in content.below(root):
        attach(content, document)
    if f"{root.digest.tag}.sig" not in content.tags:
        content.sig(root.digest, signing.signed(root))
    return root


def without_api(content: Content) -> None:
    """List the referrers in fallback indexes, as clients do where there is no API (layout G)."""
    for subject in list(content.documents):
        referring = [d for d in content.documents.values() if d.subject is not None and d.subject.digest == subject]
        if referring:
            content.fallback(subject, *referring)


def referrers(repository: Repository, subject: Digest) -> dict[Digest, Descriptor]:
    """What clients find that ask as the specification says: by the API or else the fallback index."""
    answer = repository.referrers(subject)
    if answer.api:
        return {descriptor.digest: descriptor for descriptor in answer.listed}
    fallback = repository.document(subject.tag)
    return {child.digest: child for child in fallback.children} if fallback else {}


def lost(content: Content, repository: Repository) -> list[str]:
    """What was at the source and is not at the far end, or not found there, or other bytes."""
    missing = []
    for tag, document in content.tags.items():
        if tag.rpartition(".")[2] in {"sig", "att", "sbom"}:
            there = repository.document(tag)
            missing += [f"tag {tag}"] if there is None or there.raw != document.raw else []
    for document in content.documents.values():
        if document not in fallbacks(content):
            there = repository.document(document.digest)
            missing += [f"manifest {document.digest}"] if there is None or there.raw != document.raw else []
            missing += [f"blob {blob.digest}" for blob in document.blobs if b"".join(repository.chunks(blob)) != content.blobs[blob.digest]]
        if document.subject is not None and document.digest not in referrers(repository, document.subject.digest):
            missing.append(f"referrer {document.digest}")
    return missing


def fallbacks(content: Content) -> list[Document]:
    return [document for tag, document in content.tags.items() if "." not in tag]


@pytest.mark.parametrize("there", [True, False], ids=["to an API", "to none"])
@pytest.mark.parametrize("here", [True, False], ids=["from an API", "from none"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_all_evidence_on_every_manifest_arrives_byte_for_byte(layout: str, here: bool, there: bool, tmp_path: Path) -> None:
    with Crossing(tmp_path, referrers_here=here, referrers_there=there) as crossing:
        root = image_with(crossing.content, LAYOUTS[layout])
        if not here:
            without_api(crossing.content)
        image = crossing.push(root)
        ran = crossing.import_(crossing.export(image))
        assert ran.exit == 0, ran.out + ran.err
        assert lost(crossing.content, crossing.arrived(image)) == []
        assert crossing.arrived(image).document("v1") == root


def test_attestations_in_the_index_go_with_their_platform(crossing: Crossing) -> None:
    """Layout H."""
    image = crossing.push(crossing.sign(crossing.content.with_buildkit()))
    whole = crossing.import_(crossing.export(image))
    assert whole.exit == 0, whole.err
    assert lost(crossing.content, crossing.arrived(image)) == []
    chosen = run("inspect", crossing.export(image, to="amd64", flags=["--platform", "linux/amd64"]), "--json").json["claims"]
    [carried] = chosen["images"]
    amd64, arm64, for_amd64, for_arm64 = (str(child.digest) for child in image.root.children)
    assert [child["digest"] for child in carried["left_out"]] == [arm64, for_arm64]
    documents = {f"sha256:{member['sha256']}" for member in chosen["members"] if member["kind"] == "document"}
    assert {amd64, for_amd64} <= documents
    assert not documents & {arm64, for_arm64}


def test_the_descriptor_in_a_fallback_index_has_artifact_type_and_annotations(tmp_path: Path) -> None:
    """Checklist 5: notation finds a signature by both."""
    with Crossing(tmp_path, referrers_there=False) as crossing:
        root = crossing.sign(crossing.content.image())
        signed = crossing.content.notation(root, b"{}")
        plain = crossing.content.manifest(crossing.content.blob(b"{}", "application/vnd.example.config"), [], subject=root)
        image = crossing.push(root)
        assert crossing.import_(crossing.export(image)).exit == 0
        listed = referrers(crossing.arrived(image), root.digest)
        assert listed[signed.digest].artifact_type == mediatype.NOTATION
        assert listed[signed.digest].annotations == {"io.cncf.notary.x509chain.thumbprint#S256": "[]"}
        assert listed[plain.digest].artifact_type == "application/vnd.example.config"


def test_what_was_asked_and_found_is_in_the_seal(crossing: Crossing) -> None:
    """Checklist 1 and 2: every manifest, the evidence too, with each answer."""
    root = crossing.sign(crossing.content.index())
    sbom_manifest = crossing.content.artifact(b"{}", subject=root)
    image = crossing.push(root)
    crossing.content.fallback(root.digest, sbom_manifest)
    claims = run("inspect", crossing.export(image), "--json").json["claims"]
    lookups = {lookup["manifest"]: lookup for lookup in claims["lookups"]}
    evidence = [crossing.content.tags[f"{root.digest.tag}.sig"], sbom_manifest]
    assert set(lookups) == {str(document.digest) for document in (*crossing.content.below(root), *evidence)}
    assert lookups[str(root.digest)] == {
        "repository": f"{crossing.here.host}/team/app",
        "manifest": str(root.digest),
        "asked": {"sig": "found", "att": "absent", "sbom": "absent", "referrers": "found", "fallback": "absent"},
        "found": [{"digest": str(evidence[0].digest), "form": "sig"}, {"digest": str(evidence[1].digest), "form": "referrer"}],
    }
    for digest in (*(child.digest for child in root.children), *(document.digest for document in evidence)):
        asked = lookups[str(digest)]["asked"]
        assert asked == {"sig": "absent", "att": "absent", "sbom": "absent", "referrers": "absent", "fallback": "absent"}
        assert lookups[str(digest)]["found"] == []


def test_a_registry_without_the_api_says_so_in_the_seal(tmp_path: Path) -> None:
    with Crossing(tmp_path, referrers_here=False) as crossing:
        image = crossing.signed_image()
        [lookup, _] = run("inspect", crossing.export(image), "--json").json["claims"]["lookups"]
        assert lookup["asked"] == {"sig": "found", "att": "absent", "sbom": "absent", "referrers": "no-api", "fallback": "absent"}


def test_what_the_api_and_the_fallback_index_list_is_merged(crossing: Crossing) -> None:
    """Checklist 3: some registries hold both, and neither all of it."""
    root = crossing.sign(crossing.content.image())
    by_api, by_both, by_tag = (crossing.content.artifact(word, subject=root) for word in (b"one", b"both", b"two"))
    crossing.content.fallback(root.digest, by_both, by_tag)
    image = crossing.push(root)
    hidden = f"/v2/team/app/referrers/{root.digest}"
    listed = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [d.as_referrer.to_json() for d in (by_api, by_both)]}
    crossing.here.answer_with(hidden, json.dumps(listed).encode(), mediatype.OCI_INDEX)
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json")
    found = [piece["digest"] for piece in done.json["images"][0]["found"] if piece["kind"] == "referrer"]
    assert sorted(found) == sorted(str(document.digest) for document in (by_api, by_both, by_tag))


def test_an_image_at_a_fallback_tag_is_reported_and_carried_by_nobody(crossing: Crossing) -> None:
    """Checklist 7: ``cosign copy`` leaves one there."""
    image = crossing.signed_image()
    other = crossing.content.image("other")
    crossing.push(other, f"team/app:{image.root.digest.tag}", evidence=False)
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"])
    assert done.exit == 0
    assert f"{image.root.digest.tag} is the place of a list of referrers and holds an image, {other.digest}" in done.err
    claims = run("inspect", crossing.folder / "b", "--json").json["claims"]
    assert claims["lookups"][0]["asked"]["fallback"] == "foreign"
    assert other.digest.encoded not in {member["sha256"] for member in claims["members"]}


def test_what_is_listed_and_refers_to_something_else_is_reported_and_not_carried(crossing: Crossing) -> None:
    image = crossing.signed_image()
    elsewhere = crossing.content.artifact(b"elsewhere", subject=crossing.content.image("elsewhere"))
    crossing.push(elsewhere, evidence=False, name="team/app")
    crossing.content.fallback(image.root.digest, elsewhere)
    crossing.push(crossing.content.tags[image.root.digest.tag], f"team/app:{image.root.digest.tag}", evidence=False)
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json")
    assert done.exit == 0
    assert f"{elsewhere.digest} is listed as referring to {image.root.digest}, and does not" in done.err
    assert str(elsewhere.digest) not in done.out


def test_evidence_that_is_listed_and_not_there_is_a_loss_and_nothing_is_written(crossing: Crossing) -> None:
    image = crossing.signed_image()
    gone = Content().artifact(b"gone", subject=image.root)
    crossing.push(crossing.content.fallback(image.root.digest, gone), f"team/app:{image.root.digest.tag}", evidence=False)
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json")
    assert (done.exit, done.code) == (6, "blob.missing")
    assert str(gone.digest) in done.json["error"]["what"]
    assert not (crossing.folder / "b").exists()


@pytest.mark.parametrize("depth", [8, 9])
def test_evidence_on_evidence_is_followed_to_the_eighth_and_refused_at_the_ninth(depth: int, crossing: Crossing) -> None:
    about = root = crossing.sign(crossing.content.image())
    for number in range(depth):
        about = crossing.content.artifact(b"%d" % number, subject=about)
    image = crossing.push(root)
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json")
    if depth == 8:
        assert done.exit == 0, done.err
        assert len(done.json["images"][0]["found"]) == 9
    else:
        assert (done.exit, done.code) == (3, "limit.depth")
        assert not (crossing.folder / "b").exists()


@pytest.mark.parametrize("depth", [8, 9])
def test_indexes_in_indexes_are_followed_to_the_eighth_and_refused_at_the_ninth(depth: int, crossing: Crossing) -> None:
    root = crossing.content.image()
    for _ in range(depth):
        root = crossing.content.index(children=[root])
    image = crossing.push(crossing.sign(root))
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json")
    assert (done.exit, done.json.get("error", {}).get("code")) == ((0, None) if depth == 8 else (3, "limit.depth"))


def test_evidence_that_is_an_index_is_carried_with_what_is_below_it(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    parts = [crossing.content.artifact(b"part %d" % number) for number in range(2)]
    listed = crossing.content.index(children=parts, subject=root, artifact_type="application/vnd.example.set")
    image = crossing.push(root)
    claims = run("inspect", crossing.export(image), "--json").json["claims"]
    documents = {member["sha256"] for member in claims["members"] if member["kind"] == "document"}
    assert {document.digest.encoded for document in (listed, *parts)} <= documents


def test_two_images_of_one_repository_keep_the_evidence_of_both_places(crossing: Crossing, tmp_path: Path) -> None:
    """The same manifest in two registries, with other evidence in each, carried under one repository."""
    signature = crossing.content
    root = crossing.sign(signature.image())
    one = crossing.push(root, "one/app:a")
    crossing.content = Content()
    assert crossing.content.image() == root
    attached = crossing.attach(root)
    two = crossing.push(root, "two/app:b")
    listed = tmp_path / "list"
    listed.write_text(f"{one.reference} registry.example/app:a\n{two.reference} registry.example/app:b\n")
    bundle_file = crossing.folder / "both"
    assert run("export", "--images", listed, "-o", bundle_file, "--key", crossing.keys["exporter"]).exit == 0
    ran = crossing.run("import", bundle_file, f"{crossing.there.host}", "--json")
    assert ran.exit == 0, ran.err
    arrived = crossing.there.repository("registry.example/app")
    assert arrived.document(f"{root.digest.tag}.sig") == signature.tags[f"{root.digest.tag}.sig"]
    assert attached.digest in referrers(arrived, root.digest)


# --- a source in trouble is not a source without signatures ---


TROUBLE = [(way, status) for way in ("sig", "att", "sbom", "fallback") for status in (401, 403, 429, 500, 503)]
TROUBLE += [("referrers", status) for status in (429, 500, 503)]


@pytest.mark.parametrize(("way", "status"), TROUBLE)
def test_a_registry_in_trouble_never_looks_like_one_without_signatures(way: str, status: int, crossing: Crossing, quick: None) -> None:
    """Checklist 2: absent is 404 or an empty list, and nothing else."""
    image = crossing.signed_image()
    tag = image.root.digest.tag
    path = f"/v2/team/app/referrers/{image.root.digest}" if way == "referrers" else f"/v2/team/app/manifests/{tag}"
    path = path if way in {"referrers", "fallback"} else f"{path}.{way}"
    crossing.here.refuse(status, "DENIED", when=lambda request: request.path == path)
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--allow-unsigned", "--json")
    assert (done.exit, done.code) == (7, "registry.credentials" if status in {401, 403} else "registry.status")
    assert not (crossing.folder / "b").exists()


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_four_answers_say_that_there_is_no_api_for_referrers(status: int, crossing: Crossing) -> None:
    image = crossing.signed_image()
    crossing.here.refuse(status, "UNSUPPORTED", when=lambda request: "/referrers/" in request.path)
    claims = run("inspect", crossing.export(image), "--json").json["claims"]
    assert {lookup["asked"]["referrers"] for lookup in claims["lookups"]} == {"no-api"}


LIES = {
    "other bytes": (b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}', mediatype.OCI_INDEX, 4),
    "a page for people": (b"<html>please log in</html>", "text/html", 7),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_the_registry_lies_about_ends_the_export(lie: str, crossing: Crossing) -> None:
    body, media_type, exit_code = LIES[lie]
    image = crossing.push(crossing.sign(crossing.content.index()))
    crossing.here.answer_with(f"/v2/team/app/manifests/{image.root.children[0].digest}", body, media_type)
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json")
    assert done.exit == exit_code
    assert not (crossing.folder / "b").exists()


PAGES = {
    "no JSON": (b"<html>", mediatype.OCI_INDEX),
    "a manifest": (b'{"schemaVersion":2,"config":{},"layers":[]}', mediatype.OCI_INDEX),
    "no list": (b'{"schemaVersion":2,"manifests":{}}', mediatype.OCI_INDEX),
}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_referrers_that_is_none_ends_the_export(page: str, crossing: Crossing) -> None:
    image = crossing.signed_image()
    crossing.here.answer_with(f"/v2/team/app/referrers/{image.root.digest}", *PAGES[page])
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json")
    assert (done.exit, done.code) == (7, "registry.protocol")


def test_a_tag_of_signatures_whose_bytes_are_not_its_digest_ends_the_export(crossing: Crossing) -> None:
    """Checklist 4: content type, the stated digest and our own hash agree."""
    image = crossing.signed_image()
    sig_manifest = crossing.content.tags[f"{image.root.digest.tag}.sig"]
    answer = sig_manifest.raw.replace(b"simplesigning", b"simplesigninG")
    crossing.here.answer_with(
        f"/v2/team/app/manifests/{image.root.digest.tag}.sig", answer, mediatype.OCI_MANIFEST, digest=str(sig_manifest.digest)
    )
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json")
    assert (done.exit, done.code) == (7, "registry.protocol")


def test_a_body_that_is_cut_is_asked_for_again_and_ends_the_export_in_the_end(crossing: Crossing, quick: None) -> None:
    image: Image = crossing.signed_image()
    crossing.here.cut(f"/v2/team/app/manifests/{image.root.digest.tag}.sig")
    done = run("export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--allow-unsigned", "--json")
    assert (done.exit, done.code) == (7, "registry.unreachable")
    assert sum(line.endswith(f"{image.root.digest.tag}.sig") for line in crossing.here.asked) > 2
