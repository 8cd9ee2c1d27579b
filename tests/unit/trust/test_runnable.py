"""What enters beside an image: what is proven to be evidence, and nothing else without a signature of its own."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document
from bundler.trust.evidence import MAX_EVIDENCE
from bundler.trust.proven import attestations
from bundler.trust.verdict import Outcome, Verdict
from tests.support.layouts import LAYER, Content
from tests.support.signing import P256, SPDX, Scene, att, bundle, codes, dsse, message, policy, rule, signed, statement

RULE = policy(rule(P256))
SBOM = b'{"spdxVersion": "SPDX-2.3"}'


@pytest.fixture
def scene() -> Scene:
    """An image that passes."""
    made = Scene.of_image()
    made.content.sig(made.root.digest, signed(made.root))
    return made


def artifact(scene: Scene, layers: list[Descriptor], *, config: str = mediatype.OCI_CONFIG, subject: Document | None = None) -> Document:
    """A referrer to the image with these layers."""
    return scene.content.manifest(scene.content.blob(b"{}", config), layers, subject=subject or scene.root)


def text(scene: Scene, media_type: str, data: bytes = SBOM) -> Descriptor:
    return scene.content.blob(data, media_type)


def unsigned(verdict: Verdict) -> list[str]:
    return [str(check.code) for check in verdict.checks if check.outcome is Outcome.UNSIGNED]


def test_all_that_was_found_and_could_not_be_run_enters(scene: Scene) -> None:
    content, root = scene.content, scene.root
    evidence = [
        content.tags[f"{root.digest.tag}.sig"],
        content.att(root.digest, att(root), b"no envelope"),
        content.sbom(root.digest, SBOM),
        scene.add(bundle(dsse(root))),
        content.notation(root, b"{}"),
        content.artifact(b"Of a type that nobody knows.\n", "application/vnd.example.thing", subject=root),
        artifact(scene, [text(scene, "application/vnd.in-toto+json"), text(scene, "application/vnd.cyclonedx+json")]),
        artifact(scene, []),
        artifact(scene, [text(scene, LAYER, b"text, whatever its type says")], config="application/vnd.example.config.v1+json"),
    ]
    verdict = scene.judge(RULE)
    assert verdict.passed
    assert verdict.admitted == {document.digest for document in evidence}


def test_what_is_about_evidence_enters_too_and_so_on(scene: Scene) -> None:
    sbom = scene.content.sbom(scene.root.digest, SBOM)
    about = scene.content.sig(sbom.digest, signed(sbom))
    about_that = scene.add(bundle(message(about)), about)
    assert {sbom.digest, about.digest, about_that.digest} <= scene.judge(RULE).admitted


def test_what_is_about_a_platform_enters() -> None:
    scene = Scene.of_index()
    scene.content.sig(scene.root.digest, signed(scene.root))
    sbom = scene.content.sbom(scene.platforms[1].digest, SBOM)
    assert sbom.digest in scene.judge(RULE).admitted


def test_a_refused_image_brings_nothing(scene: Scene) -> None:
    assert scene.judge(policy(rule(P256, attestations=[SPDX]))).admitted == frozenset()


RUNNABLE: dict[str, Callable[[Scene], Document]] = {
    "an image": lambda scene: artifact(scene, [scene.content.layer("evil")]),
    "an image in docker's words": lambda scene: artifact(scene, [scene.content.layer("evil")], config=mediatype.DOCKER_CONFIG),
    "an image whose config is of another type": lambda scene: artifact(scene, [scene.content.layer("evil")], config="text/html"),
    "an artifact that holds something binary": lambda scene: scene.content.artifact(b"\0", "application/vnd.x.y", subject=scene.root),
    "a layer that is not carried": lambda scene: artifact(scene, [scene.content.image(foreign=True).blobs[-1]]),
    "a known type that holds no text": lambda scene: artifact(scene, [text(scene, "text/spdx", b"ustar\0")]),
    "one layer among many": lambda scene: artifact(
        scene, [text(scene, "text/spdx"), scene.content.layer("evil"), text(scene, "text/spdx")]
    ),
    "a text under a config that names another image's layer": lambda scene: scene.content.manifest(
        next(blob for blob in scene.root.blobs if blob.media_type == mediatype.OCI_CONFIG), [text(scene, "text/spdx")], subject=scene.root
    ),
    "an index": lambda scene: scene.content.index("evil", subject=scene.root),
    "an empty index": lambda scene: scene.content.index(children=[], subject=scene.root),
}


@pytest.mark.parametrize("make", RUNNABLE.values(), ids=RUNNABLE)
def test_what_could_be_run_does_not_enter_and_is_said_and_refuses_nothing(scene: Scene, make: Callable[[Scene], Document]) -> None:
    evil = make(scene)
    verdict = scene.judge(RULE)
    assert verdict.passed
    assert codes(verdict) == {"evidence.runnable"}
    assert evil.digest not in verdict.admitted
    assert [check.subject for check in verdict.checks if str(check.code) == "evidence.runnable"] == [evil.digest]


@pytest.mark.parametrize("form", [Form.SIG, Form.ATT, Form.SBOM])
def test_it_does_not_enter_by_a_tag_either(scene: Scene, form: Form) -> None:
    evil = scene.content.image("evil")
    scene.content.tags[f"{scene.root.digest.tag}.{form}"] = evil
    verdict = scene.judge(
        RULE, [*scene.evidence, *scene.pieces(scene.root.digest, Form.SIG, scene.content.sig(scene.root.digest, signed(scene.root)))]
    )
    assert verdict.passed
    assert evil.digest not in verdict.admitted


def test_a_layer_that_nobody_has_read_is_not_proven(scene: Scene) -> None:
    artifact(scene, [text(scene, "text/spdx"), text(scene, "application/vnd.cyclonedx+json", b"<bom/>")])
    whole = [piece for piece in scene.evidence if piece.form is Form.REFERRER]
    rest = [piece for piece in scene.evidence if piece.form is not Form.REFERRER]
    assert codes(scene.judge(RULE, [*rest, *whole])) == set()
    assert codes(scene.judge(RULE, [*rest, *whole[:1]])) == {"evidence.runnable"}


def test_what_could_be_run_enters_if_it_is_signed_as_an_image_itself(scene: Scene) -> None:
    tool = artifact(scene, [scene.content.layer("tool")])
    own = scene.content.sig(tool.digest, signed(tool))
    verdict = scene.judge(RULE)
    assert verdict.passed
    assert codes(verdict) == set()
    assert {tool.digest, own.digest} <= verdict.admitted


def test_it_is_judged_by_the_same_rule_in_full(scene: Scene) -> None:
    """By name, node, threshold and attestations, as REPO@digest."""
    asked = policy(rule(P256, node="both", name="signed", attestations=[SPDX]))
    scene.content.att(scene.root.digest, att(scene.root))
    index = scene.content.index("tool", subject=scene.root)
    children = [scene.content.documents[child.digest] for child in index.children]
    for document in (index, *children):
        assert codes(scene.judge(asked)) == {"evidence.runnable"}
        scene.content.sig(document.digest, signed(document))
        assert codes(scene.judge(asked)) == {"evidence.runnable"}
        scene.content.att(document.digest, att(document))
    verdict = scene.judge(asked)
    assert codes(verdict) == set()
    assert index.digest in verdict.admitted


def runnable_signature(scene: Scene, subject: Document) -> Document:
    """A manifest with a good signature of ``subject`` that is also an image."""
    raw = json.dumps(bundle(dsse(subject))).encode()
    layers = [scene.content.blob(raw, mediatype.SIGSTORE_BUNDLE_V03), scene.content.layer(f"evil beside {subject.digest}")]
    return artifact(scene, layers, subject=subject)


def test_a_signature_in_something_that_could_be_run_is_no_evidence() -> None:
    """It would not enter, and the image would stand there unsigned."""
    scene = Scene.of_image()
    runnable_signature(scene, scene.root)
    verdict = scene.judge(RULE)
    assert [str(code) for code in verdict.reasons] == ["policy.threshold", "evidence.runnable"]
    assert verdict.signers == ()


def test_it_is_evidence_once_it_is_signed_itself() -> None:
    scene = Scene.of_image()
    carrier = runnable_signature(scene, scene.root)
    scene.content.sig(carrier.digest, signed(carrier))
    verdict = scene.judge(RULE)
    assert verdict.passed
    assert carrier.digest in verdict.admitted


def test_things_that_could_be_run_stand_in_a_row_on_the_last_that_could_not() -> None:
    scene = Scene.of_image()
    carrier = runnable_signature(scene, scene.root)
    next_carrier = runnable_signature(scene, carrier)
    assert not scene.judge(RULE).passed
    scene.content.sig(next_carrier.digest, signed(next_carrier))
    verdict = scene.judge(RULE)
    assert verdict.passed
    assert {carrier.digest, next_carrier.digest} <= verdict.admitted


def test_evidence_about_what_does_not_enter_does_not_enter(scene: Scene) -> None:
    evil = artifact(scene, [scene.content.layer("evil")])
    scene.content.sbom(evil.digest, SBOM)
    assert scene.judge(RULE).admitted == {scene.content.tags[f"{scene.root.digest.tag}.sig"].digest}


def test_a_referrer_to_another_manifest_does_not_enter(scene: Scene) -> None:
    """Pushed, it would be that one's."""
    other = scene.content.image("another")
    stray = scene.content.artifact(SBOM, "application/spdx+json", subject=other)
    verdict = scene.judge(RULE, [*scene.evidence, *scene.pieces(scene.root.digest, Form.REFERRER, stray)])
    assert verdict.passed
    assert stray.digest not in verdict.admitted
    assert codes(verdict) == {"carrier.subject"}


