"""How little a registry is asked, what is asked all the same since absence needs it, and what is asked at the same time."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bundler.content.store import Referrers
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor, Platform
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from bundler.serving.exchange import RefusedError, Request, Response
from bundler.stations.placing import waves
from bundler.stations.survey import survey
from tests.support import signing
from tests.support.layouts import Content
from tests.support.station import Crossing, Watched, faults, tags_of
from tests.support.steps import steps

TOGETHER = 120  # seconds after which what should come at the same time does not come any more


def asked(server: Watched, method: str, part: str) -> list[str]:
    return [line for line in server.asked if line.startswith(f"{method} ") and part in line]


def together(count: int, of: Callable[[Request], bool]) -> Callable[[Request], None]:
    """Holds the first ``count`` requests until all of them are there; they fail where they come one after the other."""
    meeting, left, lock = threading.Barrier(count, timeout=TOGETHER), [count], threading.Lock()

    def before(request: Request) -> None:
        with lock:
            waits = of(request) and left[0] > 0
            left[0] -= waits
        if waits:
            try:
                meeting.wait()
            except threading.BrokenBarrierError:
                raise RefusedError(400, "DENIED", "it came alone") from None

    return before


def attached(crossing: Crossing, count: int) -> Document:
    """A signed image that so many pieces of evidence refer to."""
    root = crossing.sign(crossing.content.image())
    for number in range(count):
        crossing.content.artifact(f'{{"n":{number}}}'.encode(), "application/vnd.openvex+json", subject=root)
    return root


# --- out ---


def test_a_small_signed_image_is_carried_out_with_sixteen_questions(crossing: Crossing) -> None:
    image = crossing.signed_image()
    crossing.here.asked.clear()
    crossing.export(image)
    assert len(crossing.here.asked) <= 17  # a question more than without the API, which is asked about each manifest
    assert len(asked(crossing.here, "GET", "/manifests/")) == 2  # the image and its .sig: nothing that is absent


def test_manifests_that_are_not_there_are_never_asked_for_by_get(crossing: Crossing) -> None:
    """Docker Hub counts each GET of a manifest against a limit."""
    platforms = [f"linux/{name}" for name in ("amd64", "arm64", "386", "arm", "ppc64le", "riscv64", "s390x", "mips64le")]
    image = crossing.push(crossing.sign(crossing.content.index(platforms=platforms)))
    crossing.here.asked.clear()
    crossing.export(image)
    assert len(asked(crossing.here, "GET", "/manifests/")) == 1 + 8 + 1


LIES: dict[str, Callable[[Request], Response | None]] = {
    "404 to every HEAD": lambda request: Response(404, {}, b"") if request.method == "HEAD" else None,
    "405 to every HEAD": lambda request: Response(405, {}, b"") if request.method == "HEAD" else None,
    "401 to every HEAD": lambda request: Response(401, {}, b"") if request.method == "HEAD" else None,
    "500 to every HEAD": lambda request: Response(500, {}, b"") if request.method == "HEAD" else None,
    "200 to every HEAD": lambda request: Response(200, {}, b"") if request.method == "HEAD" else None,
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("api", [True, False])
def test_a_registry_whose_head_cannot_be_believed_loses_no_signature(lie: str, api: bool, tmp_path: Path) -> None:
    with Crossing(tmp_path, referrers_here=api) as crossing:
        root = crossing.sign(crossing.content.index())
        if not api:
            crossing.content.fallback(root.digest, crossing.attach(root))
        image = crossing.push(root)
        crossing.here.before = LIES[lie]
        bundle = crossing.export(image)
        assert crossing.import_(bundle).exit == 0
        names = {root.digest.tag, f"{root.digest.tag}.sig"} if not api else {f"{root.digest.tag}.sig"}
        assert names <= set(crossing.arrived(image).tags()) | ({root.digest.tag} if crossing.there.referrers_api else set())
        assert api or crossing.arrived(image).referrers(root.digest).listed


def test_what_head_denies_of_one_name_is_believed_only_after_it_found_another(crossing: Crossing) -> None:
    """The ``.sig`` is asked for first: a proxy that has never fetched anything by HEAD must not make it absent."""
    image = crossing.signed_image()
    crossing.here.before = lambda request: Response(404, {}, b"") if request.method == "HEAD" else None
    crossing.export(image)
    heads = len(asked(crossing.here, "HEAD", "/manifests/"))
    assert heads == 2  # the name, and what is known to be there: then HEAD is left
    assert len(asked(crossing.here, "GET", ".att")) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 405, 410, 429, 500])
def test_only_a_404_is_absence_where_head_tells(crossing: Crossing, status: int) -> None:
    """HEAD finds the ``.sig``, so that it is believed; what else than 404 it says of the ``.att`` is for GET to decide."""
    root = crossing.sign(crossing.content.image())
    crossing.content.att(root.digest, signing.att(root))
    image = crossing.push(root)
    crossing.here.before = lambda r: Response(status, {}, b"") if r.method == "HEAD" and r.path.endswith(f"{root.digest.tag}.att") else None
    assert crossing.import_(crossing.export(image)).exit == 0
    assert f"{root.digest.tag}.att" in crossing.arrived(image).tags()


def test_that_a_repository_has_no_referrers_api_is_asked_once(tmp_path: Path) -> None:
    with Crossing(tmp_path, referrers_here=False) as crossing:
        image = crossing.push(crossing.sign(crossing.content.index()))
        crossing.here.asked.clear()
        crossing.export(image, flags=["-j", "1"])
        assert len(asked(crossing.here, "GET", "/referrers/")) == 1


def test_a_404_where_the_api_answered_before_is_about_one_manifest(crossing: Crossing) -> None:
    repository = crossing.here.repository("team/app")
    image = crossing.signed_image()
    repository.referrers(image.root.digest)
    crossing.here.refuse(404, "MANIFEST_UNKNOWN", when=lambda request: "/referrers/" in request.path, times=1)
    assert not repository.referrers(image.root.digest).api
    assert repository.referrers(image.root.digest).api


# --- in ---


DISTRIBUTION = {"Docker-Distribution-Api-Version": "registry/2.0"}
"""What a registry says that looks, when a manifest is put, whether its blobs are there: then nobody asks for them again."""


def test_a_small_signed_image_is_carried_in_with_thirteen_questions(crossing: Crossing) -> None:
    """One of them once a run, whether it is http; two for the sake of other writers: the tag again, and whether it compares."""
    crossing.there.say(DISTRIBUTION)
    image = crossing.signed_image()
    bundle = crossing.export(image)
    crossing.there.asked.clear()
    assert crossing.import_(bundle).exit == 0
    assert len(crossing.there.asked) <= 13
    assert not asked(crossing.there, "HEAD", "/blobs/")
    assert len(asked(crossing.there, "PUT", "/manifests/")) == 3


def test_the_root_is_put_last_and_under_its_tag_alone(crossing: Crossing) -> None:
    root = crossing.sign(crossing.content.index())
    crossing.attach(root)
    image = crossing.push(root)
    assert crossing.import_(crossing.export(image)).exit == 0
    puts = asked(crossing.there, "PUT", "/manifests/")
    assert all(line in puts[: puts.index(next(line for line in puts if line.endswith("/manifests/v1")))] for line in puts[:-2])
    assert not [line for line in puts if line.endswith(str(root.digest))]
    assert faults(crossing.arrived(image)) == []


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_registry_that_wants_a_subject_first_gets_it_first(crossing: Crossing, status: int) -> None:
    """Against the specification, which wants a referrer taken before what it refers to."""
    root = crossing.sign(crossing.content.image())
    crossing.attach(root)
    image = crossing.push(root)
    bundle = crossing.export(image)

    def before(request: Request) -> None:
        raw = request.method == "PUT" and "/manifests/sha256:" in request.path and not request.path.endswith(str(root.digest))
        if raw and crossing.arrived(image).document(root.digest) is None:
            raise RefusedError(status, "MANIFEST_INVALID", "subject not found")

    crossing.there.before = before
    ran = crossing.import_(bundle)
    assert ran.exit == 0, ran.err
    assert len(crossing.arrived(image).referrers(root.digest).listed) == 1
    assert tags_of(crossing.arrived(image))["v1"] == root.digest


def test_of_what_its_tag_names_only_the_evidence_is_looked_at_again(crossing: Crossing) -> None:
    crossing.there.say(DISTRIBUTION)
    root = crossing.sign(crossing.content.image())
    crossing.attach(root)
    image = crossing.push(root)
    bundle = crossing.export(image)
    assert crossing.import_(bundle).exit == 0
    crossing.there.asked.clear()
    assert crossing.import_(bundle).exit == 0
    assert not crossing.there.changes
    assert not asked(crossing.there, "HEAD", "/blobs/")
    assert len(crossing.there.asked) <= 6  # is it http; the tag; .sig; the referrer; the list, and that once more at the end


def test_a_signature_that_came_later_enters_although_the_tag_names_the_image(crossing: Crossing) -> None:
    image = crossing.signed_image()
    assert crossing.import_(crossing.export(image)).exit == 0
    referrer = crossing.attach(image.root)
    crossing.push(image.root)
    assert crossing.import_(crossing.export(image, to="later.oci.tar.zst")).exit == 0
    assert [listed.digest for listed in crossing.arrived(image).referrers(image.root.digest).listed] == [referrer.digest]


def test_a_platform_that_was_left_out_enters_although_the_tag_names_the_index(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    assert crossing.import_(crossing.export(image, flags=["--platform", "linux/arm64"])).exit == 0
    assert faults(crossing.arrived(image)) != []
    assert crossing.import_(crossing.export(image, to="whole.oci.tar.zst")).exit == 0
    assert faults(crossing.arrived(image)) == []


def test_replace_sends_again_what_a_registry_lost_below_a_tag(crossing: Crossing) -> None:
    image = crossing.signed_image()
    bundle = crossing.export(image)
    assert crossing.import_(bundle).exit == 0
    arrived = crossing.arrived(image)
    crossing.there.forget(arrived.name, image.root.blobs[1].digest)
    assert faults(arrived) != []
    assert crossing.import_(bundle, "--replace").exit == 0
    assert faults(arrived) == []


# --- at the same time ---


def test_all_referrers_of_one_image_are_fetched_side_by_side(crossing: Crossing) -> None:
    image = crossing.push(attached(crossing, 4))
    crossing.here.before = together(3, lambda r: r.method == "GET" and "/manifests/sha256:" in r.path)
    crossing.export(image, flags=["-j", "4"])


def test_small_evidence_is_read_side_by_side_and_once(crossing: Crossing) -> None:
    image = crossing.push(attached(crossing, 4))
    layers = tuple(str(d.blobs[1].digest) for d in crossing.content.documents.values() if d.subject is not None)
    crossing.here.before = together(3, lambda r: r.method == "GET" and r.path.endswith(layers))
    crossing.here.asked.clear()
    crossing.export(image, flags=["-j", "4"])
    blobs = asked(crossing.here, "GET", "/blobs/")
    assert len(blobs) == len(set(blobs))


def test_the_children_of_an_index_are_fetched_side_by_side(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    crossing.here.before = together(2, lambda r: r.method == "GET" and "/manifests/sha256:" in r.path)
    crossing.export(image, flags=["-j", "4"])


def test_the_evidence_of_one_image_is_placed_side_by_side(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.push(attached(crossing, 4)))
    crossing.there.before = together(3, lambda r: r.method == "PUT" and "/manifests/sha256:" in r.path)
    ran = crossing.import_(bundle, "-j", "4")
    assert ran.exit == 0, ran.err


def test_the_children_of_an_index_are_placed_side_by_side(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.push(crossing.sign(crossing.content.index())))
    crossing.there.before = together(2, lambda r: r.method == "PUT" and "/manifests/sha256:" in r.path)
    ran = crossing.import_(bundle, "-j", "4")
    assert ran.exit == 0, ran.err


def test_images_at_a_registry_are_verified_side_by_side_and_told_in_their_order(crossing: Crossing) -> None:
    images = [crossing.signed_image(f"team/app{number}:v1", words=str(number)) for number in range(3)]
    crossing.here.before = together(3, lambda r: r.method == "GET" and r.path.endswith("/manifests/v1"))
    ran = crossing.run("verify", *(f"docker://{image.reference}" for image in images), "-j", "3", "--json")
    assert ran.exit == 0, ran.err
    assert [image["reference"] for image in ran.json["images"]] == [image.reference for image in images]


# --- as indexes grow ---


class Shelf:
    """A source that holds documents, and nothing that vouches for them."""

    def __init__(self, content: Content) -> None:
        self.content = content

    def document(self, name: str | Digest) -> Document | None:
        return self.content.documents.get(name) if isinstance(name, Digest) else None

    def sought(self, tag: str) -> Document | None:
        return None

    def referrers(self, subject: Digest) -> Referrers:
        return Referrers(api=True)

    def chunks(self, blob: Descriptor) -> Iterator[bytes]:
        yield self.content.blobs[blob.digest]

    def has(self, blob: Descriptor) -> bool:
        return blob.digest in self.content.blobs


def test_choosing_among_thousands_of_children_takes_a_moment() -> None:
    """Each compared with each would be 36 million comparisons, several times over; it takes one and a half hundred steps for each child."""
    content = Content()
    image = content.image()
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": str(image.digest)}
    listed: list[dict[str, Any]] = []
    for number in range(3_000):
        beside = content.artifact(str(number).encode(), "application/vnd.in-toto+json").descriptor.to_json()
        listed.append(beside | {"annotations": about})
        listed.append(beside | {"digest": f"sha256:{number:064x}", "platform": Platform.parse("linux/s390x").to_json()})
    listed.append(image.descriptor.to_json() | {"platform": Platform.parse("linux/amd64").to_json()})
    root = content.document({"mediaType": mediatype.OCI_INDEX, "manifests": listed})
    reference = Reference.parse("registry.example/team/app:v1")
    with steps() as taken:
        found = survey(reference, root, Shelf(content), platforms=[Platform.parse("linux/amd64")], jobs=1)
    assert taken() < 300 * len(listed)
    assert (len(found.carried.own), len(found.carried.left_out)) == (3_002, 3_000)


def test_documents_come_in_waves_each_of_which_needs_only_earlier_ones() -> None:
    content = Content()
    root = content.nested()
    about = content.artifact(subject=root)
    found = waves([about, root, *content.below(root)])
    place = {document.digest: number for number, wave in enumerate(found) for document in wave}
    assert len(place) == len(content.below(root)) + 1
    assert [len(wave) for wave in found][-2:] == [1, 1]
    for document in [about, *content.below(root)]:
        needs = [child.digest for child in document.children] + ([document.subject.digest] if document.subject else [])
        assert all(place[need] < place[document.digest] for need in needs)
