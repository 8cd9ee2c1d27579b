"""What an image is made of, and everything that vouches for it, as its source tells.

Every manifest is asked about: the root, each platform, nested indexes, and each piece of evidence itself, for that may
be signed too. Absent is only what the source says is absent; any other answer ends the run, so that a registry in
trouble never looks like "there is no signature".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bundler.bundle.seal import Found, LeftOut, Lookup
from bundler.content.store import Source
from bundler.content.stream import gathered, side_by_side
from bundler.errors import Code, FormatError, IncompleteError, IntegrityError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, REFERENCE_DIGEST, REFERENCE_TYPE, Document, Index, Manifest, platform_in
from bundler.oci.reference import Reference
from bundler.stations.cache import Cache
from bundler.stations.carried import Carried
from bundler.stations.places import Places, Wanted
from bundler.trust.evidence import Form

MAX_DEPTH = 8  # indexes in indexes, evidence on evidence: real ones reach 3 (a signature of an SBOM of a platform)

TAGGED_FORMS = (Form.SIG, Form.ATT, Form.SBOM)


@dataclass(frozen=True, slots=True)
class Survey:
    """An image with its evidence, and where its bytes can be had."""

    carried: Carried
    source: Source
    remarks: tuple[str, ...]


def survey(reference: Reference, root: Document, source: Source, *, platforms: Sequence[Platform] = (), jobs: int = 4) -> Survey:
    """Walk ``root`` in ``source`` and ask about every manifest met.

    Raises IncompleteError for what the source lacks (``blob.missing``) and for a platform that nothing has
    (``image.platform``), FormatError (``limit.depth``) beyond 8 levels, and what the source raises.
    """
    walked = _Walk(source, platforms).all(root)
    documents = {document.digest: document for document in walked.own}
    repository = reference.repository
    lookups: list[Lookup] = []
    remarks: list[str] = []
    wave = list(documents.values())
    for _ in range(MAX_DEPTH + 1):
        if not wave:
            break
        after: dict[Digest, Document] = {}
        for answer in side_by_side(lambda document: _ask(repository, document, source), wave, jobs=jobs):
            lookups.append(answer.lookup)
            remarks += answer.remarks
            after |= {found.digest: found for found in answer.documents if found.digest not in documents}
        documents |= _with_children(source, after, documents)
        asked = {lookup.manifest for lookup in lookups}
        wave = [document for digest, document in documents.items() if digest not in asked]
    else:
        if wave:
            raise FormatError(f"evidence about {reference} is nested too deep", code=Code.LIMIT_DEPTH, wanted=f"at most {MAX_DEPTH} levels")
    has = walked.kept or _platform_of(source, root)
    _check_platforms(reference, has, walked.left_out, wanted=platforms)
    carried = Carried(
        reference=reference.carried,
        root=root.digest,
        documents=documents,
        own=tuple(document.digest for document in walked.own),
        lookups=tuple(lookups),
        platforms=_in_order(has, platforms),
        left_out=tuple(LeftOut(child.digest, str(child.platform) if child.platform else None) for child in walked.left_out),
    )
    _check_sizes(carried)
    return Survey(carried=replace(carried, absent=_not_served(carried, source, jobs=jobs)), source=source, remarks=tuple(remarks))


def survey_all(
    places: Places, images: Sequence[Wanted], cache: Cache, *, platforms: Sequence[Platform], jobs: int, say: Callable[[str], None]
) -> tuple[Survey, ...]:
    """Find the images, and everything about each. Raises as :meth:`Places.locate` and :func:`survey`."""

    def one(image: Wanted) -> Survey:
        located = places.locate(image)
        say(f"asking about {located.reference}")
        source = cache.before(located.source)
        return survey(located.reference, located.root, source, platforms=platforms, jobs=max(1, jobs // len(images)))

    return tuple(side_by_side(one, images, jobs=jobs))


def below(source: Source, root: Document) -> tuple[Document, ...]:
    """``root`` and every manifest and index below it, depth first. Raises as :func:`survey`."""
    return _Walk(source, ()).all(root).own


@dataclass(frozen=True, slots=True)
class _Walked:
    own: tuple[Document, ...]
    kept: tuple[Platform, ...]
    left_out: tuple[Descriptor, ...]


class _Walk:
    """The image's own documents, depth first, without the platforms that nobody asked for."""

    def __init__(self, source: Source, platforms: Sequence[Platform]) -> None:
        self._source = source
        self._platforms = platforms

    def all(self, root: Document) -> _Walked:
        own: dict[Digest, Document] = {}
        kept: dict[Platform, None] = {}
        left: dict[Digest, Descriptor] = {}
        waiting = [(root, 0)]
        while waiting:
            document, depth = waiting.pop()
            if document.digest in own:
                continue
            if depth > MAX_DEPTH:
                raise FormatError(f"{root.digest} nests indexes too deep", code=Code.LIMIT_DEPTH, wanted=f"at most {MAX_DEPTH} levels")
            own[document.digest] = document
            carried = [child for child in document.children if self._wants(child, document.children)]
            left |= {child.digest: child for child in document.children if child not in carried}
            kept |= {c.platform: None for c in carried if c.platform is not None and not _is_attestation(c)}
            waiting += [(fetched(self._source, child), depth + 1) for child in reversed(carried) if child.digest not in own]
        return _Walked(
            own=tuple(own.values()),
            kept=tuple(kept),
            left_out=tuple(child for digest, child in left.items() if digest not in own),
        )

    def _wants(self, child: Descriptor, siblings: Sequence[Descriptor]) -> bool:
        """In-index attestations go with the platform that they name; what names no platform is not chosen by it."""
        if not self._platforms:
            return True
        if _is_attestation(child):
            named = child.annotations.get(REFERENCE_DIGEST)
            return any(str(s.digest) == named and not _is_attestation(s) and self._wants(s, siblings) for s in siblings)
        return child.platform is None or any(wanted.covers(child.platform) for wanted in self._platforms)


