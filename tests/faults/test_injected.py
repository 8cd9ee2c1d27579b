"""Every k-th write, fsync, rename, read, send and receive of export, verify, import and extract fails in turn.

After each: no wrong verdict, nothing half-visible, no file left by a run that could clean up, and the same command again
completes. ``make test`` takes k = 1, 4, 16, …; ``make faults`` takes every one until a run ends without the fault, and
prints how many there were.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from bundler.content.layout import Layout
from tests.support.faults import ALL, KINDS, Ended, Fault, Injector
from tests.support.layouts import Content, write_layout
from tests.support.station import Crossing, Image, faults, tags_of

EPOCH = {"SOURCE_DATE_EPOCH": "1704067200"}
pytestmark = [pytest.mark.timeout(1800 if ALL else 300)]
ALL_THREE = {f"app.oci.tar.zst{end}" for end in ("", ".sha256", ".sha256.sig")}
EVERY = [(kind, how) for kind, hows in KINDS.items() for how in hows]


@dataclass
class Place:
    """Two registries with an image, its bundle, and the process that fails."""

    crossing: Crossing
    image: Image
    bundle: Path
    injector: Injector
    numbers: Iterator[int] = field(default_factory=count)

    def run(self, fault: Fault, *words: object) -> Ended:
        ended = self.injector.failed(fault, *words)
        if not ended.fired:
            assert ended.exit == 0, (fault, ended)
        if fault.how == "short":
            assert ended.exit == 0, (fault, ended)  # F-026: fewer bytes than asked for are no error
        return ended

    def again(self, *words: object, wanted: int = 0) -> None:
        ended = self.injector.run(None, *words)
        assert ended.exit == wanted, (words, ended)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("faults")
    with Crossing(folder) as crossing, Injector.opened(folder, **EPOCH) as injector:
        root = crossing.content.index("words", ["linux/amd64", "linux/arm64"] if ALL else ["linux/amd64"])
        for document in crossing.content.below(root) if ALL else [root]:
            crossing.attach(crossing.sign(document))
        image = crossing.push(root)
        place = Place(crossing, image, folder / "good.oci.tar.zst", injector)
        place.again("export", image.reference, "-o", place.bundle, "--key", crossing.keys["exporter"])
        yield place
        if ALL:
            print(f"\n{injector.injected} faults injected")  # noqa: T201 - by ``pytest -s``, as make faults runs it


def ends(fault: Fault, ended: Ended) -> set[int]:
    """How a run may end to which that came: never in a verdict against what it reads, which is good."""
    if fault.how == "kill" and ended.fired:
        return {-9}
    return {0, 4, 7} | ({2} if fault.kind == "read" else set())


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.mark.parametrize("flag", ["--replace", "--cache"] if ALL else ["--cache"])
@pytest.mark.parametrize(("kind", "how"), EVERY)
def test_an_export_that_fails_anywhere_leaves_a_whole_bundle_or_none(place: Place, kind: str, how: str, flag: str) -> None:
    for fault in place.injector.until_it_does_not_come(kind, how):
        folder = place.crossing.folder / f"out-{next(place.numbers)}"
        folder.mkdir()
        bundle = folder / "app.oci.tar.zst"
        flags = (flag,) if flag == "--replace" else (flag, place.crossing.folder / f"cache-{folder.name}")
        words = ("export", place.image.reference, "-o", bundle, "--key", place.crossing.keys["exporter"], *flags)
        ended = place.run(fault, *words)
        assert ended.exit in ends(fault, ended), (fault, ended)
        if bundle.exists():
            assert bundle.read_bytes() == place.bundle.read_bytes(), fault
        if ended.exit == 0:
            assert left(folder) == ALL_THREE, (fault, ended)
        elif how == "kill":
            assert all(name.startswith(".oci-bundler-") or name in ALL_THREE for name in left(folder)), fault
        else:  # where something may be replaced, what has its name keeps it
            assert left(folder) <= (ALL_THREE if flag == "--replace" else set()), (fault, ended, left(folder))
        if ended.exit:
            place.again(*words, wanted=8 if bundle.exists() and flag != "--replace" else 0)  # what stands there is whole
            assert bundle.read_bytes() == place.bundle.read_bytes()


def is_of(bundle: bytes, found: dict[str, bytes]) -> bool:
    """Whether what stands beside the bundle is about it."""
    checksum = found.get("app.oci.tar.zst.sha256")
    return checksum is None or checksum.split()[0] == hashlib.sha256(bundle).hexdigest().encode()


@pytest.mark.parametrize(("kind", "how"), [(kind, how) for kind, how in EVERY if kind in ("write", "sync", "rename")])
def test_an_export_over_another_that_fails_anywhere_never_stands_beside_the_others_checksum(place: Place, kind: str, how: str) -> None:
    """The bundle that is replaced is of another stream, so that all three files differ."""
    words = ("export", place.image.reference, "--key", place.crossing.keys["exporter"])
    before = place.crossing.folder / f"before-{next(place.numbers)}"
    before.mkdir()
    place.again(*words, "-o", before / "app.oci.tar.zst", "--stream", "other")
    old = {path.name: path.read_bytes() for path in before.iterdir()}
    for at in count(1):
        fault, folder = Fault(kind, how, at), place.crossing.folder / f"over-{next(place.numbers)}"
        folder.mkdir()
        for name, data in old.items():
            (folder / name).write_bytes(data)
        replace = (*words, "-o", folder / "app.oci.tar.zst", "--replace")
        ended = place.run(fault, *replace)
        assert ended.exit in ends(fault, ended), (fault, ended)
        found = {path.name: path.read_bytes() for path in folder.iterdir() if path.name in ALL_THREE}
        bundle = found["app.oci.tar.zst"]
        assert bundle in (old["app.oci.tar.zst"], place.bundle.read_bytes()), fault
        assert is_of(bundle, found), fault
        if how not in ("kill", "full"):  # a disk on which no name can be given any more takes none back either
            assert found.keys() == ALL_THREE, fault
        assert ended.exit != 0 or bundle == place.bundle.read_bytes(), fault
        place.again(*words, "-o", folder / "next.oci.tar.zst")  # whoever writes there next puts it in order
        names = left(folder) - {f"next.oci.tar.zst{end}" for end in ("", ".sha256", ".sha256.sig")}
        assert names == ALL_THREE, (fault, names)
        found = {name: (folder / name).read_bytes() for name in names}
        assert is_of(found["app.oci.tar.zst"], found), fault
        if not ended.fired:
            break


@pytest.mark.parametrize(("kind", "how"), EVERY)
def test_an_import_that_fails_anywhere_leaves_nothing_half_visible_and_the_next_completes(place: Place, kind: str, how: str) -> None:
    for fault in place.injector.until_it_does_not_come(kind, how):
        prefix = f"in-{next(place.numbers)}"
        words = ("import", place.bundle, f"{place.crossing.there.host}/{prefix}", "--trust", place.crossing.trust, "-j", "2")
        ended = place.run(fault, *words)
        assert ended.exit in ends(fault, ended), (fault, ended)
        repository = place.crossing.arrived(place.image, prefix)
        assert faults(repository) == [], fault
        if ended.exit:
            if "v1" in tags_of(repository):
                assert repository.document(f"{place.image.root.digest.tag}.sig") is not None, fault
            place.again(*words)
        assert tags_of(repository)["v1"] == place.image.root.digest
        assert faults(repository) == []


def lacking(layout: Layout) -> list[str]:
    """What it lists and lacks."""
    documents = {entry.descriptor.digest: layout.document(entry.descriptor.digest) for entry in layout.entries}
    below = [child.digest for document in documents.values() if document for child in document.children]
    documents |= {digest: layout.document(digest) for digest in below}
    missing = [str(digest) for digest, document in documents.items() if document is None]
    blobs = [blob for document in documents.values() if document for blob in document.blobs]
    return missing + [str(blob.digest) for blob in blobs if not layout.has(blob)]


@pytest.mark.parametrize("there", [False, True], ids=["to a new folder", "to a layout"])
@pytest.mark.parametrize(("kind", "how"), [(kind, how) for kind, how in EVERY if kind in ("write", "sync", "rename", "read")])
def test_an_extract_that_fails_anywhere_lists_nothing_half_and_the_next_completes(place: Place, kind: str, how: str, there: bool) -> None:
    content, mine = Content(), "registry.example/mine:v1"
    for fault in place.injector.until_it_does_not_come(kind, how):
        folder = place.crossing.folder / f"extracted-{next(place.numbers)}"
        if there:
            write_layout(folder, content, {mine: content.image("mine")})
        words = ("extract", place.bundle, place.image.reference, "--to", f"oci:{folder}", "--trust", place.crossing.trust, "-j", "2")
        ended = place.run(fault, *words)
        assert ended.exit in ends(fault, ended), (fault, ended)
        verify = ("verify", f"oci:{folder}:{place.image.reference}", "--trust", place.crossing.trust)
        if (folder / "oci-layout").exists() and (folder / "index.json").exists():  # else nobody takes it for a layout
            with Layout.at(folder) as layout:
                assert lacking(layout) == [], fault
                assert set(layout.names()) <= {place.image.reference, mine}, fault
                assert not there or mine in layout.names(), fault
                listed = place.image.reference in layout.names()
            place.again(*verify, wanted=0 if listed else 6)
        if ended.exit:
            place.again(*words)
        place.again(*verify)
        with Layout.at(folder) as layout:
            assert lacking(layout) == [], fault
            assert set(layout.names()) == {place.image.reference} | ({mine} if there else set()), fault
        assert not list(folder.rglob(".oci-bundler-*")), fault


@pytest.mark.parametrize("how", KINDS["read"])
def test_a_verdict_on_a_medium_that_cannot_be_read_is_none(place: Place, how: str) -> None:
    before = place.bundle.read_bytes()
    words = ("verify", place.bundle, "--trust", place.crossing.trust)
    for fault in place.injector.until_it_does_not_come("read", how):
        ended = place.run(fault, *words)
        # where a file ends anyway, that it seems to end is no fault, and the verdict is the true one
        wanted = {"kill": {-9}, "short": {0}, "cut": {0, 2, 4, 7}, "error": {2, 7}}[how] if ended.fired else {0}
        assert ended.exit in wanted, (fault, ended)
        assert place.bundle.read_bytes() == before
    place.again(*words)
