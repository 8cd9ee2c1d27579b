"""Bundles that leave out what the far side has: found before anything is pushed, whole when it arrives, and never half-visible."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bundler.bundle.archive import opened
from bundler.bundle.seal import Seal
from bundler.content.layout import Layout
from bundler.ledger.reading import Held
from bundler.ledger.returnfile import Accepted, Return, unverified
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.serving.exchange import Request, Response
from tests.support import receipts, signing
from tests.support.layouts import PLAIN_LAYER
from tests.support.returns import held as holding
from tests.support.station import STRANGER, Crossing, Image, Ran, Watched, faults, run, tags_of, write_key

AT = datetime(2026, 1, 1, tzinfo=UTC)
STATION = signing.Key.of("p256", 70)


def noise(word: str, size: int = 20_000) -> bytes:
    """Bytes of a layer, more than are sent without asking."""
    return (word.encode() * size)[:size]


def image_of(crossing: Crossing, *words: str, name: str = "team/app:v1") -> Image:
    """A signed image with a layer for each word."""
    layers = [crossing.content.blob(noise(word), PLAIN_LAYER) for word in words]
    return crossing.push(crossing.sign(crossing.content.image(" ".join(words), layers=layers)), name)


def seal_of(bundle: Path) -> Seal:
    with opened(bundle) as archive:
        return archive.sealed_by(archive.envelope.payload()).seal


def identity_of(bundle: Path) -> Digest:
    with opened(bundle) as archive:
        return archive.envelope.identity


def left(bundle: Path) -> set[Digest]:
    return {each.digest for each in seal_of(bundle).elsewhere}


def digest_of(word: str) -> Digest:
    return Digest.of(noise(word))


def returned(
    crossing: Crossing, held: Mapping[str, Iterable[str]], *, station: str = "plant-7", by: signing.Key = STATION, to: str = "return.json"
) -> Path:
    """A return file of a station whose repositories hold the layers of these words."""
    told = Return(
        station=station,
        time=AT,
        streams={"default": Accepted(1, Digest.of(b"earlier"), AT, AT)},
        held={name: holding((digest_of(word), 20_000) for word in words) for name, words in held.items()},
    )
    path = crossing.folder / to
    path.write_bytes(told.signed(by.sign))
    return path


def place(crossing: Crossing, image: Image) -> str:
    """The path that an image's repository has at the isolated registry."""
    return f"{crossing.here.host.replace(':', '-')}/{image.path}"


# --- what is left out ---


def test_a_bundle_leaves_out_what_an_earlier_one_brought_and_the_station_makes_it_whole(crossing: Crossing) -> None:
    one = image_of(crossing, "base", "old")
    first = crossing.export(one, to="1.oci.tar.zst")
    assert crossing.import_(first).exit == 0
    two = image_of(crossing, "base", "new", name="team/app:v2")
    second = crossing.export(two, to="2.oci.tar.zst", flags=["--base", first])
    assert left(second) == {digest_of("base")}
    assert seal_of(second).base == (identity_of(first),)
    assert sum(member.size for member in seal_of(second).members) < sum(member.size for member in seal_of(first).members) - 10_000
    asked = len(crossing.there.asked)
    ran = crossing.import_(second, "--json")
    assert (ran.exit, ran.json["passed"]) == (0, True)
    there = crossing.arrived(two)
    assert faults(there) == []
    assert tags_of(there)["v2"] == two.root.digest
    uploads = [line for line in crossing.there.asked[asked:] if line.startswith("PUT") and "/blobs/uploads/" in line]
    assert not any(str(digest_of("base")) in line for line in uploads)


def test_verdicts_follow_from_the_delta_alone_and_verify_says_what_it_leaves_out(crossing: Crossing) -> None:
    first = crossing.export(image_of(crossing, "base"), to="1.oci.tar.zst")
    second = crossing.export(image_of(crossing, "base", "new"), to="2.oci.tar.zst", flags=["--base", first])
    ran = crossing.run("verify", second)
    assert ran.exit == 0
    assert "it leaves out 1 layer" in ran.said
    said = crossing.run("verify", second, "--json").json
    assert said["bundle"]["base"] == [str(identity_of(first))]
    assert said["bundle"]["elsewhere"] == {"blobs": 1, "bytes": 20_000}
    assert "it leaves out 1 layer" in crossing.run("inspect", second).said


