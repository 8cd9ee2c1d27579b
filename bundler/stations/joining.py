"""Adding evidence to what a registry holds already: cosign's tags, and the lists of referrers.

Both are names that others write too. What is there stays, what came is added, and it is read again whether it was.
"""

from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from bundler import strictjson
from bundler.content.store import Sink
from bundler.content.stream import gathered
from bundler.errors import Code, FormatError, IncompleteError, TransportError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, MAX_LAYERS, Document, Index, Manifest
from bundler.trust.evidence import Form

RACES = 5  # how often a name is written because another writer comes between

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tagged:
    """What cosign's tag names now, and what is to be said about it."""

    names: Digest
    remarks: tuple[str, ...] = ()


def tagged(ours: Document, subject: Digest, form: Form, sink: Sink) -> Tagged:
    """Put cosign's tag for ``form`` on ``ours``, or on what holds all that is there and all of ours.

    Layers are compared as whole descriptors: theirs within ours, ours is tagged; ours within theirs, theirs stays; else a
    new manifest holds both. Where that cannot be, since one is no list of such layers, theirs stays too. Where the tag
    names another in the end, ours is not put at all. The blobs of ours must be there.

    Raises TransportError, FormatError (``limit.document`` where both together are more than a manifest may list).
    """
    tag = f"{subject.tag}.{form}"

    def join() -> Tagged:
        there = sink.document(tag)
        if there is None:
            sink.put_document(ours, tag=tag)
            return Tagged(ours.digest)
        if there.digest == ours.digest:
            return Tagged(ours.digest)
        theirs, mine = there.content, ours.content
        if not isinstance(theirs, Manifest) or not isinstance(mine, Manifest) or form is Form.SBOM:  # cosign reads one SBOM there
            return Tagged(there.digest, (f"{tag} holds {there.digest}, and was left as it is; what came is {ours.digest}",))
        have, bring = _layers(theirs), _layers(mine)
        if bring <= have:
            return Tagged(there.digest)
        made = ours if have <= bring else _union(there, theirs, ours, sink)
        sink.put_document(made, tag=tag)
        if made is ours:
            return Tagged(ours.digest)
        return Tagged(made.digest, (f"merged: {tag} is {made.digest} now, which holds what was there and what came",))

    return _unless_overtaken(join)


def list_referrers(sink: Sink, subject: Digest, documents: Sequence[Document]) -> tuple[str, ...]:
    """See to it that ``documents`` are found by asking for what refers to ``subject``; gives what is to be said about it.

    Where the repository lists them itself nothing is written (some answer ``OCI-Subject`` and have no API, or the
    reverse, so it is asked). Else the fallback index is extended (distribution-spec, "Unavailable Referrers API").

    Raises TransportError, FormatError (``limit.document`` where the list is more than an index may hold).
    """
    answer = sink.referrers(subject)
    if answer.api and {d.digest for d in documents} <= {d.digest for d in answer.listed}:
        return ()

    def extend() -> tuple[str, ...]:
        there = sink.document(subject.tag)
        if there is not None and not isinstance(there.content, Index):
            return (f"{subject.tag} holds an image, {there.digest}, where the list of referrers belongs; it was left as it is",)
        listed = {child.digest for child in there.children} if there else set()
        missing = [document for document in documents if document.digest not in listed]
        return _extended(sink, subject, there, missing) if missing else ()

    return _unless_overtaken(extend)


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


def _unless_overtaken(write: Callable[[], T]) -> T:
    """What ``write`` gives, done again while another writer comes between: then what is read back is not what was put."""
    for _ in range(RACES - 1):
        try:
            return write()
        except TransportError as error:
            if error.code is not Code.REGISTRY_READ_BACK:
                raise
    return write()


def _extended(sink: Sink, subject: Digest, there: Document | None, missing: Sequence[Document]) -> tuple[str, ...]:
    """Write the list of what was there and what is missing; without what is listed and gone, where the registry minds."""
    try:
        sink.put_document(_list(there, missing), tag=subject.tag)
    except IncompleteError:
        gone = frozenset(child.digest for child in there.children if sink.document(child.digest) is None) if there else frozenset()
        if not gone:
            raise
        sink.put_document(_list(there, missing, gone=gone), tag=subject.tag)
        return (f"{subject.tag} listed {', '.join(map(str, sorted(gone)))}, which the registry does not have, and no longer does",)
    return ()


def _list(there: Document | None, missing: Sequence[Document], *, gone: Set[Digest] = frozenset()) -> Document:
    value: dict[str, Any] = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": []}
    value |= _members(there) if there else {}
    kept = [child for child in value["manifests"] if Digest.parse(child["digest"]) not in gone]
    raw = strictjson.dumps(value | {"manifests": kept + [document.as_referrer.to_json() for document in missing]})
    return Document.parse(raw, media_type=there.descriptor.media_type if there else mediatype.OCI_INDEX)


def _union(there: Document, theirs: Manifest, ours: Document, sink: Sink) -> Document:
    """A manifest with the layers of ``there`` and those of ``ours`` that it lacks, whose config is put."""
    have = _layers(theirs)
    extra = [raw for raw in _members(ours)["layers"] if _whole(Descriptor.from_json(raw)) not in have]
    value = _members(there)
    value["layers"] += extra
    if len(value["layers"]) > MAX_LAYERS:
        raise FormatError("two lists of signatures are too long together", code=Code.LIMIT_DOCUMENT, wanted=f"at most {MAX_LAYERS}")
    if theirs.is_image:
        data = strictjson.dumps(_config(theirs, [layer["digest"] for layer in value["layers"]], sink))
        config = Descriptor.of(data, theirs.config.media_type)
        sink.put(config, lambda: iter((data,)))
        value["config"] = config.to_json()
    return Document.parse(strictjson.dumps(value), media_type=there.descriptor.media_type)


def _config(theirs: Manifest, diff_ids: Sequence[str], sink: Sink) -> dict[Any, Any]:
    """Their config with the ``diff_ids`` that follow extended; cosign's own where theirs has none that could be."""
    value: Any = None
    with suppress(FormatError):  # it is opaque to everyone but its maker
        if theirs.config.size <= MAX_DOCUMENT:
            value = strictjson.loads(gathered(theirs.config, sink.chunks(theirs.config)), limit=MAX_DOCUMENT, predicate=True)
    match value:
        case {"rootfs": {"diff_ids": list(known), **rootfs}, **rest} if len(known) == len(theirs.layers):
            return {**rest, "rootfs": {**rootfs, "diff_ids": [*known, *diff_ids[len(known) :]]}}
    return signature_config(diff_ids)


def _members(document: Document) -> dict[str, Any]:
    value = strictjson.loads(document.raw, limit=MAX_DOCUMENT)
    assert isinstance(value, dict)
    return value


def _layers(manifest: Manifest) -> set[tuple[Digest, str, tuple[tuple[str, str], ...]]]:
    return {_whole(layer) for layer in manifest.layers}


def _whole(layer: Descriptor) -> tuple[Digest, str, tuple[tuple[str, str], ...]]:
    """What is compared: a signature lies in the annotations, so two layers of one payload are two signatures."""
    return layer.digest, layer.media_type, tuple(sorted(layer.annotations.items()))
