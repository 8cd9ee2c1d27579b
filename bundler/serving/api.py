"""The endpoints of distribution-spec 1.1 over the folder of :mod:`.storage`. What is answered 201 is on the disk."""

import json
import os
import re
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from bundler.errors import FormatError, IntegrityError
from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT
from bundler.serving.conditions import continues, may_put, named, range_of
from bundler.serving.exchange import RefusedError, Request, Response
from bundler.serving.pushed import Pushed
from bundler.serving.receiving import Body
from bundler.serving.repository import OvertakenError, ServedRepository
from bundler.serving.storage import Storage
from bundler.serving.uploads import BusyError, MismatchError, OpenUpload

MAX_PAGE = MAX_DOCUMENT  # bytes of a page of referrers: they are manifests too, and clients bound those
MAX_LISTED = 10_000  # names on a page when nobody says how many
MAX_TAGS = 128  # tags in one push; the specification asks for ten
LARGE = 64 << 10  # bytes from which on a manifest waits in a file for its turn to be parsed; most have a tenth of it
BUSY = 10.0  # seconds to wait for another request on the same upload, whose connection may have died unnoticed

_ALGORITHMS = ("sha256", "sha512")  # what a Digest can be of
_NAME = "(?P<name>.+)"


class Api:
    """Answers requests; many threads may ask at once, but only one at a time for what takes much memory."""

    def __init__(self, storage: Storage, *, read_only: bool = False) -> None:
        self._storage = storage
        self._read_only = read_only
        self._gates = _Gates()

    def answer(self, request: Request) -> Response:
        """Raises RefusedError; OSError for what the disk refuses."""
        for pattern, endpoints in _ROUTES:
            if found := pattern.fullmatch(request.path):
                return self._called(endpoints, request, found.groupdict())
        raise RefusedError(404, "UNSUPPORTED", "there is nothing here; the API is below /v2/")

    def _called(self, endpoints: "Endpoints", request: Request, parts: dict[str, str]) -> Response:
        allowed = {method for method in endpoints if not self._read_only or method == "GET"}
        method = "GET" if request.method == "HEAD" else request.method
        if method not in allowed:
            why = "this registry is read-only" if self._read_only else "nothing here is done by this method"
            told = sorted(allowed | ({"HEAD"} if "GET" in allowed else set()))
            raise RefusedError(405, "UNSUPPORTED", why, headers={"Allow": ", ".join(told)})
        try:
            return endpoints[method](_Call(self._storage, request, parts, self._gates))
        except IntegrityError as error:
            raise RefusedError(400, "DIGEST_INVALID", str(error)) from error
        except FormatError as error:
            raise RefusedError(400, "MANIFEST_INVALID", str(error)) from error


@dataclass(frozen=True, slots=True)
class _Gates:
    """What many clients could do at once, each with a hundred times the memory of what they sent."""

    listing: threading.Lock = field(default_factory=threading.Lock)
    """Held while names or referrers are listed. Whoever holds it may take the next one."""
    parsing: threading.Lock = field(default_factory=threading.Lock)
    """Held while a large manifest is in memory."""


