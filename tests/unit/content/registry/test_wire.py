"""HTTP as nobody should speak it, and answers that never end."""

import gc
import socket
import tracemalloc
import warnings
from contextlib import closing

import pytest

from bundler.content.registry.http import Access, Transport
from bundler.content.registry.origin import Url
from bundler.content.registry.proxies import Proxies
from bundler.content.registry.wire import Patience, Wire
from bundler.errors import BundlerError, Code
from tests.support.hostile_registry import HostileRegistry, answer
from tests.support.reach import NOBODY, Reach
from tests.support.wires import AT, BLOB, CHUNKED, LATEST, fails


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",  # REG-010
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",  # REG-009
        b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n",  # REG-045
        b"HTTP/1.1 200 OK\r\nX-A: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: b\rContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",  # REG-012
        b"<html>not http</html>\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"y" * (1 << 20) + b"\r\n\r\n",  # REG-014
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n",
        b"x" * (1 << 20),
        CHUNKED + b"-1\r\n" + b"x" * 1000,  # REG-011
        CHUNKED + b"0x5\r\nabcde\r\n0\r\n\r\n",
        CHUNKED + b"FFFFFFFFFFFFFFFF\r\n" + b"x" * 1000,
        CHUNKED + b"5\r\nabcdefgh\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nabcdefg\n0\r\n\r\n",
        CHUNKED + b"5;" + b"y" * (1 << 20) + b"\r\nabcde\r\n0\r\n\r\n",
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_an_answer_with_two_readings_is_refused(server: HostileRegistry, reach: Reach, said: bytes) -> None:
    server.on("GET", LATEST, lambda exchange: exchange.send(said)).on("GET", AT, lambda exchange: exchange.send(said))
    error = fails(reach(server))
    assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)
    assert len(server.asked) == 2


def test_no_time_left_is_too_slow() -> None:
    near, far = socket.socketpair()
    with closing(near), closing(far):
        wire = Wire(near, Patience())
        wire.allow(-1)
        with pytest.raises(TimeoutError):
            wire.head()


@pytest.mark.parametrize("length", [2**63, 10**18])
def test_a_length_takes_no_memory(server: HostileRegistry, reach: Reach, length: int) -> None:  # REG-009, CVE-2025-13836
    said = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\nabc".encode()
    server.always("GET", LATEST, said).always("GET", AT, lambda exchange: exchange.send(said))
    tracemalloc.start()
    try:
        error = fails(reach(server))
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert (error.exit, error.code) == (7, Code.REGISTRY_UNREACHABLE)


def test_chunks_and_trailers_are_read_past(server: HostileRegistry, reach: Reach) -> None:
    said = CHUNKED + b"5;a=b\r\nxxxxx\r\n1869b\r\n" + b"x" * 99_995 + b"\r\n0\r\nX-Trailer: y\r\n\r\n"
    server.on("GET", AT, said, said)
    repository = reach(server)
    for _ in range(2):
        assert b"".join(repository.chunks(BLOB)) == b"x" * 100_000
    assert server.connections == 1