def test_documents_configs_and_evidence_travel_whatever_a_base_says(crossing: Crossing) -> None:
    one = image_of(crossing, "base")
    first = crossing.export(one, to="1.oci.tar.zst")
    second = crossing.export(one, to="2.oci.tar.zst", flags=["--base", first])
    whole, delta = seal_of(first), seal_of(second)
    kept = [member for member in whole.members if member.digest not in left(second)]
    assert [member for member in delta.members if member.kind != "docker"] == [member for member in kept if member.kind != "docker"]


def test_an_attestation_in_an_index_travels(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.with_buildkit())
    one = crossing.push(root)
    first = crossing.export(one, to="1.oci.tar.zst")
    second = crossing.export(one, to="2.oci.tar.zst", flags=["--base", first])
    types = {each.media_type for each in seal_of(second).elsewhere}
    assert types
    assert "application/vnd.in-toto+json" not in types


def test_export_says_for_each_repository_how_much_a_base_saved(crossing: Crossing) -> None:
    first = crossing.export(image_of(crossing, "base"), to="1.oci.tar.zst")
    two = image_of(crossing, "base", "new", name="team/app:v2")
    other = image_of(crossing, "other", name="team/other:v1")
    key = crossing.keys["exporter"].with_suffix(".pub")
    ran = crossing.run("export", two.reference, other.reference, "--dry-run", "--base", first, "--base-key", key, "--json")
    said = ran.json["base"]
    assert (said["saved"], said["elsewhere"], said["bundles"]) == (20_000, 1, [str(identity_of(first))])
    assert [(each["repository"], each["elsewhere"], each["saved"]) for each in said["repositories"]] == [
        (two.reference.rpartition(":")[0], 1, 20_000),
        (other.reference.rpartition(":")[0], 0, 0),
    ]
    assert said["files"] == [{"file": str(first), "kind": "bundle", "station": None, "verified": True}]
    why = {layer["digest"]: layer["held_by"] for each in said["repositories"] for layer in each["layers"]}
    assert why[str(digest_of("base"))] == [str(first)]
    assert why[str(digest_of("new"))] == []
    text = crossing.run("export", two.reference, "--dry-run", "--base", first, "-v").said
    assert "left out 1 layer" in text
    assert f"{digest_of('base')} 19.5 KiB left out: {first} has it" in text
    assert "nobody has verified who wrote the base" in crossing.run("export", two.reference, "--dry-run", "--base", first).err


def test_of_many_bundles_that_a_delta_leans_on_a_few_are_named(crossing: Crossing) -> None:
    app = image_of(crossing, "base")
    streams = {f"stream-{number}": Accepted(1, Digest.of(str(number).encode()), AT, AT) for number in range(100)}
    back = crossing.folder / "return.json"
    back.write_bytes(
        Return(station="plant-7", time=AT, streams=streams, held={"plant:5000/app": holding([(digest_of("base"), 20_000)])}).signed(
            STATION.sign
        )
    )
    delta = crossing.export(app, flags=["--base", back])
    said = crossing.run("verify", delta).said
    assert said.count("…") < 20
    assert " and 92 more " in said
    assert crossing.run("verify", delta, "-v").said.count("sha256:") > 100
    assert len(crossing.run("verify", delta, "--json").json["bundle"]["base"]) == 100


# --- return files and receipts ---


def test_what_a_station_returned_is_left_out_wherever_in_its_registry_it_lies(crossing: Crossing) -> None:
    base = image_of(crossing, "base", name="team/base:v1")
    assert crossing.import_(crossing.export(base)).exit == 0
    app = image_of(crossing, "base", "new")
    back = returned(crossing, {f"{crossing.there.host}/{place(crossing, base)}": ["base"]})
    delta = crossing.export(app, base, to="2.oci.tar.zst", flags=["--base", back])
    assert left(delta) == {digest_of("base")}
    assert seal_of(delta).base == (Digest.of(b"earlier"),)
    assert crossing.import_(delta).exit == 0
    assert faults(crossing.arrived(app)) == []


