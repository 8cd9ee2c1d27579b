"""``verify``: a bundle, or images where they lie, against the station's trust."""

import os
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.clock import now
from bundler.cli.commands import Argument, Command
from bundler.cli.render import report_lines
from bundler.cli.terminal import Terminal
from bundler.errors import UsageError
from bundler.stations.registryflags import RegistryFlags

PLACES = ("docker://", "oci:", "oci-archive:")
SEALED = "sealed"
"""As a time: when those who sealed a bundle say that they made it."""


@click.command("verify", cls=Command)
@click.argument(
    "what",
    metavar="FILE|IMAGE...",
    nargs=-1,
    required=True,
    cls=Argument,
    shell_complete=options.completes_files,
    help="A bundle; or images: docker://NAME, oci:DIR[:REF], oci-archive:FILE[:REF].",
)
@options.trust
@options.station
@click.option(
    "--at",
    "at_text",
    metavar="TIME|sealed",
    help="Judge as of this time (2026-11-22T12:00:00Z), or as of when the bundle was sealed; else now.",
)
@click.option("--as", "as_name", metavar="NAME", help="The reference that the one IMAGE is judged as.")
@options.network
@options.terminal
def command(
    *,
    out: Terminal,
    reach: RegistryFlags,
    what: tuple[str, ...],
    trust_folder: Path | None,
    station_folder: Path | None,
    at_text: str | None,
    as_name: str | None,
) -> int:
    """Prove a bundle, every byte and every signature, or images where they lie, against this station's trust.

    Where there is a station, its memory counts too: the answer is the one that import would give now.

    A FILE is a bundle. An IMAGE begins with docker://, oci: or oci-archive:, and its layers are not read. Nothing is written anywhere.

    \b
    Examples:
      oci-bundler verify release.oci.tar.zst
      oci-bundler verify docker://registry.example/app:1.0
    """
    from bundler.bundle.archive import opened
    from bundler.bundle.parts import joining
    from bundler.ledger import folder
    from bundler.stations import truststore, verifier
    from bundler.stations.places import ImageArgument, Places
    from bundler.stations.report import Report, TrustUsed
    from bundler.stations.station import Station

    bundles = [text for text in what if not text.startswith(PLACES)]
    if bundles and (len(what) > 1 or as_name):
        raise UsageError(
            "a bundle is verified by itself",
            found=ascii(" ".join(what))[1:-1],
            wanted="one bundle, or images that begin with docker://, oci: or oci-archive:",
            next=joining(Path(bundles[0])) or f"for an image at a registry: docker://{bundles[0]}",
        )
    if as_name and len(what) > 1:
        raise UsageError("--as names one image", found=f"{len(what)} images")
    as_sealed = at_text == SEALED
    if as_sealed and not bundles:
        raise UsageError("only a bundle says when it was sealed", found=f"--at {SEALED}", wanted="a time, as 2026-11-22T12:00:00Z")
    trust, found = truststore.load(trust_folder, os.environ), folder.find(station_folder, os.environ)
    station = Station(trust, found) if at_text else Station.remembering(trust, found)  # then what was accepted since plays no part
    at = options.time_of(at_text) if at_text and not as_sealed else station.judged_at(now())
    if bundles:
        with opened(Path(bundles[0])) as archive:
            report = verifier.prove(archive, station, at=None if as_sealed else at, jobs=reach.jobs, progress=out.progress).report
        if as_sealed and report.bundle:
            out.say(f"judged as of {report.bundle.created}, when those who sealed it say that they made it")
    else:
        listed = [ImageArgument(text, as_name) for text in dict.fromkeys(what)]
        for want in listed:
            want.check()
        with Places.of(reach, listed, say=out.say) as places:
            images = verifier.prove_where_they_lie(places, listed, station, at=at, jobs=reach.jobs, say=out.detail)
        report = Report(trust=TrustUsed.of(station.trust), images=images)
    return out.answer(report.to_json(), report_lines(out, report, done="may enter"), exit=report.exit)
