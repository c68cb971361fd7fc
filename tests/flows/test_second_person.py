"""Letting go on takes two, and one of them at the console where somebody can be there; both ways of it ask the same."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from assent.core.agents import AgentId
from assent.core.breakers import BreakerId, Scope
from assent.core.canonical import load
from assent.core.operators import Assurance
from assent.core.reasons import Reason
from assent.flows import trip_breaker
from assent.flows.authenticate import OperatorCaller
from assent.flows.resume_agent import resume_agent
from assent.flows.suspend_agent import suspend_agent
from tests.flows.world import World

BOT = AgentId("bot")


@dataclass(frozen=True, kw_only=True)
class Word:
    """What somebody was told who wanted to let something go on."""

    goes_on: bool
    refused: Reason | None
    who: tuple[str, ...]
    assurance: Assurance | None

    @property
    def code(self) -> str | None:
        return None if self.refused is None else self.refused.code


Says = Callable[[OperatorCaller], Awaitable[Word]]


async def a_suspension(world: World) -> Says:
    await suspend_agent(world.broker, await world.operator("admin"), BOT, reason="odd")

    async def says(caller: OperatorCaller) -> Word:
        told = await resume_agent(world.broker, caller, BOT, reason="fine")
        return Word(goes_on=told.goes_on, refused=told.refused, who=told.who, assurance=told.assurance)

    return says


async def a_trip(world: World, scope: Scope = Scope(agent="bot")) -> Says:  # noqa: B008  # frozen: a shared default is safe
    tripped = await trip_breaker.trip(world.broker, await world.operator("admin"), scope)
    key: BreakerId = tripped.breaker.id

    async def says(caller: OperatorCaller) -> Word:
        told = await trip_breaker.reset(world.broker, caller, key, reason="fine")
        return Word(goes_on=told.closed, refused=told.refused, who=told.who, assurance=told.assurance)

    return says


STOPS = pytest.mark.parametrize("stop", [a_trip, a_suspension])
Stop = Callable[[World], Awaitable[Says]]


async def at(world: World, who: str, assurance: Assurance) -> OperatorCaller:
    surface = "console" if assurance is Assurance.CONSOLE else "api"
    return replace(await world.operator(who, issued_by="assent init"), assurance=assurance, surface=surface)


def let_in(world: World, *people: str) -> None:
    """Let these be able to sign in at the console with more than a token."""
    world.broker = replace(world.broker, at_console=frozenset(people))


@STOPS
async def test_where_nobody_can_be_at_the_console_two_tokens_do(world: World, stop: Stop) -> None:
    says = await stop(world)
    first = await says(await at(world, "eve", Assurance.TOKEN))
    assert (first.goes_on, first.code, set(first.who), first.assurance) == (False, None, {"admin", "sam"}, None)
    assert (await says(await at(world, "sam", Assurance.TOKEN))).goes_on


@pytest.mark.requirement("P5", "P6")
@STOPS
async def test_where_somebody_can_be_there_two_tokens_let_nothing_go_on(world: World, stop: Stop) -> None:
    let_in(world, "eve")
    says = await stop(world)
    first = await says(await at(world, "sam", Assurance.TOKEN))
    assert (first.code, first.who, first.assurance) == (None, ("eve",), Assurance.CONSOLE)
    second = await says(await at(world, "admin", Assurance.TOKEN))
    assert (second.goes_on, second.code) == (False, "step_up_required")
    assert second.refused is not None
    assert "neither you nor `sam` spoke at the console" in second.refused.message
    assert second.who == ("admin", "eve", "sam")


@pytest.mark.requirement("P5", "P6")
@STOPS
async def test_who_can_be_there_is_heard_from_there_alone(world: World, stop: Stop) -> None:
    let_in(world, "eve")
    says = await stop(world)
    for before in ((), ("sam",)):
        for who in before:
            await says(await at(world, who, Assurance.TOKEN))
        told = await says(await at(world, "eve", Assurance.TOKEN))
        assert (told.goes_on, told.code) == (False, "step_up_required")
    assert (await says(await at(world, "eve", Assurance.CONSOLE))).goes_on


@pytest.mark.requirement("P5", "P6")
@STOPS
async def test_where_an_issuer_vouches_for_people_they_are_heard_from_the_console(world: World, stop: Stop) -> None:
    people = tuple(replace(one, identities={"oidc": "s"} if one.id == "eve" else {}) for one in world.policy.people)
    world.policy = replace(world.policy, people=people)
    world.broker = replace(world.broker, signs_on=True)
    says = await stop(world)
    assert (await says(await at(world, "eve", Assurance.TOKEN))).code == "step_up_required"
    assert (await says(await at(world, "sam", Assurance.TOKEN))).who == ("eve",)
    assert (await says(await at(world, "admin", Assurance.TOKEN))).code == "step_up_required"
    assert (await says(await at(world, "eve", Assurance.CONSOLE))).goes_on


@pytest.mark.requirement("P5", "P6")
@STOPS
async def test_a_first_word_of_somebody_who_may_say_none_any_more_is_none(world: World, stop: Stop) -> None:
    says = await stop(world)
    await says(await at(world, "eve", Assurance.TOKEN))
    people = tuple(replace(one, permissions=frozenset()) if one.id == "eve" else one for one in world.policy.people)
    world.policy = replace(world.policy, people=people)
    told = await says(await at(world, "sam", Assurance.TOKEN))
    assert (told.goes_on, told.code) == (False, None)
    assert (await says(await at(world, "admin", Assurance.TOKEN))).goes_on


@STOPS
async def test_one_of_the_two_is_enough_there_and_it_may_be_the_first(world: World, stop: Stop) -> None:
    let_in(world, "eve", "owner")
    says = await stop(world)
    first = await says(await at(world, "eve", Assurance.CONSOLE))
    assert (set(first.who), first.assurance) == ({"admin", "sam"}, None)
    assert (await says(await at(world, "sam", Assurance.TOKEN))).goes_on


@STOPS
async def test_somebody_who_may_not_let_it_go_on_asks_nothing_of_the_others(world: World, stop: Stop) -> None:
    let_in(world, "owner", "nobody")
    says = await stop(world)
    assert (await says(await at(world, "eve", Assurance.TOKEN))).assurance is None
    assert (await says(await at(world, "sam", Assurance.TOKEN))).goes_on


@STOPS
async def test_a_wish_that_is_over_asks_nothing_of_the_next_one(world: World, stop: Stop) -> None:
    says = await stop(world)
    await says(await at(world, "admin", Assurance.TOKEN))
    world.clock.forward(minutes=16)
    issued_by_admin = await world.operator("sam", issued_by="admin")
    assert (await says(issued_by_admin)).code is None


async def test_outside_production_one_token_is_enough_for_a_reset(world: World) -> None:
    let_in(world, "eve", "sam")
    says = await a_trip(world, Scope(environment="staging"))
    assert (await says(await at(world, "eve", Assurance.TOKEN))).goes_on


@pytest.mark.requirement("P5")
@STOPS
async def test_the_records_say_how_sure_it_was_who_spoke(world: World, stop: Stop) -> None:
    let_in(world, "eve")
    says = await stop(world)
    await says(await at(world, "sam", Assurance.TOKEN))
    await says(await at(world, "eve", Assurance.CONSOLE))
    kinds = ("breaker.reset_asked", "breaker.reset", "agent.resume_asked", "agent.resumed")
    leaves = [load(record.leaf) for kind in kinds for record in await world.records(kind=kind)]
    told = [(leaf["operator"], leaf["detail"]) for leaf in leaves if isinstance(leaf, dict)]
    assert [(who, detail["assurance"], detail["surface"]) for who, detail in told if isinstance(detail, dict)] == [
        ("sam", "token", "api"),
        ("eve", "console", "console"),
    ]
