"""What a registry's answers say: heads, challenges, links, ranges, errors. Pure, and strict.

``http.client`` is not used for reading: it takes two Content-Lengths, a length of ``1_0``, a chunk of ``-1`` bytes
(which reads everything into memory), interim answers without end, and a body that ends early without a word.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from bundler import strictjson
from bundler.content.registry.message import MAX_FIELDS as MAX_FIELDS  # noqa: PLC0414 - whoever reads answers finds it here too
from bundler.content.registry.message import QUOTED, TOKEN, Fields
from bundler.content.registry.message import chunk_size as chunk_size  # noqa: PLC0414
from bundler.content.registry.message import number as number  # noqa: PLC0414
from bundler.content.registry.origin import MalformedError, shown
from bundler.errors import FormatError

MAX_ERROR = 64 << 10  # a refused manifest is answered with 150 bytes for each blob that is not there
MAX_WAIT = 60.0  # seconds; whoever asks for more is asked again before

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t -~\x80-\xff]*)?")
_AUTH_ITEM = re.compile(rf"[ \t,]*({TOKEN})(?:[ \t]*=[ \t]*({QUOTED}|{TOKEN})(?=[ \t]*(?:,|$))|(?=[ \t,]|$))")
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")
_LINK = re.compile(rf"[ \t,]*<([^<>]*)>((?:[ \t]*;[ \t]*{TOKEN}(?:[ \t]*=[ \t]*(?:{QUOTED}|{TOKEN}))?)*)[ \t]*(?=,|$)")
_REL = re.compile(rf";[ \t]*rel[ \t]*=[ \t]*({QUOTED}|{TOKEN})", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)  # what fits 64 bits
_RECEIVED = re.compile(r"(?:bytes=)?0-([0-9]{1,19})", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.ASCII)
_SINGLE = (
    *("content-length", "content-type", "content-range", "transfer-encoding", "location", "range", "retry-after"),
    *("docker-content-digest", "oci-subject", "oci-chunk-min-length"),
)
"""Fields that mean one thing each: two of them are two readings."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and fields of an answer (RFC 9112, 4 and 5), names in lower case."""

    status: int
    fields: tuple[tuple[str, str], ...]
    persistent: bool
    """Whether the connection may be used again after the body."""
    length: int | None = None
    """Content-Length."""
    chunked: bool = False

    @classmethod
    def parse(cls, lines: Sequence[bytes]) -> "Head":
        """From the lines without their ends.

        Raises MalformedError for what can be read in two ways: folded lines, control characters, two lengths, a length
        beside chunks.
        """
        match = _STATUS.fullmatch(lines[0])
        if match is None:
            raise MalformedError(f"the status line is {shown(lines[0].decode('latin-1'))}")
        fields = Fields.parse(lines[1:], once=_SINGLE)
        connection = ",".join(value.lower() for value in fields.all("connection"))
        persistent = "close" not in connection and (match[1] == b"1" or "keep-alive" in connection)
        return cls(int(match[2]), fields.pairs, persistent, fields.length(), fields.chunked())

    def all(self, name: str) -> list[str]:
        """The values of each field of that name, given in lower case."""
        return Fields(self.fields).all(name)

    def one(self, name: str) -> str | None:
        """The first value of a field of that name."""
        return Fields(self.fields).one(name)

    @property
    def encoded(self) -> bool:
        """Whether the body went through a compressor, although identity was asked for."""
        return any(value.lower() not in {"", "identity"} for value in self.all("content-encoding"))

    @property
    def media_type(self) -> str:
        """Content-Type in lower case without parameters; empty if there is none."""
        return (self.one("content-type") or "").partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, at most :data:`MAX_WAIT`; None if nothing usable is said. A date counts from the answer's own."""
        said = self.one("retry-after")
        if said is None or _DIGITS.fullmatch(said):
            return None if said is None else min(float(said), MAX_WAIT)
        try:
            seconds = (parsedate_to_datetime(said) - parsedate_to_datetime(self.one("date") or "")).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
        return min(max(seconds, 0.0), MAX_WAIT)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry wants to see (RFC 9110, 11.6.1): the scheme in lower case, and its parameters."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict, hash=False)


