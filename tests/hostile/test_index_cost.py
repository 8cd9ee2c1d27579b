"""What a hostile index of a layout costs: little memory, few words, no look at all entries for each question."""

import json
from pathlib import Path

import pytest

from bundler.content.layout import Layout
from bundler.oci.reference import CONTAINERD_NAME, REF_NAME
from tests.support.layouts import Content, write_layout
from tests.support.listings import listing_of
from tests.support.measured import MIB, measured
from tests.support.steps import steps

SEALER = Path(__file__).parents[1] / "vectors/keys/sealer.key"


@pytest.fixture
def content() -> Content:
    return Content()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "layout"


def test_what_cosign_saved_is_found_among_many_entries_at_once(content: Content) -> None:
    image, other = content.image(), content.image("other")
    sig = content.sig(image.digest, (b"{}", b"s"))
    kinds = [(image, "dev.cosignproject.cosign/image"), (sig, "dev.cosignproject.cosign/sigs"), *[(other, "something/else")] * 50_000]
    layout = Layout(listing_of(content, [each.descriptor.to_json() | {"annotations": {"kind": kind}} for each, kind in kinds]))
    layout.kept("sig", image.digest)  # which looks at each entry once
    with steps() as taken:
        found = [layout.kept("sig", image.digest) for _ in range(50)]
    assert taken() < 50 * 50  # looking at all entries each time takes millions
    assert {entry.descriptor.digest for entry in found if entry} == {sig.digest}
    assert layout.kept("sig", other.digest) is layout.kept("att", image.digest) is None


@pytest.mark.parametrize("character", ["x", "\N{GRINNING FACE}", '\\"'])
@pytest.mark.parametrize("where", [REF_NAME, CONTAINERD_NAME, "kind", "other", "mediaType", "digest"])
def test_an_index_with_one_very_long_text_takes_little_memory_and_few_words(
    folder: Path, content: Content, where: str, character: str
) -> None:
    image = content.image()
    write_layout(folder, content, {"v1": image})
    entry = image.descriptor.to_json()
    text = "LONG"
    entry |= {where: text} if where in entry else {"annotations": {where: text}}
    raw = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    (folder / "index.json").write_bytes(raw.replace(b"LONG", (character.encode() * (30 * MIB // len(character.encode())))))
    ran = measured("export", f"oci:{folder}", "-o", folder / "out", "--key", SEALER)
    assert (ran.exit, "limit.document" in ran.err) == (3, True)
    assert len(ran.err) < 1000
    assert ran.peak < 256 * MIB
