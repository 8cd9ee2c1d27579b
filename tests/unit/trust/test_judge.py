"""The verdict on an image (SIG cases of docs/hostile-cases.md)."""

import base64
import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from bundler.errors import Code, TrustError
from bundler.oci import mediatype
from bundler.oci.lookup import Form
from bundler.oci.reference import Reference
from bundler.trust.evidence import MAX_EVIDENCE, Evidence, Image
from bundler.trust.examine import Finding, Whose, examine
from bundler.trust.judge import MAX_PIECES, judge
from bundler.trust.keysigner import PinnedKey
from bundler.trust.policy import Policy, Rule
from bundler.trust.scope import Scope
from bundler.trust.signer import SignerEntry, SignerProof
from bundler.trust.unverified import UnverifiedSignature
from bundler.trust.verdict import Outcome, Verdict
from tests.support.layouts import Content
from tests.support.signing import (
    AT,
    EXPORTER,
    OTHER,
    P256,
    REPOSITORY,
    SIGN,
    SLSA,
    SPDX,
    THIRD,
    V01,
    V02,
    V03,
    V03_NEW,
    Key,
    Scene,
    att,
    b64,
    bundle,
    codes,
    dsse,
    envelope,
    message,
    passed,
    payload,
    policy,
    rule,
    seal,
    signed,
    statement,
)

KINDS = ["p256", "p384", "p521", "rsa2048", "rsa3072", "ed25519", "mldsa44", "mldsa65", "mldsa87"]
CERTIFICATE = {"rawBytes": b64(b"certificate")}
RULE = policy(rule(P256))


@pytest.fixture
def image() -> Scene:
    return Scene.of_image()


@pytest.fixture
def index() -> Scene:
    return Scene.of_index()


def reasons(verdict: Verdict) -> list[str]:
    return [str(code) for code in verdict.reasons]


# --- one signature, in each form, by each kind of key ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_sig_by_a_pinned_key_admits_an_image(image: Scene, kind: str) -> None:
    image.content.sig(image.root.digest, signed(image.root, Key.of(kind)))
    verdict = image.judge(policy(rule(Key.of(kind))))
    assert verdict.passed
    assert verdict.reasons == ()
    assert verdict.rule == "registry.example/**"
    assert [signer.to_json() for signer in verdict.signers] == [
        {"kind": "key", "id": Key.of(kind).fingerprint, "name": None, "form": "sig", "node": str(image.root.digest)}
    ]