def test_a_receipt_is_a_base(crossing: Crossing) -> None:
    app = image_of(crossing, "base", "new")
    held = {"plant:5000/mirror/app": tuple(sorted((Held(digest_of("base"), 20_000),)))}
    told = crossing.folder / "receipt.json"
    told.write_bytes(replace(receipts.ACCEPTED, held=held).signed(STATION.sign))
    delta = crossing.export(app, flags=["--base", told, "--base-key", public(crossing)])
    assert left(delta) == {digest_of("base")}
    assert seal_of(delta).base == (Digest.of(b"payload"),)


def public(crossing: Crossing, by: signing.Key = STATION, name: str = "station") -> Path:
    return write_key(crossing.folder / f"{name}.key", by).with_suffix(".pub")


@pytest.mark.parametrize("make", ["return", "receipt", "bundle"])
def test_a_base_by_somebody_else_is_refused_where_a_key_was_given(make: str, crossing: Crossing) -> None:
    app = image_of(crossing, "base")
    if make == "bundle":
        base, code = crossing.folder / "1.oci.tar.zst", "seal.signature"
        assert crossing.run("export", app.reference, "-o", base, "--key", crossing.keys["stranger"]).exit == 0
    else:
        base, code = crossing.folder / "told.json", "receipt.signature"
        told = Return(station="plant-7", time=AT) if make == "return" else receipts.ACCEPTED
        base.write_bytes(told.signed(STRANGER.sign))
    ran = crossing.run("export", app.reference, "--dry-run", "--base", base, "--base-key", public(crossing), "--json")
    assert (ran.exit, ran.code) == (5, code)


def test_any_of_several_keys_may_have_signed_a_base(crossing: Crossing) -> None:
    app = image_of(crossing, "base")
    back = returned(crossing, {"plant:5000/app": ["base"]})
    told = crossing.folder / "receipt.json"
    told.write_bytes(receipts.ACCEPTED.signed(STATION.sign))
    keys = ["--base-key", public(crossing, STRANGER, "other"), "--base-key", public(crossing)]
    ran = crossing.run("export", app.reference, "--dry-run", "--base", back, "--base", told, *keys, "--json")
    assert [each["verified"] for each in ran.json["base"]["files"]] == [True, True]


def test_of_two_stations_only_what_both_have_is_left_out(crossing: Crossing) -> None:
    app = image_of(crossing, "both", "one", "neither")
    bases = [
        returned(crossing, {"plant:5000/a": ["both"], "plant:5000/b": ["one"]}, to="7.json"),
        returned(crossing, {"other:5000/app": ["both"]}, station="plant-8", to="8.json"),
    ]
    flags = [word for base in bases for word in ("--base", base)]
    assert left(crossing.export(app, flags=flags)) == {digest_of("both")}
    assert left(crossing.export(app, to="7.oci.tar.zst", flags=flags[:2])) == {digest_of("both"), digest_of("one")}


def test_a_station_that_holds_nothing_lets_nothing_be_left_out(crossing: Crossing) -> None:
    app = image_of(crossing, "base")
    flags = ["--base", returned(crossing, {"plant:5000/a": ["base"]}), "--base", returned(crossing, {}, station="plant-8", to="8.json")]
    ran = crossing.run("export", app.reference, "--dry-run", *flags, "--json")
    assert ran.json["base"]["elsewhere"] == 0
    assert "plant-8 holds nothing" in ran.err


def test_what_one_station_says_of_two_registries_must_lie_in_both(crossing: Crossing) -> None:
    app = image_of(crossing, "both", "one")
    back = returned(crossing, {"plant:5000/a": ["both", "one"], "spare:5000/a": ["both"]})
    assert left(crossing.export(app, flags=["--base", back])) == {digest_of("both")}


def test_what_was_sent_to_all_is_left_out_beside_what_each_has(crossing: Crossing) -> None:
    first = crossing.export(image_of(crossing, "sent"), to="1.oci.tar.zst")
    flags = ["--base", first, "--base", returned(crossing, {"plant:5000/a": ["held"]})]
    app = image_of(crossing, "sent", "held", "new", name="team/app:v2")
    assert left(crossing.export(app, to="2.oci.tar.zst", flags=flags)) == {digest_of("sent"), digest_of("held")}


