"""The first question: whether a registry answers at all, and takes the login that there is."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bundler.content.registry.client import Registry
from bundler.content.registry.credentials import Credentials
from bundler.content.registry.http import Access
from bundler.content.registry.wire import Patience
from bundler.errors import BundlerError, Code
from tests.support.authority import Authority
from tests.support.hostile_registry import HostileRegistry, answer, refusal
from tests.support.logins import BASIC, alice, challenge, only_with, token
from tests.support.reach import NOBODY, PATIENT

Hostile = Callable[..., HostileRegistry]
Opened = Callable[..., Registry]

WELCOME = answer(200, b"{}")
WANTS_BASIC = answer(401, headers={"WWW-Authenticate": 'Basic realm="r"'})


@pytest.fixture
def opened(waits: list[float]) -> Iterator[Opened]:
    with ExitStack() as registries:

        def registry(host: HostileRegistry | str, **access: Any) -> Registry:
            flags: dict[str, Any] = {"plain_http": True, "patience": PATIENT, "certs_folders": ()} | access
            name = host if isinstance(host, str) else host.host
            return registries.enter_context(Registry(name, Access(**flags), sleep=waits.append))

        yield registry


def refused(registry: Registry, path: str = "") -> BundlerError:
    with pytest.raises(BundlerError) as caught:
        registry.greet(path)
    assert "t0psecret" not in f"{caught.value} {caught.value.found} {caught.value.next}"
    return caught.value


def asked(server: HostileRegistry) -> list[str]:
    return [f"{one.method} {one.target}" for one in server.asked]


def test_one_question_is_enough_and_names_nothing(server: HostileRegistry, opened: Opened) -> None:
    server.on("GET", "/v2/", WELCOME)
    opened(server).greet("team/app")
    assert asked(server) == ["GET /v2/"]


def test_the_question_that_finds_out_about_http_is_that_one(server: HostileRegistry, opened: Opened) -> None:
    server.on("GET", "/v2/", WELCOME)
    server.on("GET", "/v2/app/manifests/latest", refusal(404, "MANIFEST_UNKNOWN"))
    registry = opened(server, plain_http=False)
    registry.greet()
    registry.repository("app").document("latest")
    assert asked(server) == ["GET /v2/", "GET /v2/app/manifests/latest"]


@pytest.mark.parametrize("plain_http", [True, False])
def test_a_login_that_is_taken_is_shown_at_once_from_then_on(server: HostileRegistry, opened: Opened, plain_http: bool) -> None:
    server.always("GET", "/v2/", only_with(BASIC, WANTS_BASIC, then=WELCOME))
    server.on("GET", "/v2/app/manifests/latest", only_with(BASIC, WANTS_BASIC))
    registry = opened(server, plain_http=plain_http, **alice(server))
    registry.greet()
    assert registry.repository("app").document("latest") is None
    assert server.asked[-1].headers["authorization"] == BASIC
    assert len(server.asked) == (3 if plain_http else 4)


def test_a_login_that_is_not_taken_is_told(server: HostileRegistry, opened: Opened) -> None:
    server.always("GET", "/v2/", WANTS_BASIC)
    error = refused(opened(server, **alice(server)))
    assert (error.exit, error.code) == (7, Code.REGISTRY_CREDENTIALS)
    assert error.what == f"{server.host} does not let us in with the login from --username"
    assert len(server.asked) == 2


def test_a_login_for_a_token_is_shown_to_the_service_for_no_repository(server: HostileRegistry, opened: Opened) -> None:
    bearer = challenge(f"{server.url}/token")
    server.always("GET", "/v2/", only_with("Bearer t0ken", bearer, then=WELCOME))
    server.on("GET", "/token", token())
    opened(server, **alice(server)).greet("secret/name")
    service = server.to("GET", "/token")[0]
    assert "scope" not in service.target
    assert service.headers["authorization"] == BASIC
    assert not [one for one in server.asked if "secret" in one.target]


def test_a_login_that_the_token_service_refuses_is_told(server: HostileRegistry, opened: Opened) -> None:
    server.always("GET", "/v2/", challenge(f"{server.url}/token"))
    server.on("GET", "/token", refusal(401, "UNAUTHORIZED", "wrong password"))
    error = refused(opened(server, **alice(server)))
    assert (error.code, error.found) == (Code.REGISTRY_CREDENTIALS, "401 UNAUTHORIZED: wrong password")
    assert "does not let us in with the login from --username" in error.what


@pytest.mark.parametrize("bearer", [True, False])
def test_without_a_login_a_401_says_nothing_yet(server: HostileRegistry, opened: Opened, bearer: bool) -> None:
    """A token service may let anybody write; which repository it is about was not said."""
    server.on("GET", "/v2/", challenge(f"{server.url}/token") if bearer else WANTS_BASIC)
    opened(server).greet()
    assert asked(server) == ["GET /v2/"]


def test_an_identity_token_waits_for_a_question_that_names_something(server: HostileRegistry, opened: Opened, tmp_path: Path) -> None:
    """Not every token service gives a token for nothing in exchange for one."""
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {server.host: {"identitytoken": "t0psecret"}}}))
    server.on("GET", "/v2/", challenge(f"{server.url}/token"))
    opened(server, credentials=Credentials.load(environ={}, authfile=file)).greet()
    assert asked(server) == ["GET /v2/"]


def test_the_login_is_the_one_for_what_lies_below_the_prefix(server: HostileRegistry, opened: Opened, tmp_path: Path) -> None:
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"auths": {f"{server.host}/team": {"auth": BASIC.removeprefix("Basic ")}}}))
    server.always("GET", "/v2/", only_with(BASIC, WANTS_BASIC, then=WELCOME))
    registry = opened(server, credentials=Credentials.load(environ={}, authfile=file))
    registry.greet("team/mirror")
    assert [one.headers.get("authorization") for one in server.asked] == [None, BASIC]


@pytest.mark.parametrize("said", [answer(403), answer(404), answer(405), answer(302, headers={"Location": "https://login.example/"})])
def test_another_answer_says_nothing_about_repositories(said: bytes, server: HostileRegistry, opened: Opened) -> None:
    server.on("GET", "/v2/", said)
    opened(server).greet()
    assert asked(server) == ["GET /v2/"]


def test_what_is_busy_is_asked_again(server: HostileRegistry, opened: Opened, waits: list[float]) -> None:
    server.on("GET", "/v2/", answer(503), answer(503), WELCOME)
    opened(server, plain_http=False).greet()
    assert len(waits) == 1  # the first answer is the one that tells http


def test_what_stays_busy_is_told(server: HostileRegistry, opened: Opened, waits: list[float]) -> None:
    server.always("GET", "/v2/", answer(503))
    error = refused(opened(server))
    assert (error.exit, error.code, error.found, len(waits)) == (7, Code.REGISTRY_STATUS, "503 Service Unavailable", 5)


@pytest.mark.parametrize("plain_http", [True, False])
def test_where_nobody_listens_that_is_told(opened: Opened, waits: list[float], plain_http: bool) -> None:
    error = refused(opened(NOBODY, plain_http=plain_http))
    assert (error.exit, error.code, len(waits)) == (7, Code.REGISTRY_UNREACHABLE, 5)


def test_whoever_accepts_and_says_nothing_is_not_waited_for_long(opened: Opened, waits: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        errors = [refused(opened(host, patience=Patience(connect=0.01, answer=600), plain_http=plain)) for plain in (True, False)]
    assert [(error.exit, error.code) for error in errors] == [(7, Code.REGISTRY_UNREACHABLE)] * 2
    assert len(waits) == 10
    assert not [error for error in errors if "_ssl.c" in str(error)]


def test_a_certificate_that_is_not_trusted_is_told(hostile: Hostile, opened: Opened, tmp_path: Path) -> None:
    server = hostile(tls=Authority.made(tmp_path / "theirs").server())
    error = refused(opened(server, plain_http=False))
    assert (error.exit, error.code) == (7, Code.REGISTRY_TLS)
    assert not server.asked


def test_what_does_not_speak_http_is_told(server: HostileRegistry, opened: Opened) -> None:
    server.on("GET", "/v2/", b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    assert refused(opened(server)).code is Code.REGISTRY_PROTOCOL
