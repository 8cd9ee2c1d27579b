"""The options that several commands share, under the names that skopeo, oras and cosign give them."""

import functools
import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import click

from bundler.cli.terminal import Terminal, escaped
from bundler.content.files import read_small
from bundler.errors import Code, FormatError, UsageError, translated
from bundler.oci.descriptor import Platform
from bundler.oci.digest import Digest
from bundler.stations.reach import Reach


class Password(Protocol):
    """Gives the passphrase of a key file when it is needed."""

    def __call__(self, key: str, *, new: bool = False) -> bytes: ...


P = ParamSpec("P")
R = TypeVar("R")

MAX_PASSWORD = 4096  # bytes: registries' tokens are passwords too, and have a kilobyte or two
MAX_PASSPHRASE = 1023  # bytes: OpenSSL takes no more

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,5})([hdwy])", re.ASCII)
_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "y": 365 * 24}


def terminal(function: Callable[..., R]) -> Callable[..., R]:
    """``--json -q -v --color``, given to the command as ``out``."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, for scripts.")
    @click.option("-q", "--quiet", is_flag=True, help="Only the first line of the result.")
    @click.option("-v", "--verbose", count=True, help="More about what is done, on stderr.")
    @click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True, help="Colour.")
    @functools.wraps(function)
    def wrapped(*, as_json: bool, quiet: bool, verbose: int, color: str, **rest: Any) -> R:
        return function(out=Terminal.of(json=as_json, quiet=quiet, verbose=verbose, color=color), **rest)

    return wrapped


def network(function: Callable[..., R]) -> Callable[..., R]:
    """How registries are reached, given to the command as ``reach``."""

    @click.option("--authfile", type=click.Path(path_type=Path), metavar="FILE", help="Credentials, as docker and podman write them.")
    @click.option("--username", metavar="NAME", help="User name at the registry; the password comes from --password-stdin.")
    @click.option("--password-stdin", is_flag=True, help="Read the password from stdin.")
    @click.option("--plain-http", is_flag=True, help="Speak http, not https. Loopback addresses may do so without this.")
    @click.option("--insecure-skip-tls-verify", is_flag=True, help="Accept any certificate of the registry.")
    @click.option("--ca-file", type=click.Path(path_type=Path), metavar="FILE", help="Certificates of authorities to accept, PEM.")
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
        jobs: int,
        **rest: Any,
    ) -> R:
        password = _password_from_stdin(username) if password_stdin else None
        if username is not None and password is None:
            raise UsageError("--username stands alone", wanted="--password-stdin beside it", code=Code.USAGE_PASSWORD)
        reach = Reach(
            authfile=authfile,
            username=username,
            password=password,
            plain_http=plain_http,
            insecure_skip_tls_verify=insecure_skip_tls_verify,
            ca_file=ca_file,
            jobs=jobs,
        )
        return function(reach=reach, **rest)

    return wrapped


def jobs(function: Callable[P, R]) -> Callable[P, R]:
    return click.option("-j", "--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="How much is done at once.")(
        function
    )


def passphrase(function: Callable[..., R]) -> Callable[..., R]:
    """Where the passphrase of a private key comes from, given to the command as ``password``; never from the command line."""

    @click.option("--password-file", type=click.Path(path_type=Path), metavar="FILE", help="Passphrase of the key, first line of FILE.")
    @functools.wraps(function)
    def wrapped(*, password_file: Path | None, **rest: Any) -> R:
        return function(password=functools.partial(_passphrase, password_file), **rest)

    return wrapped


trust = click.option(
    "--trust",
    "trust_folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The station's trust; else $OCI_BUNDLER_TRUST, $XDG_CONFIG_HOME/oci-bundler/trust, /etc/oci-bundler/trust.",
)


def time_of(text: str) -> datetime:
    """A time as RFC 3339 spells it, or a date, which is its first second in UTC. Raises UsageError."""
    try:
        if _TIME.fullmatch(text) or _DAY.fullmatch(text):
            return datetime.fromisoformat(text.upper() if _TIME.fullmatch(text) else f"{text}T00:00:00Z").astimezone(UTC)
    except (ValueError, OverflowError):
        pass  # a day that no month has falls through to the same words
    raise UsageError("a time is not well-formed", found=ascii(text), wanted="2026-11-22T12:00:00Z or 2026-11-22")


def after(start: datetime, text: str) -> datetime:
    """The time ``90d``, ``12h``, ``6w`` or ``1y`` after ``start``. Raises UsageError."""
    if not (got := _DURATION.fullmatch(text)) or int(got[1]) == 0:
        raise UsageError("a duration is not well-formed", found=ascii(text), wanted="a number and h, d, w or y, as 90d")
    try:
        return start + timedelta(hours=int(got[1]) * _HOURS[got[2]])
    except OverflowError:
        raise UsageError("a duration is too long", found=ascii(text), wanted="one that ends before the year 10000") from None


def platform_of(text: str) -> Platform:
    """``OS/ARCH[/VARIANT]``. Raises UsageError."""
    with translated(FormatError, to=UsageError, what=f"{text!a} is no platform", code=Code.USAGE):
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
        "what came from stdin is no password", code=Code.USAGE_PASSWORD, wanted=f"a line of UTF-8, at most {MAX_PASSWORD} bytes"
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
