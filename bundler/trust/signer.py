"""A rule's signers: whose signature counts, and what it takes to be theirs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bundler.errors import Code, TrustError
from bundler.trust.keys import PublicKey
from bundler.trust.unverified import UnverifiedSignature


@dataclass(frozen=True, slots=True)
class SignerProof:
    """A signature that is a signer's: whose exactly, how it was verified, and what beside it nobody asked about."""

    id: str
    """Of the key or the identity: one that meets several entries of a rule still fills only one."""
    by: str
    """With which algorithm, and by whom; for people."""
    remark: Code | None = None
    not_checked: tuple[tuple[Code, str], ...] = ()
    also: frozenset[str] = frozenset()
    """What else the same person is known by, as the fingerprint of the key in a certificate: whoever shares one, by whatever
    entry, fills only one."""
    under: str | None = None
    """When, and under which root or store, it is proved; for people. None where the key alone proves it."""
    times: tuple[datetime, ...] = ()
    """When it was made, as a log or an authority vouches for."""

    @property
    def how(self) -> str:
        """How it was verified, for people."""
        return self.by if self.under is None else f"{self.by}, {self.under}"


class AnotherSignerError(TrustError):
    """A signature that is somebody's, and not the signer's."""

    def __init__(self, error: TrustError, who: str, *, proved: bool) -> None:
        """For the ``error`` of a check: ``who`` it is instead, and whether all that proves it has been verified."""
        super().__init__(error.what, code=error.code, found=error.found, wanted=error.wanted)
        self.who = who
        self.proved = proved


class SignerEntry(Protocol):
    """An entry under ``signer`` of a rule."""

    @property
    def kind(self) -> str:
        """The name of its kind: ``key``, ``identity`` or ``notation``."""
        ...

    @property
    def name(self) -> str | None:
        """What people call the signer here. Words only: nothing is decided by it."""
        ...

    @property
    def key(self) -> PublicKey | None:
        """The public key that trust pins for the signer; None where it is known by something else."""
        ...

    def prove(self, offer: UnverifiedSignature, *, at: datetime) -> SignerProof:
        """Go on if the signature is this signer's, judged as of ``at``.

        Raises TrustError and FormatError with the code of the check that fails; ``bundle.material`` where the signature
        is not of a kind that this signer makes.
        """
        ...

    def is_named_by(self, hint: str) -> bool:
        """Whether a signature with this hint says that it is this signer's."""
        ...

    def behind(self, files: Mapping[str, bytes]) -> Iterator[bytes]:
        """What the signer is known by, to be kept beside what it has signed: its key, the ``files`` of its root or stores."""
        ...


def persons(known_by: Sequence[frozenset[str]]) -> list[int]:
    """Who each of these is, by what they are known by: a number, the same for two that share anything, also by way of others."""
    numbers: list[int] = []
    whose: dict[str, int] = {}
    for number, names in enumerate(known_by):
        same = {whose[name] for name in names if name in whose}
        numbers.append(min(same, default=number))
        if same - {numbers[-1]}:  # mutant-equivalent always: for who is known by one number, nothing changes; others seemed two until now
            numbers = [numbers[-1] if other in same else other for other in numbers]
            whose = {name: numbers[-1] if other in same else other for name, other in whose.items()}
        whose |= dict.fromkeys(names, numbers[-1])
    return numbers
