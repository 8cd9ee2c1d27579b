"""docs/spec/bundle-v1.md, section 6: who is asked before what."""

import base64
import hashlib
import json
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.bundle import sealenvelope as module
from bundler.bundle.sealenvelope import MAX_SEAL, MAX_SIGNATURE, MAX_SIGNATURES, SealEnvelope, preauthentication, sealed
from bundler.errors import Code, FormatError, IntegrityError
from bundler.oci.digest import Digest
from tests.support.cases import each

PAYLOAD = b'{"a":"' + bytes(range(0x20, 0x7F)) + b'"}'
GOOD = sealed(PAYLOAD, [b"one", b"two"])


def read(raw: bytes, *, piece: int = 1 << 20) -> SealEnvelope:
    return SealEnvelope.read(lambda: (raw[at : at + piece] for at in range(0, len(raw), piece)))


@given(
    payload=st.binary(max_size=200),
    signatures=st.lists(st.binary(min_size=1, max_size=9), unique=True, max_size=16),
    piece=st.integers(1, 99),
)
def test_what_was_sealed_is_what_is_read_however_it_arrives(payload: bytes, signatures: list[bytes], piece: int) -> None:
    found = read(sealed(payload, signatures), piece=piece)
    assert (found.payload(), found.signatures, found.size) == (payload, tuple(signatures), len(payload))
    assert found.identity == Digest.of(payload)
    assert found.signed == hashlib.sha256(preauthentication(len(payload)) + payload).digest()


def test_what_is_signed_is_dsse_pre_authentication_encoding() -> None:
    # secure-systems-lab/dsse, protocol.md: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
    assert preauthentication(11) == b"DSSEv1 28 application/vnd.in-toto+json 11 "


def test_the_envelope_has_one_spelling() -> None:
    value = json.loads(GOOD)
    assert list(value) == ["payload", "payloadType", "signatures"]
    assert json.dumps(value, separators=(",", ":")).encode() == GOOD


def test_no_byte_of_an_envelope_can_be_another_and_mean_the_same() -> None:
    good = read(GOOD)
    for at in range(len(GOOD)):
        for bit in range(8):
            changed = GOOD[:at] + bytes([GOOD[at] ^ 1 << bit]) + GOOD[at + 1 :]
            try:
                found = read(changed)
            except FormatError:
                continue
            assert (found.signed, found.signatures) != (good.signed, good.signatures)


@each("length", range(len(GOOD)))
def test_an_envelope_that_was_cut_is_none(length: int) -> None:
    with pytest.raises(FormatError):
        read(GOOD[:length])


def edited(old: bytes, new: bytes) -> bytes:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


