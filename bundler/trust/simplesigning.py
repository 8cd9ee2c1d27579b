"""Cosign's layers: ``.sig`` with its simple signing payloads, ``.att`` with its DSSE envelopes (cosign, ``specs/``).

Either is found by the tag of its manifest's name, or as a referrer. What cosign lays beside a signature stands in the
layer's annotations, which nobody has signed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bundler import strictjson
from bundler.errors import Code, FormatError, translated
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.trust.dsse import Envelope
from bundler.trust.encodings import from_wrapped_base64
from bundler.trust.keys import Signed
from bundler.trust.need import need
from bundler.trust.rfc3161 import MAX_TOKEN
from bundler.trust.sigstore.entry import Entry
from bundler.trust.sigstore.item import Item
from bundler.trust.sigstore.protojson import Message
from bundler.trust.statement import PAYLOAD_TYPE, Statement
from bundler.trust.unverified import Claim, Format, Layer, Material, Shape
from bundler.trust.x509 import Certificate

TYPE = "cosign container image signature"
MAX_PAYLOAD = 1 << 20  # real ones have 300 bytes, and annotations
MAX_CHAIN = 8  # an identity's certificate is two or three below its authority
MAX_STAMP = 2 * MAX_TOKEN  # in base64, in JSON

SIGNATURE = "dev.cosignproject.cosign/signature"
CERTIFICATE = "dev.sigstore.cosign/certificate"
CHAIN = "dev.sigstore.cosign/chain"
LOG_ENTRY = "dev.sigstore.cosign/bundle"
TIMESTAMP = "dev.sigstore.cosign/rfc3161timestamp"


def payload(*, repository: str, digest: Digest, annotations: Mapping[str, str]) -> bytes:
    """What is signed for ``digest`` under the name ``repository`` (containers/image, ``containers-signature.5``)."""
    critical = {"identity": {"docker-reference": repository}, "image": {"docker-manifest-digest": str(digest)}, "type": TYPE}
    return strictjson.dumps({"critical": critical, "optional": dict(annotations) or None})


@dataclass(frozen=True, slots=True)
class SimpleSigning:
    """A signature of cosign's first form: over a payload that names the image."""

    payload: bytes = field(repr=False)
    signature: bytes
    material: Material
    subject: Document
    form: str = "sig"

    @classmethod
    def read(cls, layer: Layer) -> "SimpleSigning":
        """Raises TrustError and FormatError (``limit.evidence``, ``signature.malformed``)."""
        size, text = len(layer.payload), layer.descriptor.annotations.get(SIGNATURE)
        need(
            size <= MAX_PAYLOAD,
            Code.LIMIT_EVIDENCE,
            "a signed payload is over its limit",
            found=size,
            wanted=f"at most {MAX_PAYLOAD} bytes",
        )
        need(bool(text), Code.SIGNATURE_MALFORMED, "a layer has no signature among its annotations", wanted=SIGNATURE)
        with translated(FormatError, to=FormatError, what="a signature is not well-formed", code=Code.SIGNATURE_MALFORMED):
            signature, wrapped = from_wrapped_base64(text, what="it")
        return cls(layer.payload, signature, _material(layer.descriptor, wrapped=wrapped), layer.subject)

    @property
    def signed(self) -> Signed:
        return Signed(self.payload)

    def item(self, *, by_key: bool) -> Item:
        """As :class:`Witnessed` has it."""
        return _item(self, (), by_key=by_key)

    def claim(self) -> Claim:
        """Raises TrustError and FormatError (``payload.malformed``, ``payload.type``, ``payload.digest``)."""
        with translated(FormatError, to=FormatError, what="a signed payload is not well-formed", code=Code.PAYLOAD_MALFORMED):
            kind, names, digest, annotations = _read(strictjson.loads(self.payload, limit=MAX_PAYLOAD, predicate=True))
        need(kind == TYPE, Code.PAYLOAD_TYPE, "a signed payload of another type", found=ascii(kind[:80]), wanted=TYPE)
        about = digest.same_kind_of(self.subject.raw) == digest
        need(about, Code.PAYLOAD_DIGEST, "a signed payload about another manifest", found=digest, wanted=self.subject.digest)
        return Claim(names=names, annotations=annotations)


@dataclass(frozen=True, slots=True)
class Attestation:
    """A signed statement about an image, in a layer of its own. Never a signature of it."""

    raw: bytes = field(repr=False)
    """The envelope byte for byte: old logs have its digest, and old timestamps are of it."""
    envelope: Envelope
    material: Material
    subject: Document
    form: str = "att"

    @classmethod
    def read(cls, layer: Layer) -> "Attestation":
        """Raises TrustError and FormatError (``dsse.…``)."""
        envelope = Envelope.parse(layer.payload)
        material = _material(layer.descriptor, envelope.keyid, wrapped=envelope.wrapped)
        return cls(layer.payload, envelope, material, layer.subject)

    @property
    def signed(self) -> Signed:
        return self.envelope.signed

    @property
    def signature(self) -> bytes:
        return self.envelope.signature

    def item(self, *, by_key: bool) -> Item:
        """As :class:`Witnessed` has it."""
        return _item(self, (self.raw,), payload=self.envelope.payload, envelope=self.raw, by_key=by_key)

    def claim(self) -> Claim:
        """Raises TrustError and FormatError (``payload.type``, ``intoto.…``)."""
        return stated(self.envelope, self.subject)


