"""Appending to a journal: what stands in the folder after it, what is proved, what a killed run left (journal-v1.md)."""

import builtins
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bundler.errors import BundlerError, Code, ConflictError, FormatError, IntegrityError, TransportError, TrustError, UsageError
from bundler.ledger.journal.folder import Folder
from bundler.ledger.journal.journal import Journal
from bundler.ledger.journal.notes import verify_proof
from bundler.ledger.journal.tree import MAX_ENTRY, Edge, Name, Tiles, from_entry, to_entries
from bundler.trust.checkpoint import Checkpoint
from bundler.trust.merkle import leaf_hash
from tests.support.cases import each
from tests.support.journals import ORIGIN, OTHER, STATION, WITNESS, create, entries, files, opened, read, write
from tests.support.world import tree_hash, tree_path

SIZES = [0, 1, 2, 255, 256, 257, 511, 512, 513]


def grown(folder: Path, size: int) -> Journal:
    """A journal of ``size``, made at once, and open."""
    return opened(write(folder, files(entries(size))))


@each("size", [0, 1, 2, 3, 5, 255, 256, 257, 600])
def test_the_root_is_that_of_rfc_6962(size: int) -> None:
    said = entries(size)
    edge = Edge()
    for entry in said:
        edge, _ = edge.appended(leaf_hash(entry))
    assert (edge.size, edge.root) == (size, tree_hash(said))


def test_a_new_journal_is_of_size_0_and_signed(tmp_path: Path) -> None:
    journal = create(tmp_path / "journal")
    assert (journal.size, journal.root) == (0, tree_hash([]))
    assert read(tmp_path / "journal") == {"checkpoint": journal.checkpoint.encode()}
    assert opened(tmp_path / "journal").checkpoint == journal.checkpoint


def test_what_is_appended_stands_in_the_files_that_tiles_have(tmp_path: Path) -> None:
    journal, said = grown(tmp_path, 254), entries(258)
    for number in range(254, 258):
        assert journal.append(said[number]).index == number
        assert (journal.size, journal.root) == (number + 1, tree_hash(said[: number + 1]))
    found, wanted = read(tmp_path), files(said)
    assert found | wanted == found  # the same bytes, whether appended in turn or made at once
    assert found.keys() - wanted.keys() == {"tile/0/001.p/1", "tile/entries/001.p/1"}  # of sizes that had a checkpoint
    assert opened(tmp_path).remarks == ()


@pytest.mark.parametrize("size", SIZES)
def test_an_append_goes_on_from_any_size(tmp_path: Path, size: int) -> None:
    journal, said = grown(tmp_path, size), entries(size + 2)
    before = read(tmp_path)
    for number in (size, size + 1):
        appended = journal.append(said[number])
        proof = verify_proof(appended.proof, said[number], key=STATION.public, origin=ORIGIN)
        assert (appended.index, proof.index, proof.checkpoint.size) == (number, number, number + 1)
        assert proof.path == tuple(tree_path(said[: number + 1], number))
        assert journal.proof(number) == appended.proof
    found = read(tmp_path)
    assert found | files(said) == found
    assert {name for name in before if found.get(name) != before[name]} <= {"checkpoint"} | {n for n in before if ".p/" in n}
    assert opened(tmp_path).checkpoint == journal.checkpoint


