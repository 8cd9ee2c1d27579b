"""What a station remembers, and what it therefore refuses: crossings of several bundles, at one station and at two."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundler.ledger.folder import StationFolder
from bundler.ledger.state import State
from bundler.serving.exchange import RefusedError, Request
from bundler.trust.simplesigning import CERTIFICATE, LOG_ENTRY
from tests.support import signing
from tests.support.bundles import Bundle
from tests.support.desk import WHO, WORLD, Desk
from tests.support.station import EXPORTER, RELEASE, STRANGER, Crossing, Ran, run, tags_of, write_key, write_trust


def inside(bundle: Path) -> Any:
    """What a bundle claims to be."""
    return run("inspect", bundle, "--json").json["claims"]


def sealed(crossing: Crossing, number: int, *flags: object, words: str | None = None) -> Path:
    """The bundle of that number, with an image of its own unless told otherwise."""
    image = crossing.signed_image(f"team/app:v{number}", words=words or f"words {number}")
    return crossing.export(image, to=f"{number}-{words}.oci.tar.zst", flags=["--sequence", number, *flags])


def state_of(folder: Path) -> State:
    return StationFolder.read(folder).state()


@pytest.fixture
def addressed(crossing: Crossing) -> Callable[..., Path]:
    """Makes a bundle whose seal says more than ``export`` does."""

    def make(**fields: Any) -> Path:
        image = crossing.sign(crossing.content.image("addressed"))
        bundle, path = Bundle.of(crossing.content, {"registry.example/app:v1": image}, **fields), crossing.folder / f"{fields}.oci.tar.zst"
        bundle.write(path, keys=[EXPORTER])
        return path

    return make


def reasons(ran: Ran) -> list[str]:
    assert ran.exit == 5, ran.out + ran.err
    found: list[str] = ran.json["seal"]["reasons"]
    return found


def with_order(crossing: Crossing, order: str) -> None:
    write_trust(crossing.trust, rules=[signing.rule(RELEASE, scope="**")], seals=[signing.seal(EXPORTER, order=order)])


# --- order ---


def test_an_older_bundle_is_refused_and_changes_nothing(crossing: Crossing) -> None:
    station, old, new = crossing.station(), sealed(crossing, 1), sealed(crossing, 2)
    assert crossing.import_(new, "--station", station).exit == 0
    before, asked = (station / "state.json").read_bytes(), len(crossing.there.changes)
    told = crossing.run("verify", old, "--station", station, "--json")
    done = crossing.import_(old, "--station", station, "--json")
    assert reasons(told) == reasons(done) == ["stream.rollback"]
    assert told.json["station"] == done.json["station"]
    assert done.json["station"]["last"] == {"sequence": 2, "identity": inside(new)["identity"]}
    assert done.json["station"]["standing"] == "refused"
    assert ((station / "state.json").read_bytes(), len(crossing.there.changes)) == (before, asked)
    said = crossing.import_(old, "--station", station)
    assert said.first == "REFUSED: the bundle is older than one that was accepted (stream.rollback)"
    assert "number 1 is older: number 2 of " in said.said


def test_another_bundle_with_the_same_number_is_refused_and_both_are_named(crossing: Crossing) -> None:
    station, one, other = crossing.station(), sealed(crossing, 1, words="one"), sealed(crossing, 1, words="other")
    assert crossing.import_(one, "--station", station).exit == 0
    for words in (("verify", other), ("import", other, crossing.there.host)):
        assert reasons(crossing.run(*words, "--station", station, "--json")) == ["stream.equivocation"]
    said = crossing.run("verify", other, "--station", station, env={"COLUMNS": "400"}).said
    assert inside(one)["identity"] in said
    assert inside(other)["identity"] in said


def test_the_same_bundle_again_is_a_repeat_and_leaves_the_state_as_it_is(crossing: Crossing) -> None:
    station, bundle = crossing.station(), sealed(crossing, 7)
    assert crossing.import_(bundle, "--station", station, "--json").json["station"]["standing"] == "accepted"
    before = (station / "state.json").read_bytes()
    again = crossing.import_(bundle, "--station", station, "--json")
    assert (again.exit, again.json["station"]["standing"]) == (0, "repeat")
    assert (station / "state.json").read_bytes() == before


def test_a_gap_is_told_and_stays_in_the_status(crossing: Crossing) -> None:
    station, first = crossing.station(), sealed(crossing, 1)
    second = sealed(crossing, 2, "--previous", first)
    third = sealed(crossing, 3, "--previous", second)
    assert crossing.import_(first, "--station", station, "--json").json["station"]["gap"] is False
    done = crossing.import_(third, "--station", station, "--json")
    assert (done.exit, done.json["station"]["gap"]) == (0, True)
    [stream] = crossing.run("status", "--station", station, "--json").json["streams"]
    assert stream["gaps"] == [{"sequence": 3, "previous": inside(second)["identity"]}]
    assert stream["next"] == {"above": 3, "previous": inside(third)["identity"]}
    shown = crossing.run("status", "--station", station)
    assert shown.first.endswith(": 1 stream, 1 gap")
    assert f"gap: number 3 follows {inside(second)['identity'][:19]}…, which never came" in shown.out
    late = crossing.import_(second, "--station", station, "--json")
    assert reasons(late) == ["stream.rollback"]
    with_order(crossing, "any")
    assert crossing.import_(second, "--station", station).exit == 0
    [stream] = crossing.run("status", "--station", station, "--json").json["streams"]
    assert (stream["gaps"], stream["sequence"], stream["order"]) == ([], 3, "any")


def test_a_bundle_that_does_not_say_what_it_follows_is_told_so(crossing: Crossing) -> None:
    station = crossing.station()
    assert crossing.import_(sealed(crossing, 1), "--station", station).exit == 0
    done = crossing.import_(sealed(crossing, 2), "--station", station)
    assert (done.exit, "it does not say which one it follows" in done.said) == (0, True)
    assert crossing.run("status", "--station", station, "--json").json["streams"][0]["gaps"] == []


def test_under_chain_only_the_next_bundle_enters(crossing: Crossing) -> None:
    with_order(crossing, "chain")
    station, first = crossing.station(), sealed(crossing, 1)
    second = sealed(crossing, 2, "--previous", first)
    third = sealed(crossing, 3, "--previous", second)
    assert crossing.import_(first, "--station", station).exit == 0
    assert reasons(crossing.import_(third, "--station", station, "--json")) == ["stream.gap"]
    assert reasons(crossing.import_(sealed(crossing, 4), "--station", station, "--json")) == ["stream.gap"]
    assert [crossing.import_(bundle, "--station", station).exit for bundle in (second, third)] == [0, 0]


def test_streams_are_counted_apart_and_so_are_stations(crossing: Crossing) -> None:
    write_trust(
        crossing.trust,
        rules=[signing.rule(RELEASE, scope="**")],
        seals=[signing.seal(EXPORTER), signing.seal(EXPORTER, stream="Default"), signing.seal(STRANGER, stream="other")],
    )
    one, two = crossing.station("one"), crossing.station("two")
    new, other, old = sealed(crossing, 9), sealed(crossing, 1, "--stream", "Default"), sealed(crossing, 2)
    assert [crossing.import_(bundle, "--station", one).exit for bundle in (new, other, old)] == [0, 0, 5]
    assert crossing.import_(old, "--station", two).exit == 0
    assert {stream.name: stream.last.sequence for stream in state_of(one).streams} == {"Default": 1, "default": 9}
    assert {stream.name: stream.last.sequence for stream in state_of(two).streams} == {"default": 2}
    stranger = crossing.folder / "stranger.oci.tar.zst"
    words = ("export", crossing.signed_image("team/x:v1").reference, "-o", stranger, "--sequence", 1, "--key", crossing.keys["stranger"])
    assert run(*words).exit == 0
    assert reasons(crossing.run("verify", stranger, "--station", one, "--json")) == ["seal.stream"]  # and nothing of its order


def test_with_at_what_was_accepted_since_plays_no_part(crossing: Crossing) -> None:
    station, old, new = crossing.station(), sealed(crossing, 1), sealed(crossing, 2)
    assert crossing.import_(new, "--station", station).exit == 0
    (station / "state.json").unlink()  # not even read
    for at in ("sealed", inside(old)["created"]):
        told = crossing.run("verify", old, "--station", station, "--at", at, "--json")
        wanted = {"name": "plant-7", "last": None, "standing": None, "gap": None, "floor": None}
        assert (told.exit, told.json["station"]) == (0, wanted)


# --- what is accepted ---


def test_what_is_refused_damaged_in_conflict_or_dry_is_not_accepted(crossing: Crossing) -> None:
    station = crossing.station()
    before = (station / "state.json").read_bytes()
    strange = crossing.export(crossing.signed_image("team/strange:v1", key=STRANGER), to="strange", flags=["--sequence", 1])
    damaged = crossing.folder / "damaged.oci.tar.zst"
    data = bytearray(sealed(crossing, 2).read_bytes())
    data[-150] ^= 1
    damaged.write_bytes(data)
    taken, there = sealed(crossing, 3), ("--map", f"{crossing.here.host}=x")
    assert crossing.import_(sealed(crossing, 3, words="before"), *there).exit == 0
    ends = [
        crossing.import_(strange, "--station", station).exit,
        crossing.import_(damaged, "--station", station).exit,
        crossing.import_(taken, "--station", station, *there).exit,
        crossing.import_(sealed(crossing, 4), "--station", station, "--dry-run").exit,
        crossing.run("verify", sealed(crossing, 5), "--station", station).exit,
    ]
    assert ends == [5, 4, 8, 0, 0]
    assert (station / "state.json").read_bytes() == before


def test_what_is_partly_admitted_is_accepted(crossing: Crossing) -> None:
    station = crossing.station()
    images = [crossing.signed_image("team/good:v1"), crossing.signed_image("team/strange:v1", key=STRANGER)]
    bundle = crossing.export(*images, flags=["--sequence", 4])
    assert crossing.import_(bundle, "--station", station).exit == 5
    assert state_of(station).streams == ()
    assert crossing.import_(bundle, "--station", station, "--admit-passing").exit == 9
    [stream] = state_of(station).streams
    assert stream.last.sequence == 4


def test_the_state_is_written_before_the_first_manifest_is_put(crossing: Crossing) -> None:
    station, bundle = crossing.station(), sealed(crossing, 1)
    seen: list[tuple[str, bool]] = []

    def look(request: Request) -> None:
        if request.method in ("PUT", "POST", "PATCH"):
            seen.append((request.path, bool(state_of(station).streams)))

    crossing.there.before = look
    assert crossing.import_(bundle, "--station", station).exit == 0
    manifests = [accepted for path, accepted in seen if "/manifests/" in path]
    assert manifests
    assert all(manifests)
    assert not seen[0][1]  # the layers came before


def test_an_import_that_ends_after_it_was_accepted_is_finished_by_the_same_one_again(crossing: Crossing) -> None:
    station, image = crossing.station(), crossing.signed_image()
    bundle = crossing.export(image, flags=["--sequence", 1])

    def refuse(request: Request) -> None:
        if request.method == "PUT" and "/manifests/" in request.path:
            raise RefusedError(403, "DENIED", "no")

    crossing.there.before = refuse
    assert crossing.import_(bundle, "--station", station).exit == 7
    assert [stream.last.sequence for stream in state_of(station).streams] == [1]
    crossing.there.before = lambda _: None
    again = crossing.import_(bundle, "--station", station, "--json")
    assert (again.exit, again.json["station"]["standing"]) == (0, "repeat")
    assert tags_of(crossing.arrived(image))["v1"] == image.root.digest


# --- time ---


def test_a_clock_that_was_set_back_lets_nothing_in_that_has_expired(crossing: Crossing) -> None:
    """The station has accepted something of a time that its clock has not come to."""
    station, bundle = crossing.station(), sealed(crossing, 1, "--expires", "30d")
    path = station / "state.json"
    path.write_bytes(path.read_bytes().replace(b'"floor":null', b'"floor":"2099-01-01T00:00:00Z"'))
    for words in (("verify", bundle), ("import", bundle, crossing.there.host)):
        done = crossing.run(*words, "--station", station, "--json")
        assert reasons(done) == ["time.expired"]
        assert done.json["station"]["floor"] == "2099-01-01T00:00:00Z"
    said = crossing.run("verify", bundle, "--station", station).said
    assert "judged as of 2099-01-01T00:00:00Z, a time that has been: this station's clock is behind it" in said
    assert crossing.run("verify", bundle, "--station", station, "--at", "sealed").exit == 0


def test_the_floor_rises_to_when_an_accepted_bundle_was_made_and_never_sinks(crossing: Crossing) -> None:
    station, bundle = crossing.station(), sealed(crossing, 2)
    old = crossing.folder / "old.oci.tar.zst"
    image = crossing.signed_image("team/old:v1").reference
    words = ("export", image, "-o", old, "--key", crossing.keys["exporter"], "--sequence", 3)
    assert run(*words, env={"SOURCE_DATE_EPOCH": "1704067200"}).exit == 0
    for each in (bundle, old):
        assert crossing.import_(each, "--station", station).exit == 0
        assert crossing.run("status", "--station", station, "--json").json["time_floor"] == inside(bundle)["created"]


def test_the_floor_rises_to_when_a_log_saw_the_signature_of_an_accepted_image(crossing: Crossing, tmp_path: Path) -> None:
    """The exporter's clock was two years behind; that of the log was not."""
    desk, root = Desk(tmp_path / "desk"), crossing.content.image()
    signed = WORLD.signed(signing.payload(root))
    beside = {CERTIFICATE: signed.leaf.pem.decode(), LOG_ENTRY: signed.annotation().decode()}
    crossing.content.sig(root.digest, (signed.message, signed.signature), annotations=beside)
    assert desk.add(*WHO, "--root", desk.root).exit == 0
    bundle, station = crossing.folder / "old.oci.tar.zst", crossing.station()
    exported = ("export", crossing.push(root).reference, "-o", bundle, "--key", crossing.keys["exporter"])
    assert run(*exported, env={"SOURCE_DATE_EPOCH": "1704067200"}).exit == 0
    key = tmp_path / "exporter.pub"
    key.write_bytes(EXPORTER.pem)
    assert desk.add("--seal", "default", "--scope", "**", "--key", key).exit == 0
    assert run("import", bundle, crossing.there.host, "--trust", desk.trust, "--station", station).exit == 0
    assert run("status", "--trust", desk.trust, "--station", station, "--json").json["time_floor"] == "2026-03-01T12:00:00Z"


