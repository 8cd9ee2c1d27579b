"""Rules whose signers are identities, logged keys and Notation stores: from ``trust.toml`` to the verdict."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from cryptography import x509

from bundler.errors import Code, TrustError, UsageError
from bundler.oci import mediatype
from bundler.oci.manifest import Document, Manifest
from bundler.trust import trusttoml
from bundler.trust.addition import render_denial, render_rule
from bundler.trust.judge import judge
from bundler.trust.notation.convert import convert, label
from bundler.trust.notation.signature import NotationSignature
from bundler.trust.notation.store import Store, StoreType, render_store
from bundler.trust.policy import Policy
from bundler.trust.sigstore.anchor import Root, render_root
from bundler.trust.sigstore.steps import Thresholds
from bundler.trust.unverified import Layer
from bundler.trust.verdict import Outcome, Verdict
from tests.support import notary
from tests.support.cases import each
from tests.support.signing import P256, SLSA, SPDX, Scene, b64, codes, envelope, payload, policy, rule, statement
from tests.support.world import AT, IDENTITY, ISSUER, MINUTE, Issued, Signature, World, canonical, pem

WORLD, OTHER = World(), World("another world")
EDGES = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
SIGN = "https://sigstore.dev/cosign/sign/v1"
CERTIFICATE, CHAIN = "dev.sigstore.cosign/certificate", "dev.sigstore.cosign/chain"
ENTRY, STAMP = "dev.sigstore.cosign/bundle", "dev.sigstore.cosign/rfc3161timestamp"

SECOND_ROOT = notary.root_of("second root")
FILES = {
    "roots/world.json": canonical(WORLD.root_json()),
    "roots/other.json": canonical(OTHER.root_json()),
    "keys/leaf.pub": pem(WORLD.key("leaf")),
    "keys/p256.pub": P256.pem,
    "keys/signer.pub": pem(notary.WORLD.key("signer")),
    "stores/second.crt": SECOND_ROOT.pem,
    "stores/root.crt": notary.ROOT.pem,
    "stores/tsa.crt": notary.WORLD.tsa_ca.pem,
    "stores/issuer.crl": notary.crl_of(notary.ISSUER),
    "stores/revoked.crl": notary.crl_of(notary.ISSUER, notary.LEAF),
}
ROOTS = """
[[root]]
name = "world"
file = "roots/world.json"

[[root]]
name = "lax"
file = "roots/world.json"
log = 0
timestamp = 1
sct = 0

[[root]]
name = "other"
file = "roots/other.json"

[[store]]
name = "release"
type = "ca"
certificates = ["stores/root.crt"]

[[store]]
name = "revoked"
type = "ca"
certificates = ["stores/root.crt"]
crl = ["stores/revoked.crl", "stores/issuer.crl"]

[[store]]
name = "authority"
type = "signingAuthority"
certificates = ["stores/root.crt"]

[[store]]
name = "again"
type = "ca"
certificates = ["stores/root.crt"]

[[store]]
name = "second"
type = "ca"
certificates = ["stores/second.crt"]

[[store]]
name = "stamps"
type = "tsa"
certificates = ["stores/tsa.crt"]
"""
SIGNER = f'{{ issuer = "{ISSUER}", identity = "{IDENTITY}", root = "world" }}'


def named_in(text: str) -> str:
    """Of the roots and stores, those that ``text`` names: to read all of them is most of what a test would take."""
    tables = {re.findall(r'name = "(.*)"', table)[0]: table for table in ROOTS.strip().split("\n\n")}
    return "\n\n".join(table for name, table in tables.items() if f'"{name}"' in text)


def trust(*signers: str, rest: str = "", before: str | None = None) -> Policy:
    before = named_in(f"{signers} {rest}") if before is None else before
    text = f'version = 1\nserial = 1\n{before}\n[[rule]]\nscope = "**"\nsigner = [{", ".join(signers)}]\n{rest}\n'
    assert trusttoml.named_files(text.encode()) <= FILES.keys()
    return trusttoml.parse(text.encode(), FILES)


def refused(*signers: str, rest: str = "", before: str | None = None) -> UsageError:
    with pytest.raises(UsageError) as refusal:
        trust(*signers, rest=rest, before=before)
    return refusal.value


@pytest.fixture
def image() -> Scene:
    return Scene.of_image()


def judged(image: Scene, by: Policy, *, at: datetime = AT) -> Verdict:
    return judge(by, image.image, image.evidence, at=at)


def reasons(verdict: Verdict) -> list[str]:
    return [str(code) for code in verdict.reasons]


# What signers leave beside an image


def add_sig(image: Scene, signed: Signature, **annotations: str) -> None:
    """cosign's first form: a payload, and everything else in annotations."""
    image.content.sig(image.root.digest, (signed.message, signed.signature), annotations=annotations)


def keyless_sig(
    image: Scene,
    changed: Mapping[str, str | None] = MappingProxyType({}),
    *,
    w: World = WORLD,
    leaf: Issued | None = None,
    made: bytes | None = None,
) -> None:
    signed = w.signed(made or payload(image.root), leaf=leaf)
    annotations = {
        CERTIFICATE: signed.leaf.pem.decode(),
        CHAIN: (w.intermediate.pem + w.ca.pem).decode(),
        ENTRY: signed.annotation().decode(),
    }
    add_sig(image, signed, **{name: text for name, text in {**annotations, **changed}.items() if text is not None})


def stamp_annotation(stamp: bytes) -> str:
    return json.dumps({"SignedRFC3161Timestamp": b64(stamp)})


def keyless_bundle(
    image: Scene,
    predicate_type: str = SIGN,
    *,
    subject: Document | None = None,
    w: World = WORLD,
    leaf: Issued | None = None,
    entries: Callable[[Signature], list[Any]] = lambda signed: [signed.entry()],
    stamps: Callable[[Signature], list[bytes]] = lambda _: [],
    **members: Any,
) -> None:
    """A bundle with a DSSE envelope, as GitHub and cosign 3 make it."""
    subject = subject or image.root
    body = statement(subject, predicate_type, **members)
    signed = w.attested(body, leaf=leaf)
    image.add(
        {
            "mediaType": mediatype.SIGSTORE_BUNDLE_V03,
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(signed.leaf.der)},
                "tlogEntries": entries(signed),
                "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": b64(stamp)} for stamp in stamps(signed)]},
            },
            "dsseEnvelope": {
                "payload": b64(body),
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": b64(signed.signature)}],
            },
        },
        subject,
    )


def message_bundle(image: Scene, *, version: str = "0.3") -> None:
    signed = WORLD.signed(image.root.raw)
    new = {"certificate": {"rawBytes": b64(signed.leaf.der)}}
    old = {"x509CertificateChain": {"certificates": [{"rawBytes": b64(c.der)} for c in (signed.leaf, WORLD.intermediate, WORLD.ca)]}}
    image.add(
        {
            "mediaType": f"{mediatype.SIGSTORE_BUNDLE}+json;version={version}",
            "verificationMaterial": (new if version == "0.3" else old) | {"tlogEntries": [signed.entry()]},
            "messageSignature": {"signature": b64(signed.signature)},
        }
    )