def test_a_base_of_another_station_is_refused(crossing: Crossing) -> None:
    app = image_of(crossing, "base")
    back = returned(crossing, {"plant:5000/a": ["base"]})
    ran = crossing.run("export", app.reference, "--dry-run", "--base", back, "--station", "plant-8", "--json")
    assert (ran.exit, ran.code) == (2, "usage")
    same = crossing.export(app, flags=["--base", back, "--station", "plant-7"])
    assert seal_of(same).station == "plant-7"
    assert "other stations may lack it" in crossing.run("export", app.reference, "--dry-run", "--base", back).err


def test_what_a_base_gives_another_size_is_carried(crossing: Crossing) -> None:
    app = image_of(crossing, "base")
    told = Return(
        station="plant-7",
        time=AT,
        streams={"default": Accepted(1, Digest.of(b"earlier"), AT, AT)},
        held={"plant:5000/a": (Held(digest_of("base"), 20_001),)},
    )
    back = crossing.folder / "return.json"
    back.write_bytes(told.signed(STATION.sign))
    assert left(crossing.export(app, flags=["--base", back])) == set()


BAD_BASES: dict[str, tuple[bytes, int, str]] = {
    "text": (b"nothing\n", 3, "format.receipt"),
    "an empty file": (b"", 3, "format.receipt"),
    "a return file with a space": (b' {"payloadType":"application/vnd.oci-bundler.return.v1+json"}', 3, "format.return"),
    "the start of a bundle": (b"\x28\xb5\x2f\xfd", 4, "content.truncated"),
}


@pytest.mark.parametrize("case", BAD_BASES)
def test_what_is_not_a_base_is_refused(case: str, crossing: Crossing) -> None:
    data, exit_code, code = BAD_BASES[case]
    base = crossing.folder / "base"
    base.write_bytes(data)
    ran = crossing.run("export", image_of(crossing, "base").reference, "--dry-run", "--base", base, "--json")
    assert (ran.exit, ran.code) == (exit_code, code)


@pytest.mark.parametrize("flags", [["--base", "nowhere.json"], ["--base-key", "station.pub"], ["--base", "."]])
def test_a_base_that_cannot_be_read_is_refused(flags: list[str], crossing: Crossing) -> None:
    ran = crossing.run("export", image_of(crossing, "base").reference, "--dry-run", *flags, "--json")
    assert ran.exit == 2


# --- import: found before anything is pushed ---


def test_a_base_that_lies_makes_a_bundle_that_is_not_whole_and_nothing_enters(crossing: Crossing) -> None:
    app = image_of(crossing, "one", "two", "new")
    back = returned(crossing, {f"{crossing.there.host}/anywhere": ["one", "two"]}, by=STRANGER)
    delta = crossing.export(app, flags=["--base", back])
    for flags in ([], ["--verify-first"], ["--dry-run"]):
        ran = crossing.import_(delta, "--json", *flags)
        assert (ran.exit, ran.code) == (6, "base.missing")
        assert all(str(digest_of(word)) in ran.json["error"]["found"] for word in ("one", "two"))
        assert str(digest_of("new")) not in ran.json["error"]["found"]
        assert [line.split()[1] for line in ran.err.splitlines() if line.startswith("missing: ")] == [
            str(digest_of("one")),
            str(digest_of("two")),
        ]
        assert not crossing.there.changes


def test_many_missing_layers_are_named_up_to_a_hundred(crossing: Crossing) -> None:
    words = [f"layer {number} " for number in range(103)]
    first = crossing.export(image_of(crossing, *words), to="1.oci.tar.zst")
    delta = crossing.export(image_of(crossing, *words, "new"), to="2.oci.tar.zst", flags=["--base", first])
    ran = crossing.import_(delta, "--json")
    lines = [line for line in ran.err.splitlines() if line.startswith("missing: ")]
    assert (ran.code, len(lines), lines[-1]) == ("base.missing", 101, "missing: 3 more")


def test_what_another_repository_of_the_run_has_is_mounted(crossing: Crossing) -> None:
    base = image_of(crossing, "base", name="team/base:v1")
    first = crossing.export(base, to="1.oci.tar.zst")
    assert crossing.import_(first).exit == 0
    other, app = image_of(crossing, "other", name="team/base:v2"), image_of(crossing, "base", "new")
    delta = crossing.export(other, app, to="2.oci.tar.zst", flags=["--base", first])
    dry = crossing.import_(delta, "--dry-run")
    assert dry.exit == 0
    asked = len(crossing.there.asked)
    assert crossing.import_(delta).exit == 0
    assert faults(crossing.arrived(app)) == []
    assert any(line.startswith("POST") and place(crossing, app) in line for line in crossing.there.asked[asked:])


