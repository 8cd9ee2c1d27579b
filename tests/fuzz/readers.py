"""Every reader of what others wrote: what it is given, and the only way in which it may refuse.

A reader is a function of bytes. It returns, or raises BundlerError; inside the client of registries, MalformedError, which
does not leave it. ``scripts/fuzz`` looks for bytes for which that is not so, beginning with these seeds.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bundler import strictjson
from bundler.bundle import frames, tar
from bundler.bundle.archive import Archive
from bundler.bundle.payload import seal_of
from bundler.bundle.seal import SEAL
from bundler.bundle.sealenvelope import SealEnvelope
from bundler.content.registry import answers
from bundler.content.registry.credentials import CredentialFile
from bundler.content.registry.origin import MalformedError
from bundler.errors import BundlerError
from bundler.ledger.journal import entry as journal_entry
from bundler.ledger.journal import notes
from bundler.ledger.journal.tree import Name, to_entries
from bundler.oci.descriptor import Platform
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from bundler.trust import dsse, trusttoml
from bundler.trust.checkpoint import Checkpoint
from bundler.trust.der import Element
from bundler.trust.notation import cbor
from bundler.trust.notation import envelope as notation
from bundler.trust.rfc3161 import TimestampToken
from bundler.trust.sigstore.bundle import SigstoreBundle
from bundler.trust.sigstore.entry import Entry
from bundler.trust.sigstore.root import TrustedRoot
from bundler.trust.statement import Statement
from bundler.trust.x509 import Authority, Certificate
from tests.support import cms
from tests.support.memory import Memory
from tests.support.notary import WORLD, Signing

VECTORS = Path(__file__).parents[1] / "vectors"
KEYS = {f"keys/{path.name}": path.read_bytes() for path in (VECTORS / "trust/keys").glob("*.pub")}
MANIFEST = (
    b'{"config":{"digest":"sha256:%b","mediaType":"application/vnd.oci.image.config.v1+json","size":2},"layers":[],'
    b'"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}' % (b"0" * 64)
)


@dataclass(frozen=True)
class Reader:
    """What reads, and what it is known to read well."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]

    def __call__(self, data: bytes) -> None:
        """Anything that escapes is a bug."""
        with suppress(BundlerError, MalformedError):
            self.read(data)


def text(data: bytes) -> str:
    """Any text: bytes that are none become others."""
    return data.decode("utf-8", "surrogateescape")


def bundle(data: bytes) -> None:
    """All of a bundle, as if somebody whom the station trusts had sealed it."""
    archive = Archive(Memory(data), what="a bundle")
    content = archive.sealed_by(archive.envelope.payload())
    content.verify(jobs=1)
    content.check_derived()


def payload_of(data: bytes) -> bytes:
    """The seal of a good bundle."""
    return Archive(Memory(data), what="a bundle").envelope.payload()


def envelope(data: bytes) -> None:
    SealEnvelope.read(lambda: iter((data[:100], data[100:]))).payload()


def frame(data: bytes) -> None:
    """The first bytes say how much is wanted."""
    b"".join(frames.decompress(data[3:], int.from_bytes(data[:3], "little") % (1 << 20), what="x"))


def table(data: bytes) -> None:
    found = frames.Table.find(lambda at, count: data[at : at + count], len(data))
    if found:
        list(found.sizes(0, min(found.count, 1000)))
        found.offsets(frames.runs(1024, [(512, False), (1 << 20, True)], 1024))


def head(data: bytes) -> None:
    parsed = answers.Head.parse(data.split(b"\n") or [b""])
    with suppress(MalformedError):
        answers.challenges(parsed.all("www-authenticate"))
    with suppress(MalformedError):
        answers.next_page(parsed.all("link"))
    answers.received(parsed.one("range"), sent=100)
    answers.content_range(parsed.one("content-range"))
    _ = parsed.length, parsed.chunked, parsed.encoded, parsed.media_type, parsed.retry_after


def elements(data: bytes) -> None:
    """Every element of DER as everything that it could be."""

    def walk(element: Element, depth: int) -> None:
        for reading in (element.integer, element.octets, element.oid, element.text, element.time):
            with suppress(BundlerError):
                reading()
        with suppress(BundlerError):
            for each in element.items().rest():
                if depth < 50:
                    walk(each, depth + 1)

    walk(Element.parse(data), 0)


def notary(media_type: str) -> Callable[[bytes], object]:
    return lambda data: notation.SignatureEnvelope.parse(data, media_type).check_signature()


def stamped(data: bytes) -> None:
    """A timestamp, and whether it is one of what the seed's is of."""
    TimestampToken.parse_response(data).verified([b"signature"], AUTHORITIES)


def of_json(read: Callable[[bytes], object], *values: object) -> Reader:
    return Reader(read, tuple(json.dumps(value).encode() for value in values))


def small(names: Iterable[str]) -> tuple[bytes, ...]:
    return tuple((VECTORS / f"{name}.oci.tar.zst").read_bytes() for name in names)


