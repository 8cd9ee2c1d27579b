"""``journal``: what a station did, proved and cosigned."""

from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.commands import Argument, Command, Group
from bundler.cli.terminal import Terminal, escaped


@click.group("journal", cls=Group)
def command() -> None:
    """Prove what a station wrote down of its imports, and vouch for it.

    The journal is a transparency log in the forms of C2SP: whoever has kept an earlier checkpoint finds out whether anything before it was
    changed since.

    \b
    Examples:
      oci-bundler journal verify /var/lib/oci-bundler/station --since 2026-10.checkpoint --key plant-7.pub
      oci-bundler journal cosign /media/stick/station --station-key plant-7.pub --key auditor.key
    """


_FILE = click.Path(path_type=Path)
_folder = click.argument(
    "folder", metavar="DIR", type=_FILE, cls=Argument, help="The station's folder, or a copy of it or of the journal in it."
)


@command.command("verify", cls=Command)
@_folder
@click.option("--since", type=_FILE, metavar="FILE", help="An earlier checkpoint or return file, which the journal must go on from.")
@click.option("--key", "key_file", type=_FILE, metavar="FILE", help="The station's public key; else the one that its folder has.")
@click.option("--cosigner", "cosigners", multiple=True, type=_FILE, metavar="FILE", help="A public key that must have cosigned.")
@options.terminal
def verify(*, out: Terminal, folder: Path, since: Path | None, key_file: Path | None, cosigners: tuple[Path, ...]) -> int:
    """Prove that nothing in the journal was changed: every entry, tile and receipt, and the signed checkpoint.

    Against whoever has the station's key, that needs an earlier checkpoint from a place that he could not write to (--since), or a
    cosigner.

    \b
    Examples:
      oci-bundler journal verify /var/lib/oci-bundler/station
      oci-bundler journal verify copy/journal --key plant-7.pub --since 2026-10.checkpoint --cosigner auditor.pub
    """
    from bundler.cli import journaled
    from bundler.ledger.journal import checking, notes
    from bundler.ledger.journal.place import Place
    from bundler.ledger.keyfile import public_key
    from bundler.ledger.returnfile import checkpoint_in

    place = Place.of(folder)
    key = place.key(key_file)
    earlier = checkpoint_in(since) if since else None
    receipts = checking.Receipts(place.receipts) if place.receipts else None
    origin = place.station.profile.origin if place.station else None
    verified = checking.verify(place.journal, key=key, origin=origin, since=earlier, visit=receipts)
    cosigned = [(notes.cosigner(verified.checkpoint, key=each), each) for each in map(public_key, cosigners)]
    found = journaled.Found(verified, key, earlier, receipts, cosigned)
    return out.answer(found.value(), found.lines(out))


@command.command("cosign", cls=Command)
@_folder
@click.option("--key", "private", required=True, type=_FILE, metavar="KEY", help="The private key that cosigns, Ed25519.")
@click.option("--name", metavar="NAME", help="What the cosigner is called in the line; the name of KEY, without its ending, by default.")
@click.option("--memory", type=_FILE, metavar="FILE", help="What this cosigner signed last, and will write anew; else a file beside KEY.")
@click.option("--station-key", "key_file", type=_FILE, metavar="FILE", help="The station's public key; else the one that its folder has.")
@options.passphrase
@options.terminal
def cosign(
    *,
    out: Terminal,
    password: options.Password,
    folder: Path,
    private: Path,
    name: str | None,
    memory: Path | None,
    key_file: Path | None,
) -> int:
    """Prove the journal as `journal verify` does, then add a line to its checkpoint: as of now, this is the largest that was seen.

    What was signed is kept beside KEY, or as the FILE of --memory, and the next one must go on from there.

    \b
    Examples:
      oci-bundler journal cosign /media/stick/station --station-key plant-7.pub --key auditor.key
    """
    from bundler.cli import journaled
    from bundler.cli.clock import now
    from bundler.ledger.journal import checking
    from bundler.ledger.journal.place import Place
    from bundler.stations.privatekeys import open_signer

    place = Place.of(folder)
    key = place.key(key_file)
    signer = open_signer(private, role="image", password=password)
    options.warn_of_open_keys(out, [private])
    with place.alone(out.say):
        memory = memory or checking.memory_of(private, checking.origin_of(place.journal))
        earlier = checking.remembered(memory)
        verified = checking.verify(place.journal, key=key, since=earlier)
        signed = checking.cosign(
            verified.checkpoint,
            place.journal,
            memory=memory,
            name=name or private.stem,
            key=signer.public,
            sign=signer.sign,
            at=now(),
        )
    if earlier is None:
        out.say(f"note: there was no earlier checkpoint at {memory}: this one is the first that is trusted")
    value = {"journal": journaled.tree(signed), "cosigner": {"name": name or private.stem, "key": str(signer.public)}, "kept": str(memory)}
    return out.answer(value, [f"cosigned {journaled.entries(signed.size)} of {signed.origin}", f"kept  {escaped(str(memory))}"])
