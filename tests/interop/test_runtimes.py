"""What runs is never admitted without a signature of its own: docker, containerd and podman decide what runs.

Code in every disguise lies beside signed images, in every place that is looked at, and crosses by the command itself, from
an exporter who checks nothing. What of it arrives, and whether any runtime takes it, is seen at the registry behind the gap.
Then the other half: what people do attach to images still enters, byte for byte, and no runtime takes it.
"""

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.manifest import REFERENCE_DIGEST, REFERENCE_TYPE, Document, Manifest
from tests.hostile.catalogue.disguises import BORROWED, RAN, Disguise, disguises, image_config, ordinary
from tests.interop import peers as real
from tests.interop.runtimes import RUNTIMES, Taken
from tests.support import signing
from tests.support.layouts import Content, push
from tests.support.papers import PAPERS, TWINS, Attach
from tests.support.station import EXPORTER, RELEASE, Crossing, Image, write_trust

DISGUISES = disguises()
LAYERED = [disguise for disguise in DISGUISES if disguise.dialect != BORROWED]
CODE = frozenset(Digest.of(disguise.data) for disguise in LAYERED)
"""The layers that are code whatever leads to them."""
EVERY = 8  # of what must be refused by a runtime for the same reason as all others, each so many are tried

pytestmark = pytest.mark.xdist_group("runtimes")  # the crossings are made once, and take longer than any test here


@dataclass
class Smuggling:
    """Disguises in places of one kind, on their way through one crossing."""

    crossing: Crossing
    code: dict[str, dict[Disguise, Document]] = field(default_factory=dict)
    """What lies in each place."""
    said: list[dict[str, Any]] = field(default_factory=list)
    """Of each image, what ``import`` said about it."""
    sent: set[Digest] = field(default_factory=set)
    """All documents on the connected side."""
    planted: dict[str, Digest] = field(default_factory=dict)
    """By repository and tag, what others had put behind the gap before."""
    images: list[Image] = field(default_factory=list)

    def fresh(self, words: str) -> Document:
        """A new image, with nothing about it yet."""
        self.crossing.content = Content()
        return self.crossing.content.image(words)

    def put(self, place: str, disguise: Disguise, document: Document) -> Document:
        self.code.setdefault(place, {})[disguise] = document
        return document

    def push(self, root: Document, name: str) -> Image:
        self.images.append(self.crossing.push(root, name))
        self.sent |= self.crossing.content.documents.keys()
        return self.images[-1]

    def cross(self, to: str = "app.oci.tar.zst", *, exit: int = 0) -> None:  # noqa: A002
        """All images so far, in one bundle: what passes is imported."""
        ran = self.crossing.import_(self.crossing.export(*self.images, to=to), "--json", "--admit-passing")
        assert ran.exit == exit, ran.out + ran.err
        self.said += ran.json["images"]
        self.images.clear()

    @property
    def arrived(self) -> dict[Digest, Document]:
        """Every manifest and index behind the gap that nobody planted there."""
        folder = self.crossing.folder / "there"
        names = {(path.parent.name, path.name) for path in folder.glob("repositories/**/_manifests/*/*")}
        documents = [Document.parse((folder / "blobs" / algorithm / encoded).read_bytes()) for algorithm, encoded in names]
        return {document.digest: document for document in documents if document.digest not in self.planted.values()}

    @property
    def runnable(self) -> set[str]:
        """What was reported to stay outside."""
        return {check["subject"] for image in self.said for check in image["checks"] if check["code"] == "evidence.runnable"}


# --- the places ---


def beside(smuggling: Smuggling) -> None:
    """By cosign's tags, as a referrer, and as a referrer to the signature."""
    crossing = smuggling.crossing
    for number, disguise in enumerate(DISGUISES):
        root = smuggling.fresh(f"beside {number}")
        signature = crossing.attach(root)
        for form in ("sig", "att", "sbom"):
            crossing.content.tags[f"{root.digest.tag}.{form}"] = smuggling.put(form, disguise, disguise.document(crossing.content))
        smuggling.put("referrer", disguise, disguise.document(crossing.content, subject=root))
        smuggling.put("referrer to a signature", disguise, disguise.document(crossing.content, subject=signature))
        smuggling.push(root, "code:" + str(number))
    smuggling.cross()


