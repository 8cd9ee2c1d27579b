"""What the documents of a bundle need, and which of it a delta may leave out (docs/spec/bundle-v1.md, sections 7 and 8)."""

from collections.abc import Collection, Iterable, Iterator, Sequence, Set

from bundler.bundle.seal import Kind, Member, Outside
from bundler.errors import Code, FormatError, IntegrityError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document, Manifest
from bundler.oci.platforms import is_attestation

MAX_PAYLOAD = 16 << 20  # a larger attestation is not judged, so nobody waits for it before the layers

_RANK = (Kind.DOCUMENT, Kind.CONFIG, Kind.EVIDENCE, Kind.BLOB)


class Needs:
    """What documents need, once each: in the order in which it is met first, of the first kind that fits it anywhere."""

    def __init__(self, absent: Collection[Digest], elsewhere: Collection[Digest]) -> None:
        self._absent = absent
        self._elsewhere = elsewhere
        self._types: dict[Digest, str] = {}
        """What the first manifest calls a layer that may lie elsewhere."""
        self._judged: set[Digest] = set()
        """What is read to judge an image, or a part of it."""
        self._sizes: dict[Digest, int] = {}
        self._kinds: dict[Digest, Kind] = {}
        self.left_out: dict[Digest, Outside] = {}
        self.others: dict[Digest, Descriptor] = {}

    def add(self, own: Sequence[Document], evidence: Iterable[Document], left_out: Collection[Digest]) -> None:
        """What an image needs: of its ``own`` documents and of the ``evidence``, but for what is left out of its indexes.

        Raises FormatError (``format.digest``), IntegrityError (``content.size``).
        """
        attesting = {child.digest for document in own for child in document.children if is_attestation(child)}
        for document in own:
            self._document(document, left_out, is_evidence=False, is_judged=document.digest in attesting)
        for document in evidence:
            self._document(document, left_out, is_evidence=True, is_judged=True)

    @property
    def kept(self) -> Set[Digest]:
        """What is not left out."""
        return self._kinds.keys()

    def members(self, *, blobs: bool) -> Iterator[Member]:
        """The blobs that are carried, or else the documents, configs and evidence."""
        return (
            Member(kind, self._sizes[digest], digest)
            for digest, kind in self._kinds.items()
            if (kind is Kind.BLOB) is blobs and not self._is_elsewhere(digest)
        )

    @property
    def elsewhere(self) -> tuple[Outside, ...]:
        """The layers that are not carried since they lie elsewhere."""
        return tuple(Outside(digest, self._types[digest], self._sizes[digest]) for digest in self._kinds if self._is_elsewhere(digest))

    def _is_elsewhere(self, digest: Digest) -> bool:
        return digest in self._elsewhere and self._kinds[digest] is Kind.BLOB and digest not in self._judged

    def _document(self, document: Document, left_out: Collection[Digest], *, is_evidence: bool, is_judged: bool) -> None:
        self._need(document.descriptor, Kind.DOCUMENT)
        if isinstance(document.content, Manifest):
            self._need(document.content.config, Kind.CONFIG)
            layers = document.content.layers
        else:
            layers, is_judged = tuple(other for other in document.others if other.digest not in left_out), True
            self.others |= {other.digest: other for other in layers if not (other.foreign and other.digest in self._absent)}
        for layer in layers:
            if layer.foreign and layer.digest in self._absent:
                self._size(layer)
                self.left_out.setdefault(layer.digest, Outside(layer.digest, layer.media_type, layer.size))
            else:
                self._need(layer, Kind.EVIDENCE if is_evidence and layer.size <= MAX_PAYLOAD else Kind.BLOB)
                if layer.digest in self._elsewhere:  # mutant-equivalent always: it only saves memory
                    self._types.setdefault(layer.digest, layer.media_type)
                    self._judged |= {layer.digest} if is_judged else set()

    def _need(self, content: Descriptor, kind: Kind) -> None:
        self._size(content)
        before = self._kinds.get(content.digest, kind)
        if before is Kind.BLOB and kind is not Kind.BLOB:
            del self._kinds[content.digest]  # its place is here, among what comes before the layers
        self._kinds[content.digest] = min(before, kind, key=_RANK.index)

    def _size(self, content: Descriptor) -> None:
        check_digest(content.digest)
        size = self._sizes.setdefault(content.digest, content.size)
        if size != content.size:
            raise two_sizes(content.digest, content.size, size)


def check_digest(digest: Digest) -> None:
    """Raises FormatError (``format.digest``) for what no bundle can carry."""
    if digest.algorithm != "sha256":
        raise FormatError(
            "a bundle of version 1 carries only what SHA-256 names",
            code=Code.FORMAT_DIGEST,
            found=digest,
            next="leave this image out: no bundle can carry it",
        )


def two_sizes(digest: Digest, found: int, wanted: int) -> IntegrityError:
    return IntegrityError(f"{digest} is described with two sizes", code=Code.CONTENT_SIZE, found=f"{found} bytes", wanted=f"{wanted} bytes")
