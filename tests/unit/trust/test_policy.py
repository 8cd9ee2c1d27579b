"""trust.toml (docs/reference/trust-toml.md)."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from bundler.errors import Code, UsageError
from bundler.trust import trusttoml
from bundler.trust.addition import render_rule, render_seal, with_next_serial
from bundler.trust.keysigner import PinnedKey
from bundler.trust.policy import Naming, Node, Order, RequiredAttestation, Rule, SealRule
from bundler.trust.scope import Scope
from bundler.trust.table import MAX_FILE
from bundler.trust.trusttoml import MAX_SIGNERS
from tests.support.cases import each
from tests.support.signing import EXPORTER, FILES, OTHER, P256, SIGN, SLSA, SPDX, THIRD, Key, policy, rule, seal, toml

BY_NAME = {"keys/release.pub": P256.pem}


def refused(raw: bytes | str, files: Mapping[str, bytes] = FILES) -> UsageError:
    with pytest.raises(UsageError) as caught:
        trusttoml.parse(raw.encode() if isinstance(raw, str) else raw, files)
    return caught.value


def code(*rules: Mapping[str, Any], **rest: Any) -> Code:
    return refused(toml(*rules, **rest)).code


# --- the file ---


def test_pol_004_an_empty_policy_loads_and_covers_nothing() -> None:
    got = policy()
    assert (got.serial, got.seals, got.rules) == (1, (), ())
    assert got.rule_for("registry.example/app") is None


def test_the_example_of_the_design_loads() -> None:
    raw = b"""
version = 1                               # of this file's form
serial = 7                                # grows with each change of trust

[[seal]]
stream = "platform"
scopes = ["cgr.dev/chainguard/**", "registry.example/**"]
keys = ["keys/exporter-2026.pub"]
threshold = 1

[[rule]]
scope = "cgr.dev/chainguard/**"
attestations = ["https://spdx.dev/Document"]
[[rule.signer]]
key = "keys/release-a.pub"

