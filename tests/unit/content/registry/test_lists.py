"""Lists of referrers and tags: whole, or an error, and never somebody else's."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from bundler.content.registry import lists
from bundler.content.registry.client import Repository
from bundler.content.store import Referrers
from bundler.errors import Code
from bundler.oci import mediatype
from tests.support.hostile_registry import Exchange, HostileRegistry, answer, refusal
from tests.support.lists import REFERRERS, SUBJECT, index, listed, referrer
from tests.support.reach import Reach, fails

Hostile = Callable[..., HostileRegistry]

TAGS = "/v2/app/tags/list"


def tags(*names: Any, link: str | None = None) -> bytes:
    return listed({"name": "app", "tags": list(names)}, link=link)


def document() -> bytes:
    return listed({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": []}, media_type=mediatype.OCI_INDEX)


def remarks(repository: Repository) -> list[str]:
    return list(repository._session.learnt.remarks)


# referrers


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_a_registry_without_the_api_says_so(server: HostileRegistry, reach: Reach, status: int) -> None:  # F-052
    server.on("GET", REFERRERS, answer(status))
    assert reach(server).referrers(SUBJECT) == Referrers(api=False)


@pytest.mark.parametrize("empty", [{"manifests": []}, {"manifests": None}])
def test_no_referrers_is_an_answer(server: HostileRegistry, reach: Reach, empty: dict[str, Any]) -> None:
    server.on("GET", REFERRERS, index(**empty))
    assert reach(server).referrers(SUBJECT) == Referrers(api=True)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (answer(406), "406"),
        (answer(410), "410"),
        (answer(401), "401"),
        (answer(401, headers={"WWW-Authenticate": "Negotiate"}), "401"),
        (answer(403), "403"),
        (
            answer(303, headers={"Location": "https://page.example/-/app%2Freferrers?secret=1"}),
            "303 to https://page.example/-/app%2Freferrers.",
        ),
        (answer(302, headers={"Location": "/login"}), "302 to /login"),
        (answer(307, headers={"Location": "ftp://page.example/v2/app"}), "307 to ftp://page.example/v2/app"),
        (answer(303), "303 to no place"),
        (answer(200, b"<html>", {"Content-Type": "text/html; charset=utf-8"}), "200 with text/html"),
        (answer(200, b"{}"), "200 with no media type"),
        (index(1, media_type="text/plain"), "200 with text/plain"),
        (listed({"errors": []}), "200 with application/json"),
        (listed({"manifests": None}, media_type=mediatype.DOCKER_INDEX), f"200 with {mediatype.DOCKER_INDEX}"),
        (answer(200, b"nothing", {"Content-Type": "application/json"}), "200 with application/json"),
    ],
)
def test_an_answer_that_is_no_list_is_one_without_the_api_and_it_is_told(
    server: HostileRegistry, reach: Reach, said: bytes, told: str
) -> None:
    server.on("GET", "/v2/app/manifests/latest", document()).always("GET", REFERRERS, said)
    repository = reach(server)
    assert repository.document("latest")
    assert [repository.referrers(SUBJECT), repository.referrers(SUBJECT)] == [Referrers(api=False)] * 2
    assert len(server.to("GET", REFERRERS)) == 1
    [remark] = remarks(repository)
    assert told in remark
    assert "secret" not in remark


@pytest.mark.parametrize("media_type", ["application/json", mediatype.DOCKER_INDEX])
def test_a_list_is_not_lost_for_the_name_of_its_type(server: HostileRegistry, reach: Reach, media_type: str) -> None:
    server.on("GET", REFERRERS, index(1, link="<?last=1>; rel=next", media_type=media_type))
    server.on("GET", f"{REFERRERS}?last=1", index(2, media_type=media_type))
    repository = reach(server)
    assert repository.referrers(SUBJECT) == Referrers(api=True, listed=(referrer(1), referrer(2)))
    assert remarks(repository) == []


@pytest.mark.parametrize("status", [401, 403])
def test_that_a_list_is_not_for_us_says_nothing_where_nothing_was_read(server: HostileRegistry, reach: Reach, status: int) -> None:
    """Then it may be the login that does not suffice, and with another there would be a list."""
    server.on("GET", "/v2/app/manifests/latest", answer(404)).always("GET", REFERRERS, answer(status))
    repository = reach(server)
    assert repository.document("latest") is None
    error = fails(lambda: repository.referrers(SUBJECT))
    assert (error.exit, error.code) == (7, Code.REGISTRY_CREDENTIALS)


@pytest.mark.parametrize("status", [402, 408, 418, 429, 500, 502, 503, 504, 206, 204])
def test_any_other_answer_is_not_that_there_are_none(server: HostileRegistry, reach: Reach, status: int) -> None:
    server.on("GET", "/v2/app/manifests/latest", document()).always("GET", REFERRERS, answer(status))
    repository = reach(server)
    assert repository.document("latest")
    error = fails(lambda: repository.referrers(SUBJECT))
    assert (error.exit, error.code) == (7, Code.REGISTRY_STATUS)


def test_a_list_that_is_cut_is_not_that_there_are_none(server: HostileRegistry, reach: Reach) -> None:
    whole = index(1)
    server.always("GET", REFERRERS, lambda exchange: exchange.send(whole[:-5]))
    error = fails(lambda: reach(server).referrers(SUBJECT))
    assert (error.exit, error.code) == (7, Code.REGISTRY_UNREACHABLE)


@pytest.mark.parametrize(
    "later",
    [
        answer(403),
        answer(406),
        answer(303, headers={"Location": "https://page.example/"}),
        answer(200, b"<html>", {"Content-Type": "text/html"}),
    ],
)
def test_a_registry_that_has_listed_some_has_the_api(server: HostileRegistry, reach: Reach, later: bytes) -> None:
    server.on("GET", "/v2/app/manifests/latest", document()).on("GET", REFERRERS, index(1), later)
    repository = reach(server)
    assert repository.document("latest")
    assert repository.referrers(SUBJECT).listed
    assert fails(lambda: repository.referrers(SUBJECT)).exit == 7


@pytest.mark.parametrize("later", [answer(303, headers={"Location": "/login"}), index(2, media_type="text/html"), answer(403), answer(410)])
def test_a_page_that_is_no_list_is_no_end_of_one(server: HostileRegistry, reach: Reach, later: bytes) -> None:
    server.on("GET", "/v2/app/manifests/latest", document())
    server.on("GET", REFERRERS, index(1, link="<?last=1>; rel=next")).always("GET", f"{REFERRERS}?last=1", later)
    repository = reach(server)
    assert repository.document("latest")
    assert fails(lambda: repository.referrers(SUBJECT)).exit == 7


@pytest.mark.parametrize(
    "link",
    ['</v2/app/referrers/{subject}?last=1>; rel="next"', "<?last=1>; rel=next", '<{url}/v2/app/referrers/{subject}?last=1>;rel="next"'],
)
def test_all_pages_are_one_list(server: HostileRegistry, reach: Reach, link: str) -> None:
    said = link.format(subject=SUBJECT, url=server.url)
    server.on("GET", REFERRERS, index(1, 2, link=said)).on("GET", f"{REFERRERS}?last=1", index(2, 3))
    assert reach(server).referrers(SUBJECT) == Referrers(api=True, listed=(referrer(1), referrer(2), referrer(3)))


def test_referrers_keep_what_is_said_of_them(server: HostileRegistry, reach: Reach) -> None:
    said = referrer(1).to_json() | {"artifactType": "a/b", "annotations": {"x": "y", "X": "\x1b[1m"}}
    server.on("GET", REFERRERS, index(manifests=[said]))
    [got] = reach(server).referrers(SUBJECT).listed
    assert got.to_json() == said


@pytest.mark.parametrize(
    "said",
    [
        index(mediaType=mediatype.OCI_MANIFEST),
        index(mediaType=mediatype.DOCKER_INDEX),
        index(schemaVersion=1),
        index(manifests={}),
        index(manifests=[7]),
        index(manifests=[{"mediaType": "a/b", "digest": "sha1:x", "size": 1}]),
        index(manifests=[referrer(1).to_json() | {"size": -1}]),
        index(layers=[], config=referrer(1).to_json()),
        listed([], media_type=mediatype.OCI_INDEX),
        answer(200, b"<html>", {"Content-Type": mediatype.OCI_INDEX}),
        answer(200, b"", {"Content-Type": mediatype.OCI_INDEX}),
        answer(200, b'{"schemaVersion":2,"manifests":[],"manifests":[]}', {"Content-Type": mediatype.OCI_INDEX}),
        answer(200, b'{"schemaVersion":2,"manifests":[],"Manifests":[]}', {"Content-Type": mediatype.OCI_INDEX}),
        index(1, link="</a>; rel=next, </b>; rel=next"),
        index(1, link="nowhere"),
        index(1, link="<>; rel=next"),
        index(1, link="<ftp://x/>; rel=next"),
    ],
)
def test_what_is_no_list_of_referrers_is_an_error(server: HostileRegistry, reach: Reach, said: bytes) -> None:
    server.on("GET", REFERRERS, said)
    error = fails(lambda: reach(server).referrers(SUBJECT))
    assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)


def test_a_page_that_is_gone_is_no_end_of_the_list(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", REFERRERS, index(1, link="<?last=1>; rel=next"), answer(404))
    assert fails(lambda: reach(server).referrers(SUBJECT)).exit == 7


@pytest.mark.parametrize(("target", "ask"), [(REFERRERS, lambda r: r.referrers(SUBJECT)), (TAGS, lambda r: r.tags())])
def test_a_next_page_elsewhere_is_not_asked_for(
    hostile: Hostile, server: HostileRegistry, reach: Reach, target: str, ask: Callable[[Repository], object]
) -> None:  # REG-041
    trap = hostile()
    link = f"<{trap.url}{target}>; rel=next"
    server.on("GET", target, index(1, link=link) if target == REFERRERS else tags("a", link=link))
    error = fails(lambda: ask(reach(server)))
    assert (error.exit, error.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections


@pytest.mark.parametrize("link", ["<?n=1>; rel=next", "<?>; rel=next", "<{target}>; rel=next"])
def test_pages_in_a_circle_are_left(server: HostileRegistry, reach: Reach, link: str) -> None:  # REG-041
    server.always("GET", REFERRERS, index(1, link=link.format(target=REFERRERS)))
    error = fails(lambda: reach(server).referrers(SUBJECT))
    assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)
    assert len(server.asked) <= 3


def test_pages_without_end_are_left(server: HostileRegistry, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:  # REG-041
    monkeypatch.setattr(lists, "MAX_PAGES", 20)

    def another(exchange: Exchange) -> bytes:
        count = int(exchange.target.partition("page=")[2] or "0")
        return index(count, link=f"<?page={count + 1}>; rel=next")

    server.always("GET", REFERRERS, another)
    error = fails(lambda: reach(server).referrers(SUBJECT))
    assert (error.exit, error.code, len(server.asked)) == (3, Code.LIMIT_ANSWER, 20)


def test_a_million_referrers_are_too_many(server: HostileRegistry, reach: Reach) -> None:  # REG-041
    entry = json.dumps(referrer(1).to_json()).encode()

    def million(exchange: Exchange) -> None:
        exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: " + mediatype.OCI_INDEX.encode() + b"\r\n\r\n" + b'{"schemaVersion":2,"manifests":['
        )
        exchange.pour(b",".join([entry] * 1000) + b",")

    server.on("GET", REFERRERS, million)
    error = fails(lambda: reach(server).referrers(SUBJECT))
    assert (error.exit, error.code) == (3, Code.LIMIT_ANSWER)


def test_more_referrers_than_any_image_has_are_too_many(server: HostileRegistry, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_REFERRERS", 3)
    server.on("GET", REFERRERS, index(1, 2, link="<?a>; rel=next"), index(2, 3), index(1, 2, link="<?a>; rel=next"), index(3, 4))
    assert len(reach(server).referrers(SUBJECT).listed) == 3
    assert fails(lambda: reach(server).referrers(SUBJECT)).code is Code.LIMIT_ANSWER


# tags


def test_tags_come_from_all_pages(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", f"{TAGS}?n=1000", tags("a", "b", link=f"<{TAGS}?n=1000&last=b>; rel=next")).on(
        "GET", f"{TAGS}?n=1000&last=b", tags("b", "c")
    )
    assert reach(server).tags() == ["a", "b", "c"]


@pytest.mark.parametrize("said", [refusal(404, "NAME_UNKNOWN"), listed({"name": "app", "tags": None}), listed({"name": "app"}), tags()])
def test_a_repository_without_tags_has_none(server: HostileRegistry, reach: Reach, said: bytes) -> None:
    server.on("GET", TAGS, said)
    assert reach(server).tags() == []


@pytest.mark.parametrize("status", [400, 401, 403, 405, 418, 501])
def test_tags_that_cannot_be_listed_are_not_none(server: HostileRegistry, reach: Reach, status: int) -> None:
    server.always("GET", TAGS, answer(status))
    assert fails(reach(server).tags).exit == 7


@pytest.mark.parametrize("name", ["../../etc/passwd", "\x1b[31mred", "a b", "", "a" * 129, "a/b", "ä", "-a", "a\n"])
def test_what_is_no_tag_is_an_error_and_shown_escaped(server: HostileRegistry, reach: Reach, name: str) -> None:  # REG-043
    server.on("GET", TAGS, tags("good", name))
    error = fails(reach(server).tags)
    assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)
    assert str(error).isprintable()
    assert str(error).isascii()


@pytest.mark.parametrize(
    "said", [listed([]), listed({"tags": {}}), listed({"tags": "a"}), listed({"tags": [7]}), listed({"tags": [None]}), answer(200, b"x")]
)
def test_what_is_no_list_of_tags_is_an_error(server: HostileRegistry, reach: Reach, said: bytes) -> None:
    server.on("GET", TAGS, said)
    error = fails(reach(server).tags)
    assert (error.exit, error.code) == (7, Code.REGISTRY_PROTOCOL)


def test_a_page_of_tags_has_a_limit(server: HostileRegistry, reach: Reach) -> None:  # REG-043
    server.on("GET", TAGS, tags(*("t" * 100 for _ in range(100_000))))
    error = fails(reach(server).tags)
    assert (error.exit, error.code) == (3, Code.LIMIT_ANSWER)


def test_more_tags_than_any_repository_has_are_too_many(server: HostileRegistry, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_TAGS", 2)
    server.on("GET", TAGS, tags("a", "b", "a"), tags("a", "b", "c"))
    assert reach(server).tags() == ["a", "b"]
    assert fails(reach(server).tags).code is Code.LIMIT_ANSWER
