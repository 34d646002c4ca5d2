"""What there is to read leads to what is there."""

import re
from pathlib import Path

import pytest

from testkit.source import ROOT

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")]


def links(text: str) -> list[str]:
    """Where the links of a page lead, within the repository."""
    found = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    return [link for link in found if "://" not in link]


@pytest.mark.parametrize("page", sorted(set(PAGES)), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    """Of every page, relative to where it lies."""
    missing = [link for link in links(page.read_text()) if not (page.parent / link).exists()]
    assert missing == []


def test_each_change_begins_in_one_file() -> None:
    """The list of changes in docs/README.md: ten at least, each with a file and no more than one."""
    page = ROOT / "docs" / "README.md"
    _, _, changes = page.read_text().partition("## To change something, begin here")
    rows = [line for line in changes.splitlines() if line.startswith("| ") and "](" in line]
    assert len(rows) >= 10
    for row in rows:
        (link,) = links(row)
        assert (page.parent / link).is_file(), row


@pytest.mark.parametrize("service", ["ingest", "frame-workers", "profile-aggregator", "query-api"])
def test_a_services_page_is_short(service: str) -> None:
    """What it does, what goes in and out: a dozen lines."""
    assert len((ROOT / service / "README.md").read_text().splitlines()) < 18
