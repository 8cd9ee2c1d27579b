"""The client against a registry that keeps the specification: the embedded one, over a real socket."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bundler.content.registry import lists
from bundler.content.registry.client import Registry, Repository
from bundler.content.registry.http import Access
from bundler.content.store import Referrers
from bundler.content.stream import gathered, side_by_side, verified
from bundler.errors import BundlerError, Code, IncompleteError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import Document
from bundler.serving.server import Server
from tests.support.cable import Cable
from tests.support.reach import Reach

BLOBS = [b"", b"x", b"{}", os.urandom(300_000), os.urandom(5 << 20)]
CONFIG = Descriptor.of(b"{}", mediatype.EMPTY)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A registry of the test's own."""
    server = Server(tmp_path / "registry")
    server.start()
    yield server
    server.close()


@pytest.fixture
def reach(server: Server) -> Iterator[Reach]:
    with ExitStack() as registries:

        def repository(path: str = "app", *, host: str = "", **access: Any) -> Repository:
            registry = Registry(host or server.url.removeprefix("http://"), Access(**access), sleep=lambda _: None)
            return registries.enter_context(registry).repository(path, push=True)

        yield repository


def blob(data: bytes) -> Descriptor:
    return Descriptor.of(data, "application/octet-stream")


def put(repository: Repository, data: bytes) -> Descriptor:
    described = blob(data)
    repository.put(described, lambda: verified(described, iter([data[at : at + 100_000] for at in range(0, len(data), 100_000)])))
    return described


def document(**members: Any) -> Document:
    content = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST, "config": CONFIG.to_json(), "layers": []}
    return Document.parse(json.dumps(content | members).encode())


def index(*children: Document) -> Document:
    listed = [child.descriptor.to_json() for child in children]
    return Document.parse(json.dumps({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": listed}).encode())


@pytest.mark.parametrize("chunk_size", [None, 100_000])
def test_blobs_come_back_as_they_went(reach: Reach, chunk_size: int | None) -> None:
    repository = reach(chunk_size=chunk_size)
    for data in BLOBS:
        if len(data) > 1:  # pieces of a small size would only take long
            assert not repository.has(blob(data))
        described = put(repository, data)
        assert repository.has(described)
        assert gathered(described, repository.chunks(described)) == data


def test_many_threads_share_a_repository(reach: Reach) -> None:
    repository = reach()
    data = [os.urandom(50_000) for _ in range(24)]
    described = list(side_by_side(lambda one: put(repository, one), data, jobs=6))
    assert list(side_by_side(lambda one: gathered(one, repository.chunks(one)), described, jobs=6)) == data


def test_a_blob_that_nobody_put_is_not_there(reach: Reach) -> None:
    with pytest.raises(IncompleteError):
        list(reach().chunks(blob(b"absent")))


def test_bytes_that_are_not_the_described_ones_are_not_kept(reach: Reach) -> None:
    repository, described = reach(), blob(b"right")
    with pytest.raises(BundlerError) as caught:
        repository.put(described, lambda: verified(described, iter([b"wrong"])))
    assert caught.value.code is Code.CONTENT_DIGEST
    assert not repository.has(described)


def test_documents_come_back_as_they_went_by_digest_and_by_tag(reach: Reach) -> None:
    repository = reach()
    put(repository, b"{}")
    one, other = document(), document(annotations={"a": "b"})
    repository.put_document(one)
    repository.put_document(other, tag="v1")
    both = index(one, other)
    repository.put_document(both, tag="latest")
    assert [repository.document(name) for name in (one.digest, "v1", "latest", both.digest)] == [one, other, both, both]
    assert repository.tags() == ["latest", "v1"]
    assert repository.document("v2") is None
    repository.put_document(one, tag="v1")
    assert repository.document("v1") == one


def test_a_document_without_its_parts_is_told_apart(reach: Reach) -> None:
    repository = reach()
    with pytest.raises(IncompleteError) as caught:
        repository.put_document(document(), tag="v1")
    assert caught.value.code is Code.BLOB_MISSING
    assert repository.document("v1") is None


def test_a_repository_that_is_not_there_is_empty(reach: Reach) -> None:
    repository = reach("no/such/repository")
    assert (repository.tags(), repository.document("latest"), repository.has(blob(b"x"))) == ([], None, False)


def test_referrers_are_listed_by_the_registry(reach: Reach) -> None:
    repository = reach()
    put(repository, b"{}")
    subject = document()
    repository.put_document(subject, tag="v1")
    assert repository.referrers(subject.digest) == Referrers(api=True)
    referrers = [document(subject=subject.descriptor.to_json(), artifactType="a/b", annotations={"n": str(n)}) for n in range(3)]
    assert [repository.put_document(referrer) for referrer in referrers] == [True] * 3
    listed = repository.referrers(subject.digest).listed
    assert sorted(listed, key=str) == sorted((referrer.as_referrer for referrer in referrers), key=str)


def test_tags_come_whole_however_many_pages_they_take(reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "PAGE", 4)
    repository = reach()
    put(repository, b"{}")
    names = [f"t{number:02}" for number in range(13)]
    for name in names:
        repository.put_document(document(), tag=name)
    assert repository.tags() == names


def test_a_blob_is_taken_from_a_sibling(reach: Reach) -> None:
    described = put(reach("base"), BLOBS[3])
    repository = reach("app")
    assert not repository.has(described)
    assert repository.mount(described, "base")
    assert gathered(described, repository.chunks(described)) == BLOBS[3]


def test_a_blob_that_the_sibling_lacks_is_put_where_the_mount_began(reach: Reach) -> None:
    repository, described = reach("app"), blob(BLOBS[3])
    assert not repository.mount(described, "base")
    put(repository, BLOBS[3])
    assert repository.has(described)


def cable(server: Server, *lengths: int) -> Cable:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return Cable((host, int(port)), *lengths)


@pytest.mark.parametrize("lengths", [[1_000_000], [300_000, 1_000_000, 5], [1, 2, 3, 4_000_000]])
def test_a_blob_arrives_over_a_cable_that_is_cut(server: Server, reach: Reach, lengths: list[int]) -> None:
    described = put(reach(), BLOBS[4])
    with cable(server, *lengths) as cut:
        repository = reach(host=cut.host, plain_http=True)
        assert gathered(described, repository.chunks(described)) == BLOBS[4]
        assert cut.cuts == len(lengths)


@pytest.mark.parametrize("chunk_size", [None, 400_000])
@pytest.mark.parametrize("lengths", [[-1_000_000], [-300_000, -2_000_000, -5], [1], [-1, -4_000_000, 300]])
def test_a_blob_is_put_over_a_cable_that_is_cut(server: Server, reach: Reach, lengths: list[int], chunk_size: int | None) -> None:
    with cable(server, *lengths) as cut:
        described = put(reach(host=cut.host, plain_http=True, chunk_size=chunk_size), BLOBS[4])
        assert cut.cuts == len(lengths)
    assert gathered(described, reach().chunks(described)) == BLOBS[4]


def test_a_document_is_put_over_a_cable_that_is_cut(server: Server, reach: Reach) -> None:
    put(reach(), b"{}")
    with cable(server, -50, 1, 400) as cut:
        reach(host=cut.host, plain_http=True).put_document(document(), tag="v1")
    assert reach().document("v1") == document()
