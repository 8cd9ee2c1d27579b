"""Signing images where they lie, in the two forms that cosign reads: its ``.sig`` tag and the Sigstore bundle.

A first bundle hides every ``.sig`` of its image: where there is one, cosign 3, Kyverno and others look at bundles alone, and
take any of them for a signature. So ours is never the first, unless somebody asks for it.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bundler.content.store import Sink
from bundler.errors import UsageError
from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from bundler.stations.carriers import Carrier, Layer, bundled, bundles_about, listed
from bundler.stations.merging import Joins, Tagged
from bundler.stations.places import Located
from bundler.stations.privatekeys import KeySigner
from bundler.stations.survey import below
from bundler.trust import simplesigning
from bundler.trust.sigstore.bundle import SIGN_PREDICATE, build_signature_bundle

AUTO, SIG, BUNDLE = "auto", "sig", "bundle"
FORMS = (SIG, BUNDLE)

_ALONE = "signed in .sig alone: no Sigstore bundle refers to the image, and a first one would hide each .sig from cosign 3 and others"
_BESIDE = "signed in .sig and in a Sigstore bundle: one refers to the image already, and where there is one, readers look at no .sig"


@dataclass(frozen=True, slots=True)
class Signed:
    """One manifest that was signed, and the manifests that now say so."""

    reference: Reference
    digest: Digest
    pushed: tuple[Digest, ...]
    remarks: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"reference": str(self.reference), "digest": str(self.digest), "pushed": [str(digest) for digest in self.pushed]}


def sign(
    image: Located,
    *,
    signer: KeySigner,
    forms: Sequence[str],
    annotations: Mapping[str, str],
    recursive: bool,
    joins: Joins,
) -> tuple[Signed, ...]:
    """Sign an image, and with ``recursive`` every manifest below it. Signatures that are there stay; the same again adds none.

    ``forms`` are some of :data:`FORMS`, or ``auto`` alone: ``.sig``, and a bundle too only on a manifest that has one.
    Whoever calls this sees at the end of the run that the names still hold them: :meth:`Joins.settle`.

    Raises UsageError where nothing can be written, and what the place raises.
    """
    if image.sink is None:
        raise UsageError(f"{image.reference} lies where nothing can be written", wanted="a registry or oci:DIR")
    signing = _Signing(image.reference, image.sink, signer, annotations, joins)
    documents = below(image.sink, image.root) if recursive else (image.root,)
    return tuple(signing.sign(document, forms) for document in documents)


@dataclass(frozen=True, slots=True)
class _Signing:
    """Who signs what is found where."""

    reference: Reference
    sink: Sink
    signer: KeySigner
    annotations: Mapping[str, str]
    joins: Joins

    def sign(self, document: Document, forms: Sequence[str]) -> Signed:
        why: tuple[str, ...] = ()
        if AUTO in forms:
            forms, why = (FORMS, (_BESIDE,)) if any(bundles_about(document.digest, self.sink)) else ((SIG,), (_ALONE,))
        put = [self._simple(document) if form == SIG else self._bundle(document) for form in forms]
        return Signed(
            reference=self.reference,
            digest=document.digest,
            pushed=tuple(each.names for each in put),
            remarks=(*why, *(remark for each in put for remark in each.remarks)),
        )

    def _simple(self, document: Document) -> Tagged:
        payload = simplesigning.payload(repository=self.reference.repository, digest=document.digest, annotations=self.annotations)
        signature = {simplesigning.SIGNATURE: base64.b64encode(self.signer.sign(payload)).decode()}
        ours = self._put(listed([Layer(payload, mediatype.SIMPLE_SIGNING, signature)]))
        named = self.joins.tag(ours, document.digest, Form.SIG, self.sink)
        if named.holds:
            return named
        self.sink.put_document(ours)
        return Tagged(ours.digest, named.remarks, holds=False)

    def _bundle(self, document: Document) -> Tagged:
        bundle = build_signature_bundle(document, self.signer, annotations=self.annotations)
        ours = self._put(bundled(bundle, document, predicate_type=SIGN_PREDICATE))
        if self.sink.document(ours.digest) is None:
            self.sink.put_document(ours)
        return Tagged(ours.digest, self.joins.list_referrers(self.sink, document.digest, [ours]))

    def _put(self, carrier: Carrier) -> Document:
        carrier.put_blobs(self.sink)
        return carrier.document