@pytest.mark.parametrize("size", [1, 2, 7, 256, 300, 770])
def test_every_entry_is_proved_in_the_tree_of_now(tmp_path: Path, size: int) -> None:
    journal, said = grown(tmp_path, size), entries(size)
    for index in {0, 1, size // 2, 255, 256, size - 1} & set(range(size)):
        assert journal.entry(index) == said[index]
        assert verify_proof(journal.proof(index), said[index], key=STATION.public, origin=ORIGIN).path == tuple(tree_path(said, index))


def test_the_root_of_every_earlier_tree_is_found(tmp_path: Path) -> None:
    size = 600
    grown(tmp_path, size)
    edge, tiles = Edge(), Tiles(size, Folder(tmp_path).tile)
    for number, entry in enumerate(entries(size)):
        assert tiles.root(number) == edge.root
        edge, _ = edge.appended(leaf_hash(entry))


@pytest.mark.parametrize(("size", "written"), [(1, 3), (255, 4), (256, 3), (65_535, 5), (65_536, 3)])
def test_an_append_reads_nothing_and_writes_a_tile_for_each_level_that_changes(tmp_path: Path, size: int, written: int) -> None:
    """The entries, the checkpoint, a tile, and one more where a tile becomes full; opening reads what lies on the right edge."""
    write(tmp_path, files([b"entry %d" % number for number in range(size)]))
    with counted() as opening:
        journal = opened(tmp_path)
    assert (len(opening["read"]), len(opening["write"])) == ({1: 3, 255: 3, 256: 2, 65_535: 4, 65_536: 2}[size], 0)
    with counted() as appending:
        journal.append(b"one more")
    assert (len(appending["read"]), len(appending["write"])) == (0, written)
    assert journal.size == size + 1


@contextmanager
def counted() -> Iterator[dict[str, list[str]]]:
    """The files that are opened to be read and to be written meanwhile."""
    found: dict[str, list[str]] = {"read": [], "write": []}
    genuine = os.open

    def open_(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        file: int = genuine(path, flags, *rest, **named)
        if stat.S_ISREG(os.fstat(file).st_mode):
            found["write" if flags & (os.O_WRONLY | os.O_RDWR) else "read"].append(str(path))
        return file

    os.open = open_
    try:
        yield found
    finally:
        os.open = genuine


def test_an_entry_of_65535_bytes_is_taken_and_none_longer(tmp_path: Path) -> None:
    journal = create(tmp_path / "journal")
    with pytest.raises(FormatError) as raised:
        journal.append(bytes(MAX_ENTRY + 1))
    assert (raised.value.code, journal.size) == (Code.LIMIT_DOCUMENT, 0)
    journal.append(bytes(MAX_ENTRY))
    journal.append(b"")
    assert opened(tmp_path / "journal").entry(0) == bytes(MAX_ENTRY)
    assert opened(tmp_path / "journal").entry(1) == b""


def test_only_an_empty_folder_becomes_a_journal(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(ConflictError) as raised:
        create(tmp_path)
    assert raised.value.code is Code.OUTPUT_EXISTS
    assert read(tmp_path) == {"mine": b"x"}


def test_a_journal_whose_making_was_killed_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / ".oci-bundler-0123456789abcdef.tmp").write_text("half")
    assert create(tmp_path).size == 0


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "line\nend", "wide\u2003space", "x" * 256])
def test_an_origin_that_no_note_can_have_is_refused(tmp_path: Path, origin: str) -> None:
    with pytest.raises(UsageError, match="a name is not one"):
        create(tmp_path / "journal", origin=origin)
    assert not (tmp_path / "journal").exists()


def test_a_key_that_is_not_p_256_signs_no_journal(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        create(tmp_path / "journal", by=WITNESS)
    assert (raised.value.code, raised.value.wanted) == (Code.USAGE_KEY, "ECDSA P-256")
    assert not (tmp_path / "journal").exists()


# --- a torn tail ---

TORN: dict[str, tuple[int, list[str]]] = {
    "entries alone": (3, ["tile/entries/000.p/4"]),
    "entries and hashes": (3, ["tile/entries/000.p/4", "tile/0/000.p/4"]),
    "an empty journal": (0, ["tile/entries/000.p/1", "tile/0/000.p/1"]),
    "full ones": (255, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]),
    "behind a full one": (256, ["tile/entries/001.p/1", "tile/0/001.p/1"]),
    "far beyond": (3, ["tile/entries/000.p/200", "tile/0/017", "tile/0/x001/000", "tile/0/009.p/3", "tile/2/000.p/1"]),
}


@pytest.mark.parametrize(("size", "torn"), TORN.values(), ids=TORN)
@pytest.mark.parametrize("data", [b"half a fi", None], ids=["half", "whole"])
def test_a_torn_tail_is_set_aside_and_said_and_not_counted(tmp_path: Path, size: int, torn: list[str], data: bytes | None) -> None:
    whole = files(entries(size + 1))
    write(tmp_path, files(entries(size)))
    beyond = {name: whole.get(name, b"whatever") if data is None else data for name in torn}
    write(tmp_path, beyond)
    journal = opened(tmp_path)
    [remark] = journal.remarks
    assert f"{len(torn)} files beyond the {size} entries" in remark
    assert str(tmp_path / "torn/1") in remark
    assert read(tmp_path) == files(entries(size))
    assert {name: (tmp_path / "torn/1" / name).read_bytes() for name in torn} == beyond
    assert journal.append(b"another").index == size
    assert opened(tmp_path).remarks == ()


def test_a_second_torn_tail_lies_beside_the_first(tmp_path: Path) -> None:
    write(tmp_path, files(entries(3)))
    for _ in range(2):
        write(tmp_path, {"tile/entries/000.p/4": b"torn"})
        opened(tmp_path)
    assert [(tmp_path / "torn" / name / "tile/entries/000.p/4").read_bytes() for name in "12"] == [b"torn", b"torn"]


