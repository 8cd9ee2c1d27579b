"""A journal proved as a whole: by itself, since an earlier checkpoint, with its receipts (journal-v1.md, section 8)."""

from pathlib import Path

import pytest

from bundler.errors import BundlerError, Code, FormatError, IntegrityError
from bundler.ledger.journal.checking import Receipts, verify
from bundler.ledger.journal.entry import Entry, Kind
from bundler.oci.digest import Digest
from tests.support.cases import each
from tests.support.journals import (
    BEGAN,
    BY_OTHERS,
    BY_THE_KEY,
    KEPT,
    ORIGIN,
    OTHER,
    STATION,
    Change,
    checkpoint,
    entries,
    entry,
    files,
    read,
    write,
)


def refusal(folder: Path, **how: object) -> Code:
    with pytest.raises(BundlerError) as raised:
        verify(folder, key=STATION.public, **how)  # type: ignore[arg-type]
    return raised.value.code


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600])
def test_a_journal_is_proved_since_each_checkpoint_that_it_had(tmp_path: Path, size: int) -> None:
    write(tmp_path, files(entries(size)))
    seen: list[tuple[int, bytes]] = []
    verified = verify(tmp_path, key=STATION.public, origin=ORIGIN, visit=lambda *each: seen.append(each))
    assert (verified.checkpoint.size, verified.beyond) == (size, ())
    assert seen == list(enumerate(entries(size)))
    for earlier in {0, 1, size // 2, size} & set(range(size + 1)):
        assert verify(tmp_path, key=STATION.public, since=checkpoint(entries(earlier))).checkpoint == verified.checkpoint


@pytest.mark.parametrize("said", BY_THE_KEY.values(), ids=BY_THE_KEY)
def test_a_journal_that_the_key_signed_anew_is_found_out_by_an_earlier_checkpoint_alone(tmp_path: Path, said: list[bytes]) -> None:
    write(tmp_path, files(said))
    assert verify(tmp_path, key=STATION.public).checkpoint.size == len(said), "by itself there is nothing to find"
    assert refusal(tmp_path, since=checkpoint(entries(KEPT))) is Code.JOURNAL_CHANGED


@pytest.mark.parametrize("change", BY_OTHERS.values(), ids=BY_OTHERS)
def test_what_others_change_is_found_out_by_the_journal_itself(tmp_path: Path, change: Change) -> None:
    found = files(entries(KEPT))
    changed = change(found)
    assert changed != found
    write(tmp_path, changed)
    assert refusal(tmp_path) is Code.JOURNAL_CHANGED


def test_an_older_checkpoint_in_the_place_of_the_last_is_found_out_by_a_later_one(tmp_path: Path) -> None:
    older = str(checkpoint(entries(280))).encode()
    write(tmp_path, files(entries(KEPT)) | {"checkpoint": older, "tile/0/001.p/24": files(entries(280))["tile/0/001.p/24"]})
    write(tmp_path, {"tile/entries/001.p/24": files(entries(280))["tile/entries/001.p/24"]})
    assert verify(tmp_path, key=STATION.public).beyond == (tmp_path / "tile/0/001.p/44", tmp_path / "tile/entries/001.p/44")
    assert refusal(tmp_path, since=checkpoint(entries(KEPT))) is Code.JOURNAL_CHANGED


def test_a_journal_is_believed_only_under_the_key_and_the_origin_that_are_wanted(tmp_path: Path) -> None:
    write(tmp_path, files(entries(3), by=OTHER))
    assert refusal(tmp_path) is Code.CHECKPOINT_NO_LOG_SIGNATURE
    write(tmp_path, files(entries(3)))
    assert refusal(tmp_path, origin="oci-bundler.plant-8") is Code.CHECKPOINT_ORIGIN
    assert refusal(tmp_path, since=checkpoint(entries(2), by=OTHER)) is Code.CHECKPOINT_NO_LOG_SIGNATURE
    assert refusal(tmp_path, since=checkpoint(entries(2), origin="oci-bundler.plant-8")) is Code.CHECKPOINT_ORIGIN


def test_verifying_changes_nothing(tmp_path: Path) -> None:
    found = files(entries(3)) | {"tile/0/000.p/4": b"torn", ".oci-bundler-0123456789abcdef.tmp": b"half"}
    write(tmp_path, found)
    assert verify(tmp_path, key=STATION.public).beyond == (tmp_path / "tile/0/000.p/4",)
    assert read(tmp_path) == found


def test_receipts_are_those_of_their_entries(tmp_path: Path) -> None:
    journal, receipts = write(tmp_path / "journal", files(entries(3))), tmp_path / "receipts"
    write(receipts, {"0000000000.json": b"receipt 0", "0000000002.json": b"receipt 2"})
    found = Receipts(receipts)
    verify(journal, key=STATION.public, visit=found)
    assert (found.found, found.missing) == (2, 1)
    write(receipts, {"0000000001.json": b"receipt 0"})
    with pytest.raises(IntegrityError, match=r"0000000001\.json") as raised:
        verify(journal, key=STATION.public, visit=Receipts(receipts))
    assert raised.value.code is Code.CONTENT_DIGEST


def test_an_entry_is_written_in_one_way() -> None:
    digest = Digest.of(b"receipt 0")
    assert entry(0).decode() == f'{{"kind":"import","receipt":"{digest}","time":"2026-11-22T12:00:00Z"}}'
    assert Entry.parse(entry(0)) == Entry(Kind.IMPORT, digest, BEGAN)


@each(
    "raw",
    [
        b"",
        b"{}",
        b'"text"',
        entry(0) + b"\n",
        entry(0).replace(b":", b": ", 1),
        entry(0).replace(b"import", b"export"),
        entry(0).replace(b"sha256", b"sha257"),
        entry(0).replace(b"00Z", b"00+00:00"),
        entry(0)[:-1] + b',"more":1}',
        b'{"x":"' + b"x" * 1100 + b'"}',
    ],
)
def test_what_is_not_an_entry_of_a_station_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        Entry.parse(raw)