def on_a_base_elsewhere(crossing: Crossing) -> tuple[Image, Image, Path]:
    """An image that has arrived, another one with its layer, and a delta of both for a registry that does not mount."""
    base = image_of(crossing, "base", name="team/base:v1")
    first = crossing.export(base, to="1.oci.tar.zst")
    assert crossing.import_(first).exit == 0
    app = image_of(crossing, "base", "new")
    delta = crossing.export(base, app, to="2.oci.tar.zst", flags=["--base", first])
    without_mounts(crossing.there)
    return base, app, delta


def test_where_mounting_cannot_be_had_it_is_copied_within_the_registry_and_hashed(crossing: Crossing) -> None:
    _, app, delta = on_a_base_elsewhere(crossing)
    assert crossing.import_(delta).exit == 0
    assert faults(crossing.arrived(app)) == []
    assert b"".join(crossing.arrived(app).chunks(Descriptor(PLAIN_LAYER, digest_of("base"), 20_000))) == noise("base")


def test_other_bytes_in_another_repository_are_not_copied(crossing: Crossing) -> None:
    base, _, delta = on_a_base_elsewhere(crossing)
    path = f"/v2/{place(crossing, base)}/blobs/{digest_of('base')}"
    crossing.there.answer_with(path, noise("lies"), "application/octet-stream")
    named = len(crossing.there.named)
    ran = crossing.import_(delta, "--json")
    assert (ran.exit, said_reason(ran)) == (4, "content.digest")
    assert ran.json["error"]["what"].startswith(f"{crossing.there.host}/{place(crossing, base)}: ")  # not the bundle's fault
    assert crossing.there.named[named:] == []


def said_reason(ran: Ran) -> str:
    """The code of an error, or the first reason of a bundle that turned out to be damaged."""
    said = ran.json
    return str(said["error"]["code"] if "error" in said else said["content"]["reasons"][0])


def without_mounts(registry: Watched) -> None:
    """As registries that begin an upload instead."""
    answer = registry.answer

    def answered(request: Request) -> Response:
        return answer(replace(request, query={}) if request.method == "POST" else request)

    registry.answer = answered  # type: ignore[method-assign]  # it is a test's own registry


def test_an_earlier_bundle_gives_what_the_registry_lacks(crossing: Crossing) -> None:
    first = crossing.export(image_of(crossing, "base"), to="1.oci.tar.zst")
    app = image_of(crossing, "base", "new", name="team/app:v2")
    delta = crossing.export(app, to="2.oci.tar.zst", flags=["--base", first])
    assert crossing.import_(delta, "--json").code == "base.missing"
    dry = crossing.import_(delta, "--from", first, "--dry-run")
    assert dry.exit == 0
    assert not crossing.there.changes
    assert crossing.import_(delta, "--from", first).exit == 0
    assert faults(crossing.arrived(app)) == []


def test_a_delta_of_a_delta_wants_both_bases(crossing: Crossing) -> None:
    app = image_of(crossing, "base", "two", "three", name="team/app:v3")
    bundles = [crossing.export(image_of(crossing, "base"), to="1.oci.tar.zst")]
    bundles.append(crossing.export(image_of(crossing, "base", "two"), to="2.oci.tar.zst", flags=["--base", bundles[0]]))
    bundles.append(crossing.export(app, to="3.oci.tar.zst", flags=["--base", bundles[1]]))
    assert left(bundles[2]) == {digest_of("base"), digest_of("two")}
    assert set(seal_of(bundles[2]).base) == {identity_of(bundle) for bundle in bundles[:2]}
    ran = crossing.import_(bundles[2], "--from", bundles[1], "--json")
    assert (ran.exit, ran.code) == (6, "base.missing")
    assert str(digest_of("base")) in ran.json["error"]["found"]
    assert str(digest_of("two")) not in ran.json["error"]["found"]
    assert crossing.import_(bundles[2], "--from", bundles[1], "--from", bundles[0]).exit == 0
    assert faults(crossing.arrived(app)) == []