def test_a_stream_whose_numbers_are_used_up_says_so(crossing: Crossing) -> None:
    station = crossing.station()
    assert crossing.import_(sealed(crossing, (1 << 53) - 1), "--station", station).exit == 0
    assert "next: none, for this is the highest number that there is" in crossing.run("status", "--station", station).out


# --- station and trust ---


def test_a_bundle_for_another_station_is_refused_and_one_for_this_one_is_not(crossing: Crossing, addressed: Callable[..., Path]) -> None:
    station, bundle = crossing.station(), addressed(station="plant-7")
    assert crossing.run("verify", bundle, "--station", station).exit == 0
    assert reasons(crossing.run("verify", bundle, "--station", crossing.station("plant-8"), "--json")) == ["seal.station"]
    assert reasons(crossing.run("verify", bundle, "--json")) == ["seal.station"]
    image = inside(bundle)["images"][0]["reference"]
    to = ("--to", f"oci:{crossing.folder}/out")
    assert crossing.run("extract", bundle, image, *to, "--station", station).exit == 0
    assert crossing.run("extract", bundle, image, *to).exit == 5


def test_an_export_says_by_which_trust_its_bundle_may_be_judged(crossing: Crossing) -> None:
    now, later = (sealed(crossing, serial, "--requires-trust", serial) for serial in (1, 2))
    assert crossing.import_(now).exit == 0
    refused = crossing.import_(later, "--json")
    assert (refused.exit, reasons(refused)) == (5, ["trust.serial"])
    image = crossing.signed_image("team/app:v9").reference
    odd = run("export", image, "-o", crossing.folder / "odd", "--key", crossing.keys["exporter"], "--requires-trust", 0)
    assert (odd.exit, (crossing.folder / "odd").exists()) == (2, False)


