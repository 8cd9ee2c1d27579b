"""What each kind of signer, and each format, says of itself to those who ask all of them alike."""

import hashlib
from typing import Any

import pytest

from bundler.errors import FormatError
from bundler.oci import mediatype
from bundler.trust import trusttoml
from bundler.trust.formats import says_signed
from bundler.trust.kind import Anchor
from bundler.trust.kinds import kind_named, kind_of, sections
from bundler.trust.notation import store
from bundler.trust.sigstore import anchor
from tests.support import notary
from tests.support.cases import each
from tests.support.layouts import Content
from tests.support.signing import P256
from tests.support.world import IDENTITY, ISSUER, World, canonical

ROOT = World().root_json()
FILES = {
    "keys/p256.pub": P256.pem,
    "roots/world.json": canonical(ROOT | {"tlogs": [*ROOT["tlogs"], {"baseUrl": "https://odd.example"}]}),
    "stores/root.crt": notary.ROOT.pem,
    "stores/issuer.crl": notary.crl_of(notary.ISSUER),
    "stores/tsa.crt": notary.WORLD.tsa_ca.pem,
}
ANCHORS = """
version = 1
serial = 1
[[root]]
name = "world"
file = "roots/world.json"
[[store]]
name = "release"
type = "ca"
certificates = ["stores/root.crt"]
crl = ["stores/issuer.crl"]
[[store]]
name = "stamps"
type = "tsa"
certificates = ["stores/tsa.crt"]
"""


def sha256(name: str) -> str:
    return hashlib.sha256(FILES[name]).hexdigest()


def anchors() -> tuple[Anchor, ...]:
    return trusttoml.parse(ANCHORS.encode(), FILES).anchors


# --- signers ---


@pytest.mark.parametrize(
    ("table", "kind", "key", "behind"),
    [
        ('{ key = "keys/p256.pub" }', "key", P256.fingerprint, ["keys/p256.pub"]),
        ('{ key = "keys/p256.pub", root = "world" }', "key", P256.fingerprint, ["keys/p256.pub", "roots/world.json"]),
        (f'{{ issuer = "{ISSUER}", identity = "{IDENTITY}", root = "world" }}', "identity", None, ["roots/world.json"]),
        ('{ store = "release", subject = "*" }', "notation", None, ["stores/root.crt", "stores/issuer.crl"]),
        (
            '{ store = "release", subject = "*", tsa = "stamps" }',
            "notation",
            None,
            ["stores/root.crt", "stores/issuer.crl", "stores/tsa.crt"],
        ),
    ],
)
def test_behind_each_signer_lies_what_it_is_known_by(table: str, kind: str, key: str | None, behind: list[str]) -> None:
    policy = trusttoml.parse(f'{ANCHORS}\n[[rule]]\nscope = "**"\nsigner = [{table}]\n'.encode(), FILES)
    [signer] = policy.rules[0].signers
    assert signer.kind == kind_named(kind).name == kind
    assert [each.fingerprint for each in policy.keys] == ([] if key is None else [key])
    assert list(signer.behind(FILES)) == [FILES[name] for name in behind]


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"key": 1}, "key"),
        ({"key": 1, "store": 1, "issuer": 1}, "key"),
        ({"store": 1, "issuer": 1}, "notation"),
        ({"issuer": 1}, "identity"),
        ({}, "identity"),
    ],
)
def test_a_table_is_of_the_kind_whose_mark_it_bears_and_without_one_an_identity(members: dict[str, Any], kind: str) -> None:
    assert kind_of(members).name == kind


@pytest.mark.parametrize(
    ("table", "introduced"),
    [
        ({"key": "keys/a.pub"}, None),
        ({"issuer": ISSUER, "identity": IDENTITY}, None),
        ({"store": "release"}, None),
        ({"store": "release", "subject": "CN=me,O=We"}, ("CN=me,O=We (store release)", "me")),
        ({"store": "release", "subject": "O=We", "tsa": "stamps"}, ("O=We (store release, timestamps by stamps)", None)),
    ],
)
def test_only_a_subject_says_by_what_people_may_call_a_signer(table: dict[str, Any], introduced: object) -> None:
    assert kind_of(table).introduce(table) == introduced


