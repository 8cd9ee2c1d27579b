"""docs/glossary.md: one entry a term, in the order of the alphabet."""

import re

from tests.docs.pages import DOCS, Page

PAGE = Page.read(DOCS / "glossary.md")
ENTRIES = re.findall(r"^\*\*(.+?)\*\*(.*)$", PAGE.text, re.MULTILINE)


def test_each_term_stands_once_where_one_looks_for_it() -> None:
    terms = [re.sub(r"[^a-z ]", "", term.lower()) for term, _ in ENTRIES]
    assert terms == sorted(set(terms), key=lambda term: term.replace(" ", ""))
    assert len(terms) > 40


def test_an_entry_is_short() -> None:
    assert all(len(re.findall(r"[.?!](?: |$)", told)) <= 3 for _, told in ENTRIES)


def test_what_trust_toml_calls_its_tables_is_explained() -> None:
    told = {term for term, _ in ENTRIES}
    assert {"seal", "rule", "scope", "stream", "threshold", "node", "serial"} <= told