def listed(smuggling: Smuggling) -> None:
    """In the list of referrers of a registry that has no API for them."""
    crossing = smuggling.crossing
    for number, disguise in enumerate(DISGUISES[::3]):
        root = crossing.sign(smuggling.fresh(f"listed {number}"))
        crossing.content.fallback(root.digest, smuggling.put("list", disguise, disguise.document(crossing.content, subject=root)))
        smuggling.push(root, f"code:{number}")
    smuggling.cross()


def below(smuggling: Smuggling) -> None:
    """Beside a signed platform, where each platform must be signed: as one more, as what BuildKit attests with, one index down."""
    crossing = smuggling.crossing
    for number, (disguise, place) in enumerate(zip(DISGUISES, itertools.cycle(BELOW), strict=False)):
        good = crossing.sign(smuggling.fresh(f"below {number}"))
        code = smuggling.put(place, disguise, disguise.document(crossing.content))
        smuggling.push(BELOW[place](crossing.content, good, code), f"code:{number}")
    smuggling.cross(exit=5)


def _index(content: Content, good: Document, beside: dict[str, Any]) -> Document:
    platform = {"platform": {"architecture": "arm64", "os": "linux"}}
    return content.document({"mediaType": mediatype.OCI_INDEX, "manifests": [good.descriptor.to_json() | platform, beside]})


def _child(content: Content, good: Document, code: Document) -> Document:
    return _index(content, good, code.descriptor.to_json() | {"platform": {"architecture": "amd64", "os": "linux"}})


def _attestation(content: Content, good: Document, code: Document) -> Document:
    names = {REFERENCE_TYPE: "attestation-manifest", REFERENCE_DIGEST: str(good.digest)}
    unknown = {"platform": {"architecture": "unknown", "os": "unknown"}}
    return _index(content, good, code.descriptor.to_json() | unknown | {"annotations": names})


def _grandchild(content: Content, good: Document, code: Document) -> Document:
    return _index(content, good, content.index(children=[code]).descriptor.to_json())


BELOW = {"child": _child, "attestation in the index": _attestation, "grandchild": _grandchild}


def merged(smuggling: Smuggling) -> None:
    """Half of it comes by one import, half by the next, in both orders."""
    crossing = smuggling.crossing
    for turn in (0, 1):
        for number, disguise in enumerate(LAYERED[1::3]):
            root = smuggling.fresh(f"merged {number}")
            crossing.attach(root)
            bare, layered = halves(crossing.content, disguise)
            crossing.content.tags[f"{root.digest.tag}.sig"] = (bare, layered)[turn]
            crossing.content.tags[f"{root.digest.tag}.att"] = (layered, bare)[turn]
            smuggling.put("merged", disguise, layered)
            smuggling.push(root, f"code:{number}")
        smuggling.cross(f"{turn}.oci.tar.zst")


def joined(smuggling: Smuggling) -> None:
    """What lies behind the gap is code, under the names of the signatures that come."""
    crossing = smuggling.crossing
    for number, disguise in enumerate(DISGUISES[2::3]):
        root = crossing.sign(smuggling.fresh(f"joined {number}"))
        crossing.content.att(root.digest, signing.att(root))
        image = smuggling.push(root, f"code{number}:v1")
        theirs, there = Content(), crossing.arrived(image)
        code = smuggling.put("joined", disguise, disguise.document(theirs))
        for form, document in {"sig": code, "att": halves(theirs, disguise)[1]}.items():
            tag = f"{root.digest.tag}.{form}"
            push(there, theirs, document, tag=tag)
            smuggling.planted[f"{there.name} {tag}"] = document.digest
    smuggling.cross()


def halves(content: Content, disguise: Disguise) -> tuple[Document, Document]:
    """The config of an image over an empty text, and the layer under an empty config."""
    nothing = content.blob(b"", "text/spdx")
    bare = content.manifest(content.blob(image_config(str(nothing.digest)), disguise.config), [nothing], media_type=disguise.manifest)
    return bare, content.manifest(content.blob(b"{}", mediatype.EMPTY), [content.blob(disguise.data, disguise.layer)])


KINDS = {"beside": beside, "listed": listed, "below": below, "merged": merged, "joined": joined}


