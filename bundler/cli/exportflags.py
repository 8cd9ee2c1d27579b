"""What ``export`` is told about the bundle and about its images, in groups."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from bundler.cli import options
from bundler.errors import UsageError
from bundler.oci.descriptor import Platform
from bundler.oci.digest import Digest

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Label:
    """What the bundle shall say of itself, and what it may leave out, as a person wrote it."""

    stream: str
    sequence: int | None
    previous: str | None
    expires: str | None
    station: str | None
    requires_trust: int | None
    bases: tuple[Path, ...]
    base_keys: tuple[Path, ...]

    def expires_at(self, created: datetime) -> datetime | None:
        """Raises UsageError."""
        return options.after(created, self.expires) if self.expires else None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which parts of the images are wanted, and what may be missing of them, as a person wrote it."""

    platforms: tuple[str, ...]
    by_digest: bool
    left: tuple[str, ...]
    absent_is_403: tuple[str, ...]
    allow_unsigned: bool

    @property
    def chosen(self) -> list[Platform]:
        """Raises UsageError."""
        return [options.platform_of(text) for text in self.platforms]

    @property
    def leave(self) -> frozenset[Digest]:
        """Raises UsageError."""
        return frozenset(map(options.digest_of, self.left))


def label(function: Callable[..., R]) -> Callable[..., R]:
    """What the bundle says of itself, given to the command as ``label``."""

    @click.option("--stream", default="default", show_default=True, metavar="NAME", help="What line of bundles this is one of.")
    @click.option("--sequence", type=click.IntRange(0, (1 << 53) - 1), help="Its number; else the time of creation in milliseconds.")
    @click.option("--previous", metavar="FILE|sha256:…", help="The bundle before it in the stream.")
    @click.option("--expires", metavar="90d", help="How long it may be imported; no limit without this.")
    @click.option("--station", metavar="NAME", help="The only station that it is for.")
    @click.option(
        "--requires-trust",
        type=click.IntRange(1, (1 << 53) - 1),
        metavar="SERIAL",
        help="The least serial of the trust that a station judges it by.",
    )
    @click.option(
        "--base",
        "bases",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Leave out layers that this return file, receipt or earlier bundle says are there; repeatable.",
    )
    @click.option(
        "--base-key",
        "base_keys",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A public key; each base must be signed by one of these. Repeatable.",
    )
    @functools.wraps(function)
    def wrapped(
        *,
        stream: str,
        sequence: int | None,
        previous: str | None,
        expires: str | None,
        station: str | None,
        requires_trust: int | None,
        bases: tuple[Path, ...],
        base_keys: tuple[Path, ...],
        **rest: Any,
    ) -> R:
        if base_keys and not bases:
            raise UsageError("--base-key stands alone", wanted="--base FILE beside it")
        return function(label=Label(stream, sequence, previous, expires, station, requires_trust, bases, base_keys), **rest)

    return wrapped


def selection(function: Callable[..., R]) -> Callable[..., R]:
    """Which parts of the images are wanted, given to the command as ``selection``."""

    @click.option(
        "--platform",
        "platforms",
        multiple=True,
        metavar="OS/ARCH[/VARIANT]",
        shell_complete=options.completes(*options.PLATFORMS),
        help="Carry only this platform; repeatable.",
    )
    @click.option("--by-digest", is_flag=True, help="With --platform: carry its own manifest as NAME:TAG-OS-ARCH, not the index.")
    @click.option(
        "--absent-is-403", "absent_is_403", multiple=True, metavar="HOST", help="HOST answers 403 for tags that are not there; repeatable."
    )
    @click.option("--leave", "left", multiple=True, metavar="DIGEST", help="Go on without what of this digest cannot be read; repeatable.")
    @click.option("--allow-unsigned", is_flag=True, help="Carry images that nothing signed is about.")
    @functools.wraps(function)
    def wrapped(
        *,
        platforms: tuple[str, ...],
        by_digest: bool,
        left: tuple[str, ...],
        absent_is_403: tuple[str, ...],
        allow_unsigned: bool,
        **rest: Any,
    ) -> R:
        if by_digest and not platforms:
            raise UsageError("--by-digest is about single platforms", wanted="--platform OS/ARCH[/VARIANT] beside it")
        return function(selection=Selection(platforms, by_digest, left, absent_is_403, allow_unsigned), **rest)

    return wrapped
