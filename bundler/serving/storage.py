"""The embedded registry's folder: what is in it is whole, whatever kills the process.

::

    registry.json                                              the form of this folder
    lock                                                       held by the process that serves it
    blobs/ALGORITHM/HEX                                        content, once for all repositories
    repositories/NAME/_blobs/ALGORITHM/HEX                     the repository has this blob; empty
    repositories/NAME/_manifests/ALGORITHM/HEX                 and this manifest; its media type
    repositories/NAME/_referrers/ALGORITHM/HEX/ALGORITHM-HEX   the second refers to the first; empty
    repositories/NAME/_tags/TAG                                a digest; TAG is spelt as :func:`.repository.written` has it
    repositories/NAME/_tagged/ALGORITHM/HEX/TAG                this tag may name this manifest; empty
    uploads/                                                   what is not whole yet

A file has its name only once its bytes are synced, and what a file names has its own name before. Nothing is answered
before the folder is synced too. Content that no repository has any more is freed when serving begins; so is ``uploads/``.

Form 1 had tags under their own names and no ``_tagged``. It is read as it is, and becomes form 2 when it is served for
changes.
"""

import errno
import fcntl
import json
import os
import re
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from bundler import strictjson
from bundler.content.files import disk, sync_folder
from bundler.content.stream import Turns
from bundler.errors import Code, TransportError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.serving.repository import HOST, ServedRepository, content
from bundler.serving.servedfolder import Names, ServedFolder
from bundler.serving.uploads import PLACE, OpenUpload, Uploads

_MARKER = "registry.json"
_UNFINISHED = re.compile(r"registry\.json\.new|\.oci-bundler-[0-9a-f]{16}\.tmp", re.ASCII)
"""What a first start that was killed may leave beside the lock."""
_FORM, _FORM_BEFORE = {"version": 2}, {"version": 1}
_SHORT = 1 << 10  # bytes of the marker at most
_HEX = re.compile(r"[0-9a-f]{64}|[0-9a-f]{128}", re.ASCII)
_COMPONENT = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)


