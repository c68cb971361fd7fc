"""A trip in process while others decide: until it is durable, and until whoever waits for it is awake.

`python -m benchmarks.trip_flows FOLDER RULES CONCURRENT SECONDS` prints what it measured as JSON. What is tripped is
none of what is decided, so that the load goes on, and every answer is compared with the oracle.
"""

import asyncio
import itertools
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import uvloop

from assent.core.breakers import Scope
from assent.flows import authenticate, trip_breaker
from assent.flows.broker import Broker
from assent.flows.trip_breaker import ALERTS
from assent.serving.process import collect_rarely
from assent.wiring import assemble
from benchmarks import flows, houses
from benchmarks.checks import WrongAnswer
from benchmarks.pinned import SERVER_CORE, pin
from benchmarks.questions import world

SCOPE: Final = Scope(agent="nobody-asks", environment="staging")
AGENTS: Final = 64
PAUSE_SECONDS: Final = 0.01
WAKE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tripped:
    """What trips came to; all in microseconds. `woken` is from the acknowledgement on.

    `cpu` is the processor time of the process until the acknowledgement: what neighbours on the machine do not add to.
    """

    trips: int
    decisions: int
    p50_us: float
    p99_us: float
    woken_p50_us: float
    woken_p99_us: float
    cpu_p50_us: float
    cpu_p99_us: float


@dataclass(frozen=True, slots=True)
class Spent:
    """Nanoseconds of each trip: until it was durable, by the clock and of the processor, and until it was heard."""

    durable: list[int] = field(default_factory=list)
    cpu: list[int] = field(default_factory=list)
    woken: list[int] = field(default_factory=list)


async def trip_on(broker: Broker, token: str, seconds: float) -> Spent:
    """Trip and reset until the time is over; return what each took."""
    spent = Spent()
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        caller = await authenticate.operator(broker, token, "bench")
        heard = asyncio.create_task(_heard(broker))
        await asyncio.sleep(PAUSE_SECONDS)
        began, cpu = time.perf_counter_ns(), time.process_time_ns()
        tripped = await trip_breaker.trip(broker, caller, SCOPE)
        acknowledged = time.perf_counter_ns()
        spent.durable.append(acknowledged - began)
        spent.cpu.append(time.process_time_ns() - cpu)
        spent.woken.append(max(0, await heard - acknowledged))
        if not (await trip_breaker.reset(broker, caller, tripped.breaker.id, reason="measured")).closed:
            raise WrongAnswer("one person could not reset a breaker outside production")
    return spent


async def _heard(broker: Broker) -> int:
    subscription = broker.signals.subscribe((ALERTS,))
    try:
        if not await subscription.wait(WAKE_SECONDS):
            raise WrongAnswer("nobody was woken by a trip")
        return time.perf_counter_ns()
    finally:
        subscription.close()


async def measure(house: houses.House, rules: int, concurrent: int, seconds: float) -> Tripped:
    """Return what trips come to beside so many that decide without a pause."""
    assembly = assemble(house.settings(), issuer=houses.ISSUER)
    collect_rarely()
    broker, decided = assembly.broker, 0
    tasks = itertools.cycle(list(flows.tasks_of(house, rules, AGENTS)))
    numbers = itertools.count()
    stop = time.perf_counter() + seconds

    async def worker() -> None:
        nonlocal decided
        while time.perf_counter() < stop:
            await flows.ask(broker, next(tasks), next(numbers))
            decided += 1

    workers = [asyncio.create_task(worker()) for _ in range(concurrent)]
    spent = await trip_on(broker, house.operator, seconds)
    await asyncio.gather(*workers)
    await assembly.ledger.close()
    return Tripped(
        trips=len(spent.durable),
        decisions=decided,
        p50_us=_at(spent.durable, 0.5),
        p99_us=_at(spent.durable, 0.99),
        woken_p50_us=_at(spent.woken, 0.5),
        woken_p99_us=_at(spent.woken, 0.99),
        cpu_p50_us=_at(spent.cpu, 0.5),
        cpu_p99_us=_at(spent.cpu, 0.99),
    )


def _at(spent: list[int], share: float) -> float:
    return sorted(spent)[min(len(spent) - 1, int(len(spent) * share))] / 1_000


def main() -> None:
    """Measure and print."""
    folder, rules, concurrent, seconds = sys.argv[1:5]
    pin(SERVER_CORE)
    of = world(int(rules), agents=AGENTS)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        house = houses.build(Path(place) / "house", of)
        found = uvloop.run(measure(house, int(rules), int(concurrent), float(seconds)))
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