class _Call:
    """One request at its endpoint; each method names the one of distribution-spec, "Endpoints", that it is."""

    def __init__(self, storage: Storage, request: Request, parts: dict[str, str], gates: _Gates) -> None:
        self._storage = storage
        self._request = request
        self._parts = parts
        self._gates = gates

    @property
    def _repository(self) -> ServedRepository:
        try:
            return self._storage.repository(self._parts["name"])
        except FormatError as error:
            raise RefusedError(400, "NAME_INVALID", str(error)) from error

    @property
    def _reference(self) -> Digest | str:
        """The digest, or else the tag, that a manifest is asked for by."""
        return _digest(self._parts["manifest"]) if ":" in self._parts["manifest"] else self._parts["manifest"]

    # --- what there is ---

    def ping(self) -> Response:
        """end-1"""
        return _json({}, {"Docker-Distribution-API-Version": "registry/2.0"})

    def catalog(self) -> Response:
        """No part of the specification, but of the habits of those who look after a registry."""
        with self._gates.listing:
            listed, more = _page(self._storage.names(), self._request)
            return self._listed({"repositories": listed}, more)

    def tags(self) -> Response:
        """end-8a, end-8b"""
        repository = self._repository
        if not repository.exists():
            raise RefusedError(404, "NAME_UNKNOWN", f"there is no repository {repository.name}")
        with self._gates.listing:
            listed, more = _page(repository.tags(), self._request)
            return self._listed({"name": repository.name, "tags": listed}, more)

    def referrers(self) -> Response:
        """end-12a, end-12b"""
        repository, subject = self._repository, _digest(self._parts["digest"])
        wanted, last = self._request.parameter("artifactType"), self._request.parameter("last") or ""
        headers = {"Content-Type": mediatype.OCI_INDEX}
        if wanted is not None:
            headers["OCI-Filters-Applied"] = "artifactType"
        with self._gates.listing:
            listed: list[dict[str, Any]] = []
            left = MAX_PAGE
            for descriptor in self._referring(repository, subject, after=last, kind=wanted):
                left -= len(json.dumps(descriptor)) + 2
                if left < 0 and listed:
                    query = {"last": listed[-1]["digest"], **({} if wanted is None else {"artifactType": wanted})}
                    headers |= _next(self._request.path, query)
                    break
                listed.append(descriptor)
            return self._listed({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": listed}, headers)

    def _referring(self, repository: ServedRepository, subject: Digest, *, after: str, kind: str | None) -> Iterator[dict[str, Any]]:
        for digest in repository.referrers(subject):
            pushed = self._stored(repository, digest) if str(digest) > after else None
            if pushed is not None and (kind is None or pushed.as_referrer.get("artifactType") == kind):
                yield pushed.as_referrer

    def _listed(self, value: Any, headers: dict[str, str]) -> Response:
        """A list, from a file where it is long: whoever reads it slowly must not keep it in memory."""
        answer = _json(value, headers)
        if answer.length <= LARGE or not isinstance(answer.body, bytes):
            return answer
        return Response(answer.status, answer.headers, self._storage.spooled([answer.body]), 0, answer.length)

    # --- blobs ---

    def blob(self) -> Response:
        """end-2"""
        repository, digest = self._repository, _digest(self._parts["digest"])
        file = repository.open(digest)
        if file is None:
            raise RefusedError(404, "BLOB_UNKNOWN", f"{repository.name} has no blob {digest}")
        size = os.fstat(file.fileno()).st_size
        headers = named(digest) | {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        wanted = self._request.headers.get("range") if self._request.method == "GET" and continues(self._request, digest) else None
        try:
            first, count = range_of(wanted, size)
        except RefusedError:
            file.close()
            raise
        if count is None:
            return Response(200, headers, file, 0, size)
        return Response(206, headers | {"Content-Range": f"bytes {first}-{first + count - 1}/{size}"}, file, first, count)

    def delete_blob(self) -> Response:
        """end-10"""
        repository, digest = self._repository, _digest(self._parts["digest"])
        if not repository.drop(digest):
            raise RefusedError(404, "BLOB_UNKNOWN", f"{repository.name} has no blob {digest}")
        return Response(202)

    # --- uploads ---

    def begin(self) -> Response:
        """end-4a, end-4b, end-4c, end-11"""
        repository = self._repository
        mount, digest = self._request.parameter("mount"), self._request.parameter("digest")
        if mount is not None and self._mounted(repository, _digest(mount), self._request.parameter("from")):
            return _created(repository, "blobs", _digest(mount))
        whole = _digest(digest) if digest is not None else None
        algorithm = whole.algorithm if whole else self._request.parameter("digest-algorithm") or "sha256"
        if algorithm not in _ALGORITHMS:
            raise RefusedError(400, "DIGEST_INVALID", f"the algorithm is none of {', '.join(_ALGORITHMS)}")
        try:
            upload = self._storage.begin(repository.name, algorithm=algorithm, client=self._request.client)
        except BusyError as error:
            raise RefusedError(429, "TOOMANYREQUESTS", "too many uploads are under way", headers={"Retry-After": "60"}) from error
        if whole is not None:
            return self._kept_at_once(repository, upload, whole)
        return Response(202, _location(upload))

    def _kept_at_once(self, repository: ServedRepository, upload: OpenUpload, digest: Digest) -> Response:
        """Nobody is told where this upload is, so nobody can go on with what is left of it."""
        with upload.busy:
            try:
                self._append(upload, self._request.body)
                return self._kept(repository, upload, digest)
            finally:
                self._storage.discard(upload)

    def _mounted(self, repository: ServedRepository, digest: Digest, source: str | None) -> bool:
        try:
            return repository.mount(digest, source=None if source is None else self._storage.repository(source))
        except FormatError:
            return False

    def status(self) -> Response:
        """end-13. What a cut connection still brings is waited for, so that the client goes on where this says."""
        busy = self._upload().busy
        if busy.acquire(timeout=BUSY):
            busy.release()
        return Response(204, _location(self._upload()))

    def append(self) -> Response:
        """end-5"""
        upload = self._upload()
        with _alone(self._storage, upload):
            self._append(upload, self._request.body, told=self._request.headers.get("content-range"))
            return Response(202, _location(upload))

    def finish(self) -> Response:
        """end-6"""
        repository, upload = self._repository, self._upload()
        digest = _digest(self._request.parameter("digest") or "")
        with _alone(self._storage, upload):
            self._append(upload, self._request.body, told=self._request.headers.get("content-range"))
            return self._kept(repository, upload, digest)

    def cancel(self) -> Response:
        """end-14"""
        upload = self._upload()
        with _alone(self._storage, upload):
            self._storage.discard(upload)
        return Response(204)

    def _upload(self) -> OpenUpload:
        upload = self._storage.upload(self._repository.name, self._parts["upload"])
        if upload is None:
            raise RefusedError(404, "BLOB_UPLOAD_UNKNOWN", "there is no such upload; it may have ended")
        return upload

    def _append(self, upload: OpenUpload, body: Body, *, told: str | None = None) -> None:
        count = None if told is None else _in_order(upload, told, body)
        before = upload.size
        try:
            upload.append(body)
        except OSError:  # what lies in the file is not what was hashed
            self._storage.discard(upload)
            raise
        if count is not None and upload.size - before != count:
            self._storage.discard(upload)
            raise RefusedError(400, "SIZE_INVALID", f"the chunk has {upload.size - before} bytes, not {count}")

    def _kept(self, repository: ServedRepository, upload: OpenUpload, digest: Digest) -> Response:
        try:
            self._storage.keep(upload, digest)
        except MismatchError as error:
            raise RefusedError(400, "DIGEST_INVALID", f"the content is not {digest}") from error
        repository.add(digest)
        return _created(repository, "blobs", digest)

    # --- manifests ---

    def manifest(self) -> Response:
        """end-3"""
        repository, asked = self._repository, self._reference
        digest = asked if isinstance(asked, Digest) else repository.resolve(asked)
        opened = repository.open_manifest(digest) if digest is not None else None
        if digest is None or opened is None:
            raise _no_manifest(repository, asked)
        media_type, file = opened
        return Response(200, named(digest) | {"Content-Type": media_type}, file, 0, os.fstat(file.fileno()).st_size)

    def push(self) -> Response:
        """end-7a, end-7b"""
        repository, asked = self._repository, self._reference
        digest = asked if isinstance(asked, Digest) else None
        tags = [asked] if isinstance(asked, str) else self._request.query.get("tag", [])
        if len(tags) > MAX_TAGS:
            raise RefusedError(414, "UNSUPPORTED", f"at most {MAX_TAGS} tags can be pushed at once")
        try:
            with self._sent() as raw:
                pushed = Pushed.parse(raw, self._request.headers.get("content-type", ""), digest)
                lacking = repository.push(
                    pushed.manifest,
                    needs=pushed.needs,
                    subject=pushed.subject,
                    tags=tags,
                    condition=lambda: may_put(self._request, lambda: self._current(repository, asked)),
                )
        except OvertakenError as error:
            raise RefusedError(412, "DENIED", f"{repository.name}:{asked} is not what the condition says") from error
        if lacking:
            raise RefusedError(404, "MANIFEST_BLOB_UNKNOWN", f"{repository.name} lacks {', '.join(map(str, lacking[:10]))}")
        extra = {"OCI-Subject": str(pushed.subject)} if pushed.subject else {}
        extra |= {"OCI-Tag": ", ".join(tags)} if digest and tags else {}
        extra |= {"ETag": named(pushed.manifest.digest)["ETag"]}
        return _created(repository, "manifests", pushed.manifest.digest, extra)

    def _current(self, repository: ServedRepository, asked: Digest | str) -> Digest | None:
        """The digest of what a GET would answer with now."""
        digest = asked if isinstance(asked, Digest) else repository.resolve(asked)
        return digest if digest is not None and repository.has_manifest(digest) else None

    @contextmanager
    def _sent(self) -> Iterator[bytes]:
        """The manifest in the body. A large one is gathered in a file, and is in memory only while it has its turn."""
        body = self._request.body
        if body.length is not None and body.length <= LARGE:
            yield b"".join(bytes(piece) for piece in body)
            return
        if body.length is not None and body.length > MAX_DOCUMENT:
            raise _too_large()
        with self._storage.spooled(_at_most(MAX_DOCUMENT, body)) as file, self._gates.parsing:
            yield file.read()

    def _stored(self, repository: ServedRepository, digest: Digest) -> Pushed | None:
        """What was pushed once."""
        opened = repository.open_manifest(digest)
        if opened is None:
            return None
        media_type, file = opened
        with file, self._gates.parsing if os.fstat(file.fileno()).st_size > LARGE else nullcontext():
            return Pushed.parse(file.read(MAX_DOCUMENT), media_type, digest)

    def delete_manifest(self) -> Response:
        """end-9"""
        repository, asked = self._repository, self._reference
        if isinstance(asked, Digest):
            pushed = self._stored(repository, asked)
            dropped = repository.drop_manifest(asked, subject=pushed.subject if pushed is not None else None)
        else:
            dropped = repository.drop_tag(asked)
        if not dropped:
            raise _no_manifest(repository, asked)
        return Response(202)


Endpoints = dict[str, Callable[[_Call], Response]]

_UPLOADS = f"/v2/{_NAME}/blobs/uploads/"
_ENDPOINTS: list[tuple[str, Endpoints]] = [
    ("/v2/?", {"GET": _Call.ping}),
    ("/v2/_catalog", {"GET": _Call.catalog}),
    (f"/v2/{_NAME}/tags/list", {"GET": _Call.tags}),
    (f"/v2/{_NAME}/referrers/(?P<digest>[^/]+)", {"GET": _Call.referrers}),
    (f"{_UPLOADS}?", {"POST": _Call.begin}),
    (f"{_UPLOADS}(?P<upload>[^/]+)", {"GET": _Call.status, "PATCH": _Call.append, "PUT": _Call.finish, "DELETE": _Call.cancel}),
    (f"/v2/{_NAME}/blobs/(?P<digest>[^/]+)", {"GET": _Call.blob, "DELETE": _Call.delete_blob}),
    (
        f"/v2/{_NAME}/manifests/(?P<manifest>[^/]+)",
        {"GET": _Call.manifest, "PUT": _Call.push, "DELETE": _Call.delete_manifest},
    ),
]
_ROUTES = [(re.compile(pattern), endpoints) for pattern, endpoints in _ENDPOINTS]


def _at_most(limit: int, body: Body) -> Iterator[memoryview]:
    came = 0
    for piece in body:
        came += len(piece)
        if came > limit:
            raise _too_large()
        yield piece


def _too_large() -> RefusedError:
    return RefusedError(413, "MANIFEST_INVALID", f"a manifest has at most {MAX_DOCUMENT} bytes")


def _no_manifest(repository: ServedRepository, asked: Digest | str) -> RefusedError:
    return RefusedError(404, "MANIFEST_UNKNOWN", f"{repository.name} has no manifest {asked}")


def _digest(text: str) -> Digest:
    try:
        return Digest.parse(text)
    except FormatError as error:
        raise RefusedError(400, "DIGEST_INVALID", str(error)) from error


@contextmanager
def _alone(storage: Storage, upload: OpenUpload) -> Iterator[None]:
    """Nobody else writes to the upload or ends it meanwhile."""
    if not upload.busy.acquire(timeout=BUSY):
        raise RefusedError(416, "BLOB_UPLOAD_INVALID", "another request writes to this upload", headers=_location(upload))
    try:
        if storage.upload(upload.repository, upload.id) is not upload:
            raise RefusedError(404, "BLOB_UPLOAD_UNKNOWN", "the upload has ended meanwhile")
        yield
    finally:
        upload.busy.release()


def _in_order(upload: OpenUpload, told: str, body: Body) -> int:
    """How many bytes a chunk with this ``Content-Range`` has; it must begin where the last one ended."""
    found = re.fullmatch(r"([0-9]{1,18})-([0-9]{1,18})", told.strip(), re.ASCII)
    if found is None:
        raise RefusedError(400, "BLOB_UPLOAD_INVALID", "a chunk's range is not well-formed")
    first, last = int(found[1]), int(found[2])
    if first != upload.size or last < first:
        wanted = f"the next chunk begins at {upload.size}, not at {first}"
        raise RefusedError(416, "BLOB_UPLOAD_INVALID", wanted, headers=_location(upload))
    if body.length not in (None, last - first + 1):
        raise RefusedError(400, "SIZE_INVALID", f"the range has {last - first + 1} bytes, the chunk {body.length}")
    return last - first + 1


def _page(names: list[str], request: Request) -> tuple[list[str], dict[str, str]]:
    """What ``n`` and ``last`` ask for of sorted names, and the way to the rest."""
    told, last = request.parameter("n"), request.parameter("last")
    if told is not None and not re.fullmatch(r"[0-9]{1,9}", told, re.ASCII):
        raise RefusedError(400, "UNSUPPORTED", "n is not a number")
    count = min(int(told), MAX_LISTED) if told is not None else MAX_LISTED
    first = bisect_right(names, last) if last is not None else 0
    listed = names[first : first + count]
    if not listed or first + count >= len(names):
        return listed, {}
    return listed, _next(request.path, {"n": str(count), "last": listed[-1]})


def _next(path: str, query: dict[str, str]) -> dict[str, str]:
    return {"Link": f'<{quote(path)}?{urlencode(query)}>; rel="next"'}


def _location(upload: OpenUpload) -> dict[str, str]:
    return {
        "Location": f"/v2/{upload.repository}/blobs/uploads/{upload.id}",
        "Range": f"0-{max(0, upload.size - 1)}",
        "Docker-Upload-UUID": upload.id,
    }


def _created(repository: ServedRepository, kind: str, digest: Digest, headers: dict[str, str] | None = None) -> Response:
    where = {"Location": f"/v2/{repository.name}/{kind}/{digest}", "Docker-Content-Digest": str(digest)}
    return Response(201, where | (headers or {}))


def _json(value: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(200, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode())
