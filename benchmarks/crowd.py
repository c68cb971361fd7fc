"""A broker with 10,000 of everything behind its console, and what each page of it then costs.

`python -m benchmarks.crowd FOLDER ROWS` prints bytes and milliseconds of every page as JSON. Everything is made by the
broker's own flows: questions that wait and that were answered, stops, agents, people with their tokens, records.
"""

import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, TypedDict

import aiohttp

from assent.config import load_settings
from assent.core.agents import AgentId
from assent.core.approvals import DenialCategory
from assent.core.breakers import Scope
from assent.core.canonical import Json
from assent.core.credentials import Kind
from assent.core.errors import Stale
from assent.flows import authenticate
from assent.flows.authenticate import OperatorCaller
from assent.flows.broker import Broker
from assent.flows.manage_principals import issue_credential
from assent.flows.request_action import Ask, request_action
from assent.flows.resolve_approval import approve_action, deny_action
from assent.flows.suspend_agent import suspend_agent
from assent.flows.trip_breaker import trip
from assent.wiring import assemble
from benchmarks import houses, people
from benchmarks.checks import WrongAnswer
from benchmarks.over_http import broker_server
from benchmarks.pinned import LOAD_CORE, pin
from benchmarks.policy_files import MODEL, OPERATOR, OWNER
from benchmarks.tabs import cookies

ASKERS: Final = 50
TOOLS: Final = 100
STOPS: Final = 1_000
AT_ONCE: Final = 64
ONE_IN: Final = 5
ROUNDS: Final = 5
PAGES: Final = (
    "/",
    "/?show=open",
    "/?show=decided",
    "/activity",
    "/activity?all=1",
    "/activity?agent=asker-07",
    "/breakers",
    "/agents",
    "/agents/asker-07",
    "/people",
    "/policy",
    "/numbers",
    "/account",
)
_TOOL: Final = """{name}:
  description: changes one file
  impact: write
  resource: "{{path}}"
  environment: {{from: path, segment: 0, match: {{prod: production, stg: staging}}}}
  arguments: {{path: {{type: string, max_length: 1000}}, content: {{type: string, optional: true, unicode: true}}}}
  how_bad: "changes {{path}}"
  undo: "write the former content of {{path}} again"
"""


class Page(TypedDict):
    """What a page costs: its size, and the median of the milliseconds until it was there."""

    bytes: int
    ms: float