def keyless_att(image: Scene, predicate_type: str = SPDX, *, stamp: str | None = None, **members: Any) -> None:
    """cosign's ``.att``: the whole envelope was logged, and by cosign 2 stamped."""
    body = statement(image.root, predicate_type, **members)
    signed = WORLD.attested(body)
    raw = json.dumps(
        {"payload": b64(body), "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": b64(signed.signature)}]}
    ).encode()
    signed.envelope = raw
    annotations = {CERTIFICATE: signed.leaf.pem.decode(), ENTRY: signed.annotation(signed.intoto()).decode()}
    if stamp:
        annotations[STAMP] = stamp_annotation(
            signed.stamp(raw if stamp == "envelope" else signed.signature if stamp == "signature" else b"?")
        )
    document = image.content.att(image.root.digest, raw)
    _annotate(image, document, annotations)


def _annotate(image: Scene, document: Document, annotations: Mapping[str, str]) -> None:
    """Write the manifest anew, its one layer with further annotations."""
    value = json.loads(document.raw)
    value["layers"][0]["annotations"] |= annotations
    del image.content.documents[document.digest]
    again = image.content.document(value)
    image.content.tags[f"{image.root.digest.tag}.att"] = again


def notation(image: Scene, *, cose: bool = False, **signing: Any) -> None:
    made = notary.Signing(payload=notation_payload(image), **signing)
    image.content.notation(image.root, made.cose() if cose else made.jws(), cose=cose)


def notation_payload(image: Scene, **annotations: str) -> bytes:
    return canonical({"targetArtifact": image.root.descriptor.to_json() | ({"annotations": annotations} if annotations else {})})


# Identities


@pytest.mark.parametrize(
    "sign",
    [
        keyless_sig,
        keyless_bundle,
        message_bundle,
        lambda image: message_bundle(image, version="0.1"),
        lambda image: message_bundle(image, version="0.2"),
    ],
    ids=["sig", "bundle", "message 0.3", "message 0.1", "message 0.2"],
)
def test_an_identity_signs_in_every_form(image: Scene, sign: Callable[[Scene], None]) -> None:
    sign(image)
    verdict = judged(image, trust(SIGNER))
    assert verdict.passed
    assert [(signer.kind, signer.id) for signer in verdict.signers] == [("identity", f"{IDENTITY} (issuer {ISSUER})")]
    [found] = [check for check in verdict.checks if check.name == "signature"]
    log = "rekor.world.example"
    assert found.signer == verdict.signers[0].id
    assert found.under == f"proved 2026-03-01T12:00:00Z by {log}, logged in {log}, under the root world"
    assert verdict.times == (datetime(2026, 3, 1, 12, tzinfo=UTC),)
    assert found.detail.endswith(f" by {found.signer}, {found.under}")


def test_the_clock_has_no_part_in_it(image: Scene) -> None:
    """A wrong clock refuses, and never admits: here it is not even asked."""
    keyless_bundle(image)
    assert all(judged(image, trust(SIGNER), at=AT + timedelta(days=365 * years)).passed for years in (-20, 0, 50))


@pytest.mark.parametrize(
    ("signer", "code"),
    [
        (f'{{ issuer = "{ISSUER}", identity = "{IDENTITY}/", root = "world" }}', "identity.san"),
        (f'{{ issuer = "{ISSUER}", identity = "{IDENTITY[:-1]}", root = "world" }}', "identity.san"),
        (f'{{ issuer = "{ISSUER}/", identity = "{IDENTITY}", root = "world" }}', "identity.issuer"),
        (f'{{ issuer = "{ISSUER}", identity_regexp = "https://forge.example/team/app", root = "world" }}', "identity.san"),
        (f'{{ issuer = "{ISSUER}", identity_regexp = "https://forge.example/team/[^/]*", root = "world" }}', "identity.san"),
        (f'{{ issuer = "{ISSUER}", identity = "{IDENTITY}", root = "world", claims = {{ build_trigger = "push" }} }}', "identity.claim"),
        (f'{{ issuer = "{ISSUER}", identity = "{IDENTITY}", root = "other" }}', "time.threshold"),
        (f'{{ issuer = "{ISSUER}", identity = "{IDENTITY}", root = "lax" }}', "time.threshold"),
        ('{ key = "keys/p256.pub" }', "bundle.material"),
        ('{ key = "keys/leaf.pub" }', "bundle.material"),
        ('{ key = "keys/leaf.pub", root = "world" }', "bundle.material"),
        ('{ store = "release", subject = "*" }', "bundle.material"),
    ],
)
def test_each_word_of_a_signer_can_fail_alone(image: Scene, signer: str, code: str) -> None:
    """I-3, CVE-2025-29778; and no kind of signer is met by the signature of another kind."""
    keyless_bundle(image)
    assert reasons(judged(image, trust(signer))) == ["policy.threshold", code]


@pytest.mark.parametrize(
    "signer",
    [
        f'{{ issuer = "{ISSUER}", identity_regexp = "https://forge.example/team/.*", root = "world" }}',
        f'{{ issuer = "{ISSUER}", identity_regexp = "nobody|https://forge.example/team/app/.*", root = "world" }}',
        SIGNER.replace(" }", ', claims = { source_repository_ref = "refs/heads/main", build_trigger = "push" } }'),
    ],
)
def test_an_expression_matches_the_whole_and_claims_are_compared(image: Scene, signer: str) -> None:
    keyless_bundle(image, leaf=WORLD.leaf(claims={"8": ISSUER, "14": "refs/heads/main", "20": "push"}))
    assert judged(image, trust(signer)).passed


def test_a_thresholds_signers_may_be_of_all_kinds(image: Scene) -> None:
    """Section 2: two of this key, that identity, this Notation store."""
    signers = ('{ key = "keys/p256.pub" }', SIGNER, '{ store = "release", subject = "CN=release" }')
    keyless_bundle(image)
    assert reasons(judged(image, trust(*signers, rest="threshold = 2")))[0] == "policy.threshold"
    notation(image)
    verdict = judged(image, trust(*signers, rest="threshold = 2"))
    assert [signer.kind for signer in verdict.signers] == ["identity", "notation"]
    assert verdict.passed
    made = payload(image.root)
    image.content.sig(image.root.digest, (made, P256.sign(made)))
    assert judged(image, trust(*signers, rest="threshold = 3")).passed


def test_one_identity_fills_one_entry_however_many_it_fits(image: Scene) -> None:
    keyless_bundle(image)
    keyless_sig(image)
    both = (SIGNER, f'{{ issuer = "{ISSUER}", identity_regexp = "https://forge.example/.*", root = "world" }}')
    assert judged(image, trust(*both, rest="threshold = 1")).passed
    assert reasons(judged(image, trust(*both, rest="threshold = 2"))) == ["policy.threshold"]


def test_a_name_that_nobody_vouches_for_is_not_matched(image: Scene) -> None:
    """First who, then what: a certificate that nobody issued is refused for that, whatever its name would match or cost."""
    crafted = "https://forge.example/" + "/app/.github/workflows/" * 800 + "@refs/tags/" * 800 + "\n"
    forged = OTHER.leaf(names=[x509.UniformResourceIdentifier(crafted)])
    keyless_bundle(image, leaf=forged, entries=lambda _: [], stamps=lambda signed: [signed.stamp()])
    by_expression = f'{{ issuer = "{ISSUER}", identity_regexp = "https://forge.example/.*@refs/tags/.*", root = "lax" }}'
    for signer in (by_expression, SIGNER.replace("world", "lax")):
        verdict = judged(image, trust(signer))
        assert reasons(verdict) == ["policy.threshold", "x509.chain"]
        assert not any("workflows" in check.detail for check in verdict.checks)


