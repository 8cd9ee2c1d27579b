"""docs/spec/bundle-v1.md, section 7: what a seal says, in one spelling, and cannot contradict."""

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from bundler import strictjson
from bundler.bundle import payload as reading
from bundler.bundle import seal as module
from bundler.bundle.payload import seal_of
from bundler.bundle.seal import DERIVED, PREDICATE_TYPE, ImageEntry, Kind, Member, Outside, Seal, statement, time
from bundler.errors import BundlerError, Code, FormatError, IntegrityError
from bundler.oci import mediatype
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form, Found, LeftOut, Lookup, looked_up
from bundler.oci.reference import Reference
from tests.support.cases import each


def digest(text: str) -> Digest:
    return Digest.of(text.encode())


def member(kind: Kind, text: str, name: str | None = None) -> Member:
    return Member(kind, len(text), digest(text), name)


APP = "registry.example/app"
ABSENT = {"sig": "absent", "att": "absent", "sbom": "absent", "referrers": "absent", "fallback": "absent"}
KEY = member(Kind.TRUST, "key", f"oci-bundler/evidence/{digest('key').encoded}.pub")
MEMBERS = (
    *(member(kind, f"content of {name}", name) for kind, name in DERIVED.items()),
    *(member(Kind.DOCUMENT, "image"), member(Kind.CONFIG, "config"), member(Kind.DOCUMENT, "sig"), member(Kind.EVIDENCE, "payload")),
    *(KEY, member(Kind.BLOB, "layer")),
)
SEAL = Seal(
    stream="platform",
    sequence=7,
    previous=digest("before"),
    created=datetime(2024, 1, 1, tzinfo=UTC),
    expires=datetime(2024, 4, 1, tzinfo=UTC),
    checked_with=digest("trust"),
    images=(
        ImageEntry(
            reference=Reference.parse(f"{APP}:v1"),
            digest=digest("image"),
            media_type=mediatype.OCI_MANIFEST,
            size=5,
            platforms=("linux/amd64",),
            left_out=(LeftOut(digest("arm"), "linux/arm64"), LeftOut(digest("nothing"), None)),
        ),
    ),
    members=MEMBERS,
    lookups=(
        Lookup(
            APP,
            digest("image"),
            ABSENT | {"sig": "found", "fallback": "found"},
            (Found(digest("sig"), Form.SIG), Found(digest("sig"), Form.REFERRER)),
        ),
        Lookup(APP, digest("sig"), ABSENT | {"referrers": "no-api", "fallback": "foreign", "att": "not-asked"}),
    ),
    left_out=(Outside(digest("foreign"), "application/vnd.oci.image.layer.nondistributable.v1.tar", 7),),
)


def payload(edit: Callable[[dict[str, Any]], object] = lambda _: None, /, **told: Any) -> bytes:
    predicate = json.loads(json.dumps(SEAL.predicate()))
    edit(predicate)
    return strictjson.dumps(statement(predicate | told, MEMBERS[1].digest))


def refused(raw: bytes) -> BundlerError:
    with pytest.raises(BundlerError) as caught:
        seal_of(raw)
    return caught.value


def test_a_seal_reads_what_it_wrote() -> None:
    assert seal_of(SEAL.statement()) == SEAL
    assert payload() == SEAL.statement()


def test_the_statement_is_about_index_json_alone() -> None:
    value = json.loads(SEAL.statement())
    assert value["_type"] == "https://in-toto.io/Statement/v1"
    assert value["predicateType"] == PREDICATE_TYPE
    assert value["subject"] == [{"digest": {"sha256": digest("content of index.json").encoded}, "name": "index.json"}]


def test_the_predicate_has_every_field_and_null_where_there_is_nothing() -> None:
    bare = replace(SEAL, previous=None, expires=None, checked_with=None)
    nullable = {"previous", "station", "base", "requires_trust", "expires", "checked_with"}
    others = {"format", "stream", "sequence", "created", "images", "members", "lookups", "left_out"}
    assert set(json.loads(bare.statement())["predicate"]) == nullable | others
    for name in nullable:
        assert json.loads(bare.statement())["predicate"][name] is None
    assert seal_of(bare.statement()) == bare


