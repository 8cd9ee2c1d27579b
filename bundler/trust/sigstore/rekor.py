"""What a log entry says, against what was signed, by whom, and by which log.

An entry proves a time for *this* signature only if its body names this signature, this key and this content
(CVE-2022-23649, CVE-2022-36056, CVE-2026-22703): so the body is bound first, then promise and proof are about the body.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from bundler import strictjson
from bundler.errors import Code, TrustError
from bundler.trust import merkle
from bundler.trust.checkpoint import Checkpoint
from bundler.trust.encodings import from_base64, from_pem, to_base64
from bundler.trust.keys import Algorithm, Signed
from bundler.trust.need import need
from bundler.trust.sigstore.entry import Entry, Inclusion
from bundler.trust.sigstore.item import Item
from bundler.trust.sigstore.protojson import Message
from bundler.trust.sigstore.root import Log
from bundler.trust.window import spelled

MAX_BODY = 16 << 20  # bytes; hundreds in all kinds but intoto, which repeats signatures and certificates
MAX_SIGNATURES = 32
MAX_TIME = 253402300799  # the last second of the year 9999, where times end here
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Verifier:
    """What the signature was verified with. A body must name the very same."""

    der: bytes = field(repr=False)
    """The signer's certificate, or the SPKI of the pinned key."""
    is_certificate: bool
    algorithm: Algorithm
    """As the key's ``Match`` has it."""

    @property
    def label(self) -> str:
        """Of its PEM block."""
        return "CERTIFICATE" if self.is_certificate else "PUBLIC KEY"


def proved_time(entry: Entry, log: Log, item: Item, verifier: Verifier) -> datetime | None:
    """The time at which ``log`` promised to take ``item``'s signature in; None where it has proved that it is in and no time.

    Raises TrustError (``tlog.…``, ``checkpoint.…``) and FormatError for an entry that does not verify.
    """
    rekor_2 = _bind(entry, item, verifier)
    if entry.inclusion is not None:
        _check_inclusion(entry, entry.inclusion, log, by_origin=rekor_2)
    if entry.promise is None:
        return None
    need(log.has_signed(_promised(entry), entry.promise), Code.TLOG_SET, "a log's signed entry timestamp does not verify", wanted=log.name)
    need(0 < entry.integrated_time <= MAX_TIME, Code.TLOG_SET, "a log entry without a time")
    time = _EPOCH + timedelta(seconds=entry.integrated_time)
    need(time in log.window, Code.TLOG_KEY_WINDOW, f"{log.name} is not trusted then", found=spelled(time), wanted=log.window)
    return time


def _check_inclusion(entry: Entry, inclusion: Inclusion, log: Log, *, by_origin: bool) -> None:
    checkpoint = Checkpoint.parse(inclusion.checkpoint)
    _check(checkpoint, log, by_origin=by_origin)
    same = (inclusion.size, inclusion.root) == (checkpoint.size, checkpoint.root)
    need(same, Code.CHECKPOINT_MISMATCH, "a checkpoint of another tree than the proof's", found=checkpoint.size, wanted=inclusion.size)
    checkpoint.check_holds(merkle.leaf_hash(entry.body), index=inclusion.index, path=inclusion.path)


def _check(checkpoint: Checkpoint, log: Log, *, by_origin: bool) -> None:
    """``log`` has signed it.

    With ``by_origin`` the origin must be one of the log's (Rekor 2); without, the log may go by an inner name of its own
    in front of the tree's (Rekor 1).

    Raises TrustError (``checkpoint.origin``, ``checkpoint.signature``, ``checkpoint.no-log-signature``).
    """
    need(
        checkpoint.origin in log.origins or not by_origin,
        Code.CHECKPOINT_ORIGIN,
        "a checkpoint of another log",
        found=ascii(checkpoint.origin),
        wanted=log.name,
    )
    name = checkpoint.origin.partition(" - ")[0]
    checkpoint.check(name, log.hints(name), log.has_signed)