def test_a_bundle_that_wants_newer_trust_is_refused(crossing: Crossing, addressed: Callable[..., Path]) -> None:
    now, later = addressed(requires_trust=1), addressed(requires_trust=2)
    assert crossing.run("verify", now).exit == 0
    assert reasons(crossing.run("verify", later, "--json")) == ["trust.serial"]
    path = crossing.trust / "trust.toml"
    path.write_text(path.read_text().replace("serial = 1", "serial = 2"))
    assert crossing.run("verify", later).exit == 0


@pytest.mark.parametrize("key", [RELEASE, EXPORTER], ids=["for images", "for seals"])
def test_a_key_that_stands_in_trust_cannot_be_the_stations(crossing: Crossing, key: signing.Key) -> None:
    folder = crossing.folder / "station"
    path = write_key(crossing.folder / "own.key", key)
    assert run("station", "init", folder, "--name", "x", "--key", path).exit == 0
    bundle = sealed(crossing, 1)
    assert crossing.import_(bundle, "--station", folder, "--json").code == "trust.roles"
    assert crossing.there.asked == []


# --- without one ---


def test_without_a_station_an_import_says_once_what_is_missing_and_all_else_is_as_before(crossing: Crossing) -> None:
    new, old = sealed(crossing, 2), sealed(crossing, 1)
    done = [crossing.import_(bundle) for bundle in (new, old)]
    assert [each.exit for each in done] == [0, 0]
    for each in done:
        assert each.err == "note: without `station init` old bundles go unnoticed, and no receipt is kept\n"
    assert crossing.import_(old, "-q").err == ""
    assert "station" not in crossing.import_(old, "--dry-run").err
    assert "station" not in crossing.run("verify", old).err
    assert crossing.run("verify", old, "--json").json["station"] is None
    assert crossing.run("status", "--json").code == "station.missing"


