"""A trust folder, in words and as JSON."""

from collections.abc import Iterator
from typing import Any

from bundler.cli.called import called
from bundler.cli.terminal import escaped
from bundler.stations.truststore import Trust
from bundler.trust.kinds import sections


def value(trust: Trust) -> dict[str, Any]:
    """What ``trust list --json`` prints."""
    return {
        "path": str(trust.path),
        "digest": str(trust.policy.digest),
        "serial": trust.policy.serial,
        "seals": [seal.to_json() for seal in trust.policy.seals],
        **{f"{section.table}s": _anchors(trust, section.table) for section in sections()},
        "rules": [rule.to_json() for rule in trust.policy.rules],
    }


def _anchors(trust: Trust, table: str) -> list[dict[str, Any]]:
    return [anchor.to_json(trust.files) for anchor in trust.policy.anchors if anchor.table == table]


def lines(trust: Trust, first: str | None = None, *, keys: bool = False) -> Iterator[str]:
    """The answer ``first``, else which trust it is; then who may seal and whose signatures count, and the ``keys`` in full."""
    yield escaped(first or f"trust {trust.policy.digest}, serial {trust.policy.serial}")
    for seal in trust.policy.seals:
        sealers = (called(seal.names.get(key.fingerprint), key.fingerprint) for key in seal.keys)
        yield escaped(f"seal   {seal.stream}: {seal.threshold} of {', '.join(sealers)}")
        yield from (f"       may carry {scope}" for scope in seal.scopes)
        yield from [f"       in the order {seal.order}"] if seal.order else []
    for anchor in trust.policy.anchors:
        yield from map(escaped, anchor.lines(trust.files))
    for rule in trust.policy.rules:
        if rule.deny is not None:
            yield escaped(f"image  {rule.scope}: denied, {rule.deny}")
            continue
        signers = ", ".join(called(signer.name, str(signer)) for signer in rule.signers)
        yield escaped(f"image  {rule.scope}: {rule.threshold} of {signers} on {rule.node}")
        yield from (escaped(f"       and the attestation {kind}") for kind in rule.attestations)
        yield from (escaped(f"       and the annotation {name}={text}") for name, text in rule.annotations)
        if rule.name == "signed":
            yield "       which must name the repository"
    for key in trust.policy.keys if keys else ():
        yield f"key    {key.fingerprint}"
        yield from (escaped(f"       {name}") for who, name in trust.policy.names.items() if who == key.fingerprint)
