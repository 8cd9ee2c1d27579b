"""What a run found out, as values with one spelling in JSON (docs/reference/json.md)."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from bundler.bundle.seal import time
from bundler.errors import BundlerError, Code, TrustError
from bundler.ledger.order import Standing
from bundler.ledger.state import Link
from bundler.oci.digest import Digest
from bundler.oci.lookup import LeftOut
from bundler.oci.reference import Reference
from bundler.stations.truststore import Trust
from bundler.trust.verdict import Verdict

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Long work, in a word, and how many bytes it goes through: gives what is told of each stretch of them."""


@dataclass(frozen=True, slots=True)
class TrustUsed:
    """Which trust judged."""

    path: Path
    digest: Digest

    @classmethod
    def of(cls, trust: Trust) -> "TrustUsed":
        return cls(trust.path, trust.policy.digest)

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "digest": str(self.digest)}


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What a bundle that a trusted key has sealed says of itself."""

    identity: Digest
    stream: str
    sequence: int
    previous: Digest | None
    created: str
    expires: str | None
    base: tuple[Digest, ...] = ()
    elsewhere: int = 0
    """How many layers it leaves out."""
    size_elsewhere: int = 0
    """Their bytes."""

    def to_json(self) -> dict[str, Any]:
        return {
            "identity": str(self.identity),
            "stream": self.stream,
            "sequence": self.sequence,
            "previous": None if self.previous is None else str(self.previous),
            "created": self.created,
            "expires": self.expires,
            "base": [str(identity) for identity in self.base],
            "elsewhere": {"blobs": self.elsewhere, "bytes": self.size_elsewhere},
        }


@dataclass(frozen=True, slots=True)
class StationReport:
    """Which station it is, and what it remembers of the bundle's stream."""

    name: str
    last: Link | None = None
    """The bundle of the stream that was accepted last; None where none was, or order was not judged."""
    standing: Standing | None = None
    """What comes of the bundle's place; None where order was not judged."""
    floor: datetime | None = None
    """The time that was judged by, where it is that of the station's floor and not its clock's."""

    def to_json(self) -> dict[str, Any]:
        last = self.last and {"sequence": self.last.sequence, "identity": str(self.last.identity)}
        return {
            "name": self.name,
            "last": last,
            "standing": None if self.standing is None else str(self.standing.outcome),
            "gap": None if self.standing is None else self.standing.gap,
            "floor": None if self.floor is None else time(self.floor),
        }


@dataclass(frozen=True, slots=True)
class ReceiptReport:
    """The receipt that was written."""

    file: Path
    digest: Digest
    index: int
    """Of its entry in the journal, which is also its number."""

    def to_json(self) -> dict[str, Any]:
        return {"file": str(self.file), "digest": str(self.digest), "index": self.index}


@dataclass(frozen=True, slots=True)
class SealReport:
    """Who sealed the bundle, and why that is not enough."""

    signers: tuple[str, ...]
    reasons: tuple[Code, ...]
    details: tuple[str, ...] = ()
    names: tuple[str | None, ...] = ()
    """What the signers are called, in the same order."""

    @property
    def passed(self) -> bool:
        return not self.reasons

    @property
    def exit(self) -> int:
        """0, or 5."""
        return 0 if self.passed else TrustError.exit

    def to_json(self) -> dict[str, Any]:
        reasons = [str(code) for code in self.reasons]
        return {"passed": self.passed, "signers": list(self.signers), "names": list(self.names), "reasons": reasons}


@dataclass(frozen=True, slots=True)
class ContentReport:
    """Whether every byte is what the seal says."""

    members: int
    size: int
    faults: tuple[BundlerError, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        codes = dict.fromkeys(str(fault.code) for fault in self.faults)
        return {"passed": self.passed, "members": self.members, "bytes": self.size, "reasons": list(codes)}


class State(StrEnum):
    """What an import changes, or would change, at an image's name."""

    NEW = "new"
    """Nothing had the name."""
    MOVED = "moved"
    """The name was another image's."""
    SAME = "same"
    """The name was this image's already."""


@dataclass(frozen=True, slots=True)
class ImageReport:
    """The verdict on one image, with what was carried of it and where it went."""

    verdict: Verdict
    media_type: str
    platforms: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    destination: Reference | None = None
    state: State | None = None
    """Against the destination; None where none was asked."""
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        verdict = self.verdict
        return {
            "reference": str(verdict.reference),
            "digest": str(verdict.digest),
            "mediaType": self.media_type,
            "platforms": list(self.platforms),
            "left_out": [child.to_json() for child in self.left_out],
            "passed": verdict.passed,
            "rule": verdict.rule,
            "signers": [signer.to_json() for signer in verdict.signers],
            "other_signers": [other.to_json() for other in verdict.others],
            "reasons": [str(code) for code in verdict.reasons],
            "checks": [check.to_json() for check in verdict.checks],
            "destination": str(self.destination) if self.destination else None,
            "state": str(self.state) if self.state else None,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of ``verify``, ``import`` and ``extract``."""

    trust: TrustUsed
    bundle: BundleFacts | None = None
    seal: SealReport | None = None
    images: tuple[ImageReport, ...] = ()
    content: ContentReport | None = None
    station: StationReport | None = None
    """None where there is no station, and for images outside a bundle."""
    receipt: ReceiptReport | None = None
    """Where one was written: at a station, for an import that was not only tried."""

    @property
    def passed(self) -> bool:
        return self.exit == 0

    @property
    def exit(self) -> int:
        """0, or the lowest of what is wrong: 3, 4, 5, 6."""
        wrong = [fault.exit for fault in self.content.faults] if self.content else []
        wrong += [self.seal.exit] if self.seal and not self.seal.passed else []
        wrong += [TrustError.exit for image in self.images if not image.verdict.passed]
        return min(wrong, default=0)

    def after(self, went: Mapping[Reference, tuple[Reference | None, State | None, tuple[str, ...]]]) -> "Report":
        """With where each image went, what that changed there, and what is to be said about it."""
        images = [
            replace(image, destination=where, state=state, remarks=(*image.remarks, *remarks))
            for image in self.images
            for where, state, remarks in [went.get(image.verdict.reference, (None, None, ()))]
        ]
        return replace(self, images=tuple(images))

    def to_json(self) -> dict[str, Any]:
        return {
            "passed": self.passed,
            "trust": self.trust.to_json(),
            "bundle": self.bundle.to_json() if self.bundle else None,
            "seal": self.seal.to_json() if self.seal else None,
            "images": [image.to_json() for image in self.images],
            "content": self.content.to_json() if self.content else None,
            "station": self.station.to_json() if self.station else None,
            "receipt": self.receipt.to_json() if self.receipt else None,
        }