[[rule]]
scope = "registry.example/app/**"
signer = [{ key = "keys/release-a.pub" }, { key = "keys/release-b.pub" }, { key = "keys/release-c.pub" }]
threshold = 2
node = "both"
name = "signed"
"""
    files = {
        f"keys/{name}.pub": key.pem
        for name, key in {"exporter-2026": EXPORTER, "release-a": P256, "release-b": OTHER, "release-c": THIRD}.items()
    }
    assert trusttoml.named_files(raw) == files.keys()
    got = trusttoml.parse(raw, files)
    assert got.serial == 7
    assert got.seals[0].to_json() == {
        "stream": "platform",
        "scopes": ["cgr.dev/chainguard/**", "registry.example/**"],
        "keys": [EXPORTER.fingerprint],
        "names": [None],
        "threshold": 1,
        "order": None,
    }
    assert [rule.to_json() for rule in got.rules] == [
        {
            "scope": "cgr.dev/chainguard/**",
            "signers": [{"kind": "key", "id": P256.fingerprint, "name": None}],
            "threshold": 1,
            "attestations": [SPDX],
            "node": "reference",
            "name": "any",
            "annotations": {},
            "deny": None,
        },
        {
            "scope": "registry.example/app/**",
            "signers": [{"kind": "key", "id": key.fingerprint, "name": None} for key in (P256, OTHER, THIRD)],
            "threshold": 2,
            "attestations": [],
            "node": "both",
            "name": "signed",
            "annotations": {},
            "deny": None,
        },
    ]


@each(
    "raw",
    [
        pytest.param("", id="POL-001 empty"),
        pytest.param("{}", id="POL-001 JSON"),
        pytest.param("version = 1\nserial = 1\nserial = 2", id="POL-001 a name twice"),
        pytest.param("version = nan\nserial = 1", id="POL-001 nan"),
        pytest.param(b"version = 1\nserial = 1\n# \xff", id="no UTF-8"),
        pytest.param(b"\xef\xbb\xbfversion = 1\nserial = 1", id="a byte order mark"),
        pytest.param("version = 1\nserial = 1\nx = " + "[" * 5000 + "]" * 5000, id="nested too deep"),
        pytest.param("serial = 1", id="POL-003 no version"),
        pytest.param(toml(version=2), id="POL-003 another version"),
        pytest.param(toml(version="1"), id="a version that is no number"),
        pytest.param(toml(version=True), id="a version that is true"),
        pytest.param(toml(version=1.0), id="a version with a point"),
        pytest.param("version = 1", id="no serial"),
        pytest.param(toml(serial=0), id="serial 0"),
        pytest.param(toml(serial=-1), id="a negative serial"),
        pytest.param(toml(serial=True), id="a serial that is true"),
        pytest.param(toml(serial="1"), id="a serial that is no number"),
        pytest.param(toml(serial=1 << 53), id="a serial that JSON does not read exactly"),
        pytest.param(toml() + b"\nunknown = 1", id="POL-002 an unknown name"),
        pytest.param(toml() + b"\n[[root]]\nname = 'public-good'\nfile = 'roots/a.json'", id="roots, which this version does not read"),
        pytest.param(toml() + b"\nmode = 'warn'", id="POL-018 a mode that only warns"),
        pytest.param(toml() + b"\nrule = 1", id="rules that are no tables"),
        pytest.param(toml() + b"\nrule = ['a']", id="a rule that is no table"),
        pytest.param(toml() + b"\n[seal]\nstream = 'a'", id="a seal that is no list of tables"),
        pytest.param(toml() + b"\n#" + b"x" * MAX_FILE, id="POL-021 more than 1 MiB"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(raw: bytes | str) -> None:
    assert refused(raw).code is Code.TRUST_FORM


def test_pol_021_a_file_has_at_most_a_mebibyte() -> None:
    raw = toml() + b"\n#"
    assert trusttoml.parse(raw.ljust(MAX_FILE, b"x"), {}).serial == 1
    assert refused(raw.ljust(MAX_FILE + 1, b"x")).found == str(MAX_FILE + 1)


# --- seals ---


@each(
    "change",
    [
        pytest.param({"stream": ""}, id="an empty stream"),
        pytest.param({"stream": 1}, id="a stream that is no string"),
        pytest.param({"stream": "a b"}, id="a stream that no bundle can have"),
        pytest.param({"stream": "a" * 65}, id="a stream that is too long"),
        pytest.param({"scopes": []}, id="no scopes"),
        pytest.param({"scopes": "**"}, id="scopes that are no list"),
        pytest.param({"scopes": [1]}, id="a scope that is no string"),
        pytest.param({"scopes": ["a.b/c", "a.b/c"]}, id="a scope twice"),
        pytest.param({"scopes": ["alpine"]}, id="a scope that covers nothing"),
        pytest.param({"keys": []}, id="no keys"),
        pytest.param({"keys": "keys/a.pub"}, id="keys that are no list"),
        pytest.param({"threshold": 0}, id="POL-005 a threshold of 0"),
        pytest.param({"threshold": -1}, id="POL-005 a negative threshold"),
        pytest.param({"threshold": 1.5}, id="POL-005 half a key"),
        pytest.param({"threshold": True}, id="POL-005 true"),
        pytest.param({"threshold": "1"}, id="POL-005 a string"),
        pytest.param({"threshold": 2}, id="POL-006 more than there are keys"),
        pytest.param({"order": "older"}, id="an order that there is not"),
        pytest.param({"order": ["newer"]}, id="an order that is a list"),
        pytest.param({"order": ""}, id="an empty order"),
        pytest.param({"scope": "**"}, id="POL-002 a name that belongs elsewhere"),
    ],
)
def test_a_seal_that_is_not_understood_is_refused(change: dict[str, Any]) -> None:
    assert code(seals=[seal(EXPORTER) | change]) is Code.TRUST_FORM


@pytest.mark.parametrize("missing", ["stream", "scopes", "keys"])
def test_a_seal_needs_all_its_parts(missing: str) -> None:
    entry = seal(EXPORTER)
    del entry[missing]
    assert code(seals=[entry]) is Code.TRUST_FORM


def test_a_threshold_may_be_left_out_beside_one_key_alone() -> None:
    assert policy(seals=[seal(EXPORTER)]).seals[0].threshold == 1
    assert code(seals=[seal(EXPORTER, OTHER)]) is Code.TRUST_FORM
    assert policy(seals=[seal(EXPORTER, OTHER, threshold=1)]).seals[0].threshold == 1
    assert policy(rule(P256)).rules[0].threshold == 1
    assert code(rule(P256, OTHER)) is Code.TRUST_FORM
    assert policy(rule(P256, OTHER, threshold=2)).rules[0].threshold == 2


def test_a_stream_has_the_order_that_one_of_its_entries_says_else_newer() -> None:
    plain, said = seal(EXPORTER), seal(OTHER)
    assert policy(seals=[plain, said]).order_of("default") is Order.NEWER
    for order in Order:
        got = policy(seals=[plain, said | {"order": str(order)}, seal(EXPORTER, stream="other")])
        assert (got.order_of("default"), got.order_of("other")) == (order, Order.NEWER)
        assert got.seals[1].to_json()["order"] == str(order)


def test_a_stream_with_two_orders_is_refused_and_both_are_named() -> None:
    chain, any_ = (seal(key) | {"order": order} for key, order in ((EXPORTER, "chain"), (OTHER, "any")))
    with pytest.raises(UsageError, match="default has two orders") as refused:
        policy(seals=[chain, any_])
    assert (refused.value.code, refused.value.found) == (Code.TRUST_FORM, "chain and any")
    assert policy(seals=[chain, any_ | {"stream": "other"}]).order_of("other") is Order.ANY
    assert policy(seals=[chain, any_ | {"order": "chain"}]).order_of("default") is Order.CHAIN


def test_a_stream_may_have_entries_and_a_key_may_have_streams() -> None:
    """That is how an exporter's key is replaced."""
    assert len(policy(seals=[seal(EXPORTER), seal(OTHER), seal(EXPORTER, stream="b")]).seals) == 3


