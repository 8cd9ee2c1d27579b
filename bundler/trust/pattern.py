"""Regular expressions that a station's owner writes, and what the worst name can cost under them.

Python's ``re`` tries one way after another, so a slip in an expression lets a foreign name keep a station busy for minutes
or years. So only a part of its language is taken, of which the cost can be said before any name is seen: how many ways
there are through the expression, and how many steps they take together. The reader is our own; that of ``re`` is private to
Python and changes with it. What it does not know is refused, and with it all that looks behind, ahead or back.
"""

import re
from dataclasses import dataclass

from bundler.errors import Code, FormatError
from bundler.trust.foreign import foreign

MAX_PATTERN = 1 << 10  # characters; the longest in use, with every workflow of an organization, have some hundred
MAX_REPEATS = 2  # without an upper bound: with each further one a name costs up to MAX_MATCHED times as much
MAX_MATCHED = 2 << 10  # characters of what is matched: x509.MAX_NAME
MAX_STEPS = 1 << 28  # for one name; a literal character takes a nanosecond or two, and the slowest that pass half a second
_MAX_COUNT = 1000  # of a counted repeat
_MAX_NESTED = 20  # groups inside groups

_CLASS = re.compile(r"\[\^?\]?(?:[^\]\\\[]|\\[^\n])*\]", re.DOTALL)
_COUNT = re.compile(r"\{(?:([0-9]{1,4})(,([0-9]{1,4})?)?|,([0-9]{1,4}))\}", re.ASCII)
# A character that stands for itself, and that nothing behind it makes optional.
_LITERAL = re.compile(r"(?:([^\\.^$*+?{}()\[\]|])|\\([^a-zA-Z0-9]))(?![*?{])", re.DOTALL)
_REPEATS = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_ANCHORS = {"^", "$", r"\A", r"\Z", r"\b", r"\B"}
_LETTERS = frozenset("dDwWsSAZbBntr")  # behind a backslash; all other letters and digits mean something that is not taken

