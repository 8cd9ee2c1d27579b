"""What a station writes down of each import and each refusal, and what of that is left by a run that ended on its way."""

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bundler.ledger import reading
from bundler.ledger import receipt as receipts
from bundler.ledger.receipt import Outcome, Receipt
from bundler.oci.digest import Digest
from bundler.serving.exchange import RefusedError, Request, Response
from bundler.trust.keys import PublicKey
from tests.support.station import RELEASE, STRANGER, Crossing, Image, Ran, run, tags_of


@dataclass(frozen=True)
class Plant:
    """A station, and imports there."""

    crossing: Crossing
    folder: Path

    def import_(self, bundle: Path, *flags: object) -> Ran:
        return self.crossing.import_(bundle, "--station", self.folder, *flags)

    def file(self, number: int, kind: str = "json") -> Path:
        return self.folder / f"receipts/{number:010}.{kind}"

    def receipt(self, number: int) -> Receipt:
        """What it says, once it is verified, with its proof."""
        key = self.folder / "station.pub"
        ran = run("receipt", "verify", self.file(number), "--key", key, "--json")
        assert ran.exit == 0, ran.err
        assert ran.json["journal"]["index"] == number
        return receipts.opened(self.file(number).read_bytes(), PublicKey.parse(key.read_bytes(), role="image"))

    @property
    def numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in (self.folder / "receipts").glob("*.json")) if (self.folder / "receipts").exists() else []


@pytest.fixture
def plant(crossing: Crossing) -> Plant:
    return Plant(crossing, crossing.station())


@pytest.fixture
def bundle(crossing: Crossing) -> Path:
    return crossing.export(crossing.signed_image())


def members(bundle: Path, name: str) -> bytes:
    return subprocess.run(["tar", "--zstd", "-xOf", bundle, name], check=True, capture_output=True).stdout


def damaged(bundle: Path) -> Path:
    """With another byte in the last layer."""
    raw = bytearray(bundle.read_bytes())
    raw[-150] ^= 1
    bundle.write_bytes(raw)
    return bundle


# --- what is written ---


def test_an_import_is_written_down_and_named_in_the_answer(plant: Plant, bundle: Path) -> None:
    ran = plant.import_(bundle, "--json")
    told = ran.json["receipt"]
    assert (ran.exit, told["file"], told["index"]) == (0, str(plant.file(0)), 0)
    assert told["digest"] == f"sha256:{hashlib.sha256(plant.file(0).read_bytes()).hexdigest()}"
    assert plant.file(0, "txt").read_text().endswith(f"{told['digest']}\n")
    assert str(plant.file(1)) in plant.import_(bundle).said.replace(" ", "")


def test_it_says_what_was_let_in_by_whose_word_and_where_it_is(plant: Plant, crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image, flags=["--sequence", "7"])
    plant.import_(bundle)
    said = plant.receipt(0)
    assert (said.station, said.outcome, said.reasons, said.registry) == ("plant-7", Outcome.ACCEPTED, (), crossing.there.host)
    assert said.bundle is not None
    assert (said.bundle.stream, said.bundle.sequence, said.bundle.gap) == ("default", 7, False)
    [told] = said.images
    assert (str(told.reference), told.digest, told.state, told.rule) == (image.reference, image.root.digest, "new", "**")
    assert [(signer.kind, signer.id, signer.form) for signer in told.signers] == [("key", RELEASE.fingerprint, "sig")]
    assert said.subjects == {
        receipts.Subject.INDEX: Digest.of(members(bundle, "index.json")),
        receipts.Subject.SEAL: Digest.of(members(bundle, "oci-bundler/seal.json")),
    }
    assert told.destination is not None
    assert said.held == {
        told.destination.repository: tuple(sorted(reading.Held(blob.digest, blob.size) for blob in image.root.blobs)),
    }
    assert all(crossing.arrived(image).has(blob) for blob in image.root.blobs)


