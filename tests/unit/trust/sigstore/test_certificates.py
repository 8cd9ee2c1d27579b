"""Certificates of signers: who issued them, when they were valid, who promised to log them, whose they are."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from bundler.errors import Code, FormatError, TrustError
from bundler.trust.der import SEQUENCE, Element
from bundler.trust.sigstore.identity import Identity
from bundler.trust.sigstore.item import Item
from bundler.trust.sigstore.steps import Thresholds
from bundler.trust.x509 import Certificate
from tests.support import cms
from tests.support.cases import each
from tests.support.trials import WORLD, Case, Cases, Trial
from tests.support.world import (
    AT,
    CODE_SIGNING,
    IDENTITY,
    ISSUER,
    MINUTE,
    TIME_STAMPING,
    YEAR,
    Issued,
    World,
    authority_extensions,
    authority_json,
    issue,
    log_json,
    name,
    spki,
    usage,
)

CASES = Cases()
refused, proved = CASES.refused, CASES.proved
OTHER = World("another world")
SECOND = timedelta(seconds=1)


def with_authorities(w: World, *authorities: dict[str, Any], **root: Any) -> Any:
    return w.root(lambda value: value | {"certificateAuthorities": list(authorities)} | root)


def under(w: World, intermediate: Issued, **leaf: Any) -> Trial:
    """A signature under another intermediate of the root's CA, with a root that has it."""
    root = with_authorities(w, authority_json("fulcio", intermediate, w.ca))
    return Trial(w.signed(leaf=w.leaf(issuer=intermediate, **leaf)).item(), root)


# The leaf


@refused("X-2", Code.X509_LEAF)
def a_leaf_that_is_a_ca(w: World) -> Item:
    return w.signed(leaf=w.leaf(ca=True)).item()


@proved("X-2")
def a_leaf_that_says_it_is_no_ca(w: World) -> Item:
    return w.signed(leaf=w.leaf(ca=False)).item()


@refused("X-2", Code.X509_LEAF)
def a_leaf_without_key_usage(w: World) -> Item:
    return w.signed(leaf=w.leaf(key_usage=False)).item()


@refused("X-2", Code.X509_LEAF)
def a_leaf_that_may_not_sign(w: World) -> Item:
    return w.signed(leaf=w.leaf(key_usage=usage(key_agreement=True))).item()


@refused("X-2", Code.X509_LEAF)
def a_leaf_that_may_sign_certificates(w: World) -> Item:
    return w.signed(leaf=w.leaf(key_usage=usage(digital_signature=True, key_cert_sign=True))).item()


@refused("X-2", Code.X509_LEAF)
def a_leaf_without_extended_key_usage(w: World) -> Item:
    return w.signed(leaf=w.leaf(purposes=None)).item()


@refused("X-2", Code.X509_LEAF)
def a_leaf_for_servers(w: World) -> Item:
    return w.signed(leaf=w.leaf(purposes=[ExtendedKeyUsageOID.SERVER_AUTH])).item()


@refused("X-2", Code.X509_LEAF)
def a_leaf_for_any_purpose_but_not_by_name_for_code(w: World) -> Item:
    return w.signed(leaf=w.leaf(purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])).item()


@refused("K-2", Code.X509_KEY)
def a_leaf_on_another_curve(w: World) -> Item:
    return w.signed(leaf=w.leaf(key=w.key("other curve", ec.SECP256K1()))).item()


@refused("K-2", Code.X509_KEY)
def a_leaf_with_a_short_rsa_key(w: World) -> Item:
    return w.signed(leaf=w.leaf(key=w.rsa_key("short", 1024))).item()


@refused("X-2", Code.X509_CHAIN)
def a_leaf_signed_with_sha1_of_old(w: World) -> Item:
    # The library makes no SHA-1 signatures; SHA-224 is as little accepted.
    return w.signed(leaf=w.leaf(by=hashes.SHA224())).item()


