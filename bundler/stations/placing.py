"""Putting an admitted image where it shall be: parts before wholes, evidence before names.

Whatever is cut off leaves nothing half-visible: a manifest is put only when all that it names is there, a list of
referrers only when they are, and an image's own tag last of all, by :func:`name`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bundler.content.store import Sink
from bundler.content.stream import gathered, side_by_side, verified
from bundler.errors import Code, ConflictError, FormatError, IncompleteError, TransportError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, MAX_LAYERS, Document, Index, Manifest
from bundler.stations.carried import Admitted
from bundler.trust.evidence import Form

RACES = 5  # how often a list of referrers is written again because another writer came between

Chunks = Callable[[Descriptor], Iterator[bytes]]
Report = Callable[[int], None]


@dataclass(slots=True)
class Placed:
    """What was done for one image, for the person who reads the end of the run."""

    sent: int = 0
    """Bytes of blobs that were sent."""
    blobs: int = 0
    there: int = 0
    """Blobs that the destination had or could mount."""
    documents: int = 0
    remarks: list[str] = field(default_factory=list)


class Placer:
    """Places images into one destination; remembers which blobs lie in which of its repositories, to mount them."""

    def __init__(self, chunks: Chunks, *, jobs: int, report: Report) -> None:
        self._chunks = chunks
        self._jobs = jobs
        self._report = report
        self._homes: dict[Digest, str] = {}

    def place(self, image: Admitted, sink: Sink, *, path: str) -> Placed:
        """Everything of ``image`` that was admitted, but not its own tag, into ``sink``, which is the repository ``path``.

        Raises TransportError (``registry.sparse-index`` where the registry refuses an index of which children were left
        out), IntegrityError if the medium now gives other bytes than were verified.
        """
        placed = Placed()
        carried = image.carried
        evidence = image.evidence
        own = [carried.documents[digest] for digest in carried.own]
        blobs = {b.digest: b for d in (*own, *evidence) for b in d.blobs if b.digest not in carried.absent}
        for sent in side_by_side(lambda blob: self._blob(blob, sink, path), blobs.values(), jobs=self._jobs):
            placed.sent += sent or 0
            placed.blobs += sent is not None
            placed.there += sent is None
        for document in parts_first(own):
            self._document(document, sink, image, placed)
        self._evidence(image, evidence, sink, placed)
        return placed

    def _blob(self, blob: Descriptor, sink: Sink, path: str) -> int | None:
        """Bytes sent, or None if the blob was there already."""
        home = self._homes.get(blob.digest)
        there = sink.has(blob) or (home is not None and home != path and sink.mount(blob, home))
        if not there:
            self._send(blob, sink)
        self._homes.setdefault(blob.digest, path)
        return None if there else blob.size

    def _send(self, blob: Descriptor, sink: Sink) -> None:
        sink.put(blob, lambda: self._counted(blob))

    def _counted(self, blob: Descriptor) -> Iterator[bytes]:
        for chunk in verified(blob, self._chunks(blob)):
            self._report(len(chunk))
            yield chunk

    def _document(self, document: Document, sink: Sink, image: Admitted, placed: Placed, *, tag: str | None = None) -> bool:
        """Put a document, and once more with its blobs if the registry lost one (registries collect garbage)."""
        placed.documents += 1
        try:
            return sink.put_document(document, tag=tag)
        except IncompleteError as error:
            if any(child.digest not in image.carried.documents for child in document.children):
                raise _sparse(document, error) from error
            for blob in document.blobs:
                if blob.digest not in image.carried.absent:
                    self._send(blob, sink)
            for child in document.children:
                sink.put_document(image.carried.documents[child.digest])
        try:
            return sink.put_document(document, tag=tag)
        except IncompleteError as error:
            raise TransportError(
                f"the registry refuses {document.digest} although everything it names was sent",
                code=Code.REGISTRY_STATUS,
                found=error,
                next="look at the registry's own log and storage, then run the same command again",
            ) from error

    def _evidence(self, image: Admitted, evidence: list[Document], sink: Sink, placed: Placed) -> None:
        listed = {document.digest for document in evidence}
        referring: dict[Digest, list[Document]] = {}
        for document in parts_first(evidence):
            self._document(document, sink, image, placed)
            if document.subject is not None:
                referring.setdefault(document.subject.digest, []).append(document)
        for lookup in image.carried.lookups:
            for found in lookup.found:
                if found.form != Form.REFERRER and found.digest in listed:
                    ours = image.carried.documents[found.digest]
                    now = tagged(ours, lookup.manifest, Form(found.form), sink)
                    if now.digest != ours.digest:
                        placed.remarks.append(f"merged {lookup.manifest.tag}.{found.form}: {now.digest} holds what was there and what came")
        for subject, documents in referring.items():
            placed.remarks += list_referrers(sink, subject, documents)


def tagged(ours: Document, subject: Digest, form: Form, sink: Sink) -> Document:
    """Put cosign's tag for ``form`` on ``ours``, or on what holds all that is there and all of ours; gives what the tag names then.

    Layers are compared as whole descriptors: theirs within ours, ours is tagged; ours within theirs, theirs stays; else a
    new manifest holds both. The blobs of ours must be there. Raises ConflictError (``name.conflict``) if an index is there.
    """
    tag = f"{subject.tag}.{form}"
    there = sink.document(tag)
    if there is not None and there.digest == ours.digest:
        return ours
    if there is not None:
        if not isinstance(there.content, Manifest) or not isinstance(ours.content, Manifest):
            raise ConflictError(f"the tag {tag} does not hold what its name says", found=there.digest, wanted=ours.digest)
        theirs, mine = ({_whole(layer) for layer in manifest.layers} for manifest in (there.content, ours.content))
        if mine <= theirs:
            return there
        if not theirs <= mine:
            union = merged(there, ours, lambda blob: gathered(blob, sink.chunks(blob)))
            for blob, data in union.blobs:
                sink.put(blob, lambda data=data: iter((data,)))  # type: ignore[misc]  # bound now, for the name goes on
            ours = union.document
    sink.put_document(ours, tag=tag)
    return ours


def name(image: Admitted, sink: Sink) -> None:
    """Put the image's own tag on it, the last thing of all. What has no tag is reached by its digest."""
    tag = image.carried.reference.tag
    if tag is not None:
        sink.put_document(image.carried.documents[image.carried.root], tag=tag)


