"""An agent asks: every answer is recorded, found again, and never turned into a second run."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from assent.core.actions import ActionState
from assent.core.agents import AgentId, AgentState, AgentStatus
from assent.core.breakers import Scope
from assent.core.canonical import load
from assent.core.credentials import Kind
from assent.core.decisions import Answer
from assent.core.errors import IdempotencyConflict, Unauthenticated
from assent.core.operators import OperatorId
from assent.flows import authenticate, manage_principals, sign_in, trip_breaker
from assent.flows.run_action import Report, redeem_as_agent, report_outcome
from assent.flows.tick import tick
from assent.ports import Tx
from tests.flows.world import World

READ = {"env": "production", "path": "a"}
STAGING = {"env": "staging", "path": "a"}
ME, OTHER = "a" * 22, "b" * 22


async def test_a_routine_read_runs_in_one_round_trip(world: World) -> None:
    bot = await world.agent()
    answered = await world.ask(bot, "files.read")
    assert answered.decision.answer is Answer.ALLOW
    assert answered.action.state is ActionState.EXECUTING
    assert (answered.grant, answered.token, answered.approval) == (None, None, None)
    assert answered.action.lease_expires_at == world.clock.now + world.broker.lease


async def test_without_an_attempt_it_gets_a_grant_to_redeem(world: World) -> None:
    bot = await world.agent()
    answered = await world.ask(bot, "files.read", attempt=None)
    assert answered.action.state is ActionState.READY
    assert answered.grant is not None
    redeemed = await redeem_as_agent(
        world.broker, bot, answered.grant.id, attempt=ME, digest=answered.action.digest, arguments=None
    )
    assert redeemed.refused is None
    assert redeemed.action.state is ActionState.EXECUTING


@pytest.mark.requirement("P2")
async def test_every_answer_names_its_record_and_the_record_says_the_same(world: World) -> None:
    bot = await world.agent()
    for tool, answer in (("files.read", "allow"), ("files.write", "pending"), ("files.delete", "deny"), ("no", "deny")):
        answered = await world.ask(bot, tool)
        (record,) = [r for r in await world.records(action=answered.action.id) if r.id == answered.action.record_id]
        leaf = load(record.leaf)
        assert isinstance(leaf, dict)
        assert (leaf["kind"], leaf["decision"], answered.decision.answer.value) == ("action.decided", answer, answer)
        assert leaf.get("reasons", []) == [reason.code for reason in answered.decision.reasons]


@pytest.mark.requirement("P1")
@pytest.mark.parametrize(
    ("tool", "arguments", "code"),
    [
        ("no.such", {"env": "production"}, "unknown_tool"),
        ("files.read", {"path": "a"}, "bad_arguments"),
        ("files.delete", READ, "rule_denied"),
    ],
)
async def test_what_is_not_clearly_allowed_is_denied(world: World, tool: str, arguments: Any, code: str) -> None:
    answered = await world.ask(await world.agent(), tool, arguments=arguments)
    assert answered.decision.answer is Answer.DENY
    assert answered.action.state is ActionState.DENIED
    assert [reason.code for reason in answered.decision.reasons] == [code]


@pytest.mark.requirement("P1")
async def test_an_agent_that_policy_does_not_name_gets_nothing(world: World) -> None:
    answered = await world.ask(await world.agent("stranger"), "files.read")
    assert answered.decision.reasons[0].code == "unknown_agent"


async def test_a_question_to_humans_names_code_people_and_time(world: World) -> None:
    answered = await world.ask(await world.agent())
    approval = answered.approval
    assert approval is not None
    assert answered.decision.answer is Answer.PENDING
    assert set(answered.who) == {"eve", "sam"}
    assert approval.expires_at > world.clock.now
    assert (await world.kinds(action=answered.action.id)) == ["action.decided", "approval.asked"]


@pytest.mark.requirement("P5")
async def test_nobody_left_to_ask_is_a_no_at_once(world: World) -> None:
    world.policy = replace(world.policy, people=tuple(p for p in world.policy.people if p.id == "owner"))
    answered = await world.ask(await world.agent())
    assert answered.decision.reasons[0].code == "no_eligible_approver"


@pytest.mark.requirement("P5", "T4")
async def test_whoever_issued_the_key_is_not_asked(world: World) -> None:
    answered = await world.ask(await world.agent(issued_by="eve"))
    assert answered.who == ("sam",)


@pytest.mark.requirement("P5", "T4")
async def test_whoever_drives_the_run_is_not_asked(world: World) -> None:
    answered = await world.ask(await world.agent(), on_behalf_of=("operator:sam",))
    assert answered.who == ("eve",)


@pytest.mark.requirement("T14")
async def test_an_agent_can_only_have_so_many_questions_open(world: World) -> None:
    bot = await world.agent()
    answers = [(await world.ask(bot)).decision for _ in range(7)]
    assert [a.answer for a in answers] == [Answer.PENDING] * 5 + [Answer.DENY] * 2
    assert answers[-1].reasons[0].code == "too_many_pending"


@pytest.mark.requirement("T21")
class TestTransportRetries:
    async def test_the_same_key_is_the_same_action(self, world: World) -> None:
        bot = await world.agent()
        first = await world.ask(bot, "files.read", idempotency_key="k", run_id=None)
        again = await world.ask(bot, "files.read", idempotency_key="k", run_id=None)
        assert again.action == first.action
        assert again.decision.answer is Answer.ALLOW

    async def test_another_attempt_under_the_same_key_may_not_run_it(self, world: World) -> None:
        bot = await world.agent()
        await world.ask(bot, "files.read", idempotency_key="k", run_id=None)
        again = await world.ask(bot, "files.read", idempotency_key="k", run_id=None, attempt=OTHER)
        assert again.decision.answer is Answer.DENY
        assert again.decision.reasons[0].code == "already_executed"
        assert again.grant is None

    async def test_the_same_key_with_other_content_is_refused(self, world: World) -> None:
        bot = await world.agent()
        await world.ask(bot, "files.read", idempotency_key="k")
        with pytest.raises(IdempotencyConflict):
            await world.ask(bot, "files.read", idempotency_key="k", arguments=STAGING)
        with pytest.raises(IdempotencyConflict):
            await world.ask(bot, "files.read", idempotency_key="k", on_behalf_of=("operator:eve",))

    async def test_another_agents_key_is_another_action(self, world: World) -> None:
        first = await world.ask(await world.agent(), "files.read", idempotency_key="k")
        second = await world.ask(await world.agent("other"), "files.read", idempotency_key="k")
        assert first.action.id != second.action.id

    async def test_a_trip_between_answer_and_replay_turns_it_into_a_no(self, world: World) -> None:
        bot = await world.agent()
        await world.ask(bot, "files.read", idempotency_key="k")
        await trip_breaker.trip(world.broker, await world.operator("eve"), Scope(agent="bot"))
        again = await world.ask(bot, "files.read", idempotency_key="k")
        assert again.decision.reasons[0].code == "breaker_open"
        assert (await world.kinds(action=again.action.id))[-1] == "action.replayed"

    async def test_a_suspension_between_answer_and_replay_turns_it_into_a_no(self, world: World) -> None:
        bot = await world.agent()
        await world.ask(bot, "files.read", idempotency_key="k")
        await suspend(world)
        again = await world.ask(bot, "files.read", idempotency_key="k")
        assert again.decision.reasons[0].code == "agent_suspended"

    async def test_a_denied_ask_stays_denied(self, world: World) -> None:
        bot = await world.agent()
        first = await world.ask(bot, "files.delete", idempotency_key="k")
        again = await world.ask(bot, "files.delete", idempotency_key="k")
        assert again.action == first.action
        assert again.decision.reasons[0].code == "rule_denied"


@pytest.mark.requirement("T9")
async def test_acting_for_a_suspended_agent_is_acting_for_nobody(world: World) -> None:
    await suspend(world, "other")
    bot = await world.agent()
    assert (await world.ask(bot, "files.read")).decision.answer is Answer.ALLOW
    denied = await world.ask(bot, "files.read", on_behalf_of=("operator:eve", "agent:other"))
    assert denied.decision.reasons[0].code == "agent_suspended"


async def suspend(world: World, name: str = "bot") -> None:
    async def work(tx: Tx) -> None:
        await tx.add(
            AgentStatus(
                id=AgentId(name),
                state=AgentState.SUSPENDED,
                revision=1,
                changed_by=OperatorId("eve"),
                changed_at=tx.now,
            )
        )

    await world.ledger.transact(work)


@pytest.mark.requirement("T21", "P4")
class TestFindingAgainAfterARestart:
    async def test_a_restarted_run_finds_what_still_waits(self, world: World) -> None:
        bot = await world.agent()
        first = await world.ask(bot, run_id="nightly")
        again = await world.ask(bot, run_id="nightly", attempt=OTHER)
        assert again.action.id == first.action.id
        assert again.decision.answer is Answer.PENDING

    async def test_reading_three_times_in_a_loop_reads_three_times(self, world: World) -> None:
        bot = await world.agent()
        ids = {(await world.ask(bot, "files.read", run_id="loop")).action.id for _ in range(3)}
        assert len(ids) == 3

    async def test_a_write_that_may_have_run_is_not_started_again(self, world: World) -> None:
        bot = await world.agent()
        first = await world.ask(bot, arguments=STAGING, run_id="nightly")
        assert first.action.state is ActionState.EXECUTING
        again = await world.ask(bot, arguments=STAGING, run_id="nightly", attempt=OTHER)
        assert again.action.id == first.action.id
        assert again.decision.reasons[0].code == "already_executed"
        world.clock.forward(minutes=6)
        await tick(world.broker)
        unknown = await world.ask(bot, arguments=STAGING, run_id="nightly", attempt=OTHER)
        assert unknown.action.state is ActionState.UNKNOWN
        assert unknown.decision.answer is Answer.DENY

    async def test_a_write_whose_end_is_known_may_be_asked_again(self, world: World) -> None:
        bot = await world.agent()
        first = await world.ask(bot, arguments=STAGING, run_id="nightly")
        done = Report(attempt=ME, status=ActionState.SUCCEEDED)
        await report_outcome(world.broker, bot, first.action.id, done)
        again = await world.ask(bot, arguments=STAGING, run_id="nightly")
        assert again.action.id != first.action.id

    async def test_two_threads_with_the_same_arguments_are_two_actions(self, world: World) -> None:
        bot = await world.agent()
        first = await world.ask(bot, run_id="nightly")
        beside = await world.ask(bot, run_id="nightly", in_flight=frozenset({first.action.id}), attempt=OTHER)
        assert beside.action.id != first.action.id

    async def test_a_call_id_is_one_action_for_ever(self, world: World) -> None:
        bot = await world.agent()
        first = await world.ask(bot, arguments=STAGING, run_id="r", call_id="c1")
        await report_outcome(world.broker, bot, first.action.id, Report(attempt=ME, status=ActionState.SUCCEEDED))
        again = await world.ask(bot, arguments=STAGING, run_id="r", call_id="c1", attempt=OTHER)
        assert again.action.id == first.action.id
        assert again.decision.reasons[0].code == "already_executed"
        with pytest.raises(IdempotencyConflict):
            await world.ask(bot, arguments=READ, run_id="r", call_id="c1")

    async def test_what_has_a_call_id_is_not_found_by_content(self, world: World) -> None:
        bot = await world.agent()
        first = await world.ask(bot, run_id="r", call_id="c1")
        beside = await world.ask(bot, run_id="r")
        assert beside.action.id != first.action.id

    async def test_without_a_run_nothing_is_found_again(self, world: World) -> None:
        bot = await world.agent()
        first = await world.ask(bot, run_id=None)
        again = await world.ask(bot, run_id=None)
        assert again.action.id != first.action.id


@pytest.mark.requirement("P4")
async def test_the_same_key_at_once_is_still_one_action(world: World) -> None:
    bot = await world.agent()
    asks = [world.ask(bot, "files.read", idempotency_key="k", run_id=None, attempt=n * 22) for n in "abcdefgh"]
    answers = await asyncio.gather(*asks)
    assert len({answered.action.id for answered in answers}) == 1
    assert [a.decision.answer for a in answers].count(Answer.ALLOW) == 1


async def enter(world: World, door: Kind, token: str) -> None:
    if door is Kind.AGENT:
        await authenticate.agent(world.broker, token)
    elif door is Kind.SERVICE:
        await authenticate.service(world.broker, token)
    elif door is Kind.OPERATOR:
        await authenticate.operator(world.broker, token, "api")
    elif door is Kind.LINK:
        await sign_in.who_would_sign_in(world.broker, token)
    else:
        await authenticate.session(world.broker, token)


@pytest.mark.requirement("T9")
class TestCredentials:
    async def test_a_revoked_key_asks_nothing_more_even_where_it_was_recognised(self, world: World) -> None:
        bot = await world.agent()
        await world.ask(bot, "files.read")
        await manage_principals.revoke_credential(world.broker, bot.key, by="eve")
        with pytest.raises(Unauthenticated):
            await world.ask(bot, "files.read")
        assert (await world.kinds())[-1] == "key.revoked"

    async def test_revoking_twice_is_recorded_once_and_a_stranger_is_not_found(self, world: World) -> None:
        bot = await world.agent()
        for _ in range(2):
            await manage_principals.revoke_credential(world.broker, bot.key, by="eve")
        assert (await world.kinds()).count("key.revoked") == 1

    @pytest.mark.parametrize("kind", list(Kind))
    async def test_a_credential_opens_only_the_door_of_its_kind(self, world: World, kind: Kind) -> None:
        token = await world.token(kind, "eve")
        for door in Kind:
            if door is kind:
                await enter(world, door, token)
            else:
                with pytest.raises(Unauthenticated):
                    await enter(world, door, token)

    async def test_a_wrong_secret_for_a_known_id_is_refused(self, world: World) -> None:
        token = await world.token(Kind.AGENT, "bot")
        assert (await authenticate.agent(world.broker, token)).agent == "bot"
        for wrong in (token[:-1] + "x", token + "x", None, "", "asn_nobody_secret"):
            with pytest.raises(Unauthenticated):
                await authenticate.agent(world.broker, wrong)

    async def test_an_operator_whom_policy_does_not_name_is_refused(self, world: World) -> None:
        token = await world.token(Kind.OPERATOR, "stranger")
        with pytest.raises(Unauthenticated):
            await authenticate.operator(world.broker, token, "api")

    async def test_an_operators_token_ends_after_ninety_days(self, world: World) -> None:
        token = await world.token(Kind.OPERATOR, "eve")
        assert (await authenticate.operator(world.broker, token, "api")).operator.id == "eve"
        world.clock.forward(days=90)
        eve = await authenticate.operator(world.broker, token, "api")
        with pytest.raises(Unauthenticated):
            await trip_breaker.trip(world.broker, eve, Scope())
