"""Which peers written in Go the tests want, and where each lies once it is built.

A peer is a folder beside this file: its ``go.mod`` names the command in a ``tool`` line, and its ``go.sum``
pins every byte that goes in. A built peer lies in a folder named by both, so that another pin is another place
and nothing stale is ever run.
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
    [tool] = re.findall(r"^tool (\S+)$", (TOOLS / peer / "go.mod").read_text(), re.MULTILINE)
    return tool


def binary(peer: str) -> Path:
    """Where this very pin of the peer lies, or will lie, built; ``$OCI_BUNDLER_PEERS`` moves them all."""
    pin = hashlib.sha256((TOOLS / peer / "go.mod").read_bytes() + (TOOLS / peer / "go.sum").read_bytes()).hexdigest()
    return cache() / pin[:16] / peer


def cache() -> Path:
    """The folder of all that is built."""
    chosen = os.environ.get("OCI_BUNDLER_PEERS")
    if chosen:
        return Path(chosen)
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "oci-bundler/peers"
