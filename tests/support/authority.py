"""A certificate authority of a test's own, and the certificates of servers by it."""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Authority:
    """A certificate authority of a test's own, which writes into its folder."""

    folder: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def made(
        cls,
        folder: Path,
        *,
        by: "Authority | None" = None,
        basic: x509.BasicConstraints | None = x509.BasicConstraints(ca=True, path_length=None),  # noqa: B008 - a value
        critical: bool = True,
        usage: str = "key_cert_sign",
        known: bool = True,
    ) -> "Authority":
        """With a certificate ``by`` another one, else by itself; not ``known`` by an identifier of its key."""
        folder.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP256R1())
        may = x509.KeyUsage(**dict.fromkeys(_USAGES, False) | {usage: True, "crl_sign": True})
        subject = name("authority" if by is None else "intermediate")
        builder = cls._builder(subject, subject if by is None else by.certificate.subject, key, known=known).add_extension(
            may, critical=True
        )
        builder = builder if basic is None else builder.add_extension(basic, critical=critical)
        authority = cls(folder, builder.sign(key if by is None else by.key, hashes.SHA256()), key)
        authority.ca.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
        return authority

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def pair(
        self,
        to: str = "server",
        *,
        host: str | None = "127.0.0.1",
        until: dt.datetime = NOW + DAY,
        since: dt.datetime = NOW - 30 * DAY,
        known: bool = True,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> tuple[Path, Path]:
        """The files of a certificate and its key. Without ``host`` it has only a common name; not ``known``, no identifiers of keys."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(name(to), self.certificate.subject, key, until=until, since=since, known=known)
        if host is not None:
            address = host.replace(".", "").isdigit()
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host)) if address else x509.DNSName(host)])
            builder = builder.add_extension(names, critical=False)
        if known:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        usages = x509.ExtendedKeyUsage([usage, ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate = builder.add_extension(usages, critical=False).sign(self.key, hashes.SHA256())
        paths = self.folder / f"{to}.cert", self.folder / f"{to}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        paths[1].write_bytes(private)
        return paths

    def server(self, **how: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.pair(**how))
        return context

    @staticmethod
    def _builder(
        subject: x509.Name,
        issuer: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        until: dt.datetime = NOW + DAY,
        since: dt.datetime = NOW - 30 * DAY,
        known: bool,
    ) -> x509.CertificateBuilder:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(since).not_valid_after(until)
        return builder if not known else builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