def test_answers_in_between_are_read_past(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", AT, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer(200, b"x" * 100_000))
    assert b"".join(reach(server).chunks(BLOB)) == b"x" * 100_000


def test_what_comes_unasked_is_not_the_next_answer(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", LATEST, answer(404) + answer(200, b"smuggled")).on("GET", AT, answer(200, b"x" * 100_000))
    repository = reach(server)
    assert repository.document("latest") is None
    assert b"".join(repository.chunks(BLOB)) == b"x" * 100_000
    assert server.connections == 2


def test_cookies_are_neither_kept_nor_sent(server: HostileRegistry, reach: Reach) -> None:  # REG-052
    server.always("GET", LATEST, answer(404, headers={"Set-Cookie": "a=b; Domain=127.0.0.1; Path=/"}))
    repository = reach(server)
    repository.document("latest")
    repository.document("latest")
    assert len(server.asked) == 2
    assert not any("cookie" in asked.headers for asked in server.asked)


def test_nobody_listening_is_unreachable(reach: Reach, waits: list[float]) -> None:  # F-043
    with pytest.raises(BundlerError) as caught:
        reach(NOBODY).document("latest")
    assert (caught.value.exit, caught.value.code, len(waits)) == (7, Code.REGISTRY_UNREACHABLE, 5)


def test_nobody_listening_on_this_machine_is_unreachable_without_a_flag_too(reach: Reach, waits: list[float]) -> None:
    with pytest.raises(BundlerError) as caught:
        reach(NOBODY, plain_http=False).document("latest")
    assert (caught.value.exit, caught.value.code, len(waits)) == (7, Code.REGISTRY_UNREACHABLE, 5)


@pytest.mark.parametrize(
    ("said", "wait"), [("7", 7), ("1000000000", 60), ("0", 0), ("-1", None), ("Fri, 01 Jan 2099 00:00:00 GMT", None), ("often", None)]
)
def test_a_registry_says_when_to_come_again_within_reason(
    server: HostileRegistry, reach: Reach, waits: list[float], said: str, wait: float | None
) -> None:
    server.on("GET", LATEST, answer(429, headers={"Retry-After": said}), answer(404))  # REG-047, F-040
    assert reach(server).document("latest") is None
    assert len(waits) == 1
    assert waits[0] == wait if wait is not None else 0.25 <= waits[0] <= 0.5


@pytest.fixture
def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were looked up: those below ``example`` are this machine, others have no address, now or at all."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def noted(host: str, *rest: object, **more: object) -> object:
        asked.append(host)
        if host.endswith(".test"):
            raise socket.gaierror(socket.EAI_AGAIN if host == "later.test" else socket.EAI_NONAME, "no address")
        return real("127.0.0.1" if host.endswith(".example") else host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    return asked


def test_a_name_is_looked_up_once_for_a_connection(server: HostileRegistry, reach: Reach, lookups: list[str]) -> None:  # REG-051
    server.always("GET", LATEST, answer(404))
    repository = reach(f"registry.example:{server.port}")
    repository.document("latest")
    repository.document("latest")
    assert lookups == ["registry.example"]
    assert server.asked[0].headers["host"] == f"registry.example:{server.port}"


@pytest.mark.parametrize(("host", "times"), [("nowhere.test", 1), ("later.test", 6)])
def test_a_name_without_an_address_is_unreachable(reach: Reach, lookups: list[str], host: str, times: int) -> None:  # F-043
    with pytest.raises(BundlerError) as caught:
        reach(host).document("latest")
    assert caught.value.exit == 7
    assert len(lookups) == times


def test_a_name_of_this_machine_that_is_not_is_not_spoken_to_in_the_open(
    server: HostileRegistry, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", server.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: there)
    with pytest.raises(BundlerError) as caught:
        reach(f"localhost:{server.port}", plain_http=False).document("latest")
    assert caught.value.exit == 7
    assert not server.connections


def test_a_proxy_is_spoken_to_about_plain_http_as_well(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", f"http://registry.example{LATEST}", answer(404))
    through = Proxies.from_environ({"HTTP_PROXY": f"http://alice:t0psecret@{server.host}"})
    assert reach("registry.example", proxies=through).document("latest") is None
    assert server.asked[0].headers["proxy-authorization"] == "Basic YWxpY2U6dDBwc2VjcmV0"
    assert server.asked[0].headers["host"] == "registry.example"


@pytest.mark.parametrize(("name", "value"), [("X-A", "b\r\nX-Evil: c"), ("X-A", "b\n"), ("X-A\r\nX-Evil", "c"), ("X-A", "\xe9")])
def test_a_request_cannot_be_made_to_hold_another(server: HostileRegistry, name: str, value: str) -> None:
    with closing(Transport(Access(plain_http=True), host="127.0.0.1")) as transport, pytest.raises(BundlerError):
        transport.send("GET", Url.parse(f"{server.url}/"), headers={name: value})
    assert not server.asked


def test_a_connection_that_is_in_use_when_all_are_ended_ends_with_its_answer(server: HostileRegistry) -> None:
    """As after Ctrl-C, which waits for no thread."""
    server.on("GET", LATEST, answer(200, b"{}"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ResourceWarning)
        transport = Transport(Access(plain_http=True), host="127.0.0.1")
        got = transport.send("GET", Url.parse(f"{server.url}{LATEST}"), headers={})
        transport.close()
        assert got.whole(2, what="it") == b"{}"
        del got, transport
        gc.collect()
    assert [str(each.message) for each in said] == []


def test_an_error_whose_text_was_compressed_is_still_an_error(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", LATEST, answer(400, b"\x1f\x8b", {"Content-Encoding": "gzip"}))
    with pytest.raises(BundlerError) as caught:
        reach(server).document("latest")
    assert (caught.value.code, caught.value.found) == (Code.REGISTRY_STATUS, "400")
