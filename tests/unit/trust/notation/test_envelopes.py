"""The two spellings of an envelope, and what is neither."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bundler.errors import BundlerError, Code
from bundler.trust.notation import cbor
from bundler.trust.notation.envelope import COSE, JWS, MAX_ENVELOPE, Scheme, SignatureEnvelope
from tests.support import notary
from tests.support.cases import each
from tests.support.notary import CONTENT_TYPE, FORMS, PREFIX, SIGNING, Signing, b64url, judged
from tests.support.world import AT


def refused(raw: bytes, form: str) -> Code:
    with pytest.raises(BundlerError) as refusal:
        SignatureEnvelope.parse(raw, form)
    return refusal.value.code


@pytest.mark.parametrize("form", FORMS)
def test_both_spellings_say_the_same(form: str) -> None:
    envelope = SIGNING.envelope(form)
    assert envelope.payload == SIGNING.payload
    assert [c.der for c in envelope.chain] == [issued.der for issued in SIGNING.chain]
    assert (envelope.scheme, envelope.signing_time, envelope.expiry) == (Scheme.X509, AT, AT + timedelta(days=1))
    assert envelope.algorithm.name == "ES256"
    assert envelope.timestamp == SIGNING.token(envelope.signature)


def test_a_media_type_decides_the_reader() -> None:
    """N-1."""
    assert refused(SIGNING.jws(), "application/json") is Code.ENVELOPE_MEDIA_TYPE
    assert refused(SIGNING.jws(), COSE) is Code.FORMAT_CBOR
    assert refused(SIGNING.cose(), JWS) is Code.FORMAT_JSON


@pytest.mark.parametrize("form", FORMS)
def test_an_envelope_over_its_limit_is_not_read(form: str) -> None:
    """G-5."""
    assert refused(b" " * (MAX_ENVELOPE + 1), form) is Code.LIMIT_EVIDENCE
    assert refused(b" " * MAX_ENVELOPE, form) in (Code.FORMAT_JSON, Code.FORMAT_CBOR)


@pytest.mark.parametrize("form", FORMS)
def test_an_envelope_has_at_most_ten_certificates(form: str) -> None:
    assert len(Signing(chain=(notary.LEAF, *[notary.ISSUER] * 9)).envelope(form).chain) == 10
    with pytest.raises(BundlerError, match="no or too many certificates"):
        Signing(chain=(notary.LEAF, *[notary.ISSUER] * 10)).envelope(form)


def test_a_jws_has_its_four_members_and_no_other() -> None:
    value = json.loads(SIGNING.jws())
    for member in value:
        assert (
            refused(json.dumps({name: inner for name, inner in value.items() if name != member}).encode(), JWS) is Code.ENVELOPE_MALFORMED
        )
    assert refused(SIGNING.jws(outer={"signatures": []}), JWS) is Code.ENVELOPE_MALFORMED


@each(
    ("raw", "code"),
    [
        (b"[]", Code.ENVELOPE_MALFORMED),
        (SIGNING.jws(outer={"payload": 7}), Code.ENVELOPE_MALFORMED),
        (SIGNING.jws(outer={"header": {"x5c": "one"}}), Code.ENVELOPE_MALFORMED),
        (SIGNING.jws(protected=b"[]"), Code.ENVELOPE_MALFORMED),
        (SIGNING.jws(protected=b'{"cty":"x"}'), Code.ENVELOPE_MALFORMED),
        (SIGNING.jws(protected=b'{"alg":"ES256","alg":"ES384"}'), Code.FORMAT_JSON),
        (Signing(headers={f"{PREFIX}signingTime": "yesterday"}).jws(), Code.FORMAT_TIME),
        (Signing(headers={f"{PREFIX}signingTime": 1772366400}).jws(), Code.FORMAT_TIME),
        (Signing(certificates=[7]).jws(), Code.FORMAT_BASE64),
        (SIGNING.jws(outer={"signature": "QUJD="}), Code.FORMAT_BASE64),
        (SIGNING.jws(outer={"signature": "QU+/"}), Code.FORMAT_BASE64),
        (SIGNING.jws(outer={"signature": "QR"}), Code.FORMAT_BASE64),
        (SIGNING.jws(unprotected={f"{PREFIX}timestampSignature": 7}), Code.FORMAT_BASE64),
        (Signing(headers={f"{PREFIX}authenticSigningTime": "2026-03-01T12:00:00Z"}).jws(), Code.ENVELOPE_SCHEME),
        (Signing(scheme=Scheme.SIGNING_AUTHORITY, headers={f"{PREFIX}signingTime": "2026-03-01T12:00:00Z"}).jws(), Code.ENVELOPE_SCHEME),
    ],
)
def test_a_jws_that_is_none(raw: bytes, code: Code) -> None:
    assert refused(raw, JWS) is code


@each(
    ("raw", "code"),
    [
        (b"\x80", Code.ENVELOPE_MALFORMED),
        (SIGNING.cose()[1:], Code.ENVELOPE_MALFORMED),
        (SIGNING.cose(tag=17), Code.ENVELOPE_MALFORMED),
        (SIGNING.cose(unprotected={33: b"one"}), Code.ENVELOPE_MALFORMED),
        (SIGNING.cose(unprotected={33: None}), Code.ENVELOPE_MALFORMED),
        (SIGNING.cose(unprotected={f"{PREFIX}timestampSignature": "text"}), Code.ENVELOPE_MALFORMED),
        (Signing(certificates=["text"]).cose(), Code.ENVELOPE_MALFORMED),
        (SIGNING.cose(protected=b""), Code.FORMAT_CBOR),
        (SIGNING.cose(protected=b"\x80"), Code.ENVELOPE_MALFORMED),
        (SIGNING.cose(protected=notary.cbor({3: CONTENT_TYPE})), Code.ENVELOPE_MALFORMED),
        (SIGNING.cose(protected=notary.cbor({1: "ES256"})), Code.ENVELOPE_MALFORMED),
        (SIGNING.cose(protected=notary.cbor({1: True})), Code.ENVELOPE_MALFORMED),
        (Signing(headers={"crit": [f"{PREFIX}signingScheme"]}).cose(), Code.ENVELOPE_MALFORMED),
        (Signing(headers={f"{PREFIX}signingTime": 1772366400}).cose(), Code.ENVELOPE_MALFORMED),
        (Signing(headers={f"{PREFIX}signingTime": notary.Epoch(-1)}).cose(), Code.ENVELOPE_MALFORMED),
        (Signing(headers={f"{PREFIX}signingTime": notary.Epoch(1 << 62)}).cose(), Code.ENVELOPE_MALFORMED),
        (Signing(headers={f"{PREFIX}authenticSigningTime": notary.Epoch(7)}).cose(), Code.ENVELOPE_SCHEME),
    ],
)
def test_a_cose_that_is_none(raw: bytes, code: Code) -> None:
    assert refused(raw, COSE) is code


def test_a_certificate_is_read_when_it_is_asked_for_and_not_before() -> None:
    envelope = SignatureEnvelope.parse(Signing(certificates=["QUJD"]).jws(), JWS)
    assert envelope.certificates == (b"ABC",)
    for ask in (lambda: envelope.chain, lambda: envelope.algorithm, envelope.check_signature):
        with pytest.raises(BundlerError) as refusal:
            ask()
        assert refusal.value.code is Code.FORMAT_DER


@each("size", [0, 23, 24, 255, 256, 65535, 65536])
def test_what_cose_signs_counts_its_payload_in_the_least_length(size: int) -> None:
    Signing(payload=b"x" * size).envelope(COSE).check_signature()


def test_what_is_signed_is_what_came_however_it_is_spelled() -> None:
    """The header's JSON is not made anew: spaces and order are the signer's."""
    spaced = b' {"cty" : "' + CONTENT_TYPE.encode() + b'", "alg":"ES256" ,"crit":["io.cncf.notary.signingScheme"],'
    spaced += b'"io.cncf.notary.signingTime":"2026-03-01T14:00:00+02:00","io.cncf.notary.signingScheme":"notary.x509"} '
    envelope = SignatureEnvelope.parse(Signing().jws(protected=spaced), JWS)
    envelope.check_signature()
    assert envelope.signing_time == AT


@each(
    ("raw", "value"),
    [
        (b"\x00", 0),
        (b"\x17", 23),
        (b"\x18\x18", 24),
        (b"\x19\x01\x00", 256),
        (b"\x1a\x00\x01\x00\x00", 65536),
        (b"\x1b\x00\x00\x00\x01\x00\x00\x00\x00", 1 << 32),
        (b"\x20", -1),
        (b"\x38\x24", -37),
        (b"\x42ab", b"ab"),
        (b"\x62ab", "ab"),
        (b"\x62\xc3\xbc", "ü"),
        (b"\x82\x01\x02", [1, 2]),
        (b"\xa2\x01\x02\x61a\x03", {1: 2, "a": 3}),
        (b"\xc1\x00", cbor.Tagged(1, 0)),
        (b"\xf4", False),
        (b"\xf5", True),
        (b"\xf6", None),
    ],
)
def test_cbor_that_has_one_reading(raw: bytes, value: Any) -> None:
    """RFC 8949, appendix A."""
    found = cbor.loads(raw)
    assert found == value
    assert type(found) is type(value)


@each(
    "raw",
    [
        *(b"", b"\x18", b"\x19\x01", b"\x42a", b"\x82\x01", b"\xa1\x01", b"\xc1"),  # cut
        *(
            b"\x18\x17",
            b"\x19\x00\xff",
            b"\x1a\x00\x00\xff\xff",
            b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff",
            b"\x58\x01a",
        ),  # not of the least length
        *(b"\x5f\x41a\xff", b"\x7f\x61a\xff", b"\x9f\x01\xff", b"\xbf\x01\x02\xff", b"\x1c", b"\x1f"),  # indefinite, reserved
        *(b"\xa2\x01\x02\x01\x03", b"\xa2\x61a\x01\x61a\x02", b"\xa1\x40\x01", b"\xa1\xf5\x01", b"\xa1\xc2\x41\x01\x01"),  # names
        *(
            b"\xf9\x00\x00",
            b"\xfa\x00\x00\x00\x00",
            b"\xfb" + b"\0" * 8,
            b"\xf7",
            b"\xe0",
            b"\xf8\x14",
            b"\xf8\xff",
        ),  # floats, simple values
        *(b"\x61\xff", b"\x00\x00", b"\x81" * 17 + b"\x00", b"\xc1" * 10_000 + b"\x00"),  # text, more behind, depth
        b"\x9b\x00\x00\x00\x01\x00\x00\x00\x00",  # a list of 2**32
        b"\x5b\x00\x00\x00\xff\xff\xff\xff\xff",
    ],
)
def test_cbor_that_has_none(raw: bytes) -> None:
    """G-4."""
    with pytest.raises(BundlerError) as refusal:
        cbor.loads(raw)
    assert refusal.value.code is Code.FORMAT_CBOR


def test_cbor_of_the_deepest_level_is_read() -> None:
    assert cbor.loads(b"\x81" * 15 + b"\x00") == json.loads("[" * 15 + "0" + "]" * 15)


@pytest.mark.parametrize(("form", "spell"), [(JWS, Signing.jws), (COSE, Signing.cose)], ids=["JWS", "COSE"])
def test_an_envelope_cut_anywhere_proves_nothing(form: str, spell: Callable[[Signing], bytes]) -> None:
    raw = spell(SIGNING)
    assert judged(raw, form)
    assert not any(judged(raw[:length], form) for length in range(0, len(raw), 3))


def test_b64url_is_what_the_test_thinks_it_is() -> None:
    assert b64url(b"\xff\xfe") == "__4"
    assert base64.urlsafe_b64decode("__4=") == b"\xff\xfe"