def test_what_a_rule_asks_for_is_told_from_what_else_was_seen(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    image.content.att(image.root.digest, att(image.root), att(image.root, predicate_type=SLSA))
    verdict = image.judge(policy(rule(P256, attestations=[SPDX])))
    assert [check.name for check in verdict.checks if check.required] == ["threshold", "attestation"]
    seen = [(check.name, check.signer, check.under) for check in verdict.checks if check.signer is not None]
    assert sorted(seen) == [(name, P256.fingerprint, None) for name in ("attestation", "attestation", "signature")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_sigstore_bundle_by_a_pinned_key_admits_an_image(image: Scene, kind: str) -> None:
    image.add(bundle(dsse(image.root, Key.of(kind)), Key.of(kind)))
    verdict = image.judge(policy(rule(Key.of(kind))))
    assert verdict.passed
    assert [signer.form for signer in verdict.signers] == ["bundle"]


def test_ed25519ph_admits_as_cosign_3_signs(image: Scene) -> None:
    key = Key.of("ed25519")
    image.add(bundle(dsse(image.root, key, sign=Key.sign_prehashed), key))
    assert image.judge(policy(rule(key))).passed


@pytest.mark.parametrize("media_type", [V01, V02, V03, V03_NEW])
@pytest.mark.parametrize("content", [message, dsse])
def test_bundles_of_every_version_and_content_are_signatures(image: Scene, media_type: str, content: Any) -> None:
    image.add(bundle(content(image.root), media_type=media_type))
    assert image.judge(RULE).passed


def test_remarks_on_keys_are_made_beside_what_passed(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root, Key.of("rsa2048")), signed(image.root, Key.of("p384")))
    verdict = image.judge(policy(rule(Key.of("rsa2048"), Key.of("p384"), threshold=2)))
    assert verdict.passed
    assert {"key.weak", "key.legacy-hash"} <= codes(verdict, Outcome.PASSED)


def wrapped(data: bytes) -> str:
    """As openssl and coreutils write base64."""
    return "\r\n".join(base64.encodebytes(data).decode().split())


def wrapped_sig(scene: Scene) -> None:
    raw, signature = signed(scene.root)
    layer = scene.content.blob(raw, mediatype.SIMPLE_SIGNING).to_json()
    told = layer | {"annotations": {"dev.cosignproject.cosign/signature": wrapped(signature) + "\n"}}
    config = scene.content.blob(b"{}", mediatype.EMPTY).to_json()
    members = {"mediaType": mediatype.OCI_MANIFEST, "config": config, "layers": [told], "subject": scene.root.descriptor.to_json()}
    scene.content.document(members)


def wrapped_envelope(scene: Scene) -> None:
    made = dsse(scene.root)["dsseEnvelope"]
    made = made | {"payload": wrapped(base64.b64decode(made["payload"]))}
    scene.add(bundle({"dsseEnvelope": made}))


@pytest.mark.parametrize("add", [wrapped_sig, wrapped_envelope])
def test_base64_that_is_wrapped_counts_and_is_remarked(image: Scene, add: Callable[[Scene], None]) -> None:
    add(image)
    verdict = image.judge(RULE)
    assert verdict.passed
    assert "signature.wrapped" in codes(verdict, Outcome.PASSED)


def test_a_wrapped_attestation_counts_and_is_remarked(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    made = envelope(statement(image.root), P256)
    made["signatures"] = [{"sig": wrapped(base64.b64decode(made["signatures"][0]["sig"]))}]
    image.content.att(image.root.digest, json.dumps(made).encode())
    verdict = image.judge(policy(rule(P256, attestations=[{"type": SPDX}])))
    assert verdict.passed
    assert "signature.wrapped" in codes(verdict, Outcome.PASSED)


def test_what_is_not_wrapped_is_not_remarked(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    assert "signature.wrapped" not in codes(image.judge(RULE), Outcome.PASSED)


def test_an_old_payload_found_as_a_referrer_counts(image: Scene) -> None:
    raw, signature = signed(image.root)
    layer = image.content.blob(raw, mediatype.SIMPLE_SIGNING)
    told = layer.to_json() | {"annotations": {"dev.cosignproject.cosign/signature": b64(signature)}}
    config = image.content.blob(b"{}", "application/vnd.dev.cosign.artifact.sig.v1+json").to_json()
    image.content.document(
        {"mediaType": mediatype.OCI_MANIFEST, "config": config, "layers": [told], "subject": image.root.descriptor.to_json()}
    )
    assert image.judge(RULE).passed


# --- what is no signature ---


def test_sig_001_nothing_signed_is_missing(image: Scene) -> None:
    assert reasons(image.judge(RULE)) == ["policy.threshold", "signature.missing"]


def test_a_signature_of_no_layer_is_none(image: Scene) -> None:
    """Notation's media type says nothing where there is nothing of it."""
    image.content.manifest(image.content.blob(b"{}", mediatype.EMPTY), [], artifact_type=mediatype.NOTATION, subject=image.root)
    verdict = image.judge(RULE)
    assert reasons(verdict) == ["policy.threshold", "signature.missing"]
    assert codes(verdict, Outcome.UNSIGNED) == {"evidence.unsigned"}


def test_of_what_is_no_signature_the_type_is_told(image: Scene) -> None:
    image.content.artifact(b"{}", "application/vnd.example.kind", layer_type="application/vnd.example.layer", subject=image.root)
    (check,) = [check for check in image.judge(RULE).checks if check.outcome is Outcome.UNSIGNED]
    assert check.detail == "application/vnd.example.layer, which holds no signature"


def test_checks_are_told_as_data(image: Scene) -> None:
    told = {"name": "threshold", "subject": str(image.root.digest), "spec": "trust.toml"}
    (check, _) = image.judge(RULE).checks
    detail = "signed by 0, wanted 1 of the rule's 1 signers"
    assert check.to_json() == told | {"outcome": "failed", "code": "policy.threshold", "detail": detail}
    image.content.sig(image.root.digest, signed(image.root))
    (check, _) = image.judge(RULE).checks
    detail = "signed by 1, wanted 1 of the rule's 1 signers"
    assert check.to_json() == told | {"outcome": "passed", "code": None, "detail": detail}


def test_a_rule_is_asked_for_first(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    verdict = image.judge(policy(rule(P256, scope="other.example/**")))
    assert (reasons(verdict), verdict.rule, verdict.admitted) == (["policy.no-match"], None, frozenset())


def test_sig_002_another_key_is_unknown(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root, OTHER))
    verdict = image.judge(RULE)
    assert reasons(verdict) == ["policy.threshold", "key.unknown", "signature.invalid"]
    assert verdict.signers == ()


def test_sig_003_a_changed_signature_is_invalid(image: Scene) -> None:
    raw, signature = signed(image.root)
    image.content.sig(image.root.digest, (raw, signature[:-1] + bytes([signature[-1] ^ 1])))
    assert reasons(image.judge(RULE))[0] == "policy.threshold"
    assert "signature.invalid" in reasons(image.judge(RULE))


def test_sig_005_a_changed_payload_is_not_parsed(image: Scene) -> None:
    """G-8: payload.type would be the code if it were."""
    _, signature = signed(image.root)
    image.content.sig(image.root.digest, (payload(image.root, kind="else"), signature))
    assert reasons(image.judge(RULE)) == ["policy.threshold", "key.unknown", "signature.invalid"]


def test_a_hint_at_a_pinned_key_makes_a_bad_signature_altered(image: Scene) -> None:
    made = bundle(dsse(image.root, OTHER), P256)
    image.add(made)
    assert reasons(image.judge(RULE)) == ["policy.threshold", "signature.invalid"]


def test_a_hint_at_another_key_makes_it_unknown(image: Scene) -> None:
    image.add(bundle(dsse(image.root, OTHER), OTHER))
    verdict = image.judge(policy(rule(P256, THIRD, threshold=1)))
    assert reasons(verdict) == ["policy.threshold", "key.unknown", "signature.invalid"]
    details = {str(check.code): check.detail for check in verdict.checks}
    assert details["key.unknown"].endswith(f"found the hint {OTHER.hint!r}")
    assert details["signature.invalid"].endswith("(of 2 signers)")


def test_k_6_a_hint_never_excludes_and_never_adds(image: Scene) -> None:
    image.add(bundle(dsse(image.root), OTHER))
    assert image.judge(RULE).passed
    image = Scene.of_image()
    image.add(bundle(dsse(image.root), publicKey={"hint": "the key of the release team"}))
    assert image.judge(RULE).passed
    image = Scene.of_image()
    image.add(bundle(dsse(image.root), publicKey={}))
    assert image.judge(RULE).passed


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda root: payload(Scene.of_index().root), "payload.digest"),
        (lambda root: payload(root, kind="atomic container signature"), "payload.type"),
        (lambda root: payload(root) + b" ]", "payload.malformed"),
    ],
    ids=["SIG-004", "SIG-006", "SIG-023"],
)
def test_a_verified_payload_still_has_to_be_about_the_image(image: Scene, made: Any, code: str) -> None:
    raw = made(image.root)
    image.content.sig(image.root.digest, (raw, P256.sign(raw)))
    assert reasons(image.judge(RULE)) == ["policy.threshold", code]


