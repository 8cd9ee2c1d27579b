"""docs/reference/json.md against what the commands print, both ways: no name is missing on the page, and none is invented."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bundler.oci.digest import Digest
from tests.docs.pages import DOCS, Page, code
from tests.support import journals, notary, receipts, returns, signing, station, world
from tests.support.making import ROOT
from tests.support.station import Crossing, Ran

TABLES = {table.heading: {code(row["name"]): row["type"] for row in table.rows} for table in Page.read(DOCS / "reference/json.md").tables}
KINDS = {str: "string", bool: "boolean", int: "number", list: "list", dict: "object", type(None): "null"}


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Real runs of every command, good ones and bad ones, by the heading that describes them."""
    folder = tmp_path_factory.mktemp("json")
    with Crossing(folder) as crossing:
        return {heading: [*runs(crossing)] for heading, runs in RUNS.items()}


def _verdict(done: Ran) -> Any:
    assert "error" not in done.json, done.out
    return done.json


def _verdicts(crossing: Crossing) -> Iterator[Any]:
    here = crossing.folder
    image = crossing.push(crossing.sign(crossing.content.index("words")), "team/app:v1")
    first = crossing.export(image, to="first.oci.tar.zst", flags=["--expires", "9d"])
    again = crossing.export(image, to="again.oci.tar.zst", flags=["--previous", first, "--platform", "linux/amd64"])
    strange = crossing.signed_image("team/strange:v1", key=station.STRANGER)
    damaged = here / "damaged.oci.tar.zst"
    data = bytearray(first.read_bytes())
    data[-150] ^= 1  # among the layers, which come last
    damaged.write_bytes(data)
    yield _verdict(crossing.run("verify", again, "--json"))
    yield _verdict(crossing.run("verify", damaged, "--json"))
    yield _verdict(crossing.run("verify", crossing.export(image, to="delta.oci.tar.zst", flags=["--base", first]), "--json"))
    yield _verdict(crossing.run("verify", f"docker://{image.reference}", "--json"))
    yield _verdict(crossing.run("verify", crossing.export(strange, to="strange.oci.tar.zst"), "--json"))
    yield _verdict(crossing.run("verify", first, "--at", "2100-01-01", "--json"))
    yield _verdict(crossing.import_(first, "--json"))
    yield from _at_a_station(crossing, first, again)
    yield _verdict(crossing.run("extract", first, image.reference, "--to", f"oci:{here}/layout", "--json"))
    empty = here / "empty-trust"
    station.run("trust", "init", empty)
    yield _verdict(station.run("verify", first, "--trust", empty, "--json"))
    station.run("trust", "add", empty, "--seal", "default", "--scope", "**", "--key", crossing.keys["exporter"].with_suffix(".pub"))
    yield _verdict(station.run("verify", first, "--trust", empty, "--json"))


def _at_a_station(crossing: Crossing, first: Path, again: Path) -> Iterator[Any]:
    """The first bundle, the next one, and both at a station whose clock is behind."""
    folder = crossing.folder / "verdicts-station"
    station.run("station", "init", folder, "--name", "plant-7")
    yield _verdict(crossing.import_(first, "--station", folder, "--json", prefix="plant"))
    yield _verdict(crossing.run("verify", again, "--station", folder, "--json"))
    yield _verdict(crossing.run("verify", first, "--station", folder, "--at", "2100-01-01", "--json"))
    past = (folder / "state.json").read_text().replace('"floor":"20', '"floor":"29')
    (folder / "state.json").write_text(past)
    yield _verdict(crossing.run("verify", first, "--station", folder, "--json"))


def _stations(crossing: Crossing) -> Iterator[Any]:
    yield station.run("station", "init", crossing.folder / "init-station", "--name", "plant-7", "--json").json


def _statuses(crossing: Crossing) -> Iterator[Any]:
    """Of a station that accepted nothing, without trust; and of one that accepted a bundle which follows one that never came."""
    folder = crossing.folder / "status-station"
    station.run("station", "init", folder, "--name", "plant-7")
    yield station.run("status", "--station", folder, "--json").json
    image = crossing.signed_image("team/status:v1")
    for number, previous in ((1, Digest.of(b"none")), (2, Digest.of(b"lost"))):
        bundle = crossing.export(image, to=f"status-{number}.oci.tar.zst", flags=["--sequence", number, "--previous", previous])
        assert crossing.import_(bundle, "--station", folder, prefix="status").exit == 0
    yield crossing.run("status", "--station", folder, "--json").json


def _exports(crossing: Crossing) -> Iterator[Any]:
    image = crossing.signed_image("team/exported:v1").reference
    for name, flags in {"written": (), "planned": ("--dry-run",)}.items():
        words = (image, "-o", crossing.folder / f"{name}.oci.tar.zst", "--key", crossing.keys["exporter"], *flags)
        yield station.run("export", *words, "--json").json
    told = crossing.folder / "told.json"
    told.write_bytes(receipts.ACCEPTED.signed(receipts.sign))
    base = ("--base", crossing.folder / "written.oci.tar.zst", "--base", told)
    yield station.run("export", image, crossing.signed_image("team/more:v1").reference, "--dry-run", *base, "--json").json
    yield station.run("export", image, "oci:/nowhere", "--dry-run", "--json").json
    yield station.run("export", image, f"{crossing.here.host}/none:v1", f"{image}@{Digest.of(b'')}", "--dry-run", "--json").json
    yield station.run("export", image, "oci:/nowhere", "--dry-run", "--skip-failing", "--json").json


