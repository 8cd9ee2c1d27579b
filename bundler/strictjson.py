"""JSON that has one reading: strict in, one spelling out.

Two parsers that read one signed document differently are a way past a signature, so whatever parsers disagree about
is refused: names twice (also in another case, as Go reads them), numbers beyond 64 bits, floats, other encodings.
"""

import json
import re
from typing import Any, NoReturn

from bundler.errors import Code, FormatError

MAX_DEPTH = 16  # no OCI or Sigstore document nests deeper than 9
MAX_PREDICATE_DEPTH = 128  # SBOM predicates nest with the dependencies they describe
_DIGITS = 19  # what fits 64 bits

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")


def loads(raw: bytes, *, limit: int, predicate: bool = False) -> Any:
    """The value that ``raw``, at most ``limit`` bytes of UTF-8, spells.

    With ``predicate``, what other people's SBOM tools write is let through: floats, depth 128, control characters
    in strings, names that differ in case only.

    Raises FormatError (``format.json``, ``limit.document``).
    """
    if len(raw) > limit:
        raise FormatError("JSON is over its limit", code=Code.LIMIT_DOCUMENT, found=f"{len(raw)} bytes", wanted=f"at most {limit}")
    try:
        text = raw.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        _refuse("is not UTF-8", error)
    _check_depth(text, MAX_PREDICATE_DEPTH if predicate else MAX_DEPTH)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_predicate_object if predicate else _object,
            parse_float=float if predicate else _refuse_number,
            parse_constant=_refuse_number,
            parse_int=_integer,
        )
    except (ValueError, RecursionError) as error:
        _refuse("is not well-formed", error)
    _check_strings(value, predicate=predicate)
    return value


def dumps(value: Any) -> bytes:
    """The one spelling of ``value``: names sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def _check_depth(text: str, limit: int) -> None:
    if text.count("{") + text.count("[") <= limit:
        return
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", _STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > limit:
            raise FormatError("JSON is nested too deep", code=Code.FORMAT_JSON, wanted=f"at most {limit} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.lower() for name, _ in pairs}) != len(pairs):
        raise FormatError("JSON has a name twice", code=Code.FORMAT_JSON, found=_twice([name.lower() for name, _ in pairs]))
    return dict(pairs)


def _predicate_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise FormatError("JSON has a name twice", code=Code.FORMAT_JSON, found=_twice([name for name, _ in pairs]))
    return value


def _twice(names: list[str]) -> str:
    return ascii(next(name for name in names if names.count(name) > 1))


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _DIGITS:
        _refuse_number(digits)
    return int(digits)


def _refuse_number(text: str) -> NoReturn:
    raise FormatError("JSON has a number that is no 64 bit integer", code=Code.FORMAT_JSON, found=text[:40])


def _check_strings(value: Any, *, predicate: bool) -> None:
    """No lone surrogates, which have no UTF-8; outside predicates no control characters but tab and line ends."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
                    raise FormatError("JSON has a string that is not Unicode text", code=Code.FORMAT_JSON, found=ascii(text[:40]))
                if not predicate and _CONTROL.search(text):
                    raise FormatError("JSON has a control character", code=Code.FORMAT_JSON, found=ascii(text[:40]))
            case dict() as members:
                waiting.extend(members)
                waiting.extend(members.values())
            case list() as items:
                waiting.extend(items)


def _refuse(what: str, error: Exception) -> NoReturn:
    raise FormatError(f"JSON {what}", code=Code.FORMAT_JSON, found=ascii(str(error))[1:201]) from error
