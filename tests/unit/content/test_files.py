"""Files that appear whole or not at all."""

import errno
import fcntl
import os
import resource
import signal
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bundler.content.files import disk, read_small, sync_folder, whole, write_direct, write_whole
from bundler.errors import Code, ConflictError, IntegrityError, TransportError, UsageError
from tests.support.cases import each
from tests.support.files import read


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(path: Path, *pieces: bytes, replace: bool = False, then: BaseException | None = None) -> None:
    with whole(path, replace=replace) as file:
        for piece in pieces:
            file.write(piece)
        if then is not None:
            raise then


def fill_while_another_does(path: Path) -> None:
    with whole(path) as file:
        file.write(b"ours")
        path.write_bytes(b"theirs")


@contextmanager
def full_disk() -> Iterator[None]:
    """Files end at 10,000 bytes in this block; the kernel tells it as FAT does, or a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


# Whole


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_has_its_name_only_when_all_of_it_is_there(tmp_path: Path, *, replace: bool) -> None:
    with whole(tmp_path / "out", replace=replace) as file:
        file.write(b"first ")
        [hidden] = names(tmp_path)
        assert hidden.startswith(".oci-bundler-")
        assert hidden.endswith(".tmp")
        file.write(b"second")
    assert read(tmp_path) == {"out": b"first second"}


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
def test_the_mode_is_the_one_asked_for_within_the_mask_from_the_first_byte(tmp_path: Path, mode: int) -> None:
    with whole(tmp_path / "out", mode=mode) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode & ~0o022
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == mode & ~0o022


def test_the_file_is_synced_then_named_then_its_folder_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R-29: otherwise a power cut leaves a name with nothing behind it."""
    steps: list[str] = []
    real = {name: getattr(os, name) for name in ("fsync", "link", "replace", "unlink")}

    def fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else f"file of {os.fstat(descriptor).st_size}"
        steps.append(f"sync {kind}")
        real["fsync"](descriptor)

    monkeypatch.setattr(os, "fsync", fsync)

    def told(name: str, *names: str) -> None:
        steps.append(name)
        real[name](*names)

    for name in ("link", "replace", "unlink"):
        monkeypatch.setattr(os, name, partial(told, name))
    write_whole(tmp_path / "out", b"12345")
    assert steps == ["sync file of 5", "link", "sync folder", "unlink"]
    steps.clear()
    write_whole(tmp_path / "out", b"123456", replace=True)
    assert steps[:3] == ["sync file of 6", "replace", "sync folder"]


# Written past the page cache

MIB = 1 << 20
PIECES = [b"", b"a" * 5, b"b" * (3 * MIB), b"c" * (4 * MIB - 6), b"d", b"e" * 4096, b""]
"""Their blocks end within pieces and between them."""


def write_pieces(path: Path, pieces: Iterable[bytes]) -> int:
    with whole(path) as file:
        return write_direct(file, pieces)


@pytest.mark.parametrize("pieces", [[], [b""], [b"a"], [b"a" * 2 * MIB], [b"a" * 4096, b"b" * (2 * MIB - 4096)], PIECES])
def test_pieces_are_written_one_after_the_other(tmp_path: Path, pieces: list[bytes]) -> None:
    assert write_pieces(tmp_path / "out", pieces) == sum(map(len, pieces))
    assert read(tmp_path) == {"out": b"".join(pieces)}


@pytest.mark.parametrize("at_once", [4096, 1 << 20, 300_001])
def test_a_system_that_takes_little_at_once_gets_it_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    genuine = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: genuine(descriptor, data[:at_once], offset))
    assert write_pieces(tmp_path / "out", PIECES) == sum(map(len, PIECES))
    assert read(tmp_path) == {"out": b"".join(PIECES)}


def is_direct(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT)


