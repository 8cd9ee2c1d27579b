"""Signatures as their carriers offer them: every form in one shape, before anything of it is believed.

A format's module says what was signed and what lies beside the signature. A rule's signer entry says whether that is its
signature. Only then is it asked what the signed bytes claim.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import Document
from bundler.trust.keys import Signed


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer with its bytes, the manifest it lies in, and the manifest that this was found for."""

    descriptor: Descriptor
    payload: bytes = field(repr=False)
    carrier: Document
    subject: Document


@dataclass(frozen=True, slots=True)
class Material:
    """What lies beside a signature to verify it with. All of it is foreign; a pinned key asks for none of it."""

    by_key: bool
    """Whether a pinned key may be tried: never where the carrier offers a certificate for it (``bundle.material``)."""
    hint: str | None = None
    """Which key its maker says it was."""
    wrapped: bool = False
    """Whether its base64 has line ends, which is only a remark."""
    certificates: tuple[bytes, ...] = ()
    """The signer's and those that lead to its authority, leaf first, as carried: PEM in annotations, DER in bundles."""
    log_entries: tuple[Any, ...] = ()
    """Of transparency logs, as carried: the text of an annotation, or an object of a bundle."""
    timestamps: tuple[Any, ...] = ()
    """RFC 3161, as carried: the text of an annotation, or DER from a bundle."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What signed bytes say of the manifest that they were found for."""

    predicate_type: str | None = None
    """None for an image's signature; else what kind of attestation it is, which never counts as a signature."""
    names: str | None = None
    """The reference that a simple signing payload names, as it stands there."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """What the signer added, by name."""
    predicate: Any = field(default=None, repr=False)
    """Of an attestation: the value of its JSON."""


class UnverifiedSignature(Protocol):
    """A signature about a manifest."""

    @property
    def form(self) -> str:
        """``sig``, ``att``, ``bundle`` or ``notation``."""
        ...

    @property
    def signed(self) -> Signed: ...

    @property
    def signature(self) -> bytes: ...

    @property
    def material(self) -> Material: ...

    def claim(self) -> Claim:
        """What is signed, parsed for meaning and compared with the manifest; asked only once the signature has been verified.

        Raises TrustError or FormatError with the code of the check that fails.
        """
        ...


@dataclass(frozen=True, slots=True)
class Shape:
    """What some JSON shows by itself to be, whatever its manifest calls it."""

    name: str
    fits: Callable[[Any], bool]
    """Whether the value of the JSON is of this shape."""


@dataclass(frozen=True, slots=True)
class Binary:
    """What bytes that are not text show by themselves to be. Nothing that unpacks may begin so (``proven.py``)."""

    name: str
    begins: bytes
    fits: Callable[[Iterable[bytes]], bool]
    """Whether a layer that comes in these pieces and begins so is of this form as a whole."""


@dataclass(frozen=True, slots=True)
class Format:
    """A signature format: how evidence of it is recognised and read. Each stands in :data:`formats.FORMATS`.

    Which algorithms it takes is the pinned key's affair (:meth:`keys.PublicKey.verify`), or that of the certificate which the
    format's own module reads; nothing that travels beside a signature has a say in it.
    """

    media_type: str
    """How the media type of a layer begins that holds such a signature."""
    read: Callable[[Layer], UnverifiedSignature]
    """Raises TrustError and FormatError with the code of what is wrong with the layer."""
    spec: str
    """What says how such a signature is verified."""
    shapes: tuple[Shape, ...] = ()
    """As what JSON of this format is known by its bytes alone, so that evidence of one form is joined with none of another."""
    binary: Binary | None = None
    """As what bytes of it are proven to be evidence, where it is not text; all text that nothing unpacks is."""
    by_manifest: bool = False
    """Whether ``media_type`` is instead, exactly, the artifact type of the manifest: the layer's may be one that others have too."""
    attests: bool = False
    """Whether what it holds is always an attestation, and so never meant as a signature of the image."""
    signing_predicate: str | None = None
    """The predicate type of the statements by which it signs an image, if it has one: these are not attestations."""
    kind: str = "identity"
    """The kind of signer whose signature it is where no pinned key may be tried."""

    def is_of(self, layer: str, manifest: str) -> bool:
        """Whether a layer of this media type is one, in a manifest of this artifact type."""
        return manifest == self.media_type if self.by_manifest else layer.startswith(self.media_type)
