"""Many clients at once, and the process killed under them: nothing half-visible, nothing lost that was answered 201."""

import threading
from pathlib import Path

import pytest

from tests.support.load import Ledger, faults, kill, served, work

pytestmark = pytest.mark.slow


def test_many_clients_push_pull_and_delete_at_once(tmp_path: Path) -> None:
    ledger, folder = Ledger(), tmp_path / "registry"
    with served(folder) as (url, _):
        work(url, ledger, clients=16, seconds=1.5)
    assert len(ledger.manifests) > 16
    assert faults(folder, ledger) == []


def test_killed_under_them_it_lost_nothing_and_shows_nothing_half(tmp_path: Path) -> None:
    ledger, folder = Ledger(), tmp_path / "registry"
    for _ in range(3):
        with served(folder) as (url, process):
            threading.Timer(0.7, kill, [process]).start()
            work(url, ledger, clients=16, seconds=20)
    assert len(ledger.manifests) > 16
    assert faults(folder, ledger) == []