@pytest.mark.parametrize("form", [Form.SIG, Form.ATT, Form.SBOM])
def test_what_was_found_by_a_tag_and_refers_to_another_manifest_does_not_enter(scene: Scene, form: Form) -> None:
    """Pushed, it would be that one's; and no signature in it counts."""
    evidence = scene.evidence
    other = scene.content.image("another")
    carrier = scene.content.artifact(json.dumps(bundle(message(scene.root))).encode(), mediatype.SIGSTORE_BUNDLE_V03, subject=other)
    verdict = scene.judge(RULE, [*evidence, *scene.pieces(scene.root.digest, form, carrier)])
    assert verdict.passed
    assert carrier.digest not in verdict.admitted
    assert codes(verdict) == {"carrier.subject"}
    assert not scene.judge(RULE, scene.pieces(scene.root.digest, form, carrier)).passed


def test_what_was_found_by_a_tag_and_refers_to_the_same_manifest_enters(scene: Scene) -> None:
    carrier = scene.content.artifact(SBOM, "application/spdx+json", subject=scene.root)
    scene.content.tags[f"{scene.root.digest.tag}.sbom"] = carrier
    verdict = scene.judge(RULE)
    assert carrier.digest in verdict.admitted
    assert codes(verdict) == set()


# --- which manifests below an index need no signature of their own ---


