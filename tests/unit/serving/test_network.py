"""The embedded registry among clients and on media that mean it harm: links, smuggled requests, foreign hosts."""

import json
import os
import shutil
import socket
import stat
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bundler.errors import Code, UsageError
from bundler.oci.digest import Digest
from bundler.serving.repository import tag_of, written
from bundler.serving.servedfolder import MAX_DEPTH
from bundler.serving.server import Server
from bundler.serving.storage import Storage
from tests.support.cases import each
from tests.support.client import Client
from tests.support.layouts import Content

REPO = "team/app"
HIDDEN = b"GET /v2/_catalog HTTP/1.1\r\nHost: localhost\r\n\r\n"


def asked(server: Server, data: bytes) -> bytes:
    """All that is answered until the server ends the connection."""
    place, answered = urlsplit(server.url), b""
    with socket.create_connection((place.hostname, place.port), timeout=120) as connection:
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
def test_a_head_with_two_readings_is_400_and_what_is_hidden_behind_it_is_not_answered(server: Server, fields: bytes) -> None:
    answered = asked(server, b"PATCH /v2/ HTTP/1.1\r\n" + fields + b"\r\n\r\n" + HIDDEN)
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert answered.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("line", [b"GET\xa0/v2/\xa0HTTP/1.1", b"GET  /v2/ HTTP/1.1", b"GET /v2/\tHTTP/1.1", b"GET /v2/ HTTP/1.1 "])
def test_a_request_line_with_other_blanks_than_two_is_400(server: Server, line: bytes) -> None:
    answered = asked(server, line + b"\r\n" + HOST + b"\r\n" + HIDDEN)
    assert answered.startswith(b"HTTP/1.1 400 ")
    assert answered.count(b"Server: ") == 1


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.0.2.1", "x"])
def test_a_host_that_is_not_served_is_421(server: Server, host: str) -> None:
    answered = asked(server, f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answered.startswith(b"HTTP/1.1 421 ")
    assert b"--host" in answered


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:7", "127.0.0.1", "127.9.9.9:5000", "[::1]:80", "registry.example", "only.example:81"]
)
def test_loopback_and_named_hosts_are_served(folder: Path, host: str) -> None:
    with Server(folder, hosts=["registry.example", "only.example:81"]) as server:
        assert asked(server, f"GET /v2/ HTTP/1.0\r\nHost: {host}\r\n\r\n".encode()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("host", ["", "a b", "localhost:x", "localhost/x", "user@localhost"])
def test_a_host_that_is_none_is_400(server: Server, host: str) -> None:
    assert asked(server, f"GET /v2/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("place", ["repositories/team", "blobs/sha256", "repositories/team/app/_blobs", "registry.json"])
def test_a_link_in_the_folder_is_refused_with_words_and_nothing_is_freed(folder: Path, tmp_path: Path, place: str, read_only: bool) -> None:
    with Server(folder) as server:
        Client(server.url).blob(REPO, b"layer")
    shutil.move(folder / place, tmp_path / "elsewhere")
    (folder / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="must not lie in a registry's folder") as caught:
        Storage(folder, read_only=read_only)
    assert (caught.value.code, caught.value.exit) == (Code.USAGE_INPUT, 2)
    assert [path.read_bytes() for path in folder.glob("blobs/sha256/*")] == [b"layer"]


@pytest.mark.parametrize("read_only", [False, True])
def test_folders_deeper_than_any_name_are_refused(folder: Path, read_only: bool) -> None:
    Storage(folder).close()
    deepest = folder / "repositories" / "/".join("a" * (MAX_DEPTH - 1))
    deepest.mkdir(parents=True)
    Storage(folder, read_only=read_only).close()
    (deepest / "a").mkdir()
    with pytest.raises(UsageError, match="must not lie in a registry's folder") as caught:
        Storage(folder, read_only=read_only)
    assert (caught.value.code, caught.value.exit) == (Code.USAGE_INPUT, 2)


def test_a_folder_that_is_let_go_is_not_held_open(folder: Path) -> None:
    Storage(folder).close()
    held = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
    assert not any(path.startswith(str(folder)) for path in held)


def swapped(path: Path, *, kind: str, secret: Path) -> None:
    """In place of what is at ``path`` there is something else now."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    match kind:
        case "link":
            path.symlink_to(secret)
        case "fifo":
            os.mkfifo(path)
        case "socket":
            os.mknod(path, stat.S_IFSOCK | 0o600)
        case _:
            path.mkdir()


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "folder"])
@pytest.mark.parametrize(
    "place",
    [
        "blobs/sha256/LAYER",
        "blobs/sha256/IMAGE",
        f"repositories/{REPO}/_blobs/sha256/LAYER",
        f"repositories/{REPO}/_manifests/sha256/IMAGE",
    ],
)
def test_what_is_no_regular_file_is_neither_read_nor_waited_for(  # noqa: PLR0917 - two of them are the case
    folder: Path, server: Server, content: Content, tmp_path: Path, place: str, kind: str
) -> None:
    client, image = Client(server.url), content.image()
    client.push(REPO, content, image, tag="v1")
    layer = image.blobs[1].digest
    (tmp_path / "secret").write_bytes(b"secret")
    swapped(folder / place.replace("LAYER", layer.encoded).replace("IMAGE", image.digest.encoded), kind=kind, secret=tmp_path / "secret")
    answers = [client.get(f"/v2/{REPO}/{where}") for where in (f"blobs/{layer}", f"manifests/{image.digest}", "manifests/v1")]
    assert [each.status for each in answers] == ([500, 200, 200] if "LAYER" in place else [200, 500, 500])
    assert not any(b"secret" in each.body for each in answers)


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "folder"])
def test_a_tag_that_is_no_regular_file_is_neither_read_nor_written(
    folder: Path, server: Server, content: Content, tmp_path: Path, kind: str
) -> None:
    client, image = Client(server.url), content.image()
    client.push(REPO, content, image, tag="v1")
    (tmp_path / "secret").write_text(str(image.digest))
    swapped(folder / "repositories" / REPO / "_tags/v1", kind=kind, secret=tmp_path / "secret")
    assert client.get(f"/v2/{REPO}/manifests/v1").status == 500
    assert client.put(REPO, "v1", image).status == 500
    assert (tmp_path / "secret").read_text() == str(image.digest)


@pytest.mark.parametrize("kind", ["link", "fifo", "socket", "folder"])
def test_a_referrer_that_is_no_regular_file_is_not_said_to_be_kept(
    folder: Path, server: Server, content: Content, tmp_path: Path, kind: str
) -> None:
    client, image = Client(server.url), content.image()
    client.push(REPO, content, image)
    referrer = client.push(REPO, content, content.manifest(content.blob(b"{}", "application/vnd.example.config"), [], subject=image))
    place = folder / "repositories" / REPO / "_referrers/sha256" / image.digest.encoded / f"sha256-{referrer.digest.encoded}"
    swapped(place, kind=kind, secret=tmp_path)
    assert client.put(REPO, referrer.digest, referrer).status == 500


def test_a_link_that_is_no_part_of_a_registry_may_lie_beside_it(folder: Path, tmp_path: Path) -> None:
    Storage(folder).close()
    (folder / "notes").symlink_to(tmp_path)
    Storage(folder).close()


@pytest.mark.parametrize("place", ["blobs", "blobs/sha256", "uploads", "repositories", f"repositories/{REPO}"])
def test_a_folder_that_becomes_a_link_while_it_is_served_leads_nowhere(
    folder: Path, server: Server, content: Content, tmp_path: Path, place: str
) -> None:
    client, image = Client(server.url), content.image()
    client.push(REPO, content, image, tag="v1")
    (folder / place).rename(tmp_path / "elsewhere")
    (folder / place).symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").rglob("*"))
    assert client.ask("POST", f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(b'x')}", b"x").status == 500
    assert client.get(f"/v2/{REPO}/manifests/v1").status == (200 if place == "uploads" else 500)
    assert client.put(REPO, "v2", image).status == 500
    assert sorted((tmp_path / "elsewhere").rglob("*")) == before


@pytest.mark.parametrize("told", [b"a/b\r\nSet-Cookie: x=y", b"a/b\nX: y", b"a/\xff", b"a/b\0"])
def test_a_media_type_on_a_medium_makes_no_header_of_its_own(folder: Path, server: Server, content: Content, told: bytes) -> None:
    client, image = Client(server.url), content.image()
    client.push(REPO, content, image)
    (folder / "repositories" / REPO / "_manifests/sha256" / image.digest.encoded).write_bytes(told)
    answered = client.get(f"/v2/{REPO}/manifests/{image.digest}")
    assert (answered.status, answered.headers.keys() & {"set-cookie", "x"}) == (500, set())


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost"])
def test_a_page_in_a_browser_begins_no_upload(folder: Path, server: Server, origin: str) -> None:
    client, where = Client(server.url), f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(b'x')}"
    refused = client.ask("POST", where, b"x", {"Origin": origin, "Content-Type": "text/plain"})
    assert (refused.status, refused.code, refused.headers["connection"]) == (403, "DENIED", "close")
    assert client.head(f"/v2/{REPO}/blobs/{Digest.of(b'x')}").status == 404
    assert list((folder / "uploads").iterdir()) == []
    assert client.get("/v2/", Origin=origin).status == 200
    assert client.ask("OPTIONS", where, headers={"Origin": origin}).status == 405  # so that browsers do not even ask for other changes


@pytest.mark.parametrize("left", ["registry.json.new", ".oci-bundler-0123456789abcdef.tmp"])
def test_a_first_start_that_was_killed_can_be_repeated(folder: Path, left: str) -> None:
    folder.mkdir()
    (folder / "lock").touch()
    (folder / left).touch()
    Storage(folder).close()
    assert json.loads((folder / "registry.json").read_text()) == {"version": 2}


@each("tag", ["v1", "V1", "v1.", "V1.", "Z" * 128, "a_B.c-D"])
def test_each_tag_has_a_name_that_folding_keeps_apart(tag: str) -> None:
    assert tag_of(written(tag)) == tag
    assert written(tag) == written(tag).lower()
    assert not written(tag).endswith(".")
    assert len(written(tag)) <= 255


def test_a_folder_of_form_1_is_read_as_it_is_and_renewed_by_serving_it(folder: Path, content: Content) -> None:
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


def test_a_thread_that_cannot_start_ends_one_connection_and_not_the_server(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert asked(server, b"") == b""
    assert Client(server.url).get("/v2/").status == 200


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("I/O operation on closed file")])
def test_a_log_that_nobody_reads_any_more_ends_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def gone(line: str) -> None:
        raise error

    def refuse(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    with Server(folder, log=gone) as server:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            assert asked(server, b"") == b""
        assert asked(server, b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v2/ HTTP/1.0\r\n\r\n").count(b"HTTP/1.1 200 ") == 2
