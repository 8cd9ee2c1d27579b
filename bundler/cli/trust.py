"""``trust``: the folder that says whom this station trusts."""

import os
from pathlib import Path
from typing import Any

import click

from bundler.cli import options
from bundler.cli.commands import Argument, Command, Group
from bundler.cli.terminal import Terminal
from bundler.errors import UsageError


@click.group("trust", cls=Group)
def command() -> None:
    """Fill and look at the folder that says whom this station trusts.

    It belongs to the station's owner. Nothing in a bundle changes it.

    \b
    Examples:
      oci-bundler trust init /etc/oci-bundler/trust
      oci-bundler trust add /etc/oci-bundler/trust --seal platform --scope 'registry.example/**' --key exporter.pub
      oci-bundler trust add /etc/oci-bundler/trust --image 'registry.example/app/**' --key release.pub
      oci-bundler trust add /etc/oci-bundler/trust --preset chainguard --root trusted_root.json
    """


_FILE = click.Path(path_type=Path)
_folder = click.argument(
    "folder",
    metavar="[DIR]",
    required=False,
    type=_FILE,
    cls=Argument,
    help="The trust folder; else the one that verify and import would find.",
)


@command.command("init", cls=Command)
@click.argument("folder", metavar="DIR", type=_FILE, cls=Argument, help="The trust folder, absent or empty.")
@click.option("--seal-key", type=_FILE, metavar="FILE", help="The public key that seals bundles for this station. It is copied.")
@click.option("--image-key", type=_FILE, metavar="FILE", help="The public key that signs images. It is copied.")
@click.option("--scope", "scopes", multiple=True, metavar="PATTERN", help="Which repositories they are for; repeatable.")
@options.terminal
def init(*, out: Terminal, folder: Path, seal_key: Path | None, image_key: Path | None, scopes: tuple[str, ...]) -> int:
    """Make DIR, which must be absent or empty, as a trust folder that admits nothing yet, or one for a first pair of keys.

    \b
    Examples:
      oci-bundler trust init /etc/oci-bundler/trust
      oci-bundler trust init trust --seal-key exporter.pub --image-key release.pub --scope 'registry.example/**'
    """
    from bundler.cli import trusted
    from bundler.stations import truststore

    if bool(seal_key or image_key) != bool(scopes):
        raise UsageError("keys and scopes go together", wanted="--seal-key FILE --image-key FILE --scope PATTERN, or none of them")
    trust = truststore.init(folder, seal_key=seal_key, image_key=image_key, scopes=scopes)
    empty = f"{folder} trusts nobody yet: fill it with `oci-bundler trust add {folder}`"
    return out.answer(trusted.value(trust), trusted.lines(trust, None if scopes else empty))


@command.command("list", cls=Command)
@_folder
@options.terminal
def list_(*, out: Terminal, folder: Path | None) -> int:
    """Show who may seal which streams, whose signatures which images need, and which roots and stores vouch for them.

    Without DIR it is the trust that verify and import would find.
    """
    from bundler.cli import trusted
    from bundler.stations import truststore

    trust = truststore.load(folder, os.environ)
    return out.answer(trusted.value(trust), trusted.lines(trust, keys=True))


@command.command("check", cls=Command)
@_folder
@options.terminal
def check(*, out: Terminal, folder: Path | None) -> int:
    """Read DIR as verify and import would, and say what they would refuse about it. Without DIR it is the one that they find."""
    from bundler.cli import trusted
    from bundler.stations import truststore

    trust = truststore.load(folder, os.environ)
    counts = f"{len(trust.policy.seals)} seals, {len(trust.policy.rules)} rules"
    return out.answer(trusted.value(trust), trusted.lines(trust, f"{trust.path} can be used: {counts}"))


@command.command("remove", cls=Command)
@click.argument(
    "words",
    metavar="[DIR] KEY|SCOPE",
    nargs=-1,
    required=True,
    cls=Argument,
    help="The trust folder, else as in verify; a key's fingerprint, name or file, or the scope of a rule.",
)
@options.terminal
def remove(*, out: Terminal, words: tuple[str, ...]) -> int:
    """Take out of DIR the rule for SCOPE, or KEY, by its fingerprint, its name or its file, wherever that counts.

    A seal or rule that no other key is left for goes with it. The serial grows by one. Without DIR it is the trust that
    verify and import would find.

    \b
    Examples:
      oci-bundler trust remove /etc/oci-bundler/trust release-2024.pub
      oci-bundler trust remove 'registry.example/old/**'
    """
    from bundler.cli import trusted
    from bundler.stations import truststore

    if len(words) > 2:
        raise UsageError("one thing is removed at a time", found=ascii(" ".join(words))[1:-1], wanted="[DIR] KEY|SCOPE")
    *folder, what = words
    with truststore.changing(Path(folder[0]) if folder else None, os.environ) as trust:
        after, notes = truststore.remove(trust, what)
    for note in notes:
        out.say(f"note: {note}")
    return out.answer(trusted.value(after), trusted.lines(after))


