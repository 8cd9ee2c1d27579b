"""Whether a bundle may follow those that were accepted: the table of section 4 of the station's specification, row by row."""

from bundler.ledger.order import Outcome, judge
from bundler.ledger.state import Link
from bundler.oci.digest import Digest
from bundler.trust.policy import Order
from tests.support.cases import each
from tests.support.station_vectors import GAPS, ONE, ORDERS, OTHER, ROWS, SEVEN, STREAM, THREE


@each("row", ROWS)
@each(("column", "order"), list(enumerate(map(Order, ORDERS))))
def test_each_row_of_the_table(row: str, column: int, order: Order) -> None:
    link, *answers = ROWS[row]
    standing = judge(order, STREAM, link)
    assert (standing.outcome, standing.code) == answers[column]
    assert standing.gap == GAPS.get(row, False)
    assert standing.detail


@each("order", Order)
@each("previous", [None, OTHER])
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
