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
from bundler.errors import SOME_REFUSED, UsageError
from bundler.stations.registryflags import RegistryFlags


@click.command("export", cls=Command)
@click.argument(
    "images",
    metavar="IMAGE...",
    nargs=-1,
    cls=Argument,
    shell_complete=options.completes_files,
    help="HOST/REPOSITORY:TAG at a registry, oci:DIR[:REF] or oci-archive:FILE[:REF].",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="The bundle, NAME.oci.tar.zst.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="KEY",
    help="A private key that seals; repeatable.",
)
@click.option(
    "--images",
    "list_file",
    metavar="FILE",
    shell_complete=options.completes_files,
    help="References, one a line; a second column is the name to carry; - is stdin.",
)
@click.option("--as", "as_name", metavar="NAME", help="The reference to carry the one IMAGE under.")
@click.option("--stream", default="default", show_default=True, metavar="NAME", help="What line of bundles this is one of.")
@click.option("--sequence", type=click.IntRange(0, (1 << 53) - 1), help="Its number; else the time of creation in milliseconds.")
@click.option("--previous", metavar="FILE|sha256:…", help="The bundle before it in the stream.")
@click.option("--expires", metavar="90d", help="How long it may be imported; no limit without this.")
@click.option(
    "--platform",
    "platforms",
    multiple=True,
    metavar="OS/ARCH[/VARIANT]",
    shell_complete=options.completes(*options.PLATFORMS),
    help="Carry only this platform; repeatable.",
)
@click.option("--by-digest", is_flag=True, help="With --platform: carry its own manifest as NAME:TAG-OS-ARCH, not the index.")
@click.option(
    "--absent-is-403", "absent_is_403", multiple=True, metavar="HOST", help="HOST answers 403 for tags that are not there; repeatable."
)
@click.option("--leave", "left", multiple=True, metavar="DIGEST", help="Go on without what of this digest cannot be read; repeatable.")
@options.trust
@click.option("--skip-failing", is_flag=True, help="Carry the images that can be, though others cannot (exit 9).")
@click.option("--allow-unsigned", is_flag=True, help="Carry images that nothing signed is about.")
@click.option(
    "--carry", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="A further key, root or document, as evidence."
)
@click.option("--cache", type=click.Path(path_type=Path), metavar="DIR", help="Keep blobs here, so that a cut export goes on.")
@click.option("--replace", is_flag=True, help="Replace the output if it exists.")
@click.option("--dry-run", is_flag=True, help="Say what would be carried and how big it is; write nothing. No -o, no --key.")
@options.network
@options.passphrase
@options.terminal
def command(
    *,
    out: Terminal,
    reach: RegistryFlags,
    password: options.Password,
    images: tuple[str, ...],
    output: Path | None,
    keys: tuple[Path, ...],
    list_file: str | None,
    as_name: str | None,
    stream: str,
    sequence: int | None,
    previous: str | None,
    expires: str | None,
    platforms: tuple[str, ...],
    by_digest: bool,
    left: tuple[str, ...],
    trust_folder: Path | None,
    absent_is_403: tuple[str, ...],
    skip_failing: bool,
    allow_unsigned: bool,
    carry: tuple[Path, ...],
    cache: Path | None,
    replace: bool,
    dry_run: bool,
) -> int:
    """Carry images, with everything that vouches for them, into one sealed bundle.

    IMAGE is a reference at a registry, oci:DIR[:REF] or oci-archive:FILE[:REF]. If there is trust here too, the images are
    verified first; without it everything is carried unchecked, and the bundle says so. Every image that cannot be carried is
    named, and then nothing is written, unless --skip-failing.

    \b
    Examples:
      oci-bundler export cgr.dev/chainguard/go:latest -o go.oci.tar.zst --key exporter.key
    """
    from bundler.cli import exported, failures
    from bundler.stations import exporter, truststore
    from bundler.stations.cache import Cache
    from bundler.stations.gathering import Choice, gather
    from bundler.stations.places import Places, image_arguments
    from bundler.stations.privatekeys import open_sealers

    if not dry_run and (output is None or not keys):
        raise UsageError("export writes a bundle and seals it", wanted="-o FILE and --key KEY, or --dry-run to write nothing")
    if by_digest and not platforms:
        raise UsageError("--by-digest is about single platforms", wanted="--platform OS/ARCH[/VARIANT] beside it")
    epoch, at = source_date_epoch(), now()
    created = (epoch or at).replace(microsecond=0)
    to = None if dry_run else output
    if to is not None and (removed := exporter.check_free(to, replace=replace)):
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
    listed = image_arguments(images, list_file=list_file, as_name=as_name, stdin=sys.stdin.buffer)
    signers = open_sealers(keys, password=password)
    options.warn_of_open_keys(out, keys)
    trust = truststore.load(trust_folder, os.environ) if truststore.find(trust_folder, os.environ) else None
    if trust is None:
        out.say("no trust here: nothing is verified before it is carried")
    choice = Choice(platforms=chosen, by_digest=by_digest, leave=leave, trust=trust, allow_unsigned=allow_unsigned)
    reach = dataclasses.replace(reach, absent_is_403=absent_is_403)
    with Places.of(reach, listed, say=out.say) as places, Cache.at(cache, say=out.say) as kept:
        good, failed = gather(places, listed, kept, choice, at=at, jobs=reach.jobs, say=out.detail)
        if failed and not (skip_failing and good):
            return out.answer(exported.value(None, failed), exported.refused(failed, of=len(listed)), exit=failures.lowest(failed))
        made = exporter.plan(good, order, keys=[signer.public for signer in signers], carry=carry, trust=trust)
        for note in dict.fromkeys((*exported.left_behind(failed if to else ()), *exported.notes(made, leave=leave))):
            out.say(note)
        if to is None:
            done = exporter.planned(output, made)
        else:
            if room := exporter.check_room(to, made):
                out.say(f"note: {room}")
            done = exporter.write(to, made, signers=signers, order=order, jobs=reach.jobs, replace=replace, progress=out.progress)
    return out.answer(exported.value(done, failed), exported.lines(out, done, failed), exit=SOME_REFUSED if failed else 0)