def test_the_station_is_found_by_environment_and_by_place_and_the_option_wins(crossing: Crossing) -> None:
    bundle = sealed(crossing, 1)
    one, two = crossing.station("one"), crossing.station("two")
    home = crossing.folder / "state"
    (home / "oci-bundler").mkdir(parents=True)
    three = home / "oci-bundler/station"
    assert run("station", "init", three, "--name", "three").exit == 0

    def name(*flags: object, **env: object) -> Any:
        found = crossing.run("verify", bundle, "--json", *flags, env={key: str(value) for key, value in env.items()})
        return found.json["station"] and found.json["station"]["name"]

    assert name(XDG_STATE_HOME=home) == "three"
    assert name(HOME=crossing.folder / "nobody") is None
    assert name(XDG_STATE_HOME=home, OCI_BUNDLER_STATION=two) == "two"
    assert name("--station", one, XDG_STATE_HOME=home, OCI_BUNDLER_STATION=two) == "one"
    (three / "station.toml").unlink()
    lost = crossing.run("verify", bundle, "--json", env={"XDG_STATE_HOME": str(home)})
    assert lost.code == "station.missing"


# --- a folder that is not as it should be ---


def _missing(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def _no_state(folder: Path) -> None:
    (folder / "state.json").unlink()


def _empty(folder: Path) -> None:
    (folder / "state.json").write_bytes(b"")


def _huge(folder: Path) -> None:
    with (folder / "state.json").open("wb") as file:
        file.truncate(1 << 40)


def _others(folder: Path) -> None:
    (folder / "state.json").write_bytes(State("plant-8").spelled())


def _link(folder: Path) -> None:
    (folder / "state.json").rename(folder / "kept.json")
    (folder / "state.json").symlink_to("kept.json")


def _pipe(folder: Path) -> None:
    (folder / "state.json").unlink()
    os.mkfifo(folder / "state.json")


def _folder_link(folder: Path) -> None:
    _missing(folder)
    folder.symlink_to("elsewhere")


def _open(folder: Path) -> None:
    folder.chmod(0o770)


def _open_state(folder: Path) -> None:
    (folder / "state.json").chmod(0o666)


def _odd_profile(folder: Path) -> None:
    (folder / "station.toml").write_text("version = 2\n")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_missing, "station.missing"),
        (_no_state, "station.state"),
        (_empty, "station.state"),
        (_huge, "station.state"),
        (_others, "station.state"),
        (_link, "station.permissions"),
        (_pipe, "station.permissions"),
        (_folder_link, "station.permissions"),
        (_open, "station.permissions"),
        (_open_state, "station.permissions"),
        (_odd_profile, "station.form"),
    ],
)
def test_a_folder_that_is_not_as_it_should_be_is_never_taken_for_a_new_one(
    spoil: Callable[[Path], None], code: str, crossing: Crossing
) -> None:
    station, bundle = crossing.station(), sealed(crossing, 1)
    assert crossing.import_(bundle, "--station", station).exit == 0
    spoil(station)
    asked = len(crossing.there.changes)
    for words in (("verify", bundle), ("import", bundle, crossing.there.host), ("status",)):
        done = crossing.run(*words, "--station", station, "--json")
        assert (done.exit, done.code) == (2, code), words
        assert done.json["error"]["next"] or code != "station.state"
    assert len(crossing.there.changes) == asked


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["", "state.json", "station.toml"])
def test_a_folder_of_somebody_else_is_refused(name: str, crossing: Crossing) -> None:
    station = crossing.station()
    os.chown(station / name, 65534, 65534)
    assert crossing.run("status", "--station", station, "--json").code == "station.permissions"


