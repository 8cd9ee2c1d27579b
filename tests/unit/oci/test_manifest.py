"""Documents: one reading or none (CVE-2021-41190, GHSA-qq97-vm5h-rrhg)."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.errors import BundlerError, Code, FormatError, IntegrityError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_CHILDREN, MAX_DOCUMENT, MAX_LAYERS, Document, Index, Manifest
from tests.support.cases import each

CONFIG = Descriptor.of(b"{}", mediatype.OCI_CONFIG)
LAYER = Descriptor.of(b"layer", "application/vnd.oci.image.layer.v1.tar")
CHILD = Descriptor.of(b"child", mediatype.OCI_MANIFEST)

IMAGE: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": mediatype.OCI_MANIFEST,
    "config": CONFIG.to_json(),
    "layers": [LAYER.to_json()],
}
INDEX: dict[str, Any] = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [CHILD.to_json()]}
SCHEMA1: dict[str, Any] = {
    "schemaVersion": 1,
    "name": "app",
    "tag": "1",
    "fsLayers": [{"blobSum": str(LAYER.digest)}],
    "history": [],
    "signatures": [{"protected": "e30"}],
}


def raw_of(members: Any) -> bytes:
    return json.dumps(members).encode()


def without(members: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}


def refused(members: Any, *, media_type: str | None = None) -> BundlerError:
    with pytest.raises(BundlerError) as raised:
        Document.parse(members if isinstance(members, bytes) else raw_of(members), media_type=media_type)
    assert len(str(raised.value)) < 600
    return raised.value


# What they say


def test_an_image_manifest_says_its_config_and_layers() -> None:
    document = Document.parse(raw_of(IMAGE))
    assert isinstance(document.content, Manifest)
    assert document.blobs == (CONFIG, LAYER)
    assert document.children == ()
    assert document.content.is_image
    assert document.subject is None


def test_an_index_says_its_children() -> None:
    document = Document.parse(raw_of(INDEX))
    assert isinstance(document.content, Index)
    assert document.children == (CHILD,)
    assert document.blobs == ()


def test_the_bytes_are_kept_as_they_came() -> None:
    raw = b" " + json.dumps(IMAGE, indent=3).encode() + b"\n"
    document = Document.parse(raw)
    assert document.raw is raw
    assert document.descriptor == Descriptor.of(raw, mediatype.OCI_MANIFEST)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_document_is_checked_against_the_digest_that_was_asked_for(algorithm: str) -> None:
    raw = raw_of(IMAGE)
    asked = Digest.of(raw, algorithm=algorithm)
    assert Document.parse(raw, digest=asked).digest == asked
    with pytest.raises(IntegrityError) as raised:
        Document.parse(raw + b" ", digest=asked)
    assert (raised.value.code, raised.value.wanted) == (Code.CONTENT_DIGEST, str(asked))


def test_other_bytes_than_asked_for_are_not_read_at_all() -> None:
    with pytest.raises(IntegrityError):
        Document.parse(b"no JSON", digest=Digest.of(b"something else"))


@pytest.mark.parametrize("config", [mediatype.EMPTY, "application/vnd.cncf.helm.config.v1+json", mediatype.NOTATION])
def test_what_has_no_image_config_is_no_image(config: str) -> None:
    document = Document.parse(raw_of({**IMAGE, "config": Descriptor.of(b"{}", config).to_json()}))
    assert isinstance(document.content, Manifest)
    assert not document.content.is_image
    assert document.content.kind == config


def test_a_referrer_is_listed_by_its_artifact_type_with_its_annotations() -> None:
    """distribution-spec, "Listing Referrers"."""
    raw = raw_of({**IMAGE, "artifactType": "a/b", "subject": CHILD.to_json(), "annotations": {"x": "y"}})
    document = Document.parse(raw)
    assert document.subject == CHILD
    assert document.as_referrer.to_json() == {
        "mediaType": mediatype.OCI_MANIFEST,
        "digest": str(Digest.of(raw)),
        "size": len(raw),
        "artifactType": "a/b",
        "annotations": {"x": "y"},
    }


def test_a_referrer_without_an_artifact_type_is_listed_by_its_config_and_an_index_by_none() -> None:
    assert Document.parse(raw_of(IMAGE)).as_referrer.artifact_type == mediatype.OCI_CONFIG
    assert Document.parse(raw_of(INDEX)).as_referrer.artifact_type is None
    assert Document.parse(raw_of({**INDEX, "artifactType": "a/b", "subject": CHILD.to_json()})).as_referrer.artifact_type == "a/b"


# Of which kind they are


@each("media_type", sorted(mediatype.MANIFESTS))
@each(("own", "stated"), [(True, True), (True, False), (False, True)])
def test_a_manifest_is_of_the_media_type_that_it_or_its_descriptor_says(media_type: str, *, own: bool, stated: bool) -> None:
    members = {**IMAGE, "mediaType": media_type} if own else without(IMAGE, "mediaType")
    assert Document.parse(raw_of(members), media_type=media_type if stated else None).descriptor.media_type == media_type


@each("media_type", sorted(mediatype.INDEXES))
@each(("own", "stated"), [(True, True), (True, False), (False, True)])
def test_an_index_is_of_the_media_type_that_it_or_its_descriptor_says(media_type: str, *, own: bool, stated: bool) -> None:
    members = {**INDEX, "mediaType": media_type} if own else without(INDEX, "mediaType")
    assert Document.parse(raw_of(members), media_type=media_type if stated else None).descriptor.media_type == media_type


def test_where_nobody_says_the_media_type_the_shape_does() -> None:
    assert Document.parse(raw_of(without(IMAGE, "mediaType"))).descriptor.media_type == mediatype.OCI_MANIFEST
    assert Document.parse(raw_of(without(INDEX, "mediaType"))).descriptor.media_type == mediatype.OCI_INDEX


@each("members", [IMAGE, INDEX])
@each(
    ("own", "stated"),
    [
        pytest.param(mediatype.OCI_MANIFEST, mediatype.DOCKER_MANIFEST, id="another manifest"),
        pytest.param(mediatype.OCI_INDEX, mediatype.DOCKER_INDEX, id="another index"),
        pytest.param(mediatype.OCI_INDEX, mediatype.OCI_MANIFEST, id="IDX-095"),
        pytest.param(mediatype.OCI_MANIFEST, mediatype.OCI_INDEX, id="IDX-034, MAN-002"),
        pytest.param(None, "application/x-evil", id="IDX-091"),
        pytest.param(None, mediatype.OCI_MANIFEST + "; charset=utf-8", id="IDX-092"),
        pytest.param(None, mediatype.OCI_INDEX.upper(), id="IDX-093"),
        pytest.param("application/json", None, id="any JSON"),
        pytest.param(mediatype.OCI_MANIFEST + "\r\nx: y", None, id="MAN-038"),
        pytest.param("application/vnd.oci.artifact.manifest.v1+json", None, id="the artifact manifest that never came"),
    ],
)
def test_a_media_type_that_contradicts_is_refused(members: dict[str, Any], own: str | None, stated: str | None) -> None:
    error = refused({**members, "mediaType": own}, media_type=stated)
    assert isinstance(error, FormatError)
    assert error.code is Code.FORMAT_MEDIA_TYPE


@pytest.mark.parametrize(
    ("members", "media_type"),
    [(IMAGE, media_type) for media_type in sorted(mediatype.INDEXES)] + [(INDEX, media_type) for media_type in sorted(mediatype.MANIFESTS)],
)
def test_the_shape_must_be_that_of_the_media_type(members: dict[str, Any], media_type: str) -> None:
    assert refused({**members, "mediaType": media_type}).code is Code.FORMAT_MEDIA_TYPE
    assert refused(without(members, "mediaType"), media_type=media_type).code is Code.FORMAT_MEDIA_TYPE


@each(
    "members",
    [
        pytest.param({**IMAGE, "manifests": []}, id="MAN-001 an image with manifests"),
        pytest.param({**INDEX, "layers": []}, id="IDX-035 an index with layers"),
        pytest.param({**INDEX, "config": CONFIG.to_json()}, id="an index with a config"),
        pytest.param({**INDEX, **IMAGE}, id="both at once"),
        pytest.param({**IMAGE, "signatures": []}, id="an image with signatures, as schema 1 has"),
        pytest.param({**INDEX, "signatures": {}}, id="an index with signatures"),
        pytest.param(without(IMAGE, "config"), id="MAN-012"),
        pytest.param({**IMAGE, "config": None}, id="config null"),
        pytest.param(without(IMAGE, "layers"), id="no layers"),
        pytest.param({**IMAGE, "layers": None}, id="MAN-013"),
        pytest.param(without(INDEX, "manifests"), id="IDX-026"),
        pytest.param({**INDEX, "manifests": None}, id="manifests null"),
        pytest.param({"schemaVersion": 2}, id="nothing"),
        pytest.param({"schemaVersion": 2, "blobs": [LAYER.to_json()]}, id="blobs"),
        pytest.param(without(IMAGE, "schemaVersion"), id="MAN-042"),
        pytest.param({**IMAGE, "schemaVersion": None}, id="IDX-032"),
        pytest.param({**IMAGE, "schemaVersion": 3}, id="IDX-033"),
        pytest.param({**IMAGE, "schemaVersion": "2"}, id="IDX-029"),
        pytest.param({**IMAGE, "schemaVersion": [2]}, id="schemaVersion in a list"),
        pytest.param({**INDEX, "manifests": {}}, id="IDX-025"),
        pytest.param({**INDEX, "manifests": "sha256:0"}, id="manifests as text"),
        pytest.param({**INDEX, "manifests": [str(CHILD.digest)]}, id="IDX-027"),
        pytest.param({**INDEX, "manifests": [None]}, id="a null among the manifests"),
        pytest.param({**IMAGE, "layers": {}}, id="layers as an object"),
        pytest.param({**IMAGE, "config": [CONFIG.to_json()]}, id="config as a list"),
        pytest.param({**IMAGE, "subject": str(CHILD.digest)}, id="subject as text"),
        pytest.param({**IMAGE, "subject": {}}, id="an empty subject"),
        pytest.param({**IMAGE, "artifactType": []}, id="artifact type as a list"),
        pytest.param({**IMAGE, "annotations": {"a": 1}}, id="IDX-054"),
        pytest.param({**IMAGE, "mediaType": 5}, id="a number as media type"),
        pytest.param(None, id="IDX-022"),
        pytest.param([], id="IDX-023"),
        pytest.param("x", id="IDX-024"),
    ],
)
def test_what_is_neither_an_image_nor_an_index_or_both_is_refused(members: Any) -> None:
    error = refused(members)
    assert isinstance(error, FormatError)
    assert error.code is Code.FORMAT_MANIFEST


@each("name", ["manifests", "fsLayers", "signatures", "subject", "artifactType", "annotations"])
def test_null_is_as_good_as_absent_in_an_image(name: str) -> None:
    assert Document.parse(raw_of({**IMAGE, name: None})).content == Document.parse(raw_of(IMAGE)).content


@each("name", ["layers", "config", "fsLayers", "signatures", "subject", "artifactType", "annotations"])
def test_null_is_as_good_as_absent_in_an_index(name: str) -> None:
    assert Document.parse(raw_of({**INDEX, name: None})).content == Document.parse(raw_of(INDEX)).content


@pytest.mark.parametrize("members", [{**IMAGE, "layers": []}, {**INDEX, "manifests": []}])
def test_an_empty_list_is_a_list(members: dict[str, Any]) -> None:
    Document.parse(raw_of(members))  # MAN-041, design section 10


@each("name", ["Manifests", "LAYERS", "Subject", "\u017fubject", "ArtifactType", "fslayers", "Signatures"])
def test_a_member_in_another_case_is_refused_since_go_reads_it_as_the_known_one(name: str) -> None:
    for members in (IMAGE, INDEX):
        assert refused({**without(members, name), name: []}).code is Code.FORMAT_JSON


def test_what_the_specification_does_not_name_is_let_through() -> None:
    Document.parse(raw_of({**IMAGE, "history": [], "newInVersionTwo": {"layers": 1}}))


@each(
    ("members", "media_type"),
    [
        pytest.param(SCHEMA1, None, id="MAN-034"),
        pytest.param(SCHEMA1, "application/vnd.docker.distribution.manifest.v1+prettyjws", id="IDX-094"),
        pytest.param({**IMAGE, "schemaVersion": 1}, None, id="IDX-028"),
        pytest.param({**IMAGE, "schemaVersion": True}, None, id="IDX-031"),
        pytest.param({**IMAGE, "fsLayers": []}, None, id="an image with fsLayers"),
        pytest.param(IMAGE, "application/vnd.docker.distribution.manifest.v1+json", id="stated"),
        pytest.param({**IMAGE, "mediaType": "application/vnd.docker.distribution.manifest.v1+json"}, None, id="own"),
    ],
)
def test_schema_1_is_refused_by_name_with_what_to_do(members: dict[str, Any], media_type: str | None) -> None:
    error = refused(members, media_type=media_type)
    assert (error.code, error.exit) == (Code.FORMAT_SCHEMA1, 3)
    assert "push the image again" in str(error.next)


@each(
    ("text", "code"),
    [
        pytest.param(raw_of(IMAGE).replace(b"2", b"2.0", 1), Code.FORMAT_MANIFEST, id="IDX-030"),
        pytest.param(b"\xef\xbb\xbf" + raw_of(IMAGE), Code.FORMAT_JSON, id="MAN-029"),
        pytest.param(raw_of(IMAGE) * 2, Code.FORMAT_JSON, id="MAN-033"),
        pytest.param(raw_of(IMAGE)[:-1] + b', "layers": []}', Code.FORMAT_JSON, id="MAN-003"),
        pytest.param(raw_of(IMAGE)[:-1] + b', "Layers": []}', Code.FORMAT_JSON, id="MAN-005"),
        pytest.param(raw_of({**IMAGE, "annotations": {"a": "\udfff"}}), Code.FORMAT_JSON, id="MAN-032"),
        pytest.param(raw_of({**IMAGE, "artifactType": "\x1b[31m"}), Code.FORMAT_MEDIA_TYPE, id="MAN-039"),
        pytest.param(b"[" * 100_000, Code.FORMAT_JSON, id="MAN-031"),
        pytest.param(b"", Code.FORMAT_JSON, id="IDX-021"),
    ],
)
def test_json_with_two_readings_is_no_document(text: bytes, code: Code) -> None:
    assert refused(text).code is code


def test_embedded_content_that_lies_is_no_document() -> None:
    lying = {**LAYER.to_json(), "data": base64.b64encode(b"other").decode()}
    error = refused({**IMAGE, "layers": [lying]})  # MAN-027
    assert (error.code, error.exit) == (Code.CONTENT_DIGEST, 4)


# Limits


def test_a_document_of_4_mib_is_read_and_no_larger_one() -> None:
    raw = raw_of(IMAGE)
    Document.parse(raw + b" " * (MAX_DOCUMENT - len(raw)))
    error = refused(raw + b" " * (MAX_DOCUMENT - len(raw) + 1))  # MAN-014
    assert (error.code, error.exit) == (Code.LIMIT_DOCUMENT, 3)


@pytest.mark.parametrize(
    ("members", "name", "limit"), [(IMAGE, "layers", MAX_LAYERS), (INDEX, "manifests", MAX_CHILDREN)], ids=["MAN-011", "IDX-038"]
)
def test_the_number_of_descriptors_is_limited(members: dict[str, Any], name: str, limit: int) -> None:
    least = {"mediaType": mediatype.OCI_MANIFEST, "digest": str(CHILD.digest), "size": 1}
    Document.parse(json.dumps({**members, name: [least] * limit}, separators=(",", ":")).encode())
    error = refused(json.dumps({**members, name: [least] * (limit + 1)}, separators=(",", ":")).encode())
    assert error.code is Code.LIMIT_DOCUMENT


# Any members at all

MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "schemaVersion": st.sampled_from([1, 2, 3, "2", None, True]),
        "mediaType": st.sampled_from([*sorted(mediatype.DOCUMENTS | mediatype.SCHEMA1), "application/json", "", None]),
        "config": st.sampled_from([CONFIG.to_json(), None, {}]),
        "layers": st.sampled_from([[], [LAYER.to_json()], None, {}]),
        "manifests": st.sampled_from([[], [CHILD.to_json()], None, {}]),
        "fsLayers": st.sampled_from([[], None]),
        "signatures": st.sampled_from([[], None]),
        "subject": st.sampled_from([CHILD.to_json(), None, ""]),
    },
)


@given(MEMBERS, st.sampled_from([None, *sorted(mediatype.DOCUMENTS)]))
def test_whatever_is_accepted_is_of_one_kind_by_every_sign(members: dict[str, Any], stated: str | None) -> None:
    try:
        document = Document.parse(raw_of(members), media_type=stated)
    except FormatError:
        return
    kind = document.descriptor.media_type
    is_index = members.get("manifests") is not None
    assert {members.get("mediaType") or kind, stated or kind} == {kind}
    assert is_index == (kind in mediatype.INDEXES) == isinstance(document.content, Index)
    assert is_index != (members.get("layers") is not None and members.get("config") is not None)
    assert members["schemaVersion"] == 2
    assert members.get("fsLayers") is None


# What others wrote into them


@each(
    "members",
    [
        pytest.param({"annotations": {"Maintainer": "a", "maintainer": "b"}}, id="labels in two cases"),
        pytest.param({"annotations": {"description": "a\x1b[1mbold\x1b[0m \b"}}, id="control characters"),
        pytest.param({"unknown": [0.5, {"a": 1, "A": 2}]}, id="a member that nobody reads"),
    ],
)
@each("document", [IMAGE, INDEX])
def test_what_nobody_decides_by_is_carried_as_it_stands(document: dict[str, Any], members: dict[str, Any]) -> None:
    assert Document.parse(raw_of({**document, **members})).content.annotations == members.get("annotations", {})


def test_annotations_of_a_descriptor_are_compared_exactly() -> None:
    child = {**CHILD.to_json(), "annotations": {"A": "1", "a": "2"}}
    [found] = Document.parse(raw_of({**INDEX, "manifests": [child]})).children
    assert found.annotations == {"A": "1", "a": "2"}


@each(
    ("raw", "code"),
    [
        pytest.param(raw_of({**IMAGE, "unknown": 1, "Unknown": 2}), Code.FORMAT_JSON, id="unknown members in two cases"),
        pytest.param(raw_of({**IMAGE, "Annotations": {}}), Code.FORMAT_JSON, id="a member in another case"),
        pytest.param(raw_of({**IMAGE, "config": {**CONFIG.to_json(), "Size": 2}}), Code.FORMAT_JSON, id="a descriptor's in another case"),
        pytest.param(raw_of({**IMAGE, "config": {**CONFIG.to_json(), "size": 2.0}}), Code.FORMAT_MANIFEST, id="a float that is read"),
        pytest.param(raw_of({**IMAGE, "annotations": {"a": 1}}), Code.FORMAT_MANIFEST, id="an annotation that is not text"),
        pytest.param(raw_of(IMAGE)[:-1] + b', "annotations": {"a": "", "a": ""}}', Code.FORMAT_JSON, id="an annotation twice"),
    ],
)
def test_a_document_is_refused_with_its_digest_where_it_could_be_read_in_two_ways(raw: bytes, code: Code) -> None:
    error = refused(raw)
    assert error.code is code
    assert error.what.startswith(f"the manifest {Digest.of(raw)}: ")
