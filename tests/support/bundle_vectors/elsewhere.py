"""Faults of what a delta says to lie elsewhere (bundle-v1.md, section 8)."""

from collections.abc import Callable
from typing import Any

from bundler.bundle.seal import Kind
from bundler.errors import Code
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support.bundle_vectors.taken import attested, delta
from tests.support.bundle_vectors.vector import Vectors
from tests.support.layouts import PLAIN_LAYER
from tests.support.making import APP, Parts, Plain, base

VECTORS = Vectors()


def saying(edit: Callable[[list[dict[str, Any]]], object]) -> Parts:
    return delta().editing("elsewhere", edit)


def without(parts: Parts, digest: Digest, media_type: str) -> Parts:
    """The bundle without a member, which is said to lie elsewhere."""
    gone = next(member for member in parts.members if member.digest == digest)
    told = [*parts.predicate.get("elsewhere", ()), {"digest": str(digest), "mediaType": media_type, "size": gone.size}]
    return parts.listing(member for member in parts.members if member != gone).saying(elsewhere=told, base=[str(Digest.of(b"earlier"))])


def first(parts: Parts, kind: Kind, number: int = 0) -> Digest:
    return [member.digest for member in parts.members if member.kind is kind][number]


@VECTORS.refused("elsewhere-image", "8", Code.FORMAT_SEAL, "an image's manifest is said to lie elsewhere")
def _() -> Parts:
    parts = base()
    return without(parts, first(parts, Kind.DOCUMENT), "application/vnd.oci.image.manifest.v1+json")


@VECTORS.refused("elsewhere-document", "8", Code.FORMAT_SEAL, "the manifest of a signature is said to lie elsewhere")
def _() -> Parts:
    parts = base()
    return without(parts, first(parts, Kind.DOCUMENT, 1), "application/vnd.oci.image.manifest.v1+json")


@VECTORS.refused("elsewhere-config", "8", Code.FORMAT_SEAL, "the config of an image is said to lie elsewhere")
def _() -> Parts:
    parts = base()
    return without(parts, first(parts, Kind.CONFIG), "application/vnd.oci.image.config.v1+json")


@VECTORS.refused("elsewhere-evidence", "8", Code.FORMAT_SEAL, "the payload of a signature is said to lie elsewhere")
def _() -> Parts:
    parts = base()
    return without(parts, first(parts, Kind.EVIDENCE), "application/vnd.dev.cosign.simplesigning.v1+json")


@VECTORS.refused("elsewhere-attestation", "8", Code.FORMAT_SEAL, "the statement of an in-index attestation is said to lie elsewhere")
def _() -> Parts:
    plain = Plain()
    root, statement = attested(plain)
    return without(plain.parts({APP: root}), statement.digest, statement.media_type)


