"""Our own command beside the peers, run as a person runs it, in a folder with keys and trust of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop.peers import PeerError

TOOL = (sys.executable, "-m", "bundler")
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Station:
    """A folder where the command is run; its trust lies in ``trust``, which is used only where it is named."""

    folder: Path

    def run(self, *arguments: str | Path, exit: int = 0, env: Mapping[str, str] | None = None) -> dict[str, Any]:  # noqa: A002
        """What the command printed with ``--json``. Any other exit code than ``exit`` is a ``PeerError``."""
        command = [*TOOL, *map(str, arguments), "--json"]
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if ran.returncode != exit:
            words = " ".join(command[3:])
            raise PeerError(f"oci-bundler {words}\nended with {ran.returncode}, wanted {exit}\n{ran.stdout[:20000]}\n{ran.stderr}")
        said: dict[str, Any] = json.loads(ran.stdout)
        return said

    def keygen(self, name: str, *, kind: str = "p256") -> Path:
        """``NAME.key`` and ``NAME.pub``; gives the path of the private one."""
        self.run("keygen", name, "--no-password", "--type", kind)
        return self.folder / f"{name}.key"

    def trusts(self, *, seal: Path, image: Path, node: str = "reference", attestation: str | None = None, folder: str = "trust") -> Path:
        """A trust folder: this key seals everything, and images need a signature by that one."""
        asked = ("--attestation", attestation) if attestation else ()
        self.run("trust", "init", folder)
        self.run("trust", "add", folder, "--seal", "default", "--scope", "**", "--key", seal)
        self.run("trust", "add", folder, "--image", "**", "--key", image, "--node", node, *asked)
        return self.folder / folder


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the command sees: no proxy, no trust of this machine's; the package from wherever it is run."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"} | dict(more or {})
