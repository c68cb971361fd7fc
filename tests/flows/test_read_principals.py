"""Who is declared, who holds what, who may act: shown in pages, without a secret, to whoever may look."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from assent.core.agents import AgentId, AgentProfile
from assent.core.credentials import Kind
from assent.core.errors import Forbidden, NotFound
from assent.core.operators import PERMISSION_SETS, Operator, OperatorId
from assent.flows.issue_credentials import revoke
from assent.flows.read_principals import (
    list_agents,
    list_operators,
    list_services,
    show_agent,
    show_operator,
)
from assent.flows.suspend_agent import suspend_agent
from tests.flows.world import START, TownPolicy, World, a_world

AUDITOR = Operator(id=OperatorId("aud"), permissions=PERMISSION_SETS["auditor"])
APPROVER = Operator(id=OperatorId("app"), permissions=PERMISSION_SETS["approver"])
OVER = AgentProfile(id=AgentId("over"), owner=OperatorId("eve"), roles=("r",), expires=START)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    usual = TownPolicy()
    made = a_world(
        policy=TownPolicy(people=(*usual.people, AUDITOR, APPROVER), profiles={**usual.profiles, "over": OVER})
    )
    yield made
    await made.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def test_agents_are_listed_by_id_with_why_they_may_not_act(world: World) -> None:
    sam = await world.operator("sam")
    await suspend_agent(world.broker, sam, AgentId("other"), reason="x")
    listed = await list_agents(world.broker, sam, limit=10)
    blocked = [(seen.id, None if seen.blocked is None else seen.blocked.code) for seen in listed]
    assert blocked == [("bot", None), ("other", "agent_suspended"), ("over", "agent_expired")]


async def test_a_page_goes_on_behind_the_last_id(world: World) -> None:
    sam = await world.operator("sam")
    first = await list_agents(world.broker, sam, limit=2)
    second = await list_agents(world.broker, sam, limit=2, after=first[-1].id)
    assert [seen.id for seen in (*first, *second)] == ["bot", "other", "over"]
    names = [seen.id for seen in await list_operators(world.broker, await world.operator("admin"), limit=3)]
    assert names == ["admin", "app", "aud"]


async def test_a_list_has_the_live_keys_and_the_page_of_one_agent_has_all(world: World) -> None:
    sam, gone, kept = await world.operator("sam"), await world.agent(), await world.agent()
    await world.token(Kind.AGENT, "bot", valid_for=timedelta(seconds=1))
    world.clock.forward(seconds=1)
    await revoke(world.broker, sam, Kind.AGENT, "bot", gone.key)
    (listed,) = await list_agents(world.broker, sam, limit=1)
    assert [key.id for key in listed.keys] == [kept.key]
    assert len((await show_agent(world.broker, sam, AgentId("bot"))).keys) == 3


async def test_an_agent_says_when_it_asked_last(world: World) -> None:
    sam, bot = await world.operator("sam"), await world.agent()
    assert (await show_agent(world.broker, sam, AgentId("bot"))).last_asked_at is None
    await world.ask(bot, "files.read")
    world.clock.forward(minutes=5)
    await world.ask(bot, "files.read")
    await world.ask(await world.agent("other"), "files.read")
    assert (await show_agent(world.broker, sam, AgentId("bot"))).last_asked_at == START + timedelta(minutes=5)


async def test_who_left_the_policy_is_shown_while_they_hold_a_live_credential(world: World) -> None:
    admin, bot, eve = await world.operator("admin"), await world.agent(), await world.operator("eve")
    world.policy = replace(
        world.policy,
        profiles={"other": world.policy.profiles["other"]},
        people=tuple(p for p in world.policy.people if p.id != "eve"),
    )
    agents = {seen.id: seen for seen in await list_agents(world.broker, admin, limit=10)}
    assert (agents[AgentId("bot")].profile, agents[AgentId("bot")].keys[0].id) == (None, bot.key)
    operators = {seen.id: seen for seen in await list_operators(world.broker, admin, limit=10)}
    assert operators[OperatorId("eve")].declared is None
    await revoke(world.broker, admin, Kind.AGENT, "bot", bot.key)
    await revoke(world.broker, admin, Kind.OPERATOR, "eve", eve.token.id)
    assert "bot" not in {seen.id for seen in await list_agents(world.broker, admin, limit=10)}
    assert "eve" not in {seen.id for seen in await list_operators(world.broker, admin, limit=10)}
    assert (await show_agent(world.broker, admin, AgentId("bot"))).profile is None


async def test_an_agent_and_a_person_of_one_name_are_not_mixed_up(world: World) -> None:
    admin = await world.operator("admin")
    await world.token(Kind.AGENT, "eve")
    await world.token(Kind.OPERATOR, "bot")
    assert (await show_operator(world.broker, admin, OperatorId("eve"))).tokens == ()
    assert (await show_agent(world.broker, admin, AgentId("bot"))).keys == ()


async def test_services_are_known_by_their_live_keys(world: World) -> None:
    sam, db = await world.operator("sam"), await world.service()
    await world.service("web", ("web.*",))
    listed = await list_services(world.broker, sam, limit=1)
    assert [(seen.id, seen.keys[0].tools) for seen in listed] == [("db", ("db.*",))]
    assert [seen.id for seen in await list_services(world.broker, sam, limit=5, after="db")] == ["web"]
    await revoke(world.broker, sam, Kind.SERVICE, "db", db.key)
    assert [seen.id for seen in await list_services(world.broker, sam, limit=5)] == ["web"]


async def test_an_operator_is_shown_with_the_agents_they_own(world: World) -> None:
    seen = await show_operator(world.broker, await world.operator("admin"), OperatorId("owner"))
    assert (seen.owns, seen.declared) == (("bot", "other"), world.policy.operator("owner"))


async def test_whoever_reads_the_log_may_look_and_everybody_at_themselves(world: World) -> None:
    aud, app = await world.operator("aud"), await world.operator("app")
    assert len(await list_agents(world.broker, aud, limit=10)) == 3
    assert len(await list_operators(world.broker, aud, limit=10)) == 6
    assert await list_services(world.broker, aud, limit=10) == []
    assert (await show_operator(world.broker, app, OperatorId("app"))).tokens[0].id == app.token.id
    for refused in (
        list_agents(world.broker, app, limit=10),
        list_services(world.broker, app, limit=10),
        list_operators(world.broker, app, limit=10),
        show_agent(world.broker, app, AgentId("bot")),
        show_operator(world.broker, app, OperatorId("eve")),
    ):
        with pytest.raises(Forbidden):
            await refused


async def test_nobody_is_shown_who_never_was(world: World) -> None:
    admin = await world.operator("admin")
    with pytest.raises(NotFound):
        await show_agent(world.broker, admin, AgentId("bott"))
    with pytest.raises(NotFound):
        await show_operator(world.broker, admin, OperatorId("evee"))
