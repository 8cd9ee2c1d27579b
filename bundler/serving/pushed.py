"""A manifest that was pushed, and what the registry has to know of it."""

import re
from dataclasses import dataclass
from typing import Any

from bundler import strictjson
from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, Document
from bundler.serving.exchange import RefusedError
from bundler.serving.repository import StoredManifest

_UNSTATED = {"", "application/json", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain"}
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Pushed:
    """A manifest and what the registry has to know of it. Of an unknown media type it knows subject and artifact type only."""

    manifest: StoredManifest
    needs: tuple[Digest, ...]
    subject: Digest | None
    as_referrer: dict[str, Any]

    @classmethod
    def parse(cls, raw: bytes, content_type: str, digest: Digest | None) -> "Pushed":
        """Raises IntegrityError, FormatError."""
        stated = content_type.partition(";")[0].strip().lower()
        stated = "" if stated in _UNSTATED else stated
        if stated and not _MEDIA_TYPE.fullmatch(stated):
            raise RefusedError(400, "MANIFEST_INVALID", "the media type is not well-formed")
        if not stated or stated in mediatype.DOCUMENTS | mediatype.SCHEMA1:
            return cls._known(Document.parse(raw, media_type=stated or None, digest=digest))
        if digest is not None and digest.same_kind_of(raw) != digest:
            raise RefusedError(400, "DIGEST_INVALID", f"the manifest is not {digest}")
        return cls._unknown(StoredManifest(digest or Digest.of(raw), stated, raw))

    @classmethod
    def _known(cls, document: Document) -> "Pushed":
        return cls(
            manifest=StoredManifest(document.digest, document.descriptor.media_type, document.raw),
            needs=tuple(blob.digest for blob in document.blobs if not blob.foreign),
            subject=document.subject.digest if document.subject else None,
            as_referrer=document.as_referrer.to_json(),
        )

    @classmethod
    def _unknown(cls, manifest: StoredManifest) -> "Pushed":
        members = strictjson.loads(manifest.raw, limit=MAX_DOCUMENT, predicate=True)
        if not isinstance(members, dict) or members.get("mediaType", manifest.media_type) != manifest.media_type:
            raise RefusedError(400, "MANIFEST_INVALID", "the manifest is not of the media type that it was pushed as")
        subject, kind, annotations = (members.get(name) for name in ("subject", "artifactType", "annotations"))
        descriptor: dict[str, Any] = {"mediaType": manifest.media_type, "digest": str(manifest.digest), "size": len(manifest.raw)}
        descriptor |= {"artifactType": kind} if isinstance(kind, str) and kind else {}
        descriptor |= {"annotations": annotations} if isinstance(annotations, dict) else {}
        named = subject.get("digest") if isinstance(subject, dict) else None
        return cls(manifest, (), Digest.parse(named) if isinstance(named, str) else None, descriptor)
