"""docs/howto/archive.md: a bundle that has expired, of images signed in each form, is checked by hand and by the command."""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.docs import shell
from tests.docs.pages import DOCS, Page
from tests.interop.peers import program
from tests.support import notary, signing, station
from tests.support.signing import rule, seal
from tests.support.station import EXPORTER, RELEASE, Crossing, write_key, write_trust
from tests.support.world import AT, IDENTITY, ISSUER, World, b64, canonical, pem

STEPS = shell.steps(Page.read(DOCS / "howto/archive.md"))
NAMES = ("app", "tool", "bundled", "keyless", "notation")


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossing]:
    for name in ("openssl", "zstd", "tar"):
        program(name)
    with Crossing(tmp_path_factory.mktemp("crossing")) as running:
        yield running


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, crossing: Crossing) -> Path:
    """A folder with what the page says to keep; the bundle was sealed when the signatures were made, for thirty days."""
    folder, world = tmp_path_factory.mktemp("kept"), World()
    for name, key in {"release": RELEASE, "exporter": EXPORTER}.items():
        write_key(folder / f"{name}.key", key)
    (folder / "fulcio.pem").write_bytes(world.intermediate.pem + world.ca.pem)
    (folder / "rekor.pub").write_bytes(pem(world.rekor))
    (folder / "release-ca.pem").write_bytes(notary.ROOT.pem)
    _trust(folder, world)
    lines = [f"{crossing.here.host}/team/{name}:1.0 registry.example/team/{name}:1.0\n" for name in NAMES]
    (folder / "images.txt").write_text("".join(lines))
    for name in NAMES:
        _push(crossing, name, world)
    words = ("--images", folder / "images.txt", "-o", folder / "release.oci.tar.zst", "--key", folder / "exporter.key", "--expires", "30d")
    done = station.run("export", *words, env={"SOURCE_DATE_EPOCH": str(int(AT.timestamp()))})
    assert done.exit == 0, done.err
    return folder


@pytest.fixture
def desk(kept: Path, tmp_path: Path) -> Path:
    """The same, to work in."""
    return shutil.copytree(kept, tmp_path / "desk")


def _push(crossing: Crossing, name: str, world: World) -> None:
    content = crossing.content
    image = content.image(name)
    if name in ("app", "tool"):
        crossing.sign(image)
    elif name == "bundled":
        crossing.attach(image)
    elif name == "keyless":
        content.bundle(image, json.dumps(_keyless(signing.statement(image, signing.SIGN), world)).encode(), predicate_type=signing.SIGN)
    else:
        target = {"mediaType": image.descriptor.media_type, "digest": str(image.digest), "size": len(image.raw)}
        content.notation(image, notary.Signing(payload=canonical({"targetArtifact": target})).jws())
    crossing.push(image, f"team/{name}:1.0")


def _keyless(statement: bytes, world: World) -> dict[str, object]:
    """A Sigstore bundle as cosign 3 writes one: a certificate, an entry of Rekor 1, an envelope."""
    signed = world.attested(statement)
    envelope = {"payload": b64(statement), "payloadType": signing.IN_TOTO, "signatures": [{"sig": b64(signed.signature)}]}
    whole = world.attested(statement, leaf=signed.leaf, envelope=json.dumps(envelope).encode(), _signature=signed.signature)
    material = {"certificate": {"rawBytes": b64(signed.leaf.der)}, "tlogEntries": [whole.entry()]}
    return {"mediaType": signing.V03_NEW, "verificationMaterial": material, "dsseEnvelope": envelope}


def _trust(folder: Path, world: World) -> None:
    keys = [rule(RELEASE, scope=f"registry.example/team/{name}") for name in ("app", "tool", "bundled")]
    trust = write_trust(folder / "trust", rules=keys, seals=[seal(EXPORTER)])
    (folder / "root.json").write_bytes(canonical(world.root_json()))
    keyless = ("--root", folder / "root.json", "--root-name", "ours", "--issuer", ISSUER, "--identity", IDENTITY)
    notation = ("--store", "release", "--store-type", "ca", "--certificate", folder / "release-ca.pem", "--subject", "*")
    for name, words in {"keyless": keyless, "notation": notation}.items():
        done = station.run("trust", "add", trust, "--image", f"registry.example/team/{name}", *words)
        assert done.exit == 0, done.err


def test_every_form_is_checked_by_hand_and_by_the_command(desk: Path) -> None:
    printed = shell.run([step.commands for step in STEPS], desk)
    wrong = [shell.differs(step.shown, out) for step, out in zip(STEPS, printed, strict=True) if step.shown]
    assert not list(filter(None, wrong)), "\n\n".join(filter(None, wrong))


# --- what the page calls proof fails where there is none ---

EXCHANGED = r"""
sigs=$(entries | sed -n 's/.*:sha256-[0-9a-f]*.sig".*"digest":"sha256:\([0-9a-f]*\)".*/\1/p')
cp "release/blobs/sha256/$(echo "$sigs" | sed -n 2p)" "release/blobs/sha256/$(echo "$sigs" | sed -n 1p)"
"""
NOTHING = {
    "a-sig-of-another-image-by-the-same-key": ("sig release.pub", EXCHANGED),
    "a-sig-by-another-key": ("sig release.pub", "cp exporter.pub release.pub"),
    "a-seal-by-another-key": ('openssl dgst -sha256 -verify "$1" -signature sig message', "cp release.pub exporter.pub"),
    "a-bundle-by-another-key": ("dsse release.pub", "cp exporter.pub release.pub"),
    "another-log": ("rekor.pub", "cp release.pub rekor.pub"),
    "another-authority": ("fulcio.pem", "cp release-ca.pem fulcio.pem"),
    "another-authority-of-notation": ("release-ca.pem", "cp fulcio.pem release-ca.pem"),
}


@pytest.mark.parametrize(("word", "spoil"), NOTHING.values(), ids=NOTHING)
def test_what_proves_nothing_does_not_look_as_on_the_page(desk: Path, word: str, spoil: str) -> None:
    [place] = [number for number, step in enumerate(STEPS) if word in step.commands]
    shown = STEPS[place].shown
    assert shown
    printed = ""  # what the page shows is never nothing
    with suppress(AssertionError):  # a shell that stops says no as well as one that prints something else
        *_, printed = shell.run([*(step.commands for step in STEPS[:place]), f"{spoil}\n{STEPS[place].commands}"], desk)
    assert shell.differs(shown, printed)


def test_an_attestation_is_not_taken_for_a_signature(desk: Path) -> None:
    [place] = [number for number, step in enumerate(STEPS) if "dsse release.pub" in step.commands]
    attested = STEPS[place].commands.replace(
        'signs "$digest"', 'sed -i s#sigstore.dev/cosign/sign/v1#spdx.dev/Document# payload && signs "$digest"'
    )
    *_, printed = shell.run([*(step.commands for step in STEPS[:place]), f"{attested.rstrip()} || true"], desk)
    assert printed == "Verified OK\n"
