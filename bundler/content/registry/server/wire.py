"""HTTP/1.1 as the embedded registry speaks it: one request after another on a connection, bounded in size and in time.

Nobody can hold a connection by being slow: head, body and answer must each come or go at :data:`SLOWEST` or faster.
"""

import json
import os
import re
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from io import BufferedReader, RawIOBase
from typing import Any, BinaryIO, Protocol, cast
from urllib.parse import parse_qs, unquote, urlsplit

from bundler.content.stream import CHUNK

PATIENCE = 60.0  # seconds that any wait may take, a request's head too; on top of what SLOWEST allows for bodies
SLOWEST = 16 << 10  # bytes a second; a modem is no import station's network
MAX_HEAD = 128 << 10  # bytes of them; tokens of proxies before us are the longest thing in them
MAX_LINE = 64 << 10  # bytes of a request line; ten tags of the longest kind are a fiftieth of it
MAX_FIELDS = 256  # parameters in a query
_DRAINED = 64 << 10  # bytes of a body nobody wants that are read so that the connection can be kept
_LINGER = 2.0  # seconds for a client to read why we end the connection, while it still sends
_TICK = 0.25  # seconds between two looks at whether an idle connection should end


class CutError(Exception):
    """The client is gone, too slow, or sends what is no HTTP."""


