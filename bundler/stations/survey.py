"""What an image is made of, and everything that vouches for it, as its source tells.

Every manifest is asked about: the root, each platform, nested indexes, and each piece of evidence itself, for that may
be signed too. Absent is only what the source says is absent; any other answer ends the run, so that a registry in
trouble never looks like "there is no signature".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bundler import strictjson
from bundler.content.store import Source
from bundler.content.stream import gathered, side_by_side
from bundler.errors import BundlerError, Code, FormatError, IncompleteError, IntegrityError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, REFERENCE_DIGEST, REFERENCE_TYPE, Document, Index, Manifest
from bundler.oci.reference import Reference
from bundler.trust.evidence import Form

MAX_DEPTH = 8  # indexes in indexes, evidence on evidence: real ones reach 3 (a signature of an SBOM of a platform)

TAGGED_FORMS = (Form.SIG, Form.ATT, Form.SBOM)


@dataclass(frozen=True, slots=True)
class Found:
    """One piece of evidence, and by which way it was found."""

    digest: Digest
    form: Form


@dataclass(frozen=True, slots=True)
class Lookup:
    """What was asked about one manifest, what was answered, and what was found."""

    manifest: Digest
    asked: Mapping[str, str]
    """``sig``, ``att``, ``sbom``, ``referrers``, ``fallback``: each ``found``, ``absent``, ``no-api`` or ``foreign``."""
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """An image under the name it will be carried by, with all its documents and where they were found."""

    reference: Reference
    source: Source
    root: Document
    documents: dict[Digest, Document]
    """All carried ones: the image's own depth first, then evidence in the order found."""
    own: tuple[Digest, ...]
    """The image's own documents: the root and what is below it."""
    platforms: tuple[Platform, ...]
    left_out: tuple[Descriptor, ...]
    """Children of its indexes that were not asked for."""
    lookups: tuple[Lookup, ...]
    foreign: frozenset[Digest] = frozenset()
    """Foreign layers that the source does not serve."""
    remarks: tuple[str, ...] = ()

    @property
    def evidence(self) -> tuple[Document, ...]:
        """The manifests found about the image, its parts, or one another."""
        own = set(self.own)
        return tuple(document for digest, document in self.documents.items() if digest not in own)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Every blob to be carried, once, in the order of the documents."""
        once = {blob.digest: blob for document in self.documents.values() for blob in document.blobs if blob.digest not in self.foreign}
        return tuple(once.values())

    @property
    def is_signed(self) -> bool:
        """Whether anything signed is there: a ``.sig``, an ``.att``, a Sigstore bundle or a Notation envelope."""
        return any(
            isinstance(document.content, Manifest)
            and any(t.startswith(mediatype.SIGNED) for t in (document.content.kind, *(layer.media_type for layer in document.content.layers)))
            for document in self.evidence
        )


def survey(
    reference: Reference, root: Document, source: Source, *, platforms: Sequence[Platform] = (), jobs: int = 4
) -> Survey:
    """Walk ``root`` in ``source`` and ask about every manifest met.

    Raises IncompleteError for what the source lacks (``blob.missing``) and for a platform that nothing has
    (``image.platform``), FormatError (``limit.depth``) beyond 8 levels, and what the source raises.
    """
    walked = _Walk(source, platforms).all(root)
    documents = {document.digest: document for document in walked.own}
    lookups: list[Lookup] = []
    remarks: list[str] = []
    wave = list(documents.values())
    for _ in range(MAX_DEPTH + 1):
        if not wave:
            break
        after: dict[Digest, Document] = {}
        for answer in side_by_side(lambda document: _ask(source, document), wave, jobs=jobs):
            lookups.append(answer.lookup)
            remarks += answer.remarks
            after |= {found.digest: found for found in answer.documents if found.digest not in documents}
        documents |= _with_children(source, after, documents)
        asked = {lookup.manifest for lookup in lookups}
        wave = [document for digest, document in documents.items() if digest not in asked]
    else:
        if wave:
            raise FormatError(f"evidence about {reference} is nested too deep", code=Code.LIMIT_DEPTH, wanted=f"at most {MAX_DEPTH} levels")
    result = Survey(
        reference=reference,
        source=source,
        root=root,
        documents=documents,
        own=tuple(document.digest for document in walked.own),
        platforms=walked.kept or _platform_of(source, root),
        left_out=walked.left_out,
        lookups=tuple(lookups),
        remarks=tuple(remarks),
    )
    _check_platforms(result, platforms)
    _check_sizes(result)
    return replace(result, foreign=_not_served(result, jobs=jobs))


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
        raise FormatError(f"{child.digest} is too large a manifest", code=Code.LIMIT_DOCUMENT, found=child.size, wanted=f"at most {MAX_DOCUMENT}")
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


def _ask(source: Source, document: Document) -> _Answer:
    """All five questions about one manifest (peers.md 5, rows A to G and J)."""
    digest = document.digest
    asked: dict[str, str] = {}
    found: dict[Digest, Form] = {}
    documents: dict[Digest, Document] = {}
    remarks: list[str] = []
    for form in TAGGED_FORMS:
        at = source.document(f"{digest.tag}.{form}")
        asked[form] = "absent" if at is None else "found"
        if at is not None:
            found.setdefault(at.digest, form)
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
        found.setdefault(referrer.digest, Form.REFERRER)
        documents[referrer.digest] = referrer
    lookup = Lookup(manifest=digest, asked=asked, found=tuple(Found(d, f) for d, f in found.items()))
    return _Answer(lookup=lookup, documents=tuple(documents.values()), remarks=tuple(remarks))


def _with_children(source: Source, evidence: Mapping[Digest, Document], known: Mapping[Digest, Document]) -> dict[Digest, Document]:
    """Evidence may be an index; then it is whole only with what is below it."""
    got: dict[Digest, Document] = {}
    waiting = [(document, 0) for document in reversed(evidence.values())]
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
    if not isinstance(root.content, Manifest) or not root.content.is_image or root.content.config.size > MAX_DOCUMENT:
        return ()
    config = root.content.config
    return platform_in(gathered(config, source.chunks(config)))


def platform_in(config: bytes) -> tuple[Platform, ...]:
    """What an image config says that it runs on (image-spec, config.md); configs are opaque, so nothing is a fine answer."""
    try:
        value = strictjson.loads(config, limit=MAX_DOCUMENT, predicate=True)
        return (Platform.from_json(value),)
    except BundlerError:
        return ()


def _check_platforms(result: Survey, wanted: Sequence[Platform]) -> None:
    for platform in wanted:
        if not any(platform.covers(has) for has in result.platforms):
            raise IncompleteError(
                f"{result.reference} has no such platform",
                code=Code.IMAGE_PLATFORM,
                found=", ".join(sorted({str(p) for p in result.platforms} | {str(c.platform) for c in result.left_out if c.platform})) or "none",
                wanted=str(platform),
            )


def _check_sizes(result: Survey) -> None:
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


def _not_served(result: Survey, *, jobs: int) -> frozenset[Digest]:
    """Foreign layers lie elsewhere, and nothing here follows their URLs; one that the source has all the same travels."""
    foreign = [blob for blob in result.blobs if blob.foreign]
    there = side_by_side(result.source.has, foreign, jobs=jobs)
    return frozenset(blob.digest for blob, has in zip(foreign, there, strict=True) if not has)
