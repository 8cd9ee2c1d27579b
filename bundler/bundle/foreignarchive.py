"""Image layouts in archives that others wrote: plain tar is read where it lies, a compressed one is unpacked once, out of sight.

Nothing is ever extracted, and of what an archive holds only the files of a layout are looked at. Tar has many dialects, and
a file that one reader sees and another does not is a way past a check. So an archive is refused where GNU tar, libarchive,
Go's archive/tar and Python's tarfile would disagree about which file of the layout there is, or about its bytes:

- whatever is not a regular file or folder, for a link may stand for one; sparse files; a folder in a file's place, a file in a
  folder's, a file that ends in a slash;
- a file twice, or under another spelling than ``NAME`` and ``./NAME``, which some readers clean and others do not;
- two headers that rename one member; a pax header that renames or resizes all members, or describes holes, or gives another size
  than the member's own header could; empty names and zero bytes in names; a prefix where not every reader takes it for one;
- sizes that are not octal or positive binary; a wrong checksum; content behind the end; padding there of more than 64 MiB.

Names that differ in case only are different names, as they are in tar.
"""

import gzip
import os
import re
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from bundler.bundle.frames import MAX_WINDOW, check_frames
from bundler.bundle.tar import MAX_OCTAL_SIZE
from bundler.content.files import disk
from bundler.content.layout import Layout
from bundler.content.stream import CHUNK
from bundler.errors import Code, FormatError, IncompleteError, IntegrityError, UsageError, translated
from bundler.oci.digest import Digest

MAX_MEMBERS = 200_000  # ten thousand images have some hundred thousand blobs
MAX_EXTENSION = 64 << 10  # bytes of a long name or a pax header: names here have 141 at most
MAX_RATIO = 200  # images compress three- to tenfold; what is all zeros, a thousandfold
MAX_UNPACKED = 64 << 20  # below this the ratio does not matter

_BLOCK = 512
_ZEROS = bytes(_BLOCK)
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"
_OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}
_NAMES = re.compile(r"oci-layout|index\.json|blobs/(?:sha256/[0-9a-f]{64}|sha512/[0-9a-f]{128})", re.ASCII)
_FOLDERS = frozenset({"", "blobs", "blobs/sha256", "blobs/sha512"})
_SIZE = re.compile(rb" *[0-7]+[ \0]*|\x80.{11}", re.DOTALL)  # octal, or GNU's binary and not negative
_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ")
_SHAPING = re.compile(rb"GNU\.(?:sparse|volume).*|SCHILY\.realsize|SUN\.holesdata", re.DOTALL)  # records of holes and of parts
_MAGIC, _PREFIX, _TRAILER = slice(257, 265), slice(345, 500), slice(508, 512)


def open_archive(path: Path) -> Layout:
    """The image layout in a tar file, as it is or compressed with gzip or zstd. Closing it closes the file.

    Raises UsageError (``usage.input``) for a file that cannot be read, FormatError (``format.tar``, ``format.layout``,
    ``limit.archive``) for what is not such an archive or more than its limits, IntegrityError (``content.truncated``,
    ``content.frame``) for one that was cut or damaged, TransportError (``disk.full``, ``disk.io``).
    """
    file = _opened(path)
    try:
        return Layout(_Archive(_plain(file, path), path.name))
    except BaseException:
        file.close()
        raise


def _opened(path: Path) -> BinaryIO:
    try:
        # not blocking: a FIFO must not make the run wait
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0)
    except OSError as error:
        raise UsageError(f"the archive {path} cannot be read", code=Code.USAGE_INPUT, found=error.strerror) from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UsageError(f"the archive {path} is not a regular file", code=Code.USAGE_INPUT)
    return file


# --- compression ---


