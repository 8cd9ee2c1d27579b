"""VEC: the refused bundle vectors that no other family has a number for, by their names in the specification."""

from collections.abc import Iterable

from tests.support.hostile import REFUSED, Case, Cases


def rest(numbered: Iterable[Case]) -> Cases:
    """Those that are not among these cases."""
    known = {case.where for case in numbered}
    cases = Cases()
    for name, vector in REFUSED.items():
        if f"tests/vectors/invalid/{name}" not in known:
            cases.vector(f"VEC-{name}", vector.description, name)
    return cases