def test_every_field_that_may_be_null_may_be_something() -> None:
    full = replace(SEAL, station="hall 7, \u00e4", requires_trust=3, sequence=(1 << 53) - 1)
    assert seal_of(full.statement()) == full
    least = replace(full, station="7", requires_trust=1, sequence=0)
    assert seal_of(least.statement()) == least
    most = replace(full, station="7" * 255, requires_trust=(1 << 53) - 1)
    assert seal_of(most.statement()) == most


def test_a_member_has_a_name_only_where_its_digest_does_not_give_it() -> None:
    assert MEMBERS[0].path == "oci-layout"
    assert MEMBERS[3].path == "blobs/sha256/" + digest("image").encoded
    assert "name" not in MEMBERS[3].to_json()


def test_a_time_is_spelt_in_utc() -> None:
    assert time(datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))) == "2024-01-01T00:00:00Z"
    assert time(datetime(999, 1, 1, tzinfo=UTC)) == "0999-01-01T00:00:00Z"


def test_lookups_are_found_by_repository_and_manifest() -> None:
    assert looked_up(SEAL.lookups)[APP, digest("sig")] is SEAL.lookups[1]


def test_a_digest_is_kept_once_whoever_names_it() -> None:  # a seal of 100,000 members is to stay small
    read = seal_of(SEAL.statement())
    assert read.images[0].digest is read.members[3].digest is read.lookups[0].manifest
    again = seal_of(payload(lambda p: p["lookups"].__setitem__(0, p["lookups"][0] | {"asked": p["lookups"][1]["asked"], "found": []})))
    assert again.lookups[0].asked is again.lookups[1].asked
    assert again.lookups[0].repository is again.lookups[1].repository


def test_a_seal_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        SEAL.stream = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        seal_of(SEAL.statement()).lookups[0].asked["sig"] = "absent"  # type: ignore[index]


TABLES: tuple[object, ...] = (None, {}, "x", [1], [None], [[]], [{}])
ODD: dict[str, tuple[object, ...]] = {
    "stream": ("", "../up", "a/b", "a b", ".hidden", "-x", "x" * 65, "\u00e4", 1, None, ["a"]),
    "sequence": (-1, 1 << 53, True, "1", None, []),
    "station": ("", "x" * 256, 1, []),
    "requires_trust": (0, -1, True, "1", 1 << 53),
    "created": (
        *(None, "", 1704067200, "2024-01-01", "2024-01-01T00:00:00", "2024-01-01t00:00:00z"),
        *("2024-01-01T00:00:00.0Z", "2024-01-01T00:00:00+00:00", "2024-13-01T00:00:00Z", "2024-W01-1T00:00:00Z"),
        *("2024-01-01T24:00:00Z", "2024-01-01T00:00:60Z", "0000-01-01T00:00:00Z", "2024-01-01T00:00:00Z\n"),
        "\uff12024-01-01T00:00:00Z",
    ),
    "expires": ("", 0, "never"),
    "format": (None, "1", True, []),
    "images": (*TABLES, []),
    "members": (*TABLES, []),
    "lookups": TABLES,
    "left_out": TABLES,
    "base": (*TABLES[1:], []),  # null in a whole bundle, which this is, and elsewhere is not there
    "elsewhere": (*TABLES, []),
    "unknown": (None,),
}


@each(
    ("name", "value"),
    [pytest.param(name, value, id=f"{name}={value!r}"[:60]) for name, values in ODD.items() for value in values],
)
def test_a_field_that_is_not_well_formed_is_refused(name: str, value: object) -> None:
    error = refused(payload(lambda predicate: predicate.update({name: value})))
    assert (error.exit, error.code) == (3, Code.FORMAT_SEAL)


@each("name", ["previous", "checked_with"])
@each("text", ["", "sha256:", "sha256:12", "md5:" + "0" * 32, "SHA256:" + "0" * 64, "sha256:" + "A" * 64, "sha256:" + "0" * 64 + "\n"])
def test_a_digest_that_is_none_is_refused(name: str, text: str) -> None:
    assert refused(payload(lambda predicate: predicate.update({name: text}))).code in (Code.FORMAT_DIGEST, Code.FORMAT_JSON)


