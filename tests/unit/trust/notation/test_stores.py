"""Stores, and the revocation lists in them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from bundler.errors import BundlerError, Code
from bundler.trust.der import SEQUENCE, Element
from bundler.trust.notation.revocation import Crl, check_revocation
from bundler.trust.notation.store import Store, StoreType
from tests.support import cms
from tests.support.cases import each
from tests.support.notary import CDP, ISSUER, LEAF, ROOT, WORLD, crl, crl_of, issuer_of, leaf_of, root_of
from tests.support.world import AT, YEAR, Issued, issue, name, usage

MINUTE = timedelta(minutes=1)
OCSP = x509.AuthorityInformationAccess(
    [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.example"))]
)
CA_ISSUERS = x509.AuthorityInformationAccess(
    [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.example"))]
)
REVOCABLE = leaf_of(ISSUER, more=[(CDP, False)])
CHAIN = (REVOCABLE, ISSUER, ROOT)
URI = x509.UniformResourceIdentifier


def checked(chain: tuple[Issued, ...] = CHAIN, *crls: Crl, at: datetime = AT, signed: datetime | None = None) -> Code | None:
    try:
        check_revocation([issued.ours for issued in chain], crls, at=at, signed=signed)
    except BundlerError as error:
        return error.code
    return None


def scope(**changed: Any) -> list[Any]:
    point = dict.fromkeys(("full_name", "relative_name", "only_some_reasons"))
    flags = dict.fromkeys(("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs"), False)
    return [(x509.IssuingDistributionPoint(**(point | flags | changed)), True)]  # type: ignore[arg-type]


def test_what_says_nothing_of_revocation_cannot_be_revoked() -> None:
    """N-14."""
    assert checked((LEAF, ISSUER, ROOT)) is None
    assert checked((leaf_of(ISSUER, more=[(CA_ISSUERS, False)]), ISSUER, ROOT)) is None


@pytest.mark.parametrize("more", [CDP, OCSP], ids=["list", "ocsp"])
def test_what_could_be_revoked_needs_a_list(more: Any) -> None:
    leaf = leaf_of(ISSUER, more=[(more, False)])
    assert checked((leaf, ISSUER, ROOT)) is Code.REVOCATION_UNAVAILABLE
    assert checked((leaf, ISSUER, ROOT), crl(ISSUER)) is None


def test_an_issuer_that_could_be_revoked_needs_a_list_of_its_own_issuer() -> None:
    issuer = issuer_of(ROOT, more=[(CDP, False)])
    chain = (leaf_of(issuer), issuer, ROOT)
    assert checked(chain, crl(issuer)) is Code.REVOCATION_UNAVAILABLE
    assert checked(chain, crl(ROOT)) is None
    assert checked(chain, crl(ROOT, issuer)) is Code.REVOCATION_REVOKED


def test_a_root_is_not_asked_about() -> None:
    assert checked((leaf_of(None, more=[(CDP, False)]),)) is None


@each(
    ("list_of", "why"),
    [
        (lambda: crl(ISSUER, window=(AT - YEAR, AT - MINUTE)), "its next is out"),
        (lambda: crl(ISSUER, window=(AT + MINUTE, AT + YEAR)), "it is from the future"),
        (lambda: crl(ROOT), "it is of another issuer"),
        (lambda: crl(ISSUER, key=WORLD.key("thief")), "its signature is another's"),
        (lambda: crl(ISSUER, issuer_name=name("another")), "its name is another's"),
        (lambda: crl(ISSUER, extensions=scope(only_contains_ca_certs=True)), "it is of CAs"),
        (lambda: crl(ISSUER, extensions=scope(full_name=[URI("http://crl.example/b.crl")])), "it is of another place"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_list_that_shows_nothing(list_of: Callable[[], Crl], why: str) -> None:
    assert checked(CHAIN, list_of()) is Code.REVOCATION_UNAVAILABLE


def test_a_list_of_an_issuer_that_may_sign_none_shows_nothing() -> None:
    issuer = issuer_of(ROOT, key_usage=(usage(key_cert_sign=True), True))
    assert checked((leaf_of(issuer, more=[(CDP, False)]), issuer, ROOT), crl(issuer)) is Code.REVOCATION_UNAVAILABLE


@pytest.mark.parametrize(
    "extensions",
    [
        [(x509.CRLNumber(7), False)],
        scope(only_contains_user_certs=True),
        scope(full_name=[URI("http://crl.example/b.crl"), URI("http://crl.example/a.crl")]),
    ],
)
def test_a_list_with_extensions_that_cover_the_certificate(extensions: Any) -> None:
    assert checked(CHAIN, crl(ISSUER, extensions=extensions)) is None
    assert checked(CHAIN, crl(ISSUER, REVOCABLE, extensions=extensions)) is Code.REVOCATION_REVOKED


SCOPES = {
    "of CAs": scope(only_contains_ca_certs=True),
    "of people": scope(only_contains_user_certs=True),
    "of another place": scope(full_name=[URI("http://crl.example/part-1.crl")]),
    "of a relative place": scope(relative_name=x509.RelativeDistinguishedName(name("x").rdns[0])),
    "of attribute certificates": scope(only_contains_attribute_certs=True),
    "of some reasons": scope(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})),
    "of several issuers": scope(indirect_crl=True),
}


@each("extensions", SCOPES.values(), ids=SCOPES)
@each("leaf", [LEAF, REVOCABLE], ids=["that says nothing of revocation", "that names its list"])
def test_a_list_that_names_a_certificate_revokes_it_whatever_its_scope_is(leaf: Issued, extensions: Any) -> None:
    assert checked((leaf, ISSUER, ROOT), crl(ISSUER, leaf, extensions=extensions)) is Code.REVOCATION_REVOKED
    assert checked((leaf, ISSUER, ROOT), crl(ISSUER), crl(ISSUER, leaf, extensions=extensions)) is Code.REVOCATION_REVOKED


def test_a_list_of_several_issuers_revokes_what_it_names_though_it_says_that_it_is_of_another() -> None:
    """RFC 5280, section 5.3.3: who takes the number alone refuses too much, and never too little."""
    other = x509.CertificateIssuer([x509.DirectoryName(name("another"))])
    builder = x509.CertificateRevocationListBuilder().issuer_name(ISSUER.certificate.subject).last_update(AT).next_update(AT + YEAR)
    entry = x509.RevokedCertificateBuilder().serial_number(LEAF.certificate.serial_number).revocation_date(AT)
    builder = builder.add_revoked_certificate(entry.add_extension(other, critical=True).build())
    (point, critical), *_ = scope(indirect_crl=True)
    signed = builder.add_extension(point, critical).sign(ISSUER.key, hashes.SHA256())
    assert checked((LEAF, ISSUER, ROOT), Crl.parse(signed.public_bytes(Encoding.DER))) is Code.REVOCATION_REVOKED


@each("what", [what for what in SCOPES if what != "of people"])
def test_a_list_of_another_scope_does_not_show_that_a_certificate_is_good(what: str) -> None:
    assert checked(CHAIN, crl(ISSUER, extensions=SCOPES[what])) is Code.REVOCATION_UNAVAILABLE


def test_a_list_of_people_shows_nothing_of_cas() -> None:
    issuer = issuer_of(ROOT, more=[(CDP, False)])
    lists = crl(ROOT, extensions=scope(only_contains_user_certs=True))
    assert checked((leaf_of(issuer), issuer, ROOT), lists) is Code.REVOCATION_UNAVAILABLE


def test_a_list_of_an_issuer_that_does_not_say_what_it_may_sign_shows_nothing() -> None:
    issuer = issuer_of(ROOT, key_usage=None)
    assert checked((leaf_of(issuer, more=[(CDP, False)]), issuer, ROOT), crl(issuer)) is Code.REVOCATION_UNAVAILABLE


def test_a_list_cannot_be_of_an_issuer_whose_kind_of_key_signs_none() -> None:
    usages = [(usage(key_cert_sign=True, crl_sign=True), True)]
    issuer = issue(name("issuer"), mldsa.MLDSA44PrivateKey.from_seed_bytes(b"\7" * 32), ROOT, extensions=usages)
    assert checked((REVOCABLE, issuer, ROOT), crl(ISSUER)) is Code.REVOCATION_UNAVAILABLE


def test_a_proved_time_saves_nothing_that_was_lost_nobody_knows_when() -> None:
    assert checked(CHAIN, crl(ISSUER, REVOCABLE), signed=AT) is Code.REVOCATION_REVOKED


def test_a_list_over_its_limit_is_not_read() -> None:
    with pytest.raises(BundlerError, match="over its limit"):
        Crl.parse(b"\0" * ((32 << 20) + 1))
    with pytest.raises(BundlerError, match="not well-formed"):
        Crl.parse(b"\0" * (32 << 20))


def test_a_list_whose_time_is_over_still_revokes() -> None:
    """A wrong clock refuses, and never admits."""
    assert checked(CHAIN, crl(ISSUER, REVOCABLE, window=(AT - YEAR, AT - MINUTE))) is Code.REVOCATION_REVOKED
    assert checked(CHAIN, crl(ISSUER, REVOCABLE), crl(ISSUER)) is Code.REVOCATION_REVOKED


def test_a_list_names_what_says_nothing_of_revocation() -> None:
    assert checked((LEAF, ISSUER, ROOT), crl(ISSUER, LEAF)) is Code.REVOCATION_REVOKED


@pytest.mark.parametrize(("invalidity", "code"), [(AT, Code.REVOCATION_REVOKED), (AT + MINUTE, None)])
def test_a_proved_time_before_the_certificate_was_lost_is_good(invalidity: datetime, code: Code | None) -> None:
    """RFC 5280, section 5.3.2."""
    assert checked(CHAIN, crl(ISSUER, REVOCABLE, invalidity=invalidity), signed=AT) is code
    assert checked(CHAIN, crl(ISSUER, REVOCABLE, invalidity=invalidity)) is Code.REVOCATION_REVOKED


def test_a_list_may_be_in_pem() -> None:
    pem = x509.load_der_x509_crl(crl_of(ISSUER)).public_bytes(Encoding.PEM)
    assert checked(CHAIN, Crl.parse(pem)) is None


@each(
    ("raw", "code"),
    [
        (b"", Code.TRUST_STORE),
        (crl_of(ISSUER)[:-1], Code.TRUST_STORE),
        (crl_of(ISSUER, by=hashes.SHA224()), Code.TRUST_STORE),
        (crl_of(ISSUER, extensions=[(x509.DeltaCRLIndicator(7), True)]), Code.TRUST_STORE),
        (crl_of(ISSUER, extensions=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b""), True)]), Code.TRUST_STORE),
        (x509.load_der_x509_crl(crl_of(ISSUER)).public_bytes(Encoding.PEM) * 2, Code.TRUST_STORE),
        (ROOT.pem, Code.FORMAT_PEM),
    ],
    ids=range(7),
)
def test_a_list_that_cannot_be_used_is_refused_when_trust_is_loaded(raw: bytes, code: Code) -> None:
    with pytest.raises(BundlerError) as refusal:
        Crl.parse(raw)
    assert refusal.value.code is code


def test_a_list_without_a_next_one_is_refused() -> None:
    """Such a list would be good for ever (RFC 5280, section 5.1.2.5)."""
    outer = Element.parse(crl_of(ISSUER), SEQUENCE).items()
    version, algorithm, issuer, made, _ = outer.take(SEQUENCE).items().rest()
    endless = cms.seq(cms.seq(version.raw, algorithm.raw, issuer.raw, made.raw), *(element.raw for element in outer.rest()))
    with pytest.raises(BundlerError) as refusal:
        Crl.parse(endless)
    assert refusal.value.code is Code.TRUST_STORE
    assert "next" in str(refusal.value)


@pytest.mark.parametrize("kind", StoreType)
def test_a_store_takes_self_signed_authorities(kind: StoreType) -> None:
    """N-9."""
    store = Store.parse("s", kind, [ROOT.der, root_of("second").pem])
    assert [c.subject for c in store.certificates] == ["CN=root,O=world.example", "CN=second,O=world.example"]
    assert [a.name for a in store.authorities] == [f"s: {c.subject}" for c in store.certificates]


def test_a_store_takes_several_certificates_of_one_file() -> None:
    assert len(Store.parse("s", StoreType.CA, [ROOT.pem + ISSUER.pem]).certificates) == 2
    assert len(Store.parse("s", StoreType.CA, [ROOT.pem * 1000]).certificates) == 1000


@each(
    ("kind", "certificates", "code"),
    [
        (StoreType.CA, [], Code.TRUST_STORE),
        (StoreType.CA, [b""], Code.FORMAT_DER),
        (StoreType.CA, [b"-----BEGIN"], Code.FORMAT_PEM),
        (StoreType.CA, [LEAF.der], Code.TRUST_STORE),
        (StoreType.SIGNING_AUTHORITY, [LEAF.der], Code.TRUST_STORE),
        (StoreType.TSA, [ISSUER.der], Code.TRUST_STORE),
        (StoreType.TSA, [leaf_of(None).der], Code.TRUST_STORE),
        (StoreType.CA, [ROOT.der] * 1001, Code.TRUST_STORE),
    ],
    ids=range(8),
)
def test_a_store_takes_nothing_that_could_vouch_for_nothing(kind: StoreType, certificates: list[bytes], code: Code) -> None:
    """N-9, CVE-2023-33957's relatives: an empty store is no store."""
    with pytest.raises(BundlerError) as refusal:
        Store.parse("s", kind, certificates)
    assert refusal.value.code is code


