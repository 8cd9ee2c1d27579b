"""Appends to journals, each time in a process of its own, in which the k-th write, fsync or rename goes wrong.

    with Appender.opened() as appender:
        ended = appender.append(folder, [b"entry"], Fault("sync", "kill", 3))

As a program (``python -m tests.support.appending``) it is the process that has all loaded already, and whose forks append.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundler.errors import BundlerError
from tests.support import journals
from tests.support.faults import Fault, Saboteur


@dataclass(frozen=True)
class Ended:
    """How it ended: exit code or negative signal, whether the fault came, and for each entry its index, or the code of the error."""

    exit: int
    fired: bool
    said: list[int | str]

    @property
    def reported(self) -> list[int]:
        """The indexes that somebody was told."""
        return [each for each in self.said if isinstance(each, int)]


@dataclass
class Appender:
    """One process at a time."""

    process: subprocess.Popen[str]

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator["Appender"]:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-m", "tests.support.appending"]
        with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
            yield cls(process)
            assert process.stdin
            process.stdin.close()

    def append(self, folder: Path, entries: Sequence[bytes], fault: Fault) -> Ended:
        assert self.process.stdin
        assert self.process.stdout
        told = [str(folder), [entry.decode() for entry in entries], [fault.kind, fault.how, fault.at]]
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        exit_code, said = json.loads(self.process.stdout.readline())
        return Ended(exit_code, exit_code < 0 or "fired" in said, [each for each in said if each not in ("fired", "quiet")])


def main() -> None:
    """Reads what to append, a line each; says how each ended."""
    for line in sys.stdin:
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            _append(json.loads(line), theirs)
        os.close(theirs)
        with os.fdopen(ours, "rb") as pipe:
            said = [json.loads(each) for each in pipe.read().splitlines()]
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert ended in (0, -signal.SIGKILL), ended
        print(json.dumps([ended, said]), flush=True)  # noqa: T201 - the answer


def _append(told: Any, report: int) -> None:
    folder, entries, fault = told
    saboteur = Saboteur(Fault(*fault))
    write, leave = os.write, os._exit

    def say(what: int | str) -> None:
        write(report, json.dumps(what).encode() + b"\n")

    saboteur.install()
    code = 1
    try:
        journal = journals.opened(Path(folder))
        for entry in entries:
            try:
                say(journal.append(entry.encode()).index)
            except BundlerError as error:
                say(str(error.code))
        code = 0
    except BundlerError as error:
        say(str(error.code))
        code = 0
    finally:
        say("fired" if saboteur.fired else "quiet")
        leave(code)


if __name__ == "__main__":
    main()
