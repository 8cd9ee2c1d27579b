"""Links between the pages lead somewhere, headings included."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, Page

PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])


def _anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", Page.read(path).prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _links(path: Path) -> list[str]:
    prose = re.sub(r"`[^`]*`", "", Page.read(path).prose)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in target]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(path: Path) -> None:
    for link in _links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            waiting += [target for link in _links(page) if (target := (page.parent / link.partition("#")[0]).resolve()).suffix == ".md"]
    assert {path for path in PAGES if path.is_relative_to(DOCS)} <= reached
