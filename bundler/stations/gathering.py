"""Which of the images that were asked for an export can carry, and of each other one why not."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from bundler.bundle.needs import check_digest
from bundler.errors import BundlerError, Code, TrustError, UsageError
from bundler.oci.descriptor import Platform
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.stations.apart import apart
from bundler.stations.cache import Cache
from bundler.stations.places import Failure, ImageArgument, Places, refuse_evidence, refuse_name_of_evidence
from bundler.stations.report import ImageReport
from bundler.stations.survey import Survey, survey_image
from bundler.stations.truststore import Trust
from bundler.stations.verifier import prove_survey
from bundler.trust.verdict import Outcome

_OF_THE_PLATFORM = "sign each platform too, with `oci-bundler sign --recursive`, or carry the whole index, without --by-digest"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which parts of the images are wanted, and what they have to pass."""

    platforms: Sequence[Platform] = ()
    by_digest: bool = False
    """Whether the ``platforms`` go without their index, each by itself."""
    leave: Collection[Digest] = frozenset()
    trust: Trust | None = None
    allow_unsigned: bool = False


@dataclass(frozen=True, slots=True)
class Good:
    """An image that can be carried, and the verdict on it where there is trust."""

    survey: Survey
    report: ImageReport | None


def gather(
    places: Places, images: Sequence[ImageArgument], cache: Cache, choice: Choice, *, at: datetime, jobs: int, say: Callable[[str], None]
) -> tuple[list[Good], list[Failure]]:
    """Find each image and all about it, and judge it if there is trust. One that cannot be carried keeps no other from it.

    Raises TransportError (``disk.io``, ``disk.full``) of the cache's disk, which is not a matter of one image.
    """
    each = max(1, jobs // len(images))

    def one(image: ImageArgument) -> tuple[ImageArgument, list[Good]]:
        refuse_name_of_evidence(image)
        found = survey_image(places, image, cache, platforms=choice.platforms, leave=choice.leave, jobs=each, say=say)
        parts = apart(found, choice.platforms, renamed=image.is_renamed) if choice.by_digest else (found,)
        return image, [_checked(part, choice, at=at) for part in parts]

    good, failed = places.each(images, one, jobs=jobs, ends=_ends)
    conflicts = _conflicts([(image, part.survey) for image, parts in good for part in parts])
    failed += [Failure(image.text, conflicts[image]) for image, _ in good if image in conflicts]
    position = {image.text: number for number, image in enumerate(images)}
    failed.sort(key=lambda failure: position[failure.image])
    return [part for image, parts in good if image not in conflicts for part in parts], failed


def _ends(image: ImageArgument, error: BundlerError) -> bool:
    """An image at a registry touches no disk but the cache's."""
    return error.code is Code.DISK_FULL or (error.code is Code.DISK_IO and not image.is_local)


def _checked(survey: Survey, choice: Choice, *, at: datetime) -> Good:
    """Raises TrustError (``signature.missing``, or the verdict's reason), UsageError (``usage.reference``) for a name that is one for
    evidence, FormatError (``format.digest``) for what no bundle can carry, and what the source raises."""
    carried = survey.carried
    refuse_evidence(carried.reference)
    if not carried.is_signed and not choice.allow_unsigned:
        raise _unsigned(survey)
    for digest in chain(carried.documents, (blob.digest for document in carried.documents.values() for blob in document.carries)):
        check_digest(digest)
    return Good(survey, _judged(survey, choice.trust, at=at) if choice.trust else None)


def _unsigned(survey: Survey) -> TrustError:
    wanted = "a cosign .sig or .att, a Sigstore bundle or a Notation signature, on it or on a part of it"
    if survey.index is None:
        return TrustError(
            f"nothing signed was found about {survey.carried.reference}",
            code=Code.SIGNATURE_MISSING,
            wanted=wanted,
            next="sign it, or carry it as it is with --allow-unsigned",
        )
    return TrustError(
        f"{survey.carried.reference}, a platform of {survey.index.reference}, is not signed itself",
        code=Code.SIGNATURE_MISSING,
        found=f"nothing signed about {survey.carried.root}; what is about its index does not go with it",
        wanted=wanted,
        next=f"{_OF_THE_PLATFORM}; or carry it as it is with --allow-unsigned",
    )


def _judged(survey: Survey, trust: Trust, *, at: datetime) -> ImageReport:
    report = prove_survey(survey, trust, at=at)
    if not report.verdict.passed:
        alone = survey.index is not None and report.verdict.reasons[0] in (Code.POLICY_THRESHOLD, Code.POLICY_ATTESTATION)
        failed = "; ".join(f"{c.name}: {c.detail}" for c in report.verdict.checks if c.outcome is Outcome.FAILED)
        raise TrustError(
            f"{survey.carried.reference} does not pass this side's trust at {trust.path}",
            code=report.verdict.reasons[0],
            found=failed or "nothing that counts",
            wanted=f"what the rule {report.verdict.rule} asks for" if report.verdict.rule else "a rule that covers it",
            next=_OF_THE_PLATFORM if alone else "look at it with `oci-bundler verify`, and mend its signatures or the rule",
        )
    return report


def _conflicts(found: Sequence[tuple[ImageArgument, Survey]]) -> Mapping[ImageArgument, UsageError]:
    """The images that would go under a name that another one would have too: none of them, for nobody knows which is meant."""
    named: dict[Reference, dict[Digest, None]] = {}
    for _, survey in found:
        named.setdefault(survey.carried.reference, {}).setdefault(survey.carried.root)
    return {
        image: UsageError(
            f"two images would be carried as {reference}",
            code=Code.USAGE_REFERENCE,
            found=" and ".join(map(str, named[reference])),
            next="give one of them another name with --as, or in the second column of the list",
        )
        for image, survey in reversed(found)
        for reference in [survey.carried.reference]
        if len(named[reference]) > 1
    }
