"""Blobs on their way into a registry (distribution-spec, "Pushing Blobs"): at once where they are small, whole, or in pieces
that are resumed.

What commits a blob is sent last, and only after the iterator of its bytes has ended: the last bytes of an upload that is
sent whole, the closing request of one sent in pieces. Where the answer to it is lost, the registry is asked.
"""

from collections.abc import Callable, Iterator

from bundler.content.registry.answers import number, received
from bundler.content.registry.auth import RequestedAccess
from bundler.content.registry.origin import Url
from bundler.content.registry.session import Session, Tries
from bundler.content.registry.wire import Answer, PassingError
from bundler.content.store import SMALL
from bundler.errors import Code, IntegrityError, TransportError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest

PIECE = 32 << 20  # object storage wants 5 MiB or more, and proxies that limit a request often begin at 100 MB

STORED = frozenset({200, 201, 202, 204})  # how a PUT is answered that stored something; 201 is the one that the specification has

_OCTETS = {"Content-Type": "application/octet-stream"}
_NOT_WHOLE = frozenset({405, 411, 413, 415, 501})
_NOT_WHOLE_CODES = frozenset({"BLOB_UPLOAD_INVALID", "SIZE_INVALID", "UNSUPPORTED"})

Chunks = Callable[[], Iterator[bytes]]


class Uploads:
    """Uploads into one repository."""

    def __init__(self, session: Session, path: str, *, has: Callable[[Descriptor], bool], read_back: Callable[[Descriptor], None]) -> None:
        self._session = session
        self._path = path
        self._has = has
        self._read_back = read_back
        self._learnt = session.learnt
        self._begun: dict[Digest, Url] = {}
        self._piecewise = session.access.chunk_size is not None
        """Whether uploads go in pieces: because it was asked for, or because the registry did not take one whole."""

    def mount(self, blob: Descriptor, source: str) -> bool:
        """Have the registry take ``blob`` from its repository ``source``; False if it did not, for whatever reason."""
        need = RequestedAccess(self._path, push=True, source=source)

        def mounted(answer: Answer) -> bool:
            if answer.status == 202:  # an upload instead: the next put() goes on with it
                self._begun[blob.digest] = self._session.linked(answer, answer.head.one("location"), "an upload")
            return answer.status == 201

        try:
            taken = self._session.ask("POST", f"{self._start}?mount={blob.digest}&from={source}", need=need, then=mounted)
        except TransportError as error:
            if error.code is not Code.REGISTRY_CREDENTIALS:
                raise
            return False
        return taken and self._has(blob)

    def put(self, blob: Descriptor, chunks: Chunks) -> None:
        """Store ``blob``, as :class:`bundler.content.store.Sink` has it."""
        if blob.size <= SMALL and self._session.access.chunk_size is None:
            data = b"".join(_held_back(chunks(), blob))
            if self._at_once(blob, data):
                return
            chunks = lambda: iter((data,))  # noqa: E731 - read once: what is counted on the way is not counted again
        upload = Upload(self._session, RequestedAccess(self._path, push=True), blob, chunks)
        piecewise, tries = self._piecewise, self._session.tries()
        while True:
            upload.location, least = self._begin(blob, tries)
            try:
                if piecewise:
                    upload.in_pieces(max(self._session.access.chunk_size or PIECE, least), tries)
                else:
                    upload.whole()
            except NotWholeError:
                self._piecewise = piecewise = True
            except PassingError as error:
                if not isinstance(error, LostUploadError) and self._has(blob):
                    return
                tries.again(error)
                piecewise = piecewise or blob.size > PIECE  # so that what arrives before the next loss stays
            else:
                if not upload.plainly_stored:
                    self._read_back(blob)
                return

    def _at_once(self, blob: Descriptor, data: bytes) -> bool:
        """Whether the registry took the whole blob with the POST (distribution-spec, "Pushing a blob monolithically").

        One that does not know that way begins an upload instead, and is not asked again. Whatever else it says, the usual
        way finds out what is wrong. Raises TransportError where nobody may push, and where the blob was stored as another.
        """
        if not self._learnt.takes_blobs_at_once or blob.digest in self._begun:
            return False
        need, target = RequestedAccess(self._path, push=True), f"{self._start}?digest={blob.digest}"
        wait = self._session.access.patience.commit
        try:
            answer = self._session.attempt("POST", target, need=need, headers=_OCTETS, body=data, wait=wait)
        except PassingError:
            return False  # it may pass, and may have arrived: what is sent again is the same
        try:
            if answer.status == 201:
                _check_stored(self._session, answer, blob)
                return True
            if answer.status == 202:
                self._begun[blob.digest] = self._session.linked(answer, answer.head.one("location"), "an upload")
            if answer.status in {401, 403}:
                raise self._session.refusal(answer, "POST", need=need)
            self._learnt.takes_blobs_at_once = False
            return False
        finally:
            answer.discard()

    @property
    def _start(self) -> str:
        return f"/v2/{self._path}/blobs/uploads/"

    def _begin(self, blob: Descriptor, tries: Tries) -> tuple[Url, int]:
        """Where to send the blob, and the least size of a piece."""
        begun = self._begun.pop(blob.digest, None)
        if begun is not None:
            return begun, 0
        need = RequestedAccess(self._path, push=True)

        def location(answer: Answer) -> tuple[Url, int]:
            if answer.status != 202:
                raise self._session.refusal(answer, "POST", need=need)
            least = answer.head.one("oci-chunk-min-length") or "0"
            with self._session.protocol():
                return self._session.linked(answer, answer.head.one("location"), "an upload"), number(least, "OCI-Chunk-Min-Length")

        return self._session.ask("POST", self._start, need=need, then=location, tries=tries)


