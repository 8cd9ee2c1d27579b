"""Credentials: to one origin, when asked, and never in a message."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest

from bundler.content.registry import auth
from bundler.content.registry.client import Repository
from bundler.content.registry.credentials import Credentials
from bundler.content.registry.proxies import Proxies
from bundler.errors import BundlerError, Code
from bundler.oci.descriptor import Descriptor
from tests.support.hostile_registry import Asked, Exchange, HostileRegistry, answer, refusal
from tests.support.logins import BASIC, alice, challenge, only_with, token
from tests.support.reach import Reach

Hostile = Callable[..., HostileRegistry]

LATEST = "/v2/app/manifests/latest"
UPLOADS = "/v2/app/blobs/uploads/"
DATA = b"x" * 1000
BLOB = Descriptor.of(DATA, "application/octet-stream")


def query(asked: Asked) -> dict[str, list[str]]:
    return parse_qs(urlsplit(asked.target).query)


def refused(repository: Repository) -> BundlerError:
    with pytest.raises(BundlerError) as caught:
        repository.document("latest")
    assert "t0psecret" not in f"{caught.value} {caught.value.next}"
    assert "t0ken" not in f"{caught.value} {caught.value.next}"
    return caught.value


def no_secret(server: HostileRegistry) -> bool:
    """Whether nothing came there that looks like a login or a token."""
    everything = "".join(f"{asked.target}{asked.headers}{asked.body!r}" for asked in server.asked)
    return not any(secret in everything for secret in ("authorization", "t0psecret", "t0ken", BASIC[6:]))


# basic


def test_a_login_is_shown_once_it_was_asked_for_and_from_then_on(server: HostileRegistry, reach: Reach) -> None:
    server.always("GET", LATEST, only_with(BASIC, answer(401, headers={"WWW-Authenticate": 'Basic realm="r"'})))
    repository = reach(server, **alice(server))
    assert repository.document("latest") is None
    assert repository.document("latest") is None
    assert [asked.headers.get("authorization") for asked in server.asked] == [None, BASIC, BASIC]


def test_a_login_that_is_not_accepted_is_not_shown_again_and_again(server: HostileRegistry, reach: Reach) -> None:  # REG-027
    server.always("GET", LATEST, answer(401, headers={"WWW-Authenticate": 'Basic realm="r"'}))
    repository = reach(server, **alice(server))
    error = refused(repository)
    assert (error.exit, error.code, len(server.asked)) == (7, Code.REGISTRY_CREDENTIALS, 2)
    refused(repository)
    assert len(server.asked) == 3
    assert "with the login from --username" in error.what


@pytest.mark.parametrize(
    "headers", [{}, {"WWW-Authenticate": "Negotiate"}, {"WWW-Authenticate": 'Basic realm="'}, {"WWW-Authenticate": "Bearer"}]
)
def test_a_challenge_that_cannot_be_met_is_a_matter_of_credentials(server: HostileRegistry, reach: Reach, headers: dict[str, str]) -> None:
    server.on("GET", LATEST, answer(401, headers=headers))
    error = refused(reach(server, **alice(server)))
    assert error.code in {Code.REGISTRY_CREDENTIALS, Code.REGISTRY_ORIGIN}
    assert no_secret(server)


def test_a_login_for_another_registry_is_not_shown(server: HostileRegistry, reach: Reach) -> None:
    server.always("GET", LATEST, answer(401, headers={"WWW-Authenticate": 'Basic realm="r"'}))
    refused(reach(server, **alice("other.example")))
    assert no_secret(server)


def test_without_a_flag_nobody_but_this_machine_is_spoken_to_in_the_open(
    hostile: Hostile, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:  # REG-028
    proxy = hostile()
    proxy.always("CONNECT", "registry.example:443", answer(503))
    both = Proxies.from_environ({"HTTPS_PROXY": proxy.url, "HTTP_PROXY": proxy.url})
    refused(reach("registry.example", plain_http=False, proxies=both, **alice("registry.example")))
    assert {asked.method for asked in proxy.asked} == {"CONNECT"}
    assert no_secret(proxy)


# bearer


def test_a_token_is_fetched_with_the_login_and_used(server: HostileRegistry, reach: Reach) -> None:
    server.always("GET", LATEST, only_with("Bearer t0ken", challenge(f"{server.url}/token"))).on("GET", "/token", token())
    repository = reach(server, **alice(server))
    assert repository.document("latest") is None
    assert repository.document("latest") is None
    [asked] = server.to("GET", "/token")
    assert asked.headers["authorization"] == BASIC
    assert query(asked) == {"service": ["registry.test"], "scope": ["repository:app:pull"]}
    assert [a.headers.get("authorization") for a in server.to("GET", LATEST)] == [None, "Bearer t0ken", "Bearer t0ken"]


def test_a_token_may_be_had_without_a_login(server: HostileRegistry, reach: Reach) -> None:
    server.always("GET", LATEST, only_with("Bearer t0ken", challenge(f"{server.url}/token"))).on(
        "GET", "/token", token("x", access_token="t0ken", token="t0ken")
    )
    assert reach(server).document("latest") is None
    assert "authorization" not in server.to("GET", "/token")[0].headers


def test_a_token_service_may_have_a_port_of_its_own(hostile: Hostile, server: HostileRegistry, reach: Reach) -> None:
    service = hostile()
    server.always("GET", LATEST, only_with("Bearer t0ken", challenge(f"{service.url}/token?x=y")))
    service.on("GET", "/token", token())
    assert reach(server, **alice(server)).document("latest") is None
    assert query(service.asked[0])["x"] == ["y"]


def test_an_identity_token_is_exchanged_in_a_body(server: HostileRegistry, reach: Reach) -> None:
    environ = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {server.host: {"identitytoken": "t0psecret"}}})}
    server.always("GET", LATEST, only_with("Bearer t0ken", challenge(f"{server.url}/token")))
    server.on("POST", "/token", answer(200, b'{"access_token":"t0ken","expires_in":60,"refresh_token":"other"}'))
    assert reach(server, credentials=Credentials.load(environ=environ)).document("latest") is None
    [asked] = server.to("POST")
    form = {name: value for name, [value] in parse_qs(asked.body.decode()).items()}
    assert form == {
        "grant_type": "refresh_token",
        "service": "registry.test",
        "client_id": "oci-bundler",
        "scope": "repository:app:pull",
        "refresh_token": "t0psecret",
    }
    assert "t0psecret" not in asked.target
    assert "authorization" not in asked.headers


def test_writing_asks_for_more_than_reading(server: HostileRegistry, reach: Reach) -> None:
    realm = f"{server.url}/token"
    server.on("GET", LATEST, challenge(realm), answer(404)).on("HEAD", f"/v2/app/blobs/{BLOB.digest}", answer(404), answer(404))
    server.always("POST", UPLOADS, answer(400)).always("GET", "/token", token())
    repository = reach(server)
    repository.document("latest")
    repository.has(BLOB)
    with pytest.raises(BundlerError):
        repository.put(BLOB, lambda: iter([DATA]))
    repository.has(BLOB)
    assert [query(asked)["scope"] for asked in server.to("GET", "/token")] == [["repository:app:pull"], ["repository:app:pull,push"]]


def test_reading_after_writing_asks_for_nothing_more(server: HostileRegistry, reach: Reach) -> None:
    server.on("POST", UPLOADS, challenge(f"{server.url}/token")).always("POST", UPLOADS, answer(400))
    server.on("GET", LATEST, answer(404)).on("GET", "/token", token())
    repository = reach(server)
    with pytest.raises(BundlerError):
        repository.put(BLOB, lambda: iter([DATA]))
    assert repository.document("latest") is None
    assert server.to("GET", LATEST)[0].headers["authorization"] == "Bearer t0ken"


def test_a_repository_that_will_be_written_is_read_with_the_same_token(server: HostileRegistry, reach: Reach) -> None:
    server.always("GET", LATEST, only_with("Bearer t0ken", challenge(f"{server.url}/token", scope="repository:app:pull"))).on(
        "GET", "/token", token()
    )
    server.always("POST", UPLOADS, answer(400))
    repository = reach(server, push=True)
    repository.document("latest")
    with pytest.raises(BundlerError):
        repository.put(BLOB, lambda: iter([DATA]))
    assert [query(asked)["scope"] for asked in server.to("GET", "/token")] == [["repository:app:pull,push"]]


def test_a_mount_asks_for_both_repositories(server: HostileRegistry, reach: Reach) -> None:
    realm = f"{server.url}/token"
    server.on("POST", UPLOADS, challenge(realm, scope="repository:app:pull,push repository:base:pull"), answer(201)).on(
        "GET", "/token", token()
    )
    server.on("HEAD", f"/v2/app/blobs/{BLOB.digest}", answer(200, headers={"Content-Length": "1000"}, length=False))
    server.on("GET", "/token", token())
    assert reach(server).mount(BLOB, "base")
    assert query(server.to("GET", "/token")[0])["scope"] == ["repository:app:pull,push", "repository:base:pull"]


@pytest.mark.parametrize(
    ("stated", "asked_for"),
    [
        ("repository:app:pull", []),
        ("repository:app:pull,push,delete", []),
        ("repository:mirror/app:pull,push", ["repository:mirror/app:pull"]),
        ("registry:catalog:*", []),
        ("repository:app:*", []),
        ("repository:other:delete", []),
        ("nonsense", []),
        ("", []),
    ],
)
def test_no_more_is_asked_for_than_is_needed(server: HostileRegistry, reach: Reach, stated: str, asked_for: list[str]) -> None:
    server.always("GET", LATEST, only_with("Bearer t0ken", challenge(f"{server.url}/token", scope=stated))).on("GET", "/token", token())
    reach(server).document("latest")
    assert query(server.to("GET", "/token")[0])["scope"] == ["repository:app:pull", *asked_for]


def test_what_a_challenge_says_cannot_say_more(server: HostileRegistry, reach: Reach) -> None:  # REG-024
    service = "x&scope=repository:all:pull,push#y z/%0d%0aHost: evil"
    server.always("GET", LATEST, only_with("Bearer t0ken", challenge(f"{server.url}/token", service=service))).on("GET", "/token", token())
    reach(server).document("latest")
    [asked] = server.to("GET", "/token")
    assert query(asked) == {"service": [service], "scope": ["repository:app:pull"]}
    assert asked.headers["host"] == server.host


def test_a_token_that_ran_out_is_not_shown(server: HostileRegistry, reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(auth, "time", SimpleNamespace(monotonic=lambda: now[0]))
    server.on("GET", LATEST, challenge(f"{server.url}/token")).always("GET", LATEST, answer(404))
    server.on("GET", "/token", token("t0ken1", expires_in=60), token("t0ken2", expires_in=3600))
    repository = reach(server)
    repository.document("latest")
    now[0] += 55
    repository.document("latest")
    repository.document("latest")
    used = [asked.headers.get("authorization") for asked in server.to("GET", LATEST)]
    assert used == [None, "Bearer t0ken1", "Bearer t0ken2", "Bearer t0ken2"]


@pytest.mark.parametrize("seconds", [0, -5, "60", None, 1.5, True])
def test_a_token_of_no_said_time_is_good_for_a_minute(server: HostileRegistry, reach: Reach, seconds: object) -> None:
    server.on("GET", LATEST, challenge(f"{server.url}/token")).always("GET", LATEST, answer(404))
    server.on("GET", "/token", token(expires_in=seconds))
    repository = reach(server)
    repository.document("latest")
    repository.document("latest")


def test_a_token_that_the_registry_no_longer_likes_is_fetched_anew_once(server: HostileRegistry, reach: Reach) -> None:  # F-047
    realm = f"{server.url}/token"
    server.on("GET", LATEST, challenge(realm), answer(404), challenge(realm), answer(404))
    server.on("GET", "/token", token("t0ken1"), token("t0ken2"))
    repository = reach(server)
    assert repository.document("latest") is None
    assert repository.document("latest") is None
    used = [asked.headers.get("authorization") for asked in server.to("GET", LATEST)]
    assert used == [None, "Bearer t0ken1", "Bearer t0ken1", "Bearer t0ken2"]


def test_a_registry_that_never_is_content_gets_one_token_a_request(server: HostileRegistry, reach: Reach) -> None:  # REG-027
    server.always("GET", LATEST, challenge(f"{server.url}/token")).always("GET", "/token", token())
    error = refused(reach(server))
    assert (error.exit, error.code) == (7, Code.REGISTRY_CREDENTIALS)
    assert (len(server.to("GET", LATEST)), len(server.to("GET", "/token"))) == (2, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418])
def test_a_token_service_that_refuses_is_a_matter_of_credentials(server: HostileRegistry, reach: Reach, status: int) -> None:
    server.on("GET", LATEST, challenge(f"{server.url}/token")).on("GET", "/token", refusal(status, "DENIED", "not alice:t0psecret"))
    error = refused(reach(server, **alice(server)))
    assert (error.exit, error.code) == (7, Code.REGISTRY_CREDENTIALS)
    assert f"{status} DENIED: not alice:***" in str(error)


def test_a_token_service_that_is_busy_is_asked_again(server: HostileRegistry, reach: Reach) -> None:  # F-041
    server.on("GET", LATEST, challenge(f"{server.url}/token"), answer(404)).on("GET", "/token", answer(503), token())
    assert reach(server).document("latest") is None


@pytest.mark.parametrize(
    "body",
    [
        b" " * 100_000_000,  # REG-026
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"token": 7}',
        b'{"token": ""}',
        b'{"token": "a b"}',
        b'{"token": "a\\r\\nX-Evil: b"}',
        b'{"token": "%s"}' % (b"x" * 8193),
        b'{"token": "%s"}' % (b"x" * 1_000_000),
        b'{"token": "a", "token": "b"}',
        b'{"access_token": null, "token": null}',
    ],
)
def test_a_token_of_another_form_is_none(server: HostileRegistry, reach: Reach, body: bytes) -> None:
    server.on("GET", LATEST, challenge(f"{server.url}/token")).on("GET", "/token", lambda exchange: exchange.send(answer(200, body)))
    error = refused(reach(server, **alice(server)))
    assert (error.exit, error.code) == (7, Code.REGISTRY_CREDENTIALS)
    assert len(server.to("GET", LATEST)) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_token_service_that_redirects_is_left(hostile: Hostile, server: HostileRegistry, reach: Reach, status: int) -> None:  # REG-025
    other = hostile()
    server.on("GET", LATEST, challenge(f"{server.url}/token")).on(
        "GET", "/token", answer(status, headers={"Location": f"{other.url}/token"})
    )
    error = refused(reach(server, **alice(server)))
    assert (error.exit, error.code) == (7, Code.REGISTRY_ORIGIN)
    assert not other.asked


@pytest.mark.parametrize(
    "realm",
    [
        "http://localhost:{port}/token",  # REG-022: another name is another host
        "http://127.0.0.2:{port}/token",
        "http://[::1]:{port}/token",
        "https://evil.test/token",
        "http://evil.test:{port}/token",
        "http://alice@127.0.0.1:{port}/token",  # REG-023
        "http://127.0.0.1:{port}/token#x",
        "http://127.0.0.1@localhost:{port}/token",
        "ftp://127.0.0.1:{port}/token",
        "//127.0.0.1:{port}/token",
        "/token",
        "",
    ],
)
@pytest.mark.parametrize("login", [True, False])
def test_nobody_else_is_asked_for_a_token(hostile: Hostile, server: HostileRegistry, reach: Reach, realm: str, login: bool) -> None:
    other = hostile()
    server.on("GET", LATEST, challenge(realm.format(port=other.port)))
    error = refused(reach(server, **(alice(server) if login else {})))
    assert (error.exit, error.code) == (7, Code.REGISTRY_ORIGIN)
    assert not other.connections
    assert no_secret(server)


def test_the_user_may_list_a_token_service_elsewhere(hostile: Hostile, server: HostileRegistry, reach: Reach) -> None:
    other = hostile()
    server.always("GET", LATEST, only_with("Bearer t0ken", challenge(f"http://localhost:{other.port}/token")))
    other.on("GET", "/token", token(), token())
    for listed in ("localhost", f"localhost:{other.port}"):
        assert reach(server, token_hosts=frozenset({listed})).document("latest") is None


def test_a_listed_token_service_is_that_port_where_it_has_one_and_never_in_the_open(
    hostile: Hostile, server: HostileRegistry, reach: Reach
) -> None:
    other = hostile()
    server.on("GET", LATEST, challenge(f"http://localhost:{other.port}/token"), challenge("http://tokens.example/token"))
    error = refused(reach(server, **alice(server), token_hosts=frozenset({"localhost:1"})))
    said = f"if that is where its logins belong, say --token-host localhost:{other.port}"
    assert (error.code, error.next) == (Code.REGISTRY_ORIGIN, said)
    error = refused(reach(server, **alice(server), token_hosts=frozenset({"tokens.example"})))
    assert (error.code, error.next) == (Code.REGISTRY_ORIGIN, None)
    assert not other.connections


def test_an_error_that_echoes_what_it_was_sent_is_shown_without_it(server: HostileRegistry, reach: Reach) -> None:  # REG-044, INV-9
    def echo(exchange: Exchange) -> bytes:
        said = exchange.headers.get("authorization", "")
        return refusal(400, "UNSUPPORTED", f"you said {said} and t0psecret") if said else challenge(f"{server.url}/token")

    server.always("GET", LATEST, echo).on("GET", "/token", token())
    error = refused(reach(server, **alice(server)))
    assert "you said Bearer *** and ***" in str(error)


def test_an_error_that_echoes_a_basic_login_is_shown_without_it(server: HostileRegistry, reach: Reach) -> None:
    def echo(exchange: Exchange) -> bytes:
        said = exchange.headers.get("authorization", "")
        return answer(400, f"you said {said}".encode()) if said else answer(401, headers={"WWW-Authenticate": "Basic"})

    server.always("GET", LATEST, echo)
    assert "you said Basic ***" in str(refused(reach(server, **alice(server))))


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("said", ['Basic realm="{}"', 'Basic realm="{}'], ids=["well-formed", "not"])
def test_a_challenge_that_echoes_a_login_is_shown_without_it(said: str, status: int, server: HostileRegistry, reach: Reach) -> None:
    def echo(exchange: Exchange) -> bytes:
        shown = exchange.headers.get("authorization", "")
        again = said.format(f"{shown} t0psecret")
        return answer(status if shown else 401, headers={"WWW-Authenticate": again if shown else "Basic"})

    server.always("GET", LATEST, echo)
    error = refused(reach(server, **alice(server)))
    assert error.code is Code.REGISTRY_CREDENTIALS
    assert "***" in str(error.found)
    assert BASIC[6:] not in str(error)


def test_docker_hub_is_asked_at_its_registry_with_the_login_for_its_name(hostile: Hostile, reach: Reach) -> None:
    proxy = hostile()
    there = "http://registry-1.docker.io/v2/library/busybox/manifests/latest"
    proxy.always("GET", there, only_with(BASIC, answer(401, headers={"WWW-Authenticate": "Basic"})))
    environ = {"DOCKER_AUTH_CONFIG": json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": BASIC[6:]}}})}
    through = Proxies.from_environ({"HTTP_PROXY": proxy.url})
    repository = reach("docker.io", "library/busybox", credentials=Credentials.load(environ=environ), proxies=through)
    assert repository.document("latest") is None
    assert proxy.asked[0].headers["host"] == "registry-1.docker.io"
    assert repository.name == "docker.io/library/busybox"
