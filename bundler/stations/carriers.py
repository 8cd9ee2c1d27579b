"""The manifests that carry what is said about an image: cosign's lists, which its tags name, and Sigstore bundles that refer to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bundler import strictjson
from bundler.content.store import Sink
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.stations.merging import signature_config


@dataclass(frozen=True, slots=True)
class Layer:
    """What is said, as a layer of a list."""

    data: bytes
    media_type: str
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Carrier:
    """A manifest, and the bytes of what it names."""

    document: Document
    blobs: Mapping[Descriptor, bytes]

    def put_blobs(self, sink: Sink) -> None:
        """Those that are not there. Raises TransportError."""
        for blob, data in self.blobs.items():
            if not sink.has(blob):
                sink.put(blob, lambda data=data: iter((data,)))  # type: ignore[misc]  # bound now, for the name goes on


def listed(layers: Sequence[Layer]) -> Carrier:
    """A list as cosign tags it, ``.sig`` or ``.att``."""
    blobs = [(Descriptor.of(layer.data, layer.media_type), layer) for layer in layers]
    config = strictjson.dumps(signature_config([str(blob.digest) for blob, _ in blobs]))
    described = Descriptor.of(config, mediatype.OCI_CONFIG)
    manifest = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": described.to_json(),
        "layers": [blob.to_json() | {"annotations": dict(layer.annotations)} for blob, layer in blobs],
    }
    return _carrier(manifest, {**{blob: layer.data for blob, layer in blobs}, described: config})


def bundled(bundle: bytes, subject: Document, *, predicate_type: str) -> Carrier:
    """A Sigstore bundle that refers to ``subject``, as cosign 3 puts one."""
    layer, empty = Descriptor.of(bundle, mediatype.SIGSTORE_BUNDLE_V03), Descriptor.of(b"{}", mediatype.EMPTY)
    manifest = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "artifactType": mediatype.SIGSTORE_BUNDLE_V03,
        "config": empty.to_json(),
        "layers": [layer.to_json()],
        "subject": subject.descriptor.to_json(),
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": predicate_type,
        },
    }
    return _carrier(manifest, {layer: bundle, empty: b"{}"})


def bundles_about(subject: Digest, sink: Sink) -> Iterator[Descriptor]:
    """The Sigstore bundles that refer to it, by the API or by the fallback list, whatever is in them. Raises TransportError."""
    listed = sink.referrers(subject).listed
    fallback = sink.document(subject.tag)
    found = {each.digest: each for each in (*listed, *(fallback.children if fallback else ()))}
    return (each for each in found.values() if _is_bundle(each, sink))


def _is_bundle(referrer: Descriptor, sink: Sink) -> bool:
    """By its artifact type; some registries and lists do not say it, and then its manifest does."""
    kind = referrer.artifact_type
    if kind is None:
        there = sink.document(referrer.digest)
        kind = there.content.kind if there else None
    return (kind or "").startswith(mediatype.SIGSTORE_BUNDLE)


def _carrier(manifest: Mapping[str, Any], blobs: Mapping[Descriptor, bytes]) -> Carrier:
    return Carrier(Document.parse(strictjson.dumps(manifest)), blobs)
