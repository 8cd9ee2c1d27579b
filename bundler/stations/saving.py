"""How much of a bundle stays at home since the far side has it, for each of its repositories."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bundler.bundle.seal import Kind, Seal
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.stations.bases import Bases
from bundler.stations.carried import Carried


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a repository, and which bases have it; none where it is carried."""

    blob: Descriptor
    held_by: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"digest": str(self.blob.digest), "size": self.blob.size, "held_by": list(self.held_by)}


@dataclass(frozen=True, slots=True)
class RepositorySaving:
    """The layers of the images of one repository, each once."""

    repository: str
    layers: tuple[Layer, ...]

    @property
    def left(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.held_by)

    @property
    def saved(self) -> int:
        """Bytes that are not carried."""
        return sum(layer.blob.size for layer in self.left)

    @property
    def carried(self) -> int:
        """Bytes that are."""
        return sum(layer.blob.size for layer in self.layers) - self.saved

    def to_json(self) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "elsewhere": len(self.left),
            "saved": self.saved,
            "carried": self.carried,
            "layers": [layer.to_json() for layer in self.layers],
        }


@dataclass(frozen=True, slots=True)
class Saving:
    """What the bases of an export came to."""

    bases: Bases
    seal: Seal
    repositories: tuple[RepositorySaving, ...]
    """What several share counts in each."""

    @property
    def saved(self) -> int:
        """Bytes that are not carried, each once."""
        return sum(each.size for each in self.seal.elsewhere)

    def to_json(self) -> dict[str, Any]:
        return {
            "saved": self.saved,
            "elsewhere": len(self.seal.elsewhere),
            "bundles": [str(identity) for identity in self.seal.base],
            "files": [
                {"file": str(base.file), "kind": str(base.kind), "station": base.station, "verified": base.verified}
                for base in self.bases.files
            ],
            "repositories": [each.to_json() for each in self.repositories],
        }


def saving(bases: Bases, seal: Seal, images: Iterable[Carried]) -> Saving:
    """What is left out of a bundle of these images, and why."""
    elsewhere = {each.digest for each in seal.elsewhere}
    layers = {member.digest for member in seal.members if member.kind is Kind.BLOB} | elsewhere
    repositories: dict[str, dict[Digest, Layer]] = {}
    for carried in images:
        found = repositories.setdefault(carried.reference.repository, {})
        for blob in carried.blobs:
            if blob.digest in layers and blob.digest not in found:
                held_by = tuple(str(base.file) for base in bases.files if base.has(blob.digest)) if blob.digest in elsewhere else ()
                found[blob.digest] = Layer(blob, held_by)
    return Saving(bases, seal, tuple(RepositorySaving(name, tuple(found.values())) for name, found in repositories.items()))