class NotWholeError(Exception):
    """The registry does not take a blob in one request, or not one of this size."""


class LostUploadError(PassingError):
    """The registry knows nothing of the upload, or not what it should: the blob is not there, and is sent anew."""


class Upload:
    """The upload of one blob, from its first try to its last."""

    location: Url
    """Where its next request goes, as the registry said last."""
    plainly_stored = False
    """Whether its end was answered with 201, and not with another status that may mean the same."""
    _feed: "Feed"

    def __init__(self, session: Session, need: RequestedAccess, blob: Descriptor, chunks: Chunks) -> None:
        self._session = session
        self._need = need
        self._blob = blob
        self._chunks = chunks
        self._arrived = 0

    def whole(self) -> None:
        """In one request. Raises NotWholeError where that is what the registry minds."""
        self._feed = Feed(self._chunks(), self._blob)
        if not self._blob.size:
            self._feed.finish()
        self._close(self._feed.part(self._blob.size))

    def in_pieces(self, size: int, tries: Tries) -> None:
        """In requests of ``size`` bytes, each of which goes on where the registry says that it is."""
        self._feed, held = Feed(self._chunks(), self._blob), 0
        while held < self._blob.size:
            length = min(size, self._blob.size - held)
            arrived = self._piece(held, length, tries)
            tries.moved(arrived - self._arrived)  # in all tries together: what was lost and sent again is not progress
            self._arrived = arrived
            if arrived != held + length:
                self._feed = Feed(self._chunks(), self._blob)
                self._feed.skip(arrived)
            held = arrived
        self._feed.finish()
        self._close(b"")

    def _piece(self, start: int, length: int, tries: Tries) -> int:
        """How many bytes the registry holds after ``length`` more were sent from ``start``."""
        headers = _OCTETS | {"Content-Range": f"{start}-{start + length - 1}"}
        try:
            answer = self._attempt("PATCH", self.location, headers, self._feed.part(length))
            try:
                if answer.status == 202:
                    self.location = self._session.linked(answer, answer.head.one("location"), "an upload")
                    said = answer.head.one("range")
                    arrived = start + length if said is None else received(said, sent=start + length)
                    if arrived == start + length:
                        return arrived
                    raise self._lost(f"the range {ascii(said)[:80]} after byte {start + length - 1}")
                if answer.status not in {401, 404, 416}:
                    raise self._session.refusal(answer, "PATCH", need=self._need)
                raise self._lost(f"{answer.status} {self._session.complaint(answer).text}")
            finally:
                answer.discard()
        except PassingError as error:
            tries.again(error)
        return self._held(sent=start + length, tries=tries)

    def _held(self, *, sent: int, tries: Tries) -> int:
        """How much the registry says that it holds. Raises LostUploadError where the upload has to begin anew."""

        def held(answer: Answer) -> int | None:
            if answer.status not in {200, 202, 204}:
                return None
            if location := answer.head.one("location"):
                self.location = self._session.linked(answer, location, "an upload")
            return received(answer.head.one("range"), sent=sent)

        arrived = self._session.ask("GET", self.location, need=self._need, then=held, tries=tries)
        if not arrived:
            raise self._lost("an upload that cannot go on")
        return arrived

    def _close(self, body: "Part | bytes") -> None:
        url = self.location.with_query("digest", str(self._blob.digest))
        answer = self._attempt("PUT", url, _OCTETS, body)
        try:
            if answer.status in STORED:
                _check_stored(self._session, answer, self._blob)
                self.plainly_stored = answer.status == 201
                return
            complaint = self._session.complaint(answer)
            if answer.status in {401, 404} and "DIGEST_INVALID" not in complaint.codes:
                raise self._lost(f"{answer.status} {complaint.text}")
            if isinstance(body, Part) and (answer.status in _NOT_WHOLE or (answer.status == 400 and complaint.codes & _NOT_WHOLE_CODES)):
                raise NotWholeError
            raise self._session.refusal(answer, "PUT", need=self._need, complaint=complaint)
        finally:
            answer.discard()

    def _attempt(self, method: str, url: Url, headers: dict[str, str], body: "Part | bytes") -> Answer:
        wait = self._session.access.patience.commit
        return self._session.attempt(method, url, need=self._need, headers=headers, body=body, wait=wait)

    def _lost(self, found: str) -> LostUploadError:
        return LostUploadError(f"{self._session.host} lost the upload of {self._blob.digest}", code=Code.REGISTRY_PROTOCOL, found=found)


