"""Project Wycheproof's signatures through pinned keys: every valid one verifies, no invalid one does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bundler.errors import TrustError, UsageError
from bundler.trust.keys import PublicKey
from tests.support.cases import each
from tests.support.signing import pem
from tests.support.vectors import vectors

ECDSA = ["ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512"]
RSA = ["rsa_signature_2048_sha256", "rsa_signature_3072_sha256", "rsa_signature_4096_sha256"]
ML_DSA = ["mldsa_44_verify", "mldsa_65_verify", "mldsa_87_verify"]


def cases(name: str) -> Iterator[tuple[PublicKey | None, dict[str, Any]]]:
    """The key of each case, None where it is refused when it is pinned; and the case."""
    for group in json.loads((vectors("wycheproof") / f"{name}_test.json").read_text())["testGroups"]:
        key = _key(group.get("publicKeyDer"))
        yield from ((key, case) for case in group["tests"])


def _key(der: str | None) -> PublicKey | None:
    try:
        return PublicKey.parse(pem(bytes.fromhex(der)), role="image") if der else None
    except UsageError:
        return None


def verifies(key: PublicKey, case: dict[str, Any]) -> bool:
    try:
        return bool(key.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])))
    except TrustError:
        return False


@pytest.mark.parametrize("name", [*ECDSA, *RSA, "ed25519"])
def test_valid_signatures_verify_and_others_do_not(name: str) -> None:
    """Acceptable (DigestInfo without its NULL) means that either will do; here it does not verify."""
    judged = [(case["tcId"], verifies(key, case), case["result"] == "valid") for key, case in cases(name) if key]
    assert len(judged) > 100
    assert [(number, found) for number, found, wanted in judged if found is not wanted] == []


@pytest.mark.parametrize("name", ML_DSA)
def test_ml_dsa_signatures_verify_with_the_empty_context_alone(name: str) -> None:
    judged = [(c["tcId"], verifies(key, c), c["result"] == "valid" and not c.get("ctx")) for key, c in cases(name) if key]
    assert len(judged) > 50
    assert [(number, found) for number, found, wanted in judged if found is not wanted] == []


@pytest.mark.parametrize("name", ["rsa_pss_2048_sha256_mgf1_32", "rsa_pss_3072_sha256_mgf1_32"])
def test_a_pinned_rsa_key_means_pkcs1_so_no_pss_signature_verifies(name: str) -> None:
    """One case of the invalid ones is in fact of PKCS #1 v1.5."""
    assert [case["flags"] for key, case in cases(name) if key and verifies(key, case)] == [["WrongPrimitive"]]


@each(("name", "refused"), [*((name, 0) for name in [*ECDSA, "ed25519"]), *((name, 4) for name in ML_DSA)])
def test_keys_are_pinned_or_refused_as_they_deserve(name: str, refused: int) -> None:
    """Of ML-DSA, those of another length are refused."""
    assert len([case for key, case in cases(name) if key is None]) == refused


@pytest.mark.parametrize("name", RSA)
def test_rsa_keys_with_the_exponent_3_are_refused(name: str) -> None:
    """What signatures can be made under them without the private key, the vectors show."""
    assert {case["comment"] for key, case in cases(name) if key is None} <= {"small signature", "signature is close to n"}