def buildkit(
    scene: Scene,
    *,
    listed: dict[str, object] | None = None,
    annotations: dict[str, str] | None = None,
    layers: list[bytes] | None = None,
    again: bool = False,
) -> Verdict:
    """An index of a signed platform and an attestation of it, of which ``listed`` and ``layers`` change what is said."""
    image = scene.content.image("platform")
    scene.content.sig(image.digest, signed(image))
    payloads = [about(image)] if layers is None else layers
    beside = scene.content.manifest(
        scene.content.blob(b"{}"), [scene.content.blob(each, "application/vnd.in-toto+json") for each in payloads]
    )
    said = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": str(image.digest)}
    unknown = {"architecture": "unknown", "os": "unknown"}
    told = beside.descriptor.to_json() | {"annotations": said | (annotations or {}), "platform": unknown} | (listed or {})
    children = [image.descriptor.to_json() | {"platform": {"architecture": "amd64", "os": "linux"}}, told]
    children += [beside.descriptor.to_json()] if again else []
    scene.root = scene.content.document({"mediaType": mediatype.OCI_INDEX, "manifests": children})
    return scene.judge(policy(rule(P256, node="platforms")))


def about(document: Document) -> bytes:
    return statement(document)


def test_an_attestation_of_a_sibling_needs_no_signature(scene: Scene) -> None:
    assert buildkit(scene).passed


OTHERWISE: dict[str, dict[str, Any]] = {
    "of a platform that something runs on": {"listed": {"platform": {"architecture": "amd64", "os": "linux"}}},
    "of no platform": {"listed": {"platform": None}},
    "without the annotations": {"listed": {"annotations": {}}},
    "of another type": {"annotations": {"vnd.docker.reference.type": "other"}},
    "of nothing that stands beside it": {"annotations": {"vnd.docker.reference.digest": "sha256:" + "0" * 64}},
    "listed once more as something else": {"again": True},
    "without layers": {"layers": []},
    "that holds JSON": {"layers": [b"{}"]},
    "that holds text": {"layers": [b"text"]},
    "that holds a tar": {"layers": [b"ustar\0"]},
    "that holds what is not text": {"layers": [about(Content().image("platform")).replace(b"app", b"a\x7fp")]},
    "about another manifest": {"layers": [about(Scene.of_index().root)]},
}