def _promised(entry: Entry) -> bytes:
    """What a signed entry timestamp is over (rekor, openapi.yaml, ``signedEntryTimestamp``), in canonical JSON."""
    return strictjson.dumps(
        {
            "body": to_base64(entry.body),
            "integratedTime": entry.integrated_time,
            "logID": entry.log_id.hex(),
            "logIndex": entry.index,
        }
    )


def _bind(entry: Entry, item: Item, verifier: Verifier) -> bool:
    """The body is about this item and verifier, or ``tlog.body-mismatch``. Gives whether it is one of Rekor 2."""
    body = Message.parse(entry.body, limit=MAX_BODY, what="the body of a log entry", code=Code.TLOG_MALFORMED)
    kind = body.text("kind"), body.text("apiVersion")
    need(entry.kind in (None, kind), Code.TLOG_BODY, "a log entry says another kind than its body", found=entry.kind, wanted=kind)
    if rebuild := _REBUILT.get(kind):
        need(
            entry.body == rebuild(item, verifier),
            Code.TLOG_BODY,
            "a log entry is not the one that this signature makes",
            found=" ".join(kind),
        )
        return True
    need(kind in _COMPARED, Code.TLOG_KIND, "a log entry of a kind that is not accepted", found=" ".join(kind))
    _COMPARED[kind](body.message("spec"), item, verifier)
    return False


def _hashedrekord(spec: Message, item: Item, verifier: Verifier) -> None:
    _same_digest(spec.message("data").message("hash"), item.message)
    signature = spec.message("signature")
    _same_signature(signature.bytes("content"), item)
    _same_verifier(signature.message("publicKey").bytes("content"), verifier)


def _dsse(spec: Message, item: Item, verifier: Verifier) -> None:
    _same_digest(spec.message("payloadHash"), _payload(item))
    signature = _only(spec)
    _same_signature(signature.bytes("signature"), item)
    _same_verifier(signature.bytes("verifier"), verifier)
    if item.envelope is not None:
        _same_digest(spec.message("envelopeHash"), Signed(item.envelope))


def _intoto_2(spec: Message, item: Item, verifier: Verifier) -> None:
    content = spec.message("content")
    _same_digest(content.message("payloadHash"), _payload(item))
    signature = _only(content.message("envelope"))
    # Rekor puts into base64 what the envelope has in base64 already.
    _same_signature(from_base64(_ascii(signature.bytes("sig")), what="a signature in a log entry"), item)
    _same_verifier(signature.bytes("publicKey"), verifier)
    if item.envelope is not None:
        _same_digest(content.message("hash"), Signed(item.envelope))


def _intoto_1(spec: Message, item: Item, verifier: Verifier) -> None:
    """It names no signature, but the whole envelope, and so only where the envelope is here as it was logged."""
    need(item.envelope is not None, Code.TLOG_KIND, "a log entry of intoto 0.0.1 binds nothing but an envelope that is not here")
    assert item.envelope is not None
    _same_digest(spec.message("content").message("hash"), Signed(item.envelope))
    _same_verifier(spec.bytes("publicKey"), verifier)


_COMPARED: Mapping[tuple[str, str], Callable[[Message, Item, Verifier], None]] = MappingProxyType(
    {
        ("hashedrekord", "0.0.1"): _hashedrekord,
        ("dsse", "0.0.1"): _dsse,
        ("intoto", "0.0.1"): _intoto_1,
        ("intoto", "0.0.2"): _intoto_2,
    }
)


def _hashedrekord_2(item: Item, verifier: Verifier) -> bytes:
    details, algorithm = _details(verifier)
    data = {"algorithm": _PROTO_HASHES[algorithm], "digest": to_base64(item.message.digest(algorithm))}
    return _body("hashedrekord", {"hashedRekordV002": {"data": data, "signature": _proto_signature(item, verifier, details)}})


def _dsse_2(item: Item, verifier: Verifier) -> bytes:
    details, _ = _details(verifier)
    digest = {"algorithm": _PROTO_HASHES["sha256"], "digest": to_base64(_payload(item).digest("sha256"))}
    return _body("dsse", {"dsseV002": {"payloadHash": digest, "signatures": [_proto_signature(item, verifier, details)]}})


