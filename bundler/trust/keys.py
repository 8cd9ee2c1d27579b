"""Public keys that a station pins, and whether a signature is theirs.

The pinned key fixes the algorithm. Nothing that travels with a signature has a say in how it is verified.
"""

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from bundler.errors import Code, FormatError, TrustError, UsageError
from bundler.trust.der import INTEGER, OBJECT_IDENTIFIER, SEQUENCE, Element
from bundler.trust.ed25519 import PrehashKey
from bundler.trust.encodings import from_base64, from_pem, to_base64
from bundler.trust.foreign import foreign, verifies

Role = Literal["image", "seal"]

MAX_KEY_FILE = 16 << 10  # an ML-DSA-87 key takes 3.6 KiB, the largest that is accepted
MIN_RSA = {"image": 2048, "seal": 3072}  # what old signers have; what is wanted of those who begin now (NIST SP 800-57)
MAX_RSA = 8192  # beyond, a verification is slow enough to keep a station busy with
RSA_EXPONENTS = range(65537, 1 << 31, 2)  # FIPS 186-5, A.1.1, from below; what every library takes, from above

_SHA256 = hashes.SHA256()
_CURVES: dict[str, tuple[str, hashes.HashAlgorithm]] = {
    "secp256r1": ("P-256", _SHA256),
    "secp384r1": ("P-384", hashes.SHA384()),
    "secp521r1": ("P-521", hashes.SHA512()),
}
_SEAL_CURVES = ("secp256r1", "secp384r1")
_ML_DSA = bytes.fromhex("06096086480165030403")  # id-ml-dsa-44, -65 and -87 (RFC 9881) but for the last byte


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One way in which a key signs."""

    key: str
    """Its kind and size: ``P-256``, ``RSA-3072``, ``Ed25519``, ``ML-DSA-65``."""
    digest: str | None
    """What is signed is the digest by this, in hashlib's word; None where the whole of the bytes is signed."""
    words: str = field(compare=False)
    """For people, and never compared."""

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True)
class Match:
    """A signature that a key verifies: by which algorithm, and what is to be said about that."""

    algorithm: Algorithm
    remark: Code | None = None


class Signed:
    """Signed bytes, in parts so that nobody joins large ones, hashed once however many keys are tried on them."""

    __slots__ = ("_digests", "_parts")

    def __init__(self, *parts: bytes) -> None:
        self._parts: tuple[bytes, ...] | None = parts
        self._digests: dict[str, bytes] = {}

    @classmethod
    def by_sha256(cls, digest: bytes) -> "Signed":
        """Bytes that are not here, and of which only this is known: for keys that sign seals."""
        signed = cls()
        signed._parts, signed._digests = None, {"sha256": digest}
        return signed

    def digest(self, algorithm: str) -> bytes:
        if algorithm not in self._digests:
            hasher = hashlib.new(algorithm)
            for part in self._known_parts:
                hasher.update(part)
            self._digests[algorithm] = hasher.digest()
        return self._digests[algorithm]

    @property
    def whole(self) -> bytes:
        return b"".join(self._known_parts)

    @property
    def _known_parts(self) -> tuple[bytes, ...]:
        if self._parts is None:
            raise ValueError("only the SHA-256 of these bytes is known")
        return self._parts


