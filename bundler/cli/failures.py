"""Of several images those that something could not be done with, in words and as JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from bundler.cli.terminal import error_lines, error_value, escaped
from bundler.stations.places import Failure


def lowest(failed: Sequence[Failure]) -> int:
    """The exit code: the lowest of theirs, 0 where none failed."""
    return min((each.error.exit for each in failed), default=0)


def value(failed: Sequence[Failure]) -> list[dict[str, Any]]:
    return [{"reference": each.image} | error_value(each.error) for each in failed]


def lines(failed: Sequence[Failure]) -> Iterator[str]:
    """Each with what was found, wanted and is next; what several fail for alike is said once."""
    for first, *others in alike(failed):
        yield from error_lines(first.image, first.error)
        yield from (f"  also:   {escaped(each.image)}" for each in others)


def alike(failed: Sequence[Failure]) -> Iterator[list[Failure]]:
    """Together those that fail for the very same reason, as a registry that does not answer."""
    reasons: dict[tuple[Any, ...], list[Failure]] = {}
    for each in failed:
        reasons.setdefault(tuple(error_value(each.error).values()), []).append(each)
    yield from reasons.values()
