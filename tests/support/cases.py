"""Many small cases of one sentence, asked as one test: an item of pytest costs more than most of what is asked of a case."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

Test = Callable[..., None]
Ids = Iterable[object] | Callable[[Any], object] | None


def each(names: str | Sequence[str], cases: Iterable[Any], *, ids: Ids = None) -> Callable[[Test], Test]:
    """A test that goes through all ``cases``, written as for ``pytest.mark.parametrize``; every case that fails is named.

    All cases get the same fixtures, so it is for tests whose cases change nothing that another one sees.
    """
    fields = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    listed = [_case(case, single=len(fields) == 1) for case in cases]
    assert listed, "a test without a case could not fail"
    given = None if ids is None or callable(ids) else [*ids]
    show = ids if callable(ids) else None

    def of(test: Test) -> Test:
        @functools.wraps(test)
        def all_of_them(**fixtures: Any) -> None:
            failed: list[BaseException] = []
            for number, (own, values) in enumerate(listed):
                try:
                    test(**dict(zip(fields, values, strict=True)), **fixtures)
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - whatever it is, the other cases are asked too
                    name = own or (given[number] if given is not None else _shown(values, show))
                    error.add_note(f"in the case {name}")
                    failed.append(error)
            if failed:
                raise BaseExceptionGroup(f"{len(failed)} of {len(listed)} cases failed", failed)

        signature = inspect.signature(test)
        others = [parameter for name, parameter in signature.parameters.items() if name not in fields]
        all_of_them.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return all_of_them

    return of


def _case(case: Any, *, single: bool) -> tuple[object, Sequence[Any]]:
    """The name that a case brings itself, if any, and its values."""
    if not isinstance(case, type(pytest.param())):
        return None, [case] if single else case
    assert not case.marks, "a case with a mark is an item of its own"
    return case.id, case.values


def _shown(values: Sequence[Any], show: Callable[[Any], object] | None) -> str:
    return ", ".join(str((show or repr)(value)) for value in values)[:200]
