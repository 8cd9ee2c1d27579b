"""How ``index.json`` of an image layout changes when manifests and indexes are put into it (image-spec, image-layout.md)."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import Document
from bundler.oci.reference import CONTAINERD_NAME, REF_NAME, names_evidence

KIND = "kind"  # cosign save tells with it what it wrote, instead of names

Put = tuple[Document, str | None]
"""A document, and the name that it is to be listed under; None for one that only has to be there."""


def listing(index: Mapping[str, Any], puts: Iterable[Put]) -> dict[str, Any]:
    """``index`` after each of ``puts`` is listed, in this order; what others wrote stays as it is.

    A name leads to what it was given last. An unnamed entry goes when its document gets a name, and when an index that leads
    to it is listed. Takes time in proportion to the entries and what is put, and their children.
    """
    entries = _Entries(index["manifests"])
    for document, name in puts:
        entries.put(document, name)
    return {**index, "manifests": list(entries.all.values())}


class _Entries:
    """The entries of an index by numbers that are their order, and which of them have a name, a digest, or no name."""

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        self.all: dict[int, Mapping[str, Any]] = {}
        self._by_name: dict[str, set[int]] = {}
        self._by_digest: dict[str, set[int]] = {}
        self._unnamed: dict[str, set[int]] = {}
        self._next = 0
        for entry in entries:
            self._add(entry)

    def put(self, document: Document, name: str | None) -> None:
        own = str(document.digest)
        for number in list(self._by_name.get(name, ())) if name is not None else ():
            self._remove(number)
        for number in list(self._unnamed.get(own, ())):
            self._remove(number)
        for child in document.children:
            for number in list(self._unnamed.get(str(child.digest), ())):
                if not self.all[number].get("artifactType"):
                    self._remove(number)
        if name is not None or not self._by_digest.get(own):
            self._add(listed_as(document, name).to_json())

    def _add(self, entry: Mapping[str, Any]) -> None:
        self.all[self._next] = entry
        for name in _names(entry):
            self._by_name.setdefault(name, set()).add(self._next)
        self._by_digest.setdefault(entry["digest"], set()).add(self._next)
        if not _told(entry):
            self._unnamed.setdefault(entry["digest"], set()).add(self._next)
        self._next += 1

    def _remove(self, number: int) -> None:
        entry = self.all.pop(number)
        for name in _names(entry):
            self._by_name[name].discard(number)
        self._by_digest[entry["digest"]].discard(number)
        self._unnamed.get(entry["digest"], set()).discard(number)


def listed_as(document: Document, name: str | None) -> Descriptor:
    """How a document is listed under a name, or without one."""
    annotations = {} if name is None else {REF_NAME: name}
    if name is not None and "/" in name and not is_for_evidence(name):
        annotations[CONTAINERD_NAME] = name
    kind = document.content.kind if document.subject is not None else None
    return replace(document.descriptor, artifact_type=kind, annotations=annotations)


def is_for_evidence(name: str) -> bool:
    """Whether a name, in full or a bare tag, is one under which evidence about a manifest is looked for."""
    return names_evidence(name.rpartition(":")[2])


def _names(entry: Mapping[str, Any]) -> set[str]:
    annotations = entry.get("annotations") or {}
    return {name for name in (annotations.get(REF_NAME), annotations.get(CONTAINERD_NAME)) if name is not None}


def _told(entry: Mapping[str, Any]) -> bool:
    """Whether the entry is there for a reason of its own: a name, or what cosign says of it."""
    annotations = entry.get("annotations") or {}
    return any(annotations.get(each) for each in (REF_NAME, CONTAINERD_NAME, KIND))
