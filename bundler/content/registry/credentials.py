"""Logins to registries, from where people keep them: containers-auth.json(5), Docker's config.json, credential helpers.

The first place that knows a repository is used: the login given by hand; the file of ``--authfile`` or
``$REGISTRY_AUTH_FILE``, which then is the only one; ``$DOCKER_AUTH_CONFIG`` (the text itself);
``$DOCKER_CONFIG/config.json``; ``$XDG_RUNTIME_DIR/containers/auth.json``; ``$XDG_CONFIG_HOME/containers/auth.json``;
``~/.docker/config.json``. Within a place the longest namespace that holds the repository is used.
"""

import re
import subprocess
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from bundler import strictjson
from bundler.content.files import read_small
from bundler.errors import BundlerError, Code, FormatError, UsageError

MAX_FILE = 1 << 20
MAX_HELPED = 64 << 10  # bytes of a helper's answer
HELPER_SECONDS = 60  # a helper may ask a person, or a service
DOCKER_HUB = ("docker.io", "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")
IDENTITY_TOKEN_USER = "<token>"  # noqa: S105 - what stands for the user beside an identity token

_HELPER = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)  # with dots: beside Windows it is desktop.exe


@dataclass(frozen=True, slots=True)
class Login:
    """What proves to one registry who we are: a user with a password, or an identity token."""

    source: str
    """Where it was found, for a person."""
    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a credential file says under one key, unread until somebody wants it: other entries may be odd."""

    source: str
    """The file."""
    key: str
    """The key, for a person."""
    value: Any = field(repr=False, hash=False)

    def login(self) -> Login | None:
        """The login of an entry of ``auths``; None if it only says that there is one in a store.

        Raises UsageError (``usage.credentials``), which shows nothing of what the entry holds.
        """
        if not isinstance(self.value, dict):
            self._refuse("something that is not an object")
        username, password = self._text("username"), self._text("password")
        if packed := self._text("auth"):
            try:
                username, colon, password = b64decode(packed, validate=True).decode().partition(":")
            except ValueError:
                self._refuse("an auth that is not base64 of UTF-8, in one line")
            if not colon:
                self._refuse("an auth without a colon between user and password")
            password = password.rstrip("\0")  # older Docker pads with them
        identity = self._text("identitytoken")
        return _as_login(self.source, username, password, identity) if username or identity else None

    def helper(self) -> str:
        """The name of a credential helper, which is a program's and not a path. Raises UsageError (``usage.credentials``)."""
        if not isinstance(self.value, str) or not _HELPER.fullmatch(self.value):
            self._refuse("a name that no credential helper can have")
        return self.value

    def _text(self, name: str) -> str:
        text = self.value.get(name)
        if text is not None and not isinstance(text, str):
            self._refuse(f"a {name} that is not a string")
        return text or ""

    def _refuse(self, found: str) -> NoReturn:
        raise UsageError(
            f"{self.key} in {self.source} is not well-formed",
            code=Code.USAGE_CREDENTIALS,
            found=found,
            next="log in again, or take it out; or give --username with --password-stdin",
        )


@dataclass(frozen=True, slots=True)
class CredentialFile:
    """One credential file: logins and helpers by namespace, and the helper for all others."""

    source: str
    logins: Mapping[str, Entry] = field(default_factory=dict, hash=False)
    helpers: Mapping[str, Entry] = field(default_factory=dict, hash=False)
    store: Entry | None = None

    @classmethod
    def parse(cls, raw: bytes, source: str) -> "CredentialFile":
        """Raises UsageError (``usage.credentials``) for what is not such a file at all; it shows nothing of what the file holds."""
        try:
            members = strictjson.loads(raw, limit=MAX_FILE, predicate=True)
        except FormatError as error:
            raise UsageError(f"{source} is not well-formed", code=Code.USAGE_CREDENTIALS, found=error.what, wanted="JSON") from None
        if not isinstance(members, dict):
            raise UsageError(f"{source} is not well-formed", code=Code.USAGE_CREDENTIALS, wanted="a JSON object")
        auths, helpers = (_member(members, name, source) for name in ("auths", "credHelpers"))
        store = members.get("credsStore")
        return cls(
            source=source,
            logins={_namespace(key): Entry(source, f"auths of {key}", value) for key, value in auths.items() if _tells(value)},
            helpers={_namespace(key): Entry(source, f"credHelpers of {key}", name) for key, name in helpers.items() if name != ""},
            store=Entry(source, "credsStore", store) if store else None,
        )


