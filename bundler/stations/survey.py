"""What an image is made of, and everything that vouches for it, as its source tells.

Every manifest is asked about: the root, each platform, nested indexes, and each piece of evidence itself, for that may
be signed too. Absent is only what the source says is absent; any other answer is an error, so that a registry in
trouble never looks like "there is no signature".
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bundler.content.store import GoneError, Source, Unsaid
from bundler.content.stream import gathered, side_by_side
from bundler.errors import Code, FormatError, IncompleteError, IntegrityError
from bundler.oci import graph, mediatype
from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form, Found, LeftOut, Lookup
from bundler.oci.manifest import (
    MAX_DOCUMENT,
    Document,
    Index,
    Manifest,
    UnreadableError,
    platform_in,
)
from bundler.oci.platforms import in_order, is_attestation, parted
from bundler.oci.reference import Reference
from bundler.stations.cache import Cache
from bundler.stations.carried import Carried, left_blobs
from bundler.stations.places import ImageArgument, Places
from bundler.stations.unread import Missed, Unread
from bundler.trust.proven import is_about

TAGGED_FORMS = (Form.SIG, Form.ATT, Form.SBOM)


@dataclass(frozen=True, slots=True)
class Survey:
    """An image with its evidence, and where its bytes can be had."""

    carried: Carried
    source: Source
    remarks: tuple[str, ...]
    index: Carried | None = None
    """The index that this is a platform of, by itself; it stays behind."""

    @property
    def size(self) -> int:
        """Bytes that a bundle of this alone would hold of it, before compression: its documents, configs, layers and evidence."""
        carried = self.carried
        return sum(len(document.raw) for document in carried.documents.values()) + sum(blob.size for blob in carried.blobs)


def survey(
    reference: Reference,
    root: Document,
    source: Source,
    *,
    platforms: Sequence[Platform] = (),
    leave: Collection[Digest] | None = frozenset(),
    jobs: int = 4,
) -> Survey:
    """Walk ``root`` in ``source`` and ask about every manifest met.

    What is listed or found and cannot be read is left out if it is one of ``leave``; with None, which is for a look that carries
    nothing, evidence is passed over with a remark.

    Raises IncompleteError for what the source lacks (``blob.missing``), and the first error of what else cannot be read, with all of
    it named; IncompleteError for a platform that nothing has (``image.platform``), FormatError (``limit.depth``) beyond 8 levels,
    and what the source raises.
    """
    unread = Unread(leave)
    walked = _Walk(source, platforms, unread, jobs=jobs).all(root)
    documents = {document.digest: document for document in walked.own}
    repository = reference.repository
    lookups: list[Lookup] = []
    remarks: list[str] = []
    wave = list(documents.values())
    for _ in range(graph.MAX_DEPTH + 1):
        if not wave:
            break
        after: dict[Digest, Document] = {}
        for answer in _answers(repository, wave, source, unread, jobs=jobs):
            lookups.append(answer.lookup)
            remarks += answer.remarks
            after |= {found.digest: found for found in answer.documents if found.digest not in documents}
        documents |= _with_children(source, after, documents, unread, jobs=jobs)
        asked = {lookup.manifest for lookup in lookups}
        wave = [document for digest, document in documents.items() if digest not in asked]
    else:
        if wave:
            raise graph.too_deep(f"evidence about {reference} is nested")
    unread.check(reference)
    has = walked.kept or platform_of(source, root)
    left_out = (*walked.left_out, *unread.left)
    _check_platforms(reference, has, left_out, wanted=platforms)
    carried = Carried(
        reference=reference.carried,
        root=root.digest,
        documents=documents,
        own=tuple(document.digest for document in walked.own),
        lookups=tuple(lookups),
        platforms=in_order(has, platforms),
        left_out=tuple(_left_out(child) for child in {child.digest: child for child in left_out}.values()),
    )
    _check_sizes(carried)
    carried = replace(carried, absent=left_blobs(carried.left_out, documents.values()))
    absent = carried.absent | _not_served(carried, source, jobs=jobs)
    return Survey(carried=replace(carried, absent=absent), source=source, remarks=(*remarks, *unread.remarks()))


def survey_image(
    places: Places,
    image: ImageArgument,
    cache: Cache,
    *,
    platforms: Sequence[Platform] = (),
    leave: Collection[Digest] | None = frozenset(),
    jobs: int,
    say: Callable[[str], None],
) -> Survey:
    """Find an image, and everything about it. Raises as :meth:`Places.locate` and :func:`survey`."""
    located = places.locate(image)
    say(f"asking about {located.reference}")
    source = cache.before(located.source)
    found = survey(located.reference, located.root, source, platforms=platforms, leave=leave, jobs=jobs)
    evidence = found.carried.evidence
    cache.fetch(source, (blob for d in evidence if isinstance(d.content, Manifest) for blob in d.content.layers), jobs=jobs)
    return found


def below(source: Source, root: Document) -> tuple[Document, ...]:
    """``root`` and every manifest and index below it, depth first. Raises as :func:`survey`."""
    unread = Unread(frozenset())
    own = _Walk(source, (), unread, jobs=1).all(root).own
    unread.check(root.digest)
    return own


def platform_of(source: Source, root: Document) -> tuple[Platform, ...]:
    """What a single image's config says that it runs on; nothing where it is not an image or says nothing."""
    if not isinstance(root.content, Manifest) or not root.content.tells_platform:
        return ()
    config = root.content.config
    return platform_in(gathered(config, source.chunks(config)))


