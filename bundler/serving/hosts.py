"""Whom a request may be for.

A page in a browser can have its own name resolved to this machine ("DNS rebinding") and then ask the registry as if it
were its own server, with no firewall in between. Its requests name its own host, and are refused for it.
"""

import re
from collections.abc import Iterable
from contextlib import suppress

from bundler.content.registry.origin import MalformedError, Origin, address_of, shown
from bundler.errors import UsageError

_AUTHORITY = re.compile(r"[A-Za-z0-9._:\[\]-]{1,300}", re.ASCII)  # RFC 1035, 2.3.4: a name has 255 at most


class Hosts:
    """The names of loopback, the address that a request came to, the one that is listened on, and those that were named.

    A name serves at every port, since ports are forwarded; one that was named with a port only there.
    Raises UsageError for a name that is not well-formed.
    """

    def __init__(self, listen: str, names: Iterable[str] = ()) -> None:
        self._named = {_named(name) for name in names}
        with suppress(UsageError):  # what cannot stand in Host; whether it can be listened on is told elsewhere
            self._named.add(_named(f"[{listen}]" if ":" in listen else listen))

    def serves(self, authority: str, *, local: str) -> bool:
        """Whether ``HOST[:PORT]`` is one of them, for a request that came to the address ``local``. Raises MalformedError."""
        origin = _origin(authority)
        if origin.loopback or {(origin.host, None), (origin.host, origin.port)} & self._named:
            return True
        address = address_of(origin.host)
        return address is not None and address == address_of(local)  # mutant-equivalent without part 1: a request came to an address


def _named(text: str) -> tuple[str, int | None]:
    try:
        origin = _origin(text)
    except MalformedError as error:
        raise UsageError("--host is not well-formed", found=ascii(text[:200]), wanted="NAME or NAME:PORT, as registry.example") from error
    return origin.host, origin.port if text.endswith(f":{origin.port}") else None


def _origin(authority: str) -> Origin:
    if not _AUTHORITY.fullmatch(authority):
        raise MalformedError(f"the host is {shown(authority)}")
    return Origin.of("http", authority)
