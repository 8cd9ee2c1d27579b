"""Manifests from a registry that lies, and into one."""

import json
from typing import Any

import pytest

from bundler.content.registry.client import Repository
from bundler.content.registry.session import MAX_TRIES
from bundler.content.store import Unsaid
from bundler.errors import BundlerError, Code, FormatError, IncompleteError, IntegrityError, TransportError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_DOCUMENT, MAX_LAYERS, Document
from tests.support.hostile_registry import Exchange, HostileRegistry, answer, dropped, head_only, refusal
from tests.support.reach import Reach

EMPTY = Descriptor.of(b"{}", mediatype.EMPTY)


def manifest(**members: Any) -> Document:
    content = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST, "config": EMPTY.to_json(), "layers": []}
    return Document.parse(json.dumps(content | members).encode())


def given(document: Document, **headers: str) -> bytes:
    fields = {"Content-Type": document.descriptor.media_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    return answer(200, document.raw, fields)


DOCUMENT = manifest()
OTHER = manifest(annotations={"a": "b"})
LATEST = "/v2/app/manifests/latest"
BY_DIGEST = f"/v2/app/manifests/{DOCUMENT.digest}"


def refused(repository: Repository, name: str | Digest = "latest") -> BundlerError:
    with pytest.raises(BundlerError) as caught:
        repository.document(name)
    return caught.value


def test_a_manifest_comes_as_the_bytes_it_is(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", LATEST, given(DOCUMENT, Docker_Content_Digest=str(DOCUMENT.digest)))
    assert reach(server).document("latest") == DOCUMENT
    [asked] = server.asked
    assert set(asked.headers["accept"].split(", ")) == mediatype.DOCUMENTS
    assert asked.headers["user-agent"].startswith("oci-bundler/")
    assert asked.headers["accept-encoding"] == "identity"
    assert "authorization" not in asked.headers


def test_what_is_absent_is_none(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", LATEST, refusal(404, "MANIFEST_UNKNOWN"))
    assert reach(server).document("latest") is None


@pytest.mark.parametrize("status", [400, 402, 405, 406, 410, 418, 451, 301, 304, 206, 201, 204])
def test_any_other_status_is_never_absence(server: HostileRegistry, reach: Reach, status: int) -> None:  # F-042, REG-046
    server.on("GET", LATEST, answer(status))
    error = refused(reach(server))
    assert (error.exit, len(server.asked)) == (7, 1)


@pytest.mark.parametrize("status", [401, 403])
def test_no_permission_is_never_absence(server: HostileRegistry, reach: Reach, status: int) -> None:
    server.always("GET", LATEST, answer(status, headers={"WWW-Authenticate": 'Basic realm="x"'}))
    error = refused(reach(server))
    assert (error.exit, error.code) == (7, Code.REGISTRY_CREDENTIALS)
    assert "without a login" in error.what
    assert "podman login" in (error.next or "")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_registry_that_stays_busy_is_never_absence(
    server: HostileRegistry, reach: Reach, waits: list[float], status: int
) -> None:  # F-041
    server.always("GET", LATEST, answer(status, b"over there"))
    error = refused(reach(server))
    assert (error.exit, error.code, len(server.asked)) == (7, Code.REGISTRY_STATUS, 6)
    assert len(waits) == 5
    assert all(0.25 <= wait <= 60 for wait in waits)
    assert f"{status} over there" in str(error)


def test_a_manifest_with_other_bytes_than_its_digest_is_corrupt(server: HostileRegistry, reach: Reach) -> None:  # REG-001, REG-002
    server.on("GET", BY_DIGEST, given(OTHER, Docker_Content_Digest=str(DOCUMENT.digest)))
    error = refused(reach(server), DOCUMENT.digest)
    assert isinstance(error, IntegrityError)
    assert (error.exit, error.code) == (4, Code.CONTENT_DIGEST)


@pytest.mark.parametrize("said", [str(OTHER.digest), "sha256:x", "", None])
def test_asked_for_by_digest_the_bytes_count_and_not_the_header(server: HostileRegistry, reach: Reach, said: str | None) -> None:  # REG-003
    server.on("GET", BY_DIGEST, given(DOCUMENT, **({} if said is None else {"Docker_Content_Digest": said})))
    assert reach(server).document(DOCUMENT.digest) == DOCUMENT


@pytest.mark.parametrize("said", [str(OTHER.digest), "sha256:x", "md5:" + "0" * 32])
def test_asked_for_by_tag_a_header_that_contradicts_the_bytes_is_an_error(
    server: HostileRegistry, reach: Reach, said: str
) -> None:  # REG-003
    server.on("GET", LATEST, given(DOCUMENT, Docker_Content_Digest=said))
    error = refused(reach(server))
    assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)


def test_a_registry_may_name_its_manifests_by_sha512(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", LATEST, given(DOCUMENT, Docker_Content_Digest=str(Digest.of(DOCUMENT.raw, algorithm="sha512"))))
    assert reach(server).document("latest") == DOCUMENT


def test_a_tag_is_looked_up_once_and_its_bytes_say_what_it_was(server: HostileRegistry, reach: Reach) -> None:  # REG-004
    server.on("GET", LATEST, given(DOCUMENT), given(OTHER))
    document = reach(server).document("latest")
    assert document is not None
    assert document.digest == DOCUMENT.digest
    assert [asked.method for asked in server.asked] == ["GET"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (mediatype.OCI_INDEX, Code.FORMAT_MEDIA_TYPE),  # REG-005, CVE-2021-41190
        (mediatype.DOCKER_MANIFEST, Code.FORMAT_MEDIA_TYPE),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", Code.FORMAT_SCHEMA1),  # REG-006
        ("application/vnd.docker.distribution.manifest.v1+json", Code.FORMAT_SCHEMA1),
    ],
)
def test_a_manifest_of_another_type_than_stated_is_malformed(server: HostileRegistry, reach: Reach, said: str, code: Code) -> None:
    server.on("GET", LATEST, answer(200, DOCUMENT.raw, {"Content-Type": said}))
    error = refused(reach(server))
    assert isinstance(error, FormatError)
    assert (error.exit, error.code) == (3, code)


@pytest.mark.parametrize(
    "said", ["application/json", "text/plain; charset=utf-8", "application/octet-stream", mediatype.OCI_MANIFEST.upper() + " ; a=b"]
)
def test_a_type_that_says_nothing_of_manifests_is_no_contradiction(server: HostileRegistry, reach: Reach, said: str) -> None:
    server.on("GET", LATEST, answer(200, DOCUMENT.raw, {"Content-Type": said}))
    assert reach(server).document("latest") == DOCUMENT


def test_the_page_of_a_network_that_wants_a_login_is_no_manifest(server: HostileRegistry, reach: Reach) -> None:  # REG-040
    server.on("GET", LATEST, answer(200, b"<html>Welcome to HOTEL</html>", {"Content-Type": "text/html; charset=utf-8"}))
    error = refused(reach(server))
    assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)


def test_a_manifest_beyond_all_limits_is_not_read(server: HostileRegistry, reach: Reach) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.send(answer(headers={"Transfer-Encoding": "chunked"}, length=False))
        exchange.pour(b"1000\r\n" + b" " * 4096 + b"\r\n")

    server.on("GET", LATEST, endless)
    error = refused(reach(server))
    assert (error.exit, error.code) == (3, Code.LIMIT_DOCUMENT)


def test_a_manifest_of_exactly_the_limit_is_read(server: HostileRegistry, reach: Reach) -> None:
    raw = DOCUMENT.raw + b" " * (MAX_DOCUMENT - len(DOCUMENT.raw))
    server.on("GET", LATEST, answer(200, raw), answer(200, raw + b" "))
    document = reach(server).document("latest")
    assert document is not None
    assert document.descriptor.size == MAX_DOCUMENT
    assert refused(reach(server)).code is Code.LIMIT_DOCUMENT


def test_a_signature_manifest_with_too_many_layers_is_refused(server: HostileRegistry, reach: Reach) -> None:  # REG-053, CVE-2023-46737
    raw = json.dumps({"schemaVersion": 2, "config": EMPTY.to_json(), "layers": [EMPTY.to_json()] * (MAX_LAYERS + 1)}).encode()
    server.on("GET", LATEST, answer(200, raw))
    assert refused(reach(server)).code is Code.LIMIT_DOCUMENT


def test_a_manifest_that_is_cut_is_asked_for_again(server: HostileRegistry, reach: Reach) -> None:  # REG-008
    cut = given(DOCUMENT, Connection="close")[:-20]
    server.on("GET", LATEST, cut, dropped, given(DOCUMENT))
    assert reach(server).document("latest") == DOCUMENT


def test_a_manifest_that_is_always_cut_never_counts(server: HostileRegistry, reach: Reach) -> None:  # REG-008
    server.always("GET", LATEST, given(DOCUMENT, Connection="close")[:-1])
    error = refused(reach(server))
    assert (error.exit, error.code, len(server.asked)) == (7, Code.REGISTRY_UNREACHABLE, 6)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a" * 129, "x?y=z", "x\r\ny"])
def test_what_is_no_tag_is_not_asked_for(server: HostileRegistry, reach: Reach, name: str) -> None:
    assert refused(reach(server), name).code is Code.FORMAT_REFERENCE
    assert not server.asked


@pytest.mark.parametrize("path", ["", "App", "../x", "a//b", "a?b", "a b", "x" * 300])
def test_what_is_no_repository_is_not_asked_for(server: HostileRegistry, reach: Reach, path: str) -> None:
    with pytest.raises(FormatError):
        reach(server, path)


def test_a_registry_may_lie_behind_a_prefix(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", "/v2/prefix/of/it/app/manifests/latest", given(DOCUMENT))
    repository = reach(server, "prefix/of/it/app")
    assert repository.document("latest") == DOCUMENT
    assert (repository.name, repository.registry) == (f"{server.host}/prefix/of/it/app", server.host)


# pushing


def pushed(server: HostileRegistry, name: str | Digest, *answers: bytes, back: bytes | None = None) -> None:
    server.on("PUT", f"/v2/app/manifests/{name}", *answers)
    if back is not None:
        server.on("GET", f"/v2/app/manifests/{name}", back)


def test_a_manifest_is_pushed_as_it_is_and_read_back(server: HostileRegistry, reach: Reach) -> None:
    pushed(server, DOCUMENT.digest, answer(201), back=given(DOCUMENT))
    assert reach(server, push=True).put_document(DOCUMENT) is False
    put, got = server.asked
    assert (put.method, put.body, put.headers["content-type"]) == ("PUT", DOCUMENT.raw, mediatype.OCI_MANIFEST)
    assert (got.method, got.path) == ("GET", put.path)


@pytest.mark.parametrize(("said", "listed"), [(str(OTHER.digest), True), (str(DOCUMENT.digest), False), ("", False), (None, False)])
def test_a_registry_lists_referrers_if_it_names_their_subject(
    server: HostileRegistry, reach: Reach, said: str | None, listed: bool
) -> None:
    document = manifest(subject=OTHER.descriptor.to_json())
    pushed(server, "v1", answer(201, headers={} if said is None else {"OCI-Subject": said}), back=given(document))
    assert reach(server).put_document(document, tag="v1") is listed


def test_a_manifest_without_a_subject_is_no_referrer_whatever_is_said(server: HostileRegistry, reach: Reach) -> None:
    pushed(server, "v1", answer(201, headers={"OCI-Subject": str(OTHER.digest)}), back=given(DOCUMENT))
    assert reach(server).put_document(DOCUMENT, tag="v1") is False


@pytest.mark.parametrize(
    "back",
    [given(OTHER), refusal(404, "MANIFEST_UNKNOWN"), answer(200, DOCUMENT.raw[:-1] + b"\n", {"Content-Type": mediatype.OCI_MANIFEST})],
)
def test_a_registry_that_gives_back_something_else_is_an_error(
    server: HostileRegistry, reach: Reach, back: bytes
) -> None:  # REG-033, REG-034
    pushed(server, "v1", answer(201), back=back)
    with pytest.raises(TransportError) as caught:
        reach(server).put_document(DOCUMENT, tag="v1")
    assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_READ_BACK)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_manifest_is_stored_where_it_reads_back_however_that_is_said(server: HostileRegistry, reach: Reach, status: int) -> None:
    pushed(server, DOCUMENT.digest, answer(status), back=given(DOCUMENT))
    pushed(server, "v1", answer(status), back=refusal(404, "MANIFEST_UNKNOWN"))
    repository = reach(server)
    repository.put_document(DOCUMENT)
    with pytest.raises(TransportError) as caught:
        repository.put_document(DOCUMENT, tag="v1")
    assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_READ_BACK)


