"""Heads and framing of HTTP/1.1 messages (RFC 9112), read in one way by the client and by the embedded registry. Pure.

What two readers could read in two ways is refused: it is how one of them is made to take a part of a body for a request.
The client is more lenient than the registry in two things only, because servers in the field are not all strict:
a line of an answer may end with LF alone (section 2.2), and a chunk's size may be followed by blanks (Apache 1.3 pads it).
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from bundler.content.registry.origin import MalformedError, shown

MAX_HEAD = 64 << 10  # bytes of all lines of a head together; tokens that proxies add are the longest thing in them
MAX_FIELDS = 100  # storage services send about 20
MAX_CHUNK_LINE = 1 << 10  # bytes of a chunk's size with its extensions; nobody is known to send any

TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110, 5.6.2: a token of the grammar
QUOTED = r'"(?:[^"\\]|\\.)*"'
_FIELD = re.compile(rf"({TOKEN}):([\t -~\x80-\xff]*)")
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)  # what fits 64 bits
_BLANK = r"[\t ]*"
_EXTENSION = rf"{_BLANK};{_BLANK}{TOKEN}(?:{_BLANK}={_BLANK}(?:{TOKEN}|\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*\"))?"
_CHUNK = re.compile(rf"([0-9A-Fa-f]{{1,15}})((?:{_EXTENSION})*)({_BLANK})")
_REQUEST = re.compile(rf"({TOKEN}) ([!-~]+) HTTP/([0-9])\.([0-9])")
_CODING = re.compile(rf"(?!chunked$){TOKEN}")
_FRAMING = ("content-length", "transfer-encoding")
_NOT_IN_TRAILERS = (*_FRAMING, "host", "connection", "content-type", "content-range", "content-encoding")
"""RFC 9110, 6.5.1: what frames, routes or describes the body comes too late behind it."""
_ONCE = (*_FRAMING, "host", "content-type", "content-range", "range", "if-range", "if-match", "if-none-match", "authorization", "expect")
"""Fields of a request that mean one thing each: two of them are two readings."""


class CodingError(MalformedError):
    """A body comes in chunks, of what went through a further transfer coding."""


class VersionError(MalformedError):
    """A request is not of HTTP/1.0 or HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of a head in their order: names in lower case, values without blanks around them."""

    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, lines: Iterable[bytes], *, once: Collection[str] = _FRAMING) -> "Fields":
        """From the lines between the first one and the empty one, without their ends; no name in ``once`` may stand twice.

        Raises MalformedError for folded lines, control characters, a blank before the colon, more than :data:`MAX_FIELDS`.
        """
        pairs = tuple(_field(line.decode("latin-1")) for line in lines)
        if len(pairs) > MAX_FIELDS:
            raise MalformedError(f"the head has more than {MAX_FIELDS} fields")
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen and name in once:
                raise MalformedError(f"the field {name} stands more than once")
            seen.add(name)
        return cls(pairs)

    def all(self, name: str) -> list[str]:
        """The values of each field of that name, given in lower case."""
        return [value for other, value in self.pairs if other == name]

    def one(self, name: str) -> str | None:
        """The first value of a field of that name."""
        return next((value for other, value in self.pairs if other == name), None)

    def chunked(self) -> bool:
        """Whether the body comes in chunks (RFC 9112, 6.1 and 6.3).

        Raises CodingError where chunks are only the last of several codings, MalformedError where nobody can tell where the
        body ends: chunks are not the last coding or come twice, or there is a length too.
        """
        named = self.all("transfer-encoding")
        if not named:
            return False
        if self.one("content-length") is not None:
            raise MalformedError("a body has both a length and an encoding")
        *before, last = (coding.strip(" \t").lower() for value in named for coding in value.split(","))
        if last != "chunked" or not all(_CODING.fullmatch(coding) for coding in before):
            raise MalformedError(f"the transfer encoding is {shown(', '.join(named))}")
        if before:
            raise CodingError(f"the transfer encoding is {shown(', '.join(named))}")
        return True

    def length(self) -> int | None:
        """Content-Length; None if there is none. Raises MalformedError."""
        value = self.one("content-length")
        return None if value is None else number(value, "content-length")


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A request's line and fields (RFC 9112, 3 and 5), as only one reading of them is possible."""

    method: str
    target: str
    """Visible ASCII, as it stands in the request line."""
    minor: int
    """0 or 1, of HTTP/1."""
    fields: Fields
    length: int | None
    """Bytes of the body; None if they come in chunks."""

    @classmethod
    def parse(cls, lines: Sequence[bytes]) -> "RequestHead":
        """From the lines without their ends, the request line first.

        Raises MalformedError; of it CodingError for a coding before ``chunked``, VersionError for another version.
        """
        line = lines[0].decode("latin-1")
        match = _REQUEST.fullmatch(line)
        if match is None:
            raise _no_request(line)
        if match[3] != "1" or match[4] not in "01":
            raise VersionError(f"the version is {match[3]}.{match[4]}")
        minor = int(match[4])
        fields = Fields.parse(lines[1:], once=[name for name in _ONCE if name != "transfer-encoding"])
        if minor == 1 and fields.one("host") is None:
            raise MalformedError("there is no Host")
        if minor == 0 and fields.one("transfer-encoding") is not None:
            raise MalformedError("HTTP/1.0 has no transfer encoding")
        chunked, length = fields.chunked(), fields.length()
        return cls(match[1], match[2], minor, fields, None if chunked else length or 0)

    @property
    def persistent(self) -> bool:
        """Whether the client wants to use the connection again."""
        options = {option.strip().lower() for value in self.fields.all("connection") for option in value.split(",")}
        return self.minor == 1 and "close" not in options


def _no_request(line: str) -> MalformedError:
    if re.fullmatch(rf"{TOKEN} [!-~]+", line):
        return VersionError("the version is 0.9")
    return MalformedError(f"the request line is {shown(line)}")


def _field(line: str) -> tuple[str, str]:
    match = _FIELD.fullmatch(line)
    if match is None:
        raise MalformedError(f"the field {shown(line)} is not well-formed")
    return match[1].lower(), match[2].strip(" \t")


def number(text: str, what: str) -> int:
    """Decimal digits, at most 19 of them. Raises MalformedError."""
    if not _DIGITS.fullmatch(text):
        raise MalformedError(f"{what} is {shown(text)}")
    return int(text)


def chunk_size(line: bytes, *, padded: bool = True) -> int:
    """The size that a chunk's first line gives (RFC 9112, 7.1), blanks behind it only if it may be ``padded``. Raises MalformedError."""
    match = _CHUNK.fullmatch(line.decode("latin-1"))
    if match is None or (match[3] and not padded):
        raise MalformedError(f"a chunk's size is {shown(line.decode('latin-1'))}")
    return int(match[1], 16)


def check_trailers(lines: Sequence[bytes]) -> None:
    """What stands after the last chunk means nothing here, but must be fields. Raises MalformedError."""
    for name, _ in Fields.parse(lines).pairs:
        if name in _NOT_IN_TRAILERS:
            raise MalformedError(f"the field {name} stands behind the body")