def test_a_lock_that_is_a_link_is_not_followed(crossing: Crossing) -> None:
    station, bundle = crossing.station(), sealed(crossing, 1)
    (station / "lock").unlink()
    (station / "lock").symlink_to(crossing.folder / "made-by-lock")
    assert crossing.import_(bundle, "--station", station, "--json").code == "disk.io"
    assert not (crossing.folder / "made-by-lock").exists()
    assert crossing.run("verify", bundle, "--station", station).exit == 0  # who only reads needs no lock
    assert crossing.import_(bundle, "--station", station, "--dry-run").exit == 0


# --- init and status ---


def test_init_makes_a_folder_that_only_its_owner_may_write(tmp_path: Path) -> None:
    done = run("station", "init", tmp_path / "station", "--name", "plant-7", "--json")
    assert done.exit == 0
    made = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "station").iterdir() if path.is_file()}
    assert made == {"station.toml": 0o600, "station.key": 0o600, "station.pub": 0o644, "state.json": 0o600, "lock": 0o600}
    assert (tmp_path / "station").stat().st_mode & 0o777 == 0o700
    assert re.fullmatch("sha256:[0-9a-f]{64}", done.json["fingerprint"])
    again = run("station", "init", tmp_path / "station", "--name", "plant-7", "--json")
    assert (again.exit, again.code) == (8, "output.exists")


