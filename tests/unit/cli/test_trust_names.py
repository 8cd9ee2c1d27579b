"""What signers and sealers are called: written by ``trust add``, shown everywhere, and never a reason for anything."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support import signing
from tests.support.station import EXPORTER, RELEASE, STRANGER, Ran, run, write_key


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    made = {"release": RELEASE, "exporter": EXPORTER, "second": signing.THIRD, "stranger": STRANGER}
    return {name: write_key(tmp_path / f"{name}.key", key).with_suffix(".pub") for name, key in made.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "trust"
    run("trust", "init", folder)
    return folder


def added(folder: Path, *words: object) -> Ran:
    return run("trust", "add", folder, *words, "--json")


def table(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "trust.toml").read_text())


def names(ran: Ran) -> list[list[str | None]]:
    """Of the signers of each rule, behind those of each seal."""
    seals = [seal["names"] for seal in ran.json["seals"]]
    return [*seals, *([signer["name"] for signer in rule["signers"]] for rule in ran.json["rules"])]


def test_a_key_is_called_by_its_file_unless_it_is_given_a_name(folder: Path, keys: dict[str, Path]) -> None:
    assert names(added(folder, "--seal", "a", "--scope", "**", "--key", keys["exporter"])) == [["exporter"]]
    ran = added(folder, "--image", "a.test/**", "--key", keys["release"], "--as", "release team")
    assert names(ran) == [["exporter"], ["release team"]]
    [seal] = table(folder)["seal"]
    assert seal["names"] == {seal["keys"][0]: "exporter"}
    assert table(folder)["rule"][0]["signer"][0]["name"] == "release team"


def test_several_signers_are_named_in_their_order(folder: Path, keys: dict[str, Path]) -> None:
    both = ("--key", keys["release"], "--key", keys["second"], "--threshold", 1)
    assert names(added(folder, "--image", "a.test/**", *both, "--as", "A", "--as", "B")) == [["A", "B"]]
    assert names(added(folder, "--seal", "x", "--scope", "**", "--key", keys["exporter"], "--as", "C")) == [["C"], ["A", "B"]]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--image", "**", "--key", "{release}", "--as", "A", "--as", "B"], "usage"),
        (["--image", "**", "--key", "{release}", "--key", "{second}", "--threshold", "1", "--as", "A"], "usage"),
        (["--image", "**", "--key", "{release}", "--key", "{second}", "--threshold", "1", "--as", "A", "--as", "a"], "trust.form"),
        (["--seal", "a", "--scope", "**", "--key", "{exporter}", "--as", "A", "--as", "B"], "usage"),
        (["--root", "{release}", "--as", "A"], "usage"),
        (["--image", "**", "--key", "{release}", "--as", "sha256:1"], "trust.form"),
        (["--image", "**", "--key", "{release}", "--as", "release (SHA256:64f1a2b3c4d5…)"], "trust.form"),
        (["--image", "**", "--key", "{release}", "--as", ""], "trust.form"),
        (["--image", "**", "--key", "{release}", "--as", "a\x1b[2J"], "trust.form"),
        (["--seal", "a", "--scope", "**", "--key", "{exporter}", "--as", "x" * 65], "trust.form"),
    ],
)
def test_a_name_that_cannot_be_one_changes_nothing(words: list[str], code: str, folder: Path, keys: dict[str, Path]) -> None:
    before = (folder / "trust.toml").read_bytes()
    ran = added(folder, *(word.format(**keys) for word in words))
    assert (ran.exit, ran.code) == (2, code)
    assert (folder / "trust.toml").read_bytes() == before


def test_two_files_of_one_name_make_no_two_signers_of_one_name(folder: Path, keys: dict[str, Path], tmp_path: Path) -> None:
    """cosign calls every key cosign.pub."""
    for number, key in enumerate((RELEASE, STRANGER)):
        (tmp_path / str(number)).mkdir()
        write_key(tmp_path / str(number) / "cosign.key", key)
    first, second = (tmp_path / str(number) / "cosign.pub" for number in (0, 1))
    assert names(added(folder, "--image", "a.test/**", "--key", first)) == [["cosign"]]
    assert names(added(folder, "--image", "b.test/**", "--key", second)) == [["cosign"], [None]]
    assert added(folder, "--image", "c.test/**", "--key", second, "--as", "Cosign").code == "trust.form"
    assert names(added(folder, "--image", "c.test/**", "--key", keys["release"])) == [["cosign"], [None], ["cosign"]]  # as before


@pytest.mark.parametrize("stem", ["a\tb", "x" * 65, "sha256:1", " a"])
def test_a_file_whose_name_cannot_be_one_gives_none(stem: str, folder: Path, tmp_path: Path) -> None:
    write_key(tmp_path / "key.key", RELEASE)
    (tmp_path / "key.pub").rename(tmp_path / f"{stem}.pub")
    assert names(added(folder, "--image", "**", "--key", tmp_path / f"{stem}.pub")) == [[None]]


def test_a_first_trust_has_the_names_of_its_files(keys: dict[str, Path], tmp_path: Path) -> None:
    words = ("--seal-key", keys["exporter"], "--image-key", keys["release"], "--scope", "a.test/**", "--scope", "b.test/**")
    assert names(run("trust", "init", tmp_path / "first", *words, "--json")) == [["exporter"], ["release"], ["release"]]


def test_list_shows_names_with_short_fingerprints_and_the_whole_ones_at_the_end(folder: Path, keys: dict[str, Path]) -> None:
    added(folder, "--seal", "a", "--scope", "**", "--key", keys["exporter"])
    added(folder, "--image", "**", "--key", keys["release"], "--as", "release team")
    assert run("trust", "list", folder).out.splitlines()[1:] == [
        f"seal   a: 1 of exporter ({EXPORTER.fingerprint[:19]}…)",
        "       may carry **",
        f"image  **: 1 of release team ({RELEASE.fingerprint[:19]}…) on reference",
        f"key    {EXPORTER.fingerprint}",
        "       exporter",
        f"key    {RELEASE.fingerprint}",
        "       release team",
    ]


def test_a_key_is_removed_by_its_name(folder: Path, keys: dict[str, Path]) -> None:
    both = ("--key", keys["exporter"], "--key", keys["stranger"], "--threshold", 1)
    added(folder, "--seal", "a", "--scope", "**", *both)
    added(folder, "--image", "**", "--key", keys["release"], "--as", "release team")
    ran = run("trust", "remove", folder, "stranger", "--json")
    assert names(ran) == [["exporter"], ["release team"]]
    [seal] = table(folder)["seal"]
    assert list(seal["names"].values()) == ["exporter"]
    assert names(run("trust", "remove", folder, "release team", "--json")) == [["exporter"]]
    assert run("trust", "remove", folder, "release team", "--json").code == "usage.input"


def test_what_is_the_name_of_one_key_and_the_file_of_another_removes_neither(
    folder: Path, keys: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both = ("--key", keys["release"], "--key", keys["second"], "--threshold", 1)
    added(folder, "--image", "**", *both)
    before = (folder / "trust.toml").read_bytes()
    monkeypatch.chdir(tmp_path)
    keys["second"].rename(tmp_path / "release")
    ran = run("trust", "remove", folder, "release", "--json")
    assert (ran.exit, ran.code) == (2, "usage.input")
    assert all(key.fingerprint in ran.json["error"]["found"] for key in (RELEASE, signing.THIRD))
    assert (folder / "trust.toml").read_bytes() == before
    assert names(run("trust", "remove", folder, RELEASE.fingerprint, "--json")) == [["second"]]


@pytest.mark.parametrize("beside", [None, b"no key", "stranger"], ids=["a folder", "no key", "a key that trust has not"])
def test_a_file_that_is_not_a_key_of_this_trust_does_not_hide_a_name(
    beside: object, folder: Path, keys: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    added(folder, "--image", "**", "--key", keys["release"], "--key", keys["second"], "--threshold", 1)
    monkeypatch.chdir(tmp_path)
    if beside is None:
        (tmp_path / "release").mkdir()
    else:
        (tmp_path / "release").write_bytes(beside if isinstance(beside, bytes) else keys["stranger"].read_bytes())
    assert names(run("trust", "remove", folder, "release", "--json")) == [["second"]]


def test_what_is_a_scope_and_a_name_removes_neither(folder: Path, keys: dict[str, Path]) -> None:
    added(folder, "--image", "**", "--key", keys["release"])
    added(folder, "--image", "a.test/app", "--key", keys["second"], "--as", "**")
    before = (folder / "trust.toml").read_bytes()
    ran = run("trust", "remove", folder, "**", "--json")
    assert (ran.exit, ran.code) == (2, "usage.input")
    assert (folder / "trust.toml").read_bytes() == before