@pytest.mark.parametrize("kind", ["ed25519", "p521", "rsa2048", "mldsa65"])
def test_a_key_that_openssl_and_cosign_do_not_check_unaided_seals_nothing(kind: str) -> None:
    assert code(seals=[seal(Key.of(kind))]) is Code.TRUST_KEY
    policy(rule(Key.of(kind)))


# --- rules ---


@each(
    "change",
    [
        pytest.param({"scope": ""}, id="an empty scope"),
        pytest.param({"scope": ["a.b/c"]}, id="a scope that is a list"),
        pytest.param({"scope": "*"}, id="POL-008 a scope for everything that is not **"),
        pytest.param({"scope": "a.b/(a+)+$"}, id="POL-012 a regular expression"),
        pytest.param({"signer": []}, id="no signer"),
        pytest.param({"signer": {"key": "keys/a.pub"}}, id="a signer that is no list"),
        pytest.param({"signer": [{}]}, id="an empty signer"),
        pytest.param({"signer": [{"key": ""}]}, id="POL-019 an empty key"),
        pytest.param({"signer": [{"key": 1}]}, id="a key that is no string"),
        pytest.param({"signer": [{"key": "keys/a.pub", "identity": "a"}]}, id="bypass 10 a key and an identity"),
        pytest.param({"signer": [{"issuer": "https://a", "identity": "b", "root": "c"}]}, id="an identity, which is not read yet"),
        pytest.param({"signer": [{"keys": ["keys/a.pub"]}]}, id="a slip in a signer"),
        pytest.param({"threshold": 0}, id="POL-005 0 without attestations"),
        pytest.param({"threshold": -1}, id="POL-005 a negative threshold"),
        pytest.param({"threshold": -1, "attestations": [SPDX]}, id="POL-005 a negative threshold beside attestations"),
        pytest.param({"threshold": 1.5}, id="POL-005 a half"),
        pytest.param({"threshold": True}, id="POL-005 true"),
        pytest.param({"threshold": "2"}, id="POL-005 a string"),
        pytest.param({"threshold": 2}, id="POL-006 more than there are signers"),
        pytest.param({"threshhold": 1}, id="POL-002 a slip in a name"),
        pytest.param({"attestations": SPDX}, id="attestations that are no list"),
        pytest.param({"attestations": [1]}, id="an attestation that is no string"),
        pytest.param({"attestations": [""]}, id="an empty attestation"),
        pytest.param({"attestations": ["spdx"]}, id="cosign's short name"),
        pytest.param({"attestations": [SPDX, SPDX]}, id="an attestation twice"),
        pytest.param({"attestations": [SIGN]}, id="a signature that is asked for as an attestation"),
        pytest.param({"attestations": [SPDX + "\n"]}, id="a line end"),
        pytest.param({"node": "index"}, id="an unknown node"),
        pytest.param({"node": 1}, id="a node that is no string"),
        pytest.param({"name": "matches"}, id="an unknown way of naming"),
        pytest.param({"threshold": 0, "attestations": [SPDX], "name": "signed"}, id="a name that no signature is asked to bear"),
        pytest.param({"mode": "warn"}, id="POL-018"),
    ],
)
def test_a_rule_that_is_not_understood_is_refused(change: dict[str, Any]) -> None:
    assert code(rule(P256) | change) is Code.TRUST_FORM


