"""HTTP/1.1 messages (RFC 9112): heads, their fields, bodies and limits, in one way for the client and the embedded registry.

What two readers could read in two ways is refused: it is how one of them is made to take a part of a body for a request.
In what the client is more lenient than the registry, and in what it is stricter, stands in :class:`Rules`. Sockets, and how
long one waits, are not known here: who reads gives a function that receives.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from bundler.content.registry.origin import MalformedError, shown

MAX_HEAD = 64 << 10  # bytes of all lines of a head together; tokens that proxies add are the longest thing in them
MAX_FIELDS = 100  # storage services send about 20
MAX_CHUNK_LINE = 1 << 10  # bytes of a chunk's size with its extensions; nobody is known to send any
_AT_ONCE = 16 << 10  # bytes that are received while a line is looked for
_FREE_CHUNKS = 4 << 10  # chunks that may be as small as they like
_SMALL_CHUNK = 16  # bytes that chunks beyond those must have on average, else the framing outweighs the content

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


class LongError(MalformedError):
    """A head, or a line of a body, is longer than it may be."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What is taken of one side, and not of the other."""

    lenient: bool
    """Whether a line may end with LF alone (section 2.2), and blanks may follow a chunk's size, as Apache 1.3 pads it."""
    small_chunks: bool
    """Whether more than a few thousand chunks may have a few bytes each."""
    trailers: int
    """Bytes of all of them."""


OF_ANSWERS = Rules(lenient=True, small_chunks=False, trailers=MAX_HEAD)
"""Servers in the field are not all strict."""
OF_REQUESTS = Rules(lenient=False, small_chunks=True, trailers=8 << 10)
"""A client may cut what it sends as it likes; nobody is known to send trailers."""


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


class Reader:
    """What comes over a connection, as lines and as bytes.

    ``receive`` puts some bytes into a buffer and gives their number, 0 at the end of the connection. What it raises is
    raised here; what came before stays, and can be read.
    """

    def __init__(self, receive: Callable[[memoryview], int], rules: Rules) -> None:
        self.rules = rules
        self._receive = receive
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """How many bytes came and were not read yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what came otherwise than by ``receive``."""
        self._buffer += data

    def line(self, limit: int, *, beyond: type[LongError] = LongError) -> bytes:
        """The next line without its end.

        Raises ``beyond`` above ``limit`` bytes, MalformedError for an end that the rules do not allow, ConnectionResetError
        where the connection ends first.
        """
        looked = 0
        while (end := self._buffer.find(b"\n", looked)) < 0 and len(self._buffer) <= limit:
            looked = len(self._buffer)
            more = bytearray(_AT_ONCE)
            count = self._receive(memoryview(more))
            if not count:
                raise ConnectionResetError("the connection ended")
            self._buffer += more[:count]
        if end < 0 or end > limit:
            raise beyond(f"a line has more than {limit} bytes")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        if not self.rules.lenient and not line.endswith(b"\r"):
            raise MalformedError("a line ends with LF alone")
        return line.removesuffix(b"\r")

    def lines(self, limit: int, *, taken: int = 0) -> list[bytes]:
        """The lines up to an empty one, without their ends: at most :data:`MAX_FIELDS`, and ``limit`` bytes less those ``taken``.

        Raises as :meth:`line`.
        """
        lines, left = list[bytes](), limit - taken
        while True:
            if left < 0 or len(lines) > MAX_FIELDS:
                raise LongError(f"there are more than {MAX_FIELDS} fields or {limit} bytes of them")
            line = self.line(max(left, 2))
            if not line:
                return lines
            lines.append(line)
            left -= len(line) + 2

    def head(self, first: bytes) -> list[bytes]:
        """The lines of a head whose ``first`` was read; an empty one begins none. Raises as :meth:`line`."""
        return [first, *(self.lines(MAX_HEAD, taken=len(first) + 2) if first else ())]

    def into(self, view: memoryview) -> int:
        """Some bytes into ``view``, as many as are there; 0 at the end of the connection."""
        if not self._buffer:
            return self._receive(view)
        count = min(len(view), len(self._buffer))
        view[:count] = self._buffer[:count]
        del self._buffer[:count]
        return count


class BodyReader:
    """The body of a message as it is framed (section 6.3): in chunks, by its length, or, with neither, by the connection's end."""

    def __init__(self, reader: Reader, *, length: int | None, chunked: bool) -> None:
        self.open_ended = length is None and not chunked
        """Whether only the end of the connection can end it."""
        self._reader = reader
        self._chunked = chunked
        self._left = 0 if chunked else length
        """Bytes to come: of this chunk, or of the body; None: until the connection ends."""
        self._chunks = self._came = 0
        self.ended = length == 0 and not chunked
        """Whether nothing more can be read of it: all was, with its trailers, or it is not framed as it should be."""

    def into(self, view: memoryview) -> int:
        """Some bytes into ``view``, as many as are there; 0 once the body has ended, or the connection before it.

        Raises MalformedError for what is not framed as it should be, and as :meth:`Reader.line`.
        """
        if self._chunked and not self._left and not self.ended:
            try:
                self._next_chunk()
            except MalformedError:
                self.ended = True
                raise
        if self.ended:
            return 0
        count = self._reader.into(view if self._left is None else view[: self._left])
        if self._left is None:
            self.ended = not count
            return count
        self._left -= count
        self._came += count
        self.ended = not self._left and not self._chunked
        return count

    def _next_chunk(self) -> None:
        """RFC 9112, section 7.1. Extensions and trailers mean nothing here."""
        rules = self._reader.rules
        if self._chunks and self._reader.line(2):
            raise MalformedError("a chunk does not end where its size says")
        self._chunks += 1
        self._left = chunk_size(self._reader.line(MAX_CHUNK_LINE), padded=rules.lenient)
        if self._chunks > _FREE_CHUNKS and self._came < _SMALL_CHUNK * self._chunks and not rules.small_chunks:
            raise MalformedError(f"{self._chunks} chunks hold {self._came} bytes")
        if not self._left:
            check_trailers(self._reader.lines(rules.trailers))
            self.ended = True


def composed(start: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """A head of that first line and these fields, with the empty line behind them."""
    return "\r\n".join([start, *(f"{name}: {value}" for name, value in fields), "", ""]).encode("latin-1")


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
            raise MalformedError(f"the field {name} stands after the body")
