"""``import --attach auto``: what the station says beside each image that it let in, and what others have said stays as it was."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bundler.content.stream import gathered
from bundler.oci import mediatype
from bundler.oci.manifest import Document, Manifest
from bundler.trust.dsse import Envelope
from bundler.trust.keys import PublicKey
from tests.support import signing
from tests.support.station import EXPORTER, RELEASE, STRANGER, Crossing, Image, Ran, run, tags_of, write_trust

VSA = "https://slsa.dev/verification_summary/v1"


@dataclass(frozen=True)
class Plant:
    """A station that attaches."""

    crossing: Crossing
    folder: Path

    def import_(self, *images: Image, flags: tuple[object, ...] = (), attach: str = "auto") -> Ran:
        bundle = self.crossing.export(*images, to=f"{len(list(self.crossing.folder.glob('*.zst')))}.oci.tar.zst")
        return self.crossing.import_(bundle, "--station", self.folder, "--attach", attach, *flags)

    @property
    def key(self) -> PublicKey:
        return PublicKey.parse((self.folder / "station.pub").read_bytes(), role="image")

    def layers(self, image: Image, root: Document | None = None) -> list[tuple[dict[str, str], bytes]]:
        """What lies in the image's ``.att``: annotations and bytes."""
        repository = self.crossing.arrived(image)
        there = repository.document(f"{(root or image.root).digest.tag}.att")
        assert there is None or isinstance(there.content, Manifest)
        found = there.content.layers if there is not None and isinstance(there.content, Manifest) else ()
        return [(dict(layer.annotations), gathered(layer, repository.chunks(layer))) for layer in found]

    def said(self, image: Image) -> list[dict[str, Any]]:
        """The statements of the station in the image's ``.att``, verified with its key."""
        return [self.stated(json.loads(raw)) for annotations, raw in self.layers(image) if annotations.get("predicateType") == VSA]

    def in_bundles(self, image: Image) -> list[dict[str, Any]]:
        """The same in bundles that refer to the image."""
        return [self.stated(bundle["dsseEnvelope"]) for bundle in self.bundles(image) if VSA in str(base64.b64decode(_payload(bundle)))]

    def bundles(self, image: Image) -> Iterator[dict[str, Any]]:
        repository = self.crossing.arrived(image)
        for referrer in repository.referrers(image.root.digest).listed:
            manifest = repository.document(referrer.digest)
            assert manifest is not None
            assert isinstance(manifest.content, Manifest)
            if manifest.content.artifact_type == mediatype.SIGSTORE_BUNDLE_V03:
                yield json.loads(gathered(manifest.content.layers[0], repository.chunks(manifest.content.layers[0])))

    def stated(self, value: dict[str, Any]) -> dict[str, Any]:
        envelope = Envelope.of(value)
        self.key.verify(envelope.signature, envelope.signed)
        told: dict[str, Any] = json.loads(envelope.payload)
        return told


def _payload(bundle: dict[str, Any]) -> str:
    payload: str = bundle["dsseEnvelope"]["payload"]
    return payload


@pytest.fixture
def plant(crossing: Crossing) -> Plant:
    return Plant(crossing, crossing.station())


def attested(crossing: Crossing, root: Document) -> bytes:
    """An attestation by the release team in the image's ``.att``."""
    raw = json.dumps(signing.envelope(signing.statement(root), RELEASE)).encode()
    crossing.content.att(root.digest, raw)
    return raw


# --- what is said ---


