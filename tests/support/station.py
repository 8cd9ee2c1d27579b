"""A crossing to test with: a connected registry, an isolated one, keys, a trust folder, and the command between them.

Everything runs in this process and is real: the command as a person types it, registries over sockets, files on a disk.

    with Crossing(tmp_path) as crossing:
        app = crossing.signed_image("team/app")
        bundle = crossing.export(app)
        assert crossing.run("import", bundle, crossing.there.host).exit == 0
"""

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from bundler.cli.main import main
from bundler.content.registry.client import Registry, Repository
from bundler.content.registry.http import Access
from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.serving.exchange import RefusedError, Request, Response
from bundler.serving.server import Server
from tests.support import signing
from tests.support.layouts import Content, push, push_with_evidence
from tests.support.signing import Key

CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
RELEASE = signing.P256
"""Signs images, and the station knows it."""
EXPORTER = signing.EXPORTER
STRANGER = signing.OTHER


# --- the command ---


@dataclass(frozen=True)
class Ran:
    """How a run of the command ended, as whoever called it sees it."""

    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)

    @property
    def code(self) -> str:
        """The reason code of a run that ended in an error."""
        code: str = self.json["error"]["code"]
        return code

    @property
    def said(self) -> str:
        """What came on stdout, as if the screen were wide enough for every line."""
        return " ".join(self.out.split())

    @property
    def first(self) -> str:
        """The first line of the answer."""
        return self.out.partition("\n")[0]


def run(*words: object, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
    """``oci-bundler`` with these words, in this process, with no terminal in sight."""
    out, err = io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(stream, encoding="utf-8", write_through=True) for stream in (out, err)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]), _stdin(stdin), _environment(env or {}):
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            code = end.code
    assert isinstance(code, int)
    return Ran(code, out.getvalue().decode(), err.getvalue().decode())