@pytest.mark.parametrize("missing", ["scope", "signer"])
def test_a_rule_needs_a_scope_and_signers(missing: str) -> None:
    entry = rule(P256)
    del entry[missing]
    assert code(entry) is Code.TRUST_FORM


def test_pol_007_a_key_stands_once_in_a_rule_or_seal_under_whatever_names() -> None:
    named = [{"key": "keys/a.pub"}, {"key": "keys/b.pub"}]
    raw = toml({"scope": "**", "signer": named, "threshold": 1})
    assert refused(raw, {"keys/a.pub": P256.pem, "keys/b.pub": P256.pem}).code is Code.TRUST_FORM
    assert refused(raw, {"keys/a.pub": P256.pem, "keys/b.pub": P256.pem.replace(b"\n", b"\r\n")}).code is Code.TRUST_FORM
    raw = toml(seals=[seal(threshold=1) | {"keys": ["keys/a.pub", "keys/b.pub"]}])
    assert refused(raw, {"keys/a.pub": P256.pem, "keys/b.pub": P256.pem}).code is Code.TRUST_FORM


def test_pol_020_a_scope_stands_in_one_rule() -> None:
    assert code(rule(P256), rule(OTHER)) is Code.TRUST_FORM
    policy(rule(P256), rule(OTHER, scope="registry.example/app"))


def test_a_threshold_of_0_is_for_images_that_carry_attestations_alone() -> None:
    assert policy(rule(P256, OTHER, threshold=0, attestations=[SPDX])).rules[0].threshold == 0


def test_predicate_types_that_are_no_uri_but_are_found_are_taken() -> None:
    """cosign 1 wrote its own without a scheme."""
    policy(rule(P256, attestations=["cosign.sigstore.dev/attestation/v1", "urn:example:a", SLSA]))


def test_what_is_asked_of_an_attestation_is_told() -> None:
    where = {"builder.id": "https://builder.example", "level": 3}
    (asked,) = policy(rule(P256, attestations=[SPDX, {"type": SLSA, "node": "platforms", "where": where}])).rules
    told = f"{SLSA} (node platforms, by {P256.fingerprint}, builder.id = 'https://builder.example', level = 3)"
    assert list(map(str, asked.attestations)) == [SPDX, told]


