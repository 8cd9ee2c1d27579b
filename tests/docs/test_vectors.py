"""The vectors of the bundle format follow from scripts/vectors."""

import filecmp
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests/vectors"
ZSTD = "1.5.7"  # of requirements/run.txt; another one may compress to other bytes


@pytest.mark.skipif(".".join(map(str, zstandard.ZSTD_VERSION)) != ZSTD, reason=f"the vectors are compressed by zstd {ZSTD}")
def test_the_vectors_follow_from_the_script_byte_for_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts/vectors", "--into", tmp_path], check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    for folder in ("valid", "invalid"):
        compared = filecmp.dircmp(tmp_path / folder, VECTORS / folder)
        assert (compared.left_only, compared.right_only) == ([], [])
        match, mismatch, errors = filecmp.cmpfiles(tmp_path / folder, VECTORS / folder, compared.common, shallow=False)
        assert (mismatch, errors) == ([], [])
        assert match
