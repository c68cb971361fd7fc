"""The pages hold together: every relative link leads somewhere, decisions have one number each."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.requirements import THREATS, Requirement

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<path>[^)#\s]*)(#(?P<anchor>[^)\s]+))?\)")
# Its headings come from docstrings when the site is built, which then checks the links to them.
FILLED_LATER = "sdk-reference.md"
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Returns what a link can jump to: headings in lower case, without punctuation, with dashes for spaces."""
    headings = HEADING.findall(page.read_text())
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower())) for heading in headings}


def leads_somewhere(page: Path, path: str, anchor: str | None) -> bool:
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (anchor is None or target.name == FILLED_LATER or anchor in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_page_and_heading_that_exist(page: Path) -> None:
    links = list(LINK.finditer(page.read_text()))
    assert [link[0] for link in links if not leads_somewhere(page, link["path"], link["anchor"])] == []


def test_every_decision_has_a_number_of_its_own() -> None:
    numbers = Counter(path.name[:4] for path in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [number for number, count in numbers.items() if count > 1] == []


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat.id)
def test_the_security_page_says_of_every_threat_whether_it_is_tested(threat: Requirement) -> None:
    state = "tested" if threat.deferred is None else f"waits for {threat.deferred}"
    row = f"| [{threat.id}](promises.md#{threat.id.lower()}) | {threat.text} | {state} |"
    assert row in (ROOT / "docs" / "security.md").read_text().splitlines()
