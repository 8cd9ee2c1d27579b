"""Taking a table out of ``trust.toml`` as a person would: the lines of that table go or change, and no others."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bundler.errors import Code, UsageError
from bundler.trust.addition import rendered, with_next_serial
from bundler.trust.policy import Policy
from bundler.trust.signer import SignerEntry
from bundler.trust.table import FILE

_HEADER = re.compile(r"[ \t]*\[+[ \t]*([A-Za-z0-9_-]+)[ \t]*([.\]])")
_NOTHING = re.compile(r"[ \t]*(#.*)?\r?\n?", re.ASCII)


def without_rule(text: str, policy: Policy, scope: str) -> str:
    """``trust.toml`` without the rule for ``scope``, and with the next serial. ``policy`` is what it says.

    Raises UsageError (``trust.form``) where only a person can change the file.
    """
    [number] = [number for number, rule in enumerate(policy.rules) if str(rule.scope) == scope]
    return without(with_next_serial(text), "rule", number)


def without_key(text: str, policy: Policy, fingerprint: str) -> tuple[str, tuple[str, ...]]:
    """``trust.toml`` without the public key wherever it counts, and with the next serial; and the scopes of the rules that went.

    A seal or rule that no other key is left for goes with it. Raises UsageError (``trust.form``) where only a person can change the
    file.
    """
    tables = tomllib.loads(text)
    seals = list(_left("keys", tables.get("seal", []), [[key.fingerprint for key in seal.keys] for seal in policy.seals], fingerprint))
    rules = list(_left("signer", tables.get("rule", []), [[*map(_known_by, rule.signers)] for rule in policy.rules], fingerprint))
    _refuse_attesting(policy, fingerprint)
    text = with_next_serial(text)
    for kind, changes in (("seal", seals), ("rule", rules)):
        for number, left in reversed(changes):
            text = without(text, kind, number, left=left)
    return text, tuple(str(policy.rules[number].scope) for number, left in rules if left is None)


def without(text: str, kind: str, number: int, *, left: Mapping[str, Any] | None = None) -> str:
    """``trust.toml`` without its table ``[[kind]]`` of that ``number``, from 0; or with what is ``left`` of it.

    Comments before a table stay, those inside one go. Raises UsageError (``trust.form``) where this cannot be done by lines.
    """
    before = tomllib.loads(text)
    wanted = {**before, kind: [*before[kind][:number], *([dict(left)] if left is not None else []), *before[kind][number + 1 :]]}
    lines = text.splitlines(keepends=True)
    first, end = _span(lines, kind, number)
    after = "".join([*lines[:first], rendered(kind, left) if left is not None else "", *lines[end:]])
    if _read(after) != {name: value for name, value in wanted.items() if value or name != kind}:
        raise UsageError(
            f"{FILE} is written in a way that only a person can change",
            code=Code.TRUST_FORM,
            found=f"table {number + 1} of [[{kind}]]",
            next="take it out with an editor, and raise the serial by one",
        )
    return after


_Change = tuple[int, dict[str, Any] | None]
"""The number of a table, and what is left of it."""


def _left(name: str, tables: Sequence[dict[str, Any]], known: Sequence[Sequence[str | None]], fingerprint: str) -> Iterator[_Change]:
    """What is left of each table whose list ``name`` holds the key, the keys of which are ``known`` in the same order."""
    for number, (table, each) in enumerate(zip(tables, known, strict=True)):
        if fingerprint in each:
            rest = [item for item, other in zip(table[name], each, strict=True) if other != fingerprint]
            names = {key: called for key, called in table.get("names", {}).items() if key in rest}
            yield number, {**table, name: rest} | ({"names": names} if "names" in table else {}) if rest else None


def _refuse_attesting(policy: Policy, fingerprint: str) -> None:
    """A key that a rule names for one attestation alone stands in a table inside of the rule's."""
    for rule in policy.rules:
        for wanted in rule.attestations:
            if not wanted.plain and fingerprint in map(_known_by, wanted.signers):
                raise UsageError(
                    "the key counts for an attestation, and there only a person can take it out",
                    code=Code.TRUST_FORM,
                    found=f"{wanted.type} of the rule for {rule.scope}",
                    next="take it out of trust.toml with an editor, and raise the serial by one",
                )


def _known_by(signer: SignerEntry) -> str | None:
    return signer.key.fingerprint if signer.key else None


def _span(lines: list[str], kind: str, number: int) -> tuple[int, int]:
    """The first line of the table, and the one behind its last."""
    first = end = len(lines)
    seen = -1
    for at, line in enumerate(lines):
        header = _HEADER.match(line)
        if header is None or (first < at and header[1] == kind and header[2] == "."):
            continue
        if first < at:
            end = at
            break
        seen += header[1] == kind and header[2] == "]"
        first = at if seen == number else first
    while end > first + 1 and _NOTHING.fullmatch(lines[end - 1]):
        end -= 1
    while end < len(lines) and not lines[end].strip():
        end += 1  # with the empty lines behind it
    return first, end


def _read(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
