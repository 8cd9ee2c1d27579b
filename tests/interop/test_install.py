"""docs/howto/install.md: from a checkout with an index, and from a folder of wheels without one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundler import __version__
from tests.docs import shell
from tests.docs.pages import DOCS, ROOT, Page
from tests.interop.peers import CLOSED

VERSION = f"oci-bundler {__version__}\n"
PAGE = Page.read(DOCS / "howto/install.md")
PIPX, PIP, MAKE, SUMS, STATION, STATION_PIPX, OTHERS = PAGE.blocks("sh")
NO_INDEX = {"PIP_NO_INDEX": "1", "HTTP_PROXY": CLOSED, "HTTPS_PROXY": CLOSED, "ALL_PROXY": CLOSED}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What an installation reads of this repository, with the tools that make install gets."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name in ("bundler", "requirements"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def _typed(blocks: list[str], folder: Path, **env: str) -> list[str]:
    """With a pipx that has never run, and no oci-bundler on PATH but the one that the page installs."""
    apps = folder / "apps"
    apps.mkdir()
    (apps / "pipx").symlink_to(Path(sys.prefix, "bin/pipx"))
    homes = {"HOME": str(folder), "PIPX_HOME": str(folder / "pipx"), "PIPX_BIN_DIR": str(apps)}
    return shell.run(blocks, folder, env=homes | {"PATH": f"{apps}:{sys.base_prefix}/bin:/usr/bin:/bin"} | env)


def test_the_command_comes_from_a_checkout(checkout: Path) -> None:
    by_pipx, by_pip = _typed([PIPX, PIP], checkout)
    assert by_pipx.endswith(VERSION)
    assert by_pip.endswith(VERSION)
    assert (checkout / "apps/oci-bundler").exists()


def test_the_command_comes_from_the_folder_of_wheels_where_nothing_else_can_be_reached(checkout: Path, tmp_path: Path) -> None:
    shell.run([MAKE, SUMS], checkout)
    there = tmp_path / "station"
    (there / "dist").mkdir(parents=True)
    shutil.copytree(checkout / "dist/wheels", there / "dist/wheels")
    shutil.copy(checkout / "wheels.sha256", there)
    by_pip, _ = _typed([STATION, STATION_PIPX], there, **NO_INDEX)
    assert by_pip.endswith(VERSION)
    assert subprocess.run([there / "apps/oci-bundler", "--version"], capture_output=True, text=True, check=True).stdout == VERSION


def test_the_folder_holds_wheels_for_other_machines(checkout: Path) -> None:
    shell.run([OTHERS], checkout)
    compiled = {path.name for path in (checkout / "dist/wheels").iterdir() if not path.name.endswith("-none-any.whl")}
    assert all("manylinux2014_aarch64" in name for name in compiled)
    assert {re.sub(r"-.*-(\w+)-manylinux.*", r" \1", name) for name in compiled} == {
        "cffi cp311", "cffi cp313", "cryptography abi3", "zstandard cp311", "zstandard cp313",
    }  # fmt: skip


def test_the_folder_refuses_a_wheel_of_another_hash(checkout: Path) -> None:
    pins = checkout / "requirements/run.txt"
    made = pins.stat().st_mtime_ns
    pins.write_text(re.sub(r"(?m)(^click==.*\n)(?: +--hash.*\n)+", rf"\1    --hash=sha256:{'0' * 64}\n", pins.read_text()))
    os.utime(pins, ns=(made, made))  # not newer than the tools, or make would get them anew
    with pytest.raises(AssertionError, match="DO NOT MATCH THE HASHES"):
        shell.run([MAKE], checkout)
