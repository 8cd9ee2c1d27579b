"""docs/pictures: drawn from what the commands print today, and readable by themselves, without a font or a file from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.docs.pages import DOCS, ROOT

PICTURES = sorted(DOCS.glob("pictures/*.svg"))
TERMINAL = DOCS / "pictures/terminal.svg"


def _lines(picture: str) -> list[str]:
    """What stands in the picture, line by line."""
    rows: dict[float, str] = {}
    for text in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text"):  # noqa: S314 - our own
        y = float(text.attrib["y"])
        rows[y] = f"{rows.get(y, '')}  {text.text}".strip()
    return list(rows.values())


def test_the_terminal_shows_what_the_commands_print(tmp_path: Path) -> None:
    script: list[str | Path] = [sys.executable, ROOT / "scripts/picture", "--into", tmp_path / "terminal.svg"]
    subprocess.run(script, check=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"})
    drawn = (tmp_path / "terminal.svg").read_text()
    assert _lines(TERMINAL.read_text()) == _lines(drawn), "run make picture"
    assert TERMINAL.read_text() == drawn


def test_the_terminal_shows_a_refusal_and_a_pass() -> None:
    lines = _lines(TERMINAL.read_text())
    assert [line.partition(" ")[2].partition(" --")[0].split()[:2] for line in lines if line.startswith("$")] == [
        ["oci-bundler", "import"]
    ] * 2
    assert any(line.startswith("REFUSED") for line in lines)
    assert any(line.startswith("PASSED") for line in lines)


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_needs_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    assert ET.fromstring(text).find("{http://www.w3.org/2000/svg}title") is not None  # noqa: S314 - our own
    assert not re.findall(r"<script|<image|<foreignObject|@import|@font-face|\bhref|url\(", text)
    assert set(re.findall(r"https?://[^\"\s<]+", text)) == {"http://www.w3.org/2000/svg"}
