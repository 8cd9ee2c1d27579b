"""``receipt``: what a station wrote down about a bundle, shown and verified."""

import os
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.commands import Argument, Command, Group
from bundler.cli.terminal import Terminal, escaped

_FILE = click.Path(path_type=Path)
_file = click.argument("file", type=_FILE, cls=Argument, help="The receipt, NUMBER.json.")


@click.group("receipt", cls=Group)
def command() -> None:
    """Show and verify what a station wrote down about a bundle that it let in or refused.

    \b
    Examples:
      oci-bundler receipt show receipts/0000000007.json
      oci-bundler receipt verify receipts/0000000007.json --key station.pub
    """


@command.command("show", cls=Command)
@_file
@options.terminal
def show(*, out: Terminal, file: Path) -> int:
    """Show what FILE claims. Nothing is verified, and anybody may have written it.

    \b
    Examples:
      oci-bundler receipt show receipts/0000000007.json
    """
    from bundler.content.files import read_small
    from bundler.ledger import receipt, receipttext
    from bundler.oci.digest import Digest

    raw = read_small(file, limit=receipt.MAX_RECEIPT, what="the receipt")
    claims, digest = receipt.unverified(raw), Digest.of(raw)
    told = {"verified": False, "digest": str(digest), "claims": claims.predicate() if out.json else {}}
    first = f"NOT VERIFIED: what {escaped(str(file))} claims"
    return out.answer(told, (first, *receipttext.text(claims, digest).splitlines()))


@command.command("verify", cls=Command)
@_file
@click.option("--key", required=True, type=_FILE, metavar="FILE", help="The station's public key, got from the station itself.")
@options.terminal
def verify(*, out: Terminal, file: Path, key: Path) -> int:
    """Verify that a station has signed FILE, and show what it says.

    The station's key is the only thing that is trusted. Without a network, and without trust in any bundle.

    \b
    Examples:
      oci-bundler receipt verify receipts/0000000007.json --key station.pub
    """
    from bundler.content.files import read_small
    from bundler.ledger import receipt, receiptproof, receipttext
    from bundler.ledger.journal.notes import MAX_PROOF
    from bundler.ledger.keyfile import public_key
    from bundler.oci.digest import Digest

    public = public_key(key)
    raw = read_small(file, limit=receipt.MAX_RECEIPT, what="the receipt")
    proved, digest = receipt.opened(raw, public), Digest.of(raw)
    beside, journal = file.with_suffix(".tlog-proof"), None
    first = [f"{out.good('VERIFIED')}: {escaped(str(file))} is signed by {public.fingerprint}"]
    if os.path.lexists(beside):
        text = read_small(beside, limit=MAX_PROOF, what="the proof").decode(errors="replace")
        proof = receiptproof.proved(proved, digest, text, key=public)
        origin, size = proof.checkpoint.origin, proof.checkpoint.size
        journal = {"origin": origin, "index": proof.index, "size": size}
        first.append(f"entry {proof.index} of the journal {escaped(origin)}, which had {size} then")
    else:
        out.say(f"note: there is no {beside.name} beside it, so nothing says that the station's journal has it")
    told = {"verified": True, "digest": str(digest), "key": public.fingerprint, "journal": journal}
    return out.answer(told | {"claims": proved.predicate() if out.json else {}}, (*first, *receipttext.text(proved, digest).splitlines()))
