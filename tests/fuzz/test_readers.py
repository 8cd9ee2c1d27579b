"""Whatever a reader is given, it reads or refuses: a short walk around what it reads well. ``make fuzz`` walks further."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundler.errors import BundlerError
from tests.fuzz.readers import READERS, Reader

FOUND = Path(__file__).parent / "found"
"""What a fuzzer found and what was mended, a file each, in folders named as the readers."""
STEPS = 1500
LONG = 1 << 12  # for longer seeds fewer steps: they are whole bundles
WORDS = [b"0", b"-1", b"9" * 30, b"null", b"[]", b"{}", b'"', b"\\ud800", b"\0", b"\xff", b"\x80", b"\n", b"true", b"1e400", b"[" * 200]


def walk(seed: bytes, steps: int) -> Iterator[bytes]:
    """Around a seed: bits, bytes, pieces lost, doubled, moved, and words put in."""
    chance = random.Random(len(seed))  # noqa: S311 - the same walk each time
    yield from (b"", seed, seed + seed, seed[:-1], seed + b"\0")
    for _ in range(steps):
        data = bytearray(seed)
        for _ in range(chance.randint(1, 3)):
            at, to = sorted(chance.choices(range(len(data) + 1), k=2))
            to = min(to, at + chance.choice((1, 4, 64)))
            data[at:to] = chance.choice(
                (
                    b"",
                    bytes(data[at:to]) * 2,
                    chance.randbytes(to - at),
                    bytes(data[:8]),
                    chance.choice(WORDS),
                    bytes(each ^ 1 for each in data[at:to]),
                )
            )
        yield bytes(data)


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_its_first_seed(name: str) -> None:
    if name not in ("json", "checkpoint", "envelope", "table"):  # of which the seeds are only near enough to begin with
        READERS[name].read(READERS[name].seeds[0])


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_or_refuses(name: str) -> None:
    reader = READERS[name]
    for seed in reader.seeds:
        for data in walk(seed, STEPS // (10 if len(seed) > LONG else 1)):
            tried(name, reader, data)


def test_what_was_found_is_refused() -> None:
    for path in FOUND.glob("*/*"):
        tried(path.parent.name, READERS[path.parent.name], path.read_bytes())


def tried(name: str, reader: Reader, data: bytes) -> None:
    try:
        reader(data)
    except Exception as error:
        raise AssertionError(f"{name} lets {error!r} escape for {data[:2000]!r}") from error


def test_a_reader_that_lets_something_escape_is_noticed() -> None:
    def careless(data: bytes) -> None:
        if data[:1] == b"x":
            raise BundlerError("foreseen")
        raise KeyError(data)

    Reader(careless, ())(b"x")
    with pytest.raises(AssertionError, match="KeyError"):
        tried("careless", Reader(careless, ()), b"y")
