"""Base64 and PEM that have one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.errors import Code, FormatError
from bundler.trust.encodings import from_base64, from_base64url, from_pem, to_base64, to_pem
from tests.support.cases import each


@given(st.binary(max_size=100))
def test_what_is_written_is_read(raw: bytes) -> None:
    assert from_base64(to_base64(raw), what="it") == raw
    assert from_base64url(to_base64(raw).replace("+", "-").replace("/", "_").rstrip("="), what="it") == raw
    assert from_pem(to_pem(raw + b".", "X"), "X", what="it") == [raw + b"."]


@each(
    "text", ["QUJ", "QUJD=", "QQ", "QQ=", "QR==", "QUJDRF==", "QU JD", "QUJD\n", "QU-_", "=", "ＱＱ==", "QQ==QQ==", "Q", None, 7, b"QQ=="]
)
def test_base64_that_no_writer_makes(text: object) -> None:
    with pytest.raises(FormatError) as refusal:
        from_base64(text, what="it")
    assert refusal.value.code is Code.FORMAT_BASE64


@each("text", ["QQ==", "QU+/", "QR", "Q", "QQ\n", "Q\u00e9", None, 7])
def test_base64url_that_no_writer_makes(text: object) -> None:
    with pytest.raises(FormatError) as refusal:
        from_base64url(text, what="it")
    assert refusal.value.code is Code.FORMAT_BASE64


BLOCK = to_pem(b"abc", "X")


@each(
    ("text", "blocks"),
    [
        (BLOCK, 1),
        (BLOCK.replace(b"\n", b"\r\n"), 1),
        (BLOCK.rstrip(b"\n"), 1),
        (b"\n \t" + BLOCK + b"\n\n", 1),
        (BLOCK * 3, 3),
        (to_pem(b"a" * 500, "X"), 1),
        (b"", 0),
        (b"words\n" + BLOCK + b"words\n\n----- words\n" + BLOCK + b"words", 2),
        (BLOCK.replace(b"\n", b" \t\n"), 1),
    ],
)
def test_pem_of_as_many_blocks_as_it_has(text: bytes, blocks: int) -> None:
    assert len(from_pem(text, "X", what="it")) == blocks


@each(
    "text",
    [
        b"text " + BLOCK,
        b"text\r" + BLOCK,
        b"text",
        b"\n",
        BLOCK + b"text" + BLOCK,
        BLOCK + BLOCK[:20],
        BLOCK + BLOCK[-18:],
        BLOCK[-18:] + BLOCK,
        BLOCK + BLOCK.replace(b"YWJj", b"Proc-Type: 4,ENCRYPTED\n\nYWJj"),
        BLOCK + BLOCK.replace(b"X", b"Y"),
        b"\xef\xbb\xbf" + BLOCK,
        BLOCK.decode().encode("utf-16-le"),
        BLOCK.replace(b"X", b"Y"),
        BLOCK.replace(b"END X", b"END Y"),
        BLOCK.replace(b"-----BEGIN", b"----BEGIN"),
        BLOCK.replace(b"YWJj", b"YWJ"),
        BLOCK.replace(b"YWJj", b"YW!j"),
        BLOCK.replace(b"YWJj", b"Proc-Type: 4,ENCRYPTED\n\nYWJj"),
        BLOCK[:-8],
    ],
)
def test_pem_that_others_could_find_another_block_in(text: bytes) -> None:
    with pytest.raises(FormatError) as refusal:
        from_pem(text, "X", what="it")
    assert refusal.value.code is Code.FORMAT_PEM
