"""Registries that drip, stop, or never begin: left after a time that does not depend on them.

None of them would ever end by itself: that the client comes back, and with this code, shows that its own limit ended it.
"""

import socket
from contextlib import closing
from dataclasses import replace
from itertools import repeat

import pytest

from bundler.content.registry.wire import Patience
from bundler.errors import BundlerError, Code
from bundler.oci.descriptor import Descriptor
from tests.support.hostile_registry import Exchange, HostileRegistry, Script, answer
from tests.support.reach import PATIENT, Reach
from tests.support.wires import AT, BLOB, CHUNKED, LATEST, fails

HASTY = Patience(connect=0.3, idle=0.2, answer=0.3, commit=0.3, window=0.2)


def dripped(before: bytes, again: bytes, *, every: float = 0.05) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.send(before)
        exchange.drip(repeat(again), every=every)

    return script


@pytest.mark.parametrize(
    "script",
    [
        dripped(b"", b"H"),  # REG-013
        dripped(b"HTTP/1.1 200 OK\r\nX-A: ", b"y"),
        dripped(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        dripped(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        dripped(CHUNKED, b"1\r\nx\r\n"),
        dripped(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"", every=30),
        dripped(b"", b"", every=30),
    ],
)
def test_an_answer_that_comes_too_slowly_is_left(
    server: HostileRegistry, reach: Reach, waits: list[float], script: Script
) -> None:  # F-045
    server.always("GET", LATEST, script).always("GET", AT, script)
    error = fails(reach(server, patience=HASTY))
    assert (error.exit, error.code) == (7, Code.REGISTRY_UNREACHABLE)
    assert len(waits) == 10  # between six tries each; the server may not have come to see the last of them yet


def test_time_that_the_reader_takes_is_not_the_registrys(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", AT, answer(200, b"x" * 1_000_000))
    big = Descriptor("application/octet-stream", BLOB.digest, 1_000_000)
    now, came = [0.0], 0
    for piece in reach(server, patience=replace(PATIENT, rate=1 << 30), clock=lambda: now[0]).chunks(big):
        now[0] += 1000
        came += len(piece)
    assert came == 1_000_000
    assert len(server.asked) == 1


def test_a_listener_that_never_accepts_is_unreachable(reach: Reach, waits: list[float]) -> None:  # F-045
    with closing(socket.create_server(("127.0.0.1", 0), backlog=1)) as silent, pytest.raises(BundlerError) as caught:
        reach(f"127.0.0.1:{silent.getsockname()[1]}", patience=HASTY).document("latest")
    assert (caught.value.exit, caught.value.code, len(waits)) == (7, Code.REGISTRY_UNREACHABLE, 5)
