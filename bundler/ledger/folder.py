"""The station folder: found, checked for who may write it, written by one at a time (docs/spec/station-v1.md, sections 1 and 2)."""

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bundler.content.files import HIDDEN, disk, is_taken, read_small, sweep, write_whole
from bundler.content.guarded import GuardedFolder
from bundler.errors import Code, ConflictError, TransportError, UsageError
from bundler.ledger import state
from bundler.ledger.receipt import MAX_RECEIPT
from bundler.ledger.state import MAX_STATE, State
from bundler.trust.addition import assigned
from bundler.trust.table import MAX_FILE, Table, is_text

FILE = "station.toml"
LOCK = "lock"
KEY = "station.key"
PUBLIC = "station.pub"
JOURNAL = "journal"
RECEIPTS = "receipts"
WAIT = 60.0  # seconds that one import waits for another at the same station
VERSION = 1

_PAUSE = 0.05  # seconds between two looks at whether the lock is free
_ORIGIN = re.compile(r"[!-*,-~]{1,255}", re.ASCII)  # C2SP signed-note: no spaces, no plus
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]{1,1000}", re.ASCII)
_NAMES = {"version", "name", "key", "origin", "verifier", "policy"}


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a station is, as ``station.toml`` says it."""

    name: str
    key: Path
    """The private key that signs for it."""
    origin: str
    """The name in its checkpoints."""
    verifier: str
    """The ``verifier.id`` of summaries that it signs."""
    policy: str
    """The ``policy.uri`` of them."""

    @classmethod
    def parse(cls, raw: bytes, folder: Path) -> "Profile":
        """What the ``station.toml`` of ``folder`` says. Raises UsageError (``station.form``)."""
        table = Table.parse(raw, file=FILE, code=Code.STATION_FORM)
        if (version := table.members.get("version")) != VERSION or type(version) is not int:
            raise table.error("version", found=version, wanted=VERSION)
        table.check_names(_NAMES)
        name = table.label("name")
        return cls(
            name=name,
            key=_key(table, folder),
            origin=_matched(table, "origin", _ORIGIN, f"oci-bundler.{name}", wanted="1 to 255 letters of ASCII, no spaces, no plus"),
            verifier=_matched(table, "verifier", _URI, f"urn:oci-bundler:station:{name}", wanted="a URI"),
            policy=_matched(table, "policy", _URI, f"urn:oci-bundler:policy:{name}", wanted="a URI"),
        )


@dataclass(frozen=True, slots=True)
class StationFolder:
    """A station folder that was found, and whose ``station.toml`` was read."""

    path: Path
    profile: Profile

    @classmethod
    def read(cls, path: Path) -> "StationFolder":
        """The folder at ``path``. Raises UsageError (``station.missing``, ``station.permissions``, ``station.form``)."""
        try:
            raw = _guarded(path).read(PurePosixPath(FILE), limit=MAX_FILE, large=Code.STATION_FORM)
        except OSError as error:
            raise _missing(path, error) from error
        return cls(path, Profile.parse(raw, path))

    def state(self) -> State:
        """What the station remembers, as of now. Raises UsageError (``station.state``, ``station.permissions``)."""
        try:
            raw = _guarded(self.path).read(PurePosixPath(state.FILE), limit=MAX_STATE, large=Code.STATION_STATE)
        except OSError as error:
            raise state.damaged(f"{self.path / state.FILE} is not there", found=error.strerror) from error
        except UsageError as error:
            raise state.damaged(error.what, wanted=error.wanted) if error.code is Code.STATION_STATE else error from error
        return State.parse(raw, self.profile.name)

    def receipt_file(self, number: int, kind: str = "json") -> Path:
        """Where a receipt lies, by its index in the journal; or its text (``txt``), or the proof of its entry (``tlog-proof``)."""
        return self.path / RECEIPTS / receipt_name(number, kind)

    def receipt(self, number: int) -> bytes:
        """A receipt as it lies there. Raises UsageError (``usage.input``)."""
        return read_small(self.receipt_file(number), limit=MAX_RECEIPT, what="the receipt")

    def check_parts(self) -> None:
        """What is read from it beside its files of state was made by nobody else. Raises UsageError (``station.permissions``)."""
        guarded, key = _guarded(self.path), self.profile.key
        parts = {PurePosixPath(JOURNAL): True, PurePosixPath(RECEIPTS): True}
        parts |= {PurePosixPath(key.relative_to(self.path)): False} if key.is_relative_to(self.path) else {}
        for name, is_folder in parts.items():
            with suppress(OSError):  # whoever needs it says so
                guarded.check(name, folder=is_folder)

    def write(self, remembered: State) -> None:
        """Let it remember this, durably; only while it is :meth:`alone`. Raises TransportError (``disk.io``, ``disk.full``)."""
        write_whole(self.path / state.FILE, remembered.spelled(), replace=True, mode=0o600)

    @contextmanager
    def alone(self, *, wait: float = WAIT, say: Callable[[str], None] = lambda _: None) -> Iterator[None]:
        """Nobody else writes to the folder in this block. Who comes second waits for ``wait`` seconds at most, and is told so.

        What killed runs left is removed. Raises TransportError (``disk.locked``, ``disk.io``), UsageError (``station.permissions``).
        """
        path = self.path / LOCK
        with disk(f"{path} cannot be written"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            with disk(f"{path} cannot be locked"):
                self._wait(descriptor, wait, say)
            sweep(self.path)
            yield
        finally:
            os.close(descriptor)

    def _wait(self, descriptor: int, wait: float, say: Callable[[str], None]) -> None:
        """Raises OSError, TransportError (``disk.locked``)."""
        end = time.monotonic() + wait
        if _locked(descriptor):
            return
        say(f"waiting for another import at the station {self.profile.name}")
        while not _locked(descriptor):
            if time.monotonic() >= end:
                raise TransportError(
                    f"another import has the station {self.profile.name}",
                    code=Code.DISK_LOCKED,
                    found=f"{self.path / LOCK} is locked",
                    next="run it again when the other one has ended",
                )
            time.sleep(_PAUSE)


def receipt_name(number: int, kind: str = "json") -> str:
    """The name of a receipt, or of what belongs to it, in the folder of receipts."""
    return f"{number:010}.{kind}"


def find(given: Path | None, environ: Mapping[str, str]) -> StationFolder | None:
    """The one given, else the first that exists of ``$OCI_BUNDLER_STATION``, the user's, the system's; None where there is none.

    Raises as :meth:`StationFolder.read`.
    """
    named = given or (Path(environ["OCI_BUNDLER_STATION"]) if environ.get("OCI_BUNDLER_STATION") else None)
    if named is not None:
        return StationFolder.read(named)
    home = environ.get("XDG_STATE_HOME") or f"{environ.get('HOME', '')}/.local/state"
    places = [Path(base, "oci-bundler", "station") for base in (home, "/var/lib")]
    found = next((place for place in places if place.is_absolute() and is_taken(place)), None)  # as truststore.find
    return None if found is None else StationFolder.read(found)


def begin(path: Path, *, name: str, key: str) -> bytes:
    """Make the folder of a new station, if it is not there, and its lock; gives the ``station.toml`` that :func:`finish` wants.

    Raises UsageError (``station.form``), ConflictError (``output.exists``) if something is in it, TransportError (``disk.io``,
    ``disk.full``).
    """
    for what, value in (("name", name), ("path of the key", key)):
        if not is_text(value):
            raise UsageError(f"the {what} cannot be written down", code=Code.STATION_FORM, found=ascii(value)[:160])
    text = assigned({"version": VERSION, "name": name, "key": key}).encode()
    Profile.parse(text, path)
    with disk(f"{path} cannot be made"):
        if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
            raise _taken(path)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        try:  # of two that make one station at once, who comes second ends here
            os.close(os.open(path / LOCK, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            raise _taken(path) from None
    return text


def undo(path: Path) -> None:
    """Empty a folder that :func:`begin` made and that did not become a station, so that the same command can be run again."""
    shutil.rmtree(path / JOURNAL, ignore_errors=True)
    for each in (*path.glob(f"{HIDDEN}*"), *(path / name for name in (KEY, PUBLIC, state.FILE, FILE, LOCK))):
        with suppress(OSError):
            each.unlink()


def finish(path: Path, text: bytes) -> StationFolder:
    """Make the folder that :func:`begin` made a station that has accepted nothing; ``station.toml`` comes last.

    Raises TransportError (``disk.io``, ``disk.full``).
    """
    profile = Profile.parse(text, path)
    write_whole(path / state.FILE, State(profile.name).spelled(), mode=0o600)
    write_whole(path / FILE, text, mode=0o600)
    return StationFolder.read(path)


def _taken(path: Path) -> ConflictError:
    cut_off = is_taken(path / LOCK) and not is_taken(path / FILE)
    way = "a `station init` runs there or was cut off: if none runs, remove the folder and run the same command again" if cut_off else None
    return ConflictError(f"{path} exists and is not empty", code=Code.OUTPUT_EXISTS, next=way or "choose another folder")


def _guarded(path: Path) -> GuardedFolder:
    return GuardedFolder(path, refused=Code.STATION_PERMISSIONS)


def _missing(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"there is no station at {path}",
        code=Code.STATION_MISSING,
        found=f"{error.strerror}: {error.filename}",
        next=f"if it was lost, put a copy of it back; if it never was, make it with `oci-bundler station init {path} --name NAME`",
    )


def _locked(descriptor: int) -> bool:
    """Raises OSError where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN):
            return False
        raise
    return True


def _key(table: Table, folder: Path) -> Path:
    text = table.text("key")
    inside = PurePosixPath(text)
    if not inside.name or ".." in inside.parts:
        raise table.error("key", found=text, wanted="a path below the folder, or an absolute one")
    return folder / inside


def _matched(table: Table, name: str, pattern: re.Pattern[str], default: str, *, wanted: str) -> str:
    if name not in table.members:
        return default
    value = table.text(name)
    if not pattern.fullmatch(value):
        raise table.error(name, found=value, wanted=wanted)
    return value