def _is_payload(value: Any) -> bool:
    match value:
        case {"critical": {"identity": _, "image": _, "type": _}}:
            return True
    return False


FORMAT = Format(
    mediatype.SIMPLE_SIGNING,
    SimpleSigning.read,
    "cosign, specs/SIGNATURE_SPEC.md",
    shapes=(Shape("simple signing", _is_payload),),
)
ATTESTATION = Format(
    mediatype.DSSE,
    Attestation.read,
    "cosign, specs/ATTESTATION_SPEC.md",
    shapes=(Shape("DSSE", lambda value: isinstance(value, dict) and value.keys() >= {"payloadType", "payload", "signatures"}),),
    attests=True,
)


def stated(envelope: Envelope, subject: Document) -> Claim:
    """What the in-toto statement in ``envelope`` says of ``subject``. For envelopes whose signature was verified.

    Raises TrustError and FormatError (``payload.type``, ``intoto.statement``, ``intoto.subject``).
    """
    found = ascii(envelope.payload_type[:80])
    need(envelope.payload_type == PAYLOAD_TYPE, Code.PAYLOAD_TYPE, "an envelope with another payload", found=found, wanted=PAYLOAD_TYPE)
    statement = Statement.parse(envelope.payload)
    return Claim(predicate_type=statement.predicate_type, annotations=statement.check_about(subject), predicate=statement.predicate)


def _read(value: object) -> tuple[str, str, Digest, Mapping[str, str]]:
    """The type, reference, digest and annotations of a payload, which has these members and no others, as Go and C readers
    agree on."""
    match value:
        case {
            "critical": {"identity": {"docker-reference": str(names), **in_identity}, "image": {**image}, "type": str(kind), **in_critical},
            **rest,
        } if not in_identity and not in_critical and rest.keys() <= {"optional"} and image.keys() == {"docker-manifest-digest"}:
            if isinstance(more := rest.get("optional"), dict | None) and isinstance(digest := image["docker-manifest-digest"], str):
                annotations = {name: text for name, text in (more or {}).items() if isinstance(text, str)}
                return kind, names, Digest.parse(digest), annotations
    raise FormatError("not of the form of a simple signing payload", wanted="critical (identity, image, type) and optional")


def _material(layer: Descriptor, keyid: str | None = None, *, wrapped: bool) -> Material:
    def texts(*names: str) -> tuple[bytes, ...]:
        return tuple(layer.annotations[name].encode() for name in names if layer.annotations.get(name))

    return Material(
        by_key=True,  # a certificate here is an annotation that anybody may have added: it takes nothing from a key's signature
        hint=keyid,
        wrapped=wrapped,
        certificates=texts(CERTIFICATE, CHAIN),
        log_entries=texts(LOG_ENTRY),
        timestamps=texts(TIMESTAMP),
    )


def _item(
    offer: SimpleSigning | Attestation,
    also_stamped: tuple[bytes, ...],
    *,
    payload: bytes | None = None,
    envelope: bytes | None = None,
    by_key: bool,
) -> Item:
    """Cosign lays everything into annotations: certificates in PEM, log entries and timestamps in JSON of its own."""
    material = offer.material
    certificates = () if by_key else _chain(material.certificates)
    return Item(
        message=offer.signed,
        signature=offer.signature,
        stamped=(offer.signature, *also_stamped),
        payload=payload,
        envelope=envelope,
        certificate=certificates[0] if certificates else None,
        chain=certificates[1:],
        entries=tuple(map(Entry.of_annotation, material.log_entries)),
        stamps=tuple(map(_stamp, material.timestamps)),
    )


def _chain(annotations: tuple[bytes, ...]) -> tuple[Certificate, ...]:
    """The signer's certificate, alone in the first annotation, and those of the second."""
    found = [Certificate.parse_pem(text) for text in annotations]
    need(not found or len(found[0]) == 1, Code.X509_MALFORMED, "a signature without the one certificate of its signer")
    chain = tuple(certificate for certificates in found for certificate in certificates)
    need(len(chain) <= MAX_CHAIN, Code.LIMIT_SIGNATURE, "too many certificates", found=len(chain), wanted=MAX_CHAIN)
    return chain


def _stamp(annotation: bytes) -> bytes:
    message = Message.parse(annotation, limit=MAX_STAMP, what="a timestamp beside a layer", code=Code.TSA_MALFORMED)
    return message.bytes("SignedRFC3161Timestamp")
