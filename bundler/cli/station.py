"""``station``: the folder in which a station remembers what it accepted."""

from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.commands import Argument, Command, Group
from bundler.cli.terminal import Terminal, escaped


@click.group("station", cls=Group)
def command() -> None:
    """Make the folder in which a station remembers what it accepted.

    \b
    Examples:
      oci-bundler station init /var/lib/oci-bundler/station --name plant-7
    """


@command.command("init", cls=Command)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path), cls=Argument, help="The station folder, absent or empty.")
@click.option("--name", required=True, metavar="NAME", help="What the station is called; exporters address bundles to it by that.")
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The private key that signs for it, ECDSA P-256; it stays where it is. Without it, one is made.",
)
@options.passphrase
@options.terminal
def init(*, out: Terminal, folder: Path, name: str, key: Path | None, password: options.Password) -> int:
    """Make DIR, which must be absent or empty, as the folder of a station that has accepted nothing.

    From then on import refuses what is older than the last bundle of its stream, and writes down what it accepted. The key that
    is made has no passphrase, for imports run unattended.

    \b
    Examples:
      oci-bundler station init /var/lib/oci-bundler/station --name plant-7
      oci-bundler station init station --name plant-7 --key station-2026.key
    """
    from bundler.stations import station

    made, fingerprint = station.init(folder, name=name, key=key, password=password)
    value = {"path": str(made.path), "name": made.profile.name, "key": str(made.profile.key), "fingerprint": fingerprint}
    public = "the public half of its key" if key else made.path / "station.pub"
    lines = [
        f"station {made.profile.name} at {made.path}",
        f"key      {made.profile.key}",
        f"         {fingerprint}",
        f"next: give its name and {public} to the exporter and to whoever audits it",
    ]
    return out.answer(value, map(escaped, lines))
