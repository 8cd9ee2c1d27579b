"""The journal of a station, as it is written: an entry at a time (docs/spec/journal-v1.md, section 5)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bundler.content.files import disk, sweep, sync_folder
from bundler.errors import Code, ConflictError, FormatError, TrustError
from bundler.ledger.journal.folder import Folder
from bundler.ledger.journal.notes import Sign, check_origin, check_signed, proof_text, signed
from bundler.ledger.journal.tree import MAX_ENTRY, WIDTH, Edge, Name, Tiles, changed, edge_names, from_entry
from bundler.trust.checkpoint import Checkpoint
from bundler.trust.keys import PublicKey
from bundler.trust.merkle import leaf_hash


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry stands now, and the text of the ``.tlog-proof`` that says so to others."""

    index: int
    proof: str


class Journal:
    """A journal that is open for appending. Its caller holds the station's lock from before it is opened until the last append.

    An append reads nothing and writes the entries' bundle, a tile or two, and the checkpoint, whatever the size.
    """

    def __init__(self, folder: Folder, *, origin: str, key: PublicKey, sign: Sign) -> None:
        self._folder, self._origin, self._key, self._sign = folder, origin, key, sign
        self._remarks: tuple[str, ...] = ()
        self._checkpoint = Checkpoint.of(origin, 0, Edge().root)
        self._edge, self._entries, self._unsettled = Edge(), b"", True

    @classmethod
    def create(cls, folder: Path, *, origin: str, key: PublicKey, sign: Sign) -> "Journal":
        """A new one without entries, in ``folder``, which must be absent or empty; its checkpoint is of size 0.

        Raises UsageError (``usage.key``) for a key that is not ECDSA P-256 or an origin that is not one, ConflictError
        (``output.exists``), TransportError (``disk.io``, ``disk.full``).
        """
        checkpoint = signed(Checkpoint.of(origin, 0, Edge().root), key=key, sign=sign)
        with disk(f"the journal {folder} cannot be made"):
            folder.mkdir(mode=0o700, exist_ok=True)
            sweep(folder)
            if any(folder.iterdir()):
                raise ConflictError(f"{folder} is not empty", code=Code.OUTPUT_EXISTS, next="name a folder that is not there")
            sync_folder(folder.parent)
        Folder(folder).put_checkpoint(checkpoint)
        return cls.open(folder, origin=origin, key=key, sign=sign)

    @classmethod
    def open(cls, folder: Path, *, origin: str, key: PublicKey, sign: Sign, since: tuple[int, bytes] | None = None) -> "Journal":
        """The journal in ``folder``, whose checkpoint must be signed by ``key`` and follow from the tiles and the last entries.

        ``since`` is a size and a root that it had once, as somebody remembers them: it must go on from there.
        What lies beyond the checkpoint, as a run leaves it that was killed, is moved to ``torn/``, and :attr:`remarks` says so.

        Raises IntegrityError (``journal.changed``), TrustError (``checkpoint.origin``, ``checkpoint.signature``,
        ``checkpoint.no-log-signature``), TransportError (``disk.io``, ``disk.full``).
        """
        journal = cls(Folder(folder), origin=origin, key=key, sign=sign)
        journal._load(since)
        return journal

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self._checkpoint.size

    @property
    def root(self) -> bytes:
        """The root of the tree (RFC 6962, section 2.1), 32 bytes."""
        return self._checkpoint.root

    @property
    def checkpoint(self) -> str:
        """The signed note, with the lines of those who have cosigned it."""
        return str(self._checkpoint)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be told to a person about the state in which the journal was found."""
        return self._remarks

    def append(self, entry: bytes) -> Appended:
        """``entry``, at most 65,535 bytes, as the next one; when this returns, it survives a power cut.

        After an error it is not known whether the entry stands in the journal; the next append finds out, and goes on from there.

        Raises FormatError (``limit.document``), TransportError (``disk.io``, ``disk.full``), and as :meth:`open` after an error.
        """
        if len(entry) > MAX_ENTRY:
            raise FormatError(
                "an entry of a journal is too long", code=Code.LIMIT_DOCUMENT, found=f"{len(entry)} bytes", wanted=f"at most {MAX_ENTRY}"
            )
        if self._unsettled:
            self._load()
        index, before = self._edge.size, self._edge
        edge, tiles = before.appended(leaf_hash(entry))
        entries = self._entries + from_entry(entry)
        checkpoint = signed(Checkpoint.of(self._origin, edge.size, edge.root), key=self._key, sign=self._sign)
        self._unsettled = True
        self._folder.put(tiles[0].name.entries, entries)
        for tile in tiles:
            self._folder.put(tile.name.tile, b"".join(tile.hashes))
        self._folder.put_checkpoint(checkpoint)
        self._edge, self._checkpoint, self._unsettled = edge, checkpoint, False
        self._entries = entries if tiles[0].name.width < WIDTH else b""
        for tile in tiles:
            if tile.name.width == WIDTH:
                self._folder.drop_partial(tile.name)
        return Appended(index, proof_text(checkpoint, index=index, path=reversed(before.subtrees)))

    def proof(self, index: int) -> str:
        """The text of a ``.tlog-proof`` for the entry that stands at ``index`` already, below :attr:`size`. Raises as :meth:`open`."""
        path = Tiles(self.size, self._folder.tile).path(index)
        try:
            self._checkpoint.check_holds(leaf_hash(self.entry(index)), index=index, path=path)
        except TrustError as error:
            raise changed(f"the tiles of the journal do not prove its entry {index}", found=error.found, wanted=error.wanted) from error
        return proof_text(self._checkpoint, index=index, path=path)

    def entry(self, index: int) -> bytes:
        """The entry at ``index``, below :attr:`size`. Raises as :meth:`open`."""
        number, at = divmod(index, WIDTH)
        return self._folder.entries(Name(0, number, min(WIDTH, self.size - number * WIDTH)))[at]

    def _load(self, since: tuple[int, bytes] | None = None) -> None:
        checkpoint = self._folder.checkpoint()
        check_origin(checkpoint, self._origin)
        check_signed(checkpoint, key=self._key)
        names = list(edge_names(checkpoint.size))
        edge = Edge(tuple(self._folder.tile(name) if name else () for name in names))
        if edge.root != checkpoint.root:
            raise changed("the tiles of the journal do not lead to its checkpoint", found=edge.root.hex(), wanted=checkpoint.root.hex())
        entries = self._folder.entries(names[0]) if names and names[0] else []
        if [leaf_hash(entry) for entry in entries] != list(edge.levels[0] if edge.levels else ()):
            raise changed("the last entries of the journal are not those of its tile")
        if since is not None:
            check_since(checkpoint, since, Tiles(checkpoint.size, self._folder.tile).root)
        if remark := self._folder.tidied(checkpoint.size):
            self._remarks += (remark,)
        self._edge, self._checkpoint, self._unsettled = edge, checkpoint, False
        self._entries = b"".join(map(from_entry, entries))


def check_since(checkpoint: Checkpoint, since: tuple[int, bytes], root: Callable[[int], bytes]) -> None:
    """The tree of the checkpoint goes on from one of that size and root; ``root`` gives the one that it had at a size.

    Raises IntegrityError (``journal.changed``).
    """
    size, wanted = since
    if checkpoint.size < size:
        raise changed("the journal has fewer entries than it had", found=checkpoint.size, wanted=f"at least {size}")
    if (found := root(size)) != wanted:
        raise changed(f"the first {size} entries of the journal are not those that it had", found=found.hex(), wanted=wanted.hex())
