"""A whole journal proved, since an earlier checkpoint, and cosigned (docs/spec/journal-v1.md, sections 6 and 8)."""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bundler.content.files import at_once, disk, read_small, write_whole
from bundler.errors import Code, IntegrityError, TrustError, UsageError, naming, translated
from bundler.ledger.folder import receipt_name
from bundler.ledger.journal.entry import Entry
from bundler.ledger.journal.folder import Folder
from bundler.ledger.journal.journal import check_since
from bundler.ledger.journal.notes import Sign, check_origin, check_signed, cosigned
from bundler.ledger.journal.tree import WIDTH, Edge, Tile, Tiles, changed, edge_names
from bundler.oci.digest import Digest
from bundler.trust.checkpoint import MAX_CHECKPOINT, Checkpoint
from bundler.trust.keys import PublicKey
from bundler.trust.merkle import leaf_hash

Visit = Callable[[int, bytes], None]
"""Told of each entry and its index, in order."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a journal was found to be."""

    checkpoint: Checkpoint
    beyond: tuple[Path, ...]
    """The files of a torn tail, which do not count."""


def verify(
    folder: Path, *, key: PublicKey, origin: str | None = None, since: Checkpoint | None = None, visit: Visit | None = None
) -> Verified:
    """Every tile of the journal follows from its entries, the checkpoint from the tiles, and ``key`` has signed it.

    With ``origin`` it must be that journal, with ``since`` one that goes on from there, by the same key. What is read once is a
    bundle and its tile: memory does not grow with the journal. ``visit`` sees the entries when all is proved.

    Raises TrustError (``checkpoint.…``), IntegrityError (``journal.changed``), TransportError (``disk.io``).
    """
    journal = Folder(folder, grows=True)
    checkpoint = journal.checkpoint()
    check_signed(checkpoint, key=key)
    check_origin(checkpoint, origin or checkpoint.origin)
    if since is not None:
        check_origin(since, checkpoint.origin)
        check_signed(since, key=key)
    edge = Edge()
    for _, entry in journal.entries_from(0, size=checkpoint.size):
        edge, tiles = edge.appended(leaf_hash(entry))
        for tile in tiles:
            if tile.name.width == WIDTH:
                _check_tile(journal, tile)
    for name in edge_names(checkpoint.size):
        if name is not None:
            _check_tile(journal, Tile(name, edge.levels[name.level]))
    if edge.root != checkpoint.root:
        raise changed("the entries of the journal do not lead to its checkpoint", found=edge.root.hex(), wanted=checkpoint.root.hex())
    if since is not None:
        check_since(checkpoint, (since.size, since.root), Tiles(checkpoint.size, journal.tile).root)
    if visit is not None:
        for index, entry in journal.entries_from(0, size=checkpoint.size):
            visit(index, entry)
    return Verified(checkpoint, tuple(journal.beyond(checkpoint.size)))


def _check_tile(journal: Folder, tile: Tile) -> None:
    if journal.tile(tile.name) != tile.hashes:
        raise changed(f"the tile {tile.name.tile} does not follow from the entries")


class Receipts:
    """The receipts that lie beside a journal, compared with its entries as :func:`verify` visits these."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.found = 0
        self.missing = 0

    def __call__(self, index: int, raw: bytes) -> None:
        """Raises IntegrityError (``content.digest``) for one with other bytes, FormatError for an entry that is not a station's."""
        with naming(f"entry {index} of the journal"):
            entry = Entry.parse(raw)
        path = self._folder / receipt_name(index)
        with disk(f"{path} cannot be read"):
            try:
                with open(path, "rb", opener=at_once) as file:
                    is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)  # a device has no end
                    digest = Digest("sha256", hashlib.file_digest(file, "sha256").hexdigest()) if is_file else None
            except FileNotFoundError:
                self.missing += 1
                return
        if digest != entry.receipt:
            found = digest or "not a regular file"
            raise IntegrityError(f"{path} is not the receipt that the journal has", found=found, wanted=entry.receipt)
        self.found += 1


def read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint in a file of its own. Raises UsageError (``usage.input``), TrustError (``checkpoint.malformed``), FormatError."""
    return checkpoint_of(read_small(path, limit=MAX_CHECKPOINT, what="the checkpoint"), path)


def checkpoint_of(raw: bytes, path: Path) -> Checkpoint:
    """The checkpoint that the file at ``path`` is. Raises TrustError (``checkpoint.malformed``), FormatError (``format.base64``)."""
    with translated(UnicodeDecodeError, to=TrustError, what=f"{path} is not a checkpoint", code=Code.CHECKPOINT_MALFORMED):
        return Checkpoint.parse(raw.decode())


def remembered(path: Path) -> Checkpoint | None:
    """What a cosigner signed last; None where there is nothing. Raises as :func:`read_checkpoint`."""
    try:
        return read_checkpoint(path)
    except UsageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def origin_of(folder: Path) -> str:
    """What a journal says that it is, before anybody vouches for that. Raises IntegrityError (``journal.changed``), TransportError."""
    return Folder(folder).checkpoint().origin


def memory_of(key: Path, origin: str) -> Path:
    """Where a cosigner keeps the checkpoint that it signed last of the journal ``origin``: beside its private key."""
    return key.with_name(f"{key.name}.{hashlib.sha256(origin.encode()).hexdigest()[:16]}.checkpoint")


def cosign(checkpoint: Checkpoint, folder: Path, *, memory: Path, name: str, key: PublicKey, sign: Sign, at: datetime) -> Checkpoint:
    """Add a line to ``checkpoint``, which was just verified and is that of ``folder``, after it is remembered that it was signed.

    Raises UsageError (``usage.key``), TransportError (``disk.io``, ``disk.full``).
    """
    signed = cosigned(checkpoint, name=name, key=key, sign=sign, at=at)
    write_whole(memory, str(signed).encode(), replace=True)
    Folder(folder).put_checkpoint(signed)
    return signed
