"""A ``trustpolicy.json`` of the Notary Project, and the entries of ``trust.toml`` that mean the same (notaryproject/specifications,
``trust-store-trust-policy.md``, "Trust Policy").

What has no meaning here is said, never weakened: only the level ``strict`` is taken, since a signature that was merely
looked at vouches for nothing. The scopes of a statement that is not taken are denied, because a wider statement was never
meant for them. Plugins are never run.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from bundler import strictjson
from bundler.errors import Code, FormatError
from bundler.oci.reference import Reference
from bundler.trust.notation.store import StoreType
from bundler.trust.notation.subject import ANY, Subject

MAX_DOCUMENT = 1 << 20
VERSION = "1.0"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,50}", re.ASCII)
_SUBJECT = "x509.subject:"
_LEVELS: Mapping[str, tuple[str, ...]] = {
    "strict": ("enforce", "enforce", "enforce", "enforce"),
    "permissive": ("enforce", "log", "log", "log"),
    "audit": ("log", "log", "log", "log"),
}
_CHECKS = ("authenticity", "authenticTimestamp", "expiry", "revocation")
_NEEDED = ("C", "ST", "O")  # of every identity, says the specification
_DOTTED = {"2.5.4.6": "C", "2.5.4.8": "ST", "2.5.4.10": "O"}

StoreName = tuple[StoreType, str]


@dataclass(frozen=True, slots=True)
class Converted:
    """What a document comes to."""

    rules: tuple["ConvertedRule", ...]
    notes: tuple[str, ...]
    """What is denied instead, and what means a little more than before."""

    @property
    def admits(self) -> bool:
        """Whether any rule is left by which something may enter."""
        return any(rule.deny is None for rule in self.rules)

    @property
    def stores(self) -> tuple[StoreName, ...]:
        """The stores that rules name, each once."""
        return tuple(
            dict.fromkeys(store for rule in self.rules for signer in rule.signers for store in (signer.store, signer.tsa) if store)
        )


@dataclass(frozen=True, slots=True)
class ConvertedSigner:
    """A signer entry: for whom which store vouches."""

    store: StoreName
    subject: str
    tsa: StoreName | None

    def to_toml(self) -> dict[str, Any]:
        return {"store": label(self.store), "subject": self.subject} | ({"tsa": label(self.tsa)} if self.tsa else {})


@dataclass(frozen=True, slots=True)
class ConvertedRule:
    """A rule for one scope: one of its signers is enough, or it is denied."""

    scope: str
    signers: tuple[ConvertedSigner, ...]
    deny: str | None = None
    """Why, where no signer is enough."""


def label(store: StoreName) -> str:
    """What a store is called in ``trust.toml``, where names of two types must differ."""
    kind, name = store
    return f"{kind}.{name}"


def convert(raw: bytes) -> Converted:
    """From at most MAX_DOCUMENT bytes of a document of version 1.0.

    Raises FormatError (``trust.form``, ``format.json``) for one that Notation too would refuse.
    """
    statements = _statements(raw)
    rules: list[ConvertedRule] = []
    notes: list[str] = []
    for statement in statements:
        scopes = ["**" if scope == ANY else scope for scope in statement.scopes]
        if weaker := statement.weaker():
            notes.append(f"{statement.name} is not taken over, so {', '.join(scopes)} is denied: {weaker}")
            why = f"statement {ascii(statement.name)[1:-1][:80]} of a Notation trust policy: {weaker}"
            rules += (ConvertedRule(scope, (), why) for scope in scopes)
            continue
        if statement.after_expiry and statement.tsas:
            notes.append(f"{statement.name}: afterCertExpiry became always, so that signatures without a timestamp are refused")
        if statement.is_for_signers and not statement.tsas:
            notes.append(f"{statement.name}: names no timestamp authorities, so that signatures end with their certificates")
        rules += (ConvertedRule(scope, tuple(statement.signers())) for scope in scopes)
    return Converted(tuple(rules), tuple(notes))


@dataclass(frozen=True, slots=True)
class _Statement:
    name: str
    scopes: tuple[str, ...]
    level: str
    override: dict[str, str]
    after_expiry: bool
    stores: tuple[StoreName, ...]
    identities: tuple[str, ...]

    def weaker(self) -> str | None:
        """What makes it weaker than strict."""
        if self.level == "skip":
            return "level skip verifies nothing"
        actions = dict(zip(_CHECKS, _LEVELS[self.level], strict=True)) | self.override
        weak = [f"{check} = {action}" for check, action in actions.items() if action != "enforce"]
        return f"level {self.level} with {', '.join(weak)} is below strict" if weak else None

    @property
    def tsas(self) -> tuple[StoreName, ...]:
        return tuple(store for store in self.stores if store[0] is StoreType.TSA)

    @property
    def is_for_signers(self) -> bool:
        return any(kind is StoreType.CA for kind, _ in self.stores)

    def signers(self) -> Iterator[ConvertedSigner]:
        for store, subject in product(self.stores, self.identities):
            match store[0]:
                case StoreType.CA:
                    yield from (ConvertedSigner(store, subject, tsa) for tsa in self.tsas or (None,))
                case StoreType.SIGNING_AUTHORITY:
                    yield ConvertedSigner(store, subject, None)


def _statements(raw: bytes) -> list[_Statement]:
    match strictjson.loads(raw, limit=MAX_DOCUMENT):
        case {"version": "1.0", "trustPolicies": [_, *_] as policies, **more} if not more:
            statements = [_statement(policy) for policy in policies]
        case _:
            raise _refused("a trust policy is not well-formed", None, f"version {VERSION} and trustPolicies")
    _distinct([statement.name for statement in statements], "the name of two statements")
    _distinct([scope for statement in statements for scope in statement.scopes], "a scope")
    return statements


def _statement(value: Any) -> _Statement:
    match value:
        case {"name": str(name), "registryScopes": scopes, "signatureVerification": dict(verification), **rest} if name and not (
            rest.keys() - {"trustStores", "trustedIdentities"}
        ):
            level, override, after_expiry = _verification(verification, name)
            skipped = level == "skip"
            return _Statement(
                name=name,
                scopes=_scopes(scopes, name),
                level=level,
                override=override,
                after_expiry=after_expiry,
                stores=() if skipped else _stores(rest.get("trustStores"), name),
                identities=() if skipped else _identities(rest.get("trustedIdentities"), name),
            )
    raise _refused(
        "a statement of a trust policy is not well-formed",
        value,
        "name, registryScopes, signatureVerification, trustStores, trustedIdentities",
    )


def _verification(value: dict[str, Any], name: str) -> tuple[str, dict[str, str], bool]:
    match value:
        case {"level": str(level), **rest} if (level in _LEVELS or level == "skip") and not rest.keys() - {"override", "verifyTimestamp"}:
            override = rest.get("override") or {}
            after = rest.get("verifyTimestamp") or "always"
            known = after in ("always", "afterCertExpiry") and isinstance(override, dict) and not (override and level == "skip")
            if known and all(_may_override(check, action) for check, action in override.items()):
                return level, override, after == "afterCertExpiry"
    raise _refused(f"signatureVerification of {name} is not well-formed", value, "level, override, verifyTimestamp")


def _may_override(check: str, action: object) -> bool:
    return check in _CHECKS and (action in ("enforce", "log") or (action == "skip" and check == "revocation"))


def _scopes(value: Any, name: str) -> tuple[str, ...]:
    scopes = _texts(value, f"registryScopes of {name}")
    if ANY in scopes and len(scopes) > 1:
        raise _refused(f"registryScopes of {name} has more beside *", scopes, "* alone")
    for scope in scopes:
        if scope != ANY and not _is_repository(scope):
            raise _refused(f"registryScopes of {name} is not well-formed", scope, "a repository with its registry, or *")
    return scopes


def _is_repository(scope: str) -> bool:
    """Fully qualified, so that no shorter name is expanded to it; without tag and digest."""
    try:
        return Reference.parse(scope).repository == scope
    except FormatError:
        return False


def _stores(value: Any, name: str) -> tuple[StoreName, ...]:
    found = []
    for text in _texts(value, f"trustStores of {name}"):
        kind, _, store = text.partition(":")
        if kind not in list(StoreType) or not _NAME.fullmatch(store):
            raise _refused(f"trustStores of {name} is not well-formed", text, "ca:NAME, signingAuthority:NAME or tsa:NAME")
        found.append((StoreType(kind), store))
    if all(kind is StoreType.TSA for kind, _ in found):
        raise _refused(f"trustStores of {name} vouch for nobody", value, "a store ca:NAME or signingAuthority:NAME")
    return tuple(dict.fromkeys(found))


def _identities(value: Any, name: str) -> tuple[str, ...]:
    texts = _texts(value, f"trustedIdentities of {name}")
    if texts == (ANY,):
        return texts
    subjects = []
    for text in texts:
        if not text.startswith(_SUBJECT):
            raise _refused(f"trustedIdentities of {name} is not well-formed", text, f"{_SUBJECT} and attributes, or * alone")
        subjects.append(Subject.parse(text.removeprefix(_SUBJECT).strip()))
        missing = set(_NEEDED) - {_DOTTED.get(kind.dotted_string, "") for kind, _ in subjects[-1].attributes}
        if missing:
            raise _refused(f"trustedIdentities of {name} lacks {', '.join(sorted(missing))}", text, "C, ST and O at least")
    if any(one is not other and one.covers(other) for one in subjects for other in subjects):
        raise _refused(f"trustedIdentities of {name} overlap", texts, "identities of which none covers another")
    return tuple(str(subject) for subject in subjects)


def _texts(value: Any, what: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise _refused(f"{what} is not a list of texts", value, "one or more")
    return tuple(value)


def _distinct(values: Sequence[str], what: str) -> None:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise _refused(f"{what} stands twice in a trust policy", twice[0], "once")


def _refused(what: str, found: object, wanted: str) -> FormatError:
    return FormatError(what, code=Code.TRUST_FORM, found=None if found is None else ascii(found)[:160], wanted=wanted)