def test_what_was_refused_is_written_down_too(plant: Plant, crossing: Crossing) -> None:
    good, bad = crossing.signed_image("team/good:v1"), crossing.signed_image("team/bad:v1", key=STRANGER, words="bad")
    ran = plant.import_(crossing.export(good, bad), "--json")
    assert (ran.exit, ran.json["receipt"]["index"]) == (5, 0)
    said = plant.receipt(0)
    assert (said.outcome, said.registry, said.held) == (Outcome.REFUSED, None, {})
    assert said.reasons[0] == "policy.threshold"
    assert set(said.subjects) == {receipts.Subject.SEAL}  # for index.json lists it, and could be pushed as an image
    assert [(image.passed, image.destination) for image in said.images] == [(True, None), (False, None)]
    assert not crossing.there.named


def test_of_what_was_let_in_in_part_both_are_said(plant: Plant, crossing: Crossing) -> None:
    good, bad = crossing.signed_image("team/good:v1"), crossing.signed_image("team/bad:v1", key=STRANGER, words="bad")
    assert plant.import_(crossing.export(good, bad), "--admit-passing").exit == 9
    said = plant.receipt(0)
    assert (said.outcome, said.reasons) == (Outcome.PARTLY, ())
    assert set(said.subjects) == {receipts.Subject.SEAL}
    assert [(image.passed, image.destination is not None) for image in said.images] == [(True, True), (False, False)]
    assert len(said.held) == 1


def test_a_seal_that_is_not_trusted_leaves_nothing_of_its_payload(plant: Plant, crossing: Crossing) -> None:
    image = crossing.signed_image()
    path = crossing.folder / "strange.oci.tar.zst"
    assert run("export", image.reference, "-o", path, "--key", crossing.keys["stranger"], "--stream", "odd").exit == 0
    assert plant.import_(path).exit == 5
    said = plant.receipt(0)
    assert (said.outcome, said.reasons, said.bundle, said.images) == (Outcome.REFUSED, ("seal.signature",), None, ())
    assert said.subjects == {receipts.Subject.SEAL: Digest.of(members(path, "oci-bundler/seal.json"))}
    payload = base64.b64decode(json.loads(plant.file(0).read_bytes())["payload"])
    assert not any(word in payload for word in (b"odd", b"team/app", image.root.digest.encoded.encode()))


def test_a_bundle_that_is_too_old_is_named(plant: Plant, crossing: Crossing) -> None:
    old = crossing.export(crossing.signed_image("team/app:v1"), to="old.oci.tar.zst", flags=["--sequence", "1"])
    new = crossing.export(crossing.signed_image("team/app:v2", words="new"), to="new.oci.tar.zst", flags=["--sequence", "2"])
    assert plant.import_(new).exit == 0
    assert plant.import_(old).exit == 5
    said = plant.receipt(1)
    assert (said.outcome, said.reasons) == (Outcome.REFUSED, ("stream.rollback",))
    assert said.bundle is not None
    assert (said.bundle.sequence, said.bundle.identity) == (1, Digest.parse(run("inspect", old, "--json").json["claims"]["identity"]))


def test_a_damaged_bundle_is_written_down_as_refused(plant: Plant, bundle: Path) -> None:
    assert plant.import_(damaged(bundle)).exit == 4
    said = plant.receipt(0)
    assert (said.outcome, said.images, said.held) == (Outcome.REFUSED, (), {})
    assert all(reason.startswith("content.") for reason in said.reasons)


def test_each_receipt_names_the_one_before_it(plant: Plant, bundle: Path) -> None:
    for number in range(3):
        assert plant.import_(bundle).exit == 0
        assert plant.receipt(number).outcome is (Outcome.REPEAT if number else Outcome.ACCEPTED)
    assert [plant.receipt(number).previous for number in range(3)] == [
        None,
        *(Digest.of(plant.file(number).read_bytes()) for number in range(2)),
    ]


@pytest.mark.parametrize("exit_", [0, 5])
def test_a_dry_run_writes_nothing(plant: Plant, crossing: Crossing, exit_: int) -> None:
    bundle = crossing.export(crossing.signed_image(key=STRANGER if exit_ else RELEASE))
    ran = plant.import_(bundle, "--dry-run", "--json")
    assert (ran.exit, ran.json["receipt"], plant.numbers) == (exit_, None, [])


