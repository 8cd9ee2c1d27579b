"""The embedded registry: distribution-spec 1.1 over a folder, for demos, tests and small stations.

It serves whoever reaches it. Beyond one machine, and wherever clients must prove who they are, use a registry that is
made for it; this one can be read from there (``read_only``) or stand behind it.
"""

import errno
import os
import select
import socket
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bundler.content.registry.server.api import Api
from bundler.content.registry.server.storage import Storage
from bundler.content.registry.server.wire import PATIENCE, Answer, CutError, RefusedError, Request, attend
from bundler.errors import UsageError

MAX_CONNECTIONS = 256  # a thread each; further ones wait, and idle ones end for them
GRACE = 10.0  # seconds that requests under way get when the server ends

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Server:
    """A registry that listens at once, and answers from :meth:`start` until :meth:`close`, in threads of its own.

    ``log`` gets a line for each request, without its line end, from many threads; ``patience`` is how many seconds a
    client may let it wait.

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
    ) -> None:
        self._storage = Storage(folder, read_only=read_only)
        self._api = Api(self._storage, read_only=read_only)
        try:
            self._listener = _listening(address)
        except BaseException:
            self._storage.close()
            raise
        self.patience = patience
        self._log = log
        self.ending, self._end = os.pipe()
        self._accepting = threading.Thread(target=self._accept, name="accept", daemon=True)
        self._places = threading.Semaphore(MAX_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
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
        with self._changed:
            if not self._changed.wait_for(lambda: not self._open, timeout=GRACE):
                for connection in self._open:
                    _shut(connection)
                self._changed.wait_for(lambda: not self._open, timeout=GRACE)
        self._storage.close()
        os.close(self.ending)
        os.close(self._end)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # --- what connections ask of their house ---

    def answer(self, request: Request) -> Answer:
        try:
            return self._api.answer(request)
        except (RefusedError, CutError):
            raise
        except OSError as error:
            self.note(f"the disk: {error}")
            full = error.errno in _FULL
            raise RefusedError(507 if full else 500, "UNKNOWN", "no space is left" if full else "the disk failed") from error
        except Exception as error:  # a bug, which must not end the connections of others
            self.note("".join(traceback.format_exception(error)))
            raise RefusedError(500, "UNKNOWN", "a bug; the registry's log has more") from error

    def should_end(self) -> bool:
        return self._crowded or self._ended

    def note(self, line: str) -> None:
        if self._log is not None:
            self._log(line)

    # --- connections ---

    def _accept(self) -> None:
        while not self._waited(self._listener):
            if not self._placed():
                return
            try:
                connection, client = self._listener.accept()
            except OSError as error:  # the client is gone again, or this process has too many files open
                self._places.release()
                if error.errno in (errno.EMFILE, errno.ENFILE) and self._waited(None, seconds=0.1):
                    return
                continue
            with self._changed:
                self._open.add(connection)
            threading.Thread(target=self._attend, args=(connection, client), name="connection", daemon=True).start()

    def _placed(self) -> bool:
        """Wait for a place among the connections; False when the server ends meanwhile."""
        if self._places.acquire(blocking=False):
            return True
        self._crowded = True
        try:
            while not self._places.acquire(timeout=0.1):
                if self._waited(None, seconds=0):
                    return False
            return True
        finally:
            self._crowded = False

    def _attend(self, connection: socket.socket, client: Any) -> None:
        try:
            attend(connection, client, self)
        except OSError:
            pass  # it broke before its first request
        finally:
            connection.close()
            with self._changed:
                self._open.discard(connection)
                self._changed.notify_all()
            self._places.release()

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
        return socket.create_server(address, family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=MAX_CONNECTIONS)
    except OSError as error:
        raise UsageError(f"cannot listen on {host}:{port}", found=error, next="choose another address with --listen") from error


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # it broke by itself
        connection.shutdown(socket.SHUT_RDWR)
