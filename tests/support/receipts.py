"""Receipts to test with, and the vectors of docs/spec/receipt-v1.md."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from bundler import strictjson
from bundler.ledger import receipttext
from bundler.ledger.reading import Held
from bundler.ledger.receipt import BlobRecord, BundleRecord, ImageRecord, Outcome, Receipt, SignerRecord, Subject
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.trust.dsse import Envelope, pae
from bundler.trust.statement import PAYLOAD_TYPE
from tests.support.signing import Key

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
STATION, STRANGER = Key.of("p256", 31), Key.of("p256", 32)


def digest(what: str) -> Digest:
    return Digest.of(what.encode())


SEALED_BY_NOBODY = Receipt(
    station="plant-7",
    time=AT,
    version="1.0.0",
    outcome=Outcome.REFUSED,
    reasons=("seal.signature",),
    subjects={Subject.SEAL: digest("seal.json")},
    trust=digest("trust"),
    serial=3,
)

APP = ImageRecord(
    reference=Reference.parse("registry.example/app:v1"),
    digest=digest("app"),
    destination=Reference("plant:5000", "mirror/app", "v1"),
    state="new",
    rule="registry.example/**",
    signers=(
        SignerRecord("identity", "https://ci.example/build", "bundle", None),
        SignerRecord("key", f"{digest('key')}", "sig", "release"),
    ),
    times=(datetime(2026, 11, 1, 8, tzinfo=UTC),),
)

ACCEPTED = replace(
    SEALED_BY_NOBODY,
    floor=datetime(2026, 11, 20, tzinfo=UTC),
    outcome=Outcome.ACCEPTED,
    reasons=(),
    subjects={Subject.INDEX: digest("index.json"), Subject.SEAL: digest("seal.json")},
    bundle=BundleRecord(
        identity=digest("payload"),
        stream="platform",
        sequence=7,
        previous=digest("six"),
        created=datetime(2026, 11, 20, tzinfo=UTC),
        expires=datetime(2026, 12, 20, tzinfo=UTC),
    ),
    registry="plant:5000/mirror",
    images=(APP,),
    blobs=BlobRecord(sent=1, there=1, bytes=2048, left=(digest("foreign"),)),
    held={"plant:5000/mirror/app": tuple(sorted((Held(digest("config"), 179), Held(digest("layer"), 2048))))},
    previous=digest("receipt six"),
)

OTHER = ImageRecord(
    reference=Reference.parse("registry.example/other:v1"),
    digest=digest("other"),
    destination=None,
    state=None,
    rule="registry.example/**",
    reasons=("policy.threshold", "signature.missing"),
)
PARTLY = replace(ACCEPTED, outcome=Outcome.PARTLY, subjects=SEALED_BY_NOBODY.subjects, images=(APP, OTHER))
REPEAT = replace(ACCEPTED, outcome=Outcome.REPEAT, images=(replace(APP, state="same"),))
REFUSED = replace(
    ACCEPTED,
    outcome=Outcome.REFUSED,
    reasons=("policy.threshold", "signature.missing"),
    subjects=SEALED_BY_NOBODY.subjects,
    registry=None,
    images=(replace(APP, destination=None, state=None), OTHER),
    blobs=BlobRecord(left=ACCEPTED.blobs.left),
    held={},
)
VALID = {
    "accepted": ACCEPTED,
    "repeat": REPEAT,
    "partly": PARTLY,
    "refused": REFUSED,
    "sealed-by-nobody": SEALED_BY_NOBODY,
}


def large(count: int) -> Receipt:
    """Of so many images, each of five blobs, with names as long as real ones."""
    images = tuple(
        ImageRecord(
            reference=Reference("registry.example", f"team/application-{number}", "v1"),
            digest=digest(f"{number}"),
            destination=Reference("registry.plant.example", f"mirror/registry.example/team/application-{number}", "v1"),
            state="new",
            rule="registry.example/**",
            signers=(SignerRecord("key", str(digest("key")), "sig", "release"),),
            times=(datetime(2026, 11, 1, tzinfo=UTC),),
        )
        for number in range(count)
    )
    held = {
        f"registry.plant.example/mirror/registry.example/team/application-{number}": tuple(
            sorted(Held(digest(f"{number} {blob}"), 12345678) for blob in range(5))
        )
        for number in range(count)
    }
    return replace(ACCEPTED, images=images, held=held)


def sign(data: bytes, *, key: Key = STATION) -> bytes:
    return key.sign(data)


def enveloped(payload: bytes, *, key: Key = STATION, kind: str = PAYLOAD_TYPE) -> dict[str, Any]:
    """The value of an envelope whose signature is good, whatever the payload says."""
    return Envelope(kind, payload, sign(pae(kind, payload).whole, key=key)).to_json()


@dataclass(frozen=True)
class Vector:
    """An envelope that breaks one rule."""

    section: str
    code: str
    make: Callable[[], bytes]


def _said(change: Callable[[dict[str, Any]], object], receipt: Receipt = ACCEPTED) -> bytes:
    """A good signature over a statement that was changed."""
    value = strictjson.loads(receipt.statement(), limit=1 << 20)
    change(value)
    return strictjson.dumps(enveloped(strictjson.dumps(value)))


def _told(receipt: Receipt = ACCEPTED, **members: Any) -> bytes:
    return _said(lambda value: value["predicate"].update(members), receipt)


def _of_image(**members: Any) -> bytes:
    return _said(lambda value: value["predicate"]["images"][0].update(members))


def _invalid(section: str, make: Callable[[], bytes], code: str = "format.receipt") -> Vector:
    return Vector(section, code, make)


def _with(**members: Any) -> bytes:
    return strictjson.dumps(enveloped(ACCEPTED.statement()) | members)


def _twice_signed() -> bytes:
    value = enveloped(ACCEPTED.statement())
    return strictjson.dumps(value | {"signatures": value["signatures"] * 2})


def _keyed() -> bytes:
    value = enveloped(ACCEPTED.statement())
    return strictjson.dumps(value | {"signatures": [value["signatures"][0] | {"keyid": "x"}]})


def _about_index(value: dict[str, Any]) -> None:
    value["subject"].insert(0, {"digest": {"sha256": digest("index.json").encoded}, "name": "index.json"})


_EMPTY = {"sent": 0, "there": 0, "bytes": 0, "left": []}

INVALID = {
    "not-json": _invalid("2", lambda: b"receipt"),
    "with-a-line-end": _invalid("2", lambda: ACCEPTED.signed(sign) + b"\n"),
    "with-spaces": _invalid("2", lambda: ACCEPTED.signed(sign).replace(b'","', b'", "', 1)),
    "with-another-member": _invalid("2", lambda: _with(extra=None)),
    "with-a-keyid": _invalid("2", _keyed),
    "signed-twice": _invalid("2", _twice_signed),
    "unsigned": _invalid("2", lambda: _with(signatures=[])),
    "other-payload-type": _invalid("2", lambda: strictjson.dumps(enveloped(ACCEPTED.statement(), kind="application/json"))),
    "by-a-stranger": _invalid("5", lambda: ACCEPTED.signed(partial(sign, key=STRANGER)), "receipt.signature"),
    "changed": _invalid("5", lambda: _with(payload=enveloped(REPEAT.statement())["payload"]), "receipt.signature"),
    "other-statement": _invalid("3", lambda: _said(lambda value: value.update(_type="https://in-toto.io/Statement/v0.1"))),
    "other-predicate": _invalid("3", lambda: _said(lambda value: value.update(predicateType="urn:oci-bundler:receipt:v2"))),
    "payload-with-spaces": _invalid("3", lambda: strictjson.dumps(enveloped(ACCEPTED.statement().replace(b'","', b'", "', 1)))),
    "without-a-subject": _invalid("3.1", lambda: _said(lambda value: value.update(subject=[]))),
    "about-nothing": _invalid("3.1", lambda: _said(lambda value: value.update(subject=[]), SEALED_BY_NOBODY)),
    "image-as-subject": _invalid("3.1", lambda: _said(lambda value: value["subject"][0].update(name="registry.example/app"))),
    "subjects-out-of-order": _invalid("3.1", lambda: _said(lambda value: value["subject"].reverse())),
    "subject-twice": _invalid("3.1", lambda: _said(lambda value: value["subject"].append(value["subject"][1]))),
    "without-index": _invalid("3.1", lambda: _said(lambda value: value["subject"].pop(0))),
    "index-of-what-was-refused": _invalid("3.1", lambda: _said(_about_index, REFUSED)),
    "index-of-what-was-let-in-partly": _invalid("3.1", lambda: _said(_about_index, PARTLY)),
    "index-of-a-stranger": _invalid("3.1", lambda: _said(_about_index, SEALED_BY_NOBODY)),
    "other-format": _invalid("4", lambda: _told(format=2)),
    "unknown-member": _invalid("4", lambda: _told(note="all is well")),
    "missing-member": _invalid("4", lambda: _said(lambda value: value["predicate"].pop("floor"))),
    "empty-station": _invalid("4", lambda: _told(station="")),
    "station-of-a-number": _invalid("4", lambda: _told(station=7)),
    "reasons-of-a-number": _invalid("4", lambda: _told(REFUSED, reasons=7)),
    "long-station": _invalid("4", lambda: _told(station="x" * 8193)),
    "boolean-serial": _invalid("4", lambda: _told(trust={"digest": str(digest("trust")), "serial": True})),
    "negative-serial": _invalid("4", lambda: _told(trust={"digest": str(digest("trust")), "serial": -1})),
    "time-of-no-day": _invalid("4", lambda: _told(time="2026-02-30T12:00:00Z")),
    "time-in-parts": _invalid("4", lambda: _told(time="2026-11-22T12:00:00.5Z")),
    "digest-in-capitals": _invalid("4", lambda: _told(previous=str(digest("x")).upper())),
    "reason-in-words": _invalid("4", lambda: _told(REFUSED, reasons=["not signed"])),
    "reasons-in-a-text": _invalid("4", lambda: _told(REFUSED, reasons="policy.threshold")),
    "bundle-of-a-stranger": _invalid("4", lambda: _told(SEALED_BY_NOBODY, bundle=ACCEPTED.bundle.to_json() if ACCEPTED.bundle else None)),
    "images-of-a-stranger": _invalid("4", lambda: _told(SEALED_BY_NOBODY, images=REFUSED.predicate()["images"])),
    "bundle-without-gap": _invalid("4", lambda: _said(lambda value: value["predicate"]["bundle"].pop("gap"))),
    "odd-stream": _invalid("4", lambda: _said(lambda value: value["predicate"]["bundle"].update(stream="../x"))),
    "unknown-outcome": _invalid("4.1", lambda: _told(outcome="fine")),
    "accepted-for-reasons": _invalid("4.1", lambda: _told(reasons=["policy.threshold"])),
    "refused-without-reasons": _invalid("4.1", lambda: _told(REFUSED, reasons=[])),
    "refused-into-a-registry": _invalid("4.1", lambda: _told(REFUSED, registry="plant:5000")),
    "refused-and-sent": _invalid("4.1", lambda: _told(REFUSED, blobs=_EMPTY | {"sent": 1})),
    "accepted-in-part": _invalid("4.1", lambda: _told(images=PARTLY.predicate()["images"])),
    "partly-and-whole": _invalid("4.1", lambda: _told(PARTLY, images=ACCEPTED.predicate()["images"])),
    "accepted-and-empty": _invalid("4.1", lambda: _told(images=[], held={})),
    "image-twice": _invalid("4.2", lambda: _told(images=ACCEPTED.predicate()["images"] * 2)),
    "passed-for-reasons": _invalid("4.2", lambda: _of_image(passed=False)),
    "let-in-to-nowhere": _invalid("4.2", lambda: _of_image(destination=None)),
    "let-in-without-state": _invalid("4.2", lambda: _of_image(state=None)),
    "unknown-state": _invalid("4.2", lambda: _of_image(state="gone")),
    "refused-and-named": _invalid("4.2", lambda: _told(REFUSED, images=ACCEPTED.predicate()["images"])),
    "signers-unsorted": _invalid("4.2", lambda: _of_image(signers=[s.to_json() for s in reversed(APP.signers)])),
    "signer-without-a-name": _invalid("4.2", lambda: _of_image(signers=[{"kind": "key", "id": "x", "form": "sig"}])),
    "times-twice": _invalid("4.2", lambda: _of_image(times=["2026-11-01T08:00:00Z"] * 2)),
    "long-rule": _invalid("4.2", lambda: _of_image(rule="x" * 8193)),
    "odd-reference": _invalid("4.2", lambda: _of_image(reference="registry.example/App:v1")),
    "image-as-text": _invalid("4.2", lambda: _told(images=["registry.example/app:v1"])),
    "held-unsorted": _invalid("4.3", lambda: _told(held={name: value[::-1] for name, value in ACCEPTED.predicate()["held"].items()})),
    "held-twice": _invalid("4.3", lambda: _told(held={name: value[:1] * 2 for name, value in ACCEPTED.predicate()["held"].items()})),
    "held-elsewhere": _invalid("4.3", lambda: _told(held={"plant:5000/other": ACCEPTED.predicate()["held"]["plant:5000/mirror/app"]})),
    "held-without-size": _invalid("4.3", lambda: _told(held={"plant:5000/mirror/app": [{"digest": str(digest("layer"))}]})),
    "held-of-no-size": _invalid("4.3", lambda: _told(held={"plant:5000/mirror/app": [{"digest": str(digest("layer")), "size": -1}]})),
    "refused-and-held": _invalid("4.3", lambda: _told(REFUSED, held=ACCEPTED.predicate()["held"])),
}


def write(into: Path) -> int:
    """Make the vectors anew: those that are good with their texts, those that break one rule each, and the key. Gives how many."""
    for kind in ("valid", "invalid"):
        shutil.rmtree(into / kind, ignore_errors=True)
        (into / kind).mkdir(parents=True)
    (into / "station.pub").write_bytes(STATION.public.pem)
    for name, receipt in VALID.items():
        raw = receipt.signed(sign)
        (into / f"valid/{name}.json").write_bytes(raw)
        (into / f"valid/{name}.txt").write_text(receipttext.text(receipt, Digest.of(raw)))
    for name, vector in INVALID.items():
        (into / f"invalid/{name}.json").write_bytes(vector.make())
    rules = {name: {"section": vector.section, "code": vector.code} for name, vector in INVALID.items()}
    (into / "invalid.index.json").write_text(json.dumps(rules, indent=2) + "\n")
    return len(VALID) + len(INVALID)