@refused("K-2", Code.X509_CHAIN)
def an_intermediate_with_a_short_rsa_key(w: World) -> Trial:
    key = w.rsa_key("short", 1024)
    extensions = authority_extensions(key, w.ca.key, CODE_SIGNING, path_length=0)
    return under(w, issue(name("short"), key, w.ca, extensions=extensions))


@proved("K")
def a_leaf_with_p384_and_its_own_hash(w: World) -> Item:
    return w.signed(leaf=w.leaf(key=w.key("384", ec.SECP384R1())), by=hashes.SHA384()).item()


@proved("K")
def a_leaf_with_an_rsa_key(w: World) -> Item:
    return w.signed(leaf=w.leaf(key=w.rsa_key("leaf"))).item()


@proved("K")
def a_leaf_with_an_ed25519_key(w: World) -> Item:
    return w.signed(leaf=w.leaf(key=w.ed("leaf"))).item()


# The chain


@refused("X-4", Code.X509_CHAIN)
def a_leaf_of_another_ca_of_the_same_name(w: World) -> Item:
    return w.signed(leaf=w.leaf(issuer=OTHER.intermediate)).item()


@refused("X-4", Code.X509_CHAIN)
def a_leaf_whose_signature_is_by_another_key(w: World) -> Item:
    return w.signed(leaf=w.leaf(signing_key=w.key("nobody"))).item()


@refused("X-4", Code.X509_CHAIN)
def a_leaf_that_was_not_yet_valid(w: World) -> Item:
    return w.signed(leaf=w.leaf(window=(AT + MINUTE, AT + 10 * MINUTE))).item()


@refused("X-4", Code.X509_CHAIN)
def a_leaf_that_was_valid_no_more(w: World) -> Item:
    return w.signed(leaf=w.leaf(window=(AT - 10 * MINUTE, AT - MINUTE))).item()


@proved("X-4")
def a_leaf_in_its_first_second(w: World) -> Item:
    return w.signed(leaf=w.leaf(window=(AT, AT + MINUTE))).item()


@proved("X-4")
def a_leaf_in_its_last_second(w: World) -> Item:
    return w.signed(leaf=w.leaf(window=(AT - MINUTE, AT))).item()


@refused("X-7", Code.X509_CHAIN)
def a_leaf_a_moment_after_its_last_second(w: World) -> Item:
    signed = w.signed(leaf=w.leaf(window=(AT - MINUTE, AT)))
    return signed.item([signed.tile()], [signed.stamp(at=AT + timedelta(milliseconds=500))])


@refused("X-4", Code.X509_CHAIN)
def an_intermediate_that_expired_between_the_leafs_issue_and_its_use(w: World) -> Trial:
    """CVE-2026-24122."""
    return under(w, w.intermediate_of(window=(AT - YEAR, AT - SECOND)))


@refused("X-4", Code.X509_CHAIN)
def a_root_that_expired_before_the_signature(w: World) -> Trial:
    key = w.key("ca")
    old = issue(name("root"), key, None, window=(AT - YEAR, AT - SECOND), extensions=authority_extensions(key, key))
    return Trial(w.signed().item(), with_authorities(w, authority_json("fulcio", w.intermediate, old)))


@refused("X-4", Code.X509_CHAIN)
def one_of_two_verified_times_outside_the_leaf(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry()], [signed.stamp(at=AT + 20 * MINUTE)])


@refused("X-4", Code.X509_CHAIN)
def the_other_of_two_verified_times_outside_the_leaf(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(at=AT + 20 * MINUTE)], [signed.stamp()])


@proved("X-4")
def two_verified_times_within_the_leaf(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry()], [signed.stamp(at=AT + 3 * MINUTE)])


@refused("X-5", Code.X509_CHAIN)
def an_intermediate_for_other_purposes(w: World) -> Trial:
    return under(w, w.intermediate_of(purposes=[TIME_STAMPING]))


@proved("X-5")
def an_intermediate_for_all_purposes(w: World) -> Trial:
    return under(w, w.intermediate_of(purposes=[]))


@refused("X-4", Code.X509_CHAIN)
def an_intermediate_that_is_no_ca(w: World) -> Trial:
    return under(w, w.intermediate_of(ca=False))


