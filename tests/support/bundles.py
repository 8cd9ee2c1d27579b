"""Bundles of what a test made: sealed, written, and opened by someone who checked the seal.

content = Content()
image = content.index("hello")
bundle = Bundle.of(content, {"registry.example/app:v1": image})
bundle.write(tmp_path / "app.oci.tar.zst")
with content_of(path) as content: ...
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bundler.bundle import tar
from bundler.bundle.archive import Archive, Content, opened
from bundler.bundle.composition import Documents, compose, entry
from bundler.bundle.frames import FRAME
from bundler.bundle.seal import TRUST, Kind, Member, Seal
from bundler.bundle.sealenvelope import preauthentication, sealed
from bundler.bundle.writing import Written, write
from bundler.content.files import whole
from bundler.content.medium import FileMedium, Medium
from bundler.errors import BundlerError, Code, TrustError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form, Found, Lookup, looked_up
from bundler.oci.manifest import Document, Manifest, platform_in
from bundler.oci.reference import Reference
from bundler.trust.keys import Signed
from tests.support import layouts
from tests.support.signing import EXPORTER, Key

CREATED = datetime(2024, 1, 1, tzinfo=UTC)


def sign(payload: bytes, key: Key = EXPORTER) -> bytes:
    """A signature of a seal: over the pre-authentication encoding, and the same each time."""
    return key.sign(preauthentication(len(payload)) + payload)


@dataclass(frozen=True)
class Bundle:
    """A seal and the files that it lists, by their names in the tar."""

    seal: Seal
    files: Mapping[str, bytes]

    @classmethod
    def of(
        cls,
        content: layouts.Content,
        images: Mapping[str, Document],
        *,
        left_out: Iterable[Digest] = (),
        absent: Iterable[Digest] = (),
        elsewhere: Iterable[Digest] = (),
        trust: Iterable[bytes] = (),
        platforms: Sequence[str] | None = None,
        **fields: Any,
    ) -> "Bundle":
        """What an exporter would seal of these images, with the keys of ``trust``; ``fields`` are the seal's.

        ``platforms`` of a single manifest are those of its config, where nobody says which.
        """
        references = {Reference.parse(name): root for name, root in images.items()}
        lookups = [each for repository in {r.repository: None for r in references} for each in lookups_in(content, repository)]
        document, gone = documents_of(content), set(left_out)
        entries = [
            entry(
                reference,
                root,
                document,
                left_out=gone,
                platforms=platforms_of(content, root) if platforms is None else platforms,
                lookups=looked_up(lookups),
            )
            for reference, root in references.items()
        ]
        files = {f"{TRUST}{Digest.of(data).encoded}.pub": data for data in trust}
        trusted = [Member(Kind.TRUST, len(data), Digest.of(data), name) for name, data in files.items()]
        made = compose(entries, lookups, document, trust=trusted, absent=set(absent), elsewhere=set(elsewhere))
        files |= made.derived
        for member in made.members:
            if member.path not in files:
                known = content.documents.get(member.digest)
                files[member.path] = known.raw if known else content.blobs[member.digest]
        told: dict[str, Any] = {"stream": "default", "sequence": 1, "created": CREATED} | fields
        told |= {"lookups": made.lookups, "left_out": made.left_out, "elsewhere": made.elsewhere}
        told |= {"base": (Digest.of(b"earlier"),)} if made.elsewhere else {}
        return cls(Seal(images=tuple(entries), members=made.members, **told), files)

    def chunks(self, member: Member) -> Iterator[bytes]:
        data = self.files[member.path]
        return (data[at : at + 100_000] for at in range(0, len(data), 100_000))

    def write(
        self,
        path: Path,
        *,
        keys: Sequence[Key] = (EXPORTER,),
        payload: bytes | None = None,
        chunks: Callable[[Member], Iterable[bytes]] | None = None,
        replace: bool = False,
        **options: Any,
    ) -> Written:
        """The same as :meth:`put` as a file, which is there whole or not at all."""
        with whole(path, replace=replace) as file:
            return self.put(FileMedium(file), keys=keys, payload=payload, chunks=chunks, **options)

    def put(
        self,
        medium: Medium,
        *,
        keys: Sequence[Key] = (EXPORTER,),
        payload: bytes | None = None,
        chunks: Callable[[Member], Iterable[bytes]] | None = None,
        **options: Any,
    ) -> Written:
        """Seal it with these keys and write it, under another ``payload`` or with other ``chunks`` where a test wants to lie."""
        payload = self.seal.statement() if payload is None else payload
        envelope = sealed(payload, [sign(payload, each) for each in keys])
        return write(medium, envelope=envelope, members=self.seal.members, chunks=chunks or self.chunks, **options)

    def sealed_as(self, **fields: Any) -> "Bundle":
        """The same files under another seal."""
        return replace(self, seal=replace(self.seal, **fields))


def documents_of(content: layouts.Content) -> Documents:
    def document(digest: Digest, media_type: str | None) -> Document:
        return Document.parse(content.documents[digest].raw, media_type=media_type, digest=digest)

    return document


def configs_of(content: layouts.Content) -> Callable[[Descriptor], bytes]:
    return lambda config: content.blobs[config.digest]


def platforms_of(content: layouts.Content, root: Document) -> list[str]:
    """What the config of a single manifest says."""
    told = isinstance(root.content, Manifest) and root.content.tells_platform
    return [str(each) for each in platform_in(content.blobs[root.blobs[0].digest])] if told else []


def lookups_in(content: layouts.Content, repository: str) -> Iterator[Lookup]:
    """What a registry without an API for referrers, but all that ``content`` has, would answer about each document."""
    for digest in content.documents:
        tagged = {form: tagged_in(content, repository, f"{digest.tag}.{form}") for form in ("sig", "att", "sbom")}
        referring = [d.digest for d in content.documents.values() if d.subject is not None and d.subject.digest == digest]
        found = [Found(document.digest, Form(form)) for form, document in tagged.items() if document is not None]
        asked = {form: "absent" if document is None else "found" for form, document in tagged.items()}
        asked |= {"referrers": "found" if referring else "absent", "fallback": "absent"}
        yield Lookup(repository, digest, asked, (*found, *(Found(each, Form.REFERRER) for each in referring)))


def tagged_in(content: layouts.Content, repository: str, tag: str) -> Document | None:
    return content.tags.get(f"{repository}:{tag}", content.tags.get(tag))


def checked(archive: Archive, *keys: Key) -> Content:
    """The content, if one of these keys sealed it. Raises TrustError (``seal.signature``)."""
    for each in keys:
        for signature in archive.envelope.signatures:
            try:
                each.parsed("seal").verify(signature, Signed.by_sha256(archive.envelope.signed))
            except BundlerError:
                continue
            return archive.sealed_by(archive.envelope.payload())
    raise TrustError("nobody who may has sealed this", code=Code.SEAL_SIGNATURE)


@contextmanager
def content_of(path: Path, key: Key = EXPORTER) -> Iterator[Content]:
    with opened(path) as archive:
        yield checked(archive, key)


def seal_frames(path: Path) -> list[tuple[int, int]]:
    """Compressed size and content of each frame of the seal."""
    with opened(path) as archive:
        return list(archive.table.sizes(0, -(-tar.record(archive.seal_size) // FRAME)))
