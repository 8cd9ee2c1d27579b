"""Other projects' test vectors, which lie beside this repository and are never copied into it."""

import os
from pathlib import Path

import pytest

PLACE = Path(os.environ.get("OCI_BUNDLER_VECTORS") or Path(__file__).parents[3] / "shared" / "vectors")
MISSING = f"vectors of other projects are not here: they belong in {PLACE}, or where $OCI_BUNDLER_VECTORS says"


def vectors(folder: str) -> Path:
    """The folder of that name; the test is skipped where it is not there, all such tests for one reason and at one place."""
    path = PLACE / folder
    if not path.is_dir():
        pytest.skip(MISSING)
    return path
