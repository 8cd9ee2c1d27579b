"""docs/howto/behind-the-gap.md: what it calls tested, and that its patterns are about the names that its own commands make. That
notation and oras verify there is in test_crossing.py, what becomes of an index without all its platforms in test_registries.py."""

import fnmatch
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs import shell
from tests.docs.pages import ROOT, Page
from tests.interop import peers as real
from tests.interop.images import Layout
from tests.interop.station import Station
from tests.interop.tools import pins

PAGE = Page.read(ROOT / "docs/howto/behind-the-gap.md")
REPOSITORY = "registry.example/team/app"
OLD = f"{REPOSITORY}:1.0"
THERE = "registry.plant.example"
NEW = f"{THERE}/mirror/{OLD}"
ELSEWHERE = "registry.elsewhere.example/team/app:1.0"


def _section(heading: str) -> Page:
    return Page(PAGE.path, PAGE.text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0])


NAMES = {"old": (OLD, _section("Old names")), "new": (NEW, _section("New names"))}
BY_HAND = _section("Verifying once more by hand")


@pytest.fixture(params=NAMES)
def scenario(request: pytest.FixtureRequest) -> str:
    """Which names the manifests have."""
    name: str = request.param
    return name


# --- a registry that was filled as the page says, and a node ---


@dataclass(frozen=True)
class Node:
    """What pulls: a home with the page's files in it, and what the page's names are here."""

    home: Path
    host: str

    @property
    def settings(self) -> Path:
        return self.home / ".config/containers"

    def here(self, text: str) -> str:
        """``text`` of the page, with the registry of this test."""
        return text.replace(THERE, self.host)

    def run(self, tool: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [real.program(tool), *map(str, words)]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120, check=False)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_RUNTIME_DIR": str(self.home),
            "CONTAINERS_STORAGE_CONF": str(self.settings / "storage.conf"),
            "TUF_ROOT": str(self.home / "tuf"),
            "PATH": os.environ["PATH"],
            "HTTP_PROXY": real.CLOSED,
            "HTTPS_PROXY": real.CLOSED,
            "NO_PROXY": real.LOOPBACK,
        }

    def judges(self, section: Page) -> None:
        """Has ``policy.json`` and ``registries.d`` as they are in that section, in place of a policy that takes everything."""
        [policy], [*_, where] = section.blocks("json"), [text for text in section.blocks("yaml") if "use-sigstore-attachments" in text]
        (self.settings / "policy.json").write_text(self.here(policy).replace("/etc/containers/release.pub", f"{self.home}/release.pub"))
        (self.settings / "registries.d").mkdir()
        (self.settings / "registries.d/gap.yaml").write_text(self.here(where))


@pytest.fixture(scope="module")
def station(embedded: real.Registry, tmp_path_factory: pytest.TempPathFactory) -> Station:
    """Of the repository, 1.0 was signed by the release team and imported. Somebody on the inside put 0.9 there, which nobody signed."""
    station = Station(tmp_path_factory.mktemp("station"))
    layout = Layout(station.folder / "layout")
    layout.named("app", layout.image("behind the gap"))
    layout.named("unsigned", layout.image("signed by nobody"))
    release, exporter = station.keygen("release"), station.keygen("exporter")
    image = (f"oci:{layout.folder}:app", "--as", OLD)
    station.run("sign", *image, "--key", release)
    station.run("export", *image, "-o", "release.oci.tar.zst", "--key", exporter)
    station.trusts(seal=exporter.with_suffix(".pub"), image=release.with_suffix(".pub"))
    station.run("import", "release.oci.tar.zst", f"{embedded.host}/mirror", "--trust", "trust")
    put = ("copy", "--dest-tls-verify=false", f"oci:{layout.folder}:unsigned", f"docker://{_unsigned(NEW).replace(THERE, embedded.host)}")
    real.Peers(station.folder).skopeo(*put)
    return station


