"""``diff``: what has changed between two bundles, or what stations say that they hold."""

import os
from contextlib import ExitStack
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.clock import now
from bundler.cli.commands import Argument, Command
from bundler.cli.terminal import Terminal


@click.command("diff", cls=Command)
@click.argument("before", metavar="A", type=click.Path(path_type=Path), cls=Argument, help="A bundle, receipt or return file: before.")
@click.argument("after", metavar="B", type=click.Path(path_type=Path), cls=Argument, help="Another one: now.")
@options.trust
@click.option(
    "--key", "key_file", type=click.Path(path_type=Path), metavar="FILE", help="A station's public key: it must have signed its files."
)
@options.terminal
def command(*, out: Terminal, before: Path, after: Path, trust_folder: Path | None, key_file: Path | None) -> int:
    """Show what has changed from A to B: images, layers, who signed them, evidence, sizes. The exit code is 0 whether or not they differ.

    Each is a bundle, or a receipt or return file of a station. Neither has to be trusted: where nobody who may has sealed or signed it,
    that is said. Layers are not read.

    \b
    Examples:
      oci-bundler diff october.oci.tar.zst november.oci.tar.zst
      oci-bundler diff october.oci.tar.zst november.oci.tar.zst --json
    """
    from bundler.cli.differences import difference_lines
    from bundler.ledger.keyfile import public_key
    from bundler.stations import truststore
    from bundler.stations.comparing import compare, difference_value
    from bundler.stations.report import TrustUsed
    from bundler.stations.sides import opened_side

    folder = truststore.find(trust_folder, os.environ)
    trust = None if folder is None else truststore.read(folder)
    key = None if key_file is None else public_key(key_file)
    at = now()
    with ExitStack() as files:
        old, new = (files.enter_context(opened_side(path, trust, key, at=at)) for path in (before, after))
        difference = compare(old, new)
    used = None if trust is None else TrustUsed.of(trust)
    value = difference_value(difference) | {"trust": used and used.to_json()} if out.json else {}
    return out.answer(value, difference_lines(out, difference, (before, after), used))
