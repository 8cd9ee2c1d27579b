"""Who says so: checkpoints, signed by the station and cosigned by others, and proofs that hold them (journal-v1.md, sections 4 to 6)."""

import hashlib
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from bundler.errors import Code, FormatError, TrustError, UsageError
from bundler.trust.checkpoint import MAX_CHECKPOINT, MAX_SIGNATURES, Checkpoint, Signature
from bundler.trust.encodings import from_base64, to_base64
from bundler.trust.keys import PublicKey
from bundler.trust.merkle import leaf_hash
from bundler.trust.need import need

Sign = Callable[[bytes], bytes]
"""Gives the signature over these bytes by a private key that stays where it is kept."""

MAX_PROOF = MAX_CHECKPOINT + 4096  # bytes: besides the checkpoint 64 hashes of 45 bytes
MAX_NAME = 255  # characters; ours, signed-note has no limit
_PROOF = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)
_COSIGNATURE = b"\x04"
_ED25519 = bytes.fromhex("302a300506032b6570032100")  # the SPKI of an Ed25519 key but for its 32 bytes (RFC 8410, section 4)
_TIMED = struct.Struct(">Q64s")


def signed(checkpoint: Checkpoint, *, key: PublicKey, sign: Sign) -> Checkpoint:
    """With the line of the log's own key, and of nobody else. Raises UsageError (``usage.key``) for a key that is not ECDSA P-256."""
    _check_name(checkpoint.origin)
    line = Signature(checkpoint.origin, _log_id(key), sign(checkpoint.note))
    made = replace(checkpoint, signatures=(line,))
    try:
        check_signed(made, key=key)
    except TrustError as error:
        raise UsageError(f"the key {key} cannot sign a journal", code=Code.USAGE_KEY, found=error.what, wanted="ECDSA P-256") from error
    return made


def check_signed(checkpoint: Checkpoint, *, key: PublicKey) -> None:
    """It has the line of the log's own key. Raises TrustError (``checkpoint.signature``, ``checkpoint.no-log-signature``)."""
    checkpoint.check(checkpoint.origin, {_log_id(key)}, lambda note, signature: _verifies(key, signature, note, "P-256"))


def check_origin(checkpoint: Checkpoint, origin: str) -> None:
    """It is of the journal that goes by ``origin``. Raises TrustError (``checkpoint.origin``)."""
    found = checkpoint.origin
    need(found == origin, Code.CHECKPOINT_ORIGIN, "a checkpoint of another journal", found=ascii(found), wanted=ascii(origin))


def cosigned(checkpoint: Checkpoint, *, name: str, key: PublicKey, sign: Sign, at: datetime) -> Checkpoint:
    """With a line of one who vouches that at ``at`` this was the largest tree of its origin that he had seen (cosignature/v1).

    An earlier line of the same name and key is replaced. Raises UsageError (``usage.key``) for a key that is not Ed25519, and for a
    name or a number of lines that no note has.
    """
    _check_name(name)
    identifier = _cosigner_id(name, key)
    if identifier is None:
        raise UsageError(f"the key {key} cannot cosign a journal", code=Code.USAGE_KEY, wanted="Ed25519")
    seconds = int(at.timestamp())
    line = Signature(name, identifier, struct.pack(">Q", seconds) + sign(_cosigned(checkpoint, seconds)))
    others = tuple(s for s in checkpoint.signatures if (s.name, s.hint) != (name, identifier))
    if len(others) >= MAX_SIGNATURES:
        raise UsageError("a checkpoint has too many signatures", found=len(others), wanted=f"below {MAX_SIGNATURES}")
    return replace(checkpoint, signatures=(*others, line))


