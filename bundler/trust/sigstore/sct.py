"""Signed certificate timestamps: the promise of a certificate's own log, inside the certificate (RFC 6962, section 3)."""

import hashlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.certificate_transparency import SignedCertificateTimestamp

from bundler.errors import Code
from bundler.trust.foreign import foreign
from bundler.trust.need import need
from bundler.trust.sigstore.root import Log, TrustedRoot
from bundler.trust.x509 import Certificate

MAX_SCTS = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@foreign("the timestamps of certificate logs cannot be read", code=Code.X509_MALFORMED)
def check_scts(leaf: Certificate, issuer: Certificate, root: TrustedRoot, *, threshold: int) -> tuple[str, ...]:
    """The names of the logs of ``root`` that have promised to log ``leaf``: at least ``threshold`` distinct ones.

    ``issuer`` is the certificate above it in the verified chain, never one that merely lies beside it.

    Raises TrustError (``sct.missing``, ``sct.threshold``, ``limit.signature``) and FormatError (``x509.malformed``).
    """
    extension = leaf.extension(x509.PrecertificateSignedCertificateTimestamps)
    scts = list(extension.value) if extension else []
    need(bool(scts) or threshold == 0, Code.SCT_MISSING, "a certificate without a signed certificate timestamp")
    need(len(scts) <= MAX_SCTS, Code.LIMIT_SIGNATURE, "too many signed certificate timestamps", found=len(scts), wanted=MAX_SCTS)
    names = {log.id: log.name for sct in scts for log in root.ct_logs if _is_by(sct, leaf, issuer, log)}
    need(len(names) >= threshold, Code.SCT_THRESHOLD, "not enough certificate logs have promised", found=len(names), wanted=threshold)
    return tuple(sorted(names.values()))


@foreign("a timestamp of a certificate log cannot be read", code=Code.X509_MALFORMED)
def _is_by(sct: SignedCertificateTimestamp, leaf: Certificate, issuer: Certificate, log: Log) -> bool:
    if log.id != sct.log_id or not isinstance(sct.signature_hash_algorithm, hashes.SHA256):
        return False
    time = sct.timestamp.replace(tzinfo=UTC)
    return time in log.window and log.has_signed(_signed_bytes(sct, time, leaf, issuer), sct.signature)


@foreign("a timestamp of a certificate log cannot be read", code=Code.X509_MALFORMED)
def _signed_bytes(sct: SignedCertificateTimestamp, time: datetime, leaf: Certificate, issuer: Certificate) -> bytes:
    """RFC 6962, section 3.2. The extensions may hold something: static logs write the entry's place there."""
    certificate = leaf.parsed.tbs_precertificate_bytes
    return b"".join(
        (
            b"\x00\x00",  # version 1, certificate_timestamp
            ((time - _EPOCH) // _MILLISECOND).to_bytes(8, "big"),
            b"\x00\x01",  # precert_entry
            hashlib.sha256(issuer.spki).digest(),
            len(certificate).to_bytes(3, "big"),
            certificate,
            len(sct.extension_bytes).to_bytes(2, "big"),
            sct.extension_bytes,
        )
    )