def test_attestations_are_a_list() -> None:
    error = refused(toml(rule(P256, attestations=SPDX)))
    assert (error.code, error.found, error.wanted) == (Code.TRUST_FORM, repr(SPDX), "a list")


def test_signers_are_limited() -> None:
    keys = [Key.of("p256", 100 + number) for number in range(MAX_SIGNERS + 1)]
    policy(rule(*keys[:-1], threshold=MAX_SIGNERS))
    assert code(rule(*keys, threshold=1)) is Code.TRUST_FORM


def test_a_rule_that_nothing_could_fail_cannot_even_be_made() -> None:
    """GHSA-fphv-w9fq-2525: a threshold of 0 is no threshold."""
    scope, signers = Scope.parse("**"), (PinnedKey(P256.public),)
    with pytest.raises(UsageError):
        Rule(scope, signers, 0)
    with pytest.raises(UsageError):
        Rule(scope, (), 1)
    with pytest.raises(UsageError):
        SealRule("a", (scope,), (P256.public,), 0)


NAMED_SEAL = {"stream": "a", "scopes": ["**"], "keys": ["keys/exporter.pub"]}


def named(name: object, other: object = None, sealer: object = None) -> bytes:
    """Two signers and a sealer, of whom some are called something."""
    signers = [
        {"key": f"keys/{file}.pub"} | ({"name": called} if called is not None else {}) for file, called in (("a", name), ("b", other))
    ]
    seals = [NAMED_SEAL | {"names": {"keys/exporter.pub": sealer}}] if sealer is not None else [NAMED_SEAL]
    return toml({"scope": "**", "signer": signers, "threshold": 1}, seals=seals)


CALLED = {"keys/a.pub": P256.pem, "keys/b.pub": OTHER.pem, "keys/exporter.pub": EXPORTER.pem}


@each("name", ["a", "release team", "Freigabe München 2026", "x" * 64, "https://ci.example/release", "sha256"])
def test_whoever_seals_and_signs_may_be_called_something(name: str) -> None:
    by = trusttoml.parse(named(name), CALLED)
    assert by.names == {P256.fingerprint: name}
    assert [signer["name"] for signer in by.rules[0].to_json()["signers"]] == [name, None]
    by = trusttoml.parse(named(None, sealer=name), CALLED)
    assert by.names == {EXPORTER.fingerprint: name}
    assert by.seals[0].to_json()["names"] == [name]


@each(
    "name",
    ["", " ", " a", "a ", "x" * 65, "a\tb", "a\x1b[2J", "a\u202eb", "a\u00a0", 7, ["a"], f"sha256:{'a' * 64}", "SHA256:a", "ｓha256:a"],
)
def test_a_name_is_a_few_printable_characters_and_not_like_a_fingerprint(name: object) -> None:
    for raw in (named(name), named(None, sealer=name)):
        error = refused(raw, CALLED)
        assert error.code is Code.TRUST_FORM
        assert error.what.endswith(" is not well-formed")
        assert "1 to 64 printable characters" in str(error.wanted)


@pytest.mark.parametrize("other", ["release", "Release", "ｒelease"])
def test_nobody_is_called_as_somebody_else_is(other: str) -> None:
    for raw in (named("release", other), named("release", sealer=other)):
        error = refused(raw, CALLED)
        assert error.code is Code.TRUST_FORM
        assert error.what.startswith("two signers are called ")
        assert P256.fingerprint in str(error.found)


def test_a_name_for_an_attestation_alone_is_nobody_elses_either() -> None:
    wanted = {"type": SPDX, "signer": [{"key": "keys/b.pub", "name": "release"}]}
    raw = toml({"scope": "**", "signer": [{"key": "keys/a.pub", "name": "release"}], "attestations": [wanted]}, seals=[])
    assert refused(raw, CALLED).what == "two signers are called release"
    same = {"type": SPDX, "signer": [{"key": "keys/a.pub", "name": "release"}]}
    raw = toml({"scope": "**", "signer": [{"key": "keys/a.pub", "name": "release"}], "attestations": [same]}, seals=[])
    assert trusttoml.parse(raw, CALLED).names == {P256.fingerprint: "release"}


