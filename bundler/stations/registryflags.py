"""How registries are reached, as a command line says it. It loads nothing, so that ``--help`` stays fast."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RegistryFlags:
    """What the flags of a run say of registries."""

    authfile: Path | None
    username: str | None
    password: str | None = field(repr=False)
    plain_http: bool
    insecure_skip_tls_verify: bool
    ca_file: Path | None
    token_hosts: tuple[str, ...]
    """``HOST[:PORT]`` each, as they were written."""
    jobs: int
    absent_is_403: tuple[str, ...] = ()
    """``HOST[:PORT]`` each, as they were written."""
