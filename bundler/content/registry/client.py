"""A registry's repositories as sources and sinks of content (OCI distribution-spec 1.1).

Nothing that a registry says of content is believed: documents are checked against the digest that was asked for, blobs
by who reads them, and what was pushed as a document is read back.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

from bundler.content.registry.answers import Head, content_range
from bundler.content.registry.auth import RequestedAccess
from bundler.content.registry.http import Access
from bundler.content.registry.lists import Lists
from bundler.content.registry.session import Session, Tries
from bundler.content.registry.upload import STORED, Uploads
from bundler.content.registry.wire import Answer, PassingError
from bundler.content.store import Over, Referrers, Unsaid
from bundler.content.stream import verified
from bundler.errors import BundlerError, Code, ConflictError, FormatError, IncompleteError, IntegrityError, TransportError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, Document
from bundler.oci.reference import Reference

_STRONG = re.compile(r'"[!#-~]{1,256}"', re.ASCII)  # If-Match compares strongly, so a weak one never fits (RFC 9110, 8.8.3.2)
_DOCUMENTS = ", ".join(sorted(mediatype.DOCUMENTS))


class Registry:
    """One registry, by the host that references name. Threads may share it and its repositories.

    Nothing is asked before a repository is. ``sleep`` is how the time between tries is waited, in seconds of ``clock``, by which
    the patience of ``access`` is measured too; ``say`` is told why, in a line for a person, which may have foreign text in it.
    """

    def __init__(
        self,
        host: str,
        access: Access,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.host = host
        self._session = Session(host, access, sleep=sleep, clock=clock, say=say)

    def greet(self, path: str = "") -> None:
        """Ask one cheap question: whether a registry answers at all, and takes the login that there is for ``path`` and below.

        Raises TransportError (``registry.unreachable``, ``registry.tls``, ``registry.credentials``, ``registry.status`` of 5xx,
        ``registry.protocol``), UsageError (``usage.credentials``).
        """
        self._session.greet(path)

    def repository(self, path: str, *, push: bool = False) -> "Repository":
        """The repository ``path``, which may begin with the prefix that a registry lies behind.

        ``push`` says that it will be written: reading it then asks for the same permission, for some registries
        refuse to read what does not exist yet unless one may create it. Raises FormatError (``format.reference``).
        """
        return Repository(self._session, Reference(self.host, path), push=push)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of how it has answered so far."""
        return tuple(self._session.learnt.remarks)

    def close(self) -> None:
        """End the connections that are kept."""
        self._session.close()

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Repository:
    """A repository of a registry; a :class:`bundler.content.store.Sink`.

    Everything raises TransportError: ``registry.unreachable``, ``registry.tls``, ``registry.credentials``,
    ``registry.status``, ``registry.protocol``, ``registry.origin``; and FormatError (``limit.answer``).
    """

    def __init__(self, session: Session, reference: Reference, *, push: bool) -> None:
        self._session = session
        self._reference = reference
        self._need = RequestedAccess(reference.path, push=push)
        self._habits = session.learnt.of(reference.path)
        self._known: str | None = None
        """A tag that GET found: what HEAD says of tags is believed only if it finds that too."""
        self._lists = Lists(session, reference, self._need)
        self._uploads = Uploads(session, reference.path, has=self.has, read_back=self._read_back_blob)
        self._seen: dict[str, tuple[Digest, str]] = {}
        """What each tag was when it was read last, and the registry's own word for that, if it has one."""
        self._stored: Digest | None = None
        """A manifest that was put here by its digest."""

    @property
    def registry(self) -> str:
        """The registry's host."""
        return self._reference.registry

    @property
    def title(self) -> str:
        """Host and path."""
        return self.name

    @property
    def name(self) -> str:
        """Host and path."""
        return self._reference.repository

    def document(self, name: str | Digest) -> Document | None:
        """As :meth:`bundler.content.store.Source.document`."""
        return self._document(name)

    def _document(self, name: str | Digest, *, seeking: bool = False) -> Document | None:
        got = self._manifest(name, seeking=seeking)
        if got is None:
            return None
        raw, head = got
        self._known = name if isinstance(name, str) else self._known
        stated = head.media_type if head.media_type in mediatype.DOCUMENTS | mediatype.SCHEMA1 else None
        document = Document.parse(raw, media_type=stated, digest=name if isinstance(name, Digest) else None)
        if name == document.digest.tag:
            self._session.remark(
                f"{self.registry} gives the manifest itself under the tag sha256-HEX, where the list of what refers to it belongs. "
                "Such lists are neither found nor kept there"
            )
        said = head.one("docker-content-digest")
        if isinstance(name, str) and said is not None and said != _digest_like(said, raw):
            raise self._session.breach(f"a manifest comes with the digest {said[:160]!a}", wanted=document.digest)
        validator = head.one("etag")
        if isinstance(name, str) and validator is not None and _STRONG.fullmatch(validator):
            self._seen[name] = document.digest, validator
        return document

    def sought(self, tag: str) -> Document | Unsaid | None:
        """As :meth:`bundler.content.store.Source.sought`: registries count each GET of a manifest against a limit, and no HEAD."""
        try:
            return self._sought(tag)
        except _HiddenError as error:
            if self._session.absent_is_403:
                self._session.remark(f"{self.registry} answers 403 for tags, which --absent-is-403 takes for tags that are not there")
                return Unsaid.HIDDEN
            raise TransportError(
                f"{self.registry} does not say whether {self.name}:{tag} is there",
                code=Code.REGISTRY_CREDENTIALS,
                found=error.refused.found,
                wanted="404, or what is there, for the image was read with the same login",
                next=f"log in as somebody who may read all of it; or, if {self.registry} answers so for tags that are not there, as "
                f"Artifactory does, export with --absent-is-403 {self.registry}",
            ) from error

    def _sought(self, tag: str) -> Document | None:
        if self._habits.head_tells is False or (self._habits.head_tells is None and self._known is None):
            return self._document(tag, seeking=True)
        status = self._head(tag)
        if status == 404 and self._head_tells():
            return None
        document = self._document(tag, seeking=True)
        if document is not None and status is not None:  # what GET finds, HEAD must have found
            self._habits.head_told(found=status == 200)
        return document

    def referrers(self, subject: Digest) -> Referrers:
        """As :meth:`bundler.content.store.Source.referrers`."""
        return self._lists.referrers(subject)

    def tags(self) -> list[str]:
        """As :meth:`bundler.content.store.Sink.tags`."""
        return self._lists.tags()

    def has(self, blob: Descriptor) -> bool:
        """Whether the registry says that it has the blob, in its size; what it says is not proof."""
        said = self._size(blob, "HEAD")
        return blob.size == (self._size(blob, "GET") if said is None else said)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        """As :meth:`bundler.content.store.Source.chunks`: at most a byte more than the blob has."""
        tries, got = self._session.tries(), 0
        while True:
            try:
                answer = self._blob(blob, start=got)
                try:
                    for piece in self._from(answer, got, blob):
                        tries.moved(len(piece))
                        got += len(piece)
                        yield piece
                finally:
                    answer.close()
                return
            except PassingError as error:
                if got and got == blob.size:
                    return  # all of it is here, and whoever reads it checks that it is
                tries.again(error)

    def mount(self, blob: Descriptor, source: str) -> bool:
        """Have the registry take the blob from its own repository ``source`` (a path); False if it does not."""
        return self._uploads.mount(blob, source)

    def put(self, blob: Descriptor, chunks: Callable[[], Iterator[bytes]]) -> None:
        """As :meth:`bundler.content.store.Sink.put`."""
        self._uploads.put(blob, chunks)

    def put_document(self, document: Document, *, tag: str | None = None, over: Over | None = None) -> bool:
        """As :meth:`bundler.content.store.Sink.put_document`; read back by the name that it was put under.

        Raises TransportError (``registry.read-back``) if other bytes come back.
        """
        condition, tries = self._condition(tag, over) if tag is not None and over is not None else {}, self._session.tries()
        listed = self._put(document, tag or document.digest, condition, tries)
        if listed is None:
            assert tag is not None
            assert over is not None
            now = self.document(tag)
            if now is not None and now.raw == document.raw and tries.failed:
                return False  # the answer to an earlier try was lost
            if (None if now is None else now.digest) != over.digest:
                found = "nothing" if now is None else now.digest
                raise ConflictError(f"{self.name}:{tag} was written meanwhile", code=Code.NAME_CONFLICT, found=found, wanted=over.digest)
            listed = bool(self._put(document, tag, {}, tries))  # what it refuses is the condition itself
        self._read_back(document, tag or document.digest)
        self._stored = self._stored if tag is not None else document.digest
        return listed

    def compares(self, document: Document) -> bool:
        """As :meth:`bundler.content.store.Sink.compares`: the document is put again by its digest, on the condition that it is
        not there. Whoever looks at conditions refuses that. Only a registry is asked that gave an ``ETag`` to a push.
        """
        if self._session.compares is None:
            self._session.compares = self._session.validates and self._refuses(document)
        return self._session.compares

    def reads_tags_as_digests(self) -> bool:
        """As :meth:`bundler.content.store.Sink.reads_tags_as_digests`: GitLab does."""
        got = None if self._stored is None else self._manifest(self._stored.tag)
        return got is not None and Digest.of(got[0]) == self._stored

    @property
    def checks(self) -> bool:
        """As :meth:`bundler.content.store.Sink.checks`: it has refused one, or it calls itself distribution, which does."""
        return self._session.checks

    @property
    def denied(self) -> TransportError | None:
        """As :meth:`bundler.content.store.Sink.denied`: the token that it was read with says so."""
        return self._session.denied(self._need)

    def _refuses(self, document: Document) -> bool:
        try:
            return self._put(document, document.digest, {"If-None-Match": "*"}, self._session.tries()) is None
        except (TransportError, IncompleteError):
            return False  # it minds something else; whoever asked reads again what was put

    def _condition(self, tag: str, over: Over) -> dict[str, str]:
        if over.digest is None:
            return {"If-None-Match": "*"}
        seen = self._seen.get(tag)
        return {"If-Match": seen[1]} if seen is not None and seen[0] == over.digest else {}

    def _put(self, document: Document, name: str | Digest, condition: Mapping[str, str], tries: Tries) -> bool | None:
        """Whether the registry lists it as a referrer itself; None if it refuses the condition."""
        need = RequestedAccess(self._reference.path, push=True)

        def stored(answer: Answer) -> bool | None:
            if condition and answer.status == 412:
                return None
            if answer.status not in STORED:
                raise self._not_stored(answer, document, need)
            self._session.validates |= answer.head.one("etag") is not None
            self._session.checks |= answer.head.one("docker-distribution-api-version") is not None
            said = answer.head.one("docker-content-digest")
            if said is not None and said != _digest_like(said, document.raw):
                raise self._session.breach(f"a manifest was stored as {said[:160]!a}", wanted=document.digest)
            return document.subject is not None and answer.head.one("oci-subject") == str(document.subject.digest)

        headers = {"Content-Type": document.descriptor.media_type, **condition}
        return self._session.ask("PUT", self._named(name), need=need, then=stored, headers=headers, body=document.raw, tries=tries)

    def _head_tells(self) -> bool:
        """Whether a 404 to HEAD is worth what one to GET is: some registries and proxies say it of everything."""
        with self._session.learnt.turns.of(self._reference.path):
            if self._habits.head_tells is None and self._known is not None:
                status = self._head(self._known)
                if status is not None:
                    self._habits.head_told(found=status == 200)
        return self._habits.head_tells is True

    def _head(self, name: str | Digest) -> int | None:
        """The status that HEAD is answered with; None where it has none to give now, which GET is asked about."""
        try:
            answer = self._session.attempt("HEAD", self._named(name), need=self._need, headers={"Accept": _DOCUMENTS}, abroad=True)
        except (PassingError, TransportError):
            return None
        answer.discard()
        return answer.status if answer.url.names(f"manifests/{name}") else None

    def _manifest(self, name: str | Digest, *, seeking: bool = False) -> tuple[bytes, Head] | None:
        """``seeking``: whoever asks knows what to make of _HiddenError."""

        def got(answer: Answer) -> tuple[bytes, Head] | None:
            if answer.status == 404 and answer.url.names(f"manifests/{name}"):
                return None
            if answer.status != 200:
                refused = self._session.refusal(answer, "GET", need=self._need)
                raise _HiddenError(refused) if seeking and answer.status == 403 and self._habits.reads else refused
            if answer.head.media_type in {"text/html", "application/xhtml+xml"}:
                raise self._session.breach(
                    "a page for people", wanted="a manifest", next="check the address; a network may want a login first"
                )
            raw = answer.whole(MAX_DOCUMENT, what="a manifest", code=Code.LIMIT_DOCUMENT)
            self._habits.reads = True
            self._session.came(answer)
            return raw, answer.head

        return self._session.ask("GET", self._named(name), need=self._need, then=got, headers={"Accept": _DOCUMENTS}, abroad=True)

    def _read_back(self, document: Document, name: str | Digest) -> None:
        got = self._manifest(name)
        if got is None or got[0] != document.raw:
            raise self._other(found="nothing" if got is None else Digest.of(got[0]), wanted=document.digest)

    def _read_back_blob(self, blob: Descriptor) -> None:
        try:
            for _ in verified(blob, self.chunks(blob)):
                pass
        except (IncompleteError, IntegrityError) as error:
            raise self._other(found=error.found or error.what, wanted=blob.digest) from error

    def _other(self, *, found: object, wanted: Digest) -> TransportError:
        return TransportError(f"{self.name} does not give back what was pushed", code=Code.REGISTRY_READ_BACK, found=found, wanted=wanted)

    def _not_stored(self, answer: Answer, document: Document, need: RequestedAccess) -> BundlerError | PassingError:
        complaint = self._session.complaint(answer)
        if answer.status not in {400, 404} or not complaint.lacks_content:
            return self._session.refusal(answer, "PUT", need=need, complaint=complaint)
        self._session.checks = True
        lacking = IncompleteError(
            f"{self.name} lacks what {document.digest} names", code=Code.BLOB_MISSING, found=f"{answer.status} {complaint.text}"
        )
        return PassingError.until(lacking) if complaint.is_of_the_moment else lacking

    def _size(self, blob: Descriptor, method: str) -> int | None:
        """The size of a blob that is there, -1 if it is not or has none. None if HEAD is refused: then GET says why, or works."""

        def size(answer: Answer) -> int | None:
            if answer.status in {200, 404}:
                return answer.head.length if answer.status == 200 and answer.head.length is not None else -1
            if method == "HEAD":
                return None
            raise self._session.refusal(answer, method, need=self._need)

        return self._session.ask(method, self._target(f"blobs/{blob.digest}"), need=self._need, then=size, abroad=True)

    def _blob(self, blob: Descriptor, *, start: int) -> Answer:
        headers = {"Range": f"bytes={start}-"} if start else {}
        answer = self._session.attempt("GET", self._target(f"blobs/{blob.digest}"), need=self._need, headers=headers, abroad=True)
        with ExitStack() as given_up:
            given_up.callback(answer.discard)
            if answer.status == 404:
                raise IncompleteError(f"{self.name} lacks a blob", code=Code.BLOB_MISSING, found="404", wanted=blob.digest)
            if answer.status != 200 and not (start and answer.status == 206):
                raise self._session.refusal(answer, "GET", need=self._need)
            given_up.pop_all()
        return answer

    def _from(self, answer: Answer, start: int, blob: Descriptor) -> Iterator[bytes]:
        """The bytes of an answer from ``start`` on, whether it begins there or at the first byte."""
        skip, left = 0, blob.size + 1 - start
        if answer.status == 206:
            with self._session.protocol():
                first, last, size = content_range(answer.head.one("content-range"))
            if first != start or size not in {None, blob.size} or answer.head.length not in {None, last - first + 1}:
                raise self._session.breach(f"bytes {first} to {last} of {size}", wanted=f"bytes {start} to {blob.size - 1} of {blob.size}")
        else:
            skip = start
        for piece in answer.chunks():
            dropped, skip = min(skip, len(piece)), max(0, skip - len(piece))
            rest = piece[dropped:][:left]
            left -= len(rest)
            if rest:
                yield rest
            if not left:
                return
        untold = answer.head.length is None and not answer.head.chunked
        if left > 1 and (answer.status == 206 or untold):
            raise PassingError(f"{self._session.host} ends a blob early", found=f"{blob.size + 1 - left} of {blob.size} bytes")

    def _named(self, name: str | Digest) -> str:
        if isinstance(name, str):
            self._reference.tagged(name)  # refuses what is not a tag
        return self._target(f"manifests/{name}")

    def _target(self, path: str) -> str:
        return f"/v2/{self._reference.path}/{path}"


class _HiddenError(Exception):
    """A manifest is refused to us, who were given others of its repository. It stays inside this module."""

    def __init__(self, refused: TransportError) -> None:
        self.refused = refused
        super().__init__(str(refused))


def _digest_like(said: str, raw: bytes) -> str | None:
    """The digest of ``raw`` in the algorithm that a registry uses; None if what it said is not a digest."""
    try:
        return str(Digest.parse(said).same_kind_of(raw))
    except FormatError:
        return None
