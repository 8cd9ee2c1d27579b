"""The files of a journal: read whole, written whole, and what lies beyond the checkpoint (journal-v1.md, sections 2 and 5)."""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum, auto
from pathlib import Path

from bundler.content.files import TEMPORARY, disk, read_small, sweep, sync_folder, write_whole
from bundler.errors import Code, IntegrityError, TransportError, TrustError, UsageError
from bundler.ledger.journal.tree import HASH, MAX_ENTRY, WIDTH, Name, changed, elements, to_entries, to_hashes
from bundler.trust.checkpoint import MAX_CHECKPOINT, Checkpoint

TORN = "torn"
"""Where what lies beyond the checkpoint is put."""
_CHECKPOINT = "checkpoint"
_MAX_BUNDLE = WIDTH * (2 + MAX_ENTRY)  # bytes
_LEVEL = re.compile(r"entries|[0-9]{1,2}", re.ASCII)
_PLACE = re.compile(r"(x?)([0-9]{3})(\.p)?", re.ASCII)
_WIDTH = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of a journal. Nobody else writes to it meanwhile: its caller holds the lock of the station, unless it ``grows``."""

    path: Path
    grows: bool = False
    """Whether somebody may append meanwhile, who removes partial files once the full one is there: what they had is read from that."""

    def checkpoint(self) -> Checkpoint:
        """The signed note, whoever signed it. Raises IntegrityError (``journal.changed``), TransportError (``disk.io``)."""
        text = self._read(_CHECKPOINT, MAX_CHECKPOINT)
        try:
            return Checkpoint.parse(text.decode())
        except (UnicodeDecodeError, TrustError) as error:
            raise changed(f"{self.path / _CHECKPOINT} is not a checkpoint", found=str(error)) from error

    def tile(self, name: Name) -> tuple[bytes, ...]:
        """The hashes of a tile. Raises IntegrityError (``journal.changed``), TransportError (``disk.io``)."""
        data, there = self._either(name, lambda each: each.tile, WIDTH * HASH)
        return to_hashes(data, there)[: name.width]

    def entries(self, name: Name) -> list[bytes]:
        """The entries beside a tile of level 0. Raises as :meth:`tile`."""
        data, there = self._either(name, lambda each: each.entries, _MAX_BUNDLE)
        return to_entries(data, there)[: name.width]

    def entries_from(self, start: int, *, size: int) -> Iterator[tuple[int, bytes]]:
        """Those from ``start`` on of a tree of ``size``, each with its index. Raises as :meth:`entries`."""
        for first in range(start - start % WIDTH, size, WIDTH):
            found = enumerate(self.entries(Name(0, first // WIDTH, min(WIDTH, size - first))), first)
            yield from ((index, entry) for index, entry in found if index >= start)

    def _either(self, name: Name, file: Callable[[Name], str], limit: int) -> tuple[bytes, Name]:
        """The file of that name, or the full one where it is gone, and whose it is."""
        full = replace(name, width=WIDTH)
        try:
            return self._read(file(name), limit), name
        except IntegrityError:
            if not self.grows or name == full or not (self.path / file(full)).exists():
                raise
            return self._read(file(full), limit), full

    def _read(self, name: str, limit: int) -> bytes:
        path = self.path / name
        try:
            return read_small(path, limit=limit, what="the journal's")
        except UsageError as error:
            match error.__cause__:
                case None | FileNotFoundError() | NotADirectoryError() | IsADirectoryError():
                    raise changed(f"the journal lacks {name}", found=error.found or error.what, wanted=str(path)) from error
            raise TransportError(f"{path} cannot be read", code=Code.DISK_IO, found=error.found) from error

    def put(self, name: str, data: bytes) -> None:
        """A new file, whole, that survives a power cut. Raises TransportError (``disk.io``, ``disk.full``)."""
        path = self.path / name
        with disk(f"{path} cannot be written"):
            for folder in reversed([above for above in path.parents if above.is_relative_to(self.path) and not above.exists()]):
                folder.mkdir()
                sync_folder(folder.parent)
        write_whole(path, data)

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """In the place of the last one. Raises as :meth:`put`."""
        write_whole(self.path / _CHECKPOINT, str(checkpoint).encode(), replace=True)

    def drop_partial(self, name: Name) -> None:
        """Remove the partial forms of a tile, or of entries, that is full now. What cannot be removed is not in anybody's way."""
        for full in (name.tile, name.entries) if name.level == 0 else (name.tile,):
            shutil.rmtree(self.path / f"{full}.p", ignore_errors=True)

    def beyond(self, size: int) -> list[Path]:
        """What belongs to a larger tree than the checkpoint's. Raises TransportError (``disk.io``)."""
        return [path for kind, path in self._looked_through(size) if kind is _Left.BEYOND]

    def tidied(self, size: int) -> str | None:
        """Put what lies beyond the checkpoint of ``size`` into a folder of its own, and say so; remove what killed runs left else.

        Raises TransportError (``disk.io``, ``disk.full``).
        """
        with disk(f"the journal {self.path} cannot be put in order"):
            found = list(self._looked_through(size))
            for folder in {path.parent for kind, path in found if kind is _Left.UNFINISHED}:
                sweep(folder)
            for path in [path for kind, path in found if kind is _Left.SUPERSEDED]:
                shutil.rmtree(path, ignore_errors=True)
            return self._set_aside([path for kind, path in found if kind is _Left.BEYOND], size)

    def _set_aside(self, paths: Sequence[Path], size: int) -> str | None:
        if not paths:
            return None
        torn = self.path / TORN
        torn.mkdir(exist_ok=True)
        sync_folder(self.path)
        number = 1 + max((int(name) for name in self._names(torn) if name.isdecimal()), default=0)
        aside = torn / str(number)
        for path in paths:
            to = aside / path.relative_to(self.path)
            to.parent.mkdir(parents=True, exist_ok=True)
            path.rename(to)
        for folder in [*map(Path, (name for name, _, _ in os.walk(aside))), torn, *sorted({path.parent for path in paths})]:
            sync_folder(folder)
        return f"{len(paths)} files beyond the {size} entries of the checkpoint were set aside in {aside}"

    def _looked_through(self, size: int) -> Iterator[tuple["_Left", Path]]:
        """All that is beyond a tree of ``size``, unfinished or superseded, by looking at each level along its right edge alone."""
        for name in self._names(self.path):
            if TEMPORARY.fullmatch(name):
                yield _Left.UNFINISHED, self.path / name
        for name in self._names(self.path / "tile"):
            if _LEVEL.fullmatch(name):
                shift = 0 if name == "entries" else 8 * int(name)
                number, width = divmod(size >> shift, WIDTH)
                yield from self._along(self.path / "tile" / name, elements(number), width)

    def _along(self, folder: Path, places: Sequence[str], width: int) -> Iterator[tuple["_Left", Path]]:
        place, *rest = places
        for name in self._names(folder):
            path = folder / name
            if TEMPORARY.fullmatch(name):
                yield _Left.UNFINISHED, path
            if not (match := _PLACE.fullmatch(name)):
                continue
            below, digits, partial = match.groups()
            if rest and not below:
                continue  # its number has fewer digits
            if digits > place[-3:] or (below and not rest) or (digits == place[-3:] and not rest and not partial):
                yield _Left.BEYOND, path
            elif digits == place[-3:]:
                yield from self._along(path, rest, width) if rest else self._partial(path, width)
            elif partial and path.with_suffix("").exists():
                yield _Left.SUPERSEDED, path

    def _partial(self, folder: Path, width: int) -> Iterator[tuple["_Left", Path]]:
        for name in self._names(folder):
            if TEMPORARY.fullmatch(name):
                yield _Left.UNFINISHED, folder / name
            elif _WIDTH.fullmatch(name) and int(name) > width:
                yield _Left.BEYOND, folder / name

    @staticmethod
    def _names(folder: Path) -> list[str]:
        with disk(f"{folder} cannot be looked through"), suppress(FileNotFoundError, NotADirectoryError):
            return sorted(path.name for path in folder.iterdir())
        return []


class _Left(Enum):
    BEYOND = auto()
    UNFINISHED = auto()
    SUPERSEDED = auto()
