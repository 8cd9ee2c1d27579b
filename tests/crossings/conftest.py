"""Both sides of an air gap, for each test its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.content.registry import session
from tests.support.station import Crossing


@pytest.fixture
def crossing(tmp_path: Path) -> Iterator[Crossing]:
    with Crossing(tmp_path) as running:
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may pass is tried again as often as ever, at once."""
    monkeypatch.setattr(session, "FIRST_WAIT", 0.001)
