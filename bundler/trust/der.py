"""A strict reader of DER (X.690, sections 8 and 10): one reading for every byte string, or none.

Timestamps and the extensions of certificates are read with it. It knows one element at a time: how deep a document is
read is said by who reads it, so that no nesting of its own can carry it away.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bundler.errors import Code, FormatError

BOOLEAN = 0x01
INTEGER = 0x02
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTF8_STRING = 0x0C
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

MAX_INTEGER = 64  # bytes; serial numbers have at most 20 (RFC 5280, section 4.1.2.2), nonces of timestamps rarely 32
_TIME = re.compile(rb"[0-9]{14}(\.[0-9]{0,8}[1-9])?Z")  # X.690, section 11.7: seconds, UTC, no trailing zeros


def context(number: int, *, constructed: bool = True) -> int:
    """The tag ``[number]`` of the context-specific class."""
    return (0xA0 if constructed else 0x80) | number


def oid(dotted: str) -> bytes:
    """The content bytes of an object identifier, as it is compared here: never decoded, so its length costs nothing."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return b"".join(_base128(arc) for arc in (first * 40 + second, *rest))


def _base128(arc: int) -> bytes:
    groups = [arc & 0x7F]
    while arc := arc >> 7:
        groups.append(arc & 0x7F | 0x80)
    return bytes(reversed(groups))


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its tag, its content, and the whole as it was encoded."""

    tag: int
    content: bytes = field(repr=False)
    raw: bytes = field(repr=False)

    @classmethod
    def parse(cls, raw: bytes, tag: int | None = None) -> "Element":
        """The one element, of ``tag`` if given, that ``raw`` consists of. Raises FormatError (``format.der``)."""
        element, end = _element(raw, 0)
        _need(end == len(raw), "bytes follow the end", found=len(raw) - end)
        return element if tag is None else element.expect(tag)

    def expect(self, tag: int) -> "Element":
        _need(self.tag == tag, "an element with another tag", found=self.tag, wanted=tag)
        return self

    def items(self) -> "Items":
        """What it is made of, to be taken in order."""
        elements = []
        at = 0
        while at < len(self.content):
            element, at = _element(self.content, at)
            elements.append(element)
        return Items(elements)

    def integer(self) -> int:
        content = self.expect(INTEGER).content
        _need(0 < len(content) <= MAX_INTEGER, "an integer is of no byte or of too many", found=len(content))
        _need(len(content) == 1 or not _is_padded(content), "an integer is not of the least length")
        return int.from_bytes(content, "big", signed=True)

    def octets(self) -> bytes:
        return self.expect(OCTET_STRING).content

    def oid(self) -> bytes:
        return self.expect(OBJECT_IDENTIFIER).content

    def text(self) -> str:
        content = self.expect(UTF8_STRING).content
        try:
            return content.decode("utf-8", "strict")
        except UnicodeDecodeError as error:
            raise FormatError("DER is not well-formed: a string is not UTF-8", code=Code.FORMAT_DER) from error

    def time(self) -> datetime:
        """A GeneralizedTime; what is below a microsecond is cut off."""
        content = self.expect(GENERALIZED_TIME).content
        _need(_TIME.fullmatch(content) is not None, "a time is not of the form YYYYMMDDhhmmss[.f]Z", found=content[:40])
        seconds, _, fraction = content[:-1].decode("ascii").partition(".")
        try:
            time = datetime.strptime(seconds, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError as error:
            raise FormatError("DER is not well-formed: a time does not exist", code=Code.FORMAT_DER, found=seconds) from error
        return time.replace(microsecond=int(f"{fraction:0<6}"[:6]))


class Items:
    """The elements of a constructed one, each taken once and in order."""

    def __init__(self, elements: list[Element]) -> None:
        self._rest = elements[::-1]

    def take(self, tag: int) -> Element:
        """The next one, which must be of ``tag``."""
        _need(bool(self._rest), "an element is not there: the one with the tag", wanted=tag)
        return self._rest.pop().expect(tag)

    def maybe(self, tag: int) -> Element | None:
        """The next one if it is of ``tag``: an OPTIONAL field."""
        return self._rest.pop() if self._rest and self._rest[-1].tag == tag else None

    def rest(self) -> list[Element]:
        """All that are left."""
        rest, self._rest = self._rest[::-1], []
        return rest

    def end(self) -> None:
        """Nothing is left."""
        _need(not self._rest, "elements more than the type has", found=len(self._rest))


def _element(raw: bytes, at: int) -> tuple[Element, int]:
    _need(len(raw) - at >= 2, "an element is cut")
    tag, length = raw[at], raw[at + 1]
    _need(tag & 0x1F != 0x1F, "a tag of more than one byte")
    start = at + 2
    if length & 0x80:
        count = length & 0x7F
        encoded = raw[start : start + count]
        _need(0 < count <= 4, "a length is indefinite or of more than four bytes", found=count)
        _need(len(encoded) == count, "a length is cut")
        start += count
        length = int.from_bytes(encoded, "big")
        _need(encoded[0] != 0 and length >= 0x80, "a length is not of the least length")
    end = start + length
    _need(end <= len(raw), "an element is cut, its bytes are", found=len(raw) - start, wanted=length)
    return Element(tag, raw[start:end], raw[at:end]), end


def _is_padded(content: bytes) -> bool:
    return (content[0] == 0x00 and content[1] < 0x80) or (content[0] == 0xFF and content[1] >= 0x80)


def _need(holds: bool, what: str, *, found: object = None, wanted: object = None) -> None:
    """Nothing is spelled out unless it fails: a timestamp has a hundred elements."""
    if not holds:
        raise FormatError(f"DER is not well-formed: {what}", code=Code.FORMAT_DER, found=found, wanted=wanted)
