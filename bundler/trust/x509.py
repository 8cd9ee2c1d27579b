"""Certificates, and the chain from one to an authority as of a time (RFC 5280, section 6).

The clock has no part in it: a chain is judged at times that someone vouched for, and every certificate in it, the
anchor too, must be valid at each of them.
"""

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import cache
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundler.errors import Code, FormatError, TrustError, UsageError
from bundler.trust.der import INTEGER, SEQUENCE, Element, context
from bundler.trust.encodings import from_pem, to_pem
from bundler.trust.foreign import foreign
from bundler.trust.keys import PublicKey
from bundler.trust.need import need
from bundler.trust.window import ALWAYS, Window, spelled

MAX_CERTIFICATE = 64 << 10  # bytes; the largest in the wild, with hundreds of names, have 20 KiB
MAX_NAME = 2 << 10  # bytes of UTF-8 in a subject, an issuer or an identity; real ones have some hundred
E = TypeVar("E", bound=x509.ExtensionType)
_STRONG = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class Purpose(Enum):
    """What a chain is for: the extended key usage that its certificates must allow."""

    CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
    TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, read whole: what it holds can be asked for without any further error."""

    der: bytes = field(repr=False)
    parsed: x509.Certificate = field(repr=False, compare=False)
    extensions: x509.Extensions = field(repr=False, compare=False)
    spki: bytes = field(repr=False, compare=False)
    """The DER of its subject public key info."""
    window: Window = field(compare=False)
    subject: str = field(compare=False)
    """At most MAX_NAME bytes, as the issuer."""
    issuer: str = field(compare=False)
    issuer_and_serial: tuple[bytes, int] = field(repr=False, compare=False)
    """How CMS names it: the DER of its issuer's name, and its serial number."""

    @classmethod
    def parse(cls, der: bytes) -> "Certificate":
        """Raises FormatError (``x509.malformed``, ``format.der``)."""
        if len(der) > MAX_CERTIFICATE:
            raise FormatError("a certificate is over its limit", code=Code.X509_MALFORMED, found=len(der), wanted=MAX_CERTIFICATE)
        issuer_and_serial = _issuer_and_serial(der)
        with foreign("a certificate is not well-formed", code=Code.X509_MALFORMED):
            return cls._of(x509.load_der_x509_certificate(der), der, issuer_and_serial)

    @classmethod
    def parse_pem(cls, text: bytes) -> "tuple[Certificate, ...]":
        """The certificates of a PEM file, in its order, with nothing beside them but text (RFC 7468, section 5.2).

        Raises FormatError (``format.pem``, ``x509.malformed``).
        """
        return tuple(cls.parse(der) for der in from_pem(text, "CERTIFICATE", what="a certificate file"))

    @classmethod
    @foreign("a certificate is not well-formed", code=Code.X509_MALFORMED)
    def _of(cls, parsed: x509.Certificate, der: bytes, issuer_and_serial: tuple[bytes, int]) -> "Certificate":
        return cls(
            der=der,
            parsed=parsed,
            extensions=parsed.extensions,
            spki=parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            window=Window(parsed.not_valid_before_utc, parsed.not_valid_after_utc),
            subject=_name(parsed.subject),
            issuer=_name(parsed.issuer),
            issuer_and_serial=issuer_and_serial,
        )

    @foreign("an extension of a certificate cannot be read", code=Code.X509_MALFORMED)
    def extension(self, kind: type[E]) -> "x509.Extension[E] | None":
        """The extension of this kind, if it has one. Raises FormatError (``x509.malformed``), as all the next do."""
        try:
            return self.extensions.get_extension_for_class(kind)
        except x509.ExtensionNotFound:
            return None

    @property
    def fingerprint(self) -> str:
        """Of its key, as that of a pinned one: ``sha256:`` and the hex digest of its SPKI."""
        return f"sha256:{hashlib.sha256(self.spki).hexdigest()}"

    @property
    @foreign("the key of a certificate cannot be read", code=Code.X509_MALFORMED)
    def key(self) -> CertificatePublicKeyTypes:
        """As the library has it; of whatever kind."""
        return self.parsed.public_key()

    @property
    @foreign("the extensions of a certificate cannot be read", code=Code.X509_MALFORMED)
    def is_ca(self) -> bool:
        constraints = self.extension(x509.BasicConstraints)
        return constraints is not None and constraints.value.ca

    @property
    @foreign("the signature of a certificate cannot be read", code=Code.X509_MALFORMED)
    def is_signed_with_sha_2(self) -> bool:
        return isinstance(self.parsed.signature_hash_algorithm, _STRONG)

    def is_issued_by(self, issuer: "Certificate") -> bool:
        """Whether ``issuer`` bears the name and has made the signature. Where the library cannot say, it has not."""
        with suppress(FormatError), foreign("an issuer cannot be compared", code=Code.X509_MALFORMED):
            self.parsed.verify_directly_issued_by(issuer.parsed)
            return True
        return False


