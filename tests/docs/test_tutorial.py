"""docs/tutorial.md does what it says, command by command, from an empty folder."""

from pathlib import Path

from tests.docs import shell
from tests.docs.pages import DOCS, Page
from tests.support import ports

STEPS = shell.steps(Page.read(DOCS / "tutorial.md"))


def test_only_the_installation_is_not_run_here() -> None:
    assert "make install" in STEPS[0].commands
    assert not any("make " in step.commands for step in STEPS[1:])


def test_every_command_does_and_prints_what_the_tutorial_says(tmp_path: Path) -> None:
    steps = STEPS[1:]
    with ports.held() as [port]:
        printed = shell.run([step.commands for step in steps], tmp_path, env={"ISOLATED": f"127.0.0.1:{port}"})
    wrong = [shell.differs(step.shown, out) for step, out in zip(steps, printed, strict=True) if step.shown]
    assert len(wrong) > 10
    assert not list(filter(None, wrong)), "\n\n".join(filter(None, wrong))


def test_the_comparison_would_notice() -> None:
    assert shell.differs("PASSED: 1 image\n…\nend", "PASSED: 1 image\na\nb\nend\n") is None
    assert shell.differs("sha256:… ok", "sha256:12 ok\n") is None
    assert shell.differs("PASSED: 1 image", "REFUSED: 1 image\n")
    assert shell.differs("one\n…\nthree", "one\ntwo\n")
    assert shell.differs("one", "one\ntwo\n")