def test_without_a_station_there_is_no_receipt(crossing: Crossing, bundle: Path) -> None:
    ran = crossing.import_(bundle, "--json")
    assert (ran.exit, ran.json["receipt"]) == (0, None)


@pytest.mark.parametrize("name", ["release", "exporter"])
def test_a_key_that_trust_names_signs_no_receipts(crossing: Crossing, bundle: Path, name: str) -> None:
    folder = crossing.folder / "named"
    assert run("station", "init", folder, "--name", "plant-7", "--key", crossing.keys[name]).exit == 0
    ran = crossing.import_(bundle, "--station", folder, "--json")
    assert (ran.exit, ran.code) == (2, "trust.roles")
    assert not crossing.there.asked


# --- what ended on its way ---


def test_a_run_that_ended_between_registry_and_receipt_is_told_and_finished_by_the_next(
    plant: Plant, crossing: Crossing, bundle: Path
) -> None:
    crossing.there.refuse(403, "DENIED", when=lambda request: request.method == "PUT" and "/manifests/" in request.path)
    assert plant.import_(bundle).exit == 7
    assert plant.numbers == []
    crossing.there.before = lambda _: None
    again = plant.import_(bundle)
    assert again.exit == 0
    assert "the bundle that was accepted last has no receipt" in again.err
    assert plant.receipt(0).outcome is Outcome.REPEAT
    assert "has no receipt" not in plant.import_(bundle).err


def back_before_the_last_entry(plant: Plant, again: Callable[[], object]) -> None:
    """As a run leaves it that is killed once its receipt is written, and before its entry is."""
    shutil.copytree(plant.folder / "journal", plant.folder / "kept")
    again()
    shutil.rmtree(plant.folder / "journal")
    (plant.folder / "kept").rename(plant.folder / "journal")
    (number,) = plant.numbers[-1:]
    plant.file(number, "txt").unlink()
    plant.file(number, "tlog-proof").unlink()


def test_a_receipt_without_an_entry_gets_it(plant: Plant, bundle: Path) -> None:
    plant.import_(bundle)
    back_before_the_last_entry(plant, lambda: plant.import_(bundle))
    ran = plant.import_(bundle)
    assert ran.exit == 0
    assert "the receipt 0000000001 was not in the journal yet, and is now" in ran.err
    assert [plant.receipt(number).outcome for number in plant.numbers] == [Outcome.ACCEPTED, Outcome.REPEAT, Outcome.REPEAT]
    assert plant.file(1, "txt").exists()


def test_a_receipt_without_a_proof_gets_it(plant: Plant, bundle: Path) -> None:
    plant.import_(bundle)
    plant.file(0, "tlog-proof").unlink()
    ran = plant.import_(bundle)
    assert "the receipt 0000000000 had no proof" in ran.err
    assert plant.receipt(0).outcome is Outcome.ACCEPTED


def test_a_receipt_that_was_put_there_is_not_taken(plant: Plant, crossing: Crossing, bundle: Path) -> None:
    plant.import_(bundle)
    shutil.copy(plant.file(0), plant.file(1))
    asked = len(crossing.there.asked)
    ran = plant.import_(bundle, "--json")
    assert (ran.exit, ran.code) == (4, "journal.changed")
    assert len(crossing.there.asked) == asked


@pytest.mark.parametrize(
    ("change", "exit_", "code"),
    [
        (lambda raw: raw[:-20], 3, "format.receipt"),
        (
            lambda raw: json.dumps(json.loads(raw) | {"payload": "e30="}, separators=(",", ":"), sort_keys=True).encode(),
            5,
            "receipt.signature",
        ),
    ],
)
def test_a_receipt_that_was_changed_before_its_entry_is_refused(
    plant: Plant, bundle: Path, change: Callable[[bytes], bytes], exit_: int, code: str
) -> None:
    plant.import_(bundle)
    back_before_the_last_entry(plant, lambda: plant.import_(bundle))
    plant.file(1).write_bytes(change(plant.file(1).read_bytes()))
    ran = plant.import_(bundle, "--json")
    assert (ran.exit, ran.code) == (exit_, code)


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-1])])
def test_that_the_last_receipt_is_damaged_is_told(plant: Plant, bundle: Path, change: Callable[[Path], object]) -> None:
    plant.import_(bundle)
    change(plant.file(0))
    ran = plant.import_(bundle)
    assert ran.exit == 0
    assert f"{plant.file(0)} is not the receipt that the journal has there" in ran.err
    assert plant.receipt(1).previous is not None


