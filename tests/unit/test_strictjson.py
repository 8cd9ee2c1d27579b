"""JSON with one reading (IDX and MAN cases of docs/hostile-cases.md)."""

import json
import math
import string
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.errors import Code, FormatError
from bundler.strictjson import MAX_DEPTH, MAX_PREDICATE_DEPTH, check_names, dumps, loads, loads_by_items, loads_document
from tests.support.cases import each
from tests.support.strict import MIB, refused

# One reading of bytes


@each(
    "raw",
    [
        pytest.param(b'{"a": "\xff"}', id="IDX-012 a byte that is no UTF-8"),
        pytest.param(b'{"a": "\xed\xa0\x80"}', id="IDX-013 a surrogate in UTF-8"),
        pytest.param(b'{"a": "\xc0\x80"}', id="an overlong NUL"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="IDX-014 UTF-16"),
        pytest.param('{"a": 1}'.encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param('{"a": 1}'.encode("utf-32"), id="IDX-015 UTF-32"),
        pytest.param('{"a": 1}'.encode("utf-8-sig"), id="IDX-016, MAN-029 a byte order mark"),
        pytest.param(b"", id="IDX-021 nothing"),
        pytest.param(b" ", id="a space"),
        pytest.param(b"{}{}", id="IDX-017, MAN-033 a second document"),
        pytest.param(b"{} x", id="something behind"),
        pytest.param(b"{}\0", id="NUL behind"),
        pytest.param(b"{/* */}", id="IDX-018 a comment"),
        pytest.param(b"{} // a", id="a comment behind"),
        pytest.param(b'{"a": "\0"}', id="IDX-019 a raw NUL"),
        pytest.param(b'{"a": "\n"}', id="a raw line end in a string"),
        pytest.param(b"{'a': 1}", id="another quote"),
        pytest.param(b"{a: 1}", id="a name without quotes"),
        pytest.param(b'{"a": 1,}', id="a comma too many"),
        pytest.param(b"[1,]", id="a comma too many in a list"),
        pytest.param(b'{"a": tru}', id="a cut word"),
        pytest.param(b'{"a": "\\x41"}', id="an unknown escape"),
        pytest.param(b'{"a": "\\u00 1"}', id="an escape with a space"),
        pytest.param(b'"', id="a cut string"),
        pytest.param(b'"\\', id="a cut escape"),
        pytest.param("[\u0661]".encode(), id="digits of another script"),
        pytest.param("[\u00a01]".encode(), id="a space of another kind"),
        pytest.param(b"\x0c[1]", id="a form feed"),
    ],
)
@each("predicate", [False, True])
def test_what_two_parsers_read_differently_is_refused(raw: bytes, predicate: bool) -> None:
    refused(raw, predicate=predicate)


@each(
    ("text", "value"),
    [
        ("null", None),
        (' {"a" : [1, -2, 0, true, "b"]}\r\n\t', {"a": [1, -2, 0, True, "b"]}),
        ('"\\u00e9\\ud83d\\ude00é😀\\/"', "é😀é😀/"),
        ('{"a\\nb": "\\t\\r\\n"}', {"a\nb": "\t\r\n"}),
        ('"\\\\u0000 \\\\ud800 \\\\b"', "\\u0000 \\ud800 \\b"),
        ("9999999999999999999", 9999999999999999999),
        ("-9223372036854775808", -9223372036854775808),
    ],
)
def test_what_all_parsers_read_alike_is_read(text: str, value: Any) -> None:
    assert loads(text.encode(), limit=100) == value


def test_the_limit_is_of_bytes_and_holds_before_anything_is_read() -> None:
    assert loads(b'"\xc3\xa9"', limit=4) == "é"
    assert "found 4 bytes, wanted at most 3" in refused(b'"\xc3\xa9"', limit=3, code=Code.LIMIT_DOCUMENT)
    refused(b"\xff" * 4, limit=3, code=Code.LIMIT_DOCUMENT)


# Names


@each(
    "text",
    [
        pytest.param('{"a": 1, "a": 1}', id="IDX-001, MAN-003 twice"),
        pytest.param('{"a": 1, "\\u0061": 2}', id="twice in two spellings"),
        pytest.param('[[{"b": {"a": 1, "c": 2, "a": 3}}]]', id="twice, inside"),
        pytest.param('{"": 1, "": 2}', id="the empty name twice"),
    ],
)
@each("predicate", [False, True])
def test_a_name_twice_is_refused(text: str, predicate: bool) -> None:
    assert "JSON has a name twice: found '" in refused(text, predicate=predicate)


CASE_TWINS = [
    pytest.param('{"digest": 1, "Digest": 2}', id="IDX-003, MAN-005"),
    pytest.param('{"size": 1, "\u017fize": 2}', id="a long s, which Go reads as s"),
    pytest.param('{"key": 1, "\u212aey": 2}', id="a Kelvin sign, which Go reads as k"),
    pytest.param('{"É": 1, "é": 2}', id="other scripts"),
]


@pytest.mark.parametrize("text", CASE_TWINS)
def test_a_name_twice_but_for_its_case_is_refused(text: str) -> None:
    refused(text)
    refused(f"[{text}]")


@pytest.mark.parametrize("text", CASE_TWINS)
def test_a_predicate_may_have_them_below_the_outermost_object_which_is_ours_to_read(text: str) -> None:
    refused(text, predicate=True)
    assert loads(f'{{"predicate": {text}}}'.encode(), limit=100, predicate=True)


def test_a_long_name_is_not_shown_whole() -> None:
    name = "a" * 100_000
    assert len(refused(f'{{"{name}": 1, "{name}": 2}}')) < 200


@pytest.mark.parametrize("name", ["Size", "SIZE", "\u017fize"])
def test_a_known_name_in_another_case_is_refused_since_go_reads_it_as_the_known_one(name: str) -> None:
    with pytest.raises(FormatError, match=r"JSON has a name in another case: found .*, wanted size") as raised:
        check_names({"digest": 1, name: 2}, {"digest", "size"})
    assert raised.value.code is Code.FORMAT_JSON


@pytest.mark.parametrize("text", CASE_TWINS)
def test_of_an_object_that_is_read_no_two_names_differ_in_case_only(text: str) -> None:
    with pytest.raises(FormatError, match="JSON has a name twice") as raised:
        check_names(json.loads(text), {"other"})
    assert raised.value.code is Code.FORMAT_JSON


def test_unknown_names_are_let_through() -> None:
    check_names({"digest": 1, "sizes": 2, "Other": 3}, {"digest", "size"})


# Numbers


@each(
    "number",
    [
        pytest.param("NaN", id="IDX-004, MAN-030"),
        pytest.param("Infinity", id="IDX-005"),
        pytest.param("-Infinity", id="-Infinity"),
        pytest.param("1" * 5000, id="IDX-007 5,000 digits"),
        pytest.param("1" * 4000, id="IDX-008 4,000 digits"),
        pytest.param("1" * 20, id="20 digits"),
        pytest.param("-" + "1" * 20, id="20 digits below zero"),
        pytest.param("01", id="a leading zero"),
        pytest.param("+1", id="a plus"),
        pytest.param(".5", id="no digit before the point"),
        pytest.param("5.", id="no digit behind the point"),
        pytest.param("0x10", id="hexadecimal"),
        pytest.param("1_0", id="an underscore"),
        pytest.param("1e400", id="IDX-006 more than a double"),
        pytest.param("-1e400", id="less than a double"),
    ],
)
@each("predicate", [False, True])
def test_a_number_that_is_read_differently_is_refused(number: str, predicate: bool) -> None:
    assert len(refused(f'{{"size": {number}}}', predicate=predicate)) < 300


@pytest.mark.parametrize("number", ["400.0", "4e2", "1E-2", "-0.5", "0.0"])
def test_floats_are_for_predicates_alone(number: str) -> None:
    assert "not a 64 bit integer" in refused(f'{{"size": {number}}}')
    assert loads(f"[{number}]".encode(), limit=100, predicate=True) == [float(number)]


# Strings


@each(
    "text",
    [
        pytest.param('"\\ud800"', id="IDX-011 a high half"),
        pytest.param('"\\uDFFF"', id="MAN-032 a low half"),
        pytest.param('"\\ude00\\ud83d"', id="halves the wrong way round"),
        pytest.param('"\\ud83dx\\ude00"', id="halves apart"),
        pytest.param('{"\\ud800": 1}', id="in a name"),
        pytest.param('[[{"a": ["b", "\\ud800"]}]]', id="inside"),
    ],
)
@each("predicate", [False, True])
def test_a_lone_surrogate_is_refused(text: str, predicate: bool) -> None:
    assert "not Unicode text" in refused(text, predicate=predicate)


@each("escape", ["\\u0000", "\\u001b", "\\u001F", "\\u000b", "\\b", "\\f"])
def test_control_characters_are_for_predicates_alone(escape: str) -> None:
    for text in (f'{{"a": ["x{escape}"]}}', f'{{"a{escape}": 1}}'):
        assert "control character" in refused(text)
        assert "\x1b" not in refused(text)
        assert loads(text.encode(), limit=100, predicate=True)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_string_is_let_through_exactly_if_it_has_no_control_characters(text: str) -> None:
    raw = json.dumps([text, {text: 1}]).encode()
    if any(c < " " and c not in "\t\n\r" for c in text):
        refused(raw)
    else:
        assert loads(raw, limit=len(raw)) == [text, {text: 1}]
    assert loads(raw, limit=len(raw), predicate=True) == [text, {text: 1}]


# Documents


@each(
    "text",
    [
        *(pytest.param(twin.values[0], id=f"names in two cases: {twin.id}") for twin in CASE_TWINS),
        pytest.param('{"annotations": {"a": "\\u001b[1m\\b"}}', id="control characters"),
        pytest.param('{"unknown": 0.5}', id="a float"),
    ],
)
def test_of_documents_what_strangers_write_is_read_as_it_stands(text: str) -> None:
    assert loads_document(text.encode(), limit=100) == json.loads(text)
    assert loads_by_items(text.encode(), limit=100, longest=100, lists={("long",): str}, document=True) == json.loads(text)


@each(
    "text",
    ['{"a": 1, "a": 1}', '{"x": [{"a": 1, "a": 1}]}', '{"a": 1e400}', '{"a": NaN}', '"\\ud800"', '{"a": "\\u0000"}', "[" * 17 + "]" * 17],
)
def test_of_documents_what_parsers_disagree_about_is_refused(text: str) -> None:
    with pytest.raises(FormatError) as raised:
        loads_document(text.encode(), limit=100)
    assert raised.value.code is Code.FORMAT_JSON
    with pytest.raises(FormatError) as raised:
        loads_by_items(text.encode(), limit=100, longest=100, lists={("long",): str}, document=True)
    assert raised.value.code is Code.FORMAT_JSON


def test_a_byte_order_mark_is_said_to_be_one() -> None:
    assert "begins with a byte order mark" in refused(b"\xef\xbb\xbf{}")


# Depth


def nested(depth: int, *, inside: str = "0", opening: str = "[", closing: str = "]") -> str:
    return opening * depth + inside + closing * depth


@pytest.mark.parametrize(("predicate", "limit"), [(False, MAX_DEPTH), (True, MAX_PREDICATE_DEPTH)])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_limited(predicate: bool, limit: int, opening: str, closing: str) -> None:
    assert loads(nested(limit, opening=opening, closing=closing).encode(), limit=MIB, predicate=predicate)
    assert "too deep" in refused(nested(limit + 1, opening=opening, closing=closing), predicate=predicate)


@each(
    "text",
    [
        pytest.param("[" * 100_000, id="IDX-009, MAN-031 100,000 lists"),
        pytest.param('{"a":' * 900, id="IDX-010 900 objects"),
        pytest.param('["\\"]",' + "[" * 200, id="behind a string with a bracket"),
        pytest.param('["\\\\",' + "[" * 200, id="behind a string that ends in a backslash"),
        pytest.param("[" * 200 + '"', id="before a cut string"),
    ],
)
@each("predicate", [False, True])
def test_depth_is_refused_before_it_is_parsed(text: str, predicate: bool) -> None:
    assert "too deep" in refused(text, predicate=predicate)


@pytest.mark.parametrize("text", ["[" * 100, '\\"' + "[" * 100, "[" * 100 + "\\\\", "{[" * 100 + '\\\\\\"' + "]", "é" + "[" * 100])
def test_brackets_in_strings_are_no_depth(text: str) -> None:
    assert loads(f'[["{text}"]]'.encode(), limit=MIB)
    assert loads(f'{{"{text}": "{text}"}}'.encode(), limit=MIB)


@given(
    st.recursive(st.integers(0, 9) | st.text(string.printable), lambda inner: st.lists(inner) | st.dictionaries(st.text('[{"\\}]'), inner))
)
def test_the_depth_that_is_counted_is_the_depth_that_is_there(value: Any) -> None:
    raw = json.dumps(value).encode()
    if depth(value) > MAX_DEPTH:
        assert "too deep" in refused(raw, predicate=False)
    else:
        assert loads(raw, limit=len(raw), predicate=True) == value


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


# Time and memory: a document of 16 MiB that a stranger made


def test_a_small_document_may_be_as_dense_as_it_likes() -> None:
    assert loads(b"[" + b"[]," * 80_000 + b"[]]", limit=MIB)


# Any bytes at all


@given(st.binary() | st.text('{}[]":,\\ud80123456789eE+-.tfn \n').map(str.encode), st.booleans())
def test_any_bytes_end_in_a_value_or_in_our_error(raw: bytes, predicate: bool) -> None:
    with suppress(FormatError):
        assert json.dumps(loads(raw, limit=1000, predicate=predicate)) == json.dumps(json.loads(raw))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text("abcé😀\n"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("xyz[]{}\"'\\"), inner),
    max_leaves=20,
)


