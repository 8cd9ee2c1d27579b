"""Trust policies of the Notary Project, turned into entries of ``trust.toml``."""

import json
from typing import Any

import pytest

from bundler.errors import BundlerError, Code
from bundler.trust.notation.convert import convert, label
from bundler.trust.notation.store import StoreType
from tests.support.cases import each
from tests.support.vectors import vectors

SUBJECT = "x509.subject: CN=e2e,O=Notary,ST=WA,C=US"


def statement(**changed: Any) -> dict[str, Any]:
    value = {
        "name": "one",
        "registryScopes": ["registry.example/app"],
        "signatureVerification": {"level": "strict"},
        "trustStores": ["ca:release"],
        "trustedIdentities": [SUBJECT],
    }
    return {name: inner for name, inner in (value | changed).items() if inner is not None}


def document(*statements: dict[str, Any], **changed: Any) -> bytes:
    return json.dumps({"version": "1.0", "trustPolicies": list(statements)} | changed).encode()


def refused(raw: bytes) -> Code:
    with pytest.raises(BundlerError) as refusal:
        convert(raw)
    return refusal.value.code


def test_a_statement_becomes_a_rule_for_each_scope() -> None:
    """N-8, N-11, N-16: one of the signers is enough."""
    raw = document(
        statement(
            registryScopes=["registry.example/app", "registry.example:5000/tool"],
            trustStores=["ca:release", "signingAuthority:cloud", "tsa:one", "tsa:two"],
            trustedIdentities=[SUBJECT, "x509.subject: C=DE, S=BY, O=Other"],
        )
    )
    got = convert(raw)
    assert [rule.scope for rule in got.rules] == ["registry.example/app", "registry.example:5000/tool"]
    first, other = "CN=e2e,O=Notary,ST=WA,C=US", "C=DE, S=BY, O=Other"
    assert [signer.to_toml() for signer in got.rules[0].signers] == [
        {"store": "ca.release", "subject": first, "tsa": "tsa.one"},
        {"store": "ca.release", "subject": first, "tsa": "tsa.two"},
        {"store": "ca.release", "subject": other, "tsa": "tsa.one"},
        {"store": "ca.release", "subject": other, "tsa": "tsa.two"},
        {"store": "signingAuthority.cloud", "subject": first},
        {"store": "signingAuthority.cloud", "subject": other},
    ]
    assert set(map(label, got.stores)) == {"ca.release", "signingAuthority.cloud", "tsa.one", "tsa.two"}
    assert got.notes == ()


def test_the_one_scope_for_all_is_spelled_as_here() -> None:
    got = convert(document(statement(registryScopes=["*"], trustedIdentities=["*"])))
    assert (got.rules[0].scope, got.rules[0].signers[0].subject) == ("**", "*")
    assert got.stores == ((StoreType.CA, "release"),)


@each(
    ("verification", "says"),
    [
        ({"level": "permissive"}, "below strict"),
        ({"level": "audit"}, "below strict"),
        ({"level": "skip"}, "verifies nothing"),
        ({"level": "strict", "override": {"expiry": "log"}}, "expiry = log"),
        ({"level": "strict", "override": {"revocation": "skip"}}, "revocation = skip"),
        ({"level": "permissive", "override": {"revocation": "enforce"}}, "authenticTimestamp = log, expiry = log"),
    ],
)
def test_the_scopes_of_what_is_below_strict_are_denied_and_that_is_said(verification: dict[str, Any], says: str) -> None:
    """N-10: refused at the gap, neither weakened nor left to a wider statement."""
    weak = statement(registryScopes=["registry.example/crown/jewels", "registry.example/gold"], signatureVerification=verification)
    got = convert(document(weak, statement(name="all", registryScopes=["*"], trustedIdentities=["*"])))
    assert [(rule.scope, bool(rule.signers)) for rule in got.rules] == [
        ("registry.example/crown/jewels", False),
        ("registry.example/gold", False),
        ("**", True),
    ]
    assert all(says in (rule.deny or "") for rule in got.rules[:2])
    assert got.rules[2].deny is None
    assert got.notes[0].startswith("one is not taken over, so registry.example/crown/jewels, registry.example/gold is denied: ")
    assert says in got.notes[0]
    assert got.admits


