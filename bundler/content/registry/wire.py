"""A connection on which no wait is endless, and the answers that come over it, read strictly and only as far as asked."""

import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bundler.content.registry import tls
from bundler.content.registry.answers import Head
from bundler.content.registry.message import MAX_HEAD, OF_ANSWERS, BodyReader, Reader
from bundler.content.registry.origin import MalformedError, Origin, Url
from bundler.content.stream import CHUNK
from bundler.errors import BundlerError, Code, FormatError, TransportError

MAX_INTERIM = 8  # 1xx answers before the real one; servers send one or two
_PLACE = re.compile(r"_ssl\.c:\d+: ")  # where in Python an error of TLS comes from


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited, in seconds, and for how much."""

    connect: float = 10
    idle: float = 60
    """For a next byte."""
    answer: float = 120
    """For the head of an answer, and for the whole of one that is read into memory."""
    commit: float = 600
    """For the answer to an upload's end: registries on object storage copy the blob before they give it."""
    rate: int = 1 << 10
    """Bytes a second that content must come with..."""
    window: float = 60
    """...over so many seconds of waiting for it. Time that the reader takes does not count."""


class PassingError(Exception):
    """What may be otherwise in a while: a lost connection, a registry that is busy.

    It stays inside this folder: ``error`` is what it comes to when it was tried often enough, ``after`` how many
    seconds the registry asks to wait.
    """

    def __init__(self, what: str, *, code: Code = Code.REGISTRY_UNREACHABLE, found: object = None, after: float | None = None) -> None:
        self.error: BundlerError = TransportError(what, code=code, found=found, next="run it again later")
        self.after = after
        super().__init__(str(self.error))

    @classmethod
    def until(cls, error: BundlerError) -> "PassingError":
        """One that comes to ``error``."""
        passing = cls(error.what)
        passing.error = error
        return passing


@contextmanager
def spoken_with(origin: Origin) -> Iterator[None]:
    """Let what a connection does wrong leave this block as ours: PassingError, TransportError (``registry.tls``, ``registry.protocol``)."""
    try:
        yield
    except MalformedError as error:
        raise TransportError(f"{origin} breaks the protocol", code=Code.REGISTRY_PROTOCOL, found=error) from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError) as error:
        raise PassingError(f"the connection to {origin} is lost", found=error.reason or "end of the connection") from error
    except ssl.SSLError as error:
        raise _tls(origin, error) from error
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise PassingError(f"the address of {origin.host} is not found", found=error.strerror) from error
        raise TransportError(
            f"the address of {origin.host} is not found",
            code=Code.REGISTRY_UNREACHABLE,
            found=error.strerror,
            next="check the name of the registry, and the name service",
        ) from error
    except TimeoutError as error:
        raise PassingError(f"{origin} does not answer in time", found=_PLACE.sub("", str(error)) or "no answer") from error
    except OSError as error:
        raise PassingError(f"the connection to {origin} fails", found=error.strerror or str(error)) from error


def _tls(origin: Origin, error: ssl.SSLError) -> TransportError:
    wanted = None
    if isinstance(error, ssl.SSLCertVerificationError):
        found, (wanted, hint) = error.verify_message, tls.lacks(error)
    elif error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}:
        found, hint = "an answer that is not TLS", "if the registry speaks http, and nobody can listen in between, say --plain-http"
    else:
        found, hint = (error.reason or str(error)).replace("_", " ").lower(), "the registry must speak TLS 1.2 or newer"
    return TransportError(f"{origin} is not what TLS accepts", code=Code.REGISTRY_TLS, found=found, wanted=wanted, next=hint)


