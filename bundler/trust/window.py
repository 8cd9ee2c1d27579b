"""Windows of validity: from when to when a key or an authority vouches for anything."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bundler.errors import Code, FormatError

# RFC 3339, section 5.6. Protobuf writes nine digits of a second at most.
_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):([0-5]\d))", re.ASCII)


def parse_time(text: object) -> datetime:
    """An RFC 3339 time with its zone, in UTC; what is below a microsecond is cut off. Raises FormatError (``format.time``)."""
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise FormatError("a time is not of the form of RFC 3339", code=Code.FORMAT_TIME, found=ascii(text)[:60])
    seconds, fraction, sign, hours, minutes = match.groups()
    try:
        time = datetime.strptime(seconds.upper(), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        ahead = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return time.replace(microsecond=int(f"{fraction or '':0<6}"[:6])) + (ahead if sign == "-" else -ahead)
    except (ValueError, OverflowError) as error:
        raise FormatError("a time does not exist", code=Code.FORMAT_TIME, found=ascii(text)) from error


@dataclass(frozen=True, slots=True)
class Window:
    """A closed interval of time (protobuf-specs, ``TimeRange``); open where an end is None."""

    start: datetime | None = None
    end: datetime | None = None

    def __contains__(self, time: datetime) -> bool:
        return (self.start is None or self.start <= time) and (self.end is None or time <= self.end)

    def __str__(self) -> str:
        return f"{'…' if self.start is None else spelled(self.start)} to {'…' if self.end is None else spelled(self.end)}"


ALWAYS = Window()


def spelled(time: datetime) -> str:
    """``time`` in UTC as a person reads it."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