# By items

PLACES: list[list[tuple[str, ...]]] = [[()], [("long",), ("a",)], [("a", "long"), ("long", "a")]]


def by_items(raw: bytes, places: Sequence[tuple[str, ...]], read: Callable[[Any], Any] = lambda item: item, *, longest: int = 1000) -> Any:
    return loads_by_items(raw, limit=1000, longest=longest, lists=dict.fromkeys(places, read))


def with_tuples(value: Any, places: Sequence[tuple[str, ...]], path: tuple[str, ...] = ()) -> Any:
    """``value`` as :func:`by_items` gives it."""
    if isinstance(value, list) and path in places:
        return tuple(value)
    if isinstance(value, dict) and len(path) < len(places[0]):
        return {name: with_tuples(member, places, (*path, name)) for name, member in value.items()}
    return value


def outcome(read: Callable[[], Any]) -> Any:
    """What is read, or the code of the refusal."""
    try:
        return read()
    except FormatError as error:
        return error.code


LONG = st.recursive(JSON, lambda inner: st.dictionaries(st.sampled_from(["a", "long", "A", "b"]), inner | st.lists(inner)), max_leaves=10)
TEXT = st.text('{}[]":,\\ud80123456789eE+-.tfn \n').map(str.encode) | st.binary()


@given(
    LONG.map(json.dumps).map(str.encode) | LONG.map(lambda value: json.dumps(value, indent=1)).map(str.encode) | TEXT,
    st.sampled_from(PLACES),
)
def test_by_items_the_same_is_read_or_refused(raw: bytes, places: list[tuple[str, ...]]) -> None:
    whole = outcome(lambda: loads(raw, limit=1000))
    assert outcome(lambda: by_items(raw, places)) == with_tuples(whole, places)


