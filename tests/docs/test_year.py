"""docs/howto/year.md does what it says, command by command, from an empty folder."""

from pathlib import Path

import pytest

from tests.docs import shell
from tests.docs.pages import DOCS, Page
from tests.support import ports

STEPS = shell.steps(Page.read(DOCS / "howto/year.md"))
TOLD = {"base.missing", "stream.gap", "stream.rollback", "stream.equivocation"}
TOLD |= {"station.missing", "journal.changed", "time.expired", "time.future"}


@pytest.mark.slow
def test_every_command_of_the_year_does_and_prints_what_the_page_says(tmp_path: Path) -> None:
    folder = tmp_path / "year"
    folder.mkdir()
    with ports.held() as [port]:
        printed = shell.run([step.commands for step in STEPS], folder, env={"REGISTRY": f"127.0.0.1:{port}"})
    wrong = [shell.differs(step.shown, out) for step, out in zip(STEPS, printed, strict=True) if step.shown]
    assert not list(filter(None, wrong)), "\n\n".join(filter(None, wrong))


def test_each_trouble_of_a_year_is_met() -> None:
    shown = "\n".join(step.shown for step in STEPS if step.shown)
    assert [code for code in TOLD if code not in shown] == []
