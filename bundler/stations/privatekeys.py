"""Private keys: made, kept in PKCS#8 files, opened, used. The only place that ever holds one."""

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from bundler.bundle.sealenvelope import MAX_SIGNATURES
from bundler.content.files import read_small
from bundler.content.together import together
from bundler.errors import Code, ConflictError, UsageError
from bundler.trust.keys import PublicKey

MAX_KEY_FILE = 64 << 10  # an RSA-8192 key in PKCS#8 takes 9 KiB

Password = Callable[[str], bytes]
"""Gives the passphrase for the named key file, asked for only when one is needed; raises UsageError (``usage.password``)."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_MAKE: dict[str, Callable[[], PrivateKey]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "rsa3072": lambda: rsa.generate_private_key(public_exponent=65537, key_size=3072),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
TYPES = tuple(_MAKE)


@dataclass(frozen=True, slots=True)
class KeySigner:
    """A private key and its public half."""

    key: PrivateKey
    public: PublicKey

    @property
    def is_p256(self) -> bool:
        """Whether it is ECDSA P-256, which every reader of notes and envelopes knows."""
        return isinstance(self.key, ec.EllipticCurvePrivateKey) and isinstance(self.key.curve, ec.SECP256R1)

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``: ECDSA and RSA PKCS#1 v1.5 always with SHA-256, which openssl and cosign assume
        for every curve and size, and by RFC 6979, so that the same content gives the same bytes; Ed25519 plain.
        """
        match self.key:
            case ec.EllipticCurvePrivateKey():
                return self.key.sign(data, _ecdsa())
            case rsa.RSAPrivateKey():
                return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
            case ed25519.Ed25519PrivateKey():
                return self.key.sign(data)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The two files of a new key, and its fingerprint."""

    key: Path
    public: Path
    fingerprint: str


def keygen(name: Path, *, kind: str, password: Password | None) -> KeyPair:
    """Make ``NAME.key`` (PKCS#8, 0600) and ``NAME.pub``; encrypted, but where there is no ``password``.

    Raises ConflictError (``output.exists``) if either is there, UsageError, TransportError (``disk.io``, ``disk.full``).
    """
    if name.name in ("", ".."):
        raise UsageError("the key has no name", found=ascii(str(name)), wanted="NAME, for NAME.key and NAME.pub")
    if name.suffix in (".key", ".pub"):
        raise UsageError(
            f"{name} is the name of a file, and keygen makes two",
            found=ascii(name.name),
            wanted="NAME, for NAME.key and NAME.pub",
            next=f"oci-bundler keygen {shlex.quote(str(name.with_suffix('')))}",
        )
    private, public = (name.with_name(name.name + suffix) for suffix in (".key", ".pub"))
    for path in (private, public):
        if os.path.lexists(path):
            raise ConflictError(f"{path} exists", code=Code.OUTPUT_EXISTS, next="choose another name; a key is never overwritten")
    key = _MAKE[kind]()
    pem = _public_pem(key)
    encryption = serialization.BestAvailableEncryption(password(str(private))) if password else serialization.NoEncryption()
    with together(private, public, modes=(0o600, 0o644)) as (secret, open_to_all):
        secret.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
        open_to_all.write(pem)
    return KeyPair(key=private, public=public, fingerprint=PublicKey.parse(pem, role="image").fingerprint)


def open_signer(path: Path, *, role: str, password: Password) -> KeySigner:
    """The key in a PKCS#8 file, for ``role`` ``seal`` (ECDSA P-256, P-384, RSA from 3072 bits) or ``image``.

    Raises UsageError (``usage.input``, ``usage.key``, ``usage.password``).
    """
    pem = read_small(path, limit=MAX_KEY_FILE, what="the private key")
    if b"SIGSTORE PRIVATE KEY" in pem or b"COSIGN PRIVATE KEY" in pem:
        raise UsageError(
            f"{path} is in cosign's own encrypted form",
            code=Code.USAGE_KEY,
            wanted="PKCS#8",
            next="make a key with `oci-bundler keygen`, and give it to cosign with `cosign import-key-pair --key`",
        )
    key = _opened(path, pem, password)
    match key:
        case ec.EllipticCurvePrivateKey() | rsa.RSAPrivateKey() | ed25519.Ed25519PrivateKey():
            return KeySigner(key=key, public=_checked(path, key, role))
    raise UsageError(f"{path} is of a kind that does not sign here", code=Code.USAGE_KEY, found=type(key).__name__)


def open_sealers(paths: Sequence[Path], *, password: Password) -> list[KeySigner]:
    """The keys that seal a bundle, each once. Raises as :func:`open_signer`, and UsageError for more than a seal may have."""
    opened = [open_signer(path, role="seal", password=password) for path in dict.fromkeys(paths)]
    signers = list({signer.public.fingerprint: signer for signer in opened}.values())
    if len(signers) > MAX_SIGNATURES:
        raise UsageError("a seal has too many keys", found=len(signers), wanted=f"at most {MAX_SIGNATURES}")
    return signers


def _opened(path: Path, pem: bytes, password: Password) -> PrivateKeyTypes:
    encrypted = b"BEGIN ENCRYPTED PRIVATE KEY" in pem or b"Proc-Type: 4,ENCRYPTED" in pem
    passphrase = password(str(path)) if encrypted else None
    try:
        return serialization.load_pem_private_key(pem, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted:
            raise UsageError(f"the passphrase does not open {path}", code=Code.USAGE_PASSWORD) from error
        raise UsageError(f"{path} is not a private key", code=Code.USAGE_KEY, wanted="one PKCS#8 PEM block") from error


def _checked(path: Path, key: PrivateKey, role: str) -> PublicKey:
    try:
        return PublicKey.parse(_public_pem(key), role="seal" if role == "seal" else "image")
    except UsageError as error:
        raise UsageError(f"{path} cannot be used: {error}", code=Code.USAGE_KEY, next=error.next) from error


def _public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _ecdsa() -> ec.ECDSA:
    try:
        return ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    except UnsupportedAlgorithm:  # OpenSSL before 3.2: signatures are as good, only not the same twice
        return ec.ECDSA(hashes.SHA256())
