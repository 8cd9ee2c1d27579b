"""docs/spec/bundle-v1.md, section 13: a bundle is checked by hand, and by cosign."""

from pathlib import Path

import pytest

from tests.docs import shell
from tests.docs.pages import ROOT, Page
from tests.interop import peers as real
from tests.interop.images import Layout
from tests.interop.station import Station
from tests.interop.tools import pins

SPECIFICATION = ROOT / "docs/spec/bundle-v1.md"
SECTION = Page(SPECIFICATION, SPECIFICATION.read_text().partition("\n## 13 ")[2].partition("\n## 14 ")[0])


@pytest.fixture
def desk(layout: Layout, tmp_path: Path) -> Path:
    """A folder with a sealed bundle, the exporter's key and an empty folder to extract into."""
    for name in ("cosign", "openssl", "zstd"):
        real.program(name)
    folder = tmp_path / "desk"
    (folder / "app").mkdir(parents=True)
    station = Station(folder)
    exporter = station.keygen("K")
    layout.named("app", layout.index("by hand"))
    image = (f"oci:{layout.folder}:app", "--as", "registry.example/team/app:1.0")
    station.run("sign", *image, "--key", station.keygen("release"))
    station.run("export", *image, "-o", "app.oci.tar.zst", "--key", exporter)
    return folder


def _typed(desk: Path) -> list[str]:
    home = {"HOME": str(desk.parent), "TUF_ROOT": str(desk.parent / "tuf"), "PATH": f"{_tools(desk)}:/usr/bin:/bin"}
    return shell.run(SECTION.blocks("sh"), desk, env=home)


def _tools(desk: Path) -> Path:
    folder = desk.parent / "tools"
    folder.mkdir(exist_ok=True)
    if not (folder / "cosign").exists():
        (folder / "cosign").symlink_to(pins.binary("cosign"))
    return folder


def test_every_line_of_the_section_says_yes_to_a_good_bundle(desk: Path) -> None:
    by_tools, by_openssl = _typed(desk)
    blobs = list((desk / "app/blobs/sha256").iterdir())
    assert by_tools.count(": OK\n") == len(blobs) > 5
    assert "Verified OK" in by_tools
    verified, identity = by_openssl.splitlines()
    assert verified == "Verified OK"
    assert f"sha256:{identity.split()[0]}" == Station(desk).run("inspect", "app.oci.tar.zst")["claims"]["identity"]


def test_the_section_says_no_to_a_seal_by_another_key(desk: Path) -> None:
    (desk / "K.pub").write_bytes((desk / "release.pub").read_bytes())
    with pytest.raises(AssertionError, match="the shell ended with"):
        _typed(desk)
