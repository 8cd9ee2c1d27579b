"""A receipt of 10,000 images is shown and verified in memory and time that a small station has."""

from pathlib import Path

from tests.support import receipts
from tests.support.looks import SECOND, Looks
from tests.support.making import ROOT
from tests.support.measured import MIB, measured

MOST = 250 * MIB
"""Of memory."""
LONGEST = 30 * SECOND
"""In looks at a character: half a minute of a processor of today."""


def test_a_receipt_of_ten_thousand_images_is_shown_and_verified(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_bytes(receipts.large(10_000).signed(receipts.sign))
    for words in (("show", path), ("verify", path, "--key", ROOT / "receipts/station.pub")):
        began = Looks()
        ran = measured("receipt", *words)
        assert ran.exit == 0
        assert ran.out.count("\nimage ") == 10_000
        assert ran.peak < MOST
        assert began.taken(ran.seconds) < LONGEST
