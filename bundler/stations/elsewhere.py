"""What a delta leaves out, found before anything is pushed: at the destination, or in earlier bundles (bundle-v1.md, section 10).

A layer counts as found where the repository that needs it has it, where another repository of the same registry has it, or
where an earlier bundle holds it. Whatever comes from there is compared with digest and size on its way.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bundler.bundle.archive import Content
from bundler.content.store import Sink
from bundler.content.stream import side_by_side, verified
from bundler.errors import Code, IncompleteError, TransportError, naming
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.stations.placing import Chunks, Placement

MAX_ASKED = 4_000  # questions about what no receipt and no earlier bundle knows: at 50 a second, more than a minute
MAX_SAID = 100  # lines: a screen scrolls past more
_NAMED = 8  # digests that an error has room for

Open = Callable[[str], Sink]
"""The repository of that path at the destination."""


class MissingError(IncompleteError):
    """Layers that were found nowhere (``base.missing``)."""

    def __init__(self, blobs: Sequence[Descriptor], base: Sequence[Digest]) -> None:
        named = ", ".join(f"{blob.digest} ({blob.size} bytes)" for blob in blobs[:_NAMED])
        more = f" and {len(blobs) - _NAMED} more" if len(blobs) > _NAMED else ""
        super().__init__(
            "the bundle leaves out layers that are neither at the destination nor in an earlier bundle that was named",
            code=Code.BASE_MISSING,
            found=f"not there: {named}{more}",
            wanted=f"what these bundles brought: {', '.join(map(str, base))}",
            next="import those first or name their files with --from, else ask the exporter for a bundle without --base",
        )
        self.blobs = tuple(blobs)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The layers that a delta leaves out, and where each was found."""

    base: Sequence[Digest] = ()
    wanted: Mapping[tuple[str, Digest], tuple[Sink, Descriptor]] = field(default_factory=dict)
    """By path of the repository that needs it, and by digest."""
    homes: Mapping[Digest, tuple[str, ...]] = field(default_factory=dict)
    """For each of the layers, the paths of the repositories that have it; none where an earlier bundle holds it."""
    sinks: Mapping[str, Sink] = field(default_factory=dict)
    earlier: Mapping[Digest, Content] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all of them, each as often as it is needed."""
        return sum(blob.size for _, blob in self.wanted.values())

    def before(self, chunks: Chunks) -> Chunks:
        """The bytes of a blob from where it was found, and of what lies here as ``chunks`` gives them."""
        return lambda blob: self.chunks(blob) if blob.digest in self.homes else chunks(blob)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """The layer's bytes, from an earlier bundle, else from a repository that had it. Raises MissingError, and as both."""
        if (bundle := self.earlier.get(blob.digest)) is not None:
            yield from bundle.chunks(blob.digest)
            return
        for path in self.homes[blob.digest]:
            sink = self.sinks[path]
            if sink.has(blob):
                with naming(sink.title):  # that its bytes are other ones says nothing about the bundle
                    yield from verified(blob, sink.chunks(blob))
                return
        raise MissingError([blob], self.base)

    def settle(self, *, jobs: int) -> None:
        """Ask once more for every layer, before a manifest names it; one that was lost meanwhile is put from where else it is.

        Raises MissingError, TransportError.
        """
        for _ in side_by_side(lambda one: self._settle(*one), self.wanted.values(), jobs=jobs):
            pass

    def _settle(self, sink: Sink, blob: Descriptor) -> None:
        if not sink.has(blob):
            sink.put(blob, lambda: self.chunks(blob))


@contextmanager
def named(say: Callable[[str], None]) -> Iterator[None]:
    """Say one by one what is missing, for an error has room for a few."""
    try:
        yield
    except MissingError as error:
        for blob in error.blobs[:MAX_SAID]:
            say(f"missing: {blob.digest}  {blob.size} bytes  {blob.media_type!a}")
        if len(error.blobs) > MAX_SAID:
            say(f"missing: {len(error.blobs) - MAX_SAID} more")
        raise


