"""The signatures by keys among containers/image's fixtures, as that project made them."""

import base64
import json
from pathlib import Path

import pytest

from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from bundler.trust import trusttoml
from bundler.trust.evidence import Evidence, Image
from bundler.trust.judge import judge
from bundler.trust.verdict import Outcome, Verdict
from tests.support.layouts import Content
from tests.support.signing import AT, codes, toml
from tests.support.vectors import vectors

REPOSITORY = "192.168.64.2:5000/cosign-signed-single-sample"


@pytest.fixture
def fixtures() -> Path:
    return vectors("containers-image")


def judged(fixtures: Path, fixture: str, *keys: str, threshold: int = 1, **rule: str) -> Verdict:
    """The image of that fixture under a rule that pins these keys."""
    files = {f"keys/{key}": (fixtures / key).read_bytes() for key in keys}
    asked = toml({"scope": "**", "signer": [{"key": path} for path in files], "threshold": threshold, **rule})
    document = Document.parse((fixtures / fixture / "manifest.json").read_bytes())
    evidence = [_piece(document.digest, path) for path in sorted((fixtures / fixture).glob("signature-*"))]
    image = Image(Reference.parse(f"{REPOSITORY}:v1"), document.digest, {document.digest: document})
    return judge(trusttoml.parse(asked, files), image, evidence, at=AT)


def _piece(subject: Digest, path: Path) -> Evidence:
    _, _, told = path.read_bytes().partition(b"\n")
    value = json.loads(told)
    payload = base64.b64decode(value["payload"])
    described = Descriptor.of(payload, value["mimeType"])
    layer = Descriptor(described.media_type, described.digest, described.size, annotations=value["annotations"])
    content = Content()
    carrier = content.manifest(content.blob(b"{}"), [layer])
    return Evidence(subject, Form.SIG, carrier, layer, payload, is_proven=True)


VALID = {
    "valid": "cosign.pub",
    "valid-2": "cosign.pub",
    "valid-with-tag": "cosign.pub",
    "mixed": "cosign.pub",
    "key-rekor-valid": "cosign2.pub",
}


@pytest.mark.parametrize(("name", "key"), VALID.items())
def test_a_valid_signature_admits(fixtures: Path, name: str, key: str) -> None:
    assert judged(fixtures, f"dir-img-cosign-{name}", key).passed


@pytest.mark.parametrize("key", ["cosign2.pub", "some-rsa-key.pub", "rekor.pub"])
def test_another_key_does_not(fixtures: Path, key: str) -> None:
    verdict = judged(fixtures, "dir-img-cosign-valid", key)
    assert [str(code) for code in verdict.reasons] == ["policy.threshold", "key.unknown", "signature.invalid"]


def test_two_signatures_by_one_key_are_one_signer(fixtures: Path) -> None:
    verdict = judged(fixtures, "dir-img-cosign-valid-2", "cosign.pub", "cosign2.pub", threshold=2)
    assert [str(code) for code in verdict.reasons] == ["policy.threshold"]
    assert "signed by 1, wanted 2" in verdict.checks[0].detail


def test_another_manifest_under_the_signature(fixtures: Path) -> None:
    verdict = judged(fixtures, "dir-img-cosign-modified-manifest", "cosign.pub")
    assert [str(code) for code in verdict.reasons] == ["policy.threshold", "payload.digest"]


def test_something_else_attached_is_no_signature(fixtures: Path) -> None:
    verdict = judged(fixtures, "dir-img-cosign-other-attachment", "cosign.pub")
    assert [str(code) for code in verdict.reasons] == ["policy.threshold", "signature.missing"]
    assert codes(verdict, Outcome.NOT_CHECKED) == {"carrier.other"}


@pytest.mark.parametrize("name", ["fulcio-rekor-valid", "pki-valid"])
def test_a_signature_by_a_certificate_counts_for_no_key(fixtures: Path, name: str) -> None:
    verdict = judged(fixtures, f"dir-img-cosign-{name}", "cosign.pub")
    assert verdict.reasons[0] == "policy.threshold"
    assert verdict.signers == ()


def test_a_log_entry_beside_a_key_is_said_to_be_unchecked(fixtures: Path) -> None:
    verdict = judged(fixtures, "dir-img-cosign-key-rekor-valid", "cosign2.pub")
    assert codes(verdict, Outcome.NOT_CHECKED) == {"tlog.not-checked"}


def test_the_repository_that_was_signed(fixtures: Path) -> None:
    assert judged(fixtures, "dir-img-cosign-valid", "cosign.pub", name="signed").passed
    verdict = judged(fixtures, "dir-img-cosign-valid-with-tag", "cosign.pub", name="signed")
    assert [str(code) for code in verdict.reasons] == ["policy.name"]
