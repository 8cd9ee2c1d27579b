"""What commands are made of: help in sections, and an answer to a word that is not a command."""

from collections.abc import Iterator
from typing import Any

import click

from bundler.errors import UsageError


class Option(click.Option):
    """An option that ``--help`` shows in the ``section`` of its kind."""

    def __init__(self, *words: Any, section: str, **more: Any) -> None:
        super().__init__(*words, **more)
        self.section = section


class Argument(click.Argument):
    """An argument that ``--help`` says something of."""

    def __init__(self, *words: Any, help: str, **more: Any) -> None:  # noqa: A002 - as in click
        super().__init__(*words, **more)
        self.about = help  # newer versions of click show a help of their own


class Command(click.Command):
    """A command whose ``--help`` describes its arguments, then its own options, then those that it shares, by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click has it."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for section, record in self._records(ctx):
            sections.setdefault(section, []).append(record)
        for section in sorted(sections, key=_ORDER.index):
            with formatter.section(section):
                formatter.write_dl(sections[section])

    def _records(self, ctx: click.Context) -> Iterator[tuple[str, tuple[str, str]]]:
        for param in self.get_params(ctx):
            if isinstance(param, Argument):
                yield ARGUMENTS, (param.human_readable_name, param.about)
            elif (record := param.get_help_record(ctx)) is not None:
                shared = OUTPUT if "--help" in param.opts else OPTIONS
                yield getattr(param, "section", shared), record


ARGUMENTS, OPTIONS, TRUST, KEY, REGISTRY, OUTPUT = "Arguments", "Options", "Trust", "Key", "Registry", "Output"
_ORDER = (ARGUMENTS, OPTIONS, TRUST, KEY, REGISTRY, OUTPUT)


class Group(click.Group):
    """A command of commands. ``help`` before a command, or alone, is ``--help`` behind it, as in git and docker."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click has it. Raises UsageError for a word that is not a command, with those that are spelled nearly like it."""
        word = args[0]
        if ctx.resilient_parsing and word not in self.list_commands(ctx) and not (word == "help" and args[1:]):
            return None, None, []  # somebody wants a word completed behind one that is not a command, or behind help
        if word == "help" and args[1:]:
            return self.resolve_command(ctx, [*args[1:], "--help"])
        if word == "help":
            click.echo(ctx.get_help(), color=ctx.color)
            ctx.exit()
        names = self.list_commands(ctx)
        if word in names:
            return super().resolve_command(ctx, args)
        from difflib import get_close_matches  # only here, for each start counts

        near = [f"`{ctx.command_path} {name}`" for name in get_close_matches(word.lower(), names, n=2)]
        raise UsageError(
            f"{word[:80]!a} is not a command of {ctx.command_path}",
            wanted=", ".join(names),
            next=f"did you mean {' or '.join(near)}?" if near else f"see `{ctx.command_path} --help`",
        )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """As click has it, but nothing is cut: the first sentence of each, whole."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _sentence(command)) for name, command in commands if command is not None])


def _sentence(command: click.Command) -> str:
    first, *_ = " ".join((command.help or "").partition("\n\n")[0].split()).partition(". ")
    return first.rstrip(".")
