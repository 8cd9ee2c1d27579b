"""Reading ``trust.toml``, in which a station's policy stands.

What is not understood is refused, never passed over: a rule with a slip in it must not become a weaker rule.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bundler import strictjson
from bundler.errors import Code, UsageError
from bundler.oci.digest import Digest
from bundler.trust.formats import is_signing
from bundler.trust.keyfiles import KeyFiles, is_fingerprint
from bundler.trust.kind import Anchor, Known
from bundler.trust.kinds import kind_of, sections
from bundler.trust.policy import Naming, Node, Order, Policy, RequiredAttestation, Rule, SealRule
from bundler.trust.scope import Scope
from bundler.trust.signer import SignerEntry
from bundler.trust.table import FILE, LABEL, Table, alike, is_text

VERSION = 1
MAX_SERIAL = (1 << 53) - 1  # what every JSON parser reads exactly
MAX_SIGNERS = 100  # of one rule; each signature found is tried on all of them

_NAMES = {"version", "serial", "seal", "rule"}
_SEAL = {"stream", "scopes", "keys", "names", "threshold", "order"}
_RULE = {"scope", "signer", "threshold", "attestations", "annotations", "node", "name", "deny"}
_ATTESTATION = {"type", "node", "signer", "where"}


def named_files(raw: bytes) -> frozenset[str]:
    """The paths, inside the folder, of the files that ``trust.toml`` names. Raises UsageError (``trust.form``).

    A key named by its fingerprint lies somewhere under ``keys/``; it is found among the files given to :func:`parse`.
    """
    table = Table.parse(raw)
    return frozenset(name for name in (*_key_names(table), *_file_names(table)) if not is_fingerprint(name))


def parse(raw: bytes, files: Mapping[str, bytes]) -> Policy:
    """``trust.toml`` and, by their paths, the files it names; others among ``files`` are passed over.

    Raises UsageError (``trust.form``, ``trust.key``, ``trust.store``, ``trust.roles``, ``key.unsupported``).
    """
    table = Table.parse(raw)
    if (version := table.members.get("version")) != VERSION or type(version) is not int:
        raise table.error("version", found=version, wanted=VERSION)
    table.check_names(_NAMES | {section.table for section in sections()})
    serial = table.whole("serial", 1, MAX_SERIAL)
    keys = KeyFiles(files)
    anchors: dict[str, dict[str, Anchor]] = {}
    for section in sections():
        found = [section.parse(item, files) for item in table.tables(section.table)]
        _check_distinct([anchor.name for anchor in found], f"the name of two {section.table}s")
        anchors[section.table] = {anchor.name: anchor for anchor in found}
    known = Known(keys, anchors)
    seals = tuple(_seal(item, keys) for item in table.tables("seal"))
    rules = tuple(_rule(item, known) for item in table.tables("rule"))
    _check_orders(seals)
    _check_roles(seals, rules)
    _check_called(seals, rules)
    _check_distinct([str(rule.scope) for rule in rules], "the scope of two rules")
    used = {FILE: raw} | {path: files[path] for path in (*map(keys.path, _key_names(table)), *_file_names(table))}
    digest = Digest.of(strictjson.dumps({path: Digest.of(data).encoded for path, data in used.items()}))
    return Policy(serial, seals, rules, digest, tuple(anchor for each in anchors.values() for anchor in each.values()))


def _seal(table: Table, keys: KeyFiles) -> SealRule:
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


def _rule(table: Table, known: Known) -> Rule:
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


def _signers(table: Table, known: Known) -> tuple[SignerEntry, ...]:
    signers = tuple(kind_of(item.members).parse(item, known) for item in table.tables("signer"))
    if len(signers) > MAX_SIGNERS:
        raise table.error("signer", found=len(signers), wanted=f"at most {MAX_SIGNERS} signers")
    _check_distinct([str(signer) for signer in signers], f"a signer of {table.what}")
    return signers


def _wanted(rule: Table, item: Any, known: Known, signers: tuple[SignerEntry, ...], node: Node) -> RequiredAttestation:
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


def _predicate_type(text: str) -> str:
    if is_signing(text) or not (":" in text or "/" in text):
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
            yield from (_checked_name(signer.text(member)) for member in kind_of(signer.members).keys)


def _file_names(table: Table) -> Iterator[str]:
    """Of roots and stores."""
    for section in sections():
        for item in table.tables(section.table):
            yield from map(_checked_name, section.files(item))


def _checked_name(name: str) -> str:
    if any(part in ("", ".", "..") for part in name.split("/")):
        raise UsageError(
            "trust names a key that does not lie in its folder",
            code=Code.TRUST_KEY,
            found=ascii(name[:160]),
            wanted="a relative path inside, as keys/release.pub, or sha256: and the hex of the key's SPKI",
        )
    return name
