"""The embedded registry's folder: what is in it is whole, whatever kills the process.

::

    registry.json                                              the form of this folder
    lock                                                       held by the process that serves it
    blobs/ALGORITHM/HEX                                        content, once for all repositories
    repositories/NAME/_blobs/ALGORITHM/HEX                     the repository has this blob; empty
    repositories/NAME/_manifests/ALGORITHM/HEX                 and this manifest; its media type
    repositories/NAME/_referrers/ALGORITHM/HEX/ALGORITHM-HEX   the second refers to the first; empty
    repositories/NAME/_tags/TAG                                a digest; TAG is written as :func:`written` has it
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
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bundler import strictjson
from bundler.content.files import disk, sync_folder
from bundler.content.stream import Turns
from bundler.errors import Code, FormatError, TransportError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.serving.folder import Folder, Names
from bundler.serving.uploads import PLACE, Upload, Uploads

_MARKER = "registry.json"
_UNFINISHED = re.compile(r"registry\.json\.new|\.oci-bundler-[0-9a-f]{16}\.tmp", re.ASCII)
"""What a first start that was killed may leave beside the lock."""
_FORM, _FORM_BEFORE = {"version": 2}, {"version": 1}
_HOST = "localhost"  # names are judged by the one grammar of references, which wants a host
_SHORT = 1 << 10  # bytes of the longest small file: a media type
_HEX = re.compile(r"[0-9a-f]{64}|[0-9a-f]{128}", re.ASCII)
_CASE = "+"  # no tag has it
_COMPONENT = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_REFERRER = re.compile(r"sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128}", re.ASCII)


class OvertakenError(Exception):
    """A name holds something else than the condition of a push allows."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it was pushed."""

    digest: Digest
    media_type: str
    raw: bytes


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
            self.folder = Folder(folder)
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

    def repository(self, name: str) -> "Repository":
        """Raises FormatError (``format.reference``) for what is no name."""
        path = Reference(_HOST, name).path
        return Repository(self, path, self._turns.of(path))

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

    def content(self, digest: Digest) -> Names:
        """Where the content of that digest lies, if it does."""
        return ("blobs", digest.algorithm, digest.encoded)

    # --- uploads ---

    def begin(self, repository: str, *, algorithm: str, client: str = "") -> Upload:
        """Raises BusyError when there are too many, of all or of this client's address."""
        return self.uploads.begin(repository, algorithm=algorithm, client=client)

    def upload(self, repository: str, id_: str) -> Upload | None:
        return self.uploads.find(repository, id_)

    def discard(self, upload: Upload) -> None:
        self.uploads.discard(upload)

    def keep(self, upload: Upload, digest: Digest) -> None:
        """Make the whole upload the content of that digest. Raises MismatchError if it is not; it is gone then."""
        self.uploads.keep(upload, digest, self.content(digest))

    # --- files ---

    def write(self, data: bytes, names: Names) -> None:
        """``data`` as the file ``names``, whole and synced, instead of what was there."""
        temporary = (PLACE, str(uuid.uuid4()))
        try:
            with self.folder.create(temporary) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self.folder.move(temporary, names)
        finally:
            self.folder.unlink(temporary, synced=False)

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