@pytest.mark.parametrize(
    "verification",
    [
        {"level": "strict", "override": {"revocation": "enforce"}},
        {"level": "audit", "override": dict.fromkeys(("authenticity", "authenticTimestamp", "expiry", "revocation"), "enforce")},
        {"level": "strict", "override": None, "verifyTimestamp": None},
    ],
)
def test_what_comes_to_strict_is_strict(verification: dict[str, Any]) -> None:
    assert len(convert(document(statement(signatureVerification=verification))).rules) == 1


def test_a_skipped_statement_needs_neither_stores_nor_identities() -> None:
    raw = document(statement(signatureVerification={"level": "skip"}, trustStores=None, trustedIdentities=None))
    got = convert(raw)
    assert [(rule.scope, rule.signers) for rule in got.rules] == [("registry.example/app", ())]
    assert not got.admits
    assert got.stores == ()


def test_a_weak_statement_for_all_denies_all() -> None:
    (rule,) = convert(document(statement(registryScopes=["*"], signatureVerification={"level": "audit"}))).rules
    assert (rule.scope, rule.signers) == ("**", ())
    assert rule.deny is not None
    assert rule.deny.startswith("statement one of a Notation trust policy: level audit with authenticity = log, ")
    assert rule.deny.endswith(" is below strict")


def test_timestamps_are_asked_for_always_and_that_is_said() -> None:
    after = {"level": "strict", "verifyTimestamp": "afterCertExpiry"}
    got = convert(document(statement(signatureVerification=after, trustStores=["ca:release", "tsa:stamps"])))
    assert "afterCertExpiry became always" in got.notes[0]
    assert got.rules[0].signers[0].to_toml()["tsa"] == "tsa.stamps"
    assert "signatures end with their certificates" in convert(document(statement(signatureVerification=after))).notes[0]
    assert convert(document(statement(trustStores=["signingAuthority:cloud"]))).notes == ()


@each(
    "raw",
    [
        b"[]",
        document(),
        document(statement(), version="1.1"),
        document(statement(), more=1),
        document(statement(), statement(registryScopes=["registry.example/other"])),
        document(statement(), statement(name="two")),
        document(statement(more=1)),
        document(statement(name="")),
        document(statement(name=None)),
        document(statement(registryScopes=None)),
        document(statement(registryScopes=[])),
        document(statement(registryScopes=[7])),
        document(statement(registryScopes={"registry.example/app": 1})),
        document(statement(registryScopes=["*", "registry.example/app"])),
        document(statement(registryScopes=["registry.example/*"])),
        document(statement(registryScopes=["registry.example/app:v1"])),
        document(statement(registryScopes=["app"])),
        document(statement(registryScopes=["registry.example/App"])),
        document(statement(signatureVerification="strict")),
        document(statement(signatureVerification={})),
        document(statement(signatureVerification={"level": "lax"})),
        document(statement(signatureVerification={"level": "strict", "more": 1})),
        document(statement(signatureVerification={"level": "strict", "verifyTimestamp": "never"})),
        document(statement(signatureVerification={"level": "strict", "override": "log"})),
        document(statement(signatureVerification={"level": "strict", "override": {"integrity": "enforce"}})),
        document(statement(signatureVerification={"level": "strict", "override": {"expiry": "skip"}})),
        document(statement(signatureVerification={"level": "strict", "override": {"expiry": "ignore"}})),
        document(statement(signatureVerification={"level": "skip", "override": {"expiry": "enforce"}})),
        document(statement(trustStores=None)),
        document(statement(trustStores=[])),
        document(statement(trustStores=["release"])),
        document(statement(trustStores=["CA:release"])),
        document(statement(trustStores=["ca:"])),
        document(statement(trustStores=["ca:../release"])),
        document(statement(trustStores=["tsa:stamps"])),
        document(statement(trustedIdentities=None)),
        document(statement(trustedIdentities=[])),
        document(statement(trustedIdentities=[""])),
        document(statement(trustedIdentities=["*", SUBJECT])),
        document(statement(trustedIdentities=["x509.subject CN=a,O=b,ST=c,C=DE"])),
        document(statement(trustedIdentities=["x509.subject: O=b,ST=c"])),
        document(statement(trustedIdentities=["x509.subject: C=DE,ST=c"])),
        document(statement(trustedIdentities=["x509.subject: C=DE,O=b"])),
        document(statement(trustedIdentities=[SUBJECT, SUBJECT])),
        document(statement(trustedIdentities=[SUBJECT, "x509.subject: O=Notary,ST=WA,C=US"])),
    ],
    ids=range(45),
)
def test_what_notation_would_refuse_is_refused(raw: bytes) -> None:
    """N-8."""
    assert refused(raw) is Code.TRUST_FORM