@pytest.mark.parametrize(
    "changed",
    [
        {"names": [x509.UniformResourceIdentifier("https://forge.example/" + "a" * 2027)]},
        {"names": [x509.RFC822Name(f"{'a' * 40}{number}@forge.example") for number in range(40)]},
        {"claims": {"8": "https://" + "a" * 2041}},
        {"claims": {"8": ISSUER, "20": "a" * 2049}},
        {"claims": {"8": ISSUER, "20": "é" * 1025}},
    ],
    ids=["a name", "several names", "an issuer", "a claim", "a claim of characters that take two bytes"],
)
def test_a_name_over_its_limit_is_not_matched(image: Scene, changed: dict[str, Any]) -> None:
    keyless_bundle(image, leaf=WORLD.leaf(**changed))
    signer = f'{{ issuer = "{ISSUER}", identity_regexp = "https://forge.example/.*|a.*@forge.example", root = "world" }}'
    verdict = judged(image, trust(signer))
    assert reasons(verdict) == ["policy.threshold", "limit.signature"]
    assert all(len(check.detail) < 500 for check in verdict.checks)


def test_a_name_at_its_limit_is_matched(image: Scene) -> None:
    keyless_bundle(image, leaf=WORLD.leaf(names=[x509.UniformResourceIdentifier("https://forge.example/" + "a" * 2026)]))
    assert judged(image, trust(f'{{ issuer = "{ISSUER}", identity_regexp = "https://forge.example/.*", root = "world" }}')).passed


def test_a_key_that_also_stands_in_a_certificate_of_sigstore_fills_one_entry(image: Scene) -> None:
    made = payload(image.root)
    add_sig(image, Signature(WORLD, made, WORLD.leaf(), pinned=True))
    keyless_bundle(image)
    both = ('{ key = "keys/leaf.pub" }', SIGNER)
    assert [signer.kind for signer in judged(image, trust(*both, rest="threshold = 1")).signers] == ["identity", "key"]
    assert reasons(judged(image, trust(*both, rest="threshold = 2"))) == ["policy.threshold"]
    keyless_bundle(image, leaf=WORLD.leaf(key=WORLD.key("a key of its own")))
    image.content.sig(image.root.digest, (made, P256.sign(made)), (made, WORLD.signed(made).signature))
    assert judged(image, trust(*both, '{ key = "keys/p256.pub" }', rest="threshold = 2")).passed


def test_a_key_that_also_stands_in_a_certificate_of_notation_fills_one_entry(image: Scene) -> None:
    made = payload(image.root)
    image.content.sig(image.root.digest, (made, WORLD.signed(made, leaf=notary.LEAF).signature))
    notation(image)
    both = ('{ key = "keys/signer.pub" }', '{ store = "release", subject = "CN=release" }')
    assert [signer.kind for signer in judged(image, trust(*both, rest="threshold = 1")).signers] == ["key", "notation"]
    assert reasons(judged(image, trust(*both, rest="threshold = 2"))) == ["policy.threshold"]


def test_two_of_one_name_under_two_stores_are_two(image: Scene) -> None:
    both = ('{ store = "release", subject = "CN=release" }', '{ store = "second", subject = "CN=release" }')
    namesake = notary.leaf_of(SECOND_ROOT, key=notary.WORLD.key("namesake"))
    notation(image)
    assert reasons(judged(image, trust(*both, rest="threshold = 2")))[0] == "policy.threshold"
    notation(image, chain=(namesake, SECOND_ROOT))
    verdict = judged(image, trust(*both, rest="threshold = 2"))
    assert verdict.passed
    assert [signer.id.rpartition(" (")[2] for signer in verdict.signers] == ["store release)", "store second)"]


def test_one_key_under_two_authorities_is_one(image: Scene) -> None:
    both = ('{ store = "release", subject = "CN=release" }', '{ store = "second", subject = "CN=release" }')
    notation(image)
    notation(image, chain=(notary.leaf_of(SECOND_ROOT), SECOND_ROOT))
    assert reasons(judged(image, trust(*both, rest="threshold = 2")))[0] == "policy.threshold"


def test_one_name_under_one_authority_is_one_in_whatever_stores_it_lies(image: Scene) -> None:
    """A signer whose certificate was renewed with another key, under an authority that lies in two stores."""
    both = ('{ store = "release", subject = "CN=release" }', '{ store = "again", subject = "*" }')
    notation(image)
    notation(image, chain=(notary.leaf_of(notary.ISSUER, key=notary.WORLD.key("renewed")), notary.ISSUER, notary.ROOT))
    assert judged(image, trust(*both, rest="threshold = 1")).passed
    assert reasons(judged(image, trust(*both, rest="threshold = 2"))) == ["policy.threshold"]


def test_a_logged_key_counts_in_a_log_without_a_time_as_of_the_time_judged_by(image: Scene) -> None:
    """U-2: an entry of Rekor 2 and no timestamp; a pinned key is good until trust is changed."""
    signed = WORLD.signed(image.root.raw, pinned=True)
    material = {"publicKey": {"hint": signed.public.hint}, "tlogEntries": [signed.tile()]}
    content = {"messageSignature": {"signature": b64(signed.signature)}}
    image.add({"mediaType": mediatype.SIGSTORE_BUNDLE_V03, "verificationMaterial": material, **content})
    value = WORLD.root_json()
    value["tlogs"][1]["publicKey"]["validFor"] = {"start": "2026-01-01T00:00:00Z", "end": "2026-06-01T00:00:00Z"}
    text = 'version = 1\nserial = 1\n[[root]]\nname = "ours"\nfile = "roots/ours.json"\n'
    text += '[[rule]]\nscope = "**"\nsigner = [{ key = "keys/leaf.pub", root = "ours", log = 1 }]\n'
    by = trusttoml.parse(text.encode(), FILES | {"roots/ours.json": canonical(value)})
    verdict = judged(image, by)
    assert verdict.passed
    assert not any("proved" in check.detail for check in verdict.checks)
    for at in (datetime(2025, 12, 31, 23, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC), *EDGES):
        assert reasons(judged(image, by, at=at)) == ["policy.threshold", "tlog.key-window"]


@pytest.mark.parametrize("at", EDGES, ids=["the first moment", "the last moment"])
def test_the_first_and_the_last_moment_are_times_as_any_other(image: Scene, at: datetime) -> None:
    keyless_bundle(image)
    notation(image, stamp={})
    assert judged(image, trust(SIGNER), at=at).passed
    stamped = '{ store = "release", subject = "*", tsa = "stamps" }'
    assert judged(image, trust(stamped), at=at).passed
    assert "x509.validity" in reasons(judged(image, trust('{ store = "release", subject = "*" }'), at=at))
    assert "x509.validity" in reasons(judged(image, trust('{ store = "revoked", subject = "*" }'), at=at))
    revoked = judged(image, trust('{ store = "revoked", subject = "*", tsa = "stamps" }'), at=at)
    assert "revocation.revoked" in reasons(revoked)


