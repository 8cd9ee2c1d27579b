"""What a registry's answers may look like, and what they may not."""

import string
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.content.registry.answers import (
    MAX_FIELDS,
    MAX_WAIT,
    Challenge,
    Complaint,
    Head,
    challenges,
    chunk_size,
    content_range,
    next_page,
    received,
)
from bundler.content.registry.origin import MalformedError
from tests.support.cases import each
from tests.support.looks import SECOND, looks

TOKENS = st.text(string.ascii_letters + string.digits + "!#$%&'*+.^_`|~-", min_size=1, max_size=12)
VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)


def head(*fields: str, status: str = "HTTP/1.1 200 OK") -> Head:
    return Head.parse([line.encode("latin-1") for line in (status, *fields)])


def test_a_head_gives_its_fields_whatever_their_case() -> None:
    parsed = head("CONTENT-TYPE:  Application/JSON; charset=utf-8\t", "Link: a", "link: b")
    assert (parsed.status, parsed.media_type, parsed.all("link"), parsed.one("location")) == (200, "application/json", ["a", "b"], None)


@pytest.mark.parametrize(
    ("status", "fields", "persistent"),
    [
        ("HTTP/1.1 200 OK", [], True),
        ("HTTP/1.1 200 OK", ["Connection: Close"], False),
        ("HTTP/1.0 200 OK", [], False),
        ("HTTP/1.0 200", ["Connection: keep-alive"], True),
    ],
)
def test_a_connection_is_used_again_only_where_its_server_says_so(status: str, fields: list[str], persistent: bool) -> None:
    assert head(*fields, status=status).persistent is persistent


@each(
    "status",
    [
        "HTTP/9.9 200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1  200 OK",
        "http/1.1 200 OK",
        "SSH-2.0-x",
        "",
        "HTTP/1.1 200 \x00",
    ],
)
def test_a_status_line_of_another_form_is_refused(status: str) -> None:  # REG-045
    with pytest.raises(MalformedError):
        head(status=status)


@each(
    "fields",
    [
        ["Content-Length: -1"],
        ["Content-Length: 1_0"],
        ["Content-Length: +5"],
        ["Content-Length: 0x10"],
        ["Content-Length: ٣"],
        ["Content-Length:"],
        ["Content-Length: " + "9" * 5000],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: identity"],
        ["Location: /a", "Location: /b"],
        ["Content-Type: a/b", "Content-Type: c/d"],
        ["X-A: b", " folded"],
        ["X-A: b\x00c"],
        ["X-A: b\rContent-Length: 5"],
        ["X A: b"],
        ["X-A : b"],
        [": b"],
        ["no colon"],
        [f"X-{n}: y" for n in range(MAX_FIELDS + 1)],
    ],
)
def test_a_head_with_two_readings_is_refused(fields: list[str]) -> None:  # REG-010, REG-014, REG-045
    with pytest.raises(MalformedError):
        Head.parse([line.encode("utf-8") for line in ("HTTP/1.1 200 OK", *fields)])


@each("line", [b"-1", b"0x10", b"1_0", b" 5", b"", b"g", b"F" * 16, b"5;\x00"])
def test_a_chunk_of_a_strange_size_is_refused(line: bytes) -> None:  # REG-011
    with pytest.raises(MalformedError):
        chunk_size(line)


@pytest.mark.parametrize(("line", "size"), [(b"0", 0), (b"1f", 31), (b"1F;name=value", 31), (b"000a ", 10)])
def test_a_chunk_says_its_size_in_hex(line: bytes, size: int) -> None:
    assert chunk_size(line) == size


@each(
    ("fields", "seconds"),
    [
        (["Retry-After: 7"], 7),
        (["Retry-After: 1000000000"], MAX_WAIT),
        (["Retry-After: -5"], None),
        (["Retry-After: soon"], None),
        ([], None),
        (["Retry-After: Fri, 01 Jan 2027 00:00:30 GMT", "Date: Fri, 01 Jan 2027 00:00:00 GMT"], 30),
        (["Retry-After: Fri, 01 Jan 2099 00:00:00 GMT", "Date: Fri, 01 Jan 2027 00:00:00 GMT"], MAX_WAIT),
        (["Retry-After: Fri, 01 Jan 1999 00:00:00 GMT", "Date: Fri, 01 Jan 2027 00:00:00 GMT"], 0),
        (["Retry-After: Fri, 01 Jan 2027 00:00:00 GMT"], None),
        (["Retry-After: Fri, 01 Jan 2027 00:00:00", "Date: Fri, 01 Jan 2027 00:00:00 GMT"], None),
    ],
)
def test_a_registry_may_ask_for_a_minute_and_no_more(fields: list[str], seconds: float | None) -> None:  # REG-047
    assert head(*fields).retry_after == seconds


def test_a_challenge_is_read_as_registries_write_it() -> None:
    said = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'
    parameters = {"realm": "https://auth.docker.io/token", "service": "registry.docker.io", "scope": "repository:a/b:pull,push"}
    assert challenges([said]) == [Challenge("bearer", parameters)]


