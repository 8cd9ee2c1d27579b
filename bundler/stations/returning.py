"""What a station's receipts say that its registries hold: for the exporter, and for the next delta."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path

from bundler.content.files import check_not_taken, write_whole
from bundler.errors import BundlerError, naming
from bundler.ledger.folder import RECEIPTS, StationFolder
from bundler.ledger.reading import Held
from bundler.ledger.receipt import Outcome, Receipt, opened
from bundler.ledger.returnfile import MAX_REFUSED, Accepted, Refused, Return, TrustJudged
from bundler.oci.digest import Digest
from bundler.stations.privatekeys import KeySigner, Password
from bundler.stations.recording import Recorder
from bundler.stations.station import importing, open_key
from bundler.stations.truststore import Trust
from bundler.trust.keys import PublicKey


def return_of(recorder: Recorder, *, clock: datetime) -> Return:
    """What the station tells the exporter. Raises FormatError (``format.receipt``), TrustError (``receipt.signature``) for a receipt
    that somebody changed, UsageError (``usage.input``), and FormatError (``format.return``) for too much."""
    folder, key, state = recorder.folder, recorder.signer.public, recorder.station.state
    assert state is not None
    refused = (receipt for receipt in _receipts(folder, key) if receipt.outcome is Outcome.REFUSED)
    newest = [
        Refused(None if each.bundle is None else each.bundle.identity, each.reasons, each.time) for each in islice(refused, MAX_REFUSED)
    ]
    return Return(
        station=folder.profile.name,
        time=clock.replace(microsecond=0),
        checkpoint=recorder.journal.checkpoint,
        streams={s.name: Accepted(s.last.sequence, s.last.identity, s.created, s.accepted) for s in state.streams},
        refused=tuple(reversed(newest)),
        trust=None if state.trust is None else TrustJudged(state.trust.digest, state.trust.serial),
        held={name: tuple(sorted(Held(*each) for each in blobs.items())) for name, blobs in _held(_receipts(folder, key)).items()},
    )


def write(
    path: Path,
    folder: StationFolder,
    trust: Trust,
    *,
    clock: datetime,
    password: Password,
    replace: bool,
    say: Callable[[str], None],
) -> Return:
    """Write the return file, whole or not at all, and give what it says.

    Raises ConflictError (``output.exists``) unless ``replace``, as :func:`open_key`, :func:`importing`, :meth:`Recorder.begin` and
    :func:`return_of`.
    """
    check_not_taken(path, replace=replace)
    signer = open_key(folder, trust.policy, password=password)
    with importing(trust, folder, say=say) as station:
        recorder = Recorder.begin(station, signer, say=say)
        assert recorder is not None
        told = return_of(recorder, clock=clock)
        write_whole(path, told.signed(signer.sign), replace=replace)
    return told


def known_places(folder: StationFolder | None, signer: KeySigner | None, registry: str) -> dict[Digest, tuple[str, ...]]:
    """The paths of the repositories of ``registry`` that had each blob, as the receipts say that can be read and are the station's."""
    if folder is None or signer is None:
        return {}
    places: dict[Digest, tuple[str, ...]] = {}
    for repository, blobs in _held(_readable(folder, signer.public)).items():
        host, _, path = repository.partition("/")
        if host == registry:
            for digest in blobs:
                places[digest] = (*places.get(digest, ()), path)
    return places


def _held(receipts: Iterable[Receipt]) -> Mapping[str, Mapping[Digest, int]]:
    """The blobs of each repository, with sizes: of each stream that filled it, those of its last import. ``receipts`` are newest first."""
    seen: set[tuple[str, str]] = set()
    held: dict[str, dict[Digest, int]] = {}
    for receipt in receipts:
        for repository, blobs in receipt.held.items():
            filled = (receipt.bundle.stream if receipt.bundle else "", repository)
            if filled not in seen:
                seen.add(filled)
                held.setdefault(repository, {}).update((blob.digest, blob.size) for blob in blobs)
    return held


def _numbers(folder: StationFolder) -> Sequence[int]:
    """Of the receipts, newest first."""
    names = (path.stem for path in (folder.path / RECEIPTS).glob("*.json"))
    return sorted((int(name) for name in names if len(name) == 10 and name.isdecimal()), reverse=True)


def _receipts(folder: StationFolder, key: PublicKey) -> Iterator[Receipt]:
    """Newest first, one at a time. Raises as :func:`opened`, UsageError (``usage.input``)."""
    for number in _numbers(folder):
        yield _receipt(folder, number, key)


def _readable(folder: StationFolder, key: PublicKey) -> Iterator[Receipt]:
    for number in _numbers(folder):
        with suppress(BundlerError):  # it is a hint alone: whatever it says is asked
            yield _receipt(folder, number, key)


def _receipt(folder: StationFolder, number: int, key: PublicKey) -> Receipt:
    raw = folder.receipt(number)
    with naming(str(folder.receipt_file(number))):
        return opened(raw, key)
