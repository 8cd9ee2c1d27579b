"""Content that is not what the seal says, and images that nobody vouches for (bundle-v1.md, section 10)."""

from dataclasses import replace

from bundler.bundle import seal
from bundler.bundle.seal import Kind
from bundler.errors import Code
from bundler.oci import mediatype
from tests.support.bundle_vectors.vector import Vectors
from tests.support.layouts import PLAIN_LAYER
from tests.support.making import APP, Parts, Plain, at, base, content_of, flipped, path_of

VECTORS = Vectors()


# --- content ---


@VECTORS.refused("content-layer", "10", Code.CONTENT_DIGEST, "one bit of a layer is another; its frame is in order", exit=4)
def _() -> Parts:
    parts = base()
    name = path_of(parts, Kind.BLOB)
    return content_of(parts, name, flipped(parts.files[name], 600))


@VECTORS.refused("content-manifest", "10", Code.CONTENT_DIGEST, "one bit of a manifest is another", exit=4)
def _() -> Parts:
    parts = base()
    name = path_of(parts, Kind.DOCUMENT)
    return content_of(parts, name, parts.files[name].replace(b"v1", b"v0", 1))


@VECTORS.refused("content-index", "10", Code.CONTENT_DIGEST, "one bit of index.json is another", exit=4)
def _() -> Parts:
    parts = base()
    return content_of(parts, "index.json", parts.files["index.json"].replace(b":v1", b":v0", 1))


@VECTORS.refused("content-signature", "10", Code.CONTENT_DIGEST, "one bit of a signed payload is another", exit=4)
def _() -> Parts:
    parts = base()
    name = path_of(parts, Kind.EVIDENCE)
    return content_of(parts, name, parts.files[name].replace(b"registry", b"registri", 1))


@VECTORS.refused("content-key", "10", Code.CONTENT_DIGEST, "one bit of a key that travels along is another", exit=4)
def _() -> Parts:
    parts = base()
    name = path_of(parts, Kind.TRUST)
    return content_of(parts, name, flipped(parts.files[name], 100))


@VECTORS.refused("content-exchanged", "10", Code.CONTENT_DIGEST, "two layers of equal size have each other's bytes", exit=4)
def _() -> Parts:
    plain = Plain()
    one, other = plain.blob(b"one layer", PLAIN_LAYER), plain.blob(b"two layer", PLAIN_LAYER)
    parts = plain.parts({APP: plain.signed(plain.image("hello", more=[one, other]))})
    changed = content_of(parts, seal.BLOBS + one.digest.encoded, b"two layer")
    first = changed.records
    number = 1 + next(number for number, member in enumerate(parts.members) if member.digest == other.digest)
    return replace(parts, records=lambda records: at(number, lambda r: r[:512] + b"one layer" + r[521:])(first(records)))


# --- who vouches for the image ---


@VECTORS.refused("image-unsigned", "10", Code.POLICY_THRESHOLD, "an image that nobody has signed", exit=5)
def _() -> Parts:
    plain = Plain()
    return plain.parts({APP: plain.image("hello")})


@VECTORS.refused("image-other-signer", "10", Code.POLICY_THRESHOLD, "an image that somebody else has signed", exit=5)
def _() -> Parts:
    plain = Plain()
    return plain.parts({APP: plain.signed(plain.image("hello"), by="stranger")})


@VECTORS.refused(
    "image-signed-by-sealer", "10", Code.POLICY_THRESHOLD, "an image that the exporter has signed: one key is not enough", exit=5
)
def _() -> Parts:
    plain = Plain()
    return plain.parts({APP: plain.signed(plain.image("hello"), by="sealer")})


@VECTORS.refused("image-other-payload", "10", Code.POLICY_THRESHOLD, "an image with the genuine signature of another one", exit=5)
def _() -> Parts:
    plain = Plain()
    return plain.parts({APP: plain.signed(plain.image("hello"), about=plain.image("other").digest)})


@VECTORS.refused("image-no-rule", "10", Code.POLICY_NO_MATCH, "an image that the stream may carry and that no rule covers", exit=5)
def _() -> Parts:
    plain = Plain()
    return plain.parts({"unruled.example/app:v1": plain.signed(plain.image("hello"), repository="unruled.example/app")})


@VECTORS.refused("image-sealed-not-signed", "7", Code.POLICY_THRESHOLD, "a genuine seal is attached to an image as its attestation", exit=5)
def _() -> Parts:
    plain = Plain()
    image = plain.image("hello")
    plain.artifact(base().signed(), mediatype.DSSE, subject=image)
    return plain.parts({APP: image})
