"""Redirects: what is read may be elsewhere, nothing that changes is, and no credentials go along."""

import json
import socket
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from bundler.content.registry.credentials import Credentials
from bundler.content.registry.proxies import Proxies
from bundler.content.store import Referrers
from bundler.content.stream import gathered
from bundler.errors import BundlerError, Code
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support.hostile_registry import Exchange, HostileRegistry, answer, head_only
from tests.support.reach import Reach

Hostile = Callable[..., HostileRegistry]

DATA = b"x" * 300_000
BLOB = Descriptor.of(DATA, "application/octet-stream")
AT = f"/v2/app/blobs/{BLOB.digest}"
SUBJECT = Digest.of(b"subject")
BASIC = "Basic " + b64encode(b"alice:t0psecret").decode()


MANIFEST = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST, "config": BLOB.to_json(), "layers": []}
DOCUMENT = Document.parse(json.dumps(MANIFEST).encode())


def given(document: Document) -> bytes:
    return answer(200, document.raw, {"Content-Type": document.descriptor.media_type})


def page(*descriptors: Descriptor, link: str | None = None) -> bytes:
    content = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [d.to_json() for d in descriptors]}
    return answer(200, json.dumps(content).encode(), {"Content-Type": mediatype.OCI_INDEX} | ({"Link": link} if link else {}))


def only_with(shown: str, challenge: str, said: bytes) -> Callable[[Exchange], bytes]:
    refused = answer(401, headers={"WWW-Authenticate": challenge})
    return lambda exchange: said if exchange.headers.get("authorization") == shown else refused


def to(location: str, status: int = 307) -> bytes:
    return answer(status, headers={"Location": location})


def alice(server: HostileRegistry) -> dict[str, Any]:
    return {"credentials": Credentials.load(environ={}, username="alice", password="t0psecret", hosts=[server.host])}


def fails(chunks: Any) -> BundlerError:
    with pytest.raises(BundlerError) as caught:
        list(chunks)
    return caught.value


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_blob_may_lie_elsewhere_and_no_credentials_go_there(
    hostile: Hostile, server: HostileRegistry, reach: Reach, status: int
) -> None:  # REG-016
    storage = hostile()
    server.on("GET", AT, answer(401, headers={"WWW-Authenticate": "Basic"}), to(f"{storage.url}/signed?X-Amz-Signature=abc", status))
    storage.on("GET", "/signed?X-Amz-Signature=abc", answer(200, DATA))
    assert gathered(BLOB, reach(server, **alice(server)).chunks(BLOB)) == DATA
    assert server.asked[1].headers["authorization"] == BASIC
    assert "authorization" not in storage.asked[0].headers
    assert storage.asked[0].headers["host"] == storage.host


@pytest.mark.parametrize("challenge", ['Basic realm="give"', 'Bearer realm="{url}/token"', 'Bearer realm="{elsewhere}/token"'])
def test_a_storage_that_asks_for_a_login_gets_none(hostile: Hostile, server: HostileRegistry, reach: Reach, challenge: str) -> None:
    storage = hostile()
    server.on("GET", AT, answer(401, headers={"WWW-Authenticate": "Basic"})).always("GET", AT, to(f"{storage.url}/x"))
    said = challenge.format(url=server.url, elsewhere=storage.url)
    storage.always("GET", "/x", answer(401, headers={"WWW-Authenticate": said}))
    error = fails(reach(server, **alice(server)).chunks(BLOB))
    assert (error.exit, error.code) == (7, Code.REGISTRY_STATUS)
    assert not any("authorization" in asked.headers for asked in storage.asked)


