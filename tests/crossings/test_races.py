"""Two writers of one name: nothing that vouches for an image is lost, nothing that somebody else named is taken from them."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.content.layout import Layout
from bundler.content.store import Over
from bundler.errors import Code, ConflictError
from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document
from bundler.serving.exchange import Request, Response
from bundler.serving.repository import ServedRepository as Served
from bundler.stations import merging
from bundler.stations.merging import merged
from tests.support import signing
from tests.support.layouts import Content, once, push, write_layout
from tests.support.racers import ROUNDS, Racers, Twins, sign_race, signatures
from tests.support.signing import Key
from tests.support.station import RELEASE, STRANGER, Crossing, Image, Watched, run, write_key


@pytest.fixture
def ignorant(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> Crossing:
    """Both registries as those that know no condition: they put whatever comes, and tell no ETag. The pause is a short one."""
    monkeypatch.setattr(merging, "PAUSE", 0.01)
    monkeypatch.setattr(merging, "JITTER", 0.01)
    for registry in (crossing.here, crossing.there):
        unconditional(registry)
    return crossing


def unconditional(registry: Watched, *, telling: bool = False) -> None:
    """Let it look at no condition; ``telling`` ETags nevertheless, as if it did."""
    answer = registry.answer

    def deaf(request: Request) -> Response:
        kept = {name: value for name, value in request.headers.items() if name not in ("if-match", "if-none-match")}
        said = answer(replace(request, headers=kept))
        return replace(said, headers={name: value for name, value in said.headers.items() if telling or name != "ETag"})

    registry.answer = deaf  # type: ignore[method-assign]  # it is a test's own registry


def when(registry: Watched, act: Callable[[], object], *, method: str, ends: str, times: int = 1) -> list[str]:
    """Let somebody act just before the first requests of that kind; gives those that were seen."""
    seen: list[str] = []

    def before(request: Request) -> None:
        if request.method == method and request.path.endswith(ends) and len(seen) < times:
            seen.append(request.path)
            act()

    registry.before = before
    return seen


def theirs(crossing: Crossing, image: Image, key: Key, *, at: Watched, path: str) -> tuple[Content, Document]:
    """A ``.sig`` by another key, whose blobs are there already."""
    content = Content()
    content.documents[image.root.digest] = image.root
    made = content.sig(image.root.digest, signing.signed(image.root, key))
    repository = at.repository(path)
    for blob in made.blobs:
        repository.put(blob, once(content.blobs[blob.digest]))
    return content, made


# --- two processes ---


@pytest.mark.parametrize(("form", "api"), [("sig", True), ("bundle", False)])
def test_two_that_sign_one_image_at_once_both_stand_at_the_end(form: str, api: bool, tmp_path: Path) -> None:
    with Watched(tmp_path / "registry", referrers_api=api) as registry, Racers() as racers:
        repository = registry.repository("team/app")
        for number in range(ROUNDS):
            ended, image = sign_race(racers, tmp_path, repository, f"round{number}", form=form)
            assert [one.exit for one in ended] == [0, 0], ended
            assert signatures(repository, image, form=form) == 2, f"round {number}"


def test_eight_that_sign_one_image_at_once_all_stand_at_the_end(tmp_path: Path) -> None:
    with Watched(tmp_path / "registry") as registry, Racers(8) as racers:
        repository, content = registry.repository("team/app"), Content()
        image = content.image()
        push(repository, content, image, tag="v1")
        keys = [write_key(tmp_path / f"{number}.key", Key.of("p256", 20 + number)) for number in range(8)]
        ended = racers.run(*(("sign", f"{repository.name}:v1", "--form", "sig", "--key", key) for key in keys))
        assert [one.exit for one in ended] == [0] * 8, ended
        assert signatures(repository, image.digest) == 8


def test_two_that_sign_one_image_of_a_layout_at_once_both_stand_at_the_end(tmp_path: Path) -> None:
    name = "registry.example/team/app:v1"
    keys = [write_key(tmp_path / f"{number}.key", Key.of("p256", 20 + number)) for number in range(2)]
    with Racers() as racers:
        for number in range(ROUNDS):
            content = Content()
            image, folder = content.image(f"round {number}"), tmp_path / f"layout{number}"
            write_layout(folder, content, {name: image})
            ended = racers.run(*(("sign", f"oci:{folder}:{name}", "--form", "sig", "--key", key) for key in keys))
            assert [one.exit for one in ended] == [0, 0], ended
            with Layout.at(folder) as layout:
                found = layout.repository(layout.image(name).reference).document(f"{image.digest.tag}.sig")
            assert found is not None
            assert len(found.blobs) == 3, f"round {number}"  # a config and two signatures


@pytest.mark.parametrize(("form", "api"), [("sig", True), ("att", True), ("bundle", True), ("bundle", False)])
def test_two_imports_at_once_that_bring_evidence_each_leave_both_pieces(form: str, api: bool, tmp_path: Path) -> None:
    twins = Twins.made(tmp_path, form)
    with Watched(tmp_path / "registry", referrers_api=api) as registry, Racers() as racers:
        for number in range(ROUNDS):
            ended = twins.race(racers, f"{registry.host}/round{number}")
            assert [one.exit for one in ended] == [0, 0], ended
            assert signatures(registry.repository(f"round{number}/app"), twins.image, form=form) == 2, f"round {number}"


# --- where a registry compares ---


def test_a_name_that_another_writer_made_meanwhile_is_joined_and_not_overwritten(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle, where = crossing.export(image), crossing.arrived(image)
    tag = f"{image.root.digest.tag}.sig"
    _, other = theirs(crossing, image, STRANGER, at=crossing.there, path=where.name.partition("/")[2])
    seen = when(crossing.there, lambda: where.put_document(other, tag=tag), method="PUT", ends=f"/manifests/{tag}")
    ended = crossing.import_(bundle)
    assert (ended.exit, len(seen)) == (0, 1), ended.err
    assert signatures(where, image.root.digest) == 2


def test_where_a_registry_compares_nothing_is_read_again_at_the_end(crossing: Crossing) -> None:
    image = crossing.signed_image()
    assert crossing.import_(crossing.export(image)).exit == 0
    tag = f"{image.root.digest.tag}.sig"
    assert [line.partition(" ")[0] for line in crossing.there.asked if line.endswith(f"/manifests/{tag}")] == ["GET", "PUT", "GET"]


def test_a_name_that_another_writer_joined_meanwhile_is_joined_once_more(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle, where = crossing.export(image), crossing.arrived(image)
    path, tag = where.name.partition("/")[2], f"{image.root.digest.tag}.sig"
    _, first = theirs(crossing, image, STRANGER, at=crossing.there, path=path)
    where.put_document(first, tag=tag)
    content = Content()
    both = content.sig(image.root.digest, signing.signed(image.root, STRANGER), signing.signed(image.root, Key.of("p256", 7)))
    for blob in both.blobs:
        where.put(blob, once(content.blobs[blob.digest]))
    seen = when(crossing.there, lambda: where.put_document(both, tag=tag), method="PUT", ends=f"/manifests/{tag}")
    ended = crossing.import_(bundle)
    assert (ended.exit, len(seen)) == (0, 1), ended.err
    assert signatures(where, image.root.digest) == 3


# --- where it does not ---


@pytest.mark.parametrize("claims", [False, True])
def test_a_signature_that_another_writer_overwrites_is_joined_again_at_the_end(ignorant: Crossing, claims: bool) -> None:
    """Also where the registry tells an ETag of what is put, as one that compares would, and does not."""
    if claims:
        ignorant.there.say({"ETag": '"a-word-of-its-own"'})
    image = ignorant.signed_image()
    bundle, where = ignorant.export(image), ignorant.arrived(image)
    tag = f"{image.root.digest.tag}.sig"
    _, other = theirs(ignorant, image, STRANGER, at=ignorant.there, path=where.name.partition("/")[2])
    seen = when(ignorant.there, lambda: where.put_document(other, tag=tag), method="PUT", ends="/manifests/v1")
    ended = ignorant.import_(bundle)
    assert (ended.exit, len(seen)) == (0, 1), ended.err
    assert signatures(where, image.root.digest) == 2


def test_a_list_of_referrers_that_another_writer_overwrites_is_joined_again_at_the_end(ignorant: Crossing) -> None:
    ignorant.here.referrers_api = ignorant.there.referrers_api = False
    image = ignorant.push(ignorant.content.image())
    repository = ignorant.here.repository(image.path)
    content = Content()
    other = content.artifact(b"{}", subject=image.root)
    for blob in other.blobs:
        repository.put(blob, once(content.blobs[blob.digest]))
    repository.put_document(other)
    lists = content.index(children=[other])
    tag = image.root.digest.tag
    done: list[int] = []

    def before(request: Request) -> None:
        if (
            request.method == "GET"
            and request.path.endswith(f"/manifests/{tag}")
            and any(said == f"PUT {request.path}" for said in ignorant.here.asked)
        ):
            done.append(1)
            if len(done) == 2:  # the first reads back what was put, the second is the end of the run
                repository.put_document(lists, tag=tag)

    ignorant.here.before = before
    ended = run("sign", image.reference, "--key", ignorant.keys["release"], "--form", "bundle")
    assert ended.exit == 0, ended.err
    assert signatures(repository, image.root.digest, form="bundle") == 2


def test_a_referrer_that_a_registry_no_longer_lists_at_the_end_is_pushed_once_more(ignorant: Crossing) -> None:
    image = ignorant.push(ignorant.content.image())
    asked = [0]

    def before(request: Request) -> Response | None:
        asked[0] += "/referrers/" in request.path
        if asked[0] != 2 or "/referrers/" not in request.path:  # the first is after the push, the second at the end of the run
            return None
        return Response(200, {"Content-Type": mediatype.OCI_INDEX}, ignorant.content.index(children=[]).raw)

    ignorant.here.before = before
    ended = run("sign", image.reference, "--key", ignorant.keys["release"], "--form", "bundle", "--json")
    [pushed] = ended.json["signed"][0]["pushed"]
    assert (ended.exit, asked) == (0, [3])
    assert len([line for line in ignorant.here.asked if line.startswith("PUT") and line.endswith(pushed)]) == 2


def test_evidence_that_others_keep_replacing_is_named_and_not_called_imported(ignorant: Crossing) -> None:
    image = ignorant.signed_image()
    bundle, where = ignorant.export(image), ignorant.arrived(image)
    tag = f"{image.root.digest.tag}.sig"
    _, other = theirs(ignorant, image, STRANGER, at=ignorant.there, path=where.name.partition("/")[2])
    read = [0]

    def before(request: Request) -> None:
        if request.method == "GET" and request.path.endswith(f"/manifests/{tag}"):
            read[0] += 1
            if read[0] % 2:  # each time but when what was put is read back
                where.put_document(other, tag=tag)

    ignorant.there.before = unentered(before)
    ended = ignorant.import_(bundle, "--json")
    ignorant.there.before = lambda _: None
    assert (ended.exit, ended.code) == (7, Code.REGISTRY_OVERTAKEN)
    assert f"{where.name}:{tag}" in ended.json["error"]["found"]


def test_a_name_that_in_the_end_holds_what_ours_cannot_be_joined_to_is_named(ignorant: Crossing) -> None:
    image = ignorant.signed_image()
    bundle, where = ignorant.export(image), ignorant.arrived(image)
    tag = f"{image.root.digest.tag}.sig"
    content = Content()
    index = content.index(platforms=[])
    when(ignorant.there, lambda: where.put_document(index, tag=tag), method="PUT", ends="/manifests/v1")
    ended = ignorant.import_(bundle, "--json")
    assert (ended.exit, ended.code) == (7, Code.REGISTRY_OVERTAKEN)
    assert f"{where.name}:{tag}" in ended.json["error"]["found"]
    found = where.document(tag)
    assert found is not None
    assert found.digest == index.digest


def unentered(before: Callable[[Request], None]) -> Callable[[Request], None]:
    """Not asked about the requests that it makes itself."""
    busy = threading.Lock()

    def once(request: Request) -> None:
        if busy.acquire(blocking=False):
            try:
                before(request)
            finally:
                busy.release()

    return once


# --- the image's own name ---


def test_a_tag_that_comes_up_while_an_import_runs_is_not_overwritten(ignorant: Crossing) -> None:
    image = ignorant.signed_image()
    bundle, where, other = ignorant.export(image), ignorant.arrived(image), ignorant.content.image("theirs")
    seen = when(ignorant.there, lambda: push(where, ignorant.content, other, tag="v1"), method="POST", ends="/blobs/uploads/")
    ended = ignorant.import_(bundle, "--json")
    assert (ended.exit, ended.code, len(seen)) == (8, Code.NAME_CONFLICT, 1)
    assert f"{where.name}:v1 is {other.digest}" in ended.json["error"]["found"]
    assert where.document("v1") == other


def test_a_tag_that_comes_up_just_before_it_is_put_is_not_overwritten_where_the_registry_compares(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle, where, other = crossing.export(image), crossing.arrived(image), crossing.content.image("theirs")
    seen = when(crossing.there, lambda: push(where, crossing.content, other, tag="v1"), method="PUT", ends="/manifests/v1")
    ended = crossing.import_(bundle, "--json")
    assert (ended.exit, ended.code, len(seen)) == (8, Code.NAME_CONFLICT, 1)
    assert f"{where.name}:v1 is {other.digest}" in ended.json["error"]["found"]
    assert where.document("v1") == other


def test_a_tag_that_comes_up_is_moved_by_replace(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle, where, other = crossing.export(image), crossing.arrived(image), crossing.content.image("theirs")
    when(crossing.there, lambda: push(where, crossing.content, other, tag="v1"), method="PUT", ends="/manifests/v1")
    assert crossing.import_(bundle, "--replace").exit == 0
    assert where.document("v1") == image.root


def test_the_same_tag_that_another_import_has_put_meanwhile_is_no_conflict(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle, where = crossing.export(image), crossing.arrived(image)
    when(crossing.there, lambda: push(where, crossing.content, image.root, tag="v1"), method="PUT", ends="/manifests/v1")
    assert crossing.import_(bundle).exit == 0
    assert where.document("v1") == image.root


# --- blobs ---


def lose(crossing: Crossing, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """The registry takes the image's layer, loses it, and takes every manifest unseen."""
    monkeypatch.setattr(Served, "lacks", lambda self, blobs: [])
    lost = image.root.blobs[1].digest

    def after(request: Request, said: Response) -> None:
        if request.method in {"PUT", "POST"} and str(lost) in request.query.get("digest", []):
            (crossing.folder / "there" / "blobs" / lost.algorithm / lost.encoded).unlink()

    crossing.there.after = after


