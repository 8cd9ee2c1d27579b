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

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from bundler.bundle.archive import Archive, Content, opened
from bundler.bundle.composition import Documents, compose, entry
from bundler.bundle.seal import Kind, Member, Seal
from bundler.bundle.sealenvelope import preauthentication, sealed
from bundler.bundle.writing import Written, write
from bundler.content.files import whole
from bundler.content.medium import FileMedium, Medium
from bundler.errors import Code, TrustError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form, Found, Lookup
from bundler.oci.manifest import Document, Manifest, platform_in
from bundler.oci.reference import Reference
from tests.support import layouts

CREATED = datetime(2024, 1, 1, tzinfo=UTC)
SHA256 = hashes.SHA256()


def key(number: int = 1) -> ec.EllipticCurvePrivateKey:
    """The same P-256 key for the same number."""
    return ec.derive_private_key(0xB0B + number, ec.SECP256R1())


KEY = key()


def public(private: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, form)


def sign(payload: bytes, private: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    """A signature over the pre-authentication encoding; the same each time (RFC 6979)."""
    return private.sign(preauthentication(len(payload)) + payload, ec.ECDSA(SHA256, deterministic_signing=True))


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
        trust: Mapping[str, bytes] | None = None,
        **fields: Any,
    ) -> "Bundle":
        """What an exporter would seal of these images; ``fields`` are the seal's."""
        references = {Reference.parse(name): root for name, root in images.items()}
        lookups = [each for repository in {r.repository: None for r in references} for each in lookups_in(content, repository)]
        document, gone, files = documents_of(content), set(left_out), dict(trust or {})
        entries = [entry(r, root, document, left_out=gone, platforms=platforms_of(content, root)) for r, root in references.items()]
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
        keys: Sequence[ec.EllipticCurvePrivateKey] = (KEY,),
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
        keys: Sequence[ec.EllipticCurvePrivateKey] = (KEY,),
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
        tagged = {form: content.tags.get(f"{digest.tag}.{form}") for form in ("sig", "att", "sbom")}
        referring = [d.digest for d in content.documents.values() if d.subject is not None and d.subject.digest == digest]
        found = [Found(document.digest, Form(form)) for form, document in tagged.items() if document is not None]
        asked = {form: "absent" if document is None else "found" for form, document in tagged.items()}
        asked |= {"referrers": "found" if referring else "absent", "fallback": "absent"}
        yield Lookup(repository, digest, asked, (*found, *(Found(each, Form.REFERRER) for each in referring)))


def checked(archive: Archive, *keys: ec.EllipticCurvePublicKey) -> Content:
    """The content, if one of these keys sealed it. Raises TrustError (``seal.signature``)."""
    for each in keys:
        for signature in archive.envelope.signatures:
            try:
                each.verify(signature, archive.envelope.signed, ec.ECDSA(utils.Prehashed(SHA256)))
            except InvalidSignature:
                continue
            return archive.sealed_by(archive.envelope.payload())
    raise TrustError("nobody who may has sealed this", code=Code.SEAL_SIGNATURE)


@contextmanager
def content_of(path: Path, private: ec.EllipticCurvePrivateKey = KEY) -> Iterator[Content]:
    with opened(path) as archive:
        yield checked(archive, private.public_key())
