"""Putting an admitted image where it shall be: parts before wholes, evidence before names.

Whatever is cut off leaves nothing half-visible: a manifest is put only when all that it names is there, a list of
referrers only when they are, and an image's own tag last of all, by :meth:`Placer.name`.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field

from bundler.content.store import Over, Sink
from bundler.content.stream import Turns, side_by_side, verified
from bundler.errors import Code, IncompleteError, TransportError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.stations.carried import Admitted, Carried
from bundler.stations.joining import Joins, Tagged
from bundler.trust.evidence import Form
from bundler.trust.proven import is_about

Chunks = Callable[[Descriptor], Iterator[bytes]]
Report = Callable[[int], None]

_SPARSE_REFUSALS = ("400 ", "404 ", "405 ", "412 ", "422 ")  # registries do not agree on how to refuse an index without its children


@dataclass(frozen=True, slots=True)
class Place:
    """An image, and where it goes."""

    image: Admitted
    sink: Sink
    path: str
    """Of the repository that ``sink`` is."""


@dataclass(slots=True)
class Placed:
    """What was done for one image, for the person who reads the end of the run."""

    sent: int = 0
    """Bytes of blobs that were sent."""
    blobs: int = 0
    there: int = 0
    """Blobs that the destination had or could mount."""
    remarks: list[str] = field(default_factory=list)


class Placer:
    """Places images into one destination; remembers which blobs lie in which of its repositories, to mount them."""

    def __init__(self, chunks: Chunks, *, joins: Joins, jobs: int, report: Report, prove: bool = False) -> None:
        """With ``prove``, blobs that the destination has already are read from the medium all the same, to be verified."""
        self._joins = joins
        self._chunks = chunks
        self._jobs = jobs
        self._report = report
        self._prove = prove
        self._homes: dict[Digest, str] = {}
        self._turns = Turns()

    def send(self, places: Sequence[Place]) -> list[Placed]:
        """The blobs of each image that was admitted, several at a time; what was done for each image. Nothing is named by it.

        Raises TransportError; IntegrityError and FormatError where the medium gives other bytes than the blob's.
        """
        done = [Placed() for _ in places]
        with closing(side_by_side(self._blob, _parts(places), jobs=self._jobs)) as blobs:
            for part, sent in blobs:
                done[part.number].sent += part.blob.size if sent else 0
                done[part.number].blobs += sent
                done[part.number].there += not sent
        return done

    def place(self, places: Sequence[Place], sent: Sequence[Placed]) -> Generator[Placed, None, None]:
        """What the blobs, which were ``sent``, belong to: documents and evidence, but not the images' own tags, several at a time.

        Gives what was done for each image, in their order. Raises TransportError (``registry.sparse-index`` where the registry
        refuses an index of which children were left out), IntegrityError if the medium now gives other bytes than were verified.
        """
        wholes = (_Whole.of(place, placed) for place, placed in zip(places, sent, strict=True))
        with closing(side_by_side(self._documents, wholes, jobs=self._jobs)) as done:
            yield from done

    def name(self, place: Place, *, over: Over | None = None) -> None:
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
            there = place.sink.has(blob) or (home is not None and home != place.path and place.sink.mount(blob, home))
            if there and self._prove and home is None:
                for _ in self._counted(blob):
                    pass
            elif there:
                self._report(blob.size)
            else:
                self._send(blob, place.sink)
            self._homes.setdefault(blob.digest, place.path)
        return part, not there

    def _documents(self, whole: "_Whole") -> Placed:
        """An image's documents, then its evidence."""
        carried, sink = whole.carried, whole.place.sink
        for document in parts_first(whole.own):
            self._put(document, carried, sink)
        whole.placed.remarks += self._evidence(whole)
        return whole.placed

    def _send(self, blob: Descriptor, sink: Sink) -> None:
        sink.put(blob, lambda: self._counted(blob))

    def _counted(self, blob: Descriptor) -> Iterator[bytes]:
        for chunk in verified(blob, self._chunks(blob)):
            self._report(len(chunk))
            yield chunk

    def _put(self, document: Document, carried: Carried, sink: Sink, *, tag: str | None = None, over: Over | None = None) -> None:
        """Put a document, and once more with what the registry has lost of it (registries collect garbage)."""
        sparse = any(child.digest not in carried.documents for child in document.children)
        try:
            sink.put_document(document, tag=tag, over=over)
        except IncompleteError as error:
            if sparse:
                raise _sparse(document, error) from error
        except TransportError as error:
            if sparse and error.code is Code.REGISTRY_STATUS and (error.found or "").startswith(_SPARSE_REFUSALS):
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
        blobs = [blob for blob in document.blobs if blob.digest not in carried.absent]
        for blob in [blob for blob in blobs if not sink.has(blob)] or blobs:
            self._send(blob, sink)

    def _evidence(self, whole: "_Whole") -> Iterator[str]:
        """Put it, so that it is found by its tag or by its subject; gives what is to be said about that."""
        carried, place, sink = whole.carried, whole.place, whole.place.sink
        admitted = {document.digest for document in whole.evidence}
        tags: dict[Digest, list[tuple[Digest, Form]]] = {}
        for lookup in carried.lookups:
            for found in lookup.found:
                form = Form(found.form)
                if (
                    form is not Form.REFERRER
                    and found.digest in admitted
                    and is_about(carried.documents[found.digest], lookup.manifest, form)
                ):
                    tags.setdefault(found.digest, []).append((lookup.manifest, form))
        referring: dict[Digest, list[Document]] = {}
        for document in parts_first(whole.evidence):
            named = [self._tag(document, subject, form, whole) for subject, form in tags.get(document.digest, ())]
            if document.digest not in {tag.names for tag in named}:
                self._put(document, carried, sink)
            for tag in named:
                yield from tag.remarks
            if document.subject is not None:
                referring.setdefault(document.subject.digest, []).append(document)
        for subject, documents in referring.items():
            with self._alone(subject, place):
                yield from self._joins.list_referrers(sink, subject, documents)

    def _tag(self, document: Document, subject: Digest, form: Form, whole: "_Whole") -> Tagged:
        """Put cosign's tag, and with it the document; first the document alone where the registry has lost of it what it said to have."""
        sink = whole.place.sink
        with self._alone(subject, whole.place):
            try:
                return self._joins.tag(document, subject, form, sink)
            except IncompleteError:
                self._put(document, whole.carried, sink)
                return self._joins.tag(document, subject, form, sink)

    def _alone(self, subject: Digest, place: Place) -> AbstractContextManager[object]:
        """While the names of evidence about ``subject`` are written, an image that shares it must not come between."""
        return self._turns.of((subject, place.path))


