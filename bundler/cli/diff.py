"""``diff``: what has changed between two bundles."""

import os
from contextlib import ExitStack
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.clock import now
from bundler.cli.commands import Argument, Command
from bundler.cli.terminal import Terminal


@click.command("diff", cls=Command)
@click.argument("before", metavar="A", type=click.Path(path_type=Path), cls=Argument, help="The bundle of before.")
@click.argument("after", metavar="B", type=click.Path(path_type=Path), cls=Argument, help="The bundle of now.")
@options.trust
@options.terminal
def command(*, out: Terminal, before: Path, after: Path, trust_folder: Path | None) -> int:
    """Show what has changed from A to B: images, layers, who signed them, evidence, sizes. The exit code is 0 whether or not they differ.

    Neither has to be trusted: where a key that may seal it has not sealed it, that is said. Layers are not read.

    \b
    Examples:
      oci-bundler diff october.oci.tar.zst november.oci.tar.zst
      oci-bundler diff october.oci.tar.zst november.oci.tar.zst --json
    """
    from bundler.bundle.archive import opened
    from bundler.cli.differences import difference_lines
    from bundler.stations import truststore
    from bundler.stations.comparing import compare, difference_value
    from bundler.stations.holdings import bundle_holdings
    from bundler.stations.report import TrustUsed

    folder = truststore.find(trust_folder, os.environ)
    trust = None if folder is None else truststore.read(folder)
    at = now()
    with ExitStack() as files:
        old, new = (bundle_holdings(files.enter_context(opened(path)), trust, at=at) for path in (before, after))
        difference = compare(old, new)
    used = None if trust is None else TrustUsed.of(trust)
    value = difference_value(difference) | {"trust": used and used.to_json()} if out.json else {}
    return out.answer(value, difference_lines(out, difference, (before, after), used))
