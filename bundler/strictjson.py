"""JSON that has one reading: strict in, one spelling out.

Two parsers that read one signed document differently are a way past a signature, so whatever parsers disagree about
is refused: names twice (also in another case, as Go reads them), numbers beyond 64 bits, floats, other encodings.

Documents of images are what others wrote, and are carried as they are: there, that counts for what somebody reads.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, NoReturn

from bundler.errors import Code, FormatError

MAX_DEPTH = 16  # no OCI or Sigstore document nests deeper than 9
MAX_PREDICATE_DEPTH = 128  # SBOM predicates nest with the dependencies they describe
_DIGITS = 19  # what fits 64 bits

# Values can take thirty times the memory of their text. A list, string or number takes up to 64 bytes, an object three times
# that: with six characters or more to such a unit (SBOMs without any spaces have eleven) it is eleven times at most.
_TEXT_OF_A_UNIT = 6
_FREE_UNITS = 1 << 18  # 16 MiB of memory: below that a document may be as dense as it likes

# Up to the next bracket that is in no string, or to the end. Possessive (a plus behind a repeat): what was matched is never
# tried shorter, else a long string takes a hundred times its size to match, and one without an end the square of its time.
_TO_BRACKET = re.compile(r'(?:[^\[\]{}"]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z))*+([\[\]{}]|\Z)', re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_NUL = re.compile("\x00")  # where text ends for readers in C
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPELT_CONTROL = re.compile(r"\\(?:[bf]|u00[01])")
_SPELT_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_STEPS = {"[": 1, "{": 1, "": 0, "]": -1, "}": -1}
_SPACE = re.compile(r"[ \t\n\r]*+")


def loads(raw: bytes, *, limit: int, predicate: bool = False) -> Any:
    """The value that ``raw``, at most ``limit`` bytes of UTF-8, spells.

    With ``predicate``, what other people's SBOM tools write is let through: floats, depth 128, control characters
    in strings, and below the outermost object names that differ in case only.

    Raises FormatError (``format.json``, ``limit.document``).
    """
    value = _read(raw, _PREDICATE if predicate else _STRICT, limit=limit)
    if predicate and isinstance(value, dict):
        _object(list(value.items()))
    return value


def loads_document(raw: bytes, *, limit: int) -> Any:
    """As :func:`loads`, for manifests, indexes and lists of them (image-spec), which hold the labels and annotations of anybody.

    Names that differ in case only, control characters but NUL in strings, and floats are let through. Whoever reads a member asks for its
    type, and :func:`check_names` of the object that it stands in.

    Raises FormatError (``format.json``, ``limit.document``).
    """
    return _read(raw, _DOCUMENT, limit=limit)


def loads_by_items(
    raw: bytes, *, limit: int, longest: int, lists: Mapping[tuple[str, ...], Callable[[Any], Any]], document: bool = False
) -> Any:
    """As :func:`loads` or, for a ``document``, :func:`loads_document`, for what is a few very long lists: these never stand in memory
    as values of JSON.

    ``lists`` are their places, each as the names that lead there, all equally deep, with what reads an item. A list in such a
    place becomes the tuple of what was read, item by item; something else there is a value as ever. No item, nor anything else
    as deep, has more than ``longest`` bytes.

    Raises as :func:`loads`, and what reading an item raises.
    """
    text = _decoded(raw, limit=limit)
    [depth] = {len(path) for path in lists}
    _check_shape(text, MAX_DEPTH, items=depth + 2, longest=longest)
    return _Pieces(text, lists, _DOCUMENT if document else _STRICT).document()


def dumps(value: Any) -> bytes:
    """The one spelling of ``value``: names sorted, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def check_names(members: Mapping[str, Any], known: Set[str]) -> None:
    """Refuse a name that is one of ``known``, or of the others, but for its case: Go would read it as that one, and we as nothing.

    Raises FormatError (``format.json``).
    """
    _object(list(members.items()))
    if unknown := members.keys() - known:
        folded = {name.casefold(): name for name in known}
        for name in unknown:
            if wanted := folded.get(name.casefold()):
                raise FormatError("JSON has a name in another case", code=Code.FORMAT_JSON, found=_shown(name), wanted=wanted)