def test_a_tail_is_found_beyond_a_number_of_four_digits(tmp_path: Path) -> None:
    """From 256,000 entries on they lie in folders of thousands; 300,000 are 1,171 full tiles and 224 hashes."""
    within = {"tile/0/999", "tile/0/x000/000", "tile/0/x001/170", "tile/0/x001/171.p/224", "tile/1/004.p/147"}
    beyond = {"tile/0/x001/171", "tile/0/x001/171.p/225", "tile/0/x001/172.p", "tile/0/x001/x000", "tile/0/x002", "tile/1/004.p/148"}
    write(
        tmp_path,
        {f"{name}/1" if name in ("tile/0/x001/172.p", "tile/0/x001/x000", "tile/0/x002") else name: b"" for name in within | beyond},
    )
    assert {path.relative_to(tmp_path).as_posix() for path in Folder(tmp_path).beyond(300_000)} == beyond


def test_what_a_killed_run_had_not_named_yet_is_removed(tmp_path: Path) -> None:
    write(tmp_path, files(entries(3)))
    hidden = [tmp_path / place / ".oci-bundler-0123456789abcdef.tmp" for place in (".", "tile/0", "tile/0/000.p", "tile/entries/000.p")]
    for path in hidden:
        path.write_bytes(b"half")
    assert opened(tmp_path).remarks == ()
    assert not any(path.exists() for path in hidden)


def test_partial_files_go_when_the_full_ones_are_there(tmp_path: Path) -> None:
    journal = grown(tmp_path, 255)
    journal.append(b"the last of the first tile")
    assert read(tmp_path).keys() == {"checkpoint", "tile/entries/000", "tile/0/000", "tile/1/000.p/1"}


def test_partial_files_that_a_killed_run_left_go_when_it_is_opened_next(tmp_path: Path) -> None:
    write(tmp_path, files(entries(257)) | {"tile/0/000.p/255": b"x", "tile/entries/000.p/255": b"x"})
    assert opened(tmp_path).remarks == ()
    assert read(tmp_path) == files(entries(257))


def test_a_partial_file_whose_full_one_is_not_there_is_kept(tmp_path: Path) -> None:
    """It is all that is left of these hashes; journal verify says what is missing."""
    found = {name: data for name, data in files(entries(257)).items() if name != "tile/0/000"} | {"tile/0/000.p/255": b"x"}
    write(tmp_path, found)
    opened(tmp_path)
    assert read(tmp_path) == found


def test_what_is_not_of_a_journal_is_left_alone(tmp_path: Path) -> None:
    others = {"README": b"x", "tile/0/notes.txt": b"x", "tile/0/000.p/notes": b"x", "tile/other/000": b"x"}
    write(tmp_path, files(entries(3)) | others)
    assert opened(tmp_path).remarks == ()
    assert read(tmp_path) == files(entries(3)) | others


def test_after_a_failed_append_the_next_goes_on_from_what_counts(tmp_path: Path) -> None:
    journal = grown(tmp_path, 3)
    (tmp_path / "tile/0/000.p/4").mkdir()  # where a tile belongs
    with pytest.raises(BundlerError):
        journal.append(b"first")
    assert journal.append(b"second").index == 3
    assert journal.entry(3) == b"second"
    assert journal.remarks
    assert (tmp_path / "torn/1/tile/entries/000.p/4").exists()


# --- a changed journal ---

Change = Callable[[dict[str, bytes]], dict[str, bytes]]
CHANGED: dict[str, Change] = {
    "without a checkpoint": lambda found: found | {"checkpoint": b""},
    "a checkpoint that is not one": lambda found: found | {"checkpoint": b"\xff\xfe"},
    "without its last tile": lambda found: {name: data for name, data in found.items() if name != "tile/0/001.p/44"},
    "a tile that was cut": lambda found: found | {"tile/0/001.p/44": found["tile/0/001.p/44"][:-1]},
    "another hash": lambda found: found | {"tile/1/000.p/1": bytes(32)},
    "another last entry": lambda found: found | {"tile/entries/001.p/44": found["tile/entries/001.p/44"].replace(b"import", b"refuse")},
    "an entry that is longer than its bundle": lambda found: found | {"tile/entries/001.p/44": found["tile/entries/001.p/44"][:-1]},
    "an entry more in a bundle": lambda found: found | {"tile/entries/001.p/44": found["tile/entries/001.p/44"] + b"\0\0"},
}


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_nothing_is_appended_to_a_changed_journal(tmp_path: Path, change: Change) -> None:
    found = change(files(entries(300)))
    write(tmp_path, found | {"tile/0/002.p/1": b"torn"})
    with pytest.raises(IntegrityError) as raised:
        opened(tmp_path)
    assert raised.value.code is Code.JOURNAL_CHANGED
    assert read(tmp_path) == found | {"tile/0/002.p/1": b"torn"}, "nothing is moved before it is known whose it is"


