"""The tree of a journal, over tiles of height 8 (RFC 6962, section 2.1; c2sp.org/tlog-tiles): hashes and names, without files."""

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import starmap

from bundler.errors import Code, IntegrityError
from bundler.trust.merkle import node_hash

WIDTH = 256
"""Hashes of a full tile, and entries of a full bundle."""
MAX_ENTRY = 0xFFFF  # bytes: its length is a uint16
HASH = 32  # bytes
_HEIGHT = 8
_EMPTY = hashlib.sha256().digest()  # RFC 6962, section 2.1: the root of no leaves


@dataclass(frozen=True, slots=True)
class Name:
    """Which tile, or which bundle of entries, that lie beside those of level 0."""

    level: int
    number: int
    width: int
    """How many hashes or entries, from 1; 256 in a full one."""

    @property
    def tile(self) -> str:
        """Where the tile lies, below the journal's folder."""
        return f"tile/{self.level}/{self._place}"

    @property
    def entries(self) -> str:
        """Where the bundle lies."""
        return f"tile/entries/{self._place}"

    @property
    def _place(self) -> str:
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return "/".join(elements(self.number)) + partial


def elements(number: int) -> list[str]:
    """The path of a tile's number: ``x001``, ``x234``, ``067`` for 1234067."""
    first, *rest = f"{number:,}".split(",")
    digits = [f"{first:0>3}", *rest]
    return [f"x{three}" for three in digits[:-1]] + digits[-1:]


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile: its name and its hashes."""

    name: Name
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree, by which it grows: of each level the hashes of the tile that is not full."""

    levels: tuple[tuple[bytes, ...], ...] = ()

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return sum(len(hashes) << _HEIGHT * level for level, hashes in enumerate(self.levels))

    @property
    def root(self) -> bytes:
        return _joined(self.subtrees)

    @property
    def subtrees(self) -> tuple[bytes, ...]:
        """The roots of the complete subtrees that the tree is made of, the largest first: back to front, they are also the path of
        the leaf that is appended next."""
        return tuple(subtree for hashes in reversed(self.levels) for subtree in _complete(hashes))

    def appended(self, leaf: bytes) -> tuple["Edge", tuple[Tile, ...]]:
        """The edge with a further leaf, and the tiles that are new then, from level 0 upwards."""
        levels, tiles = list(self.levels), []
        size, carried = self.size, leaf
        for level in range(len(levels) + 1):
            before = levels[level] if level < len(levels) else ()
            hashes = (*before, carried)
            tiles.append(Tile(Name(level, size >> _HEIGHT * (level + 1), len(hashes)), hashes))
            levels[level : level + 1] = [hashes if len(hashes) < WIDTH else ()]
            if len(hashes) < WIDTH:
                break
            carried = _perfect(hashes)
        return Edge(tuple(levels)), tuple(tiles)


def edge_names(size: int) -> Iterator[Name | None]:
    """Of each level of a tree the name of its tile that is not full; None where there is none, as behind a full one."""
    for level in range((size.bit_length() + _HEIGHT - 1) // _HEIGHT):
        width = size >> _HEIGHT * level & WIDTH - 1
        yield Name(level, size >> _HEIGHT * (level + 1), width) if width else None


@dataclass(frozen=True, slots=True)
class Tiles:
    """A tree of ``size``, of which each question reads a few tiles."""

    size: int
    hashes: Callable[[Name], Sequence[bytes]]
    """Reads one of them."""

    def path(self, index: int) -> tuple[bytes, ...]:
        """The inclusion proof of the entry ``index``, from the leaf's sibling upwards (RFC 6962, section 2.1.1)."""
        siblings = []
        start, end = 0, self.size
        while end - start > 1:
            middle = start + (1 << (end - start - 1).bit_length() - 1)
            if index < middle:
                siblings.append(self._between(middle, end))
                end = middle
            else:
                siblings.append(self._between(start, middle))
                start = middle
        return tuple(reversed(siblings))

    def root(self, size: int) -> bytes:
        """The root that the tree had when it was of ``size``, at most what it is now."""
        return self._between(0, size)

    def _between(self, start: int, end: int) -> bytes:
        """The root over these leaves; ``start`` is a multiple of the largest power of two that is not above their number."""
        subtrees = []
        while start < end:
            count = 1 << (end - start).bit_length() - 1
            subtrees.append(self._subtree(start, count))
            start += count
        return _joined(subtrees)

    def _subtree(self, start: int, count: int) -> bytes:
        level, inner = divmod(count.bit_length() - 1, _HEIGHT)
        number, at = divmod(start >> _HEIGHT * level, WIDTH)
        width = min(WIDTH, (self.size >> _HEIGHT * level) - number * WIDTH)
        return _perfect(self.hashes(Name(level, number, width))[at : at + (1 << inner)])


def _complete(hashes: tuple[bytes, ...]) -> Iterator[bytes]:
    at = 0
    for bit in reversed(range(_HEIGHT)):
        if len(hashes) >> bit & 1:
            yield _perfect(hashes[at : at + (1 << bit)])
            at += 1 << bit


def _perfect(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    while len(hashes) > 1:
        hashes = list(starmap(node_hash, zip(hashes[::2], hashes[1::2], strict=True)))
    return hashes[0]


def _joined(subtrees: Sequence[bytes]) -> bytes:
    """The root of a tree that is made of these complete subtrees, the largest first."""
    if not subtrees:
        return _EMPTY
    *larger, root = subtrees
    for subtree in reversed(larger):
        root = node_hash(subtree, root)
    return root


def to_hashes(data: bytes, name: Name) -> tuple[bytes, ...]:
    """What a tile holds. Raises IntegrityError (``journal.changed``)."""
    if len(data) != name.width * HASH:
        raise changed(f"the tile {name.tile} is not whole", found=f"{len(data)} bytes", wanted=f"{name.width * HASH}")
    return tuple(data[at : at + HASH] for at in range(0, len(data), HASH))


def from_entry(entry: bytes) -> bytes:
    """How it stands in a bundle, behind its length."""
    return struct.pack(">H", len(entry)) + entry


def to_entries(data: bytes, name: Name) -> list[bytes]:
    """What a bundle holds. Raises IntegrityError (``journal.changed``)."""
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) <= name.width:
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        entries.append(data[start:at])
    if at != len(data) or len(entries) != name.width:
        raise changed(f"the entries {name.entries} are not whole", found=f"{len(data)} bytes", wanted=f"{name.width} entries")
    return entries


def changed(what: str, *, found: object = None, wanted: object = None) -> IntegrityError:
    """``journal.changed``, to be raised."""
    advice = "keep it as it is, look for a copy that was made before, and ask who could write to it"
    return IntegrityError(what, code=Code.JOURNAL_CHANGED, found=found, wanted=wanted, next=advice)