def spawned(*words: object, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
    """The command in a process of its own, for what only a process can show."""
    command = [sys.executable, "-m", "bundler", *map(str, words)]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    process: subprocess.Popen[bytes] = subprocess.Popen(command, env={**os.environ, **(env or {})}, **pipes)
    return process


def ran(process: subprocess.Popen[bytes]) -> Ran:
    out, err = process.communicate(timeout=120)
    return Ran(process.returncode, (out or b"").decode(), (err or b"").decode())


@contextmanager
def _stdin(data: bytes) -> Iterator[None]:
    kept, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    try:
        yield
    finally:
        sys.stdin = kept


@contextmanager
def _environment(names: Mapping[str, str]) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ.update(names)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


# --- registries ---


class Watched(Server):
    """The embedded registry, of which a test sees every request, and may refuse some or answer otherwise.

    Without ``referrers_api`` it is as distribution 2.8: nothing lists referrers, and nothing says that it would.
    """

    def __init__(self, folder: Path, *, referrers_api: bool = True) -> None:
        super().__init__(folder)
        self.asked: list[str] = []
        self.clients = ExitStack()
        self.referrers_api = referrers_api
        self.before: Callable[[Request], Response | None] = lambda _: None
        """Sees each request first; may answer it, raise RefusedError, or end the process that asks."""
        self.after: Callable[[Request, Response], bytes | None] = lambda _request, _answer: None
        """Sees each answer last; may give it another body."""
        self.strict_about_children = False
        """Whether an index is refused of which a child is not there, as distribution does."""

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    @property
    def changes(self) -> list[str]:
        """The requests that would change something."""
        return [line for line in self.asked if line.partition(" ")[0] in CHANGES]

    @property
    def named(self) -> list[str]:
        """Those of them that name something: all but the sending of blobs, which a damaged bundle may leave."""
        return [line for line in self.changes if "/blobs/uploads/" not in line]

    def answer(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.path}")
        if (said := self.before(request)) is not None:
            return said
        if not self.referrers_api and "/referrers/" in request.path:
            raise RefusedError(404, "UNSUPPORTED", "page not found")
        if self.strict_about_children and request.method == "PUT" and "/manifests/" in request.path:
            request = self._with_children(request)
        answer = super().answer(request)
        hidden = set() if self.referrers_api else {"OCI-Subject"}
        kept = {name: value for name, value in answer.headers.items() if name not in hidden}
        body = self.after(request, answer)
        if body is None:
            return Response(answer.status, kept, answer.body, answer.offset, answer.count)
        if not isinstance(answer.body, bytes):
            answer.body.close()
        return Response(answer.status, kept, body)

    def _with_children(self, request: Request) -> Request:
        raw = b"".join(bytes(piece) for piece in request.body)
        for child in Document.parse(raw).children:
            where = request.path.rpartition("/")[0]
            there = super().answer(replace(request, method="HEAD", path=f"{where}/{child.digest}"))  # refused, if it is not there
            if not isinstance(there.body, bytes):
                there.body.close()
        return replace(request, body=_Read(raw))  # type: ignore[arg-type]  # all that is asked of it

    def say(self, headers: Mapping[str, str]) -> None:
        """Let every answer have these headers too."""
        answer = self.answer

        def more(request: Request) -> Response:
            said = answer(request)
            return replace(said, headers={**said.headers, **headers})

        self.answer = more  # type: ignore[method-assign]  # it is a test's own registry

    def forget(self, name: str, digest: Digest) -> None:
        """Lose a blob, as a garbage collector does."""
        path = f"/v2/{name.partition('/')[2]}/blobs/{digest}"
        super().answer(Request("DELETE", path, {}, {}, _Read(b""), hosts=("localhost",), client="127.0.0.1", local="127.0.0.1"))  # type: ignore[arg-type]

    def refuse(self, status: int, code: str, message: str = "no", *, when: Callable[[Request], bool], times: int = 1_000_000) -> None:
        """Refuse the next so many requests of which ``when`` is true."""
        left = [times]

        def before(request: Request) -> None:
            if when(request) and left[0]:
                left[0] -= 1
                raise RefusedError(status, code, message)

        self.before = before

    def answer_with(self, path: str, body: bytes, media_type: str, *, digest: str | None = None) -> None:
        """Answer this to every GET of ``path``."""
        headers = {"Content-Type": media_type} | ({"Docker-Content-Digest": digest} if digest else {})
        self.before = lambda request: Response(200, headers, body) if request.path == path else None

    def cut(self, path: str, body: bytes = b'{"schemaVersion":2') -> None:
        """Answer every GET of ``path`` with a body that ends early."""

        def half(request: Request) -> Response | None:
            if request.path != path:
                return None
            file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
            file.write(body)
            file.flush()
            return Response(200, {"Content-Type": mediatype.OCI_MANIFEST}, file, 0, 2 * len(body))

        self.before = half

    def repository(self, path: str) -> Repository:
        """As this project's own client sees it, until the server ends."""
        return self.clients.enter_context(Registry(self.host, Access(plain_http=True))).repository(path, push=True)

    def close(self) -> None:
        self.clients.close()
        super().close()


@dataclass
class _Read:
    """The body of a request that was read already."""

    data: bytes

    @property
    def length(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[memoryview]:
        yield memoryview(self.data)


# --- both sides ---


@dataclass(frozen=True)
class Image:
    """An image at the connected registry."""

    reference: str
    root: Document

    @property
    def path(self) -> str:
        return self.reference.partition("/")[2].partition(":")[0].partition("@")[0]


@dataclass
class Crossing:
    """Two registries and what lies between. A context: leaving it ends them."""

    folder: Path
    referrers_here: bool = True
    referrers_there: bool = True
    content: Content = field(default_factory=Content)

    def __post_init__(self) -> None:
        self._running = ExitStack()
        self.here = Watched(self.folder / "here", referrers_api=self.referrers_here)
        self.there = Watched(self.folder / "there", referrers_api=self.referrers_there)
        self.trust = write_trust(self.folder / "trust", rules=[signing.rule(RELEASE, scope="**")], seals=[signing.seal(EXPORTER)])
        self.keys = {name: write_key(self.folder / f"{name}.key", key) for name, key in _KEYS.items()}

    def __enter__(self) -> "Crossing":
        self._running.enter_context(self.here)
        self._running.enter_context(self.there)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    # --- the connected side ---

    def push(self, document: Document, name: str = "team/app:v1", *, evidence: bool = True) -> Image:
        """``document`` at the connected registry, with all the evidence that there is."""
        path, _, tag = name.partition(":")
        (push_with_evidence if evidence else push)(self.here.repository(path), self.content, document, tag=tag or None)
        return Image(f"{self.here.host}/{path}" + (f":{tag}" if tag else f"@{document.digest}"), document)

    def signed_image(self, name: str = "team/app:v1", key: Key = RELEASE, words: str = "words") -> Image:
        """An image with a ``.sig`` by ``key`` and nothing else."""
        return self.push(self.sign(self.content.image(words), key), name)

    def sign(self, document: Document, key: Key = RELEASE) -> Document:
        """A ``.sig`` for ``document`` among what will be pushed."""
        self.content.sig(document.digest, signing.signed(document, key))
        return document

    def attach(self, subject: Document, key: Key = RELEASE) -> Document:
        """A Sigstore bundle by ``key`` that refers to ``subject``."""
        return self.content.bundle(
            subject, json.dumps(signing.bundle(signing.dsse(subject, key), key)).encode(), predicate_type=signing.SIGN
        )

    def export(self, *images: Image | str, to: str = "app.oci.tar.zst", flags: Iterable[object] = ()) -> Path:
        """A bundle that the exporter sealed, of images that nobody checked here."""
        bundle = self.folder / to
        done = run(
            "export", *(i if isinstance(i, str) else i.reference for i in images), "-o", bundle, "--key", self.keys["exporter"], *flags
        )
        assert done.exit == 0, done.err
        return bundle

    # --- the isolated side ---

    def run(self, *words: object, **how: Any) -> Ran:
        """The command with this station's trust."""
        return run(*words, "--trust", self.trust, **how)

    def import_(self, bundle: Path, *flags: object, prefix: str = "") -> Ran:
        return self.run("import", bundle, f"{self.there.host}/{prefix}".rstrip("/"), *flags)

    def station(self, name: str = "plant-7") -> Path:
        """The folder of a station that has accepted nothing."""
        folder = self.folder / f"station-{name}"
        done = run("station", "init", folder, "--name", name)
        assert done.exit == 0, done.err
        return folder

    def arrived(self, image: Image, prefix: str = "") -> Repository:
        """The repository that ``image`` goes to where nothing is mapped."""
        return self.there.repository(self.arrived_at(image, prefix))

    def arrived_at(self, image: Image, prefix: str = "") -> str:
        """The path of that repository."""
        return f"{prefix}/{self.here.host.replace(':', '-')}/{image.path}".lstrip("/")


_KEYS = {"release": RELEASE, "exporter": EXPORTER, "stranger": STRANGER}


def write_key(path: Path, key: Key, *, passphrase: str | None = None) -> Path:
    """The private key as ``keygen`` writes it, and its public half beside it."""
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.touch(mode=0o600)
    path.write_bytes(key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    path.with_suffix(".pub").write_bytes(key.pem)
    return path


def write_trust(folder: Path, *, rules: Iterable[Mapping[str, Any]] = (), seals: Iterable[Mapping[str, Any]] = ()) -> Path:
    """A trust folder of these rules and seals, as :func:`tests.support.signing.rule` and ``seal`` make them."""
    (folder / "keys").mkdir(parents=True, exist_ok=True, mode=0o700)
    text = signing.toml(*rules, seals=list(seals))
    (folder / "trust.toml").write_bytes(text)
    for name, pem in signing.FILES.items():
        if name.encode() in text:
            (folder / name).write_bytes(pem)
    return folder


# --- what a registry holds ---


def tags_of(repository: Repository) -> dict[str, Digest]:
    """What each tag names."""
    named = {tag: repository.document(tag) for tag in repository.tags()}
    return {tag: document.digest for tag, document in named.items() if document is not None}


def faults(repository: Repository) -> list[str]:
    """What is half-visible in a repository: names of what is not whole, down to the last blob."""
    return [f"{tag}: {fault}" for tag in repository.tags() for fault in _faults_below(repository, tag)]


def _faults_below(repository: Repository, name: str | Digest) -> Iterator[str]:
    document = repository.document(name)
    if document is None:
        yield f"{name} is not there"
        return
    for blob in document.blobs:
        if not blob.foreign and not repository.has(blob):
            yield f"{document.digest} lacks the blob {blob.digest}"
    for child in document.children:
        yield from _faults_below(repository, child.digest)
