"""A stop at one of two brokers, until whoever waits for it at the other is awake.

`python -m benchmarks.neighbours FOLDER STOPS` prints what it measured as JSON. Both brokers serve one database and
count in one Valkey; agents and operator have a core of their own.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks import houses, people
from benchmarks.asking import Asked, Asker
from benchmarks.checks import WrongAnswer
from benchmarks.children import measured
from benchmarks.over_http import broker_server
from benchmarks.pinned import LOAD_CORE, pin
from benchmarks.plan import Plan
from benchmarks.report import Findings, Row, middle
from tests import postgres_server, valkey_server

AGENTS: Final = 40
WAITING_EACH: Final = 5
WARM: Final = 5
WOKEN_MS: Final = 5.0
_SETTLED_SECONDS: Final = 0.05
_DONE: Final = 200


def run(plan: Plan, findings: Findings, folder: Path) -> None:
    """Measure it and print what it comes to; without the servers say so."""
    why = postgres_server.why_not() or valkey_server.why_not()
    if why is not None:
        findings.add(Row(what="woken by a stop at another broker", ours="not measured", beside=why))
        return
    rounds = [measured("benchmarks.neighbours", folder, AGENTS) for _ in range(plan.flow_rounds)]
    findings.keep("neighbours", rounds)
    for where, goal in (("other", "F5"), ("same", "")):
        p50, p99 = (middle(one[f"{where}_p{part}_ms"] for one in rounds) for part in (50, 99))
        findings.add(
            Row(
                goal=goal,
                what=f"a stop's answer until whoever waits at the {where} broker has heard, p99",
                ours=f"{p99:.1f} ms",
                beside=f"p50 {p50:.1f} ms",
                ratio=p99 / WOKEN_MS,
                aim=f"≤ {WOKEN_MS:g} ms" if goal else "",
                met=p99 <= WOKEN_MS if goal else None,
            )
        )


@contextmanager
def two_brokers(folder: Path) -> Iterator[tuple[houses.House, list[str]]]:
    """Serve twice on one database; give what opens them, and where they are."""
    with ExitStack() as stack:
        postgres, valkey = postgres_server.started(), valkey_server.started()
        stack.callback(postgres.stop)
        stack.callback(valkey.stop)
        more = people.UNLIMITED + f'ledger_url = "{postgres.fresh()}"\nredis_url = "{valkey.url}"\n'
        policy = partial(people.write, agents=AGENTS, rooms=1, assurance="token")
        house = houses.furnish(folder / "one", policy, [people.agent(number) for number in range(AGENTS)], more=more)
        shutil.copytree(house.folder, folder / "two")
        other = replace(house, folder=folder / "two")
        # What each keeps beside its ledger lies in its own folder.
        settings = other.settings_file.read_text()
        other.settings_file.write_text(settings.replace(f"{house.folder}/", f"{other.folder}/"))
        ports = [stack.enter_context(broker_server(one)).port for one in (house, other)]
        yield house, [f"http://127.0.0.1:{port}" for port in ports]


async def measure(house: houses.House, bases: list[str], stops: int) -> dict[str, list[float]]:
    """Return the milliseconds from a stop's answer until each waiter has heard: at the same broker, at the other."""
    found: dict[str, list[float]] = {"same": [], "other": []}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for number in range(stops):
            name = people.agent(number)
            heard = {}
            for where, base in (("same", bases[0]), ("other", bases[1])):
                asker = Asker(session, base, house.agents[name])
                asked = [await asker.ask(people.tool(0)) for _ in range(WAITING_EACH)]
                heard[where] = [asyncio.create_task(_heard(asker, one)) for one in asked]
            await asyncio.sleep(_SETTLED_SECONDS)
            answered = await _stop(session, bases[0], house.operator, name)
            for where, several in heard.items():
                spent = [(await one - answered) * 1_000 for one in several]
                found[where] += spent if number >= WARM else []
    return found


async def _heard(asker: Asker, asked: Asked) -> float:
    said = await asker.until_answered(asked)
    heard = time.perf_counter()
    if said["state"] != "cancelled":
        raise WrongAnswer(f"who waits heard {said['state']}")
    return heard


async def _stop(session: aiohttp.ClientSession, base: str, token: str, agent: str) -> float:
    head = {"authorization": f"Bearer {token}"}
    wish = {"scope": {"agent": agent}, "reason": "bench"}
    async with session.post(f"{base}/v1/breakers/trip", json=wish, headers=head) as answered:
        said: dict[str, Any] = await answered.json()
    answered_at = time.perf_counter()
    if answered.status != _DONE or len(said["cut_off"]) != 2 * WAITING_EACH:
        raise WrongAnswer(f"a stop answered {answered.status}: {said}")
    return answered_at


def _at(spent: list[float], share: float) -> float:
    return sorted(spent)[int(len(spent) * share)]


def main() -> None:
    """Measure what the command line names and print it."""
    parent, stops = sys.argv[1:3]
    with tempfile.TemporaryDirectory(dir=parent) as folder, two_brokers(Path(folder)) as (house, bases):
        pin(LOAD_CORE)
        found = asyncio.run(measure(house, bases, int(stops)))
    at = {f"{where}_p{part}_ms": _at(spent, part / 100) for where, spent in found.items() for part in (50, 99)}
    print(json.dumps({"stops": int(stops) - WARM, "waiting": sum(map(len, found.values())), **at}))


if __name__ == "__main__":
    main()