@each(
    ("raw", "code"),
    [
        pytest.param(edited(b'{"payload":', b'{ "payload":'), Code.FORMAT_SEAL, id="space"),
        pytest.param(GOOD + b"\n", Code.FORMAT_SEAL, id="line end"),
        pytest.param(GOOD + GOOD, Code.FORMAT_JSON, id="twice"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, Code.FORMAT_SEAL, id="byte order mark"),
        pytest.param(edited(b'"signatures":', b'"payload":"","signatures":'), Code.FORMAT_JSON, id="payload twice"),
        pytest.param(edited(b'"signatures":', b'"Payload":"","signatures":'), Code.FORMAT_JSON, id="payload twice, as Go reads it"),
        pytest.param(edited(b'"signatures":', b'"x":1,"signatures":'), Code.FORMAT_SEAL, id="another member"),
        pytest.param(edited(b"vnd.in-toto", b"vnd.other"), Code.FORMAT_SEAL, id="payload type (BND-021)"),
        pytest.param(edited(b"[{", b'[{"keyid":"a",'), Code.FORMAT_SEAL, id="keyid (BND-013, BND-014)"),
        pytest.param(edited(b"[{", b'[{"alg":"none",'), Code.FORMAT_SEAL, id="algorithm (BND-006, BND-007)"),
        pytest.param(edited(b'{"sig":"dHdv"}', b"1"), Code.FORMAT_SEAL, id="a signature that is no object"),
        pytest.param(edited(b'"dHdv"', b"1"), Code.FORMAT_SEAL, id="a signature that is no text"),
        pytest.param(edited(b'"dHdv"', b'"d~dv"'), Code.FORMAT_SEAL, id="a signature in another alphabet"),
        pytest.param(edited(b'"dHdv"', '"dHd\u00e9"'.encode()), Code.FORMAT_SEAL, id="a signature beyond ASCII"),
        pytest.param(edited(b'"dHdv"', b'"dHd"'), Code.FORMAT_SEAL, id="a signature without padding"),
        pytest.param(edited(b'"dHdv"', b'"dHdvAB=="'), Code.FORMAT_SEAL, id="a signature with unused bits"),
        pytest.param(edited(b'"dHdv"', b'"b25l"'), Code.FORMAT_SEAL, id="one signature twice (BND-015)"),
        pytest.param(edited(b'"dHdv"', b'""'), Code.LIMIT_SEAL, id="an empty signature"),
        pytest.param(edited(b'"dHdv"', b'"' + base64.b64encode(bytes(2049)) + b'"'), Code.LIMIT_SEAL, id="a long signature"),
        pytest.param(sealed(PAYLOAD, [bytes([n]) for n in range(MAX_SIGNATURES + 1)]), Code.LIMIT_SEAL, id="17 signatures (BND-018)"),
        pytest.param(b'{"payload":"e30","payloadType":"", "signatures":[]}', Code.FORMAT_SEAL, id="payload without padding"),
        pytest.param(sealed(b"ab", [b"x"]).replace(b"YWI=", b"YWJ="), Code.FORMAT_SEAL, id="payload with unused bits"),
        pytest.param(sealed(b"abcd", [b"x"]).replace(b"YWJjZA==", b"YQ==YWJj"), Code.FORMAT_SEAL, id="padding in the middle"),
        pytest.param(sealed(b"abcdef", [b"x"]).replace(b"YWJjZGVm", b"YWJj~GVm"), Code.FORMAT_SEAL, id="payload in another alphabet"),
        pytest.param(sealed(b"abcd", [b"x"]).replace(b"YWJjZA==", b"YWJjZA"), Code.FORMAT_SEAL, id="payload without its padding"),
        pytest.param(GOOD[: len(GOOD) // 2], Code.FORMAT_SEAL, id="cut in its payload"),
        pytest.param(b"", Code.FORMAT_SEAL, id="nothing"),
        pytest.param(b"[]", Code.FORMAT_SEAL, id="a list"),
    ],
)
def test_what_is_no_envelope_is_refused(raw: bytes, code: Code) -> None:
    for piece in (7, 1 << 20):
        with pytest.raises(FormatError) as refused:
            read(raw, piece=piece)
        assert refused.value.code == code


@each(
    "signatures",
    [
        pytest.param(lambda: [b"%06d" % number for number in range(100_000)], id="100,000 signatures (BND-018)"),
        pytest.param(lambda: [bytes(50_000_000)], id="a signature of 50 MB (BND-036)"),
    ],
)
def test_signatures_that_are_far_too_much_are_refused(signatures: Callable[[], list[bytes]]) -> None:
    raw = sealed(PAYLOAD, signatures())
    for piece in (7, 1 << 20):
        with pytest.raises(FormatError) as refused:
            read(raw, piece=piece)
        assert refused.value.code == Code.LIMIT_SEAL


def test_signatures_as_many_and_as_long_as_they_may_be_are_read() -> None:
    signatures = tuple(bytes([number]) * MAX_SIGNATURE for number in range(MAX_SIGNATURES))
    assert read(sealed(PAYLOAD, signatures)).signatures == signatures


@pytest.mark.parametrize(("more", "code"), [(0, Code.FORMAT_JSON), (1, Code.LIMIT_SEAL)])
def test_no_more_is_kept_of_what_follows_the_payload_than_signatures_take(more: int, code: Code) -> None:
    with pytest.raises(FormatError) as refused:
        read(b'{"payload":"' + b'"'.ljust(module._MAX_TAIL + more))
    assert refused.value.code == code


def test_an_envelope_that_ends_in_its_payload_is_told_from_json_that_is_none() -> None:
    with pytest.raises(FormatError, match="it does not begin with its payload") as refused:
        SealEnvelope.read(lambda: iter((b'{"payload":"AAAA',)))
    assert refused.value.code == Code.FORMAT_SEAL


def test_padding_in_the_middle_is_seen_wherever_the_pieces_end() -> None:
    with pytest.raises(FormatError, match="base64 of another spelling"):
        read(sealed(b"abcd", [b"x"]).replace(b"YWJjZA==", b"YQ==YWJj"), piece=1)


def test_another_payload_type_is_named() -> None:
    with pytest.raises(FormatError, match=r"found application/vnd.other\+json, wanted application/vnd.in-toto\+json"):
        read(edited(b"vnd.in-toto", b"vnd.other"))


def test_an_unsigned_envelope_is_read_and_has_no_signature() -> None:  # BND-003: that is for who counts to refuse
    assert read(sealed(PAYLOAD, [])).signatures == ()


def test_a_payload_that_changed_since_it_was_judged_is_refused() -> None:
    answers = iter([GOOD, GOOD, GOOD.replace(b"eyJh", b"eyJi")])

    def chunks() -> Iterator[bytes]:
        yield next(answers)

    found = SealEnvelope.read(chunks)
    with pytest.raises(IntegrityError) as refused:
        found.payload()
    assert refused.value.code == Code.CONTENT_DIGEST


def test_the_largest_payload_is_taken_and_a_byte_more_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SEAL", len(PAYLOAD))
    assert read(GOOD).payload() == PAYLOAD
    with pytest.raises(FormatError) as refused:
        read(sealed(PAYLOAD + b"x", [b"one"]))
    assert refused.value.code == Code.LIMIT_SEAL


def test_a_strangers_seal_costs_no_memory_however_long_it_is() -> None:  # SP-21, BND-031
    piece = b"AAAA" * 16384

    def chunks() -> Iterator[bytes]:
        yield GOOD[: GOOD.index(b'":"') + 3]
        yield from (piece for _ in range(400))  # 25 MiB
        yield GOOD[GOOD.index(b'","') :]

    tracemalloc.start()
    found = SealEnvelope.read(chunks)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.size == 400 * len(piece) // 4 * 3 < MAX_SEAL
    assert peak < 1 << 20
