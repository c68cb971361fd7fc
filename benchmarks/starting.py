"""Start-up and size: from exec to the first decision, the CLI's help, memory with very many rules (F9)."""

import subprocess
import sys
import time
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
    firsts, used = zip(*(_first_decision(house, requests, number) for number in range(plan.starts)), strict=True)
    helps = [_help() for _ in range(plan.starts)]
    measured = zip(firsts, used, helps, strict=True)
    names = ("first_decision_s", "first_decision_cpu_s", "help_s")
    findings.keep("starting", [dict(zip(names, one, strict=True)) for one in measured])
    what = f"exec to first decision, {plan.rules:,} rules, durable"
    _tell(findings, what, middle(firsts), FIRST_SECONDS, "s", beside=f"{middle(used):.2f} s of processor time")
    _tell(findings, "`assent --help`", middle(helps), HELP_SECONDS, "s")
    _memory(plan, findings, folder)


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


def _first_decision(house: houses.House, requests: Requests, number: int) -> tuple[float, float]:
    """Return seconds, and processor seconds, from before the process was made until its first decision was right."""
    with broker_server(house) as server:
        connection = Connection(server.port)
        connection.ask(Template(*requests.templates[0]), 0, number + 1)
        while connection.take() is None:
            pass
        seconds = time.perf_counter() - server.started
        used = server.cpu_seconds()
        connection.socket.close()
    return seconds, used or 0.0


def _help() -> float:
    began = time.perf_counter()
    subprocess.run(
        on_core(SERVER_CORE, sys.executable, "-m", "assent", "--help"),
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=30,
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
