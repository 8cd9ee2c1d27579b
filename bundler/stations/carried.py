"""An image between places: its documents, where its evidence belongs, and the type that only a passed verdict opens."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache

from bundler.content.stream import gathered, verified
from bundler.errors import Code, TrustError
from bundler.oci import graph
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form, LeftOut, Lookup
from bundler.oci.manifest import Document, Manifest
from bundler.oci.reference import Reference
from bundler.trust.evidence import MAX_EVIDENCE, Evidence, Image
from bundler.trust.formats import says_signed
from bundler.trust.proven import attestations, borrows, is_proven, named_layers
from bundler.trust.verdict import Verdict

Chunks = Callable[[Descriptor], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Carried:
    """An image under the name that it is carried by, with all its documents, from a source or from a bundle."""

    reference: Reference
    root: Digest
    documents: Mapping[Digest, Document]
    """The image's own, depth first, then evidence in the order found, each with what is below it."""
    own: tuple[Digest, ...]
    """The image's own documents: the root and what is carried below it."""
    lookups: tuple[Lookup, ...]
    platforms: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    """Children of its indexes that are not carried."""
    absent: frozenset[Digest] = frozenset()
    """Blobs that are not carried: foreign layers, and what is left out of its indexes."""

    @property
    def evidence(self) -> tuple[Document, ...]:
        """The manifests found about the image, its parts, or one another."""
        own = set(self.own)
        return tuple(document for digest, document in self.documents.items() if digest not in own)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Every carried blob, once, in the order of the documents."""
        return tuple({b.digest: b for d in self.documents.values() for b in d.carries if b.digest not in self.absent}.values())

    @property
    def is_signed(self) -> bool:
        """Whether anything signed is there: a ``.sig``, an ``.att``, a Sigstore bundle or a Notation envelope."""
        tagged = any(form in (Form.SIG, Form.ATT) for _, form, _ in self._found())
        return tagged or any(map(says_signed, self.evidence))

    def image(self, chunks: Chunks) -> Image:
        """What is judged. Of its own layers only those are read that stand in its index as BuildKit's attestations do."""

        def read(layer: Descriptor) -> bytes | None:
            return None if layer.digest in self.absent else gathered(layer, chunks(layer))

        @cache
        def named(config: Descriptor) -> frozenset[str] | None:
            return named_layers(gathered(config, chunks(config)))

        return Image(
            reference=self.reference,
            root=self.root,
            documents=dict(self.documents),
            attestations=attestations(self.documents, self.root, read),
            borrowing=frozenset(document.digest for _, _, document in self._found() if borrows(document, named)),
        )

    def evidences(self, chunks: Chunks) -> Iterator[Evidence]:
        """Every piece of evidence. Payloads are read one at a time and once each, in however many places they lie."""
        places: dict[Digest, list[tuple[Digest, Form, Document, Descriptor, int]]] = {}
        for subject, form, document in self._found():
            layers = document.content.layers if isinstance(document.content, Manifest) else ()
            if not layers:
                yield Evidence(subject, form, document, None, None, is_proven=False)
            for number, layer in enumerate(layers, start=1):
                place = number if len(layers) > 1 else 0
                places.setdefault(layer.digest, []).append((subject, form, document, layer, place))
        for where in places.values():
            payload, proven = self._read(where[0][3], chunks)
            for subject, form, document, layer, place in where:
                yield Evidence(subject, form, document, layer, payload, is_proven=proven, place=place)

    def _found(self) -> Iterator[tuple[Digest, Form, Document]]:
        """What was found for which manifest, and by which way first."""
        for lookup in self.lookups:
            once: dict[Digest, Form] = {}
            for found in lookup.found:
                if found.digest in self.documents:  # else it was left out
                    once.setdefault(found.digest, found.form)
            for digest, form in once.items():
                yield lookup.manifest, form, self.documents[digest]

    def _read(self, layer: Descriptor, chunks: Chunks) -> tuple[bytes | None, bool]:
        """The payload, if it may be judged, and whether it is proven to be evidence."""
        if layer.digest in self.absent:
            return None, False
        if layer.size > MAX_EVIDENCE:
            return None, is_proven(verified(layer, chunks(layer)))
        payload = gathered(layer, chunks(layer))
        return payload, is_proven((payload,))

    def entering(self, admitted: Set[Digest]) -> list[Document]:
        """The image's own documents, and the ``admitted`` evidence with what is below it."""
        return [*(self.documents[digest] for digest in self.own), *self.among(admitted)]

    def among(self, admitted: Set[Digest]) -> list[Document]:
        """The ``admitted`` evidence, each piece with what is below it; in the order found."""
        pieces = [document for document in self.evidence if document.digest in admitted]
        kept = graph.walk(pieces, graph.listed_in(self.documents))
        return [document for document in self.evidence if document.digest in kept]


def left_blobs(left_out: Iterable[LeftOut], documents: Iterable[Document]) -> frozenset[Digest]:
    """What is left out of indexes and needed by no manifest."""
    needed = {blob.digest for document in documents for blob in document.blobs}
    return frozenset(child.digest for child in left_out) - needed


@dataclass(frozen=True, slots=True)
class Admitted:
    """An image that may enter. There is none without a verdict that passed.

    What it is made of is not kept, since ten thousand may be admitted at once, but read again when it is wanted: by the digests
    that were judged, so that it is the same or nothing.
    """

    verdict: Verdict
    read: Callable[[], Carried]

    def __post_init__(self) -> None:
        if not self.verdict.passed:
            raise TrustError(f"{self.reference} was not admitted", code=Code.POLICY_THRESHOLD)

    @property
    def reference(self) -> Reference:
        return self.verdict.reference

    @property
    def root(self) -> Digest:
        return self.verdict.digest

    def carried(self) -> Carried:
        """The image, and all that was found about it. Raises IntegrityError, FormatError, TransportError."""
        carried = self.read()
        if (carried.reference, carried.root) != (self.reference, self.root):
            raise TrustError(f"{carried.reference} is not what was admitted", code=Code.POLICY_THRESHOLD, wanted=self.reference)
        return carried