def cosigner(checkpoint: Checkpoint, *, key: PublicKey) -> tuple[str, datetime]:
    """By which name and when ``key`` has cosigned. Raises TrustError (``checkpoint.signature``, ``checkpoint.no-log-signature``)."""
    own = [s for s in checkpoint.signatures if s.hint == _cosigner_id(s.name, key)]
    need(bool(own), Code.CHECKPOINT_NO_LOG_SIGNATURE, "a checkpoint that a cosigner has not signed", wanted=f"a line by {key}")
    *_, line = own
    need(len(line.signature) == _TIMED.size, Code.CHECKPOINT_SIGNATURE, "a cosignature is not a time and 64 bytes", found=line.name)
    seconds, signature = _TIMED.unpack(line.signature)
    message = _cosigned(checkpoint, seconds)
    need(_verifies(key, signature, message, "Ed25519"), Code.CHECKPOINT_SIGNATURE, "a cosignature does not verify", found=line.name)
    need(seconds <= _MAX_TIME, Code.CHECKPOINT_SIGNATURE, "a cosignature of a time that there is not", found=seconds)
    return line.name, datetime.fromtimestamp(seconds, UTC)


_MAX_TIME = 253402300799  # the last second of the year 9999


def proof_text(checkpoint: Checkpoint, *, index: int, path: Iterable[bytes]) -> str:
    """That the tree of ``checkpoint`` has an entry at ``index`` (c2sp.org/tlog-proof)."""
    return "\n".join([_PROOF, f"index {index}", *map(to_base64, path), "", str(checkpoint)])


@dataclass(frozen=True, slots=True)
class Proof:
    """What a ``.tlog-proof`` says, before anything of it is believed."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, text: str) -> "Proof":
        """Raises TrustError (``tlog.proof``, ``checkpoint.malformed``) and FormatError (``format.base64``)."""
        need(len(text) <= MAX_PROOF, Code.TLOG_PROOF, "a proof is over its limit", found=len(text), wanted=MAX_PROOF)
        head, _, checkpoint = text.partition("\n\n")
        first, *lines = head.split("\n")
        need(first == _PROOF, Code.TLOG_PROOF, "a proof is not a tlog-proof", found=ascii(first[:40]), wanted=_PROOF)
        if lines and lines[0].startswith("extra "):
            del lines[0]  # by the format nothing vouches for it
        index = _INDEX.fullmatch(lines[0]) if lines else None
        if index is None:
            raise TrustError("a proof without an index", code=Code.TLOG_PROOF, found=ascii(head[:80]))
        path = tuple(from_base64(line, what="a hash of a proof") for line in lines[1:])
        need(all(len(each) == 32 for each in path), Code.TLOG_PROOF, "a hash of a proof is not a SHA-256")
        return cls(int(index[1]), path, Checkpoint.parse(checkpoint))


def verify_proof(text: str, entry: bytes, *, key: PublicKey, origin: str) -> Proof:
    """``entry`` stands in the journal ``origin`` that ``key`` signs; the proof says where.

    Raises TrustError (``checkpoint.…``, ``tlog.proof``) and FormatError (``format.base64``).
    """
    proof = Proof.parse(text)
    check_origin(proof.checkpoint, origin)
    check_signed(proof.checkpoint, key=key)
    proof.checkpoint.check_holds(leaf_hash(entry), index=proof.index, path=proof.path)
    return proof


def _check_name(name: str) -> None:
    """Raises UsageError."""
    if not 0 < len(name) <= MAX_NAME or "+" in name or not name.isprintable() or any(map(str.isspace, name)):
        wanted = f"1 to {MAX_NAME} characters, no spaces, no plus"
        raise UsageError("a name is not one that a line of a signed note can have", found=ascii(name[:MAX_NAME]), wanted=wanted)


def _log_id(key: PublicKey) -> bytes:
    """signed-note, type 0x02: of the SPKI alone, without the name."""
    return hashlib.sha256(key.spki).digest()[:4]


def _cosigner_id(name: str, key: PublicKey) -> bytes | None:
    """tlog-cosignature, type 0x04; None for a key that is not Ed25519."""
    if not key.spki.startswith(_ED25519):
        return None
    return hashlib.sha256(name.encode() + b"\n" + _COSIGNATURE + key.spki.removeprefix(_ED25519)).digest()[:4]


def _cosigned(checkpoint: Checkpoint, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n".encode() + checkpoint.note


def _verifies(key: PublicKey, signature: bytes, message: bytes, kind: str) -> bool:
    """Whether it is a plain signature by a key of this kind."""
    try:
        algorithm = key.verify(signature, message).algorithm
    except (TrustError, FormatError):
        return False
    return algorithm.key == kind and algorithm.digest in (None, "sha256")
