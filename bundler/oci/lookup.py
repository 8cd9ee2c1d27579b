"""What a source was asked about a manifest, what it answered, and what was found (docs/spec/bundle-v1.md, section 7)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from bundler.oci.digest import Digest


class Form(StrEnum):
    """How a manifest was found: by cosign's tags, or by its subject."""

    SIG = "sig"
    ATT = "att"
    SBOM = "sbom"
    REFERRER = "referrer"


ASKED = MappingProxyType(
    {
        "sig": frozenset({"found", "absent", "hidden", "not-asked"}),
        "att": frozenset({"found", "absent", "hidden", "not-asked"}),
        "sbom": frozenset({"found", "absent", "hidden", "not-asked"}),
        "referrers": frozenset({"found", "absent", "no-api", "not-asked"}),
        "fallback": frozenset({"found", "absent", "foreign", "hidden", "not-asked"}),
    }
)
"""The ways by which evidence can be found, and how each can be answered."""

WAYS = MappingProxyType({Form.SIG: ("sig",), Form.ATT: ("att",), Form.SBOM: ("sbom",), Form.REFERRER: ("referrers", "fallback")})
"""By which ways each form of evidence is found."""


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest that was found about another one, and how."""

    digest: Digest
    form: Form

    def to_json(self) -> dict[str, Any]:
        return {"digest": str(self.digest), "form": str(self.form)}


@dataclass(frozen=True, slots=True)
class Lookup:
    """What was asked about one manifest in one repository, what was answered, and what was found."""

    repository: str
    manifest: Digest
    asked: Mapping[str, str] = field(hash=False)
    """A value of :data:`ASKED` for each of its names."""
    found: tuple[Found, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "manifest": str(self.manifest),
            "asked": dict(self.asked),
            "found": [found.to_json() for found in self.found],
        }


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A manifest that an index of the image lists and that is not carried, and the platform that the index gives it."""

    digest: Digest
    platform: str | None

    def to_json(self) -> dict[str, Any]:
        return {"digest": str(self.digest), "platform": self.platform}


def looked_up(lookups: Iterable[Lookup]) -> dict[tuple[str, Digest], Lookup]:
    """Lookups by repository and manifest."""
    return {(lookup.repository, lookup.manifest): lookup for lookup in lookups}
