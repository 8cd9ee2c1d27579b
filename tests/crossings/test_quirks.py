"""Registries that answer otherwise than the specification has it: what is carried all the same, and what is said."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bundler.oci.manifest import Document
from bundler.serving.exchange import RefusedError, Request, Response
from tests.support.layouts import push_with_evidence
from tests.support.station import Crossing, Ran, Watched, run


def exported(crossing: Crossing, reference: str, *flags: object) -> Ran:
    return run("export", reference, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], "--json", *flags)


def lookups(crossing: Crossing) -> list[dict[str, object]]:
    claims = run("inspect", crossing.folder / "b", "--json").json["claims"]
    asked: list[dict[str, object]] = [lookup["asked"] for lookup in claims["lookups"]]
    return asked


def instead(status: int, of: Callable[[Request], bool], body: bytes = b"no", **headers: str) -> Callable[[Request], Response | None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: Response(status, named, body) if of(request) else None


def of_referrers(request: Request) -> bool:
    return "/referrers/" in request.path


# --- referrers that are not an API ---


@pytest.mark.parametrize(
    ("before", "told"),
    [
        (instead(303, of_referrers, Location="https://page.example/x"), "it answers 303 to https://page.example/x"),
        (instead(200, of_referrers, b"<html>", Content_Type="text/html"), "it answers 200 with text/html"),
        (instead(401, of_referrers), "it answers 401"),
        (instead(403, of_referrers), "it answers 403"),
        (instead(406, of_referrers), "it answers 406"),
    ],
)
def test_without_a_list_of_referrers_what_is_found_by_tag_is_carried(
    tmp_path: Path, before: Callable[[Request], Response | None], told: str
) -> None:
    with Crossing(tmp_path, referrers_here=False) as crossing:
        root = crossing.content.index()
        bundle = crossing.attach(root)
        crossing.content.fallback(root.digest, bundle)
        image = crossing.push(root)
        crossing.here.before = before
        done = exported(crossing, image.reference)
        assert done.exit == 0, done.err
        assert [found["digest"] for found in done.json["images"][0]["found"]] == [str(bundle.digest)]
        assert {asked["referrers"] for asked in lookups(crossing)} == {"no-api"}
        assert done.err.count(told) == 1
        arrived = crossing.import_(crossing.folder / "b")
        assert arrived.exit == 0, arrived.out
        assert [listed.digest for listed in crossing.arrived(image).referrers(root.digest).listed] == [bundle.digest]


def test_a_list_of_referrers_that_fails_for_now_ends_the_export(crossing: Crossing, quick: None) -> None:
    image = crossing.signed_image()
    crossing.here.before = instead(503, of_referrers)
    done = exported(crossing, image.reference)
    assert (done.exit, done.code) == (7, "registry.status")
    assert not (crossing.folder / "b").exists()


def test_evidence_goes_to_a_registry_whose_referrers_are_a_page_elsewhere(tmp_path: Path) -> None:
    with Crossing(tmp_path, referrers_there=False) as crossing:
        root = crossing.content.image()
        bundle = crossing.attach(root)
        image = crossing.push(root)
        crossing.there.before = instead(303, of_referrers, Location="https://page.example/x")
        done = crossing.import_(crossing.export(image))
        assert done.exit == 0, done.out
        listed = crossing.arrived(image).document(root.digest.tag)
        assert listed is not None
        assert [child.digest for child in listed.children] == [bundle.digest]


# --- stored is stored ---


@pytest.mark.parametrize("status", [200, 202, 204])
def test_what_is_stored_and_answered_oddly_is_imported(crossing: Crossing, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    image = crossing.signed_image()
    answered = crossing.there.answer

    def oddly(request: Request) -> Response:
        said = answered(request)
        return replace(said, status=status) if request.method == "PUT" and said.status == 201 else said

    monkeypatch.setattr(crossing.there, "answer", oddly)
    done = crossing.import_(crossing.export(image))
    assert done.exit == 0, done.err
    arrived = crossing.arrived(image)
    assert arrived.document("v1") == image.root
    assert arrived.document(f"{image.root.digest.tag}.sig")


# --- documents at another registry ---


def test_what_lies_at_another_registry_is_carried_with_all_that_vouches_for_it_and_the_registry_is_named(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.index())
    bundle = crossing.attach(root)
    crossing.push(root)
    with Watched(crossing.folder / "front") as front:
        front.before = lambda request: Response(307, {"Location": f"{crossing.here.url}{request.path}"}, b"")
        done = exported(crossing, f"{front.host}/team/app:v1")
        assert done.exit == 0, done.err
    found = {piece["kind"]: piece["digest"] for piece in done.json["images"][0]["found"]}
    assert found == {"sig": str(crossing.content.tags[f"{root.digest.tag}.sig"].digest), "referrer": str(bundle.digest)}
    assert done.err.count(crossing.here.url) == 1
    assert crossing.import_(crossing.folder / "b").exit == 0


def test_nothing_is_imported_into_a_registry_that_leads_elsewhere(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    with Watched(crossing.folder / "front") as front:
        front.before = lambda request: Response(307, {"Location": f"{crossing.there.url}{request.path}"}, b"")
        done = crossing.run("import", bundle, front.host, "--json")
    assert (done.exit, done.code) == (7, "registry.origin")
    assert not crossing.there.changes


# --- token services elsewhere ---


def test_a_token_service_elsewhere_is_asked_where_it_was_named(crossing: Crossing) -> None:
    image = crossing.signed_image()
    elsewhere = f"localhost:{crossing.here.host.rpartition(':')[2]}"

    def before(request: Request) -> Response | None:
        if request.path == "/token":
            return Response(200, {}, b'{"token":"t0ken"}')
        if request.headers.get("authorization") == "Bearer t0ken":
            return None
        return Response(401, {"WWW-Authenticate": f'Bearer realm="http://{elsewhere}/token",service="x"'}, b"")

    crossing.here.before = before
    done = exported(crossing, image.reference)
    assert (done.exit, done.code) == (7, "registry.origin")
    assert f"--token-host {elsewhere}" in done.json["error"]["next"]
    assert exported(crossing, image.reference, "--token-host", "localhost").exit == 0


@pytest.mark.parametrize("host", ["", "https://tokens.example", "tokens.example/x", "a b", "u@tokens.example"])
def test_what_is_not_a_host_is_no_token_service(crossing: Crossing, host: str) -> None:
    done = exported(crossing, "registry.example/app:1", "--token-host", host)
    assert (done.exit, done.code) == (2, "usage")


# --- sha256-HEX read as a digest ---


def reads_tags_as_digests(server: Watched, *, puts: bool) -> None:
    """Give under ``sha256-HEX`` what ``sha256:HEX`` is, as GitLab does; what is put there is refused, or ``puts`` it where nobody looks."""
    answered = server.answer

    def answer(request: Request) -> Response:
        where, _, name = request.path.rpartition("/")
        if "/manifests/" not in request.path or not re.fullmatch("sha256-[0-9a-f]{64}", name) or (puts and request.method == "PUT"):
            return answered(request)
        if request.method == "PUT":
            raise RefusedError(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        return answered(replace(request, path=f"{where}/{name.replace('-', ':')}"))

    server.answer = answer  # type: ignore[method-assign]  # it is a test's own registry


@pytest.mark.parametrize("kind", ["image", "index"])
def test_a_manifest_is_not_its_own_list_of_referrers(tmp_path: Path, kind: str) -> None:
    with Crossing(tmp_path, referrers_here=False) as crossing:
        root = crossing.sign(crossing.content.image() if kind == "image" else crossing.content.index())
        image = crossing.push(root)
        reads_tags_as_digests(crossing.here, puts=False)
        done = exported(crossing, image.reference)
        assert done.exit == 0, done.err
        assert [piece["kind"] for piece in done.json["images"][0]["found"]] == ["sig"]
        assert {asked["fallback"] for asked in lookups(crossing)} == {"foreign"}
        assert done.err.count("note: ") == 1
        assert "Such lists are neither found nor kept there" in done.err
        assert crossing.import_(crossing.folder / "b").exit == 0


@pytest.mark.parametrize("puts", [False, True])
@pytest.mark.parametrize("kind", ["image", "index", "empty index"])
def test_signatures_are_placed_as_well_as_a_registry_allows_that_reads_tags_as_digests(tmp_path: Path, kind: str, puts: bool) -> None:
    with Crossing(tmp_path, referrers_there=False) as crossing:
        content = crossing.content
        made: dict[str, Callable[[], Document]] = {
            "image": content.image,
            "index": content.index,
            "empty index": partial(content.index, platforms=[]),
        }
        root = crossing.sign(made[kind]())
        bundle = crossing.attach(root)
        image = crossing.push(root)
        reads_tags_as_digests(crossing.there, puts=puts)
        for _ in range(2):
            done = crossing.import_(crossing.export(image, flags=["--replace"]))
            assert done.exit == 0, done.out + done.err
            assert str(bundle.digest) in done.out or str(root.digest) in done.out
        arrived = crossing.arrived(image)
        assert arrived.document("v1") == root
        assert arrived.document(bundle.digest) == bundle
        assert arrived.document(f"{root.digest.tag}.sig")


def test_a_list_that_a_registry_refuses_for_another_reason_is_refused_with_it(tmp_path: Path) -> None:
    with Crossing(tmp_path, referrers_there=False) as crossing:
        root = crossing.content.image()
        crossing.attach(root)
        image = crossing.push(root)
        crossing.there.refuse(400, "MANIFEST_INVALID", "no lists", when=lambda r: r.method == "PUT" and r.path.endswith(root.digest.tag))
        done = crossing.run("import", crossing.export(image), crossing.there.host, "--json")
        assert (done.exit, done.code) == (7, "registry.status")
        assert "no lists" in done.json["error"]["found"]


# --- 403 for tags that are not there ---


def hides(server: Watched, *endings: str) -> None:
    """Refuse to say whether there are tags for evidence with these endings."""
    tag = re.compile(rf".*/manifests/sha256-[0-9a-f]{{64}}({'|'.join(map(re.escape, endings))})")
    server.refuse(403, "UNAUTHORIZED", "no permission for it", when=lambda request: tag.fullmatch(request.path) is not None)


@pytest.mark.parametrize("way", [".sig", ".att", ".sbom", ""])
def test_a_tag_that_is_hidden_stops_the_export_with_the_way_on(crossing: Crossing, way: str) -> None:
    image = crossing.signed_image()
    hides(crossing.here, way)
    done = exported(crossing, image.reference)
    assert (done.exit, done.code) == (7, "registry.credentials")
    error = done.json["error"]
    assert image.root.digest.tag in error["what"]
    assert "no permission for it" in error["found"]
    assert f"--absent-is-403 {crossing.here.host}" in error["next"]
    assert not (crossing.folder / "b").exists()


def test_a_tag_that_is_hidden_is_sealed_as_that_where_a_person_says_what_it_means(crossing: Crossing) -> None:
    image = crossing.signed_image()
    hides(crossing.here, ".att", ".sbom", "")
    for host in ("registry.example", f"{crossing.here.host.partition(':')[0]}:1"):
        assert exported(crossing, image.reference, "--absent-is-403", host).exit == 7
    done = exported(crossing, image.reference, "--absent-is-403", crossing.here.host)
    assert done.exit == 0, done.err
    assert done.err.count("answers 403 for tags") == 1
    hidden = {"att": "hidden", "sbom": "hidden", "fallback": "hidden", "referrers": "absent"}
    assert lookups(crossing)[0] == {"sig": "found"} | hidden
    assert crossing.import_(crossing.folder / "b").exit == 0


@pytest.mark.parametrize("status", [401, 402, 429, 500])
def test_no_other_refusal_is_taken_for_hidden(crossing: Crossing, status: int, quick: None) -> None:
    image = crossing.signed_image()
    crossing.here.refuse(status, "DENIED", when=lambda request: request.path.endswith(".att"))
    assert exported(crossing, image.reference, "--absent-is-403", crossing.here.host).exit == 7


def test_an_image_that_may_not_be_read_is_not_hidden(crossing: Crossing) -> None:
    image = crossing.signed_image()
    crossing.here.refuse(403, "DENIED", when=lambda request: "/manifests/" in request.path)
    done = exported(crossing, image.reference, "--absent-is-403", crossing.here.host)
    assert (done.exit, done.code) == (7, "registry.credentials")
    assert "--absent-is-403" not in done.json["error"]["next"]


def test_what_one_place_hides_and_another_lacks_is_hidden(crossing: Crossing, tmp_path: Path) -> None:
    image = crossing.signed_image()
    hides(crossing.here, ".att")
    (tmp_path / "list").write_text(f"{image.reference} registry.example/app:a\n{crossing.there.host}/team/app:v1 registry.example/app:b\n")
    push_with_evidence(crossing.there.repository("team/app"), crossing.content, image.root, tag="v1")
    flags = ("--images", tmp_path / "list", "-o", tmp_path / "b", "--key", crossing.keys["exporter"])
    done = run("export", *flags, "--absent-is-403", crossing.here.host)
    assert done.exit == 0, done.err
    assert lookups(crossing)[0]["att"] == "hidden"
