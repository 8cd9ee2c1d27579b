"""What lies where a file of the product's own should lie, and is something else: said at once, never waited for, never written through."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.station import Crossing, run


def fifo(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [fifo, endless])
def test_what_is_not_a_file_is_not_a_receipt(make: Callable[[Path], None], crossing: Crossing) -> None:
    station, bundle = crossing.station(), crossing.export(crossing.signed_image())
    assert crossing.import_(bundle, "--station", station).exit == 0
    receipt = station / "receipts/0000000000.json"
    receipt.unlink()
    make(receipt)
    done = run("journal", "verify", station, "--json")
    assert (done.exit, done.code, done.json["error"]["found"]) == (4, "content.digest", "not a regular file")


@pytest.mark.parametrize("make", [fifo, endless])
def test_what_is_not_a_file_is_neither_a_base_nor_compared(make: Callable[[Path], None], crossing: Crossing) -> None:
    image, odd = crossing.signed_image(), crossing.folder / "odd"
    make(odd)
    for words in (("export", image.reference, "--dry-run", "--base", odd), ("diff", crossing.export(image), odd)):
        done = run(*words, "--json")
        assert (done.exit, done.code) == (2, "usage.input")


# --- folders that cannot be looked into ---


def test_a_station_that_cannot_be_looked_for_is_not_taken_for_none(crossing: Crossing) -> None:
    """Else whoever may not search its folder would import as if nothing had been accepted yet."""
    home = crossing.folder / "home"
    home.mkdir()
    (home / "oci-bundler").symlink_to("oci-bundler")  # leads in a circle, which is an error for root too
    bundle = crossing.export(crossing.signed_image())
    done = crossing.run("import", bundle, crossing.there.host, "--json", env={"XDG_STATE_HOME": str(home)})
    assert (done.exit, done.code) == (2, "station.missing")
    assert crossing.there.asked == []


# --- parts of a station's folder that others may have written ---


def _links_away(path: Path) -> None:
    path.rename(path.with_name("away"))
    path.symlink_to("away")


def _open_to_others(path: Path) -> None:
    path.chmod(0o777)


@pytest.mark.parametrize("change", [_links_away, _open_to_others])
@pytest.mark.parametrize("part", ["station.key", "journal", "receipts"])
def test_a_part_of_the_station_that_others_may_have_written(part: str, change: Callable[[Path], None], crossing: Crossing) -> None:
    station, bundle = crossing.station(), crossing.export(crossing.signed_image())
    assert crossing.import_(bundle, "--station", station).exit == 0
    asked = len(crossing.there.asked)
    change(station / part)
    for words in (("import", bundle, crossing.there.host), ("status", "--export", crossing.folder / "return.json")):
        done = crossing.run(*words, "--station", station, "--json")
        assert (done.exit, done.code) == (2, "station.permissions")
        assert str(station / part) in done.json["error"]["what"]
    assert len(crossing.there.asked) == asked