@pytest.mark.parametrize("changed", OTHERWISE.values(), ids=OTHERWISE)
def test_what_is_not_wholly_an_attestation_of_a_sibling_must_be_signed(scene: Scene, changed: dict[str, Any]) -> None:
    verdict = buildkit(scene, **changed)
    assert not verdict.passed
    assert [str(code) for code in verdict.reasons] == ["policy.threshold", "signature.missing"]


def test_an_attestation_of_an_attestation_must_be_signed(scene: Scene) -> None:
    image = scene.content.image("platform")
    scene.content.sig(image.digest, signed(image))
    unknown = {"platform": {"architecture": "unknown", "os": "unknown"}}
    children = [image.descriptor.to_json()]
    of = image
    for _ in range(2):
        beside = scene.content.manifest(scene.content.blob(b"{}"), [scene.content.blob(about(of), "application/vnd.in-toto+json")])
        said = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": str(of.digest)}
        children.append(beside.descriptor.to_json() | {"annotations": said} | unknown)
        of = beside
    scene.root = scene.content.document({"mediaType": mediatype.OCI_INDEX, "manifests": children})
    assert not scene.judge(policy(rule(P256, node="platforms"))).passed


def test_what_is_not_carried_and_what_is_too_large_to_read_states_nothing() -> None:
    scene = Scene.of_index()
    scene.root = scene.content.with_buildkit()
    documents = dict(scene.content.documents)
    of, other = (documents[child.digest] for child in scene.root.children[2:])
    read = scene.content.blobs.get

    def found(without: Digest | None = None) -> frozenset[Digest]:
        kept = {digest: document for digest, document in documents.items() if digest != without}
        return attestations(kept, scene.root.digest, lambda layer: read(layer.digest))

    assert found() == {of.digest, other.digest}
    assert found(without=of.digest) == {other.digest}
    assert found(without=scene.root.children[0].digest) == {other.digest}
    assert attestations(documents, scene.root.digest, lambda _: None) == frozenset()
    assert attestations(documents | {of.digest: scene.root}, scene.root.digest, lambda layer: read(layer.digest)) == {other.digest}
    payload = about(documents[scene.root.children[0].digest])
    for more, wanted in ((0, {of.digest}), (1, frozenset())):
        large = payload + b" " * (MAX_EVIDENCE + more - len(payload))
        layer = Descriptor("x/y", Digest.of(large), len(large))
        beside = scene.content.manifest(scene.content.blob(b"{}"), [layer])
        swapped = documents | {of.digest: Document(beside.raw, of.descriptor, beside.content)}
        assert attestations(swapped, scene.root.digest, dict.fromkeys([layer], large).get) == wanted


def test_an_attestation_whose_config_names_layers_of_others_must_be_signed(scene: Scene) -> None:
    image = scene.content.image("platform")
    scene.content.sig(image.digest, signed(image))
    beside = scene.content.manifest(image.blobs[0], [scene.content.blob(about(image), "application/vnd.in-toto+json")])
    assert not buildkit(scene, listed=beside.descriptor.to_json()).passed


def test_each_layer_of_an_attestation_must_be_a_statement(scene: Scene) -> None:
    assert buildkit(scene, layers=[about(scene.content.image("platform"))] * 2).passed
    assert not buildkit(scene, layers=[about(scene.content.image("platform")), b"text"]).passed


@pytest.mark.parametrize("config", ["application/octet-stream", mediatype.EMPTY, "text/html", mediatype.OCI_CONFIG])
def test_a_child_is_a_platform_whatever_its_config_is(scene: Scene, config: str) -> None:
    """docker, containerd and podman run it."""
    good = scene.content.image("good")
    scene.content.sig(good.digest, signed(good))
    evil = scene.content.manifest(scene.content.blob(b"{}", config), [scene.content.layer("evil")], media_type=mediatype.DOCKER_MANIFEST)
    scene.root = scene.content.index(children=[evil, good])
    verdict = scene.judge(policy(rule(P256, node="platforms")))
    assert [str(code) for code in verdict.reasons] == ["policy.threshold", "signature.missing"]


def test_what_is_below_an_index_that_enters_counts_as_there(scene: Scene) -> None:
    index = scene.content.index("tool", subject=scene.root)
    scene.content.sig(index.digest, signed(index))
    child = scene.content.documents[index.children[0].digest]
    about = scene.content.sbom(child.digest, SBOM)
    assert {index.digest, about.digest} <= scene.judge(RULE).admitted


# --- what nobody signed ---