def _left_out(child: Descriptor) -> LeftOut:
    return LeftOut(child.digest, str(child.platform) if child.platform and child.is_document else None)


@dataclass(frozen=True, slots=True)
class _Walked:
    own: tuple[Document, ...]
    kept: tuple[Platform, ...]
    left_out: tuple[Descriptor, ...]


class _Walk:
    """The image's own documents, depth first, without the platforms that nobody asked for."""

    def __init__(self, source: Source, platforms: Sequence[Platform], unread: Unread, *, jobs: int) -> None:
        self._source = source
        self._platforms = platforms
        self._unread = unread
        self._jobs = jobs

    def all(self, root: Document) -> _Walked:
        left: dict[Digest, Descriptor] = {}

        def carried(document: Document) -> list[Descriptor]:
            self._unread.note_others(document, self._source, jobs=self._jobs)
            wanted, unwanted = parted(document.children, self._platforms)
            left.update({child.digest: child for child in unwanted})
            return wanted

        own = _walked([root], self._source, carried, self._unread, jobs=self._jobs)
        listed = [child for document in own.values() for child in document.children]
        return _Walked(
            own=tuple(own.values()),
            kept=tuple(dict.fromkeys(c.platform for c in listed if c.digest in own and c.platform and not is_attestation(c))),
            left_out=tuple(child for digest, child in left.items() if digest not in own),
        )


def _walked(
    roots: Sequence[Document], source: Source, children: Callable[[Document], Sequence[Descriptor]], unread: Unread, *, jobs: int
) -> dict[Digest, Document]:
    """``roots`` and all that is below them, depth first; asked for level by level, each level's documents side by side.

    Raises as :func:`fetched`, and FormatError (``limit.depth``).
    """
    known = {root.digest: root for root in roots}
    below: dict[Digest, tuple[Document, ...]] = {}
    level = list(known.values())
    for _ in range(graph.MAX_DEPTH + 1):
        if not level:
            break
        listed = {document.digest: children(document) for document in level}
        new = {child.digest: (digest, child) for digest, below_one in listed.items() for child in below_one if child.digest not in known}
        level = []
        for (digest, child), got in _all_of(new.values(), source, jobs=jobs):
            if isinstance(got, Document):
                level.append(got)
            else:
                unread.note(Missed(child, digest, got, is_part=True))
        known |= {document.digest: document for document in level}
        below |= {
            digest: tuple(_as_listed(known[child.digest], child) for child in listed[digest] if child.digest in known) for digest in listed
        }
    if level:
        raise graph.too_deep(f"{roots[0].digest} nests indexes")
    return graph.walk(roots, lambda document: below.get(document.digest, ()))


Attempt = tuple[tuple[Digest, Descriptor], Document | FormatError | IntegrityError | IncompleteError]


