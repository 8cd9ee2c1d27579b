"""Notation signatures as their manifests offer them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bundler.errors import Code, FormatError
from bundler.oci import mediatype
from bundler.oci.manifest import Document, Manifest
from bundler.trust.keys import Signed
from bundler.trust.need import need
from bundler.trust.notation import cbor
from bundler.trust.notation.envelope import MAX_ENVELOPE, SignatureEnvelope
from bundler.trust.notation.steps import check_payload
from bundler.trust.unverified import Binary, Claim, Format, Layer, Material, Shape

COSE_SIGN1 = b"\xd2\x84"  # tag 18, an array of four (RFC 9052, section 4.2)


@dataclass(frozen=True, slots=True)
class NotationSignature:
    """The signature in a manifest of the Notary Project."""

    envelope: SignatureEnvelope
    subject: Document
    form: str = "notation"

    @classmethod
    def read(cls, layer: Layer) -> "NotationSignature":
        """Raises TrustError and FormatError (``envelope.…``, ``crit.…``, ``format.…``)."""
        content = layer.carrier.content
        alone = isinstance(content, Manifest) and len(content.layers) == 1
        need(alone, Code.ENVELOPE_MALFORMED, "a signature manifest does not have exactly one layer")
        return cls(SignatureEnvelope.parse(layer.payload, layer.descriptor.media_type), layer.subject)

    @property
    def signed(self) -> Signed:
        return Signed(self.envelope.signed)

    @property
    def signature(self) -> bytes:
        return self.envelope.signature

    @property
    def material(self) -> Material:
        return Material(by_key=False, certificates=self.envelope.certificates)

    def claim(self) -> Claim:
        """Raises TrustError and FormatError (``payload.malformed``, ``payload.descriptor``)."""
        return Claim(annotations=check_payload(self.envelope, self.subject.descriptor))


def _is_cose(chunks: Iterable[bytes]) -> bool:
    """A COSE_Sign1 of the shape that the Notary Project signs with, of at most 1 MiB, whatever it says."""
    raw = bytearray()
    for chunk in chunks:
        raw += chunk
        if len(raw) > MAX_ENVELOPE:
            return False
    try:
        value = cbor.loads(bytes(raw))
        match value:
            case cbor.Tagged(tag=18, value=[bytes(protected), dict(), bytes(), bytes()]):
                return isinstance(cbor.loads(protected), dict)
    except FormatError:
        return False
    return False


def _is_jws(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() >= {"payload", "protected", "header", "signature"}


FORMAT = Format(
    mediatype.NOTATION,
    NotationSignature.read,
    "notaryproject, signature-specification.md",
    shapes=(Shape("Notation JWS", _is_jws),),
    binary=Binary("Notation COSE", COSE_SIGN1, _is_cose),
    by_manifest=True,
    kind="notation",
)