def test_a_rule_that_denies_admits_nothing_that_a_wider_rule_would_admit(image: Scene) -> None:
    keyless_bundle(image)
    wide = trust(SIGNER)
    assert judged(image, wide).passed
    denial = render_denial(scope=image.image.reference.repository, reason="the crown jewels")
    text = f'version = 1\nserial = 1\n{ROOTS}\n[[rule]]\nscope = "**"\nsigner = [{SIGNER}]\n{denial}'
    verdict = judged(image, trusttoml.parse(text.encode(), FILES))
    assert reasons(verdict) == ["policy.denied"]
    assert (verdict.rule, verdict.admitted) == (image.image.reference.repository, frozenset())
    assert "the crown jewels" in verdict.checks[0].detail


@pytest.mark.parametrize(
    "rest",
    ['signer = [{ key = "keys/p256.pub" }]', "threshold = 0", f'attestations = ["{SLSA}"]', 'node = "both"', "annotations = { a = 'b' }"],
)
def test_a_rule_that_denies_says_nothing_else(rest: str) -> None:
    text = f'version = 1\nserial = 1\n[[rule]]\nscope = "**"\ndeny = "no"\n{rest}\n'
    with pytest.raises(UsageError) as refusal:
        trusttoml.parse(text.encode(), FILES)
    assert refusal.value.code is Code.TRUST_FORM


@pytest.mark.parametrize("value", ['""', "true", "7", '["a"]'])
def test_a_denial_has_a_reason(value: str) -> None:
    with pytest.raises(UsageError, match="deny"):
        trusttoml.parse(f'version = 1\nserial = 1\n[[rule]]\nscope = "**"\ndeny = {value}\n'.encode(), FILES)


def test_one_bad_signature_takes_nothing_from_a_good_one(image: Scene) -> None:
    keyless_bundle(image)
    keyless_bundle(image, entries=lambda signed: [signed.entry(promise_key=WORLD.key("thief"))])
    verdict = judged(image, trust(SIGNER))
    assert verdict.passed
    assert codes(verdict) == {"tlog.set"}


def test_what_counted_for_nothing_is_said(image: Scene) -> None:
    """T-1: an entry of a log that the root does not have."""
    keyless_bundle(image, entries=lambda signed: [signed.entry(), signed.entry(key=WORLD.key("unknown"))])
    verdict = judged(image, trust(SIGNER))
    assert verdict.passed
    assert codes(verdict, Outcome.NOT_CHECKED) == {"tlog.unknown-log"}


def test_a_roots_owner_says_how_much_it_takes(image: Scene) -> None:
    """GH-1: the thresholds are the root's; that a bundle has no entry relaxes nothing."""
    leaf = WORLD.leaf(scts=[])
    keyless_bundle(image, leaf=leaf, entries=lambda _: [], stamps=lambda signed: [signed.stamp()])
    assert judged(image, trust(SIGNER.replace("world", "lax"))).passed
    assert reasons(judged(image, trust(SIGNER))) == ["policy.threshold", "tlog.threshold"]


# Cosign's annotations


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({CERTIFICATE: None, CHAIN: None}, "bundle.material"),
        ({CERTIFICATE: "certificate"}, "format.pem"),
        ({CERTIFICATE: (WORLD.leaf().pem * 2).decode()}, "x509.malformed"),
        ({CHAIN: "\n"}, "format.pem"),
        ({CHAIN: (WORLD.ca.pem * 8).decode()}, "limit.signature"),
        ({ENTRY: None}, "time.threshold"),
        ({ENTRY: "{}"}, "tlog.malformed"),
        ({ENTRY: "null"}, "tlog.malformed"),
        ({ENTRY: WORLD.signed(b"another").annotation().decode()}, "tlog.body-mismatch"),
        ({STAMP: "{}"}, "tsa.malformed"),
        ({STAMP: "[]"}, "tsa.malformed"),
        ({STAMP: stamp_annotation(b"0")}, "format.der"),
        ({STAMP: stamp_annotation(WORLD.signed().stamp(b"another"))}, "tsa.imprint"),
        ({STAMP: json.dumps({"SignedRFC3161Timestamp": "A" * 200_000})}, "limit.document"),
    ],
    ids=range(14),
)
def test_an_annotation_that_is_wrong_fails_its_signature(image: Scene, changed: dict[str, str | None], code: str) -> None:
    """A1-4 to A1-7; row 7 of section 2: through this path as through each other."""
    keyless_sig(image, changed)
    assert reasons(judged(image, trust(SIGNER))) == ["policy.threshold", code]


def test_a_timestamp_in_an_annotation_counts(image: Scene) -> None:
    signed = WORLD.signed(payload(image.root))
    add_sig(image, signed, **{CERTIFICATE: signed.leaf.pem.decode(), STAMP: stamp_annotation(signed.stamp())})
    assert judged(image, trust(SIGNER.replace("world", "lax"))).passed


def test_a_chain_in_an_annotation_leads_to_an_anchor_of_the_root(image: Scene) -> None:
    bare = json.loads(FILES["roots/world.json"])
    bare["certificateAuthorities"][0]["certChain"]["certificates"].pop(0)
    keyless_sig(image)
    text = (
        'version = 1\nserial = 1\n[[root]]\nname = "world"\nfile = "roots/bare.json"\n[[rule]]\nscope = "**"\nsigner = [' + SIGNER + "]\n"
    )
    assert judged(image, trusttoml.parse(text.encode(), {"roots/bare.json": canonical(bare)})).passed
    without = Scene.of_image()
    keyless_sig(without, {CHAIN: None})
    policy = trusttoml.parse(text.encode(), {"roots/bare.json": canonical(bare)})
    assert reasons(judged(without, policy)) == ["policy.threshold", "x509.chain"]


def test_a_chain_in_an_annotation_has_at_most_eight_certificates(image: Scene) -> None:
    keyless_sig(image, {CHAIN: (WORLD.intermediate.pem + WORLD.ca.pem * 6).decode()})
    assert judged(image, trust(SIGNER)).passed


def test_a_keyless_payload_about_another_image_is_refused(image: Scene) -> None:
    keyless_sig(image, made=payload(notary.OTHER_DIGEST))
    assert reasons(judged(image, trust(SIGNER))) == ["policy.threshold", "payload.digest"]


# Logged keys


def keyed_sig(image: Scene, annotations: Mapping[str, str] = MappingProxyType({}), *, log: bool = True) -> None:
    signed = WORLD.signed(payload(image.root), pinned=True)
    logged = {ENTRY: signed.annotation().decode()} if log else {}
    add_sig(image, signed, **{**logged, **annotations})


def test_a_key_may_ask_for_a_log(image: Scene) -> None:
    keyed_sig(image)
    verdict = judged(image, trust('{ key = "keys/leaf.pub", root = "world", log = 1 }'))
    assert verdict.passed
    assert "logged in rekor.world.example" in next(check.detail for check in verdict.checks if check.name == "signature")


