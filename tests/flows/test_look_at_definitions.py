"""A tool that is defined otherwise than before is stopped, where a rule says so, before anybody can ask for it."""

from dataclasses import replace

import pytest

from assent.core.breaker_rules import BreakerRule
from assent.core.breakers import BreakerState, Scope
from assent.flows import trip_breaker
from assent.flows.look_at_definitions import look_at_definitions
from tests.flows.world import Tool, World

RULE = BreakerRule(id="definition", scope=Scope(tool="*"), on_definition=True)


def redefine(world: World, tool: str, definition: str) -> None:
    changed = replace(world.policy.tools[tool], definition=definition)
    world.policy = replace(world.policy, tools={**world.policy.tools, tool: changed})


async def stopped(world: World) -> list[str]:
    found = await trip_breaker.list_breakers(world.broker, await world.operator("eve"))
    assert all(one.state is BreakerState.FORCED_OPEN for one in found)
    return sorted(one.scope.describe() for one in found)


@pytest.mark.requirement("P3")
async def test_a_changed_definition_stops_the_tool_until_people_let_it_go_on(world: World) -> None:
    await world.rule(RULE)
    assert await look_at_definitions(world.broker, world.policy) == ()
    redefine(world, "files.read", "2")
    (tripped,) = await look_at_definitions(world.broker, world.policy)
    assert (tripped.breaker.reason, tripped.breaker.by) == ("its definition changed", "rule:definition")
    assert await stopped(world) == ["tool `files.read`"]
    bot = await world.agent()
    assert (await world.ask(bot, "files.read")).decision.reasons[0].code == "breaker_open"
    assert await look_at_definitions(world.broker, world.policy) == ()


async def test_what_is_new_is_no_change(world: World) -> None:
    await world.rule(RULE)
    await look_at_definitions(world.broker, world.policy)
    world.policy = replace(world.policy, tools={**world.policy.tools, "files.list": Tool()})
    assert await look_at_definitions(world.broker, world.policy) == ()


async def test_the_way_back_is_a_change_too(world: World) -> None:
    await world.rule(RULE)
    for definition in ("1", "2", "1"):
        redefine(world, "files.read", definition)
        await look_at_definitions(world.broker, world.policy)
        for breaker in await trip_breaker.list_breakers(world.broker, await world.operator("eve")):
            for name in ("eve", "sam"):
                await trip_breaker.reset(world.broker, await world.operator(name), breaker.id, reason="seen")
    assert (await world.kinds(kind="breaker.tripped")).count("breaker.tripped") == 2


async def test_without_such_a_rule_nothing_is_looked_at(world: World) -> None:
    await look_at_definitions(world.broker, world.policy)
    redefine(world, "files.read", "2")
    await world.rule(replace(RULE, scope=Scope(tool="db.*")))
    assert await look_at_definitions(world.broker, world.policy) == ()
    assert await stopped(world) == []


async def test_two_rules_over_one_tool_make_one_breaker(world: World) -> None:
    await world.rule(RULE, replace(RULE, id="again"))
    await look_at_definitions(world.broker, world.policy)
    redefine(world, "files.read", "2")
    assert len(await look_at_definitions(world.broker, world.policy)) == 1
