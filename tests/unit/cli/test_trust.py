"""The trust folder: where it is looked for, who may write it, and what ``trust`` makes of it (TRS-030 to -046, POL-001 to -021)."""

import json
import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.oci.digest import Digest
from tests.support import signing
from tests.support.signing import Key
from tests.support.station import EXPORTER, RELEASE, STRANGER, Ran, run, write_key, write_trust

NOBODY = 65534


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return write_trust(tmp_path / "trust", rules=[signing.rule(RELEASE, scope="**")], seals=[signing.seal(EXPORTER)])


def check(folder: Path, **how: object) -> Ran:
    return run("trust", "check", folder, "--json", **how)  # type: ignore[arg-type]


def refused(folder: Path) -> str:
    """The code that ``trust check`` and ``verify`` both end in."""
    one, two = check(folder), run("verify", "/nowhere", "--trust", folder, "--json")
    assert (one.exit, two.exit) == (2, 2)
    assert one.code == two.code
    assert one.json["error"]["what"]
    return one.code


# --- who may write it ---


@pytest.mark.parametrize("mode", [0o770, 0o757, 0o1777])
@pytest.mark.parametrize("what", ["", "keys"], ids=["the folder", "keys"])
def test_a_folder_that_others_may_write_is_refused(what: str, mode: int, trust: Path) -> None:
    (trust / what).chmod(mode)
    assert refused(trust) == "trust.permissions"


@pytest.mark.parametrize("mode", [0o660, 0o606, 0o666])
@pytest.mark.parametrize("what", ["trust.toml", "keys/*.pub"])
def test_a_file_that_others_may_write_is_refused(what: str, mode: int, trust: Path) -> None:
    next(trust.glob(what)).chmod(mode)
    assert refused(trust) == "trust.permissions"


def test_what_others_may_only_read_is_fine(trust: Path) -> None:
    trust.chmod(0o755)
    (trust / "trust.toml").chmod(0o644)
    assert check(trust).exit == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("what", ["", "keys", "trust.toml", "keys/*.pub"])
def test_what_belongs_to_somebody_else_is_refused(what: str, trust: Path) -> None:
    os.chown(next(trust.glob(what)) if what else trust, NOBODY, NOBODY)
    assert refused(trust) == "trust.permissions"


@pytest.mark.parametrize("what", ["", "keys", "trust.toml", "keys/*.pub"])
def test_nothing_is_read_through_a_symlink(what: str, trust: Path) -> None:
    path = next(trust.glob(what)) if what else trust
    path.rename(trust.parent / "elsewhere")
    path.symlink_to(trust.parent / "elsewhere")
    assert refused(trust) == "trust.permissions"


@pytest.mark.parametrize("what", ["trust.toml", "keys/*.pub"])
@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(kind: str, what: str, trust: Path) -> None:
    path = next(trust.glob(what))
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path, 0o600)
    else:
        path.mkdir(0o700)
    assert refused(trust) == "trust.permissions"


# --- what is in it ---


@pytest.mark.parametrize("what", ["", "trust.toml"])
def test_a_missing_folder_or_file_is_no_trust(what: str, trust: Path) -> None:
    if what:
        (trust / what).unlink()
    else:
        trust.rename(trust.parent / "elsewhere")
    assert refused(trust) == "trust.missing"


def test_a_key_that_is_not_there_is_refused(trust: Path) -> None:
    next(trust.glob("keys/*.pub")).unlink()
    assert refused(trust) == "trust.key"