@VECTORS.refused("elsewhere-of-an-index", "8", Code.FORMAT_SEAL, "what an index lists beside manifests is said to lie elsewhere")
def _() -> Parts:
    plain = Plain()
    image = plain.image("hello").descriptor.to_json() | {"platform": {"architecture": "amd64", "os": "linux"}}
    other = plain.blob(b"<x/>", "application/xml")
    root = plain.document({"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [image, other.to_json()]})
    return without(plain.parts({APP: plain.signed(root)}), other.digest, other.media_type)


@VECTORS.refused("elsewhere-large-evidence", "8", Code.FORMAT_SEAL, "an attestation above 16 MiB is said to lie elsewhere")
def _() -> Parts:
    plain = Plain()
    image = plain.signed(plain.image("hello"))
    large = plain.blob(bytes((16 << 20) + 1), "application/vnd.dsse.envelope.v1+json")
    plain.tag(f"{image.digest.tag}.att", plain.carrier(large))
    return without(plain.parts({APP: image}), large.digest, large.media_type)


@VECTORS.refused("elsewhere-not-needed", "8", Code.FORMAT_SEAL, "something is said to lie elsewhere that no image has")
def _() -> Parts:
    return saying(lambda told: told.append({"digest": str(Digest.of(b"other")), "mediaType": PLAIN_LAYER, "size": 5}))


@VECTORS.refused("elsewhere-member", "8", Code.FORMAT_SEAL, "a layer is a member, and is said to lie elsewhere")
def _() -> Parts:
    parts = delta()
    layer = next(member for member in parts.members if member.kind is Kind.BLOB)
    return parts.editing("elsewhere", lambda told: told.append({"digest": str(layer.digest), "mediaType": PLAIN_LAYER, "size": layer.size}))


@VECTORS.refused("elsewhere-twice", "8", Code.FORMAT_SEAL, "a layer is said to lie elsewhere twice")
def _() -> Parts:
    return saying(lambda told: told.append(told[0]))


@VECTORS.refused("elsewhere-size", "8", Code.CONTENT_SIZE, "a layer elsewhere is a byte longer than its manifest says", exit=4)
def _() -> Parts:
    return saying(lambda told: told[0].update(size=told[0]["size"] + 1))


@VECTORS.refused("elsewhere-media-type", "8", Code.FORMAT_SEAL, "a layer elsewhere is of another media type than its manifest says")
def _() -> Parts:
    return saying(lambda told: told[0].update(mediaType="application/octet-stream"))


@VECTORS.refused("elsewhere-order", "8", Code.FORMAT_SEAL, "the layers elsewhere are in another order than the manifests have them")
def _() -> Parts:
    return saying(lambda told: told.reverse())


@VECTORS.refused("elsewhere-unsaid", "8", Code.CONTENT_MISSING, "a layer is neither a member nor said to lie elsewhere", exit=4)
def _() -> Parts:
    return saying(lambda told: told.pop())


@VECTORS.refused("elsewhere-foreign", "8", Code.FORMAT_SEAL, "a foreign layer is left out, and is said to lie elsewhere")
def _() -> Parts:
    plain = Plain()
    foreign = Descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar", Digest.of(b"vendor"), 6)
    parts = plain.parts({APP: plain.signed(plain.image("hello", more=[foreign]))}, absent=[foreign])
    return parts.saying(elsewhere=parts.predicate["left_out"], base=[str(Digest.of(b"earlier"))])


@VECTORS.refused("elsewhere-docker", "9", Code.FORMAT_DERIVED, "manifest.json lists an image of which a layer lies elsewhere")
def _() -> Parts:
    plain = Plain()
    image = _of_two_layers(plain)
    whole = plain.parts({APP: image})
    parts = plain.parts({APP: image}, elsewhere=[image.blobs[1]])
    return parts.holding("manifest.json", whole.files["manifest.json"])


def _of_two_layers(plain: Plain) -> Document:
    return plain.signed(plain.image("hello", more=[plain.blob(b"changed", PLAIN_LAYER)]))


@VECTORS.refused("base-null", "7", Code.FORMAT_SEAL, "something lies elsewhere, and the base is null")
def _() -> Parts:
    return delta().saying(base=None)


@VECTORS.refused("base-empty", "7", Code.FORMAT_SEAL, "a whole bundle has a list of no bases, where null belongs")
def _() -> Parts:
    return base().saying(base=[])


@VECTORS.refused("elsewhere-empty", "7", Code.FORMAT_SEAL, "a whole bundle lists nothing as lying elsewhere")
def _() -> Parts:
    return base().saying(elsewhere=[])


@VECTORS.refused("base-alone", "7", Code.FORMAT_SEAL, "the bundle has a base, and nothing lies elsewhere")
def _() -> Parts:
    return base().saying(base=[str(Digest.of(b"earlier"))])


@VECTORS.refused("base-none", "7", Code.FORMAT_SEAL, "something lies elsewhere, and the bundle has no base")
def _() -> Parts:
    return delta().saying(base=[])


@VECTORS.refused("base-order", "7", Code.FORMAT_SEAL, "the bases are not in order")
def _() -> Parts:
    return delta().saying(base=sorted((str(Digest.of(data)) for data in (b"one", b"two")), reverse=True))


@VECTORS.refused("base-twice", "7", Code.FORMAT_SEAL, "a base twice")
def _() -> Parts:
    return delta().saying(base=[str(Digest.of(b"one"))] * 2)


@VECTORS.refused("base-number", "7", Code.FORMAT_SEAL, "a base that is a number")
def _() -> Parts:
    return delta().saying(base=[1])


@VECTORS.refused("base-no-digest", "7", Code.FORMAT_DIGEST, "a base that is not a digest")
def _() -> Parts:
    return delta().saying(base=["sha256:12"])
