"""Whether the tests of `core` would notice: every small change to it is tried, and counted by what became of it.

Only tests/core is asked. What survives is listed: it is either another way to write the same, or something that no test
of core looks at. Among the functions that decide, vote and redeem nothing may survive that is not explained.
"""

import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from tests.hammers.broker import ROOT
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.code_mutants import mutants
from tests.hammers.equivalents import SAME

CORE: Final = ROOT / "src" / "assent" / "core"
EVERY: Final = 1_000_000
LEAST_PERCENT: Final = 85.0
LEAST_SECONDS: Final = 30.0
LIMIT_SECONDS: Final = 6 * 3_600.0
MAX_PROCESSES: Final = 2
SURVIVED: Final = ("survived", "reached by no test")
CAUGHT: Final = ("killed", "did not load", "out of time")
# What decides, votes and redeems: a change that survives here has to be explained.
DECIDING: Final = {
    "decisions.py": ("decide", "is_under_the_floor", "_ask", "_too_much", "strictest", "answer_now", "as_probe"),
    "approvals.py": (
        "vote",
        "why_barred",
        "_single_person_holds",
        "why_not_vote",
        "is_fresh",
        "why_closed",
        "_counted",
        "_votes_that_count",
        "_all_filled",
        "seat_one",
    ),
    "grants.py": ("redeem", "_matches", "_why_stopped", "why_judged_otherwise"),
    "breakers.py": (
        "covers",
        "denies",
        "first_open",
        "met",
        "_asks_human",
        "half_open",
        "reserve",
        "settle",
        "_succeeded",
        "reset",
    ),
}

Told = dict[str, Any]


def run(folder: Path, budget: Budget) -> Report:
    """Try every mutant of core, or as many as were asked for; for seconds, some of the functions that decide."""
    folder.mkdir(exist_ok=True)
    modules = sorted(CORE.glob("*.py"))
    if budget.hits is None:
        return _for_seconds(budget)
    total = sum(1 for path in modules for _ in mutants(path.read_text()))
    each = max(1, -(-total // budget.hits))
    untouched, told = _tried(modules, ["tests/core"], each=each, first=budget.seed % each, seconds=LIMIT_SECONDS)
    expect_explained(told)
    score = percent(told)
    expect(score >= LEAST_PERCENT, f"the tests of core notice {score:.1f} % of all changes: {_survivors(told)}")
    fates = Counter(one["fate"] for one in told)
    return Report(
        counts={
            "modules": len(modules),
            "tests": untouched["tests"],
            "changes there are": total,
            "changes tried": len(told),
            **{fate: fates[fate] for fate in (*CAUGHT, *SURVIVED)},
            "noticed, percent": round(score, 1),
            "unexplained in what decides, votes and redeems": 0,
        },
        listed_as="What nobody noticed, by module and line:",
        listed=_survivors(told),
    )


def _for_seconds(budget: Budget) -> Report:
    """Try what there is time for of one module that decides, with its own tests."""
    name = budget.random().choice(sorted(DECIDING))
    own = [f"tests/core/test_{one}.py" for one in (name.removesuffix(".py"), "moves", "breaker_moves", "close_calls")]
    seconds = budget.seconds or 0.0
    each = 7
    first = budget.seed % each
    untouched, told = _tried([CORE / name], own, each=each, first=first, seconds=seconds, within=DECIDING[name])
    expect_explained(told)
    return Report(counts={"tests": untouched["tests"], "changes tried": len(told), "not noticed": 0})


def _tried(
    modules: Iterable[Path], tests: list[str], *, each: int, first: int, seconds: float, within: Iterable[str] = ()
) -> tuple[Told, list[Told]]:
    plan = {
        "package": "assent.core",
        "modules": [str(path) for path in modules],
        "tests": tests,
        "within": sorted(within),
        "processes": min(MAX_PROCESSES, os.cpu_count() or 1),
        "first": first,
        "each": each,
        "least_seconds": LEAST_SECONDS,
        "limit_seconds": seconds,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.hammers.mutant_server"],
        input=json.dumps(plan),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=LIMIT_SECONDS + 600,
        check=False,
    )
    expect(done.returncode == 0, f"mutants could not be tried: {done.stderr[-2_000:]}")
    untouched, *told = [json.loads(line) for line in done.stdout.splitlines()]
    return untouched, told


def percent(told: Iterable[Told]) -> float:
    """Return how many of all changes were noticed; explained ones count as not noticed too."""
    fates = Counter(one["fate"] in CAUGHT for one in told)
    return 100.0 * fates[True] / max(1, fates.total())


def expect_explained(told: Iterable[Told]) -> None:
    """Look that no change survived unexplained where core decides, votes and redeems. Raises Disproved."""
    unexplained = [
        f"{one['file']}:{one['line']} in {one['within']}: {one['change']}"
        for one in told
        if one["fate"] in SURVIVED
        and one["within"] in DECIDING.get(one["file"], ())
        and (one["file"], one["within"], one["change"]) not in SAME
    ]
    expect(not unexplained, f"nobody notices: {unexplained}")


def _survivors(told: Iterable[Told]) -> tuple[str, ...]:
    by_file: dict[str, list[str]] = defaultdict(list)
    for one in sorted(told, key=lambda one: (one["file"], one["line"])):
        if one["fate"] in SURVIVED:
            why = SAME.get((one["file"], one["within"], one["change"]), "")
            noted = f" ({why})" if why else " (no test gets there)" if one["fate"] == SURVIVED[1] else ""
            by_file[one["file"]].append(f"{one['line']} `{one['change']}`{noted}")
    return tuple(f"`{file}`: {'; '.join(lines)}" for file, lines in by_file.items())
