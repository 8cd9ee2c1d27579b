"""Log entries, in the two spellings they come in: that of Sigstore bundles, and that of cosign's annotation."""

import re
from dataclasses import dataclass, field

from bundler.errors import Code
from bundler.trust.encodings import from_base64
from bundler.trust.need import need
from bundler.trust.sigstore.protojson import Message

MAX_ANNOTATION = 32 << 20  # bytes; an annotation is below what its manifest may have
MAX_PATH = 64  # hashes; a tree of 2**63 leaves has paths of 63
_LOG_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Inclusion:
    """An inclusion proof, and the checkpoint that has its root."""

    index: int
    """The place in this tree; that of the entry counts through all the trees that its log has had."""
    size: int
    root: bytes
    path: tuple[bytes, ...]
    checkpoint: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a transparency log, with a promise or a proof or both, as it came. Nothing in it is believed yet."""

    log_id: bytes
    index: int
    body: bytes = field(repr=False)
    """The canonical body: the leaf in the log."""
    kind: tuple[str, str] | None
    """Kind and version as they stand beside the body; None where the format has them in the body alone."""
    integrated_time: int
    """Seconds since 1970, that the promise alone makes believed."""
    promise: bytes | None
    """The signed entry timestamp (Rekor 1)."""
    inclusion: Inclusion | None

    @classmethod
    def of_bundle(cls, message: Message, *, version: str) -> "Entry":
        """From one of ``tlogEntries`` of a bundle of ``version``: 0.1 rests on promises, all later ones on proofs.

        Raises FormatError and TrustError (``tlog.set``, ``tlog.proof``).
        """
        promise = message.maybe("inclusionPromise")
        inclusion = message.maybe("inclusionProof")
        if version == "0.1":
            need(promise is not None, Code.TLOG_SET, "a log entry without the promise that a bundle of version 0.1 rests on")
            # Early bundles have proofs without a checkpoint, which prove nothing to anybody.
            inclusion = inclusion if inclusion and inclusion.has("checkpoint") else None
        else:
            need(
                inclusion is not None,
                Code.TLOG_PROOF,
                "a log entry without an inclusion proof",
                wanted=f"one in a bundle of version {version}",
            )
        kind = message.message("kindVersion")
        return cls(
            log_id=message.message("logId").bytes("keyId"),
            index=message.natural("logIndex"),
            body=message.bytes("canonicalizedBody"),
            kind=(kind.text("kind"), kind.text("version")),
            integrated_time=message.natural("integratedTime"),
            promise=promise.bytes("signedEntryTimestamp") if promise else None,
            inclusion=_inclusion(inclusion) if inclusion else None,
        )

    @classmethod
    def of_annotation(cls, raw: bytes) -> "Entry":
        """From what cosign writes beside a ``.sig`` or ``.att`` layer as ``dev.sigstore.cosign/bundle``. Raises FormatError."""
        outer = Message.parse(raw, limit=MAX_ANNOTATION, what="a log entry", code=Code.TLOG_MALFORMED)
        payload = outer.message("Payload")
        exact = set(outer.members) == {"SignedEntryTimestamp", "Payload"} and set(payload.members) == {
            "body",
            "integratedTime",
            "logIndex",
            "logID",
        }
        need(exact, Code.TLOG_MALFORMED, "a log entry beside a layer has other members than cosign writes")
        log_id = payload.text("logID")
        need(
            _LOG_ID.fullmatch(log_id) is not None,
            Code.TLOG_MALFORMED,
            "the log's id beside a layer is not a SHA-256",
            found=ascii(log_id[:80]),
        )
        return cls(
            log_id=bytes.fromhex(log_id),
            index=payload.natural("logIndex"),
            body=payload.bytes("body"),
            kind=None,
            integrated_time=payload.natural("integratedTime"),
            promise=outer.bytes("SignedEntryTimestamp"),
            inclusion=None,
        )


def _inclusion(message: Message) -> Inclusion:
    path = tuple(from_base64(item, what="a hash of an inclusion proof") for item in message.list("hashes", limit=MAX_PATH))
    need(all(len(node) == 32 for node in path), Code.TLOG_PROOF, "a hash of an inclusion proof is not a SHA-256")
    return Inclusion(
        index=message.natural("logIndex"),
        size=message.natural("treeSize"),
        root=message.bytes("rootHash"),
        path=path,
        checkpoint=message.message("checkpoint").text("envelope"),
    )
