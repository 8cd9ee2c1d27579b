"""Adding evidence to what a registry holds already: cosign's tags, and the lists of referrers.

Both are names that others write too, and one writer may read before another has written. So a name is put only over what was
read, where the registry can compare; elsewhere it is read again when the run ends, and joined again until it holds what came.
"""

import secrets
import time
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from bundler import strictjson
from bundler.content.store import Over, Sink
from bundler.content.stream import gathered, side_by_side
from bundler.errors import Code, ConflictError, FormatError, IncompleteError, TransportError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import MAX_DOCUMENT, MAX_LAYERS, Document, Index, Manifest
from bundler.trust.proven import NO_PLATFORM, borrows, named_layers, shape_of

RACES = 32  # how often a name is written because another writer comes between: of so many writers at once, the last one wins then
ROUNDS = 5  # how often all names are read again at the end, as long as one of them has to be written again
# Between the reading of a name and its writing lie at most five requests (a config asked for, begun, sent; the name put). At a
# registry that answers each in 200 ms that is one second, so whoever read before this run wrote has written when it is over.
# The rest is chance: two runs that overwrite each other do not wait alike.
PAUSE, JITTER = 1.0, 0.5  # seconds
MAX_JOINED = 64 << 20  # bytes of layers that are read to join two lists: some of the largest attestations, in memory one by one

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tagged:
    """What cosign's tag names now, and what is to be said about it."""

    names: Digest
    remarks: tuple[str, ...] = ()
    holds: bool = True
    """Whether it holds what came; where it does not, that has to be put by its digest."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What a tag shall name so that it holds what was there and what came."""

    document: Document
    config: tuple[Descriptor, bytes] | None = None
    """A blob that the document needs and that nobody has yet."""


def merged(theirs: Document, ours: Document, form: Form, read: Callable[[Descriptor], bytes]) -> Merged | None:
    """The document that holds the evidence of both, which may be one of them; None where these two may not be joined.

    Layers are compared as whole descriptors: theirs within ours gives ours; ours within theirs gives theirs; else a new
    manifest lists both, if all layers of both are proven to be evidence of one form, and so is what would be made: two manifests
    that nothing runs could else become one that is run. ``read`` gives the bytes of a blob of either.

    Raises FormatError (``limit.document`` where both together are more than a manifest may list), and what ``read`` raises.
    """
    if theirs.digest == ours.digest:
        return Merged(theirs)
    there, came = theirs.content, ours.content
    if not isinstance(there, Manifest) or not isinstance(came, Manifest) or form is Form.SBOM:  # cosign reads one SBOM there
        return None
    have, bring = _layers(there), _layers(came)
    if bring <= have:
        return Merged(theirs)
    if have <= bring:
        return Merged(ours)
    layers = {layer.digest: layer for layer in (*there.layers, *came.layers)}
    if sum(layer.size for layer in layers.values()) > MAX_JOINED:
        return None
    forms = {shape_of(read(layer)) for layer in layers.values()}
    if len(forms) != 1 or None in forms:
        return None
    made = _union(theirs, there, ours, read)
    return None if borrows(made.document, lambda config: named_layers(made.config[1] if made.config else read(config))) else made


