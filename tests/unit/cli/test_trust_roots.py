"""``trust add`` and ``trust list`` with roots, identities, stores and presets, as a person types them."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support import notary, station
from tests.support.desk import ROOT, WHO, WORLD, Desk
from tests.support.world import IDENTITY, ISSUER, canonical

GITHUB = "https://token.actions.githubusercontent.com"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


# --- what is written ---


def test_an_identity_with_claims_under_a_root(desk: Desk) -> None:
    assert desk.add(*WHO, "--root", desk.root, "--root-name", "ours", "--claim", "build_trigger=push").exit == 0
    [rule] = desk.list()["rules"]
    assert rule["signers"] == [{"kind": "identity", "id": f"{IDENTITY} (issuer {ISSUER}, root ours, build_trigger push)", "name": None}]


def test_several_identities_are_several_signers(desk: Desk) -> None:
    assert desk.add(*WHO, "--identity", "b@c.test", "--root", desk.root).exit == 2
    assert desk.add(*WHO, "--identity", "b@c.test", "--root", desk.root, "--threshold", "2").exit == 0
    assert desk.list()["rules"][0]["threshold"] == 2


def test_a_root_is_shown_with_its_digest_its_parts_and_their_windows(desk: Desk) -> None:
    ran = desk.add("--root", desk.root)
    assert f"roots/root.json, sha256 {sha256(ROOT).hexdigest()}" in ran.out
    for part in ("authority https://fulcio.world.example", "log rekor.world.example", "certificate log ct.world.example"):
        assert f"       {part}, 2020-01-01T00:00:00Z to …\n" in ran.out
    assert "root   root: log 1, timestamp 0, sct 1\n" in ran.out


def test_what_of_a_root_cannot_be_used_is_said(desk: Desk) -> None:
    value = WORLD.root_json()
    value["tlogs"].append({"baseUrl": "https://nobody.example"})
    desk.root.write_bytes(canonical(value))
    assert "       cannot be used: " in desk.add("--root", desk.root).out


def test_a_key_beside_a_new_root_and_beside_one_that_is_there(desk: Desk) -> None:
    assert desk.add("--image", "a.test/**", "--key", desk.key, "--root", desk.root, "--log", "2").exit == 0
    assert 'root = "root", name = "a" }' in desk.toml()
    assert desk.list()["roots"][0]["log"] == 2
    assert desk.add("--image", "b.test/**", "--key", desk.key, "--root-name", "root", "--log", "1").exit == 0
    assert 'root = "root", log = 1, name = "a" }' in desk.toml()


def test_a_store_and_a_subject(desk: Desk) -> None:
    words = ("--store", "release", "--store-type", "ca", "--certificate", desk.ca, "--subject", "CN=release,O=world.example")
    ran = desk.add("--image", "**", *words)
    assert ran.exit == 0
    assert "store  release, of type ca\n" in ran.out
    assert desk.list()["rules"][0]["signers"] == [
        {"kind": "notation", "id": "CN=release,O=world.example (store release)", "name": "release"}
    ]


def test_annotations_are_asked_for_and_shown(desk: Desk) -> None:
    ran = desk.add("--image", "**", "--key", desk.key, "--annotation", "stage=prod=1")
    assert desk.list()["rules"][0]["annotations"] == {"stage": "prod=1"}
    assert "       and the annotation stage=prod=1\n" in ran.out


# --- presets ---


def test_chainguards_images(desk: Desk) -> None:
    assert desk.add("--preset", "chainguard", "--root", desk.root).exit == 0
    [rule] = desk.list()["rules"]
    assert rule["scope"] == "cgr.dev/chainguard/**"
    who = "https://github.com/chainguard-images/images/.github/workflows/release.yaml@refs/heads/main"
    assert rule["signers"][0]["id"] == f"{who} (issuer {GITHUB}, root root)"
    assert rule["threshold"] == 1


def test_chainguards_images_of_an_organization(desk: Desk) -> None:
    words = ("--preset", "chainguard", "--root", desk.root, "--image", "cgr.dev/org/**", "--uidp", "a/b", "--uidp", "a/c")
    assert desk.add(*words).exit == 0
    [rule] = desk.list()["rules"]
    issuer = "https://issuer.enforce.dev"
    assert [signer["id"] for signer in rule["signers"]] == [f"{issuer}/a/{x} (issuer {issuer}, root root)" for x in "bc"]
    assert rule["threshold"] == 1


@pytest.mark.parametrize(
    ("whose", "place", "claim"),
    [
        (("--owner", "some-one"), r"some\-one/[^/@]{1,100}", "source_repository_owner_uri https://github.com/some-one"),
        (("--repository", "o/a.b"), r"o/a\.b", "source_repository_uri https://github.com/o/a.b"),
    ],
)
def test_githubs_attestations(desk: Desk, whose: tuple[str, str], place: str, claim: str) -> None:
    assert desk.add("--preset", "github", "--root", desk.root, "--image", "ghcr.io/o/**", *whose).exit == 0
    [rule] = desk.list()["rules"]
    pattern = rf"/https://github\.com/{place}/\.github/workflows/[^@]+@refs/(heads|tags)/.+/"
    assert rule["signers"][0]["id"] == f"{pattern} (issuer {GITHUB}, root root, {claim})"
    assert (rule["threshold"], rule["attestations"]) == (0, ["https://slsa.dev/provenance/v1"])


# --- Notation's configuration ---


def test_a_policy_and_its_stores_are_taken_over(desk: Desk) -> None:
    folder = _notation(desk.folder, "ca:release")
    ran = desk.add("--notation", folder)
    assert ran.exit == 0
    assert [store["name"] for store in desk.list()["stores"]] == ["ca.release"]
    assert desk.list()["rules"][0]["signers"] == [{"kind": "notation", "id": "* (store ca.release)", "name": None}]
    assert "names no timestamp authorities" in ran.err


def test_a_statement_that_is_not_taken_over_denies_its_scope(desk: Desk) -> None:
    folder = _notation(desk.folder, "ca:release")
    value = json.loads((folder / "trustpolicy.json").read_text())
    weak = {"name": "crown", "registryScopes": ["registry.example/crown"], "signatureVerification": {"level": "skip"}}
    (folder / "trustpolicy.json").write_text(json.dumps(value | {"trustPolicies": [weak, *value["trustPolicies"]]}))
    ran = desk.add("--notation", folder)
    assert ran.exit == 0
    assert "note: crown is not taken over, so registry.example/crown is denied: level skip verifies nothing" in ran.err
    denying, admitting = desk.list()["rules"]
    assert (denying["scope"], denying["signers"]) == ("registry.example/crown", [])
    assert denying["deny"] == "statement crown of a Notation trust policy: level skip verifies nothing"
    assert admitting["deny"] is None
    assert (
        "image  registry.example/crown: denied, statement crown of a Notation trust policy" in station.run("trust", "list", desk.trust).out
    )


def test_the_newer_name_of_the_policy_goes_before_the_older(desk: Desk) -> None:
    folder = _notation(desk.folder, "ca:release")
    (folder / "trustpolicy.json").rename(folder / "trustpolicy.oci.json")
    (folder / "trustpolicy.json").write_text("{}")
    assert desk.add("--notation", folder).exit == 0


@pytest.mark.parametrize("gone", ["trustpolicy.json", "truststore/x509/ca/release"])
def test_a_configuration_that_lacks_a_part_is_refused(desk: Desk, gone: str) -> None:
    folder = _notation(desk.folder, "ca:release")
    shutil.rmtree(folder / gone) if (folder / gone).is_dir() else (folder / gone).unlink()
    assert desk.add("--notation", folder).exit == 2
    assert desk.list()["serial"] == 1


def _notation(folder: Path, store: str) -> Path:
    place = folder / "notation"
    (place / "truststore" / "x509" / "ca" / "release").mkdir(parents=True)
    (place / "truststore" / "x509" / "ca" / "release" / "ca.crt").write_bytes(notary.ROOT.pem)
    statement = {
        "name": "release",
        "registryScopes": ["*"],
        "signatureVerification": {"level": "strict"},
        "trustStores": [store],
        "trustedIdentities": ["*"],
    }
    (place / "trustpolicy.json").write_text(json.dumps({"version": "1.0", "trustPolicies": [statement]}))
    return place


# --- what does not go together ---


@pytest.mark.parametrize(
    "words",
    [
        (),
        WHO,
        ("--image", "**", "--issuer", ISSUER, "--root", "ROOT"),
        ("--image", "**", "--identity", IDENTITY, "--root", "ROOT"),
        (*WHO, "--root-name", "absent"),
        (*WHO, "--root", "ROOT", "--claim", "no_such_claim=x"),
        (*WHO, "--root", "ROOT", "--claim", "build_trigger"),
        (*WHO, "--root", "ROOT", "--timestamp", "9"),
        (*WHO, "--root", "ROOT", "--uidp", "a"),
        (*WHO, "--root", "ROOT", "--scope", "**"),
        ("--image", "**", "--key", "KEY", "--log", "1"),
        ("--image", "**", "--root", "ROOT"),
        ("--image", "**", "--subject", "CN=a"),
        ("--image", "**", "--store", "absent", "--subject", "CN=a"),
        ("--image", "**", "--store", "s", "--store-type", "ca", "--certificate", "CA"),
        ("--image", "**", "--key", "KEY", "--annotation", "x"),
        ("--store", "s", "--certificate", "CA"),
        ("--store-type", "ca", "--certificate", "CA"),
        ("--store", "s", "--store-type", "ca"),
        ("--store", "s", "--store-type", "ca", "--certificate", "CA", "--threshold", "1"),
        ("--root", "ROOT", "--node", "both"),
        ("--seal", "s", "--scope", "**", "--key", "KEY", "--root", "ROOT"),
        ("--notation", ".", "--image", "**"),
        ("--preset", "chainguard"),
        ("--preset", "chainguard", "--root", "ROOT", "--owner", "o"),
        ("--preset", "chainguard", "--root", "ROOT", "--uidp", "a"),
        ("--preset", "chainguard", "--root", "ROOT", "--key", "KEY"),
        ("--preset", "github", "--root", "ROOT", "--owner", "o"),
        ("--preset", "github", "--root", "ROOT", "--image", "**"),
        ("--preset", "github", "--root", "ROOT", "--image", "**", "--owner", "o", "--repository", "o/r"),
        ("--preset", "github", "--root", "ROOT", "--image", "**", "--owner", "o/r"),
        ("--preset", "github", "--root", "ROOT", "--image", "**", "--repository", "o"),
        ("--preset", "github", "--root", "ROOT", "--image", "**", "--owner", ".*"),
    ],
    ids=" ".join,
)
def test_what_is_half_said_or_too_much_changes_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    files = {"ROOT": desk.root, "KEY": desk.key, "CA": desk.ca}
    ran = desk.add(*(files.get(word, word) for word in words))
    assert ran.exit == 2, ran.out
    assert "wanted:" in ran.err
    assert desk.toml() == "version = 1\nserial = 1\n"


# --- what verify says, and what travels ---
