"""A human answers: what counts is recorded, what does not count too, and the agent gets exactly one grant."""

from dataclasses import replace
from typing import Any

import pytest

from assent.core.actions import Action, ActionState
from assent.core.approvals import ApprovalState, DenialCategory, Need, Route
from assent.core.canonical import load
from assent.core.errors import Forbidden, NotFound, Unauthenticated
from assent.core.operators import Assurance
from assent.core.reasons import Reason
from assent.flows import manage_principals
from assent.flows.authenticate import AgentCaller, OperatorCaller
from assent.flows.resolve_approval import (
    Resolved,
    approve_action,
    deny_action,
    find_approval,
    list_approvals,
    list_mine,
    revoke_approval,
    show_approval,
)
from assent.flows.run_action import redeem_as_agent
from assent.flows.tick import tick
from assent.flows.watch_actions import watch_action
from tests.flows.world import Tool, World

ME = "a" * 22


async def asked(world: World, **changes: Any) -> tuple[AgentCaller, Action, str]:
    bot = await world.agent()
    answered = await world.ask(bot, **changes)
    assert answered.approval is not None
    return bot, answered.action, answered.approval.code


async def yes(world: World, caller: OperatorCaller, code: str, action: Action) -> Resolved:
    return await approve_action(world.broker, caller, code, digest_prefix=action.digest[:8])


def needs(world: World, *needed: Need, assurance: Assurance = Assurance.TOKEN) -> None:
    route = Route(name="default", needs=needed, assurance=assurance)
    world.policy = replace(world.policy, routes={"default": route})


@pytest.mark.requirement("P3", "P4", "P5")
async def test_one_yes_makes_it_ready_with_one_signed_grant_for_that_digest(world: World) -> None:
    bot, action, code = await asked(world)
    resolved = await yes(world, await world.operator("eve"), code, action)
    assert resolved.approval.state is ApprovalState.APPROVED
    answered = await watch_action(world.broker, bot, action.id)
    assert answered.action.state is ActionState.READY
    assert answered.grant is not None
    assert answered.grant.digest == action.digest
    assert answered.token == f"signed.{answered.grant.id}"
    assert (await world.kinds(action=action.id))[2:] == ["approval.voted", "approval.moved", "grant.issued"]


async def test_the_record_of_a_yes_says_who_and_how_sure(world: World) -> None:
    _, action, code = await asked(world)
    await yes(world, await world.operator("eve"), code, action)
    (voted,) = [leaf for r in await world.records(kind="approval.voted") if isinstance(leaf := load(r.leaf), dict)]
    assert voted["operator"] == "eve"
    assert voted["detail"] == {"assurance": "token", "surface": "api", "state": "approved", "self_approved": False}


@pytest.mark.requirement("P5")
async def test_two_different_people_are_needed_where_two_are_asked(world: World) -> None:
    needs(world, Need(count=2, of="oncall"))
    _, action, code = await asked(world)
    eve = await world.operator("eve")
    assert (await yes(world, eve, code, action)).approval.state is ApprovalState.PARTIAL
    assert (await yes(world, eve, code, action)).approval.state is ApprovalState.PARTIAL
    second_token = await world.operator("eve")
    assert (await yes(world, second_token, code, action)).approval.state is ApprovalState.PARTIAL
    assert (await yes(world, await world.operator("sam"), code, action)).approval.state is ApprovalState.APPROVED


@pytest.mark.requirement("P5", "T4")
async def test_a_yes_that_does_not_count_is_recorded_with_why_and_who_could(world: World) -> None:
    _, action, code = await asked(world)
    refused = await yes(world, await world.operator("owner"), code, action)
    assert refused.refused is not None
    assert refused.refused.code == "not_eligible"
    assert set(refused.who) == {"eve", "sam"}
    assert (await world.kinds(action=action.id))[-1] == "approval.vote_refused"


@pytest.mark.requirement("T22")
async def test_a_token_is_not_enough_where_the_route_wants_more(world: World) -> None:
    needs(world, Need(count=1, of="oncall"), assurance=Assurance.SLACK)
    _, action, code = await asked(world)
    refused = await yes(world, await world.operator("eve"), code, action)
    assert refused.refused is not None
    assert refused.refused.code == "step_up_required"


