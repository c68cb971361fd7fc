"""An agent that waits is looked for: people are told when it is away, and not asked any more when it is gone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import cast

import pytest

from assent.core.actions import Action, ActionState
from assent.core.approvals import ApprovalState
from assent.core.canonical import load
from assent.core.deliveries import Delivery, DeliveryId, DeliveryState
from assent.core.errors import LedgerUnavailable
from assent.core.presence import Presence
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller
from assent.flows.broker import Broker
from assent.flows.keep_presence import Kept, Watched, keep_presence
from assent.flows.resolve_approval import approve_action
from assent.flows.signs import Signs
from assent.flows.watch_actions import watch_action, watch_decided
from assent.ports import Tx, View
from tests.flows.world import World, a_world

GONE_AFTER = timedelta(minutes=5)


@pytest.fixture
async def town() -> AsyncIterator[World]:
    world = a_world()
    patient = replace(world.policy.routes["default"], agent_gone_after=GONE_AFTER, expires_after=timedelta(hours=2))
    world.policy = replace(world.policy, routes={"default": patient})
    yield world
    await world.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


class Office:
    """Rounds of one process, and what became of one question."""

    def __init__(self, world: World, broker: Broker | None = None) -> None:
        self.world = world
        self.broker = broker or world.broker
        self.watched = Watched()

    async def rounds(self, **of: float) -> list[Kept]:
        """Let so much time pass with a round every ten seconds, and one at once."""
        found = [await keep_presence(self.broker, self.watched)]
        for _ in range(int(timedelta(**of).total_seconds() // 10)):
            self.world.clock.forward(seconds=10)
            found.append(await keep_presence(self.broker, self.watched))
        return found

    async def state(self, asked: Answered) -> tuple[ActionState, ApprovalState]:
        async def work(view: View) -> tuple[ActionState, ApprovalState]:
            action, approval = await view.get(Action, asked.action.id), await view.approval_of(asked.action.id)
            assert action is not None
            assert approval is not None
            return action.state, approval.state

        return await self.world.ledger.read(work)

    async def presence(self, asked: Answered) -> Presence | None:
        async def work(view: View) -> Presence | None:
            return await view.get(Presence, asked.action.id)

        return await self.world.ledger.read(work)


@asynccontextmanager
async def waiting(broker: Broker, bot: AgentCaller, asked: Answered) -> AsyncIterator[None]:
    """Wait for an answer as long as the block lasts."""
    after = asked.action.revision
    poll = asyncio.create_task(watch_action(broker, bot, asked.action.id, after=after, wait_seconds=50))
    while asked.action.id not in broker.signs.gather().waiting:  # noqa: ASYNC110  # it has no event, and needs none
        await asyncio.sleep(0)
    try:
        yield
    finally:
        poll.cancel()
        await asyncio.gather(poll, return_exceptions=True)


PENDING = (ActionState.PENDING, ApprovalState.PENDING)
CANCELLED = (ActionState.CANCELLED, ApprovalState.CANCELLED)


async def test_an_agent_that_waits_is_not_gone_however_long_it_waits(town: World) -> None:
    bot, office = await town.agent(), Office(town)
    asked = await town.ask(bot)
    async with waiting(town.broker, bot, asked):
        kept = await office.rounds(hours=1)
    assert await office.state(asked) == PENDING
    assert not any(one.gone for one in kept)
    found = await office.presence(asked)
    assert found is not None
    # Written down every five minutes, not in every round.
    assert found.revision == 1 + 60 // 5


async def test_an_agent_that_waited_and_went_is_gone_after_what_the_route_says_and_not_before(town: World) -> None:
    bot, office = await town.agent(), Office(town)
    asked = await town.ask(bot)
    async with waiting(town.broker, bot, asked):
        await office.rounds(minutes=2)
    await office.rounds(minutes=4, seconds=50)
    assert await office.state(asked) == PENDING

    kept = await office.rounds(minutes=1)

    assert await office.state(asked) == CANCELLED
    assert [action.id for one in kept for action in one.gone] == [asked.action.id]
    (moved,) = await town.records(kind="action.moved")
    assert cast("dict[str, object]", load(moved.leaf))["detail"] == {"state": "cancelled", "because": "agent_gone"}
    (gone,) = (action for one in kept for action in one.gone)
    assert "was not seen since 10:02:00 UTC" in gone.reasons[-1].message
    assert (await town.kinds())[-2:] == ["action.moved", "approval.moved"]


async def test_a_paused_agent_that_never_said_it_waits_is_never_gone(town: World) -> None:
    bot, office = await town.agent(), Office(town)
    asked = await town.ask(bot)
    await watch_action(town.broker, bot, asked.action.id, after=asked.action.revision, wait_seconds=0)
    await office.rounds(hours=1)
    assert (await office.state(asked), await office.presence(asked)) == (PENDING, None)


async def test_a_route_that_says_nothing_takes_nobody_for_gone(world: World) -> None:
    patient = replace(world.policy.routes["default"], expires_after=timedelta(days=2))
    world.policy = replace(world.policy, routes={"default": patient})
    bot, office = await world.agent(), Office(world)
    asked = await world.ask(bot)
    async with waiting(world.broker, bot, asked):
        await office.rounds(seconds=10)
    await office.rounds(hours=3)
    found = await office.presence(asked)
    assert await office.state(asked) == PENDING
    assert found is not None
    assert found.is_quiet


async def test_asking_for_decisions_is_a_sign_of_life(town: World) -> None:
    bot, office = await town.agent(), Office(town)
    asked = await town.ask(bot)
    async with waiting(town.broker, bot, asked):
        await office.rounds(seconds=30)
    for _ in range(20):
        await watch_decided(town.broker, bot, after=None, limit=10)
        await office.rounds(minutes=1)
    assert await office.state(asked) == PENDING
    await watch_decided(town.broker, await town.agent("other"), after=None, limit=10)
    await office.rounds(minutes=6)
    assert await office.state(asked) == CANCELLED


async def test_a_process_that_begins_looks_anew_before_it_takes_anybody_for_gone(town: World) -> None:
    bot, office = await town.agent(), Office(town)
    asked = await town.ask(bot)
    async with waiting(town.broker, bot, asked):
        await office.rounds(seconds=30)
    town.clock.forward(hours=1)
    again = Office(town, replace(town.broker, signs=Signs()))
    await again.rounds(minutes=4, seconds=50)
    assert await office.state(asked) == PENDING
    await again.rounds(minutes=1)
    assert await office.state(asked) == CANCELLED


async def test_a_process_that_stood_still_takes_nobody_for_gone_because_of_that(town: World) -> None:
    bot, office = await town.agent(), Office(town)
    asked = await town.ask(bot)
    async with waiting(town.broker, bot, asked):
        await office.rounds(seconds=30)
        town.clock.forward(hours=1)
    await office.rounds(minutes=4, seconds=50)
    assert await office.state(asked) == PENDING


async def test_of_two_processes_one_sees_what_the_other_wrote(town: World) -> None:
    bot, here = await town.agent(), Office(town)
    there = Office(town, replace(town.broker, signs=Signs()))
    asked = await town.ask(bot)
    async with waiting(here.broker, bot, asked):
        await keep_presence(here.broker, here.watched)
    async with waiting(there.broker, bot, asked):
        for _ in range(12 * 6):
            town.clock.forward(seconds=10)
            await keep_presence(there.broker, there.watched)
            assert not (await keep_presence(here.broker, here.watched)).gone
    assert await here.state(asked) == PENDING


async def test_cards_are_told_once_that_somebody_waits_is_away_and_is_back(town: World) -> None:
    bot, office = await town.agent(), Office(town)
    asked = await town.ask(bot)
    assert asked.approval is not None
    approval = asked.approval.id

    async def put(tx: Tx) -> None:
        await tx.add(
            Delivery(
                id=DeliveryId("dlv_1"),
                approval=approval,
                destination="slack:C0",
                step=0,
                due_at=tx.now,
                state=DeliveryState.CURRENT,
                place="C0/1",
            )
        )

    await town.ledger.transact(put)

    async def told(tx: Tx) -> DeliveryState:
        (card,) = await tx.deliveries_of(approval)
        await tx.replace(card, replace(card, state=DeliveryState.CURRENT, revision=card.revision + 1))
        return card.state

    async with waiting(town.broker, bot, asked):
        assert sum(one.cards for one in await office.rounds(minutes=2)) == 1
    assert await town.ledger.transact(told) is DeliveryState.STALE
    assert sum(one.cards for one in await office.rounds(minutes=3)) == 1
    assert await town.ledger.transact(told) is DeliveryState.STALE
    async with waiting(town.broker, bot, asked):
        assert sum(one.cards for one in await office.rounds(minutes=1)) == 1


async def test_who_was_answered_is_not_looked_for_any_more(town: World) -> None:
    bot, office = await town.agent(), Office(town)
    asked = await town.ask(bot)
    async with waiting(town.broker, bot, asked):
        await office.rounds(seconds=10)
    eve = await town.operator("eve")
    await approve_action(town.broker, eve, asked.approval.id, digest_prefix=asked.action.digest)  # type: ignore[union-attr]  # somebody was asked
    await office.rounds(minutes=10)
    found = await office.presence(asked)
    assert found is not None
    assert found.due_at is None
    assert (await office.state(asked))[1] is ApprovalState.APPROVED


async def test_another_agents_wait_is_no_sign_of_life(town: World) -> None:
    bot, other, office = await town.agent(), await town.agent("other"), Office(town)
    asked = await town.ask(bot)
    found = await asyncio.gather(
        watch_action(town.broker, other, asked.action.id, after=1, wait_seconds=1), return_exceptions=True
    )
    assert isinstance(found[0], Exception)
    assert town.broker.signs.gather().left == frozenset()
    await office.rounds(minutes=1)
    assert await office.presence(asked) is None


async def test_what_could_not_be_written_down_is_kept_for_the_next_round(town: World) -> None:
    bot, office = await town.agent(), Office(town)
    asked = await town.ask(bot)
    async with waiting(town.broker, bot, asked):
        pass

    class Hanging:
        async def transact(self, _work: object) -> None:
            raise LedgerUnavailable("the disk hangs")

    with pytest.raises(LedgerUnavailable):
        await keep_presence(replace(town.broker, ledger=Hanging()), office.watched)  # type: ignore[arg-type]  # only this
    await office.rounds(seconds=0)
    assert await office.presence(asked) is not None


def test_how_long_an_agent_may_stay_away_changes_nothing_about_a_question_that_is_open() -> None:
    route = a_world().policy.routes["default"]
    assert replace(route, agent_gone_after=GONE_AFTER) == route


@pytest.mark.parametrize("first", [0, 1])
async def test_who_waits_elsewhere_is_written_down_there_before_anybody_misses_it_here(town: World, first: int) -> None:
    bot = await town.agent()
    offices = (Office(town), Office(town, replace(town.broker, signs=Signs())))
    asked = await town.ask(bot)
    async with waiting(offices[1].broker, bot, asked):
        await offices[1].rounds(seconds=10)
        async with waiting(offices[0].broker, bot, asked):
            pass
        # This one writes that it left, after the other wrote that it waits.
        await offices[0].rounds()
        for _ in range(60):
            town.clock.forward(seconds=10)
            for office in (offices[first], offices[1 - first]):
                await keep_presence(office.broker, office.watched)
                found = await office.presence(asked)
                assert (found is None, found is not None and found.is_quiet) == (False, False)
    assert await offices[0].state(asked) == PENDING
