"""A grant is redeemed once, its action runs, and its outcome is told honestly."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from assent.core.actions import Action, ActionState, attempt_of
from assent.core.breakers import Scope
from assent.core.canonical import Json
from assent.core.decisions import Effect
from assent.core.errors import Forbidden, IllegalMove, NotFound
from assent.core.grants import Grant
from assent.flows import manage_principals, trip_breaker
from assent.flows.authenticate import AgentCaller
from assent.flows.end_action import cancel_action
from assent.flows.resolve_approval import approve_action
from assent.flows.run_action import (
    Redemption,
    Report,
    redeem_as_agent,
    redeem_as_tool,
    report_outcome,
    report_outcome_as_tool,
)
from assent.flows.tick import tick
from assent.flows.watch_actions import watch_action
from tests.flows.world import World

ME, OTHER = "a" * 22, "b" * 22
ARGUMENTS: dict[str, Json] = {"env": "production", "path": "a"}


async def approved(world: World, tool: str = "files.write") -> tuple[AgentCaller, Action, Grant]:
    bot = await world.agent()
    answered = await world.ask(bot, tool)
    assert answered.approval is not None
    eve = await world.operator("eve")
    await approve_action(world.broker, eve, answered.approval.id, digest_prefix=answered.action.digest)
    ready = await watch_action(world.broker, bot, answered.action.id)
    assert ready.grant is not None
    return bot, ready.action, ready.grant


async def redeem(world: World, bot: AgentCaller, grant: Grant, *, attempt: str = ME, **shown: Any) -> Redemption:
    shown = {"digest": None, "arguments": None, **(shown or {"digest": grant.digest})}
    return await redeem_as_agent(world.broker, bot, grant.id, attempt=attempt, **shown)


def code(redemption: Redemption) -> str:
    assert redemption.refused is not None
    return redemption.refused.code


def done(attempt: str = ME, status: ActionState = ActionState.SUCCEEDED) -> Report:
    return Report(attempt=attempt, status=status, duration_ms=12, result_digest="f" * 64)


@pytest.mark.requirement("P4")
async def test_the_attempt_that_redeems_holds_the_frozen_arguments(world: World) -> None:
    bot, action, grant = await approved(world)
    redemption = await redeem(world, bot, grant)
    assert redemption.action.state is ActionState.EXECUTING
    assert redemption.action.arguments == action.arguments
    assert redemption.action.attempt == attempt_of(ME)
    again = await redeem(world, bot, grant)
    assert again.action == redemption.action
    assert (await world.kinds(action=action.id)).count("grant.redeemed") == 1


@pytest.mark.requirement("P4", "T2")
async def test_of_many_attempts_at_once_one_gets_it_and_the_others_are_on_record(world: World) -> None:
    bot, action, grant = await approved(world)
    attempts = [f"{n:022d}" for n in range(20)]
    results = await asyncio.gather(*(redeem(world, bot, grant, attempt=a) for a in attempts))
    assert len([r for r in results if r.refused is None]) == 1
    assert {code(r) for r in results if r.refused is not None} == {"grant_spent"}
    assert (await world.kinds(action=action.id)).count("grant.replayed") == 19


@pytest.mark.requirement("P3", "T1")
async def test_other_arguments_than_the_approved_ones_are_refused_and_on_record(world: World) -> None:
    bot, action, grant = await approved(world)
    assert code(await redeem(world, bot, grant, arguments={**ARGUMENTS, "path": "b"})) == "digest_mismatch"
    assert (await world.kinds(action=action.id))[-1] == "grant.refused"
    assert (await redeem(world, bot, grant, arguments=ARGUMENTS)).refused is None


async def test_another_agents_grant_is_not_found(world: World) -> None:
    _, _, grant = await approved(world)
    with pytest.raises(NotFound):
        await redeem(world, await world.agent("other"), grant)


@pytest.mark.requirement("P6", "T21")
async def test_a_trip_after_the_yes_makes_the_grant_worthless_for_good(world: World) -> None:
    bot, action, grant = await approved(world)
    eve, sam = await world.operator("eve"), await world.operator("sam")
    tripped = await trip_breaker.trip(world.broker, eve, Scope(environment="production"))
    assert [cut.id for cut in tripped.cut_off] == [action.id]
    assert code(await redeem(world, bot, grant)) == "breaker_open"
    for person in (eve, sam):
        await trip_breaker.reset(world.broker, person, tripped.breaker.id, reason="")
    assert code(await redeem(world, bot, grant)) == "grant_dead"


async def test_a_policy_that_now_says_no_stops_what_was_approved(world: World) -> None:
    bot, _, grant = await approved(world)
    tools = world.policy.tools
    world.policy = replace(
        world.policy, tools={**tools, "files.write": replace(tools["files.write"], effect=Effect.DENY)}
    )
    assert code(await redeem(world, bot, grant)) == "rule_denied"


async def test_a_tool_redefined_since_the_yes_is_not_what_was_approved(world: World) -> None:
    bot, _, grant = await approved(world)
    tools = world.policy.tools
    world.policy = replace(world.policy, tools={**tools, "files.write": replace(tools["files.write"], definition="2")})
    assert code(await redeem(world, bot, grant)) == "definition_changed"
    world.policy = replace(world.policy, tools={})
    assert code(await redeem(world, bot, grant)) == "definition_changed"


@pytest.mark.requirement("P7")
async def test_what_is_not_picked_up_in_time_lapses(world: World) -> None:
    bot, action, grant = await approved(world)
    world.clock.forward(minutes=30)
    assert code(await redeem(world, bot, grant)) == "grant_expired"
    await tick(world.broker)
    assert code(await redeem(world, bot, grant)) == "grant_expired"
    answered = await watch_action(world.broker, bot, action.id)
    assert (answered.action.state, answered.decision.reasons[0].code) == (ActionState.LAPSED, "not_picked_up")
    assert (await world.kinds(action=action.id)).count("grant.killed") == 1


class TestTheToolsOwnSide:
    async def test_only_the_tools_service_redeems_what_a_tool_redeems(self, world: World) -> None:
        bot, action, grant = await approved(world, "db.run")
        with pytest.raises(NotFound):
            await redeem(world, bot, grant)
        service = await world.service()
        redeemed = await redeem_as_tool(
            world.broker, service, token=f"signed.{grant.id}", attempt=ME, arguments=ARGUMENTS
        )
        assert redeemed.action.state is ActionState.EXECUTING
        with pytest.raises(NotFound):
            await report_outcome_as_tool(world.broker, await world.service("x", ("files.*",)), action.id, done())
        reported = await report_outcome_as_tool(world.broker, service, action.id, done())
        assert reported.action.state is ActionState.SUCCEEDED

    async def test_a_token_that_is_not_ours_or_not_for_this_tool_is_worth_nothing(self, world: World) -> None:
        _, _, grant = await approved(world, "db.run")
        service = await world.service()
        for token in ("forged", "signed.grt_none"):
            with pytest.raises(NotFound):
                await redeem_as_tool(world.broker, service, token=token, attempt=ME, arguments=ARGUMENTS)
        elsewhere = await world.service("mail", ("mail.*",))
        with pytest.raises(Forbidden):
            await redeem_as_tool(world.broker, elsewhere, token=f"signed.{grant.id}", attempt=ME, arguments=ARGUMENTS)

    @pytest.mark.requirement("P3")
    async def test_other_arguments_than_the_token_binds_are_refused(self, world: World) -> None:
        _, _, grant = await approved(world, "db.run")
        refused = await redeem_as_tool(
            world.broker, await world.service(), token=f"signed.{grant.id}", attempt=ME, arguments={"env": "x"}
        )
        assert code(refused) == "digest_mismatch"

    async def test_a_revoked_agent_key_stops_the_tool_too(self, world: World) -> None:
        bot, _, grant = await approved(world, "db.run")
        await manage_principals.revoke_credential(world.broker, bot.key, by="eve")
        refused = await redeem_as_tool(
            world.broker, await world.service(), token=f"signed.{grant.id}", attempt=ME, arguments=ARGUMENTS
        )
        assert code(refused) == "agent_suspended"


class TestOutcomes:
    async def test_an_outcome_is_told_once_and_repeating_it_changes_nothing(self, world: World) -> None:
        bot, action, grant = await approved(world)
        await redeem(world, bot, grant)
        for _ in range(2):
            assert (await report_outcome(world.broker, bot, action.id, done())).refused is None
        conflict = await report_outcome(world.broker, bot, action.id, done(status=ActionState.FAILED))
        assert code(conflict) == "outcome_conflict"
        assert (await world.kinds(action=action.id)).count("action.outcome") == 1

    async def test_only_the_holder_reports(self, world: World) -> None:
        bot, action, grant = await approved(world)
        assert code(await report_outcome(world.broker, bot, action.id, done())) == "attempt_mismatch"
        await redeem(world, bot, grant)
        assert code(await report_outcome(world.broker, bot, action.id, done(OTHER))) == "attempt_mismatch"
        with pytest.raises(NotFound):
            await report_outcome(world.broker, await world.agent("other"), action.id, done())

    @pytest.mark.requirement("T20")
    async def test_no_word_by_the_end_of_the_lease_is_unknown_and_a_late_word_still_counts(self, world: World) -> None:
        bot, action, grant = await approved(world)
        await redeem(world, bot, grant)
        world.clock.forward(minutes=5)
        await tick(world.broker)
        unknown = (await watch_action(world.broker, bot, action.id)).action
        assert unknown.state is ActionState.UNKNOWN
        assert unknown.outcome is not None
        assert not unknown.outcome.reported
        repeated = await report_outcome(world.broker, bot, action.id, done(status=ActionState.UNKNOWN))
        assert repeated.action.state is ActionState.UNKNOWN
        late = await report_outcome(world.broker, bot, action.id, done())
        assert late.action.state is ActionState.SUCCEEDED

    @pytest.mark.requirement("P9")
    async def test_an_error_text_stays_out_of_the_leaf(self, world: World) -> None:
        bot, action, grant = await approved(world)
        await redeem(world, bot, grant)
        failed = replace(done(status=ActionState.FAILED), error="canary-error")
        await report_outcome(world.broker, bot, action.id, failed)
        (record,) = await world.records(kind="action.outcome", action=action.id)
        assert b"canary" not in record.leaf


class TestCancelling:
    async def test_an_agent_withdraws_what_has_not_started(self, world: World) -> None:
        bot = await world.agent()
        answered = await world.ask(bot)
        for _ in range(2):
            cancelled = await cancel_action(world.broker, bot, answered.action.id, "")
            assert cancelled.action.state is ActionState.CANCELLED
        assert "approval.moved" in await world.kinds(action=answered.action.id)

    async def test_a_ready_one_loses_its_grant(self, world: World) -> None:
        bot, action, grant = await approved(world)
        await cancel_action(world.broker, bot, action.id, "changed my mind")
        assert code(await redeem(world, bot, grant)) == "grant_dead"

    async def test_what_runs_cannot_be_called_cancelled(self, world: World) -> None:
        bot, action, grant = await approved(world)
        await redeem(world, bot, grant)
        with pytest.raises(IllegalMove):
            await cancel_action(world.broker, bot, action.id, "")
        with pytest.raises(NotFound):
            await cancel_action(world.broker, await world.agent("other"), action.id, "")
