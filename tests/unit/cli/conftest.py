"""Both sides of an air gap, for each test its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.station import Crossing


@pytest.fixture
def crossing(tmp_path: Path) -> Iterator[Crossing]:
    with Crossing(tmp_path) as running:
        yield running