# What Notation's own files of this name come to: how many rules, or the code they are refused with.
FILES = {
    "any_registry_scope_trust_policy.json": 1,
    "audit_trustpolicy.json": 0,
    "blob_trust_policy.json": Code.TRUST_FORM,  # of another kind: for blobs, without scopes
    "empty_registry_scope_trustpolicy.json": Code.TRUST_FORM,
    "empty_trusted_identity_trustpolicy.json": Code.TRUST_FORM,
    "generate_test_trustpolicy.json": 1,
    "invalid_format_trustpolicy.json": Code.FORMAT_JSON,
    "invalid_registry_scope_trustpolicy.json": 1,  # well-formed; no signature lies there
    "invalid_trust_store_trustpolicy.json": 1,  # well-formed; that store has no files
    "invalid_trusted_identity_trustpolicy.json": Code.IDENTITY_SUBJECT,  # a country of three letters
    "malformed_registry_scope_trustpolicy.json": Code.TRUST_FORM,
    "malformed_trust_store_trustpolicy.json": Code.TRUST_FORM,
    "malformed_trusted_identity_trustpolicy.json": Code.TRUST_FORM,
    "missing_country_trusted_identity_trustpolicy.json": Code.TRUST_FORM,
    "missing_organization_trusted_identity_trustpolicy.json": Code.TRUST_FORM,
    "missing_state_trusted_identity_trustpolicy.json": Code.TRUST_FORM,
    "multi_statements_with_multi_wildcard_registry_scope_trustpolicy.json": Code.TRUST_FORM,
    "multi_statements_with_the_same_name_trustpolicy.json": Code.TRUST_FORM,
    "multi_statements_with_the_same_registry_scope_trustpolicy.json": Code.TRUST_FORM,
    "multi_statements_with_wildcard_registry_scope_trustpolicy.json": 2,
    "multiple_registry_scope_trustpolicy.json": 2,
    "multiple_trust_store_trustpolicy.json": 1,
    "multiple_trusted_identity_trustpolicy.json": 1,
    "overlapped_registry_scope_trustpolicy.json": Code.TRUST_FORM,
    "overlapped_trust_store_trustpolicy.json": 1,  # the same store twice is that store
    "overlapped_trusted_identity_trustpolicy.json": Code.TRUST_FORM,
    "override_audit_trustpolicy.json": 1,  # everything enforced comes to strict
    "override_integrity_for_permissive_trustpolicy.json": Code.TRUST_FORM,
    "override_permissive_trustpolicy.json": 0,
    "override_strict_trustpolicy.json": 0,
    "permissive_trustpolicy.json": 0,
    "quickstart_trustpolicy.json": 1,
    "registry_scope_trustpolicy.json": 1,
    "skip_trustpolicy.json": 0,
    "timestamp_after_cert_expiry_trustpolicy.json": 1,
    "timestamp_trustpolicy.json": 1,
    "trustpolicy.json": 1,
    "unset_trust_store_trustpolicy.json": Code.TRUST_FORM,
    "unset_trusted_identity_trustpolicy.json": Code.TRUST_FORM,
    "valid_trusted_identity_trustpolicy.json": 1,
    "wildcard_plus_other_registry_scope_trustpolicy.json": Code.TRUST_FORM,
    "wildcard_plus_other_trusted_identity_trustpolicy.json": Code.TRUST_FORM,
    "wildcard_trust_store_trustpolicy.json": Code.TRUST_FORM,
}


def test_every_policy_of_notations_own_tests_ends_as_it_should() -> None:
    found: dict[str, Any] = {}
    for path in sorted((vectors("notation") / "trustpolicies").glob("*.json")):
        try:
            found[path.name] = sum(rule.deny is None for rule in convert(path.read_bytes()).rules)
        except BundlerError as error:
            found[path.name] = error.code
    assert found == FILES