GOOD = small(["valid/minimal", "valid/index", "valid/foreign-layer"])
DSSE = {"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "AA==", "keyid": ""}]}
SIGSTORE = {
    "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
    "verificationMaterial": {
        "certificate": {"rawBytes": "MAA="},
        "tlogEntries": [{"logIndex": "1", "logId": {"keyId": "AA=="}, "integratedTime": "1", "canonicalizedBody": "e30="}],
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "MAA="}]},
    },
    "dsseEnvelope": DSSE,
}
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "x", "digest": {"sha256": "0" * 64}}],
    "predicateType": "https://spdx.dev/Document",
    "predicate": {"a": 1.5},
}
SET = {"SignedEntryTimestamp": "AA==", "Payload": {"body": "e30=", "integratedTime": 1, "logIndex": 1, "logID": "00" * 32}}
ROOT = {
    "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    "tlogs": [
        {"baseUrl": "https://log.example", "hashAlgorithm": "SHA2_256", "publicKey": {"rawBytes": "MAA="}, "logId": {"keyId": "AA=="}}
    ],
    "certificateAuthorities": [{"certChain": {"certificates": [{"rawBytes": "MAA="}]}, "validFor": {"start": "2024-01-01T00:00:00Z"}}],
}
SIGNING = Signing(stamp={})
STAMP = SIGNING.token(b"signature")
AUTHORITIES = [Authority("stamps", Certificate.parse(WORLD.tsa_ca.der), (Certificate.parse(WORLD.tsa.der),))]
ANSWER = (
    b'HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Bearer realm="https://a.example/t",service="s"\n'
    b'Link: </v2/_catalog?n=1>; rel="next"\nRange: 0-9\nContent-Range: bytes 0-1/2\nContent-Length: 2\nRetry-After: 5\nContent-Type: a/b'
)
JOURNAL_ENTRY = b'{"kind":"import","receipt":"sha256:%s","time":"2026-11-22T12:00:00Z"}' % (b"0" * 64)
PROOF = f"c2sp.org/tlog-proof@v1\nextra AAAA\nindex 1\n{'A' * 43}=\n\nlog.example\n5\n{'A' * 43}=\n\n\u2014 log.example AAAAAAAA\n".encode()
CHECKPOINT = "log.example\n5\nAAAA\n\n— log.example AAAAAAAA\n".encode()

READERS = {
    "json": of_json(lambda data: strictjson.loads(data, limit=1 << 20), STATEMENT, {"a": [1, "\ud800", None, True]}),
    "predicate": of_json(lambda data: strictjson.loads(data, limit=1 << 20, predicate=True), STATEMENT, {"a": [1.5e9, {}]}),
    "document": Reader(Document.parse, (MANIFEST, MANIFEST.replace(b"manifest.v1", b"index.v1"))),
    "reference": Reader(lambda data: Reference.parse(text(data)), (b"registry.example:5000/a/b:v1", b"a/b@sha256:" + b"0" * 64)),
    "digest": Reader(lambda data: Digest.parse(text(data)), (b"sha256:" + b"0" * 64, b"sha512:" + b"0" * 128)),
    "platform": Reader(lambda data: Platform.parse(text(data)), (b"linux/arm/v7",)),
    "tar": Reader(lambda data: tar.read_header(data[:512], SEAL), (tar.header(SEAL, 1000, mtime=0),)),
    "frame": Reader(frame, tuple(len(d).to_bytes(3, "little") + frames.compress(d) for d in (b"", b"x" * 1000, bytes(range(256)) * 9))),
    "table": Reader(table, (frames.table([(100, 1024), (9, 512)]),)),
    "bundle": Reader(bundle, GOOD),
    "envelope": of_json(envelope, {"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "AA=="}]}),
    "seal": Reader(seal_of, tuple(payload_of(data) for data in GOOD)),
    "trust": Reader(lambda data: trusttoml.parse(data, KEYS), ((VECTORS / "trust/trust.toml").read_bytes(),)),
    "head": Reader(head, (ANSWER, b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked")),
    "chunk": Reader(answers.chunk_size, (b"1a;x=y", b"0")),
    "complaint": of_json(answers.Complaint.parse, {"errors": [{"code": "BLOB_UNKNOWN", "message": "x", "detail": {"digest": "x"}}]}),
    "credentials": of_json(
        lambda data: CredentialFile.parse(data, "x"), {"auths": {"a.example": {"auth": "YTpi"}}, "credHelpers": {"b": "c"}}
    ),
    "dsse": of_json(dsse.Envelope.parse, DSSE),
    "statement": of_json(Statement.parse, STATEMENT),
    "sigstore": of_json(SigstoreBundle.parse, SIGSTORE, {**SIGSTORE, "messageSignature": {"messageDigest": {"algorithm": "SHA2_256"}}}),
    "log entry": of_json(Entry.of_annotation, SET),
    "checkpoint": Reader(lambda data: Checkpoint.parse(text(data)), (CHECKPOINT,)),
    "proof": Reader(lambda data: notes.Proof.parse(text(data)), (PROOF,)),
    "journal entry": Reader(journal_entry.Entry.parse, (JOURNAL_ENTRY,)),
    "journal entries": Reader(lambda data: to_entries(data, Name(0, 0, 2)), (b"\0\3one\0\5other",)),
    "root": of_json(TrustedRoot.parse, ROOT),
    "jws": Reader(notary("application/jose+json"), (SIGNING.jws(),)),
    "cose": Reader(notary("application/cose"), (SIGNING.cose(),)),
    "cbor": Reader(cbor.loads, (b"\xa2\x01\x02\x61a\x82\x01\x40", SIGNING.cose())),
    "der": Reader(elements, (SIGNING.chain[0].der, b"\x17\x0d240101000000Z")),
    "certificate": Reader(Certificate.parse, tuple(issued.der for issued in SIGNING.chain)),
    "timestamp": Reader(stamped, (cms.response(STAMP or b""),)),
}
