"""The policy is reloaded while decisions are made: every decision is that of one whole version, on every Python."""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.hammers import broker
from tests.hammers.broker import Installation
from tests.hammers.budget import Budget, Report, expect
from tests.hammers.interpreters import all_supported, running

FULL_DECISIONS: Final = 1_000_000
FULL_RELOADS: Final = 200
LIMIT_SECONDS: Final = 3_600.0
LEAST_RELOADS: Final = 2
LEAST_VERSIONS: Final = 2


def run(folder: Path, budget: Budget) -> Report:
    """Decide and reload so often on each Python that is there; for seconds only on the one that runs."""
    interpreters = [running()] if budget.hits is None else all_supported()
    counts: dict[str, int | float | str] = {}
    for interpreter in interpreters:
        name = f"Python {interpreter.version}"
        if interpreter.executable is None:
            counts[name] = interpreter.missing
            continue
        at = broker.install(folder / f"reloads-{interpreter.version}")
        found = _reload(at, interpreter.executable, budget)
        check(name, found)
        counts |= _counts(name, found)
    return Report(counts=counts | {"decisions of no whole version": 0, "exceptions": 0})


def _plan(at: Installation, budget: Budget) -> dict[str, Any]:
    hits = budget.hits or 0
    return {
        "settings": str(at.folder / "assent.toml"),
        "key": at.agent_keys[0],
        "seed": budget.seed,
        "seconds": budget.seconds,
        "decisions": hits,
        "reloads": max(LEAST_RELOADS, -(-hits * FULL_RELOADS // FULL_DECISIONS)),
    }


def _reload(at: Installation, executable: Path, budget: Budget) -> dict[str, Any]:
    done = subprocess.run(
        [str(executable), "-m", "tests.hammers.reloader"],
        input=json.dumps(_plan(at, budget)),
        capture_output=True,
        text=True,
        cwd=broker.ROOT,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    expect(done.returncode == 0, f"{executable} ended with {done.returncode}: {done.stderr[-2_000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def check(name: str, found: dict[str, Any]) -> None:
    """Look that nothing was wrong and everything was hit. Raises Disproved."""
    expect(not found["wrong"], f"{name}: {found['wrong']}")
    expect(found["reloads"] >= LEAST_RELOADS, f"{name}: only {found['reloads']} reloads: the hammer hit nothing")
    expect(all(found["decisions"].values()), f"{name}: some decisions were never made: {found['decisions']}")
    # The version that is there at the start and at least one that came later.
    expect(found["versions"] >= LEAST_VERSIONS, f"{name}: all decisions fell under one version")


def _counts(name: str, found: dict[str, Any]) -> dict[str, int | float | str]:
    places = ", ".join(f"{count:,} {where}" for where, count in sorted(found["decisions"].items()))
    return {
        name: found["python"],
        f"{name}: decisions": sum(found["decisions"].values()),
        f"{name}: where": places,
        f"{name}: reloads": found["reloads"],
        f"{name}: directories refused meanwhile": found["refused"],
        f"{name}: refused because the ledger was not quick enough": found["too_slow"],
        f"{name}: versions that decided": found["versions"],
    }
