"""A Notary Project of one's own, made from a seed: stores, signers, envelopes in both forms, revocation lists.

As in the synthetic Sigstore beside it, all is right but for what a test asks to be wrong.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bundler.errors import BundlerError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.trust.notation.envelope import COSE, JWS, SignatureEnvelope
from bundler.trust.notation.revocation import Crl
from bundler.trust.notation.steps import check_payload, prove
from bundler.trust.notation.store import Store, StoreType
from bundler.trust.notation.subject import Subject
from tests.support import cms
from tests.support.world import AT, FOREVER, Hash, Issued, Private, World, canonical, issue, name, usage

WORLD = World("notary")
PREFIX = "io.cncf.notary."
CONTENT_TYPE = "application/vnd.cncf.notary.payload.v1+json"
MANIFEST = b'{"schemaVersion":2}'
DESCRIPTOR = Descriptor.of(MANIFEST, "application/vnd.oci.image.manifest.v1+json")
SUBJECT = name("release", (NameOID.COUNTRY_NAME, "DE"), (NameOID.STATE_OR_PROVINCE_NAME, "BY"))
CA_USAGE = usage(key_cert_sign=True, crl_sign=True)
LEAF_USAGE = usage(digital_signature=True)
CDP = x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example/a.crl")], None, None, None)])


def root_of(
    who: str = "root",
    *,
    window: tuple[datetime, datetime] = FOREVER,
    path_length: int | None = None,
    constraints: tuple[bool, bool] | None = (True, True),
    key_usage: tuple[x509.KeyUsage, bool] | None = (CA_USAGE, True),
    key: Private | None = None,
    **signing: Any,
) -> Issued:
    key = key or WORLD.key(who)
    return issue(name(who), key, None, window=window, extensions=_ca(path_length, constraints, key_usage), **signing)


def issuer_of(
    root: Issued,
    who: str = "issuer",
    *,
    window: tuple[datetime, datetime] = FOREVER,
    path_length: int | None = None,
    constraints: tuple[bool, bool] | None = (True, True),
    key_usage: tuple[x509.KeyUsage, bool] | None = (CA_USAGE, True),
    subject: x509.Name | None = None,
    more: Iterable[tuple[x509.ExtensionType, bool]] = (),
    **signing: Any,
) -> Issued:
    extensions = [*_ca(path_length, constraints, key_usage), *more]
    return issue(subject or name(who), WORLD.key(who), root, window=window, extensions=extensions, **signing)


def _ca(path_length: int | None, constraints: tuple[bool, bool] | None, key_usage: tuple[x509.KeyUsage, bool] | None) -> list[Any]:
    extensions = [(x509.BasicConstraints(constraints[0], path_length if constraints[0] else None), constraints[1])] if constraints else []
    return [*extensions, *([key_usage] if key_usage else [])]


def leaf_of(
    issuer: Issued | None,
    *,
    key: Private | None = None,
    window: tuple[datetime, datetime] = FOREVER,
    key_usage: tuple[x509.KeyUsage, bool] | None = (LEAF_USAGE, True),
    purposes: Sequence[x509.ObjectIdentifier] | None = (ExtendedKeyUsageOID.CODE_SIGNING,),
    ca: bool | None = None,
    subject: x509.Name = SUBJECT,
    more: Iterable[tuple[x509.ExtensionType, bool]] = (),
    **signing: Any,
) -> Issued:
    extensions: list[Any] = [*([key_usage] if key_usage else []), *more]
    extensions += [(x509.ExtendedKeyUsage(purposes), False)] if purposes else []
    extensions += [(x509.BasicConstraints(ca=ca, path_length=None), True)] if ca is not None else []
    return issue(subject, key or WORLD.key("signer"), issuer, window=window, extensions=extensions, **signing)


ROOT = root_of()
ISSUER = issuer_of(ROOT)
LEAF = leaf_of(ISSUER)
STORE = Store("release", StoreType.CA, (ROOT.ours,))
AUTHORITY_STORE = Store("authority", StoreType.SIGNING_AUTHORITY, (ROOT.ours,))
TSA_STORE = Store("stamps", StoreType.TSA, (WORLD.tsa_ca.ours,))


def store_of(*certificates: Issued, crls: Iterable[bytes] = (), kind: StoreType = StoreType.CA) -> Store:
    return Store.parse("release", kind, [certificate.der for certificate in certificates], list(crls))


def payload_of(**wrong: Any) -> bytes:
    target = {"mediaType": DESCRIPTOR.media_type, "digest": str(DESCRIPTOR.digest), "size": DESCRIPTOR.size}
    return canonical({"targetArtifact": target | wrong})


OTHER_DIGEST = str(Digest.of(b"another"))


LABELS = {"PS256": -37, "ES384": -35, "none": 0}


@dataclass(frozen=True)
class Signing:
    """How an envelope is made; the members are what a test may want otherwise."""

    chain: tuple[Issued, ...] = (LEAF, ISSUER, ROOT)
    payload: bytes = field(default_factory=payload_of)
    scheme: str = "notary.x509"
    headers: Mapping[Any, Any] = field(default_factory=dict)
    """Laid over the protected ones; None takes one away."""
    critical: Sequence[Any] | None = None
    algorithm: str | None = None
    time: datetime = AT
    expiry: datetime | None = None
    stamp: Mapping[str, Any] | None = None
    """What is wrong with the timestamp; None for none."""
    signed_with: Private | None = None
    break_signature: Any = None
    certificates: Sequence[Any] | None = None

    @property
    def names(self) -> tuple[str, Hash, int]:
        key = self.chain[0].key
        size = key.key_size if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) else 0
        known: dict[int, tuple[str, Hash, int]] = {
            2048: ("PS256", hashes.SHA256(), -37),
            3072: ("PS384", hashes.SHA384(), -38),
            4096: ("PS512", hashes.SHA512(), -39),
            256: ("ES256", hashes.SHA256(), -7),
            384: ("ES384", hashes.SHA384(), -35),
            521: ("ES512", hashes.SHA512(), -36),
        }
        return known.get(size, ("ES256", hashes.SHA256(), -7))

    @property
    def time_name(self) -> str:
        return f"{PREFIX}{'signingTime' if self.scheme == 'notary.x509' else 'authenticSigningTime'}"

    @property
    def crit(self) -> Sequence[Any]:
        if self.critical is not None:
            return self.critical
        authentic = [self.time_name] if self.time_name.endswith("authenticSigningTime") else []
        return [f"{PREFIX}signingScheme", *authentic, *([f"{PREFIX}expiry"] if self.expiry else [])]

    def sign(self, data: bytes) -> bytes:
        key = self.signed_with or self.chain[0].key
        by = self.names[1]
        if isinstance(key, rsa.RSAPrivateKey):
            signature = key.sign(data, padding.PSS(padding.MGF1(by), padding.PSS.DIGEST_LENGTH), by)
        elif isinstance(key, ec.EllipticCurvePrivateKey):
            r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(by, deterministic_signing=True)))
            size = (key.key_size + 7) // 8
            signature = r.to_bytes(size, "big") + s.to_bytes(size, "big")
        else:
            signature = key.sign(data)
        return self.break_signature(signature) if self.break_signature else signature

    def token(self, signature: bytes) -> bytes | None:
        if self.stamp is None:
            return None
        wrong = dict(self.stamp)
        tsa = wrong.pop("tsa", WORLD.tsa)
        info = cms.tst_info(wrong.pop("of", signature), wrong.pop("at", AT), **wrong.pop("info", {}))
        return cms.token(info, wrong.pop("key", tsa.key), tsa.certificate, embedded=wrong.pop("embedded", [tsa.certificate]), **wrong)

    def jws(
        self, *, outer: Mapping[str, Any] | None = None, unprotected: Mapping[str, Any] | None = None, protected: bytes | None = None
    ) -> bytes:
        headers: dict[Any, Any] = {
            "alg": self.algorithm or self.names[0],
            "cty": CONTENT_TYPE,
            "crit": self.crit,
            f"{PREFIX}signingScheme": self.scheme,
            self.time_name: f"{self.time:%Y-%m-%dT%H:%M:%SZ}",
        }
        headers |= {f"{PREFIX}expiry": f"{self.expiry:%Y-%m-%dT%H:%M:%SZ}"} if self.expiry else {}
        headers = {key: value for key, value in (headers | dict(self.headers)).items() if value is not None}
        first, second = b64url(protected or json.dumps(headers).encode()), b64url(self.payload)
        signature = self.sign(f"{first}.{second}".encode())
        certificates = self.certificates if self.certificates is not None else [base64.b64encode(c.der).decode() for c in self.chain]
        header: dict[str, Any] = {"x5c": certificates, f"{PREFIX}signingAgent": "tests"}
        if (token := self.token(signature)) is not None:
            header[f"{PREFIX}timestampSignature"] = base64.b64encode(token).decode()
        value = {"payload": second, "protected": first, "header": header | dict(unprotected or {}), "signature": b64url(signature)}
        return json.dumps(value | dict(outer or {})).encode()

    def cose(self, *, protected: bytes | None = None, tag: int = 18, unprotected: Mapping[Any, Any] | None = None) -> bytes:
        headers: dict[Any, Any] = {
            1: LABELS[self.algorithm] if self.algorithm else self.names[2],
            2: list(self.crit),
            3: CONTENT_TYPE,
            f"{PREFIX}signingScheme": self.scheme,
            self.time_name: Epoch(int(self.time.timestamp())),
        }
        headers |= {f"{PREFIX}expiry": Epoch(int(self.expiry.timestamp()))} if self.expiry else {}
        headers = {key: value for key, value in (headers | dict(self.headers)).items() if value is not None}
        raw = cbor(headers) if protected is None else protected
        signature = self.sign(cbor(["Signature1", raw, b"", self.payload]))
        certificates = self.certificates if self.certificates is not None else [c.der for c in self.chain]
        header: dict[Any, Any] = {33: certificates, f"{PREFIX}signingAgent": "tests"}
        if (token := self.token(signature)) is not None:
            header[f"{PREFIX}timestampSignature"] = token
        return bytes([0xC0 | tag]) + cbor([raw, header | dict(unprotected or {}), self.payload, signature]) if tag < 24 else b""

    def envelope(self, media_type: str = JWS) -> SignatureEnvelope:
        return SignatureEnvelope.parse(self.jws() if media_type == JWS else self.cose(), media_type)


FORMS = (JWS, COSE)


@dataclass(frozen=True)
class Epoch:
    """Seconds since 1970, as COSE writes a time."""

    seconds: int


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def head(major: int, number: int) -> bytes:
    for short, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if number < 24:
            return bytes([major << 5 | number])
        if number < 1 << 8 * size:
            return bytes([major << 5 | short]) + number.to_bytes(size, "big")
    raise OverflowError(number)


def cbor(value: Any) -> bytes:
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case None:
            return b"\xf6"
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case bytes():
            return head(2, len(value)) + value
        case str():
            return head(3, len(value.encode())) + value.encode()
        case list() | tuple():
            return head(4, len(value)) + b"".join(map(cbor, value))
        case Mapping():
            return head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
        case Epoch():
            return b"\xc1" + cbor(value.seconds)
    raise TypeError(value)


def crl_of(
    issuer: Issued,
    *revoked: Issued,
    window: tuple[datetime, datetime | None] = (AT - timedelta(days=1), AT + timedelta(days=1)),
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    invalidity: datetime | None = None,
    key: Private | None = None,
    by: Hash | None = None,
    issuer_name: x509.Name | None = None,
) -> bytes:
    """A revocation list in DER."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer_name or issuer.certificate.subject).last_update(window[0])
    builder = builder.next_update(window[1] or AT)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.certificate.serial_number).revocation_date(AT)
        if invalidity:
            entry = entry.add_extension(x509.InvalidityDate(invalidity), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(key or issuer.key, by or hashes.SHA256()).public_bytes(Encoding.DER)


def crl(issuer: Issued, *revoked: Issued, **wrong: Any) -> Crl:
    return Crl.parse(crl_of(issuer, *revoked, **wrong))


def thumbprint(issued: Issued) -> str:
    return hashlib.sha256(issued.der).hexdigest()


SIGNING = Signing(stamp={}, expiry=AT + timedelta(days=1))


def judged(raw: bytes, form: str) -> bool:
    """Whether it is proved; every other end is one of our errors."""
    try:
        envelope = SignatureEnvelope.parse(raw, form)
        prove(envelope, STORE, Subject.parse("*"), tsa=TSA_STORE, at=AT)
        check_payload(envelope, DESCRIPTOR)
    except BundlerError:
        return False
    return True
