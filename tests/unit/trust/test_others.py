"""Who made a signature that does not count: said as far as it is known, and never more."""

import random

import pytest

from bundler.trust import judge as judging
from bundler.trust.keys import Match, PublicKey, Signed, named_by
from bundler.trust.verdict import OtherSigner, Verdict
from tests.support.signing import EXPORTER, OTHER, P256, SPDX, THIRD, Key, Scene, att, b64, bundle, dsse, policy, rule, seal, signed

RULE = policy(rule(P256))


@pytest.fixture
def image() -> Scene:
    return Scene.of_image()


def others(verdict: Verdict) -> list[tuple[str, str | None, bool, str]]:
    return [(other.kind, other.id, other.proved, other.form) for other in verdict.others]


def test_a_hint_says_whose_a_bundle_is_and_proves_nothing(image: Scene) -> None:
    image.add(bundle(dsse(image.root, OTHER), OTHER))
    verdict = image.judge(RULE)
    assert [other.to_json() for other in verdict.others] == [
        {"kind": "key", "id": OTHER.fingerprint, "name": None, "proved": False, "form": "bundle", "node": str(image.root.digest)}
    ]
    assert not verdict.passed


@pytest.mark.parametrize("hint", ["release team", "a" * 64 + "b", b64(b"short"), "sha256:" + "A" * 64, "", "=" * 44])
def test_a_hint_that_is_not_a_fingerprint_says_nothing(image: Scene, hint: str) -> None:
    image.add(bundle(dsse(image.root, OTHER), publicKey={"hint": hint}))
    assert others(image.judge(RULE)) == [("key", None, False, "bundle")]


def test_a_hint_names_a_key_in_each_spelling() -> None:
    digits = OTHER.fingerprint.removeprefix("sha256:")
    assert {named_by(hint) for hint in (digits, OTHER.fingerprint, b64(bytes.fromhex(digits)))} == {OTHER.fingerprint}


def test_a_signature_without_a_hint_is_somebodys(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root, OTHER))
    assert others(image.judge(RULE)) == [("key", None, False, "sig")]


def test_a_key_that_trust_names_elsewhere_is_told_by_its_name(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root, OTHER))
    named = rule(OTHER, scope="a.test/**") | {"signer": [rule(OTHER)["signer"][0] | {"name": "the others"}]}
    verdict = image.judge(policy(rule(P256), named))
    assert others(verdict) == [("key", OTHER.fingerprint, True, "sig")]
    assert verdict.others[0].name == "the others"
    assert not verdict.passed


def test_a_key_that_seals_bundles_is_told_where_it_signed_an_image(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root, EXPORTER))
    assert others(image.judge(policy(rule(P256), seals=[seal(EXPORTER)]))) == [("key", EXPORTER.fingerprint, True, "sig")]


def test_a_name_is_not_got_by_a_hint(image: Scene) -> None:
    """A stranger's bundle says that it is by a key that has a name in another rule."""
    image.add(bundle(dsse(image.root, THIRD), OTHER))
    named = rule(OTHER, scope="a.test/**") | {"signer": [rule(OTHER)["signer"][0] | {"name": "the others"}]}
    verdict = image.judge(policy(rule(P256), named))
    assert others(verdict) == [("key", OTHER.fingerprint, False, "bundle")]
    assert verdict.others[0].name is None
    image.content.sig(image.root.digest, signed(image.root, OTHER))  # and beside it one that is theirs
    told = {other.proved: other.name for other in image.judge(policy(rule(P256), named)).others}
    assert told == {True: "the others", False: None}


def test_what_says_that_it_is_by_a_signer_of_the_rule_is_not_another_signers(image: Scene) -> None:
    image.add(bundle(dsse(image.root, THIRD), P256))
    verdict = image.judge(RULE)
    assert (verdict.others, verdict.passed) == ((), False)


def test_whoever_counts_is_not_another(image: Scene) -> None:
    image.content.sig(image.root.digest, signed(image.root))
    assert image.judge(policy(rule(P256), rule(P256, scope="a.test/**"))).others == ()


def test_who_attested_and_does_not_count_is_told(image: Scene) -> None:
    image.content.att(image.root.digest, att(image.root, OTHER))
    image.content.sig(image.root.digest, signed(image.root))
    assert others(image.judge(policy(rule(P256, attestations=[SPDX])))) == [("key", None, False, "att")]


def test_each_is_told_once_for_each_form_and_manifest() -> None:
    index = Scene.of_index()
    for document in (index.root, *index.platforms):
        index.add(bundle(dsse(document, OTHER), OTHER), document)
        index.add(bundle(dsse(document, OTHER), OTHER), document, annotations={"a": "b"})
    told = index.judge(RULE).others
    assert len(told) == 1 + len(index.platforms)
    assert {other.id for other in told} == {OTHER.fingerprint}


def test_the_order_of_evidence_plays_no_part(image: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        key = Key.of("p256", 40 + number)
        image.add(bundle(dsse(image.root, key), key if number % 2 else OTHER))
    by = policy(rule(P256), rule(*(Key.of("p256", 40 + number) for number in range(3)), scope="a.test/**", threshold=1))
    for most in (0, 7, 1000):
        monkeypatch.setattr(judging, "MAX_BESIDE", most)
        evidence, told = image.evidence, set()
        for _ in range(10):
            random.Random(most).shuffle(evidence)  # noqa: S311 - an order, not a secret
            told.add(image.judge(by, evidence).others)
        assert len(told) == 1


def test_where_too_much_would_be_tried_nobody_is_named(image: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """To say whose a signature is must cost no station more than to judge it."""
    image.content.sig(image.root.digest, signed(image.root, OTHER))
    by = policy(rule(P256), rule(OTHER, THIRD, scope="a.test/**", threshold=1))
    monkeypatch.setattr(judging, "MAX_BESIDE", 2)
    assert others(image.judge(by)) == [("key", OTHER.fingerprint, True, "sig")]
    monkeypatch.setattr(judging, "MAX_BESIDE", 1)
    tried: list[str] = []
    verify = PublicKey.verify

    def noted(key: PublicKey, signature: bytes, data: bytes | Signed) -> Match:
        tried.append(key.fingerprint)
        return verify(key, signature, data)

    monkeypatch.setattr(PublicKey, "verify", noted)
    assert others(image.judge(by)) == [("key", None, False, "sig")]
    assert tried == [P256.fingerprint]


def test_who_is_not_named_has_no_name_either() -> None:
    told = OtherSigner("key", OTHER.fingerprint, proved=True, form="sig", node=Scene.of_image().root.digest, name="the others")
    assert (told.unnamed().id, told.unnamed().name, told.unnamed().proved) == (None, None, False)
