"""SIG: signatures of images in cosign's form, in bundles that whoever may seal has sealed.

Each image has the evidence that the case is about and no other, so its rule is not met, and nothing of the bundle gets in.
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from bundler import strictjson
from bundler.errors import Code
from bundler.oci import mediatype
from bundler.oci.manifest import Document
from tests.support import making
from tests.support.hostile import Cases
from tests.support.layouts import SIGNATURE
from tests.support.making import Parts, Plain

CASES = Cases()
N_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Change = Callable[[bytes], bytes]


def payload_for(image: Document, **critical: Any) -> bytes:
    told = {
        "identity": {"docker-reference": making.REPOSITORY},
        "image": {"docker-manifest-digest": str(image.digest)},
        "type": "cosign container image signature",
    }
    return strictjson.dumps({"critical": told | critical, "optional": None})


def carrying(
    number: str,
    words: str,
    code: Code,
    *,
    payload: Callable[[Document], bytes] = payload_for,
    signature: Change = lambda signature: signature,
    text: Callable[[str], str | None] = lambda text: text,
    stored: Change = lambda payload: payload,
    kind: str = mediatype.SIMPLE_SIGNING,
    by: str = "release",
    count: int = 1,
    annotations: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """An image with a ``.sig`` of which one thing is as no signer makes it."""

    def make() -> Parts:
        plain = Plain()
        image = plain.image("hello")
        signed = payload(image)
        spelt = text(base64.b64encode(signature(making.key(by).sign(signed))).decode())
        layers = [
            replace(
                plain.blob(stored(signed), kind),
                annotations={**annotations} | ({} if spelt is None else {SIGNATURE: spelt if count == 1 else f"{spelt[:-8]}{number:08d}"}),
            )
            for number in range(count)
        ]
        plain.tag(f"{image.digest.tag}.sig", plain.carrier(*layers))
        return plain.parts({making.APP: image})

    CASES.add(f"SIG-{number}", words, code, make)


CASES.vector("SIG-001", "no signature", "image-unsigned")
CASES.vector("SIG-002", "a stranger's signature", "image-other-signer")
carrying("003", "one bit of the signature", Code.KEY_UNKNOWN, signature=lambda s: s[:-1] + bytes([s[-1] ^ 1]))
CASES.vector("SIG-004", "a payload about another image", "image-other-payload")
carrying("005", "a payload that was changed", Code.KEY_UNKNOWN, stored=lambda payload: payload.replace(b"null", b"true"))
carrying("006", "a payload of another type", Code.PAYLOAD_TYPE, payload=lambda image: payload_for(image, type="atomic container signature"))
CASES.elsewhere("SIG-007", "a payload for another repository, where the rule asks for the name", "tests/unit/trust/test_judge.py")
carrying(
    "008",
    "a digest twice in the payload",
    Code.PAYLOAD_MALFORMED,
    payload=lambda image: payload_for(image).replace(b'{"docker-m', b'{"docker-manifest-digest":"sha256:' + b"0" * 64 + b'","docker-m'),
)
carrying("009", "an empty signature", Code.SIGNATURE_MALFORMED, text=lambda _: "")
carrying("010", "no signature in the annotations", Code.SIGNATURE_MALFORMED, text=lambda _: None)
carrying(
    "011",
    "base64 with junk in it",
    Code.SIGNATURE_MALFORMED,
    text=lambda text: "!".join(text[at : at + 8] for at in range(0, len(text), 8)),
)
carrying("012", "base64 with more padding", Code.SIGNATURE_MALFORMED, text=lambda text: text + "====")
carrying("013", "a byte behind the signature", Code.KEY_UNKNOWN, signature=lambda s: s + b"\0")
carrying("014", "r and s are 0", Code.KEY_UNKNOWN, signature=lambda _: encode_dss_signature(0, 0))
carrying(
    "015",
    "r and s side by side",
    Code.KEY_UNKNOWN,
    signature=lambda s: b"".join(part.to_bytes(32, "big") for part in decode_dss_signature(s)),
)
carrying(
    "016",
    "r and n",
    Code.KEY_UNKNOWN,
    signature=lambda s: encode_dss_signature(decode_dss_signature(s)[0] + N_P256, decode_dss_signature(s)[1]),
)
carrying("017", "300 signatures, none of which is valid", Code.KEY_UNKNOWN, count=300)
carrying(
    "018",
    "a stranger's signature, with the stranger's key",
    Code.KEY_UNKNOWN,
    by="stranger",
    annotations={"dev.sigstore.cosign/publicKey": making.key("stranger").pem.decode(), "keyid": "release"},
)
carrying("020", "a payload of 8 MiB", Code.POLICY_THRESHOLD, payload=lambda image: payload_for(image) + b" " * (8 << 20))
carrying("022", "a digest is all that is signed", Code.PAYLOAD_MALFORMED, payload=lambda image: str(image.digest).encode())
carrying("023", "a list is what is signed", Code.PAYLOAD_MALFORMED, payload=lambda _: b'["critical"]')
carrying("026", "a payload that is said to be a file of bytes", Code.CARRIER_OTHER, kind="application/octet-stream")


@CASES.case("SIG-019", "the signature's tag names this image, its payload another", Code.PAYLOAD_DIGEST)
def _() -> Parts:
    plain = Plain()
    image, other = plain.image("hello"), plain.signed(plain.image("other"))
    plain.tag(f"{image.digest.tag}.sig", plain.tags[f"{other.digest.tag}.sig"])
    return plain.parts({making.APP: image, f"{making.REPOSITORY}:other": other})


CASES.vector("SIG-021", "the payload is not there", "member-signature-missing")


@CASES.case("SIG-024", "the name of a signed image for another one", Code.SIGNATURE_MISSING)
def _() -> Parts:
    plain = Plain()
    signed, other = plain.signed(plain.image("hello")), plain.image("other")
    return plain.parts({making.APP: other, f"{making.REPOSITORY}:signed": signed})


@CASES.case("SIG-025", "one of two images has no signature", Code.SIGNATURE_MISSING)
def _() -> Parts:
    plain = Plain()
    return plain.parts({making.APP: plain.signed(plain.image("hello")), f"{making.REPOSITORY}:v2": plain.image("other")})


def carrier_saying(edit: Callable[[list[dict[str, Any]]], object]) -> Parts:
    """A signed image, of which the manifest that lists its signatures was edited."""
    plain = Plain()
    image = plain.signed(plain.image("hello"))
    old = plain.tags[f"{image.digest.tag}.sig"]
    carrier = json.loads(old.raw)
    edit(carrier["layers"])
    raw = strictjson.dumps(carrier)
    return plain.parts({making.APP: image}).naming(raw, for_=old.digest).indexing(1, size=len(raw))


CASES.add("SIG-017", "5,000 signatures", Code.LIMIT_DOCUMENT, lambda: carrier_saying(lambda layers: layers.extend(layers * 5_000)))
CASES.add(
    "SIG-021", "a payload that is said to be longer", Code.CONTENT_SIZE, lambda: carrier_saying(lambda layers: layers[0].update(size=4096))
)
