"""Whole decisions on PostgreSQL, by one broker and by two on one database, beside one on a SQLite file.

`python -m benchmarks.databases HOUSE SIZE AGENTS CONCURRENT SECONDS NUMBER` prints what one broker measured as JSON; of
several on one database each has a NUMBER of its own, and asks for other things.
"""

import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvloop

from assent.wiring import assemble
from benchmarks import houses, policy_files
from benchmarks.children import measured
from benchmarks.flows import WARM_UP, measure, tasks_of
from benchmarks.pinned import SERVER_CORE, pin
from benchmarks.plan import Plan
from benchmarks.questions import agent_name, world
from benchmarks.report import Findings, Row, micro, middle, rate
from tests import postgres_server

MANY: Final = 64
AGENTS: Final = 64
# Numbers of one broker's asks begin so far from those of the next.
APART: Final = 10_000_000
LEAST_OF_FILE: Final = 0.3
MOST_CPU: Final = 1.1


def run(plan: Plan, findings: Findings, folder: Path) -> None:
    """Measure file, one broker and two, interleaved, and print what they come to; without a server say so."""
    why = postgres_server.why_not()
    if why is not None:
        findings.add(Row(what="decisions on PostgreSQL", ours="not measured", beside=why))
        return
    found: dict[str, list[dict[str, Any]]] = {"file": [], "one": [], "two": []}
    server = postgres_server.started()
    try:
        for _ in range(plan.flow_rounds):
            found["file"] += _brokers(plan, folder, 1, "")
            found["one"] += _brokers(plan, folder, 1, f'ledger_url = "{server.fresh()}"\n')
            found["two"] += _brokers(plan, folder, 2, f'ledger_url = "{server.fresh()}"\n')
    finally:
        server.stop()
    for where, several in found.items():
        findings.keep("databases", [{"where": where, **one} for one in several])
    _say(findings, found)


def _brokers(plan: Plan, folder: Path, count: int, more: str) -> list[dict[str, Any]]:
    """Return what so many brokers measured side by side, on a ledger of their own."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        house = Path(place) / "broker"
        names = [agent_name(number) for number in range(AGENTS)]
        of = world(plan.rules, agents=AGENTS)
        made = houses.furnish(house, partial(policy_files.write, of), names, more=more)
        (house / "agents.json").write_text(json.dumps(made.agents))
        size = (house, plan.rules, AGENTS, MANY, plan.round_seconds)
        with ThreadPoolExecutor(count) as beside:
            waiting = [beside.submit(measured, "benchmarks.databases", *size, number) for number in range(count)]
            return [one.result() for one in waiting]


def _say(findings: Findings, found: dict[str, list[dict[str, Any]]]) -> None:
    speed = {where: middle(one["per_second"] for one in several) for where, several in found.items()}
    cpu = {where: middle(one["cpu_us"] for one in several) for where, several in found.items()}
    findings.add(
        Row(
            goal="F10",
            what=f"whole decision, {MANY} at a time, one broker on PostgreSQL ÷ on SQLite",
            ours=f"{rate(speed['one'])}, {micro(cpu['one'])} CPU",
            beside=f"{rate(speed['file'])}, {micro(cpu['file'])} CPU",
            ratio=speed["one"] / speed["file"],
            aim=f"≥ {LEAST_OF_FILE}",
            met=speed["one"] >= LEAST_OF_FILE * speed["file"],
        )
    )
    findings.add(
        Row(
            goal="F10",
            what=f"processor time of a decision, each of two brokers on one database ÷ one, {MANY} at a time at each",
            ours=f"{micro(cpu['two'])} CPU",
            beside=f"{micro(cpu['one'])} CPU",
            ratio=cpu["two"] / cpu["one"],
            aim=f"≤ {MOST_CPU}",
            met=cpu["two"] <= MOST_CPU * cpu["one"],
        )
    )


def decide(house: Path, size: int, agents: int, concurrent: int, seconds: float, *, number: int) -> dict[str, Any]:
    """Return what whole decisions cost this process, on the ledger of a house; the server's time is not in it."""
    made = houses.House(folder=house, agents=json.loads((house / "agents.json").read_text()), operator="", people={})
    assembly = assemble(made.settings(), issuer=houses.ISSUER)
    tasks = list(tasks_of(made, size, agents))

    async def measuring() -> tuple[list[int], float, float]:
        try:
            return await measure(assembly.broker, tasks, concurrent, seconds, WARM_UP, first=number * APART)
        finally:
            await assembly.ledger.close()

    spent, wall, cpu = uvloop.run(measuring())
    return {"decisions": len(spent), "per_second": len(spent) / wall, "cpu_us": cpu * 1e6 / len(spent)}


def main() -> None:
    """Measure what the command line names and print it."""
    house, size, agents, concurrent, seconds, number = sys.argv[1:7]
    pin(SERVER_CORE)
    print(json.dumps(decide(Path(house), int(size), int(agents), int(concurrent), float(seconds), number=int(number))))


if __name__ == "__main__":
    main()
