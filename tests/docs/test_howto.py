"""The pages of docs/howto do what they say: every ``sh`` block is run, beside what the page takes for granted."""

from pathlib import Path

import pytest

from tests.docs import shell
from tests.docs.pages import DOCS, Page
from tests.interop.peers import program
from tests.support import station
from tests.support.signing import rule, seal
from tests.support.station import EXPORTER, RELEASE, Crossing, write_key, write_trust


@pytest.fixture
def desk(tmp_path: Path, crossing: Crossing) -> Path:
    """A folder as the pages take it for granted: a signed image's bundle, keys, and the trust of the station."""
    folder = tmp_path / "desk"
    folder.mkdir()
    for name, key in {"release": RELEASE, "exporter": EXPORTER}.items():
        write_key(folder / f"{name}.key", key)
    write_trust(folder / "trust", rules=[rule(RELEASE, scope="**")], seals=[seal(EXPORTER)])
    image = crossing.push(crossing.sign(crossing.content.image("words")), "team/app:1.0")
    words = ("-o", folder / "release.oci.tar.zst", "--as", "registry.example/team/app:1.0", "--key", folder / "exporter.key")
    assert station.run("export", image.reference, *words).exit == 0
    return folder


def _follow(name: str, folder: Path, **env: str) -> None:
    steps = shell.steps(Page.read(DOCS / "howto" / name))
    printed = shell.run([step.commands for step in steps], folder, env=env)
    wrong = [shell.differs(step.shown, out) for step, out in zip(steps, printed, strict=True) if step.shown]
    assert not list(filter(None, wrong)), "\n\n".join(filter(None, wrong))


def test_keys_are_made_told_and_changed_as_the_page_says(tmp_path: Path) -> None:
    program("openssl")
    folder = tmp_path / "desk"
    folder.mkdir()
    _follow("keys.md", folder)
    assert station.run("trust", "check", folder / "trust").exit == 0


def test_the_next_bundle_is_carried_without_what_is_there_as_the_page_says(desk: Path, crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.image("words", layers=[crossing.content.layer("words")] * 2)), "team/app:1.1")
    (desk / "images.txt").write_text(f"{image.reference}  registry.example/team/app:1.1\n")
    assert station.run("station", "init", desk / "station", "--name", "plant-7").exit == 0
    _follow("deltas.md", desk, REGISTRY=crossing.there.host)
    there = crossing.there.repository("registry.example/team/app")
    assert set(there.tags()) >= {"1.0", "1.1"}
    assert not station.faults(there)


def test_a_pipeline_asks_and_exports_as_the_page_says(desk: Path, crossing: Crossing) -> None:
    _follow("pipeline.md", desk, REGISTRY=crossing.here.host)