@pytest.mark.requirement("T22")
async def test_a_token_issued_by_the_owner_cannot_vote_on_what_the_owner_owns(world: World) -> None:
    _, action, code = await asked(world)
    refused = await yes(world, await world.operator("eve", issued_by="owner"), code, action)
    assert refused.refused is not None
    assert refused.refused.code == "not_eligible"


@pytest.mark.requirement("P3")
async def test_a_yes_to_other_bytes_does_not_count(world: World) -> None:
    _, _, code = await asked(world)
    refused = await approve_action(world.broker, await world.operator("eve"), code, digest_prefix="0" * 8)
    assert refused.refused is not None
    assert refused.refused.code == "digest_changed"


@pytest.mark.requirement("P3", "P9")
async def test_nobody_says_yes_to_a_value_that_nobody_could_see(world: World) -> None:
    world.policy = replace(world.policy, tools={**world.policy.tools, "files.write": Tool(sensitive=("path",))})
    _, action, code = await asked(world)
    refused = await yes(world, await world.operator("eve"), code, action)
    assert refused.refused is not None
    assert refused.refused.code == "step_up_required"
    assert refused.approval.state is ApprovalState.PENDING
    denied = await deny_action(
        world.broker, await world.operator("eve"), code, category=DenialCategory.TOO_RISKY, comment="unseen"
    )
    assert denied.refused is None


async def test_a_no_ends_it_and_nothing_was_run(world: World) -> None:
    bot, action, code = await asked(world)
    denied = await deny_action(
        world.broker, await world.operator("owner"), code, category=DenialCategory.TOO_RISKY, comment="not today"
    )
    assert denied.approval.state is ApprovalState.DENIED
    answered = await watch_action(world.broker, bot, action.id)
    assert answered.action.state is ActionState.DENIED
    assert answered.decision.reasons[0].code == "approval_denied"
    again = await deny_action(
        world.broker, await world.operator("owner"), code, category=DenialCategory.OTHER, comment=""
    )
    assert again.refused is None
    late = await yes(world, await world.operator("eve"), code, action)
    assert late.refused is not None
    assert late.refused.code == "already_decided"


@pytest.mark.requirement("P9")
async def test_a_comment_is_committed_to_and_not_published(world: World) -> None:
    _, action, code = await asked(world)
    await deny_action(
        world.broker, await world.operator("eve"), code, category=DenialCategory.OTHER, comment="canary-comment"
    )
    (moved,) = await world.records(kind="approval.moved", action=action.id)
    assert b"canary-comment" not in moved.leaf
    assert b'"comment"' in moved.leaf


async def test_a_no_that_does_not_count_is_recorded(world: World) -> None:
    world.policy = replace(
        world.policy, people=tuple(replace(p, groups=()) if p.id == "sam" else p for p in world.policy.people)
    )
    _, action, code = await asked(world)
    refused = await deny_action(
        world.broker, await world.operator("sam"), code, category=DenialCategory.OTHER, comment=""
    )
    assert refused.refused is not None
    assert (await world.kinds(action=action.id))[-1] == "approval.vote_refused"


@pytest.mark.requirement("P7")
async def test_silence_expires_and_is_never_told_as_a_denial(world: World) -> None:
    bot, action, code = await asked(world)
    world.clock.forward(minutes=15)
    late = await yes(world, await world.operator("eve"), code, action)
    assert late.refused is not None
    assert late.refused.code == "approval_expired"
    await tick(world.broker)
    answered = await watch_action(world.broker, bot, action.id)
    assert answered.action.state is ActionState.DENIED
    assert answered.decision.reasons[0].code == "approval_expired"
    seen = await show_approval(world.broker, await world.operator("eve"), code)
    assert seen.approval.state is ApprovalState.EXPIRED
    assert seen.approval.decided_by is None


@pytest.mark.requirement("T18")
async def test_an_approval_can_be_revoked_until_somebody_picks_it_up(world: World) -> None:
    bot, action, code = await asked(world)
    eve = await world.operator("eve")
    await yes(world, eve, code, action)
    grant = (await watch_action(world.broker, bot, action.id)).grant
    assert grant is not None
    revoked = await revoke_approval(world.broker, eve, code, reason="wrong cluster")
    assert revoked.action.state is ActionState.REVOKED
    assert (await revoke_approval(world.broker, eve, code, reason="again")).refused is None
    redeemed = await redeem_as_agent(world.broker, bot, grant.id, attempt=ME, digest=action.digest, arguments=None)
    assert redeemed.refused is not None
    assert redeemed.refused.code == "grant_dead"


