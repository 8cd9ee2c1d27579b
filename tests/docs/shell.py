"""Runs the shell blocks of a page as a reader would, one after the other in one shell, and compares what they say."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import ROOT, Page

MARK = "\x1e"  # no program prints a record separator


@dataclass(frozen=True)
class Step:
    """A block of commands, and what the page says that they print, if it says it."""

    commands: str
    shown: str | None


def steps(page: Page) -> list[Step]:
    """The ``sh`` blocks of a page, each with the ``text`` block right after it."""
    found: list[Step] = []
    for language, body in page.fenced:
        if language == "sh":
            found.append(Step(body, None))
        elif language == "text" and found:
            found[-1] = Step(found[-1].commands, body)
    return found


def run(commands: list[str], folder: Path, *, env: Mapping[str, str] | None = None, timeout: float = 280) -> list[str]:
    """What each block printed, in one bash that stops at the first failure.

    The command is found as it is after ``make install``. Whatever the blocks started and left running is ended.
    """
    script = "set -euo pipefail\n" + "".join(f"printf '{MARK}'\n{block}\n" for block in commands)
    with (folder.parent / f"{folder.name}-out").open("w+") as out:  # a pipe would stay open as long as what was started
        process = subprocess.Popen(
            ["bash", "-c", script],
            cwd=folder,
            env=environment(folder, env or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        with suppress(subprocess.TimeoutExpired):  # told below, with what was said until then
            process.wait(timeout)
        _end(process)
        out.seek(0)
        printed = out.read().split(MARK)[1:]
    assert process.returncode == 0, f"the shell ended with {process.returncode} in\n{commands[len(printed) - 1]}\nafter\n{printed[-1]}"
    return printed


def environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    """What a reader's shell has after ``make install``: the command on its path, and ``more``."""
    bin_ = folder.parent / f"{folder.name}-bin"
    bin_.mkdir(exist_ok=True)
    command = bin_ / "oci-bundler"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m bundler "$@"\n')
    command.chmod(0o755)
    kept = {name: os.environ[name] for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR")}
    return kept | {"PATH": f"{bin_}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8", "TERM": "dumb"} | dict(more)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def differs(shown: str, printed: str) -> str | None:
    """Where the output is not what the page shows; ``…`` stands for anything in a line, and a line of it for any lines."""
    wanted = [line.strip() for line in shown.strip().splitlines()]
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\s*\n" for line in wanted)
    got = "".join(f"{line.strip()}\n" for line in printed.strip().splitlines())
    if re.fullmatch(pattern, got):
        return None
    return f"the page shows\n{shown}\nand what came was\n{printed}"
