"""The station's policy, as values: who may seal which streams, and whose signatures which images need."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bundler.errors import Code, UsageError
from bundler.oci.digest import Digest
from bundler.trust.keys import PublicKey
from bundler.trust.notation.store import Store
from bundler.trust.scope import Scope
from bundler.trust.signer import SignerEntry
from bundler.trust.sigstore.signer import Root


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


@dataclass(frozen=True, slots=True)
class Seal:
    """Who may seal bundles of a stream, and for which repositories."""

    stream: str
    scopes: tuple[Scope, ...]
    keys: tuple[PublicKey, ...]
    threshold: int

    def __post_init__(self) -> None:
        _check_threshold(self.threshold, 1, len(self.keys), f"the seal of {self.stream}")

    def to_json(self) -> dict[str, Any]:
        return {
            "stream": self.stream,
            "scopes": [str(scope) for scope in self.scopes],
            "keys": [key.fingerprint for key in self.keys],
            "threshold": self.threshold,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
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
            "signers": [{"kind": signer.kind, "id": str(signer)} for signer in self.signers],
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
    attestations: tuple[Wanted, ...] = ()
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
    def everybody(self) -> tuple[SignerEntry, ...]:
        """The signers, and behind them those who may only attest."""
        others = (signer for wanted in self.attestations for signer in wanted.signers if signer not in self.signers)
        return (*self.signers, *dict.fromkeys(others))

    def to_json(self) -> dict[str, Any]:
        return {
            "scope": str(self.scope),
            "signers": [{"kind": signer.kind, "id": str(signer)} for signer in self.signers],
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
    seals: tuple[Seal, ...]
    rules: tuple[Rule, ...]
    digest: Digest
    """SHA-256 of the JSON object that gives, for ``trust.toml`` and each file it names, its path and the hex of its SHA-256;
    names sorted, no spaces."""
    roots: tuple[Root, ...] = ()
    stores: tuple[Store, ...] = ()

    def rule_for(self, repository: str) -> Rule | None:
        """The rule whose scope covers ``repository`` most specifically; None if there is none, and nothing may enter then."""
        return min((rule for rule in self.rules if rule.scope.covers(repository)), key=lambda rule: rule.scope.rank, default=None)


<<<<<<< HEAD
def render_seal(*, stream: str, scopes: Sequence[str], keys: Sequence[str], threshold: int | None) -> str:
    """A ``[[seal]]`` to append to ``trust.toml``. Raises UsageError (``trust.form``) for what would have no form there."""
    return rendered("seal", {"stream": stream, "scopes": list(scopes), "keys": list(keys), "threshold": threshold})


def render_root(*, name: str, file: str, log: int | None = None, timestamp: int | None = None, sct: int | None = None) -> str:
    """A ``[[root]]`` to append to ``trust.toml``; what is None is left to its default. Raises as :func:`render_seal`."""
    return rendered("root", {"name": name, "file": file, "log": log, "timestamp": timestamp, "sct": sct})


def render_store(*, name: str, type: StoreType, certificates: Sequence[str], crl: Sequence[str] = ()) -> str:  # noqa: A002 - its name there
    """A ``[[store]]`` to append to ``trust.toml``. Raises as :func:`render_seal`."""
    return rendered("store", {"name": name, "type": str(type), "certificates": list(certificates), "crl": list(crl) or None})


def render_rule(
    *,
    scope: str,
    keys: Sequence[str] = (),
    signers: Sequence[Mapping[str, Any]] = (),
    threshold: int | None = None,
    attestations: Sequence[str | Mapping[str, Any]] = (),
    annotations: Mapping[str, str] | None = None,
    node: str | None = None,
    name: str | None = None,
) -> str:
    """A ``[[rule]]`` to append to ``trust.toml``; what is None or empty is left to its default. Raises as :func:`render_seal`.

    ``signers`` are the tables of signers who are not bare keys, as :meth:`ConvertedSigner.to_toml` gives them.
    """
    named = [*({"key": key} for key in keys), *map(dict, signers)]
    wanted = [item if isinstance(item, str) else dict(item) for item in attestations]
    rest = {
        "threshold": threshold,
        "attestations": wanted or None,
        "annotations": dict(annotations or {}) or None,
        "node": node,
        "name": name,
    }
    return rendered("rule", {"scope": scope, "signer": named} | rest)


def render_denial(*, scope: str, reason: str) -> str:
    """A ``[[rule]]`` that admits nothing of ``scope``, to append to ``trust.toml``. Raises as :func:`render_seal`."""
    return rendered("rule", {"scope": scope, "deny": reason})


def with_next_serial(text: str) -> str:
    """``trust.toml`` with its serial grown by one and nothing else changed. Raises UsageError (``trust.form``)."""
    before = _Table.parse(text.encode()).members
    after = _SERIAL.sub(lambda match: f"{match[1]}{int(match[2]) + 1}", text, count=1)
    if type(before.get("serial")) is not int or _Table.parse(after.encode()).members != before | {"serial": before["serial"] + 1}:
        raise UsageError("the serial of trust.toml cannot be raised", code=Code.TRUST_FORM, wanted="a line serial = NUMBER near its top")
    return after


def _seal(table: "_Table", keys: "_Keys") -> Seal:
    table.check_names(_SEAL)
    stream = table.text("stream")
    if not _STREAM.fullmatch(stream):
        raise table.error("stream", found=stream, wanted="1 to 64 letters, digits, dots, underscores and hyphens")
    scopes = table.texts("scopes", least=1)
    _check_distinct(scopes, f"a scope of {table.what}")
    pinned = tuple(keys.load(name, role="seal") for name in table.texts("keys", least=1))
    _check_distinct([key.fingerprint for key in pinned], f"a key of {table.what}")
    return Seal(stream, tuple(map(Scope.parse, scopes)), pinned, table.threshold(len(pinned)))


def _root(table: "_Table", files: Mapping[str, bytes]) -> Root:
    table.check_names(_ROOT)
    name = table.label("name")
    path = table.text("file")
    with _usable(path):
        trusted = TrustedRoot.parse(_file(files, path))
    needed = Needed(*(table.whole(of, 0, MAX_NEEDED, default=least) for of, least in (("log", 1), ("timestamp", 0), ("sct", 1))))
    there = {"log": len(trusted.logs), "timestamp": len(trusted.timestamp_authorities), "sct": len(trusted.ct_logs)}
    for of, wanted in (("log", needed.log), ("timestamp", needed.timestamp), ("sct", needed.sct)):
        if wanted > there[of]:
            raise UsageError(
                f"the root {name} asks for more than {path} has",
                code=Code.TRUST_FORM,
                found=f"{there[of]} of what {of} counts" + (f"; left out: {'; '.join(trusted.left_out)}" if trusted.left_out else ""),
                wanted=wanted,
                next=f"{of} = {there[of]} if this Sigstore has no more",
            )
    return Root(name, trusted, needed)


def _store(table: "_Table", files: Mapping[str, bytes]) -> Store:
    table.check_names(_STORE)
    name = table.label("name")
    kind = StoreType(table.choice("type", StoreType, needed=True))
    with _usable(f"the store {name}"):
        certificates = [_file(files, path) for path in table.texts("certificates", least=1)]
        return Store.parse(name, kind, certificates, [_file(files, path) for path in table.texts("crl")])


@contextmanager
def _usable(what: str) -> Iterator[None]:
    """What is wrong with a file of a root or a store is wrong with trust."""
    try:
        yield
    except FormatError as error:
        code = error.code if error.code is Code.TRUST_STORE else Code.TRUST_FORM
        raise UsageError(f"{what} cannot be used: {error}", code=code, next=error.next) from error


@dataclass(frozen=True, slots=True)
class _Known:
    """What signers may be named by."""

    keys: "_Keys"
    roots: Mapping[str, Root]
    stores: Mapping[str, Store]

    def root(self, table: "_Table") -> Root:
        return _named(table, "root", self.roots)

    def store(self, table: "_Table", name: str, *types: StoreType) -> Store:
        store = _named(table, name, self.stores)
        if store.type not in types:
            raise table.error(name, found=f"{store.name}, of type {store.type}", wanted=f"a store of type {' or '.join(types)}")
        return store


def _named(table: "_Table", name: str, among: Mapping[str, T]) -> T:
    wanted = table.text(name)
    if wanted not in among:
        raise table.error(name, found=wanted, wanted=f"the name of a [[{'root' if name == 'root' else 'store'}]]")
    return among[wanted]


def _rule(table: "_Table", known: _Known) -> Rule:
    if "deny" in table.members:
        table.check_names({"scope", "deny"})
        return Rule(Scope.parse(table.text("scope")), signers=(), threshold=1, deny=table.text("deny"))
    table.check_names(_RULE)
    signers = _signers(table, known)
    node = Node(table.choice("node", Node))
    attestations = tuple(_wanted(table, item, known, signers, node) for item in table.items("attestations"))
    _check_distinct([str(wanted) for wanted in attestations], f"an attestation of {table.what}")
    annotations = table.table("annotations")
    rule = Rule(
        scope=Scope.parse(table.text("scope")),
        signers=signers,
        threshold=table.threshold(len(signers)),
        attestations=attestations,
        node=node,
        name=Naming(table.choice("name", Naming)),
        annotations=tuple((name, annotations.text(name)) for name in annotations.members),
    )
    if rule.threshold == 0 and (rule.name is Naming.SIGNED or rule.annotations):
        found = "signed" if rule.name is Naming.SIGNED else "annotations"
        raise table.error("threshold", found=f"0 beside {found}", wanted="1 or more, for attestations name no repository and bear none")
    return rule


def _signers(table: "_Table", known: _Known) -> tuple[SignerEntry, ...]:
    signers = tuple(_signer(item, known) for item in table.tables("signer"))
    if len(signers) > MAX_SIGNERS:
        raise table.error("signer", found=len(signers), wanted=f"at most {MAX_SIGNERS} signers")
    _check_distinct([str(signer) for signer in signers], f"a signer of {table.what}")
    return signers


def _wanted(rule: "_Table", item: Any, known: _Known, signers: tuple[SignerEntry, ...], node: Node) -> Wanted:
    """A predicate type, or a table that says more; what it does not say, the rule says."""
    if _is_text(item):
        return Wanted(_predicate_type(str(item)), node, signers)
    if not isinstance(item, dict):
        raise rule.error("attestations", found=item, wanted="predicate types, or tables with type, node, signer, where")
    table = _Table(item, f"an attestation of {rule.what}")
    table.check_names(_ATTESTATION)
    where = table.table("where")
    values = tuple((place, where.plain(place)) for place in where.members)
    for place, _ in values:
        if any(part == "" for part in place.split(".")):
            raise where.error(place, found=place, wanted="names joined by dots")
    own = _signers(table, known) if "signer" in item else signers
    chosen = Node(table.choice("node", Node)) if "node" in item else node
    return Wanted(_predicate_type(table.text("type")), chosen, own, values, plain=item.keys() <= {"type"})


def _signer(table: "_Table", known: _Known) -> SignerEntry:
    """Which kind it is, its first name says; names of two kinds at once are refused as unknown to either."""
    if "key" in table.members:
        return _key_signer(table, known)
    return _store_signer(table, known) if "store" in table.members else _identity_signer(table, known)


def _key_signer(table: "_Table", known: _Known) -> SignerEntry:
    table.check_names(_KEY_SIGNER if "root" in table.members else {"key"})
    key = known.keys.load(table.text("key"), role="image")
    if "root" not in table.members:
        return PinnedKey(key)
    root = known.root(table)
    log = table.whole("log", 0, len(root.trusted.logs), default=root.needed.log)
    return LoggedKey(key, root, Needed(log=log, timestamp=root.needed.timestamp, sct=0))


def _identity_signer(table: "_Table", known: _Known) -> SignerEntry:
    table.check_names(_IDENTITY_SIGNER)
    exact = "identity" in table.members
    if exact == ("identity_regexp" in table.members):
        raise table.error("identity", found="both or neither", wanted="identity, or identity_regexp, which matches the whole")
    claims = table.table("claims")
    claims.check_names(set(CLAIMS.values()))
    return PinnedIdentity(
        root=known.root(table),
        issuer=table.text("issuer"),
        identity=table.text("identity") if exact else None,
        pattern=None if exact else _pattern(table),
        claims=tuple((name, claims.text(name)) for name in claims.members),
    )


_NOBODY = ("", "somebody@anywhere.invalid", "https://anywhere.invalid/anything")
"""No identity, and two that nobody can have (RFC 2606): who takes one of these takes everybody."""


def _pattern(table: "_Table") -> re.Pattern[str]:
    text = table.text("identity_regexp")
    try:
        pattern = compiled(text)
    except FormatError as error:
        raise table.error("identity_regexp", found=f"{text[:80]}: {error}", wanted="a regular expression of bounded cost") from error
    if any(pattern.fullmatch(nobody) for nobody in _NOBODY):
        raise table.error("identity_regexp", found=text, wanted="one that does not match anybody")
    return pattern


def _store_signer(table: "_Table", known: _Known) -> SignerEntry:
    table.check_names(_STORE_SIGNER)
    store = known.store(table, "store", StoreType.CA, StoreType.SIGNING_AUTHORITY)
    tsa = known.store(table, "tsa", StoreType.TSA) if "tsa" in table.members else None
    if tsa is not None and store.type is not StoreType.CA:
        raise table.error("tsa", found=tsa.name, wanted="none beside signing authorities, whose word on the time is taken")
    with _usable(f"subject of {table.what}"):
        return PinnedSubject(store, Subject.parse(table.text("subject")), tsa)


def _predicate_type(text: str) -> str:
    if text == SIGN_PREDICATE or not (":" in text or "/" in text):
        raise UsageError(
            "attestations holds what is not a predicate type of an attestation",
            code=Code.TRUST_FORM,
            found=ascii(text[:160]),
            wanted="the URI that the attestations bear, as https://spdx.dev/Document; a signature is asked for by threshold",
            next="cosign's short names are for `oci-bundler trust add --attestation`, which writes the URI",
        )
    return text


=======
>>>>>>> main
def _check_threshold(threshold: int, least: int, most: int, what: str) -> None:
    if not least <= threshold <= most:
        raise UsageError(f"the threshold of {what} cannot be", code=Code.TRUST_FORM, found=threshold, wanted=f"{least} to {most}")
