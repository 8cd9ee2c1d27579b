"""What a station accepted, how old that is, and what must come next, as a value with one spelling in JSON (docs/reference/json.md)."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bundler.bundle.seal import time
from bundler.content.files import disk
from bundler.ledger.agreement import state_of
from bundler.ledger.folder import JOURNAL, RECEIPTS, StationFolder
from bundler.ledger.journal.folder import Folder
from bundler.ledger.state import JournalSeen, Link, Stream
from bundler.oci.digest import Digest
from bundler.stations.truststore import Trust
from bundler.trust.policy import Order


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """A stream of which bundles were accepted."""

    stream: Stream
    order: Order
    age: int
    """Seconds since the last accepted bundle was made."""

    @property
    def gaps(self) -> tuple[Link, ...]:
        """The accepted bundles that follow one which was not."""
        return tuple(self.stream.gaps)

    def to_json(self) -> dict[str, Any]:
        last = self.stream.last
        return {
            "stream": self.stream.name,
            "sequence": last.sequence,
            "identity": str(last.identity),
            "created": time(self.stream.created),
            "accepted": time(self.stream.accepted),
            "age_s": self.age,
            "order": str(self.order),
            "gaps": [{"sequence": link.sequence, "previous": str(link.previous)} for link in self.gaps],
            "next": {"above": last.sequence, "previous": str(last.identity)},
        }


@dataclass(frozen=True, slots=True)
class Status:
    """All that a station knows about itself."""

    path: Path
    name: str
    streams: tuple[StreamStatus, ...]
    trust: Trust | None
    floor: datetime | None
    journal: JournalSeen
    receipts: int

    def to_json(self) -> dict[str, Any]:
        trust = self.trust and {"digest": str(self.trust.policy.digest), "serial": self.trust.policy.serial, "expires": None}
        return {
            "path": str(self.path),
            "name": self.name,
            "streams": [stream.to_json() for stream in self.streams],
            "trust": trust,
            "journal": self.journal.to_json(),
            "receipts": self.receipts,
            "time_floor": None if self.floor is None else time(self.floor),
        }


def status(folder: StationFolder, trust: Trust | None, *, clock: datetime) -> Status:
    """Of the station as it is now; its journal is not verified.

    Raises as :func:`bundler.ledger.agreement.state_of`.
    """
    state = state_of(folder)
    now = state.judged_at(clock)
    streams = tuple(
        StreamStatus(
            stream,
            Order.NEWER if trust is None else trust.policy.order_of(stream.name),
            max(0, int((now - stream.created).total_seconds())),
        )
        for stream in state.streams
    )
    checkpoint = Folder(folder.path / JOURNAL).checkpoint()
    journal = JournalSeen(checkpoint.size, Digest("sha256", checkpoint.root.hex()))
    return Status(folder.path, folder.profile.name, streams, trust, state.floor, journal, _receipts(folder.path / RECEIPTS))


def _receipts(folder: Path) -> int:
    """How many lie there; none where there is no such folder yet."""
    with disk(f"{folder} cannot be looked through"):
        return sum(path.suffix == ".json" for path in folder.iterdir()) if folder.is_dir() else 0
