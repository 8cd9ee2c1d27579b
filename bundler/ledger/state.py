"""What a station remembers of the bundles that it accepted (docs/spec/station-v1.md, section 3)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from bundler import strictjson
from bundler.bundle.seal import STREAM, time
from bundler.errors import BundlerError, Code, UsageError
from bundler.oci.descriptor import MAX_SIZE
from bundler.oci.digest import Digest
from bundler.trust.window import parse_time

FILE = "state.json"
FORMAT = 1
MAX_STATE = 16 << 20  # bytes: MAX_STREAMS streams of MAX_KNOWN bundles, of up to 170 bytes each
MAX_STREAMS = 64
MAX_KNOWN = 1024  # bundles of a stream: of one a night, nearly three years


@dataclass(frozen=True, slots=True)
class Link:
    """A bundle's place in its stream."""

    sequence: int
    identity: Digest
    previous: Digest | None
    """The identity of the bundle that it says it follows."""

    def to_json(self) -> list[Any]:
        return [self.sequence, str(self.identity), None if self.previous is None else str(self.previous)]


@dataclass(frozen=True, slots=True)
class Stream:
    """The bundles of a stream that were accepted."""

    name: str
    known: tuple[Link, ...]
    """Those with the highest numbers, ascending; at least one, at most MAX_KNOWN."""
    created: datetime
    """When the last one was made, as its seal says."""
    accepted: datetime
    """When the last one was accepted, by the station's clock."""

    @property
    def last(self) -> Link:
        """The one with the highest number."""
        return self.known[-1]

    def numbered(self, sequence: int) -> Link | None:
        """The known bundle of that number."""
        return next((link for link in self.known if link.sequence == sequence), None)

    def remembers(self, sequence: int) -> bool:
        """Whether a bundle of that number is known, or may be among those that were forgotten for want of room."""
        return self.numbered(sequence) is not None or (len(self.known) == MAX_KNOWN and sequence < self.known[0].sequence)

    @property
    def gaps(self) -> Iterator[Link]:
        """The known bundles that follow one which was not accepted. What the lowest of them follows may be forgotten."""
        there = {link.identity for link in self.known}
        return (link for link in self.known[1:] if link.previous is not None and link.previous not in there)

    def with_link(self, link: Link, *, created: datetime, accepted: datetime) -> "Stream":
        """With one more. The times are those of the one with the highest number."""
        known = tuple(sorted((*self.known, link), key=lambda link: link.sequence)[-MAX_KNOWN:])
        return replace(self, known=known, created=created, accepted=accepted) if known[-1] == link else replace(self, known=known)

    def to_json(self) -> dict[str, Any]:
        return {
            "stream": self.name,
            "known": [link.to_json() for link in self.known],
            "created": time(self.created),
            "accepted": time(self.accepted),
        }


@dataclass(frozen=True, slots=True)
class TrustSeen:
    """The trust that judged a bundle."""

    serial: int
    digest: Digest

    def to_json(self) -> dict[str, Any]:
        return {"serial": self.serial, "digest": str(self.digest)}


@dataclass(frozen=True, slots=True)
class JournalSeen:
    """How far the journal was."""

    size: int
    """Entries."""
    root: Digest

    def to_json(self) -> dict[str, Any]:
        return {"size": self.size, "root": str(self.root)}


