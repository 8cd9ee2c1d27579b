"""One more format and one more kind of signer are a module and a line in each table: nothing in ``bundler`` is changed for them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bundler.trust import formats, kinds
from tests.support import minimal_format
from tests.support.signing import Key, seal
from tests.support.station import EXPORTER, Crossing, Image, run, tags_of, write_trust

MEMBER, STRANGER = Key.of("ed25519", 1), Key.of("ed25519", 2)


def public(key: Key) -> str:
    return key.spki[-32:].hex()


@pytest.fixture
def crossing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crossing]:
    monkeypatch.setattr(formats, "FORMATS", (*formats.FORMATS, minimal_format.FORMAT))
    monkeypatch.setattr(kinds, "KINDS", (*kinds.KINDS, minimal_format.KIND))
    with Crossing(tmp_path) as running:
        rule = {"scope": "**", "signer": [{"ring": "ops", "name": "operations"}]}
        write_trust(running.trust, rules=[rule], seals=[seal(EXPORTER)])
        with (running.trust / "trust.toml").open("a") as text:
            text.write('\n[[ring]]\nname = "ops"\nfile = "rings/ops.txt"\n')
        (running.trust / "rings").mkdir(mode=0o700)
        (running.trust / "rings/ops.txt").write_text(f"{public(MEMBER)}\n")
        yield running


def signed(crossing: Crossing, key: Key, over: bytes | None = None) -> Image:
    """An image with a minimal signature by ``key``, over its manifest or over something else."""
    assert isinstance(key.private, Ed25519PrivateKey)
    root = crossing.content.image()
    layer = minimal_format.BEGINS + key.spki[-32:] + key.sign(over or root.raw)
    crossing.content.artifact(layer, minimal_format.MEDIA_TYPE, subject=root)
    return crossing.push(root)


def test_a_signature_by_a_member_of_the_ring_crosses(crossing: Crossing) -> None:
    image = signed(crossing, MEMBER)
    bundle = crossing.export(image, flags=["--trust", crossing.trust])
    ring = hashlib.sha256((crossing.trust / "rings/ops.txt").read_bytes()).hexdigest()
    assert ring in run("inspect", bundle, "--json").out
    checked = crossing.run("verify", bundle, "--json")
    assert checked.exit == 0, checked.out
    [told] = checked.json["images"]
    assert told["signers"] == [
        {"kind": "ring", "id": public(MEMBER), "name": "operations", "form": "minimal", "node": str(image.root.digest)}
    ]
    [passed] = [check for check in told["checks"] if check["name"] == "signature"]
    assert (passed["outcome"], passed["spec"]) == ("passed", "example, minimal")
    assert passed["detail"] == f"Ed25519 by {public(MEMBER)}, under the ring ops"
    assert crossing.import_(bundle).exit == 0
    there = crossing.arrived(image)
    assert tags_of(there)["v1"] == image.root.digest
    assert [referrer.artifact_type for referrer in there.referrers(image.root.digest).listed] == [minimal_format.MEDIA_TYPE]


@pytest.mark.parametrize(
    ("key", "over", "reasons"),
    [
        (MEMBER, b"another manifest", ["policy.threshold", "signature.invalid"]),
        (STRANGER, None, ["key.unknown", "policy.threshold"]),
    ],
    ids=["a bad signature", "an unknown key"],
)
def test_another_is_refused_with_its_reason(crossing: Crossing, key: Key, over: bytes | None, reasons: list[str]) -> None:
    image = signed(crossing, key, over)
    bundle = crossing.export(image)
    checked = crossing.run("verify", bundle, "--json")
    assert checked.exit == 5
    assert sorted(checked.json["images"][0]["reasons"]) == reasons
    assert minimal_format.KIND.unnamed in crossing.run("verify", bundle).said
    assert crossing.import_(bundle).exit == 5
    assert not crossing.there.named


def test_the_ring_is_told_and_named_as_every_other_table(crossing: Crossing) -> None:
    listed = run("trust", "list", crossing.trust, "--json").json
    assert (listed["roots"], listed["stores"]) == ([], [])
    assert listed["rings"] == [{"name": "ops", "keys": [public(MEMBER)]}]
    assert listed["rules"][0]["signers"] == [{"kind": "ring", "id": "a key of the ring ops", "name": "operations"}]
    assert "ring   ops: 1 keys" in run("trust", "list", crossing.trust).out
    (crossing.trust / "rings/ops.txt").unlink()
    assert run("trust", "check", crossing.trust, "--json").code == "trust.key"


def test_without_their_lines_neither_is_known(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = crossing.export(signed(crossing, MEMBER))
    monkeypatch.undo()
    checked = crossing.run("verify", bundle, "--json")
    assert (checked.exit, checked.code) == (2, "trust.form")
