"""Verdicts: every check that ran, what it saw, and what follows. Data, never a truth value."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn

from bundler.errors import Code
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference


class Outcome(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not-checked"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what was seen."""

    name: str
    """What was checked, in a word or two of the specification: ``signature``, ``attestation``, ``subject``."""
    outcome: Outcome
    code: Code | None
    """Why it failed or was not checked; None where it passed without remark."""
    detail: str
    """Found and wanted, for a person. Foreign text in it is escaped by who prints it."""
    subject: Digest
    """The manifest of the evidence that was looked at, or the node where the check is about the node."""
    spec: str | None = None
    """The rule that asks for it, by its specification and section."""
    required: bool = False
    """Whether the station's rule asks for it, and it is there."""
    signer: str | None = None
    """For a signature that is proved, :attr:`SignedBy.id` of whose it is."""
    under: str | None = None
    """For such a one, when and under which root or store; for a person. None where a key alone proves it."""

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "outcome": str(self.outcome),
            "code": None if self.code is None else str(self.code),
            "detail": self.detail,
            "subject": str(self.subject),
            "spec": self.spec,
        }


@dataclass(frozen=True, slots=True, order=True)
class SignedBy:
    """A signer of the rule who was proved to have signed a node."""

    kind: str
    """``key``, ``identity`` or ``notation``: the kind of the rule's signer entry."""
    id: str
    """For a key ``sha256:`` and the hex digest of its SPKI."""
    form: str
    """``sig``, ``att``, ``bundle`` or ``notation``."""
    node: Digest
    also: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    """What else the same person is known by (``signer.SignerProof``)."""
    name: str | None = field(default=None, compare=False)
    """What the rule calls the signer."""
    times: tuple[datetime, ...] = field(default=(), repr=False, compare=False)
    """When it was signed, as a log or an authority vouches for; none where a key alone proves it."""

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "id": self.id, "name": self.name, "form": self.form, "node": str(self.node)}


@dataclass(frozen=True, slots=True)
class OtherSigner:
    """Who made a signature that is by no signer of the rule, as far as that is known."""

    kind: str
    """``key``, ``identity`` or ``notation``: with what it was made."""
    id: str | None
    """As :attr:`SignedBy.id`; None where the signature does not say it."""
    proved: bool
    """Whether the signature was verified to be theirs. Else it only says so, as anybody's may."""
    form: str
    node: Digest
    name: str | None = None
    """What trust calls them elsewhere; None unless it is proved."""

    def unnamed(self) -> "OtherSigner":
        """Without saying who it is."""
        return replace(self, id=None, proved=False, name=None)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "id": self.id, "name": self.name, "proved": self.proved, "form": self.form, "node": str(self.node)}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the station's policy says of one image."""

    reference: Reference
    digest: Digest
    rule: str | None
    """The scope of the rule that was applied; None where none covers the repository."""
    signers: tuple[SignedBy, ...]
    reasons: tuple[Code, ...]
    """Why it is refused: first the policy's, then the failed checks'. Empty exactly if it passed."""
    checks: tuple[Check, ...]
    admitted: frozenset[Digest]
    """The evidence manifests that may enter beside the image: all that were found but those that could be run, and those that
    refer to something else. None beside an image that is refused."""
    others: tuple[OtherSigner, ...] = ()
    """Whose signatures were found as well, and do not count."""
    times: tuple[datetime, ...] = ()
    """When the signatures that count were made, as logs and authorities vouch for; sorted, each once."""

    @property
    def passed(self) -> bool:
        return not self.reasons

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict is not a truth value; ask .passed")
