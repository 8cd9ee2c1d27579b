"""Pages of ``docs/``, taken apart, so that what they say can be run and compared."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Table:
    """A table, the heading that it stands under, and its rows by the names of the columns."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class Page:
    """A page in Markdown."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(path, path.read_text(encoding="utf-8"))

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks of that language, in order."""
        return [body for tongue, body in self.fenced if tongue == language]

    @property
    def fenced(self) -> list[tuple[str, str]]:
        """All fenced blocks: language and content."""
        return _FENCE.findall(self.text)

    @property
    def prose(self) -> str:
        """The page without its fenced blocks."""
        return _FENCE.sub("", self.text)

    @property
    def tables(self) -> list[Table]:
        """Its tables, in order."""
        heading, lines, found = "", [], []
        for line in [*self.prose.splitlines(), ""]:
            if line.startswith("#"):
                heading = line.lstrip("#").strip()
            if line.startswith("|"):
                lines.append([cell.strip() for cell in _CELL.split(line.strip().strip("|"))])
            elif lines:
                columns, _, *rows = lines
                found.append(Table(heading, tuple(columns), tuple(dict(zip(columns, row, strict=True)) for row in rows)))
                lines = []
        return found


def code(cell: str) -> str:
    """What stands between the first backticks of a cell, as one types it: a table needs its bars escaped."""
    got = re.search(r"`([^`]+)`", cell)
    assert got, f"no code in {cell!r}"
    return got[1].replace("\\|", "|")
