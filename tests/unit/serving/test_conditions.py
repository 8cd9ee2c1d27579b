"""A manifest is put only over what the request says that it is over (RFC 9110, section 13.1)."""

import threading

import pytest

from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support.client import Answered, Client
from tests.support.layouts import Content

REPO = "team/app"


def put(client: Client, name: str | Digest, document: Document, **conditions: str) -> Answered:
    headers = {"Content-Type": document.descriptor.media_type} | {each.replace("_", "-"): value for each, value in conditions.items()}
    return client.ask("PUT", f"/v2/{REPO}/manifests/{name}", document.raw, headers)


@pytest.fixture
def three(client: Client, content: Content) -> list[Document]:
    """Three images; the first is tagged ``v1``."""
    images = [content.image(words) for words in ("one", "two", "three")]
    for image in images:
        client.push(REPO, content, image, tag="v1" if image is images[0] else None)
    return images


def now(client: Client) -> str:
    return client.get(f"/v2/{REPO}/manifests/v1").headers["docker-content-digest"]


def test_what_is_read_and_what_is_put_tell_a_strong_etag_of_the_digest(client: Client, three: list[Document]) -> None:
    wanted = f'"{three[0].digest}"'
    assert client.get(f"/v2/{REPO}/manifests/v1").headers["etag"] == wanted
    assert client.head(f"/v2/{REPO}/manifests/v1").headers["etag"] == wanted
    assert put(client, "v1", three[0]).headers["etag"] == wanted


@pytest.mark.parametrize("match", ['"{0}"', '"{1}", "{0}"', '"{1}","{0}"', "*", ' "{0}" '])
def test_a_tag_that_still_is_what_was_read_is_moved(match: str, client: Client, three: list[Document]) -> None:
    assert put(client, "v1", three[2], If_Match=match.format(*(each.digest for each in three))).status == 201
    assert now(client) == str(three[2].digest)


@pytest.mark.parametrize("match", ['"{1}"', 'W/"{0}"', "{0}", '""', "", '"{1}", "{2}"'])
def test_a_tag_that_is_something_else_stays(match: str, client: Client, three: list[Document]) -> None:
    answered = put(client, "v1", three[2], If_Match=match.format(*(each.digest for each in three)))
    assert (answered.status, answered.code) == (412, "DENIED")
    assert now(client) == str(three[0].digest)


@pytest.mark.parametrize("name", ["v2", "latest"])
def test_a_tag_that_is_not_there_fits_no_if_match(name: str, client: Client, three: list[Document]) -> None:
    for match in ("*", f'"{three[0].digest}"'):
        assert put(client, name, three[0], If_Match=match).status == 412
    assert client.head(f"/v2/{REPO}/manifests/{name}").status == 404


def test_a_tag_is_made_only_where_there_is_none(client: Client, three: list[Document]) -> None:
    assert put(client, "v1", three[1], If_None_Match="*").status == 412
    assert now(client) == str(three[0].digest)
    assert put(client, "v2", three[1], If_None_Match="*").status == 201
    assert put(client, "v2", three[1], If_None_Match="*").status == 412


@pytest.mark.parametrize(("none", "status"), [('"{0}"', 412), ('W/"{0}"', 412), ('"{1}"', 201), ('"{1}", "{0}"', 412)])
def test_if_none_match_may_name_what_must_not_be_there(none: str, status: int, client: Client, three: list[Document]) -> None:
    assert put(client, "v1", three[2], If_None_Match=none.format(*(each.digest for each in three))).status == status


def test_a_manifest_that_is_there_by_its_digest_is_not_made_again(client: Client, three: list[Document]) -> None:
    assert put(client, three[0].digest, three[0], If_None_Match="*").status == 412
    assert put(client, three[0].digest, three[0], If_Match="*").status == 201


def test_of_many_that_make_one_tag_at_once_one_does(client: Client, three: list[Document]) -> None:
    start, statuses = threading.Barrier(8), []

    def make() -> None:
        start.wait()
        statuses.append(put(client, "new", three[0], If_None_Match="*").status)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] + [412] * 7
