"""Notation signatures as their manifests offer them, and the signers who are known by a store."""

from dataclasses import dataclass, field
from datetime import datetime

from bundler.errors import Code, TrustError
from bundler.oci.manifest import Document, Manifest
from bundler.trust.keys import Signed
from bundler.trust.need import need
from bundler.trust.notation.envelope import SignatureEnvelope
from bundler.trust.notation.steps import check_payload, prove
from bundler.trust.notation.store import Store
from bundler.trust.notation.subject import Subject
from bundler.trust.signer import AnotherSignerError, SignerProof
from bundler.trust.unverified import Claim, Layer, Material, UnverifiedSignature
from bundler.trust.window import spelled


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


@dataclass(frozen=True, slots=True)
class PinnedSubject:
    """A signer who is known by a certificate of a subject, for which a store vouches."""

    store: Store
    subject: Subject
    tsa: Store | None = None
    """By whose authorities a timestamp is needed; without, the station's clock says whether certificates are valid."""
    kind: str = "notation"
    name: str | None = field(default=None, compare=False)

    def prove(self, offer: UnverifiedSignature, *, at: datetime) -> SignerProof:
        """As :class:`SignerEntry` has it, with the codes of ``store.…``, ``x509.…``, ``tsa.…``, ``revocation.…`` and ``expiry.…``."""
        if not isinstance(offer, NotationSignature):
            raise TrustError("a signature of another form, where a Notation store is pinned", code=Code.BUNDLE_MATERIAL, found=offer.form)
        envelope = offer.envelope
        try:
            proof = prove(envelope, self.store, self.subject, tsa=self.tsa, at=at)
        except TrustError as error:
            if error.code is not Code.IDENTITY_SUBJECT:
                raise
            # A store vouches for the certificate; whether it was valid then, and is not revoked, was not asked any more.
            raise AnotherSignerError(error, f"{envelope.chain[0].subject} (store {self.store.name})", proved=False) from error
        when = (
            f"proved {spelled(proof.time)} by {proof.by}"
            if proof.time
            else f"claimed {spelled(envelope.signing_time)}, which nobody vouches for"
        )
        beside = ((Code.TIMESTAMP_NOT_CHECKED, "timestamp that the signer entry asks no authority for"),)
        by = f"{envelope.algorithm.name} by {proof.subject}"
        under = f"{when}, under the store {self.store.name} ({proof.anchor})"
        not_checked = beside if envelope.timestamp and self.tsa is None else ()
        # A name is one only under whoever gave it: two stores may know two people by one.
        who = frozenset({f"{proof.subject} under {proof.anchor_key}", envelope.chain[0].fingerprint})
        times = (proof.time,) if proof.time else ()
        return SignerProof(f"{proof.subject} (store {self.store.name})", by, None, not_checked, who, under, times)

    def is_named_by(self, hint: str) -> bool:  # noqa: ARG002 - hints are of keys
        return False

    def __str__(self) -> str:
        return known_by(str(self.subject), self.store.name, self.tsa.name if self.tsa else None)


def known_by(subject: str, store: str, tsa: str | None) -> str:
    """What tells such a signer from every other, by the names that trust gives subject and stores."""
    return f"{subject} (store {store}{f', timestamps by {tsa}' if tsa else ''})"
