"""Taking out of trust what no longer counts: a rule, a key; and a first trust in one command."""

import tomllib
from pathlib import Path

import pytest

from tests.support import signing
from tests.support.station import EXPORTER, RELEASE, STRANGER, Ran, run, write_key


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    made = {"release": RELEASE, "exporter": EXPORTER, "second": signing.THIRD, "stranger": STRANGER}
    return {name: write_key(tmp_path / f"{name}.key", key).with_suffix(".pub") for name, key in made.items()}


@pytest.fixture
def folder(tmp_path: Path, keys: dict[str, Path]) -> Path:
    """Whoever may seal, one key for all images, and two for some."""
    folder = tmp_path / "trust"
    words = ("--seal-key", keys["exporter"], "--image-key", keys["release"], "--scope", "registry.example/**")
    assert run("trust", "init", folder, *words).exit == 0
    some = ("--image", "registry.example/app/**", "--key", keys["release"], "--key", keys["second"], "--threshold", "1")
    assert run("trust", "add", folder, *some).exit == 0
    return folder


def removed(*words: object) -> Ran:
    return run("trust", "remove", *words, "--json")


def table(folder: Path) -> dict[str, object]:
    return tomllib.loads((folder / "trust.toml").read_text())


# --- trust init with keys ---


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--seal-key", "{exporter}"], "usage"),
        (["--scope", "**"], "usage"),
        (["--seal-key", "{exporter}", "--image-key", "{exporter}", "--scope", "**"], "trust.roles"),
        (["--seal-key", "/nowhere", "--scope", "**"], "usage.input"),
        (["--seal-key", "{exporter}", "--scope", "*x*/"], "trust.form"),
    ],
)
def test_what_would_be_no_trust_leaves_nothing(words: list[str], code: str, keys: dict[str, Path], tmp_path: Path) -> None:
    ran = run("trust", "init", tmp_path / "new", *(word.format(**keys) for word in words), "--json")
    assert (ran.exit, ran.code) == (2, code)
    assert not (tmp_path / "new").exists()


# --- trust remove ---


def test_a_rule_goes_by_its_scope_and_what_then_holds_is_said(folder: Path) -> None:
    ran = removed(folder, "registry.example/app/**")
    assert ran.exit == 0
    assert [rule["scope"] for rule in ran.json["rules"]] == ["registry.example/**"]
    assert (ran.json["serial"], len(ran.json["seals"])) == (3, 1)
    assert "images of registry.example/app/** are judged by the rule for registry.example/** from now on" in ran.err
    assert "images of registry.example/** may not enter any more" in removed(folder, "registry.example/**").err


@pytest.mark.parametrize("by", ["file", "fingerprint"])
def test_a_key_goes_wherever_it_counts(by: str, folder: Path, keys: dict[str, Path]) -> None:
    ran = removed(folder, keys["release"] if by == "file" else RELEASE.fingerprint)
    assert ran.exit == 0
    assert [(rule["scope"], [signer["id"] for signer in rule["signers"]]) for rule in ran.json["rules"]] == [
        ("registry.example/app/**", [signing.THIRD.fingerprint])
    ]
    assert ran.json["seals"][0]["keys"] == [EXPORTER.fingerprint]
    assert removed(folder, EXPORTER.fingerprint).json["seals"] == []


def test_what_is_not_there_is_refused_with_what_is(folder: Path, keys: dict[str, Path]) -> None:
    before = (folder / "trust.toml").read_bytes()
    for what in ("registry.example/other/**", STRANGER.fingerprint, keys["stranger"], "x" * 10_000, "x\0"):
        ran = removed(folder, what)
        assert (ran.exit, ran.code) == (2, "usage.input")
        assert ran.json["error"]["wanted"].startswith("registry.example/**, registry.example/app/**, sha256:")
    assert (folder / "trust.toml").read_bytes() == before


def test_fewer_keys_than_are_needed_are_not_left(folder: Path, keys: dict[str, Path]) -> None:
    words = ("--image", "two.example/**", "--key", keys["release"], "--key", keys["second"], "--threshold", "2")
    assert run("trust", "add", folder, *words).exit == 0
    before = (folder / "trust.toml").read_bytes()
    ran = removed(folder, signing.THIRD.fingerprint)
    assert (ran.exit, ran.code) == (2, "trust.form")
    assert "add the key that takes its place first" in ran.json["error"]["next"]
    assert (folder / "trust.toml").read_bytes() == before