@pytest.fixture(scope="module")
def smuggled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Smuggling]]:
    """All that was tried, by kind of place, once it has crossed; the registries on both sides still run."""
    made: dict[str, Smuggling] = {}
    with ExitStack() as running:
        for kind, smuggle in KINDS.items():
            api = kind != "listed"
            crossing = running.enter_context(Crossing(tmp_path_factory.mktemp(kind), referrers_here=api, referrers_there=api))
            rules = [signing.rule(RELEASE, scope="**", node="platforms" if kind == "below" else "reference")]
            write_trust(crossing.trust, rules=rules, seals=[signing.seal(EXPORTER)])
            made[kind] = Smuggling(crossing)
            smuggle(made[kind])
        yield made


# --- what arrives of it ---


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_it_arrives(smuggled: dict[str, Smuggling], kind: str) -> None:
    smuggling = smuggled[kind]
    arrived = smuggling.arrived
    code = {document.digest: f"{disguise} as {place}" for place, found in smuggling.code.items() for disguise, document in found.items()}
    assert [words for digest, words in code.items() if digest in arrived] == []
    assert [digest for digest, document in arrived.items() if not CODE.isdisjoint(each.digest for each in document.blobs)] == []


@pytest.mark.parametrize("kind", ["beside", "listed", "merged"])
def test_it_is_said_to_stay_outside_and_refuses_nothing(smuggled: dict[str, Smuggling], kind: str) -> None:
    smuggling = smuggled[kind]
    assert all(image["passed"] for image in smuggling.said)
    for place, found in smuggling.code.items():
        unsaid = [str(disguise) for disguise, document in found.items() if str(document.digest) not in smuggling.runnable]
        assert unsaid == [], place


def test_below_an_index_of_which_each_platform_must_be_signed_it_refuses_the_whole(smuggled: dict[str, Smuggling]) -> None:
    smuggling = smuggled["below"]
    assert len(smuggling.said) == len(DISGUISES)
    assert {tuple(image["reasons"]) for image in smuggling.said} == {("policy.threshold", "signature.missing")}
    assert smuggling.arrived == {}


def test_code_that_lies_behind_the_gap_is_not_joined_with_what_comes(smuggled: dict[str, Smuggling]) -> None:
    smuggling = smuggled["joined"]
    named = {}
    for key in smuggling.planted:
        repository, tag = key.split(" ")
        there = smuggling.crossing.there.repository(repository.partition("/")[2]).document(tag)
        named[key] = str(there.digest) if there else None
    assert named == {key: str(digest) for key, digest in smuggling.planted.items()}
    assert smuggling.arrived.keys() <= smuggling.sent


