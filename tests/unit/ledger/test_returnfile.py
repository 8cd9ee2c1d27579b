"""Return files: in one spelling, believed by their signature alone, and never one that contradicts the format."""

import json
from dataclasses import replace

import pytest

from bundler import strictjson
from bundler.errors import BundlerError, Code, FormatError, TrustError
from bundler.ledger import returnfile
from bundler.ledger.returnfile import Return, opened, unverified
from tests.support import receipts
from tests.support.cases import each
from tests.support.making import ROOT
from tests.support.returns import EMPTY, FULL, INVALID, VALID, large

KEY = receipts.STATION.public
STRANGER = receipts.STRANGER.public
FOLDER = ROOT / "returns"


@pytest.mark.parametrize("name", VALID)
def test_a_return_file_reads_what_it_wrote(name: str) -> None:
    raw = (FOLDER / f"valid/{name}.json").read_bytes()
    assert raw == VALID[name].signed(receipts.sign)
    assert opened(raw, [STRANGER, KEY]) == unverified(raw) == VALID[name]


def test_the_vectors_are_those_that_are_made_here() -> None:
    rules = json.loads((FOLDER / "invalid.index.json").read_text())
    assert rules == {name: {"section": vector.section, "code": vector.code} for name, vector in INVALID.items()}
    assert {path.stem for path in (FOLDER / "invalid").iterdir()} == set(INVALID)


@each("name", INVALID)
def test_what_breaks_a_rule_is_refused(name: str) -> None:
    raw = (FOLDER / f"invalid/{name}.json").read_bytes()
    assert raw == INVALID[name].make()
    with pytest.raises(BundlerError) as refused:
        opened(raw, [KEY])
    assert refused.value.code == INVALID[name].code
    if refused.value.code is Code.FORMAT_RETURN:
        with pytest.raises(FormatError):
            unverified(raw)


def test_nothing_is_read_before_the_signature_is_verified() -> None:
    value = json.loads(INVALID["by-a-stranger"].make())
    value["payload"] = "AAAA"
    with pytest.raises(TrustError) as refused:
        opened(strictjson.dumps(value), [KEY])
    assert refused.value.code is Code.RECEIPT_SIGNATURE
    with pytest.raises(FormatError):
        unverified(strictjson.dumps(value))


def test_what_a_station_never_writes_cannot_be_made() -> None:
    for told in ({"station": ""}, {"refused": FULL.refused * 51}, {"held": {"plant": ()}}, {"streams": {"": FULL.streams["platform"]}}):
        with pytest.raises(FormatError):
            replace(FULL, **told)


def test_a_return_file_over_its_limit_is_neither_written_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    raw, limit = FULL.signed(receipts.sign), len(FULL.payload())
    monkeypatch.setattr(returnfile, "MAX_PAYLOAD", limit)
    assert opened(raw, [KEY]) == FULL
    monkeypatch.setattr(returnfile, "MAX_PAYLOAD", limit - 1)
    with pytest.raises(FormatError):
        FULL.signed(receipts.sign)
    with pytest.raises(FormatError):
        opened(raw, [KEY])


def test_ten_thousand_repositories_fit() -> None:
    told = large(1_000)
    assert 10 * len(told.payload()) < returnfile.MAX_PAYLOAD
    assert unverified(told.signed(receipts.sign)) == told


def test_a_return_file_is_not_a_receipt_nor_the_other_way_round() -> None:
    with pytest.raises(FormatError) as refused:
        unverified(receipts.ACCEPTED.signed(receipts.sign))
    assert refused.value.code is Code.FORMAT_RETURN
    assert isinstance(EMPTY, Return)