class RefusedError(Exception):
    """An answer that is no success, in the form of distribution-spec, "Error Codes"."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})

    def answer(self) -> "Answer":
        body = json.dumps({"errors": [{"code": self.code, "message": str(self)}]}).encode()
        return Answer(self.status, {"Content-Type": "application/json", **self.headers}, body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers, and a body: bytes, or ``count`` bytes of a file from ``offset``, which is closed afterwards."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | BinaryIO = b""
    offset: int = 0
    count: int = 0

    @property
    def length(self) -> int:
        return len(self.body) if isinstance(self.body, bytes) else self.count


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, decoded; ``query`` holds the values of each parameter in their order."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """By their names in lower case; of several equal ones the first."""
    body: "Body"

    def parameter(self, name: str) -> str | None:
        return self.query[name][0] if name in self.query else None


class House(Protocol):
    """What the connections of one server share."""

    patience: float
    """Seconds that a client may let us wait."""
    ending: int
    """A file descriptor that can be read once the server ends."""

    def answer(self, request: Request) -> Answer:
        """Raises RefusedError."""
        ...

    def should_end(self) -> bool:
        """Whether idle connections should end: the server does, or others wait for their place."""
        ...

    def note(self, line: str) -> None: ...


class Connection(BaseHTTPRequestHandler):
    """One connection, until it ends. Made by :func:`attend`."""

    protocol_version = "HTTP/1.1"
    server_version = "oci-bundler"
    sys_version = ""
    disable_nagle_algorithm = True
    _body: "Body | None"
    server: House  # type: ignore[assignment]  # http.server wants its own class, and uses nothing of it

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._raw = _Paced(self.connection, self.server)
        self._reader = self.rfile = BufferedReader(self._raw, 64 << 10)

    def handle_one_request(self) -> None:
        self.close_connection = True
        self._raw.idle()
        try:
            self.raw_requestline = self.rfile.readline(MAX_LINE + 1)
        except CutError:
            return
        if self.raw_requestline:
            self._raw.begun()
            self._body, self._continued = None, True
            self._asked, self._answered, began = "?", 0, time.monotonic()
            try:
                self._received()
            except (CutError, OSError):
                self.close_connection = True
            self.server.note(f"{self._asked} {self._answered} {time.monotonic() - began:.3f}s")

    def _received(self) -> None:
        if len(self.raw_requestline) > MAX_LINE:
            self.requestline = self.command = ""
            self.send_error(414)
            return
        if not self.parse_request():
            return
        if self.request_version == "HTTP/0.9":
            self.send_error(505)
            return
        self._asked = f"{ascii(self.command)[1:-1]} {ascii(self.path)[1:-1]}"
        try:
            answer = self.server.answer(self._request())
        except RefusedError as refused:
            answer = refused.answer()
        self._send(answer)

    def _request(self) -> Request:
        self._body = body = self._framed()
        try:
            target = urlsplit(self.path)
            query = parse_qs(target.query, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
            path = unquote(target.path, errors="strict")
        except ValueError as error:
            raise RefusedError(400, "UNSUPPORTED", f"the request target is not well-formed: {error}") from error
        headers = {name.lower(): value for name, value in reversed(self.headers.items())}
        return Request(self.command, path, query, headers, body)

    def _framed(self) -> "Body":
        """The body as RFC 9112, section 6, frames it; what two readers could frame in two ways is refused."""
        lengths = self.headers.get_all("Content-Length", [])
        codings = self.headers.get_all("Transfer-Encoding", [])
        if codings and (lengths or self.request_version == "HTTP/1.0"):
            raise RefusedError(400, "SIZE_INVALID", "a body has both a length and an encoding")
        if len(lengths) > 1 or any(not re.fullmatch(r"[0-9]{1,18}", length, re.ASCII) for length in lengths):
            raise RefusedError(400, "SIZE_INVALID", "a body's length is not well-formed")
        if codings and [coding.lower() for coding in codings] != ["chunked"]:
            raise RefusedError(501, "UNSUPPORTED", "a body's encoding is not chunked")
        length = int(lengths[0]) if lengths else 0
        return Body(self._reader, self._raw, length=None if codings else length, before=self._continue)

    def handle_expect_100(self) -> bool:
        self._continued = False  # only who reads the body asks for it
        return True

    def _continue(self) -> None:
        if not self._continued:
            self._continued = True
            self.send_response_only(100)
            self.end_headers()

    # --- answers ---

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself: no HTTP, or too much of it."""
        self.close_connection = True
        self.request_version = self.protocol_version  # http.server would answer without a head
        self._send(RefusedError(code, "UNSUPPORTED", message or explain or self.responses.get(code, ("refused", ""))[0]).answer())

    def _send(self, answer: Answer) -> None:
        try:
            self._answered = answer.status
            kept = self._continued and self._body is not None and self._body.drained(_DRAINED)
            self.close_connection = self.close_connection or not kept or self.server.should_end()
            self._send_head(answer)
            if self.command != "HEAD":
                self._send_body(answer)
        finally:
            if not isinstance(answer.body, bytes):
                answer.body.close()
        if not kept:
            self._linger()

    def _send_head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(answer.length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.connection.settimeout(self.server.patience)
        self.end_headers()

    def _send_body(self, answer: Answer) -> None:
        if isinstance(answer.body, bytes):
            if answer.body:
                self.connection.settimeout(_allowed(len(answer.body), self.server.patience))
                self.connection.sendall(answer.body)
        else:
            _send_file(self.connection, answer.body, offset=answer.offset, count=answer.count, patience=self.server.patience)

    def _linger(self) -> None:
        """Read on for a moment: a client that is still sending must not lose our answer to a reset (RFC 9112, section 9.6)."""
        self.connection.shutdown(socket.SHUT_WR)
        end = time.monotonic() + _LINGER
        while (left := end - time.monotonic()) > 0:
            self.connection.settimeout(left)
            if not self.connection.recv(CHUNK):
                return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's word
        """Our own line is written when the request has ended."""


class Body:
    """The body of a request: its bytes, once, in pieces that are only good until the next one is asked for."""

    def __init__(self, reader: "BufferedReader[_Paced]", raw: "_Paced", *, length: int | None, before: Callable[[], None]) -> None:
        self.length = length
        """In bytes; None where the client did not say."""
        self._reader = reader
        self._raw = raw
        self._before = before
        self._ended = length == 0
        self._pieces = self._chunked() if length is None else self._counted(length)

    def __iter__(self) -> Iterator[memoryview]:
        """Raises CutError."""
        self._before()
        self._raw.hurry()
        yield from self._pieces
        self._ended = True

    def read(self, limit: int) -> bytes | None:
        """The whole, or None if it has more than ``limit`` bytes. Raises CutError."""
        if self.length is not None and self.length > limit:
            return None
        gathered = bytearray()
        for piece in self:
            gathered += piece
            if len(gathered) > limit:
                return None
        return bytes(gathered)

    def drained(self, limit: int) -> bool:
        """Whether the body has ended, after at most ``limit`` further bytes."""
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
        buffer = memoryview(bytearray(min(length, CHUNK)))
        while length:
            got = self._into(buffer[: min(length, CHUNK)])
            length -= got
            yield buffer[:got]

    def _chunked(self) -> Iterator[memoryview]:
        """RFC 9112, section 7.1. Extensions and trailers mean nothing here."""
        while size := self._chunk_size():
            yield from self._counted(size)
            if self._line() != b"":
                raise CutError("a chunk does not end where it said")
        for _ in range(100):
            if not self._line():
                return
        raise CutError("too many trailers")

    def _chunk_size(self) -> int:
        told = re.fullmatch(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?", self._line())
        if told is None:
            raise CutError("a chunk's size is not well-formed")
        return int(told[1], 16)

    def _line(self) -> bytes:
        line = self._reader.readline(4_096)
        if not line.endswith(b"\r\n"):
            raise CutError("a line of the body has no end")
        return line[:-2]

    def _into(self, buffer: memoryview) -> int:
        try:
            got = self._reader.readinto1(buffer)
        except OSError as error:
            raise CutError(str(error)) from error
        if not got:
            raise CutError("the body ends too early")
        return got


class _Paced(RawIOBase):
    """The receiving end of a connection, which gives up on who is slow."""

    def __init__(self, connection: socket.socket, house: House) -> None:
        self._connection = connection
        self._house = house
        self._idle = True
        self._end = 0.0
        self._left = MAX_HEAD
        self._began: float | None = None
        self._got = 0

    def readable(self) -> bool:
        return True

    def idle(self) -> None:
        """Between two requests: wait for the next one, and then for its head."""
        self._idle, self._began, self._left = True, None, MAX_HEAD
        self._end = time.monotonic() + self._house.patience

    def begun(self) -> None:
        """A request has begun: its head must come soon."""
        if self._idle:
            self._idle = False
            self._end = time.monotonic() + self._house.patience

    def hurry(self) -> None:
        """The head is over: from here on count bytes against time."""
        if self._began is None:
            self._began, self._got = time.monotonic(), 0

    def readinto(self, buffer: Any) -> int:
        if self._idle and not self._awaited():
            return 0
        now = time.monotonic()
        end = self._end if self._began is None else self._began + _allowed(self._got, self._house.patience)
        if now >= end or not self._left:
            raise CutError("a request is too slow, or its head too long")
        self._connection.settimeout(min(self._house.patience, end - now))
        try:
            got = self._connection.recv_into(buffer)
        except OSError as error:
            raise CutError(str(error)) from error
        if self._began is None:
            self._left = max(0, self._left - got)
        self._got += got
        return got

    def _awaited(self) -> bool:
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        poll.register(self._house.ending, select.POLLIN)
        while not (ready := poll.poll(_TICK * 1_000)):
            if self._house.should_end() or time.monotonic() >= self._end:
                return False
        if all(descriptor == self._house.ending for descriptor, _ in ready):
            return False
        self.begun()
        return True


def attend(connection: socket.socket, client: Any, house: House) -> None:
    """Answer what comes on this connection, until either side ends it."""
    Connection(connection, client, cast("Any", house))


def _send_file(connection: socket.socket, file: BinaryIO, *, offset: int, count: int, patience: float) -> None:
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    connection.settimeout(patience)  # so that it does not block: poll waits
    began, sent = time.monotonic(), 0
    while sent < count:
        left = began + _allowed(sent, patience) - time.monotonic()
        if left <= 0 or not poll.poll(min(patience, left) * 1_000):
            raise CutError("a client reads too slowly")
        try:
            done = os.sendfile(connection.fileno(), file.fileno(), offset + sent, min(count - sent, 8 << 20))
        except BlockingIOError:
            continue
        if not done:
            raise CutError("the content became shorter")
        sent += done


def _allowed(size: int, patience: float) -> float:
    """Seconds that ``size`` bytes may take."""
    return patience + size / SLOWEST