def list_referrers(sink: Sink, subject: Digest, documents: list[Document]) -> list[str]:
    """See to it that ``documents`` are found by asking for what refers to ``subject``; gives remarks.

    Where the repository lists them itself nothing is written (some answer ``OCI-Subject`` and have no API, or the
    reverse, so it is asked). Else the fallback index is read, extended, written, and read again, for others write it too
    (distribution-spec, "Unavailable Referrers API").
    """
    answer = sink.referrers(subject)
    if answer.api and {d.digest for d in documents} <= {d.digest for d in answer.listed}:
        return []
    for _ in range(RACES):
        there = sink.document(subject.tag)
        if there is not None and not isinstance(there.content, Index):
            return [f"{subject.tag} holds an image, {there.digest}, where the list of referrers belongs; it was left as it is"]
        listed = {child.digest for child in there.children} if there else set()
        missing = [document for document in documents if document.digest not in listed]
        if not missing:
            return []
        sink.put_document(_extended(there, missing), tag=subject.tag)
    raise TransportError(
        f"the list of referrers at {subject.tag} is rewritten by others faster than it can be extended", code=Code.REGISTRY_STATUS
    )


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


@dataclass(frozen=True, slots=True)
class Union:
    """A manifest that holds the layers of two, and the config that it needs."""

    document: Document
    blobs: tuple[tuple[Descriptor, bytes], ...]


def merged(theirs: Document, ours: Document, read: Callable[[Descriptor], bytes]) -> Union:
    """``theirs`` with the layers of ``ours`` that it lacks, and its config's ``diff_ids`` extended by them.

    Raises FormatError (``limit.document``) when both together are more than a manifest may list.
    """
    their, our = theirs.content, ours.content
    assert isinstance(their, Manifest)
    assert isinstance(our, Manifest)
    have = [_whole(layer) for layer in their.layers]
    extra = [layer for layer in our.layers if _whole(layer) not in have]
    if len(have) + len(extra) > MAX_LAYERS:
        raise FormatError("two lists of signatures are too long together", code=Code.LIMIT_DOCUMENT, wanted=f"at most {MAX_LAYERS}")
    value = json.loads(theirs.raw)
    value["layers"] += [layer.to_json() for layer in extra]
    blobs: tuple[tuple[Descriptor, bytes], ...] = ()
    if their.is_image and their.config.size <= MAX_DOCUMENT:
        config = json.loads(read(their.config))
        config.setdefault("rootfs", {"type": "layers"}).setdefault("diff_ids", []).extend(str(layer.digest) for layer in extra)
        data = json.dumps(config, separators=(",", ":")).encode()
        blobs = ((Descriptor.of(data, their.config.media_type), data),)
        value["config"] = blobs[0][0].to_json()
    raw = json.dumps(value, separators=(",", ":")).encode()
    return Union(document=Document.parse(raw, media_type=theirs.descriptor.media_type), blobs=blobs)


def _extended(there: Document | None, missing: list[Document]) -> Document:
    value: dict[str, Any] = json.loads(there.raw) if there else {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": []}
    value["manifests"] += [document.as_referrer.to_json() for document in missing]
    raw = json.dumps(value, separators=(",", ":")).encode()
    return Document.parse(raw, media_type=there.descriptor.media_type if there else mediatype.OCI_INDEX)


def _whole(layer: Descriptor) -> tuple[Digest, str, tuple[tuple[str, str], ...]]:
    """What is compared: a signature lies in the annotations, so two layers of one payload are two signatures."""
    return layer.digest, layer.media_type, tuple(sorted(layer.annotations.items()))


def _sparse(document: Document, error: IncompleteError) -> TransportError:
    return TransportError(
        f"the registry refuses the index {document.digest}, of which not all platforms are in the bundle",
        code=Code.REGISTRY_SPARSE_INDEX,
        found=error,
        wanted="a registry that takes an index without all its children",
        next="export again without --platform, or allow sparse indexes at the registry (distribution 3: validation.manifests.indexes.platforms)",
    )
