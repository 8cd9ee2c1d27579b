"""What several pages are tried with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.station import Crossing


@pytest.fixture
def crossing(tmp_path: Path) -> Iterator[Crossing]:
    with Crossing(tmp_path / "crossing") as running:
        yield running
