"""Thousands of images compared, in memory that is bounded by what the files say of them."""

from pathlib import Path

import pytest

from bundler.bundle.composition import compose, entry
from bundler.bundle.seal import Seal
from bundler.oci.lookup import Form, Found, Lookup
from bundler.oci.reference import Reference
from tests.support import receipts, signing
from tests.support.bundles import CREATED, Bundle, documents_of
from tests.support.layouts import Content
from tests.support.measured import MIB, Measured, measured
from tests.support.signing import EXPORTER, rule, seal
from tests.support.station import RELEASE, write_trust

ABSENT = dict.fromkeys(("sig", "att", "sbom", "referrers", "fallback"), "absent")


def bundle(path: Path, count: int, *, changed: int) -> Path:
    """So many images, each signed and in a repository of its own; every ``changed``-th is another one than where that is another number."""
    content, images, lookups = Content(), {}, []
    layer = content.layer("all of them")
    for number in range(count):
        words = f"{number} {changed if number % changed == 0 else ''}"
        image = content.image(words, layers=[layer], runs={"User": words})
        found = content.sig(image.digest, signing.signed(image, RELEASE))
        reference = Reference.parse(f"registry.example/team-{number % 100}/application-{number}:v1")
        images[reference] = image
        lookups += [
            Lookup(reference.repository, image.digest, ABSENT | {"sig": "found"}, (Found(found.digest, Form.SIG),)),
            Lookup(reference.repository, found.digest, ABSENT),
        ]
    document = documents_of(content)
    entries = [entry(reference, image, document, platforms=["linux/amd64"]) for reference, image in images.items()]
    made = compose(entries, lookups, document)
    sealed = Seal(stream="default", sequence=changed, created=CREATED, images=tuple(entries), members=made.members, lookups=made.lookups)
    files = dict(made.derived)
    for member in made.members:
        if member.path not in files:
            known = content.documents.get(member.digest)
            files[member.path] = known.raw if known else content.blobs[member.digest]
    Bundle(sealed, files).write(path, keys=(EXPORTER,))
    return path


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    return write_trust(tmp_path / "trust", rules=[rule(RELEASE, scope="**")], seals=[seal(EXPORTER)])


def differ(before: Path, after: Path, *words: object) -> Measured:
    done = measured("diff", before, after, "--quiet", *words)
    assert (done.exit, done.err) == (0, "")
    return done


def test_bundles_of_three_thousand_images_take_at_most_128_mib(tmp_path: Path, trust: Path) -> None:
    """Against itself, for all that is the same is looked at; and against a tenth of it, for what is gone is told of."""
    many, few = bundle(tmp_path / "1", 3000, changed=10), bundle(tmp_path / "2", 300, changed=5)
    for after, told in (
        (many, "SAME: 3000 images, and nothing about them has changed\n"),
        (few, "DIFFERENT: 60 changed, 2700 gone, 240 same\n"),
    ):
        done = differ(many, after, "--trust", trust)
        assert (done.out, done.peak < 128 * MIB) == (told, True), done.peak


def test_two_receipts_of_ten_thousand_images_take_at_most_512_mib(tmp_path: Path) -> None:
    """Most of it is what a receipt of 13 MiB takes that is read whole."""
    for name, count in (("1", 10_000), ("2", 9_999)):
        (tmp_path / name).write_bytes(receipts.large(count).signed(receipts.sign))
    done = differ(tmp_path / "1", tmp_path / "2")
    assert done.out == "DIFFERENT: 1 gone, 9999 same\n"
    assert done.peak < 512 * MIB