@pytest.mark.parametrize(
    ("signer", "passed"),
    [
        ('{ key = "keys/leaf.pub" }', True),
        ('{ key = "keys/leaf.pub", root = "world", log = 0 }', True),
        ('{ key = "keys/leaf.pub", root = "world", log = 1 }', False),
        ('{ key = "keys/leaf.pub", root = "world" }', False),
        ('{ key = "keys/leaf.pub", root = "lax" }', False),
    ],
)
def test_a_key_without_an_entry_counts_where_none_is_asked_for(image: Scene, signer: str, passed: bool) -> None:
    keyed_sig(image, log=False)
    assert judged(image, trust(signer)).passed is passed


def test_a_wrong_entry_fails_a_key_only_where_its_root_is_asked(image: Scene) -> None:
    """B-6: also where no entry is needed; without a root it is nobody's."""
    keyed_sig(image, {ENTRY: WORLD.signed(b"another", pinned=True).annotation().decode()})
    assert reasons(judged(image, trust('{ key = "keys/leaf.pub", root = "world", log = 0 }'))) == ["policy.threshold", "tlog.body-mismatch"]
    verdict = judged(image, trust('{ key = "keys/leaf.pub" }'))
    assert verdict.passed
    assert codes(verdict, Outcome.NOT_CHECKED) == {"tlog.not-checked"}


def test_a_certificate_beside_a_logged_key_is_not_looked_at(image: Scene) -> None:
    keyed_sig(image, {CERTIFICATE: "no certificate"})
    verdict = judged(image, trust('{ key = "keys/leaf.pub", root = "world" }'))
    assert verdict.passed
    assert codes(verdict, Outcome.NOT_CHECKED) == {"certificate.not-checked"}


# Attestations


def test_an_attestation_by_an_identity(image: Scene) -> None:
    """GitHub's: an image that carries nothing else."""
    keyless_bundle(image, SLSA)
    assert judged(image, trust(SIGNER, rest=f'threshold = 0\nattestations = ["{SLSA}"]')).passed
    assert reasons(judged(image, trust(SIGNER))) == ["policy.threshold", "signature.missing"]


@pytest.mark.parametrize("stamp", [None, "envelope", "signature"])
def test_an_attestation_of_cosign(image: Scene, stamp: str | None) -> None:
    """A2-3, A2-4: cosign 2 stamped the envelope, cosign 3 stamps the signature."""
    keyless_att(image, stamp=stamp)
    assert judged(image, trust(SIGNER, rest=f'threshold = 0\nattestations = ["{SPDX}"]')).passed


def test_a_stamp_of_something_else_fails_an_attestation(image: Scene) -> None:
    keyless_att(image, stamp="something else")
    assert reasons(judged(image, trust(SIGNER, rest=f'threshold = 0\nattestations = ["{SPDX}"]'))) == ["policy.attestation", "tsa.imprint"]


BUILDER = {"runDetails": {"builder": {"id": "https://builder.example/1", "version": 7}}, "local": False}


@pytest.mark.parametrize(
    ("where", "passed"),
    [
        ('"runDetails.builder.id" = "https://builder.example/1"', True),
        ('"runDetails.builder.id" = "https://builder.example/1", "runDetails.builder.version" = 7, local = false', True),
        ('"runDetails.builder.id" = "https://builder.example/2"', False),
        ('"runDetails.builder.version" = "7"', False),
        ("local = 0", False),
        ('"runDetails.builder" = "https://builder.example/1"', False),
        ('"runDetails.builder.id.more" = "https://builder.example/1"', False),
        ('"buildDefinition.buildType" = "x"', False),
    ],
)
def test_an_attestation_must_say_what_the_rule_asks_for(image: Scene, where: str, passed: bool) -> None:
    """1.8: exact values at named places, nothing more."""
    keyless_bundle(image, SLSA, predicate=BUILDER)
    verdict = judged(image, trust(SIGNER, rest=f'threshold = 0\nattestations = [{{ type = "{SLSA}", where = {{ {where} }} }}]'))
    assert reasons(verdict) == ([] if passed else ["policy.attestation", "intoto.predicate"])


def test_an_attestation_may_have_signers_of_its_own(image: Scene) -> None:
    made = payload(image.root)
    image.content.sig(image.root.digest, (made, P256.sign(made)))
    keyless_bundle(image, SLSA)
    key = '{ key = "keys/p256.pub" }'
    assert judged(image, trust(key, rest=f'attestations = [{{ type = "{SLSA}", signer = [{SIGNER}] }}]')).passed
    assert reasons(judged(image, trust(key, rest=f'attestations = ["{SLSA}"]')))[0] == "policy.attestation"
    other = SIGNER.replace("main", "next")
    assert reasons(judged(image, trust(key, rest=f'attestations = [{{ type = "{SLSA}", signer = [{other}] }}]')))[0] == "policy.attestation"


def test_who_may_attest_may_not_sign(image: Scene) -> None:
    keyless_bundle(image)
    keyless_bundle(image, SLSA)
    verdict = judged(image, trust('{ key = "keys/p256.pub" }', rest=f'attestations = [{{ type = "{SLSA}", signer = [{SIGNER}] }}]'))
    assert reasons(verdict)[0] == "policy.threshold"


def test_an_attestation_may_be_asked_of_other_nodes() -> None:
    index = Scene.of_index()
    keyless_bundle(index)
    asked = f'attestations = [{{ type = "{SLSA}", node = "platforms" }}]'
    assert reasons(judged(index, trust(SIGNER, rest=asked))) == ["policy.attestation"]
    for platform in index.platforms:
        keyless_bundle(index, SLSA, subject=platform)
    assert judged(index, trust(SIGNER, rest=asked)).passed
    assert reasons(judged(index, trust(SIGNER, rest=f'attestations = ["{SLSA}"]'))) == ["policy.attestation"]


# Annotations


def signed_with(image: Scene, form: str, **annotations: str) -> None:
    if form == "sig":
        made = json.loads(payload(image.root)) | {"optional": annotations | {"timestamp": 7}}
        keyless_sig(image, made=canonical(made))
    elif form == "bundle":
        subject = [
            {"name": "other", "digest": {"sha256": "00" * 32}},
            {"digest": {"sha256": image.root.digest.encoded}, "annotations": annotations},
        ]
        keyless_bundle_of(image, subject)
    else:
        image.content.notation(image.root, notary.Signing(payload=notation_payload(image, **annotations)).jws())


def keyless_bundle_of(image: Scene, subjects: list[Any]) -> None:
    body = canonical({"_type": "https://in-toto.io/Statement/v1", "subject": subjects, "predicateType": SIGN, "predicate": {}})
    signed = WORLD.attested(body)
    image.add(
        {
            "mediaType": mediatype.SIGSTORE_BUNDLE_V03,
            "verificationMaterial": {"certificate": {"rawBytes": b64(signed.leaf.der)}, "tlogEntries": [signed.entry()]},
            "dsseEnvelope": {
                "payload": b64(body),
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": b64(signed.signature)}],
            },
        }
    )


