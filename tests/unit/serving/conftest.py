"""A served folder, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.serving.server import Server
from tests.support.client import Client
from tests.support.layouts import Content


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with Server(folder) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Client:
    return Client(server.url)


@pytest.fixture
def content() -> Content:
    return Content()