def _plain(file: BinaryIO, path: Path) -> BinaryIO:
    """The tar itself: the file, or what it unpacks to, in a file that has no name."""
    with disk(f"the archive {path} cannot be read"):
        magic = os.pread(file.fileno(), 8, 0)
    for beginning, name in _OTHERS.items():
        if magic.startswith(beginning):
            raise FormatError(f"{path} is compressed with {name}", code=Code.FORMAT_TAR, wanted="plain tar, gzip or zstd")
    if not magic.startswith((_GZIP, _ZSTD)):
        return file
    limit = max(MAX_UNPACKED, MAX_RATIO * os.fstat(file.fileno()).st_size)
    with disk(f"{path} cannot be unpacked"):
        unpacked = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the layout closes it
    try:
        for chunk in _within(_unpacked(file, magic, path), limit, path):
            with disk(f"{path} cannot be unpacked into {tempfile.gettempdir()}"):
                unpacked.write(chunk)
    except BaseException:
        unpacked.close()
        raise
    file.close()
    return unpacked


def _unpacked(file: BinaryIO, magic: bytes, path: Path) -> Iterator[bytes]:
    """Raises IntegrityError for what is not whole, even where all of the tar came out of it: it may not be what was written."""
    damaged = translated(
        *(zstandard.ZstdError, zlib.error, gzip.BadGzipFile),
        to=IntegrityError,
        what=f"{path} does not decompress",
        code=Code.CONTENT_FRAME,
        next="copy it again; if it was made with a window above 8 MiB (zstd --long), decompress it first",
    )
    with disk(f"{path} cannot be read"), damaged:
        if magic.startswith(_ZSTD):
            check_frames(lambda at, count: os.pread(file.fileno(), count, at), os.fstat(file.fileno()).st_size, what=str(path))
            with zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(
                file, read_size=CHUNK, read_across_frames=True, closefd=False
            ) as zstd:
                yield from iter(lambda: zstd.read(CHUNK), b"")
        else:
            with gzip.GzipFile(fileobj=file, mode="rb") as gz:
                try:
                    yield from iter(lambda: gz.read1(CHUNK), b"")
                except EOFError as error:
                    raise IntegrityError(f"{path} ends too early", code=Code.CONTENT_TRUNCATED, next="copy it again") from error


def _within(chunks: Iterator[bytes], limit: int, path: Path) -> Iterator[bytes]:
    for chunk in chunks:
        limit -= len(chunk)
        if limit < 0:
            raise FormatError(f"{path} is far larger inside than outside", code=Code.LIMIT_ARCHIVE, wanted=f"at most {MAX_RATIO}-fold")
        yield chunk


# --- tar ---


