"""Places for connections: so many for all, fewer for one address, and who gives his up when there are none left.

Many who are slow must not keep out one who is not. So when places run out, the connection gives its place up that has
waited for its client longest without getting anywhere, one of the address with the most connections first.
"""

import ipaddress
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

STEP = 16 << 10  # bytes after which a connection has got somewhere
HEAD_MAY_TAKE = 0.1  # seconds for a head when places are needed: it comes in the packet after the connection's own
STEP_MAY_TAKE = 0.3  # seconds for STEP bytes when places are needed: half a megabit a second


class Seat:
    """One connection's place. Its own thread says what it does; the one that needs places looks on."""

    def __init__(self, connection: socket.socket, address: str, *, clock: Callable[[], float]) -> None:
        self.connection = connection
        self.address = address
        self._clock = clock
        self.answering = False
        """Whether it is at a request's body or its answer, and not before its head's end."""
        self.moved = clock()
        """When it last got somewhere."""
        self._waits = False
        self._left = STEP

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """For the client. Only meanwhile can the place be taken."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def step(self, count: int) -> None:
        """So many bytes came or went."""
        self._left -= count
        if self.answering and self._left <= 0:
            self.moved, self._left = self._clock(), STEP

    def turn(self, *, answering: bool) -> None:
        """A head has ended, or an answer."""
        self.answering, self.moved, self._left = answering, self._clock(), STEP

    def stuck(self, now: float) -> bool:
        return self._waits and now - self.moved > (STEP_MAY_TAKE if self.answering else HEAD_MAY_TAKE)


class Seats:
    """``count`` places in all, ``of_one`` of them for one address; ``clock`` gives seconds."""

    def __init__(self, *, count: int, of_one: int, clock: Callable[[], float]) -> None:
        self._count = count
        self._of_one = of_one
        self._clock = clock
        self._taken: set[Seat] = set()
        self._leaving: set[Seat] = set()
        self._of: Counter[str] = Counter()
        self._changed = threading.Condition()

    def take(self, connection: socket.socket, address: str) -> Seat | None:
        """A place, or None if there is none for this address now."""
        with self._changed:
            if len(self._taken) >= self._count or self._of[address] >= self._of_one:
                return None
            seat = Seat(connection, address, clock=self._clock)
            self._taken.add(seat)
            self._of[address] += 1
            return seat

    def make_room(self, addresses: Sequence[str]) -> None:
        """Let as many give way as wait, by their addresses, for a place; those that are leaving already count."""
        with self._changed:
            now = self._clock()
            stuck = [seat for seat in self._taken - self._leaving if seat.stuck(now)]
            stuck.sort(key=lambda seat: (-self._of[seat.address], seat.moved))
            for address in addresses[len(self._leaving) :]:
                of_one = self._of[address] >= self._of_one
                given = next((seat for seat in stuck if seat.address == address or not of_one), None)
                if given is not None:
                    stuck.remove(given)
                    self._leaving.add(given)
                    shut(given.connection)

    def leave(self, seat: Seat) -> None:
        with self._changed:
            self._taken.discard(seat)
            self._leaving.discard(seat)
            self._of[seat.address] -= 1
            if not self._of[seat.address]:  # mutant-equivalent never: addresses that are gone would only take memory
                del self._of[seat.address]
            self._changed.notify_all()

    def emptied(self, *, within: float) -> bool:
        """Whether all have left, after so many seconds at most."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._taken, timeout=within)

    def end_all(self) -> None:
        with self._changed:
            for seat in self._taken:
                shut(seat.connection)


def client_of(address: str) -> str:
    """Whose places those of this address are: who has one address of IPv6 has the network of 64 bits around it (RFC 4291, 2.5.4)."""
    return str(ipaddress.ip_network((address.partition("%")[0], 64), strict=False)) if ":" in address else address


def shut(connection: socket.socket) -> None:
    with suppress(OSError):  # it broke by itself
        connection.shutdown(socket.SHUT_RDWR)