@pytest.mark.parametrize("form", ["sig", "bundle", "notation"])
def test_annotations_must_stand_in_what_was_signed(image: Scene, form: str) -> None:
    """1.1; cosign's ``-a``."""
    signed_with(image, form, build="7", team="app")
    signers = (SIGNER, '{ store = "release", subject = "*" }')
    assert judged(image, trust(*signers, rest='threshold = 1\nannotations = { build = "7", team = "app" }')).passed
    verdict = judged(image, trust(*signers, rest='threshold = 1\nannotations = { build = "8" }'))
    assert reasons(verdict) == ["policy.threshold", "payload.annotations"]
    assert reasons(judged(image, trust(*signers, rest='threshold = 1\nannotations = { stage = "prod" }')))[-1] == "payload.annotations"


def test_an_annotation_is_not_asked_of_attestations(image: Scene) -> None:
    signed_with(image, "sig", build="7")
    keyless_bundle(image, SLSA)
    verdict = judged(image, trust(SIGNER, rest=f'attestations = ["{SLSA}"]\nannotations = {{ build = "7" }}'))
    assert verdict.passed
    assert codes(verdict) == set()


# Notation


@pytest.mark.parametrize("cose", [False, True], ids=["JWS", "COSE"])
def test_a_store_vouches_for_a_signature(image: Scene, cose: bool) -> None:
    notation(image, cose=cose)
    verdict = judged(image, trust('{ store = "release", subject = "CN=release,O=world.example" }'))
    assert verdict.passed
    assert [(signer.kind, signer.id, signer.form) for signer in verdict.signers] == [
        ("notation", "CN=release,ST=BY,C=DE,O=world.example (store release)", "notation")
    ]
    [found] = [check for check in verdict.checks if check.name == "signature"]
    assert found.signer == verdict.signers[0].id
    assert found.under is not None
    assert found.under.startswith("claimed 2026-03-01T12:00:00Z, which nobody vouches for, under the store release (")
    assert verdict.times == ()
    assert found.detail.endswith(f", {found.under}")


@pytest.mark.parametrize(
    ("signer", "signing", "code"),
    [
        ('{ store = "release", subject = "CN=another" }', {}, "identity.subject"),
        ('{ store = "authority", subject = "*" }', {}, "store.untrusted"),
        ('{ store = "revoked", subject = "*" }', {}, "revocation.revoked"),
        ('{ store = "release", subject = "*", tsa = "stamps" }', {}, "timestamp.missing"),
        ('{ store = "release", subject = "*" }', {"signed_with": WORLD.key("thief")}, "signature.invalid"),
        ('{ store = "release", subject = "*" }', {"expiry": AT + MINUTE}, "expiry.expired"),
        ('{ key = "keys/p256.pub" }', {}, "bundle.material"),
        (SIGNER, {}, "bundle.material"),
        ('{ key = "keys/p256.pub", root = "world" }', {}, "bundle.material"),
    ],
)
def test_each_word_of_a_store_signer_can_fail_alone(image: Scene, signer: str, signing: dict[str, Any], code: str) -> None:
    notation(image, **signing)
    assert reasons(judged(image, trust(signer), at=AT + MINUTE)) == ["policy.threshold", code]


def test_a_timestamp_stands_for_the_clock(image: Scene) -> None:
    expired = notary.leaf_of(notary.ISSUER, window=(AT - MINUTE, AT + MINUTE))
    notation(image, chain=(expired, notary.ISSUER, notary.ROOT), stamp={})
    later = AT + timedelta(days=400)
    verdict = judged(image, trust('{ store = "release", subject = "*", tsa = "stamps" }'), at=later)
    assert verdict.passed
    assert verdict.times == (datetime(2026, 3, 1, 12, tzinfo=UTC),)
    assert "proved 2026-03-01T12:00:00Z by stamps: CN=timestamp root" in next(c.detail for c in verdict.checks if c.name == "signature")
    assert reasons(judged(image, trust('{ store = "release", subject = "*" }'), at=later)) == ["policy.threshold", "x509.validity"]
    assert codes(judged(image, trust('{ store = "release", subject = "*" }'), at=AT), Outcome.NOT_CHECKED) == {"timestamp.not-checked"}


def test_a_notation_signature_of_another_image_is_refused(image: Scene) -> None:
    """N-6, CVE-2023-33959."""
    image.content.notation(image.root, notary.Signing().jws())
    assert reasons(judged(image, trust('{ store = "release", subject = "*" }'))) == ["policy.threshold", "payload.descriptor"]


def test_a_notation_manifest_has_one_layer(image: Scene) -> None:
    """N-1."""
    made = notary.Signing(payload=notation_payload(image)).jws()
    blob = image.content.blob(made, "application/jose+json")
    image.content.manifest(image.content.blob(b"{}", mediatype.EMPTY), [blob, blob], artifact_type=mediatype.NOTATION, subject=image.root)
    assert reasons(judged(image, trust('{ store = "release", subject = "*" }'))) == ["policy.threshold", "envelope.malformed"]


def test_an_envelope_elsewhere_than_in_a_notation_manifest_is_none(image: Scene) -> None:
    made = notary.Signing(payload=notation_payload(image)).jws()
    image.content.artifact(made, "application/vnd.example", layer_type="application/jose+json", subject=image.root)
    assert reasons(judged(image, trust('{ store = "release", subject = "*" }'))) == ["policy.threshold", "signature.missing"]


# trust.toml


@each(
    ("signer", "says"),
    [
        ("{ }", "identity"),
        (f'{{ issuer = "{ISSUER}", root = "world" }}', "identity"),
        (f'{{ issuer = "{ISSUER}", identity = "a", identity_regexp = "a", root = "world" }}', "identity"),
        (f'{{ issuer = "{ISSUER}", identity = "a" }}', "root"),
        ('{ identity = "a", root = "world" }', "issuer"),
        (f'{{ issuer = "{ISSUER}", identity = "a", root = "nowhere" }}', "root"),
        (f'{{ issuer = "{ISSUER}", identity = "", root = "world" }}', "identity"),
        (f'{{ issuer = "{ISSUER}", identity_regexp = "(", root = "world" }}', "identity_regexp"),
        (f'{{ issuer = "{ISSUER}", identity_regexp = ".*", root = "world" }}', "identity_regexp"),
        (f'{{ issuer = "{ISSUER}", identity_regexp = "a*", root = "world" }}', "identity_regexp"),
        (f'{{ issuer = "{ISSUER}", identity_regexp = ".+@.+", root = "world" }}', "identity_regexp"),
        (f'{{ issuer = "{ISSUER}", identity_regexp = "https://.+", root = "world" }}', "identity_regexp"),
        (f'{{ issuer = "{ISSUER}", identity_regexp = "https://forge.example/.*/a/.*/b/.*", root = "world" }}', "identity_regexp"),
        (f'{{ issuer = "{ISSUER}", identity_regexp = "https://forge.example/(a|b)+", root = "world" }}', "identity_regexp"),
        (f'{{ issuer = "{ISSUER}", identity = "a", root = "world", colour = "red" }}', "colour"),
        (f'{{ issuer = "{ISSUER}", identity = "a", root = "world", claims = {{ colour = "red" }} }}', "colour"),
        (f'{{ issuer = "{ISSUER}", identity = "a", root = "world", claims = {{ build_trigger = 7 }} }}', "build_trigger"),
        (f'{{ issuer = "{ISSUER}", identity = "a", root = "world", claims = 7 }}', "claims"),
        (f'{{ key = "keys/p256.pub", issuer = "{ISSUER}", identity = "a", root = "world" }}', "identity"),
        ('{ key = "keys/p256.pub", log = 1 }', "log"),
        ('{ key = "keys/p256.pub", root = "world", log = 3 }', "log"),
        ('{ key = "keys/p256.pub", root = "world", log = true }', "log"),
        ('{ store = "release" }', "subject"),
        ('{ store = "nowhere", subject = "*" }', "store"),
        ('{ store = "stamps", subject = "*" }', "store"),
        ('{ store = "release", subject = "*", tsa = "release" }', "tsa"),
        ('{ store = "authority", subject = "*", tsa = "stamps" }', "tsa"),
        ('{ store = "release", subject = "release" }', "subject"),
        ('{ store = "release", subject = "*", root = "world" }', "root"),
    ],
)
def test_a_signer_that_is_not_understood_is_refused(signer: str, says: str) -> None:
    """Row 10 and 53 of section 2: two kinds at once are no signer, and no word is passed over."""
    error = refused(signer)
    assert error.code is Code.TRUST_FORM
    assert says in str(error)


