"""A table of one row an image, as wide as the screen: what does not fit is shortened in the middle, and whole with ``-v``."""

import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile

from bundler.cli.called import called, short
from bundler.cli.terminal import Terminal, escaped
from bundler.oci.reference import Reference
from bundler.stations.report import ImageReport
from bundler.trust.kinds import kind_named
from bundler.trust.verdict import SignedBy

INDENT = 9
"""Columns of what a line is about, where it has such a word."""

DIGITS = 12  # of a digest, as image tools show them
GAP = "  "
_COPIED, _SPACE = re.compile(r"`[^`]*`"), "\x1f"  # which is in no text that was escaped
_LEAST = 16  # columns that even a crowded row leaves to a name, and to signers


def fitted(text: str, room: int) -> str:
    """``text`` in at most ``room`` columns, with more of its end than of its beginning, for there it says which one it is."""
    if len(text) <= room:
        return text
    end = (room - 1) * 2 // 3
    return f"{text[: room - 1 - end]}…{text[-end:]}"


def wrapped(
    out: Terminal, about: str | None, text: str, *, mark: str = "", style: Callable[[str], str] = str, indent: int = INDENT
) -> list[str]:
    """A line, as several where it is too long. ``text`` may be foreign and is escaped; ``mark`` is ours, one word before it.

    Without anything that it is ``about``, even nothing, it stands out to the left of its further lines. What stands between
    backticks is a command to be copied, and stays whole.
    """
    kept = _COPIED.sub(lambda match: match[0].replace(" ", _SPACE), mark + escaped(text))
    begin = "" if about is None else f"{about:{indent}}"
    lines = textwrap.wrap(
        kept,
        max(out.width, indent + _LEAST),
        initial_indent=begin,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    first, *more = [line.replace(_SPACE, " ") for line in lines] or [begin]
    return [begin + style(mark) + first[len(begin + mark) :], *more]


class Names:
    """The names of images in a column of at most so much ``room``."""

    def __init__(self, out: Terminal, references: Sequence[Reference], room: int) -> None:
        names = [_name(reference) for reference in references]
        longest = max(map(len, names), default=0)
        self.prefix = _shared(names, out.width) if longest > room else ""
        """What all names begin with, where they are too long to be shown with it; in the rows a … stands for it."""
        self._width = min(room, longest - len(self.prefix) + 1 if self.prefix else longest)

    def told(self, out: Terminal) -> Iterator[str]:
        """What the rows leave out."""
        if self.prefix:
            yield from wrapped(out, "names", f"…NAME is {self.prefix}NAME")

    def cell(self, reference: Reference) -> str:
        name = _name(reference)
        return f"{fitted(f'…{name.removeprefix(self.prefix)}' if self.prefix else name, self._width):{self._width}}"


class Rows:
    """The rows of some images, in columns that all of them share."""

    def __init__(self, out: Terminal, images: Sequence[ImageReport]) -> None:
        self._out = out
        self._word = len("refused" if any(not image.verdict.passed for image in images) else "ok")
        self._state = max((len(image.state) for image in images if image.state), default=0)
        who = max((len(_who(image)) for image in images), default=0)
        longest = max((len(_name(image.verdict.reference)) for image in images), default=0)
        fixed = [self._word, *([self._state] if self._state else []), DIGITS]
        room = max(out.width - sum(fixed) - len(GAP) * (len(fixed) + (who > 0)), 2 * _LEAST)
        self._who = min(who, max(room - longest, _LEAST, room // 3))
        self.names = Names(out, [image.verdict.reference for image in images], room - self._who)

    def row(self, image: ImageReport) -> str:
        """What became of it, what it changes at the destination, its name and the beginning of its digest, who has signed it."""
        word, style = ("ok", self._out.good) if image.verdict.passed else ("refused", self._out.bad)
        state = f"{image.state or '':{self._state}}{GAP}" if self._state else ""
        padding = " " * (self._word - len(word))
        digest = image.verdict.digest.encoded[:DIGITS]
        cells = f"{padding}{GAP}{state}{self.names.cell(image.verdict.reference)}{GAP}{digest}{GAP}{fitted(_who(image), self._who)}"
        return style(word) + cells.rstrip()


def above(names: Sequence[str]) -> str:
    """What all the names begin with, up to a slash."""
    together = zip(*(name.split("/")[:-1] for name in names), strict=False)
    return "".join(f"{part}/" for part, *_ in takewhile(lambda parts: len(set(parts)) == 1, together))


def signers(image: ImageReport) -> list[SignedBy]:
    """Who of the rule has signed it, each once."""
    return list({(signer.kind, signer.id): signer for signer in reversed(image.verdict.signers)}.values())[::-1]


def legend(out: Terminal, images: Sequence[ImageReport]) -> Iterator[str]:
    """Whom the names in the rows are of."""
    seen = {(signer.kind, signer.id): signer for image in images for signer in signers(image)}
    room = out.width - INDENT
    told = [fitted(called(who.name, who.id), room) for who in seen.values() if who.name is not None or kind_named(who.kind).tells_who]
    if told:
        yield from wrapped(out, "signers", ", ".join(told))


def _name(reference: Reference) -> str:
    name, _, digest = escaped(str(reference)).partition("@")
    return f"{name}@{short(digest)}" if digest else name


def _who(image: ImageReport) -> str:
    return escaped(", ".join(signer.name or short(signer.id) for signer in signers(image)))


def _shared(names: Sequence[str], width: int) -> str:
    shared = above(names)
    return shared if len(names) > 1 and len(shared) < width - 2 * INDENT else ""
