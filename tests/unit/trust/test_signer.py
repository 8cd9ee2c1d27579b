"""Who is one person, by what they are known by."""

from itertools import permutations

from bundler.trust.signer import persons
from tests.support.cases import each

A, B, C, D = "a key", "an identity", "another key", "another identity"


def groups(*known_by: set[str]) -> set[frozenset[int]]:
    """Which of them are one, by their places."""
    numbers = persons([frozenset(names) for names in known_by])
    return {frozenset(place for place, number in enumerate(numbers) if number == each) for each in numbers}


def test_nobody_is_nobody() -> None:
    assert persons([]) == []


def test_who_shares_nothing_is_somebody_else() -> None:
    assert groups({A}, {B}, {C}) == {frozenset({0}), frozenset({1}), frozenset({2})}


def test_who_shares_anything_is_the_same() -> None:
    assert groups({A, B}, {B, C}, {D}) == {frozenset({0, 1}), frozenset({2})}


@each("order", list(permutations(range(4))))
def test_two_who_are_known_apart_are_one_once_a_third_is_known_by_both(order: tuple[int, ...]) -> None:
    """In whatever order they come: a key, an identity, a certificate with both; and somebody else."""
    known = [{A}, {B}, {A, B}, {D}]
    got = groups(*[known[which] for which in order])
    assert {frozenset(order[place] for place in group) for group in got} == {frozenset({0, 1, 2}), frozenset({3})}


def test_a_chain_of_acquaintances_is_one_person() -> None:
    assert groups({A}, {C}, {B}, {D}, {A, B}, {C, D}, {B, C}) == {frozenset(range(7))}
