"""The kinds of signers that rules may name. A further one is a module of its own, and its line in :data:`KINDS`."""

from collections.abc import Container
from typing import Any

from bundler.trust import keysigner
from bundler.trust.kind import Kind, Section
from bundler.trust.notation import signer as notation
from bundler.trust.sigstore import signer as sigstore

KINDS: tuple[Kind, ...] = (
    keysigner.KIND,
    sigstore.KIND,
    notation.KIND,
)


def kind_of(members: Container[str]) -> Kind:
    """Which kind of signer a table in a rule is of, by the names of its members.

    Names of two kinds at once are refused by whoever reads the table, as unknown to that one.
    """
    marked = [kind for kind in KINDS if kind.mark in members]
    return marked[0] if marked else next(kind for kind in KINDS if kind.mark is None)


def kind_named(name: str) -> Kind:
    """The kind that results call by this name."""
    return next(kind for kind in KINDS if kind.name == name)


def sections() -> tuple[Section[Any], ...]:
    """The tables of ``trust.toml`` that came with a kind, in the order in which they are told."""
    return tuple(kind.section for kind in KINDS if kind.section is not None)
