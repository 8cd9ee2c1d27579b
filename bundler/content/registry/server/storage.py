"""The embedded registry's folder: what is in it is whole, whatever kills the process.

::

    registry.json                                              the form of this folder
    lock                                                       held by the process that serves it
    blobs/ALGORITHM/HEX                                        content, once for all repositories
    repositories/NAME/_blobs/ALGORITHM/HEX                     the repository has this blob; empty
    repositories/NAME/_manifests/ALGORITHM/HEX                 and this manifest; its media type
    repositories/NAME/_referrers/ALGORITHM/HEX/ALGORITHM-HEX   the second refers to the first; empty
    repositories/NAME/_tags/TAG                                a digest
    uploads/                                                   what is not whole yet

A file has its name only once its bytes are synced, and what a file names has its own name before. Nothing is answered
before the folder is synced too. Content that no repository has any more is freed when serving begins; so is ``uploads/``.
"""

import errno
import fcntl
import hashlib
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bundler import strictjson
from bundler.content.files import disk, read_small, sync_folder, write_whole
from bundler.content.stream import Turns
from bundler.errors import Code, FormatError, TransportError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference

MAX_UPLOADS = 1_024  # under way at once; four for each connection that can be open
FORGOTTEN = 3_600  # seconds without a byte after which an upload gives way to a new one

_MARKER = "registry.json"
_FORM = {"version": 1}
_HOST = "localhost"  # names are judged by the one grammar of references, which wants a host


class MismatchError(Exception):
    """What was uploaded has another digest than it was said to have."""


class OvertakenError(Exception):
    """A name holds something else than the condition of a push allows."""


class BusyError(Exception):
    """More uploads are under way than can be kept."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it was pushed."""

    digest: Digest
    media_type: str
    raw: bytes


