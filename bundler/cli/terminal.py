"""What a person or a script sees: results on stdout, everything else on stderr, foreign text escaped.

Colour and progress bars are for terminals only: not with NO_COLOR, TERM=dumb, a pipe or ``--json``.
"""

import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from bundler import strictjson
from bundler.errors import BundlerError, Code

Report = Callable[[int], None]
"""Told of bytes that have passed."""

INTERRUPTED = 130  # 128 and SIGINT, as shells say it
_REDRAW = 0.1  # seconds; more often is not seen
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
        wants = color == "always" or (
            color == "auto" and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )
        return cls(json=json, quiet=quiet, verbose=verbose, color=wants and not json)

    def answer(self, value: Mapping[str, Any], lines: Iterable[str], *, exit: int = 0) -> int:  # noqa: A002 - as everywhere here
        """Print the result, as JSON or as lines, and give the exit code back."""
        if self.json:
            sys.stdout.write(strictjson.dumps(value).decode() + "\n")
        else:
            shown = list(lines)[:1] if self.quiet else lines
            sys.stdout.writelines(line + "\n" for line in shown)
        return exit

    def error(self, error: BundlerError) -> int:
        """Say what happened, what was found and wanted, and what to do next."""
        if self.json:
            value = {
                "code": str(error.code),
                "exit": error.exit,
                "what": error.what,
                "found": error.found,
                "wanted": error.wanted,
                "next": error.next,
            }
            sys.stdout.write(strictjson.dumps({"error": value}).decode() + "\n")
        sys.stderr.write(f"oci-bundler: {error.code}: {escaped(error.what)}\n")
        for word in ("found", "wanted", "next"):
            if (text := getattr(error, word)) is not None:
                sys.stderr.write(f"  {word + ':':8}{escaped(text)}\n")
        return error.exit

    def interrupted(self) -> int:
        """The end after Ctrl-C or a cut prompt."""
        if self.json:
            value = {"code": str(Code.INTERRUPTED), "exit": INTERRUPTED, "what": "interrupted", "found": None, "wanted": None, "next": None}
            sys.stdout.write(strictjson.dumps({"error": value}).decode() + "\n")
        sys.stderr.write("\noci-bundler: interrupted; the same command goes on where this one stopped\n")
        return INTERRUPTED

    def say(self, text: str) -> None:
        """A line for the person, beside the result."""
        if not self.quiet:
            sys.stderr.write(escaped(text) + "\n")

    def detail(self, text: str) -> None:
        """A line for the person who asked for more with ``-v``."""
        if self.verbose:
            sys.stderr.write(escaped(text) + "\n")

    def good(self, text: str) -> str:
        return click.style(text, fg="green", bold=True) if self.color else text

    def bad(self, text: str) -> str:
        return click.style(text, fg="red", bold=True) if self.color else text

    def dim(self, text: str) -> str:
        return click.style(text, dim=True) if self.color else text

    @contextmanager
    def progress(self, label: str) -> Iterator[Report]:
        """A line that counts bytes while the block runs, on a terminal; silence elsewhere."""
        if self.quiet or self.json or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield lambda _: None
            return
        counter = _Counter(label)
        try:
            yield counter.add
        finally:
            counter.clear()


class _Counter:
    """Bytes so far, redrawn ten times a second by whichever thread passes."""

    def __init__(self, label: str) -> None:
        self._label, self._bytes, self._drawn, self._began = label, 0, 0.0, time.monotonic()

    def add(self, count: int) -> None:
        self._bytes += count  # threads may lose an addition here: it is a picture, not a check
        now = time.monotonic()
        if now - self._drawn >= _REDRAW:
            self._drawn = now
            rate = self._bytes / max(now - self._began, 0.001)
            sys.stderr.write(f"\r\x1b[K{self._label} {sized(self._bytes)}, {sized(round(rate))}/s")
            sys.stderr.flush()

    def clear(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def escaped(text: str) -> str:
    """``text`` with nothing in it that a terminal obeys or that reorders what is read: one line, always."""
    return "".join(c if _is_harmless(c) else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _is_harmless(character: str) -> bool:
    return character == " " or (unicodedata.category(character)[0] not in "CZ" and character not in _BIDI)


def sized(count: int) -> str:
    """Bytes in IEC units."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
