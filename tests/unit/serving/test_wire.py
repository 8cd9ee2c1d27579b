"""HTTP as clients really send it: in pieces, slowly, badly, all at once, or not at all (RFC 9110, RFC 9112)."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bundler.errors import UsageError
from bundler.oci.digest import Digest
from bundler.serving import server as serving
from bundler.serving.exchange import ServerContext, attend
from bundler.serving.seats import Seat
from bundler.serving.server import Server
from tests.support.client import Client

REPO = "team/app"
DATA = bytes(range(256)) * 4_096  # a mebibyte


@contextmanager
def connected(server: Server, *, timeout: float = 20) -> Iterator[socket.socket]:
    place = urlsplit(server.url)
    assert place.hostname
    assert place.port
    with socket.create_connection((place.hostname, place.port), timeout=timeout) as connection:
        yield connection


def answer(connection: socket.socket, *, until_end: bool = False) -> tuple[int, dict[str, str], bytes]:
    """One answer; or, with ``until_end``, the first of all that come until the server ends the connection."""
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(1)
        assert more, f"the server ended the connection after {received!r}"
        received += more
    head, _, _ = received.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in fields)}
    status = int(line.split()[1])
    body, length = b"", int(headers.get("content-length", 0))
    while len(body) < length:
        body += connection.recv(length - len(body))
    if until_end:
        while connection.recv(1 << 16):
            pass
    return status, headers, body


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=120).close()
    except (ConnectionRefusedError, ConnectionResetError):  # the latter where it was still waiting for its place when that closed
        return False
    return True


def ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def put(where: str, *headers: str, host: str = "localhost") -> bytes:
    lines = [f"PUT {where} HTTP/1.1", f"Host: {host}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


# --- connections ---


def test_a_connection_serves_many_requests(server: Server) -> None:
    with connected(server) as connection:
        for _ in range(3):
            connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer(connection)[0] == 200


def test_requests_may_come_before_their_answers_are_read(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(
            b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
            b"HEAD /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        assert [answer(connection)[0] for _ in range(2)] == [200, 404]


def test_a_request_may_come_in_single_bytes(server: Server) -> None:
    with connected(server) as connection:
        for byte in b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n":
            connection.sendall(bytes([byte]))
        assert answer(connection)[0] == 200


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1\r\nConnection: close"])
def test_a_client_may_want_one_answer_alone(server: Server, version: str) -> None:
    with connected(server) as connection:
        connection.sendall(f"GET /v2/ {version}\r\nHost: localhost\r\n\r\n".encode())
        assert answer(connection)[0] == 200
        assert ended(connection)


def test_nagle_never_waits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seats: list[Seat] = []

    def watched(seat: Seat, house: ServerContext) -> None:
        seats.append(seat)
        attend(seat, house)

    monkeypatch.setattr(serving, "attend", watched)
    with Server(folder) as server, connected(server) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer(connection)
        assert seats[0].connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_one_empty_line_before_a_request_is_passed_over_and_two_end_the_connection(server: Server) -> None:
    for lines in (1, 2):
        with connected(server) as connection:
            connection.sendall(b"\r\n" * lines + b"GET /v2/ HTTP/1.0\r\n\r\n")
            if lines == 1:
                assert answer(connection)[0] == 200
            assert ended(connection)


def test_a_head_that_was_cut_behind_a_line_is_no_request(client: Client, server: Server) -> None:
    digest = client.blob(REPO, DATA)
    with connected(server) as connection:
        connection.sendall(f"DELETE /v2/{REPO}/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        assert ended(connection)
    assert client.head(f"/v2/{REPO}/blobs/{digest}").status == 200


def test_a_client_of_http_1_0_need_not_say_a_host(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.0\r\n\r\n")
        assert answer(connection)[0] == 200


def test_a_head_may_have_a_hundred_fields(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 99 + b"\r\n")
        assert answer(connection)[0] == 200


def test_an_absolute_target_is_read_as_its_path(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET http://localhost/v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer(connection)[0] == 200


# --- bodies ---


def test_a_body_waits_until_it_is_asked_for(client: Client, server: Server) -> None:
    where = f"{client.upload(REPO)}?digest={Digest.of(DATA)}"
    with connected(server) as connection:
        connection.sendall(put(where, f"Content-Length: {len(DATA)}", "Expect: 100-continue"))
        assert answer(connection)[0] == 100
        connection.sendall(DATA)
        assert answer(connection)[0] == 201


def test_a_refused_body_is_not_asked_for(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(put("/v2/no/such", f"Content-Length: {1 << 40}", "Expect: 100-continue"))
        assert answer(connection)[0] == 404
        assert ended(connection)


def test_a_refused_small_body_is_not_asked_for_either(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(put("/v2/no/such", "Content-Length: 5", "Expect: 100-continue"))
        assert answer(connection)[0] == 404
        assert ended(connection)


def test_a_client_of_http_1_0_is_not_told_to_go_on(server: Server) -> None:
    with connected(server) as connection:
        where = f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(b'hello')}"
        connection.sendall(f"POST {where} HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello".encode())
        assert answer(connection)[0] == 201


def test_a_client_that_sends_on_reads_why_it_was_refused(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(put("/v2/no/such", f"Content-Length: {8 << 20}"))
        connection.sendall(DATA)
        status, headers, _ = answer(connection)
        assert (status, headers["connection"]) == (404, "close")


def test_a_small_body_nobody_wants_does_not_end_the_connection(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(put("/v2/no/such", "Content-Length: 5") + b"hello" + b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert [answer(connection)[0], answer(connection)[0]] == [404, 200]


def test_many_chunks_that_nobody_wants_end_the_connection(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(put("/v2/no/such", "Transfer-Encoding: chunked") + b"40000\r\n" + DATA[: 256 << 10] + b"\r\n0\r\n\r\n")
        status, headers, _ = answer(connection)
        assert (status, headers["connection"]) == (404, "close")


def test_chunks_that_are_none_behind_a_question_are_400_and_what_would_be_given_is_not(client: Client, server: Server) -> None:
    digest = client.blob(REPO, b"hello")
    with connected(server) as connection:
        connection.sendall(
            f"GET /v2/{REPO}/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n".encode()
        )
        status, headers, _ = answer(connection, until_end=True)
        assert (status, headers["connection"]) == (400, "close")


def test_the_answer_to_head_ends_with_its_head(client: Client, server: Server) -> None:
    for where in (f"/v2/{REPO}/blobs/{client.blob(REPO, DATA)}", "/v2/"):
        with connected(server) as connection:
            connection.sendall(f"HEAD {where} HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v2/ HTTP/1.0\r\n\r\n".encode())
            answered = b""
            while more := connection.recv(1 << 16):
                answered += more
        head, _, rest = answered.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert rest.startswith(b"HTTP/1.1 200 ")


def test_content_that_becomes_shorter_while_it_is_given_ends_the_connection(client: Client, server: Server, folder: Path) -> None:
    data = bytes(16 << 20)  # more than the kernel's buffers take in
    digest, came = client.blob(REPO, data), 0
    with connected(server) as connection:
        connection.sendall(f"GET /v2/{REPO}/blobs/{digest} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert connection.recv(1)
        os.truncate(folder / "blobs/sha256" / digest.encoded, 0)
        while more := connection.recv(1 << 16):
            came += len(more)
    assert came < len(data)


def test_a_large_body_that_was_read_does_not_end_the_connection(client: Client, server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(put(f"{client.upload(REPO)}?digest={Digest.of(DATA)}", f"Content-Length: {len(DATA)}") + DATA)
        assert answer(connection)[0] == 201
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer(connection)[0] == 200


def test_chunks_may_have_extensions_and_trailers(client: Client, server: Server) -> None:
    where = f"{client.upload(REPO)}?digest={Digest.of(b'hello world')}"
    with connected(server) as connection:
        connection.sendall(put(where, "Transfer-Encoding: chunked"))
        connection.sendall(b"5;name=value\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\nGET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert [answer(connection)[0], answer(connection)[0]] == [201, 200]


@pytest.mark.parametrize(("count", "status"), [(100, 201), (101, 400)])
def test_there_are_at_most_a_hundred_trailers(client: Client, server: Server, count: int, status: int) -> None:
    where = f"{client.upload(REPO)}?digest={Digest.of(b'hello')}"
    with connected(server) as connection:
        connection.sendall(put(where, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * count + b"\r\n")
        assert answer(connection)[0] == status


@pytest.mark.parametrize(("length", "status"), [(1_023, 201), (1_024, 400)])
def test_the_line_before_a_chunk_has_at_most_a_kibibyte(client: Client, server: Server, length: int, status: int) -> None:
    where = f"{client.upload(REPO)}?digest={Digest.of(b'hello')}"
    with connected(server) as connection:
        connection.sendall(put(where, "Transfer-Encoding: chunked") + b"5;".ljust(length, b"x") + b"\r\nhello\r\n0\r\n\r\n")
        assert answer(connection)[0] == status


@pytest.mark.parametrize(
    "chunks",
    [
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"\r\n",
        b"5\nhello\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"ffffffffffffffffffff\r\nhello",
        b"5" + b" " * 5_000,
        b"0\r\n" + b"a: b\r\n" * 200,
        b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_chunks_that_are_none_are_400_and_end_the_connection_and_store_nothing(client: Client, server: Server, chunks: bytes) -> None:
    where = client.upload(REPO)
    with connected(server) as connection:
        connection.sendall(put(f"{where}?digest={Digest.of(b'hello')}", "Transfer-Encoding: chunked") + chunks)
        status, headers, _ = answer(connection, until_end=True)
    assert (status, headers["connection"]) == (400, "close")
    assert client.head(f"/v2/{REPO}/blobs/{Digest.of(b'hello')}").status == 404


@pytest.mark.parametrize(
    ("framing", "status"),
    [
        (("Content-Length: 5", "Transfer-Encoding: chunked"), 400),
        (("Content-Length: 5", "Content-Length: 6"), 400),
        (("Content-Length: 5", "Content-Length: 5"), 400),
        (("Content-Length: +5",), 400),
        (("Content-Length: -5",), 400),
        (("Content-Length: 5, 5",), 400),
        (("Content-Length: 0x5",), 400),
        (("Content-Length: 9999999999999999999999",), 400),
        (("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400),
        (("Transfer-Encoding: chunked, chunked",), 400),
        (("Transfer-Encoding: Chunked, gzip, chunked",), 400),
        (("Transfer-Encoding: chunked", "Transfer-Encoding: gzip"), 400),
        (("Transfer-Encoding: chunked, identity",), 400),
        (("Transfer-Encoding: identity",), 400),
        (("Transfer-Encoding: xchunked",), 400),
        (("Transfer-Encoding: chunked;x=y",), 400),
        (('Transfer-Encoding: x;y="z, chunked',), 400),
        (('Transfer-Encoding: "chunked"',), 400),
        (("Transfer-Encoding: chunked,",), 400),
        (("Transfer-Encoding: , chunked",), 400),
        (("Transfer-Encoding:",), 400),
        (("Transfer-Encoding: gzip, chunked",), 501),
        (("Transfer-Encoding: gzip", "Transfer-Encoding: CHUNKED"), 501),
    ],
)
def test_a_body_that_two_readers_could_frame_in_two_ways_is_refused(server: Server, framing: tuple[str, ...], status: int) -> None:
    with connected(server) as connection:
        connection.sendall(put("/v2/", *framing) + b"hello")
        told, headers, _ = answer(connection)
        assert (told, headers["connection"]) == (status, "close")
        assert ended(connection)


def test_an_upload_that_was_cut_goes_on_where_it_was(client: Client, server: Server) -> None:
    where = client.upload(REPO)
    with connected(server) as connection:
        head = f"PATCH {where} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(DATA)}\r\n\r\n".encode()
        connection.sendall(head + DATA[:300_000])
        connection.shutdown(socket.SHUT_WR)
        assert ended(connection)  # by the server, when it has kept what came
    came = int(client.get(where).headers["range"].removeprefix("0-")) + 1
    assert came == 300_000
    rest = DATA[came:]
    assert client.ask("PATCH", where, rest, {"Content-Range": f"{came}-{len(DATA) - 1}"}).status == 202
    assert client.ask("PUT", f"{where}?digest={Digest.of(DATA)}", b"").status == 201


@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_push_that_was_cut_is_never_seen(client: Client, server: Server, framing: str) -> None:
    digest = Digest.of(DATA[:1_000])
    with connected(server) as connection:
        piece = b"3e8\r\n" + DATA[:1_000] if "chunked" in framing else DATA[:1_000]
        connection.sendall(put(f"{client.upload(REPO)}?digest={digest}", framing) + piece)
        connection.shutdown(socket.SHUT_WR)
        assert ended(connection)
    assert client.head(f"/v2/{REPO}/blobs/{digest}").status == 404


# --- limits ---


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /v2/ HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /v2/ HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"G" * 70_000, 414),
        (b"GET /v2/ HTTP/9.9\r\n\r\n", 505),
        (b"GET /v2/ HTTP/2.0\r\n\r\n", 505),
        (b"GET /v2/ HTTP/1.2\r\n\r\n", 505),
        (b"PUT /v2/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"hello\r\n\r\n", 400),
        (b"GET /v2/\r\n\r\n", 505),
        (b"GET /v2/ HTTP/x.y\r\n\r\n", 400),
        (b"GET http://[x/v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v2/%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v2/?x=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /v2/?" + b"a=b&" * 300 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET ftp://localhost/v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_refused(server: Server, head: bytes, status: int) -> None:
    with connected(server) as connection:
        connection.sendall(head)
        told, headers, body = answer(connection)
        assert told == status
        assert headers["content-type"] == "application/json"
        assert b'"errors"' in body
    assert Client(server.url).get("/v2/").status == 200


def test_a_head_without_end_ends_the_connection(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\n")
        for n in range(90):
            try:
                connection.sendall(f"X{n}: {'a' * 2_000}\r\n".encode())
            except OSError:
                break
        assert answer(connection, until_end=True)[0] == 431


# --- many ---


def test_more_clients_than_places_take_turns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 4)
    with Server(folder, patience=3_600) as server, ExitStack() as stack:
        idle = [stack.enter_context(connected(server)) for _ in range(4)]
        for connection in idle:
            connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer(connection)[0] == 200
        assert Client(server.url).get("/v2/").status == 200  # and not when the idle ones have lost patience


def test_a_client_that_resets_at_once_harms_nobody(server: Server) -> None:
    for _ in range(50):
        with connected(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            connection.sendall(b"GET /v2/ HTT")
    assert Client(server.url).get("/v2/").status == 200


# --- beginning and end ---


def test_the_url_says_where(folder: Path) -> None:
    with Server(folder) as server:
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*", server.url)


def test_it_listens_on_ipv6_too(folder: Path) -> None:
    try:
        server = Server(folder, address=("::1", 0))
    except UsageError:
        pytest.skip("this machine has no IPv6")
    with server:
        assert re.fullmatch(r"http://\[::1\]:[1-9][0-9]*", server.url)
        assert Client(server.url).get("/v2/").status == 200


@pytest.mark.parametrize("address", [("127.0.0.1", 70_000), ("192.0.2.1", 0), ("no.such.host.invalid", 0)])
def test_an_address_that_cannot_be_had_is_told(folder: Path, address: tuple[str, int]) -> None:
    with pytest.raises(UsageError, match="cannot listen"):
        Server(folder, address=address)
    Server(folder).close()  # and the folder was let go


def test_a_port_that_is_taken_is_told(server: Server, tmp_path: Path) -> None:
    port = urlsplit(server.url).port
    assert port
    with pytest.raises(UsageError, match="cannot listen") as caught:
        Server(tmp_path / "other", address=("127.0.0.1", port))
    assert caught.value.exit == 2


def test_it_ends_at_once_although_clients_stay_connected(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE", 3_600)
    server = Server(folder, patience=3_600)
    server.start()
    with connected(server) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer(connection)[0] == 200
        server.close()
        assert ended(connection)
    server.close()  # twice is once


def test_what_is_under_way_is_finished(folder: Path) -> None:
    server = Server(folder)
    server.start()
    client = Client(server.url)
    where = f"{client.upload(REPO)}?digest={Digest.of(DATA)}"
    with connected(server) as connection:
        connection.sendall(put(where, f"Content-Length: {len(DATA)}", "Expect: 100-continue"))
        assert answer(connection)[0] == 100
        ending = threading.Thread(target=server.close)
        ending.start()
        while listens(*connection.getpeername()):
            pass
        connection.sendall(DATA)
        status, headers, _ = answer(connection)
        assert (status, headers["connection"]) == (201, "close")
        ending.join()  # which is the claim: pytest ends a test that hangs


def test_a_client_that_never_finishes_does_not_keep_it_from_ending(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE", 0.3)
    server = Server(folder)
    server.start()
    where = Client(server.url).upload(REPO)
    with connected(server) as connection:
        connection.sendall(put(f"{where}?digest={Digest.of(DATA)}", f"Content-Length: {len(DATA)}", "Expect: 100-continue"))
        assert answer(connection)[0] == 100
        connection.sendall(b"x")
        server.close()
        assert ended(connection)


def test_a_signal_ends_it_cleanly(folder: Path) -> None:
    program = (
        "import signal, sys; from pathlib import Path; from bundler.serving.server import Server\n"
        "server = Server(Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGTERM, lambda *_: server.stop())\n"
        "print(server.url, flush=True); server.serve_forever(); print('ended')"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    url = process.stdout.readline().strip()
    assert Client(url).get("/v2/").status == 200
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "ended\n")


def test_the_log_has_a_line_for_each_request_and_no_foreign_bytes(folder: Path) -> None:
    lines: list[str] = []
    with Server(folder, log=lines.append) as server:
        client = Client(server.url)
        client.get("/v2/")
        while not lines:  # it comes after the answer, on another connection's thread
            time.sleep(0.001)
        with connected(server) as connection:
            connection.sendall(b"GET /\x1b]0;owned\x07\xe2\x80\xae HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer(connection)
    assert re.fullmatch(r"GET /v2/ 200 [0-9.]+s", lines[0])
    assert re.fullmatch(r"GET /\\x1b\]0;owned\\x07.* 400 [0-9.]+s", lines[1])
    assert all(line.isascii() and line.isprintable() for line in lines)
