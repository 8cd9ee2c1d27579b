"""Faults of the members and of documents (bundle-v1.md, sections 8 and 9)."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace

from bundler import strictjson
from bundler.bundle import seal
from bundler.bundle.seal import Kind, Member
from bundler.errors import Code
from bundler.oci import graph
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support.bundle_vectors.vector import Vectors
from tests.support.layouts import PLAIN_LAYER
from tests.support.making import APP, REPOSITORY, Parts, Plain, base, flipped, key, path_of

VECTORS = Vectors()


# --- section 8: members ---


@VECTORS.refused("member-kind", "8", Code.FORMAT_SEAL, "a member of a kind that is not known")
def _() -> Parts:
    return base().editing("members", lambda members: members[-1].update(kind="script"))


@VECTORS.refused("member-other-kind", "8", Code.FORMAT_SEAL, "a config is listed as evidence")
def _() -> Parts:
    return base().editing("members", lambda members: members[4].update(kind="evidence"))


@VECTORS.refused("member-field", "8", Code.FORMAT_SEAL, "a member has a mode")
def _() -> Parts:
    return base().editing("members", lambda members: members[-1].update(mode=493))


@VECTORS.refused("member-size-negative", "8", Code.FORMAT_SEAL, "a member of -1 bytes")
def _() -> Parts:
    return base().editing("members", lambda members: members[-1].update(size=-1))


@VECTORS.refused("member-size-huge", "8", Code.FORMAT_BUNDLE, "a member of 2^53 - 1 bytes, which is more than a bundle can hold")
def _() -> Parts:
    return base().editing("members", lambda members: members[-1].update(size=2**53 - 1))


@VECTORS.refused("member-size", "8", Code.FORMAT_TAR, "a member is listed with a byte less than it has", exit=3)
def _() -> Parts:
    return base().editing("members", lambda members: members[-1].update(size=members[-1]["size"] - 1))


@VECTORS.refused(
    "member-digest", "8", Code.FORMAT_SEAL, "a layer is listed under the digest of something else, and the image's is not there"
)
def _() -> Parts:
    return base().editing("members", lambda members: members[-1].update(sha256=Digest.of(b"other").encoded))


@VECTORS.refused("member-digest-upper-case", "8", Code.FORMAT_DIGEST, "a member's digest in upper case")
def _() -> Parts:
    return base().editing("members", lambda members: members[-1].update(sha256=members[-1]["sha256"].upper()))


@VECTORS.refused("member-twice", "8", Code.FORMAT_SEAL, "a member twice")
def _() -> Parts:
    return base().listing([*base().members, base().members[-1]])


@VECTORS.refused("member-not-needed", "8", Code.FORMAT_SEAL, "a layer that no image has")
def _() -> Parts:
    parts, data = base(), b"smuggled"
    return parts.listing([*parts.members, Member(Kind.BLOB, len(data), Digest.of(data))], {seal.BLOBS + Digest.of(data).encoded: data})


@VECTORS.refused("member-missing", "8", Code.CONTENT_MISSING, "a layer of the image is not there", exit=4)
def _() -> Parts:
    parts = base()
    return parts.listing(parts.members[:-1])


@VECTORS.refused("member-config-missing", "8", Code.CONTENT_MISSING, "the config of the image is not there", exit=4)
def _() -> Parts:
    parts = base()
    return parts.listing(member for member in parts.members if member.path != path_of(parts, Kind.CONFIG))


@VECTORS.refused("member-signature-missing", "8", Code.CONTENT_MISSING, "the payload of the signature is not there", exit=4)
def _() -> Parts:
    parts = base()
    return parts.listing(member for member in parts.members if member.kind is not Kind.EVIDENCE)


@VECTORS.refused("member-name-lies", "8", Code.CONTENT_DIGEST, "a blob has another digest than its name", exit=4)
def _() -> Parts:
    parts = base()
    name, data = path_of(parts, Kind.BLOB), flipped(parts.files[path_of(parts, Kind.BLOB)], 600)
    members = [*parts.members[:-1], Member(Kind.BLOB, len(data), Digest.of(data), name)]
    return parts.listing(members, {name: data})


@VECTORS.refused("member-name-needless", "8", Code.FORMAT_SEAL, "a blob is listed with the name that it has anyway")
def _() -> Parts:
    return base().editing("members", lambda members: members[-1].update(name=seal.BLOBS + members[-1]["sha256"]))


@VECTORS.refused("member-name-outside", "8", Code.FORMAT_SEAL, "a member is named ../HOSTILE, and sealed")
def _() -> Parts:
    parts, data = base(), b"#!/bin/sh\n"
    return parts.listing([*parts.members, Member(Kind.BLOB, len(data), Digest.of(data), "../HOSTILE")], {"../HOSTILE": data})


@VECTORS.refused("member-name-script", "8", Code.FORMAT_SEAL, "a script lies beside the layout, and is sealed")
def _() -> Parts:
    parts, data = base(), b"#!/bin/sh\n"
    return parts.listing([*parts.members, Member(Kind.TRUST, len(data), Digest.of(data), "install.sh")], {"install.sh": data})


@VECTORS.refused("member-trust-name", "8", Code.FORMAT_SEAL, "a key has an ending that is not known")
def _() -> Parts:
    parts, data = base(), key("sealer").pem
    name = f"{seal.TRUST}{Digest.of(data).encoded}.sh"
    members = [replace(member, name=name) if member.kind is Kind.TRUST else member for member in parts.members]
    return parts.listing(members, {name: data})


@VECTORS.refused("member-sha512", "8", Code.FORMAT_DIGEST, "an image with a layer that SHA-512 names")
def _() -> Parts:
    plain = Plain()
    image = plain.image("hello")
    layer = f"sha512:{hashlib.sha512(b'layer').hexdigest()}"
    raw = json.loads(image.raw)
    raw["layers"].append({"mediaType": PLAIN_LAYER, "digest": layer, "size": 5})
    return _resealed(plain, image, strictjson.dumps(raw))


@VECTORS.refused("member-order", "8", Code.FORMAT_SEAL, "the layer comes before the config, in the seal and in the tar")
def _() -> Parts:
    parts = base()
    return parts.listing([*parts.members[:4], parts.members[-1], *parts.members[4:-1]])


@VECTORS.refused("member-first-order", "8", Code.FORMAT_SEAL, "index.json comes before oci-layout, in the seal and in the tar")
def _() -> Parts:
    parts = base()
    return parts.listing([parts.members[1], parts.members[0], *parts.members[2:]])


@VECTORS.refused("left-out-ordinary", "8", Code.CONTENT_MISSING, "an ordinary layer is said to be left out", exit=4)
def _() -> Parts:
    parts = base()
    layer = parts.members[-1]
    return parts.listing(parts.members[:-1]).saying(left_out=[{"digest": str(layer.digest), "mediaType": PLAIN_LAYER, "size": layer.size}])


@VECTORS.refused("left-out-more", "8", Code.FORMAT_SEAL, "a layer is said to be left out that no image has")
def _() -> Parts:
    media_type = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    return base().saying(left_out=[{"digest": str(Digest.of(b"other")), "mediaType": media_type, "size": 5}])


@VECTORS.refused("left-out-unsaid", "8", Code.CONTENT_MISSING, "a foreign layer is not there, and not said to be left out", exit=4)
def _() -> Parts:
    plain = Plain()
    foreign = plain.blob(b"vendor", "application/vnd.oci.image.layer.nondistributable.v1.tar")
    parts = plain.parts({APP: plain.signed(plain.image("hello", more=[foreign]))})
    return parts.listing(member for member in parts.members if member.digest != foreign.digest)


# --- documents, correctly sealed ---


def _resealed(plain: Plain, image: Document, raw: bytes) -> Parts:
    """A bundle of a good image, in which the manifest is ``raw`` wherever it is named; the rest is as honest as can be."""
    parts = plain.parts({APP: plain.signed(image)}).naming(raw, for_=image.digest)
    return parts.editing("images", lambda images: images[0].update(size=len(raw)))


@VECTORS.refused("document-two-kinds", "8", Code.FORMAT_MANIFEST, "a document that is an image and an index")
def _() -> Parts:
    plain = Plain()
    image = plain.image("hello")
    return _resealed(plain, image, strictjson.dumps(json.loads(image.raw) | {"manifests": []}))


@VECTORS.refused("document-name-twice", "8", Code.FORMAT_JSON, "a manifest with two lists of layers")
def _() -> Parts:
    plain = Plain()
    image = plain.image("hello")
    return _resealed(plain, image, image.raw[:-1] + b',"layers":[]}')


@VECTORS.refused("document-schema1", "8", Code.FORMAT_SCHEMA1, "a manifest of Docker's schema 1")
def _() -> Parts:
    plain = Plain()
    image = plain.image("hello")
    return _resealed(plain, image, strictjson.dumps({"schemaVersion": 1, "name": "app", "fsLayers": [], "history": [], "signatures": []}))


@VECTORS.refused("document-layer-size", "8", Code.CONTENT_SIZE, "a manifest says that its layer is a byte longer", exit=4)
def _() -> Parts:
    plain = Plain()
    image = plain.image("hello")
    raw = json.loads(image.raw)
    raw["layers"][0]["size"] += 1
    return _resealed(plain, image, strictjson.dumps(raw))


@VECTORS.refused("document-layer-digest", "8", Code.FORMAT_DIGEST, "a manifest whose layer has a path for a digest")
def _() -> Parts:
    plain = Plain()
    image = plain.image("hello")
    raw = json.loads(image.raw)
    raw["layers"][0]["digest"] = "sha256:../../../etc/passwd"
    return _resealed(plain, image, strictjson.dumps(raw))


@VECTORS.refused("document-large", "12", Code.LIMIT_DOCUMENT, "a manifest of 5 MiB")
def _() -> Parts:
    plain = Plain()
    image = plain.image("hello")
    return _resealed(plain, image, strictjson.dumps(json.loads(image.raw) | {"annotations": {"x": "y" * (5 << 20)}}))


@VECTORS.refused("document-index-depth", "12", Code.LIMIT_DEPTH, "indexes within indexes, nine deep")
def _() -> Parts:
    return deep(lambda plain, inner: plain.index(children=[inner]), frames_deep=9)


@VECTORS.refused("document-evidence-depth", "12", Code.LIMIT_DEPTH, "signatures on signatures, nine deep")
def _() -> Parts:
    plain = Plain()
    image = signed = plain.signed(plain.image("hello"))
    for _ in range(8):
        signed = plain.tags[f"{signed.digest.tag}.sig"]
        plain.signed(signed)
    return _composed_deeper(plain, image)


def deep(wrap: Callable[[Plain, Document], Document], *, frames_deep: int) -> Parts:
    plain = Plain()
    root = plain.image("hello")
    for _ in range(frames_deep):
        root = wrap(plain, root)
    return _composed_deeper(plain, plain.signed(root))


def _composed_deeper(plain: Plain, root: Document) -> Parts:
    """The same as :meth:`Plain.parts`, for what this version of the format refuses to compose."""
    limit = graph.MAX_DEPTH
    graph.MAX_DEPTH = limit + 1
    try:
        return plain.parts({APP: root}, platforms=())
    finally:
        graph.MAX_DEPTH = limit


# --- section 9: derived documents ---


@VECTORS.refused("derived-oci-layout", "9", Code.FORMAT_DERIVED, "oci-layout is of version 2.0.0, and sealed")
def _() -> Parts:
    return base().holding("oci-layout", b'{"imageLayoutVersion":"2.0.0"}')


@VECTORS.refused("derived-index-spaces", "9", Code.FORMAT_DERIVED, "index.json says the same with a space more, and is sealed")
def _() -> Parts:
    parts = base()
    return parts.holding("index.json", parts.files["index.json"].replace(b",", b", ", 1))


@VECTORS.refused("derived-index-other-image", "9", Code.FORMAT_DERIVED, "index.json names another image than the seal, and is sealed")
def _() -> Parts:
    plain = Plain()
    image, other = plain.signed(plain.image("hello")), plain.image("other")
    parts = plain.parts({APP: image, f"{REPOSITORY}:other": plain.signed(other)})
    swapped = parts.files["index.json"].replace(b":v1", b":v0").replace(b":other", b":v1").replace(b":v0", b":other")
    return parts.holding("index.json", swapped)


@VECTORS.refused("derived-index-hidden-signature", "9", Code.FORMAT_DERIVED, "index.json does not list the signature, and is sealed")
def _() -> Parts:
    parts = base()
    value = json.loads(parts.files["index.json"])
    return parts.holding("index.json", strictjson.dumps(value | {"manifests": value["manifests"][:1]}))


@VECTORS.refused("derived-docker-other-image", "9", Code.FORMAT_DERIVED, "manifest.json names an image without a signature, and is sealed")
def _() -> Parts:
    parts = base()
    value = json.loads(parts.files["manifest.json"])
    value[0]["Config"] = path_of(parts, Kind.CONFIG, 1)
    return parts.holding("manifest.json", strictjson.dumps(value))


@VECTORS.refused("derived-docker-empty", "9", Code.FORMAT_DERIVED, "manifest.json lists nothing, and is sealed")
def _() -> Parts:
    return base().holding("manifest.json", b"[]")


@VECTORS.refused(
    "derived-name-of-two",
    "9",
    Code.FORMAT_SEAL,
    "one tag is said to have led to two signatures",
)
def _() -> Parts:
    plain = Plain()
    image = plain.signed(plain.image("hello"))
    other = plain.signed(plain.image("other"))
    parts = plain.parts({APP: image, f"{REPOSITORY}:other": other})
    second = {"digest": str(plain.tags[f"{other.digest.tag}.sig"].digest), "form": "sig"}
    return parts.editing("lookups", lambda lookups: lookups[0]["found"].append(second))