# Steps, measured, where a character that stands for itself takes one.
_CLASS_STEPS = 4
_ANCHOR_STEPS = 8
_CHOICE_STEPS = 16  # to go back and try the next way
_ROUND_STEPS = 32  # of a group under a repeat


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a part of an expression costs, from above."""

    steps: int
    """To go through it in every way, from one place of a name."""
    ways: int = 1
    """In which it can end there."""
    repeats: int = 0
    """Without an upper bound."""
    width: int = 0
    """The least number of characters that it takes."""
    of: str = ""
    """The character or class that it is or repeats; empty for anything else."""

    def then(self, other: "_Cost") -> "_Cost":
        steps, ways = self.steps + self.ways * other.steps, self.ways * other.ways
        return _bounded(_Cost(steps, ways, self.repeats + other.repeats, self.width + other.width))

    def beside(self, other: "_Cost") -> "_Cost":
        width = min(self.width, other.width)
        return _bounded(_Cost(_CHOICE_STEPS + self.steps + other.steps, self.ways + other.ways, self.repeats + other.repeats, width))

    def repeated(self, least: int, most: int | None) -> "_Cost":
        of_round = self.steps + (0 if self.of else _ROUND_STEPS)
        if most is None:
            if self.ways > 1 or self.width == 0 or self.repeats:
                raise _refused(
                    "a choice, a repeat or nothing at all under a repeat without an upper bound", "a repeat of what is of one length"
                )
            return _bounded(_Cost(MAX_MATCHED * of_round, MAX_MATCHED + 1, self.repeats + 1, self.width * least, self.of))
        if most > _MAX_COUNT:
            raise _refused("a count of a repeat", f"at most {_MAX_COUNT}", found=most)
        steps, ways, reached = 0, int(least == 0), 1
        for number in range(1, most + 1):
            steps += reached * (of_round + (_CHOICE_STEPS if number > least else 0))
            reached *= self.ways
            ways += reached if number >= least else 0
        return _bounded(_Cost(steps, ways, self.repeats * most, self.width * least, self.of))

    def up_to(self, literal: str) -> "_Cost":
        """Where only ``literal`` may follow: if it is none of what is repeated, it can follow in one place alone."""
        if not self.of or not literal or re.fullmatch(self.of, literal):
            return self
        return _Cost(self.steps + self.ways, 1, self.repeats, self.width)


def compiled(text: str) -> re.Pattern[str]:
    """The expression, whose match with at most MAX_MATCHED characters takes less than a second.

    Raises FormatError (``trust.form``) for one that could take longer, and for what is not taken of the language of ``re``.
    """
    if len(text) > MAX_PATTERN:
        raise _refused("a regular expression is too long", f"at most {MAX_PATTERN} characters", found=len(text))
    with foreign("not a regular expression that Python's re reads", code=Code.TRUST_FORM):
        _Reader(text).cost()
        return re.compile(text)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def cost(self, nested: int = _MAX_NESTED) -> _Cost:
        """Up to a parenthesis that closes; where none has opened, ``re`` refuses the whole."""
        if nested == 0:
            raise _refused("groups inside groups", f"at most {_MAX_NESTED} levels")
        cost = self._sequence(nested)
        while self._take("|"):
            cost = cost.beside(self._sequence(nested))
        return cost

    def _sequence(self, nested: int) -> _Cost:
        cost = _Cost(1)
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            cost = cost.then(self._repeated(self._item(nested)).up_to(self._literal()))
        return cost

    def _literal(self) -> str:
        """The character that must come next; empty where several may, or none."""
        found = _LITERAL.match(self._text, self._at)
        return (found[1] or found[2]) if found else ""

    def _item(self, nested: int) -> _Cost:
        if self._take("("):
            return self._group(nested)
        if self._text[self._at] == "[":
            return self._class()
        taken = self._text[self._at : self._at + (2 if self._text[self._at] == "\\" else 1)]
        self._at += len(taken)
        if taken in "*+?{" or (len(taken) == 2 and taken[1].isalnum() and taken[1] not in _LETTERS):
            raise _refused("a part of a regular expression that is not taken", "a character, a class, a group", found=taken)
        if taken in _ANCHORS:
            return _Cost(_ANCHOR_STEPS)
        is_class = taken == "." or (len(taken) == 2 and taken[1].isalpha())
        return _Cost(_CLASS_STEPS if is_class else 1, width=1, of=taken)

    def _group(self, nested: int) -> _Cost:
        if self._take("?") and not self._take(":"):
            raise _refused("a group that is not taken", "(…) or (?:…)", found=self._text[self._at - 2 : self._at + 2])
        inner = self.cost(nested - 1)
        if not self._take(")"):
            raise _refused("a group that is not closed", ")")
        return _Cost(inner.steps + _CLASS_STEPS, inner.ways, inner.repeats, inner.width)

    def _class(self) -> _Cost:
        found = _CLASS.match(self._text, self._at)
        if found is None:
            raise _refused("a class of characters that is not taken", "[…] without a [ in it, but as \\[", found=self._text[self._at :])
        self._at = found.end()
        if any(sign in found[0] for sign in ("--", "&&", "~~", "||")):
            raise _refused("a class of characters that Python will read otherwise one day", "no --, &&, ~~ or || in it", found=found[0])
        return _Cost(_CLASS_STEPS, width=1, of=found[0])

    def _repeated(self, cost: _Cost) -> _Cost:
        counted = _COUNT.match(self._text, self._at)
        if counted:
            self._at = counted.end()
            least, comma, most, at_most = counted.groups()
            bounds = (0, int(at_most)) if at_most else (int(least), int(most) if most else None if comma else int(least))
        else:
            sign = next((sign for sign in _REPEATS if self._take(sign)), None)
            if sign is None:
                return cost
            bounds = _REPEATS[sign]
        self._take("?")  # which way is tried first makes none more
        return cost.repeated(*bounds)

    def _take(self, character: str) -> bool:
        taken = self._text.startswith(character, self._at)
        self._at += taken
        return taken


def _bounded(cost: _Cost) -> _Cost:
    """So that no number grows beyond all bounds while an expression is read, each part is asked."""
    if cost.repeats > MAX_REPEATS:
        wanted = f"at most {MAX_REPEATS}; several entries may say what one cannot"
        raise _refused("a regular expression with many repeats without an upper bound (*, + and the like)", wanted)
    if cost.steps > MAX_STEPS:
        raise _refused(
            "a regular expression with which a name could keep a station busy", f"at most {MAX_STEPS} steps: fewer repeats and choices"
        )
    return cost


def _refused(what: str, wanted: str, *, found: object = None) -> FormatError:
    return FormatError(what, code=Code.TRUST_FORM, found=None if found is None else ascii(str(found))[:160], wanted=wanted)
