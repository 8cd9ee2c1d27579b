"""Files that get their names together: what is beside a file is about that file, whenever a run ends."""

import errno
import fcntl
import json
import os
import stat
from pathlib import Path

import pytest

from bundler.content.files import temporary, write_direct
from bundler.content.together import tidy, together
from bundler.errors import Code, ConflictError, TransportError
from tests.support.files import NAMES, NEW, OLD, named, put, read, write

ROOT = Path(__file__).parents[3]


# --- without trouble ---


def test_all_have_their_names_and_nothing_hidden_is_left(tmp_path: Path) -> None:
    write(tmp_path)
    assert read(tmp_path) == NEW


def test_all_are_replaced(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    write(tmp_path, replace=True)
    assert read(tmp_path) == NEW


@pytest.mark.parametrize("there", [("out",), ("out.sum",), ("out.sum.sig",), ("out", "out.sum.sig")])
def test_some_of_them_are_replaced_and_the_others_made(tmp_path: Path, there: tuple[str, ...]) -> None:
    put(tmp_path, {name: OLD[name] for name in there})
    write(tmp_path, replace=True)
    assert read(tmp_path) == NEW


@pytest.mark.parametrize("there", NAMES)
def test_what_is_there_is_refused_before_anything_is_written(tmp_path: Path, there: str) -> None:
    put(tmp_path, {there: b"mine"})
    with pytest.raises(ConflictError) as raised:
        write(tmp_path, then=ZeroDivisionError())
    assert raised.value.code is Code.OUTPUT_EXISTS
    assert read(tmp_path) == {there: b"mine"}


@pytest.mark.parametrize("name", NAMES)
def test_a_link_is_replaced_and_not_followed(tmp_path: Path, name: str) -> None:
    put(tmp_path, {**OLD, "elsewhere": b"mine"})
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to("elsewhere")
    write(tmp_path, replace=True)
    assert read(tmp_path) == {**NEW, "elsewhere": b"mine"}
    assert not (tmp_path / name).is_symlink()


def test_each_has_the_mode_that_was_asked_for(tmp_path: Path) -> None:
    with together(tmp_path / "key", tmp_path / "pub", modes=(0o600, 0o644)) as (key, public):
        key.write(b"secret")
        public.write(b"")
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("key", "pub")] == [0o600, 0o644]


