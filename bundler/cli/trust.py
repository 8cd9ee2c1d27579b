"""``trust``: the folder that says whom this station trusts."""

from pathlib import Path

import click

from bundler.cli import options
from bundler.cli.terminal import Terminal
from bundler.errors import UsageError

ATTESTATIONS = {
    # cosign's short names (cosign verify-attestation --type), written into trust.toml as the URI that is compared
    "slsaprovenance": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance02": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance1": "https://slsa.dev/provenance/v1",
    "link": "https://in-toto.io/Link/v1",
    "spdx": "https://spdx.dev/Document",
    "spdxjson": "https://spdx.dev/Document",
    "cyclonedx": "https://cyclonedx.org/bom",
    "vuln": "https://cosign.sigstore.dev/attestation/vuln/v1",
    "openvex": "https://openvex.dev/ns",
    "custom": "https://cosign.sigstore.dev/attestation/v1",
}


@click.group("trust")
def command() -> None:
    """Fill and look at the folder that says whom this station trusts.

    It belongs to the station's owner. Nothing in a bundle changes it.

    \b
    oci-bundler trust init /etc/oci-bundler/trust
    oci-bundler trust add /etc/oci-bundler/trust --seal platform --scope 'registry.example/**' --key exporter.pub
    oci-bundler trust add /etc/oci-bundler/trust --image 'registry.example/app/**' --key release.pub
    """


@command.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@options.terminal
def init(*, out: Terminal, folder: Path) -> int:
    """Make DIR, which must be absent or empty, as a trust folder that admits nothing yet."""
    from bundler.cli import trusted
    from bundler.stations import truststore

    trust = truststore.init(folder)
    return out.answer(
        trusted.value(trust), trusted.lines(trust, f"{folder} trusts nobody yet: fill it with `oci-bundler trust add {folder}`")
    )


@command.command("list")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@options.terminal
def list_(*, out: Terminal, folder: Path) -> int:
    """Show who may seal which streams, and whose signatures which images need."""
    from bundler.cli import trusted
    from bundler.stations import truststore

    trust = truststore.read(folder)
    return out.answer(trusted.value(trust), trusted.lines(trust, f"trust {trust.policy.digest}, serial {trust.policy.serial}"))


@command.command("check")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@options.terminal
def check(*, out: Terminal, folder: Path) -> int:
    """Read DIR as verify and import would, and say what they would refuse about it."""
    from bundler.cli import trusted
    from bundler.stations import truststore

    trust = truststore.read(folder)
    return out.answer(
        trusted.value(trust),
        trusted.lines(trust, f"{folder} can be used: {len(trust.policy.seals)} seals, {len(trust.policy.rules)} rules"),
    )


@command.command("add")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--seal", metavar="STREAM", help="Who may seal bundles of STREAM.")
@click.option("--scope", "scopes", multiple=True, metavar="PATTERN", help="Which repositories that stream may carry; repeatable.")
@click.option("--image", metavar="PATTERN", help="Whose signatures images in these repositories need.")
@click.option(
    "--key", "keys", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="A public key; repeatable. It is copied."
)
@click.option("--threshold", type=click.IntRange(0, 100), help="How many of the keys must have signed; needed beside several.")
@click.option("--attestation", "attestations", multiple=True, metavar="TYPE", help="An attestation that must be there; repeatable.")
@click.option("--node", type=click.Choice(["reference", "platforms", "both"]), help="Which manifests must be signed.")
@click.option("--name", "named", type=click.Choice(["any", "signed"]), help="Whether the signature must name the repository.")
@options.terminal
def add(
    *,
    out: Terminal,
    folder: Path,
    seal: str | None,
    scopes: tuple[str, ...],
    image: str | None,
    keys: tuple[Path, ...],
    threshold: int | None,
    attestations: tuple[str, ...],
    node: str | None,
    named: str | None,
) -> int:
    """Add a sealer (--seal STREAM --scope PATTERN… --key FILE…) or a rule (--image PATTERN --key FILE…) to DIR.

    In a PATTERN * is one component, a final /** one or more, ** alone everything. The keys are copied into DIR, the serial
    grows by one, and the whole is checked before it counts.
    """
    from bundler.cli import trusted
    from bundler.stations import truststore

    if (seal is None) == (image is None):
        raise UsageError("trust add wants one thing to add", wanted="either --seal STREAM or --image PATTERN")
    if not keys:
        raise UsageError("trust add wants a key", wanted="--key FILE")
    if seal is not None and (attestations or node or named):
        raise UsageError("--attestation, --node and --name belong to --image", wanted="--seal with --scope, --key and --threshold")
    if seal is not None and not scopes:
        raise UsageError("a stream wants scopes", wanted="--scope PATTERN, '**' for everything")
    if image is not None and scopes:
        raise UsageError("--scope belongs to --seal", wanted="--image PATTERN alone")
    trust = truststore.read(folder)
    if seal is not None:
        after = truststore.add_seal(trust, stream=seal, scopes=scopes, keys=keys, threshold=threshold)
    else:
        assert image is not None
        after = truststore.add_rule(
            trust,
            scope=image,
            keys=keys,
            threshold=threshold,
            attestations=tuple(ATTESTATIONS.get(kind, kind) for kind in attestations),
            node=node,
            name=named,
        )
        if named == "signed":
            out.say("note: only the .sig form names a repository, so images signed by cosign 3 alone will be refused")
    return out.answer(trusted.value(after), trusted.lines(after, f"trust {after.policy.digest}, serial {after.policy.serial}"))
