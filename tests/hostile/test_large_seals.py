"""Seals that say the same again and again: smaller outside than is allowed, and far larger inside."""

from functools import cache
from pathlib import Path

import pytest

from bundler.bundle.archive import opened
from bundler.bundle.frames import FRAME, MAX_SEAL_RATIO, compress, decompress, table
from bundler.bundle.sealenvelope import sealed
from bundler.errors import Code, FormatError
from tests.support import layouts
from tests.support.bundles import Bundle, content_of, seal_frames, sign


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.oci.tar.zst"


@cache
def names_of_one(count: int) -> Bundle:
    """An image under so many names: its seal says the same again and again."""
    content = layouts.Content()
    image = content.image("hello")
    repository = f"registry.example/{'long-' * 40}name"
    return Bundle.of(content, {f"{repository}:v{number}": image for number in range(count)})


def test_a_seal_that_would_be_too_small_is_stored_and_read(path: Path) -> None:
    bundle = names_of_one(8_000)
    payload = bundle.seal.statement()
    assert len(compress(sealed(payload, [sign(payload)])[: FRAME // 2])) < FRAME // 2 // MAX_SEAL_RATIO
    bundle.write(path)
    sizes = seal_frames(path)
    assert len(sizes) > 1
    assert all(content <= MAX_SEAL_RATIO * compressed for compressed, content in sizes)
    with content_of(path) as content:
        assert content.seal == bundle.seal
        assert content.verify().passed


@pytest.mark.parametrize("number", [0, 1])
def test_a_seal_that_is_far_larger_inside_than_outside_is_refused_before_it_is_read(path: Path, number: int) -> None:
    names_of_one(8_000).write(path)
    data, sizes = path.read_bytes(), seal_frames(path)
    with opened(path) as archive:
        all_sizes = list(archive.table.sizes(0, archive.table.count))
    starts = [sum(compressed for compressed, _ in all_sizes[:at]) for at in range(len(all_sizes) + 1)]
    small = compress(b"".join(decompress(data[starts[number] : starts[number + 1]], sizes[number][1], what="x")))
    assert sizes[number][1] > MAX_SEAL_RATIO * len(small)
    all_sizes[number] = len(small), sizes[number][1]
    path.write_bytes(data[: starts[number]] + small + data[starts[number + 1] : starts[-1]] + table(all_sizes))
    with pytest.raises(FormatError, match="far larger inside than outside") as refused, opened(path) as archive:
        _ = archive.envelope
    assert (refused.value.exit, refused.value.code) == (3, Code.LIMIT_SEAL)
