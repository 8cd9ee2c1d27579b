"""Every k-th write, fsync, rename, read, send and receive of what a station does fails, is killed or is interrupted in turn.

After each: what was there and what was told is there and verifies, an accepted number is not forgotten, a tag names only what the
state knows, and the next run says what this one lacked, and completes. ``make test`` takes k = 1, 4, 16, …; ``make faults`` takes every
one until a run ends without the fault, and prints how many there were.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from shutil import copy, copytree
from typing import Any

import pytest

from bundler.content.registry.client import Registry
from bundler.content.registry.http import Access
from bundler.ledger import receipt as receipts
from bundler.ledger import receiptproof, returnfile
from bundler.ledger.folder import StationFolder
from bundler.oci.digest import Digest
from bundler.trust.keys import PublicKey
from tests.support.faults import ALL, INTERRUPT, KINDS, Ended, Fault, Injector
from tests.support.layouts import PLAIN_LAYER
from tests.support.signing import Key
from tests.support.station import Crossing, Image, faults, run, tags_of, write_key

pytestmark = [pytest.mark.timeout(1800 if ALL else 300)]
EVERY = [(kind, how) for kind, hows in KINDS.items() for how in (*hows, INTERRUPT)]
ON_DISK = [(kind, how) for kind, how in EVERY if kind in ("write", "sync", "rename", "read")]
OK, REFUSED, TAKEN, INTERRUPTED, KILLED = 0, 5, 8, 130, -9
Words = tuple[object, ...]


@dataclass(frozen=True)
class Scene:
    """What a station that has accepted so many of the bundles is asked to import, and how that ends when nothing goes wrong."""

    accepted: int
    after: int
    outcomes: tuple[str, str]
    """What the first run that writes a receipt writes, and each later one."""
    words: Callable[["Place"], Words]
    """The bundle, and flags."""

    @property
    def exit(self) -> int:
        return REFUSED if self.outcomes[0] == "refused" else OK


SCENES = {
    "accepted": Scene(1, 2, ("accepted", "repeat"), lambda place: (place.bundles[1],)),
    "attached": Scene(1, 2, ("accepted", "repeat"), lambda place: (place.bundles[1], "--attach", "auto")),
    "repeated": Scene(1, 1, ("repeat", "repeat"), lambda place: (place.bundles[0],)),
    "refused": Scene(2, 2, ("refused", "refused"), lambda place: (place.bundles[0],)),
    "a delta": Scene(1, 2, ("accepted", "repeat"), lambda place: (place.delta, "--from", place.bundles[0])),
    "made up": Scene(-2, 2, ("repeat", "repeat"), lambda place: (place.bundles[1],)),
}


@dataclass
class Place:
    """Bundles, what a station looks like that accepted so many of them, and the process that fails."""

    crossing: Crossing
    images: list[Image]
    bundles: list[Path]
    delta: Path
    injector: Injector
    registry: Registry
    stations: dict[int, Path] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def station(self, accepted: int) -> Path:
        folder = self.crossing.folder / f"station-{next(self.numbers)}"
        return copytree(self.stations[accepted], folder)

    def at(self, station: Path) -> Words:
        return ("--trust", self.crossing.trust, "--station", station)

    def run(self, fault: Fault, *words: object, wanted: int = OK) -> Ended:
        """Ends as that fault may let it: with an error, as if nothing had been, or by the signal."""
        ended = self.injector.failed(fault, *words)
        ends = {wanted, 4, 7} | ({2, 3} if fault.kind == "read" else set())
        if not ended.fired or fault.how == "short":
            ends = {wanted}  # fewer bytes than asked for are not an error
        elif fault.how == "kill":
            ends = {KILLED}
        elif fault.how == INTERRUPT:
            ends = {wanted, INTERRUPTED}
        assert ended.exit in ends, (fault, ended)
        return ended

    def again(self, *words: object, wanted: int = OK) -> Ended:
        ended = self.injector.run(None, *words)
        assert ended.exit == wanted, (words, ended)
        return ended


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("faults")
    with Crossing(folder) as crossing, Injector.opened(folder) as injector, Registry(crossing.there.host, Access(plain_http=True)) as there:
        images = [image_of(crossing, number) for number in (1, 2)]
        bundles = [crossing.export(image, to=f"{number}", flags=["--sequence", number]) for number, image in enumerate(images, 1)]
        base = ("--base", bundles[0], "--trust", crossing.trust, "--sequence", 2)
        place = Place(crossing, images, bundles, crossing.export(images[1], to="delta", flags=base), injector, there)
        for accepted in (0, 1, 2):
            station = crossing.station() if accepted == 0 else place.station(accepted - 1)
            if accepted:  # elsewhere, so that a delta finds nothing of it where it goes to
                done = run("import", bundles[accepted - 1], f"{crossing.here.host}/arrived", *place.at(station))
                assert done.exit == OK, done.err
            place.stations[accepted] = station
        place.stations[-2] = unfinished(place)
        yield place
        if ALL:
            print(f"\n{injector.injected} faults injected at what a station does")  # noqa: T201 - by ``pytest -s``, as make faults runs it


def image_of(crossing: Crossing, number: int) -> Image:
    """Of a layer that all have, and one of its own."""
    layers = [crossing.content.blob(word.encode() * 2000, PLAIN_LAYER) for word in ("all", f"{number}")]
    return crossing.push(crossing.sign(crossing.content.image(f"{number}", layers=layers)), f"team/app:v{number}")


def unfinished(place: Place) -> Path:
    """A station that was killed when it had the second receipt, and not yet its entry."""
    station = place.station(1)
    for name in ("state.json", "receipts/0000000001.json"):
        copy(place.stations[2] / name, station / name)
    return station


# --- what a station has ---


def hidden(folder: Path) -> list[str]:
    """What has not got its name."""
    return [str(path) for path in folder.rglob(".oci-bundler-*")]


def last(station: Path) -> int:
    """The number of the bundle that was accepted last; 0 where none was."""
    streams = StationFolder.read(station).state().streams
    return streams[0].last.sequence if streams else 0


def journal(station: Path, *words: object) -> Any:
    """What ``journal verify`` says, which finds nothing wrong and no receipt missing."""
    done = run("journal", "verify", station, *words, "--json")
    assert done.exit == OK, done.out
    assert done.json["receipts"]["missing"] == 0
    return done.json


def written(station: Path, size: int, *, whole: bool) -> list[str]:
    """What became of the bundles by the receipts, of which ``size`` are in the journal; each verifies, and if ``whole`` has its proof."""
    key = PublicKey.parse((station / "station.pub").read_bytes(), role="image")
    found = sorted((station / "receipts").glob("*.json"))
    assert [int(path.stem) for path in found] == list(range(len(found)))
    assert len(found) == size if whole else size <= len(found) <= size + 1
    outcomes, previous = [], None
    for number, path in enumerate(found):
        raw = path.read_bytes()
        said = receipts.opened(raw, key)
        assert said.previous == previous
        if whole or number < size - 1:
            proof = receiptproof.proved(said, Digest.of(raw), path.with_suffix(".tlog-proof").read_text(), key=key)
            assert proof.index == number
            assert path.with_suffix(".txt").read_text().endswith(f"{Digest.of(raw)}\n")
        outcomes.append(str(said.outcome))
        previous = Digest.of(raw)
    return outcomes


def told(station: Path, out: str) -> bool:
    """Whether an answer named a receipt, which verifies then, with its proof."""
    named = json.loads(out).get("receipt") if out else None
    if named is None:
        return False
    done = run("receipt", "verify", named["file"], "--key", station / "station.pub", "--json")
    assert done.exit == OK, done.out
    assert (done.json["digest"], done.json["journal"]["index"]) == (named["digest"], named["index"])
    assert journal(station)["journal"]["size"] > named["index"]
    return True


def lacking(station: Path, before: int, accepted: int) -> set[str]:
    """What the next run must say, from what is there, where the journal had ``before`` entries and ``accepted`` was the last bundle."""
    found = journal(station)
    size, folder = found["journal"]["size"], station / "receipts"
    pending = (folder / f"{size:010}.json").exists()
    said = {
        "was not in the journal yet, and is now": pending,
        "had no proof of its entry": size > 0 and not (folder / f"{size - 1:010}.tlog-proof").exists(),
        "were set aside in": bool(found["beyond"]),
        "has no receipt": last(station) > accepted and size == before and not pending,
    }
    return {words for words, is_so in said.items() if is_so}


REMARKS = ("was not in the journal yet, and is now", "had no proof of its entry", "were set aside in", "has no receipt")


# --- the commands ---


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize(("kind", "how"), EVERY)
def test_an_import_that_fails_anywhere_loses_nothing_that_was_told_and_the_next_says_what_it_lacked(
    place: Place, kind: str, how: str, scene: str
) -> None:
    wanted = SCENES[scene]
    start, known = place.stations[wanted.accepted], abs(wanted.accepted)
    size = journal(start)["journal"]["size"]
    before = written(start, size, whole=wanted.accepted > 0)
    for fault in place.injector.until_it_does_not_come(kind, how):
        station = place.station(wanted.accepted)
        words = ("import", *wanted.words(place)[:1], f"{place.crossing.there.host}/{station.name}", *wanted.words(place)[1:])
        words = (*words, *place.at(station), "-j", "1", "--json")
        asked = len(place.crossing.there.asked)
        ended = place.run(fault, *words, wanted=wanted.exit)
        named = any("PUT" in line and "/manifests/" in line for line in place.crossing.there.asked[asked:])

        accepted = last(station)
        assert accepted in (known, wanted.after), (fault, ended)
        assert accepted == wanted.after or not named, (fault, ended)
        now = journal(station, "--since", start / "journal" / "checkpoint")["journal"]["size"]
        assert written(station, now, whole=False)[: len(before)] == before, fault
        assert told(station, ended.out) or ended.exit != wanted.exit, (fault, ended)
        assert how == "kill" or hidden(station) == [], fault
        if accepted == 2:
            older = run("verify", place.bundles[0], *place.at(station), "--json")
            assert (older.exit, older.json["seal"]["reasons"]) == (REFUSED, ["stream.rollback"]), fault
        repository = place.registry.repository(place.crossing.arrived_at(place.images[0], station.name), push=True)
        assert faults(repository) == [], fault

        remarks, outcome = lacking(station, size, known), wanted.outcomes[accepted != known]
        again = place.again(*words, wanted=wanted.exit)
        assert told(station, again.out), (fault, again)
        assert {remark for remark in REMARKS if remark in again.err} == remarks, (fault, again)
        assert (last(station), hidden(station)) == (wanted.after, []), fault
        now = journal(station, "--since", start / "journal" / "checkpoint")["journal"]["size"]
        assert written(station, now, whole=True)[-1] == outcome, (fault, again)
        if wanted.exit == OK:
            image = place.images[wanted.after - 1]
            assert tags_of(repository)[f"v{wanted.after}"] == image.root.digest
            assert faults(repository) == []
        else:
            assert repository.tags() == []


@pytest.mark.parametrize("named", [False, True], ids=["with a new key", "with a key of its own"])
@pytest.mark.parametrize(("kind", "how"), ON_DISK)
def test_an_init_that_fails_anywhere_leaves_a_station_or_none(place: Place, kind: str, how: str, named: bool) -> None:
    key = ("--key", place.crossing.keys["release"]) if named else ()
    for fault in place.injector.until_it_does_not_come(kind, how):
        station = place.crossing.folder / f"init-{next(place.numbers)}"
        words = ("station", "init", station, "--name", "plant-7", *key)
        ended = place.run(fault, *words)
        there = run("status", "--station", station, "--json")
        assert there.exit == OK or there.code == "station.missing", (fault, ended)
        if ended.exit == OK:
            assert there.exit == OK, fault
        elif how != "kill":
            assert not station.exists() or not list(station.iterdir()), (fault, ended)
            place.again(*words)
        assert how == "kill" or hidden(station) == [], fault
        if station.joinpath("station.toml").exists():
            journal(station, "--key", place.crossing.keys["release"].with_suffix(".pub") if named else station / "station.pub")


@pytest.mark.parametrize("accepted", [1, -2], ids=["in order", "with something to be made up"])
@pytest.mark.parametrize(("kind", "how"), ON_DISK)
def test_a_return_file_that_fails_anywhere_is_whole_or_not_there(place: Place, kind: str, how: str, accepted: int) -> None:
    start = place.stations[accepted]
    size = journal(start)["journal"]["size"]
    for fault in place.injector.until_it_does_not_come(kind, how):
        station, back = place.station(accepted), place.crossing.folder / f"returned-{next(place.numbers)}"
        back.mkdir()
        words = ("status", "--export", back / "return.json", *place.at(station), "--json")
        ended = place.run(fault, *words)
        left = [path.name for path in back.iterdir()]
        assert left in ([], ["return.json"]) or how == "kill", (fault, ended)
        assert how == "kill" or hidden(station) == [], fault
        assert ended.exit != OK or left == ["return.json"], fault
        now = journal(station, "--since", start / "journal" / "checkpoint")["journal"]["size"]
        written(station, now, whole=False)
        assert last(station) == abs(accepted), fault
        remarks = lacking(station, size, abs(accepted))
        again = place.again(*words, "--replace")
        assert {remark for remark in REMARKS if remark in again.err} == remarks, (fault, again)
        key = PublicKey.parse((station / "station.pub").read_bytes(), role="image")
        returned = returnfile.opened((back / "return.json").read_bytes(), [key])
        assert returned.streams["default"].sequence == abs(accepted), fault
        written(station, journal(station)["journal"]["size"], whole=True)
        assert hidden(station) == [], fault


@pytest.mark.parametrize(("kind", "how"), ON_DISK)
def test_a_cosigning_that_fails_anywhere_leaves_a_journal_that_goes_on(place: Place, kind: str, how: str) -> None:
    start = place.stations[1]
    for fault in place.injector.until_it_does_not_come(kind, how):
        station, desk = place.station(1), place.crossing.folder / f"desk-{next(place.numbers)}"
        desk.mkdir()
        key = write_key(desk / "auditor.key", Key.of("ed25519"))
        words = ("journal", "cosign", station, "--key", key, "--json")
        ended = place.run(fault, *words)
        found = run("journal", "verify", station, "--since", start / "journal" / "checkpoint", "--cosigner", desk / "auditor.pub", "--json")
        assert found.exit == OK if ended.exit == OK else journal(station)["journal"]["size"] == 1, (fault, ended, found)
        assert how == "kill" or hidden(station) + hidden(desk) == [], fault
        place.again(*words)
        assert journal(station, "--cosigner", desk / "auditor.pub")["cosigned"][0]["name"] == "auditor", fault
        goes_on = ("import", place.bundles[1], f"{place.crossing.there.host}/{station.name}", *place.at(station), "-j", "1", "--json")
        assert told(station, place.again(*goes_on).out), fault
        written(station, 2, whole=True)
        assert hidden(station) + (hidden(desk) if how != "kill" else []) == [], fault
