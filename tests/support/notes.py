"""A registry that is in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bundler.content.store import Over, Referrers
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document


@dataclass
class Notes:
    """An empty registry, without an API for referrers, that takes everything and keeps what it was given."""

    given: dict[str, bytes] = field(default_factory=dict)
    """By ``blob DIGEST`` and ``manifest TAG_OR_DIGEST``."""

    title = "the place"
    checks = True
    denied = None

    def document(self, name: str | Digest) -> Document | None:
        raw = self.given.get(f"manifest {name}")
        return None if raw is None else Document.parse(raw)

    def sought(self, tag: str) -> Document | None:
        return self.document(tag)

    def referrers(self, subject: Digest) -> Referrers:
        return Referrers(api=False)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        yield self.given[f"blob {blob.digest}"]

    def has(self, blob: Descriptor) -> bool:
        return f"blob {blob.digest}" in self.given

    def put(self, blob: Descriptor, chunks: Callable[[], Iterator[bytes]]) -> None:
        self.given[f"blob {blob.digest}"] = b"".join(chunks())

    def mount(self, blob: Descriptor, source: str) -> bool:
        return False

    def put_document(self, document: Document, *, tag: str | None = None, over: Over | None = None) -> bool:
        self.given[f"manifest {tag or document.digest}"] = document.raw
        return False

    def compares(self, document: Document) -> bool:
        return True

    def reads_tags_as_digests(self) -> bool:
        return False

    def tags(self) -> list[str]:
        return []
