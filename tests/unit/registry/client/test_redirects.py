"""Redirects: blobs may be elsewhere, nothing else may, and no credentials go along."""

import socket
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from bundler.content.registry.client import Repository
from bundler.content.registry.credentials import Credentials
from bundler.content.registry.proxies import Proxies
from bundler.content.stream import gathered
from bundler.errors import BundlerError, Code
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from tests.support.hostile_registry import HostileRegistry, answer, head_only

Reach = Callable[..., Repository]
Hostile = Callable[..., HostileRegistry]

DATA = b"x" * 300_000
BLOB = Descriptor.of(DATA, "application/octet-stream")
AT = f"/v2/app/blobs/{BLOB.digest}"
SUBJECT = Digest.of(b"subject")
BASIC = "Basic " + b64encode(b"alice:t0psecret").decode()


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
):  # REG-016
    storage = hostile()
    server.on("GET", AT, answer(401, headers={"WWW-Authenticate": "Basic"}), to(f"{storage.url}/signed?X-Amz-Signature=abc", status))
    storage.on("GET", "/signed?X-Amz-Signature=abc", answer(200, DATA))
    assert gathered(BLOB, reach(server, **alice(server)).chunks(BLOB)) == DATA
    assert server.asked[1].headers["authorization"] == BASIC
    assert "authorization" not in storage.asked[0].headers
    assert storage.asked[0].headers["host"] == storage.host


@pytest.mark.parametrize("challenge", ['Basic realm="give"', 'Bearer realm="{url}/token"', 'Bearer realm="{elsewhere}/token"'])
def test_a_storage_that_asks_for_a_login_gets_none(hostile: Hostile, server: HostileRegistry, reach: Reach, challenge: str):
    storage = hostile()
    server.on("GET", AT, answer(401, headers={"WWW-Authenticate": "Basic"})).always("GET", AT, to(f"{storage.url}/x"))
    said = challenge.format(url=server.url, elsewhere=storage.url)
    storage.always("GET", "/x", answer(401, headers={"WWW-Authenticate": said}))
    error = fails(reach(server, **alice(server)).chunks(BLOB))
    assert (error.exit, error.code) == (7, Code.REGISTRY_STATUS)
    assert not any("authorization" in asked.headers for asked in storage.asked)


def test_a_redirect_within_the_registry_keeps_its_credentials(server: HostileRegistry, reach: Reach):
    server.on("GET", AT, answer(401, headers={"WWW-Authenticate": "Basic"}), to("/elsewhere")).on("GET", "/elsewhere", answer(200, DATA))
    assert gathered(BLOB, reach(server, **alice(server)).chunks(BLOB)) == DATA
    assert server.asked[2].headers["authorization"] == BASIC


def test_a_signed_address_that_ran_out_is_asked_for_anew(hostile: Hostile, server: HostileRegistry, reach: Reach):
    storage = hostile()
    server.on("GET", AT, to(f"{storage.url}/old"), to(f"{storage.url}/new"), to(f"{storage.url}/newer"))
    cut = answer(200, DATA[:100_000], {"Content-Length": str(len(DATA)), "Connection": "close"})
    rest = answer(206, DATA[100_000:], {"Content-Range": f"bytes 100000-{len(DATA) - 1}/{len(DATA)}"})
    storage.on("GET", "/old", cut).on("GET", "/new", answer(403)).on("GET", "/newer", rest)
    assert gathered(BLOB, reach(server).chunks(BLOB)) == DATA
    assert storage.asked[2].headers["range"] == "bytes=100000-"


def test_a_size_is_asked_for_where_the_blob_is(hostile: Hostile, server: HostileRegistry, reach: Reach):
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
def test_a_redirect_to_no_place_is_not_followed(server: HostileRegistry, reach: Reach, location: str, code: Code):
    server.on("GET", AT, to(location))
    error = fails(reach(server).chunks(BLOB))
    assert (error.exit, error.code, len(server.asked)) == (7, code, 1)


def test_a_redirect_without_a_place_is_not_followed(server: HostileRegistry, reach: Reach):
    server.on("GET", AT, answer(302))
    assert fails(reach(server).chunks(BLOB)).code is Code.REGISTRY_PROTOCOL


def test_a_circle_of_redirects_is_left(server: HostileRegistry, reach: Reach):  # REG-020
    server.always("GET", AT, to(AT))
    error = fails(reach(server).chunks(BLOB))
    assert (error.exit, error.code, len(server.asked)) == (7, Code.REGISTRY_PROTOCOL, 6)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1.2.3", "169.254.169.254", "0.0.0.0", "[::ffff:169.254.169.254]"])  # noqa: S104
def test_a_registry_elsewhere_cannot_lead_to_this_machine_or_its_link(hostile: Hostile, reach: Reach, host: str):  # REG-019
    proxy, trap = hostile(), hostile()
    proxy.on("GET", f"http://registry.example{AT}", to(f"http://{host}:{trap.port}/latest/meta-data"))
    repository = reach("registry.example", proxies=Proxies.from_environ({"HTTP_PROXY": proxy.url}))
    error = fails(repository.chunks(BLOB))
    assert (error.exit, error.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections
    assert len(proxy.asked) == 1


def test_a_name_elsewhere_that_means_this_machine_is_not_asked(
    hostile: Hostile, reach: Reach, monkeypatch: pytest.MonkeyPatch
):  # REG-019, REG-051
    proxy, trap = hostile(), hostile()
    proxy.on("GET", f"http://registry.example{AT}", to(f"http://rebound.example:{trap.port}/x"))
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1" if "rebound" in host else host, *rest, **more))
    through = Proxies.from_environ({"HTTP_PROXY": proxy.url, "NO_PROXY": "rebound.example"})
    error = fails(reach("registry.example", proxies=through).chunks(BLOB))
    assert (error.exit, error.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections


@pytest.mark.parametrize("kind", ["manifest", "referrers", "tags"])
@pytest.mark.parametrize("status", [301, 302, 307])
def test_nothing_but_a_blob_is_taken_from_elsewhere(
    hostile: Hostile, server: HostileRegistry, reach: Reach, kind: str, status: int
):  # REG-021
    trap = hostile()
    repository = reach(server, **alice(server))
    asks: dict[str, tuple[str, Callable[[], object]]] = {
        "manifest": ("/v2/app/manifests/latest", lambda: repository.document("latest")),
        "referrers": (f"/v2/app/referrers/{SUBJECT}", lambda: repository.referrers(SUBJECT)),
        "tags": ("/v2/app/tags/list", repository.tags),
    }
    target, ask = asks[kind]
    server.on("GET", target, answer(401, headers={"WWW-Authenticate": "Basic"}), to(f"{trap.url}{target}", status))
    with pytest.raises(BundlerError) as caught:
        ask()
    assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections


def test_a_manifest_may_be_elsewhere_in_the_registry(server: HostileRegistry, reach: Reach):
    server.on("GET", "/v2/app/manifests/latest", to("/v2/other/manifests/latest", 301)).on("GET", "/v2/other/manifests/latest", answer(404))
    assert reach(server).document("latest") is None
