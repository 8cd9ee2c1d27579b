"""Commands that hold commands: what they answer to a word that is not one of theirs, and to ``help``."""

import click

from bundler.errors import UsageError


class Group(click.Group):
    """A command of commands. ``help`` before a command, or alone, is ``--help`` behind it, as in git and docker."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click has it. Raises UsageError for a word that is not a command, with those that are spelled nearly like it."""
        word = args[0]
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
