"""What a person or a script sees: results on stdout, everything else on stderr, foreign text escaped.

Colour and progress bars are for terminals only: not with NO_COLOR, TERM=dumb, a pipe or ``--json``. Whoever reads our
output may stop whenever he likes: the run goes on, and its exit code says how it went.
"""

import os
import re
import sys
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, TextIO

import click

from bundler import strictjson
from bundler.content.files import disk
from bundler.content.stream import every
from bundler.errors import BundlerError, Code, UsageError

Report = Callable[[int], None]
"""Told of bytes that have passed."""

INTERRUPTED = 130  # 128 and SIGINT, as shells say it
_COLUMNS = re.compile(r"0*[1-9][0-9]{0,5}", re.ASCII)
COLUMNS = 80  # where nobody says how wide the screen is
REDRAWN = 0.2  # seconds; more often is not seen
LOGGED = 10.0  # seconds
LATELY, STILL = 10.0, 5.0  # seconds: over which speed is counted, and after which it is said that nothing moves
_CLEARED = "\r\x1b[K"
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""What takes no ink and is not of the categories of that: fillers, selectors of variants, an empty Braille cell. With one of them
a text looks like another one (Unicode, Default_Ignorable_Code_Point)."""
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where output goes, and how much of it."""

    json: bool
    quiet: bool
    verbose: int
    color: bool

    @classmethod
    def plain(cls, *, json: bool) -> "Terminal":
        """For what happens before the options are known."""
        return cls(json=json, quiet=False, verbose=0, color=False)

    @classmethod
    def of(cls, *, json: bool, quiet: bool, verbose: int, color: str) -> "Terminal":
        wants = color == "always" or (color == "auto" and _is_capable(sys.stdout))
        return cls(json=json, quiet=quiet, verbose=verbose, color=wants and not json)

    @property
    def width(self) -> int:
        """Columns of the screen that results go to: what COLUMNS says, else what a terminal has, else 80."""
        told = os.environ.get("COLUMNS", "")
        if _COLUMNS.fullmatch(told):
            return int(told)
        with suppress(OSError, ValueError):
            return os.get_terminal_size(sys.stdout.fileno()).columns or COLUMNS
        return COLUMNS

    def answer(self, value: Mapping[str, Any], lines: Iterable[str], *, exit: int = 0) -> int:  # noqa: A002 - as everywhere here
        """Print the result, as JSON or as lines, and give the exit code back. Raises TransportError (``disk.full``, ``disk.io``)."""
        with disk("the answer cannot be written to stdout"):
            if self.json:
                _print(sys.stdout, strictjson.dumps(value).decode() + "\n")
            else:
                _print(sys.stdout, "".join(line + "\n" for line in islice(lines, 1 if self.quiet else None)))
        return exit

    def error(self, error: BundlerError) -> int:
        """Say what happened, what was found and wanted, and what to do next."""
        self._end(error, error.exit)
        _say("\n".join(error_lines("oci-bundler", error)))
        return error.exit

    def interrupted(self, next: str) -> int:  # noqa: A002 - as in BundlerError
        """The end after Ctrl-C or a cut prompt, and how to go on."""
        self._end(BundlerError("interrupted", code=Code.INTERRUPTED, next=next), INTERRUPTED)
        _say(f"\noci-bundler: interrupted: what was not whole yet has no name; {next}")
        return INTERRUPTED

    def help(self, text: str, *, exit: int) -> int:  # noqa: A002
        """A command that was called without anything explains itself."""
        self._end(UsageError("there is nothing to do", wanted="a command"), exit)
        _say(text)
        return exit

    def trace(self, text: str) -> None:
        """Where a bug is."""
        _say("\n".join(escaped(line) for line in text.splitlines()))

    def say(self, text: str) -> None:
        """A line for the person, beside the result; from any thread, and in the place of a bar, which is drawn again below."""
        if not self.quiet:
            _say(f"{_CLEARED}{escaped(text)}" if self._draws else escaped(text))

    def detail(self, text: str) -> None:
        """A line for the person who asked for more with ``-v``."""
        if self.verbose:
            _say(escaped(text))

    def good(self, text: str) -> str:
        return click.style(text, fg="green", bold=True) if self.color else text

    def bad(self, text: str) -> str:
        return click.style(text, fg="red", bold=True) if self.color else text

    def dim(self, text: str) -> str:
        return click.style(text, dim=True) if self.color else text

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Report]:
        """A line that counts bytes, of ``total``, while the block runs; off a terminal one every ten seconds, for logs."""
        if self.quiet or self.json:
            yield lambda _: None
            return
        pace = Pace(label, total, time.monotonic())
        if not self._draws:
            with every(LOGGED, lambda: _say(pace.words(time.monotonic()))):
                yield pace.add
            return
        try:
            with every(REDRAWN, lambda: _say(f"{_CLEARED}{pace.words(time.monotonic())}", end="")):
                yield pace.add
        finally:
            _say(_CLEARED, end="")

    @property
    def _draws(self) -> bool:
        """Whether there may be a bar."""
        return not self.json and _is_capable(sys.stderr)

    def _end(self, error: BundlerError, exit: int) -> None:  # noqa: A002
        """The one object of a run that came to no verdict."""
        if self.json:
            with suppress(OSError):  # there is no better place to say so
                _print(sys.stdout, strictjson.dumps({"error": error_value(error) | {"exit": exit}}).decode() + "\n")


