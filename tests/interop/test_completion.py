"""Completion as a person has it: typed into bash, zsh and fish at a terminal, with what docs/howto/completion.md says to write."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, Page
from tests.interop import peers as real

PAGE = Page.read(ROOT / "docs/howto/completion.md")
SHELLS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"], "fish": ["--no-config", "-i"]}
BEGINNING = "\x01"  # Ctrl-A: to the line's beginning

Typed = Callable[[str], str]


@contextmanager
def at(shell: str, folder: Path) -> Iterator[Typed]:
    """A shell at a terminal of its own: gives what a line has become when its Tabs were pressed."""
    program = real.program(shell)
    folder.mkdir()
    (folder / "oci-bundler").write_text(f'#!/bin/sh\nexec {sys.executable} -m bundler "$@"\n')
    (folder / "oci-bundler").chmod(0o755)
    here = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb", "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    controller, side = pty.openpty()
    with subprocess.Popen(
        ["setsid", "--ctty", program, *SHELLS[shell]], stdin=side, stdout=side, stderr=side, env=here, cwd=folder
    ) as process:
        os.close(side)
        seen = b""

        def until(wanted: str) -> str:
            nonlocal seen
            while not (got := re.search(wanted, seen.decode("utf-8", "replace"))):
                seen += os.read(controller, 65536)
            seen = b""
            return got[1]

        def typed(line: str) -> str:
            os.write(controller, f"{line}{BEGINNING}echo became= \r".encode())
            return until(r"\nbecame= ([^\r\n]*?) *\r?\n")

        try:
            [setup] = PAGE.blocks("sh" if shell == "bash" else shell)
            os.write(controller, f"{setup.rstrip()}\r".encode())
            yield typed
        finally:
            process.kill()
    os.close(controller)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_commands_options_values_and_files(shell: str, tmp_path: Path) -> None:
    with at(shell, tmp_path / "home") as typed:
        (tmp_path / "home" / "release.oci.tar.zst").write_bytes(b"")
        assert typed("oci-bundler imp\t") == "oci-bundler import"
        assert typed("oci-bundler tru\tche\t") == "oci-bundler trust check"
        assert typed("oci-bundler import --dr\t") == "oci-bundler import --dry-run"
        assert typed("oci-bundler export --platform linux/amd\t") == "oci-bundler export --platform linux/amd64"
        assert typed("oci-bundler inspect --color al\t") == "oci-bundler inspect --color always"
        assert typed("oci-bundler verify rel\t") == "oci-bundler verify release.oci.tar.zst"
        assert typed("oci-bundler import rel\t") == "oci-bundler import release.oci.tar.zst"
