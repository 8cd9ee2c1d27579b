"""The bundle format's own vectors (docs/spec/bundle-v1.md, section 15) through the commands that people run."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bundler.errors import Code
from tests.support.station import Ran, Watched, run

VECTORS = Path(__file__).parents[1] / "vectors"
ALL = [path.relative_to(VECTORS).with_suffix("").as_posix() for path in sorted(VECTORS.glob("*valid/*.json"))]


def vector(name: str) -> tuple[Path, dict[str, Any]]:
    return VECTORS / f"{name}.oci.tar.zst", json.loads((VECTORS / f"{name}.json").read_bytes())


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that belongs to whoever runs this, and that nobody else may write."""
    folder = tmp_path_factory.mktemp("vectors") / "trust"
    shutil.copytree(VECTORS / "trust", folder, copy_function=shutil.copyfile)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return folder


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with Watched(tmp_path_factory.mktemp("registry")) as server:
        yield server


def reasons(ran: Ran) -> list[str]:
    """All reasons of an end, whether it came to a verdict or not."""
    said = ran.json
    if "error" in said:
        assert said["error"]["exit"] == ran.exit
        return [said["error"]["code"]]
    content = said["content"]["reasons"] if said["content"] else []
    return [*said["seal"]["reasons"], *content, *(reason for image in said["images"] for reason in image["reasons"])]


def test_there_are_as_many_vectors_as_the_issue_asks_for() -> None:
    assert len([name for name in ALL if name.startswith("valid/")]) >= 12
    assert len([name for name in ALL if name.startswith("invalid/")]) >= 60


@pytest.mark.parametrize("name", ALL)
def test_verify_ends_as_the_vector_says(name: str, trust: Path) -> None:
    bundle, said = vector(name)
    ran = run("verify", bundle, "--trust", trust, "--json")
    assert (ran.exit, reasons(ran)[:1]) == (said["exit"], [said["code"]] if said["code"] else [])
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("invalid/")])
@pytest.mark.parametrize("flags", [(), ("--verify-first",)], ids=["", "verified first"])
def test_import_ends_as_verify_does_and_names_nothing(name: str, flags: tuple[str, ...], trust: Path, registry: Watched) -> None:
    bundle, said = vector(name)
    changes, named = len(registry.changes), len(registry.named)
    ran = run("import", bundle, registry.host, "--trust", trust, "--json", "--admit-passing", *flags)
    assert (ran.exit, reasons(ran)[:1]) == (said["exit"], [said["code"]])
    assert not registry.named[named:]
    if flags or ran.exit == 5:
        assert not registry.changes[changes:]


DELTAS = [name for name in ALL if name.startswith("valid/delta")]


@pytest.mark.parametrize("name", DELTAS)
@pytest.mark.parametrize("flags", [(), ("--verify-first",), ("--dry-run",)], ids=["", "verified first", "dry run"])
def test_of_a_delta_nothing_is_sent_where_what_it_leaves_out_is_nowhere(
    name: str, flags: tuple[str, ...], trust: Path, tmp_path: Path
) -> None:
    with Watched(tmp_path / "registry") as registry:
        ran = run("import", vector(name)[0], registry.host, "--trust", trust, "--json", *flags)
        assert (ran.exit, ran.code) == (6, "base.missing")
        assert not registry.changes


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("valid/") and name not in DELTAS])
def test_a_valid_bundle_enters(name: str, trust: Path, tmp_path: Path) -> None:
    bundle, _ = vector(name)
    with Watched(tmp_path / "registry") as registry:
        ran = run("import", bundle, registry.host, "--trust", trust, "--json")
        assert ran.exit == 0, ran.err
        for image in ran.json["images"]:
            path, _, name = image["destination"].removeprefix(f"{registry.host}/").replace("@", ":", 1).partition(":")
            there = registry.repository(path).document(name) if not name.startswith("sha256:") else None
            assert there is None or str(there.digest) == image["digest"]


def test_every_code_of_a_vector_is_one_of_ours() -> None:
    assert {vector(name)[1]["code"] for name in ALL} - {None} <= set(map(str, Code))
