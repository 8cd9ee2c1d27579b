"""The command ``oci-bundler``: its commands by name, and the one place where every error becomes words and an exit code."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import click

import bundler
from bundler.cli.terminal import Terminal
from bundler.errors import BundlerError, Code, UsageError

_COMMANDS = {
    "export": "carry images, with all that vouches for them, into one sealed bundle",
    "verify": "prove a bundle, or images where they lie, against the station's trust",
    "import": "prove a bundle, then fill a registry with it",
    "extract": "prove some images of a bundle, then write them as an OCI layout",
    "inspect": "show what a bundle claims to be, trusting nothing",
    "sign": "sign images where they lie, as cosign does",
    "keygen": "make a key pair",
    "trust": "fill and look at the folder that says whom this station trusts",
    "serve": "run the embedded registry",
}
_MODULES = {"import": "import_"}  # a word that Python keeps for itself


class _Commands(click.Group):
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(bundler.__version__, prog_name="oci-bundler", message="%(prog)s %(version)s")
def cli() -> None:
    """Signed container images across an air gap.

    On the connected side `export` writes a sealed bundle. On the far side `import` proves every byte and every signature
    against trust that the station has pinned itself, and only then fills the registry there.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and end the process with its exit code (docs/reference/exit-codes.md)."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal may lack the letters
    os.umask(os.umask(0o077) | 0o022)  # files may be less open than the caller says, never more
    words = list(sys.argv[1:] if arguments is None else arguments)
    terminal = Terminal.plain(json="--json" in words)
    try:
        code = _run(words, terminal)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def _run(words: list[str], terminal: Terminal) -> int:
    try:
        code = cli.main(args=words, prog_name="oci-bundler", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        usage = UsageError(error.format_message(), next=_try_help(error))
        return terminal.error(usage)
    except (click.Abort, KeyboardInterrupt):
        return terminal.interrupted()
    except BundlerError as error:
        return terminal.error(error)
    except BrokenPipeError:
        raise
    except Exception as error:
        traceback.print_exc()
        what = f"a bug in oci-bundler {bundler.__version__}: {type(error).__name__}"
        return terminal.error(BundlerError(what, code=Code.INTERNAL, next="please report it with the lines above"))
    return code if isinstance(code, int) else 0


def _try_help(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path} --help`" if isinstance(context, click.Context) else None
