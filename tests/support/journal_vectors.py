"""The journal vectors: journals and proofs that every reader of docs/spec/journal-v1.md must take, and others that it must refuse.

Each refused one is a good one with one fault. All follow from this module and the keys of tests/support/journals.py.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundler.errors import Code
from bundler.ledger.journal.entry import Kind
from bundler.ledger.journal.notes import cosigned, proof_text
from bundler.trust.checkpoint import Checkpoint
from tests.support.journals import BEGAN, OTHER, STATION, WITNESS, checkpoint, entries, entry, files, write
from tests.support.world import tree_path


@dataclass(frozen=True)
class Vector:
    """A journal, an earlier checkpoint of it, if there is one, and how `journal verify` must end on it."""

    name: str
    section: str
    description: str
    files: dict[str, bytes]
    code: Code | None = None
    exit: int = 0
    since: Checkpoint | None = None

    @property
    def told(self) -> dict[str, Any]:
        return {"description": self.description, "section": self.section, "exit": self.exit, "code": self.code and str(self.code)}


def make(into: Path) -> int:
    """All of them anew, as files; gives how many there are."""
    shutil.rmtree(into, ignore_errors=True)
    vectors = [*_taken(), *_changed(), *_anew(), *_signed()]
    for vector in vectors:
        folder = into / ("invalid" if vector.code else "valid") / vector.name
        write(folder, vector.files)
        write(folder.parent, {f"{vector.name}.json": _json(vector.told)})
        if vector.since:
            write(folder.parent, {f"{vector.name}.since": str(vector.since).encode()})
    write(into, {"station.pub": STATION.public.pem, "cosigner.pub": WITNESS.public.pem} | _proofs())
    return len(vectors)


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told, indent=2).encode() + b"\n"


def _taken() -> Iterator[Vector]:
    yield Vector("0", "4", "no entries", files([]))
    yield Vector("1", "5", "one entry", files(entries(1)))
    yield Vector("7", "5", "seven entries", files(entries(7)))
    yield Vector("257", "1", "a full tile, one that begins, and the level above", files(entries(257)))
    yield Vector("grown", "8", "it has grown from three entries to seven", files(entries(7)), since=checkpoint(entries(3)))
    yield Vector("torn", "5", "a run was killed that appended an eighth", files(entries(7)) | _eighth())
    note = cosigned(checkpoint(entries(7)), name="auditor.example", key=WITNESS.public, sign=WITNESS.sign, at=BEGAN)
    yield Vector("cosigned", "6", "a second party vouches for it", files(entries(7)) | {"checkpoint": str(note).encode()})


def _eighth() -> dict[str, bytes]:
    return {name: data for name, data in files(entries(8)).items() if name.endswith("/8")}


def _changed() -> Iterator[Vector]:
    good, bundle, tile = files(entries(7)), "tile/entries/000.p/7", "tile/0/000.p/7"
    size = len(good[bundle]) // 7
    swapped = good[bundle][size : 2 * size] + good[bundle][:size] + good[bundle][2 * size :]
    changes: dict[str, tuple[str, dict[str, bytes]]] = {
        "entry": ("one entry says something else", {bundle: good[bundle].replace(b"import", b"refuse", 1)}),
        "entries-swapped": ("two entries are in each other's place", {bundle: swapped}),
        "entries-cut": ("the last entry is not there", {bundle: good[bundle][:-size]}),
        "entries-more": ("a bundle has an entry more", {bundle: good[bundle] + good[bundle][-size:]}),
        "tile": ("a hash is another", {tile: bytes(32) + good[tile][32:]}),
        "tile-cut": ("a tile is a hash short", {tile: good[tile][:-32]}),
        "checkpoint-empty": ("the checkpoint is empty", {"checkpoint": b""}),
    }
    for name, (description, change) in changes.items():
        yield Vector(name, "8", description, good | change, Code.JOURNAL_CHANGED, 4)
    without = {name: data for name, data in good.items() if name != tile}
    yield Vector("tile-missing", "8", "a tile is not there", without, Code.JOURNAL_CHANGED, 4)


def _anew() -> Iterator[Vector]:
    """In order by themselves, as who has the station's key could write them."""
    said = entries(7)
    anew = {
        "rewritten": ("an entry was replaced", [*said[:2], entry(2, kind=Kind.REFUSAL), *said[3:]]),
        "cut": ("the last entry was taken away", said[:6]),
        "reordered": ("two entries have changed places", [said[1], said[0], *said[2:]]),
        "forked": (
            "it goes on in another way after four entries",
            [*said[:4], *(entry(number, kind=Kind.TRUST) for number in range(4, 9))],
        ),
    }
    for name, (description, other) in anew.items():
        yield Vector(name, "8", f"{description}, and all signed anew", files(other), Code.JOURNAL_CHANGED, 4, checkpoint(said))


def _signed() -> Iterator[Vector]:
    yield Vector("other-key", "4", "another key has signed it", files(entries(7), by=OTHER), Code.CHECKPOINT_NO_LOG_SIGNATURE, 5)
    found = files(entries(7))
    smaller = found["checkpoint"].replace(b"\n7\n", b"\n6\n")
    yield Vector("edited", "4", "the checkpoint says six entries", found | {"checkpoint": smaller}, Code.CHECKPOINT_SIGNATURE, 5)
    since = checkpoint(entries(3), origin="oci-bundler.plant-8")
    yield Vector("other-origin", "8", "the earlier checkpoint is another journal's", found, Code.CHECKPOINT_ORIGIN, 5, since)


def _proofs() -> dict[str, bytes]:
    """Proofs for each entry of seven, and one that is for another entry."""
    said, note = entries(7), checkpoint(entries(7))
    found = {}
    for index, each in enumerate(said):
        found[f"proof/{index}.tlog-proof"] = proof_text(note, index=index, path=tree_path(said, index)).encode()
        found[f"proof/{index}.entry"] = each
    return found | {"proof/wrong.tlog-proof": found["proof/3.tlog-proof"], "proof/wrong.entry": said[4]}