class Storage:
    """The folder, for one process; only readers may share it.

    Raises UsageError for a folder that is not a registry's, TransportError (``disk.locked``, ``disk.io``).
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.folder = folder
        self._uploads: dict[str, Upload] = {}
        self._uploads_lock = threading.Lock()
        self._turns = Turns(64)
        with disk(f"the registry {folder} cannot be opened"):
            _look_at(folder, read_only=read_only)
            self._lock = _locked(folder, read_only=read_only)
            try:
                if not read_only:
                    self._prepare()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Let another process have the folder. What is under way has been waited for."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def repository(self, name: str) -> "Repository":
        """Raises FormatError (``format.reference``) for what is no name."""
        path = Reference(_HOST, name).path
        return Repository(self, path, self._turns.of(path))

    def names(self) -> list[str]:
        """All repositories that ever had content, sorted."""
        root, found = self.folder / "repositories", []
        for folder, below, _ in os.walk(root):
            deeper = [each for each in below if not each.startswith("_")]
            if len(deeper) < len(below):
                found.append(Path(folder).relative_to(root).as_posix())
            below[:] = deeper
        return sorted(found)

    def content(self, digest: Digest) -> Path:
        """Where the content of that digest lies, if it does."""
        return self.folder / "blobs" / digest.algorithm / digest.encoded

    # --- uploads ---

    def begin(self, repository: str, *, algorithm: str) -> "Upload":
        """Raises BusyError when there are too many."""
        upload = Upload(str(uuid.uuid4()), repository, self.folder / "uploads", algorithm=algorithm)
        with self._uploads_lock:
            if len(self._uploads) >= MAX_UPLOADS:
                self._forget()
            upload.path.touch(exist_ok=False)
            self._uploads[upload.id] = upload
        return upload

    def upload(self, repository: str, id_: str) -> "Upload | None":
        found = self._uploads.get(id_)
        return found if found is not None and found.repository == repository else None

    def discard(self, upload: "Upload") -> None:
        with self._uploads_lock:
            self._uploads.pop(upload.id, None)
        upload.path.unlink(missing_ok=True)

    def keep(self, upload: "Upload", digest: Digest) -> None:
        """Make the whole upload the content of that digest. Raises MismatchError if it is not; it is gone then."""
        try:
            if upload.digest(digest.algorithm) != digest:
                raise MismatchError(str(digest))
            with upload.path.open("rb") as file:
                os.fsync(file.fileno())
            self.move(upload.path, self.content(digest))
        finally:
            self.discard(upload)

    def _forget(self) -> None:
        long_ago = time.monotonic() - FORGOTTEN
        for upload in [u for u in self._uploads.values() if u.touched < long_ago and not u.busy.locked()]:
            del self._uploads[upload.id]
            upload.path.unlink(missing_ok=True)
        if len(self._uploads) >= MAX_UPLOADS:
            raise BusyError

    # --- files ---

    def write(self, data: bytes, path: Path) -> None:
        """``data`` as the file ``path``, whole and synced, instead of what was there."""
        temporary = self.folder / "uploads" / str(uuid.uuid4())
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self.move(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def move(self, temporary: Path, path: Path) -> None:
        _make(path.parent)
        temporary.replace(path)
        sync_folder(path.parent)

    def _prepare(self) -> None:
        if not (self.folder / _MARKER).exists():
            write_whole(self.folder / _MARKER, json.dumps(_FORM).encode())
        for name in ("uploads", "blobs", "repositories"):
            _make(self.folder / name)
        for left in (self.folder / "uploads").iterdir():
            left.unlink()
        self._sweep()

    def _sweep(self) -> None:
        """Free the content that no repository has. A folder that cannot be listed ends it: it may hold a name."""
        had: set[tuple[str, str]] = set()
        for folder, _, files in os.walk(self.folder / "repositories", onerror=_raise):
            *_, kind, algorithm = Path(folder).parts
            if kind in {"_blobs", "_manifests"}:
                had.update((algorithm, file) for file in files)
        for folder, _, files in os.walk(self.folder / "blobs", onerror=_raise):
            algorithm = Path(folder).name
            for file in files:
                if (algorithm, file) not in had:
                    Path(folder, file).unlink()


class Repository:
    """One repository of the folder. Whoever deletes and whoever pushes a manifest take turns."""

    def __init__(self, storage: Storage, name: str, lock: threading.Lock) -> None:
        self.name = name
        self._storage = storage
        self._folder = storage.folder / "repositories" / name
        self._lock = lock

    def exists(self) -> bool:
        return (self._folder / "_blobs").exists() or (self._folder / "_manifests").exists()

    # --- blobs ---

    def has(self, digest: Digest) -> bool:
        return self._blob(digest).exists() and self._storage.content(digest).exists()

    def open(self, digest: Digest) -> BinaryIO | None:
        """The blob's file, which stays readable when the blob is deleted meanwhile; None if there is none."""
        if not self._blob(digest).exists():
            return None
        try:
            return self._storage.content(digest).open("rb")
        except FileNotFoundError:
            return None

    def add(self, digest: Digest) -> None:
        """Say that the repository has this content, which is there."""
        path = self._blob(digest)
        if not path.exists():
            _make(path.parent)
            path.touch()
            sync_folder(path.parent)

    def mount(self, digest: Digest, *, source: "Repository | None") -> bool:
        """Have the blob of the ``source``, or of any repository; False if it has none."""
        there = self._storage.content(digest).exists() if source is None else source.has(digest)
        if there:
            self.add(digest)
        return there

    def drop(self, digest: Digest) -> bool:
        """Whether there was such a blob; there is none now."""
        with self._lock:
            return _unlink(self._blob(digest))

    def _blob(self, digest: Digest) -> Path:
        return self._folder / "_blobs" / digest.algorithm / digest.encoded

    # --- manifests ---

    def manifest(self, digest: Digest) -> Manifest | None:
        try:
            media_type = self._manifest(digest).read_text(encoding="ascii")
            raw = self._storage.content(digest).read_bytes()
        except FileNotFoundError:
            return None
        return Manifest(digest, media_type, raw)

    def resolve(self, tag: str) -> Digest | None:
        """Raises FormatError for what is no tag."""
        try:
            return Digest.parse(self._tag(tag).read_text(encoding="ascii"))
        except FileNotFoundError:
            return None

    def lacks(self, blobs: Iterable[Digest]) -> list[Digest]:
        return [digest for digest in blobs if not self.has(digest)]

    def push(
        self,
        manifest: Manifest,
        *,
        needs: Iterable[Digest],
        subject: Digest | None,
        tags: Iterable[str],
        condition: Callable[[], bool] = lambda: True,
    ) -> list[Digest]:
        """Keep the manifest and point the tags at it; or change nothing and give what it needs and the repository lacks.

        ``condition`` is asked in the same turn, so that nobody writes between it and the tags. Raises OvertakenError where
        it is false.
        """
        paths = [self._tag(tag) for tag in tags]
        with self._lock:
            if not condition():
                raise OvertakenError
            if lacking := self.lacks(needs):
                return lacking
            self._storage.write(manifest.raw, self._storage.content(manifest.digest))
            if subject is not None:
                path = self._referrer(subject, manifest.digest)
                _make(path.parent)
                path.touch()
                sync_folder(path.parent)
            self._storage.write(manifest.media_type.encode("ascii"), self._manifest(manifest.digest))
            for path in paths:
                self._storage.write(str(manifest.digest).encode(), path)
        return []

    def drop_manifest(self, digest: Digest, *, subject: Digest | None) -> bool:
        """Whether there was such a manifest; it, its tags and its place among the referrers are gone now, the tags first."""
        with self._lock:
            if not self._manifest(digest).exists():
                return False
            for tag in self.tags():
                if self.resolve(tag) == digest:
                    _unlink(self._tag(tag))
            _unlink(self._manifest(digest))
            if subject is not None:
                _unlink(self._referrer(subject, digest))
            return True

    def drop_tag(self, tag: str) -> bool:
        with self._lock:
            return _unlink(self._tag(tag))

    def tags(self) -> list[str]:
        """Sorted by their ASCII."""
        return sorted(_listed(self._folder / "_tags"))

    def referrers(self, subject: Digest) -> list[Digest]:
        """Sorted. Some may have no manifest: a push that was killed."""
        found = _listed(self._folder / "_referrers" / subject.algorithm / subject.encoded)
        return sorted(Digest.parse(name.replace("-", ":")) for name in found)

    def _manifest(self, digest: Digest) -> Path:
        return self._folder / "_manifests" / digest.algorithm / digest.encoded

    def _referrer(self, subject: Digest, digest: Digest) -> Path:
        return self._folder / "_referrers" / subject.algorithm / subject.encoded / digest.tag

    def _tag(self, tag: str) -> Path:
        checked = Reference(_HOST, self.name, tag).tag
        if not checked:
            raise FormatError("a tag is empty", code=Code.FORMAT_REFERENCE)
        return self._folder / "_tags" / checked


