"""Where a journal lies: in a station's folder, or as a copy by itself (docs/spec/journal-v1.md, section 2)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bundler.content import together
from bundler.content.files import disk
from bundler.errors import Code, UsageError
from bundler.ledger.folder import FILE, StationFolder
from bundler.ledger.keyfile import public_key
from bundler.trust.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a journal; that of its receipts, and the station's, where it lies in a station's folder or a copy of one."""

    journal: Path
    receipts: Path | None
    station: StationFolder | None

    @classmethod
    def of(cls, folder: Path) -> "Place":
        """From the folder of a station, a copy of one, or a journal alone.

        Raises UsageError (``usage.input`` where there is no journal; ``station.…``), TransportError (``disk.io``).
        """
        inside = folder / "journal"
        with disk(f"{folder} cannot be looked at"):
            if inside.is_dir():
                return cls(inside, folder / "receipts", StationFolder.read(folder) if (folder / FILE).exists() else None)
            if (folder / "checkpoint").is_file() or (folder / "tile").is_dir():
                return cls(folder, None, None)
        wanted = "the folder of a station, or of a journal"
        raise UsageError(f"there is no journal at {folder}", code=Code.USAGE_INPUT, wanted=wanted)

    def key(self, given: Path | None) -> PublicKey:
        """The public key of the station: ``given``, else that of the station's folder. Raises UsageError."""
        if given is not None:
            return public_key(given)
        if self.station is None:
            raise UsageError(
                "it was not said whose journal this is", next="give the public key of the station, as it was told by another way"
            )
        return public_key(self.station.profile.key.with_suffix(".pub"))

    @contextmanager
    def alone(self, say: Callable[[str], None]) -> Iterator[None]:
        """Nobody else writes to the journal in this block. Raises TransportError (``disk.locked``, ``disk.io``), UsageError
        (``station.…``) for a station that the journal lies in."""
        above = self.journal.resolve().parent
        station = StationFolder.read(above) if self.station is None and (above / FILE).exists() else self.station
        if station is not None:  # its imports append under this lock, whichever of the two folders was given here
            with station.alone(say=say):
                yield
            return
        with disk(f"the journal {self.journal} cannot be locked"), together.alone(self.journal):
            yield
