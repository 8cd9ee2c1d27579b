"""Sigstore bundles by a key."""

import hashlib
import json
from typing import Any

import pytest

from bundler.errors import BundlerError, Code
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.trust.sigstore.bundle import CONTENT, SIGN_PREDICATE, BundledSignature, SigstoreBundle, build_signature_bundle
from bundler.trust.unverified import Layer
from tests.support.cases import each
from tests.support.layouts import Content
from tests.support.signing import IN_TOTO, P256, SPDX, V01, V02, V03, V03_NEW, Key, b64, bundle, dsse, envelope, message, statement

CONTENTS = Content()
IMAGE = CONTENTS.image()
OTHER_IMAGE = CONTENTS.image("another")
CERTIFICATE = {"rawBytes": b64(b"certificate")}


def read(value: Any, annotations: dict[str, str] | None = None) -> BundledSignature:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    carrier = CONTENTS.artifact(raw, V03_NEW, subject=IMAGE, annotations=annotations)
    return BundledSignature.read(Layer(Descriptor.of(raw, V03_NEW), raw, carrier, IMAGE))


def code(value: Any, annotations: dict[str, str] | None = None) -> Code | None:
    try:
        read(value, annotations).claim()
    except BundlerError as error:
        return error.code
    return None


def verifies(offer: BundledSignature, key: Key = P256) -> bool:
    return bool(key.public.verify(offer.signature, offer.signed))


@each("media_type", [V01, V02, V03, V03_NEW])
@each("content", [message(IMAGE), dsse(IMAGE)], ids=["message", "DSSE"])
def test_b_1_every_version_with_either_content_is_a_signature(media_type: str, content: dict[str, Any]) -> None:
    offer = read(bundle(content, media_type=media_type))
    assert verifies(offer)
    assert offer.claim().predicate_type is None
    assert offer.material.by_key
    assert offer.material.hint == P256.hint


def test_e_7_any_other_statement_is_an_attestation() -> None:
    offer = read(bundle(dsse(IMAGE, predicate_type=SPDX)))
    assert verifies(offer)
    assert offer.claim().predicate_type == SPDX


def test_what_we_write_reads_as_what_cosign_writes() -> None:
    """cosign 3.1.3, cmd/cosign/cli/sign: a subject without a name, an empty predicate."""
    offer = read(build_signature_bundle(IMAGE, P256, annotations={"build": "7"}))
    assert verifies(offer)
    assert offer.claim().predicate_type is None
    content = offer.bundle.content
    assert json.loads(content.payload) == {  # type: ignore[union-attr]
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": IMAGE.digest.encoded}, "annotations": {"build": "7"}}],
        "predicateType": SIGN_PREDICATE,
        "predicate": {},
    }


@pytest.mark.parametrize(
    "media_type",
    ["", "application/json", f"{V03}.1", f"{mediatype.SIGSTORE_BUNDLE}+json;version=0.4", f"{mediatype.SIGSTORE_BUNDLE}.v0.2+json"],
)
def test_b_1_another_version(media_type: str) -> None:
    assert code(bundle(message(IMAGE), media_type=media_type)) is Code.BUNDLE_MEDIA_TYPE


@pytest.mark.parametrize("content", [{}, message(IMAGE) | dsse(IMAGE), {"messageSignature": None}], ids=["none", "two", "null"])
def test_b_1_a_bundle_has_one_content(content: dict[str, Any]) -> None:
    assert code(bundle(content)) is Code.BUNDLE_CONTENT


@pytest.mark.parametrize(
    "material",
    [
        pytest.param({"publicKey": None}, id="none"),
        pytest.param({"certificate": CERTIFICATE}, id="a key and a certificate"),
        pytest.param({"x509CertificateChain": {"certificates": [CERTIFICATE]}}, id="a key and a chain"),
        pytest.param({"publicKey": None, "certificate": CERTIFICATE, "x509CertificateChain": {"certificates": [CERTIFICATE]}}, id="two"),
        pytest.param({"publicKey": None, "x509CertificateChain": {"certificates": [CERTIFICATE]}}, id="B-2 a chain in version 0.3"),
    ],
)
def test_b_1_b_2_a_bundle_is_verified_with_one_thing(material: dict[str, Any]) -> None:
    assert code(bundle(message(IMAGE), **material)) is Code.BUNDLE_MATERIAL