def test_what_is_written_survives_a_power_cut_before_it_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the names of what is beside a new file survive before its own does."""
    put(tmp_path, {})
    steps: list[str] = []
    fsync, link = os.fsync, os.link

    def synced(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def linked(source: Path, name: Path, **named: bool) -> None:
        steps.append(Path(name).name)
        link(source, name, **named)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    write(tmp_path)
    shown = [step for step in steps if not step.startswith(".")]
    assert shown[:3] == ["file"] * 3
    assert shown[shown.index("out.sum") :] == ["out.sum", "out.sum.sig", "folder", "out", "folder"]


# --- two at once ---


def test_of_two_that_write_one_name_the_second_is_refused_and_nothing_is_mixed(tmp_path: Path) -> None:
    first = together(*(tmp_path / name for name in NAMES))
    for file in first.__enter__():
        file.write(b"ours")
    write(tmp_path)
    with pytest.raises(ConflictError):
        first.__exit__(None, None, None)
    assert read(tmp_path) == NEW


def test_of_two_that_replace_one_name_the_second_replaces_all(tmp_path: Path) -> None:
    put(tmp_path, OLD)
    with together(*(tmp_path / name for name in NAMES), replace=True) as files:
        for file in files:
            file.write(b"last")
        write(tmp_path, replace=True)
        assert named(tmp_path) == NEW
    assert read(tmp_path) == dict.fromkeys(NAMES, b"last")


# --- ended at any step ---


LACKS = [
    *[(fcntl, "flock", error) for error in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)],
    *[(os, "link", error) for error in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)],
    *[(fcntl, "fcntl", error) for error in (errno.EINVAL, errno.EOPNOTSUPP)],
]


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(("module", "call", "error"), LACKS, ids=[f"{call} {errno.errorcode[error]}" for _, call, error in LACKS])
def test_a_file_system_without_locks_links_or_direct_writes_gets_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, call: str, error: int, *, replace: bool
) -> None:
    def lacks(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    put(tmp_path, OLD if replace else {})
    monkeypatch.setattr(module, call, lacks)
    with together(*(tmp_path / name for name in NAMES), replace=replace) as files:
        write_direct(files[0], [NEW["out"]])
        for file, name in zip(files[1:], NAMES[1:], strict=True):
            file.write(NEW[name])
    assert read(tmp_path) == NEW


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), KeyboardInterrupt(), ZeroDivisionError()])
def test_an_error_while_they_are_written_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    put(tmp_path, OLD)
    with pytest.raises(TransportError if isinstance(error, OSError) else type(error)):
        write(tmp_path, replace=True, then=error)
    assert read(tmp_path) == OLD


# --- what killed runs left ---


def left(folder: Path, name: str = ".oci-bundler-0123456789abcdef.tmp", data: bytes = b"x" * 1000) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def test_what_a_killed_run_left_is_removed_and_its_size_told(tmp_path: Path) -> None:
    left(tmp_path)
    put(tmp_path, OLD)
    assert tidy(tmp_path) == [1000]
    assert read(tmp_path) == OLD
    assert tidy(tmp_path) == []


def test_what_a_running_run_writes_is_not_removed(tmp_path: Path) -> None:
    with temporary(tmp_path) as (path, file):
        file.write(b"half")
        assert tidy(tmp_path) == []
        assert path.exists()
        file.close()
        assert tidy(tmp_path) == []
        assert path.exists()
    assert read(tmp_path) == {}


@pytest.mark.parametrize(
    "name",
    ["oci-bundler-0123456789abcdef.tmp", ".oci-bundler-0123456789ABCDEF.tmp", ".oci-bundler-01.tmp", ".oci-bundler-0123456789abcdef"],
)
def test_what_has_another_name_is_not_ours(tmp_path: Path, name: str) -> None:
    left(tmp_path, name)
    assert tidy(tmp_path) == []
    assert list(read(tmp_path)) == [name]


def test_what_is_no_file_is_not_removed_and_no_link_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", {"mine": b"mine"})
    (tmp_path / ".oci-bundler-0000000000000000.tmp").symlink_to("elsewhere/mine")
    (tmp_path / ".oci-bundler-0000000000000001.tmp").mkdir()
    os.mkfifo(tmp_path / ".oci-bundler-0000000000000002.tmp")
    assert tidy(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 4
    assert read(tmp_path / "elsewhere") == {"mine": b"mine"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_is_another_users_is_not_removed(tmp_path: Path) -> None:
    os.chown(left(tmp_path), 65534, 65534)
    assert tidy(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_another_users_journal_tells_is_not_done(tmp_path: Path) -> None:
    put(tmp_path, {".oci-bundler-00000000000000aa.names": journal()})
    left(tmp_path, ".oci-bundler-0000000000000001.old", b"the old sum")
    os.chown(tmp_path / ".oci-bundler-00000000000000aa.names", 65534, 65534)
    tidy(tmp_path)
    assert named(tmp_path) == {}
    assert len(read(tmp_path)) == 2


def test_a_file_system_without_locks_is_written_to_all_the_same_and_nothing_is_removed_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    put(tmp_path, {**OLD, ".oci-bundler-00000000000000aa.names": journal(name=b"new".hex())})
    there = [left(tmp_path), left(tmp_path, ".oci-bundler-0000000000000001.old")]
    monkeypatch.setattr(fcntl, "flock", no_locks)
    assert tidy(tmp_path) == []
    write(tmp_path, replace=True)
    assert named(tmp_path) == NEW
    assert all(path.exists() for path in there)
    assert len(read(tmp_path)) == 6


def journal(**changed: object) -> bytes:
    """As a run leaves one that was killed before the main file had its name; ``changed`` is what is odd about its first file."""
    files = [
        {"name": name.encode().hex(), "hidden": f".oci-bundler-000000000000000{n}.tmp", "old": f".oci-bundler-000000000000000{n}.old"}
        | {"sha256": "" if n == 0 else "0" * 64}
        for n, name in enumerate(("out", "out.sum"))
    ]
    files[0] |= changed  # type: ignore[arg-type]
    return json.dumps({"files": files, "new": [5, 5], "was": None}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"x" * 100_000,
        journal(name=b"../up".hex()),
        journal(name=b"/up".hex()),
        journal(name=b"..".hex()),
        journal(name=b"".hex()),
        journal(name=b"a\0b".hex()),
        journal(name="no hex"),
        journal(hidden="../up"),
        journal(old="mine"),
        journal(old=1),
    ],
)
def test_a_journal_that_no_run_wrote_does_nothing(tmp_path: Path, data: bytes) -> None:
    folder = tmp_path / "in"
    put(folder, {"mine": b"mine", ".oci-bundler-00000000000000aa.names": data, ".oci-bundler-0000000000000000.old": b"old"})
    put(tmp_path, {"up": b"up"})
    assert tidy(folder) == []
    assert named(folder) == {"mine": b"mine"}
    assert (tmp_path / "up").read_bytes() == b"up"
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("kind", ["folder", "fifo", "link"])
def test_a_journal_that_is_no_file_is_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".oci-bundler-00000000000000aa.names"
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case _:
            (tmp_path / "real").write_bytes(journal())
            path.symlink_to("real")
    assert tidy(tmp_path) == []
    assert os.path.lexists(path)


def test_what_a_person_put_there_after_a_kill_stays(tmp_path: Path) -> None:
    """The run was killed before the main file had its name; then somebody wrote one and its sum by other means."""
    put(tmp_path, {".oci-bundler-00000000000000aa.names": journal(), "out": b"theirs", "out.sum": b"their sum"})
    left(tmp_path, ".oci-bundler-0000000000000000.tmp")
    left(tmp_path, ".oci-bundler-0000000000000001.old", b"the old sum")
    tidy(tmp_path)
    assert read(tmp_path) == {"out": b"theirs", "out.sum": b"their sum"}


def test_an_old_sum_does_not_come_back_beside_a_file_that_a_person_put_there(tmp_path: Path) -> None:
    put(tmp_path, {".oci-bundler-00000000000000aa.names": journal(), "out": b"theirs"})
    left(tmp_path, ".oci-bundler-0000000000000001.old", b"the old sum")
    tidy(tmp_path)
    assert read(tmp_path) == {"out": b"theirs"}
