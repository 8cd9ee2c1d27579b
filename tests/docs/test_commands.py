"""docs/reference/commands.md against the commands themselves, both ways; and every command line of every page."""

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from bundler.cli.main import cli
from tests.docs.pages import DOCS, ROOT, Page, code

PAGE = Page.read(DOCS / "reference/commands.md")
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
SHARED = ("Every command", "Commands that use a network", "Commands that open a private key")
ABOVE = click.Context(cli, info_name="oci-bundler", **cli.context_settings)


def _commands() -> dict[str, click.Command]:
    """Every command by its words."""
    found: dict[str, click.Command] = {}
    for name in cli.list_commands(ABOVE):
        command = cli.get_command(ABOVE, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": each for inner, each in command.commands.items()}
        else:
            found[name] = command
    return found


COMMANDS = _commands()


def _section(heading: str) -> str:
    """The text below a heading, up to the next."""
    _, _, rest = PAGE.text.partition(f"\n## {heading}\n")
    assert rest, f"there is no section {heading}"
    return rest.partition("\n## ")[0]


def _rows(heading: str) -> Iterator[dict[str, str]]:
    for table in PAGE.tables:
        if table.heading == heading:
            yield from table.rows


def _shared(name: str) -> list[str]:
    """The tables that several commands share, those of this one: it is listed above the table, or all are."""
    listed = {heading: re.findall(r"`([a-z ]+)`", _section(heading).partition("\n|")[0]) for heading in SHARED}
    return [heading for heading, names in listed.items() if heading == "Every command" or name in names]


def _documented(name: str) -> dict[frozenset[str], dict[str, str]]:
    """The rows of options that the page gives a command, by the spellings of each."""
    rows = [row for heading in (*_shared(name), name) for row in _rows(heading)]
    found = {frozenset(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", row["option"])): row for row in rows}
    assert len(found) == len(rows), "an option stands twice"
    return found


def _options(name: str) -> dict[frozenset[str], click.Option]:
    command = COMMANDS[name]
    options = [each for each in command.get_params(click.Context(command, parent=ABOVE)) if isinstance(each, click.Option)]
    return {frozenset((*option.opts, *option.secondary_opts)): option for option in options}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_every_option_and_no_other(name: str) -> None:
    assert _documented(name).keys() == _options(name).keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_gives_the_defaults_that_count(name: str) -> None:
    told = _documented(name)
    for spellings, option in _options(name).items():
        cell = told[spellings]["default"]
        if option.required:
            assert cell == "required", spellings
        elif option.show_default and option.default is not None:
            assert cell == f"`{option.default}`", spellings
        else:
            assert cell != "required", spellings


@pytest.mark.parametrize("name", COMMANDS)
def test_options_that_take_a_value_are_shown_with_one(name: str) -> None:
    told = _documented(name)
    for spellings, option in _options(name).items():
        takes = not option.is_flag and not option.count
        assert (" " in code(told[spellings]["option"].rpartition(", ")[2])) is takes, spellings


@pytest.mark.parametrize("name", COMMANDS)
def test_choices_are_all_named(name: str) -> None:
    told = _documented(name)
    for spellings, option in _options(name).items():
        if isinstance(option.type, click.Choice):
            words = told[spellings]["meaning"] + told[spellings]["default"]
            assert all(f"`{choice}`" in words for choice in option.type.choices), spellings


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_shows_what_it_takes_and_an_example(name: str) -> None:
    text = _section(name)
    usage = re.findall(r"^    oci-bundler (.+)$", text, re.MULTILINE)
    assert usage
    assert all(line.startswith(name) for line in usage)
    arguments = [each for each in COMMANDS[name].params if isinstance(each, click.Argument)]
    for argument in arguments:
        word = (argument.metavar or argument.name or "").upper().replace("...", "").strip("[]")
        assert any(part in line for line in usage for part in word.split("|")), word
    assert f"\noci-bundler {name} " in text.partition("```sh")[2]


def test_the_list_at_the_top_has_every_command() -> None:
    linked = re.findall(r"\[([a-z ]+)\]\(#([a-z-]+)\)", PAGE.text.partition("\n## ")[0])
    assert {name for name, _ in linked} == COMMANDS.keys()
    assert all(anchor == name.replace(" ", "-") for name, anchor in linked)


# --- command lines on all pages ---


def _lines(page: Page) -> Iterator[str]:
    """Every line of the page's shell blocks that runs the command, joined where it goes on."""
    for block in page.blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            if (found := re.search(r"(?:^|[;&|(]\s*)oci-bundler (.*)", line)) is not None:
                yield found[1]


ALL_LINES = [(path.relative_to(ROOT), line) for path in PAGES for line in _lines(Page.read(path))]


@pytest.mark.parametrize(("page", "line"), ALL_LINES, ids=lambda value: str(value)[:70])
def test_every_command_line_of_the_pages_is_one_that_the_command_takes(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    words = words[: next((i for i, word in enumerate(words) if word in {"||", "&&", "|", ">", "&", "2>&1", ";"}), len(words))]
    if words[0].startswith("-"):
        return
    name = next(name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS)
    command = COMMANDS[name]
    context = command.make_context(name, words[len(name.split()) :], parent=ABOVE)
    assert context.command is command


def test_the_pages_have_command_lines() -> None:
    assert len(ALL_LINES) > 40
