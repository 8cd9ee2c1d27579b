"""Which two manifests may become one: only what is proven on both sides to be of one form, and proven again as a whole."""

import json
from collections.abc import Callable

import pytest

from bundler.content.store import Over
from bundler.errors import Code, FormatError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.manifest import Document, Manifest
from bundler.stations.merging import MAX_JOINED, Joins, merged
from tests.support import signing
from tests.support.layouts import PLAIN_LAYER, Content, tar_of
from tests.support.notes import Notes

TAR = tar_of({"evil": b"x"})


@pytest.fixture
def content() -> Content:
    return Content()


def listed(content: Content, *layers: tuple[bytes, str], config: bytes = b"{}", config_type: str = mediatype.OCI_CONFIG) -> Document:
    return content.manifest(content.blob(config, config_type), [content.blob(data, kind) for data, kind in layers])


def joined(content: Content, theirs: Document, ours: Document, form: Form = Form.SIG) -> Document | None:
    made = merged(theirs, ours, form, lambda blob: content.blobs[blob.digest])
    return made.document if made else None


def simple(number: int) -> tuple[bytes, str]:
    root = Content().image(str(number))
    return signing.signed(root)[0], mediatype.SIMPLE_SIGNING


def dsse(number: int) -> tuple[bytes, str]:
    return signing.att(Content().image(str(number))), mediatype.DSSE


@pytest.mark.parametrize("of", [simple, dsse])
def test_two_lists_of_one_form_become_one(content: Content, of: Callable[[int], tuple[bytes, str]]) -> None:
    made = joined(content, listed(content, of(1)), listed(content, of(2)))
    assert made is not None
    assert isinstance(made.content, Manifest)
    assert [content.blobs[layer.digest] for layer in made.content.layers] == [of(1)[0], of(2)[0]]


def test_what_others_wrote_beside_a_signature_stays_as_it_is(content: Content) -> None:
    theirs = listed(content, simple(1))
    told = json.loads(theirs.raw)
    told["layers"][0]["annotations"] = {"Label": "a", "label": "b\x1b[1m"}
    odd = content.document(told | {"score": 0.5})
    made = joined(content, odd, listed(content, simple(2)))
    assert made is not None
    assert isinstance(made.content, Manifest)
    assert made.content.layers[0].annotations == {"Label": "a", "label": "b\x1b[1m"}
    assert json.loads(made.raw)["score"] == 0.5


OTHERS = {
    "of another form": dsse(1),
    "JSON": (b"{}", mediatype.SIMPLE_SIGNING),
    "text": (b"text", mediatype.SIMPLE_SIGNING),
    "a tar": (TAR, PLAIN_LAYER),
    "a tar under the type of a signature": (TAR, mediatype.SIMPLE_SIGNING),
}


@pytest.mark.parametrize("turned", [False, True], ids=["came", "there"])
@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_is_of_another_form_is_not_joined_with_a_signature(content: Content, other: tuple[bytes, str], turned: bool) -> None:
    pair = [listed(content, simple(1)), listed(content, other)]
    assert joined(content, *(reversed(pair) if turned else pair)) is None


@pytest.mark.parametrize("layer", [(TAR, PLAIN_LAYER), (b"\0", "text/plain")])
def test_two_that_are_not_proven_are_not_joined_though_they_are_alike(content: Content, layer: tuple[bytes, str]) -> None:
    assert joined(content, listed(content, layer), listed(content, (layer[0] + layer[0], layer[1]))) is None


def test_the_config_of_one_and_the_layers_of_the_other_make_no_image(content: Content) -> None:
    """Neither of them runs; what they would make together does."""
    nothing = (b"", "text/spdx")
    config = {"config": {"Cmd": ["/evil"]}, "rootfs": {"type": "layers", "diff_ids": [str(content.blob(b"").digest)]}}
    theirs = listed(content, nothing, config=json.dumps(config).encode())
    ours = listed(content, (TAR, PLAIN_LAYER), config_type=mediatype.EMPTY)
    assert joined(content, theirs, ours) is None