@pytest.fixture
def node(station: Station, embedded: real.Registry, tmp_path: Path) -> Node:
    """It knows where the old name leads, and takes every image."""
    made = Node(tmp_path, embedded.host)
    made.settings.mkdir(parents=True)
    (made.home / "release.pub").write_bytes((station.folder / "release.pub").read_bytes())
    [told] = [block for block in PAGE.blocks("toml") if "[[registry]]" in block]
    plain = f'insecure = true\n[[registry]]\nlocation = "{embedded.host}"\ninsecure = true\n'
    (made.settings / "registries.conf").write_text(made.here(told) + plain)
    (made.settings / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    storage = f'[storage]\ndriver = "vfs"\ngraphroot = "{made.home}/graph"\nrunroot = "{made.home}/runroot"\n'
    (made.settings / "storage.conf").write_text(storage)
    return made


def _unsigned(name: str) -> str:
    return name.replace(":1.0", ":0.9")


# --- pulling ---


@pytest.mark.parametrize("command", ["skopeo inspect --raw docker://{}", "podman pull {}"])
def test_the_name_leads_to_what_was_imported(node: Node, scenario: str, command: str) -> None:
    name, section = NAMES[scenario]
    assert f"podman pull {name}\n" in section.blocks("sh")
    tool, *words = command.format(node.here(name)).split()
    ran = node.run(tool, *words)
    assert ran.returncode == 0, ran.stderr


def test_containerd_finds_what_was_imported(node: Node, scenario: str, embedded: real.Registry, containerd: Path, tmp_path: Path) -> None:
    name, section = NAMES[scenario]
    hosts = tmp_path / "certs.d/registry.example"
    hosts.mkdir(parents=True)
    for told in [block for block in section.blocks("toml") if "override_path" in block]:
        (hosts / "hosts.toml").write_text(node.here(told).replace("https://", "http://"))
    plain = ["--plain-http"] if scenario == "new" else []
    ran = node.run("ctr", "--address", containerd, "content", "fetch", "--hosts-dir", hosts.parent, *plain, node.here(name))
    assert ran.returncode == 0, ran.stderr
    config = embedded.manifest(f"mirror/{REPOSITORY}", "1.0")["config"]["digest"]
    assert config in node.run("ctr", "--address", containerd, "content", "ls", "-q").stdout


def test_what_was_not_imported_is_looked_for_nowhere_else(node: Node) -> None:
    ran = node.run("skopeo", "inspect", f"docker://{node.here(OLD).replace(':1.0', ':2.0')}")
    assert ran.returncode != 0
    assert node.host in ran.stderr


# --- judging, where it is pulled ---


def _pulled(node: Node, name: str) -> subprocess.CompletedProcess[str]:
    """By the library of podman and CRI-O, as it is without Debian's change."""
    return node.run("containers-image", node.here(name), str(node.home / "pulled"))


def test_the_policy_of_the_page_takes_a_signed_image_and_refuses_an_unsigned_one_at_the_same_place(node: Node, scenario: str) -> None:
    name, section = NAMES[scenario]
    node.judges(section)
    signed, unsigned = _pulled(node, name), _pulled(node, _unsigned(name))
    assert signed.returncode == 0, signed.stderr
    assert unsigned.returncode == 1
    assert "A signature was required, but no signature exists" in unsigned.stderr


def test_the_policy_of_the_page_refuses_the_key_of_somebody_else(node: Node, station: Station, scenario: str) -> None:
    name, section = NAMES[scenario]
    node.judges(section)
    (node.home / "release.pub").write_bytes((station.folder / "exporter.pub").read_bytes())
    refused = _pulled(node, name)
    assert refused.returncode == 1
    assert "cryptographic signature verification failed" in refused.stderr


def test_the_policy_for_one_name_refuses_images_under_the_other(node: Node, scenario: str) -> None:
    _, section = NAMES[scenario]
    node.judges(section)
    [other] = [name for key, (name, _) in NAMES.items() if key != scenario]
    refused = _pulled(node, other)
    assert refused.returncode == 1
    assert "is rejected by policy" in refused.stderr


def test_without_a_policy_the_unsigned_image_would_be_pulled(node: Node, scenario: str) -> None:
    ran = _pulled(node, _unsigned(NAMES[scenario][0]))
    assert ran.returncode == 0, ran.stderr


def test_podman_of_debian_refuses_every_image_under_such_a_policy(node: Node, scenario: str) -> None:
    name, section = NAMES[scenario]
    node.judges(section)
    ran = node.run("podman", "pull", node.here(name))
    assert ran.returncode != 0
    assert "sigstore disabled" in ran.stderr


# --- judging by hand ---


def _typed(node: Node, station: Station, tool: str, change: Callable[[str], str] = str) -> list[str]:
    """The commands of the last section that begin with this word, as they are there but for the names."""
    commands = [node.here(block) for block in BY_HAND.blocks("sh") if block.startswith(f"{tool} ")]
    assert commands
    real.program("cosign")
    tools = node.home / "tools"
    tools.mkdir(exist_ok=True)
    if not (tools / "cosign").exists():
        (tools / "cosign").symlink_to(pins.binary("cosign"))
    env = node.environment | {"PATH": f"{station.folder.parent}/{station.folder.name}-bin:{tools}:{os.environ['PATH']}"}
    return shell.run([change(command) for command in commands], station.folder, env=env)


@pytest.mark.parametrize("tool", ["oci-bundler", "cosign"])
def test_by_hand_a_signed_image_is_verified_and_an_unsigned_one_is_not(node: Node, station: Station, tool: str) -> None:
    _typed(node, station, tool)
    with pytest.raises(AssertionError, match=r"(?s)the shell ended with (1|5|10).*(no signatures found|signature.missing)"):
        _typed(node, station, tool, lambda command: _unsigned(command).replace("--as", "-vv --as"))


def test_what_sign_makes_by_default_is_the_form_that_every_program_of_the_page_reads(node: Node, embedded: real.Registry) -> None:
    path = f"mirror/{REPOSITORY}"
    digest = json.loads(node.run("skopeo", "inspect", f"docker://{node.here(NEW)}").stdout)["Digest"]
    assert f"{digest.replace(':', '-')}.sig" in embedded.tags(path)
    assert embedded.referring(path, digest) == []  # a bundle would hide the .sig from Kyverno and cosign 3


# --- what a cluster is told ---


def _documents(section: Page) -> Iterator[dict[str, Any]]:
    for block in section.blocks("yaml"):
        yield from yaml.safe_load_all(block)


def _of_kind(section: Page, kind: str) -> dict[str, Any]:
    [found] = [document for document in _documents(section) if document.get("kind") == kind]
    spec: dict[str, Any] = found["spec"]
    return spec


def test_every_yaml_of_the_page_is_read() -> None:
    assert len(list(_documents(PAGE))) == len(PAGE.blocks("yaml")) == 9


def test_kyverno_sees_every_image_and_lets_pass_those_of_the_scenario(scenario: str) -> None:
    """No image escapes the glob, which would admit it unchecked, and the rule about names is about the name that pods have."""
    name, section = NAMES[scenario]
    spec = _of_kind(section, "ImageValidatingPolicy")
    globs = [match["glob"] for match in spec["matchImageReferences"]]
    assert all(any(fnmatch.fnmatchcase(each, glob) for glob in globs) for each in (OLD, NEW, ELSEWHERE, "nginx"))
    where, signed = (validation["expression"] for validation in spec["validations"])
    for expression in (where, signed):
        assert expression.startswith("(images.containers + images.initContainers + images.ephemeralContainers).all(i, ")
    [prefix] = re.findall(r'i\.startsWith\("([^"]+)"\)', where)
    assert [each for each in (OLD, NEW, ELSEWHERE, "nginx") if each.startswith(prefix)] == [name]
    assert "verifyImageSignatures(i, [attestors.release]) > 0" in signed
    [attestor] = spec["attestors"]
    assert attestor["name"] == "release"
    assert attestor["cosign"]["ctlog"]["insecureIgnoreTlog"]  # else it asks a network that is not there


def test_policy_controller_matches_the_images_of_the_scenario_alone(scenario: str) -> None:
    """Its ``**`` stands for any characters and ``*`` for any but a slash."""
    name, section = NAMES[scenario]
    globs = [image["glob"] for image in _of_kind(section, "ClusterImagePolicy")["images"]]
    assert [each for each in (OLD, NEW, ELSEWHERE) if any(re.fullmatch(_policy_controllers(glob), each) for glob in globs)] == [name]


def _policy_controllers(glob: str) -> str:
    return "".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", glob))


def test_k3s_looks_where_the_image_was_imported() -> None:
    [mirrors] = [document["mirrors"] for document in _documents(NAMES["old"][1]) if "mirrors" in document]
    host, _, repository = REPOSITORY.partition("/")
    [endpoint] = mirrors[host]["endpoint"]
    [(pattern, replacement)] = mirrors[host]["rewrite"].items()
    rewritten = re.sub(pattern, replacement.replace("$1", r"\1"), repository, count=1)
    assert f"{endpoint.removeprefix('https://')}/{rewritten}:1.0" == NEW


def test_kustomize_makes_the_new_name_of_the_old_one() -> None:
    [[image]] = [document["images"] for document in _documents(NAMES["new"][1]) if isinstance(document.get("images"), list)]
    assert OLD.replace(image["name"], image["newName"]) == NEW


def test_the_import_for_a_cluster_under_old_names_has_the_paths_of_outside(node: Node, station: Station, embedded: real.Registry) -> None:
    [command] = re.findall(r"^    (oci-bundler import .* --map .*)$", NAMES["old"][1].text, re.MULTILINE)
    station.run(*node.here(command).split()[1:], "--trust", "trust")
    assert "1.0" in embedded.tags(REPOSITORY.partition("/")[2])


def test_the_registries_that_take_a_sparse_index_are_those_of_the_page() -> None:
    [table] = _section("Not all platforms").tables
    taken = {row["registry"]: row["an index without all its images"] for row in table.rows}
    assert list(taken.values()) == ["refused", taken["distribution 3"], "refused", "taken"]
    assert taken["distribution 3"].startswith("refused, unless `validation.manifests.indexes.platforms` is `none`")
