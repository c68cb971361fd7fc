"""Start-up and size: from exec to the first decision, the CLI's help, memory with very many rules (F9).

Every process finds its modules compiled, as installing leaves them: one start before the measured ones sees to that,
wherever this run keeps compiled modules. A start that has to compile everything first is told beside.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks import asks, houses, load
from benchmarks.load import Counters, Requests
from benchmarks.loader import Connection, Template
from benchmarks.over_http import broker_server
from benchmarks.pinned import SERVER_CORE, on_core
from benchmarks.plan import Plan
from benchmarks.questions import World, answers, questions, world
from benchmarks.report import Findings, Row, middle

FIRST_SECONDS: Final = 0.5
HELP_SECONDS: Final = 0.3
MEMORY_MB: Final = 120.0


def run(plan: Plan, findings: Findings, folder: Path) -> None:
    """Measure starts, helps and memory."""
    of = world(plan.rules)
    house = houses.build(folder / "start", of)
    requests = _requests(of, house, plan)
    compiled = _compiled_in(folder / "compiled")
    uncompiled, _ = _first_decision(house, requests, 0, compiled)
    _help(compiled)
    starts = (_first_decision(house, requests, number, compiled) for number in range(1, plan.starts + 1))
    firsts, used = zip(*starts, strict=True)
    helps = [_help(compiled) for _ in range(plan.starts)]
    measured = zip(firsts, used, helps, strict=True)
    names = ("first_decision_s", "first_decision_cpu_s", "help_s")
    findings.keep("starting", [dict(zip(names, one, strict=True)) for one in measured])
    findings.keep("uncompiled_start", [{"first_decision_s": uncompiled}])
    what = f"exec to first decision, {plan.rules:,} rules, durable"
    beside = f"{middle(used):.2f} s of processor time; {uncompiled:.2f} s when nothing is compiled"
    _tell(findings, what, middle(firsts), FIRST_SECONDS, "s", beside=beside)
    _tell(findings, "`assent --help`", middle(helps), HELP_SECONDS, "s")
    _memory(plan, findings, folder)


def _compiled_in(folder: Path) -> dict[str, str]:
    # Whoever forbids Python to write compiled modules (an empty value does not) would measure the compiler.
    return {"PYTHONPYCACHEPREFIX": str(folder), "PYTHONDONTWRITEBYTECODE": ""}


def _requests(of: World, house: houses.House, plan: Plan) -> Requests:
    asked = questions(of, 64, plan.seed)
    return asks.of_questions(asked, answers(of, asked), house.agents)


def _tell(findings: Findings, what: str, found: float, aim: float, unit: str, *, beside: str = "") -> None:
    shown = f"{found:.2f} {unit}" if unit == "s" else f"{found:.0f} {unit}"
    findings.add(
        Row(
            goal="F9",
            what=what,
            ours=shown,
            beside=beside,
            ratio=found / aim,
            aim=f"≤ {aim:g} {unit}",
            met=found <= aim,
        )
    )


def _first_decision(
    house: houses.House, requests: Requests, number: int, environment: Mapping[str, str]
) -> tuple[float, float]:
    """Return seconds, and processor seconds, from before the process was made until its first decision was right."""
    with broker_server(house, environment) as server:
        connection = Connection(server.port)
        connection.ask(Template(*requests.templates[0]), 0, number + 1)
        while connection.take() is None:
            pass
        seconds = time.perf_counter() - server.started
        used = server.cpu_seconds()
        connection.socket.close()
    return seconds, used or 0.0


def _help(environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(
        on_core(SERVER_CORE, sys.executable, "-m", "assent", "--help"),
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=30,
        env={**os.environ, **environment},
    )
    return time.perf_counter() - began


def _memory(plan: Plan, findings: Findings, folder: Path) -> None:
    of = world(plan.many_rules)
    house = houses.build(folder / "memory", of)
    with broker_server(house) as server:
        load.run(server, _requests(of, house, plan), connections=16, seconds=2.0, first_counter=Counters().first())
        now, most = server.memory_mb(), server.memory_mb("VmHWM")
    if now is None or most is None:
        return
    findings.keep("memory", [{"rules": plan.many_rules, "rss_mb": now, "peak_mb": most}])
    _tell(findings, f"memory with {plan.many_rules:,} rules after load (peak {most:.0f} MB)", now, MEMORY_MB, "MB")
