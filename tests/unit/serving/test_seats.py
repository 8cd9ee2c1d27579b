"""Who gets a place and who gives his up, by a clock that stands still."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bundler.serving.seats import HEAD_MAY_TAKE, STEP, STEP_MAY_TAKE, Seat, Seats


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Crowd:
    """Connections to a house of ``count`` places, ``of_one`` of them for one address."""

    def __init__(self, stack: ExitStack, *, count: int, of_one: int) -> None:
        self.clock = Clock()
        self.seats = Seats(count=count, of_one=of_one, clock=self.clock)
        self._stack = stack
        self._clients: dict[Seat, socket.socket] = {}

    def come(self, address: str) -> Seat | None:
        ours, client = (self._stack.enter_context(each) for each in socket.socketpair())
        client.settimeout(0)
        seat = self.seats.take(ours, address)
        if seat is not None:
            self._clients[seat] = client
        return seat

    def waiting(self, address: str) -> Seat:
        """One that is at its first head, for which it waits."""
        seat = self.come(address)
        assert seat is not None
        self._stack.enter_context(seat.waiting())
        return seat

    def ended(self, seat: Seat) -> bool:
        try:
            return self._clients[seat].recv(1) == b""
        except BlockingIOError:
            return False


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def crowd(stack: ExitStack) -> Crowd:
    return Crowd(stack, count=3, of_one=2)


def test_one_address_has_fewer_places_than_there_are(crowd: Crowd) -> None:
    assert [crowd.come(address) is not None for address in "aaabbc"] == [True, True, False, True, False, False]


def test_a_place_that_is_left_is_free(crowd: Crowd) -> None:
    first, _, _ = crowd.come("a"), crowd.come("a"), crowd.come("b")
    assert first
    crowd.seats.leave(first)
    assert [crowd.come(address) is not None for address in "ba"] == [True, False]


def test_an_address_that_leaves_a_place_has_one_more_and_no_further(stack: ExitStack) -> None:
    crowd = Crowd(stack, count=9, of_one=2)
    first, _ = crowd.come("a"), crowd.come("a")
    assert first
    crowd.seats.leave(first)
    assert [crowd.come("a") is not None for _ in range(2)] == [True, False]


def test_who_is_not_stuck_gives_nothing_up(crowd: Crowd) -> None:
    seats = [crowd.waiting(address) for address in "aab"]
    crowd.clock.now += HEAD_MAY_TAKE
    crowd.seats.make_room("c")
    assert not any(map(crowd.ended, seats))


def test_who_is_served_gives_nothing_up_however_long_it_takes(crowd: Crowd) -> None:
    seats = [crowd.come(address) for address in "aab"]
    crowd.clock.now += 1_000
    crowd.seats.make_room("c")
    assert not any(map(crowd.ended, filter(None, seats)))


def test_who_waits_no_more_gives_nothing_up(crowd: Crowd) -> None:
    seat = crowd.come("a")
    assert seat
    with seat.waiting():
        pass
    crowd.clock.now += 1_000
    crowd.seats.make_room("c")
    assert not crowd.ended(seat)


def test_of_the_address_with_most_places_the_one_that_is_stuck_longest_makes_room(stack: ExitStack) -> None:
    crowd = Crowd(stack, count=9, of_one=9)
    seats = []
    for address in "bacadaa":
        seats.append(crowd.waiting(address))
        crowd.clock.now += 1
    crowd.seats.make_room("xx")
    assert [crowd.ended(seat) for seat in seats] == [False, True, False, True, False, False, False]


def test_as_many_make_room_as_wait_and_no_more_while_they_leave(crowd: Crowd) -> None:
    seats = [crowd.waiting(address) for address in "aab"]
    crowd.clock.now += 1
    for _ in range(3):
        crowd.seats.make_room("c")
    assert [crowd.ended(seat) for seat in seats].count(True) == 1
    crowd.seats.make_room("cd")
    assert [crowd.ended(seat) for seat in seats].count(True) == 2
    for seat in [seat for seat in seats if crowd.ended(seat)]:
        crowd.seats.leave(seat)
    crowd.seats.make_room("c")
    assert all(map(crowd.ended, seats))


def test_where_an_address_has_all_its_places_only_its_own_make_room(crowd: Crowd) -> None:
    other = crowd.waiting("b")
    own = [crowd.waiting("a"), crowd.waiting("a")]
    crowd.clock.now += 1
    crowd.seats.make_room("aaa")
    assert [crowd.ended(seat) for seat in (other, *own)] == [False, True, True]


def test_where_an_address_has_places_left_any_makes_room(crowd: Crowd) -> None:
    other, own = crowd.waiting("b"), crowd.come("a")
    assert own
    crowd.clock.now += 1
    crowd.seats.make_room("a")
    assert (crowd.ended(other), crowd.ended(own)) == (True, False)


def test_a_body_has_got_somewhere_with_each_step_and_not_before(crowd: Crowd) -> None:
    seat = crowd.waiting("a")
    seat.turn(answering=True)
    for count in (STEP - 1, 1):
        crowd.clock.now += STEP_MAY_TAKE * 0.6
        seat.step(count)
    crowd.clock.now += STEP_MAY_TAKE * 0.6
    crowd.seats.make_room("c")
    assert not crowd.ended(seat)
    seat.step(STEP - 1)
    crowd.clock.now += STEP_MAY_TAKE * 0.6
    crowd.seats.make_room("c")
    assert crowd.ended(seat)


def test_a_head_gets_nowhere_by_its_bytes(crowd: Crowd) -> None:
    seat = crowd.waiting("a")
    crowd.clock.now += HEAD_MAY_TAKE * 2
    seat.step(4 * STEP)
    crowd.seats.make_room("c")
    assert crowd.ended(seat)


@pytest.mark.parametrize(("answering", "while_"), [(True, STEP_MAY_TAKE), (False, HEAD_MAY_TAKE)])
def test_after_each_turn_there_is_time_again(crowd: Crowd, answering: bool, while_: float) -> None:
    seat = crowd.waiting("a")
    crowd.clock.now += 10
    seat.turn(answering=answering)
    crowd.clock.now += while_ * 0.9
    crowd.seats.make_room("c")
    assert not crowd.ended(seat)
    crowd.clock.now += while_ * 0.2
    crowd.seats.make_room("c")
    assert crowd.ended(seat)


def test_it_is_empty_once_all_have_left(crowd: Crowd) -> None:
    seats = [crowd.waiting("a"), crowd.waiting("a")]
    assert not crowd.seats.emptied(within=0)
    crowd.seats.end_all()
    assert all(map(crowd.ended, seats))
    for seat in seats:
        crowd.seats.leave(seat)
    assert crowd.seats.emptied(within=0)


def test_a_connection_that_broke_by_itself_can_be_ended(crowd: Crowd) -> None:
    seat = crowd.waiting("a")
    seat.connection.close()
    crowd.seats.end_all()
