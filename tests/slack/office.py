"""A broker with its Slack, over either way in, and what came of what people did there."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import aiohttp
from aiohttp import web as aiohttp_web

from assent.core.approvals import ApprovalState, Need, Route, Step
from assent.core.canonical import load
from assent.core.operators import Assurance
from assent.demo.workspace.people import OTHER_TEAM, Person
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Delivered, Message, Workspace
from assent.flows.answers import Answered
from assent.flows.deliver import deliver
from assent.ports import View
from assent.slack.blocks import texts
from assent.slack.callbacks import Callbacks
from assent.slack.channel import SlackChannel
from assent.slack.hearing import Hearing
from assent.slack.receiving import Receiver
from assent.slack.socket import Socket
from assent.slack.speaking import Speaker
from assent.slack.view import Press
from assent.slack.web import SlackWeb
from tests.flows.world import SetClock, TownPolicy, World, a_world
from tests.slack.conftest import PROD, SCOPES

STEP = Step(after=timedelta(0), tell=(f"slack:{PROD.id}",))
RUNBOOK = "https://runbooks.example/stop"
EVE, SAM, OWNER, NOBODY = (Person(id=f"U0{name}", name=name.lower()) for name in ("EVE", "SAM", "OWNER", "NOBODY"))
ALIAS = Person(id="U0EVE2", name="eve-again")
FOREIGN = Person(id="U0EVE", name="eve", team=OTHER_TEAM)


def town_policy(**route: Any) -> TownPolicy:
    people = tuple(replace(p, identities={"slack": f"T0TOWN/U0{p.id.upper()}"}) for p in TownPolicy().people)
    usual = Route(name="default", needs=(Need(count=1, of="oncall"),), assurance=Assurance.SLACK, steps=(STEP,))
    return TownPolicy(people=people, routes={"default": replace(usual, **route)})


@dataclass
class Office:
    """A broker with its Slack, and what came of what people did there."""

    world: World
    slack: StandIn
    web: SlackWeb
    hearing: Hearing
    asked: Answered = field(init=False)
    digest: str = field(init=False)

    async def ask(self, **more: Any) -> None:
        bot = await self.world.agent(issued_by=more.pop("issued_by", "admin"))
        self.asked = await self.world.ask(bot, **more)
        self.digest = self.asked.action.digest
        await self.follow()

    async def follow(self) -> None:
        for _ in range(3):
            self.world.clock.forward(seconds=1.1)
            await deliver(self.world.broker, "slack", SlackChannel(self.web, team="T0TOWN"))

    @property
    def card(self) -> Message:
        return next(message for message in self.slack.slack.messages if message.only_for is None)

    def heard_by(self, person: str) -> list[str]:
        found = [
            message for message in self.slack.slack.messages if message.only_for == self.slack.slack.person(person).id
        ]
        return [message.now["blocks"][0]["elements"][0]["elements"][0]["text"] for message in found]

    def said_to(self, person: str) -> str:
        """Return all that a person reads in the last message for them alone, and in the dialog that stands open."""
        theirs = self.slack.slack.person(person).id
        shown = [message.now["blocks"] for message in self.slack.slack.messages if message.only_for == theirs][-1:]
        shown += [opened.view["blocks"] for opened in self.slack.slack.opened.values() if opened.person == theirs]
        return " ".join([*texts(shown), *links(shown)])

    async def press(self, person: str, press: str = Press.APPROVE, **more: Any) -> Delivered:
        delivered = await self.slack.as_user(person).press(self.card, press, **more)
        await self.hearing.settle()
        return delivered

    async def states(self) -> tuple[str, str]:
        async def work(view: View) -> tuple[str, str]:
            (approval,) = await view.approvals(list(ApprovalState), limit=2)
            action = await view.get(type(self.asked.action), approval.action)
            assert action is not None
            return approval.state.value, action.state.value

        return await self.world.ledger.read(work)

    async def refusals(self) -> list[dict[str, Any]]:
        return [dict(load(r.leaf)) for r in await self.world.records(kind="approval.vote_refused")]  # type: ignore[arg-type]  # leaves are objects


def links(node: Any) -> Iterator[str]:  # blocks
    """Yield every address that can be followed."""
    if isinstance(node, dict):
        if node.get("type") == "link":
            yield node["url"]
        yield from links(list(node.values()))
    elif isinstance(node, list):
        for item in node:
            yield from links(item)


async def an_office(way: str) -> AsyncIterator[Office]:
    """Yield an office whose Slack sends over a `socket` or over `http`."""
    clock = SetClock()

    def seconds() -> float:
        return clock.now.timestamp()

    people = (EVE, SAM, OWNER, NOBODY, ALIAS)
    workspace = Workspace(people=people, channels=[PROD], scopes=SCOPES, clock=seconds)
    world = a_world(clock, town_policy())
    start = over_sockets if way == "socket" else over_http
    async for made in start(world, workspace, seconds):
        yield made
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


def hearing_of(world: World, web: SlackWeb, slack: StandIn, session: aiohttp.ClientSession) -> Hearing:
    callbacks = Callbacks(
        world.broker, web, team="T0TOWN", app="A0ASSENT", now_seconds=world.clock.steady, runbook=RUNBOOK
    )
    return Hearing(callbacks, Speaker(session, addresses=slack.url))


async def over_sockets(world: World, workspace: Workspace, _seconds: Callable[[], float]) -> AsyncIterator[Office]:
    async with serving(workspace, acknowledged_within_seconds=2) as slack, aiohttp.ClientSession() as session:
        web = SlackWeb(workspace.bot_token, base_url=slack.api, timeout_seconds=1)
        hearing = hearing_of(world, web, slack, session)
        socket = Socket(hearing, web, app_token=workspace.app_token)
        await socket.open()
        assert await socket.is_open()
        yield Office(world, slack, web, hearing)
        await socket.close()
        await web.close()


async def over_http(world: World, workspace: Workspace, seconds: Callable[[], float]) -> AsyncIterator[Office]:
    receivers: list[Receiver] = []

    async def listen(request: aiohttp_web.Request) -> aiohttp_web.Response:
        headers = {name.lower(): value.encode() for name, value in request.headers.items()}
        received = await receivers[0].receive(
            await request.read(),
            timestamp=headers.get("x-slack-request-timestamp"),
            signature=headers.get("x-slack-signature"),
            media_type=headers.get("content-type"),
        )
        return aiohttp_web.json_response(dict(received.payload), status=received.status)

    application = aiohttp_web.Application()
    application.router.add_post("/", listen)
    runner = aiohttp_web.AppRunner(application)
    await runner.setup()
    await aiohttp_web.TCPSite(runner, "127.0.0.1", 0).start()
    address: Any = runner.addresses[0]
    url = f"http://127.0.0.1:{address[1]}/"
    async with (
        serving(workspace, request_url=url, acknowledged_within_seconds=2) as slack,
        aiohttp.ClientSession() as session,
    ):
        web = SlackWeb(workspace.bot_token, base_url=slack.api, timeout_seconds=1)
        hearing = hearing_of(world, web, slack, session)
        secrets = [workspace.signing_secret.encode()]
        receivers.append(Receiver(hearing, world.broker.signals, secrets=secrets, now_seconds=seconds))
        yield Office(world, slack, web, hearing)
        await web.close()
    await runner.cleanup()
