"""Registries as they are: what our signatures are worth to cosign there, what a sparse index meets, what stock tools make of ``serve``."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop import peers as real
from tests.interop.images import PLATFORMS, Layout
from tests.interop.station import Station

SPARSE_ALLOWED = {"validation": {"manifests": {"indexes": {"platforms": "none"}}}}


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path)


@pytest.fixture
def image(peers: real.Peers, registry: real.Registry, repository: str, layout: Layout) -> str:
    """An index over two platforms, in each registry in turn, as REPO:TAG."""
    layout.named("v1", layout.index(repository))
    real.push(peers, layout.folder, "v1", registry.reference(repository, "v1"))
    return registry.reference(repository, "v1")


# --- what sign writes, read by cosign ---


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa3072", "ed25519"])
def test_cosign_verifies_what_we_sign(image: str, peers: real.Peers, station: Station, kind: str) -> None:
    """Both forms, on the index and its children; ed25519 too, which cosign verifies and cannot make in this way."""
    key = station.keygen("release", kind=kind)
    signed = station.run("sign", image, "--key", key, "--recursive", "--annotation", "stage=release")["signed"]
    assert len(signed) == 1 + len(PLATFORMS)
    stranger = station.keygen("stranger", kind=kind).with_suffix(".pub")
    for each in signed:
        node = f"{image.rpartition(':')[0]}@{each['digest']}"
        [payload] = json.loads(real.verify_old(peers, node, key.with_suffix(".pub"), "-a", "stage=release").stdout)
        assert payload["critical"]["image"]["docker-manifest-digest"] == each["digest"]
        real.verify_new(peers, node, key.with_suffix(".pub"), "-a", "stage=release")
        assert real.verify_old(peers, node, stranger, check=False).returncode == 12
        assert real.verify_new(peers, node, stranger, check=False).returncode != 0


def test_our_signature_stands_beside_those_of_cosign(image: str, peers: real.Peers, keys: real.Keys, station: Station) -> None:
    digest = f"{image.rpartition(':')[0]}@{real.digest_of(peers, image)}"
    real.sign_old(peers, digest, keys)
    real.sign_new(peers, digest, keys)
    key = station.keygen("release")
    station.run("sign", image, "--key", key)
    for public in (keys.public, key.with_suffix(".pub")):
        assert len(json.loads(real.verify_old(peers, digest, public).stdout)) == 1
        real.verify_new(peers, digest, public)
    other = station.keygen("later")
    real.sign_old(peers, digest, real.import_keys(peers, other, station.folder, "imported"))
    for public in (keys.public, key.with_suffix(".pub"), other.with_suffix(".pub")):
        real.verify_old(peers, digest, public)


# --- an index of which not all platforms are carried (design 5) ---


@dataclass(frozen=True)
class Sparse:
    """A bundle of the index ``v1`` without its second platform, and one of the whole."""

    station: Station
    sparse: Path
    whole: Path
    child: str
    index: str

    def into(self, registry: real.Registry, repository: str, bundle: Path, *, exit: int = 0) -> dict[str, object]:  # noqa: A002
        destination = f"{registry.host}/{repository}"
        return self.station.run("import", bundle, destination, "--trust", "trust", "--map", "registry.example/app=app", exit=exit)


@pytest.fixture
def sparse(peers: real.Peers, repository: str, layout: Layout, station: Station) -> Sparse:
    index = layout.named("v1", layout.index(repository))
    child = json.loads((layout.folder / "blobs/sha256" / index["digest"].removeprefix("sha256:")).read_text())["manifests"][0]
    release, exporter = station.keygen("release"), station.keygen("exporter")
    image, name = f"oci:{layout.folder}:v1", ("--as", "registry.example/app:v1")
    station.run("sign", image, *name, "--key", release, "--recursive")
    station.trusts(seal=exporter.with_suffix(".pub"), image=release.with_suffix(".pub"), node="both")
    for file, platforms in {"sparse": ("--platform", PLATFORMS[0]), "whole": ()}.items():
        output = ("-o", f"{file}.oci.tar.zst", "--key", exporter, "--trust", "trust")
        exported = station.run("export", image, *name, *platforms, *output)
        assert exported["images"][0]["digest"] == index["digest"]  # the index is carried as it is
    folder = station.folder
    return Sparse(station, folder / "sparse.oci.tar.zst", folder / "whole.oci.tar.zst", child["digest"], index["digest"])


@pytest.mark.parametrize("registry", ["docker_registry", "distribution", "olareg"], indirect=True)
def test_a_registry_that_refuses_a_sparse_index_is_quoted_and_nothing_is_named(
    sparse: Sparse, registry: real.Registry, repository: str
) -> None:
    error = sparse.into(registry, repository, sparse.sparse, exit=7)["error"]
    assert isinstance(error, dict)
    assert error["code"] == "registry.sparse-index"
    assert error["what"] == f"the registry refuses the index {sparse.index}, of which not all platforms are in the bundle"
    assert "--platform" in error["next"]
    assert registry.tags(f"{repository}/app") == []


def test_serve_takes_a_sparse_index_and_cosign_verifies_it(
    sparse: Sparse, embedded: real.Registry, peers: real.Peers, repository: str
) -> None:
    sparse.into(embedded, repository, sparse.sparse)
    image, public = embedded.reference(f"{repository}/app", "v1"), sparse.station.folder / "release.pub"
    assert real.digest_of(peers, image) == sparse.index
    real.verify_old(peers, image, public)
    real.verify_new(peers, image, public)
    assert peers.crane("validate", "--remote", image, "--platform", PLATFORMS[0], check=False).returncode == 0
    assert peers.crane("pull", "--platform", PLATFORMS[1], image, sparse.station.folder / "absent.tar", check=False).returncode != 0


def test_distribution_takes_a_sparse_index_when_it_is_told_to(sparse: Sparse, peers: real.Peers, repository: str, tmp_path: Path) -> None:
    """The setting that the refusal names."""
    with real.distribution(tmp_path / "sparse", SPARSE_ALLOWED) as registry:
        sparse.into(registry, repository, sparse.sparse)
        image = registry.reference(f"{repository}/app", "v1")
        assert real.digest_of(peers, image) == sparse.index
        real.verify_new(peers, image, sparse.station.folder / "release.pub")


def test_a_registry_that_has_the_other_platforms_takes_the_index(
    sparse: Sparse, registry: real.Registry, peers: real.Peers, repository: str
) -> None:
    sparse.into(registry, repository, sparse.whole)
    sparse.into(registry, repository, sparse.sparse)
    assert real.digest_of(peers, registry.reference(f"{repository}/app", "v1")) == sparse.index


def test_one_platform_by_its_own_digest_goes_anywhere(
    sparse: Sparse, registry: real.Registry, peers: real.Peers, repository: str, layout: Layout
) -> None:
    station = sparse.station
    real.push(peers, layout.folder, "v1", registry.reference(f"{repository}/source", "v1"))
    source = registry.reference(f"{repository}/source", sparse.child)
    station.run("sign", source, "--key", "release.key")
    station.run(
        "export", source, "--as", "registry.example/app:amd64", "-o", "one.oci.tar.zst", "--key", "exporter.key", "--trust", "trust"
    )
    sparse.into(registry, repository, station.folder / "one.oci.tar.zst")
    image = registry.reference(f"{repository}/app", "amd64")
    assert real.digest_of(peers, image) == sparse.child
    real.verify_new(peers, image, station.folder / "release.pub")


def test_by_digest_a_platform_goes_where_its_index_is_refused(
    sparse: Sparse, registry: real.Registry, peers: real.Peers, repository: str, layout: Layout
) -> None:
    station = sparse.station
    image, name = f"oci:{layout.folder}:v1", ("--as", "registry.example/app:v1")
    chosen = ("--platform", PLATFORMS[0], "--by-digest")
    exported = station.run("export", image, *name, *chosen, "-o", "alone.oci.tar.zst", "--key", "exporter.key", "--trust", "trust")
    tag = f"v1-{PLATFORMS[0].replace('/', '-')}"
    assert [(one["reference"], one["digest"]) for one in exported["images"]] == [(f"registry.example/app:{tag}", sparse.child)]
    sparse.into(registry, repository, station.folder / "alone.oci.tar.zst")
    arrived = registry.reference(f"{repository}/app", tag)
    assert real.digest_of(peers, arrived) == sparse.child
    real.verify_old(peers, arrived, station.folder / "release.pub")
    there = station.run("verify", f"docker://{arrived}", "--as", f"registry.example/app:{tag}", "--trust", "trust")
    assert there["passed"]


# --- stock tools and serve, both ways ---

Move = Callable[[real.Peers, Path, str], None]


def _skopeo_push(peers: real.Peers, layout: Path, image: str) -> None:
    peers.skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{layout}:v1", f"docker://{image}")


def _skopeo_pull(peers: real.Peers, layout: Path, image: str) -> None:
    peers.skopeo("copy", "--all", "--preserve-digests", "--src-tls-verify=false", f"docker://{image}", f"oci:{layout}:v1")


def _crane_push(peers: real.Peers, layout: Path, image: str) -> None:
    peers.crane("push", layout, image)


def _crane_pull(peers: real.Peers, layout: Path, image: str) -> None:
    peers.crane("pull", "--format=oci", image, layout)


def _oras_push(peers: real.Peers, layout: Path, image: str) -> None:
    peers.oras("cp", "--from-oci-layout", f"{layout}:v1", "--to-plain-http", image)


def _oras_pull(peers: real.Peers, layout: Path, image: str) -> None:
    peers.oras("cp", "--from-plain-http", image, "--to-oci-layout", f"{layout}:v1")


def _regctl_push(peers: real.Peers, layout: Path, image: str) -> None:
    peers.regctl("image", "copy", f"ocidir://{layout}:v1", image)


def _regctl_pull(peers: real.Peers, layout: Path, image: str) -> None:
    peers.regctl("image", "copy", image, f"ocidir://{layout}:v1")


PUSHES: dict[str, Move] = {"skopeo": _skopeo_push, "crane": _crane_push, "oras": _oras_push, "regctl": _regctl_push}
PULLS: dict[str, Move] = {"skopeo": _skopeo_pull, "crane": _crane_pull, "oras": _oras_pull, "regctl": _regctl_pull}


@pytest.mark.parametrize("tools", list(itertools.product(PUSHES, PULLS)), ids="-to-".join)
def test_what_one_tool_pushes_to_serve_another_pulls(
    tools: tuple[str, str], peers: real.Peers, embedded: real.Registry, layout: Layout, repository: str
) -> None:
    pushing, pulling = tools
    index, pulled = layout.named("v1", layout.index(repository)), layout.folder.parent / "pulled"
    image = embedded.reference(repository, "v1")
    PUSHES[pushing](peers, layout.folder, image)
    assert real.digest_of(peers, image) == index["digest"]
    PULLS[pulling](peers, pulled, image)
    assert _blobs(pulled) == _blobs(layout.folder)


def _blobs(layout: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (layout / "blobs/sha256").iterdir()}


@pytest.fixture(params=["olareg-to-serve", "serve-to-olareg"])
def ways(request: pytest.FixtureRequest, olareg: real.Registry, embedded: real.Registry) -> tuple[real.Registry, real.Registry]:
    """A source and a target."""
    return (olareg, embedded) if request.param == "olareg-to-serve" else (embedded, olareg)


def test_regctl_and_oras_copy_signatures_with_the_image(
    ways: tuple[real.Registry, real.Registry], peers: real.Peers, keys: real.Keys, layout: Layout, repository: str
) -> None:
    source, target = ways
    layout.named("v1", layout.index(repository))
    image = source.reference(repository, "v1")
    signed = f"{source.reference(repository)}@{real.push(peers, layout.folder, 'v1', image)}"
    real.sign_old(peers, signed, keys)
    real.sign_new(peers, signed, keys)
    by_regctl, by_oras = target.reference(f"{repository}/regctl", "v1"), target.reference(f"{repository}/oras", "v1")
    peers.regctl("image", "copy", "--referrers", "--digest-tags", image, by_regctl)
    peers.oras("cp", "-r", "--from-plain-http", "--to-plain-http", image, by_oras)
    real.verify_old(peers, by_regctl, keys.public)
    real.verify_new(peers, by_regctl, keys.public)
    real.verify_new(peers, by_oras, keys.public)
    assert len(json.loads(peers.oras("discover", "--plain-http", "--format", "json", by_oras).stdout)["referrers"]) == 1
