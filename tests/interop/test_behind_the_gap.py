"""docs/howto/behind-the-gap.md: what it calls tested. That cosign, notation and oras verify there is in test_crossing.py, what
becomes of an index without all its platforms in test_registries.py."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import Page
from tests.interop import peers as real
from tests.interop.images import Layout
from tests.interop.station import ROOT, Station

PAGE = Page.read(ROOT / "docs/howto/behind-the-gap.md")
THERE = "registry.plant.example"


@pytest.fixture
def mirror(peers: real.Peers, embedded: real.Registry, layout: Layout, repository: str, tmp_path: Path) -> dict[str, str]:
    """An image imported as the page says, and the surroundings of a node that pulls it by its old name: registry.example/REPOSITORY:1.0."""
    layout.named("app", layout.image(repository))
    station = Station(tmp_path)
    release, exporter = station.keygen("release"), station.keygen("exporter")
    name = ("--as", f"registry.example/{repository}:1.0")
    station.run("sign", f"oci:{layout.folder}:app", *name, "--key", release)
    station.run("export", f"oci:{layout.folder}:app", *name, "-o", "app.oci.tar.zst", "--key", exporter)
    station.trusts(seal=exporter.with_suffix(".pub"), image=release.with_suffix(".pub"))
    station.run("import", "app.oci.tar.zst", f"{embedded.host}/mirror", "--trust", "trust")
    return _node(tmp_path / "home", embedded.host)


def _node(home: Path, host: str) -> dict[str, str]:
    config = home / ".config/containers"
    config.mkdir(parents=True)
    [told] = [block for block in PAGE.blocks("toml") if "[[registry]]" in block]
    assert THERE in told
    (config / "registries.conf").write_text(told.replace(THERE, host) + "insecure = true\n")
    (config / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    (config / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{home}/graph"\nrunroot = "{home}/runroot"\n')
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_RUNTIME_DIR": str(home),
        "CONTAINERS_STORAGE_CONF": str(config / "storage.conf"),
        "PATH": os.environ["PATH"],
        "HTTP_PROXY": real.CLOSED,
        "HTTPS_PROXY": real.CLOSED,
        "NO_PROXY": real.LOOPBACK,
    }


@pytest.mark.parametrize("command", ["skopeo inspect --raw docker://{}", "podman pull {}"])
def test_the_old_name_leads_to_what_was_imported(mirror: dict[str, str], repository: str, command: str):
    tool, *words = command.format(f"registry.example/{repository}:1.0").split()
    ran = subprocess.run([real.program(tool), *words], env=mirror, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr


def test_containerd_finds_what_was_imported_under_the_old_name(
    mirror: dict[str, str], embedded: real.Registry, repository: str, containerd: Path, tmp_path: Path
):
    hosts = tmp_path / "certs.d/registry.example"
    hosts.mkdir(parents=True)
    [told] = [block for block in PAGE.blocks("toml") if "override_path" in block]
    (hosts / "hosts.toml").write_text(told.replace(f"https://{THERE}", f"http://{embedded.host}"))
    words = ["--address", str(containerd), "content", "fetch", "--hosts-dir", str(hosts.parent), f"registry.example/{repository}:1.0"]
    ran = subprocess.run([real.program("ctr"), *words], env=mirror, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert embedded.manifest(f"mirror/registry.example/{repository}", "1.0")["config"]["digest"] in _content(containerd)


def _content(containerd: Path) -> str:
    return subprocess.run(["ctr", "--address", str(containerd), "content", "ls", "-q"], capture_output=True, text=True, check=True).stdout


def test_what_was_not_imported_is_looked_for_nowhere_else(mirror: dict[str, str], embedded: real.Registry, repository: str):
    words = ["inspect", f"docker://registry.example/{repository}:2.0"]
    ran = subprocess.run([real.program("skopeo"), *words], env=mirror, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode != 0
    assert embedded.host in ran.stderr


def test_the_registries_that_take_a_sparse_index_are_those_of_the_page():
    [table] = PAGE.tables
    taken = {row["registry"]: row["an index without all its images"] for row in table.rows}
    assert list(taken.values()) == ["refused", taken["distribution 3"], "refused", "taken"]
    assert taken["distribution 3"].startswith("refused, unless `validation.manifests.indexes.platforms` is `none`")
