"""From each registry into each other one: what real cosign, oras and notation put there is there afterwards, and counts."""

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop import peers as real
from tests.interop.images import Layout
from tests.interop.station import Station

REGISTRIES = ("docker_registry", "distribution", "olareg", "embedded")
PAIRS = list(itertools.permutations(REGISTRIES, 2))
SPDX = "https://spdx.dev/Document"
SBOM = "application/spdx+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREFIX = "mirror"


@dataclass(frozen=True)
class Sent:
    """What lies at a source, and the bundle that was made of it."""

    registry: real.Registry
    station: Station
    keys: real.Keys
    index: str
    """The digest of ``team/app:v1``; it and its children are signed and attested in both forms."""
    children: tuple[str, ...]
    sbom: str
    """The digest of what oras attached to the first child; it is signed too."""
    docker: str
    """The digest of ``team/docker:v1``, a Docker schema 2 image whose signature is one, too."""
    chart: str
    exported: dict[str, Any]

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.index, *self.children)

    @property
    def bundle(self) -> Path:
        return self.station.folder / "release.oci.tar.zst"


@dataclass(frozen=True)
class Crossed:
    """A bundle that was imported."""

    sent: Sent
    there: real.Registry
    imported: dict[str, Any]

    def repository(self, path: str) -> str:
        return f"{PREFIX}/{self.sent.registry.host.replace(':', '-')}/{path}"

    def at(self, path: str, tag_or_digest: str) -> str:
        return self.there.reference(self.repository(path), tag_or_digest)


@pytest.fixture(scope="session")
def senders(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, notation: real.Peers, keys: real.Keys) -> Any:
    """Gives for each registry, once, what was pushed, signed, attached and exported there."""
    made: dict[str, Sent] = {}

    def sender(name: str) -> Sent:
        if name not in made:
            made[name] = _send(request.getfixturevalue(name), notation, keys, tmp_path_factory.mktemp(f"from-{name}"))
        return made[name]

    return sender


@pytest.fixture(scope="session", params=REGISTRIES)
def sent(request: pytest.FixtureRequest, senders: Any) -> Sent:
    """From each registry in turn."""
    sender: Sent = senders(request.param)
    return sender


@pytest.fixture(scope="session", params=PAIRS, ids="-to-".join)
def crossed(request: pytest.FixtureRequest, senders: Any) -> Crossed:
    """Every crossing from one registry to another."""
    source, destination = request.param
    sent: Sent = senders(source)
    there = request.getfixturevalue(destination)
    return Crossed(sent, there, sent.station.run("import", sent.bundle, f"{there.host}/{PREFIX}", "--trust", "trust"))


def _send(registry: real.Registry, peers: real.Peers, keys: real.Keys, folder: Path) -> Sent:
    layout = Layout(folder / "layout")
    app, docker, chart = (registry.reference(f"team/{name}") for name in ("app", "docker", "chart"))
    layout.named("v1", layout.index("a crossing"))
    index = real.push(peers, layout.folder, "v1", f"{app}:v1")
    children = tuple(child["digest"] for child in registry.manifest("team/app", index)["manifests"])
    predicate = folder / "sbom.spdx.json"
    predicate.write_text('{"spdxVersion":"SPDX-2.3","name":"words","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT"}')
    for node in (index, *children):
        real.attest_old(peers, f"{app}@{node}", keys, predicate)
        real.attest_new(peers, f"{app}@{node}", keys, predicate)
    real.sign_old(peers, f"{app}@{index}", keys, recursive=True)
    real.sign_new(peers, f"{app}@{index}", keys, recursive=True)
    attached = peers.oras(
        *("attach", "--plain-http", "--artifact-type", SBOM, "--format", "json", f"{app}@{children[0]}", f"sbom.spdx.json:{SBOM}"),
        cwd=folder,
    )
    sbom = json.loads(attached.stdout)["digest"]
    real.sign_old(peers, f"{app}@{sbom}", keys)
    real.sign_new(peers, f"{app}@{sbom}", keys)
    peers.cosign("attach", "sbom", "--type", "spdx", "--input-format", "json", "--sbom", predicate, f"{app}@{children[1]}")
    real.notation_sign(peers, f"{app}@{index}", envelope="jws")
    real.notation_sign(peers, f"{app}@{children[1]}", envelope="cose")

    layout.named("single", layout.image("of Docker's kind"))
    peers.skopeo("copy", "--format=v2s2", "--dest-tls-verify=false", f"oci:{layout.folder}:single", f"docker://{docker}:v1")
    docker_digest = real.digest_of(peers, f"{docker}:v1")
    flags = (*real.OFFLINE, real.OLD, "--key", str(keys.private))
    peers.cosign("sign", *flags, f"{docker}@{docker_digest}", env={"COSIGN_DOCKER_MEDIA_TYPES": "1"})

    layout.named("0.1.0", layout.chart("words"))
    chart_digest = real.push_artifact(peers, layout.folder, "0.1.0", f"{chart}:0.1.0")
    real.sign_new(peers, f"{chart}@{chart_digest}", keys)

    station = Station(folder)
    exporter = station.keygen("exporter")
    station.trusts(seal=exporter.with_suffix(".pub"), image=keys.public, node="both")
    images = (f"{app}:v1", f"{docker}:v1", f"{chart}:0.1.0")
    exported = station.run("export", *images, "-o", "release.oci.tar.zst", "--key", exporter, "--trust", "trust")
    return Sent(registry, station, keys, index, children, sbom, docker_digest, chart_digest, exported)


