"""Filling a registry with what was admitted: asked about first, pushed whole, named last."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from bundler.bundle.archive import Content
from bundler.bundle.seal import Seal
from bundler.content.store import Over, Sink
from bundler.content.stream import side_by_side
from bundler.errors import SOME_REFUSED, BundlerError, Code, ConflictError, FormatError, IntegrityError, TransportError, UsageError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.stations.attaching import Attaching
from bundler.stations.carried import Admitted
from bundler.stations.elsewhere import find
from bundler.stations.merging import Joins
from bundler.stations.placing import Placement, PlacementResult, Placer, lacks_platforms
from bundler.stations.report import Progress, Report, State
from bundler.stations.verifier import Proved, prove_rest


@dataclass(frozen=True, slots=True)
class Destination:
    """``REGISTRY[/PREFIX]``, and how names are mapped below it."""

    registry: str
    prefix: str
    maps: Mapping[str, str]
    """FROM to TO, whole components; the longest FROM that fits wins; TO may be empty."""

    @classmethod
    def parse(cls, text: str, maps: Sequence[str] = ()) -> "Destination":
        """Raises UsageError (``usage.reference``)."""
        registry, _, prefix = text.removeprefix("docker://").strip("/").partition("/")
        rules: dict[str, str] = {}
        for rule in maps:
            source, equals, target = rule.partition("=")
            if not equals or not source.strip("/"):
                raise UsageError("--map is not well-formed", found=ascii(rule), wanted="FROM=TO")
            if rules.setdefault(source.strip("/"), target.strip("/")) != target.strip("/"):
                raise UsageError("--map says two things of one name", found=ascii(source))
        destination = cls(registry=registry.lower(), prefix=prefix, maps=rules)
        try:
            Reference(destination.registry, destination._path("x"), tag="x")
        except BundlerError as error:
            raise UsageError(
                "the destination is not well-formed", code=Code.USAGE_REFERENCE, found=ascii(text), wanted="REGISTRY[/PREFIX]"
            ) from error
        return destination

    def __str__(self) -> str:
        return f"{self.registry}/{self.prefix}".rstrip("/")

    def of(self, reference: Reference) -> Reference:
        """Where ``reference`` goes: below the prefix, under its own host and path unless a map says otherwise.

        Raises UsageError (``usage.reference``) where a map leaves no name.
        """
        source = reference.repository
        best = max((rule for rule in self.maps if f"{source}/".startswith(f"{rule}/")), key=len, default=None)
        if best is None:
            below = source.replace(":", "-")
        else:
            below = "/".join(part for part in (self.maps[best], source[len(best) :].strip("/")) if part)
        try:
            return Reference(self.registry, self._path(below), reference.tag, None if reference.tag else reference.digest)
        except BundlerError as error:
            raise UsageError(
                f"{reference} has no name at the destination",
                code=Code.USAGE_REFERENCE,
                found=ascii(f"{self.registry}/{self._path(below)}"),
                wanted="a repository path",
                next="give it one with --map FROM=TO",
            ) from error

    def below(self, path: str) -> Reference:
        """A name in the repository of that path, whatever its prefix."""
        return Reference(self.registry, path, tag="x")

    def unused(self, references: Sequence[Reference]) -> list[str]:
        """The FROMs that no reference begins with: slips, most of them."""
        return [rule for rule in self.maps if not any(f"{r.repository}/".startswith(f"{rule}/") for r in references)]

    def _path(self, below: str) -> str:
        return "/".join(part for part in (self.prefix, below) if part)


@dataclass(frozen=True, slots=True)
class Target:
    """One image and where it goes."""

    image: Admitted
    destination: Reference
    there: Digest | str | None = None
    """What has the name there: a digest, or why that is not an image; None where nothing has it."""

    @property
    def state(self) -> State:
        """What naming the image changes there."""
        if self.there is None:
            return State.NEW
        return State.SAME if self.there == self.image.root else State.MOVED

    @property
    def is_named(self) -> bool:
        """Whether the tag is on the image already. A digest says less: what is below may not have come whole."""
        return self.destination.tag is not None and self.state is State.SAME


Repositories = Callable[[Reference], Sink]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to."""

    report: Report
    sent: int = 0
    """Bytes of blobs that were sent; in a dry run, would be."""
    blobs: int = 0
    there: int = 0
    """Blobs that the destination had already."""

    @classmethod
    def of(cls, report: Report, targets: Sequence[Target], placed: Sequence[PlacementResult]) -> "Imported":
        """With what became of each target."""
        went = {t.image.reference: (t.destination, t.state, tuple(done.remarks)) for t, done in zip(targets, placed, strict=True)}
        return cls(
            report.after(went),
            sent=sum(one.sent for one in placed),
            blobs=sum(one.blobs for one in placed),
            there=sum(one.there for one in placed),
        )

    @property
    def exit(self) -> int:
        """0, or 9 where other images of the bundle were refused; of a bundle that turned out to be damaged, what that is."""
        if self.report.content is not None and not self.report.content.passed:
            return self.report.exit
        return SOME_REFUSED if self.report.exit else 0


