"""docs/spec/bundle-v1.md, sections 7 to 9: which layers a delta may leave out, and what else always travels."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bundler.bundle.composition import check
from bundler.bundle.needs import MAX_PAYLOAD
from bundler.bundle.seal import Kind, Outside
from bundler.errors import BundlerError, Code
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from tests.support.bundles import Bundle, configs_of, content_of, documents_of
from tests.support.layouts import FOREIGN_LAYER, PLAIN_LAYER, SBOM, Content

REPOSITORY = "registry.example/app"
APP = f"{REPOSITORY}:v1"


def two_layers(content: Content) -> Document:
    return content.image(layers=[content.blob(b"as before", PLAIN_LAYER), content.blob(b"changed", PLAIN_LAYER)])


def test_a_layer_elsewhere_is_listed_and_is_not_a_member() -> None:
    content = Content()
    image = two_layers(content)
    whole, delta = Bundle.of(content, {APP: image}), Bundle.of(content, {APP: image}, elsewhere=[image.blobs[1].digest])
    assert delta.seal.elsewhere == (Outside(Digest.of(b"as before"), PLAIN_LAYER, 9),)
    assert delta.seal.members[3:] == tuple(m for m in whole.seal.members[3:] if m.digest != Digest.of(b"as before"))
    assert delta.files["index.json"] == whole.files["index.json"]
    assert (len(json.loads(whole.files["manifest.json"])), delta.files["manifest.json"]) == (1, b"[]")
    check(delta.seal, documents_of(content), configs_of(content))


def test_a_delta_reads_as_it_was_written_and_says_how_much_it_leaves_out(tmp_path: Path) -> None:
    content = Content()
    image = two_layers(content)
    Bundle.of(content, {APP: image}, elsewhere=[image.blobs[1].digest]).write(tmp_path / "delta")
    with content_of(tmp_path / "delta") as read:
        assert (read.size_elsewhere, read.size_of_blobs) == (9, 7)
        assert read.verify().passed
        read.check_derived()
        assert not read.has(image.blobs[1].digest)


def test_layers_elsewhere_are_in_the_order_in_which_they_are_met() -> None:
    content = Content()
    one, two = two_layers(content), content.image("two", layers=[content.blob(b"other", PLAIN_LAYER)])
    layers = [layer.digest for layer in (*one.blobs[1:], two.blobs[1])]
    delta = Bundle.of(content, {APP: one, f"{REPOSITORY}:two": two}, elsewhere=reversed(layers))
    assert [each.digest for each in delta.seal.elsewhere] == layers


def test_an_image_that_is_whole_is_listed_for_docker_beside_one_that_is_not() -> None:
    content = Content()
    one, two = two_layers(content), content.image("two")
    delta = Bundle.of(content, {APP: one, f"{REPOSITORY}:two": two}, elsewhere=[one.blobs[1].digest])
    assert [each["RepoTags"] for each in json.loads(delta.files["manifest.json"])] == [[f"{REPOSITORY}:two"]]


def test_what_is_read_to_judge_an_image_is_a_member_wherever_else_it_lies() -> None:
    content = Content()
    image = content.image("image", layers=[content.blob(b"payload", PLAIN_LAYER)])
    content.sig(image.digest, (b"payload", b"signature"))
    large = content.blob(bytes(MAX_PAYLOAD + 1), SBOM)
    content.manifest(content.blob(b"{}", mediatype.EMPTY), [large], subject=image)
    built = content.with_buildkit("built")
    other = content.blob(b"<x/>", "application/xml")
    listed = content.document({"mediaType": mediatype.OCI_INDEX, "manifests": [image.descriptor.to_json(), other.to_json()]})
    images = {APP: image, f"{REPOSITORY}:built": built, f"{REPOSITORY}:listed": listed}
    whole = Bundle.of(content, images)
    delta = Bundle.of(content, images, elsewhere=[member.digest for member in whole.seal.members[3:]])
    left = {each.digest for each in delta.seal.elsewhere}
    attesting = [content.documents[child.digest] for child in built.children if child.platform and child.platform.os == "unknown"]
    assert left
    assert attesting
    for digest in (Digest.of(b"payload"), large.digest, other.digest, *(blob.digest for each in attesting for blob in each.blobs)):
        assert digest not in left
    assert {member.kind for member in whole.seal.members if member.digest in left} == {Kind.BLOB}
    check(delta.seal, documents_of(content), configs_of(content))


def test_a_foreign_layer_that_one_image_brings_may_lie_elsewhere_for_both() -> None:
    content = Content()
    foreign = Descriptor(FOREIGN_LAYER, Digest.of(b"vendor"), 6)
    one, two = content.image(layers=[foreign]), content.image("two", layers=[replace(foreign, media_type=PLAIN_LAYER)])
    content.blobs[foreign.digest] = b"vendor"
    images = {APP: one, f"{REPOSITORY}:two": two}
    delta = Bundle.of(content, images, absent=[foreign.digest], elsewhere=[foreign.digest])
    assert (delta.seal.left_out, delta.seal.elsewhere) == ((), (Outside(foreign.digest, FOREIGN_LAYER, 6),))
    check(delta.seal, documents_of(content), configs_of(content))


def test_a_seal_that_says_of_something_else_that_it_lies_elsewhere_is_refused() -> None:
    content = Content()
    image = two_layers(content)
    sig = content.sig(image.digest, (b"payload", b"signature"))
    seal = Bundle.of(content, {APP: image}, elsewhere=[blob.digest for blob in image.blobs[1:]]).seal
    one, two = seal.elsewhere
    document, config = (Outside(each.digest, each.media_type, each.size) for each in (sig.descriptor, image.blobs[0]))

    def refused(*elsewhere: Outside) -> Code:
        gone = {each.digest for each in elsewhere}
        members = tuple(member for member in seal.members if member.digest not in gone)
        with pytest.raises(BundlerError) as caught:
            check(replace(seal, elsewhere=elsewhere, members=members), documents_of(content), configs_of(content))
        return caught.value.code

    assert refused(one, two, document) is Code.FORMAT_SEAL
    assert refused(one, two, config) is Code.FORMAT_SEAL
    assert refused(one, two, Outside(Digest.of(b"payload"), mediatype.SIMPLE_SIGNING, 7)) is Code.FORMAT_SEAL
    assert refused(one, two, Outside(Digest.of(b"nobody's"), PLAIN_LAYER, 8)) is Code.FORMAT_SEAL
    assert refused(two, one) is Code.FORMAT_SEAL
    assert refused(replace(one, media_type="text/plain"), two) is Code.FORMAT_SEAL
    assert refused(replace(one, size=10), two) is Code.CONTENT_SIZE
    assert refused(one) is Code.CONTENT_MISSING
