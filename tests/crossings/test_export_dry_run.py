"""A dry run: what it wants, what it says, and that nothing comes of it."""

import pytest

from tests.support.station import Crossing, Ran, run


def dry(crossing: Crossing, *words: object) -> Ran:
    return run("export", *words, "--dry-run", "--json")


def test_it_wants_neither_file_nor_key(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    before = sorted(crossing.folder.iterdir())
    done = dry(crossing, image.reference)
    assert done.exit == 0, done.err
    assert [done.json[name] for name in ("file", "sha256", "bundle", "failed")] == [None, None, None, []]
    assert sorted(crossing.folder.iterdir()) == before


def test_a_file_that_is_named_is_said_and_not_looked_at(crossing: Crossing) -> None:
    (crossing.folder / "taken").write_text("other")
    assert dry(crossing, crossing.signed_image().reference, "-o", crossing.folder / "taken").json["file"] == str(crossing.folder / "taken")
    assert (crossing.folder / "taken").read_text() == "other"


def test_keys_that_are_named_count(crossing: Crossing) -> None:
    image = crossing.signed_image().reference
    key = crossing.keys["exporter"]
    more = dry(crossing, image, "--key", key).json["size"] - dry(crossing, image).json["size"]
    assert more == len(key.with_suffix(".pub").read_bytes())
    assert dry(crossing, image, "--key", crossing.folder / "none").exit == 2


@pytest.mark.parametrize("given", [(), ("-o", "b"), ("--key", "exporter.key")])
def test_without_it_both_are_wanted(crossing: Crossing, given: tuple[str, ...]) -> None:
    words = [crossing.folder / word if not word.startswith("-") else word for word in given]
    done = run("export", crossing.signed_image().reference, *words, "--json")
    assert (done.exit, done.code) == (2, "usage")
    assert done.json["error"]["wanted"] == "-o FILE and --key KEY, or --dry-run to write nothing"


def test_an_image_has_the_size_that_it_takes_alone_and_what_is_shared_counts_once(crossing: Crossing) -> None:
    content = crossing.content
    one = crossing.signed_image("team/one:v1", words="shared")
    other = content.manifest(one.root.blobs[0], [*one.root.blobs[1:], content.layer("more")])
    two = crossing.push(crossing.sign(other), "team/two:v1")
    parts = [(image.root, content.tags[f"{image.root.digest.tag}.sig"]) for image in (one, two)]
    made = [
        {d.digest: len(d.raw) for d in documents} | {blob.digest: blob.size for d in documents for blob in d.blobs} for documents in parts
    ]
    assert made[0].keys() & made[1].keys() >= {blob.digest for blob in one.root.blobs}
    sizes = set()
    for words in ((one.reference, two.reference), (two.reference, one.reference)):
        said = dry(crossing, *words).json
        sizes.add(said["size"])
        assert {image["reference"]: image["size"] for image in said["images"]} == {
            one.reference: sum(made[0].values()),
            two.reference: sum(made[1].values()),
        }
    crossing.export(one, two, to="b")
    members = run("inspect", crossing.folder / "b", "--json").json["claims"]["members"]
    described = sum(member["size"] for member in members if member["kind"] in {"layout", "index", "docker"})
    assert sizes == {sum((made[0] | made[1]).values()) + described}


def test_it_says_size_evidence_and_platforms_in_words(crossing: Crossing) -> None:
    image = crossing.push(crossing.sign(crossing.content.index()))
    done = run("export", image.reference, "--dry-run", "-v")
    size = dry(crossing, image.reference).json["images"][0]["size"]
    assert done.first.startswith("would carry 1 image, ")
    assert done.out.splitlines()[1:] == [
        f"unverified  {image.reference}  {image.root.digest.encoded[:12]}  {size / 1024:.1f} KiB  evidence 1",
        f"         {image.reference}",
        f"         {image.root.digest}",
        "         1 piece of evidence; linux/amd64, linux/arm64",
        "the size of an image is what it takes alone; what several share counts once",
    ]
    assert len(run("export", image.reference, "--dry-run").out.splitlines()) == 3


def test_thirty_images_are_a_screen(crossing: Crossing) -> None:
    names = [crossing.push(crossing.sign(crossing.content.image("words")), f"team/service-{number}:1.0").reference for number in range(30)]
    done = run("export", *names, "-o", crossing.folder / "b", "--key", crossing.keys["exporter"], env={"COLUMNS": "80"})
    lines = done.out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines[1:])) <= 80
    assert sum(line.startswith("unverified  ") and line.endswith("  evidence 1") for line in lines) == 30


def test_it_finds_what_fails_and_goes_on_where_it_may(crossing: Crossing) -> None:
    good, bad = crossing.signed_image().reference, f"{crossing.here.host}/team/none:v1"
    assert [dry(crossing, good, bad, *flags).exit for flags in ((), ("--skip-failing",))] == [6, 9]
    assert len(dry(crossing, good, bad, "--skip-failing").json["images"]) == 1
