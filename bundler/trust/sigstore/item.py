"""What is judged, whatever format it came in: bytes, a signature over them, and what speaks for the signature.

Formats only translate into this one type; each check is written once and sees nothing else. Two paths to one check are
how entries of other signatures came to be taken (CVE-2026-22703).
"""

from dataclasses import dataclass, field

from bundler.trust.dsse import Envelope
from bundler.trust.keys import Signed
from bundler.trust.sigstore.bundle import SigstoreBundle
from bundler.trust.sigstore.entry import Entry
from bundler.trust.x509 import Certificate


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
    def of_bundle(cls, bundle: SigstoreBundle, message: Signed) -> "Item":
        """From a bundle whose content is over ``message``.

        Raises TrustError and FormatError (``x509.malformed``, ``tlog.…``, ``format.…``).
        """
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
