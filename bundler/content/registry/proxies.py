"""Proxies, as the environment names them. Pure: the environment is given.

``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``, in lower case too (which goes first). This machine itself is never
asked for through a proxy.
"""

import ipaddress
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from bundler.content.registry.origin import MalformedError, Origin, address_of
from bundler.errors import Code, UsageError


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is spoken to over http, and the login that it alone is shown."""

    origin: Origin
    authorization: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Proxies:
    """Through whom each origin is reached. Empty: everyone directly, as behind an air gap."""

    by_scheme: Mapping[str, Proxy] = field(default_factory=dict, hash=False)
    exempt: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Proxies":
        """Raises UsageError for a proxy that is not ``[http://][USER:PASSWORD@]HOST[:PORT]``."""
        named = {scheme: _variable(environ, f"{scheme}_proxy") for scheme in ("http", "https")}
        return cls(
            by_scheme={scheme: _proxy(text, f"{scheme}_proxy") for scheme, text in named.items() if text},
            exempt=tuple(item.strip().lower() for item in _variable(environ, "no_proxy").split(",") if item.strip()),
        )

    def reach(self, origin: Origin) -> Proxy | None:
        """The proxy for ``origin``; None to go directly."""
        if origin.loopback or any(_covers(item, origin) for item in self.exempt):
            return None
        return self.by_scheme.get(origin.scheme)


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _proxy(text: str, name: str) -> Proxy:
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        if parts.scheme != "http":
            raise MalformedError("it is not spoken to over http")
        origin = Origin.of("http", parts.netloc.rpartition("@")[2])
    except ValueError as error:
        # what was found may hold a password, so it is not shown
        raise UsageError(f"${name.upper()} is not a proxy that can be used", code=Code.USAGE, wanted="[http://]HOST[:PORT]") from error
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if parts.username else None
    return Proxy(origin, None if login is None else f"Basic {b64encode(login.encode()).decode()}")


def _covers(item: str, origin: Origin) -> bool:
    """An item of NO_PROXY: ``*``, a name and what is below it, an address, a network; perhaps with a port."""
    if item == "*":
        return True
    name, colon, port = item.rpartition(":")
    if colon and port.isdigit() and "]" not in port and (":" not in name or name.endswith("]")):
        if int(port) != origin.port:
            return False
        item = name
    item = item.strip("[]")
    address = address_of(origin.host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(item, strict=False)
        except ValueError:
            return False
    item = item.removeprefix("*").removeprefix(".")
    return origin.host == item or origin.host.endswith(f".{item}")