def test_sig_018_a_key_that_the_evidence_brings_is_none(image: Scene) -> None:
    raw = payload(image.root)
    image.content.sig(image.root.digest, (raw, OTHER.sign(raw)), annotations={"dev.sigstore.cosign/certificate": OTHER.pem.decode()})
    image.content.artifact(OTHER.pem, "application/x-pem-file", subject=image.root)
    assert "key.unknown" in reasons(image.judge(RULE))


def test_sig_019_a_tag_of_another_image(index: Scene) -> None:
    one, two = index.platforms
    index.content.tags[f"{one.digest.tag}.sig"] = index.content.sig(two.digest, signed(two))
    verdict = index.judge(policy(rule(P256, node="platforms")))
    assert "payload.digest" in reasons(verdict)
    assert {signer.node for signer in verdict.signers} == {two.digest}


def test_sig_026_a_layer_of_another_type_is_not_judged(image: Scene) -> None:
    raw, signature = signed(image.root)
    layer = image.content.blob(raw, "application/octet-stream").to_json()
    layer |= {"annotations": {"dev.cosignproject.cosign/signature": b64(signature)}}
    config = image.content.blob(b"{}", mediatype.EMPTY).to_json()
    tagged = image.content.document({"mediaType": mediatype.OCI_MANIFEST, "config": config, "layers": [layer]})
    image.content.tags[f"{image.root.digest.tag}.sig"] = tagged
    verdict = image.judge(RULE)
    assert reasons(verdict) == ["policy.threshold", "signature.missing"]
    assert codes(verdict, Outcome.NOT_CHECKED) == {"carrier.other"}


def test_a_signature_over_its_limit_is_carried_and_not_judged(image: Scene) -> None:
    image.add(bundle(dsse(image.root)) | {"padding": "x" * MAX_EVIDENCE})
    assert reasons(image.judge(RULE)) == ["policy.threshold", "limit.evidence"]


def test_a_notation_envelope_that_is_none_is_a_signature_that_failed(image: Scene) -> None:
    image.content.notation(image.root, b"{}")
    verdict = image.judge(RULE)
    assert reasons(verdict) == ["policy.threshold", "envelope.malformed"]


# --- attestations ---


@pytest.mark.parametrize("kind", KINDS)
def test_an_attestation_that_the_rule_asks_for(image: Scene, kind: str) -> None:
    key = Key.of(kind)
    image.content.sig(image.root.digest, signed(image.root, key))
    asked = policy(rule(key, attestations=[SPDX]))
    assert reasons(image.judge(asked)) == ["policy.attestation"]
    image.content.att(image.root.digest, att(image.root, key))
    verdict = image.judge(asked)
    assert verdict.passed
    assert {signer.form for signer in verdict.signers} == {"sig", "att"}


def test_e_7_an_attestation_is_never_a_signature(image: Scene) -> None:
    """Bypass 12: cosign 3 takes any."""
    image.content.att(image.root.digest, att(image.root), att(image.root, predicate_type=SIGN))
    image.add(bundle(dsse(image.root, predicate_type=SLSA)))
    verdict = image.judge(RULE)
    assert reasons(verdict) == ["policy.threshold", "signature.missing"]
    assert verdict.signers == ()
    assert [check.detail.split(", ")[0].split(": ")[-1] for check in passed(verdict, "attestation")].count(SLSA) == 1
    assert len(passed(verdict, "attestation")) == 3


def test_e_7_not_even_an_attestation_that_the_rule_asks_for(image: Scene) -> None:
    image.content.att(image.root.digest, att(image.root))
    verdict = image.judge(policy(rule(P256, attestations=[SPDX])))
    assert reasons(verdict) == ["policy.threshold", "signature.missing"]


