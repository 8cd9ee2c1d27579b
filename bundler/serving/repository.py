"""One repository of the embedded registry's folder, whose form :mod:`.storage` has."""

import errno
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO

from bundler.errors import Code, FormatError
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.serving.servedfolder import Names, ServedFolder
from bundler.serving.uploads import PLACE

HOST = "localhost"  # names are judged by the one grammar of references, which wants a host
_SHORT = 1 << 10  # bytes of the longest small file: a media type
_CASE = "+"  # no tag has it
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_REFERRER = re.compile(r"sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128}", re.ASCII)


class OvertakenError(Exception):
    """A name holds something else than the condition of a push allows."""


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it was pushed."""

    digest: Digest
    media_type: str
    raw: bytes


def content(digest: Digest) -> Names:
    """Where the content of that digest lies in the folder, if it does."""
    return ("blobs", digest.algorithm, digest.encoded)


class ServedRepository:
    """One repository of the folder. Whoever deletes and whoever pushes a manifest take turns."""

    def __init__(self, folder: ServedFolder, name: str, lock: threading.Lock, *, old: bool) -> None:
        self.name = name
        self._folder = folder
        self._old = old
        self._place: Names = ("repositories", *name.split("/"))
        self._lock = lock

    def exists(self) -> bool:
        return any(self._folder.has_folder((*self._place, kind)) for kind in ("_blobs", "_manifests"))

    # --- blobs ---

    def has(self, digest: Digest) -> bool:
        return self._folder.has(self._blob(digest)) and self._folder.has(content(digest))

    def open(self, digest: Digest) -> BinaryIO | None:
        """The blob's file, which stays readable when the blob is deleted meanwhile; None if there is none."""
        return self._folder.open(content(digest)) if self._folder.has(self._blob(digest)) else None

    def add(self, digest: Digest) -> None:
        """Say that the repository has this content, which is there."""
        if not self._folder.has(self._blob(digest)):
            self._folder.touch(self._blob(digest))

    def mount(self, digest: Digest, *, source: "ServedRepository | None") -> bool:
        """Have the blob of the ``source``, or of any repository; False if it has none."""
        there = self._folder.has(content(digest)) if source is None else source.has(digest)
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
        return self._folder.has(self._manifest(digest)) and self._folder.has(content(digest))

    def open_manifest(self, digest: Digest) -> tuple[str, BinaryIO] | None:
        """The manifest's media type and its file, which stays readable when it is deleted meanwhile."""
        told = self._folder.read(self._manifest(digest), limit=_SHORT)
        if told is None:
            return None
        media_type = _text(told)
        file = self._folder.open(content(digest))
        return None if file is None else (media_type, file)

    def resolve(self, tag: str) -> Digest | None:
        """Raises FormatError for what is not a tag."""
        found = self._folder.read(self._tag(tag), limit=_SHORT)
        if found is None and self._old:
            found = self._folder.read((*self._place, "_tags", tag), limit=_SHORT)
        return None if found is None else Digest.parse(_text(found))

    def lacks(self, blobs: Iterable[Digest]) -> list[Digest]:
        return [digest for digest in blobs if not self.has(digest)]

    def push(
        self,
        manifest: StoredManifest,
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
            self._write(manifest.raw, content(manifest.digest))
            if subject is not None:
                self._folder.touch(self._referrer(subject, manifest.digest))
            self._write(manifest.media_type.encode("ascii"), self._manifest(manifest.digest))
            for path in paths:
                self._point(path, manifest.digest)
        return []

    def _point(self, path: Names, digest: Digest) -> None:
        """Let the tag at ``path`` name the manifest. ``_tagged`` says so before and, of the one named until now, after."""
        before = self._folder.read(path, limit=_SHORT)
        self._folder.touch(self._tagged(digest, path[-1]))
        self._write(str(digest).encode(), path)
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

    def _write(self, data: bytes, names: Names) -> None:
        """``data`` as the file ``names``, whole and synced, instead of what was there."""
        temporary = (PLACE, str(uuid.uuid4()))
        try:
            with self._folder.create(temporary) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._folder.move(temporary, names)
        finally:
            self._folder.unlink(temporary, synced=False)

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
        checked = Reference(HOST, self.name, tag).tag
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
