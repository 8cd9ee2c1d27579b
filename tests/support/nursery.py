"""Processes with the command loaded already: starting one takes milliseconds, so that each of a hundred kills has its own.

with Nursery.opened() as nursery:
    victim = nursery.bear("import", bundle, registry)   # it waits
    exit = nursery.let_run()                            # until it has ended
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_NURSERY = """
import json, os, sys
from bundler.cli.main import main
import bundler.cli.export, bundler.cli.import_, bundler.stations.exporter, bundler.stations.importer, bundler.stations.places
for line in sys.stdin:
    waiting, go = os.pipe()
    child = os.fork()
    if not child:
        os.read(waiting, 1)
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        main(json.loads(line))
    print(child, flush=True)
    sys.stdin.readline()
    os.write(go, b".")
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os.close(waiting)
    os.close(go)
"""


@dataclass
class Nursery:
    """One child at a time."""

    process: subprocess.Popen[str]

    @classmethod
    @contextmanager
    def opened(cls, **environ: str) -> Iterator["Nursery"]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": {**os.environ, **environ}}
        with subprocess.Popen([sys.executable, "-c", _NURSERY], text=True, **pipes) as process:  # type: ignore[call-overload]
            yield cls(process)

    def bear(self, *words: object) -> int:
        """A process that will run ``oci-bundler`` with these words; its id."""
        return self._said(json.dumps([str(word) for word in words]))

    def let_run(self) -> int:
        """How it ended: its exit code, or the negative number of the signal that ended it."""
        return self._said("go")

    def run(self, *words: object) -> int:
        self.bear(*words)
        return self.let_run()

    def _said(self, line: str) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())