class Storage:
    """The folder, for one process; only readers may share it.

    Raises UsageError for a folder that is not a registry's or has links in it, TransportError (``disk.locked``, ``disk.io``).
    """

    def __init__(self, folder: Path, *, read_only: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._read_only = read_only
        self.old = False
        """Whether the folder is of form 1."""
        self._turns = Turns(64)
        self._lock: int | None = None
        with disk(f"the registry {folder} cannot be opened"):
            if not read_only:
                _look_at(folder)
            elif not folder.is_dir():
                raise _none(folder, read_only=True)
            self.folder = ServedFolder(folder)
            self.uploads = Uploads(self.folder, clock=clock)
            try:
                self.folder.check((_MARKER, "lock", PLACE, "blobs", "repositories"))
                self._lock = _locked(self.folder, read_only=read_only)
                self._open()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Let another process have the folder. What is under way has been waited for."""
        self.folder.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def repository(self, name: str) -> ServedRepository:
        """Raises FormatError (``format.reference``) for what is not a name."""
        path = Reference(HOST, name).path
        return ServedRepository(self.folder, path, self._turns.of(path), old=self.old)

    def names(self) -> list[str]:
        """All repositories that ever had content, sorted."""
        found = []
        for (_, *path), below, _ in self.folder.walk(("repositories",)) if self._has("repositories") else ():
            below[:] = [each for each in below if each.startswith("_") or _COMPONENT.fullmatch(each)]
            deeper = [each for each in below if not each.startswith("_")]
            if len(deeper) < len(below):
                found.append("/".join(path))
            below[:] = deeper
        return sorted(found)

    # --- uploads ---

    def begin(self, repository: str, *, algorithm: str, client: str = "") -> OpenUpload:
        """Raises BusyError when there are too many, of all or of this client's address."""
        return self.uploads.begin(repository, algorithm=algorithm, client=client)

    def upload(self, repository: str, id_: str) -> OpenUpload | None:
        return self.uploads.find(repository, id_)

    def discard(self, upload: OpenUpload) -> None:
        self.uploads.discard(upload)

    def keep(self, upload: OpenUpload, digest: Digest) -> None:
        """Make the whole upload the content of that digest. Raises MismatchError if it is not; it is gone then."""
        self.uploads.keep(upload, digest, content(digest))

    # --- files ---

    def spooled(self, chunks: Iterable[bytes | memoryview]) -> BinaryIO:
        """The bytes in a file without a name, at its beginning: what a slow client sends or reads must not lie in memory."""
        if self._read_only:
            file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - given away
        else:
            temporary = (PLACE, str(uuid.uuid4()))
            self.folder.create(temporary).close()
            file = self.folder.extend(temporary)
            self.folder.unlink(temporary, synced=False)
        try:
            for chunk in chunks:
                file.write(chunk)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    # --- the beginning ---

    def _open(self) -> None:
        form = self.folder.read((_MARKER,), limit=_SHORT)
        if form is None:
            if self._read_only:
                raise _none(self.folder.path, read_only=True)
            self._mark()
        elif _parsed(form) not in (_FORM, _FORM_BEFORE):
            raise UsageError(
                f"{self.folder.path} is a registry of a newer form", code=Code.USAGE_INPUT, next="serve it with the program that made it"
            )
        self.old = form is not None and _parsed(form) == _FORM_BEFORE
        if self._read_only:
            for name in filter(self._has, ("blobs", "repositories")):
                for _ in self.folder.walk((name,)):
                    pass  # it ends where there is a link
            return
        for name in (PLACE, "blobs", "repositories"):
            self.folder.make((name,))
        self._sweep()
        if self.old:
            self._renew()

    def _has(self, name: str) -> bool:
        return self.folder.has_folder((name,))

    def _mark(self) -> None:
        unfinished = (f"{_MARKER}.new",)
        self.folder.unlink(unfinished)
        with self.folder.create(unfinished) as file:
            file.write(json.dumps(_FORM).encode())
            file.flush()
            os.fsync(file.fileno())
        self.folder.move(unfinished, (_MARKER,))

    def _sweep(self) -> None:
        """Free the content that no repository has, and what is in ``uploads/``.

        Everything is looked at before: a folder that cannot be listed, and a link, end it, since what cannot be seen from
        here may have a name. What has no name that this registry gives is left alone.
        """
        had: set[tuple[str, str]] = set()
        for place, _, files in self.folder.walk(("repositories",)):
            *_, kind, algorithm = ("", *place)
            if kind in {"_blobs", "_manifests"}:
                had.update((algorithm, file) for file in files)
        freed: list[Names] = [
            (*place, file)
            for place, _, files in self.folder.walk(("blobs",))
            for file in files
            if (place[-1], file) not in had and len(place) == 2 and _HEX.fullmatch(file)
        ]
        freed += [(*place, file) for place, _, files in self.folder.walk((PLACE,)) for file in files if len(place) == 1]
        for names in freed:
            self.folder.unlink(names, synced=False)

    def _renew(self) -> None:
        """Make a folder of form 1 one of form 2. After a kill it begins again: a tag that has its new name keeps it."""
        for name in self.names():
            self.repository(name).renew_tags()
        self._mark()
        self.old = False


def _parsed(marker: bytes) -> object:
    return strictjson.loads(marker, limit=_SHORT)


def _look_at(folder: Path) -> None:
    """Make the folder. Raises UsageError where something else is, and leaves that as it is."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", code=Code.USAGE_INPUT)
    if os.path.lexists(folder / _MARKER):
        return
    if folder.exists() and any(each.name != "lock" and not _UNFINISHED.fullmatch(each.name) for each in folder.iterdir()):
        raise _none(folder, read_only=False)
    _make(folder)


def _none(folder: Path, *, read_only: bool) -> UsageError:
    return UsageError(
        f"{folder} is not a registry's folder",
        code=Code.USAGE_INPUT,
        wanted="a folder that this command made, or an empty one",
        next="name another folder" if not read_only else "push something into it first, without --read-only",
    )


def _locked(folder: ServedFolder, *, read_only: bool) -> int | None:
    lock = folder.lock("lock", make=not read_only)
    if lock is None:
        return None  # a copy on a medium: nobody can write there
    try:
        fcntl.flock(lock, (fcntl.LOCK_SH if read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise TransportError(
            f"another process serves {folder.path}", code=Code.DISK_LOCKED, next="end that one, or serve another folder"
        ) from error
    return lock


def _make(folder: Path) -> None:
    """The folder and those above it, each name synced."""
    if folder.exists():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)
