"""The loop over cases that many tests here are made with: it asks all of them, and names each that fails."""

import pytest

from tests.support.cases import each


def test_all_cases_are_asked_and_those_that_fail_are_named() -> None:
    asked = []

    @each("name, number", [("one", 1), pytest.param("two", 2, id="the second"), ("three", 3), ("four", 4)])
    def odd(name: str, number: int) -> None:
        asked.append(name)
        assert number % 2

    with pytest.raises(ExceptionGroup, match="2 of 4 cases failed") as caught:
        odd()
    assert asked == ["one", "two", "three", "four"]
    assert [error.__notes__ for error in caught.value.exceptions] == [["in the case the second"], ["in the case 'four', 4"]]


def test_every_pair_of_two_lists_of_cases_is_asked() -> None:
    asked = []

    @each("letter", "ab")
    @each("number", [1, 2], ids=["one", "two"])
    def pair(letter: str, number: int) -> None:
        asked.append((letter, number))

    pair()
    assert asked == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]


def test_a_list_without_a_case_is_noticed() -> None:
    with pytest.raises(AssertionError, match="could not fail"):
        each("number", [])
