"""Evidence cut and changed at every place: it proves nothing, or the very same, and ends in no error but ours."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import pytest

from bundler.errors import BundlerError
from bundler.trust.der import Element
from bundler.trust.keys import Signed
from bundler.trust.rfc3161 import TimestampToken
from bundler.trust.sigstore.bundle import SigstoreBundle
from bundler.trust.sigstore.entry import Entry
from bundler.trust.sigstore.root import TrustedRoot
from bundler.trust.sigstore.steps import ProvedTime, Thresholds, prove_by_certificate
from bundler.trust.x509 import Certificate
from tests.support import cms
from tests.support.trials import ROOT, WORLD
from tests.support.world import AT, ISSUER, Signature, b64, canonical

T = TypeVar("T")
NAMES = {"8": ISSUER, "12": "https://forge.example/team/app", "20": "push"}
SIGNED = WORLD.signed(leaf=WORLD.leaf(claims=NAMES))
ATTESTED = WORLD.attested(b'{"_type":"https://in-toto.io/Statement/v1"}')


def bundle(signed: Signature, *, version: str = "0.3") -> bytes:
    material = {
        "tlogEntries": [signed.entry(), signed.tile()] if version == "0.3" else [signed.entry()],
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": b64(signed.stamp())}]},
    }
    if version == "0.3":
        material["certificate"] = {"rawBytes": b64(signed.leaf.der)}
    else:
        material["x509CertificateChain"] = {"certificates": [{"rawBytes": b64(c.der)} for c in (signed.leaf, WORLD.intermediate, WORLD.ca)]}
    content: dict[str, object] = {"messageSignature": {"signature": b64(signed.signature)}}
    if signed.payload is not None:
        signature = {"payload": b64(signed.payload), "payloadType": signed.payload_type, "signatures": [{"sig": b64(signed.signature)}]}
        content = {"dsseEnvelope": signature}
    return canonical(
        {"mediaType": f"application/vnd.dev.sigstore.bundle+json;version={version}", "verificationMaterial": material, **content}
    )


Proved = tuple[object, set[ProvedTime]]


def of_bundle(signed: Signature) -> Callable[[bytes], Proved]:
    def prove(raw: bytes) -> Proved:
        read = SigstoreBundle.parse(raw)
        proof = prove_by_certificate(read.item(Signed(signed.message)), ROOT, Thresholds())
        return (str(proof.identity), read.content.signature), set(proof.times)

    return prove


def of_annotation(raw: bytes) -> Proved:
    proof = prove_by_certificate(replace(SIGNED.item([]), entries=(Entry.of_annotation(raw),)), ROOT, Thresholds())
    return str(proof.identity), set(proof.times)


def of_token(raw: bytes) -> Proved:
    stamp = TimestampToken.parse_response(raw).verified((SIGNED.signature,), ROOT.timestamp_authorities)
    return [c.der for c in stamp.chain], {ProvedTime(stamp.time, stamp.authority.name)}


def of_certificate(raw: bytes) -> Proved:
    item = replace(SIGNED.item([], [SIGNED.stamp()]), certificate=Certificate.parse(raw))
    proof = prove_by_certificate(item, ROOT, Thresholds(log=0))
    return str(proof.identity), set(proof.times)


TOKEN = cms.response(cms.token(cms.tst_info(SIGNED.signature, AT), WORLD.tsa.key, WORLD.tsa.certificate, embedded=[WORLD.tsa.certificate]))
FORMATS: dict[str, tuple[bytes, Callable[[bytes], Proved]]] = {
    "bundle 0.3": (bundle(SIGNED), of_bundle(SIGNED)),
    "bundle 0.1": (bundle(SIGNED, version="0.1"), of_bundle(SIGNED)),
    "bundle of an envelope": (bundle(ATTESTED), of_bundle(ATTESTED)),
    "annotation": (SIGNED.annotation(), of_annotation),
    "timestamp": (TOKEN, of_token),
    "certificate": (SIGNED.leaf.der, of_certificate),
}


def judged(prove: Callable[[bytes], T], raw: bytes) -> T | None:
    """What is proved; None where nothing is, and no other error than ours ends it."""
    try:
        return prove(raw)
    except BundlerError:
        return None


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_cut_proves_nothing(name: str) -> None:
    raw, prove = FORMATS[name]
    assert judged(prove, raw) is not None
    step = max(1, len(raw) // 1500)
    assert not any(judged(prove, raw[:length]) for length in range(1, len(raw), step))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
@pytest.mark.parametrize("name", FORMATS)
def test_what_is_changed_proves_nothing_or_the_very_same(name: str, part: int) -> None:
    """10,000 changes of each: a bit, a byte, a byte more, a byte less, a piece from elsewhere.

    What is no longer of a known log or authority counts for nothing, so that times may be fewer, and never others.
    """
    raw, prove = FORMATS[name]
    who, times = prove(raw)
    chance = random.Random(part)  # noqa: S311 - the same bytes every time
    for _ in range(1_000):
        place, other = chance.randrange(len(raw)), chance.randrange(len(raw))
        changed = chance.choice(
            (
                raw[:place] + bytes([raw[place] ^ 1 << chance.randrange(8)]) + raw[place + 1 :],
                raw[:place] + chance.randbytes(1) + raw[place + 1 :],
                raw[:place] + chance.randbytes(1) + raw[place:],
                raw[:place] + raw[place + 1 :],
                raw[:place] + raw[other : other + 8] + raw[place + 8 :],
            )
        )
        found = judged(prove, changed)
        assert found is None or (found[0] == who and found[1] <= times)


@pytest.mark.parametrize("part", range(2))
def test_a_changed_root_is_a_root_or_our_error(part: int) -> None:
    raw = canonical(WORLD.root_json())
    chance = random.Random(part)  # noqa: S311 - the same bytes every time
    for _ in range(1_000):
        place = chance.randrange(len(raw))
        changed = raw[:place] + chance.randbytes(1) + raw[place + 1 :]
        assert judged(TrustedRoot.parse, changed) is None or len(TrustedRoot.parse(changed).left_out) < 8


def test_every_element_of_a_timestamp_made_longer_is_refused() -> None:
    """An element that says to be longer than what holds it, at every place where one stands."""

    def places(element: Element, start: int) -> list[int]:
        found = [start]
        at = start + len(element.raw) - len(element.content)
        if element.tag & 0x20:
            for item in element.items().rest():
                found += places(item, at)
                at += len(item.raw)
        return found

    for place in places(Element.parse(TOKEN), 0):
        assert judged(of_token, TOKEN[: place + 1] + b"\x84\xff\xff\xff\xff" + TOKEN[place + 2 :]) is None
        assert judged(of_token, TOKEN[: place + 1] + b"\x80" + TOKEN[place + 2 :]) is None
