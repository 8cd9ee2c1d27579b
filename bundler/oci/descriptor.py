"""Descriptors: what a document says of the content that it names (image-spec, descriptor.md)."""

import base64
import binascii
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bundler import strictjson
from bundler.errors import Code, FormatError, IntegrityError
from bundler.oci import mediatype
from bundler.oci.digest import Digest

MAX_SIZE = (1 << 53) - 1  # what every JSON parser reads exactly
_NOTHING: Mapping[str, str] = MappingProxyType({})

_PLATFORM = frozenset({"architecture", "os", "variant", "os.version", "os.features"})
_DESCRIPTOR = frozenset({"mediaType", "digest", "size", "artifactType", "annotations", "platform", "urls", "data"})

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_MEDIA_TYPE = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?", re.ASCII)  # it becomes a header: one line, as long as RFC 6838 allows


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on (image-spec, image-index.md, "platform"); the names are Go's."""

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parts = (self.os, self.architecture) + ((self.variant,) if self.variant is not None else ())
        if not all(_PART.fullmatch(part) for part in parts):
            raise FormatError(
                "a platform is not well-formed", code=Code.FORMAT_PLATFORM, found=ascii("/".join(parts)[:160]), wanted="OS/ARCH[/VARIANT]"
            )

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """From ``OS/ARCH[/VARIANT]``. Raises FormatError (``format.platform``)."""
        os, _, rest = text.partition("/")
        architecture, slash, variant = rest.partition("/")
        return cls(os, architecture, variant if slash else None)

    @classmethod
    def from_json(cls, value: Any) -> "Platform":
        """Raises FormatError (``format.platform``, ``format.manifest``)."""
        got = members_of(value, _PLATFORM, what="a platform")
        return cls(
            os=optional_text(got, "os") or "",
            architecture=optional_text(got, "architecture") or "",
            variant=optional_text(got, "variant"),
            os_version=optional_text(got, "os.version"),
            os_features=tuple(_texts(got.get("os.features"), "os.features")),
        )

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        value |= {"variant": self.variant} if self.variant is not None else {}
        value |= {"os.version": self.os_version} if self.os_version is not None else {}
        return value | ({"os.features": list(self.os_features)} if self.os_features else {})

    def covers(self, other: "Platform") -> bool:
        """Whether ``other`` is what was asked for by this: without a variant, any."""
        return (self.os, self.architecture) == (other.os, other.architecture) and self.variant in (None, other.variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Media type, digest and size in bytes of some content, with what else its document says of it."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=lambda: _NOTHING, hash=False)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Any) -> "Descriptor":
        """Raises FormatError (``format.manifest``, ``format.media-type``, ``format.digest``, ``format.json`` for a name in another
        case), and IntegrityError if the descriptor embeds other content than it describes.
        """
        got = members_of(value, _DESCRIPTOR, what="a descriptor")
        size = got.get("size")
        if type(size) is not int or not 0 <= size <= MAX_SIZE:
            raise FormatError("a descriptor's size is not well-formed", code=Code.FORMAT_MANIFEST, found=ascii(size)[:40])
        digest = Digest.parse(text_of(got, "digest"))
        _check_embedded(got, digest, size)
        return cls(
            media_type=_media_type(text_of(got, "mediaType")),
            digest=digest,
            size=size,
            artifact_type=media_type_of(got, "artifactType"),
            annotations=annotations_of(got),
            platform=_platform(got.get("platform")),
            urls=tuple(_texts(got.get("urls"), "urls")),
        )

    @classmethod
    def of(cls, data: bytes, media_type: str) -> "Descriptor":
        return cls(media_type=media_type, digest=Digest.of(data), size=len(data))

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        value |= {"artifactType": self.artifact_type} if self.artifact_type is not None else {}
        value |= {"annotations": dict(self.annotations)} if self.annotations else {}
        value |= {"platform": self.platform.to_json()} if self.platform else {}
        return value | ({"urls": list(self.urls)} if self.urls else {})

    @property
    def is_document(self) -> bool:
        """Whether it describes a manifest or an index. Of every other media type an index may list content too (image-spec,
        image-index.md, "manifests"), which is carried as a blob."""
        return self.media_type in mediatype.DOCUMENTS | mediatype.SCHEMA1

    @property
    def foreign(self) -> bool:
        """A layer that its registry need not have (image-spec, layer.md, "Non-Distributable Layers")."""
        return self.media_type in mediatype.FOREIGN_LAYERS

    def __str__(self) -> str:
        return str(self.digest)


def members_of(value: Any, known: Set[str], *, what: str) -> dict[str, Any]:
    """The members of a JSON object, none of whose names is one of ``known`` in another case."""
    if not isinstance(value, dict):
        raise FormatError(f"{what} is not an object", code=Code.FORMAT_MANIFEST, found=ascii(value)[:80])
    strictjson.check_names(value, known)
    return value


def annotations_of(members: Mapping[str, Any]) -> Mapping[str, str]:
    """The annotations among a document's or descriptor's members; absent and null are none."""
    value = members.get("annotations")
    if value is None:
        return _NOTHING
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise FormatError("annotations are not a map of strings", code=Code.FORMAT_MANIFEST, found=ascii(value)[:80])
    return MappingProxyType(value)


def media_type_of(members: Mapping[str, Any], name: str) -> str | None:
    """A media type among the members; absent, null and empty are none. Raises FormatError (``format.media-type``)."""
    value = optional_text(members, name)
    return None if value is None else _media_type(value)


def text_of(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise FormatError(f"{name} is not a string", code=Code.FORMAT_MANIFEST, found=ascii(value)[:80])
    return value


def optional_text(members: Mapping[str, Any], name: str) -> str | None:
    """Absent, null and empty are the same: Go writers leave out what is empty, others do not."""
    return text_of(members, name) if members.get(name) not in (None, "") else None


def _media_type(text: str) -> str:
    if not _MEDIA_TYPE.fullmatch(text):
        raise FormatError("a media type is not well-formed", code=Code.FORMAT_MEDIA_TYPE, found=ascii(text[:80]))
    return text


def _platform(value: Any) -> Platform | None:
    """Null is none, and so is a platform without a name of ours: artifacts in an index have none, and Go writes what is empty."""
    if value is None:
        return None
    try:
        return Platform.from_json(value)
    except FormatError as error:
        if error.code is not Code.FORMAT_PLATFORM:
            raise
        return None


def _texts(value: Any, name: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise FormatError(f"{name} is not a list of strings", code=Code.FORMAT_MANIFEST, found=ascii(value)[:80])
    return value


def _check_embedded(members: Mapping[str, Any], digest: Digest, size: int) -> None:
    """Content inside its descriptor (image-spec, descriptor.md, "data") is what a client may take instead of the blob."""
    text = optional_text(members, "data")
    if text is None:
        return
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("a descriptor's data is not base64", code=Code.FORMAT_MANIFEST, found=ascii(text[:40])) from error
    if base64.b64encode(data).decode() != text:
        raise FormatError("a descriptor's data is base64 in another spelling", code=Code.FORMAT_MANIFEST, found=ascii(text[-40:]))
    if len(data) != size:
        raise IntegrityError("a descriptor embeds content of another size", code=Code.CONTENT_SIZE, found=len(data), wanted=size)
    if (found := digest.same_kind_of(data)) != digest:
        raise IntegrityError("a descriptor embeds content of another digest", code=Code.CONTENT_DIGEST, found=found, wanted=digest)
