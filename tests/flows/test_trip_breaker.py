"""An operator trips and resets: one person stops everything at once, two open the way again."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from assent.core.actions import ActionState
from assent.core.agents import AgentId
from assent.core.breaker_rules import BreakerRule, Sign, TooMany
from assent.core.breakers import BreakerId, BreakerState, Scope
from assent.core.errors import Forbidden, NotFound
from assent.flows import trip_breaker
from assent.flows.resolve_approval import approve_action, show_approval
from assent.flows.suspend_agent import suspend_agent
from assent.flows.watch_actions import watch_action
from assent.ports import Ledger
from tests.flows.world import World
from tests.stores.files import plugged

PRODUCTION = Scope(environment="production")


@pytest.mark.requirement("P6")
async def test_after_a_trip_nothing_in_scope_passes_and_the_rest_does(world: World) -> None:
    bot, other = await world.agent(), await world.agent("other")
    await trip_breaker.trip(world.broker, await world.operator("eve"), Scope(agent="bot"))
    assert (await world.ask(bot, "files.read")).decision.reasons[0].code == "breaker_open"
    assert (await world.ask(other, "files.read")).action.state is ActionState.EXECUTING


@pytest.mark.requirement("P6")
async def test_a_trip_cuts_off_what_waits_and_names_what_runs(world: World) -> None:
    bot = await world.agent()
    running = await world.ask(bot, "files.read")
    pending = await world.ask(bot)
    assert pending.approval is not None
    tripped = await trip_breaker.trip(world.broker, await world.operator("eve"), PRODUCTION, reason="loop")
    assert [a.id for a in tripped.cut_off] == [pending.action.id]
    assert [a.id for a in tripped.running] == [running.action.id]
    answered = await watch_action(world.broker, bot, pending.action.id)
    assert (answered.action.state, answered.decision.reasons[0].code) == (ActionState.CANCELLED, "breaker_open")
    eve = await world.operator("eve")
    late = await approve_action(world.broker, eve, pending.approval.id, digest_prefix=pending.action.digest)
    assert late.refused is not None
    assert late.refused.code == "already_decided"


async def test_tripping_one_agent_says_how_to_cut_it_off_elsewhere(world: World) -> None:
    tripped = await trip_breaker.trip(world.broker, await world.operator("eve"), Scope(agent="bot"))
    assert tripped.cut_off_elsewhere == "revoke bot"
    unknown = await trip_breaker.trip(world.broker, await world.operator("eve"), Scope(agent="nobody"))
    assert unknown.cut_off_elsewhere == ""


async def test_tripping_again_is_never_refused_and_stays_one_breaker(world: World) -> None:
    eve = await world.operator("eve")
    first = await trip_breaker.trip(world.broker, eve, PRODUCTION)
    again = await trip_breaker.trip(world.broker, eve, PRODUCTION, ttl=timedelta(hours=1))
    assert again.breaker.id == first.breaker.id
    assert again.breaker.ask_again_at == world.clock.now + timedelta(hours=1)
    world.clock.forward(days=2)
    (listed,) = await trip_breaker.list_breakers(world.broker, eve)
    assert listed.state is BreakerState.FORCED_OPEN


@pytest.mark.requirement("P5", "P6")
async def test_two_different_people_close_it(world: World) -> None:
    eve, sam = await world.operator("eve"), await world.operator("sam")
    tripped = await trip_breaker.trip(world.broker, eve, PRODUCTION)
    first = await trip_breaker.reset(world.broker, eve, tripped.breaker.id, reason="fixed")
    assert not first.closed
    assert set(first.who) == {"sam", "owner", "admin"}
    assert not (await trip_breaker.reset(world.broker, eve, tripped.breaker.id, reason="again")).closed
    assert (await world.ask(await world.agent(), "files.read")).decision.reasons[0].code == "breaker_open"
    assert (await trip_breaker.reset(world.broker, sam, tripped.breaker.id, reason="seen")).closed
    assert (await world.ask(await world.agent(), "files.read")).action.state is ActionState.EXECUTING
    closed = await trip_breaker.reset(world.broker, sam, tripped.breaker.id, reason="")
    assert closed.refused is not None
    assert closed.refused.code == "already_closed"


async def test_one_person_is_enough_outside_production(world: World) -> None:
    eve = await world.operator("eve")
    tripped = await trip_breaker.trip(world.broker, eve, Scope(environment="staging"))
    assert (await trip_breaker.reset(world.broker, eve, tripped.breaker.id, reason="")).closed


@pytest.mark.requirement("P5")
async def test_the_owner_does_not_reset_what_stops_their_own_agent(world: World) -> None:
    tripped = await trip_breaker.trip(world.broker, await world.operator("eve"), Scope(agent="bot"))
    refused = await trip_breaker.reset(world.broker, await world.operator("owner"), tripped.breaker.id, reason="")
    assert refused.refused is not None
    assert refused.refused.code == "not_eligible"
    assert "owner" not in refused.who


async def test_who_may_not_may_not(world: World) -> None:
    bare = tuple(replace(p, permissions=frozenset()) for p in world.policy.people)
    world.policy = replace(world.policy, people=bare)
    eve = await world.operator("eve")
    with pytest.raises(Forbidden):
        await trip_breaker.trip(world.broker, eve, PRODUCTION)
    with pytest.raises(Forbidden):
        await trip_breaker.reset(world.broker, eve, BreakerId("brk_x"), reason="")
    with pytest.raises(Forbidden):
        await trip_breaker.list_breakers(world.broker, eve)


async def test_resetting_what_does_not_exist_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await trip_breaker.reset(world.broker, await world.operator("eve"), BreakerId("brk_x"), reason="")


async def test_a_cancelled_question_shows_as_such(world: World) -> None:
    pending = await world.ask(await world.agent())
    eve = await world.operator("eve")
    await trip_breaker.trip(world.broker, eve, PRODUCTION)
    assert pending.approval is not None
    seen = await show_approval(world.broker, eve, pending.approval.code)
    assert seen.approval.state.value == "cancelled"
    assert seen.who == ()


@pytest.mark.requirement("P6")
async def test_a_trip_goes_before_every_decision_that_waits_for_the_ledger(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    async with plugged(world.ledger):
        asked = [asyncio.create_task(world.ask(bot, "files.read")) for _ in range(8)]
        await asyncio.sleep(0)
        stop = asyncio.create_task(trip_breaker.trip(world.broker, eve, Scope(agent="bot")))
        await asyncio.sleep(0)
    assert (await stop).running == ()
    assert {one.decision.reasons[0].code for one in await asyncio.gather(*asked)} == {"breaker_open"}


async def test_nothing_but_an_operators_trip_is_urgent(world: World) -> None:
    ledger, eve = Noting(world.ledger), await world.operator("eve")
    world.broker = replace(world.broker, ledger=ledger)
    await world.rule(BreakerRule(id="r", scope=Scope(agent="*"), conditions=(TooMany(Sign.ACTIONS, 1),)))
    bot = await world.agent()
    await world.ask(bot, "files.read")
    assert (await world.ask(bot, "files.read")).decision.reasons[0].code == "breaker_open"
    tripped = await trip_breaker.trip(world.broker, eve, PRODUCTION)
    await trip_breaker.reset(world.broker, eve, tripped.breaker.id, reason="")
    await suspend_agent(world.broker, eve, AgentId("other"), reason="odd")
    assert ledger.noted.count(True) == 1


class Noting:
    """A ledger that notes of each transaction whether it was urgent."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.noted: list[bool] = []

    def __getattr__(self, name: str) -> Any:  # whatever a ledger has
        return getattr(self._ledger, name)

    async def transact(self, work: Any, **how: Any) -> Any:
        self.noted.append(bool(how.get("urgent")))
        return await self._ledger.transact(work, **how)
