"""Ctrl-C, the system's signals, kill -9, and folders that go: nothing half-done has a name, and the same command goes on."""

import errno
import hashlib
import itertools
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bundler.serving.exchange import Request
from tests.support.nursery import Nursery
from tests.support.station import Crossing, Image, Watched, ran, run, spawned, tags_of

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOST = 240  # seconds that one side waits for the other; a test that passes never reaches them


class Gate:
    """Holds the first request that ``when`` is true of, until the test has done what it wants."""

    def __init__(self, server: Watched, when: Callable[[Request], bool]) -> None:
        self._when = when
        self.reached, self.open = threading.Event(), threading.Event()
        server.before = self

    def __call__(self, request: Request) -> None:
        if self._when(request) and not self.reached.is_set():
            self.reached.set()
            self.open.wait(MOST)


def is_blob(request: Request) -> bool:
    return "/blobs/" in request.path


def leftovers(folder: Path, name: str) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith((name, ".oci-bundler"))]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("cache", [False, True], ids=["plain", "with a cache"])
def test_an_interrupted_export_ends_with_130_and_leaves_nothing(number: signal.Signals, cache: bool, crossing: Crossing) -> None:
    image = crossing.signed_image()
    words = ["export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json"]
    words += ["--cache", crossing.folder / "cache"] if cache else []
    gate = Gate(crossing.here, is_blob)
    process = spawned(*words)
    assert gate.reached.wait(MOST)
    process.send_signal(number)
    done = ran(process)
    gate.open.set()
    assert (done.exit, done.code) == (130, "interrupted")
    assert set(done.json["error"]) == {"code", "exit", "what", "found", "wanted", "next"}
    goes_on = "the same command goes on" if cache else "with --cache DIR a run that was cut goes on where it stopped"
    assert goes_on in done.json["error"]["next"]
    assert goes_on in done.err
    assert leftovers(crossing.folder, "b") == []
    assert run(*words).exit == 0


def test_what_a_killed_export_left_is_removed_by_the_next_and_what_runs_is_left_alone(crossing: Crossing) -> None:
    image = crossing.signed_image()
    words = ["export", image.reference, "--key", crossing.keys["exporter"]]
    gate = Gate(crossing.here, is_layer_of(image))
    killed = spawned(*words, "-o", crossing.folder / "killed")
    assert gate.reached.wait(MOST)
    killed.kill()
    ran(killed)
    gate.open.set()
    left = leftovers(crossing.folder, "killed")
    assert len(left) == 3
    gate = Gate(crossing.here, is_layer_of(image))
    running = spawned(*words, "-o", crossing.folder / "running")
    assert gate.reached.wait(MOST)
    done = run(*words, "-o", crossing.folder / "next")
    assert done.exit == 0
    assert "killed run" not in done.err  # the one that runs has removed it
    assert len(leftovers(crossing.folder, "running")) == 3
    assert not set(left) & set(leftovers(crossing.folder, "running"))
    gate.open.set()
    ended = ran(running)
    assert ended.exit == 0
    assert "removed what a killed run had left: 3 hidden files" in ended.err
    assert leftovers(crossing.folder, ".oci-bundler") == []


@pytest.mark.parametrize("replace", [[], ["--replace"]])
def test_of_two_exports_to_one_name_one_is_whole(replace: list[str], crossing: Crossing) -> None:
    """The one that ends last is refused, or replaces all of the other's."""
    image = crossing.signed_image()
    words = ["export", image.reference, "--key", crossing.keys["exporter"], "-o", crossing.folder / "b", *replace]
    gate = Gate(crossing.here, is_layer_of(image))
    slow = spawned(*words, "--stream", "slow")
    assert gate.reached.wait(MOST)
    assert run(*words, "--stream", "quick").exit == 0
    before = {end: (crossing.folder / f"b{end}").read_bytes() for end in ("", ".sha256", ".sha256.sig")}
    gate.open.set()
    done = ran(slow)
    after = {end: (crossing.folder / f"b{end}").read_bytes() for end in before}
    assert done.exit == (0 if replace else 8)
    assert [before[end] == after[end] for end in before] == [not replace] * 3
    assert after[".sha256"].split()[0] == hashlib.sha256(after[""]).hexdigest().encode()


def is_layer_of(image: Image) -> Callable[[Request], bool]:
    return lambda request: str(image.root.blobs[1].digest) in request.path


