"""What others signed: sigstore-python's bundles and containers/image's keyless image, under roots of the real world."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bundler.errors import BundlerError, Code
from bundler.oci.descriptor import Descriptor
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from bundler.trust import trusttoml
from bundler.trust.dsse import Envelope
from bundler.trust.encodings import from_pem
from bundler.trust.evidence import Evidence, Image
from bundler.trust.judge import judge
from bundler.trust.keys import Signed
from bundler.trust.sigstore.bundle import SigstoreBundle
from bundler.trust.sigstore.root import TrustedRoot
from bundler.trust.sigstore.steps import Thresholds, prove_by_certificate
from bundler.trust.verdict import Verdict
from tests.support.cases import each
from tests.support.layouts import Content
from tests.support.vectors import vectors
from tests.support.world import AT, b64, canonical

# Each bundle under the root that its signer used: who signed, or the code that it ends in; why, where that needs a word.
PYTHON: dict[str, tuple[str, str]] = {
    "a.dsse.staging-rekor-v2.txt.sigstore.json": ("staging", "extremely-dangerous-oidc-beacon.yml@refs/heads/main"),
    "bundle.txt.sigstore": ("staging", "a@tny.town"),
    "bundle_cve_2022_36056.txt.sigstore": ("staging", "tlog.body-mismatch"),
    "bundle_invalid_version.txt.sigstore": ("staging", "bundle.media-type"),
    "bundle_no_cert_v1.txt.sigstore": ("staging", "bundle.material"),
    "bundle_no_checkpoint.txt.sigstore": ("staging", "bundle.malformed"),
    "bundle_no_log_entry.txt.sigstore": ("staging", "time.threshold"),
    "bundle_v3.txt.sigstore": ("staging", "william@yossarian.net"),
    "bundle_v3_alt.txt.sigstore": ("staging", "william@yossarian.net"),
    "bundle_v3_github.whl.sigstore": ("public-good", "trailofbits/rfc8785.py/.github/workflows/release.yml@refs/tags/v0.1.2"),
    "bundle_v3_no_signed_time.txt.sigstore.json": ("staging", "time.threshold"),  # a log entry with neither promise nor timestamp
    "staging-rekor-v2.txt.sigstore.json": ("staging", "jku@goto.fi"),
    "tsa/bundle.duplicate.sigstore": ("tsa", "alexis.challande@trailofbits.com"),  # sigstore-python refuses it; here twice counts once
    "tsa/bundle.many_timestamp.sigstore": ("tsa", "bundle.malformed"),
    "tsa/bundle.txt.late_timestamp.sigstore": ("tsa", "x509.chain"),
    "tsa/bundle.txt.sigstore": ("tsa", "alexis.challande@trailofbits.com"),
}


def root_of(folder: Path, name: str) -> TrustedRoot:
    if name == "tsa":
        return TrustedRoot.parse(canonical(json.loads((folder / "tsa" / "trust_config.json").read_bytes())["trustedRoot"]))
    return TrustedRoot.parse((folder / f"{name}-trusted_root.json").read_bytes())


@each("name", PYTHON)
def test_a_bundle_of_sigstore_python_ends_as_it_should(name: str) -> None:
    folder = vectors("sigstore-python")
    root, expected = PYTHON[name]
    artifact = folder / ("tsa/bundle.txt" if root == "tsa" else name.split(".sigstore", maxsplit=1)[0])
    try:
        bundle = SigstoreBundle.parse((folder / name).read_bytes())
        message = bundle.content.signed if isinstance(bundle.content, Envelope) else Signed(artifact.read_bytes())
        found = str(prove_by_certificate(bundle.item(message), root_of(folder, root), Thresholds()).identity)
    except BundlerError as error:
        found = str(error.code)
    assert expected in found


def test_every_bundle_of_sigstore_python_is_in_the_table() -> None:
    folder = vectors("sigstore-python")
    there = {str(path.relative_to(folder)) for pattern in ("*.sigstore*", "tsa/*.sigstore") for path in folder.glob(pattern)}
    assert there == PYTHON.keys()


def loose_root(fixtures: Path) -> bytes:
    """The keys of containers/image's time, as a root: they came without windows, and without a certificate log."""
    fulcio = from_pem((fixtures / "fulcio_v1.crt.pem").read_bytes(), "CERTIFICATE", what="it")
    (rekor,) = from_pem((fixtures / "rekor.pub").read_bytes(), "PUBLIC KEY", what="it")
    always = {"start": "1970-01-01T00:00:00Z"}
    return canonical(
        {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                {
                    "baseUrl": "https://rekor.sigstore.dev",
                    "publicKey": {"rawBytes": b64(rekor), "validFor": always},
                    "logId": {"keyId": b64(hashlib.sha256(rekor).digest())},
                }
            ],
            "certificateAuthorities": [
                {"certChain": {"certificates": [{"rawBytes": b64(der)} for der in reversed(fulcio)]}, "validFor": always}
            ],
        }
    )


def judged(root: bytes, *, identity: str = "mitr@redhat.com", issuer: str = "https://github.com/login/oauth", rest: str = "") -> Verdict:
    fixture = vectors("containers-image") / "dir-img-cosign-fulcio-rekor-valid"
    value: dict[str, Any] = json.loads((fixture / "signature-1").read_bytes().partition(b"\n")[2])
    payload = base64.b64decode(value["payload"])
    described = Descriptor.of(payload, value["mimeType"])
    layer = Descriptor(described.media_type, described.digest, described.size, annotations=value["annotations"])
    document = Document.parse((fixture / "manifest.json").read_bytes())
    content = Content()
    carrier = content.manifest(content.blob(b"{}"), [layer])
    piece = Evidence(document.digest, Form.SIG, carrier, layer, payload, is_proven=True)
    image = Image(Reference.parse("192.168.64.2:5000/cosign-signed/fulcio-rekor-1:latest"), document.digest, {document.digest: document})
    text = f"""version = 1
serial = 1
[[root]]
name = "root"
file = "root.json"
{rest}
[[rule]]
scope = "**"
signer = [{{ issuer = "{issuer}", identity = "{identity}", root = "root" }}]
"""
    return judge(trusttoml.parse(text.encode(), {"root.json": root}), image, [piece], at=AT)


@pytest.mark.parametrize("which", ["loose", "public-good"])
def test_a_keyless_image_of_2022_is_admitted(which: str) -> None:
    loose = which == "loose"
    root = loose_root(vectors("containers-image")) if loose else (vectors("sigstore-python") / "public-good-trusted_root.json").read_bytes()
    verdict = judged(root, rest="sct = 0" if loose else "")
    assert verdict.passed
    assert verdict.signers[0].id == "mitr@redhat.com (issuer https://github.com/login/oauth)"


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ({"identity": "someone@redhat.com"}, Code.IDENTITY_SAN),
        ({"issuer": "https://accounts.google.com"}, Code.IDENTITY_ISSUER),
    ],
)
def test_a_keyless_image_of_somebody_else_is_not(who: dict[str, str], code: Code) -> None:
    root = (vectors("sigstore-python") / "public-good-trusted_root.json").read_bytes()
    assert judged(root, **who).reasons == (Code.POLICY_THRESHOLD, code)
