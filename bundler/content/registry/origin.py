"""Where a request goes, and what may follow from an answer that names another place. Pure.

An *origin* is scheme, host and port (RFC 6454). Credentials of a registry go to one origin: the registry's. An answer
that names another place is obeyed only so far:

* A **redirect** is followed where something is read (a blob, a manifest, a list of referrers), without credentials, and never
  from https to http; what comes is checked as ever. Where it leads to another registry, that is asked for a token as anybody
  is. Nothing that changes a registry is led elsewhere, and nobody there decides what is asked at home with our credentials.
* An **upload** stays at its origin.
* A **token service** (the ``realm`` of a Bearer challenge) is shown the login, so it must be the registry's own. It may
  lie on the registry's host at any port; at the *site*, which is the registry's host without its first label
  (registry.gitlab.com → gitlab.com), or anywhere below it (registry-1.docker.io → auth.docker.io); or on a host that
  the user listed (``--token-host``), there at the port that was listed or, without one, at any. A site has two labels or
  more and is not a public suffix of the form ``co.uk``; an address has none.
  This needs no list of public suffixes, and has a limit: where tenants share a parent (``TENANT.azurecr.io``), a
  registry could name a neighbour. It gains nothing that a Basic challenge of its own would not have given it.
"""

import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urljoin, urlsplit

MAX_URL = 8 << 10  # signed storage URLs with session tokens take 2 to 4 KiB
PORTS = {"http": 80, "https": 443}

_VISIBLE = re.compile(r"[!-~]*", re.ASCII)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_PLACE = re.compile(r"[!-~]*?/v2/([!-~]+)/((?:blobs|manifests|referrers)/[!-.0-~]+)", re.ASCII)
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_USER, _BEHIND = re.compile(r"//[^/]*@"), re.compile(r"[?#]")
_SHARED = frozenset(["ac", "co", "com", "edu", "go", "gob", "gov", "gv", "ltd", "me", "mil", "ne", "net", "nom", "or", "org", "plc", "sch"])
"""Second-level names that registries of countries give out below: co.uk, com.au, or.jp."""


class MalformedError(ValueError):
    """Something in an answer is not of the form that its specification gives it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host in lower case without brackets, port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, scheme: str, authority: str) -> "Origin":
        """From ``HOST[:PORT]``, an IPv6 host in brackets. Raises MalformedError."""
        return Url.parse(f"{scheme}://{authority}/").origin

    @property
    def authority(self) -> str:
        """``HOST[:PORT]`` as the Host header has it: no port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether its name says that it is this machine."""
        address = address_of(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Url:
    """An origin, and path and query as they stand in a request line."""

    origin: Origin
    target: str

    @classmethod
    def parse(cls, text: str) -> "Url":
        """An absolute http or https URL of visible ASCII, without user, password and fragment. Raises MalformedError."""
        _check_characters(text)
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise MalformedError(f"the URL {place_of(text)} is not well-formed") from error
        if parts.scheme not in PORTS:
            raise MalformedError(f"the URL {place_of(text)} is neither http nor https")
        if "@" in parts.netloc or "#" in text:
            raise MalformedError(f"the URL {place_of(text)} holds a user or a fragment")
        if not (_NAME.fullmatch(host) or _is_ipv6(host)) or port == 0:
            raise MalformedError(f"the URL {place_of(text)} names no host")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(Origin(parts.scheme, host, port or PORTS[parts.scheme]), target)

    def join(self, location: str) -> "Url":
        """What ``location``, relative or absolute, names in an answer from here. Raises MalformedError."""
        _check_characters(location)
        if not location:
            raise MalformedError("a location is empty")
        try:
            return Url.parse(urljoin(str(self), location))
        except MalformedError:
            raise
        except ValueError as error:
            raise MalformedError(f"the location {place_of(location)} is not well-formed") from error

    def with_query(self, name: str, value: str) -> "Url":
        """With one more parameter, the others as they are."""
        return replace(self, target=f"{self.target}{'&' if '?' in self.target else '?'}{name}={quote(value, safe='')}")

    @property
    def path(self) -> str:
        """The target without its query, which may hold what is not for messages."""
        return self.target.partition("?")[0]

    @property
    def place(self) -> tuple[str, str] | None:
        """The repository, and what of it is asked for, as ``manifests/latest``; None where it is not a path that registries have."""
        match = _PLACE.fullmatch(unquote(self.path))
        return (match[1], match[2]) if match else None

    def names(self, what: str) -> bool:
        """Whether it asks a registry for ``what``, as ``manifests/latest``, in whichever repository."""
        return self.place is not None and self.place[1] == what

    @property
    def names_document(self) -> bool:
        """Whether it asks a registry for a manifest or a list of referrers."""
        return self.place is not None and not self.place[1].startswith("blobs/")

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


def may_ask_for_tokens(registry: Origin, realm: Origin, *, listed: frozenset[str] = frozenset()) -> bool:
    """Whether the token service ``realm`` may be shown the login for ``registry``: the rule at the top of this module."""
    if realm.scheme != "https" and not (registry.scheme == "http" and realm.loopback == registry.loopback):
        return False
    return not listed.isdisjoint((realm.host, realm.authority)) or realm.host == registry.host or _same_site(registry.host, realm.host)


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that ``host`` spells; None for a name. An IPv4 address inside IPv6 is the IPv4 one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def shown(text: str) -> str:
    """Foreign text for a message: escaped, and the beginning of it."""
    return ascii(text[:200])


def place_of(url: str) -> str:
    """A foreign URL for a message: without user, query and fragment, which may hold what is not for messages."""
    return shown(_USER.sub("//", _BEHIND.split(url, maxsplit=1)[0]))


def _same_site(registry: str, realm: str) -> bool:
    if address_of(registry) or address_of(realm):
        return False
    site = registry.partition(".")[2]
    first, dot, rest = site.partition(".")
    if not dot or (first in _SHARED and "." not in rest and len(rest) == 2):
        return False
    return realm == site or realm.endswith(f".{site}")


def _check_characters(text: str) -> None:
    if len(text) > MAX_URL:
        raise MalformedError(f"a URL has {len(text)} characters, above {MAX_URL}")
    if not _VISIBLE.fullmatch(text) or "\\" in text:
        raise MalformedError(f"the URL {place_of(text)} holds characters that no URL holds")


def _is_ipv6(host: str) -> bool:
    return ":" in host and address_of(host) is not None and "%" not in host
