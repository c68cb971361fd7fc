"""A copy of the ledger that takes its place: what was open in it may have gone on since, and none of it ever runs."""

import pytest

from assent.core.actions import Action, ActionState
from assent.core.approvals import Approval, ApprovalState
from assent.core.breakers import Scope
from assent.core.canonical import load
from assent.core.decisions import Answer
from assent.core.errors import NotFound
from assent.core.grants import Grant, GrantId, GrantState
from assent.flows import resolve_approval, run_action, trip_breaker
from assent.flows.answers import Answered
from assent.flows.authenticate import AgentCaller
from assent.flows.entries import Restored
from assent.flows.restore_ledger import BY_RESTORE, PutBack, restore_ledger
from assent.flows.run_action import Report
from assent.ports import View
from tests.flows.world import World, a_world

pytestmark = pytest.mark.requirement("P4", "T20", "T21")

BY_HAND = {"os_user": "dana", "host": "here"}
COPY = Restored(records=7, root=b"r" * 32, by_hand=BY_HAND)
FORGOT = Restored(
    records=7,
    root=b"r" * 32,
    by_hand=BY_HAND,
    stop=True,
    forgotten=3,
    known="a note",
    dated="2026-11-23",
    reason="fire",
)
ATTEMPT = "a" * 22


@pytest.fixture
def world() -> World:
    return a_world()


async def put_back(world: World, restored: Restored = COPY) -> PutBack:
    return await restore_ledger(world.ledger, world.broker.new_id, restored)


async def state_of(world: World, answered: Answered) -> Action:
    async def work(view: View) -> Action | None:
        return await view.get(Action, answered.action.id)

    found = await world.ledger.read(work)
    assert found is not None
    return found


async def ready(world: World, bot: AgentCaller) -> Answered:
    answered = await world.ask(bot, attempt=None)
    assert answered.approval is not None
    await resolve_approval.approve_action(
        world.broker, await world.operator("eve"), answered.approval.id, digest_prefix=answered.action.digest[:8]
    )
    return answered


async def executing(world: World, bot: AgentCaller) -> Answered:
    answered = await ready(world, bot)
    grant = await grant_of(world, answered)
    await run_action.redeem_as_agent(
        world.broker, bot, grant.id, attempt=ATTEMPT, digest=answered.action.digest, arguments=None
    )
    return answered


async def grant_of(world: World, answered: Answered) -> Grant:
    async def work(view: View) -> Grant | None:
        return await view.grant_of(answered.action.id)

    found = await world.ledger.read(work)
    assert found is not None
    return found


async def test_what_was_open_when_the_copy_was_made_is_unknown_afterwards(world: World) -> None:
    bot = await world.agent()
    asked = [await world.ask(bot, run_id="p"), await ready(world, bot), await executing(world, bot)]
    done = await put_back(world)
    assert (done.unknown, done.breaker) == (3, None)
    for answered in asked:
        action = await state_of(world, answered)
        assert (action.state, action.outcome is not None and action.outcome.reported) == (ActionState.UNKNOWN, False)
    assert (await put_back(world)).unknown == 0


async def test_what_had_ended_stays_as_it_was(world: World) -> None:
    bot = await world.agent()
    denied = await world.ask(bot, "files.delete")
    ran = await executing(world, bot)
    await run_action.report_outcome(
        world.broker, bot, ran.action.id, Report(attempt=ATTEMPT, status=ActionState.SUCCEEDED)
    )
    assert (await put_back(world)).unknown == 0
    states = [(await state_of(world, answered)).state for answered in (denied, ran)]
    assert states == [ActionState.DENIED, ActionState.SUCCEEDED]


async def test_a_grant_of_the_copy_is_never_redeemed_whoever_holds_it(world: World) -> None:
    bot = await world.agent()
    answered = await ready(world, bot)
    grant = await grant_of(world, answered)
    await put_back(world)
    redeemed = await run_action.redeem_as_agent(
        world.broker, bot, grant.id, attempt=ATTEMPT, digest=answered.action.digest, arguments=None
    )
    assert redeemed.refused is not None
    assert (redeemed.refused.code, (await grant_of(world, answered)).state) == ("grant_dead", GrantState.DEAD)


async def test_a_token_of_the_copy_is_worth_nothing_on_the_tools_side(world: World) -> None:
    bot, service = await world.agent(), await world.service()
    answered = await world.ask(bot, "db.run", arguments={"env": "staging", "path": "a"}, attempt=None)
    token = answered.token
    assert token is not None
    await put_back(world)
    redeemed = await run_action.redeem_as_tool(
        world.broker, service, token=token, attempt=ATTEMPT, arguments={"env": "staging", "path": "a"}
    )
    assert redeemed.refused is not None