# --- what runs ---


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short path: podman waits 20 seconds for each container whose socket's path is too long for the system."""
    with tempfile.TemporaryDirectory(prefix="run", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", RUNTIMES)
def test_what_it_runs_was_not_admitted(smuggled: dict[str, Smuggling], name: str, short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And it does run most of it, so that it is a judge."""
    code = [(place, d, document) for each in smuggled.values() for place, found in each.code.items() for d, document in found.items()]
    here = smuggled["beside"].crossing.here
    base = push(here.repository("code"), content := Content(), ordinary(content))
    with RUNTIMES[name](short) as runtime:
        assert runtime.take(f"{here.host}/code@{base.digest}") is Taken.RAN
        taken = {d: runtime.take(f"{here.host}/code@{smuggled['beside'].code['sig'][d].digest}") for d in DISGUISES}
        referring = list(smuggled["beside"].code["referrer"].items())[::EVERY]
        differing = [str(d) for d, document in referring if runtime.take(f"{here.host}/code@{document.digest}") is not taken[d]]
        arrived = [found for smuggling in smuggled.values() for found in entered(smuggling)]
        entering = [reference for reference in arrived if runtime.take(reference) is not Taken.REFUSED]
    admitted = {digest for smuggling in smuggled.values() for digest in smuggling.arrived}
    cells = Counter(taken[disguise] for _, disguise, _ in code)
    with capsys.disabled():
        print(f"\n{name}: {len(code)} cells of {len(taken)} disguises; {', '.join(f'{cells[each]} {each}' for each in Taken)}")  # noqa: T201
    assert len(code) >= 150
    assert Counter(taken.values())[Taken.RAN] >= RAN[name] * 3 // 4
    assert Counter(taken.values())[Taken.UNPACKED] >= AT_LEAST_UNPACKED
    assert [f"{d} as {place}" for place, d, document in code if taken[d] is not Taken.REFUSED and document.digest in admitted] == []
    assert differing == []  # what a manifest refers to plays no part
    assert len(arrived) >= 20
    assert entering == []


AT_LEAST_UNPACKED = 20


def entered(smuggling: Smuggling) -> Iterator[str]:
    """What entered and nobody signed, by reference: all that was made there, and some of what was carried."""
    roots = {image["digest"] for image in smuggling.said}
    folder = smuggling.crossing.folder / "there/repositories"
    for number, path in enumerate(sorted(folder.glob("**/_manifests/*/*"))):
        digest = Digest.parse(f"{path.parent.name}:{path.name}")
        unsigned = str(digest) not in roots and digest not in smuggling.planted.values()
        if unsigned and (digest not in smuggling.sent or number % EVERY == 0):
            yield f"{smuggling.crossing.there.host}/{path.parents[2].relative_to(folder)}@{digest}"


# --- lists of what refers to an image, where there is no API for them ---


@dataclass
class Listing:
    """A list that ``import`` wrote. An image that is signed itself refers to the one that was imported, and others' does behind the gap."""

    crossing: Crossing
    plain: str
    """The reference of what lay there before: that image of others in a list as clients write it."""
    written: str
    images: list[str]
    """The references of what is listed and runs by itself."""


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listing]:
    with Crossing(tmp_path_factory.mktemp("lists"), referrers_there=False) as crossing:
        root = crossing.sign(crossing.content.image())
        ours = crossing.sign(_referring(crossing.content, root, "ours"))
        image = crossing.push(root)
        theirs, there = Content(), crossing.arrived(image)
        other = push(there, theirs, _referring(theirs, root, "theirs"))
        plain = push(there, theirs, theirs.fallback(root.digest, other), tag=root.digest.tag)
        assert crossing.import_(crossing.export(image)).exit == 0
        written = there.document(root.digest.tag)
        assert written is not None
        assert [child.digest for child in written.children] == [other.digest, ours.digest]
        names = [f"{there.name}@{document.digest}" for document in (plain, written, other, ours)]
        yield Listing(crossing, names[0], names[1], names[2:])


def _referring(content: Content, subject: Document, words: str) -> Document:
    image = ordinary(content)
    assert isinstance(image.content, Manifest)
    return content.manifest(image.content.config, image.content.layers, subject=subject, annotations={"words": words})


@pytest.mark.parametrize("name", RUNTIMES)
def test_no_runtime_takes_an_image_from_the_list_that_it_stands_in(listing: Listing, name: str, short: Path) -> None:
    with RUNTIMES[name](short) as runtime:
        assert [runtime.take(image) for image in listing.images] == [Taken.RAN, Taken.RAN]
        assert runtime.take(listing.plain) is (Taken.REFUSED if name == "docker" else Taken.RAN)
        assert runtime.take(listing.written) is Taken.REFUSED


# --- what must still enter ---


@dataclass
class Attached:
    """Papers beside signed images, once they have crossed."""

    crossing: Crossing
    said: list[dict[str, Any]]
    papers: dict[str, tuple[Image, Document, bytes]]

    def there(self, words: str) -> tuple[Document | None, bool]:
        """Its manifest behind the gap, and whether its layer is there."""
        image, document, data = self.papers[words]
        repository = self.crossing.arrived(image)
        return repository.document(document.digest), any(repository.has(blob) for blob in document.blobs if blob.digest == Digest.of(data))


def attached(crossing: Crossing, papers: dict[str, tuple[Attach, Callable[[Document], bytes]]]) -> Attached:
    made: dict[str, tuple[Image, Document, bytes]] = {}
    for number, (words, (attach, data)) in enumerate(papers.items()):
        crossing.content = Content()
        root = crossing.content.image(words)
        document = attach(crossing.content, root, held := data(root))
        if f"{root.digest.tag}.sig" in crossing.content.tags:
            crossing.attach(root)
        else:
            crossing.sign(root)
        made[words] = (crossing.push(root, f"team/p{number}:v1"), document, held)
    ran = crossing.import_(crossing.export(*(image for image, _, _ in made.values())), "--json")
    assert ran.exit == 0, ran.out + ran.err
    return Attached(crossing, ran.json["images"], made)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attached]:
    with Crossing(tmp_path_factory.mktemp("papers")) as crossing:
        yield attached(crossing, {words: (paper.attach, paper.data) for words, paper in PAPERS.items()} | EMPTY)


EMPTY = {
    "nothing but annotations": (lambda content, subject, _: content.manifest(content.blob(b"{}"), [], subject=subject), lambda _: b"{}")
}
"""An artifact without layers."""


