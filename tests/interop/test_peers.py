"""The peers themselves: that they run here, and do what the crossing tests take for granted."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.interop import peers as real
from tests.interop.images import PLATFORMS, Layout
from tests.interop.tools import pins

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE = "application/vnd.dsse.envelope.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
NOTATION = "application/vnd.cncf.notary.signature"


@pytest.fixture
def image(peers: real.Peers, registry: real.Registry, repository: str, layout: Layout) -> str:
    """An index over two platforms, in each registry in turn, as REPO@DIGEST."""
    layout.named("v1", layout.index(repository))
    return registry.reference(repository, real.push(peers, layout.folder, "v1", registry.reference(repository, "v1")))


def _parts(image: str) -> tuple[str, str]:
    repository, _, digest = image.partition("/")[2].partition("@")
    return repository, digest


def _tag(digest: str, kind: str) -> str:
    return f"{digest.replace(':', '-')}.{kind}"


@pytest.mark.parametrize("name", pins.peers())
def test_a_pinned_peer_is_the_version_that_its_go_mod_names(name: str) -> None:
    pin = (pins.TOOLS / name / "go.mod").read_text()
    [module] = re.findall(r"^require (\S+) ", pin, re.MULTILINE) if pins.is_library(name) else [pins.package(name).partition("/cmd/")[0]]
    built = subprocess.run(["go", "version", "-m", real.program(name)], capture_output=True, text=True, check=True).stdout
    [version] = [line.split()[2] for line in built.splitlines() if line.split()[:2] in (["mod", module], ["dep", module])]
    assert f"{module} {version}" in pin


def test_a_registry_starts_empty_and_says_whether_it_lists_referrers(registry: real.Registry, repository: str) -> None:
    assert registry.get("/v2/")[0] == 200
    assert registry.tags(repository) == []
    status, _ = registry.get(f"/v2/{repository}/referrers/sha256:{'0' * 64}")
    assert (status == 200) is registry.referrers


def test_an_index_arrives_with_the_digest_it_had(registry: real.Registry, peers: real.Peers, layout: Layout, repository: str) -> None:
    descriptor = layout.named("v1", layout.index(repository))
    assert real.push(peers, layout.folder, "v1", registry.reference(repository, "v1")) == descriptor["digest"]
    children = registry.manifest(repository, "v1")["manifests"]
    assert [f"{child['platform']['os']}/{child['platform']['architecture']}" for child in children] == list(PLATFORMS)
    assert json.loads(peers.regctl("manifest", "get", "--format", "{{json .}}", registry.reference(repository, "v1")).stdout)


def test_a_chart_arrives_with_the_digest_it_had(registry: real.Registry, peers: real.Peers, layout: Layout, repository: str) -> None:
    descriptor = layout.named("0.1.0", layout.chart("words"))
    assert real.push_artifact(peers, layout.folder, "0.1.0", registry.reference(repository, "0.1.0")) == descriptor["digest"]


def test_the_same_words_give_the_same_digests(tmp_path: Path) -> None:
    first, second = (Layout(tmp_path / name) for name in ("first", "second"))
    assert first.index("words") == second.index("words")
    assert first.chart("words") == second.chart("words")
    assert first.index("words") != first.index("others")


def test_an_old_signature_is_a_tag_that_cosign_verifies(image: str, peers: real.Peers, keys: real.Keys, registry: real.Registry) -> None:
    repository, digest = _parts(image)
    assert real.verify_old(peers, image, keys.public, check=False).returncode == 10
    real.sign_old(peers, image, keys, annotations={"stage": "release"})
    assert registry.tags(repository) == [_tag(digest, "sig"), "v1"]
    [layer] = registry.manifest(repository, _tag(digest, "sig"))["layers"]
    assert layer["mediaType"] == SIMPLE_SIGNING
    [payload] = json.loads(real.verify_old(peers, image, keys.public, "-a", "stage=release").stdout)
    assert payload["critical"]["image"]["docker-manifest-digest"] == digest
    assert real.verify_new(peers, image, keys.public).returncode == 0


def test_an_old_signature_by_another_key_counts_for_nothing(image: str, peers: real.Peers, keys: real.Keys, tmp_path: Path) -> None:
    real.sign_old(peers, image, real.generate_keys(peers, tmp_path, "other"))
    assert real.verify_old(peers, image, keys.public, check=False).returncode == 12


def test_signing_recursively_signs_each_platform_too(image: str, peers: real.Peers, keys: real.Keys, registry: real.Registry) -> None:
    repository, digest = _parts(image)
    real.sign_old(peers, image, keys, recursive=True)
    nodes = [digest, *(child["digest"] for child in registry.manifest(repository, digest)["manifests"])]
    assert registry.tags(repository) == sorted(["v1", *(_tag(node, "sig") for node in nodes)])


def test_a_new_signature_refers_to_the_image_and_cosign_verifies_it(
    image: str, peers: real.Peers, keys: real.Keys, registry: real.Registry
) -> None:
    repository, digest = _parts(image)
    real.sign_new(peers, image, keys)
    assert _tag(digest, "sig") not in registry.tags(repository)
    [referrer] = registry.referring(repository, digest)
    assert referrer["artifactType"] == BUNDLE
    assert registry.manifest(repository, referrer["digest"])["subject"]["digest"] == digest
    assert real.verify_new(peers, image, keys.public).returncode == 0
    assert real.verify_old(peers, image, keys.public, check=False).returncode == 10


def test_a_new_signature_by_another_key_counts_for_nothing(image: str, peers: real.Peers, keys: real.Keys, tmp_path: Path) -> None:
    real.sign_new(peers, image, real.generate_keys(peers, tmp_path, "other"))
    assert real.verify_new(peers, image, keys.public, check=False).returncode != 0


def test_an_old_attestation_is_a_tag_that_cosign_verifies(
    image: str, peers: real.Peers, keys: real.Keys, registry: real.Registry, predicate: Path
) -> None:
    repository, digest = _parts(image)
    real.attest_old(peers, image, keys, predicate)
    [layer] = registry.manifest(repository, _tag(digest, "att"))["layers"]
    assert layer["mediaType"] == DSSE
    assert real.verify_attestation_old(peers, image, keys.public).returncode == 0
    assert real.verify_attestation_old(peers, image, keys.public, type_="vuln", check=False).returncode != 0


def test_a_new_attestation_refers_to_the_image_and_cosign_verifies_it(
    image: str, peers: real.Peers, keys: real.Keys, registry: real.Registry, predicate: Path
) -> None:
    repository, digest = _parts(image)
    real.attest_new(peers, image, keys, predicate)
    [referrer] = registry.referring(repository, digest)
    assert referrer["artifactType"] == BUNDLE
    assert real.verify_attestation_new(peers, image, keys.public).returncode == 0
    assert real.verify_attestation_new(peers, image, keys.public, type_="vuln", check=False).returncode != 0


def test_both_forms_lie_side_by_side(image: str, peers: real.Peers, keys: real.Keys, registry: real.Registry, predicate: Path) -> None:
    repository, digest = _parts(image)
    real.sign_old(peers, image, keys)
    real.attest_old(peers, image, keys, predicate)
    real.sign_new(peers, image, keys)
    real.attest_new(peers, image, keys, predicate)
    assert {_tag(digest, "sig"), _tag(digest, "att")} <= set(registry.tags(repository))
    assert len(registry.referring(repository, digest)) == 2
    assert real.verify_old(peers, image, keys.public).returncode == 0
    assert real.verify_new(peers, image, keys.public).returncode == 0
    assert real.verify_attestation_old(peers, image, keys.public).returncode == 0
    assert real.verify_attestation_new(peers, image, keys.public).returncode == 0


@pytest.mark.parametrize("envelope", ["jws", "cose"])
def test_a_notation_signature_refers_to_the_image(image: str, notation: real.Peers, registry: real.Registry, envelope: str) -> None:
    repository, digest = _parts(image)
    assert real.notation_verify(notation, image, check=False).returncode != 0
    real.notation_sign(notation, image, envelope="cose" if envelope == "cose" else "jws")
    [referrer] = registry.referring(repository, digest)
    assert referrer["artifactType"] == NOTATION
    [layer] = registry.manifest(repository, referrer["digest"])["layers"]
    assert layer["mediaType"].removeprefix("application/") in {"jws": ["jose+json"], "cose": ["cose"]}[envelope]
    assert real.notation_verify(notation, image).returncode == 0


def test_cosign_signs_with_a_key_that_openssl_made(image: str, peers: real.Peers, tmp_path: Path) -> None:
    private = tmp_path / "release.pem"
    peers.run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private)
    keys = real.import_keys(peers, private, tmp_path)
    real.sign_new(peers, image, keys)
    assert real.verify_new(peers, image, keys.public).returncode == 0


def test_a_peer_reaches_loopback_and_nothing_else(peers: real.Peers) -> None:
    ran = peers.crane("digest", "registry.example/team/app:v1", check=False)
    assert ran.returncode != 0
    assert real.CLOSED.removeprefix("http://") in ran.stderr
