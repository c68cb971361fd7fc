"""Requirements, tests and documentation must name each other.

Tests are read as syntax, not collected: a selection of tests or a worker of xdist sees the same picture.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.requirements import REQUIREMENTS, Requirement

ROOT = Path(__file__).parent.parent
DUE = [requirement for requirement in REQUIREMENTS.values() if requirement.deferred is None]
DEFERRED = [requirement for requirement in REQUIREMENTS.values() if requirement.deferred is not None]


def is_requirement_marker(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.requirement")


def marked_ids(tree: ast.AST) -> Iterator[str]:
    """Yields every id in the tree that a requirement marker names; an id that is not a literal yields its source."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and is_requirement_marker(node):
            yield from map(literal_or_source, node.args)


def literal_or_source(node: ast.expr) -> str:
    literal = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return ast.literal_eval(node) if literal else ast.unparse(node)


def scan(folder: Path) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        for requirement_id in marked_ids(ast.parse(path.read_text())):
            found[requirement_id].append(path.name)
    return found


PROVEN = scan(ROOT / "tests")


def test_the_scan_sees_markers_on_functions_classes_modules_and_parameters() -> None:
    source = """
pytestmark = pytest.mark.requirement("P1")
@pytest.mark.requirement("P2", "T3")
async def test_a(): ...
@mark.requirement("P4")
class TestB: ...
cases = [pytest.param(1, marks=[pytest.mark.requirement(WHICH)])]
"""
    assert set(marked_ids(ast.parse(source))) == {"P1", "P2", "T3", "P4", "WHICH"}


@pytest.mark.parametrize("requirement", DUE, ids=lambda requirement: requirement.id)
def test_every_requirement_that_is_due_has_a_test(requirement: Requirement) -> None:
    assert PROVEN.get(requirement.id), f"no test names {requirement.id} ({requirement.text})"


@pytest.mark.parametrize("requirement", DEFERRED, ids=lambda requirement: requirement.id)
def test_a_deferred_requirement_says_what_it_waits_for(requirement: Requirement) -> None:
    assert requirement.deferred


def test_no_test_names_an_unknown_requirement() -> None:
    assert set(PROVEN) <= set(REQUIREMENTS)


@pytest.mark.parametrize("requirement", REQUIREMENTS.values(), ids=lambda requirement: requirement.id)
def test_every_requirement_stands_in_the_documentation(requirement: Requirement) -> None:
    page, _, anchor = requirement.anchor.partition("#")
    headings = [line for line in (ROOT / page).read_text().splitlines() if line.startswith("### ")]
    assert [line for line in headings if line.split()[1].lower() == anchor], f"{page} has no heading {requirement.id}"
