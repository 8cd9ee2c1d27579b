"""Ports that stay free for a program that is given one."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def held(count: int = 1) -> Iterator[list[int]]:
    """Ports of 127.0.0.1 that nobody gets who asks for any, while the block runs; who names one may listen there.

    A socket that is bound to a port and does not listen keeps it from those who ask for any. Servers set SO_REUSEADDR, as these
    sockets do, and so they may listen there all the same.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0))
        yield [each.getsockname()[1] for each in sockets]
