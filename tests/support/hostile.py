"""Hostile bundles and layouts: each a good one with one defect, how each must end, and what holds whatever it is.

The catalogue (docs/hostile-cases.md) numbers the cases; ``tests/hostile/catalogue`` makes them, one function a case:

    CASES = Cases()

    @CASES.case("TAR-041", "a character device", Code.FORMAT_TAR)
    def _() -> Parts: ...

Bundles are made of the parts of tests/support/making.py, where every step of making one can be changed; they are sealed by whoever
may seal, and their images are signed, unless that is the defect. So each is the worst that a thief of all keys but the
station's own rules could send.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bundler import strictjson
from bundler.bundle.seal import Kind
from bundler.errors import Code
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support import making
from tests.support.bundle_vectors import VECTORS
from tests.support.looks import SECOND, Looks
from tests.support.making import Parts, Plain, base
from tests.support.station import Ran, Watched, run

ROOT = Path(__file__).parents[2]
MEMORY = 128 << 20
"""What the worst bundle may take beside what the process has: half of INV-3, which counts the interpreter too."""
LONGEST = 10 * SECOND
"""What a run with the worst may take of a processor, in looks at a character: ten seconds of one of today."""
REFUSED = {vector.name: vector for vector in VECTORS if vector.exit}
EXITS = {
    "usage": 2,
    "format": 3,
    "limit": 3,
    "content": 4,
    "base": 6,
    "blob": 6,
    "image": 6,
    "image.moved": 4,
}  # all else is 5, or a failed check of an image, which comes to the same


Make = Callable[[], bytes | Parts]
Folder = Callable[[], dict[str, bytes]]
"""Makes the files of a layout, by name."""


@dataclass(frozen=True)
class Case:
    """A numbered defect, and how every reading of it ends: None where it is none in version 1."""

    id: str
    words: str
    code: Code | None
    make: Make
    folder: Folder | None = None
    """Makes the folder of an OCI layout, to be exported, where it is not a bundle."""

    where: str = ""
    """Where else it is tested, or why it cannot be made: then there is nothing to make here."""

    @property
    def name(self) -> str:
        return f"{self.id} {self.words}"

    @property
    def is_bundle(self) -> bool:
        """Whether it is run as a bundle, and neither elsewhere nor as a folder."""
        return self.folder is None and (self.code is not None or not self.where)

    @property
    def exit(self) -> int:
        return EXITS.get(self.code, EXITS.get(self.code.partition(".")[0], 5)) if self.code else 0

    def file(self) -> bytes:
        made = self.make()
        return made if isinstance(made, bytes) else made.file()


class Cases(list[Case]):
    """The cases of one family, in the order of their numbers."""

    def case(self, id: str, words: str, code: Code | None) -> Callable[[Make], Make]:  # noqa: A002
        def remember(make: Make) -> Make:
            self.append(Case(id, words, code, make))
            return make

        return remember

    def add(self, id: str, words: str, code: Code | None, make: Make) -> None:  # noqa: A002
        self.append(Case(id, words, code, make))

    def folder(self, id: str, words: str, code: Code | None, make: Folder) -> None:  # noqa: A002
        self.append(Case(id, words, code, _nothing, make))

    def vector(self, id: str, words: str, name: str) -> None:  # noqa: A002
        """A case that is a bundle vector already."""
        where = f"tests/vectors/invalid/{name}"
        self.append(Case(id, words, REFUSED[name].code, (ROOT / f"{where}.oci.tar.zst").read_bytes, where=where))

    def elsewhere(self, id: str, words: str, where: str) -> None:  # noqa: A002
        """A case that has a test of another kind: ``path::function``."""
        self.append(Case(id, words, None, _nothing, where=where))

    def cannot(self, id: str, words: str, why: str) -> None:  # noqa: A002
        """A case that version 1 cannot express."""
        self.append(Case(id, words, None, _nothing, where=why))


def _nothing() -> bytes:
    raise NotImplementedError


# --- parts that many cases spoil ---


def fold(edit: Callable[[bytes], bytes], *, number: int = -1) -> Parts:
    """The base with one of its records another; what the seal says of it stays."""
    return replace(base(), records=making.at(number, edit))


def mended(block: bytes) -> bytes:
    """A header with the checksum that belongs to it."""
    return block[:148] + b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:])) + block[156:]


def signed_by_all(raw: bytes, *, index: bool = False) -> Parts:
    """A bundle of an image whose root is ``raw``, wherever it is named: listed, signed and sealed as if it were good."""
    plain = Plain()
    image = plain.index("hello") if index else plain.image("hello")
    return swapped(plain, image, raw)


def swapped(plain: Plain, image: Document, raw: bytes) -> Parts:
    """The bundle of ``image``, with ``raw`` as its root."""
    parts = plain.parts({making.APP: plain.signed(image, about=Digest.of(raw))}).naming(raw, for_=image.digest)
    return parts.editing("images", lambda images: images[0].update(size=len(raw))).indexing(0, size=len(raw))


def manifest_saying(edit: Callable[[dict[str, Any]], Any]) -> Parts:
    """A bundle of an image whose manifest was edited, and signed after that."""
    return _saying(Plain().image("hello"), edit, index=False)


def index_saying(edit: Callable[[dict[str, Any]], Any]) -> Parts:
    """A bundle of an image index that was edited, and signed after that."""
    return _saying(Plain().index("hello"), edit, index=True)


def _saying(image: Document, edit: Callable[[dict[str, Any]], Any], *, index: bool) -> Parts:
    value = json.loads(image.raw)
    changed = edit(value)
    return signed_by_all(strictjson.dumps(value if changed is None else changed), index=index)


def layout_of(index: bytes, files: Mapping[str, bytes | None] | None = None) -> dict[str, bytes]:
    """The folder of a good layout, with another index.json and other files; None takes one away."""
    parts = base()
    kept = {member.path: parts.files[member.path] for member in parts.members if member.kind not in (Kind.DOCKER, Kind.TRUST)}
    changed = {**kept, "index.json": index, **(files or {})}
    return {name: data for name, data in changed.items() if data is not None}


def good_index() -> dict[str, Any]:
    """index.json of the good layout, as a value."""
    value: dict[str, Any] = json.loads(base().files["index.json"])
    return value


# --- the invariants ---


@dataclass(frozen=True)
class Station:
    """Where hostile bundles arrive: a trust folder, a registry behind it, and files that nobody may touch."""

    folder: Path
    there: Watched

    @property
    def trust(self) -> Path:
        return self.folder / "trust"

    def refuses(self, case: Case) -> None:
        """Let it arrive in every way, and hold each end against the catalogue and the invariants."""
        medium = self.folder / "medium"
        medium.mkdir()
        bundle = medium / "app.oci.tar.zst"
        bundle.write_bytes(case.file())
        before, asked, named, used = everything(self.folder), len(self.there.changes), len(self.there.named), Used()
        first = self.run("verify", bundle, "--json")
        again = self.run("verify", bundle, "--json")
        spoken = self.run("verify", bundle)
        imported = self.run("import", bundle, f"{self.there.host}/{Digest.of(case.name.encode()).encoded}", "--json")
        inspected = run("inspect", bundle, "--json")
        for ran in (first, again, spoken, imported, inspected):
            self._well_spoken(ran)
        assert used.memory() < MEMORY  # INV-3
        assert used.looks() < LONGEST * 5  # INV-4, of five runs
        assert (first.exit, case.code in reasons(first) or case.code is None) == (case.exit, True), (first, case.code)
        assert (again.exit, again.out) == (first.exit, first.out)  # INV-12
        assert spoken.exit == first.exit
        if case.code is None:
            return
        assert (imported.exit, case.code in reasons(imported)) == (case.exit, True), imported  # INV-11
        assert inspected.exit in (0, 3, 4)
        assert self.there.named[named:] == []  # INV-2
        assert first.exit in (3, 4) or self.there.changes[asked:] == []
        assert everything(self.folder) == before  # INV-1, -5, -7, -10

    def refuses_to_export(self, case: Case) -> None:
        """The same for the folder of a layout, which the connected side reads."""
        medium = self.folder / "medium"
        assert case.folder is not None
        for name, data in case.folder().items():
            path = medium / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        key = ROOT / "tests/vectors/keys/sealer.key"
        before, used = everything(self.folder), Used()
        verified = self.run("verify", f"oci:{medium}:@0", "--json")
        exported = run("export", f"oci:{medium}:@0", "-o", self.folder / "out.oci.tar.zst", "--key", key, "--json")
        for ran in (verified, exported):
            self._well_spoken(ran)
        assert used.memory() < MEMORY
        assert used.looks() < LONGEST * 2
        assert (exported.exit, case.code in reasons(exported) or case.code is None) == (case.exit, True), (exported, case.code)
        assert verified.exit in (0, 5, case.exit)  # where nothing will be carried, layers are not read
        if case.code is not None:
            assert everything(self.folder) == before

    def run(self, *words: object) -> Ran:
        return run(*words, "--trust", self.trust)

    def _well_spoken(self, ran: Ran) -> None:
        """INV-6: an end that was foreseen, told in plain characters and no more than it takes."""
        assert ran.exit in (0, 2, 3, 4, 5, 6), ran
        for text in (ran.out, ran.err):
            assert "Traceback" not in text
            assert _PLAIN.fullmatch(text), ascii(text)
        assert len(ran.err) < 20_000


_PLAIN = re.compile(r"[\n\x20-\x7e\u2010-\u2027]*")


def reasons(ran: Ran) -> list[str]:
    """Every reason code that a run gave."""

    def within(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for name, member in value.items():
                if name == "code" and isinstance(member, str):
                    yield member
                elif name == "reasons":
                    yield from (each if isinstance(each, str) else each["code"] for each in member)
                else:
                    yield from within(member)
        elif isinstance(value, list):
            for each in value:
                yield from within(each)

    return list(within(ran.json))


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Each file below, with its mode and the digest of its bytes; the registry's own folder is the registry's affair."""
    return {
        str(path): (path.lstat().st_mode, hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


class Used:
    """The memory at its peak, and the time of the processor, that were taken since this was made."""

    def __init__(self) -> None:
        with open("/proc/self/clear_refs", "w") as file:  # noqa: PTH123 - the kernel forgets the peak so far
            file.write("5")
        self._memory, self._looks = _resident("VmRSS"), Looks()

    def memory(self) -> int:
        """In bytes."""
        return _resident("VmHWM") - self._memory

    def looks(self) -> float:
        """At so many characters a loop would have looked: the same on a machine that is slower, or does much else."""
        return self._looks.taken()


def _resident(what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) << 10
