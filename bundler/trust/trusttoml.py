"""Reading ``trust.toml``, in which a station's policy stands.

What is not understood is refused, never passed over: a rule with a slip in it must not become a weaker rule.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from bundler import strictjson
from bundler.errors import Code, FormatError, UsageError
from bundler.oci.digest import Digest
from bundler.trust.encodings import from_pem
from bundler.trust.keys import PublicKey, Role
from bundler.trust.notation.signature import PinnedSubject
from bundler.trust.notation.store import Store, StoreType
from bundler.trust.notation.subject import Subject
from bundler.trust.pattern import compiled
from bundler.trust.policy import Naming, Node, Order, Policy, RequiredAttestation, Rule, SealRule
from bundler.trust.scope import Scope
from bundler.trust.signer import PinnedKey, SignerEntry
from bundler.trust.sigstore.bundle import SIGN_PREDICATE
from bundler.trust.sigstore.identity import CLAIMS
from bundler.trust.sigstore.root import TrustedRoot
from bundler.trust.sigstore.signer import LoggedKey, PinnedIdentity, Root
from bundler.trust.sigstore.steps import Thresholds
from bundler.trust.table import FILE, LABEL, Table, alike, is_text

T = TypeVar("T")

VERSION = 1
MAX_SERIAL = (1 << 53) - 1  # what every JSON parser reads exactly
MAX_SIGNERS = 100  # of one rule; each signature found is tried on all of them

MAX_NEEDED = 32  # logs, timestamps or certificate timestamps: more than a signature may have

_NAMES = {"version", "serial", "seal", "root", "store", "rule"}
_SEAL = {"stream", "scopes", "keys", "names", "threshold", "order"}
_ROOT = {"name", "file", "log", "timestamp", "sct"}
_STORE = {"name", "type", "certificates", "crl"}
_RULE = {"scope", "signer", "threshold", "attestations", "annotations", "node", "name", "deny"}
_ATTESTATION = {"type", "node", "signer", "where"}
_KEY_SIGNER = {"key", "root", "log", "name"}
_IDENTITY_SIGNER = {"issuer", "identity", "identity_regexp", "root", "claims", "name"}
_STORE_SIGNER = {"store", "subject", "tsa", "name"}


def named_files(raw: bytes) -> frozenset[str]:
    """The paths, inside the folder, of the files that ``trust.toml`` names. Raises UsageError (``trust.form``).

    A key named by its fingerprint lies somewhere under ``keys/``; it is found among the files given to :func:`parse`.
    """
    table = Table.parse(raw)
    return frozenset(name for name in (*_key_names(table), *_file_names(table)) if not _is_fingerprint(name))


def parse(raw: bytes, files: Mapping[str, bytes]) -> Policy:
    """``trust.toml`` and, by their paths, the files it names; others among ``files`` are passed over.

    Raises UsageError (``trust.form``, ``trust.key``, ``trust.store``, ``trust.roles``, ``key.unsupported``).
    """
    table = Table.parse(raw)
    if (version := table.members.get("version")) != VERSION or type(version) is not int:
        raise table.error("version", found=version, wanted=VERSION)
    table.check_names(_NAMES)
    serial = table.whole("serial", 1, MAX_SERIAL)
    keys = _Keys(files)
    roots = tuple(_root(item, files) for item in table.tables("root"))
    _check_distinct([root.name for root in roots], "the name of two roots")
    stores = tuple(_store(item, files) for item in table.tables("store"))
    _check_distinct([store.name for store in stores], "the name of two stores")
    known = _Known(keys, {root.name: root for root in roots}, {store.name: store for store in stores})
    seals = tuple(_seal(item, keys) for item in table.tables("seal"))
    rules = tuple(_rule(item, known) for item in table.tables("rule"))
    _check_orders(seals)
    _check_roles(seals, rules)
    _check_called(seals, rules)
    _check_distinct([str(rule.scope) for rule in rules], "the scope of two rules")
    used = {FILE: raw} | {path: files[path] for path in (*map(keys.path, _key_names(table)), *_file_names(table))}
    digest = Digest.of(strictjson.dumps({path: Digest.of(data).encoded for path, data in used.items()}))
    return Policy(serial, seals, rules, digest, roots, stores)


def _seal(table: Table, keys: "_Keys") -> SealRule:
    table.check_names(_SEAL)
    stream = table.text("stream")
    if not LABEL.fullmatch(stream):
        raise table.error("stream", found=stream, wanted="1 to 64 letters, digits, dots, underscores and hyphens")
    scopes = table.texts("scopes", least=1)
    _check_distinct(scopes, f"a scope of {table.what}")
    listed = table.texts("keys", least=1)
    pinned = tuple(keys.load(name, role="seal") for name in listed)
    _check_distinct([key.fingerprint for key in pinned], f"a key of {table.what}")
    names = table.table("names")
    if others := sorted(names.members.keys() - set(listed)):
        raise names.error(ascii(others[0])[1:-1], found="a name for what is not among the keys", wanted=" or ".join(listed))
    called = {key.fingerprint: names.called(name) for name, key in zip(listed, pinned, strict=True) if name in names.members}
    order = Order(table.choice("order", Order)) if "order" in table.members else None
    return SealRule(stream, tuple(map(Scope.parse, scopes)), pinned, table.threshold(len(pinned)), called, order)


def _root(table: Table, files: Mapping[str, bytes]) -> Root:
    table.check_names(_ROOT)
    name = table.label("name")
    path = table.text("file")
    with _usable(path):
        trusted = TrustedRoot.parse(_file(files, path))
    needed = Thresholds(*(table.whole(of, 0, MAX_NEEDED, default=least) for of, least in (("log", 1), ("timestamp", 0), ("sct", 1))))
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


def _store(table: Table, files: Mapping[str, bytes]) -> Store:
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

    def root(self, table: Table) -> Root:
        return _named(table, "root", self.roots)

    def store(self, table: Table, name: str, *types: StoreType) -> Store:
        store = _named(table, name, self.stores)
        if store.type not in types:
            raise table.error(name, found=f"{store.name}, of type {store.type}", wanted=f"a store of type {' or '.join(types)}")
        return store


def _named(table: Table, name: str, among: Mapping[str, T]) -> T:
    wanted = table.text(name)
    if wanted not in among:
        raise table.error(name, found=wanted, wanted=f"the name of a [[{'root' if name == 'root' else 'store'}]]")
    return among[wanted]


def _rule(table: Table, known: _Known) -> Rule:
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


def _signers(table: Table, known: _Known) -> tuple[SignerEntry, ...]:
    signers = tuple(_signer(item, known) for item in table.tables("signer"))
    if len(signers) > MAX_SIGNERS:
        raise table.error("signer", found=len(signers), wanted=f"at most {MAX_SIGNERS} signers")
    _check_distinct([str(signer) for signer in signers], f"a signer of {table.what}")
    return signers


def _wanted(rule: Table, item: Any, known: _Known, signers: tuple[SignerEntry, ...], node: Node) -> RequiredAttestation:
    """A predicate type, or a table that says more; what it does not say, the rule says."""
    if is_text(item):
        return RequiredAttestation(_predicate_type(str(item)), node, signers)
    if not isinstance(item, dict):
        raise rule.error("attestations", found=item, wanted="predicate types, or tables with type, node, signer, where")
    table = Table(item, f"an attestation of {rule.what}")
    table.check_names(_ATTESTATION)
    where = table.table("where")
    values = tuple((place, where.plain(place)) for place in where.members)
    for place, _ in values:
        if any(part == "" for part in place.split(".")):
            raise where.error(place, found=place, wanted="names joined by dots")
    own = _signers(table, known) if "signer" in item else signers
    chosen = Node(table.choice("node", Node)) if "node" in item else node
    return RequiredAttestation(_predicate_type(table.text("type")), chosen, own, values, plain=item.keys() <= {"type"})


def _signer(table: Table, known: _Known) -> SignerEntry:
    """Which kind it is, its first name says; names of two kinds at once are refused as unknown to either."""
    if "key" in table.members:
        return _key_signer(table, known)
    return _store_signer(table, known) if "store" in table.members else _identity_signer(table, known)


def _called(table: Table) -> str | None:
    return table.called("name") if "name" in table.members else None


def _key_signer(table: Table, known: _Known) -> SignerEntry:
    table.check_names(_KEY_SIGNER if "root" in table.members else {"key", "name"})
    key = known.keys.load(table.text("key"), role="image")
    if "root" not in table.members:
        return PinnedKey(key, name=_called(table))
    root = known.root(table)
    log = table.whole("log", 0, len(root.trusted.logs), default=root.needed.log)
    return LoggedKey(key, root, Thresholds(log=log, timestamp=root.needed.timestamp, sct=0), name=_called(table))


def _identity_signer(table: Table, known: _Known) -> SignerEntry:
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
        name=_called(table),
    )


_NOBODY = ("", "somebody@anywhere.invalid", "https://anywhere.invalid/anything")
"""No identity, and two that nobody can have (RFC 2606): who takes one of these takes everybody."""


def _pattern(table: Table) -> re.Pattern[str]:
    text = table.text("identity_regexp")
    try:
        pattern = compiled(text)
    except FormatError as error:
        raise table.error("identity_regexp", found=f"{text[:80]}: {error}", wanted="a regular expression of bounded cost") from error
    if any(pattern.fullmatch(nobody) for nobody in _NOBODY):
        raise table.error("identity_regexp", found=text, wanted="one that does not match anybody")
    return pattern


def _store_signer(table: Table, known: _Known) -> SignerEntry:
    table.check_names(_STORE_SIGNER)
    store = known.store(table, "store", StoreType.CA, StoreType.SIGNING_AUTHORITY)
    tsa = known.store(table, "tsa", StoreType.TSA) if "tsa" in table.members else None
    if tsa is not None and store.type is not StoreType.CA:
        raise table.error("tsa", found=tsa.name, wanted="none beside signing authorities, whose word on the time is taken")
    with _usable(f"subject of {table.what}"):
        return PinnedSubject(store, Subject.parse(table.text("subject")), tsa, name=_called(table))


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


def _check_orders(seals: Sequence[SealRule]) -> None:
    """Whoever seals a stream, its bundles have one order: else the entry with the weaker one would undo the other."""
    orders: dict[str, Order] = {}
    for seal in seals:
        if seal.order is not None and (other := orders.setdefault(seal.stream, seal.order)) is not seal.order:
            raise UsageError(
                f"the stream {seal.stream} has two orders",
                code=Code.TRUST_FORM,
                found=f"{other} and {seal.order}",
                wanted="one order in all [[seal]] of a stream, or in one of them",
            )


def _check_roles(seals: Sequence[SealRule], rules: Sequence[Rule]) -> None:
    """Whoever carries images in must not also be the one who vouches for them: two approvals are those of two keys."""
    sealing = {key.fingerprint for seal in seals for key in seal.keys}
    both = sorted(sealing & {str(signer) for rule in rules for signer in rule.everybody})
    if both:
        raise UsageError(
            "one key both seals bundles and signs images",
            code=Code.TRUST_ROLES,
            found=both[0],
            wanted="keys of their own for [[seal]] and [[rule]]",
            next="make the exporter a key with `oci-bundler keygen`, and name that one under [[seal]]",
        )


def _check_called(seals: Sequence[SealRule], rules: Sequence[Rule]) -> None:
    """A name is one signer's, so that nobody is taken for another; one signer may have several, in several places."""
    called = [(name, fingerprint) for seal in seals for fingerprint, name in seal.names.items()]
    called += [(signer.name, str(signer)) for rule in rules for signer in rule.entries if signer.name is not None]
    whose: dict[str, str] = {}
    for name, who in called:
        if (other := whose.setdefault(alike(name), who)) != who:
            raise UsageError(
                f"two signers are called {name}", code=Code.TRUST_FORM, found=f"{other} and {who}", wanted="a name of its own for each"
            )


