"""``import``: a bundle, proved, into a registry."""

import os
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.clock import now
from bundler.cli.commands import Argument, Command
from bundler.cli.terminal import Terminal
from bundler.stations.registryflags import RegistryFlags


@click.command("import", cls=Command)
@click.argument("file", type=click.Path(path_type=Path), cls=Argument, help="The bundle.")
@click.argument(
    "destination",
    metavar="REGISTRY[/PREFIX]",
    cls=Argument,
    help="The registry to fill, HOST[:PORT], and what its repositories begin with.",
)
@options.trust
@options.station
@click.option(
    "--map", "maps", multiple=True, metavar="FROM=TO", help="Carry names that begin with FROM as TO below the prefix; repeatable."
)
@click.option(
    "--replace", is_flag=True, help="Move tags that name something else, and ask about all below those that name the image already."
)
@options.earlier
@click.option("--admit-passing", is_flag=True, help="Import the images that pass, though others do not (exit 9).")
@click.option("--verify-first", is_flag=True, help="Read and prove the whole bundle before the first byte is sent; layers are read twice.")
@click.option("--dry-run", is_flag=True, help="Verify, and ask the destination what would be sent and refused; change nothing.")
@click.option(
    "--attach",
    type=click.Choice(["auto", "none"]),
    default="none",
    show_default=True,
    help="auto: sign with the station's key, beside each image, that it was verified here (a SLSA summary).",
)
@options.passphrase
@options.network
@options.terminal
def command(
    *,
    out: Terminal,
    reach: RegistryFlags,
    file: Path,
    destination: str,
    password: options.Password,
    trust_folder: Path | None,
    station_folder: Path | None,
    maps: tuple[str, ...],
    replace: bool,
    earlier: tuple[Path, ...],
    admit_passing: bool,
    verify_first: bool,
    dry_run: bool,
    attach: str,
) -> int:
    """Prove a bundle as verify does and fill REGISTRY with it: whole images, evidence first, tags last.

    Signatures are judged first, then each layer is read once and hashed while it is sent. Nothing is named until the whole
    bundle is proven: what a damaged one leaves at the registry is blobs that are what their digests say, and no manifest.

    Of a bundle that leaves layers out (export --base), all of them are found at REGISTRY or in an earlier bundle (--from) before
    anything is sent.

    registry.example/app:1.0 becomes REGISTRY/PREFIX/registry.example/app:1.0 unless --map says otherwise. Digests never
    change. Cut off, the same command goes on where it stopped.

    Where there is a station, a bundle that is older than the last one of its stream is refused, that this one was accepted is
    written down before it is named, and a receipt of what was done, or refused, before the answer.

    \b
    Examples:
      oci-bundler import release.oci.tar.zst registry.plant.example/mirror
    """
    from bundler.cli import imported
    from bundler.ledger import folder
    from bundler.stations import truststore
    from bundler.stations.arrival import Arrival, Gate
    from bundler.stations.importer import Destination

    arrival = Arrival(
        file,
        Destination.parse(destination, maps),
        earlier=earlier,
        verify_first=verify_first,
        admit_passing=admit_passing,
        overwrite=replace,
        dry_run=dry_run,
        attach=attach == "auto",
    )
    trust, found = truststore.load(trust_folder, os.environ), folder.find(station_folder, os.environ)
    gate = Gate.at(trust, found, reach, password=password, say=out.say, progress=out.progress)
    return imported.answer(out, gate.take(arrival, clock=now()), dry_run=dry_run, remembers=found is not None)
