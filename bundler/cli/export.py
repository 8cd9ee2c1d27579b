"""``export``: images and all that vouches for them, into one sealed bundle."""

import dataclasses
import os
import sys
from pathlib import Path

import click

from bundler.cli import exportflags, options
from bundler.cli.clock import now
from bundler.cli.commands import Argument, Command
from bundler.cli.exportflags import Label, Selection
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
@exportflags.label
@exportflags.selection
@options.trust
@click.option("--skip-failing", is_flag=True, help="Carry the images that can be, though others cannot (exit 9).")
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
    label: Label,
    selection: Selection,
    trust_folder: Path | None,
    skip_failing: bool,
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
    at, to = now(), None if dry_run else output
    exported.make_free(out, to, replace=replace)
    listed = image_arguments(images, list_file=list_file, as_name=as_name, stdin=sys.stdin.buffer)
    signers = open_sealers(keys, password=password)
    options.warn_of_open_keys(out, keys)
    sealers = [signer.public for signer in signers]
    order = exported.order(label, sealers, at=at)
    trust = truststore.load(trust_folder, os.environ) if truststore.find(trust_folder, os.environ) else None
    exported.say_before(out, order, trust)
    choice = Choice(selection.chosen, selection.by_digest, selection.leave, trust, selection.allow_unsigned)
    reach = dataclasses.replace(reach, absent_is_403=selection.absent_is_403)
    with Places.of(reach, listed, say=out.say) as places, Cache.at(cache, say=out.say) as kept:
        good, failed = gather(places, listed, kept, choice, at=at, jobs=reach.jobs, say=out.detail)
        if failed and not (skip_failing and good):
            return out.answer(exported.value(None, failed), exported.refused(failed, of=len(listed)), exit=failures.lowest(failed))
        made = exporter.plan(good, order, keys=sealers, carry=carry, trust=trust)
        exported.say_notes(out, made, failed if to else (), leave=choice.leave)
        if to is None:
            done = exporter.planned(output, made)
        else:
            done = exported.write(out, to, made, signers=signers, order=order, jobs=reach.jobs, replace=replace)
    return out.answer(exported.value(done, failed), exported.lines(out, done, failed), exit=SOME_REFUSED if failed else 0)
