"""The pages that the code prints are those that it would print today, and links in the docs lead somewhere."""

import re
from pathlib import Path

import pytest

from docs.generate import pages

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", pages())
def test_a_generated_page_is_current(name):
    """A page of docs/ that is printed from code is committed as the code prints it (make docs)."""
    assert (ROOT / "docs" / name).read_text() == pages()[name]


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/*.md")]), ids=str
)
def test_links_lead_somewhere(page):
    """Each relative link of a page names a file that is there."""
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_names_targets_that_exist():
    """Each make target that the README tells a person to run is in the Makefile."""
    named = set(re.findall(r"^\$ (?:sudo )?make ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "lint", "lab"} <= named <= targets