def test_a3_1_an_sbom_is_unsigned_until_its_manifest_is_signed(scene: Scene) -> None:
    sbom = scene.content.sbom(scene.root.digest, SBOM)
    assert unsigned(scene.judge(RULE)) == ["evidence.unsigned"]
    scene.content.sig(sbom.digest, signed(sbom))
    verdict = scene.judge(RULE)
    assert unsigned(verdict) == []
    assert [check.outcome for check in verdict.checks if check.subject == sbom.digest] == [Outcome.PASSED]


def test_an_sbom_is_signed_by_as_many_as_an_image_is(scene: Scene) -> None:
    asked = policy(rule(P256, threshold=0, attestations=[SPDX]))
    scene.content.att(scene.root.digest, att(scene.root))
    sbom = scene.content.sbom(scene.root.digest, SBOM)
    assert unsigned(scene.judge(asked)) == ["evidence.unsigned"]
    scene.content.att(sbom.digest, att(sbom))
    assert unsigned(scene.judge(asked)) == ["evidence.unsigned"]
    scene.content.sig(sbom.digest, signed(sbom))
    assert unsigned(scene.judge(asked)) == []


def test_a_signature_of_an_sbom_names_the_repository_too_where_that_is_asked(scene: Scene) -> None:
    sbom = scene.content.sbom(scene.root.digest, SBOM)
    scene.content.sig(sbom.digest, signed(sbom, reference="other.example/app"))
    assert unsigned(scene.judge(RULE)) == []
    assert unsigned(scene.judge(policy(rule(P256, name="signed")))) == ["evidence.unsigned"]


def test_what_is_bad_stays_bad_in_a_manifest_that_is_signed(scene: Scene) -> None:
    bad = scene.add({"mediaType": 1})
    scene.content.sig(bad.digest, signed(bad))
    assert codes(scene.judge(RULE)) == {"bundle.malformed"}


def test_an_unsigned_sbom_in_a_large_layer_is_unsigned_and_enters(scene: Scene) -> None:
    """Nothing in it is read."""
    sbom = scene.content.sbom(scene.root.digest, b" " * ((16 << 20) + 1))
    verdict = scene.judge(RULE)
    assert unsigned(verdict) == ["evidence.unsigned"]
    assert sbom.digest in verdict.admitted


# --- whose evidence it is ---


def test_what_was_found_as_a_referrer_and_has_no_subject_does_not_enter(scene: Scene) -> None:
    """Pushed, it would be nobody's."""
    stray = scene.content.manifest(scene.content.blob(b"{}"), [text(scene, "application/spdx+json")])
    verdict = scene.judge(RULE, [*scene.evidence, *scene.pieces(scene.root.digest, Form.REFERRER, stray)])
    assert verdict.passed
    assert stray.digest not in verdict.admitted
    assert codes(verdict) == {"carrier.subject"}


def test_an_attestation_that_is_listed_for_two_siblings_and_is_about_one_must_be_signed() -> None:
    content = Content()
    images = [content.image(name) for name in ("first", "second")]
    beside = content.manifest(content.blob(b"{}"), [content.blob(about(images[0]), "application/vnd.in-toto+json")])

    def found(*siblings: Document) -> frozenset[Digest]:
        said = [{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": str(of.digest)} for of in siblings]
        unknown = {"platform": {"architecture": "unknown", "os": "unknown"}}
        listed = [beside.descriptor.to_json() | {"annotations": each} | unknown for each in said]
        children = [*(image.descriptor.to_json() for image in images), *listed]
        root = content.document({"mediaType": mediatype.OCI_INDEX, "manifests": children})
        return attestations(content.documents, root.digest, lambda layer: content.blobs.get(layer.digest))

    assert found(images[0]) == {beside.digest}
    assert found(images[0], images[1]) == frozenset()
    assert found(images[1], images[0]) == frozenset()


def test_a_layer_that_is_too_large_for_a_statement_is_not_read() -> None:
    content = Content()
    image = content.image("platform")
    asked: list[int] = []

    def nothing(layer: Descriptor) -> None:
        asked.append(layer.size)

    for size in (MAX_EVIDENCE, MAX_EVIDENCE + 1):
        beside = content.manifest(content.blob(b"{}"), [Descriptor("x/y", Digest.of(b"%d" % size), size)])
        said = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": str(image.digest)}
        told = beside.descriptor.to_json() | {"annotations": said, "platform": {"architecture": "unknown", "os": "unknown"}}
        root = content.document({"mediaType": mediatype.OCI_INDEX, "manifests": [image.descriptor.to_json(), told]})
        assert attestations(content.documents, root.digest, nothing) == frozenset()
    assert asked == [MAX_EVIDENCE]