@refused("X-4", Code.X509_CHAIN)
def an_intermediate_that_may_not_sign_certificates(w: World) -> Trial:
    return under(w, w.intermediate_of(usage=usage(digital_signature=True)))


@refused("X-4", Code.X509_CHAIN)
def an_intermediate_below_one_that_may_have_none(w: World) -> Trial:
    key = w.key("second intermediate")
    extensions = authority_extensions(key, w.intermediate.key, CODE_SIGNING, path_length=0)
    lower = issue(name("lower"), key, w.intermediate, extensions=extensions)
    root = with_authorities(w, authority_json("fulcio", lower, w.intermediate, w.ca))
    return Trial(w.signed(leaf=w.leaf(issuer=lower)).item(), root)


@refused("X-8", Code.X509_CHAIN)
def a_leaf_that_is_itself_the_anchor(w: World) -> Trial:
    key = w.key("leaf")
    alone = w.leaf(issuer=Issued(issue(name("alone"), key, None).certificate, key), subject=name("alone"))
    return Trial(w.signed(leaf=alone).item(), with_authorities(w, authority_json("fulcio", alone)))


@refused("X-2", Code.X509_CHAIN)
def a_leaf_with_a_critical_extension_that_nobody_knows(w: World) -> Item:
    unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    return w.signed(leaf=w.leaf(more=[(unknown, True)])).item()


@proved("R-6")
def an_authority_of_one_certificate(w: World) -> Trial:
    return Trial(w.signed(leaf=w.leaf(issuer=w.ca)).item(), with_authorities(w, authority_json("fulcio", w.ca)))


@proved("X-4")
def an_intermediate_that_came_with_the_leaf(w: World) -> Trial:
    item = w.signed().item(chain=(w.intermediate.ours,))
    return Trial(item, with_authorities(w, authority_json("fulcio", w.ca)))


@proved("X-3")
def the_root_again_beside_the_leaf(w: World) -> Item:
    return w.signed().item(chain=(w.intermediate.ours, w.ca.ours))


@refused("X-3", Code.X509_CHAIN)
def another_root_beside_a_leaf_that_it_issued(w: World) -> Item:
    return w.signed(leaf=w.leaf(issuer=OTHER.intermediate)).item(chain=(OTHER.intermediate.ours, OTHER.ca.ours))


@proved("R-7")
def the_second_of_two_authorities(w: World) -> Trial:
    mine, other = authority_json("a", w.intermediate, w.ca), authority_json("b", OTHER.intermediate, OTHER.ca)
    return Trial(w.signed().item(), with_authorities(w, other, mine))


@proved("R-7")
def the_first_of_two_authorities(w: World) -> Trial:
    mine, other = authority_json("a", w.intermediate, w.ca), authority_json("b", OTHER.intermediate, OTHER.ca)
    return Trial(w.signed().item(), with_authorities(w, mine, other))


@refused("R-3", Code.X509_AUTHORITY_WINDOW)
def an_authority_that_was_trusted_no_more(w: World) -> Trial:
    ended = authority_json("a", w.intermediate, w.ca) | {"validFor": {"start": "2020-01-01T00:00:00Z", "end": "2026-03-01T11:59:59Z"}}
    return Trial(w.signed().item(), with_authorities(w, ended))


@refused("R-3", Code.X509_AUTHORITY_WINDOW)
def an_authority_that_was_not_trusted_yet(w: World) -> Trial:
    later = authority_json("a", w.intermediate, w.ca) | {"validFor": {"start": "2026-03-01T12:00:01Z"}}
    return Trial(w.signed().item(), with_authorities(w, later))


@proved("R-2")
def an_authority_in_its_last_second(w: World) -> Trial:
    ending = authority_json("a", w.intermediate, w.ca) | {"validFor": {"start": "2026-03-01T12:00:00Z", "end": "2026-03-01T12:00:00Z"}}
    return Trial(w.signed().item(), with_authorities(w, ending))


