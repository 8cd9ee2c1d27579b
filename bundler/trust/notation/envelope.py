"""Signature envelopes of the Notary Project: JWS and COSE (notaryproject/specifications, ``signature-envelope-jws.md`` and ``-cose.md``).

Both become one type. What it says is believed once :meth:`SignatureEnvelope.check_signature` has gone on, and as far as its
certificates are trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from bundler import strictjson
from bundler.errors import Code, FormatError, TrustError
from bundler.trust.encodings import from_base64, from_base64url
from bundler.trust.foreign import foreign, verifies
from bundler.trust.need import need
from bundler.trust.notation import cbor
from bundler.trust.window import parse_time, spelled
from bundler.trust.x509 import Certificate

JWS = "application/jose+json"
COSE = "application/cose"
CONTENT_TYPE = "application/vnd.cncf.notary.payload.v1+json"

MAX_ENVELOPE = 1 << 20  # bytes; ten large certificates and a timestamp take 40 KiB
MAX_CHAIN = 10

_PREFIX = "io.cncf.notary."
_SCHEME = f"{_PREFIX}signingScheme"
_SIGNING_TIME = f"{_PREFIX}signingTime"
_AUTHENTIC_TIME = f"{_PREFIX}authenticSigningTime"
_EXPIRY = f"{_PREFIX}expiry"
_TIMESTAMP = f"{_PREFIX}timestampSignature"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_TIME = 253402300799  # the last second of the year 9999, where times end here


class Scheme(StrEnum):
    """Who says when it was signed: the signer, or an authority whose word that is."""

    X509 = "notary.x509"
    SIGNING_AUTHORITY = "notary.x509.signingAuthority"


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What the signer's key makes it: nothing in the envelope has a say in it."""

    name: str
    hash: hashes.HashAlgorithm
    label: int
    """In COSE (RFC 9053, RFC 8230)."""

    @classmethod
    @foreign("the key of a certificate cannot be read", code=Code.X509_MALFORMED)
    def of(cls, key: object) -> "Algorithm":
        """Of a leaf's key (specification, "Algorithm Selection"). Raises TrustError (``envelope.algorithm``)."""
        size = key.key_size if isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey) else 0
        found = _ALGORITHMS.get((isinstance(key, rsa.RSAPublicKey), size))
        if found is None:
            raise TrustError(
                "a key that the Notary Project does not sign with",
                code=Code.ENVELOPE_ALGORITHM,
                wanted="RSA 2048, 3072 or 4096, P-256, -384 or -521",
            )
        return found


_ALGORITHMS = {
    (True, 2048): Algorithm("PS256", hashes.SHA256(), -37),
    (True, 3072): Algorithm("PS384", hashes.SHA384(), -38),
    (True, 4096): Algorithm("PS512", hashes.SHA512(), -39),
    (False, 256): Algorithm("ES256", hashes.SHA256(), -7),
    (False, 384): Algorithm("ES384", hashes.SHA384(), -35),
    (False, 521): Algorithm("ES512", hashes.SHA512(), -36),
}


@dataclass(frozen=True)
class SignatureEnvelope:
    """A signature, what is signed, and the certificates that it came with.

    These are read when they are first asked for, and once: a rule that asks for none is never troubled by one.
    """

    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    """As it stands in the envelope, which is what timestamps are of."""
    payload: bytes
    certificates: tuple[bytes, ...] = field(repr=False)
    """In DER, from the signer's to its root; from 1 to 10."""
    said_algorithm: str | int
    """In the words of its form; which it is, the signer's key says."""
    scheme: Scheme
    signing_time: datetime
    expiry: datetime | None
    timestamp: bytes | None = field(repr=False)
    """A token of RFC 3161."""

    @classmethod
    def parse(cls, raw: bytes, media_type: str) -> "SignatureEnvelope":
        """From a layer of ``media_type``. Of the certificates nothing is read but where they are.

        Raises TrustError and FormatError (``envelope.…``, ``crit.…``, ``format.…``).
        """
        need(len(raw) <= MAX_ENVELOPE, Code.LIMIT_EVIDENCE, "an envelope is over its limit", found=len(raw), wanted=MAX_ENVELOPE)
        known = media_type in (JWS, COSE)
        need(known, Code.ENVELOPE_MEDIA_TYPE, "an envelope of an unknown kind", found=ascii(media_type[:80]), wanted=f"{JWS} or {COSE}")
        return _jws(raw) if media_type == JWS else _cose(raw)

    @cached_property
    def chain(self) -> tuple[Certificate, ...]:
        """From the signer's certificate to its root. Raises FormatError (``x509.malformed``, ``format.der``)."""
        return tuple(map(Certificate.parse, self.certificates))

    @cached_property
    def algorithm(self) -> Algorithm:
        """Raises TrustError (``envelope.algorithm``), also where the envelope says another, and as :attr:`chain`."""
        algorithm = Algorithm.of(self.chain[0].key)
        meant = self.said_algorithm in (algorithm.name, algorithm.label)
        need(meant, Code.ENVELOPE_ALGORITHM, "another algorithm than the key's", found=ascii(self.said_algorithm), wanted=algorithm.name)
        return algorithm

    def check_signature(self) -> None:
        """It is by the key of the first certificate. Raises TrustError (``signature.invalid``), and as :attr:`algorithm`."""
        leaf, by = self.chain[0], self.algorithm.hash
        key = leaf.key
        if isinstance(key, rsa.RSAPublicKey):
            by_rsa, pss = key, padding.PSS(padding.MGF1(by), padding.PSS.DIGEST_LENGTH)
            verified = verifies(lambda: by_rsa.verify(self.signature, self.signed, pss, by))
        else:  # Algorithm.of knows no third kind
            curve = cast(ec.EllipticCurvePublicKey, key)
            verified = verifies(lambda: curve.verify(_der(self.signature, curve), self.signed, ec.ECDSA(by)))
        need(verified, Code.SIGNATURE_INVALID, "the signature of an envelope does not verify", wanted=f"one by {leaf.subject}")


