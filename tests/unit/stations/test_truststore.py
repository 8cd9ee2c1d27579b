"""A trust folder with roots and stores: all of it is read, checked, and carried as evidence."""

import json
from pathlib import Path

import pytest

from bundler.errors import Code, ConflictError, UsageError
from bundler.stations import truststore
from bundler.stations.newanchors import NewRoot, NewStore
from bundler.stations.truststore import NewRule
from bundler.trust.notation.store import StoreType
from bundler.trust.sigstore.anchor import Root
from tests.support import notary, signing
from tests.support.world import IDENTITY, ISSUER, World, canonical

WORLD = World()
ROOT = canonical(WORLD.root_json())
SIGNER = {"issuer": ISSUER, "identity": IDENTITY, "root": "ours"}


@pytest.fixture
def trust(tmp_path: Path) -> truststore.Trust:
    return truststore.init(tmp_path / "trust")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root.json").write_bytes(ROOT)
    return tmp_path / "root.json"


@pytest.fixture
def store(tmp_path: Path) -> NewStore:
    (tmp_path / "ca.der").write_bytes(notary.ROOT.der)
    (tmp_path / "ca.crl").write_bytes(notary.crl_of(notary.ROOT))
    return NewStore("release", StoreType.CA, [tmp_path / "ca.der"], [tmp_path / "ca.crl"])


def pinned(trust: truststore.Trust, root: Path) -> truststore.Trust:
    return truststore.add(trust, anchors=[NewRoot("ours", root)])


# --- written and read ---


def test_a_root_and_a_rule_by_it_are_one_change(trust: truststore.Trust, root: Path) -> None:
    after = truststore.add(trust, anchors=[NewRoot("ours", root, timestamp=1)], rule=NewRule("**", signers=[SIGNER]))
    assert after.policy.serial == 2
    assert after.files["roots/ours.json"] == ROOT
    [pinned] = after.policy.anchors
    assert isinstance(pinned, Root)
    assert (pinned.needed.log, pinned.needed.timestamp, pinned.needed.sct) == (1, 1, 1)
    assert after.policy.rules[0].signers[0].kind == "identity"
    assert truststore.read(trust.path).policy == after.policy


def test_files_of_a_store_go_by_their_digests_and_are_the_owners_alone(trust: truststore.Trust, store: NewStore) -> None:
    after = truststore.add(trust, anchors=[store])
    names = sorted(after.files)
    assert sorted(name.rpartition(".")[2] for name in names) == ["crl", "crt"]
    assert sorted(after.files.values()) == sorted(path.read_bytes() for path in (*store.certificates, *store.crls))
    for name in names:
        assert (trust.path / name).stat().st_mode & 0o777 == 0o600
        assert (trust.path / name).parent.stat().st_mode & 0o777 == 0o700


def test_a_root_beyond_the_limit_of_trust_toml_is_read(trust: truststore.Trust, tmp_path: Path) -> None:
    big = tmp_path / "big.json"
    big.write_bytes(ROOT + b" " * (2 << 20))
    assert len(pinned(trust, big).files["roots/ours.json"]) > 2 << 20


def test_the_same_root_again_is_no_second_one(trust: truststore.Trust, root: Path) -> None:
    truststore_ = pinned(trust, root)
    after = truststore.add(truststore_, anchors=[NewRoot("ours", root)], rule=NewRule("**", signers=[SIGNER]))
    assert [each.name for each in after.policy.anchors] == ["ours"]
    assert truststore.add(after, anchors=[NewRoot("ours")]).policy.serial == after.policy.serial


@pytest.mark.parametrize("other", [{"log": 0, "timestamp": 1}, {"sct": 0}])
def test_another_number_for_a_root_that_is_there_is_refused(trust: truststore.Trust, root: Path, other: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="another root is named ours") as refusal:
        truststore.add(pinned(trust, root), anchors=[NewRoot("ours", root, **other)])
    assert refusal.value.code is Code.TRUST_FORM


def test_another_file_for_a_root_that_is_there_is_refused(trust: truststore.Trust, root: Path) -> None:
    after = pinned(trust, root)
    root.write_bytes(ROOT + b"\n")
    with pytest.raises(UsageError, match="another root is named ours"):
        truststore.add(after, anchors=[NewRoot("ours", root)])
    assert truststore.read(trust.path).files["roots/ours.json"] == ROOT


