"""Signatures that notation itself made for its own tests, judged as it would and as of when we like."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bundler.errors import BundlerError, Code
from bundler.oci.descriptor import Descriptor
from bundler.trust.notation.chain import check_chain
from bundler.trust.notation.envelope import COSE, JWS, SignatureEnvelope
from bundler.trust.notation.revocation import check_revocation
from bundler.trust.notation.steps import check_payload, prove
from bundler.trust.notation.store import Store, StoreType
from bundler.trust.notation.subject import Subject
from bundler.trust.rfc3161 import TimestampToken
from bundler.trust.x509 import Certificate
from tests.support.cases import each
from tests.support.vectors import vectors

AT = datetime(2026, 3, 1, tzinfo=UTC)
ANYBODY = Subject.parse("*")


def read(name: str) -> bytes:
    return (vectors("notation") / name).read_bytes()


def store(*names: str, kind: StoreType = StoreType.CA, crls: tuple[str, ...] = ()) -> Store:
    return Store.parse("e2e", kind, [read(name) for name in names], [read(name) for name in crls])


def signatures(layout: str) -> list[tuple[Descriptor, str, bytes]]:
    """What each signature manifest of a layout is about, and its envelope."""
    blobs = vectors("notation") / "oci_layout" / layout / "blobs" / "sha256"
    found = []
    for path in sorted(blobs.iterdir()):
        manifest = json.loads(path.read_bytes()) if path.read_bytes().startswith(b'{"schemaVersion"') else {}
        if "subject" in manifest:
            (layer,) = manifest["layers"]
            envelope = (blobs / layer["digest"].removeprefix("sha256:")).read_bytes()
            found.append((Descriptor.from_json(manifest["subject"]), layer["mediaType"], envelope))
    return found


def ends(layout: str, *, by: Store, tsa: Store | None = None, at: datetime = AT) -> list[Code | None]:
    found: list[Code | None] = []
    for subject, media_type, raw in signatures(layout):
        try:
            envelope = SignatureEnvelope.parse(raw, media_type)
            prove(envelope, by, ANYBODY, tsa=tsa, at=at)
            check_payload(envelope, subject)
            found.append(None)
        except BundlerError as error:
            found.append(error.code)
    return found


@each(
    ("layout", "expected"),
    [
        ("e2e-valid-signature", [None]),
        ("e2e-valid-multiple-signatures", [None, Code.STORE_UNTRUSTED]),
        ("e2e-expired-signature", [Code.EXPIRY_EXPIRED]),
        ("e2e-with-expired-cert", [Code.X509_VALIDITY]),
        ("e2e-invalid-signature", [Code.ENVELOPE_MEDIA_TYPE]),
        ("e2e-with-timestamped-signature", [Code.STORE_UNTRUSTED]),
        ("e2e-with-invalid-timestamped-signature", [Code.STORE_UNTRUSTED]),
    ],
)
def test_a_layout_of_notation_ends_as_its_name_says(layout: str, expected: list[Code | None]) -> None:
    assert ends(layout, by=store("localkeys/e2e.crt", "localkeys/expired_e2e.crt")) == expected


def test_what_expired_had_been_good() -> None:
    by = store("localkeys/e2e.crt", "localkeys/expired_e2e.crt")
    then = datetime(2023, 6, 26, 12, tzinfo=UTC)
    assert ends("e2e-with-expired-cert", by=by, at=then) == [None]
    assert ends("e2e-expired-signature", by=by, at=then) == [None]


def test_another_key_of_the_same_kind_is_not_trusted() -> None:
    assert ends("e2e-valid-signature", by=store("localkeys/new_e2e.crt")) == [Code.STORE_UNTRUSTED]


def own_store(layout: str) -> Store:
    """A store with the root that the signature itself carries."""
    ((_, media_type, raw),) = signatures(layout)
    return Store("own", StoreType.CA, (SignatureEnvelope.parse(raw, media_type).chain[-1],))


def test_timestamps_of_public_authorities_need_their_roots() -> None:
    """Microsoft's root is not among the vectors, and a token that is none is no token of anybody."""
    roots = store("timestamp/DigiCertTSARootSHA384.cer", "timestamp/globalsignTSARoot.cer", kind=StoreType.TSA)
    good, bad = "e2e-with-timestamped-signature", "e2e-with-invalid-timestamped-signature"
    then = datetime(2025, 1, 21, 10, tzinfo=UTC)
    assert ends(good, by=own_store(good), tsa=roots, at=then) == [Code.X509_CHAIN]
    assert ends(bad, by=own_store(bad), tsa=roots, at=then) != [None]
    assert ends(good, by=own_store(good), at=then) == [None]


