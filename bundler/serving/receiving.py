"""What a client sends, read strictly, with a deadline for each head and a least rate for each body."""

import select
from collections.abc import Callable, Iterator

from bundler.content.registry.message import MAX_HEAD, OF_REQUESTS, BodyReader, LongError, Reader
from bundler.serving.seats import Seat

PIECE = 64 << 10  # bytes of a body at once; each connection has one piece in memory
SLOWEST = 16 << 10  # bytes a second; no import station's network is a modem
_TICK = 0.25  # seconds between two looks at whether an idle connection has waited for too long


class CutError(Exception):
    """The client is gone, or too slow."""


class LongTargetError(LongError):
    """A request line is longer than it may be."""


def allowed(size: int, patience: float) -> float:
    """Seconds that ``size`` bytes may take."""
    return patience + size / SLOWEST


class Receiver:
    """The receiving end of a connection, which gives up on who is slow. Raises CutError.

    ``clock`` gives seconds; ``ending`` is a descriptor that can be read once all connections should end.
    """

    def __init__(self, seat: Seat, *, patience: float, clock: Callable[[], float], ending: int) -> None:
        self._seat = seat
        self._connection = seat.connection
        self._patience = patience
        self._clock = clock
        self._ending = ending
        self.reader = Reader(self._received, OF_REQUESTS)
        self._end = 0.0
        self._began: float | None = None
        self._got = 0

    def awaited(self) -> bool:
        """Wait for a next request; whether there is one. From here on its head must come soon."""
        self._began = None
        self._end = self._clock() + self._patience
        if not self.reader.pending and not self._comes():
            return False
        self._end = self._clock() + self._patience
        return True

    def head(self) -> list[bytes]:
        """The lines of a head without their ends; none if the connection ended before it.

        Raises MalformedError; of it LongError for more bytes or fields than a head may have.
        """
        try:
            first = self._first() or self._first()  # one empty line before a request is passed over (RFC 9112, 2.2)
        except CutError:
            if self.reader.pending:
                raise
            return []
        return self.reader.head(first) if first else []

    def _first(self) -> bytes:
        return self.reader.line(MAX_HEAD, beyond=LongTargetError)

    def hurry(self) -> None:
        """The head is over: from here on count bytes against time."""
        if self._began is None:
            self._began, self._got = self._clock(), self.reader.pending

    def _received(self, view: memoryview) -> int:
        now = self._clock()
        end = self._end if self._began is None else self._began + allowed(self._got, self._patience)
        if now >= end:  # mutant-equivalent past limit 1: to wait for no time ends it too
            raise CutError("a request is too slow")
        self._connection.settimeout(min(self._patience, end - now))
        try:
            with self._seat.waiting():
                got = self._connection.recv_into(view)
        except OSError as error:
            raise CutError(str(error)) from error
        if not got:
            raise CutError("the connection ended")
        self._got += got
        self._seat.step(got)
        return got

    def _comes(self) -> bool:
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(self._ending, select.POLLIN)
        with self._seat.waiting():
            while not (ready := poll.poll(_TICK * 1_000)):
                if self._clock() >= self._end:
                    return False
        return any(descriptor != self._ending for descriptor, _ in ready)


class Body:
    """The body of a request: its bytes, once, in pieces that are only good until the next one is asked for.

    Reading it raises CutError where it is cut, MalformedError where it is not framed as it should be.
    """

    def __init__(self, receiver: Receiver, *, length: int | None, before: Callable[[], None]) -> None:
        self.length = length
        """In bytes; None where the client did not say."""
        self._receiver = receiver
        self._before = before
        self._content = BodyReader(receiver.reader, length=length, chunked=length is None)

    def __iter__(self) -> Iterator[memoryview]:
        self._before()
        self._receiver.hurry()
        piece = memoryview(bytearray(PIECE if self.length is None else min(self.length, PIECE)))
        while count := self._content.into(piece):
            yield piece[:count]

    def drained(self, limit: int) -> bool:
        """Whether the body has ended, after at most ``limit`` further bytes. Raises MalformedError."""
        if self._content.ended:
            return True
        if self.length is not None and self.length > limit:
            return False
        try:
            for piece in self:
                limit -= len(piece)
                if limit < 0:
                    return False
        except CutError:
            return False
        return True
