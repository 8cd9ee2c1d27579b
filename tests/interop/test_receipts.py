"""Real cosign reads what a station writes down and what it attaches, and sees no signature less or more for it.

cosign 3 looks at bundles alone once one refers to an image, and takes any of them for a signature, whatever it says: also one that says
that the image was refused. So the states below are those in which a summary could hide a signature, or stand for one.
"""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interop import peers as real
from tests.interop.images import Layout
from tests.interop.station import Station

VSA = "https://slsa.dev/verification_summary/v1"
RECEIPT = "urn:oci-bundler:receipt:v1"


@dataclass(frozen=True)
class Site:
    """A station with its registry, and an image that two parties may have signed."""

    peers: real.Peers
    registry: real.Registry
    station: Station
    image: str
    """At the connected registry, by its tag."""
    digest: str
    release: real.Keys
    site: real.Keys

    @property
    def folder(self) -> Path:
        return self.station.folder / "plant"

    @property
    def key(self) -> Path:
        return self.folder / "station.pub"

    @property
    def at_source(self) -> str:
        return f"{self.image.rpartition(':')[0]}@{self.digest}"

    def arrived(self, destination: str) -> str:
        return f"{destination.rpartition(':')[0]}@{self.digest}"

    def cross(self, *flags: str, exit: int = 0) -> dict[str, Any]:  # noqa: A002 - as everywhere here
        bundle = self.station.folder / "app.oci.tar.zst"
        bundle.unlink(missing_ok=True)
        self.station.run("export", self.image, "-o", bundle, "--key", "exporter.key")
        where = self.registry.reference("there").rpartition("/")[0]
        return self.station.run("import", bundle, where, "--trust", "trust", "--station", self.folder, *flags, exit=exit)

    def is_signed(self, image: str, public: Path) -> bool:
        return self.peers.cosign("verify", "--key", public, real.UNLOGGED, image, check=False).returncode == 0

    def is_summed_up(self, image: str, public: Path) -> bool:
        ran = self.peers.cosign("verify-attestation", "--key", public, real.UNLOGGED, "--type", VSA, image, check=False)
        return ran.returncode == 0


@pytest.fixture
def site(peers: real.Peers, olareg: real.Registry, tmp_path: Path, repository: str, layout: Layout) -> Site:
    station = Station(tmp_path)
    exporter = station.keygen("exporter")
    digest = layout.named("app", layout.image(repository))["digest"]
    image = olareg.reference(repository, "v1")
    peers.skopeo("copy", "--dest-tls-verify=false", f"oci:{layout.folder}:app", f"docker://{image}")
    release, countersigner = (real.generate_keys(peers, tmp_path, name) for name in ("release", "site"))
    station.trusts(seal=exporter.with_suffix(".pub"), image=release.public)
    station.run("station", "init", "plant", "--name", "plant-7")
    return Site(peers, olareg, station, image, digest, release, countersigner)


def released(site: Site) -> None:
    real.sign_old(site.peers, site.at_source, site.release)


def and_the_site_by_tag(site: Site) -> None:
    released(site)
    real.sign_old(site.peers, site.at_source, site.site)


def and_the_site_in_both(site: Site) -> None:
    and_the_site_by_tag(site)
    real.sign_new(site.peers, site.at_source, site.site)


def attest(site: Site, form: str) -> None:
    statement = site.station.folder / "vsa.json"
    statement.write_text('{"verifier":{"id":"https://site.example"},"verificationResult":"FAILED"}')
    words = ("--key", site.site.private, "--predicate", statement, "--type", VSA, site.at_source)
    site.peers.cosign("attest", *real.OFFLINE, form, *words)


def and_a_summary_as_a_bundle(site: Site) -> None:
    released(site)
    attest(site, real.NEW)


def and_a_summary_by_tag(site: Site) -> None:
    released(site)
    attest(site, real.OLD)


