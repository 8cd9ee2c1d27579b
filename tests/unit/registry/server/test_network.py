"""The embedded registry among clients and on media that mean it harm: links, smuggled requests, foreign hosts, slow crowds."""

import json
import os
import shutil
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bundler.content.registry import server as serving
from bundler.content.registry.server import Server
from bundler.content.registry.server.storage import Storage, tag_of, written
from bundler.errors import Code, UsageError
from bundler.oci.digest import Digest
from tests.support.client import Client
from tests.support.layouts import Content

REPO = "team/app"
HIDDEN = b"GET /v2/_catalog HTTP/1.1\r\nHost: localhost\r\n\r\n"


def asked(server: Server, data: bytes) -> bytes:
    """All that is answered until the server ends the connection."""
    place, answered = urlsplit(server.url), b""
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        connection.sendall(data)
        while more := connection.recv(1 << 16):
            answered += more
    return answered


HOST = b"Host: localhost\r\n"
LENGTH = b"Content-Length: %d" % len(HIDDEN)
TWO_READINGS = {
    "a blank before the colon of a length": HOST + LENGTH.replace(b":", b" :"),
    "a blank before the colon of an encoding": HOST + b"Transfer-Encoding : chunked",
    "a tab before a colon": HOST + b"X\t: a",
    "a line without a colon": HOST + b"no colon\r\n" + LENGTH,
    "a line as mailboxes have it": b"From x y\r\n" + HOST + LENGTH,
    "CR alone before a length": HOST + b"X: a\r" + LENGTH,
    "CR twice": HOST + b"X: a\r\rb\r\n" + LENGTH,
    "NUL in a value": HOST + b"X: a\0b",
    "NUL in a name": HOST + b"Con\0tent: 1\r\n" + LENGTH,
    "a vertical tab before a length": HOST + LENGTH.replace(b" ", b"\x0b"),
    "a vertical tab before an encoding": HOST + b"Transfer-Encoding:\x0bchunked",
    "a folded length": HOST + LENGTH.replace(b" ", b"\r\n "),
    "a folded field": HOST + b"X: a\r\n folded",
    "a blank before the first field": b" " + HOST + LENGTH,
    "LF alone": b"Host: localhost\nX: a",
    "no host": b"X: a",
    "two hosts": HOST + HOST + b"X: a",
    "a length and an encoding": HOST + b"Transfer-Encoding: chunked\r\n" + LENGTH,
    "two lengths": HOST + LENGTH + b"\r\nContent-Length: 6",
    "a list of lengths": HOST + b"Content-Length: 5, 5",
    "an encoding that is not chunked": HOST + b"Transfer-Encoding: xchunked",
    "chunks that are not the last encoding": HOST + b"Transfer-Encoding: chunked, identity",
    "LF alone in a chunk's extension": HOST + b"Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0",
}