def test_an_earlier_bundle_must_be_sealed_by_who_may(crossing: Crossing) -> None:
    app = image_of(crossing, "base")
    first = crossing.folder / "1.oci.tar.zst"
    assert crossing.run("export", app.reference, "-o", first, "--key", crossing.keys["stranger"]).exit == 0
    delta = crossing.export(image_of(crossing, "base", "new"), to="2.oci.tar.zst", flags=["--base", first])
    ran = crossing.import_(delta, "--from", first, "--json")
    assert (ran.exit, ran.code) == (5, "seal.signature")
    assert not crossing.there.changes


def test_a_damaged_earlier_bundle_leaves_nothing_named(crossing: Crossing) -> None:
    first = crossing.export(image_of(crossing, "base"), to="1.oci.tar.zst")
    delta = crossing.export(image_of(crossing, "base", "new"), to="2.oci.tar.zst", flags=["--base", first])
    data = bytearray(first.read_bytes())
    data[-150] ^= 1  # among the layers, which come last
    first.write_bytes(data)
    ran = crossing.import_(delta, "--from", first, "--json")
    assert ran.exit == 4
    assert not crossing.there.named


@pytest.mark.parametrize("flags", [[], ["--verify-first"]])
def test_a_layer_that_the_destination_loses_in_between_leaves_nothing_named(flags: list[str], crossing: Crossing) -> None:
    old = image_of(crossing, "base")
    first = crossing.export(old, to="1.oci.tar.zst")
    assert crossing.import_(first).exit == 0
    app = image_of(crossing, "base", "new", name="team/app:v2")
    delta = crossing.export(app, to="2.oci.tar.zst", flags=["--base", first])
    named = len(crossing.there.named)
    lose_after(crossing, place(crossing, app), lambda request: request.method == "PUT" and "/blobs/uploads/" in request.path)
    ran = crossing.import_(delta, "--json", *flags)
    assert (ran.exit, ran.code) == (6, "base.missing")
    assert crossing.there.named[named:] == []
    assert "v2" not in crossing.arrived(app).tags()


def test_a_layer_that_is_lost_in_between_comes_from_an_earlier_bundle(crossing: Crossing) -> None:
    first = crossing.export(image_of(crossing, "base"), to="1.oci.tar.zst")
    assert crossing.import_(first).exit == 0
    app = image_of(crossing, "base", "new", name="team/app:v2")
    delta = crossing.export(app, to="2.oci.tar.zst", flags=["--base", first])
    lose_after(crossing, place(crossing, app), lambda request: request.method == "PUT" and "/blobs/uploads/" in request.path)
    assert crossing.import_(delta, "--from", first).exit == 0
    there = crossing.arrived(app)
    assert [fault for fault in faults(there) if fault.startswith("v2")] == []


def test_a_layer_that_is_lost_when_its_manifest_is_put_leaves_no_tag(crossing: Crossing) -> None:
    old = image_of(crossing, "base")
    first = crossing.export(old, to="1.oci.tar.zst")
    assert crossing.import_(first).exit == 0
    app = image_of(crossing, "base", "new", name="team/app:v2")
    delta = crossing.export(app, to="2.oci.tar.zst", flags=["--base", first])
    lose_after(crossing, place(crossing, app), lambda request: request.method == "PUT" and "/manifests/" in request.path)
    ran = crossing.import_(delta, "--json")
    assert (ran.exit, ran.code) == (6, "base.missing")
    assert "v2" not in crossing.arrived(app).tags()


def lose_after(crossing: Crossing, path: str, when: Callable[[Request], bool]) -> None:
    """Let the registry collect the layer ``base`` as garbage when it sees the first such request, of which it then answers."""
    left_to_lose = [True]

    def before(request: Request) -> None:
        if left_to_lose and when(request):
            left_to_lose.clear()
            crossing.there.forget(f"{crossing.there.host}/{path}", digest_of("base"))

    crossing.there.before = before


