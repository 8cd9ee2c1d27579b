"""Two bundles compared: what changed, who signed before and now, and what would have to be carried."""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bundler.bundle import archive
from bundler.bundle.archive import opened
from bundler.bundle.composition import Walk
from bundler.bundle.seal import ImageEntry
from bundler.errors import Code, FormatError, IntegrityError, TrustError
from bundler.ledger.receipt import Receipt, SignerRecord
from bundler.ledger.returnfile import Return
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from bundler.stations import holdings, truststore, vouching
from bundler.stations.comparing import Change, Difference, compare, difference_value
from bundler.stations.sides import opened_side
from bundler.stations.truststore import Trust
from bundler.stations.vouching import Maker
from bundler.trust.keys import PublicKey
from bundler.trust.simplesigning import CERTIFICATE, LOG_ENTRY
from tests.support import notary, receipts, returns, signing, station
from tests.support.bundles import Bundle
from tests.support.layouts import Content
from tests.support.signing import EXPORTER, Key
from tests.support.station import RELEASE, STRANGER, write_trust
from tests.support.world import IDENTITY, ISSUER, World, canonical

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOST = "registry.example/team"
WORLD = World()
SPDX, SLSA = signing.SPDX, "https://slsa.dev/provenance/v1"


def maker(key: Key, name: str | None = None) -> Maker:
    return Maker("key", key.fingerprint, proved=True, name=name)


UNNAMED = Maker("key", None, proved=False)


@dataclass
class Side:
    """Images by their names, and what was said of them, until they are a bundle."""

    content: Content = field(default_factory=Content)
    images: dict[str, Document] = field(default_factory=dict)

    def add(self, name: str, image: Document, *keys: Key) -> Document:
        """``image`` under that name below HOST, signed by these keys."""
        self.images[f"{HOST}/{name}"] = image
        if keys:
            self.content.sig(image.digest, *(signing.signed(image, key) for key in keys))
        return image

    def write(self, path: Path, *, by: Key = EXPORTER, **fields: Any) -> Path:
        Bundle.of(self.content, self.images, **fields).write(path, keys=(by,))
        return path


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """The release key counts, the exporter may seal."""
    return truststore.read(write_trust(tmp_path / "trust", rules=[signing.rule(RELEASE, scope="**")], seals=[signing.seal(EXPORTER)]))


def receipt_of(side: Side, *signers: Key, held: Iterable[Descriptor] = (), **members: Any) -> Receipt:
    """What a station says that let all the images in, and that these signers counted."""
    records = tuple(sorted(SignerRecord("key", key.fingerprint, "sig", "release team") for key in signers))
    record = replace(receipts.APP, signers=records)
    images = tuple(replace(record, reference=Reference.parse(name), digest=root.digest) for name, root in side.images.items())
    blobs = {"plant:5000/mirror/app": returns.held((blob.digest, blob.size) for blob in held)}
    return replace(receipts.ACCEPTED, images=images, held=blobs, **members)


def written(path: Path, file: Receipt | Return) -> Path:
    path.write_bytes(file.signed(receipts.sign))
    return path


def differences(folder: Path, before: Side, after: Side, trust: Trust | None, *, by: Key = EXPORTER) -> Difference:
    first, second = before.write(folder / "1.oci.tar.zst"), after.write(folder / "2.oci.tar.zst", by=by)
    return compared(first, second, trust)


def compared(first: Path, second: Path, trust: Trust | None, key: PublicKey | None = None) -> Difference:
    with ExitStack() as files:
        old, new = (files.enter_context(opened_side(path, trust, key, at=AT)) for path in (first, second))
        found = compare(old, new)
        difference_value(found)
        return found


def the_one(changes: Iterable[Change]) -> Change:
    [change] = changes
    return change


def names(images: Iterable[Any]) -> list[str]:
    return [str(image.reference).removeprefix(f"{HOST}/") for image in images]


# --- what changed ---


def test_the_same_bundle_has_not_changed(tmp_path: Path, trust: Trust) -> None:
    side = Side()
    side.add("app:v1", side.content.index("one"), RELEASE)
    path = side.write(tmp_path / "b")
    found = compared(path, path, trust)
    assert (found.is_same, found.same, dict(found.carry)) == (True, 1, {})