@refused("R-6", Code.X509_CHAIN)
def a_root_without_authorities(w: World) -> Trial:
    return Trial(w.signed().item(), with_authorities(w))


@refused("B-3", Code.BUNDLE_MATERIAL)
def a_signature_without_certificate_where_an_identity_is_pinned(w: World) -> Item:
    return w.signed(pinned=True).item()


@refused("B-9", Code.SIGNATURE_INVALID)
def a_signature_of_another_message(w: World) -> Item:
    return w.signed().item(message=w.signed(b"another").item().message)


@refused("B-9", Code.SIGNATURE_INVALID)
def a_signature_by_another_key_that_was_logged_with_this_certificate(w: World) -> Item:
    stranger = w.signed(leaf=w.leaf(key=w.key("stranger")))
    signed = w.signed(_signature=stranger.signature)
    return signed.item()


# Certificate timestamps


@refused("S-1", Code.SCT_MISSING)
def a_leaf_without_certificate_timestamp(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[])).item()


@proved("S-1")
def a_leaf_without_certificate_timestamp_where_the_ca_has_no_log(w: World) -> Trial:
    return Trial(w.signed(leaf=w.leaf(scts=[])).item(), needed=Thresholds(sct=0))


@refused("S-2", Code.SCT_THRESHOLD)
def a_certificate_timestamp_of_an_unknown_log(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{"key": w.key("unknown log")}])).item()


@refused("S-2", Code.SCT_THRESHOLD)
def a_certificate_timestamp_under_an_unknown_id_is_not_tried_with_other_keys(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{"id": b"\7" * 32}])).item()


@refused("S-3", Code.SCT_THRESHOLD)
def a_certificate_timestamp_by_another_key(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{"key": w.key("thief"), "id": hashlib.sha256(spki(w.ct)).digest()}])).item()


@refused("S-3", Code.SCT_THRESHOLD)
def a_certificate_timestamp_whose_signature_is_broken(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{"broken": True}])).item()


@refused("S-3", Code.SCT_THRESHOLD)
def a_certificate_timestamp_for_another_issuer(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{"issuer_spki": spki(w.ca.key)}])).item()


@refused("S-2", Code.SCT_THRESHOLD)
def a_certificate_timestamp_after_the_end_of_its_log(w: World) -> Trial:
    ended = log_json(f"https://{w.CT}", w.ct)
    ended["publicKey"]["validFor"]["end"] = "2026-03-01T11:59:59.999Z"
    return Trial(w.signed().item(), w.root(lambda value: value | {"ctlogs": [ended]}))


@proved("R-2")
def a_certificate_timestamp_in_the_last_millisecond_of_its_log(w: World) -> Trial:
    ended = log_json(f"https://{w.CT}", w.ct)
    ended["publicKey"]["validFor"]["end"] = "2026-03-01T12:00:00.123Z"
    leaf = w.leaf(scts=[{"time": AT + timedelta(milliseconds=123)}])
    return Trial(w.signed(leaf=leaf).item(), w.root(lambda value: value | {"ctlogs": [ended]}))


@proved("S-3")
def a_certificate_timestamp_with_extensions(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{"extensions": b"\0\0\5\0\0\0\0\7"}])).item()


@proved("S-4")
def a_certificate_timestamp_with_milliseconds(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{"time": AT + timedelta(milliseconds=999)}])).item()


@refused("S-5", Code.SCT_THRESHOLD)
def a_certificate_timestamp_with_another_hash(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{"by": hashes.SHA384()}])).item()


@refused("S-5", Code.SCT_THRESHOLD)
def a_certificate_timestamp_that_names_another_hash(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{"named": "sha384"}])).item()


@refused("S-6", Code.SCT_THRESHOLD)
def one_log_twice_where_two_are_needed(w: World) -> Trial:
    return Trial(w.signed(leaf=w.leaf(scts=[{}, {"time": AT - SECOND}])).item(), needed=Thresholds(sct=2))


