"""Some images of a bundle, as an OCI layout, without reading the rest."""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from bundler.bundle.archive import Archive, Content
from bundler.bundle.seal import ImageEntry
from bundler.content.files import check_space
from bundler.content.layout import Layout
from bundler.errors import Code, ConflictError, IncompleteError
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.stations.carried import Admitted
from bundler.stations.elsewhere import find
from bundler.stations.merging import Joins
from bundler.stations.places import reference_of
from bundler.stations.placing import Placement, Placer
from bundler.stations.report import Progress, Report
from bundler.stations.station import Station
from bundler.stations.verifier import prove_some


def extract(
    archive: Archive,
    references: Sequence[str],
    folder: Path,
    station: Station,
    *,
    at: datetime,
    jobs: int,
    progress: Progress,
    earlier: Sequence[Content] = (),
) -> Report:
    """Judge the seal and the images named, and if all pass write them with their evidence to the layout ``folder``.

    Its ``index.json`` is written once, when everything that it leads to is there: what is cut off before lists nothing new.

    What the bundle leaves out is taken from ``earlier`` ones, where the layout does not have it.

    Raises IncompleteError (``image.missing``, ``base.missing``) for what is not there, ConflictError (``name.conflict``) where the
    layout has something else under one of the names, TransportError (``disk.full``) where there is not room for all of it, and
    as :func:`prove_some`.
    """
    wanted = {reference_of(text) for text in references}
    proved = prove_some(archive, station, lambda entry: any(_is(entry, reference) for reference in wanted), at=at)
    content = proved.content
    if content is None or not proved.report.passed:
        return proved.report
    _check_carried(wanted, content.seal.images)
    with Layout.at(folder, create=True) as layout, layout.listed_at_once():  # which removes what a killed run left: that is room too
        _check_free(layout, proved.admitted)
        check_space(folder, _needed(layout, proved.admitted), what=f"{folder} has not enough room for what is extracted")
        total = sum(blob.size for image in proved.admitted for blob in image.carried().blobs)
        places = [Placement(image, layout.repository(image.reference), image.reference.path) for image in proved.admitted]
        elsewhere = find(content, places, earlier, held=dict, opened=lambda _: places[0].sink, jobs=jobs)
        with progress("extracted", total) as report:
            placer = Placer(
                elsewhere.before(lambda blob: content.chunks(blob.digest)), joins=Joins(), jobs=jobs, report=report, homes=elsewhere.homes
            )
            remarks = {place.image.reference: _placed(placer, place) for place in places}
    return proved.report.after({reference: (None, None, said) for reference, said in remarks.items()})


def _is(entry: ImageEntry, reference: Reference) -> bool:
    """Whether it is the one that is meant: by its name, by its digest, or by both."""
    if reference.digest is not None and reference.digest != entry.digest:
        return False
    named = reference.carried == entry.reference
    return named or (reference.tag is None and reference.repository == entry.reference.repository)


def _check_carried(wanted: Collection[Reference], images: Sequence[ImageEntry]) -> None:
    missing = [reference for reference in sorted(wanted, key=str) if not any(_is(entry, reference) for entry in images)]
    if missing:
        raise IncompleteError(
            f"the bundle does not carry {', '.join(map(str, missing))}",
            code=Code.IMAGE_MISSING,
            found=", ".join(f"{entry.reference} ({entry.digest})" for entry in images[:20]),
        )


def _check_free(layout: Layout, images: Sequence[Admitted]) -> None:
    taken = []
    for image in images:
        tag = image.reference.tag
        there = layout.repository(image.reference).document(tag) if tag else None
        taken += [f"{image.reference} is {there.digest}"] if there is not None and there.digest != image.root else []
    if taken:
        raise ConflictError("names in the layout are taken", found="; ".join(taken), next="choose another folder")


def _needed(layout: Layout, images: Sequence[Admitted]) -> int:
    """Bytes that will be written: of what the images are made of, each once, and what the layout lacks."""
    sizes: dict[Digest, int] = {}
    for image in images:
        carried = image.carried()
        documents = carried.entering(image.verdict.admitted)
        for descriptor in [d for document in documents for d in (document.descriptor, *document.carries)]:
            if descriptor.digest not in sizes and descriptor.digest not in carried.absent:
                sizes[descriptor.digest] = 0 if layout.has(descriptor) else descriptor.size
    return sum(sizes.values())


def _placed(placer: Placer, place: Placement) -> tuple[str, ...]:
    [placed] = placer.place([place], placer.send([place]))
    placer.name(place)
    return tuple(placed.remarks)