def test_a_redirect_within_the_registry_keeps_its_credentials(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", AT, answer(401, headers={"WWW-Authenticate": "Basic"}), to("/elsewhere")).on("GET", "/elsewhere", answer(200, DATA))
    assert gathered(BLOB, reach(server, **alice(server)).chunks(BLOB)) == DATA
    assert server.asked[2].headers["authorization"] == BASIC


def test_a_signed_address_that_ran_out_is_asked_for_anew(hostile: Hostile, server: HostileRegistry, reach: Reach) -> None:
    storage = hostile()
    server.on("GET", AT, to(f"{storage.url}/old"), to(f"{storage.url}/new"), to(f"{storage.url}/newer"))
    cut = answer(200, DATA[:100_000], {"Content-Length": str(len(DATA)), "Connection": "close"})
    rest = answer(206, DATA[100_000:], {"Content-Range": f"bytes 100000-{len(DATA) - 1}/{len(DATA)}"})
    storage.on("GET", "/old", cut).on("GET", "/new", answer(403)).on("GET", "/newer", rest)
    assert gathered(BLOB, reach(server).chunks(BLOB)) == DATA
    assert storage.asked[2].headers["range"] == "bytes=100000-"


def test_a_size_is_asked_for_where_the_blob_is(hostile: Hostile, server: HostileRegistry, reach: Reach) -> None:
    storage = hostile()
    server.always("HEAD", AT, to(f"{storage.url}/x")).always("GET", AT, to(f"{storage.url}/x"))
    storage.on("HEAD", "/x", head_only(200, {"Content-Length": str(len(DATA))}), head_only(403), head_only(404))
    storage.on("GET", "/x", answer(200, DATA))
    repository = reach(server)
    assert repository.has(BLOB)
    assert repository.has(BLOB)  # an address signed for GET alone
    assert not repository.has(BLOB)


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("file:///etc/passwd", Code.REGISTRY_PROTOCOL),  # REG-018
        ("ftp://127.0.0.1/x", Code.REGISTRY_PROTOCOL),
        ("unix:/run/x.sock", Code.REGISTRY_PROTOCOL),
        ("data:text/plain,x", Code.REGISTRY_PROTOCOL),
        ("http://user:pass@127.0.0.1/x", Code.REGISTRY_PROTOCOL),  # REG-020
        ("", Code.REGISTRY_PROTOCOL),
        ("http://127.0.0.1:99999/", Code.REGISTRY_PROTOCOL),
    ],
)
def test_a_redirect_to_no_place_is_not_followed(server: HostileRegistry, reach: Reach, location: str, code: Code) -> None:
    server.on("GET", AT, to(location))
    error = fails(reach(server).chunks(BLOB))
    assert (error.exit, error.code, len(server.asked)) == (7, code, 1)


