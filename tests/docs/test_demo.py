"""scripts/demo: each step fits a screen, and shows what it does by which trust."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

SCREEN = (24, 80)
ENTERS = ("$ oci-bundler import ", "$ oci-bundler verify ")


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """What the demo prints between its lines, by line."""
    folder: Path = tmp_path_factory.mktemp("demo")
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    command: list[str | Path] = [sys.executable, ROOT / "scripts/demo"]
    ran = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return [step.strip().splitlines() for step in ran.stdout.split("─" * SCREEN[1])]


@pytest.mark.slow
def test_a_step_of_the_demo_fits_a_screen(steps: list[list[str]]) -> None:
    assert len(steps) == 9
    assert not [step for step in steps if len(step) > SCREEN[0]]
    wide = [line for step in steps for line in step if len(line) > SCREEN[1]]
    assert not [line for line in wide if not re.search("sha256:[0-9a-f]{64}", line)]  # a digest in full has 71 of the columns


@pytest.mark.slow
def test_each_command_of_the_demo_that_lets_in_names_the_trust_that_it_judges_by(steps: list[list[str]]) -> None:
    whole = "\n".join(line for step in steps for line in step).replace(" \\\n   ", "")
    judging = [line for line in whole.splitlines() if line.startswith(ENTERS)]
    assert len(judging) == 4
    assert all(line.endswith(" --trust trust") for line in judging)


@pytest.mark.slow
def test_the_demo_refuses_twice_and_lets_in_once(steps: list[list[str]]) -> None:
    text = "\n".join(line for step in steps for line in step)
    assert text.count("(exit code ") == 2
    assert "(exit code 5)" in text
    assert text.count("REFUSED") >= 1
    assert text.count("PASSED") >= 2