@pytest.mark.parametrize("fields", TWO_READINGS.values(), ids=TWO_READINGS)
def test_a_head_with_two_readings_is_400_and_what_is_hidden_behind_it_is_not_answered(server: Server, fields: bytes):
    answered = asked(server, b"PATCH /v2/ HTTP/1.1\r\n" + fields + b"\r\n\r\n" + HIDDEN)
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert answered.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("line", [b"GET\xa0/v2/\xa0HTTP/1.1", b"GET  /v2/ HTTP/1.1", b"GET /v2/\tHTTP/1.1", b"GET /v2/ HTTP/1.1 "])
def test_a_request_line_with_other_blanks_than_two_is_400(server: Server, line: bytes):
    answered = asked(server, line + b"\r\n" + HOST + b"\r\n" + HIDDEN)
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert answered.count(b"Server: ") == 1


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.0.2.1", "x"])
def test_a_host_that_is_not_served_is_421(server: Server, host: str):
    answered = asked(server, f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answered.startswith(b"HTTP/1.1 421 ")
    assert b"--host" in answered


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:7", "127.0.0.1", "127.9.9.9:5000", "[::1]:80", "registry.example", "only.example:81"]
)
def test_loopback_and_named_hosts_are_served(folder: Path, host: str):
    with Server(folder, hosts=["registry.example", "only.example:81"]) as server:
        assert asked(server, f"GET /v2/ HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("host", ["", "a b", "localhost:x", "localhost/x", "user@localhost"])
def test_a_host_that_is_none_is_400(server: Server, host: str):
    assert asked(server, f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("place", ["repositories/team", "blobs/sha256", "repositories/team/app/_blobs", "registry.json"])
def test_a_link_in_the_folder_is_refused_with_words_and_nothing_is_freed(folder: Path, tmp_path: Path, place: str, read_only: bool):
    with Server(folder) as server:
        Client(server.url).blob(REPO, b"layer")
    shutil.move(folder / place, tmp_path / "elsewhere")
    (folder / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="must not lie in a registry's folder") as caught:
        Storage(folder, read_only=read_only)
    assert (caught.value.code, caught.value.exit) == (Code.USAGE_INPUT, 2)
    assert [path.read_bytes() for path in folder.glob("blobs/sha256/*")] == [b"layer"]


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_is_no_regular_file_is_neither_read_nor_waited_for(folder: Path, server: Server, tmp_path: Path, kind: str):
    digest = Client(server.url).blob(REPO, b"layer")
    (tmp_path / "secret").write_bytes(b"secret")
    path = folder / "blobs/sha256" / digest.encoded
    path.unlink()
    path.symlink_to(tmp_path / "secret") if kind == "link" else os.mkfifo(path)
    answered = Client(server.url).get(f"/v2/{REPO}/blobs/{digest}")
    assert answered.status == 500
    assert b"secret" not in answered.body


@pytest.mark.parametrize("left", ["registry.json.new", ".oci-bundler-0123456789abcdef.tmp"])
def test_a_first_start_that_was_killed_can_be_repeated(folder: Path, left: str):
    folder.mkdir()
    (folder / "lock").touch()
    (folder / left).touch()
    Storage(folder).close()
    assert json.loads((folder / "registry.json").read_text()) == {"version": 2}


@pytest.mark.parametrize("tag", ["v1", "V1", "v1.", "V1.", "Z" * 128, "a_B.c-D"])
def test_each_tag_has_a_name_that_folding_keeps_apart(tag: str):
    assert tag_of(written(tag)) == tag
    assert written(tag) == written(tag).lower()
    assert not written(tag).endswith(".")
    assert len(written(tag)) <= 255


def test_a_folder_of_form_1_is_read_as_it_is_and_renewed_by_serving_it(folder: Path, content: Content):
    image = content.image()
    with Server(folder) as server:
        Client(server.url).push(REPO, content, image, tag="V1")
    place = folder / "repositories" / REPO
    (place / "_tags" / written("V1")).rename(place / "_tags/V1")
    shutil.rmtree(place / "_tagged")
    (folder / "registry.json").write_text('{"version": 1}')
    for read_only in (True, False):
        with Server(folder, read_only=read_only) as server:
            assert Client(server.url).get(f"/v2/{REPO}/manifests/V1").body == image.raw
            assert Client(server.url).get(f"/v2/{REPO}/tags/list").json["tags"] == ["V1"]
    with Server(folder) as server:
        Client(server.url).delete(f"/v2/{REPO}/manifests/{image.digest}")
        assert Client(server.url).get(f"/v2/{REPO}/tags/list").json["tags"] == []


def test_a_cut_upload_in_one_request_leaves_nothing(folder: Path, server: Server):
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        where = f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(b'x')}"
        connection.sendall(f"POST {where} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n".encode() + b"y" * 5_000)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert list((folder / "uploads").iterdir()) == []


def test_a_thread_that_cannot_start_ends_one_connection_and_not_the_server(server: Server, monkeypatch: pytest.MonkeyPatch):
    def refuse(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(serving.threading.Thread, "start", refuse)
        assert asked(server, b"") == b""
    assert Client(server.url).get("/v2/").status == 200


def test_a_crowd_that_drips_does_not_keep_an_honest_client_out(server: Server):
    place = urlsplit(server.url)
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(socket.create_connection((place.hostname, place.port), timeout=20)).sendall(b"G")
        began = time.monotonic()
        assert Client(server.url).get("/v2/").status == 200
        assert time.monotonic() - began < 20  # without places that are given up: the patience of a minute
