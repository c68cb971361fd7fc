"""Where two people are needed, a token that one of them issued for the other a moment ago makes them one person."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from assent.core.agents import AgentId, is_suspended
from assent.core.approvals import ApprovalState, Need, Route, is_self_approved
from assent.core.breakers import Scope
from assent.core.credentials import Kind
from assent.core.operators import Assurance, SinglePerson
from assent.flows import authenticate, trip_breaker
from assent.flows.answers import Answered
from assent.flows.authenticate import OperatorCaller, TokenCaller
from assent.flows.issue_credentials import issue_operator_token, revoke
from assent.flows.resolve_approval import (
    Resolved,
    approve_action,
    find_approval,
    list_approvals,
    list_mine,
    show_approval,
)
from assent.flows.resume_agent import resume_agent
from assent.flows.suspend_agent import suspend_agent
from tests.flows.world import TownPolicy, World, a_world

TWO = Route(name="default", needs=(Need(count=2, of="oncall"),), assurance=Assurance.TOKEN)
HINT = "one of you issued the other's token less than 24 hours ago"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    people = tuple(replace(p, groups=("oncall",)) for p in TownPolicy().people)
    made = a_world(policy=TownPolicy(people=people, routes={"default": TWO}))
    yield made
    await made.ledger.close()  # type: ignore[attr-defined]  # the port has no end, the store has


async def asked(world: World) -> Answered:
    return await world.ask(await world.agent(issued_by="assent init"))


async def issued(world: World, by: TokenCaller, to: str) -> TokenCaller:
    made = await issue_operator_token(world.broker, by, to)
    return await authenticate.operator(world.broker, made.token, "api")


async def yes(world: World, who: OperatorCaller, answered: Answered) -> Resolved:
    assert answered.approval is not None
    return await approve_action(world.broker, who, answered.approval.code, digest_prefix=answered.action.digest)


@pytest.mark.requirement("P5", "T22")
@pytest.mark.parametrize("issuer_first", [True, False])
async def test_an_issuer_and_the_token_they_issued_are_one_voice(world: World, issuer_first: bool) -> None:
    admin, waiting = await world.operator("admin", issued_by="assent init"), await asked(world)
    sam = await issued(world, admin, "sam")
    first, second = (admin, sam) if issuer_first else (sam, admin)
    assert (await yes(world, first, waiting)).approval.state is ApprovalState.PARTIAL
    refused = await yes(world, second, waiting)
    assert refused.refused is not None
    assert (refused.refused.code, HINT in refused.refused.message) == ("not_eligible", True)
    assert "approval.vote_refused" in await world.kinds()
    assert waiting.approval is not None
    seen = await show_approval(world.broker, second, waiting.approval.code)
    assert seen.why_not_me == refused.refused
    eve = await world.operator("eve", issued_by="assent init")
    assert (await yes(world, eve, waiting)).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("T22")
async def test_revoking_the_token_does_not_make_them_two(world: World) -> None:
    admin, waiting = await world.operator("admin", issued_by="assent init"), await asked(world)
    sam = await issued(world, admin, "sam")
    await yes(world, sam, waiting)
    await revoke(world.broker, admin, Kind.OPERATOR, "sam", sam.token.id)
    assert (await yes(world, admin, waiting)).approval.state is ApprovalState.PARTIAL


async def test_after_a_day_they_are_two_people(world: World) -> None:
    admin = await world.operator("admin", issued_by="assent init")
    sam = await issued(world, admin, "sam")
    world.clock.forward(hours=24)
    waiting = await asked(world)
    await yes(world, admin, waiting)
    assert (await yes(world, sam, waiting)).approval.state is ApprovalState.APPROVED


async def test_a_token_for_oneself_makes_nobody_one_hand_with_others(world: World) -> None:
    admin = await world.operator("admin", issued_by="assent init")
    again, waiting = await issued(world, admin, "admin"), await asked(world)
    await yes(world, await world.operator("sam", issued_by="assent init"), waiting)
    assert (await yes(world, again, waiting)).approval.state is ApprovalState.APPROVED
    repeated = await yes(world, again, waiting)
    assert repeated.refused is None


async def test_where_nobody_votes_by_token_nobody_asks_who_issued_one(world: World) -> None:
    admin, waiting = await world.operator("admin", issued_by="assent init"), await asked(world)
    sam = replace(await issued(world, admin, "sam"), assurance=Assurance.CONSOLE)
    await yes(world, replace(admin, assurance=Assurance.CONSOLE), waiting)
    # What the bearer of a token may not do alone is still checked: its issuer owns nothing here.
    assert (await yes(world, sam, waiting)).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("P5", "P6", "T22")
async def test_they_do_not_close_a_breaker_together(world: World) -> None:
    admin = await world.operator("admin", issued_by="assent init")
    sam = await issued(world, admin, "sam")
    tripped = await trip_breaker.trip(world.broker, admin, Scope(environment="production"))
    await trip_breaker.reset(world.broker, admin, tripped.breaker.id, reason="x")
    refused = await trip_breaker.reset(world.broker, sam, tripped.breaker.id, reason="y")
    assert refused.refused is not None
    assert (refused.closed, HINT in refused.refused.message) == (False, True)
    eve = await world.operator("eve", issued_by="assent init")
    assert (await trip_breaker.reset(world.broker, eve, tripped.breaker.id, reason="z")).closed


# --- a token that was revoked since -----------------------------------------------------------------------------------


@pytest.mark.requirement("P5", "T22")
async def test_a_yes_by_a_token_that_was_revoked_since_fills_no_seat(world: World) -> None:
    waiting = await asked(world)
    sam, admin = [await world.operator(name, issued_by="assent init") for name in ("sam", "admin")]
    await yes(world, sam, waiting)
    await revoke(world.broker, admin, Kind.OPERATOR, "sam", sam.token.id)
    assert waiting.approval is not None
    assert (await show_approval(world.broker, admin, waiting.approval.code)).approval.votes == ()
    voted = (await yes(world, admin, waiting)).approval
    assert (voted.state, [vote.operator for vote in voted.votes]) == (ApprovalState.PARTIAL, ["admin"])
    # Whose token it was says it again with another one.
    again = await world.token(Kind.OPERATOR, "sam", issued_by="assent init", valid_for=timedelta(days=1))
    assert (
        await yes(world, await authenticate.operator(world.broker, again, "api"), waiting)
    ).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("T22")
async def test_a_list_asks_whoever_said_yes_with_such_a_token_once_more(world: World) -> None:
    waiting = await asked(world)
    sam, admin = [await world.operator(name, issued_by="assent init") for name in ("sam", "admin")]
    await yes(world, sam, waiting)
    await revoke(world.broker, admin, Kind.OPERATOR, "sam", sam.token.id)
    again = await authenticate.operator(
        world.broker, await world.token(Kind.OPERATOR, "sam", issued_by="assent init"), "api"
    )
    assert waiting.approval is not None
    mine = await list_mine(world.broker, again, (ApprovalState.PARTIAL,))
    found = await find_approval(world.broker, again, waiting.approval.code)
    listed = await list_approvals(world.broker, again, (ApprovalState.PARTIAL,))
    assert [one.approval.votes for found in (mine, found, listed) for one in found.items] == [(), (), ()]


@pytest.mark.requirement("P5")
async def test_what_is_decided_names_who_decided_it_whatever_became_of_their_tokens(world: World) -> None:
    alone = SinglePerson(reason="nobody else is here", until=world.clock() + timedelta(days=1))
    people = [replace(one, single_person=alone) if one.id == "owner" else one for one in world.policy.people]
    world.policy = replace(world.policy, people=tuple(people))
    waiting = await asked(world)
    owner, admin = [await world.operator(name, issued_by="assent init") for name in ("owner", "admin")]
    await yes(world, admin, waiting)
    assert (await yes(world, owner, waiting)).approval.state is ApprovalState.APPROVED
    await revoke(world.broker, admin, Kind.OPERATOR, "owner", owner.token.id)
    assert waiting.approval is not None
    shown = (await show_approval(world.broker, admin, waiting.approval.code)).approval
    assert ([vote.operator for vote in shown.votes], is_self_approved(shown)) == (["admin", "owner"], True)


async def test_a_token_that_ended_by_itself_leaves_the_yes_as_it_was(world: World) -> None:
    admin, waiting = await world.operator("admin", issued_by="assent init"), await asked(world)
    secret = await world.token(Kind.OPERATOR, "sam", issued_by="assent init", valid_for=timedelta(minutes=5))
    await yes(world, await authenticate.operator(world.broker, secret, "api"), waiting)
    world.clock.forward(minutes=6)
    assert (await yes(world, admin, waiting)).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("P6", "T22")
async def test_a_first_word_by_a_token_that_was_revoked_since_closes_no_breaker(world: World) -> None:
    sam, admin = [await world.operator(name, issued_by="assent init") for name in ("sam", "admin")]
    tripped = await trip_breaker.trip(world.broker, admin, Scope(environment="production"))
    await trip_breaker.reset(world.broker, sam, tripped.breaker.id, reason="x")
    await revoke(world.broker, admin, Kind.OPERATOR, "sam", sam.token.id)
    assert not (await trip_breaker.reset(world.broker, admin, tripped.breaker.id, reason="y")).closed
    eve = await world.operator("eve", issued_by="assent init")
    assert (await trip_breaker.reset(world.broker, eve, tripped.breaker.id, reason="z")).closed


@pytest.mark.requirement("P6", "T22")
async def test_nor_does_it_let_a_suspended_agent_go_on(world: World) -> None:
    sam, admin = [await world.operator(name, issued_by="assent init") for name in ("sam", "admin")]
    await suspend_agent(world.broker, admin, AgentId("bot"), reason="x")
    await resume_agent(world.broker, sam, AgentId("bot"), reason="x")
    await revoke(world.broker, admin, Kind.OPERATOR, "sam", sam.token.id)
    answer = await resume_agent(world.broker, admin, AgentId("bot"), reason="y")
    assert answer.status is not None
    assert is_suspended(answer.status)


# --- one factor behind two people -------------------------------------------------------------------------------------


async def surely(world: World, name: str) -> OperatorCaller:
    caller = await world.operator(name, issued_by="assent init")
    return replace(caller, assurance=Assurance.CONSOLE, surface="console")


@pytest.mark.requirement("P5")
async def test_where_somebody_can_answer_at_the_console_one_of_two_does(world: World) -> None:
    world.broker = replace(world.broker, at_console=frozenset({"sam"}))
    waiting = await asked(world)
    eve, admin = [await world.operator(name, issued_by="assent init") for name in ("eve", "admin")]
    assert (await yes(world, eve, waiting)).approval.state is ApprovalState.PARTIAL
    refused = (await yes(world, admin, waiting)).refused
    assert refused is not None
    assert refused.code == "step_up_required"
    assert "one of them answers at the console: `sam` can" in refused.message
    assert (await yes(world, await surely(world, "sam"), waiting)).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("P5")
async def test_the_first_of_the_two_may_be_the_one_at_the_console(world: World) -> None:
    world.broker = replace(world.broker, at_console=frozenset({"sam"}))
    waiting = await asked(world)
    await yes(world, await surely(world, "sam"), waiting)
    eve = await world.operator("eve", issued_by="assent init")
    assert (await yes(world, eve, waiting)).approval.state is ApprovalState.APPROVED


async def test_where_nobody_who_can_still_answer_can_be_there_two_others_do(world: World) -> None:
    world.broker = replace(world.broker, at_console=frozenset({"nobody"}))
    waiting = await asked(world)
    for name, state in (("eve", ApprovalState.PARTIAL), ("sam", ApprovalState.APPROVED)):
        told = await yes(world, await world.operator(name, issued_by="assent init"), waiting)
        assert told.approval.state is state
