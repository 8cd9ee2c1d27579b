"""Putting an admitted image where it shall be: parts before wholes, evidence before names.

Whatever is cut off leaves nothing half-visible: a manifest is put only when all that it names is there, a list of
referrers only when they are, and an image's own tag last of all, by :meth:`Placer.name`. An image's root is put once, under
that tag: what refers to it is there before, as distribution-spec allows ("Pushing Manifests with Subject").
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from bundler.content.store import SMALL, Over, Sink
from bundler.content.stream import Turns, side_by_side
from bundler.errors import Code, IncompleteError, TransportError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document
from bundler.stations.carried import Admitted, Carried
from bundler.stations.merging import Joins, Tagged
from bundler.trust.proven import is_about

Chunks = Callable[[Descriptor], Iterator[bytes]]
Report = Callable[[int], None]
T = TypeVar("T")

_REFUSALS = (400, 404, 405, 412, 422)  # registries do not agree on how to refuse a manifest without what it names


@dataclass(frozen=True, slots=True)
class Placement:
    """An image, and where it goes."""

    image: Admitted
    sink: Sink
    path: str
    """Of the repository that ``sink`` is."""
    named: bool = False
    """Whether the image's tag names it there already: what is below that was whole when the tag was put, and is not asked for."""


@dataclass(slots=True)
class PlacementResult:
    """What was done for one image, for the person who reads the end of the run."""

    sent: int = 0
    """Bytes of blobs that were sent."""
    blobs: int = 0
    there: int = 0
    """Blobs that the destination had or could mount, or that belong to what its tag names already."""
    remarks: list[str] = field(default_factory=list)
    seen: "tuple[set[Digest], frozenset[Digest]] | None" = None
    """Of an image that its tag names already: which of its documents, and of its evidence, were seen there."""


Tags = Mapping[Digest, list[tuple[Digest, Form]]]
"""For a piece of evidence, the manifests and forms by whose tags it is found."""


@dataclass(frozen=True, slots=True)
class Added:
    """The evidence of an image and its tags, with what is added to it here; and what is to be said about that."""

    evidence: tuple[Document, ...]
    tags: Tags
    remarks: tuple[str, ...] = ()


Add = Callable[[Placement, Carried, Sequence[Document], Tags], Added]
"""Adds to the evidence of an image. Whatever blobs that needs are there then."""


