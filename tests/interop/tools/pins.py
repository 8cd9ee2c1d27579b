"""Which peers written in Go the tests want, and where each lies once it is built.

A peer is a folder beside this file: its ``go.mod`` names the command in a ``tool`` line, and its ``go.sum``
pins every byte that goes in. Where the peer is a library, the command is a file beside them. A built peer lies in a folder
named by all of these, so that another pin is another place and nothing stale is ever run.
"""

import hashlib
import os
import re
from pathlib import Path

TOOLS = Path(__file__).parent


def peers() -> list[str]:
    """The peers that are pinned here, by name."""
    return sorted(pin.parent.name for pin in TOOLS.glob("*/go.mod"))


def package(peer: str) -> str:
    """The Go package of the peer's command."""
    named: list[str] = re.findall(r"^tool (\S+)$", (TOOLS / peer / "go.mod").read_text(), re.MULTILINE)
    [tool] = named
    return tool


def is_library(peer: str) -> bool:
    """Whether the peer is a library, the first that its ``go.mod`` requires, and the command a file beside that."""
    return any((TOOLS / peer).glob("*.go"))


def binary(peer: str) -> Path:
    """Where this very pin of the peer lies, or will lie, built; ``$OCI_BUNDLER_PEERS`` moves them all."""
    pinned = [TOOLS / peer / "go.mod", TOOLS / peer / "go.sum", *sorted((TOOLS / peer).glob("*.go"))]
    pin = hashlib.sha256(b"".join(path.read_bytes() for path in pinned)).hexdigest()
    return cache() / pin[:16] / peer


def cache() -> Path:
    """The folder of all that is built."""
    chosen = os.environ.get("OCI_BUNDLER_PEERS")
    if chosen:
        return Path(chosen)
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "oci-bundler/peers"
