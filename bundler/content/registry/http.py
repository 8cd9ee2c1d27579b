"""One request, one answer: connections to the origins that a registry's answers lead to, kept and used again.

Nothing is tried again here, no redirect is followed and no credential is known. No cookies, no netrc.
"""

import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Protocol

from bundler import __version__
from bundler.content.registry import tls
from bundler.content.registry.credentials import Credentials
from bundler.content.registry.message import composed
from bundler.content.registry.origin import Origin, Url, address_of
from bundler.content.registry.proxies import Proxies, Proxy
from bundler.content.registry.wire import Answer, PassingError, Patience, Wire, spoken_with
from bundler.errors import Code, TransportError

USER_AGENT = f"oci-bundler/{__version__}"

_LINE = re.compile(r"[!-~]+(?: [!-~]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Access:
    """How registries are reached, as flags, files and environment say it."""

    credentials: Credentials = field(default_factory=Credentials)
    plain_http: bool = False
    insecure_skip_tls_verify: bool = False
    """Of the registry's own host; whoever else is led to is always verified."""
    ca_file: Path | None = None
    jobs: int = 4
    """Connections that are kept for each origin."""
    proxies: Proxies = field(default_factory=Proxies)
    certs_folders: tuple[Path, ...] = tls.SYSTEM_FOLDERS
    token_hosts: frozenset[str] = frozenset()
    """Hosts, ``HOST[:PORT]``, of token services that may be shown a registry's login although they are not at its site."""
    absent_is_403: frozenset[str] = frozenset()
    """Registries, ``HOST[:PORT]``, that answer 403 for tags which are not there, as a person says."""
    chunk_size: int | None = None
    """Upload blobs in pieces of so many bytes. None: whole, and in pieces where that does not work."""
    patience: Patience = field(default_factory=Patience)


class Body(Protocol):
    """Bytes to send, of a known length. Asked for once; what its iterator raises ends the connection and is raised."""

    @property
    def length(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


class Transport:
    """Connections for one registry. Threads may share it: what is shared is a deque for each origin.

    ``clock`` gives seconds and only goes on; what is waited for is measured by it.
    """

    def __init__(self, access: Access, *, host: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._host = host
        self._clock = clock
        self._idle: dict[Origin, deque[Wire]] = {}
        self._contexts: dict[Origin, ssl.SSLContext] = {}
        self._local = False
        """Whether the registry itself was found on this machine: then answers may lead there too."""
        self._closed = False

    def send(
        self,
        method: str,
        url: Url,
        *,
        headers: Mapping[str, str],
        body: Body | bytes | None = None,
        wait: float | None = None,
    ) -> Answer:
        """The answer to one request, at most ``wait`` seconds after it was sent.

        It may come before the body was sent whole; the rest is then not sent. Raises PassingError, TransportError, and what
        the body raises, in which case the registry got less than it was promised and can keep nothing.
        """
        pieces = iter(() if body is None else (body,) if isinstance(body, bytes) else body)
        first = next(pieces, b"")  # an empty body is whole when the head is sent: so it is asked for before
        small = first if len(first) < 16 << 10 else b""  # goes in one packet with the head
        wire = self._ready(url.origin)
        try:
            with spoken_with(url.origin):
                wire.send(self._head(method, url, headers, body) + small)
            sent = self._send_rest(wire, url.origin, chain((first[len(small) :],), pieces))
            with spoken_with(url.origin):
                wire.allow(wait or self._access.patience.answer, idle=wait)
                head = wire.head()
                return Answer(wire, head, method=method, url=url, release=lambda: self._release(url.origin, wire, keep=sent))
        except BaseException:
            wire.close()
            raise

    def close(self) -> None:
        """End the connections that are kept. One that a thread still has, for an interrupt waits for none, ends when it is done with."""
        self._closed = True
        for wires in list(self._idle.values()):
            with suppress(IndexError):  # another thread may end some of them
                while True:
                    wires.pop().close()

    def speaks_http(self, origin: Origin) -> int | None:
        """The status by which someone there answers plain http as a registry does, asked without credentials; None if nobody does.

        Raises PassingError if nobody listens.
        """
        try:
            answer = self.send("GET", Url(origin, "/v2/"), headers={}, wait=self._access.patience.connect)
        except PassingError as error:
            if isinstance(error.__cause__, ConnectionRefusedError):
                raise
            return None
        except TransportError:
            return None
        answer.discard()
        return answer.status if answer.status != 400 else None  # what servers of TLS answer to those who do not speak it

    @staticmethod
    def _send_rest(wire: Wire, origin: Origin, pieces: Iterator[bytes]) -> bool:
        """Whether all was sent; False where an answer came before, which says why the rest is not wanted."""
        for piece in pieces:
            try:
                with spoken_with(origin):
                    if not wire.send_while_quiet(piece):
                        return False
            except PassingError:
                if wire.quiet():
                    raise
                return False
        return True

    def _head(self, method: str, url: Url, headers: Mapping[str, str], body: Body | bytes | None) -> bytes:
        proxy = self._access.proxies.reach(url.origin) if url.origin.scheme == "http" else None
        fields = {"Host": url.origin.authority, "User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if body is not None or method in {"POST", "PUT", "PATCH"}:
            fields["Content-Length"] = str(_length(body))
        if proxy is not None and proxy.authorization:
            fields["Proxy-Authorization"] = proxy.authorization
        fields |= headers
        start = f"{method} {url if proxy else url.target} HTTP/1.1"
        if not all(_LINE.fullmatch(line) for line in (start, *(f"{name}: {value}" for name, value in fields.items()))):
            raise TransportError("a request would not be well-formed", code=Code.REGISTRY_PROTOCOL, found=ascii(start)[:200])
        return composed(start, fields.items())

    def _ready(self, origin: Origin) -> Wire:
        wires = self._idle.setdefault(origin, deque())
        while True:
            try:
                wire = wires.pop()
            except IndexError:
                return self._connect(origin)
            if wire.quiet():
                return wire
            wire.close()

    def _release(self, origin: Origin, wire: Wire, *, keep: bool) -> None:
        wires = self._idle.setdefault(origin, deque())
        if keep and len(wires) < self._access.jobs:
            wires.append(wire)
        else:
            wire.close()
        if self._closed:
            self.close()

    def _connect(self, origin: Origin) -> Wire:
        proxy = self._access.proxies.reach(origin)
        if proxy is not None and address_of(origin.host):
            self._check_address(origin, origin.host)
        with spoken_with(proxy.origin if proxy else origin):
            wire = Wire(self._dial(proxy.origin if proxy else origin), self._access.patience, clock=self._clock)
        try:
            with spoken_with(origin):
                if origin.host == self._host and proxy is None:
                    self._local = _is_local(wire.peer)
                if origin.scheme == "https":
                    if proxy is not None:
                        self._tunnel(wire, proxy, origin)
                    return wire.secured(self._context(origin), origin.host)
                return wire
        except BaseException:
            wire.close()
            raise

    def _dial(self, origin: Origin) -> socket.socket:
        """A connection to the first address of ``origin`` that takes one and may be led to: the address that is checked is the one used."""
        patience, failure = self._access.patience, None
        for family, kind, protocol, _, address in socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM):
            self._check_address(origin, str(address[0]))
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(patience.connect)
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                failure = error
                continue
            return sock
        raise failure or ConnectionRefusedError("no address")

    def _check_address(self, origin: Origin, address: str) -> None:
        """Refuse what an answer must not make us do: ask services of this machine or its link on behalf of somebody outside."""
        if origin.host == self._host:
            wanted = "a loopback address" if origin.scheme == "http" and not self._access.plain_http else None
            refused = wanted is not None and not _is_local(address)
        else:
            wanted = "an address outside of this machine and its link"
            refused = _is_local(address) and not self._local and not self._is_proxy(origin)
        if refused:
            raise TransportError(f"{origin} must not be asked there", code=Code.REGISTRY_ORIGIN, found=address, wanted=wanted)

    def _is_proxy(self, origin: Origin) -> bool:
        return any(proxy.origin == origin for proxy in self._access.proxies.by_scheme.values())

    def _tunnel(self, wire: Wire, proxy: Proxy, origin: Origin) -> None:
        there = f"{f'[{origin.host}]' if ':' in origin.host else origin.host}:{origin.port}"
        fields = {"Host": there, "User-Agent": USER_AGENT} | ({"Proxy-Authorization": proxy.authorization} if proxy.authorization else {})
        wire.send(composed(f"CONNECT {there} HTTP/1.1", fields.items()))
        wire.allow(self._access.patience.connect)
        head = wire.head()
        if head.status != 200 or not wire.quiet():
            raise TransportError(
                f"the proxy {proxy.origin} does not lead to {origin}",
                code=Code.REGISTRY_UNREACHABLE,
                found=f"status {head.status}",
                next="check the proxy, or name what is reached without it in NO_PROXY",
            )

    def _context(self, origin: Origin) -> ssl.SSLContext:
        if origin not in self._contexts:
            access = self._access
            skip = access.insecure_skip_tls_verify and origin.host == self._host
            self._contexts[origin] = tls.context(origin, ca_file=access.ca_file, folders=access.certs_folders, verify=not skip)
        return self._contexts[origin]


def _length(body: Body | bytes | None) -> int:
    return len(body or b"") if isinstance(body, bytes | None) else body.length


def _is_local(text: str) -> bool:
    """Whether an address is this machine's own or its link's: loopback, 169.254.0.0/16 with the metadata services, 0.0.0.0."""
    address = address_of(text)
    return address is None or address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast
