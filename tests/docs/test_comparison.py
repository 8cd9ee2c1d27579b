"""docs/comparison.md and the short table of the README say the same."""

from tests.docs.pages import DOCS, ROOT, Page

MEASURED, *_ = Page.read(DOCS / "comparison.md").tables
[SHORT] = Page.read(ROOT / "README.md").tables


def test_the_readme_has_the_figures_of_the_comparison() -> None:
    told = {row["signed repositories that arrive whole, of 194"] for row in SHORT.rows}
    assert told == {row["whole repositories, of 194"] for row in MEASURED.rows}


def test_the_figures_by_kind_add_up_to_the_whole_ones_but_for_the_one_of_no_kind() -> None:
    kinds = [name for name in MEASURED.columns if name.partition(",")[0] in ("`.sig` and `.att`", "bundles", "Notation", "mixed")]
    assert len(kinds) == 4
    for row in MEASURED.rows:
        if " to " not in row["whole repositories, of 194"]:
            assert int(row["whole repositories, of 194"]) - sum(int(row[kind]) for kind in kinds) == 1, row


def test_every_tool_that_is_compared_has_its_better_sides_told() -> None:
    page = Page.read(DOCS / "comparison.md")
    better = page.text.partition("## What they do better")[2].partition("\n## ")[0]
    tools = {row[MEASURED.columns[0]].split()[0].rstrip(":,") for row in MEASURED.rows} | {"zarf", "oc-mirror"}
    assert [tool for tool in tools - {"oci-bundler"} if f"**[{tool}](" not in better] == []