async def test_revoking_what_runs_already_says_that_it_is_too_late(world: World) -> None:
    bot, action, code = await asked(world)
    eve = await world.operator("eve")
    pending = await revoke_approval(world.broker, eve, code, reason="")
    assert pending.refused == Reason.of("not_approved")
    await yes(world, eve, code, action)
    grant = (await watch_action(world.broker, bot, action.id)).grant
    assert grant is not None
    await redeem_as_agent(world.broker, bot, grant.id, attempt=ME, digest=action.digest, arguments=None)
    late = await revoke_approval(world.broker, eve, code, reason="")
    assert late.refused is not None
    assert "running" in late.refused.message


async def test_approvals_are_listed_shown_and_found_by_code(world: World) -> None:
    _, action, code = await asked(world)
    eve = await world.operator("eve")
    (seen,) = (await list_approvals(world.broker, eve, (ApprovalState.PENDING,))).items
    assert (seen.approval.code, seen.action, seen.why_not_me) == (code, action, None)
    (by_code,) = (await find_approval(world.broker, eve, code)).items
    assert by_code.approval == seen.approval
    assert (await find_approval(world.broker, eve, "ZZZ-0000")).items == ()
    owner = await show_approval(world.broker, await world.operator("owner"), code.lower())
    assert owner.why_not_me is not None
    with pytest.raises(NotFound):
        await show_approval(world.broker, eve, "ZZZ-0000")


async def test_who_may_not_read_approvals_sees_none(world: World) -> None:
    bare = replace(world.policy.people[1], permissions=frozenset())
    world.policy = replace(world.policy, people=(bare, *world.policy.people[2:]))
    eve = await world.operator("eve")
    with pytest.raises(Forbidden):
        await list_approvals(world.broker, eve, (ApprovalState.PENDING,))


@pytest.mark.requirement("T9")
async def test_a_revoked_token_votes_no_more(world: World) -> None:
    _, action, code = await asked(world)
    eve = await world.operator("eve")
    await manage_principals.revoke_credential(world.broker, eve.token.id, by="admin")
    with pytest.raises(Unauthenticated):
        await yes(world, eve, code, action)


async def test_a_page_of_approvals_ends_where_the_next_begins(world: World) -> None:
    codes = [(await asked(world))[2] for _ in range(5)]
    eve, both = await world.operator("eve"), (ApprovalState.PENDING, ApprovalState.DENIED)
    await deny_action(world.broker, eve, codes[1], category=DenialCategory.OTHER, comment="no")
    pages, before = [], None
    for _ in range(3):
        page = await list_approvals(world.broker, eve, (*both, *both), limit=2, before=before)
        pages.append([seen.approval.code for seen in page.items])
        before = page.rest
    assert (pages, before) == ([codes[:2:-1], codes[2:0:-1], codes[:1]], None)


@pytest.mark.parametrize(("who", "mine"), [("eve", 3), ("sam", 3), ("owner", 0), ("admin", 0)])
async def test_mine_are_those_that_i_could_decide_now(world: World, who: str, mine: int) -> None:
    for _ in range(3):
        await asked(world)
    listed = await list_mine(world.broker, await world.operator(who), (ApprovalState.PENDING,))
    assert (len(listed.items), listed.rest) == (mine, None)


async def test_what_i_voted_on_and_what_is_over_is_not_mine_and_mine_is_paged_too(world: World) -> None:
    needs(world, Need(count=2, of="oncall"))
    eve, states = await world.operator("eve"), (ApprovalState.PENDING, ApprovalState.PARTIAL)
    made = [await asked(world) for _ in range(4)]
    await yes(world, eve, made[1][2], made[1][1])
    first = await list_mine(world.broker, eve, states, limit=2)
    rest = await list_mine(world.broker, eve, states, limit=2, before=first.rest)
    codes = [seen.approval.code for page in (first, rest) for seen in page.items]
    assert codes == [made[n][2] for n in (3, 2, 0)]
    world.clock.forward(minutes=15)
    assert (await list_mine(world.broker, eve, states)).items == ()
