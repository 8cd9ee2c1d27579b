"""A Sigstore of one's own, made from a seed: authorities, logs, a timestamp authority, and signatures under them.

Everything that it makes is right but for what a test asks to be wrong: what is asked for early flows into what is made
later, so that a certificate with a fault is logged, promised and stamped as any other, and exactly one thing is wrong.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from bundler.errors import Code
from bundler.trust.dsse import pae
from bundler.trust.keys import PublicKey, Signed
from bundler.trust.sigstore.entry import Entry
from bundler.trust.sigstore.item import Item
from bundler.trust.sigstore.protojson import Message
from bundler.trust.sigstore.root import TrustedRoot
from bundler.trust.x509 import Certificate
from tests.support import cms
from tests.support.rsakeys import rsa_key

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
YEAR = timedelta(days=365)
FOREVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))

IDENTITY = "https://forge.example/team/app/.github/workflows/release.yaml@refs/heads/main"
ISSUER = "https://token.forge.example"
CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
FULCIO = "1.3.6.1.4.1.57264.1."
NO_USAGE = dict.fromkeys(
    (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    ),
    False,
)

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | mldsa.MLDSA44PrivateKey
Hash = hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512
Edit = Callable[[dict[str, Any]], dict[str, Any] | None]


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def spki(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pem(key: Private) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def name(common: str, *more: tuple[ObjectIdentifier, str]) -> x509.Name:
    parts = [(NameOID.ORGANIZATION_NAME, "world.example"), *more, (NameOID.COMMON_NAME, common)]
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])


def sign(key: Private, data: bytes, by: Hash | None = None) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), by or hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(by or hashes.SHA256(), deterministic_signing=True))
    return key.sign(data)


def usage(**true: bool) -> x509.KeyUsage:
    return x509.KeyUsage(**(NO_USAGE | true))


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Private

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def ours(self) -> Certificate:
        return Certificate.parse(self.der)


def issue(
    subject: x509.Name,
    key: Private,
    issuer: Issued | None,
    *,
    window: tuple[datetime, datetime] = FOREVER,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    by: Hash | None = None,
    issuer_name: x509.Name | None = None,
    signing_key: Private | None = None,
) -> Issued:
    """A certificate by ``issuer``, self-signed where there is none."""
    signer = signing_key or (issuer.key if issuer else key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name or (issuer.certificate.subject if issuer else subject))
        .public_key(key.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(spki(key) + subject.public_bytes()).digest()[:10], "big"))
        .not_valid_before(window[0])
        .not_valid_after(window[1])
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    deterministic = isinstance(signer, ec.EllipticCurvePrivateKey)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else by or hashes.SHA256()
    return Issued(builder.sign(signer, algorithm, ecdsa_deterministic=True if deterministic else None), key)


def authority_extensions(
    key: Private, issuer: Private, *purposes: ObjectIdentifier, path_length: int | None = None, **changed: Any
) -> list[Any]:
    extensions: list[Any] = [
        (x509.BasicConstraints(ca=changed.get("ca", True), path_length=path_length if changed.get("ca", True) else None), True),
        (changed.get("usage", usage(key_cert_sign=True, crl_sign=True)), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), False),
    ]
    return [*extensions, (x509.ExtendedKeyUsage(purposes), False)] if purposes else extensions


class World:
    """One Sigstore. All keys but RSA's come from the seed, so a run can be repeated."""

    def __init__(self, seed: str = "world") -> None:
        self.seed = seed
        self._keys: dict[str, Any] = {}

    # Keys

    def key(self, who: str, curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
        number = int.from_bytes(hashlib.sha512(f"{self.seed}/{who}".encode()).digest()[:31], "big") + 1
        return ec.derive_private_key(number, curve or ec.SECP256R1())

    def ed(self, who: str) -> ed25519.Ed25519PrivateKey:
        return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{self.seed}/{who}".encode()).digest())

    def rsa_key(self, who: str, bits: int = 2048) -> rsa.RSAPrivateKey:
        return rsa_key(who, bits)

    # Authorities

    @cached_property
    def ca(self) -> Issued:
        key = self.key("ca")
        return issue(name("root"), key, None, extensions=authority_extensions(key, key))

    @cached_property
    def intermediate(self) -> Issued:
        return self.intermediate_of()

    def intermediate_of(
        self, *, window: tuple[datetime, datetime] = FOREVER, purposes: Sequence[ObjectIdentifier] = (CODE_SIGNING,), **changed: Any
    ) -> Issued:
        key = self.key("intermediate")
        extensions = authority_extensions(key, self.ca.key, *purposes, path_length=0, **changed)
        return issue(name("intermediate"), key, self.ca, window=window, extensions=extensions)

    @cached_property
    def tsa_ca(self) -> Issued:
        key = self.key("tsa ca")
        return issue(name("timestamp root"), key, None, extensions=authority_extensions(key, key))

    @cached_property
    def tsa(self) -> Issued:
        return self.tsa_of()

    def tsa_of(
        self,
        *,
        key: Private | None = None,
        issuer: Issued | None = None,
        window: tuple[datetime, datetime] = FOREVER,
        purposes: Sequence[ObjectIdentifier] = (TIME_STAMPING,),
        critical: bool = True,
        ca: bool = False,
        common: str = "timestamps",
        subject: x509.Name | None = None,
        key_id: bool = True,
    ) -> Issued:
        key = key or self.key("tsa")
        issuer = issuer or self.tsa_ca
        extensions: list[Any] = [
            (x509.BasicConstraints(ca=ca, path_length=None), True),
            (usage(digital_signature=True), True),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False),
        ]
        extensions += [(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)] if key_id else []
        extensions += [(x509.ExtendedKeyUsage(purposes), critical)] if purposes else []
        return issue(subject or name(common), key, issuer, window=window, extensions=extensions)

    # Logs

    REKOR = "rekor.world.example"
    TILES = "tiles.world.example"
    CT = "ct.world.example"

    @cached_property
    def rekor(self) -> ec.EllipticCurvePrivateKey:
        return self.key("rekor")

    @cached_property
    def tiles(self) -> ed25519.Ed25519PrivateKey:
        return self.ed("tiles")

    @cached_property
    def ct(self) -> ec.EllipticCurvePrivateKey:
        return self.key("ct")

    @property
    def rekor_id(self) -> bytes:
        return hashlib.sha256(spki(self.rekor)).digest()

    @property
    def tiles_id(self) -> bytes:
        return note_id(self.TILES, self.tiles)

    # The root

    def root_json(self) -> dict[str, Any]:
        """A trusted root, to be edited."""
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [log_json(f"https://{self.REKOR}", self.rekor), log_json(f"https://{self.TILES}", self.tiles, self.tiles_id)],
            "certificateAuthorities": [authority_json("https://fulcio.world.example", self.intermediate, self.ca)],
            "ctlogs": [log_json(f"https://{self.CT}", self.ct)],
            "timestampAuthorities": [authority_json("https://tsa.world.example", self.tsa, self.tsa_ca)],
        }

    def root(self, edit: Edit | None = None) -> TrustedRoot:
        value = self.root_json()
        return TrustedRoot.parse(canonical((edit(value) if edit else None) or value))

    # Signers

    def leaf(
        self,
        *,
        key: Private | None = None,
        issuer: Issued | None = None,
        window: tuple[datetime, datetime] = (AT - MINUTE, AT + 9 * MINUTE),
        ca: bool | None = None,
        key_usage: x509.KeyUsage | bool | None = None,
        purposes: Sequence[ObjectIdentifier] | None = (CODE_SIGNING,),
        names: Sequence[x509.GeneralName] | None = None,
        claims: Mapping[str, bytes | str] | None = None,
        scts: Sequence[Mapping[str, Any]] = ({},),
        subject: x509.Name | None = None,
        more: Iterable[tuple[x509.ExtensionType, bool]] = (),
        **signing: Any,
    ) -> Issued:
        """A Fulcio certificate. ``claims`` by the last number of their OID: text becomes DER from 7 on, bytes stay."""
        key = key or self.key("leaf")
        issuer = issuer or self.intermediate
        extensions: list[Any] = [
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False),
            *more,
        ]
        extensions += [(key_usage or usage(digital_signature=True), True)] if key_usage is not False else []
        extensions += [(x509.ExtendedKeyUsage(purposes), False)] if purposes is not None else []
        extensions += [(x509.BasicConstraints(ca=ca, path_length=None), True)] if ca is not None else []
        names = [x509.UniformResourceIdentifier(IDENTITY)] if names is None else names
        extensions += [(x509.SubjectAlternativeName(names), True)] if names else []
        for number, text in ({"1": ISSUER, "8": ISSUER} if claims is None else claims).items():
            raw = text if isinstance(text, bytes) else text.encode() if int(number) < 7 else cms.tlv(0x0C, text.encode())
            extensions.append((x509.UnrecognizedExtension(ObjectIdentifier(f"{FULCIO}{number}"), raw), False))
        subject = subject or x509.Name([])

        def issued(extensions: list[Any]) -> Issued:
            return issue(subject, key, issuer, window=window, extensions=extensions, **signing)

        if not scts:
            return issued(extensions)
        unlogged = issued(extensions).certificate.tbs_certificate_bytes
        promises = [self.sct(unlogged, issuer, **sct) for sct in scts]
        listed = b"".join(len(p).to_bytes(2, "big") + p for p in promises)
        sct_list = x509.UnrecognizedExtension(SCT_LIST, cms.octets(len(listed).to_bytes(2, "big") + listed))
        return issued([*extensions, (sct_list, False)])

    def sct(self, tbs: bytes, issuer: Issued, **wrong: Any) -> bytes:
        """``key``, ``id``, ``time``, ``extensions``, ``issuer_spki``, ``by``, ``named``, ``broken``: what differs."""
        key: Private = wrong.get("key", self.ct)
        log_id: bytes = wrong.get("id") or hashlib.sha256(spki(key)).digest()
        stamp = int(wrong.get("time", AT).timestamp() * 1000).to_bytes(8, "big")
        told: bytes = wrong.get("extensions", b"")
        extensions = len(told).to_bytes(2, "big") + told
        issuer_hash = hashlib.sha256(wrong.get("issuer_spki") or spki(issuer.key)).digest()
        signed = b"\0\0" + stamp + b"\0\1" + issuer_hash + len(tbs).to_bytes(3, "big") + tbs + extensions
        by: Hash = wrong.get("by", hashes.SHA256())
        signature = sign(key, signed, by)
        signature = bytes([*signature[:-1], signature[-1] ^ 1]) if wrong.get("broken") else signature
        hash_id = {"sha256": 4, "sha384": 5}[wrong.get("named", by.name)]
        kind = 1 if isinstance(key, rsa.RSAPrivateKey) else 3
        return b"\0" + log_id + stamp + extensions + bytes([hash_id, kind]) + len(signature).to_bytes(2, "big") + signature

    # Signatures

    def signed(self, message: bytes = b"an artifact", *, leaf: Issued | None = None, **more: Any) -> "Signature":
        """A signature over ``message`` by the holder of a certificate."""
        leaf = leaf or self.leaf()
        return Signature(self, message, leaf, **more)

    def attested(self, payload: bytes, *, payload_type: str = "application/vnd.in-toto+json", **more: Any) -> "Signature":
        """One over a DSSE envelope."""
        return self.signed(pae(payload_type, payload).whole, payload=payload, payload_type=payload_type, **more)


