"""Many clients on one embedded registry, and what must be true of its folder whenever and however it ended.

Each client pushes blobs in every way there is, images, referrers and tags, pulls what others pushed, and deletes some
of its own; it notes what was answered, and what was asked and never answered.
"""

import hashlib
import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bundler.oci import mediatype
from tests.support.client import Client

REPOSITORIES = 8  # shared by all clients, so that they meet
SIZES = (0, 100, 5_000, 300_000)

_PROGRAM = (
    "import signal, sys; from pathlib import Path; from bundler.serving.server import Server\n"
    "server = Server(Path(sys.argv[1]))\n"
    "signal.signal(signal.SIGTERM, lambda *_: server.stop())\n"
    "print(server.url, flush=True); server.serve_forever()"
)


@dataclass
class Ledger:
    """What the clients were told. An unanswered request may have been done or not."""

    blobs: set[tuple[str, str]] = field(default_factory=set)
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    tags: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """For each tag of one client's own the digests that it may have now."""
    deleted: set[tuple[str, str]] = field(default_factory=set)
    unsure: set[tuple[str, str]] = field(default_factory=set)
    """Manifests whose deletion was not answered."""
    referrers: dict[tuple[str, str], str] = field(default_factory=dict)
    requests: int = 0
    sent: int = 0
    received: int = 0
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The registry in a process of its own, which can be killed; its url."""
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


def work(url: str, ledger: Ledger, *, clients: int, seconds: float) -> None:
    """Let the clients work until the time is over or the server is gone."""
    stop = threading.Event()
    threads = [threading.Thread(target=_Pusher(url, ledger, n, stop).work) for n in range(clients)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    stop.set()
    for thread in threads:
        thread.join()


def faults(folder: Path, ledger: Ledger) -> list[str]:
    """What is lost or half-visible in the folder, asked of a registry that begins anew on it."""
    found = list(ledger.wrong)
    with served(folder) as (url, _):
        client = Client(url)
        found += _lost(client, ledger)
        found += _half(client)
    found += [f"{path} is not what its name says" for path in (folder / "blobs").rglob("*") if path.is_file() and not _as_named(path)]
    return found + [f"{path} is left" for path in (folder / "uploads").iterdir()]


def _lost(client: Client, ledger: Ledger) -> Iterator[str]:
    for repository, digest in ledger.blobs:
        got = client.get(f"/v2/{repository}/blobs/{digest}")
        if got.status != 200 or _digest(got.body) != digest:
            yield f"blob {repository}@{digest} is lost: {got.status}"
    for (repository, digest), raw in ledger.manifests.items():
        gone = (repository, digest) in ledger.deleted
        got = client.get(f"/v2/{repository}/manifests/{digest}")
        if gone and got.status != 404:
            yield f"deleted {repository}@{digest} came back"
        if not gone and (repository, digest) not in ledger.unsure and (got.status, got.body) != (200, raw):
            yield f"manifest {repository}@{digest} is lost: {got.status}"
        subject = ledger.referrers.get((repository, digest))
        if subject and got.status == 200 and digest not in _referrers(client, repository, subject):
            yield f"referrer {repository}@{digest} is not listed"
    for (repository, tag), digests in ledger.tags.items():
        got = client.get(f"/v2/{repository}/manifests/{tag}")
        held = _digest(got.body) if got.status == 200 else ""
        if held not in digests:
            yield f"tag {repository}:{tag} holds {held or got.status}, not one of {digests}"


def _half(client: Client) -> Iterator[str]:
    """Whatever can be seen is whole: tags name manifests, manifests' blobs are there, lists hold what exists."""
    for repository in client.get("/v2/_catalog").json["repositories"]:
        listed = client.get(f"/v2/{repository}/tags/list")
        for tag in listed.json["tags"] if listed.status == 200 else []:
            got = client.get(f"/v2/{repository}/manifests/{tag}")
            if got.status != 200 or _digest(got.body) != got.headers["docker-content-digest"]:
                yield f"tag {repository}:{tag} names nothing whole: {got.status}"
                continue
            members = json.loads(got.body)
            for blob in [members["config"], *members["layers"]]:
                if client.head(f"/v2/{repository}/blobs/{blob['digest']}").status != 200:
                    yield f"{repository}:{tag} lacks {blob['digest']}"
            for referrer in _referrers(client, repository, got.headers["docker-content-digest"]):
                if client.head(f"/v2/{repository}/manifests/{referrer}").status != 200:
                    yield f"{repository} lists the referrer {referrer}, and does not have it"


def _referrers(client: Client, repository: str, subject: str) -> set[str]:
    return {entry["digest"] for entry in client.get(f"/v2/{repository}/referrers/{subject}").json["manifests"]}


