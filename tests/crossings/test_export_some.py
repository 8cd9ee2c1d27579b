"""Several images of which some cannot be carried: all of these are named in one run, and nothing of them travels."""

import errno
import os
from pathlib import Path

import pytest

from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.serving.exchange import Request, Response
from tests.support.hostile_registry import Exchange, HostileRegistry, answer
from tests.support.layouts import Content, write_layout
from tests.support.station import STRANGER, Crossing, Ran, run


def export(crossing: Crossing, *words: object) -> Ran:
    return run("export", *words, "-o", crossing.folder / "b.oci.tar.zst", "--key", crossing.keys["exporter"], "--json")


def written(crossing: Crossing) -> bool:
    return any(path.name.startswith(("b.oci.tar.zst", ".oci-bundler")) for path in crossing.folder.iterdir())


def members(crossing: Crossing) -> set[str]:
    said = run("inspect", crossing.folder / "b.oci.tar.zst", "--json").json["claims"]
    return {member["sha256"] for member in said["members"]}


def failed(done: Ran) -> dict[str, tuple[str, int]]:
    return {one["reference"]: (one["code"], one["exit"]) for one in done.json["failed"]}


@pytest.fixture
def listed(crossing: Crossing) -> dict[str, str]:
    """Images by what is the matter with them."""
    content = crossing.content
    images = {
        "good": crossing.signed_image("team/good:v1", words="good").reference,
        "also good": crossing.signed_image("team/good:v2", words="also good").reference,
        "unsigned": crossing.push(content.image("unsigned"), "team/unsigned:v1").reference,
        "by a stranger": crossing.signed_image("team/strange:v1", key=STRANGER, words="strange").reference,
        "absent": f"{crossing.here.host}/team/none:v1",
        "no layout": f"oci:{crossing.folder}/nowhere",
    }
    dangling = crossing.push(crossing.sign(content.image("dangling")), "team/dangling:v1")
    entry = content.artifact(b"gone", subject=dangling.root).as_referrer
    images["evidence that is gone"] = dangling.reference
    crossing.here.answer_with(f"/v2/team/dangling/referrers/{dangling.root.digest}", _listing(entry), mediatype.OCI_INDEX)
    return images


def _listing(*entries: Descriptor) -> bytes:
    return Content().document({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [e.to_json() for e in entries]}).raw


CODES = {
    "unsigned": ("signature.missing", 5),
    "by a stranger": ("policy.threshold", 5),
    "absent": ("image.missing", 6),
    "no layout": ("usage.input", 2),
    "evidence that is gone": ("blob.missing", 6),
}


def test_all_that_fail_are_named_in_one_run_and_nothing_is_written(crossing: Crossing, listed: dict[str, str]) -> None:
    done = export(crossing, *listed.values(), "--trust", crossing.trust)
    assert failed(done) == {listed[what]: code for what, code in CODES.items()}
    assert done.exit == 2  # the lowest
    assert [done.json[name] for name in ("file", "sha256", "bundle", "images")] == [None, None, None, []]
    assert all(set(one) == {"reference", "code", "exit", "what", "found", "wanted", "next"} for one in done.json["failed"])
    assert not written(crossing)


def test_they_are_told_in_words_too(crossing: Crossing, listed: dict[str, str]) -> None:
    words = (
        "export",
        *listed.values(),
        "--trust",
        crossing.trust,
        "-o",
        crossing.folder / "b.oci.tar.zst",
        "--key",
        crossing.keys["exporter"],
    )
    done = run(*words)
    assert (done.exit, done.first) == (2, "nothing is written: 5 of 7 images cannot be carried")
    for what, (code, _) in CODES.items():
        assert f"\n{listed[what]}: {code}: " in done.out
    assert "  next:   look at it with `oci-bundler verify`" in done.out


def test_with_skip_failing_the_good_ones_are_carried_and_the_others_named(crossing: Crossing, listed: dict[str, str]) -> None:
    done = export(crossing, *listed.values(), "--trust", crossing.trust, "--skip-failing")
    assert done.exit == 9
    assert failed(done) == {listed[what]: code for what, code in CODES.items()}
    assert [image["reference"] for image in done.json["images"]] == [listed["good"], listed["also good"]]
    assert all(f"left behind: {listed[what]}: {code}: " in done.err for what, (code, _) in CODES.items())
    ran = crossing.run("verify", crossing.folder / "b.oci.tar.zst", "--json")
    assert ran.exit == 0
    assert [image["reference"] for image in ran.json["images"]] == [listed["good"], listed["also good"]]