@each(
    ("before", "says"),
    [
        ('[[root]]\nname = "a"\nfile = "roots/world.json"\nlog = 3', "asks for more"),
        ('[[root]]\nname = "a"\nfile = "roots/world.json"\ntimestamp = 2', "asks for more"),
        ('[[root]]\nname = "a"\nfile = "roots/world.json"\nsct = 2', "asks for more"),
        ('[[root]]\nname = "a"\nfile = "roots/world.json"\nlog = -1', "log"),
        ('[[root]]\nname = "a"\nfile = "roots/world.json"\nlog = true', "log"),
        ('[[root]]\nname = "a b"\nfile = "roots/world.json"', "name"),
        ('[[root]]\nfile = "roots/world.json"', "name"),
        ('[[root]]\nname = "a"', "file"),
        ('[[root]]\nname = "a"\nfile = "keys/p256.pub"', "keys/p256.pub cannot be used"),
        ('[[root]]\nname = "a"\nfile = "roots/world.json"\nurl = "x"', "url"),
        ('[[root]]\nname = "world"\nfile = "roots/world.json"\n' + ROOTS, "two roots"),
        ('[[store]]\nname = "release"\ntype = "ca"\ncertificates = ["stores/root.crt"]\n' + ROOTS, "two stores"),
        ('[[store]]\nname = "a"\ncertificates = ["stores/root.crt"]', "type"),
        ('[[store]]\nname = "a"\ntype = "CA"\ncertificates = ["stores/root.crt"]', "type"),
        ('[[store]]\nname = "a"\ntype = "ca"\ncertificates = []', "certificates"),
        ('[[store]]\nname = "a"\ntype = "ca"\ncertificates = ["stores/root.crt"]\nurl = "x"', "url"),
        ('[[store]]\nname = "a"\ntype = "ca"\ncertificates = ["keys/p256.pub"]', "the store a cannot be used"),
    ],
)
def test_a_root_or_store_that_is_not_understood_is_refused(before: str, says: str) -> None:
    error = refused('{ key = "keys/p256.pub" }', before=before)
    assert error.code is Code.TRUST_FORM
    assert says in str(error)


def test_a_store_whose_certificates_vouch_for_nothing_is_refused() -> None:
    FILES["stores/leaf.crt"] = notary.LEAF.pem
    error = refused('{ key = "keys/p256.pub" }', before='[[store]]\nname = "a"\ntype = "ca"\ncertificates = ["stores/leaf.crt"]')
    assert error.code is Code.TRUST_STORE


@pytest.mark.parametrize("name", ["../root.json", "/etc/root.json", "roots//world.json", "./roots/world.json"])
def test_files_lie_in_the_folder(name: str) -> None:
    text = f'version = 1\nserial = 1\n[[root]]\nname = "a"\nfile = "{name}"'
    with pytest.raises(UsageError):
        trusttoml.named_files(text.encode())


def test_a_file_that_is_not_there_is_refused() -> None:
    text = 'version = 1\nserial = 1\n[[root]]\nname = "a"\nfile = "roots/absent.json"'
    with pytest.raises(UsageError, match="not there"):
        trusttoml.parse(text.encode(), FILES)


def test_the_digest_of_trust_covers_roots_and_stores() -> None:
    before = trust(SIGNER, before=ROOTS).digest
    changed = {path: raw + b"\n" if path == "roots/other.json" else raw for path, raw in FILES.items()}
    text = f'version = 1\nserial = 1\n{ROOTS}\n[[rule]]\nscope = "**"\nsigner = [{SIGNER}]\n\n'
    assert trusttoml.parse(text.encode(), FILES).digest == before
    assert trusttoml.parse(text.encode(), changed).digest != before
    crl = {
        path: notary.crl_of(notary.ISSUER, by=None, window=(AT, AT + MINUTE)) if path.endswith("issuer.crl") else raw
        for path, raw in FILES.items()
    }
    assert trusttoml.parse(text.encode(), crl).digest != before


@each(
    ("rest", "says"),
    [
        (f'attestations = [{{ type = "{SLSA}", colour = "red" }}]', "colour"),
        ('attestations = [{ where = { a = "b" } }]', "type"),
        ("attestations = [7]", "attestations"),
        (f'attestations = [{{ type = "{SLSA}", where = {{ a.b = "c" }} }}]', "a of where"),
        (f'attestations = [{{ type = "{SLSA}", where = {{ "a..b" = "c" }} }}]', "a..b"),
        (f'attestations = [{{ type = "{SLSA}", where = {{ a = 1.5 }} }}]', "a of where"),
        (f'attestations = [{{ type = "{SLSA}", signer = [] }}]', "threshold"),
        (f'attestations = [{{ type = "{SLSA}", node = "nowhere" }}]', "node"),
        (f'attestations = [{{ type = "{SLSA}" }}, "{SLSA}"]', "twice"),
        ('attestations = [{ type = "slsaprovenance" }]', "predicate type"),
        ("annotations = { build = 7 }", "build"),
        ('annotations = "build"', "annotations"),
        (f'threshold = 0\nattestations = ["{SLSA}"]\nannotations = {{ build = "7" }}', "threshold"),
    ],
)
def test_what_a_rule_asks_for_must_be_understood(rest: str, says: str) -> None:
    error = refused(SIGNER, rest=rest)
    assert error.code is Code.TRUST_FORM
    assert says in str(error)


def test_a_sealing_key_may_not_even_attest() -> None:
    text = f"""version = 1
serial = 1
{ROOTS}
[[seal]]
stream = "default"
scopes = ["**"]
keys = ["keys/p256.pub"]
[[rule]]
scope = "**"
signer = [{SIGNER}]
attestations = [{{ type = "{SLSA}", signer = [{{ key = "keys/p256.pub" }}] }}]
"""
    with pytest.raises(UsageError) as refusal:
        trusttoml.parse(text.encode(), FILES)
    assert refusal.value.code is Code.TRUST_ROLES