def _manifest(registry: real.Registry, repository: str, digest: str) -> bytes:
    """The manifest's bytes; whoever has asked for what it is not gets another answer than 200."""
    accept = ", ".join(f"application/vnd.{kind}+json" for kind in real.MANIFEST_KINDS)
    status, body = registry.get(f"/v2/{repository}/manifests/{digest}", Accept=accept)
    assert status == 200, f"{registry.name} answered {status} for {repository}@{digest}: {body!r}"
    return body


# --- what was found ---


def test_export_finds_all_that_the_tools_have_put_there(sent: Sent) -> None:
    app, docker, chart = sent.exported["images"]
    forms = [(found["kind"], found["subject"]) for found in app["found"]]
    for node in sent.nodes:
        assert forms.count(("sig", node)) == 1
        assert forms.count(("att", node)) == 1
    assert forms.count(("referrer", sent.index)) == 3  # cosign's signature and attestation, notation's signature
    assert forms.count(("referrer", sent.children[0])) == 3  # the SBOM instead of notation's
    assert forms.count(("referrer", sent.children[1])) == 3
    assert forms.count(("sig", sent.sbom)) == forms.count(("referrer", sent.sbom)) == 1
    assert forms.count(("sbom", sent.children[1])) == 1
    assert len(forms) == 18
    assert [found["kind"] for found in docker["found"]] == ["sig"]
    assert [found["kind"] for found in chart["found"]] == ["referrer"]
    assert all(image["checked"] for image in sent.exported["images"])


# --- what arrived ---


def test_every_digest_is_there(crossed: Crossed, peers: real.Peers) -> None:
    sent = crossed.sent
    tags = {"app:v1": sent.index, "docker:v1": sent.docker, "chart:0.1.0": sent.chart}
    for name, digest in tags.items():
        path, _, tag = name.partition(":")
        assert real.digest_of(peers, crossed.at(f"team/{path}", tag)) == digest
    for image in sent.exported["images"]:
        path = image["reference"].partition("/")[2].rpartition(":")[0]
        for digest in {found["digest"] for found in image["found"]} | {image["digest"]}:
            assert _manifest(crossed.there, crossed.repository(path), digest) == _manifest(sent.registry, path, digest)


def test_cosign_verifies_every_node_in_both_forms(crossed: Crossed, peers: real.Peers) -> None:
    public = crossed.sent.keys.public
    for node in crossed.sent.nodes:
        image = crossed.at("team/app", node)
        real.verify_old(peers, image, public)
        real.verify_new(peers, image, public)
        real.verify_attestation_old(peers, image, public)
        real.verify_attestation_new(peers, image, public)
    real.verify_old(peers, crossed.at("team/app", crossed.sent.sbom), public)
    real.verify_new(peers, crossed.at("team/app", crossed.sent.sbom), public)
    real.verify_old(peers, crossed.at("team/docker", "v1"), public)
    real.verify_new(peers, crossed.at("team/chart", "0.1.0"), public)


def test_cosign_verifies_there_by_no_other_key(crossed: Crossed, peers: real.Peers, tmp_path: Path) -> None:
    other = real.generate_keys(peers, tmp_path, "other").public
    image = crossed.at("team/app", crossed.sent.index)
    assert real.verify_old(peers, image, other, check=False).returncode == 12
    assert real.verify_new(peers, image, other, check=False).returncode != 0