def write(directory: Path, rows: int, persons: int) -> None:
    """Write a policy with so many agents and people, and a hundredth of the agents as roles."""
    shutil.rmtree(directory, ignore_errors=True)
    rules = "".join(
        f"    - {{id: ask-{number}, tools: [{people.tool(number)}], environments: [production],"
        f" effect: require_approval, route: default}}\n"
        for number in range(TOOLS)
    )
    others = "".join(
        f"role-{number:05d}:\n  description: works in room {number}\n  owner: {OWNER}\n  rules:\n"
        f"    - {{id: read-{number}, tools: [{people.tool(number % TOOLS)}], environments: [staging],"
        f" effect: allow}}\n"
        for number in range(rows // TOOLS)
    )
    files = {
        "environments.yaml": "production: {}\nstaging: {nonproduction: true}\n",
        "operators.yaml": f"{OWNER}: {{}}\n"
        f"{OPERATOR}: {{groups: [approvers], may: [approver, operator, security_admin, auditor]}}\n"
        + "".join(f"person-{number:05d}: {{groups: [people]}}\n" for number in range(persons)),
        "routes.yaml": "default: {needs: [{any: 1, of: approvers}], assurance: token, expires_after: 1d}\n",
        "agents.yaml": "".join(
            f"{people.agent(number)}: {{owner: {OWNER}, roles: [asker, role-{number % max(1, rows // TOOLS):05d}],"
            f" expires: 2099-01-01}}\n"
            for number in range(rows)
        ),
        "tools/svc.yaml": "".join(_TOOL.format(name=people.tool(number)) for number in range(TOOLS)),
        "roles/asker.yaml": f"asker:\n  description: asks\n  owner: {OWNER}\n  rules:\n{rules}{others}",
    }
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.write_text(text)
        path.chmod(0o644)
    shutil.copyfile(MODEL, directory / "model.conf")


def furnished(place: Path, rows: int) -> houses.House:
    """Make the broker's folder and its ledger; people come last, who would all be looked at for every vote."""
    house = houses.furnish(
        place / "house",
        lambda directory: write(directory, rows, ASKERS),
        [people.agent(number) for number in range(ASKERS)],
        more=people.UNLIMITED,
    )
    asyncio.run(_fill(house, rows))
    write(house.folder / "policies", rows, rows)
    return house


async def _fill(house: houses.House, rows: int) -> None:
    assembly = assemble(load_settings(house.settings_file), issuer=houses.ISSUER)
    broker = assembly.broker
    try:
        you = await authenticate.operator(broker, house.operator, "api")
        agents = [await authenticate.agent(broker, key) for key in house.agents.values()]

        async def ask(number: int) -> None:
            arguments: Json = {"path": f"prod/logs/{number:06d}.txt"}
            wanted = Ask(tool=people.tool(number % TOOLS), arguments=arguments, run_id=f"run-{number}")
            try:
                answered = await request_action(broker, agents[number % ASKERS], wanted)
            except Stale:
                # Two questions drew one code: once in some ten thousand that wait at once. Who asks again gets another.
                answered = await request_action(broker, agents[number % ASKERS], wanted)
            if answered.approval is None:
                raise WrongAnswer(f"nobody was asked: {answered.decision.reasons}")
            if number < rows:
                await _answer(broker, you, answered.approval.id, answered.approval.digest, number)

        async def stop(number: int) -> None:
            await trip(
                broker, you, Scope(tool=people.tool(number % TOOLS), agent=f"former-{number}"), reason="too fast"
            )

        async def issue(number: int) -> None:
            await issue_credential(broker, Kind.OPERATOR, f"person-{number:05d}", issued_by="bench")

        await _all(ask, 2 * rows)
        await _all(issue, rows)
        await _all(stop, min(STOPS, rows))
        await suspend_agent(broker, you, AgentId(people.agent(9)), reason="too fast")
    finally:
        await assembly.ledger.close()


async def _answer(broker: Broker, you: OperatorCaller, key: str, digest: str, number: int) -> None:
    # Two denials of one agent, tool and rule would end the asking, so each pair of them hears one at most.
    if number < TOOLS and number % ONE_IN == 0:
        await deny_action(broker, you, key, category=DenialCategory.NOT_NEEDED, comment="no")
    else:
        await approve_action(broker, you, key, digest_prefix=digest[:16])


async def _all(work: Callable[[int], Awaitable[None]], count: int) -> None:
    left = iter(range(count))

    async def some() -> None:
        for number in left:
            await work(number)

    async with asyncio.TaskGroup() as several:
        for _ in range(AT_ONCE):
            several.create_task(some())


async def measure(house: houses.House) -> Mapping[str, Page]:
    """Return bytes and the median of milliseconds of every page."""
    with broker_server(house) as server:
        pin(LOAD_CORE)
        base = f"http://127.0.0.1:{server.port}"
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            (cookie,) = await cookies(session, base, {OPERATOR: house.operator})
            return {page: await _page(session, f"{base}/console{page}", cookie) for page in PAGES}


async def _page(session: aiohttp.ClientSession, url: str, cookie: str) -> Page:
    spent, body = list[float](), b""
    for _ in range(ROUNDS):
        began = time.perf_counter()
        async with session.get(url, headers={"cookie": cookie}, allow_redirects=False) as answer:
            body = await answer.read()
        spent.append((time.perf_counter() - began) * 1e3)
        if answer.status != 200 or b"</html>" not in body:
            raise WrongAnswer(f"{url} answered {answer.status}")
    return Page(bytes=len(body), ms=sorted(spent)[ROUNDS // 2])


def main() -> None:
    """Measure and print."""
    folder, rows = sys.argv[1:3]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        print(json.dumps(asyncio.run(measure(furnished(Path(place), int(rows))))))


if __name__ == "__main__":
    main()