@foreign("a signature cannot be read", code=Code.SIGNATURE_MALFORMED)
def _der(signature: bytes, key: ec.EllipticCurvePublicKey) -> bytes:
    """From two numbers of the curve's size, as JOSE and COSE have them (RFC 7518, section 3.4)."""
    size = (key.key_size + 7) // 8
    need(len(signature) == 2 * size, Code.SIGNATURE_INVALID, "a signature of another size than its key makes", found=len(signature))
    return utils.encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))


@dataclass(frozen=True, slots=True)
class _Headers:
    """The protected headers in either spelling, under the names that JWS gives them."""

    members: Mapping[str, Any]
    algorithm: str | int

    def text(self, name: str) -> str:
        value = self.members.get(name)
        if not isinstance(value, str):
            raise _malformed(f"{name} is not text", value)
        return value

    def time(self, name: str) -> datetime:
        value = self.members.get(name)
        if isinstance(value, datetime):
            return value
        raise _malformed(f"{name} is not a time", value)

    def scheme(self) -> Scheme:
        text = self.text(_SCHEME)
        need(text in list(Scheme), Code.ENVELOPE_SCHEME, "an unknown signing scheme", found=ascii(text[:80]), wanted=" or ".join(Scheme))
        return Scheme(text)

    def check_critical(self, scheme: Scheme) -> None:
        """What is critical is there, and understood; what must be critical is (specification, "Signed Attributes")."""
        critical = self.members.get("crit")
        if not isinstance(critical, list) or not all(isinstance(name, str) for name in critical):
            raise _malformed("crit is not a list of names", critical)
        needed = {_SCHEME} | ({_EXPIRY} & self.members.keys())
        needed |= {_AUTHENTIC_TIME} if scheme is Scheme.SIGNING_AUTHORITY else set()
        need(len(set(critical)) == len(critical), Code.CRIT_MALFORMED, "crit has a name twice")
        need(needed <= set(critical), Code.CRIT_MALFORMED, "crit lacks a name", wanted=", ".join(sorted(needed - set(critical))))
        unknown = sorted(set(critical) - needed)
        need(
            not unknown,
            Code.CRIT_UNKNOWN,
            "a critical attribute that is absent or that nobody here understands",
            found=ascii(unknown)[:160],
        )


def _envelope(
    headers: _Headers, certificates: Sequence[bytes], *, signed: bytes, signature: bytes, payload: bytes, timestamp: bytes | None
) -> SignatureEnvelope:
    need(
        1 <= len(certificates) <= MAX_CHAIN, Code.ENVELOPE_MALFORMED, "an envelope of no or too many certificates", found=len(certificates)
    )
    content_type = headers.text("cty")
    need(
        content_type == CONTENT_TYPE,
        Code.PAYLOAD_TYPE,
        "an envelope of another payload",
        found=ascii(content_type[:80]),
        wanted=CONTENT_TYPE,
    )
    scheme = headers.scheme()
    headers.check_critical(scheme)
    own, other = (_SIGNING_TIME, _AUTHENTIC_TIME) if scheme is Scheme.X509 else (_AUTHENTIC_TIME, _SIGNING_TIME)
    need(other not in headers.members, Code.ENVELOPE_SCHEME, f"a time that is not the scheme's: {other}", wanted=own)
    signing_time = headers.time(own)
    expiry = headers.time(_EXPIRY) if _EXPIRY in headers.members else None
    lasts = expiry is None or expiry > signing_time
    need(
        lasts,
        Code.ENVELOPE_MALFORMED,
        "an envelope that expired before it was signed",
        found=expiry and spelled(expiry),
        wanted=f"after {spelled(signing_time)}",
    )
    return SignatureEnvelope(signed, signature, payload, tuple(certificates), headers.algorithm, scheme, signing_time, expiry, timestamp)


