"""Proving a bundle: first who, then what, then every byte. Or proving images where they lie."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bundler.bundle.archive import Archive, Content
from bundler.bundle.layout import walk
from bundler.bundle.seal import ImageEntry, Seal, looked_up, time
from bundler.errors import Code, FormatError, IntegrityError
from bundler.oci.descriptor import Descriptor
from bundler.stations.carried import Admitted, Carried
from bundler.stations.report import BundleFacts, ContentReport, ImageReport, Report, SealReport, TrustUsed
from bundler.stations.survey import Survey
from bundler.stations.truststore import Trust
from bundler.trust.judge import judge
from bundler.trust.seal import OpenedSeal, may_seal, open_seal

CLOCKS_APART = timedelta(hours=24)  # two clocks that nobody has set for years are still closer than this

Chunks = Callable[[Descriptor], Iterator[bytes]]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Proved:
    """What is known of a bundle once it was looked at, and what of it may be used."""

    report: Report
    admitted: tuple[Admitted, ...] = ()
    """The images whose verdict passed. Empty unless the seal and, where it was read, the content passed too."""
    content: Content | None = None


def prove(
    archive: Archive,
    trust: Trust,
    *,
    at: datetime,
    jobs: int,
    progress: Progress,
    only: Callable[[ImageEntry], bool] | None = None,
) -> Proved:
    """Judge the seal, every image, and every byte; with ``only``, the chosen images alone, and no more bytes than they need.

    Raises FormatError for what the format does not allow, IntegrityError where the damage leaves nothing to judge.
    """
    used = TrustUsed(path=trust.path, digest=trust.policy.digest)
    opened = open_seal(trust.policy, archive.envelope.signatures, archive.envelope.signed)
    if not opened.met:
        return Proved(Report(trust=used, seal=SealReport(opened.signers, (Code.SEAL_SIGNATURE,), opened.details)))
    content = archive.sealed_by(archive.envelope.payload())
    seal = judge_seal(opened, content.seal, at=at)
    if not seal.passed:
        return Proved(Report(trust=used, seal=seal))
    report = Report(trust=used, bundle=facts(archive, content), seal=seal)
    chosen = [entry for entry in content.seal.images if only is None or only(entry)]
    if only is not None:
        judged = [_judged(content, entry, trust, at=at) for entry in chosen]
        return _proved(replace(report, images=tuple(image for _, image in judged)), judged, content)
    checked = content.verify(jobs=jobs, report=progress)
    whole = ContentReport(members=checked.members, size=checked.bytes, faults=checked.faults)
    report = replace(report, content=whole)
    if any(fault.exit == FormatError.exit for fault in checked.faults):
        raise next(fault for fault in checked.faults if fault.exit == FormatError.exit)
    try:
        judged = [_judged(content, entry, trust, at=at) for entry in chosen]
    except IntegrityError:
        if checked.passed:
            raise
        return Proved(report)  # what the images need is among what is damaged, and the faults say so
    return _proved(replace(report, images=tuple(image for _, image in judged)), judged, content)


def prove_survey(survey: Survey, trust: Trust, *, at: datetime) -> ImageReport:
    """Judge an image where it lies."""
    return image_report(survey.carried, survey.source.chunks, trust, at=at, remarks=survey.remarks)


def image_report(carried: Carried, chunks: Chunks, trust: Trust, *, at: datetime, remarks: Sequence[str] = ()) -> ImageReport:
    """The verdict on an image from anywhere, with what is carried of it."""
    verdict = judge(trust.policy, carried.image(chunks), carried.evidences(chunks), at=at)
    return ImageReport(
        verdict=verdict,
        media_type=carried.documents[carried.root].descriptor.media_type,
        platforms=carried.platforms,
        left_out=carried.left_out,
        remarks=tuple(remarks),
    )


def judge_seal(opened: OpenedSeal, seal: Seal, *, at: datetime) -> SealReport:
    """Whether those who sealed the bundle may send this one here, now."""
    refused = dict(may_seal(opened, seal.stream, {image.reference.repository for image in seal.images}))
    if seal.station is not None:
        refused[Code.SEAL_STATION] = f"for the station {seal.station}; this one has no name yet"
    if seal.base is not None:
        refused[Code.BASE_MISSING] = f"it builds on {seal.base}; bases are not kept yet"
    if seal.requires_trust is not None:
        refused[Code.TRUST_SERIAL] = f"it asks for trust of serial {seal.requires_trust} or later, which is not compared yet"
    if seal.expires is not None and seal.expires <= at:
        refused[Code.TIME_EXPIRED] = f"good until {time(seal.expires)}, judged as of {time(at)}"
    if seal.created > at + CLOCKS_APART:
        refused[Code.TIME_FUTURE] = f"made {time(seal.created)}, judged as of {time(at)}"
    return SealReport(opened.signers, tuple(refused), tuple(refused.values()))


def facts(archive: Archive, content: Content) -> BundleFacts:
    """What the seal says of the bundle."""
    seal = content.seal
    return BundleFacts(
        identity=archive.envelope.identity,
        stream=seal.stream,
        sequence=seal.sequence,
        previous=seal.previous,
        created=time(seal.created),
        expires=time(seal.expires) if seal.expires else None,
    )


def _proved(report: Report, judged: Sequence[tuple[Carried, ImageReport]], content: Content) -> Proved:
    whole = report.content is None or report.content.passed
    admitted = tuple(Admitted(carried, image.verdict) for carried, image in judged if whole and image.verdict.passed)
    return Proved(report, admitted, content)


def _judged(content: Content, entry: ImageEntry, trust: Trust, *, at: datetime) -> tuple[Carried, ImageReport]:
    walked = walk(entry, looked_up(content.seal.lookups), content.document)
    carried = Carried(
        reference=entry.reference,
        root=entry.digest,
        documents={document.digest: document for document in (*walked.own, *walked.evidence)},
        own=tuple(document.digest for document in walked.own),
        lookups=walked.lookups,
        platforms=entry.platforms,
        left_out=entry.left_out,
        absent=frozenset(foreign.digest for foreign in content.seal.left_out),
    )
    return carried, image_report(carried, lambda blob: content.chunks(blob.digest), trust, at=at)
