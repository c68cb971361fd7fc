"""A whole decision that a rule counts, in the process and in Redis, beside one that nothing counts.

`python -m benchmarks.counted FOLDER SIZE AGENTS CONCURRENT SECONDS WHERE URL` prints what it measured as JSON; WHERE is
`nowhere`, `process` or `redis`.
"""

import json
import logging
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from assent.flows.recount import recount
from assent.logs import set_up_at_first_event
from assent.wiring import Assembly, assemble
from benchmarks import houses
from benchmarks.checks import WrongAnswer
from benchmarks.children import measured
from benchmarks.flows import WARM_UP, measure, tasks_of
from benchmarks.pinned import SERVER_CORE, pin
from benchmarks.plan import Plan
from benchmarks.questions import world
from benchmarks.report import Findings, Row, micro, middle, rate
from tests import valkey_server

MANY: Final = 64
PLACES: Final = ("nowhere", "process", "redis")
# It counts every ask, and nobody comes so far.
RULES: Final = 'rules:\n  - {id: bench, scope: {agent: "*"}, trip_on: {actions: 1000000, window: 1m}}\n'


@dataclass(frozen=True, slots=True)
class Case:
    """Where it is counted, and how many ask at a time."""

    where: str
    concurrent: int


def run(plan: Plan, findings: Findings, folder: Path) -> None:
    """Measure all cases, interleaved, and print what they come to; without a Valkey say so."""
    why = valkey_server.why_not()
    if why is not None:
        findings.add(Row(what="a decision that is counted in Redis", ours="not measured", beside=why))
        return
    cases = [Case(where, concurrent) for concurrent in (1, MANY) for where in PLACES]
    found: dict[Case, list[dict[str, Any]]] = {case: [] for case in cases}
    server = valkey_server.started()
    try:
        for _ in range(plan.flow_rounds):
            for case in cases:
                size = (plan.rules, MANY, case.concurrent, plan.round_seconds)
                found[case].append(measured("benchmarks.counted", folder, *size, case.where, server.url))
    finally:
        server.stop()
    findings.keep("counted", [one for several in found.values() for one in several])

    def of(case: Case, name: str) -> float:
        return middle(one[name] for one in found[case])

    for concurrent, what in ((1, "one at a time"), (MANY, f"{MANY} at a time")):
        beside = Case("process", concurrent)
        for where in ("redis", "nowhere"):
            case = Case(where, concurrent)
            ours, theirs = rate(of(case, "per_second")), rate(of(beside, "per_second"))
            findings.add(
                Row(
                    what=f"whole decision, {what}, counted {where.replace('redis', 'in Redis')} ÷ in the process",
                    ours=f"{ours}, {micro(of(case, 'cpu_us'))} CPU, p50 {micro(of(case, 'p50_us'))}",
                    beside=f"{theirs}, {micro(of(beside, 'cpu_us'))} CPU",
                    ratio=of(case, "cpu_us") / of(beside, "cpu_us"),
                )
            )


def decide(
    folder: Path, size: int, agents: int, concurrent: int, seconds: float, *, where: str, url: str
) -> dict[str, Any]:
    """Return what whole decisions cost in a fresh broker below `folder`, processor time of Redis not included."""
    house = houses.build(folder, world(size, agents=agents))
    if where != "nowhere":
        (house.settings().policy_directory / "breakers.yaml").write_text(RULES)
    if where == "redis":
        with house.settings_file.open("a") as settings:
            settings.write(f'redis_url = "{url}"\n')
    assembly = assemble(house.settings(), issuer=houses.ISSUER, serves=True)
    tasks = list(tasks_of(house, size, agents))

    async def measuring() -> tuple[list[int], float, float]:
        try:
            await recount(assembly.broker)
            await _is_counted(assembly, where)
            spent = await measure(assembly.broker, tasks, concurrent, seconds, WARM_UP)
            await _is_counted(assembly, where)
            return spent
        finally:
            await assembly.close_signals()
            await assembly.ledger.close()

    spent, wall, cpu = uvloop.run(measuring())
    spent.sort()
    return {
        "where": where,
        "concurrent": concurrent,
        "decisions": len(spent),
        "per_second": len(spent) / wall,
        "cpu_us": cpu * 1e6 / len(spent),
        "p50_us": spent[len(spent) // 2] / 1_000,
        "p99_us": spent[len(spent) * 99 // 100] / 1_000,
    }


async def _is_counted(assembly: Assembly, where: str) -> None:
    if (assembly.redis is not None) != (where == "redis") or not await assembly.broker.signals.readable():
        raise WrongAnswer(f"it is not counted {where}")


def main() -> None:
    """Measure what the command line names and print it."""
    parent, size, agents, concurrent, seconds, where, url = sys.argv[1:8]
    pin(SERVER_CORE)
    set_up_at_first_event(sys.stderr, as_json=True, least=logging.WARNING)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        place, numbers = Path(folder) / "broker", (int(size), int(agents), int(concurrent), float(seconds))
        print(json.dumps(decide(place, *numbers, where=where, url=url)))


if __name__ == "__main__":
    main()