class Repository:
    """One repository of the folder. Whoever deletes and whoever pushes a manifest take turns."""

    def __init__(self, storage: Storage, name: str, lock: threading.Lock) -> None:
        self.name = name
        self._storage = storage
        self._folder = storage.folder
        self._place: Names = ("repositories", *name.split("/"))
        self._lock = lock

    def exists(self) -> bool:
        return any(self._folder.has_folder((*self._place, kind)) for kind in ("_blobs", "_manifests"))

    # --- blobs ---

    def has(self, digest: Digest) -> bool:
        return self._folder.has(self._blob(digest)) and self._folder.has(self._storage.content(digest))

    def open(self, digest: Digest) -> BinaryIO | None:
        """The blob's file, which stays readable when the blob is deleted meanwhile; None if there is none."""
        return self._folder.open(self._storage.content(digest)) if self._folder.has(self._blob(digest)) else None

    def add(self, digest: Digest) -> None:
        """Say that the repository has this content, which is there."""
        if not self._folder.has(self._blob(digest)):
            self._folder.touch(self._blob(digest))

    def mount(self, digest: Digest, *, source: "Repository | None") -> bool:
        """Have the blob of the ``source``, or of any repository; False if it has none."""
        there = self._folder.has(self._storage.content(digest)) if source is None else source.has(digest)
        if there:
            self.add(digest)
        return there

    def drop(self, digest: Digest) -> bool:
        """Whether there was such a blob; there is none now."""
        with self._lock:
            return self._folder.unlink(self._blob(digest))

    def _blob(self, digest: Digest) -> Names:
        return (*self._place, "_blobs", digest.algorithm, digest.encoded)

    # --- manifests ---

    def has_manifest(self, digest: Digest) -> bool:
        return self._folder.has(self._manifest(digest)) and self._folder.has(self._storage.content(digest))

    def open_manifest(self, digest: Digest) -> tuple[str, BinaryIO] | None:
        """The manifest's media type and its file, which stays readable when it is deleted meanwhile."""
        told = self._folder.read(self._manifest(digest), limit=_SHORT)
        if told is None:
            return None
        media_type = _text(told)
        file = self._folder.open(self._storage.content(digest))
        return None if file is None else (media_type, file)

    def resolve(self, tag: str) -> Digest | None:
        """Raises FormatError for what is no tag."""
        found = self._folder.read(self._tag(tag), limit=_SHORT)
        if found is None and self._storage.old:
            found = self._folder.read((*self._place, "_tags", tag), limit=_SHORT)
        return None if found is None else Digest.parse(_text(found))

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
                self._folder.touch(self._referrer(subject, manifest.digest))
            self._storage.write(manifest.media_type.encode("ascii"), self._manifest(manifest.digest))
            for path in paths:
                self._point(path, manifest.digest)
        return []

    def _point(self, path: Names, digest: Digest) -> None:
        """Let the tag at ``path`` name the manifest. ``_tagged`` says so before and, of the one named until now, after."""
        before = self._folder.read(path, limit=_SHORT)
        self._folder.touch(self._tagged(digest, path[-1]))
        self._storage.write(str(digest).encode(), path)
        if before is not None and before != str(digest).encode():
            self._untagged(before, path[-1])

    def drop_manifest(self, digest: Digest, *, subject: Digest | None) -> bool:
        """Whether there was such a manifest; it, its tags and its place among the referrers are gone now, the tags first."""
        with self._lock:
            if not self._folder.has(self._manifest(digest)):
                return False
            *tagged, _ = self._tagged(digest, "")
            for name in self._folder.listed((*tagged,)):
                path = (*self._place, "_tags", name)
                if self._folder.read(path, limit=_SHORT) == str(digest).encode():
                    self._folder.unlink(path)
                self._untagged(str(digest).encode(), name)
            self._folder.unlink(self._manifest(digest))
            if subject is not None:
                self._folder.unlink(self._referrer(subject, digest))
            return True

    def drop_tag(self, tag: str) -> bool:
        with self._lock:
            path = self._tag(tag)
            named = self._folder.read(path, limit=_SHORT)
            dropped = self._folder.unlink(path)
            if named is not None:
                self._untagged(named, path[-1])
            return dropped

    def tags(self) -> list[str]:
        """Sorted by their ASCII."""
        return sorted(filter(_TAG.fullmatch, map(tag_of, self._folder.listed((*self._place, "_tags")))))

    def renew_tags(self) -> None:
        """Write tags as form 2 does, and ``_tagged`` for each."""
        place = (*self._place, "_tags")
        for name in self._folder.listed(place):
            path = (*place, name if _CASE in name else written(name))
            if (digest := self._folder.read((*place, name), limit=_SHORT)) is not None:
                self._folder.touch(self._tagged(Digest.parse(_text(digest)), path[-1]))
                self._folder.move((*place, name), path)  # onto itself, that is nothing

    def referrers(self, subject: Digest) -> list[Digest]:
        """Sorted. Some may have no manifest: a push that was killed."""
        *place, _ = self._referrer(subject, subject)
        return sorted(Digest.parse(name.replace("-", ":")) for name in self._folder.listed((*place,)) if _REFERRER.fullmatch(name))

    def _manifest(self, digest: Digest) -> Names:
        return (*self._place, "_manifests", digest.algorithm, digest.encoded)

    def _referrer(self, subject: Digest, digest: Digest) -> Names:
        return (*self._place, "_referrers", subject.algorithm, subject.encoded, digest.tag)

    def _tagged(self, digest: Digest, name: str) -> Names:
        return (*self._place, "_tagged", digest.algorithm, digest.encoded, name)

    def _untagged(self, digest: bytes, name: str) -> None:
        """Forget in ``_tagged`` what is not so any more. What a kill leaves of it is looked at and changes nothing."""
        place = self._tagged(Digest.parse(_text(digest)), name)
        self._folder.unlink(place, synced=False)
        self._folder.remove_empty(place[:-1])

    def _tag(self, tag: str) -> Names:
        checked = Reference(_HOST, self.name, tag).tag
        if not checked:
            raise FormatError("a tag is empty", code=Code.FORMAT_REFERENCE)
        return (*self._place, "_tags", written(checked))


def written(tag: str) -> str:
    """The name of a tag's file, another for each tag also where a file system takes ``V1`` for ``v1`` or drops a last dot.

    It is the tag in lower case; where that is not all of it, ``+`` and a number in hex follow whose bit N says that
    character N is a capital. Of 128 characters it makes 161 at most, and names may have 255.
    """
    capitals = sum(1 << at for at, character in enumerate(tag) if character.isupper())
    return f"{tag.lower()}{_CASE}{capitals:x}" if capitals or tag.endswith(".") else tag


def tag_of(name: str) -> str:
    """The tag that a file's name is written for, see :func:`written`."""
    tag, _, capitals = name.partition(_CASE)
    if not capitals:
        return tag  # most are, and letter by letter 10,000 of them take a tenth of a second
    bits = int(capitals, 16) if re.fullmatch(r"[0-9a-f]{1,32}", capitals, re.ASCII) else 0
    return "".join(character.upper() if bits >> at & 1 else character for at, character in enumerate(tag))


def _text(raw: bytes) -> str:
    """What a small file says. Raises OSError: the registry wrote ASCII, so the disk did not keep it."""
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise OSError(errno.EIO, "a file is damaged") from error
    if not text.isprintable():  # a line end in a media type would begin a header of an answer
        raise OSError(errno.EIO, "a file is damaged")
    return text


def _parsed(marker: bytes) -> object:
    return strictjson.loads(marker, limit=_SHORT)


def _look_at(folder: Path) -> None:
    """Make the folder. Raises UsageError where something else is, and leaves that as it is."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder", code=Code.USAGE_INPUT)
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


def _locked(folder: Folder, *, read_only: bool) -> int | None:
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