def test_a_name_with_another_digest_has_changed_and_its_new_layers_are_what_has_to_be_carried(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    for side, word in ((before, "old"), (after, "new")):
        base, top = side.content.layer("base"), side.content.layer(word)
        side.add("app:v1", side.content.image(layers=[base, top]), RELEASE)
    found = differences(tmp_path, before, after, trust)
    [part] = the_one(found.changed).parts
    old, new = before.content.layer("old"), after.content.layer("new")
    assert (part.platform, dict(part.new), dict(part.gone), part.kept) == (
        "linux/amd64",
        {new.digest: new.size},
        {old.digest: old.size},
        1,
    )
    assert dict(found.carry) == {new.digest: new.size}
    assert (the_one(found.changed).after.fresh, the_one(found.changed).before.fresh) == (new.size, old.size)
    assert not the_one(found.changed).signers_changed


def test_a_layer_that_another_image_has_already_is_not_carried_again(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    for side in (before, after):
        side.add("base:v1", side.content.image("base"), RELEASE)
    after.add("app:v1", after.content.image(layers=[after.content.layer("base")], runs={"User": "app"}), RELEASE)
    found = differences(tmp_path, before, after, trust)
    assert (names(found.added), found.same, dict(found.carry)) == (["app:v1"], 1, {})
    assert found.added[0].fresh == 0


def test_names_come_go_and_move(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    before.add("gone:v1", before.content.image("gone"), RELEASE)
    after.add("new:v1", after.content.image("new"), RELEASE)
    for side, name in ((before, "moved:v1"), (after, "moved:v2")):
        side.add(name, side.content.image("moved"), RELEASE)
    for side, tags in ((before, ["v1"]), (after, ["v1", "latest"])):
        for tag in tags:
            side.add(f"both:{tag}", side.content.image("both"), RELEASE)
    found = differences(tmp_path, before, after, trust)
    moved = the_one(found.moved)
    assert (names([moved.before]), names([moved.after])) == (["moved:v1"], ["moved:v2"])
    assert (names(found.added), names(found.gone), found.same) == (["both:latest", "new:v1"], ["gone:v1"], 1)
    assert [str(image.alias) for image in found.added] == [f"{HOST}/both:v1", "None"]
    assert found.is_same is False


def test_each_name_moves_once(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    for side, tags in ((before, ["a", "b"]), (after, ["c"])):
        for tag in tags:
            side.add(f"app:{tag}", side.content.image("app"), RELEASE)
    found = differences(tmp_path, before, after, trust)
    assert (len(found.moved), names(found.gone), names(found.added)) == (1, ["app:b"], [])
    assert str(found.gone[0].alias) == f"{HOST}/app:c"


def test_a_tag_that_moved_to_what_another_tag_was_says_so(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    for side, latest in ((before, "one"), (after, "two")):
        side.add("app:v2", side.content.image("two"), RELEASE)
        side.add("app:latest", side.content.image(latest), RELEASE)
    change = the_one(differences(tmp_path, before, after, trust).changed)
    assert (str(change.after.alias), change.before.alias) == (f"{HOST}/app:v2", None)


def test_names_with_digests_stand_beside_names_with_tags(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    image = before.content.image("one")
    before.add(f"app@{image.digest}", image, RELEASE)
    before.add("app:v1", image)
    after.add("app:v2", after.content.image("two"), RELEASE)
    found = differences(tmp_path, before, after, trust)
    assert names(found.gone) == ["app:v1", f"app@{image.digest}"]


def test_a_platform_that_is_left_out_now_is_gone(tmp_path: Path, trust: Trust) -> None:
    side = Side()
    index = side.add("app:v1", side.content.index("one"), RELEASE)
    arm = next(child.digest for child in index.children if str(child.platform) == "linux/arm64")
    first = side.write(tmp_path / "1")
    found = compared(first, side.write(tmp_path / "2", left_out=[arm]), trust)
    change = the_one(found.beside)
    assert [(part.platform, part.after is None) for part in change.parts] == [("linux/amd64", False), ("linux/arm64", True)]


def test_what_a_config_says_otherwise_is_told_by_name_and_never_the_values_of_its_environment(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    before.add("app:v1", before.content.image("app", runs={"User": "root", "Env": ["A=secret", "B=1"], "Entrypoint": "a text"}), RELEASE)
    after.add("app:v1", after.content.image("app", runs={"User": "1000", "Env": ["A=other", "C=1"], "Entrypoint": ["/x"]}), RELEASE)
    found = differences(tmp_path, before, after, trust)
    [part] = the_one(found.changed).parts
    assert part.config == ("user", "entrypoint", "env")
    told = difference_value(found)["changed"][0]["platforms"][0]["config"]
    assert told == [
        {"name": "user", "before": "root", "after": "1000"},
        {"name": "entrypoint", "before": [], "after": ["/x"]},
        {"name": "env", "before": ["A", "B"], "after": ["A", "C"]},
    ]


@pytest.mark.parametrize("config", [b"[]", b"{", b'{"config": 7, "created": 7}', b'{"config": {"Env": [7], "User": {}}}', b"\xff"])
def test_a_config_of_any_form_ends_nothing(config: bytes, tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    before.add("app:v1", before.content.image("app"), RELEASE)
    content = after.content
    odd = content.manifest(content.blob(config, "application/vnd.oci.image.config.v1+json"), [content.layer("app")])
    after.add("app:v1", odd, RELEASE)
    assert len(the_one(differences(tmp_path, before, after, trust).changed).parts) >= 1


def test_an_image_of_many_names_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are cheap to write, and a look at an index of many platforms is not."""
    before, after = Side(), Side()
    for side, letter in ((before, "a"), (after, "b")):
        index = side.content.index("many")
        for number in range(50):
            side.add(f"app:{letter}{number}", index)
    looked: list[Digest] = []
    walk = archive.Content.walk

    def walking(content: archive.Content, image: ImageEntry) -> Walk:
        looked.append(image.digest)
        return walk(content, image)

    monkeypatch.setattr(archive.Content, "walk", walking)
    assert (len(differences(tmp_path, before, after, None).moved), len(looked)) == (50, 2)


# --- who signed ---


@pytest.mark.parametrize(
    ("then", "now", "gone", "new"),
    [
        ((RELEASE,), (STRANGER,), [maker(RELEASE)], [UNNAMED]),
        ((RELEASE,), (), [maker(RELEASE)], []),
        ((RELEASE, STRANGER), (RELEASE,), [UNNAMED], []),
        ((RELEASE,), (RELEASE, EXPORTER), [], [maker(EXPORTER)]),
        ((RELEASE,), (RELEASE,), [], []),
        ((), (), [], []),
    ],
)
@pytest.mark.parametrize("word", ["same", "other"])
def test_who_is_gone_and_who_is_new_is_told(  # noqa: PLR0917 - a row of the table, and the fixtures
    then: tuple[Key, ...], now: tuple[Key, ...], gone: list[Maker], new: list[Maker], word: str, tmp_path: Path, trust: Trust
) -> None:
    """Whether or not the image itself is another one. Who may seal can sign images too."""
    before, after = Side(), Side()
    before.add("app:v1", before.content.image("same"), *then)
    after.add("app:v1", after.content.image(word), *now)
    found = differences(tmp_path, before, after, trust)
    if then == now and word == "same":
        assert found.is_same
        return
    change = the_one((*found.changed, *found.beside))
    assert (list(change.signers_gone), list(change.signers_new)) == (gone, new)
    assert [each.signers_changed for each in found.changes] == [bool(gone or new)]


def test_changes_of_signers_come_first(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    for name, key in (("a:v1", RELEASE), ("b:v1", STRANGER), ("c:v1", RELEASE)):
        before.add(name, before.content.image(f"old {name}"), RELEASE)
        after.add(name, after.content.image(f"new {name}"), key)
    found = differences(tmp_path, before, after, trust)
    assert names(change.after for change in found.changes) == ["b:v1", "a:v1", "c:v1"]


def test_names_of_signers_and_sealers_are_those_of_trust(tmp_path: Path) -> None:
    folder = tmp_path / "named"
    keys = {name: station.write_key(tmp_path / f"{name}.key", key).with_suffix(".pub") for name, key in (("r", RELEASE), ("e", EXPORTER))}
    station.run("trust", "init", folder)
    station.run("trust", "add", folder, "--seal", "default", "--scope", "**", "--key", keys["e"], "--as", "plant exporter")
    station.run("trust", "add", folder, "--image", "**", "--key", keys["r"], "--as", "release team")
    before, after = Side(), Side()
    before.add("app:v1", before.content.image("one"), RELEASE)
    after.add("app:v1", after.content.image("two"), RELEASE)
    after.content.att(after.images[f"{HOST}/app:v1"].digest, signing.att(after.images[f"{HOST}/app:v1"], RELEASE))
    found = differences(tmp_path, before, after, truststore.read(folder))
    [signer] = the_one(found.changed).after.details.signers
    assert signer.name == "release team"
    assert [(piece.what, [by.name for by in piece.by]) for piece in the_one(found.changed).evidence_new] == [(SPDX, ["release team"])]
    assert [by.name for by in found.after.sealed.by] == ["plant exporter"]


def test_without_trust_a_signer_is_who_the_signature_says(tmp_path: Path, trust: Trust) -> None:
    """A key only where the signature hints at it; and all of it unproved."""
    before, after = Side(), Side()
    before.add("app:v1", before.content.image("one"), RELEASE)
    image = after.add("app:v1", after.content.image("two"))
    after.content.bundle(image, json.dumps(signing.bundle(signing.dsse(image, RELEASE), RELEASE)).encode(), predicate_type=signing.SIGN)
    change = the_one(differences(tmp_path, before, after, None).changed)
    said = Maker("key", RELEASE.fingerprint, proved=False)
    assert (list(change.signers_gone), list(change.signers_new)) == ([UNNAMED], [said])
    (tmp_path / "again").mkdir()
    assert not the_one(differences(tmp_path / "again", before, after, trust).changed).signers_changed


def test_a_signature_that_says_it_is_a_pinned_keys_and_is_not_makes_nobody_its_signer(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    before.add("app:v1", before.content.image("one"), RELEASE)
    image = after.add("app:v1", after.content.image("two"))
    forged = signing.bundle(signing.dsse(image, STRANGER), RELEASE)
    after.content.bundle(image, json.dumps(forged).encode(), predicate_type=signing.SIGN)
    change = the_one(differences(tmp_path, before, after, trust).changed)
    assert (list(change.signers_gone), list(change.signers_new)) == ([maker(RELEASE)], [])


def test_a_signature_of_another_image_makes_nobody_its_signer(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    old = before.add("app:v1", before.content.image("one"), RELEASE)
    image = after.add("app:v1", after.content.image("two"))
    after.content.sig(image.digest, signing.signed(old, RELEASE))
    change = the_one(differences(tmp_path, before, after, trust).changed)
    assert (list(change.signers_gone), list(change.signers_new)) == ([maker(RELEASE)], [])


def test_identities_and_subjects_are_proved_under_trust_and_else_as_certificates_say(tmp_path: Path) -> None:
    folder, root, ca = (tmp_path / name for name in ("ours", "root.json", "ca.pem"))
    root.write_bytes(canonical(WORLD.root_json()))
    ca.write_bytes(notary.ROOT.pem)
    who = ("--issuer", ISSUER, "--identity", IDENTITY, "--root", root, "--root-name", "ours")
    store = ("--store", "release", "--store-type", "ca", "--certificate", ca, "--subject", "CN=release,O=world.example")
    assert station.run("trust", "init", folder).exit == 0
    assert station.run("trust", "add", folder, "--image", "one.example/**", *who).exit == 0
    assert station.run("trust", "add", folder, "--image", "two.example/**", *store).exit == 0
    before, after = Side(), Side()
    for name in ("identity:v1", "store:v1"):
        before.add(name, before.content.image(f"old {name}"))
        after.add(name, after.content.image(f"new {name}"))
    keyless, notated = after.images[f"{HOST}/identity:v1"], after.images[f"{HOST}/store:v1"]
    signed = WORLD.signed(signing.payload(keyless))
    beside = {CERTIFICATE: signed.leaf.pem.decode(), LOG_ENTRY: signed.annotation().decode()}
    after.content.sig(keyless.digest, (signed.message, signed.signature), annotations=beside)
    after.content.notation(notated, notary.Signing(payload=canonical({"targetArtifact": notated.descriptor.to_json()})).jws())
    identity = f"{IDENTITY} (issuer {ISSUER})"

    def told(trust: Trust | None) -> list[list[tuple[str, str | None, bool]]]:
        changes = compared(tmp_path / "1.oci.tar.zst", tmp_path / "2.oci.tar.zst", trust).changed
        return [[(by.kind, by.id, by.proved) for by in change.signers_new] for change in changes]

    differences(tmp_path, before, after, None)
    subject = "CN=release,ST=BY,C=DE,O=world.example"
    assert told(None) == [[("identity", identity, False)], [("notation", subject, False)]]
    assert told(truststore.read(folder)) == [
        [("identity", identity, True)],
        [("notation", f"{subject} (store release)", True)],
    ]


def test_what_takes_more_than_a_verdict_may_is_not_verified(tmp_path: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = Side(), Side()
    before.add("app:v1", before.content.image("one"), RELEASE)
    after.add("app:v1", after.content.image("two"), RELEASE)
    first, second = before.write(tmp_path / "1"), after.write(tmp_path / "2")
    for limit, value in (("MAX_VERIFICATIONS", 1), ("MAX_REPEATED", 100)):
        with monkeypatch.context() as patch:
            patch.setattr(vouching, limit, value)
            assert the_one(compared(first, second, trust).changed).after.details.signers == frozenset({UNNAMED})


# --- evidence ---


def test_evidence_that_was_taken_away_is_told_though_the_image_is_the_same(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    for side in (before, after):
        side.add("app:v1", side.content.image("one"), RELEASE)
    image = before.images[f"{HOST}/app:v1"]
    before.content.att(image.digest, signing.att(image, RELEASE), signing.att(image, STRANGER, SLSA))
    found = differences(tmp_path, before, after, trust)
    assert (found.same, len(found.changed)) == (0, 0)
    gone = the_one(found.beside).evidence_gone
    assert [(piece.what, piece.by) for piece in gone] == [(SPDX, frozenset({maker(RELEASE)})), (SLSA, frozenset({UNNAMED}))]
    assert the_one(found.beside).evidence_new == ()


def test_of_another_image_evidence_of_the_same_sort_is_not_new(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    for side, word, key in ((before, "one", RELEASE), (after, "two", STRANGER)):
        image = side.add("app:v1", side.content.image(word), RELEASE)
        side.content.att(image.digest, signing.att(image, RELEASE), signing.att(image, key, SLSA))
    change = the_one(differences(tmp_path, before, after, trust).changed)
    assert [(piece.what, piece.by) for piece in change.evidence_gone] == [(SLSA, frozenset({maker(RELEASE)}))]
    assert [(piece.what, piece.by) for piece in change.evidence_new] == [(SLSA, frozenset({UNNAMED}))]
    assert not change.signers_changed


def test_evidence_is_told_by_predicate_or_media_type_from_wherever_it_lies(tmp_path: Path, trust: Trust) -> None:
    """Tags, referrers, signed by a signature of its own, and BuildKit's in the index."""
    before, after = Side(), Side()
    before.add("app:v1", before.content.image("one"), RELEASE)
    content = after.content
    image = after.add("app:v1", content.with_buildkit("two"), RELEASE)
    content.sbom(image.digest, b"{}")
    signed = content.artifact(b'{"spdxVersion": "SPDX-2.3"}', "application/spdx+json", subject=image)
    content.sig(signed.digest, signing.signed(signed, EXPORTER))
    statement = signing.bundle(signing.dsse(image, RELEASE, SLSA), RELEASE)
    content.bundle(image, json.dumps(statement).encode(), predicate_type=SLSA)
    change = the_one(differences(tmp_path, before, after, trust).changed)
    assert not change.signers_changed, "who signs an SBOM has not signed the image"
    new = change.evidence_new
    told = {piece.what: piece.by for piece in new}
    assert told["text/spdx+json"] == frozenset()
    assert told["application/spdx+json"] == frozenset({maker(EXPORTER)})
    assert told[SLSA] == frozenset({maker(RELEASE)})
    in_index = {layer for child in image.children for layer in _layers(content, child) if "in-toto" in layer.media_type}
    assert {piece.digest for piece in new} >= {layer.digest for layer in in_index}
    assert in_index


def _layers(content: Content, child: Descriptor) -> tuple[Descriptor, ...]:
    return content.documents[child.digest].blobs


# --- who sealed ---


def test_a_seal_that_nobody_trusted_made_is_compared_and_told(tmp_path: Path, trust: Trust) -> None:
    before, after = Side(), Side()
    before.add("app:v1", before.content.image("one"), RELEASE)
    after.add("app:v1", after.content.image("two"), RELEASE)
    found = differences(tmp_path, before, after, trust, by=STRANGER)
    assert (found.before.sealed.verified, found.before.sealed.by) == (True, (maker(EXPORTER),))
    assert (found.after.sealed.verified, found.after.sealed.by) == (False, ())
    assert found.after.sealed.details == ("signature 1 is by no key that may seal", "stream default wants 1 of 1 keys, found 0")
    alone = compared(tmp_path / "1.oci.tar.zst", tmp_path / "2.oci.tar.zst", None)
    assert (alone.before.sealed.verified, alone.before.sealed.details) == (False, ())


def test_no_more_of_a_seal_is_read_than_of_any_that_nobody_vouches_for(
    tmp_path: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Side()
    side.add("app:v1", side.content.image("one"), RELEASE)
    ours, theirs = side.write(tmp_path / "1"), side.write(tmp_path / "2", by=STRANGER)
    monkeypatch.setattr(holdings, "MAX_UNVERIFIED", 100)
    assert compared(ours, ours, trust).is_same
    for first, second, judged in ((ours, ours, None), (ours, theirs, trust), (theirs, ours, trust)):
        with pytest.raises(FormatError) as refused:
            compared(first, second, judged)
        assert refused.value.code is Code.LIMIT_SEAL


def test_a_document_with_other_bytes_is_damage(tmp_path: Path, trust: Trust) -> None:
    side = Side()
    side.add("app:v1", side.content.image("one"), RELEASE)
    path = side.write(tmp_path / "1")
    with opened(path) as file:
        behind_the_seal = next(file.table.sizes(0, 1))[0]
    data = bytearray(path.read_bytes())
    data[behind_the_seal + 20] ^= 1
    (tmp_path / "2").write_bytes(data)
    with pytest.raises(IntegrityError) as refused:
        compared(path, tmp_path / "2", trust)
    assert refused.value.code is Code.CONTENT_FRAME


# --- what stations say ---


@pytest.fixture
def side() -> Side:
    made = Side()
    made.add("app:v1", made.content.image("one"), RELEASE)
    return made


def layers_of(side: Side) -> tuple[Descriptor, ...]:
    return next(iter(side.images.values())).blobs[1:]


def test_a_receipt_says_what_was_let_in_and_what_is_held(side: Side, tmp_path: Path, trust: Trust) -> None:
    first = written(tmp_path / "r.json", receipt_of(side, RELEASE, held=layers_of(side)))
    after = Side(side.content, dict(side.images))
    after.add("new:v1", side.content.image("new"), RELEASE)
    found = compared(first, after.write(tmp_path / "b"), trust)
    new = side.content.layer("new")
    assert (found.same, names(found.added), dict(found.carry)) == (1, ["new:v1"], {new.digest: new.size})
    assert (found.before.kind, found.before.station, found.before.sequence, found.before.sealed.verified) == (
        "receipt",
        "plant-7",
        7,
        False,
    )


def test_a_station_s_key_vouches_for_its_files(side: Side, tmp_path: Path) -> None:
    files = written(tmp_path / "r.json", receipt_of(side, RELEASE)), written(tmp_path / "b.json", returns.FULL)
    key = receipts.STATION.parsed("image")
    for file in files:
        sealed = compared(file, file, None, key).before.sealed
        assert (sealed.verified, [by.id for by in sealed.by]) == (True, [key.fingerprint])
        with pytest.raises(TrustError) as refused:
            compared(file, file, None, receipts.STRANGER.parsed("image"))
        assert refused.value.code is Code.RECEIPT_SIGNATURE


def test_what_was_not_let_in_is_not_held(side: Side, tmp_path: Path) -> None:
    file = written(tmp_path / "r.json", receipts.PARTLY)
    assert list(map(str, compared(file, file, None).before.images or ())) == [str(receipts.APP.reference)]
    refused = compared(written(tmp_path / "1.json", receipts.REFUSED), written(tmp_path / "2.json", receipts.SEALED_BY_NOBODY), None)
    assert (refused.before.images, refused.after.images, refused.after.identity, refused.is_same) == ({}, {}, None, True)


@pytest.mark.parametrize(
    ("counted", "signing_now", "gone"),
    [((RELEASE,), (RELEASE, EXPORTER), []), ((RELEASE,), (EXPORTER,), [maker(RELEASE)]), ((), (RELEASE,), [])],
)
def test_a_receipt_names_those_who_counted_and_so_nobody_is_new_beside_it(
    counted: tuple[Key, ...], signing_now: tuple[Key, ...], gone: list[Maker], tmp_path: Path, trust: Trust
) -> None:
    before, after = Side(), Side()
    before.add("app:v1", before.content.image("one"))
    after.add("app:v1", after.content.image("two"), *signing_now)
    receipt, path = written(tmp_path / "r.json", receipt_of(before, *counted)), after.write(tmp_path / "b")
    there, back = (the_one(compared(*files, trust).changed) for files in ((receipt, path), (path, receipt)))
    assert (list(there.signers_gone), there.signers_new) == (gone, ())
    assert (back.signers_gone, list(back.signers_new)) == ((), gone)
    claimed = the_one(compared(receipt, path, None).changed)
    assert (claimed.signers_changed, claimed.signers_untold, there.signers_untold) == (False, True, False)


def test_two_receipts_are_compared_by_what_they_say(tmp_path: Path) -> None:
    before, after = Side(), Side()
    for name, then, now in (("app:v1", "one", "two"), ("same:v1", "same", "same"), ("resigned:v1", "again", "again")):
        before.add(name, before.content.image(then))
        after.add(name, after.content.image(now))
    old, new = receipt_of(before, RELEASE), receipt_of(after, RELEASE)
    resigned = replace(new.images[-1], signers=(SignerRecord("key", STRANGER.fingerprint, "sig"),))
    new = replace(new, images=(*new.images[:-1], resigned))
    found = compared(written(tmp_path / "1", old), written(tmp_path / "2", new), None)
    assert (names(change.after for change in found.changed), found.same) == (["app:v1"], 1)
    change = the_one(found.beside)
    assert (list(change.signers_gone), list(change.signers_new)) == ([maker(RELEASE)], [maker(STRANGER)])


def test_a_return_file_says_what_has_to_be_carried_and_names_no_image(side: Side, tmp_path: Path, trust: Trust) -> None:
    [layer] = layers_of(side)
    has = replace(returns.FULL, held={"plant:5000/app": returns.held([(layer.digest, layer.size)])})
    path = side.write(tmp_path / "b")
    lacking, having = (compared(written(tmp_path / "r.json", each), path, trust) for each in (returns.FULL, has))
    assert (lacking.names_images, lacking.is_same, dict(lacking.carry)) == (False, False, {layer.digest: layer.size})
    assert (having.names_images, having.is_same, having.added) == (False, True, ())
    assert difference_value(having)["before"]["images"] is None


def test_layers_that_lie_elsewhere_are_not_new(side: Side, tmp_path: Path, trust: Trust) -> None:
    whole = side.write(tmp_path / "whole")
    base = Digest.of(Bundle.of(side.content, side.images).seal.statement())
    delta = side.write(tmp_path / "delta", elsewhere=[layer.digest for layer in layers_of(side)], base=(base,))
    for files in ((whole, delta), (delta, whole)):
        found = compared(*files, trust)
        assert (found.is_same, dict(found.carry)) == (True, {})


@pytest.mark.parametrize("text", [b"{}", b'{"payload": 7}', b"{" * 10_000])
def test_json_that_is_not_of_a_station_is_refused(text: bytes, side: Side, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(text)
    with pytest.raises(FormatError) as refused:
        compared(side.write(tmp_path / "b"), tmp_path / "x", None)
    assert refused.value.code is Code.FORMAT_RECEIPT