@dataclass(frozen=True, slots=True)
class State:
    """All that a station remembers beside its journal."""

    name: str
    """The station's."""
    streams: tuple[Stream, ...] = ()
    """By their names, none twice; at most MAX_STREAMS."""
    floor: datetime | None = None
    """A time that has been, whatever the clock says."""
    trust: TrustSeen | None = None
    """Which judged the bundle that was accepted last."""
    journal: JournalSeen | None = None

    @classmethod
    def parse(cls, raw: bytes, name: str) -> "State":
        """The state of the station ``name``. Raises UsageError (``station.state``)."""
        try:
            value = strictjson.loads(raw, limit=MAX_STATE)
            state = _state(value)
        except (BundlerError, ValueError, TypeError, KeyError) as error:
            raise damaged(found=ascii(str(error))[1:-1][:200]) from error
        if state.spelled() != raw:
            raise damaged(found="another spelling, or members that are not known")
        if state.name != name:
            raise damaged(f"{FILE} is another station's", found=state.name, wanted=name)
        return state

    def spelled(self) -> bytes:
        """The one spelling of it."""
        return strictjson.dumps(
            {
                "format": FORMAT,
                "name": self.name,
                "floor": None if self.floor is None else time(self.floor),
                "streams": [stream.to_json() for stream in self.streams],
                "trust": None if self.trust is None else self.trust.to_json(),
                "journal": None if self.journal is None else self.journal.to_json(),
            }
        )

    def stream(self, name: str) -> Stream | None:
        return next((stream for stream in self.streams if stream.name == name), None)

    def judged_at(self, clock: datetime) -> datetime:
        """The later of clock and floor (section 5)."""
        return clock if self.floor is None else max(clock, self.floor)

    def accepting(
        self, stream: str, link: Link, *, created: datetime, clock: datetime, trust: TrustSeen, proved: Iterable[datetime] = ()
    ) -> "State":
        """With a bundle that is accepted now, for the first time; ``created`` is the time in its seal, and ``proved`` are those at
        which logs and authorities vouch that its images were signed.

        Raises UsageError (``station.state``) where there is no room for another stream.
        """
        clock = clock.replace(microsecond=0)
        known = self.stream(stream)
        if known is None and len(self.streams) == MAX_STREAMS:
            raise UsageError(
                "the station has no room for another stream", code=Code.STATION_STATE, found=stream, wanted=f"at most {MAX_STREAMS} streams"
            )
        now = Stream(stream, (link,), created, clock) if known is None else known.with_link(link, created=created, accepted=clock)
        others = (other for other in self.streams if other.name != stream)
        streams = tuple(sorted((*others, now), key=lambda stream: stream.name))
        return replace(self, streams=streams, floor=self.raised(max((created, *proved)), at=self.judged_at(clock)), trust=trust)

    def raised(self, moment: datetime, *, at: datetime) -> datetime:
        """The floor once something of that ``moment`` was accepted as of ``at``. It is never later than that: else who sends a bundle
        that is a day from the future could push it on by a day each time."""
        moment = min(moment, at).replace(microsecond=0)
        return moment if self.floor is None else max(self.floor, moment)


def damaged(what: str = f"{FILE} is damaged", *, found: object = None, wanted: object = None) -> UsageError:
    """What says how to go on without a state: it must never begin anew by itself."""
    return UsageError(
        what,
        code=Code.STATION_STATE,
        found=found,
        wanted=wanted,
        next="put a copy of it back; or make a new station in another folder with `oci-bundler station init`, to which every number is new",
    )


def _state(value: Any) -> State:
    """From the value of its JSON. What is only in another form is found out when it is spelled again."""
    if type(value["format"]) is not int or value["format"] != FORMAT:
        raise ValueError(f"format {ascii(value['format'])[:20]}, wanted {FORMAT}")
    trust, journal = value["trust"], value["journal"]
    streams = tuple(map(_stream, value["streams"]))
    if len(streams) > MAX_STREAMS or not _ascend([stream.name for stream in streams]):
        raise ValueError(f"more than {MAX_STREAMS} streams, one twice, or in another order")
    return State(
        name=_text(value["name"]),
        streams=streams,
        floor=None if value["floor"] is None else parse_time(value["floor"]),
        trust=None if trust is None else TrustSeen(_number(trust["serial"]), Digest.parse(_text(trust["digest"]))),
        journal=None if journal is None else JournalSeen(_number(journal["size"]), Digest.parse(_text(journal["root"]))),
    )


def _stream(value: Any) -> Stream:
    name = _text(value["stream"])
    if not STREAM.fullmatch(name):
        raise ValueError(f"a stream {name[:80]}")
    known = tuple(map(_link, value["known"]))
    numbers, identities = [link.sequence for link in known], {link.identity for link in known}
    if not 1 <= len(known) <= MAX_KNOWN or not _ascend(numbers) or len(identities) != len(known):
        raise ValueError(f"the bundles of {name}: none, more than {MAX_KNOWN}, one twice, or in another order")
    return Stream(name, known, parse_time(value["created"]), parse_time(value["accepted"]))


def _link(value: Any) -> Link:
    sequence, identity, previous = value
    return Link(_number(sequence), Digest.parse(_text(identity)), None if previous is None else Digest.parse(_text(previous)))


def _ascend(values: list[Any]) -> bool:
    return all(one < other for one, other in pairwise(values))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{ascii(value)[:80]} where text belongs")
    return value


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise ValueError(f"{ascii(value)[:80]} where a number belongs")
    return value
