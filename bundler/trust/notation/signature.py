"""Notation signatures as their manifests offer them."""

from dataclasses import dataclass

from bundler.errors import Code
from bundler.oci import mediatype
from bundler.oci.manifest import Document, Manifest
from bundler.trust.keys import Signed
from bundler.trust.need import need
from bundler.trust.notation.envelope import SignatureEnvelope
from bundler.trust.notation.steps import check_payload
from bundler.trust.unverified import Claim, Format, Layer, Material


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


FORMAT = Format(
    mediatype.NOTATION,
    NotationSignature.read,
    "notaryproject, signature-specification.md",
    by_manifest=True,
    kind="notation",
)
