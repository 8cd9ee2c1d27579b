"""The vectors of the station's specification: each ends as it says, and all follow from scripts/vectors."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from bundler.errors import Code, UsageError
from bundler.ledger.folder import Profile
from bundler.ledger.order import judge
from bundler.ledger.state import Link, State, Stream, TrustSeen
from bundler.oci.digest import Digest
from bundler.trust.policy import Order
from tests.support import station_vectors
from tests.support.cases import each
from tests.support.station_vectors import AT, NAME, OTHER

VECTORS = Path(__file__).parents[2] / "vectors"
STATION = VECTORS / "station"


def test_they_are_those_that_the_script_makes() -> None:
    there = {path.relative_to(VECTORS).as_posix(): path.read_bytes() for path in STATION.rglob("*") if path.is_file()}
    assert there == station_vectors.files()


@pytest.mark.parametrize("path", sorted(STATION.glob("valid/*.toml")), ids=lambda path: path.stem)
def test_a_good_profile_is_read(path: Path) -> None:
    profile = Profile.parse(path.read_bytes(), Path("/station"))
    assert profile.name == NAME
    assert profile.key.is_absolute()


@each("path", sorted(STATION.glob("invalid/*.toml")), ids=lambda path: path.stem)
def test_a_bad_profile_is_refused(path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        Profile.parse(path.read_bytes(), Path("/station"))
    assert refused.value.code is Code.STATION_FORM


@each("path", sorted(STATION.glob("valid/*.json")), ids=lambda path: path.stem)
def test_a_good_state_is_read_and_spelled_as_it_was(path: Path) -> None:
    assert State.parse(path.read_bytes(), NAME).spelled() == path.read_bytes()


@each("path", sorted(STATION.glob("invalid/*.json")), ids=lambda path: path.stem)
def test_a_bad_state_is_refused_and_it_is_said_how_to_go_on(path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        State.parse(path.read_bytes(), NAME)
    assert refused.value.code is Code.STATION_STATE
    assert "station init" in (refused.value.next or "")


def test_each_order_is_as_the_table_says() -> None:
    cases = json.loads((STATION / "order.json").read_text())
    assert len(cases) == 33
    for case in cases:
        known = tuple(_link(*each) for each in case["known"])
        stream = Stream("platform", known, AT, AT) if known else None
        standing = judge(Order(case["order"]), stream, _link(*case["bundle"]))
        assert (standing.outcome, standing.code, standing.gap) == (case["outcome"], case["code"], case["gap"]), case


def test_each_floor_is_as_the_table_says() -> None:
    for case in json.loads((STATION / "floor.json").read_text()):
        clock, created, judged, after = (datetime.fromisoformat(case[name]) for name in ("clock", "created", "judged_at", "after"))
        state = State(NAME, floor=datetime.fromisoformat(case["floor"]) if case["floor"] else None)
        assert state.judged_at(clock) == judged, case
        accepted = state.accepting("platform", Link(1, OTHER, None), created=created, clock=clock, trust=TrustSeen(1, OTHER))
        assert accepted.floor == after, case


def _link(sequence: int, identity: str, previous: str | None) -> Link:
    return Link(sequence, Digest.parse(identity), None if previous is None else Digest.parse(previous))
