"""What a side has, as a file says it: images by name, what they are made of, who vouches for them, and content by digest."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache, partial
from typing import Any

from bundler import strictjson
from bundler.bundle.archive import Archive, Content
from bundler.bundle.seal import ImageEntry, Kind, time
from bundler.errors import Code, FormatError
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, Document, Manifest
from bundler.oci.platforms import is_attestation
from bundler.oci.reference import Reference
from bundler.stations.carried import Carried
from bundler.stations.truststore import Trust
from bundler.stations.verifier import carried_of
from bundler.stations.vouching import Maker, Piece, Vouching
from bundler.trust.sealtrust import open_seal

MAX_UNVERIFIED = 8 << 20  # bytes of a payload that anyone may have written: 4,000 signed images; parsed, it takes some 60 MiB
PREDICATE = "in-toto.io/predicate-type"  # buildkit, attestation-storage.md: the annotation of a layer


@dataclass(frozen=True, slots=True)
class Config:
    """What an image's config says of how it runs (image-spec, config.md). All of it is foreign."""

    created: str | None
    user: str | None
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    env: frozenset[str]
    """The names; the values may be secrets."""


@dataclass(frozen=True, slots=True)
class Part:
    """What an image has for one platform."""

    platform: str | None
    """None where nothing says it."""
    layers: Mapping[Digest, int]
    """Their sizes in bytes."""
    config: Config | None
    """None where it is not an image's, or cannot be read."""


class FileKind(StrEnum):
    """What says it."""

    BUNDLE = "bundle"
    RECEIPT = "receipt"
    RETURN = "return"


class Told(StrEnum):
    """Which signers are told of an image."""

    CLAIMED = "claimed"
    """Whom signatures claim to be by."""
    ALL = "all"
    """Everybody; each signature was verified by trust."""
    COUNTED = "counted"
    """Those who counted by a station's rule, as it says; who else signed is not told."""


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of an image beside its name and digest; None for what such a file does not say."""

    signers: frozenset[Maker]
    told: Told
    parts: tuple[Part, ...] | None = None
    evidence: tuple[Piece, ...] | None = None
    size: int | None = None
    """Bytes of all that it is made of, its evidence among them."""


@dataclass(frozen=True, slots=True)
class Held:
    """An image by its name."""

    reference: Reference
    digest: Digest
    details: Callable[[], Details] = field(repr=False)
    """Read when they are wanted, for most images are the same on both sides."""
    whole: Callable[[], bytes | None] = field(repr=False)
    """Equal for two only if nothing about them differs; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """Who vouches for the file."""

    verified: bool
    """Whether a key that trust names has signed it. Else anybody may have written anything into it."""
    by: tuple[Maker, ...] = ()
    """Those of them that trust knows."""
    details: tuple[str, ...] = ()
    """For people: what was found instead."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What one file says."""

    kind: FileKind
    station: str | None
    """Who says it; of a bundle, whom it is for."""
    identity: Digest | None
    """Of the bundle; None where it is not of one."""
    stream: str | None
    sequence: int | None
    created: str
    """When the file was made."""
    sealed: Sealed
    images: Mapping[Reference, Held] | None
    """None for a file that names none."""
    blobs: Mapping[Digest, int] = field(repr=False)
    """Layers, and in what a station says configs too, with their sizes in bytes; also those that lie elsewhere."""
    others: Mapping[Digest, int] = field(repr=False)
    """The rest of a bundle by digest: documents, configs, evidence. It is small, and travels in every bundle."""


def check_small(
    archive: Archive, *, what: str = "the seal", instead: str = "give --trust DIR with a [[seal]] that names who sealed it"
) -> None:
    """Refuse to parse much of what nobody has vouched for. Raises FormatError (``limit.seal``)."""
    if archive.envelope.size > MAX_UNVERIFIED:
        raise FormatError(
            f"{what} is too large to be read unverified",
            code=Code.LIMIT_SEAL,
            found=f"{archive.envelope.size} bytes",
            wanted=f"at most {MAX_UNVERIFIED} bytes ({MAX_UNVERIFIED >> 20}.0 MiB)",
            next=f"{instead}: then it is read whole",
        )


def bundle_holdings(archive: Archive, trust: Trust | None, *, at: datetime) -> Holdings:
    """What a bundle says. Layers are not read; what is read of it is compared with its digest.

    Raises FormatError (``limit.seal`` for much that nobody vouches for), and as :meth:`Archive.sealed_by`. What it gives raises as
    :meth:`Content.walk` and :meth:`Content.read`.
    """
    sealed = _sealed(archive, trust)
    if not sealed.verified:
        check_small(archive)
    content = archive.sealed_by(archive.envelope.payload())
    seal = content.seal
    bundle = _Bundle(content, Vouching(trust.policy if trust else None, at=at), Told.ALL if trust else Told.CLAIMED)
    by_digest = [member for member in seal.members if member.name is None]
    return Holdings(
        kind=FileKind.BUNDLE,
        station=seal.station,
        identity=content.identity,
        stream=seal.stream,
        sequence=seal.sequence,
        created=time(seal.created),
        sealed=sealed,
        images={entry.reference: bundle.held(entry) for entry in seal.images},
        blobs={
            **{member.digest: member.size for member in by_digest if member.kind is Kind.BLOB},
            **{layer.digest: layer.size for layer in seal.elsewhere},
        },
        others={member.digest: member.size for member in by_digest if member.kind is not Kind.BLOB},
    )


