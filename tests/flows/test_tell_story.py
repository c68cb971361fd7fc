"""The life of an action from the log: who asked, who was asked, who said what, what stopped it, in the log's order."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assent.core.actions import Action, ActionState
from assent.core.breakers import Scope
from assent.core.errors import Forbidden, NotFound
from assent.core.operators import Operator, OperatorId, Permission
from assent.flows.authenticate import AgentCaller
from assent.flows.resolve_approval import approve_action
from assent.flows.run_action import Report, redeem_as_agent, report_outcome
from assent.flows.suspend_agent import suspend_agent
from assent.flows.tell_story import Story, leaf_of, tell_story
from assent.flows.trip_breaker import trip
from assent.flows.watch_actions import watch_action
from assent.stores.sqlite import SqliteLedger
from tests.flows.world import KEYS, CountedIds, SetClock, TownPolicy, World

ME = "a" * 22
WHOLE = [
    "action.decided",
    "approval.asked",
    "approval.voted",
    "approval.moved",
    "grant.issued",
    "grant.redeemed",
    "action.outcome",
]


async def asked(world: World, **more: Any) -> tuple[AgentCaller, Action, str]:
    bot = await world.agent()
    answered = await world.ask(bot, **more)
    assert answered.approval is not None
    return bot, answered.action, answered.approval.code


async def ran(world: World, bot: AgentCaller, action: Action, code: str) -> None:
    await approve_action(world.broker, await world.operator("eve"), code, digest_prefix=action.digest[:8])
    grant = (await watch_action(world.broker, bot, action.id)).grant
    assert grant is not None
    await redeem_as_agent(world.broker, bot, grant.id, attempt=ME, digest=action.digest, arguments=None)


async def told(world: World, key: str, *, limit: int = 200, first: int | None = None) -> Story:
    return await tell_story(world.broker, await world.operator("eve"), key, limit=limit, first=first)


def kinds(story: Story) -> list[str]:
    return [str(leaf_of(record)["kind"]) for record in story.in_order()]


async def test_a_whole_life_is_told_in_order_by_each_of_its_names(world: World) -> None:
    bot, action, code = await asked(world)
    await ran(world, bot, action, code)
    await report_outcome(world.broker, bot, action.id, Report(attempt=ME, status=ActionState.SUCCEEDED))
    story = await told(world, action.id)
    assert (kinds(story), story.stops, story.rest) == (WHOLE, (), None)
    assert story.action is not None
    assert story.approval is not None
    assert (story.action.state, story.approval.code) == (ActionState.SUCCEEDED, code)
    for name in (code, code.lower(), story.approval.id):
        assert await told(world, name) == story


async def test_it_is_told_in_pages_that_leave_nothing_out(world: World) -> None:
    bot, action, code = await asked(world)
    await ran(world, bot, action, code)
    await trip(world.broker, await world.operator("sam"), Scope(agent="bot"))
    await report_outcome(world.broker, bot, action.id, Report(attempt=ME, status=ActionState.FAILED))
    page = await told(world, action.id, limit=2)
    in_pages, pages = kinds(page), 1
    while page.rest is not None:
        page = await told(world, action.id, limit=2, first=page.rest)
        in_pages, pages = in_pages + kinds(page), pages + 1
    whole = kinds(await told(world, action.id))
    assert (in_pages, pages) == (whole, 4)
    assert whole == [*WHOLE[:-1], "breaker.tripped", "action.outcome"]


@pytest.mark.requirement("P6")
async def test_the_breaker_that_cut_it_off_stands_in_its_life_and_one_beside_it_does_not(world: World) -> None:
    _, action, _ = await asked(world)
    sam = await world.operator("sam")
    for scope in (Scope(tool="db.*"), Scope(environment="production"), Scope(agent="bot")):
        world.clock.forward(seconds=1)
        await trip(world.broker, sam, scope)
    story = await told(world, action.id)
    assert kinds(story) == ["action.decided", "approval.asked", "action.moved", "approval.moved", "breaker.tripped"]
    assert [leaf_of(stop).get("environment") for stop in story.stops] == ["production"]


async def test_what_was_open_already_when_it_was_asked_is_told_first(world: World) -> None:
    sam = await world.operator("sam")
    await trip(world.broker, sam, Scope(agent="other"))
    await trip(world.broker, sam, Scope(agent="bot"))
    denied = await world.ask(await world.agent())
    assert kinds(await told(world, denied.action.id)) == ["breaker.tripped", "action.decided"]


async def test_a_suspension_of_its_agent_or_of_one_it_acted_for_is_told(world: World) -> None:
    bot, action, code = await asked(world, on_behalf_of=("agent:other",))
    await ran(world, bot, action, code)
    other = world.policy.agent("other")
    assert other is not None
    await suspend_agent(world.broker, await world.operator("admin"), other.id, reason="odd")
    assert kinds(await told(world, action.id))[-1] == "agent.suspended"


async def test_what_touched_others_while_it_lived_is_not_told(world: World) -> None:
    bot, action, code = await asked(world)
    await world.ask(await world.agent("other"), "files.read")
    await trip(world.broker, await world.operator("sam"), Scope(agent="other"))
    await ran(world, bot, action, code)
    assert kinds(await told(world, action.id)) == WHOLE[:-1]


async def test_only_who_may_read_the_log_hears_it_and_nothing_is_nothing(world: World) -> None:
    _, action, _ = await asked(world)
    approver = Operator(id=OperatorId("ann"), permissions=frozenset({Permission.APPROVALS_READ}))
    world.policy = replace(world.policy, people=(*world.policy.people, approver))
    ann = await world.operator("ann")
    with pytest.raises(Forbidden):
        await tell_story(world.broker, ann, action.id, limit=10)
    for name in ("act_none", "ZZZ-0000", "", "' OR 1"):
        with pytest.raises(NotFound):
            await told(world, name)


async def test_beyond_its_end_there_is_nothing_more_to_tell(world: World) -> None:
    _, action, _ = await asked(world)
    story = await told(world, action.id, first=10_000)
    assert (story.in_order(), story.rest) == ([], None)
    assert story.action == action


@pytest.mark.requirement("T19")
async def test_rows_that_were_edited_by_hand_are_left_out_and_the_log_is_told_all_the_same(tmp_path: Path) -> None:
    path, clock, ids = tmp_path / "ledger.sqlite", SetClock(), CountedIds()
    ledger = SqliteLedger.open(path, KEYS, clock=clock, new_id=ids, unsafe_not_durable="a short story")
    world = World(ledger, clock, TownPolicy(), ids)
    _, action, _ = await asked(world)
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("UPDATE action SET mac = x'00'")
        stranger.execute("UPDATE approval SET mac = x'00'")
    story = await told(world, action.id)
    assert (kinds(story), story.action, story.approval) == (WHOLE[:2], None, None)
    await ledger.close()
