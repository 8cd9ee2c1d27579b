"""What ``diff`` says: the answer first, who signs no more on top, thirty images on one screen of 80 columns."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bundler.cli.differences import difference_lines
from bundler.cli.terminal import Terminal
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.stations.comparing import compare
from bundler.stations.holdings import Config, Details, FileKind, Held, Holdings, Part, Sealed, Told
from bundler.stations.report import TrustUsed
from bundler.stations.vouching import Maker, Piece
from tests.support import signing
from tests.support.bundles import Bundle
from tests.support.cases import each
from tests.support.layouts import Content
from tests.support.signing import EXPORTER, Key
from tests.support.station import RELEASE, STRANGER, Ran, run, write_trust

PLATFORM = "registry.example/platform"
MIB = 1 << 20
TEAM = Maker("key", RELEASE.fingerprint, proved=True, name="release team")
OTHER = Maker("key", STRANGER.fingerprint, proved=False)
SPDX = "https://spdx.dev/Document"


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def digest(word: object) -> Digest:
    return Digest.of(str(word).encode())


def short(word: object) -> str:
    return digest(word).encoded[:12]


def held(name: str, word: object, *, by: Iterable[Maker] = (TEAM,), evidence: Iterable[Piece] = (), **part: Any) -> Held:
    """An image of one layer of 10 MiB and one of a MiB, of which the digests follow from the ``word``."""
    layers = {digest(f"base {word}"): 10 * MIB, digest(f"top {word}"): MIB}
    told = {"platform": "linux/amd64", "layers": layers, "config": None} | part
    details = Details(frozenset(by), Told.ALL, (Part(**told),), tuple(evidence), 11 * MIB)
    return Held(Reference.parse(f"{PLATFORM}/{name}"), digest(word), lambda: details, lambda: str((word, details)).encode())


def side(*images: Held, **more: Any) -> Holdings:
    number = more.pop("sequence", 10)
    layers = {d: size for image in images for part in image.details().parts or () for d, size in part.layers.items()}
    sealed = Sealed(verified=True, by=(Maker("key", EXPORTER.fingerprint, proved=True, name="exporter"),))
    others = {image.digest: 4096 for image in images}
    facts = {"identity": digest(number), "stream": "platform", "sequence": number, "created": f"2026-{number}-28T12:00:00Z"}
    told: dict[str, Any] = facts | {"kind": FileKind.BUNDLE, "station": None, "sealed": sealed, "blobs": layers, "others": others}
    return Holdings(images={image.reference: image for image in images}, **(told | more))


def screen(before: Holdings, after: Holdings, *, verbose: int = 0, trusting: bool = True, quiet: bool = False) -> list[str]:
    out = Terminal(json=False, quiet=quiet, verbose=verbose, color=False)
    trust = TrustUsed(Path("/etc/oci-bundler/trust"), digest("trust")) if trusting else None
    return list(difference_lines(out, compare(before, after), (Path("october.oci.tar.zst"), Path("november.oci.tar.zst")), trust))


def head(then: int = 10, now: int = 11) -> list[str]:
    sealed = f"         seal ok, by exporter ({EXPORTER.fingerprint[:19]}…)"
    return [
        f"before   october.oci.tar.zst, made 2026-{then}-28",
        f"         {str(digest(then))[:19]}…, stream platform, number {then}",
        sealed,
        f"after    november.oci.tar.zst, made 2026-{now}-28",
        f"         {str(digest(now))[:19]}…, stream platform, number {now}",
        sealed,
        f"trust    {str(digest('trust'))[:19]}… at /etc/oci-bundler/trust",
    ]


def row(word: str, name: str, of: object, sizes: str = "") -> str:
    """A row of which the name is shortened by what all names begin with."""
    return f"{word:7}  {f'…{name}':15}  {short(of)}  {sizes:>19}".rstrip()


def test_a_month_of_thirty_images_is_one_screen_with_other_signers_on_top() -> None:
    same = [held(f"service-{n:02}:1.0", n) for n in range(22)]
    before = [
        *same,
        *(held(f"service-{n:02}:1.0", f"old {n}") for n in range(22, 27)),
        held("moved:1.0", "moved"),
        held("gone:1.0", "gone"),
    ]
    after = [
        *same,
        held("service-22:1.0", "new 22", by=[OTHER]),
        held("service-23:1.0", "new 23", by=[]),
        held("service-24:1.0", "new 24", evidence=[Piece(SPDX, digest("spdx"), 1, frozenset({TEAM}))]),
        *(held(f"service-{n:02}:1.0", f"new {n}") for n in (25, 26)),
        held("moved:1.1", "moved"),
        *(held(f"added-{n}:1.0", f"added {n}") for n in range(2)),
    ]
    seen = screen(side(*before), side(*after, sequence=11))
    answer = ["DIFFERENT: 2 by other signers; 5 changed, 1 moved, 2 added, 1 gone, 22 same"]
    team = f"release team ({RELEASE.fingerprint[:19]}…)"
    assert seen == [
        *answer,
        *head(),
        "carry    77.0 MiB in 14 layers, of 330.0 MiB in 60; 120.0 KiB of manifests,",
        "         configs and evidence go each time",
        f"names    …NAME is {PLATFORM}/NAME",
        f"signers: by {team} before, by {STRANGER.fingerprint[:19]}…",
        "  (unverified) now",
        row("changed", "service-22:1.0", "new 22", "+11.0 MiB -11.0 MiB"),
        f"signers: by {team} before, by nobody now",
        row("changed", "service-23:1.0", "new 23", "+11.0 MiB -11.0 MiB"),
        "signed as before, or not there before:",
        *(row("changed", f"service-{n}:1.0", f"new {n}", "+11.0 MiB -11.0 MiB") for n in (24, 25, 26)),
        row("moved", "moved:1.1", "moved"),
        f"  from {PLATFORM}/moved:1.0",
        *(row("added", f"added-{n}:1.0", f"added {n}", "+11.0 MiB") for n in range(2)),
        row("gone", "gone:1.0", "gone", "-11.0 MiB"),
        f"note: {PLATFORM}/service-24:1.0: evidence new:",
        f"  {SPDX} by {team}",
        *answer,
    ]
    assert len(seen) <= 40
    assert max(map(len, seen)) <= 80


def test_what_is_the_same_says_so() -> None:
    seen = screen(side(held("a:1", "a")), side(held("a:1", "a"), sequence=11))
    assert seen == [
        "SAME: 1 image, and nothing about them has changed",
        *head(),
        "carry    0 B in 0 layers, of 11.0 MiB in 2; 4.0 KiB of manifests, configs and",
        "         evidence go each time",
    ]


def test_without_trust_nothing_is_said_to_be_verified() -> None:
    unnamed = Maker("key", None, proved=False)
    unsealed = Sealed(verified=False)
    before = side(held("a:1", "old", by=[unnamed]), sealed=unsealed)
    seen = screen(before, side(held("a:1", "new", by=[unnamed]), sequence=11, sealed=unsealed), trusting=False)
    assert seen == [
        "DIFFERENT: 1 changed",
        "before   october.oci.tar.zst, made 2026-10-28",
        f"         {str(digest(10))[:19]}…, stream platform, number 10",
        "         seal NOT VERIFIED: without trust, anybody may have written it",
        "after    november.oci.tar.zst, made 2026-11-28",
        f"         {str(digest(11))[:19]}…, stream platform, number 11",
        "         seal NOT VERIFIED: without trust, anybody may have written it",
        "signers  NOT VERIFIED: as the signatures say; --trust DIR verifies whose they",
        "         are",
        "carry    11.0 MiB in 2 layers, of 11.0 MiB in 2; 4.0 KiB of manifests, configs",
        "         and evidence go each time",
        f"changed  {PLATFORM}/a:1  {short('new')}  +11.0 MiB -11.0 MiB",
        "note: nothing names who signed 1 changed image, so it may be somebody else now",
    ]


def test_a_seal_that_trust_does_not_know_is_said_with_what_was_found() -> None:
    untrusted = Sealed(verified=False, details=("signature 1 is by no key that may seal", "nobody is trusted to seal anything"))
    seen = screen(side(held("a:1", "a")), side(held("a:1", "a"), sequence=11, sealed=untrusted))
    assert seen[3:8] == [
        head()[2],
        *head()[3:5],
        "         seal NOT TRUSTED: signature 1 is by no key that may seal; nobody is",
        "         trusted to seal anything",
    ]


def test_that_the_older_one_came_second_is_said() -> None:
    seen = screen(side(held("a:1", "a"), sequence=11), side(held("a:1", "a")))
    assert seen[-1] == "note: B comes before A in their stream: were they meant the other way round?"


def test_what_stations_say_is_said_to_be_theirs() -> None:
    none: dict[str, Any] = {"identity": None, "stream": None, "sequence": None, "images": None, "others": {}}
    unsigned = Sealed(verified=False)
    receipt = side(held("a:1", "a"), kind=FileKind.RECEIPT, station="plant 7", sealed=unsigned, others={})
    blobs = {digest("base a"): 10 * MIB}
    said = replace(receipt, **none | {"kind": FileKind.RETURN, "sealed": side().sealed, "blobs": blobs})
    assert screen(receipt, said, trusting=False) == [
        "NO IMAGES: a return file names none; 0 layers would have to be carried",
        "before   october.oci.tar.zst, made 2026-10-28",
        f"         a receipt of plant 7, {str(digest(10))[:19]}…, stream platform, number 10",
        "         signature NOT VERIFIED: without --key, anybody may have written it",
        "after    november.oci.tar.zst, made 2026-10-28",
        "         a return file of plant 7",
        f"         signature ok, by exporter ({EXPORTER.fingerprint[:19]}…)",
        "carry    0 B in 0 layers, of 10.0 MiB in 1",
    ]


def test_signers_that_cannot_be_compared_are_said_to_be_so() -> None:
    name = Reference.parse(f"{PLATFORM}/a:1")
    details = [Details(frozenset({TEAM}), told) for told in (Told.COUNTED, Told.CLAIMED)]
    before, after = (side(Held(name, digest(each.told), partial(replace, each), lambda: None)) for each in details)
    assert screen(before, after, trusting=False)[-2:] == [
        "note: who signed 1 image is verified on one side only, and was not compared:",
        "  give --trust DIR",
    ]


@each(
    ("then", "now", "told"),
    [
        ((TEAM,), (OTHER,), "by {team} before, by {other} now"),
        ((TEAM, OTHER), (TEAM,), "by {other} before, no more now"),
        ((TEAM,), (), "by {team} before, by nobody now"),
        ((), (TEAM,), "by {team} now, by nobody before"),
        ((TEAM,), (TEAM, OTHER), "by {other} now, not before"),
        ((TEAM,), (Maker("key", None, proved=False),), "by {team} before, by a key that nothing names now"),
        ((TEAM,), (Maker("identity", None, proved=False),), "by {team} before, by a certificate that cannot be read now"),
    ],
)
def test_who_signed_before_and_who_does_now(then: tuple[Maker, ...], now: tuple[Maker, ...], told: str) -> None:
    seen = screen(side(held("a:1", "old", by=then)), side(held("a:1", "new", by=now), sequence=11))
    start = next(number for number, line in enumerate(seen) if line.startswith("signers: "))
    text = " ".join(line.strip() for line in seen[start : next(n for n, line in enumerate(seen) if line.startswith("changed"))])
    team, other = f"release team ({RELEASE.fingerprint[:19]}…)", f"{STRANGER.fingerprint[:19]}… (unverified)"
    assert text == f"signers: {told.format(team=team, other=other)}"


def test_platforms_configs_and_names_are_noted_once_for_all_that_they_are_true_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    then, now = (Config(f"{year}-01-01", user, ("/x",), (), frozenset()) for year, user in ((2025, "root"), (2026, None)))
    before = side(*(held(f"{name}:1", f"old {name}", config=then) for name in "abc"), held("d:1", "d"))
    arm = held("c:1", "new c", platform="linux/arm64", config=None)
    after = side(*(held(f"{name}:1", f"new {name}", config=now) for name in "ab"), arm, held("d:1", "d"), held("e:1", "d"), sequence=11)
    notes = [line for line in screen(before, after) if line.startswith("note: ")]
    assert notes == [
        "note: its config says otherwise: user (2 images)",
        f"note: {PLATFORM}/c:1: for linux/arm64",
        f"note: {PLATFORM}/c:1: no more for linux/amd64",
        f"note: {PLATFORM}/e:1: the same image as {PLATFORM}/d:1 before",
    ]


def test_details_are_told_with_v_and_every_layer_with_vv() -> None:
    config = (Config("2025", None, (), (), frozenset()), Config("2026", None, (), (), frozenset()))
    provenance = Piece("https://slsa.dev/provenance/v1", digest("slsa"), 2048)
    before = side(held("a:1", "old", config=config[0], evidence=[provenance]), held("gone:1", "gone"))
    after = side(held("a:1", "new", config=config[1], evidence=[provenance]), sequence=11)
    seen = screen(before, after, verbose=2)
    start = seen.index(f"changed  {PLATFORM}/a:1     {short('new')}  +11.0 MiB -11.0 MiB")
    assert seen[start + 1 :] == [
        f"         {PLATFORM}/a:1",
        f"         {digest('old')}, before",
        f"         {digest('new')}",
        "         linux/amd64: layers: 2 new, 11.0 MiB; 2 gone, 11.0 MiB",
        f"           new {digest('base new')} 10.0 MiB",
        f"           new {digest('top new')} 1.0 MiB",
        f"           gone {digest('base old')} 10.0 MiB",
        f"           gone {digest('top old')} 1.0 MiB",
        "           other in its config: created",
        f"         signed by release team ({RELEASE.fingerprint})",
        "         with https://slsa.dev/provenance/v1, which nobody signed by itself, 2.0 KiB",
        f"gone     {PLATFORM}/gone:1  {short('gone')}            -11.0 MiB",
        f"         {PLATFORM}/gone:1",
        f"         {digest('gone')}",
        "         linux/amd64: 2 layers, 11.0 MiB",
        f"           {digest('base gone')} 10.0 MiB",
        f"           {digest('top gone')} 1.0 MiB",
        f"         signed by release team ({RELEASE.fingerprint})",
        "DIFFERENT: 1 changed, 1 gone",
    ]
    assert not any(line.strip().startswith("new ") for line in screen(before, after, verbose=1))


def test_who_wants_one_line_gets_all_of_the_answer_in_it() -> None:
    changes = [held(f"{n}:1", f"old {n}") for n in range(1000)]
    before = side(*changes, held("m:1", "m"), held("g:1", "g"), held("e:1", "e"), held("s:1", "s"))
    others = [held(f"{n}:1", f"new {n}", by=[]) for n in range(1000)]
    same = [held("m:2", "m"), held("n:1", "n"), held("e:1", "e", by=[]), held("s:1", "s")]
    first = screen(before, side(*others, *same, sequence=11), quiet=True)[0]
    assert first == "DIFFERENT: 1001 by other signers; 1000 changed, 1 moved, 1 only in evidence, 1 added, 1 gone, 1 same"


# --- the command ---


def bundle(path: Path, words: Mapping[str, str], *, by: Key = RELEASE, sealed: Key = EXPORTER, **fields: Any) -> Path:
    """A bundle of images by their names, all of them signed by one key."""
    content = Content()
    images = {name: content.image(word) for name, word in words.items()}
    for image in images.values():
        content.sig(image.digest, signing.signed(image, by))
    return write(path, Bundle.of(content, images, **fields), by=sealed)


def write(path: Path, made: Bundle, *, by: Key = EXPORTER) -> Path:
    made.write(path, keys=(by,))
    return path


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return write_trust(tmp_path / "trust", rules=[signing.rule(RELEASE, scope="**")], seals=[signing.seal(EXPORTER)])


@pytest.fixture
def months(tmp_path: Path) -> tuple[Path, Path]:
    names = [f"{PLATFORM}/{word}:1" for word in ("a", "b")]
    old = bundle(tmp_path / "old", dict.fromkeys(names[:1], "old"))
    return old, bundle(tmp_path / "new", dict(zip(names, ("new", "b"), strict=True)), by=STRANGER, sequence=2)


def test_the_exit_code_is_0_whether_or_not_they_differ(months: tuple[Path, Path], trust: Path) -> None:
    """As of git diff, and not 1 as of diff, which is a bug of ours; a script asks for ``same``."""
    for first, second, same in ((months[0], months[0], True), (*months, False)):
        for flags in ((), ("--trust", trust)):
            told = run("diff", first, second, "--json", *flags)
            assert (told.exit, told.err, told.json["same"]) == (0, "", same)
            assert run("diff", first, second, *flags).first.startswith("SAME" if same else "DIFFERENT")


def test_json_has_the_whole_difference(months: tuple[Path, Path], trust: Path) -> None:
    told = run("diff", *months, "--trust", trust, "--json").json
    assert told["trust"]["path"] == str(trust)
    assert [told[side]["seal"]["verified"] for side in ("before", "after")] == [True, True]
    [changed] = told["changed"]
    assert [by["id"] for by in changed["signers"]["gone"]] == [RELEASE.fingerprint]
    assert changed["signers"]["new"] == [{"kind": "key", "id": None, "name": None, "proved": False}]
    assert [image["reference"] for image in told["added"]] == [f"{PLATFORM}/b:1"]
    assert told["carry"]["layers"] == 2
    assert run("diff", *months, "--json").json["trust"] is None


def test_trust_that_the_station_has_is_found_as_by_verify(months: tuple[Path, Path], trust: Path) -> None:
    assert "seal ok" in run("diff", *months, env={"OCI_BUNDLER_TRUST": str(trust)}).out
    assert "seal NOT VERIFIED" in run("diff", *months).out
    nowhere = run("diff", *months, "--trust", trust / "nowhere", "--json")
    assert (nowhere.exit, nowhere.code) == (2, "trust.missing")


def test_what_cannot_be_read_ends_as_everywhere(months: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a bundle")
    cut = tmp_path / "cut"
    cut.write_bytes(months[0].read_bytes()[:-50])

    def ends(first: Path, second: Path) -> tuple[int, str]:
        done: Ran = run("diff", first, second, "--json")
        return done.exit, done.code

    assert ends(months[0], tmp_path / "nowhere") == (2, "usage.input")
    assert ends(tmp_path / "nowhere", months[0]) == (2, "usage.input")
    assert ends(months[0], tmp_path / "text") == (3, "format.bundle")
    assert ends(cut, months[0]) == (4, "content.truncated")
    assert run("diff", months[0], "--json").code == "usage"


def test_nothing_from_a_foreign_bundle_is_obeyed_by_a_terminal(tmp_path: Path, trust: Path) -> None:
    """Platforms, types of evidence, identities: all that whoever wrote the bundle chose."""
    evil = "\x1b[2J\u202e\r"
    content = Content()
    image = content.image("evil")
    content.sig(image.digest, signing.signed(image, RELEASE))
    content.att(image.digest, signing.att(image, RELEASE, f"https://evil.example/{evil}"))
    content.artifact(b"{}", "application/x", subject=image)
    odd = content.image("new", runs={"User": evil, "Env": [f"{evil}=1"]})
    path = write(tmp_path / "evil", Bundle.of(content, {f"{PLATFORM}/a:1": image, f"{PLATFORM}/b:1": odd}))
    plain = bundle(tmp_path / evil, {f"{PLATFORM}/a:1": "old", f"{PLATFORM}/b:1": "old"})
    for flags in ((), ("--trust", trust), ("-vv",), ("--json",)):
        told = run("diff", plain, path, *flags)
        assert (told.exit, told.err) == (0, "")
        assert not set(told.out) & set("\x1b\u202e\r")
    assert "https://evil.example/\\x1b[2J\\u202e\\r" in run("diff", plain, path, env={"COLUMNS": "300"}).out
    [kept] = [each for each in run("diff", plain, path, "--json").json["changed"] if each["after"]["evidence"]]
    assert f"https://evil.example/{evil}" in [piece["type"] for piece in kept["evidence"]["new"]]
