"""The walk through documents."""

import pytest

from bundler.errors import Code, FormatError
from bundler.oci.graph import MAX_DEPTH, listed_in, too_deep, walk
from bundler.oci.manifest import Document
from tests.support.layouts import Content


def nested(content: Content, levels: int) -> Document:
    document = content.image()
    for _ in range(levels):
        document = content.index(children=[document])
    return document


def test_each_document_comes_once_and_before_what_it_lists() -> None:
    content = Content()
    one, two, three = (content.image(words) for words in ("one", "two", "three"))
    inner = content.index(children=[two, one])
    outer = content.index(children=[inner, three, two])
    assert list(walk([one, outer, inner], listed_in(content.documents)).values()) == [one, outer, inner, two, three]


def test_what_lies_below_is_asked_for_once_each() -> None:
    content, asked = Content(), list[Document]()
    image = content.image()
    outer = content.index(children=[content.index(children=[image], annotations={"n": str(number)}) for number in range(3)])

    def below(document: Document) -> list[Document]:
        asked.append(document)
        return listed_in(content.documents)(document)

    assert len(walk([outer, image], below)) == len(asked) == 5


def test_what_is_known_is_passed_over_with_what_is_below_it() -> None:
    content = Content()
    inner, image = content.index(children=[content.image("one")]), content.image("two")
    outer = content.index(children=[inner, image])
    assert list(walk([outer], listed_in(content.documents), known={inner.digest})) == [outer.digest, image.digest]


def test_what_is_not_carried_is_not_walked() -> None:
    content = Content()
    image, other = content.image("one"), content.image("two")
    index = content.index(children=[image, other])
    assert list(walk([index], listed_in({image.digest: image}))) == [index.digest, image.digest]


def test_a_walk_ends_at_the_depth_that_it_is_given() -> None:
    content = Content()
    assert len(walk([nested(content, 8)], listed_in(content.documents), at_most=8)) == 9
    deep = nested(content, 9)
    with pytest.raises(FormatError, match=f"{deep.digest} nests indexes too deep") as refused:
        walk([content.image("other"), deep], listed_in(content.documents), at_most=8)
    assert (refused.value.code, refused.value.wanted) == (Code.LIMIT_DEPTH, "at most 8 levels")
    assert len(walk([deep], listed_in(content.documents))) == 10


def test_the_depth_that_is_refused_is_named_with_its_limit() -> None:
    assert (MAX_DEPTH, too_deep("it is nested").wanted) == (8, "at most 8 levels")
