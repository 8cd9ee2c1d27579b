"""What notation signs, in JWS and in COSE, admitted by the station's own stores, and verified by notation behind the gap."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.interop import peers as real
from tests.interop import sigstore
from tests.interop.images import Layout
from tests.interop.station import Station
from tests.support import notary
from tests.support.signing import P256

pytestmark = pytest.mark.xdist_group("timestamp-server")  # its metrics have one port, so a machine has room for one

NAME = "held.test"
SUBJECT = f"CN={NAME},O=Notary,L=Seattle,ST=WA,C=US"
FLAGS = ("--insecure-registry", "--force-referrers-tag=false")

Form = Literal["jws", "cose"]


@pytest.fixture(scope="module")
def stamps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A timestamp authority: its address, and its root."""
    folder = tmp_path_factory.mktemp("stamps") / "tsa"
    with sigstore.timestamp_server(folder) as url:
        yield f"{url}/api/v1/timestamp", folder / "root.pem"


@dataclass(frozen=True)
class Desk:
    """notation with a key and a home of its own, a station that trusts nobody yet, and an image at a registry."""

    peers: real.Peers
    station: Station
    registry: real.Registry
    repository: str
    digest: str
    exporter: Path
    certificate: Path

    @property
    def configuration(self) -> Path:
        """notation's, with its policy and its stores."""
        return self.peers.home / "config" / "notation"

    def notation_trusts(self, *stores: str, **more: Any) -> None:
        """The policy of notation itself."""
        statement = {
            "name": "held",
            "registryScopes": ["*"],
            "signatureVerification": {"level": "strict"},
            "trustStores": [f"ca:{NAME}", *stores],
            "trustedIdentities": [f"x509.subject: {SUBJECT}"],
        }
        policy = self.peers.home / "policy.json"
        policy.write_text(json.dumps({"version": "1.0", "trustPolicies": [statement | more]}))
        self.peers.notation("policy", "import", "--force", policy)

    def sign(self, form: Form, *more: str | Path) -> None:
        self.peers.notation("sign", *FLAGS, f"--signature-format={form}", *more, self.registry.reference(self.repository, self.digest))

    def trusts(self, *words: str | Path) -> dict[str, Any]:
        return self.station.run("trust", "add", "trust", *words)

    def verifies(self, *, exit: int = 0) -> dict[str, Any]:  # noqa: A002
        reference = f"docker://{self.registry.reference(self.repository, 'v1')}"
        [image] = self.station.run("verify", reference, "--trust", "trust", exit=exit)["images"]
        return dict(image)

    def crosses(self, there: real.Registry) -> str:
        """The image behind the gap, by its digest."""
        image = self.registry.reference(self.repository, "v1")
        self.station.run("export", image, "-o", "b.oci.tar.zst", "--key", self.exporter, "--trust", "trust")
        self.station.run("verify", "b.oci.tar.zst", "--trust", "trust")
        self.station.run("import", "b.oci.tar.zst", f"{there.host}/mirror", "--trust", "trust")
        return there.reference(f"mirror/{self.registry.host.replace(':', '-')}/{self.repository}", self.digest)


@pytest.fixture
def desk(layout: Layout, olareg: real.Registry, repository: str, tmp_path: Path) -> Desk:
    home = tmp_path / "home"
    home.mkdir()
    peers = real.Peers(home)
    certificate = real.notation_certificate(peers, NAME)
    layout.named("v1", layout.image(repository))
    digest = real.push(peers, layout.folder, "v1", olareg.reference(repository, "v1"))
    station = Station(tmp_path)
    exporter = station.keygen("exporter")
    station.run("trust", "init", "trust")
    station.run("trust", "add", "trust", "--seal", "default", "--scope", "**", "--key", exporter.with_suffix(".pub"))
    made = Desk(peers, station, olareg, repository, digest, exporter, certificate)
    made.notation_trusts()
    return made


