"""A server that answers as a test wants, and the repository ``app`` of it as the client sees it: fixtures, for a conftest to import."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bundler.content.registry.client import Registry, Repository
from bundler.content.registry.http import Access
from bundler.content.registry.wire import Patience
from bundler.errors import BundlerError
from tests.support.hostile_registry import MOST, HostileRegistry

PATIENT = Patience(connect=MOST, idle=MOST, answer=MOST, commit=MOST, window=MOST)
"""For sides that answer: a busy machine may let them wait for long, and a test that passes never reaches it."""

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

        def repository(
            host: HostileRegistry | str,
            path: str = "app",
            *,
            push: bool = False,
            clock: Callable[[], float] = time.monotonic,
            **access: Any,
        ) -> Repository:
            flags: dict[str, Any] = {"plain_http": True, "patience": PATIENT, "certs_folders": ()} | access
            name = host if isinstance(host, str) else host.host
            registry = registries.enter_context(Registry(name, Access(**flags), sleep=waits.append, clock=clock))
            return registry.repository(path, push=push)

        yield repository


def fails(ask: Callable[[], object]) -> BundlerError:
    with pytest.raises(BundlerError) as caught:
        ask()
    return caught.value
