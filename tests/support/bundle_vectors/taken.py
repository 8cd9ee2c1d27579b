"""What every reader must take."""

from dataclasses import replace
from typing import Any

from bundler import strictjson
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support.bundle_vectors.vector import Vectors
from tests.support.layouts import PLAIN_LAYER
from tests.support.making import APP, EPOCH, REPOSITORY, Parts, Plain, base

VECTORS = Vectors()


@VECTORS.valid("minimal", "1", "one image of one layer, with one cosign signature")
def _() -> Parts:
    plain = Plain()
    return plain.parts({APP: plain.signed(plain.image("hello"))})


@VECTORS.valid("sealing-key", "8", "the key that sealed it travels along")
def _() -> Parts:
    return base()


@VECTORS.valid("index", "8", "an index of two platforms; it and each platform are signed")
def _() -> Parts:
    plain = Plain()
    root = plain.signed(plain.index("hello"))
    for child in root.children:
        plain.signed(plain.documents[child.digest])
    return plain.parts({APP: root})


@VECTORS.valid("platform-left-out", "7", "an index of which one platform is carried")
def _() -> Parts:
    plain = Plain()
    root = plain.signed(plain.index("hello"))
    return plain.parts({APP: root}, left_out=[root.children[1].digest])


def with_evidence_left_out() -> Parts:
    plain = Plain()
    root = plain.signed(plain.image("hello"))
    referrer = plain.artifact(b'{"spdxVersion":"SPDX-2.3"}', "application/spdx+json", subject=root)
    return plain.parts({APP: root}, left_out=[referrer.digest])


@VECTORS.valid("evidence-left-out", "7", "a referrer that was found and could not be read is left out")
def _() -> Parts:
    return with_evidence_left_out()


def with_other_content(other: bytes = b"<x/>\n") -> Parts:
    plain = Plain()
    image = plain.image("hello").descriptor.to_json() | {"platform": {"architecture": "amd64", "os": "linux"}}
    others = [plain.blob(other, "application/xml").to_json(), plain.blob(b"layer", PLAIN_LAYER).to_json()]
    odd = plain.image("odd").descriptor.to_json() | {"platform": {"architecture": "", "os": "linux"}}
    return plain.parts({APP: plain.signed(plain.document({"mediaType": mediatype.OCI_INDEX, "manifests": [image, *others, odd]}))})


@VECTORS.valid("index-other-content", "8", "an index that also lists content of other media types, and a manifest with half a platform")
def _() -> Parts:
    return with_other_content()


@VECTORS.valid("nested-index", "8", "an index over an index and a manifest")
def _() -> Parts:
    plain = Plain()
    inner, outer = plain.index("inner").descriptor, replace(plain.image("outer").descriptor, platform=Platform("linux", "amd64"))
    listed = [inner.to_json(), outer.to_json()]
    return plain.parts({APP: plain.signed(plain.document({"mediaType": mediatype.OCI_INDEX, "manifests": listed}))})


def attested(plain: Plain) -> tuple[Document, Descriptor]:
    """An index that holds BuildKit's attestation first, and the layer of that."""
    image = plain.image("hello")
    statement = plain.blob(b'{"_type":"https://in-toto.io/Statement/v0.1"}', "application/vnd.in-toto+json")
    attestation = plain.carrier(statement)
    names = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": str(image.digest)}
    beside = replace(attestation.descriptor, annotations=names, platform=Platform("unknown", "unknown"))
    listed = [beside.to_json(), image.descriptor.to_json() | {"platform": {"architecture": "amd64", "os": "linux"}}]
    return plain.signed(plain.document({"mediaType": mediatype.OCI_INDEX, "manifests": listed})), statement


@VECTORS.valid("buildkit", "9", "an index that holds BuildKit's attestation first, which manifest.json does not list")
def _() -> Parts:
    plain = Plain()
    return plain.parts({APP: attested(plain)[0]})


@VECTORS.valid("all-forms", "7", "evidence by all ways: .sig, .att and .sbom tags and a referrer, which has a signature itself")
def _() -> Parts:
    plain = Plain()
    image = plain.signed(plain.image("hello"))
    envelope = strictjson.dumps({"payload": "e30=", "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "AA=="}]})
    plain.att(image.digest, envelope)
    plain.sbom(image.digest, b'{"spdxVersion":"SPDX-2.3"}')
    plain.signed(plain.artifact(b'{"spdxVersion":"SPDX-2.3"}', "application/spdx+json", subject=image))
    return plain.parts({APP: image})


@VECTORS.valid("docker", "7", "an image of Docker's media types")
def _() -> Parts:
    plain = Plain()
    return plain.parts({APP: plain.signed(plain.image("hello", docker=True))})


@VECTORS.valid("chart", "9", "an artifact that is not an image: manifest.json lists nothing")
def _() -> Parts:
    plain = Plain()
    metadata = plain.blob(b'{"name":"chart","version":"1.0.0"}', "application/vnd.cncf.helm.config.v1+json")
    chart = plain.manifest(metadata, (plain.blob(b"chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip"),))
    return plain.parts({f"{REPOSITORY}:chart": plain.signed(chart)}, platforms=())


@VECTORS.valid("by-digest", "7", "an image that is carried by digest, without a tag")
def _() -> Parts:
    plain = Plain()
    image = plain.signed(plain.image("hello"))
    return plain.parts({f"{REPOSITORY}@{image.digest}": image})


@VECTORS.valid("two-repositories", "8", "one image in two repositories and under two tags, and another that shares its layer")
def _() -> Parts:
    plain = Plain()
    image = plain.signed(plain.signed(plain.image("hello")), repository="registry.example/copy")
    layer = image.blobs[1]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [str(layer.digest)]}}
    other = plain.manifest(plain.blob(strictjson.dumps(config), mediatype.OCI_CONFIG), (layer,))
    plain.signed(other, repository="registry.example/copy")
    names = {APP: image, f"{REPOSITORY}:latest": image, "registry.example/copy:v1": image, "registry.example/copy:other": other}
    return plain.parts(names)


