"""What a place of content can do, in words. A registry's repository and a layout both are one.

What a repository gives is not believed: a document comes parsed against the digest that was asked for, and chunks
pass through :func:`bundler.content.stream.verified` before anything keeps them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from bundler.errors import Code, IncompleteError, TransportError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document

SMALL = 16 << 10  # bytes of a blob that goes in one packet with the head of its request: to ask for it costs as much as to send it


@dataclass(frozen=True, slots=True)
class Referrers:
    """What a repository answers when it is asked who refers to a manifest."""

    api: bool
    """Whether there is such an API; False is an answer, not a failure: registries without it say so in many ways."""
    listed: tuple[Descriptor, ...] = ()


@dataclass(frozen=True, slots=True)
class Over:
    """What a tag has to name when it is put: whoever came between is not overwritten."""

    digest: Digest | None
    """None where it must not be there."""


class Unsaid(Enum):
    """What a repository can answer instead of whether a tag is there."""

    HIDDEN = "hidden"
    """It refuses to say, and a person has said that it refuses so where there is none."""


class GoneError(IncompleteError):
    """What a place lists, and does not have; and its digest."""

    def __init__(self, digest: Digest) -> None:
        super().__init__(f"{digest} is listed, and not there", code=Code.BLOB_MISSING)
        self.digest = digest


class Source(Protocol):
    """A repository that content can be read from.

    Absent is always said with None or an empty list; whatever else goes wrong is an error after retries
    (TransportError), so that a broken answer never looks like "there is no signature".
    """

    def document(self, name: str | Digest) -> Document | None:
        """The manifest or index of that tag or digest, its bytes checked against the digest asked for; None if absent.

        Raises IntegrityError for other bytes, FormatError for what is not a document, TransportError.
        """
        ...

    def sought(self, tag: str) -> Document | Unsaid | None:
        """As :meth:`document`, for a name that most likely is not there; asked in the way that costs the place least.

        None means absent as surely as it does there. Raises TransportError (``registry.credentials``) where the place refuses to
        say, unless a person has said what that means there.
        """
        ...

    def referrers(self, subject: Digest) -> Referrers:
        """What lists itself as referring to ``subject``, by the API, all pages. The fallback tag is an ordinary tag."""
        ...

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """The blob's bytes in pieces, unchecked, a lost connection mended inside.

        Raises IncompleteError (``blob.missing``) if the repository has no such blob, TransportError.
        """
        ...

    def has(self, blob: Descriptor) -> bool:
        """Whether the blob is there, without fetching it."""
        ...


class Sink(Source, Protocol):
    """A repository that content can be put into."""

    def put(self, blob: Descriptor, chunks: Callable[[], Iterator[bytes]]) -> None:
        """Store the blob, and commit it only when an iterator of ``chunks()`` has ended without an error, which it raises here.

        ``chunks`` is asked again, from the first byte, each time that an upload has to be tried again. Raises TransportError.
        """
        ...

    def mount(self, blob: Descriptor, source: str) -> bool:
        """Take the blob from the repository of that path beside this one; False where that cannot be had."""
        ...

    def put_document(self, document: Document, *, tag: str | None = None, over: Over | None = None) -> bool:
        """Store a document's own bytes, under its digest or under ``tag``; True if the repository lists it as a referrer itself
        (answered ``OCI-Subject``).

        With ``over`` the tag is put only while it names that, where the repository can compare and put as one step; elsewhere
        ``over`` does nothing. Raises ConflictError (``name.conflict``) if the tag names something else, IncompleteError
        (``blob.missing``) if the repository says it lacks what the document names, TransportError.
        """
        ...

    def compares(self, document: Document) -> bool:
        """Whether ``over`` is kept to here. Where that is not known it is tried with ``document``, which was put here, and is
        not changed by it. Raises TransportError.
        """
        ...

    def reads_tags_as_digests(self) -> bool:
        """Whether a tag of the form ``sha256-HEX`` names here what has the digest ``sha256:HEX``, and nothing else.

        Known only where something was put by its digest. Raises TransportError.
        """
        ...

    @property
    def title(self) -> str:
        """What a person calls it; a tag follows behind a colon."""
        ...

    @property
    def checks(self) -> bool:
        """Whether the repository is known to refuse a manifest of which it lacks a blob; it was written to before."""
        ...

    @property
    def denied(self) -> TransportError | None:
        """Why nothing can be put here, where that is known without trying; it was read before. None says nothing."""
        ...

    def tags(self) -> list[str]:
        """All tags, all pages; an absent repository has none."""
        ...