def test_two_stations_with_different_holdings_take_one_bundle_each_in_its_way(crossing: Crossing, tmp_path: Path) -> None:
    first = crossing.export(image_of(crossing, "base", "one"), to="1.oci.tar.zst")
    assert crossing.import_(first).exit == 0
    app = image_of(crossing, "base", "one", "new", name="team/app:v2")
    delta = crossing.export(app, to="2.oci.tar.zst", flags=["--base", first])
    assert crossing.import_(delta).exit == 0
    with Watched(tmp_path / "second") as second:
        ran = crossing.run("import", delta, second.host, "--json")
        assert (ran.exit, ran.code) == (6, "base.missing")
        assert not second.changes
        assert crossing.run("import", delta, second.host, "--from", first).exit == 0
        assert faults(second.repository(place(crossing, app))) == []


def test_an_image_that_is_refused_needs_no_layers(crossing: Crossing) -> None:
    far = crossing.content.image("far", layers=[crossing.content.blob(noise("far"), PLAIN_LAYER)])
    strange = crossing.push(crossing.sign(far, STRANGER), "team/strange:v1")
    near = image_of(crossing, "near")
    delta = crossing.export(strange, near, flags=["--base", returned(crossing, {"plant:5000/x": ["far"]})])
    assert left(delta) == {digest_of("far")}
    assert crossing.import_(delta, "--admit-passing").exit == 9
    assert faults(crossing.arrived(near)) == []


def test_small_layers_elsewhere_are_asked_for_and_not_sent(crossing: Crossing) -> None:
    layer = crossing.content.blob(b"small", PLAIN_LAYER)
    one = crossing.push(crossing.sign(crossing.content.image("one", layers=[layer])))
    first = crossing.export(one, to="1.oci.tar.zst")
    two = crossing.push(crossing.sign(crossing.content.image("two", layers=[layer])), "team/app:v2")
    delta = crossing.export(two, to="2.oci.tar.zst", flags=["--base", first])
    assert crossing.import_(delta, "--json").code == "base.missing"
    assert crossing.import_(first).exit == 0
    assert crossing.import_(delta).exit == 0
    assert faults(crossing.arrived(two)) == []


# --- extract ---


def test_extract_takes_from_earlier_bundles_and_from_the_layout(crossing: Crossing, tmp_path: Path) -> None:
    first = crossing.export(image_of(crossing, "base"), to="1.oci.tar.zst")
    app = image_of(crossing, "base", "new", name="team/app:v2")
    delta = crossing.export(app, to="2.oci.tar.zst", flags=["--base", first])
    ran = crossing.run("extract", delta, app.reference, "--to", f"oci:{tmp_path / 'one'}", "--json")
    assert (ran.exit, ran.code) == (6, "base.missing")
    assert crossing.run("extract", delta, app.reference, "--to", f"oci:{tmp_path / 'one'}", "--from", first).exit == 0
    whole(tmp_path / "one", app.root)
    again = crossing.push(app.root, "team/app:v3")
    third = crossing.export(again, to="3.oci.tar.zst", flags=["--base", delta])
    assert crossing.run("extract", third, again.reference, "--to", f"oci:{tmp_path / 'one'}").exit == 0


def whole(folder: Path, root: Document) -> None:
    with Layout.at(folder) as layout:
        assert layout.document(root.digest) is not None
        assert all(layout.has(blob) for blob in root.blobs)


# --- what a station returns ---


@pytest.fixture
def plant(crossing: Crossing) -> list[object]:
    """Flags of a station of its own."""
    folder = crossing.folder / "station"
    assert run("station", "init", folder, "--name", "plant-7").exit == 0
    return ["--station", folder]


def test_a_station_returns_what_it_holds_and_the_next_bundle_leaves_it_out(crossing: Crossing, plant: list[object]) -> None:
    assert crossing.import_(crossing.export(image_of(crossing, "base", "old"), to="1.oci.tar.zst"), *plant).exit == 0
    back = crossing.folder / "return.json"
    ran = crossing.run("status", "--export", back, *plant)
    assert ran.exit == 0, ran.err
    assert f"{back} tells of 3 blobs" in ran.err
    key = crossing.folder / "station/station.pub"
    two = image_of(crossing, "base", "new", name="team/app:v2")
    flags = ["--base", back, "--base-key", key, "--station", "plant-7"]
    delta = crossing.export(two, to="2.oci.tar.zst", flags=flags)
    assert left(delta) == {digest_of("base")}
    assert crossing.import_(delta, *plant).exit == 0
    assert faults(crossing.arrived(two)) == []
    told = unverified(back.read_bytes())
    assert (told.station, told.refused, len(told.held)) == ("plant-7", (), 1)
    assert told.checkpoint is not None
    assert told.checkpoint.splitlines()[1] == "1"


