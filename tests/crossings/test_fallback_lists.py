"""Lists of referrers under a tag, where a registry has no API for them: written, added to, and left where they are something else."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.oci import mediatype
from bundler.oci.descriptor import Platform
from bundler.oci.manifest import Document
from tests.support.layouts import Content, push
from tests.support.station import STRANGER, Crossing, Image, run


@pytest.fixture
def flat(tmp_path: Path) -> Iterator[Crossing]:
    """Its destination has no API for referrers."""
    with Crossing(tmp_path, referrers_there=False) as running:
        yield running


def attached(flat: Crossing) -> tuple[Image, Document]:
    """An image, and a signature that refers to it."""
    root = flat.sign(flat.content.image())
    ours = flat.attach(root)
    return flat.push(root), ours


def platforms(theirs: Content, _: Document) -> Document:
    return theirs.index("theirs")


def platforms_that_refer_to_it(theirs: Content, root: Document) -> Document:
    child = theirs.artifact(b"1", subject=root).descriptor.to_json() | {"platform": {"architecture": "amd64", "os": "linux"}}
    return theirs.document({"mediaType": mediatype.OCI_INDEX, "manifests": [child]})


def an_image(theirs: Content, _: Document) -> Document:
    return theirs.index(children=[theirs.image("theirs")])


def about_another(theirs: Content, root: Document) -> Document:
    return theirs.index(children=[theirs.artifact(b"1", subject=root), theirs.artifact(b"2", subject=theirs.image("other"))])


@pytest.mark.parametrize("theirs", [platforms, platforms_that_refer_to_it, an_image, about_another])
def test_an_index_of_something_else_is_not_extended_as_a_list_of_referrers(
    flat: Crossing, theirs: Callable[[Content, Document], Document]
) -> None:
    """Whoever pulls it by its tag gets something of it."""
    image, ours = attached(flat)
    content = Content()
    there = theirs(content, image.root)
    repository = flat.arrived(image)
    for document in list(content.documents.values()):
        push(repository, content, document, tag=image.root.digest.tag if document == there else None)
    ran = flat.import_(flat.export(image))
    assert ran.exit == 0, ran.err
    assert f"{image.root.digest.tag} holds an index of something else, {there.digest}" in ran.said
    assert repository.document(image.root.digest.tag) == there
    assert repository.document(ours.digest) == ours


def test_each_entry_of_a_list_that_is_written_has_the_platform_that_nothing_is(flat: Crossing) -> None:
    """Runtimes take the first image of an index that names no platforms."""
    image, ours = attached(flat)
    content = Content()
    other = content.artifact(b"theirs", subject=image.root, annotations={"by": "them"})
    repository = flat.arrived(image)
    push(repository, content, other)
    [before] = push(repository, content, content.fallback(image.root.digest, other), tag=image.root.digest.tag).children
    assert flat.import_(flat.export(image)).exit == 0
    after = repository.document(image.root.digest.tag)
    assert after is not None
    assert after.children == tuple(replace(entry, platform=Platform("unknown", "unknown")) for entry in (before, ours.as_referrer))


def test_what_a_list_that_we_wrote_holds_is_added_to(flat: Crossing) -> None:
    image, ours = attached(flat)
    assert flat.import_(flat.export(image, to="1.oci.tar.zst")).exit == 0
    later = flat.attach(image.root, STRANGER)
    flat.push(image.root)
    assert flat.import_(flat.export(image, to="2.oci.tar.zst")).exit == 0
    listed = flat.arrived(image).document(image.root.digest.tag)
    assert listed is not None
    assert {child.digest for child in listed.children} == {ours.digest, later.digest}


def test_what_a_list_that_we_wrote_holds_is_found_by_the_next_export(flat: Crossing) -> None:
    image, ours = attached(flat)
    assert flat.import_(flat.export(image)).exit == 0
    onward = flat.export(f"docker://{flat.arrived(image).name}:v1", to="onward.oci.tar.zst")
    [lookup, *_] = run("inspect", onward, "--json").json["claims"]["lookups"]
    assert (lookup["asked"]["referrers"], lookup["asked"]["fallback"]) == ("no-api", "found")
    assert {"digest": str(ours.digest), "form": "referrer"} in lookup["found"]


@pytest.mark.parametrize("platform", [{"os": "linux", "architecture": "arm64"}, {"os": "linux", "architecture": ""}])
def test_an_index_of_odd_platforms_is_not_extended_as_a_list_of_referrers(tmp_path: Path, platform: dict[str, str]) -> None:
    """Whoever pulls it by its tag gets one of its platforms."""
    with Crossing(tmp_path, referrers_there=False) as crossing:
        root = crossing.sign(crossing.content.image())
        ours = crossing.attach(root)
        image = crossing.push(root)
        theirs = Content()
        listed = theirs.image("theirs").descriptor.to_json() | {"platform": platform}
        index = theirs.document({"mediaType": mediatype.OCI_INDEX, "manifests": [listed]})
        there = push(crossing.arrived(image), theirs, index, tag=root.digest.tag)
        ran = crossing.import_(crossing.export(image))
        assert ran.exit == 0, ran.err
        assert f"{root.digest.tag} holds an index of something else, {there.digest}" in ran.said
        assert crossing.arrived(image).document(root.digest.tag) == there
        assert crossing.arrived(image).document(ours.digest) == ours