@command.command("add", cls=Command)
@_folder
@click.option("--seal", metavar="STREAM", help="Who may seal bundles of STREAM.")
@click.option("--scope", "scopes", multiple=True, metavar="PATTERN", help="Which repositories that stream may carry; repeatable.")
@click.option(
    "--order", type=click.Choice(["newer", "chain", "any"]), help="Which bundles may follow: higher numbers, only the next, older ones too."
)
@click.option("--image", metavar="PATTERN", help="Whose signatures images in these repositories need.")
@click.option("--key", "keys", multiple=True, type=_FILE, metavar="FILE", help="A public key; repeatable. It is copied.")
@click.option("--as", "called", multiple=True, metavar="NAME", help="What the signer is called here; its file's name by default.")
@click.option("--issuer", metavar="URL", help="The OIDC issuer of identities, exactly.")
@click.option("--identity", "identities", multiple=True, metavar="NAME", help="Who must have signed, exactly; repeatable.")
@click.option("--identity-regexp", "regexp", metavar="REGEXP", help="What the whole name of who has signed must match.")
@click.option("--claim", "claims", multiple=True, metavar="NAME=VALUE", help="What else certificates must say; repeatable.")
@click.option("--root", type=_FILE, metavar="FILE", help="The trusted_root.json that identities and logs count by. It is copied.")
@click.option("--root-name", metavar="NAME", help="What the root is called here; its file's name by default.")
@click.option("--log", type=click.IntRange(0), metavar="N", help="How many logs of the root must have an entry.")
@click.option("--timestamp", type=click.IntRange(0), metavar="N", help="How many timestamps by authorities of the root there must be.")
@click.option("--sct", type=click.IntRange(0), metavar="N", help="How many certificate logs of the root must have the certificate.")
@click.option("--store", metavar="NAME", help="A Notation trust store that signers' certificates count by.")
@click.option("--store-type", type=click.Choice(["ca", "signingAuthority", "tsa"]), help="What it may vouch for; makes a new store.")
@click.option("--certificate", "certificates", multiple=True, type=_FILE, metavar="FILE", help="A certificate of it; repeatable. Copied.")
@click.option("--crl", "crls", multiple=True, type=_FILE, metavar="FILE", help="A revocation list of it; repeatable. Copied.")
@click.option("--subject", metavar="SUBJECT", help="What the subject of certificates must have, as CN=release,O=Example; * for any.")
@click.option("--tsa", metavar="NAME", help="The store of type tsa whose timestamps count.")
@click.option("--threshold", type=click.IntRange(0, 100), help="How many of the signers must have signed; needed beside several.")
@click.option("--attestation", "attestations", multiple=True, metavar="TYPE", help="An attestation that must be there; repeatable.")
@click.option("--annotation", "annotations", multiple=True, metavar="NAME=VALUE", help="What must stand in what was signed; repeatable.")
@click.option("--node", type=click.Choice(["reference", "platforms", "both"]), help="Which manifests must be signed.")
@click.option("--name", "named", type=click.Choice(["any", "signed"]), help="Whether the signature must name the repository.")
@click.option("--preset", type=click.Choice(["chainguard", "github"]), help="A whole rule, for signatures as these make them.")
@click.option("--owner", metavar="NAME", help="With --preset github: whose repositories may have built the image.")
@click.option("--repository", metavar="OWNER/NAME", help="With --preset github: which one must have built it.")
@click.option(
    "--uidp", "uidps", multiple=True, metavar="ID", help="With --preset chainguard: an identity of your organization; repeatable."
)
@click.option("--notation", type=_FILE, metavar="DIR", help="Take over the trust policy and stores of a Notation configuration.")
@options.terminal
def add(*, out: Terminal, folder: Path | None, **asked: Any) -> int:
    """Add to DIR who may seal, or whose signatures images need. Without DIR it is the trust that verify and import would find.

    \b
    --seal STREAM --scope PATTERN… --key FILE… [--order newer|chain|any]
    --image PATTERN --key FILE… [--root FILE [--log N]]
    --image PATTERN --issuer URL --identity NAME… --root FILE
    --image PATTERN --store NAME --subject SUBJECT [--tsa NAME]
    --root FILE, or --store NAME --store-type TYPE --certificate FILE…
    --preset chainguard|github --root FILE
    --notation DIR

    In a PATTERN * is one component, a final /** one or more, ** alone everything. Files are copied into DIR, the serial
    grows by one, and the whole is checked before it counts.
    """
    from bundler.cli import trusted
    from bundler.cli.addrequest import AddRequest
    from bundler.stations import truststore

    wish = AddRequest(**asked)
    with truststore.changing(folder, os.environ) as trust:
        if wish.notation is not None:
            after, notes = wish.add_notation(trust)
            for note in notes:
                out.say(f"note: {note}")
        elif wish.seal is not None:
            after = wish.add_seal(trust)
        else:
            anchors, rule = wish.parts()
            after = truststore.add(trust, anchors=anchors, rule=rule)
    if wish.named == "signed":
        out.say("note: only the .sig form names a repository, so images signed by cosign 3 alone will be refused")
    return out.answer(trusted.value(after), trusted.lines(after))
