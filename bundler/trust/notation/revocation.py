"""Revocation by the lists that a station holds (RFC 5280, section 6.3). Nothing is ever fetched.

A certificate that says where it could be revoked counts only beside a list of its issuer that is good at the time judged
by; one that says nothing cannot be revoked, as the Notary Project has it, unless a list names it all the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID

from bundler.errors import Code, FormatError
from bundler.trust.encodings import from_pem, is_pem
from bundler.trust.foreign import foreign
from bundler.trust.need import need
from bundler.trust.window import Window, spelled
from bundler.trust.x509 import MAX_NAME, Certificate

MAX_CRL = 32 << 20  # bytes; those of large public authorities reach some
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True, slots=True)
class Crl:
    """A certificate revocation list: it revokes what it names, and is complete for what it covers."""

    parsed: x509.CertificateRevocationList = field(repr=False, compare=False)
    window: Window
    """From its making to the next one's."""
    scope: x509.IssuingDistributionPoint | None
    """Which certificates of its issuer it covers; None for all."""
    issuer: str
    """Its issuer's name."""

    @classmethod
    def parse(cls, raw: bytes) -> "Crl":
        """From DER or one block of PEM. Raises FormatError (``trust.store``, ``format.pem``), also for a list of changes."""
        if len(raw) > MAX_CRL:
            raise FormatError("a revocation list is over its limit", code=Code.TRUST_STORE, found=len(raw), wanted=MAX_CRL)
        der = _der(raw)
        with foreign("a revocation list is not well-formed", code=Code.TRUST_STORE):
            parsed = x509.load_der_x509_crl(der)
            critical = {extension.oid for extension in parsed.extensions if extension.critical}
            scope = next((e.value for e in parsed.extensions if isinstance(e.value, x509.IssuingDistributionPoint)), None)
            window = Window(parsed.last_update_utc, parsed.next_update_utc)
            strong = isinstance(parsed.signature_hash_algorithm, _HASHES)
            issuer = parsed.issuer.rfc4514_string()[:MAX_NAME]
            _usable(not critical - {x509.IssuingDistributionPoint.oid}, "with a critical extension that nobody here understands")
        _usable(window.end is not None, "that does not say when the next one comes")
        _usable(strong, "signed with a weak digest")
        return cls(parsed, window, scope, issuer)

    @foreign("the scope of a revocation list cannot be compared", code=Code.X509_MALFORMED)
    def covers(self, certificate: Certificate) -> bool:
        """Whether it would be on this list if it were revoked, were it of the same issuer."""
        if self.scope is None:
            return True
        if not _is_plain(self.scope):
            return False
        if (self.scope.only_contains_ca_certs and not certificate.is_ca) or (self.scope.only_contains_user_certs and certificate.is_ca):
            return False
        points = certificate.extension(x509.CRLDistributionPoints)
        names = {name for point in points.value for name in point.full_name or ()} if points else set()
        return self.scope.full_name is None or not names.isdisjoint(self.scope.full_name)

    @foreign("the signature of a revocation list cannot be checked", code=Code.X509_MALFORMED)
    def is_by(self, issuer: Certificate) -> bool:
        usage = issuer.extension(x509.KeyUsage)
        named = self.parsed.issuer == issuer.parsed.subject and usage is not None and usage.value.crl_sign
        # A key of a kind that signs no lists does not stop us: the library finds that it has not signed this one.
        return named and self.parsed.is_signature_valid(cast(rsa.RSAPublicKey, issuer.key))

    @foreign("an entry of a revocation list cannot be read", code=Code.X509_MALFORMED)
    def revokes(self, certificate: Certificate, signed: datetime | None) -> bool:
        """Whether it had been revoked at a time that somebody vouches for; without one, whether it is.

        Asked of every list of the certificate's issuer, whatever its scope: an entry with this serial number is taken to be
        about this certificate, even where an indirect list says that it is about another issuer's.
        """
        entry = self.parsed.get_revoked_certificate_by_serial_number(certificate.issuer_and_serial[1])
        if entry is None:
            return False
        since = next((e.value.invalidity_date_utc for e in entry.extensions if isinstance(e.value, x509.InvalidityDate)), None)
        return signed is None or since is None or signed >= since


def check_revocation(chain: Sequence[Certificate], crls: Iterable[Crl], *, at: datetime, signed: datetime | None) -> None:
    """No certificate of ``chain`` but its root, that nobody could revoke, is on a list of its issuer.

    A list that is not good ``at``, or does not cover the certificate, shows nothing but what it revokes: neither a wrong clock
    nor a scope ever admits.

    Raises TrustError (``revocation.revoked``, ``revocation.unavailable``).
    """
    crls = tuple(crls)
    for certificate, issuer in pairwise(chain):
        lists = [crl for crl in crls if crl.is_by(issuer)]
        revoked = any(crl.revokes(certificate, signed) for crl in lists)
        need(not revoked, Code.REVOCATION_REVOKED, "a certificate is revoked", found=certificate.subject)
        known = any(at in crl.window and crl.covers(certificate) for crl in lists) or not _says_where(certificate)
        need(
            known,
            Code.REVOCATION_UNAVAILABLE,
            f"nobody can say whether {certificate.subject} was revoked",
            wanted=f"a revocation list of {issuer.subject} in the store that is good at {spelled(at)}",
        )


@foreign("the extensions of a certificate cannot be read", code=Code.X509_MALFORMED)
def _says_where(certificate: Certificate) -> bool:
    """Whether it names a place to ask whether it was revoked."""
    access = certificate.extension(x509.AuthorityInformationAccess)
    by_ocsp = access is not None and any(a.access_method == AuthorityInformationAccessOID.OCSP for a in access.value)
    return by_ocsp or certificate.extension(x509.CRLDistributionPoints) is not None


@foreign("the scope of a revocation list cannot be read", code=Code.X509_MALFORMED)
def _is_plain(scope: x509.IssuingDistributionPoint) -> bool:
    """Whether it is of all reasons, of certificates of keys, and of its own issuer's alone."""
    odd = (scope.indirect_crl, scope.only_contains_attribute_certs, scope.only_some_reasons, scope.relative_name)
    return not any(odd)


def _der(raw: bytes) -> bytes:
    if not is_pem(raw):
        return raw
    blocks = from_pem(raw, "X509 CRL", what="a revocation list")
    _usable(len(blocks) == 1, "beside another in one file")
    return blocks[0]


def _usable(holds: bool, what: str) -> None:
    if not holds:
        raise FormatError(f"a revocation list {what}", code=Code.TRUST_STORE)
