"""Signing images where they lie, in the two forms that cosign reads: its ``.sig`` tag and the Sigstore bundle."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bundler.content.store import Sink
from bundler.errors import UsageError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from bundler.stations.places import Located
from bundler.stations.placing import list_referrers, tagged
from bundler.stations.signer import KeySigner
from bundler.stations.survey import below
from bundler.trust import simplesigning
from bundler.trust.evidence import Form
from bundler.trust.sigstore.bundle import SIGN_PREDICATE, build_signature_bundle

FORMS = ("sig", "bundle")
SIGNATURE = "dev.cosignproject.cosign/signature"  # cosign SIGNATURE_SPEC.md, "Properties"


@dataclass(frozen=True, slots=True)
class Signed:
    """One manifest that was signed, and the manifests that now say so."""

    reference: Reference
    digest: Digest
    pushed: tuple[Digest, ...]

    def to_json(self) -> dict[str, Any]:
        return {"reference": str(self.reference), "digest": str(self.digest), "pushed": [str(digest) for digest in self.pushed]}


def sign(
    image: Located,
    *,
    signer: KeySigner,
    forms: Sequence[str],
    annotations: Mapping[str, str],
    recursive: bool,
) -> tuple[Signed, ...]:
    """Sign an image, and with ``recursive`` every manifest below it. Signatures that are there stay; the same again adds none.

    Raises UsageError where nothing can be written.
    """
    reference, sink = image.reference, image.sink
    if sink is None:
        raise UsageError(f"{reference} lies where nothing can be written", wanted="a registry or oci:DIR")
    return tuple(
        Signed(
            reference=reference,
            digest=document.digest,
            pushed=tuple(_FORMS[form](reference, document, sink, signer, annotations) for form in forms),
        )
        for document in (below(sink, image.root) if recursive else (image.root,))
    )


def _sign_simple(reference: Reference, document: Document, sink: Sink, signer: KeySigner, annotations: Mapping[str, str]) -> Digest:
    payload = simplesigning.payload(repository=reference.repository, digest=document.digest, annotations=annotations)
    signature = base64.b64encode(signer.sign(payload)).decode()
    layer = Descriptor.of(payload, mediatype.SIMPLE_SIGNING)
    config = json.dumps(_config(layer.digest), separators=(",", ":")).encode()
    put = {layer: payload, Descriptor.of(config, mediatype.OCI_CONFIG): config}
    manifest = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": Descriptor.of(config, mediatype.OCI_CONFIG).to_json(),
        "layers": [layer.to_json() | {"annotations": {SIGNATURE: signature}}],
    }
    ours = _put(manifest, put, sink)
    return tagged(ours, document.digest, Form.SIG, sink).digest


def _sign_bundle(reference: Reference, document: Document, sink: Sink, signer: KeySigner, annotations: Mapping[str, str]) -> Digest:
    bundle = build_signature_bundle(document, signer, annotations=annotations)
    layer, empty = Descriptor.of(bundle, mediatype.SIGSTORE_BUNDLE_V03), Descriptor.of(b"{}", mediatype.EMPTY)
    manifest = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "artifactType": mediatype.SIGSTORE_BUNDLE_V03,
        "config": empty.to_json(),
        "layers": [layer.to_json()],
        "subject": document.descriptor.to_json(),
        "annotations": {
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": SIGN_PREDICATE,
        },
    }
    ours = _put(manifest, {layer: bundle, empty: b"{}"}, sink)
    sink.put_document(ours)
    list_referrers(sink, document.digest, [ours])
    return ours.digest


_FORMS = {"sig": _sign_simple, "bundle": _sign_bundle}


def _put(manifest: Mapping[str, Any], blobs: Mapping[Descriptor, bytes], sink: Sink) -> Document:
    for blob, data in blobs.items():
        if not sink.has(blob):
            sink.put(blob, lambda data=data: iter((data,)))  # type: ignore[misc]  # bound now, for the name goes on
    return Document.parse(json.dumps(manifest, separators=(",", ":")).encode())


def _config(diff_id: Digest) -> dict[str, Any]:
    """What cosign gives a signature as its config, so that registries take it for an image."""
    return {
        "architecture": "",
        "config": {},
        "created": "0001-01-01T00:00:00Z",
        "history": [{"created": "0001-01-01T00:00:00Z"}],
        "os": "",
        "rootfs": {"diff_ids": [str(diff_id)], "type": "layers"},
    }
