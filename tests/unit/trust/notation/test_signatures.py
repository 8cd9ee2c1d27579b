"""Notation signatures, each with one thing wrong, in both kinds of envelope."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from bundler.errors import BundlerError, Code
from bundler.trust.notation.steps import Proof, check_payload, prove
from bundler.trust.notation.store import Store, StoreType
from bundler.trust.notation.subject import Subject
from tests.support import cms
from tests.support.cases import each
from tests.support.notary import (
    AUTHORITY_STORE,
    CA_USAGE,
    CDP,
    DESCRIPTOR,
    FORMS,
    ISSUER,
    LEAF,
    LEAF_USAGE,
    OTHER_DIGEST,
    PREFIX,
    ROOT,
    STORE,
    SUBJECT,
    TSA_STORE,
    WORLD,
    Signing,
    crl_of,
    issuer_of,
    leaf_of,
    payload_of,
    root_of,
    store_of,
)
from tests.support.world import AT, MINUTE, YEAR, Issued, World, name, usage

SECOND = timedelta(seconds=1)
ANYBODY = Subject.parse("*")
AUTHORITY = "notary.x509.signingAuthority"


@dataclass(frozen=True)
class Trial:
    """A signature, and what it is judged by."""

    signing: Signing
    store: Store = STORE
    subject: Subject = ANYBODY
    tsa: Store | None = None
    at: datetime = AT

    def prove(self, form: str) -> Proof:
        envelope = self.signing.envelope(form)
        proof = prove(envelope, self.store, self.subject, tsa=self.tsa, at=self.at)
        check_payload(envelope, DESCRIPTOR)
        return proof


Build = Callable[[], Trial]
CASES: list[Any] = []


def case(rule: str, code: Code | None) -> Callable[[Build], Build]:
    def add(build: Build) -> Build:
        CASES.append(pytest.param(build, code, id=f"{rule} {build.__name__.replace('_', ' ')}"))
        return build

    return add


def chained(*chain: Issued, **more: Any) -> Trial:
    """A signature under another chain, whose last certificate lies in the store."""
    return Trial(Signing(chain=chain), store_of(root_for_store(chain[-1])), **more)


def root_for_store(last: Issued) -> Issued:
    return last if last.ours.is_ca or last.ours.is_issued_by(last.ours) else ROOT


@case("N", None)
def a_good_signature() -> Trial:
    return Trial(Signing())


@case("N", None)
def a_signature_by_a_signing_authority() -> Trial:
    return Trial(Signing(scheme=AUTHORITY), AUTHORITY_STORE)


# The envelope


@each("form", FORMS)
@each(
    "key",
    [
        partial(WORLD.key, "p256"),
        partial(WORLD.key, "p384", ec.SECP384R1()),
        partial(WORLD.key, "p521", ec.SECP521R1()),
        *(partial(WORLD.rsa_key, "n", n) for n in (2048, 3072, 4096)),  # made by who signs by it, not by all who collect tests
    ],
    ids=["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"],
)
def test_every_key_has_its_one_algorithm(key: Callable[[], Any], form: str) -> None:
    """N-2."""
    assert Trial(Signing(chain=(leaf_of(ISSUER, key=key()), ISSUER, ROOT))).prove(form).subject == "CN=release,ST=BY,C=DE,O=world.example"


@case("N-2", Code.ENVELOPE_ALGORITHM)
def an_algorithm_that_is_not_the_keys() -> Trial:
    return Trial(Signing(algorithm="PS256"))


@case("N-2", Code.ENVELOPE_ALGORITHM)
def a_larger_hash_than_the_keys() -> Trial:
    return Trial(Signing(algorithm="ES384"))


@case("N-2", Code.ENVELOPE_ALGORITHM)
def no_algorithm_at_all() -> Trial:
    return Trial(Signing(algorithm="none"))


@case("N-2", Code.ENVELOPE_ALGORITHM)
def a_key_that_nobody_signs_with() -> Trial:
    return Trial(Signing(chain=(leaf_of(ISSUER, key=WORLD.ed("leaf")), ISSUER, ROOT)))


@case("N-2", Code.ENVELOPE_ALGORITHM)
def an_rsa_key_of_an_odd_size() -> Trial:
    return Trial(Signing(chain=(leaf_of(ISSUER, key=WORLD.rsa_key("odd", 2056)), ISSUER, ROOT)))


@case("N-2", Code.ENVELOPE_MALFORMED)
def an_envelope_without_certificates() -> Trial:
    return Trial(Signing(certificates=[]))


@case("G-5", Code.ENVELOPE_MALFORMED)
def an_envelope_of_eleven_certificates() -> Trial:
    return Trial(Signing(chain=(LEAF, *[ISSUER] * 9, ROOT)))


@case("N-3", Code.SIGNATURE_INVALID)
def a_signature_by_another_key() -> Trial:
    return Trial(Signing(signed_with=WORLD.key("thief")))


@case("N-3", Code.SIGNATURE_INVALID)
def a_signature_that_is_too_long() -> Trial:
    return Trial(Signing(break_signature=lambda raw: raw[:32] + b"\0" + raw[32:]))


@case("N-3", Code.SIGNATURE_INVALID)
def a_signature_with_other_numbers() -> Trial:
    return Trial(Signing(break_signature=lambda raw: raw[32:] + raw[:32]))


@case("N-3", Code.SIGNATURE_INVALID)
def an_rsa_signature_by_another_key() -> Trial:
    chain = (leaf_of(ISSUER, key=WORLD.rsa_key("n", 2048)), ISSUER, ROOT)
    return Trial(Signing(chain=chain, signed_with=WORLD.rsa_key("thief", 2048)))


@case("N-4", Code.ENVELOPE_MALFORMED)
def an_envelope_without_crit() -> Trial:
    return Trial(Signing(headers={"crit": None, 2: None}))


@case("N-4", Code.ENVELOPE_MALFORMED)
def crit_with_numbers() -> Trial:
    return Trial(Signing(critical=[f"{PREFIX}signingScheme", 3]))


@case("N-4", Code.CRIT_MALFORMED)
def crit_with_a_name_twice() -> Trial:
    return Trial(Signing(critical=[f"{PREFIX}signingScheme"] * 2))


@case("N-4", Code.CRIT_MALFORMED)
def crit_without_the_scheme() -> Trial:
    return Trial(Signing(critical=[]))


@case("N-4", Code.CRIT_MALFORMED)
def crit_without_an_expiry_that_is_there() -> Trial:
    return Trial(Signing(expiry=AT + YEAR, critical=[f"{PREFIX}signingScheme"]))


@case("N-4", Code.CRIT_MALFORMED)
def crit_without_the_authoritys_time() -> Trial:
    return Trial(Signing(scheme=AUTHORITY, critical=[f"{PREFIX}signingScheme"]), AUTHORITY_STORE)


@case("N-4", Code.CRIT_UNKNOWN)
def crit_with_an_expiry_that_is_not_there() -> Trial:
    return Trial(Signing(critical=[f"{PREFIX}signingScheme", f"{PREFIX}expiry"]))


@case("N-4", Code.CRIT_UNKNOWN)
def crit_with_a_verification_plugin() -> Trial:
    plugin = f"{PREFIX}verificationPlugin"
    return Trial(Signing(headers={plugin: "aws"}, critical=[f"{PREFIX}signingScheme", plugin]))


@case("N-4", None)
def an_attribute_that_nobody_knows_and_nobody_must() -> Trial:
    return Trial(Signing(headers={"example.note": "hello"}))


@case("N-5", Code.PAYLOAD_TYPE)
def an_envelope_of_another_content_type() -> Trial:
    return Trial(Signing(headers={"cty": "text/plain", 3: None}))


@case("N-5", Code.ENVELOPE_MALFORMED)
def an_envelope_without_content_type() -> Trial:
    return Trial(Signing(headers={"cty": None, 3: None}))


@case("N-5", Code.ENVELOPE_SCHEME)
def an_unknown_scheme() -> Trial:
    return Trial(Signing(headers={f"{PREFIX}signingScheme": "notary.x509.v2"}))


@case("N-5", Code.ENVELOPE_MALFORMED)
def an_envelope_without_scheme() -> Trial:
    return Trial(Signing(headers={f"{PREFIX}signingScheme": None}))


@case("N-5", Code.ENVELOPE_MALFORMED)
def an_envelope_without_time() -> Trial:
    return Trial(Signing(headers={f"{PREFIX}signingTime": None}))


@case("N-5", Code.ENVELOPE_MALFORMED)
def an_envelope_that_expired_when_it_was_signed() -> Trial:
    return Trial(Signing(expiry=AT))


# The payload


@case("N-6", Code.PAYLOAD_DESCRIPTOR)
def a_signature_of_another_digest() -> Trial:
    return Trial(Signing(payload=payload_of(digest=OTHER_DIGEST)))


@case("N-6", Code.PAYLOAD_DESCRIPTOR)
def a_signature_of_another_size() -> Trial:
    return Trial(Signing(payload=payload_of(size=DESCRIPTOR.size + 1)))


@case("N-6", Code.PAYLOAD_DESCRIPTOR)
def a_signature_of_another_media_type() -> Trial:
    return Trial(Signing(payload=payload_of(mediaType="application/vnd.oci.image.index.v1+json")))


@case("N-6", Code.PAYLOAD_MALFORMED)
def a_payload_with_a_member_more() -> Trial:
    return Trial(Signing(payload=payload_of()[:-1] + b',"more":1}'))


@case("N-6", Code.PAYLOAD_MALFORMED)
def a_payload_that_is_a_list() -> Trial:
    return Trial(Signing(payload=b"[]"))


@case("N-6", Code.PAYLOAD_MALFORMED)
def a_payload_without_digest() -> Trial:
    return Trial(Signing(payload=b'{"targetArtifact":{"mediaType":"a/b","size":1}}'))


@case("N-6", None)
def a_payload_with_annotations() -> Trial:
    return Trial(Signing(payload=payload_of(annotations={"build": "7"})))


# The chain


@case("N-7", None)
def a_self_signed_certificate_alone() -> Trial:
    return chained(leaf_of(None))


@case("N-7", None)
def a_leaf_that_says_it_is_no_ca() -> Trial:
    return chained(leaf_of(ISSUER, ca=False), ISSUER, ROOT)


@case("N-7", None)
def a_leaf_without_extended_key_usage() -> Trial:
    return chained(leaf_of(ISSUER, purposes=None), ISSUER, ROOT)


@case("N-7", None)
def extensions_that_nobody_knows_even_critical_ones() -> Trial:
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    issuer = issuer_of(ROOT, more=[(unknown, True)])
    return chained(leaf_of(issuer, more=[(unknown, True)]), issuer, ROOT)


@case("N-7", None)
def an_issuer_of_its_own_name_that_is_not_self_signed() -> Trial:
    issuer = issuer_of(ROOT, subject=ROOT.certificate.subject)
    return chained(leaf_of(issuer), issuer, ROOT)


@case("N-7", Code.X509_PROFILE)
def a_chain_out_of_order() -> Trial:
    return Trial(Signing(chain=(LEAF, ROOT, ISSUER)), store_of(ROOT))


@case("N-7", Code.X509_PROFILE)
def a_chain_with_a_gap() -> Trial:
    return Trial(Signing(chain=(LEAF, ROOT)))


@case("N-7", Code.X509_PROFILE)
def a_chain_without_its_root() -> Trial:
    return Trial(Signing(chain=(LEAF, ISSUER)), store_of(ISSUER))


@case("N-7", Code.X509_PROFILE)
def a_chain_that_goes_on_after_its_root() -> Trial:
    return Trial(Signing(chain=(LEAF, ISSUER, ROOT, ROOT)))


@case("N-7", Code.X509_PROFILE)
def a_chain_whose_names_fit_and_whose_keys_do_not() -> Trial:
    other = root_of(key=WORLD.key("other root"))
    return Trial(Signing(chain=(LEAF, ISSUER, other)), store_of(other))


@case("N-7", Code.X509_PROFILE)
def a_leaf_signed_with_a_weak_digest() -> Trial:
    return chained(leaf_of(ISSUER, by=hashes.SHA224()), ISSUER, ROOT)


@case("K-2", Code.X509_KEY)
def an_issuer_with_a_short_rsa_key() -> Trial:
    short = root_of("short", key=WORLD.rsa_key("short", 1024))
    return chained(leaf_of(short), short)


@case("N-7", Code.X509_PROFILE)
def an_issuer_that_is_no_ca() -> Trial:
    issuer = issuer_of(ROOT, constraints=(False, True))
    return chained(leaf_of(issuer), issuer, ROOT)


@case("N-7", Code.X509_PROFILE)
def an_issuer_that_does_not_say_what_it_is() -> Trial:
    issuer = issuer_of(ROOT, constraints=None)
    return chained(leaf_of(issuer), issuer, ROOT)


@case("N-7", Code.X509_PROFILE)
def an_issuer_that_says_so_without_weight() -> Trial:
    issuer = issuer_of(ROOT, constraints=(True, False))
    return chained(leaf_of(issuer), issuer, ROOT)


@case("N-7", Code.X509_PROFILE)
def a_root_that_allows_no_issuer_below_it() -> Trial:
    root = root_of(path_length=0)
    return chained(leaf_of(issuer := issuer_of(root)), issuer, root)


@case("N-7", None)
def a_root_that_allows_one_issuer_below_it() -> Trial:
    root = root_of(path_length=1)
    return chained(leaf_of(issuer := issuer_of(root, path_length=0)), issuer, root)


@case("N-7", Code.X509_PROFILE)
def an_issuer_without_key_usage() -> Trial:
    issuer = issuer_of(ROOT, key_usage=None)
    return chained(leaf_of(issuer), issuer, ROOT)


@case("N-7", Code.X509_PROFILE)
def an_issuer_whose_key_usage_has_no_weight() -> Trial:
    issuer = issuer_of(ROOT, key_usage=(CA_USAGE, False))
    return chained(leaf_of(issuer), issuer, ROOT)


@case("N-7", Code.X509_PROFILE)
def an_issuer_that_may_not_sign_certificates() -> Trial:
    issuer = issuer_of(ROOT, key_usage=(usage(crl_sign=True), True))
    return chained(leaf_of(issuer), issuer, ROOT)


@case("N-7", Code.X509_PROFILE)
def a_leaf_that_is_a_ca() -> Trial:
    return chained(leaf_of(ISSUER, ca=True), ISSUER, ROOT)


@case("N-7", Code.X509_PROFILE)
def a_leaf_without_key_usage() -> Trial:
    return chained(leaf_of(ISSUER, key_usage=None), ISSUER, ROOT)


@case("N-7", Code.X509_PROFILE)
def a_leaf_whose_key_usage_has_no_weight() -> Trial:
    return chained(leaf_of(ISSUER, key_usage=(LEAF_USAGE, False)), ISSUER, ROOT)


@case("N-7", Code.X509_PROFILE)
def a_leaf_that_may_not_sign() -> Trial:
    return chained(leaf_of(ISSUER, key_usage=(usage(content_commitment=True), True)), ISSUER, ROOT)


@pytest.mark.parametrize("other", ["key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"])
def test_a_leaf_has_no_other_key_usage(other: str) -> None:
    """N-7."""
    both = usage(digital_signature=True, **{other: True})
    assert end(chained(leaf_of(ISSUER, key_usage=(both, True)), ISSUER, ROOT), FORMS[0]) is Code.X509_PROFILE


@each(
    "other",
    [
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.TIME_STAMPING,
        ExtendedKeyUsageOID.OCSP_SIGNING,
    ],
    ids=lambda purpose: purpose.dotted_string,
)
def test_a_leaf_is_for_none_of_the_other_purposes(other: x509.ObjectIdentifier) -> None:
    """N-7."""
    leaf = leaf_of(ISSUER, purposes=[ExtendedKeyUsageOID.CODE_SIGNING, other])
    assert end(chained(leaf, ISSUER, ROOT), FORMS[0]) is Code.X509_PROFILE


# Stores and subjects


@case("N-11", None)
def a_store_with_the_issuer_alone() -> Trial:
    return Trial(Signing(), store_of(ISSUER))


@case("N-11", Code.STORE_UNTRUSTED)
def a_store_with_another_root_of_the_same_name() -> Trial:
    return Trial(Signing(), store_of(root_of(key=WORLD.key("other root"))))


@case("N-11", Code.STORE_UNTRUSTED)
def a_signing_authoritys_signature_under_a_store_of_signers() -> Trial:
    return Trial(Signing(scheme=AUTHORITY), STORE)


@case("N-11", Code.STORE_UNTRUSTED)
def a_signers_signature_under_a_store_of_signing_authorities() -> Trial:
    return Trial(Signing(), AUTHORITY_STORE)


@case("N-11", Code.STORE_UNTRUSTED)
def a_signers_signature_under_a_store_of_timestamp_authorities() -> Trial:
    return Trial(Signing(), Store("stamps", StoreType.TSA, (ROOT.ours,)))


@case("N-11", None)
def a_subject_with_every_attribute() -> Trial:
    return Trial(Signing(), subject=Subject.parse("CN=release,ST=BY,C=DE,O=world.example"))


@case("N-11", None)
def a_subject_in_another_order_with_the_old_name_of_the_state() -> Trial:
    return Trial(Signing(), subject=Subject.parse("C=DE,S=BY,O=world.example"))


@case("N-11", Code.IDENTITY_SUBJECT)
def a_subject_with_another_value() -> Trial:
    return Trial(Signing(), subject=Subject.parse("CN=releases,O=world.example"))


@case("N-11", Code.IDENTITY_SUBJECT)
def a_subject_in_another_case() -> Trial:
    return Trial(Signing(), subject=Subject.parse("CN=Release"))


@case("N-11", Code.IDENTITY_SUBJECT)
def a_subject_with_an_attribute_that_the_leaf_has_not() -> Trial:
    return Trial(Signing(), subject=Subject.parse("CN=release,OU=team"))


@case("N-11", Code.IDENTITY_SUBJECT)
def a_leaf_with_the_attribute_twice() -> Trial:
    twice = name("release", (NameOID.COMMON_NAME, "another"))
    chain = (leaf_of(ISSUER, subject=twice), ISSUER, ROOT)
    return Trial(Signing(chain=chain), subject=Subject.parse("CN=release"))


# Time


@case("N-12", None)
def a_signature_a_moment_before_its_expiry() -> Trial:
    return Trial(Signing(expiry=AT + SECOND))


@case("N-12", Code.EXPIRY_EXPIRED)
def a_signature_at_its_expiry() -> Trial:
    return Trial(Signing(expiry=AT + MINUTE), at=AT + MINUTE)


@case("N-12", Code.EXPIRY_EXPIRED)
def a_signing_authoritys_signature_after_its_expiry() -> Trial:
    return Trial(Signing(scheme=AUTHORITY, expiry=AT + MINUTE), AUTHORITY_STORE, at=AT + YEAR)


@case("N-13", Code.X509_VALIDITY)
def a_leaf_that_is_valid_no_more() -> Trial:
    return chained(leaf_of(ISSUER, window=(AT - YEAR, AT - SECOND)), ISSUER, ROOT)


@case("N-13", Code.X509_VALIDITY)
def a_leaf_that_is_not_valid_yet() -> Trial:
    return chained(leaf_of(ISSUER, window=(AT + SECOND, AT + YEAR)), ISSUER, ROOT)


@case("N-13", Code.X509_VALIDITY)
def an_issuer_that_is_valid_no_more() -> Trial:
    issuer = issuer_of(ROOT, window=(AT - YEAR, AT - SECOND))
    return chained(leaf_of(issuer), issuer, ROOT)


@case("N-13", Code.X509_VALIDITY)
def a_root_that_is_valid_no_more() -> Trial:
    root = root_of(window=(AT - YEAR, AT - SECOND))
    return chained(leaf_of(issuer := issuer_of(root)), issuer, root)


@case("N-13", None)
def a_leaf_that_is_valid_no_more_and_was_when_it_was_stamped() -> Trial:
    chain = (leaf_of(ISSUER, window=(AT - YEAR, AT + MINUTE)), ISSUER, ROOT)
    return Trial(Signing(chain=chain, stamp={}), tsa=TSA_STORE, at=AT + YEAR)


@case("N-13", Code.X509_VALIDITY)
def a_leaf_that_is_valid_and_was_not_when_it_was_stamped() -> Trial:
    chain = (leaf_of(ISSUER, window=(AT + MINUTE, AT + 2 * YEAR)), ISSUER, ROOT)
    return Trial(Signing(chain=chain, stamp={}), tsa=TSA_STORE, at=AT + YEAR)


@case("N-13", Code.X509_VALIDITY)
def a_timestamp_that_is_too_inaccurate_for_the_leafs_end() -> Trial:
    chain = (leaf_of(ISSUER, window=(AT - YEAR, AT + SECOND)), ISSUER, ROOT)
    return Trial(Signing(chain=chain, stamp={"info": {"accuracy": cms.seq(cms.integer(2))}}), tsa=TSA_STORE)


@case("N-13", Code.X509_VALIDITY)
def a_timestamp_that_is_too_inaccurate_for_the_leafs_start() -> Trial:
    chain = (leaf_of(ISSUER, window=(AT - SECOND, AT + YEAR)), ISSUER, ROOT)
    return Trial(Signing(chain=chain, stamp={"info": {"accuracy": cms.seq(cms.integer(2))}}), tsa=TSA_STORE)


@case("N-13", Code.TIMESTAMP_MISSING)
def a_signature_without_the_timestamp_that_is_needed() -> Trial:
    return Trial(Signing(), tsa=TSA_STORE)


@case("N-13", Code.TSA_IMPRINT)
def a_timestamp_of_another_signature() -> Trial:
    return Trial(Signing(stamp={"of": b"another"}), tsa=TSA_STORE)


@case("N-13", Code.X509_CHAIN)
def a_timestamp_of_another_authority() -> Trial:
    stranger = World("stranger")
    return Trial(Signing(stamp={"tsa": stranger.tsa}), tsa=TSA_STORE)


@case("N-13", Code.TSA_UNKNOWN)
def a_timestamp_whose_signer_is_nowhere() -> Trial:
    return Trial(Signing(stamp={"embedded": []}), tsa=TSA_STORE)


@case("N-13", Code.FORMAT_DER)
def a_timestamp_with_something_odd_in_it() -> Trial:
    return Trial(Signing(stamp={"crls": cms.integer(0)}), tsa=TSA_STORE)


@case("N-13", None)
def a_wrong_timestamp_where_the_clock_is_asked() -> Trial:
    return Trial(Signing(stamp={"of": b"another"}))


@case("N-13", None)
def a_leaf_that_was_valid_when_the_authority_signed() -> Trial:
    chain = (leaf_of(ISSUER, window=(AT - YEAR, AT)), ISSUER, ROOT)
    return Trial(Signing(chain=chain, scheme=AUTHORITY), AUTHORITY_STORE, at=AT + YEAR)


@case("N-13", None)
def a_leaf_that_became_valid_when_the_authority_signed() -> Trial:
    chain = (leaf_of(ISSUER, window=(AT, AT + YEAR)), ISSUER, ROOT)
    return Trial(Signing(chain=chain, scheme=AUTHORITY), AUTHORITY_STORE, at=AT)


@case("N-13", Code.X509_VALIDITY)
def a_leaf_that_was_not_valid_when_the_authority_signed() -> Trial:
    chain = (leaf_of(ISSUER, window=(AT - YEAR, AT - SECOND)), ISSUER, ROOT)
    return Trial(Signing(chain=chain, scheme=AUTHORITY), AUTHORITY_STORE, at=AT - MINUTE)


# Revocation, of which test_revocation.py has more


@case("N-14", Code.REVOCATION_REVOKED)
def a_leaf_that_is_revoked() -> Trial:
    return Trial(Signing(), store_of(ROOT, crls=[crl_of(ISSUER, LEAF)]))


@case("N-14", Code.REVOCATION_REVOKED)
def a_leaf_that_was_revoked_before_its_timestamp() -> Trial:
    store = store_of(ROOT, crls=[crl_of(ISSUER, LEAF, invalidity=AT - MINUTE)])
    return Trial(Signing(stamp={}), store, tsa=TSA_STORE)


@case("N-14", None)
def a_leaf_that_was_revoked_after_its_timestamp() -> Trial:
    store = store_of(ROOT, crls=[crl_of(ISSUER, LEAF, invalidity=AT + MINUTE)])
    return Trial(Signing(stamp={}), store, tsa=TSA_STORE)


@case("N-14", Code.REVOCATION_UNAVAILABLE)
def a_leaf_that_could_be_revoked_and_no_list() -> Trial:
    return chained(leaf_of(ISSUER, more=[(CDP, False)]), ISSUER, ROOT)


@case("N-14", Code.REVOCATION_REVOKED)
def a_timestamp_authority_that_is_revoked() -> Trial:
    """CVE-2024-56138."""
    stamps = store_of(WORLD.tsa_ca, crls=[crl_of(WORLD.tsa_ca, WORLD.tsa)], kind=StoreType.TSA)
    return Trial(Signing(stamp={}), tsa=stamps)


def end(trial: Trial, form: str) -> Code | None:
    try:
        trial.prove(form)
    except BundlerError as error:
        return error.code
    return None


@each("form", FORMS, ids=["JWS", "COSE"])
@each(("build", "code"), CASES)
def test_a_signature_ends_in_its_verdict(build: Build, code: Code | None, form: str) -> None:
    assert end(build(), form) is code


def test_a_proof_says_who_vouches_for_what() -> None:
    """N-15: times that somebody vouches for are told from the station's own clock."""
    by_clock = Trial(Signing()).prove(FORMS[0])
    assert (by_clock.time, by_clock.anchor) == (None, "CN=root,O=world.example")
    stamped = Trial(Signing(stamp={"at": AT - MINUTE}), tsa=TSA_STORE).prove(FORMS[0])
    assert (stamped.time, stamped.by) == (AT - MINUTE, "stamps: CN=timestamp root,O=world.example")
    authority = Trial(Signing(scheme=AUTHORITY), AUTHORITY_STORE).prove(FORMS[0])
    assert (authority.time, authority.by) == (AT, "the signing authority CN=root,O=world.example")


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("*", "CN=a", True),
        ("O=x", "CN=a,O=x", True),
        ("CN=a,O=x", "O=x", False),
        ("CN=a", "CN=b", False),
        ("CN=a", "CN=a", True),
    ],
)
def test_a_subject_covers_another_that_asks_for_more(wide: str, narrow: str, covers: bool) -> None:
    """N-8: overlap."""
    assert Subject.parse(wide).covers(Subject.parse(narrow)) is covers


