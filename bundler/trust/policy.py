"""The station's policy, as values: who may seal which streams, and whose signatures which images need."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bundler.errors import Code, UsageError
from bundler.oci.digest import Digest
from bundler.trust.keys import PublicKey
from bundler.trust.kind import Anchor
from bundler.trust.scope import Scope
from bundler.trust.signer import SignerEntry


class Node(StrEnum):
    """Which manifests of an image must be signed."""

    REFERENCE = "reference"
    """The one that its reference names."""
    PLATFORMS = "platforms"
    """Every one below it that could be run; itself where there is none."""
    BOTH = "both"


class Naming(StrEnum):
    """Whether a signature must name the repository that it is found in."""

    ANY = "any"
    SIGNED = "signed"


class Order(StrEnum):
    """Which bundles of a stream may follow those that were accepted (docs/spec/station-v1.md, section 4)."""

    NEWER = "newer"
    """Those with a higher number."""
    CHAIN = "chain"
    """Those of them that say that they follow the last one."""
    ANY = "any"
    """Older ones too."""


@dataclass(frozen=True, slots=True)
class SealRule:
    """Who may seal bundles of a stream, and for which repositories."""

    stream: str
    scopes: tuple[Scope, ...]
    keys: tuple[PublicKey, ...]
    threshold: int
    names: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What people call some of the keys, by their fingerprints. Words only: nothing is decided by them."""
    order: Order | None = None
    """None where it is left to the stream's other entries, else to :attr:`Order.NEWER`."""

    def __post_init__(self) -> None:
        _check_threshold(self.threshold, 1, len(self.keys), f"the seal of {self.stream}")

    def to_json(self) -> dict[str, Any]:
        return {
            "stream": self.stream,
            "scopes": [str(scope) for scope in self.scopes],
            "keys": [key.fingerprint for key in self.keys],
            "names": [self.names.get(key.fingerprint) for key in self.keys],
            "threshold": self.threshold,
            "order": None if self.order is None else str(self.order),
        }


@dataclass(frozen=True, slots=True)
class RequiredAttestation:
    """An attestation that a rule requires."""

    type: str
    """Its predicate type, compared exactly."""
    node: Node
    signers: tuple[SignerEntry, ...]
    """One of whom must have made it; at least one."""
    where: tuple[tuple[str, Any], ...] = ()
    """Values that its predicate must have, by their place: names joined by dots."""
    plain: bool = True
    """Whether it asks for nothing but its type, of the rule's own signers and nodes."""

    def __post_init__(self) -> None:
        _check_threshold(1, 1, len(self.signers), f"the attestation {self.type}")

    def to_json(self) -> Any:
        if self.plain:
            return self.type
        return {
            "type": self.type,
            "node": str(self.node),
            "signers": _signers_value(self.signers),
            "where": dict(self.where),
        }

    def __str__(self) -> str:
        if self.plain:
            return self.type
        where = "".join(f", {place} = {value!r}" for place, value in self.where)
        return f"{self.type} (node {self.node}, by {' or '.join(map(str, self.signers))}{where})"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which signatures and attestations an image needs."""

    scope: Scope
    signers: tuple[SignerEntry, ...]
    """At least one."""
    threshold: int
    """How many of the signers must have signed; 0 only beside attestations."""
    attestations: tuple[RequiredAttestation, ...] = ()
    node: Node = Node.REFERENCE
    name: Naming = Naming.ANY
    annotations: tuple[tuple[str, str], ...] = ()
    """What must stand in what was signed for a signature to count."""
    deny: str | None = None
    """Why nothing of its scope may enter, whoever signed it; such a rule has no signers, whom its threshold wants all the same."""

    def __post_init__(self) -> None:
        if self.deny is not None:
            if self.signers or self.attestations or self.threshold < 1:
                raise UsageError(f"the rule for {self.scope} denies and admits", code=Code.TRUST_FORM, wanted="deny alone")
            return
        _check_threshold(self.threshold, 0 if self.attestations else 1, len(self.signers), f"the rule for {self.scope}")

    @property
    def entries(self) -> tuple[SignerEntry, ...]:
        """The signers as they stand in it, also those who stand there again for an attestation."""
        return (*self.signers, *(signer for wanted in self.attestations if not wanted.plain for signer in wanted.signers))

    @property
    def everybody(self) -> tuple[SignerEntry, ...]:
        """The signers, and behind them those who may only attest."""
        others = (signer for wanted in self.attestations for signer in wanted.signers if signer not in self.signers)
        return (*self.signers, *dict.fromkeys(others))

    def to_json(self) -> dict[str, Any]:
        return {
            "scope": str(self.scope),
            "signers": _signers_value(self.signers),
            "threshold": self.threshold,
            "attestations": [wanted.to_json() for wanted in self.attestations],
            "node": str(self.node),
            "name": str(self.name),
            "annotations": dict(self.annotations),
            "deny": self.deny,
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole ``trust.toml`` with the keys that it names."""

    serial: int
    seals: tuple[SealRule, ...]
    rules: tuple[Rule, ...]
    digest: Digest
    """SHA-256 of the JSON object that gives, for ``trust.toml`` and each file it names, its path and the hex of its SHA-256;
    names sorted, no spaces."""
    anchors: tuple[Anchor, ...] = ()
    """Roots and stores, and what else vouches for signers."""

    @property
    def keys(self) -> tuple[PublicKey, ...]:
        """All that it names, those that seal first."""
        sealing = [key for seal in self.seals for key in seal.keys]
        signing = [signer.key for rule in self.rules for signer in rule.everybody if signer.key]
        return tuple({key.fingerprint: key for key in (*sealing, *signing)}.values())

    @property
    def names(self) -> Mapping[str, str]:
        """What people call those whom it names, by a key's fingerprint or what else a signer is known by; the first name of each."""
        found = {fingerprint: name for seal in reversed(self.seals) for fingerprint, name in seal.names.items()}
        signers = (signer for rule in reversed(self.rules) for signer in reversed(rule.entries))
        return found | {str(signer): signer.name for signer in signers if signer.name is not None}

    def order_of(self, stream: str) -> Order:
        """Which of the stream's bundles may follow one another."""
        return self.stated_order(stream) or Order.NEWER

    def stated_order(self, stream: str) -> Order | None:
        """The order that an entry of the stream states; those that do agree."""
        return next((seal.order for seal in self.seals if seal.stream == stream and seal.order is not None), None)

    def rule_for(self, repository: str) -> Rule | None:
        """The rule whose scope covers ``repository`` most specifically; None if there is none, and nothing may enter then."""
        return min((rule for rule in self.rules if rule.scope.covers(repository)), key=lambda rule: rule.scope.rank, default=None)


def _check_threshold(threshold: int, least: int, most: int, what: str) -> None:
    if not least <= threshold <= most:
        raise UsageError(f"the threshold of {what} cannot be", code=Code.TRUST_FORM, found=threshold, wanted=f"{least} to {most}")


def _signers_value(signers: Iterable[SignerEntry]) -> list[dict[str, Any]]:
    return [{"kind": signer.kind, "id": str(signer), "name": signer.name} for signer in signers]
