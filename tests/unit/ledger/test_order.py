"""Whether a bundle may follow those that were accepted: the table of section 4 of the station's specification, row by row."""

from datetime import UTC, datetime, timedelta

import pytest

from bundler.errors import Code
from bundler.ledger.order import Outcome, judge
from bundler.ledger.state import Link, Stream
from bundler.oci.digest import Digest
from bundler.trust.policy import Order

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ONE, THREE, SEVEN, OTHER = (Digest.of(name.encode()) for name in ("one", "three", "seven", "other"))
STREAM = Stream("platform", (Link(1, ONE, None), Link(3, THREE, ONE), Link(7, SEVEN, THREE)), AT, AT + timedelta(days=1))

ACCEPTED, REPEAT, ROLLBACK, EQUIVOCATION, GAP = (
    ("accepted", None),
    ("repeat", None),
    ("refused", Code.STREAM_ROLLBACK),
    ("refused", Code.STREAM_EQUIVOCATION),
    ("refused", Code.STREAM_GAP),
)
ROWS = {
    "known number, another identity": (Link(3, OTHER, ONE), EQUIVOCATION, EQUIVOCATION, EQUIVOCATION),
    "last number, another identity": (Link(7, OTHER, THREE), EQUIVOCATION, EQUIVOCATION, EQUIVOCATION),
    "last number, same identity": (Link(7, SEVEN, THREE), REPEAT, REPEAT, REPEAT),
    "known and lower, same identity": (Link(3, THREE, ONE), REPEAT, ROLLBACK, ROLLBACK),
    "lower": (Link(5, OTHER, THREE), ACCEPTED, ROLLBACK, ROLLBACK),
    "lower than all": (Link(0, OTHER, None), ACCEPTED, ROLLBACK, ROLLBACK),
    "higher, follows the last": (Link(8, OTHER, SEVEN), ACCEPTED, ACCEPTED, ACCEPTED),
    "far higher, follows the last": (Link((1 << 53) - 1, OTHER, SEVEN), ACCEPTED, ACCEPTED, ACCEPTED),
    "higher, follows another": (Link(8, OTHER, THREE), ACCEPTED, ACCEPTED, GAP),
    "higher, does not say": (Link(8, OTHER, None), ACCEPTED, ACCEPTED, GAP),
}
GAPS: dict[str, bool | None] = {"higher, follows another": True, "higher, does not say": None}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize(("order", "column"), [(Order.ANY, 0), (Order.NEWER, 1), (Order.CHAIN, 2)])
def test_each_row_of_the_table(row: str, order: Order, column: int) -> None:
    link, *answers = ROWS[row]
    standing = judge(order, STREAM, link)
    assert (standing.outcome, standing.code) == answers[column]
    assert standing.gap == GAPS.get(row, False)
    assert standing.detail


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("previous", [None, OTHER])
def test_the_first_bundle_of_a_stream_is_accepted_whatever_it_follows(order: Order, previous: Digest | None) -> None:
    standing = judge(order, None, Link(41, ONE, previous))
    assert (standing.outcome, standing.code, standing.gap) == (Outcome.ACCEPTED, None, False)


def test_equivocation_names_both_bundles() -> None:
    detail = judge(Order.NEWER, STREAM, Link(3, OTHER, ONE)).detail
    assert str(THREE) in detail
    assert str(OTHER) in detail


def test_a_rollback_says_which_bundle_was_accepted_last_and_when() -> None:
    detail = judge(Order.NEWER, STREAM, Link(5, OTHER, THREE)).detail
    assert detail == "number 5 is older: number 7 of 2026-11-22T12:00:00Z was accepted on 2026-11-23T12:00:00Z"
    again = judge(Order.NEWER, STREAM, Link(3, THREE, ONE)).detail
    assert again == "number 3 was accepted before, and since then number 7 of 2026-11-22T12:00:00Z was accepted on 2026-11-23T12:00:00Z"


def test_a_gap_names_what_the_bundle_follows_and_what_was_accepted_last() -> None:
    detail = judge(Order.NEWER, STREAM, Link(8, OTHER, THREE)).detail
    assert (str(THREE) in detail, str(SEVEN) in detail) == (True, True)
