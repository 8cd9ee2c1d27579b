"""What a seal says: an in-toto statement about ``index.json``, in one spelling (docs/spec/bundle-v1.md, section 7).

A seal is checked for whatever it can contradict by itself. It is read by :mod:`bundler.bundle.payload`, and what it says of
documents is compared with them by :mod:`bundler.bundle.composition`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from bundler import strictjson
from bundler.bundle.sealenvelope import MAX_SEAL
from bundler.errors import BundlerError, Code, FormatError, IntegrityError
from bundler.oci import mediatype
from bundler.oci.descriptor import MAX_SIZE, Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import ASKED, WAYS, LeftOut, Lookup
from bundler.oci.reference import Reference

FORMAT = 1
SEAL = "oci-bundler/seal.json"
PREDICATE_TYPE = "urn:oci-bundler:bundle:v1"
BLOBS = "blobs/sha256/"
TRUST = "oci-bundler/evidence/"
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)

MAX_IMAGES = 50_000  # names, five times as many as a bundle is made for: 110,000 of one image took 300 MiB of memory
MAX_ENTRY = 4 << 20  # bytes of an image or a lookup: it follows from one manifest or index, and registries take no longer ones
MAX_PLATFORMS = 20_000  # different ones: an index has no more children (section 12), and real ones have some twenty platforms

_STATEMENT = "https://in-toto.io/Statement/v1"
_BY_DIGEST = re.compile(r"(?:blobs/sha256|oci-bundler/evidence)/([0-9a-f]{64})(?:\.[a-z]+)?", re.ASCII)
_TRUST_NAME = re.compile(r"oci-bundler/evidence/([0-9a-f]{64})\.(?:pub|crt|json|bin)", re.ASCII)


class Kind(StrEnum):
    """What a member is for."""

    LAYOUT = "layout"
    INDEX = "index"
    DOCKER = "docker"
    DOCUMENT = "document"
    CONFIG = "config"
    EVIDENCE = "evidence"
    TRUST = "trust"
    BLOB = "blob"


DERIVED = MappingProxyType({Kind.LAYOUT: "oci-layout", Kind.INDEX: "index.json", Kind.DOCKER: "manifest.json"})
"""The members that are made from the rest, in the order in which they lead."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the bundle: what it is for, its size in bytes, its digest, and its name where that is not made of the digest."""

    kind: Kind
    size: int
    digest: Digest
    name: str | None = None

    @property
    def path(self) -> str:
        """Its name in the tar."""
        return self.name or BLOBS + self.digest.encoded

    @property
    def key(self) -> str:
        """What it is looked up by: its name or, where that is made of the digest, the hex of that."""
        return self.name or self.digest.encoded

    @property
    def blob(self) -> Descriptor:
        """Digest and size as what ``verified`` takes."""
        return Descriptor("application/octet-stream", self.digest, self.size)

    def to_json(self) -> dict[str, Any]:
        name = {"name": self.name} if self.name is not None else {}
        return {"kind": str(self.kind), "sha256": self.digest.encoded, "size": self.size} | name


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image: its name, the descriptor of its root, and what is carried of it."""

    reference: Reference
    """As carried: with a tag, or else with its digest."""
    digest: Digest
    media_type: str
    size: int
    platforms: tuple[str, ...] = ()
    """``OS/ARCH[/VARIANT]`` each; the first is the one for manifest.json."""
    left_out: tuple[LeftOut, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": str(self.reference),
            "digest": str(self.digest),
            "mediaType": self.media_type,
            "size": self.size,
            "platforms": list(self.platforms),
            "left_out": [child.to_json() for child in self.left_out],
        }


@dataclass(frozen=True, slots=True)
class Outside:
    """A layer of a carried manifest that is not in the bundle: a foreign one that its source does not serve, or one elsewhere."""

    digest: Digest
    media_type: str
    size: int

    def to_json(self) -> dict[str, Any]:
        return {"digest": str(self.digest), "mediaType": self.media_type, "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The predicate. There is none that contradicts itself.

    To make one raises FormatError (``format.seal``, ``format.reference``, ``format.media-type``, ``limit.seal``), IntegrityError
    (``content.digest``, ``content.size``, ``content.missing``) where what it says of content cannot be true.
    """

    stream: str
    sequence: int
    previous: Digest | None = None
    station: str | None = None
    base: tuple[Digest, ...] = ()
    """The bundles that brought what lies ``elsewhere``, in the order of their identities; none where nothing does."""
    requires_trust: int | None = None
    created: datetime
    """In whole seconds, with a zone."""
    expires: datetime | None = None
    checked_with: Digest | None = None
    images: tuple[ImageEntry, ...]
    members: tuple[Member, ...] = field(repr=False)
    """All but the seal, in the order of the tar."""
    lookups: tuple[Lookup, ...] = field(repr=False)
    left_out: tuple[Outside, ...] = ()
    """Foreign layers that the source does not serve."""
    elsewhere: tuple[Outside, ...] = field(default=(), repr=False)
    """Layers that the destination has already, or that earlier bundles bring."""

    def __post_init__(self) -> None:
        _check_fields(self)
        _check_images(self.images)
        _check_members(self.members)
        _check_elsewhere(self)
        _check_roots(self.images, self.members)
        _check_lookups(self.lookups, {image.reference.repository for image in self.images})
        _no_twice((foreign.digest for foreign in self.left_out), "left_out")

    def statement(self) -> bytes:
        """The payload that is signed. Raises FormatError (``limit.seal``)."""
        payload = b"".join(self._spelling())
        if len(payload) > MAX_SEAL:
            raise FormatError(
                "the seal would be over its limit",
                code=Code.LIMIT_SEAL,
                found=f"{len(payload)} bytes",
                wanted=f"at most {MAX_SEAL}",
                next="split the list of images over two bundles",
            )
        return payload

    def is_spelt(self, payload: bytes) -> bool:
        """Whether that is the payload, compared piece by piece: it is not made a second time."""
        at = 0
        for piece in self._spelling():
            if not payload.startswith(piece, at):
                return False
            at += len(piece)
        return at == len(payload)

    def predicate(self) -> dict[str, Any]:
        """The predicate as the value of its JSON."""
        return {name: list(value) if isinstance(value, map) else value for name, value in self._fields().items()}

    def _spelling(self) -> Iterator[bytes]:
        index = next(member for member in self.members if member.kind is Kind.INDEX)
        return _spelt(statement(self._fields(), index.digest))

    def _fields(self) -> dict[str, Any]:
        """The predicate, its long lists yet to be made. That of a whole bundle has nothing of deltas in it."""
        delta = {"base": map(str, self.base), "elsewhere": map(Outside.to_json, self.elsewhere)} if self.elsewhere else {"base": None}
        return {
            "format": FORMAT,
            "stream": self.stream,
            "sequence": self.sequence,
            "previous": _text(self.previous),
            "station": self.station,
            "requires_trust": self.requires_trust,
            "created": time(self.created),
            "expires": None if self.expires is None else time(self.expires),
            "checked_with": _text(self.checked_with),
            "images": map(ImageEntry.to_json, self.images),
            "members": map(Member.to_json, self.members),
            "lookups": map(Lookup.to_json, self.lookups),
            "left_out": map(Outside.to_json, self.left_out),
        } | delta


