"""The table of sabotages stays true: lines are there, every promise is in it, and silence is no notice."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hammers.broker import ROOT
from tests.hammers.budget import Disproved
from tests.hammers.sabotage import not_noticed, sabotaged
from tests.hammers.sabotages import SABOTAGES, Sabotage
from tests.requirements import PROMISES

ONE = Sabotage(
    promise="P1", what="w", file="core/x.py", line="yes = 1", instead="yes = 0", noticed_by=("core/test_x.py", "y.py")
)


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda one: f"{one.promise} {one.what}")
def test_every_line_stands_where_the_table_says_and_the_change_is_code(sabotage: Sabotage) -> None:
    text = (ROOT / "src" / "assent" / sabotage.file).read_text()
    changed = sabotaged(text, sabotage)
    ast.parse(changed)
    assert sum(one != other for one, other in zip(text.splitlines(), changed.splitlines(), strict=True)) == 1


def test_every_promise_is_broken_at_least_once() -> None:
    assert {one.promise for one in SABOTAGES} == {promise.id for promise in PROMISES}


def named_in(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name


@pytest.mark.parametrize("test", sorted({test for one in SABOTAGES for test in one.noticed_by}))
def test_every_test_that_must_notice_exists(test: str) -> None:
    file, _, name = test.partition("::")
    found = set(named_in(ROOT / "tests" / file))
    assert name in found if name else found


@pytest.mark.parametrize("text", ["", "yes = 2\n", "yes = 1\nyes = 1\n"])
def test_a_line_that_is_gone_or_stands_twice_is_told(text: str) -> None:
    with pytest.raises(Disproved, match="stands"):
        sabotaged(text, ONE)


def test_only_the_line_is_changed() -> None:
    assert sabotaged("if a:\n    yes = 1\nno = 1\n", ONE) == "if a:\n    yes = 0\nno = 1\n"


@pytest.mark.parametrize(
    ("code", "said", "asleep"),
    [
        (0, "2 passed", ["core/test_x.py", "y.py"]),
        (2, "ERROR tests/core/test_x.py\nERROR tests/y.py", ["core/test_x.py", "y.py"]),
        (1, "FAILED tests/core/test_x.py::test_a - boom", ["y.py"]),
        (1, "FAILED tests/core/test_x.py::test_a\nFAILED tests/y.py::test_b[1]", []),
        (1, "E FAILED tests/core/test_x.py::test_a\nFAILED tests/z.py::test_b", ["core/test_x.py", "y.py"]),
    ],
)
def test_who_did_not_fail_did_not_notice(code: int, said: str, asleep: list[str]) -> None:
    assert not_noticed(ONE, code, said) == asleep
