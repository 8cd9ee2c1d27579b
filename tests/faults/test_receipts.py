"""Every k-th write, fsync and rename of an import at a station fails in turn: nothing that was told is lost, and the next import says and
does what is left."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from bundler.ledger import receipt as receipts
from bundler.ledger import receiptproof
from bundler.oci.digest import Digest
from bundler.trust.keys import PublicKey
from tests.support.faults import KINDS, Fault, Injector
from tests.support.station import Crossing, run

ON_DISK = [(kind, how) for kind in ("write", "sync", "rename") for how in KINDS[kind]]


@dataclass
class Place:
    crossing: Crossing
    bundle: Path
    injector: Injector
    numbers: Iterator[int] = field(default_factory=count)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("faults")
    with Crossing(folder) as crossing, Injector.opened(folder) as injector:
        yield Place(crossing, crossing.export(crossing.signed_image()), injector)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("kind", "how"), ON_DISK)
def test_what_was_accepted_has_a_receipt_in_the_end(place: Place, kind: str, how: str) -> None:
    at, fired = 1, True
    while fired:
        crossing = place.crossing
        station = crossing.folder / f"station-{next(place.numbers)}"
        assert run("station", "init", station, "--name", "plant-7").exit == 0
        words = ("import", place.bundle, f"{crossing.there.host}/{station.name}", "--trust", crossing.trust, "--station", station)
        ended = place.injector.run(Fault(kind, how, at), *words)
        fired = ended.fired
        assert "Traceback" not in ended.err, ended
        told = len(verified(station)) if ended.exit == 0 else 0
        assert ended.exit != 0 or told == 1  # what ended well has its receipt

        again = place.injector.run(None, *words)
        assert again.exit == 0, (at, again)
        outcomes = verified(station)
        assert outcomes in (["accepted"], ["repeat"], ["accepted", "repeat"], ["repeat", "repeat"])  # of the first there may be none
        at *= 2


def verified(station: Path) -> list[str]:
    """What became of the bundle each time, by receipts that verify with their proofs; there is none without one, and none twice."""
    key = PublicKey.parse((station / "station.pub").read_bytes(), role="image")
    found = sorted((station / "receipts").glob("*.json"))
    assert [int(path.stem) for path in found] == list(range(len(found)))
    outcomes, previous = [], None
    for number, path in enumerate(found):
        raw = path.read_bytes()
        said = receipts.opened(raw, key)
        proof = receiptproof.proved(said, Digest.of(raw), path.with_suffix(".tlog-proof").read_text(), key=key)
        assert (proof.index, said.previous) == (number, previous)
        assert path.with_suffix(".txt").read_text().endswith(f"{Digest.of(raw)}\n")
        outcomes.append(str(said.outcome))
        previous = Digest.of(raw)
    return outcomes
