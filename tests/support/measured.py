"""The command as a process of its own, and what it took of the machine.

ran = measured("verify", bundle, "--trust", trust)
assert ran.peak < 128 * MIB
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.station import Ran

ROOT = Path(__file__).parents[2]
MIB = 1 << 20


@dataclass(frozen=True)
class Measured(Ran):
    """How a run ended, and what it took at most."""

    peak: int
    """Bytes of memory that were resident."""
    seconds: float
    """Of a processor, the system's work for it counted too: other processes do not change it much."""


_WATCH = """
import os, sys
process = os.posix_spawn(sys.executable, [sys.executable, "-m", "bundler", *sys.argv[2:]], os.environ)
_, status, usage = os.wait4(process, 0)
os.write(int(sys.argv[1]), f"{usage.ru_maxrss << 10} {usage.ru_utime + usage.ru_stime}".encode())
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measured(*words: object) -> Measured:
    """``oci-bundler`` with these words, begun by a small process: one that is begun counts the memory of who began it as its own."""
    reading, writing = os.pipe()
    command = [sys.executable, "-c", _WATCH, str(writing), *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[writing], check=False)
    os.close(writing)
    with os.fdopen(reading) as told:
        peak, seconds = told.read().split()
    return Measured(ran.returncode, ran.stdout, ran.stderr, peak=int(peak), seconds=float(seconds))
