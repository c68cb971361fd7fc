"""Many approvals pending at once, each with the long-poll of the agent that waits for it: memory, idle cost, wake-up.

`python -m benchmarks.parked FOLDER COUNT ANSWERS` prints what it measured as JSON. Slack is off: one message a second
and channel is Slack's limit, so that many cards would take hours there, whatever the broker does.
"""

import asyncio
import itertools
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks import houses, people
from benchmarks.asking import Asked, Asker
from benchmarks.checks import WrongAnswer
from benchmarks.over_http import broker_server
from benchmarks.pinned import LOAD_CORE, pin
from benchmarks.servers import Server

AGENTS: Final = 20
ROOMS: Final = 4
WARM: Final = 200
AT_ONCE: Final = 8
FEW: Final = 500
IDLE_SECONDS: Final = 6.0
SETTLE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """What `count` pending approvals come to: kilobytes each (10^3), one core's share while nothing happens, wake-up.

    The wake-up is from the approver's request until that agent runs, in milliseconds. `first_us` and `last_us` are the
    processor time of one of the first asks with its poll, and of one of the last;
    `put_off` counts answers that the ledger gave too late (503), after which the agent asked again.
    """

    count: int
    kb_each: float
    first_us: float
    last_us: float
    idle_share: float
    p50_ms: float
    worst_ms: float
    put_off: int


class _Crowd:
    """Agents of whom each waits for many answers."""

    def __init__(self, session: aiohttp.ClientSession, base: str, house: houses.House) -> None:
        keys = (house.agents[people.agent(number)] for number in range(AGENTS))
        self._all = [Asker(session, base, key) for key in keys]
        self._askers = itertools.cycle(self._all)
        self._tools = itertools.cycle([people.tool(number) for number in range(ROOMS)])
        self.waiting: dict[str, tuple[Asked, asyncio.Task[int]]] = {}

    async def add(self, count: int) -> None:
        """Ask so many more, and wait for each."""
        left = itertools.islice(zip(self._askers, self._tools, strict=False), count)
        async with asyncio.TaskGroup() as several:
            for _ in range(AT_ONCE):
                several.create_task(self._ask(left))

    async def _ask(self, left: Any) -> None:  # noqa: ANN401  # one iterator of pairs, shared
        for asker, tool in left:
            asked = await asker.ask(tool)
            self.waiting[asked.id] = asked, asyncio.create_task(asker.run(asked))

    @property
    def put_off(self) -> int:
        """How often somebody was told to come again."""
        return sum(asker.put_off for asker in self._all)

    def look(self) -> None:
        """Raise what went wrong for somebody who waits."""
        for _, task in self.waiting.values():
            if task.done():
                task.result()

    async def end(self) -> None:
        """Let go of everybody."""
        tasks = [task for _, task in self.waiting.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(house: houses.House, count: int, answers: int) -> Parked:
    """Return what `count` waiting agents cost, and how soon `answers` of them are heard."""
    with broker_server(house) as server:
        pin(LOAD_CORE)
        base = f"http://127.0.0.1:{server.port}"
        timeout, connector = aiohttp.ClientTimeout(total=None), aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            crowd = _Crowd(session, base, house)
            try:
                await crowd.add(WARM)
                before = await _memory(server)
                first_us = await _processor_time(server, crowd)
                await crowd.add(count - 2 * FEW)
                last_us = await _processor_time(server, crowd)
                kb_each = (await _memory(server) - before) * 1_000 / count
                used, began = _cpu(server), time.monotonic()
                await asyncio.sleep(IDLE_SECONDS)
                idle = (_cpu(server) - used) / (time.monotonic() - began)
                spent = await _answer(crowd, Asker(session, base, house.operator), answers)
                crowd.look()
            finally:
                await crowd.end()
    spent.sort()
    return Parked(
        count=count,
        kb_each=kb_each,
        first_us=first_us,
        last_us=last_us,
        idle_share=idle,
        p50_ms=spent[len(spent) // 2] / 1e6,
        worst_ms=spent[-1] / 1e6,
        put_off=crowd.put_off,
    )


async def _processor_time(server: Server, crowd: _Crowd) -> float:
    before = _cpu(server)
    await crowd.add(FEW)
    return (_cpu(server) - before) * 1e6 / FEW


async def _answer(crowd: _Crowd, approver: Asker, answers: int) -> list[int]:
    found = []
    for asked, running in list(crowd.waiting.values())[:: max(1, len(crowd.waiting) // answers)][:answers]:
        began = time.perf_counter_ns()
        await approver.approve(asked)
        found.append(await running - began)
    return found


async def _memory(server: Server) -> float:
    await asyncio.sleep(SETTLE_SECONDS)
    memory = server.memory_mb()
    if memory is None:
        raise WrongAnswer("this system does not tell how much memory a process takes")
    return memory


def _cpu(server: Server) -> float:
    return server.cpu_seconds() or 0.0


def main() -> None:
    """Measure and print."""
    folder, count, answers = sys.argv[1:4]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        house = houses.furnish(
            Path(place) / "house",
            lambda directory: people.write(directory, agents=AGENTS, rooms=ROOMS, assurance="token"),
            [people.agent(number) for number in range(AGENTS)],
            more=people.UNLIMITED,
        )
        found = asyncio.run(measure(house, int(count), int(answers)))
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
