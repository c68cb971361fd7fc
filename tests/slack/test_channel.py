"""Cards follow the ledger through a Slack that fails in every way: none is lost, none stands there twice, none lies."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from assent.core.actions import ActionState
from assent.core.approvals import ApprovalState, DenialCategory, Need, Route, Step
from assent.core.canonical import Json, load
from assent.core.deliveries import Delivery
from assent.core.operators import Assurance
from assent.demo.workspace.people import Channel as Room
from assent.demo.workspace.server import StandIn, serving
from assent.demo.workspace.state import Fault, Message, Workspace
from assent.flows.deliver import deliver
from assent.flows.resolve_approval import approve_action, deny_action
from assent.flows.run_action import Report, redeem_as_agent, report_outcome
from assent.flows.tick import tick
from assent.ports import View
from assent.slack.channel import SlackChannel
from assent.slack.view import Press
from assent.slack.web import SlackWeb
from tests.flows.world import SetClock, TownPolicy, World, a_world
from tests.slack.conftest import PEOPLE, PROD, SCOPES

HISTORY = frozenset({"channels:history", "im:history"})
ATTEMPT = "a" * 22


@dataclass
class Town:
    """A broker, its Slack, and what takes cards from one to the other."""

    world: World
    slack: StandIn
    web: SlackWeb
    channel: SlackChannel

    @property
    def workspace(self) -> Workspace:
        return self.slack.slack

    async def deliver(self, **after: float) -> None:
        """Let so much time go by, and one round be made."""
        self.world.clock.forward(**after)
        await deliver(self.world.broker, "slack", self.channel)

    async def settle(self) -> None:
        """Make rounds until nothing is to be done now."""
        for _ in range(8):
            await self.deliver(seconds=1.1)

    async def deliveries(self) -> dict[str, Delivery]:
        async def work(view: View) -> list[Delivery]:
            (approval,) = await view.approvals(list(ApprovalState), limit=10)
            return list(await view.deliveries_of(approval.id))

        return {delivery.destination: delivery for delivery in await self.world.ledger.read(work)}

    async def states(self) -> dict[str, str]:
        return {where: delivery.state.value for where, delivery in (await self.deliveries()).items()}

    def cards(self, room: str = PROD.id) -> list[Message]:
        return [message for message in self.workspace.messages if message.channel == room]


def with_steps(*steps: Step) -> TownPolicy:
    people = tuple(
        replace(person, identities={"slack": f"T0TOWN/U0{person.id.upper()}"}) for person in TownPolicy().people
    )
    route = Route(name="default", needs=(Need(count=1, of="oncall"),), assurance=Assurance.TOKEN, steps=steps)
    return TownPolicy(people=people, routes={"default": route})


AT_ONCE = Step(after=timedelta(0), tell=(f"slack:{PROD.id}",))
LATER = Step(after=timedelta(minutes=4), tell=("dm:oncall:primary",))


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    clock = SetClock()

    def seconds() -> float:
        return clock.now.timestamp()

    workspace = Workspace(people=PEOPLE, channels=[PROD], scopes=SCOPES | HISTORY, clock=seconds)
    world = a_world(clock, with_steps(AT_ONCE, LATER))
    async with serving(workspace) as slack:
        web = SlackWeb(workspace.bot_token, base_url=slack.api, timeout_seconds=1)
        yield Town(world, slack, web, SlackChannel(web, team="T0TOWN"))
        await web.close()
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def ask(town: Town, **arguments: Any) -> Any:
    bot = await town.world.agent()
    return bot, await town.world.ask(bot, arguments={"env": "production", "path": "a", **arguments})


async def test_a_question_is_told_where_its_route_says_when_it_says(town: Town) -> None:
    await ask(town)
    await town.deliver()

    (posted,) = town.cards()
    assert "Approval needed" in posted.now["blocks"][0]["text"]["text"]
    assert await town.states() == {"slack:C0PROD": "current", "slack:U0EVE": "queued"}

    await town.deliver(minutes=4)
    assert await town.states() == {"slack:C0PROD": "current", "slack:U0EVE": "current"}
    assert len(town.slack.slack.seen_by("eve")) == 2


@pytest.mark.requirement("P2")
async def test_what_people_saw_is_on_record_with_a_digest(town: Town) -> None:
    _, asked = await ask(town)
    await town.deliver()

    (leaf,) = [load(record.leaf) for record in await town.world.records(kind="approval.shown")]
    assert isinstance(leaf, dict)
    detail: Json = leaf["detail"]
    assert isinstance(detail, dict)
    assert (leaf["action"], detail["destination"]) == (asked.action.id, "slack:C0PROD")
    assert detail["place"] == f"C0PROD/{town.cards()[0].ts}"
    assert detail["approvable"] is True
    assert len(str(detail["card"])) == 64


async def test_a_card_follows_its_action_to_the_end(town: Town) -> None:
    bot, asked = await ask(town)
    await town.settle()
    eve = await town.world.operator("eve")
    resolved = await approve_action(town.world.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    await town.settle()
    (card,) = town.cards()
    assert "waiting for the agent" in card.now["text"]
    assert pressed_in(card) == {Press.REVOKE, Press.TRIP}

    grant = (await grant_of(town, asked.action.id)).id
    await redeem_as_agent(town.world.broker, bot, grant, attempt=ATTEMPT, digest=resolved.action.digest, arguments=None)
    await town.settle()
    assert "running" in card.now["text"]
    report = Report(attempt=ATTEMPT, status=ActionState.SUCCEEDED, duration_ms=41_000)
    await report_outcome(town.world.broker, bot, asked.action.id, report)
    await town.settle()

    assert "succeeded" in card.now["text"]
    assert len(town.cards()) == 1
    # Nobody was told at minute four: it had been decided.
    assert await town.states() == {"slack:C0PROD": "over", "slack:U0EVE": "queued"}
    await town.deliver(minutes=4)
    assert await town.states() == {"slack:C0PROD": "over", "slack:U0EVE": "dead"}


async def grant_of(town: Town, action: Any) -> Any:
    async def work(view: View) -> Any:
        return await view.grant_of(action)

    return await town.world.ledger.read(work)


def pressed_in(message: Message) -> set[str]:
    return {e["action_id"] for block in message.now["blocks"] for e in block.get("elements", []) if "action_id" in e}


@pytest.mark.parametrize("ending", ["denied", "expired"])
async def test_what_was_not_approved_ends_in_words_and_without_buttons(town: Town, ending: str) -> None:
    _, asked = await ask(town)
    await town.settle()
    if ending == "denied":
        eve = await town.world.operator("eve")
        why = DenialCategory.TOO_RISKY
        await deny_action(town.world.broker, eve, asked.approval.id, category=why, comment="not now")
    else:
        town.world.clock.forward(minutes=16)
        await tick(town.world.broker)
    await town.settle()

    for card in (message for message in town.workspace.messages if message.now["blocks"]):
        assert "nothing was run" in card.now["text"]
        assert pressed_in(card) == set()


@pytest.mark.parametrize(
    ("how", "times"),
    [
        ("429", 3),
        ("500", 2),
        ("reset_before", 2),
        ("reset_after", 1),
        ("slow", 1),
        ("garbage", 1),
        ("internal_error", 2),
    ],
)
@pytest.mark.requirement("T20")
async def test_one_card_stands_there_whatever_slack_does(town: Town, how: str, times: int) -> None:
    await ask(town)
    town.workspace.faults.append(Fault(method="chat.postMessage", how=how, times=times))
    for _ in range(12):
        await town.deliver(seconds=11)

    assert len(town.cards()) == 1
    assert (await town.states())["slack:C0PROD"] == "current"
    assert (await town.deliveries())["slack:C0PROD"].why == ""


@pytest.mark.parametrize("how", ["429", "500", "reset_before", "reset_after", "slow", "garbage"])
async def test_a_change_arrives_whatever_slack_does(town: Town, how: str) -> None:
    _, asked = await ask(town)
    await town.settle()
    town.workspace.faults.append(Fault(method="chat.update", how=how, times=2))
    eve = await town.world.operator("eve")
    await approve_action(town.world.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)
    for _ in range(8):
        await town.deliver(seconds=11)

    (card,) = town.cards()
    assert "Approved" in card.now["text"]


async def test_a_process_that_died_before_it_heard_looks_for_the_card(town: Town) -> None:
    await ask(town)

    class Killed(Exception):
        """The end of a process, in a test."""

    class Dying(SlackChannel):
        async def announce(self, where: str, showing: Any) -> Any:
            await super().announce(where, showing)
            raise Killed

    with pytest.raises(Killed):
        await deliver(town.world.broker, "slack", Dying(town.web, team="T0TOWN"))
    assert (await town.states())["slack:C0PROD"] == "sent"
    await town.deliver(seconds=5)
    assert (await town.states())["slack:C0PROD"] == "sent", "it is too early to look"
    await town.deliver(seconds=6)
    await town.settle()

    assert len(town.cards()) == 1
    assert (await town.states())["slack:C0PROD"] == "current"


async def test_an_archived_channel_starts_the_next_step_at_once(town: Town) -> None:
    town.workspace.set_channel(Room(id=PROD.id, name=PROD.name, is_archived=True))
    await ask(town)
    await town.settle()

    assert await town.states() == {"slack:C0PROD": "dead", "slack:U0EVE": "current"}
    assert "is_archived" in (await town.deliveries())["slack:C0PROD"].why


async def test_a_slack_that_is_away_starts_the_next_step_after_twenty_seconds_and_is_made_good_later(
    town: Town,
) -> None:
    await ask(town)
    town.workspace.faults.append(Fault(method="*", how="500", times=10_000))
    for _ in range(6):
        await town.deliver(seconds=10)
    states = await town.deliveries()
    assert states["slack:U0EVE"].handed_over_at is not None, "minute four is far away"
    town.workspace.faults.clear()
    for _ in range(12):
        await town.deliver(seconds=61)

    assert await town.states() == {"slack:C0PROD": "current", "slack:U0EVE": "current"}
    assert len(town.cards()) == 1


async def test_a_revoked_token_loses_nothing(town: Town) -> None:
    await ask(town)
    town.workspace.bot_token = "xoxb-new"  # worth something to the stand-in alone
    await town.settle()
    assert "invalid_auth" in (await town.deliveries())["slack:C0PROD"].why
    town.workspace.bot_token = "xoxb-stand-in"  # worth something to the stand-in alone
    await town.deliver(seconds=61)
    assert (await town.states())["slack:C0PROD"] == "current"


async def test_a_card_that_somebody_deleted_is_told_anew_while_people_decide(town: Town) -> None:
    _, asked = await ask(town)
    await town.settle()
    town.workspace.messages.clear()
    route = with_steps(AT_ONCE).routes["default"]
    town.world.policy = replace(
        town.world.policy, routes={"default": replace(route, needs=(Need(count=1, of="oncall"),))}
    )
    # A vote that leaves it open moves it on.
    two = replace(asked.approval, revision=asked.approval.revision + 1)

    async def work(tx: Any) -> None:
        await tx.replace(asked.approval, two)

    await town.world.ledger.transact(work)
    await town.settle()

    assert len(town.cards()) == 1
    assert (await town.states())["slack:C0PROD"] == "current"


async def test_what_does_not_fit_comes_as_a_file_below_the_card(town: Town) -> None:
    await ask(town, content="UPDATE ledger;\n" * 400)
    await town.settle()

    (card,) = town.cards()
    (file,) = town.workspace.files.values()
    assert file["thread"] == card.ts
    assert file["content"].count(b"\n") == 401
    assert Press.APPROVE not in pressed_in(card)


async def test_when_slack_finds_a_card_too_long_the_short_one_is_sent(town: Town) -> None:
    town.workspace.faults.append(Fault(method="chat.postMessage", how="msg_blocks_too_long"))
    await ask(town)
    await town.settle()

    (card,) = town.cards()
    assert "not possible here" in card.now["blocks"][0]["text"]["text"]
    (leaf,) = [load(record.leaf) for record in await town.world.records(kind="approval.shown")]
    assert isinstance(leaf, dict)
    assert isinstance(leaf["detail"], dict)
    assert leaf["detail"]["approvable"] is False


async def test_two_processes_post_one_card(town: Town) -> None:
    await ask(town)
    other = SlackChannel(town.web, team="T0TOWN")
    await asyncio.gather(deliver(town.world.broker, "slack", town.channel), deliver(town.world.broker, "slack", other))
    await town.settle()

    assert len(town.cards()) == 1