class _Archive:
    """The files of a layout in a tar: :class:`bundler.content.folder.Files`."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        try:
            self._members = {member.name: member for member in _Tar(file, name).members()}
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        self._file.close()

    def size(self, name: str) -> int | None:
        member = self._members.get(name)
        return None if member is None else member.size

    def chunks(self, name: str) -> Iterator[bytes]:
        member = self._members.get(name)
        if member is None:
            raise IncompleteError(f"{name} is not in the archive {self._name}", code=Code.BLOB_MISSING)
        at, end = member.offset, member.offset + member.size
        while at < end:
            chunk = _read(self._file, at, min(CHUNK, end - at), self._name)
            if not chunk:
                raise IntegrityError(f"the archive {self._name} became shorter", code=Code.CONTENT_TRUNCATED)
            yield chunk
            at += len(chunk)

    def blobs(self) -> Iterator[Digest]:
        for name in sorted(self._members):
            if name.startswith("blobs/"):
                _, algorithm, encoded = name.split("/")
                yield Digest(algorithm, encoded)


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    offset: int
    size: int


@dataclass(slots=True)
class _Told:
    """What headers before a member said of it (POSIX pax, GNU long names)."""

    anything: bool = False
    name: bytes | None = None
    size: int | None = None


class _Tar:
    """A walk over the headers of a tar, block by block. ``tarfile`` reads single headers for us; it takes a damaged one for the end."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._archive = name
        with disk(f"the archive {name} cannot be read"):
            self._size = os.fstat(file.fileno()).st_size
        self._at = 0
        self._docker = False
        """Whether there is a ``manifest.json``, as docker-archives have."""

    def members(self) -> Iterator[_Member]:
        """The files of a layout. Raises FormatError (``format.tar``, ``limit.archive``), IntegrityError (``content.truncated``)."""
        seen: set[str] = set()
        told = _Told()
        refused: FormatError | None = None
        for _ in range(MAX_MEMBERS):
            block = self._block()
            if block == _ZEROS:
                self._ended(told)
                if refused is not None:
                    raise _docker_archive(self._archive) if self._docker and "oci-layout" not in seen else refused
                return
            info = self._header(block)
            if info.type in _EXTENSIONS:
                self._extend(told, info)
                continue
            try:
                member = self._member(info, told)
            except _LinkError as error:  # which is refused in any case; what it is is known at the end
                member, refused = None, refused or error
            told = _Told()
            if member is not None:
                if member.name in seen:
                    raise self._refused(f"has {member.name} twice")
                seen.add(member.name)
                yield member
        raise FormatError(f"the archive {self._archive} has too many members", code=Code.LIMIT_ARCHIVE, wanted=f"at most {MAX_MEMBERS}")

    def _block(self) -> bytes:
        block = _read(self._file, self._at, _BLOCK, self._archive)
        if len(block) < _BLOCK:
            raise self._cut()
        self._at += _BLOCK
        return block

    def _ended(self, told: _Told) -> None:
        """Nothing but zeros follows, a block of them at least: some readers go on behind the end, others do not."""
        if self._block() != _ZEROS or told.anything:
            raise self._refused("goes on after its end")
        if self._size - self._at > MAX_UNPACKED:
            raise FormatError(
                f"the archive {self._archive} goes on after its end", code=Code.LIMIT_ARCHIVE, wanted=f"at most {MAX_UNPACKED} bytes"
            )
        while rest := _read(self._file, self._at, CHUNK, self._archive):
            if rest.strip(b"\0"):
                raise self._refused("goes on after its end")
            self._at += len(rest)

    def _header(self, block: bytes) -> tarfile.TarInfo:
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise self._refused("has a damaged header", found=f"{error} at {self._at - _BLOCK}") from error
        if not _SIZE.fullmatch(block[124:136]) or info.size >= 1 << 62:
            raise self._refused("has a member of an impossible size", found=info.size)
        if block[_PREFIX].strip(b"\0") and (block[_MAGIC] != b"ustar\x0000" or block[_TRAILER] == b"tar\0"):
            raise self._refused("has a name that begins differently for different readers", found=ascii(block[_PREFIX].rstrip(b"\0"))[1:])
        return info

    def _member(self, info: tarfile.TarInfo, told: _Told) -> _Member | None:
        """The file of a layout that this is; None for folders and for other files."""
        name = os.fsdecode(told.name) if told.name is not None else info.name
        place = _place(name)
        if info.type == tarfile.DIRTYPE and not info.size and not told.size:
            self._check_folders(place.split("/", 3))
            return None
        if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE) and not info.size and not told.size:
            found = f"a member of type {ascii(info.type)[1:]}"
            raise _LinkError(f"the archive {self._archive} holds more than files and folders", code=Code.FORMAT_TAR, found=found)
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise self._refused("holds more than files and folders", found=f"a member of type {ascii(info.type)[1:]}")
        self._docker |= place == "manifest.json"
        size = info.size if told.size is None else told.size
        if size != info.size and size < MAX_OCTAL_SIZE:
            raise self._refused("has a member of two sizes", found=f"{info.size} and {size}")
        self._check_name(name, place)
        offset = self._skip(size)
        return _Member(place, offset, size) if _NAMES.fullmatch(place) else None

    def _check_name(self, name: str, place: str) -> None:
        """Refuse a file that not every reader would put into the place that its name spells."""
        if name.endswith("/") or place in _FOLDERS:
            raise self._refused("has a file in the place of a folder", found=ascii(name))
        self._check_folders(place.split("/", 3)[:-1])
        if _NAMES.fullmatch(place) and name.removeprefix("./") != place:
            raise self._refused(f"has {place} under another spelling", found=ascii(name))

    def _check_folders(self, folders: list[str]) -> None:
        for count in range(1, len(folders) + 1):
            if _NAMES.fullmatch(place := "/".join(folders[:count])):
                raise self._refused(f"has a folder in the place of {place}")

    def _skip(self, size: int) -> int:
        """Where the content begins; the walk goes on behind it."""
        offset = self._at
        self._at += size + -size % _BLOCK
        if self._at > self._size:  # mutant-equivalent past limit 1: where content is the last there is, the end is not there
            raise self._cut()
        return offset

    def _extend(self, told: _Told, info: tarfile.TarInfo) -> None:
        if info.size > MAX_EXTENSION:
            raise self._refused("has too long a name or pax header", found=f"{info.size} bytes")
        if told.anything:
            raise self._refused("names a member twice")
        data = _read(self._file, self._skip(info.size), info.size, self._archive)
        if info.type == tarfile.GNUTYPE_LONGNAME:
            told.name = data.rstrip(b"\0")
            self._check_told(told.name)
        else:
            self._pax(told, data, for_all=info.type == tarfile.XGLTYPE)
        told.anything = info.type != tarfile.XGLTYPE

    def _pax(self, told: _Told, data: bytes, *, for_all: bool) -> None:
        """Take name and size from records of the form ``LENGTH KEY=VALUE`` (POSIX, pax, "pax Extended Header")."""
        keys: set[bytes] = set()
        at = 0
        while at < len(data):
            found = _RECORD.match(data, at)
            end = at + int(found[1]) if found else 0
            key, equals, value = data[found.end() : end - 1].partition(b"=") if found else (b"", b"", b"")
            if not equals or data[end - 1 : end] != b"\n" or key in keys:
                raise self._refused("has a damaged pax header")
            keys.add(key)
            shaping = _SHAPING.fullmatch(key)
            if shaping or key in (b"path", b"size"):
                if for_all or shaping:
                    raise self._refused("has a pax header that renames or resizes members", found=ascii(key)[1:])
                if key == b"path":
                    told.name = value
                    self._check_told(value)
                elif re.fullmatch(rb"[0-9]{1,18}", value):
                    told.size = int(value)
                else:
                    raise self._refused("has a damaged pax header")
            at = end

    def _check_told(self, name: bytes) -> None:
        """Refuse a name of its own header that some readers end at a zero byte, or pass over where it is empty."""
        if not name or b"\0" in name:
            raise self._refused("has an empty name, or one with a zero byte")

    def _cut(self) -> IntegrityError:
        return IntegrityError(
            f"the archive {self._archive} ends too early", code=Code.CONTENT_TRUNCATED, found=f"{self._size} bytes", next="copy it again"
        )

    def _refused(self, what: str, *, found: object = None) -> FormatError:
        return FormatError(f"the archive {self._archive} {what}", code=Code.FORMAT_TAR, found=found)


class _LinkError(FormatError):
    """A link, for which one reader sees a file and another does not."""


def _docker_archive(name: str) -> FormatError:
    return FormatError(
        f"the archive {name} is a docker-archive and not an image layout",
        code=Code.FORMAT_LAYOUT,
        found="manifest.json and no oci-layout",
        next=f"convert it: skopeo copy docker-archive:{name} oci:DIR:NAME, or save it with Docker 25 or newer",
    )


_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)


def _place(name: str) -> str:
    """Where a reader that cleans names puts the file: without empty parts and dots, and never above where it began."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _read(file: BinaryIO, offset: int, count: int, name: str) -> bytes:
    """``count`` bytes, or fewer at the end of the file."""
    with disk(f"the archive {name} cannot be read"):
        return os.pread(file.fileno(), count, offset)