def test_a_redirect_without_a_place_is_not_followed(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", AT, answer(302))
    assert fails(reach(server).chunks(BLOB)).code is Code.REGISTRY_PROTOCOL


def test_a_circle_of_redirects_is_left(server: HostileRegistry, reach: Reach) -> None:  # REG-020
    server.always("GET", AT, to(AT))
    error = fails(reach(server).chunks(BLOB))
    assert (error.exit, error.code, len(server.asked)) == (7, Code.REGISTRY_PROTOCOL, 6)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1.2.3", "169.254.169.254", "0.0.0.0", "[::ffff:169.254.169.254]"])  # noqa: S104
def test_a_registry_elsewhere_cannot_lead_to_this_machine_or_its_link(hostile: Hostile, reach: Reach, host: str) -> None:  # REG-019
    proxy, trap = hostile(), hostile()
    proxy.on("GET", f"http://registry.example{AT}", to(f"http://{host}:{trap.port}/latest/meta-data"))
    repository = reach("registry.example", proxies=Proxies.from_environ({"HTTP_PROXY": proxy.url}))
    error = fails(repository.chunks(BLOB))
    assert (error.exit, error.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections
    assert len(proxy.asked) == 1


def test_a_name_elsewhere_that_means_this_machine_is_not_asked(
    hostile: Hostile, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:  # REG-019, REG-051
    proxy, trap = hostile(), hostile()
    proxy.on("GET", f"http://registry.example{AT}", to(f"http://rebound.example:{trap.port}/x"))
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1" if "rebound" in host else host, *rest, **more))
    through = Proxies.from_environ({"HTTP_PROXY": proxy.url, "NO_PROXY": "rebound.example"})
    error = fails(reach("registry.example", proxies=through).chunks(BLOB))
    assert (error.exit, error.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections


def test_tags_are_not_taken_from_elsewhere(hostile: Hostile, server: HostileRegistry, reach: Reach) -> None:  # REG-021
    trap = hostile()
    server.on("GET", "/v2/app/tags/list", answer(401, headers={"WWW-Authenticate": "Basic"}), to(f"{trap.url}/v2/app/tags/list"))
    with pytest.raises(BundlerError) as caught:
        reach(server, **alice(server)).tags()
    assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("tag", ["v1", None])
def test_a_push_is_not_led_elsewhere(hostile: Hostile, server: HostileRegistry, reach: Reach, status: int, tag: str | None) -> None:
    trap = hostile()
    target = f"/v2/app/manifests/{tag or DOCUMENT.digest}"
    server.on("PUT", target, to(f"{trap.url}{target}", status))
    with pytest.raises(BundlerError) as caught:
        reach(server, push=True).put_document(DOCUMENT, tag=tag)
    assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections


# documents at another registry


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", ["latest", DOCUMENT.digest])
def test_a_manifest_may_lie_at_another_registry_which_gets_no_credentials_and_is_named(
    hostile: Hostile, server: HostileRegistry, reach: Reach, status: int, name: str | Digest
) -> None:  # REG-021
    other, there = hostile(), f"/v2/mirror/of/app/manifests/{name}"
    server.on("GET", f"/v2/app/manifests/{name}", answer(401, headers={"WWW-Authenticate": "Basic"}), to(f"{other.url}{there}", status))
    other.on("GET", there, given(DOCUMENT))
    repository = reach(server, **alice(server))
    assert repository.document(name) == DOCUMENT
    assert server.asked[1].headers["authorization"] == BASIC
    assert "authorization" not in other.asked[0].headers
    [remark] = repository._session.learnt.remarks
    assert other.url in remark


def test_a_manifest_from_elsewhere_is_checked_as_any(hostile: Hostile, server: HostileRegistry, reach: Reach) -> None:
    other, target = hostile(), f"/v2/app/manifests/{DOCUMENT.digest}"
    server.on("GET", target, to(f"{other.url}{target}"))
    other.on("GET", target, given(Document.parse(DOCUMENT.raw + b" ")))
    with pytest.raises(BundlerError) as caught:
        reach(server).document(DOCUMENT.digest)
    assert (caught.value.exit, caught.value.code) == (4, Code.CONTENT_DIGEST)


def test_another_registry_is_asked_for_a_token_as_anybody_is(hostile: Hostile, server: HostileRegistry, reach: Reach) -> None:
    """For what it calls the repository, and without the login for the one that leads there."""
    other, service = hostile(), hostile()
    server.always("GET", "/v2/app/manifests/latest", to(f"{other.url}/v2/mirror/app/manifests/latest"))
    server.always("GET", AT, to(f"{other.url}/v2/mirror/app/blobs/{BLOB.digest}"))
    challenge = f'Bearer realm="{service.url}/token",service="other"'
    for path, said in (("manifests/latest", given(DOCUMENT)), (f"blobs/{BLOB.digest}", answer(200, DATA))):
        other.always("GET", f"/v2/mirror/app/{path}", only_with("Bearer t0ken", challenge, said))
    service.on("GET", "/token", answer(200, b'{"token":"t0ken"}'))
    auths = {host.host: {"username": "alice", "password": "t0psecret"} for host in (server, other, service)}
    repository = reach(server, credentials=Credentials.load(environ={"DOCKER_AUTH_CONFIG": json.dumps({"auths": auths})}))
    assert repository.document("latest") == DOCUMENT
    assert gathered(BLOB, repository.chunks(BLOB)) == DATA
    [asked] = service.asked
    assert asked.target == "/token?service=other&scope=repository%3Amirror%2Fapp%3Apull"
    assert "authorization" not in asked.headers
    assert not any("authorization" in asked.headers for asked in server.asked)


@pytest.mark.parametrize("challenge", ['Basic realm="give"', 'Bearer realm="https://elsewhere.example/token"', None])
def test_another_registry_that_wants_a_login_gets_none_and_is_named(
    hostile: Hostile, server: HostileRegistry, reach: Reach, challenge: str | None
) -> None:
    other = hostile()
    server.on("GET", "/v2/app/manifests/latest", answer(401, headers={"WWW-Authenticate": "Basic"}))
    server.always("GET", "/v2/app/manifests/latest", to(f"{other.url}/v2/app/manifests/latest"))
    other.always("GET", "/v2/app/manifests/latest", answer(401, headers={"WWW-Authenticate": challenge} if challenge else {}))
    with pytest.raises(BundlerError) as caught:
        reach(server, **alice(server)).document("latest")
    if challenge and "Bearer" in challenge:
        assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_ORIGIN)
    else:
        assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_CREDENTIALS)
        assert f"{other.host}/app" in (caught.value.next or "")
    assert not any("authorization" in asked.headers for asked in other.asked)


def test_whoever_is_led_to_cannot_lead_back_to_what_needs_a_login(hostile: Hostile, server: HostileRegistry, reach: Reach) -> None:
    other = hostile()
    server.on(
        "GET", "/v2/app/manifests/latest", answer(401, headers={"WWW-Authenticate": "Basic"}), to(f"{other.url}/v2/a/manifests/latest")
    )
    other.on("GET", "/v2/a/manifests/latest", to(f"{server.url}/v2/secret/manifests/latest"))
    server.on("GET", "/v2/secret/manifests/latest", answer(401, headers={"WWW-Authenticate": "Basic"}))
    with pytest.raises(BundlerError) as caught:
        reach(server, **alice(server)).document("latest")
    assert caught.value.exit == 7
    assert "authorization" not in server.asked[-1].headers


@pytest.mark.parametrize("name", ["latest", SUBJECT])
def test_that_a_manifest_is_absent_is_said_by_another_registry(
    hostile: Hostile, server: HostileRegistry, reach: Reach, name: str | Digest
) -> None:
    other = hostile()
    server.on("GET", f"/v2/app/manifests/{name}", to(f"{other.url}/v2/mirror/manifests/{name}"))
    other.on("GET", f"/v2/mirror/manifests/{name}", answer(404))
    assert reach(server).document(name) is None


@pytest.mark.parametrize("there", ["/signin", "/v2/mirror/manifests/x", "/v2/mirror/blobs/latest"])
def test_that_a_manifest_is_absent_is_said_by_nobody_who_was_asked_for_something_else(
    hostile: Hostile, server: HostileRegistry, reach: Reach, there: str
) -> None:
    other = hostile()
    server.on("GET", "/v2/app/manifests/latest", to(f"{other.url}{there}"))
    other.on("GET", there, answer(404))
    with pytest.raises(BundlerError) as caught:
        reach(server).document("latest")
    assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_STATUS)


@pytest.mark.parametrize(("there", "gets"), [("/v2/mirror/manifests/{name}", 1), ("/signin", 2)])
def test_what_head_says_elsewhere_is_believed_of_a_registry_alone(
    hostile: Hostile, server: HostileRegistry, reach: Reach, there: str, gets: int
) -> None:
    other = hostile()
    server.on("GET", "/v2/app/manifests/latest", given(DOCUMENT)).on("GET", "/v2/app/manifests/x.sig", answer(404))
    server.on("HEAD", "/v2/app/manifests/latest", head_only(200)).on(
        "HEAD", "/v2/app/manifests/x.sig", to(f"{other.url}{there.format(name='x.sig')}")
    )
    other.on("HEAD", there.format(name="x.sig"), head_only(404))
    repository = reach(server)
    assert repository.document("latest") == DOCUMENT
    assert repository.sought("x.sig") is None
    assert len(server.to("GET")) == gets


def test_a_list_of_referrers_may_lie_at_another_registry_all_of_its_pages(hostile: Hostile, server: HostileRegistry, reach: Reach) -> None:
    other, there = hostile(), f"/v2/mirror/referrers/{SUBJECT}"
    server.on("GET", f"/v2/app/referrers/{SUBJECT}", to(f"{other.url}{there}"))
    one, two = (Descriptor.of(word, mediatype.OCI_MANIFEST) for word in (b"one", b"two"))
    other.on("GET", there, page(one, link="<?last=1>; rel=next")).on("GET", f"{there}?last=1", page(two))
    assert reach(server).referrers(SUBJECT) == Referrers(api=True, listed=(one, two))
    assert len(server.asked) == 1


def test_a_manifest_may_be_elsewhere_in_the_registry(server: HostileRegistry, reach: Reach) -> None:
    server.on("GET", "/v2/app/manifests/latest", to("/v2/other/manifests/latest", 301)).on("GET", "/v2/other/manifests/latest", answer(404))
    assert reach(server).document("latest") is None
