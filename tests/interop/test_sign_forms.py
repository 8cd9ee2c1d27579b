"""`sign --form auto` takes no signature away from real cosign, in whatever state it finds the image, and adds its own.

cosign 3 looks at bundles alone once one refers to the image, and takes any of them for a signature. So in each state its answer
for the release team's and for the site's key is the same before and after a third party has signed with us.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop import peers as real
from tests.interop.images import Layout
from tests.support.station import run

VSA = "https://slsa.dev/verification_summary/v1"


@dataclass(frozen=True)
class Stage:
    """An image at a registry, and those who sign it with cosign."""

    peers: real.Peers
    image: str
    release: real.Keys
    site: real.Keys
    vsa: Path

    def accepts(self, public: Path) -> bool:
        """What ``cosign verify`` says, left to its own choice of form."""
        return self.peers.cosign("verify", "--key", public, real.UNLOGGED, self.image, check=False).returncode == 0

    def attest(self, form: str) -> None:
        self.peers.cosign("attest", *real.OFFLINE, form, "--key", self.site.private, "--predicate", self.vsa, "--type", VSA, self.image)


def released(stage: Stage) -> None:
    real.sign_old(stage.peers, stage.image, stage.release)


def and_the_site_by_tag(stage: Stage) -> None:
    released(stage)
    real.sign_old(stage.peers, stage.image, stage.site)


def and_the_site_in_both(stage: Stage) -> None:
    and_the_site_by_tag(stage)
    real.sign_new(stage.peers, stage.image, stage.site)


def and_a_summary_as_a_bundle(stage: Stage) -> None:
    released(stage)
    stage.attest(real.NEW)


def unsigned_and_a_summary_as_a_bundle(stage: Stage) -> None:
    stage.attest(real.NEW)


def and_a_summary_by_tag(stage: Stage) -> None:
    released(stage)
    stage.attest(real.OLD)


def and_a_summary_that_cosign_does_not_find(stage: Stage) -> None:
    released(stage)
    flags = ("--plain-http", "--artifact-type", "application/vnd.in-toto+json")
    stage.peers.oras("attach", *flags, stage.image, f"{stage.vsa.name}:application/vnd.dsse.envelope.v1+json", cwd=stage.vsa.parent)


STATES: dict[Callable[[Stage], None], tuple[bool, bool, str]] = {
    released: (True, False, "alone"),
    and_the_site_by_tag: (True, True, "alone"),
    and_the_site_in_both: (False, True, "already"),
    and_a_summary_as_a_bundle: (False, True, "already"),
    unsigned_and_a_summary_as_a_bundle: (False, True, "already"),
    and_a_summary_by_tag: (True, False, "alone"),
    and_a_summary_that_cosign_does_not_find: (True, False, "alone"),
}
"""What cosign says of the release team's key and of the site's, and which of its two reasons ``sign`` gives."""


@pytest.fixture(scope="module")
def pairs(peers: real.Peers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, real.Keys]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: real.generate_keys(peers, folder, name) for name in ("release", "site")}


@pytest.fixture
def stage(peers: real.Peers, olareg: real.Registry, pairs: dict[str, real.Keys], repository: str, layout: Layout) -> Stage:
    digest = layout.named("app", layout.image(repository))["digest"]
    peers.skopeo("copy", "--dest-tls-verify=false", f"oci:{layout.folder}:app", f"docker://{olareg.reference(repository, 'v1')}")
    vsa = layout.folder / "vsa.json"
    vsa.write_text('{"verifier":{"id":"https://site.example"},"verificationResult":"FAILED"}')
    return Stage(peers, olareg.reference(repository, digest), pairs["release"], pairs["site"], vsa)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_signing_adds_a_signature_and_hides_none(state: Callable[[Stage], None], stage: Stage, tmp_path: Path) -> None:
    by_release, by_site, reason = STATES[state]
    state(stage)
    before = (stage.accepts(stage.release.public), stage.accepts(stage.site.public))
    assert before == (by_release, by_site)
    assert run("keygen", tmp_path / "third", "--no-password").exit == 0
    ours = tmp_path / "third.pub"
    assert not stage.accepts(ours) or state is unsigned_and_a_summary_as_a_bundle

    signed = run("sign", stage.image, "--key", tmp_path / "third.key")

    assert signed.exit == 0, signed.err
    assert reason in signed.err
    assert stage.accepts(ours)
    assert (stage.accepts(stage.release.public), stage.accepts(stage.site.public)) == before
    assert real.verify_old(stage.peers, stage.image, ours, check=False).returncode == 0
