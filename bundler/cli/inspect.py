"""``inspect``: what a bundle claims to be."""

import os
from collections.abc import Iterator
from pathlib import Path

import click

from bundler.bundle.archive import Archive, Content, opened
from bundler.bundle.seal import time
from bundler.cli import options
from bundler.cli.called import called
from bundler.cli.commands import Argument, Command
from bundler.cli.terminal import Terminal, counted, escaped, sized
from bundler.stations import truststore
from bundler.stations.earlier import sealed_for
from bundler.stations.holdings import check_small
from bundler.stations.truststore import Trust


@click.command("inspect", cls=Command)
@click.argument("file", type=click.Path(path_type=Path), cls=Argument, help="The bundle.")
@click.option(
    "--trust",
    "trust_folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A station's trust: show FILE only if a key that may seal it has sealed it. Images and content are not judged.",
)
@options.terminal
def command(*, out: Terminal, file: Path, trust_folder: Path | None) -> int:
    """Show what FILE claims to be. Without --trust nothing is verified, and anybody may have written anything into the file.

    \b
    Examples:
      oci-bundler inspect release.oci.tar.zst
      oci-bundler inspect release.oci.tar.zst --trust /etc/oci-bundler/trust
    """
    trust = None if trust_folder is None else truststore.load(trust_folder, os.environ)
    with opened(file) as archive:
        sealers = () if trust is None else _sealers(archive, trust)
        if trust is None:
            check_small(archive)
        content = archive.sealed_by(archive.envelope.payload())
        signatures = len(archive.envelope.signatures)
    claims = content.seal.predicate() | {"identity": str(content.identity)} if out.json else {}
    return out.answer({"verified": trust is not None, "claims": claims}, _lines(file, content, signatures, sealers))


def _sealers(archive: Archive, trust: Trust) -> tuple[str, ...]:
    """The names and fingerprints of those who sealed it. Raises TrustError (``seal.signature``) where they are not enough."""
    instead = "without --trust, inspect shows what anyone may have written"
    opened = sealed_for(archive, trust, what="the seal is not trusted here", instead=instead)
    return tuple(called(name, who, whole=True) for name, who in zip(opened.names, opened.signers, strict=True))


def _lines(file: Path, content: Content, signatures: int, sealers: tuple[str, ...]) -> Iterator[str]:
    seal = content.seal
    if sealers:
        yield f"SEALED by {', '.join(sealers)}: {escaped(str(file))} is {content.identity}; its images and content were not judged"
    else:
        yield f"NOT VERIFIED: {escaped(str(file))} claims to be {content.identity}"
    expires = "never" if seal.expires is None else time(seal.expires)
    yield f"stream {seal.stream}, number {seal.sequence}, made {time(seal.created)}, expires {expires}"
    yield f"{len(seal.members)} members, {sized(sum(member.size for member in seal.members))}; signatures on the seal: {signatures}"
    if seal.elsewhere:
        yield f"it leaves out {counted(len(seal.elsewhere), 'layer')}, {sized(content.size_elsewhere)}, for who has what these brought:"
        yield from (f"base {identity}" for identity in seal.base)
    yield from (f"image {escaped(str(image.reference))}  {image.digest}  {escaped(', '.join(image.platforms))}" for image in seal.images)
    yield "next: `oci-bundler verify` judges it against this station's trust"
