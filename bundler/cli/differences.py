"""The answer of ``diff`` for people: what has changed, on top who signs no more; a row an image, as wide as the screen."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.cli.called import called, short
from bundler.cli.rows import DIGITS, GAP, INDENT, Names, fitted, wrapped
from bundler.cli.terminal import Terminal, counted, escaped, sized
from bundler.stations.comparing import Change, Difference, Image, PartChange
from bundler.stations.holdings import FileKind, Holdings
from bundler.stations.report import TrustUsed
from bundler.stations.vouching import Maker, Piece

UNDER = 2  # columns before what belongs to the rows above it
_LEAST = 32  # columns that even a crowded row leaves to a name
_CONFIG = ("user", "entrypoint", "cmd", "env")  # all but when it was made, which is another time in every build


@dataclass(frozen=True, slots=True)
class _Row:
    word: str
    image: Image
    """As it is now, or was."""
    change: Change | None = None

    @property
    def sizes(self) -> str:
        """Bytes of layers that the other side has nowhere."""
        came = None if self.word == "gone" else self.image.fresh
        went = self.image.fresh if self.word == "gone" else self.change.before.fresh if self.change else None
        return " ".join(f"{sign}{sized(size)}" for sign, size in (("+", came), ("-", went)) if size)


def difference_lines(out: Terminal, difference: Difference, files: tuple[Path, Path], trust: TrustUsed | None) -> Iterator[str]:
    """The whole answer; ``files`` are what was compared, and ``trust`` is what named the signers, if anything did."""
    answer = _answer(out, difference)
    yield from answer
    for word, file, side in zip(("before", "after"), files, (difference.before, difference.after), strict=True):
        yield from _side(out, word, file, side, trusting=trust is not None)
    if trust:
        digest = str(trust.digest)
        yield from wrapped(out, "trust", f"{digest if out.verbose else short(digest)} at {trust.path}")
    elif FileKind.BUNDLE in (difference.before.kind, difference.after.kind):
        yield from wrapped(
            out, "signers", ": as the signatures say; --trust DIR verifies whose they are", mark="NOT VERIFIED", style=out.bad
        )
    yield from _carry(out, difference)
    rows = [*_rows(difference)]
    yield from _table(out, rows)
    yield from _notes(out, difference)
    if len(rows) > 1 or out.verbose:
        yield from answer


def _answer(out: Terminal, difference: Difference) -> list[str]:
    """One line, as several where it is too long; whoever wants only one gets it whole."""
    if not difference.names_images:
        told = f": a return file names none; {counted(len(difference.carry), 'layer')} would have to be carried"
        return [f"NO IMAGES{told}"] if out.quiet else wrapped(out, None, told, mark="NO IMAGES", indent=UNDER)
    if difference.is_same:
        return [f"{out.good('SAME')}: {counted(difference.same, 'image')}, and nothing about them has changed"]
    lists = {
        "changed": difference.changed,
        "moved": difference.moved,
        "only in evidence": difference.beside,
        "added": difference.added,
        "gone": difference.gone,
    }
    counts = [f"{len(images)} {word}" for word, images in lists.items() if images]
    counts += [f"{difference.same} same"] if difference.same else []
    signers = sum(change.signers_changed for change in difference.changes)
    others = f"{signers} by other signers; " if signers else ""
    mark, text = "DIFFERENT", f": {others}{', '.join(counts)}"
    style = out.bad if signers else str
    return [f"{style(mark)}{text}"] if out.quiet else wrapped(out, None, text, mark=mark, style=style, indent=UNDER)


def _side(out: Terminal, word: str, file: Path, side: Holdings, *, trusting: bool) -> Iterator[str]:
    made = f", made {side.created if out.verbose else side.created[:10]}"
    yield from wrapped(out, word, f"{fitted(escaped(str(file)), out.width - INDENT - len(made))}{made}")
    yield from wrapped(out, "", ", ".join(_facts(side, whole=out.verbose > 0)))
    sealed, what = side.sealed, "seal" if side.kind is FileKind.BUNDLE else "signature"
    by = ", ".join(called(maker.name, maker.id or "", whole=out.verbose > 0) for maker in sealed.by)
    if sealed.verified:
        yield from wrapped(out, "", f", by {by}", mark=f"{what} ok", style=out.good)
    elif side.kind is not FileKind.BUNDLE:
        yield from wrapped(out, "", ": without --key, anybody may have written it", mark=f"{what} NOT VERIFIED", style=out.bad)
    elif trusting:
        yield from wrapped(out, "", f": {'; '.join(sealed.details)}", mark=f"{what} NOT TRUSTED", style=out.bad)
    else:
        yield from wrapped(out, "", ": without trust, anybody may have written it", mark=f"{what} NOT VERIFIED", style=out.bad)


def _facts(side: Holdings, *, whole: bool) -> Iterator[str]:
    """What it says of itself."""
    identity = str(side.identity) if whole or side.identity is None else short(str(side.identity))
    if side.kind is not FileKind.BUNDLE:
        yield f"a {'receipt' if side.kind is FileKind.RECEIPT else 'return file'} of {side.station}"
    if side.identity is not None:
        yield identity
        yield f"stream {side.stream}"
        yield f"number {side.sequence}"


def _carry(out: Terminal, difference: Difference) -> Iterator[str]:
    """What would have to be brought to somebody who has the one, to give him the other."""
    carry, blobs, others = difference.carry, difference.after.blobs, difference.after.others
    told = f"{sized(sum(carry.values()))} in {counted(len(carry), 'layer')}, of {sized(sum(blobs.values()))} in {len(blobs)}"
    each_time = f"; {sized(sum(others.values()))} of manifests, configs and evidence go each time" if others else ""
    yield from wrapped(out, "carry", f"{told}{each_time}")


def _rows(difference: Difference) -> Iterator[_Row]:
    for word, changes in (("changed", difference.changed), ("moved", difference.moved), ("evidence", difference.beside)):
        yield from (_Row(word, change.after, change) for change in changes)
    for word, images in (("added", difference.added), ("gone", difference.gone)):
        yield from (_Row(word, image) for image in images)


def _table(out: Terminal, rows: Sequence[_Row]) -> Iterator[str]:
    """First the images that others have signed than before, by who that is; for that is what an auditor looks for."""
    word = max((len(row.word) for row in rows), default=0)
    sizes = max((len(row.sizes) for row in rows), default=0)
    room = max(out.width - word - DIGITS - sizes - 3 * len(GAP), _LEAST)
    names = Names(out, [row.image.reference for row in rows], room)
    yield from names.told(out)

    def shown(row: _Row) -> Iterator[str]:
        cells = (f"{row.word:{word}}", names.cell(row.image.reference), row.image.digest.encoded[:DIGITS], f"{row.sizes:>{sizes}}")
        yield GAP.join(cells).rstrip()
        if row.change and row.word == "moved":
            yield from wrapped(out, "", f"from {row.change.before.reference}", indent=UNDER)
        yield from _details(out, row)

    resigned: dict[str, list[_Row]] = {}
    for row in rows:
        if row.change and row.change.signers_changed:
            resigned.setdefault(_resigned(row.change), []).append(row)
    for text, those in resigned.items():
        yield from wrapped(out, None, f": {text}", mark="signers", style=out.bad, indent=UNDER)
        for row in those:
            yield from shown(row)
    if resigned and any(not _is_resigned(row) for row in rows):
        yield "signed as before, or not there before:"
    for row in rows:
        if not _is_resigned(row):
            yield from shown(row)


def _is_resigned(row: _Row) -> bool:
    return row.change is not None and row.change.signers_changed


def _resigned(change: Change) -> str:
    """Who signed it before, and who does now."""
    gone, new = _listed(change.signers_gone), _listed(change.signers_new)
    if gone and new:
        return f"by {gone} before, by {new} now"
    if gone:
        return f"by {gone} before, {'no more now' if change.after.details.signers else 'by nobody now'}"
    return f"by {new} now, {'not before' if change.before.details.signers else 'by nobody before'}"


def _listed(makers: Iterable[Maker]) -> str:
    return " and ".join(map(_who, makers))


def _who(maker: Maker, *, whole: bool = False) -> str:
    """Foreign where the maker is."""
    if maker.id is None:
        return "a key that nothing names" if maker.kind == "key" else "a certificate that cannot be read"
    who = called(maker.name, maker.id, whole=whole)
    return who if maker.proved else f"{who} (unverified)"


def _notes(out: Terminal, difference: Difference) -> Iterator[str]:
    """What else is to be said about images, once for all that it is true of."""
    about: dict[str, list[str]] = {}
    for name, text in (*_about_changes(difference.changes), *_about_names(difference)):
        about.setdefault(text, []).append(name)
    for text, names in about.items():
        which = f"{names[0]}: {text}" if len(names) == 1 else f"{text} ({len(names)} images)"
        yield from wrapped(out, None, f"note: {which}", indent=UNDER)
    unknown = sum(_is_unknown(change) for change in difference.changes)
    if unknown:
        yield from wrapped(
            out,
            None,
            f"note: nothing names who signed {counted(unknown, 'changed image')}, so it may be somebody else now",
            indent=UNDER,
        )
    if untold := sum(change.signers_untold for change in difference.changes):
        told = f"who signed {counted(untold, 'image')} is verified on one side only, and was not compared: give --trust DIR"
        yield from wrapped(out, None, f"note: {told}", indent=UNDER)
    old, new = difference.before, difference.after
    if old.stream == new.stream and old.sequence is not None and new.sequence is not None and old.sequence > new.sequence:
        yield from wrapped(out, None, "note: B comes before A in their stream: were they meant the other way round?", indent=UNDER)


def _about_changes(changes: Iterable[Change]) -> Iterator[tuple[str, str]]:
    for change in changes:
        name = str(change.after.reference)
        for text, pieces in (("evidence gone", change.evidence_gone), ("evidence new", change.evidence_new)):
            yield from ((name, f"{text}: {told}") for told in dict.fromkeys(map(_piece, pieces)))
        for part in change.parts:
            if part.before is None or part.after is None:
                yield name, f"{'for' if part.after else 'no more for'} {_platform(part.platform)}"
        others = [member for member in _CONFIG if any(member in part.config for part in change.parts)]
        if others:
            yield name, f"its config says otherwise: {', '.join(others)}"


def _about_names(difference: Difference) -> Iterator[tuple[str, str]]:
    now = (*(change.after for change in difference.changed), *difference.added)
    yield from ((str(image.reference), f"the same image as {image.alias} before") for image in now if image.alias)
    yield from ((str(image.reference), f"the same image as {image.alias} now") for image in difference.gone if image.alias)


def _is_unknown(change: Change) -> bool:
    both = change.before.details.signers & change.after.details.signers
    return change.before.digest != change.after.digest and any(maker.id is None for maker in both)


def _piece(piece: Piece) -> str:
    by = _listed(sorted(piece.by, key=lambda maker: maker.rank))
    return f"{piece.what} by {by}" if by else f"{piece.what}, which nobody signed by itself"


def _details(out: Terminal, row: _Row) -> Iterator[str]:
    """With ``-v``: names and digests in full, layers by platform, signers, evidence; with ``-vv`` each layer too."""
    if not out.verbose:
        return
    image, change = row.image, row.change
    yield _line(str(image.reference))
    if change and change.before.digest != image.digest:
        yield _line(f"{change.before.digest}, before")
    yield _line(f"{image.digest}")
    for each in change.parts if change else ():
        yield _line(f"{_platform(each.platform)}: {_layers(each)}")
        yield from (_line(f"  new {digest} {sized(size)}") for digest, size in each.new.items() if out.verbose > 1)
        yield from (_line(f"  gone {digest} {sized(size)}") for digest, size in each.gone.items() if out.verbose > 1)
        if each.config:
            yield _line(f"  other in its config: {', '.join(each.config)}")
    for part in (image.details.parts or ()) if change is None else ():
        yield _line(f"{_platform(part.platform)}: {counted(len(part.layers), 'layer')}, {sized(sum(part.layers.values()))}")
        yield from (_line(f"  {digest} {sized(size)}") for digest, size in part.layers.items() if out.verbose > 1)
    for maker in sorted(image.details.signers, key=lambda maker: maker.rank):
        yield _line(f"signed by {_who(maker, whole=True)}")
    yield from (_line(f"with {_piece(piece)}, {sized(piece.size)}") for piece in image.details.evidence or ())


def _platform(platform: str | None) -> str:
    return platform or "no platform"


def _layers(part: PartChange) -> str:
    counts = (
        (len(part.new), f"new, {sized(sum(part.new.values()))}"),
        (len(part.gone), f"gone, {sized(sum(part.gone.values()))}"),
        (part.kept, "the same"),
    )
    return f"layers: {'; '.join(f'{number} {words}' for number, words in counts if number) or 'none'}"


def _line(text: str) -> str:
    """Below a row and never wrapped, so that it can be searched and copied. ``text`` may be foreign and is escaped."""
    return f"{'':{INDENT}}{escaped(text)}"