def _inspections(crossing: Crossing) -> Iterator[Any]:
    bundle = crossing.export(crossing.signed_image("team/inspected:v1"), to="inspected.oci.tar.zst")
    yield station.run("inspect", bundle, "--json").json


def _differences(crossing: Crossing) -> Iterator[Any]:
    """Every list of a difference, with all that can stand in it."""
    content = crossing.content
    names = {kind: f"team/diff-{kind}:v1" for kind in ("changed", "moved", "beside", "gone")}
    images = {kind: crossing.sign(content.image(f"diff {kind}")) for kind in names}
    content.att(images["changed"].digest, signing.att(images["changed"], station.RELEASE))
    before = [crossing.push(images[kind], name) for kind, name in names.items()]
    chart = crossing.push(crossing.sign(content.chart("diff-before")), "team/diff-added:v2")
    first = crossing.export(*before, chart, to="diff-1.oci.tar.zst")
    content.att(images["beside"].digest, signing.att(images["beside"], station.RELEASE))
    again = crossing.sign(content.image("diff again", runs={"User": "1000", "Cmd": ["/other"]}), station.STRANGER)
    content.sbom(again.digest, b"{}")
    added = crossing.sign(content.chart("diff-added"))
    content.att(added.digest, signing.att(added, station.RELEASE))
    after = [crossing.push(again, names["changed"]), crossing.push(images["moved"], "team/diff-moved:v2")]
    after += [crossing.push(images["beside"], names["beside"]), crossing.push(added, "team/diff-added:v1")]
    after += [crossing.push(added, "team/diff-added:v2"), crossing.push(images["moved"], "team/diff-moved:v3")]
    second = crossing.export(*after, to="diff-2.oci.tar.zst")
    yield _verdict(crossing.run("diff", first, second, "--json"))
    yield _verdict(crossing.run("diff", second, first, "--json"))
    yield _verdict(station.run("diff", first, second, "--json"))
    files = {"receipt": receipts.ACCEPTED.signed(receipts.sign), "return": returns.FULL.signed(receipts.sign)}
    for name, raw in files.items():
        (crossing.folder / name).write_bytes(raw)
        yield _verdict(station.run("diff", crossing.folder / name, first, "--json"))
        yield _verdict(station.run("diff", first, crossing.folder / name, "--json"))


def _receipts(crossing: Crossing) -> Iterator[Any]:
    for name, receipt in receipts.VALID.items():
        (path := crossing.folder / f"{name}.json").write_bytes(receipt.signed(receipts.sign))
        yield station.run("receipt", "show", path, "--json").json
        yield station.run("receipt", "verify", path, "--key", ROOT / "receipts/station.pub", "--json").json
    folder = crossing.station("plant-8")
    written = crossing.import_(crossing.export(crossing.signed_image("team/receipt:v1"), to="r.oci.tar.zst"), "--station", folder, "--json")
    yield station.run("receipt", "verify", written.json["receipt"]["file"], "--key", folder / "station.pub", "--json").json


def _keys(crossing: Crossing) -> Iterator[Any]:
    yield station.run("keygen", crossing.folder / "fresh", "--no-password", "--json").json


def _signings(crossing: Crossing) -> Iterator[Any]:
    image = crossing.signed_image("team/signed:v1").reference
    yield station.run("sign", image, "oci:/nowhere", "--key", crossing.keys["release"], "--json").json


def _trust(crossing: Crossing) -> Iterator[Any]:
    trust, public = crossing.folder / "written-trust", {name: key.with_suffix(".pub") for name, key in crossing.keys.items()}
    yield station.run("trust", "init", trust, "--json").json
    yield station.run("trust", "add", trust, "--seal", "s", "--scope", "**", "--key", public["exporter"], "--json").json
    rule = ("--image", "**", "--key", public["release"], "--attestation", "spdx")
    yield station.run("trust", "add", trust, *rule, "--json").json
    yield from _roots_and_stores(crossing, trust)
    yield station.run("trust", "list", trust, "--json").json
    yield station.run("trust", "check", trust, "--json").json
    yield station.run("trust", "list", crossing.trust, "--json").json


def _roots_and_stores(crossing: Crossing, trust: Path) -> Iterator[Any]:
    """A root of which one log cannot be used, and a store with a revocation list."""
    here, sigstore, authority = crossing.folder, world.World(), notary.root_of()
    root = sigstore.root_json()
    root["tlogs"].append({"baseUrl": "https://nobody.example"})
    (here / "root.json").write_bytes(world.canonical(root))
    (here / "ca.pem").write_bytes(authority.pem)
    (here / "ca.crl").write_bytes(notary.crl_of(authority))
    yield station.run("trust", "add", trust, "--root", here / "root.json", "--json").json
    store = ("--store", "ca", "--store-type", "ca", "--certificate", here / "ca.pem", "--crl", here / "ca.crl")
    yield station.run("trust", "add", trust, *store, "--json").json


