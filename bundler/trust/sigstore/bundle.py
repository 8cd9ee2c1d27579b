"""Sigstore bundles: a signature and what it can be verified with, in one file (protobuf-specs, ``sigstore_bundle.proto``)."""

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from bundler import strictjson
from bundler.errors import Code, FormatError, translated
from bundler.oci import mediatype
from bundler.oci.manifest import Document
from bundler.trust.dsse import Envelope, pae
from bundler.trust.evidence import MAX_EVIDENCE
from bundler.trust.keys import PublicKey, Signed, Signer
from bundler.trust.need import need
from bundler.trust.once import once
from bundler.trust.sigstore.entry import Entry
from bundler.trust.sigstore.item import Item
from bundler.trust.sigstore.protojson import Message
from bundler.trust.simplesigning import stated
from bundler.trust.statement import PAYLOAD_TYPE, TYPES
from bundler.trust.unverified import Claim, Format, Layer, Material, Shape
from bundler.trust.x509 import Certificate

SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1"  # of the statement by which cosign 3 signs an image
CONTENT = "dev.sigstore.bundle.content"  # the annotation of the manifest that says which content its bundle has

MAX_CERTIFICATES = 8  # an identity's certificate is two or three below its authority
MAX_LOG_ENTRIES = 32  # like the next, as sigstore-go takes (CVE-2024-45395)
MAX_TIMESTAMPS = 32

