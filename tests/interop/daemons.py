"""Daemons that keep images by themselves, each with a folder of its own and no network."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.peers import READY_WITHIN, absent

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"

_CONTAINERD = """
version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "{0}/socket"
"""


@contextmanager
def containerd(folder: Path) -> Iterator[Path]:
    """A containerd without Kubernetes' part; gives its socket."""
    (folder / "config.toml").write_text(_CONTAINERD.format(folder))
    with _serving("containerd", ["--config", str(folder / "config.toml")], folder):
        yield folder / "socket"


@contextmanager
def dockerd(folder: Path, *more: str) -> Iterator[Path]:
    """A dockerd that sets up no network, with these flags ``more``; gives its socket."""
    places = {
        "--data-root": folder / "data",
        "--exec-root": folder / "exec",
        "--pidfile": folder / "pid",
        "--host": f"unix://{folder}/socket",
    }
    flags = [str(word) for place in places.items() for word in place]
    with _serving("dockerd", [*flags, "--iptables=false", "--bridge=none", "--storage-driver=vfs", *more], folder):
        yield folder / "socket"


def need_root(name: str) -> None:
    """Without it the test is skipped: what these do needs namespaces and mounts."""
    if os.geteuid() != 0:
        pytest.skip(f"{name} needs root")


@contextmanager
def _serving(name: str, flags: list[str], folder: Path) -> Iterator[None]:
    """The daemon runs while the block does; where this machine does not let it, the test is skipped and says why."""
    path = shutil.which(name, path=PATH)
    if path is None:
        absent(f"{name} is not here; Debian packages it")
    need_root(name)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([path, *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        give_up = time.monotonic() + READY_WITHIN
        while not (folder / "socket").exists() and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.05)
        if not (folder / "socket").exists():
            pytest.skip(f"{name} cannot run here: {(folder / 'log').read_text(errors='replace')[-300:]}")
        yield
    finally:
        process.terminate()
        process.wait(timeout=120)