def test_one_signer_may_have_a_name_in_each_place_and_the_first_is_told() -> None:
    rules = [
        {"scope": scope, "signer": [{"key": "keys/a.pub", "name": name}]} for scope, name in (("**", "first"), ("a.test/**", "second"))
    ]
    by = trusttoml.parse(toml(*rules, seals=[]), CALLED)
    assert by.names == {P256.fingerprint: "first"}
    assert [rule.signers[0].name for rule in by.rules] == ["first", "second"]


def test_a_seal_names_its_own_keys_and_no_others() -> None:
    raw = toml(seals=[NAMED_SEAL | {"names": {"keys/release.pub": "release"}}])
    error = refused(raw, CALLED)
    assert (error.code, error.what) == (Code.TRUST_FORM, "keys/release.pub of names of seal 1 is not well-formed")
    assert error.wanted == "keys/exporter.pub"
    assert refused(toml(seals=[NAMED_SEAL | {"names": ["exporter"]}]), CALLED).what == "names of seal 1 is not well-formed"


def test_names_change_the_digest_and_no_decision() -> None:
    plain, called = (trusttoml.parse(raw, CALLED) for raw in (named(None), named("release", sealer="exporter")))
    assert plain.digest != called.digest
    assert (plain.seals, plain.rules) == (called.seals, called.rules)


def test_rules_and_seals_have_keys_of_their_own() -> None:
    """trust.roles: two approvals are those of two keys (TRS-037)."""
    error = refused(toml(rule(P256, EXPORTER, threshold=1), seals=[seal(EXPORTER)]))
    assert error.code is Code.TRUST_ROLES
    assert error.found == EXPORTER.fingerprint
    files = {"keys/a.pub": EXPORTER.pem, "keys/b.pub": EXPORTER.pem}
    raw = toml(rule() | {"signer": [{"key": "keys/a.pub"}]}, seals=[seal() | {"keys": ["keys/b.pub"]}])
    assert refused(raw, files).code is Code.TRUST_ROLES


# --- keys ---


@each("name", ["../a.pub", "keys/../../a.pub", "/etc/a.pub", "keys//a.pub", "./a.pub", "keys/", "/", "..", "."])
def test_pol_013_a_key_lies_inside_the_folder(name: str) -> None:
    raw = toml(rule(P256) | {"signer": [{"key": name}]})
    assert refused(raw, {name: P256.pem}).code is Code.TRUST_KEY
    with pytest.raises(UsageError):
        trusttoml.named_files(raw)
    with pytest.raises(UsageError):
        trusttoml.named_files(toml(seals=[seal() | {"keys": [name]}]))


@pytest.mark.parametrize("name", ["keys/release.pub", "release.pub", "keys/team a/release.pub", "keys/freigabe-ü.pub", "...pub"])
def test_pol_013_a_key_that_is_not_there_is_refused(name: str) -> None:
    raw = toml(rule(P256) | {"signer": [{"key": name}]})
    assert trusttoml.named_files(raw) == {name}
    assert trusttoml.parse(raw, {name: P256.pem}).rules
    assert refused(raw, {}).code is Code.TRUST_KEY


@pytest.mark.parametrize("pem", [b"", b"key", P256.pem * 2, Key.of("secp256k1").pem], ids=["empty", "text", "twice", "secp256k1"])
def test_a_key_that_is_none_is_refused_by_its_path(pem: bytes) -> None:
    error = refused(toml(rule() | {"signer": [{"key": "keys/release.pub"}]}), {"keys/release.pub": pem})
    assert error.code is Code.TRUST_KEY
    assert "keys/release.pub" in str(error)


