"""Blobs on their way in: how many there may be, how large, how old, and of whom."""

import errno
import hashlib
import os
import threading
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress

from bundler.oci.digest import Digest
from bundler.serving.servedfolder import Names, ServedFolder

PLACE = "uploads"  # the folder's folder of what is not whole yet

MAX_UPLOADS = 1_024  # under way at once; four for each connection that can be open
MAX_FROM_ONE = 256  # of one address; a client sends its layers in some ten uploads, and many clients may be behind one address
MAX_UPLOADING = 1 << 40  # bytes of all of them; ten times the largest blobs that registries are known to take (100 GiB)
KEPT_FREE = 64 << 20  # bytes of the disk that uploads leave: manifests and tags of what is whole must still find room
FORGOTTEN = 3_600  # seconds without a byte after which an upload is given up
OLDEST = 86_400  # seconds after which it is given up in any case; at the least rate a mebibyte takes a minute
_LOOKED = 16 << 20  # bytes between two looks at how much room there is


class BusyError(Exception):
    """More uploads are under way than can be kept."""


class MismatchError(Exception):
    """What was uploaded has another digest than it was said to have."""


class Uploads:
    """All uploads of a registry; many threads may use it. ``clock`` gives seconds."""

    def __init__(self, folder: ServedFolder, *, clock: Callable[[], float]) -> None:
        self._folder = folder
        self.clock = clock
        self._under_way: dict[str, OpenUpload] = {}
        self._lock = threading.Lock()

    def begin(self, repository: str, *, algorithm: str, client: str = "") -> "OpenUpload":
        """Raises BusyError when there are too many, of all or of this client's address."""
        self.forget()
        upload = OpenUpload(str(uuid.uuid4()), repository, self, algorithm=algorithm, client=client)
        with self._lock:
            of_one = sum(other.client == client for other in self._under_way.values())
            if len(self._under_way) >= MAX_UPLOADS or of_one >= MAX_FROM_ONE:
                raise BusyError
            self._folder.create(upload.names).close()
            self._under_way[upload.id] = upload
        return upload

    def find(self, repository: str, id_: str) -> "OpenUpload | None":
        found = self._under_way.get(id_)
        return found if found is not None and found.repository == repository else None

    def discard(self, upload: "OpenUpload") -> None:
        with self._lock:
            self._under_way.pop(upload.id, None)
        self._folder.unlink(upload.names, synced=False)

    def keep(self, upload: "OpenUpload", digest: Digest, names: Names) -> None:
        """Name the whole upload ``names``. Raises MismatchError if it is not that digest; it is gone then."""
        try:
            if upload.digest(digest.algorithm) != digest:
                raise MismatchError(str(digest))
            with self._folder.extend(upload.names) as file:
                os.fsync(file.fileno())
            self._folder.move(upload.names, names)
        finally:
            self.discard(upload)

    def forget(self) -> None:
        """Give up what nobody goes on with. An upload that a request is writing to ends with that request."""
        now = self.clock()
        with self._lock:
            old = [u for u in self._under_way.values() if now - u.touched > FORGOTTEN or now - u.began > OLDEST]
            given_up = [upload for upload in old if upload.busy.acquire(blocking=False)]
            for upload in given_up:
                del self._under_way[upload.id]
        for upload in given_up:
            with suppress(OSError):  # what the disk keeps now is freed when serving begins anew
                self._folder.unlink(upload.names, synced=False)
            upload.busy.release()

    def check_room(self, file: int) -> None:
        """Raises OSError (ENOSPC) where uploads take more than they may of the disk that ``file`` is on."""
        disk = os.fstatvfs(file)
        with self._lock:
            taken = sum(upload.size for upload in self._under_way.values())
        if disk.f_bavail * disk.f_frsize < KEPT_FREE or taken > MAX_UPLOADING:  # mutant-equivalent past limit 1: a block is nothing here
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def extend(self, upload: "OpenUpload", chunks: Iterable[bytes | memoryview]) -> None:
        """Raises whatever ``chunks`` raises; what came before stays."""
        with self._folder.extend(upload.names) as file:
            file.seek(upload.size)
            looked = None
            for chunk in chunks:
                is_due = looked is None or upload.size - looked >= _LOOKED  # mutant-equivalent past limit 1: one piece more
                if is_due:  # mutant-equivalent always: to save time
                    looked = upload.size
                    self.check_room(file.fileno())
                file.write(chunk)
                upload.take(chunk)

    def hashed(self, upload: "OpenUpload", algorithm: str) -> str:
        with self._folder.extend(upload.names) as file:
            return hashlib.file_digest(file, algorithm).hexdigest()  # type: ignore[arg-type]  # typeshed wants more of it


class OpenUpload:
    """A blob on its way in: what came is in a file, and hashed already. It does not outlive the process."""

    def __init__(self, id_: str, repository: str, uploads: Uploads, *, algorithm: str, client: str) -> None:
        self.id = id_
        self.repository = repository
        self.client = client
        """The address of who began it."""
        self.names = (PLACE, id_)
        self.size = 0
        self.began = self.touched = uploads.clock()
        self.busy = threading.Lock()
        """Held by the one request that writes to it or ends it."""
        self._uploads = uploads
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)

    def append(self, chunks: Iterable[bytes | memoryview]) -> None:
        """Raises whatever ``chunks`` raises; what came before stays."""
        self._uploads.extend(self, chunks)

    def take(self, chunk: bytes | memoryview) -> None:
        """Count and hash what is in the file now."""
        self._hash.update(chunk)
        self.size += len(chunk)
        self.touched = self._uploads.clock()

    def digest(self, algorithm: str) -> Digest:
        """Of all that came; read again only if it was not known at first which algorithm would be asked for."""
        told = self._hash.hexdigest() if algorithm == self._algorithm else self._uploads.hashed(self, algorithm)
        return Digest(algorithm, told)
