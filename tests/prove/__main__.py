"""`./run prove [NAME …]`: hammers at full count; what held is written to docs/proofs.md, what did not ends with 1.

All of them take some hours: each section of the page says how long its own took. `--seed` repeats a run; `--hits`
and `--minutes` take another size than the full one, and then nothing is written.
"""

import argparse
import random
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.hammers.budget import Budget, Disproved
from tests.prove.hammers import HAMMERS, Hammer
from tests.prove.page import Announced, Proven, renewed

PAGE: Final = Path(__file__).parents[2] / "docs" / "proofs.md"


def prove(name: str, seed: int, budget: Budget, count: str) -> Proven:
    """Run one hammer in a folder of its own and say what it found.

    Raises:
        Disproved: a promise did not hold.

    """
    print(f"{name}: {count}, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="assent-prove-") as folder:
        report = HAMMERS[name].run(Path(folder), budget)
    proven = Proven(name=name, report=report, count=count, seed=seed, seconds=budget.spent())
    for what, number in report.counts.items():
        print(f"  {what}: {number}")
    if report.listed:
        print("\n".join([f"  {report.listed_as}", *(f"    {line}" for line in report.listed)]))
    print(f"  held, {proven.seconds:.0f} s", flush=True)
    return proven


def budget_of(hammer: Hammer, seed: int, hits: int | None, minutes: float | None) -> tuple[Budget, str]:
    """Return the budget of one proof, full unless another size was given, and that size in words."""
    if minutes is not None:
        return Budget(seed=seed, seconds=60 * minutes), f"{minutes:g} minutes"
    if hits is not None:
        return Budget(seed=seed, hits=hits), f"{hits:,} hits"
    return hammer.budget(seed), hammer.full


def write(proven: Proven) -> None:
    """Write the section of a proof that held in full."""
    announced = {
        name: Announced(promise=hammer.promise, requirements=hammer.requirements) for name, hammer in HAMMERS.items()
    }
    page = PAGE.read_text() if PAGE.exists() else ""
    PAGE.write_text(renewed(page, [proven], announced, datetime.now(UTC).date()))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="./run prove", description="hit every promise at full count")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or any of: {', '.join(HAMMERS)}")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32), help="repeat a run")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--hits", type=int, help="another count than the full one; writes no page")
    size.add_argument("--minutes", type=float, help="for as long as this; writes no page")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in HAMMERS]:
        parser.error(f"no proof `{unknown[0]}`; there are {', '.join(HAMMERS)}")
    # Whoever ends this run ends the brokers that it started: an exception runs through every `finally`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before it was over"))
    is_full = given.hits is None and given.minutes is None
    for name in given.names or HAMMERS:
        budget, count = budget_of(HAMMERS[name], given.seed, given.hits, given.minutes)
        try:
            proven = prove(name, given.seed, budget, count)
        except Disproved as seen:
            sys.exit(f"{name}: disproved: {seen}")
        if is_full:
            write(proven)
    print("everything held" + (f"; see {PAGE.relative_to(PAGE.parents[1])}" if is_full else "; no page was written"))


if __name__ == "__main__":
    main()
