"""From a click's arrival at the stand-in for Slack until the waiting agent runs, over a socket or over HTTP.

`python -m benchmarks.slack_clicks FOLDER WAY ROUNDS [TABS]` prints what it measured as JSON, beside so many open pages
of the console. The broker has a core of its own; Slack, the agents and the pages have the other. Slack's limits on
calls a minute are lifted: what Slack itself would hold back is not what is measured. Its time to say whether an account
is live is part of every click.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import aiohttp

from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Message, Workspace
from assent.slack.manifest import PATH, SCOPES
from assent.slack.view import Press
from benchmarks import houses, people, tabs
from benchmarks.asking import Asked, Asker
from benchmarks.checks import WrongAnswer
from benchmarks.over_http import broker_server
from benchmarks.pinned import LOAD_CORE, pin

ROOMS: Final = 20
COMES_WITHIN_SECONDS: Final = 30.0
SOCKET: Final = "socket"
PRESS_EACH_SECONDS: Final = 0.3
_LOOK_AGAIN_SECONDS: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicked:
    """What clicks came to, in milliseconds: until the agent runs, and until Slack had its acknowledgement."""

    way: str
    clicks: int
    p50_ms: float
    p99_ms: float
    worst_ms: float
    acknowledged_p50_ms: float
    acknowledged_p99_ms: float


async def measure(house: houses.House, way: str, rounds: int, pages: int) -> Clicked:
    """Return what clicks come to; after the first of each person, which pays for what is loaded once."""
    numbers = range(ROOMS)
    workspace = Workspace(
        people=[people.person(number) for number in numbers],
        channels=[people.room(number) for number in numbers],
        scopes=SCOPES,
        counts_calls=False,
    )
    async with serving(workspace) as slack:
        server = broker_server(house, _settings(workspace, slack, way))
        broker = await asyncio.to_thread(server.__enter__)
        pin(LOAD_CORE)
        try:
            if way != SOCKET:
                slack.delivery.request_url = f"http://127.0.0.1:{broker.port}{PATH}"
            base = f"http://127.0.0.1:{broker.port}"
            spent = await _rounds(house, slack, base, rounds, is_socket=way == SOCKET, pages=pages)
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
    ran, acknowledged = [one[0] for one in spent], [one[1] for one in spent]
    return Clicked(
        way=way,
        clicks=len(spent),
        p50_ms=_at(ran, 0.5),
        p99_ms=_at(ran, 0.99),
        worst_ms=max(ran) / 1e6,
        acknowledged_p50_ms=_at(acknowledged, 0.5),
        acknowledged_p99_ms=_at(acknowledged, 0.99),
    )


def _settings(workspace: Workspace, slack: StandIn, way: str) -> dict[str, str]:
    way_in = {"APP_TOKEN": workspace.app_token} if way == SOCKET else {"SIGNING_SECRET": workspace.signing_secret}
    given = {"BOT_TOKEN": workspace.bot_token, "API_URL": slack.api, **way_in}
    return {f"ASSENT_SLACK_{name}": value for name, value in given.items()}


async def _rounds(
    house: houses.House, slack: StandIn, base: str, rounds: int, *, is_socket: bool, pages: int
) -> list[tuple[int, int]]:
    spent: list[tuple[int, int]] = []
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        signed_in = await tabs.cookies(session, base, house.people) if pages else []
        opened = await stack.enter_async_context(tabs.opened(base, signed_in, pages))
        askers = [Asker(session, base, house.agents[people.agent(number)]) for number in range(ROOMS)]
        for number in range(rounds + 1):
            asked = await asyncio.gather(*(asker.ask(people.tool(n)) for n, asker in enumerate(askers)))
            running = [asyncio.create_task(asker.run(one)) for asker, one in zip(askers, asked, strict=True)]
            cards = [await _card(slack, one, is_socket=is_socket) for one in asked]
            found = []
            for n, card in enumerate(cards):
                # People press one after the other; beside pages, each press has moved all of them before the next.
                await asyncio.sleep(PRESS_EACH_SECONDS if pages else 0)
                found.append(await _click(slack, people.person(n).id, card, running[n]))
            spent += found if number else []
            await _until_all_say(cards, "succeeded")
            for tab in opened:
                tab.forget({})
    return spent


async def _click(slack: StandIn, person: str, card: Message, running: "asyncio.Task[int]") -> tuple[int, int]:
    began = time.perf_counter_ns()
    delivered = await slack.as_user(person).press(card, Press.APPROVE)
    acknowledged = time.perf_counter_ns()
    if delivered.outcome != "acknowledged":
        raise WrongAnswer(f"a click was {delivered.outcome}")
    return await running - began, acknowledged - began


async def _card(slack: StandIn, asked: Asked, *, is_socket: bool) -> Message:
    end = time.monotonic() + COMES_WITHIN_SECONDS
    while time.monotonic() < end:
        found = [one for one in slack.slack.messages if str(one.now["text"]).startswith(asked.code)]
        if found and (slack.delivery.sockets or not is_socket):
            return found[-1]
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    raise WrongAnswer(f"the card of {asked.code} did not come")


async def _until_all_say(cards: list[Message], word: str) -> None:
    end = time.monotonic() + COMES_WITHIN_SECONDS
    while not all(word in str(card.now["text"]) for card in cards):
        if time.monotonic() >= end:
            raise WrongAnswer(f"not every card came to say `{word}`")
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _at(spent: list[int], share: float) -> float:
    return sorted(spent)[min(len(spent) - 1, int(len(spent) * share))] / 1e6


def main() -> None:
    """Measure and print."""
    folder, way, rounds, *pages = sys.argv[1:5]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        house = houses.furnish(
            Path(place) / "house",
            lambda directory: people.write(directory, agents=ROOMS, rooms=ROOMS),
            [people.agent(number) for number in range(ROOMS)],
            people=[people.person(number).name for number in range(ROOMS)],
            more=people.UNLIMITED,
        )
        found = asyncio.run(measure(house, way, int(rounds), int(*pages or "0")))
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
