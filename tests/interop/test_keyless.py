"""What cosign signs under a private Sigstore, admitted by the station's own root with no network, and verified by cosign behind the gap."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop import peers as real
from tests.interop import sigstore
from tests.interop.images import Layout
from tests.interop.sigstore import IDENTITY, Sigstore
from tests.interop.station import Station
from tests.support.world import World, canonical

pytestmark = pytest.mark.xdist_group("timestamp-server")  # its metrics have one port, so a machine has room for one

SPDX = "https://spdx.dev/Document"


@pytest.fixture(scope="module")
def private(peers: real.Peers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sigstore]:
    with sigstore.running(peers, tmp_path_factory.mktemp("sigstore") / "private") as running:
        yield running


@dataclass(frozen=True)
class Desk:
    """A station with an exporter's key and a trust that admits nothing yet, and an image of its own at a registry."""

    station: Station
    registry: real.Registry
    repository: str
    digest: str
    exporter: Path

    @property
    def image(self) -> str:
        return self.registry.reference(self.repository, self.digest)

    @property
    def reference(self) -> str:
        return self.registry.reference(self.repository, "v1")

    def trusts(self, *words: str | Path) -> None:
        """A rule for every image."""
        self.station.run("trust", "add", "trust", "--image", "**", *words)

    def verifies(self, *, exit: int = 0) -> dict[str, Any]:  # noqa: A002
        """The verdict on the image at its registry."""
        [image] = self.station.run("verify", f"docker://{self.reference}", "--trust", "trust", exit=exit)["images"]
        return dict(image)

    def crosses(self, there: real.Registry) -> str:
        """The image behind the gap, by its digest."""
        self.station.run("export", self.reference, "-o", "b.oci.tar.zst", "--key", self.exporter, "--trust", "trust")
        self.station.run("verify", "b.oci.tar.zst", "--trust", "trust")
        self.station.run("import", "b.oci.tar.zst", f"{there.host}/mirror", "--trust", "trust")
        return there.reference(f"mirror/{self.registry.host.replace(':', '-')}/{self.repository}", self.digest)


@pytest.fixture
def desk(peers: real.Peers, layout: Layout, olareg: real.Registry, repository: str, tmp_path: Path) -> Desk:
    layout.named("v1", layout.image(repository))
    digest = real.push(peers, layout.folder, "v1", olareg.reference(repository, "v1"))
    station = Station(tmp_path)
    exporter = station.keygen("exporter")
    station.run("trust", "init", "trust")
    station.run("trust", "add", "trust", "--seal", "default", "--scope", "**", "--key", exporter.with_suffix(".pub"))
    return Desk(station, olareg, repository, digest, exporter)


@pytest.fixture(params=["docker_registry", "embedded"])
def there(request: pytest.FixtureRequest) -> real.Registry:
    """Behind the gap: a registry without the referrers API, and one with it."""
    registry: real.Registry = request.getfixturevalue(request.param)
    return registry


def _identity(private: Sigstore, *more: str | Path, identity: str = IDENTITY) -> tuple[str | Path, ...]:
    return ("--issuer", private.issuer, "--identity", identity, "--root", private.root, *more)


# --- what passes ---


def test_bundles_cross_and_cosign_verifies_them_there(private: Sigstore, desk: Desk, there: real.Registry, predicate: Path) -> None:
    """Certificate with SCT, Rekor v2 entry, RFC 3161 timestamp; signature and attestation."""
    private.sign(desk.image)
    private.attest(desk.image, predicate)
    desk.trusts(*_identity(private, "--timestamp", "1", "--attestation", SPDX))
    verdict = desk.verifies()
    assert verdict["signers"][0]["kind"] == "identity"
    assert IDENTITY in verdict["signers"][0]["id"]
    image = desk.crosses(there)
    private.verify(image)
    private.verify_attestation(image)
    assert private.verify(image, identity="other@held.test", check=False).returncode != 0


def test_the_old_form_crosses_and_cosign_verifies_it_there(private: Sigstore, desk: Desk, there: real.Registry) -> None:
    """``.sig`` with a certificate and a timestamp, where the station's owner asks for no log."""
    private.sign_old(desk.image)
    desk.trusts(*_identity(private, "--log", "0", "--timestamp", "1"))
    desk.verifies()
    private.verify_old(desk.crosses(there))


def test_a_key_whose_signature_is_logged(private: Sigstore, desk: Desk, keys: real.Keys) -> None:
    private.sign_with_key(desk.image, keys)
    desk.trusts("--key", keys.public, "--root", private.root, "--log", "1")
    [check] = [check for check in desk.verifies()["checks"] if "logged in" in check["detail"]]
    assert check["outcome"] == "passed"


def test_the_root_travels_as_evidence_and_the_seal_says_which_trust_judged(private: Sigstore, desk: Desk, embedded: real.Registry) -> None:
    private.sign(desk.image)
    desk.trusts(*_identity(private))
    desk.crosses(embedded)
    shown = desk.station.run("inspect", "b.oci.tar.zst")
    assert desk.station.run("trust", "list", "trust")["digest"] in json.dumps(shown)
    evidence = desk.station.folder / "evidence"
    evidence.mkdir()
    real.Peers(desk.station.folder).run("tar", "--zstd", "-xf", "../b.oci.tar.zst", "--wildcards", "oci-bundler/evidence/*", cwd=evidence)
    assert private.root.read_bytes() in [path.read_bytes() for path in evidence.rglob("*.json")]


# --- what is refused, and why ---


def test_another_identity_is_refused(private: Sigstore, desk: Desk) -> None:
    private.sign(desk.image, identity="other@held.test")
    desk.trusts(*_identity(private))
    verdict = desk.verifies(exit=5)
    assert verdict["reasons"] == ["policy.threshold", "identity.san"]


def test_an_expression_matches_the_whole_name(private: Sigstore, desk: Desk) -> None:
    private.sign(desk.image, identity="release@held.test.evil.example")
    desk.trusts("--issuer", private.issuer, "--identity-regexp", r"release@held\.test", "--root", private.root)
    assert "identity.san" in desk.verifies(exit=5)["reasons"]


def test_another_root_is_refused(private: Sigstore, desk: Desk) -> None:
    other = desk.station.folder / "other.json"
    other.write_bytes(canonical(World().root_json()))
    private.sign(desk.image)
    desk.trusts("--issuer", private.issuer, "--identity", IDENTITY, "--root", other)
    assert "time.threshold" in desk.verifies(exit=5)["reasons"]  # nobody whom that root knows has seen it


def test_an_unlogged_signature_is_refused_where_the_root_asks_for_a_log(private: Sigstore, desk: Desk) -> None:
    private.sign_old(desk.image)
    desk.trusts(*_identity(private))
    assert "tlog.threshold" in desk.verifies(exit=5)["reasons"]


def test_a_root_that_lost_its_certificate_log_admits_nothing_unless_none_is_asked_for(private: Sigstore, desk: Desk) -> None:
    root = json.loads(private.root.read_text())
    del root["ctlogs"]
    bare = desk.station.folder / "bare.json"
    bare.write_text(json.dumps(root))
    private.sign(desk.image)
    words = ("--image", "**", "--issuer", private.issuer, "--identity", IDENTITY, "--root", bare)
    assert desk.station.run("trust", "add", "trust", *words, exit=2)["error"]["code"] == "trust.form"
    desk.trusts(*words[2:], "--sct", "0")
    desk.verifies()
