"""The command ``oci-bundler``: its commands by name, and the one place where every error becomes words and an exit code."""

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

import bundler
from bundler.cli.commands import Group
from bundler.cli.terminal import Terminal
from bundler.errors import BundlerError, Code, UsageError

_COMMANDS = {
    "export": "carry images, with all that vouches for them, into one sealed bundle",
    "verify": "prove a bundle, or images where they lie, against the station's trust",
    "import": "prove a bundle, then fill a registry with it",
    "extract": "prove some images of a bundle, then write them as an OCI layout",
    "inspect": "show what a bundle claims to be, trusting nothing",
    "diff": "show what has changed between two bundles, or in what stations hold",
    "sign": "sign images where they lie, as cosign does",
    "keygen": "make a key pair",
    "trust": "fill and look at the folder that says whom this station trusts",
    "station": "make the folder in which this station remembers what it accepted",
    "status": "show what this station accepted, and what must come next",
    "receipt": "show and verify what a station wrote down about a bundle",
    "journal": "prove what a station wrote down of its imports, and vouch for it",
    "serve": "run the embedded registry",
}
_MODULES = {"import": "import_"}  # a word that Python keeps for itself
_ENDS = (signal.SIGTERM, signal.SIGHUP)  # end a run as Ctrl-C does


class _Commands(Group):
    """Loads a command's module only when it is run, so that ``--help`` and ``--version`` stay fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"bundler.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """As click has it, but no command is loaded for its name."""
        named = [CompletionItem(name, help=said) for name, said in _COMMANDS.items() if name.startswith(incomplete)]
        return [*named, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(bundler.__version__, "-V", "--version", prog_name="oci-bundler", message="%(prog)s %(version)s")
def cli() -> None:
    """Signed container images across an air gap.

    On the connected side `export` writes a sealed bundle. On the far side `import` proves every byte and every signature
    against trust that the station has pinned itself, and fills the registry there.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code (docs/reference/exit-codes.md)."""
    _have_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may lack the letters
    os.umask(os.umask(0o077) | 0o022)  # files may be less open than the caller says, never more
    words = list(sys.argv[1:] if arguments is None else arguments)
    with _ended_by_signals():
        code = _run(words, Terminal.plain(json="--json" in words))
    sys.exit(code)


def _run(words: list[str], terminal: Terminal) -> int:
    try:
        code = cli.main(args=words, prog_name="oci-bundler", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        return terminal.help(error.ctx.get_help(), exit=UsageError.exit)
    except click.ClickException as error:
        return terminal.error(UsageError(error.format_message(), next=_try_help(error)))
    except (click.Abort, KeyboardInterrupt):
        return terminal.interrupted(_go_on(words))
    except BundlerError as error:
        return terminal.error(error)
    except Exception as error:  # noqa: BLE001 - the last resort
        what = f"a bug in oci-bundler {bundler.__version__}: {type(error).__name__}"
        terminal.trace("".join(traceback.format_exception(error)))
        return terminal.error(BundlerError(what, code=Code.INTERNAL, next="please report it with the lines above"))
    return code if isinstance(code, int) else 0


def _go_on(words: list[str]) -> str:
    """What a person does after a run that was interrupted."""
    command = next((word for word in words if word in _COMMANDS), None)
    kept = any(word == "--cache" or word.startswith("--cache=") for word in words)
    if command == "import" or (command == "export" and kept):
        return "the same command goes on where this one stopped"
    if command == "export":
        return "the same command begins anew; with --cache DIR a run that was cut goes on where it stopped"
    return "the same command can be run again"


def _try_help(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path} --help`" if isinstance(context, click.Context) else None


def _have_streams() -> None:
    """Where a stream is closed, have one to nowhere: else the first file that is opened would take its place."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(opened)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it is there by number
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the system's signals end the run as a person does: cleanly. One that is ignored, as under nohup, stays so."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    taken = [number for number in _ENDS if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
