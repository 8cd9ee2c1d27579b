"""What the seal of a trusted sealer may take of memory, whatever it says (docs/spec/bundle-v1.md, section 12).

Each is as large as a seal may be, signed by who may seal, and full of what no image needs.
"""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bundler import strictjson
from bundler.bundle import tar
from bundler.bundle.frames import compress, runs, table
from bundler.bundle.payload import seal_of
from bundler.bundle.seal import SEAL, Kind
from bundler.bundle.sealenvelope import MAX_SEAL, sealed
from tests.support.bundles import Bundle, sign
from tests.support.layouts import Content
from tests.support.making import key
from tests.support.measured import MIB, measured

VECTORS = Path(__file__).parents[1] / "vectors"
APP = "registry.example/app"
CEILING = 256 * MIB

pytestmark = pytest.mark.slow


def digest(number: int) -> str:
    return sha256(b"%d" % number).hexdigest()


def lookup(number: int) -> Any:
    asked = dict.fromkeys(("sig", "att", "sbom", "referrers", "fallback"), "absent")
    return {"asked": asked, "found": [], "manifest": f"sha256:{digest(number)}", "repository": APP}


def found(number: int) -> Any:
    of_one = [{"digest": f"sha256:{digest(number * 1000 + each)}", "form": "sig"} for each in range(1000)]
    return lookup(number) | {"asked": lookup(number)["asked"] | {"sig": "found"}, "found": of_one}


def member(number: int) -> Any:
    return {"kind": "blob", "sha256": digest(number), "size": 2 * MIB + number}


def foreign(number: int) -> Any:
    return {"digest": f"sha256:{digest(number)}", "mediaType": f"a/b{number}", "size": 1}


def image(number: int) -> Any:
    left_out = [{"digest": f"sha256:{digest(number * 1000 + each)}", "platform": "linux/arm64"} for each in range(1000)]
    return {"left_out": left_out, "platforms": [], "reference": f"{APP}:n{number}"}


def filled(statement: dict[str, Any], where: str, item: Callable[[int], Any], *, size: int) -> bytes:
    """The payload with as many more items as it takes."""
    first = statement["predicate"][where][0] if where == "images" else {}
    left, number = size - len(strictjson.dumps(statement)), 0
    while (left := left - len(strictjson.dumps(more := first | item(number))) - 1) >= 0:
        statement["predicate"][where].append(more)
        number += 1
    return strictjson.dumps(statement)


def write(path: Path, payload: bytes) -> None:
    """A bundle as far as its seal and its seek table go."""
    members = seal_of(payload).members if len(payload) <= MAX_SEAL else ()
    envelope = sealed(payload, [sign(payload, key("sealer"))])
    record = tar.header(SEAL, len(envelope), mtime=0) + envelope + bytes(tar.padding(len(envelope)))
    plan = runs(len(record), ((tar.record(each.size), each.kind is Kind.BLOB) for each in members), len(tar.END))
    sizes = list[tuple[int, int]]()
    with path.open("wb") as file:
        for run in plan:
            for frame in run.frames:
                start = (frame - run.frame) * run.content(run.frame)
                data = compress(record[start : start + run.content(frame)]) if run.first == 0 else b"not read"
                sizes.append((len(data), run.content(frame)))
                file.write(data)
        file.write(table(sizes))


@pytest.mark.parametrize(
    ("where", "item"),
    [("lookups", lookup), ("lookups", found), ("members", member), ("left_out", foreign), ("images", image)],
    ids=["lookups", "what was found", "members", "foreign layers", "what is left out"],
)
def test_the_largest_seal_of_who_may_seal_stays_below_256_mib(tmp_path: Path, where: str, item: Callable[[int], Any]) -> None:
    content = Content()
    statement = json.loads(Bundle.of(content, {f"{APP}:v1": content.image("hello")}).seal.statement())
    path = tmp_path / "bundle"
    write(path, filled(statement, where, item, size=MAX_SEAL))
    ran = measured("verify", path, "--trust", VECTORS / "trust", "--at", "2024-02-01")
    assert ran.exit == 3, ran
    assert ran.peak < CEILING
    shown = measured("inspect", path, "--trust", VECTORS / "trust", "--quiet")
    assert (shown.exit, shown.out.startswith("SEALED by ")) == (0, True), shown
    assert shown.peak < CEILING
    unverified = measured("inspect", path)
    assert (unverified.exit, "limit.seal" in unverified.err) == (3, True)
    assert unverified.peak < 96 * MIB


def test_a_seal_of_200_mib_is_refused_before_it_is_held(tmp_path: Path) -> None:
    content = Content()
    statement = json.loads(Bundle.of(content, {f"{APP}:v1": content.image("hello")}).seal.statement())
    path = tmp_path / "bundle"
    write(path, filled(statement, "lookups", found, size=200 * MIB))
    ran = measured("verify", path, "--trust", VECTORS / "trust", "--at", "2024-02-01")
    assert (ran.exit, "limit.seal" in ran.err) == (3, True), ran
    assert ran.peak < 96 * MIB
