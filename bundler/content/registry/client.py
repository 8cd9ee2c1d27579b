"""A registry's repositories as sources and sinks of content (OCI distribution-spec 1.1).

Nothing that a registry says of content is believed: documents are checked against the digest that was asked for, blobs
by who reads them, and what was pushed as a document is read back.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass

from bundler import strictjson
from bundler.content.registry.answers import Head, content_range, next_page
from bundler.content.registry.auth import Need
from bundler.content.registry.http import Access
from bundler.content.registry.origin import MalformedError
from bundler.content.registry.session import Session
from bundler.content.registry.upload import Uploads
from bundler.content.registry.wire import Answer, PassingError
from bundler.content.store import Referrers
from bundler.errors import Code, FormatError, IncompleteError, TransportError, translated
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, Document
from bundler.oci.reference import Reference

MAX_PAGE = 4 << 20
MAX_PAGES = 1_000
MAX_LIST = 64 << 20  # bytes of all pages together
MAX_REFERRERS = 50_000  # an image rebuilt and signed every hour for five years
MAX_TAGS = 500_000  # the busiest public repositories have some 100,000, most of them signatures
PAGE = 1_000  # tags that are asked for at once; more is refused by some registries

_NO_API = frozenset({400, 404, 405, 501})
_DOCUMENTS = ", ".join(sorted(mediatype.DOCUMENTS))


class Registry:
    """One registry, by the host that references name. Threads may share it and its repositories.

    Nothing is asked before a repository is. ``sleep`` is how the time between tries is waited.
    """

    def __init__(self, host: str, access: Access, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.host = host
        self._session = Session(host, access, sleep=sleep)

    def repository(self, path: str, *, push: bool = False) -> "Repository":
        """The repository ``path``, which may begin with the prefix that a registry lies behind.

        ``push`` says that it will be written: reading it then asks for the same permission, for some registries
        refuse to read what does not exist yet unless one may create it. Raises FormatError (``format.reference``).
        """
        return Repository(self._session, Reference(self.host, path), push=push)

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
        self._need = Need(reference.path, push=push)
        self._uploads = Uploads(session, reference.path, has=self.has)

    @property
    def registry(self) -> str:
        """The registry's host."""
        return self._reference.registry

    @property
    def name(self) -> str:
        """Host and path."""
        return self._reference.repository

    def document(self, name: str | Digest) -> Document | None:
        """As :meth:`bundler.content.store.Source.document`."""
        got = self._manifest(name)
        if got is None:
            return None
        raw, head = got
        stated = head.media_type if head.media_type in mediatype.DOCUMENTS | mediatype.SCHEMA1 else None
        document = Document.parse(raw, media_type=stated, digest=name if isinstance(name, Digest) else None)
        said = head.one("docker-content-digest")
        if isinstance(name, str) and said is not None and said != _digest_like(said, raw):
            raise self._breach(f"a manifest comes with the digest {ascii(said)[1:161]}", wanted=document.digest)
        return document

    def referrers(self, subject: Digest) -> Referrers:
        """As :meth:`bundler.content.store.Source.referrers`."""
        listed: dict[Digest, Descriptor] = {}
        api = False
        for page in self._pages(f"referrers/{subject}", accept=mediatype.OCI_INDEX, absent=_NO_API):
            api = True
            if page.head.media_type != mediatype.OCI_INDEX:
                raise self._breach(f"referrers come as {ascii(page.head.media_type)[:100]}", wanted=mediatype.OCI_INDEX)
            for descriptor in self._descriptors(page.body):
                listed.setdefault(descriptor.digest, descriptor)
            self._limit(len(listed), MAX_REFERRERS, "list of referrers")
        return Referrers(api=api, listed=tuple(listed.values()))

    def tags(self) -> list[str]:
        """As :meth:`bundler.content.store.Sink.tags`."""
        tags: dict[str, None] = {}
        for page in self._pages(f"tags/list?n={PAGE}", accept="application/json", absent=frozenset({404})):
            for tag in self._tags(page.body):
                tags[tag] = None
            self._limit(len(tags), MAX_TAGS, "list of tags")
        return list(tags)

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
                tries.again(error)

    def mount(self, blob: Descriptor, source: str) -> bool:
        """Have the registry take the blob from its own repository ``source`` (a path); False if it does not."""
        return self._uploads.mount(blob, source)

    def put(self, blob: Descriptor, chunks: Callable[[], Iterator[bytes]]) -> None:
        """As :meth:`bundler.content.store.Sink.put`."""
        self._uploads.put(blob, chunks)

    def put_document(self, document: Document, *, tag: str | None = None) -> bool:
        """As :meth:`bundler.content.store.Sink.put_document`; read back by the name that it was put under.

        Raises TransportError (``registry.read-back``) if other bytes come back.
        """
        name = tag or document.digest
        need = Need(self._reference.path, push=True)

        def stored(answer: Answer) -> bool:
            if answer.status != 201:
                raise self._not_stored(answer, document, need)
            said = answer.head.one("docker-content-digest")
            if said is not None and said != _digest_like(said, document.raw):
                raise self._breach(f"a manifest was stored as {ascii(said)[1:161]}", wanted=document.digest)
            return document.subject is not None and answer.head.one("oci-subject") == str(document.subject.digest)

        headers = {"Content-Type": document.descriptor.media_type}
        listed = self._session.ask("PUT", self._named(name), need=need, then=stored, headers=headers, body=document.raw)
        self._read_back(document, name)
        return listed

    def _manifest(self, name: str | Digest) -> tuple[bytes, Head] | None:
        def got(answer: Answer) -> tuple[bytes, Head] | None:
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise self._session.refusal(answer, "GET", need=self._need)
            if answer.head.media_type in {"text/html", "application/xhtml+xml"}:
                raise self._breach("a page for people", wanted="a manifest", next="check the address; a network may want a login first")
            return answer.whole(MAX_DOCUMENT, what="a manifest", code=Code.LIMIT_DOCUMENT), answer.head

        return self._session.ask("GET", self._named(name), need=self._need, then=got, headers={"Accept": _DOCUMENTS})

    def _read_back(self, document: Document, name: str | Digest) -> None:
        got = self._manifest(name)
        if got is None or got[0] != document.raw:
            raise TransportError(
                f"{self.name} does not give back what was pushed",
                code=Code.REGISTRY_READ_BACK,
                found="nothing" if got is None else Digest.of(got[0]),
                wanted=document.digest,
            )

    def _not_stored(self, answer: Answer, document: Document, need: Need) -> Exception:
        complaint = self._session.complaint(answer)
        if answer.status in {400, 404} and complaint.lacks_content:
            return IncompleteError(
                f"{self.name} lacks what {document.digest} names", code=Code.BLOB_MISSING, found=f"{answer.status} {complaint.text}"
            )
        return self._session.refusal(answer, "PUT", need=need, complaint=complaint)

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
            with self._protocol():
                first, last, size = content_range(answer.head.one("content-range"))
            if first != start or size not in {None, blob.size} or answer.head.length not in {None, last - first + 1}:
                raise self._breach(f"bytes {first} to {last} of {size}", wanted=f"bytes {start} to {blob.size - 1} of {blob.size}")
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

    def _pages(self, path: str, *, accept: str, absent: frozenset[int]) -> Iterator["Page"]:
        """The pages of a list, none if there is no such list: the first is answered with a status of ``absent``."""

        def page(answer: Answer) -> Page | None:
            if answer.status in absent and not seen:
                return None
            if answer.status != 200:
                raise self._session.refusal(answer, "GET", need=self._need)
            with self._protocol():
                link = next_page(answer.head.all("link"))
            following = None if link is None else self._session.linked(answer, link, "a next page").target
            return Page(answer.head, answer.whole(MAX_PAGE, what="a page of a list"), following)

        target, seen, came = self._target(path), set[str](), 0
        for _ in range(MAX_PAGES):
            got = self._session.ask("GET", target, need=self._need, then=page, headers={"Accept": accept})
            if got is None:
                return
            came += len(got.body)
            if came > MAX_LIST:
                break
            yield got
            if got.next is None:
                return
            seen.add(target)
            if got.next in seen:
                raise self._breach("a list whose pages go in a circle")
            target = got.next
        raise FormatError("a list is over its limit", code=Code.LIMIT_ANSWER, wanted=f"at most {MAX_PAGES} pages and {MAX_LIST} bytes")

    def _descriptors(self, body: bytes) -> list[Descriptor]:
        members = self._members(body)
        if members.get("schemaVersion") != 2 or members.get("mediaType") not in {None, mediatype.OCI_INDEX} or "layers" in members:
            raise self._breach("referrers that are no OCI index")
        with translated(FormatError, to=TransportError, what=f"{self._session.host} breaks the protocol"):
            return [Descriptor.from_json(item) for item in self._list(members.get("manifests"))]

    def _tags(self, body: bytes) -> list[str]:
        tags = []
        with translated(FormatError, to=TransportError, what=f"{self._session.host} breaks the protocol"):
            for tag in self._list(self._members(body).get("tags")):
                if not isinstance(tag, str):
                    raise self._breach("a tag that is no string")
                tags.append(str(self._reference.tagged(tag).tag))
        return tags

    def _members(self, body: bytes) -> dict[str, object]:
        with translated(FormatError, to=TransportError, what=f"{self._session.host} breaks the protocol"):
            members = strictjson.loads(body, limit=MAX_PAGE)
        if not isinstance(members, dict):
            raise self._breach("a list that is no object")
        return members

    def _list(self, value: object) -> list[object]:
        if not isinstance(value, list | None):
            raise self._breach("a list that is none")
        return value or []  # null is how some write an empty one

    def _limit(self, count: int, limit: int, what: str) -> None:
        if count > limit:
            raise FormatError(f"a {what} is over its limit", code=Code.LIMIT_ANSWER, found=count, wanted=f"at most {limit}")

    def _named(self, name: str | Digest) -> str:
        if isinstance(name, str):
            self._reference.tagged(name)  # refuses what is no tag
        return self._target(f"manifests/{name}")

    def _target(self, path: str) -> str:
        return f"/v2/{self._reference.path}/{path}"

    def _protocol(self) -> AbstractContextManager[None]:
        return translated(MalformedError, to=TransportError, what=f"{self._session.host} breaks the protocol")

    def _breach(self, found: str, *, wanted: object = None, next: str | None = None) -> TransportError:  # noqa: A002
        return TransportError(f"{self._session.host} breaks the protocol", found=found, wanted=wanted, next=next)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and where the next is."""

    head: Head
    body: bytes
    next: str | None


def _digest_like(said: str, raw: bytes) -> str | None:
    """The digest of ``raw`` in the algorithm that a registry uses; None if what it said is no digest."""
    try:
        return str(Digest.parse(said).same_kind_of(raw))
    except FormatError:
        return None