def _as_named(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, path.parent.name).hexdigest() == path.name


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class _Pusher:
    """One client: a connection that it keeps, and a tag of its own in each repository."""

    def __init__(self, url: str, ledger: Ledger, number: int, stop: threading.Event) -> None:
        self._host = urlsplit(url).netloc
        self._ledger = ledger
        self._number = number
        self._stop = stop
        self._random = random.SystemRandom()
        self._mine: list[tuple[str, str]] = []

    def work(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=120)
        try:
            while not self._stop.is_set():
                self._once(connection)
        except (OSError, http.client.HTTPException):
            self._stop.set()  # the server is gone
        except Exception as error:  # noqa: BLE001 - whatever it is, the ledger shall say it
            self._say(f"client {self._number}: {error!r}")
        finally:
            connection.close()

    def _once(self, connection: http.client.HTTPConnection) -> None:
        repository = f"load/r{self._random.randrange(REPOSITORIES)}"
        image = self._image(connection, repository, subject=None)
        if self._random.random() < 0.5:
            self._image(connection, repository, subject=image)
        if self._random.random() < 0.3 and self._mine:
            self._delete(connection, *self._mine.pop(0))
        self._pull(connection)

    def _image(self, connection: http.client.HTTPConnection, repository: str, *, subject: dict[str, object] | None) -> dict[str, object]:
        blobs = [self._blob(connection, repository, self._random.choice(SIZES)) for _ in range(2)]
        members: dict[str, object] = {
            "schemaVersion": 2,
            "mediaType": mediatype.OCI_MANIFEST,
            "config": blobs[0] | {"mediaType": mediatype.OCI_CONFIG},
            "layers": [blobs[1] | {"mediaType": "application/vnd.oci.image.layer.v1.tar"}],
        }
        if subject:  # it is deleted once, so it must be pushed once, though all of its blobs may be everybody's
            members |= {"subject": subject, "annotations": {"random": self._random.randbytes(8).hex()}}
        raw = json.dumps(members).encode()
        digest, tag = _digest(raw), f"client-{self._number}"
        if subject:
            self._put(connection, repository, digest, raw)
            with self._ledger.lock:
                self._ledger.referrers[repository, digest] = str(subject["digest"])
            self._mine.append((repository, digest))
        else:
            with self._ledger.lock:
                before = self._ledger.tags.get((repository, tag), {""})
                self._ledger.tags[repository, tag] = before | {digest}
            self._put(connection, repository, tag, raw)
            with self._ledger.lock:
                self._ledger.tags[repository, tag] = {digest}
            self._put(connection, repository, "latest", raw)
        with self._ledger.lock:
            self._ledger.manifests[repository, digest] = raw
        return {"mediaType": mediatype.OCI_MANIFEST, "digest": digest, "size": len(raw)}

    def _blob(self, connection: http.client.HTTPConnection, repository: str, size: int) -> dict[str, object]:
        data = self._random.randbytes(size) if self._random.random() < 0.8 else bytes(size)  # zeros are everybody's
        digest, base = _digest(data), f"/v2/{repository}/blobs/uploads/"
        match self._random.randrange(3):
            case 0:
                self._ask(connection, "POST", f"{base}?digest={digest}", data, 201)
            case 1:
                where = self._ask(connection, "POST", base, b"", 202).headers["Location"]
                self._ask(connection, "PUT", f"{where}?digest={digest}", data, 201)
            case _:
                where = self._ask(connection, "POST", base, b"", 202).headers["Location"]
                half = len(data) // 2
                for piece in (data[:half], data[half:]):
                    self._ask(connection, "PATCH", str(where), piece, 202)
                self._ask(connection, "PUT", f"{where}?digest={digest}", b"", 201)
        with self._ledger.lock:
            self._ledger.blobs.add((repository, digest))
        return {"digest": digest, "size": size}

    def _put(self, connection: http.client.HTTPConnection, repository: str, name: str, raw: bytes) -> None:
        self._ask(connection, "PUT", f"/v2/{repository}/manifests/{name}", raw, 201)

    def _delete(self, connection: http.client.HTTPConnection, repository: str, digest: str) -> None:
        with self._ledger.lock:
            self._ledger.unsure.add((repository, digest))
        self._ask(connection, "DELETE", f"/v2/{repository}/manifests/{digest}", b"", 202)
        with self._ledger.lock:
            self._ledger.deleted.add((repository, digest))

    def _pull(self, connection: http.client.HTTPConnection) -> None:
        with self._ledger.lock:
            repository, digest = self._random.choice(list(self._ledger.blobs))
        body = self._ask(connection, "GET", f"/v2/{repository}/blobs/{digest}", b"", 200).body
        if _digest(body) != digest:
            self._say(f"{repository}@{digest} was given with other bytes")

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes, wanted: int) -> "_Got":
        kind = {"Content-Type": mediatype.OCI_MANIFEST} if "/manifests/" in path else {}
        connection.request(method, path, body=body, headers=kind)
        answer = connection.getresponse()
        got = _Got(answer.headers, answer.read())
        with self._ledger.lock:
            self._ledger.requests += 1
            self._ledger.sent += len(body)
            self._ledger.received += len(got.body)
        if answer.status != wanted:
            self._say(f"{method} {path}: {answer.status} {got.body[:200]!r}")
        return got

    def _say(self, fault: str) -> None:
        with self._ledger.lock:
            self._ledger.wrong.append(fault)


@dataclass(frozen=True)
class _Got:
    headers: http.client.HTTPMessage
    body: bytes


def kill(process: subprocess.Popen[str]) -> None:
    """As a power cut ends it: no handler runs, nothing is flushed by the program."""
    os.kill(process.pid, 9)
    process.wait()