def test_a_key_can_be_named_by_its_fingerprint_wherever_under_keys_it_lies() -> None:
    raw = toml(rule() | {"signer": [{"key": P256.fingerprint}]})
    assert trusttoml.named_files(raw) == frozenset()
    files = {"keys/notes.pub": b"not a key", "keys/other.pub": OTHER.pem, "keys/release.pub": P256.pem}
    assert str(trusttoml.parse(raw, files).rules[0].signers[0]) == P256.fingerprint


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"keys/other.pub": OTHER.pem},
        {"release.pub": P256.pem},
        {"keys/release.pub.bak": P256.pem},
        {"keys/a.pub": P256.pem + OTHER.pem},
    ],
    ids=["no file", "another key", "elsewhere", "TRS-046 another suffix", "two keys in a file"],
)
def test_a_fingerprint_that_no_key_has_is_refused(files: dict[str, bytes]) -> None:
    assert refused(toml(rule() | {"signer": [{"key": P256.fingerprint}]}), files).code is Code.TRUST_KEY


def test_a_fingerprint_that_is_none_is_refused() -> None:
    assert refused(toml(rule() | {"signer": [{"key": "sha256:release"}]}), {"keys/release.pub": P256.pem}).code is Code.TRUST_KEY


# --- which rule, which trust ---


@pytest.mark.parametrize("turn", [1, -1])
def test_pol_009_the_most_specific_rule_is_the_one(turn: int) -> None:
    scopes = ["registry.example/**", "registry.example/app", "**", "registry.example/*"]
    got = policy(*[rule(P256, scope=scope) for scope in scopes][::turn])

    def covered(repository: str) -> str:
        found = got.rule_for(repository)
        return "" if found is None else str(found.scope)

    assert covered("registry.example/app") == "registry.example/app"
    assert covered("registry.example/app-evil") == "registry.example/*"
    assert covered("registry.example/app/web") == "registry.example/**"
    assert covered("other.example/app") == "**"


def test_pol_010_what_no_rule_covers_has_none() -> None:
    assert policy(rule(P256, scope="registry.example/app")).rule_for("registry.example/app-evil") is None


def test_the_digest_of_trust_is_that_of_all_its_files() -> None:
    raw = toml(rule() | {"signer": [{"key": "keys/release.pub"}]})
    listed = {"trust.toml": hashlib.sha256(raw).hexdigest(), "keys/release.pub": hashlib.sha256(P256.pem).hexdigest()}
    spelt = json.dumps(listed, sort_keys=True, separators=(",", ":")).encode()
    assert str(trusttoml.parse(raw, BY_NAME).digest) == f"sha256:{hashlib.sha256(spelt).hexdigest()}"


def test_the_digest_of_trust_changes_with_every_file_it_names_and_with_no_other() -> None:
    raw = toml(rule() | {"signer": [{"key": "keys/release.pub"}]})
    digest = trusttoml.parse(raw, BY_NAME).digest
    assert trusttoml.parse(raw, BY_NAME | {"keys/unused.pub": OTHER.pem}).digest == digest
    assert trusttoml.parse(raw, {"keys/release.pub": OTHER.pem}).digest != digest
    assert trusttoml.parse(raw + b"\n", BY_NAME).digest != digest
    by_fingerprint = toml(rule() | {"signer": [{"key": P256.fingerprint}]})
    assert trusttoml.parse(by_fingerprint, BY_NAME).digest != trusttoml.parse(by_fingerprint, {"keys/a.pub": P256.pem}).digest


def test_defaults_are_said() -> None:
    got = policy(rule(P256)).rules[0]
    assert (got.node, got.name, got.attestations) == (Node.REFERENCE, Naming.ANY, ())


# --- writing it ---


