"""The ten lines of docs/station-card.md, as an operator types them."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs import shell
from tests.docs.pages import DOCS, Page
from tests.interop.peers import program
from tests.support import station
from tests.support.signing import rule, seal
from tests.support.station import EXPORTER, RELEASE, STRANGER, Crossing, write_key, write_trust

PAGE = Page.read(DOCS / "station-card.md")
[CARD] = PAGE.blocks("")
*GOOD, DAMAGED, STRANGE, UNSIGNED = PAGE.blocks("text")
LINES = CARD.splitlines()
COMMANDS = {line.split()[0]: line.rpartition("    ")[2].strip() for line in LINES if "    " in line}
NAME = "release.oci.tar.zst"


@pytest.fixture
def desk(tmp_path: Path, crossing: Crossing) -> Path:
    """The import station: a medium with a bundle, the exporter's key, and trust where it is looked for."""
    folder = tmp_path / "desk"
    folder.mkdir()
    write_key(folder / "K.key", EXPORTER)
    for name, key in {"exporter": EXPORTER, "release": RELEASE}.items():
        (folder / f"{name}.pub").write_bytes(key.pem)
    trust = ("--seal-key", folder / "exporter.pub", "--image-key", folder / "release.pub", "--scope", "registry.example/**")
    (folder / "config/oci-bundler").mkdir(parents=True)
    assert station.run("trust", "init", folder / "config/oci-bundler/trust", *trust).exit == 0
    crossing.signed_image("team/app:1.0")
    crossing.signed_image("team/tool:2.3", words="tool")
    crossing.push(crossing.content.image("nobody's"), "team/new:0.1")
    _export(folder, crossing, NAME, "app:1.0", "tool:2.3")
    return folder


def _export(folder: Path, crossing: Crossing, name: str, *images: str) -> None:
    lines = [f"{crossing.here.host}/team/{image} registry.example/team/{image}\n" for image in images]
    (folder / "images.txt").write_text("".join(lines))
    words = ("--images", folder / "images.txt", "-o", folder / name, "--key", folder / "K.key", "--allow-unsigned")
    assert station.run("export", *words).exit == 0


def _typed(desk: Path, crossing: Crossing, *numbers: str) -> list[str]:
    for name in ("openssl", "zstd"):
        program(name)
    commands = [COMMANDS[number].replace("REGISTRY/PREFIX", f"{crossing.there.host}/mirror") for number in numbers]
    return shell.run(commands, desk, env={"B": NAME, "XDG_CONFIG_HOME": str(desk / "config")})


def test_there_are_ten_lines_and_six_are_commands() -> None:
    assert [line.split()[0] for line in LINES] == [str(number) for number in range(1, 11)]
    assert list(COMMANDS) == ["2", "3", "4", "5", "6", "8"]
    assert max(map(len, LINES)) < 140  # a printed page, across


def test_the_lines_say_yes_to_a_good_bundle_and_the_last_may_be_typed_twice(desk: Path, crossing: Crossing) -> None:
    two, three, four, _, six, eight, again = _typed(desk, crossing, "2", "3", "4", "5", "6", "8", "8")
    assert f"sha256:{two.split()[0]}" in station.run("trust", "list", desk / "config/oci-bundler/trust").out
    assert three == "Verified OK\n"
    assert four == f"{NAME}: OK\n"
    assert six.startswith("PASSED: ")
    assert "\nPASSED: 2 images verified and imported: 2 new\n" in eight
    assert "\nPASSED: 2 images verified and imported: 2 there already\n" in again
    assert "now at" in eight


def test_good_output_looks_as_beside_the_card(desk: Path, crossing: Crossing) -> None:
    printed = _typed(desk, crossing, *COMMANDS)
    assert [wrong for shown, out in zip(GOOD, printed, strict=True) if (wrong := shell.differs(shown, out))] == []


def test_bad_output_looks_as_beside_the_card(desk: Path, crossing: Crossing) -> None:
    verify = COMMANDS["6"] + " || true"
    good = (desk / NAME).read_bytes()
    (desk / NAME).write_bytes(good[:-150] + bytes([good[-150] ^ 1]) + good[-149:])
    _export(desk, crossing, "one-unsigned.oci.tar.zst", "app:1.0", "new:0.1")
    write_trust(desk / "other/oci-bundler/trust", rules=[rule(RELEASE, scope="**")], seals=[seal(STRANGER)])
    told = [
        (DAMAGED, {"B": NAME, "XDG_CONFIG_HOME": str(desk / "config")}),
        (STRANGE, {"B": "one-unsigned.oci.tar.zst", "XDG_CONFIG_HOME": str(desk / "other")}),
        (UNSIGNED, {"B": "one-unsigned.oci.tar.zst", "XDG_CONFIG_HOME": str(desk / "config")}),
    ]
    assert [wrong for shown, env in told if (wrong := shell.differs(shown, *shell.run([verify], desk, env=env)))] == []


@pytest.mark.parametrize("number", ["4", "5", "6", "8"])
def test_the_lines_say_no_to_a_damaged_one(desk: Path, crossing: Crossing, number: str) -> None:
    data = bytearray((desk / NAME).read_bytes())
    data[-150] ^= 1
    (desk / NAME).write_bytes(data)
    with pytest.raises(AssertionError, match=r"the shell ended with [14]"):
        _typed(desk, crossing, number)
    assert not crossing.there.named


def test_line_three_says_no_to_another_list_and_to_another_key(desk: Path, crossing: Crossing) -> None:
    (desk / f"{NAME}.sha256").write_text(f"{'0' * 64}  {NAME}\n")
    with pytest.raises(AssertionError, match="Verification failure"):
        _typed(desk, crossing, "3")


def test_the_exit_codes_of_the_card_are_those_of_the_reference() -> None:
    told = re.findall(r"(\d+) [a-z]", LINES[-1].partition(":")[2])
    reference = {row[next(iter(row))].strip("`") for table in Page.read(DOCS / "reference/exit-codes.md").tables for row in table.rows}
    assert set(told) <= reference


def test_the_card_needs_no_more_than_it_says() -> None:
    tools = {word for command in COMMANDS.values() for word in re.findall(r"(?:^|\| )(\S+)", command)}
    assert tools == {"openssl", "sha256sum", "zstd", "oci-bundler"}
    assert subprocess.run(["bash", "-n", "-c", "\n".join(COMMANDS.values())], check=False).returncode == 0