def test_a_digest_of_another_algorithm_is_refused() -> None:
    assert refused(payload(previous=str(Digest.of(b"x", algorithm="sha512")))).code == Code.FORMAT_SEAL


@each("name", list(SEAL.predicate()))
def test_a_field_that_is_missing_is_refused(name: str) -> None:
    assert refused(payload(lambda predicate: predicate.pop(name))).code == Code.FORMAT_SEAL


def edits(where: str, number: int) -> Callable[..., bytes]:
    def edited(edit: Callable[[Any], object]) -> bytes:
        return payload(lambda predicate: edit(predicate[where][number]))

    return edited


image, document, key, lookup, other_lookup = (
    *(edits("images", 0), edits("members", 3)),
    *(edits("members", 7), edits("lookups", 0), edits("lookups", 1)),
)
foreign = edits("left_out", 0)
OTHER = str(digest("other"))


@each(
    ("raw", "code"),
    [
        *((edit(lambda item: item.update(unknown=1)), Code.FORMAT_SEAL) for edit in (image, document, lookup, foreign)),
        *(
            (image(lambda i, n=name: i.pop(n)), Code.FORMAT_SEAL)
            for name in ("reference", "digest", "mediaType", "size", "platforms", "left_out")
        ),
        *((document(lambda m, n=name: m.pop(n)), Code.FORMAT_SEAL) for name in ("kind", "sha256", "size")),
        *((lookup(lambda e, n=name: e.pop(n)), Code.FORMAT_SEAL) for name in ("repository", "manifest", "asked", "found")),
        *((foreign(lambda f, n=name: f.pop(n)), Code.FORMAT_SEAL) for name in ("digest", "mediaType", "size")),
        *(
            (edit(lambda item, s=size: item.update(size=s)), Code.FORMAT_SEAL)
            for edit in (image, document, foreign)
            for size in (-1, 1 << 53, "5", True, None)
        ),
        (image(lambda i: i.update(reference="app")), Code.FORMAT_SEAL),
        (image(lambda i: i.update(reference="registry.example/APP:v1")), Code.FORMAT_REFERENCE),
        (image(lambda i: i.update(reference="../etc/passwd")), Code.FORMAT_REFERENCE),
        (image(lambda i: i.update(reference="user:pass@registry.example/app:v1")), Code.FORMAT_DIGEST),
        (image(lambda i: i.update(reference=f"{APP}:v1@{i['digest']}")), Code.FORMAT_SEAL),
        (image(lambda i: i.update(reference=f"{APP}@{OTHER}")), Code.FORMAT_SEAL),
        (image(lambda i: i.update(reference="")), Code.FORMAT_SEAL),
        (image(lambda i: i.update(reference=f"{APP}:{digest('other').tag}")), Code.FORMAT_REFERENCE),
        (image(lambda i: i.update(reference=f"{APP}:{digest('other').tag}.sig")), Code.FORMAT_REFERENCE),
        (image(lambda i: i.update(mediaType="application/x-evil")), Code.FORMAT_MEDIA_TYPE),
        (image(lambda i: i.update(mediaType=mediatype.OCI_MANIFEST + "; charset=utf-8")), Code.FORMAT_MEDIA_TYPE),
        (image(lambda i: i.update(platforms=["linux/amd64", "linux/amd64"])), Code.FORMAT_SEAL),
        (image(lambda i: i.update(platforms=[""])), Code.FORMAT_SEAL),
        (image(lambda i: i.update(platforms=[5])), Code.FORMAT_SEAL),
        (image(lambda i: i.update(platforms="linux/amd64")), Code.FORMAT_SEAL),
        (image(lambda i: i["left_out"].append(i["left_out"][0])), Code.FORMAT_SEAL),
        (image(lambda i: i["left_out"][0].pop("platform")), Code.FORMAT_SEAL),
        (image(lambda i: i["left_out"][0].update(x=1)), Code.FORMAT_SEAL),
        (image(lambda i: i["left_out"][0].update(platform=1)), Code.FORMAT_SEAL),
        (image(lambda i: i["left_out"][0].update(digest="x")), Code.FORMAT_DIGEST),
        (payload(lambda p: p["images"].append(p["images"][0])), Code.FORMAT_SEAL),
        (document(lambda m: m.update(kind="script")), Code.FORMAT_SEAL),
        (document(lambda m: m.update(kind=1)), Code.FORMAT_SEAL),
        (document(lambda m: m.update(sha256="0" * 63)), Code.FORMAT_DIGEST),
        (document(lambda m: m.update(sha256=m["sha256"].upper())), Code.FORMAT_DIGEST),
        (document(lambda m: m.update(name=None)), Code.FORMAT_SEAL),
        (document(lambda m: m.update(name="blobs/sha256/" + m["sha256"])), Code.FORMAT_SEAL),
        (document(lambda m: m.update(name="blobs/sha256/" + m["sha256"] + ".tmp")), Code.FORMAT_SEAL),
        (document(lambda m: m.update(name="blobs/md5/" + "0" * 32)), Code.FORMAT_SEAL),
        (document(lambda m: m.update(name="../x")), Code.FORMAT_SEAL),
        (document(lambda m: m.update(name="install.sh")), Code.FORMAT_SEAL),
        (document(lambda m: m.update(kind="layout", name="oci-layout")), Code.FORMAT_SEAL),
        (document(lambda m: m.update(kind="trust")), Code.FORMAT_SEAL),
        (key(lambda m: m.pop("name")), Code.FORMAT_SEAL),
        (key(lambda m: m.update(kind="blob")), Code.FORMAT_SEAL),
        (key(lambda m: m.update(name=m["name"].replace(".pub", ".sh"))), Code.FORMAT_SEAL),
        (key(lambda m: m.update(name=m["name"].replace("evidence/", "evidence/../"))), Code.FORMAT_SEAL),
        (payload(lambda p: p["members"].append(p["members"][3])), Code.FORMAT_SEAL),
        (payload(lambda p: p["members"].append(p["members"][0])), Code.FORMAT_SEAL),
        (payload(lambda p: p["members"].insert(0, p["members"].pop(2))), Code.FORMAT_SEAL),
        (payload(lambda p: p["members"].pop(0)), Code.FORMAT_SEAL),
        (payload(lambda p: p["members"].pop(2)), Code.FORMAT_SEAL),
        (lookup(lambda e: e.update(repository="registry.example/other")), Code.FORMAT_SEAL),
        (lookup(lambda e: e.update(manifest="x")), Code.FORMAT_DIGEST),
        (lookup(lambda e: e["asked"].update(sig="no-api")), Code.FORMAT_SEAL),
        (lookup(lambda e: e["asked"].update(sig="error")), Code.FORMAT_SEAL),
        (lookup(lambda e: e["asked"].update(referrers="foreign")), Code.FORMAT_SEAL),
        (lookup(lambda e: e["asked"].update(sig=None)), Code.FORMAT_SEAL),
        (lookup(lambda e: e["asked"].update(other="found")), Code.FORMAT_SEAL),
        (lookup(lambda e: e["asked"].pop("sbom")), Code.FORMAT_SEAL),
        (lookup(lambda e: e.update(asked=[])), Code.FORMAT_SEAL),
        (lookup(lambda e: e["asked"].update(sig="absent")), Code.FORMAT_SEAL),
        (lookup(lambda e: e["asked"].update(fallback="absent")), Code.FORMAT_SEAL),
        (lookup(lambda e: e["found"][0].update(form="cosign")), Code.FORMAT_SEAL),
        (lookup(lambda e: e["found"][0].update(form="sbom")), Code.FORMAT_SEAL),
        (lookup(lambda e: e["found"][0].update(x=1)), Code.FORMAT_SEAL),
        (lookup(lambda e: e["found"].append(e["found"][0])), Code.FORMAT_SEAL),
        (other_lookup(lambda e: e.update(manifest=str(digest("image")))), Code.FORMAT_SEAL),
        (payload(lambda p: p["left_out"].append(p["left_out"][0])), Code.FORMAT_SEAL),
        (payload(format=2), Code.FORMAT_VERSION),
        (payload(format=99, more=1), Code.FORMAT_VERSION),
    ],
)
def test_what_a_seal_may_not_say_is_refused(raw: bytes, code: Code) -> None:
    error = refused(raw)
    assert (error.exit, error.code) == (3, code)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        pytest.param(image(lambda i: i.update(digest=OTHER)), Code.CONTENT_MISSING, id="an image that is no member"),
        pytest.param(image(lambda i: i.update(digest=str(digest("layer")))), Code.CONTENT_MISSING, id="an image that is a layer"),
        pytest.param(image(lambda i: i.update(size=6)), Code.CONTENT_SIZE, id="an image of another size (IDX-065)"),
        pytest.param(document(lambda m: m.update(name="blobs/sha256/" + "0" * 64)), Code.CONTENT_DIGEST, id="a blob's name (LAY-010)"),
        pytest.param(key(lambda m: m.update(sha256="0" * 64)), Code.CONTENT_DIGEST, id="a key's name"),
    ],
)
def test_what_a_seal_says_of_content_that_cannot_be_true_is_corrupt(raw: bytes, code: Code) -> None:
    error = refused(raw)
    assert isinstance(error, IntegrityError)
    assert (error.exit, error.code) == (4, code)


