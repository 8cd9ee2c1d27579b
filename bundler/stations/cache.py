"""Blobs kept on the way out, by digest, so that an export that was cut goes on where it stopped."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bundler.content.files import disk, whole
from bundler.content.store import Referrers, Source
from bundler.content.stream import CHUNK, verified
from bundler.errors import IntegrityError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document


def cached(source: Source, folder: Path) -> Source:
    """``source``, whose blobs are kept in ``folder`` and taken from there. Manifests are always asked for anew."""
    with disk(f"{folder} cannot be made"):
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    return _Cached(source, folder / "blobs" / "sha256")


@dataclass(frozen=True, slots=True)
class _Cached:
    source: Source
    folder: Path

    def document(self, name: str | Digest) -> Document | None:
        return self.source.document(name)

    def referrers(self, subject: Digest) -> Referrers:
        return self.source.referrers(subject)

    def has(self, blob: Descriptor) -> bool:
        return self._kept(blob) or self.source.has(blob)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """From the folder, else from the source and into the folder; a kept file that has rotted is removed and named."""
        path = self.folder / blob.digest.encoded
        if not self._kept(blob):
            yield from self._keeping(blob, path)
            return
        try:
            yield from verified(blob, _read(path))
        except IntegrityError as error:
            path.unlink(missing_ok=True)
            raise IntegrityError(
                f"{path} in the cache was damaged, and is removed",
                code=error.code,
                found=error.found,
                wanted=error.wanted,
                next="run it again",
            ) from error

    def _kept(self, blob: Descriptor) -> bool:
        path = self.folder / blob.digest.encoded
        return blob.digest.algorithm == "sha256" and not path.is_symlink() and path.is_file() and path.stat().st_size == blob.size

    def _keeping(self, blob: Descriptor, path: Path) -> Iterator[bytes]:
        with whole(path, replace=True) as file:
            for chunk in verified(blob, self.source.chunks(blob)):
                file.write(chunk)
                yield chunk


def _read(path: Path) -> Iterator[bytes]:
    with disk(f"{path} cannot be read"), path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