def test_a_config_that_names_the_layers_of_another_image_is_not_joined(content: Content) -> None:
    """containerd would take those for the layers of the list."""
    layer = content.blob(simple(1)[0], mediatype.SIMPLE_SIGNING)
    for named, joins in ((layer, True), (content.blob(TAR), False)):
        config = {"rootfs": {"type": "layers", "diff_ids": [str(named.digest)]}}
        theirs = listed(content, simple(1), config=json.dumps(config).encode())
        assert (joined(content, theirs, listed(content, simple(2))) is not None) is joins


def test_what_is_too_large_to_be_read_is_not_joined(content: Content) -> None:
    theirs, ours = listed(content, simple(1)), listed(content, simple(2))
    assert isinstance(ours.content, Manifest)
    [layer] = ours.content.layers
    large = Descriptor(layer.media_type, layer.digest, MAX_JOINED)
    assert joined(content, theirs, content.manifest(ours.content.config, [large])) is None


def test_one_list_within_the_other_is_not_a_question_of_form(content: Content) -> None:
    both, one = listed(content, simple(1), (b"text", "text/plain")), listed(content, simple(1))
    assert joined(content, both, one) == both
    assert joined(content, one, both) == both


def test_an_sbom_is_joined_with_nothing(content: Content) -> None:
    assert joined(content, listed(content, (b"{}", "text/spdx+json")), listed(content, (b"[]", "text/spdx+json")), Form.SBOM) is None


def test_what_came_into_the_list_while_its_entries_were_asked_for_stays_in_it() -> None:
    """The name is read again when they have been, and then written over what it was last."""
    content = Content()
    root = content.image()
    there, came, ours = (content.artifact(bytes([number]), subject=root) for number in b"tco")
    sink = Busy(content, root.digest, [content.fallback(root.digest, there), content.fallback(root.digest, there, came)])
    joins = Joins(sleep=lambda _: None)
    assert joins.list_referrers(sink, root.digest, [ours]) == ()
    assert sink.written is not None
    assert [child.digest for child in sink.written.children] == [there.digest, came.digest, ours.digest]
    assert sink.asked == [there.digest, came.digest]


def test_a_list_with_an_entry_that_cannot_be_read_is_left_as_it_is() -> None:
    content = Content()
    root = content.image()
    ours = content.artifact(b"ours", subject=root)
    odd = content.blob(b"{}", mediatype.OCI_MANIFEST)
    there = content.document({"mediaType": mediatype.OCI_INDEX, "manifests": [odd.to_json()]})
    sink = Busy(content, root.digest, [there])
    [said] = Joins(sleep=lambda _: None).list_referrers(sink, root.digest, [ours])
    assert said.endswith(f"holds an index of something else, {there.digest}, where the list of referrers belongs; it was left as it is")
    assert sink.written is None


def test_an_entry_of_a_type_that_nobody_here_reads_stays_in_the_list() -> None:
    """As the artifact manifests that older tools wrote."""
    content = Content()
    root = content.image()
    ours = content.artifact(b"ours", subject=root)
    odd = content.blob(b"{}", "application/vnd.oci.artifact.manifest.v1+json")
    there = content.document({"mediaType": mediatype.OCI_INDEX, "manifests": [odd.to_json()]})
    sink = Busy(content, root.digest, [there])
    assert Joins(sleep=lambda _: None).list_referrers(sink, root.digest, [ours]) == ()
    assert sink.written is not None
    assert [entry["digest"] for entry in json.loads(sink.written.raw)["manifests"]] == [str(odd.digest), str(ours.digest)]


class Busy(Notes):
    """A repository without an API, in which another writer writes while the first entry of the list is asked for."""

    title = "busy"

    def __init__(self, content: Content, subject: Digest, lists: list[Document]) -> None:
        super().__init__()
        self._content, self._subject, self._lists = content, subject, lists
        self.asked: list[Digest] = []
        self.written: Document | None = None

    def document(self, name: str | Digest) -> Document | None:
        if name == self._subject.tag:
            return self._lists[0]
        self._lists = self._lists[-1:]
        assert isinstance(name, Digest)
        self.asked.append(name)
        if name not in self._content.documents:
            raise FormatError("of an unknown media type", code=Code.FORMAT_MEDIA_TYPE)
        return self._content.documents[name]

    def put_document(self, document: Document, *, tag: str | None = None, over: Over | None = None) -> bool:
        assert (tag, over) == (self._subject.tag, Over(self._lists[0].digest))
        self.written = document
        return False