@proved("S-6")
def two_logs_where_two_are_needed(w: World) -> Trial:
    second = w.key("second ct")
    root = w.root(lambda value: value | {"ctlogs": [*value["ctlogs"], log_json("https://ct-2.example", second)]})
    return Trial(w.signed(leaf=w.leaf(scts=[{}, {"key": second}])).item(), root, Thresholds(sct=2))


@proved("S-6")
def a_log_with_an_rsa_key(w: World) -> Trial:
    key = w.rsa_key("ct")
    root = w.root(lambda value: value | {"ctlogs": [log_json("https://ct-rsa.example", key)]})
    return Trial(w.signed(leaf=w.leaf(scts=[{"key": key}])).item(), root)


@proved("S-6")
def a_good_certificate_timestamp_beside_an_unknown_one(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{"key": w.key("unknown log")}, {}])).item()


@proved("G-5")
def as_many_certificate_timestamps_as_the_limit(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{}] * 32)).item()


@refused("G-5", Code.LIMIT_SIGNATURE)
def more_certificate_timestamps_than_the_limit(w: World) -> Item:
    return w.signed(leaf=w.leaf(scts=[{}] * 33)).item()


# Identities


@refused("I-1", Code.IDENTITY_SAN)
def a_leaf_without_alternative_name(w: World) -> Item:
    return w.signed(leaf=w.leaf(names=[])).item()


@refused("I-1", Code.IDENTITY_SAN)
def a_leaf_with_a_host_name_alone(w: World) -> Item:
    return w.signed(leaf=w.leaf(names=[x509.DNSName("forge.example")])).item()


@refused("I-1", Code.IDENTITY_SAN)
def a_leaf_with_an_other_name_of_another_kind(w: World) -> Item:
    other = x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.57264.1.8"), cms.tlv(0x0C, b"someone"))
    return w.signed(leaf=w.leaf(names=[other])).item()


@refused("I-1", Code.FORMAT_DER)
def a_leaf_with_a_user_name_that_is_no_text(w: World) -> Item:
    other = x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), cms.octets(b"someone"))
    return w.signed(leaf=w.leaf(names=[other])).item()


@refused("I-2", Code.IDENTITY_ISSUER)
def a_leaf_without_issuer(w: World) -> Item:
    return w.signed(leaf=w.leaf(claims={})).item()


@refused("I-2", Code.IDENTITY_ISSUER)
def a_leaf_whose_two_issuers_differ(w: World) -> Item:
    return w.signed(leaf=w.leaf(claims={"1": ISSUER, "8": f"{ISSUER}/"})).item()


@refused("I-2", Code.FORMAT_DER)
def an_issuer_of_the_second_kind_that_is_no_der(w: World) -> Item:
    return w.signed(leaf=w.leaf(claims={"8": ISSUER.encode()})).item()


@refused("I-2", Code.FORMAT_DER)
def an_issuer_of_the_second_kind_with_more_behind_it(w: World) -> Item:
    return w.signed(leaf=w.leaf(claims={"8": cms.tlv(0x0C, ISSUER.encode()) + b"\0"})).item()


@refused("I-2", Code.FORMAT_DER)
def an_issuer_of_the_first_kind_that_is_no_utf8(w: World) -> Item:
    return w.signed(leaf=w.leaf(claims={"1": b"https://\xff"})).item()


@each("case", CASES.params)
def test_a_certificate_ends_in_its_verdict(case: Case) -> None:
    assert case.end() is case.code


@pytest.mark.parametrize(
    "names",
    [
        [x509.UniformResourceIdentifier(IDENTITY)],
        [x509.RFC822Name("release@world.example")],
        [x509.OtherName(ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), cms.tlv(0x0C, "jörg!world.example".encode()))],
    ],
    ids=["uri", "mail", "user name"],
)
def test_every_kind_of_name_is_an_identity(names: list[x509.GeneralName]) -> None:
    """I-1."""
    expected = {"release@world.example", "jörg!world.example", IDENTITY}
    identity = Identity.of(WORLD.leaf(names=names).ours)
    assert len(identity.names) == 1
    assert set(identity.names) < expected


