"""Blobs kept on the way out, by digest: small ones, so that each is asked for once in a run, and in a folder all, so that an
export that was cut goes on where it stopped."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bundler.content.files import disk, whole
from bundler.content.store import Referrers, Source
from bundler.content.stream import CHUNK, gathered, verified
from bundler.errors import IntegrityError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document

_SMALL = 16 << 10  # a config is read for its platform and a signature to be judged, before both are carried
_MOST = 2048  # of them, so 32 MiB and mostly far less
_TEMPORARY = ".oci-bundler-*.tmp"  # as bundler.content.files names what is not whole yet


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder that blobs are kept in, or none, and memory for small ones."""

    blobs: Path | None
    small: dict[Digest, bytes] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def at(cls, folder: Path | None) -> Iterator["Cache"]:
        """The cache in ``folder``, made if it is absent. Several runs may use it at once; one that is alone sweeps it.

        Raises TransportError (``disk.io``).
        """
        if folder is None:
            yield cls(None)
            return
        blobs = folder / "blobs" / "sha256"
        with disk(f"the cache {folder} cannot be made"):
            blobs.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            with suppress(OSError):  # somebody else is there, or the file system knows no locks
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _sweep(blobs)
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_SH)
            yield cls(blobs)
        finally:
            os.close(lock)

    def before(self, source: Source) -> Source:
        """``source``, whose blobs are kept here and taken from here. Manifests are always asked for anew."""
        return _Remembered(source if self.blobs is None else _Cached(source, self.blobs), self.small)


@dataclass(frozen=True, slots=True)
class _Remembered:
    source: Source
    small: dict[Digest, bytes]

    def document(self, name: str | Digest) -> Document | None:
        return self.source.document(name)

    def referrers(self, subject: Digest) -> Referrers:
        return self.source.referrers(subject)

    def has(self, blob: Descriptor) -> bool:
        return self.source.has(blob)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        if blob.size > _SMALL:
            yield from self.source.chunks(blob)
            return
        data = self.small.get(blob.digest)
        if data is None:
            data = gathered(blob, self.source.chunks(blob))
            if len(self.small) < _MOST:
                self.small[blob.digest] = data
        yield data


@dataclass(frozen=True, slots=True)
class _Cached:
    source: Source
    folder: Path

    def document(self, name: str | Digest) -> Document | None:
        return self.source.document(name)

    def referrers(self, subject: Digest) -> Referrers:
        return self.source.referrers(subject)

    def has(self, blob: Descriptor) -> bool:
        return self._kept(blob) is not None or self.source.has(blob)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """From the folder if it is sound there, else from the source and into the folder."""
        path = self._kept(blob)
        if path is not None and _is_sound(blob, path):
            yield from _read(path)
        elif blob.digest.algorithm == "sha256":
            with whole(self.folder / blob.digest.encoded, replace=True) as file:
                for chunk in verified(blob, self.source.chunks(blob)):
                    file.write(chunk)
                    yield chunk
        else:
            yield from self.source.chunks(blob)

    def _kept(self, blob: Descriptor) -> Path | None:
        path = self.folder / blob.digest.encoded
        known = blob.digest.algorithm == "sha256" and not path.is_symlink() and path.is_file() and path.stat().st_size == blob.size
        return path if known else None


def _is_sound(blob: Descriptor, path: Path) -> bool:
    """Whether the file is what its name says: disks rot, and an export must not end because of that."""
    try:
        for _ in verified(blob, _read(path)):
            pass
    except IntegrityError:
        return False
    return True


def _read(path: Path) -> Iterator[bytes]:
    with disk(f"{path} cannot be read"), path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _sweep(blobs: Path) -> None:
    for left in blobs.glob(_TEMPORARY):
        left.unlink(missing_ok=True)
