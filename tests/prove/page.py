"""The page of proofs: what was hit how often and what was seen, written from what a run counted."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from tests.hammers.budget import Report
from tests.requirements import REQUIREMENTS

_HEAD: Final = """# Proofs

What `./run prove` found: each hammer at its full count against a real serving broker, over HTTP, on a real disk. The
same hammers run for seconds in `./run test`. This page is written by the run and only when every promise held; one that
does not hold ends the run with what was seen. What the ids mean stands in [promises and threats](promises.md).

{facts}
"""
_SECTION: Final = """
## {promise}

Proves {requirements}. Seed {seed}, {seconds:.0f} s.

| counted | |
|---|---|
{rows}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """One hammer's report, the seed that repeats it, and how long it took."""

    report: Report
    seed: int
    seconds: float


def page(proven: Sequence[Proven], on: date) -> str:
    """Return the whole page."""
    return _HEAD.format(facts=_facts(on)) + "".join(map(_section, proven))


def _facts(on: date) -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"Run on {on.isoformat()}: Python {python}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores."
    )


def _section(one: Proven) -> str:
    named = [f"[{key}]({REQUIREMENTS[key].anchor.removeprefix('docs/')})" for key in one.report.requirements]
    rows = "\n".join(f"| {name} | {_number(value)} |" for name, value in one.report.counts.items())
    promise = one.report.promise
    return _SECTION.format(
        promise=promise[0].upper() + promise[1:],
        requirements=", ".join(named),
        seed=one.seed,
        seconds=one.seconds,
        rows=rows,
    )


def _number(value: float | str) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