def test_a_signature_is_never_an_attestation(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    image.add(bundle(dsse(image.root)))
    assert reasons(image.judge(policy(rule(P256, attestations=[SPDX])))) == ["policy.attestation"]


def test_bypass_2_an_attestation_of_another_type_is_not_the_one(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    image.content.att(image.root.digest, att(image.root, predicate_type=f"{SPDX}/"), att(image.root, predicate_type=SLSA))
    assert reasons(image.judge(policy(rule(P256, attestations=[SPDX])))) == ["policy.attestation"]


def test_every_attestation_that_is_asked_for_must_be_there(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    image.content.att(image.root.digest, att(image.root))
    both = policy(rule(P256, attestations=[SPDX, SLSA]))
    assert reasons(image.judge(both)) == ["policy.attestation"]
    image.add(bundle(dsse(image.root, predicate_type=SLSA)))
    assert image.judge(both).passed


def test_attestations_alone_will_do_where_the_rule_says_so(image: Scene) -> None:
    """GitHub's images carry nothing else."""
    image.add(bundle(dsse(image.root, predicate_type=SLSA)))
    verdict = image.judge(policy(rule(P256, threshold=0, attestations=[SLSA])))
    assert verdict.passed
    assert [check.name for check in verdict.checks] == ["attestation", "attestation"]
    assert reasons(image.judge(policy(rule(OTHER, threshold=0, attestations=[SLSA]))))[0] == "policy.attestation"
    assert reasons(Scene.of_image().judge(policy(rule(P256, threshold=0, attestations=[SLSA])))) == ["policy.attestation"]


def test_an_attestation_comes_from_any_one_of_the_signers(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root), signed(image.root, OTHER))
    image.content.att(image.root.digest, att(image.root, THIRD))
    assert image.judge(policy(rule(P256, OTHER, THIRD, threshold=2, attestations=[SPDX]))).passed
    assert reasons(image.judge(policy(rule(P256, OTHER, threshold=2, attestations=[SPDX]))))[0] == "policy.attestation"


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda root: envelope(statement(Scene.of_index().root), P256), "intoto.subject"),
        (lambda root: envelope(statement(root), P256, kind="application/json"), "payload.type"),
        (lambda root: envelope(b"{}", P256), "intoto.statement"),
        (lambda root: envelope(statement(root), OTHER), "signature.invalid"),
        (lambda root: envelope(statement(root), P256, OTHER), "dsse.signature-count"),
        (lambda root: {}, "dsse.malformed"),
        (lambda root: envelope(statement(root), P256) | {"payload": b64(statement(root, SLSA))}, "signature.invalid"),
        (lambda root: envelope(statement(root), P256) | {"payloadType": "text/plain"}, "signature.invalid"),
    ],
    ids=[
        "another subject",
        "another type",
        "no statement",
        "another key",
        "two signatures",
        "no envelope",
        "another payload",
        "type changed",
    ],
)
def test_bypasses_9_54_an_attestation_that_does_not_hold(image: Scene, made: Any, code: str) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    image.content.att(image.root.digest, json.dumps(made(image.root)).encode())
    verdict = image.judge(policy(rule(P256, attestations=[SPDX])))
    assert reasons(verdict)[0] == "policy.attestation"
    assert code in reasons(verdict)


def test_an_attestation_with_signers_of_its_own_comes_from_none_of_the_rules(image: Scene) -> None:
    asked = policy(rule(P256, attestations=[{"type": SLSA, "signer": rule(OTHER)["signer"]}]))
    image.content.sig(image.root.digest, signed(image.root))
    image.content.att(image.root.digest, att(image.root, P256, SLSA))
    assert reasons(image.judge(asked)) == ["policy.attestation"]
    image.content.att(image.root.digest, att(image.root, OTHER, SLSA))
    assert image.judge(asked).passed


def test_what_one_attestation_must_say_is_not_asked_of_others(image: Scene) -> None:
    asked = policy(rule(P256, attestations=[{"type": SLSA, "where": {"level": 3}}, SPDX]))
    image.content.sig(image.root.digest, signed(image.root))
    says = json.dumps(envelope(statement(image.root, SLSA, predicate={"level": 3}), P256)).encode()
    image.content.att(image.root.digest, says, att(image.root))
    verdict = image.judge(asked)
    assert verdict.passed
    assert codes(verdict) == set()


def test_what_annotations_say_of_an_attestation_is_not_asked(image: Scene) -> None:
    """A2-1: predicateType beside a layer is nobody's word."""
    image.content.sig(image.root.digest, signed(image.root))
    raw = att(image.root, predicate_type=SLSA)
    layer = image.content.blob(raw, mediatype.DSSE).to_json() | {"annotations": {"predicateType": SPDX}}
    config = image.content.blob(b"{}", mediatype.OCI_CONFIG).to_json()
    tagged = image.content.document(
        {"mediaType": mediatype.OCI_MANIFEST, "config": config, "layers": [layer], "annotations": {"predicateType": SPDX}}
    )
    image.content.tags[f"{image.root.digest.tag}.att"] = tagged
    assert reasons(image.judge(policy(rule(P256, attestations=[SPDX])))) == ["policy.attestation"]


def test_a_lifted_seal_counts_for_nothing(image: Scene) -> None:
    """Whoever seals, with whatever key."""
    index = {"sha256": Scene.of_index().root.digest.encoded}
    for key in (EXPORTER, P256):
        raw = json.dumps(envelope(statement(index, "urn:oci-bundler:bundle:v1"), key)).encode()
        image.content.artifact(raw, mediatype.DSSE, subject=image.root)
        image.content.artifact(raw, "application/vnd.in-toto+json", layer_type=mediatype.DSSE, subject=image.root)
    verdict = image.judge(policy(rule(P256, attestations=[SPDX]), seals=[seal(EXPORTER)]))
    wanted = ["policy.threshold", "policy.attestation", "intoto.subject", "key.unknown", "signature.invalid", "signature.missing"]
    assert reasons(verdict) == wanted
    assert verdict.signers == ()


# --- material: the bundle never chooses how it is verified ---


def test_b_3_a_certificate_never_counts_for_a_pinned_key(image: Scene) -> None:
    image.add(bundle(dsse(image.root), publicKey=None, certificate=CERTIFICATE))
    assert reasons(image.judge(RULE)) == ["policy.threshold", "bundle.material"]


