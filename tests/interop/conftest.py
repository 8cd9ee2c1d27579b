"""Real registries and programs for the tests of this folder; each is started when the first test asks for it."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.serving.server import Server
from tests.interop import daemons
from tests.interop import peers as real
from tests.interop.images import Layout
from tests.interop.tools import pins

os.environ.setdefault("OCI_BUNDLER_PEERS", str(pins.cache()))  # now, for a test has another home


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> real.Peers:
    """The programs, in a home that nothing else uses."""
    return real.Peers(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def keys(peers: real.Peers) -> real.Keys:
    """A cosign key pair."""
    return real.generate_keys(peers, peers.home)


@pytest.fixture(scope="session")
def notation(peers: real.Peers) -> real.Peers:
    """The programs, after notation was given a key, a certificate, and a policy that trusts it."""
    real.notation_identity(peers)
    return peers


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Registry]:
    with real.docker_registry(tmp_path_factory.mktemp("docker-registry")) as registry:
        yield registry


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Registry]:
    with real.distribution(tmp_path_factory.mktemp("distribution")) as registry:
        yield registry


@pytest.fixture(scope="session")
def olareg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Registry]:
    with real.olareg(tmp_path_factory.mktemp("olareg")) as registry:
        yield registry


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Registry]:
    """Our own, which peers must find to be a registry like the others."""
    with Server(tmp_path_factory.mktemp("embedded") / "registry") as server:
        yield real.Registry("oci-bundler", server.url.removeprefix("http://"), referrers=True)


@pytest.fixture(params=["docker_registry", "distribution", "olareg", "embedded"])
def registry(request: pytest.FixtureRequest) -> real.Registry:
    """Each of the registries in turn."""
    running: real.Registry = request.getfixturevalue(request.param)
    return running


@pytest.fixture(scope="session")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its socket."""
    with daemons.containerd(tmp_path_factory.mktemp("containerd")) as socket:
        yield socket


@pytest.fixture(scope="session")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its socket."""
    with daemons.dockerd(tmp_path_factory.mktemp("dockerd")) as socket:
        yield socket


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """A repository that no other test pushes to."""
    return f"team/{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty OCI image layout."""
    return Layout(tmp_path / "layout")


@pytest.fixture
def predicate(tmp_path: Path) -> Path:
    """A small SPDX document to attest with."""
    path = tmp_path / "sbom.spdx.json"
    path.write_text('{"spdxVersion":"SPDX-2.3","name":"words","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT"}')
    return path