def _check_distinct(values: Sequence[str], what: str) -> None:
    """Raises UsageError (``trust.form``) for what stands twice, which would seem to be more than it is."""
    for value, times in Counter(values).items():
        if times > 1:
            raise UsageError(f"{what} stands in trust twice", code=Code.TRUST_FORM, found=ascii(value)[1:-1])


def _key_names(table: Table) -> Iterator[str]:
    for seal in table.tables("seal"):
        yield from map(_checked_name, seal.texts("keys"))
    for rule in table.tables("rule"):
        wanted = (Table(item, f"an attestation of {rule.what}") for item in rule.items("attestations") if isinstance(item, dict))
        for signer in (signer for asking in (rule, *wanted) for signer in asking.tables("signer")):
            if "key" in signer.members:
                yield _checked_name(signer.text("key"))


def _file_names(table: Table) -> Iterator[str]:
    """Of roots and stores."""
    for root in table.tables("root"):
        yield _checked_name(root.text("file"))
    for store in table.tables("store"):
        yield from map(_checked_name, (*store.texts("certificates"), *store.texts("crl")))


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    if name not in files:
        raise UsageError(
            "a file that trust names is not there", code=Code.TRUST_FORM, found=ascii(name[:160]), wanted="it in the trust folder"
        )
    return files[name]


