"""What the documents point to is there, and the index points to every page."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks" / "README.md"]


def targets(page: Path) -> set[Path]:
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    return {(page.parent / link).resolve() for link in links if "://" not in link}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert [str(target) for target in targets(page) if not target.exists()] == []


def test_the_index_leads_to_every_page():
    index = ROOT / "docs" / "index.md"
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")} - {index}
    assert sorted(str(page) for page in pages - targets(index)) == []
