"""A bundle on another medium than a file: memory, which gives and takes in pieces of odd sizes."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from bundler.bundle.archive import Archive, Content
from bundler.bundle.frames import FRAME, GROUP
from bundler.content.medium import Medium
from bundler.errors import BundlerError, Code, IntegrityError, TransportError
from tests.support import layouts
from tests.support.bundles import Bundle, checked
from tests.support.layouts import PLAIN_LAYER
from tests.support.memory import Memory
from tests.support.signing import EXPORTER

APP = "registry.example/app:v1"
SIZES = [(1 << 20,), (4_099,), (1_000_003, 1), (1, 2, 70_000, 511)]


@pytest.fixture(scope="module")
def made() -> Bundle:
    content = layouts.Content()
    image = content.image(layers=[content.blob(os.urandom(size), PLAIN_LAYER) for size in (0, 1, GROUP, FRAME - 511, 2 * FRAME + 700)])
    content.sig(image.digest, (b"payload", b"signature"))
    return Bundle.of(content, {APP: image})


def content_on(medium: Medium) -> Content:
    return checked(Archive(medium, what="a bundle"), EXPORTER)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("jobs", [1, 3])
def test_what_is_written_to_memory_is_what_is_read_from_there(made: Bundle, sizes: tuple[int, ...], jobs: int) -> None:
    medium = Memory(sizes=sizes)
    written = made.put(medium, jobs=jobs)
    assert (written.size, medium.synced) == (medium.size, True)
    content = content_on(medium)
    assert content.verify_documents(jobs=jobs).passed
    for member in made.seal.members:
        assert b"".join(content.chunks(member.name or member.digest)) == made.files[member.path]
    assert content_on(medium).verify(jobs=jobs).members == 1 + len(made.seal.members)
    content.check_derived()


def test_the_bytes_are_those_of_a_file(made: Bundle, tmp_path: Path) -> None:
    medium, path = Memory(sizes=(3, 100_003)), tmp_path / "app.oci.tar.zst"
    assert made.put(medium) == made.write(path)
    assert medium.data == path.read_bytes()


@pytest.mark.parametrize("sizes", SIZES)
def test_what_is_cut_or_spoilt_is_noticed_on_any_medium(made: Bundle, sizes: tuple[int, ...]) -> None:
    medium = Memory()
    made.put(medium)
    with pytest.raises(IntegrityError, match="does not end as a bundle does") as refused:
        Archive(Memory(medium.data[:-1], sizes=sizes), what="a bundle")
    assert refused.value.code is Code.CONTENT_TRUNCATED
    spoilt = bytearray(medium.data)
    spoilt[len(spoilt) // 2] ^= 1
    assert [fault.code for fault in content_on(Memory(bytes(spoilt), sizes=sizes)).verify().faults] in (
        [Code.CONTENT_FRAME],
        [Code.CONTENT_DIGEST],
    )


class Failing(Memory):
    """A medium that tells neither its size nor what it holds, once ``worn``; and takes nothing."""

    worn = True

    @property
    def size(self) -> int:
        return self._but(super().size)

    def read_into(self, view: memoryview, offset: int) -> int:
        return self._but(super().read_into(view, offset))

    def write(self, pieces: Iterable[bytes]) -> int:
        return self._but(super().write(pieces))

    def _but(self, value: int) -> int:
        if self.worn:
            raise OSError(errno.EIO, "Input/output error")
        return value


def test_a_medium_that_fails_is_told_apart_from_a_damaged_one(made: Bundle) -> None:
    medium = Memory()
    made.put(medium)
    with pytest.raises(TransportError) as refused:
        Archive(Failing(medium.data), what="a bundle")
    assert refused.value.code is Code.DISK_IO
    failing = Failing(medium.data)
    failing.worn = False
    content = content_on(failing)
    failing.worn = True
    with pytest.raises(BundlerError) as unread:
        content.verify()
    assert unread.value.code is Code.DISK_IO


def test_what_a_medium_does_not_take_is_not_called_written(made: Bundle) -> None:
    failing = Failing()
    with pytest.raises(OSError, match="Input/output"):
        made.put(failing)
    assert not failing.synced
