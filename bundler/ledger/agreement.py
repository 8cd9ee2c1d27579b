"""Whether what a station remembers goes with its journal: an older copy of one that was put back would let old bundles come again."""

from bundler.errors import UsageError
from bundler.ledger import receipt as receipts
from bundler.ledger.folder import JOURNAL, StationFolder
from bundler.ledger.journal.entry import Entry, Kind
from bundler.ledger.journal.folder import Folder
from bundler.ledger.state import FILE, State, damaged
from bundler.oci.digest import Digest


def state_of(folder: StationFolder) -> State:
    """What the station remembers (docs/spec/station-v1.md, section 3). Raises as :meth:`StationFolder.state` and :func:`check`."""
    state = folder.state()
    check(folder, state)
    return state


def check(folder: StationFolder, state: State) -> None:
    """Every bundle of which there is a receipt since the ``state`` was written is remembered. A receipt is believed by its entry; who has
    signed the journal is not asked.

    Raises UsageError (``station.state``), IntegrityError (``journal.changed``), FormatError (``format.receipt``), TransportError
    (``disk.io``).
    """
    journal = Folder(folder.path / JOURNAL)
    for index, raw in journal.entries_from(0 if state.journal is None else state.journal.size, size=journal.checkpoint().size):
        entry = Entry.parse(raw)
        if entry.kind is not Kind.IMPORT:
            continue
        try:
            written = folder.receipt(index)
        except UsageError:  # it is not there, or cannot be read
            continue
        bundle = receipts.unverified(written).bundle if Digest.of(written) == entry.receipt else None
        stream = None if bundle is None else state.stream(bundle.stream)
        if bundle is not None and (stream is None or not stream.remembers(bundle.sequence)):
            raise damaged(
                f"{FILE} is older than the journal, and has forgotten what was accepted since",
                found=f"{folder.receipt_file(index)} lets in number {bundle.sequence} of {bundle.stream}",
                wanted="a state that knows it",
            )
