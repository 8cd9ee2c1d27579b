"""Registries whose answers never end: left before they take memory."""

import tracemalloc

import pytest

from bundler.errors import BundlerError, Code
from tests.support.hostile_registry import Exchange, HostileRegistry, Script
from tests.support.reach import Reach
from tests.support.wires import AT, CHUNKED, LATEST, fails


def poured(before: bytes, again: bytes) -> Script:
    def script(exchange: Exchange) -> None:
        exchange.send(before)
        exchange.pour(again)

    return script


@pytest.mark.parametrize(
    "script",
    [
        poured(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),  # REG-015, CVE-2021-3737
        poured(b"HTTP/1.1 200 OK\r\n", b"X-A: y\r\n"),
        poured(b"HTTP/1.1 200 OK\r\nX-A: ", b"y" * 1000),
        poured(CHUNKED, b"1\r\nx\r\n"),
        poured(CHUNKED + b"0\r\n", b"X: y\r\n"),
        poured(CHUNKED + b"5;", b"y" * 1000),
    ],
)
def test_an_answer_that_never_comes_to_its_point_is_left(server: HostileRegistry, reach: Reach, script: Script) -> None:
    server.on("GET", LATEST, script).on("GET", AT, script)
    tracemalloc.start()
    try:
        error = fails(reach(server))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)


def test_an_error_of_any_length_is_shown_in_a_line(server: HostileRegistry, reach: Reach) -> None:  # REG-044
    server.on("GET", LATEST, poured(b"HTTP/1.1 400 Bad\r\nContent-Length: 100000000\r\n\r\n", b"\x1b[31mbad\n" * 1000))
    with pytest.raises(BundlerError) as caught:
        reach(server).document("latest")
    assert caught.value.code is Code.REGISTRY_STATUS
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()
    assert r"\x1b[31mbad" in str(caught.value)
