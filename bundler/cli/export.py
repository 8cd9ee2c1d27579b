"""``export``: images and all that vouches for them, into one sealed bundle."""

import dataclasses
import os
import sys
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.clock import now, source_date_epoch
from bundler.cli.commands import Argument, Command
from bundler.cli.terminal import Terminal
from bundler.stations.reach import Reach


@click.command("export", cls=Command)
@click.argument(
    "images", metavar="IMAGE...", nargs=-1, cls=Argument, help="HOST/REPOSITORY:TAG at a registry, oci:DIR[:REF] or oci-archive:FILE[:REF]."
)
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
@click.option(
    "--absent-is-403", "absent_is_403", multiple=True, metavar="HOST", help="HOST answers 403 for tags that are not there; repeatable."
)
@click.option("--leave", "left", multiple=True, metavar="DIGEST", help="Go on without what of this digest cannot be read; repeatable.")
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
    reach: Reach,
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
    left: tuple[str, ...],
    trust_folder: Path | None,
    absent_is_403: tuple[str, ...],
    allow_unsigned: bool,
    carry: tuple[Path, ...],
    cache: Path | None,
    replace: bool,
    dry_run: bool,
) -> int:
    """Carry images, with everything that vouches for them, into one sealed bundle.

    IMAGE is a reference at a registry, oci:DIR[:REF] or oci-archive:FILE[:REF]. If there is trust here too, the images are
    verified first; without it everything is carried unchecked, and the bundle says so.

    \b
    Examples:
      oci-bundler export cgr.dev/chainguard/go:latest -o go.oci.tar.zst --key exporter.key
    """
    from bundler.cli import exported
    from bundler.stations import exporter, truststore
    from bundler.stations.cache import Cache
    from bundler.stations.places import Places, refuse_names_of_evidence, wanted
    from bundler.stations.signer import open_sealers
    from bundler.stations.survey import survey_all

    epoch, at = source_date_epoch(), now()
    created = (epoch or at).replace(microsecond=0)
    if not dry_run and (removed := exporter.check_free(output, replace=replace)):
        out.say(exported.swept(removed))
    order = exporter.Order(
        stream=stream,
        sequence=sequence if sequence is not None else int((epoch or at).timestamp() * 1000),
        previous=exporter.previous(previous) if previous else None,
        created=created,
        expires=options.after(created, expires) if expires else None,
        mtime=int(epoch.timestamp()) if epoch else 0,
    )
    chosen = [options.platform_of(text) for text in platforms]
    leave = frozenset(map(options.digest_of, left))
    listed = wanted(images, list_file=list_file, as_name=as_name, stdin=sys.stdin.buffer)
    refuse_names_of_evidence(listed)
    signers = open_sealers(keys, password=password)
    options.warn_of_open_keys(out, keys)
    trust = truststore.load(trust_folder, os.environ) if truststore.find(trust_folder, os.environ) else None
    if trust is None:
        out.say("no trust here: nothing is verified before it is carried")
    reach = dataclasses.replace(reach, absent_is_403=absent_is_403)
    with Places.of(reach, listed, say=out.say) as places, Cache.at(cache, say=out.say) as kept:
        made = exporter.plan(
            survey_all(places, listed, kept, platforms=chosen, leave=leave, jobs=reach.jobs, say=out.detail),
            order,
            keys=[signer.public for signer in signers],
            carry=carry,
            trust=trust,
            at=at,
            allow_unsigned=allow_unsigned,
        )
        for note in exported.notes(made, leave=leave):
            out.say(note)
        if not dry_run and (room := exporter.check_room(output, made)):
            out.say(f"note: {room}")
        done = (
            exporter.planned(output, made)
            if dry_run
            else exporter.write(output, made, signers=signers, order=order, jobs=reach.jobs, replace=replace, progress=out.progress)
        )
    return out.answer(done.to_json(), exported.lines(done))
