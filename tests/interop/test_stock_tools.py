"""docs/stock-tools.md, line by line: each command is run as it stands there, and does and leaves out what the line says."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from bundler.serving.server import Server
from tests.docs import pages
from tests.interop import peers as real
from tests.interop.images import Layout
from tests.interop.station import ROOT, Station
from tests.interop.tools import pins

PAGE = pages.Page.read(ROOT / "docs/stock-tools.md")
TABLES = {table.heading: table.rows for table in PAGE.tables}
WORKING = [row for heading in ("The bundle as it is", "The plain tar", "The extracted layout") for row in TABLES[heading]]
COMMANDS = [row for row in WORKING if row["command"].startswith("`")]
FAILING = TABLES["What does not work"]
DELTAS = TABLES["A bundle that leaves layers out"]
REF = "registry.example/team/app:1.0"
KINDS = ", ".join(f"application/vnd.{kind}+json" for kind in real.MANIFEST_KINDS)


@dataclass(frozen=True)
class Desk:
    """A folder with a bundle in all its shapes, a registry, and the tools set up to use both."""

    folder: Path
    registry: real.Registry
    digest: str
    """Of ``REF``, an index."""
    child: str
    """Of its manifest for this machine's platform."""
    environment: dict[str, str]

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """As typed into a shell."""
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def must(self, command: str) -> str:
        ran = self.run(command)
        assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
        return ran.stdout


@pytest.fixture(scope="session")
def desk(
    peers: real.Peers, keys: real.Keys, olareg: real.Registry, embedded: real.Registry, tmp_path_factory: pytest.TempPathFactory
) -> Desk:
    folder = tmp_path_factory.mktemp("desk")
    index = _fill(peers, keys, olareg, folder)
    station = Station(folder)
    exporter = station.keygen("exporter")
    (folder / "release.pub").write_bytes(keys.public.read_bytes())
    station.trusts(seal=exporter.with_suffix(".pub"), image=keys.public)
    station.run("export", "--images", "images.txt", "-o", "release.oci.tar.zst", "--key", exporter, "--trust", "trust")
    made = Desk(folder, embedded, index, olareg.manifest("stock/app", index)["manifests"][0]["digest"], _environment(folder, embedded))
    made.must(f"regctl registry set {made.environment['REG']} --tls disabled")
    _, shapes, deltas = PAGE.blocks("sh")
    made.must(shapes)
    delta = ("-o", "delta.oci.tar.zst", "--key", exporter, "--trust", "trust", "--base", "release.oci.tar.zst")
    station.run("export", "--images", "images.txt", *delta)
    made.must(deltas)
    return made


def _fill(peers: real.Peers, keys: real.Keys, source: real.Registry, folder: Path) -> str:
    """An index, an image and a chart at the source, all signed in both forms; the index attested, with an SBOM attached; its digest."""
    layout = Layout(folder / "source")
    layout.named("app", layout.index("stock tools"))
    layout.named("tool", layout.image("one alone"))
    layout.named("chart", layout.chart("words"))
    names = {"app": "1.0", "tool": "2.0", "chart": "0.1.0"}
    push = {"chart": real.push_artifact}
    digests = {n: push.get(n, real.push)(peers, layout.folder, n, source.reference(f"stock/{n}", tag)) for n, tag in names.items()}
    for name, digest in digests.items():
        real.sign_old(peers, source.reference(f"stock/{name}", digest), keys)
        real.sign_new(peers, source.reference(f"stock/{name}", digest), keys)
    app = source.reference("stock/app", digests["app"])
    (folder / "sbom.json").write_text("{}")
    real.attest_old(peers, app, keys, folder / "sbom.json", type_="https://example.test/any")
    peers.oras("attach", "--plain-http", "--artifact-type", "application/spdx+json", app, "sbom.json", cwd=folder)
    lines = [f"{source.reference(f'stock/{name}', tag)}  registry.example/team/{name}:{tag}" for name, tag in names.items()]
    (folder / "images.txt").write_text("\n".join(lines))
    return digests["app"]