@pytest.mark.parametrize(
    ("values", "schemes"),
    [
        (["Negotiate", 'Basic realm="a, b", Bearer realm="https://a/"'], ["negotiate", "basic", "bearer"]),
        (["Negotiate YII==, NTLM , Basic realm=x"], ["negotiate", "ntlm", "basic"]),
        ([r'BASIC realm="say \"hello\""'], ["basic"]),
        ([""], []),
        ([], []),
    ],
)
def test_several_challenges_are_told_apart(values: list[str], schemes: list[str]) -> None:
    assert [challenge.scheme for challenge in challenges(values)] == schemes


@each("value", ['realm="x"', 'Bearer realm="x', 'Bearer realm="a",realm="b"', 'Bearer realm="a"b', "=", 'Bearer "x"'])
def test_a_challenge_of_another_form_is_refused(value: str) -> None:
    with pytest.raises(MalformedError):
        challenges([value])


@given(TOKENS, st.dictionaries(TOKENS.map(str.lower), VISIBLE, max_size=4))
def test_a_challenge_says_what_was_put_into_it(scheme: str, parameters: dict[str, str]) -> None:
    quoted = [f'{name}="' + value.replace("\\", r"\\").replace('"', r"\"") + '"' for name, value in parameters.items()]
    assert challenges([f"{scheme} {', '.join(quoted)}"]) == [Challenge(scheme.lower(), parameters)]


def read_or_refused(text: str) -> None:
    with suppress(MalformedError):
        challenges([text])
    with suppress(MalformedError):
        next_page([text])
    with suppress(MalformedError):
        content_range(text)
    with suppress(MalformedError):
        head(text)


@given(st.text(st.characters(max_codepoint=0xFF), max_size=200))
def test_any_field_at_all_is_read_or_refused(text: str) -> None:
    read_or_refused(text)
    received(text, sent=100)


@each("unit", ["a ", 'a="', "a=b,", "<a>;", "; rel=", "\t", ',"', "=", "\\", '<a>;a="'])
def test_a_long_field_takes_no_long_time(unit: str) -> None:
    long = unit * (60_000 // len(unit))
    assert looks(lambda: list(map(read_or_refused, (long, f'a{long}"')))) < 2 * SECOND  # regular expressions run in C


@pytest.mark.parametrize(
    ("values", "target"),
    [
        (['</v2/app/tags/list?n=2&last=b>; rel="next"'], "/v2/app/tags/list?n=2&last=b"),
        (["<a>; rel=prev, <b>; rel=next"], "b"),
        (["<a>; rel=prev", '<b>; title="x, <y>; z"; REL="last next"'], "b"),
        (["<a>; rel=prev"], None),
        ([], None),
    ],
)
def test_the_next_page_is_the_link_that_says_so(values: list[str], target: str | None) -> None:
    assert next_page(values) == target


@pytest.mark.parametrize("value", ["/v2/app", "<a", "<a>; rel=next, <b>; rel=next", '<a>; rel="next', "<a> rel=next"])
def test_a_link_of_another_form_is_refused(value: str) -> None:
    with pytest.raises(MalformedError):
        next_page([value])


@each(
    ("said", "held"),
    [
        ("0-99", 100),
        ("bytes=0-49", 50),
        ("0-0", 0),
        ("0-100", None),
        ("1-99", None),
        ("0--5", None),
        ("-5", None),
        ("all of it", None),
        ("0-" + "9" * 30, None),
        (None, None),
    ],
)
def test_an_upload_holds_from_nothing_to_what_was_sent(said: str | None, held: int | None) -> None:  # REG-038
    assert received(said, sent=100) == held


@each("value", [None, "bytes 0-99", "bytes */100", "bytes 5-4/100", "bytes 0-100/100", "0-99/100", "bytes 0-9/9" + "9" * 20])
def test_a_part_that_does_not_say_which_is_refused(value: str | None) -> None:  # REG-046
    with pytest.raises(MalformedError):
        content_range(value)


def test_a_part_says_which_it_is() -> None:
    assert (content_range("bytes 5-9/10"), content_range("bytes 5-9/*")) == ((5, 9, 10), (5, 9, None))


def test_a_complaint_is_what_the_specification_says() -> None:
    body = b'{"errors":[{"code":"DENIED","message":"not yours","detail":{"x":1.5}},{"code":"UNKNOWN"}]}'
    assert Complaint.parse(body) == Complaint(frozenset({"DENIED", "UNKNOWN"}), "DENIED: not yours; UNKNOWN")


@each(
    "body",
    [b"", b"<html>", b"[]", b'{"errors":7}', b'{"errors":[7]}', b'{"errors":[{"code":7,"message":null}]}', b"\xff\x00", b"{" * 100_000],
)
def test_a_complaint_of_any_form_is_shown_and_breaks_nothing(body: bytes) -> None:  # REG-044
    complaint = Complaint.parse(body)
    assert complaint.text.isascii()
    assert complaint.text.isprintable()
    assert len(complaint.text) <= 1200
    assert not complaint.codes


def test_a_complaint_is_escaped_and_without_secrets() -> None:  # REG-044, INV-6, INV-9
    complaint = Complaint.parse(b"\x1b[31mno\r\n\xc2\x9b your token t0psecret is odd", secrets=["t0psecret"])
    assert complaint.text == r"\x1b[31mno \x9b your token *** is odd"
    assert len(Complaint.parse(b"x" * 100_000).text) == 300
