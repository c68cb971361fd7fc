"""Close calls of what decides, votes and redeems: where one word less in the code would let somebody through."""

from dataclasses import replace
from datetime import timedelta

import pytest

from assent.core import actions, approvals, grants
from assent.core.actions import ActionState, Impact, attempt_of
from assent.core.agents import AgentId
from assent.core.approvals import (
    Approval,
    ApprovalId,
    ApprovalState,
    DenialCategory,
    Moved,
    can_be_satisfied,
    vote,
    why_barred,
    why_closed,
)
from assent.core.breakers import BreakerState, Closed, Scope, first_open, reset
from assent.core.decisions import Answer, Effect, Facts, Limits, Load, Verdict, answer_now, decide, strictest
from assent.core.denials import Cooling, Denial
from assent.core.grants import Claim, GrantId, Redeemed, RedeemFacts, redeem
from assent.core.operators import Assurance, Operator, OperatorId, SinglePerson
from assent.core.reasons import Reason
from assent.core.second_person import FirstAsk
from tests.core.samples import (
    NOW,
    a_breaker,
    a_credential,
    a_proposal,
    a_route,
    a_voter,
    an_action,
    an_agent,
    an_approval,
    an_operator,
)

EVE, OMAR = an_operator("eve", "oncall"), an_operator("omar", "oncall")
MINE, OTHER = attempt_of("a" * 22), attempt_of("b" * 22)
READY = an_action(state=ActionState.READY)
GRANT = grants.issue(READY, new_id=GrantId("grt_1"), now=NOW, expires_at=NOW + timedelta(minutes=5))
HOLDS = RedeemFacts(
    profile=an_agent(),
    status=None,
    key=a_credential(),
    breakers=(),
    proposal=a_proposal(),
    verdict=Verdict(effect=Effect.REQUIRE_APPROVAL),
)


def yes(approval: Approval, operator: Operator, assurance: Assurance) -> Moved | Reason:
    voter = a_voter(operator, assurance=assurance)
    return vote(approval, voter, digest_prefix=approval.digest, operators=(EVE, OMAR), now=NOW)


def after(approval: Approval, *votes: tuple[Operator, Assurance]) -> ApprovalState:
    for operator, assurance in votes:
        moved = yes(approval, operator, assurance)
        assert isinstance(moved, Moved), moved
        approval = moved.approval
    return approval.state


def refusal(result: object) -> Reason:
    assert isinstance(result, Reason)
    return result


# --- who votes --------------------------------------------------------------------------------------------------------

LOW = a_route((1, "oncall"), assurance=Assurance.SLACK)
HIGH = a_route((1, "oncall"), name="high", assurance=Assurance.CONSOLE)


@pytest.mark.requirement("P5", "T22")
@pytest.mark.parametrize(
    ("votes", "state"),
    [
        (((EVE, Assurance.SLACK), (OMAR, Assurance.SLACK)), ApprovalState.PARTIAL),
        (((EVE, Assurance.SLACK), (OMAR, Assurance.LINKED)), ApprovalState.PARTIAL),
        (((EVE, Assurance.SLACK), (OMAR, Assurance.CONSOLE)), ApprovalState.APPROVED),
        (((EVE, Assurance.CONSOLE), (OMAR, Assurance.SLACK)), ApprovalState.APPROVED),
        (((EVE, Assurance.STEP_UP), (OMAR, Assurance.CONSOLE)), ApprovalState.APPROVED),
    ],
)
def test_a_seat_is_filled_only_by_somebody_who_was_sure_enough(
    votes: tuple[tuple[Operator, Assurance], ...], state: ApprovalState
) -> None:
    assert after(an_approval(LOW, HIGH), *votes) is state
    assert after(an_approval(HIGH, LOW), *votes) is state