GOOD = json.loads(SEAL.statement())


@each(
    ("raw", "code"),
    [
        pytest.param(json.dumps(GOOD, sort_keys=True).encode(), Code.FORMAT_SEAL, id="spaces (BND-005)"),
        pytest.param(SEAL.statement() + b"\n", Code.FORMAT_SEAL, id="a line end"),
        pytest.param(b"\xef\xbb\xbf" + SEAL.statement(), Code.FORMAT_JSON, id="a byte order mark"),
        pytest.param(SEAL.statement().decode().encode("utf-16"), Code.FORMAT_JSON, id="UTF-16"),
        pytest.param(json.dumps(dict(reversed(GOOD.items())), separators=(",", ":")).encode(), Code.FORMAT_SEAL, id="another order"),
        pytest.param(SEAL.statement().replace(b"platform", b"\\u0070latform", 1), Code.FORMAT_SEAL, id="an escape too many"),
        pytest.param(SEAL.statement().replace(b'"sequence":7', b'"sequence":7.0'), Code.FORMAT_JSON, id="a float"),
        pytest.param(SEAL.statement().replace(b'"sequence":7', b'"sequence":-0'), Code.FORMAT_SEAL, id="minus zero"),
        pytest.param(SEAL.statement().replace(b'"sequence":7', b'"sequence":7,"sequence":8'), Code.FORMAT_JSON, id="a name twice"),
        pytest.param(b"", Code.FORMAT_JSON, id="nothing"),
        pytest.param(b"null", Code.FORMAT_SEAL, id="null"),
        pytest.param(b"[]", Code.FORMAT_SEAL, id="a list"),
        pytest.param(b"{}", Code.FORMAT_SEAL, id="an empty object"),
        pytest.param(b"[" * 100_000, Code.FORMAT_JSON, id="100,000 lists"),
        pytest.param(strictjson.dumps(GOOD | {"x": 1}), Code.FORMAT_SEAL, id="another member"),
        pytest.param(strictjson.dumps(GOOD | {"_type": "https://in-toto.io/Statement/v0.1"}), Code.FORMAT_SEAL, id="statement 0.1"),
        pytest.param(
            strictjson.dumps(GOOD | {"predicateType": "urn:oci-bundler:bundle:v2"}), Code.FORMAT_VERSION, id="version 2 (BND-029)"
        ),
        pytest.param(
            strictjson.dumps(GOOD | {"predicateType": "urn:oci-bundler:bundle:v99", "predicate": {}}), Code.FORMAT_VERSION, id="version 99"
        ),
        pytest.param(strictjson.dumps(GOOD | {"predicateType": "urn:oci-bundler:receipt:v1"}), Code.FORMAT_SEAL, id="a receipt (BND-021)"),
        pytest.param(strictjson.dumps(GOOD | {"predicateType": 1}), Code.FORMAT_SEAL, id="a predicate type that is no text"),
        pytest.param(strictjson.dumps(GOOD | {"predicate": []}), Code.FORMAT_SEAL, id="a predicate that is a list"),
        pytest.param(strictjson.dumps(GOOD | {"subject": []}), Code.FORMAT_SEAL, id="no subject"),
        pytest.param(strictjson.dumps(GOOD | {"subject": GOOD["subject"] * 2}), Code.FORMAT_SEAL, id="two subjects"),
        pytest.param(
            strictjson.dumps(GOOD | {"subject": [{"digest": {"sha256": "0" * 64}, "name": "index.json"}]}),
            Code.FORMAT_SEAL,
            id="another subject",
        ),
        pytest.param(
            strictjson.dumps(GOOD | {"subject": [GOOD["subject"][0] | {"name": "x"}]}), Code.FORMAT_SEAL, id="a subject of another name"
        ),
        pytest.param(SEAL.statement().replace(b'"platform"', b'"plat\\u0000form"'), Code.FORMAT_JSON, id="NUL"),
        pytest.param(SEAL.statement().replace(b'"platform"', b'"\\ud800"'), Code.FORMAT_JSON, id="half a character"),
    ],
)
def test_a_payload_in_any_other_spelling_is_refused(raw: bytes, code: Code) -> None:
    error = refused(raw)
    assert (error.exit, error.code) == (3, code)


