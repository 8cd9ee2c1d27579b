"""What distribution-spec 1.1 asks of a registry, endpoint by endpoint (its table "Endpoints": end-1 to end-14)."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.serving.server import Server
from tests.support.client import Client
from tests.support.layouts import SBOM, Content

REPO = "team/app"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DATA = bytes(range(256)) * 8
ALGORITHMS = ["sha256", "sha512"]


def stored(client: Client, repository: str, digest: Digest) -> bytes:
    """The blob, after everything that is said of it was compared."""
    got, head = client.get(f"/v2/{repository}/blobs/{digest}"), client.head(f"/v2/{repository}/blobs/{digest}")
    assert (got.status, head.status) == (200, 200)
    assert got.headers["docker-content-digest"] == head.headers["docker-content-digest"] == str(digest)
    assert got.headers["content-length"] == head.headers["content-length"] == str(len(got.body))
    assert head.body == b""
    assert digest == digest.same_kind_of(got.body)
    return got.body


# --- end-1 ---


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
def test_the_registry_says_that_it_is_one(client: Client, path: str) -> None:
    assert client.get(path).status == 200


@pytest.mark.parametrize("path", ["/", "/v1/", "/v2/team/app", "/v2/team/app/manifests/", "/v3/x/blobs/y", "//v2/x//blobs"])
def test_there_is_nothing_elsewhere(client: Client, path: str) -> None:
    assert client.get(path).status == 404


# --- end-2: blobs ---


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_blob_comes_back_as_it_was_pushed(client: Client, algorithm: str) -> None:
    assert stored(client, REPO, client.blob(REPO, DATA, algorithm=algorithm)) == DATA


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_blob_may_be_empty(client: Client, algorithm: str) -> None:
    assert stored(client, REPO, client.blob(REPO, b"", algorithm=algorithm)) == b""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_that_is_not_there_is_404(client: Client, method: str) -> None:
    answered = client.ask(method, f"/v2/{REPO}/blobs/{Digest.of(b'absent')}")
    assert answered.status == 404
    assert method == "HEAD" or answered.code == "BLOB_UNKNOWN"


def test_a_blob_of_one_repository_is_not_there_in_another(client: Client) -> None:
    digest = client.blob(REPO, DATA)
    assert client.head(f"/v2/team/other/blobs/{digest}").status == 404
    assert client.head(f"/v2/team/blobs/{digest}").status == 404


@pytest.mark.parametrize("digest", ["sha256:baddigeststring", "md5:" + "0" * 32, "sha256:" + "A" * 64, "sha512:" + "0" * 64, "x"])
def test_a_digest_that_is_none_is_400(client: Client, digest: str) -> None:
    answered = client.get(f"/v2/{REPO}/blobs/{digest}")
    assert (answered.status, answered.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=500-1499", slice(500, 1500)),
        ("bytes=500-", slice(500, None)),
        ("bytes=-500", slice(-500, None)),
        ("bytes=2000-5000", slice(2000, None)),
        ("bytes=0-0", slice(0, 1)),
        ("bytes=-5000", slice(0, None)),
    ],
)
def test_a_part_of_a_blob(client: Client, asked: str, part: slice) -> None:
    answered = client.get(f"/v2/{REPO}/blobs/{client.blob(REPO, DATA)}", Range=asked)
    first = part.indices(len(DATA))[0]
    assert (answered.status, answered.body) == (206, DATA[part])
    assert answered.headers["content-range"] == f"bytes {first}-{first + len(answered.body) - 1}/{len(DATA)}"


@pytest.mark.parametrize("asked", ["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0"])
def test_a_part_that_is_not_there_is_416(client: Client, asked: str) -> None:
    answered = client.get(f"/v2/{REPO}/blobs/{client.blob(REPO, DATA)}", Range=asked)
    assert (answered.status, answered.headers["content-range"]) == (416, f"bytes */{len(DATA)}")


@pytest.mark.parametrize("asked", ["bytes=", "bytes=-", "lines=1-2", "bytes=0-1,4-5", "bytes=x-y", "0-5", "bytes=٣-٤"])
def test_a_range_that_means_nothing_here_gives_the_whole(client: Client, asked: str) -> None:
    answered = client.ask("GET", f"/v2/{REPO}/blobs/{client.blob(REPO, DATA)}", headers={"Range": asked.encode().decode("latin-1")})
    assert (answered.status, answered.body) == (200, DATA)


def test_a_part_is_given_only_of_what_the_client_has_the_beginning_of(client: Client) -> None:
    digest = client.blob(REPO, DATA)
    path = f"/v2/{REPO}/blobs/{digest}"
    assert client.ask("GET", path, headers={"Range": "bytes=5-", "If-Range": f'"{digest}"'}).status == 206
    assert client.ask("GET", path, headers={"Range": "bytes=5-", "If-Range": '"another"'}).status == 200


# --- end-4, end-5, end-6, end-13, end-14: uploads ---


def test_an_upload_has_a_unique_session(client: Client) -> None:
    one, two = client.upload(REPO), client.upload(REPO)
    assert UUID.search(one)
    assert one != two


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("begun", ["", "?digest-algorithm={}"])
def test_post_then_put(client: Client, algorithm: str, begun: str) -> None:
    begin = client.ask("POST", f"/v2/{REPO}/blobs/uploads/{begun.format(algorithm)}")
    assert begin.status == 202
    digest = Digest.of(DATA, algorithm=algorithm)
    ended = client.ask("PUT", f"{begin.headers['location']}?digest={digest}", DATA)
    assert (ended.status, ended.headers["docker-content-digest"]) == (201, str(digest))
    assert client.get(ended.headers["location"]).body == DATA


def test_the_digest_may_be_percent_encoded(client: Client) -> None:
    ended = client.ask("PUT", f"{client.upload(REPO)}?digest={str(Digest.of(DATA)).replace(':', '%3A')}", DATA)
    assert client.get(ended.headers["location"].replace(":", "%3a")).body == DATA


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_single_post(client: Client, algorithm: str) -> None:
    digest = Digest.of(DATA, algorithm=algorithm)
    posted = client.ask("POST", f"/v2/{REPO}/blobs/uploads/?digest={digest}", DATA)
    assert posted.status == 201
    assert client.get(posted.headers["location"]).body == DATA


def in_pieces(data: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    yield from ((at, data[at : at + size]) for at in range(0, len(data), size))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("last_in_put", [False, True])
def test_a_blob_in_chunks(client: Client, algorithm: str, last_in_put: bool) -> None:
    where, sent = client.upload(REPO), 0
    digest = Digest.of(DATA, algorithm=algorithm)
    pieces = list(in_pieces(DATA, 700))
    for at, piece in pieces[:-1] if last_in_put else pieces:
        patched = client.ask("PATCH", where, piece, {"Content-Range": f"{at}-{at + len(piece) - 1}"})
        sent += len(piece)
        assert (patched.status, patched.headers["range"]) == (202, f"0-{sent - 1}")
        where = patched.headers["location"]
        asked = client.get(where)
        assert (asked.status, asked.headers["range"], asked.headers["location"]) == (204, f"0-{sent - 1}", where)
    at, rest = pieces[-1] if last_in_put else (0, b"")
    told = {"Content-Range": f"{at}-{at + len(rest) - 1}"} if rest else {}
    ended = client.ask("PUT", f"{where}?digest={digest}", rest, told)
    assert ended.status == 201
    assert stored(client, REPO, digest) == DATA


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_blob_as_a_stream_of_unknown_length(client: Client, algorithm: str) -> None:
    where = client.upload(REPO)
    digest = Digest.of(DATA, algorithm=algorithm)
    assert client.ask("PATCH", where, (piece for _, piece in in_pieces(DATA, 333))).status == 202
    assert client.ask("PUT", f"{where}?digest={digest}", b"").status == 201
    assert stored(client, REPO, digest) == DATA


@pytest.mark.parametrize("told", ["5-9", "0-9", "20-29", "8-12"])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_chunk_out_of_order_is_416_and_the_upload_goes_on(client: Client, told: str, method: str) -> None:
    where, data = client.upload(REPO), b"0123456789abcdefghij"
    digest = Digest.of(data)
    assert client.ask("PATCH", where, data[:10], {"Content-Range": "0-9"}).status == 202
    first, last = map(int, told.split("-"))
    refused = client.ask(method, f"{where}?digest={digest}", b"x" * (last - first + 1), {"Content-Range": told})
    assert (refused.status, refused.code, refused.headers["range"]) == (416, "BLOB_UPLOAD_INVALID", "0-9")
    assert client.get(where).headers["range"] == "0-9"
    assert client.ask("PUT", f"{where}?digest={digest}", data[10:], {"Content-Range": "10-19"}).status == 201


@pytest.mark.parametrize("told", ["0", "bytes 0-4", "a-b", "-4", "0-", "0-4/5", "٠-٤"])
def test_a_chunk_whose_range_is_none_is_400(client: Client, told: str) -> None:
    refused = client.ask("PATCH", client.upload(REPO), b"01234", {"Content-Range": told.encode().decode("latin-1")})
    assert (refused.status, refused.code) == (400, "BLOB_UPLOAD_INVALID")


def test_a_chunk_of_another_length_than_its_range_is_400(client: Client) -> None:
    where = client.upload(REPO)
    told = client.ask("PATCH", where, b"01234", {"Content-Range": "0-9"})
    assert (told.status, told.code) == (400, "SIZE_INVALID")
    streamed = client.ask("PATCH", where, iter([b"01234"]), {"Content-Range": "0-9"})
    assert (streamed.status, streamed.code) == (400, "SIZE_INVALID")


def pushes() -> dict[str, Any]:
    def single(client: Client, digest: Digest, data: bytes) -> int:
        return client.ask("POST", f"/v2/{REPO}/blobs/uploads/?digest={digest}", data).status

    def put(client: Client, digest: Digest, data: bytes) -> int:
        return client.ask("PUT", f"{client.upload(REPO)}?digest={digest}", data).status

    def chunked(client: Client, digest: Digest, data: bytes) -> int:
        where = client.upload(REPO)
        assert client.ask("PATCH", where, data).status == 202
        return client.ask("PUT", f"{where}?digest={digest}", b"").status

    return {"single POST": single, "POST and PUT": put, "PATCH and PUT": chunked}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("way", pushes())
def test_other_bytes_than_the_digest_says_are_400_and_never_seen(client: Client, way: str, algorithm: str) -> None:
    digest = Digest.of(DATA, algorithm=algorithm)
    assert pushes()[way](client, digest, DATA + b"oh no") == 400
    assert pushes()[way](client, digest, DATA[:-1]) == 400
    assert client.head(f"/v2/{REPO}/blobs/{digest}").status == 404
    assert pushes()[way](client, digest, DATA) == 201


@pytest.mark.parametrize("asked", ["?digest=sha256:bad", "?digest=md5:00", "?digest-algorithm=md5", "?digest-algorithm=sha999"])
def test_a_push_by_a_digest_or_algorithm_that_is_none_is_400(client: Client, asked: str) -> None:
    refused = client.ask("POST", f"/v2/{REPO}/blobs/uploads/{asked}", b"")
    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")


def test_a_put_without_a_digest_is_400(client: Client) -> None:
    refused = client.ask("PUT", client.upload(REPO), DATA)
    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")


def test_a_cancelled_upload_is_gone(client: Client, folder: Path) -> None:
    where = client.upload(REPO)
    assert client.delete(where).status == 204
    assert [client.ask(method, where).status for method in ("GET", "PATCH", "DELETE")] == [404, 404, 404]
    assert list((folder / "uploads").iterdir()) == []


@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_an_upload_of_another_repository_or_none_is_404(client: Client, method: str) -> None:
    where = client.upload(REPO)
    for elsewhere in (where.replace(REPO, "team/other"), where[:-4] + "0000", f"/v2/{REPO}/blobs/uploads/.."):
        refused = client.ask(method, f"{elsewhere}?digest={Digest.of(b'')}", b"")
        assert (refused.status, refused.code) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_an_upload_that_ended_is_over(client: Client) -> None:
    where = client.upload(REPO)
    assert client.ask("PUT", f"{where}?digest={Digest.of(DATA)}", DATA).status == 201
    assert client.ask("PUT", f"{where}?digest={Digest.of(DATA)}", DATA).status == 404


# --- end-11: mounts ---


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("source", ["&from=team/base", ""])
def test_a_blob_is_mounted_from_where_it_is(client: Client, source: str, algorithm: str) -> None:
    digest = client.blob("team/base", DATA, algorithm=algorithm)
    mounted = client.ask("POST", f"/v2/{REPO}/blobs/uploads/?mount={digest}{source}")
    assert mounted.status == 201
    assert client.get(mounted.headers["location"]).body == DATA
    assert mounted.headers["location"].startswith(f"/v2/{REPO}/")


@pytest.mark.parametrize("source", ["&from=team/empty", "&from=NO/NAME", "&from=", "&from=../../x"])
def test_a_mount_from_where_it_is_not_begins_an_upload(client: Client, source: str) -> None:
    digest = client.blob("team/base", DATA)
    begun = client.ask("POST", f"/v2/{REPO}/blobs/uploads/?mount={digest}{source}")
    assert begun.status == 202
    assert client.head(f"/v2/{REPO}/blobs/{digest}").status == 404
    assert client.ask("PUT", f"{begun.headers['location']}?digest={digest}", DATA).status == 201


def test_a_mount_of_what_nobody_has_begins_an_upload(client: Client) -> None:
    assert client.ask("POST", f"/v2/{REPO}/blobs/uploads/?mount={Digest.of(b'absent')}").status == 202


def test_a_mounted_blob_is_deleted_without_its_source_and_the_other_way_round(client: Client) -> None:
    digest = client.blob("team/base", DATA)
    for gone, left in (("team/base", "one"), ("one", "two")):
        assert client.ask("POST", f"/v2/{left}/blobs/uploads/?mount={digest}&from={gone}").status == 201
        assert client.delete(f"/v2/{gone}/blobs/{digest}").status == 202
        assert client.head(f"/v2/{gone}/blobs/{digest}").status == 404
        assert stored(client, left, digest) == DATA


# --- end-3, end-7: manifests ---


def documents() -> dict[str, Any]:
    return {
        "image": lambda c: c.image(),
        "docker image": lambda c: c.image(docker=True),
        "image without layers": lambda c: c.image(layers=[]),
        "image with foreign layers": lambda c: c.image(foreign=True),
        "index": lambda c: c.index(),
        "docker index": lambda c: c.index(docker=True),
        "nested index": lambda c: c.nested(),
        "empty index": lambda c: c.index(platforms=[]),
        "sparse index": lambda c: c.index(children=[Content().image("elsewhere")]),
        "index of artifacts": lambda c: c.index(children=[c.artifact(b"one")], artifact_type=SBOM),
        "helm chart": lambda c: c.chart(),
        "artifact": lambda c: c.artifact(),
        "sha512": lambda c: c.index(algorithm="sha512"),
        "unknown members": lambda c: c.raw(json.dumps(json.loads(c.image().raw) | {"x-unknown": {"a": [1, None]}}).encode()),
        "embedded data": lambda c: c.raw(_with_data(c.artifact().raw)),
        "large": lambda c: c.image(annotations={f"large.{i}": "A" * 10_000 for i in range(390)}),
    }


def _with_data(raw: bytes) -> bytes:
    members = json.loads(raw)
    members["config"]["data"] = "e30="
    return json.dumps(members).encode()


@pytest.mark.parametrize("kind", documents())
def test_a_manifest_comes_back_byte_for_byte(client: Client, content: Content, kind: str) -> None:
    document: Document = documents()[kind](content)
    client.push(REPO, content, document)
    names: list[str] = [str(document.digest)]
    if document.digest.algorithm == "sha256":
        assert client.put(REPO, "v1", document).status == 201
        names.append("v1")
    for name in names:
        got, head = client.get(f"/v2/{REPO}/manifests/{name}"), client.head(f"/v2/{REPO}/manifests/{name}")
        assert (got.status, got.body, head.status, head.body) == (200, document.raw, 200, b"")
        for answered in (got, head):
            assert answered.headers["content-type"] == document.descriptor.media_type
            assert answered.headers["docker-content-digest"] == str(document.digest)
            assert answered.headers["content-length"] == str(len(document.raw))


def test_a_pushed_manifest_says_where_it_is(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    pushed = client.put(REPO, "v1", image)
    assert (pushed.status, pushed.headers["docker-content-digest"]) == (201, str(image.digest))
    assert client.get(pushed.headers["location"]).body == image.raw


def test_a_manifest_keeps_its_very_spelling(client: Client, content: Content) -> None:
    spaced = content.raw(json.dumps(json.loads(content.image().raw), indent=3).encode() + b"\n\n")
    client.push(REPO, content, spaced, tag="v1")
    assert client.get(f"/v2/{REPO}/manifests/v1").body == spaced.raw


@pytest.mark.parametrize("name", ["absent", str(Digest.of(b"absent"))])
@pytest.mark.parametrize("repository", [REPO, "no/such/repository"])
def test_a_manifest_that_is_not_there_is_404(client: Client, content: Content, repository: str, name: str) -> None:
    client.push(REPO, content, content.image(), tag="v1")
    got = client.get(f"/v2/{repository}/manifests/{name}")
    assert (got.status, got.code) == (404, "MANIFEST_UNKNOWN")
    assert client.head(f"/v2/{repository}/manifests/{name}").status == 404


def test_a_manifest_is_not_a_blob_nor_a_blob_a_manifest(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    assert client.head(f"/v2/{REPO}/blobs/{image.digest}").status == 404
    assert client.head(f"/v2/{REPO}/manifests/{image.blobs[0].digest}").status == 404


def test_a_manifest_by_another_digest_is_400_and_never_seen(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    other = Digest.of(image.raw + b"  ")
    refused = client.put(REPO, other, image)
    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")
    assert client.head(f"/v2/{REPO}/manifests/{other}").status == 404


@pytest.mark.parametrize("name", ["sha256:baddigeststring", "md5:" + "0" * 32])
def test_a_manifest_by_what_is_no_digest_is_400(client: Client, content: Content, name: str) -> None:
    image = client.push(REPO, content, content.image())
    refused = client.put(REPO, name, image)
    assert (refused.status, refused.code) == (400, "DIGEST_INVALID")


@pytest.mark.parametrize("tag", ["-v1", ".v1", "v 1", "v" * 129, "a%2Fb", "v1%00", "v%C3%A9"])
def test_a_manifest_by_what_is_no_tag_is_never_stored(client: Client, content: Content, folder: Path, tag: str) -> None:
    image = client.push(REPO, content, content.image())
    before = sorted(folder.rglob("*"))
    assert client.put(REPO, tag.replace(" ", "%20"), image).status in (400, 404)
    assert sorted(folder.rglob("*")) == before


def test_the_longest_tag_is_kept(client: Client, content: Content) -> None:
    client.push(REPO, content, content.image(), tag="_" + "v.-" * 42 + "1")
    assert client.get(f"/v2/{REPO}/tags/list").json["tags"] == ["_" + "v.-" * 42 + "1"]


def test_a_manifest_that_lacks_a_blob_is_refused(client: Client, content: Content) -> None:
    image = content.image()
    config, layer = image.blobs
    client.blob(REPO, content.blobs[config.digest])
    client.blob("team/other", content.blobs[layer.digest])
    refused = client.put(REPO, "v1", image)
    assert (refused.status, refused.code) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert str(layer.digest) in refused.json["errors"][0]["message"]
    assert client.head(f"/v2/{REPO}/manifests/v1").status == 404
    assert client.head(f"/v2/{REPO}/manifests/{image.digest}").status == 404


def test_a_tag_moves(client: Client, content: Content) -> None:
    one = client.push(REPO, content, content.image("one"), tag="v1")
    two = client.push(REPO, content, content.image("two"), tag="v1")
    assert client.get(f"/v2/{REPO}/manifests/v1").body == two.raw
    assert client.get(f"/v2/{REPO}/manifests/{one.digest}").body == one.raw


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_manifest_by_digest_brings_its_tags(client: Client, content: Content, algorithm: str) -> None:
    image = client.push(REPO, content, content.image(algorithm=algorithm))
    tags = [f"1.2.{n}" for n in range(10)]
    pushed = client.ask(
        "PUT",
        f"/v2/{REPO}/manifests/{image.digest}?" + "&".join(f"tag={tag}" for tag in tags),
        image.raw,
        {"Content-Type": mediatype.OCI_MANIFEST},
    )
    assert pushed.status == 201
    assert [tag.strip() for tag in pushed.headers["oci-tag"].split(",")] == tags
    assert {client.get(f"/v2/{REPO}/manifests/{tag}").body for tag in tags} == {image.raw}


def test_one_bad_tag_among_them_and_nothing_is_kept(client: Client, content: Content) -> None:
    image = content.image()
    for blob in image.blobs:
        client.blob(REPO, content.blobs[blob.digest])
    refused = client.ask("PUT", f"/v2/{REPO}/manifests/{image.digest}?tag=good&tag=-bad", image.raw)
    assert refused.status == 400
    assert client.head(f"/v2/{REPO}/manifests/{image.digest}").status == 404
    assert client.get(f"/v2/{REPO}/tags/list").json["tags"] == []


def test_too_many_tags_at_once_are_414(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    path = f"/v2/{REPO}/manifests/{image.digest}?" + "&".join(f"tag=t{n}" for n in range(129))
    assert client.ask("PUT", path, image.raw).status == 414


def test_a_manifest_above_four_mebibytes_is_413(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    refused = client.ask("PUT", f"/v2/{REPO}/manifests/v1", image.raw + b" " * (4 << 20))
    assert (refused.status, refused.code) == (413, "MANIFEST_INVALID")
    assert client.ask("PUT", f"/v2/{REPO}/manifests/v1", iter([image.raw, *[b" " * (1 << 20)] * 4])).status == 413


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b'{"schemaVersion":2',
        b'{"schemaVersion":1,"name":"x","fsLayers":[]}',
        b'{"schemaVersion":2,"manifests":[],"layers":[],"config":{}}',
        b'{"schemaVersion":2,"manifests":[],"manifests":[]}',
        b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}',
        b'\xff\xfe{"schemaVersion":2,"manifests":[]}',
    ],
)
def test_what_is_no_manifest_of_one_kind_is_400(client: Client, raw: bytes) -> None:
    refused = client.ask("PUT", f"/v2/{REPO}/manifests/v1", raw, {"Content-Type": mediatype.OCI_INDEX})
    assert (refused.status, refused.code) == (400, "MANIFEST_INVALID")


def test_a_manifest_is_not_pushed_as_what_it_says_it_is_not(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    for stated in (mediatype.OCI_INDEX, mediatype.DOCKER_MANIFEST, "text", "application/x y"):
        refused = client.ask("PUT", f"/v2/{REPO}/manifests/v1", image.raw, {"Content-Type": stated})
        assert (refused.status, refused.code) == (400, "MANIFEST_INVALID")


@pytest.mark.parametrize("stated", [None, "", "application/json", "application/vnd.oci.image.manifest.v1+json; charset=utf-8"])
def test_parameters_of_the_media_type_are_ignored_and_an_absent_one_is_read_in_the_manifest(
    client: Client, content: Content, stated: str | None
) -> None:
    image = client.push(REPO, content, content.image())
    headers = {} if stated is None else {"Content-Type": stated}
    assert client.ask("PUT", f"/v2/{REPO}/manifests/v1", image.raw, headers).status == 201
    assert client.head(f"/v2/{REPO}/manifests/v1").headers["content-type"] == mediatype.OCI_MANIFEST


def test_a_manifest_of_any_other_media_type_is_kept_as_it_is(client: Client) -> None:
    subject = Digest.of(b"subject")
    raw = json.dumps({"artifactType": "a/b", "blobs": [], "subject": {"digest": str(subject)}, "annotations": {"k": "v"}}).encode()
    kind = "application/vnd.oci.artifact.manifest.v1+json"
    pushed = client.ask("PUT", f"/v2/{REPO}/manifests/v1", raw, {"Content-Type": kind})
    assert (pushed.status, pushed.headers["oci-subject"]) == (201, str(subject))
    got = client.get(f"/v2/{REPO}/manifests/v1")
    assert (got.body, got.headers["content-type"]) == (raw, kind)
    [listed] = client.get(f"/v2/{REPO}/referrers/{subject}").json["manifests"]
    assert (listed["mediaType"], listed["artifactType"], listed["annotations"]) == (kind, "a/b", {"k": "v"})


# --- end-8: tags ---


def test_tags_are_listed_in_the_order_of_ascii(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    for tag in ("b", "a", "B", "_", "10", "9"):
        client.put(REPO, tag, image)
    assert client.get(f"/v2/{REPO}/tags/list").json == {"name": REPO, "tags": ["10", "9", "B", "_", "a", "b"]}


def test_tags_come_in_pages_that_lead_to_each_other(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    tags = [f"t{n:02}" for n in range(7)]
    for tag in tags:
        client.put(REPO, tag, image)
    pages, path = [], f"/v2/{REPO}/tags/list?n=3"
    while path:
        page = client.get(path)
        pages.append(page.json["tags"])
        found = re.fullmatch(r'<([^>]+)>; rel="next"', page.headers.get("link", ""))
        path = found[1] if found else ""
    assert pages == [tags[:3], tags[3:6], tags[6:]]


@pytest.mark.parametrize(
    ("asked", "tags", "more"),
    [
        ("?n=0", [], False),
        ("?n=2", ["a", "b"], True),
        ("?n=3", ["a", "b", "c"], False),
        ("?n=9", ["a", "b", "c"], False),
        ("?last=a", ["b", "c"], False),
        ("?last=aa", ["b", "c"], False),
        ("?n=1&last=a", ["b"], True),
        ("?n=1&last=b", ["c"], False),
        ("?n=5&last=z", [], False),
        ("?last=../../etc", ["a", "b", "c"], False),
    ],
)
def test_n_and_last(client: Client, content: Content, asked: str, tags: list[str], more: bool) -> None:
    image = client.push(REPO, content, content.image())
    for tag in "abc":
        client.put(REPO, tag, image)
    page = client.get(f"/v2/{REPO}/tags/list{asked}")
    assert (page.status, page.json["tags"], "link" in page.headers) == (200, tags, more)


@pytest.mark.parametrize("n", ["-1", "x", "1.5", "9999999999", "", "%D9%A3"])
def test_a_number_that_is_none_is_400(client: Client, content: Content, n: str) -> None:
    client.push(REPO, content, content.image(), tag="v1")
    assert client.get(f"/v2/{REPO}/tags/list?n={n}").status == 400


def test_the_tags_of_no_repository_are_404(client: Client) -> None:
    listed = client.get("/v2/no/such/tags/list")
    assert (listed.status, listed.code) == (404, "NAME_UNKNOWN")


def test_a_repository_without_tags_has_an_empty_list(client: Client) -> None:
    client.blob(REPO, DATA)
    assert client.get(f"/v2/{REPO}/tags/list").json == {"name": REPO, "tags": []}


def test_the_catalog_lists_all_repositories(client: Client) -> None:
    for name in ("b/two", "a", "b"):
        client.blob(name, DATA)
    assert client.get("/v2/_catalog").json == {"repositories": ["a", "b", "b/two"]}
    assert client.get("/v2/_catalog?n=1&last=a").json == {"repositories": ["b"]}


# --- end-9, end-10: deletion ---


def test_a_deleted_tag_is_gone_and_its_manifest_stays(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image(), tag="v1")
    client.put(REPO, "v2", image)
    assert client.delete(f"/v2/{REPO}/manifests/v1").status == 202
    assert client.get(f"/v2/{REPO}/manifests/v1").status == 404
    assert client.get(f"/v2/{REPO}/tags/list").json["tags"] == ["v2"]
    assert client.get(f"/v2/{REPO}/manifests/{image.digest}").status == 200


def test_a_deleted_manifest_is_gone_with_every_tag_that_named_it(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image("one"), tag="v1")
    client.put(REPO, "v2", image)
    other = client.push(REPO, content, content.image("two"), tag="v3")
    assert client.delete(f"/v2/{REPO}/manifests/{image.digest}").status == 202
    assert [client.get(f"/v2/{REPO}/manifests/{name}").status for name in (image.digest, "v1", "v2")] == [404, 404, 404]
    assert client.get(f"/v2/{REPO}/manifests/v3").body == other.raw
    client.put(REPO, image.digest, image)
    assert client.get(f"/v2/{REPO}/tags/list").json["tags"] == ["v3"]


def test_a_deleted_blob_is_gone(client: Client) -> None:
    digest = client.blob(REPO, DATA)
    assert client.delete(f"/v2/{REPO}/blobs/{digest}").status == 202
    assert client.get(f"/v2/{REPO}/blobs/{digest}").status == 404
    assert client.blob(REPO, DATA) == digest


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"blobs/{Digest.of(b'absent')}", "BLOB_UNKNOWN"),
        (f"manifests/{Digest.of(b'absent')}", "MANIFEST_UNKNOWN"),
        ("manifests/absent", "MANIFEST_UNKNOWN"),
    ],
)
def test_what_is_not_there_cannot_be_deleted(client: Client, path: str, code: str) -> None:
    refused = client.delete(f"/v2/{REPO}/{path}")
    assert (refused.status, refused.code) == (404, code)


# --- end-12: referrers ---


def test_referrers_are_listed_with_their_type_and_annotations(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image(), tag="v1")
    sbom = content.artifact(b"sbom", SBOM, subject=image, annotations={"org.example.sbom.format": "json"})
    signature = content.bundle(image, b"{}")
    of_config = content.manifest(content.blob(b"cfg", "application/vnd.example.config"), [], subject=image)
    index = content.index(children=[], subject=image, annotations={"k": "v"})
    index_of = content.index(children=[image], subject=image, artifact_type="application/vnd.example.list")
    for referrer in (sbom, signature, of_config, index, index_of):
        client.push(REPO, content, referrer)
    listed = client.get(f"/v2/{REPO}/referrers/{image.digest}")
    assert (listed.status, listed.headers["content-type"]) == (200, mediatype.OCI_INDEX)
    assert (listed.json["schemaVersion"], listed.json["mediaType"]) == (2, mediatype.OCI_INDEX)
    found = {entry["digest"]: entry for entry in listed.json["manifests"]}
    assert found == {str(d.digest): d.as_referrer.to_json() for d in (sbom, signature, of_config, index, index_of)}
    assert found[str(of_config.digest)]["artifactType"] == "application/vnd.example.config"
    assert "artifactType" not in found[str(index.digest)]


def test_the_answer_to_a_push_says_that_the_subject_was_seen(client: Client, content: Content) -> None:
    absent = Descriptor(mediatype.OCI_MANIFEST, Digest.of(b"not there yet"), 123)
    referrer = content.artifact(subject=absent)
    client.push(REPO, content, referrer)
    assert client.put(REPO, "tagged", referrer).headers["oci-subject"] == str(absent.digest)
    [listed] = client.get(f"/v2/{REPO}/referrers/{absent.digest}").json["manifests"]
    assert listed["digest"] == str(referrer.digest)
    assert "oci-subject" not in client.put(REPO, "plain", client.push(REPO, content, content.image())).headers


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_referrers_of_and_by_either_algorithm(client: Client, content: Content, algorithm: str) -> None:
    image = client.push(REPO, content, content.image(algorithm=algorithm))
    referrers = {client.push(REPO, content, content.artifact(subject=image, algorithm=each)).digest for each in ALGORITHMS}
    listed = client.get(f"/v2/{REPO}/referrers/{image.digest}").json["manifests"]
    assert {Digest.parse(entry["digest"]) for entry in listed} == referrers


def test_referrers_of_one_type_alone(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    for kind in ("application/a", "application/b+json"):
        client.push(REPO, content, content.artifact(kind.encode(), kind, subject=image))
    filtered = client.get(f"/v2/{REPO}/referrers/{image.digest}?artifactType=application%2Fb%2Bjson")
    assert filtered.headers["oci-filters-applied"] == "artifactType"
    assert [entry["artifactType"] for entry in filtered.json["manifests"]] == ["application/b+json"]
    assert "oci-filters-applied" not in client.get(f"/v2/{REPO}/referrers/{image.digest}").headers


@pytest.mark.parametrize("repository", [REPO, "no/such/repository"])
def test_no_referrers_are_an_empty_list_and_never_404(client: Client, content: Content, repository: str) -> None:
    client.push(REPO, content, content.image())
    listed = client.get(f"/v2/{repository}/referrers/{Digest.of(b'nothing')}")
    assert (listed.status, listed.json["manifests"]) == (200, [])


def test_referrers_of_what_is_no_digest_are_400(client: Client) -> None:
    assert client.get(f"/v2/{REPO}/referrers/sha256:bad").status == 400
    assert client.get(f"/v2/{REPO}/referrers/latest").status == 400


def test_a_deleted_referrer_is_listed_no_more(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    referrer = client.push(REPO, content, content.artifact(subject=image))
    assert client.delete(f"/v2/{REPO}/manifests/{referrer.digest}").status == 202
    assert client.get(f"/v2/{REPO}/referrers/{image.digest}").json["manifests"] == []


def test_a_referrer_of_one_repository_is_not_listed_in_another(client: Client, content: Content) -> None:
    image = content.image()
    client.push("team/other", content, content.artifact(subject=image))
    assert client.get(f"/v2/{REPO}/referrers/{image.digest}").json["manifests"] == []


def test_many_referrers_come_in_pages_of_at_most_four_mebibytes(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    large = {"large": "A" * (1 << 20)}
    wanted = {client.push(REPO, content, content.artifact(bytes([n]), SBOM, subject=image, annotations=large)).digest for n in range(7)}
    client.push(REPO, content, content.artifact(b"other", "application/other", subject=image))
    found: list[Digest] = []
    path, pages = f"/v2/{REPO}/referrers/{image.digest}?artifactType={SBOM.replace('+', '%2B')}", 0
    while path:
        page = client.get(path)
        assert len(page.body) <= 4 << 20
        assert page.headers["oci-filters-applied"] == "artifactType"
        found += [Digest.parse(entry["digest"]) for entry in page.json["manifests"]]
        more = re.fullmatch(r'<([^>]+)>; rel="next"', page.headers.get("link", ""))
        path, pages = (more[1] if more else ""), pages + 1
    assert pages == 3
    assert len(found) == 7
    assert set(found) == wanted


# --- names, methods, errors ---


@pytest.mark.parametrize(
    "name", ["Team/app", "team//app", "-team", "team/.app", "team/../../x", "a" * 256, "_blobs", "team/_tags", "t%00m"]
)
def test_a_name_that_is_none_is_400_and_no_folder(client: Client, folder: Path, name: str) -> None:
    before = sorted(folder.rglob("*"))
    refused = client.ask("POST", f"/v2/{name}/blobs/uploads/")
    assert (refused.status, refused.code) == (400, "NAME_INVALID")
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["a", "a/b/c/d", "a.b_c__d-e---f/0", "blobs/uploads", "manifests", "v2/x/tags/list"])
def test_a_name_may_be_whatever_the_grammar_allows(client: Client, content: Content, name: str) -> None:
    image = client.push(name, content, content.image(), tag="v1")
    assert client.get(f"/v2/{name}/manifests/v1").body == image.raw
    assert client.get(f"/v2/{name}/tags/list").json == {"name": name, "tags": ["v1"]}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2/"),
        ("PUT", f"/v2/{REPO}/blobs/{Digest.of(b'')}"),
        ("DELETE", f"/v2/{REPO}/tags/list"),
        ("PATCH", f"/v2/{REPO}/manifests/v1"),
        ("GET", f"/v2/{REPO}/blobs/uploads/"),
        ("BREW", f"/v2/{REPO}/manifests/v1"),
    ],
)
def test_another_method_is_405(client: Client, method: str, path: str) -> None:
    refused = client.ask(method, path)
    assert (refused.status, refused.code) == (405, "UNSUPPORTED")
    assert method not in refused.headers["allow"]


@pytest.mark.parametrize("path", ["/v2/", f"/v2/{REPO}/tags/list", f"/v2/{REPO}/referrers/{Digest.of(b'')}", "/v2/_catalog"])
def test_head_says_what_get_would(client: Client, path: str) -> None:
    client.blob(REPO, DATA)
    got, head = client.get(path), client.head(path)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", got.headers["content-length"])


def test_an_error_has_the_form_of_the_specification(client: Client) -> None:
    refused = client.get("/v2/no/such/manifests/v1")
    assert refused.headers["content-type"] == "application/json"
    [error] = refused.json["errors"]
    assert set(error) == {"code", "message"}
    assert re.fullmatch("[A-Z_]+", error["code"])


# --- a registry that is only read ---


@pytest.fixture
def filled(folder: Path, content: Content) -> Document:
    with Server(folder) as server:
        return Client(server.url).push(REPO, content, content.image(), tag="v1")


def test_a_read_only_registry_gives_and_takes_nothing(folder: Path, filled: Document) -> None:
    with Server(folder, read_only=True) as server:
        client = Client(server.url)
        before = sorted(folder.rglob("*"))
        assert client.get(f"/v2/{REPO}/manifests/v1").body == filled.raw
        assert stored(client, REPO, filled.blobs[0].digest)
        for method, path in [
            ("POST", f"/v2/{REPO}/blobs/uploads/"),
            ("POST", f"/v2/{REPO}/blobs/uploads/?mount={filled.blobs[0].digest}"),
            ("PUT", f"/v2/{REPO}/manifests/v1"),
            ("DELETE", f"/v2/{REPO}/manifests/v1"),
            ("DELETE", f"/v2/{REPO}/blobs/{filled.blobs[0].digest}"),
            ("PATCH", f"/v2/{REPO}/blobs/uploads/x"),
        ]:
            refused = client.ask(method, path, b"{}")
            assert (refused.status, refused.code) == (405, "UNSUPPORTED")
        assert client.get(f"/v2/{REPO}/manifests/v1").body == filled.raw
        assert sorted(folder.rglob("*")) == before


def test_locations_lead_back_here_through_any_proxy(client: Client, content: Content) -> None:
    image = client.push(REPO, content, content.image())
    places = [client.upload(REPO), client.put(REPO, "v1", image).headers["location"]]
    assert [urlsplit(place).netloc for place in places] == ["", ""]