def test_nothing_is_attached_unless_somebody_asks_for_it(plant: Plant, crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    assert crossing.import_(bundle, "--station", plant.folder).exit == 0
    assert plant.layers(image) == []


def test_an_image_gets_a_summary_for_each_name_that_it_is_pulled_by(plant: Plant, crossing: Crossing) -> None:
    image = crossing.signed_image()
    assert plant.import_(image).exit == 0
    here = image.reference.rpartition(":")[0]
    there = f"{crossing.there.host}/{here.replace(':', '-')}"
    assert [said["predicate"]["resourceUri"] for said in plant.said(image)] == [
        f"{there}@{image.root.digest}",
        f"{here}@{image.root.digest}",
    ]


def test_it_is_what_a_reader_of_summaries_asks_for(plant: Plant, crossing: Crossing) -> None:
    """The rules of nri-supply-chain (internal/vsa): exactly this verifier and policy, a name with its digest, a time that has been."""
    (plant.folder / "station.toml").write_text(
        (plant.folder / "station.toml").read_text()
        + 'verifier = "https://plant.example/verifier"\npolicy = "https://plant.example/policy"\n'
    )
    image = crossing.signed_image()
    ran = plant.import_(image, flags=("--json",))
    assert ran.exit == 0
    for said in plant.said(image):
        assert said["_type"] == "https://in-toto.io/Statement/v1"
        assert said["predicateType"] == VSA
        [subject] = said["subject"]
        assert subject["digest"] == {"sha256": image.root.digest.encoded}
        predicate = said["predicate"]
        assert predicate["verifier"]["id"] == "https://plant.example/verifier"
        assert predicate["policy"]["uri"] == "https://plant.example/policy"
        assert predicate["policy"]["digest"] == {"sha256": ran.json["trust"]["digest"].removeprefix("sha256:")}
        assert predicate["resourceUri"].endswith(f"@{image.root.digest}")
        assert ":v1" not in predicate["resourceUri"]
        assert datetime.fromisoformat(predicate["timeVerified"]) <= datetime.now(UTC)
        assert predicate["verificationResult"] == "PASSED"
        assert predicate["verifiedLevels"] == ["SLSA_BUILD_LEVEL_UNEVALUATED", "OCI_BUNDLER_SIGNATURES_VERIFIED"]
        assert float(predicate["slsaVersion"]) >= 1


def test_what_was_not_let_in_gets_none(plant: Plant, crossing: Crossing) -> None:
    good, bad = crossing.signed_image("team/good:v1"), crossing.signed_image("team/bad:v1", key=STRANGER, words="bad")
    assert plant.import_(good, bad, flags=("--admit-passing",)).exit == 9
    assert len(plant.said(good)) == 2
    assert plant.layers(bad) == []


@pytest.mark.parametrize("flag", ["--dry-run", "--json"])
def test_a_refused_bundle_and_a_dry_run_attach_nothing(plant: Plant, crossing: Crossing, flag: str) -> None:
    image = crossing.signed_image(key=RELEASE if flag == "--dry-run" else STRANGER)
    plant.import_(image, flags=(flag,))
    assert not crossing.there.named


def test_without_a_station_there_is_nobody_to_sign_it(crossing: Crossing) -> None:
    ran = crossing.import_(crossing.export(crossing.signed_image()), "--attach", "auto", "--json")
    assert (ran.exit, ran.code) == (2, "station.missing")
    assert not crossing.there.asked


# --- where it lies ---


def test_what_came_in_the_tag_stays_byte_for_byte_and_the_tag_is_put_once(plant: Plant, crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    raw = attested(crossing, root)
    image = crossing.push(root)
    upstream = crossing.here.repository(image.path).document(f"{root.digest.tag}.att")
    assert upstream is not None
    assert plant.import_(image).exit == 0
    assert plant.layers(image)[0][1] == raw
    assert len(plant.said(image)) == 2
    put = [line for line in crossing.there.changes if line.endswith(f"/manifests/{root.digest.tag}.att")]
    assert len(put) == 1
    assert crossing.arrived(image).document(upstream.digest) is not None


def test_the_first_bundle_is_never_ours(plant: Plant, crossing: Crossing) -> None:
    image = crossing.signed_image()
    assert plant.import_(image).exit == 0
    assert list(plant.bundles(image)) == []


def test_beside_a_bundle_it_lies_in_bundles_too(plant: Plant, crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    crossing.attach(root)
    image = crossing.push(root)
    assert plant.import_(image).exit == 0
    assert len(plant.said(image)) == len(plant.in_bundles(image)) == 2
    assert sorted(map(str, plant.said(image))) == sorted(map(str, plant.in_bundles(image)))


@pytest.mark.parametrize("bundled", [False, True])
def test_a_second_import_changes_nothing(plant: Plant, crossing: Crossing, bundled: bool) -> None:
    root = crossing.sign(crossing.content.image())
    attested(crossing, root)
    if bundled:
        crossing.attach(root)
    image = crossing.push(root)
    assert plant.import_(image).exit == 0
    before, listed = tags_of(crossing.arrived(image)), crossing.arrived(image).referrers(root.digest).listed
    assert plant.import_(image).exit == 0
    assert tags_of(crossing.arrived(image)) == before
    assert crossing.arrived(image).referrers(root.digest).listed == listed


def test_under_other_trust_it_is_said_anew(plant: Plant, crossing: Crossing) -> None:
    image = crossing.signed_image()
    assert plant.import_(image).exit == 0
    write_trust(crossing.trust, rules=[signing.rule(RELEASE, STRANGER, scope="**", threshold=1)], seals=[signing.seal(EXPORTER)])
    assert plant.import_(image).exit == 0
    assert len(plant.said(image)) == 4
    assert len({said["predicate"]["policy"]["digest"]["sha256"] for said in plant.said(image)}) == 2


def test_two_tags_of_a_repository_share_a_summary(plant: Plant, crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    one, two = crossing.push(root, "team/app:v1"), crossing.push(root, "team/app:v2")
    assert plant.import_(one, two).exit == 0
    assert len(plant.said(one)) == 2


def test_a_summary_by_somebody_else_does_not_stand_for_ours(plant: Plant, crossing: Crossing) -> None:
    image = crossing.signed_image()
    assert plant.import_(image).exit == 0
    other = Plant(crossing, crossing.station("plant-7b"))
    assert other.import_(image).exit == 0
    by_us = [layer for annotations, layer in plant.layers(image) if annotations.get("predicateType") == VSA]
    assert len(by_us) == 4


def test_where_the_tag_cannot_take_it_that_is_said(plant: Plant, crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.image())
    crossing.content.tag(f"{root.digest.tag}.att", crossing.content.artifact(b"words", "application/vnd.example", layer_type="text/plain"))
    image = crossing.push(root)
    ran = plant.import_(image)
    assert ran.exit == 0
    assert "cannot take a summary" in ran.said
    assert crossing.arrived(image).document(f"{root.digest.tag}.att") is not None


# --- a station that has forgotten ---

FORGOTTEN = "holds a summary by this station"


def without_memory(plant: Plant, *, name: str, key: Path | None = None) -> Plant:
    """A station whose folder is made anew."""
    folder = plant.crossing.folder / f"new-{name}"
    made = run("station", "init", folder, "--name", name, *(("--key", key) if key else ()))
    assert made.exit == 0, made.err
    return Plant(plant.crossing, folder)


def test_a_station_that_knows_nothing_is_warned_where_the_registry_holds_its_summaries(plant: Plant, crossing: Crossing) -> None:
    first = plant.import_(crossing.signed_image())
    second = plant.import_(crossing.signed_image("team/app:v2", words="other"))
    assert FORGOTTEN not in first.err + second.err
    lost = without_memory(plant, name="plant-7")
    before = len(crossing.there.changes)
    dry = lost.import_(crossing.signed_image("team/app:v3", words="third"), flags=("--dry-run",), attach="none")
    assert dry.exit == 0
    assert f"{crossing.there.host}/" in dry.err
    assert FORGOTTEN in dry.err
    assert len(crossing.there.changes) == before
    again = lost.import_(crossing.signed_image("team/app:v4", words="fourth"), attach="none")
    assert again.exit == 0
    assert FORGOTTEN in again.err
    assert FORGOTTEN not in lost.import_(crossing.signed_image("team/app:v5", words="fifth"), attach="none").err  # it has accepted one


def test_another_station_of_another_key_is_a_new_one_and_its_own_key_is_known_under_any_name(plant: Plant, crossing: Crossing) -> None:
    plant.import_(crossing.signed_image())
    assert FORGOTTEN not in without_memory(plant, name="other").import_(crossing.signed_image(), attach="none").err
    renamed = without_memory(plant, name="renamed", key=plant.folder / "station.key")
    assert FORGOTTEN in renamed.import_(crossing.signed_image(), attach="none").err


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_registry_that_does_not_list_its_tags_is_not_asked_further(plant: Plant, crossing: Crossing, status: int) -> None:
    plant.import_(crossing.signed_image())
    crossing.there.refuse(status, "DENIED", when=lambda request: request.path.endswith("/tags/list"))
    ran = without_memory(plant, name="plant-7").import_(crossing.signed_image(), attach="none")
    assert ran.exit == 0
    assert FORGOTTEN not in ran.err
