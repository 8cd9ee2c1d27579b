"""The embedded registry as real clients use it. That cosign, notation, skopeo and oras push, sign and verify there as on
other registries is in test_peers.py, which runs on it too."""

import json
import os
from pathlib import Path

import pytest

from bundler.oci.digest import Digest
from bundler.serving.server import Server
from tests.interop import peers as real
from tests.interop.images import Layout
from tests.support.client import Client
from tests.support.layouts import Content, write_layout


@pytest.fixture
def registry(embedded: real.Registry) -> real.Registry:
    return embedded


def test_skopeo_copies_there_and_back_byte_for_byte(
    peers: real.Peers, registry: real.Registry, repository: str, layout: Layout, tmp_path: Path
) -> None:
    image = layout.named("v1", layout.index("words"))
    there = registry.reference(repository, "v1")
    assert real.push(peers, layout.folder, "v1", there) == image["digest"]
    peers.skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{there}", f"oci:{tmp_path}/back:v1")
    blobs = layout.folder / "blobs/sha256"
    assert {path.name: path.read_bytes() for path in (tmp_path / "back/blobs/sha256").iterdir()} == {
        path.name: path.read_bytes() for path in blobs.iterdir()
    }


@pytest.mark.parametrize("docker", [False, True])
def test_skopeo_converts_an_image_to_docker_and_oci(
    peers: real.Peers, registry: real.Registry, repository: str, layout: Layout, docker: bool
) -> None:
    layout.named("v1", layout.image("words"))
    form, kind = ("v2s2", "docker.distribution.manifest.v2") if docker else ("oci", "oci.image.manifest.v1")
    there = registry.reference(repository, form)
    peers.skopeo("copy", "--format", form, "--dest-tls-verify=false", f"oci:{layout.folder}:v1", f"docker://{there}")
    assert registry.manifest(repository, form)["mediaType"] == f"application/vnd.{kind}+json"


def test_skopeo_lists_inspects_and_deletes(peers: real.Peers, registry: real.Registry, repository: str, layout: Layout) -> None:
    layout.named("v1", layout.image("words"))
    there = registry.reference(repository, "v1")
    digest = real.push(peers, layout.folder, "v1", there)
    told = json.loads(peers.skopeo("inspect", "--tls-verify=false", f"docker://{there}").stdout)
    assert (told["Digest"], told["RepoTags"]) == (digest, ["v1"])
    peers.skopeo("delete", "--tls-verify=false", f"docker://{there}")
    assert registry.tags(repository) == []
    assert registry.get(f"/v2/{repository}/manifests/{digest}")[0] == 404


def test_crane_pushes_copies_tags_lists_and_pulls(
    peers: real.Peers, registry: real.Registry, repository: str, tmp_path: Path, content: Content
) -> None:
    image = content.index("words")
    folder = write_layout(tmp_path / "layout", content, unnamed=[image])
    one, two = registry.reference(repository, "v1"), registry.reference(f"{repository}/copy", "v1")
    peers.crane("push", folder, one)
    peers.crane("copy", one, two)
    peers.crane("tag", two, "latest")
    assert peers.crane("ls", registry.reference(f"{repository}/copy")).stdout.split() == ["latest", "v1"]
    assert {repository, f"{repository}/copy"} <= set(peers.crane("catalog", registry.host).stdout.split())
    assert {real.digest_of(peers, one), real.digest_of(peers, two)} == {str(image.digest)}
    peers.crane("validate", "--remote", two)
    peers.crane("pull", "--format", "oci", two, tmp_path / "back")
    [listed] = json.loads((tmp_path / "back/index.json").read_text())["manifests"]
    assert listed["digest"] == str(image.digest)
    for name, data in content.files(image).items():
        assert (tmp_path / "back" / name).read_bytes() == data


