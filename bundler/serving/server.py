"""The server: it listens, gives each connection a place and a thread, and ends in order."""

import errno
import os
import select
import socket
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bundler.content.registry.origin import MalformedError
from bundler.errors import BundlerError, UsageError
from bundler.serving.api import Api
from bundler.serving.exchange import PATIENCE, RefusedError, Request, Response, attend
from bundler.serving.hosts import Hosts
from bundler.serving.receiving import CutError
from bundler.serving.seats import Seat, Seats, client_of
from bundler.serving.storage import Storage

MAX_CONNECTIONS = 256  # a thread each; further ones wait, and idle ones end for them
MAX_FROM_ONE = 192  # of one address; a quarter is left to others, and clients behind one gateway are many
MAX_WAITING = 256  # connections that wait for a place; the kernel holds as many more
LONG = 1.0  # seconds that a connection waits for a place before it may be turned away for another
GRACE = 10.0  # seconds that requests under way get when the server ends
_TICK = 0.01  # seconds between two looks at whether there is a place for those that wait
_ROUND = 60.0  # seconds between two looks at whether uploads were given up

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LACKING = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A connection that has no place yet."""

    connection: socket.socket
    address: str
    since: float


class Server:
    """A registry that listens at once, and answers from :meth:`start` until :meth:`close`, in threads of its own.

    ``log`` gets a line for each request, without its line end, from many threads; ``patience`` is how many seconds a
    client may let it wait, as ``clock`` tells them; ``hosts`` are names, beside those of loopback and of ``address``, that
    requests may be for.

    Raises UsageError for a folder or an address that cannot be used, TransportError (``disk.locked``, ``disk.io``).
    """

    def __init__(
        self,
        folder: Path,
        *,
        address: tuple[str, int] = ("127.0.0.1", 0),
        read_only: bool = False,
        log: Callable[[str], None] | None = None,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
        hosts: Iterable[str] = (),
    ) -> None:
        self._hosts = Hosts(address[0], hosts)
        self._storage = Storage(folder, read_only=read_only, clock=clock)
        self._api = Api(self._storage, read_only=read_only)
        try:
            self._listener = _listening(address)
        except BaseException:
            self._storage.close()
            raise
        self.patience = patience
        self.clock = clock
        self._log = log
        self.ending, self._end = os.pipe()
        self._accepting = threading.Thread(target=self._accept, name="accept", daemon=True)
        self._seats = Seats(count=MAX_CONNECTIONS, of_one=MAX_FROM_ONE, clock=clock)
        self._waiting: deque[_Waiting] = deque()
        self._crowded = self._ended = False

    @property
    def url(self) -> str:
        """``http://HOST:PORT``"""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        self._accepting.start()

    def serve_forever(self) -> None:
        """Answer until :meth:`stop` is called, then end cleanly."""
        self.start()
        try:
            self._waited(None)
        finally:
            self.close()

    def stop(self) -> None:
        """End :meth:`serve_forever`; may be called from a signal handler and from any thread."""
        if not self._ended:
            os.write(self._end, b".")

    def close(self) -> None:
        """Finish what is under way, for :data:`GRACE` at most, and let the folder go."""
        if self._ended:
            return
        self.stop()
        self._ended = True
        if self._accepting.is_alive():
            self._accepting.join()
        self._listener.close()
        if not self._seats.emptied(within=GRACE):
            self._seats.end_all()
            self._seats.emptied(within=GRACE)
        self._storage.close()
        os.close(self.ending)
        os.close(self._end)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- what connections ask of their house ---

    def answer(self, request: Request) -> Response:
        self._check_hosts(request)
        if request.method == "POST" and "origin" in request.headers:  # all else that changes something a browser asks for before
            raise RefusedError(403, "DENIED", "a page in a browser cannot begin an upload here", final=True)
        try:
            return self._api.answer(request)
        except (RefusedError, CutError, MalformedError):
            raise
        except (OSError, BundlerError) as error:
            if isinstance(error, OSError) and error.errno in _LACKING:
                self._seats.make_room([""])
                why = "too much is open at once"
                raise RefusedError(503, "UNKNOWN", why, headers={"Retry-After": "1"}, final=True) from error
            self.note(f"the disk: {error}")
            full = isinstance(error, OSError) and error.errno in _FULL
            raise RefusedError(507 if full else 500, "UNKNOWN", "no space is left" if full else "the disk failed") from error
        except Exception as error:  # a bug, which must not end the connections of others
            self.note("".join(traceback.format_exception(error)))
            raise RefusedError(500, "UNKNOWN", "a bug; the registry's log has more") from error

    def _check_hosts(self, request: Request) -> None:
        for host in request.hosts:
            if not self._hosts.serves(host, local=request.local):
                why = f"this registry does not serve {host[:200]!a}; it is told further names with --host"
                raise RefusedError(421, "UNSUPPORTED", why, final=True)

    def should_end(self) -> bool:
        return self._crowded or self._ended

    def note(self, line: str) -> None:
        if self._log is not None:
            with suppress(OSError, ValueError):  # whoever reads it is gone, which ends no connection
                self._log(line)

    # --- connections ---

    def _accept(self) -> None:
        looked = self.clock()
        while not self._waited(self._listener if len(self._waiting) < MAX_WAITING else None, seconds=_TICK if self._waiting else _ROUND):
            self._take_in()
            for _ in range(len(self._waiting)):
                self._place(self._waiting.popleft())
            self._crowded = bool(self._waiting)
            self._seats.make_room([each.address for each in self._waiting])
            if len(self._waiting) >= MAX_WAITING:
                self._turn_away()
            if self.clock() - looked > _ROUND:
                looked = self.clock()
                self._storage.uploads.forget()
        for each in self._waiting:
            each.connection.close()

    def _take_in(self) -> None:
        """What the kernel has of new connections, as far as they may wait."""
        while len(self._waiting) < MAX_WAITING:
            try:
                connection, (address, *_) = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _LACKING:  # files or memory, of which a connection that ends gives some back
                    self._seats.make_room([""])
                    self._waited(None, seconds=_TICK)
                return
            connection.settimeout(None)
            self._waiting.append(_Waiting(connection, client_of(address), self.clock()))

    def _place(self, waiting: _Waiting) -> None:
        """Begin with the connection; or let it wait where there is no place, and end it where there is no thread for it."""
        seat = self._seats.take(waiting.connection, waiting.address)
        if seat is None:
            self._waiting.append(waiting)
            return
        try:
            threading.Thread(target=self._attend, args=(seat,), name="connection", daemon=True).start()
        except (RuntimeError, MemoryError) as error:  # what a container or a limit of the system allows is reached
            self.note(f"no thread for a connection: {error}")
            self._leave(seat)
            self._seats.make_room([seat.address])

    def _turn_away(self) -> None:
        """End those that wait for long, of the address that has the most: it must not keep out whoever has places left."""
        now, of = self.clock(), Counter(each.address for each in self._waiting)
        most = max(of, key=lambda address: of[address])
        for each in [each for each in self._waiting if each.address == most and now - each.since > LONG]:
            self._waiting.remove(each)
            each.connection.close()

    def _attend(self, seat: Seat) -> None:
        try:
            attend(seat, self)
        except OSError:
            pass  # it broke before its first request
        finally:
            self._leave(seat)

    def _leave(self, seat: Seat) -> None:
        seat.connection.close()
        self._seats.leave(seat)

    def _waited(self, listener: socket.socket | None, *, seconds: float | None = None) -> bool:
        """Wait for a connection, or for so long; True if the server ends."""
        poll = select.poll()
        poll.register(self.ending, select.POLLIN)
        if listener is not None:
            poll.register(listener, select.POLLIN)
        return any(ready == self.ending for ready, _ in poll.poll(None if seconds is None else seconds * 1_000))


def _listening(address: tuple[str, int]) -> socket.socket:
    host, port = address
    if not 0 <= port < 1 << 16:
        raise UsageError(f"cannot listen on {host}:{port}", found="no such port", next="choose another address with --listen")
    try:
        listener = socket.create_server(address, family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=MAX_CONNECTIONS)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}", found=error, next="choose another address with --listen") from error
    listener.settimeout(0)
    return listener