class Wire:
    """A connected socket, and the reader of what comes over it. Raises OSError and MalformedError; :func:`spoken_with` translates."""

    def __init__(self, sock: socket.socket, patience: Patience, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sock = sock
        self._patience = patience
        self._clock = clock
        self.reader = Reader(self._receive, OF_ANSWERS)
        self._until = float("inf")
        self._idle = patience.idle
        self._streams = False
        self._waited = 0.0
        self._came = 0

    @property
    def peer(self) -> str:
        return str(self._sock.getpeername()[0])

    def secured(self, context: ssl.SSLContext, host: str) -> "Wire":
        """The same connection inside TLS, with the certificate checked for ``host``."""
        self._sock.settimeout(self._patience.connect)
        return Wire(context.wrap_socket(self._sock, server_hostname=host), self._patience, clock=self._clock)

    def send(self, data: bytes) -> None:
        self._sock.settimeout(self._patience.idle)
        self._sock.sendall(data)

    def send_while_quiet(self, data: bytes) -> bool:
        """Send as long as nothing comes back; whether all was sent. A peer that takes no more may have answered why."""
        left, until = memoryview(data), self._clock() + self._patience.idle
        while left:
            if not self.quiet():
                return False
            try:
                left = left[self._sock.send(left) :]
            except ssl.SSLWantReadError:
                self._wait_for(select.POLLIN, until=until)
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait_for(select.POLLIN | select.POLLOUT, until=until)
        return True

    def allow(self, seconds: float, *, idle: float | None = None) -> None:
        """From now on everything that is read must come within so many seconds."""
        self._until = self._clock() + seconds
        self._idle = idle or self._patience.idle
        self._streams = False

    def stream(self) -> None:
        """From now on what is read may take as long as it needs, at the least rate or faster."""
        self._until, self._idle = float("inf"), self._patience.idle
        self._streams, self._waited, self._came = True, 0.0, 0

    def quiet(self) -> bool:
        """Whether nothing came that was not asked for: neither bytes nor the end. Does not wait."""
        if self.reader.pending:
            return False
        self._sock.settimeout(0)
        try:
            self.reader.feed(self._sock.recv(16 << 10))
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def _wait_for(self, events: int, *, until: float) -> None:
        """Until one of the events of poll(2). Raises TimeoutError where that is too late."""
        poll = select.poll()
        poll.register(self._sock, events)
        left = until - self._clock()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError("what is sent is not taken")

    def _receive(self, view: memoryview) -> int:
        begun = self._clock()
        if begun >= self._until:
            raise TimeoutError("the answer takes too long")
        self._sock.settimeout(min(self._idle, self._until - begun))
        count = self._sock.recv_into(view)
        self._waited += self._clock() - begun
        self._came += count
        if self._streams and self._waited >= self._patience.window:
            if self._came < self._patience.rate * self._waited:
                raise TimeoutError(f"{self._came} bytes in {self._waited:.0f} seconds, too slow to go on")
            self._waited, self._came = 0.0, 0
        return count

    def head(self) -> Head:
        """The next answer's head, interim answers skipped."""
        for _ in range(MAX_INTERIM):
            head = Head.parse(self.reader.head(self.reader.line(MAX_HEAD)))
            if head.status >= 200:
                return head
            if head.status == 101:
                break
        raise MalformedError("there is no final answer, only interim ones")

    def close(self) -> None:
        with suppress(OSError):
            self._sock.close()


class Answer:
    """An answer: its head, and its body as far as it is asked for. Read it to its end or close it."""

    def __init__(self, wire: Wire, head: Head, *, method: str, url: Url, release: Callable[[], None]) -> None:
        self.head = head
        self.url = url
        """What was asked, after redirects."""
        self._wire = wire
        self._release = release
        self._open = True
        self._body = BodyReader(wire.reader, length=head.length, chunked=head.chunked)
        if method == "HEAD" or head.status in {204, 304} or self._body.ended:
            self._end(persistent=head.persistent)

    @property
    def status(self) -> int:
        return self.head.status

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces of :data:`CHUNK` bytes and a rest. Ends only where the answer ends; raises PassingError if it was cut."""
        self._wire.stream()
        yield from self._pieces()

    def whole(self, limit: int, *, what: str, code: Code = Code.LIMIT_ANSWER) -> bytes:
        """The body, at most ``limit`` bytes. Raises FormatError (``code``) above, PassingError if it was cut."""
        body = self.beginning(limit + 1)
        if len(body) > limit:
            self.close()
            raise FormatError(f"{what} is over its limit", code=code, wanted=f"at most {limit} bytes")
        return body

    def beginning(self, limit: int) -> bytes:
        """At most the first ``limit`` bytes of the body."""
        body = bytearray()
        for piece in self._pieces(limit):
            body += piece
            if len(body) >= limit:
                break
        return bytes(body[:limit])

    def discard(self) -> None:
        """Give the connection back, having read past a small rest, or end it."""
        with suppress(TransportError, PassingError):
            self.beginning(16 << 10)
        self.close()

    def close(self) -> None:
        """End the connection, unless the whole answer was read and it was given back."""
        if self._open:
            self._end(persistent=False)

    def _pieces(self, size: int = CHUNK) -> Iterator[bytes]:
        if self._open and self.head.encoded:
            self.close()
            raise TransportError(
                f"{self.url.origin} breaks the protocol",
                code=Code.REGISTRY_PROTOCOL,
                found=f"content-encoding {ascii(','.join(self.head.all('content-encoding')))[:80]}",
                wanted="identity, as it was asked for",
            )
        buffer = memoryview(bytearray(min(size, CHUNK)))
        filled = 0
        while self._open:
            try:
                filled += self._fill(buffer[filled:])
            except PassingError:
                if filled:
                    yield bytes(buffer[:filled])
                raise
            if filled == len(buffer) or (filled and not self._open):
                yield bytes(buffer[:filled])
                filled = 0

    def _fill(self, view: memoryview) -> int:
        """Some of the body; at its end the connection is given back."""
        try:
            with spoken_with(self.url.origin):
                count = self._body.into(view)
                if not count and not self._body.ended:
                    raise ConnectionResetError("the answer was cut")
        except (TransportError, PassingError):
            self.close()
            raise
        if self._body.ended:
            self._end(persistent=self.head.persistent and not self._body.open_ended)
        return count

    def _end(self, *, persistent: bool) -> None:
        self._open = False
        if persistent:
            self._release()
        else:
            self._wire.close()