@pytest.mark.requirement("T22")
def test_who_is_sure_enough_for_one_of_several_seats_may_vote_and_is_told_the_least_that_is_accepted() -> None:
    assert isinstance(yes(an_approval(LOW, HIGH), EVE, Assurance.SLACK), Moved)
    assert isinstance(yes(an_approval(HIGH), EVE, Assurance.CONSOLE), Moved)
    refused = refusal(yes(an_approval(LOW, HIGH), EVE, Assurance.TOKEN))
    assert refused.code == "step_up_required"
    assert "`slack` or better" in refused.message


@pytest.mark.requirement("P5", "T4")
@pytest.mark.parametrize("part", [{"owner": "eve"}, {"drivers": ("eve",)}, {"key_issuer": "eve"}], ids=str)
def test_single_person_lets_through_whoever_is_involved_and_only_until_its_day(part: dict[str, object]) -> None:
    asked = an_approval(**part)
    alone = replace(EVE, single_person=SinglePerson(reason="one founder", until=NOW + timedelta(days=1)))
    assert why_barred(asked, alone, NOW) is None
    assert can_be_satisfied(asked, (alone,), NOW)
    assert refusal(why_barred(asked, alone, NOW + timedelta(days=1))).code == "not_eligible"


@pytest.mark.requirement("P5", "T4")
@pytest.mark.parametrize(
    "eve_now",
    [replace(EVE, permissions=frozenset()), replace(EVE, groups=("elsewhere",)), None],
    ids=["lost the permission", "left the group", "is gone"],
)
def test_an_earlier_vote_fills_no_seat_once_its_voter_could_not_vote_any_more(eve_now: Operator | None) -> None:
    first = yes(an_approval(a_route((2, "oncall"))), EVE, Assurance.CONSOLE)
    assert isinstance(first, Moved)
    people = (OMAR,) if eve_now is None else (eve_now, OMAR)
    voter = a_voter(OMAR)
    second = vote(first.approval, voter, digest_prefix=first.approval.digest, operators=people, now=NOW)
    assert isinstance(second, Moved)
    assert second.approval.state is ApprovalState.PARTIAL


@pytest.mark.requirement("P5", "T4")
def test_an_earlier_vote_fills_no_seat_once_the_exception_of_its_voter_has_run_out() -> None:
    until = NOW + timedelta(minutes=5)
    alone = replace(EVE, single_person=SinglePerson(reason="one founder", until=until))
    asked = an_approval(a_route((2, "oncall")), owner="eve")
    first = vote(asked, a_voter(alone), digest_prefix=asked.digest, operators=(alone, OMAR), now=NOW)
    assert isinstance(first, Moved)
    for now, state in ((NOW, ApprovalState.APPROVED), (until, ApprovalState.PARTIAL)):
        second = vote(first.approval, a_voter(OMAR), digest_prefix=asked.digest, operators=(alone, OMAR), now=now)
        assert isinstance(second, Moved)
        assert second.approval.state is state


def test_who_could_still_vote_is_in_a_group_that_must_answer_may_and_has_not_voted() -> None:
    cast = approvals.Vote(operator=OMAR.id, at=NOW, assurance=Assurance.CONSOLE, surface="console")
    people = (EVE, OMAR, an_operator("sam", "elsewhere"), replace(EVE, id=OperatorId("kim"), permissions=frozenset()))
    asked = an_approval(a_route((2, "oncall")), votes=(cast,), state=ApprovalState.PARTIAL)
    assert approvals.who_can_vote(asked, people, NOW) == ("eve",)


@pytest.mark.requirement("P5")
def test_one_seat_of_somebody_involved_is_enough_to_call_it_self_approved() -> None:
    votes = tuple(
        approvals.Vote(operator=one, at=NOW, assurance=Assurance.CONSOLE, surface="console")
        for one in (OperatorId("eve"), OperatorId("omar"))
    )
    assert approvals.is_self_approved(an_approval(owner="eve", votes=votes))
    assert approvals.is_self_approved(an_approval(drivers=("omar",), votes=votes))
    assert not approvals.is_self_approved(an_approval(votes=votes))
    nobody = replace(votes[0], operator=OperatorId(""))
    assert not approvals.is_self_approved(an_approval(votes=(nobody,), key_issuer=""))


