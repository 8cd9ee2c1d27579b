"""``keygen``: a key pair in two files."""

import functools
from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.commands import Argument, Command
from bundler.cli.terminal import Terminal, escaped


@click.command("keygen", cls=Command)
@click.argument("name", type=click.Path(path_type=Path), cls=Argument, help="What both files are called, without .key and .pub.")
@click.option(
    "--type", "kind", type=click.Choice(["p256", "p384", "rsa3072", "ed25519"]), default="p256", show_default=True, help="Kind of key."
)
@click.option("--no-password", is_flag=True, help="Leave the private key unencrypted, for machines that sign by themselves.")
@options.passphrase
@options.terminal
def command(*, out: Terminal, name: Path, kind: str, no_password: bool, password: options.Password) -> int:
    """Make NAME.key (PKCS#8, mode 0600) and NAME.pub. A file that exists is never overwritten.

    A bundle is sealed with p256, p384 or rsa3072, which openssl and cosign check unaided; ed25519 signs images only.

    \b
    Examples:
      oci-bundler keygen exporter-2026
    """
    from bundler.stations.privatekeys import keygen

    pair = keygen(name, kind=kind, password=None if no_password else functools.partial(password, new=True))
    value = {"key": str(pair.key), "public": str(pair.public), "fingerprint": pair.fingerprint}
    private, public = escaped(str(pair.key)), escaped(str(pair.public))
    return out.answer(value, [pair.fingerprint, f"private  {private}  (keep it, and keep it secret)", f"public   {public}"])
