"""A journal whose append is killed, or fails, at every write, fsync and rename: what was reported is there, and it goes on.

Each append is a process of its own. A torn tail is set aside by the next one, and killing that at any point loses nothing of it either.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.errors import Code, IntegrityError
from bundler.ledger.journal.checking import verify
from bundler.ledger.journal.notes import verify_proof
from tests.support.appending import Appender
from tests.support.faults import Fault
from tests.support.journals import ORIGIN, STATION, checkpoint, entries, files, opened, write

pytestmark = pytest.mark.timeout(300)
KINDS = ("write", "sync", "rename")
SIZES = [0, 3, 255, 256]  # from nothing; into a tile; one that becomes full; a new one


@pytest.fixture(scope="module")
def appender() -> Iterator[Appender]:
    with Appender.opened() as running:
        yield running


def check(folder: Path, before: list[bytes], reported: dict[int, bytes]) -> list[bytes]:
    """Nothing that was there or that was reported is lost, and the journal is proved since before; gives its entries."""
    said: list[bytes] = []
    verify(folder, key=STATION.public, origin=ORIGIN, since=checkpoint(before), visit=lambda _, entry: said.append(entry))
    assert said[: len(before)] == before
    assert {index: said[index] for index in reported} == reported
    return said


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_an_append_killed_anywhere_loses_nothing_and_the_next_goes_on(appender: Appender, tmp_path: Path, kind: str, size: int) -> None:
    before, fired, at = entries(size), True, 0
    while fired:
        at += 1
        folder = write(tmp_path / str(at), files(before))
        ended = appender.append(folder, [b"the one", b"another"], Fault(kind, "kill", at))
        fired = ended.fired
        said = check(folder, before, dict(zip(ended.reported, [b"the one", b"another"], strict=False)))
        assert len(said) - size in (len(ended.reported), len(ended.reported) + 1), "at most the one that was being appended"
        journal = opened(folder)
        appended = journal.append(b"the next")
        assert appended.index == len(said)
        assert verify_proof(appended.proof, b"the next", key=STATION.public, origin=ORIGIN).index == len(said)
        assert check(folder, before, {}) == [*said, b"the next"]
        assert not list(folder.rglob(".oci-bundler-*"))
    assert at >= 4


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["error", "full"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_append_that_fails_anywhere_loses_nothing_and_the_same_journal_goes_on(
    appender: Appender, tmp_path: Path, kind: str, how: str, size: int
) -> None:
    before, fired, at = entries(size), True, 0
    while fired:
        at += 1
        folder = write(tmp_path / str(at), files(before))
        ended = appender.append(folder, [b"the one", b"another", b"a third"], Fault(kind, how, at))
        fired = ended.fired
        assert set(ended.said) <= {*ended.reported, "disk.io", "disk.full"}, ended
        assert how == "full" or len(ended.reported) >= 2, ended
        given = [entry for entry, each in zip([b"the one", b"another", b"a third"], ended.said, strict=False) if isinstance(each, int)]
        said = check(folder, before, dict(zip(ended.reported, given, strict=True)))
        assert opened(folder).append(b"the next").index == len(said)
        assert check(folder, before, {}) == [*said, b"the next"]


@pytest.mark.parametrize("kind", KINDS)
def test_setting_a_torn_tail_aside_killed_anywhere_loses_nothing_of_it(appender: Appender, tmp_path: Path, kind: str) -> None:
    torn = {"tile/entries/000.p/4": b"torn entries", "tile/0/000.p/4": b"torn hashes", "tile/0/001": b"more"}
    fired, at = True, 0
    while fired:
        at += 1
        folder = write(tmp_path / str(at), files(entries(3)) | torn)
        ended = appender.append(folder, [b"the one"], Fault(kind, "kill", at))
        fired = ended.fired
        check(folder, entries(3), dict.fromkeys(ended.reported, b"the one"))
        opened(folder).append(b"the next")
        check(folder, entries(3), dict.fromkeys(ended.reported, b"the one"))
        kept = {path.read_bytes() for path in (folder / "torn").rglob("*") if path.is_file()}
        assert set(torn.values()) <= kept
    assert at >= 4


@pytest.mark.parametrize("at", [255, 511])
def test_a_journal_whose_tile_became_full_while_it_was_read_is_proved_as_it_was(tmp_path: Path, at: int) -> None:
    """The partial files are gone then, and the full ones have what they had."""
    folder = write(tmp_path, files(entries(at)))
    before = (folder / "checkpoint").read_bytes()
    opened(folder).append(entries(at + 1)[-1])
    (folder / "checkpoint").write_bytes(before)  # what a reader had read already
    assert check(folder, entries(at), {}) == entries(at)
    full = folder / f"tile/0/{at // 256:03}"
    full.write_bytes(bytes(32) + full.read_bytes()[32:])
    with pytest.raises(IntegrityError) as refused:
        verify(folder, key=STATION.public)
    assert refused.value.code is Code.JOURNAL_CHANGED
