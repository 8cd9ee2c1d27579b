"""A table of ``trust.toml``, or of a file like it, read strictly."""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bundler.errors import Code, UsageError
from bundler.trust.foreign import foreign

FILE = "trust.toml"
MAX_FILE = 1 << 20  # a rule takes 200 bytes, so this is thousands of them
MAX_NAME = 64  # characters of what somebody is called: more than a row of a table has room for
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)  # bundle-v1.md, section 7


@dataclass(frozen=True, slots=True)
class Table:
    """A table of ``trust.toml``, or of a file like it, to be asked for its members by name. All raise UsageError (its ``code``)."""

    members: dict[str, Any]
    what: str
    code: Code = Code.TRUST_FORM

    @classmethod
    def parse(cls, raw: bytes, *, file: str = FILE, code: Code = Code.TRUST_FORM) -> "Table":
        if len(raw) > MAX_FILE:
            raise UsageError(f"{file} is too large", code=code, found=len(raw), wanted=f"at most {MAX_FILE} bytes")
        with foreign(f"{file} is not TOML", code=code, to=UsageError):
            return cls(tomllib.loads(raw.decode("utf-8", "strict")), file, code)

    def check_names(self, known: set[str]) -> None:
        if unknown := sorted(self.members.keys() - known):
            raise self.error(ascii(unknown[0])[1:-1], found="a name that this version does not know", wanted=" or ".join(sorted(known)))

    def text(self, name: str) -> str:
        value = self.members.get(name)
        if not is_text(value):
            raise self.error(name, found=value, wanted="a string of printable characters")
        return str(value)

    def label(self, name: str) -> str:
        value = self.text(name)
        if not LABEL.fullmatch(value):
            raise self.error(name, found=value, wanted="1 to 64 letters, digits, dots, underscores and hyphens")
        return value

    def called(self, name: str) -> str:
        """What somebody is called here."""
        value = self.members.get(name)
        if not is_name(value):
            raise self.error(name, found=value, wanted=f"1 to {MAX_NAME} printable characters, no space around them, no fingerprint")
        return str(value)

    def plain(self, name: str) -> str | int | bool:
        """A value that is compared with what stands in JSON."""
        value = self.members.get(name)
        if not isinstance(value, str | int | bool):
            raise self.error(name, found=value, wanted="a string, a whole number, true or false")
        return value

    def items(self, name: str) -> list[Any]:
        value = self.members.get(name, [])
        if not isinstance(value, list):
            raise self.error(name, found=value, wanted="a list")
        return value

    def table(self, name: str) -> "Table":
        """A table inside; absent is empty."""
        value = self.members.get(name, {})
        if not isinstance(value, dict):
            raise self.error(name, found=value, wanted="a table")
        return Table(value, f"{name} of {self.what}")

    def texts(self, name: str, *, least: int = 0) -> list[str]:
        value = self.members.get(name, [])
        if not isinstance(value, list) or len(value) < least or not all(map(is_text, value)):
            raise self.error(name, found=value, wanted=f"a list of {least} or more strings of printable characters")
        return value

    def tables(self, name: str) -> list["Table"]:
        value = self.members.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(name, found=value, wanted=f"tables [[{name}]]")
        where = "" if self.what == FILE else f" of {self.what}"
        return [Table(item, f"{name} {number}{where}") for number, item in enumerate(value, start=1)]

    def whole(self, name: str, least: int, most: int, *, default: int | None = None) -> int:
        value = self.members.get(name, default)
        if type(value) is not int or not least <= value <= most:
            raise self.error(name, found=value, wanted=f"a whole number from {least} to {most}")
        return value

    def threshold(self, most: int) -> int:
        """How many of ``most``; that one of one is meant goes without saying."""
        return 1 if most == 1 and "threshold" not in self.members else self.whole("threshold", 0, most)

    def choice(self, name: str, among: type[StrEnum], *, needed: bool = False) -> str:
        """One of them; the first where none is said, unless one is ``needed``."""
        default, *_ = among
        value = self.members.get(name, None if needed else str(default))
        if value not in list(among):
            raise self.error(name, found=value, wanted=" or ".join(among))
        return str(value)

    def error(self, name: str, *, found: object, wanted: object) -> UsageError:
        return UsageError(f"{name} of {self.what} is not well-formed", code=self.code, found=ascii(found)[:160], wanted=wanted)


def is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and value != ""


def is_name(value: object) -> bool:
    """Whether somebody may be called so. What has the beginning of a fingerprint in it could be taken for somebody else's."""
    return is_text(value) and len(text := str(value)) <= MAX_NAME and text == text.strip() and "sha256:" not in alike(text)


def alike(name: str) -> str:
    """The same for names that a person could take for one another by their case or the form of their letters."""
    return unicodedata.normalize("NFKC", name).casefold()
