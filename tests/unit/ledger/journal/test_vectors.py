"""The vectors of docs/spec/journal-v1.md: each ends as it says, and all of them follow from scripts/vectors."""

import json
from pathlib import Path

import pytest

from bundler.errors import Code, TrustError
from bundler.ledger.journal.checking import read_checkpoint
from bundler.ledger.journal.notes import cosigner, verify_proof
from tests.support import journal_vectors, station
from tests.support.cases import each
from tests.support.journals import BEGAN, ORIGIN, STATION, WITNESS, read

ROOT = Path(__file__).parents[4]
VECTORS = ROOT / "tests/vectors/journal"
TOLD = sorted(VECTORS.glob("*valid/*.json"))
KEY = VECTORS / "station.pub"


@each("told", TOLD, ids=lambda told: told.stem)
def test_a_journal_ends_as_its_vector_says(told: Path) -> None:
    since = told.with_suffix(".since")
    flags = ("--since", since) if since.exists() else ()
    ran = station.run("journal", "verify", told.with_suffix(""), "--key", KEY, *flags, "--json")
    wanted = json.loads(told.read_text())
    assert (ran.exit, ran.code if ran.exit else None) == (wanted["exit"], wanted["code"])
    assert (told.parent.name == "valid") is (ran.exit == 0)


def test_a_journal_that_was_signed_anew_is_refused_for_the_earlier_checkpoint_alone() -> None:
    for name in ("rewritten", "cut", "reordered", "forked"):
        assert station.run("journal", "verify", VECTORS / "invalid" / name, "--key", KEY).exit == 0, name


def test_the_cosigned_one_is_cosigned() -> None:
    note = read_checkpoint(VECTORS / "valid/cosigned/checkpoint")
    assert cosigner(note, key=WITNESS.public) == ("auditor.example", BEGAN)


@each("name", [*map(str, range(7)), "wrong"])
def test_a_proof_is_for_its_entry(name: str) -> None:
    text, said = (VECTORS / f"proof/{name}.tlog-proof").read_text(), (VECTORS / f"proof/{name}.entry").read_bytes()
    if name != "wrong":
        assert verify_proof(text, said, key=STATION.public, origin=ORIGIN).index == int(name)
        return
    with pytest.raises(TrustError) as raised:
        verify_proof(text, said, key=STATION.public, origin=ORIGIN)
    assert raised.value.code is Code.TLOG_PROOF


def test_every_vector_names_a_section_of_the_specification() -> None:
    sections = {line[3:].partition(" ")[0] for line in (ROOT / "docs/spec/journal-v1.md").read_text().splitlines() if line[:3] == "## "}
    for path in TOLD:
        told = json.loads(path.read_text())
        assert set(told) == {"description", "section", "exit", "code"}
        assert told["section"] in sections
    assert len(TOLD) > 20


def test_the_example_of_the_specification_is_a_vector() -> None:
    text = (ROOT / "docs/spec/journal-v1.md").read_text()
    listed = {line.split()[0] for line in text.partition("## 1 Example")[2].split("```")[1].split("\n") if line}
    assert listed == read(VECTORS / "valid/257").keys()


def test_the_vectors_follow_from_the_script_byte_for_byte(tmp_path: Path) -> None:
    assert journal_vectors.make(tmp_path / "journal") == len(TOLD)
    assert read(tmp_path / "journal") == read(VECTORS)
