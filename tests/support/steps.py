"""How much work something is, counted: the same on every machine, whatever else runs there.

with steps() as taken:
    survey(...)
assert taken() < 100 * len(listed)
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def steps() -> Iterator[Callable[[], int]]:
    """The lines of Python that this thread has run in the block so far; each round of a loop is one, if it has one line or more."""
    count = 0

    def step(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        yield lambda: count
    finally:
        sys.settrace(before)
