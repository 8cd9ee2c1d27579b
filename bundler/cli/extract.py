"""``extract``: some images of a bundle, proved, as an OCI layout."""

import os
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.clock import now
from bundler.cli.commands import Argument, Command
from bundler.cli.render import report_lines
from bundler.cli.terminal import Terminal, escaped
from bundler.errors import UsageError


@click.command("extract", cls=Command)
@click.argument("file", type=click.Path(path_type=Path), cls=Argument, help="The bundle.")
@click.argument("references", metavar="REF...", nargs=-1, required=True, cls=Argument, help="Which of its images, by their full names.")
@click.option("--to", "target", required=True, metavar="oci:DIR", help="The layout to write, made if it is absent.")
@options.earlier
@options.trust
@options.station
@options.jobs
@options.terminal
def command(
    *,
    out: Terminal,
    file: Path,
    references: tuple[str, ...],
    target: str,
    earlier: tuple[Path, ...],
    trust_folder: Path | None,
    station_folder: Path | None,
    jobs: int,
) -> int:
    """Prove the seal and these images of a bundle, and write them with their evidence as an OCI layout.

    Only the parts of the file that they need are read.

    \b
    Examples:
      oci-bundler extract release.oci.tar.zst registry.example/app:1.0 --to oci:app
    """
    from bundler.bundle.archive import opened
    from bundler.ledger import folder
    from bundler.stations import elsewhere, extractor, truststore
    from bundler.stations.earlier import earlier_bundles
    from bundler.stations.station import Station

    if not target.startswith("oci:") or target == "oci:":
        raise UsageError("--to is not well-formed", found=ascii(target), wanted="oci:DIR")
    station = Station(truststore.load(trust_folder, os.environ), folder.find(station_folder, os.environ))  # it accepts nothing
    with opened(file) as archive, earlier_bundles(earlier, station.trust) as contents, elsewhere.named(out.say):
        layout = Path(target.removeprefix("oci:"))
        report = extractor.extract(archive, references, layout, station, at=now(), jobs=jobs, progress=out.progress, earlier=contents)
    done = report_lines(out, report, done=f"verified and extracted to {escaped(target)}")
    return out.answer(report.to_json(), done, exit=report.exit)
