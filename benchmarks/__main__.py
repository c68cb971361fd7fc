"""`./run bench`: measures, prints a table, and only measures; a wrong answer ends it, a missed aim does not.

Answers are checked everywhere, so a refusal or an error is never counted as work.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks import (
    console,
    counted,
    databases,
    neighbours,
    over_http,
    policy_growth,
    sdk,
    slack,
    starting,
    stops,
    whole_decisions,
)
from benchmarks.plan import QUICK, Plan
from benchmarks.report import Findings, heading

Section = Callable[[Plan, Findings, Path], None]

SECTIONS: Final[dict[str, Section]] = {
    "http": over_http.run,
    "flows": whole_decisions.run,
    "counted": counted.run,
    "databases": databases.run,
    "neighbours": neighbours.run,
    "engines": lambda plan, findings, _folder: policy_growth.run(plan, findings),
    "predicates": lambda plan, findings, _folder: policy_growth.with_predicates(plan, findings),
    "sdk": sdk.run,
    "stops": stops.run,
    "slack": slack.run,
    "console": console.run,
    "start": starting.run,
}


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="./run bench", description="measure, beside the floors and the peers")
    parser.add_argument("--quick", action="store_true", help="two minutes instead of ten; smaller sizes, one round")
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write every measurement to FOLDER/bench.json")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="one section; may be repeated")
    given = parser.parse_args()
    # Whoever ends this run ends the servers that it started: an exception runs through every `finally`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before it was over"))
    plan = QUICK if given.quick else Plan()
    findings = Findings()
    began = time.monotonic()
    print(heading())
    with tempfile.TemporaryDirectory(prefix="assent-bench-") as folder:
        for name in given.only or SECTIONS:
            SECTIONS[name](plan, findings, Path(folder))
    print(f"\nmeasured in {time.monotonic() - began:.0f} s; every answer was checked; medians of interleaved rounds")
    if given.json is not None:
        findings.write(given.json / "bench.json", asdict(plan))
        print(f"all measurements: {given.json / 'bench.json'}")


if __name__ == "__main__":
    main()
