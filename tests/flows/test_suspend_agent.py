"""An agent is suspended: at once, whole, with what others ask on its behalf; and who may let it go on."""

from dataclasses import replace

import pytest

from assent.core.actions import ActionState
from assent.core.agents import AgentId, AgentState
from assent.core.canonical import load
from assent.core.errors import Forbidden, NotFound
from assent.flows.issue_credentials import issue_agent_key
from assent.flows.read_principals import show_agent
from assent.flows.resolve_approval import approve_action
from assent.flows.resume_agent import ResumeAnswer, resume_agent
from assent.flows.run_action import redeem_as_agent
from assent.flows.suspend_agent import suspend_agent
from assent.flows.watch_actions import watch_action
from tests.flows.world import World

BOT, OTHER = AgentId("bot"), AgentId("other")
ME = "m" * 22


async def resumed(world: World, *people: str, reason: str = "fine") -> ResumeAnswer:
    """Let these people say one after the other that the agent may go on; return what the last one is told."""
    answers = [await resume_agent(world.broker, await world.operator(who), BOT, reason=reason) for who in people]
    return answers[-1]


@pytest.mark.requirement("P6", "T21")
async def test_a_suspended_agent_gets_nothing_until_it_is_resumed(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    await suspend_agent(world.broker, eve, BOT, reason="odd")
    denied = await world.ask(bot, "files.read")
    assert denied.decision.reasons[0].code == "agent_suspended"
    status = (await resumed(world, "eve", "sam", reason="found it")).status
    assert status is not None
    assert (status.state, status.changed_by) == (AgentState.ACTIVE, "sam")
    assert (await world.ask(bot, "files.read")).action.state is ActionState.EXECUTING


@pytest.mark.requirement("P6")
async def test_it_ends_what_waits_and_tells_what_runs_and_how_to_cut_the_agent_off(world: World) -> None:
    bot, other = await world.agent(), await world.agent("other")
    running, pending = await world.ask(bot, "files.read"), await world.ask(bot)
    for_bot = await world.ask(other, on_behalf_of=("agent:bot",))
    untouched = await world.ask(other)
    suspended = await suspend_agent(world.broker, await world.operator("eve"), BOT, reason="odd")
    assert {a.id for a in suspended.cut_off} == {pending.action.id, for_bot.action.id}
    assert [a.id for a in suspended.running] == [running.action.id]
    assert suspended.cut_off_elsewhere == "revoke bot"
    answered = await watch_action(world.broker, other, for_bot.action.id)
    assert (answered.action.state, answered.decision.reasons[0].code) == (ActionState.CANCELLED, "agent_suspended")
    assert (await watch_action(world.broker, other, untouched.action.id)).action.state is ActionState.PENDING


@pytest.mark.requirement("P4", "T21")
async def test_a_yes_from_before_is_worth_nothing_during_and_after_a_suspension(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    asked = await world.ask(bot)
    assert asked.approval is not None
    await approve_action(world.broker, eve, asked.approval.code, digest_prefix=asked.action.digest)
    grant = (await watch_action(world.broker, bot, asked.action.id)).grant
    assert grant is not None

    async def code() -> str | None:
        redeemed = await redeem_as_agent(
            world.broker, bot, grant.id, attempt=ME, digest=asked.action.digest, arguments=None
        )
        return None if redeemed.refused is None else redeemed.refused.code

    await suspend_agent(world.broker, eve, BOT, reason="odd")
    assert await code() == "agent_suspended"
    await resumed(world, "eve", "sam")
    assert await code() == "grant_dead"


async def test_every_move_is_recorded_with_who_and_the_reason_only_as_a_commitment(world: World) -> None:
    eve = await world.operator("eve")
    await world.ask(await world.agent())
    await suspend_agent(world.broker, eve, BOT, reason="canary one")
    await resumed(world, "eve", "sam", reason="canary two")
    kinds = ("agent.suspended", "agent.resume_asked", "agent.resumed")
    moves = [record for kind in kinds for record in await world.records(kind=kind)]
    leaves = [load(record.leaf) for record in moves]
    assert [leaf["operator"] for leaf in leaves if isinstance(leaf, dict)] == ["eve", "eve", "sam"]
    details = [leaf["detail"] for leaf in leaves if isinstance(leaf, dict)]
    assert details[0] == {"cancelled": 1, "running": 0, "state": "suspended"}
    assert [detail["state"] for detail in details[1:] if isinstance(detail, dict)] == ["suspended", "active"]
    assert [b"canary" in record.leaf for record in moves] == [False] * 3
    assert all(b'"commit":{"reason":' in record.leaf for record in moves)


async def test_suspending_again_keeps_the_first_and_adds_no_record(world: World) -> None:
    first = await suspend_agent(world.broker, await world.operator("eve"), BOT, reason="odd")
    world.clock.forward(hours=1)
    again = await suspend_agent(world.broker, await world.operator("sam"), BOT, reason="me too")
    assert again.status == first.status
    assert (await world.kinds()).count("agent.suspended") == 1


async def test_resuming_what_is_not_suspended_changes_nothing(world: World) -> None:
    eve = await world.operator("eve")
    never = await resume_agent(world.broker, eve, BOT, reason="x")
    assert (never.status, never.goes_on) == (None, True)
    await suspend_agent(world.broker, eve, BOT, reason="x")
    for people in (("eve", "sam"), ("sam",)):
        answer = await resumed(world, *people)
        assert answer.goes_on
        assert answer.status is not None
        assert answer.status.revision == 3
    assert (await world.kinds()).count("agent.resumed") == 1


@pytest.mark.requirement("P5", "P6")
async def test_it_takes_a_second_different_person(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    await suspend_agent(world.broker, eve, BOT, reason="odd")
    first = await resumed(world, "eve")
    assert (first.goes_on, first.refused, set(first.who)) == (False, None, {"sam", "admin"})
    assert not (await resumed(world, "eve")).goes_on
    assert (await world.ask(bot, "files.read")).decision.reasons[0].code == "agent_suspended"
    assert (await resumed(world, "sam")).goes_on
    assert (await world.ask(bot, "files.read")).action.state is ActionState.EXECUTING


@pytest.mark.requirement("P5")
async def test_the_second_person_has_fifteen_minutes(world: World) -> None:
    await suspend_agent(world.broker, await world.operator("eve"), BOT, reason="odd")
    await resumed(world, "eve")
    world.clock.forward(minutes=15, seconds=1)
    assert not (await resumed(world, "sam")).goes_on
    world.clock.forward(minutes=15)
    assert (await resumed(world, "eve")).goes_on


@pytest.mark.requirement("P5")
async def test_the_wish_ends_when_somebody_suspends_it_again(world: World) -> None:
    await suspend_agent(world.broker, await world.operator("eve"), BOT, reason="odd")
    await resumed(world, "eve")
    again = await suspend_agent(world.broker, await world.operator("admin"), BOT, reason="not yet")
    assert (again.status.changed_by, again.status.reason, again.status.resume_asked) == ("eve", "odd", None)
    told = [load(record.leaf) for record in await world.records(kind="agent.suspended")]
    assert [leaf["operator"] for leaf in told if isinstance(leaf, dict)] == ["eve", "admin"]
    assert not (await resumed(world, "sam")).goes_on


@pytest.mark.requirement("P5")
@pytest.mark.parametrize("by", ["owner", "eve"])
async def test_the_owner_resumes_nothing_whoever_suspended_it(world: World, by: str) -> None:
    await suspend_agent(world.broker, await world.operator(by), BOT, reason="a change")
    await resumed(world, "sam")
    answer = await resumed(world, "owner")
    assert answer.refused is not None
    assert (answer.refused.code, "you own this agent" in answer.refused.message) == ("not_eligible", True)
    assert answer.who == ("admin", "eve", "sam")
    assert (await show_agent(world.broker, await world.operator("eve"), BOT)).blocked is not None


@pytest.mark.requirement("P5", "T22")
async def test_who_had_the_other_one_s_token_issued_is_no_second_person(world: World) -> None:
    admin = await world.operator("admin", issued_by="assent init")
    sam = await world.operator("sam", issued_by="admin")
    await suspend_agent(world.broker, admin, BOT, reason="odd")
    await resume_agent(world.broker, admin, BOT, reason="x")
    refused = (await resume_agent(world.broker, sam, BOT, reason="y")).refused
    assert refused is not None
    assert (refused.code, "issued the other's token" in refused.message) == ("not_eligible", True)
    eve = await world.operator("eve", issued_by="assent init")
    assert (await resume_agent(world.broker, eve, BOT, reason="z")).goes_on


@pytest.mark.requirement("P5")
async def test_where_nobody_else_may_it_stays_suspended_and_that_is_said(world: World) -> None:
    world.policy = replace(world.policy, people=tuple(p for p in world.policy.people if p.id in {"eve", "owner"}))
    await suspend_agent(world.broker, await world.operator("eve"), BOT, reason="odd")
    answer = await resumed(world, "eve", "eve")
    assert (answer.goes_on, answer.who) == (False, ())


async def test_a_name_that_nobody_ever_heard_of_is_not_suspended(world: World) -> None:
    eve = await world.operator("eve")
    with pytest.raises(NotFound):
        await suspend_agent(world.broker, eve, AgentId("bott"), reason="x")
    with pytest.raises(NotFound):
        await resume_agent(world.broker, eve, AgentId("bott"), reason="x")


@pytest.mark.requirement("P1")
async def test_an_agent_that_left_the_policy_can_be_suspended_before_it_comes_back(world: World) -> None:
    eve, policy = await world.operator("eve"), world.policy
    issued = await issue_agent_key(world.broker, eve, "bot")
    world.policy = replace(policy, profiles={"other": policy.profiles["other"]})
    suspended = await suspend_agent(world.broker, eve, BOT, reason="gone for good")
    assert suspended.cut_off_elsewhere == ""
    world.policy = policy
    assert (await show_agent(world.broker, eve, BOT)).keys == (issued.issued.credential,)
    assert (await world.ask(await world.agent(), "files.read")).decision.reasons[0].code == "agent_suspended"


async def test_who_does_not_manage_agents_suspends_none(world: World) -> None:
    bare = tuple(replace(p, permissions=frozenset()) for p in world.policy.people)
    world.policy = replace(world.policy, people=bare)
    eve = await world.operator("eve")
    with pytest.raises(Forbidden):
        await suspend_agent(world.broker, eve, BOT, reason="x")
    with pytest.raises(Forbidden):
        await resume_agent(world.broker, eve, BOT, reason="x")


async def test_suspending_one_agent_leaves_the_other_alone(world: World) -> None:
    await suspend_agent(world.broker, await world.operator("eve"), OTHER, reason="x")
    assert (await world.ask(await world.agent(), "files.read")).action.state is ActionState.EXECUTING