def test_a_journal_that_was_changed_stops_an_import(plant: Plant, crossing: Crossing, bundle: Path) -> None:
    plant.import_(bundle)
    (plant.folder / "journal/tile/0/000.p/1").write_bytes(bytes(32))
    asked = len(crossing.there.asked)
    ran = plant.import_(bundle, "--json")
    assert (ran.exit, ran.code) == (4, "journal.changed")
    assert len(crossing.there.asked) == asked


def test_a_receipt_that_cannot_be_written_says_what_was_imported(plant: Plant, crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)

    def last(request: Request, _: Response) -> None:
        if request.method == "PUT" and request.path.endswith("/manifests/v1"):
            shutil.rmtree(plant.folder / "receipts", ignore_errors=True)

    crossing.there.after = last
    ran = plant.import_(bundle, "--json")
    assert (ran.exit, ran.code) == (7, "disk.io")
    assert f"1 image was imported into {crossing.there.host}, and no receipt of that could be written" in ran.json["error"]["what"]
    assert "v1" in tags_of(crossing.arrived(image))
    crossing.there.after = lambda _request, _answer: None
    again = plant.import_(bundle)
    assert (again.exit, plant.receipt(0).outcome) == (0, Outcome.REPEAT)
    assert "has no receipt" in again.err


def test_a_medium_that_is_gone_when_all_was_put_takes_no_receipt_away(plant: Plant, crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)

    def last(request: Request, _: Response) -> None:
        if request.method == "PUT" and request.path.endswith("/manifests/v1"):
            bundle.write_bytes(bytes(bundle.stat().st_size))

    crossing.there.after = last
    assert plant.import_(bundle).exit == 0
    assert plant.receipt(0).outcome is Outcome.ACCEPTED


# --- who reads it ---


def test_a_proof_of_another_receipt_proves_nothing(plant: Plant, bundle: Path) -> None:
    plant.import_(bundle)
    plant.import_(bundle)
    shutil.copy(plant.file(0, "tlog-proof"), plant.file(1, "tlog-proof"))
    ran = run("receipt", "verify", plant.file(1), "--key", plant.folder / "station.pub", "--json")
    assert (ran.exit, ran.code) == (5, "tlog.proof")


def test_a_receipt_without_its_proof_is_verified_and_that_is_said(plant: Plant, bundle: Path) -> None:
    plant.import_(bundle)
    shutil.copy(plant.file(0), alone := plant.folder / "alone.json")
    ran = run("receipt", "verify", alone, "--key", plant.folder / "station.pub", "--json")
    assert (ran.exit, ran.json["journal"]) == (0, None)
    assert "there is no alone.tlog-proof beside it" in ran.err


def test_the_blobs_of_an_index_are_all_held(plant: Plant, crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.index("words", ["linux/amd64", "linux/arm64"]))
    image: Image = crossing.push(root)
    plant.import_(crossing.export(image))
    [held] = plant.receipt(0).held.values()
    manifests = [document for document in crossing.content.below(root) if not document.children]
    assert {blob.digest for blob in held} == {blob.digest for document in manifests for blob in document.blobs}


def test_refusals_by_the_registry_are_not_verdicts(plant: Plant, crossing: Crossing, bundle: Path) -> None:
    def refuse(request: Request) -> Any:
        if request.method in {"POST", "PUT"}:
            raise RefusedError(403, "DENIED", "no")

    crossing.there.before = refuse
    assert plant.import_(bundle).exit == 7
    assert plant.numbers == []
