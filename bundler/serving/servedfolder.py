"""Files below one folder, reached from it name by name: no link is followed, nothing but a regular file is read.

A folder may come on a medium, and a link in it may lead anywhere on this machine; so each name on the way is opened in
the folder before it (openat(2)) without following links, and a file without waiting for whoever holds the other end.
What is there and is neither a folder nor a regular file is an OSError, never something that is absent.
"""

import errno
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from bundler.content.files import sync_opened
from bundler.errors import Code, UsageError

Names = tuple[str, ...]
"""A place below the folder: each name as it lies on the disk, none of them with a slash."""

MAX_DEPTH = 160  # names below each other; a repository's name has 128 components at most

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class ServedFolder:
    """The folder at ``path``, which may itself be reached by a link. Many threads may use it. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self._root)

    # --- looking ---

    def open(self, names: Names) -> BinaryIO | None:
        """The regular file there, for reading; None if there is nothing."""
        try:
            return self._opened(names, os.O_RDONLY, "rb")
        except FileNotFoundError:
            return None

    def read(self, names: Names, *, limit: int) -> bytes | None:
        """The first ``limit`` bytes of the file there; None if there is nothing."""
        file = self.open(names)
        if file is None:
            return None
        with file:
            return file.read(limit)

    def has(self, names: Names) -> bool:
        """Whether there is a file."""
        try:
            with self._before(names) as (parent, name):
                mode = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return False
        _check(stat.S_ISREG(mode), name)
        return True

    def has_folder(self, names: Names) -> bool:
        try:
            with self._inside(names):
                return True
        except FileNotFoundError:
            return False

    def listed(self, names: Names) -> list[str]:
        """The names in the folder there, in no order; none if there is nothing."""
        try:
            with self._inside(names) as folder:
                return os.listdir(folder)  # noqa: PTH208 - an open folder has no path
        except FileNotFoundError:
            return []

    def walk(self, names: Names) -> Iterator[tuple[Names, list[str], list[str]]]:
        """Each folder from ``names`` down with the folders and files in it, as os.walk gives them; folders can be taken out.

        Raises UsageError for what is neither: what is behind a link is not seen from here, and may be what others need.
        """
        left = [names]
        while left:
            here = left.pop()
            folders, files = self._split(here)
            if len(here) > MAX_DEPTH:
                raise self._odd(here, found=f"folders more than {MAX_DEPTH} deep")
            yield here, folders, files
            left += [(*here, name) for name in folders]

    def _split(self, names: Names) -> tuple[list[str], list[str]]:
        """The folders and the files there."""
        folders, files = [], []
        try:
            with self._inside(names) as folder, os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
                    elif entry.is_file(follow_symlinks=False):
                        files.append(entry.name)
                    else:
                        raise self._odd((*names, entry.name), found=_kind(entry))
        except NotADirectoryError:
            raise self._odd(names, found="no folder, or a link to one") from None
        return folders, files

    def check(self, names: Collection[str]) -> None:
        """Raises UsageError where one of these names in the folder itself is neither a folder nor a file."""
        with self._inside(()) as folder, os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in names and not (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)):
                    raise self._odd((entry.name,), found=_kind(entry))

    def _odd(self, names: Names, *, found: str) -> UsageError:
        return UsageError(
            f"{ascii(str(self.path.joinpath(*names)))[1:-1]} must not lie in a registry's folder",
            code=Code.USAGE_INPUT,
            found=found,
            wanted="folders and regular files only",
            next="put what it leads to in its place, or move the whole folder to the other disk; else remove it",
        )

    # --- changing ---

    def make(self, names: Names) -> None:
        """The folder there and those above it, each name synced."""
        with self._before((*names, ""), make=True):
            pass

    def lock(self, name: str, *, make: bool) -> int | None:
        """The file of that name, open for locking; with ``make`` there is one now."""
        try:
            descriptor = os.open(name, (os.O_RDWR | os.O_CREAT if make else os.O_RDONLY) | _FILE, 0o666, dir_fd=self._root)
        except FileNotFoundError:
            return None
        return descriptor

    def create(self, names: Names) -> BinaryIO:
        """A new file there, whose folder is. Raises FileExistsError."""
        return self._opened(names, os.O_WRONLY | os.O_CREAT | os.O_EXCL, "wb")

    def extend(self, names: Names) -> BinaryIO:
        """The file there, for writing into it."""
        return self._opened(names, os.O_RDWR, "r+b")

    def touch(self, names: Names) -> None:
        """An empty file there, its name and those of its folders synced; nothing where one is."""
        with self._before(names, make=True) as (parent, name):
            try:
                os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o666, dir_fd=parent))
            except FileExistsError:
                _check(stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode), name)
            sync_opened(parent)

    def move(self, source: Names, names: Names) -> None:
        """Give the file ``source`` another name, instead of what has that; folders are made and names synced."""
        with self._before(source) as (old, here), self._before(names, make=True) as (new, there):
            os.replace(here, there, src_dir_fd=old, dst_dir_fd=new)
            sync_opened(new)

    def unlink(self, names: Names, *, synced: bool = True) -> bool:
        """Whether there was such a name; there is none now."""
        try:
            with self._before(names) as (parent, name):
                os.unlink(name, dir_fd=parent)
                if synced:
                    sync_opened(parent)
        except FileNotFoundError:
            return False
        return True

    def remove_empty(self, names: Names) -> None:
        """The folder there is gone, if nothing is in it."""
        with suppress(OSError), self._before(names) as (parent, name):
            os.rmdir(name, dir_fd=parent)

    # --- the way there ---

    def _opened(self, names: Names, flags: int, mode: str) -> BinaryIO:
        with self._before(names) as (parent, name):
            descriptor = os.open(name, flags | _FILE, 0o666, dir_fd=parent)
        try:
            _check(stat.S_ISREG(os.fstat(descriptor).st_mode), name)
            return os.fdopen(descriptor, mode)  # type: ignore[return-value]  # each mode is a binary one
        except BaseException:
            os.close(descriptor)
            raise

    @contextmanager
    def _inside(self, names: Names) -> Iterator[int]:
        with self._before((*names, "")) as (folder, _):
            yield folder

    @contextmanager
    def _before(self, names: Names, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The open folder of the last name, and that name."""
        folder = os.dup(self._root)
        try:
            for name in names[:-1]:
                deeper = _deeper(folder, name, make=make)
                os.close(folder)
                folder = deeper
            yield folder, names[-1]
        finally:
            os.close(folder)


def _kind(entry: "os.DirEntry[str]") -> str:
    return "a link" if entry.is_symlink() else "neither a folder nor a file"


def _deeper(folder: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):  # another thread made it meanwhile
        os.mkdir(name, dir_fd=folder)
    sync_opened(folder)
    return os.open(name, _FOLDER, dir_fd=folder)


def _check(regular: bool, name: str) -> None:
    if not regular:
        raise OSError(errno.EINVAL, "not a regular file", name)
