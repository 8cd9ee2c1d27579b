"""Proving a bundle: first who, then what, then every byte. Or proving images where they lie."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from bundler.bundle.archive import Archive, Content
from bundler.bundle.seal import ImageEntry, Seal, time
from bundler.content.stream import side_by_side
from bundler.errors import BundlerError, Code, FormatError, IntegrityError
from bundler.ledger.order import Standing
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.stations.cache import Cache
from bundler.stations.carried import Admitted, Carried, left_blobs
from bundler.stations.places import ImageArgument, Places
from bundler.stations.report import BundleFacts, ContentReport, ImageReport, Progress, Report, SealReport, TrustUsed
from bundler.stations.station import Station
from bundler.stations.survey import Survey, survey_image
from bundler.stations.truststore import Trust
from bundler.trust.judge import judge
from bundler.trust.policy import Naming
from bundler.trust.sealtrust import OpenedSeal, may_seal, open_seal

CLOCKS_APART = timedelta(hours=24)  # two clocks that nobody has set for years are still closer than this

Chunks = Callable[[Descriptor], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Proved:
    """What is known of a bundle once it was looked at, and what of it may be used."""

    report: Report
    admitted: tuple[Admitted, ...] = ()
    """The images whose verdict passed. Empty unless the seal and, where it was read, the content passed too."""
    content: Content | None = None
    """What they are made of; None where the seal did not pass."""
    fault: BundlerError | None = None
    """What was found wrong before everything was read."""
    refused: Content | None = None
    """What was sealed by those who may seal, and may not enter: for what a station writes down of it, and nothing else."""

    @property
    def sealed(self) -> Content | None:
        """What was sealed by those who may seal."""
        return self.content or self.refused


def prove(archive: Archive, station: Station, *, at: datetime | None, jobs: int, progress: Progress) -> Proved:
    """Judge the seal, then every image, then prove every byte. Raises as :func:`prove_documents` and :func:`prove_rest`."""
    return prove_rest(prove_documents(archive, station, at=at, jobs=jobs), jobs=jobs, progress=progress)


def prove_documents(archive: Archive, station: Station, *, at: datetime | None, jobs: int) -> Proved:
    """Judge the seal and, from what lies before the layers, every image; what is admitted may enter once the rest is proven.

    Judged as of ``at``; where that is None, as of the time at which those who sealed the bundle say that they made it.

    Raises FormatError for what the format does not allow, and TransportError (``disk.io``). Damage is a finding.
    """
    report, content = _opened(archive, station, at=at)
    if content is None or not _may_enter(report):
        return Proved(report, refused=content)
    contradiction = _contradiction(content)
    fault = next(iter(content.verify_documents(jobs=jobs).faults), None) or contradiction
    if fault is not None:
        return Proved(report, content=content, fault=fault)
    try:
        return _judged_all(report, content, content.seal.images, station.trust, at=at or content.seal.created)
    except (FormatError, IntegrityError) as error:  # evidence that is too large to be judged lies among the layers
        return Proved(report, content=content, fault=error)


def prove_rest(proved: Proved, *, jobs: int, progress: Progress) -> Proved:
    """Every byte that was not read to its end before. A bundle that is damaged admits nothing.

    Raises FormatError for what the format does not allow, and TransportError (``disk.io``).
    """
    content = proved.content
    if content is None or proved.report.content is not None:
        return proved
    with progress("verified", content.size_of_blobs) as report:
        checked = content.verify(jobs=jobs, report=report)
    faults = checked.faults or tuple(filter(None, [proved.fault]))
    for fault in faults:
        if isinstance(fault, FormatError):
            raise fault
    told = replace(proved.report, content=ContentReport(checked.members, checked.bytes, faults))
    if faults:  # what an image needs may be among what is damaged, and no other may enter
        return Proved(replace(told, images=()), content=content)
    return replace(proved, report=told)


def prove_some(archive: Archive, station: Station, wanted: Callable[[ImageEntry], bool], *, at: datetime) -> Proved:
    """Judge the seal and the ``wanted`` images, and read nothing else. Raises as :func:`prove`, and IntegrityError for damage."""
    report, content = _opened(archive, station, at=at)
    if content is None or not _may_enter(report):
        return Proved(report)
    return _judged_all(report, content, [entry for entry in content.seal.images if wanted(entry)], station.trust, at=at)


def prove_survey(survey: Survey, trust: Trust, *, at: datetime) -> ImageReport:
    """Judge an image where it lies."""
    return replace(_image_report(survey.carried, survey.source.chunks, trust, at=at), remarks=survey.remarks)


def prove_where_they_lie(
    places: Places, images: Sequence[ImageArgument], station: Station, *, at: datetime, jobs: int, say: Callable[[str], None]
) -> tuple[ImageReport, ...]:
    """Judge images where they lie, several at a time, in their order. Raises as :func:`bundler.stations.survey.survey_image`."""
    each = max(1, jobs // max(1, len(images)))

    def one(image: ImageArgument) -> ImageReport:
        return prove_survey(survey_image(places, image, Cache(None), leave=None, jobs=each, say=say), station.trust, at=at)

    return tuple(side_by_side(one, images, jobs=jobs))


def _opened(archive: Archive, station: Station, *, at: datetime | None) -> tuple[Report, Content | None]:
    """What the seal is worth; the content only where those who sealed it may seal, and to be used only where the seal passed."""
    used = TrustUsed.of(station.trust)
    opened = open_seal(station.trust.policy, archive.envelope.signatures, archive.envelope.signed)
    if not opened.met:
        seal = SealReport(opened.signers, (Code.SEAL_SIGNATURE,), opened.details, opened.names)
        return Report(trust=used, seal=seal, station=station.report()), None
    content = archive.sealed_by(archive.envelope.payload())
    at = at or content.seal.created
    told = station.report(content.seal, content.identity, at=at)
    seal = _judged_seal(opened, content.seal, station, None if told is None else told.standing, at=at)
    if not seal.passed:
        return Report(trust=used, seal=seal, station=told), content
    return Report(trust=used, bundle=_facts(content), seal=seal, station=told), content


def _may_enter(report: Report) -> bool:
    return report.seal is not None and report.seal.passed


def _contradiction(content: Content) -> IntegrityError | None:
    """What the documents and the seal that lists them do not agree about, and none can be right. Raises FormatError."""
    try:
        content.check_derived()
    except IntegrityError as error:
        return error
    return None


def _judged_seal(opened: OpenedSeal, seal: Seal, station: Station, standing: Standing | None, *, at: datetime) -> SealReport:
    """Whether those who sealed the bundle may send this one here, now."""
    refused = dict(may_seal(opened, seal.stream, {image.reference.repository for image in seal.images}))
    refused |= station.lacks(seal)
    if standing is not None and standing.code is not None and Code.SEAL_STREAM not in refused:  # else it speaks for no stream
        refused[standing.code] = standing.detail
    if seal.expires is not None and seal.expires <= at:
        refused[Code.TIME_EXPIRED] = f"good until {time(seal.expires)}, judged as of {time(at)}"
    if seal.created - at > CLOCKS_APART:  # the difference of two times is never too large, as a sum can be
        refused[Code.TIME_FUTURE] = f"made {time(seal.created)}, judged as of {time(at)}"
    return SealReport(opened.signers, tuple(refused), tuple(refused.values()), opened.names)


def _facts(content: Content) -> BundleFacts:
    seal = content.seal
    return BundleFacts(
        identity=content.identity,
        stream=seal.stream,
        sequence=seal.sequence,
        previous=seal.previous,
        created=time(seal.created),
        expires=time(seal.expires) if seal.expires else None,
        base=seal.base,
        elsewhere=len(seal.elsewhere),
        size_elsewhere=content.size_elsewhere,
    )


def _judged_all(report: Report, content: Content, images: Sequence[ImageEntry], trust: Trust, *, at: datetime) -> Proved:
    """Judge image after image, and keep of each no more than the verdict. One under many names is judged once for each rule."""
    absent = frozenset(foreign.digest for foreign in content.seal.left_out)
    judged: list[ImageReport] = []
    admitted: list[Admitted] = []
    known: dict[object, ImageReport] = {}
    for entry in images:
        read = partial(carried_of, content, entry, absent)
        sibling = (entry.reference.repository, entry.digest, entry.media_type, entry.left_out)  # all of its names have the same lookups
        image = known.get(sibling)
        if image is None:
            carried = read()
            asked = _asked(carried, trust)
            image = known.get(asked) or _image_report(carried, lambda blob: content.chunks(blob.digest), trust, at=at)
            known |= {sibling: image, asked: image}
        image = replace(image, platforms=entry.platforms, verdict=replace(image.verdict, reference=entry.reference))
        judged.append(image)
        admitted += [Admitted(image.verdict, read)] if image.verdict.passed else []
    return Proved(report=replace(report, images=tuple(judged)), admitted=tuple(admitted), content=content)


def _asked(carried: Carried, trust: Trust) -> object:
    """All that a verdict on the image follows from, beside trust and time; its repository only where that plays a part."""
    rule = trust.policy.rule_for(carried.reference.repository)
    named = carried.reference.repository if rule is None or rule.name is Naming.SIGNED else str(rule.scope)
    root = carried.documents[carried.root].descriptor
    return named, root.digest, root.media_type, carried.left_out, tuple((lookup.manifest, lookup.found) for lookup in carried.lookups)


def carried_of(content: Content, entry: ImageEntry, absent: frozenset[Digest]) -> Carried:
    """An image of a bundle; ``absent`` are the foreign layers that the seal says are left out. Raises as :meth:`Content.walk`."""
    walked = content.walk(entry)
    return Carried(
        reference=entry.reference,
        root=entry.digest,
        documents={document.digest: document for document in walked.documents},
        own=tuple(document.digest for document in walked.own),
        lookups=walked.lookups,
        platforms=entry.platforms,
        left_out=entry.left_out,
        absent=absent | left_blobs(entry.left_out, walked.documents),
    )


def _image_report(carried: Carried, chunks: Chunks, trust: Trust, *, at: datetime) -> ImageReport:
    """The verdict on an image from anywhere, with what is carried of it."""
    return ImageReport(
        verdict=judge(trust.policy, carried.image(chunks), carried.evidences(chunks), at=at),
        media_type=carried.documents[carried.root].descriptor.media_type,
        platforms=carried.platforms,
        left_out=carried.left_out,
    )
