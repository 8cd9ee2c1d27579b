"""Platforms without their index, each under a name of its own: for registries that refuse an index of which a part is not there."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace

from bundler.content.store import GoneError, Source
from bundler.errors import Code, FormatError, IncompleteError, UsageError, translated
from bundler.oci import graph
from bundler.oci.descriptor import Platform
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document, Index, Manifest, UnreadableError
from bundler.oci.platforms import in_order, is_of
from bundler.oci.reference import Reference
from bundler.stations.carried import Carried, left_blobs
from bundler.stations.survey import Survey, platform_of


def apart(whole: Survey, platforms: Sequence[Platform], *, renamed: bool) -> tuple[Survey, ...]:
    """The manifests that an index lists for ``platforms``, each with what was found about it, under ``NAME:TAG-OS-ARCH[-VARIANT]``
    (``NAME@DIGEST`` of an index without a tag). A single manifest, and an index that names no platform, are given back as they are.

    ``renamed`` says that the index goes under another name than at its source; else a tag that names something else there is
    refused. Raises UsageError (``usage.reference``) for a name that is too long or taken, IncompleteError (``image.platform``) for a
    platform that the index has no single manifest of, or one whose config says another platform, and what the source raises.
    """
    names: dict[Reference, Digest] = {}
    says: dict[Digest, tuple[Platform, ...]] = {}
    listed = list(_listed(whole.carried, platforms, Manifest))
    _check_whole(whole.carried, platforms, [platform for _, platform in listed])
    for digest, platform in listed:
        name = _name(whole.carried.reference, digest, platform)
        if names.setdefault(name, digest) != digest:
            raise UsageError(
                f"two manifests of {whole.carried.reference} would be carried as {name}",
                code=Code.USAGE_REFERENCE,
                found=f"{names[name]} and {digest}",
                next=f"name the one that you need by its digest, as {whole.carried.reference.repository}@{digest}",
            )
        if digest not in says:
            says[digest] = platform_of(whole.source, whole.carried.documents[digest])
        _check_said(name, platform, says[digest])
    if not names:
        return (whole,)
    for name, digest in names.items():
        if name.tag is not None and not renamed:
            _check_free(whole.source, name, name.tag, digest)
    first, *others = (_alone(whole, name, digest, in_order(says[digest], platforms)) for name, digest in names.items())
    return (replace(first, remarks=whole.remarks), *others)


def _listed(carried: Carried, platforms: Sequence[Platform], kind: type[Manifest | Index]) -> Iterator[tuple[Digest, Platform]]:
    """The documents of this kind that any of its indexes lists for these platforms."""
    for digest in carried.own:
        for child in carried.documents[digest].children:
            document = carried.documents.get(child.digest)
            if is_of(child, platforms) and child.platform is not None and document and isinstance(document.content, kind):
                yield child.digest, child.platform


def _check_whole(carried: Carried, platforms: Sequence[Platform], alone: Sequence[Platform]) -> None:
    """A platform that was asked for must not be left with the index, for want of a manifest that says whose it is."""
    for digest, platform in _listed(carried, platforms, Index):
        if not any(platform.covers(one) for one in alone):
            raise IncompleteError(
                f"{platform} of {carried.reference} is not a single manifest",
                code=Code.IMAGE_PLATFORM,
                found=f"the index {digest}, which lists no manifest for {platform}",
                next=f"carry the whole index, without --by-digest; or that one by itself, as {carried.reference.repository}@{digest}",
            )


def _name(reference: Reference, digest: Digest, platform: Platform) -> Reference:
    if reference.tag is None:
        return replace(reference, digest=digest)
    tag = f"{reference.tag}-{str(platform).replace('/', '-')}"
    what = f"{platform} of {reference} has no name of its own"
    advice = "carry the index under a shorter tag with --as, or in the second column of the list"
    with translated(FormatError, to=UsageError, what=what, code=Code.USAGE_REFERENCE, next=advice):
        return reference.tagged(tag)


def _check_said(name: Reference, listed: Platform, says: Sequence[Platform]) -> None:
    """The index stays behind, and nobody asks who has signed it: what it calls the platform must be what its config says, which is
    signed with the manifest. Of variants configs say less than indexes do."""
    if says and not any((one.os, one.architecture) == (listed.os, listed.architecture) for one in says):
        raise IncompleteError(
            f"{name} would not be for {listed}",
            code=Code.IMAGE_PLATFORM,
            found=f"a config that says {', '.join(map(str, says))}, where the index says {listed}",
            wanted=listed,
            next="carry the whole index, without --by-digest",
        )


def _check_free(source: Source, name: Reference, tag: str, digest: Digest) -> None:
    """Whoever reads the name on the far side must not find what it does not mean on this one."""
    try:
        there = source.sought(tag)
        found = there.digest if isinstance(there, Document) else None
    except (UnreadableError, GoneError) as error:
        found = error.digest
    if found not in (None, digest):
        raise UsageError(
            f"{name} is another image at the source",
            code=Code.USAGE_REFERENCE,
            found=found,
            wanted=digest,
            next="carry the index under another tag with --as, or in the second column of the list",
        )


def _alone(whole: Survey, name: Reference, root: Digest, platforms: tuple[str, ...]) -> Survey:
    """One manifest of an index, with what was found about it and about that, as if it had been asked for."""
    index = whole.carried
    reached = _reached(index, root)
    documents = {root: index.documents[root]} | {digest: d for digest, d in index.documents.items() if digest in reached}
    lookups = tuple(lookup for lookup in index.lookups if lookup.manifest in reached)
    named = {found.digest for lookup in lookups for found in lookup.found} | {c.digest for d in documents.values() for c in d.listed}
    left_out = tuple(child for child in index.left_out if child.digest in named)
    not_there = index.absent & {blob.digest for document in documents.values() for blob in document.carries}
    carried = Carried(
        reference=name,
        root=root,
        documents=documents,
        own=(root,),
        lookups=lookups,
        platforms=platforms,
        left_out=left_out,
        absent=left_blobs(left_out, documents.values()) | not_there,
    )
    return Survey(carried, whole.source, remarks=(), index=index)


def _reached(index: Carried, root: Digest) -> Set[Digest]:
    """The documents that are ``root``, about it, below or about these."""
    found = {lookup.manifest: [each.digest for each in lookup.found] for lookup in index.lookups}

    def after(document: Document) -> list[Document]:
        named = (*found.get(document.digest, ()), *(child.digest for child in document.children))
        return [index.documents[digest] for digest in named if digest in index.documents]

    return graph.walk([index.documents[root]], after).keys()
