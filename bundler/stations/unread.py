"""What an image or its evidence names and nobody can read: never passed over in silence, and left out only by name."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bundler.content.store import GoneError, Source
from bundler.content.stream import gathered, side_by_side
from bundler.errors import FormatError, IncompleteError, IntegrityError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import REFERENCE_TYPE, Document, check_other
from bundler.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Missed:
    """What cannot be read, the manifest that names it, and why not."""

    descriptor: Descriptor
    of: Digest
    error: FormatError | IntegrityError | IncompleteError
    is_part: bool = False
    """Whether an index lists it; else it was found as evidence."""


class Unread:
    """What cannot be read, and may be left out only by name."""

    def __init__(self, leave: Collection[Digest] | None) -> None:
        self._leave = leave
        self._missed: dict[Digest, Missed] = {}

    def note(self, missed: Missed) -> None:
        self._missed.setdefault(missed.descriptor.digest, missed)

    def note_others(self, document: Document, source: Source, *, jobs: int) -> None:
        """What an index lists beside manifests and indexes, where its source lacks it or somebody could read it as one."""
        wrong = side_by_side(lambda other: _wrong_with(other, source), document.others, jobs=jobs)
        for other, error in zip(document.others, wrong, strict=True):
            if error is not None:
                self.note(Missed(other, document.digest, error, is_part=True))

    @property
    def left(self) -> tuple[Descriptor, ...]:
        """Once :meth:`check` has passed, all of it."""
        return tuple(missed.descriptor for missed in self._missed.values())

    def check(self, image: Reference | Digest) -> None:
        """Raises the error of the first that is not to be left out, and names all of these."""
        leave = self._leave
        wrong = [m for digest, m in self._missed.items() if (m.is_part if leave is None else digest not in leave)]
        if not wrong:
            return
        first = wrong[0]
        by_platform = [m for m in wrong if m.is_part and m.descriptor.platform and REFERENCE_TYPE not in m.descriptor.annotations]
        platforms = ", choose what is there with --platform," if by_platform else ""
        options = " ".join(f"--leave {m.descriptor.digest}" for m in wrong)
        kind = next(kind for kind in (FormatError, IntegrityError, IncompleteError) if isinstance(first.error, kind))
        raise kind(
            f"{image} has {'a part' if first.is_part else 'evidence'} that cannot be read: {first.error.what}",
            code=first.error.code,
            found="; ".join([_place(first), *map(_told, wrong[1:])]),
            wanted=first.error.wanted,
            next=f"mend the source{platforms} or export without it, which the seal will say: {options}",
        ) from first.error

    def remarks(self) -> Iterator[str]:
        for missed in self._missed.values():
            yield f"left out: {_told(missed)}"


def _wrong_with(other: Descriptor, source: Source) -> FormatError | IntegrityError | IncompleteError | None:
    if not source.has(other):
        return None if other.foreign else GoneError(other.digest)
    try:
        check_other(other, lambda blob: gathered(blob, source.chunks(blob)))
    except (FormatError, IntegrityError, IncompleteError) as error:
        return error
    return None


def _told(missed: Missed) -> str:
    return f"{_place(missed)} ({missed.error.what})"


def _place(missed: Missed) -> str:
    return f"{missed.descriptor.digest}, {'listed in' if missed.is_part else 'found about'} {missed.of}"