def _decoded(raw: bytes, *, limit: int) -> str:
    if len(raw) > limit:
        raise FormatError("JSON is over its limit", code=Code.LIMIT_DOCUMENT, found=f"{len(raw)} bytes", wanted=f"at most {limit}")
    try:
        text = raw.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        _refuse("is not UTF-8", error)
    if text.startswith("\ufeff"):
        raise FormatError("JSON begins with a byte order mark", code=Code.FORMAT_JSON, wanted="UTF-8 without one (RFC 8259, section 8.1)")
    return text


def _read(raw: bytes, rules: "_Rules", *, limit: int) -> Any:
    text = _decoded(raw, limit=limit)
    _check_shape(text, rules.depth)
    try:
        value = rules.decoder.decode(text)
    except (ValueError, RecursionError) as error:
        _refuse("is not well-formed", error)
    for refused, what in rules.checks(text):
        _check_strings(value, refused, what)
    return value


class _Pieces:
    """The objects that lead to long lists, and these, read here; each piece in them is left to the parser of the library."""

    def __init__(self, text: str, lists: Mapping[tuple[str, ...], Callable[[Any], Any]], rules: "_Rules") -> None:
        self._text, self._at = text, 0
        self._rules = rules
        self._lists = lists
        self._above = {path[:length] for path in lists for length in range(len(path))}
        self._checks = rules.checks(text)

    def document(self) -> Any:
        value = self._value(())
        if self._next() != "":
            raise self._misshapen("more data")
        return value

    def _value(self, path: tuple[str, ...]) -> Any:
        if path in self._lists and self._next() == "[":
            return tuple(map(self._lists[path], self._items()))
        if path in self._above and self._next() == "{":
            return self._members(path)
        return self._decoded()

    def _items(self) -> Iterator[Any]:
        self._at += 1
        if self._took("]"):
            return
        yield self._decoded()
        while not self._took("]"):
            self._take(",")
            yield self._decoded()

    def _members(self, path: tuple[str, ...]) -> dict[str, Any]:
        self._at += 1
        if self._took("}"):
            return {}
        members = [self._member(path)]
        while not self._took("}"):
            self._take(",")
            members.append(self._member(path))
        return self._rules.object(members)

    def _member(self, path: tuple[str, ...]) -> tuple[str, Any]:
        if self._next() != '"':
            raise self._misshapen("no name")
        name = self._decoded()
        self._take(":")
        return name, self._value((*path, name))

    def _decoded(self) -> Any:
        self._next()
        try:
            value, self._at = self._rules.decoder.raw_decode(self._text, self._at)
        except (ValueError, RecursionError) as error:
            _refuse("is not well-formed", error)
        for refused, what in self._checks:
            _check_strings(value, refused, what)
        return value

    def _next(self) -> str:
        """The next character that is not white space; nothing at the end."""
        if (character := self._text[self._at : self._at + 1]) > " ":
            return character  # as almost always
        found = _SPACE.match(self._text, self._at)
        assert found  # it matches nothing, too
        self._at = found.end()
        return self._text[self._at : self._at + 1]

    def _took(self, character: str) -> bool:
        took = self._next() == character
        self._at += took
        return took

    def _take(self, character: str) -> None:
        if not self._took(character):
            raise self._misshapen(f"no {character}")

    def _misshapen(self, what: str) -> FormatError:
        return FormatError("JSON is not well-formed", code=Code.FORMAT_JSON, found=f"{what} at character {self._at}")


