"""A whole decision in process: authenticate, judge, bind, record, commit, without HTTP.

`python -m benchmarks.flows FOLDER SIZE AGENTS CONCURRENT SECONDS DURABLE STORED` prints what it measured as JSON, after
so many decisions were stored. Every answer is compared with the oracle.
"""

import asyncio
import gc
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import uvloop

from assent.flows import authenticate
from assent.flows.broker import Broker
from assent.flows.request_action import Ask, request_action
from assent.stores.sqlite import SqliteLedger
from assent.wiring import Assembly, assemble, fresh
from assent.wiring.assembly import now
from benchmarks import houses
from benchmarks.checks import WrongAnswer
from benchmarks.pinned import SERVER_CORE, pin
from benchmarks.questions import Answer, Question, answers, questions, world

SEED = 20_260_302
WARM_UP = 256
FILLING = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What whole decisions came to; latencies are from asking to the durable answer."""

    rules: int
    agents: int
    concurrent: int
    durable: bool
    stored: int
    decisions: int
    per_second: float
    cpu_us: float
    p50_us: float
    p99_us: float


@dataclass(frozen=True, slots=True)
class Task:
    """One question, its agent's key and the right answer."""

    question: Question
    key: str
    right: Answer


async def ask(broker: Broker, task: Task, number: int) -> int:
    """Ask as the API does, compare, and return the nanoseconds it took."""
    path = f"{task.question.path.removesuffix('.txt')}-{number}.txt"
    attempt = f"bench-attempt-{number:032d}"
    began = time.perf_counter_ns()
    caller = await authenticate.agent(broker, task.key)
    wish = Ask(tool=task.question.tool, arguments={"path": path}, attempt=attempt, run_id="r", idempotency_key=attempt)
    answered = await request_action(broker, caller, wish)
    spent = time.perf_counter_ns() - began
    if answered.decision.answer.value != task.right.value or not answered.action.record_id:
        raise WrongAnswer(f"{task.question}: expected {task.right}, heard {answered.decision}")
    return spent


async def measure(
    broker: Broker, tasks: list[Task], concurrent: int, seconds: float, stored: int, *, first: int = 0
) -> tuple[list[int], float, float]:
    """Return the nanoseconds of each decision, wall seconds and processor seconds.

    `stored` are decided before; `first` is where the numbers begin that make each ask another one.
    """
    numbers = itertools.count(first)
    turns = itertools.cycle(tasks)
    for _ in range(-(-stored // FILLING)):
        await asyncio.gather(*(ask(broker, next(turns), next(numbers)) for _ in range(FILLING)))
    gc.collect()
    spent: list[int] = []
    began, cpu = time.perf_counter(), time.process_time()

    async def worker() -> None:
        while time.perf_counter() - began < seconds:
            spent.append(await ask(broker, next(turns), next(numbers)))

    await asyncio.gather(*(worker() for _ in range(concurrent)))
    return spent, time.perf_counter() - began, time.process_time() - cpu


def not_durable(assembly: Assembly) -> Assembly:
    """Return the same broker on the same file, with a ledger that does not wait for the disk."""
    settings = assembly.settings
    asyncio.run(assembly.ledger.close())
    ledger = SqliteLedger.open(
        settings.ledger_file,
        assembly.kept.keys.ledger_keys(),
        clock=now,
        new_id=fresh.new_id,
        unsafe_not_durable="to measure what durability costs",
    )
    kept = replace(assembly.kept, ledger=ledger)
    return replace(assembly, kept=kept, broker=replace(assembly.broker, ledger=ledger))


def tasks_of(house: houses.House, size: int, agents: int) -> Iterator[Task]:
    """Yield questions of agents that have a key."""
    of = world(size, agents=agents)
    asked = [question for question in questions(of, max(400, 2 * agents), SEED) if question.agent in house.agents][:400]
    for question, right in zip(asked, answers(of, asked), strict=True):
        yield Task(question, house.agents[question.agent], right)


def decide(
    folder: Path, size: int, agents: int, concurrent: int, seconds: float, *, durable: bool, stored: int = WARM_UP
) -> Decided:
    """Return what whole decisions cost in a fresh broker below `folder`."""
    house = houses.build(folder, world(size, agents=agents))
    assembly = assemble(house.settings(), issuer=houses.ISSUER)
    if not durable:
        assembly = not_durable(assembly)
    tasks = list(tasks_of(house, size, agents))

    async def run() -> tuple[list[int], float, float]:
        try:
            return await measure(assembly.broker, tasks, concurrent, seconds, stored)
        finally:
            await assembly.ledger.close()

    spent, wall, cpu = uvloop.run(run())
    spent.sort()
    return Decided(
        rules=size,
        agents=agents,
        concurrent=concurrent,
        durable=durable,
        stored=stored,
        decisions=len(spent),
        per_second=len(spent) / wall,
        cpu_us=cpu * 1e6 / len(spent),
        p50_us=spent[len(spent) // 2] / 1_000,
        p99_us=spent[len(spent) * 99 // 100] / 1_000,
    )


def main() -> None:
    """Measure what the command line names and print it."""
    parent, size, agents, concurrent, seconds, durable, stored = sys.argv[1:8]
    pin(SERVER_CORE)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        found = decide(
            Path(folder) / "broker",
            int(size),
            int(agents),
            int(concurrent),
            float(seconds),
            durable=durable == "yes",
            stored=max(int(stored), WARM_UP),
        )
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