RULE = f'\n[[rule]]\nscope = "registry.example/**"\nsigner = [{{ key = "keys/{RELEASE.fingerprint.removeprefix("sha256:")}.pub" }}]\n'
BROKEN = {
    "POL-001 empty": ("", "trust.form"),
    "POL-001 not TOML": ("version = ", "trust.form"),
    "POL-001 not UTF-8": ("version = 1\nserial = 1\n# \udcff", "trust.form"),
    "POL-001 a name twice": ("version = 1\nversion = 1\nserial = 1", "trust.form"),
    "POL-002 a slip": ("version = 1\nserial = 1" + RULE + "threshhold = 2", "trust.form"),
    "POL-002 an unknown table": ("version = 1\nserial = 1\n[[allow]]\nall = true", "trust.form"),
    "POL-003 another version": ("version = 2\nserial = 1", "trust.form"),
    "POL-003 no version": ("serial = 1", "trust.form"),
    "no serial": ("version = 1", "trust.form"),
    "serial 0": ("version = 1\nserial = 0", "trust.form"),
    "POL-005 threshold 0": ("version = 1\nserial = 1" + RULE + "threshold = 0", "trust.form"),
    "POL-005 threshold -1": ("version = 1\nserial = 1" + RULE + "threshold = -1", "trust.form"),
    "POL-005 threshold 1.5": ("version = 1\nserial = 1" + RULE + "threshold = 1.5", "trust.form"),
    "POL-005 threshold true": ("version = 1\nserial = 1" + RULE + "threshold = true", "trust.form"),
    "POL-006 threshold 2 of 1": ("version = 1\nserial = 1" + RULE + "threshold = 2", "trust.form"),
    "POL-011 a scope in upper case": ("version = 1\nserial = 1" + RULE.replace("registry", "Registry"), "trust.form"),
    "POL-012 a regular expression": ("version = 1\nserial = 1" + RULE.replace("registry.example/**", "(a+)+$"), "trust.form"),
    "POL-013 a key outside": ("version = 1\nserial = 1" + RULE.replace("keys/", "../keys/"), "trust.key"),
    "POL-013 an absolute key": ("version = 1\nserial = 1" + RULE.replace("keys/", "/etc/"), "trust.key"),
    "POL-020 a scope twice": ("version = 1\nserial = 1" + RULE + RULE, "trust.form"),
    "POL-021 too large": ("version = 1\nserial = 1\n" + "# a remark\n" * 120_000, "trust.form"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_trust_that_is_not_understood_admits_nothing(case: str, trust: Path) -> None:
    text, code = BROKEN[case]
    (trust / "trust.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert refused(trust) == code


def test_one_key_in_both_roles_is_refused(trust: Path) -> None:
    write_trust(trust, rules=[signing.rule(RELEASE, EXPORTER, scope="**", threshold=1)], seals=[signing.seal(EXPORTER)])
    assert refused(trust) == "trust.roles"


@pytest.mark.parametrize("content", ["", "no key", "{private}", "{key}{key}", "{key}\n{private}"])
def test_a_key_file_holds_one_public_key(content: str, trust: Path, tmp_path: Path) -> None:
    private = write_key(tmp_path / "release.key", RELEASE).read_text()
    path = trust / f"keys/{RELEASE.fingerprint.removeprefix('sha256:')}.pub"
    path.write_text(content.format(key=RELEASE.pem.decode(), private=private))
    assert refused(trust) == "trust.key"


def test_other_files_in_the_folder_are_never_read(trust: Path) -> None:
    """TRS-046."""
    digest = check(trust).json["digest"]
    (trust / "README").write_text("who brought this folder")
    (trust / "keys" / "old.pem~").write_text("no key")
    (trust / ".trust.toml.swp").write_bytes(b"\0")
    assert check(trust).json["digest"] == digest


def test_a_key_may_be_named_by_its_fingerprint(trust: Path) -> None:
    path = trust / "trust.toml"
    path.write_text(path.read_text().replace(f"keys/{RELEASE.fingerprint.removeprefix('sha256:')}.pub", RELEASE.fingerprint))
    (trust / f"keys/{RELEASE.fingerprint.removeprefix('sha256:')}.pub").rename(trust / "keys/release-team.pub")
    assert check(trust).json["rules"][0]["signers"][0]["id"] == RELEASE.fingerprint


# --- where it is looked for ---


def found(env: dict[str, str], *words: object) -> str:
    """Where a run finds its trust; nothing is judged, for there is no bundle."""
    ran = run("verify", "docker://127.0.0.1:1/none", "--json", *words, env=env)
    return str(ran.json.get("error", {}).get("code"))


@pytest.mark.parametrize("env", [{}, {"XDG_CONFIG_HOME": "."}, {"XDG_CONFIG_HOME": "config"}, {"XDG_CONFIG_HOME": "", "HOME": "."}])
def test_the_working_folder_is_never_looked_into(env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Media carry folders too. What is no absolute path is ignored, as the XDG specification has it."""
    for name in ("trust", "oci-bundler/trust", "config/oci-bundler/trust", ".config/oci-bundler/trust"):
        write_trust(tmp_path / name, rules=[signing.rule(RELEASE, scope="**")])
    monkeypatch.chdir(tmp_path)
    assert found(env) == "trust.missing"


def test_an_environment_that_names_nothing_is_an_error_and_not_the_next_place(tmp_path: Path) -> None:
    write_trust(tmp_path / "config/oci-bundler/trust", rules=[signing.rule(RELEASE, scope="**")])
    env = {"OCI_BUNDLER_TRUST": str(tmp_path / "none"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert found(env) == "trust.missing"


# --- trust init, add, list, check ---


def test_init_makes_a_folder_that_loads_and_trusts_nobody(tmp_path: Path) -> None:
    ran = run("trust", "init", tmp_path / "new/trust", "--json")
    assert ran.exit == 0
    assert ran.json == {"path": str(tmp_path / "new/trust"), "digest": check(tmp_path / "new/trust").json["digest"], "serial": 1} | {
        name: [] for name in ("seals", "roots", "stores", "rules")
    }
    assert tomllib.loads((tmp_path / "new/trust/trust.toml").read_text()) == {"version": 1, "serial": 1}
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in ((tmp_path / "new/trust"), *(tmp_path / "new/trust").iterdir())}
    assert modes == {"trust": 0o700, "keys": 0o700, "trust.toml": 0o600}


def test_init_takes_an_empty_folder_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir(mode=0o755)
    assert run("trust", "init", tmp_path / "empty").exit == 0
    for taken in ("empty", "file", "full", "link"):
        if taken == "file":
            (tmp_path / taken).write_text("")
        if taken == "full":
            (tmp_path / taken).mkdir()
            (tmp_path / taken / "x").write_text("")
        if taken == "link":
            (tmp_path / "target").mkdir()
            (tmp_path / taken).symlink_to(tmp_path / "target")
        ran = run("trust", "init", tmp_path / taken, "--json")
        assert (ran.exit, ran.code) == (8, "output.exists"), taken
    assert list((tmp_path / "target").iterdir()) == []


def added(folder: Path, *words: object) -> Ran:
    return run("trust", "add", folder, *words, "--json")


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    made = {"release": RELEASE, "exporter": EXPORTER, "second": signing.THIRD, "stranger": STRANGER}
    return {name: write_key(tmp_path / f"{name}.key", key).with_suffix(".pub") for name, key in made.items()}


def test_the_order_of_a_stream_is_written_shown_and_kept_when_a_key_goes(tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    both = ("--key", keys["exporter"], "--key", keys["second"], "--threshold", 1)
    ran = added(folder, "--seal", "platform", "--scope", "**", *both, "--order", "chain")
    assert ran.json["seals"][0]["order"] == "chain"
    assert "       in the order chain\n" in run("trust", "list", folder).out
    assert run("trust", "remove", folder, keys["second"]).exit == 0
    assert 'order = "chain"' in (folder / "trust.toml").read_text()
    assert added(folder, "--seal", "platform", "--scope", "a.example/*", "--key", keys["second"], "--order", "any").code == "trust.form"
    assert added(folder, "--image", "**", "--key", keys["release"], "--order", "any").code == "usage"
    assert added(folder, "--seal", "platform", "--scope", "**", "--key", keys["second"], "--order", "older").exit == 2


def test_a_stream_keeps_its_order_when_its_only_key_is_replaced(tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    added(folder, "--seal", "platform", "--scope", "**", "--key", keys["exporter"], "--order", "chain")
    assert added(folder, "--seal", "platform", "--scope", "**", "--key", keys["second"]).exit == 0
    assert run("trust", "remove", folder, keys["exporter"]).exit == 0
    assert [seal["order"] for seal in run("trust", "list", folder, "--json").json["seals"]] == ["chain"]


def test_add_copies_the_keys_and_raises_the_serial(tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    words = ["--seal", "platform", "--scope", "registry.example/**", "--scope", "cgr.dev/*/*", "--key", keys["exporter"]]
    assert added(folder, *words).json["serial"] == 2
    ran = added(
        folder, "--image", "registry.example/app/**", "--key", keys["release"], "--key", keys["second"], "--threshold", 2, "--node", "both"
    )
    assert ran.json["serial"] == 3
    assert ran.json["seals"] == [
        {
            "stream": "platform",
            "scopes": ["registry.example/**", "cgr.dev/*/*"],
            "keys": [EXPORTER.fingerprint],
            "names": ["exporter"],
            "threshold": 1,
            "order": None,
        }
    ]
    [rule] = ran.json["rules"]
    assert (rule["scope"], rule["threshold"], rule["node"], rule["name"]) == ("registry.example/app/**", 2, "both", "any")
    assert [signer["id"] for signer in rule["signers"]] == [RELEASE.fingerprint, signing.THIRD.fingerprint]
    named = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder / "keys").iterdir()}
    assert named == {f"{key.fingerprint.removeprefix('sha256:')}.pub": 0o600 for key in (RELEASE, EXPORTER, signing.THIRD)}
    assert stat.S_IMODE((folder / "trust.toml").stat().st_mode) == 0o600
    assert run("trust", "list", folder, "--json").json == ran.json


def test_the_digest_of_trust_changes_with_each_thing_in_it(tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    digests = [run("trust", "init", folder, "--json").json["digest"]]
    digests.append(added(folder, "--seal", "a", "--scope", "**", "--key", keys["exporter"]).json["digest"])
    digests.append(added(folder, "--image", "**", "--key", keys["release"]).json["digest"])
    assert len({Digest.parse(digest) for digest in digests}) == 3


def test_short_names_of_attestations_are_written_as_their_uris(tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    words = ["--attestation", "spdxjson", "--attestation", "slsaprovenance1", "--attestation", "https://example.test/own/v1"]
    ran = added(folder, "--image", "**", "--key", keys["release"], *words)
    wanted = ["https://spdx.dev/Document", "https://slsa.dev/provenance/v1", "https://example.test/own/v1"]
    assert ran.json["rules"][0]["attestations"] == wanted
    assert tomllib.loads((folder / "trust.toml").read_text())["rule"][0]["attestations"] == wanted


def test_attestations_alone_are_asked_for_with_threshold_0(tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    assert added(folder, "--image", "**", "--key", keys["release"], "--threshold", 0).exit == 2
    assert added(folder, "--image", "**", "--key", keys["release"], "--threshold", 0, "--attestation", "spdx").exit == 0


def test_a_name_that_must_be_signed_comes_with_a_warning(tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    ran = added(folder, "--image", "**", "--key", keys["release"], "--name", "signed")
    assert ran.json["rules"][0]["name"] == "signed"
    assert "signed by cosign 3 alone will be refused" in ran.err


REFUSED: dict[str, list[str]] = {
    "neither": ["--key", "{release}"],
    "both": ["--seal", "a", "--image", "**", "--scope", "**", "--key", "{release}"],
    "no key": ["--image", "**"],
    "no scope": ["--seal", "a", "--key", "{exporter}"],
    "a scope for an image": ["--image", "**", "--scope", "**", "--key", "{release}"],
    "a node for a seal": ["--seal", "a", "--scope", "**", "--key", "{exporter}", "--node", "both"],
    "two keys and no threshold": ["--image", "**", "--key", "{release}", "--key", "{second}"],
    "a threshold above the keys": ["--image", "**", "--key", "{release}", "--threshold", "2"],
    "a threshold of 0 for a seal": ["--seal", "a", "--scope", "**", "--key", "{exporter}", "--threshold", "0"],
    "a key twice": ["--image", "**", "--key", "{release}", "--key", "{release}", "--threshold", "1"],
    "a bad stream": ["--seal", "a b", "--scope", "**", "--key", "{exporter}"],
    "a bad scope": ["--image", "registry.example/app*", "--key", "{release}"],
    "a short repository": ["--image", "alpine", "--key", "{release}"],
    "a bad node": ["--image", "**", "--key", "{release}", "--node", "some"],
    "a short name nobody knows": ["--image", "**", "--key", "{release}", "--attestation", "sbom"],
    "cosign's own predicate": ["--image", "**", "--key", "{release}", "--attestation", "https://sigstore.dev/cosign/sign/v1"],
    "a private key": ["--image", "**", "--key", "{private}"],
    "a missing key": ["--image", "**", "--key", "/nowhere"],
    "a key that seals": ["--image", "x.example/**", "--key", "{exporter}"],
    "a scope with a line end": ["--image", "registry.example/a\n/b", "--key", "{release}"],
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_no_trust_changes_nothing(case: str, tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    added(folder, "--seal", "default", "--scope", "**", "--key", keys["exporter"])
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    named = {name: str(path) for name, path in keys.items()} | {"private": str(keys["release"].with_suffix(".key"))}
    assert added(folder, *(word.format(**named) for word in REFUSED[case])).exit == 2
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_key_that_is_there_with_other_bytes_is_not_taken_for_the_new_one(tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    (folder / "keys" / f"{RELEASE.fingerprint.removeprefix('sha256:')}.pub").write_bytes(STRANGER.pem)
    before = (folder / "trust.toml").read_bytes()
    ran = added(folder, "--image", "**", "--key", keys["release"])
    assert (ran.exit, ran.code) == (8, "output.exists")
    assert (folder / "trust.toml").read_bytes() == before


def test_what_a_person_wrote_by_hand_stays_as_it_is(tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    text = "# ours\r\nversion = 1 # of this form\r\nserial = 41 # last changed by ops\r\n\r\n"
    (folder / "trust.toml").write_bytes(text.encode())
    assert added(folder, "--image", "**", "--key", keys["release"]).json["serial"] == 42
    after = (folder / "trust.toml").read_bytes().decode()
    assert after.startswith(text.replace("41", "42").rstrip("\r\n"))


@pytest.mark.parametrize("broken", [lambda f: (f / "trust.toml").write_text("version = 9"), lambda f: f.chmod(0o777)])
def test_nothing_is_added_to_trust_that_cannot_be_used(broken: Callable[[Path], object], tmp_path: Path, keys: dict[str, Path]) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    broken(folder)
    assert added(folder, "--image", "**", "--key", keys["release"]).exit == 2


def test_list_says_who_may_what_in_words(trust: Path) -> None:
    words = run("trust", "list", trust).out
    assert words.splitlines() == [
        f"trust {check(trust).json['digest']}, serial 1",
        f"seal   default: 1 of {EXPORTER.fingerprint[:19]}…",
        "       may carry **",
        f"image  **: 1 of {RELEASE.fingerprint[:19]}… on reference",
        f"key    {EXPORTER.fingerprint}",
        f"key    {RELEASE.fingerprint}",
    ]


@pytest.mark.parametrize("kind", ["rsa2048", "ed25519", "p521"])
def test_a_key_that_may_sign_images_and_no_seal_is_refused_for_a_seal(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    public = write_key(tmp_path / "k.key", Key.of(kind)).with_suffix(".pub")
    assert added(folder, "--seal", "a", "--scope", "**", "--key", public).code == "trust.key"
    assert added(folder, "--image", "**", "--key", public).exit == 0


def test_json_of_trust_is_one_object(trust: Path) -> None:
    for words in (["list", trust], ["check", trust]):
        assert set(json.loads(run("trust", *words, "--json").out)) == {"path", "digest", "serial", "seals", "roots", "stores", "rules"}