def test_what_trust_add_appends_reads_as_it_was_meant() -> None:
    files = {"keys/a.pub": EXPORTER.pem, "keys/b.pub": P256.pem, "keys/c.pub": OTHER.pem}
    text = "version = 1\nserial = 1\n"
    text += render_seal(stream="platform", scopes=["registry.example/**"], keys=["keys/a.pub"], threshold=None)
    text += render_rule(scope="registry.example/app", signers=[{"key": "keys/b.pub"}])
    text += render_rule(
        scope="**",
        signers=[{"key": "keys/b.pub", "name": "b"}, {"key": "keys/c.pub"}],
        threshold=2,
        attestations=[SPDX],
        node="both",
        name="signed",
    )
    got = trusttoml.parse(text.encode(), files)
    assert [(seal.stream, seal.threshold) for seal in got.seals] == [("platform", 1)]
    assert [(str(r.scope), r.threshold, tuple(map(str, r.attestations)), str(r.node), str(r.name)) for r in got.rules] == [
        ("registry.example/app", 1, (), "reference", "any"),
        ("**", 2, (SPDX,), "both", "signed"),
    ]


def test_a_rule_for_attestations_alone_can_be_written() -> None:
    text = render_rule(scope="**", signers=[{"key": "keys/release.pub"}], threshold=0, attestations=[SPDX])
    assert trusttoml.parse(("version = 1\nserial = 1\n" + text).encode(), BY_NAME).rules[0].threshold == 0


@pytest.mark.parametrize("text", ['a"b\\c', "ü"])
def test_texts_are_written_so_that_they_read_back(text: str) -> None:
    written = render_rule(scope="**", signers=[{"key": f"keys/{text}.pub"}])
    assert trusttoml.named_files(b"version = 1\nserial = 1\n" + written.encode()) == {f"keys/{text}.pub"}


@pytest.mark.parametrize("text", ["a\nb", "\x7f", "\ud800", ""])
def test_what_no_trust_file_can_hold_is_not_written(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        render_rule(scope=text, signers=[{"key": "keys/a.pub"}])
    assert caught.value.code is Code.TRUST_FORM
    with pytest.raises(UsageError):
        render_seal(stream="a", scopes=["**"], keys=[text], threshold=None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("version = 1\nserial = 1\n", "version = 1\nserial = 2\n"),
        ("serial=9 # grows\nversion = 1", "serial=10 # grows\nversion = 1"),
        ("version = 1\r\n  serial = 41\r\n", "version = 1\r\n  serial = 42\r\n"),
    ],
)
def test_the_serial_grows_in_its_place(before: str, after: str) -> None:
    assert with_next_serial(before) == after


@each(
    "text",
    [
        "version = 1\n",
        "version = 1\nserial = 0x10\n",
        'version = 1\nserial = "1"\n',
        'version = 1\nnote = """\nserial = 1\n"""\nserial = 1\n',
        "[[seal]]\nserial = 1\n",
        "not toml",
    ],
)
def test_a_serial_that_is_not_where_it_is_looked_for_is_left_to_its_owner(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        with_next_serial(text)
    assert caught.value.code is Code.TRUST_FORM


def test_a_rule_cannot_be_made_that_denies_and_admits() -> None:
    scope = Scope.parse("**")
    denying = Rule(scope, (), 1, deny="why").to_json()
    assert (denying["signers"], denying["threshold"], denying["deny"]) == ([], 1, "why")
    key = PinnedKey(P256.public)
    for signers, threshold, attestations in (((key,), 1, ()), ((), 0, ()), ((), 1, (RequiredAttestation(SPDX, Node.REFERENCE, (key,)),))):
        with pytest.raises(UsageError, match="denies and admits"):
            Rule(scope, signers, threshold, attestations, deny="why")


def test_a_policy_gives_its_keys_once_and_its_entries_as_they_stand() -> None:
    own = {"type": SPDX, "signer": [{"key": "keys/b.pub"}]}
    first, second = ({"scope": scope, "signer": [{"key": "keys/a.pub"}]} for scope in ("**", "a.test/b"))
    by = trusttoml.parse(toml({**first, "attestations": [own]}, second, seals=[NAMED_SEAL]), CALLED)
    assert [key.fingerprint for key in by.keys] == [EXPORTER.fingerprint, P256.fingerprint, OTHER.fingerprint]
    assert [str(entry) for entry in by.rules[0].entries] == [P256.fingerprint, OTHER.fingerprint]