def test_a_blob_that_a_registry_took_and_lost_is_named(crossing: Crossing, monkeypatch: pytest.MonkeyPatch) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    lose(crossing, image, monkeypatch)
    ended = crossing.import_(bundle, "--json")
    assert (ended.exit, ended.code) == (7, Code.REGISTRY_LOST)
    assert ended.json["error"]["found"] == f"not there: {crossing.arrived(image).name}@{image.root.blobs[1].digest}"


@pytest.mark.parametrize("checks", [True, False])
def test_blobs_are_asked_for_at_the_end_once_and_only_where_nobody_looked(crossing: Crossing, checks: bool) -> None:
    if checks:
        crossing.there.say({"Docker-Distribution-Api-Version": "registry/2.0"})
    image = crossing.signed_image()
    assert crossing.import_(crossing.export(image)).exit == 0
    named = next(n for n, line in enumerate(crossing.there.asked) if line.startswith("PUT") and line.endswith("/manifests/v1"))
    asked = [line for line in crossing.there.asked[named:] if line.startswith("HEAD") and "/blobs/" in line]
    assert len(asked) == len(set(asked)) == (0 if checks else 4)


# --- what may be joined into what ---


def read_nothing(_: object) -> bytes:
    raise AssertionError("nothing has to be read")


def test_what_is_there_stays_where_it_holds_all_that_came_and_the_reverse() -> None:
    content = Content()
    image = content.image()
    one = content.sig(image.digest, signing.signed(image, RELEASE))
    both = content.sig(image.digest, signing.signed(image, RELEASE), signing.signed(image, STRANGER))
    for theirs, ours, kept in ((both, one, both), (one, both, both), (one, one, one)):
        made = merged(theirs, ours, Form.SIG, read_nothing)
        assert made is not None
        assert (made.document, made.config) == (kept, None)


