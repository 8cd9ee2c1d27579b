"""What has changed between two sides: images that came, went, moved or are others now, and who vouched for them then and now."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.stations.holdings import Config, Details, Held, Holdings, Part, Told
from bundler.stations.vouching import Maker, Piece

Known = tuple[str, frozenset[Maker]]
"""What two pieces of evidence about different images have to have alike to be the same sort: what they are, and by whom."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image on one of the sides."""

    reference: Reference
    digest: Digest
    details: Details
    fresh: int | None
    """Bytes of its layers that the other side has under no name; None where its layers are not known."""
    alias: Reference | None = None
    """A name that the other side has for the same image, where it is not this one."""


@dataclass(frozen=True, slots=True)
class PartChange:
    """What an image has for a platform, then and now; None on the side that has nothing for it."""

    platform: str | None
    before: Part | None
    after: Part | None

    @property
    def new(self) -> Mapping[Digest, int]:
        """The layers that were not there before, with their sizes."""
        return _without(self.after, self.before)

    @property
    def gone(self) -> Mapping[Digest, int]:
        return _without(self.before, self.after)

    @property
    def kept(self) -> int:
        """How many layers are the same."""
        return len(self.after.layers) - len(self.new) if self.after else 0

    @property
    def config(self) -> tuple[str, ...]:
        """Which members of the config are others, by the names of :class:`Config`; none where it is not known on both sides."""
        then, now = self.before and self.before.config, self.after and self.after.config
        names: tuple[str, ...] = Config.__slots__
        return tuple(name for name in names if getattr(then, name) != getattr(now, name)) if then and now else ()


@dataclass(frozen=True, slots=True)
class Change:
    """An image under a name, then and now. It has the same name or the same digest, or has both and other evidence."""

    before: Image
    after: Image

    @property
    def signers_gone(self) -> tuple[Maker, ...]:
        """Who signed it before and does not now, as far as the files can tell: a receipt has only those who counted."""
        return _others(self.before.details, self.after.details)

    @property
    def signers_new(self) -> tuple[Maker, ...]:
        return _others(self.after.details, self.before.details)

    @property
    def signers_untold(self) -> bool:
        """Whether who signed it cannot be compared: a station has verified it for one side, and nobody has for the other."""
        return {self.before.details.told, self.after.details.told} == {Told.CLAIMED, Told.COUNTED}

    @property
    def signers_changed(self) -> bool:
        return bool(self.signers_gone or self.signers_new)

    @property
    def evidence_gone(self) -> tuple[Piece, ...]:
        """Of one image, the pieces that are not there now. Of two, whose pieces cannot be the same, those of whose sort there is less."""
        return self._evidence(self.before.details.evidence, self.after.details.evidence)

    @property
    def evidence_new(self) -> tuple[Piece, ...]:
        return self._evidence(self.after.details.evidence, self.before.details.evidence)

    @property
    def parts(self) -> tuple[PartChange, ...]:
        """By platform, where layers are known on both sides."""
        then, now = self.before.details.parts, self.after.details.parts
        if then is None or now is None:
            return ()
        old, new = ({part.platform: part for part in parts} for parts in (then, now))
        return tuple(PartChange(each, old.get(each), new.get(each)) for each in dict.fromkeys((*new, *old)))

    def _evidence(self, pieces: Sequence[Piece] | None, other: Sequence[Piece] | None) -> tuple[Piece, ...]:
        if pieces is None or other is None:
            return ()
        if self.before.digest == self.after.digest:
            known = frozenset(other)
            return tuple(piece for piece in pieces if piece not in known)
        left = Counter(map(_sort, other))
        found = []
        for piece in pieces:
            left[_sort(piece)] -= 1
            found += [piece] if left[_sort(piece)] < 0 else []
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Difference:
    """All that is different, each list in the order of names; and what would have to be carried."""

    before: Holdings
    after: Holdings
    changed: tuple[Change, ...]
    """One name, another digest."""
    moved: tuple[Change, ...]
    """One digest, another name: the old name is not there any more."""
    beside: tuple[Change, ...]
    """The same image under the same name, and other evidence, signers or platforms."""
    added: tuple[Image, ...]
    gone: tuple[Image, ...]
    same: int
    """How many images nothing has happened to."""

    @property
    def names_images(self) -> bool:
        """Whether there were images to compare: a return file names none."""
        return self.before.images is not None and self.after.images is not None

    @property
    def is_same(self) -> bool:
        """Whether nothing has happened to any image. Where none are named, whether there is nothing to carry."""
        if not self.names_images:
            return not self.carry
        return not (self.changed or self.moved or self.beside or self.added or self.gone)

    @property
    def changes(self) -> tuple[Change, ...]:
        """All of them, those of which the signers are others first."""
        return tuple(sorted((*self.changed, *self.moved, *self.beside), key=lambda change: not change.signers_changed))

    @property
    def carry(self) -> Mapping[Digest, int]:
        """The layers that the second side has and the first has not, with their sizes in bytes."""
        return dict(_new_blobs(self.after, self.before))


