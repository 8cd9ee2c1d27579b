"""Trust that a crossing is judged by: which one it is, and what it lets in."""

import pytest

from tests.support import signing
from tests.support.station import EXPORTER, RELEASE, STRANGER, Crossing, run, write_trust


def test_an_empty_trust_admits_nothing(crossing: Crossing) -> None:
    """TRS-030: never "accept unsigned"."""
    bundle = crossing.export(crossing.signed_image())
    run("trust", "init", crossing.folder / "empty")
    ran = run("import", bundle, crossing.there.host, "--trust", crossing.folder / "empty", "--json")
    assert (ran.exit, ran.json["seal"]["reasons"]) == (5, ["seal.signature"])
    assert crossing.there.asked == ["GET /v2/"]


def test_the_first_that_exists_is_used(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    image = crossing.signed_image()
    places = [crossing.folder / name for name in ("given", "environment", "config/oci-bundler/trust", "home/.config/oci-bundler/trust")]
    for place in places:
        write_trust(place, rules=[signing.rule(RELEASE, scope="**")])
    env = {"OCI_BUNDLER_TRUST": str(places[1]), "XDG_CONFIG_HOME": str(crossing.folder / "config"), "HOME": str(crossing.folder / "home")}

    def used(*words: object) -> str:
        path: str = run("verify", f"docker://{image.reference}", "--json", *words, env=env).json["trust"]["path"]
        return path

    assert used("--trust", places[0]) == str(places[0])
    assert used() == str(places[1])
    del env["OCI_BUNDLER_TRUST"]
    assert used() == str(places[2])
    env["XDG_CONFIG_HOME"] = ""
    assert used() == str(places[3])


def test_path_and_digest_of_the_trust_are_printed(crossing: Crossing) -> None:
    used = run("trust", "check", crossing.trust, "--json").json["digest"]
    image = f"docker://{crossing.signed_image().reference}"
    assert f"trust {used[:19]}… at {crossing.trust}" in crossing.run("verify", image).said
    assert f"trust {used} at {crossing.trust}" in crossing.run("verify", image, "-v").said


def test_what_lies_beside_the_bundle_is_no_trust(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    """POL-015, FS-014."""
    bundle = crossing.export(crossing.signed_image())
    monkeypatch.chdir(crossing.folder)
    assert run("verify", bundle.name, "--json").code == "trust.missing"


def test_trust_that_the_next_run_reads_is_the_one_that_was_judged_by(crossing: Crossing) -> None:
    """TRS-034: it is read once; a change of it while a run goes on counts for the next."""
    image = crossing.signed_image()
    bundle = crossing.export(image)
    before = run("trust", "check", crossing.trust, "--json").json["digest"]

    def replace(_: object) -> None:
        (crossing.trust / "trust.toml").write_text("version = 1\nserial = 9\n")

    crossing.there.before = replace
    ran = crossing.import_(bundle, "--json")
    assert (ran.exit, ran.json["trust"]["digest"]) == (0, before)
    assert crossing.import_(bundle, "--json").exit == 5


def test_a_verdict_has_the_name_and_an_old_trust_folder_is_good_without(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    old = crossing.run("verify", bundle, "--json")
    assert (old.exit, [signer["name"] for signer in old.json["images"][0]["signers"]]) == (0, [None])
    assert old.json["seal"]["names"] == [None]
    public = {name: crossing.keys[name].with_suffix(".pub") for name in ("exporter", "release")}
    named = crossing.folder / "named"
    words = ("--seal-key", public["exporter"], "--image-key", public["release"], "--scope", "**")
    run("trust", "init", named, *words)
    new = run("verify", bundle, "--trust", named, "--json")
    assert (new.exit, [signer["name"] for signer in new.json["images"][0]["signers"]]) == (0, ["release"])
    assert new.json["seal"]["names"] == ["exporter"]
    assert new.json["images"][0]["checks"] == old.json["images"][0]["checks"]
    assert new.json["trust"]["digest"] != old.json["trust"]["digest"]


def test_a_name_lets_nobody_in(crossing: Crossing) -> None:
    """The stranger is called as the release team's key is elsewhere; and the signer of the rule as the stranger's file is."""
    bundle = crossing.export(crossing.signed_image(key=STRANGER))
    trust = write_trust(
        crossing.folder / "named",
        rules=[signing.rule(RELEASE, scope="**") | {"signer": [signing.rule(RELEASE)["signer"][0] | {"name": "stranger"}]}],
        seals=[signing.seal(EXPORTER)],
    )
    ran = run("verify", bundle, "--trust", trust, "--json")
    assert (ran.exit, ran.json["images"][0]["reasons"][0]) == (5, "policy.threshold")


def test_a_first_trust_in_one_command_admits_what_its_keys_vouch_for(crossing: Crossing) -> None:
    exporter, release = (crossing.keys[name].with_suffix(".pub") for name in ("exporter", "release"))
    trust = crossing.folder / "first"
    made = run("trust", "init", trust, "--seal-key", exporter, "--image-key", release, "--scope", f"{crossing.here.host}/**", "--json")
    assert made.exit == 0
    assert [seal["stream"] for seal in made.json["seals"]] == ["default"]
    assert run("verify", crossing.export(crossing.signed_image()), "--trust", trust).exit == 0
    assert run("verify", crossing.export(crossing.signed_image(key=STRANGER), to="c"), "--trust", trust).exit == 5
