"""Numbers for humans come from the ledger, for whoever may read approvals, as far back as they ask."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from assent.core.approvals import DenialCategory
from assent.core.errors import Forbidden
from assent.core.operators import Operator, OperatorId
from assent.flows import count_asks
from assent.flows.count_asks import count_lately
from assent.flows.resolve_approval import approve_action, deny_action
from tests.flows.world import TownPolicy, World, a_world

WEEK = timedelta(days=7)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = a_world(policy=TownPolicy(people=(*TownPolicy().people, Operator(id=OperatorId("nobody")))))
    yield made
    await made.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def asked(world: World, *, answer: str, after_seconds: int) -> None:
    bot = await world.agent()
    one = await world.ask(bot, arguments={"env": "production", "path": f"{world.clock.now}"})
    assert one.approval is not None
    world.clock.forward(seconds=after_seconds)
    eve = await world.operator("eve")
    if answer == "yes":
        await approve_action(world.broker, eve, one.approval.id, digest_prefix=one.action.digest)
    else:
        await deny_action(world.broker, eve, one.approval.id, category=DenialCategory.OTHER, comment="no")


async def test_what_was_asked_within_the_span_is_counted(world: World) -> None:
    await asked(world, answer="yes", after_seconds=1)
    world.clock.forward(days=8)
    await asked(world, answer="yes", after_seconds=2)
    await asked(world, answer="no", after_seconds=30)
    found = await count_asks.count_asks(world.broker, await world.operator("sam"), WEEK)

    assert found.since == world.clock.now - WEEK
    assert found.is_whole
    assert (found.numbers.all.asked, found.numbers.all.approved, found.numbers.all.denied) == (2, 1, 1)
    assert found.numbers.people["eve"].seconds == [30.0, 2.0]
    assert found.numbers.people["sam"].seconds == []
    assert (await count_lately(world.broker, 2 * WEEK)).all.asked == 3


async def test_too_much_is_said_to_be_too_much(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_asks, "MOST_COUNTED", 2)
    monkeypatch.setattr(count_asks, "PAGE", 1)
    for _ in range(3):
        await asked(world, answer="yes", after_seconds=5)
    found = await count_asks.count_asks(world.broker, await world.operator("sam"), WEEK)
    assert (found.numbers.all.asked, found.is_whole) == (2, False)


async def test_who_may_not_read_approvals_hears_no_numbers(world: World) -> None:
    with pytest.raises(Forbidden):
        await count_asks.count_asks(world.broker, await world.operator("nobody"), WEEK)
