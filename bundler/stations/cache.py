"""Blobs kept on the way out, by digest: small ones, so that each is asked for once in a run, and in a folder all, so that an
export that was cut goes on where it stopped."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from bundler.content.files import disk, sweep, whole
from bundler.content.store import Referrers, Source, Unsaid
from bundler.content.stream import CHUNK, gathered, side_by_side, verified
from bundler.errors import BundlerError, IntegrityError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document

_SMALL = 16 << 10  # a config is read for its platform and a signature to be judged, before both are carried
_MOST = 2048  # of them, so 32 MiB and mostly far less


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder that blobs are kept in, or none, and memory for small ones."""

    blobs: "_Kept | None"
    small: dict[Digest, bytes] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def at(cls, folder: Path | None, *, say: Callable[[str], None] = lambda _: None) -> Iterator["Cache"]:
        """The cache in ``folder``, made if it is absent, and without what killed runs left there. Several runs may use it at once.

        What is in it may be by anyone: what is not the blob that its name says is passed over, and said. Raises TransportError
        (``disk.io``, ``disk.full``).
        """
        blobs = None if folder is None else _made(folder, say)
        if blobs is not None:
            sweep(blobs)
        yield cls(_Kept(blobs, say) if blobs else None)

    def before(self, source: Source) -> Source:
        """``source``, whose blobs are kept here and taken from here. Manifests are always asked for anew."""
        return _Remembered(source if self.blobs is None else _Cached(source, self.blobs), self.small)

    def fetch(self, source: Source, blobs: Iterable[Descriptor], *, jobs: int) -> None:
        """Ask ``source``, which is one of :meth:`before`, side by side for the small ones of ``blobs``, which will be read one by one.

        What cannot be had is left to who reads it, and may not need it.
        """
        wanted = [blob for blob in {b.digest: b for b in blobs}.values() if blob.size <= _SMALL and blob.digest not in self.small]

        def fetch(blob: Descriptor) -> None:
            with suppress(BundlerError):
                for _ in source.chunks(blob):
                    pass

        for _ in side_by_side(fetch, wanted[: max(0, _MOST - len(self.small))], jobs=jobs):
            pass


@dataclass(frozen=True, slots=True)
class _Remembered:
    source: Source
    small: dict[Digest, bytes]

    def document(self, name: str | Digest) -> Document | None:
        return self.source.document(name)

    def sought(self, tag: str) -> Document | Unsaid | None:
        return self.source.sought(tag)

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
    kept: "_Kept"

    def document(self, name: str | Digest) -> Document | None:
        return self.source.document(name)

    def sought(self, tag: str) -> Document | Unsaid | None:
        return self.source.sought(tag)

    def referrers(self, subject: Digest) -> Referrers:
        return self.source.referrers(subject)

    def has(self, blob: Descriptor) -> bool:
        with self.kept.opened(blob) as file:
            return file is not None or self.source.has(blob)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """From the folder if it is sound there, else from the source and into the folder."""
        with self.kept.opened(blob) as file:
            if file is not None:
                yield from _read(file, self.kept.path(blob))
                return
        fetched = self.source.chunks(blob)
        yield from self.kept.keeping(blob, fetched) if self.kept.takes(blob) else fetched


@dataclass(frozen=True, slots=True)
class _Kept:
    """A folder of blobs, each a file whose name is the hex of its SHA-256."""

    folder: Path
    say: Callable[[str], None]
    said: set[Digest] = field(default_factory=set)

    def path(self, blob: Descriptor) -> Path:
        return self.folder / blob.digest.encoded

    @contextmanager
    def opened(self, blob: Descriptor) -> Iterator[BinaryIO | None]:
        """The blob, read through once and compared: disks rot, and others write here. None for what is not there or not it."""
        path = self.path(blob)
        if blob.digest.algorithm != "sha256" or not os.path.lexists(path):
            yield None
            return
        try:
            file = open(path, "rb", opener=_no_link)  # noqa: SIM115 - it is closed below, whatever it turns out to be
        except OSError as error:
            self._pass_over(blob, error.strerror)
            yield None
            return
        with file:
            why = _wrong(blob, file)
            if why is not None:
                self._pass_over(blob, why)
            yield file if why is None else None

    def takes(self, blob: Descriptor) -> bool:
        """Whether it can be kept: its name is free, or has a file that is not it."""
        path = self.path(blob)
        return blob.digest.algorithm == "sha256" and (not os.path.lexists(path) or stat.S_ISREG(path.lstat().st_mode))

    def keeping(self, blob: Descriptor, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """``chunks``, and the blob is kept when they have ended."""
        with whole(self.path(blob), replace=True) as file:
            for chunk in verified(blob, chunks):
                file.write(chunk)
                yield chunk

    def _pass_over(self, blob: Descriptor, why: str | None) -> None:
        if blob.digest not in self.said:
            self.said.add(blob.digest)
            self.say(f"note: {self.path(blob)} in the cache is passed over: {why}")


def _made(folder: Path, say: Callable[[str], None]) -> Path | None:
    """The folder of blobs; None where something else has its place, which may lead anywhere."""
    with disk(f"the cache {folder} cannot be made"):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("blobs", "sha256"):
            folder /= name
            with suppress(FileExistsError):
                folder.mkdir()
            if not stat.S_ISDIR(folder.lstat().st_mode):
                say(f"note: the cache is not used: {folder} is not a folder")
                return None
    return folder


def _no_link(path: str, flags: int) -> int:
    """A link must not lead elsewhere, and a FIFO or a terminal not make the run wait."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)


def _wrong(blob: Descriptor, file: BinaryIO) -> str | None:
    """Why an open file is not the blob, in words; None if it is, and then it is at its beginning again."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        return "it is not a file"
    if status.st_size != blob.size:
        return f"it has {status.st_size} bytes, and not {blob.size}"
    try:
        for _ in verified(blob, iter(lambda: file.read(CHUNK), b"")):
            pass
        file.seek(0)
    except IntegrityError:
        return "its bytes are not those of its name"
    except OSError as error:
        return error.strerror
    return None


def _read(file: BinaryIO, path: Path) -> Iterator[bytes]:
    with disk(f"{path} cannot be read"):
        while chunk := file.read(CHUNK):
            yield chunk
