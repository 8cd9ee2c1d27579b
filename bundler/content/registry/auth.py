"""What is shown to a registry: nothing until it asks, then a login or a token, and only there (distribution's token specification)."""

import re
import time
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from bundler import strictjson
from bundler.content.registry.answers import MAX_ERROR, Challenge, Complaint, Head, challenges, without
from bundler.content.registry.credentials import Login
from bundler.content.registry.http import Access, Transport
from bundler.content.registry.origin import MalformedError, Origin, Url, may_ask_for_tokens, place_of
from bundler.content.registry.wire import Answer, PassingError
from bundler.errors import Code, FormatError, TransportError

MAX_TOKEN = 64 << 10  # bytes of a token service's answer
TOKEN_SECONDS = 60  # how long a token is good for where nothing is said, as the token specification has it
PASSING = {  # what may be otherwise in a while, and its name (RFC 9110, 15; RFC 6585)
    408: "Request Timeout",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
REDIRECTS = frozenset({301, 302, 303, 307, 308})

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,8192}", re.ASCII)
_SCOPE = re.compile(r"repository:([!-~]{1,512}):([a-z,*]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestedAccess:
    """What a request must be allowed: to read a repository, to write it, and to read one to mount from."""

    path: str
    push: bool = False
    source: str | None = None
    enters: bool = False
    """Nothing yet but to be known to the registry, as `docker login` asks for it."""

    @property
    def actions(self) -> tuple[str, ...]:
        return ("pull", "push") if self.push else ("pull",)

    @property
    def scopes(self) -> tuple[str, ...]:
        if self.enters:
            return ()
        own = f"repository:{self.path}:{','.join(self.actions)}"
        return (own,) if self.source is None else (own, f"repository:{self.source}:pull")


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and until when it is used, on the monotonic clock."""

    text: str = field(repr=False)
    until: float

    @property
    def reads_only(self) -> bool:
        """Whether it says of itself that it lets nobody write: a JWT whose ``access`` names no such action (distribution's token
        specification, "Token Authentication Implementation"). Of a token that cannot be read nothing is known."""
        try:
            claims = strictjson.loads(urlsafe_b64decode(f"{self.text.split('.')[1]}=="), limit=MAX_TOKEN, predicate=True)
            return not any({"push", "*"} & set(entry["actions"]) for entry in claims["access"])
        except (FormatError, LookupError, TypeError, ValueError):
            return False


@dataclass(frozen=True, slots=True)
class Service:
    """A token service, as a registry's challenge names it."""

    realm: Url
    name: str | None


class Auth:
    """Logins and tokens for one registry. Threads may share it; at worst two ask for the same token."""

    def __init__(self, access: Access, transport: Transport, *, host: str, led_by: str | None = None) -> None:
        """``led_by``: the registry that led to this one, to which no login is shown."""
        self._access = access
        self._transport = transport
        self._host = host
        self._led_by = led_by
        self._logins: dict[str, Login | None] = {}
        self._basic = False
        self._service: Service | None = None
        self._stated: dict[RequestedAccess, tuple[str, ...]] = {}
        self._tokens: dict[RequestedAccess, Token] = {}

    def header(self, need: RequestedAccess) -> str | None:
        """The Authorization for a request to the registry, as it asked before; None while it never did.

        Raises TransportError (``registry.credentials``, ``registry.origin``), PassingError.
        """
        if self._service is not None:
            return f"Bearer {self._token(self._service, need).text}"
        if self._basic and (login := self._login(need)) is not None:
            return _basic(login)
        return None

    def challenged(self, home: Origin, head: Head, need: RequestedAccess, *, shown_before: str | None) -> bool:
        """Learn from a 401 what the registry wants; whether to ask again with it. ``shown_before`` is what it did not like.

        It is not asked again where it wants nothing that can be given: the 401 is its answer.

        Raises TransportError (``registry.credentials``, ``registry.origin``).
        """
        try:
            offers = challenges(head.all("www-authenticate"))
        except MalformedError as error:
            raise self.refused(need, found=without(self.secrets(), str(error))) from error
        for offer in offers:
            if offer.scheme == "bearer":
                self._service = self._token_service(home, offer)
                self._stated[need] = tuple(_within(offer.parameters.get("scope", ""), need))
                for known in (need, replace(need, push=True)):
                    token = self._tokens.get(known)
                    if token is not None and shown_before == f"Bearer {token.text}":
                        self._tokens.pop(known, None)
                return not need.enters or self.enters_with_login(need)
        if any(offer.scheme == "basic" for offer in offers):
            self._basic = True
            login = self._login(need)
            return login is not None and shown_before != _basic(login)
        return False

    def denied(self, need: RequestedAccess) -> TransportError | None:
        """Why what ``need`` writes would be refused, where the token that was given for it says so."""
        token = self._tokens.get(need)
        if token is None or not token.reads_only:
            return None
        return self.refused(need, found="a token that does not let us push", wanted="one that does")

    def enters_with_login(self, need: RequestedAccess) -> bool:
        """Whether a user and a password are there to be shown. Identity tokens are for what names a repository."""
        login = self._login(need)
        return login is not None and not login.identity_token

    def refused(
        self, need: RequestedAccess, *, found: str | None = None, wanted: str | None = None, who: str | None = None
    ) -> TransportError:
        """What to say to a person when the login is not enough."""
        if self._led_by is not None:
            return TransportError(
                f"{who or self._host}, where {self._led_by} leads, does not let us {' and '.join(need.actions)} {need.path}",
                code=Code.REGISTRY_CREDENTIALS,
                found=found,
                wanted=wanted or "an answer without a login, for none is shown there",
                next=f"name the image where it lies, in {self._host}/{need.path}, and log in there",
            )
        login = self._login(need)
        allowed = "in" if need.enters else f"{' and '.join(need.actions)} {need.path}"
        by_hand = f"log in with `podman login {self._host}` or `docker login {self._host}`, or give --username with --password-stdin"
        return TransportError(
            f"{who or self._host} does not let us {allowed}"
            + (" without a login" if login is None else f" with the login from {login.source}"),
            code=Code.REGISTRY_CREDENTIALS,
            found=found,
            wanted=wanted,
            next=by_hand if login is None else f"check that login and what it may do; or {by_hand}",
        )

    def secrets(self) -> Iterator[str]:
        """What must not be in a message."""
        yield from (token.text for token in list(self._tokens.values()))
        for login in filter(None, list(self._logins.values())):
            yield from filter(None, (_basic(login).removeprefix("Basic "), login.password, login.identity_token))

    def _login(self, need: RequestedAccess) -> Login | None:
        if need.path not in self._logins:
            self._logins[need.path] = self._access.credentials.for_repository(self._host, need.path)
        return self._logins[need.path]

    def _token_service(self, home: Origin, offer: Challenge) -> Service:
        try:
            realm = Url.parse(offer.parameters.get("realm", ""))
        except MalformedError as error:
            raise self._elsewhere(home, str(error)) from error
        if not may_ask_for_tokens(home, realm.origin, listed=self._access.token_hosts):
            could = may_ask_for_tokens(home, realm.origin, listed=frozenset({realm.origin.host}))
            raise self._elsewhere(home, str(realm.origin), listable=realm.origin.authority if could else None)
        return Service(realm, offer.parameters.get("service"))

    def _elsewhere(self, home: Origin, found: str, *, listable: str | None = None) -> TransportError:
        return TransportError(
            f"{home.host} sends us for a token to somewhere that is not its own",
            code=Code.REGISTRY_ORIGIN,
            found=found,
            wanted=f"{home.scheme}, on {home.host} or a host at the same site",
            next=f"if that is where its logins belong, say --token-host {listable}" if listable else None,
        )

    def _token(self, service: Service, need: RequestedAccess) -> Token:
        for known in (need, replace(need, push=True)):
            token = self._tokens.get(known)
            if token is not None and time.monotonic() < token.until:
                return token
        token = self._tokens[need] = self._fetch(service, need)
        return token

    def _fetch(self, service: Service, need: RequestedAccess) -> Token:
        login = self._login(need)
        scopes = tuple(dict.fromkeys((*need.scopes, *self._stated.get(need, ()))))
        if login is not None and login.identity_token:
            answer = self._exchange(service, login, scopes)
        else:
            url = service.realm if service.name is None else service.realm.with_query("service", service.name)
            for scope in scopes:
                url = url.with_query("scope", scope)
            headers = {} if login is None else {"Authorization": _basic(login)}
            answer = self._transport.send("GET", url, headers=headers)
        try:
            return self._read(answer, need)
        finally:
            answer.close()

    def _exchange(self, service: Service, login: Login, scopes: tuple[str, ...]) -> Answer:
        """A token for an identity token (distribution's OAuth2 specification): sent in the body, so that no log of URLs has it."""
        form = {
            "grant_type": "refresh_token",
            "service": service.name or self._host,
            "client_id": "oci-bundler",
            "scope": " ".join(scopes),
            "refresh_token": login.identity_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._transport.send("POST", service.realm, headers=headers, body=urlencode(form).encode())

    def _read(self, answer: Answer, need: RequestedAccess) -> Token:
        service = answer.url.origin
        if answer.status in REDIRECTS:
            raise TransportError(
                f"{service} redirects a request for a token", code=Code.REGISTRY_ORIGIN, found=place_of(answer.head.one("location") or "")
            )
        if answer.status != 200:
            complaint = Complaint.parse(answer.beginning(MAX_ERROR), secrets=self.secrets())
            found = f"{answer.status} {complaint.text}".strip()
            if answer.status in PASSING:
                raise PassingError(f"{service} gives no token", code=Code.REGISTRY_STATUS, found=found, after=answer.head.retry_after)
            raise self.refused(need, found=found, who=str(service))
        try:
            members = strictjson.loads(answer.whole(MAX_TOKEN, what="a token service's answer"), limit=MAX_TOKEN, predicate=True)
        except FormatError as error:
            raise self.refused(need, found=error.what, wanted="a token", who=str(service)) from error
        if not isinstance(members, dict):
            members = {}
        text, seconds = members.get("token") or members.get("access_token"), members.get("expires_in")
        if not isinstance(text, str) or not _TOKEN.fullmatch(text):
            raise self.refused(need, found="an answer without a well-formed token", wanted="a token", who=str(service))
        good = seconds if type(seconds) is int and seconds > 0 else TOKEN_SECONDS
        return Token(text, time.monotonic() + good * 0.9)  # a tenth less: it travels, too


def _basic(login: Login) -> str:
    return f"Basic {b64encode(f'{login.username}:{login.password}'.encode()).decode()}"


def _within(stated: str, need: RequestedAccess) -> Iterator[str]:
    """What a registry states beside the scopes of ``need``, for no other actions: some know a repository by another name, too."""
    for scope in () if need.enters else stated.split()[:8]:
        match = _SCOPE.fullmatch(scope)
        actions = [action for action in need.actions if match and action in match[2].split(",")]
        if match and actions and match[1] not in {need.path, need.source}:
            yield f"repository:{match[1]}:{','.join(actions)}"
