"""A drill: each replica says what it would decide, by the way of every decision; what was measured is on record."""

from dataclasses import replace

import pytest

from assent.core.breakers import Breaker, BreakerId, Scope
from assent.core.canonical import load
from assent.core.errors import Forbidden, IllegalMove, NotFound, Unauthenticated
from assent.flows import drill_breaker, trip_breaker
from assent.flows.drill_breaker import Measured
from tests.flows.world import World

STAGING = Scope(environment="staging")
MEASURED = Measured(acknowledged_ms=12, first_denial_ms=30, replicas=("one", "two"))


async def drilled(world: World, scope: Scope = STAGING) -> Breaker:
    return (await trip_breaker.drill_trip(world.broker, await world.operator("eve"), scope)).breaker


@pytest.mark.requirement("P6")
@pytest.mark.parametrize(
    "scope",
    [
        STAGING,
        Scope(environment="staging", tool="files.read"),
        Scope(environment="staging", tool="files.*"),
        Scope(environment="staging", tool="nothing.**"),
        Scope(environment="staging", agent="bot"),
    ],
)
async def test_a_replica_says_that_it_denies_from_the_trip_to_the_reset(world: World, scope: Scope) -> None:
    breaker, eve = await drilled(world, scope), await world.operator("eve")
    stopped = await drill_breaker.probe(world.broker, eve, breaker.id)
    assert (stopped.denied, stopped.code, stopped.replica) == (True, "breaker_open", "assent-test")
    assert stopped.breaker.id == breaker.id
    assert (await trip_breaker.reset(world.broker, eve, breaker.id, reason="drill")).closed
    open_again = await drill_breaker.probe(world.broker, eve, breaker.id)
    assert (open_again.denied, open_again.code) == (False, "")


@pytest.mark.requirement("P6")
async def test_a_probe_over_everything_is_denied_too(world: World) -> None:
    eve = await world.operator("eve")
    tripped = await trip_breaker.trip(world.broker, eve, Scope())
    assert (await drill_breaker.probe(world.broker, eve, tripped.breaker.id)).denied


async def test_a_probe_leaves_nothing_behind(world: World) -> None:
    breaker, eve = await drilled(world), await world.operator("eve")
    before = await world.kinds()
    for _ in range(3):
        await drill_breaker.probe(world.broker, eve, breaker.id)
    assert await world.kinds() == before


async def test_what_was_measured_is_on_record_with_who_and_over_what(world: World) -> None:
    breaker, eve = await drilled(world), await world.operator("eve")
    assert await drill_breaker.file_drill(world.broker, eve, breaker.id, MEASURED) == breaker
    (record,) = await world.records(kind="breaker.drilled")
    leaf = load(record.leaf)
    assert isinstance(leaf, dict)
    assert (leaf["operator"], leaf["breaker"], leaf["environment"]) == ("eve", breaker.id, "staging")
    assert leaf["detail"] == {"acknowledged_ms": 12, "first_denial_ms": 30, "replicas": ["one", "two"]}


async def test_a_drill_stops_nothing_in_production_and_nothing_that_is_stopped_already(world: World) -> None:
    for scope in (Scope(), Scope(agent="bot"), Scope(environment="production"), Scope(environment="moon")):
        with pytest.raises(IllegalMove):
            await drilled(world, scope)
    await trip_breaker.trip(world.broker, await world.operator("eve"), STAGING)
    before = await world.kinds()
    with pytest.raises(IllegalMove, match="open"):
        await drilled(world)
    assert [kind for kind in await world.kinds() if kind.startswith("breaker")] == ["breaker.tripped"]
    assert len(await world.kinds()) == len(before) + 1, "only the token of who tried"


@pytest.mark.requirement("P1")
async def test_who_may_not_trip_neither_probes_nor_files(world: World) -> None:
    breaker = await drilled(world)
    bare = tuple(replace(person, permissions=frozenset()) for person in world.policy.people)
    world.policy = replace(world.policy, people=bare)
    sam = await world.operator("sam")
    with pytest.raises(Forbidden):
        await drill_breaker.probe(world.broker, sam, breaker.id)
    with pytest.raises(Forbidden):
        await drill_breaker.file_drill(world.broker, sam, breaker.id, MEASURED)
    assert await world.records(kind="breaker.drilled") == []


async def test_a_breaker_that_does_not_exist_is_neither_probed_nor_filed(world: World) -> None:
    eve = await world.operator("eve")
    with pytest.raises(NotFound):
        await drill_breaker.probe(world.broker, eve, BreakerId("brk_x"))
    with pytest.raises(NotFound):
        await drill_breaker.file_drill(world.broker, eve, BreakerId("brk_x"), MEASURED)


async def test_a_token_that_expired_during_the_drill_files_nothing(world: World) -> None:
    breaker, eve = await drilled(world), await world.operator("eve")
    world.clock.forward(days=91)
    with pytest.raises(Unauthenticated):
        await drill_breaker.probe(world.broker, eve, breaker.id)
    with pytest.raises(Unauthenticated):
        await drill_breaker.file_drill(world.broker, eve, breaker.id, MEASURED)
    assert await world.records(kind="breaker.drilled") == []


async def test_a_breaker_that_was_reset_may_be_tried_out_again(world: World) -> None:
    breaker, eve = await drilled(world), await world.operator("eve")
    await trip_breaker.reset(world.broker, eve, breaker.id, reason="drill")
    world.clock.forward(hours=1)
    assert (await drilled(world)).id == breaker.id
