"""Chains of certificates as the Notary Project wants them (notaryproject/specifications, ``signature-specification.md``,
"Certificate Requirements").

All other extensions are passed over there, critical ones and name constraints too, and validity is asked of each
certificate by itself: so the path validation that Sigstore's chains go through is not what is meant here.
"""

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from bundler.errors import Code
from bundler.trust.foreign import foreign
from bundler.trust.need import need
from bundler.trust.x509 import Certificate, accepted_key

_NOT_FOR_CODE: frozenset[ObjectIdentifier] = frozenset(
    {
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.TIME_STAMPING,
        ExtendedKeyUsageOID.OCSP_SIGNING,
    }
)


def check_chain(chain: tuple[Certificate, ...]) -> None:
    """``chain`` leads in order from a certificate to sign code with to a self-signed root, whoever that is.

    Raises TrustError (``x509.profile``) and FormatError (``x509.key``).
    """
    leaf, *above = chain
    for lower, upper in zip(chain, above, strict=False):
        need(not lower.is_issued_by(lower), Code.X509_PROFILE, "a chain goes on after a self-signed certificate", found=lower.subject)
        need(lower.is_issued_by(upper), Code.X509_PROFILE, "a chain is out of order", found=upper.subject, wanted=lower.issuer)
    root = chain[-1]
    need(root.is_issued_by(root), Code.X509_PROFILE, "a chain does not end in a self-signed certificate", found=root.subject)
    for certificate in chain:
        accepted_key(certificate.spki)
        strong = certificate.is_signed_with_sha_2
        need(strong, Code.X509_PROFILE, "a certificate is signed with a weak digest", found=certificate.subject, wanted="SHA-2")
    for below, issuer in enumerate(above):
        _check_issuer(issuer, below=below)
    _check_leaf(leaf)


@foreign("the extensions of an issuer cannot be read", code=Code.X509_MALFORMED)
def _check_issuer(issuer: Certificate, *, below: int) -> None:
    """``below`` is how many issuers stand between it and the leaf."""
    constraints = issuer.extension(x509.BasicConstraints)
    is_ca = constraints is not None and constraints.critical and constraints.value.ca
    need(is_ca, Code.X509_PROFILE, "an issuer is not a CA", found=issuer.subject, wanted="critical basic constraints of a CA")
    assert constraints is not None
    length = constraints.value.path_length
    need(length is None or below <= length, Code.X509_PROFILE, "a chain is longer than a CA in it allows", found=below, wanted=length)
    usage = issuer.extension(x509.KeyUsage)
    signs = usage is not None and usage.critical and usage.value.key_cert_sign
    need(signs, Code.X509_PROFILE, "an issuer may not sign certificates", found=issuer.subject, wanted="critical key usage keyCertSign")


@foreign("the extensions of a certificate cannot be read", code=Code.X509_MALFORMED)
def _check_leaf(leaf: Certificate) -> None:
    need(not leaf.is_ca, Code.X509_PROFILE, "a CA's certificate does not sign", found=leaf.subject)
    usage = leaf.extension(x509.KeyUsage)
    signs = usage is not None and usage.critical and usage.value.digital_signature and not _other_usages(usage.value)
    need(
        signs,
        Code.X509_PROFILE,
        "a certificate of another key usage",
        found=leaf.subject,
        wanted="critical key usage digitalSignature alone",
    )
    purposes = leaf.extension(x509.ExtendedKeyUsage)
    others = [purpose for purpose in purposes.value if purpose in _NOT_FOR_CODE] if purposes else []
    need(not others, Code.X509_PROFILE, "a certificate is for other purposes", found=", ".join(o.dotted_string for o in others))


@foreign("the key usage of a certificate cannot be read", code=Code.X509_MALFORMED)
def _other_usages(usage: x509.KeyUsage) -> bool:
    return any((usage.key_encipherment, usage.data_encipherment, usage.key_agreement, usage.key_cert_sign, usage.crl_sign))
