"""The options that several commands share, under the names that skopeo, oras and cosign give them."""

import functools
import os
import re
import stat
import sys
from calendar import monthrange
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import click
from click.shell_completion import CompletionItem

from bundler.cli.commands import KEY, OUTPUT, REGISTRY, TRUST, Option
from bundler.cli.terminal import Terminal, escaped
from bundler.content.files import read_small
from bundler.errors import Code, FormatError, UsageError, translated
from bundler.oci.descriptor import Platform
from bundler.oci.digest import Digest
from bundler.stations.registryflags import RegistryFlags


class Password(Protocol):
    """Gives the passphrase of a key file when it is needed."""

    def __call__(self, key: str, *, new: bool = False) -> bytes: ...


P = ParamSpec("P")
R = TypeVar("R")

MAX_PASSWORD = 4096  # bytes: registries' tokens are passwords too, and have a kilobyte or two
MAX_PASSPHRASE = 1023  # bytes: OpenSSL takes no more

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,5})([hdwmy])", re.ASCII)
_HOURS = {"h": 1, "d": 24, "w": 7 * 24}
_MONTHS = {"m": 1, "y": 12}


def _in_section(section: str) -> Callable[..., Callable[[Callable[P, R]], Callable[P, R]]]:
    """``click.option`` for what ``--help`` shows in a section of its own."""
    return functools.partial(click.option, cls=Option, section=section)


_output, _registry, _key = map(_in_section, (OUTPUT, REGISTRY, KEY))