@pytest.mark.parametrize("words", [*PAPERS, *EMPTY])
def test_what_people_attach_enters_as_it_was(papers: Attached, words: str) -> None:
    document, held = papers.there(words)
    assert document is not None
    assert document.raw == papers.papers[words][1].raw
    assert held


@pytest.mark.parametrize("name", RUNTIMES)
def test_no_runtime_takes_what_people_attach(papers: Attached, name: str, short: Path) -> None:
    with RUNTIMES[name](short) as runtime:
        for words, (image, document, _) in papers.papers.items():
            assert runtime.take(f"{papers.crossing.arrived(image).name}@{document.digest}") is Taken.REFUSED, words


def _twin(twin: str, data: Callable[[Document], bytes], root: Document) -> bytes:
    return TWINS[twin](data(root))


@pytest.mark.parametrize("twin", TWINS)
def test_the_same_with_code_in_it_stays_outside(twin: str, tmp_path: Path) -> None:
    changed: dict[str, tuple[Attach, Callable[[Document], bytes]]] = {
        words: (paper.attach, partial(_twin, twin, paper.data)) for words, paper in PAPERS.items()
    }
    with Crossing(tmp_path) as crossing:
        made = attached(crossing, changed)
        runnable = {check["subject"] for image in made.said for check in image["checks"] if check["code"] == "evidence.runnable"}
        for words, (_, document, _) in made.papers.items():
            assert made.there(words) == (None, False), words
            assert str(document.digest) in runnable, words


@pytest.mark.parametrize("node", ["reference", "platforms"])
def test_what_buildkit_attests_enters_with_the_index(node: str, tmp_path: Path) -> None:
    with Crossing(tmp_path) as crossing:
        write_trust(crossing.trust, rules=[signing.rule(RELEASE, scope="**", node=node)], seals=[signing.seal(EXPORTER)])
        root = crossing.content.with_buildkit()
        for document in crossing.content.below(root):
            if b"in-toto" not in document.raw:
                crossing.sign(document)
        image = crossing.push(root)
        assert crossing.import_(crossing.export(image)).exit == 0
        for document in crossing.content.below(root):
            arrived = crossing.arrived(image).document(document.digest)
            assert arrived is not None
            assert arrived.raw == document.raw


@dataclass
class Entered:
    """A manifest as a tool made it, and what is behind the gap."""

    made: Document
    there: Document | None
    reference: str


@pytest.fixture(scope="module")
def by_cosign(peers: real.Peers, keys: real.Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Entered]]:
    """What cosign itself wrote in Docker's media types, by the ending of its tag."""
    with Crossing(tmp_path_factory.mktemp("cosign")) as crossing:
        root = crossing.content.image(docker=True)
        crossing.attach(root)
        image = crossing.push(root)
        predicate = crossing.folder / "spdx.json"
        predicate.write_text('{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT"}')
        here, there = crossing.here.repository(image.path), crossing.arrived(image)
        for words in (["sign"], ["attest", "--predicate", predicate, "--type", "spdxjson"]):
            flags = (*real.OFFLINE, real.OLD, "--key", keys.private, f"{here.name}@{root.digest}")
            peers.cosign(*words, *flags, env={"COSIGN_DOCKER_MEDIA_TYPES": "1"})
        assert crossing.import_(crossing.export(image)).exit == 0
        made = {form: here.document(f"{root.digest.tag}.{form}") for form in ("sig", "att")}
        yield {
            form: Entered(document, there.document(f"{root.digest.tag}.{form}"), f"{there.name}@{document.digest}")
            for form, document in made.items()
            if document is not None
        }


def test_what_cosign_writes_in_dockers_media_types_enters_as_it_was(by_cosign: dict[str, Entered]) -> None:
    assert {form: each.made.descriptor.media_type for form, each in by_cosign.items()} == dict.fromkeys(
        ("sig", "att"), mediatype.DOCKER_MANIFEST
    )
    assert [each.there for each in by_cosign.values()] == [each.made for each in by_cosign.values()]


@pytest.mark.parametrize("name", RUNTIMES)
def test_no_runtime_takes_what_cosign_writes_in_dockers_media_types(by_cosign: dict[str, Entered], name: str, short: Path) -> None:
    with RUNTIMES[name](short) as runtime:
        assert {form: runtime.take(each.reference) for form, each in by_cosign.items()} == dict.fromkeys(("sig", "att"), Taken.REFUSED)
