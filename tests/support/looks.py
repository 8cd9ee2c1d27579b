"""What is worked through in C, counted in looks at a character: nothing else shows what regular expressions and JSON cost."""

import time
from collections.abc import Callable

SECOND = 170_000_000
"""Looks that a processor of today has in a second; one that is ten times slower takes ten times as long for them as for all else."""


class Looks:
    """At how many characters this machine could have looked in the processor's time since this was made.

    Others who share the machine may slow it down at any moment, so a look is timed before and after, and the longer one counts.
    """

    def __init__(self) -> None:
        self._before, self._began = _look(), time.process_time()

    def taken(self, seconds: float | None = None) -> float:
        """In this process's time so far, or in so many ``seconds`` that another process had of the processor meanwhile."""
        passed = time.process_time() - self._began if seconds is None else seconds
        return passed / max(self._before, _look())


def looks(act: Callable[[], object]) -> float:
    """At how many characters this machine could have looked in the time of the processor that ``act`` takes."""
    began = Looks()
    act()
    return began.taken()


def _look() -> float:
    """The seconds of the processor that one look takes, in a loop of Python."""
    text = "a" * 1_000_000
    began = time.process_time()
    for _ in text:
        continue
    return (time.process_time() - began) / len(text)