def test_oras_attaches_discovers_and_deletes(
    peers: real.Peers, registry: real.Registry, repository: str, layout: Layout, tmp_path: Path
) -> None:
    layout.named("v1", layout.image("words"))
    there = registry.reference(repository, "v1")
    real.push(peers, layout.folder, "v1", there)
    (tmp_path / "sbom.json").write_text("{}")
    (tmp_path / "scan.txt").write_text("fine")
    for kind, file in (("application/spdx+json", "sbom.json"), ("application/vnd.example.scan", "scan.txt")):
        peers.oras("attach", "--plain-http", "--artifact-type", kind, "--annotation", "made=here", there, file, cwd=tmp_path)
    tree = json.loads(peers.oras("discover", "--plain-http", "--format", "json", there).stdout)
    assert sorted(found["artifactType"] for found in tree["referrers"]) == ["application/spdx+json", "application/vnd.example.scan"]
    one = json.loads(peers.oras("discover", "--plain-http", "--format", "json", "--artifact-type", "application/spdx+json", there).stdout)
    [sbom] = one["referrers"]
    assert sbom["annotations"]["made"] == "here"
    peers.oras("manifest", "delete", "--plain-http", "--force", registry.reference(repository, sbom["digest"]))
    left = json.loads(peers.oras("discover", "--plain-http", "--format", "json", there).stdout)
    assert [found["artifactType"] for found in left["referrers"]] == ["application/vnd.example.scan"]
    assert registry.tags(repository) == ["v1"]  # nothing fell back to tags


def test_oras_copies_an_image_with_what_refers_to_it(
    peers: real.Peers, registry: real.Registry, repository: str, content: Content, tmp_path: Path
) -> None:
    image = content.index("words")
    referrers = [content.artifact(b"sbom", subject=image), content.bundle(content.documents[image.children[0].digest], b"{}")]
    folder = write_layout(tmp_path / "layout", content, {"v1": image}, unnamed=referrers)
    peers.oras("cp", "--recursive", "--from-oci-layout", f"{folder}:v1", "--to-plain-http", registry.reference(repository, "v1"))
    for referrer in referrers:
        assert referrer.subject
        assert [found["digest"] for found in registry.referring(repository, str(referrer.subject.digest))] == [str(referrer.digest)]


def test_regctl_copies_everything_that_vouches_between_repositories(
    peers: real.Peers, registry: real.Registry, repository: str, layout: Layout, keys: real.Keys
) -> None:
    layout.named("v1", layout.index("words"))
    one, two = registry.reference(repository, "v1"), registry.reference(f"{repository}/copy", "v1")
    digest = real.push(peers, layout.folder, "v1", one)
    by_digest = registry.reference(repository, digest)
    real.sign_old(peers, by_digest, keys)
    real.sign_new(peers, by_digest, keys)
    peers.regctl("image", "copy", "--referrers", "--digest-tags", one, two)
    copied = registry.reference(f"{repository}/copy", digest)
    assert real.verify_old(peers, copied, keys.public).returncode == 0
    assert real.verify_new(peers, copied, keys.public).returncode == 0
    peers.regctl("tag", "delete", two)
    assert "v1" not in peers.regctl("tag", "ls", registry.reference(f"{repository}/copy")).stdout.split()
    assert peers.regctl("manifest", "head", copied).stdout.strip() == digest


def test_regctl_pushes_a_blob_in_chunks(peers: real.Peers, registry: real.Registry, repository: str, tmp_path: Path) -> None:
    data = os.urandom(5 << 20)
    (tmp_path / "blob").write_bytes(data)
    limits = f"reg={registry.host},tls=disabled,blobChunk=1000000,blobMax=1000000"
    pushing = f"{real.program('regctl')} --host {limits} blob put {registry.reference(repository)} < {tmp_path}/blob"
    told = peers.run("sh", "-c", pushing)
    assert told.stdout.strip() == str(Digest.of(data))
    assert registry.get(f"/v2/{repository}/blobs/{Digest.of(data)}") == (200, data)


def test_a_read_only_registry_is_read_by_peers_and_refuses_them(peers: real.Peers, layout: Layout, tmp_path: Path) -> None:
    layout.named("v1", layout.index("words"))
    with Server(tmp_path / "registry") as server:
        host = server.url.removeprefix("http://")
        digest = real.push(peers, layout.folder, "v1", f"{host}/team/app:v1")
    with Server(tmp_path / "registry", read_only=True) as server:
        host = server.url.removeprefix("http://")
        assert real.digest_of(peers, f"{host}/team/app:v1") == digest
        peers.crane("pull", f"{host}/team/app:v1", tmp_path / "image.tar")
        refused = peers.crane("tag", f"{host}/team/app:v1", "v2", check=False)
        assert refused.returncode != 0
        assert "read-only" in refused.stderr
        assert Client(server.url).get("/v2/team/app/tags/list").json["tags"] == ["v1"]


@pytest.fixture
def content() -> Content:
    return Content()