def test_all_but_the_end_goes_past_the_page_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        os.close(os.open(tmp_path / "probe", os.O_WRONLY | os.O_CREAT | os.O_DIRECT))
    except OSError:
        pytest.skip("the file system of the temporary folder has no direct writes")
    (tmp_path / "probe").unlink()
    seen, genuine = list[tuple[int, int, bool]](), os.pwrite

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        direct, done = is_direct(descriptor), genuine(descriptor, data, offset)
        seen.append((offset, done, direct))
        return done

    monkeypatch.setattr(os, "pwrite", pwrite)
    monkeypatch.setattr("bundler.content.files._WRITERS", 1)  # else one may turn to the end while the other has not begun its block
    write_pieces(tmp_path / "out", [b"a" * 6 * MIB, b"end"])
    assert sorted(seen) == [(at * MIB, 2 * MIB, True) for at in (0, 2, 4)] + [(6 * MIB, 3, False)]


def test_a_file_system_without_direct_writes_gets_it_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = fcntl.fcntl

    def without(descriptor: Any, command: int, argument: int = 0) -> int:
        if command == fcntl.F_SETFL and argument & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return genuine(descriptor, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", without)
    write_pieces(tmp_path / "out", PIECES)
    assert read(tmp_path) == {"out": b"".join(PIECES)}


def test_a_disk_with_other_blocks_gets_it_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = os.pwrite

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        if is_direct(descriptor):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return genuine(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    write_pieces(tmp_path / "out", PIECES)
    assert read(tmp_path) == {"out": b"".join(PIECES)}


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_disk_that_takes_nothing_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def pwrite(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(TransportError, match=os.strerror(number)) as raised:
        write_pieces(tmp_path / "out", PIECES)
    assert raised.value.code is Code.DISK_IO
    assert names(tmp_path) == []


def test_an_error_of_the_pieces_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"a" * 5 * MIB
        raise IntegrityError("other bytes")

    with pytest.raises(IntegrityError, match="other bytes"):
        write_pieces(tmp_path / "out", broken())
    assert names(tmp_path) == []


# What goes wrong meanwhile


@pytest.mark.parametrize("error", [IntegrityError("x"), KeyboardInterrupt(), SystemExit(1), ZeroDivisionError(), GeneratorExit()])
@pytest.mark.parametrize("replace", [False, True])
def test_an_error_leaves_nothing_and_passes_as_it_is(tmp_path: Path, error: BaseException, *, replace: bool) -> None:
    if replace:
        (tmp_path / "out").write_bytes(b"before")
    before = read(tmp_path)
    with pytest.raises(type(error)) as raised:
        fill(tmp_path / "out", b"half", replace=replace, then=error)
    assert raised.value is error
    assert read(tmp_path) == before


def test_a_library_error_of_the_block_is_translated(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match=r"out cannot be written: found Input/output error") as raised, whole(tmp_path / "out"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert (raised.value.code, raised.value.exit) == (Code.DISK_IO, 7)
    assert names(tmp_path) == []


# What is there already


@pytest.mark.parametrize("what", ["file", "folder", "link", "dangling link", "fifo"])
def test_what_is_there_is_not_touched(tmp_path: Path, what: str) -> None:
    out = place(tmp_path / "out", what)
    before = out.lstat()
    with pytest.raises(ConflictError, match="out exists") as raised:
        write_whole(out, b"new")
    assert (raised.value.code, raised.value.exit) == (Code.OUTPUT_EXISTS, 8)
    assert (out.lstat().st_ino, out.lstat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not any(name.startswith(".") for name in names(tmp_path))


def test_what_came_up_meanwhile_is_not_touched_either(tmp_path: Path) -> None:
    with pytest.raises(ConflictError):
        fill_while_another_does(tmp_path / "out")
    assert read(tmp_path) == {"out": b"theirs"}


def test_a_file_is_replaced_when_that_is_asked_for(tmp_path: Path) -> None:
    write_whole(tmp_path / "out", b"before", mode=0o600)
    write_whole(tmp_path / "out", b"after", replace=True, mode=0o644)
    assert read(tmp_path) == {"out": b"after"}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o644


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"elsewhere")
    (tmp_path / "out").symlink_to(target)
    write_whole(tmp_path / "out", b"new", replace=True)
    assert read(tmp_path) == {"target": b"elsewhere", "out": b"new"}
    assert not (tmp_path / "out").is_symlink()


@pytest.mark.parametrize("what", ["folder", "dangling link", "fifo", "/dev/null"])
def test_what_is_no_file_is_never_replaced(tmp_path: Path, what: str) -> None:
    """As root, replacing /dev/null would take it from the whole machine."""
    out = Path(what) if what.startswith("/") else place(tmp_path / "out", what)
    before = out.lstat()
    with pytest.raises(ConflictError):
        write_whole(out, b"new", replace=True)
    assert out.lstat().st_ino == before.st_ino


def place(path: Path, what: str) -> Path:
    match what:
        case "file":
            path.write_bytes(b"before")
        case "folder":
            path.mkdir()
        case "link":
            (path.parent / "target").write_bytes(b"before")
            path.symlink_to("target")
        case "dangling link":
            path.symlink_to("nowhere")
        case "fifo":
            os.mkfifo(path)
    return path


@each("replace", [False, True])
@each("path", ["/", ".", ".."])
def test_a_path_without_a_name_is_our_error(path: str, *, replace: bool) -> None:
    with pytest.raises(ConflictError):
        write_whole(Path(path), b"", replace=replace)


def test_a_folder_that_is_not_there_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(TransportError, match="No such file or directory"):
        write_whole(tmp_path / "not" / "there", b"")


def test_the_longest_name_can_be_written_and_a_longer_one_is_our_error(tmp_path: Path) -> None:
    write_whole(tmp_path / ("é" * 127), b"")  # FS-012: 254 of 255 bytes
    with pytest.raises(TransportError, match="too long") as raised:
        write_whole(tmp_path / ("a" * 256), b"")
    assert raised.value.code is Code.DISK_IO
    assert names(tmp_path) == ["é" * 127]


# Other file systems


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_links_is_written_to_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """FS-011: FAT and its kin."""
    failing(monkeypatch, "link", error)
    write_whole(tmp_path / "out", b"new")
    assert read(tmp_path) == {"out": b"new"}
    with pytest.raises(ConflictError):
        write_whole(tmp_path / "out", b"newer")
    with pytest.raises(ConflictError):
        fill_while_another_does(tmp_path / "late")
    assert read(tmp_path) == {"out": b"new", "late": b"theirs"}


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_cannot_sync_folders_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    failing(monkeypatch, "fsync", error, folders=True)
    write_whole(tmp_path / "out", b"new")
    assert read(tmp_path) == {"out": b"new"}


@pytest.mark.parametrize("folders", [False, True])
def test_a_sync_that_breaks_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, folders: bool) -> None:
    """R-29, F-025: what a broken sync did not write, a second one says it did."""
    failing(monkeypatch, "fsync", errno.EIO, folders=folders)
    with pytest.raises(TransportError, match="out cannot be written") as raised:
        write_whole(tmp_path / "out", b"new")
    assert raised.value.code is Code.DISK_IO
    assert read(tmp_path) == {}  # a name that a power cut may take is not a name


@pytest.mark.parametrize("call", ["link", "replace"])
def test_a_name_that_cannot_be_given_is_our_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    failing(monkeypatch, call, errno.EIO)
    with pytest.raises(TransportError):
        write_whole(tmp_path / "out", b"new", replace=call == "replace")
    assert names(tmp_path) == []


def test_a_temporary_file_that_cannot_be_removed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "unlink", errno.EROFS)
    write_whole(tmp_path / "out", b"new")
    assert (tmp_path / "out").read_bytes() == b"new"


def failing(monkeypatch: pytest.MonkeyPatch, call: str, error: int, *, folders: bool | None = None) -> None:
    """Let the kernel's ``call`` fail with ``error``, as it does on other file systems; for a sync, of folders or of files."""
    real = getattr(os, call)

    def fail(*arguments: Any) -> None:
        if folders is not None and stat.S_ISDIR(os.fstat(arguments[0]).st_mode) != folders:
            real(*arguments)
        else:
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, call, fail)


# A full disk


@pytest.mark.parametrize("pieces", [[20_000], [6_000, 6_000], [100] * 200], ids=["at once", "on the way", "in small pieces"])
def test_a_full_disk_leaves_nothing_and_says_so(tmp_path: Path, pieces: list[int]) -> None:
    """F-020, F-023."""
    with full_disk(), pytest.raises(TransportError, match="out cannot be written: found File too large") as raised:
        fill(tmp_path / "out", *(b"a" * piece for piece in pieces))
    assert (raised.value.code, raised.value.exit) == (Code.DISK_FULL, 7)
    assert "file system that takes" in str(raised.value.next)
    assert names(tmp_path) == []


def test_a_full_disk_is_told_wherever_in_the_file_it_is_noticed(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(TransportError, match="out cannot be written") as raised:
        write_pieces(tmp_path / "out", [bytes(4_096), bytes(14_000)])
    assert raised.value.code is Code.DISK_FULL
    assert read(tmp_path) == {}


def test_a_full_disk_does_not_hide_an_error_that_came_before(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(IntegrityError):  # what of this waits in the buffer cannot be written at the close
        fill(tmp_path / "out", b"a" * 6_000, b"a" * 6_000, then=IntegrityError("other bytes"))
    assert names(tmp_path) == []


def test_a_full_disk_keeps_what_was_there_before(tmp_path: Path) -> None:
    write_whole(tmp_path / "out", b"before")
    with full_disk(), pytest.raises(TransportError):
        write_whole(tmp_path / "out", b"a" * 20_000, replace=True)
    assert read(tmp_path) == {"out": b"before"}


@each(
    ("error", "code", "advised"),
    [
        (errno.ENOSPC, Code.DISK_FULL, True),
        (errno.EDQUOT, Code.DISK_FULL, True),
        (errno.EFBIG, Code.DISK_FULL, True),
        (errno.EIO, Code.DISK_IO, False),
        (errno.EROFS, Code.DISK_IO, False),
        (errno.EACCES, Code.DISK_IO, False),
    ],
)
def test_the_disks_errors_are_ours_and_advise_where_they_can(error: int, code: Code, *, advised: bool) -> None:
    with pytest.raises(TransportError) as raised, disk("the store cannot be written"):
        raise OSError(error, os.strerror(error))
    assert (raised.value.code, raised.value.found, raised.value.next is not None) == (code, os.strerror(error), advised)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_disk_that_is_really_full_is_called_full() -> None:
    with pytest.raises(TransportError) as raised, disk("it cannot be written"):
        Path("/dev/full").write_bytes(b"a")
    assert raised.value.code is Code.DISK_FULL


def test_an_error_without_a_number_is_shown_by_its_words() -> None:
    with pytest.raises(TransportError, match="found it is gone"), disk("it cannot be read"):
        raise OSError("it is gone")


# Small files that a person names


def test_a_small_file_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"12345")
    assert read_small(tmp_path / "key", limit=5, what="the key") == b"12345"
    (tmp_path / "link").symlink_to("key")  # as secrets are mounted in a pod
    assert read_small(tmp_path / "link", limit=5, what="the key") == b"12345"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("nothing", "the key .*x cannot be read: found No such file or directory"),
        ("folder", "the key .*x cannot be read: found Is a directory"),
        ("fifo", "the key .*x is not a regular file"),
        ("dangling link", "the key .*x cannot be read: found No such file or directory"),
        ("loop", "the key .*x cannot be read: found Too many levels of symbolic links"),
        ("below a file", "the key .*x cannot be read: found Not a directory"),
        ("large", "the key .*x is too large: wanted at most 5 bytes"),
    ],
)
def test_what_is_no_small_file_is_an_error_and_never_waited_for(tmp_path: Path, what: str, said: str) -> None:
    path = place(tmp_path / "x", what)
    if what == "loop":
        path.symlink_to("x")
    if what == "large":
        path.write_bytes(b"123456")
    if what == "below a file":
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "x"
    with pytest.raises(UsageError, match=said) as raised:
        read_small(path, limit=5, what="the key")
    assert (raised.value.code, raised.value.exit) == (Code.USAGE_INPUT, 2)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_no_small_file(device: str) -> None:
    with pytest.raises(UsageError):
        read_small(Path(device), limit=5, what="the key")


def test_a_folder_that_is_gone_cannot_be_synced(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "gone")
