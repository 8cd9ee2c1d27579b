"""What is worked through in C, counted in looks at a character: nothing else shows what regular expressions and JSON cost."""

import time
from collections.abc import Callable

SECOND = 170_000_000
"""Looks that a processor of today has in a second; one that is ten times slower takes ten times as long for them as for all else."""


def looks(act: Callable[[], object]) -> float:
    """At how many characters this machine could have looked in the time of the processor that ``act`` takes.

    Others who share the machine may slow it down at any moment, so a look is timed before and after it, and the longer one counts.
    """
    before = _look()
    began = time.process_time()
    act()
    took = time.process_time() - began
    return took / max(before, _look())


def _look() -> float:
    """The seconds of the processor that one look takes, in a loop of Python."""
    text = "a" * 1_000_000
    began = time.process_time()
    for _ in text:
        continue
    return (time.process_time() - began) / len(text)
