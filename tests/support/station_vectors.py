"""The vectors of the station's specification: files of a station folder, right and wrong, and the tables of order and time."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bundler import strictjson
from bundler.bundle.seal import time
from bundler.errors import Code
from bundler.ledger.state import MAX_KNOWN, MAX_STREAMS, Link, Stream
from bundler.oci.digest import Digest

NAME = "plant-7"
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ONE, THREE, SEVEN, OTHER = (Digest.of(name.encode()) for name in ("one", "three", "seven", "other"))
STREAM = Stream("platform", (Link(1, ONE, None), Link(3, THREE, ONE), Link(7, SEVEN, THREE)), AT, AT + timedelta(days=1))

# --- section 4 ---

ACCEPTED, REPEAT, ROLLBACK, EQUIVOCATION, GAP = (
    ("accepted", None),
    ("repeat", None),
    ("refused", Code.STREAM_ROLLBACK),
    ("refused", Code.STREAM_EQUIVOCATION),
    ("refused", Code.STREAM_GAP),
)
ORDERS = ("any", "newer", "chain")
ROWS = {
    "known number, another identity": (Link(3, OTHER, ONE), EQUIVOCATION, EQUIVOCATION, EQUIVOCATION),
    "last number, another identity": (Link(7, OTHER, THREE), EQUIVOCATION, EQUIVOCATION, EQUIVOCATION),
    "last number, same identity": (Link(7, SEVEN, THREE), REPEAT, REPEAT, REPEAT),
    "known and lower, same identity": (Link(3, THREE, ONE), REPEAT, ROLLBACK, ROLLBACK),
    "lower": (Link(5, OTHER, THREE), ACCEPTED, ROLLBACK, ROLLBACK),
    "lower than all": (Link(0, OTHER, None), ACCEPTED, ROLLBACK, ROLLBACK),
    "higher, follows the last": (Link(8, OTHER, SEVEN), ACCEPTED, ACCEPTED, ACCEPTED),
    "as high as can be, follows the last": (Link((1 << 53) - 1, OTHER, SEVEN), ACCEPTED, ACCEPTED, ACCEPTED),
    "higher, follows another": (Link(8, OTHER, THREE), ACCEPTED, ACCEPTED, GAP),
    "higher, does not say": (Link(8, OTHER, None), ACCEPTED, ACCEPTED, GAP),
}
"""The bundle, and what comes of it after STREAM, by the order in ORDERS."""
GAPS: dict[str, bool | None] = {"higher, follows another": True, "higher, does not say": None}
"""Whether a gap is told; else it is not."""


def _order() -> list[dict[str, Any]]:
    known = [link.to_json() for link in STREAM.known]
    cases = [
        {"case": row, "order": order, "known": known, "bundle": columns[0].to_json(), "outcome": outcome, "code": code and str(code)}
        | {"gap": GAPS.get(row, False)}
        for row, columns in ROWS.items()
        for order, (outcome, code) in zip(ORDERS, columns[1:], strict=True)
    ]
    first = {"case": "the first of its stream", "known": [], "bundle": Link(41, OTHER, ONE).to_json()}
    return [first | {"order": order, "outcome": "accepted", "code": None, "gap": False} for order in ORDERS] + cases


# --- section 5 ---

_DAY = timedelta(days=1)
FLOORS = {
    "nothing accepted yet": (AT, None, AT - _DAY, AT, AT - _DAY),
    "an older bundle raises nothing": (AT, AT - _DAY, AT - 2 * _DAY, AT, AT - _DAY),
    "a newer one does": (AT, AT - 2 * _DAY, AT - _DAY, AT, AT - _DAY),
    "a clock that was set back ten years": (AT - 3650 * _DAY, AT, AT - _DAY, AT, AT),
    "never later than it was judged": (AT, None, AT + _DAY, AT, AT),
    "nor than the floor where that was judged by": (AT - _DAY, AT, AT + _DAY, AT, AT),
    "a clock that is ahead raises nothing by itself": (AT + 3650 * _DAY, AT, AT, AT + 3650 * _DAY, AT),
}
"""The clock, the floor, when the accepted bundle was made; what it is judged at, and the floor afterwards."""


def _floor() -> list[dict[str, Any]]:
    names = ("clock", "floor", "created", "judged_at", "after")
    spelled = {name: [None if at is None else time(at) for at in times] for name, times in FLOORS.items()}
    return [{"case": name} | dict(zip(names, times, strict=True)) for name, times in spelled.items()]


# --- sections 2 and 3 ---

_TOML = 'version = 1\nname = "plant-7"\nkey = "station.key"\n'
VALID_TOML = {
    "least": _TOML,
    "whole": _TOML + 'origin = "plant.example/7"\nverifier = "https://plant.example/7"\npolicy = "https://plant.example/policy"\n',
    "key-elsewhere": _TOML.replace("station.key", "/etc/plant/station.key"),
    "key-below": _TOML.replace("station.key", "keys/2026.key"),
}
INVALID_TOML = {
    "empty": "",
    "no-toml": "version = 1\nname plant-7\n",
    "no-version": _TOML.replace("version = 1\n", ""),
    "version-2": _TOML.replace("version = 1", "version = 2"),
    "version-true": _TOML.replace("version = 1", "version = true"),
    "no-name": _TOML.replace('name = "plant-7"\n', ""),
    "name-empty": _TOML.replace("plant-7", ""),
    "name-space": _TOML.replace("plant-7", "plant 7"),
    "name-long": _TOML.replace("plant-7", "p" * 65),
    "name-number": _TOML.replace('"plant-7"', "7"),
    "no-key": _TOML.replace('key = "station.key"\n', ""),
    "key-above": _TOML.replace("station.key", "../station.key"),
    "key-folder": _TOML.replace("station.key", "/"),
    "key-control": _TOML.replace("station.key", "\\u0007.key"),
    "origin-space": _TOML + 'origin = "plant 7"\n',
    "origin-plus": _TOML + 'origin = "plant+7"\n',
    "origin-empty": _TOML + 'origin = ""\n',
    "verifier-no-uri": _TOML + 'verifier = "plant-7"\n',
    "policy-no-uri": _TOML + 'policy = "https:// plant"\n',
    "unknown": _TOML + 'stream = "platform"\n',
}


def _spelled(**changed: Any) -> bytes:
    value = {
        "format": 1,
        "name": NAME,
        "floor": time(AT),
        "streams": [STREAM.to_json()],
        "trust": {"serial": 3, "digest": str(OTHER)},
        "journal": None,
    }
    return strictjson.dumps({name: item for name, item in (value | changed).items() if item != "left out"})


def _streams(**changed: Any) -> bytes:
    return _spelled(streams=[STREAM.to_json() | changed])


def _known(*links: list[Any]) -> bytes:
    return _streams(known=list(links))


_ONE_LINK = STREAM.to_json() | {"known": [[1, str(ONE), None]]}
VALID_STATE = {
    "new": _spelled(streams=[], floor=None, trust=None),
    "one-stream": _spelled(),
    "two-streams": _spelled(streams=[STREAM.to_json() | {"stream": name} for name in ("Platform", "platform")]),
    "journal": _spelled(journal={"size": 12, "root": str(SEVEN)}),
    "numbers": _known([0, str(ONE), None], [(1 << 53) - 1, str(THREE), str(ONE)]),
    "streams-most": _spelled(streams=[_ONE_LINK | {"stream": f"s{number:03}"} for number in range(MAX_STREAMS)]),
    "known-most": _known(*([number, str(Digest.of(b"%d" % number)), None] for number in range(MAX_KNOWN))),
}
_LINK = [1, str(ONE), None]
INVALID_STATE = {
    "empty": b"",
    "cut": _spelled()[:-40],
    "no-json": b"\0" * 100,
    "list": b"[]",
    "spaces": json.dumps(json.loads(_spelled())).encode(),
    "line-end": _spelled() + b"\n",
    "format-2": _spelled(format=2),
    "format-true": _spelled(format=True),
    "other-station": _spelled(name="plant-8"),
    "no-name": _spelled(name=None),
    "no-streams": _spelled(streams="left out"),
    "unknown": _spelled(more=1),
    "floor-no-time": _spelled(floor="yesterday"),
    "floor-fraction": _spelled(floor="2026-11-22T12:00:00.5Z"),
    "trust-list": _spelled(trust=[3]),
    "trust-negative": _spelled(trust={"serial": -1, "digest": str(OTHER)}),
    "journal-no-root": _spelled(journal={"size": 12}),
    "streams-object": _spelled(streams={"platform": STREAM.to_json()}),
    "streams-order": _spelled(streams=[STREAM.to_json() | {"stream": name} for name in ("platform", "Platform")]),
    "streams-twice": _spelled(streams=[STREAM.to_json(), STREAM.to_json()]),
    "streams-many": _spelled(streams=[_ONE_LINK | {"stream": f"s{number:03}"} for number in range(MAX_STREAMS + 1)]),
    "stream-name": _streams(stream="no stream"),
    "stream-no-time": _streams(created=None),
    "known-none": _known(),
    "known-many": _known(*([number, str(Digest.of(b"%d" % number)), None] for number in range(MAX_KNOWN + 1))),
    "known-order": _known([3, str(THREE), None], _LINK),
    "known-number-twice": _known(_LINK, [1, str(THREE), None]),
    "known-identity-twice": _known(_LINK, [3, str(ONE), None]),
    "known-short": _known([1, str(ONE)]),
    "known-text": _known(["1", str(ONE), None]),
    "known-true": _known([True, str(ONE), None]),
    "known-float": _spelled().replace(b"[[1,", b"[[1.0,"),
    "known-large": _known([1 << 53, str(ONE), None]),
    "known-digest": _known([1, "sha256:1234", None]),
    "known-previous": _known([1, str(ONE), 0]),
}


def files() -> dict[str, bytes]:
    """All of them, by their paths below the folder of vectors."""
    found = {f"station/valid/{name}.toml": text.encode() for name, text in VALID_TOML.items()}
    found |= {f"station/invalid/{name}.toml": text.encode() for name, text in INVALID_TOML.items()}
    found |= {f"station/valid/{name}.json": raw for name, raw in VALID_STATE.items()}
    found |= {f"station/invalid/{name}.json": raw for name, raw in INVALID_STATE.items()}
    tables = {"order": _order(), "floor": _floor()}
    return found | {f"station/{name}.json": (json.dumps(table, indent=1) + "\n").encode() for name, table in tables.items()}


def write(into: Path) -> int:
    """Make the folder anew; gives how many files it has."""
    made = files()
    for name, data in made.items():
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return len(made)
