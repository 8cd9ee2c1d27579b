"""Trust stores: certificates that a station's owner has put there, by what they may vouch for
(notaryproject/specifications, ``trust-store-trust-policy.md``, "Trust Store")."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bundler.errors import Code, FormatError
from bundler.trust.encodings import from_pem, is_pem
from bundler.trust.notation.envelope import Scheme
from bundler.trust.notation.revocation import Crl
from bundler.trust.x509 import Authority, Certificate

MAX_CERTIFICATES = 1000


class StoreType(StrEnum):
    """What the certificates of a store may vouch for."""

    CA = "ca"
    """Signers who say themselves when they signed."""
    SIGNING_AUTHORITY = "signingAuthority"
    """Signing authorities, whose word on the time is taken."""
    TSA = "tsa"
    """Timestamp authorities."""

    @classmethod
    def of(cls, scheme: Scheme) -> "StoreType":
        return cls.CA if scheme is Scheme.X509 else cls.SIGNING_AUTHORITY


@dataclass(frozen=True, slots=True)
class Store:
    """A named store."""

    name: str
    type: StoreType
    certificates: tuple[Certificate, ...]
    crls: tuple[Crl, ...] = ()

    @classmethod
    def parse(cls, name: str, kind: StoreType, certificates: Sequence[bytes], crls: Sequence[bytes] = ()) -> "Store":
        """From the contents of its files: certificates in PEM or DER, revocation lists likewise.

        Raises FormatError (``trust.store``, ``x509.malformed``, ``format.pem``) also for a certificate that could vouch for
        nothing: one that is neither a CA's nor self-signed, or among timestamp authorities no self-signed CA's.
        """
        found = tuple(certificate for raw in certificates for certificate in _certificates(raw))
        if not 1 <= len(found) <= MAX_CERTIFICATES:
            raise FormatError(
                f"the store {name} has no or too many certificates",
                code=Code.TRUST_STORE,
                found=len(found),
                wanted=f"1 to {MAX_CERTIFICATES}",
            )
        for certificate in found:
            _check(certificate, kind)
        return cls(name, kind, found, tuple(map(Crl.parse, crls)))

    @property
    def authorities(self) -> tuple[Authority, ...]:
        """Each certificate as the anchor of chains that come with what it vouches for."""
        return tuple(Authority(f"{self.name}: {certificate.subject}", certificate) for certificate in self.certificates)


def _certificates(raw: bytes) -> list[Certificate]:
    if is_pem(raw):
        return [Certificate.parse(der) for der in from_pem(raw, "CERTIFICATE", what="a certificate file")]
    return [Certificate.parse(raw)]


def _check(certificate: Certificate, kind: StoreType) -> None:
    self_signed = certificate.is_issued_by(certificate)
    vouches = (certificate.is_ca and self_signed) if kind is StoreType.TSA else (certificate.is_ca or self_signed)
    if not vouches:
        wanted = "self-signed CA certificates" if kind is StoreType.TSA else "certificates of CAs, or self-signed ones"
        raise FormatError(
            "a store has a certificate that does not belong in it", code=Code.TRUST_STORE, found=certificate.subject, wanted=wanted
        )
