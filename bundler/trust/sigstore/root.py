"""Trusted roots: the authorities and logs of one Sigstore, each with its window of validity (protobuf-specs, TrustedRoot)."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from bundler.errors import BundlerError, Code, FormatError, TrustError
from bundler.trust.foreign import foreign, verifies
from bundler.trust.need import need
from bundler.trust.sigstore.protojson import Message
from bundler.trust.window import Window
from bundler.trust.x509 import Authority, Certificate, accepted_key

MAX_ROOT = 4 << 20  # bytes; the public-good root has 7 KiB
MAX_INSTANCES = 256
MAX_CHAIN = 8
MEDIA_TYPES = (
    "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "application/vnd.dev.sigstore.trustedroot.v0.1+json",
    "application/vnd.dev.sigstore.trustedroot.v0.2+json",
)
_ED25519 = b"\x01"  # c2sp.org/signed-note, "Signature types"

LogKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Log:
    """A transparency log: its name, its key, and since when and until when that key vouches."""

    name: str
    """Its address without the scheme, or its host alone where its id is by that."""
    id: bytes
    """What log entries name it by: the SHA-256 of its SPKI, or of what a signed note hashes."""
    key: LogKey = field(repr=False, compare=False)
    window: Window

    @property
    def origins(self) -> tuple[str, str]:
        """What its checkpoints may begin with: its name, or the host alone, by which Rekor 2 goes behind a port."""
        return self.name, _host(self.name)

    def hints(self, name: str) -> set[bytes]:
        """What may stand before a signature by this key, under ``name``, in a signed note."""
        return {full[:4] for full in _ids(self.key, name)}

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is by this log. ECDSA and RSA with SHA-256 whatever their size (RFC 6962, section 2.1.4)."""
        match self.key:
            case ed25519.Ed25519PublicKey() as by_ed25519:
                return verifies(lambda: by_ed25519.verify(signature, message))
            case rsa.RSAPublicKey() as by_rsa:
                return verifies(lambda: by_rsa.verify(signature, message, padding.PKCS1v15(), hashes.SHA256()))
            case _ as by_ecdsa:
                return verifies(lambda: by_ecdsa.verify(signature, message, ec.ECDSA(hashes.SHA256())))


@dataclass(frozen=True, slots=True)
class TrustedRoot:
    """The authorities and logs of one Sigstore."""

    authorities: tuple[Authority, ...]
    """Who issues certificates to sign with (Fulcio)."""
    timestamp_authorities: tuple[Authority, ...]
    logs: tuple[Log, ...]
    """Where signatures are logged (Rekor)."""
    ct_logs: tuple[Log, ...]
    """Where certificates are logged."""
    left_out: tuple[str, ...]
    """What could not be used, and why: that one instance is not well-formed takes nothing from the others."""

    @classmethod
    def parse(cls, raw: bytes) -> "TrustedRoot":
        """Raises FormatError (``root.media-type``, ``root.malformed``, ``format.json``)."""
        message = Message.parse(raw, limit=MAX_ROOT, what="a trusted root", code=Code.ROOT_MALFORMED)
        if message.text("mediaType") not in MEDIA_TYPES:
            raise FormatError(
                "a trusted root of an unknown version",
                code=Code.ROOT_MEDIA_TYPE,
                found=ascii(message.text("mediaType")),
                wanted=MEDIA_TYPES[-1],
            )
        left_out: list[str] = []

        def instances(name: str, read: Callable[[Message], T]) -> tuple[T, ...]:
            return tuple(_readable(message.messages(name, limit=MAX_INSTANCES), read, left_out))

        return cls(
            authorities=instances("certificateAuthorities", _authority),
            timestamp_authorities=instances("timestampAuthorities", _authority),
            logs=_distinct(instances("tlogs", _log), left_out),
            ct_logs=_distinct(instances("ctlogs", _log), left_out),
            left_out=tuple(left_out),
        )

    def log(self, log_id: bytes) -> Log | None:
        """The log with this id; never another, however well its key would do."""
        return next((log for log in self.logs if log.id == log_id), None)


def _readable(messages: Iterable[Message], read: Callable[[Message], T], left_out: list[str]) -> list[T]:
    found = []
    for message in messages:
        try:
            found.append(read(message))
        except BundlerError as error:
            left_out.append(f"{message.what}: {error}")
    return found


def _distinct(logs: tuple[Log, ...], left_out: list[str]) -> tuple[Log, ...]:
    """Each id once: which of two windows is meant, nobody could say."""
    twice = {log.id for log in logs if sum(other.id == log.id for other in logs) > 1}
    left_out.extend(f"{log.name}: the same log id twice" for log in logs if log.id in twice)
    return tuple(log for log in logs if log.id not in twice)


def _authority(message: Message) -> Authority:
    certificates = message.message("certChain").messages("certificates", limit=MAX_CHAIN)
    chain = tuple(Certificate.parse(certificate.bytes("rawBytes")) for certificate in certificates)
    need(bool(chain), Code.ROOT_MALFORMED, "an authority without certificates")
    name = message.text("uri") if message.has("uri") else chain[-1].subject
    return Authority(name=name, anchor=chain[-1], intermediates=chain[:-1], window=_window(message))


def _log(message: Message) -> Log:
    public = message.message("publicKey")
    address = message.text("baseUrl").partition("://")[2].rstrip("/")
    key = _log_key(public.bytes("rawBytes"))
    log_id = message.message("logId").bytes("keyId")
    names = (address, _host(address))
    name = next((name for name in names if log_id in _ids(key, name)), None)
    if name is None:
        raise TrustError("a log's id is not that of its key", code=Code.ROOT_LOG_ID, found=log_id.hex())
    return Log(name=name, id=log_id, key=key, window=_window(public))


def _host(address: str) -> str:
    return address.partition("/")[0].partition(":")[0]


def _window(message: Message) -> Window:
    window = message.message("validFor")
    return Window(window.time("start"), window.time("end") if window.has("end") else None)


def _log_key(raw: bytes) -> LogKey:
    """From SPKI, or from PKCS #1 as one old log has it."""
    with foreign("a log's key is not well-formed", code=Code.ROOT_MALFORMED):
        key = load_der_public_key(raw)
        accepted_key(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    if not isinstance(key, LogKey):
        raise FormatError("a log's key is of a kind that logs do not have", code=Code.ROOT_MALFORMED, found=type(key).__name__)
    return key


@foreign("the id of a log's key cannot be made", code=Code.ROOT_MALFORMED)
def _ids(key: LogKey, name: str) -> set[bytes]:
    ids = {hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()}
    if isinstance(key, ed25519.Ed25519PublicKey):
        ids.add(hashlib.sha256(name.encode() + b"\n" + _ED25519 + key.public_bytes_raw()).digest())
    return ids
