"""HTTP/1.1 as the embedded registry speaks it: one request after another on a connection, bounded in size and in time.

Nobody can hold a connection by being slow: head, body and answer must each come or go at :data:`~.receiving.SLOWEST`
or faster. What can be read in two ways is refused, and ends the connection (:mod:`bundler.content.registry.message`).
"""

import json
import os
import select
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import BinaryIO, Protocol
from urllib.parse import parse_qs, unquote

from bundler.content.registry.message import CodingError, LongError, RequestHead, VersionError, composed
from bundler.content.registry.origin import MalformedError, shown
from bundler.serving.receiving import Body, CutError, LongTargetError, Receiver, allowed
from bundler.serving.seats import Seat

PATIENCE = 60.0  # seconds that any wait may take, a request's head too; on top of what SLOWEST allows for bodies
MAX_PARAMETERS = 256  # in a query
_DRAINED = 64 << 10  # bytes of a body nobody wants that are read so that the connection can be kept
_LINGER = 2.0  # seconds for a client to read why we end the connection, while it still sends
_SHOWN = 2 << 10  # bytes of a request line in the log; the longest digest and repository name are a fifth of it
_MALFORMED: dict[type[MalformedError], int] = {LongTargetError: 414, LongError: 431, VersionError: 505, CodingError: 501}
"""Statuses for heads that are well-formed, but not as this registry takes them; 400 for the others."""
_AT_ONCE = 8 << 20  # bytes of a file that the kernel is asked to send in one go


class RefusedError(Exception):
    """An answer other than success, in the form of distribution-spec, "Error Codes"."""

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, final: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self.final = final
        """Whether the connection ends with it."""

    def answer(self) -> "Response":
        body = json.dumps({"errors": [{"code": self.code, "message": str(self)}]}).encode()
        return Response(self.status, {"Content-Type": "application/json", **self.headers}, body)


@dataclass(frozen=True, slots=True)
class Response:
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
    body: Body
    hosts: tuple[str, ...]
    """What it names as the one it is for, ``HOST[:PORT]``: in Host, and in the target where that is a URL."""
    client: str
    """The address that it comes from; of IPv6 the network that it is in."""
    local: str
    """The address of this machine that it came to."""

    def parameter(self, name: str) -> str | None:
        return self.query[name][0] if name in self.query else None


class ServerContext(Protocol):
    """What the connections of one server share."""

    patience: float
    """Seconds that a client may let us wait."""
    clock: Callable[[], float]
    """The seconds by which all waiting is measured."""
    ending: int
    """A file descriptor that can be read once the server ends."""

    def answer(self, request: Request) -> Response:
        """Raises RefusedError."""
        ...

    def should_end(self) -> bool:
        """Whether connections should end with their answers: the server does, or others wait for their place."""
        ...

    def note(self, line: str) -> None: ...


def attend(seat: Seat, house: ServerContext) -> None:
    """Answer what comes on this connection, until either side ends it. Raises OSError if it broke before a request."""
    _Connection(seat, house).attend()


class _Connection:
    def __init__(self, seat: Seat, house: ServerContext) -> None:
        self._seat = seat
        self._socket = seat.connection
        self._house = house
        self._receiver = Receiver(seat, patience=house.patience, clock=house.clock, ending=house.ending)
        self._local = str(self._socket.getsockname()[0])
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def attend(self) -> None:
        while self._receiver.awaited():
            exchange = _Exchange(self._seat, self._house, self._receiver, self._local)
            if not exchange.held():
                return
            self._seat.turn(answering=False)