def _is_attestation(child: Descriptor) -> bool:
    return child.annotations.get(REFERENCE_TYPE) == "attestation-manifest"


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
        raise IncompleteError(f"the manifest {child.digest} is listed, and not there", code=Code.BLOB_MISSING, next=_MISSING)
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


_MISSING = "the source is not whole: push the image there again, or leave platforms out with --platform"


@dataclass(frozen=True, slots=True)
class _Answer:
    lookup: Lookup
    documents: tuple[Document, ...]
    remarks: tuple[str, ...]


def _ask(repository: str, document: Document, source: Source) -> _Answer:
    """All five questions about one manifest (peers.md 5, rows A to G and J)."""
    digest = document.digest
    asked: dict[str, str] = {}
    found: dict[Found, None] = {}
    documents: dict[Digest, Document] = {}
    remarks: list[str] = []
    for form in TAGGED_FORMS:
        at = source.document(f"{digest.tag}.{form}")
        asked[form] = "absent" if at is None else "found"
        if at is not None:
            found[Found(at.digest, form)] = None
            documents[at.digest] = at
    answer = source.referrers(digest)
    asked["referrers"] = "no-api" if not answer.api else "found" if answer.listed else "absent"
    fallback = source.document(digest.tag)
    listed = list(answer.listed)
    match fallback:
        case None:
            asked["fallback"] = "absent"
        case Document(content=Index(children=children)):
            asked["fallback"] = "found"
            listed += children
        case _:  # cosign copy leaves an image there (peers.md 5, checklist 7)
            asked["fallback"] = "foreign"
            remarks.append(f"{digest.tag} is the place of a list of referrers and holds an image, {fallback.digest}")
    for descriptor in {d.digest: d for d in listed}.values():
        referrer = documents.get(descriptor.digest) or fetched(source, descriptor)
        if referrer.subject is None or referrer.subject.digest != digest:
            remarks.append(f"{descriptor.digest} is listed as referring to {digest}, and does not")
            continue
        found[Found(referrer.digest, Form.REFERRER)] = None
        documents[referrer.digest] = referrer
    lookup = Lookup(repository=repository, manifest=digest, asked=asked, found=tuple(found))
    return _Answer(lookup=lookup, documents=tuple(documents.values()), remarks=tuple(remarks))


def _with_children(source: Source, evidence: Mapping[Digest, Document], known: Mapping[Digest, Document]) -> dict[Digest, Document]:
    """Evidence may be an index; then it is whole only with what is below it."""
    got: dict[Digest, Document] = {}
    waiting = [(document, 0) for document in reversed(tuple(evidence.values()))]
    while waiting:
        document, depth = waiting.pop()
        if document.digest in got or document.digest in known:
            continue
        if depth > MAX_DEPTH:
            raise FormatError(f"{document.digest} nests indexes too deep", code=Code.LIMIT_DEPTH, wanted=f"at most {MAX_DEPTH} levels")
        got[document.digest] = document
        waiting += [(fetched(source, child), depth + 1) for child in reversed(document.children)]
    return got


def _platform_of(source: Source, root: Document) -> tuple[Platform, ...]:
    """What a single image's config says that it runs on; nothing where it is no image or says nothing."""
    if not isinstance(root.content, Manifest) or not root.content.tells_platform:
        return ()
    config = root.content.config
    return platform_in(gathered(config, source.chunks(config)))


def _in_order(has: Sequence[Platform], wanted: Sequence[Platform]) -> tuple[str, ...]:
    """First the one that ``docker load`` shall take: the first asked for, else the most usual."""
    first = wanted[0] if wanted else Platform("linux", "amd64")
    return tuple(dict.fromkeys(str(platform) for platform in sorted(has, key=lambda platform: not first.covers(platform))))


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
        for blob in document.blobs:
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
