"""Writing down what became of a bundle: a receipt and its entry in the journal, before anybody is told (docs/spec/receipt-v1.md).

In this order, each durable before the next: what the station accepted, the registry, the receipt, its entry, its proof. So a run that
was killed leaves either a bundle that is accepted and has no receipt, which is said, or a receipt without an entry, which is made up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from bundler import __version__
from bundler.bundle.archive import Content
from bundler.bundle.seal import DERIVED, Kind
from bundler.content.files import disk, sweep, sync_folder, write_whole
from bundler.errors import BundlerError, Code, IntegrityError, UsageError, naming
from bundler.ledger import receipt as receipts
from bundler.ledger import receiptproof, receipttext
from bundler.ledger.agreement import check
from bundler.ledger.folder import JOURNAL, RECEIPTS, StationFolder
from bundler.ledger.journal.entry import Entry
from bundler.ledger.journal.journal import Journal
from bundler.ledger.order import Outcome as Place
from bundler.ledger.reading import Held
from bundler.ledger.receipt import BlobRecord, BundleRecord, ImageRecord, Outcome, Receipt, SignerRecord, Subject, written
from bundler.ledger.state import JournalSeen
from bundler.oci.digest import Digest
from bundler.stations.importer import Imported
from bundler.stations.privatekeys import KeySigner
from bundler.stations.report import ImageReport, ReceiptReport, Report
from bundler.stations.station import Station
from bundler.stations.verifier import Proved


@dataclass(frozen=True, slots=True)
class Recorder:
    """The receipts of a station, while nobody else writes to its folder."""

    station: Station
    folder: StationFolder
    journal: Journal
    signer: KeySigner
    """With the station's key."""

    @classmethod
    def begin(cls, station: Station, signer: KeySigner, *, say: Callable[[str], None]) -> "Recorder | None":
        """Make up what a run that was killed left undone, and say so; None where there is no station.

        Raises IntegrityError (``journal.changed``), TrustError (``checkpoint.…``, ``receipt.signature``), FormatError
        (``format.receipt``), UsageError (``station.state``), TransportError (``disk.io``, ``disk.full``).
        """
        if station.folder is None or station.state is None:
            return None
        folder, seen = station.folder, station.state.journal
        since = None if seen is None else (seen.size, bytes.fromhex(seen.root.encoded))
        origin = folder.profile.origin
        journal = Journal.open(folder.path / JOURNAL, origin=origin, key=signer.public, sign=signer.sign, since=since)
        with disk(f"{folder.path / RECEIPTS} cannot be made"):
            (folder.path / RECEIPTS).mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.path)
            sweep(folder.path / RECEIPTS)
        recorder = cls(station, folder, journal, signer)
        made_up = tuple(recorder._made_up())
        for remark in (*journal.remarks, *made_up, *recorder._lacking()):
            say(f"note: {remark}")
        if made_up:  # whose entries were not there when what is remembered was compared with the journal
            check(folder, station.state)
        return recorder

    @property
    def seen(self) -> JournalSeen:
        """How far the journal is."""
        return JournalSeen(self.journal.size, Digest("sha256", self.journal.root.hex()))

    def record(self, proved: Proved, done: Imported | None, *, seal: Digest, registry: str, clock: datetime) -> Report:
        """Write down what became of the bundle that was ``proved`` and, if it came to that, imported into ``registry``; ``seal`` is the
        digest of its ``seal.json``. Gives the report with that.

        Raises what is wrong with the disk, the journal or the bundle, which say what became of it all the same.
        """
        report = proved.report if done is None else done.report
        try:
            receipt = receipt_of(self, proved, done, seal=seal, registry=registry, clock=clock)
            return replace(report, receipt=self._write(receipt))
        except BundlerError as error:
            kind = next(each for each in type(error).__mro__ if BundlerError in each.__bases__)  # those below it take other arguments
            raise kind(
                f"{_told(report, registry)}, and no receipt of that could be written: {error.what}",
                code=error.code,
                found=error.found,
                wanted=error.wanted,
                next=f"{error.next or f'look at {self.folder.path}'}; the same import again writes one",
            ) from error

    def _write(self, receipt: Receipt) -> ReceiptReport:
        raw = receipt.signed(self.signer.sign)
        digest, number = Digest.of(raw), self.journal.size
        write_whole(self.folder.receipt_file(number), raw)
        self._enter(receipt, digest)
        return ReceiptReport(self.folder.receipt_file(number), digest, number)

    def _enter(self, receipt: Receipt, digest: Digest) -> None:
        """Its text, its entry, its proof."""
        number = self.journal.size
        write_whole(self.folder.receipt_file(number, "txt"), receipttext.text(receipt, digest).encode(), replace=True)
        done = self.journal.append(receiptproof.entry_of(receipt, digest))
        write_whole(self.folder.receipt_file(number, "tlog-proof"), done.proof.encode(), replace=True)

    @property
    def previous(self) -> Digest | None:
        """The digest of the last receipt in the journal."""
        return Entry.parse(self.journal.entry(self.journal.size - 1)).receipt if self.journal.size else None

    def _made_up(self) -> Iterator[str]:
        """What a run that was killed between the receipt and its proof had yet to do."""
        last = self.journal.size - 1
        if last >= 0 and not self.folder.receipt_file(last, "tlog-proof").exists():
            write_whole(self.folder.receipt_file(last, "tlog-proof"), self.journal.proof(last).encode())
            yield f"the receipt {last:010} had no proof of its entry in the journal, and has one now"
        if last >= 0 and self._digest(last) != self.previous:
            path = self.folder.receipt_file(last)
            yield f"{path} is not the receipt that the journal has there, {self.previous}: put a copy of it back"
        while self.folder.receipt_file(number := self.journal.size).exists():
            path = self.folder.receipt_file(number)
            raw = self.folder.receipt(number)
            with naming(str(path)):
                receipt = receipts.opened(raw, self.signer.public)
            if receipt.previous != self.previous:
                raise IntegrityError(
                    f"{path} does not follow the last receipt in the journal",
                    code=Code.JOURNAL_CHANGED,
                    found=receipt.previous,
                    wanted=self.previous,
                    next="keep both as they are, and ask who could write to the folder",
                )
            self._enter(receipt, Digest.of(raw))
            yield f"the receipt {number:010} was not in the journal yet, and is now"

    def _lacking(self) -> Iterator[str]:
        """Whether the bundle that was accepted last has a receipt: what is remembered was written before that."""
        state = self.station.state
        if state is None or not state.streams or state.journal is None or state.journal.size != self.journal.size:
            return
        stream = max(state.streams, key=lambda stream: stream.accepted)
        last = f"number {stream.last.sequence} of {stream.name}, {stream.last.identity}"
        yield f"the bundle that was accepted last has no receipt ({last}): import it again, to finish it and to have one"

    def _digest(self, number: int) -> Digest | None:
        try:
            return Digest.of(self.folder.receipt(number))
        except UsageError:  # it is not there, or cannot be read
            return None


