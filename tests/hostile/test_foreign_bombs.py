"""Archives of others that are far larger inside than outside."""

import gzip
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from bundler.errors import Code
from tests.support.foreignarchives import Case, case_in, member, refused


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return case_in(tmp_path)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_a_bomb_is_stopped(case: Case, compress: Callable[[bytes], bytes]) -> None:
    """A hundred mebibytes of zeros in some kilobytes, whatever the tar in it says."""
    zeros = member("blobs/sha256/" + "0" * 64, bytes(1 << 20)) * 96
    path = case.archive(compress(zeros))
    assert path.stat().st_size < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refused(path) == (3, Code.LIMIT_ARCHIVE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
