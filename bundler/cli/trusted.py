"""A trust folder, in words and as JSON."""

from collections.abc import Iterator
from typing import Any

from bundler.cli.called import called
from bundler.cli.terminal import escaped
from bundler.oci.digest import Digest
from bundler.stations.truststore import Trust
from bundler.trust.notation.store import Store
from bundler.trust.sigstore.signer import Root


def value(trust: Trust) -> dict[str, Any]:
    """What ``trust list --json`` prints."""
    return {
        "path": str(trust.path),
        "digest": str(trust.policy.digest),
        "serial": trust.policy.serial,
        "seals": [seal.to_json() for seal in trust.policy.seals],
        "roots": [_root_value(trust, root) for root in trust.policy.roots],
        "stores": [_store_value(trust, store) for store in trust.policy.stores],
        "rules": [rule.to_json() for rule in trust.policy.rules],
    }


def _root_value(trust: Trust, root: Root) -> dict[str, Any]:
    path = trust.root_file(root.name)
    trusted = root.trusted
    return {
        "name": root.name,
        "file": path,
        "sha256": Digest.of(trust.files[path]).encoded,
        "log": root.needed.log,
        "timestamp": root.needed.timestamp,
        "sct": root.needed.sct,
        "authorities": [{"name": each.name, "window": str(each.window)} for each in trusted.authorities],
        "logs": [{"name": each.name, "window": str(each.window)} for each in trusted.logs],
        "timestamp_authorities": [{"name": each.name, "window": str(each.window)} for each in trusted.timestamp_authorities],
        "ct_logs": [{"name": each.name, "window": str(each.window)} for each in trusted.ct_logs],
        "left_out": list(trusted.left_out),
    }


def _store_value(trust: Trust, store: Store) -> dict[str, Any]:
    return {
        "name": store.name,
        "type": str(store.type),
        "files": [{"file": path, "sha256": Digest.of(trust.files[path]).encoded} for path in trust.store_files(store.name)],
        "certificates": [{"subject": each.subject, "window": str(each.window)} for each in store.certificates],
        "crls": [{"issuer": each.issuer, "window": str(each.window)} for each in store.crls],
    }


def lines(trust: Trust, first: str | None = None, *, keys: bool = False) -> Iterator[str]:
    """The answer ``first``, else which trust it is; then who may seal and whose signatures count, and the ``keys`` in full."""
    yield escaped(first or f"trust {trust.policy.digest}, serial {trust.policy.serial}")
    for seal in trust.policy.seals:
        sealers = (called(seal.names.get(key.fingerprint), key.fingerprint) for key in seal.keys)
        yield escaped(f"seal   {seal.stream}: {seal.threshold} of {', '.join(sealers)}")
        yield from (f"       may carry {scope}" for scope in seal.scopes)
        yield from [f"       in the order {seal.order}"] if seal.order else []
    for root in trust.policy.roots:
        yield from map(escaped, _root_lines(_root_value(trust, root)))
    for store in trust.policy.stores:
        yield from map(escaped, _store_lines(_store_value(trust, store)))
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


_PARTS = {"authorities": "authority", "logs": "log", "timestamp_authorities": "timestamp authority", "ct_logs": "certificate log"}


def _root_lines(root: dict[str, Any]) -> Iterator[str]:
    yield f"root   {root['name']}: log {root['log']}, timestamp {root['timestamp']}, sct {root['sct']}"
    yield f"       {root['file']}, sha256 {root['sha256']}"
    for part, word in _PARTS.items():
        yield from (f"       {word} {each['name']}, {each['window']}" for each in root[part])
    yield from (f"       cannot be used: {each}" for each in root["left_out"])


def _store_lines(store: dict[str, Any]) -> Iterator[str]:
    yield f"store  {store['name']}, of type {store['type']}"
    yield from (f"       {each['file']}, sha256 {each['sha256']}" for each in store["files"])
    yield from (f"       certificate of {each['subject']}, {each['window']}" for each in store["certificates"])
    yield from (f"       revocation list of {each['issuer']}, {each['window']}" for each in store["crls"])
