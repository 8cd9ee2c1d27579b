"""The folder of the embedded registry: who may have it, what is left behind, and that a kill at any step harms nothing."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bundler.errors import Code, TransportError, UsageError
from bundler.oci.digest import Digest
from bundler.serving import api, uploads
from bundler.serving.server import Server
from bundler.serving.storage import Storage
from tests.support.client import Client
from tests.support.layouts import Content, write_layout

REPO = "team/app"
DATA = b"some layer"
WHOLE = Digest.of(b"first second")


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# --- whose folder ---


@pytest.mark.parametrize("made", [False, True])
def test_a_new_or_empty_folder_becomes_a_registry(tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "below" / "registry"
    if made:
        folder.mkdir(parents=True)
    Storage(folder).close()
    assert json.loads((folder / "registry.json").read_text()) == {"version": 2}


def test_a_folder_of_something_else_is_refused_and_left_as_it_was(tmp_path: Path, content: Content) -> None:
    folder = write_layout(tmp_path / "layout", content, {"v1": content.image()})
    before = files(folder)
    with pytest.raises(UsageError, match="is not a registry's folder") as caught:
        Storage(folder)
    assert caught.value.exit == 2
    assert files(folder) == before


def test_a_file_is_no_registry(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UsageError, match="is not a folder"):
        Storage(tmp_path / "file")


@pytest.mark.parametrize("form", [b'{"version":3}', b'{"version":2,"more":1}', b"[]"])
def test_a_registry_of_a_newer_form_is_refused(folder: Path, form: bytes) -> None:
    Storage(folder).close()
    (folder / "registry.json").write_bytes(form)
    with pytest.raises(UsageError, match="newer form"):
        Storage(folder)


def test_only_a_registry_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a registry's folder"):
        Storage(tmp_path / "absent", read_only=True)
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize(("first", "second"), [(False, False), (False, True), (True, False)])
def test_two_that_do_not_only_read_cannot_have_one_folder(folder: Path, first: bool, second: bool) -> None:
    Storage(folder).close()
    held = Storage(folder, read_only=first)
    with pytest.raises(TransportError, match="another process serves") as caught:
        Storage(folder, read_only=second)
    assert (caught.value.code, caught.value.exit) == (Code.DISK_LOCKED, 7)
    held.close()
    Storage(folder, read_only=second).close()


def test_readers_share_a_folder(folder: Path) -> None:
    Storage(folder).close()
    one = Storage(folder, read_only=True)
    Storage(folder, read_only=True).close()
    one.close()


def test_a_process_that_is_killed_lets_the_folder_go(folder: Path) -> None:
    program = "import sys, os; from pathlib import Path; from bundler.serving.storage import Storage\n"
    subprocess.run([sys.executable, "-c", program + "s = Storage(Path(sys.argv[1])); os.kill(os.getpid(), 9)", str(folder)], check=False)
    Storage(folder).close()


def test_a_copy_on_a_medium_can_be_read_without_its_lock(folder: Path, tmp_path: Path) -> None:
    with Server(folder) as server:
        digest = Client(server.url).blob(REPO, DATA)
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("lock"))
    before = files(copy)
    with Server(copy, read_only=True) as server:
        assert Client(server.url).get(f"/v2/{REPO}/blobs/{digest}").body == DATA
    assert files(copy) == before


# --- what is left behind ---


def test_what_was_pushed_is_there_after_a_new_beginning(folder: Path, content: Content) -> None:
    image = content.index(algorithm="sha512")
    with Server(folder) as server:
        Client(server.url).push(REPO, content, image, tag=None)
        Client(server.url).push(REPO, content, content.artifact(subject=image))
    with Server(folder) as server:
        client = Client(server.url)
        assert client.get(f"/v2/{REPO}/manifests/{image.digest}").body == image.raw
        assert len(client.get(f"/v2/{REPO}/referrers/{image.digest}").json["manifests"]) == 1


def test_an_upload_that_never_ended_is_gone_after_a_new_beginning(folder: Path) -> None:
    with Server(folder) as server:
        where = Client(server.url).upload(REPO)
        Client(server.url).ask("PATCH", where, DATA)
        assert len(list((folder / "uploads").iterdir())) == 1
    with Server(folder) as server:
        assert list((folder / "uploads").iterdir()) == []
        assert Client(server.url).get(where).status == 404


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_content_that_no_repository_has_is_freed_by_a_new_beginning(folder: Path, content: Content, algorithm: str) -> None:
    image = content.image(algorithm=algorithm)
    layer, config = image.blobs[1].digest, image.blobs[0].digest
    with Server(folder) as server:
        client = Client(server.url)
        client.push(REPO, content, image)
        assert client.ask("POST", f"/v2/other/blobs/uploads/?mount={config}&from={REPO}").status == 201
        client.delete(f"/v2/{REPO}/manifests/{image.digest}")
        client.delete(f"/v2/{REPO}/blobs/{layer}")
        client.delete(f"/v2/{REPO}/blobs/{config}")
    Storage(folder).close()
    assert [name for name in files(folder) if name.startswith("blobs/")] == [f"blobs/{algorithm}/{config.encoded}"]


def test_nothing_is_freed_when_a_repository_cannot_be_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(folder) as server:
        Client(server.url).blob(REPO, DATA)
    before, real = files(folder), os.scandir

    def scandir(path: Any) -> Any:
        if isinstance(path, int) and str(Path(f"/proc/self/fd/{path}").readlink()).endswith("_blobs"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        with pytest.raises(TransportError, match="cannot be opened") as caught:
            Storage(folder)
    assert caught.value.code == Code.DISK_IO
    assert files(folder) == before
    Storage(folder).close()


def test_reading_frees_nothing(folder: Path) -> None:
    with Server(folder) as server:
        client = Client(server.url)
        client.delete(f"/v2/{REPO}/blobs/{client.blob(REPO, DATA)}")
    before = files(folder)
    Storage(folder, read_only=True).close()
    assert files(folder) == before


# --- uploads ---


def test_too_many_uploads_are_429_until_old_ones_are_forgotten(client: Client, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 3)
    first = [client.upload(REPO) for _ in range(3)]
    refused = client.ask("POST", f"/v2/{REPO}/blobs/uploads/")
    assert (refused.status, refused.code) == (429, "TOOMANYREQUESTS")
    assert int(refused.headers["retry-after"]) > 0
    monkeypatch.setattr(uploads, "FORGOTTEN", 0)
    client.upload(REPO)
    assert [client.get(where).status for where in first] == [404, 404, 404]
    assert len(list((folder / "uploads").iterdir())) == 1


@contextmanager
def half_sent(client: Client, monkeypatch: pytest.MonkeyPatch, method: str, where: str) -> Iterator[threading.Event]:
    """A request of which ``first`` has arrived; ``second`` comes once the event is set. Nobody waits for it in between."""
    go_on = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"first "
        go_on.wait()  # set at the end of the block in any case
        yield b"second"

    sender = threading.Thread(target=client.ask, args=(method, where, slowly()))
    sender.start()
    with monkeypatch.context() as patched:
        patched.setattr(api, "BUSY", 0)
        while client.get(where.partition("?")[0]).headers["range"] != "0-5":
            pass
    try:
        yield go_on
    finally:
        go_on.set()
        sender.join()


def test_two_requests_do_not_mix_in_one_upload(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    where = client.upload(REPO)
    with half_sent(client, monkeypatch, "PATCH", where):
        monkeypatch.setattr(api, "BUSY", 0.2)
        refused = client.ask("PATCH", where, b"other")
        assert (refused.status, refused.code) == (416, "BLOB_UPLOAD_INVALID")
    assert client.ask("PUT", f"{where}?digest={WHOLE}", b"").status == 201


@pytest.mark.parametrize(("method", "query", "told"), [("PATCH", "", (204, "0-11")), ("PUT", f"?digest={WHOLE}", (404, None))])
def test_what_is_there_is_said_once_the_request_under_way_has_ended(
    client: Client, monkeypatch: pytest.MonkeyPatch, method: str, query: str, told: tuple[int, str | None]
) -> None:
    where = client.upload(REPO)
    with half_sent(client, monkeypatch, method, where + query) as go_on:
        threading.Timer(0.2, go_on.set).start()
        said = client.get(where)
        assert (said.status, said.headers.get("range")) == told


def test_a_full_disk_is_507_and_the_registry_goes_on(folder: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path; from bundler.serving.server import Server\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "server = Server(Path(sys.argv[1])); print(server.url, flush=True); server.serve_forever()"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        client, large = Client(process.stdout.readline().strip()), bytes(2 << 20)
        refused = client.ask("POST", f"/v2/{REPO}/blobs/uploads/?digest={Digest.of(large)}", large)
        assert (refused.status, refused.json["errors"][0]["message"]) == (507, "no space is left")
        where = client.upload(REPO)
        assert client.ask("PATCH", where, large).status == 507
        assert client.get(where).status == 404
        assert client.head(f"/v2/{REPO}/blobs/{Digest.of(large)}").status == 404
        assert list((folder / "uploads").iterdir()) == []
        client.blob(REPO, DATA)
    finally:
        process.kill()
        process.communicate()


def test_a_disk_that_fails_is_500_and_told(folder: Path) -> None:
    lines: list[str] = []
    with Server(folder, log=lines.append) as server:
        shutil.rmtree(folder / "uploads")
        assert Client(server.url).ask("POST", f"/v2/{REPO}/blobs/uploads/").status == 500
        assert Client(server.url).get("/v2/").status == 200
    assert any("the disk" in line for line in lines)


def test_a_bug_is_500_told_and_harms_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(Storage, "names", lambda self: 1 / 0)
    with Server(folder, log=lines.append) as server:
        assert Client(server.url).get("/v2/_catalog").status == 500
        assert Client(server.url).get("/v2/").status == 200
    assert any("ZeroDivisionError" in line for line in lines)


def test_content_that_the_disk_lost_is_404(client: Client, folder: Path) -> None:
    digest = client.blob(REPO, DATA)
    (folder / "blobs/sha256" / digest.encoded).unlink()
    assert client.get(f"/v2/{REPO}/blobs/{digest}").status == 404
    assert client.blob(REPO, DATA) == digest
    assert client.get(f"/v2/{REPO}/blobs/{digest}").body == DATA