def receipt_of(recorder: Recorder, proved: Proved, done: Imported | None, *, seal: Digest, registry: str, clock: datetime) -> Receipt:
    """As :meth:`Recorder.record` has it. Raises what reading the bundle's documents raises."""
    report, state = done.report if done else proved.report, recorder.station.state
    sealed = proved.sealed
    entered = any(image.destination is not None for image in report.images)
    # index.json, which some take for an image, is only a subject where all that it lists was let in.
    whole = entered and all(image.verdict.passed for image in report.images)
    index = {} if sealed is None or not whole else {Subject.INDEX: sealed.member(DERIVED[Kind.INDEX]).digest}
    left = () if sealed is None else tuple(foreign.digest for foreign in sealed.seal.left_out)
    return Receipt(
        station=recorder.folder.profile.name,
        time=clock.replace(microsecond=0),
        floor=None if state is None else state.floor,
        version=__version__,
        outcome=_outcome(report, entered=entered),
        reasons=() if entered else tuple(map(str, _reasons(report))),
        subjects={**index, Subject.SEAL: seal},
        bundle=None if sealed is None else _bundle(sealed, report),
        trust=report.trust.digest,
        serial=recorder.station.trust.policy.serial,
        registry=registry if entered else None,
        images=tuple(map(_image, report.images)),
        blobs=BlobRecord(done.blobs, done.there, done.sent, left) if done is not None and entered else BlobRecord(left=left),
        held=_held(proved, report) if entered else {},
        previous=recorder.previous,
    )


def _told(report: Report, registry: str) -> str:
    images = sum(image.destination is not None for image in report.images)
    return f"{images} image{' was' if images == 1 else 's were'} imported into {registry}" if images else "nothing was imported"


def _outcome(report: Report, *, entered: bool) -> Outcome:
    if not entered:
        return Outcome.REFUSED
    standing = report.station.standing if report.station else None
    if standing is not None and standing.outcome is Place.REPEAT:
        return Outcome.REPEAT
    return Outcome.ACCEPTED if report.passed else Outcome.PARTLY


def _reasons(report: Report) -> dict[Code, None]:
    """Why nothing was let in: first the seal, then damage, then the images."""
    if report.seal is not None and not report.seal.passed:
        return dict.fromkeys(report.seal.reasons)
    if report.content is not None and not report.content.passed:
        return dict.fromkeys(fault.code for fault in report.content.faults)
    return dict.fromkeys(code for image in report.images for code in image.verdict.reasons)


def _bundle(sealed: Content, report: Report) -> BundleRecord:
    seal, standing = sealed.seal, report.station.standing if report.station else None
    return BundleRecord(
        identity=sealed.identity,
        stream=seal.stream,
        sequence=seal.sequence,
        previous=seal.previous,
        created=seal.created,
        expires=seal.expires,
        gap=None if standing is None else standing.gap,
    )


def _image(image: ImageReport) -> ImageRecord:
    verdict = image.verdict
    signers = {SignerRecord(each.kind, written(each.id), each.form, each.name and written(each.name)) for each in verdict.signers}
    return ImageRecord(
        reference=verdict.reference,
        digest=verdict.digest,
        destination=image.destination,
        state=None if image.state is None else str(image.state),
        rule=None if verdict.rule is None else written(verdict.rule),
        signers=tuple(sorted(signers)),
        times=tuple(sorted({time.replace(microsecond=0) for time in verdict.times})),
        reasons=tuple(map(str, verdict.reasons)),
    )


def _held(proved: Proved, report: Report) -> dict[str, tuple[Held, ...]]:
    """The configs and layers of the images that were let in, by the repository that has them."""
    went = {image.verdict.reference: image.destination.repository for image in report.images if image.destination is not None}
    blobs: dict[str, dict[Digest, int]] = {}
    for admitted in proved.admitted:
        carried = admitted.carried()
        own = (carried.documents[digest] for digest in carried.own)
        held = {blob.digest: blob.size for each in own for blob in each.carries if not blob.foreign and blob.digest not in carried.absent}
        blobs.setdefault(went[admitted.reference], {}).update(held)
    return {repository: tuple(sorted(Held(*each) for each in held.items())) for repository, held in sorted(blobs.items())}