def _all_of(wanted: Iterable[tuple[Digest, Descriptor]], source: Source, *, jobs: int) -> Iterator[Attempt]:
    """Each of these documents, which another one names, or why it cannot be read."""

    def attempted(each: tuple[Digest, Descriptor]) -> Attempt:
        try:
            return each, fetched(source, each[1])
        except (FormatError, IntegrityError, IncompleteError) as error:
            return each, error

    return iter(side_by_side(attempted, wanted, jobs=jobs))


def fetched(source: Source, child: Descriptor) -> Document:
    """A document that another one names. Raises IncompleteError (``blob.missing``), IntegrityError, FormatError."""
    if child.media_type in mediatype.SCHEMA1:
        raise FormatError(f"{child.digest} is a Docker schema 1 manifest", code=Code.FORMAT_SCHEMA1)
    if child.size > MAX_DOCUMENT:
        raise FormatError(
            f"{child.digest} is too large a manifest", code=Code.LIMIT_DOCUMENT, found=child.size, wanted=f"at most {MAX_DOCUMENT}"
        )
    document = source.document(child.digest)
    if document is None:
        raise IncompleteError(f"the manifest {child.digest} is listed, and not there", code=Code.BLOB_MISSING)
    return _as_listed(document, child)


def _as_listed(document: Document, child: Descriptor) -> Document:
    """``document``, if it is what the list says that names it ``child``. Raises FormatError, IntegrityError."""
    if document.descriptor.media_type != child.media_type and child.media_type in mediatype.DOCUMENTS:
        raise FormatError(
            f"{child.digest} is of another media type than its list says",
            code=Code.FORMAT_MEDIA_TYPE,
            found=document.descriptor.media_type,
            wanted=child.media_type,
        )
    if document.descriptor.size != child.size:
        raise IntegrityError(
            f"{child.digest} is of another size than its list says",
            code=Code.CONTENT_SIZE,
            found=document.descriptor.size,
            wanted=child.size,
        )
    return document