class _Exchange:
    """One request and its answer."""

    def __init__(self, seat: Seat, house: ServerContext, receiver: Receiver, local: str) -> None:
        self._seat = seat
        self._socket = seat.connection
        self._house = house
        self._receiver = receiver
        self._local = local
        self._method = self._asked = "?"
        self._body: Body | None = None
        self._continued = True
        self._keep = False
        self._answered = 0

    def held(self) -> bool:
        """Whether the connection can be used again."""
        began = time.monotonic()
        try:
            answer = self._answer()
            if answer is None:
                return False
            self._send(answer)
        except (CutError, OSError):
            self._keep = False
        self._house.note(f"{self._asked} {self._answered} {time.monotonic() - began:.3f}s")
        return self._keep

    def _answer(self) -> Response | None:
        try:
            lines = self._receiver.head()
            if not lines:
                return None
            self._asked = ascii(" ".join(lines[0][:_SHOWN].decode("latin-1").split(" ")[:2]))[1:-1]
            head = RequestHead.parse(lines)
        except MalformedError as error:
            status = next((status for kind, status in _MALFORMED.items() if isinstance(error, kind)), 400)
            return RefusedError(status, "UNSUPPORTED", str(error)).answer()
        self._seat.turn(answering=True)
        self._method, self._keep = head.method, head.persistent
        try:
            return self._house.answer(self._request(head))
        except RefusedError as refused:
            self._keep = self._keep and not refused.final
            return refused.answer()
        except MalformedError as error:
            self._keep = False
            return RefusedError(400, "UNSUPPORTED", str(error)).answer()

    def _request(self, head: RequestHead) -> Request:
        self._continued = (head.fields.one("expect") or "").lower() != "100-continue" or head.minor == 0
        self._body = body = Body(self._receiver, length=head.length, before=self._continue)
        authority, path, query = _target(head.target)
        hosts = tuple(host for host in (head.fields.one("host"), authority) if host is not None)
        headers = dict(reversed(head.fields.pairs))
        return Request(head.method, path, query, headers, body, hosts, client=self._seat.address, local=self._local)

    def _continue(self) -> None:
        if not self._continued:
            self._continued = True
            self._send_bytes(b"HTTP/1.1 100 Continue\r\n\r\n")

    # --- answers ---

    def _send(self, answer: Response) -> None:
        try:
            try:
                drained = self._body is not None and self._continued and self._body.drained(_DRAINED)
            except MalformedError as error:
                drained, refused = False, RefusedError(400, "UNSUPPORTED", str(error)).answer()
                _close(answer)
                answer = refused
            self._answered = answer.status
            self._keep = self._keep and drained and not self._house.should_end()
            wanted = self._method != "HEAD"
            self._send_bytes(self._head(answer) + (answer.body if wanted and isinstance(answer.body, bytes) else b""))
            if wanted and not isinstance(answer.body, bytes):  # mutant-equivalent without part 2: of bytes the count is 0
                self._send_file(answer.body, answer.offset, answer.count)
        finally:
            _close(answer)
        if not drained:
            self._linger()

    def _head(self, answer: Response) -> bytes:
        fields = [("Server", "oci-bundler"), ("Date", formatdate(usegmt=True)), *answer.headers.items()]
        fields += [("Content-Length", str(answer.length))] if answer.status != 204 else []
        fields += [] if self._keep else [("Connection", "close")]
        return composed(f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", fields)

    def _send_bytes(self, data: bytes) -> None:
        self._pace(len(data), lambda sent: self._socket.send(memoryview(data)[sent:]))

    def _send_file(self, file: BinaryIO, offset: int, count: int) -> None:
        def send(sent: int) -> int:
            done = os.sendfile(self._socket.fileno(), file.fileno(), offset + sent, min(count - sent, _AT_ONCE))
            if not done:
                raise CutError("the content became shorter")
            return done

        self._pace(count, send)

    def _pace(self, count: int, send: Callable[[int], int]) -> None:
        """Have all of it sent, unless the client takes it too slowly."""
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        self._socket.settimeout(0)
        began, sent, patience = self._house.clock(), 0, self._house.patience
        while sent < count:
            try:
                done = send(sent)
            except BlockingIOError:
                left = began + allowed(sent, patience) - self._house.clock()
                with self._seat.waiting():
                    if left <= 0 or not poll.poll(min(patience, left) * 1_000):
                        raise CutError("a client reads too slowly") from None
                continue
            sent += done
            self._seat.step(done)

    def _linger(self) -> None:
        """Read on for a moment: a client that is still sending must not lose our answer to a reset (RFC 9112, section 9.6)."""
        self._socket.shutdown(socket.SHUT_WR)
        end = time.monotonic() + _LINGER
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            with self._seat.waiting():
                if not self._socket.recv(_DRAINED):  # mutant-equivalent always: Linux gives what it had before the reset
                    return


def _target(target: str) -> tuple[str | None, str, dict[str, list[str]]]:
    """Authority where it names one, path and query of a request's target (RFC 9112, 3.2). Raises MalformedError."""
    authority, rest = None, target
    if not target.startswith("/"):
        scheme, _, behind = target.partition("://")
        authority, slash, path = behind.partition("/")
        rest = slash + path
        if scheme.lower() not in {"http", "https"} or not slash:
            raise MalformedError(f"the request target is {shown(target)}")
    path, _, query = rest.partition("?")
    try:
        return (
            authority,
            unquote(path, errors="strict"),
            parse_qs(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict"),
        )
    except ValueError as error:
        raise MalformedError(f"the request target is not well-formed: {error}") from error


def _close(answer: Response) -> None:
    if not isinstance(answer.body, bytes):
        answer.body.close()
