"""``journal verify`` and ``journal cosign``, as a person types them."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.errors import Code
from bundler.ledger.folder import StationFolder, begin, finish
from bundler.ledger.journal.notes import cosigner
from bundler.trust.checkpoint import Checkpoint
from bundler.trust.keys import PublicKey
from tests.support import receipts, station
from tests.support.journals import BY_OTHERS, BY_THE_KEY, KEPT, ORIGIN, OTHER, STATION, checkpoint, entries, files, read, write
from tests.support.returns import EMPTY, FULL
from tests.support.signing import Key
from tests.support.station import Ran
from tests.support.world import tree_hash

AUDITOR = Key.of("ed25519", 7)
PUBLIC = PublicKey.parse(AUDITOR.pem, role="image")
FINGERPRINT = PUBLIC.fingerprint


class Desk:
    """A station with a journal of KEPT entries, and what an auditor has."""

    def __init__(self, folder: Path) -> None:
        self.station = folder / "station"
        finish(self.station, begin(self.station, name="plant-7", key="station.key"))
        (self.station / "station.pub").write_bytes(STATION.public.pem)
        self.journal = write(self.station / "journal", files(entries(KEPT)))
        self.key = station.write_key(folder / "auditor.key", AUDITOR)
        self.pub = folder / "plant-7.pub"
        self.pub.write_bytes(STATION.public.pem)
        self.kept = folder / "kept"
        self.kept.write_text(str(checkpoint(entries(200))))

    @property
    def checkpoint(self) -> Checkpoint:
        return Checkpoint.parse((self.journal / "checkpoint").read_text())

    def replace(self, found: dict[str, bytes]) -> None:
        shutil.rmtree(self.journal)
        write(self.journal, found)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def refused(ran: Ran, exit: int, code: Code) -> None:  # noqa: A002
    assert (ran.exit, ran.code) == (exit, code)


# --- verify ---


def test_a_stations_journal_is_proved_by_its_folder_alone(desk: Desk) -> None:
    ran = station.run("journal", "verify", desk.station, "--json")
    assert ran.exit == 0
    assert ran.json == {
        "journal": {"origin": ORIGIN, "size": KEPT, "root": f"sha256:{tree_hash(entries(KEPT)).hex()}"},
        "key": str(STATION.public),
        "since": None,
        "cosigned": [],
        "receipts": {"found": 0, "missing": KEPT},
        "beyond": [],
    }


def test_a_copy_of_the_journal_is_proved_by_the_key_since_a_checkpoint(desk: Desk, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(desk.journal, copy)
    refused(station.run("journal", "verify", copy, "--json"), 2, Code.USAGE)
    ran = station.run("journal", "verify", copy, "--key", desk.pub, "--since", desk.kept, "--json")
    assert ran.exit == 0
    assert (ran.json["since"], ran.json["receipts"]) == (200, None)


def test_a_return_file_says_from_where_the_journal_must_go_on(desk: Desk) -> None:
    desk.kept.write_bytes(replace(FULL, checkpoint=desk.kept.read_text()).signed(receipts.sign))
    assert station.run("journal", "verify", desk.station, "--since", desk.kept, "--json").json["since"] == 200
    desk.replace(files(BY_THE_KEY["rewritten"]))
    refused(station.run("journal", "verify", desk.station, "--since", desk.kept, "--json"), 4, Code.JOURNAL_CHANGED)
    desk.kept.write_bytes(EMPTY.signed(receipts.sign))
    refused(station.run("journal", "verify", desk.station, "--since", desk.kept, "--json"), 3, Code.FORMAT_RETURN)


def test_the_first_line_is_the_answer(desk: Desk) -> None:
    ran = station.run("journal", "verify", desk.station, "--since", desk.kept)
    assert ran.first == "PASSED: 300 entries, and nothing in them was changed"
    assert "since    200 entries: it has only grown" in ran.out
    assert "note:" not in ran.out


def test_without_an_earlier_checkpoint_it_is_said_what_was_not_proved(desk: Desk) -> None:
    said = station.run("journal", "verify", desk.station).said
    assert "whoever has the station's key could have written all of it anew" in said


@pytest.mark.parametrize("said", BY_THE_KEY.values(), ids=BY_THE_KEY)
def test_a_journal_that_was_written_anew_is_refused_by_an_earlier_checkpoint(desk: Desk, said: list[bytes]) -> None:
    desk.kept.write_text(str(checkpoint(entries(KEPT))))
    desk.replace(files(said))
    assert station.run("journal", "verify", desk.station).exit == 0
    refused(station.run("journal", "verify", desk.station, "--since", desk.kept, "--json"), 4, Code.JOURNAL_CHANGED)


@pytest.mark.parametrize("name", ["an entry", "a tile that is not there", "no checkpoint"])
def test_a_changed_journal_is_refused(desk: Desk, name: str) -> None:
    desk.replace(BY_OTHERS[name](files(entries(KEPT))))
    refused(station.run("journal", "verify", desk.station, "--json"), 4, Code.JOURNAL_CHANGED)


def test_another_key_another_origin_and_no_checkpoint_are_refused(desk: Desk) -> None:
    desk.pub.write_bytes(OTHER.public.pem)
    refused(station.run("journal", "verify", desk.station, "--key", desk.pub, "--json"), 5, Code.CHECKPOINT_NO_LOG_SIGNATURE)
    desk.kept.write_bytes(b"\xff\n\n\xff")
    refused(station.run("journal", "verify", desk.station, "--since", desk.kept, "--json"), 5, Code.CHECKPOINT_MALFORMED)
    desk.kept.unlink()
    refused(station.run("journal", "verify", desk.station, "--since", desk.kept, "--json"), 2, Code.USAGE_INPUT)
    desk.replace(files(entries(3), origin="oci-bundler.plant-8"))
    refused(station.run("journal", "verify", desk.station, "--json"), 5, Code.CHECKPOINT_ORIGIN)


def test_a_folder_without_a_journal_is_said_to_be_one(tmp_path: Path) -> None:
    refused(station.run("journal", "verify", tmp_path, "--json"), 2, Code.USAGE_INPUT)
    refused(station.run("journal", "verify", tmp_path / ("x" * 300), "--json"), 7, Code.DISK_IO)


def test_a_torn_tail_is_said(desk: Desk) -> None:
    write(desk.journal, {"tile/0/001.p/45": b"torn"})
    ran = station.run("journal", "verify", desk.station)
    assert ran.exit == 0
    assert "1 files beyond the checkpoint do not count" in ran.said
    assert (desk.journal / "tile/0/001.p/45").read_bytes() == b"torn"


def test_a_receipt_that_is_another_is_refused(desk: Desk) -> None:
    write(desk.station / "receipts", {"0000000004.json": b"receipt 4"})
    assert station.run("journal", "verify", desk.station, "--json").json["receipts"] == {"found": 1, "missing": KEPT - 1}
    write(desk.station / "receipts", {"0000000005.json": b"receipt 4"})
    refused(station.run("journal", "verify", desk.station, "--json"), 4, Code.CONTENT_DIGEST)


# --- cosign ---


def test_a_cosigner_adds_a_line_and_keeps_what_it_signed(desk: Desk) -> None:
    before = desk.checkpoint
    ran = station.run("journal", "cosign", desk.station, "--key", desk.key, "--json")
    assert (ran.exit, ran.json["journal"]["size"], ran.json["cosigner"]) == (0, KEPT, {"name": "auditor", "key": FINGERPRINT})
    assert (desk.checkpoint.note, desk.checkpoint.signatures[:1]) == (before.note, before.signatures)
    assert Path(ran.json["kept"]).read_text() == str(desk.checkpoint)
    assert Path(ran.json["kept"]).parent == desk.key.parent
    assert "this one is the first that is trusted" in ran.err
    shown = station.run("journal", "verify", desk.station, "--cosigner", desk.key.with_suffix(".pub"), "--json")
    assert [each["name"] for each in shown.json["cosigned"]] == ["auditor"]
    assert shown.json["cosigned"][0]["key"] == FINGERPRINT


def test_a_cosigner_signs_what_goes_on_from_what_it_signed_last(desk: Desk) -> None:
    first = station.run("journal", "cosign", desk.station, "--key", desk.key, "--json")
    desk.replace(files(entries(310)))
    ran = station.run("journal", "cosign", desk.station, "--key", desk.key, "--name", "auditor.example/laptop", "--json")
    assert (ran.exit, ran.json["journal"]["size"], ran.json["kept"]) == (0, 310, first.json["kept"])
    assert "first that is trusted" not in ran.err
    assert desk.checkpoint.signatures[1].name == "auditor.example/laptop"


@pytest.mark.parametrize("said", BY_THE_KEY.values(), ids=BY_THE_KEY)
@pytest.mark.parametrize("kept", ["beside the key", "where --memory says"])
def test_a_cosigner_refuses_what_does_not_go_on_from_there(desk: Desk, said: list[bytes], kept: str) -> None:
    flags = ("--memory", desk.kept) if kept == "where --memory says" else ()
    desk.kept.unlink()
    signed = station.run("journal", "cosign", desk.station, "--key", desk.key, *flags, "--json")
    memory = Path(signed.json["kept"])
    assert (memory == desk.kept) is bool(flags)
    before = memory.read_text()
    desk.replace(files(said))
    refused(station.run("journal", "cosign", desk.station, "--key", desk.key, *flags, "--json"), 4, Code.JOURNAL_CHANGED)
    assert memory.read_text() == before
    assert read(desk.journal) == files(said)


def test_a_copy_is_cosigned_by_who_has_the_stations_key_from_elsewhere(desk: Desk, tmp_path: Path) -> None:
    copy = tmp_path / "stick"
    shutil.copytree(desk.journal, copy)
    refused(station.run("journal", "cosign", copy, "--key", desk.key, "--json"), 2, Code.USAGE)
    assert station.run("journal", "cosign", copy, "--key", desk.key, "--station-key", desk.pub).exit == 0
    note = Checkpoint.parse((copy / "checkpoint").read_text())
    assert cosigner(note, key=PUBLIC)[0] == "auditor"


def test_a_key_that_is_not_ed25519_cosigns_nothing(desk: Desk, tmp_path: Path) -> None:
    key = station.write_key(tmp_path / "other.key", Key.of("p256", 9))
    before = read(desk.journal)
    refused(station.run("journal", "cosign", desk.station, "--key", key, "--json"), 2, Code.USAGE_KEY)
    assert read(desk.journal) == before
    assert not list(tmp_path.glob("other.key.*"))


def test_nothing_is_cosigned_while_an_import_writes_the_journal(desk: Desk) -> None:
    """Else the checkpoint that the import writes meanwhile could be lost."""
    with StationFolder.read(desk.station).alone():
        waiting = station.spawned("journal", "cosign", desk.station, "--key", desk.key)
        assert waiting.stderr
        assert b"waiting for another" in waiting.stderr.readline()
        write(desk.journal, files(entries(310)))
    ran = station.ran(waiting)
    assert ran.exit == 0
    assert (desk.checkpoint.size, len(desk.checkpoint.signatures)) == (310, 2)
