"""What runs an image: docker, containerd and podman, each with a folder of its own, and started as their users start them.

All three really pull from a registry, really unpack, and really start the process; nothing is simulated. A runtime *takes* an
image if the file of ``tests/support/tars`` came out of it, whether or not the kernel found it to be a program: that is more
than running it. The containers have no network, and the runtimes no way to any but loopback.
"""

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from tests.interop import daemons
from tests.interop.peers import CLOSED, LOOPBACK, READY_WITHIN, PeerError, program
from tests.support.tars import MARK, NAME

WITHIN = 120  # seconds; a run takes a third of one
_CGROUPS = Path("/sys/fs/cgroup")


class Taken(StrEnum):
    """What a runtime made of an image."""

    RAN = "ran"
    UNPACKED = "unpacked"
    REFUSED = "refused"


class Runtime(Protocol):
    """Something that runs images."""

    def take(self, reference: str) -> Taken:
        """What becomes of ``HOST/REPO@DIGEST``, pulled over plain http, of which the file is to be started."""
        ...


@dataclass(frozen=True)
class _Command:
    """A program that is asked for one run at a time."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.words, *words],
            env={"PATH": daemons.PATH, "LC_ALL": "C.UTF-8", "HTTP_PROXY": CLOSED, "NO_PROXY": LOOPBACK, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=WITHIN,
            check=False,
        )


def _made(ran: subprocess.CompletedProcess[str]) -> Taken:
    """The file was there if the program spoke, or if the system found it to be no program."""
    if "invalid reference" in ran.stderr:  # a test that asks wrongly would find everything refused
        raise PeerError(f"{' '.join(ran.args)}\n{ran.stderr}")
    if MARK in ran.stdout:
        return Taken.RAN
    if ran.returncode and "exec format error" in ran.stderr:
        return Taken.UNPACKED
    if not ran.returncode:
        raise PeerError(f"{' '.join(ran.args)}\nended with 0 and did not run the program\n{ran.stdout}{ran.stderr}")
    return Taken.REFUSED


@dataclass(frozen=True)
class Docker:
    """dockerd, through its own client."""

    command: _Command

    def take(self, reference: str) -> Taken:
        return _made(self.command("run", "--rm", "--pull=always", "--network=none", reference, f"/{NAME}"))


@dataclass(frozen=True)
class Containerd:
    """containerd, through ctr, which asks no more of an image than the daemon itself."""

    command: _Command
    number: Iterator[int] = field(default_factory=itertools.count)

    def take(self, reference: str) -> Taken:
        pulled = self.command("images", "pull", "--plain-http", "--snapshotter=native", reference)
        if pulled.returncode:
            return Taken.REFUSED
        container = f"c{next(self.number)}"
        return _made(
            self.command("run", "--rm", "--snapshotter=native", f"--cgroup={_cgroup()}/{container}", reference, container, f"/{NAME}")
        )


@dataclass(frozen=True)
class Podman:
    """podman, which has no daemon."""

    command: _Command

    def take(self, reference: str) -> Taken:
        flags = ("--rm", "--pull=always", "--tls-verify=false", "--network=none", f"--cgroup-parent={_cgroup()}")
        return _made(self.command("run", *flags, reference, f"/{NAME}"))


@contextmanager
def docker(folder: Path) -> Iterator[Docker]:
    """While the block runs."""
    client = program("docker")
    with _cgroups_removed(), daemons.dockerd(folder, f"--cgroup-parent={_cgroup()}") as socket:
        yield Docker(_Command((client,), {"DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(folder), "HOME": str(folder)}))


@contextmanager
def containerd(folder: Path) -> Iterator[Containerd]:
    """While the block runs."""
    client = program("ctr")
    with _cgroups_removed(), daemons.containerd(folder) as socket:
        yield Containerd(_Command((client, "--address", str(socket))))


_PODMAN = {
    # The file of locks is in shared memory otherwise; and what this process may open and start, its containers may not exceed.
    "containers.conf": """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "{0}/tmp"
[network]
network_config_dir = "{0}/net"
""",
    "storage.conf": '[storage]\ndriver = "vfs"\ngraphroot = "{0}/root"\nrunroot = "{0}/run"\n',
    "registries.conf": "",
    ".config/containers/policy.json": '{{"default": [{{"type": "insecureAcceptAnything"}}]}}',
}

_PODMAN_READS = {"CONF": "containers.conf", "STORAGE_CONF": "storage.conf", "REGISTRIES_CONF": "registries.conf"}


@contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """While the block runs."""
    command = program("podman")
    daemons.need_root("podman")
    for name, text in _PODMAN.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text.format(folder))
    environment = {f"CONTAINERS_{name}": str(folder / file) for name, file in _PODMAN_READS.items()}
    run = _Command((command,), environment | {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder)})
    try:
        with _cgroups_removed():
            yield Podman(run)
    finally:
        run("rm", "--all", "--force", "--time=0")


RUNTIMES: dict[str, Callable[[Path], AbstractContextManager[Runtime]]] = {"docker": docker, "containerd": containerd, "podman": podman}
"""Each as a context that takes an empty folder."""


def _cgroup() -> str:
    """Below which the containers of this process are, that they be found again."""
    return f"/oci-bundler-{os.getpid()}"


@contextmanager
def _cgroups_removed() -> Iterator[None]:
    """Runtimes leave the folder of the group above their containers' own; it goes once podman's monitors have ended."""
    try:
        yield
    finally:
        give_up = time.monotonic() + READY_WITHIN
        for group in (*_CGROUPS.glob(_cgroup()[1:]), *_CGROUPS.glob(f"*{_cgroup()}")):
            while any(path.read_text() for path in group.rglob("cgroup.procs")) and time.monotonic() < give_up:
                time.sleep(0.05)
            for below in sorted(group.glob("**/"), reverse=True):
                below.rmdir()
