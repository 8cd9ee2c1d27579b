"""Bundles read at any place, from a file or another medium (docs/spec/bundle-v1.md, section 11).

Reading goes who, then what: :func:`opened` gives the envelope; whoever has checked its signatures hands its payload back,
and only then is there any content. Nothing is extracted, and every byte that leaves here has been compared with its digest.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from bundler.bundle import composition, needs, tar
from bundler.bundle.frames import (
    FRAME,
    MAGIC,
    Run,
    Table,
    beginning,
    check_ratio,
    decompress,
    longest,
    runs,
)
from bundler.bundle.parts import joining
from bundler.bundle.payload import seal_of
from bundler.bundle.records import Frames, Records, Report, inside
from bundler.bundle.seal import SEAL, ImageEntry, Kind, Member, Seal, time
from bundler.bundle.sealenvelope import MAX_ENVELOPE, SealEnvelope
from bundler.content.files import disk
from bundler.content.medium import FileMedium, Medium
from bundler.content.stream import CHUNK, side_by_side, verified
from bundler.errors import BundlerError, Code, FormatError, IntegrityError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.lookup import Lookup, looked_up
from bundler.oci.manifest import MAX_DOCUMENT, Document
from bundler.oci.reference import Reference

MAX_FAULTS = 100  # who reads more of them?

_SMALL_DOCUMENT = 16 << 10  # bytes; the manifest of an image has one or two thousand


@contextmanager
def opened(path: Path) -> "Iterator[Archive]":
    """Open a bundle; once, so that nobody can put another file in its place.

    Raises UsageError (``usage.input``), FormatError (``format.bundle``, ``format.tar``, ``limit.seal``), IntegrityError
    (``content.truncated``, ``content.frame``), TransportError (``disk.io``).
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # not blocking: a FIFO must not make the run wait
    except OSError as error:
        raise UsageError(
            f"the bundle {path} cannot be read", code=Code.USAGE_INPUT, found=error.strerror, next=_instead(path, error)
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise UsageError(f"the bundle {path} is not a regular file", code=Code.USAGE_INPUT, next="copy it into a file first")
        with os.fdopen(file, "rb", buffering=0, closefd=False) as regular:
            yield _looked_into(path, FileMedium(regular))
    finally:
        os.close(file)


def _looked_into(path: Path, medium: Medium) -> "Archive":
    """The archive; of what is none and has the name of a part of one, how it is joined with the others."""
    try:
        return Archive(medium, what=str(path))
    except (FormatError, IntegrityError) as error:
        if (how := joining(path)) is None:
            raise
        raise type(error)(error.what, code=error.code, found=error.found, wanted=error.wanted, next=how) from error


def _instead(path: Path, error: OSError) -> str | None:
    """What may have been meant by the name of a file that is not there: an image at a registry, with host and tag or digest."""
    text = str(path)
    try:
        image = Reference.parse(text) if isinstance(error, FileNotFoundError | NotADirectoryError) else None
    except FormatError:
        return None
    meant = image is not None and text.startswith(f"{image.registry}/") and text.endswith((f":{image.tag}", f"@{image.digest}"))
    return f"for an image at a registry: docker://{text}" if meant else None


class Archive:
    """A medium that holds a bundle as far as can be seen without its seal; ``what`` names it in errors. Raises as :func:`opened`."""

    def __init__(self, medium: Medium, *, what: str) -> None:
        self.frames = Frames(medium, what=what)
        with disk(f"{what} cannot be read"):
            size = medium.size
        found = Table.find(self.frames.read, size)
        if found is None:
            raise self._no_table(size)
        self.table = found
        compressed, content = next(found.sizes(0, 1))
        if content > FRAME or compressed > longest(content):
            raise FormatError(f"{what} begins with a frame that is too long", found=f"{compressed} bytes for {content}")
        first = next(decompress(self.frames.read(0, compressed), content, what=SEAL), b"")
        self.seal_size, self.mtime = tar.read_header(first[: tar.BLOCK], SEAL)
        if self.seal_size > MAX_ENVELOPE:
            raise FormatError(
                "the seal is over its limit", code=Code.LIMIT_SEAL, found=f"{self.seal_size} bytes", wanted=f"at most {MAX_ENVELOPE}"
            )

    @cached_property
    def envelope(self) -> SealEnvelope:
        """Signatures, and what they are over. Raises as :meth:`SealEnvelope.read`, and as :func:`opened`."""
        return SealEnvelope.read(self._envelope)

    @cached_property
    def seal_digest(self) -> Digest:
        """Of ``seal.json``, the envelope with all its signatures. Raises as :meth:`SealEnvelope.read`."""
        hasher = hashlib.sha256()
        for piece in self._envelope():
            hasher.update(piece)
        return Digest("sha256", hasher.hexdigest())

    def sealed_by(self, payload: bytes) -> "Content":
        """The content, as said by the payload of the envelope. The caller has verified who signed it.

        Raises as :func:`seal_of`; FormatError (``format.bundle``, ``format.tar``) where the file does not fit the seal.
        """
        seal, identity = seal_of(payload), Digest.of(payload)
        del payload  # it may be large, and whoever called need not keep it either
        if self.mtime not in (0, seal.created.timestamp()):
            raise FormatError(
                "the headers have another time than the seal", code=Code.FORMAT_TAR, found=self.mtime, wanted=f"0 or {time(seal.created)}"
            )
        return Content(self, seal, identity)

    def _envelope(self) -> Iterator[bytes]:
        run = next(runs(tar.record(self.seal_size), (), 0))
        sizes = tuple(self.table.sizes(0, len(run.frames)))
        if any(content != run.content(frame) or compressed > longest(content) for frame, (compressed, content) in enumerate(sizes)):
            raise FormatError("the seek table does not fit the seal", found=f"{len(sizes)} frames")
        for compressed, content in sizes:
            check_ratio(compressed, content)
        pieces = self.frames.content(run, 0, (compressed for compressed, _ in sizes), what=SEAL)
        return inside(pieces, SEAL, self.seal_size, mtime=self.mtime)

    def _no_table(self, size: int) -> BundlerError:
        """What a file is that has no seek table at its end: a bundle that was cut, or none."""
        start = self.frames.read(0, min(size, CHUNK))
        if start[: len(MAGIC)] == MAGIC and beginning(start, len(SEAL)) in (SEAL.encode(), b""):
            return IntegrityError(
                f"{self.frames.what} does not end as a bundle does",
                code=Code.CONTENT_TRUNCATED,
                found=f"{size} bytes and no seek table",
                next="copy it again, and compare it with its .sha256",
            )
        return FormatError(f"{self.frames.what} is {'not a bundle' if size else 'empty'}", wanted="a bundle that oci-bundler export wrote")


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of reading everything."""

    members: int
    """How many were as the seal says, the seal among them."""
    bytes: int
    """What their content is together."""
    faults: tuple[BundlerError, ...]
    """What was not, in the order of the file; no more than :data:`MAX_FAULTS`."""

    @property
    def passed(self) -> bool:
        return not self.faults


class Content:
    """The members of a bundle whose sealers were checked. Any of them can be read by itself, from any thread."""

    def __init__(self, archive: Archive, seal: Seal, identity: Digest) -> None:
        self.seal, self.identity = seal, identity
        self._seal_size = archive.seal_size
        self._records = Records(archive.frames, archive.table, archive.seal_size, seal.members, mtime=archive.mtime)
        self._places = {member.key: record for record, member in enumerate(self._records.members, start=1)}
        self._whole = bytearray(1 + len(self._records.members))  # of each record, whether it was read to its end and was as the seal says
        # What many images share is parsed once: a manifest takes ten times its size in memory, so few that are large are kept.
        self._small, self._large = lru_cache(maxsize=64)(self._parsed), lru_cache(maxsize=4)(self._parsed)

    @property
    def size_of_blobs(self) -> int:
        """Bytes of what lies behind the documents and the evidence."""
        return sum(member.size for member in self.seal.members if member.kind is Kind.BLOB)

    @property
    def size_elsewhere(self) -> int:
        """Bytes of the layers that the seal says to lie elsewhere."""
        return sum(each.size for each in self.seal.elsewhere)

    def has(self, digest: Digest) -> bool:
        """Whether that content is a member."""
        return digest.encoded in self._places

    def member(self, what: Digest | str) -> Member:
        """The member of that digest or name. Raises IntegrityError (``content.missing``)."""
        return self._records.members[self._place(what) - 1]

    def read(self, what: Digest | str) -> bytes:
        """All of a small member, at most 16 MiB, verified.

        Raises FormatError (``format.tar``, ``format.unlisted``, ``format.bundle``, ``limit.evidence``), IntegrityError
        (``content.missing``, ``content.frame``, ``content.digest``), TransportError (``disk.io``).
        """
        member = self.member(what)
        if member.size > needs.MAX_PAYLOAD:
            raise FormatError(f"{member.path} is too large to be read whole", code=Code.LIMIT_EVIDENCE, found=f"{member.size} bytes")
        return b"".join(self.chunks(what))

    def chunks(self, what: Digest | str) -> Iterator[bytes]:
        """A member in pieces, which end only if they were all of it. Raises as :meth:`read`, but for its size."""
        record = self._place(what)
        return self._marked(record, verified(self.member(what).blob, self._records.pieces(record)))

    def document(self, digest: Digest, media_type: str | None = None) -> Document:
        """A manifest or index that is stated to be of that media type. Raises as :meth:`read` and :meth:`Document.parse`."""
        member = self.member(digest)
        if member.size > MAX_DOCUMENT:
            raise FormatError(
                f"{digest} is too large a manifest", code=Code.LIMIT_DOCUMENT, found=member.size, wanted=f"at most {MAX_DOCUMENT}"
            )
        return (self._small if member.size <= _SMALL_DOCUMENT else self._large)(digest, media_type)

    def verify(self, *, jobs: int = 4, report: Report = lambda _: None) -> Checked:
        """Read every byte: all frames, headers, padding and digests, but for members that were read to their end and were whole.

        A bundle is whole if :meth:`check_derived` passes too. Raises TransportError (``disk.io``); all else is among the faults.
        """
        return self._checked(self._records.runs[1:], jobs=jobs, report=report)

    def verify_documents(self, *, jobs: int = 4, report: Report = lambda _: None) -> Checked:
        """The same of what lies before the blobs, and that is read into memory if it fits, so that it need not be read again."""
        early = [run for run in self._records.runs[1:] if run.records and self._records.members[run.first - 1].kind is not Kind.BLOB]
        self._records.keep(early[-1])
        return self._checked(early, jobs=jobs, report=report)

    def _checked(self, todo: Sequence[Run], *, jobs: int, report: Report) -> Checked:
        faults = dict[int, BundlerError]()
        for bad in side_by_side(lambda run: self._verify(run, report), _longest_first(todo) if jobs > 1 else todo, jobs=jobs):
            faults |= bad
            if len(faults) >= MAX_FAULTS:
                break
        good = [member for member, whole in zip(self._records.members, self._whole[1:], strict=True) if whole]
        total = self._seal_size + sum(member.size for member in good)
        return Checked(1 + len(good), total, tuple(faults[record] for record in sorted(faults))[:MAX_FAULTS])

    def check_derived(self) -> None:
        """Refuse members, lookups and derived documents that are not what images and documents make them.

        Raises as :func:`bundler.bundle.composition.check` and :meth:`document`.
        """
        composition.check(self.seal, self.document, lambda config: self.read(config.digest))

    def walk(self, image: ImageEntry) -> composition.Walk:
        """All documents of an image of the seal, and which lookup found what. Raises as :func:`bundler.bundle.composition.walk`."""
        return composition.walk(image, self._lookups, self.document)

    @cached_property
    def _lookups(self) -> dict[tuple[str, Digest], Lookup]:
        return looked_up(self.seal.lookups)

    def _parsed(self, digest: Digest, media_type: str | None) -> Document:
        return Document.parse(self.read(digest), media_type=media_type, digest=digest)

    def _place(self, what: Digest | str) -> int:
        """The number of the record that holds it."""
        key = what if isinstance(what, str) else what.encoded if what.algorithm == "sha256" else str(what)
        record = self._places.get(key)
        if record is None:
            raise IntegrityError("the bundle lacks something that an image needs", code=Code.CONTENT_MISSING, wanted=what)
        return record

    def _verify(self, run: Run, report: Report) -> dict[int, BundlerError]:
        """What is wrong in a run, by record."""
        faults = dict[int, BundlerError]()
        todo = [record for record in range(run.first, run.first + run.records) if not self._whole[record]]
        if run.records and not todo:
            return faults
        try:
            group = self._records.group(run)
        except (FormatError, IntegrityError) as error:
            return {run.first: error}
        if not run.records and group != tar.END:
            faults[run.first] = FormatError("the tar does not end with two blocks of zeros", code=Code.FORMAT_TAR)
        for record in todo:
            content = verified(self._records.members[record - 1].blob, self._records.within(record, run, group))
            try:
                for piece in self._marked(record, content):
                    report(len(piece))
            except (FormatError, IntegrityError) as error:
                faults[record] = error
        return faults

    def _marked(self, record: int, content: Iterable[bytes]) -> Iterator[bytes]:
        """Verified content, and once it has ended, that it was whole."""
        yield from content
        self._whole[record] = True


def _longest_first(plan: Iterable[Run]) -> Sequence[Run]:
    """So that the longest is not the last, for which all others wait."""
    return sorted(plan, key=lambda run: -run.size)
