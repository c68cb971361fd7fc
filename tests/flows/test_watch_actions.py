"""An agent waits: it wakes when something moved, hears nothing of others, and its key may end while it waits."""

import asyncio
from contextlib import ExitStack

import pytest

from assent.core.actions import ActionState
from assent.core.errors import Forbidden, NotFound, Unauthenticated
from assent.core.looking import RecordFilter
from assent.flows import manage_principals
from assent.flows.looks import LOOK_AGAIN_SECONDS, LOOKS_PER_SECOND, Looks
from assent.flows.read_records import list_records
from assent.flows.resolve_approval import approve_action
from assent.flows.watch_actions import watch_action, watch_decided
from assent.ports import decision_cursor
from tests.flows.world import World


async def test_a_waiting_agent_wakes_when_a_human_answers(world: World) -> None:
    bot = await world.agent()
    pending = await world.ask(bot)
    assert pending.approval is not None
    waiting = asyncio.create_task(
        watch_action(world.broker, bot, pending.action.id, after=pending.action.revision, wait_seconds=30)
    )
    decided = asyncio.create_task(watch_decided(world.broker, bot, after=None, limit=10, wait_seconds=30))
    await asyncio.sleep(0)
    eve = await world.operator("eve")
    await approve_action(world.broker, eve, pending.approval.id, digest_prefix=pending.action.digest)
    async with asyncio.timeout(5):
        assert (await waiting).action.state is ActionState.READY
        assert [a.action.id for a in await decided] == [pending.action.id]


async def test_a_wait_that_is_over_says_what_is(world: World) -> None:
    bot = await world.agent()
    pending = await world.ask(bot)
    answered = await watch_action(world.broker, bot, pending.action.id, after=1, wait_seconds=0.0)
    assert answered.action.state is ActionState.PENDING
    assert await watch_decided(world.broker, bot, after=None, limit=10, wait_seconds=0.01) == []


async def test_decisions_are_listed_once_each_with_a_cursor(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        pending = await world.ask(bot)
        assert pending.approval is not None
        await approve_action(world.broker, eve, pending.approval.id, digest_prefix=pending.action.digest)
        found = await watch_decided(world.broker, bot, after=cursor, limit=10)
        seen += [answered.action.id for answered in found]
        cursor = decision_cursor(found[-1].action)
    assert len(seen) == len(set(seen)) == 3


async def test_another_agents_action_is_not_found(world: World) -> None:
    pending = await world.ask(await world.agent())
    with pytest.raises(NotFound):
        await watch_action(world.broker, await world.agent("other"), pending.action.id)


@pytest.mark.requirement("T9")
async def test_a_key_revoked_while_waiting_ends_the_wait(world: World) -> None:
    bot = await world.agent()
    pending = await world.ask(bot)
    await manage_principals.revoke_credential(world.broker, bot.key, by="eve")
    with pytest.raises(Unauthenticated):
        await watch_action(world.broker, bot, pending.action.id, after=1, wait_seconds=5)


async def test_reading_records_needs_the_permission(world: World) -> None:
    await world.ask(await world.agent(), "files.read")
    eve = await world.operator("eve")
    newest = (await list_records(world.broker, eve, RecordFilter(), limit=1)).records
    assert len(newest) == 1
    world.policy = type(world.policy)(people=(type(eve.operator)(id=eve.operator.id),))
    bare = await world.operator("eve")
    with pytest.raises(Forbidden):
        await list_records(world.broker, bare, RecordFilter(), limit=1)


def test_many_who_wait_look_again_no_more_often_than_a_ledger_bears() -> None:
    looks = Looks()
    with ExitStack() as crowd:
        for waiting in range(1, 10_001):
            crowd.enter_context(looks.one_more())
            if waiting in {1, 200, 10_000}:
                assert looks.each_seconds >= LOOK_AGAIN_SECONDS
                assert waiting / looks.each_seconds <= LOOKS_PER_SECOND
    assert looks.each_seconds == LOOK_AGAIN_SECONDS
