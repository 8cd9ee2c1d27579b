"""The command as a process of its own, and what it took of the machine.

ran = measured("verify", bundle, "--trust", trust)
assert ran.peak < 128 * MIB
"""

import os
import subprocess
import sys
import tempfile
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


def measured(*words: object) -> Measured:
    """``oci-bundler`` with these words."""
    command = [sys.executable, "-m", "bundler", *map(str, words)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        said = [stream.read().decode() for stream in (out, err)]
    return Measured(process.returncode, *said, peak=usage.ru_maxrss << 10, seconds=usage.ru_utime + usage.ru_stime)