@contextmanager
def mounted(folder: Path, *how: str) -> Iterator[None]:
    """``mount`` on the folder, which this machine's root alone may do, and not everywhere."""
    made = subprocess.run(["mount", *how, folder], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("instead", [False, True], ids=["and nothing comes", "and another comes instead"])
def test_an_export_whose_folder_is_moved_away_leaves_all_as_it_was(instead: bool, crossing: Crossing) -> None:
    image = crossing.signed_image()
    folder, moved = crossing.folder / "out", crossing.folder / "moved"
    folder.mkdir()
    words = ["export", image.reference, "--key", crossing.keys["exporter"], "-o", folder / "b", "--replace", "--json"]
    assert run(*words, "--stream", "before").exit == 0
    before = files(folder)
    gate = Gate(crossing.here, is_layer_of(image))
    running = spawned(*words)
    assert gate.reached.wait(MOST)
    folder.rename(moved)
    if instead:
        folder.mkdir()
        for name, data in before.items():
            (folder / name).write_bytes(data)
    gate.open.set()
    done = ran(running)
    assert (done.exit, done.code) == (7, "disk.io")
    assert {name: data for name, data in files(moved).items() if name in before} == before
    assert not instead or files(folder) == before
    assert run(*words[:4], "-o", moved / "b", "--replace").exit == 0
    assert files(moved).keys() == before.keys()


@pytest.mark.parametrize("replace", [False, True])
def test_an_export_whose_folder_becomes_read_only_leaves_all_as_it_was(replace: bool, crossing: Crossing) -> None:
    image, folder = crossing.signed_image(), crossing.folder / "out"
    folder.mkdir()
    words = ["export", image.reference, "--key", crossing.keys["exporter"], "-o", folder / "b", "--json"]
    words += ["--replace"] if replace else []
    if replace:
        assert run(*words, "--stream", "before").exit == 0
    before = files(folder)
    gate = Gate(crossing.here, is_layer_of(image))
    running = spawned(*words)
    assert gate.reached.wait(MOST)
    try:
        with mounted(folder, "--bind", str(folder)):
            subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
            gate.open.set()
            done = ran(running)
    finally:
        gate.open.set()
        running.kill()
        running.communicate()
    assert (done.exit, done.code) == (7, "disk.io")
    assert done.json["error"]["found"] == os.strerror(errno.EROFS)
    assert {name: data for name, data in files(folder).items() if not name.startswith(".oci-bundler-")} == before
    assert run(*words).exit == 0
    assert files(folder).keys() == {"b", "b.sha256", "b.sha256.sig"}


@pytest.mark.parametrize("replace", [False, True])
def test_whatever_room_a_disk_has_an_export_leaves_all_three_as_they_were_or_all_new(replace: bool, crossing: Crossing) -> None:
    image, page = crossing.signed_image(), os.sysconf("SC_PAGE_SIZE")
    words = ["export", image.reference, "--key", crossing.keys["exporter"], "--json"]
    assert run(*words, "-o", crossing.folder / "new").exit == 0
    disk, seen = crossing.folder / "disk", set()
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", f"size={64 * page}", "tmpfs"):
        for room in itertools.count():
            folder = disk / str(room)
            folder.mkdir()
            if replace:
                assert run(*words, "-o", folder / "b", "--stream", "before").exit == 0
            before = files(folder)
            free = os.statvfs(disk).f_bavail - room
            (disk / "filler").write_bytes(bytes(free * page))
            done = run(*words, "-o", folder / "b", *(["--replace"] if replace else []))
            (disk / "filler").unlink()
            after = files(folder)
            if done.exit == 0:
                assert after.keys() == {"b", "b.sha256", "b.sha256.sig"}
                assert after["b.sha256"].split()[0] == hashlib.sha256(after["b"]).hexdigest().encode()
                break
            assert (done.exit, done.code) == (7, "disk.full"), room
            assert after == before, room
            seen.add(done.json["error"]["wanted"] is None)
            for path in folder.iterdir():
                path.unlink()
    assert seen == {True, False}  # told by the plan, and by the disk itself


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("phase", ["asking", "blobs", "manifests", "tag"])
def test_an_interrupted_import_ends_with_130_and_goes_on(phase: str, number: signal.Signals, crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    phases: dict[str, Callable[[Request], bool]] = {
        "asking": lambda request: request.method == "GET" and request.path.endswith("/v1"),
        "blobs": lambda request: request.method == "POST" and "/uploads/" in request.path,
        "manifests": lambda request: request.method == "PUT" and request.path.endswith(".sig"),
        "tag": lambda request: request.method == "PUT" and request.path.endswith("/manifests/v1"),
    }
    gate = Gate(crossing.there, phases[phase])
    process = spawned("import", bundle, crossing.there.host, "--trust", crossing.trust)
    assert gate.reached.wait(MOST)
    process.send_signal(number)
    done = ran(process)
    crossing.there.before = lambda _: None
    gate.open.set()
    assert done.exit == 130
    assert "interrupted: what was not whole yet has no name; the same command goes on where this one stopped" in done.err
    assert "Traceback" not in done.err
    if phase != "tag":
        assert "v1" not in crossing.arrived(image).tags()
    assert crossing.import_(bundle).exit == 0
    assert tags_of(crossing.arrived(image))["v1"] == image.root.digest


def test_a_signal_that_is_ignored_stays_ignored(crossing: Crossing) -> None:
    """As under nohup."""
    image = crossing.signed_image()
    words = ["export", image.reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"]]
    gate = Gate(crossing.here, is_blob)
    process = spawned(*words, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert gate.reached.wait(MOST)
    process.send_signal(signal.SIGHUP)
    gate.open.set()
    assert ran(process).exit == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_export_killed_at_every_request_never_leaves_half_a_bundle_and_gives_the_same_bytes_in_the_end(tmp_path: Path) -> None:
    with Crossing(tmp_path) as crossing, Nursery.opened(SOURCE_DATE_EPOCH="1767225600") as nursery:
        root = crossing.sign(crossing.content.index("words", ["linux/amd64"]))
        crossing.attach(root)
        image = crossing.push(root)
        words = ["export", image.reference, "--key", crossing.keys["exporter"], "--cache", tmp_path / "cache"]
        assert run(*words, "-o", tmp_path / "whole", env={"SOURCE_DATE_EPOCH": "1767225600"}).exit == 0
        whole = (tmp_path / "whole").read_bytes()
        for at in range(1, 500):
            out = tmp_path / f"out-{at}"
            out.mkdir()
            cache = ["--cache", out / "cache"] if at % 2 else []
            numbers, last = itertools.count(1), [0]
            victim = nursery.bear(*words[:4], *cache, "-o", out / "b")

            def kill(_: Request, numbers: Iterator[int] = numbers, last: list[int] = last, victim: int = victim, at: int = at) -> None:
                last[0] = number = next(numbers)  # each number once, though requests come side by side
                if number == at:
                    os.kill(victim, signal.SIGKILL)

            crossing.here.before = kill
            ended = nursery.let_run()
            crossing.here.before = lambda _: None
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
            assert not (out / "b").exists()
            assert [name for name in leftovers(out, "b") if not name.startswith(".oci-bundler-")] == []
            assert nursery.run(*words[:4], *cache, "-o", out / "b") == 0
            assert (out / "b").read_bytes() == whole
        else:
            pytest.fail("it is killed each time")
        assert last[0] > 20


def test_two_imports_at_once_both_end_well(crossing: Crossing) -> None:
    """F-056: the same images, and others of the same repository, at the same time."""
    root = crossing.sign(crossing.content.index())
    crossing.attach(root)
    image = crossing.push(root)
    one = crossing.export(image, to="one")
    two = crossing.export(crossing.push(root, "team/app:v2"), to="two")
    processes = [spawned("import", bundle, crossing.there.host, "--trust", crossing.trust) for bundle in (one, two, one)]
    assert [ran(process).exit for process in processes] == [0, 0, 0]
    named = tags_of(crossing.arrived(image))
    assert (named["v1"], named["v2"]) == (root.digest, root.digest)


def test_two_extracts_to_one_layout_at_once_list_what_both_brought(crossing: Crossing) -> None:
    images = [crossing.signed_image(f"team/{name}:v1", words=name) for name in ("one", "two")]
    bundle, target = crossing.export(*images), f"oci:{crossing.folder / 'out'}"
    words = [("extract", bundle, image.reference, "--to", target, "--trust", crossing.trust) for image in images]
    processes = [spawned(*each) for each in words]
    assert [ran(process).exit for process in processes] == [0, 0]
    for image in images:
        assert crossing.run("verify", f"{target}:{image.reference}").exit == 0
    assert leftovers(crossing.folder / "out", ".oci-bundler") == []
