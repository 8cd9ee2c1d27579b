"""``import``: a bundle, proved, into a registry."""

import functools
import os
from contextlib import nullcontext
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.clock import now
from bundler.cli.commands import Argument, Command
from bundler.cli.render import report_lines
from bundler.cli.terminal import Terminal, counted, sized
from bundler.errors import Code, UsageError
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
    from bundler.bundle.archive import opened
    from bundler.ledger import folder
    from bundler.stations import elsewhere, importer, returning, truststore, verifier
    from bundler.stations.attaching import attaching
    from bundler.stations.earlier import earlier_bundles
    from bundler.stations.places import Places
    from bundler.stations.recording import Recorder
    from bundler.stations.station import Station, importing, open_key

    where = importer.Destination.parse(destination, maps)
    trust, found = truststore.load(trust_folder, os.environ), folder.find(station_folder, os.environ)
    if found is None and attach == "auto":
        raise UsageError("--attach auto needs a station, whose key signs", code=Code.STATION_MISSING, next="see `oci-bundler station init`")
    signer = None if found is None else open_key(found, trust.policy, password=password)
    clock = now()
    with (
        nullcontext(Station.remembering(trust, found)) if dry_run else importing(trust, found, say=out.say) as station,
        opened(file) as archive,
        Places(reach, hosts=[where.registry], say=out.say) as places,
    ):
        recorder = None if dry_run or signer is None else Recorder.begin(station, signer, say=out.say)
        places.greet(where.registry, where.prefix)  # before the long work; nothing of the bundle decides what is asked
        at = station.judged_at(clock)
        proved = verifier.prove_documents(archive, station, at=at, jobs=reach.jobs)
        report = proved.report
        record = (
            None if recorder is None else functools.partial(recorder.record, seal=archive.seal_digest, registry=str(where), clock=clock)
        )
        if verify_first or not proved.admitted or not (report.passed or admit_passing):
            proved = verifier.prove_rest(proved, jobs=reach.jobs, progress=out.progress)
            report = proved.report
        if not proved.admitted or not (report.passed or admit_passing):
            if proved.admitted:
                out.say(f"note: nothing was imported; --admit-passing imports the {counted(len(proved.admitted), 'image')} that may enter")
            if record is not None:
                report = record(proved, None)
            return out.answer(report.to_json(), report_lines(out, report, done=""), exit=report.exit)
        for rule in where.unused([image.verdict.reference for image in report.images]):
            out.say(f"note: --map {rule}=… fits no image of this bundle")
        with earlier_bundles(earlier, trust) as contents, elsewhere.named(out.say):
            done = importer.import_admitted(
                proved,
                where,
                places.repository,
                jobs=reach.jobs,
                overwrite=replace,
                dry_run=dry_run,
                progress=out.progress,
                accept=functools.partial(station.accept, clock=clock, journal=None if recorder is None else recorder.seen),
                attach=None if signer is None or attach == "none" else attaching(station, signer, proved, registry=where.registry, at=at),
                earlier=contents,
                held=functools.partial(returning.known_places, found, signer, where.registry),
            )
        report = done.report
        if record is not None:
            report = record(proved, done)
    damaged = report.content is not None and not report.content.passed
    if dry_run and not damaged:
        out.say(f"would send {counted(done.blobs, 'blob')}, {sized(done.sent)}; {done.there} are there already")
    elif not dry_run and damaged:
        out.say("note: no manifest and no tag was put; blobs that were sent before the damage was met are there without a name")
    elif not dry_run:
        out.detail(f"sent {counted(done.blobs, 'blob')}, {sized(done.sent)}; {done.there} were there already")
        if found is None:
            out.say("note: without `station init` old bundles go unnoticed, and no receipt is kept")
    words = ("verified, and would be imported", "would go to") if dry_run else ("verified and imported", "now at")
    return out.answer(report.to_json(), report_lines(out, report, done=words[0], moved=words[1]), exit=done.exit)
