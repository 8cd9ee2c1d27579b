"""How often a real registry is asked for one small signed image, counted by a proxy in between."""

import http.client
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bundler.content.registry.client import Registry
from bundler.content.registry.http import Access
from tests.interop import peers as real
from tests.support.layouts import push_with_evidence
from tests.support.station import Crossing

Count = Callable[[str], AbstractContextManager[tuple[str, list[str]]]]
ONCE_A_RUN = 1  # GET /v2/, by which a registry of this machine is found to speak http


@pytest.fixture
def counted() -> Count:
    """A host before the given one, and every question that goes through it."""

    @contextmanager
    def between(host: str) -> Iterator[tuple[str, list[str]]]:
        asked: list[str] = []

        class Forward(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def forward(self) -> None:
                asked.append(f"{self.command} {self.path}")
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                with closing(http.client.HTTPConnection(host, timeout=120)) as behind:
                    behind.request(self.command, self.path, body=body or None, headers=dict(self.headers.items()))
                    said = behind.getresponse()
                    data = said.read()
                    self.send_response_only(said.status)
                    for name, value in said.getheaders():
                        if name.lower() not in {"connection", "transfer-encoding"}:
                            self.send_header(name, value)
                    if said.getheader("Content-Length") is None:
                        self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                self.wfile.write(data)

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = forward  # noqa: N815 - the library calls them so

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Forward)
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return between


@pytest.mark.parametrize(
    ("registry", "most"),  # questions out, in, and in again
    [
        ("docker_registry", (15, 16, 2)),  # each small blob takes two: distribution begins an upload whatever it is sent
        ("distribution", (15, 16, 2)),
        ("olareg", (16, 12, 2)),  # lists referrers, so each manifest's are asked for; takes small blobs at once
        ("embedded", (16, 16, 2)),  # does not say that it looks for the blobs of a manifest, so they are asked for at the end
    ],
    indirect=["registry"],
)
def test_a_small_signed_image_takes_few_questions(
    registry: real.Registry, repository: str, counted: Count, tmp_path: Path, most: tuple[int, int, int]
) -> None:
    with Crossing(tmp_path) as crossing, counted(registry.host) as (host, asked):
        image = crossing.sign(crossing.content.image())
        with Registry(registry.host, Access(plain_http=True)) as source:
            push_with_evidence(source.repository(repository, push=True), crossing.content, image, tag="v1")
        bundle = crossing.export(f"{host}/{repository}:v1")
        assert len(asked) <= most[0] + ONCE_A_RUN, asked
        for number in most[1:]:
            asked.clear()
            ran = crossing.run("import", bundle, f"{host}/into")
            assert ran.exit == 0, ran.err
            assert len(asked) <= number + ONCE_A_RUN, asked
