"""Requests to one registry: with what it wants to see, to where it may lead, and again where that helps."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import TypeVar

from bundler.content.registry.answers import MAX_ERROR, MAX_WAIT, Complaint, without
from bundler.content.registry.auth import PASSING, REDIRECTS, Auth, RequestedAccess
from bundler.content.registry.credentials import Credentials
from bundler.content.registry.habits import Learnt
from bundler.content.registry.http import Access, Body, Transport
from bundler.content.registry.origin import MalformedError, Origin, Url, shown
from bundler.content.registry.wire import Answer, PassingError
from bundler.content.stream import Turns
from bundler.errors import Code, TransportError, UsageError, translated

MAX_TRIES = 6
MAX_REDIRECTS = 5
FIRST_WAIT = 0.5  # seconds, doubled each time
PROGRESS = 1 << 20  # bytes that earn a transfer all of its tries again
TOLD = 1.0  # seconds in which the same is not told again: many threads fail alike

T = TypeVar("T")


class Tries:
    """How often one step is tried again, and how long is waited in between."""

    def __init__(self, sleep: Callable[[float], None], tell: Callable[[PassingError, int, float], None]) -> None:
        """``tell`` is told each time why is waited, how often it has failed, and how many seconds are waited."""
        self._sleep = sleep
        self._tell = tell
        self.failed = 0
        """Times in a row."""
        self._moved = 0

    def again(self, error: PassingError) -> None:
        """Wait, as long as the registry asked for or a little longer each time; raise TransportError when that was often enough."""
        self.failed += 1
        if self.failed >= MAX_TRIES:
            raise error.error from error
        backoff = FIRST_WAIT * 2 ** (self.failed - 1) * (0.5 + secrets.randbelow(501) / 1000)
        wait = min(error.after if error.after is not None else backoff, MAX_WAIT)
        self._tell(error, self.failed, wait)
        self._sleep(wait)

    def moved(self, count: int) -> None:
        """So many bytes arrived: a long transfer may be interrupted more often than a short one."""
        self._moved += count
        if self._moved >= PROGRESS:
            self.failed = self._moved = 0


class Session:
    """What all repositories of one registry share. Threads may share it."""

    def __init__(
        self, host: str, access: Access, *, sleep: Callable[[float], None], clock: Callable[[], float], say: Callable[[str], None]
    ) -> None:
        self.host = host
        self.access = access
        self.learnt = Learnt()
        self._sleep, self._clock, self._say = sleep, clock, say
        self._telling = Turns(1)
        self._told: tuple[int, float] | None = None
        """The number of the try that a person was told of last, and when."""
        self._authority = "registry-1.docker.io" if host == "docker.io" else host
        with translated(MalformedError, to=UsageError, what="a registry is not well-formed", code=Code.USAGE_REFERENCE):
            self._https = Origin.of("https", self._authority)
        self._transport = Transport(access, host=self._https.host, clock=clock)
        self._auth = Auth(access, self._transport, host=host)
        self._elsewhere: dict[Origin, Auth] = {}
        """What other registries want to see, to which this one leads."""
        self._home: Origin | None = None
        self._welcome = False
        """Whether it was found at home by an answer to the question that :meth:`greet` asks."""
        self.compares: bool | None = None
        """Whether it keeps to ``If-Match`` and ``If-None-Match`` when a manifest is put; None while nobody has tried."""
        self.validates = False
        """Whether it has answered a manifest's push with an ``ETag``."""
        self.checks = False
        """Whether it is known to refuse a manifest of which it lacks a blob."""

    @property
    def home(self) -> Origin:
        """The registry's origin: https; http where the flag says so, and on this machine where nobody speaks TLS.

        Raises PassingError if it has to be found out and nobody answers.
        """
        if self._home is None:
            http = Origin.of("http", self._authority)
            status = self._transport.speaks_http(http) if http.loopback and not self.access.plain_http else None
            self._welcome = status == 200
            self._home = http if self.access.plain_http or status is not None else self._https
        return self._home

    @property
    def absent_is_403(self) -> bool:
        """Whether a person has said that it answers 403 for tags which are not there."""
        return not self.access.absent_is_403.isdisjoint({self.host, self._https.authority})

    def tries(self) -> Tries:
        return Tries(self._sleep, self._tell)

    def greet(self, path: str) -> None:
        """See that somebody answers there, in TLS where it shall be, and takes the login that there is for ``path``, if one is.

        What else is answered than 401 says nothing about whether a repository may be used. Raises as :meth:`ask`.
        """
        need = RequestedAccess(path, enters=True)

        def met(answer: Answer) -> None:
            if answer.status == 401 and self._auth.enters_with_login(need):
                raise self.refusal(answer, "GET", need=need)

        tries = self.tries()
        while self._home is None:
            try:
                _ = self.home
            except PassingError as error:
                tries.again(error)
        if not self._welcome:  # then it has answered without seeing a login
            self.ask("GET", "/v2/", need=need, then=met, kept="", tries=tries, wait=self.access.patience.connect)

    def close(self) -> None:
        self._transport.close()

    def ask(
        self,
        method: str,
        target: str | Url,
        *,
        need: RequestedAccess,
        then: Callable[[Answer], T],
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        abroad: bool = False,
        kept: str | None = None,
        wait: float | None = None,
        tries: Tries | None = None,
    ) -> T:
        """What ``then`` makes of the answer, the whole tried again while it fails in a way that may pass.

        For requests that may be sent twice. ``abroad``, ``kept`` and ``wait`` are as :meth:`attempt` has them.
        """
        tries = tries or self.tries()
        while True:
            try:
                answer = self.attempt(method, target, need=need, headers=headers, body=body, abroad=abroad, kept=kept, wait=wait)
                try:
                    return then(answer)
                finally:
                    answer.discard()
            except PassingError as error:
                tries.again(error)

    def attempt(
        self,
        method: str,
        target: str | Url,
        *,
        need: RequestedAccess,
        headers: Mapping[str, str] | None = None,
        body: Body | bytes | None = None,
        abroad: bool = False,
        kept: str | None = None,
        wait: float | None = None,
    ) -> Answer:
        """The answer to one request, asked once; after a 401 once more, with another token, if the body can be sent again.

        ``abroad``, for what only reads: redirects may lead to other origins, which get no credentials; another registry there is
        asked for a token as anybody is. ``kept`` is what is asked for, as ``referrers/DIGEST``: a redirect to anything else is
        not followed, and is the answer.

        Raises PassingError for what may pass, TransportError for what leads astray.
        """
        home = self.home
        url, renewed, hops = Url(home, target) if isinstance(target, str) else target, False, 0
        streamed, away = not isinstance(body, bytes | None), False
        while True:
            away = away or url.origin != home  # for good: whoever we are led to must not choose what is asked with our credentials
            auth, wants = self._whom(url, need, away=away)
            shown_before = None if auth is None else auth.header(wants)
            login = {} if shown_before is None else {"Authorization": shown_before}
            try:
                answer = self._transport.send(method, url, headers={**(headers or {}), **login}, body=body, wait=wait)
            except PassingError as error:
                if url.origin == home:
                    raise
                raise _ElsewhereError(url.origin, error) from error
            with ExitStack() as given_up:
                given_up.callback(answer.discard)
                if answer.status == 401 and auth is not None and not renewed:
                    renewed = auth.challenged(url.origin, answer.head, wants, shown_before=shown_before)
                    if renewed and not streamed:
                        continue
                if answer.status in REDIRECTS and (kept is None or _leads_to(answer, kept)):
                    if streamed or (method not in {"GET", "HEAD"} and answer.status not in {307, 308}) or hops == MAX_REDIRECTS:
                        raise self._astray(answer, f"a redirect after {hops} others" if hops else "a redirect", Code.REGISTRY_PROTOCOL)
                    renewed, hops, url = False, hops + 1, self._redirected(answer, abroad=abroad)
                    continue
                # storage elsewhere takes a signed URL for a while only, and the registry gives a new one
                ran_out = away and not url.names_document and method == "GET" and answer.status in {401, 403}
                if answer.status in PASSING or ran_out:
                    raise self._busy(answer, method)
                given_up.pop_all()
                return answer

    def denied(self, need: RequestedAccess) -> TransportError | None:
        """Why what ``need`` writes would be refused, as far as that is known without trying."""
        return self._auth.denied(need)

    def remark(self, text: str) -> None:
        """Say something about how the registry answers, once a run."""
        self.learnt.remarks.setdefault(text)

    def came(self, answer: Answer) -> None:
        """A document came with this answer: it is said where it lies elsewhere."""
        if answer.url.origin != self.home:
            self.remark(f"{self.host} leads elsewhere for manifests: they came from {answer.url.origin}")

    def refusal(self, answer: Answer, method: str, *, need: RequestedAccess, complaint: Complaint | None = None) -> TransportError:
        """What an answer of another status than asked for means."""
        said = complaint or self.complaint(answer)
        challenge = without(self._secrets(), ", ".join(answer.head.all("www-authenticate")))  # for a 401 that says nothing else
        found = f"{answer.status} {said.text or challenge}".strip()
        auth, wants = self._whom(answer.url, need, away=answer.url.origin != self.home)
        if answer.status in {401, 403} and auth is not None:
            return auth.refused(wants, found=found)
        return TransportError(
            f"{self.host if auth is self._auth else answer.url.origin} refuses {method} {shown(answer.url.path)[1:-1]}",
            code=Code.REGISTRY_STATUS,
            found=found,
            next="leave --plain-http out" if answer.status == 400 and "HTTPS server" in said.text else None,
            status=answer.status,
        )

    def complaint(self, answer: Answer) -> Complaint:
        """What an error body says, for a message, without our secrets. Never raises for what is in it."""
        try:
            body = answer.beginning(MAX_ERROR)
        except (TransportError, PassingError):
            body = b""
        return Complaint.parse(body, secrets=self._secrets())

    def linked(self, answer: Answer, location: str | None, what: str) -> Url:
        """Where an answer says to go on, at its own origin. Raises TransportError (``registry.origin``)."""
        with self.protocol():
            url = answer.url.join(location or "")
        if url.origin != answer.url.origin:
            raise self._astray(answer, f"{what} at {url.origin}", Code.REGISTRY_ORIGIN)
        return url

    def protocol(self) -> AbstractContextManager[None]:
        """What is malformed in an answer is the registry's breach of the protocol."""
        return translated(MalformedError, to=TransportError, what=f"{self.host} breaks the protocol", code=Code.REGISTRY_PROTOCOL)

    def breach(self, found: str, *, wanted: object = None, next: str | None = None) -> TransportError:  # noqa: A002 - as in BundlerError
        """What an answer is that the specification does not allow."""
        return TransportError(f"{self.host} breaks the protocol", code=Code.REGISTRY_PROTOCOL, found=found, wanted=wanted, next=next)

    def _tell(self, error: PassingError, failed: int, wait: float) -> None:
        """Say why is waited, and how long: each try once, though many threads fail alike, and no more than one line a second else."""
        with self._telling.of(None):
            now = self._clock()
            if self._told is not None and failed <= self._told[0] and now - self._told[1] < TOLD:
                return
            self._told = failed, now
        host = error.origin.authority if isinstance(error, _ElsewhereError) else self.host
        why = error.error.found or error.error.what
        self._say(f"{host}: {why}; trying again in {round(wait, 1):g} s ({failed}/{MAX_TRIES - 1})")

    def _secrets(self) -> list[str]:
        """What must not be in a message."""
        return [secret for auth in (self._auth, *list(self._elsewhere.values())) for secret in auth.secrets()]

    def _whom(self, url: Url, need: RequestedAccess, *, away: bool) -> tuple[Auth | None, RequestedAccess]:
        """Who knows what to show there, and what for: logins at home alone, nothing but a token that anybody gets at another
        registry, and nothing at all at what is not a registry's path."""
        if not away:
            return self._auth, need
        if url.place is None or url.origin == self.home:
            return None, need
        there = self._elsewhere.get(url.origin)
        if there is None:
            nobody = replace(self.access, credentials=Credentials())
            there = self._elsewhere.setdefault(url.origin, Auth(nobody, self._transport, host=url.origin.authority, led_by=self.host))
        return there, RequestedAccess(url.place[0])

    def _redirected(self, answer: Answer, *, abroad: bool) -> Url:
        with self.protocol():
            url = answer.url.join(answer.head.one("location") or "")
        downgrade = answer.url.origin.scheme == "https" and url.origin.scheme == "http"
        if url.origin != answer.url.origin and (downgrade or not abroad):
            raise self._astray(answer, f"a redirect to {url.origin}", Code.REGISTRY_ORIGIN)
        return url

    def _astray(self, answer: Answer, found: str, code: Code) -> TransportError:
        path = shown(answer.url.path)[1:-1]
        return TransportError(
            f"{answer.url.origin} leads elsewhere from {path}", code=code, found=found, wanted=f"an answer at {answer.url.origin}"
        )

    def _busy(self, answer: Answer, method: str) -> PassingError:
        text = self.complaint(answer).text
        if not text or text.startswith("<"):  # a page for people
            text = PASSING.get(answer.status, "")
        busy = PassingError(
            f"{answer.url.origin} does not answer {method} {shown(answer.url.path)[1:-1]} now",
            code=Code.REGISTRY_STATUS,
            found=f"{answer.status} {text}".strip(),
            after=answer.head.retry_after,
        )
        return busy if answer.url.origin == self.home else _ElsewhereError(answer.url.origin, busy)


class _ElsewhereError(PassingError):
    """What may pass, at another origin than the registry's own. It stays inside this module."""

    def __init__(self, origin: Origin, error: PassingError) -> None:
        super().__init__(error.error.what, after=error.after)
        self.error = error.error
        self.origin = origin


def _leads_to(answer: Answer, kept: str) -> bool:
    """Whether a redirect leads to what was asked for, wherever that is."""
    try:
        return answer.url.join(answer.head.one("location") or "").names(kept)
    except MalformedError:
        return False