def _sealed(archive: Archive, trust: Trust | None) -> Sealed:
    if trust is None:
        return Sealed(verified=False)
    opened = open_seal(trust.policy, archive.envelope.signatures, archive.envelope.signed)
    who = zip(opened.signers, opened.names, strict=True)
    by = tuple(Maker("key", fingerprint, proved=True, name=name) for fingerprint, name in who)
    return Sealed(verified=bool(opened.met), by=by, details=() if opened.met else opened.details)


class _Bundle:
    """The images of a bundle. Of several names of one image what was read last is kept."""

    def __init__(self, content: Content, vouching: Vouching, told: Told) -> None:
        self._content, self._vouching, self._told = content, vouching, told
        self._absent = frozenset(foreign.digest for foreign in content.seal.left_out)
        self._details, self._whole = lru_cache(maxsize=16)(self._details_of), lru_cache(maxsize=16)(self._whole_of)

    def held(self, entry: ImageEntry) -> Held:
        sibling = replace(entry, reference=replace(entry.reference, tag=None, digest=entry.digest))
        return Held(entry.reference, entry.digest, partial(self._details, sibling), partial(self._whole, sibling))

    def _whole_of(self, entry: ImageEntry) -> bytes:
        """All that is carried of it: its documents, and so by digest whatever they lead to, but for what is left out."""
        walked = self._content.walk(entry)
        told = [*sorted(str(document.digest) for document in walked.documents), "", *map(str, (left.digest for left in entry.left_out))]
        return hashlib.sha256("\n".join(told).encode()).digest()

    def _details_of(self, entry: ImageEntry) -> Details:
        carried = carried_of(self._content, entry, self._absent)
        signers, evidence = self._vouching.of(carried, lambda blob: self._content.chunks(blob.digest))
        documents = sum(document.descriptor.size for document in carried.documents.values())
        return Details(
            signers=signers,
            told=self._told,
            parts=tuple(self._parts(carried)),
            evidence=(*evidence, *_in_indexes(carried)),
            size=documents + sum(blob.size for blob in carried.blobs),
        )

    def _parts(self, carried: Carried) -> Iterator[Part]:
        """One for each platform, in the order of the image; several manifests of one platform together."""
        listed = {child.digest: child for digest in carried.own for child in carried.documents[digest].children}
        alone = next(iter(carried.platforms), None)
        parts: dict[str | None, list[Manifest]] = {}
        for document in _manifests(carried):
            child = listed.get(document.digest)
            platform = alone if child is None else str(child.platform) if child.platform else None
            if isinstance(document.content, Manifest) and not (child and is_attestation(child)):
                parts.setdefault(platform, []).append(document.content)
        for platform, manifests in parts.items():
            layers = {layer.digest: layer.size for manifest in manifests for layer in manifest.layers}
            yield Part(platform, layers, self._config(manifests[0]) if len(manifests) == 1 else None)

    def _config(self, manifest: Manifest) -> Config | None:
        if not manifest.tells_platform:
            return None
        try:
            value = strictjson.loads(self._content.read(manifest.config.digest), limit=MAX_DOCUMENT, predicate=True)
        except FormatError:  # configs are opaque to all but those who run them
            return None
        return _config_in(value)


def _manifests(carried: Carried) -> Iterator[Document]:
    return (carried.documents[digest] for digest in carried.own)


def _in_indexes(carried: Carried) -> Iterator[Piece]:
    """BuildKit's attestations, which lie unsigned in the index and are as good as its digest."""
    for child in {child.digest: child for document in _manifests(carried) for child in document.children}.values():
        content = carried.documents[child.digest].content if child.digest in carried.documents and is_attestation(child) else None
        for layer in content.layers if isinstance(content, Manifest) else ():
            yield Piece(layer.annotations.get(PREDICATE, layer.media_type), layer.digest, layer.size)


def _config_in(value: Any) -> Config | None:
    """Of a config's members those that are of the type that the specification gives them."""
    if not isinstance(value, dict):
        return None
    runs = value.get("config")
    runs = runs if isinstance(runs, dict) else {}
    names = frozenset(entry.partition("=")[0] for entry in _texts(runs.get("Env")))
    return Config(_text(value.get("created")), _text(runs.get("User")), _texts(runs.get("Entrypoint")), _texts(runs.get("Cmd")), names)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(value) if isinstance(value, list) and all(isinstance(each, str) for each in value) else ()
