"""Identities: what Fulcio writes into a certificate about who asked for it (fulcio, docs/oid-info.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from bundler.errors import Code, FormatError
from bundler.trust import der
from bundler.trust.foreign import foreign
from bundler.trust.need import need
from bundler.trust.x509 import MAX_NAME, Certificate

_ARC = "1.3.6.1.4.1.57264.1."
_ISSUER_V1 = f"{_ARC}1"
_OTHER_NAME = ObjectIdentifier(f"{_ARC}7")
_ISSUER_V2 = f"{_ARC}8"

# Everything that can be asked for under `claims` in trust.toml. Those up to .6 hold their text as it is, the later in DER.
CLAIMS: Mapping[str, str] = MappingProxyType(
    {
        f"{_ARC}2": "github_workflow_trigger",
        f"{_ARC}3": "github_workflow_sha",
        f"{_ARC}4": "github_workflow_name",
        f"{_ARC}5": "github_workflow_repository",
        f"{_ARC}6": "github_workflow_ref",
        f"{_ARC}9": "build_signer_uri",
        f"{_ARC}10": "build_signer_digest",
        f"{_ARC}11": "runner_environment",
        f"{_ARC}12": "source_repository_uri",
        f"{_ARC}13": "source_repository_digest",
        f"{_ARC}14": "source_repository_ref",
        f"{_ARC}15": "source_repository_identifier",
        f"{_ARC}16": "source_repository_owner_uri",
        f"{_ARC}17": "source_repository_owner_identifier",
        f"{_ARC}18": "build_config_uri",
        f"{_ARC}19": "build_config_digest",
        f"{_ARC}20": "build_trigger",
        f"{_ARC}21": "run_invocation_uri",
        f"{_ARC}22": "source_repository_visibility",
        f"{_ARC}23": "deployment_environment",
    }
)
_READ = frozenset({_ISSUER_V1, _ISSUER_V2, *CLAIMS})
_RAW = frozenset(f"{_ARC}{n}" for n in range(1, 7))


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a certificate was issued to: names, the OIDC issuer that knew them, and what else it said."""

    names: tuple[str, ...]
    """The subject alternative names that are identities: mail addresses, URIs, user names. Fulcio writes exactly one."""
    issuer: str
    claims: Mapping[str, str]
    """By the names of CLAIMS."""

    @classmethod
    @foreign("the identity in a certificate cannot be read", code=Code.X509_MALFORMED)
    def of(cls, certificate: Certificate) -> "Identity":
        """Of a certificate whose chain was verified: nobody is named before.

        Raises TrustError (``identity.san``, ``identity.issuer``; ``limit.signature`` for more than MAX_NAME bytes of names,
        or in the issuer or one claim) and FormatError (``format.der``, ``x509.malformed``).
        """
        read = {extension.oid.dotted_string: extension.value for extension in certificate.extensions}
        texts = {number: _text(number, read[number].public_bytes()) for number in _READ & read.keys()}
        issuers = {texts[name] for name in (_ISSUER_V1, _ISSUER_V2) if name in texts}
        names = tuple(_names(certificate))
        for text in ("".join(names), *texts.values()):
            size = len(text.encode("utf-8", "surrogatepass"))
            need(size <= MAX_NAME, Code.LIMIT_SIGNATURE, "a name in a certificate is over its limit", found=size, wanted=MAX_NAME)
        found = " and ".join(sorted(issuers)) or "none"
        need(len(issuers) == 1, Code.IDENTITY_ISSUER, "a certificate without one OIDC issuer", found=found)
        need(bool(names), Code.IDENTITY_SAN, "a certificate without an identity", wanted="a mail address, URI or user name")
        claims = {name: texts[number] for number, name in CLAIMS.items() if number in texts}
        return cls(names, issuers.pop(), MappingProxyType(claims))

    def __str__(self) -> str:
        return f"{', '.join(self.names)} (issuer {self.issuer})"


def _text(number: str, value: bytes) -> str:
    if number not in _RAW:
        return der.Element.parse(value, der.UTF8_STRING).text()
    try:
        return value.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise FormatError("a claim of a certificate is not UTF-8", code=Code.FORMAT_DER, found=number) from error


@foreign("the names in a certificate cannot be read", code=Code.X509_MALFORMED)
def _names(certificate: Certificate) -> "list[str]":
    extension = certificate.extension(x509.SubjectAlternativeName)
    names: list[str] = []
    for name in extension.value if extension else ():
        match name:
            case x509.RFC822Name() | x509.UniformResourceIdentifier():
                names.append(name.value)
            case x509.OtherName() if name.type_id == _OTHER_NAME:
                names.append(der.Element.parse(name.value, der.UTF8_STRING).text())
    return names
