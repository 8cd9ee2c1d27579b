"""BND: the seal, who signed it, and what it lists."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from bundler.bundle import seal
from bundler.bundle.seal import Kind, Member
from bundler.bundle.sealenvelope import preauthentication, sealed
from bundler.errors import Code
from bundler.oci.digest import Digest
from tests.hostile.catalogue.signature import N_P256
from tests.support import making
from tests.support.bundles import sign
from tests.support.hostile import Cases
from tests.support.making import Parts, Plain, base

CASES = Cases()
HYBRID = "version 1 has no signatures of two algorithms over one seal: a key is ECDSA or RSA, and is pinned"


def payload_of(envelope: bytes) -> bytes:
    return base64.b64decode(json.loads(envelope)["payload"])


def envelope(edit: Callable[[bytes], bytes]) -> Parts:
    return replace(base(), envelope=edit)


def field(name: str, value: Any) -> Parts:
    """A signature that has this, too."""

    def edit(data: bytes) -> bytes:
        told = json.loads(data)
        told["signatures"][0][name] = value
        return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()

    return envelope(edit)


def listed_twice() -> Parts:
    parts, data = base(), base().signed()
    return parts.listing([*parts.members, Member(Kind.EVIDENCE, len(data), Digest.of(data), seal.SEAL)], {seal.SEAL: data})


def respelt() -> Parts:
    genuine = base()

    def edit(data: bytes) -> bytes:
        told = json.loads(payload_of(data))
        return sealed(json.dumps(told, sort_keys=True).encode(), [base64.b64decode(json.loads(data)["signatures"][0]["sig"])])

    return replace(genuine, envelope=edit)


def mac(payload: bytes) -> bytes:
    return hmac.digest(making.key("sealer").pem, preauthentication(len(payload)) + payload, hashlib.sha256)


def twice_by_one() -> Parts:
    """Two signatures that differ, by the one key."""

    def edit(data: bytes) -> bytes:
        payload = payload_of(data)
        message = preauthentication(len(payload)) + payload
        private = making.key("sealer").private
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        return sealed(payload, [sign(payload, making.key("sealer")), private.sign(message, ec.ECDSA(hashes.SHA256()))])

    return replace(base().saying(stream="dual"), envelope=edit)


def mirrored() -> Parts:
    def edit(data: bytes) -> bytes:
        payload = payload_of(data)
        one = sign(payload, making.key("sealer"))
        r, s = decode_dss_signature(one)
        return sealed(payload, [one, encode_dss_signature(r, N_P256 - s)])

    return replace(base().saying(stream="dual"), envelope=edit)


def again(members: list[Any]) -> None:
    members.append({**members[1], "sha256": "0" * 64})


def two_digests(statement: dict[str, Any]) -> dict[str, Any]:
    [subject] = statement["subject"]
    return statement | {"subject": [subject | {"digest": subject["digest"] | {"sha512": "0" * 128}}]}


def stranger_of(size: int, *, piece: bytes) -> Parts:
    """A seal so large, of the same piece of base64 again and again: it is asked who signed it before it is held."""

    def edit(data: bytes) -> bytes:
        told = json.loads(data)
        head, tail = (
            b'{"payload":"',
            b'","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"%b"}]}' % told["signatures"][0]["sig"].encode(),
        )
        return head + piece * (size // 3 * 4 // len(piece)) + tail

    return envelope(edit)


def mixed(words: str) -> Parts:
    """The genuine seal, and the members of a bundle of an image with other words."""
    plain = Plain()
    other = plain.parts({making.APP: plain.signed(plain.image(words))}, trust=[making.key("sealer").pem])
    genuine = base().signed()
    return replace(other, envelope=lambda _: genuine)


CASES.vector("BND-001", "the first member is not a seal", "tar-first-member")
CASES.add("BND-001", "the seal is not there", Code.FORMAT_TAR, lambda: replace(base(), records=lambda records: records[1:]))
CASES.add("BND-001", "the seal comes second", Code.FORMAT_TAR, lambda: replace(base(), records=lambda r: [r[1], r[0], *r[2:]]))
CASES.add("BND-002", "two seals", Code.FORMAT_BUNDLE, lambda: replace(base(), records=lambda r: [r[0], r[0], *r[1:]]))
CASES.add("BND-002", "a second seal, which the first lists", Code.FORMAT_SEAL, listed_twice)
CASES.vector("BND-003", "nobody has signed it", "seal-no-signature")
CASES.vector("BND-004", "a stranger has, whose key travels along", "seal-stranger")
CASES.vector("BND-005", "spelt with spaces after signing", "payload-spaces")
CASES.add("BND-005", "spelt otherwise, under the signature of the canonical spelling", Code.SEAL_SIGNATURE, respelt)
for _words, _value in (("none", "none"), ("empty", ""), ("null", None)):
    CASES.add("BND-006", f"an algorithm that is {_words}", Code.FORMAT_SEAL, partial(field, "alg", _value))
CASES.add(
    "BND-007",
    "an HMAC keyed with the public key",
    Code.SEAL_SIGNATURE,
    lambda: envelope(lambda e: sealed(payload_of(e), [mac(payload_of(e))])),
)
for _number in ("008", "009", "010", "011", "012"):
    CASES.cannot(f"BND-{_number}", "halves of a signature by two algorithms", HYBRID)
CASES.vector("BND-013", "a signature says whose it is", "seal-keyid")
CASES.vector("BND-014", "a path for a key's name", "seal-keyid")
CASES.add("BND-014", "a key's name of 1 MB", Code.LIMIT_SEAL, lambda: field("keyid", "x" * (1 << 20)))
CASES.vector("BND-015", "one signature twice", "seal-signature-twice")
CASES.vector("BND-016", "one of two keys", "seal-one-of-two")
CASES.add("BND-016", "one of two keys, with two signatures", Code.SEAL_STREAM, twice_by_one)
CASES.add("BND-017", "one of two keys, with a signature and its mirror", Code.SEAL_STREAM, mirrored)
CASES.vector("BND-018", "17 signatures", "seal-signatures-many")
CASES.add(
    "BND-018",
    "100,000 signatures",
    Code.LIMIT_SEAL,
    lambda: envelope(lambda e: sealed(payload_of(e), (n.to_bytes(70, "big") for n in range(1, 100_001)))),
)
CASES.vector("BND-019", "the key that signs images", "seal-image-signer")
CASES.cannot(
    "BND-020", "the exporter's key under an update of the trust", "trust is a folder that its owner fills; nothing that travels changes it"
)
CASES.vector("BND-021", "another payload type", "seal-payload-type")
CASES.vector("BND-021", "another statement by the same key", "payload-other-statement")
CASES.vector("BND-022", "a member that is not there", "tar-missing-member")
CASES.vector("BND-023", "a member that the seal does not list", "tar-unlisted-member")
CASES.vector("BND-024", "members in another order than the seal's", "tar-swapped")
CASES.vector("BND-024", "members in another order than theirs, sealed", "member-order")
CASES.vector("BND-025", "a member twice", "member-twice")
CASES.add("BND-025", "a name twice, with two digests", Code.FORMAT_SEAL, lambda: base().editing("members", again))
CASES.vector("BND-026", "a digest by SHA-512", "member-sha512")
CASES.add(
    "BND-026",
    "a subject by MD5",
    Code.FORMAT_SEAL,
    lambda: replace(base(), statement=lambda s: s | {"subject": [s["subject"][0] | {"digest": {"md5": "0" * 32}}]}),
)
CASES.add("BND-027", "a second digest, which is wrong", Code.FORMAT_SEAL, lambda: replace(base(), statement=two_digests))
CASES.vector("BND-028", "a member of 2^53 - 1 bytes", "member-size-huge")
CASES.add(
    "BND-028",
    "1,000 members that are 2^63 bytes together",
    Code.FORMAT_SEAL,
    lambda: base().editing("members", lambda members: members[-1].update(size=1 << 63)),
)
CASES.vector("BND-029", "version 2", "payload-format-2")
CASES.add("BND-029", "version 99", Code.FORMAT_VERSION, lambda: base().saying(format=99))
CASES.vector("BND-030", "a field that nobody knows", "predicate-unknown-field")
NOISE = base64.b64encode(random.Random(31).randbytes(48 << 10))  # noqa: S311 - the same each time
CASES.add("BND-031", "a seal of 32 MB, of a stranger", Code.SEAL_SIGNATURE, lambda: stranger_of(32 << 20, piece=NOISE))
CASES.add("BND-031", "a seal of 32 MB in some kilobytes", Code.LIMIT_SEAL, lambda: stranger_of(32 << 20, piece=b"AAAA"))
CASES.add("BND-031", "a seal of more than 32 MB", Code.LIMIT_SEAL, lambda: stranger_of((32 << 20) + (64 << 10), piece=NOISE))
CASES.cannot(
    "BND-032", "10^9 members", "the seal lists each member by itself, and at most 32 MiB of them (BND-031); none is counted in advance"
)
CASES.add("BND-033", "frames that overlap", Code.FORMAT_BUNDLE, lambda: replace(base(), sizes=lambda s: [s[0], s[1], s[1], *s[3:]]))
CASES.vector("BND-034", "frames whose contents are not as long together as the members", "table-content")
CASES.add(
    "BND-035",
    "the seal of one bundle before the members of another",
    Code.FORMAT_BUNDLE,
    lambda: mixed("other words, of another length altogether " * 30),
)
CASES.add("BND-035", "of the same lengths", Code.FORMAT_UNLISTED, lambda: mixed("hullo"))
CASES.vector("BND-036", "a signature of 100,000 bytes", "seal-signature-long")
CASES.add("BND-036", "a signature of 50 MB", Code.LIMIT_SEAL, lambda: envelope(lambda e: sealed(payload_of(e), [bytes(50 << 20)])))
CASES.vector("BND-037", "a stream that is a path", "stream-path")
CASES.add("BND-037", "a stream that speaks to a terminal", Code.FORMAT_JSON, lambda: base().saying(stream="\x1b[2Jx"))
CASES.add("BND-037", "a stream of two lines", Code.FORMAT_SEAL, lambda: base().saying(stream="a\nb"))
CASES.vector("BND-038", "a tag that was changed", "seal-changed")
CASES.elsewhere(
    "BND-038",
    "a tag that the exporter chose: said in docs/threat-model.md, and seen where the signature names the repository",
    "tests/unit/trust/test_judge.py",
)
CASES.vector("BND-039", "a signature that is left out", "lookup-found-missing")
CASES.vector("BND-039", "a bundle that leans on another, and on nothing of it", "base-alone")
CASES.vector("BND-040", "a script", "member-name-script")
CASES.vector("BND-040", "something that could be run", "tar-mode")
CASES.vector("BND-041", "a delta of which an image's manifest lies elsewhere", "elsewhere-image")
CASES.vector("BND-041", "a delta of which a signature's manifest lies elsewhere", "elsewhere-document")
CASES.vector("BND-041", "a delta of which a config lies elsewhere", "elsewhere-config")
CASES.vector("BND-042", "a delta of which a signed payload lies elsewhere", "elsewhere-evidence")
CASES.vector("BND-042", "a delta of which an in-index attestation's statement lies elsewhere", "elsewhere-attestation")
CASES.vector("BND-042", "a delta of which what an index lists beside manifests lies elsewhere", "elsewhere-of-an-index")
CASES.vector("BND-042", "a delta of which evidence that is too large to be judged lies elsewhere", "elsewhere-large-evidence")
CASES.vector("BND-043", "a delta that wants something that no image has", "elsewhere-not-needed")
CASES.vector("BND-043", "a delta that holds what it says to lie elsewhere", "elsewhere-member")
CASES.vector("BND-043", "a delta that names a layer elsewhere twice", "elsewhere-twice")
CASES.vector("BND-044", "a delta with another size for a layer elsewhere", "elsewhere-size")
CASES.vector("BND-044", "a delta with another type for a layer elsewhere", "elsewhere-media-type")
CASES.vector("BND-045", "a delta that lacks a layer in silence", "elsewhere-unsaid")
CASES.vector("BND-046", "a delta whose manifest.json lists an image that it does not hold whole", "elsewhere-docker")
