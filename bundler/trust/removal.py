"""Taking a table out of ``trust.toml`` as a person would: the lines of that table go or change, and no others."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from bundler.errors import Code, UsageError
from bundler.trust.addition import rendered
from bundler.trust.table import FILE

_HEADER = re.compile(r"[ \t]*\[+[ \t]*([A-Za-z0-9_-]+)[ \t]*([.\]])")
_NOTHING = re.compile(r"[ \t]*(#.*)?\r?\n?", re.ASCII)


def without(text: str, kind: str, number: int, *, left: Mapping[str, Any] | None = None) -> str:
    """``trust.toml`` without its table ``[[kind]]`` of that ``number``, from 0; or with what is ``left`` of it.

    Comments before a table stay, those inside one go. Raises UsageError (``trust.form``) where this cannot be done by lines.
    """
    before = tomllib.loads(text)
    wanted = {**before, kind: [*before[kind][:number], *([dict(left)] if left is not None else []), *before[kind][number + 1 :]]}
    lines = text.splitlines(keepends=True)
    first, end = _span(lines, kind, number)
    after = "".join([*lines[:first], rendered(kind, left) if left is not None else "", *lines[end:]])
    if _read(after) != {name: value for name, value in wanted.items() if value or name != kind}:
        raise UsageError(
            f"{FILE} is written in a way that only a person can change",
            code=Code.TRUST_FORM,
            found=f"table {number + 1} of [[{kind}]]",
            next="take it out with an editor, and raise the serial by one",
        )
    return after


def _span(lines: list[str], kind: str, number: int) -> tuple[int, int]:
    """The first line of the table, and the one behind its last."""
    first = end = len(lines)
    seen = -1
    for at, line in enumerate(lines):
        header = _HEADER.match(line)
        if header is None or (first < at and header[1] == kind and header[2] == "."):
            continue
        if first < at:
            end = at
            break
        seen += header[1] == kind and header[2] == "]"
        first = at if seen == number else first
    while end > first + 1 and _NOTHING.fullmatch(lines[end - 1]):
        end -= 1
    while end < len(lines) and not lines[end].strip():
        end += 1  # with the empty lines behind it
    return first, end


def _read(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
