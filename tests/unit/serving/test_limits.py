"""What one client can take of the embedded registry: places, time, uploads, the disk, and work for what is not its own."""

import errno
import os
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bundler.oci.digest import Digest
from bundler.serving import api, uploads
from bundler.serving import server as serving
from bundler.serving.seats import client_of
from bundler.serving.server import Server
from bundler.serving.storage import Storage
from tests.support.cases import each
from tests.support.client import Client
from tests.support.layouts import Content

REPO = "team/app"
DATA = bytes(range(256)) * 4_096  # a mebibyte
OTHER = "127.0.0.2"  # an address of another client; all of 127.0.0.0/8 is this machine
PING = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Clock:
    """Stands still until it is told that time goes by."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def until(self, connection: socket.socket, *, step: float, byte: bytes = b"") -> None:
        """Let time go by, a ``byte`` with each ``step``, until there is something to read or the connection has broken."""
        for _ in range(2_000):
            if select.select([connection], [], [], 0.01)[0]:
                return
            self.now += step
            try:
                connection.sendall(byte)
            except OSError:
                return
        pytest.fail("nothing came")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def server(folder: Path, clock: Clock, lines: list[str]) -> Iterator[Server]:
    with Server(folder, clock=clock, log=lines.append) as running:
        yield running


@contextmanager
def connected(server: Server, *, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=120, source_address=(source, 0)) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    came = b""
    try:
        while more := connection.recv(1 << 16):
            came += more
    except ConnectionResetError:
        pass
    return came


def beginning(connection: socket.socket) -> bytes:
    """Of what comes; empty if the server has ended the connection."""
    try:
        return connection.recv(13)
    except ConnectionResetError:
        return b""


def head(method: str, where: str, *fields: str) -> bytes:
    return ("\r\n".join([f"{method} {where} HTTP/1.1", "Host: localhost", *fields]) + "\r\n\r\n").encode()


# --- time ---


def test_a_client_that_says_nothing_is_left_after_a_minute(server: Server, clock: Clock) -> None:
    with connected(server) as connection:
        clock.until(connection, step=5)
        assert rest(connection) == b""
    assert clock.now >= 1_060


def test_a_client_that_says_nothing_more_is_left_after_a_minute(server: Server, clock: Clock) -> None:
    with connected(server) as connection:
        connection.sendall(PING)
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        clock.until(connection, step=5)
        assert rest(connection) == b""
    assert clock.now >= 1_060


@pytest.mark.parametrize("begun", [b"", b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_a_head_that_drips_ends(server: Server, clock: Clock, lines: list[str], begun: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(begun)
        clock.until(connection, step=7, byte=b"G")
        assert rest(connection) == b""
    server.close()
    assert [line.split()[-2] for line in lines] == ["0"]  # it was left, and not answered


@pytest.mark.parametrize(
    ("framing", "begun", "drip"),
    [
        (f"Content-Length: {len(DATA)}", b"", b"x"),
        ("Transfer-Encoding: chunked", b"100000\r\n", b"x"),
        ("Transfer-Encoding: chunked", b"", b"0"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\nX:", b"y"),
    ],
    ids=["a length", "a chunk", "a chunk's size", "trailers"],
)
def test_a_body_that_drips_ends_and_leaves_nothing(  # noqa: PLR0917 - three of them are the case
    server: Server, folder: Path, clock: Clock, framing: str, begun: bytes, drip: bytes
) -> None:
    with connected(server) as connection:
        connection.sendall(head("POST", f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(DATA)}", framing, "Expect: 100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(begun)
        clock.until(connection, step=7, byte=drip)
        assert rest(connection) == b""
    assert list((folder / "uploads").iterdir()) == []


def test_a_body_of_a_modem_is_taken(server: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "BUSY", 0)
    client, step = Client(server.url), 256 << 10
    where = client.upload(REPO)
    with connected(server) as connection:
        connection.sendall(head("PATCH", where, f"Content-Length: {5 * step}"))
        for came in range(step, 5 * step, step):
            connection.sendall(bytes(step))
            while client.get(where).headers["range"] != f"0-{came - 1}":
                pass
            clock.now += 16  # 16 KiB a second
        connection.sendall(bytes(step))
        assert connection.recv(100).startswith(b"HTTP/1.1 202 ")
    assert clock.now >= 1_060


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_client_that_reads_too_slowly_is_left_and_another_gets_all(server: Server, clock: Clock, seconds: int) -> None:
    data = bytes(16 << 20)  # more than the kernel's buffers take in
    digest = Client(server.url).blob(REPO, data)
    place, came = urlsplit(server.url), 0
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.settimeout(120)
        connection.connect((place.hostname, place.port))
        connection.sendall(head("GET", f"/v2/{REPO}/blobs/{digest}", "Connection: close"))
        while more := connection.recv(1_024):
            came += len(more)
            clock.now += seconds
    assert came > len(data) if seconds == 0 else 0 < came < len(data)


# --- places ---


class Held(threading.Event):
    """Until it is set, whoever asks for the catalogue waits for the registry; ``reached`` once somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def names(self) -> list[str]:
        self.reached.set()
        return [str(self.wait(60))]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    go_on = Held()
    monkeypatch.setattr(Storage, "names", go_on.names)
    yield go_on
    go_on.set()


