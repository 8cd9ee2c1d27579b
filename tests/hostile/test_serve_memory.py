"""What many clients at once can make the registry hold in memory: no more than one large manifest with all that it is parsed to."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bundler.oci import mediatype
from bundler.oci.digest import Digest
from tests.support.client import Client
from tests.support.load import served
from tests.support.measured import MIB

pytestmark = pytest.mark.slow

REPO = "team/app"
CEILING = 300 * MIB
INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_INDEX,
        "manifests": [{"mediaType": mediatype.OCI_MANIFEST, "digest": f"sha256:{n:064x}", "size": 1} for n in range(20_000)],
    }
).encode()  # 3.3 MiB, which become fifty when it is parsed


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    with served(tmp_path / "registry") as (url, process):
        yield url, process


def peak(process: subprocess.Popen[str]) -> int:
    """The most bytes of memory that the process had at any time."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found
    return int(found[1]) << 10


def connected(stack: ExitStack, url: str, *, source: str) -> socket.socket:
    place, connection = urlsplit(url), stack.enter_context(socket.socket())
    connection.settimeout(120)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.bind((source, 0))
    connection.connect((place.hostname, place.port))
    return connection


def crowd(stack: ExitStack, url: str, count: int) -> list[socket.socket]:
    return [connected(stack, url, source=f"127.0.0.{1 + number % 2}") for number in range(count)]


def test_many_slow_readers_of_what_is_large(running: tuple[str, subprocess.Popen[str]]) -> None:
    url, process = running
    client, subject = Client(url), Digest.of(INDEX)
    index = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": []}
    refers = index | {
        "subject": {"mediaType": mediatype.OCI_INDEX, "digest": str(subject), "size": len(INDEX)},
        "annotations": {"a": "b" * 4_000_000},
    }
    for raw in (INDEX, json.dumps(refers).encode()):
        assert client.ask("PUT", f"/v2/{REPO}/manifests/v1", raw, {"Content-Type": mediatype.OCI_INDEX}).status == 201
    with ExitStack() as stack:
        for where in ("manifests/v1", f"referrers/{subject}"):
            for connection in crowd(stack, url, 80):
                connection.sendall(f"GET /v2/{REPO}/{where} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                assert connection.recv(13) == b"HTTP/1.1 200 "
        assert client.get("/v2/").status == 200
        assert peak(process) < CEILING


def test_many_pushes_of_large_manifests_that_end_together(running: tuple[str, subprocess.Popen[str]]) -> None:
    url, process = running
    with ExitStack() as stack:
        pushing = crowd(stack, url, 40)  # at once they would take twice the ceiling
        framings = (f"Content-Length: {len(INDEX)}", b"", b""), ("Transfer-Encoding: chunked", b"%x\r\n" % len(INDEX), b"\r\n0\r\n\r\n")
        for number, connection in enumerate(pushing):
            framing, before, _ = framings[number % 2]
            lines = [f"PUT /v2/r{number}/manifests/v1 HTTP/1.1", "Host: localhost", f"Content-Type: {mediatype.OCI_INDEX}", framing]
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + before + INDEX[:-1])
        for number, connection in enumerate(pushing):
            connection.sendall(INDEX[-1:] + framings[number % 2][2])
        assert Client(url).get("/v2/").status == 200
        assert {connection.recv(13) for connection in pushing} == {b"HTTP/1.1 201 "}
        assert peak(process) < CEILING