class Pace:
    """Bytes so far, and how fast they have gone of late. Times are seconds of a clock that only goes on."""

    def __init__(self, label: str, total: int, now: float) -> None:
        self._label, self._total, self._bytes = label, total, 0
        self._seen = deque([(now, 0)])
        self._moved = now

    def add(self, count: int) -> None:
        """Told of bytes that have passed, by whichever thread."""
        self._bytes += count  # threads may lose an addition here: it is a picture, not a check

    def words(self, now: float) -> str:
        """How far it is, how fast, and how long it takes at that speed; or for how long nothing has moved. Before the first
        byte there is no speed."""
        if self._bytes != self._seen[-1][1]:
            self._moved = now
        self._seen.append((now, self._bytes))
        while now - self._seen[1][0] >= LATELY:
            self._seen.popleft()
        (since, before), done = self._seen[0], self._bytes
        rate = (done - before) / max(now - since, 0.001)
        far = f"{self._label} {sized(done)} of {sized(max(self._total, done))}"
        if now - self._moved >= STILL:
            return f"{far}, nothing for {_lasting(now - self._moved)}"
        if not rate:
            return far
        return f"{far}, {sized(round(rate))}/s, {_lasting(max(0, self._total - done) / max(rate, 1))} left"


def _lasting(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def error_lines(where: str, error: BundlerError) -> Iterator[str]:
    """What happened, what was found and wanted, and what to do next, of ``where``, which may be foreign; all escaped."""
    yield f"{escaped(where)}: {error.code}: {escaped(error.what)}"
    for word in ("found", "wanted", "next"):
        if (text := getattr(error, word)) is not None:
            yield f"  {word + ':':8}{escaped(text)}"


def error_value(error: BundlerError) -> dict[str, Any]:
    """The same for scripts."""
    value = {"code": str(error.code), "exit": error.exit, "what": error.what}
    return value | {"found": error.found, "wanted": error.wanted, "next": error.next}


def counted(number: int, noun: str) -> str:
    """``1 image``, ``2 images``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def escaped(text: str) -> str:
    """``text`` with nothing in it that a terminal obeys, that nobody sees, or that reorders what is read: one line, always."""
    return "".join(c if _is_harmless(c) else c.encode("unicode_escape").decode() for c in text)


def sized(count: int) -> str:
    """Bytes in IEC units."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _is_capable(stream: TextIO) -> bool:
    """Whether somebody looks at it who wants colours and bars."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _is_harmless(character: str) -> bool:
    if character == " " or character.isascii():
        return character.isprintable()
    return unicodedata.category(character)[0] not in "CZ" and character not in _BIDI and not _UNSEEN.match(character)


def _say(text: str, *, end: str = "\n") -> None:
    with suppress(OSError):  # nobody can be told that nobody can be told
        _print(sys.stderr, text + end)


def _print(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # for what is left in the buffer: else the interpreter tries again, and ends with 120
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):  # then who reads has seen enough
            raise