@VECTORS.valid("foreign-layer", "7", "a foreign layer that its source does not serve is left out, and the image is not in manifest.json")
def _() -> Parts:
    plain = Plain()
    foreign = Descriptor(
        "application/vnd.oci.image.layer.nondistributable.v1.tar", Digest.of(b"vendor"), 6, urls=("https://vendor.example/l",)
    )
    return plain.parts({APP: plain.signed(plain.image("hello", more=[foreign]))}, absent=[foreign])


def delta() -> Parts:
    """A bundle of an image of three layers, of which it carries the last one."""
    plain = Plain()
    more = [plain.blob(data, PLAIN_LAYER) for data in (b"as before", b"changed")]
    image = plain.signed(plain.image("hello", more=more))
    return plain.parts({APP: image}, elsewhere=image.blobs[1:3])


@VECTORS.valid("delta", "8", "of three layers two lie elsewhere; the image is not in manifest.json")
def _() -> Parts:
    return delta()


@VECTORS.valid("delta-of-nothing-new", "8", "every layer lies elsewhere; manifests, configs and evidence travel")
def _() -> Parts:
    plain = Plain()
    root = plain.signed(plain.index("hello"))
    layers = [blob for child in root.children for blob in plain.documents[child.digest].blobs[1:]]
    return plain.parts({APP: root}, elsewhere=layers).saying(base=sorted(str(Digest.of(data)) for data in (b"one", b"two")))


@VECTORS.valid("empty-blob", "8", "a layer of no bytes")
def _() -> Parts:
    plain = Plain()
    return plain.parts({APP: plain.signed(plain.image("hello", more=[plain.blob(b"", PLAIN_LAYER)]))})


@VECTORS.valid("one-blob-two-roles", "8", "one blob is the config of an image and the layer of an artifact before it: it is a config")
def _() -> Parts:
    plain = Plain()
    image = plain.signed(plain.image("hello"))
    first = plain.signed(plain.manifest(plain.blob(b"{}", mediatype.EMPTY), (image.blobs[0],)))
    return plain.parts({f"{REPOSITORY}:config": first, APP: image})


@VECTORS.valid(
    "large-members", "3", "a layer of 5 MiB in three frames, one that with its header just fits a group, and one that just does not"
)
def _() -> Parts:
    plain = Plain()
    sizes = (5 << 20, (1 << 20) - 512, (1 << 20) - 511)
    return plain.parts({APP: plain.signed(plain.image("hello", more=[plain.blob(bytes(size), PLAIN_LAYER) for size in sizes]))})


@VECTORS.valid("large-evidence", "8", "an attestation above 16 MiB lies with the layers; it counts for nothing")
def _() -> Parts:
    plain = Plain()
    image = plain.signed(plain.image("hello"))
    plain.att(image.digest, bytes((16 << 20) + 1))
    return plain.parts({APP: image})


@VECTORS.valid("two-sealers", "6", "a stream that asks for two keys, P-256 and P-384, has both signatures")
def _() -> Parts:
    return replace(base().saying(stream="dual"), keys=("sealer", "second"))


@VECTORS.valid("rsa-sealer", "6", "a seal by an RSA key of 3072 bits")
def _() -> Parts:
    return replace(base().saying(stream="rsa"), keys=("rsa",))


@VECTORS.valid("stranger-too", "6", "a further signature, by a key that nobody trusts, does no harm")
def _() -> Parts:
    return replace(base(), keys=("stranger", "sealer"))


@VECTORS.valid("dated", "5", "every header has the time at which the bundle was made")
def _() -> Parts:
    return replace(base(), mtime=EPOCH)


@VECTORS.valid("all-fields", "7", "every field of the predicate that may be null is not, but for those that this version refuses")
def _() -> Parts:
    told = {"previous": str(Digest.of(b"before")), "expires": "2999-12-31T23:59:59Z", "checked_with": str(Digest.of(b"trust"))}
    return base().saying(sequence=2**53 - 1, **told)


@VECTORS.valid("not-asked", "7", "lookups in a source where questions have no meaning")
def _() -> Parts:
    def edit(lookups: list[Any]) -> None:
        for lookup in lookups:
            lookup["asked"] |= {"referrers": "no-api", "fallback": "foreign", "att": "not-asked"}

    return base().editing("lookups", edit)


@VECTORS.valid("hidden", "7", "lookups in a registry that does not say whether a tag is there")
def _() -> Parts:
    return base().editing("lookups", lambda lookups: lookups[0]["asked"].update(att="hidden", sbom="hidden", fallback="hidden"))
