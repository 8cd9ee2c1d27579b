"""The bundles of sigstore/sigstore-conformance, each by its artifact and by its digest, through the client that speaks its protocol."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

from tests.support.vectors import PLACE, vectors

CLIENT = Path(__file__).parents[4] / "scripts" / "sigstore-conformance-client"
IDENTITY = (
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon"
    "/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
)
ISSUER = "https://token.actions.githubusercontent.com"
SUITE = "sigstore-conformance"
CASES = sorted(path.name for path in (PLACE / SUITE / "bundle-verify").glob("*/")) or ["none is here"]

# What each refusal ends in. Its name says what was meant to be wrong; where something else stands first, the note says so.
REFUSALS = {
    "bundle-empty-certificate-chain_fail": "bundle.material",
    "bundle-from-wrong-instance_fail": "time.threshold",  # its log is the staging instance's
    "bundle-invalid-base64-signature_fail": "bundle.malformed",
    "bundle-malformed-json_fail": "bundle.malformed",
    "bundle-negative-log-index_fail": "bundle.malformed",
    "bundle-unknown-version_fail": "bundle.media-type",
    "bundle-with-root-cert_fail": "identity.san",  # masked: its identity is another one already
    "checkpoint-bad-keyhint_fail": "checkpoint.no-log-signature",
    "checkpoint-wrong-roothash_fail": "checkpoint.mismatch",
    "dsse-invalid-sig_fail": "signature.invalid",
    "dsse-mismatch-envelope_fail": "tlog.body-mismatch",
    "dsse-mismatch-sig_fail": "tlog.body-mismatch",
    "inclusion-proof-corrupted-hash_fail": "tlog.proof",
    "incorrect-public-key_fail": "tlog.body-mismatch",
    "integrated-time-in-future_fail": "x509.chain",
    "intoto-expired-certificate_fail": "x509.chain",
    "intoto-log-entry-mismatch_fail": "tlog.body-mismatch",  # masked: the signature in its body is no base64
    "intoto-missing-inclusion-proof_fail": "tlog.proof",
    "intoto-set-outside-signing-cert-validity_fail": "x509.chain",
    "intoto-tsa-timestamp-outside-cert-validity_fail": "x509.chain",
    "invalid-checkpoint-signature_fail": "checkpoint.signature",
    "invalid-ct-key_fail": "sct.threshold",
    "invalid-inclusion-proof_fail": "bundle.malformed",  # masked: it has no checkpoint at all
    "managed-key-no-key_fail": "bundle.material",
    "managed-key-wrong-key_fail": "trust.key",  # masked: its key is no PEM
    "message-digest-mismatch_fail": "bundle.message-digest",
    "rekor2-checkpoint-missing-log-signature_fail": "checkpoint.malformed",
    "rekor2-checkpoint-missing-origin_fail": "checkpoint.malformed",
    "rekor2-checkpoint-missing-root-hash_fail": "checkpoint.malformed",
    "rekor2-checkpoint-missing-size_fail": "checkpoint.malformed",
    "rekor2-checkpoint-no-matching-signature_fail": "checkpoint.origin",
    "rekor2-dsse-invalid-sig_fail": "signature.invalid",
    "rekor2-dsse-mismatch-envelope_fail": "tlog.body-mismatch",
    "rekor2-dsse-mismatch-sig_fail": "tlog.body-mismatch",
    "rekor2-no-inclusion-proof_fail": "tlog.proof",
    "rekor2-no-timestamp_fail": "time.threshold",
    "rekor2-timestamp-outside-trust-root-tsa-validity_fail": "x509.authority-window",
    "rekor2-timestamp-outside-tsa-cert-validity_fail": "x509.chain",
    "rekor2-timestamp-payload-mismatch_fail": "tsa.imprint",
    "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail": "time.threshold",
    "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail": "time.threshold",
    "rekor2-timestamp-with-incorrect-time_fail": "bundle.malformed",  # masked: line ends in its base64
    "set-invalid-signature_fail": "tlog.set",
    "signature-mismatch_fail": "signature.invalid",
    "trust-root-tlog-missing-validity-start_fail": "tlog.threshold",  # the log is left out
    "wrong-hashedrekord-artifact_fail": "tlog.body-mismatch",
    "wrong-hashedrekord-cert-and-sig_fail": "tlog.body-mismatch",
    "wrong-hashedrekord-entry_fail": "tlog.body-mismatch",
    "wrong-material_fail": "bundle.message-digest",
}
BY_DIGEST = REFUSALS | {"bundle-with-root-cert_fail": "input"}  # its key wants the SHA-384 of an artifact that is not there


@pytest.fixture(scope="module")
def client() -> Callable[[list[str]], int]:
    loader = SourceFileLoader("conformance_client", str(CLIENT))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    main: Callable[[list[str]], int] = module.main
    return main


def arguments(case: Path, *, by_digest: bool) -> list[str]:
    """As the suite's own runner makes them."""

    def text(name: str, default: str) -> str:
        return (case / name).read_text().strip() if (case / name).exists() else default

    who = ["--certificate-identity", text("identity", IDENTITY), "--certificate-oidc-issuer", text("issuer", ISSUER)]
    who = ["--key", str(case / "key.pub")] if (case / "key.pub").exists() else who
    root = ["--trusted-root", str(case / "trusted_root.json")] if (case / "trusted_root.json").exists() else []
    artifact = case / "artifact" if (case / "artifact").exists() else case.parents[1] / "a.txt"
    last = f"sha256:{hashlib.sha256(artifact.read_bytes()).hexdigest()}" if by_digest else str(artifact)
    return ["verify-bundle", "--bundle", str(case / "bundle.sigstore.json"), *who, *root, last]


@pytest.fixture(autouse=True)
def _public_good_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGSTORE_PUBLIC_GOOD_ROOT", str(PLACE / "sigstore-python" / "public-good-trusted_root.json"))


@pytest.mark.parametrize("by_digest", [False, True], ids=["path", "digest"])
@pytest.mark.parametrize("name", CASES)
def test_a_bundle_of_the_suite_ends_as_its_name_says(
    client: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str], name: str, by_digest: bool
) -> None:
    case = vectors(SUITE) / "bundle-verify" / name
    code = client(arguments(case, by_digest=by_digest))
    said = capsys.readouterr().err.partition(": ")[0]
    assert (code, said) == ((1, (BY_DIGEST if by_digest else REFUSALS)[name]) if name.endswith("_fail") else (0, ""))


def test_the_suite_has_all_its_140_verdicts() -> None:
    assert len(list((vectors(SUITE) / "bundle-verify").glob("*/"))) * 2 == 140


def test_the_client_is_a_program() -> None:
    case = vectors(SUITE) / "bundle-verify"
    good = [sys.executable, str(CLIENT), *arguments(case / "happy-path-v0.3", by_digest=False)]
    assert subprocess.run(good, capture_output=True, check=False).returncode == 0
    bad = [sys.executable, str(CLIENT), *arguments(case / "set-invalid-signature_fail", by_digest=False)]
    refused = subprocess.run(bad, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr[:8]) == (1, "tlog.set")