def find(
    content: Content,
    places: Sequence[Placement],
    earlier: Sequence[Content],
    *,
    held: Callable[[], Mapping[Digest, Sequence[str]]],
    opened: Open,
    jobs: int,
) -> Elsewhere:
    """Where each layer is that the bundle leaves out, and that an image of ``places`` needs; nothing is changed by it.

    ``held`` gives the paths of repositories of which a receipt says that they have a digest: asked, not believed.

    Raises MissingError, which names all that are found nowhere, and TransportError.
    """
    search = _Search(_wanted(content, places), {place.path: place.sink for place in places}, earlier, opened, jobs)
    search.where_needed()
    if search.left:
        known = held()
        search.among(lambda digest: known.get(digest, ()))
    if left := search.left:  # layers move from one repository to another: of the others of this run a few may be asked too
        others = list(search.sinks)[: max(1, MAX_ASKED // len(left))]
        search.among(lambda _: others)
    if left := search.left:
        raise MissingError([search.blobs[digest] for digest in left], content.seal.base)
    return Elsewhere(content.seal.base, search.wanted, search.homes, search.sinks, search.bundles)


def _wanted(content: Content, places: Sequence[Placement]) -> dict[tuple[str, Digest], tuple[Sink, Descriptor]]:
    """Which repository needs which of the layers that the bundle leaves out."""
    left = {each.digest for each in content.seal.elsewhere}
    wanted: dict[tuple[str, Digest], tuple[Sink, Descriptor]] = {}
    for place in places if left else ():
        for document in place.image.carried().entering(place.image.verdict.admitted):
            wanted |= {(place.path, blob.digest): (place.sink, blob) for blob in document.carries if blob.digest in left}
    return wanted


class _Search:
    """What is known of each wanted layer while it is looked for."""

    def __init__(
        self,
        wanted: Mapping[tuple[str, Digest], tuple[Sink, Descriptor]],
        sinks: dict[str, Sink],
        earlier: Sequence[Content],
        opened: Open,
        jobs: int,
    ) -> None:
        self.wanted = wanted
        self.sinks = sinks
        self.blobs = {blob.digest: blob for _, blob in wanted.values()}
        self.homes: dict[Digest, tuple[str, ...]] = dict.fromkeys(self.blobs, ())
        self.bundles = {digest: bundle for digest, blob in self.blobs.items() for bundle in earlier if _holds(bundle, blob)}
        self._opened = opened
        self._jobs = jobs

    @property
    def left(self) -> list[Digest]:
        """What is found nowhere so far."""
        return [digest for digest, paths in self.homes.items() if not paths and digest not in self.bundles]

    def where_needed(self) -> None:
        """Ask each repository for what goes there."""
        answers = side_by_side(lambda one: one[0].has(one[1]), self.wanted.values(), jobs=self._jobs)
        for (path, digest), has in zip(self.wanted, answers, strict=True):
            self.homes[digest] += (path,) if has else ()

    def among(self, paths: Callable[[Digest], Sequence[str]]) -> None:
        """Ask these other repositories for what is left, for each layer until one has it."""

        def home(digest: Digest) -> tuple[str, ...]:
            return next(((path,) for path in paths(digest) if self._is_there(path, self.blobs[digest])), ())

        left = self.left
        self.homes |= zip(left, side_by_side(home, left, jobs=self._jobs), strict=True)

    def _is_there(self, path: str, blob: Descriptor) -> bool:
        """Whether a repository has it that nothing goes to; one that we may not ask does not help, and does no harm."""
        sink = self.sinks.get(path) or self.sinks.setdefault(path, self._opened(path))  # atomic, so threads agree
        try:
            return sink.has(blob)
        except TransportError as error:
            if error.code is not Code.REGISTRY_CREDENTIALS:
                raise
            return False


def _holds(bundle: Content, blob: Descriptor) -> bool:
    return bundle.has(blob.digest) and bundle.member(blob.digest).size == blob.size
