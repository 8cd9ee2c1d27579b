"""Which lines of a trust.toml go with a table, and which stay."""

import tomllib

import pytest

from bundler.errors import Code, UsageError
from bundler.trust.removal import without

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


def test_a_table_goes_with_the_tables_inside_of_it_and_not_with_what_is_said_around_it():
    first = TEXT.index("[[rule]] # first")
    end = TEXT.index("# inside")
    assert without(TEXT, "rule", 0) == TEXT[:first] + TEXT[end:]


def test_the_last_table_goes_too():
    assert without(TEXT, "rule", 1) == TEXT[: TEXT.index("[[ rule ]]")]


def test_the_only_table_of_its_kind_goes():
    assert without(TEXT, "seal", 0) == TEXT.replace('[[seal]]\nstream = "a"\n\n', "")


def test_what_is_left_of_a_table_stands_in_its_place():
    after = without(TEXT, "rule", 1, left={"scope": "new", "signer": [{"key": "j"}]})
    assert after == TEXT[: TEXT.index("[[ rule ]]")] + '[[rule]]\nscope = "new"\nsigner = [{ key = "j" }]\n'


def test_the_empty_lines_behind_a_table_go_with_it():
    assert without('[[rule]]\nscope = "a"\n\n\n[[rule]]\nscope = "b"\n', "rule", 0) == '[[rule]]\nscope = "b"\n'


def test_a_list_of_several_lines_is_not_taken_for_a_table():
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
def test_what_lines_do_not_show_is_left_to_a_person(text: str):
    tomllib.loads(text)
    with pytest.raises(UsageError) as refused:
        without(text, "rule", 0)
    assert refused.value.code is Code.TRUST_FORM
    assert refused.value.next == "take it out with an editor, and raise the serial by one"