_VERSIONS = {f"{mediatype.SIGSTORE_BUNDLE}+json;version={version}": version for version in ("0.1", "0.2", "0.3")}
_VERSIONS[mediatype.SIGSTORE_BUNDLE_V03] = "0.3"
_MEMBERS = frozenset({"mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope"})
_CONTENTS = ("messageSignature", "dsseEnvelope")
_MATERIALS = ("publicKey", "certificate", "x509CertificateChain")
_HASHES = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature over bytes that lie elsewhere; here, over the manifest that the bundle was found for."""

    signature: bytes
    digest: tuple[str, bytes] | None
    """Over which: a hint, with its algorithm as protobuf names it."""


@dataclass(frozen=True, slots=True)
class SigstoreBundle:
    """A bundle of version 0.1, 0.2 or 0.3: one signature, and what lies beside it."""

    version: str
    content: Envelope | MessageSignature
    material: Material

    @classmethod
    def parse(cls, raw: bytes) -> "SigstoreBundle":
        """From at most MAX_EVIDENCE bytes. Of certificates, log entries and timestamps nothing is read but where they are.

        Raises TrustError and FormatError (``bundle.…``, ``dsse.…``).
        """
        return _parsed(raw)

    def item(self, message: Signed) -> Item:
        """It as what is judged, where its content is over ``message``. Raises as :meth:`Item.of`."""
        content, material = self.content, self.material
        certificates = tuple(map(Certificate.parse, material.certificates))
        return Item(
            message=message,
            signature=content.signature,
            stamped=(content.signature,),
            payload=content.payload if isinstance(content, Envelope) else None,
            certificate=certificates[0] if certificates else None,
            chain=certificates[1:],
            entries=tuple(Entry.of_bundle(entry, version=self.version) for entry in material.log_entries),
            stamps=material.timestamps,
        )


@once
def _parsed(raw: bytes) -> SigstoreBundle:
    with _well_formed():
        bundle = Message.of(strictjson.loads(raw, limit=MAX_EVIDENCE), what="the bundle", code=Code.BUNDLE_MALFORMED)
        strictjson.check_names(bundle.members, _MEMBERS)
        media_type = bundle.text("mediaType")
    found = ascii(media_type[:80])
    need(media_type in _VERSIONS, Code.BUNDLE_MEDIA_TYPE, "a bundle of an unknown version", found=found, wanted="0.1, 0.2 or 0.3")
    version = _VERSIONS[media_type]
    content = _content(bundle)
    material = replace(_material(bundle, version), wrapped=isinstance(content, Envelope) and content.wrapped)
    return SigstoreBundle(version=version, content=content, material=material)


@dataclass(frozen=True, slots=True)
class BundledSignature:
    """The signature in a bundle that was found for an image."""

    bundle: SigstoreBundle
    subject: Document
    form: str = "bundle"

    @classmethod
    def read(cls, layer: Layer) -> "BundledSignature":
        """Raises TrustError and FormatError (``bundle.…``, ``dsse.…``)."""
        bundle = SigstoreBundle.parse(layer.payload)
        if isinstance(bundle.content, MessageSignature):
            said = layer.carrier.content.annotations.get(CONTENT, "message-signature")
            need(
                said == "message-signature",
                Code.BUNDLE_CONTENT,
                "a bundle of another content than its manifest says",
                wanted=ascii(said[:80]),
            )
            _check_digest(bundle.content, layer.subject)
        return cls(bundle, layer.subject)

    @property
    def material(self) -> Material:
        return self.bundle.material

    @property
    def signed(self) -> Signed:
        content = self.bundle.content
        return content.signed if isinstance(content, Envelope) else Signed(self.subject.raw)

    @property
    def signature(self) -> bytes:
        return self.bundle.content.signature

    def item(self, *, by_key: bool) -> Item:  # noqa: ARG002 - its certificate is what it is by, so a pinned key is not asked
        """As :class:`Witnessed` has it."""
        return self.bundle.item(self.signed)

    def claim(self) -> Claim:
        """A message signature and cosign's statement are signatures, every other statement is an attestation.

        Raises TrustError and FormatError (``payload.type``, ``intoto.…``).
        """
        if isinstance(self.bundle.content, MessageSignature):
            return Claim()
        claim = stated(self.bundle.content, self.subject)
        return Claim(annotations=claim.annotations) if claim.predicate_type == SIGN_PREDICATE else claim


def _is_bundle(value: Any) -> bool:
    match value:
        case {"mediaType": str(media_type)}:
            return media_type.startswith(mediatype.SIGSTORE_BUNDLE)
    return False


FORMAT = Format(
    mediatype.SIGSTORE_BUNDLE,
    BundledSignature.read,
    "protobuf-specs, sigstore_bundle.proto",
    shapes=(Shape("Sigstore bundle", _is_bundle),),
    signing_predicate=SIGN_PREDICATE,
)


def build_signature_bundle(document: Document, signer: Signer, *, annotations: Mapping[str, str]) -> bytes:
    """The bundle by which cosign 3 signs an image with a key (cosign, ``cmd/cosign/cli/sign``), without a log entry.

    Its statement has no name and no predicate; ``annotations`` are the subject's.
    """
    subject = {"digest": {document.digest.algorithm: document.digest.encoded}, "annotations": dict(annotations)}
    statement = strictjson.dumps({"_type": TYPES[1], "subject": [subject], "predicateType": SIGN_PREDICATE, "predicate": {}})
    signature = signer.sign(pae(PAYLOAD_TYPE, statement).whole)
    return bundle_of(Envelope(PAYLOAD_TYPE, statement, signature), signer.public)


def bundle_of(envelope: Envelope, key: PublicKey) -> bytes:
    """A bundle that holds an envelope by ``key``, without a log entry."""
    return strictjson.dumps(
        {
            "mediaType": mediatype.SIGSTORE_BUNDLE_V03,
            "verificationMaterial": {"publicKey": {"hint": key.hint}},
            "dsseEnvelope": envelope.to_json(),
        }
    )


def _content(bundle: Message) -> Envelope | MessageSignature:
    contents = [name for name in _CONTENTS if bundle.has(name)]
    need(len(contents) == 1, Code.BUNDLE_CONTENT, "a bundle that cannot be judged", found=f"{len(contents)} contents", wanted="one")
    if contents == ["dsseEnvelope"]:
        return Envelope.of(bundle.members["dsseEnvelope"])
    with _well_formed():
        message = bundle.message("messageSignature")
        digest = message.maybe("messageDigest")
        if digest is None or not (digest.has("algorithm") or digest.has("digest")):  # cosign has {} beside plain Ed25519
            return MessageSignature(message.bytes("signature"), None)
        return MessageSignature(message.bytes("signature"), (digest.text("algorithm"), digest.bytes("digest")))


def _material(bundle: Message, version: str) -> Material:
    with _well_formed():
        material = bundle.message("verificationMaterial")
        kinds = [name for name in _MATERIALS if material.has(name)]
        key = material.maybe("publicKey")
        chain = material.maybe("x509CertificateChain")
        certificates = chain.messages("certificates", limit=MAX_CERTIFICATES) if chain else []
        certificates += [leaf] if (leaf := material.maybe("certificate")) else []
        found = Material(
            by_key=kinds == ["publicKey"],
            hint=key.text("hint") if key and key.has("hint") else None,
            certificates=tuple(certificate.bytes("rawBytes") for certificate in certificates),
            log_entries=tuple(material.messages("tlogEntries", limit=MAX_LOG_ENTRIES)),
            timestamps=_timestamps(material),
        )
    need(
        len(kinds) == 1,
        Code.BUNDLE_MATERIAL,
        "a bundle that cannot be judged",
        found=" and ".join(kinds) or "nothing",
        wanted="one material",
    )
    need(not (chain and version == "0.3"), Code.BUNDLE_MATERIAL, "a bundle of version 0.3 with a chain", wanted="one certificate")
    need(found.by_key or bool(certificates), Code.BUNDLE_MATERIAL, "a bundle with an empty chain", wanted="a certificate")
    return found


def _timestamps(material: Message) -> tuple[bytes, ...]:
    data = material.maybe("timestampVerificationData")
    stamps = data.messages("rfc3161Timestamps", limit=MAX_TIMESTAMPS) if data else []
    return tuple(stamp.bytes("signedTimestamp") for stamp in stamps)


def _check_digest(message: MessageSignature, subject: Document) -> None:
    """The digest is only a hint, but one that names other bytes belongs to another artifact."""
    if message.digest is None:
        return
    algorithm, digest = message.digest
    need(algorithm in _HASHES, Code.BUNDLE_MESSAGE_DIGEST, "a digest of an unknown algorithm", found=ascii(algorithm[:80]))
    ours = hashlib.new(_HASHES[algorithm], subject.raw).digest()
    need(digest == ours, Code.BUNDLE_MESSAGE_DIGEST, "a bundle for another manifest", found=digest.hex()[:128], wanted=ours.hex())


def _well_formed() -> AbstractContextManager[None]:
    return translated(FormatError, to=FormatError, what="a Sigstore bundle is not well-formed", code=Code.BUNDLE_MALFORMED)
