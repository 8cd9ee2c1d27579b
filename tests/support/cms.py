"""A writer of DER, and of timestamps (RFC 3161) that are right but for what a test asks to be wrong."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

HASHES = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
ALGORITHMS = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
ECDSA = {"sha256": "1.2.840.10045.4.3.2", "sha384": "1.2.840.10045.4.3.3", "sha512": "1.2.840.10045.4.3.4"}
RSA = {"sha256": "1.2.840.113549.1.1.11", "sha384": "1.2.840.113549.1.1.12", "sha512": "1.2.840.113549.1.1.13"}
RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
RSA_PSS = "1.2.840.113549.1.1.10"
MGF1 = "1.2.840.113549.1.1.8"
SIGNED_DATA = "1.2.840.113549.1.7.2"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
ESS_V1 = "1.2.840.113549.1.9.16.2.12"
ESS_V2 = "1.2.840.113549.1.9.16.2.47"

Attributes = list[tuple[str, bytes]]


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def seq(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def set_of(*parts: bytes) -> bytes:
    return tlv(0x31, *parts)


def integer(number: int, tag: int = 0x02) -> bytes:
    return tlv(tag, number.to_bytes((number ^ number >> 256).bit_length() // 8 + 1, "big", signed=True))


def octets(content: bytes) -> bytes:
    return tlv(0x04, content)


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.insert(0, arc & 0x7F | 0x80)
        content.extend(groups)
    return tlv(0x06, bytes(content))


def time(at: datetime) -> bytes:
    fraction = f".{at.microsecond:06}".rstrip("0") if at.microsecond else ""
    return tlv(0x18, f"{at:%Y%m%d%H%M%S}{fraction}Z".encode())


def algorithm(dotted: str, *parameters: bytes) -> bytes:
    return seq(oid(dotted), *parameters)


def pss_parameters(name: str, *, mask: str | None = None, salt: int | None = None, more: bytes = b"") -> bytes:
    mask_name, length = mask or name, hashlib.new(name).digest_size if salt is None else salt
    return seq(
        tlv(0xA0, algorithm(HASHES[name])),
        tlv(0xA1, algorithm(MGF1, algorithm(HASHES[mask_name]))),
        tlv(0xA2, integer(length)),
        more,
    )


def ess(certificate: x509.Certificate, *, version: int, name: str = "sha256") -> bytes:
    """A SigningCertificate or SigningCertificateV2 that names one certificate."""
    raw = certificate.public_bytes(Encoding.DER)
    if version == 1:
        return seq(seq(seq(octets(hashlib.sha1(raw, usedforsecurity=False).digest()))))
    by = () if name == "sha256" else (algorithm(HASHES[name]),)
    return seq(seq(seq(*by, octets(hashlib.new(name, raw).digest()))))


def tst_info(message: bytes, at: datetime, **wrong: Any) -> bytes:
    """``version``, ``policy``, ``name`` (of the digest), ``imprint``, ``accuracy``, ``extensions``, ``more``: what differs."""
    name = wrong.get("name", "sha256")
    imprint = wrong.get("imprint") or hashlib.new(name, message, usedforsecurity=False).digest()
    return seq(
        integer(wrong.get("version", 1)),
        oid(wrong.get("policy", "1.3.6.1.4.1.57264.2")),
        seq(algorithm(HASHES[name], b"\x05\x00"), octets(imprint), wrong.get("imprint_more", b"")),
        integer(4711),
        time(at),
        wrong.get("accuracy", b""),
        wrong.get("ordering", b""),
        integer(0x1234567890ABCDEF),
        wrong.get("tsa", b""),
        wrong.get("extensions", b""),
        wrong.get("more", b""),
    )


def signature_of(data: bytes, key: Any, name: str, scheme: str | None) -> tuple[bytes, bytes]:
    """An AlgorithmIdentifier, and the signature by it."""
    by = ALGORITHMS[name]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return algorithm(scheme or ECDSA[name]), key.sign(data, ec.ECDSA(by, deterministic_signing=True))
    assert isinstance(key, rsa.RSAPrivateKey)
    if scheme == RSA_PSS:
        pss = padding.PSS(padding.MGF1(by), padding.PSS.DIGEST_LENGTH)
        return algorithm(RSA_PSS, pss_parameters(name)), key.sign(data, pss, by)
    return algorithm(scheme or RSA[name], b"\x05\x00"), key.sign(data, padding.PKCS1v15(), by)


def token(
    info: bytes,
    key: Any,
    certificate: x509.Certificate,
    *,
    embedded: Iterable[x509.Certificate] = (),
    name: str = "sha256",
    scheme: str | None = None,
    by_key_id: bool = False,
    named: x509.Certificate | None = None,
    essence: Iterable[tuple[str, bytes]] | None = None,
    attributes: Callable[[Attributes], Attributes] = lambda these: these,
    signature: Callable[[bytes], bytes] = lambda these: these,
    algorithm_id: bytes | None = None,
    digest_id: bytes | None = None,
    content_type: str = TST_INFO,
    outer_type: str = SIGNED_DATA,
    signers: int = 1,
    crls: bytes = b"",
    unsigned: bytes = b"",
    more: Mapping[str, bytes] | None = None,
) -> bytes:
    """A TimeStampToken over ``info``; ``more`` is laid behind the last element of a ``sid``, ``attribute``, ``content`` or ``signed``."""
    more = more or {}
    essence = [(ESS_V2, ess(certificate, version=2))] if essence is None else essence
    these: Attributes = attributes(
        [(CONTENT_TYPE, oid(TST_INFO)), (MESSAGE_DIGEST, octets(hashlib.new(name, info).digest())), *essence],
    )
    signed = b"".join(seq(oid(kind), set_of(value), more.get("attribute", b"")) for kind, value in these)
    identifier, value = signature_of(set_of(signed), key, name, scheme)
    meant = named or certificate
    if by_key_id:
        sid = tlv(0x80, meant.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)
    else:
        sid = seq(meant.issuer.public_bytes(), integer(meant.serial_number), more.get("sid", b""))
    signer = seq(
        integer(3 if by_key_id else 1),
        sid,
        digest_id or algorithm(HASHES[name], b"\x05\x00"),
        tlv(0xA0, signed),
        algorithm_id or identifier,
        octets(signature(value)),
        unsigned,
    )
    certificates = b"".join(c.public_bytes(Encoding.DER) for c in embedded)
    return seq(
        oid(outer_type),
        tlv(
            0xA0,
            seq(
                integer(3),
                set_of(algorithm(HASHES[name], b"\x05\x00")),
                seq(oid(content_type), tlv(0xA0, octets(info)), more.get("content", b"")),
                tlv(0xA0, certificates) if certificates else b"",
                crls,
                set_of(*[signer] * signers),
                more.get("signed", b""),
            ),
        ),
    )


def response(token: bytes, *, status: int = 0) -> bytes:
    """A TimeStampResp."""
    return seq(seq(integer(status)), token)
