"""What is judged, whatever format it came in: bytes, a signature over them, and what speaks for the signature.

Formats only translate into this one type; each check is written once and sees nothing else. Two paths to one check are
how entries of other signatures came to be taken (CVE-2026-22703).
"""

from dataclasses import dataclass, field

from bundler.errors import Code, TrustError
from bundler.trust.dsse import Envelope
from bundler.trust.keys import Signed
from bundler.trust.need import need
from bundler.trust.rfc3161 import MAX_TOKEN
from bundler.trust.sigstore.bundle import BundledSignature, SigstoreBundle
from bundler.trust.sigstore.entry import Entry
from bundler.trust.sigstore.protojson import Message
from bundler.trust.simplesigning import Attestation, SimpleSigning
from bundler.trust.unverified import UnverifiedSignature
from bundler.trust.x509 import Certificate

MAX_CHAIN = 8  # an identity's certificate is two or three below its authority
MAX_STAMP = 2 * MAX_TOKEN  # in base64, in JSON


@dataclass(frozen=True, slots=True)
class Item:
    """Something signed, and its evidence. Nothing in it is believed yet."""

    message: Signed = field(repr=False)
    """What is signed: a payload, an artifact, or the pre-authentication encoding of a DSSE envelope."""
    signature: bytes = field(repr=False)
    stamped: tuple[bytes, ...] = field(repr=False)
    """What a timestamp may be of: the signature, or in attestations of cosign 2 the whole envelope."""
    payload: bytes | None = field(default=None, repr=False)
    """The payload of the DSSE envelope, if it is one; logs hash it."""
    envelope: bytes | None = field(default=None, repr=False)
    """The DSSE envelope byte for byte as it was logged, where the format keeps it."""
    certificate: Certificate | None = None
    """The signer's, where it came with one; None says that a key is meant that only the verifier has."""
    chain: tuple[Certificate, ...] = ()
    entries: tuple[Entry, ...] = ()
    stamps: tuple[bytes, ...] = ()
    """RFC 3161 responses."""

    @classmethod
    def of(cls, offer: UnverifiedSignature, *, by_key: bool = False) -> "Item":
        """From a signature as its carrier offers it; with ``by_key`` without the certificates beside it, for a key is pinned.

        Raises TrustError and FormatError: ``bundle.material`` for a form that no log, authority or identity of Sigstore
        speaks for; else ``x509.malformed``, ``tlog.…``, ``tsa.…``, ``format.…``.
        """
        match offer:
            case BundledSignature():
                return cls.of_bundle(offer.bundle, offer.signed)
            case SimpleSigning():
                return cls._of_layer(offer, (), by_key=by_key)
            case Attestation():
                return cls._of_layer(offer, (offer.raw,), payload=offer.envelope.payload, envelope=offer.raw, by_key=by_key)
        raise TrustError("a signature that is not Sigstore's", code=Code.BUNDLE_MATERIAL, found=offer.form)

    @classmethod
    def of_bundle(cls, bundle: SigstoreBundle, message: Signed) -> "Item":
        """From a bundle whose content is over ``message``. Raises as :meth:`of`."""
        content, material = bundle.content, bundle.material
        certificates = tuple(map(Certificate.parse, material.certificates))
        return cls(
            message=message,
            signature=content.signature,
            stamped=(content.signature,),
            payload=content.payload if isinstance(content, Envelope) else None,
            certificate=certificates[0] if certificates else None,
            chain=certificates[1:],
            entries=tuple(Entry.of_bundle(entry, version=bundle.version) for entry in material.log_entries),
            stamps=material.timestamps,
        )

    @classmethod
    def _of_layer(
        cls,
        offer: "SimpleSigning | Attestation",
        also_stamped: tuple[bytes, ...],
        *,
        payload: bytes | None = None,
        envelope: bytes | None = None,
        by_key: bool,
    ) -> "Item":
        """Cosign lays everything into annotations: certificates in PEM, log entries and timestamps in JSON of its own."""
        material = offer.material
        certificates = () if by_key else _chain(material.certificates)
        return cls(
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
