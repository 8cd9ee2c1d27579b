"""What a shell is told when Tab is pressed (the shells themselves are asked in tests/interop/test_completion.py)."""

import subprocess
import sys
from pathlib import Path

import pytest

from bundler.cli.options import PLATFORMS
from tests.support.cases import each
from tests.support.station import Ran, run

COMMANDS = [
    "export",
    "verify",
    "import",
    "extract",
    "inspect",
    "diff",
    "sign",
    "keygen",
    "trust",
    "station",
    "status",
    "receipt",
    "journal",
    "serve",
]


def tab(*words: str, begun: str = "") -> Ran:
    """Tab behind ``words``, at a word that was begun."""
    line = " ".join(["oci-bundler", *words, begun]).rstrip()
    env = {"_OCI_BUNDLER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) + 1)}
    return run(env=env)


def put(*words: str, begun: str = "") -> list[str]:
    """What the shell may put there."""
    ran = tab(*words, begun=begun)
    assert (ran.exit, ran.err) == (0, "")
    return [line.partition(",")[2] or line for line in ran.out.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_this_program(shell: str) -> None:
    ran = run(env={"_OCI_BUNDLER_COMPLETE": f"{shell}_source"})
    assert (ran.exit, ran.err) == (0, "")
    assert f"_OCI_BUNDLER_COMPLETE={shell}_complete" in ran.out


@pytest.mark.parametrize("wanted", ["tcsh_source", "bash_nonsense", "nonsense"])
def test_what_is_not_a_shell_of_these_is_a_quiet_failure(wanted: str) -> None:
    ran = run(env={"_OCI_BUNDLER_COMPLETE": wanted})
    assert (ran.exit, ran.out) == (1, "")


def test_commands_come_as_they_stand_in_help() -> None:
    assert put() == COMMANDS
    assert put(begun="ex") == ["export", "extract"]
    assert put("trust", begun="re") == ["remove"]


def test_options_of_a_command_come() -> None:
    assert put("import", begun="--dr") == ["--dry-run"]
    assert put("sign", "--key", "x", begun="--form") == ["--form"]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("export", "--platform"), list(PLATFORMS)),
        (("inspect", "x", "--color"), ["auto", "always", "never"]),
        (("keygen", "--type"), ["p256", "p384", "rsa3072", "ed25519"]),
        (("sign", "--form"), ["auto", "sig", "bundle", "sig,bundle"]),
    ],
)
def test_values_that_are_known_come(words: tuple[str, ...], values: list[str]) -> None:
    assert put(*words) == values
    assert put(*words, begun=values[-1]) == [values[-1]]
    assert put(*words, begun="zz") == []


@each(
    "words",
    [
        *(("verify",), ("import",), ("extract",), ("inspect",), ("diff",), ("diff", "a"), ("export",), ("sign",)),
        *(
            ("export", "--images"),
            ("sign", "--images"),
            ("export", "-o"),
            ("export", "--key"),
            ("import", "--trust"),
            ("verify", "--ca-file"),
        ),
    ],
)
def test_names_of_files_are_for_the_shell_to_find(words: tuple[str, ...]) -> None:
    assert tab(*words).out.startswith("file,")


@pytest.mark.parametrize("words", [("nonsense",), ("trust", "nonsense"), ("trust", "nonsense", "further")])
def test_behind_a_word_that_is_not_a_command_nothing_comes_and_nothing_is_said(words: tuple[str, ...]) -> None:
    ran = tab(*words, begun="--x")
    assert (ran.exit, ran.out.strip(), ran.err) == (0, "", "")


def test_behind_help_come_the_commands_and_their_options() -> None:
    assert put("help", begun="ver") == ["verify"]
    assert put("help") == COMMANDS
    assert put("help", "trust", begun="ini") == ["init"]


def test_to_complete_a_command_loads_no_command(tmp_path: Path) -> None:
    """Each Tab starts the program anew."""
    env = {"_OCI_BUNDLER_COMPLETE": "bash_complete", "COMP_WORDS": "oci-bundler im", "COMP_CWORD": "1", "PYTHONPATH": str(Path.cwd())}
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*[name for name in sys.modules if name.split('.')[0] in {'cryptography', 'zstandard', 'ssl'}"
        " or name.startswith('bundler.stations')]))\n"
        "from bundler.cli.main import main\n"
        "main([])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["plain,import"]
