"""Every byte of a bundle changed, and every length cut: the very same content, or refused with 3, 4 or 5 and nothing pushed.

The stations are called as ``verify`` and ``import`` call them, without the command around them, into a registry that only
takes notes: so that there is time for each byte.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bundler.bundle.archive import opened
from bundler.errors import BundlerError, Code
from bundler.stations import truststore
from bundler.stations.importer import Destination, import_admitted
from bundler.stations.station import Station
from bundler.stations.verifier import prove
from tests.support.notes import Notes
from tests.support.station import Crossing, run

AT = datetime(2026, 1, 2, tzinfo=UTC)
PARTS = 4  # so that several workers share them


@contextmanager
def silent(_label: str, _total: int) -> Iterator[Callable[[int], None]]:
    yield lambda _: None


@dataclass(frozen=True)
class Arrival:
    """A bundle in a file that is in memory, the trust that it passes under, and what it brings."""

    data: bytes
    trust: truststore.Trust
    file: int

    def end(self) -> tuple[int, str | None, dict[str, bytes]]:
        """The exit code, the reason, and what would have been pushed."""
        notes = Notes()
        try:
            with opened(Path(f"/proc/self/fd/{self.file}")) as archive:
                proved = prove(archive, Station(self.trust), at=AT, jobs=1, progress=silent)
                if not proved.report.passed:
                    assert proved.admitted == ()
                    return proved.report.exit, None, notes.given
                where = Destination.parse("registry.example", ["registry.example=x"])
                import_admitted(proved, where, lambda _: notes, jobs=1, overwrite=False, dry_run=False, progress=silent)
        except BundlerError as error:
            return error.exit, str(error.code), notes.given
        return 0, None, notes.given


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arrival]:
    folder = tmp_path_factory.mktemp("bytes")
    with Crossing(folder) as crossing:
        root = crossing.sign(crossing.content.image())
        crossing.attach(root)
        image = crossing.push(root)
        words = ["export", image.reference, "-o", folder / "b", "--key", crossing.keys["exporter"], "--as", "registry.example/app:v1"]
        assert run(*words, env={"SOURCE_DATE_EPOCH": "1767225600"}).exit == 0
        data = (folder / "b").read_bytes()
        file = os.memfd_create("bundle")
        os.write(file, data)
        yield Arrival(data, truststore.read(crossing.trust), file)
        os.close(file)


def test_the_bundle_itself_enters(station: Arrival) -> None:
    code, _, given = station.end()
    assert code == 0
    assert {"manifest v1", "blob"} <= {name if name == "manifest v1" else name.partition(" ")[0] for name in given}
    assert len(station.data) < 8192


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_bundle_of_which_one_bit_is_another_is_refused_or_the_very_same(part: int, station: Arrival) -> None:
    _, _, whole = station.end()
    for at, bit in ((at, (at * 5 + more) % 8) for at in range(part, len(station.data), PARTS) for more in (0, 3)):
        os.pwrite(station.file, bytes([station.data[at] ^ 1 << bit]), at)
        code, reason, given = station.end()
        os.pwrite(station.file, station.data[at : at + 1], at)
        if code == 0:
            assert given == whole, f"bit {bit} of byte {at}"
        else:
            assert code in {3, 4, 5}, f"bit {bit} of byte {at}: {code} {reason}"
            assert given == {}, f"bit {bit} of byte {at}"


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_bundle_that_is_cut_anywhere_is_refused(part: int, station: Arrival) -> None:
    try:
        for size in range(part, len(station.data), PARTS):
            os.ftruncate(station.file, size)
            code, reason, given = station.end()
            os.pwrite(station.file, station.data[size:], size)
            assert code in {3, 4}, f"{size} bytes: {code}"
            assert reason in set(map(str, Code))
            assert given == {}
    finally:
        os.pwrite(station.file, station.data, 0)


@pytest.mark.slow
@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_a_bundle_with_a_stretch_that_is_lost_is_refused(byte: bytes, station: Arrival) -> None:
    """F-031: sectors of 512 bytes, at each place that they can begin at; and what a byte more or less makes of it."""
    for at in range(0, len(station.data), 64):
        lost = station.data[:at] + byte * min(512, len(station.data) - at) + station.data[at + 512 :]
        for data in (lost, station.data[:at] + byte + station.data[at:], station.data[:at] + station.data[at + 1 :]):
            os.ftruncate(station.file, 0)
            os.pwrite(station.file, data, 0)
            code, _, given = station.end()
            assert code in {3, 4, 5} or data == station.data, f"at {at}"
            assert given == {} or data == station.data
    os.ftruncate(station.file, 0)
    os.pwrite(station.file, station.data, 0)