@each("places", PLACES)
@each(
    "text",
    [
        *("[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]]", "[1] x", "[]x", "", " "),
        *('{"long"', '{"long":', '{"long":[1', '{"long":[1]', '{"long":[1],', '{"long":[1],}', "{,}", "{1:2}", "{long:1}", '{"long" 1}'),
        *('{"a":{"long":[1}}', '{"long":[]} {}', '{"long":[1],"long":[2]}', '{"long":[1],"LONG":2}', '{"long":[{"x":1,"X":2}]}'),
        *("[1.5]", '{"long":[NaN]}', '["\\ud800"]', '{"a":{"long":["\\u0001"]}}', "[99999999999999999999]"),
    ],
)
def test_by_items_what_is_not_strict_is_refused(places: list[tuple[str, ...]], text: str) -> None:
    assert outcome(lambda: loads(text.encode(), limit=1000)) == Code.FORMAT_JSON
    assert outcome(lambda: by_items(text.encode(), places)) == Code.FORMAT_JSON


@pytest.mark.parametrize(
    "long",
    [
        '"' + "x" * 30 + '"',
        "[1,2,3,4,5,6,7,8,9,0,1,2]",
        '"\N{GRINNING FACE}1234567\N{GRINNING FACE}1234567"',
        '{"x":{"y":"0123456789012"}}',
    ],
)
def test_an_item_that_is_too_long_is_refused_before_it_is_parsed(long: str) -> None:
    read = list[Any]()
    text = '{"a":{"long":[[1],{"x":2},[' + long + "]]}}"
    assert outcome(lambda: by_items(text.encode(), PLACES[2], read.append, longest=24)) == Code.LIMIT_DOCUMENT
    assert read == []


def test_an_item_is_read_before_the_next_one_is() -> None:
    read = list[Any]()
    with pytest.raises(FormatError):
        by_items(b'{"a": {"long": [{"x": 1}, [], 2, nonsense', PLACES[2], read.append)
    assert read == [{"x": 1}, [], 2]


# One spelling


@given(JSON.filter(lambda value: depth(value) <= MAX_DEPTH))
def test_what_is_spelt_is_read_again_and_spelt_alike(value: Any) -> None:
    raw = dumps(value)
    assert raw.isascii()
    assert loads(raw, limit=len(raw)) == value
    assert dumps(loads(raw, limit=len(raw))) == raw


def test_the_one_spelling_has_sorted_names_no_spaces_and_is_ascii() -> None:
    assert dumps({"b": [1, None], "a": "é😀/<", "B": True}) == b'{"B":true,"a":"\\u00e9\\ud83d\\ude00/<","b":[1,null]}'


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_json_cannot_say_is_not_spelt(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps([number])
