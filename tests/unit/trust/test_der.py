"""DER that has one reading, and DER that has none."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.errors import BundlerError, Code, FormatError
from bundler.trust import der
from bundler.trust.der import Element
from tests.support import cms
from tests.support.cases import each


def refused(raw: bytes, tag: int | None = None) -> None:
    with pytest.raises(FormatError) as refusal:
        Element.parse(raw, tag)
    assert refusal.value.code is Code.FORMAT_DER


@each(
    ("raw", "why"),
    [
        (b"", "nothing"),
        (b"\x30", "no length"),
        (b"\x04\x02a", "cut"),
        (b"\x04\x01ab", "more behind"),
        (b"\x30\x80\x00\x00", "indefinite"),
        (b"\x04\x81\x01a", "long form of a short length"),
        (b"\x04\x82\x00\x80" + b"a" * 128, "a zero before the length"),
        (b"\x04\x81", "no long length"),
        (b"\x04\x82\x01", "a cut long length"),
        (b"\x04\x85\x01\x00\x00\x00\x00a", "five bytes of length"),
        (b"\x04\x84\xff\xff\xff\xffa", "four gigabytes"),
        (b"\x1f\x00", "a tag of more bytes"),
        (b"\xbf\x00", "a tag of more bytes, constructed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_element_that_is_none(raw: bytes, why: str) -> None:
    refused(raw)


def test_an_element_that_is_cut_inside_another_is_refused() -> None:
    with pytest.raises(FormatError):
        Element.parse(b"\x30\x03\x04\x02a").items()


def test_an_element_of_another_type_is_refused() -> None:
    refused(b"\x04\x00", der.SEQUENCE)


@each("size", [0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 24])
def test_an_element_of_every_length_is_read(size: int) -> None:
    raw = cms.octets(b"a" * size)
    assert (Element.parse(raw).octets(), Element.parse(raw).raw) == (b"a" * size, raw)


@each("number", [0, 1, 127, 128, 255, 256, -1, -128, -129, 1 << 160, (1 << 511) - 1])
def test_an_integer_is_read(number: int) -> None:
    assert Element.parse(cms.integer(number)).integer() == number


@pytest.mark.parametrize("raw", [b"\x02\x00", b"\x02\x02\x00\x7f", b"\x02\x02\xff\x80", b"\x02\x41" + b"\x01" * 65, b"\x04\x01\x07"])
def test_an_integer_that_is_none(raw: bytes) -> None:
    with pytest.raises(FormatError):
        Element.parse(raw).integer()


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (b"20260301120000Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (b"20260301120000.5Z", datetime(2026, 3, 1, 12, 0, 0, 500000, tzinfo=UTC)),
        (b"20260301120000.123456789Z", datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_a_time_is_read(text: bytes, time: datetime) -> None:
    assert Element.parse(cms.tlv(0x18, text)).time() == time


@each(
    "text",
    [
        *(b"20260301120000", b"20260301120000+0100", b"202603011200Z", b"20260301120000.Z", b"20260301120000.50Z", b"20260301120000,5Z"),
        *(
            b"20260229120000Z",
            b"20261301120000Z",
            b"20260301240000Z",
            b"20260301120060Z",
            b"00000101000000Z",
            b"",
            b"\xd9\xa120260301120000Z",
        ),
        b"20260301120000.1234567891Z",
    ],
)
def test_a_time_that_is_none(text: bytes) -> None:
    with pytest.raises(FormatError) as refusal:
        Element.parse(cms.tlv(0x18, text)).time()
    assert refusal.value.code is Code.FORMAT_DER


def test_a_text_is_utf8() -> None:
    assert Element.parse(cms.tlv(0x0C, "ü".encode())).text() == "ü"
    with pytest.raises(FormatError):
        Element.parse(b"\x0c\x01\xff").text()
    with pytest.raises(FormatError):
        Element.parse(b"\x13\x01a").text()


def test_the_elements_of_one_are_taken_in_order_and_to_the_end() -> None:
    items = Element.parse(cms.seq(cms.integer(1), cms.octets(b"a"))).items()
    assert items.maybe(der.OCTET_STRING) is None
    assert items.take(der.INTEGER).integer() == 1
    with pytest.raises(FormatError, match="elements more than the type has"):
        items.end()
    assert items.maybe(der.OCTET_STRING) is not None
    items.end()
    assert items.maybe(der.OCTET_STRING) is None
    with pytest.raises(FormatError, match="is not there"):
        items.take(der.INTEGER)


@pytest.mark.parametrize(
    ("dotted", "content"),
    [("1.2.840.113549.1.7.2", "2a864886f70d010702"), ("2.16.840.1.101.3.4.2.1", "608648016503040201"), ("0.4.0.2023.1.1", "04008f670101")],
)
def test_an_object_identifier_is_compared_as_it_is_encoded(dotted: str, content: str) -> None:
    assert der.oid(dotted).hex() == content
    assert Element.parse(cms.oid(dotted)).oid() == der.oid(dotted)


def test_a_great_object_identifier_costs_nothing() -> None:
    """CVE-2025-66564."""
    assert len(Element.parse(cms.tlv(0x06, b"\xff" * (1 << 20) + b"\x01")).oid()) == (1 << 20) + 1


@given(st.binary(max_size=200))
def test_whatever_is_read_is_what_was_there_and_everything_else_is_our_error(raw: bytes) -> None:
    try:
        element = Element.parse(raw)
        inner = element.items().rest()
    except BundlerError:
        return
    assert element.raw == raw
    assert b"".join(item.raw for item in inner) == element.content