def test_a_rule_says_what_it_asks_for() -> None:
    asked = trust(
        SIGNER,
        '{ store = "release", subject = "CN=a", tsa = "stamps", name = "the stamped" }',
        rest=f"""threshold = 1
attestations = ["{SPDX}", {{ type = "{SLSA}", node = "both", where = {{ a = 1 }} }}]
annotations = {{ b = "c" }}""",
    ).rules[0]
    said = asked.to_json()
    assert said["signers"] == [
        {"kind": "identity", "id": f"{IDENTITY} (issuer {ISSUER}, root world)", "name": None},
        {"kind": "notation", "id": "CN=a (store release, timestamps by stamps)", "name": "the stamped"},
    ]
    assert said["attestations"] == [SPDX, {"type": SLSA, "node": "both", "signers": said["signers"], "where": {"a": 1}}]
    assert said["annotations"] == {"b": "c"}


def test_the_old_rules_read_as_before() -> None:
    assert policy(rule(P256)).anchors == ()


def test_an_envelope_of_two_signatures_is_no_signature_of_either(image: Scene) -> None:
    body = statement(image.root, SIGN)
    image.add(
        {"mediaType": mediatype.SIGSTORE_BUNDLE_V03, "verificationMaterial": {"publicKey": {}}, "dsseEnvelope": envelope(body, P256, P256)}
    )
    assert reasons(judged(image, trust(SIGNER))) == ["policy.threshold", "dsse.signature-count"]


def test_an_identity_of_several_names_needs_one_of_them(image: Scene) -> None:
    """I-1."""
    both = [x509.RFC822Name("a@world.example"), x509.UniformResourceIdentifier(IDENTITY)]
    keyless_bundle(image, leaf=WORLD.leaf(names=both))
    verdict = judged(image, trust(SIGNER))
    assert verdict.passed
    assert verdict.signers[0].id == f"a@world.example, {IDENTITY} (issuer {ISSUER})"


def test_what_is_written_reads_as_it_was_meant() -> None:
    text = "version = 1\nserial = 1\n"
    text += render_root(name="world", file="roots/world.json", timestamp=1, sct=0)
    text += render_store(name="release", type=StoreType.CA, certificates=["stores/root.crt"], crl=["stores/issuer.crl"])
    text += render_store(name="stamps", type=StoreType.TSA, certificates=["stores/tsa.crt"])
    text += render_rule(
        scope="**",
        signers=[
            {"key": "keys/p256.pub"},
            {"issuer": ISSUER, "identity": IDENTITY, "root": "world", "claims": {"build_trigger": "push"}},
            {"store": "release", "subject": r"CN=a\,b", "tsa": "stamps"},
        ],
        threshold=2,
        attestations=[SPDX, {"type": SLSA, "where": {"a.b": True, "c": 7}}],
        annotations={"build id": "7"},
    )
    got = trusttoml.parse(text.encode(), FILES)
    assert [(root.name, root.needed) for root in got.anchors if isinstance(root, Root)] == [
        ("world", Thresholds(log=1, timestamp=1, sct=0))
    ]
    stores = [store for store in got.anchors if isinstance(store, Store)]
    assert [(store.name, str(store.type), len(store.crls)) for store in stores] == [("release", "ca", 1), ("stamps", "tsa", 0)]
    (asked,) = got.rules
    assert [signer.kind for signer in asked.signers] == ["key", "identity", "notation"]
    assert asked.attestations[1].where == (("a.b", True), ("c", 7))
    assert asked.annotations == (("build id", "7"),)


def test_a_converted_policy_reads_as_it_was_meant() -> None:
    """1.6: ``trust add --notation``."""
    document = {
        "version": "1.0",
        "trustPolicies": [
            {
                "name": "one",
                "registryScopes": ["registry.example/app"],
                "signatureVerification": {"level": "strict"},
                "trustStores": ["ca:release", "tsa:stamps"],
                "trustedIdentities": ["x509.subject: C=DE, ST=BY, O=world.example"],
            }
        ],
    }
    got = convert(canonical(document))
    files = {"ca.release": "stores/root.crt", "tsa.stamps": "stores/tsa.crt"}
    text = "version = 1\nserial = 1\n"
    text += "".join(render_store(name=label(store), type=store[0], certificates=[files[label(store)]]) for store in got.stores)
    text += "".join(render_rule(scope=r.scope, signers=[s.to_toml() for s in r.signers], threshold=1) for r in got.rules)
    image = Scene.of_image()
    notation(image, stamp={})
    assert judged(image, trusttoml.parse(text.encode(), FILES)).passed


def test_a_hint_helps_whoever_it_names(image: Scene) -> None:
    """Of a bundle by a key that no longer verifies: identities and stores are named by no hint, a logged key by its own."""
    signed = WORLD.signed(image.root.raw, pinned=True)
    hint = {"publicKey": {"hint": signed.public.hint}}
    content = {"messageSignature": {"signature": b64(WORLD.signed(b"another").signature)}}
    image.add({"mediaType": mediatype.SIGSTORE_BUNDLE_V03, "verificationMaterial": hint, **content})
    others = (SIGNER, '{ store = "release", subject = "*" }')
    logged = '{ key = "keys/leaf.pub", root = "world" }'
    assert reasons(judged(image, trust(*others, logged, rest="threshold = 1"))) == ["policy.threshold", "signature.invalid"]
    stranger = '{ key = "keys/p256.pub", root = "world" }'
    assert "key.unknown" in reasons(judged(image, trust(*others, stranger, rest="threshold = 1")))


def test_a_notation_signature_is_offered_as_every_other(image: Scene) -> None:
    made = notary.Signing(payload=notation_payload(image)).jws()
    document = image.content.notation(image.root, made)
    assert isinstance(document.content, Manifest)
    offer = NotationSignature.read(Layer(document.content.layers[0], made, document, image.root))
    assert offer.signed.whole == offer.envelope.signed
    assert offer.signature == offer.envelope.signature
    assert (offer.form, offer.material.by_key, len(offer.material.certificates)) == ("notation", False, 3)
    with pytest.raises(TrustError):
        NotationSignature.read(Layer(document.content.layers[0], made, Scene.of_index().root, image.root))


def test_an_identity_that_is_proved_and_does_not_count_is_told(image: Scene) -> None:
    keyless_bundle(image)
    other = f'{{ issuer = "{ISSUER}", identity = "somebody else", root = "world" }}'
    verdict = judged(image, trust(other))
    assert [(told.kind, told.id, told.proved) for told in verdict.others] == [("identity", f"{IDENTITY} (issuer {ISSUER})", True)]


def test_an_identity_that_no_root_vouches_for_is_not_told(image: Scene) -> None:
    keyless_bundle(image)
    verdict = judged(image, trust(SIGNER.replace('"world"', '"other"')))
    assert [(told.kind, told.id, told.proved) for told in verdict.others] == [("identity", None, False)]


@pytest.mark.parametrize(("subject", "who"), [("CN=another", "CN=release,ST=BY,C=DE,O=world.example (store release)"), ("*", None)])
def test_a_subject_that_does_not_count_is_told_as_what_it_says(subject: str, who: str | None, image: Scene) -> None:
    """Whether its certificate was valid then is not asked any more."""
    notation(image)
    store = "release" if who else "second"
    verdict = judged(image, trust(f'{{ store = "{store}", subject = "{subject}" }}'))
    assert [(told.kind, told.id, told.proved) for told in verdict.others] == [("notation", who, False)]