def _journal(crossing: Crossing) -> Path:
    folder = journals.write(crossing.folder / "plant/journal", journals.files(journals.entries(3)))
    (folder.parent / "plant.pub").write_bytes(journals.STATION.public.pem)
    (folder.parent / "since").write_text(str(journals.checkpoint(journals.entries(2))))
    station.run("keygen", folder.parent / "auditor", "--type", "ed25519", "--no-password")
    return folder.parent


def _journal_cosigned(crossing: Crossing) -> Iterator[Any]:
    plant = _journal(crossing)
    yield station.run("journal", "cosign", plant, "--station-key", plant / "plant.pub", "--key", plant / "auditor.key", "--json").json


def _journal_verified(crossing: Crossing) -> Iterator[Any]:
    plant = crossing.folder / "plant"
    key = ("--key", plant / "plant.pub")
    yield station.run("journal", "verify", plant / "journal", *key, "--json").json
    journals.write(plant / "journal", {"tile/0/000.p/4": b"torn"})
    yield station.run("journal", "verify", plant, *key, "--since", plant / "since", "--cosigner", plant / "auditor.pub", "--json").json


def _servings(crossing: Crossing) -> Iterator[Any]:
    serving = station.spawned("serve", crossing.folder / "served", "--listen", "127.0.0.1:0", "--json")
    with serving:
        assert serving.stdout
        yield json.loads(serving.stdout.readline())
        serving.terminate()


def _errors(crossing: Crossing) -> Iterator[Any]:
    yield station.run("verify", crossing.folder / "absent", "--trust", crossing.trust, "--json").json
    yield station.run("verify", "--nonsense", "--json").json
    yield station.run("trust", "init", crossing.trust, "--json").json
    yield station.run("export", "no/../reference", "-o", "x", "--key", crossing.keys["exporter"], "--json").json


RUNS = {
    "verify, import, extract": _verdicts,
    "export": _exports,
    "inspect": _inspections,
    "diff": _differences,
    "keygen": _keys,
    "sign": _signings,
    "trust init, trust add, trust list, trust check": _trust,
    "station init": _stations,
    "status": _statuses,
    "receipt show, receipt verify": _receipts,
    "journal cosign": _journal_cosigned,
    "journal verify": _journal_verified,
    "serve": _servings,
    "An error": _errors,
}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every name in a value, in the page's spelling, with what it holds."""
    if name:
        yield name, value
    if isinstance(value, dict):
        for member, inner in value.items():
            yield from _flat(inner, f"{name}.{member}" if name else member)
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner, f"{name}[]")


def _seen(runs: list[Any], told: dict[str, str]) -> dict[str, set[str]]:
    """The kinds of value that each name had; what the page leaves to the specification is left out, and so are objects in lists."""
    elsewhere = tuple(name.removesuffix("*") for name in told if name.endswith("*"))
    seen: dict[str, set[str]] = defaultdict(set)
    for name, value in (pair for run in runs for pair in _flat(run)):
        if name in told or not (name.startswith(elsewhere) or (name.endswith("[]") and isinstance(value, dict))):
            seen[name].add(KINDS[type(value)])
    return seen


@pytest.mark.parametrize("heading", RUNS)
def test_the_page_has_every_name_that_is_printed_and_no_other(heading: str, printed: dict[str, list[Any]]) -> None:
    told = TABLES[heading]
    assert _seen(printed[heading], told).keys() == {name for name in told if not name.endswith("*")}


@pytest.mark.parametrize("heading", RUNS)
def test_the_page_gives_the_type_of_every_value(heading: str, printed: dict[str, list[Any]]) -> None:
    told = TABLES[heading]
    for name, kinds in _seen(printed[heading], told).items():
        assert kinds <= set(told[name].split(" or ")), name


@pytest.mark.parametrize("heading", RUNS)
def test_no_value_is_called_nullable_that_never_was_null(heading: str, printed: dict[str, list[Any]]) -> None:
    told = TABLES[heading]
    never = {name for name, kinds in _seen(printed[heading], told).items() if "or null" in told[name] and "null" not in kinds}
    assert never <= {
        "images[].left_out[].platform",  # a child that its index gives no platform
        "images[].checks[].spec",
    }


def test_every_shape_on_the_page_was_printed() -> None:
    assert TABLES.keys() == RUNS.keys()


def test_the_verdicts_among_the_runs_are_of_every_kind(printed: dict[str, list[Any]]) -> None:
    verdicts = printed["verify, import, extract"]
    assert {verdict["passed"] for verdict in verdicts} == {True, False}
    reasons = {reason for verdict in verdicts for part in ("seal", "content") if verdict[part] for reason in verdict[part]["reasons"]}
    assert {"seal.signature", "time.expired", "content.frame"} <= reasons
    assert {reason for verdict in verdicts for image in verdict["images"] for reason in image["reasons"]} >= {
        "policy.no-match",
        "policy.threshold",
    }
