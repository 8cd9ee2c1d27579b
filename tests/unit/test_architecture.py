"""The layers of the package, and the one door to each thing outside it.

Read BELOW and DOORS first: they are the architecture. A change that needs another line in them
is a change of the architecture, and says why in its message.
"""

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cases import each

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "bundler"

# Each layer, and those below it that it may import beside itself.
BELOW = {
    "__init__": set(),
    "errors": set(),
    "strictjson": {"errors"},
    "oci": {"errors", "strictjson"},
    "trust": {"errors", "strictjson", "oci"},
    "content": {"errors", "strictjson", "oci"},
    "bundle": {"errors", "strictjson", "oci", "content"},
    "ledger": {"errors", "strictjson", "oci", "trust", "content", "bundle"},
    "stations": {"errors", "strictjson", "oci", "trust", "content", "bundle", "ledger"},
    "serving": {"errors", "strictjson", "oci", "content"},
    "cli": {"errors", "strictjson", "oci", "trust", "content", "bundle", "ledger", "stations", "serving"},
    "__main__": {"cli"},
}

# Each thing outside, and the folders or files of the package that may import it.
CLIENT = "content/registry/"
SERVER = "serving/"
THREADS = ("content/stream.py", SERVER)
DOORS = {
    "zstandard": ("bundle/frames.py", "bundle/foreignarchive.py"),
    "tarfile": ("bundle/foreignarchive.py",),
    "cryptography": ("trust/", "stations/"),
    "click": ("cli/",),
    "http": (CLIENT, SERVER),  # the names of statuses
    "socket": (CLIENT, SERVER),
    "ssl": (CLIENT,),
    "select": (CLIENT, SERVER),
    "socketserver": (),
    "urllib.request": (),
    "subprocess": ("content/registry/credentials.py",),
    "threading": THREADS,
    "concurrent": THREADS,
    "importlib": ("cli/main.py",),  # commands are loaded by their names
    "asyncio": (),
    "multiprocessing": (),
    "pickle": (),
    "zipfile": (),
}
CLOCK = "cli/clock.py"
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
IMPORTS_IN_FUNCTIONS = "cli/"  # a command loads its station when it runs, so that --help stays fast

PURE = {"errors", "strictjson", "oci", "trust"}
IMPURE = {
    *("os", "io", "pathlib", "shutil", "tempfile", "glob", "mmap", "fcntl"),
    *("socket", "ssl", "http", "select", "subprocess", "threading", "signal"),
    *("time", "random", "secrets", "uuid", "logging", "locale"),
}
DEPENDENCIES = {"click": "click>=8.1", "cryptography": "cryptography>=48", "zstandard": "zstandard>=0.23"}


def offences(path: str, source: str) -> Iterator[str]:
    """What this module of the package, named from its root, does against the tables above."""
    layer = path.partition("/")[0].removesuffix(".py")
    tree = _parsed(source)
    at_module_level = set(_outside_functions(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt | ast.expr):
            continue  # it has no line of its own, and none of these
        for module in _imported(node):
            yield from (f"{path}:{node.lineno}: {offence}" for offence in _import_offences(path, layer, module))
        if isinstance(node, ast.Import | ast.ImportFrom):
            if (node.lineno, node.col_offset) not in at_module_level and not path.startswith(IMPORTS_IN_FUNCTIONS):
                yield f"{path}:{node.lineno}: imports inside a function"
            if any(alias.name in {"*", "TYPE_CHECKING"} for alias in node.names):
                yield f"{path}:{node.lineno}: imports {node.names[0].name}"
        if _reads_the_clock(node) and path != CLOCK:
            yield f"{path}:{node.lineno}: reads the clock, which is {CLOCK}'s"
        if layer in PURE and isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"open", "print", "input"}:
            yield f"{path}:{node.lineno}: {layer} is pure and calls {node.func.id}()"
    if layer not in BELOW:
        yield f"{path}: {layer} is not a layer, found in {ast.get_docstring(tree)!r}"


@functools.cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


def _outside_functions(node: ast.AST) -> Iterator[tuple[int, int]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child.lineno, child.col_offset
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case) and not isinstance(child, FUNCTIONS):
            yield from _outside_functions(child)


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=0):
            return [f"{module}.{alias.name}" for alias in names]
        case ast.ImportFrom():
            return ["a relative name"]
        case ast.Call(func=ast.Name(id="__import__")):
            return ["a computed name"]
    return []


def _import_offences(path: str, layer: str, module: str) -> Iterator[str]:
    first, _, rest = module.partition(".")
    if first == "bundler":
        wanted = rest.partition(".")[0]
        if wanted in BELOW and wanted not in BELOW.get(layer, set()) | {layer}:
            yield f"{layer} imports {wanted}"
        return
    if first not in sys.stdlib_module_names and first not in DEPENDENCIES:
        yield f"imports {module}, which is neither ours, the standard library's nor one of {sorted(DEPENDENCIES)}"
    if layer in PURE and first in IMPURE:
        yield f"{layer} is pure and imports {module}"
    for outside, doors in DOORS.items():
        if f"{module}.".startswith(f"{outside}.") and not path.startswith(doors):
            yield f"imports {module}, whose door is {' or '.join(doors) or 'shut'}"


def _reads_the_clock(node: ast.AST) -> bool:
    match node:
        case ast.Attribute(attr="now" | "utcnow" | "today"):
            return True
        case ast.Attribute(value=ast.Name(id="time"), attr="time" | "time_ns" | "localtime" | "gmtime" | "strftime"):
            return True
        case ast.ImportFrom(module="time", names=names):
            return any(alias.name in {"time", "time_ns", "localtime", "gmtime", "strftime"} for alias in names)
    return False