def note_id(log: str, key: ed25519.Ed25519PrivateKey) -> bytes:
    return hashlib.sha256(log.encode() + b"\n\x01" + key.public_key().public_bytes_raw()).digest()


def log_json(url: str, key: Any, log_id: bytes | None = None) -> dict[str, Any]:
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": b64(spki(key)), "keyDetails": "…", "validFor": {"start": "2020-01-01T00:00:00Z"}},
        "logId": {"keyId": b64(log_id or hashlib.sha256(spki(key)).digest())},
    }


def authority_json(uri: str, *chain: Issued) -> dict[str, Any]:
    return {
        "subject": {"organization": "world.example", "commonName": "…"},
        "uri": uri,
        "certChain": {"certificates": [{"rawBytes": b64(issued.der)} for issued in chain]},
        "validFor": {"start": "2020-01-01T00:00:00Z"},
    }


@dataclass
class Signature:
    """A signature, and what can be made to speak for it."""

    world: World
    message: bytes
    leaf: Issued
    payload: bytes | None = None
    payload_type: str | None = None
    envelope: bytes | None = None
    pinned: bool = False
    """By the leaf's key without its certificate."""
    by: Hash = field(default_factory=hashes.SHA256)
    details: str = "PKIX_ECDSA_P256_SHA_256"
    _signature: bytes | None = None

    @property
    def signature(self) -> bytes:
        if self._signature is None:
            self._signature = sign(self.leaf.key, self.message, self.by)
        return self._signature

    @property
    def public(self) -> PublicKey:
        return PublicKey.parse(pem(self.leaf.key), role="image")

    @property
    def verifier_pem(self) -> bytes:
        return pem(self.leaf.key) if self.pinned else self.leaf.pem

    # Log entries

    def hashedrekord(self) -> dict[str, Any]:
        digest = hashlib.new(self.by.name, self.message).hexdigest()
        return {
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": self.by.name, "value": digest}},
                "signature": {"content": b64(self.signature), "publicKey": {"content": b64(self.verifier_pem)}},
            },
        }

    def dsse(self) -> dict[str, Any]:
        assert self.payload is not None
        return {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(self.envelope or b"as sent").hexdigest()},
                "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(self.payload).hexdigest()},
                "signatures": [{"signature": b64(self.signature), "verifier": b64(self.verifier_pem)}],
            },
        }

    def intoto(self) -> dict[str, Any]:
        assert self.payload is not None
        return {
            "apiVersion": "0.0.2",
            "kind": "intoto",
            "spec": {
                "content": {
                    "envelope": {
                        "payloadType": self.payload_type,
                        "signatures": [{"publicKey": b64(self.verifier_pem), "sig": b64(b64(self.signature).encode())}],
                    },
                    "hash": {"algorithm": "sha256", "value": hashlib.sha256(self.envelope or b"as sent").hexdigest()},
                    "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(self.payload).hexdigest()},
                },
            },
        }

    def intoto_1(self) -> dict[str, Any]:
        value = hashlib.sha256(self.envelope or b"as sent").hexdigest()
        return {
            "apiVersion": "0.0.1",
            "kind": "intoto",
            "spec": {"content": {"hash": {"algorithm": "sha256", "value": value}}, "publicKey": b64(self.verifier_pem)},
        }

    def hashedrekord_2(self) -> dict[str, Any]:
        hash_name = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}[self.by.name]
        data = {"algorithm": hash_name, "digest": b64(hashlib.new(self.by.name, self.message).digest())}
        return {
            "apiVersion": "0.0.2",
            "kind": "hashedrekord",
            "spec": {"hashedRekordV002": {"data": data, "signature": {"content": b64(self.signature), "verifier": self._proto_verifier()}}},
        }

    def dsse_2(self) -> dict[str, Any]:
        assert self.payload is not None
        digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(self.payload).digest())}
        signatures = [{"content": b64(self.signature), "verifier": self._proto_verifier()}]
        return {"apiVersion": "0.0.2", "kind": "dsse", "spec": {"dsseV002": {"payloadHash": digest, "signatures": signatures}}}

    def _proto_verifier(self) -> dict[str, Any]:
        if self.pinned:
            return {"keyDetails": self.details, "publicKey": {"rawBytes": b64(spki(self.leaf.key))}}
        return {"keyDetails": self.details, "x509Certificate": {"rawBytes": b64(self.leaf.der)}}

    def entry(
        self,
        body: dict[str, Any] | bytes | None = None,
        *,
        at: datetime = AT,
        key: Private | None = None,
        log_id: bytes | None = None,
        promise_key: Private | None = None,
        promised: Edit | None = None,
        proof: Edit | bool = True,
        promise: bool = True,
        **tree: Any,
    ) -> dict[str, Any]:
        """An entry of the old log, as a bundle has it: with a promise and a proof."""
        body = body if body is not None else self.hashedrekord() if self.payload is None else self.dsse()
        raw = body if isinstance(body, bytes) else canonical(body)
        key = key or self.world.rekor
        log_id = log_id or hashlib.sha256(spki(key)).digest()
        promised_value = {"body": b64(raw), "integratedTime": int(at.timestamp()), "logID": log_id.hex(), "logIndex": 1234567}
        promised_value = (promised(dict(promised_value)) if promised else None) or promised_value
        entry: dict[str, Any] = {
            "logIndex": "1234567",
            "logId": {"keyId": b64(log_id)},
            "kindVersion": kind_of(raw),
            "integratedTime": str(int(at.timestamp())),
            "canonicalizedBody": b64(raw),
        }
        if promise:
            entry["inclusionPromise"] = {"signedEntryTimestamp": b64(sign(promise_key or key, canonical(promised_value)))}
        if proof:
            edit = None if proof is True else proof
            entry["inclusionProof"] = inclusion(raw, key, origin=f"{World.REKOR} - 42", hint=log_id[:4], proof=edit, **tree)
        return entry

    def tile(
        self,
        body: dict[str, Any] | bytes | None = None,
        *,
        key: Private | None = None,
        log_id: bytes | None = None,
        origin: str = World.TILES,
        **tree: Any,
    ) -> dict[str, Any]:
        """An entry of the new log: a proof and no time."""
        body = body if body is not None else self.hashedrekord_2()
        raw = body if isinstance(body, bytes) else canonical(body)
        key = key or self.world.tiles
        log_id = log_id or (note_id(origin, key) if isinstance(key, ed25519.Ed25519PrivateKey) else hashlib.sha256(spki(key)).digest())
        return {
            "logIndex": "3",
            "logId": {"keyId": b64(log_id)},
            "kindVersion": kind_of(raw),
            "canonicalizedBody": b64(raw),
            "inclusionProof": inclusion(raw, key, origin=origin, hint=log_id[:4], **tree),
        }

    def annotation(self, body: dict[str, Any] | None = None, **wrong: Any) -> bytes:
        """An entry of the old log, as cosign writes it beside a layer."""
        entry = self.entry(body, **wrong)
        return canonical(
            {
                "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                "Payload": {
                    "body": entry["canonicalizedBody"],
                    "integratedTime": int(entry["integratedTime"]),
                    "logIndex": int(entry["logIndex"]),
                    "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
                },
            }
        )

    # Timestamps

    def stamp(
        self,
        of: bytes | None = None,
        *,
        at: datetime = AT,
        tsa: Issued | None = None,
        status: int = 0,
        info: Mapping[str, Any] | None = None,
        **token: Any,
    ) -> bytes:
        """A timestamp response."""
        tsa = tsa or self.world.tsa
        said = cms.tst_info(self.signature if of is None else of, at, **(info or {}))
        key = token.pop("key", tsa.key)
        return cms.response(cms.token(said, key, token.pop("certificate", tsa.certificate), **token), status=status)

    # The whole

    def item(
        self, entries: Iterable[dict[str, Any] | bytes] | None = None, stamps: Iterable[bytes] = (), *, version: str = "0.3", **changed: Any
    ) -> Item:
        """All together as it is judged; with an entry of the old log unless told otherwise."""
        entries = [self.entry()] if entries is None else entries
        wrong = Item(
            message=Signed(self.message),
            signature=self.signature,
            stamped=(self.signature,),
            payload=self.payload,
            envelope=self.envelope,
            certificate=None if self.pinned else self.leaf.ours,
            entries=tuple(read_entry(entry, version) for entry in entries),
            stamps=tuple(stamps),
        )
        return Item(**{slot: changed.get(slot, getattr(wrong, slot)) for slot in Item.__dataclass_fields__})


