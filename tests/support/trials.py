"""Trials: an item of the synthetic world, what it is judged by, and the one code that it must end in."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from bundler.errors import BundlerError, Code
from bundler.trust.keys import PublicKey
from bundler.trust.sigstore.item import Item
from bundler.trust.sigstore.root import TrustedRoot
from bundler.trust.sigstore.steps import Proof, Thresholds, prove_by_certificate, prove_by_key
from tests.support.world import World

WORLD = World()
ROOT = WORLD.root()
DEFAULT = Thresholds()


@dataclass(frozen=True)
class Trial:
    """What is judged, and by what."""

    item: Item
    root: TrustedRoot = ROOT
    needed: Thresholds = DEFAULT
    key: PublicKey | None = None

    def prove(self) -> Proof:
        if self.key is not None:
            return prove_by_key(self.item, self.key, self.root, self.needed)
        return prove_by_certificate(self.item, self.root, self.needed)


Build = Callable[[World], Trial | Item]


@dataclass(frozen=True)
class Case:
    """A trial, the rule that it is about, and its end: None for a proof."""

    rule: str
    code: Code | None
    build: Build

    @property
    def name(self) -> str:
        return self.build.__name__.replace("_", " ")

    def end(self) -> Code | None:
        """What becomes of it; making the evidence may end it already, as reading it from a bundle would."""
        try:
            self.proof()
        except BundlerError as error:
            return error.code
        return None

    def proof(self) -> Proof:
        built = self.build(WORLD)
        return (built if isinstance(built, Trial) else Trial(built)).prove()


class Cases(list[Case]):
    """The cases of a test module, each a function that makes its trial."""

    def refused(self, rule: str, code: Code) -> Callable[[Build], Build]:
        return lambda build: self._add(Case(rule, code, build))

    def proved(self, rule: str) -> Callable[[Build], Build]:
        return lambda build: self._add(Case(rule, None, build))

    def _add(self, case: Case) -> Build:
        self.append(case)
        return case.build

    @property
    def params(self) -> list[pytest.param]:  # type: ignore[valid-type]
        return [pytest.param(case, id=f"{case.rule} {case.name}") for case in self]