def test_an_index_and_a_manifest_are_not_joined_nor_are_two_sboms() -> None:
    content = Content()
    image, index = content.image(), content.index(platforms=[])
    one = content.sig(image.digest, signing.signed(image, RELEASE))
    assert merged(index, one, Form.SIG, read_nothing) is None
    assert merged(one, index, Form.SIG, read_nothing) is None
    sboms = content.sbom(image.digest, b"{}"), content.sbom(image.digest, b"[]")
    assert merged(*sboms, Form.SBOM, read_nothing) is None


def test_a_signature_that_may_not_be_joined_to_what_is_there_is_kept_by_its_digest_and_said(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.image(), evidence=False)
    repository, index, tag = crossing.here.repository(image.path), crossing.content.index(platforms=[]), f"{image.root.digest.tag}.sig"
    repository.put_document(index, tag=tag)
    ended = run("sign", image.reference, "--key", crossing.keys["release"], "--form", "sig", "--json")
    [pushed] = ended.json["signed"][0]["pushed"]
    assert ended.exit == 0
    assert f"{tag} holds {index.digest}, and was left as it is; what came is {pushed}" in ended.err
    assert repository.document(tag) == index
    assert repository.document(Digest.parse(pushed)) is not None


# --- a layout ---


def test_a_layout_puts_a_name_only_over_what_was_read(tmp_path: Path) -> None:
    content = Content()
    one, other = content.image("one"), content.image("other")
    write_layout(tmp_path / "layout", content, {"v1": one})
    with Layout.at(tmp_path / "layout") as layout:
        repository = layout.repository(None)
        push(repository, content, other)
        for over in (Over(None), Over(other.digest)):
            with pytest.raises(ConflictError) as caught:
                repository.put_document(other, tag="v1", over=over)
            assert (caught.value.exit, caught.value.code) == (8, Code.NAME_CONFLICT)
            assert repository.document("v1") == one
        repository.put_document(other, tag="v1", over=Over(one.digest))
        assert repository.document("v1") == other


def test_a_layout_that_another_run_makes_meanwhile_is_not_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = Content()
    image = content.image()
    fsync = os.fsync

    def meanwhile(file: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        with Layout.at(tmp_path / "layout", create=True) as theirs:
            push(theirs.repository(None), content, image, tag="v1")
        fsync(file)

    monkeypatch.setattr(os, "fsync", meanwhile)  # the first is of the first file that is made
    with Layout.at(tmp_path / "layout", create=True) as layout:
        assert layout.names() == ["v1"]
    assert sorted(path.name for path in (tmp_path / "layout").iterdir()) == ["blobs", "index.json", "oci-layout"]