def and_a_summary_that_cosign_does_not_find(site: Site) -> None:
    released(site)
    (site.station.folder / "vsa.json").write_text('{"verificationResult":"FAILED"}')
    flags = ("--plain-http", "--artifact-type", "application/vnd.in-toto+json")
    site.peers.oras("attach", *flags, site.at_source, "vsa.json:application/vnd.dsse.envelope.v1+json", cwd=site.station.folder)


STATES: dict[Callable[[Site], None], tuple[bool, bool]] = {
    released: (True, False),
    and_the_site_by_tag: (True, True),
    and_the_site_in_both: (False, True),
    and_a_summary_as_a_bundle: (False, True),
    and_a_summary_by_tag: (True, False),
    and_a_summary_that_cosign_does_not_find: (True, False),
}
"""What cosign says of the release team's key and of the site's, before the crossing and behind it."""


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_summary_hides_no_signature_and_is_found(state: Callable[[Site], None], site: Site) -> None:
    state(site)
    assert (site.is_signed(site.at_source, site.release.public), site.is_signed(site.at_source, site.site.public)) == STATES[state]

    [told] = site.cross("--attach", "auto")["images"]

    there = site.arrived(told["destination"])
    assert (site.is_signed(there, site.release.public), site.is_signed(there, site.site.public)) == STATES[state]
    assert site.is_summed_up(there, site.key)
    first = site.is_signed(there, site.key)
    assert first is (STATES[state][0] is False)  # where a bundle was there before, cosign takes each of them for a signature


def test_an_image_that_is_refused_gets_nothing_that_cosign_could_take_for_a_signature(site: Site) -> None:
    """The seventh state: unsigned. A summary that says FAILED would make it count as signed."""
    attest(site, real.NEW)
    site.cross("--attach", "auto", exit=5)
    repository = site.registry.reference(
        f"{site.image.partition('/')[0].replace(':', '-')}/{site.image.partition('/')[2].rpartition(':')[0]}"
    )
    assert not site.is_signed(f"{repository}@{site.digest}", site.key)


def test_cosign_verifies_a_receipt_about_the_bundle_it_is_about(site: Site) -> None:
    released(site)
    receipt = Path(site.cross()["receipt"]["file"])
    index = site.station.folder / "index.json"
    index.write_bytes(member(site.station.folder / "app.oci.tar.zst", "index.json"))
    bundle = site.station.folder / "receipt.sigstore.json"
    bundle.write_text(
        json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "verificationMaterial": {"publicKey": {"hint": ""}},
                "dsseEnvelope": json.loads(receipt.read_text()),
            }
        )
    )
    for form in (("--bundle", bundle), ("--signature", receipt)):
        words = ("verify-blob-attestation", "--key", site.key, "--type", RECEIPT, "--insecure-ignore-tlog", *form)
        assert site.peers.cosign(*words, index, check=False).returncode == 0
        (site.station.folder / "other.json").write_text("{}")
        assert site.peers.cosign(*words, site.station.folder / "other.json", check=False).returncode != 0
        words = (*words[:2], site.release.public, *words[3:])
        assert site.peers.cosign(*words, index, check=False).returncode != 0


def test_cosign_verifies_the_receipt_of_a_refused_seal(site: Site) -> None:
    released(site)
    site.station.keygen("stranger")
    bundle = site.station.folder / "strange.oci.tar.zst"
    site.station.run("export", site.image, "-o", bundle, "--key", "stranger.key")
    where = site.registry.reference("there").rpartition("/")[0]
    told = site.station.run("import", bundle, where, "--trust", "trust", "--station", site.folder, exit=5)
    seal = site.station.folder / "seal.json"
    seal.write_bytes(member(bundle, "oci-bundler/seal.json"))
    flags = ("--key", site.key, "--type", RECEIPT, "--insecure-ignore-tlog", "--signature", told["receipt"]["file"])
    assert site.peers.cosign("verify-blob-attestation", *flags, seal, check=False).returncode == 0


def member(bundle: Path, name: str) -> bytes:
    return subprocess.run(["tar", "--zstd", "-xOf", bundle, name], check=True, capture_output=True).stdout
