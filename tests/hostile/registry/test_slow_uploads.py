"""Registries that are slow to take what they are sent, or never take it: that the client comes back at all is its own limit's doing."""

import threading
import time
from contextlib import suppress

import pytest

from bundler.content.registry.wire import Patience
from bundler.errors import Code
from bundler.oci.descriptor import Descriptor
from tests.support.hostile_registry import Exchange, HostileRegistry
from tests.support.reach import Reach, fails
from tests.support.uploads import AT, BLOB, GONE, PUT, SESSION, STORED, UPLOADS, began, chunks, there


def test_a_registry_may_take_its_time_to_store_what_it_was_sent(server: HostileRegistry, reach: Reach) -> None:
    def slow(exchange: Exchange) -> bytes:
        exchange.receive()
        time.sleep(0.5)
        return STORED

    server.on("POST", UPLOADS, began()).on("PUT", PUT, slow)
    reach(server, patience=Patience(idle=0.3, answer=0.3, commit=20, window=0.1)).put(BLOB, chunks())


@pytest.mark.parametrize("taken", [0, 1 << 10])
def test_a_registry_that_takes_nothing_more_is_not_waited_for(server: HostileRegistry, reach: Reach, taken: int) -> None:
    """REG-013: neither where it stops at once, nor where it takes a little from time to time."""
    done = threading.Event()

    def sluggish(exchange: Exchange) -> None:
        with suppress(OSError):
            while not done.wait(0.1):
                exchange.sock.recv(taken)

    big = Descriptor("application/octet-stream", BLOB.digest, 1 << 40)
    server.always("POST", UPLOADS, began()).always("PUT", PUT, sluggish).always("HEAD", AT, there(None))
    server.always("PATCH", SESSION, sluggish).always("GET", SESSION, GONE)
    repository = reach(server, patience=Patience(connect=10, idle=0.5, answer=20, commit=20, window=10))
    error = fails(lambda: repository.put(big, lambda: iter(lambda: bytes(1 << 22), None)))
    done.set()
    assert (error.exit, error.code) == (7, Code.REGISTRY_UNREACHABLE)
