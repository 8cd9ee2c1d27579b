"""What an image layout lists: ``oci-layout`` and ``index.json`` as they are read, and the entries in them (image-spec, image-layout.md)."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from bundler import strictjson
from bundler.content.folder import Files
from bundler.content.listing import KIND, is_for_evidence
from bundler.errors import Code, FormatError, naming
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import NAMES, is_version_2
from bundler.oci.reference import CONTAINERD_NAME, REF_NAME, Reference

MAX_INDEX = 32 << 20  # ten thousand images with a signature each take 8 MiB
MAX_ENTRY = 8 << 20  # bytes: a descriptor may embed a manifest of 4 MiB (image-spec, descriptor.md, "data"), in base64
MAX_LAYOUT = 1 << 10  # bytes of oci-layout, which says one version

# How cosign save and hauler tell what they wrote; hauler's older stores have cosign's words, and hauler may add a digest.
_SAVED = re.compile(r"(?:dev\.cosignproject\.cosign|dev\.hauler)/(image|imageIndex|sigs|atts|sboms|referrers)(?:/.*)?", re.DOTALL)
_SAVED_IMAGES = ("image", "imageIndex")
_DOCKER_OLD = "index.docker.io/"  # as hauler writes docker.io


@dataclass(frozen=True, slots=True)
class Entry:
    """A manifest or index that ``index.json`` lists."""

    descriptor: Descriptor

    @property
    def name(self) -> str | None:
        """What it is called, in full where the layout says so; names need not be references."""
        return self.descriptor.annotations.get(CONTAINERD_NAME) or self.descriptor.annotations.get(REF_NAME)

    @property
    def names(self) -> set[str]:
        """All that it can be asked for by: Docker writes the full reference beside the bare tag."""
        told = (self.descriptor.annotations.get(annotation) for annotation in (CONTAINERD_NAME, REF_NAME))
        return {name for name in told if name}

    @property
    def saved(self) -> str | None:
        """What cosign save or hauler says that it is: ``image``, ``imageIndex``, ``sigs``, ``atts``, ``sboms`` or ``referrers``."""
        found = _SAVED.fullmatch(self.descriptor.annotations.get(KIND, ""))
        return found[1] if found else None

    @property
    def is_saved_evidence(self) -> bool:
        """Whether it says so that it is about an image; it may have that one's name then, and is not meant by it."""
        return self.saved not in (None, *_SAVED_IMAGES)

    @property
    def reference(self) -> Reference | None:
        """Its name, where that is a reference in full."""
        try:
            parsed = Reference.parse(self.name or "")
        except FormatError:
            return None
        name = self.name or ""
        return parsed if str(parsed) == (name.removeprefix("index.") if name.startswith(_DOCKER_OLD) else name) else None


