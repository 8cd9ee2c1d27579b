"""Timestamps: of these bytes, by an authority of the root, as its own certificate allows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundler.errors import BundlerError, Code
from bundler.trust.der import Element
from bundler.trust.rfc3161 import TimestampToken
from bundler.trust.sigstore.item import Item
from bundler.trust.sigstore.steps import Thresholds
from tests.support import cms
from tests.support.cases import each
from tests.support.trials import WORLD, Case, Cases, Trial
from tests.support.world import AT, MINUTE, TIME_STAMPING, YEAR, Issued, World, authority_extensions, authority_json, issue, name

CASES = Cases()
refused, proved = CASES.refused, CASES.proved
OTHER = World("another world")
NEEDED = Thresholds(log=0, timestamp=1)


def stamped(w: World, **wrong: Any) -> Trial:
    """A signature that nothing but one timestamp speaks for."""
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp(**wrong)]), needed=NEEDED)


def stamped_by(w: World, tsa: Issued, *chain: Issued, **wrong: Any) -> Trial:
    """The same under a root that has this authority."""
    root = w.root(lambda value: value | {"timestampAuthorities": [authority_json("tsa", *(chain or (tsa, w.tsa_ca)))]})
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp(tsa=tsa, **wrong)]), root, NEEDED)


def attributes(change: Callable[[cms.Attributes], cms.Attributes]) -> Any:
    return {"attributes": change}


@proved("A")
def a_timestamp(w: World) -> Trial:
    return stamped(w)


@proved("A-1")
def a_timestamp_granted_with_modifications(w: World) -> Trial:
    return stamped(w, status=1)


@refused("A-1", Code.TSA_STATUS)
def a_timestamp_that_was_rejected(w: World) -> Trial:
    return stamped(w, status=2)


@refused("A-1", Code.FORMAT_DER)
def a_response_without_token(w: World) -> Trial:
    return Trial(w.signed().item([], [cms.seq(cms.seq(cms.integer(0)))]), needed=NEEDED)


@refused("A-1", Code.FORMAT_DER)
def a_response_with_something_behind_the_token(w: World) -> Trial:
    signed = w.signed()
    response = signed.stamp()
    status = cms.seq(cms.integer(0))
    token = response[response.index(status) + len(status) :]
    return Trial(signed.item([], [cms.seq(status, token, cms.integer(1))]), needed=NEEDED)


@refused("G-4", Code.FORMAT_DER)
def bytes_behind_a_timestamp(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp() + b"\0"]), needed=NEEDED)


@refused("G-5", Code.TSA_MALFORMED)
def a_timestamp_over_its_limit(w: World) -> Trial:
    return Trial(w.signed().item([], [b"\x30\x84\x00\x01\x00\x01" + b"\0" * 65537]), needed=NEEDED)


@refused("A-2", Code.TSA_MALFORMED)
def a_timestamp_that_is_other_cms(w: World) -> Trial:
    return stamped(w, outer_type="1.2.840.113549.1.7.1")


@refused("A-2", Code.TSA_MALFORMED)
def cms_of_something_else(w: World) -> Trial:
    return stamped(w, content_type="1.2.840.113549.1.7.1")


@refused("A-2", Code.TSA_MALFORMED)
def a_timestamp_without_signer(w: World) -> Trial:
    return stamped(w, signers=0)


@refused("A-2", Code.TSA_MALFORMED)
def a_timestamp_with_two_signers(w: World) -> Trial:
    return stamped(w, signers=2)


# Whose it is


@proved("A-3")
def a_timestamp_that_names_its_signer_by_key_id(w: World) -> Trial:
    return stamped(w, by_key_id=True)


@refused("A-3", Code.TIME_THRESHOLD)
def a_key_id_where_the_authority_has_none(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(key_id=False), by_key_id=True, named=w.tsa.certificate)


@refused("A-3", Code.TIME_THRESHOLD)
def a_timestamp_that_names_a_signer_whom_nobody_has(w: World) -> Trial:
    return stamped(w, named=OTHER.tsa_of(common="somebody").certificate)


@refused("A-3", Code.TIME_THRESHOLD)
def a_timestamp_that_names_a_key_id_that_nobody_has(w: World) -> Trial:
    return stamped(w, named=OTHER.tsa.certificate, by_key_id=True)


@refused("A-3", Code.TIME_THRESHOLD)
def a_timestamp_of_another_authority_with_its_certificate(w: World) -> Trial:
    strange = OTHER.tsa_of(issuer=strange_ca(), common="strange")
    return stamped(w, tsa=strange, embedded=[strange.certificate])


@refused("A-3", Code.TIME_THRESHOLD)
def a_timestamp_of_an_authority_that_merely_has_the_name(w: World) -> Trial:
    """Names match, keys do not."""
    strange = OTHER.tsa_of(common="strange")
    return stamped(w, tsa=strange, embedded=[strange.certificate])


@proved("A-9")
def a_timestamp_of_a_namesake_beside_another(w: World) -> Trial:
    strange = OTHER.tsa_of(common="strange")
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp(tsa=strange, embedded=[strange.certificate]), signed.stamp()]), needed=NEEDED)


@refused("B-7", Code.X509_CHAIN)
def a_timestamp_of_the_authority_itself_after_its_certificates_end_beside_another(w: World) -> Trial:
    ended = w.tsa_of(window=(AT - YEAR, AT - MINUTE), common="ended")
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp(tsa=ended, embedded=[ended.certificate]), signed.stamp()]), needed=NEEDED)


@proved("A-3")
def a_foreign_certificate_that_was_put_in_first(w: World) -> Trial:
    """CVE-2026-39984: the signer is who the token names, not who lies first."""
    return stamped(w, embedded=[OTHER.tsa_of(common="injected").certificate, w.tsa.certificate])


@refused("A-3", Code.TIME_THRESHOLD)
def a_token_of_another_authority_with_our_certificate_put_in_first(w: World) -> Trial:
    strange = OTHER.tsa_of(issuer=strange_ca(), common="strange")
    return stamped(w, tsa=strange, embedded=[w.tsa.certificate, strange.certificate])


@proved("A-8")
def an_authority_whose_root_has_no_leaf_and_whose_token_has(w: World) -> Trial:
    return stamped_by(w, w.tsa, w.tsa_ca, embedded=[w.tsa.certificate])


@refused("A-8", Code.TIME_THRESHOLD)
def an_authority_whose_leaf_is_nowhere(w: World) -> Trial:
    return stamped_by(w, w.tsa, w.tsa_ca)


@refused("A-8", Code.X509_CHAIN)
def an_intermediate_that_only_the_token_has(w: World) -> Trial:
    middle = timestamp_intermediate(w)
    tsa = w.tsa_of(issuer=middle)
    return stamped_by(w, tsa, tsa, w.tsa_ca, embedded=[tsa.certificate, middle.certificate])


@proved("A-8")
def an_intermediate_that_the_root_has(w: World) -> Trial:
    middle = timestamp_intermediate(w)
    tsa = w.tsa_of(issuer=middle)
    return stamped_by(w, tsa, tsa, middle, w.tsa_ca)


@refused("G-5", Code.TSA_MALFORMED)
def a_timestamp_with_more_certificates_than_the_limit(w: World) -> Trial:
    return stamped(w, embedded=[w.tsa.certificate] * 17)


@proved("G-5")
def a_timestamp_with_as_many_certificates_as_the_limit(w: World) -> Trial:
    return stamped(w, embedded=[w.tsa.certificate] * 16)


@refused("A-3", Code.TSA_ATTRIBUTES)
def a_timestamp_that_says_it_is_by_another_certificate(w: World) -> Trial:
    return stamped(w, essence=[(cms.ESS_V2, cms.ess(OTHER.tsa.certificate, version=2))])


@refused("A-3", Code.TSA_ATTRIBUTES)
def a_timestamp_that_says_in_the_old_way_it_is_by_another_certificate(w: World) -> Trial:
    return stamped(w, essence=[(cms.ESS_V1, cms.ess(OTHER.tsa.certificate, version=1))])


@refused("A-3", Code.TSA_ATTRIBUTES)
def a_timestamp_that_says_two_things(w: World) -> Trial:
    both = [(cms.ESS_V1, cms.ess(w.tsa.certificate, version=1)), (cms.ESS_V2, cms.ess(OTHER.tsa.certificate, version=2))]
    return stamped(w, essence=both)


@proved("A-3")
def a_renewed_certificate_of_the_same_name_and_number(w: World) -> Trial:
    """What the token says of its signer picks among certificates that its name and number fit."""
    old, new = w.tsa_of(window=(AT - 2 * YEAR, AT - YEAR)), w.tsa
    return stamped_by(w, new, old, new, w.tsa_ca)


# What is signed


@proved("A-4")
def a_timestamp_with_the_old_attribute_alone(w: World) -> Trial:
    return stamped(w, essence=[(cms.ESS_V1, cms.ess(w.tsa.certificate, version=1))])


@proved("A-4")
def a_timestamp_with_both_attributes(w: World) -> Trial:
    both = [(cms.ESS_V1, cms.ess(w.tsa.certificate, version=1)), (cms.ESS_V2, cms.ess(w.tsa.certificate, version=2, name="sha512"))]
    return stamped(w, essence=both)


@refused("A-4", Code.TSA_ATTRIBUTES)
def a_timestamp_that_does_not_say_whose_it_is(w: World) -> Trial:
    return stamped(w, essence=[])


@refused("A-4", Code.TSA_ATTRIBUTES)
def a_timestamp_without_signed_content_type(w: World) -> Trial:
    return stamped(w, **attributes(lambda these: these[1:]))


@refused("A-4", Code.TSA_ATTRIBUTES)
def a_timestamp_with_another_signed_content_type(w: World) -> Trial:
    return stamped(w, **attributes(lambda these: [(cms.CONTENT_TYPE, cms.oid(cms.SIGNED_DATA)), *these[1:]]))


@refused("A-4", Code.TSA_ATTRIBUTES)
def a_timestamp_without_signed_digest(w: World) -> Trial:
    return stamped(w, **attributes(lambda these: [these[0], *these[2:]]))


@refused("A-4", Code.TSA_ATTRIBUTES)
def a_timestamp_with_the_digest_of_another_content(w: World) -> Trial:
    return stamped(w, **attributes(lambda these: [these[0], (cms.MESSAGE_DIGEST, cms.octets(b"\7" * 32)), *these[2:]]))


@refused("A-4", Code.TSA_ATTRIBUTES)
def a_timestamp_with_an_attribute_twice(w: World) -> Trial:
    return stamped(w, **attributes(lambda these: [*these, these[0]]))


@refused("A-4", Code.TSA_ATTRIBUTES)
def a_timestamp_with_an_attribute_of_two_values(w: World) -> Trial:
    two = cms.oid(cms.TST_INFO) * 2
    return stamped(w, **attributes(lambda these: [(cms.CONTENT_TYPE, two), *these[1:]]))


@proved("A-4")
def a_timestamp_with_attributes_that_nobody_asks_for(w: World) -> Trial:
    return stamped(w, **attributes(lambda these: [*these, ("1.2.3.4", cms.integer(7))]))


# The signature


@refused("A-5", Code.TSA_SIGNATURE)
def a_timestamp_by_another_key(w: World) -> Trial:
    return stamped(w, key=w.key("thief"))


@refused("A-5", Code.TSA_SIGNATURE)
def a_timestamp_whose_signature_is_broken(w: World) -> Trial:
    return stamped(w, signature=lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]))


@proved("A-5")
def a_timestamp_with_sha384(w: World) -> Trial:
    return stamped(w, name="sha384")


@proved("A-5")
def a_timestamp_by_a_larger_curve_with_sha512(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(key=w.key("tsa 521", ec.SECP521R1())), name="sha512")


@proved("A-5")
def a_timestamp_by_rsa(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")))


@proved("A-5")
def a_timestamp_by_rsa_under_the_name_of_its_key_alone(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")), scheme=cms.RSA_ENCRYPTION, name="sha512")


@proved("A-5")
def a_timestamp_by_rsa_pss(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")), scheme=cms.RSA_PSS)


@refused("A-5", Code.TSA_SIGNATURE)
def a_timestamp_by_another_rsa_key(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")), key=w.rsa_key("thief"))


@refused("A-5", Code.TSA_ALGORITHM)
def rsa_pss_without_parameters(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")), scheme=cms.RSA_PSS, algorithm_id=cms.algorithm(cms.RSA_PSS))


@refused("A-5", Code.TSA_ALGORITHM)
def rsa_pss_with_two_digests(w: World) -> Trial:
    wrong = cms.algorithm(cms.RSA_PSS, cms.pss_parameters("sha256", mask="sha512"))
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")), scheme=cms.RSA_PSS, algorithm_id=wrong)


@refused("A-5", Code.TSA_ALGORITHM)
def rsa_pss_with_a_mask_that_is_none(w: World) -> Trial:
    good = cms.algorithm(cms.RSA_PSS, cms.pss_parameters("sha256"))
    wrong = good.replace(cms.oid(cms.MGF1), cms.oid("1.2.840.113549.1.1.9"))
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")), scheme=cms.RSA_PSS, algorithm_id=wrong)


@refused("A-5", Code.TSA_ALGORITHM)
def rsa_pss_with_a_mask_of_no_digest(w: World) -> Trial:
    good = cms.pss_parameters("sha256")
    inner = cms.algorithm(cms.MGF1, cms.algorithm(cms.HASHES["sha256"]))
    parts = [element.raw for element in Element.parse(good).items().rest()]
    assert parts[1] == cms.tlv(0xA1, inner)
    wrong = cms.algorithm(cms.RSA_PSS, cms.seq(parts[0], cms.tlv(0xA1, cms.algorithm(cms.MGF1)), parts[2]))
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")), scheme=cms.RSA_PSS, algorithm_id=wrong)


@refused("A-5", Code.TSA_ALGORITHM)
def rsa_pss_with_a_salt_of_another_length(w: World) -> Trial:
    wrong = cms.algorithm(cms.RSA_PSS, cms.pss_parameters("sha256", salt=20))
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")), scheme=cms.RSA_PSS, algorithm_id=wrong)


@refused("A-5", Code.TSA_ALGORITHM)
def an_rsa_key_with_an_ecdsa_algorithm(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")), algorithm_id=cms.algorithm(cms.ECDSA["sha256"]))


@refused("A-5", Code.TSA_ALGORITHM)
def an_ecdsa_key_with_an_rsa_algorithm(w: World) -> Trial:
    return stamped(w, algorithm_id=cms.algorithm(cms.RSA["sha256"]))


@refused("A-5", Code.TSA_ALGORITHM)
def a_timestamp_by_a_kind_of_key_that_no_authority_has(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(key=w.ed("tsa")), key=w.key("tsa"))


@refused("A-5", Code.TSA_ALGORITHM)
def a_timestamp_whose_content_is_hashed_with_sha1(w: World) -> Trial:
    return stamped(w, digest_id=cms.algorithm(cms.HASHES["sha1"]))


# What it says


@refused("A-6", Code.TSA_IMPRINT)
def a_timestamp_of_other_bytes(w: World) -> Trial:
    return stamped(w, of=b"other bytes")


@refused("A-6", Code.TSA_IMPRINT)
def a_timestamp_of_the_message_instead_of_the_signature(w: World) -> Trial:
    return stamped(w, of=b"an artifact")


@refused("A-6", Code.TSA_ALGORITHM)
def a_timestamp_of_a_sha1_digest(w: World) -> Trial:
    return stamped(w, info={"name": "sha1"})


@proved("A-6")
def a_timestamp_of_a_sha512_digest(w: World) -> Trial:
    return stamped(w, info={"name": "sha512"})


@refused("A-6", Code.TSA_MALFORMED)
def a_timestamp_of_another_version(w: World) -> Trial:
    return stamped(w, info={"version": 2})


@refused("A-6", Code.TSA_MALFORMED)
def a_timestamp_with_a_critical_extension(w: World) -> Trial:
    critical = cms.seq(cms.oid("1.2.3.4"), cms.tlv(0x01, b"\xff"), cms.octets(b""))
    return stamped(w, info={"extensions": cms.tlv(0xA1, critical)})


@proved("A-6")
def a_timestamp_with_all_that_it_may_have(w: World) -> Trial:
    return stamped(
        w,
        info={
            "accuracy": cms.seq(cms.integer(1), cms.integer(500, 0x80), cms.integer(7, 0x81)),
            "ordering": cms.tlv(0x01, b"\xff"),
            "tsa": cms.tlv(0xA0, cms.tlv(0xA4, w.tsa.certificate.subject.public_bytes())),
            "extensions": cms.tlv(0xA1, cms.seq(cms.oid("1.2.3.4"), cms.octets(b""))),
        },
        crls=cms.tlv(0xA1),
        unsigned=cms.tlv(0xA1, cms.seq(cms.oid("1.2.3.4"), cms.set_of(cms.integer(1)))),
    )


@refused("A-6", Code.FORMAT_DER)
def a_timestamp_with_more_than_it_may_have(w: World) -> Trial:
    return stamped(w, info={"more": cms.integer(1)})


@refused("A-6", Code.TSA_MALFORMED)
def a_timestamp_with_a_negative_accuracy(w: World) -> Trial:
    return stamped(w, info={"accuracy": cms.seq(cms.integer(-1))})


@refused("A-6", Code.TSA_MALFORMED)
def a_timestamp_accurate_to_a_second_day(w: World) -> Trial:
    return stamped(w, info={"accuracy": cms.seq(cms.integer(86401))})


@refused("A-6", Code.TSA_MALFORMED)
def a_timestamp_with_a_thousand_milliseconds(w: World) -> Trial:
    return stamped(w, info={"accuracy": cms.seq(cms.integer(1000, 0x80))})


@refused("A-6", Code.TSA_MALFORMED)
def a_timestamp_with_a_thousand_microseconds(w: World) -> Trial:
    return stamped(w, info={"accuracy": cms.seq(cms.integer(1000, 0x81))})


@each(
    "wrong",
    [
        {"info": {"imprint_more": cms.integer(0)}},
        {"info": {"accuracy": cms.seq(cms.integer(1), cms.integer(0))}},
        {"unsigned": cms.integer(0)},
        {"more": {"sid": cms.integer(0)}},
        {"more": {"attribute": cms.integer(0)}},
        {"more": {"content": cms.integer(0)}},
        {"more": {"signed": cms.integer(0)}},
    ],
)
def test_no_part_of_a_timestamp_has_more_than_its_type(wrong: dict[str, Any]) -> None:
    """G-4: what is passed over by one reader may be read by another."""
    case = stamped(WORLD, **wrong)
    with pytest.raises(BundlerError) as refusal:
        case.prove()
    assert refusal.value.code is Code.FORMAT_DER


@refused("A-5", Code.FORMAT_DER)
def rsa_pss_with_a_parameter_more(w: World) -> Trial:
    wrong = cms.algorithm(cms.RSA_PSS, cms.pss_parameters("sha256", more=cms.integer(0)))
    return stamped_by(w, w.tsa_of(key=w.rsa_key("tsa")), scheme=cms.RSA_PSS, algorithm_id=wrong)


# The authority's certificate


@refused("A-7", Code.TSA_LEAF)
def an_authority_whose_purpose_is_not_critical(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(critical=False))


@refused("A-7", Code.TSA_LEAF)
def an_authority_with_a_second_purpose(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(purposes=[TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING]))


@refused("A-7", Code.TSA_LEAF)
def an_authority_for_code(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(purposes=[ExtendedKeyUsageOID.CODE_SIGNING]))


@refused("A-7", Code.TSA_LEAF)
def an_authority_without_purpose(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(purposes=[]))


@refused("A-7", Code.TSA_LEAF)
def an_authority_that_is_a_ca(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(ca=True))


@refused("A-7", Code.X509_CHAIN)
def an_authority_below_an_intermediate_for_code(w: World) -> Trial:
    middle = timestamp_intermediate(w, ExtendedKeyUsageOID.CODE_SIGNING)
    tsa = w.tsa_of(issuer=middle)
    return stamped_by(w, tsa, tsa, middle, w.tsa_ca)


@refused("A-7", Code.X509_CHAIN)
def an_authority_that_had_expired(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(window=(AT - YEAR, AT - MINUTE)))


@refused("A-7", Code.X509_CHAIN)
def an_authority_that_was_not_yet_valid(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(window=(AT + MINUTE, AT + YEAR)))


@refused("A-7", Code.X509_CHAIN)
def an_authority_that_expired_a_moment_ago(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(window=(AT - YEAR, AT)), at=AT + timedelta(milliseconds=1))


@refused("A-7", Code.X509_CHAIN)
def an_authority_whose_root_had_expired(w: World) -> Trial:
    key = w.key("tsa ca")
    old = issue(name("timestamp root"), key, None, window=(AT - YEAR, AT - MINUTE), extensions=authority_extensions(key, key))
    return stamped_by(w, w.tsa, w.tsa, old)


@refused("K-2", Code.X509_KEY)
def an_authority_with_a_short_rsa_key(w: World) -> Trial:
    return stamped_by(w, w.tsa_of(key=w.rsa_key("short", 1024)))


@refused("R-3", Code.X509_AUTHORITY_WINDOW)
def an_authority_that_is_trusted_no_more(w: World) -> Trial:
    return ending(w, "2026-03-01T11:59:59Z")


@proved("R-2")
def an_authority_in_the_last_second_of_its_trust(w: World) -> Trial:
    return ending(w, "2026-03-01T12:00:00Z")


# Several


@refused("A-9", Code.TIME_THRESHOLD)
def one_authority_twice_where_two_are_needed(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp(), signed.stamp(at=AT + MINUTE)]), needed=Thresholds(log=0, timestamp=2))


@proved("A-9")
def two_authorities_where_two_are_needed(w: World) -> Trial:
    root, second = two_authorities(w)
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp(), signed.stamp(tsa=second)]), root, Thresholds(log=0, timestamp=2))


@refused("A-9", Code.TIME_THRESHOLD)
def no_timestamp_where_one_is_needed(w: World) -> Trial:
    return Trial(w.signed().item(), needed=Thresholds(timestamp=1))


@refused("A-9", Code.TIME_THRESHOLD)
def an_unknown_authority_where_one_is_needed(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([signed.entry()], [signed.stamp(tsa=OTHER.tsa_of(common="x"))]), needed=Thresholds(timestamp=1))


@proved("A-9")
def an_unknown_authority_where_none_is_needed(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry()], [signed.stamp(tsa=OTHER.tsa_of(common="x"))])


@refused("B-7", Code.TSA_IMPRINT)
def a_wrong_timestamp_of_a_known_authority_where_none_is_needed(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry()], [signed.stamp(of=b"other bytes")])


@proved("A-10")
def the_very_same_timestamp_twice(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp()] * 2), needed=NEEDED)


@refused("G-5", Code.LIMIT_SIGNATURE)
def more_timestamps_than_the_limit(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp()] * 33), needed=NEEDED)


@proved("G-5")
def as_many_timestamps_as_the_limit(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp()] * 32), needed=NEEDED)


@proved("A2-4")
def a_timestamp_of_a_whole_envelope(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp(of=b"an envelope")], stamped=(signed.signature, b"an envelope")), needed=NEEDED)


def strange_ca() -> Issued:
    key = OTHER.key("strange ca")
    return issue(name("strange root"), key, None, extensions=authority_extensions(key, key))


def timestamp_intermediate(w: World, *purposes: Any) -> Issued:
    key = w.key("timestamp intermediate")
    extensions = authority_extensions(key, w.tsa_ca.key, *(purposes or (TIME_STAMPING,)), path_length=0)
    return issue(name("timestamp intermediate"), key, w.tsa_ca, extensions=extensions)


def two_authorities(w: World) -> tuple[Any, Issued]:
    second = w.tsa_of(key=w.key("second tsa"), issuer=strange_ca(), common="second timestamps")
    root = w.root(
        lambda value: value | {"timestampAuthorities": [*value["timestampAuthorities"], authority_json("two", second, strange_ca())]}
    )
    return root, second


def ending(w: World, end: str) -> Trial:
    ended = authority_json("tsa", w.tsa, w.tsa_ca)
    ended["validFor"]["end"] = end
    signed = w.signed()
    root = w.root(lambda value: value | {"timestampAuthorities": [ended]})
    return Trial(signed.item([], [signed.stamp()]), root, NEEDED)


@each("case", CASES.params)
def test_a_timestamp_ends_in_its_verdict(case: Case) -> None:
    assert case.end() is case.code


@each(
    ("info", "accuracy"),
    [
        ({}, timedelta(0)),
        ({"policy": "0.4.0.2023.1.1"}, timedelta(seconds=1)),
        (
            {"accuracy": cms.seq(cms.integer(2), cms.integer(30, 0x80), cms.integer(4, 0x81))},
            timedelta(seconds=2, milliseconds=30, microseconds=4),
        ),
        (
            {"accuracy": cms.seq(cms.integer(86400), cms.integer(999, 0x80), cms.integer(999, 0x81))},
            timedelta(days=1, milliseconds=999, microseconds=999),
        ),
        ({"accuracy": cms.seq(cms.integer(5, 0x81))}, timedelta(microseconds=5)),
        ({"accuracy": cms.seq()}, timedelta(0)),
    ],
)
def test_a_timestamp_says_how_accurate_it_is(info: dict[str, Any], accuracy: timedelta) -> None:
    """A-6, N-13."""
    token = TimestampToken.parse_response(WORLD.signed().stamp(info=info))
    assert (token.info.time, token.info.accuracy) == (AT, accuracy)


def test_a_timestamp_keeps_its_fraction_of_a_second() -> None:
    moment = AT + timedelta(microseconds=123400)
    assert TimestampToken.parse_response(WORLD.signed().stamp(at=moment)).info.time == moment


def test_a_bare_token_is_read_where_a_format_has_one() -> None:
    """A-1."""
    token = cms.token(cms.tst_info(b"bytes", AT), WORLD.tsa.key, WORLD.tsa.certificate)
    stamp = TimestampToken.parse(token).verified((b"bytes",), WORLD.root().timestamp_authorities)
    assert (stamp.time, stamp.authority.name) == (AT, "https://tsa.world.example")
    assert [c.subject for c in stamp.chain] == [WORLD.tsa.ours.subject, WORLD.tsa_ca.ours.subject]
    most = cms.seq(b"\0" * 65532)
    assert len(most) == 64 << 10
    for raw, code in ((cms.response(token), Code.FORMAT_DER), (most, Code.FORMAT_DER), (cms.seq(b"\0" * 65533), Code.TSA_MALFORMED)):
        with pytest.raises(BundlerError) as refusal:
            TimestampToken.parse(raw)
        assert refusal.value.code is code


def test_the_chains_in_a_token_count_where_a_format_says_so() -> None:
    """A-8: the stores of Notation hold roots alone."""
    middle = timestamp_intermediate(WORLD)
    tsa = WORLD.tsa_of(issuer=middle)
    token = TimestampToken.parse(
        cms.token(cms.tst_info(b"bytes", AT), tsa.key, tsa.certificate, embedded=[tsa.certificate, middle.certificate])
    )
    root = WORLD.root(lambda value: value | {"timestampAuthorities": [authority_json("tsa", WORLD.tsa_ca)]})
    assert len(token.verified((b"bytes",), root.timestamp_authorities, chains=True).chain) == 3
    with pytest.raises(BundlerError) as refusal:
        token.verified((b"bytes",), root.timestamp_authorities)
    assert refusal.value.code is Code.TSA_UNKNOWN
