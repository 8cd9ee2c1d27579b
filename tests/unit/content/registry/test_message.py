"""HTTP/1.1 messages as the client and the embedded registry read them: in one way, however they come."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from bundler.content.registry.message import (
    MAX_FIELDS,
    MAX_HEAD,
    OF_ANSWERS,
    OF_REQUESTS,
    BodyReader,
    LongError,
    Reader,
    Rules,
    composed,
)
from bundler.content.registry.origin import MalformedError

BOTH = pytest.mark.parametrize("rules", [OF_ANSWERS, OF_REQUESTS], ids=["answers", "requests"])
CHUNKED = b'5;a="b"\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: y\r\n\r\nrest'


def reader(data: bytes, rules: Rules, *, size: int = 1 << 20) -> Reader:
    """Of a connection over which ``data`` comes, at most ``size`` bytes at once, before it ends."""
    left = memoryview(data)

    def receive(view: memoryview) -> int:
        nonlocal left
        count = min(size, len(view), len(left))
        view[:count], left = left[:count], left[count:]
        return count

    return Reader(receive, rules)


def pieces(body: BodyReader, size: int) -> Iterator[bytes]:
    piece = memoryview(bytearray(size))
    while count := body.into(piece):
        yield bytes(piece[:count])


@BOTH
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1 << 20])
@pytest.mark.parametrize("piece", [1, 4, 100])
def test_a_message_says_the_same_in_whatever_pieces_it_comes(rules: Rules, size: int, piece: int) -> None:
    came = reader(composed("first line", [("A", "b"), ("C", "")]) + CHUNKED, rules, size=size)
    assert came.head(came.line(MAX_HEAD)) == [b"first line", b"A: b", b"C: "]
    body = BodyReader(came, length=None, chunked=True)
    assert b"".join(pieces(body, piece)) == b"hello world"
    assert body.ended
    sized = BodyReader(came, length=3, chunked=False)
    assert b"".join(pieces(sized, piece)) == b"res"
    assert sized.ended
    assert b"".join(pieces(BodyReader(came, length=None, chunked=False), piece)) == b"t"


@BOTH
@pytest.mark.parametrize("framed", [b"", b"3\r\nab", b"3\r\nabc", b"3\r\nabc\r\n0\r\n"])
def test_a_body_that_is_cut_does_not_end(rules: Rules, framed: bytes) -> None:
    body = BodyReader(reader(framed, rules), length=None, chunked=True)
    with suppress(ConnectionResetError):  # which says that it was within a line
        list(pieces(body, 100))
    assert not body.ended
    sized = BodyReader(reader(b"ab", rules), length=3, chunked=False)
    assert list(pieces(sized, 100)) == [b"ab"]
    assert not sized.ended


@BOTH
@pytest.mark.parametrize("framed", [b"x\r\n", b"3\r\nabcd\r\n", b"3\r\nabc\r\n\r\n", b"0\r\nHost: x\r\n\r\n", b"5;" + b"x" * 2_000])
def test_a_body_that_is_not_framed_as_it_should_be_is_refused_once_and_read_no_further(rules: Rules, framed: bytes) -> None:
    body = BodyReader(reader(framed, rules), length=None, chunked=True)
    with pytest.raises(MalformedError):
        list(pieces(body, 100))
    assert body.into(memoryview(bytearray(1))) == 0


@pytest.mark.parametrize(
    ("framed", "taken", "refused"),
    [
        (b"3\nabc\n0\n\n", OF_ANSWERS, OF_REQUESTS),
        (b"3 \r\nabc\r\n0\r\n\r\n", OF_ANSWERS, OF_REQUESTS),
        (b"1\r\nx\r\n" * 5_000 + b"0\r\n\r\n", OF_REQUESTS, OF_ANSWERS),
    ],
    ids=["LF alone", "a padded size", "small chunks"],
)
def test_what_only_one_side_takes(framed: bytes, taken: Rules, refused: Rules) -> None:
    body = BodyReader(reader(framed, taken), length=None, chunked=True)
    assert list(pieces(body, 100))
    assert body.ended
    with pytest.raises(MalformedError):
        list(pieces(BodyReader(reader(framed, refused), length=None, chunked=True), 100))


@BOTH
def test_a_head_has_its_limits(rules: Rules) -> None:
    assert reader(b"", rules).head(b"") == [b""]
    assert len(reader(b"A: b\r\n" * MAX_FIELDS + b"\r\n", rules).head(b"x")) == 1 + MAX_FIELDS
    with pytest.raises(LongError):
        reader(b"A: b\r\n" * (MAX_FIELDS + 1) + b"\r\n", rules).head(b"x")
    longest = b"a" * (MAX_HEAD - 2)
    assert reader(longest + b"\r\n\r\n", rules).line(MAX_HEAD) == longest
    assert reader(longest[:-5] + b"\r\n\r\n", rules).head(b"abc") == [b"abc", longest[:-5]]
    for data, first in ((longest[:-4] + b"\r\n\r\n", b"abc"), (b"\r\n", longest + b"a")):
        with pytest.raises(LongError):
            reader(data, rules).head(first)