_REBUILT: Mapping[tuple[str, str], Callable[[Item, Verifier], bytes]] = MappingProxyType(
    {("hashedrekord", "0.0.2"): _hashedrekord_2, ("dsse", "0.0.2"): _dsse_2}
)
_PROTO_HASHES = MappingProxyType({"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"})

# What protobuf-specs (PublicKeyDetails) calls an algorithm, by its key and digest, and the digest that the entry has.
_DETAILS: Mapping[tuple[str, str | None], tuple[str, str]] = MappingProxyType(
    {
        ("P-256", "sha256"): ("PKIX_ECDSA_P256_SHA_256", "sha256"),
        ("P-384", "sha384"): ("PKIX_ECDSA_P384_SHA_384", "sha384"),
        ("P-384", "sha256"): ("PKIX_ECDSA_P384_SHA_256", "sha256"),
        ("P-521", "sha512"): ("PKIX_ECDSA_P521_SHA_512", "sha512"),
        ("P-521", "sha256"): ("PKIX_ECDSA_P521_SHA_256", "sha256"),
        ("Ed25519", None): ("PKIX_ED25519", "sha512"),
        ("Ed25519", "sha512"): ("PKIX_ED25519_PH", "sha512"),
    }
    | {(f"RSA-{n}", "sha256"): (f"PKIX_RSA_PKCS1V15_{n}_SHA256", "sha256") for n in (2048, 3072, 4096)}
)


def _details(verifier: Verifier) -> tuple[str, str]:
    algorithm = verifier.algorithm
    details = _DETAILS.get((algorithm.key, algorithm.digest))
    if details is None:
        raise TrustError("Rekor 2 has no name for this algorithm", code=Code.TLOG_KIND, found=algorithm)
    return details


def _body(kind: str, spec: dict[str, Any]) -> bytes:
    return strictjson.dumps({"apiVersion": "0.0.2", "kind": kind, "spec": spec})


def _proto_signature(item: Item, verifier: Verifier, details: str) -> dict[str, Any]:
    material = "x509Certificate" if verifier.is_certificate else "publicKey"
    return {
        "content": to_base64(item.signature),
        "verifier": {"keyDetails": details, material: {"rawBytes": to_base64(verifier.der)}},
    }


def _payload(item: Item) -> Signed:
    need(item.payload is not None, Code.TLOG_BODY, "a log entry of an envelope, beside a signature that is not in an envelope")
    assert item.payload is not None
    return Signed(item.payload)


def _only(message: Message) -> Message:
    signatures = message.messages("signatures", limit=MAX_SIGNATURES)
    need(len(signatures) == 1, Code.TLOG_BODY, "a log entry does not have exactly one signature", found=len(signatures), wanted=1)
    return signatures[0]


def _same_digest(found: Message, content: Signed) -> None:
    algorithm = found.text("algorithm")
    need(algorithm in _PROTO_HASHES, Code.TLOG_BODY, "a log entry with another digest", found=ascii(algorithm[:40]), wanted="SHA-2")
    wanted = content.digest(algorithm).hex()
    need(
        found.text("value") == wanted,
        Code.TLOG_BODY,
        "a log entry about other content",
        found=ascii(found.text("value")[:160]),
        wanted=wanted,
    )


def _same_signature(found: bytes, item: Item) -> None:
    need(
        found == item.signature,
        Code.TLOG_BODY,
        "a log entry about another signature",
        found=found[:64].hex(),
        wanted=item.signature[:64].hex(),
    )


def _same_verifier(pem: bytes, verifier: Verifier) -> None:
    same = from_pem(pem, verifier.label, what="the verifier in a log entry") == [verifier.der]
    need(same, Code.TLOG_BODY, f"a log entry with another {verifier.label.lower()}")


def _ascii(text: bytes) -> str:
    need(text.isascii(), Code.TLOG_BODY, "a signature in a log entry is not base64")
    return text.decode("ascii")
