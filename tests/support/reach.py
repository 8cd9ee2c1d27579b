"""A server that answers as a test wants, and the repository ``app`` of it as the client sees it: fixtures, for a conftest to import."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bundler.content.registry.client import Registry, Repository
from bundler.content.registry.http import Access
from bundler.content.registry.wire import Patience
from bundler.errors import BundlerError
from tests.support.hostile_registry import HostileRegistry

PATIENT = Patience(connect=10, idle=10, answer=20, commit=20, window=10)  # machines that run tests are busy

NOBODY = "127.0.0.1:1"
"""A host where nobody listens: a port that was free a moment ago may be another test's now, this one is no test's."""

Reach = Callable[..., Repository]


@pytest.fixture
def hostile() -> Iterator[Callable[..., HostileRegistry]]:
    with ExitStack() as servers:
        yield lambda **how: servers.enter_context(HostileRegistry(**how))


@pytest.fixture
def server(hostile: Callable[..., HostileRegistry]) -> HostileRegistry:
    return hostile()


@pytest.fixture
def waits() -> list[float]:
    """The seconds that would have been slept between tries."""
    return []


@pytest.fixture
def reach(waits: list[float]) -> Iterator[Reach]:
    with ExitStack() as registries:

        def repository(host: HostileRegistry | str, path: str = "app", *, push: bool = False, **access: Any) -> Repository:
            flags: dict[str, Any] = {"plain_http": True, "patience": PATIENT, "certs_folders": ()} | access
            name = host if isinstance(host, str) else host.host
            registry = registries.enter_context(Registry(name, Access(**flags), sleep=waits.append))
            return registry.repository(path, push=push)

        yield repository


def fails(ask: Callable[[], object]) -> BundlerError:
    with pytest.raises(BundlerError) as caught:
        ask()
    return caught.value