def import_admitted(
    proved: Proved,
    destination: Destination,
    repositories: Repositories,
    *,
    jobs: int,
    overwrite: bool,
    dry_run: bool,
    progress: Progress,
    accept: Callable[[Seal, Digest], object] = lambda *_: None,
    attach: Attaching | None = None,
    earlier: Sequence[Content] = (),
    held: Callable[[], Mapping[Digest, Sequence[str]]] = dict,
) -> Imported:
    """Fill the registry with the images that were admitted; with ``dry_run``, ask it what would be sent, and change nothing.

    What the bundle leaves out is found first, as :func:`bundler.stations.elsewhere.find` does with ``earlier`` and ``held``.
    ``accept`` is told of the seal and the bundle's identity once everything is proven, and before the first manifest is put: what
    it raises ends the import there.

    What was not read before is read once: each blob is hashed while it is sent, or read all the same where it is there. Only
    when every byte of the bundle is proven is anything put that names a blob; of a bundle that is damaged the report says so,
    and what was left is blobs without a name, each of which is what its digest says. ``attach`` says of each image beside it that it
    was let in.

    Raises as :func:`plan`, :func:`find`, :func:`prove_rest` and :meth:`Placer.place`; in a dry run TransportError
    (``registry.credentials``) where it is known that nothing may be put.
    """
    content = proved.content
    assert content is not None
    opened = OncePerRepository(repositories)
    targets = plan(proved.admitted, destination, opened, overwrite=overwrite, jobs=jobs)
    places = [
        Placement(target.image, opened(target.destination), target.destination.path, named=target.is_named and not overwrite)
        for target in targets
    ]
    elsewhere = find(content, places, earlier, held=held, opened=lambda path: opened(destination.below(path)), jobs=jobs)
    with progress("verified" if dry_run else "imported", content.size_of_blobs + elsewhere.size) as report:
        prove, joins = proved.report.content is None, Joins()
        chunks = elsewhere.before(attach.chunks if attach is not None else lambda blob: content.chunks(blob.digest))
        placer = Placer(chunks, joins=joins, jobs=jobs, report=report, prove=prove, dry=dry_run, add=attach, homes=elsewhere.homes)
        sent, fault = _sent(placer, places)
        if dry_run and fault is None:
            _foresee(targets, places, sent)
        proved = prove_rest(proved, jobs=jobs, progress=lambda *_: nullcontext(report))
        if not proved.admitted:
            return Imported(proved.report)
        if fault is not None:  # of the registry, or of a medium that gives other bytes now
            raise fault
        placed = tuple(sent)
        if not dry_run:
            elsewhere.settle(jobs=jobs)
            accept(content.seal, content.identity)
            targets, placed = fill(targets, places, placer, sent, joins=joins, overwrite=overwrite, jobs=jobs)
    return Imported.of(proved.report, targets, placed)


def plan(
    images: Sequence[Admitted], destination: Destination, repositories: Repositories, *, overwrite: bool, jobs: int
) -> tuple[Target, ...]:
    """Ask before writing: where each image goes and what lies there.

    Raises ConflictError (``name.conflict``) that lists all conflicts together, unless ``overwrite``; two repositories of the
    bundle that end at one are one always, for each was judged by its own rule, and their evidence would mix.
    """
    targets = [Target(image, destination.of(image.reference)) for image in images]
    _refuse(_collisions(targets), next="send them apart with --map FROM=TO")
    asked = side_by_side(lambda target: _asked(target, repositories(target.destination)), targets, jobs=jobs)
    seen = tuple(Target(t.image, t.destination, there) for t, there in zip(targets, asked, strict=True))
    if not overwrite:
        taken = [f"{t.destination} is {t.there}, and would become {t.image.root}" for t in seen if t.state is State.MOVED]
        _refuse(taken, next="replace what is there with --replace, or send the images elsewhere with --map")
    return seen


def fill(
    targets: Sequence[Target],
    places: Sequence[Placement],
    placer: Placer,
    sent: Sequence[PlacementResult],
    *,
    joins: Joins,
    overwrite: bool,
    jobs: int,
) -> tuple[tuple[Target, ...], tuple[PlacementResult, ...]]:
    """Put every image's documents and evidence, whose blobs were ``sent``, then all the tags, and see that nothing was lost.
    Gives the targets with what had each name when it was put, and what was done for each.

    Raises ConflictError (``name.conflict``) for tags that came up since :func:`plan`, unless ``overwrite``, when all others are
    put; TransportError (``registry.lost``) for blobs that are not there; and as :meth:`Placer.place` and :meth:`Joins.settle`.
    """
    placed = tuple(placer.place(places, sent))

    def named(one: tuple[Target, Placement]) -> Target:
        target, place = one
        return target if target.destination.tag is None or target.is_named else _named(target, place, placer, overwrite=overwrite)

    done = tuple(side_by_side(named, zip(targets, places, strict=True), jobs=jobs))
    joins.settle(jobs=jobs)
    _refuse_losses(places, placed, jobs=jobs)
    if not overwrite:
        taken = [f"{target.destination} is {target.there} now" for target in done if target.state is State.MOVED]
        _refuse(taken, next="replace what is there with --replace, or send the images elsewhere with --map")
    return done, placed