class Upload:
    """A blob on its way in: what came is in a file, and hashed already. It does not outlive the process."""

    def __init__(self, id_: str, repository: str, folder: Path, *, algorithm: str) -> None:
        self.id = id_
        self.repository = repository
        self.path = folder / id_
        self.size = 0
        self.touched = time.monotonic()
        self.busy = threading.Lock()
        """Held by the one request that writes to it or ends it."""
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)

    def append(self, chunks: Iterable[bytes | memoryview]) -> None:
        """Raises whatever ``chunks`` raises; what came before stays."""
        with self.path.open("r+b") as file:
            file.seek(self.size)
            for chunk in chunks:
                file.write(chunk)
                self._hash.update(chunk)
                self.size += len(chunk)
                self.touched = time.monotonic()

    def digest(self, algorithm: str) -> Digest:
        """Of all that came; read again only if it was not known at first which algorithm would be asked for."""
        if algorithm != self._algorithm:
            with self.path.open("rb") as file:
                return Digest(algorithm, hashlib.file_digest(file, algorithm).hexdigest())
        return Digest(algorithm, self._hash.hexdigest())


def _look_at(folder: Path, *, read_only: bool) -> None:
    marker = folder / _MARKER
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", code=Code.USAGE_INPUT)
    if not marker.exists():
        if read_only or (folder.exists() and any(each.name != "lock" and _MARKER not in each.name for each in folder.iterdir())):
            raise UsageError(
                f"{folder} is not a registry's folder",
                code=Code.USAGE_INPUT,
                wanted="a folder that this command made, or an empty one",
                next="name another folder" if not read_only else "push something into it first, without --read-only",
            )
        _make(folder)
        return
    if strictjson.loads(read_small(marker, limit=1_024, what="the registry's"), limit=1_024) != _FORM:
        raise UsageError(f"{folder} is a registry of a newer form", code=Code.USAGE_INPUT, next="serve it with the program that made it")


def _locked(folder: Path, *, read_only: bool) -> int | None:
    try:
        lock = os.open(folder / "lock", os.O_CLOEXEC | (os.O_RDONLY if read_only else os.O_RDWR | os.O_CREAT), 0o666)
    except FileNotFoundError:
        return None  # a copy on a medium: nobody can write there
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise TransportError(
            f"another process serves {folder}", code=Code.DISK_LOCKED, next="end that one, or serve another folder"
        ) from error
    return lock


def _make(folder: Path) -> None:
    """The folder and those above it, each name synced."""
    if folder.exists():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def _listed(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield entry.name
    except FileNotFoundError:
        return


def _raise(error: OSError) -> None:
    raise error