def test_a_return_file_tells_of_what_was_refused(crossing: Crossing, plant: list[object]) -> None:
    strange = crossing.signed_image("team/strange:v1", key=STRANGER)
    assert crossing.import_(crossing.export(strange), *plant).exit == 5
    back = crossing.folder / "return.json"
    assert crossing.run("status", "--export", back, *plant).exit == 0
    told = unverified(back.read_bytes())
    assert [each.codes[0] for each in told.refused] == ["policy.threshold"]
    assert told.held == {}


def test_a_later_import_into_a_repository_says_what_it_holds(crossing: Crossing, plant: list[object]) -> None:
    for number, words in enumerate((("base", "old"), ("base", "new")), start=1):
        bundle = crossing.export(image_of(crossing, *words, name=f"team/app:v{number}"), to=f"{number}.oci.tar.zst")
        assert crossing.import_(bundle, *plant).exit == 0
    back = crossing.folder / "return.json"
    assert crossing.run("status", "--export", back, *plant).exit == 0
    [blobs] = unverified(back.read_bytes()).held.values()
    digests = {blob.digest for blob in blobs}
    assert digest_of("new") in digests
    assert digest_of("old") not in digests


def test_a_return_file_is_not_overwritten_unasked(crossing: Crossing, plant: list[object]) -> None:
    back = crossing.folder / "return.json"
    back.write_bytes(b"mine")
    ran = crossing.run("status", "--export", back, *plant, "--json")
    assert (ran.exit, ran.code) == (8, "output.exists")
    assert back.read_bytes() == b"mine"
    assert crossing.run("status", "--export", back, "--replace", *plant).exit == 0
    assert unverified(back.read_bytes()).station == "plant-7"
    assert crossing.run("status", "--replace", *plant).exit == 2


def test_a_receipt_that_somebody_changed_is_not_returned_nor_believed(crossing: Crossing, plant: list[object]) -> None:
    base = image_of(crossing, "base", name="team/base:v1")
    first = crossing.export(base, to="1.oci.tar.zst")
    assert crossing.import_(first, *plant).exit == 0
    [told] = (crossing.folder / "station/receipts").glob("*.json")
    told.write_bytes(receipts.ACCEPTED.signed(STRANGER.sign))
    ran = crossing.run("status", "--export", crossing.folder / "return.json", *plant, "--json")
    assert (ran.exit, ran.code) == (5, "receipt.signature")
    delta = crossing.export(image_of(crossing, "base", "new"), to="2.oci.tar.zst", flags=["--base", first])
    ran = crossing.import_(delta, *plant, "--json")
    assert (ran.exit, ran.code) == (6, "base.missing")


def test_another_repository_that_may_not_be_asked_does_not_help_and_does_no_harm(crossing: Crossing, plant: list[object]) -> None:
    base = image_of(crossing, "base", name="team/base:v1")
    first = crossing.export(base, to="1.oci.tar.zst")
    assert crossing.import_(first, *plant).exit == 0
    app = image_of(crossing, "base", "new")
    delta = crossing.export(app, to="2.oci.tar.zst", flags=["--base", first])
    crossing.there.refuse(403, "DENIED", when=lambda request: f"{place(crossing, base)}/" in request.path)
    ran = crossing.import_(delta, *plant, "--json")
    assert (ran.exit, ran.code) == (6, "base.missing")
    assert crossing.import_(delta, *plant, "--from", first).exit == 0
    assert faults(crossing.arrived(app)) == []


def test_what_a_receipt_knows_in_another_repository_is_mounted(crossing: Crossing, plant: list[object]) -> None:
    base = image_of(crossing, "base", name="team/base:v1")
    first = crossing.export(base, to="1.oci.tar.zst")
    assert crossing.import_(first, *plant).exit == 0
    app = image_of(crossing, "base", "new")
    delta = crossing.export(app, to="2.oci.tar.zst", flags=["--base", first])
    assert crossing.import_(delta, "--dry-run", *plant).exit == 0
    assert crossing.import_(delta, "--dry-run", "--json").code == "base.missing"
    assert crossing.import_(delta, *plant).exit == 0
    assert faults(crossing.arrived(app)) == []