@dataclass(frozen=True, slots=True)
class Authority:
    """Somebody who issues certificates: an anchor that is trusted, intermediates that are not, and since when and until when."""

    name: str
    anchor: Certificate
    intermediates: tuple[Certificate, ...] = ()
    """The signing certificate of a timestamp authority may be among them."""
    window: Window = ALWAYS

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        return (*self.intermediates, self.anchor)

    def chain(self, leaf: Certificate, *, others: Iterable[Certificate] = (), at: datetime, purpose: Purpose) -> tuple[Certificate, ...]:
        """The certificates from ``leaf`` to the anchor, all valid ``at`` and allowed for ``purpose``.

        ``others`` are further intermediates, from wherever.

        Raises TrustError (``x509.authority-window``, ``x509.chain``). The leaf's key is for the caller to accept: the library
        asks for the size of its issuers' keys alone.
        """
        need(at in self.window, Code.X509_AUTHORITY_WINDOW, f"{self.name} is not trusted then", found=spelled(at), wanted=self.window)
        known = {c.der: c for c in (leaf, *self.intermediates, *others, self.anchor)}
        # Whatever the library says of certificates that were read whole, it has found no chain.
        with foreign(f"no chain to {self.name} as of {spelled(at)}", code=Code.X509_CHAIN, to=TrustError):
            untrusted = [c.parsed for c in known.values() if c not in (leaf, self.anchor)]
            # The anchor alone goes into the store: the library takes all in it for anchors and asks no anchor for its place.
            verifier = _builder(purpose).store(verification.Store([self.anchor.parsed])).time(at).build_client_verifier()
            found = tuple(known[c.public_bytes(Encoding.DER)] for c in verifier.verify(leaf.parsed, untrusted).chain)
        need(len(found) > 1, Code.X509_CHAIN, f"{self.name} has issued nothing here: the certificate is its anchor", found=leaf.subject)
        # The library cuts the time to whole seconds, so a moment after the last second would pass.
        need(all(at in c.window for c in found), Code.X509_CHAIN, f"a certificate below {self.name} is not valid at {spelled(at)}")
        return found


def _issuer_and_serial(der: bytes) -> tuple[bytes, int]:
    """The serial number must be above zero (RFC 5280, section 4.1.2.2); the library will ask for it too, and warns until then."""
    fields = Element.parse(der, SEQUENCE).items().take(SEQUENCE).items()
    fields.maybe(context(0))
    number = fields.take(INTEGER).integer()
    if number <= 0:
        raise FormatError("a certificate's serial number", code=Code.X509_MALFORMED, found=number, wanted="1 or more")
    fields.take(SEQUENCE)
    return fields.take(SEQUENCE).raw, number


@foreign("a name in a certificate cannot be read", code=Code.X509_MALFORMED)
def _name(name: x509.Name) -> str:
    text = name.rfc4514_string()
    size = len(text.encode())
    if size > MAX_NAME:
        raise FormatError("a name in a certificate is over its limit", code=Code.X509_MALFORMED, found=size, wanted=f"{MAX_NAME} bytes")
    return text


def accepted_key(spki: bytes) -> PublicKey:
    """The key of a certificate or a log, if it is of a kind and size that is accepted.

    Raises FormatError (``x509.key``, ``key.unsupported``).
    """
    try:
        return PublicKey.parse(to_pem(spki, "PUBLIC KEY"), role="image")
    except UsageError as error:
        code = Code.KEY_UNSUPPORTED if error.code is Code.KEY_UNSUPPORTED else Code.X509_KEY
        raise FormatError(error.what, code=code, found=error.found, wanted=error.wanted) from error


@cache
@foreign("a policy for chains cannot be made", code=Code.X509_CHAIN)
def _builder(purpose: Purpose) -> verification.PolicyBuilder:
    def usage(_: verification.Policy, __: x509.Certificate, extension: x509.ExtendedKeyUsage | None) -> None:
        if extension is not None and purpose.value not in extension:
            raise ValueError(f"an authority's extended key usage lacks {purpose.name.lower()}")

    policy, either = verification.ExtensionPolicy, verification.Criticality.AGNOSTIC
    above = policy.webpki_defaults_ca().may_be_present(x509.ExtendedKeyUsage, either, usage)
    return verification.PolicyBuilder().extension_policies(ca_policy=above, ee_policy=policy.permit_all())