@pytest.mark.requirement("T18")
@pytest.mark.parametrize(
    ("state", "by", "moved"),
    [
        (ApprovalState.DENIED, "eve", True),
        (ApprovalState.DENIED, "omar", False),
        (ApprovalState.APPROVED, "eve", False),
    ],
)
def test_only_ones_own_denial_is_repeated_without_a_word(state: ApprovalState, by: str, *, moved: bool) -> None:
    over = an_approval(state=state, decided_by=OperatorId(by))
    again = approvals.deny(over, a_voter(EVE), category=DenialCategory.OTHER, comment="", now=NOW)
    assert (isinstance(again, Moved) and not again.moved and again.approval is over) is moved
    assert moved or refusal(again).code == "already_decided"


ADMIN = an_operator("ada", security_admin=True)
OWNING = an_operator("owner", "oncall", security_admin=True)


@pytest.mark.requirement("P5", "T4")
@pytest.mark.parametrize(
    ("state", "who", "assurance", "code"),
    [
        (ApprovalState.DENIED, EVE, Assurance.TOKEN, ""),
        (ApprovalState.DENIED, OMAR, Assurance.CONSOLE, ""),
        (ApprovalState.DENIED, OMAR, Assurance.TOKEN, "step_up_required"),
        (ApprovalState.DENIED, ADMIN, Assurance.TOKEN, ""),
        (ApprovalState.DENIED, OWNING, Assurance.CONSOLE, "not_eligible"),
        (ApprovalState.DENIED, an_operator("sam", "elsewhere"), Assurance.CONSOLE, "not_eligible"),
        (ApprovalState.EXPIRED, EVE, Assurance.CONSOLE, "not_denied"),
        (ApprovalState.EXPIRED, OMAR, Assurance.TOKEN, "step_up_required"),
    ],
)
def test_who_denied_it_may_let_it_be_asked_again_and_others_only_as_they_could_say_yes(
    state: ApprovalState, who: Operator, assurance: Assurance, code: str
) -> None:
    asked = an_approval(state=state, decided_by=EVE.id)
    told = approvals.why_not_let_again(asked, a_voter(who, assurance=assurance), NOW)
    assert (told.code if told is not None else "") == code


@pytest.mark.parametrize(
    ("state", "decided_by", "code", "words"),
    [
        (ApprovalState.APPROVED, "eve", "already_decided", "it is `approved` by `eve`"),
        (ApprovalState.CANCELLED, None, "already_decided", "it is `cancelled`"),
        (ApprovalState.EXPIRED, None, "approval_expired", ""),
        (ApprovalState.PENDING, None, "approval_expired", ""),
    ],
)
def test_what_was_decided_in_time_is_told_as_decided_however_late_somebody_asks(
    state: ApprovalState, decided_by: str | None, code: str, words: str
) -> None:
    closed = an_approval(state=state, decided_by=decided_by)
    told = refusal(why_closed(closed, closed.expires_at))
    assert told.code == code
    assert told.message.endswith(words)


@pytest.mark.parametrize(("event", "state"), [(event, state) for state, event in approvals.MOVES], ids=str)
def test_an_open_approval_moves_as_the_table_says(event: approvals.ApprovalEvent, state: ApprovalState) -> None:
    expected = {
        "vote": ApprovalState.PARTIAL,
        "complete": ApprovalState.APPROVED,
        "deny": ApprovalState.DENIED,
        "expire": ApprovalState.EXPIRED,
        "cancel": ApprovalState.CANCELLED,
    }
    assert {one.value for _, one in approvals.MOVES} == set(expected)
    assert {one for one, _ in approvals.MOVES} == {ApprovalState.PENDING, ApprovalState.PARTIAL}
    assert approvals.move(an_approval(state=state), event) is expected[event.value]