def _named(target: Target, place: Placement, placer: Placer, *, overwrite: bool) -> Target:
    """Put the tag, and say what it was then, for others may write while an import runs. What is another image's is left so unless
    ``overwrite``."""
    overtaken = False
    while True:
        now = replace(target, there=_asked(target, place.sink))
        if now.state is State.SAME or (now.state is State.MOVED and not overwrite):
            return now
        over = None if isinstance(now.there, str) or (overwrite and overtaken) else Over(now.there)
        try:
            placer.name(place, over=over)
        except ConflictError:
            if overtaken:
                raise
            overtaken = True
        else:
            return now


def _sent(placer: Placer, places: Sequence[Placement]) -> tuple[list[PlacementResult], FormatError | IntegrityError | None]:
    """What was done for each image, or what ended it: of bytes that are not a blob's, the bundle's own report says more."""
    try:
        return placer.send(places), None
    except (FormatError, IntegrityError) as error:
        return [], error


def _foresee(targets: Sequence[Target], places: Sequence[Placement], asked: Sequence[PlacementResult]) -> None:
    """What an import would be refused, as far as that is known without trying. Remarks go to what was ``asked``.

    Raises TransportError (``registry.credentials``).
    """
    for target, place, would in zip(targets, places, asked, strict=True):
        if target.state is State.SAME and not would.blobs:
            continue
        if place.sink.denied is not None:
            raise place.sink.denied
        if target.state is not State.SAME and lacks_platforms(place):
            registry = target.destination.registry
            would.remarks.append(f"the index lacks platforms or parts that it lists, and {registry} may refuse it (registry.sparse-index)")


def _refuse_losses(places: Sequence[Placement], placed: Sequence[PlacementResult], *, jobs: int) -> None:
    """Ask for each blob of what was put once, wherever nobody looked whether the manifests' blobs are there."""
    wanted: dict[tuple[str, Digest], tuple[Sink, Descriptor]] = {}
    for place, done in zip(places, placed, strict=True):
        if place.sink.checks:
            continue
        carried = place.image.carried()
        documents = carried.entering(place.image.verdict.admitted)
        put = [document for document in documents if done.seen is None or document.digest not in done.seen[0] | done.seen[1]]
        blobs = (blob for document in put for blob in document.carries if not blob.foreign and blob.digest not in carried.absent)
        wanted |= {(place.path, blob.digest): (place.sink, blob) for blob in blobs}
    asked = side_by_side(lambda each: each[0].has(each[1]), wanted.values(), jobs=jobs)
    lost = [f"{sink.title}@{blob.digest}" for (sink, blob), has in zip(wanted.values(), asked, strict=True) if not has]
    if lost:
        raise TransportError(
            "the registry took what it does not have now",
            code=Code.REGISTRY_LOST,
            found=f"not there: {', '.join(lost)}",
            next="look at the registry's own log and storage, then run the same command again",
        )


class OncePerRepository:
    """The same repository object for the same repository, whoever asks."""

    def __init__(self, opened: Repositories) -> None:
        self._opened = opened
        self._known: dict[str, Sink] = {}

    def __call__(self, reference: Reference) -> Sink:
        known = self._known.get(reference.repository)
        return known or self._known.setdefault(reference.repository, self._opened(reference))  # atomic, so threads agree


def _asked(target: Target, sink: Sink) -> Digest | str | None:
    """What has the target's name there now, as :attr:`Target.there` has it."""
    try:
        there = sink.document(target.destination.tag or target.image.root)
    except FormatError as error:
        return f"something that cannot be carried ({error})"
    return None if there is None else there.digest


def _collisions(targets: Sequence[Target]) -> list[str]:
    first: dict[str, str] = {}
    clashes: dict[str, None] = {}
    for target in targets:
        repository, goes = target.image.reference.repository, target.destination.repository
        other = first.setdefault(goes, repository)
        if other != repository:
            clashes.setdefault(f"{repository} and {other} both become {goes}")
    return list(clashes)


def _refuse(conflicts: list[str], *, next: str) -> None:  # noqa: A002 - as in BundlerError
    if conflicts:
        raise ConflictError("names at the destination are taken", code=Code.NAME_CONFLICT, found="; ".join(conflicts), next=next)