def statement(predicate: Mapping[str, Any], index: Digest) -> dict[str, Any]:
    """The in-toto statement of a predicate about the ``index.json`` of that digest."""
    return {
        "_type": _STATEMENT,
        "predicate": predicate,
        "predicateType": PREDICATE_TYPE,
        "subject": [{"digest": {index.algorithm: index.encoded}, "name": DERIVED[Kind.INDEX]}],
    }


def time(at: datetime) -> str:
    """The one spelling of a time in a seal."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _spelt(value: Any) -> Iterator[bytes]:
    """``value`` as canonical JSON, in pieces, so that nobody holds a hundred thousand dicts."""
    if isinstance(value, dict):
        for number, name in enumerate(sorted(value)):
            yield (b"," if number else b"{") + strictjson.dumps(name) + b":"
            yield from _spelt(value[name])
        yield b"}"
    elif isinstance(value, map):
        yield b"["
        for number, item in enumerate(value):
            spelt = strictjson.dumps(item)
            if len(spelt) > MAX_ENTRY:
                raise FormatError("the seal has too long an entry", code=Code.LIMIT_SEAL, found=len(spelt), wanted=f"at most {MAX_ENTRY}")
            yield (b"," if number else b"") + spelt
        yield b"]"
    else:
        yield strictjson.dumps(value)


def _text(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)


def _check_fields(seal: Seal) -> None:
    if not STREAM.fullmatch(seal.stream):
        raise refuse("stream is not well-formed", found=ascii(seal.stream)[:80], wanted="1 to 64 letters, digits, dots, _ and -")
    if not 0 <= seal.sequence <= MAX_SIZE:
        raise refuse("sequence is not well-formed", found=seal.sequence, wanted="0 to 2^53 - 1")
    if seal.station is not None and not 0 < len(seal.station) <= 255:
        raise refuse("station is not well-formed", found=ascii(seal.station)[:80], wanted="1 to 255 characters")
    if seal.requires_trust is not None and not 1 <= seal.requires_trust <= MAX_SIZE:
        raise refuse("requires_trust is not well-formed", found=seal.requires_trust, wanted="a serial, 1 or more")
    for at in (seal.created, seal.expires):
        if at is not None and (at.tzinfo is None or at.microsecond):
            raise refuse("a time has no zone, or parts of a second", found=at)


def _check_images(images: Sequence[ImageEntry]) -> None:
    if not images:
        raise refuse("it has no image")
    platforms = {platform for image in images for platform in image.platforms}
    platforms |= {child.platform for image in images for child in image.left_out if child.platform is not None}
    if len(platforms) > MAX_PLATFORMS:
        raise too_many_platforms()
    if len(images) > MAX_IMAGES:
        raise FormatError(
            "the seal has too many images",
            code=Code.LIMIT_SEAL,
            found=len(images),
            wanted=f"at most {MAX_IMAGES}",
            next="split the list of images over two bundles",
        )
    _no_twice((image.reference for image in images), "images")
    for image in images:
        if image.reference.names_evidence:  # else a signature could be carried as an image, or an image in place of one
            raise FormatError(
                "the seal gives an image the name of evidence",
                code=Code.FORMAT_REFERENCE,
                found=image.reference,
                wanted="a tag that is not ALGORITHM-DIGEST, with or without an ending",
            )
        if image.reference != image.reference.carried or image.reference.digest not in (None, image.digest):
            raise refuse("a reference has a tag and a digest, or another digest than its image", found=image.reference, wanted=image.digest)
        if image.media_type not in mediatype.DOCUMENTS:
            raise FormatError(
                f"{image.reference} is not an image",
                code=Code.FORMAT_MEDIA_TYPE,
                found=ascii(image.media_type)[1:-1][:80],
                wanted="a manifest or index",
            )
        _no_twice(image.platforms, f"platforms of {image.reference}")
        _no_twice((child.digest for child in image.left_out), f"left_out of {image.reference}")


def _check_members(members: Sequence[Member]) -> None:
    if [(member.kind, member.name) for member in members[: len(DERIVED)]] != list(DERIVED.items()):
        raise refuse("its members do not begin with oci-layout, index.json and manifest.json")
    for member in members[len(DERIVED) :]:
        match member.kind, member.name:
            case (Kind.DOCUMENT | Kind.CONFIG | Kind.EVIDENCE | Kind.BLOB, None):
                continue
            case (Kind.TRUST, str(name)) if (named := _TRUST_NAME.fullmatch(name)) and named[1] == member.digest.encoded:
                continue
            case (_, str(name)) if (named := _BY_DIGEST.fullmatch(name)) and named[1] != member.digest.encoded:
                raise IntegrityError(
                    f"{name} has other bytes than its name says", code=Code.CONTENT_DIGEST, found=member.digest, wanted=f"sha256:{named[1]}"
                )
        raise refuse(f"a {member.kind} has a name that is not its", found=ascii(member.name)[:200])
    _no_twice((member.key for member in members), "members")


def _check_elsewhere(seal: Seal) -> None:
    _no_twice((each.digest for each in seal.elsewhere), "elsewhere")
    if list(seal.base) != sorted(set(seal.base), key=str):
        raise refuse("base is not in order, or has something twice", found=", ".join(map(str, seal.base))[:300])
    if bool(seal.base) is not bool(seal.elsewhere):
        raise refuse("it has a base and nothing elsewhere, or the other way round", found=f"{len(seal.base)} and {len(seal.elsewhere)}")
    if not seal.elsewhere:
        return
    here = {member.digest for member in seal.members if member.name is None} | {image.digest for image in seal.images}
    for each in seal.elsewhere:
        if each.digest in here:
            raise refuse("it says that something lies elsewhere which is a member, or is an image", found=each.digest)


def _check_roots(images: Sequence[ImageEntry], members: Sequence[Member]) -> None:
    sizes = {member.digest: member.size for member in members if member.kind is Kind.DOCUMENT}
    for image in images:
        if image.digest not in sizes:
            raise IntegrityError(f"{image.reference} is not among the members", code=Code.CONTENT_MISSING, wanted=image.digest)
        if sizes[image.digest] != image.size:
            raise IntegrityError(
                f"{image.reference} has another size than its member", code=Code.CONTENT_SIZE, found=image.size, wanted=sizes[image.digest]
            )


def _check_lookups(lookups: Sequence[Lookup], repositories: set[str]) -> None:
    _no_twice(((lookup.repository, lookup.manifest) for lookup in lookups), "lookups")
    for lookup in lookups:
        if lookup.repository not in repositories:
            raise refuse("a lookup is about a repository of which no image is carried", found=ascii(lookup.repository)[:300])
        if lookup.asked.keys() != ASKED.keys() or not all(lookup.asked[way] in answers for way, answers in ASKED.items()):
            raise refuse("a lookup has answers that are not known", found=ascii(dict(lookup.asked))[:200])
        _no_twice(lookup.found, "found")
        for found in lookup.found:
            if not any(lookup.asked[way] == "found" for way in WAYS[found.form]):
                raise refuse("a lookup found something in a form of which it says that there is none", found=ascii(found.form)[:80])


def _no_twice(values: Iterable[object], where: str) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise refuse(f"{where} has something twice", found=ascii(str(value))[1:-1][:300])
        seen.add(value)


def too_many_platforms() -> FormatError:
    return FormatError("the seal has too many platforms", code=Code.LIMIT_SEAL, wanted=f"at most {MAX_PLATFORMS}")


def refuse(what: str, *, found: object = None, wanted: object = None) -> BundlerError:
    return FormatError(f"the seal is not well-formed: {what}", code=Code.FORMAT_SEAL, found=found, wanted=wanted)