@dataclass(frozen=True, slots=True)
class _Whole:
    """An image that is being placed."""

    place: Place
    carried: Carried
    own: list[Document]
    evidence: list[Document]
    placed: Placed

    @classmethod
    def of(cls, place: Place, placed: Placed) -> "_Whole":
        carried = place.image.carried()
        own = [carried.documents[digest] for digest in carried.own]
        return cls(place, carried, own, carried.among(place.image.verdict.admitted), placed)

    @property
    def blobs(self) -> Iterable[Descriptor]:
        """Each once, in the order of the documents."""
        documents = (*self.own, *self.evidence)
        return {b.digest: b for d in documents for b in d.blobs if b.digest not in self.carried.absent}.values()


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the blobs of an image, and which of the images that is."""

    number: int
    place: Place
    blob: Descriptor


def _parts(places: Iterable[Place]) -> Iterator[_Part]:
    for number, place in enumerate(places):
        yield from (_Part(number, place, blob) for blob in _Whole.of(place, Placed()).blobs)


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
            needs = [*document.children, *([document.subject] if document.subject else [])]
            waiting += [(given[need.digest], False) for need in reversed(needs) if need.digest in given]
    return list(done.values())


def _sparse(document: Document, error: IncompleteError | TransportError) -> TransportError:
    return TransportError(
        f"the registry refuses the index {document.digest}, of which not all platforms are in the bundle",
        code=Code.REGISTRY_SPARSE_INDEX,
        found=error.found,
        wanted="a registry that takes an index without all its children",
        next="export again without --platform, or have the registry allow it (distribution 3: validation.manifests.indexes.platforms)",
    )
