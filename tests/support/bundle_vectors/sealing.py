"""Faults of the envelope, and of who sealed (bundle-v1.md, section 6)."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bundler import strictjson
from bundler.bundle.sealenvelope import preauthentication, sealed
from bundler.errors import Code
from tests.support.bundle_vectors.vector import Vectors
from tests.support.making import APP, Parts, Plain, base, key

VECTORS = Vectors()


@VECTORS.refused("seal-no-signature", "6", Code.SEAL_SIGNATURE, "nobody has signed the seal", exit=5)
def _() -> Parts:
    return replace(base(), keys=())


@VECTORS.refused("seal-stranger", "6", Code.SEAL_SIGNATURE, "the seal is signed by a key that nobody trusts; the key travels along", exit=5)
def _() -> Parts:
    plain = Plain()
    parts = plain.parts({APP: plain.signed(plain.image("hello"))}, trust=[key("stranger").pem])
    return replace(parts, keys=("stranger",))


@VECTORS.refused("seal-image-signer", "6", Code.SEAL_SIGNATURE, "the seal is signed by the key that signs images", exit=5)
def _() -> Parts:
    return replace(base(), keys=("release",))


@VECTORS.refused("seal-changed", "6", Code.SEAL_SIGNATURE, "the sequence was changed after signing", exit=5)
def _() -> Parts:
    parts = base()

    def changed(envelope: bytes) -> bytes:
        value = json.loads(envelope)
        payload = base64.b64decode(value["payload"]).replace(b'"sequence":1704067200000', b'"sequence":1704067200001')
        return sealed(payload, [base64.b64decode(value["signatures"][0]["sig"])])

    return replace(parts, envelope=changed)


@VECTORS.refused("seal-not-pae", "6", Code.SEAL_SIGNATURE, "the signature is over the payload itself", exit=5)
def _() -> Parts:
    return replace(base(), envelope=lambda envelope: _resigned(envelope, lambda payload: key("sealer").sign(payload)))


@VECTORS.refused("seal-sha384", "6", Code.SEAL_SIGNATURE, "a P-384 key has signed with SHA-384", exit=5)
def _() -> Parts:
    def longer(payload: bytes) -> bytes:
        private = key("second").private
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        message = preauthentication(len(payload)) + payload
        return private.sign(message, ec.ECDSA(hashes.SHA384(), deterministic_signing=True))

    return replace(base().saying(stream="p384"), envelope=lambda envelope: _resigned(envelope, longer))


def _resigned(envelope: bytes, signature: Callable[[bytes], bytes]) -> bytes:
    payload = base64.b64decode(json.loads(envelope)["payload"])
    return sealed(payload, [signature(payload)])


@VECTORS.refused("seal-one-of-two", "6", Code.SEAL_STREAM, "a stream that asks for two keys has the signature of one", exit=5)
def _() -> Parts:
    return base().saying(stream="dual")


@VECTORS.refused("seal-keyid", "6", Code.FORMAT_SEAL, "a signature says which key made it")
def _() -> Parts:
    return replace(base(), envelope=lambda envelope: envelope.replace(b'{"sig":', b'{"keyid":"../../etc/passwd","sig":'))


@VECTORS.refused("seal-envelope-field", "6", Code.FORMAT_SEAL, "the envelope has a field more")
def _() -> Parts:
    return replace(base(), envelope=lambda envelope: envelope[:-1] + b',"x":1}')


@VECTORS.refused("seal-envelope-twice", "6", Code.FORMAT_JSON, "the envelope has its signatures twice")
def _() -> Parts:
    return replace(base(), envelope=lambda envelope: envelope[:-1] + b"," + envelope[envelope.index(b'"signatures"') :])


@VECTORS.refused("seal-envelope-spaces", "6", Code.FORMAT_SEAL, "the envelope is spelt with spaces")
def _() -> Parts:
    return replace(base(), envelope=lambda envelope: envelope.replace(b'","payloadType":"', b'", "payloadType": "'))


@VECTORS.refused("seal-envelope-line-end", "6", Code.FORMAT_SEAL, "the envelope ends with a line end")
def _() -> Parts:
    return replace(base(), envelope=lambda envelope: envelope + b"\n")


@VECTORS.refused("seal-envelope-order", "6", Code.FORMAT_SEAL, "the envelope does not begin with its payload")
def _() -> Parts:
    return replace(
        base(), envelope=lambda envelope: json.dumps(dict(reversed(json.loads(envelope).items())), separators=(",", ":")).encode()
    )


@VECTORS.refused("seal-payload-type", "6", Code.FORMAT_SEAL, "the envelope says that its payload is of another type")
def _() -> Parts:
    return replace(base(), envelope=lambda envelope: envelope.replace(b"vnd.in-toto+json", b"vnd.oci-bundler.receipt+json"))


@VECTORS.refused("seal-base64-url", "6", Code.FORMAT_SEAL, "the payload is spelt in the alphabet for URLs")
def _() -> Parts:
    parts = base().saying(station="\u00fb\u00ff>>>???>>>???")
    return replace(
        parts,
        envelope=lambda e: (
            e.replace(b"/", b"_").replace(b"application_vnd", b"application/vnd").replace(b"+", b"-").replace(b"-json", b"+json")
        ),
    )


@VECTORS.refused("seal-base64-spelling", "6", Code.FORMAT_SEAL, "unused bits of the signature's base64 are set")
def _() -> Parts:
    def other(envelope: bytes) -> bytes:
        value = json.loads(envelope)
        text = value["signatures"][0]["sig"].rstrip("=")
        assert len(text) % 4
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        value["signatures"][0]["sig"] = text[:-1] + alphabet[alphabet.index(text[-1]) + 1] + "=" * (-len(text) % 4)
        return strictjson.dumps(value)

    return replace(base(), envelope=other)


@VECTORS.refused("seal-signature-twice", "6", Code.FORMAT_SEAL, "the envelope has a signature twice")
def _() -> Parts:
    return replace(base().saying(stream="dual"), keys=("sealer", "sealer"))


@VECTORS.refused("seal-signatures-many", "12", Code.LIMIT_SEAL, "the envelope has 17 signatures")
def _() -> Parts:
    def many(envelope: bytes) -> bytes:
        value = json.loads(envelope)
        genuine = base64.b64decode(value["signatures"][0]["sig"])
        return sealed(base64.b64decode(value["payload"]), [genuine, *(bytes([number]) * 70 for number in range(16))])

    return replace(base(), envelope=many)


@VECTORS.refused("seal-signature-long", "12", Code.LIMIT_SEAL, "a signature of 100,000 bytes")
def _() -> Parts:
    def long(envelope: bytes) -> bytes:
        return sealed(base64.b64decode(json.loads(envelope)["payload"]), [bytes(100_000)])

    return replace(base(), envelope=long)


@VECTORS.refused("seal-stream", "7", Code.SEAL_STREAM, "the key that sealed it may not seal this stream", exit=5)
def _() -> Parts:
    return base().saying(stream="rsa")


@VECTORS.refused("seal-scope", "7", Code.SEAL_SCOPE, "an image lies outside what the stream may carry", exit=5)
def _() -> Parts:
    plain = Plain()
    return plain.parts({"elsewhere.example/app:v1": plain.signed(plain.image("hello"), repository="elsewhere.example/app")})


@VECTORS.refused("seal-station", "7", Code.SEAL_STATION, "the bundle is for one station, and this version knows of none", exit=5)
def _() -> Parts:
    return base().saying(station="hall-7")


@VECTORS.refused(
    "seal-requires-trust", "7", Code.TRUST_SERIAL, "the bundle asks for a serial of the trust, and this version does not compare it", exit=5
)
def _() -> Parts:
    return base().saying(requires_trust=2)


@VECTORS.refused("seal-expired", "7", Code.TIME_EXPIRED, "the bundle's time is over", exit=5)
def _() -> Parts:
    return base().saying(expires="2024-03-01T00:00:00Z")


@VECTORS.refused("seal-future", "7", Code.TIME_FUTURE, "the bundle was made in the year 2999", exit=5)
def _() -> Parts:
    return base().saying(created="2999-01-01T00:00:00Z")
