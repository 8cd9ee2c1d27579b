"""``serve``: the embedded registry."""

import ipaddress
import os
import signal
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.commands import Argument, Command
from bundler.cli.terminal import Terminal
from bundler.errors import UsageError


@click.command("serve", cls=Command)
@click.argument(
    "folder",
    metavar="[DIR]",
    required=False,
    type=click.Path(path_type=Path),
    cls=Argument,
    help="Where the registry keeps what it has; else below $XDG_DATA_HOME.",
)
@click.option("--listen", default="127.0.0.1:5000", show_default=True, metavar="HOST:PORT", help="Where; port 0 is any free one.")
@click.option(
    "--host", "hosts", multiple=True, metavar="NAME", help="A name that requests may be for, beside loopback's and --listen's; repeatable."
)
@click.option("--read-only", is_flag=True, help="Refuse every change.")
@click.option("--allow-push", is_flag=True, help="Let everybody who reaches it push, also from other machines.")
@options.terminal
def command(*, out: Terminal, folder: Path | None, listen: str, hosts: tuple[str, ...], read_only: bool, allow_push: bool) -> int:
    """Run a registry over DIR (else $XDG_DATA_HOME/oci-bundler/registry) until SIGTERM or Ctrl-C.

    It asks nobody for a password, so elsewhere than on loopback it wants --read-only or --allow-push. It answers only
    requests for a host that it serves, as a guard against pages in browsers that point their own name at it.

    \b
    Examples:
      oci-bundler serve ./registry --listen 127.0.0.1:5000
    """
    from bundler.serving.server import Server

    host, port = _address(listen)
    if not _is_loopback(host) and not (read_only or allow_push):
        raise UsageError(
            f"{listen!a} can be reached from elsewhere, and everyone who reaches it could push",
            wanted="--read-only or --allow-push",
        )
    server = Server(folder or _default_folder(), address=(host, port), read_only=read_only, log=out.detail, hosts=hosts)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: server.stop())
    out.answer({"url": server.url}, [f"listening on {server.url}"])
    server.serve_forever()
    return 0


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UsageError("--listen is not well-formed", found=ascii(text), wanted="HOST:PORT, as 127.0.0.1:5000")
    return host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port)  # noqa: S104 - checked by the caller


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _default_folder() -> Path:
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "oci-bundler" / "registry"
