"""A station that is killed, interrupted, raced for, read meanwhile, and cannot write.

After each: the state is the one before or the one after and never another, whatever has a manifest at the destination is
accepted, and the same import again completes.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import pytest

from bundler.ledger.folder import StationFolder
from bundler.serving.exchange import Request
from bundler.serving.receiving import CutError
from tests.support.signing import Key
from tests.support.station import Crossing, Image, ran, run, spawned, tags_of, write_key

pytestmark = [pytest.mark.timeout(300)]
MOST = 240  # seconds that one side waits for the other; a test that passes never reaches them
OK, REFUSED, DISK = 0, 5, 7


def last(station: Path) -> int:
    """The number of the bundle that was accepted last; 0 where none was."""
    streams = StationFolder.read(station).state().streams
    return streams[0].last.sequence if streams else 0


def hidden(station: Path) -> list[str]:
    return [path.name for path in station.iterdir() if path.name.startswith(".oci-bundler-")]


@dataclass
class Place:
    """A station that accepted the first of three bundles."""

    crossing: Crossing
    images: list[Image]
    bundles: list[Path]
    station: Path

    def words(self, number: int, station: Path, prefix: str) -> tuple[object, ...]:
        there = f"{self.crossing.there.host}/{prefix}"
        return ("import", self.bundles[number - 1], there, "--trust", self.crossing.trust, "--station", station, "-j", "1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("faults")
    with Crossing(folder) as crossing:
        images = [crossing.signed_image(f"team/app:v{number}", words=f"words {number}") for number in (1, 2, 3)]
        bundles = [crossing.export(image, to=image.reference[-2:], flags=["--sequence", image.reference[-1]]) for image in images]
        place = Place(crossing, images, bundles, crossing.station())
        assert run(*place.words(1, place.station, "first")).exit == OK
        yield place


def test_a_kill_with_the_first_manifest_on_its_way_leaves_a_bundle_that_is_accepted_and_a_lock_that_is_free(place: Place) -> None:
    station, there = place.crossing.folder / "killed", place.crossing.there
    copytree(place.station, station)
    words = place.words(2, station, "killed")
    victims: list[int] = []

    def kill(request: Request) -> None:
        if request.method == "PUT" and "/manifests/" in request.path:
            os.kill(victims[0], signal.SIGKILL)
            raise CutError

    there.before = kill
    with spawned(*words) as process:
        victims.append(process.pid)
        assert ran(process).exit == -signal.SIGKILL
    there.before = lambda _: None
    assert last(station) == 2
    assert run(*place.words(1, station, "older")).exit == REFUSED  # nothing is forgotten
    again = run(*words, "--json")
    assert (again.exit, again.json["station"]["standing"]) == (OK, "repeat")
    assert tags_of(place.crossing.arrived(place.images[1], "killed"))["v2"] == place.images[1].root.digest


def test_imports_at_once_into_one_station_come_one_after_the_other_and_the_highest_number_stays(place: Place) -> None:
    """Each is accepted, or refused because a newer one was; none is lost."""
    station = place.crossing.folder / "raced"
    copytree(place.station, station)
    processes = [spawned(*place.words(number, station, "raced")) for number in (2, 3, 2, 3)]
    done = [ran(process) for process in processes]
    assert [each.exit for each in done][1::2] == [OK, OK], done
    assert {each.exit for each in done} <= {OK, REFUSED}, done
    assert (last(station), hidden(station)) == (3, [])
    repository = place.crossing.arrived(place.images[2], "raced")
    assert tags_of(repository)["v3"] == place.images[2].root.digest


def said(process: subprocess.Popen[bytes], words: str) -> None:
    """Waits until it says this on stderr."""
    assert process.stderr is not None
    assert any(words in line.decode() for line in iter(process.stderr.readline, b""))


@contextmanager
def held_at(place: Place, station: Path, when: Callable[[Request], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """An import of the second bundle that waits for the answer to such a request while the block runs."""
    reached, opened = threading.Event(), threading.Event()

    def wait(request: Request) -> None:
        if station.name in request.path and when(request) and not reached.is_set():
            reached.set()
            opened.wait(MOST)

    place.crossing.there.before = wait
    process = spawned(*place.words(2, station, station.name), "--json")
    try:
        assert reached.wait(MOST)
        yield process
    except BaseException:
        process.kill()
        process.communicate()
        raise
    finally:
        place.crossing.there.before = lambda _: None
        opened.set()


STEPS: dict[str, tuple[Callable[[Request], bool], int]] = {
    "asking": (lambda request: request.method == "GET" and request.path.endswith("/v2"), 1),
    "blobs": (lambda request: request.method == "POST" and "/uploads/" in request.path, 1),
    "manifests": (lambda request: request.method == "PUT" and request.path.endswith(".sig"), 2),
    "tag": (lambda request: request.method == "PUT" and request.path.endswith("/manifests/v2"), 2),
}
"""Requests of an import, and the last number that is accepted by then."""


@pytest.mark.parametrize("step", STEPS)
def test_who_reads_while_an_import_runs_sees_what_was_before_or_what_is_accepted_and_nothing_wrong(place: Place, step: str) -> None:
    station = place.crossing.folder / f"read-{step}"
    copytree(place.station, station)
    when, accepted = STEPS[step]
    with held_at(place, station, when) as running:
        status = run("status", "--station", station, "--json")
        assert (status.exit, status.json["streams"][0]["sequence"], status.json["receipts"]) == (OK, accepted, 1)
        judged = run("verify", place.bundles[1], "--trust", place.crossing.trust, "--station", station, "--json")
        assert (judged.exit, judged.json["station"]["standing"]) == (OK, "accepted" if accepted == 1 else "repeat")
        found = run("journal", "verify", station, "--json")
        assert (found.exit, found.json["journal"]["size"], found.json["beyond"]) == (OK, 1, [])
    done = ran(running)
    assert (done.exit, done.json["receipt"]["index"]) == (OK, 1)
    found = run("journal", "verify", station, "--since", place.station / "journal" / "checkpoint", "--json")
    assert (found.exit, found.json["receipts"]) == (OK, {"found": 2, "missing": 0})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("step", STEPS)
def test_an_interrupted_import_ends_with_130_forgets_nothing_and_the_next_says_what_it_lacked(
    place: Place, step: str, number: signal.Signals
) -> None:
    station = place.crossing.folder / f"ended-{step}-{number}"
    copytree(place.station, station)
    when, accepted = STEPS[step]
    with held_at(place, station, when) as running:
        running.send_signal(number)
        done = ran(running)
    assert (done.exit, done.code) == (130, "interrupted")
    assert (last(station), hidden(station)) == (accepted, [])
    again = run(*place.words(2, station, station.name), "--json")
    assert (again.exit, again.json["receipt"]["index"]) == (OK, 1)
    assert again.json["station"]["standing"] == ("accepted" if accepted == 1 else "repeat")
    assert ("has no receipt" in again.err) is (accepted == 2)
    assert run("journal", "verify", station, "--json").json["receipts"] == {"found": 2, "missing": 0}


@pytest.mark.parametrize("given", [".", "journal"])
def test_who_cosigns_while_an_import_runs_waits_and_neither_loses_the_others(place: Place, given: str) -> None:
    """By the station's folder, or by that of the journal in it."""
    station, when = place.crossing.folder / f"cosigned-{len(given)}", STEPS["tag"][0]
    copytree(place.station, station)
    key = write_key(place.crossing.folder / f"auditor{len(given)}.key", Key.of("ed25519"))
    with held_at(place, station, when) as running:
        cosigning = spawned("journal", "cosign", station / given, "--key", key, "--station-key", station / "station.pub")
        said(cosigning, "waiting for another import")
    assert (ran(running).exit, ran(cosigning).exit) == (OK, OK)
    found = run("journal", "verify", station, "--cosigner", key.with_suffix(".pub"), "--json")
    assert (found.exit, found.json["journal"]["size"], found.json["receipts"]) == (OK, 2, {"found": 2, "missing": 0})


def test_an_import_waits_for_who_cosigns(place: Place) -> None:
    station = place.crossing.folder / "waits"
    copytree(place.station, station)
    with StationFolder.read(station).alone():
        importing = spawned(*place.words(2, station, station.name))
        said(importing, "waiting for another import")
    assert (ran(importing).exit, last(station)) == (OK, 2)


@pytest.mark.skipif(os.geteuid() == 0, reason="as root nothing is read-only")
def test_a_station_that_cannot_be_written_ends_the_import_before_anything_is_sent(place: Place) -> None:
    station = place.crossing.folder / "read-only"
    copytree(place.station, station)
    station.chmod(0o500)
    asked = len(place.crossing.there.changes)
    try:
        done = run(*place.words(2, station, "read-only"), "--json")
        assert (done.exit, done.code, len(place.crossing.there.changes) - asked) == (DISK, "disk.io", 0)
        assert last(station) == 1
    finally:
        station.chmod(0o700)
