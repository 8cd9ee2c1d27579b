"""A bundle arrives at a station: it is proven, put where it shall be, remembered, and written down, in that order."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from bundler.bundle.archive import Archive, opened
from bundler.errors import Code, UsageError
from bundler.ledger.folder import StationFolder
from bundler.stations import elsewhere, importer, returning
from bundler.stations.attaching import attaching
from bundler.stations.earlier import earlier_bundles
from bundler.stations.forgotten import summary_by
from bundler.stations.importer import Destination, Imported
from bundler.stations.places import Places
from bundler.stations.privatekeys import KeySigner, Password
from bundler.stations.recording import Recorder
from bundler.stations.registryflags import RegistryFlags
from bundler.stations.report import Progress, Report
from bundler.stations.station import Station, importing, open_key
from bundler.stations.truststore import Trust
from bundler.stations.verifier import Proved, prove_documents, prove_rest


@dataclass(frozen=True, slots=True)
class Arrival:
    """A bundle in a file, where it shall go, and how."""

    file: Path
    where: Destination
    earlier: tuple[Path, ...] = ()
    """Bundles in which to look for what this one leaves out."""
    verify_first: bool = False
    """Whether the whole bundle is proven before the first byte is sent."""
    admit_passing: bool = False
    """Whether images that pass enter though others do not."""
    overwrite: bool = False
    dry_run: bool = False
    attach: bool = False
    """Whether the station signs, beside each image, that it was verified here."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a bundle."""

    report: Report
    done: Imported | None = None
    """None where nothing was imported."""
    held_back: int = 0
    """Images that may enter and did not, for others of the bundle may not."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Where bundles arrive: whom it trusts, what it is and remembers, and how registries are reached from it."""

    trust: Trust
    folder: StationFolder | None
    signer: KeySigner | None
    """With the station's key; None where there is no station."""
    flags: RegistryFlags
    say: Callable[[str], None]
    progress: Progress

    @classmethod
    def at(
        cls,
        trust: Trust,
        folder: StationFolder | None,
        flags: RegistryFlags,
        *,
        password: Password,
        say: Callable[[str], None],
        progress: Progress,
    ) -> "Gate":
        """Raises as :func:`bundler.stations.station.open_key`."""
        return cls(trust, folder, None if folder is None else open_key(folder, trust.policy, password=password), flags, say, progress)

    def take(self, arrival: Arrival, *, clock: datetime) -> Outcome:
        """Judge the bundle and import what may enter, where all of it may or ``admit_passing`` says so; then write a receipt.

        Raises UsageError, TransportError and ConflictError as the destination, the bundle's file and the station's folder give reason
        to; what is wrong with the bundle is in the report.
        """
        if arrival.attach and self.folder is None:
            raise UsageError(
                "--attach auto needs a station, whose key signs", code=Code.STATION_MISSING, next="see `oci-bundler station init`"
            )
        remembering = (
            nullcontext(Station.remembering(self.trust, self.folder))
            if arrival.dry_run
            else importing(self.trust, self.folder, say=self.say)
        )
        with (
            remembering as station,
            opened(arrival.file) as archive,
            Places(self.flags, hosts=[arrival.where.registry], say=self.say) as places,
        ):
            recorder = None if arrival.dry_run or self.signer is None else Recorder.begin(station, self.signer, say=self.say)
            # Before the long work; nothing of the bundle decides what is asked.
            places.greet(arrival.where.registry, arrival.where.prefix)
            at, seal = station.judged_at(clock), archive.seal_digest  # read now: the medium may be gone when it is to be written down
            proved = self._prove(arrival, archive, station, at=at)
            admitted, all_pass = len(proved.admitted), proved.report.passed
            done = None
            if admitted and (all_pass or arrival.admit_passing):
                done = self._fill(arrival, proved, station, places, recorder, clock=clock, at=at)
            report = proved.report if done is None else done.report
            if recorder is not None:
                report = recorder.record(proved, done, seal=seal, registry=str(arrival.where), clock=clock)
        return Outcome(report, done, held_back=admitted if done is None else 0)

    def _prove(self, arrival: Arrival, archive: Archive, station: Station, *, at: datetime) -> Proved:
        """The verdicts; where nothing will be imported, or it is asked for, what every byte is worth, too."""
        jobs = self.flags.jobs
        proved = prove_documents(archive, station, at=at, jobs=jobs)
        if arrival.verify_first or not proved.admitted or not (proved.report.passed or arrival.admit_passing):
            return prove_rest(proved, jobs=jobs, progress=self.progress)
        return proved

    def _fill(
        self,
        arrival: Arrival,
        proved: Proved,
        station: Station,
        places: Places,
        recorder: Recorder | None,
        *,
        clock: datetime,
        at: datetime,
    ) -> Imported:
        where = arrival.where
        for rule in where.unused([image.verdict.reference for image in proved.report.images]):
            self.say(f"note: --map {rule}=… fits no image of this bundle")
        self._say_if_forgotten(where, proved, station, places)
        times = {time for image in proved.admitted for time in image.verdict.times}
        attach = attaching(station, self.signer, proved, registry=where.registry, at=at) if arrival.attach and self.signer else None
        with earlier_bundles(arrival.earlier, self.trust) as contents, elsewhere.named(self.say):
            return importer.import_admitted(
                proved,
                where,
                places.repository,
                jobs=self.flags.jobs,
                overwrite=arrival.overwrite,
                dry_run=arrival.dry_run,
                progress=self.progress,
                accept=partial(station.accept, clock=clock, journal=None if recorder is None else recorder.seen, proved=times),
                attach=attach,
                earlier=contents,
                held=partial(returning.known_places, self.folder, self.signer, where.registry),
            )

    def _say_if_forgotten(self, where: Destination, proved: Proved, station: Station, places: Places) -> None:
        """Once at each station: while it knows no bundle."""
        if self.folder is None or self.signer is None or station.state is None or station.state.streams:
            return
        goes = {target.repository: target for target in (where.of(image.reference) for image in proved.admitted)}
        verifier = self.folder.profile.verifier
        found = summary_by(verifier, self.signer.public, map(places.repository, goes.values()))
        if found is not None:
            self.say(
                f"warning: {found} holds a summary by this station ({verifier}), which has accepted no bundle yet. If its folder was "
                "lost, put a copy of it back: a new one lets older bundles in again"
            )