@each(
    "raw",
    [
        *(edit(lambda item: item.update(unknown=1)) for edit in (image, document, lookup, foreign)),
        *(image(lambda i: i["left_out"][0].update(unknown=1)), lookup(lambda e: e["asked"].update(unknown="found"))),
        *(lookup(lambda e: e["found"][0].update(unknown=1)), payload(unknown=1)),
    ],
)
def test_a_field_that_is_not_known_is_named(raw: bytes) -> None:
    assert "has members that are not known: found ['unknown']" in str(refused(raw))


@each(
    ("raw", "words"),
    [
        (payload(lambda p: p.pop("expires")), "the predicate lacks expires"),
        (image(lambda i: i.update(reference=f"{APP}:{digest('image').tag}.att")), f"the name of evidence: found {APP}:sha256-"),
        (image(lambda i: i.update(reference="alpine")), "not in full: found alpine, wanted docker.io/library/alpine:latest"),
        (document(lambda m: m.update(mode=493)), "members has members that are not known: found mode"),
        (document(lambda m: m.update(kind="script")), "a kind that is not known: found script, wanted layout, index, docker"),
        (payload(images=[], lookups=[]), "it has no image"),
        (payload(stream=5), "stream in the predicate is not text: found 5"),
        (
            payload(created="2024-01-01T00:00:00+00:00"),
            "created is not a time: found 2024-01-01T00:00:00+00:00, wanted YYYY-MM-DDTHH:MM:SSZ",
        ),
    ],
)
def test_a_refusal_says_what_was_found(raw: bytes, words: str) -> None:
    assert words in str(refused(raw)).replace("'", "").replace("[", "").replace("]", "")


