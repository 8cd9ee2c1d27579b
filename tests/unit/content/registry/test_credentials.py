"""Logins, found where people keep them, and never shown."""

import json
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundler.content.registry.credentials import Credentials, Login
from bundler.errors import Code, UsageError

Home = Callable[..., dict[str, str]]


def entry(username: str, password: str) -> dict[str, str]:
    return {"auth": b64encode(f"{username}:{password}".encode()).decode()}


def auths(**entries: Any) -> dict[str, Any]:
    return {"auths": {name.replace("__", "."): value for name, value in entries.items()}}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Writes files below a home, and gives the environment of whoever lives there."""

    def furnished(**files: Any) -> dict[str, str]:
        places = {
            "runtime": tmp_path / "run/containers/auth.json",
            "config": tmp_path / "config/containers/auth.json",
            "docker_config": tmp_path / "docker/config.json",
            "home": tmp_path / ".docker/config.json",
            "named": tmp_path / "named.json",
        }
        for name, value in files.items():
            places[name].parent.mkdir(parents=True, exist_ok=True)
            places[name].write_text(value if isinstance(value, str) else json.dumps(value))
        environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
        environ |= {"DOCKER_CONFIG": str(tmp_path / "docker")} if "docker_config" in files else {}
        return (
            environ | ({"REGISTRY_AUTH_FILE": str(places["named"])} if "named" in files else {}) | {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
        )

    return furnished


def helper(tmp_path: Path, name: str, script: str) -> None:
    path = tmp_path / "bin" / f"docker-credential-{name}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\nread server\necho "$1 $server" >> {tmp_path}/helped\n{script}\n')
    path.chmod(0o755)


def found(environ: dict[str, str], host: str = "r.example", path: str = "app", **how: Any) -> tuple[str, str] | None:
    login = Credentials.load(environ=environ, **how).for_repository(host, path)
    return None if login is None else (login.username, login.password)


def test_the_first_place_that_knows_the_registry_is_used(home: Home) -> None:
    files = {name: auths(r__example=entry(name, "p")) for name in ("docker_config", "runtime", "config", "home")}
    for name in list(files):
        assert found(home(**files)) == (name, "p")
        files[name] = auths(other__example=entry("other", "p"))
    assert found(home(**files)) is None


def test_a_named_file_is_the_only_one(home: Home, tmp_path: Path) -> None:
    environ = home(named=auths(), runtime=auths(r__example=entry("u", "p")))
    assert found(environ) is None
    del environ["REGISTRY_AUTH_FILE"]
    assert found(environ, authfile=tmp_path / "named.json") is None
    assert found(environ) == ("u", "p")


def test_the_environment_may_hold_the_file_itself(home: Home) -> None:  # row 5
    environ = home(runtime=auths(r__example=entry("file", "p")))
    environ["DOCKER_AUTH_CONFIG"] = json.dumps(auths(r__example=entry("text", "p")))
    assert found(environ) == ("text", "p")


def test_a_login_given_by_hand_goes_before_all_files(home: Home) -> None:  # row 6
    environ = home(runtime=auths(r__example=entry("file", "p"), s__example=entry("other", "p")))
    by_hand: dict[str, Any] = {"username": "hand", "password": "h", "hosts": ["r.example"]}
    assert found(environ, **by_hand) == ("hand", "h")
    assert found(environ, "s.example", **by_hand) == ("other", "p")


@pytest.mark.parametrize("hosts", [[], ["r.example", "s.example"]])
def test_a_login_given_by_hand_is_for_one_registry(hosts: list[str]) -> None:
    with pytest.raises(UsageError, match="several registries"):
        Credentials.load(environ={}, username="u", password="p", hosts=hosts)


@pytest.mark.parametrize(("username", "password"), [("u", None), (None, "p"), ("", "p")])
def test_half_a_login_is_none(username: str | None, password: str | None) -> None:
    with pytest.raises(UsageError, match="both"):
        Credentials.load(environ={}, username=username, password=password, hosts=["r.example"])


@pytest.mark.parametrize(
    ("path", "user"), [("team/sub/app", "deep"), ("team/sub", "deep"), ("team/other", "team"), ("teams/app", "host"), ("app", "host")]
)
def test_the_longest_namespace_goes_first(home: Home, path: str, user: str) -> None:  # row 2
    logins = {"r.example": entry("host", "p"), "r.example/team": entry("team", "p"), "r.example/team/sub": entry("deep", "p")}
    assert found(home(runtime={"auths": logins}), path=path) == (user, "p")


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_hub_has_many_names(home: Home, key: str) -> None:  # row 3
    assert found(home(home={"auths": {key: entry("u", "p")}}), "docker.io", "library/x") == ("u", "p")


@pytest.mark.parametrize(
    "key", ["https://r.example:5000", "http://r.example:5000/v2/", "r.example:5000/v1/", "R.Example:5000", "r.example:5000/"]
)
def test_a_registry_may_be_written_as_older_tools_write_it(home: Home, key: str) -> None:
    assert found(home(home={"auths": {key: entry("u", "p")}}), "r.example:5000") == ("u", "p")
    assert found(home(home={"auths": {key: entry("u", "p")}}), "r.example") is None


def test_a_password_may_hold_colons_and_padding(home: Home) -> None:
    assert found(home(home=auths(r__example=entry("u", "p:q\0\0")))) == ("u", "p:q")


def test_an_identity_token_stands_beside_a_user_or_for_it(home: Home) -> None:
    beside = home(home=auths(r__example=entry("u", "") | {"identitytoken": "tok"}))
    login = Credentials.load(environ=beside).for_repository("r.example", "app")
    assert login is not None
    assert (login.username, login.identity_token) == ("u", "tok")
    instead = Credentials.load(environ=home(home=auths(r__example=entry("<token>", "tok")))).for_repository("r.example", "app")
    assert instead is not None
    assert (instead.username, instead.identity_token) == ("", "tok")


def test_a_helper_is_asked_for_its_registry_once(home: Home, tmp_path: Path) -> None:  # row 4
    helper(tmp_path, "vault", """echo '{"ServerURL":"x","Username":"u","Secret":"s"}'""")
    environ = home(home={"credHelpers": {"r.example": "vault"}, "auths": {"r.example": entry("file", "p")}})
    credentials = Credentials.load(environ=environ)
    logins = [credentials.for_repository("r.example", path) for path in ("app", "b")]
    assert logins == [Login("docker-credential-vault", "u", "s")] * 2
    assert (tmp_path / "helped").read_text() == "get r.example\n"


def test_a_store_is_asked_where_the_file_has_nothing(home: Home, tmp_path: Path) -> None:
    helper(tmp_path, "store", """echo '{"Username":"<token>","Secret":"tok"}'""")
    environ = home(home={"credsStore": "store", "auths": {"r.example": {}, "s.example": entry("file", "p")}})
    credentials = Credentials.load(environ=environ)
    login = credentials.for_repository("r.example", "app")
    assert login is not None
    assert login.identity_token == "tok"
    assert credentials.for_repository("docker.io", "library/x") is not None
    assert found(environ, "s.example") == ("file", "p")
    assert (tmp_path / "helped").read_text() == "get r.example\nget https://index.docker.io/v1/\n"


def test_a_helper_without_the_login_is_no_login(home: Home, tmp_path: Path) -> None:
    helper(tmp_path, "store", "echo credentials not found in native keychain; exit 1")
    assert found(home(home={"credsStore": "store"})) is None


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("echo locked; exit 3", "locked"),
        ("echo '{}'", "not well-formed"),
        ("""echo '{"Username":"u","Secret":7}'""", "not well-formed"),
        ("echo t0psecret", "not well-formed"),
        ("head -c 100000 /dev/zero | tr '\\0' 1", "not well-formed"),
        ("printf '\\033[31mbad\\n' >&2; exit 1", r"\x1b[31mbad"),
    ],
)
def test_a_helper_that_fails_is_named(home: Home, tmp_path: Path, script: str, shown: str) -> None:
    helper(tmp_path, "odd", script)
    with pytest.raises(UsageError) as caught:
        found(home(home={"credsStore": "odd"}))
    assert caught.value.code is Code.USAGE_CREDENTIALS
    assert "docker-credential-odd" in str(caught.value)
    assert shown in str(caught.value)
    assert "t0psecret" not in str(caught.value)


def test_a_helper_that_is_not_installed_is_named(home: Home) -> None:
    with pytest.raises(UsageError, match="docker-credential-desktop") as caught:
        found(home(home={"credsStore": "desktop"}))
    assert caught.value.exit == 2


@pytest.mark.parametrize("name", ["../../bin/x", "a b", "a;b", "-", 7, "é"])
def test_a_helper_is_a_name_and_no_path(home: Home, tmp_path: Path, name: Any) -> None:
    environ = home(home={"credHelpers": {"r.example": name}})
    if name == "-":
        helper(tmp_path, "-", "echo credentials not found; exit 1")
        assert found(environ) is None
        return
    with pytest.raises(UsageError, match="not well-formed"):
        found(environ)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"auths": []}',
        '{"auths": {"r.example": "t0psecret"}}',
        '{"auths": {"r.example": {"auth": "t0psecret!"}}}',
        '{"auths": {"r.example": {"auth": "dDBwc2VjcmV0"}}}',
        '{"auths": {"r.example": {"username": 7}}}',
        '{"credsStore": ["t0psecret"]}',
        '{"auths": {}, "auths": {"t0psecret": {}}}',
        "null",
        '{"credHelpers": "t0psecret"}',
    ],
)
def test_a_file_that_is_not_well_formed_is_named_and_not_shown(home: Home, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        found(home(home=text))
    assert caught.value.code is Code.USAGE_CREDENTIALS
    assert ".docker/config.json" in str(caught.value)
    assert "t0psecret" not in str(caught.value) + str(caught.value.next)


ODD: dict[str, tuple[dict[str, Any], str, str]] = {
    "an auth without a colon": (auths(r__example={"auth": "dDBwc2VjcmV0"}), "auths of r.example", "without a colon"),
    "an auth in two lines": (auths(r__example={"auth": "dXNlcjp0\nMHBzZWNyZXQ="}), "auths of r.example", "in one line"),
    "an auth that is not base64": (auths(r__example={"auth": "t0psecret!"}), "auths of r.example", "not base64"),
    "an auth that is not UTF-8": (auths(r__example={"auth": "/zp0MHBzZWNyZXQ="}), "auths of r.example", "not base64 of UTF-8"),
    "a password that is a number": (auths(r__example={"username": "u", "password": 7}), "auths of r.example", "not a string"),
    "an entry that is a string": (auths(r__example="t0psecret"), "auths of r.example", "not an object"),
    "a helper that is a path": ({"credHelpers": {"r.example": "../../bin/x"}}, "credHelpers of r.example", "no credential helper"),
    "a helper that is not there": ({"credHelpers": {"r.example": "absent"}}, "credHelpers of r.example", "No such file"),
    "a helper of another system": ({"credHelpers": {"r.example": "desktop.exe"}}, "credHelpers of r.example", "No such file"),
    "a key that is a URL": ({"auths": {"https://r.example/v1/": {"auth": "eA=="}}}, "https://r.example/v1/", "without a colon"),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_entry_is_named_where_it_is_wanted(home: Home, odd: str) -> None:
    config, key, shown = ODD[odd]
    with pytest.raises(UsageError) as caught:
        found(home(home=config))
    assert (caught.value.exit, caught.value.code) == (2, Code.USAGE_CREDENTIALS)
    said = f"{caught.value} {caught.value.next}"
    assert all(word in said for word in (key, ".docker/config.json", shown))
    assert "t0psecret" not in said


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_entry_is_no_hindrance_where_it_is_not_wanted(home: Home, odd: str) -> None:
    environ = home(home=ODD[odd][0])
    assert found(environ, "s.example") is None
    assert found(environ, username="u", password="p", hosts=["r.example"]) == ("u", "p")


@pytest.mark.parametrize("store", ["desktop.exe", "a/b", 7, ["x"]])
def test_an_odd_store_is_wanted_where_nothing_else_knows(home: Home, store: Any) -> None:
    environ = home(home={"credsStore": store, **auths(r__example=entry("u", "p"))})
    assert found(environ) == ("u", "p")
    assert found(environ, "s.example", username="h", password="p", hosts=["s.example"]) == ("h", "p")
    with pytest.raises(UsageError) as caught:
        found(environ, "s.example")
    assert "credsStore" in f"{caught.value} {caught.value.next}"
    assert caught.value.code is Code.USAGE_CREDENTIALS


def test_a_helper_with_a_dot_is_asked(home: Home, tmp_path: Path) -> None:
    """As beside Windows."""
    helper(tmp_path, "desktop.exe", """echo '{"Username":"u","Secret":"s"}'""")
    assert found(home(home={"credsStore": "desktop.exe"})) == ("u", "s")


def test_an_entry_that_says_nothing_hides_no_other_of_its_registry(home: Home) -> None:
    assert found(home(home={"auths": {"r.example": entry("u", "p"), "https://r.example": {}}})) == ("u", "p")


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Credentials.load(environ={}, authfile=tmp_path / "absent.json")
    assert caught.value.code is Code.USAGE_INPUT


def test_a_pipe_instead_of_a_file_makes_nobody_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError):
        Credentials.load(environ={}, authfile=tmp_path / "pipe")


def test_other_settings_of_docker_are_no_hindrance(home: Home) -> None:
    config = auths(r__example=entry("u", "p")) | {"HttpHeaders": {"A": "b"}, "proxies": {}, "detachKeys": "ctrl-e", "x": 1.5}
    assert found(home(home=config)) == ("u", "p")


def test_nothing_that_is_printed_holds_a_secret(home: Home) -> None:  # R-50, INV-9
    environ = home(home=auths(r__example=entry("u", "t0psecret"), s__example={"identitytoken": "t0psecret"}))
    credentials = Credentials.load(environ=environ | {"OTHER": "t0psecret"}, username="u", password="t0psecret", hosts=["h.example"])
    shown = repr([credentials, *(credentials.for_repository(host, "app") for host in ("h.example", "r.example", "s.example"))])
    assert "Login" in shown
    assert "t0psecret" not in shown