def read_entry(entry: dict[str, Any] | bytes, version: str = "0.3") -> Entry:
    if isinstance(entry, bytes):
        return Entry.of_annotation(entry)
    return Entry.of_bundle(Message.of(entry, what="a log entry", code=Code.TLOG_MALFORMED), version=version)


def kind_of(body: bytes) -> dict[str, str]:
    try:
        value = json.loads(body)
        return {"kind": value["kind"], "version": value["apiVersion"]}
    except (ValueError, KeyError, TypeError):
        return {"kind": "hashedrekord", "version": "0.0.1"}


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + tree_hash(leaves[:half]) + tree_hash(leaves[half:])).digest()


def tree_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*tree_path(leaves[:half], index), tree_hash(leaves[half:])]
    return [*tree_path(leaves[half:], index - half), tree_hash(leaves[:half])]


def note(text: str, *signatures: tuple[str, bytes, bytes]) -> str:
    """A signed note: ``text``, and lines of a name, a key's hint, a signature."""
    return text + "\n" + "".join(f"\u2014 {who} {b64(hint + signature)}\n" for who, hint, signature in signatures)


def inclusion(
    body: bytes,
    key: Private,
    *,
    origin: str,
    hint: bytes,
    place: int = 3,
    size: int = 7,
    checkpoint: Callable[[str], str] | None = None,
    checkpoint_key: Private | None = None,
    signer: str | None = None,
    extra_lines: str = "",
    proof: Edit | None = None,
) -> dict[str, Any]:
    """A proof that ``body`` lies at ``place`` in a log of ``size``, with the log's checkpoint."""
    leaves = [body if n == place else b"another entry %d" % n for n in range(size)]
    root = tree_hash(leaves)
    text = f"{origin}\n{size}\n{b64(root)}\n{extra_lines}"
    signed = note(text, (signer or origin.partition(" - ")[0], hint, sign(checkpoint_key or key, text.encode())))
    value = {
        "logIndex": str(place),
        "treeSize": str(size),
        "rootHash": b64(root),
        "hashes": [b64(node) for node in tree_path(leaves, place)],
        "checkpoint": {"envelope": checkpoint(signed) if checkpoint else signed},
    }
    return (proof(value) if proof else None) or value