@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/000"])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0\0", lambda data: b"\0" * len(data)])
def test_a_proof_is_not_given_out_of_changed_files(tmp_path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Opening reads the right edge alone, so that older files are found to be changed when they are read."""
    found = files(entries(300))
    write(tmp_path, found | {name: change(found[name])})
    journal = opened(tmp_path)
    with pytest.raises(IntegrityError) as raised:
        journal.proof(3)
    assert raised.value.code is Code.JOURNAL_CHANGED


def test_entries_that_end_early_or_late_are_not_whole() -> None:
    whole = from_entry(b"one") + from_entry(b"two")
    assert to_entries(whole, Name(0, 0, 2)) == [b"one", b"two"]
    for data in (whole[:-1], whole[:-4], whole + b"\0", from_entry(b"one"), whole + whole):
        with pytest.raises(IntegrityError) as raised:
            to_entries(data, Name(0, 0, 2))
        assert raised.value.code is Code.JOURNAL_CHANGED


def test_a_checkpoint_by_another_key_or_of_another_origin_is_refused(tmp_path: Path) -> None:
    write(tmp_path, files(entries(3)))
    with pytest.raises(TrustError) as raised:
        opened(tmp_path, by=OTHER)
    assert raised.value.code is Code.CHECKPOINT_NO_LOG_SIGNATURE
    with pytest.raises(TrustError) as raised:
        opened(tmp_path, origin="oci-bundler.plant-8")
    assert raised.value.code is Code.CHECKPOINT_ORIGIN


@pytest.mark.parametrize("what", ["size", "root"])
def test_a_checkpoint_that_was_edited_is_refused(tmp_path: Path, what: str) -> None:
    note = Checkpoint.parse(files(entries(3))["checkpoint"].decode())
    edited = Checkpoint.of(ORIGIN, 2 if what == "size" else 3, note.root if what == "size" else bytes(32))
    text = edited.note.decode() + "\n" + "".join(f"{line}\n" for line in note.signatures)
    write(tmp_path, files(entries(3)) | {"checkpoint": text.encode()})
    with pytest.raises(TrustError) as raised:
        opened(tmp_path)
    assert raised.value.code is Code.CHECKPOINT_SIGNATURE


@pytest.mark.parametrize("size", [0, 1, 255, 256, 300])
def test_a_journal_that_goes_on_from_what_is_remembered_is_opened(tmp_path: Path, size: int) -> None:
    write(tmp_path, files(entries(300)))
    since = (size, tree_hash(entries(size)))
    assert Journal.open(tmp_path, origin=ORIGIN, key=STATION.public, sign=STATION.sign, since=since).size == 300


@pytest.mark.parametrize(
    ("since", "found"),
    [((301, tree_hash(entries(301))), "fewer entries"), ((3, tree_hash([b"a", b"b", b"c"])), "the first 3 entries")],
    ids=["cut", "rewritten"],
)
def test_a_journal_that_is_older_or_other_than_is_remembered_is_refused_as_it_is(
    tmp_path: Path, since: tuple[int, bytes], found: str
) -> None:
    write(tmp_path, files(entries(300)) | {"tile/0/002": b"torn"})
    with pytest.raises(IntegrityError, match=found) as raised:
        Journal.open(tmp_path, origin=ORIGIN, key=STATION.public, sign=STATION.sign, since=since)
    assert raised.value.code is Code.JOURNAL_CHANGED
    assert (tmp_path / "tile/0/002").exists()


def test_a_disk_that_cannot_be_read_is_not_a_changed_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, files(entries(3)))
    genuine = builtins.open

    def broken(path: Any, *rest: Any, **named: Any) -> Any:
        if str(path).endswith("000.p/3"):
            raise OSError(5, "Input/output error")
        return genuine(path, *rest, **named)

    monkeypatch.setattr(builtins, "open", broken)
    with pytest.raises(TransportError) as raised:
        opened(tmp_path)
    assert raised.value.code is Code.DISK_IO
