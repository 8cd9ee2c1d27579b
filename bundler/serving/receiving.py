"""What a client sends, read strictly, with a deadline for each head and a least rate for each body."""

import select
from collections.abc import Callable, Iterator

from bundler.content.registry.message import MAX_CHUNK_LINE, MAX_FIELDS, MAX_HEAD, check_trailers, chunk_size
from bundler.content.registry.origin import MalformedError
from bundler.serving.seats import Seat

PIECE = 64 << 10  # bytes of a body at once; each connection has one piece in memory
SLOWEST = 16 << 10  # bytes a second; a modem is no import station's network
MAX_TRAILERS = 8 << 10  # bytes of all of them; nobody is known to send any
_TICK = 0.25  # seconds between two looks at whether an idle connection has waited for too long


class CutError(Exception):
    """The client is gone, or too slow."""


class LongError(MalformedError):
    """A head, or a line of a body, is longer than it may be."""


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
        self._buffer = bytearray()
        self._end = 0.0
        self._began: float | None = None
        self._got = 0

    def awaited(self) -> bool:
        """Wait for a next request; whether there is one. From here on its head must come soon."""
        self._began = None
        self._end = self._clock() + self._patience
        if not self._buffer and not self._comes():
            return False
        self._end = self._clock() + self._patience
        return True

    def head(self) -> list[bytes]:
        """The lines of a head without their ends; none if the connection ended before it.

        Raises MalformedError; of it LongError for more than :data:`MAX_HEAD` bytes or :data:`MAX_FIELDS` fields.
        """
        lines: list[bytes] = []
        left = MAX_HEAD
        while (line := self._line(left, first=not lines)) is not None:
            if not line and (lines or left < MAX_HEAD):
                break
            left -= len(line) + 2
            if line:  # one empty line before a request is passed over (RFC 9112, 2.2)
                lines.append(line)
            if len(lines) > MAX_FIELDS + 1:
                raise LongError(f"the head has more than {MAX_FIELDS} fields")
        return lines

    def hurry(self) -> None:
        """The head is over: from here on count bytes against time."""
        if self._began is None:
            self._began, self._got = self._clock(), len(self._buffer)

    def into(self, view: memoryview) -> int:
        """Some bytes, as many as are there."""
        if not self._buffer:
            return self._received(view)
        count = min(len(view), len(self._buffer))
        view[:count] = self._buffer[:count]
        del self._buffer[:count]
        return count

    def line(self, limit: int) -> bytes:
        """The next line without its end. Raises MalformedError where LF stands alone, LongError."""
        line = self._line(limit, first=False)
        if line is None:
            raise CutError("the connection ended")
        return line

    def _line(self, limit: int, *, first: bool) -> bytes | None:
        looked = 0
        while (end := self._buffer.find(b"\n", looked)) < 0 and len(self._buffer) <= limit:
            looked = len(self._buffer)
            more = bytearray(PIECE)
            try:
                count = self._received(memoryview(more))
            except CutError:
                if first and not self._buffer:
                    return None
                raise
            self._buffer += more[:count]
        if end < 0 or end > limit:
            raise (LongTargetError if first else LongError)(f"a line has more than {limit} bytes")
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        if not line.endswith(b"\r\n"):
            raise MalformedError("a line ends with LF alone")
        return line[:-2]

    def _received(self, view: memoryview) -> int:
        now = self._clock()
        end = self._end if self._began is None else self._began + allowed(self._got, self._patience)
        if now >= end:  # same past limit 1: to wait for no time ends it too
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
        self._ended = length == 0
        self._pieces = self._chunked() if length is None else self._counted(length)

    def __iter__(self) -> Iterator[memoryview]:
        self._before()
        self._receiver.hurry()
        yield from self._pieces
        self._ended = True

    def drained(self, limit: int) -> bool:
        """Whether the body has ended, after at most ``limit`` further bytes. Raises MalformedError."""
        if self._ended:
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

    def _counted(self, length: int) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(length, PIECE)))
        while length:
            got = self._receiver.into(buffer[: min(length, PIECE)])
            length -= got
            yield buffer[:got]

    def _chunked(self) -> Iterator[memoryview]:
        """RFC 9112, section 7.1. Extensions and trailers mean nothing here."""
        while size := chunk_size(self._receiver.line(MAX_CHUNK_LINE), padded=False):
            yield from self._counted(size)
            if self._receiver.line(MAX_CHUNK_LINE) != b"":
                raise MalformedError("a chunk does not end where it said")
        trailers, left = [], MAX_TRAILERS
        while line := self._receiver.line(left):
            left = max(0, left - len(line))
            trailers.append(line)
            if len(trailers) > MAX_FIELDS:
                raise LongError(f"there are more than {MAX_FIELDS} trailers")
        check_trailers(trailers)
