"""The pages of docs/signatures do what they say: every ``sh`` block is run, beside the files that the page takes for granted."""

import json
from pathlib import Path

import pytest

from tests.docs import shell
from tests.docs.pages import DOCS, Page
from tests.interop.peers import program
from tests.support import notary, signing, station
from tests.support.world import World, canonical

FOLDER = DOCS / "signatures"
PAGES = sorted(path.name for path in FOLDER.glob("*.md"))
NOTATION = {
    "version": "1.0",
    "trustPolicies": [
        {
            "name": "release",
            "registryScopes": ["registry.example/app"],
            "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:release", "tsa:stamps"],
            "trustedIdentities": ["x509.subject: C=DE,ST=BY,O=world.example"],
        },
        {"name": "scratch", "registryScopes": ["registry.example/scratch"], "signatureVerification": {"level": "skip"}},
    ],
}


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A folder with roots, certificates, keys, a notation configuration, and a trust that admits nothing."""
    folder, world = tmp_path / "desk", World()
    folder.mkdir()
    (folder / "trusted_root.json").write_bytes(canonical(world.root_json()))
    (folder / "github_root.json").write_bytes(canonical(world.root_json() | {"tlogs": [], "ctlogs": []}))
    (folder / "release-ca.pem").write_bytes(notary.ROOT.pem)
    (folder / "release.crl").write_bytes(notary.crl_of(notary.ROOT))
    (folder / "tsa-ca.pem").write_bytes(world.tsa_ca.pem)
    for name, key in {"release": signing.P256, "a": signing.P256, "b": signing.OTHER, "c": signing.THIRD}.items():
        (folder / f"{name}.pub").write_bytes(key.pem)
    for store, certificate in {"ca/release": notary.ROOT, "tsa/stamps": world.tsa_ca}.items():
        place = folder / "notation" / "truststore" / "x509" / store
        place.mkdir(parents=True)
        (place / "ca.crt").write_bytes(certificate.pem)
    (folder / "notation" / "trustpolicy.json").write_text(json.dumps(NOTATION))
    assert station.run("trust", "init", folder / "trust").exit == 0
    return folder


def test_there_is_a_page_for_each_world() -> None:
    assert PAGES == ["chainguard.md", "github.md", "index.md", "notation.md", "plain-keys.md", "your-own-sigstore.md"]


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_the_page_do_what_it_says(name: str, desk: Path) -> None:
    program("openssl")
    blocks = Page.read(FOLDER / name).blocks("sh")
    shell.run(blocks, desk)
    for trust in ("trust", "by-hand", "strict"):
        if (desk / trust).exists():
            assert station.run("trust", "check", desk / trust).exit == 0


@pytest.mark.parametrize("name", PAGES)
def test_rules_that_a_page_shows_load(name: str, desk: Path) -> None:
    for block in Page.read(FOLDER / name).blocks("toml"):
        trust = desk / "shown"
        assert station.run("trust", "init", trust).exit == 0
        for place, data in {"roots/trusted_root.json": canonical(World().root_json())}.items():
            _put(trust / place, data)
        for number, key in {2026: signing.P256, 2027: signing.OTHER}.items():
            _put(trust / "keys" / f"release-{number}.pub", key.pem)
        (trust / "trust.toml").write_text("version = 1\nserial = 1\n" + block)
        ran = station.run("trust", "check", trust)
        assert ran.exit == 0, ran.err


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(data)


def test_the_preset_and_its_words_by_hand_are_one_rule(desk: Path) -> None:
    """chainguard.md shows what the preset writes."""
    shell.run(Page.read(FOLDER / "chainguard.md").blocks("sh"), desk)
    rules = [station.run("trust", "list", desk / trust, "--json").json["rules"][0] for trust in ("trust", "by-hand")]
    assert rules[0] == rules[1]


def test_what_was_not_taken_over_of_notation_is_said(desk: Path) -> None:
    printed = shell.run(Page.read(FOLDER / "notation.md").blocks("sh")[:1], desk)
    assert "scratch is not taken over, so registry.example/scratch is denied: level skip verifies nothing" in printed[0]