def test_the_words_of_a_bundle_without_some_say_so_first_and_last(crossing: Crossing, listed: dict[str, str]) -> None:
    to = crossing.folder / "b.oci.tar.zst"
    done = run("export", listed["good"], listed["unsigned"], "-o", to, "--key", crossing.keys["exporter"], "--skip-failing")
    assert done.exit == 9
    assert done.first.startswith(f"{to}  1 image, ")
    assert done.first.endswith("; 1 image left behind")
    assert f"\n{listed['unsigned']}: signature.missing: nothing signed was found" in done.out


def test_when_none_can_be_carried_nothing_is_written_whatever_was_asked(crossing: Crossing, listed: dict[str, str]) -> None:
    done = export(crossing, listed["unsigned"], listed["absent"], "--skip-failing")
    assert (done.exit, set(failed(done))) == (5, {listed["unsigned"], listed["absent"]})
    assert not written(crossing)


@pytest.mark.parametrize("flags", [(), ("--skip-failing",)])
def test_of_one_image_alone_the_reason_is_the_error(crossing: Crossing, listed: dict[str, str], flags: tuple[str, ...]) -> None:
    done = export(crossing, listed["unsigned"], *flags)
    assert (done.exit, done.code) == (5, "signature.missing")


def test_nothing_of_what_fails_is_in_the_bundle_though_it_shares_repository_and_layers(crossing: Crossing) -> None:
    content = crossing.content
    good = crossing.signed_image("team/app:good", words="shared")
    [_, layer] = good.root.blobs
    own = content.layer("own")
    bad = content.manifest(content.blob(b'{"os":"linux","architecture":"amd64"}', mediatype.OCI_CONFIG), [layer, own])
    crossing.push(crossing.sign(bad, STRANGER), "team/app:bad")
    signature = content.tags[f"{bad.digest.tag}.sig"]
    note = content.artifact(b"what a stranger says", subject=bad)
    crossing.push(bad, "team/app:bad")
    done = export(crossing, f"{crossing.here.host}/team/app:bad", good.reference, "--trust", crossing.trust, "--skip-failing")
    assert done.exit == 9
    held = members(crossing)
    assert layer.digest.encoded in held
    documents = (bad, signature, note)
    gone = [own.digest, bad.blobs[0].digest, *(d.digest for d in documents), *(b.digest for d in documents[1:] for b in d.blobs[1:])]
    assert not held & {digest.encoded for digest in gone}
    lookups = run("inspect", crossing.folder / "b.oci.tar.zst", "--json").json["claims"]["lookups"]
    assert str(bad.digest) not in {lookup["manifest"] for lookup in lookups}


def test_a_layer_that_is_gone_is_found_while_it_is_carried_and_ends_the_run(crossing: Crossing) -> None:
    good, gone = crossing.signed_image("team/good:v1", words="good"), crossing.signed_image("team/gone:v1", words="gone")
    crossing.here.forget(f"{crossing.here.host}/team/gone", gone.root.blobs[1].digest)
    done = export(crossing, good.reference, gone.reference, "--skip-failing")
    assert (done.exit, done.code) == (6, "blob.missing")
    assert not written(crossing)


def test_two_images_of_one_name_both_fail_and_the_others_do_not(crossing: Crossing) -> None:
    one, two, three = (crossing.signed_image(f"team/{name}:v1", words=name) for name in ("one", "two", "three"))
    (crossing.folder / "list").write_text(f"{one.reference} x.example/x:1\n{two.reference} x.example/x:1\n{three.reference}\n")
    done = export(crossing, "--images", crossing.folder / "list", "--skip-failing")
    assert (done.exit, failed(done)) == (9, dict.fromkeys([one.reference, two.reference], ("usage.reference", 2)))
    assert [image["reference"] for image in done.json["images"]] == [three.reference]
    assert not members(crossing) & {image.root.digest.encoded for image in (one, two)}


def test_all_are_told_in_the_order_in_which_they_were_asked_for(crossing: Crossing, listed: dict[str, str]) -> None:
    one, two = (crossing.signed_image(f"team/{name}:v1", words=name).reference for name in ("one", "two"))
    lines = [f"{one} x.example/x:1", listed["absent"], f"{two} x.example/x:1", listed["unsigned"]]
    (crossing.folder / "list").write_text("\n".join(lines))
    assert list(failed(export(crossing, "--images", crossing.folder / "list"))) == [one, listed["absent"], two, listed["unsigned"]]


