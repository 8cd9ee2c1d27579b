"""Who may seal what."""

import hashlib
from collections.abc import Sequence

import pytest

from bundler.errors import Code
from bundler.trust.sealtrust import OpenedSeal, may_seal, open_seal
from tests.support.signing import EXPORTER, OTHER, P256, THIRD, Key, pae, policy, rule, seal

PAYLOAD = b"the payload of a seal"
SIGNED = hashlib.sha256(pae(PAYLOAD)).digest()


def opened(*keys: Key, seals: Sequence[dict[str, object]], rules: Sequence[dict[str, object]] = ()) -> OpenedSeal:
    return open_seal(policy(*rules, seals=seals), [key.sign(pae(PAYLOAD)) for key in keys], SIGNED)


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa3072"])
def test_a_seal_by_a_key_of_the_policy_is_opened(kind: str) -> None:
    key = Key.of(kind)
    got = opened(key, seals=[seal(key)])
    assert [entry.stream for entry in got.met] == ["default"]
    assert got.signers == (key.fingerprint,)
    assert got.details == (f"signature 1 is by {key.fingerprint}",)


def test_a_stranger_opens_nothing_and_is_no_signer() -> None:
    got = opened(OTHER, seals=[seal(EXPORTER)])
    assert (got.met, got.signers) == ((), ())
    assert got.details == ("signature 1 is by no key that may seal", "stream default wants 1 of 1 keys, found 0")


def test_where_nobody_is_trusted_nothing_is_opened() -> None:
    got = opened(EXPORTER, seals=[])
    assert (got.met, got.signers) == ((), ())
    assert "nobody" in got.details[-1]


def test_a_key_of_a_rule_seals_nothing() -> None:
    """TRS-037."""
    assert opened(P256, seals=[seal(EXPORTER)], rules=[rule(P256)]).met == ()


def test_signatures_over_something_else_count_for_nothing() -> None:
    for signature in (EXPORTER.sign(PAYLOAD), EXPORTER.sign(pae(PAYLOAD, "text/plain")), b"", EXPORTER.sign(pae(PAYLOAD)) + b"\0"):
        assert open_seal(policy(seals=[seal(EXPORTER)]), [signature], SIGNED).met == ()


def test_a_stranger_beside_an_exporter_takes_nothing_away() -> None:
    assert opened(OTHER, EXPORTER, THIRD, seals=[seal(EXPORTER)]).signers == (EXPORTER.fingerprint,)


def test_a_threshold_counts_keys_and_not_signatures() -> None:
    """ECDSA can be signed twice in two ways (TRS, M-8)."""
    two = [seal(EXPORTER, OTHER, threshold=2)]
    assert opened(EXPORTER, EXPORTER, seals=two).met == ()
    assert opened(EXPORTER, seals=two).signers == (EXPORTER.fingerprint,)
    assert opened(OTHER, EXPORTER, seals=two).met
    assert opened(EXPORTER, THIRD, seals=two).met == ()


def test_every_entry_is_counted_by_itself() -> None:
    entries = [seal(EXPORTER, OTHER, threshold=2, stream="both"), seal(OTHER, stream="alone"), seal(THIRD, stream="third")]
    assert [entry.stream for entry in opened(EXPORTER, OTHER, seals=entries).met] == ["both", "alone"]
    assert [entry.stream for entry in opened(OTHER, THIRD, seals=entries).met] == ["alone", "third"]


def test_the_order_of_signatures_does_not_matter() -> None:
    entries = [seal(EXPORTER, OTHER, threshold=2)]
    assert opened(EXPORTER, OTHER, seals=entries).signers == opened(OTHER, EXPORTER, seals=entries).signers


def test_a_seal_by_sha384_is_none() -> None:
    key = Key.of("p384")
    assert open_seal(policy(seals=[seal(key)]), [key.sign(PAYLOAD)], hashlib.sha384(PAYLOAD).digest()[:32]).met == ()


# --- then what ---


def test_its_own_stream_and_scopes_may_be_sealed() -> None:
    got = opened(EXPORTER, seals=[seal(EXPORTER, scopes=["registry.example/**", "docker.io/library/*"])])
    assert may_seal(got, "default", ["registry.example/app", "docker.io/library/alpine"]) == {}
    assert may_seal(got, "default", []) == {}


@pytest.mark.parametrize("stream", ["other", "", "Default", "default "])
def test_another_stream_may_not(stream: str) -> None:
    found = may_seal(opened(EXPORTER, seals=[seal(EXPORTER)]), stream, [])
    assert list(found) == [Code.SEAL_STREAM]
    assert found[Code.SEAL_STREAM].endswith("wanted default")


def test_who_opened_nothing_may_seal_nothing() -> None:
    found = may_seal(opened(OTHER, seals=[seal(EXPORTER)]), "default", [])
    assert found == {Code.SEAL_STREAM: "its keys may not seal this stream: found default, wanted none"}


def test_a_stream_of_an_entry_that_was_not_met_may_not() -> None:
    got = opened(
        EXPORTER, seals=[seal(EXPORTER, stream="mine"), seal(OTHER, stream="theirs"), seal(EXPORTER, OTHER, threshold=2, stream="ours")]
    )
    assert may_seal(got, "mine", ["a.b/c"]) == {}
    assert list(may_seal(got, "theirs", ["a.b/c"])) == [Code.SEAL_STREAM]
    assert list(may_seal(got, "ours", ["a.b/c"])) == [Code.SEAL_STREAM]


def test_one_image_outside_is_enough_to_refuse() -> None:
    got = opened(EXPORTER, seals=[seal(EXPORTER, scopes=["registry.example/app/**"])])
    found = may_seal(got, "default", ["registry.example/app/web", "registry.example/app-evil/web"])
    assert list(found) == [Code.SEAL_SCOPE]
    assert "found registry.example/app-evil/web, wanted registry.example/app/**" in found[Code.SEAL_SCOPE]
    more = may_seal(got, "default", ["registry.example/z", "registry.example/a", "registry.example/z"])
    assert "found registry.example/a and 1 more" in more[Code.SEAL_SCOPE]


def test_scopes_of_entries_that_were_not_met_do_not_help() -> None:
    entries = [seal(EXPORTER, scopes=["a.b/**"]), seal(OTHER, scopes=["**"]), seal(EXPORTER, stream="other", scopes=["**"])]
    assert list(may_seal(opened(EXPORTER, seals=entries), "default", ["c.d/e"])) == [Code.SEAL_SCOPE]
    assert may_seal(opened(EXPORTER, OTHER, seals=entries), "default", ["c.d/e"]) == {}