def test_a_subject_that_cannot_be_read_introduces_nobody() -> None:
    table = {"store": "release", "subject": "nonsense"}
    with pytest.raises(FormatError):
        kind_of(table).introduce(table)


def test_only_a_key_tells_nobody_who_its_owner_is() -> None:
    assert [name for name in ("key", "identity", "notation") if kind_named(name).tells_who] == ["identity", "notation"]
    assert {name: kind_named(name).unnamed for name in ("key", "identity", "notation")} == {
        "key": "signed by a key that the rule does not name, or altered since",
        "identity": "signed with a certificate that the rule does not accept",
        "notation": "signed with a certificate that the rule does not accept",
    }


# --- roots and stores ---


def test_the_tables_are_told_in_one_order_each_under_its_name() -> None:
    assert [section.table for section in sections()] == ["root", "store"]
    assert [(each.table, each.name) for each in anchors()] == [("root", "world"), ("store", "release"), ("store", "stamps")]


def test_a_root_is_told_with_its_file_its_numbers_and_who_is_in_it() -> None:
    root, *_ = anchors()
    told = root.to_json(FILES)
    assert (told["name"], told["file"], told["sha256"]) == ("world", "roots/world.json", sha256("roots/world.json"))
    assert [told[name] for name in ("log", "timestamp", "sct")] == [1, 0, 1]
    lines = list(root.lines(FILES))
    assert lines[:2] == ["root   world: log 1, timestamp 0, sct 1", f"       roots/world.json, sha256 {sha256('roots/world.json')}"]
    parts = {"authorities": "authority", "logs": "log", "timestamp_authorities": "timestamp authority", "ct_logs": "certificate log"}
    members = [(word, each) for part, word in parts.items() for each in told[part]]
    assert {word for word, _ in members} == set(parts.values())
    [odd] = told["left_out"]
    wanted = [*(f"       {word} {each['name']}, {each['window']}" for word, each in members), f"       cannot be used: {odd}"]
    assert lines[2:] == wanted


def test_a_store_is_told_with_its_files_certificates_and_lists() -> None:
    _, told, _ = anchors()
    value = told.to_json(FILES)
    assert (value["name"], value["type"]) == ("release", "ca")
    files = ["stores/root.crt", "stores/issuer.crl"]
    assert value["files"] == [{"file": name, "sha256": sha256(name)} for name in files]
    [certificate], [crl] = value["certificates"], value["crls"]
    assert list(told.lines(FILES)) == [
        "store  release, of type ca",
        *(f"       {name}, sha256 {sha256(name)}" for name in files),
        f"       certificate of {certificate['subject']}, {certificate['window']}",
        f"       revocation list of {crl['issuer']}, {crl['window']}",
    ]
    assert (certificate["subject"], crl["issuer"]) == (notary.ROOT.ours.subject, notary.ISSUER.ours.subject)


def test_files_to_be_added_have_their_places_in_the_folder() -> None:
    assert anchor.file_of("world") == "roots/world.json"
    assert store.file_of("release", b"data", "crt") == f"stores/release/{hashlib.sha256(b'data').hexdigest()[:16]}.crt"


# --- formats ---


@each(
    ("artifact_type", "layer_type", "says"),
    [
        ("application/vnd.example", mediatype.SIMPLE_SIGNING, True),
        ("application/vnd.example", mediatype.DSSE, True),
        (mediatype.SIGSTORE_BUNDLE_V03, "application/vnd.example", True),
        (mediatype.NOTATION, "application/jose+json", True),
        ("application/vnd.example", "application/jose+json", False),
        ("text/spdx+json", "text/spdx+json", False),
    ],
)
def test_a_manifest_says_that_it_is_signed_by_its_type_or_that_of_a_layer(artifact_type: str, layer_type: str, *, says: bool) -> None:
    assert says_signed(Content().artifact(b"x", artifact_type, layer_type=layer_type)) is says


def test_an_index_says_nothing_of_the_kind() -> None:
    content = Content()
    assert not says_signed(content.index())
