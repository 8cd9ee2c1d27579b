"""What is added to ``trust.toml``: tables as text, and the next serial."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bundler.errors import Code, UsageError
from bundler.trust.table import FILE, Table, is_text

_SERIAL = re.compile(r"^([ \t]*serial[ \t]*=[ \t]*)([0-9]+)(?=[ \t]*(?:#|\r?$))", re.MULTILINE)


def render_seal(
    *,
    stream: str,
    scopes: Sequence[str],
    keys: Sequence[str],
    threshold: int | None,
    names: Mapping[str, str] | None = None,
    order: str | None = None,
) -> str:
    """A ``[[seal]]`` to append to ``trust.toml``. Raises UsageError (``trust.form``) for what would have no form there."""
    named = dict(names or {}) or None
    members = {"stream": stream, "scopes": list(scopes), "keys": list(keys), "names": named, "threshold": threshold, "order": order}
    return rendered("seal", members)


def render_rule(
    *,
    scope: str,
    signers: Sequence[Mapping[str, Any]],
    threshold: int | None = None,
    attestations: Sequence[str | Mapping[str, Any]] = (),
    annotations: Mapping[str, str] | None = None,
    node: str | None = None,
    name: str | None = None,
) -> str:
    """A ``[[rule]]`` to append to ``trust.toml``; what is None or empty is left to its default. Raises as :func:`render_seal`.

    ``signers`` are the tables of signers, as ``trust.toml`` has them.
    """
    wanted = [item if isinstance(item, str) else dict(item) for item in attestations]
    rest = {
        "threshold": threshold,
        "attestations": wanted or None,
        "annotations": dict(annotations or {}) or None,
        "node": node,
        "name": name,
    }
    return rendered("rule", {"scope": scope, "signer": [*map(dict, signers)]} | rest)


def render_denial(*, scope: str, reason: str) -> str:
    """A ``[[rule]]`` that admits nothing of ``scope``, to append to ``trust.toml``. Raises as :func:`render_seal`."""
    return rendered("rule", {"scope": scope, "deny": reason})


def with_next_serial(text: str) -> str:
    """``trust.toml`` with its serial grown by one and nothing else changed. Raises UsageError (``trust.form``)."""
    before = Table.parse(text.encode()).members
    after = _SERIAL.sub(lambda match: f"{match[1]}{int(match[2]) + 1}", text, count=1)
    if type(before.get("serial")) is not int or Table.parse(after.encode()).members != before | {"serial": before["serial"] + 1}:
        raise UsageError("the serial of trust.toml cannot be raised", code=Code.TRUST_FORM, wanted="a line serial = NUMBER near its top")
    return after


def rendered(kind: str, members: Mapping[str, Any]) -> str:
    """A table ``[[kind]]`` as text; what is None is left out. Raises UsageError (``trust.form``) for what has no form there."""
    return f"[[{kind}]]\n{assigned(members)}"


def assigned(members: Mapping[str, Any]) -> str:
    """The members of a table as text, a line each; what is None is left out. Raises as :func:`rendered`."""
    return "".join(f"{name} = {_toml(value)}\n" for name, value in members.items() if value is not None)


def _toml(value: Any) -> str:
    match value:
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{_toml_name(name)} = {_toml(item)}' for name, item in value.items())} }}"
        case str() if not is_text(value):
            raise UsageError(f"{FILE} takes no such text", code=Code.TRUST_FORM, found=ascii(value)[:160], wanted="printable characters")
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False)  # of what is printable, TOML escapes what JSON escapes
    return str(value)


def _toml_name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name, re.ASCII) else _toml(name)