@each(
    "text",
    ["", "release", "CN=", "CN=a,CN=b", "CN=a+O=b", "CN=#0c0161", "CN=a,", "C=DEU", "FOO=a", "CN=a;O=b"],
    ids=lambda text: text[:20] or "empty",
)
def test_a_subject_that_is_none_is_refused(text: str) -> None:
    """N-11, CVE-2023-25656."""
    with pytest.raises(BundlerError) as refusal:
        Subject.parse(text)
    assert refusal.value.code is Code.IDENTITY_SUBJECT


def test_a_subject_over_its_limit_is_not_read() -> None:
    """CVE-2023-25656."""
    with pytest.raises(BundlerError, match="at most 4096"):
        Subject.parse("CN=" + "a" * 4094)
    with pytest.raises(BundlerError, match="of the form CN="):  # read, and found longer than X.520 has it
        Subject.parse("CN=" + "a" * 4093)


def test_a_subject_may_have_escapes() -> None:
    assert Subject.parse(r"CN=a\,b,O=x\+y").attributes == ((NameOID.ORGANIZATION_NAME, "x+y"), (NameOID.COMMON_NAME, "a,b"))


def test_the_signers_subject_is_the_one_in_its_certificate() -> None:
    assert str(Subject.parse("CN=release")) == "CN=release"
    assert SUBJECT.rfc4514_string() == Trial(Signing()).prove(FORMS[0]).subject


@pytest.mark.parametrize(("text", "name"), [("CN=release,O=Example", "release"), ("O=Example", None), ("*", None), (r"CN=a\,b", "a,b")])
def test_a_subject_may_have_a_common_name(text: str, name: str | None) -> None:
    assert Subject.parse(text).common_name == name
