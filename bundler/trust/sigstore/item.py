"""What is judged, whatever format it came in: bytes, a signature over them, and what speaks for the signature.

Formats only translate into this one type; each check is written once and sees nothing else. Two paths to one check are
how entries of other signatures came to be taken (CVE-2026-22703).
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from bundler.errors import Code, TrustError
from bundler.trust.keys import Signed
from bundler.trust.sigstore.entry import Entry
from bundler.trust.unverified import UnverifiedSignature
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
    def of(cls, offer: UnverifiedSignature, *, by_key: bool = False) -> "Item":
        """From a signature as its carrier offers it; with ``by_key`` without the certificates beside it, for a key is pinned.

        Raises TrustError and FormatError: ``bundle.material`` for a form that no log, authority or identity of Sigstore
        speaks for; else ``x509.malformed``, ``tlog.…``, ``tsa.…``, ``format.…``.
        """
        if not isinstance(offer, Witnessed):
            raise TrustError("a signature that is not Sigstore's", code=Code.BUNDLE_MATERIAL, found=offer.form)
        return offer.item(by_key=by_key)


@runtime_checkable
class Witnessed(Protocol):
    """A signature for which logs, authorities and identities of Sigstore may speak."""

    def item(self, *, by_key: bool) -> Item:
        """It and its evidence; with ``by_key`` without certificates, where these are not signed. Raises as :meth:`Item.of`."""
        ...
