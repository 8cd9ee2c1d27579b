"""``export``: images and all that vouches for them, into one sealed bundle."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bundler.cli import clock, options
from bundler.cli.terminal import Terminal, sized

if TYPE_CHECKING:
    from bundler.stations.exporter import Exported, Plan
    from bundler.stations.places import Reach


@click.command("export")
@click.argument("images", metavar="IMAGE...", nargs=-1)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The bundle, NAME.oci.tar.zst.")
@click.option(
    "--key",
    "keys",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="A private key that seals; repeatable.",
)
@click.option("--images", "list_file", metavar="FILE", help="References, one a line; a second column is the name to carry; - is stdin.")
@click.option("--as", "as_name", metavar="NAME", help="The reference to carry the one IMAGE under.")
@click.option("--stream", default="default", show_default=True, metavar="NAME", help="What line of bundles this is one of.")
@click.option("--sequence", type=click.IntRange(0, (1 << 53) - 1), help="Its number; else the time of creation in milliseconds.")
@click.option("--previous", metavar="FILE|sha256:…", help="The bundle before it in the stream.")
@click.option("--expires", metavar="90d", help="How long it may be imported; no limit without this.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH[/VARIANT]", help="Carry only this platform; repeatable.")
@options.trust
@click.option("--allow-unsigned", is_flag=True, help="Carry images that nothing signed is about.")
@click.option(
    "--carry", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="A further key, root or document, as evidence."
)
@click.option("--cache", type=click.Path(path_type=Path), metavar="DIR", help="Keep blobs here, so that a cut export goes on.")
@click.option("--replace", is_flag=True, help="Replace the output if it exists.")
@click.option("--dry-run", is_flag=True, help="Say what would be carried and how big it is; write nothing.")
@options.network
@options.passphrase
@options.terminal
def command(
    *,
    out: Terminal,
    reach: "Reach",
    password: options.Password,
    images: tuple[str, ...],
    output: Path,
    keys: tuple[Path, ...],
    list_file: str | None,
    as_name: str | None,
    stream: str,
    sequence: int | None,
    previous: str | None,
    expires: str | None,
    platforms: tuple[str, ...],
    trust_folder: Path | None,
    allow_unsigned: bool,
    carry: tuple[Path, ...],
    cache: Path | None,
    replace: bool,
    dry_run: bool,
) -> int:
    """Carry images, with everything that vouches for them, into one sealed bundle.

    IMAGE is a reference at a registry, oci:DIR[:REF] or oci-archive:FILE[:REF]. If there is trust here too, the images are
    verified first; without it everything is carried unchecked, and the bundle says so.

        oci-bundler export cgr.dev/chainguard/go:latest -o go.oci.tar.zst --key exporter.key
    """
    from bundler.stations import exporter, truststore
    from bundler.stations.cache import cached
    from bundler.stations.places import Places, wanted
    from bundler.stations.signer import open_signer
    from bundler.stations.survey import survey

    epoch, now = clock.source_date_epoch(), clock.now()
    created = (epoch or now).replace(microsecond=0)
    order = exporter.Order(
        stream=stream,
        sequence=sequence if sequence is not None else int((epoch or now).timestamp() * 1000),
        previous=exporter.previous(previous) if previous else None,
        created=created,
        expires=created + options.duration_of(expires) if expires else None,
        mtime=int(epoch.timestamp()) if epoch else 0,
    )
    chosen = [options.platform_of(text) for text in platforms]
    listed = wanted(images, list_file=list_file, as_name=as_name, stdin=sys.stdin)
    signers = [open_signer(path, role="seal", password=password) for path in dict.fromkeys(keys)]
    trust = truststore.load(trust_folder, os.environ) if truststore.find(trust_folder, os.environ) else None
    if trust is None:
        out.say("no trust here: nothing is verified before it is carried")
    with Places.of(reach, listed) as places, out.progress("carried") as progress:
        surveys = []
        for want in listed:
            located = places.locate(want)
            out.detail(f"asking about {located.reference}")
            source = cached(located.source, cache) if cache else located.source
            surveys.append(survey(located.reference, located.root, source, platforms=chosen, jobs=reach.jobs))
        made = exporter.plan(
            surveys,
            order,
            keys=[signer.public for signer in signers],
            carry=carry,
            trust=trust,
            at=now,
            allow_unsigned=allow_unsigned,
        )
        _warn(out, made)
        done = (
            exporter.planned(output, made)
            if dry_run
            else exporter.write(output, made, signers=signers, order=order, jobs=reach.jobs, replace=replace, progress=progress)
        )
    return out.answer(done.to_json(), _lines(done))


def _warn(out: Terminal, made: "Plan") -> None:
    for survey in made.surveys:
        for remark in survey.remarks:
            out.say(f"note: {remark}")
        if survey.carried.left_out:
            out.say(
                f"note: of {survey.carried.reference} not all platforms are carried. Its index stays as it is, so that its signatures hold; "
                "many registries refuse such an index (distribution 2.8, 3 by default, olareg)"
            )
        for digest in sorted(survey.carried.absent):
            out.say(f"note: the foreign layer {digest} is not at the source, and not carried")


def _lines(done: "Exported") -> list[str]:
    count = f"{len(done.plan.surveys)} image{'s' if len(done.plan.surveys) != 1 else ''}"
    if done.written:
        first = f"{done.file}  {count}, {sized(done.written.size)}"
    else:
        first = f"{done.file} would carry {count}, {sized(done.plan.size)} before compression"
    lines = [first]
    lines += [f"bundle   {done.identity}", f"sha256   {done.written.digest.encoded}"] if done.written and done.identity else []
    for survey in done.plan.surveys:
        carried = survey.carried
        evidence = sum(len(lookup.found) for lookup in carried.lookups)
        state = "verified" if done.plan.verdicts else "not verified"
        lines.append(f"carried  {carried.reference}  {carried.root}")
        lines.append(f"         {state}; {evidence} pieces of evidence; {', '.join(carried.platforms) or 'no platform'}")
    return lines
