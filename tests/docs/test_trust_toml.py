"""docs/reference/trust-toml.md against the policy: the same names, the same defaults, and examples that load."""

import re
from typing import Any

import pytest

from bundler.errors import UsageError
from bundler.oci.reference import Reference
from bundler.trust import trusttoml
from bundler.trust.policy import Policy
from bundler.trust.scope import Scope
from bundler.trust.sigstore.anchor import Root
from tests.docs.pages import DOCS, Page, code
from tests.support.notary import ROOT, crl_of
from tests.support.world import World, canonical, pem

PAGE = Page.read(DOCS / "reference/trust-toml.md")
TABLES = {table.heading: table.rows for table in PAGE.tables}
EXAMPLES = PAGE.blocks("toml")
HEAD = "version = 1\nserial = 1\n"
WORLD = World()

ROOT_TABLE = '[[root]]\nname = "r"\nfile = "roots/r.json"\n'
STORE_TABLE = '[[store]]\nname = "s"\ntype = "ca"\ncertificates = ["stores/s.pem"]\n'
KEY = '{ key = "keys/k.pub" }'
RULE = f'[[rule]]\nscope = "**"\nsigner = [{KEY}]\n'
# By the heading that lists its names: the shortest trust.toml that ends with such a table, so that a further name goes behind it.
SHORTEST = {
    "At the top": HEAD,
    "seal": '[[seal]]\nstream = "a"\nscopes = ["**"]\nkeys = ["keys/k.pub"]\n',
    "rule": RULE,
    "signer, a key": '[[rule]]\nscope = "**"\n[[rule.signer]]\nkey = "keys/k.pub"\n',
    "Attestations": RULE + '[[rule.attestations]]\ntype = "https://spdx.dev/Document"\n',
    "root": ROOT_TABLE,
    "signer, an identity": ROOT_TABLE + '[[rule]]\nscope = "**"\n[[rule.signer]]\nissuer = "i"\nidentity = "n"\nroot = "r"\n',
    "signer, a key with a log": ROOT_TABLE + '[[rule]]\nscope = "**"\n[[rule.signer]]\nkey = "keys/k.pub"\nroot = "r"\n',
    "store": STORE_TABLE,
    "signer, a certificate of a store": STORE_TABLE + '[[rule]]\nscope = "**"\n[[rule.signer]]\nstore = "s"\nsubject = "*"\n',
}


def _parse(text: str, head: str = HEAD) -> Policy:
    text = text if "version" in text else head + text
    return trusttoml.parse(text.encode(), {name: _file(name) for name in trusttoml.named_files(text.encode())})


def _file(name: str) -> bytes:
    """Something of the kind that the name tells, another for each name."""
    if name.startswith("keys/"):
        return pem(WORLD.key(name))
    if name.startswith("roots/"):
        return canonical(WORLD.root_json())
    if name.endswith(".crl"):
        return crl_of(ROOT)
    return WORLD.tsa_ca.pem if "tsa" in name else ROOT.pem


def _named(heading: str) -> set[str]:
    return {code(row["name"]) for row in TABLES[heading]}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_every_example_loads(example: str) -> None:
    policy = _parse(example)
    assert policy.rules


def test_the_page_has_examples_of_every_kind_of_signer() -> None:
    kinds = {signer.kind for example in EXAMPLES for rule in _parse(example).rules for signer in rule.everybody}
    assert kinds == {"key", "identity", "notation"}


@pytest.mark.parametrize("heading", SHORTEST)
def test_the_page_has_every_name_that_a_table_may_have_and_no_other(heading: str) -> None:
    _parse(SHORTEST[heading])
    with pytest.raises(UsageError) as refused:
        _parse(SHORTEST[heading] + "nonsense = 1\n")
    assert refused.value.wanted
    assert set(refused.value.wanted.split(" or ")) == _named(heading)


def test_every_table_of_names_on_the_page_is_compared() -> None:
    assert {table.heading for table in PAGE.tables if "name" in table.columns} == SHORTEST.keys()


@pytest.mark.parametrize("heading", SHORTEST)
def test_what_the_page_calls_needed_is_needed_and_the_rest_is_not(heading: str) -> None:
    lines = SHORTEST[heading].splitlines()
    table = lines[max((number for number, line in enumerate(lines) if line.startswith("[[")), default=0) :]
    given = {line.partition(" = ")[0] for line in table if " = " in line}
    for row in TABLES[heading]:
        name = code(row["name"])
        assert (name in given) is (row["needed"] == "yes") or row["needed"] not in ("yes", "no"), name
    for line in table[heading != "At the top" :]:
        if (heading, line) != ("signer, a key with a log", 'root = "r"'):  # without it, it is a key
            without = "\n".join(each for each in lines if each is not line)
            with pytest.raises(UsageError):
                _parse(without, head="" if heading == "At the top" else HEAD)


def test_the_defaults_are_those_of_the_page() -> None:
    policy = _parse('[[seal]]\nstream = "a"\nscopes = ["**"]\nkeys = ["keys/e.pub"]\n' + ROOT_TABLE + RULE)
    [rule], [seal], [root] = policy.rules, policy.seals, policy.anchors
    told = {code(row["name"]): row["value"] for row in TABLES["rule"]}
    assert f'`"{rule.node}"` (the default)' in told["node"]
    assert f'`"{rule.name}"` (the default)' in told["name"]
    assert "1 beside one signer" in told["threshold"]
    assert rule.threshold == seal.threshold == 1
    assert isinstance(root, Root)
    told = {code(row["name"]): row["value"] for row in TABLES["root"]}
    for name, value in (("log", root.needed.log), ("timestamp", root.needed.timestamp), ("sct", root.needed.sct)):
        assert told[name].endswith(f"; {value}")


def test_a_threshold_is_needed_beside_several() -> None:
    two = '[[rule]]\nscope = "**"\nsigner = [{ key = "keys/a.pub" }, { key = "keys/b.pub" }]\n'
    with pytest.raises(UsageError, match="threshold"):
        _parse(two)
    assert _parse(two + "threshold = 2\n").rules[0].threshold == 2


def test_one_key_in_both_roles_is_refused() -> None:
    with pytest.raises(UsageError, match="one key both seals bundles and signs images"):
        _parse(f'[[seal]]\nstream = "a"\nscopes = ["**"]\nkeys = ["keys/k.pub"]\n{RULE}')


@pytest.mark.parametrize("row", TABLES["Scopes"], ids=lambda row: row["pattern"])
def test_patterns_cover_what_the_page_says(row: dict[str, Any]) -> None:
    scope = Scope.parse(code(row["pattern"]))
    for column, expected in (("covers", True), ("does not cover", False)):
        for repository in re.findall(r"`([^`]+)`", row[column]):
            assert Reference.parse(repository).repository == repository
            assert scope.covers(repository) is expected, repository


def test_the_most_specific_rule_is_the_one_that_the_page_lists_first() -> None:
    patterns = PAGE.blocks("text")[0].split()
    assert len(patterns) > 5
    for number in range(len(patterns)):
        rules = (f'[[rule]]\nscope = "{pattern}"\nsigner = [{KEY}]\n' for pattern in reversed(patterns[number:]))
        rule = _parse("".join(rules)).rule_for("registry.example/team/app")
        assert rule
        assert str(rule.scope) == patterns[number]
