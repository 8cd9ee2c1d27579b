"""Journals for tests: many entries at once, the keys that sign, and entries like a station's."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from bundler.ledger.journal.entry import Entry, Kind
from bundler.ledger.journal.journal import Journal
from bundler.ledger.journal.notes import signed
from bundler.ledger.journal.tree import WIDTH, Edge, Name, edge_names, from_entry
from bundler.oci.digest import Digest
from bundler.stations.privatekeys import KeySigner, PrivateKey
from bundler.trust.checkpoint import Checkpoint
from bundler.trust.keys import PublicKey
from bundler.trust.merkle import leaf_hash, node_hash
from tests.support.world import pem

ORIGIN = "oci-bundler.plant-7"
BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)


def signer(key: PrivateKey) -> KeySigner:
    return KeySigner(key, PublicKey.parse(pem(key), role="image"))


STATION = signer(ec.derive_private_key(7, ec.SECP256R1()))
OTHER = signer(ec.derive_private_key(8, ec.SECP256R1()))
WITNESS = signer(ed25519.Ed25519PrivateKey.from_private_bytes(b"\7" * 32))


def entry(number: int, *, kind: Kind = Kind.IMPORT) -> bytes:
    return Entry(kind, Digest.of(b"receipt %d" % number), BEGAN + timedelta(minutes=number)).to_bytes()


def entries(count: int) -> list[bytes]:
    return list(map(entry, range(count)))


def create(folder: Path, *, by: KeySigner = STATION, origin: str = ORIGIN) -> Journal:
    return Journal.create(folder, origin=origin, key=by.public, sign=by.sign)


def opened(folder: Path, *, by: KeySigner = STATION, origin: str = ORIGIN) -> Journal:
    return Journal.open(folder, origin=origin, key=by.public, sign=by.sign)


def checkpoint(said: Iterable[bytes], *, by: KeySigner = STATION, origin: str = ORIGIN) -> Checkpoint:
    edge = Edge()
    for each in said:
        edge, _ = edge.appended(leaf_hash(each))
    return signed(Checkpoint.of(origin, edge.size, edge.root), key=by.public, sign=by.sign)


def files(said: list[bytes], *, by: KeySigner = STATION, origin: str = ORIGIN) -> dict[str, bytes]:
    """The files of a journal with these entries, by their names in its folder; of partial ones the last alone."""
    found: dict[str, bytes] = {}
    levels = [[leaf_hash(each) for each in said]]
    while len(levels[-1]) >= WIDTH:
        tiles = [levels[-1][start : start + WIDTH] for start in range(0, len(levels[-1]) // WIDTH * WIDTH, WIDTH)]
        found |= {Name(len(levels) - 1, number, WIDTH).tile: b"".join(tile) for number, tile in enumerate(tiles)}
        levels.append([subtree_of(tile) for tile in tiles])
    edge = Edge(tuple(tuple(hashes[len(hashes) // WIDTH * WIDTH :]) for hashes in levels))
    names = [name for name in edge_names(edge.size) if name]
    found |= {name.tile: b"".join(edge.levels[name.level]) for name in names}
    for start in range(0, edge.size, WIDTH):
        some = said[start : start + WIDTH]
        found[Name(0, start // WIDTH, len(some)).entries] = b"".join(map(from_entry, some))
    note = signed(Checkpoint.of(origin, edge.size, edge.root), key=by.public, sign=by.sign)
    return found | {"checkpoint": str(note).encode()}


def subtree_of(hashes: list[bytes]) -> bytes:
    """The root of a complete tree with these hashes of leaves."""
    while len(hashes) > 1:
        hashes = list(map(node_hash, hashes[::2], hashes[1::2]))
    return hashes[0]


def write(folder: Path, found: dict[str, bytes]) -> Path:
    for name, data in found.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    """What lies in it, but for what was set aside."""
    names = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file())
    return {name: (folder / name).read_bytes() for name in names if not name.startswith("torn/")}


def _swapped(said: list[bytes], one: int, other: int) -> list[bytes]:
    changed = list(said)
    changed[one], changed[other] = said[other], said[one]
    return changed


KEPT = 300
"""The size of the checkpoint that somebody has kept elsewhere, of the journal of :func:`entries`."""
BY_THE_KEY: dict[str, list[bytes]] = {
    "rewritten": [*entries(17), entry(17, kind=Kind.REFUSAL), *entries(310)[18:]],
    "cut": entries(KEPT - 1),
    "emptied": [],
    "reordered": _swapped(entries(310), 3, 260),
    "forked": [*entries(KEPT - 1), *(entry(number, kind=Kind.TRUST) for number in range(KEPT - 1, 310))],
}
"""Entries of journals by which who has the station's key would replace the true one. All about them is in order."""

Change = Callable[[dict[str, bytes]], dict[str, bytes]]


def _with(name: str, edit: Callable[[bytes], bytes]) -> Change:
    return lambda found: found | {name: edit(found[name])}


def _without(name: str) -> Change:
    return lambda found: {each: data for each, data in found.items() if each != name}


def _exchanged(one: str, other: str) -> Change:
    return lambda found: found | {one: found[other], other: found[one]}


BY_OTHERS: dict[str, Change] = {
    "an entry": _with("tile/entries/000", lambda data: data.replace(b"import", b"refuse", 1)),
    "the last entry": _with("tile/entries/001.p/44", lambda data: data[:-3] + b"1" + data[-2:]),
    "two entries in each other's place": _with("tile/entries/000", lambda data: data[133:266] + data[:133] + data[266:]),
    "an entry cut off": _with("tile/entries/001.p/44", lambda data: data[:-133]),
    "an entry more": _with("tile/entries/001.p/44", lambda data: data + data[-133:]),
    "a bundle that is not there": _without("tile/entries/000"),
    "a hash": _with("tile/0/000", lambda data: data[:64] + bytes(32) + data[96:]),
    "a hash in the last tile": _with("tile/0/001.p/44", lambda data: bytes(32) + data[32:]),
    "a hash of level 1": _with("tile/1/000.p/1", lambda data: bytes(32)),
    "a tile that is cut": _with("tile/0/000", lambda data: data[:-32]),
    "a tile that is not there": _without("tile/0/000"),
    "no checkpoint": _without("checkpoint"),
    "a checkpoint of other entries": lambda found: found | {"checkpoint": str(checkpoint(BY_THE_KEY["reordered"][:KEPT])).encode()},
}
"""What somebody without the key could change in the files of a journal of KEPT entries."""
