"""Journals for tests: many entries at once, the keys that sign, and entries like a station's."""

from collections.abc import Iterable
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
from bundler.trust.merkle import leaf_hash
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
    edge = Edge()
    found: dict[str, bytes] = {}
    for each in said:
        edge, tiles = edge.appended(leaf_hash(each))
        found |= {tile.name.tile: b"".join(tile.hashes) for tile in tiles if tile.name.width == WIDTH}
    names = [name for name in edge_names(edge.size) if name]
    found |= {name.tile: b"".join(edge.levels[name.level]) for name in names}
    for start in range(0, edge.size, WIDTH):
        some = said[start : start + WIDTH]
        found[Name(0, start // WIDTH, len(some)).entries] = b"".join(map(from_entry, some))
    note = signed(Checkpoint.of(origin, edge.size, edge.root), key=by.public, sign=by.sign)
    return found | {"checkpoint": str(note).encode()}


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
