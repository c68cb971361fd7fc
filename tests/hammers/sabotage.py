"""Breaking promises on purpose: one line of a copy of the product is changed, and the tests that must notice do.

The same tests pass on the untouched copy, so that it is the line which they notice.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.hammers.broker import ROOT
from tests.hammers.budget import SECONDS_VARIABLE, Budget, Report, expect
from tests.hammers.sabotages import SABOTAGES, Sabotage

PARTS: Final = ("src", "tests", "policies", "docs", "deploy", "pyproject.toml", "run")
HAMMER_SECONDS: Final = 3.0
LIMIT_SECONDS: Final = 900.0
PASSED, FAILED = 0, 1
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) tests/(\S+)", re.MULTILINE)


def run(folder: Path, budget: Budget) -> Report:
    """Break every promise in every way of the table, or a few of them for as long as there is time."""
    copy = _copied(folder / "copy")
    noticed: list[str] = []
    order = list(SABOTAGES)
    if budget.hits is None:
        order = budget.random().sample([one for one in order if not _has_hammer(one)], len(SABOTAGES) // 4)
    if budget.hits is not None:
        _expect_untouched_passes(copy, order)
    for done, sabotage in enumerate(order):
        if budget.hits is None and not budget.goes_on(done):
            break
        if budget.hits is None:
            _expect_untouched_passes(copy, [sabotage])
        noticed += _broken(copy, sabotage)
    by_promise = Counter(line.partition(":")[0] for line in noticed)
    return Report(
        counts={
            "lines changed, one at a time": len(noticed),
            **{f"of them breaking {promise}": count for promise, count in sorted(by_promise.items())},
            "changes that nobody noticed": 0,
        },
        listed_as="Each line that was changed, and who noticed:",
        listed=tuple(noticed),
    )


def _has_hammer(sabotage: Sabotage) -> bool:
    return any(test.startswith("hammers/") for test in sabotage.noticed_by)


def _copied(folder: Path) -> Path:
    """Return a copy of everything that tests need; the environment stays the one that runs."""
    ignored = shutil.ignore_patterns("__pycache__", ".hypothesis", ".pytest_cache")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        elif (ROOT / part).exists():
            shutil.copy2(ROOT / part, folder / part)
    return folder


def _expect_untouched_passes(copy: Path, sabotages: Iterable[Sabotage]) -> None:
    tests = sorted({test for one in sabotages for test in one.noticed_by})
    code, said = _pytest(copy, tests)
    expect(code == PASSED, f"the untouched copy does not pass its tests: {said[-3_000:]}")


def _broken(copy: Path, sabotage: Sabotage) -> list[str]:
    """Change the line, look that each test that must notice fails, and put the line back."""
    file = copy / "src" / "assent" / sabotage.file
    untouched = file.read_text()
    file.write_text(sabotaged(untouched, sabotage))
    try:
        code, said = _pytest(copy, sabotage.noticed_by)
    finally:
        file.write_text(untouched)
    slept = not_noticed(sabotage, code, said)
    expect(not slept, f"{sabotage.promise}, {sabotage.what}: {slept} did not notice: {said[-2_000:]}")
    names = ", ".join(f"`{test}`" for test in sabotage.noticed_by)
    return [f"{sabotage.promise}: {sabotage.what}, in `{sabotage.file}`; noticed by {names}"]


def sabotaged(text: str, sabotage: Sabotage) -> str:
    """Return the text of a file with the line changed. Raises Disproved unless it stands there exactly once."""
    lines = text.splitlines()
    found = [place for place, line in enumerate(lines) if line.strip() == sabotage.line]
    expect(len(found) == 1, f"`{sabotage.line}` stands {len(found)} times in {sabotage.file}")
    before = lines[found[0]]
    lines[found[0]] = before.replace(sabotage.line, sabotage.instead)
    return "\n".join(lines) + "\n"


def not_noticed(sabotage: Sabotage, code: int, said: str) -> list[str]:
    """Return which of the tests that must notice did not fail; a run that could not begin noticed nothing."""
    if code != FAILED:
        return list(sabotage.noticed_by)
    failed = _FAILED.findall(said)
    return [test for test in sabotage.noticed_by if not any(name.startswith(test) for name in failed)]


def _pytest(copy: Path, tests: Sequence[str]) -> tuple[int, str]:
    """Run tests of the copy on the code of the copy; return the exit code and what was said."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line", "-rfE"]
    done = subprocess.run(
        [*command, *(f"tests/{test}" for test in tests)],
        cwd=copy,
        env={
            **os.environ,
            "PYTHONPATH": str(copy / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            SECONDS_VARIABLE: str(HAMMER_SECONDS),
        },
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
