"""Evidence that was cut or changed: always a verdict, never an error, and never another signer."""

import json
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.lookup import Form
from bundler.trust.evidence import Evidence
from bundler.trust.verdict import Outcome, Verdict
from tests.support.layouts import Content
from tests.support.signing import OTHER, P256, SPDX, V01, Scene, att, b64, bundle, dsse, envelope, message, policy, rule, signed, statement

SIGNATURE = "dev.cosignproject.cosign/signature"
SCENE = Scene.of_image()
SUBJECT = SCENE.root
SIGNED = policy(rule(P256))
ATTESTED = policy(rule(P256, threshold=0, attestations=[SPDX]))
STAMPS = {"rfc3161Timestamps": [{"signedTimestamp": b64(b"stamp")}]}
FORMS = {
    "sig": (mediatype.SIMPLE_SIGNING, signed(SUBJECT)[0], SIGNED),
    "att": (mediatype.DSSE, att(SUBJECT), ATTESTED),
    "message bundle": (mediatype.SIGSTORE_BUNDLE_V03, json.dumps(bundle(message(SUBJECT))).encode(), SIGNED),
    "DSSE bundle": (mediatype.SIGSTORE_BUNDLE_V03, json.dumps(bundle(dsse(SUBJECT), timestampVerificationData=STAMPS)).encode(), SIGNED),
    "old bundle": (mediatype.SIGSTORE_BUNDLE_V03, json.dumps(bundle(dsse(SUBJECT), media_type=V01, tlogEntries=[{}])).encode(), SIGNED),
    "attestation bundle": (mediatype.SIGSTORE_BUNDLE_V03, json.dumps(bundle(dsse(SUBJECT, predicate_type=SPDX))).encode(), ATTESTED),
}
CONFIG = SCENE.content.blob(b"{}")


def judged(form: str, payload: bytes, signature: str | None = None) -> Verdict:
    media_type, _, asked = FORMS[form]
    told = {SIGNATURE: b64(signed(SUBJECT)[1]) if signature is None else signature}
    described = Descriptor.of(payload, media_type)
    layer = Descriptor(described.media_type, described.digest, described.size, annotations=told if form == "sig" else {})
    carrier = Content().manifest(CONFIG, [described])
    return SCENE.judge(asked, [Evidence(SUBJECT.digest, Form.SIG, carrier, layer, payload, is_proven=True)])


def changes(data: bytes) -> Iterator[bytes]:
    """Cut at each byte; each byte with one bit changed; and pieces left out, repeated or put in at random."""
    chance = random.Random(7)  # noqa: S311 - for tests
    for at in range(len(data)):
        yield data[:at]
        yield data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]
    for _ in range(100):
        at, to = sorted(chance.sample(range(len(data)), 2))
        yield data[:at] + data[to:]
        yield data[:at] + data[at:to] * 2 + data[to:]
        yield data[:at] + chance.randbytes(2) + data[at:]


@pytest.mark.parametrize("form", FORMS)
def test_evidence_that_is_whole_passes(form: str) -> None:
    assert judged(form, FORMS[form][1]).passed


@pytest.mark.parametrize("form", FORMS)
def test_evidence_that_is_damaged_fails_or_says_the_same(form: str) -> None:
    """Of JSON, what nobody has signed may change: blanks, hints, unknown names."""
    whole = FORMS[form][1]
    signers = judged(form, whole).signers
    survived = 0
    for changed in changes(whole):
        verdict = judged(form, changed)
        survived += verdict.passed
        assert verdict.signers == (signers if verdict.passed else ())
        assert verdict.passed or any(check.outcome is Outcome.FAILED and check.subject != SUBJECT.digest for check in verdict.checks)
    assert survived == 0 if form == "sig" else survived < len(whole) // 2


def test_a_signature_annotation_that_is_damaged_fails() -> None:
    text = b64(signed(SUBJECT)[1])
    for changed in changes(text.encode()):
        assert changed.decode("latin-1") == text or not judged("sig", FORMS["sig"][1], changed.decode("latin-1")).passed


@pytest.mark.parametrize("form", FORMS)
@given(raw=st.binary(max_size=400))
def test_bytes_of_any_kind_are_a_failed_check(form: str, raw: bytes) -> None:
    assert not judged(form, raw).passed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def replaced(value: object, path: list[int], new: object) -> object:
    """``value`` with what lies at ``path`` replaced."""
    match value:
        case dict() if value and path:
            name = sorted(value)[path[0] % len(value)]
            return {**value, name: replaced(value[name], path[1:], new)}
        case list() if value and path:
            at = path[0] % len(value)
            return [*value[:at], replaced(value[at], path[1:], new), *value[at + 1 :]]
    return new


@pytest.mark.parametrize("form", FORMS)
@given(path=st.lists(st.integers(0, 9), max_size=6), new=JSON)
def test_json_with_anything_anywhere_is_judged(form: str, path: list[int], new: object) -> None:
    changed = replaced(json.loads(FORMS[form][1]), path, new)
    assert isinstance(judged(form, json.dumps(changed).encode()), Verdict)


@given(path=st.lists(st.integers(0, 9), max_size=6), new=JSON)
def test_payloads_with_anything_anywhere_are_judged_though_their_signer_is_pinned(path: list[int], new: object) -> None:
    payload = json.dumps(replaced(json.loads(signed(SUBJECT)[0]), path, new)).encode()
    assert isinstance(judged("sig", payload, b64(P256.sign(payload))), Verdict)


@given(path=st.lists(st.integers(0, 9), max_size=6), new=JSON)
def test_statements_with_anything_anywhere_are_judged_though_their_signer_is_pinned(path: list[int], new: object) -> None:
    body = json.dumps(replaced(json.loads(statement(SUBJECT)), path, new)).encode()
    assert isinstance(judged("att", json.dumps(envelope(body, P256)).encode()), Verdict)


def test_another_signers_evidence_stays_anothers_however_it_is_damaged() -> None:
    for changed in changes(json.dumps(bundle(dsse(SUBJECT, OTHER))).encode()):
        assert judged("DSSE bundle", changed).signers == ()
