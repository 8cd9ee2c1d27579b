"""The station: the machine at which bundles arrive, as one value."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from bundler.bundle.seal import Seal
from bundler.errors import Code, UsageError
from bundler.ledger import folder as ledger
from bundler.ledger import order
from bundler.ledger.agreement import state_of
from bundler.ledger.folder import StationFolder
from bundler.ledger.journal.journal import Journal
from bundler.ledger.order import Standing
from bundler.ledger.state import JournalSeen, Link, State, TrustSeen
from bundler.oci.digest import Digest
from bundler.stations.privatekeys import KeySigner, Password, keygen, open_signer
from bundler.stations.report import StationReport
from bundler.stations.truststore import Trust
from bundler.trust.policy import Policy


@dataclass(frozen=True, slots=True)
class Station:
    """Whom a station trusts, who it is, and what it remembers of earlier bundles (docs/spec/station-v1.md)."""

    trust: Trust
    folder: StationFolder | None = None
    """Where it remembers; None where there is no station, and trust and clock alone judge."""
    state: State | None = None
    """What it remembers; None where order plays no part."""

    @classmethod
    def remembering(cls, trust: Trust, folder: StationFolder | None) -> "Station":
        """With what it remembers now. Raises as :func:`bundler.ledger.agreement.state_of`."""
        return cls(trust, folder, None if folder is None else state_of(folder))

    @property
    def name(self) -> str | None:
        return None if self.folder is None else self.folder.profile.name

    def judged_at(self, clock: datetime) -> datetime:
        """The time by which it judges: the clock's, or the floor where that is later."""
        return clock if self.state is None else self.state.judged_at(clock)

    def lacks(self, seal: Seal) -> Iterator[tuple[Code, str]]:
        """What a seal asks of the station and the station does not have, with what was found."""
        if seal.station is not None and seal.station != self.name:
            this = "has no name: there is no station folder" if self.name is None else f"is {self.name}"
            yield Code.SEAL_STATION, f"for the station {seal.station}; this one {this}"
        serial = self.trust.policy.serial
        if seal.requires_trust is not None and seal.requires_trust > serial:
            yield Code.TRUST_SERIAL, f"it asks for trust of serial {seal.requires_trust} or later; this is {serial}"

    def standing(self, seal: Seal, identity: Digest) -> Standing | None:
        """What comes of the bundle's place in its stream; None where nothing is remembered."""
        if self.state is None:
            return None
        return order.judge(self.trust.policy.order_of(seal.stream), self.state.stream(seal.stream), _link(seal, identity))

    def report(self, seal: Seal | None = None, identity: Digest | None = None, *, at: datetime | None = None) -> StationReport | None:
        """Which station it is and, of a bundle that is judged as of ``at``, what it remembers of its stream."""
        if self.name is None:
            return None
        if self.state is None or seal is None or identity is None:
            return StationReport(self.name)
        stream = self.state.stream(seal.stream)
        floor = self.state.floor if at == self.state.floor else None
        return StationReport(self.name, None if stream is None else stream.last, self.standing(seal, identity), floor)

    def accept(
        self, seal: Seal, identity: Digest, *, clock: datetime, journal: JournalSeen | None, proved: Iterable[datetime]
    ) -> State | None:
        """Remember, durably, that the bundle was accepted, at which times logs and authorities vouch that its images were signed
        (``proved``), and how far the ``journal`` was before; only in :func:`importing`. Gives what is remembered then.

        Raises TransportError (``disk.io``, ``disk.full``), UsageError (``station.state``).
        """
        standing = self.standing(seal, identity)
        if self.folder is None or self.state is None or standing is None or standing.outcome is order.Outcome.REPEAT:
            return self.state
        seen = TrustSeen(self.trust.policy.serial, self.trust.policy.digest)
        after = self.state.accepting(seal.stream, _link(seal, identity), created=seal.created, clock=clock, trust=seen, proved=proved)
        after = replace(after, journal=journal)
        self.folder.write(after)
        return after


@contextmanager
def importing(trust: Trust, folder: StationFolder | None, *, say: Callable[[str], None]) -> Iterator[Station]:
    """The station while nobody else writes to its folder. Raises as :meth:`StationFolder.alone` and :meth:`Station.remembering`."""
    if folder is None:
        yield Station(trust)
        return
    with folder.alone(say=say):
        yield Station.remembering(trust, folder)


def open_key(folder: StationFolder, policy: Policy, *, password: Password) -> KeySigner:
    """The key that signs for the station. Raises UsageError (``station.form``, ``station.permissions``, ``trust.roles`` where it stands in
    trust, ``usage.…``)."""
    folder.check_parts()
    signer = _p256(folder.profile.key, password)
    if signer.public.fingerprint in {key.fingerprint for key in policy.keys}:
        raise UsageError(
            "the station's own key stands in trust",
            code=Code.TRUST_ROLES,
            found=signer.public.fingerprint,
            wanted="a key of its own, else the station could vouch for what it lets in",
            next="take it out with `oci-bundler trust remove`, or give the station another key in station.toml",
        )
    return signer


def init(path: Path, *, name: str, key: Path | None, password: Password) -> tuple[StationFolder, str]:
    """Make the folder of a new station, with a new key, or with ``key``, which stays where it is. Gives the key's fingerprint, too.

    Raises UsageError (``station.form``, ``usage.…``), ConflictError (``output.exists``), TransportError (``disk.io``, ``disk.full``).
    """
    given = None if key is None else _p256(key, password)
    text = ledger.begin(path, name=name, key=ledger.KEY if key is None else os.path.abspath(key))  # noqa: PTH100 - links stay
    try:
        if given is None:
            keygen((path / ledger.KEY).with_suffix(""), kind="p256", password=None)
        signer = given or _p256(path / ledger.KEY, password)
        origin = ledger.Profile.parse(text, path).origin
        Journal.create(path / ledger.JOURNAL, origin=origin, key=signer.public, sign=signer.sign)
        return ledger.finish(path, text), signer.public.fingerprint
    except BaseException:  # Ctrl-C, too: what is half a station is in the way of the next run
        ledger.undo(path)
        raise


def _p256(path: Path, password: Password) -> KeySigner:
    signer = open_signer(path, role="image", password=password)
    if not signer.is_p256:
        raise UsageError(f"{path} cannot be a station's key", code=Code.STATION_FORM, wanted="ECDSA P-256")
    return signer


def _link(seal: Seal, identity: Digest) -> Link:
    return Link(seal.sequence, identity, seal.previous)
