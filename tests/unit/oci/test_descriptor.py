"""Descriptors and platforms (image-spec, descriptor.md and image-index.md; IDX-054 to -096 and MAN-006 to -040 of the catalogue)."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.errors import BundlerError, Code, FormatError, IntegrityError
from bundler.oci import mediatype
from bundler.oci.descriptor import MAX_SIZE, Descriptor, Platform
from bundler.oci.digest import Digest
from tests.support.cases import each

DIGEST = str(Digest.of(b"layer"))
LEAST = {"mediaType": mediatype.OCI_MANIFEST, "digest": DIGEST, "size": 5}
FULL = {
    **LEAST,
    "artifactType": "application/x.sbom",
    "annotations": {"org.example.a": "b\nc"},
    "platform": {"architecture": "arm64", "os": "linux", "variant": "v8", "os.version": "10.0", "os.features": ["x"]},
    "urls": ["https://example.com/layer"],
}


def refused(value: Any) -> BundlerError:
    with pytest.raises(BundlerError) as raised:
        Descriptor.from_json(value)
    assert len(str(raised.value)) < 400
    return raised.value


@pytest.mark.parametrize("value", [LEAST, FULL])
def test_a_descriptor_is_written_as_it_was_read(value: dict[str, Any]) -> None:
    assert Descriptor.from_json(value).to_json() == value


@pytest.mark.parametrize("name", ["artifactType", "annotations", "platform", "urls", "data"])
def test_null_is_as_good_as_absent(name: str) -> None:
    assert Descriptor.from_json({**LEAST, name: None}) == Descriptor.from_json(LEAST)


def test_what_the_specification_does_not_name_is_let_through() -> None:
    assert Descriptor.from_json({**LEAST, "newInVersionTwo": [1]}) == Descriptor.from_json(LEAST)


@each(
    ("change", "code"),
    [
        pytest.param({"digest": None}, Code.FORMAT_MANIFEST, id="IDX-057 no digest"),
        pytest.param({"digest": ""}, Code.FORMAT_MANIFEST, id="IDX-070 an empty digest"),
        pytest.param({"digest": 5}, Code.FORMAT_MANIFEST, id="IDX-087 a number as digest"),
        pytest.param({"digest": "sha256:../../x"}, Code.FORMAT_DIGEST, id="MAN-016, MAN-035 a path as digest"),
        pytest.param({"digest": "md5:8c15fd63ec90354bf70ded40afbc6dd2"}, Code.FORMAT_DIGEST, id="MAN-036 md5"),
        pytest.param({"size": None}, Code.FORMAT_MANIFEST, id="IDX-058, IDX-068 no size"),
        pytest.param({"size": -1}, Code.FORMAT_MANIFEST, id="IDX-060"),
        pytest.param({"size": 400.0}, Code.FORMAT_MANIFEST, id="IDX-061, MAN-040"),
        pytest.param({"size": True}, Code.FORMAT_MANIFEST, id="IDX-062"),
        pytest.param({"size": "400"}, Code.FORMAT_MANIFEST, id="IDX-063"),
        pytest.param({"size": 1 << 63}, Code.FORMAT_MANIFEST, id="IDX-064"),
        pytest.param({"size": 1 << 62}, Code.FORMAT_MANIFEST, id="MAN-008"),
        pytest.param({"size": MAX_SIZE + 1}, Code.FORMAT_MANIFEST, id="more than JSON numbers say exactly"),
        pytest.param({"size": [400]}, Code.FORMAT_MANIFEST, id="IDX-069"),
        pytest.param({"mediaType": None}, Code.FORMAT_MANIFEST, id="IDX-059 no media type"),
        pytest.param({"mediaType": ""}, Code.FORMAT_MANIFEST, id="an empty media type"),
        pytest.param({"mediaType": "a/b\nx-evil: 1"}, Code.FORMAT_MEDIA_TYPE, id="MAN-037 a header in the media type"),
        pytest.param({"mediaType": "a/b\r\n"}, Code.FORMAT_MEDIA_TYPE, id="MAN-038 a line end behind it"),
        pytest.param({"mediaType": " a/b"}, Code.FORMAT_MEDIA_TYPE, id="a space before it"),
        pytest.param({"mediaType": "a/é"}, Code.FORMAT_MEDIA_TYPE, id="not ASCII"),
        pytest.param({"mediaType": "a/" + "b" * 300}, Code.FORMAT_MEDIA_TYPE, id="too long"),
        pytest.param({"artifactType": "a\x1b[31m"}, Code.FORMAT_MEDIA_TYPE, id="MAN-039 an escape in the artifact type"),
        pytest.param({"artifactType": "a\nb"}, Code.FORMAT_MEDIA_TYPE, id="a line end in the artifact type"),
        pytest.param({"artifactType": 5}, Code.FORMAT_MANIFEST, id="a number as artifact type"),
        pytest.param({"annotations": {"ref": 5}}, Code.FORMAT_MANIFEST, id="IDX-054"),
        pytest.param({"annotations": {"ref": None}}, Code.FORMAT_MANIFEST, id="null as an annotation"),
        pytest.param({"annotations": []}, Code.FORMAT_MANIFEST, id="IDX-055"),
        pytest.param({"platform": "linux/amd64"}, Code.FORMAT_MANIFEST, id="IDX-096"),
        pytest.param({"platform": {"os": "linux", "architecture": 8}}, Code.FORMAT_MANIFEST, id="a number in a platform"),
        pytest.param({"platform": {"OS": "linux", "architecture": "v8"}}, Code.FORMAT_JSON, id="a platform in another case"),
        pytest.param(
            {"platform": {"os": "linux", "architecture": "amd64", "os.features": "x"}}, Code.FORMAT_MANIFEST, id="features as text"
        ),
        pytest.param({"urls": "https://example.com"}, Code.FORMAT_MANIFEST, id="urls as text"),
        pytest.param({"urls": [5]}, Code.FORMAT_MANIFEST, id="a number as URL"),
        pytest.param({"data": 5}, Code.FORMAT_MANIFEST, id="a number as data"),
        pytest.param({"data": "%%%"}, Code.FORMAT_MANIFEST, id="data that is no base64"),
        pytest.param({"data": "bGF5ZXI=\n"}, Code.FORMAT_MANIFEST, id="data with a line end"),
        pytest.param({"data": "bGF5ZXJ="}, Code.FORMAT_MANIFEST, id="IDX-090 data with bits in its padding"),
        pytest.param({"data": "bGF5ZXI"}, Code.FORMAT_MANIFEST, id="data without padding"),
        pytest.param({"data": "ÄÄÄÄ"}, Code.FORMAT_MANIFEST, id="data that is not ASCII"),
        pytest.param({"Size": 6}, Code.FORMAT_JSON, id="IDX-003 two sizes to Go"),
        pytest.param({"urlS": ["https://example.com"]}, Code.FORMAT_JSON, id="urls to Go, nothing to us"),
    ],
)
def test_a_descriptor_that_is_read_in_two_ways_or_none_is_refused(change: dict[str, Any], code: Code) -> None:
    error = refused({**LEAST, **change})
    assert isinstance(error, FormatError)
    assert error.code is code


@pytest.mark.parametrize("value", [None, [], "sha256:0", 5])
def test_what_is_no_object_is_no_descriptor(value: Any) -> None:
    assert refused(value).code is Code.FORMAT_MANIFEST  # IDX-027


@pytest.mark.parametrize("size", [0, 1, MAX_SIZE])
def test_sizes_reach_from_nothing_to_what_every_parser_reads(size: int) -> None:
    assert Descriptor.from_json({**LEAST, "size": size}).size == size


@pytest.mark.parametrize(
    "media_type", ["application/vnd.dev.sigstore.bundle+json;version=0.2", "text/plain; charset=utf-8", "application/x-evil", "x"]
)
def test_media_types_that_mean_nothing_here_are_let_through(media_type: str) -> None:
    assert Descriptor.from_json({**LEAST, "mediaType": media_type}).media_type == media_type


def test_embedded_content_must_be_what_is_described() -> None:
    """image-spec, descriptor.md, "data": a client may take it instead of the blob."""
    embedded = {**LEAST, "data": base64.b64encode(b"layer").decode()}
    assert Descriptor.from_json(embedded) == Descriptor.from_json(LEAST)
    assert Descriptor.from_json({**LEAST, "data": ""}) == Descriptor.from_json(LEAST)
    error = refused({**embedded, "data": base64.b64encode(b"lager").decode()})  # IDX-089, MAN-027
    assert (type(error), error.code) == (IntegrityError, Code.CONTENT_DIGEST)
    error = refused({**embedded, "size": 6})
    assert (type(error), error.code) == (IntegrityError, Code.CONTENT_SIZE)


def test_embedded_content_is_checked_in_the_algorithm_of_its_digest() -> None:
    digest = str(Digest.of(b"layer", algorithm="sha512"))
    assert Descriptor.from_json({**LEAST, "digest": digest, "data": base64.b64encode(b"layer").decode()}).digest.algorithm == "sha512"


def test_a_descriptor_is_a_value() -> None:
    read = Descriptor.from_json(FULL)
    assert read == Descriptor.from_json(FULL)
    assert hash(read) == hash(Descriptor.from_json(FULL))
    with pytest.raises(TypeError):
        read.annotations["a"] = "b"  # type: ignore[index]


def test_a_descriptor_of_bytes_describes_them() -> None:
    described = Descriptor.of(b"layer", "a/b")
    assert described.to_json() == {"mediaType": "a/b", "digest": DIGEST, "size": 5}
    assert str(described) == DIGEST


@pytest.mark.parametrize("media_type", sorted(mediatype.FOREIGN_LAYERS))
def test_a_foreign_layer_is_known_by_its_media_type(media_type: str) -> None:
    assert Descriptor.of(b"", media_type).foreign
    assert not Descriptor.of(b"", "application/vnd.oci.image.layer.v1.tar").foreign


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FULL, JSON) | {"data": JSON}))
def test_any_members_end_in_a_descriptor_or_in_our_error(changes: dict[str, Any]) -> None:
    try:
        read = Descriptor.from_json({**FULL, **changes})
    except (FormatError, IntegrityError):
        return
    assert Descriptor.from_json(read.to_json()) == read


# Platforms


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7", "windows/amd64", "unknown/unknown", "linux/x86_64"])
def test_a_platform_is_its_text(text: str) -> None:
    assert str(Platform.parse(text)) == text


@each(
    "text",
    [
        "",
        "linux",
        "linux/",
        "/amd64",
        "linux/arm/",
        "linux/arm/v7/x",
        "linux//v7",
        "linux/amd64\n",
        " linux/amd64",
        "linux/amd64,linux/arm64",
    ],
)
def test_nothing_else_is_a_platform(text: str) -> None:
    with pytest.raises(FormatError) as raised:
        Platform.parse(text)
    assert (raised.value.code, raised.value.wanted) == (Code.FORMAT_PLATFORM, "OS/ARCH[/VARIANT]")


@each(
    ("asked", "there", "covered"),
    [
        ("linux/arm64", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm/v7", "linux/arm/v7", True),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/arm/v7", "linux/arm", False),
        ("linux/arm64", "linux/amd64", False),
        ("linux/amd64", "windows/amd64", False),
    ],
)
def test_a_platform_without_a_variant_asks_for_any(asked: str, there: str, *, covered: bool) -> None:
    assert Platform.parse(asked).covers(Platform.parse(there)) is covered


def test_a_platform_asks_for_any_version_of_the_system() -> None:
    assert Platform.parse("windows/amd64").covers(Platform("windows", "amd64", os_version="10.0.17763.5936"))


@each(
    "nothing",
    [
        *({}, {"os": "", "architecture": ""}, {"os": None, "architecture": ""}),
        *({"os": "linux"}, {"os": "linux", "architecture": ""}, {"os": "", "architecture": "amd64", "variant": "v8"}),
        *({"os": "linux/arm64", "architecture": "v8"}, {"os": "linux", "architecture": "\x1b[31m"}, {"os": "a b", "architecture": "c"}),
    ],
)
def test_a_platform_without_a_name_is_none(nothing: dict[str, Any]) -> None:
    assert Descriptor.from_json({**LEAST, "platform": nothing}).platform is None