def test_oras_discovers_what_was_attached(crossed: Crossed, peers: real.Peers) -> None:
    child = crossed.at("team/app", crossed.sent.children[0])
    tree = json.loads(peers.oras("discover", "--plain-http", "--format", "json", child).stdout)
    found = {referrer["digest"]: referrer for referrer in tree["referrers"]}
    assert len(found) == 3
    assert found[crossed.sent.sbom]["artifactType"] == SBOM
    [signature] = found[crossed.sent.sbom]["referrers"]
    assert signature["artifactType"] == BUNDLE


def test_cosign_downloads_the_sbom_that_it_attached(crossed: Crossed, peers: real.Peers) -> None:
    there = peers.cosign("download", "sbom", crossed.at("team/app", crossed.sent.children[1])).stdout
    assert there == (crossed.sent.station.folder / "sbom.spdx.json").read_text()


def test_notation_verifies(crossed: Crossed, notation: real.Peers) -> None:
    real.notation_verify(notation, crossed.at("team/app", crossed.sent.index))
    real.notation_verify(notation, crossed.at("team/app", crossed.sent.children[1]))
    assert real.notation_verify(notation, crossed.at("team/app", crossed.sent.children[0]), check=False).returncode != 0


def test_we_verify_there_what_was_verified_here(crossed: Crossed) -> None:
    sent = crossed.sent
    source = sent.registry.reference("team/app", "v1")
    image = f"docker://{crossed.at('team/app', 'v1')}"
    [verdict] = sent.station.run("verify", image, "--as", source, "--trust", "trust")["images"]
    assert {signer["node"] for signer in verdict["signers"]} == set(sent.nodes)
    assert {signer["form"] for signer in verdict["signers"]} >= {"sig", "bundle"}


def test_the_same_import_again_changes_nothing(crossed: Crossed) -> None:
    sent, repository = crossed.sent, crossed.repository("team/app")
    before = (crossed.there.tags(repository), [crossed.there.referring(repository, node) for node in sent.nodes])
    again = sent.station.run("import", sent.bundle, f"{crossed.there.host}/{PREFIX}", "--trust", "trust")
    assert {image["state"] for image in crossed.imported["images"]} == {"new"}
    assert again == crossed.imported | {"images": [image | {"state": "same"} for image in crossed.imported["images"]]}
    assert (crossed.there.tags(repository), [crossed.there.referring(repository, node) for node in sent.nodes]) == before


def test_what_is_exported_from_there_is_as_much(crossed: Crossed) -> None:
    """Nothing got lost: whoever carries it on from the isolated registry finds the very same evidence."""
    sent = crossed.sent
    source, there = sent.registry.reference("team/app", "v1"), crossed.at("team/app", "v1")
    name = f"{crossed.there.name}.oci.tar.zst"
    onward = sent.station.run(
        *("export", there, "--as", source, "-o", name, "--replace", "--key", "exporter.key", "--trust", "trust"),
        env={"SOURCE_DATE_EPOCH": "1700000000"},
    )
    found, before = ({(f["kind"], f["digest"], f["subject"]) for f in run["images"][0]["found"]} for run in (onward, sent.exported))
    assert found == before


# --- the bundle, by the hands of others (design 3.2, 3.8) ---


def test_the_bundle_is_checked_by_sha256sum_zstd_and_openssl(sent: Sent, peers: real.Peers, tmp_path: Path) -> None:
    name, folder = sent.bundle.name, sent.station.folder
    assert peers.run("sha256sum", "-c", f"{name}.sha256", cwd=folder).stdout == f"{name}: OK\n"
    peers.run("zstd", "-t", name, cwd=folder)
    openssl = ("dgst", "-sha256", "-verify", "exporter.pub", "-signature", f"{name}.sha256.sig")
    assert peers.run("openssl", *openssl, f"{name}.sha256", cwd=folder).stdout == "Verified OK\n"
    altered = tmp_path / "altered"
    listed = sent.bundle.with_name(f"{name}.sha256").read_bytes()
    altered.write_bytes((b"2" if listed[:1] == b"1" else b"1") + listed[1:])
    assert peers.run("openssl", *openssl, altered, cwd=folder, check=False).returncode == 1


def test_tar_lists_the_seal_and_then_what_it_names(sent: Sent, peers: real.Peers) -> None:
    listed = peers.run("tar", "--zstd", "-tvf", sent.bundle, env={"TZ": "UTC"}).stdout.splitlines()
    claims = sent.station.run("inspect", sent.bundle)["claims"]
    names = [member.get("name", f"blobs/sha256/{member['sha256']}") for member in claims["members"]]
    assert [line.split()[-1] for line in listed] == ["oci-bundler/seal.json", *names]
    assert {line.split()[0] for line in listed} == {"-rw-r--r--"}
    assert [int(line.split()[2]) for line in listed][1:] == [member["size"] for member in claims["members"]]