def test_an_action_moves_as_the_table_says() -> None:
    table = {(state.value, event.value): moved.value for (state, event), moved in actions.MOVES.items()}
    assert table == {
        ("pending", "approve"): "ready",
        ("pending", "deny"): "denied",
        ("pending", "expire"): "denied",
        ("pending", "cancel"): "cancelled",
        ("ready", "redeem"): "executing",
        ("ready", "lapse"): "lapsed",
        ("ready", "revoke"): "revoked",
        ("ready", "cancel"): "cancelled",
        ("executing", "succeed"): "succeeded",
        ("executing", "fail"): "failed",
        ("executing", "lose_track"): "unknown",
        ("pending", "put_back"): "unknown",
        ("ready", "put_back"): "unknown",
        ("executing", "put_back"): "unknown",
        ("unknown", "succeed"): "succeeded",
        ("unknown", "fail"): "failed",
    }
    assert {state.value for state in actions.DID_NOT_RUN} == {"denied", "lapsed", "revoked", "cancelled"}


# --- what is stopped --------------------------------------------------------------------------------------------------


@pytest.mark.requirement("P6")
@pytest.mark.parametrize(
    ("scope", "state", "stops"),
    [
        (Scope(), BreakerState.FORCED_OPEN, True),
        (Scope(), BreakerState.CLOSED, False),
        (Scope(agent="bot"), BreakerState.OPEN, True),
        (Scope(agent="other"), BreakerState.OPEN, False),
        (Scope(tool="k8s.*"), BreakerState.HALF_OPEN, True),
        (Scope(tool="db.*"), BreakerState.OPEN, False),
        (Scope(environment="production"), BreakerState.OPEN, True),
        (Scope(environment="staging"), BreakerState.OPEN, False),
        (Scope(agent="bot", environment="staging"), BreakerState.OPEN, False),
    ],
)
def test_a_breaker_stops_what_is_in_its_scope_while_it_is_not_closed(
    scope: Scope, state: BreakerState, *, stops: bool
) -> None:
    stopped = first_open((a_breaker(scope, state=state),), agent="bot", tool="k8s.scale", environment="production")
    assert (stopped is not None) is stops


@pytest.mark.requirement("P6")
def test_an_action_without_an_environment_is_in_the_scope_of_every_environment() -> None:
    stopped = first_open((a_breaker(Scope(environment="staging")),), agent="bot", tool="k8s.scale", environment="")
    assert stopped is not None


@pytest.mark.requirement("P5")
@pytest.mark.parametrize(
    ("later", "closes"), [(timedelta(minutes=15), True), (timedelta(minutes=15, seconds=1), False)]
)
def test_a_second_person_closes_it_within_a_quarter_of_an_hour(later: timedelta, *, closes: bool) -> None:
    asked = a_breaker(reset_asked=FirstAsk(by=OperatorId("eve"), at=NOW, reason="calm"))
    result = reset(asked, by=OperatorId("omar"), now=NOW + later, reason="", one_person_is_enough=False)
    assert isinstance(result, Closed) is closes


# --- what is redeemed -------------------------------------------------------------------------------------------------


@pytest.mark.requirement("P4", "T19")
@pytest.mark.parametrize(("holder", "spender"), [(MINE, OTHER), (OTHER, MINE), (OTHER, OTHER)])
def test_a_spent_grant_answers_only_who_both_rows_name(holder: bytes, spender: bytes) -> None:
    spent = replace(GRANT, state=grants.GrantState.SPENT, attempt=spender)
    running = actions.start(READY, attempt=holder, lease_expires_at=NOW)
    told = redeem(spent, running, Claim(attempt=MINE, digest=READY.digest), HOLDS, NOW)
    assert refusal(told).code == "grant_spent"


@pytest.mark.requirement("P5", "T23")
def test_routine_reading_that_a_human_would_be_asked_about_now_is_not_run() -> None:
    reading = a_proposal(impact=Impact.READ)
    routine = replace(READY, decided_by_human=False)
    holds = replace(HOLDS, proposal=reading)
    assert refusal(redeem(GRANT, routine, Claim(attempt=MINE, digest=READY.digest), holds, NOW)).code == "rule_denied"
    allowed = replace(holds, verdict=Verdict(effect=Effect.ALLOW))
    assert isinstance(redeem(GRANT, routine, Claim(attempt=MINE, digest=READY.digest), allowed, NOW), Redeemed)


