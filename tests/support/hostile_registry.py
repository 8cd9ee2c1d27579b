"""A registry that answers as a test tells it to, byte for byte, and keeps what it was asked.

It is a real server on a socket of this machine. A request that no answer was laid down for is answered with 418, which
nobody tries again, and fails the test when the server is closed.
"""

import json
import socket
import ssl
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

MOST = 120  # seconds; whoever has not come, or not ended, by then has hung


@dataclass(frozen=True)
class Asked:
    """A request as it came; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    whole: bool
    """Whether the body came as long as it was announced."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Exchange:
    """A request whose head was read, for answers that want to misbehave by hand."""

    def __init__(self, sock: socket.socket, method: str, target: str, headers: dict[str, str], rest: bytes) -> None:
        self.sock = sock
        self.method = method
        self.target = target
        self.headers = headers
        self.length = int(headers.get("content-length", "0"))
        self._received = bytearray(rest)

    def receive(self, count: int | None = None) -> bytes:
        """The body, or its first ``count`` bytes; shorter if the client ends the connection."""
        wanted = self.length if count is None else count
        while len(self._received) < wanted:
            more = self.sock.recv(1 << 16)
            if not more:
                break
            self._received += more
        return bytes(self._received[:wanted])

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def drip(self, data: Iterable[bytes], *, every: float) -> None:
        """Send piece after piece, slowly, until the client has had enough."""
        for piece in data:
            self.send(piece)
            self.sock.settimeout(every)
            with suppress(TimeoutError):
                if not self.sock.recv(1):
                    return

    def pour(self, data: bytes) -> None:
        """Send the same again and again, until the client has had enough."""
        while True:
            self.send(data)

    def reset(self) -> None:
        """End the connection as a crash does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def asked(self) -> Asked:
        return Asked(self.method, self.target, self.headers, bytes(self._received), len(self._received) >= self.length)


Script = bytes | Callable[[Exchange], bytes | None]
"""An answer: its bytes, or what gives them, sent once the request was read; or what sends them itself, and gives none."""


class HostileRegistry:
    """A server on 127.0.0.1 at a port of its own, in TLS if it is given a context."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.unexpected: list[str] = []
        self.connections = 0
        self._scripts: dict[tuple[str, str], deque[Script]] = {}
        self._always: dict[tuple[str, str], Script] = {}
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.host}"

    def on(self, method: str, target: str, *scripts: Script) -> "HostileRegistry":
        """Answer requests of ``target`` (with its query, or any query) with these, one after another."""
        self._scripts.setdefault((method, target), deque()).extend(scripts)
        return self

    def always(self, method: str, target: str, script: Script) -> "HostileRegistry":
        """Answer with this whenever :meth:`on` has nothing more."""
        self._always[method, target] = script
        return self

    def to(self, method: str, path: str | None = None) -> list[Asked]:
        """What came by that method, and to that path."""
        return [asked for asked in self.asked if asked.method == method and path in {None, asked.path}]

    def close(self) -> None:
        """End everything. Raises AssertionError if something came that nobody expected, or a thread hangs."""
        self._closing = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(MOST)
        assert not [thread.name for thread in self._threads if thread.is_alive()]
        assert not self.unexpected

    def __enter__(self) -> "HostileRegistry":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, name=f"hostile {work.__name__}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(MOST)
        with suppress(OSError):
            if self._tls is not None:
                if sock.recv(1, socket.MSG_PEEK) != b"\x16":  # no handshake: many servers then say so in the open
                    sock.sendall(answer(400, b"Client sent an HTTP request to an HTTPS server.\n", {"Connection": "close"}))
                    sock.recv(1 << 16)
                    sock.close()
                    return
                sock = self._tls.wrap_socket(sock, server_side=True)
            self._open.add(sock)
            rest = b""
            while not self._closing and (exchange := self._exchange(sock, rest)) is not None:
                if not self._answer(exchange):
                    break
        self._open.discard(sock)
        sock.close()

    def _exchange(self, sock: socket.socket, rest: bytes) -> Exchange | None:
        head = bytearray(rest)
        while b"\r\n\r\n" not in head:
            more = sock.recv(1 << 16)
            if not more:
                return None
            head += more
        lines, _, rest = bytes(head).partition(b"\r\n\r\n")
        first, *fields = lines.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        return Exchange(sock, method, target, {n.lower(): v.strip() for n, _, v in (f.partition(":") for f in fields)}, rest)

    def _answer(self, exchange: Exchange) -> bool:
        """Whether the connection may go on."""
        script = self._script(exchange)
        if isinstance(script, bytes):
            exchange.receive()
        place = len(self.asked)
        self.asked.append(exchange.asked())  # before the answer: who has that may look here
        try:
            said = script if isinstance(script, bytes) else script(exchange)
        finally:
            self.asked[place] = exchange.asked()
        if said is None:
            return False
        exchange.receive()  # closing over what is unread would reset the connection, and take the answer with it, now and then
        self.asked[place] = exchange.asked()
        exchange.send(said)
        return b"connection: close" not in said.partition(b"\r\n\r\n")[0].lower() and exchange.asked().whole

    def _script(self, exchange: Exchange) -> Script:
        names = [(exchange.method, exchange.target), (exchange.method, exchange.target.partition("?")[0])]
        for name in names:
            if self._scripts.get(name):
                return self._scripts[name].popleft()
        for name in names:
            if name in self._always:
                return self._always[name]
        self.unexpected.append(f"{exchange.method} {exchange.target}")
        return answer(418)


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None, *, length: bool = True) -> bytes:
    """An answer as a good registry spells it, with its Content-Length."""
    fields = {"Content-Length": str(len(body))} if length else {}
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in (fields | dict(headers or {})).items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def head_only(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """The answer to a HEAD: no body, whatever the length says."""
    return answer(status, headers=headers, length=False)


def refusal(status: int, code: str, message: str = "no") -> bytes:
    """An error as distribution-spec, "Error Codes", has it."""
    body = json.dumps({"errors": [{"code": code, "message": message, "detail": None}]}).encode()
    return answer(status, body, {"Content-Type": "application/json"})


def dropped(exchange: Exchange) -> None:
    """No answer: the request is read and the connection reset."""
    exchange.receive()
    exchange.reset()
