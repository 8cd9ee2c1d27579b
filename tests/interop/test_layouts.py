"""Image layouts and archives of them between us and the peers: what each writes, the other reads, with all that vouches."""

import json
from pathlib import Path

import pytest

from bundler.bundle.foreignarchive import open_archive
from bundler.content.layout import Layout
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from tests.interop import peers as real
from tests.support.layouts import Content, push_with_evidence, write_layout

REPO = "registry.example/team/app"
APP = Reference.parse(f"{REPO}:v1")


@pytest.fixture
def content() -> Content:
    return Content()


@pytest.fixture
def image(content: Content) -> Document:
    return content.index("words")


@pytest.fixture
def there(embedded: real.Registry, repository: str) -> str:
    """Where the image shall be in a registry."""
    return embedded.reference(repository, "v1")


@pytest.fixture
def signed(peers: real.Peers, there: str, image: Document, keys: real.Keys, tmp_path: Path) -> str:
    """The image there, signed in both of cosign's forms; its reference by tag."""
    content = Content()
    real.push(peers, write_layout(tmp_path / "pushed", content, {"v1": content.index("words")}), "v1", there)
    by_digest = f"{there.removesuffix(':v1')}@{image.digest}"
    real.sign_old(peers, by_digest, keys)
    real.sign_new(peers, by_digest, keys)
    return there


def whole(layout: Layout, digest: Digest) -> int:
    """How many documents the digest leads to, after every blob of them was read."""
    document = layout.document(digest)
    assert document is not None
    assert all(layout.has(blob) for blob in document.blobs)
    return 1 + sum(whole(layout, child.digest) for child in document.children)


# --- theirs, read by us ---


@pytest.mark.parametrize("archive", [False, True])
def test_what_skopeo_writes(peers: real.Peers, signed: str, tmp_path: Path, archive: bool) -> None:
    place = f"{'oci-archive' if archive else 'oci'}:{tmp_path}/theirs:{APP}"
    peers.skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{signed}", place)
    with open_archive(tmp_path / "theirs") if archive else Layout.at(tmp_path / "theirs") as layout:
        entry = layout.image(str(APP))
        assert (entry.reference, layout.image(None)) == (APP, entry)
        assert str(entry.descriptor.digest) == real.digest_of(peers, signed)
        assert whole(layout, entry.descriptor.digest) == 3


def test_what_crane_writes(peers: real.Peers, signed: str, tmp_path: Path) -> None:
    peers.crane("pull", "--format", "oci", signed, tmp_path / "theirs")
    layout = Layout.at(tmp_path / "theirs")
    assert str(layout.image(None).descriptor.digest) == real.digest_of(peers, signed)
    assert whole(layout, layout.image(None).descriptor.digest) == 3


@pytest.mark.parametrize("archive", [False, True])
def test_what_regctl_writes(peers: real.Peers, signed: str, tmp_path: Path, archive: bool) -> None:
    if archive:
        peers.regctl("image", "export", signed, tmp_path / "theirs")
    else:
        peers.regctl("image", "copy", "--referrers", "--digest-tags", signed, f"ocidir://{tmp_path}/theirs:v1")
    with open_archive(tmp_path / "theirs") if archive else Layout.at(tmp_path / "theirs") as layout:
        digest = Digest.parse(real.digest_of(peers, signed))
        assert layout.image(None).descriptor.digest == digest
        assert whole(layout, digest) == 3
        repository = layout.repository(None)
        if not archive:
            assert repository.document(f"{digest.tag}.sig") is not None
            assert [found.artifact_type for found in repository.referrers(digest).listed] == [
                "application/vnd.dev.sigstore.bundle.v0.3+json"
            ]


def test_what_oras_writes(peers: real.Peers, signed: str, tmp_path: Path) -> None:
    peers.oras("cp", "--recursive", "--from-plain-http", signed, "--to-oci-layout", f"{tmp_path}/theirs:v1")
    layout = Layout.at(tmp_path / "theirs")
    digest = Digest.parse(real.digest_of(peers, signed))
    assert layout.image("v1").descriptor.digest == digest
    assert len(layout.repository(None).referrers(digest).listed) == 1
    assert whole(layout, digest) == 3


def test_what_oras_backs_up(peers: real.Peers, signed: str, tmp_path: Path) -> None:
    peers.oras("backup", "--plain-http", "--include-referrers", "--output", tmp_path / "theirs.tar", signed)
    with open_archive(tmp_path / "theirs.tar") as layout:
        digest = Digest.parse(real.digest_of(peers, signed))
        assert layout.image(None).descriptor.digest == digest
        assert len(layout.repository(None).referrers(digest).listed) == 1


def test_what_cosign_saves(peers: real.Peers, signed: str, tmp_path: Path) -> None:
    peers.cosign("save", "--allow-http-registry", "--dir", tmp_path / "theirs", signed)
    layout = Layout.at(tmp_path / "theirs")
    digest = Digest.parse(real.digest_of(peers, signed))
    assert layout.image(None).descriptor.digest == digest
    repository = layout.repository(None)
    assert len(repository.referrers(digest).listed) == 1 or repository.document(f"{digest.tag}.sig") is not None


# --- ours, read by them ---


@pytest.fixture
def ours(content: Content, image: Document, tmp_path: Path) -> Path:
    """A layout that we wrote, with the image under its full name, and what refers to it."""
    content.artifact(b"sbom", subject=image)
    push_with_evidence(Layout.at(tmp_path / "ours", create=True).repository(APP), content, image, tag="v1")
    return tmp_path / "ours"


def test_skopeo_reads_ours(peers: real.Peers, ours: Path, tmp_path: Path) -> None:
    peers.skopeo("copy", "--all", f"oci:{ours}:{APP}", f"oci:{tmp_path}/back:v1")
    assert Layout.at(tmp_path / "back").image("v1").descriptor.digest == Layout.at(ours).image(str(APP)).descriptor.digest


def test_crane_pushes_ours(peers: real.Peers, there: str, content: Content, image: Document, tmp_path: Path) -> None:
    push_with_evidence(Layout.at(tmp_path / "ours", create=True).repository(APP), content, image, tag="v1")
    peers.crane("push", tmp_path / "ours", there)
    assert real.digest_of(peers, there) == str(image.digest)


def test_oras_finds_what_refers_in_ours(peers: real.Peers, ours: Path) -> None:
    told = peers.oras("discover", "--format", "json", "--oci-layout", f"{ours}@{Layout.at(ours).image(str(APP)).descriptor.digest}")
    assert len(json.loads(told.stdout)["referrers"]) == 1


def test_regctl_reads_ours_by_digest(peers: real.Peers, ours: Path) -> None:
    digest = Layout.at(ours).image(str(APP)).descriptor.digest
    assert peers.regctl("manifest", "head", f"ocidir://{ours}@{digest}").stdout.strip() == str(digest)


def test_umoci_lists_ours(peers: real.Peers, ours: Path) -> None:
    assert peers.run("umoci", "ls", "--layout", ours).stdout.split() == [str(APP)]