def test_a_name_for_evidence_that_a_layout_gives_fails_too(crossing: Crossing) -> None:
    good = crossing.signed_image()
    odd = f"registry.example/app:sha256-{'a' * 64}"
    listed = f"oci:{write_layout(crossing.folder / 'layout', crossing.content, {odd: good.root})}:{odd}"
    done = export(crossing, good.reference, listed, "--skip-failing")
    assert (done.exit, failed(done)) == (9, {listed: ("usage.reference", 2)})


def test_a_name_for_evidence_fails_without_a_question_and_the_others_do_not(crossing: Crossing) -> None:
    good, odd = crossing.signed_image(), f"{crossing.here.host}/team/odd:sha256-{'a' * 64}.sig"
    crossing.here.asked.clear()
    done = export(crossing, good.reference, odd)
    assert (done.exit, failed(done)) == (2, {odd: ("usage.reference", 2)})
    assert not [line for line in crossing.here.asked if "/team/odd/" in line]


def test_content_that_no_bundle_can_carry_keeps_no_other_image_from_it(crossing: Crossing) -> None:
    good = crossing.signed_image()
    other = crossing.push(crossing.content.image("other", algorithm="sha512"), "team/other:v1")
    done = export(crossing, good.reference, other.reference, "--skip-failing", "--allow-unsigned")
    assert (done.exit, failed(done)) == (9, {other.reference: ("format.digest", 3)})


def test_one_that_fails_and_is_named_twice_is_told_once_for_each_spelling(crossing: Crossing, listed: dict[str, str]) -> None:
    bad = listed["unsigned"]
    done = export(crossing, bad, listed["good"], bad, f"docker://{bad}", "--skip-failing")
    assert (done.exit, list(failed(done))) == (9, [bad, f"docker://{bad}"])


def test_trouble_with_one_repository_is_not_that_of_its_registry(crossing: Crossing, listed: dict[str, str]) -> None:
    crossing.here.refuse(400, "DENIED", when=lambda request: "/team/unsigned/" in request.path)
    done = export(crossing, listed["unsigned"], listed["good"], "--skip-failing")
    assert (done.exit, failed(done)) == (9, {listed["unsigned"]: ("registry.status", 7)})


# --- registries that do not answer ---


def test_a_registry_that_does_not_answer_is_asked_for_two_images_and_said_once(crossing: Crossing, quick: None) -> None:
    good = crossing.signed_image()
    with HostileRegistry() as silent:
        silent.always("GET", "/v2/", answer(200))
        names = [f"{silent.host}/team/app{number}:v1" for number in range(5)]
        for number in range(5):
            silent.always("GET", f"/v2/team/app{number}/manifests/v1", Exchange.reset)
        words = (*names[:2], good.reference, *names[2:], "-j", "4", "--skip-failing")
        done = export(crossing, *words)
        asked = {each.path for each in silent.to("GET") if each.path != "/v2/"}
        told = run("export", *words, "-o", crossing.folder / "c.oci.tar.zst", "--key", crossing.keys["exporter"]).out
    assert (done.exit, failed(done)) == (9, dict.fromkeys(names, ("registry.unreachable", 7)))
    assert len(asked) == 2  # one alone may be a matter of its repository
    assert told.count("registry.unreachable") == 1
    assert sorted(name for name in names if f"  also:   {name}\n" in told or f"\n{name}: registry.unreachable: " in told) == names


def test_one_that_goes_down_in_the_middle_is_asked_no_further_than_it_takes_to_know(
    crossing: Crossing, quick: None, tmp_path: Path
) -> None:
    images = [crossing.signed_image(f"team/app{number}:v1", words=str(number)) for number in range(6)]
    (tmp_path / "half").write_bytes(b"half")
    down = []

    def before(request: Request) -> Response | None:
        down.extend(["now"] if request.path == "/v2/team/app2/manifests/v1" else [])
        return Response(200, {}, (tmp_path / "half").open("rb"), 0, 8) if down else None

    crossing.here.before = before
    crossing.here.asked.clear()
    done = export(crossing, *(image.reference for image in images), "-j", "1")
    assert (done.exit, failed(done)) == (7, dict.fromkeys([image.reference for image in images[2:]], ("registry.unreachable", 7)))
    asked = {line for line in crossing.here.asked if line.endswith("/manifests/v1")}
    assert asked == {f"GET /v2/team/app{number}/manifests/v1" for number in range(4)}  # 3 is asked whether it is app2's matter alone
    assert not written(crossing)


