"""What a bundle holds, and in which order: it follows from images, lookups and documents (docs/spec/bundle-v1.md, sections 8, 9).

The writer asks :func:`compose` what to write; the reader, what should have been written, and takes nothing else.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TypeVar

from bundler import strictjson
from bundler.bundle.needs import Needs, check_digest, two_sizes
from bundler.bundle.seal import BLOBS, DERIVED, ImageEntry, Kind, Member, Outside, Seal
from bundler.errors import Code, FormatError, IntegrityError
from bundler.oci import graph, mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form, LeftOut, Lookup, looked_up
from bundler.oci.manifest import MAX_DOCUMENT, Document, Index, Manifest, check_other, platform_in
from bundler.oci.platforms import USUAL, is_attestation
from bundler.oci.reference import CONTAINERD_NAME, REF_NAME, Reference

OCI_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'

T = TypeVar("T", Member, Lookup, Outside)

Documents = Callable[[Digest, str | None], Document]
"""The document of that digest, which someone stated to be of that media type."""


@dataclass(frozen=True, slots=True)
class Walk:
    """All documents of an image, in the order of section 8."""

    own: tuple[Document, ...]
    """The root, and what is carried below it, depth first."""
    evidence: tuple[Document, ...]
    """What was found about these, or about one another, each with what is below it."""
    lookups: tuple[Lookup, ...]
    """One for each of the documents."""
    platforms: tuple[str, ...]
    """Those that indexes give for carried manifests."""
    left_out: tuple[LeftOut, ...]

    @property
    def documents(self) -> tuple[Document, ...]:
        return self.own + self.evidence


@dataclass(frozen=True, slots=True)
class Composition:
    """What follows from images and lookups: the rest of a seal, and the members that hold nothing of their own."""

    members: tuple[Member, ...]
    lookups: tuple[Lookup, ...]
    left_out: tuple[Outside, ...]
    elsewhere: tuple[Outside, ...]
    derived: Mapping[str, bytes]
    """The content of oci-layout, index.json and manifest.json, by name."""
    others: tuple[Descriptor, ...] = ()
    """What indexes list that is neither a manifest nor an index."""


def entry(
    reference: Reference,
    root: Document,
    document: Documents,
    *,
    left_out: Collection[Digest] = (),
    platforms: Sequence[str] = (),
    asked: Sequence[str] = (),
    lookups: Mapping[tuple[str, Digest], Lookup] | None = None,
) -> ImageEntry:
    """How a seal lists an image of which the children ``left_out`` are not carried, nor what of it ``lookups`` found.

    ``platforms`` are those that the config of a single manifest names; an index names its own. The first of ``asked`` that is
    there comes first, else linux/amd64. Raises as :func:`walk`.
    """
    own = _Own.below(root, left_out, document)
    has = tuple(own.platforms) if isinstance(root.content, Index) else tuple(dict.fromkeys(platforms))
    first = next((platform for platform in (*asked, str(USUAL)) if platform in has), None)
    made = ImageEntry(
        reference=reference.carried,
        digest=root.digest,
        media_type=root.descriptor.media_type,
        size=root.descriptor.size,
        platforms=tuple(sorted(has, key=lambda platform: platform != first)),
        left_out=tuple(own.left_out.values()),
    )
    if lookups is None:
        return made
    asked_for = replace(made, left_out=tuple(LeftOut(digest, None) for digest in left_out))
    return replace(made, left_out=walk(asked_for, lookups, document).left_out)


def walk(image: ImageEntry, lookups: Mapping[tuple[str, Digest], Lookup], document: Documents) -> Walk:
    """The documents of an image and of all evidence about it.

    Raises FormatError (``limit.depth``; ``format.seal`` where there is no lookup for one; ``format.digest``), IntegrityError
    (``content.size``), and what ``document`` raises.
    """
    left_out = {child.digest for child in image.left_out}
    own = _Own.below(document(image.digest, image.media_type), left_out, document)
    found, asked = dict(own.documents), list[Lookup]()
    waiting = [(digest, 0) for digest in found]
    for digest, depth in waiting:  # which grows
        lookup = lookups.get((image.reference.repository, digest))
        if lookup is None:
            raise FormatError("the seal does not say what was found about a manifest", code=Code.FORMAT_SEAL, wanted=digest)
        asked.append(lookup)
        for manifest in dict.fromkeys(piece.digest for piece in lookup.found):
            if manifest in found:
                continue
            if manifest in left_out:
                own.left_out.setdefault(manifest, LeftOut(manifest, None))
                continue
            if depth == graph.MAX_DEPTH:
                raise graph.too_deep(f"evidence about {image.reference} is nested")
            below = _Own.below(document(manifest, None), left_out, document, known=found)
            found |= below.documents
            own.left_out.update({digest: left for digest, left in below.left_out.items() if digest not in own.left_out})
            waiting += [(each, depth + 1) for each in below.documents]
    documents = tuple(found.values())
    return Walk(
        own=documents[: len(own.documents)],
        evidence=documents[len(own.documents) :],
        lookups=tuple(asked),
        platforms=tuple(own.platforms),
        left_out=tuple(own.left_out.values()),
    )


def compose(
    images: Sequence[ImageEntry],
    lookups: Iterable[Lookup],
    document: Documents,
    *,
    trust: Sequence[Member] = (),
    absent: Collection[Digest] = frozenset(),
    elsewhere: Collection[Digest] = frozenset(),
) -> Composition:
    """The layout of a bundle of these images.

    ``lookups`` may come in any order; those about other manifests than the images' are not used. ``trust`` are the members of
    that kind, ``absent`` the foreign layers that a source does not serve; one that is needed otherwise too is not left out.
    Of what the destination has ``elsewhere``, layers stay outside that no verdict depends on; all else is a member nevertheless.

    Raises as :func:`walk`; FormatError (``format.digest`` for content that SHA-256 does not name, ``format.seal`` for an image
    that its index contradicts), IntegrityError (``content.size`` for content of which two sizes are said).
    """
    known = looked_up(lookups)
    needs, index, docker = Needs(absent, elsewhere), _Listing(images), list[tuple[frozenset[Digest], bytes]]()
    for image in images:
        walked = walk(image, known, document)
        _check_image(image, walked)
        needs.add(walked.own, walked.evidence, {child.digest for child in walked.left_out})
        index.add(walked)
        docker += _docker(image, walked.own, absent, elsewhere)
    if there := needs.left_out.keys() & needs.kept:  # one source serves it, or one image has it as an ordinary layer
        return compose(images, known.values(), document, trust=trust, absent=set(absent) - there, elsewhere=elsewhere)
    outside = {each.digest for each in needs.elsewhere}
    listed = b",".join(entry for layers, entry in docker if not layers & outside)
    derived = dict(zip(DERIVED.values(), (OCI_LAYOUT, index.document(), b"[%b]" % listed), strict=True))
    return Composition(
        members=(
            *(Member(kind, len(derived[name]), Digest.of(derived[name]), name) for kind, name in DERIVED.items()),
            *needs.members(blobs=False),
            *sorted(trust, key=lambda member: member.path),
            *needs.members(blobs=True),
        ),
        lookups=tuple(index.lookups.values()),
        left_out=tuple(needs.left_out.values()),
        elsewhere=needs.elsewhere,
        derived=derived,
        others=tuple(needs.others.values()),
    )


def check(seal: Seal, document: Documents, config: Callable[[Descriptor], bytes]) -> None:
    """Refuse a seal that is not what its images, its lookups and the documents make it.

    ``config`` gives the config of a single manifest, which says its platform, and what indexes list beside manifests and indexes.

    Raises as :func:`compose` and ``config``; FormatError (``format.seal``, ``format.derived``), IntegrityError (``content.missing``,
    ``content.size``).
    """
    elsewhere = {each.digest for each in seal.elsewhere}

    def here(digest: Digest, media_type: str | None) -> Document:
        if digest in elsewhere:
            raise _not_elsewhere(digest)
        return document(digest, media_type)

    made = compose(
        seal.images,
        seal.lookups,
        here,
        trust=[member for member in seal.members if member.kind is Kind.TRUST],
        absent={foreign.digest for foreign in seal.left_out},
        elsewhere=elsewhere,
    )
    _check_elsewhere(seal.elsewhere, made.elsewhere)
    _check_members(seal.members, made.members)
    _same(seal.lookups, made.lookups, "a lookup")
    _same(seal.left_out, made.left_out, "a foreign layer")
    _same(seal.elsewhere, made.elsewhere, "a layer elsewhere")
    for other in made.others:
        check_other(other, config)
    for image in seal.images:
        root = document(image.digest, image.media_type).content
        if isinstance(root, Manifest):
            said = platform_in(config(root.config)) if root.tells_platform else ()
            _check_platforms(image, tuple(map(str, said)), "config")


@dataclass(frozen=True, slots=True)
class _Own:
    """A document and what is below it."""

    documents: dict[Digest, Document] = field(default_factory=dict)
    platforms: dict[str, None] = field(default_factory=dict)
    left_out: dict[Digest, LeftOut] = field(default_factory=dict)

    @classmethod
    def below(cls, root: Document, left_out: Collection[Digest], document: Documents, *, known: Collection[Digest] = ()) -> "_Own":
        own = cls()

        def children(descriptor: Descriptor) -> list[Descriptor]:
            here = own.documents[descriptor.digest] = root if descriptor is root.descriptor else _child(descriptor, document)
            for child in here.listed:
                platform = str(child.platform) if child.platform is not None and child.is_document else None
                if child.digest in left_out:
                    own.left_out.setdefault(child.digest, LeftOut(child.digest, platform))
                elif platform and not is_attestation(child):
                    own.platforms.setdefault(platform)
            return [child for child in here.children if child.digest not in left_out]

        graph.walk([root.descriptor], children, known=known, at_most=graph.MAX_DEPTH)
        return own


def _child(child: Descriptor, document: Documents) -> Document:
    """What an index lists, as it describes it: of that media type and of that size."""
    check_digest(child.digest)
    if child.size > MAX_DOCUMENT:
        raise FormatError(
            f"{child.digest} is too large a manifest", code=Code.LIMIT_DOCUMENT, found=child.size, wanted=f"at most {MAX_DOCUMENT}"
        )
    found = document(child.digest, child.media_type)
    if found.descriptor.size != child.size:
        raise two_sizes(child.digest, child.size, found.descriptor.size)
    return found


class _Listing:
    """``index.json``: the images by name, then the evidence in the order of the lookups."""

    def __init__(self, images: Iterable[ImageEntry]) -> None:
        self.lookups: dict[tuple[str, Digest], Lookup] = {}
        self._entries: list[bytes] = []
        self._names: dict[str, Digest] = {}
        self._listed: set[Digest] = set()
        for image in images:
            name = str(image.reference)
            self._names[name] = image.digest
            self._list(Descriptor(image.media_type, image.digest, image.size, annotations={CONTAINERD_NAME: name, REF_NAME: name}))

    def add(self, walked: Walk) -> None:
        documents = {document.digest: document for document in walked.documents}
        for lookup in walked.lookups:
            self.lookups[lookup.repository, lookup.manifest] = lookup
            for found in lookup.found:
                if found.digest not in documents:
                    continue  # it is left out
                if found.form is Form.REFERRER:
                    self._add_referrer(documents[found.digest])
                else:
                    self._add_tagged(documents[found.digest].descriptor, f"{lookup.repository}:{lookup.manifest.tag}.{found.form}")

    def document(self) -> bytes:
        """As canonical JSON, put together from entries that are spelt already: there may be very many."""
        return b'{"manifests":[%b],"mediaType":"%b","schemaVersion":2}' % (b",".join(self._entries), mediatype.OCI_INDEX.encode())

    def _add_tagged(self, described: Descriptor, name: str) -> None:
        if name not in self._names:
            self._names[name] = described.digest
            self._list(replace(described, annotations={REF_NAME: name}))
        elif self._names[name] != described.digest:  # an image is carried under the tag that is its neighbour's signature
            raise FormatError(
                f"the seal gives {name} to two manifests", code=Code.FORMAT_SEAL, found=f"{self._names[name]} and {described.digest}"
            )

    def _add_referrer(self, document: Document) -> None:
        if document.digest not in self._listed:
            self._list(replace(document.descriptor, artifact_type=document.content.kind))

    def _list(self, descriptor: Descriptor) -> None:
        self._listed.add(descriptor.digest)
        self._entries.append(strictjson.dumps(descriptor.to_json()))


def _docker(
    image: ImageEntry, own: Sequence[Document], absent: Collection[Digest], elsewhere: Collection[Digest]
) -> Iterator[tuple[frozenset[Digest], bytes]]:
    """The image's entry in manifest.json, as docker-archive readers know it, and which of its layers may lie ``elsewhere``; nothing if
    it has none."""
    listed = {child.digest: child for document in reversed(own) for child in reversed(document.children)}
    candidates = [
        (document.content, listed.get(document.digest))
        for document in own
        if isinstance(document.content, Manifest) and not (document.digest in listed and is_attestation(listed[document.digest]))
    ]
    candidates.sort(key=lambda each: each[1] is None or str(each[1].platform) not in image.platforms[:1])
    for manifest, _ in candidates[:1]:
        if manifest.is_image and not any(layer.foreign and layer.digest in absent for layer in manifest.layers):
            told = {
                "Config": BLOBS + manifest.config.digest.encoded,
                "Layers": [BLOBS + layer.digest.encoded for layer in manifest.layers],
                "RepoTags": [str(image.reference)] if image.reference.tag else [],
            }
            yield frozenset(layer.digest for layer in manifest.layers if layer.digest in elsewhere), strictjson.dumps(told)


def _check_image(image: ImageEntry, walked: Walk) -> None:
    if walked.left_out != image.left_out:
        raise FormatError(
            f"the seal leaves out other parts of {image.reference} than its indexes list",
            code=Code.FORMAT_SEAL,
            found=f"{len(image.left_out)} parts",
            wanted=f"{len(walked.left_out)} parts",
        )
    if isinstance(walked.own[0].content, Index):
        _check_platforms(image, walked.platforms, "index")


def _check_platforms(image: ImageEntry, wanted: Collection[str], what: str) -> None:
    if set(wanted) != set(image.platforms):
        raise FormatError(
            f"the seal gives {image.reference} other platforms than its {what}",
            code=Code.FORMAT_SEAL,
            found=ascii(", ".join(image.platforms))[1:-1] or "none",
            wanted=ascii(", ".join(wanted))[1:-1] or "none",
        )


def _check_elsewhere(found: Sequence[Outside], made: Sequence[Outside]) -> None:
    """What the seal says to lie elsewhere, against what may and is needed."""
    may = {each.digest: each for each in made}
    for each in found:
        if each.digest not in may:
            raise _not_elsewhere(each.digest)
        if each.size != may[each.digest].size:
            raise two_sizes(each.digest, may[each.digest].size, each.size)


def _not_elsewhere(digest: Digest) -> FormatError:
    return FormatError(
        "the seal says that something lies elsewhere which is not an image's own layer",
        code=Code.FORMAT_SEAL,
        found=digest,
        wanted="a layer that an image needs, and that is not read to judge one",
    )


def _check_members(found: Sequence[Member], made: Sequence[Member]) -> None:
    """The members of the seal against those that the documents need: first what is malformed, then what is not there."""
    has, needed = {member.key: member for member in found}, {member.key for member in made}
    for member in found:
        if member.key not in needed:
            raise FormatError(f"the seal lists {member.path}, which no image needs", code=Code.FORMAT_SEAL)
    for member, wanted in zip(found, made, strict=False):
        if wanted.kind in DERIVED and member != wanted:
            raise FormatError(
                f"{member.path} is not what the seal and the manifests make it",
                code=Code.FORMAT_DERIVED,
                found=member.digest,
                wanted=wanted.digest,
            )
    for wanted in made:
        if wanted.key not in has:
            raise IntegrityError(f"the bundle lacks a {wanted.kind} that an image needs", code=Code.CONTENT_MISSING, wanted=wanted.digest)
        if has[wanted.key].size != wanted.size:
            raise two_sizes(wanted.digest, wanted.size, has[wanted.key].size)
    _same(found, made, "a member")


def _same(found: Sequence[T], made: Sequence[T], what: str) -> None:
    if found == made:
        return
    has, wanted = next((one, other) for one, other in zip_longest(found, made) if one != other)
    raise FormatError(
        f"the seal lists {what} in another way than its images and the documents make it",
        code=Code.FORMAT_SEAL,
        found=None if has is None else ascii(has.to_json())[:300],
        wanted=None if wanted is None else ascii(wanted.to_json())[:300],
    )
