"""Some images of a bundle, as an OCI layout, without reading the rest."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bundler.bundle.archive import Archive
from bundler.content.layout import Layout
from bundler.errors import Code, IncompleteError
from bundler.stations.places import reference_of
from bundler.stations.placing import Placer, name
from bundler.stations.report import Report
from bundler.stations.truststore import Trust
from bundler.stations.verifier import prove


def extract(
    archive: Archive,
    references: Sequence[str],
    folder: Path,
    trust: Trust,
    *,
    at: datetime,
    jobs: int,
    progress: Callable[[int], None],
) -> Report:
    """Judge the seal and the images named, and if all pass write them with their evidence to the layout ``folder``.

    Raises IncompleteError (``image.missing``) for what the bundle does not carry, and as :func:`prove`.
    """
    wanted = {reference_of(text).carried for text in references}
    proved = prove(archive, trust, at=at, jobs=jobs, progress=progress, only=lambda entry: entry.reference in wanted)
    if proved.content is None or not proved.report.passed:
        return proved.report
    if missing := wanted - {image.carried.reference for image in proved.admitted}:
        carried = ", ".join(str(entry.reference) for entry in proved.content.seal.images[:20])
        raise IncompleteError(f"the bundle does not carry {', '.join(map(str, sorted(missing)))}", code=Code.IMAGE_MISSING, found=carried)
    content, layout = proved.content, Layout(folder, create=True)
    placer = Placer(lambda blob: content.chunks(blob.digest), jobs=jobs, report=progress)
    remarks: list[str] = []
    for image in proved.admitted:
        sink = layout.repository(image.carried.reference)
        remarks += placer.place(image, sink, path=image.carried.reference.path).remarks
        name(image, sink)
    return replace(proved.report, remarks=tuple(remarks))
