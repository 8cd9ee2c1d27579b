"""OCI image layouts (image-spec, image-layout.md) as repositories: a folder to read and write, or files that another module finds.

A layout is believed as little as a registry: every document is hashed when it is read, and nothing in it says what is
missing but the bytes that are there.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Self

from bundler import strictjson
from bundler.content.entries import Entry, Listed, at_most, check_version, read_index, whole_file
from bundler.content.folder import Files, Folder
from bundler.content.listing import Put, is_for_evidence, listed_as, listing
from bundler.content.store import GoneError, Over, Referrers
from bundler.content.stream import Turns, verified
from bundler.errors import Code, ConflictError, FormatError, IncompleteError, IntegrityError, UsageError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, Document, UnreadableError
from bundler.oci.reference import Reference

_SHOWN = 20  # names that fit a message

_SAVED_AS = {"sig": "sigs", "att": "atts", "sbom": "sboms"}

_EMPTY = {
    "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
    "index.json": strictjson.dumps({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": []}),
}
_SUBJECT = re.compile(rb'"subject"\s*:\s*\{[^{}]*?"digest"\s*:\s*"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"')
_OF_A_MANIFEST = re.compile(rb'"(?:schemaVersion|config|layers|manifests|blobs|artifactType)"\s*:')
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)


class Layout:
    """An image layout: the files of a folder, or others, which can only be read. A context: leaving it closes them."""

    def __init__(self, files: Files) -> None:
        """Raises FormatError (``format.layout``, ``limit.document``) for what is not a layout; ``files`` are closed then."""
        self._files = files
        self._folder = files if isinstance(files, Folder) else None
        try:
            check_version(self._files)
            self._listed = Listed.read(self._files)
        except BaseException:
            self.close()
            raise
        self._turns = Turns(1)
        self._referring: dict[Digest, tuple[Descriptor, ...]] | None = None
        self._sound: set[Digest] = set()
        self._waiting: list[Put] | None = None  # what is put and not listed yet, and how it is found until then
        self._soon: dict[Digest, Entry] = {}
        self._named: dict[str, Entry] = {}
        self._before: dict[str, frozenset[Digest]] = {}

    @classmethod
    def at(cls, path: Path, *, create: bool = False) -> Self:
        """The layout in a folder. ``create`` makes the folder a layout where it is absent or empty.

        Raises UsageError (``usage.input``) for a folder that is not there, ConflictError (``output.exists``) for a folder to be made
        that holds something else, and FormatError as for any files.
        """
        return cls(Folder(path, make=_EMPTY if create else None))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._files.close()

    @property
    def writable(self) -> bool:
        """Whether something can be put into it."""
        return self._folder is not None

    # --- what it lists ---

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All manifests and indexes that ``index.json`` lists, in its order."""
        return self._listed.entries

    def names(self) -> list[str]:
        """The names of what it lists, in its order, without those of evidence."""
        names = (entry.name for entry in self.entries if not entry.is_saved_evidence)
        return list(dict.fromkeys(name for name in names if name and not is_for_evidence(name)))

    def image(self, asked: str | None) -> Entry:
        """What a person means by the REF of ``oci:DIR:REF``: a name, ``@N`` for the entry of that number from 0, ``@DIGEST``,
        ``NAME@DIGEST``; without one, the only image there is. Whether NAME is DIGEST is for the caller to see.

        Raises UsageError (``usage.reference``) without REF where there are several or none, IncompleteError
        (``image.missing``), FormatError (``format.layout``) where a name means two things.
        """
        if asked is None:
            return self._only()
        name, at, digest = asked.partition("@")
        if re.fullmatch(r"@[0-9]{1,9}", asked, re.ASCII):
            return self._numbered(int(digest))
        if at and not name:
            return self._by_digest(_digest(digest))
        _ = _digest(digest) if at else None
        entry = self.find(asked) or (self.find(name) if at else None)
        if entry is None:
            raise IncompleteError(f"{asked!a} is not in the layout", code=Code.IMAGE_MISSING, found=_told(self.names()))
        return entry

    def find(self, name: str) -> Entry | None:
        """What is listed under that very name. Raises FormatError (``format.layout``) where that is two things."""
        if (soon := self._named.get(name)) is not None:
            return soon
        found = self._listed.by_name.get(name, {})
        if len(found) > 1:
            raise FormatError(f"the layout has the name {name!a} twice", code=Code.FORMAT_LAYOUT, found=_told(found))
        return next(iter(found.values()), None)

    def repository(self, reference: Reference | None) -> "LayoutRepository":
        """The content as one repository's: tags are looked up as ``REPOSITORY:TAG`` and bare, written in full.

        Without a reference they are bare.
        """
        return LayoutRepository(self, None if reference is None else reference.repository)

    def _only(self) -> Entry:
        images: dict[Digest, Entry] = {}
        below: set[Digest] = set()  # some list the platforms of an index beside it
        for digest, entries in self._listed.grouped().items():
            document = self.document(digest)  # once, however often it is listed
            below |= {child.digest for child in document.children} if document else set()
            listed = [entry for entry in entries if not _is_evidence(entry, document)]
            if listed:
                images[digest] = next((entry for entry in listed if entry.name is not None), listed[-1])
        found = [entry for digest, entry in images.items() if entry.name or digest not in below]
        if len(found) != 1:
            raise UsageError(
                "the layout does not hold one image alone",
                code=Code.USAGE_REFERENCE,
                found=_told(entry.name or f"@{entry.descriptor.digest}" for entry in found),
                next="name one of them: oci:DIR:NAME",
            )
        return found[0]

    def _numbered(self, number: int) -> Entry:
        if number >= len(self.entries):
            raise IncompleteError(f"the layout has no entry {number}", code=Code.IMAGE_MISSING, found=f"{len(self.entries)} entries")
        return self.entries[number]

    def _by_digest(self, digest: Digest) -> Entry:
        if (entry := self._listed.by_digest.get(digest)) is not None:
            return entry
        if (document := self.document(digest)) is None:
            raise IncompleteError(f"{digest} is not in the layout", code=Code.IMAGE_MISSING)
        return Entry(document.descriptor)

    # --- what is in it ---

    def document(self, digest: Digest) -> Document | None:
        """The manifest or index of that digest, listed or not.

        Raises IntegrityError for other bytes or another size than its entry says, FormatError for what is not a document.
        """
        found = self._soon.get(digest) or self._listed.by_digest.get(digest)
        listed = found.descriptor if found else None
        raw = whole_file(self._files, _path(digest), limit=MAX_DOCUMENT)
        if raw is None:
            return None
        document = Document.parse(raw, media_type=listed.media_type if listed else None, digest=digest)
        if listed is not None and listed.size != len(raw):
            raise IntegrityError(
                f"{digest} is of another size than index.json says", code=Code.CONTENT_SIZE, found=len(raw), wanted=listed.size
            )
        return document

    def kept(self, kind: str, subject: Digest) -> Entry | None:
        """Where hauler put the signatures (``sig``), attestations (``att``) or SBOMs (``sbom``) of an image, under its name, or
        ``cosign save`` those of the layout's one image, under none.

        Raises FormatError (``format.layout``) where these are several.
        """
        images = self._listed.saved_images
        names: list[str | None] = [*images.get(subject, ()), *([None] if images.keys() == {subject} else [])]
        saved = (entry for name in names for entry in self._listed.saved.get((_SAVED_AS[kind], name), ()))
        found = {entry.descriptor.digest: entry for entry in saved}
        if len(found) > 1:
            raise FormatError(f"the layout has the {kind} of {subject} twice", code=Code.FORMAT_LAYOUT, found=_told(found))
        return next(iter(found.values()), None)

    def referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        """All manifests and indexes with that subject, listed or not: cosign lists no bundle that it saves.

        The whole layout is looked through once. Raises IntegrityError for a manifest with other bytes than its name says.
        """
        with self._turns.of("referrers"):
            if self._referring is None:
                found: dict[Digest, dict[Digest, Descriptor]] = {}
                for of, referrer in self._referrers():
                    found.setdefault(of, {})[referrer.digest] = referrer
                self._referring = {of: tuple(by[digest] for digest in sorted(by)) for of, by in found.items()}
            return self._referring.get(subject, ())

    def _referrers(self) -> Iterator[tuple[Digest, Descriptor]]:
        for digest in self._files.blobs():
            try:
                document = self.document(digest) if digest in self._listed.by_digest else self._perhaps(digest)
            except UnreadableError:
                yield from self._malformed(digest)
            else:
                if document is not None and document.subject is not None:
                    yield document.subject.digest, document.as_referrer

    def _malformed(self, digest: Digest) -> Iterator[tuple[Digest, Descriptor]]:
        """What says that it refers to something and is not a document, so that whoever asks learns of it when it is read. Other JSON
        has subjects too, but of another form: in-toto statements have a list of them."""
        raw = whole_file(self._files, _path(digest), limit=MAX_DOCUMENT) or b""
        if _OF_A_MANIFEST.search(raw) and (subject := _SUBJECT.search(raw)):
            yield Digest.parse(subject[1].decode()), Descriptor(mediatype.OCI_MANIFEST, digest, len(raw))

    def _perhaps(self, digest: Digest) -> Document | None:
        """The blob as a document, if it has a subject; of most blobs the first bytes tell that they have none."""
        chunks = self._files.chunks(_path(digest))
        first = next(chunks, b"")
        raw = at_most(MAX_DOCUMENT, chain((first,), chunks)) if first.lstrip().startswith(b"{") else None
        if raw is None or b'"subject"' not in raw:
            return None
        return Document.parse(raw, digest=digest)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """Raises IncompleteError (``blob.missing``)."""
        return self._files.chunks(_path(blob.digest))

    def has(self, blob: Descriptor) -> bool:
        """Whether the blob is there and is what its name says: it is read, once."""
        if self._files.size(_path(blob.digest)) != blob.size:
            return False
        if blob.digest not in self._sound:
            try:
                for _ in verified(blob, self.chunks(blob)):
                    pass
            except IntegrityError:
                return False
            self._sound.add(blob.digest)
        return True

    # --- writing ---

    def put(self, blob: Descriptor, chunks: Callable[[], Iterator[bytes]]) -> None:
        """Write the blob, unless it is there and sound. Raises UsageError where nothing can be written, and as :func:`whole`."""
        if not self.has(blob):
            self._writing().write(_path(blob.digest), chunks())

    def put_document(self, document: Document, *, name: str | None, check: Callable[[], None] = lambda: None) -> bool:
        """Write the document and list it, under the name if it has one; True if it refers to something.

        An unnamed entry goes when an index that leads to it is listed. ``check`` may look at what is listed, and raise, while
        nobody else can write. Raises IncompleteError (``blob.missing``) for a manifest whose blobs are not there.
        """
        for blob in document.blobs:
            if not blob.foreign and self._files.size(_path(blob.digest)) is None:
                raise IncompleteError(f"the layout lacks {blob.digest}", code=Code.BLOB_MISSING)
        self.put(document.descriptor, lambda: iter([document.raw]))
        if self._waiting is None:
            self._list([(document, name)], check)
        else:
            check()
            self._waiting.append((document, name))
            if name is not None and name not in self._named:
                self._before[name] = frozenset(self._listed.by_name.get(name, {}))
            self._soon[document.digest] = soon = Entry(listed_as(document, name))
            self._named |= {} if name is None else {name: soon}
        if document.subject is not None and self._referring is not None:
            known = {d.digest: d for d in (*self.referrers(document.subject.digest), document.as_referrer)}
            self._referring[document.subject.digest] = tuple(known[digest] for digest in sorted(known))
        return document.subject is not None

    @contextmanager
    def listed_at_once(self) -> Iterator[None]:
        """List what is put in this block in one writing of ``index.json``, at its end; after an error, nothing of it.

        In the block everything that was put can be found already. Raises as :meth:`put_document`, and ConflictError
        (``name.conflict``) where another writer has given one of the names to something else meanwhile.
        """
        folder = self._writing()
        with folder.locked():  # a file system without locks is told so before anything is written
            folder.sweep()
        self._waiting = []
        try:
            yield
            self._list(self._waiting)
        finally:
            self._waiting = None
            self._soon, self._named, self._before = {}, {}, {}

    def _check_unchanged(self) -> None:
        for name, before in self._before.items():
            found = frozenset(self._listed.by_name.get(name, {}))
            if found != before:
                raise ConflictError(f"{name} was written meanwhile", code=Code.NAME_CONFLICT, found=", ".join(map(str, sorted(found))))

    def _list(self, puts: Sequence[Put], check: Callable[[], None] = lambda: None) -> None:
        folder = self._writing()
        with folder.locked():
            index = read_index(folder)  # others may have written meanwhile
            self._listed = Listed.of(index)
            self._check_unchanged()
            check()
            after = listing(index, puts)
            if after != index:
                folder.replace("index.json", strictjson.dumps(after))
                self._listed = Listed.of(after)

    def _writing(self) -> Folder:
        if self._folder is None:
            raise UsageError("an archive cannot be written to", next="make a layout of it: tar -xf FILE -C DIR, then oci:DIR")
        return self._folder