def test_a_token_of_a_public_authority_verifies_up_to_its_root() -> None:
    """Of Microsoft's, taking the anchor that the token itself carries: chain, attributes, signature, imprint and accuracy."""
    ((_, media_type, raw),) = signatures("e2e-with-timestamped-signature")
    envelope = SignatureEnvelope.parse(raw, media_type)
    assert envelope.timestamp
    token = TimestampToken.parse(envelope.timestamp)
    top = next(
        c for c in token.certificates if not any(c.subject == other.issuer and c != other for other in token.certificates) or c.is_ca
    )
    anchors = Store("microsoft", StoreType.TSA, (top,))
    stamp = token.verified((envelope.signature,), anchors.authorities, chains=True)
    assert stamp.time == datetime(2025, 1, 21, 9, 17, 46, 641000, tzinfo=UTC)
    assert stamp.accuracy.total_seconds() == 0.5


@pytest.mark.parametrize(("name", "media_type"), [("blob.jws.sig", JWS), ("blob.cose.sig", COSE)])
def test_an_envelope_of_a_blob_is_read_too(name: str, media_type: str) -> None:
    envelope = SignatureEnvelope.parse(read(f"signatures/{name}"), media_type)
    envelope.check_signature()
    check_chain(envelope.chain)
    assert b'"mediaType":"application/octet-stream"' in envelope.payload


def test_an_envelope_that_is_none() -> None:
    with pytest.raises(BundlerError):
        SignatureEnvelope.parse(read("signatures/malformed.jws.sig"), JWS)


@each(
    ("crls", "code"),
    [
        ((), Code.REVOCATION_UNAVAILABLE),
        (("crl/leaf.crl",), Code.REVOCATION_UNAVAILABLE),
        (("crl/leaf.crl", "crl/intermediate.crl"), None),
        (("crl/leaf_expired.crl", "crl/intermediate.crl"), Code.REVOCATION_UNAVAILABLE),
        (("crl/leaf_revoked.crl", "crl/intermediate.crl"), Code.REVOCATION_REVOKED),
        (("crl/leaf.crl", "crl/intermediate_revoked.crl"), Code.REVOCATION_REVOKED),
    ],
)
def test_notations_own_revocation_lists(crls: tuple[str, ...], code: Code | None) -> None:
    """N-14."""
    chain = Certificate.parse_pem(read("crl/certchain_with_crl.pem"))
    lists = store("crl/root.crt", crls=crls).crls
    try:
        check_revocation(chain, lists, at=AT, signed=None)
        found = None
    except BundlerError as error:
        found = error.code
    assert found is code


@each(
    ("name", "code"),
    [
        ("DigiCertTSARootSHA384.cer", None),
        ("globalsignTSARoot.cer", None),
        ("CertChain.pem", Code.TRUST_STORE),
        ("intermediate.pem", Code.TRUST_STORE),
        ("notSelfIssued.crt", Code.TRUST_STORE),
        ("Empty.txt", Code.FORMAT_DER),
        ("invalid.crt", Code.FORMAT_PEM),
    ],
)
def test_a_store_of_timestamp_authorities_takes_roots_alone(name: str, code: Code | None) -> None:
    """N-9."""
    try:
        store(f"timestamp/{name}", kind=StoreType.TSA)
        found = None
    except BundlerError as error:
        found = error.code
    assert found is code


def test_the_vectors_are_where_the_tests_look() -> None:
    assert isinstance(vectors("notation"), Path)