def test_skopeo_inspects_and_copies_an_image_out_of_it(sent: Sent, peers: real.Peers, layout: Layout) -> None:
    image = f"oci-archive:{sent.bundle}:{sent.registry.reference('team/app', 'v1')}"
    shown = peers.skopeo("inspect", "--raw", image).stdout.encode()
    assert shown == _manifest(sent.registry, "team/app", sent.index)
    peers.skopeo("copy", "--all", "--preserve-digests", image, f"oci:{layout.folder}:v1")
    [listed] = json.loads((layout.folder / "index.json").read_text())["manifests"]
    assert listed["digest"] == sent.index


@pytest.fixture
def lifted(sent: Sent, peers: real.Peers, tmp_path: Path) -> Path:
    """The seal and the index, taken out by tar; the folder that they lie in."""
    peers.run("tar", "--zstd", "-xf", sent.bundle, "-C", tmp_path, "oci-bundler/seal.json", "index.json")
    return tmp_path


def test_cosign_verifies_the_seal_over_the_index(sent: Sent, peers: real.Peers, lifted: Path) -> None:
    def verified(public: Path) -> int:
        seal = ("--signature", lifted / "oci-bundler/seal.json", "--type", "urn:oci-bundler:bundle:v1")
        return peers.cosign("verify-blob-attestation", "--key", public, *seal, real.UNLOGGED, lifted / "index.json", check=False).returncode

    assert verified(sent.station.folder / "exporter.pub") == 0
    assert verified(sent.keys.public) != 0
    (lifted / "index.json").write_bytes((lifted / "index.json").read_bytes() + b" ")
    assert verified(sent.station.folder / "exporter.pub") != 0


def _sigstore_bundle(envelope: bytes) -> bytes:
    value = {
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {}},
        "dsseEnvelope": json.loads(envelope),
    }
    return json.dumps(value).encode()


@pytest.fixture
def image(peers: real.Peers, layout: Layout, repository: str, olareg: real.Registry) -> str:
    """An image that nobody signed, as REPO:TAG."""
    layout.named("v1", layout.index(repository))
    real.push(peers, layout.folder, "v1", olareg.reference(repository, "v1"))
    return olareg.reference(repository, "v1")


def test_a_seal_put_beside_an_image_counts_for_nothing(sent: Sent, peers: real.Peers, lifted: Path, image: str) -> None:
    """In every place where an attestation or a signature could lie, and where the exporter's key is one that images are signed by."""
    seal = (lifted / "oci-bundler/seal.json").read_bytes()
    (lifted / "seal.json").write_bytes(seal)
    (lifted / "bundle.json").write_bytes(_sigstore_bundle(seal))
    peers.oras("attach", "--plain-http", "--artifact-type", BUNDLE, image, f"bundle.json:{BUNDLE}", cwd=lifted)
    peers.oras("attach", "--plain-http", "--artifact-type", "application/vnd.in-toto+json", image, "seal.json", cwd=lifted)
    repository, digest = image.rpartition(":")[0], real.digest_of(peers, image)
    tag = f"{repository}:{digest.replace(':', '-')}.att"
    peers.oras("push", "--plain-http", tag, "seal.json:application/vnd.dsse.envelope.v1+json", cwd=lifted)

    station = Station(lifted)
    other = station.keygen("other").with_suffix(".pub")
    exporter = sent.station.folder / "exporter.pub"
    for attestation in (None, SPDX, "urn:oci-bundler:bundle:v1"):
        trust = station.trusts(seal=other, image=exporter, attestation=attestation, folder=f"trust-{attestation}".replace("/", "-"))
        [verdict] = station.run("verify", f"docker://{image}", "--trust", trust, exit=5)["images"]
        assert not verdict["signers"]
        assert verdict["reasons"][0] == "policy.threshold"
        assert {check["code"] for check in verdict["checks"] if check["outcome"] == "passed"} == set()
        assert "intoto.subject" in verdict["reasons"]
    by_digest = f"{repository}@{digest}"
    assert real.verify_new(peers, by_digest, exporter, check=False).returncode != 0
    for type_ in ("urn:oci-bundler:bundle:v1", "spdxjson"):
        assert real.verify_attestation_new(peers, by_digest, exporter, type_=type_, check=False).returncode != 0
        assert real.verify_attestation_old(peers, by_digest, exporter, type_=type_, check=False).returncode != 0