@dataclass(frozen=True, slots=True)
class _Answer:
    lookup: Lookup
    documents: tuple[Document, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the names about one manifest hold, and what is listed as referring to it, which was not asked for yet."""

    manifest: Digest
    said: Mapping[str, str]
    tagged: Mapping[Form, Document]
    listed: Mapping[Digest, Descriptor]
    remarks: tuple[str, ...]
    broken: Mapping[Form, UnreadableError | GoneError]
    """What these names hold and nobody can read."""


def _answers(repository: str, wave: Sequence[Document], source: Source, unread: Unread, *, jobs: int) -> Iterator[_Answer]:
    """All that is found about each of ``wave``: first the questions side by side, then all referrers, whosever they are."""
    asked = list(side_by_side(lambda document: _ask(document.digest, source), wave, jobs=jobs))
    here = {document.digest: document for one in asked for document in one.tagged.values()}
    wanted = {digest: (one.manifest, descriptor) for one in asked for digest, descriptor in one.listed.items() if digest not in here}
    known = dict(here)
    for (of, descriptor), got in _all_of(wanted.values(), source, jobs=jobs):
        if isinstance(got, Document):
            known[got.digest] = got
        else:
            unread.note(Missed(descriptor, of, got))
    for one in asked:
        for error in one.broken.values():
            unread.note(Missed(Descriptor(mediatype.OCI_MANIFEST, error.digest, 0), one.manifest, error))
    return (_answer(repository, one, known) for one in asked)


def _ask(digest: Digest, source: Source) -> _Asked:
    """All five questions about one manifest: three tags, the referrers API and the fallback list."""
    said: dict[str, str] = {}
    remarks: list[str] = []
    tagged: dict[Form, Document] = {}
    broken: dict[Form, UnreadableError | GoneError] = {}
    for form in TAGGED_FORMS:
        try:
            at = source.sought(f"{digest.tag}.{form}")
        except (UnreadableError, GoneError) as error:
            said[form], broken[form] = "found", error
            continue
        said[form] = _said(at)
        if not isinstance(at, Document):
            continue
        tagged[form] = at
        if not is_about(at, digest, form):
            remarks.append(
                f"{digest.tag}.{form} holds {at.digest}, which refers to another manifest: it belongs to neither, and will not enter"
            )
    answer = source.referrers(digest)
    said["referrers"] = "no-api" if not answer.api else "found" if answer.listed else "absent"
    listed = list(answer.listed)
    try:
        fallback = source.sought(digest.tag)
    except (UnreadableError, GoneError) as error:
        fallback, broken[Form.REFERRER] = None, error
    match fallback:
        case Unsaid() | None:
            said["fallback"] = "found" if Form.REFERRER in broken else _said(fallback)
        case Document(digest=itself) if itself == digest:  # GitLab reads the tag as the digest; what an index lists does not refer to it
            said["fallback"] = "foreign"
        case Document(content=Index(listed=entries)):
            said["fallback"] = "found"
            listed += entries
        case _:  # cosign copy leaves an image there
            said["fallback"] = "foreign"
            remarks.append(f"{digest.tag} is the place of a list of referrers and holds an image, {fallback.digest}")
    return _Asked(digest, said, tagged, {d.digest: d for d in listed}, tuple(remarks), broken)


def _said(at: Document | Unsaid | None) -> str:
    """What was answered about a tag, in the seal's words."""
    if isinstance(at, Unsaid):
        return at.value
    return "absent" if at is None else "found"


def _answer(repository: str, asked: _Asked, known: Mapping[Digest, Document]) -> _Answer:
    found = {Found(at.digest, form): None for form, at in asked.tagged.items()}
    found |= {Found(error.digest, form): None for form, error in asked.broken.items()}
    documents = {at.digest: at for at in asked.tagged.values()}
    remarks = list(asked.remarks)
    for digest in asked.listed:
        referrer = known.get(digest)
        if referrer is None:
            found[Found(digest, Form.REFERRER)] = None
            continue
        if referrer.subject is None or referrer.subject.digest != asked.manifest:
            remarks.append(f"{digest} is listed as referring to {asked.manifest}, and does not")
            continue
        found[Found(digest, Form.REFERRER)] = None
        documents[digest] = referrer
    lookup = Lookup(repository=repository, manifest=asked.manifest, asked=dict(asked.said), found=tuple(found))
    return _Answer(lookup=lookup, documents=tuple(documents.values()), remarks=tuple(remarks))


def _with_children(
    source: Source, evidence: Mapping[Digest, Document], known: Mapping[Digest, Document], unread: Unread, *, jobs: int
) -> dict[Digest, Document]:
    """Evidence may be an index; then it is whole only with what is below it."""
    roots = list(evidence.values())

    def children(document: Document) -> tuple[Descriptor, ...]:
        unread.note_others(document, source, jobs=jobs)
        return document.children

    walked = _walked(roots, source, children, unread, jobs=jobs)
    return {digest: document for digest, document in walked.items() if digest not in known}


def _check_platforms(reference: Reference, has: Sequence[Platform], left: Sequence[Descriptor], *, wanted: Sequence[Platform]) -> None:
    """What has no platform at all, as a chart, goes with every platform."""
    others = {str(one) for one in has} | {str(child.platform) for child in left if child.platform}
    for platform in wanted if others else ():
        if not any(platform.covers(one) for one in has):
            raise IncompleteError(
                f"{reference} has no such platform",
                code=Code.IMAGE_PLATFORM,
                found=", ".join(sorted(others)),
                wanted=str(platform),
            )


def _check_sizes(result: Carried) -> None:
    """Two documents that give one digest two sizes cannot both be right, and the seal can name only one."""
    sizes: dict[Digest, int] = {}
    for document in result.documents.values():
        for blob in document.carries:
            if sizes.setdefault(blob.digest, blob.size) != blob.size:
                raise IntegrityError(
                    f"{blob.digest} is described with two sizes",
                    code=Code.CONTENT_SIZE,
                    found=f"{sizes[blob.digest]} and {blob.size}",
                )


def _not_served(result: Carried, source: Source, *, jobs: int) -> frozenset[Digest]:
    """Foreign layers lie elsewhere, and nothing here follows their URLs; one that the source has all the same travels."""
    foreign = [blob for blob in result.blobs if blob.foreign]
    there = side_by_side(source.has, foreign, jobs=jobs)
    return frozenset(blob.digest for blob, has in zip(foreign, there, strict=True) if not has)
