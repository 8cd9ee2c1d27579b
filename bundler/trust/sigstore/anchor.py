"""The trusted roots that a station pins: the table ``[[root]]`` of ``trust.toml``."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bundler.errors import Code, UsageError
from bundler.oci.digest import Digest
from bundler.trust.addition import rendered
from bundler.trust.kind import Files, Section, file, usable
from bundler.trust.sigstore.root import TrustedRoot
from bundler.trust.sigstore.steps import Thresholds
from bundler.trust.table import Table

MAX_NEEDED = 32  # logs, timestamps or certificate timestamps: more than a signature may have

_NAMES = {"name", "file", "log", "timestamp", "sct"}
_PARTS = {"authorities": "authority", "logs": "log", "timestamp_authorities": "timestamp authority", "ct_logs": "certificate log"}


@dataclass(frozen=True, slots=True)
class Root:
    """A trusted root as a station pins it."""

    name: str
    trusted: TrustedRoot
    needed: Thresholds
    file: str
    """Where in the folder it lies."""
    table: str = "root"

    def to_json(self, files: Files) -> dict[str, Any]:
        parts = {part: [{"name": each.name, "window": str(each.window)} for each in getattr(self.trusted, part)] for part in _PARTS}
        return {
            "name": self.name,
            "file": self.file,
            "sha256": Digest.of(files[self.file]).encoded,
            "log": self.needed.log,
            "timestamp": self.needed.timestamp,
            "sct": self.needed.sct,
            **parts,
            "left_out": list(self.trusted.left_out),
        }

    def lines(self, files: Files) -> Iterator[str]:
        yield f"root   {self.name}: log {self.needed.log}, timestamp {self.needed.timestamp}, sct {self.needed.sct}"
        yield f"       {self.file}, sha256 {Digest.of(files[self.file]).encoded}"
        for part, word in _PARTS.items():
            yield from (f"       {word} {each.name}, {each.window}" for each in getattr(self.trusted, part))
        yield from (f"       cannot be used: {each}" for each in self.trusted.left_out)


def file_of(name: str) -> str:
    """Where in the folder the file of a root to be added goes."""
    return f"roots/{name}.json"


def render_root(*, name: str, file: str, log: int | None = None, timestamp: int | None = None, sct: int | None = None) -> str:
    """A ``[[root]]`` to append to ``trust.toml``; what is None is left to its default. Raises as :func:`addition.rendered`."""
    return rendered("root", {"name": name, "file": file, "log": log, "timestamp": timestamp, "sct": sct})


def _parse(table: Table, files: Files) -> Root:
    table.check_names(_NAMES)
    name = table.label("name")
    path = table.text("file")
    with usable(path):
        trusted = TrustedRoot.parse(file(files, path))
    needed = Thresholds(*(table.whole(of, 0, MAX_NEEDED, default=least) for of, least in (("log", 1), ("timestamp", 0), ("sct", 1))))
    there = {"log": len(trusted.logs), "timestamp": len(trusted.timestamp_authorities), "sct": len(trusted.ct_logs)}
    for of, wanted in (("log", needed.log), ("timestamp", needed.timestamp), ("sct", needed.sct)):
        if wanted > there[of]:
            raise UsageError(
                f"the root {name} asks for more than {path} has",
                code=Code.TRUST_FORM,
                found=f"{there[of]} of what {of} counts" + (f"; left out: {'; '.join(trusted.left_out)}" if trusted.left_out else ""),
                wanted=wanted,
                next=f"{of} = {there[of]} if this Sigstore has no more",
            )
    return Root(name, trusted, needed, path)


def _files(table: Table) -> Iterator[str]:
    yield table.text("file")


ROOTS = Section("root", _files, _parse)
