"""The pages for operators name what the code has: events of the log, sets of permissions, metrics in what to watch."""

import ast
import errno
import os
import re
from pathlib import Path

import pytest

from assent.core.operators import PERMISSION_SETS, Permission

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CODE = re.compile(r"`([a-z.]+)`")
CODE_SPAN = re.compile(r"`([^`]+)`")
LEVELS = {"info", "warning", "error", "exception"}
LOGS = {"log", "_log"}


def events() -> set[str]:
    """Returns every event that some place writes into the broker's own log, by a literal name."""
    sources = [path for path in (ROOT / "src" / "assent").rglob("*.py") if "sdk" not in path.parts]
    calls = [node for path in sources for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in LEVELS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in LOGS
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    }


def test_every_event_of_the_log_stands_on_the_page_and_no_other() -> None:
    page = (DOCS / "watching.md").read_text()
    table = page[page.index("| event | means |") : page.index("The audit log is another thing")]
    found = events()
    assert "policy_refused" in found
    assert set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)) == found


@pytest.mark.parametrize("name", PERMISSION_SETS)
def test_every_set_of_permissions_stands_on_the_page_with_what_it_holds(name: str) -> None:
    row = re.search(rf"^\| `{name}` \| (.*) \|$", (DOCS / "credentials.md").read_text(), re.MULTILINE)
    assert row
    held = PERMISSION_SETS[name]
    told = (
        set(Permission) if row[1] == "everything" else {Permission(one) for one in re.findall(r"`([a-z.]+)`", row[1])}
    )
    assert told == held


@pytest.mark.parametrize("page", ["watching.md", "runbook.md"])
def test_every_metric_that_a_page_names_is_one(page: str) -> None:
    known = set(re.findall(r"^\| `(assent_\w+)` \|", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    named = set(re.findall(r"\b(assent_[a-z_]+)\b", (DOCS / page).read_text()))
    assert named
    assert named - known == set()


def words() -> str:
    """Returns everything that our code can say, by piece, and what the system says when something cannot be done."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "src" / "assent").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    ours = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "\n".join([*ours, *(os.strerror(code).lower() for code in errno.errorcode)])


def test_what_the_runbook_says_is_said_is_said() -> None:
    page = (DOCS / "runbook.md").read_text()
    table = page[page.index("| it says, or the log says | do |") : page.index("There is no way to let agents pass")]
    phrases = [phrase for row in table.splitlines() for phrase in CODE_SPAN.findall(row.split(" | ")[0])]
    said = words()
    assert len(phrases) > 8
    assert [phrase for phrase in phrases if phrase not in said] == []