def challenges(values: Iterable[str]) -> list[Challenge]:
    """All challenges of the WWW-Authenticate fields. Raises MalformedError."""
    found: list[Challenge] = []
    for value in values:
        at, text = 0, value.rstrip(" \t,")
        in_this_field: list[Challenge] = []
        while at < len(text):
            match = _AUTH_ITEM.match(text, at)
            if match is None:
                raise MalformedError(f"the challenge {shown(value)} is not well-formed")
            at = match.end()
            if match[2] is None:
                in_this_field.append(Challenge(match[1].lower()))
                token68 = _TOKEN68.match(text, at)
                at = token68.end() if token68 and not _AUTH_ITEM.fullmatch(token68[0]) else at
                continue
            name = match[1].lower()
            if not in_this_field or name in in_this_field[-1].parameters:
                raise MalformedError(f"the challenge {shown(value)} is not well-formed")
            in_this_field[-1].parameters[name] = _unquoted(match[2])
        found += in_this_field
    return found


def next_page(values: Iterable[str]) -> str | None:
    """The target of the one link whose relation is ``next`` (RFC 8288). Raises MalformedError."""
    targets = set()
    for value in values:
        at, text = 0, value.rstrip(" \t,")
        while at < len(text):
            match = _LINK.match(text, at)
            if match is None:
                raise MalformedError(f"the link {shown(value)} is not well-formed")
            at = match.end()
            relation = _REL.search(match[2])
            if relation and "next" in _unquoted(relation[1]).lower().split():
                targets.add(match[1])
    if len(targets) > 1:
        raise MalformedError("there is more than one next page")
    return targets.pop() if targets else None


def received(value: str | None, *, sent: int) -> int | None:
    """How many of the ``sent`` bytes an upload holds by its Range, ``0-LAST``; None if that cannot be (REG-038).

    ``0-0`` is how registries say that they hold nothing, too; after a single byte it is taken for that one.
    """
    match = _RECEIVED.fullmatch(value or "")
    if match is None:
        return None
    held = int(match[1]) + 1 if int(match[1]) or sent == 1 else 0
    return held if held <= sent else None


def content_range(value: str | None) -> tuple[int, int, int | None]:
    """First byte, last byte, and the size of the whole if it is given, of a 206 answer. Raises MalformedError."""
    match = _CONTENT_RANGE.fullmatch(value or "")
    if match is None:
        raise MalformedError(f"a part comes with the Content-Range {shown(value or '')}")
    first, last = int(match[1]), int(match[2])
    size = None if match[3] == "*" else int(match[3])
    if last < first or (size is not None and last >= size):
        raise MalformedError(f"a part comes with the Content-Range {shown(value or '')}")
    return first, last, size


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a registry refuses: its error codes, and what to show of it: escaped, at most 300 characters of it."""

    codes: frozenset[str]
    text: str

    @classmethod
    def parse(cls, body: bytes, *, secrets: Iterable[str] = ()) -> "Complaint":
        """From an error body as distribution-spec, "Error Codes" has it, or of any other kind. Never raises.

        What equals one of ``secrets`` is left out.
        """
        try:
            entries = [entry for entry in strictjson.loads(body, limit=MAX_ERROR, predicate=True)["errors"] if isinstance(entry, dict)]
        except (FormatError, KeyError, TypeError):
            return cls(frozenset(), without(secrets, body.decode("utf-8", "replace")))
        codes = frozenset(code for entry in entries if isinstance(code := entry.get("code"), str))
        said = "; ".join(_sentence(entry) for entry in entries[:3])
        return cls(codes, without(secrets, said))

    @property
    def lacks_content(self) -> bool:
        """Whether a manifest was refused because something that it names is not there."""
        unknown = self.codes & {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"}
        return bool(unknown) or ("MANIFEST_INVALID" in self.codes and "unknown" in self.text)

    @property
    def is_of_the_moment(self) -> bool:
        """Whether what is not there may be there in a moment: distribution 2.8 truncates its link to a blob that is pushed a
        second time before it writes it, and who reads it in between finds a digest without characters."""
        return self.lacks_content and "DIGEST_INVALID" in self.codes


def _sentence(entry: Mapping[str, object]) -> str:
    return ": ".join(value for name in ("code", "message") if isinstance(value := entry.get(name), str) and value)


def without(secrets: Iterable[str], text: str) -> str:
    """Foreign text for a message as :class:`Complaint` has it."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return ascii(" ".join(text.split())[:300])[1:-1]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
