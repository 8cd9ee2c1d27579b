"""``receipt show`` and ``receipt verify``, as a person types them."""

from pathlib import Path

import pytest

from tests.support import receipts
from tests.support.making import ROOT
from tests.support.receipts import ACCEPTED, SEALED_BY_NOBODY, STRANGER, sign
from tests.support.station import run

KEY = ROOT / "receipts/station.pub"
INVALID = ROOT / "receipts/invalid"


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    path = tmp_path / "0000000007.json"
    path.write_bytes(ACCEPTED.signed(sign))
    return path


def test_a_receipt_is_verified_with_the_stations_key_alone(receipt: Path) -> None:
    ran = run("receipt", "verify", receipt, "--key", KEY)
    assert ran.exit == 0
    assert ran.err.startswith("note: there is no 0000000007.tlog-proof beside it")
    assert ran.first.startswith("VERIFIED: ")
    assert "\nACCEPTED: " in ran.out
    assert "registry.example/app:v1" in ran.out


def test_a_receipt_by_another_key_shows_nothing_of_itself(receipt: Path, tmp_path: Path) -> None:
    (tmp_path / "other.pub").write_bytes(STRANGER.pem)
    ran = run("receipt", "verify", receipt, "--key", tmp_path / "other.pub", "--json")
    assert (ran.exit, ran.code) == (5, "receipt.signature")
    assert "registry.example" not in ran.out


@pytest.mark.parametrize("damage", [lambda raw: raw[:-1], lambda raw: raw[: len(raw) // 2], lambda _: b"", lambda raw: raw + b"\n"])
def test_a_damaged_receipt_is_an_error_of_ours(receipt: Path, damage: object) -> None:
    assert callable(damage)
    receipt.write_bytes(damage(receipt.read_bytes()))
    for words in (("show", receipt), ("verify", receipt, "--key", KEY)):
        ran = run("receipt", *words, "--json")
        assert (ran.exit, ran.code) == (3, "format.receipt")


def test_a_changed_payload_is_no_longer_signed(receipt: Path) -> None:
    raw = receipt.read_bytes()
    at = raw.index(b'"payload":"') + 40
    receipt.write_bytes(raw[:at] + (b"A" if raw[at : at + 1] != b"A" else b"B") + raw[at + 1 :])
    ran = run("receipt", "verify", receipt, "--key", KEY, "--json")
    assert (ran.exit, ran.code) == (5, "receipt.signature")


def test_show_says_that_nothing_was_verified(receipt: Path) -> None:
    receipt.write_bytes(receipts.INVALID["by-a-stranger"].make())
    ran = run("receipt", "show", receipt)
    assert (ran.exit, ran.err) == (0, "")
    assert ran.first == f"NOT VERIFIED: what {receipt} claims"
    assert run("receipt", "show", receipt, "--json").json["verified"] is False


def test_both_say_the_same_to_scripts(receipt: Path) -> None:
    shown, verified = run("receipt", "show", receipt, "--json").json, run("receipt", "verify", receipt, "--key", KEY, "--json").json
    assert shown["claims"] == verified["claims"] == ACCEPTED.predicate()
    assert shown["digest"] == verified["digest"]
    assert verified["verified"] is True


def test_a_refused_seal_is_told_without_what_it_says(receipt: Path) -> None:
    receipt.write_bytes(SEALED_BY_NOBODY.signed(sign))
    ran = run("receipt", "verify", receipt, "--key", KEY)
    assert ran.exit == 0
    assert "sealed by nobody that is trusted here" in ran.out
    assert "stream" not in ran.out


@pytest.mark.parametrize("words", [("show", "absent.json"), ("verify", "absent.json", "--key", KEY), ("show", ".")])
def test_what_is_not_a_file_is_said(words: tuple[object, ...]) -> None:
    ran = run("receipt", *words, "--json")
    assert (ran.exit, ran.code) == (2, "usage.input")


def test_what_is_not_a_key_is_said(receipt: Path) -> None:
    ran = run("receipt", "verify", receipt, "--key", receipt, "--json")
    assert (ran.exit, ran.code) == (2, "trust.key")
