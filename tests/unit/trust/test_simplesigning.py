"""Simple signing payloads (SIG cases of docs/hostile-cases.md)."""

import json
from typing import Any

import pytest

from bundler import strictjson
from bundler.errors import BundlerError, Code
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.trust import simplesigning
from bundler.trust.simplesigning import MAX_PAYLOAD, SIGNATURE, SimpleSigning
from bundler.trust.unverified import Layer
from tests.support.cases import each
from tests.support.layouts import Content
from tests.support.signing import P256, REPOSITORY, b64, payload, signed

IMAGE = Content().image()


def layer(raw: bytes, annotations: dict[str, str] | None = None) -> Layer:
    told = {SIGNATURE: b64(P256.sign(raw))} if annotations is None else annotations
    described = Descriptor.of(raw, mediatype.SIMPLE_SIGNING)
    return Layer(Descriptor(described.media_type, described.digest, described.size, annotations=told), raw, IMAGE, IMAGE)


def code(raw: bytes, annotations: dict[str, str] | None = None) -> Code | None:
    try:
        SimpleSigning.read(layer(raw, annotations)).claim()
    except BundlerError as error:
        return error.code
    return None


def made(critical: Any = ..., optional: Any = ..., **more: Any) -> bytes:
    value = json.loads(payload(IMAGE))
    parts = {"critical": value["critical"] if critical is ... else critical, "optional": optional, **more}
    return json.dumps({name: part for name, part in parts.items() if part is not ...}).encode()


def critical(**members: Any) -> Any:
    value = json.loads(payload(IMAGE))["critical"] | members
    return {name: member for name, member in value.items() if member is not ...}


def test_a_payload_names_the_image_and_its_repository() -> None:
    offer = SimpleSigning.read(layer(payload(IMAGE)))
    assert (offer.claim().names, offer.claim().predicate_type) == (REPOSITORY, None)
    P256.public.verify(offer.signature, offer.signed)


def test_what_we_sign_reads_as_what_cosign_signs() -> None:
    raw = simplesigning.payload(repository=REPOSITORY, digest=IMAGE.digest, annotations={})
    assert raw == payload(IMAGE)


def test_annotations_are_signed_with_it() -> None:
    raw = simplesigning.payload(repository=REPOSITORY, digest=IMAGE.digest, annotations={"build": "7"})
    assert strictjson.loads(raw, limit=1000)["optional"] == {"build": "7"}
    assert code(raw) is None


@pytest.mark.parametrize("optional", [..., None, {}, {"creator": "x", "timestamp": 1458239713, "share": 8.314, "a": {"A": [], "a": None}}])
def test_a1_11_what_is_optional_is_anything(optional: Any) -> None:
    assert code(made(optional=optional)) is None


@each(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(str(IMAGE.digest).encode(), id="SIG-022 the digest alone"),
        pytest.param(b'["critical"]', id="SIG-023 a list"),
        pytest.param(b"null", id="null"),
        pytest.param(made(None), id="critical is null"),
        pytest.param(made([]), id="critical is a list"),
        pytest.param(made(critical(extra=1)), id="more in critical"),
        pytest.param(made(critical(type=...)), id="no type"),
        pytest.param(made(critical(type=1)), id="a type that is no string"),
        pytest.param(made(critical(identity=...)), id="no identity"),
        pytest.param(made(critical(identity={})), id="an empty identity"),
        pytest.param(made(critical(identity={"docker-reference": 1})), id="a reference that is no string"),
        pytest.param(made(critical(identity={"docker-reference": "a", "b": 1})), id="more in identity"),
        pytest.param(made(critical(image=...)), id="no image"),
        pytest.param(made(critical(image={})), id="an empty image"),
        pytest.param(made(critical(image={"docker-manifest-digest": 1})), id="a digest that is no string"),
        pytest.param(made(critical(image={"docker-manifest-digest": str(IMAGE.digest), "b": 1})), id="more in image"),
        pytest.param(made(critical(image={"docker-manifest-digest": f"sha256:{IMAGE.digest.encoded.upper()}"})), id="upper case"),
        pytest.param(made(critical(image={"docker-manifest-digest": "sha256:../../x"})), id="CVE-2024-3727"),
        pytest.param(made(critical(image={"docker-manifest-digest": IMAGE.digest.encoded})), id="no algorithm"),
        pytest.param(made(optional=1), id="optional is a number"),
        pytest.param(made(more=1), id="more beside critical"),
        pytest.param(made(Critical={}), id="61 critical and Critical"),
        pytest.param(payload(IMAGE).replace(b'"critical"', b'"Critical"'), id="A1-12 the capitals of 2021"),
        pytest.param(payload(IMAGE).replace(b'{"critical"', b'{"critical":{},"critical"'), id="61 critical twice"),
        pytest.param(
            payload(IMAGE).replace(b'{"docker-m', b'{"docker-manifest-digest":"sha256:' + b"0" * 64 + b'","docker-m'), id="SIG-008"
        ),
        pytest.param(payload(IMAGE) + b"x", id="something behind it"),
    ],
)
def test_a1_9_a_payload_of_another_form(raw: bytes) -> None:
    assert code(raw) is Code.PAYLOAD_MALFORMED


@pytest.mark.parametrize(
    "kind", ["atomic container signature", "", "Cosign container image signature", "cosign container image signature "]
)
def test_sig_006_a_payload_of_another_type(kind: str) -> None:
    assert code(payload(IMAGE, kind=kind)) is Code.PAYLOAD_TYPE


def test_sig_004_a_payload_about_another_image() -> None:
    assert code(payload(Content().image("another"))) is Code.PAYLOAD_DIGEST


def test_a_payload_may_give_another_digest_of_the_same_bytes() -> None:
    assert code(payload(str(IMAGE.digest.of(IMAGE.raw, algorithm="sha512")))) is None
    assert code(payload(f"sha512:{'0' * 128}")) is Code.PAYLOAD_DIGEST


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="SIG-010 none"),
        pytest.param("", id="SIG-009 empty"),
        pytest.param("!" + b64(signed(IMAGE)[1]), id="SIG-011 junk"),
        pytest.param(b64(signed(IMAGE)[1]) + "====", id="SIG-012 more padding"),
        pytest.param("--__", id="the URL alphabet"),
    ],
)
def test_a1_3_a_signature_that_is_no_base64(text: str | None) -> None:
    assert code(payload(IMAGE), {} if text is None else {SIGNATURE: text}) is Code.SIGNATURE_MALFORMED


def test_sig_020_a_payload_over_its_limit_is_not_read() -> None:
    raw = payload(IMAGE)
    assert code(raw + b" " * (MAX_PAYLOAD - len(raw))) is None
    assert code(raw + b" " * (MAX_PAYLOAD - len(raw) + 1)) is Code.LIMIT_EVIDENCE