def test_a_connection_that_breaks_over_one_image_alone_keeps_no_other_from_being_asked_for(crossing: Crossing, quick: None) -> None:
    images = [crossing.signed_image(f"team/app{number}:v1", words=str(number)) for number in range(3)]
    crossing.here.cut("/v2/team/app0/manifests/v1")
    done = export(crossing, *(image.reference for image in images), "-j", "1", "--skip-failing")
    assert (done.exit, list(failed(done))) == (9, [images[0].reference])


def test_a_repository_that_broke_before_its_registry_answered_counts_no_more(crossing: Crossing, quick: None, tmp_path: Path) -> None:
    images = [crossing.signed_image(f"team/app{number}:v1", words=str(number)) for number in range(4)]
    (tmp_path / "half").write_bytes(b"half")
    broken = ("/v2/team/app0/", "/v2/team/app2/")
    crossing.here.before = lambda r: Response(200, {}, (tmp_path / "half").open("rb"), 0, 8) if r.path.startswith(broken) else None
    done = export(crossing, *(image.reference for image in images), "-j", "1", "--skip-failing")
    assert (done.exit, list(failed(done))) == (9, [images[0].reference, images[2].reference])


def test_one_repository_that_does_not_answer_is_asked_for_one_image(crossing: Crossing, quick: None) -> None:
    with HostileRegistry() as silent:
        silent.always("GET", "/v2/", answer(200))
        names = [f"{silent.host}/team/app:v{number}" for number in range(5)]
        for number in range(5):
            silent.always("GET", f"/v2/team/app/manifests/v{number}", Exchange.reset)
        done = export(crossing, *names, "-j", "4")
        asked = {each.path for each in silent.to("GET") if each.path != "/v2/"}
    assert (done.exit, failed(done), len(asked)) == (7, dict.fromkeys(names, ("registry.unreachable", 7)), 1)


def test_sign_gives_up_a_silent_registry_too(crossing: Crossing, quick: None) -> None:
    image = crossing.push(crossing.content.image())
    with HostileRegistry() as silent:
        silent.always("GET", "/v2/", answer(200))
        names = [f"{silent.host}/team/app{number}:v1" for number in range(3)]
        for number in range(3):
            silent.always("GET", f"/v2/team/app{number}/manifests/v1", Exchange.reset)
        done = run("sign", *names, image.reference, "--key", crossing.keys["release"], "--json")
        asked = {each.path for each in silent.to("GET") if each.path != "/v2/"}
    assert (done.exit, failed(done), len(asked)) == (7, dict.fromkeys(names, ("registry.unreachable", 7)), 2)
    assert [one["reference"] for one in done.json["signed"]] == [image.reference]


# --- what is a matter of the run ---


def test_the_disk_of_the_cache_ends_the_run(crossing: Crossing, listed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = os.open

    def opened(path: Path | str, flags: int, *rest: object, **named: object) -> int:
        if flags & os.O_CREAT and "/cache/blobs/" in str(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return genuine(path, flags, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", opened)
    words = (listed["good"], listed["also good"], listed["unsigned"], "--trust", crossing.trust, "--skip-failing")
    done = export(crossing, *words, "--cache", crossing.folder / "cache")
    assert (done.exit, done.code) == (7, "disk.io"), done.out
    assert "/blobs/sha256/" in done.json["error"]["what"]
    assert not written(crossing)


def test_a_layout_on_a_broken_disk_is_a_matter_of_its_image(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    good = crossing.signed_image()
    layout = write_layout(crossing.folder / "layout", crossing.content, {"registry.example/app:v1": good.root})
    genuine = os.open

    def opened(path: Path | str, flags: int, *rest: object, **named: object) -> int:
        if str(path).endswith("index.json"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return genuine(path, flags, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", opened)
    done = export(crossing, good.reference, f"oci:{layout}", "--skip-failing")
    assert (done.exit, failed(done)) == (9, {f"oci:{layout}": ("disk.io", 7)})


def test_an_interrupt_ends_it_all(crossing: Crossing, listed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bundler.stations.gathering.prove_survey", interrupted)
    done = export(crossing, listed["good"], listed["unsigned"], "--trust", crossing.trust, "--skip-failing")
    assert (done.exit, done.code) == (130, "interrupted")
    assert not written(crossing)