@pytest.mark.parametrize("layer", sorted({module.relative_to(PACKAGE).parts[0] for module in PACKAGE.rglob("*.py")}))
def test_the_package_keeps_its_layers_and_its_doors(layer: str) -> None:
    modules = sorted((PACKAGE / layer).rglob("*.py")) if (PACKAGE / layer).is_dir() else [PACKAGE / layer]
    assert modules
    found = [offence for module in modules for offence in offences(module.relative_to(PACKAGE).as_posix(), module.read_text())]
    assert not found, "\n".join(found)


@each(
    ("path", "source", "offence"),
    [
        ("oci/digest.py", "from bundler.trust import judge", "oci imports trust"),
        ("oci/digest.py", "from bundler import content", "oci imports content"),
        ("oci/digest.py", "from pathlib import Path", "oci is pure and imports pathlib.Path"),
        ("trust/policy.py", "import bundler.bundle.seal", "trust imports bundle"),
        ("trust/policy.py", "open('policy')", "trust is pure and calls open()"),
        ("content/store.py", "import bundler.trust", "content imports trust"),
        ("bundle/seal.py", "from bundler.trust.keys import Key", "bundle imports trust"),
        ("bundle/seal.py", "import zstandard", "whose door is bundle/frames.py"),
        ("stations/export.py", "import click", "whose door is cli/"),
        ("stations/export.py", "import http.client", "whose door is content/registry/ or serving/"),
        ("stations/export.py", "from urllib import request", "whose door is shut"),
        ("stations/export.py", "import ssl", "whose door is content/registry/"),
        ("content/registry/http.py", "from bundler.serving import api", "content imports serving"),
        ("stations/export.py", "import requests", "neither ours"),
        ("stations/export.py", "import asyncio", "whose door is shut"),
        ("stations/export.py", "from datetime import datetime\nat = datetime.now()", ":2: reads the clock"),
        ("stations/export.py", "import time\nat = time.time()", ":2: reads the clock"),
        ("stations/export.py", "def f():\n    import json", ":2: imports inside a function"),
        ("stations/export.py", "from json import *", "imports *"),
        ("stations/export.py", "from typing import TYPE_CHECKING", "imports TYPE_CHECKING"),
        ("stations/export.py", "from . import verify", "imports a relative name"),
        ("stations/export.py", "__import__(name)", "imports a computed name"),
        ("stations/export.py", "from importlib import import_module", "whose door is cli/main.py"),
        ("cli/export.py", "import cryptography.x509", "whose door is trust/ or stations/"),
        ("helpers/text.py", "", "helpers is not a layer"),
    ],
)
def test_an_offence_is_seen(path: str, source: str, offence: str) -> None:
    assert any(offence in found for found in offences(path, source))


@each(
    ("path", "source"),
    [
        ("trust/keys.py", "from cryptography import x509\nfrom bundler.oci.digest import Digest"),
        ("cli/export.py", "def export():\n    from bundler.stations.exporter import export"),
        ("content/registry/http.py", "import socket, ssl, time\ntime.monotonic()"),
        ("serving/exchange.py", "from http import HTTPStatus\nfrom bundler.content.stream import CHUNK"),
        ("stations/importer.py", "from urllib.parse import quote\nfrom bundler import __version__"),
        ("cli/clock.py", "from datetime import UTC, datetime\ndatetime.now(UTC)"),
    ],
)
def test_what_the_tables_allow_is_no_offence(path: str, source: str) -> None:
    assert list(offences(path, source)) == []


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_a_question_about_the_command_loads_nothing_heavy(flag: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "bundler", flag]
    asked = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in asked.stderr.splitlines() if "|" in line}
    assert "click" in loaded
    assert not loaded & {"cryptography", "zstandard", "http", "ssl"}
    assert asked.stdout


def test_the_package_needs_these_three_at_run_time_and_no_fourth() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sorted(project["dependencies"]) == sorted(DEPENDENCIES.values())
    assert "optional-dependencies" not in project
    asked_for = [line for line in (ROOT / "requirements/run.in").read_text().splitlines() if not line.startswith("#")]
    assert asked_for == sorted(DEPENDENCIES.values())


@pytest.mark.parametrize("name", ["run", "build", "pipx", "dev"])
def test_requirements_are_pinned_by_hash_and_name_no_index(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    assert re.findall(r"^--|://", text, re.MULTILINE) == []
    requirements = [line for line in text.replace("\\\n", "").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert [line for line in requirements if "==" not in line or "--hash=sha256:" not in line] == []


MAX_MODULE = 450  # lines: a subject that takes more is two


def test_a_module_has_one_subject() -> None:
    lines = {module.relative_to(PACKAGE).as_posix(): len(module.read_text().splitlines()) for module in PACKAGE.rglob("*.py")}
    assert {module: taken for module, taken in lines.items() if taken > MAX_MODULE} == {}


MAX_FUNCTION = 60  # lines, with its docstring


def test_a_function_fits_a_screen() -> None:
    functions = (
        (f"{module.relative_to(PACKAGE).as_posix()}:{node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for module in PACKAGE.rglob("*.py")
        for node in _statements(_parsed(module.read_text()))
        if isinstance(node, FUNCTIONS)
    )
    assert {name: lines for name, lines in functions if lines > MAX_FUNCTION} == {}


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Those at any depth, without what they are made of: functions stand among them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield child
            yield from _statements(child)


def test_every_place_that_the_page_of_the_architecture_names_is_there() -> None:
    named = set(re.findall(r"`([a-z][\w.-]*(?:/[\w.-]*)+)`", (ROOT / "docs/architecture.md").read_text()))
    assert len(named) > 40
    assert [
        name for name in sorted(named) if not any(Path(f"{base}/{name}{end}").exists() for base in (ROOT, PACKAGE) for end in ("", ".py"))
    ] == []
