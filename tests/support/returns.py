"""Return files to test with, and the vectors of docs/spec/return-v1.md."""

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bundler import strictjson
from bundler.ledger.reading import Held
from bundler.ledger.returnfile import PAYLOAD_TYPE, Accepted, Refused, Return, TrustJudged
from bundler.oci.digest import Digest
from tests.support.receipts import AT, STRANGER, Vector, digest, enveloped, sign


def held(blobs: Iterable[tuple[Digest, int]]) -> tuple[Held, ...]:
    """Blobs and their sizes, in the order that a repository's have."""
    return tuple(sorted(Held(*blob) for blob in blobs))


EMPTY = Return(station="plant-7", time=AT)
FULL = Return(
    station="plant-7",
    time=AT,
    checkpoint="oci-bundler.plant-7\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u2014 oci-bundler.plant-7 AAAAAA==\n",
    streams={"charts": Accepted(1, digest("one"), AT, AT), "platform": Accepted(7, digest("payload"), AT, AT)},
    refused=(Refused(None, ("seal.signature",), AT), Refused(digest("six"), ("stream.rollback",), AT)),
    trust=TrustJudged(digest("trust"), 3),
    held={
        "plant:5000/mirror/app": held([(digest("config"), 179), (digest("layer"), 2048)]),
        "plant:5000/mirror/empty": (),
    },
)
VALID = {"empty": EMPTY, "full": FULL}


def large(count: int) -> Return:
    """Of so many repositories, each of five blobs, with names as long as real ones."""
    told = {
        f"registry.plant.example/mirror/registry.example/team/application-{number}": held(
            (digest(f"{number} {blob}"), 12345678) for blob in range(5)
        )
        for number in range(count)
    }
    return replace(FULL, held=told)


def _signed(payload: bytes) -> bytes:
    return strictjson.dumps(enveloped(payload, kind=PAYLOAD_TYPE))


def _told(change: Callable[[dict[str, Any]], object] = lambda _: None, **members: Any) -> bytes:
    """A good signature over a payload that was changed."""
    value = FULL.to_json()
    change(value)
    return _signed(strictjson.dumps(value | members))


def _with(**members: Any) -> bytes:
    return strictjson.dumps(enveloped(FULL.payload(), kind=PAYLOAD_TYPE) | members)


def _invalid(section: str, make: Callable[[], bytes], code: str = "format.return") -> Vector:
    return Vector(section, code, make)


def _stream(**members: Any) -> bytes:
    return _told(lambda value: value["streams"]["platform"].update(members))


def _blob(**members: Any) -> bytes:
    return _told(lambda value: value["held"]["plant:5000/mirror/app"][0].update(members))


INVALID = {
    "not-json": _invalid("1", lambda: b"return"),
    "with-a-line-end": _invalid("1", lambda: FULL.signed(sign) + b"\n"),
    "with-another-member": _invalid("1", lambda: _with(extra=None)),
    "unsigned": _invalid("1", lambda: _with(signatures=[])),
    "other-payload-type": _invalid("1", lambda: strictjson.dumps(enveloped(FULL.payload()))),
    "by-a-stranger": _invalid("3", lambda: FULL.signed(partial(sign, key=STRANGER)), "receipt.signature"),
    "changed": _invalid("3", lambda: _with(payload=enveloped(EMPTY.payload(), kind=PAYLOAD_TYPE)["payload"]), "receipt.signature"),
    "payload-with-spaces": _invalid("3", lambda: _signed(FULL.payload().replace(b'","', b'", "', 1))),
    "payload-is-a-list": _invalid("2", lambda: _signed(b"[]")),
    "other-format": _invalid("2", lambda: _told(format=2)),
    "unknown-member": _invalid("2", lambda: _told(note="all is well")),
    "missing-member": _invalid("2", lambda: _told(lambda value: value.pop("checkpoint"))),
    "empty-station": _invalid("2", lambda: _told(station="")),
    "long-station": _invalid("2", lambda: _told(station="x" * 256)),
    "empty-checkpoint": _invalid("2", lambda: _told(checkpoint="")),
    "time-of-no-day": _invalid("2", lambda: _told(time="2026-02-30T12:00:00Z")),
    "time-in-parts": _invalid("2", lambda: _told(time="2026-11-22T12:00:00.5Z")),
    "odd-stream": _invalid("2", lambda: _told(lambda value: value["streams"].update({"../x": value["streams"]["platform"]}))),
    "stream-as-text": _invalid("2", lambda: _told(streams={"platform": "7"})),
    "sequence-is-true": _invalid("2", lambda: _stream(sequence=True)),
    "sequence-negative": _invalid("2", lambda: _stream(sequence=-1)),
    "identity-in-capitals": _invalid("2", lambda: _stream(identity=str(digest("x")).upper())),
    "refused-too-often": _invalid("2", lambda: _told(refused=[Refused(None, ("seal.signature",), AT).to_json()] * 101)),
    "refused-in-words": _invalid("2", lambda: _told(lambda value: value["refused"][0].update(codes=["not signed"]))),
    "refused-by-number": _invalid("2", lambda: _told(lambda value: value["refused"][0].update(codes=[5]))),
    "trust-without-serial": _invalid("2", lambda: _told(trust={"digest": str(digest("trust"))})),
    "held-of-no-repository": _invalid("2", lambda: _told(held={"plant:5000": []})),
    "held-as-text": _invalid("2", lambda: _told(held={"plant:5000/app": "all"})),
    "held-unsorted": _invalid("2", lambda: _told(lambda value: value["held"]["plant:5000/mirror/app"].reverse())),
    "held-twice": _invalid("2", lambda: _told(held={"plant:5000/app": [Held(digest("layer"), 1).to_json()] * 2})),
    "held-without-size": _invalid("2", lambda: _told(held={"plant:5000/app": [{"digest": str(digest("layer"))}]})),
    "held-of-no-size": _invalid("2", lambda: _blob(size=-1)),
    "held-size-is-true": _invalid("2", lambda: _blob(size=True)),
}


def write(into: Path) -> int:
    """Make the vectors anew, those that are good and those that break one rule each. Gives how many."""
    for kind in ("valid", "invalid"):
        shutil.rmtree(into / kind, ignore_errors=True)
        (into / kind).mkdir(parents=True)
    for name, told in VALID.items():
        (into / f"valid/{name}.json").write_bytes(told.signed(sign))
    for name, vector in INVALID.items():
        (into / f"invalid/{name}.json").write_bytes(vector.make())
    rules = {name: {"section": vector.section, "code": vector.code} for name, vector in INVALID.items()}
    (into / "invalid.index.json").write_text(json.dumps(rules, indent=2) + "\n")
    return len(VALID) + len(INVALID)
