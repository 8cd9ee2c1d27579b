"""Tags that are put only over what was read, at registries that compare, that do not, and that only seem to."""

import pytest

from bundler.content.store import Over
from bundler.errors import Code, ConflictError, IncompleteError, TransportError
from bundler.oci import mediatype
from bundler.oci.manifest import Document
from tests.support.hostile_registry import HostileRegistry, answer, dropped, refusal
from tests.support.reach import Reach

V1 = "/v2/app/manifests/v1"


def index(**annotations: str) -> Document:
    members = ", ".join(f'"{name}": "{value}"' for name, value in annotations.items())
    raw = f'{{"schemaVersion": 2, "mediaType": "{mediatype.OCI_INDEX}", "manifests": [], "annotations": {{{members}}}}}'
    return Document.parse(raw.encode())


OURS, THEIRS, LATER = index(of="ours"), index(of="theirs"), index(of="later")


def given(document: Document, etag: str | None = None) -> bytes:
    return answer(200, document.raw, {"Content-Type": document.descriptor.media_type} | ({"ETag": etag} if etag else {}))


def test_what_was_read_is_what_the_registry_is_told_in_its_own_word(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", V1, given(THEIRS, '"a-word-of-its-own"'), given(OURS))
    server.on("PUT", V1, answer(201))
    repository = reach(server)
    repository.document("v1")
    repository.put_document(OURS, tag="v1", over=Over(THEIRS.digest))
    assert server.asked[1].headers["if-match"] == '"a-word-of-its-own"'
    assert "if-none-match" not in server.asked[1].headers


@pytest.mark.parametrize("etag", [None, 'W/"weak"', "bare", '"', '"a"b"', '"' + "x" * 257 + '"'])
def test_what_is_no_strong_etag_is_not_sent(server: HostileRegistry, reach: Reach, etag: str | None) -> None:
    server.on("GET", V1, given(THEIRS, etag), given(OURS))
    server.on("PUT", V1, answer(201))
    repository = reach(server)
    repository.document("v1")
    repository.put_document(OURS, tag="v1", over=Over(THEIRS.digest))
    assert "if-match" not in server.asked[1].headers


def test_an_etag_of_another_reading_is_not_sent(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", V1, given(LATER, '"later"'), given(OURS))
    server.on("PUT", V1, answer(201))
    repository = reach(server)
    repository.document("v1")
    repository.put_document(OURS, tag="v1", over=Over(THEIRS.digest))
    assert "if-match" not in server.asked[1].headers


def test_a_new_name_may_not_be_there(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", V1, given(OURS))
    server.on("PUT", V1, answer(201))
    reach(server).put_document(OURS, tag="v1", over=Over(None))
    assert server.asked[0].headers["if-none-match"] == "*"


def test_without_over_nothing_is_compared(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", V1, given(THEIRS, '"theirs"'), given(OURS))
    server.on("PUT", V1, answer(201))
    repository = reach(server)
    repository.document("v1")
    repository.put_document(OURS, tag="v1")
    assert not {"if-match", "if-none-match"} & set(server.asked[1].headers)


@pytest.mark.parametrize("over", [Over(None), Over(THEIRS.digest)])
def test_a_name_that_is_something_else_now_is_a_conflict(server: HostileRegistry, reach: Reach, over: Over) -> None:
    server.on("GET", V1, given(THEIRS, '"theirs"'), given(LATER))
    server.on("PUT", V1, refusal(412, "DENIED"))
    repository = reach(server)
    repository.document("v1")
    with pytest.raises(ConflictError) as caught:
        repository.put_document(OURS, tag="v1", over=over)
    assert (caught.value.exit, caught.value.code, caught.value.found) == (8, Code.NAME_CONFLICT, str(LATER.digest))


def test_a_name_that_is_gone_now_is_a_conflict_too(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", V1, given(THEIRS, '"theirs"'), refusal(404, "MANIFEST_UNKNOWN"))
    server.on("PUT", V1, refusal(412, "DENIED"))
    repository = reach(server)
    repository.document("v1")
    with pytest.raises(ConflictError) as caught:
        repository.put_document(OURS, tag="v1", over=Over(THEIRS.digest))
    assert caught.value.found == "nothing"


def test_a_registry_that_refuses_a_condition_that_holds_is_asked_without_it(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", V1, refusal(404, "MANIFEST_UNKNOWN"), given(OURS))
    server.on("PUT", V1, refusal(412, "DENIED"), answer(201))
    reach(server).put_document(OURS, tag="v1", over=Over(None))
    assert [one.method for one in server.asked] == ["PUT", "GET", "PUT", "GET"]
    assert "if-none-match" not in server.asked[2].headers


def test_an_answer_that_was_lost_is_not_taken_for_another_writer(server: HostileRegistry, reach: Reach, waits: list[float]) -> None:
    server.on("PUT", V1, dropped, refusal(412, "DENIED"))
    server.on("GET", V1, given(OURS))
    reach(server).put_document(OURS, tag="v1", over=Over(None))
    assert [one.method for one in server.asked] == ["PUT", "PUT", "GET"]


def test_the_same_that_another_writer_has_put_is_a_conflict(server: HostileRegistry, reach: Reach) -> None:
    """Whoever asks learns that it was not this run that gave the name."""
    server.on("PUT", V1, refusal(412, "DENIED"))
    server.on("GET", V1, given(OURS))
    with pytest.raises(ConflictError) as caught:
        reach(server).put_document(OURS, tag="v1", over=Over(None))
    assert caught.value.found == str(OURS.digest)


def test_a_412_to_a_request_without_condition_is_a_refusal(server: HostileRegistry, reach: Reach) -> None:
    server.on("PUT", V1, refusal(412, "PROJECTPOLICYVIOLATION"))
    with pytest.raises(TransportError) as caught:
        reach(server).put_document(OURS, tag="v1")
    assert caught.value.code is Code.REGISTRY_STATUS


@pytest.mark.parametrize(
    ("answers", "compares"), [([refusal(412, "DENIED")], True), ([answer(201)], False), ([refusal(409, "DENIED")], False)]
)
def test_whether_a_registry_compares_is_tried_once_and_by_digest(
    server: HostileRegistry, reach: Reach, answers: list[bytes], compares: bool
) -> None:
    by_digest = f"/v2/app/manifests/{OURS.digest}"
    server.on("PUT", V1, answer(201, headers={"ETag": '"ours"'}))
    server.on("GET", V1, given(OURS))
    server.on("PUT", by_digest, *answers)
    repository = reach(server)
    repository.put_document(OURS, tag="v1")
    assert [repository.compares(OURS), repository.compares(OURS)] == [compares] * 2
    [tried] = [one for one in server.asked if one.path == by_digest]
    assert (tried.method, tried.headers["if-none-match"]) == ("PUT", "*")


def test_a_registry_that_tells_no_etag_of_what_is_put_does_not_compare_and_is_not_tried(server: HostileRegistry, reach: Reach) -> None:
    server.on("PUT", V1, answer(201))
    server.on("GET", V1, given(OURS, '"ours"'))
    repository = reach(server)
    repository.put_document(OURS, tag="v1")
    assert repository.compares(OURS) is False
    assert len(server.asked) == 2


@pytest.mark.parametrize(("headers", "checks"), [({}, False), ({"Docker-Distribution-Api-Version": "registry/2.0"}, True)])
def test_a_registry_that_calls_itself_distribution_checks_manifests(
    server: HostileRegistry, reach: Reach, headers: dict[str, str], checks: bool
) -> None:
    server.on("PUT", V1, answer(201, headers=headers))
    server.on("GET", V1, given(OURS))
    repository = reach(server)
    assert repository.checks is False
    repository.put_document(OURS, tag="v1")
    assert repository.checks is checks


def test_a_registry_that_has_refused_a_manifest_for_a_blob_checks_them(server: HostileRegistry, reach: Reach) -> None:
    server.on("PUT", V1, refusal(400, "MANIFEST_BLOB_UNKNOWN"))
    repository = reach(server)
    with pytest.raises(IncompleteError, match="lacks"):
        repository.put_document(OURS, tag="v1")
    assert repository.checks is True
