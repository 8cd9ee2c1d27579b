"""The screen of an import as it was, for four images that end in four ways."""

import textwrap

from tests.support.signing import Key
from tests.support.station import STRANGER, Crossing, run, write_key

PLANT = Key.of("p256", 21)


def test_the_screen_of_a_real_import(crossing: Crossing) -> None:
    """Signed by whom the rule names; by a key that another rule names; by nobody; by a stranger whose bundle says who that is."""
    public = {name: key.with_suffix(".pub") for name, key in crossing.keys.items()}
    trust = crossing.folder / "named"
    run("trust", "init", trust, "--seal-key", public["exporter"], "--image-key", public["release"], "--scope", "**")
    write_key(crossing.folder / "plant.key", PLANT)
    run("trust", "add", trust, "--image", "plant.example/**", "--key", crossing.folder / "plant.pub")
    good = crossing.signed_image("team/good:v1", words="good")
    known = crossing.signed_image("team/known:v1", key=PLANT, words="known")
    none = crossing.push(crossing.content.image("none"), "team/none:v1")
    strange = crossing.push(crossing.content.image("strange"), "team/strange:v1")
    key = crossing.keys["stranger"]
    assert run("sign", strange.reference, "--key", key, "--form", "bundle").exit == 0
    bundle = crossing.export(good, known, none, strange, flags=["--allow-unsigned"])
    ran = run("import", bundle, crossing.there.host, "--trust", trust, "--admit-passing")
    assert ran.exit == 9
    lines = ran.out.splitlines()
    assert lines[0] == lines[-1] == "PARTLY: 1 image verified and imported; 3 refused"
    end = lines[lines.index("policy.threshold: not enough of the rule's signers have signed") :]
    rule = "  rule **: signed by 0, wanted 1 of the rule's 1 signers"
    room = max(len(image.reference) for image in (good, known, none, strange))
    assert end == [
        "policy.threshold: not enough of the rule's signers have signed",
        f"refused       {known.reference:{room}}  {known.root.digest.encoded[:12]}",
        *textwrap.wrap(f"signed by plant ({PLANT.fingerprint[:19]}…), which the rule does not accept", 80, initial_indent="  "),
        f"refused       {none.reference:{room}}  {none.root.digest.encoded[:12]}",
        "  no signature of it was found",
        f"refused       {strange.reference:{room}}  {strange.root.digest.encoded[:12]}",
        f"  says it is signed by {STRANGER.fingerprint[:19]}…, which the rule does not accept",
        rule,
        "  next: have it signed by those whom the rule names, and export it again",
        lines[0],
    ]
