"""Fulcio's certificates: who may sign with one, and under which authority, as of the verified times."""

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509

from bundler.errors import Code, TrustError
from bundler.trust.foreign import foreign
from bundler.trust.need import need
from bundler.trust.sigstore.root import TrustedRoot
from bundler.trust.window import spelled
from bundler.trust.x509 import Authority, Certificate, Purpose


@foreign("the extensions of a certificate cannot be read", code=Code.X509_MALFORMED)
def check_leaf(leaf: Certificate) -> None:
    """``leaf`` is a certificate to sign with and no CA's. Raises TrustError (``x509.leaf``)."""
    need(not leaf.is_ca, Code.X509_LEAF, "a CA's certificate does not sign", found=leaf.subject)
    usage = leaf.extension(x509.KeyUsage)
    signs = usage is not None and usage.value.digital_signature and not usage.value.key_cert_sign
    need(signs, Code.X509_LEAF, "a certificate of another key usage", wanted="digitalSignature without keyCertSign")
    purposes = leaf.extension(x509.ExtendedKeyUsage)
    for_code = purposes is not None and Purpose.CODE_SIGNING.value in purposes.value
    need(for_code, Code.X509_LEAF, "a certificate of another extended key usage", wanted="codeSigning")


def issuers(leaf: Certificate, chain: tuple[Certificate, ...], root: TrustedRoot, times: Iterable[datetime]) -> tuple[Certificate, ...]:
    """The certificates that have issued ``leaf``, as each of ``times`` shows them: under an authority of ``root``, all of them valid.

    ``chain`` is what came with the leaf: further intermediates, none of them trusted. Old bundles have the root again in it.

    Raises TrustError (``x509.chain``, ``x509.authority-window``).
    """
    found = {above.der: above for above in (_issuer(leaf, chain, root.authorities, time) for time in times)}
    return tuple(found.values())


def _issuer(leaf: Certificate, others: tuple[Certificate, ...], authorities: Iterable[Authority], time: datetime) -> Certificate:
    refusal = TrustError(f"no authority of the root is trusted as of {spelled(time)}", code=Code.X509_CHAIN, found=leaf.issuer)
    for authority in authorities:
        try:
            return authority.chain(leaf, others=others, at=time, purpose=Purpose.CODE_SIGNING)[1]
        except TrustError as error:
            refusal = error
    raise refusal
