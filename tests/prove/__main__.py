"""`./run prove`: every hammer at its full count; writes docs/proofs.md when all promises held, else exits 1.

About half an hour. `--only NAME` runs one and writes nothing; `--seed` repeats a run.
"""

import argparse
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.hammers import crashes, double_spend, hostile, mutations, sinks, trips
from tests.hammers.budget import Budget, Disproved, Report
from tests.prove.page import Proven, page

PAGE: Final = Path(__file__).parents[2] / "docs" / "proofs.md"


@dataclass(frozen=True, slots=True)
class Hammer:
    """What to run, and how many hits are its full count."""

    run: Callable[[Path, Budget], Report]
    hits: int


HAMMERS: Final = {
    "double-spend": Hammer(double_spend.run, double_spend.FULL_GRANTS),
    "mutations": Hammer(mutations.run, mutations.FULL_HITS),
    "trips": Hammer(trips.run, trips.FULL_TRIPS),
    "hostile": Hammer(hostile.run, hostile.FULL_HITS),
    "sinks": Hammer(sinks.run, sinks.FULL_HITS),
    "crashes": Hammer(crashes.run, crashes.FULL_CYCLES),
}


def prove(name: str, seed: int, hits: int | None) -> Proven:
    """Run one hammer in a folder of its own and say what it found.

    Raises:
        Disproved: a promise did not hold.

    """
    hammer = HAMMERS[name]
    print(f"{name}: seed {seed}", flush=True)
    budget = Budget(seed=seed, hits=hits or hammer.hits)
    with tempfile.TemporaryDirectory(prefix="assent-prove-") as folder:
        proven = Proven(report=hammer.run(Path(folder), budget), seed=seed, seconds=budget.spent())
    for what, count in proven.report.counts.items():
        print(f"  {what}: {count}")
    print(f"  held, {proven.seconds:.0f} s", flush=True)
    return proven


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="./run prove", description="hit every promise at full count")
    parser.add_argument("--only", choices=HAMMERS, action="append", help="one hammer; may be repeated; writes no page")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="repeat a run")
    parser.add_argument("--hits", type=int, help="another count than the full one; writes no page")
    given = parser.parse_args()
    # Whoever ends this run ends the brokers that it started: an exception runs through every `finally`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before it was over"))
    try:
        proven = [prove(name, given.seed, given.hits) for name in given.only or HAMMERS]
    except Disproved as seen:
        sys.exit(f"disproved: {seen}")
    if given.only or given.hits:
        return
    PAGE.write_text(page(proven, datetime.now(UTC).date()))
    print(f"all promises held; see {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")


if __name__ == "__main__":
    main()