def terminal(function: Callable[..., R]) -> Callable[..., R]:
    """``--json -q -v --color``, given to the command as ``out``."""

    @_output("--json", "as_json", is_flag=True, help="One JSON object on stdout, for scripts.")
    @_output("-q", "--quiet", is_flag=True, help="Only the first line of the result.")
    @_output("-v", "--verbose", count=True, help="More about what is done, on stderr.")
    @_output("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True, help="Colour.")
    @functools.wraps(function)
    def wrapped(*, as_json: bool, quiet: bool, verbose: int, color: str, **rest: Any) -> R:
        return function(out=Terminal.of(json=as_json, quiet=quiet, verbose=verbose, color=color), **rest)

    return wrapped


def network(function: Callable[..., R]) -> Callable[..., R]:
    """How registries are reached, given to the command as ``reach``."""

    @_registry("--authfile", type=click.Path(path_type=Path), metavar="FILE", help="Credentials, as docker and podman write them.")
    @_registry("--username", metavar="NAME", help="User name at the registry; the password comes from --password-stdin.")
    @_registry("--password-stdin", is_flag=True, help="Read the password from stdin.")
    @_registry("--plain-http", is_flag=True, help="Speak http, not https. Loopback addresses may do so without this.")
    @_registry("--insecure-skip-tls-verify", is_flag=True, help="Accept any certificate of the registry.")
    @_registry("--ca-file", type=click.Path(path_type=Path), metavar="FILE", help="Certificates of authorities to accept, PEM.")
    @_registry("--token-host", "token_hosts", multiple=True, metavar="HOST", help="A token service elsewhere to trust with the login.")
    @jobs
    @functools.wraps(function)
    def wrapped(
        *,
        authfile: Path | None,
        username: str | None,
        password_stdin: bool,
        plain_http: bool,
        insecure_skip_tls_verify: bool,
        ca_file: Path | None,
        token_hosts: tuple[str, ...],
        jobs: int,
        **rest: Any,
    ) -> R:
        password = _password_from_stdin(username) if password_stdin else None
        if username is not None and password is None:
            raise UsageError("--username stands alone", wanted="--password-stdin beside it", code=Code.USAGE_PASSWORD)
        reach = RegistryFlags(
            authfile=authfile,
            username=username,
            password=password,
            plain_http=plain_http,
            insecure_skip_tls_verify=insecure_skip_tls_verify,
            ca_file=ca_file,
            token_hosts=token_hosts,
            jobs=jobs,
        )
        return function(reach=reach, **rest)

    return wrapped


def jobs(function: Callable[P, R]) -> Callable[P, R]:
    return _registry("-j", "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="How much is done at once.")(function)


def passphrase(function: Callable[..., R]) -> Callable[..., R]:
    """Where the passphrase of a private key comes from, given to the command as ``password``; never from the command line."""

    @_key("--password-file", type=click.Path(path_type=Path), metavar="FILE", help="Passphrase of the key, first line of FILE.")
    @functools.wraps(function)
    def wrapped(*, password_file: Path | None, **rest: Any) -> R:
        return function(password=functools.partial(_passphrase, password_file), **rest)

    return wrapped


trust = _in_section(TRUST)(
    "--trust",
    "trust_folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The station's trust; else $OCI_BUNDLER_TRUST, $XDG_CONFIG_HOME/oci-bundler/trust, /etc/oci-bundler/trust.",
)

station = _in_section(TRUST)(
    "--station",
    "station_folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="What the station remembers; else $OCI_BUNDLER_STATION, $XDG_STATE_HOME/oci-bundler/station, /var/lib/oci-bundler/station.",
)


earlier = click.option(
    "--from",
    "earlier",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="An earlier bundle, to take from it what this one leaves out; repeatable.",
)


PLATFORMS = tuple(f"linux/{name}" for name in ("386", "amd64", "arm/v6", "arm/v7", "arm64", "ppc64le", "riscv64", "s390x"))
"""Those that most images are made for. A shell puts them; any other may be typed."""


def completes(*words: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """What a shell may put for a value that begins like one of these."""
    return lambda _context, _parameter, begun: [word for word in words if word.startswith(begun)]


def completes_files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """What a shell may put for a value that can be a file's name, and other things too."""
    return click.Path().shell_complete(context, parameter, begun)


def warn_of_open_keys(out: Terminal, keys: Iterable[Path]) -> None:
    """Say which private keys others on this machine can read."""
    for key in keys:
        with suppress(OSError):  # it was opened a moment ago
            if (mode := key.stat().st_mode) & (stat.S_IRGRP | stat.S_IROTH):
                out.say(f"warning: others on this machine can read {key} (mode {stat.S_IMODE(mode):04o}); next: chmod 600 {key}")


def time_of(text: str) -> datetime:
    """A time as RFC 3339 spells it, or a date, which is its first second in UTC. Raises UsageError."""
    try:
        if _TIME.fullmatch(text) or _DAY.fullmatch(text):
            return datetime.fromisoformat(text.upper() if _TIME.fullmatch(text) else f"{text}T00:00:00Z").astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # a day that no month has falls through to the same words
    raise UsageError("a time is not well-formed", found=ascii(text), wanted="2026-11-22T12:00:00Z or 2026-11-22")


def after(start: datetime, text: str) -> datetime:
    """The time ``12h``, ``90d``, ``6w``, ``3m`` (months) or ``1y`` after ``start``. Raises UsageError.

    Months and years are those of the calendar; where the day is one that the month does not have, it is the last that it has.
    """
    if not (got := _DURATION.fullmatch(text)) or int(got[1]) == 0:
        raise UsageError("a duration is not well-formed", found=ascii(text), wanted="a number and h, d, w, m (months) or y, as 90d")
    count, unit = int(got[1]), got[2]
    try:
        if unit in _HOURS:
            return start + timedelta(hours=count * _HOURS[unit])
        years, month = divmod(start.month - 1 + count * _MONTHS[unit], 12)
        year = start.year + years
        return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        raise UsageError("a duration is too long", found=ascii(text), wanted="one that ends before the year 10000") from None


def platform_of(text: str) -> Platform:
    """``OS/ARCH[/VARIANT]``. Raises UsageError."""
    with translated(FormatError, to=UsageError, what=f"{text!a} is not a platform", code=Code.USAGE):
        return Platform.parse(text)


def digest_of(text: str) -> Digest:
    """``sha256:`` and 64 hex digits. Raises UsageError."""
    with translated(FormatError, to=UsageError, what=f"{text!a} is not a digest", code=Code.USAGE):
        return Digest.parse(text)


def _password_from_stdin(username: str | None) -> str:
    if username is None:
        raise UsageError("--password-stdin stands alone", wanted="--username beside it", code=Code.USAGE_PASSWORD)
    line = sys.stdin.buffer.readline(MAX_PASSWORD + 1)
    try:
        if len(line) <= MAX_PASSWORD:
            return line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        pass
    raise UsageError(
        "what came from stdin is not a password", code=Code.USAGE_PASSWORD, wanted=f"a line of UTF-8, at most {MAX_PASSWORD} bytes"
    )


def _passphrase(file: Path | None, key: str, *, new: bool = False) -> bytes:
    """From ``--password-file``, ``$OCI_BUNDLER_PASSWORD`` or a prompt, in this order; a ``new`` one is asked for twice."""
    if file is not None:
        lines = read_small(file, limit=MAX_PASSWORD, what="the password file").splitlines()
        given = lines[0] if lines else b""
    elif b"OCI_BUNDLER_PASSWORD" in os.environb:
        given = os.environb[b"OCI_BUNDLER_PASSWORD"]
    elif sys.stdin.isatty():
        answer: str = click.prompt(f"passphrase of {escaped(key)}", hide_input=True, err=True, confirmation_prompt=new)
        given = os.fsencode(answer)
    else:
        raise UsageError(
            f"{key} needs a passphrase and there is no terminal to ask at",
            code=Code.USAGE_PASSWORD,
            next="give --password-file FILE or set OCI_BUNDLER_PASSWORD",
        )
    if len(given) > MAX_PASSPHRASE:
        raise UsageError("the passphrase is too long", code=Code.USAGE_PASSWORD, wanted=f"at most {MAX_PASSPHRASE} bytes")
    if new and not given:
        raise UsageError("an empty passphrase protects nothing", code=Code.USAGE_PASSWORD, next="give one, or say --no-password")
    return given
