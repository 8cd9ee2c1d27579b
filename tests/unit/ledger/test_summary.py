"""What a station says of one image, and when it has said it already (docs/spec/receipt-v1.md, section 7)."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bundler.ledger.summary import MAX_SUMMARY, Summary
from bundler.oci.digest import Digest
from bundler.trust.dsse import Envelope, pae
from tests.support.signing import Key

STATION, STRANGER = Key.of("p256", 31), Key.of("p256", 32)
SUMMARY = Summary(
    verifier="urn:oci-bundler:station:plant-7",
    policy="urn:oci-bundler:policy:plant-7",
    trust=Digest.of(b"trust"),
    version="1.0.0",
    time=datetime(2026, 11, 22, 12, tzinfo=UTC),
    subject=Digest.of(b"image"),
    repository="registry.plant.example/mirror/app",
)


def enveloped(payload: bytes, kind: str = "application/vnd.in-toto+json") -> Envelope:
    return Envelope(kind, payload, STATION.sign(pae(kind, payload).whole))


def test_what_was_said_is_said() -> None:
    assert SUMMARY.is_said_by(SUMMARY.signed(STATION.sign), STATION.public)


@pytest.mark.parametrize("change", [{"time": datetime(2027, 1, 1, tzinfo=UTC)}, {"version": "2.0.0"}])
def test_when_and_by_which_version_does_not_matter(change: dict[str, Any]) -> None:
    assert replace(SUMMARY, **change).is_said_by(SUMMARY.signed(STATION.sign), STATION.public)


@pytest.mark.parametrize(
    "change",
    [
        {"verifier": "urn:oci-bundler:station:plant-8"},
        {"policy": "https://plant.example"},
        {"trust": Digest.of(b"other trust")},
        {"subject": Digest.of(b"other image")},
        {"repository": "registry.plant.example/mirror/other"},
    ],
)
def test_all_else_does(change: dict[str, Any]) -> None:
    assert not replace(SUMMARY, **change).is_said_by(SUMMARY.signed(STATION.sign), STATION.public)


def test_a_strangers_word_does_not_count() -> None:
    assert not SUMMARY.is_said_by(SUMMARY.signed(STRANGER.sign), STATION.public)


@pytest.mark.parametrize("payload", [b"", b"[]", b'"predicate"', b'{"predicate":{"verifier":7}}', b"\xff"])
def test_what_is_something_else_is_not_it(payload: bytes) -> None:
    assert not SUMMARY.is_said_by(enveloped(payload), STATION.public)


def test_another_result_is_not_it() -> None:
    said = json.loads(SUMMARY.signed(STATION.sign).payload)
    said["predicate"]["verificationResult"] = "FAILED"
    assert not SUMMARY.is_said_by(enveloped(json.dumps(said).encode()), STATION.public)


def test_another_payload_type_or_a_longer_one_is_not_it() -> None:
    payload = SUMMARY.signed(STATION.sign).payload
    assert not SUMMARY.is_said_by(enveloped(payload, kind="application/json"), STATION.public)
    spaces = b" " * (MAX_SUMMARY - len(payload))
    assert SUMMARY.is_said_by(enveloped(payload + spaces), STATION.public)
    assert not SUMMARY.is_said_by(enveloped(payload + spaces + b" "), STATION.public)