@dataclass(frozen=True, slots=True)
class Listed:
    """What ``index.json`` lists, and how to find it."""

    entries: tuple[Entry, ...]
    by_name: Mapping[str, dict[Digest, Entry]]
    """Of each name, the first entry of each digest that has it."""
    by_digest: Mapping[Digest, Entry]
    saved: Mapping[tuple[str, str | None], list[Entry]]
    """By what cosign save or hauler says that it is, and each of its names; None where it has none."""
    saved_images: Mapping[Digest, set[str]]
    """The names of each image that they saved."""

    @classmethod
    def read(cls, files: Files) -> Self:
        """What the layout of these files lists, entry by entry. Raises FormatError (``format.*``, ``limit.document``)."""
        raw = _raw_index(files)
        lists: dict[tuple[str, ...], Callable[[Any], Any]] = {("manifests",): Descriptor.from_json}
        with naming("index.json"):
            index = strictjson.loads_by_items(raw, limit=MAX_INDEX, longest=MAX_ENTRY, lists=lists, document=True)
            return cls._of(_checked(index)["manifests"])

    @classmethod
    def of(cls, index: Mapping[str, Any]) -> Self:
        return cls._of(map(Descriptor.from_json, index["manifests"]))

    @classmethod
    def _of(cls, parsed: Iterable[Descriptor]) -> Self:
        """Media types that are not a manifest's or an index's mean nothing here (image-layout.md, "index.json file")."""
        entries = tuple(Entry(descriptor) for descriptor in parsed if descriptor.media_type in mediatype.DOCUMENTS)
        by_name: dict[str, dict[Digest, Entry]] = {}
        by_digest: dict[Digest, Entry] = {}
        by_saved: dict[tuple[str, str | None], list[Entry]] = {}
        saved_images: dict[Digest, set[str]] = {}
        for entry in entries:
            by_digest.setdefault(entry.descriptor.digest, entry)
            if not entry.descriptor.annotations:
                continue
            for name in entry.names:
                if entry.is_saved_evidence and not is_for_evidence(name):
                    continue
                by_name.setdefault(name, {}).setdefault(entry.descriptor.digest, entry)
            if entry.is_saved_evidence:
                for each in entry.names or (None,):
                    by_saved.setdefault((str(entry.saved), each), []).append(entry)
            elif entry.saved:
                saved_images.setdefault(entry.descriptor.digest, set()).update(entry.names)
        return cls(entries, by_name, by_digest, by_saved, saved_images)

    def grouped(self) -> dict[Digest, list[Entry]]:
        """The entries of each digest, in the order of the first of each."""
        entries: dict[Digest, list[Entry]] = {}
        for entry in self.entries:
            entries.setdefault(entry.descriptor.digest, []).append(entry)
        return entries


def check_version(files: Files) -> None:
    raw = whole_file(files, "oci-layout", limit=MAX_LAYOUT)
    if raw is None:
        raise FormatError(
            "this is not an image layout",
            code=Code.FORMAT_LAYOUT,
            found="no oci-layout",
            next="docker save writes one since Docker 25; of older archives: skopeo copy docker-archive:FILE oci:DIR:NAME",
        )
    with naming("oci-layout"):
        told = strictjson.loads_document(raw, limit=MAX_LAYOUT)
        strictjson.check_names(told if isinstance(told, dict) else {}, {"imageLayoutVersion"})
    version = told.get("imageLayoutVersion") if isinstance(told, dict) else None
    if version != "1.0.0":
        raise FormatError("the image layout is of another version", code=Code.FORMAT_LAYOUT, found=ascii(version)[:80], wanted="1.0.0")


def read_index(files: Files) -> dict[str, Any]:
    with naming("index.json"):
        return _checked(strictjson.loads_document(_raw_index(files), limit=MAX_INDEX))


def _raw_index(files: Files) -> bytes:
    raw = whole_file(files, "index.json", limit=MAX_INDEX)
    if raw is None:
        raise FormatError("the image layout has no index.json", code=Code.FORMAT_LAYOUT)
    return raw


def _checked(index: Any) -> dict[str, Any]:
    if not isinstance(index, dict) or not is_version_2(index) or not isinstance(index.get("manifests"), list | tuple):
        raise FormatError("it is not an image index", code=Code.FORMAT_LAYOUT, wanted="schemaVersion 2 and manifests")
    strictjson.check_names(index, NAMES)
    if index.get("mediaType") not in (None, "", mediatype.OCI_INDEX):
        raise FormatError("it is of another media type", code=Code.FORMAT_LAYOUT, found=ascii(index["mediaType"])[:120])
    return index


def whole_file(files: Files, name: str, *, limit: int) -> bytes | None:
    """A file whole; None if there is none. Raises FormatError (``limit.document``) above ``limit`` bytes."""
    size = files.size(name)
    if size is None:
        return None
    raw = at_most(limit, files.chunks(name)) if size <= limit else None
    if raw is None:
        raise FormatError(f"{name} of the layout is too large", code=Code.LIMIT_DOCUMENT, found=size, wanted=f"at most {limit} bytes")
    return raw


def at_most(limit: int, chunks: Iterable[bytes]) -> bytes | None:
    """All of the chunks, or None where they are more than ``limit`` bytes: a file may have grown since it was asked for its size."""
    kept, read = list[bytes](), 0
    for chunk in chunks:
        kept.append(chunk)
        read += len(chunk)
        if read > limit:
            return None
    return b"".join(kept)
