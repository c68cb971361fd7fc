"""Pages that stay current: what a stream says and when, who hears it, and that it ends."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.types import Message

from assent.console.given import ConsoleSettings
from assent.core.breakers import Scope
from assent.flows import authenticate, trip_breaker
from assent.flows.sign_in import sign_out
from tests.api.client import Exchange, http_scope
from tests.console.town import HOST, Browser, ConsoleTown

PATIENCE_SECONDS = 20


@dataclass(slots=True)
class Stream(Exchange):
    """A stream of events that is read while it goes on."""

    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.more.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not met():
                self.more.clear()
                await self.more.wait()


@asynccontextmanager
async def open_page(browser: Browser) -> AsyncIterator[tuple[Stream, Awaitable[None]]]:
    assert browser.cookie is not None
    stream = Stream(deque([b""]))
    scope = http_scope("GET", "/console/live", [(b"host", HOST.encode()), (b"cookie", browser.cookie.encode())])
    serving = asyncio.create_task(browser.town.app(scope, stream.receive, stream.send))
    await stream.until(lambda: b"retry" in stream.body)
    yield stream, serving
    stream.hang_up()
    await asyncio.wait_for(serving, PATIENCE_SECONDS)


async def test_a_page_hears_at_once_that_something_waits(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    async with open_page(eve) as (stream, _):
        await stream.until(lambda: b"data:" in stream.body)
        before = stream.body.count(b"data: waits")
        await town.world.ask(bot)
        await stream.until(lambda: stream.body.count(b"data: waits") > before)
        assert b"files.write" not in stream.body


async def test_a_page_hears_of_a_stop_and_of_what_was_only_recorded(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    async with open_page(eve) as (stream, _):
        await stream.until(lambda: b"data:" in stream.body)
        await town.world.ask(bot, "files.read")
        await stream.until(lambda: b"data: log" in stream.body)
        before = stream.body.count(b"data: waits")
        await trip_breaker.trip(town.world.broker, await town.world.operator("eve"), Scope(agent="bot"))
        await stream.until(lambda: stream.body.count(b"data: waits") > before)


@pytest.mark.requirement("T17")
async def test_a_stream_ends_with_the_session(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    assert eve.cookie is not None
    caller = await authenticate.session(town.world.broker, eve.cookie.partition("=")[2])
    async with open_page(eve) as (_, serving):
        await sign_out(town.world.broker, caller)
        await town.world.ask(bot)
        await asyncio.wait_for(serving, PATIENCE_SECONDS)


async def test_a_stream_ends_when_the_broker_does(town: ConsoleTown) -> None:
    async with open_page(await town.by_link()) as (_, serving):
        town.closing.set()
        await asyncio.wait_for(serving, PATIENCE_SECONDS)


@pytest.mark.requirement("T14")
async def test_there_is_a_limit_to_pages_that_are_kept_current(town: ConsoleTown) -> None:
    few = ConsoleTown(town.world, ConsoleSettings(hosts=frozenset({HOST}), max_live_pages=1))
    eve, sam = await few.by_link(), await few.by_link("sam")
    async with open_page(eve):
        assert (await sam.get("/console/live")).status == 503
    async with open_page(sam) as (stream, _):
        await stream.until(lambda: b"data:" in stream.body)