def compare(before: Holdings, after: Holdings) -> Difference:
    """What has happened from ``before`` to ``after``. Raises what :attr:`Held.details` and :attr:`Held.whole` raise."""
    old, new = (before.images, after.images) if before.images is not None and after.images is not None else ({}, {})
    common, went, came = (sorted(names, key=str) for names in (old.keys() & new.keys(), old.keys() - new.keys(), new.keys() - old.keys()))
    moved = _moved([old[name] for name in went], [new[name] for name in came])
    paired = {held.reference for pair in moved for held in pair}
    then_of, now_of = _Beside(after), _Beside(before)

    def change(then: Held, now: Held) -> Change:
        return Change(then_of.image(then), now_of.image(now))

    pairs = [(old[name], new[name]) for name in common]
    changed = [change(then, now) for then, now in pairs if then.digest != now.digest]
    others = (change(then, now) for then, now in pairs if then.digest == now.digest and not _is_whole(then, now))
    beside = [each for each in others if _differs(each)]
    return Difference(
        before=before,
        after=after,
        changed=tuple(changed),
        moved=tuple(change(then, now) for then, now in moved),
        beside=tuple(beside),
        added=tuple(now_of.image(new[name]) for name in came if name not in paired),
        gone=tuple(then_of.image(old[name]) for name in went if name not in paired),
        same=len(common) - len(changed) - len(beside),
    )


class _Beside:
    """Images of one side, beside the ``other`` one."""

    def __init__(self, other: Holdings) -> None:
        self._others = {**other.blobs, **other.others}
        self._names: dict[Digest, Reference] = {}
        self._images = other.images or {}
        for name in sorted(self._images, key=str, reverse=True):
            self._names[self._images[name].digest] = name

    def image(self, held: Held) -> Image:
        details = held.details()
        layers = {digest: size for part in details.parts or () for digest, size in part.layers.items()}
        fresh = sum(size for digest, size in layers.items() if digest not in self._others)
        under = self._images.get(held.reference)
        alias = None if under and under.digest == held.digest else self._names.get(held.digest)
        return Image(held.reference, held.digest, details, None if details.parts is None else fresh, alias)


def _moved(gone: Iterable[Held], added: Iterable[Held]) -> list[tuple[Held, Held]]:
    """Names that went beside names that came for the same image, each once."""
    left: dict[Digest, list[Held]] = {}
    for held in gone:
        left.setdefault(held.digest, []).append(held)
    return [(left[held.digest].pop(0), held) for held in added if left.get(held.digest)]


def _is_whole(then: Held, now: Held) -> bool:
    """Whether nothing about two images of one digest differs, told without looking at what it is."""
    whole = then.whole()
    return whole is not None and whole == now.whole()


def _differs(change: Change) -> bool:
    parts = any(part.new or part.gone for part in change.parts)
    return bool(parts or change.signers_changed or change.evidence_gone or change.evidence_new)


def _new_blobs(after: Holdings, before: Holdings) -> Iterator[tuple[Digest, int]]:
    return ((digest, size) for digest, size in after.blobs.items() if digest not in before.blobs and digest not in before.others)


def _without(part: Part | None, other: Part | None) -> Mapping[Digest, int]:
    has = other.layers if other else {}
    return {digest: size for digest, size in part.layers.items() if digest not in has} if part else {}


