"""``extract``: some images of a bundle, proved, as an OCI layout."""

import os
from pathlib import Path

import click

from bundler.cli import clock, options
from bundler.cli.render import report_lines
from bundler.cli.terminal import Terminal
from bundler.errors import UsageError


@click.command("extract")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("references", metavar="REF...", nargs=-1, required=True)
@click.option("--to", "target", required=True, metavar="oci:DIR", help="The layout to write, made if it is absent.")
@options.trust
@options.jobs
@options.terminal
def command(*, out: Terminal, file: Path, references: tuple[str, ...], target: str, trust_folder: Path | None, jobs: int) -> int:
    """Prove the seal and these images of a bundle, and write them with their evidence as an OCI layout.

    Only the parts of the file that they need are read.

        oci-bundler extract release.oci.tar.zst registry.example/app:1.0 --to oci:app
    """
    from bundler.bundle.archive import opened
    from bundler.stations import extractor, truststore

    if not target.startswith("oci:") or target == "oci:":
        raise UsageError("--to is not well-formed", found=ascii(target), wanted="oci:DIR")
    trust = truststore.load(trust_folder, os.environ)
    with opened(file) as archive, out.progress("extracted") as progress:
        report = extractor.extract(
            archive, references, Path(target.removeprefix("oci:")), trust, at=clock.now(), jobs=jobs, progress=progress
        )
    return out.answer(report.to_json(), report_lines(out, report, done="{images} verified and extracted to " + target), exit=report.exit)