async def test_a_grant_that_was_issued_after_the_copy_was_made_is_none(world: World) -> None:
    bot = await world.agent()
    await put_back(world)
    with pytest.raises(NotFound):
        await run_action.redeem_as_agent(
            world.broker,
            bot,
            GrantId("grt_of_later"),
            attempt=ATTEMPT,
            digest="0" * 64,
            arguments=None,
        )


async def test_nobody_answers_a_question_of_the_copy(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    answered = await world.ask(bot, run_id="p")
    assert answered.approval is not None
    await put_back(world)
    vote = await resolve_approval.approve_action(
        world.broker, eve, answered.approval.id, digest_prefix=answered.action.digest[:8]
    )
    assert vote.refused is not None

    async def work(view: View) -> Approval | None:
        return await view.approval_of(answered.action.id)

    approval = await world.ledger.read(work)
    assert approval is not None
    assert approval.state is ApprovalState.CANCELLED
    assert (await state_of(world, answered)).state is ActionState.UNKNOWN


async def test_the_same_ask_in_the_same_run_hears_that_it_may_have_run(world: World) -> None:
    bot = await world.agent()
    first = await world.ask(bot, run_id="p")
    await put_back(world)
    again = await world.ask(bot, run_id="p", attempt="z" * 22)
    assert again.action.id == first.action.id
    assert (again.decision.answer, again.decision.reasons[0].code) == (Answer.DENY, "already_executed")


async def test_who_holds_a_run_of_the_copy_may_still_report_how_it_ended(world: World) -> None:
    bot = await world.agent()
    ran = await executing(world, bot)
    await put_back(world)
    told = await run_action.report_outcome(
        world.broker, bot, ran.action.id, Report(attempt=ATTEMPT, status=ActionState.SUCCEEDED)
    )
    assert (told.refused, told.action.state) == (None, ActionState.SUCCEEDED)


async def test_nobody_reports_what_nobody_held(world: World) -> None:
    bot = await world.agent()
    waiting = await world.ask(bot, run_id="p", attempt=None)
    await put_back(world)
    told = await run_action.report_outcome(
        world.broker, bot, waiting.action.id, Report(attempt=ATTEMPT, status=ActionState.SUCCEEDED)
    )
    assert told.refused is not None
    assert (await state_of(world, waiting)).state is ActionState.UNKNOWN


@pytest.mark.requirement("P6")
async def test_where_records_are_lost_everything_is_stopped_until_two_people_say_otherwise(world: World) -> None:
    bot, eve = await world.agent(), await world.operator("eve")
    done = await put_back(world, FORGOT)
    assert done.breaker is not None
    assert (done.breaker.scope, done.breaker.changed_by) == (Scope(), BY_RESTORE)
    for tool in ("files.read", "files.write"):
        answered = await world.ask(bot, tool, arguments={"env": "staging"})
        assert answered.decision.reasons[0].code == "breaker_open"
    first = await trip_breaker.reset(world.broker, eve, done.breaker.id, reason="looked")
    assert not first.closed
    second = await trip_breaker.reset(world.broker, await world.operator("sam"), done.breaker.id, reason="looked too")
    assert second.closed
    assert (await world.ask(bot, "files.read")).decision.answer is Answer.ALLOW


async def test_a_breaker_over_everything_that_was_closed_is_opened_again(world: World) -> None:
    first = await put_back(world, FORGOT)
    second = await put_back(world, FORGOT)
    assert first.breaker is not None
    assert second.breaker is not None
    assert (second.breaker.id, second.breaker.revision) == (first.breaker.id, first.breaker.revision + 1)


@pytest.mark.requirement("P8", "P9")
async def test_it_is_on_record_with_what_was_lost_and_who_gave_it_up_and_the_words_are_payload(world: World) -> None:
    await put_back(world, FORGOT)
    (record,) = await world.records(kind="ledger.restored")
    leaf = load(record.leaf)
    assert isinstance(leaf, dict)
    assert leaf["detail"] == {
        "records": 7,
        "root": "72" * 32,
        "stopped": True,
        "by_hand": BY_HAND,
        "forgotten": 3,
        "dated": "2026-11-23",
        "known": "a note",
    }
    assert b"fire" not in record.leaf
    assert list(leaf["commit"]) == ["reason"]  # type: ignore[arg-type]  # JSON
