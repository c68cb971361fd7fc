"""The stop (F5): in the broker under full load, over HTTP, and from Enter in every situation an operator may find.

What is stopped is none of what is asked, so that the load goes on; its answers are checked as everywhere.
"""

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from benchmarks import houses
from benchmarks.checks import WrongAnswer
from benchmarks.children import measured
from benchmarks.over_http import broker_server
from benchmarks.plan import Plan
from benchmarks.questions import world
from benchmarks.report import Findings, Row, middle
from benchmarks.servers import Server

ACKNOWLEDGED_MS: Final = 10.0
WOKEN_MS: Final = 5.0
FROM_ENTER_SECONDS: Final = 2.0
STOP: Final = (sys.executable, "-m", "assent", "stop", "--agent", "nobody-asks", "--env", "staging", "--json")
DONE: Final = 0
UNREACHABLE: Final = 8
TIMES: Final = 5

Situation = Callable[[houses.House, Server], AbstractContextManager[None]]


def run(plan: Plan, findings: Findings, folder: Path) -> None:
    """Measure trips in the broker, idle and under load, and from Enter."""
    for concurrent, what in ((0, "idle"), (64, "64 deciding without a pause")):
        rounds = [
            measured("benchmarks.trip_flows", folder, plan.rules, concurrent, plan.round_seconds)
            for _ in range(plan.flow_rounds)
        ]
        findings.keep("trips", rounds)
        for name, told, aim in (("", "durable", ACKNOWLEDGED_MS), ("woken_", "whoever waits is awake", WOKEN_MS)):
            p50, p99 = (middle(one[f"{name}p{part}_us"] for one in rounds) / 1_000 for part in (50, 99))
            findings.add(
                Row(
                    goal="F5",
                    what=f"trip in the broker, {what}: {told}, p99",
                    ours=f"{p99:.1f} ms",
                    beside=f"p50 {p50:.1f} ms",
                    ratio=p99 / aim,
                    aim=f"≤ {aim:g} ms",
                    met=p99 <= aim,
                )
            )
        p50, p99 = (middle(one[f"cpu_p{part}_us"] for one in rounds) / 1_000 for part in (50, 99))
        spent = f"trip in the broker, {what}: processor time until durable, p99"
        findings.add(Row(what=spent, ours=f"{p99:.1f} ms", beside=f"p50 {p50:.1f} ms"))
    house = houses.build(folder / "stops", world(plan.rules))
    with broker_server(house) as server:
        for what, situation, direct, code in SITUATIONS:
            with situation(house, server):
                _tell(findings, what, [_from_enter(house, server, direct=direct, code=code) for _ in range(TIMES)])


def _from_enter(house: houses.House, server: Server, *, direct: bool, code: int) -> float:
    """Return the seconds from Enter until the command has said how it stands."""
    options = ("--direct", "--config", str(house.settings_file)) if direct else ()
    own = {"ASSENT_URL": f"http://127.0.0.1:{server.port}", "ASSENT_OPERATOR_TOKEN": house.operator}
    began = time.perf_counter()
    done = subprocess.run([*STOP, *options], env={**os.environ, **own}, capture_output=True, timeout=60, check=False)
    spent = time.perf_counter() - began
    if done.returncode != code:
        raise WrongAnswer(f"a stop ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return spent


def _tell(findings: Findings, what: str, spent: list[float]) -> None:
    findings.keep("from_enter", [{"situation": what, "seconds": one} for one in spent])
    worst = max(spent)
    findings.add(
        Row(
            goal="F5",
            what=f"from Enter, {what}: worst of {len(spent)}",
            ours=f"{worst:.2f} s",
            beside=f"median {statistics.median(spent):.2f} s",
            ratio=worst / FROM_ENTER_SECONDS,
            aim=f"≤ {FROM_ENTER_SECONDS:g} s",
            met=worst <= FROM_ENTER_SECONDS,
        )
    )


def _serving(_house: houses.House, _server: Server) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def _ledger_held(house: houses.House, _server: Server) -> Iterator[None]:
    with closing(sqlite3.connect(house.folder / "ledger.db", isolation_level=None, timeout=10)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def _hanging(_house: houses.House, server: Server) -> Iterator[None]:
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


SITUATIONS: Final[tuple[tuple[str, Situation, bool, int], ...]] = (
    ("the broker serves", _serving, False, DONE),
    ("--direct beside it", _serving, True, DONE),
    ("the ledger cannot be written: held in memory", _ledger_held, False, UNREACHABLE),
    ("the broker hangs: --direct", _hanging, True, DONE),
)
