"""What is judged: an image's documents, and one at a time whatever was found about them."""

from dataclasses import dataclass, field

from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference

MAX_EVIDENCE = 16 << 20  # the largest SBOM attestations in the wild are near 10 MiB; larger ones are carried, not judged


@dataclass(frozen=True, slots=True)
class Image:
    """An image under the name that it is carried by, with its documents."""

    reference: Reference
    """As carried: scopes and rules see this."""
    root: Digest
    documents: dict[Digest, Document] = field(hash=False)
    """The root, all carried manifests and indexes below it, every evidence manifest and what is below those."""
    attestations: frozenset[Digest] = frozenset()
    """Those of its own manifests that are proven to be BuildKit's attestations of a sibling (:func:`proven.attestations`)."""
    borrowing: frozenset[Digest] = frozenset()
    """Those found as evidence whose config names layers of others (:func:`proven.borrows`): each is code, whatever its layers are."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One layer of a manifest that was found for ``subject``, or the manifest itself where it has none.

    Which evidence belongs to which manifest of which repository is said by the seal's lookups alone; that it really is
    about the subject, by what is signed.
    """

    subject: Digest
    form: Form
    document: Document
    layer: Descriptor | None
    payload: bytes | None = field(repr=False)
    """The layer's bytes, already checked against its digest and size; None above MAX_EVIDENCE and where there is no layer."""
    is_proven: bool
    """Whether the layer's bytes are proven to be evidence (:func:`proven.is_proven`); whatever is not is treated as code."""
    place: int = 0
    """Which layer of its manifest it is, from 1; 0 where there are not several."""