def test_a_key_that_counts_for_an_attestation_is_not_left_to_count(folder: Path, keys: dict[str, Path]) -> None:
    name = f"keys/{signing.THIRD.fingerprint.removeprefix('sha256:')}.pub"
    with (folder / "trust.toml").open("a") as file:
        file.write(
            f'\n[[rule]]\nscope = "att.example/**"\nsigner = [{{ key = "keys/{RELEASE.fingerprint.removeprefix("sha256:")}.pub" }}]\n'
            f'[[rule.attestations]]\ntype = "https://spdx.dev/Document"\nsigner = [{{ key = "{name}" }}]\n'
        )
    assert run("trust", "check", folder).exit == 0
    before = (folder / "trust.toml").read_bytes()
    ran = removed(folder, signing.THIRD.fingerprint)
    assert (ran.exit, ran.code) == (2, "trust.form")
    assert (folder / "trust.toml").read_bytes() == before
    assert removed(folder, "att.example/**").exit == 0  # with the tables inside of it
    assert "attestations" not in (folder / "trust.toml").read_text()


BY_HAND = """# ours
version = 1
serial = 7  # by ops

# who seals
[[ seal ]] # the first
stream = "default"
scopes = [
  "**",  # all
]
keys = ["{exporter}"]

# for the old images
[[rule]]
scope = "old.example/**"
signer = [{{ key = "{release}" }}]
# said inside

# for the new ones
[[rule]]
scope = "new.example/**"
signer = [{{ key = "{release}" }}]
"""


@pytest.fixture
def by_hand(tmp_path: Path, keys: dict[str, Path]) -> Path:
    folder = tmp_path / "hand"
    (folder / "keys").mkdir(parents=True, mode=0o755)
    names = {name: f"keys/{name}.pub" for name in keys}
    for name, path in keys.items():
        (folder / names[name]).write_bytes(path.read_bytes())
    (folder / "trust.toml").write_text(BY_HAND.format(**names))
    return folder


def test_what_a_person_wrote_around_it_stays(by_hand: Path) -> None:
    before = (by_hand / "trust.toml").read_text()
    assert removed(by_hand, "old.example/**").exit == 0
    rule = before[before.index('[[rule]]\nscope = "old') : before.index("# said inside")]
    assert (by_hand / "trust.toml").read_text() == before.replace(rule, "").replace("serial = 7", "serial = 8")


def test_a_file_that_cannot_be_changed_by_lines_is_left_to_a_person(by_hand: Path) -> None:
    text = (by_hand / "trust.toml").read_text()
    body = text.index("# for the old")
    inline = '\nrule = [{ scope = "old.example/**", signer = [{ key = "keys/release.pub" }] }]\n'
    (by_hand / "trust.toml").write_text(text[: text.index("# who seals")] + inline + text[text.index("# who seals") : body])
    assert run("trust", "check", by_hand).exit == 0
    before = (by_hand / "trust.toml").read_bytes()
    ran = removed(by_hand, "old.example/**")
    assert (ran.exit, ran.code, ran.json["error"]["next"]) == (2, "trust.form", "take it out with an editor, and raise the serial by one")
    assert (by_hand / "trust.toml").read_bytes() == before


def test_without_a_folder_it_is_the_one_that_import_finds(folder: Path, keys: dict[str, Path]) -> None:
    env = {"OCI_BUNDLER_TRUST": str(folder)}
    assert run("trust", "add", "--image", "b.example/**", "--key", keys["second"], env=env).exit == 0
    assert [rule["scope"] for rule in run("trust", "list", "--json", env=env).json["rules"]][-1] == "b.example/**"
    assert run("trust", "check", env=env).exit == 0
    assert run("trust", "remove", "b.example/**", env=env).exit == 0
    assert len(table(folder)["rule"]) == 2  # type: ignore[arg-type]
    assert run("trust", "remove", folder, "a", "b").exit == 2


# --- the next step ---


def test_a_second_rule_for_a_scope_is_told_how_to_replace_the_first(folder: Path, keys: dict[str, Path]) -> None:
    ran = run("trust", "add", folder, "--image", "registry.example/**", "--key", keys["second"], "--json")
    assert (ran.exit, ran.code) == (2, "trust.form")
    assert ran.json["error"]["next"] == f"to replace it: oci-bundler trust remove {folder} 'registry.example/**'"


@pytest.mark.parametrize("what", [["--image", "two.example/**"], ["--seal", "two", "--scope", "**"]])
def test_two_keys_are_told_that_a_threshold_is_wanted(what: list[str], folder: Path, keys: dict[str, Path]) -> None:
    ran = run("trust", "add", folder, *what, "--key", keys["second"], "--key", keys["stranger"], "--json")
    assert (ran.exit, ran.json["error"]["wanted"]) == (2, "--threshold N, 1 to 2")
