"""``inspect``: what a bundle claims to be."""

from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.terminal import Terminal, escaped, sized


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@options.terminal
def command(*, out: Terminal, file: Path) -> int:
    """Show what FILE claims to be. Nothing is verified: whoever wrote the file may have written anything.

    \b
    oci-bundler inspect release.oci.tar.zst
    """
    from bundler.bundle.archive import opened

    with opened(file) as archive:
        payload = archive.envelope.payload()
        content = archive.sealed_by(payload)
    seal = content.seal
    claims = seal.predicate() | {"identity": str(content.identity)}
    signatures = len(archive.envelope.signatures)
    lines = [
        f"NOT VERIFIED: {escaped(str(file))} claims to be {content.identity}",
        f"stream {seal.stream}, number {seal.sequence}, made {claims['created']}, expires {claims['expires'] or 'never'}",
        f"{len(seal.members)} members, {sized(sum(member.size for member in seal.members))}; signatures on the seal: {signatures}",
    ]
    lines += [f"image {escaped(str(image.reference))}  {image.digest}  {escaped(', '.join(image.platforms))}" for image in seal.images]
    lines.append("next: `oci-bundler verify` judges it against this station's trust")
    return out.answer({"verified": False, "claims": claims}, lines)
