"""Whoever gives a part of a split bundle to a command is told how to join it."""

import pytest

from tests.support.station import Crossing, run

SAID = "it looks like a part of a split file; join all of them, in their order: cat"


@pytest.mark.parametrize("part", ["app.oci.tar.zst.001of003", "app.oci.tar.zst.aa", "app.part2", "xab"])
def test_every_command_that_takes_a_bundle_says_so(part: str, crossing: Crossing) -> None:
    whole = crossing.export(crossing.signed_image()).read_bytes()
    begins = part.endswith(("1of003", "aa"))
    path = crossing.folder / part
    path.write_bytes(whole[:-100] if begins else whole[100:-100])
    for words in (
        ("verify", path),
        ("import", path, crossing.there.host),
        ("extract", path, "registry.example/app:1", "--to", f"oci:{crossing.folder / 'layout'}"),
        ("inspect", path),
    ):
        ran = crossing.run(*words, "--json")
        assert (ran.exit, ran.code) == ((4, "content.truncated") if begins else (3, "format.bundle"))
        assert ran.json["error"]["next"].startswith(SAID)
    assert not crossing.there.asked


def test_several_parts_are_not_taken_for_images() -> None:
    said = run("verify", "x/app.oci.tar.zst.001", "x/app.oci.tar.zst.002", "--json")
    assert said.exit == 2
    assert said.json["error"]["next"] == f"{SAID} x/app.oci.tar.zst.[0-9]* > x/app.oci.tar.zst"
    assert run("verify", "host/app:1", "host/app:2", "--json").json["error"]["next"].endswith("docker://host/app:1")
