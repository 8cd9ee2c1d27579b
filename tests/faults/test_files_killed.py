"""A file that a killed run wrote is the old one or the new one."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bundler.content.files import write_whole
from tests.support.files import read

ROOT = Path(__file__).parents[2]

KILLED = """
import os, signal, sys
from pathlib import Path
from bundler.content.files import write_whole

path, replace, step = Path(sys.argv[1]), sys.argv[2] == "replace", int(sys.argv[3])
steps = 0

def die(event, arguments):
    global steps
    if event in ("open", "os.link", "os.rename", "os.remove"):
        steps += 1
        if steps == step:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die)
write_whole(path, b"after" * 100_000, replace=replace)
print("through")
"""


@pytest.mark.parametrize("replace", [False, True])
def test_a_kill_at_any_step_leaves_the_old_or_the_new_and_at_most_a_hidden_file(tmp_path: Path, *, replace: bool) -> None:
    """F-001, F-008."""
    before, after = (b"before" if replace else None), b"after" * 100_000
    for step in range(1, 10):
        folder = tmp_path / str(step)
        folder.mkdir()
        if before:
            (folder / "out").write_bytes(before)
        command = [sys.executable, "-c", KILLED, str(folder / "out"), "replace" if replace else "", str(step)]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        found = read(folder)
        assert found.pop("out", None) in (before, after)
        assert all(name.startswith(".oci-bundler-") for name in found)
        if run.returncode == 0:
            break
        assert run.returncode == -signal.SIGKILL
        write_whole(folder / "out", after, replace=True)
        assert (folder / "out").read_bytes() == after
    else:
        pytest.fail("it is killed each time")
    assert run.stdout == b"through\n"
    assert step >= 4