def test_b_3_it_is_reported_and_the_others_are_still_judged(image: Scene) -> None:
    image.add(bundle(message(image.root), media_type=V02, publicKey=None, x509CertificateChain={"certificates": [CERTIFICATE]}))
    image.content.sig(image.root.digest, signed(image.root))
    verdict = image.judge(RULE)
    assert verdict.passed
    assert codes(verdict) == {"bundle.material"}


def test_a1_4_a_certificate_beside_a_sig_by_a_pinned_key_is_ignored_and_said(image: Scene) -> None:
    """Whatever it is: nobody has signed it."""
    told = {"dev.sigstore.cosign/certificate": "no PEM at all", "dev.sigstore.cosign/chain": "nor this"}
    image.content.sig(image.root.digest, signed(image.root), annotations=told)
    verdict = image.judge(RULE)
    assert verdict.passed
    assert codes(verdict, Outcome.NOT_CHECKED) == {"certificate.not-checked"}


def test_log_entries_and_timestamps_beside_a_key_are_said_to_be_unchecked(image: Scene) -> None:
    told = {"dev.sigstore.cosign/bundle": "{", "dev.sigstore.cosign/rfc3161timestamp": "{"}
    image.content.sig(image.root.digest, signed(image.root), annotations=told)
    stamps = {"rfc3161Timestamps": [{"signedTimestamp": b64(b"stamp")}]}
    image.add(bundle(dsse(image.root), tlogEntries=[{"logIndex": "1"}], timestampVerificationData=stamps))
    verdict = image.judge(RULE)
    assert verdict.passed
    assert codes(verdict, Outcome.NOT_CHECKED) == {"tlog.not-checked", "timestamp.not-checked"}
    assert codes(verdict) == set()


# --- carriers ---


def other_subject(image: Scene, **change: Any) -> Verdict:
    """A bundle that says so of its subject, found for the image."""
    described = image.root.descriptor.to_json() | change
    raw = image.content.blob(json.dumps(bundle(dsse(image.root))).encode(), V03_NEW).to_json()
    members = {"mediaType": mediatype.OCI_MANIFEST, "config": image.content.blob(b"{}", mediatype.EMPTY).to_json(), "layers": [raw]}
    carrier = image.content.document(members | ({"subject": described} if change.get("subject", "") is not None else {}))
    return image.judge(RULE, image.pieces(image.root.digest, Form.REFERRER, carrier))


@pytest.mark.parametrize(
    "change",
    [{"digest": "sha256:" + "0" * 64}, {"size": 1}, {"mediaType": mediatype.OCI_INDEX}, {"subject": None}],
    ids=["digest", "size", "media type", "none"],
)
def test_o_3_a_referrer_to_something_else(image: Scene, change: dict[str, Any]) -> None:
    """CVE-2023-33959."""
    verdict = other_subject(image, **change)
    assert reasons(verdict) == ["policy.threshold", "carrier.subject"]
    [check] = [check for check in verdict.checks if check.code is Code.CARRIER_SUBJECT]
    assert check.detail.endswith(f"wanted {image.root.digest}, {len(image.root.raw)} bytes, {image.root.descriptor.media_type}")
    found = {"digest": image.root.digest, "size": len(image.root.raw), "mediaType": image.root.descriptor.media_type} | change
    wanted = "none" if "subject" in change else "{digest}, {size} bytes, {mediaType}".format(**found)
    assert f"found {wanted}, wanted" in check.detail


def test_an_sbom_of_something_else_is_no_signature_that_went_wrong(image: Scene) -> None:
    stray = image.content.artifact(b"{}", "application/spdx+json", subject=image.content.image("another"))
    verdict = image.judge(RULE, image.pieces(image.root.digest, Form.REFERRER, stray))
    assert reasons(verdict) == ["policy.threshold", "carrier.subject", "signature.missing"]


def test_o_3_a_referrer_to_the_image(image: Scene) -> None:
    assert other_subject(image, subject="").passed


def test_evidence_about_a_manifest_that_is_not_carried_is_of_no_use(image: Scene) -> None:
    tagged = image.content.sig(image.root.digest, signed(image.root))
    image.content.tags.clear()
    stray = image.pieces(Scene.of_index().root.digest, Form.SIG, tagged)
    verdict = image.judge(RULE, stray)
    assert reasons(verdict) == ["policy.threshold", "carrier.subject", "signature.missing"]


