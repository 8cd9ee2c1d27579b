"""Keys, signatures and attestations of every form, policies that pin them, and the evidence that a station would find.

key = Key.p256()
scene = Scene.of_image()
scene.content.sig(scene.root.digest, signed(scene.root, key))
verdict = scene.judge(policy(rule(key)))
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document, Manifest
from bundler.oci.reference import Reference
from bundler.trust import ed25519 as points
from bundler.trust import trusttoml
from bundler.trust.evidence import MAX_EVIDENCE, Evidence, Image
from bundler.trust.judge import judge
from bundler.trust.keys import PublicKey, Role
from bundler.trust.policy import Policy
from bundler.trust.proven import attestations, borrows, is_proven, named_layers
from bundler.trust.verdict import Check, Outcome, Verdict
from tests.support.layouts import Content
from tests.support.rsakeys import rsa_key

AT = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "registry.example/app:v1"
REPOSITORY = "registry.example/app"
SPDX = "https://spdx.dev/Document"
SLSA = "https://slsa.dev/provenance/v1"
SIGN = "https://sigstore.dev/cosign/sign/v1"
IN_TOTO = "application/vnd.in-toto+json"
PrivateKey = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | rsa.RSAPrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
_CURVES = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1(), "secp256k1": ec.SECP256K1()}
_ML_DSA: dict[str, Callable[[bytes], PrivateKey]] = {
    "mldsa44": mldsa.MLDSA44PrivateKey.from_seed_bytes,
    "mldsa65": mldsa.MLDSA65PrivateKey.from_seed_bytes,
    "mldsa87": mldsa.MLDSA87PrivateKey.from_seed_bytes,
}

# --- keys ---


@dataclass(frozen=True)
class Key:
    """A private key; signs as its kind does unless told otherwise."""

    kind: str
    private: PrivateKey = field(repr=False)

    @classmethod
    def of(cls, kind: str, number: int = 1) -> "Key":
        """``p256``, ``p384``, ``p521``, ``ed25519``, ``rsa2048`` …, ``mldsa44`` …: the same key for the same number."""
        if kind in _CURVES:
            return cls(kind, ec.derive_private_key(0xA11CE + number, _CURVES[kind]))
        if kind == "ed25519":
            return cls(kind, ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"%d" % number).digest()))
        if kind in _ML_DSA:
            return cls(kind, _ML_DSA[kind](hashlib.sha256(b"%d" % number).digest()))
        return cls(kind, rsa_key(str(number), int(kind.removeprefix("rsa"))))

    @property
    def spki(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    @property
    def public(self) -> PublicKey:
        return self.parsed("image")

    def parsed(self, role: Role) -> PublicKey:
        return PublicKey.parse(self.pem, role=role)

    @property
    def fingerprint(self) -> str:
        return f"sha256:{hashlib.sha256(self.spki).hexdigest()}"

    @property
    def hint(self) -> str:
        return b64(hashlib.sha256(self.spki).digest())

    def sign(self, data: bytes, *, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
        match self.private:
            case ec.EllipticCurvePrivateKey():
                return self.private.sign(data, ec.ECDSA(algorithm or hashes.SHA256(), deterministic_signing=True))
            case rsa.RSAPrivateKey():
                return self.private.sign(data, padding.PKCS1v15(), algorithm or hashes.SHA256())
        return self.private.sign(data)

    def sign_prehashed(self, data: bytes) -> bytes:
        """Ed25519ph, as cosign 3 signs (RFC 8032, section 5.1.6)."""
        assert isinstance(self.private, ed25519.Ed25519PrivateKey)
        expanded = hashlib.sha512(self.private.private_bytes_raw()).digest()
        scalar = int.from_bytes(expanded[:32], "little") & ((1 << 254) - 8) | (1 << 254)
        nonce = _reduced(points._DOM2, expanded[32:], hashlib.sha512(data).digest())
        return ed25519ph(scalar, points._encode(points._times(nonce, points._BASE)), nonce, data)


def ed25519ph(scalar: int, commitment: bytes, nonce: int, data: bytes) -> bytes:
    """The second half of signing, for commitments that no honest signer makes."""
    public = points._encode(points._times(scalar, points._BASE))
    challenge = _reduced(points._DOM2, commitment, public, hashlib.sha512(data).digest())
    return commitment + ((nonce + challenge * scalar) % points._L).to_bytes(32, "little")


def _reduced(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % points._L


P256 = Key.of("p256")
OTHER = Key.of("p256", 2)
THIRD = Key.of("p256", 3)
EXPORTER = Key.of("p256", 9)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pem(der: bytes, label: str = "PUBLIC KEY") -> bytes:
    """DER as a block of PEM, with whatever label."""
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


# --- what is signed ---


def payload(subject: Document | Digest | str, *, reference: str = REPOSITORY, kind: str = "cosign container image signature") -> bytes:
    """A simple signing payload as cosign writes it."""
    digest = str(subject.digest if isinstance(subject, Document) else subject)
    critical = {"identity": {"docker-reference": reference}, "image": {"docker-manifest-digest": digest}, "type": kind}
    return json.dumps({"critical": critical, "optional": None}, separators=(",", ":")).encode()


def signed(subject: Document, key: Key = P256, **rest: str) -> tuple[bytes, bytes]:
    """A payload about ``subject``, and the signature over it."""
    made = payload(subject, **rest)
    return made, key.sign(made)


def statement(subject: Document | Mapping[str, str], predicate_type: str = SPDX, **members: Any) -> bytes:
    """An in-toto statement about one artifact."""
    digests = {"sha256": subject.digest.encoded} if isinstance(subject, Document) else dict(subject)
    made = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "app", "digest": digests}], "predicateType": predicate_type}
    return json.dumps({**made, "predicate": {"name": "app", "score": 9.8}, **members}).encode()


def pae(body: bytes, kind: str = IN_TOTO) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(body), body)


def envelope(body: bytes, *keys: Key, kind: str = IN_TOTO, sign: Callable[[Key, bytes], bytes] = Key.sign) -> dict[str, Any]:
    """A DSSE envelope as the value of its JSON."""
    signatures = [{"sig": b64(sign(key, pae(body, kind)))} for key in keys]
    return {"payload": b64(body), "payloadType": kind, "signatures": signatures}


def att(subject: Document, key: Key = P256, predicate_type: str = SPDX) -> bytes:
    """The envelope of an attestation, as an ``.att`` layer holds it."""
    return json.dumps(envelope(statement(subject, predicate_type), key)).encode()


V01, V02, V03 = (f"{mediatype.SIGSTORE_BUNDLE}+json;version={version}" for version in ("0.1", "0.2", "0.3"))
V03_NEW = mediatype.SIGSTORE_BUNDLE_V03


def bundle(content: Mapping[str, Any], key: Key = P256, *, media_type: str = V03_NEW, **material: Any) -> dict[str, Any]:
    """A Sigstore bundle by a key, as the value of its JSON; ``material`` replaces or adds to what lies beside."""
    beside = {name: value for name, value in ({"publicKey": {"hint": key.hint}} | material).items() if value is not None}
    return {"mediaType": media_type, "verificationMaterial": beside, **content}


def message(subject: Document, key: Key = P256, **members: Any) -> dict[str, Any]:
    """The content of a bundle that signs the manifest's own bytes."""
    digest = {"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(subject.raw).digest())}
    return {"messageSignature": {"messageDigest": digest, "signature": b64(key.sign(subject.raw))} | members}


def dsse(subject: Document, key: Key = P256, predicate_type: str = SIGN, sign: Callable[[Key, bytes], bytes] = Key.sign) -> dict[str, Any]:
    """The content of a bundle that states something; by default, as cosign 3 does, that the image is signed."""
    return {"dsseEnvelope": envelope(statement(subject, predicate_type), key, sign=sign)}


# --- what a station pins ---


def rule(*keys: Key, scope: str = "registry.example/**", **rest: Any) -> dict[str, Any]:
    return {"scope": scope, "signer": [{"key": _file(key)} for key in keys]} | rest


def seal(*keys: Key, stream: str = "default", scopes: Sequence[str] = ("**",), **rest: Any) -> dict[str, Any]:
    return {"stream": stream, "scopes": list(scopes), "keys": [_file(key) for key in keys]} | rest


def policy(*rules: Mapping[str, Any], seals: Sequence[Mapping[str, Any]] = ()) -> Policy:
    """A policy of these rules and seals, parsed as from a trust folder."""
    return trusttoml.parse(toml(*rules, seals=seals), FILES)


def toml(*rules: Mapping[str, Any], seals: Sequence[Mapping[str, Any]] = (), version: Any = 1, serial: Any = 1) -> bytes:
    """The text of a ``trust.toml``."""
    lines = [f"version = {_toml(version)}", f"serial = {_toml(serial)}"]
    for name, tables in (("seal", seals), ("rule", rules)):
        for table in tables:
            lines += [f"[[{name}]]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines).encode()


def _toml(value: Any) -> str:
    match value:
        case bool() | str() | int() | float():
            return json.dumps(value)
        case Mapping():
            return f"{{{', '.join(f'{json.dumps(name)} = {_toml(item)}' for name, item in value.items())}}}"
    return f"[{', '.join(map(_toml, value))}]"


FILES: dict[str, bytes] = {}


def _file(key: Key) -> str:
    name = f"keys/{key.fingerprint.removeprefix('sha256:')}.pub"
    FILES[name] = key.pem
    return name


# --- what a station finds ---


@dataclass
class Scene:
    """An image and all that is found about it."""

    content: Content
    root: Document
    name: str = NAME

    @classmethod
    def of_image(cls) -> "Scene":
        content = Content()
        return cls(content, content.image())

    @classmethod
    def of_index(cls) -> "Scene":
        content = Content()
        return cls(content, content.index())

    @property
    def platforms(self) -> list[Document]:
        return [self.content.documents[child.digest] for child in self.root.children]

    @property
    def evidence(self) -> list[Evidence]:
        """By tag and by subject, for every manifest there is."""
        found: list[Evidence] = []
        for document in self.content.documents.values():
            for form in (Form.SIG, Form.ATT, Form.SBOM):
                if tagged := self.content.tags.get(f"{document.digest.tag}.{form}"):
                    found += self.pieces(document.digest, form, tagged)
            if document.subject is not None:
                found += self.pieces(document.subject.digest, Form.REFERRER, document)
        return found

    def pieces(self, subject: Digest, form: Form, document: Document) -> list[Evidence]:
        layers = document.content.layers if isinstance(document.content, Manifest) else ()
        several = len(layers) > 1
        return [self._piece(subject, form, document, layer, n if several else 0) for n, layer in enumerate(layers or (None,), start=1)]

    def _piece(self, subject: Digest, form: Form, document: Document, layer: Descriptor | None, place: int) -> Evidence:
        data = self.content.blobs.get(layer.digest) if layer else None
        kept = data if data is not None and len(data) <= MAX_EVIDENCE else None
        return Evidence(subject, form, document, layer, kept, is_proven=data is not None and is_proven((data,)), place=place)

    @property
    def image(self) -> Image:
        documents, blobs = self.content.documents, self.content.blobs
        return Image(
            Reference.parse(self.name).carried,
            self.root.digest,
            dict(documents),
            attestations(documents, self.root.digest, lambda layer: blobs.get(layer.digest)),
            frozenset(d for d, document in documents.items() if borrows(document, lambda config: named_layers(blobs[config.digest]))),
        )

    def judge(self, policy: Policy, evidence: Iterable[Evidence] | None = None) -> Verdict:
        return judge(policy, self.image, self.evidence if evidence is None else evidence, at=AT)

    def add(self, made: Mapping[str, Any], subject: Document | None = None, *, annotations: Mapping[str, str] | None = None) -> Document:
        """A Sigstore bundle as a referrer."""
        raw = json.dumps(made).encode()
        return self.content.artifact(raw, mediatype.SIGSTORE_BUNDLE_V03, subject=subject or self.root, annotations=annotations)


# --- what is seen ---


def codes(verdict: Verdict, outcome: Outcome = Outcome.FAILED) -> set[str]:
    """The codes of the checks that ended so."""
    return {str(check.code) for check in verdict.checks if check.outcome is outcome and check.code}


def passed(verdict: Verdict, name: str) -> list[Check]:
    return [check for check in verdict.checks if check.name == name and check.outcome is Outcome.PASSED]
