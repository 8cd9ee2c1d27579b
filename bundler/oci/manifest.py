"""Documents: manifests and indexes, as views on the bytes they came as. Nothing is ever encoded again.

A document that could be read as two things is refused (CVE-2021-41190): the media type that a descriptor or registry
states, the document's own, and its shape must agree.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bundler import strictjson
from bundler.errors import Code, FormatError, IntegrityError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor, Platform, annotations_of, media_type_of, members_of
from bundler.oci.digest import Digest

MAX_DOCUMENT = 4 << 20  # distribution-spec, "Pushing Manifests": registries should take at least 4 megabytes; few take more
MAX_LAYERS = 1_000  # the longest real images have 127, the longest lists of signatures a few hundred
MAX_CHILDREN = 20_000  # descriptors of manifests take 160 bytes or more, so 4 MiB cannot hold many more

_SHAPES = ("manifests", "layers", "config", "fsLayers", "signatures")
NAMES = frozenset({"schemaVersion", "mediaType", "artifactType", "subject", "annotations", *_SHAPES})

REFERENCE_TYPE = "vnd.docker.reference.type"  # BuildKit's attestations lie in the index, unsigned,
REFERENCE_DIGEST = "vnd.docker.reference.digest"  # beside the platform that they name


class UnreadableError(FormatError):
    """Bytes that are not a document of one kind, and their digest."""

    def __init__(self, digest: Digest, error: FormatError) -> None:
        what = f"the manifest {digest}: {error.what}"
        super().__init__(what, code=error.code, found=error.found, wanted=error.wanted, next=error.next)
        self.digest = digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest (image-spec, manifest.md; Docker's schema 2)."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None
    artifact_type: str | None
    annotations: Mapping[str, str] = field(hash=False)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        return (self.config, *self.layers)

    @property
    def is_image(self) -> bool:
        """Whether a runtime would take it for an image."""
        return self.config.media_type in mediatype.IMAGE_CONFIGS

    @property
    def tells_platform(self) -> bool:
        """Whether its config is read for the platform that it runs on: an image's, of at most MAX_DOCUMENT bytes."""
        return self.is_image and self.config.size <= MAX_DOCUMENT

    @property
    def kind(self) -> str:
        """Its artifact type, else its config's media type (distribution-spec, "Listing Referrers")."""
        return self.artifact_type or self.config.media_type


@dataclass(frozen=True, slots=True)
class Index:
    """An image index (image-spec, image-index.md; Docker's manifest list)."""

    listed: tuple[Descriptor, ...]
    """Everything that it lists, of whatever media type."""
    subject: Descriptor | None
    artifact_type: str | None
    annotations: Mapping[str, str] = field(hash=False)

    @property
    def kind(self) -> str | None:
        return self.artifact_type


