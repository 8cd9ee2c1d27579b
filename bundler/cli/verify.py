"""``verify``: a bundle, or images where they lie, against the station's trust."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import clock, options
from bundler.cli.render import report_lines
from bundler.cli.terminal import Terminal
from bundler.errors import UsageError

if TYPE_CHECKING:
    from bundler.stations.places import Reach

PLACES = ("docker://", "oci:", "oci-archive:")


@click.command("verify")
@click.argument("what", metavar="FILE|IMAGE...", nargs=-1, required=True)
@options.trust
@click.option("--at", "at_text", metavar="TIME", help="Judge as of this time (2026-11-22T12:00:00Z); else now.")
@click.option("--as", "as_name", metavar="NAME", help="The reference that the one IMAGE is judged as.")
@options.network
@options.terminal
def command(
    *, out: Terminal, reach: "Reach", what: tuple[str, ...], trust_folder: Path | None, at_text: str | None, as_name: str | None
) -> int:
    """Prove a bundle, every byte and every signature, or images where they lie, against this station's trust.

    A FILE is a bundle. An IMAGE begins with docker://, oci: or oci-archive:. Nothing is written anywhere.

        oci-bundler verify release.oci.tar.zst
        oci-bundler verify docker://registry.example/app:1.0
    """
    from bundler.stations import truststore, verifier
    from bundler.stations.places import Places, Wanted
    from bundler.stations.report import Report, TrustUsed
    from bundler.stations.survey import survey

    at = options.time_of(at_text) if at_text else clock.now()
    bundles = [text for text in what if not text.startswith(PLACES)]
    if bundles and (len(what) > 1 or as_name):
        raise UsageError(
            "a bundle is verified by itself",
            found=" ".join(what),
            wanted="one bundle, or images that begin with docker://, oci: or oci-archive:",
            next=f"for an image at a registry: docker://{bundles[0]}",
        )
    if as_name and len(what) > 1:
        raise UsageError("--as names one image", found=f"{len(what)} images")
    trust = truststore.load(trust_folder, os.environ)
    if bundles:
        from bundler.bundle.archive import opened

        with opened(Path(bundles[0])) as archive, out.progress("verified") as progress:
            report = verifier.prove(archive, trust, at=at, jobs=reach.jobs, progress=progress).report
    else:
        images = []
        listed = [Wanted(text, as_name) for text in what]
        with Places.of(reach, listed) as places:
            for want in listed:
                located = places.locate(want)
                found = survey(located.reference, located.root, located.source, jobs=reach.jobs)
                images.append(verifier.prove_survey(found, trust, at=at))
        report = Report(trust=TrustUsed(trust.path, trust.policy.digest), images=tuple(images))
    return out.answer(report.to_json(), report_lines(out, report, done="{images} may enter"), exit=report.exit)