@pytest.mark.parametrize(("back", "reads"), [(given(DOCUMENT), True), (given(OTHER), False), (answer(404), False)])
def test_that_tags_are_read_as_digests_is_told_by_what_was_put_by_its_digest(
    server: HostileRegistry, reach: Reach, back: bytes, reads: bool
) -> None:
    pushed(server, DOCUMENT.digest, answer(201), back=given(DOCUMENT))
    server.on("GET", f"/v2/app/manifests/{DOCUMENT.digest.tag}", back)
    repository = reach(server, push=True)
    assert not repository.reads_tags_as_digests()
    repository.put_document(DOCUMENT)
    assert repository.reads_tags_as_digests() is reads


@pytest.mark.parametrize("said", [str(OTHER.digest), "sha256:x"])
def test_a_manifest_that_was_stored_under_another_digest_is_an_error(server: HostileRegistry, reach: Reach, said: str) -> None:  # REG-032
    pushed(server, "v1", answer(201, headers={"Docker-Content-Digest": said}))
    with pytest.raises(TransportError) as caught:
        reach(server).put_document(DOCUMENT, tag="v1")
    assert caught.value.code is Code.REGISTRY_PROTOCOL


@pytest.mark.parametrize(
    "refused_with",
    [
        refusal(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"),
        refusal(404, "BLOB_UNKNOWN"),
        refusal(404, "MANIFEST_UNKNOWN"),
        refusal(400, "MANIFEST_INVALID", "unknown manifest sha256:..."),
    ],
)
def test_a_manifest_whose_parts_the_registry_lacks_is_told_apart(
    server: HostileRegistry, reach: Reach, refused_with: bytes
) -> None:  # REG-035, F-050
    pushed(server, "v1", refused_with)
    with pytest.raises(IncompleteError) as caught:
        reach(server).put_document(DOCUMENT, tag="v1")
    assert (caught.value.exit, caught.value.code) == (6, Code.BLOB_MISSING)


AMID = b'{"errors":[{"code":"DIGEST_INVALID","message":"x"},{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}'
"""What distribution 2.8 says where another writer is putting a blob that the manifest names once more."""


def test_a_manifest_is_pushed_again_while_another_writer_stores_what_it_names(server: HostileRegistry, reach: Reach) -> None:
    pushed(server, "v1", answer(400, AMID), answer(400, AMID), answer(201), back=given(DOCUMENT))
    reach(server).put_document(DOCUMENT, tag="v1")
    assert [asked.body for asked in server.to("PUT")] == [DOCUMENT.raw] * 3


def test_what_stays_of_the_moment_is_lacking_in_the_end(server: HostileRegistry, reach: Reach) -> None:
    pushed(server, "v1", *[answer(400, AMID)] * MAX_TRIES)
    with pytest.raises(IncompleteError) as caught:
        reach(server).put_document(DOCUMENT, tag="v1")
    assert (caught.value.exit, caught.value.code) == (6, Code.BLOB_MISSING)
    assert len(server.to("PUT")) == MAX_TRIES


@pytest.mark.parametrize(
    "refused_with",
    [
        refusal(400, "MANIFEST_INVALID", "manifest invalid"),
        refusal(404, "NAME_UNKNOWN"),
        refusal(413, "SIZE_INVALID"),
        refusal(415, "UNSUPPORTED", "media type unknown"),
        answer(203),
        answer(206),
        answer(507),
    ],
)
def test_a_manifest_that_is_refused_says_why(server: HostileRegistry, reach: Reach, refused_with: bytes) -> None:  # F-042, F-053, F-054
    pushed(server, "v1", refused_with)
    with pytest.raises(TransportError) as caught:
        reach(server).put_document(DOCUMENT, tag="v1")
    assert caught.value.code is Code.REGISTRY_STATUS
    assert len(server.asked) == 1


def test_a_manifest_is_pushed_again_when_the_answer_was_lost(server: HostileRegistry, reach: Reach) -> None:  # F-044
    server.on("PUT", BY_DIGEST, dropped, answer(503), answer(201)).on("GET", BY_DIGEST, given(DOCUMENT))
    reach(server).put_document(DOCUMENT)
    assert [asked.body for asked in server.to("PUT")] == [DOCUMENT.raw] * 3


def test_reading_never_writes(server: HostileRegistry, reach: Reach) -> None:
    def nothing(exchange: Exchange) -> bytes:
        return answer(404)

    for target in (LATEST, f"/v2/app/referrers/{DOCUMENT.digest}", "/v2/app/tags/list", f"/v2/app/blobs/{EMPTY.digest}"):
        server.always("GET", target, nothing).always("HEAD", target, nothing)
    repository = reach(server)
    repository.document("latest")
    repository.referrers(DOCUMENT.digest)
    repository.tags()
    repository.has(EMPTY)
    with pytest.raises(IncompleteError):
        list(repository.chunks(EMPTY))
    assert {asked.method for asked in server.asked} == {"GET", "HEAD"}


# what is hidden


def test_a_refusal_hides_nothing_where_nothing_was_read_with_the_same_login(server: HostileRegistry, reach: Reach) -> None:
    server.always("GET", "/v2/app/manifests/x.sig", answer(403)).on("GET", LATEST, given(DOCUMENT))
    server.always("HEAD", "/v2/app/manifests/x.sig", head_only(403))
    repository = reach(server, absent_is_403=frozenset({server.host}))
    with pytest.raises(TransportError) as caught:
        repository.sought("x.sig")
    assert caught.value.code is Code.REGISTRY_CREDENTIALS
    assert repository.document("latest") == DOCUMENT
    assert repository.sought("x.sig") is Unsaid.HIDDEN
    with pytest.raises(TransportError):
        repository.document("x.sig")