def _check_shape(text: str, depth: int, *, items: int | None = None, longest: int = 0) -> None:
    """How much it is, how deep it is nested, and how long what is nested ``items`` deep is, before any of it is parsed."""
    units = 3 * text.count("{") + text.count("[") + text.count(",")  # with those in strings, of which there are few
    if units > max(_FREE_UNITS, len(text) // _TEXT_OF_A_UNIT):
        raise FormatError("JSON has too many values for its size", code=Code.LIMIT_DOCUMENT, found=f"{units} in {len(text)} characters")
    level, began = 0, 0
    for match in _TO_BRACKET.finditer(text):
        step = _STEPS[match[1]]
        if level == items and 4 * (match.end() - began) > longest and len(text[began : match.end()].encode()) > longest:
            raise FormatError("JSON has too long an item in a list", code=Code.LIMIT_DOCUMENT, wanted=f"at most {longest} bytes")
        level += step
        if level == items and step == 1:
            began = match.end()
        if level > depth:
            raise FormatError("JSON is nested too deep", code=Code.FORMAT_JSON, wanted=f"at most {depth} levels")
        if level < 0:
            return  # the parser comes no further either


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name.casefold() for name, _ in pairs}) != len(pairs):  # more than lower(): to Go, ſ is also an s
        _refuse_twice(name.casefold() for name, _ in pairs)
    return dict(pairs)


def _exact_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        _refuse_twice(name for name, _ in pairs)
    return value


def _refuse_twice(names: Iterable[str]) -> NoReturn:
    [(name, _)] = Counter(names).most_common(1)
    raise FormatError("JSON has a name twice", code=Code.FORMAT_JSON, found=_shown(name))


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _DIGITS:
        _refuse_number(digits)
    return int(digits)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise FormatError("JSON has a number that is too large", code=Code.FORMAT_JSON, found=_shown(text))
    return value


def _refuse_number(text: str) -> NoReturn:
    raise FormatError("JSON has a number that is not a 64 bit integer", code=Code.FORMAT_JSON, found=_shown(text))


def _check_strings(value: Any, refused: re.Pattern[str], what: str) -> None:
    for text in _strings(value):
        if refused.search(text):
            raise FormatError(f"JSON has {what}", code=Code.FORMAT_JSON, found=_shown(text))


def _strings(value: Any) -> Iterator[str]:
    """Every name and string. Its stack grows with the depth, which is bounded, and not with the width."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for member in value.values():
            yield from _strings(member)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _refuse(what: str, error: Exception) -> NoReturn:
    raise FormatError(f"JSON {what}", code=Code.FORMAT_JSON, found=ascii(str(error))[1:-1][:200]) from error


def _shown(text: str) -> str:
    return ascii(text[:40])


Object = Callable[[list[tuple[str, Any]]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Rules:
    """What is let through: how deep, what an object may be, which control characters may not stand in strings."""

    depth: int
    object: Object
    controls: re.Pattern[str] | None
    decoder: json.JSONDecoder

    @classmethod
    def of(cls, *, depth: int, objects: Object, floats: Callable[[str], float], controls: re.Pattern[str] | None) -> "_Rules":
        decoder = json.JSONDecoder(object_pairs_hook=objects, parse_float=floats, parse_constant=_refuse_number, parse_int=_integer)
        return cls(depth, objects, controls, decoder)

    def checks(self, text: str) -> list[tuple[re.Pattern[str], str]]:
        """What the strings in ``text`` are still to be searched for: only where something of it is spelt."""
        checks = [(_SURROGATE, "a string that is not Unicode text")] if _SPELT_SURROGATE.search(text) else []
        return checks + ([(self.controls, "a control character")] if self.controls and _SPELT_CONTROL.search(text) else [])


_STRICT = _Rules.of(depth=MAX_DEPTH, objects=_object, floats=_refuse_number, controls=_CONTROL)
_DOCUMENT = _Rules.of(depth=MAX_DEPTH, objects=_exact_object, floats=_float, controls=_NUL)
_PREDICATE = _Rules.of(depth=MAX_PREDICATE_DEPTH, objects=_exact_object, floats=_float, controls=None)
