"""The catalogue of hostile bundles (docs/hostile-cases.md): each ends in its class, and breaks none of the invariants."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.catalogue import ALL
from tests.support.hostile import REFUSED, ROOT, Case, Station
from tests.support.station import Watched


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with Watched(tmp_path_factory.mktemp("registry")) as server:
        yield server


@pytest.fixture
def station(tmp_path: Path, there: Watched, monkeypatch: pytest.MonkeyPatch) -> Station:
    """A folder to work in, with a canary beside everything that a bundle could name."""
    shutil.copytree(ROOT / "tests/vectors/trust", tmp_path / "trust")
    for name in ("canary", "a/index.json", "a/b/canary"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was")
    monkeypatch.chdir(tmp_path / "a/b")
    return Station(tmp_path, there)


@pytest.mark.parametrize("case", [each for each in ALL if each.is_bundle], ids=lambda case: case.name)
def test_a_hostile_bundle_ends_in_its_class(station: Station, case: Case) -> None:
    station.refuses(case)


@pytest.mark.parametrize("case", [each for each in ALL if each.folder], ids=lambda case: case.name)
def test_a_hostile_layout_is_not_exported(station: Station, case: Case) -> None:
    station.refuses_to_export(case)


# The page

NUMBERS = {
    "TAR": [*range(1, 27), *range(30, 52), *range(60, 87), *range(90, 132), 140, 141, 142],
    "ZST": range(1, 51),
    "STK": [*range(1, 9), *range(20, 25)],
    "LAY": range(1, 30),
    "IDX": range(1, 97),
    "MAN": range(1, 43),
    "SIG": range(1, 27),
    "EVD": range(1, 19),
    "BND": range(1, 47),
    "RUN": range(1, 40),
    "SRV": range(1, 29),
    "STA": range(1, 11),
}


def test_each_number_of_the_catalogue_has_a_case() -> None:
    numbered = {case.id for case in ALL if not case.id.startswith("VEC-")}
    assert numbered == {f"{family}-{number:03}" for family, numbers in NUMBERS.items() for number in numbers}


def test_each_refused_vector_is_in_the_catalogue_and_ends_as_it_says() -> None:
    listed = {Path(case.where).name: case.exit for case in ALL if case.where.startswith("tests/vectors/")}
    assert listed == {name: vector.exit for name, vector in REFUSED.items()}


def test_the_page_lists_the_cases() -> None:
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, ROOT / "scripts/hostile-cases", "--check"], env=here, check=False)
    assert done.returncode == 0, "run scripts/hostile-cases"


@pytest.mark.parametrize("case", [each for each in ALL if each.where.startswith("tests/")], ids=lambda case: case.name)
def test_what_is_tested_elsewhere_is(case: Case) -> None:
    path, _, name = case.where.partition("::")
    place = ROOT / path
    assert place.exists() or place.with_suffix(".json").exists()
    assert name in place.read_text() if name else True
