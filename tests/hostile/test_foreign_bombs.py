"""Archives of others that are far larger inside than outside."""

import gzip
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from bundler.bundle.foreignarchive import open_archive
from bundler.errors import Code
from tests.support.layouts import tar_of
from tests.unit.bundle.test_foreignarchive import Case, case_in, ended, member, refused


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return case_in(tmp_path)


def test_more_than_64_mib_behind_the_end_are_not_read(case: Case) -> None:
    path = case.archive(ended(tar_of(case.members)))
    size = path.stat().st_size
    os.truncate(path, size + (64 << 20))
    with open_archive(path) as layout:
        case.check(layout)
    os.truncate(path, size + (64 << 20) + 1)
    assert refused(path) == (3, Code.LIMIT_ARCHIVE)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_bomb_is_stopped(case: Case, compress: Callable[[bytes], bytes]) -> None:
    """A hundred mebibytes of zeros in some kilobytes, whatever the tar in it says."""
    zeros = member("blobs/sha256/" + "0" * 64, bytes(1 << 20)) * 96
    path = case.archive(compress(zeros))
    assert path.stat().st_size < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(path) == (3, Code.LIMIT_ARCHIVE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_what_unpacks_to_64_mib_is_no_bomb_and_a_byte_more_is_one(case: Case) -> None:
    data = tar_of(case.members).ljust(64 << 20, b"\0")
    with open_archive(case.archive(zstandard.compress(data))) as layout:
        case.check(layout)
    assert refused(case.archive(zstandard.compress(data + b"\0"))) == (3, Code.LIMIT_ARCHIVE)
