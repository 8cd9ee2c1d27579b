"""The crossing of the README, as it stands there, from a docker-registry 2.8 into an olareg."""

import json
import os
from pathlib import Path

import pytest

from tests.docs import shell
from tests.docs.pages import ROOT, Page
from tests.interop import peers as real
from tests.interop.images import Layout
from tests.interop.tools import pins

STEPS = [step.commands for step in shell.steps(Page.read(ROOT / "README.md"))]
TRIES, NAMES, *CROSSING = STEPS


@pytest.fixture
def tools(tmp_path: Path) -> str:
    """A PATH on which cosign is."""
    real.program("cosign")
    real.program("skopeo")
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "cosign").symlink_to(pins.binary("cosign"))
    return f"{folder}:{os.environ['PATH']}"


def test_the_crossing_ends_with_a_verified_image_at_the_far_end(
    tools: str, peers: real.Peers, docker_registry: real.Registry, olareg: real.Registry, tmp_path: Path
):
    layout = Layout(tmp_path / "layout")
    index = layout.named("1.0", layout.index("the readme"))
    real.push(peers, layout.folder, "1.0", docker_registry.reference("team/app", "1.0"))
    home = tmp_path / "home/.config/containers"
    home.mkdir(parents=True)
    (home / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    (home / "registries.conf").write_text(f'[[registry]]\nlocation = "{olareg.host}"\ninsecure = true\n')
    folder = tmp_path / "desk"
    folder.mkdir()
    env = {
        "PATH": f"{tmp_path}/desk-bin:{tools}",
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "home/.config"),
        "TUF_ROOT": str(tmp_path / "home/tuf"),
        "SOURCE": docker_registry.host,
        "ISOLATED": olareg.host,
        "OCI_BUNDLER_PASSWORD": real.PASSWORD,
    }
    *_, looked = shell.run(CROSSING, folder, env=env)
    assert looked.endswith((layout.folder / "blobs/sha256" / index["digest"].removeprefix("sha256:")).read_text())
    assert real.digest_of(peers, olareg.reference("apps/app", "1.0")) == index["digest"]


def test_the_readme_names_both_registries_and_the_two_commands():
    assert [line.partition("#")[0].strip() for line in TRIES.splitlines()] == ["make demo", "make test"]
    assert {line.partition("=")[0] for line in NAMES.splitlines()} == {"SOURCE", "ISOLATED"}
    assert json.dumps(STEPS).count("oci-bundler ") >= 7