def _environment(folder: Path, registry: real.Registry) -> dict[str, str]:
    """The tools of their pins, found by name, and configured as on a machine where ``$REG`` is a registry without TLS."""
    tools, home = folder / "tools", folder / "home"
    for path in (tools, home / "run", home / "containers"):
        path.mkdir(parents=True)
    for peer in ("oras", "regctl", "crane", "cosign"):
        (tools / peer).symlink_to(pins.binary(peer))
    named = registry.host.replace("127.0.0.1", "localhost")  # oras and crane speak http to that name
    (home / "containers/policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    (home / "containers/registries.conf").write_text(f'[[registry]]\nlocation = "{named}"\ninsecure = true\n')
    (home / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{home}/graph"\nrunroot = "{home}/runroot"\n')
    # Debian's skopeo reads the user's policy from HOME and the registries from XDG_CONFIG_HOME; so both lead there.
    (home / ".config").symlink_to(home)
    return {
        "PATH": f"{tools}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "CONTAINERS_STORAGE_CONF": str(home / "storage.conf"),
        "HTTP_PROXY": real.CLOSED,
        "HTTPS_PROXY": real.CLOSED,
        "NO_PROXY": "127.0.0.1,localhost",
        "LC_ALL": "C.UTF-8",
        "B": "release.oci.tar.zst",
        "D": "delta.oci.tar.zst",
        "REF": REF,
        "REG": named,
    }


def _ready(desk: Desk, request: pytest.FixtureRequest, tool: str) -> Desk:
    """The desk, with the daemon that the tool speaks to."""
    if tool == "ctr":
        desk.environment["CONTAINERD_ADDRESS"] = str(request.getfixturevalue("containerd"))
    elif tool == "docker":
        desk.environment["DOCKER_HOST"] = f"unix://{request.getfixturevalue('dockerd')}"
        real.program("docker")
    else:
        real.program(tool)
    return desk


def _name(row: dict[str, str]) -> str:
    return pages.code(row["command"])[:60]


@pytest.mark.parametrize("row", COMMANDS, ids=_name)
def test_each_command_works_as_written(row: dict[str, str], desk: Desk, request: pytest.FixtureRequest) -> None:
    ready = _ready(desk, request, row["tool"])
    command = pages.code(row["command"])
    before = set(ready.folder.iterdir())
    said = ready.must(command)
    if "$REG/" in command:
        _check_pushed(ready, row, command)
    elif row["tool"] in _CHECKS:
        _CHECKS[row["tool"]](ready, row, said)
    else:
        assert said or "-t" in command or set(ready.folder.iterdir()) > before, "it did nothing"


def _check_pushed(desk: Desk, row: dict[str, str], command: str) -> None:
    """What the line says about platforms, old and new evidence, by asking the registry."""
    repository = command.rpartition("$REG/")[2].partition(":")[0]
    unseen = row["what it does not see"]
    status, body = desk.registry.get(f"/v2/{repository}/manifests/1.0", Accept=KINDS)
    assert status == 200, body
    digest = f"sha256:{sha256(body).hexdigest()}"
    assert ("with all platforms" in row["what it gives"]) is (digest == desk.digest)
    assert ("other platforms" in unseen) is (digest != desk.digest)
    assert ("under another digest" in row["what it gives"]) is (digest not in (desk.digest, desk.child))
    tags = desk.registry.tags(repository)
    for form in ("sig", "att"):
        assert (f"`.{form}`" in unseen) is (f"{desk.digest.replace(':', '-')}.{form}" not in tags)
    kinds = {referrer["artifactType"] for referrer in desk.registry.referring(repository, desk.digest)}
    everything = {"application/spdx+json", "application/vnd.dev.sigstore.bundle.v0.3+json"}
    assert kinds == (set() if "referrers" in unseen else everything)


def _check_podman(desk: Desk, row: dict[str, str], _: str) -> None:
    loaded = json.loads(desk.must("podman images --format json --digests"))
    if "load" in row["command"]:
        names = {name for image in loaded for name in image.get("Names") or []}
        assert names >= {REF, "registry.example/team/tool:2.0"}
        assert not any("chart" in name or "sha256-" in name for name in names)
    inspected = json.loads(desk.must(f"podman image inspect {loaded[0]['Id']}"))
    assert inspected[0]["Architecture"] == "amd64"


def _check_docker(desk: Desk, _row: dict[str, str], said: str) -> None:
    assert f"Loaded image: {REF}" in said
    names = desk.must("docker images --format '{{.Repository}}:{{.Tag}} {{.Digest}}'").split("\n")
    assert sorted(filter(None, names)) == [f"{REF} <none>", "registry.example/team/tool:2.0 <none>"]


def _check_ctr(desk: Desk, _row: dict[str, str], _said: str) -> None:
    lines = desk.must("ctr -n k8s.io images ls").splitlines()[1:]
    listed = {line.split()[0]: line.split()[2] for line in lines}
    assert listed[REF] == desk.digest
    tag = f"registry.example/team/app:{desk.digest.replace(':', '-')}"
    assert {f"{tag}.sig", f"{tag}.att", "registry.example/team/chart:0.1.0"} <= set(listed)
    assert len(listed) == 7
    desk.must(f"ctr -n k8s.io images rm {' '.join(listed)}")


def _check_oras(desk: Desk, row: dict[str, str], said: str) -> None:
    names = (f"{desk.digest.replace(':', '-')}.sig", f"{desk.digest.replace(':', '-')}.att")
    assert all((name in said) is ("`.sig`" not in row["what it does not see"]) for name in names)
    assert ("application/spdx+json" in said) is ("referrers" not in row["what it does not see"])


def _check_skopeo(desk: Desk, row: dict[str, str], said: str) -> None:
    if "--raw" in row["command"]:
        assert json.loads(said)["manifests"]
    elif "inspect" in row["command"]:
        assert json.loads(said)["Layers"]
    else:
        assert json.loads(said)["Tags"] == [REF, "registry.example/team/tool:2.0"]


def _check_umoci(desk: Desk, row: dict[str, str], said: str) -> None:
    if " ls " in row["command"]:
        assert {REF, f"registry.example/team/app:{desk.digest.replace(':', '-')}.sig"} <= set(said.split())
        assert len(said.split()) == 7
    else:
        assert (desk.folder / "rootfs/rootfs/words").read_text() == "stock tools for linux/amd64\n"


_CHECKS = {
    "podman": _check_podman,
    "docker": _check_docker,
    "ctr": _check_ctr,
    "oras": _check_oras,
    "skopeo": _check_skopeo,
    "umoci": _check_umoci,
}


@pytest.mark.parametrize("row", FAILING, ids=_name)
def test_what_does_not_work_says_what_the_page_says(row: dict[str, str], desk: Desk, request: pytest.FixtureRequest) -> None:
    ran = _ready(desk, request, row["tool"]).run(pages.code(row["command"]))
    assert ran.returncode != 0
    assert row["it says"] in ran.stdout + ran.stderr


@pytest.fixture
def elsewhere(desk: Desk, tmp_path: Path) -> Iterator[Desk]:
    """The desk at a place where no layer of its images has been: else tools take them from what they loaded or pushed before."""
    with Server(tmp_path / "registry") as server:
        registry = real.Registry("oci-bundler", server.url.removeprefix("http://"), referrers=True)
        there = replace(desk, registry=registry, environment=_environment(tmp_path, registry))
        there.must(f"regctl registry set {there.environment['REG']} --tls disabled")
        yield there


@pytest.mark.parametrize("row", DELTAS, ids=_name)
def test_what_a_tool_does_with_a_delta_is_what_the_page_says(row: dict[str, str], elsewhere: Desk, request: pytest.FixtureRequest) -> None:
    ready = _ready(elsewhere, request, row["tool"])
    if row["tool"] == "docker":
        ready.must(f"{_TEAM} | xargs --no-run-if-empty docker rmi --force")
    command = pages.code(row["command"])
    ran = ready.run(command)
    assert ran.returncode == int(row["ends with"]), ran.stdout + ran.stderr
    assert row["it says"] in ran.stdout + ran.stderr
    if "$REG/" in command:
        repository, _, tag = command.rpartition("$REG/")[2].split()[0].partition(":")
        status, _ = ready.registry.get(f"/v2/{repository}/manifests/{tag}", Accept=KINDS)
        assert status == (404 if ran.returncode else 200)
    if "nothing is loaded" in row["what that means"]:
        assert not {"docker": _in_docker, "podman": _in_podman}[row["tool"]](ready)
    if row["tool"] == "ctr":
        assert REF in ready.must("ctr -n delta images ls")
        assert "incomplete" in ready.must("ctr -n delta images check")


_TEAM = "docker images --no-trunc -q --filter reference='registry.example/team/*'"


def _in_docker(desk: Desk) -> str:
    return desk.must(_TEAM)


def _in_podman(desk: Desk) -> list[str]:
    loaded = json.loads(desk.must("podman images --format json"))
    return [name for image in loaded for name in image.get("Names") or []]


def test_every_tool_of_the_matrix_has_its_line() -> None:
    assert {row["tool"] for row in WORKING} == {
        *("zstd", "tar", "skopeo", "podman", "docker", "ctr", "umoci", "oras", "regctl", "crane", "openssl"),
    }


def test_the_page_names_the_versions_that_are_pinned() -> None:
    text = " ".join(PAGE.text.split())
    for peer in ("oras", "regctl", "crane", "cosign"):
        pin = (pins.TOOLS / peer / "go.mod").read_text()
        module = pins.package(peer).partition("/cmd/")[0]
        [version] = [
            line.split()[-1] if line.startswith("require") else line.split()[1] for line in pin.splitlines() if f"{module} v" in line
        ][:1]
        assert f"{peer} {version.removeprefix('v')}" in text