def hold(server: Server, stack: ExitStack, *, source: str = "127.0.0.1", count: int) -> list[socket.socket]:
    connections = [stack.enter_context(connected(server, source=source)) for _ in range(count)]
    for connection in connections:
        connection.sendall(head("GET", "/v2/_catalog"))
    return connections


def test_one_address_leaves_places_to_others(folder: Path, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 4)
    monkeypatch.setattr(serving, "MAX_FROM_ONE", 3)
    lines: list[str] = []
    with Server(folder, log=lines.append) as server, ExitStack() as stack:
        hold(server, stack, count=3)
        waiting = stack.enter_context(connected(server))
        waiting.sendall(head("GET", "/v2/waiting"))
        for _ in range(3):
            with connected(server, source=OTHER) as other:
                other.sendall(head("GET", "/v2/other", "Connection: close"))
                assert rest(other).startswith(b"HTTP/1.1 404 ")
        assert not any("waiting" in line for line in lines)
        held.set()
        assert waiting.recv(100).startswith(b"HTTP/1.1 404 ")


def test_all_places_are_taken_by_nobody_more(folder: Path, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 2)
    lines: list[str] = []
    with Server(folder, log=lines.append) as server, ExitStack() as stack:
        connections = hold(server, stack, count=3)
        held.set()
        assert set(map(beginning, connections)) == {b"HTTP/1.1 200 "}
        server.close()
    assert len(lines) == 3