@dataclass(frozen=True, slots=True)
class Document:
    """The bytes of a manifest or index, their descriptor, and what they say."""

    raw: bytes = field(repr=False)
    descriptor: Descriptor
    content: Manifest | Index

    @classmethod
    def parse(cls, raw: bytes, *, media_type: str | None = None, digest: Digest | None = None) -> "Document":
        """Read ``raw``, that someone described as ``media_type`` and, if given, asked for by ``digest``.

        Raises IntegrityError (``content.digest``, ``content.size``) for other bytes, there or embedded in a descriptor,
        UnreadableError (``format.json``, ``format.manifest``, ``format.media-type``, ``format.digest``, ``format.schema1``,
        ``limit.document``) for what is not a document of one kind.
        """
        if digest is not None and (found := digest.same_kind_of(raw)) != digest:
            raise IntegrityError("a manifest has other bytes than its digest", code=Code.CONTENT_DIGEST, found=found, wanted=digest)
        digest = digest or Digest.of(raw)
        try:
            members = members_of(strictjson.loads_document(raw, limit=MAX_DOCUMENT), NAMES, what="it")
            kind = _media_type(members, media_type)
            content = _index(members) if kind in mediatype.INDEXES else _manifest(members)
        except FormatError as error:
            raise UnreadableError(digest, error) from error
        return cls(raw=raw, descriptor=Descriptor(media_type=kind, digest=digest, size=len(raw)), content=content)

    @property
    def digest(self) -> Digest:
        return self.descriptor.digest

    @property
    def children(self) -> tuple[Descriptor, ...]:
        """The manifests and indexes that an index lists; nothing for a manifest."""
        return tuple(child for child in self.listed if child.is_document)

    @property
    def listed(self) -> tuple[Descriptor, ...]:
        """Everything that an index lists; nothing for a manifest."""
        return self.content.listed if isinstance(self.content, Index) else ()

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Config and layers of a manifest; nothing for an index."""
        return self.content.blobs if isinstance(self.content, Manifest) else ()

    @property
    def others(self) -> tuple[Descriptor, ...]:
        """What an index lists that is neither a manifest nor an index; nothing for a manifest."""
        return tuple(child for child in self.listed if not child.is_document)

    @property
    def carries(self) -> tuple[Descriptor, ...]:
        """The blobs that travel with it."""
        return self.blobs or self.others

    @property
    def subject(self) -> Descriptor | None:
        return self.content.subject

    @property
    def as_referrer(self) -> Descriptor:
        """Its descriptor as the referrers API and the fallback index list it (distribution-spec, "Listing Referrers")."""
        return Descriptor(
            media_type=self.descriptor.media_type,
            digest=self.digest,
            size=self.descriptor.size,
            artifact_type=self.content.kind,
            annotations=self.content.annotations,
        )


def check_other(other: Descriptor, read: Callable[[Descriptor], bytes]) -> None:
    """Refuse content that an index lists as of another media type and that somebody could take for a manifest or an index: some
    clients go by the list, and some by the bytes. ``read`` gives it; of more than MAX_DOCUMENT bytes nobody reads a document.

    Raises FormatError (``format.media-type``), and what ``read`` raises.
    """
    if other.size <= MAX_DOCUMENT and _could_be_read(read(other)):
        raise FormatError(
            f"{other.digest} is listed as another thing than a manifest and reads as one",
            code=Code.FORMAT_MEDIA_TYPE,
            found=ascii(other.media_type)[1:-1],
            wanted=" or ".join(sorted(mediatype.DOCUMENTS)),
        )


def _could_be_read(raw: bytes) -> bool:
    """Whether it is an object of JSON with the members of a document, in whatever case. Where JSON is not strict, others read more."""
    if not raw.lstrip(b" \t\r\n\xef\xbb\xbf").startswith(b"{"):
        return False
    try:
        names = {name.casefold() for name in strictjson.loads(raw, limit=MAX_DOCUMENT, predicate=True)}
    except FormatError:
        return True
    return not names.isdisjoint({"manifests", "fslayers"}) or {"config", "layers"} <= names


def is_version_2(members: Mapping[str, Any]) -> bool:
    """Whether a document says that it is of the one ``schemaVersion`` there is: the integer, for 2.0 is none to Go."""
    version = members.get("schemaVersion")
    return type(version) is int and version == 2


def platform_in(config: bytes) -> tuple[Platform, ...]:
    """What an image config says that it runs on (image-spec, config.md); configs are opaque, so nothing is a fine answer."""
    try:
        value = strictjson.loads(config, limit=MAX_DOCUMENT, predicate=True)
        return (Platform.from_json(value),)
    except FormatError:
        return ()


def _media_type(members: Mapping[str, Any], stated: str | None) -> str:
    """The one media type that the statement of others, the document's own and its shape allow."""
    own = media_type_of(members, "mediaType")
    shape = {name for name in _SHAPES if members.get(name) is not None}
    if members.get("schemaVersion") == 1 or "fsLayers" in shape or {own, stated} & mediatype.SCHEMA1:
        raise FormatError(
            "a Docker schema 1 manifest cannot be carried",
            code=Code.FORMAT_SCHEMA1,
            wanted="an OCI or Docker schema 2 manifest",
            next="push the image again with a current tool, which converts it, and sign that",
        )
    if not is_version_2(members):
        raise FormatError("a manifest's schemaVersion is not 2", code=Code.FORMAT_MANIFEST, found=ascii(members.get("schemaVersion"))[:40])
    if own is not None and stated is not None and own != stated:
        raise FormatError("a manifest is of another media type than stated", code=Code.FORMAT_MEDIA_TYPE, found=own, wanted=ascii(stated))
    wanted = {"manifests"} if "manifests" in shape else {"config", "layers"}
    if shape != wanted:
        raise FormatError(
            "a manifest is neither an image nor an index",
            code=Code.FORMAT_MANIFEST,
            found=f"members {sorted(shape)}",
            wanted="either manifests, or config and layers",
        )
    kind = own or stated or (mediatype.OCI_INDEX if "manifests" in shape else mediatype.OCI_MANIFEST)
    if kind not in (mediatype.INDEXES if "manifests" in shape else mediatype.MANIFESTS):
        raise FormatError(
            "a manifest's media type does not fit its form",
            code=Code.FORMAT_MEDIA_TYPE,
            found=ascii(kind)[1:-1],
            wanted=" or ".join(sorted(mediatype.INDEXES if "manifests" in shape else mediatype.MANIFESTS)),
        )
    return kind


def _manifest(members: Mapping[str, Any]) -> Manifest:
    return Manifest(
        config=Descriptor.from_json(members["config"]),
        layers=_descriptors(members["layers"], limit=MAX_LAYERS),
        subject=_subject(members),
        artifact_type=media_type_of(members, "artifactType"),
        annotations=annotations_of(members),
    )


def _index(members: Mapping[str, Any]) -> Index:
    return Index(
        listed=_descriptors(members["manifests"], limit=MAX_CHILDREN),
        subject=_subject(members),
        artifact_type=media_type_of(members, "artifactType"),
        annotations=annotations_of(members),
    )


def _subject(members: Mapping[str, Any]) -> Descriptor | None:
    return Descriptor.from_json(members["subject"]) if members.get("subject") is not None else None


def _descriptors(value: Any, *, limit: int) -> tuple[Descriptor, ...]:
    if not isinstance(value, list):
        raise FormatError("a manifest's list of descriptors is not a list", code=Code.FORMAT_MANIFEST, found=ascii(value)[:80])
    if len(value) > limit:
        raise FormatError("a manifest lists too much", code=Code.LIMIT_DOCUMENT, found=len(value), wanted=f"at most {limit} descriptors")
    return tuple(Descriptor.from_json(item) for item in value)
