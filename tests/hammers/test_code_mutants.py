"""Mutants of code: each kind of change is made, what is no code is left alone, and who tries them tells their fates."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.hammers.broker import ROOT
from tests.hammers.code_mutants import mutants

FUNCTION = "def f(a, b, c):\n    {}\n"


def changes(source: str) -> set[str]:
    return {mutant.change for mutant in mutants(source)}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("return a == b", {"a == b → a != b", "return a == b → return None"}),
        ("return a < b", {"a < b → a <= b", "a < b → a >= b", "return a < b → return None"}),
        ("a = b is not c", {"b is not c → b is c"}),
        ("a = b in c", {"b in c → b not in c"}),
        ("a = b and c", {"b and c → b or c", "b and c → b", "b and c → c"}),
        ("a = b or c or a", {"b or c or a → " + rest for rest in ("b and c and a", "b or c", "b or a", "c or a")}),
        ("a = not b", {"not b → b"}),
        ("a = b + 1", {"b + 1 → b - 1", "1 → 2"}),
        ("a += b", {"a += b → a -= b", "a += b → pass"}),
        ("a = True", {"True → False"}),
        ("a = 'x'", {"'x' → 'xX'"}),
        ("a = ''", {"'' → 'X'"}),
        ("a = b'x'", {"b'x' → b'xX'"}),
        ("a = any(b)", {"any → all"}),
        ("b(c)", {"b(c) → pass"}),
        ("raise b", {"raise b → pass"}),
        ("return replace(a, b=c)", {"b=c → left out", "return replace(a, b=c) → return None"}),
        ("a = [b, c]", set()),
        ("return None", set()),
        ("a: int = b", set()),
        ("a = 'two words'", set()),
        ("a = f'{b}x'", set()),
        ("'what it does'", set()),
        ("a = NewType('A', str)", set()),
    ],
)
def test_a_line_has_exactly_these_mutants(line: str, expected: set[str]) -> None:
    assert changes(FUNCTION.format(line)) == expected


def test_a_condition_that_is_a_name_is_turned_round() -> None:
    assert "a → not a" in changes("def f(a):\n    if a:\n        return 1\n")


def test_breaking_off_and_going_on_are_exchanged() -> None:
    source = "def f(a):\n    for b in a:\n        if b:\n            break\n        continue\n"
    assert {"break → continue", "continue → break"} <= changes(source)


def test_entries_of_tables_are_left_out_one_at_a_time() -> None:
    assert changes("A = {x: 1, y: 1}\nB = frozenset({x, y})") == {"x → left out", "y → left out", "1 → 2"}
    assert changes("A = (x, y)") == {"x → left out", "y → left out"}
    assert not changes("A = (x,)")
    assert not changes("A, B = x, y")
    assert changes("A = {(x, y): z, (y, x): z}") == {"(x, y) → left out", "(y, x) → left out"}


def test_a_mutant_differs_in_its_place_only_and_knows_where_it_is() -> None:
    source = "def f(a):\n    return a > 1\n\n\ndef g(a):\n    return a > 1\n"
    (second,) = [one for one in mutants(source) if one.within == "g" and one.after == "2"]
    assert (second.line, second.change) == (6, "1 → 2")
    assert ast.unparse(second.tree()) == ast.unparse(ast.parse(source[:-2] + "2\n"))


@pytest.mark.parametrize("path", sorted((ROOT / "src" / "assent" / "core").glob("*.py")), ids=lambda path: path.stem)
def test_every_mutant_of_core_is_another_program_that_compiles(path: Path) -> None:
    source = path.read_text()
    whole = ast.dump(ast.parse(source))
    for mutant in list(mutants(source))[::17]:
        tree = mutant.tree()
        compile(tree, str(path), "exec")
        assert ast.dump(tree) != whole


TOY = """LIMIT = 3
STATE = {"open": 1}["open"]


def allowed(count: int) -> bool:
    return count < LIMIT


def forgotten(count: int) -> int:
    return count + 1


def endless(count: int) -> int:
    while count > 0:
        count -= 1
    return count
"""
TOY_TESTS = """from toy import box


def test_allowed():
    assert box.allowed(2)
    assert not box.allowed(3)


def test_endless():
    assert box.endless(2) == 0
"""


def fates(folder: Path, **plan: Any) -> list[dict[str, Any]]:
    """Return what the server tells of a toy package."""
    (folder / "toy").mkdir()
    (folder / "toy" / "__init__.py").write_text("")
    (folder / "toy" / "box.py").write_text(TOY)
    (folder / "test_box.py").write_text(TOY_TESTS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    asked = {
        "package": "toy",
        "modules": [str(folder / "toy" / "box.py")],
        "tests": ["test_box.py"],
        "within": [],
        "processes": 2,
        "first": 0,
        "each": 1,
        "least_seconds": 8.0,
        "limit_seconds": 60.0,
        **plan,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.hammers.mutant_server"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{ROOT}:{ROOT / 'src'}", "PATH": "/usr/bin:/bin"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_each_mutant_has_its_fate(tmp_path: Path) -> None:
    untouched, *told = fates(tmp_path)
    assert untouched["tests"] == 2
    fate = {(one["within"], one["change"]): one["fate"] for one in told}
    assert fate["allowed", "count < LIMIT → count <= LIMIT"] == "killed"
    assert fate["", "3 → 4"] == "killed"
    assert fate["forgotten", "count + 1 → count - 1"] == "reached by no test"
    assert fate["endless", "count -= 1 → pass"] == "out of time"
    assert fate["endless", "count > 0 → count >= 0"] == "killed"
    assert fate["", "'open' → 'openX'"] == "did not load"
    assert {one["change"] for one in told if one["fate"] == "survived"} == {"1 → 2"}


def test_only_what_was_asked_for_is_tried(tmp_path: Path) -> None:
    _, *told = fates(tmp_path, within=["forgotten"], each=2, first=1)
    assert {one["within"] for one in told} == {"forgotten"}
    assert len(told) == 1


def test_code_that_does_not_pass_untouched_is_told(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="does not pass"):
        fates(tmp_path, tests=["test_nothing.py"])
