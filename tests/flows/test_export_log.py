"""An export is a fact of its own: which part of the log, by whom, fixed in one transaction."""

from datetime import timedelta

import pytest

from assent.core.errors import Forbidden
from assent.core.operators import Operator
from assent.flows.export_log import begin_export
from assent.flows.tell_story import leaf_of
from tests.flows.world import START, World


async def test_an_export_says_from_where_to_where_and_is_recorded(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    for _ in range(3):
        world.clock.forward(minutes=1)
        await world.ask(bot, "files.read")
    all_of_it = await begin_export(world.broker, eve, since=None, until=None)
    assert (all_of_it.first, all_of_it.last, all_of_it.records) == (0, 4, 5)
    later = await begin_export(
        world.broker, eve, since=START + timedelta(minutes=2), until=START + timedelta(minutes=3)
    )
    assert (later.first, later.last, later.records) == (3, 3, 1)
    first, second = await world.records(kind="log.exported")
    assert (leaf_of(first)["operator"], leaf_of(first)["detail"]) == ("eve", {"first": 0, "records": 5})
    assert leaf_of(second)["detail"] == {
        "first": 3,
        "records": 1,
        "since": "2026-11-23T10:02:00.000000Z",
        "until": "2026-11-23T10:03:00.000000Z",
    }


async def test_an_export_of_nothing_is_recorded_too(world: World) -> None:
    eve = await world.operator("eve")
    nothing = await begin_export(world.broker, eve, since=START + timedelta(days=1), until=None)
    assert (nothing.first, nothing.last, nothing.records) == (None, None, 0)
    assert await world.kinds(kind="log.exported") == ["log.exported"]


async def test_who_may_not_read_the_log_exports_nothing(world: World) -> None:
    world.policy = type(world.policy)(people=(Operator(id=world.policy.people[1].id),))
    with pytest.raises(Forbidden):
        await begin_export(world.broker, await world.operator("eve"), since=None, until=None)
    assert await world.kinds(kind="log.exported") == []
