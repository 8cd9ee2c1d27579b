"""A strict reader of CBOR (RFC 8949, section 4.2.1, but for the order of names): one reading for every byte string, or none."""

from dataclasses import dataclass
from typing import Any, NoReturn

from bundler.errors import Code, FormatError

MAX_DEPTH = 16  # an envelope has four levels
_ARGUMENT_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}
_LEAST = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
_SIMPLE: dict[int, "bool | None"] = {20: False, 21: True, 22: None}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value under a tag."""

    tag: int
    value: Any


Value = int | bytes | str | bool | None | list["Value"] | dict["int | str", "Value"] | Tagged


def loads(raw: bytes) -> Any:
    """The one value that ``raw`` spells. Raises FormatError (``format.cbor``).

    Integers, strings, arrays, maps with integers and texts for names, tags, true, false and null; no floats, nothing of
    indefinite length, no other simple value.
    """
    reader = _Reader(raw)
    value = reader.value(MAX_DEPTH)
    if reader.at != len(raw):
        _refuse(f"{len(raw) - reader.at} bytes follow the end")
    return value


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def value(self, depth: int) -> Value:
        if depth == 0:
            _refuse(f"it is nested deeper than {MAX_DEPTH} levels")
        head = self._take(1)[0]
        major, number = head >> 5, self._argument(head & 0x1F)
        match major:
            case 0:
                return number
            case 1:
                return -1 - number
            case 2:
                return self._take(number)
            case 3:
                return self._text(number)
            case 4:
                return [self.value(depth - 1) for _ in range(number)]
            case 5:
                return self._map(number, depth)
            case 6:
                return Tagged(number, self.value(depth - 1))
        if number not in _SIMPLE:  # and so in its one byte: two are for numbers from 32, and those of floats are longer
            _refuse("a float or a simple value that is not accepted")
        return _SIMPLE[number]

    def _take(self, length: int) -> bytes:
        taken = self.raw[self.at : self.at + length]
        if len(taken) != length:
            _refuse("it is cut")
        self.at += length
        return taken

    def _argument(self, short: int) -> int:
        if short < 24:
            return short
        if short not in _ARGUMENT_BYTES:
            _refuse("an indefinite or reserved length")
        number = int.from_bytes(self._take(_ARGUMENT_BYTES[short]), "big")
        if number < _LEAST[short]:
            _refuse("a number that is not of the least length")
        return number

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode("utf-8", "strict")
        except UnicodeDecodeError:
            _refuse("a text that is not UTF-8")

    def _map(self, length: int, depth: int) -> dict[int | str, Value]:
        members: dict[int | str, Value] = {}
        for _ in range(length):
            name = self.value(depth - 1)
            if isinstance(name, bool) or not isinstance(name, int | str):
                _refuse("a name that is neither integer nor text")
            if name in members:
                _refuse(f"the name {name!a} twice")
            members[name] = self.value(depth - 1)
        return members


def _refuse(what: str) -> NoReturn:
    raise FormatError(f"CBOR is not well-formed: {what}", code=Code.FORMAT_CBOR)