def test_a_newer_bundle_says_what_to_do() -> None:
    error = refused(payload(format=2))
    assert (error.found, error.wanted) == ("2", "1")
    assert error.next == "bring a newer oci-bundler to this station"


@pytest.mark.parametrize("told", [{"format": 2}, {"format": 2, "members": [{"kind": "new", "blake3": "00"}], "images": [{}]}])
def test_a_newer_bundle_is_told_whatever_its_lists_hold(told: dict[str, Any]) -> None:
    assert refused(payload(**told)).code == Code.FORMAT_VERSION


def test_an_entry_of_more_than_4_mib_is_refused_before_it_is_parsed() -> None:
    found = [{"digest": str(digest(str(number))), "form": "att"} for number in range((4 << 20) // 98)]
    error = refused(payload(lambda predicate: predicate["lookups"][0].update(found=found)))
    assert (error.exit, error.code) == (3, Code.LIMIT_SEAL)


def test_more_values_than_text_are_refused_as_a_limit_of_the_seal() -> None:
    assert refused(payload(previous=[[]] * (1 << 20))).code == Code.LIMIT_SEAL


@pytest.mark.parametrize(("images", "fits"), [(3, True), (4, False)])
def test_more_images_than_a_bundle_is_made_for_are_refused(monkeypatch: pytest.MonkeyPatch, images: int, fits: bool) -> None:
    monkeypatch.setattr(module, "MAX_IMAGES", 3)
    [one] = SEAL.images
    named = tuple(replace(one, reference=Reference.parse(f"{APP}:v{number}")) for number in range(images))
    if fits:
        assert seal_of(replace(SEAL, images=named).statement()).images == named
        return
    with pytest.raises(FormatError) as refused_by_writer:
        replace(SEAL, images=named)
    assert refused_by_writer.value.code == Code.LIMIT_SEAL
    again = [one.to_json() | {"reference": f"{APP}:v{number}"} for number in range(images)]
    assert refused(payload(images=again)).code == Code.LIMIT_SEAL


@pytest.mark.parametrize(("platforms", "fits"), [(20_000, True), (20_001, False)])
def test_different_platforms_are_counted_wherever_they_stand(platforms: int, fits: bool) -> None:
    [one] = SEAL.images
    there = [*one.platforms, *(child.platform for child in one.left_out if child.platform)]
    names = [*there, *(f"linux/a{number}" for number in range(platforms - len(there)))]
    images = [
        one.to_json() | {"reference": f"{APP}:one", "platforms": names[:15_000]},
        one.to_json() | {"reference": f"{APP}:two", "platforms": names[10_000:]},
    ]
    if fits:
        assert len(seal_of(payload(images=images)).images[1].platforms) == 10_000
    else:
        assert refused(payload(images=images)).code == Code.LIMIT_SEAL


def test_what_many_entries_name_is_kept_once() -> None:
    seal = seal_of(SEAL.statement())
    assert seal.images[0].digest is seal.members[3].digest is seal.lookups[0].manifest
    assert seal.lookups[0].repository is seal.lookups[1].repository
    assert seal.lookups[0].found[0].digest is seal.members[5].digest


@pytest.mark.parametrize(
    "raw", [SEAL.statement() + b" ", SEAL.statement()[:-1] + b" }", SEAL.statement().replace(b'"size":5', b'"size": 5', 1)]
)
def test_another_spelling_is_refused_wherever_it_is(raw: bytes) -> None:
    assert refused(raw).code == Code.FORMAT_SEAL
    assert not SEAL.is_spelt(raw)


def test_a_payload_that_ends_early_or_late_is_not_the_spelling() -> None:
    raw = SEAL.statement()
    assert SEAL.is_spelt(raw)
    assert not SEAL.is_spelt(raw[:-1])
    assert not SEAL.is_spelt(raw + b"}")


def test_a_seal_over_its_limit_is_neither_written_nor_read(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = SEAL.statement()
    for reader in (module, reading):
        monkeypatch.setattr(reader, "MAX_SEAL", len(raw))
    assert seal_of(raw).statement() == raw
    for reader in (module, reading):
        monkeypatch.setattr(reader, "MAX_SEAL", len(raw) - 1)
    with pytest.raises(FormatError) as too_large:
        SEAL.statement()
    assert (too_large.value.code, too_large.value.next) == (Code.LIMIT_SEAL, "split the list of images over two bundles")
    assert refused(raw).code == Code.LIMIT_SEAL


@each(
    "told",
    [
        {"created": datetime(2024, 1, 1)},  # noqa: DTZ001
        {"expires": datetime(2024, 1, 1, microsecond=1, tzinfo=UTC)},
        {"stream": "a/b"},
        {"sequence": -1},
        {"lookups": (Lookup(APP, digest("image"), ABSENT | {"dns": "absent"}),)},
        {"lookups": (Lookup(APP, digest("image"), {"sig": "absent"}),)},
    ],
)
def test_a_writer_cannot_make_what_a_reader_refuses(told: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        replace(SEAL, **told)
    assert caught.value.code == Code.FORMAT_SEAL


def test_nobody_can_make_a_seal_with_more_platforms_than_are_read() -> None:
    [image] = SEAL.images
    there = [*image.platforms, *(child.platform for child in image.left_out if child.platform)]
    names = [*image.platforms, *(f"linux/a{number}" for number in range(20_000 - len(there)))]
    assert replace(SEAL, images=(replace(image, platforms=tuple(names)),)).images
    with pytest.raises(FormatError) as refused:
        replace(SEAL, images=(replace(image, platforms=(*names, "linux/more")),))
    assert refused.value.code == Code.LIMIT_SEAL


@pytest.mark.parametrize(("size", "fits"), [(4 << 20, True), ((4 << 20) + 1, False)])
def test_nobody_can_make_a_seal_with_a_longer_entry_than_is_read(size: int, fits: bool) -> None:
    [image] = SEAL.images
    least = len(strictjson.dumps(image.to_json()))
    long = replace(SEAL, images=(replace(image, platforms=(image.platforms[0] + "x" * (size - least), *image.platforms[1:])),))
    if fits:
        assert seal_of(long.statement()).images == long.images
        return
    with pytest.raises(FormatError) as refused:
        long.statement()
    assert refused.value.code == Code.LIMIT_SEAL


@pytest.mark.parametrize("algorithm", ["sha512", "md5"])
def test_a_digest_that_is_known_is_not_another_algorithms_too(algorithm: str) -> None:
    assert refused(payload(previous=f"{algorithm}:{digest('image').encoded}")).code == Code.FORMAT_DIGEST


def test_no_platform_is_read_behind_the_one_that_is_too_many() -> None:
    platforms: list[Any] = [f"linux/{number}" for number in range(20_001)]
    error = refused(payload(lambda predicate: predicate["images"][0].update(platforms=[*platforms, 1])))
    assert (error.exit, error.code) == (3, Code.LIMIT_SEAL)
    error = refused(payload(lambda predicate: predicate["images"][0].update(platforms=[*platforms[:19_000], 1])))
    assert error.code == Code.FORMAT_SEAL


def test_a_member_is_looked_up_by_its_name_where_it_has_one() -> None:
    assert [member.key for member in (MEMBERS[0], MEMBERS[3], KEY)] == ["oci-layout", digest("image").encoded, KEY.name]


@each("value", [7, None, True, "linux/amd64", {"linux/amd64": 1}])
@each("name", ["platforms", "left_out"])
def test_a_list_inside_an_entry_is_a_list(name: str, value: Any) -> None:
    error = refused(payload(lambda predicate: predicate["images"][0].update({name: value})))
    assert error.code == Code.FORMAT_SEAL
    assert f"{name} in images is not a list" in str(error)


FAR = Outside(digest("far"), "application/vnd.oci.image.layer.v1.tar", 3)


def test_a_delta_says_what_lies_elsewhere_and_what_brought_it() -> None:
    base = tuple(sorted((digest("one"), digest("two")), key=str))
    delta = replace(SEAL, base=base, elsewhere=(FAR,))
    assert seal_of(delta.statement()) == delta
    value = json.loads(delta.statement())["predicate"]
    assert value["base"] == list(map(str, base))
    assert value["elsewhere"] == [{"digest": str(FAR.digest), "mediaType": FAR.media_type, "size": 3}]


@each(
    "told",
    [
        {"base": ()},
        {"elsewhere": ()},
        {"base": tuple(sorted((digest("one"), digest("two")), key=str, reverse=True))},
        {"base": (digest("one"), digest("one"))},
        {"elsewhere": (FAR, FAR)},
        {"elsewhere": (replace(FAR, digest=digest("layer")),)},
        {"elsewhere": (replace(FAR, digest=digest("image")),)},
    ],
    ids=["no base", "nothing elsewhere", "base not in order", "base twice", "elsewhere twice", "a member", "an image"],
)
def test_a_delta_that_contradicts_itself_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(FormatError) as caught:
        replace(SEAL, **{"base": (digest("one"),), "elsewhere": (FAR,)} | told)
    assert caught.value.code == Code.FORMAT_SEAL


def test_a_file_of_trust_may_have_the_bytes_of_a_layer_elsewhere() -> None:
    delta = replace(SEAL, base=(digest("one"),), elsewhere=(replace(FAR, digest=digest("key")),))
    assert seal_of(delta.statement()) == delta
