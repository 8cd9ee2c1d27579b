"""The embedded registry killed at any step of what is pushed to it, or its machine."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bundler.oci.digest import Digest
from bundler.serving.repository import StoredManifest
from bundler.serving.storage import Storage
from tests.support.layouts import Content

REPO = "team/app"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def content() -> Content:
    return Content()


class KilledError(BaseException):
    """From here on this process does nothing."""


class Steps:
    """Lets ``left`` operations on files be done, and none after them."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.done = 0

    def before(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            if self.done >= self.left:
                raise KilledError
            self.done += 1
            return operation(*arguments, **named)

        return stepped

    def before_creating(self, opening: Callable[..., int]) -> Callable[..., int]:
        creating = self.before(opening)

        def stepped(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
            return (creating if flags & os.O_CREAT else opening)(path, flags, *arguments, **named)

        return stepped

    def patch(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("replace", "unlink", "mkdir", "rmdir", "fsync"):
            patch.setattr(os, name, self.before(getattr(os, name)))
        patch.setattr(os, "open", self.before_creating(os.open))


class Told:
    """What was answered, by name, None for gone; and what the request under way may change."""

    def __init__(self) -> None:
        self.facts: dict[str, str | None] = {}
        self.under_way: set[str] = set()

    @contextmanager
    def asking(self, **changes: str | None) -> Iterator[None]:
        self.under_way = set(changes)
        yield
        self.facts |= changes
        self.under_way = set()


def crossing(folder: Path, content: Content, told: Told) -> None:
    """Pushes, moves a tag and deletes."""
    with closing(Storage(folder)) as opened:
        repository = opened.repository(REPO)
        one, two = content.image("one"), content.image("two")
        for document, tags in ((one, ["v1", "v0"]), (content.artifact(b"sbom", subject=one), []), (two, ["v1"])):
            for blob in document.blobs:
                with told.asking(**{str(blob.digest): "blob"}):
                    upload = opened.begin(REPO, algorithm="sha256")
                    upload.append([content.blobs[blob.digest]])
                    opened.keep(upload, blob.digest)
                    repository.add(blob.digest)
            subject = document.subject.digest if document.subject else None
            manifest = StoredManifest(document.digest, document.descriptor.media_type, document.raw)
            with told.asking(**{str(document.digest): "manifest"}, **dict.fromkeys(tags, str(document.digest))):
                assert repository.push(manifest, needs=[b.digest for b in document.blobs], subject=subject, tags=tags) == []
        with told.asking(v1=None):
            assert repository.drop_tag("v1")
        with told.asking(**{str(one.digest): None, "v0": None}):
            assert repository.drop_manifest(one.digest, subject=None)
        with told.asking(**{str(two.blobs[0].digest): None}):
            assert repository.drop(two.blobs[0].digest)


def shown(folder: Path) -> dict[str, str | None]:
    """What a registry that begins anew shows; it is whole."""
    opened = Storage(folder)
    found: dict[str, str | None] = {}
    repository = opened.repository(REPO)
    for path in (folder / "repositories" / REPO).glob("_blobs/*/*"):
        digest = Digest(path.parent.name, path.name)
        if (file := repository.open(digest)) is not None:
            with file:
                assert Digest.of(file.read()) == digest
            found[str(digest)] = "blob"
    for path in (folder / "repositories" / REPO).glob("_manifests/*/*"):
        digest = Digest(path.parent.name, path.name)
        manifest = repository.open_manifest(digest)
        assert manifest is not None
        media_type, file = manifest
        with file:
            raw = file.read()
        members = json.loads(raw)
        assert (Digest.of(raw), media_type) == (digest, members["mediaType"])
        if "subject" in members:
            assert digest in repository.referrers(Digest.parse(members["subject"]["digest"]))
        found[str(digest)] = "manifest"
    for tag in repository.tags():
        named = repository.resolve(tag)
        assert named is not None
        assert repository.has_manifest(named)
        found[tag] = str(named)
    assert list((folder / "uploads").iterdir()) == []
    opened.close()
    return found


def test_killed_at_any_step_it_lost_nothing_and_shows_nothing_half(tmp_path: Path, content: Content) -> None:
    kills = 0
    while True:
        folder, told, steps = tmp_path / str(kills), Told(), Steps(kills)
        with pytest.MonkeyPatch.context() as patch:
            steps.patch(patch)
            with suppress(KilledError):
                crossing(folder, content, told)
        now = shown(folder)
        after = {name: now.get(name) for name in told.facts if name not in told.under_way}
        assert after == {name: value for name, value in told.facts.items() if name in after}, f"killed before step {kills}"
        if steps.done < kills:
            break
        kills += 1
    assert kills > 100


def test_a_file_is_named_when_it_is_synced_and_told_when_its_name_is(
    folder: Path, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str]] = []
    real = {name: getattr(os, name) for name in ("replace", "fsync", "open", "unlink", "mkdir")}

    def lies(descriptor: int) -> str:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())

    def replace(source: str, name: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        done.append(("name", lies(dst_dir_fd)))
        real["replace"](source, name, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def fsync(descriptor: int) -> None:
        done.append(("sync folder" if Path(lies(descriptor)).is_dir() else "sync", lies(descriptor)))
        real["fsync"](descriptor)

    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT and dir_fd is not None:
            done.append(("empty", lies(dir_fd)))
        descriptor: int = real["open"](path, flags, mode, dir_fd=dir_fd)
        return descriptor

    def unlink(name: str, *, dir_fd: int) -> None:
        real["unlink"](name, dir_fd=dir_fd)
        done.append(("gone", lies(dir_fd)))

    def mkdir(name: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        real["mkdir"](name, mode, dir_fd=dir_fd)
        if dir_fd is not None:
            done.append(("made", lies(dir_fd)))

    for patched in (replace, fsync, unlink, mkdir):
        monkeypatch.setattr(os, patched.__name__, patched)
    monkeypatch.setattr(os, "open", opened)
    crossing(folder, content, Told())
    aside = {str(folder / "uploads"), str(folder)}
    named = [(at, kind, parent) for at, (kind, parent) in enumerate(done) if kind in {"name", "empty"} and parent not in aside]
    assert len(named) > 20
    for at, kind, parent in named:
        assert kind == "empty" or [step for step in done[:at] if step != ("sync folder", parent)][-1][0] in {"sync", "sync folder"}
        assert done[at + 1] == ("sync folder", parent)
    for kind in ("made", "gone"):
        changed = [at for at, (did, parent) in enumerate(done) if did == kind and parent not in aside and "/_tagged/" not in parent]
        assert changed
        assert all(done[at + 1] == ("sync folder", done[at][1]) for at in changed)