def _checked_name(name: str) -> str:
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise UsageError(
            "trust names a key that does not lie in its folder",
            code=Code.TRUST_KEY,
            found=ascii(name[:160]),
            wanted="a relative path inside, as keys/release.pub, or sha256: and the hex of the key's SPKI",
        )
    return name


def _is_fingerprint(name: str) -> bool:
    return name.startswith("sha256:")


@dataclass(frozen=True, slots=True)
class _Keys:
    """The key files of the trust folder, by their path."""

    files: Mapping[str, bytes]

    def load(self, name: str, *, role: Role) -> PublicKey:
        path = self.path(name)
        try:
            return PublicKey.parse(self.files[path], role=role)
        except UsageError as error:
            raise UsageError(f"{path} cannot be used: {error}", code=error.code, next=error.next) from error

    def path(self, name: str) -> str:
        """Where the key lies, so that it can be read."""
        there = self._with_fingerprint(name) if _is_fingerprint(name) else [name] if name in self.files else []
        if not there:
            where = "a file keys/*.pub with that key" if _is_fingerprint(name) else "that file in the trust folder"
            raise UsageError("a key that trust names is not there", code=Code.TRUST_KEY, found=ascii(name[:160]), wanted=where)
        return there[0]

    def _with_fingerprint(self, name: str) -> list[str]:
        return [path for path in sorted(self.files) if path.startswith("keys/") and path.endswith(".pub") and self._has(path, name)]

    def _has(self, path: str, fingerprint: str) -> bool:
        try:
            return [f"sha256:{Digest.of(der).encoded}" for der in from_pem(self.files[path], "PUBLIC KEY", what=path)] == [fingerprint]
        except FormatError:
            return False