@dataclass(slots=True)
class Credentials:
    """The logins of one run. A helper is asked once for each registry."""

    by_hand: tuple[str, Login] | None = None
    places: tuple[CredentialFile, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    _helped: dict[tuple[str, str], Login | None] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def load(
        cls,
        *,
        environ: Mapping[str, str],
        authfile: Path | None = None,
        username: str | None = None,
        password: str | None = None,
        hosts: Iterable[str] = (),
    ) -> "Credentials":
        """Read every place that is there. ``hosts`` are the registries of this run: a login given by hand is for one.

        Raises UsageError (``usage``, ``usage.input``, ``usage.credentials``).
        """
        by_hand = None
        if username is not None or password is not None:
            by_hand = _by_hand(username, password, set(hosts))
        return cls(by_hand=by_hand, places=tuple(_places(authfile, environ)), environ=environ)

    def for_repository(self, host: str, path: str) -> Login | None:
        """The login for ``host/path``; None to go without. Raises UsageError (``usage.credentials``) when a helper fails."""
        if self.by_hand is not None and self.by_hand[0] == host:
            return self.by_hand[1]
        return next((login for place in self.places if (login := self._from_place(place, host, path)) is not None), None)

    def _from_place(self, place: CredentialFile, host: str, path: str) -> Login | None:
        for namespace in _namespaces(host, path):
            if namespace in place.helpers:
                return self._ask(place.helpers[namespace], namespace)
            if namespace in place.logins and (login := place.logins[namespace].login()) is not None:
                return login
        return self._ask(place.store, host) if place.store else None

    def _ask(self, entry: Entry, server: str) -> Login | None:
        server, helper = DOCKER_HUB[1] if server in DOCKER_HUB else server, entry.helper()
        if (helper, server) not in self._helped:
            self._helped[helper, server] = _helped(entry, server, self.environ)
        return self._helped[helper, server]


def _by_hand(username: str | None, password: str | None, hosts: set[str]) -> tuple[str, Login]:
    if not username or password is None:
        raise UsageError("a login needs both a user and a password", code=Code.USAGE, wanted="--username with --password-stdin")
    if len(hosts) != 1:
        raise UsageError(
            "one login is given, and it would be shown to several registries",
            code=Code.USAGE,
            found=", ".join(sorted(hosts)),
            next="log in to each, and name the file with --authfile",
        )
    return hosts.pop(), Login("--username", username, password)


def _places(authfile: Path | None, environ: Mapping[str, str]) -> Iterator[CredentialFile]:
    only = authfile or (Path(named) if (named := environ.get("REGISTRY_AUTH_FILE")) else None)
    if only is not None:
        yield CredentialFile.parse(read_small(only, limit=MAX_FILE, what="credential file"), str(only))
        return
    if text := environ.get("DOCKER_AUTH_CONFIG"):
        yield CredentialFile.parse(text.encode("utf-8", "surrogateescape"), "$DOCKER_AUTH_CONFIG")
    for path in dict.fromkeys(_paths(environ)):
        if path.exists():
            yield CredentialFile.parse(read_small(path, limit=MAX_FILE, what="credential file"), str(path))


def _paths(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ["HOME"]) if environ.get("HOME") else None
    if docker := environ.get("DOCKER_CONFIG"):
        yield Path(docker) / "config.json"
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers/auth.json"
    if config := environ.get("XDG_CONFIG_HOME"):
        yield Path(config) / "containers/auth.json"
    elif home:
        yield home / ".config/containers/auth.json"
    if home:
        yield home / ".docker/config.json"


def _namespaces(host: str, path: str) -> Iterator[str]:
    """``host/ns/repo``, ``host/ns``, ``host``: containers-auth.json(5)."""
    parts = path.split("/")
    for count in range(len(parts), -1, -1):
        yield "/".join([host, *parts[:count]])


def _namespace(key: str) -> str:
    """A key of a credential file as ``HOST[/PATH]``: older tools write URLs there."""
    if key in DOCKER_HUB:
        return DOCKER_HUB[0]
    scheme, separator, rest = key.partition("://")
    if separator and scheme in {"http", "https"}:
        return rest.partition("/")[0].lower()
    host, _, path = key.partition("/")
    if path.rstrip("/") in {"v1", "v2"}:
        return host.lower()
    return "/".join(filter(None, (host.lower(), path.rstrip("/"))))


def _member(members: Mapping[str, Any], name: str, source: str) -> dict[str, Any]:
    value = members.get(name)
    if value is not None and not isinstance(value, dict):
        raise UsageError(f"{source} is not well-formed", code=Code.USAGE_CREDENTIALS, found=f"{name} that are not an object")
    return value or {}


def _tells(value: Any) -> bool:
    """Whether an entry of ``auths`` says more than that there is a login in a store."""
    return not isinstance(value, dict) or any(value.get(name) for name in ("username", "auth", "identitytoken"))


def _as_login(source: str, username: str, password: str, identity: str = "") -> Login:
    if username == IDENTITY_TOKEN_USER:
        return Login(source, identity_token=password)
    return Login(source, username, password, identity)


def _helped(entry: Entry, server: str, environ: Mapping[str, str]) -> Login | None:
    """Ask ``docker-credential-HELPER get``, the server on its standard input (Docker's credential helper protocol)."""
    command = f"docker-credential-{entry.helper()}"
    try:
        asked = subprocess.run(  # noqa: S603 - the user's own configuration names it, and its form was checked
            [command, "get"], input=server.encode(), capture_output=True, timeout=HELPER_SECONDS, check=False, env=dict(environ)
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _helper_fails(entry, server, getattr(error, "strerror", None) or "no answer in time") from None
    if asked.returncode:
        said = (asked.stdout + asked.stderr).decode("utf-8", "replace").strip()
        if "credentials not found" in said:  # how every helper says it
            return None
        raise _helper_fails(entry, server, ascii(said[:200])[1:-1] or f"exit {asked.returncode}")
    try:
        members = strictjson.loads(asked.stdout, limit=MAX_HELPED, predicate=True)
        username, secret = members["Username"], members["Secret"]
    except (BundlerError, KeyError, TypeError):
        raise _helper_fails(entry, server, "an answer that is not well-formed") from None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise _helper_fails(entry, server, "an answer that is not well-formed")
    return _as_login(command, username, secret) if username or secret else None


def _helper_fails(entry: Entry, server: str, found: str) -> UsageError:
    return UsageError(
        f"docker-credential-{entry.value} does not give the login for {server}",
        code=Code.USAGE_CREDENTIALS,
        found=found,
        next=f"put it in order, or take {entry.key} out of {entry.source}; or name another credential file with --authfile",
    )