def test_one_address_cannot_fill_the_queue_for_places(folder: Path, held: Held, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(serving, "MAX_FROM_ONE", 2)
    monkeypatch.setattr(serving, "MAX_WAITING", 3)
    with Server(folder, clock=clock) as server, ExitStack() as stack:
        inside = hold(server, stack, count=2)
        outside = hold(server, stack, count=3)
        other = stack.enter_context(connected(server, source=OTHER))
        other.sendall(PING)
        clock.until(other, step=0.5)
        assert other.recv(100).startswith(b"HTTP/1.1 200 ")
        assert beginning(outside[0]) == b""
        held.set()
        assert set(map(beginning, inside)) == {b"HTTP/1.1 200 "}


def test_who_waits_for_a_short_time_is_not_turned_away(folder: Path, held: Held, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_FROM_ONE", 1)
    monkeypatch.setattr(serving, "MAX_WAITING", 2)
    with Server(folder, clock=clock) as server, ExitStack() as stack:
        connections = hold(server, stack, count=5)
        assert held.reached.wait(60)  # else a head that did not come for so long gives its place up
        clock.now += serving.LONG
        held.set()
        for connection in connections:
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
            connection.close()


@pytest.mark.parametrize(
    "begun", [b"G", b"POST /v2/a/blobs/uploads/?digest=sha256:%b HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx" % (b"0" * 64)]
)
def test_a_crowd_that_drips_keeps_nobody_out(folder: Path, begun: bytes) -> None:
    with Server(folder, patience=3_600) as server, ExitStack() as stack:
        for _ in range(300):  # more than there are places
            stack.enter_context(connected(server)).sendall(begun)
        assert Client(server.url).get("/v2/").status == 200
        assert Client(server.url).blob(REPO, DATA) == Digest.of(DATA)


@pytest.mark.parametrize("lacking", [errno.EMFILE, errno.ENOMEM])
def test_where_no_more_files_can_be_opened_a_client_is_told_to_wait_and_a_slow_one_makes_room(
    server: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch, lacking: int
) -> None:
    def names(storage: Storage) -> list[str]:
        raise OSError(lacking, os.strerror(lacking))

    monkeypatch.setattr(Storage, "names", names)
    with connected(server) as slow:
        slow.sendall(head("POST", f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(b'x')}", "Content-Length: 9", "Expect: 100-continue"))
        assert slow.recv(100).startswith(b"HTTP/1.1 100 ")
        clock.now += 1
        refused = Client(server.url).get("/v2/_catalog")
        while not select.select([slow], [], [], 0)[0]:  # it may not have begun to wait for the body when the first came
            refused = Client(server.url).get("/v2/_catalog")
        assert (refused.status, refused.headers["retry-after"], refused.headers["connection"]) == (503, "1", "close")
        assert rest(slow) == b""


@each(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_a_network_of_ipv6_is_one_client(address: str, client: str) -> None:
    assert client_of(address) == client


def test_a_client_and_not_its_address_has_uploads(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "client_of", lambda address: "one network")
    monkeypatch.setattr(uploads, "MAX_FROM_ONE", 1)
    for source, status in (("127.0.0.1", b"202"), (OTHER, b"429")):
        with connected(server, source=source) as connection:
            connection.sendall(head("POST", f"/v2/{REPO}/blobs/uploads/", "Content-Length: 0"))
            assert connection.recv(100).startswith(b"HTTP/1.1 " + status)


# --- uploads ---


def test_one_address_leaves_uploads_to_others(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_FROM_ONE", 2)
    client = Client(server.url)
    first, _ = client.upload(REPO), client.upload(REPO)
    refused = client.ask("POST", f"/v2/{REPO}/blobs/uploads/")
    assert (refused.status, refused.code) == (429, "TOOMANYREQUESTS")
    with connected(server, source=OTHER) as other:
        other.sendall(head("POST", f"/v2/{REPO}/blobs/uploads/", "Content-Length: 0"))
        assert other.recv(100).startswith(b"HTTP/1.1 202 ")
    assert client.delete(first).status == 204
    client.upload(REPO)


def test_an_upload_that_nobody_goes_on_with_is_given_up_after_an_hour(server: Server, folder: Path, clock: Clock) -> None:
    client = Client(server.url)
    where = client.upload(REPO)
    for _ in range(2):
        clock.now += uploads.FORGOTTEN
        client.get("/v2/")
        assert client.ask("PATCH", where, b"x").status == 202
    clock.now += uploads.FORGOTTEN + 1
    assert [client.get("/v2/").status for _ in range(2)] == [200, 200]  # before the second comes, the server has looked around
    assert client.get(where).status == 404
    assert list((folder / "uploads").iterdir()) == []


def test_an_upload_is_given_up_after_a_day_however_often_a_byte_comes(server: Server, folder: Path, clock: Clock) -> None:
    client = Client(server.url)
    where, began = client.upload(REPO), clock.now
    while clock.now - began <= uploads.OLDEST - 3_000:
        clock.now += 3_000
        assert client.ask("PATCH", where, b"x").status == 202
    clock.now = began + uploads.OLDEST
    client.upload(REPO)
    assert client.get(where).status == 204
    clock.now += 1
    client.upload(REPO)
    assert client.get(where).status == 404
    assert len(list((folder / "uploads").iterdir())) == 2


def test_a_file_that_cannot_be_given_up_does_not_make_the_server_deaf(server: Server, folder: Path, clock: Clock) -> None:
    client = Client(server.url)
    where = client.upload(REPO)
    (folder / "uploads").rename(folder / "elsewhere")
    (folder / "uploads").symlink_to("elsewhere")
    clock.now += uploads.FORGOTTEN + 1
    assert [client.get("/v2/").status for _ in range(3)] == [200, 200, 200]
    assert client.get(where).status == 404
    assert len(list((folder / "elsewhere").iterdir())) == 1


def test_uploads_have_a_greatest_size_together(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADING", 1 << 20)
    client = Client(server.url)
    first, second = client.upload(REPO), client.upload(REPO)
    assert client.ask("PATCH", first, DATA).status == 202
    assert client.ask("PATCH", second, b"x").status == 202
    refused = client.ask("PATCH", second, b"y")
    assert (refused.status, refused.json["errors"][0]["message"]) == (507, "no space is left")
    assert client.get(second).status == 404
    assert client.ask("PUT", f"{first}?digest={Digest.of(DATA)}").status == 201
    assert list((folder / "uploads").iterdir()) == []
    client.blob(REPO, b"another")


def test_the_size_of_uploads_is_looked_at_in_the_middle_of_one(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADING", 1 << 20)
    large = bytes(18 << 20)
    refused = Client(server.url).ask("POST", f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(large)}", large)
    assert (refused.status, refused.json["errors"][0]["message"]) == (507, "no space is left")
    assert list((folder / "uploads").iterdir()) == []


def test_uploads_leave_some_of_the_disk_free_for_manifests(
    server: Server, folder: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, image = Client(server.url), content.image()
    client.push(REPO, content, image)
    disk = os.statvfs(folder)
    monkeypatch.setattr(uploads, "KEPT_FREE", disk.f_blocks * disk.f_frsize + 1)
    refused = client.ask("POST", f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(DATA)}", DATA)
    assert (refused.status, refused.json["errors"][0]["message"]) == (507, "no space is left")
    assert list((folder / "uploads").iterdir()) == []
    assert client.put(REPO, "v1", image).status == 201


@pytest.mark.parametrize(
    ("framing", "sent"),
    [
        ("Content-Length: 9000", b""),
        ("Content-Length: 9000", b"y" * 5_000),
        ("Transfer-Encoding: chunked", b"3e8\r\n" + b"y" * 1_000 + b"\r\n"),
        ("Transfer-Encoding: chunked", b"3e8\r\n" + b"y" * 500),
    ],
)
def test_a_cut_upload_in_one_request_leaves_nothing(server: Server, folder: Path, framing: str, sent: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(head("POST", f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(b'x')}", framing) + sent)
        connection.shutdown(socket.SHUT_WR)
        assert rest(connection) == b""
    assert list((folder / "uploads").iterdir()) == []
    assert Client(server.url).get("/v2/_catalog").json == {"repositories": []}


@pytest.mark.parametrize(
    ("framing", "sent"),
    [("Content-Length: 5", b"other"), ("Transfer-Encoding: chunked", b"-5\r\nhello")],
    ids=["other bytes", "no chunks"],
)
def test_a_refused_upload_in_one_request_leaves_nothing(server: Server, folder: Path, framing: str, sent: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(head("POST", f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(b'x')}", framing, "Connection: close") + sent)
        assert rest(connection).startswith(b"HTTP/1.1 400 ")
    assert list((folder / "uploads").iterdir()) == []


# --- work ---


def test_deleting_a_manifest_opens_nothing_of_tags_that_are_not_its_own(
    server: Server, folder: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, image = Client(server.url), content.image()
    client.push(REPO, content, image)
    opened = []
    for tags in (1, 300):
        kept = client.push(REPO, content, content.image(f"{tags}"), tag="of-another")
        place = folder / "repositories" / REPO
        named = place / "_tagged/sha256" / kept.digest.encoded
        for number in range(tags):
            (place / "_tags" / f"t{number}").write_text(str(kept.digest))
            (named / f"t{number}").touch()
        assert client.put(REPO, "own", image).status == 201
        with monkeypatch.context() as patch:
            counted = count(patch, "open", "listdir", "scandir", "stat")
            assert client.delete(f"/v2/{REPO}/manifests/{image.digest}").status == 202
        opened.append(counted)
        assert client.get(f"/v2/{REPO}/manifests/own").status == 404
        assert len(client.get(f"/v2/{REPO}/tags/list").json["tags"]) == tags + 1
    assert opened[0] == opened[1]
    assert opened[0]["open"] > 0


def test_a_push_under_a_condition_does_not_read_what_it_replaces(server: Server, content: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    client, before, after = Client(server.url), content.image("before"), content.image("after")
    client.push(REPO, content, before, tag="v1")
    client.push(REPO, content, after)
    opened: list[Any] = []
    real = os.open

    def noted(name: Any, *arguments: Any, **named: Any) -> int:
        opened.append(name)
        return real(name, *arguments, **named)

    condition = {"Content-Type": after.descriptor.media_type, "If-Match": f'"{before.digest}"'}
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", noted)
        assert client.ask("PUT", f"/v2/{REPO}/manifests/v1", after.raw, condition).status == 201
    assert "v1" in opened
    assert opened.count(before.digest.encoded) == 1  # the folder of what is tagged with it


def count(patch: pytest.MonkeyPatch, *names: str) -> Counter[str]:
    """How often each of these functions of ``os`` is called from here on."""
    counted: Counter[str] = Counter()

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            counted[name] += 1
            return function(*arguments, **named)

        return called

    for name in names:
        patch.setattr(os, name, counting(name, getattr(os, name)))
    return counted
