"""Which two manifests may become one: only what is proven on both sides to be of one form, and proven again as a whole."""

import json

import pytest

from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import Document, Manifest
from bundler.stations.joining import MAX_JOINED, merged
from bundler.trust.evidence import Form
from tests.support import signing
from tests.support.layouts import PLAIN_LAYER, Content, push, tar_of
from tests.support.station import Crossing

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
def test_two_lists_of_one_form_become_one(content: Content, of):
    made = joined(content, listed(content, of(1)), listed(content, of(2)))
    assert made is not None
    assert isinstance(made.content, Manifest)
    assert [content.blobs[layer.digest] for layer in made.content.layers] == [of(1)[0], of(2)[0]]


def test_what_others_wrote_beside_a_signature_stays_as_it_is(content: Content):
    theirs = listed(content, simple(1))
    told = json.loads(theirs.raw)
    told["layers"][0]["annotations"] = {"Label": "a", "label": "b\x1b[1m"}
    odd = content.document(told | {"score": 0.5})
    made = joined(content, odd, listed(content, simple(2)))
    assert made is not None
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
def test_what_is_of_another_form_is_not_joined_with_a_signature(content: Content, other: tuple[bytes, str], turned: bool):
    pair = [listed(content, simple(1)), listed(content, other)]
    assert joined(content, *(reversed(pair) if turned else pair)) is None


@pytest.mark.parametrize("layer", [(TAR, PLAIN_LAYER), (b"\0", "text/plain")])
def test_two_that_are_not_proven_are_not_joined_though_they_are_alike(content: Content, layer: tuple[bytes, str]):
    assert joined(content, listed(content, layer), listed(content, (layer[0] + layer[0], layer[1]))) is None


def test_the_config_of_one_and_the_layers_of_the_other_make_no_image(content: Content):
    """Neither of them runs; what they would make together does."""
    nothing = (b"", "text/spdx")
    config = {"config": {"Cmd": ["/evil"]}, "rootfs": {"type": "layers", "diff_ids": [str(content.blob(b"").digest)]}}
    theirs = listed(content, nothing, config=json.dumps(config).encode())
    ours = listed(content, (TAR, PLAIN_LAYER), config_type=mediatype.EMPTY)
    assert joined(content, theirs, ours) is None


def test_a_config_that_names_the_layers_of_another_image_is_not_joined(content: Content):
    """containerd would take those for the layers of the list."""
    layer = content.blob(simple(1)[0], mediatype.SIMPLE_SIGNING)
    for named, joins in ((layer, True), (content.blob(TAR), False)):
        config = {"rootfs": {"type": "layers", "diff_ids": [str(named.digest)]}}
        theirs = listed(content, simple(1), config=json.dumps(config).encode())
        assert (joined(content, theirs, listed(content, simple(2))) is not None) is joins


def test_what_is_too_large_to_be_read_is_not_joined(content: Content):
    theirs, ours = listed(content, simple(1)), listed(content, simple(2))
    assert isinstance(ours.content, Manifest)
    [layer] = ours.content.layers
    large = Descriptor(layer.media_type, layer.digest, MAX_JOINED)
    assert joined(content, theirs, content.manifest(ours.content.config, [large])) is None


def test_one_list_within_the_other_is_not_a_question_of_form(content: Content):
    both, one = listed(content, simple(1), (b"text", "text/plain")), listed(content, simple(1))
    assert joined(content, both, one) == both
    assert joined(content, one, both) == both


def test_an_sbom_is_joined_with_nothing(content: Content):
    assert joined(content, listed(content, (b"{}", "text/spdx+json")), listed(content, (b"[]", "text/spdx+json")), Form.SBOM) is None


@pytest.mark.parametrize("platform", [{"os": "linux", "architecture": "arm64"}, {"os": "linux", "architecture": ""}])
def test_an_index_of_platforms_is_not_extended_as_a_list_of_referrers(tmp_path, platform: dict[str, str]):
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
        assert f"{root.digest.tag} holds an index of platforms, {there.digest}" in ran.out
        assert crossing.arrived(image).document(root.digest.tag) == there
        assert crossing.arrived(image).document(ours.digest) == ours