class Joins:
    """The names that one run adds evidence to. Threads may share it; two of them may not write one name at a time.

    ``sleep`` is how the time between tries is waited.
    """

    def __init__(self, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._written: list[_Written] = []
        self._last = 0.0
        """When the last of them was written, of the clock that only goes on."""

    def tag(self, ours: Document, subject: Digest, form: Form, sink: Sink) -> Tagged:
        """Put cosign's tag for ``form`` on ``ours``, or on what holds all that is there and all of ours (:func:`merged`).

        Where that cannot be, what is there stays, and ours is not put at all. The blobs of ours must be there.

        Raises TransportError, FormatError (``limit.document``).
        """
        tag = f"{subject.tag}.{form}"
        return self._kept(tag, sink, lambda: _tag(tag, ours, form, sink))

    def list_referrers(self, sink: Sink, subject: Digest, documents: Sequence[Document]) -> tuple[str, ...]:
        """See to it that ``documents`` are found by asking for what refers to ``subject``; gives what is to be said about it.

        Where the repository lists them itself no list is written (some answer ``OCI-Subject`` and have no API, or the
        reverse, so it is asked). Else the fallback index is extended (distribution-spec, "Unavailable Referrers API"), if
        all that it lists refers to ``subject``.

        Raises TransportError, FormatError (``limit.document`` where the list is more than an index may hold).
        """
        listed = _listed(sink, subject, documents)
        if listed.put is not None:  # olareg writes its lists as others write a name, and loses of two pushes at once one
            listed = _listed(sink, subject, documents)
        if listed.holds and listed.put is None:
            self._wrote(_Written(subject.tag, sink, documents[0], lambda: _listed(sink, subject, documents)))
            return ()
        known = {document.digest for document in documents}
        return self._kept(subject.tag, sink, lambda: _extend(sink, subject, documents, known)).remarks

    def settle(self, *, jobs: int = 1) -> None:
        """See that each name that was written holds what it was written for, and join it again where another writer lost that.

        Costs nothing where the registry compares. Raises TransportError (``registry.overtaken``) that names all which do not
        hold it in the end, and as :meth:`tag`.
        """
        left = [each for each in self._written if not each.sink.compares(each.document)]
        lost: list[_Written] = []
        for _ in range(ROUNDS):
            if not left:
                break
            self._sleep(max(0.0, self._last + PAUSE + JITTER * secrets.randbelow(1001) / 1000 - time.monotonic()))
            outcomes = [one for of_name in side_by_side(self._again, _by_name(left), jobs=jobs) for one in of_name]
            self._last = time.monotonic()
            lost += [each for each, outcome in outcomes if not outcome.holds]
            left = [each for each, outcome in outcomes if outcome.holds and outcome.put is not None]
        if lost or left:
            raise TransportError(
                "evidence was put, and another writer keeps replacing the names that it is found by",
                code=Code.REGISTRY_OVERTAKEN,
                found=", ".join(dict.fromkeys(f"{each.sink.title}:{each.tag}" for each in (*lost, *left))),
                wanted="names that hold what was there and what came",
                next="wait until nobody else writes to them, and run the same command again",
            )

    def _wrote(self, written: "_Written") -> None:
        self._written.append(written)
        self._last = time.monotonic()

    def _again(self, of_name: "Sequence[_Written]") -> "list[tuple[_Written, _Outcome]]":
        return [(each, _unless_overtaken(each.join, self._sleep)) for each in of_name]

    def _kept(self, tag: str, sink: Sink, join: "Callable[[], _Outcome]") -> Tagged:
        outcome = _unless_overtaken(join, self._sleep)
        if outcome.put is not None:
            self._wrote(_Written(tag, sink, outcome.put, join))
        return Tagged(outcome.names, outcome.remarks, outcome.holds)


def signature_config(diff_ids: Sequence[str]) -> dict[str, Any]:
    """What cosign gives a list of signatures as its config, so that registries take it for an image."""
    return {
        "architecture": "",
        "config": {},
        "created": "0001-01-01T00:00:00Z",
        "history": [{"created": "0001-01-01T00:00:00Z"} for _ in diff_ids],
        "os": "",
        "rootfs": {"diff_ids": list(diff_ids), "type": "layers"},
    }


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What one try to join a name came to."""

    names: Digest
    """What the name is now."""
    remarks: tuple[str, ...] = ()
    put: Document | None = None
    """What was written; None where nothing had to be, or could be."""
    holds: bool = True
    """Whether the name holds what came."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A name that this run has written."""

    tag: str
    sink: Sink
    document: Document
    join: Callable[[], _Outcome]


def _by_name(written: Sequence[_Written]) -> list[list[_Written]]:
    """Together what was written to one name, so that we are not the other writer ourselves."""
    names: dict[tuple[str, str], list[_Written]] = {}
    for each in written:
        names.setdefault((each.sink.title, each.tag), []).append(each)
    return list(names.values())


def _tag(tag: str, ours: Document, form: Form, sink: Sink) -> _Outcome:
    there = sink.document(tag)
    if there is None:
        sink.put_document(ours, tag=tag, over=Over(None))
        return _Outcome(ours.digest, put=ours)
    made = merged(there, ours, form, lambda blob: gathered(blob, sink.chunks(blob)))
    if made is None:
        said = f"{tag} holds {there.digest}, and was left as it is; what came is {ours.digest}"
        return _Outcome(there.digest, (said,), holds=False)
    if made.document.digest == there.digest:
        return _Outcome(there.digest)
    if made.config is not None:
        config, data = made.config
        sink.put(config, lambda: iter((data,)))
    sink.put_document(made.document, tag=tag, over=Over(there.digest))
    joined = made.document.digest != ours.digest
    said = f"merged: {tag} is {made.document.digest} now, which holds what was there and what came"
    return _Outcome(made.document.digest, (said,) if joined else (), put=made.document)


def _listed(sink: Sink, subject: Digest, documents: Sequence[Document]) -> _Outcome:
    """Whether the repository lists them itself. What it does not list is pushed once more."""
    answer = sink.referrers(subject)
    listed = {descriptor.digest for descriptor in answer.listed}
    missing = [document for document in documents if document.digest not in listed] if answer.api else []
    for document in missing:
        sink.put_document(document)
    return _Outcome(subject, put=missing[0] if missing else None, holds=answer.api)


def _extend(sink: Sink, subject: Digest, documents: Sequence[Document], known: set[Digest]) -> _Outcome:
    """``known`` are entries that are gone or refer to the subject; it grows, so that no try asks again for what another did."""
    there = sink.document(subject.tag)
    new = {child.digest for child in there.children} - known if there else set()
    if there is not None and not (_could_be_list(there) and all(_refers(sink, digest, subject) for digest in new)):
        what = "an index of something else" if isinstance(there.content, Index) else "an image"
        said = f"{subject.tag} holds {what}, {there.digest}, where the list of referrers belongs; it was left as it is"
        return _Outcome(there.digest, (said,), holds=False)
    if there is not None and new:  # to ask took longer than PAUSE counts on, so the name is read again
        known |= new
        if (now := sink.document(subject.tag)) is None or now.digest != there.digest:
            raise ConflictError(f"{subject.tag} was written meanwhile", code=Code.NAME_CONFLICT, wanted=there.digest)
    listed = {child.digest for child in there.children} if there else set()
    missing = [document for document in documents if document.digest not in listed]
    if there is not None and not missing:
        return _Outcome(there.digest)
    return _extended(sink, subject, there, missing)


def _could_be_list(there: Document) -> bool:
    """Whether it is an index that gives no platform to what it lists, and no odd one either."""
    if not isinstance(there.content, Index):
        return False
    platforms = [child.get("platform") or {} for child in _members(there)["manifests"]]
    return all(platform == NO_PLATFORM.to_json() or not any(platform.values()) for platform in platforms)


def _refers(sink: Sink, digest: Digest, subject: Digest) -> bool:
    """Whether an entry refers to the subject, or is gone."""
    try:
        document = sink.document(digest)
    except FormatError:
        return False
    return document is None or (document.subject is not None and document.subject.digest == subject)


def _unless_overtaken(join: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """What ``join`` gives, done again while another writer comes between: then the name is not what was read, or was put."""
    for race in range(1, RACES):
        try:
            return join()
        except (TransportError, ConflictError) as error:
            if error.code not in {Code.REGISTRY_READ_BACK, Code.NAME_CONFLICT}:
                raise
        sleep(secrets.randbelow(10 * race + 1) / 1000)  # not all alike: the more often it was lost, the more writers there are
    try:
        return join()
    except ConflictError as error:
        raise TransportError(
            "other writers came between as often as this was tried",
            code=Code.REGISTRY_OVERTAKEN,
            found=error.what,
            next="wait until nobody else writes to it, and run the same command again",
        ) from error


def _extended(sink: Sink, subject: Digest, there: Document | None, missing: Sequence[Document]) -> _Outcome:
    """Write the list of what was there and what is missing; without what is listed and gone, where the registry minds."""
    said = f"{sink.title} keeps no list of what refers to {subject}: ask by digest for {', '.join(str(each.digest) for each in missing)}"
    unlisted = _Outcome(subject, (said,), holds=False)
    if there is not None and there.digest == subject:  # which is read as a digest
        return unlisted
    over = Over(there.digest if there else None)
    made = _list(there, missing)
    try:
        sink.put_document(made, tag=subject.tag, over=over)
    except TransportError as error:
        if error.code in {Code.REGISTRY_STATUS, Code.REGISTRY_READ_BACK} and sink.reads_tags_as_digests():
            return unlisted
        raise
    except IncompleteError:
        gone = frozenset(child.digest for child in there.children if sink.document(child.digest) is None) if there else frozenset()
        if not gone:
            raise
        made = _list(there, missing, gone=gone)
        sink.put_document(made, tag=subject.tag, over=over)
        said = f"{subject.tag} listed {', '.join(map(str, sorted(gone)))}, which the registry does not have, and no longer does"
        return _Outcome(made.digest, (said,), put=made)
    return _Outcome(made.digest, put=made)


def _list(there: Document | None, missing: Sequence[Document], *, gone: Set[Digest] = frozenset()) -> Document:
    """What was there without what is gone, and what was missing.

    An entry may be an image that is signed itself. containerd and podman run the first image of an index that names no
    platform, and nobody signed the list. So each entry gets the platform that nothing is, as BuildKit's attestations have it.
    """
    value: dict[str, Any] = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": []}
    value |= _members(there) if there else {}
    entries = [child for child in value["manifests"] if Digest.parse(child["digest"]) not in gone]
    entries += [document.as_referrer.to_json() for document in missing]
    raw = strictjson.dumps(value | {"manifests": [entry | {"platform": NO_PLATFORM.to_json()} for entry in entries]})
    return Document.parse(raw, media_type=there.descriptor.media_type if there else mediatype.OCI_INDEX)


def _union(theirs: Document, there: Manifest, ours: Document, read: Callable[[Descriptor], bytes]) -> Merged:
    """A manifest with the layers of ``theirs`` and those of ``ours`` that it lacks."""
    have = _layers(there)
    extra = [raw for raw in _members(ours)["layers"] if _whole(Descriptor.from_json(raw)) not in have]
    value = _members(theirs)
    value["layers"] += extra
    if len(value["layers"]) > MAX_LAYERS:
        raise FormatError("two lists of signatures are too long together", code=Code.LIMIT_DOCUMENT, wanted=f"at most {MAX_LAYERS}")
    config = None
    if there.is_image:
        data = strictjson.dumps(_config(there, [layer["digest"] for layer in value["layers"]], read))
        config = Descriptor.of(data, there.config.media_type), data
        value["config"] = config[0].to_json()
    return Merged(Document.parse(strictjson.dumps(value), media_type=theirs.descriptor.media_type), config)


def _config(theirs: Manifest, diff_ids: Sequence[str], read: Callable[[Descriptor], bytes]) -> dict[Any, Any]:
    """Their config with the ``diff_ids`` that follow extended; cosign's own where theirs has none that could be."""
    value: Any = None
    with suppress(FormatError):  # it is opaque to everyone but its maker
        if theirs.config.size <= MAX_DOCUMENT:
            value = strictjson.loads(read(theirs.config), limit=MAX_DOCUMENT, predicate=True)
    match value:
        case {"rootfs": {"diff_ids": list(known), **rootfs}, **rest} if len(known) == len(theirs.layers):
            return {**rest, "rootfs": {**rootfs, "diff_ids": [*known, *diff_ids[len(known) :]]}}
    return signature_config(diff_ids)


def _members(document: Document) -> dict[str, Any]:
    value = strictjson.loads_document(document.raw, limit=MAX_DOCUMENT)
    assert isinstance(value, dict)
    return value


def _layers(manifest: Manifest) -> set[tuple[Digest, str, tuple[tuple[str, str], ...]]]:
    return {_whole(layer) for layer in manifest.layers}


def _whole(layer: Descriptor) -> tuple[Digest, str, tuple[tuple[str, str], ...]]:
    """What is compared: a signature lies in the annotations, so two layers of one payload are two signatures."""
    return layer.digest, layer.media_type, tuple(sorted(layer.annotations.items()))
