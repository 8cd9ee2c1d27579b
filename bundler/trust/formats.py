"""The signature formats that are judged. A further one is a module of its own, and its line in :data:`FORMATS`."""

from bundler.oci.manifest import Document, Manifest
from bundler.trust import simplesigning
from bundler.trust.evidence import Evidence
from bundler.trust.notation import signature
from bundler.trust.sigstore import bundle
from bundler.trust.unverified import Format

FORMATS: tuple[Format, ...] = (
    simplesigning.FORMAT,
    simplesigning.ATTESTATION,
    bundle.FORMAT,
    signature.FORMAT,
)


def format_of(piece: Evidence) -> Format | None:
    """Which format a piece of evidence says that it is of; None for what says of none that is judged."""
    if piece.layer is None:
        return None
    layer, manifest = piece.layer.media_type, piece.document.content.kind or ""
    those = [each for each in FORMATS if each.is_of(layer, manifest)]
    return min(those, key=lambda each: not each.by_manifest, default=None)  # what the whole manifest is, its layer is too


def says_signed(document: Document) -> bool:
    """Whether a manifest calls itself, or a layer of it, by a format's media type."""
    if not isinstance(document.content, Manifest):
        return False
    kinds = (document.content.kind, *(layer.media_type for layer in document.content.layers))
    return any(kind.startswith(tuple(each.media_type for each in FORMATS)) for kind in kinds)


def is_signing(predicate_type: str) -> bool:
    """Whether statements of this type are signatures in some format, and so attest nothing."""
    return any(predicate_type == each.signing_predicate for each in FORMATS)