def test_a_store_passes_over_the_text_beside_a_certificate() -> None:
    """RFC 7468, section 5.2; openssl writes it with -text."""
    with_text = b"# Issuer: CN=root\n" + ROOT.pem + b"Certificate:\n    Data:\n"
    assert [c.der for c in Store.parse("s", StoreType.CA, [with_text]).certificates] == [ROOT.der]
    assert len(Store.parse("s", StoreType.CA, [root_of("-----BEGIN").der]).certificates) == 1


@pytest.mark.parametrize("raw", [b"\xef\xbb\xbf" + ROOT.pem, ROOT.pem.decode().encode("utf-16")], ids=["a byte order mark", "UTF-16"])
def test_a_store_says_how_a_file_of_windows_is_converted(raw: bytes) -> None:
    with pytest.raises(BundlerError) as refusal:
        Store.parse("s", StoreType.CA, [raw])
    assert refusal.value.code is Code.FORMAT_PEM
    assert (refusal.value.next or "").startswith("convert it: ")


@pytest.mark.parametrize("certificate", [ISSUER.der, leaf_of(None).der], ids=["ca", "self-signed"])
def test_a_store_of_signers_takes_cas_and_self_signed_certificates(certificate: bytes) -> None:
    assert len(Store.parse("s", StoreType.CA, [certificate]).certificates) == 1
