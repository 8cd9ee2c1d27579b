"""Which lines of a trust.toml go with a table, and which stay."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bundler.errors import Code, UsageError
from bundler.trust import trusttoml
from bundler.trust.policy import Policy
from bundler.trust.removal import without, without_key, without_rule
from tests.support.signing import EXPORTER, FILES, OTHER, P256, SPDX, THIRD, rule, seal, toml

TEXT = """# ours
version = 1

[[seal]]
stream = "a"

# about the old one
[[rule]] # first
scope = "old"
  [rule.annotations]
  team = "x"
[[rule.attestations]]
type = "t"
# inside

# about the new one
[[ rule ]]
scope = "new"
signer = [
  { key = "k" },
]
"""


def test_a_table_goes_with_the_tables_inside_of_it_and_not_with_what_is_said_around_it() -> None:
    first = TEXT.index("[[rule]] # first")
    end = TEXT.index("# inside")
    assert without(TEXT, "rule", 0) == TEXT[:first] + TEXT[end:]


def test_the_last_table_goes_too() -> None:
    assert without(TEXT, "rule", 1) == TEXT[: TEXT.index("[[ rule ]]")]


def test_the_only_table_of_its_kind_goes() -> None:
    assert without(TEXT, "seal", 0) == TEXT.replace('[[seal]]\nstream = "a"\n\n', "")


def test_what_is_left_of_a_table_stands_in_its_place() -> None:
    after = without(TEXT, "rule", 1, left={"scope": "new", "signer": [{"key": "j"}]})
    assert after == TEXT[: TEXT.index("[[ rule ]]")] + '[[rule]]\nscope = "new"\nsigner = [{ key = "j" }]\n'


def test_the_empty_lines_behind_a_table_go_with_it() -> None:
    assert without('[[rule]]\nscope = "a"\n\n\n[[rule]]\nscope = "b"\n', "rule", 0) == '[[rule]]\nscope = "b"\n'


def test_a_list_of_several_lines_is_not_taken_for_a_table() -> None:
    assert without('[[rule]]\nwords = [\n[ "a" ],\n]\n[[rule]]\nscope = "b"\n', "rule", 0) == '[[rule]]\nscope = "b"\n'


@pytest.mark.parametrize(
    "text",
    [
        'rule = [{ scope = "a" }, { scope = "b" }]\n',
        'version = """\n[[rule]]\n"""\n[[rule]]\nscope = "a"\n[[rule]]\nscope = "b"\n',
        '[[rule]]\nscope = """\n[[rule]]\n"""\n[[rule]]\nscope = "b"\n',
        '[["rule"]]\nscope = "a"\n[["rule"]]\nscope = "b"\n',
    ],
)
def test_what_lines_do_not_show_is_left_to_a_person(text: str) -> None:
    tomllib.loads(text)
    with pytest.raises(UsageError) as refused:
        without(text, "rule", 0)
    assert refused.value.code is Code.TRUST_FORM
    assert refused.value.next == "take it out with an editor, and raise the serial by one"


# --- a rule, a key ---


def removed(key: str, *rules: Mapping[str, Any], seals: Sequence[Mapping[str, Any]] = ()) -> tuple[Policy, tuple[str, ...]]:
    raw = toml(*rules, seals=seals)
    text, gone = without_key(raw.decode(), trusttoml.parse(raw, FILES), key)
    return trusttoml.parse(text.encode(), FILES), gone


def test_the_rule_of_a_scope_goes_and_the_serial_grows() -> None:
    raw = toml(rule(P256, scope="a.example/**"), rule(P256, scope="b.example/**"))
    after = trusttoml.parse(without_rule(raw.decode(), trusttoml.parse(raw, FILES), "a.example/**").encode(), FILES)
    assert ([str(each.scope) for each in after.rules], after.serial) == (["b.example/**"], 2)


def test_a_key_goes_from_every_seal_and_rule_and_those_go_that_have_no_other() -> None:
    rules = (rule(P256, scope="a.example/**"), rule(OTHER, P256, scope="b.example/**", threshold=1), rule(OTHER, scope="c.example/**"))
    after, gone = removed(P256.fingerprint, *rules, seals=[seal(EXPORTER)])
    assert gone == ("a.example/**",)
    assert {str(each.scope): [str(signer) for signer in each.signers] for each in after.rules} == {
        scope: [OTHER.fingerprint] for scope in ("b.example/**", "c.example/**")
    }
    assert (len(after.seals), after.serial) == (1, 2)


def test_a_seal_keeps_its_other_keys_with_what_they_are_called() -> None:
    two = seal(EXPORTER, THIRD, threshold=1)
    named = two | {"names": dict(zip(two["keys"], ["ours", "theirs"], strict=True))}
    after, gone = removed(THIRD.fingerprint, rule(P256), seals=[named])
    assert ([key.fingerprint for key in after.seals[0].keys], after.names) == ([EXPORTER.fingerprint], {EXPORTER.fingerprint: "ours"})
    assert gone == ()


def test_a_seal_without_another_key_goes() -> None:
    after, gone = removed(THIRD.fingerprint, rule(P256), seals=[seal(EXPORTER), seal(THIRD, stream="other")])
    assert ([each.stream for each in after.seals], len(after.rules), gone) == (["default"], 1, ())


def test_a_rule_that_denies_names_no_key_and_stays() -> None:
    after, gone = removed(P256.fingerprint, rule(P256, scope="a.example/**"), {"scope": "b.example/**", "deny": "not ours"})
    assert ([str(each.scope) for each in after.rules], gone) == (["b.example/**"], ("a.example/**",))


def test_a_key_of_an_attestation_alone_is_left_to_a_person() -> None:
    attested = rule(P256, attestations=[{"type": SPDX, "signer": rule(OTHER)["signer"]}])
    with pytest.raises(UsageError, match="the key counts for an attestation") as refused:
        removed(OTHER.fingerprint, attested)
    assert (refused.value.code, refused.value.found) == (Code.TRUST_FORM, f"{SPDX} of the rule for registry.example/**")
    assert removed(THIRD.fingerprint, attested)[1] == ()
    assert removed(OTHER.fingerprint, rule(P256, OTHER, threshold=1, attestations=[SPDX]))[1] == ()
