"""Files that get their names together, ended at every step: what is beside a file is about that file all the same."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bundler.content.together import tidy
from tests.support.files import NAMES, NEW, OLD, named, put, read, write

ROOT = Path(__file__).parents[2]

RACE = """
import sys
from pathlib import Path
from bundler.content.together import together
for number in range(40):
    with together(*(Path(sys.argv[1]) / name for name in ("out", "out.sum", "out.sum.sig")), replace=True) as files:
        for file in files:
            file.write(f"{sys.argv[2]} {number}".encode())
"""


def test_many_that_replace_at_once_never_mix(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    command = [sys.executable, "-c", RACE, str(tmp_path)]
    writers = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("one", "two", "three")]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert set(read(tmp_path)) == set(NAMES)
    assert len(set(read(tmp_path).values())) == 1


DRIVER = """
import errno, fcntl, json, os, signal, sys
from pathlib import Path
from bundler.content import files, together as module

how, has, replace, root = sys.argv[1], sys.argv[2], sys.argv[3] == "replace", Path(sys.argv[4])
contents = json.loads(sys.argv[5])

def end():
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how in ("signal", "signals"):
        os.kill(os.getpid(), signal.SIGTERM)
        return
    if how == "interrupt":
        raise KeyboardInterrupt
    error = errno.EROFS if how == "read-only" else errno.ENOSPC
    raise OSError(error, os.strerror(error))

def strikes(event, arguments):
    if event == "open":
        return how != "read-only" or bool(arguments[2] & (os.O_WRONLY | os.O_CREAT))
    return event in ("os.link", "os.rename") or (event == "os.remove" and how != "full")

def run(folder, step):
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if strikes(event, arguments):
            seen += 1
            if seen == step or (seen > step and (how in ("signals", "read-only") or how == "full" and event != "open")):
                end()
    def interrupted(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, interrupted)
    def no_links(*_, **__):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    if has in ("no links", "neither"):
        os.link = no_links
    if has in ("no locks", "neither"):
        fcntl.flock = no_locks
    sys.addaudithook(hook)
    try:
        with module.together(*(folder / name for name in contents), replace=replace) as opened:
            for file, text in zip(opened, contents.values()):
                file.write(text.encode())
    except KeyboardInterrupt:
        return 130
    except module.BundlerError as error:
        return error.exit
    return 0 if seen < step else 1

ended = []
while not ended or ended[-1]:
    folder = root / str(len(ended) + 1)
    child = os.fork()
    if not child:
        os._exit(run(folder, len(ended) + 1))
    ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert len(ended) < 200
print(json.dumps(ended))
"""

STEPS = 70  # more than there are


def ended_at_each_step(tmp_path: Path, how: str, has: str, replace: str) -> list[tuple[Path, int]]:
    """A folder for each step at which a run ended so, and how it ended; of links and locks, its file system ``has`` these."""
    for step in range(1, STEPS):
        put(tmp_path / str(step), OLD if replace else {})
    contents = json.dumps({name: data.decode() for name, data in NEW.items()})
    command = [sys.executable, "-c", DRIVER, how, has, replace, str(tmp_path), contents]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    assert 10 < len(ended) < STEPS
    return [(tmp_path / str(step), code) for step, code in enumerate(ended, 1)]


def is_one(found: dict[str, bytes], before: dict[str, bytes]) -> bool:
    """The main file is as it was or new, and nothing beside it is about another one; a file that is gone has none to be damaged."""
    main = found.get("out")
    of = {None: (OLD, NEW), OLD["out"]: (OLD,), NEW["out"]: (NEW,)}[main]
    return (main or before.get("out")) in (before.get("out"), NEW["out"]) and any(
        all(data == each[name] for name, data in found.items()) for each in of
    )


@pytest.mark.parametrize("replace", ["", "replace"])
@pytest.mark.parametrize("has", ["both", "no links"])
def test_a_kill_at_any_step_never_leaves_a_file_beside_what_is_about_another_and_the_next_run_puts_it_in_order(
    tmp_path: Path, has: str, replace: str
) -> None:
    before, seen = (OLD if replace else {}), set()
    for folder, code in ended_at_each_step(tmp_path, "kill", has, replace):
        found = named(folder)
        assert code in (-signal.SIGKILL, 0)
        assert is_one(found, before), folder
        if has == "both" and replace:
            assert "out" in found
        tidy(folder)
        assert read(folder) in (before, NEW), (folder, found.keys())
        seen.add(read(folder) == NEW)
        if read(folder) == before:
            write(folder, replace=bool(replace))
            assert read(folder) == NEW
    assert seen == {True, False}


@pytest.mark.parametrize("replace", ["", "replace"])
@pytest.mark.parametrize("has", ["no locks", "neither"])
def test_a_kill_where_there_are_no_locks_never_leaves_a_file_beside_what_is_about_another(tmp_path: Path, has: str, replace: str) -> None:
    """Nothing tells there what was killed from what runs, so nothing is put in order; the same command goes on."""
    before = OLD if replace else {}
    for folder, _ in ended_at_each_step(tmp_path, "kill", has, replace):
        assert is_one(named(folder), before), folder
        write(folder, replace=True)
        assert named(folder) == NEW, folder


@pytest.mark.parametrize("replace", ["", "replace"])
@pytest.mark.parametrize("has", ["both", "no links", "no locks", "neither"])
@pytest.mark.parametrize("how", ["error", "interrupt", "signal", "signals"])
def test_an_error_or_a_signal_at_any_step_leaves_all_as_before_or_all_new(tmp_path: Path, how: str, has: str, replace: str) -> None:
    before = OLD if replace else {}
    for folder, code in ended_at_each_step(tmp_path, how, has, replace):
        assert code in (0, 1, {"error": 7}.get(how, 130)), folder
        assert named(folder) in (before, NEW), folder
        if code != 130:  # else it was a signal, before or after the names were given
            assert named(folder) == (before if code == 7 else NEW), folder
        tidy(folder)
        assert read(folder) in (before, NEW)


@pytest.mark.parametrize("replace", ["", "replace"])
@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_disk_that_is_full_or_read_only_from_any_step_on_is_put_in_order_when_it_can_be_written_to(
    tmp_path: Path, how: str, replace: str
) -> None:
    before = OLD if replace else {}
    for folder, code in ended_at_each_step(tmp_path, how, "both", replace):
        assert code in (0, 1, 7), folder
        assert is_one(named(folder), before) if code == 7 else named(folder) == NEW, folder
        tidy(folder)
        assert read(folder) in (before, NEW), folder
