"""A station that is killed, interrupted, raced for, read meanwhile, and cannot write.

After each: the state is the one before or the one after and never another, whatever has a manifest at the destination is
accepted, and the same import again completes.
"""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import pytest

from bundler.ledger.folder import StationFolder
from bundler.serving.exchange import Request
from bundler.serving.receiving import CutError
from tests.support.station import Crossing, Image, ran, run, spawned, tags_of

pytestmark = [pytest.mark.timeout(300)]
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