# --- what is asked ----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("T14")
def test_what_cools_off_is_denied_by_the_name_of_its_denial_and_only_where_somebody_would_be_asked() -> None:
    denied = Denial(
        id=ApprovalId("apr_7"),
        code="K7Q-4MX",
        agent=AgentId("bot"),
        tool="k8s.scale",
        rules=("r",),
        content=b"c" * 32,
        denied_at=NOW,
        cools_until=NOW + timedelta(hours=1),
        counts_until=None,
    )
    facts = Facts(
        profile=an_agent(),
        status=None,
        proposal=a_proposal(),
        verdict=Verdict(effect=Effect.REQUIRE_APPROVAL, rules=("r",), routes=("default",)),
        breakers=(),
        load=Load(),
        someone_can_approve=True,
        cooling=Cooling(Reason.of("cooling_off"), denied),
    )
    told = decide(facts, Limits(), NOW)
    assert (told.answer, told.denied_as, told.rules) == (Answer.DENY, "apr_7", ("r",))
    assert [reason.code for reason in told.reasons] == ["cooling_off"]
    nobody = decide(replace(facts, someone_can_approve=False), Limits(), NOW)
    assert ([reason.code for reason in nobody.reasons], nobody.denied_as) == (["no_eligible_approver"], None)
    allowed = replace(facts, proposal=a_proposal(impact=Impact.READ), verdict=Verdict(effect=Effect.ALLOW))
    assert decide(allowed, Limits(), NOW).answer is Answer.ALLOW


# --- what is answered -------------------------------------------------------------------------------------------------


def test_what_ended_without_running_tells_its_last_reason_only() -> None:
    first, last = Reason.of("no_rule"), Reason.of("cancelled")
    ended = an_action(state=ActionState.CANCELLED, reasons=(first, last), rules=("r",))
    told = answer_now(ended, None, Reason.of("breaker_open"))
    assert (told.reasons, told.rules) == ((last,), ("r",))


@pytest.mark.parametrize("state", [ActionState.PENDING, ActionState.READY])
def test_what_waits_tells_all_its_reasons_and_rules(state: ActionState) -> None:
    why = (Reason.of("no_rule"), Reason.of("cancelled"))
    told = answer_now(an_action(state=state, reasons=why, rules=("r",)), None, None)
    assert (told.reasons, told.rules) == (why, ("r",))


def test_over_several_principals_routes_and_reasons_are_those_of_the_strictest_and_each_once() -> None:
    allow = Verdict(effect=Effect.ALLOW, rules=("a",), routes=("x",), reasons=(Reason.of("no_rule"),))
    ask = Verdict(effect=Effect.REQUIRE_APPROVAL, rules=("a", "b"), routes=("r",), reasons=(Reason.of("cancelled"),))
    more = Verdict(effect=Effect.REQUIRE_APPROVAL, rules=("c",), routes=("s", "r"), reasons=ask.reasons)
    combined = strictest([allow, ask, more])
    assert (combined.rules, combined.routes, combined.reasons) == (("a", "b", "c"), ("r", "s"), ask.reasons)


@pytest.mark.requirement("P1")
def test_deny_beats_an_ask_and_an_ask_an_allow_whichever_comes_first() -> None:
    allow, ask, deny = (Verdict(effect=effect) for effect in (Effect.ALLOW, Effect.REQUIRE_APPROVAL, Effect.DENY))
    for one, other, wins in ((allow, ask, ask), (ask, deny, deny), (allow, deny, deny)):
        assert strictest([one, other]).effect is wins.effect
        assert strictest([other, one]).effect is wins.effect


@pytest.mark.parametrize("floored", [(True, False), (False, True), (False, False)])
def test_one_principal_under_the_floor_is_enough_to_say_so(floored: tuple[bool, bool]) -> None:
    asked = [Verdict(effect=Effect.REQUIRE_APPROVAL, routes=("r",), floored=one) for one in floored]
    assert strictest(asked).floored is any(floored)