def _others(details: Details, other: Details) -> tuple[Maker, ...]:
    """The signers of one that the other one does not have, where it would."""
    if other.told is not details.told and other.told is not Told.ALL:
        return ()
    return tuple(sorted(details.signers - other.signers, key=lambda maker: maker.rank))


def _sort(piece: Piece) -> Known:
    return piece.what, piece.by


def difference_value(difference: Difference) -> dict[str, Any]:
    """As the value of its JSON (docs/reference/json.md)."""
    carry = difference.carry
    return {
        "same": difference.is_same,
        "before": _holdings_value(difference.before),
        "after": _holdings_value(difference.after),
        "unchanged": difference.same,
        "changed": [*map(_change_value, difference.changed), *map(_change_value, difference.beside)],
        "moved": [*map(_change_value, difference.moved)],
        "added": [*map(_image_value, difference.added)],
        "gone": [*map(_image_value, difference.gone)],
        "carry": {"layers": len(carry), "bytes": sum(carry.values()), "others": sum(difference.after.others.values())},
    }


def _holdings_value(holdings: Holdings) -> dict[str, Any]:
    return {
        "kind": str(holdings.kind),
        "station": holdings.station,
        "identity": str(holdings.identity) if holdings.identity else None,
        "stream": holdings.stream,
        "sequence": holdings.sequence,
        "created": holdings.created,
        "seal": {"verified": holdings.sealed.verified, "signers": [*map(_maker_value, holdings.sealed.by)]},
        "images": None if holdings.images is None else len(holdings.images),
        "layers": len(holdings.blobs),
        "bytes": sum(holdings.blobs.values()),
    }


def _change_value(change: Change) -> dict[str, Any]:
    return {
        "before": _image_value(change.before),
        "after": _image_value(change.after),
        "signers": _both(_maker_value, change.signers_gone, change.signers_new),
        "evidence": _both(_piece_value, change.evidence_gone, change.evidence_new),
        "platforms": [*map(_part_change_value, change.parts)],
    }


def _image_value(image: Image) -> dict[str, Any]:
    details = image.details
    return {
        "reference": str(image.reference),
        "digest": str(image.digest),
        "alias": str(image.alias) if image.alias else None,
        "size": details.size,
        "fresh": image.fresh,
        "signers": [*map(_maker_value, sorted(details.signers, key=lambda maker: maker.rank))],
        "signers_told": str(details.told),
        "evidence": None if details.evidence is None else [*map(_piece_value, details.evidence)],
        "platforms": None if details.parts is None else [*map(_part_value, details.parts)],
    }


def _part_value(part: Part) -> dict[str, Any]:
    return {"platform": part.platform, "layers": _layers_value(part.layers)}


def _part_change_value(change: PartChange) -> dict[str, Any]:
    then, now = change.before and change.before.config, change.after and change.after.config
    values = {name: [_config_value(getattr(config, name)) for config in (then, now)] for name in change.config}
    return {
        "platform": change.platform,
        "layers": {"gone": _layers_value(change.gone), "new": _layers_value(change.new), "kept": change.kept},
        "config": [{"name": name, "before": before, "after": after} for name, (before, after) in values.items()],
    }


def _config_value(value: str | tuple[str, ...] | frozenset[str] | None) -> Any:
    return value if value is None or isinstance(value, str) else sorted(value) if isinstance(value, frozenset) else list(value)


def _layers_value(layers: Mapping[Digest, int]) -> list[dict[str, Any]]:
    return [{"digest": str(digest), "size": size} for digest, size in layers.items()]


def _maker_value(maker: Maker) -> dict[str, Any]:
    return {"kind": maker.kind, "id": maker.id, "name": maker.name, "proved": maker.proved}


def _piece_value(piece: Piece) -> dict[str, Any]:
    by = [*map(_maker_value, sorted(piece.by, key=lambda maker: maker.rank))]
    return {"type": piece.what, "digest": str(piece.digest), "size": piece.size, "by": by}


def _both(value: Callable[[Any], dict[str, Any]], gone: Iterable[Any], new: Iterable[Any]) -> dict[str, Any]:
    return {"gone": [*map(value, gone)], "new": [*map(value, new)]}
