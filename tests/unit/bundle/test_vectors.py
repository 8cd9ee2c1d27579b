"""The vectors: each bundle of tests/vectors ends as it says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from bundler.bundle.archive import Archive, opened
from bundler.errors import BundlerError, Code, TrustError
from tests.support.cases import each

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests/vectors"
VALID = sorted((VECTORS / "valid").glob("*.json"))
REFUSED = sorted((VECTORS / "invalid").glob("*.json"))
SEALERS = ("sealer", "second", "rsa")
SHA256 = utils.Prehashed(hashes.SHA256())


def sealed_by(archive: Archive, name: str) -> bool:
    public = serialization.load_pem_public_key((VECTORS / f"trust/keys/{name}.pub").read_bytes())
    for signature in archive.envelope.signatures:
        try:
            if isinstance(public, rsa.RSAPublicKey):
                public.verify(signature, archive.envelope.signed, padding.PKCS1v15(), SHA256)
            else:
                assert isinstance(public, ec.EllipticCurvePublicKey)
                public.verify(signature, archive.envelope.signed, ec.ECDSA(SHA256))
        except InvalidSignature:
            continue
        return True
    return False


def faults(path: Path) -> Iterator[BundlerError]:
    """All that the format says against a bundle, if someone whom the station trusts has sealed it."""
    try:
        with opened(path) as archive:
            if not any(sealed_by(archive, name) for name in SEALERS):
                raise TrustError("nobody who may has sealed this")
            content = archive.sealed_by(archive.envelope.payload())
            yield from content.verify(jobs=1).faults
            content.check_derived()
    except BundlerError as error:
        yield error


@each("told", VALID, ids=lambda told: told.stem)
def test_a_good_bundle_is_taken(told: Path) -> None:
    assert list(faults(told.with_suffix(".oci.tar.zst"))) == []
    assert json.loads(told.read_text())["exit"] == 0


@each("told", REFUSED, ids=lambda told: told.stem)
def test_a_bundle_with_one_fault_is_refused_for_it(told: Path) -> None:
    wanted = json.loads(told.read_text())
    found = list(faults(told.with_suffix(".oci.tar.zst")))
    if wanted["exit"] in (5, 6) and wanted["code"] != Code.SEAL_SIGNATURE:
        assert found == []  # the format has nothing against it; the station's trust has
    else:
        assert min(fault.exit for fault in found) == wanted["exit"]
        assert wanted["code"] in [fault.code for fault in found]


def test_every_vector_says_what_it_is() -> None:
    assert len(VALID) >= 12
    assert len(REFUSED) >= 60
    files = {path.name.partition(".")[0] for path in VECTORS.glob("*valid/*.oci.tar.zst")}
    assert files == {path.stem for path in (*VALID, *REFUSED)}
    sections = {line[3:].partition(" ")[0] for line in (ROOT / "docs/spec/bundle-v1.md").read_text().splitlines() if line[:3] == "## "}
    for path in (*VALID, *REFUSED):
        told = json.loads(path.read_text())
        assert set(told) == {"description", "section", "exit", "code"}
        assert told["section"] in sections
        assert told["code"] is None or told["code"] in set(Code)


def test_every_reason_of_the_specification_has_a_vector() -> None:
    text = (ROOT / "docs/spec/bundle-v1.md").read_text()
    table = text[text.index("## 14 ") : text.index("## 15 ")]
    codes = {
        code
        for line in table.splitlines()
        if line.startswith("| `")
        for code in line.split("|")[1].replace("`", "").replace(" ", "").split(",")
    }
    assert codes <= set(Code)
    assert codes <= {json.loads(path.read_text())["code"] for path in REFUSED}


def test_the_example_of_the_specification_is_a_vector() -> None:
    text = (ROOT / "docs/spec/bundle-v1.md").read_text()
    example = json.loads(text[text.index('{"_type"') : text.index("```\n\n## 2 ")])
    with opened(VECTORS / "valid/sealing-key.oci.tar.zst") as archive:
        payload = archive.envelope.payload().decode()
    for hexadecimal in re.findall(r"[0-9a-f]{64}", payload):
        payload = payload.replace(hexadecimal, hexadecimal[:4] + "\u2026")
    assert json.loads(payload) == example