def test_an_empty_folder_that_others_may_write_becomes_its_owners(tmp_path: Path) -> None:
    (tmp_path / "station").mkdir()
    (tmp_path / "station").chmod(0o777)
    assert run("station", "init", tmp_path / "station", "--name", "plant-7").exit == 0
    assert (tmp_path / "station").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["", "plant 7", "p" * 65, "../x", "plänt"])
def test_a_name_that_cannot_be_makes_nothing(name: str, tmp_path: Path) -> None:
    done = run("station", "init", tmp_path / "station", "--name", name, "--json")
    assert (done.exit, done.code) == (2, "station.form")
    assert not (tmp_path / "station").exists()


@pytest.mark.parametrize("kind", ["p384", "rsa3072", "ed25519"])
def test_only_a_p256_key_can_be_a_stations(kind: str, tmp_path: Path) -> None:
    assert run("keygen", tmp_path / "own", "--type", kind, "--no-password").exit == 0
    done = run("station", "init", tmp_path / "station", "--name", "x", "--key", tmp_path / "own.key", "--json")
    assert (done.exit, done.code) == (2, "station.form")
    assert not (tmp_path / "station").exists()


def test_a_key_with_a_passphrase_stays_where_it_is_and_import_asks_for_it(crossing: Crossing) -> None:
    here = crossing.folder
    (here / "word").write_text("secret\n")
    assert run("keygen", here / "own", "--password-file", here / "word").exit == 0
    words = ("station", "init", here / "station", "--name", "x", "--key", here / "own.key")
    assert run(*words, "--json").code == "usage.password"
    assert run(*words, "--password-file", here / "word").exit == 0
    bundle = sealed(crossing, 1)
    assert crossing.import_(bundle, "--station", here / "station", "--json").code == "usage.password"
    assert crossing.import_(bundle, "--station", here / "station", "--password-file", here / "word").exit == 0