class LayoutRepository:
    """A layout seen as one repository: :class:`bundler.content.store.Sink`."""

    def __init__(self, layout: Layout, repository: str | None) -> None:
        self._layout = layout
        self._prefix = "" if repository is None else f"{repository}:"

    def document(self, name: str | Digest) -> Document | None:
        """Raises GoneError (``blob.missing``) for what is listed and not there; else as :class:`Source` says."""
        if isinstance(name, Digest):
            return self._layout.document(name)
        entry = self._entry(name)
        if entry is None:
            return None
        document = self._layout.document(entry.descriptor.digest)
        if document is None:
            raise GoneError(entry.descriptor.digest)
        return document

    def _entry(self, tag: str) -> Entry | None:
        return self._layout.find(f"{self._prefix}{tag}") or self._layout.find(tag) or self._kept(tag)

    def _kept(self, tag: str) -> Entry | None:
        found = re.fullmatch(r"(sha256|sha512)-([0-9a-f]+)\.(sig|att|sbom)", tag, re.ASCII)
        return self._layout.kept(found[3], Digest(found[1], found[2])) if found else None

    def sought(self, tag: str) -> Document | None:
        """As :meth:`bundler.content.store.Source.sought`."""
        return self.document(tag)

    def referrers(self, subject: Digest) -> Referrers:
        return Referrers(api=True, listed=self._layout.referrers(subject))

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        return self._layout.chunks(blob)

    def has(self, blob: Descriptor) -> bool:
        return self._layout.has(blob)

    def put(self, blob: Descriptor, chunks: Callable[[], Iterator[bytes]]) -> None:
        self._layout.put(blob, chunks)

    def mount(self, blob: Descriptor, source: str) -> bool:  # noqa: ARG002 - all repositories of a layout share its blobs
        return self._layout.has(blob)

    def put_document(self, document: Document, *, tag: str | None = None, over: Over | None = None) -> bool:
        def check() -> None:
            entry = None if tag is None or over is None else self._entry(tag)
            named = None if entry is None else entry.descriptor.digest
            if over is not None and named != over.digest:
                raise ConflictError(f"{tag} was written meanwhile", code=Code.NAME_CONFLICT, found=named, wanted=over.digest)

        return self._layout.put_document(document, name=None if tag is None else f"{self._prefix}{tag}", check=check)

    def compares(self, document: Document) -> bool:  # noqa: ARG002 - whoever writes has the folder's lock, and looks first
        return True

    def reads_tags_as_digests(self) -> bool:
        return False

    @property
    def title(self) -> str:
        return self._prefix.removesuffix(":") or "the layout"

    @property
    def checks(self) -> bool:
        return True

    @property
    def denied(self) -> None:
        return None

    def tags(self) -> list[str]:
        names = {name for entry in self._layout.entries for name in entry.names}
        return sorted({tag for name in names if _TAG.fullmatch(tag := name.removeprefix(self._prefix))})


def _is_evidence(entry: Entry, document: Document | None) -> bool:
    """Whether it is about an image: by its tag, by what cosign says of it, by its subject."""
    if any(map(is_for_evidence, entry.names)):
        return True
    if entry.is_saved_evidence:
        return True
    return document is not None and document.subject is not None


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def _digest(text: str) -> Digest:
    try:
        return Digest.parse(text)
    except FormatError as error:
        raise UsageError(f"{text!a} is not a digest", code=Code.USAGE_REFERENCE) from error


def _told(names: Iterable[object]) -> str:
    """The first of them, for a person."""
    listed = list(names)
    shown = [ascii(str(name))[1:-1] for name in listed[:_SHOWN]]
    return (", ".join(shown) + (f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else "")) or "nothing"
