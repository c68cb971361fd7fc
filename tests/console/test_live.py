"""Pages that stay current: what a stream brings and when, to whom, made how often, and that it ends."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import pytest
from starlette.types import Message

from assent.console.given import ConsoleSettings
from assent.console.watcher import Live, Target
from assent.core.breakers import Scope
from assent.core.credentials import Kind
from assent.core.operators import Operator, OperatorId
from assent.flows import authenticate, trip_breaker
from assent.flows.authenticate import SessionCaller
from assent.flows.issue_credentials import revoke
from assent.flows.sign_in import sign_out
from tests.api.client import Exchange, http_scope
from tests.console.town import HOST, Browser, ConsoleTown

PATIENCE_SECONDS = 20
OPEN = "/console/?show=open"


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

    @property
    def parts(self) -> list[str]:
        """What each event brought."""
        events = self.body.decode().split("\n\n")[:-1]
        return [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: ")]

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not met():
                self.more.clear()
                await self.more.wait()


@asynccontextmanager
async def open_page(browser: Browser, of: str = OPEN) -> AsyncIterator[tuple[Stream, Awaitable[None]]]:
    assert browser.cookie is not None
    stream = Stream(deque([b""]))
    headers = [(b"host", HOST.encode()), (b"cookie", browser.cookie.encode())]
    scope = http_scope("GET", f"/console/live?of={quote(of, safe='')}", headers)
    serving = asyncio.create_task(browser.town.app(scope, stream.receive, stream.send))
    await stream.until(lambda: b"retry" in stream.body)
    yield stream, serving
    stream.hang_up()
    await asyncio.wait_for(serving, PATIENCE_SECONDS)


async def test_a_page_is_brought_what_waits_at_once(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    async with open_page(eve) as (stream, _):
        await stream.until(lambda: "Nothing waits." in "".join(stream.parts))
        asked = await town.world.ask(bot)
        assert asked.approval is not None
        code = asked.approval.code
        await stream.until(lambda: code in stream.parts[-1])
        # The parts that keep themselves current, and nothing around them.
        assert "<!doctype" not in stream.parts[-1]
        assert "Stop it now" not in stream.parts[-1]


async def test_a_question_shows_how_it_stands_and_never_what_would_run(town: ConsoleTown) -> None:
    eve, sam = await town.by_link(), await town.by_link("sam")
    asked = await town.world.ask(await town.world.agent(), arguments={"env": "production", "path": "hunter2"})
    assert asked.approval is not None
    page = f"/console/approvals/{asked.approval.id}"
    async with open_page(eve, page) as (stream, _):
        await stream.until(lambda: bool(stream.parts))
        assert 'id="answer"' in stream.parts[-1]
        await sam.post(f"{page}/deny", category="not_needed", reason="")
        await stream.until(lambda: "said no: not needed" in stream.parts[-1])
        assert 'id="answer"' not in stream.parts[-1]
        assert "hunter2" not in "".join(stream.parts)


async def test_pages_hear_of_a_stop_and_of_what_was_only_recorded(town: ConsoleTown) -> None:
    eve, admin, bot = await town.by_link(), await town.by_link("admin"), await town.world.agent()
    async with (
        open_page(admin, "/console/activity?all=1") as (log, _),
        open_page(eve, "/console/breakers") as (stops, _),
    ):
        await stops.until(lambda: "Nothing is stopped." in "".join(stops.parts))
        await town.world.ask(bot, "files.read")
        await log.until(lambda: any("files.read" in part for part in log.parts))
        await trip_breaker.trip(town.world.broker, await town.world.operator("eve"), Scope(agent="bot"))
        await stops.until(lambda: "Nothing is stopped." not in stops.parts[-1])
        # What is made for many has nobody's own token in it; the page puts its own there.
        assert all('name="csrf" value=""' in part for part in stops.parts if 'name="csrf"' in part)


@pytest.mark.requirement("T17")
async def test_everybody_sees_their_own_and_only_what_is_theirs(town: ConsoleTown) -> None:
    eve, owner = await town.by_link(), await town.by_link("owner")
    asked = await town.world.ask(await town.world.agent())
    assert asked.approval is not None
    async with open_page(eve, "/console/") as (hers, _), open_page(owner, "/console/") as (theirs, _):
        await hers.until(lambda: asked.approval.code in "".join(hers.parts))  # type: ignore[union-attr]  # seen above
        await theirs.until(lambda: bool(theirs.parts))
        assert asked.approval.code not in "".join(theirs.parts)


async def test_pages_of_one_person_are_made_once_for_all_of_them(town: ConsoleTown) -> None:
    made: list[str] = []

    async def make(target: Target, caller: SessionCaller) -> str:
        made.append(f"{target.path} for {caller.operator.id}")
        return made[-1]

    live, target = Live(town.world.broker, make, town.closing, most=9, most_each=9), Target("/", "", hears_log=False)
    async with AsyncExitStack() as stack:
        tabs = []
        for name in ("eve", "eve", "eve", "sam"):
            browser = await town.by_link(name)
            cookie = str(browser.cookie).partition("=")[2]
            caller = await authenticate.session(town.world.broker, cookie)
            tabs.append(await stack.enter_async_context(live.tab(target, caller, cookie)))
        for tab in tabs:
            assert await tab.next(PATIENCE_SECONDS) is not None
        made.clear()
        await town.world.ask(await town.world.agent())
        frames = [await tab.next(PATIENCE_SECONDS) for tab in tabs]
    assert frames == [b'data: "/ for eve"\n\n'] * 3 + [b'data: "/ for sam"\n\n']
    assert set(made) == {"/ for eve", "/ for sam"}
    assert len(made) <= 2 * 2, "an ask is one change, or two"


@pytest.mark.requirement("T17")
async def test_a_stream_ends_with_the_session(town: ConsoleTown) -> None:
    eve, bot = await town.by_link(), await town.world.agent()
    assert eve.cookie is not None
    caller = await authenticate.session(town.world.broker, eve.cookie.partition("=")[2])
    async with open_page(eve) as (stream, serving):
        await stream.until(lambda: bool(stream.parts))
        await sign_out(town.world.broker, caller)
        before = len(stream.parts)
        asked = await town.world.ask(bot)
        await asyncio.wait_for(serving, PATIENCE_SECONDS)
        assert asked.approval is not None
        assert asked.approval.code not in "".join(stream.parts[before:])


@pytest.mark.requirement("T17")
async def test_a_stream_ends_with_the_token_below_its_session_and_with_the_operator(town: ConsoleTown) -> None:
    eve, sam, bot = await town.by_token(), await town.by_link("sam"), await town.world.agent()
    assert eve.cookie is not None
    caller = await authenticate.session(town.world.broker, eve.cookie.partition("=")[2])
    async with open_page(eve) as (_, hers), open_page(sam) as (_, his):
        assert caller.token is not None
        await revoke(town.world.broker, caller, Kind.OPERATOR, "eve", caller.token.id)
        people = tuple(one for one in town.world.policy.people if one.id != "sam")
        town.world.policy = replace(town.world.policy, people=people)
        await town.world.ask(bot)
        await asyncio.wait_for(asyncio.gather(hers, his), PATIENCE_SECONDS)


async def test_a_stream_ends_when_the_broker_does(town: ConsoleTown) -> None:
    async with open_page(await town.by_link()) as (_, serving):
        town.closing.set()
        await asyncio.wait_for(serving, PATIENCE_SECONDS)


@pytest.mark.requirement("T14")
async def test_a_page_that_cannot_be_made_leaves_all_others_current(town: ConsoleTown) -> None:
    browser = await town.by_link("admin")
    assert browser.cookie is not None
    cookie = browser.cookie.partition("=")[2]
    caller = await authenticate.session(town.world.broker, cookie)

    async def make(target: Target, _caller: SessionCaller) -> str:
        if target.path == "broken":
            raise ValueError(target.path)
        return target.path

    live = Live(town.world.broker, make, asyncio.Event(), most=9, most_each=9)
    async with (
        live.tab(Target("broken", "", hears_log=True), caller, cookie) as broken,
        live.tab(Target("whole", "", hears_log=True), caller, cookie) as whole,
    ):
        assert await broken.next(PATIENCE_SECONDS) is None
        assert b"whole" in (await whole.next(PATIENCE_SECONDS) or b"")
        await trip_breaker.trip(town.world.broker, caller, Scope(agent="bot"))
        assert b"whole" in (await whole.next(PATIENCE_SECONDS) or b"")


async def test_there_is_a_limit_to_pages_that_are_kept_current(town: ConsoleTown) -> None:
    few = ConsoleTown(town.world, ConsoleSettings(hosts=frozenset({HOST}), max_live_pages=1))
    eve, sam = await few.by_link(), await few.by_link("sam")
    async with open_page(eve):
        refused = await sam.get(f"/console/live?of={OPEN}")
        assert (refused.status, refused.headers["retry-after"]) == (503, "30")
        assert (await sam.get(OPEN)).status == 200
    async with open_page(sam) as (stream, _):
        await stream.until(lambda: bool(stream.parts))


@pytest.mark.requirement("T14")
async def test_nobody_takes_all_of_them_for_themselves(town: ConsoleTown) -> None:
    few = ConsoleTown(town.world, ConsoleSettings(hosts=frozenset({HOST}), max_live_pages_each=1))
    eve, sam = await few.by_link(), await few.by_link("sam")
    async with open_page(eve):
        assert (await eve.get(f"/console/live?of={OPEN}")).status == 503
        async with open_page(sam) as (stream, _):
            await stream.until(lambda: bool(stream.parts))


@pytest.mark.requirement("T17")
@pytest.mark.parametrize(
    "of",
    [
        "",
        "/console/account",
        "/console/nowhere",
        "/v1/approvals",
        "//console/",
        "http://elsewhere.test/console/",
        "/console/../console/",
        "/console/#x",
        "/console/breakers/trip",
        f"/console/{'x' * 2_000}",
    ],
)
async def test_only_pages_with_live_parts_have_a_stream(town: ConsoleTown, of: str) -> None:
    eve = await town.by_link()
    assert (await eve.get(f"/console/live?of={quote(of, safe='')}")).status == 404


async def test_what_one_may_not_read_has_a_stream_that_ends(town: ConsoleTown) -> None:
    people = (*town.world.policy.people, Operator(id=OperatorId("new")))
    town.world.policy = replace(town.world.policy, people=people)
    new = await town.by_link("new")
    assert (await new.get(OPEN)).status == 403
    async with open_page(new) as (stream, serving):
        await asyncio.wait_for(serving, PATIENCE_SECONDS)
        assert stream.parts == []
