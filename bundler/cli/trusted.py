"""A trust folder, in words and as JSON."""

from collections.abc import Iterator
from typing import Any

from bundler.cli.terminal import escaped
from bundler.stations.truststore import Trust


def value(trust: Trust) -> dict[str, Any]:
    """What ``trust list --json`` prints."""
    return {
        "path": str(trust.path),
        "digest": str(trust.policy.digest),
        "serial": trust.policy.serial,
        "seals": [seal.to_json() for seal in trust.policy.seals],
        "rules": [rule.to_json() for rule in trust.policy.rules],
    }


def lines(trust: Trust, first: str) -> Iterator[str]:
    """The answer ``first``, then who may seal and whose signatures count."""
    yield escaped(first)
    for seal in trust.policy.seals:
        yield f"seal   {seal.stream}: {seal.threshold} of {', '.join(key.fingerprint for key in seal.keys)}"
        yield from (f"       may carry {scope}" for scope in seal.scopes)
    for rule in trust.policy.rules:
        yield escaped(f"image  {rule.scope}: {rule.threshold} of {', '.join(str(signer) for signer in rule.signers)} on {rule.node}")
        yield from (escaped(f"       and the attestation {kind}") for kind in rule.attestations)
        if rule.name == "signed":
            yield "       which must name the repository"
