"""DSSE envelopes (SIG cases of docs/hostile-cases.md)."""

import json
from typing import Any

import pytest

from bundler.errors import BundlerError, Code
from bundler.trust.dsse import Envelope, pae
from tests.support.cases import each
from tests.support.signing import OTHER, P256, b64, envelope

BODY = b'{"a":"\xc3\xbf"}'


def code(value: Any) -> Code | None:
    try:
        Envelope.parse(value if isinstance(value, bytes) else json.dumps(value).encode())
    except BundlerError as error:
        return error.code
    return None


def test_an_envelope_gives_its_payload_and_what_is_signed() -> None:
    got = Envelope.parse(json.dumps(envelope(BODY, P256)).encode())
    assert (got.payload_type, got.payload, got.keyid) == ("application/vnd.in-toto+json", BODY, None)
    P256.public.verify(got.signature, got.signed)


def test_e_2_what_is_signed_begins_with_lengths_in_bytes() -> None:
    """The example of protocol.md, and a type whose characters take more bytes than one."""
    assert pae("http://example.com/HelloWorld", b"hello world").whole == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("ÿ", BODY).whole == b"DSSEv1 2 \xc3\xbf 10 " + BODY


def test_an_envelope_is_written_as_it_was_read() -> None:
    value = envelope(BODY, P256)
    assert Envelope.of(value).to_json() == value


@pytest.mark.parametrize("members", [{"extra": 1}, {"payloadtype2": "x"}])
def test_members_that_nobody_knows_are_passed_over(members: dict[str, Any]) -> None:
    """protocol.md: consumers must ignore what they do not recognize."""
    assert code(envelope(BODY, P256) | members) is None


@pytest.mark.parametrize(("keyid", "hint"), [("", None), (None, None), ("release", "release")])
def test_a_keyid_is_a_hint(keyid: str | None, hint: str | None) -> None:
    value = envelope(BODY, P256)
    value["signatures"][0]["keyid"] = keyid
    assert Envelope.of(value).keyid == hint


@pytest.mark.parametrize("keys", [(), (P256, P256), (P256, OTHER)], ids=["none", "one twice", "two"])
def test_e_1_an_envelope_has_one_signature(keys: tuple[Any, ...]) -> None:
    """sigstore-go #225: of two signatures nobody has said which must verify."""
    assert code(envelope(BODY, *keys)) is Code.DSSE_SIGNATURE_COUNT


def changed(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in (envelope(BODY, P256) | members).items() if value is not ...}


@each(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param([], id="a list"),
        pytest.param(changed(payload=...), id="no payload"),
        pytest.param(changed(payload=1), id="a payload that is no string"),
        pytest.param(changed(payloadType=...), id="no type"),
        pytest.param(changed(payloadType=1), id="a type that is no string"),
        pytest.param(changed(signatures=...), id="no signatures"),
        pytest.param(changed(signatures={"sig": ""}), id="signatures that are no list"),
        pytest.param(changed(signatures=["sig"]), id="a signature that is no object"),
        pytest.param(changed(signatures=[{}]), id="a signature without sig"),
        pytest.param(changed(signatures=[{"sig": None}]), id="a sig that is null"),
        pytest.param(changed(signatures=[{"sig": "QQ==", "keyid": 1}]), id="a keyid that is no string"),
        pytest.param(changed(signatures=[{"sig": "QQ==", "Sig": "QUE="}]), id="sig in another case"),
        pytest.param(changed(signatures=[{"sig": "QQ==", "KeyID": "a"}]), id="keyid in another case"),
        pytest.param(changed(Payload="QQ=="), id="payload in another case too"),
        pytest.param(changed(payload=..., Payload="QQ=="), id="payload in another case"),
        pytest.param(json.dumps(envelope(BODY, P256)).encode().replace(b'{"payload"', b'{"payload":"QQ==","payload"'), id="payload twice"),
        pytest.param(json.dumps(envelope(BODY, P256)).encode() + b"{}", id="something behind it"),
    ],
)
def test_what_is_no_envelope_is_malformed(value: Any) -> None:
    assert code(value) is Code.DSSE_MALFORMED


@each(
    "text",
    [
        pytest.param("QUJD!", id="SIG-011 junk"),
        pytest.param("QUJD ", id="a space"),
        pytest.param("QUI=====", id="SIG-012 more padding"),
        pytest.param("QUI", id="less padding"),
        pytest.param("QUJ=", id="bits in the padding"),
        pytest.param("-+AA", id="two alphabets, - and +"),
        pytest.param("-/AA", id="two alphabets, - and /"),
        pytest.param("_+AA", id="two alphabets, _ and +"),
        pytest.param("_/AA", id="two alphabets, _ and /"),
        pytest.param("ÿÿÿÿ", id="no ASCII"),
    ],
)
def test_e_4_base64_has_one_spelling_in_one_alphabet(text: str) -> None:
    assert code(changed(payload=text)) is Code.DSSE_MALFORMED
    assert code(changed(signatures=[{"sig": text}])) is Code.DSSE_MALFORMED


def test_e_4_either_alphabet_will_do() -> None:
    data = b"\xfb\xef\xff\xfa"
    assert b64(data) == "++//+g=="
    assert Envelope.of(changed(payload="++//+g==")).payload == Envelope.of(changed(payload="--__-g==")).payload == data


@pytest.mark.parametrize("text", ["QUJD\n", "QU\r\nJD", "\nQUJD"])
def test_line_ends_in_base64_are_passed_over_and_remarked(text: str) -> None:
    assert not Envelope.of(changed()).wrapped
    wrapped = Envelope.of(changed(payload=text))
    assert (wrapped.payload, wrapped.wrapped) == (b"ABC", True)
    assert Envelope.of(changed(signatures=[{"sig": text}])).signature == b"ABC"
    assert Envelope.of(changed(signatures=[{"sig": text}])).wrapped
