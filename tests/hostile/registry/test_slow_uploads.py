"""Registries that are slow to take what they are sent, or never take it: that the client comes back at all is its own limit's doing."""

import threading
import time
from contextlib import closing, suppress
from dataclasses import replace

import pytest

from bundler.content.registry.http import Access, Transport
from bundler.content.registry.origin import Url
from bundler.errors import Code
from bundler.oci.descriptor import Descriptor
from tests.support.hostile_registry import MOST, Exchange, HostileRegistry
from tests.support.reach import PATIENT, Reach, fails
from tests.support.uploads import AT, BLOB, GONE, PUT, SESSION, STORED, UPLOADS, began, chunks, there


def test_what_may_take_its_time_is_waited_for_longer_than_all_else(server: HostileRegistry) -> None:
    def slow(exchange: Exchange) -> bytes:
        exchange.receive()
        time.sleep(0.5)
        return STORED

    server.on("PUT", "/", slow)
    hasty = Access(plain_http=True, patience=replace(PATIENT, idle=0.1, answer=0.1, window=0.1))
    with closing(Transport(hasty, host="127.0.0.1")) as transport:
        answer = transport.send("PUT", Url.parse(f"{server.url}/"), headers={}, body=b"small", wait=MOST)
        assert answer.status == 201
        answer.close()


@pytest.mark.parametrize("pieces", [None, 400_000])
def test_the_end_of_an_upload_has_a_time_of_its_own(server: HostileRegistry, reach: Reach, pieces: int | None) -> None:
    """All else may take minutes here: that the client comes back shows that it went by the time of a commit."""

    def never(exchange: Exchange) -> None:
        exchange.receive()
        exchange.receive(1 << 40)

    server.always("POST", UPLOADS, began()).always("PATCH", SESSION, began()).always("PUT", PUT, never)
    server.always("HEAD", AT, there(None)).always("GET", SESSION, GONE)
    repository = reach(server, chunk_size=pieces, patience=replace(PATIENT, commit=0.3))
    error = fails(lambda: repository.put(BLOB, chunks()))
    assert (error.exit, error.code) == (7, Code.REGISTRY_UNREACHABLE)


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
    repository = reach(server, patience=replace(PATIENT, idle=0.5))
    error = fails(lambda: repository.put(big, lambda: iter(lambda: bytes(1 << 22), None)))
    done.set()
    assert (error.exit, error.code) == (7, Code.REGISTRY_UNREACHABLE)
