"""The DSSE envelope around a seal, read without holding it (docs/spec/bundle-v1.md, section 6).

Who signed is asked before anything of the payload is parsed or kept: a stranger's bundle costs no memory, however large
it says its seal is.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from bundler import strictjson
from bundler.errors import Code, FormatError, IntegrityError, naming
from bundler.oci.digest import Digest

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_SEAL = 32 << 20  # 10,000 signed images of ten members each take 18 MiB, and a reader that holds them 200; section 12
MAX_SIGNATURES = 16
MAX_SIGNATURE = 2048  # RSA of 16,384 bits

_HEAD = b'{"payload":"'
_MAX_TAIL = 128 + MAX_SIGNATURES * (MAX_SIGNATURE * 4 // 3 + 16)
MAX_ENVELOPE = MAX_SEAL // 3 * 4 + len(_HEAD) + _MAX_TAIL + 4

Chunks = Callable[[], Iterator[bytes]]
"""The envelope's bytes, from the beginning each time it is called."""


@dataclass(frozen=True, slots=True)
class SealEnvelope:
    """Signatures, and the digest of what they sign."""

    signatures: tuple[bytes, ...]
    """At most :data:`MAX_SIGNATURES`, each once; that there is none is a matter of trust."""
    signed: bytes
    """SHA-256 of the pre-authentication encoding (DSSE 1.0.2): what each signature is verified on, as prehashed."""
    identity: Digest
    """SHA-256 of the payload: the identity of the bundle."""
    size: int
    """How many bytes the payload has."""
    _chunks: Chunks = field(repr=False)

    @classmethod
    def read(cls, chunks: Chunks) -> "SealEnvelope":
        """Raises FormatError (``format.seal``, ``format.json``, ``limit.seal``), and what ``chunks`` raises."""
        length, padding, tail = _measure(chunks())
        signatures = _signatures(tail)
        size = length // 4 * 3 - padding
        if size > MAX_SEAL:
            raise FormatError("the seal is over its limit", code=Code.LIMIT_SEAL, found=f"{size} bytes", wanted=f"at most {MAX_SEAL}")
        signed, identity, left = hashlib.sha256(preauthentication(size)), hashlib.sha256(), size
        for piece in _decoded(chunks(), length):
            signed.update(piece)
            identity.update(piece)
            left -= len(piece)
        if left:
            raise _refuse("its payload is base64 of another spelling")
        return cls(signatures, signed.digest(), Digest("sha256", identity.hexdigest()), size, chunks)

    def payload(self) -> bytes:
        """The payload, to be asked for once the signatures have been checked, and then to be parsed.

        Raises IntegrityError (``content.digest``) if the medium now gives another one.
        """
        payload = b"".join(_decoded(self._chunks(), -(-self.size // 3) * 4))
        if (found := Digest.of(payload)) != self.identity:
            raise IntegrityError("the seal has changed since its signatures were checked", found=found, wanted=self.identity)
        return payload


def sealed(payload: bytes, signatures: Iterable[bytes]) -> bytes:
    """The envelope of a payload and what was signed of it."""
    listed = [{"sig": base64.b64encode(signature).decode()} for signature in signatures]
    around = strictjson.dumps({"payload": "", "payloadType": PAYLOAD_TYPE, "signatures": listed})
    return b"".join((_HEAD, base64.b64encode(payload), around[len(_HEAD) :]))  # a payload may be large: it is copied once


def preauthentication(size: int) -> bytes:
    """What stands before a payload of ``size`` bytes in what is signed."""
    return b"DSSEv1 %d %b %d " % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), size)


def _measure(chunks: Iterator[bytes]) -> tuple[int, int, bytes]:
    """How many characters the payload has, how many of them are padding, and what follows them."""
    head, length, last, tail = b"", 0, b"", b""
    for chunk in chunks:
        missing = len(_HEAD) - len(head)
        head, rest = head + chunk[:missing], chunk[missing:]
        if not tail:
            payload, quote, rest = rest.partition(b'"')
            length, last, tail = length + len(payload), (last + payload)[-2:], quote
        tail += rest
        if len(tail) > _MAX_TAIL:
            raise FormatError("the seal has too many or too long signatures", code=Code.LIMIT_SEAL, wanted=f"at most {MAX_SIGNATURES}")
    if head != _HEAD or not tail or length % 4:
        raise _refuse("it does not begin with its payload", found=ascii(head)[2:-1], wanted=_HEAD.decode() + "base64")
    return length, last.count(b"="), tail


def _signatures(tail: bytes) -> tuple[bytes, ...]:
    """The signatures in what follows the payload; everything else there has one spelling."""
    with naming("the seal"):
        value = strictjson.loads(_HEAD + tail, limit=len(_HEAD) + _MAX_TAIL)
    match value:
        case {"payload": "", "payloadType": str(kind), "signatures": list(entries)}:
            pass  # whatever else there is, the one spelling below has not
        case _:
            raise _refuse("it lacks payload, payloadType or signatures")
    if kind != PAYLOAD_TYPE:
        raise _refuse("its payload is of another type", found=ascii(kind)[1:-1][:80], wanted=PAYLOAD_TYPE)
    if len(entries) > MAX_SIGNATURES:
        raise FormatError("the seal has too many signatures", code=Code.LIMIT_SEAL, found=len(entries), wanted=f"at most {MAX_SIGNATURES}")
    signatures = tuple(_signature(entry) for entry in entries)
    if len(set(signatures)) != len(signatures):
        raise _refuse("it has a signature twice")
    if _HEAD + tail != sealed(b"", signatures):
        raise _refuse("it is not written as canonical JSON with canonical base64")
    return signatures


def _signature(entry: object) -> bytes:
    match entry:
        case {"sig": str(text)}:
            pass
        case _:
            raise _refuse("a signature lacks sig", found=ascii(entry)[:80])
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _refuse("a signature is not base64", found=ascii(text)[:80]) from error
    if not 0 < len(signature) <= MAX_SIGNATURE:
        raise FormatError("a signature of the seal is over its limit", code=Code.LIMIT_SEAL, found=f"{len(signature)} bytes")
    return signature


def _characters(chunks: Iterator[bytes], length: int) -> Iterator[bytes]:
    """The payload's base64, without what is around it."""
    skip = len(_HEAD)
    for chunk in chunks:
        characters = chunk[skip : skip + length]
        skip, length = max(0, skip - len(chunk)), length - len(characters)
        yield characters


def _decoded(chunks: Iterator[bytes], length: int) -> Iterator[bytes]:
    """The payload, each piece checked to be base64 of one spelling."""
    left = b""
    for characters in _characters(chunks, length):
        left += characters
        whole = len(left) // 4 * 4
        piece, left = left[:whole], left[whole:]
        try:
            decoded = base64.b64decode(piece, validate=True)
        except binascii.Error as error:
            raise _refuse("its payload is not base64", found=str(error)) from error
        if base64.b64encode(decoded) != piece:
            raise _refuse("its payload is base64 of another spelling")
        yield decoded


def _refuse(what: str, *, found: str | None = None, wanted: str | None = None) -> FormatError:
    return FormatError(f"the seal is not an envelope: {what}", code=Code.FORMAT_SEAL, found=found, wanted=wanted)