@pytest.fixture(params=["docker_registry", "embedded"])
def there(request: pytest.FixtureRequest) -> real.Registry:
    """Behind the gap: a registry without the referrers API, and one with it."""
    registry: real.Registry = request.getfixturevalue(request.param)
    return registry


@pytest.mark.parametrize("form", ["jws", "cose"])
def test_notations_own_policy_is_taken_over_and_judges_alike(desk: Desk, form: Form, there: real.Registry) -> None:
    """``trust add --notation`` on the folder that real notation made."""
    desk.sign(form)
    desk.trusts("--notation", desk.configuration)
    verdict = desk.verifies()
    assert [signer["kind"] for signer in verdict["signers"]] == ["notation"]
    real.notation_verify(desk.peers, desk.crosses(there))


@pytest.mark.parametrize("form", ["jws", "cose"])
def test_timestamps_of_a_store_cross(desk: Desk, form: Form, embedded: real.Registry, stamps: tuple[str, Path]) -> None:
    url, root = stamps
    time.sleep(1.1)  # a stamp is exact to a second, and all of that has to lie in the new certificate's validity
    desk.sign(form, f"--timestamp-url={url}", f"--timestamp-root-cert={root}")
    desk.trusts("--store", "stamps", "--store-type", "tsa", "--certificate", root)
    store = ("--store", "release", "--store-type", "ca", "--certificate", desk.certificate)
    desk.trusts("--image", "**", *store, "--subject", SUBJECT, "--tsa", "stamps")
    assert any("proved" in check["detail"] and "held stamps" in check["detail"] for check in desk.verifies()["checks"])
    desk.peers.notation("cert", "add", "--type=tsa", "--store=stamps", root)
    desk.notation_trusts("tsa:stamps")
    real.notation_verify(desk.peers, desk.crosses(embedded))


def test_a_signature_without_the_timestamp_that_the_rule_asks_for_is_refused(desk: Desk, stamps: tuple[str, Path]) -> None:
    desk.sign("jws")
    desk.trusts("--store", "stamps", "--store-type", "tsa", "--certificate", stamps[1])
    store = ("--store", "release", "--store-type", "ca", "--certificate", desk.certificate)
    desk.trusts("--image", "**", *store, "--subject", SUBJECT, "--tsa", "stamps")
    assert desk.verifies(exit=5)["reasons"][0] == "policy.threshold"


def test_another_subject_is_refused(desk: Desk) -> None:
    desk.sign("cose")
    store = ("--store", "release", "--store-type", "ca", "--certificate", desk.certificate)
    desk.trusts("--image", "**", *store, "--subject", "CN=somebody else,O=Notary")
    assert desk.verifies(exit=5)["reasons"] == ["policy.threshold", "identity.subject"]


def test_another_authority_is_refused(desk: Desk, tmp_path: Path) -> None:
    desk.sign("jws")
    (tmp_path / "other.pem").write_bytes(notary.ROOT.pem)
    store = ("--store", "release", "--store-type", "ca", "--certificate", tmp_path / "other.pem")
    desk.trusts("--image", "**", *store, "--subject", "*")
    assert desk.verifies(exit=5)["reasons"][0] == "policy.threshold"


def test_a_rule_for_a_key_is_not_met_by_a_certificate(desk: Desk, tmp_path: Path) -> None:
    desk.sign("jws")
    (tmp_path / "release.pub").write_bytes(P256.pem)
    desk.trusts("--image", "**", "--key", tmp_path / "release.pub")
    assert desk.verifies(exit=5)["reasons"][0] == "policy.threshold"


def test_a_policy_below_strict_is_left_out_and_said(desk: Desk) -> None:
    desk.notation_trusts(signatureVerification={"level": "audit"})
    told = desk.station.run("trust", "add", "trust", "--notation", desk.configuration, exit=2)["error"]
    assert (told["code"], "below strict" in told["found"]) == ("trust.form", True)