@dataclass(frozen=True, slots=True)
class _Way:
    """One algorithm that a key may have signed with."""

    algorithm: Algorithm
    verifies: Callable[[bytes, Signed], bool]
    remark: Code | None = None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key of a kind that is accepted here. Two are the same key exactly if their SPKI is the same."""

    spki: bytes = field(repr=False)
    """Its SubjectPublicKeyInfo, in DER."""
    _ways: tuple[_Way, ...] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, pem: bytes, *, role: Role) -> "PublicKey":
        """From a file with one ``PUBLIC KEY`` block, and perhaps text beside it (RFC 7468, section 2).

        For images: ECDSA P-256, P-384 and P-521, RSA from 2048 bits, Ed25519, ML-DSA. For seals what openssl and cosign
        check unaided, with SHA-256: P-256, P-384, RSA from 3072 bits.

        Raises UsageError (``trust.key``; ``key.unsupported`` where the cryptography library lacks ML-DSA).
        """
        der = _der(pem)
        with foreign("a key is not well-formed", code=Code.TRUST_KEY, to=UsageError):
            key = _loaded(der)
            if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != der:
                raise _refused("a key is not in the one form that DER allows", wanted="SPKI in DER, with nothing after it")
            return cls(der, _ways(key, role))

    @property
    def fingerprint(self) -> str:
        """``sha256:`` and the hex digest of its SPKI."""
        return f"sha256:{hashlib.sha256(self.spki).hexdigest()}"

    @property
    def hint(self) -> str:
        """How Sigstore bundles hint at it: the base64 of the same digest (sigstore-go, ``pkg/sign``)."""
        return to_base64(hashlib.sha256(self.spki).digest())

    @property
    def pem(self) -> bytes:
        lines = to_base64(self.spki)
        block = "\n".join(lines[start : start + 64] for start in range(0, len(lines), 64))
        return f"-----BEGIN PUBLIC KEY-----\n{block}\n-----END PUBLIC KEY-----\n".encode()

    def is_named_by(self, hint: str) -> bool:
        """Whether a foreign hint means this key: its digest in base64 or hex. A hint is only ever a help to people."""
        return named_by(hint) == self.fingerprint

    def verify(self, signature: bytes, signed: Signed | bytes) -> Match:
        """By the key's own algorithms, in order.

        Raises TrustError (``signature.invalid``), and FormatError (``signature.malformed``) where the library cannot say.
        """
        signed = signed if isinstance(signed, Signed) else Signed(signed)
        for way in self._ways:
            if way.verifies(signature, signed):
                return Match(way.algorithm, way.remark)
        raise TrustError("the signature does not verify", code=Code.SIGNATURE_INVALID, wanted=f"one by {self.fingerprint}")

    def __str__(self) -> str:
        return self.fingerprint


def named_by(hint: str) -> str | None:
    """The fingerprint of the key that a foreign hint names, by its digest in base64 or hex; None where it does not do so."""
    if re.fullmatch(r"(sha256:)?[0-9a-f]{64}", hint, re.ASCII):
        return f"sha256:{hint.removeprefix('sha256:')}"
    with suppress(FormatError):
        raw = from_base64(hint, what="a hint")
        return f"sha256:{raw.hex()}" if len(raw) == hashlib.sha256().digest_size else None
    return None


class Signer(Protocol):
    """Whoever holds a private key; kept in ``stations``, for a key is not the business of this folder."""

    @property
    def public(self) -> PublicKey: ...

    def sign(self, data: bytes) -> bytes: ...


def _der(pem: bytes) -> bytes:
    form = _form(pem)
    if b"PRIVATE KEY" in pem or form is _PRIVATE:
        raise UsageError(
            "a private key lies where a public key belongs",
            code=Code.TRUST_KEY,
            next="take it away from here, replace it if others could read it, and put its public half in its place",
        )
    if len(pem) > MAX_KEY_FILE:
        raise _refused("a key file is too large", found=f"{len(pem)} bytes", wanted=f"at most {MAX_KEY_FILE}")
    if form is not None:
        what, command = form
        raise _refused(f"a key file holds {what}", wanted=_WANTED, next=f"convert it: {command}" if command else None)
    try:
        blocks = from_pem(pem, "PUBLIC KEY", what="a key file")
    except FormatError as error:
        raise _refused(error.what, found=error.found, wanted=_WANTED, next=error.next) from error
    if len(blocks) != 1:
        raise _refused("a key file is not of one key", found=f"{len(blocks)} blocks", wanted=_WANTED)
    return blocks[0]


_WANTED = "one PEM block PUBLIC KEY"
_PRIVATE = ("a private key", "")
_OTHERS = {
    b"-----BEGIN RSA PUBLIC KEY-----": ("an RSA key in PKCS #1", "openssl rsa -RSAPublicKey_in -in FILE -pubout -out NEW"),
    b"-----BEGIN CERTIFICATE-----": ("a certificate", "openssl x509 -in FILE -noout -pubkey -out NEW"),
    b"-----BEGIN TRUSTED CERTIFICATE-----": ("a certificate", "openssl x509 -in FILE -noout -pubkey -out NEW"),
    b"-----BEGIN PGP PUBLIC KEY BLOCK-----": ("an OpenPGP key, which signs in a form that is not verified here", ""),
    b"---- BEGIN SSH2 PUBLIC KEY ----": ("a key of SSH", "ssh-keygen -i -f FILE > SSH && ssh-keygen -e -m PKCS8 -f SSH > NEW"),
}
_SSH = ("a key of SSH", "ssh-keygen -e -m PKCS8 -f FILE > NEW")
_DER_KEY = ("a key in DER", "openssl pkey -pubin -inform DER -in FILE -out NEW")
_DER_PKCS1 = ("an RSA key in PKCS #1, in DER", "openssl rsa -RSAPublicKey_in -inform DER -in FILE -pubout -out NEW")
_DER_CERTIFICATE = ("a certificate in DER", "openssl x509 -inform DER -in FILE -noout -pubkey -out NEW")


def _form(raw: bytes) -> tuple[str, str] | None:
    """In which other form than ours a file holds a key, as far as that is known, and the command that makes ours of it."""
    if raw.startswith((b"ssh-", b"ecdsa-sha2-", b"sk-")):
        return _SSH
    if raw.startswith(b"LS0tLS1CRUdJTi"):
        return "PEM in base64", "base64 -d FILE > NEW"
    if raw.lstrip().startswith(b"{") and b'"kty"' in raw:
        return "a JSON Web Key", ""
    if b"-----BEGIN PUBLIC KEY-----" in raw:
        return None
    return next((form for boundary, form in _OTHERS.items() if boundary in raw), None) or _form_in_der(raw)


def _form_in_der(raw: bytes) -> tuple[str, str] | None:
    """Told by the first items: an algorithm's identifier, a version, a modulus, a certificate's fields."""
    try:
        first, *_ = Element.parse(raw, SEQUENCE).items().rest()
        if first.tag == INTEGER:
            return _PRIVATE if len(first.content) == 1 else _DER_PKCS1
        inner, *_ = first.expect(SEQUENCE).items().rest()
    except (FormatError, ValueError):
        return None
    return _DER_KEY if inner.tag == OBJECT_IDENTIFIER else _DER_CERTIFICATE


@foreign("a key is not well-formed", code=Code.TRUST_KEY, to=UsageError)
def _loaded(der: bytes) -> PublicKeyTypes:
    try:
        return load_der_public_key(der)
    except UnsupportedAlgorithm as error:
        if _ML_DSA in der:
            raise UsageError(
                "the installed cryptography library cannot verify by this key",
                code=Code.KEY_UNSUPPORTED,
                found="ML-DSA",
                next="install cryptography with OpenSSL 3.5 or newer, or pin another key",
            ) from error
        raise _refused("a key is of a kind that is not known here") from error


@foreign("a key is not well-formed", code=Code.TRUST_KEY, to=UsageError)
def _ways(key: PublicKeyTypes, role: Role) -> tuple[_Way, ...]:
    match key:
        case ec.EllipticCurvePublicKey():
            return _ecdsa(key, role)
        case rsa.RSAPublicKey():
            return (_rsa(key, role),)
        case ed25519.Ed25519PublicKey() if role == "image":
            return _ed25519(key)
        case mldsa.MLDSA44PublicKey() | mldsa.MLDSA65PublicKey() | mldsa.MLDSA87PublicKey() if role == "image":
            return (_ml_dsa(key),)
    raise _refused("a key is of a kind that is not accepted here", found=type(key).__name__.removesuffix("PublicKey"), wanted=_KINDS[role])


_KINDS = {
    "image": "ECDSA P-256, P-384 or P-521, RSA of 2048 to 8192 bits, Ed25519 or ML-DSA",
    "seal": "ECDSA P-256 or P-384, or RSA of 3072 to 8192 bits, which openssl and cosign check unaided",
}


@foreign("a key is not well-formed", code=Code.TRUST_KEY, to=UsageError)
def _ecdsa(key: ec.EllipticCurvePublicKey, role: Role) -> tuple[_Way, ...]:
    if key.curve.name not in (_SEAL_CURVES if role == "seal" else _CURVES):
        raise _refused("a key is on a curve that is not accepted here", found=key.curve.name, wanted=_KINDS[role])
    name, own = _CURVES[key.curve.name]

    def way(algorithm: hashes.HashAlgorithm, remark: Code | None = None) -> _Way:
        def of(signature: bytes, signed: Signed) -> bool:
            digest = signed.digest(algorithm.name)
            return verifies(lambda: key.verify(signature, digest, ec.ECDSA(utils.Prehashed(algorithm))))

        return _Way(Algorithm(name, algorithm.name, f"ECDSA {name} with {algorithm.name.upper()}"), of, remark)

    if role == "seal" or own is _SHA256:  # mutant-equivalent without part 2: of P-256, both ways are one
        return (way(_SHA256),)
    return (way(own), way(_SHA256, Code.KEY_LEGACY_HASH))  # cosign 2 and containers/image take SHA-256 for every curve


@foreign("a key is not well-formed", code=Code.TRUST_KEY, to=UsageError)
def _rsa(key: rsa.RSAPublicKey, role: Role) -> _Way:
    if not MIN_RSA[role] <= key.key_size <= MAX_RSA:
        raise _refused("an RSA key is of a size that is not accepted here", found=f"{key.key_size} bits", wanted=_KINDS[role])
    if key.public_numbers().e not in RSA_EXPONENTS:
        raise _refused("an RSA key has an exponent that is not accepted here", found=key.public_numbers().e, wanted="65537")

    def of(signature: bytes, signed: Signed) -> bool:
        digest = signed.digest("sha256")
        return verifies(lambda: key.verify(signature, digest, padding.PKCS1v15(), utils.Prehashed(_SHA256)))

    name = f"RSA-{key.key_size}"
    algorithm = Algorithm(name, "sha256", f"{name} PKCS #1 v1.5 with SHA256")
    return _Way(algorithm, of, Code.KEY_WEAK if key.key_size < MIN_RSA["seal"] else None)


@foreign("a key is not well-formed", code=Code.TRUST_KEY, to=UsageError)
def _ed25519(key: ed25519.Ed25519PublicKey) -> tuple[_Way, ...]:
    prehash_key = PrehashKey.of(key.public_bytes_raw())
    if prehash_key is None:
        raise _refused("an Ed25519 key is of small order or not in its proper form: messages that it never signed would verify")

    def plain(signature: bytes, signed: Signed) -> bool:
        whole = signed.whole
        return verifies(lambda: key.verify(signature, whole))

    def prehashed(signature: bytes, signed: Signed) -> bool:
        return prehash_key.verifies(signature, signed.digest("sha512"))

    return (_Way(Algorithm("Ed25519", None, "Ed25519"), plain), _Way(Algorithm("Ed25519", "sha512", "Ed25519ph"), prehashed))


@foreign("a key is not well-formed", code=Code.TRUST_KEY, to=UsageError)
def _ml_dsa(key: mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey) -> _Way:
    def of(signature: bytes, signed: Signed) -> bool:
        whole = signed.whole
        return verifies(lambda: key.verify(signature, whole))

    name = type(key).__name__.removesuffix("PublicKey").replace("MLDSA", "ML-DSA-")
    return _Way(Algorithm(name, None, name), of)


def _refused(
    what: str,
    *,
    found: object = None,
    wanted: str | None = None,
    next: str | None = None,  # noqa: A002 - as in BundlerError
) -> UsageError:
    return UsageError(what, code=Code.TRUST_KEY, found=found, wanted=wanted, next=next)