def test_status_shows_what_the_next_bundle_must_be(crossing: Crossing) -> None:
    station, bundle = crossing.station(), sealed(crossing, 7)
    assert crossing.run("status", "--station", station).out.splitlines()[0] == f"station plant-7 at {station}: 0 streams"
    assert crossing.import_(bundle, "--station", station).exit == 0
    told = crossing.run("status", "--station", station, "--json").json
    [stream] = told["streams"]
    identity = inside(bundle)["identity"]
    assert (stream["stream"], stream["sequence"], stream["identity"], stream["order"]) == ("default", 7, identity, "newer")
    assert stream["age_s"] >= 0
    assert told["trust"]["serial"] == 1
    assert (told["journal"]["size"], told["receipts"]) == (1, 1)
    shown: dict[str, str] = {}
    for order in ("newer", "chain", "any"):
        with_order(crossing, order)
        shown[order] = crossing.run("status", "--station", station).out
    assert f"next: a number above 7, best with --previous {identity}\n" in shown["newer"]
    assert f"next: a number above 7 with --previous {identity}\n" in shown["chain"]
    assert "next: any number but those accepted; a newer one is above 7\n" in shown["any"]
    assert json.loads((station / "state.json").read_bytes())["trust"]["serial"] == 1


# --- a copy of the state that is put back ---


def test_a_state_that_is_older_than_the_journal_is_noticed(crossing: Crossing) -> None:
    station = crossing.station()
    first, second, third = (sealed(crossing, number) for number in (1, 2, 3))
    new = (station / "state.json").read_bytes()
    assert crossing.import_(first, "--station", station).exit == 0
    old = (station / "state.json").read_bytes()
    assert [crossing.import_(bundle, "--station", station).exit for bundle in (second, third)] == [0, 0]
    latest, asked = (station / "state.json").read_bytes(), len(crossing.there.asked)
    for copy, number in ((old, 2), (new, 1)):
        (station / "state.json").write_bytes(copy)
        ran = crossing.import_(second, "--station", station, "--json")
        assert (ran.exit, ran.code) == (2, "station.state")
        assert f"lets in number {number} of default" in ran.json["error"]["found"]
        dry = crossing.import_(second, "--station", station, "--dry-run", "--json")
        looked = [crossing.run("verify", second, "--station", station, "--json"), crossing.run("status", "--station", station, "--json")]
        assert [(each.exit, each.code) for each in (dry, *looked)] == [(2, "station.state")] * 3
        assert ((station / "state.json").read_bytes(), len(crossing.there.asked)) == (copy, asked)
    (station / "state.json").write_bytes(latest)
    assert crossing.import_(third, "--station", station).exit == 0


def test_receipts_of_what_was_refused_came_again_or_are_gone_do_not_make_a_state_old(crossing: Crossing) -> None:
    station, first, second = crossing.station(), sealed(crossing, 1), sealed(crossing, 2)
    assert [crossing.import_(bundle, "--station", station).exit for bundle in (second, first, second, second)] == [0, 5, 0, 0]
    (station / "receipts/0000000002.json").unlink()
    assert crossing.import_(second, "--station", station).exit == 0