def test_b_2_a_chain_in_earlier_versions_has_a_certificate() -> None:
    chain: dict[str, Any] = {"publicKey": None, "x509CertificateChain": {"certificates": [CERTIFICATE, CERTIFICATE]}}
    offer = read(bundle(message(IMAGE), media_type=V02, **chain))
    assert offer.material.certificates == (b"certificate", b"certificate")
    assert not offer.material.by_key
    empty: dict[str, Any] = {"publicKey": None, "x509CertificateChain": {"certificates": []}}
    assert code(bundle(message(IMAGE), media_type=V02, **empty)) is Code.BUNDLE_MATERIAL


def test_b_3_a_certificate_parses_and_is_not_for_a_key() -> None:
    offer = read(bundle(message(IMAGE), publicKey=None, certificate=CERTIFICATE))
    assert offer.material.certificates == (b"certificate",)
    assert not offer.material.by_key


def test_what_lies_beside_is_kept_as_it_came() -> None:
    stamps = {"rfc3161Timestamps": [{"signedTimestamp": b64(b"stamp")}]}
    offer = read(bundle(message(IMAGE), tlogEntries=[{"logIndex": "7"}], timestampVerificationData=stamps))
    assert offer.material.timestamps == (b"stamp",)
    assert [entry.members for entry in offer.material.log_entries] == [{"logIndex": "7"}]


@pytest.mark.parametrize(
    "digest",
    [
        pytest.param(None, id="none"),
        pytest.param({}, id="an empty one, as cosign 3.1.3 writes beside plain Ed25519"),
        pytest.param({"algorithm": "SHA2_384", "digest": b64(hashlib.sha384(IMAGE.raw).digest())}, id="SHA-384"),
        pytest.param({"algorithm": "SHA2_512", "digest": b64(hashlib.sha512(IMAGE.raw).digest())}, id="SHA-512"),
    ],
)
def test_b_4_the_digest_of_a_message_is_a_hint(digest: Any) -> None:
    assert code(bundle(message(IMAGE, messageDigest=digest))) is None