def test_an_image_without_its_own_manifest_never_passes(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    assert not judge(RULE, Image(image.image.reference, image.root.digest, {}), image.evidence, at=AT).passed


# --- thresholds ---


def test_two_keys_of_three(image: Scene) -> None:
    asked = policy(rule(P256, OTHER, THIRD, threshold=2))
    image.content.sig(image.root.digest, signed(image.root))
    assert reasons(image.judge(asked)) == ["policy.threshold"]
    image.add(bundle(dsse(image.root, THIRD), THIRD))
    verdict = image.judge(asked)
    assert verdict.passed
    assert {signer.id for signer in verdict.signers} == {P256.fingerprint, THIRD.fingerprint}


def test_a_key_counts_once_however_many_signatures_and_forms(image: Scene) -> None:
    """Bypasses 15, 17, 56; ECDSA verifies (r, n - s) too (G-12)."""
    image.content.sig(image.root.digest, signed(image.root), signed(image.root), signed(image.root, reference="a.b/c"))
    image.add(bundle(dsse(image.root)))
    image.add(bundle(message(image.root)))
    verdict = image.judge(policy(rule(P256, OTHER, threshold=2)))
    assert reasons(verdict) == ["policy.threshold"]
    assert "signed by 1, wanted 2" in next(check.detail for check in verdict.checks if check.code is Code.POLICY_THRESHOLD)


def test_a_bad_signature_beside_enough_good_ones_is_reported_and_refuses_nothing(image: Scene) -> None:
    """G-6."""
    image.content.sig(image.root.digest, signed(image.root, OTHER), signed(image.root), (b"", b""))
    image.add({"mediaType": 1})
    image.content.att(image.root.digest, b"no envelope")
    verdict = image.judge(RULE)
    assert verdict.passed
    assert verdict.reasons == ()
    assert codes(verdict) == {"signature.invalid", "key.unknown", "signature.malformed", "bundle.malformed", "dsse.malformed"}


@dataclass(frozen=True)
class AnyOf:
    """A signer that several keys can be, as an identity of a team would."""

    keys: tuple[Key, ...]
    kind: str = "key"
    name: str | None = None
    key: None = None

    def prove(self, offer: UnverifiedSignature, *, at: datetime) -> SignerProof:
        for key in self.keys:
            with suppress(TrustError):
                return PinnedKey(key.public).prove(offer, at=at)
        raise TrustError("not one of them", code=Code.SIGNATURE_INVALID)

    def is_named_by(self, hint: str) -> bool:
        return any(key.public.is_named_by(hint) for key in self.keys)

    def behind(self, files: Mapping[str, bytes]) -> Iterator[bytes]:
        return (key.public.pem for key in self.keys)


def among(image: Scene, *signers: SignerEntry, threshold: int) -> Verdict:
    ruled = Rule(Scope.parse("**"), signers, threshold)
    return judge(Policy(1, (), (ruled,), image.root.digest), image.image, image.evidence, at=AT)


def matched(image: Scene, *signers: SignerEntry, threshold: int) -> bool:
    return among(image, *signers, threshold=threshold).passed


def test_that_a_signature_is_of_another_kind_is_said_only_where_no_signer_is_of_its_kind(image: Scene) -> None:
    image.add(bundle(dsse(image.root), publicKey=None, certificate=CERTIFICATE))
    assert "bundle.material" in reasons(among(image, PinnedKey(P256.public), PinnedKey(OTHER.public), threshold=1))
    assert reasons(among(image, PinnedKey(P256.public), AnyOf(()), threshold=1)) == ["policy.threshold", "signature.invalid"]


@pytest.mark.parametrize("turn", [1, -1])
def test_entries_are_filled_as_well_as_they_can_be(image: Scene, turn: int) -> None:
    """Largest matching: who fits two entries leaves room for who fits one."""
    image.content.sig(image.root.digest, *[signed(image.root, key) for key in (P256, OTHER)][::turn])
    either, both = AnyOf((P256,)), AnyOf((P256, OTHER))
    assert matched(image, *(either, both)[::turn], threshold=2)
    chain = (AnyOf((P256, OTHER)), AnyOf((OTHER, THIRD)), AnyOf((P256,)))[::turn]
    assert not matched(image, *chain, threshold=3)
    image.add(bundle(dsse(image.root, THIRD), THIRD))
    assert matched(image, *chain, threshold=3)


def test_one_key_fills_one_entry_however_many_it_fits(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    image.add(bundle(dsse(image.root)))
    assert matched(image, AnyOf((P256, OTHER)), AnyOf((P256, THIRD)), threshold=1)
    assert not matched(image, AnyOf((P256, OTHER)), AnyOf((P256, THIRD)), threshold=2)


# --- nodes ---


def test_by_default_the_reference_is_signed(index: Scene) -> None:
    index.content.sig(index.root.digest, signed(index.root))
    assert index.judge(RULE).passed
    index = Scene.of_index()
    for platform in index.platforms:
        index.content.sig(platform.digest, signed(platform))
    verdict = index.judge(RULE)
    assert reasons(verdict) == ["policy.threshold", "signature.missing"]
    assert verdict.signers == ()


def test_every_platform_by_itself(index: Scene) -> None:
    asked = policy(rule(P256, node="platforms"))
    index.content.sig(index.root.digest, signed(index.root))
    index.content.sig(index.platforms[0].digest, signed(index.platforms[0]))
    assert reasons(index.judge(asked)) == ["policy.threshold", "signature.missing"]
    index.content.sig(index.platforms[1].digest, signed(index.platforms[1]))
    verdict = index.judge(asked)
    assert verdict.passed
    assert {signer.node for signer in verdict.signers} == {platform.digest for platform in index.platforms}


def test_both_is_all_of_them(index: Scene) -> None:
    asked = policy(rule(P256, node="both"))
    for document in (index.root, *index.platforms):
        assert not index.judge(asked).passed
        index.content.sig(document.digest, signed(document))
    assert index.judge(asked).passed


def test_a_threshold_is_met_on_each_node_and_not_over_all(index: Scene) -> None:
    one, two = index.platforms
    index.content.sig(one.digest, signed(one), signed(one, OTHER))
    index.content.sig(two.digest, signed(two))
    asked = policy(rule(P256, OTHER, threshold=2, node="platforms"))
    assert reasons(index.judge(asked)) == ["policy.threshold"]
    index.add(bundle(dsse(two, OTHER), OTHER), two)
    assert index.judge(asked).passed


def test_an_attestation_is_wanted_on_each_node(index: Scene) -> None:
    asked = policy(rule(P256, node="both", attestations=[SPDX]))
    for document in (index.root, *index.platforms):
        index.content.sig(document.digest, signed(document))
    for document in (index.root, *index.platforms):
        assert reasons(index.judge(asked)) == ["policy.attestation"]
        index.content.att(document.digest, att(document))
    assert index.judge(asked).passed


def test_platforms_in_nested_indexes_are_platforms() -> None:
    scene = Scene.of_index()
    scene.root = scene.content.nested("nested")
    below = [document for document in scene.content.below(scene.root) if not document.children]
    assert len(below) == 4
    for platform in below:
        assert not scene.judge(policy(rule(P256, node="platforms"))).passed
        scene.content.sig(platform.digest, signed(platform))
    assert scene.judge(policy(rule(P256, node="platforms"))).passed


@pytest.mark.parametrize("node", ["platforms", "both"])
def test_the_nodes_of_an_image_without_platforms_are_itself(image: Scene, node: str) -> None:
    asked = policy(rule(P256, node=node))
    assert not image.judge(asked).passed
    image.content.sig(image.root.digest, signed(image.root))
    assert image.judge(asked).passed


def test_platforms_that_are_not_carried_are_not_asked_for(index: Scene) -> None:
    one, two = index.platforms
    del index.content.documents[two.digest]
    index.content.sig(one.digest, signed(one))
    assert index.judge(policy(rule(P256, node="platforms"))).passed
    del index.content.documents[one.digest]
    verdict = index.judge(policy(rule(P256, node="platforms")), [])
    assert reasons(verdict) == ["policy.threshold", "signature.missing"]
    assert {check.subject for check in verdict.checks} == {index.root.digest}


def test_buildkits_attestations_are_statements_and_need_no_signature_of_their_own() -> None:
    scene = Scene.of_index()
    scene.root = scene.content.with_buildkit()
    for platform in scene.platforms[:2]:
        scene.content.sig(platform.digest, signed(platform))
    verdict = scene.judge(policy(rule(P256, node="platforms")))
    assert verdict.passed
    assert len([check for check in verdict.checks if check.outcome is Outcome.UNSIGNED]) == 2
    assert codes(verdict, Outcome.UNSIGNED) == {"evidence.unsigned"}


def test_attestations_in_an_index_that_are_left_out_are_not_spoken_of() -> None:
    scene = Scene.of_index()
    scene.root = scene.content.with_buildkit()
    scene.content.sig(scene.root.digest, signed(scene.root))
    for left_out in scene.platforms[2:]:
        del scene.content.documents[left_out.digest]
    assert codes(scene.judge(RULE), Outcome.UNSIGNED) == set()


def test_indexes_that_share_their_children_are_walked_once() -> None:
    """IDX-037: 2**30 ways lead down here."""
    content = Content()
    below = [content.image("one"), content.image("two")]
    for level in range(30):
        below = [content.index(children=below, annotations={"level": f"{level} {side}"}) for side in "ab"]
    scene = Scene(content, content.index(children=below))
    for platform in (content.image("one"), content.image("two")):
        content.sig(platform.digest, signed(platform))
    assert judge(policy(rule(P256, node="platforms")), bare(scene), scene.evidence, at=AT).passed


def bare(scene: Scene) -> Image:
    return Image(Reference.parse(scene.name), scene.root.digest, dict(scene.content.documents))


def test_what_only_says_that_it_is_an_attestation_must_be_signed() -> None:
    """Its place in the index is not enough: each layer must be read and be a statement about its sibling."""
    scene = Scene.of_index()
    scene.root = scene.content.with_buildkit()
    for platform in scene.platforms[:2]:
        scene.content.sig(platform.digest, signed(platform))
    assert not judge(policy(rule(P256, node="platforms")), bare(scene), scene.evidence, at=AT).passed


# --- names ---


@pytest.mark.parametrize("reference", [REPOSITORY, f"{REPOSITORY}:v1", f"{REPOSITORY}:other", f"{REPOSITORY}@sha256:{'0' * 64}"])
def test_a_signature_that_names_the_repository(image: Scene, reference: str) -> None:
    image.content.sig(image.root.digest, signed(image.root, reference=reference))
    assert image.judge(policy(rule(P256, name="signed"))).passed


@pytest.mark.parametrize("reference", ["evil.example/app", f"{REPOSITORY}-evil", "", "app", "registry.example/app/web", "?"])
def test_sig_007_a_signature_that_names_another_repository(image: Scene, reference: str) -> None:
    image.content.sig(image.root.digest, signed(image.root, reference=reference))
    assert image.judge(RULE).passed
    verdict = image.judge(policy(rule(P256, name="signed")))
    assert reasons(verdict) == ["policy.name"]
    assert verdict.signers == ()
    assert any(check.detail.endswith(f"found {reference!r}") for check in verdict.checks)


def test_names_of_docker_hub_are_expanded() -> None:
    scene = Scene.of_image()
    scene.name = "alpine:3"
    scene.content.sig(scene.root.digest, signed(scene.root, reference="index.docker.io/library/alpine"))
    assert scene.judge(policy(rule(P256, scope="docker.io/library/*", name="signed"))).passed


def test_a_form_that_names_nothing_does_not_count_where_a_name_is_wanted(image: Scene) -> None:
    image.add(bundle(dsse(image.root)))
    image.add(bundle(message(image.root)))
    verdict = image.judge(policy(rule(P256, name="signed")))
    assert reasons(verdict) == ["policy.name"]
    assert any("none" in check.detail for check in verdict.checks if check.code is Code.POLICY_NAME)


def test_attestations_name_nothing_and_are_not_asked_to(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    image.content.att(image.root.digest, att(image.root))
    verdict = image.judge(policy(rule(P256, name="signed", attestations=[SPDX])))
    assert verdict.passed
    assert [signer.form for signer in verdict.signers] == ["att", "sig"]


def test_too_few_signatures_are_too_few_whatever_they_name(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root, reference="a.b/c"))
    assert reasons(image.judge(policy(rule(P256, OTHER, threshold=2, name="signed")))) == ["policy.threshold", "policy.name"]


# --- order, number, shape ---


def crowd() -> Scene:
    """Good and bad evidence of every form, on every manifest."""
    scene = Scene.of_index()
    for document in (scene.root, *scene.platforms):
        scene.content.sig(document.digest, signed(document), signed(document, OTHER), (b"{", b""))
        scene.content.att(document.digest, att(document), att(document, OTHER), b"")
        scene.add(bundle(dsse(document, THIRD), THIRD), document)
        sbom = scene.content.sbom(document.digest, json.dumps({"for": str(document.digest)}).encode())
        scene.content.sig(sbom.digest, signed(sbom))
    return scene


@pytest.mark.parametrize(
    "asked", [policy(rule(P256, THIRD, threshold=2, node="both", attestations=[SPDX])), policy(rule(OTHER)), policy(rule(EXPORTER))]
)
def test_o_5_the_order_of_evidence_changes_nothing(asked: Any) -> None:
    scene = crowd()
    evidence = scene.evidence
    first = scene.judge(asked, evidence)
    for seed in range(5):
        random.Random(seed).shuffle(evidence)  # noqa: S311 - for tests
        assert scene.judge(asked, iter(evidence)) == first


def test_evidence_is_asked_once_and_one_at_a_time(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root), signed(image.root, OTHER))
    given: list[Evidence] = []

    def once() -> Any:
        for piece in image.evidence:
            given.append(piece)
            yield piece

    assert image.judge(RULE, once()).passed
    assert len(given) == 2


def test_a_verdict_is_no_truth_value(image: Scene) -> None:
    with pytest.raises(TypeError):
        bool(image.judge(RULE))


def test_sig_017_more_signatures_than_anybody_looks_at_refuse_the_image(image: Scene) -> None:
    """Also where one is good: which was looked at would hang on the order (G-5)."""
    good = image.pieces(image.root.digest, Form.SIG, image.content.sig(image.root.digest, signed(image.root)))
    bad = image.pieces(image.root.digest, Form.SIG, image.content.sig(image.root.digest, (b"{}", b"")))
    assert image.judge(RULE, [*good, *bad * (MAX_PIECES - 1)]).passed
    for evidence in ([*good, *bad * MAX_PIECES], [*bad * MAX_PIECES, *good], [*bad * 5 * MAX_PIECES]):
        verdict = image.judge(RULE, evidence)
        assert reasons(verdict) == ["policy.threshold", "limit.evidence"]
        assert len(verdict.checks) == 2


def test_a_check_tells_a_person_what_was_found(image: Scene) -> None:
    tagged = image.content.sig(image.root.digest, signed(image.root, OTHER), signed(image.root))
    verdict = image.judge(RULE)
    [check] = passed(verdict, "signature")
    assert check.subject == tagged.digest
    assert check.detail == f"layer 2: ECDSA P-256 with SHA256 by {P256.fingerprint}"
    assert check.spec == "cosign, specs/SIGNATURE_SPEC.md"
    assert all(check.detail and check.subject for check in verdict.checks)
    alone = Scene.of_image()
    alone.content.sig(alone.root.digest, signed(alone.root))
    [check] = passed(alone.judge(RULE), "signature")
    assert check.detail == f"ECDSA P-256 with SHA256 by {P256.fingerprint}"


def test_beyond_that_number_nothing_is_looked_at(image: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Evidence] = []

    def counted(rule: Rule, image: Image, piece: Evidence, *, at: datetime, whose: Whose) -> Finding:
        looked.append(piece)
        return examine(rule, image, piece, at=at, whose=whose)

    monkeypatch.setattr("bundler.trust.judge.examine", counted)
    bad = image.pieces(image.root.digest, Form.SIG, image.content.sig(image.root.digest, (b"{}", b"")))
    image.judge(RULE, bad * (MAX_PIECES + 500))
    assert len(looked) == MAX_PIECES


def test_what_must_be_signed_and_what_must_be_attested_may_be_different_manifests() -> None:
    scene = Scene.of_index()
    asked = policy(rule(P256, node="reference", attestations=[{"type": SPDX, "node": "platforms"}]))
    scene.content.sig(scene.root.digest, signed(scene.root))
    first, second = scene.platforms
    scene.content.att(first.digest, att(first))
    assert [str(code) for code in scene.judge(asked).reasons] == ["policy.attestation"]
    scene.content.att(second.digest, att(second))
    assert scene.judge(asked).passed


def test_a_rule_that_denies_says_so_whoever_signed() -> None:
    scene = Scene.of_image()
    scene.content.sig(scene.root.digest, signed(scene.root))
    verdict = scene.judge(policy({"scope": "registry.example/**", "deny": "moved"}))
    assert [str(code) for code in verdict.reasons] == ["policy.denied"]
    assert verdict.admitted == frozenset()
