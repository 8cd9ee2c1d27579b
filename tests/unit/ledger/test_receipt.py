"""Receipts: what is signed is what was meant, and what contradicts itself is not a receipt (docs/spec/receipt-v1.md)."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.errors import BundlerError, Code, FormatError, TrustError
from bundler.ledger import receipt, receipttext
from bundler.ledger.receipt import SignerRecord
from bundler.oci.digest import Digest
from tests.support import receipts
from tests.support.cases import each
from tests.support.receipts import ACCEPTED, APP, INVALID, REFUSED, SEALED_BY_NOBODY, STATION, STRANGER, VALID, Vector, digest, sign

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors/receipts"
KEY = STATION.public


@pytest.mark.parametrize("name", VALID)
def test_what_was_signed_is_read_again(name: str) -> None:
    raw = VALID[name].signed(sign)
    assert receipt.opened(raw, KEY) == VALID[name]
    assert receipt.unverified(raw) == VALID[name]


@pytest.mark.parametrize("name", VALID)
def test_the_valid_vectors_are_these_bytes(name: str) -> None:
    raw = (VECTORS / f"valid/{name}.json").read_bytes()
    assert raw == VALID[name].signed(sign)
    assert (VECTORS / f"valid/{name}.txt").read_text() == receipttext.text(VALID[name], Digest.of(raw))


@each("name", INVALID)
def test_what_breaks_a_rule_is_refused(name: str) -> None:
    with pytest.raises(BundlerError) as refused:
        receipt.opened((VECTORS / f"invalid/{name}.json").read_bytes(), KEY)
    assert refused.value.code == INVALID[name].code
    assert isinstance(refused.value, TrustError if INVALID[name].code == "receipt.signature" else FormatError)


def test_the_vectors_follow_from_their_makers_byte_for_byte(tmp_path: Path) -> None:
    receipts.write(tmp_path)
    made = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert made == {path.relative_to(VECTORS): path.read_bytes() for path in VECTORS.rglob("*.*")}


def test_each_vector_names_a_section_of_the_specification() -> None:
    page = (ROOT / "docs/spec/receipt-v1.md").read_text()
    sections = set(re.findall(r"^##+ ([0-9.]+) ", page, re.MULTILINE))
    assert {vector.section for vector in INVALID.values()} <= sections


def test_nothing_is_read_before_the_signature_verifies() -> None:
    with pytest.raises(TrustError) as refused:
        receipt.opened(INVALID["unknown-member"].make(), STRANGER.public)  # which is signed well, by the station
    assert refused.value.code is Code.RECEIPT_SIGNATURE


def test_a_refused_seal_leaves_nothing_of_its_payload_in_the_receipt() -> None:
    predicate = json.loads(SEALED_BY_NOBODY.statement())["predicate"]
    assert predicate["bundle"] is None
    assert (predicate["images"], predicate["held"], predicate["blobs"]["left"]) == ([], {}, [])
    [subject] = json.loads(SEALED_BY_NOBODY.statement())["subject"]
    assert subject["name"] == "seal.json"


def test_an_image_is_never_a_subject() -> None:
    statement = json.loads(ACCEPTED.statement())
    assert [subject["name"] for subject in statement["subject"]] == ["index.json", "seal.json"]
    assert str(APP.digest).removeprefix("sha256:") not in json.dumps(statement["subject"])


def test_a_receipt_over_its_limit_is_not_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = ACCEPTED.signed(sign)
    monkeypatch.setattr(receipt, "MAX_RECEIPT", len(raw))
    assert receipt.opened(ACCEPTED.signed(sign), KEY) == ACCEPTED
    monkeypatch.setattr(receipt, "MAX_RECEIPT", len(raw) - 1)
    with pytest.raises(FormatError, match="too long"):
        ACCEPTED.signed(sign)
    with pytest.raises(FormatError, match="not a receipt"):
        receipt.opened(raw, KEY)


def test_more_images_than_a_seal_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipt, "MAX_IMAGES", 1)
    with pytest.raises(FormatError, match="too many images"):
        replace(REFUSED)


# --- the text ---


@pytest.mark.parametrize("name", VALID)
def test_the_text_has_80_columns_of_ascii_and_ends_with_the_digest(name: str) -> None:
    text = receipttext.text(VALID[name], digest("envelope"))
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    assert text.endswith(f"{digest('envelope')}\n")
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_text_says_who_signed_what_and_where_it_is() -> None:
    said = receipttext.text(ACCEPTED, digest("envelope"))
    assert said.startswith("ACCEPTED: ")
    for told in (
        "plant-7",
        "stream   platform, number 7",
        "registry.example/app:v1",
        "plant:5000/mirror/app:v1 (new)",
        "release, key, sig",
    ):
        assert told in said
    assert "https://ci.example/build" in said
    assert "2026-11-01T08:00:00Z" in said


def test_the_text_says_why_an_image_was_refused() -> None:
    said = receipttext.text(REFUSED, digest("envelope"))
    assert said.startswith("REFUSED: ")
    assert "refused  policy.threshold\n" in said
    assert "not let in" in said


def test_long_and_foreign_names_are_folded_and_escaped() -> None:
    signers = (SignerRecord("identity", "\x1b[2J\u202e" + "x" * 200, "bundle", None),)
    said = receipttext.text(replace(ACCEPTED, images=(replace(APP, signers=signers),)), digest("envelope"))
    assert r"\x1b[2J\u202exx" in said
    assert "".join(line[9:] for line in said.splitlines()).count("x" * 200) == 1
    assert max(map(len, said.splitlines())) <= 80


def test_a_receipt_of_a_thousand_images_is_read_again() -> None:
    large = receipts.large(1000)
    assert receipt.opened(large.signed(sign), KEY) == large


def test_vectors_that_break_a_rule_are_each_another_one() -> None:
    made: dict[str, Vector] = dict(INVALID)
    assert len({vector.make() for vector in made.values()}) == len(made)
