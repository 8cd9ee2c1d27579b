"""A station's journal, read by Go's own packages for logs (sumdb/note, sumdb/tlog), and what they and we find out about others."""

from pathlib import Path

import pytest

from bundler.ledger.journal.journal import Journal
from tests.interop import peers as real
from tests.support import journals, station
from tests.support.journals import BY_OTHERS, BY_THE_KEY, KEPT, ORIGIN, OTHER, STATION, checkpoint, entries, files, write
from tests.support.signing import Key
from tests.support.world import tree_hash


class Auditor:
    """A folder with a journal, the station's key and a checkpoint that was kept."""

    def __init__(self, peers: real.Peers, folder: Path) -> None:
        self._peers = peers
        self.journal, self.since = folder / "journal", folder / "since"
        self.key = folder / "plant-7.pub"
        self.key.write_bytes(STATION.public.pem)

    def go(self, *flags: object, what: Path | None = None) -> real.Ran:
        words = [f"-{flag}" if number % 2 == 0 else str(flag) for number, flag in enumerate(flags)]
        return self._peers.run("journal", "-origin", ORIGIN, "-key", self.key, *words, what or self.journal, check=False)

    def ours(self, *flags: object) -> station.Ran:
        return station.run("journal", "verify", self.journal, "--key", self.key, "--json", *flags)

    def keep(self, said: list[bytes]) -> None:
        self.since.write_text(str(checkpoint(said)))


@pytest.fixture
def auditor(peers: real.Peers, tmp_path: Path) -> Auditor:
    return Auditor(peers, tmp_path)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 70_000])
def test_go_reads_every_tile_and_entry_and_proves_that_it_only_grew(auditor: Auditor, size: int) -> None:
    said = entries(size)
    write(auditor.journal, files(said))
    for earlier in {0, 1, size // 2, size} & set(range(size + 1)) if size < 70_000 else (35_000,):
        auditor.keep(said[:earlier])
        ran = auditor.go("since", auditor.since)
        assert (ran.returncode, ran.stdout) == (0, f"{size} {tree_hash(said).hex()} 1\n"), ran.stderr


def test_go_reads_what_was_appended_entry_by_entry_and_each_proof(auditor: Auditor, tmp_path: Path) -> None:
    said = entries(260)
    write(auditor.journal, files(said[:253]))
    journal = journals.opened(auditor.journal)
    for index in range(253, 260):
        (tmp_path / "entry").write_bytes(said[index])
        (tmp_path / "proof").write_text(journal.append(said[index]).proof)
        assert auditor.go("proof", tmp_path / "proof", what=tmp_path / "entry").returncode == 0
        (tmp_path / "entry").write_bytes(said[index - 1])
        assert auditor.go("proof", tmp_path / "proof", what=tmp_path / "entry").returncode == 1
    auditor.keep(said[:254])
    assert auditor.go("since", auditor.since).returncode == 0
    _every_proof(auditor, journal, tmp_path, said)


def _every_proof(auditor: Auditor, journal: Journal, folder: Path, said: list[bytes]) -> None:
    for index in (0, 1, 100, 255, 256, 259):
        (folder / "entry").write_bytes(said[index])
        (folder / "proof").write_text(journal.proof(index))
        assert auditor.go("proof", folder / "proof", what=folder / "entry").returncode == 0


@pytest.mark.parametrize("said", BY_THE_KEY.values(), ids=BY_THE_KEY)
def test_a_journal_written_anew_by_who_has_the_key_is_refused_by_an_earlier_checkpoint(auditor: Auditor, said: list[bytes]) -> None:
    write(auditor.journal, files(said))
    assert auditor.go().returncode == 0
    assert auditor.ours().exit == 0
    auditor.keep(entries(KEPT))
    ran = auditor.go("since", auditor.since)
    assert ran.returncode == 1, ran.stdout
    assert auditor.ours("--since", auditor.since).code == "journal.changed"


@pytest.mark.parametrize("change", BY_OTHERS.values(), ids=BY_OTHERS)
def test_what_others_changed_is_refused_by_both(auditor: Auditor, change: journals.Change) -> None:
    write(auditor.journal, change(files(entries(KEPT))))
    assert auditor.go().returncode == 1
    assert auditor.ours().code == "journal.changed"


def test_another_key_is_refused_by_both(auditor: Auditor) -> None:
    write(auditor.journal, files(entries(3), by=OTHER))
    assert auditor.go().returncode == 1
    assert auditor.ours().code == "checkpoint.no-log-signature"


def test_a_cosignature_is_one_for_go(auditor: Auditor, tmp_path: Path) -> None:
    write(auditor.journal, files(entries(KEPT)))
    key = station.write_key(tmp_path / "auditor.key", Key.of("ed25519"))
    words = ("--key", key, "--station-key", auditor.key, "--name", "auditor.example/laptop")
    assert station.run("journal", "cosign", auditor.journal, *words).exit == 0
    ran = auditor.go("cosigner", f"auditor.example/laptop={key.with_suffix('.pub')}")
    assert (ran.returncode, ran.stdout.split()[2]) == (0, "2"), ran.stderr
    assert auditor.go("cosigner", f"another.example={key.with_suffix('.pub')}").returncode == 1
    assert auditor.ours("--cosigner", key.with_suffix(".pub")).exit == 0
