"""The station folder: one writer at a time, and nothing of it but whole files."""

import errno
import fcntl
import os
from pathlib import Path

import pytest

from bundler.errors import BundlerError, Code, TransportError, UsageError
from bundler.ledger import folder as ledger
from bundler.ledger.folder import Profile, StationFolder
from bundler.ledger.state import MAX_KNOWN, MAX_STREAMS, Link, State, Stream, TrustSeen
from bundler.oci.digest import Digest
from tests.support.station_vectors import AT, NAME, ONE, OTHER, SEVEN, STREAM, THREE

SEEN = TrustSeen(1, OTHER)


@pytest.fixture
def station(tmp_path: Path) -> StationFolder:
    path = tmp_path / "station"
    return ledger.finish(path, ledger.begin(path, name=NAME, key=ledger.KEY))


def test_what_is_written_is_read_again(station: StationFolder) -> None:
    assert station.state() == State(NAME)
    state = State(NAME).accepting("platform", Link(1, ONE, None), created=AT, clock=AT, trust=SEEN)
    with station.alone():
        station.write(state)
    assert station.state() == state


def test_who_comes_second_waits_is_told_so_and_gives_up_in_the_end(station: StationFolder) -> None:
    said: list[str] = []
    with station.alone():
        with pytest.raises(TransportError) as refused, StationFolder.read(station.path).alone(wait=0, say=said.append):
            raise AssertionError("two at once")
        assert (refused.value.code, refused.value.exit) == (Code.DISK_LOCKED, 7)
        assert said == ["waiting for another import at the station plant-7"]
    with station.alone(wait=0, say=said.append):
        assert len(said) == 1


def test_who_comes_second_goes_on_when_the_first_has_ended(station: StationFolder) -> None:
    """The first one ends as soon as it is known that the second one waits."""
    held = os.open(station.path / ledger.LOCK, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with station.alone(say=lambda _: os.close(held)):
        assert station.state() == State(NAME)


def test_a_folder_without_its_lock_gets_one_again(station: StationFolder) -> None:
    (station.path / ledger.LOCK).unlink()
    with station.alone():
        assert (station.path / ledger.LOCK).stat().st_size == 0


def test_what_killed_runs_left_is_removed_and_nothing_else(station: StationFolder) -> None:
    left = station.path / ".oci-bundler-0123456789abcdef.tmp"
    left.write_bytes(b"half")
    (station.path / "notes.txt").write_text("the owner's")
    with station.alone():
        assert not left.exists()
    assert (station.path / "notes.txt").exists()


def test_a_file_system_without_locks_cannot_hold_a_station(station: StationFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlocked(_file: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unlocked)  # there is no such file system here
    with pytest.raises(TransportError) as refused, station.alone():
        raise AssertionError("not alone")
    assert refused.value.code is Code.DISK_IO


def test_what_is_not_said_follows_from_the_name() -> None:
    profile = Profile.parse(b'version = 1\nname = "plant-7"\nkey = "own/station.key"\n', Path("/station"))
    assert profile == Profile(
        "plant-7",
        Path("/station/own/station.key"),
        "oci-bundler.plant-7",
        "urn:oci-bundler:station:plant-7",
        "urn:oci-bundler:policy:plant-7",
    )


def test_a_key_may_lie_elsewhere() -> None:
    assert Profile.parse(b'version = 1\nname = "x"\nkey = "/etc/x.key"\n', Path("/station")).key == Path("/etc/x.key")


def test_a_path_that_cannot_be_written_down_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        ledger.begin(tmp_path / "station", name="x", key="\x07.key")
    assert refused.value.code is Code.STATION_FORM
    assert not (tmp_path / "station").exists()


def test_something_that_is_there_is_never_made_a_station(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("full", "file", "link"):
        with pytest.raises(BundlerError) as refused:
            ledger.begin(tmp_path / name, name="x", key="k")
        assert refused.value.code is Code.OUTPUT_EXISTS
        assert refused.value.next == "choose another folder"


def test_of_an_init_that_was_cut_off_it_is_said_how_to_go_on(tmp_path: Path) -> None:
    text = ledger.begin(tmp_path / "station", name="x", key="k")
    with pytest.raises(BundlerError) as cut_off:
        ledger.begin(tmp_path / "station", name="x", key="k")
    assert "remove the folder and run the same command again" in str(cut_off.value.next)
    (tmp_path / "station" / ledger.FILE).write_bytes(text)
    with pytest.raises(BundlerError) as made:
        ledger.begin(tmp_path / "station", name="x", key="k")
    assert made.value.next == "choose another folder"


# --- what is remembered ---


def test_the_highest_number_stays_the_last_whatever_is_accepted_after_it() -> None:
    state = State(NAME, (STREAM,)).accepting("platform", Link(5, OTHER, THREE), created=AT, clock=AT, trust=SEEN)
    stream = state.stream("platform")
    assert stream is not None
    assert [link.sequence for link in stream.known] == [1, 3, 5, 7]
    assert (stream.last.identity, stream.accepted) == (SEVEN, STREAM.accepted)


def test_the_lowest_numbers_are_forgotten_first() -> None:
    known = tuple(Link(number, Digest.of(b"%d" % number), None) for number in range(10, 10 + MAX_KNOWN))
    full = State(NAME, (Stream("s", known, AT, AT),))
    above = full.accepting("s", Link(5000, ONE, None), created=AT, clock=AT, trust=SEEN).stream("s")
    below = full.accepting("s", Link(5, ONE, None), created=AT, clock=AT, trust=SEEN).stream("s")
    assert above is not None
    assert below is not None
    assert [len(above.known), above.known[0].sequence, above.last.sequence] == [MAX_KNOWN, 11, 5000]
    assert below.known == known


def test_there_is_room_for_so_many_streams_and_no_more() -> None:
    state = State(NAME)
    for number in range(MAX_STREAMS):
        state = state.accepting(f"s{number}", Link(1, ONE, None), created=AT, clock=AT, trust=SEEN)
    with pytest.raises(UsageError) as refused:
        state.accepting("more", Link(1, ONE, None), created=AT, clock=AT, trust=SEEN)
    assert refused.value.code is Code.STATION_STATE
    assert state.accepting("s1", Link(2, OTHER, None), created=AT, clock=AT, trust=SEEN).trust == SEEN


def test_the_gaps_are_those_that_no_later_bundle_has_closed() -> None:
    state = State(NAME, (Stream("s", (Link(1, ONE, OTHER), Link(7, SEVEN, THREE)), AT, AT),))
    [stream] = state.streams
    assert [link.sequence for link in stream.gaps] == [7]
    [closed] = state.accepting("s", Link(3, THREE, ONE), created=AT, clock=AT, trust=SEEN).streams
    assert list(closed.gaps) == []
