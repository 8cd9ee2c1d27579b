"""A command in whose process the k-th write, fsync, rename, read, send or receive goes wrong, and the product knows nothing of it.

    with Injector.opened(folder) as injector:
        ended = injector.run(Fault("write", "full", 3), "export", …)
        assert ended.fired and ended.exit == 7

As a program (``python -m tests.support.faults``) it is the process that has the command loaded already, and whose forks
are the ones that fail: each costs what the command costs. What a system call is replaced by counts first and asks the
system then, so that a fault is what the kernel would do: an error, fewer bytes than asked for, none, or an end without warning.
"""

import builtins
import errno
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALL = os.environ.get("OCI_BUNDLER_FAULTS") == "all"
ERRORS = {"error": errno.EIO, "full": errno.ENOSPC, "reset": errno.ECONNRESET}
KINDS = {
    "write": ("error", "full", "short", "kill"),
    "sync": ("error", "full", "kill"),
    "rename": ("error", "full", "kill"),
    "read": ("error", "short", "cut", "kill"),
    "send": ("reset", "cut", "kill"),
    "receive": ("reset", "short", "cut", "kill"),
}
INTERRUPT = "interrupt"
"""Ctrl-C while the call is made, which comes to pass all the same."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, how, and at which of the calls, counted from 1. A full disk stays full; all else passes."""

    kind: str
    how: str
    at: int


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code or negative signal, whether the fault came, and what it said."""

    exit: int
    fired: bool
    err: str
    out: str


@dataclass
class Injector:
    """One run at a time."""

    process: subprocess.Popen[str]
    folder: Path
    injected: int = 0
    """How many faults came."""
    fired: bool = True
    """Whether the last one that was asked for came."""

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, **environ: str) -> Iterator["Injector"]:
        root = str(Path(__file__).parents[2])
        environment = {**os.environ, **environ, "PYTHONPATH": root, "PYTHONWARNINGS": "error"}
        command = [sys.executable, "-m", "tests.support.faults"]
        with subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
            yield cls(process, folder)
            assert process.stdin
            process.stdin.close()

    def until_it_does_not_come(self, kind: str, how: str) -> Iterator[Fault]:
        """The fault at the first call, and at later ones as long as there is a run that it comes to: at each with :data:`ALL`."""
        at, self.fired = 1, True
        while self.fired:
            yield Fault(kind, how, at)
            at = at + 1 if ALL else at * 4

    def failed(self, fault: Fault, *words: object) -> Ended:
        """A run with that fault, which is counted, and is never told by a traceback."""
        ended = self.run(fault, *words)
        self.fired = ended.fired
        self.injected += ended.fired
        assert "Traceback" not in ended.err, (fault, ended)
        return ended

    def run(self, fault: Fault | None, *words: object) -> Ended:
        assert self.process.stdin
        assert self.process.stdout
        told = {
            "words": [str(word) for word in words],
            "fault": fault and [fault.kind, fault.how, fault.at],
            "out": str(self.folder / "out"),
            "err": str(self.folder / "err"),
        }
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        exit_code, fired = json.loads(self.process.stdout.readline())
        return Ended(exit_code, fired, (self.folder / "err").read_text(), (self.folder / "out").read_text())


# --- inside the process ---


class Saboteur:
    """Counts the calls of one kind, and spoils the one that it waits for."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.fired = False
        self._lock = threading.Lock()

    def strikes(self, kind: str) -> bool:
        """Whether this call is the one. A kill does not return."""
        if kind != self.fault.kind:
            return False
        with self._lock:
            self.seen += 1
            strikes = self.seen == self.fault.at or (self.fault.how == "full" and self.seen > self.fault.at)
            self.fired |= strikes
        if strikes and self.fault.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if strikes and self.fault.how == INTERRUPT:
            os.kill(os.getpid(), signal.SIGINT)
            return False
        if strikes and self.fault.how in ERRORS:
            number = ERRORS[self.fault.how]
            raise OSError(number, os.strerror(number))
        return strikes

    def fewer(self, size: int) -> int:
        """How many bytes are allowed where ``size`` were asked for."""
        return 0 if self.fault.how == "cut" else max(1, size // 2)

    def install(self) -> None:
        self._calls("sync", "fsync", "fdatasync")
        self._calls("rename", "replace", "rename", "link", "mkdir")
        self._reads()
        self._files()
        self._sockets()

    def _calls(self, kind: str, *names: str) -> None:
        for name in names:
            _replace((os, name, self._call(kind, getattr(os, name))))

    def _call(self, kind: str, genuine: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.strikes(kind)
            return genuine(*arguments, **named)

        return call

    def _reads(self) -> None:
        pread, preadv, read = os.pread, os.preadv, os.read

        def spoiled(file: int, views: list[memoryview], offset: int) -> int:
            return preadv(file, [view[: self.fewer(len(view))] for view in views] if self.strikes("read") else views, offset)

        _replace((os, "preadv", spoiled))
        os.pread = lambda file, size, offset: pread(file, self.fewer(size) if self.strikes("read") else size, offset)
        os.read = lambda file, size: read(file, self.fewer(size) if self.strikes("read") else size)

    def _files(self) -> None:
        saboteur = self
        pwrite = os.pwrite

        def shortened(file: int, data: memoryview, offset: int) -> int:
            return pwrite(file, data[: self.fewer(len(data))] if self.strikes("write") else data, offset)

        _replace((os, "pwrite", shortened))

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                view = memoryview(data)
                return super().write(view[: saboteur.fewer(len(view))] if saboteur.strikes("write") else view)

            def readinto(self, view: Any) -> int:
                return super().readinto(memoryview(view)[: saboteur.fewer(len(view))] if saboteur.strikes("read") else view)

            def readall(self) -> bytes:
                data = super().readall()
                return data[: saboteur.fewer(len(data))] if saboteur.strikes("read") else data

        genuine = builtins.open

        def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
            if mode not in ("rb", "wb", "xb", "ab") or rest:
                return genuine(file, mode, buffering, *rest, **named)
            raw = Raw(file, mode[:1], **{name: value for name, value in named.items() if name in ("closefd", "opener")})
            if buffering == 0:
                return raw
            return io.BufferedReader(raw) if mode == "rb" else io.BufferedWriter(raw)

        _replace((builtins, "open", opened), (io, "open", opened), (os, "fdopen", opened))

    def _sockets(self) -> None:
        saboteur = self
        recv_into_ = socket.socket.recv_into

        def spoiled(genuine: Callable[..., Any]) -> Callable[..., Any]:
            def send(sock: socket.socket, data: Any, *flags: int) -> Any:
                if saboteur.strikes("send"):
                    genuine(sock, memoryview(data)[: len(data) // 2], *flags)
                    sock.shutdown(socket.SHUT_RDWR)
                    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
                return genuine(sock, data, *flags)

            return send

        def recv_into(sock: socket.socket, view: Any, *rest: int) -> int:
            if saboteur.strikes("receive"):
                size = saboteur.fewer(len(view)) if saboteur.fault.how == "cut" else 1
                return recv_into_(sock, memoryview(view)[:size], *rest) if size else 0
            return recv_into_(sock, view, *rest)

        genuine = socket.socket
        _replace(
            (genuine, "sendall", spoiled(genuine.sendall)), (genuine, "send", spoiled(genuine.send)), (genuine, "recv_into", recv_into)
        )


def _replace(*calls: tuple[object, str, Callable[..., object]]) -> None:
    """Another function under that name; of what we need, it takes only what the product gives it."""
    for owner, name, ours in calls:
        setattr(owner, name, ours)


def main() -> None:
    """Reads what to run, a line each; says how each ended."""
    time.sleep = lambda _: None  # between tries nothing is waited for
    import bundler.cli.export  # noqa: PLC0415
    import bundler.cli.extract  # noqa: PLC0415
    import bundler.cli.import_  # noqa: PLC0415
    import bundler.cli.journal  # noqa: PLC0415
    import bundler.cli.station  # noqa: PLC0415
    import bundler.cli.status  # noqa: PLC0415
    import bundler.cli.verify  # noqa: PLC0415
    import bundler.stations.exporter  # noqa: PLC0415
    import bundler.stations.extractor  # noqa: PLC0415
    import bundler.stations.importer  # noqa: PLC0415
    import bundler.stations.recording  # noqa: PLC0415
    import bundler.stations.status  # noqa: F401, PLC0415

    for line in sys.stdin:
        told = json.loads(line)
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            _child(told, theirs)
        os.close(theirs)
        with os.fdopen(ours, "rb") as pipe:
            fired = pipe.read() == b"fired"
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps([ended, fired or ended == -signal.SIGKILL]), flush=True)  # noqa: T201 - the answer


def _child(told: Any, report: int) -> None:
    from bundler.cli.main import main as command  # noqa: PLC0415

    out, err = (os.open(told[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) for name in ("out", "err"))
    null = os.open(os.devnull, os.O_RDWR)
    for number, file in enumerate((null, out, err)):
        os.dup2(file, number)
    saboteur = Saboteur(Fault(*told["fault"]) if told["fault"] else Fault("", "", 0))
    write, leave = os.write, os._exit
    saboteur.install()
    code = 1
    try:
        command(told["words"])
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        write(report, b"fired" if saboteur.fired else b"quiet")
        leave(code)


if __name__ == "__main__":
    main()
