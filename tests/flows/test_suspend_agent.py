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
from assent.flows.run_action import redeem_as_agent
from assent.flows.suspend_agent import resume_agent, suspend_agent
from assent.flows.watch_actions import watch_action
from tests.flows.world import World

BOT, OTHER = AgentId("bot"), AgentId("other")
ME = "m" * 22


@pytest.mark.requirement("P6", "T21")
async def test_a_suspended_agent_gets_nothing_until_it_is_resumed(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    await suspend_agent(world.broker, eve, BOT, reason="odd")
    denied = await world.ask(bot, "files.read")
    assert denied.decision.reasons[0].code == "agent_suspended"
    resumed = await resume_agent(world.broker, await world.operator("sam"), BOT, reason="found it")
    assert resumed is not None
    assert (resumed.state, resumed.changed_by) == (AgentState.ACTIVE, "sam")
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
    await resume_agent(world.broker, eve, BOT, reason="fine")
    assert await code() == "grant_dead"


async def test_both_moves_are_recorded_with_who_and_the_reason_only_as_a_commitment(world: World) -> None:
    eve = await world.operator("eve")
    await world.ask(await world.agent())
    await suspend_agent(world.broker, eve, BOT, reason="canary one")
    await resume_agent(world.broker, eve, BOT, reason="canary two")
    moves = [*await world.records(kind="agent.suspended"), *await world.records(kind="agent.resumed")]
    leaves = [load(record.leaf) for record in moves]
    assert [leaf["operator"] for leaf in leaves if isinstance(leaf, dict)] == ["eve", "eve"]
    details = [leaf["detail"] for leaf in leaves if isinstance(leaf, dict)]
    assert details == [{"cancelled": 1, "running": 0, "state": "suspended"}, {"state": "active"}]
    assert [b"canary" in record.leaf for record in moves] == [False, False]
    assert all(b'"commit":{"reason":' in record.leaf for record in moves)


async def test_suspending_again_keeps_the_first_and_adds_no_record(world: World) -> None:
    first = await suspend_agent(world.broker, await world.operator("eve"), BOT, reason="odd")
    world.clock.forward(hours=1)
    again = await suspend_agent(world.broker, await world.operator("sam"), BOT, reason="me too")
    assert again.status == first.status
    assert (await world.kinds()).count("agent.suspended") == 1


async def test_resuming_what_is_not_suspended_changes_nothing(world: World) -> None:
    eve = await world.operator("eve")
    assert await resume_agent(world.broker, eve, BOT, reason="x") is None
    await suspend_agent(world.broker, eve, BOT, reason="x")
    for _ in range(2):
        resumed = await resume_agent(world.broker, eve, BOT, reason="y")
        assert resumed is not None
        assert resumed.revision == 2
    assert (await world.kinds()).count("agent.resumed") == 1


@pytest.mark.requirement("P5")
async def test_the_owner_resumes_only_what_they_suspended_themselves(world: World) -> None:
    eve, owner = await world.operator("eve"), await world.operator("owner")
    await suspend_agent(world.broker, owner, BOT, reason="a change")
    await resume_agent(world.broker, owner, BOT, reason="done")
    await suspend_agent(world.broker, eve, BOT, reason="odd")
    with pytest.raises(Forbidden, match="you own `bot` and `eve` suspended it") as caught:
        await resume_agent(world.broker, owner, BOT, reason="it is fine")
    assert caught.value.hint == "these may: admin, eve, sam"
    assert (await show_agent(world.broker, eve, BOT)).blocked is not None


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
