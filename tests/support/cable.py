"""A cable to a server, which is cut where a test wants it."""

import socket
import threading
from contextlib import suppress


class Cable:
    """Connections to ``server`` (host and port), each cut after the next of ``lengths`` bytes in one direction; later ones hold.

    A negative length counts what the client sends, a positive one what the server answers.
    """

    def __init__(self, server: tuple[str, int], *lengths: int) -> None:
        self._server = server
        self._lengths = list(lengths)
        self.cuts = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._run(self._accept)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in list(self._open):
            _end(end)
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()

    def __enter__(self) -> "Cable":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._server)
            self._open += [near, far]
            length = self._lengths.pop(0) if self._lengths else 0
            self._run(self._carry, near, far, -length if length < 0 else None)
            self._run(self._carry, far, near, length if length > 0 else None)

    def _carry(self, source: socket.socket, target: socket.socket, left: int | None) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16 if left is None else min(left, 1 << 16)):
                target.sendall(data)
                if left is not None:
                    left -= len(data)
                    if not left:
                        self.cuts += 1
                        break
        _end(source)
        _end(target)


def _end(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