def test_an_identity_of_two_names_has_both() -> None:
    """I-1."""
    both = [x509.RFC822Name("a@world.example"), x509.UniformResourceIdentifier(IDENTITY)]
    assert Identity.of(WORLD.leaf(names=both).ours).names == ("a@world.example", IDENTITY)


@pytest.mark.parametrize("claims", [{"1": ISSUER}, {"8": ISSUER}, {"1": ISSUER, "8": ISSUER}])
def test_an_issuer_may_stand_in_either_extension_or_both(claims: dict[str, str]) -> None:
    """I-2."""
    assert Identity.of(WORLD.leaf(claims=claims).ours).issuer == ISSUER


def test_every_claim_has_its_name() -> None:
    """I-4."""
    claims = {"8": ISSUER} | {str(n): f"claim {n}" for n in (*range(2, 7), *range(9, 24))}
    identity = Identity.of(WORLD.leaf(claims=claims).ours)
    assert sorted(identity.claims.values()) == sorted(f"claim {n}" for n in (*range(2, 7), *range(9, 24)))
    assert identity.claims["github_workflow_repository"] == "claim 5"
    assert identity.claims["source_repository_uri"] == "claim 12"
    assert identity.claims["build_trigger"] == "claim 20"


@pytest.mark.parametrize("number", [0, -1])
def test_a_certificates_number_is_positive(number: int) -> None:
    """RFC 5280, section 4.1.2.2; what the library warns of today, it will refuse tomorrow."""
    outer = Element.parse(WORLD.leaf().der).items()
    inner = outer.take(SEQUENCE).items()
    version, _, *rest = inner.rest()
    unlike = cms.seq(cms.seq(version.raw, cms.integer(number), *(item.raw for item in rest)), *(item.raw for item in outer.rest()))
    with pytest.raises(FormatError, match=r"serial number: found -?[01], wanted 1 or more"):
        Certificate.parse(unlike)


@pytest.mark.parametrize("raw", [b"\0" * 65537, WORLD.leaf().der + b"\0", WORLD.leaf().der[:-1], b""], ids=["long", "more", "cut", "none"])
def test_what_is_no_certificate_is_refused(raw: bytes) -> None:
    with pytest.raises(FormatError) as refusal:
        Certificate.parse(raw)
    assert refusal.value.code in (Code.X509_MALFORMED, Code.FORMAT_DER)


def test_a_certificate_over_its_limit_is_not_read() -> None:
    with pytest.raises(FormatError, match="over its limit"):
        Certificate.parse(b"\0" * 65537)
    with pytest.raises(FormatError) as refusal:
        Certificate.parse(b"\0" * 65536)
    assert "over its limit" not in str(refusal.value)


@pytest.mark.parametrize("whose", ["subject", "issuer_name"])
def test_a_certificate_with_a_name_over_its_limit_is_not_well_formed(whose: str) -> None:
    """Names are quoted in what people read: at most 2 KiB of one."""

    def of(length: int) -> x509.Name:
        """A name that is spelled in so many bytes."""
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x", _validate=False),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "a" * (length - len("OU=,O=x")), _validate=False),
            ]
        )

    certificate = issue(of(2048), WORLD.key("leaf"), WORLD.intermediate, issuer_name=of(2048)).ours
    assert (len(certificate.subject), len(certificate.issuer)) == (2048, 2048)
    names = {"subject": of(2048), "issuer_name": of(2048)} | {whose: of(2049)}
    with pytest.raises(FormatError) as refusal:
        Certificate.parse(issue(names["subject"], WORLD.key("leaf"), WORLD.intermediate, issuer_name=names["issuer_name"]).der)
    assert refusal.value.code is Code.X509_MALFORMED
    assert "2049" in str(refusal.value)


@pytest.mark.parametrize(("claims", "found"), [({}, "none"), ({"1": "https://a", "8": "https://b"}, "https://a and https://b")])
def test_a_certificate_without_one_issuer_says_which_it_has(claims: dict[str, str], found: str) -> None:
    with pytest.raises(TrustError) as refusal:
        Identity.of(WORLD.leaf(claims=claims).ours)
    assert refusal.value.found == found