@pytest.mark.parametrize(
    "digest",
    [
        pytest.param({"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(b"else").digest())}, id="19 another"),
        pytest.param({"algorithm": "SHA2_384", "digest": b64(hashlib.sha256(IMAGE.raw).digest())}, id="under another algorithm"),
        pytest.param({"algorithm": "SHA3_256", "digest": b64(hashlib.sha3_256(IMAGE.raw).digest())}, id="of an unknown algorithm"),
        pytest.param({"algorithm": "SHA2_256", "digest": ""}, id="empty"),
    ],
)
def test_b_4_a_hint_at_something_else(digest: Any) -> None:
    assert code(bundle(message(IMAGE, messageDigest=digest))) is Code.BUNDLE_MESSAGE_DIGEST


def test_b_10_a_message_signature_is_over_the_manifest_that_it_was_found_for() -> None:
    offer = read(bundle({"messageSignature": {"signature": b64(P256.sign(OTHER_IMAGE.raw))}}))
    with pytest.raises(BundlerError) as caught:
        verifies(offer)
    assert caught.value.code is Code.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("said", "wanted"), [("message-signature", None), ("dsse-envelope", Code.BUNDLE_CONTENT), ("", Code.BUNDLE_CONTENT)]
)
def test_b_10_a_manifest_does_not_call_a_message_signature_something_else(said: str, wanted: Code | None) -> None:
    assert code(bundle(message(IMAGE)), {CONTENT: said}) is wanted


def test_e_3_another_payload_type() -> None:
    assert code(bundle({"dsseEnvelope": envelope(statement(IMAGE), P256, kind="text/plain")})) is Code.PAYLOAD_TYPE


def test_e_6_a_statement_about_another_image() -> None:
    assert code(bundle(dsse(OTHER_IMAGE))) is Code.INTOTO_SUBJECT


def test_a_payload_that_is_no_statement() -> None:
    assert code(bundle({"dsseEnvelope": envelope(b"{}", P256, kind=IN_TOTO)})) is Code.INTOTO_STATEMENT


@pytest.mark.parametrize("keys", [(), (P256, P256)], ids=["none", "two"])
def test_e_1_an_envelope_in_a_bundle_has_one_signature(keys: tuple[Key, ...]) -> None:
    """Bypass 22."""
    assert code(bundle({"dsseEnvelope": envelope(statement(IMAGE), *keys)})) is Code.DSSE_SIGNATURE_COUNT


def beside(**material: Any) -> dict[str, Any]:
    return bundle(message(IMAGE), **material)


@each(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param({}, id="an empty object"),
        pytest.param({"mediaType": V03, **message(IMAGE)}, id="no material"),
        pytest.param(bundle(message(IMAGE), media_type=1), id="a media type that is no string"),  # type: ignore[arg-type]
        pytest.param(bundle(message(IMAGE)) | {"verificationMaterial": []}, id="material that is a list"),
        pytest.param(bundle(message(IMAGE)) | {"MediaType": V01}, id="mediaType in another case"),
        pytest.param(bundle(message(IMAGE)) | {"DsseEnvelope": {}}, id="another content in another case"),
        pytest.param(bundle({"messageSignature": {}}), id="no signature"),
        pytest.param(bundle({"messageSignature": {"signature": "!"}}), id="a signature that is no base64"),
        pytest.param(bundle({"messageSignature": "x"}), id="a message that is no object"),
        pytest.param(bundle(message(IMAGE, messageDigest={"algorithm": "SHA2_256"})), id="a digest without its value"),
        pytest.param(bundle(message(IMAGE, messageDigest={"digest": "QQ=="})), id="a digest without its algorithm"),
        pytest.param(beside(publicKey={"hint": 1}), id="a hint that is no string"),
        pytest.param(beside(publicKey="x"), id="a key that is no object"),
        pytest.param(beside(tlogEntries={}), id="log entries that are no list"),
        pytest.param(beside(tlogEntries=["x"]), id="a log entry that is no object"),
        pytest.param(beside(tlogEntries=[{}] * 33), id="14 33 log entries"),
        pytest.param(beside(timestampVerificationData={"rfc3161Timestamps": [{"signedTimestamp": ""}] * 33}), id="14 33 timestamps"),
        pytest.param(beside(timestampVerificationData={"rfc3161Timestamps": [{}]}), id="an empty timestamp"),
        pytest.param(beside(publicKey=None, certificate={}), id="an empty certificate"),
        pytest.param(
            bundle(message(IMAGE), media_type=V02, publicKey=None, x509CertificateChain={"certificates": [CERTIFICATE] * 9}), id="9"
        ),
        pytest.param(json.dumps(bundle(message(IMAGE))).encode() + b"{}", id="something behind it"),
    ],
)
def test_what_is_no_bundle(value: Any) -> None:
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    assert code(value) is Code.BUNDLE_MALFORMED


@pytest.mark.parametrize("key", [{}, {"hint": None}, {"hint": ""}])
def test_a_key_without_a_hint_is_a_key(key: dict[str, Any]) -> None:
    offer = read(beside(publicKey=key))
    assert offer.material.by_key
    assert not offer.material.hint


def test_limits_are_met_exactly() -> None:
    stamps = {"rfc3161Timestamps": [{"signedTimestamp": "QQ=="}] * 32}
    assert code(beside(tlogEntries=[{}] * 32, timestampVerificationData=stamps)) is None


def test_an_envelope_in_a_bundle_that_is_none() -> None:
    assert code(bundle({"dsseEnvelope": "x"})) is Code.DSSE_MALFORMED


def test_protobuf_names_that_nobody_knows_are_passed_over() -> None:
    value = bundle(message(IMAGE) | {"later": 1})
    value["verificationMaterial"]["later"] = {}
    assert SigstoreBundle.parse(json.dumps(value).encode()).version == "0.3"
