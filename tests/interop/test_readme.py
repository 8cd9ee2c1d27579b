"""The commands of the README, as they stand there: with nothing at hand, and from a docker-registry 2.8 into an olareg."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.docs import shell
from tests.docs.pages import ROOT, Page
from tests.interop import peers as real
from tests.interop.images import Layout
from tests.interop.tools import pins
from tests.support import station

README = Page.read(ROOT / "README.md")
ANYBODYS = "docker://docker.io/library/alpine:3"
SOURCE, ISOLATED = "127.0.0.1:5001", "127.0.0.1:5002"


def _blocks(heading: str) -> list[str]:
    section = README.text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return Page(README.path, section).blocks("sh")


NAMES, *CROSSING = _blocks("A crossing in five commands")
SERVE, MAKE = _blocks("With nothing at hand")
[CHECK] = _blocks("Behind the gap")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An image for two platforms, named 1.0."""
    layout = Layout(tmp_path / "layout")
    layout.named("1.0", layout.index("the readme"))
    return layout


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A home, and a PATH on which cosign is."""
    for name in ("cosign", "skopeo"):
        real.program(name)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "cosign").symlink_to(pins.binary("cosign"))
    settings = tmp_path / "home/.config/containers"
    settings.mkdir(parents=True)
    (settings / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    return {
        "PATH": f"{tmp_path}/desk-bin:{tools}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "home/.config"),
        "TUF_ROOT": str(tmp_path / "home/tuf"),
        "OCI_BUNDLER_PASSWORD": real.PASSWORD,
    }


def _crossed(blocks: list[str], folder: Path, env: Mapping[str, str], layout: Layout) -> None:
    """The blocks hold, and the image that arrives has the bytes that it had."""
    folder.mkdir()
    *_, looked = shell.run([*blocks, *CROSSING, CHECK], folder, env=env)
    digest = layout.index("the readme")["digest"]
    assert looked.endswith((layout.folder / "blobs/sha256" / digest.removeprefix("sha256:")).read_text())


def test_with_nothing_at_hand_the_crossing_ends_with_a_verified_image(env: dict[str, str], layout: Layout, tmp_path: Path) -> None:
    assert ANYBODYS in MAKE
    with _served(tmp_path) as hosts:
        make = MAKE.replace(ANYBODYS, f"oci:{layout.folder}:1.0")
        for written, host in hosts.items():
            make = make.replace(written, host)
        _crossed([make], tmp_path / "desk", env, layout)


@contextmanager
def _served(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The registries that the README starts, each on a free port; gives where each is, by where the README has it."""
    hosts = {}
    with ExitStack() as stack:
        for line in SERVE.splitlines():
            command, *words, written = line.split()
            assert command == "oci-bundler"
            process = stack.enter_context(station.spawned(*words, "127.0.0.1:0", cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}))
            stack.callback(process.terminate)
            assert process.stdout
            found = re.search(rb"http://(\S+)", process.stdout.readline())
            assert found
            hosts[written] = found[1].decode()
        yield hosts


def test_between_other_registries_the_crossing_ends_with_a_verified_image(
    env: dict[str, str], layout: Layout, peers: real.Peers, docker_registry: real.Registry, olareg: real.Registry
) -> None:
    digest = real.push(peers, layout.folder, "1.0", docker_registry.reference("team/app", "1.0"))
    signed = "".join(line for line in MAKE.splitlines(keepends=True) if line.startswith("oci-bundler "))
    _crossed([signed], layout.folder.parent / "desk", env | {"SOURCE": docker_registry.host, "ISOLATED": olareg.host}, layout)
    assert real.digest_of(peers, olareg.reference("apps/app", "1.0")) == digest


def test_the_crossing_is_five_commands_and_its_names_are_set_first() -> None:
    lines = [line for block in CROSSING for line in block.splitlines()]
    assert len(lines) == 5
    assert all(line.startswith("oci-bundler ") for line in lines)
    assert [line.partition("=")[0] for line in NAMES.splitlines()] == ["SOURCE", "ISOLATED"]
    assert {f"SOURCE={SOURCE}", f"ISOLATED={ISOLATED}"} <= set(MAKE.splitlines())
    assert [line.rpartition(" ")[2] for line in SERVE.splitlines()] == [SOURCE, ISOLATED]
