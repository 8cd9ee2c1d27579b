"""A client of a registry that hides nothing of HTTP."""

import http.client
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support.layouts import Content


@dataclass(frozen=True)
class Answered:
    """What a client sees; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The first error code (distribution-spec, "Error Codes")."""
        code: str = self.json["errors"][0]["code"]
        return code


class Client:
    """Asks one server, a connection for each request."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc

    def ask(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, headers: Mapping[str, str] | None = None
    ) -> Answered:
        with closing(http.client.HTTPConnection(self.host, timeout=120)) as connection:
            chunked = body is not None and not isinstance(body, bytes)
            connection.request(method, path, body=body, headers=dict(headers or {}), encode_chunked=chunked)
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(answer.status, told, answer.read())

    def get(self, path: str, **headers: str) -> Answered:
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def head(self, path: str) -> Answered:
        return self.ask("HEAD", path)

    def delete(self, path: str) -> Answered:
        return self.ask("DELETE", path)

    # --- pushing ---

    def upload(self, repository: str) -> str:
        """The location of a new upload."""
        begun = self.ask("POST", f"/v2/{repository}/blobs/uploads/", headers={"Content-Length": "0"})
        assert begun.status == 202
        return begun.headers["location"]

    def blob(self, repository: str, data: bytes, *, algorithm: str = "sha256") -> Digest:
        digest = Digest.of(data, algorithm=algorithm)
        assert self.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data).status == 201
        return digest

    def put(self, repository: str, name: str | Digest, document: Document) -> Answered:
        """A manifest, under the media type it has."""
        return self.ask("PUT", f"/v2/{repository}/manifests/{name}", document.raw, {"Content-Type": document.descriptor.media_type})

    def push(self, repository: str, content: Content, document: Document, *, tag: str | None = None) -> Document:
        """The document with all that it leads to."""
        for each in content.below(document):
            for blob in each.blobs:
                if blob.digest in content.blobs:
                    self.blob(repository, content.blobs[blob.digest], algorithm=blob.digest.algorithm)
            name = tag if tag and each is document else each.digest
            assert self.put(repository, name, each).status == 201
        return document
