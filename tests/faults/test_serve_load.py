"""Many clients at once, and the process killed under them: nothing half-visible, nothing lost that was answered 201."""

import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.support.load import Ledger, faults, kill, served, work

pytestmark = pytest.mark.slow


def test_many_clients_push_pull_and_delete_at_once(tmp_path: Path) -> None:
    ledger, folder = Ledger(), tmp_path / "registry"
    with served(folder) as (url, _):
        while len(ledger.manifests) <= 16:
            work(url, ledger, clients=16, seconds=1.5)
    assert faults(folder, ledger) == []


def kill_in_the_middle(process: subprocess.Popen[str], ledger: Ledger, requests: int) -> None:
    """Once so many were answered, however long that takes; if the server ended by itself there is nothing to wait for."""
    while ledger.requests < requests and process.poll() is None:
        time.sleep(0.01)
    kill(process)


def test_killed_under_them_it_lost_nothing_and_shows_nothing_half(tmp_path: Path) -> None:
    ledger, folder = Ledger(), tmp_path / "registry"
    for _ in range(3):
        with served(folder) as (url, process):
            killer = threading.Thread(target=kill_in_the_middle, args=(process, ledger, ledger.requests + 300))
            killer.start()
            work(url, ledger, clients=16, seconds=240)
            killer.join()
    assert len(ledger.manifests) > 16
    assert faults(folder, ledger) == []
