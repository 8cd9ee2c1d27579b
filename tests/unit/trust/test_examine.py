"""One piece of evidence: what it may cost, what it lacks, and what is said where it is nobody's."""

import json
from dataclasses import replace

import pytest

from bundler.oci import mediatype
from bundler.oci.lookup import Form
from bundler.trust import trusttoml
from bundler.trust.evidence import Evidence
from bundler.trust.examine import Effort, effort
from tests.support.signing import (
    OTHER,
    P256,
    SPDX,
    THIRD,
    Scene,
    att,
    bundle,
    codes,
    envelope,
    message,
    payload,
    policy,
    rule,
    signed,
    statement,
    toml,
)
from tests.support.world import IDENTITY, ISSUER, World, canonical


def piece_of(scene: Scene, form: Form) -> Evidence:
    (found,) = [piece for piece in scene.evidence if piece.form is form]
    return found


def test_what_a_piece_may_cost_is_known_before_it_is_judged() -> None:
    """As many verifications as signers, over its layer and what it is about; nothing where nothing is verified."""
    scene = Scene.of_image()
    scene.content.sig(scene.root.digest, signed(scene.root))
    scene.content.sbom(scene.root.digest, b"SPDXVersion: SPDX-2.3")
    (asked,) = policy(rule(P256, OTHER, threshold=1)).rules
    piece, text = piece_of(scene, Form.SIG), piece_of(scene, Form.SBOM)
    assert piece.layer is not None
    of_layer, of_root = (piece.layer.digest, piece.layer.size), (scene.root.digest, len(scene.root.raw))
    assert effort(asked, scene.image, piece) == Effort(2, (of_layer, of_root))
    assert effort(asked, replace(scene.image, documents={}), piece) == Effort(2, (of_layer,))
    assert effort(asked, scene.image, replace(piece, payload=None)) == Effort(0, ())
    assert effort(asked, scene.image, text) == Effort(0, ())
    assert effort(asked, scene.image, replace(piece, layer=None, payload=None)) == Effort(0, ())


def test_a_signature_that_lacks_an_annotation_of_the_rule_does_not_count() -> None:
    scene = Scene.of_image()
    scene.content.sig(scene.root.digest, signed(scene.root))
    verdict = scene.judge(policy(rule(P256, annotations={"build": "7"})))
    assert [str(code) for code in verdict.reasons] == ["policy.threshold", "payload.annotations"]
    assert verdict.signers == ()


def test_an_attestation_that_is_one_of_two_of_its_type_counts_as_that_one() -> None:
    scene = Scene.of_image()
    scene.content.att(scene.root.digest, att(scene.root))
    wanted = {"type": SPDX, "where": {"name": "app"}}
    other = {"type": SPDX, "where": {"name": "other"}}
    verdict = scene.judge(policy(rule(P256, threshold=0, attestations=[wanted, other])))
    assert [str(code) for code in verdict.reasons] == ["policy.attestation", "intoto.predicate"]
    assert [check.code is None for check in verdict.checks if check.subject == scene.root.digest] == [True, False]


def test_an_altered_signature_whose_hint_is_one_of_the_pinned_keys_is_altered() -> None:
    for keys, said in (((OTHER, P256), set()), ((OTHER, THIRD), {"key.unknown"})):
        scene = Scene.of_image()
        scene.add(bundle(message(scene.root, OTHER, signature="AAAA")))  # the hint is of P256
        assert codes(scene.judge(policy(rule(*keys, threshold=1)))) == {"policy.threshold", "signature.invalid"} | said


def test_a_signature_by_a_key_where_an_identity_is_pinned_is_of_another_kind_and_not_by_an_unknown_key() -> None:
    scene = Scene.of_image()
    scene.content.sig(scene.root.digest, signed(scene.root))
    signer = {"issuer": ISSUER, "identity": IDENTITY, "root": "world"}
    text = toml({"scope": "**", "signer": [signer]}) + b'\n[[root]]\nname = "world"\nfile = "root.json"\n'
    asked = trusttoml.parse(text, {"root.json": canonical(World().root_json())})
    assert codes(scene.judge(asked)) == {"policy.threshold", "bundle.material"}


def test_evidence_of_a_kind_that_is_not_named_is_not_taken_for_notation() -> None:
    scene = Scene.of_image()
    scene.content.sbom(scene.root.digest, b"SPDXVersion: SPDX-2.3", mediatype.NOTATION)
    assert codes(scene.judge(policy(rule(P256)))) == {"policy.threshold", "signature.missing"}


def test_who_may_only_attest_does_not_sign() -> None:
    scene = Scene.of_image()
    scene.content.sig(scene.root.digest, signed(scene.root, OTHER))
    scene.content.att(scene.root.digest, att(scene.root, OTHER))
    wanted = {"type": SPDX, "signer": rule(OTHER)["signer"]}
    verdict = scene.judge(policy(rule(P256, attestations=[wanted])))
    assert [str(code) for code in verdict.reasons] == ["policy.threshold"]
    scene.content.sig(scene.root.digest, signed(scene.root, P256))
    assert scene.judge(policy(rule(P256, attestations=[wanted]))).passed


def test_an_attestation_bears_no_annotations_and_lacks_none() -> None:
    scene = Scene.of_image()
    raw = payload(scene.root).replace(b'"optional":null', b'"optional":{"build":"7"}')
    scene.content.sig(scene.root.digest, (raw, P256.sign(raw)))
    scene.content.att(scene.root.digest, att(scene.root))
    verdict = scene.judge(policy(rule(P256, annotations={"build": "7"}, attestations=[SPDX])))
    assert verdict.passed
    assert codes(verdict) == set()


@pytest.mark.parametrize(
    ("place", "value", "found"),
    [
        ("inner.place", "app", {"inner": {"place": "app"}}),
        ("count", 1, {"count": 1}),
        ("fine", True, {"fine": True}),
    ],
)
def test_a_predicate_has_each_value_in_its_place_and_of_its_type(place: str, value: object, found: dict[str, object]) -> None:
    def reasons(predicate: object) -> list[str]:
        scene = Scene.of_image()
        made = statement(scene.root, predicate=predicate)
        scene.content.att(scene.root.digest, json.dumps(envelope(made, P256)).encode())
        wanted = {"type": SPDX, "where": {place: value}}
        return [str(code) for code in scene.judge(policy(rule(P256, threshold=0, attestations=[wanted]))).reasons]

    assert reasons(found) == []
    for other in (
        {},
        None,
        "app",
        [found],
        {"inner": "app"},
        {"inner": ["app"]},
        {"count": True},
        {"count": 1.0},
        {"fine": 1},
        {"fine": "1"},
    ):
        assert reasons(other) == ["policy.attestation", "intoto.predicate"], other
