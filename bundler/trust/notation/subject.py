"""Trusted identities: which subjects a signer's certificate may have (notaryproject/specifications,
``trust-store-trust-policy.md``, "Trusted Identities"; RFC 4514)."""

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from bundler.errors import Code, FormatError
from bundler.trust.foreign import foreign
from bundler.trust.need import need
from bundler.trust.x509 import Certificate

ANY = "*"
MAX_TEXT = 4 << 10  # characters; the longest real names have some hundred (CVE-2023-25656)
_ALIASES = {"S": NameOID.STATE_OR_PROVINCE_NAME, "E": NameOID.EMAIL_ADDRESS, "emailAddress": NameOID.EMAIL_ADDRESS}


@dataclass(frozen=True, slots=True)
class Subject:
    """Attributes that a certificate's subject must have, each with this value and no other; none asks for nothing."""

    text: str
    attributes: tuple[tuple[ObjectIdentifier, str], ...]

    @classmethod
    def parse(cls, text: str) -> "Subject":
        """From ``*``, or from attributes as ``CN=release,O=Example``. Raises FormatError (``identity.subject``)."""
        if text == ANY:
            return cls(text, ())
        if len(text) > MAX_TEXT or "=#" in text:
            raise _refused(text, f"at most {MAX_TEXT} characters, and no values in hex")
        with foreign("a subject is not of the form CN=…,O=…", code=Code.IDENTITY_SUBJECT):
            # People write a space behind a comma; one behind an escaped comma is the value's.
            name = x509.Name.from_rfc4514_string(re.sub(r"(?<!\\), +", ",", text.strip()), _ALIASES)
            attributes = tuple((attribute.oid, str(attribute.value)) for attribute in name)
            if not attributes or len(name.rdns) != len(attributes) or len({kind for kind, _ in attributes}) != len(attributes):
                raise _refused(text, "one or more attributes, none of them twice or joined by +")
            return cls(text, attributes)

    @property
    def common_name(self) -> str | None:
        """The CN among the attributes."""
        return next((value for kind, value in self.attributes if kind == NameOID.COMMON_NAME), None)

    def check(self, certificate: Certificate) -> None:
        """Raises TrustError (``identity.subject``)."""
        with foreign("the subject of a certificate cannot be read", code=Code.X509_MALFORMED):
            subject = certificate.parsed.subject
            same = all([a.value for a in subject.get_attributes_for_oid(kind)] == [value] for kind, value in self.attributes)
        need(same, Code.IDENTITY_SUBJECT, "a certificate of another subject", found=certificate.subject, wanted=self.text)

    def covers(self, other: "Subject") -> bool:
        """Whether every certificate of the ``other`` is one of this."""
        return set(self.attributes) <= set(other.attributes)

    def __str__(self) -> str:
        return self.text


def _refused(text: str, wanted: str) -> FormatError:
    return FormatError("a subject is not well-formed", code=Code.IDENTITY_SUBJECT, found=ascii(text[:160]), wanted=wanted)
