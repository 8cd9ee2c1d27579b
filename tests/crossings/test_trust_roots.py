"""What verify says of roots, identities and stores, and what of them travels."""

import json
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from bundler.trust.simplesigning import CERTIFICATE, LOG_ENTRY
from tests.support import notary, signing, station
from tests.support.desk import ROOT, WHO, WORLD, Desk
from tests.support.station import Crossing, Image
from tests.support.world import IDENTITY, ISSUER, canonical


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


def _keyless(crossing: Crossing, trust: Desk) -> Image:
    """An image with a ``.sig`` by an identity, logged; the trust knows who."""
    root = crossing.content.image("words")
    signed = WORLD.signed(signing.payload(root))
    beside = {CERTIFICATE: signed.leaf.pem.decode(), LOG_ENTRY: signed.annotation().decode()}
    crossing.content.sig(root.digest, (signed.message, signed.signature), annotations=beside)
    assert trust.add(*WHO, "--root", trust.root, "--root-name", "ours").exit == 0
    return crossing.push(root)


def test_verify_says_who_has_signed_when_that_was_proved_and_by_which_root(crossing: Crossing, desk: Desk) -> None:
    image = _keyless(crossing, desk)
    said = station.run("verify", f"docker://{image.reference}", "--trust", desk.trust, "-v")
    assert said.exit == 0, said.err
    rows = said.out.splitlines()
    row = rows.index(f"         signed by identity {IDENTITY} (issuer {ISSUER}) (sig; 1 manifest)")
    log = WORLD.REKOR
    assert rows[row + 1] == f"           proved 2026-03-01T12:00:00Z by {log}, logged in {log}, under the root ours"


def test_verify_says_which_store_vouches_for_a_signature_and_for_when(crossing: Crossing, desk: Desk) -> None:
    root = crossing.content.image("words")
    payload = canonical({"targetArtifact": root.descriptor.to_json()})
    crossing.content.notation(root, notary.Signing(payload=payload).jws())
    image = crossing.push(root)
    words = ("--store", "release", "--store-type", "ca", "--certificate", desk.ca, "--subject", "CN=release,O=world.example")
    assert desk.add("--image", "**", *words).exit == 0
    said = station.run("verify", f"docker://{image.reference}", "--trust", desk.trust, "--at", "2026-03-01T12:00:00Z", "-v")
    assert said.exit == 0, said.err
    rows = said.out.splitlines()
    [row] = [number for number, text in enumerate(rows) if " notation CN=release,ST=BY,C=DE,O=world.example (store release)" in text]
    assert rows[row + 1].startswith(f"{'':11}claimed 2026-03-01T12:00:00Z, which nobody vouches for, under the store release (")


def test_verify_says_which_required_attestations_are_there(crossing: Crossing, desk: Desk) -> None:
    root = crossing.content.image("words")
    crossing.content.att(root.digest, signing.att(root))
    image = crossing.push(root)
    assert desk.add("--image", "**", "--key", desk.key, "--threshold", "0", "--attestation", "spdx").exit == 0
    said = station.run("verify", f"docker://{image.reference}", "--trust", desk.trust, "-v")
    assert "         required and there: https://spdx.dev/Document by a signer of the rule\n" in said.out


def test_the_root_that_judged_travels_as_evidence(crossing: Crossing, desk: Desk) -> None:
    image = _keyless(crossing, desk)
    bundle = crossing.export(image, flags=["--trust", desk.trust])
    said = station.run("inspect", bundle, "--json").json
    assert desk.list()["digest"] in json.dumps(said)
    listed = subprocess.run(["tar", "--zstd", "-tf", bundle], check=True, capture_output=True, text=True).stdout
    assert f"oci-bundler/evidence/{sha256(ROOT).hexdigest()}.json\n" in listed
