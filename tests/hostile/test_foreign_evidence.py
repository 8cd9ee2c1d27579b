"""Evidence that anybody can push beside an image, with a certificate that the library cannot read: it ends no run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from bundler.oci import mediatype
from bundler.oci.manifest import Document
from tests.hostile.catalogue.oddities import ODD
from tests.support import notary, signing
from tests.support.station import Crossing, run
from tests.support.world import Issued, World, b64, canonical, issue

WORLD = World()


def notation(crossing: Crossing, image: Document, odd: x509.UnrecognizedExtension) -> Document:
    leaf = notary.leaf_of(notary.ISSUER, more=[(odd, False)])
    return crossing.content.notation(image, notary.Signing(chain=(leaf, notary.ISSUER, notary.ROOT)).jws())


def bundle(crossing: Crossing, image: Document, odd: x509.UnrecognizedExtension) -> Document:
    signed = WORLD.signed(image.raw, leaf=_leaf(odd))
    material = {"certificate": {"rawBytes": b64(signed.leaf.der)}, "tlogEntries": [signed.entry()]}
    content = {"messageSignature": {"signature": b64(signed.signature)}}
    made = canonical({"mediaType": mediatype.SIGSTORE_BUNDLE_V03, "verificationMaterial": material} | content)
    return crossing.content.artifact(made, mediatype.SIGSTORE_BUNDLE_V03, subject=image)


def _leaf(odd: x509.UnrecognizedExtension) -> Issued:
    return issue(x509.Name([]), WORLD.key("leaf"), WORLD.intermediate, extensions=[(odd, False)])


FORMS: dict[str, Callable[[Crossing, Document, x509.UnrecognizedExtension], Document]] = {"notation": notation, "bundle": bundle}


@pytest.mark.parametrize("what", ODD)
@pytest.mark.parametrize("form", FORMS)
def test_a_certificate_that_cannot_be_read_ends_no_run_and_travels(tmp_path: Path, form: str, what: str) -> None:
    """Under a rule that pins a key nobody asks for certificates, so that nothing of them is even read."""
    with Crossing(tmp_path) as crossing:
        root = crossing.sign(crossing.content.image("words"))
        evidence = FORMS[form](crossing, root, ODD[what])
        image = crossing.push(root)
        assert crossing.run("verify", f"docker://{image.reference}").exit == 0
        bundled = crossing.export(image)
        told = crossing.run("verify", bundled, "--json")
        assert told.exit == 0
        assert not {"x509.malformed", "internal"} & {check["code"] for check in told.json["images"][0]["checks"]}
        assert crossing.import_(bundled).exit == 0
        assert crossing.arrived(image).document(evidence.digest) == evidence


@pytest.mark.parametrize("what", ODD)
def test_a_certificate_that_cannot_be_read_is_refused_where_one_is_asked_for(tmp_path: Path, what: str) -> None:
    """The one failed check that it is, beside the signature that counts."""
    with Crossing(tmp_path) as crossing:
        root = crossing.sign(crossing.content.image("words"))
        notation(crossing, root, ODD[what])
        bundle(crossing, root, ODD[what])
        image = crossing.push(root)
        (tmp_path / "ca.crt").write_bytes(notary.ROOT.pem)
        (tmp_path / "root.json").write_bytes(canonical(WORLD.root_json()))
        trust = _trust(crossing, tmp_path)
        told = run("verify", f"docker://{image.reference}", "--trust", trust, "--json")
        assert told.exit == 0
        failed = [check["code"] for check in told.json["images"][0]["checks"] if check["outcome"] == "failed"]
        assert failed == ["x509.malformed", "x509.malformed"]


def _trust(crossing: Crossing, folder: Path) -> Path:
    trust = folder / "wide"
    key = folder / "release.pub"
    key.write_bytes(signing.P256.pem)
    assert run("trust", "init", trust).exit == 0
    assert run("trust", "add", trust, "--store", "ca", "--store-type", "ca", "--certificate", folder / "ca.crt").exit == 0
    assert run("trust", "add", trust, "--root", folder / "root.json", "--root-name", "world").exit == 0
    assert run("trust", "add", trust, "--image", "**", "--key", key).exit == 0
    text = (trust / "trust.toml").read_text()
    head, _, signer = text.rpartition("signer = [")
    others = '{ store = "ca", subject = "*" }, { issuer = "https://token.forge.example", identity = "a", root = "world" }, '
    (trust / "trust.toml").write_text(f"{head}signer = [{others}{signer}threshold = 1\n")
    return trust


@pytest.mark.parametrize("what", [what for what, odd in ODD.items() if odd.oid.dotted_string in ("2.5.29.18", "2.5.29.35")])
def test_a_revocation_list_that_cannot_be_read_is_refused_with_trust(tmp_path: Path, what: str) -> None:
    with Crossing(tmp_path) as crossing:
        (tmp_path / "ca.crt").write_bytes(notary.ROOT.pem)
        (tmp_path / "a.crl").write_bytes(notary.crl_of(notary.ROOT, extensions=[(ODD[what], False)]))
        store = ("--store", "ca", "--store-type", "ca", "--certificate", tmp_path / "ca.crt", "--crl", tmp_path / "a.crl")
        told = run("trust", "add", crossing.folder / "trust", *store, "--json")
        assert (told.exit, told.code) == (2, "trust.store")
        assert json.loads(told.out)["error"]["what"]
