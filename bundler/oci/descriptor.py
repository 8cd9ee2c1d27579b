"""Descriptors: what a document says of the content that it names (image-spec, descriptor.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bundler.errors import Code, FormatError
from bundler.oci import mediatype
from bundler.oci.digest import Digest

MAX_SIZE = (1 << 53) - 1  # what every JSON parser reads exactly
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on (image-spec, image-index.md, "platform"); the names are Go's."""

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """From ``OS/ARCH[/VARIANT]``. Raises FormatError."""
        match text.split("/"):
            case [os, architecture] if os and architecture:
                return cls(os, architecture)
            case [os, architecture, variant] if os and architecture and variant:
                return cls(os, architecture, variant)
        raise FormatError("a platform is not well-formed", code=Code.USAGE, found=ascii(text), wanted="OS/ARCH[/VARIANT]")

    @classmethod
    def from_json(cls, value: Any) -> "Platform":
        got = _members(value, "platform")
        return cls(
            os=text_of(got, "os"),
            architecture=text_of(got, "architecture"),
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
        """Raises FormatError (``format.manifest``, ``format.digest``)."""
        got = _members(value, "descriptor")
        size = got.get("size")
        if type(size) is not int or not 0 <= size <= MAX_SIZE:
            raise FormatError("a descriptor's size is not well-formed", code=Code.FORMAT_MANIFEST, found=ascii(size)[:40])
        return cls(
            media_type=text_of(got, "mediaType"),
            digest=Digest.parse(text_of(got, "digest")),
            size=size,
            artifact_type=optional_text(got, "artifactType"),
            annotations=annotations_of(got),
            platform=Platform.from_json(got["platform"]) if got.get("platform") is not None else None,
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
    def foreign(self) -> bool:
        """A layer that its registry need not have (image-spec, layer.md, "Non-Distributable Layers")."""
        return self.media_type in mediatype.FOREIGN_LAYERS

    def __str__(self) -> str:
        return str(self.digest)


def annotations_of(members: Mapping[str, Any]) -> Mapping[str, str]:
    """The annotations among a document's or descriptor's members; absent and null are none."""
    value = members.get("annotations")
    if value is None:
        return _NOTHING
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise FormatError("annotations are not a map of strings", code=Code.FORMAT_MANIFEST, found=ascii(value)[:80])
    return MappingProxyType(value)


def text_of(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise FormatError(f"{name} is not a string", code=Code.FORMAT_MANIFEST, found=ascii(value)[:80])
    return value


def optional_text(members: Mapping[str, Any], name: str) -> str | None:
    """Absent, null and empty are the same: Go writers leave out what is empty, others do not."""
    return text_of(members, name) if members.get(name) not in (None, "") else None


def _texts(value: Any, name: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise FormatError(f"{name} is not a list of strings", code=Code.FORMAT_MANIFEST, found=ascii(value)[:80])
    return value


def _members(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(f"a {what} is not an object", code=Code.FORMAT_MANIFEST, found=ascii(value)[:80])
    return value
