"""The worst regular expressions that are taken, on the longest name."""

import re
from collections.abc import Callable

import pytest

from bundler.errors import FormatError
from bundler.trust.pattern import MAX_MATCHED, compiled
from tests.support.looks import SECOND, looks

NAME = "a" * MAX_MATCHED

WORST: dict[str, Callable[[int], str]] = {
    "what follows the last repeat": lambda n: ".*a.*" + "a" * n + "b",
    "classes behind it": lambda n: ".*a.*" + r"\w" * n + "b",
    "sets behind it": lambda n: ".*a.*" + "[ab]" * n + "b",
    "the least first": lambda n: ".*?a.*?" + "a" * n + "b",
    "anchors": lambda n: ".*a.*" + r"\B" * n + "b",
    "groups": lambda n: ".*a.*" + "(a)" * n + "b",
    "choices behind it": lambda n: ".*.*" + "a?" * n + "b",
    "choices of groups behind it": lambda n: ".*a.*" + "(a)?" * n + "b",
    "choices behind one repeat": lambda n: ".*" + "a?" * n + "b",
    "choices alone": lambda n: "a?" * n + "b",
    "alternatives": lambda n: "(?:a|a)" * n + "b",
    "alternatives behind one repeat": lambda n: ".*" + "(?:a|a)" * n + "b",
    "rounds of groups": lambda n: "(?:a)*(?:a)*" + "a" * n + "b",
    "what ends where the next stands": lambda n: ".*[^b]*b" + "a" * n + "c",
    "what ends and a repeat": lambda n: "(?:a{0,9}b)*.*" + "a" * n + "c",
    "counted repeats": lambda n: f"a{{0,{n}}}" * 3 + "b",
    "two counted repeats": lambda n: "a{0,1000}?a{0,1000}" + "a" * n + "b",
    "counted groups": lambda n: f"(?:a{{0,{n}}}){{0,3}}b",
    "counted groups with choices": lambda n: f"(?:(?:aa){{2}}(?:a)?){{0,{n}}}b",
}


def _taken(text: str) -> re.Pattern[str] | None:
    try:
        return compiled(text)
    except FormatError:
        return None


@pytest.mark.parametrize("of", WORST)
def test_the_worst_that_is_taken_ends_within_a_second(of: str) -> None:
    """Whatever grows is made as large as it may be; the name is the longest that is matched, and all but matches."""
    largest = next(taken for taken in map(_taken, (WORST[of](n) for n in range(400, -1, -1))) if taken)
    assert looks(lambda: largest.fullmatch(NAME)) < SECOND  # it runs in C, where steps cannot be counted
    assert largest.fullmatch(NAME) is None