class Feed:
    """The bytes of one blob, handed out in the lengths that requests take them in.

    The last bytes are handed out only once the iterator has ended, and never more or fewer than the blob has. What the
    iterator raises is raised to whoever asked for the upload, and not tried again here.
    """

    def __init__(self, chunks: Iterator[bytes], blob: Descriptor) -> None:
        self._chunks = _held_back(chunks, blob)
        self._rest = b""

    def part(self, length: int) -> "Part":
        """The next ``length`` bytes as the body of a request."""
        return Part(self, length)

    def skip(self, length: int) -> None:
        """Read past what the registry holds already."""
        for _ in self.take(length):
            pass

    def finish(self) -> None:
        """See the iterator's end, all bytes having been handed out. Raises what it raises."""
        next(self._chunks, None)

    def take(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes."""
        while length and (piece := self._rest or next(self._chunks, b"")):
            self._rest = piece[length:]
            yield piece[:length]
            length -= min(length, len(piece))


class Part:
    """Some of a feed, as the body of one request."""

    def __init__(self, feed: Feed, length: int) -> None:
        self._feed = feed
        self.length = length

    def __iter__(self) -> Iterator[bytes]:
        return self._feed.take(self.length)


def _check_stored(session: Session, answer: Answer, blob: Descriptor) -> None:
    said = answer.head.one("docker-content-digest")
    if said is not None and said != str(blob.digest):
        raise TransportError(
            f"{session.host} stored a blob under another digest",
            code=Code.REGISTRY_PROTOCOL,
            found=ascii(said[:160]),
            wanted=blob.digest,
        )


def _held_back(chunks: Iterator[bytes], blob: Descriptor) -> Iterator[bytes]:
    held, left = b"", blob.size
    for chunk in chunks:
        if not chunk:
            continue
        left -= len(chunk)
        if left < 0:
            raise IntegrityError(f"{blob.digest} is longer than described", code=Code.CONTENT_SIZE, wanted=f"{blob.size} bytes")
        if held:
            yield held
        held = chunk
    if left:
        raise IntegrityError(f"{blob.digest} ends too early", code=Code.CONTENT_TRUNCATED, wanted=f"{blob.size} bytes")
    if held:
        yield held
