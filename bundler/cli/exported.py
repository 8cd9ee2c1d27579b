"""What an export carries, and what it cannot, in words and as JSON."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bundler.cli import failures
from bundler.cli.clock import source_date_epoch
from bundler.cli.exportflags import Label
from bundler.cli.rows import DIGITS, GAP, INDENT, Names
from bundler.cli.terminal import Terminal, counted, escaped, sized
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.stations import exporter
from bundler.stations.bases import read_bases
from bundler.stations.exporter import Exported, Order, Plan, previous
from bundler.stations.places import Failure
from bundler.stations.privatekeys import KeySigner
from bundler.stations.saving import Saving
from bundler.stations.survey import Survey
from bundler.stations.truststore import Trust
from bundler.trust.keys import PublicKey


def order(label: Label, sealers: Sequence[PublicKey], *, at: datetime) -> Order:
    """What was said of the bundle, with what its files say. Raises as :func:`read_bases`, :func:`previous` and :class:`Order`."""
    epoch = source_date_epoch()
    created = (epoch or at).replace(microsecond=0)
    return Order(
        stream=label.stream,
        sequence=label.sequence if label.sequence is not None else int((epoch or at).timestamp() * 1000),
        previous=previous(label.previous) if label.previous else None,
        created=created,
        expires=label.expires_at(created),
        station=label.station,
        requires_trust=label.requires_trust,
        bases=read_bases(label.bases, keys=label.base_keys, sealers=sealers),
        mtime=int(epoch.timestamp()) if epoch else 0,
    )


def say_before(out: Terminal, made: Order, trust: Trust | None) -> None:
    """Say what whoever exports should know before any image is asked for."""
    for note in _before(made, trust):
        out.say(note)


def make_free(out: Terminal, to: Path | None, *, replace: bool) -> None:
    """Say what was removed of killed runs where the bundle shall be. Raises as :func:`exporter.check_free`."""
    if to is not None and (sizes := exporter.check_free(to, replace=replace)):
        out.say(f"removed what a killed run had left: {counted(len(sizes), 'hidden file')}, {sized(sum(sizes))}")


def say_notes(out: Terminal, made: Plan, failed: Sequence[Failure], *, leave: Collection[Digest]) -> None:
    """Say what whoever exports should know before it is written, which may take long."""
    for note in dict.fromkeys((*_left_behind(failed), *_notes(made, leave=leave))):
        out.say(note)


def write(out: Terminal, to: Path, made: Plan, *, signers: Sequence[KeySigner], order: Order, jobs: int, replace: bool) -> Exported:
    """Write the bundle, and say before where there may not be enough room. Raises as :func:`exporter.write`."""
    if room := exporter.check_room(to, made):
        out.say(f"note: {room}")
    return exporter.write(to, made, signers=signers, order=order, jobs=jobs, replace=replace, progress=out.progress)


def _before(made: Order, trust: Trust | None) -> Iterator[str]:
    if trust is None:
        yield "no trust here: nothing is verified before it is carried"
    for base in made.bases.files:
        if not base.verified:
            yield f"note: nobody has verified who wrote the base {base.file}; with --base-key it must be signed by that key"
        if not base.is_confirmed:
            yield f"note: {base.file} is a bundle: that what it brought is there is assumed, and no station has said so"
        elif not base.held:
            yield f"note: {base.file} says that {base.station} holds nothing"
    if made.station is None and (stations := made.bases.stations):
        who = ", ".join(stations)
        yield f"note: what is left out is what {who} said to have: other stations may lack it; with --station they refuse the bundle"


def _left_behind(failed: Sequence[Failure]) -> Iterator[str]:
    """Images that cannot be carried."""
    for first, *others in failures.alike(failed):
        names = ", ".join(each.image for each in (first, *others))
        yield f"left behind: {names}: {first.error.code}: {first.error.what}"


def _notes(made: Plan, *, leave: Collection[Digest]) -> Iterator[str]:
    for survey in made.surveys:
        yield from (f"note: {remark}" for remark in survey.remarks)
        found = {found.digest for lookup in survey.carried.lookups for found in lookup.found}
        if any(child.digest not in found for child in survey.carried.left_out):
            yield (
                f"note: of {survey.carried.reference} not all platforms are carried. Its index stays as it is, so that its signatures "
                "hold; many registries refuse such an index (distribution 2.8, 3 by default, olareg). With --by-digest the platform's own "
                "manifest goes instead, if it is signed itself"
            )
        for digest in sorted(survey.carried.absent - {child.digest for child in survey.carried.left_out}):
            yield f"note: the foreign layer {digest} is not at the source, and not carried"
    yield from _indexes(made.images)
    everything = (carried for survey in made.surveys for carried in (survey.carried, survey.index) if carried is not None)
    left = {child.digest for carried in everything for child in carried.left_out}
    for digest in sorted(set(leave) - left):
        yield f"note: nothing of the digest {digest} was left out: --leave is for what cannot be read"


def _indexes(surveys: Sequence[Survey]) -> Iterator[str]:
    """What stays behind of each index of which platforms are carried by themselves: nothing that vouches is lost in silence."""
    indexes = {survey.index.reference: survey.index for survey in surveys if survey.index is not None}
    parts: dict[Reference, list[str]] = {}
    for survey in surveys:
        if survey.index is not None:
            parts.setdefault(survey.index.reference, []).append(str(survey.carried.reference))
    carried = {digest for survey in surveys for digest in survey.carried.documents}
    for index in indexes.values():
        names = ", ".join(parts[index.reference])
        evidence = sum(document.digest not in carried for document in index.evidence)
        beside = sum(digest not in carried for digest in index.own) - 1
        lists = f", and {counted(beside, 'manifest')} beside the platforms" if beside else ""
        yield f"note: carried is {names}; the index {index.reference} stays behind with {counted(evidence, 'piece')} of evidence{lists}"


def value(done: Exported | None, failed: Sequence[Failure]) -> dict[str, Any]:
    """Of a run that wrote nothing, since images failed, ``done`` is None."""
    nothing: dict[str, Any] = {"file": None, "sha256": None, "size": 0, "bundle": None, "images": [], "base": None}
    return (nothing if done is None else done.to_json()) | {"failed": failures.value(failed)}


def refused(failed: Sequence[Failure], *, of: int) -> Iterator[str]:
    """The answer of a run that wrote nothing, since images failed."""
    yield f"nothing is written: {len(failed)} of {counted(of, 'image')} cannot be carried"
    yield from failures.lines(failed)


def lines(out: Terminal, done: Exported, failed: Sequence[Failure]) -> Iterator[str]:
    """The whole answer: first the file, then a row an image, then the images that were left behind."""
    images = done.plan.seal.images
    count = counted(len(images), "image")
    lost = f"; {counted(len(failed), 'image')} left behind" if failed else ""
    if done.written:
        yield f"{escaped(str(done.file))}  {count}, {sized(done.written.size)}{lost}"
        yield f"bundle   {done.identity}"
        yield f"sha256   {done.written.digest.encoded}"
    else:
        who = f"{escaped(str(done.file))} would carry" if done.file else "would carry"
        yield f"{who} {count}, {sized(done.plan.size)} before compression{lost}"
    yield from _rows(out, done.plan)
    if done.plan.bases.files:
        yield from _saved(out, done.plan.saving)
    if not done.written or len(images) > 1:
        yield "the size of an image is what it takes alone; what several share counts once"
    yield from failures.lines(failed)


def _saved(out: Terminal, saving: Saving) -> Iterator[str]:
    """What the bases came to, and for each repository; with ``-v`` each layer with why it is carried or not."""
    yield f"left out {counted(len(saving.seal.elsewhere), 'layer')}, {sized(saving.saved)}, that the bases have"
    for each in saving.repositories:
        carried = len(each.layers) - len(each.left)
        yield (
            f"{'':{INDENT}}{escaped(each.repository)}: {len(each.left)} left out, {sized(each.saved)}; "
            f"{carried} carried, {sized(each.carried)}"
        )
        for layer in each.layers if out.verbose else ():
            why = f"left out: {', '.join(layer.held_by)} has it" if layer.held_by else "carried: no base has it, or it is read to judge"
            yield f"{'':{INDENT}}  {layer.blob.digest}  {sized(layer.blob.size)}  {escaped(why)}"


def _rows(out: Terminal, made: Plan) -> Iterator[str]:
    """Whether it was verified, its name, the beginning of its digest, its size and how much vouches for it; with ``-v`` all of that
    in full."""
    state, images = "verified" if made.checked else "unverified", made.images
    sizes = [sized(survey.size) for survey in images]
    wide = max(map(len, sizes), default=0)
    room = out.width - len(state) - DIGITS - wide - len("evidence 1000") - 4 * len(GAP)
    names = Names(out, [survey.carried.reference for survey in images], room)
    yield from names.told(out)
    for survey, size in zip(images, sizes, strict=True):
        carried = survey.carried
        evidence = len({found.digest for lookup in carried.lookups for found in lookup.found} & carried.documents.keys())
        name, digest = names.cell(carried.reference), carried.root.encoded[:DIGITS]
        yield GAP.join([state, name, digest, f"{size:>{wide}}", f"evidence {evidence}"])
        if out.verbose:
            yield f"{'':{INDENT}}{escaped(str(carried.reference))}"
            yield f"{'':{INDENT}}{carried.root}"
            yield f"{'':{INDENT}}{counted(evidence, 'piece')} of evidence; {escaped(', '.join(carried.platforms)) or 'no platform'}"
