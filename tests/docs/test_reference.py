"""docs/reference/exit-codes.md and reason-codes.md say what the code does."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler import errors
from bundler.errors import BundlerError, Code
from tests.docs.pages import DOCS, ROOT, Page, code

EXITS = Page.read(DOCS / "reference/exit-codes.md")
REASONS = Page.read(DOCS / "reference/reason-codes.md")
TREE: list[type[BundlerError]] = [BundlerError, *BundlerError.__subclasses__()]
CLASSES = {c.__name__: c for c in TREE}
SCRIPT = ROOT / "scripts/reference"


def documented() -> dict[str, str]:
    """How a run ends, by reason code, as the page says it."""
    return {code(row["code"]): row["exit"] for table in REASONS.tables for row in table.rows}


# Exit codes


def test_each_exit_code_is_documented_once() -> None:
    [table] = EXITS.tables
    assert [row["exit"] for row in table.rows] == ["0", *(str(c.exit) for c in CLASSES.values()), "9", "130"]


def test_the_words_are_those_of_the_classes() -> None:
    said = {row["exit"]: row for row in EXITS.tables[0].rows}
    drawn = re.findall(r"(\w+Error) +(\d)  (.+)", errors.__doc__ or "")
    assert [(name, int(number)) for name, number, _ in drawn] == [(name, c.exit) for name, c in CLASSES.items()]
    for name, number, words in drawn[1:]:
        assert said[number]["meaning"] == re.sub("Error$", "", name).lower()
        assert words.partition(";")[0].partition(",")[0] in said[number]["what it is"]


def test_the_error_that_is_shown_is_one_that_is_printed() -> None:
    [shown] = EXITS.blocks("json")
    error = json.loads(shown)["error"]
    assert list(error) == ["code", "exit", "what", "found", "wanted", "next"]
    assert documented()[error["code"]] == str(error["exit"])


# Reason codes


def test_the_page_lists_each_reason_code_with_its_meaning() -> None:
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, SCRIPT, "--check"], env=here, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_each_reason_code_stands_once_under_its_family() -> None:
    listed = [(table.heading, code(row["code"])) for table in REASONS.tables for row in table.rows]
    assert sorted(listed) == sorted((reason.partition(".")[0], str(reason)) for reason in Code)


@pytest.mark.parametrize("error", CLASSES.values())
def test_the_reason_code_of_a_class_ends_a_run_as_the_class_does(error: type[BundlerError]) -> None:
    assert documented()[error.default] == str(error.exit)


def test_an_error_ends_a_run_as_the_page_says_of_its_reason_code() -> None:
    """Outside ``trust/``, whose errors become checks or a matter of the trust folder before anyone sees them."""
    wrong = [
        f"{where}: {CLASSES[name].exit} with {reason}, of which the page says {documented()[reason]}"
        for path in sorted((ROOT / "bundler").rglob("*.py"))
        if not path.is_relative_to(ROOT / "bundler/trust")
        for where, name, reason in raised(path)
        if reason is not Code.INTERRUPTED and str(CLASSES[name].exit) not in documented()[reason].split(", ")
    ]
    assert not wrong, "\n".join(wrong)


def raised(path: Path) -> Iterator[tuple[str, str, Code]]:
    """Each reason code that the module gives one of our classes: where, the class, the code."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Name(id="translated")):
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                name = given["to"].id if isinstance(given["to"], ast.Name) else ""
            case ast.Call(func=ast.Name(id=name)):
                given = {keyword.arg: keyword.value for keyword in node.keywords}
            case _:
                continue
        if name in CLASSES and "code" in given:
            for part in ast.walk(given["code"]):
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "Code":
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", name, Code[part.attr]
