"""What is tried again is said: which registry, why, for how long, and which try of how many it is."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from bundler.content.registry.client import Registry
from bundler.content.registry.http import Access
from bundler.errors import Code, TransportError
from bundler.oci.descriptor import Descriptor
from tests.support.hostile_registry import HostileRegistry, answer, dropped, refusal
from tests.support.reach import NOBODY, PATIENT

Hostile = Callable[..., HostileRegistry]

LATEST = "/v2/app/manifests/latest"
GONE = refusal(404, "MANIFEST_UNKNOWN")
BUSY = answer(503)
DATA = b"x" * 1000
BLOB = Descriptor.of(DATA, "application/octet-stream")
WAIT = r"(0\.[2-9]|1|1\.\d|2|2\.\d|3|3\.\d|[4-8]|[4-7]\.\d)"


class Told:
    """What a person was told, on a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def registry(told: Told) -> Iterator[Callable[..., Registry]]:
    with ExitStack() as registries:

        def opened(host: HostileRegistry | str, **access: Any) -> Registry:
            name = host if isinstance(host, str) else host.host
            flags: dict[str, Any] = {"plain_http": True, "patience": PATIENT, "certs_folders": ()} | access
            return registries.enter_context(
                Registry(name, Access(**flags), sleep=told.sleep, clock=lambda: told.now, say=told.lines.append)
            )

        yield opened


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (BUSY, "503 Service Unavailable"),
        (refusal(429, "TOOMANYREQUESTS", "slow down"), "429 TOOMANYREQUESTS: slow down"),
        (answer(502, b"<html><head><title>502</title></head></html>"), "502 Bad Gateway"),
        (answer(500, b"out of \x1b[31mcheese"), r"500 out of \x1b[31mcheese"),
        (dropped, "Connection reset by peer"),
    ],
)
def test_a_line_says_which_registry_why_how_long_and_how_often(
    said: Any, why: str, server: HostileRegistry, registry: Callable[..., Registry], told: Told
) -> None:
    server.on("GET", LATEST, said, GONE)
    assert registry(server).repository("app").document("latest") is None
    [line] = told.lines
    assert re.fullmatch(f"{re.escape(server.host)}: {re.escape(why)}; trying again in {WAIT} s \\(1/5\\)", line)


def test_the_wait_that_a_registry_asks_for_is_said(server: HostileRegistry, registry: Callable[..., Registry], told: Told) -> None:
    server.on("GET", LATEST, answer(503, headers={"Retry-After": "4"}), GONE)
    registry(server).repository("app").document("latest")
    assert told.lines == [f"{server.host}: 503 Service Unavailable; trying again in 4 s (1/5)"]


def test_every_try_of_one_step_is_said_and_the_last_failure_is_the_error(
    server: HostileRegistry, registry: Callable[..., Registry], told: Told
) -> None:
    server.on("GET", LATEST, *[answer(503, headers={"Retry-After": "0"})] * 6)
    with pytest.raises(TransportError) as caught:
        registry(server).repository("app").document("latest")
    assert [line.rpartition(" ")[2] for line in told.lines] == ["(1/5)", "(2/5)", "(3/5)", "(4/5)", "(5/5)"]
    assert caught.value.found == "503 Service Unavailable"


def test_where_nobody_listens_it_is_said_before_anything_is_waited_for(registry: Callable[..., Registry], told: Told) -> None:
    waited: list[tuple[int, float]] = []
    sleep = told.sleep

    def slept(seconds: float) -> None:
        waited.append((len(told.lines), told.now))
        sleep(seconds)

    told.sleep = slept  # type: ignore[method-assign]
    with pytest.raises(TransportError) as caught:
        registry(NOBODY, plain_http=False).greet()
    assert caught.value.code is Code.REGISTRY_UNREACHABLE
    assert told.lines[0].startswith(f"{NOBODY}: Connection refused; trying again in ")
    assert [lines for lines, _ in waited] == [1, 2, 3, 4, 5]


def test_many_threads_that_fail_alike_are_one_line(server: HostileRegistry, registry: Callable[..., Registry], told: Told) -> None:
    """All fail at the same time of the clock, which stands still: whoever waits does not move it."""
    server.always("GET", LATEST, answer(503, headers={"Retry-After": "0"}))
    repository = registry(server).repository("app")

    def fails(_: int) -> Code:
        with pytest.raises(TransportError) as caught:
            repository.document("latest")
        return caught.value.code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(fails, range(16))) == {Code.REGISTRY_STATUS}
    assert len(server.asked) == 16 * 6
    assert [line.rpartition(" ")[2] for line in told.lines] == ["(1/5)", "(2/5)", "(3/5)", "(4/5)", "(5/5)"]


def test_what_fails_again_later_is_said_again(server: HostileRegistry, registry: Callable[..., Registry], told: Told) -> None:
    at_once = answer(503, headers={"Retry-After": "0"})
    server.on("GET", LATEST, at_once, GONE, at_once, GONE, at_once, GONE)
    repository = registry(server).repository("app")
    for seconds in (0.9, 0.1, 0.0):
        repository.document("latest")
        told.now += seconds
    assert len(told.lines) == 2


def test_storage_elsewhere_that_fails_is_said_by_its_own_name(
    server: HostileRegistry, hostile: Hostile, registry: Callable[..., Registry], told: Told
) -> None:
    storage = hostile()
    blob = f"/v2/app/blobs/{BLOB.digest}"
    server.always("GET", blob, answer(307, headers={"Location": f"{storage.url}/signed"}))
    storage.on("GET", "/signed", BUSY, dropped, answer(200, DATA))
    assert b"".join(registry(server).repository("app").chunks(BLOB)) == DATA
    assert [line.partition(";")[0] for line in told.lines] == [
        f"{storage.host}: 503 Service Unavailable",
        f"{storage.host}: Connection reset by peer",
    ]


def test_a_client_without_a_listener_is_silent(server: HostileRegistry, capfd: pytest.CaptureFixture[str]) -> None:
    server.on("GET", LATEST, BUSY, GONE)
    with Registry(server.host, Access(plain_http=True, certs_folders=()), sleep=lambda _: None) as registry:
        assert registry.repository("app").document("latest") is None
    assert capfd.readouterr() == ("", "")
