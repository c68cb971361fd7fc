"""Budgets: reserved by the decision, given back by what never ran, and whoever would overdraw one is stopped."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest

from assent.core.actions import ActionState
from assent.core.approvals import DenialCategory
from assent.core.breaker_rules import BreakerRule, TooMuch
from assent.core.breakers import Scope
from assent.core.canonical import load
from assent.flows import trip_breaker
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller
from assent.flows.end_action import cancel_action
from assent.flows.resolve_approval import deny_action
from assent.flows.tick import tick
from tests.flows.world import World

BUDGET = BreakerRule(
    id="budget",
    scope=Scope(agent="*", tool="files.*"),
    conditions=(TooMuch("amount", Decimal(100)),),
    window=timedelta(days=1),
)


async def ask(world: World, caller: AgentCaller, amount: float, **changes: object) -> Answered:
    env = changes.pop("env", "staging")
    return await world.ask(caller, "files.write", arguments={"env": env, "amount": amount}, **changes)


def code(answered: Answered) -> str:
    return answered.decision.reasons[0].code if answered.decision.reasons else answered.action.state.value


async def test_a_budget_may_be_used_up_and_not_overdrawn(world: World) -> None:
    await world.rule(BUDGET)
    bot, other = await world.agent(), await world.agent("other")
    assert [code(await ask(world, bot, amount)) for amount in (60, 40)] == ["executing", "executing"]
    over = await ask(world, bot, 1)
    assert (code(over), over.action.state) == ("breaker_open", ActionState.DENIED)
    assert code(await world.ask(bot, "files.read")) == "breaker_open"
    assert (await world.ask(bot, "db.run")).action.state is ActionState.PENDING
    assert code(await ask(world, other, 100)) == "executing"
    (breaker,) = await trip_breaker.list_breakers(world.broker, await world.operator("eve"))
    assert breaker.scope == Scope(agent="bot", tool="files.*")
    assert breaker.reason == "`amount` would come to more than 100 within 1d"


@pytest.mark.requirement("P9")
async def test_no_amount_of_an_action_stands_in_the_public_log(world: World) -> None:
    await world.rule(BUDGET)
    await ask(world, await world.agent(), 98765.4321)
    assert "98765" not in "".join(record.leaf.decode() for record in await world.records())


async def test_no_mixture_of_signs_makes_room(world: World) -> None:
    await world.rule(BUDGET)
    bot = await world.agent()
    assert [code(await ask(world, bot, amount)) for amount in (60, -60)] == ["executing", "breaker_open"]


async def test_what_never_ran_gives_back_what_it_held(world: World) -> None:
    await world.rule(BUDGET)
    bot, eve = await world.agent(), await world.operator("eve")
    denied = await ask(world, bot, 90, env="production")
    assert denied.approval is not None
    await deny_action(world.broker, eve, denied.approval.id, category=DenialCategory.OTHER, comment="")
    withdrawn = await ask(world, bot, 91, env="production")
    await cancel_action(world.broker, bot, withdrawn.action.id, "")
    expired = await ask(world, bot, 92, env="production")
    assert expired.action.state is ActionState.PENDING
    world.clock.forward(hours=1)
    await tick(world.broker)
    lapsed = await ask(world, bot, 90, attempt=None)
    assert lapsed.action.state is ActionState.READY
    world.clock.forward(hours=1)
    await tick(world.broker)
    assert code(await ask(world, bot, 90)) == "executing"
    assert code(await ask(world, bot, 90)) == "breaker_open"


async def test_what_ran_stays_counted_however_it_ended_until_it_leaves_the_window(world: World) -> None:
    await world.rule(BUDGET)
    bot = await world.agent()
    await world.report(bot, await ask(world, bot, 60), "failed")
    world.clock.forward(hours=24)
    assert code(await ask(world, bot, 41)) == "breaker_open"


async def test_a_day_later_there_is_room_again(world: World) -> None:
    await world.rule(BUDGET)
    bot = await world.agent()
    await ask(world, bot, 60)
    world.clock.forward(hours=25.5)
    assert code(await ask(world, bot, 100)) == "executing"


async def test_asking_twice_draws_once(world: World) -> None:
    await world.rule(BUDGET)
    bot = await world.agent()
    for _ in range(5):
        assert code(await ask(world, bot, 60, idempotency_key="k")) == "executing"


async def test_what_policy_denies_draws_on_nothing(world: World) -> None:
    await world.rule(BUDGET)
    bot = await world.agent()
    denied = await world.ask(bot, "files.delete", arguments={"env": "staging", "amount": 1_000})
    assert code(denied) == "rule_denied"
    assert code(await ask(world, bot, 100)) == "executing"


async def test_a_budget_that_is_only_watched_speaks_once(world: World) -> None:
    await world.rule(BreakerRule(id="b", scope=BUDGET.scope, conditions=BUDGET.conditions, watches=True))
    bot = await world.agent()
    assert {code(await ask(world, bot, 60)) for _ in range(5)} == {"executing"}
    assert await world.kinds(kind="breaker.watched") == ["breaker.watched"]


async def test_asks_at_the_same_time_never_draw_the_same_amount(world: World) -> None:
    await world.rule(BUDGET)
    bot = await world.agent()
    asked = await asyncio.gather(*(ask(world, bot, 30) for _ in range(20)))
    assert sum(one.action.state is ActionState.EXECUTING for one in asked) == 3
    trips = await world.records(kind="breaker.tripped")
    assert len(trips) == 1
    leaf = load(trips[0].leaf)
    assert isinstance(leaf, dict)
    assert leaf["agent"] == "bot"