def test_a_file_that_is_in_the_way_is_not_replaced(trust: truststore.Trust, root: Path) -> None:
    (trust.path / "roots").mkdir(mode=0o700)
    (trust.path / "roots" / "ours.json").write_bytes(b"of somebody")
    with pytest.raises(ConflictError):
        pinned(trust, root)
    assert (trust.path / "roots" / "ours.json").read_bytes() == b"of somebody"
    assert truststore.read(trust.path).policy.serial == 1


@pytest.mark.parametrize("name", ["../ours", "a/b", "", "."])
def test_a_name_that_leads_elsewhere_is_none(trust: truststore.Trust, root: Path, name: str) -> None:
    with pytest.raises(UsageError):
        truststore.add(trust, anchors=[NewRoot(name, root)])
    assert sorted(path.name for path in trust.path.iterdir()) == ["keys", "trust.toml"]
    assert not (trust.path.parent / "ours.json").exists()


def test_what_is_no_root_is_wrong_with_trust_and_leaves_it_as_it_was(trust: truststore.Trust, tmp_path: Path) -> None:
    """Exit 2, as for everything that the station's owner has to mend."""
    (tmp_path / "none.json").write_text(json.dumps({"mediaType": "application/json"}))
    with pytest.raises(UsageError) as refusal:
        pinned(trust, tmp_path / "none.json")
    assert refusal.value.code is Code.TRUST_FORM
    assert truststore.read(trust.path).policy.digest == trust.policy.digest


def test_what_is_no_certificate_makes_no_store(trust: truststore.Trust, root: Path) -> None:
    with pytest.raises(UsageError):
        truststore.add(trust, anchors=[NewStore("release", StoreType.CA, [root])])


# --- whose files ---


def test_a_root_that_others_may_write_is_refused(trust: truststore.Trust, root: Path) -> None:
    path = pinned(trust, root).path / "roots" / "ours.json"
    path.chmod(0o666)
    with pytest.raises(UsageError) as refusal:
        truststore.read(trust.path)
    assert refusal.value.code is Code.TRUST_PERMISSIONS


def test_a_folder_of_a_store_that_others_may_write_is_refused(trust: truststore.Trust, store: NewStore) -> None:
    folder = truststore.add(trust, anchors=[store]).path / "stores" / "release"
    for place in (folder, folder.parent):
        place.chmod(0o777)
        with pytest.raises(UsageError) as refusal:
            truststore.read(trust.path)
        assert refusal.value.code is Code.TRUST_PERMISSIONS
        place.chmod(0o700)
    truststore.read(trust.path)


def test_a_root_behind_a_symlink_is_refused(trust: truststore.Trust, root: Path) -> None:
    path = pinned(trust, root).path / "roots" / "ours.json"
    path.unlink()
    path.symlink_to(root)
    with pytest.raises(UsageError) as refusal:
        truststore.read(trust.path)
    assert refusal.value.code is Code.TRUST_PERMISSIONS


def test_a_root_that_is_gone_is_no_weaker_trust(trust: truststore.Trust, root: Path) -> None:
    (pinned(trust, root).path / "roots" / "ours.json").unlink()
    with pytest.raises(UsageError):
        truststore.read(trust.path)


# --- what stands behind a signer ---


def test_behind_an_identity_is_its_root(trust: truststore.Trust, root: Path) -> None:
    after = truststore.add(trust, anchors=[NewRoot("ours", root)], rule=NewRule("**", signers=[SIGNER]))
    assert list(after.behind(after.policy.rules[0].signers[0])) == [ROOT]


def test_behind_a_logged_key_are_key_and_root(trust: truststore.Trust, root: Path, tmp_path: Path) -> None:
    (tmp_path / "a.pub").write_bytes(signing.P256.pem)
    rule = NewRule("**", keys=[tmp_path / "a.pub"], key_log={"root": "ours", "log": 1})
    after = truststore.add(trust, anchors=[NewRoot("ours", root)], rule=rule)
    assert list(after.behind(after.policy.rules[0].signers[0])) == [signing.P256.pem, ROOT]


def test_behind_a_subject_are_the_files_of_its_stores(trust: truststore.Trust, store: NewStore, tmp_path: Path) -> None:
    (tmp_path / "tsa.pem").write_bytes(WORLD.tsa_ca.pem)
    trust = truststore.add(trust, anchors=[NewStore("stamps", StoreType.TSA, [tmp_path / "tsa.pem"])])
    rule = NewRule("**", signers=[{"store": "release", "subject": "*", "tsa": "stamps"}])
    after = truststore.add(trust, anchors=[store], rule=rule)
    carried = [path.read_bytes() for path in (*store.certificates, *store.crls, tmp_path / "tsa.pem")]
    assert list(after.behind(after.policy.rules[0].signers[0])) == carried