class Placer:
    """Places images into one destination; remembers which blobs lie in which of its repositories, to mount them."""

    def __init__(
        self,
        chunks: Chunks,
        *,
        joins: Joins,
        jobs: int,
        report: Report,
        prove: bool = False,
        dry: bool = False,
        add: Add | None = None,
        homes: Mapping[Digest, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        """``chunks`` gives the bytes of a blob, and ends only if they were all of it. With ``prove``, blobs that the destination has
        already are read from the medium all the same, to be verified. ``dry``: :meth:`send` asks, and sends nothing. ``add`` gives
        the evidence to :meth:`place`. ``homes`` are blobs that the medium does not hold, and the paths of the repositories that were
        seen to have each.
        """
        self._add = add
        self._joins = joins
        self._chunks = chunks
        self._jobs = jobs
        self._report = report
        self._prove = prove
        self._dry = dry
        self._jobs_each = jobs
        self._outside = homes
        self._homes: dict[Digest, str] = {digest: paths[0] for digest, paths in homes.items() if paths}
        self._turns = Turns()
        self._wants_subjects = False
        """Whether the registry refused evidence whose subject was not there yet."""

    def send(self, places: Sequence[Placement]) -> list[PlacementResult]:
        """The blobs of each image that was admitted, several at a time; what was done for each image. Nothing is named by it.

        Raises TransportError; IntegrityError and FormatError where the medium gives other bytes than the blob's.
        """
        self._jobs_each = max(1, self._jobs // max(1, len(places)))
        done = [PlacementResult() for _ in places]
        with (
            closing(side_by_side(lambda one: (one[0], self._whole(one[1], done[one[0]])), enumerate(places), jobs=self._jobs)) as wholes,
            closing(side_by_side(self._blob, _parts(wholes), jobs=self._jobs, in_order=False)) as blobs,
        ):
            for part, sent in blobs:
                done[part.number].sent += part.blob.size if sent else 0
                done[part.number].blobs += sent
                done[part.number].there += not sent
        return done

    def place(self, places: Sequence[Placement], sent: Sequence[PlacementResult]) -> Generator[PlacementResult, None, None]:
        """What the blobs, which were ``sent``, belong to: documents and evidence, but not the images' own tags, several at a time.

        Gives what was done for each image, in their order. Raises TransportError (``registry.sparse-index`` where the registry
        refuses an index of which children were left out), IntegrityError if the medium now gives other bytes than were verified.
        """
        pairs = zip(places, sent, strict=True)
        with closing(side_by_side(lambda pair: self._documents(self._whole(*pair)), pairs, jobs=self._jobs)) as done:
            yield from done

    def name(self, place: Placement, *, over: Over | None = None) -> None:
        """Put the image's own tag on it, the last thing of all. What has no tag is reached by its digest.

        Raises ConflictError as ``over`` has it (:meth:`Sink.put_document`), and as :meth:`place`.
        """
        image = place.image
        if image.reference.tag is not None:
            carried = image.carried()
            self._put(carried.documents[image.root], carried, place.sink, tag=image.reference.tag, over=over)

    def _blob(self, part: "_Part") -> "tuple[_Part, bool]":
        """The part, and whether it was sent; False where it was there already. Whoever needs the same blob waits, and mounts it."""
        blob, place = part.blob, part.place
        with self._turns.of(blob.digest):
            home = self._homes.get(blob.digest)
            outside = self._outside.get(blob.digest)
            there = home == place.path or (outside is not None and place.path in outside)
            there = there or ((blob.size > SMALL or outside is not None) and self._is_had(blob, place, home))
            if not there and not self._dry:
                self._send(blob, place.sink)
            elif there and not self._dry:
                self._pass(blob, read=self._prove and home is None)
            self._homes.setdefault(blob.digest, place.path)
        return part, not there

    def _pass(self, blob: Descriptor, *, read: bool) -> None:
        """Count a blob that is there, and ``read`` it where that alone proves it."""
        if not read:
            self._report(blob.size)
            return
        for _ in self._counted(blob):
            pass

    def _is_had(self, blob: Descriptor, place: Placement, home: str | None) -> bool:
        """Whether it need not be sent: it is there, or can be mounted, which is tried where something may change."""
        return place.sink.has(blob) or (home is not None and (self._dry or place.sink.mount(blob, home)))

    def _whole(self, place: Placement, placed: PlacementResult) -> "_Whole":
        """The image as it is carried, without what is there already where its tag names it."""
        whole = _Whole.of(place, placed)
        if not place.named:
            return whole
        if placed.seen is None:
            answers = list(side_by_side(whole.has_evidence, whole.evidence, jobs=self._jobs_each))
            there = frozenset(document.digest for document, there in zip(whole.evidence, answers, strict=True) if there)
            placed.seen = self._below_tag(whole), there
            left = whole.without(*placed.seen)
            placed.there += len({blob.digest for blob in whole.blobs} - {blob.digest for blob in left.blobs})
        return whole.without(*placed.seen)

    def _below_tag(self, whole: "_Whole") -> set[Digest]:
        """Which of the image's documents are there: its root, which was seen, and of an index those that answer, for one of
        the same digest may have come without all its platforms."""
        documents, sink = whole.carried.documents, whole.place.sink
        found = {whole.carried.root}
        level = [documents[whole.carried.root]]
        while level:
            below = {c.digest: None for document in level for c in document.children if c.digest in documents and c.digest not in found}
            seen = side_by_side(lambda digest: sink.document(digest) is not None, below, jobs=self._jobs_each)
            level = [documents[digest] for digest, there in zip(below, seen, strict=True) if there]
            found |= {document.digest for document in level}
        return found

    def _documents(self, whole: "_Whole") -> PlacementResult:
        """An image's documents, then its evidence, and not yet the root where a tag will be put on it."""
        carried, sink = whole.carried, whole.place.sink
        waits = carried.reference.tag is not None and not whole.place.named and not self._wants_subjects and not _is_sparse(carried)
        own = [document for document in whole.own if not (waits and document.digest == carried.root)]
        for wave in waves(own):
            for _ in side_by_side(lambda document: self._put(document, carried, sink), wave, jobs=self._jobs_each):
                pass
        whole = self._with_added(replace(whole, root_waits=waits))
        whole.placed.remarks += self._evidence(whole)
        return whole.placed

    def _with_added(self, whole: "_Whole") -> "_Whole":
        if self._add is None:
            return whole
        with self._alone(whole.carried.root, whole.place):
            added = self._add(whole.place, whole.carried, whole.evidence, whole.tags)
        whole.placed.remarks += added.remarks
        return replace(whole, evidence=list(added.evidence), tags=added.tags)

    def _send(self, blob: Descriptor, sink: Sink) -> None:
        sink.put(blob, lambda: self._counted(blob))

    def _counted(self, blob: Descriptor) -> Iterator[bytes]:
        for chunk in self._chunks(blob):
            self._report(len(chunk))
            yield chunk

    def _put(self, document: Document, carried: Carried, sink: Sink, *, tag: str | None = None, over: Over | None = None) -> None:
        """Put a document, and once more with what the registry has lost of it (registries collect garbage)."""
        sparse = _lacks(document, carried)
        try:
            sink.put_document(document, tag=tag, over=over)
        except IncompleteError as error:
            if sparse:
                raise _sparse(document, error) from error
        except TransportError as error:
            if sparse and error.status in _REFUSALS:
                raise _sparse(document, error) from error
            raise
        else:
            return
        self._send_again(document, carried, sink)
        try:
            sink.put_document(document, tag=tag, over=over)
        except IncompleteError as error:
            raise TransportError(
                f"the registry refuses {document.digest} although everything that it names was sent",
                code=Code.REGISTRY_STATUS,
                found=error.found,
                next="look at the registry's own log and storage, then run the same command again",
            ) from error

    def _send_again(self, document: Document, carried: Carried, sink: Sink) -> None:
        """What is below the document and not there; all of its blobs where the registry says that it has them, for it has not."""
        for child in document.children:
            if sink.document(child.digest) is None:
                self._put(carried.documents[child.digest], carried, sink)
        blobs = [blob for blob in document.carries if blob.digest not in carried.absent]
        for blob in [blob for blob in blobs if not sink.has(blob)] or blobs:
            self._send(blob, sink)

    def _evidence(self, whole: "_Whole") -> Iterator[str]:
        """Put it, so that it is found by its tag or by its subject; gives what is to be said about that."""
        sink = whole.place.sink
        for wave in waves(document for document in whole.evidence if document.digest not in whole.there):
            for tags in side_by_side(lambda document: self._piece(document, whole), wave, jobs=self._jobs_each):
                for tag in tags:
                    yield from tag.remarks
        referring: dict[Digest, list[Document]] = {}
        for document in parts_first(whole.evidence):
            if document.subject is not None:
                referring.setdefault(document.subject.digest, []).append(document)

        def listed(subject: Digest) -> tuple[str, ...]:
            with self._alone(subject, whole.place):
                return self._joins.list_referrers(sink, subject, referring[subject])

        for remarks in side_by_side(listed, referring, jobs=self._jobs_each):
            yield from remarks

    def _piece(self, document: Document, whole: "_Whole") -> list[Tagged]:
        """Put one piece of evidence, by its tags or its digest."""
        named = [self._tag(document, subject, form, whole) for subject, form in whole.tags.get(document.digest, ())]
        if document.digest not in {tag.names for tag in named}:
            self._with_subject(lambda: self._put(document, whole.carried, whole.place.sink), document, whole)
        return named

    def _tag(self, document: Document, subject: Digest, form: Form, whole: "_Whole") -> Tagged:
        """Put cosign's tag, and with it the document; first the document alone where the registry has lost of it what it said to have."""
        sink = whole.place.sink
        with self._alone(subject, whole.place):
            try:
                return self._with_subject(lambda: self._joins.tag(document, subject, form, sink), document, whole)
            except IncompleteError:
                self._put(document, whole.carried, sink)
                return self._joins.tag(document, subject, form, sink)

    def _with_subject(self, put: Callable[[], T], document: Document, whole: "_Whole") -> T:
        """What ``put`` gives; done again after the image's root, where that is what the registry minds, though it should not."""
        try:
            return put()
        except TransportError as error:
            waits = whole.root_waits and document.subject is not None and document.subject.digest == whole.carried.root
            if not waits or error.status not in _REFUSALS:
                raise
            self._wants_subjects = True
        self._put(whole.carried.documents[whole.carried.root], whole.carried, whole.place.sink)
        return put()

    def _alone(self, subject: Digest, place: Placement) -> AbstractContextManager[object]:
        """While the names of evidence about ``subject`` are written, an image that shares it must not come between."""
        return self._turns.of((subject, place.path))


@dataclass(frozen=True, slots=True)
class _Whole:
    """An image that is being placed."""

    place: Placement
    carried: Carried
    own: list[Document]
    """Its documents that are not there."""
    evidence: list[Document]
    placed: PlacementResult
    tags: Tags
    there: frozenset[Digest] = frozenset()
    """The evidence that is there, under all of its tags."""
    root_waits: bool = False
    """Whether the image's root is put last, with its tag."""

    @classmethod
    def of(cls, place: Placement, placed: PlacementResult) -> "_Whole":
        carried = place.image.carried()
        own = [carried.documents[digest] for digest in carried.own]
        evidence = carried.among(place.image.verdict.admitted)
        return cls(place, carried, own, evidence, placed, _tags(carried, evidence))

    def without(self, own: AbstractSet[Digest], evidence: frozenset[Digest]) -> "_Whole":
        """What is left of it where these documents and this evidence are there."""
        return replace(self, own=[document for document in self.own if document.digest not in own], there=evidence)

    @property
    def blobs(self) -> Iterable[Descriptor]:
        """What is still needed, each once, in the order of the documents."""
        documents = (*self.own, *(document for document in self.evidence if document.digest not in self.there))
        return {b.digest: b for d in documents for b in d.carries if b.digest not in self.carried.absent}.values()

    def has_evidence(self, document: Document) -> bool:
        """Whether a piece of evidence is there: each of its tags names it, or where it has none, its digest does."""
        names: list[str | Digest] = [f"{subject.tag}.{form}" for subject, form in self.tags.get(document.digest, ())]
        found = (self.place.sink.document(name) for name in names or [document.digest])
        return all(at is not None and at.digest == document.digest for at in found)


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the blobs of an image, and which of the images that is."""

    number: int
    place: Placement
    blob: Descriptor


def _parts(wholes: Iterable[tuple[int, _Whole]]) -> Iterator[_Part]:
    """What several images need comes once, and at the end again for the others: so nobody waits while another one sends it."""
    begun: set[Digest] = set()
    again: list[_Part] = []
    for number, whole in wholes:
        for blob in whole.blobs:
            part = _Part(number, whole.place, blob)
            if blob.digest in begun:
                again.append(part)
                continue
            if blob.size > SMALL:
                begun.add(blob.digest)
            yield part
    yield from again


def _tags(carried: Carried, evidence: Sequence[Document]) -> dict[Digest, list[tuple[Digest, Form]]]:
    """By which tags each piece of evidence was found; not by one of a manifest that it does not belong to."""
    admitted = {document.digest: document for document in evidence}
    tags: dict[Digest, list[tuple[Digest, Form]]] = {}
    for lookup in carried.lookups:
        for found in lookup.found:
            form, document = found.form, admitted.get(found.digest)
            if form is not Form.REFERRER and document is not None and is_about(document, lookup.manifest, form):
                tags.setdefault(found.digest, []).append((lookup.manifest, form))
    return tags


def waves(documents: Iterable[Document]) -> list[list[Document]]:
    """The documents in waves: each needs only earlier ones, of those that it lists or refers to."""
    found: list[list[Document]] = []
    level: dict[Digest, int] = {}
    for document in parts_first(documents):
        level[document.digest] = 1 + max((level.get(need.digest, -1) for need in _needs(document)), default=-1)
        if level[document.digest] == len(found):
            found.append([])
        found[level[document.digest]].append(document)
    return found


def parts_first(documents: Iterable[Document]) -> list[Document]:
    """The documents, each after those of them that it lists or refers to; otherwise in the order given."""
    given = {document.digest: document for document in documents}
    done: dict[Digest, Document] = {}
    waiting = [(document, False) for document in reversed(given.values())]
    entered: set[Digest] = set()
    while waiting:
        document, ready = waiting.pop()
        if ready:
            done[document.digest] = document
        elif document.digest not in entered:
            entered.add(document.digest)
            waiting.append((document, True))
            waiting += [(given[need.digest], False) for need in reversed(_needs(document)) if need.digest in given]
    return list(done.values())


def _needs(document: Document) -> list[Descriptor]:
    return [*document.children, *([document.subject] if document.subject else [])]


def lacks_platforms(place: Placement) -> bool:
    """Whether an index of the image lists what is not carried, which not every registry takes."""
    carried = place.image.carried()
    return any(_lacks(carried.documents[digest], carried) for digest in carried.own)


def _is_sparse(carried: Carried) -> bool:
    """Whether the root lists what is not carried: a registry that refuses that shall say so before anything else is put."""
    return _lacks(carried.documents[carried.root], carried)


def _lacks(document: Document, carried: Carried) -> bool:
    left = any(other.digest in carried.absent for other in document.others)
    return left or any(child.digest not in carried.documents for child in document.children)


def _sparse(document: Document, error: IncompleteError | TransportError) -> TransportError:
    return TransportError(
        f"the registry refuses the index {document.digest}, of which not all platforms are in the bundle",
        code=Code.REGISTRY_SPARSE_INDEX,
        found=error.found,
        wanted="a registry that takes an index without all its children",
        next="export again without --platform, or have the registry allow it (distribution 3: validation.manifests.indexes.platforms)",
    )