def _jws(raw: bytes) -> SignatureEnvelope:
    match strictjson.loads(raw, limit=MAX_ENVELOPE):
        case {
            "payload": str(payload),
            "protected": str(protected),
            "header": {"x5c": [*x5c], **unprotected},
            "signature": signature,
            **more,
        } if not more:
            return _envelope(
                _jws_headers(from_base64url(protected, what="protected of an envelope")),
                [from_base64(certificate, what="a certificate of an envelope") for certificate in x5c],
                signed=f"{protected}.{payload}".encode(),
                signature=from_base64url(signature, what="signature of an envelope"),
                payload=from_base64url(payload, what="payload of an envelope"),
                timestamp=from_base64(unprotected[_TIMESTAMP], what="timestamp of an envelope") if unprotected.get(_TIMESTAMP) else None,
            )
    raise FormatError(
        "a JWS envelope is not well-formed", code=Code.ENVELOPE_MALFORMED, wanted="payload, protected, header with x5c, signature"
    )


def _jws_headers(raw: bytes) -> _Headers:
    value = strictjson.loads(raw, limit=MAX_ENVELOPE)
    if not isinstance(value, dict) or not isinstance(algorithm := value.get("alg"), str):
        raise FormatError(
            "the protected header of an envelope is not well-formed", code=Code.ENVELOPE_MALFORMED, wanted="an object with alg"
        )
    times = {name: parse_time(value[name]) for name in (_SIGNING_TIME, _AUTHENTIC_TIME, _EXPIRY) if name in value}
    return _Headers(value | times, algorithm)


_ALG = 1  # RFC 9052, section 3.1, as the next two
_COSE_NAMES: Mapping[int | str, str] = {2: "crit", 3: "cty"}
_X5CHAIN = 33  # RFC 9360


def _cose(raw: bytes) -> SignatureEnvelope:
    match cbor.loads(raw):
        case cbor.Tagged(tag=18, value=[bytes(protected), dict(unprotected), bytes(payload), bytes(signature)]):  # RFC 9052, section 4.2
            chain, timestamp = unprotected.get(_X5CHAIN), unprotected.get(_TIMESTAMP)
            if (
                isinstance(chain, list)
                and all(isinstance(certificate, bytes) for certificate in chain)
                and isinstance(timestamp, bytes | None)
            ):
                return _envelope(
                    _cose_headers(protected),
                    chain,
                    signed=b"\x84\x6aSignature1" + _byte_string(protected) + b"\x40" + _byte_string(payload),
                    signature=signature,
                    payload=payload,
                    timestamp=timestamp,
                )
    raise FormatError("a COSE envelope is not well-formed", code=Code.ENVELOPE_MALFORMED, wanted="COSE_Sign1 with x5chain")


def _cose_headers(raw: bytes) -> _Headers:
    value = cbor.loads(raw)
    if not isinstance(value, dict) or type(algorithm := value.get(_ALG)) is not int:
        raise FormatError("the protected header of an envelope is not well-formed", code=Code.ENVELOPE_MALFORMED, wanted="a map with alg")
    named = {str(_COSE_NAMES.get(name, name)): _untagged(member) for name, member in value.items()}
    need(len(named) == len(value), Code.ENVELOPE_MALFORMED, "an envelope has a header under its label and its name")
    return _Headers(named, algorithm)


def _untagged(value: Any) -> Any:
    """Times are seconds under tag 1 (RFC 8949, section 3.4.2)."""
    match value:
        case cbor.Tagged(tag=1, value=int(seconds)) if 0 <= seconds <= _MAX_TIME:
            return _EPOCH + timedelta(seconds=seconds)
    return value


def _byte_string(content: bytes) -> bytes:
    """RFC 8949, section 3: the head of a byte string in the least length, and its content."""
    length = len(content)
    if length < 24:
        return bytes([0x40 | length]) + content
    short, size = (0x58, 1) if length < 1 << 8 else (0x59, 2) if length < 1 << 16 else (0x5A, 4)
    return bytes([short]) + length.to_bytes(size, "big") + content


def _malformed(what: str, found: object) -> FormatError:
    return FormatError(f"an envelope is not well-formed: {what}", code=Code.ENVELOPE_MALFORMED, found=ascii(found)[:80])
