"""Decisions: deny wins, asking beats allowing, the floor holds, and nothing clear means no."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core.actions import Action, ActionState, Impact, Proposal, attempt_of
from assent.core.agents import AgentId, AgentState, AgentStatus
from assent.core.breakers import BreakerState, Healing, Probing, Scope
from assent.core.decisions import (
    STRICTNESS,
    Answer,
    Decision,
    Effect,
    Facts,
    Limits,
    Load,
    Verdict,
    answer_now,
    as_probe,
    decide,
    strictest,
)
from assent.core.operators import OperatorId
from assent.core.reasons import Reason
from tests.core.samples import NOW, a_breaker, a_proposal, an_action, an_agent

ALLOW = Verdict(effect=Effect.ALLOW, rules=("r1",))
ASK = Verdict(effect=Effect.REQUIRE_APPROVAL, rules=("r2",), routes=("default",))
DENY = Verdict(effect=Effect.DENY, rules=("r3",), reasons=(Reason.of("rule_denied"),))
SUSPENDED = AgentStatus(
    id=AgentId("bot"), state=AgentState.SUSPENDED, revision=1, changed_by=OperatorId("eve"), changed_at=NOW
)


def facts(**changes: Any) -> Facts:
    usual = Facts(
        profile=an_agent(),
        status=None,
        proposal=a_proposal(impact=Impact.READ),
        verdict=ALLOW,
        breakers=(),
        load=Load(),
        someone_can_approve=True,
    )
    return replace(usual, **changes)


def decided(limits: Limits | None = None, **changes: Any) -> Decision:
    return decide(facts(**changes), limits or Limits(), NOW)


def test_a_routine_read_passes() -> None:
    assert decided() == Decision(answer=Answer.ALLOW, reasons=(), rules=("r1",))


def test_what_needs_a_human_waits_on_its_routes() -> None:
    answer = decided(verdict=ASK)
    assert (answer.answer, answer.routes) == (Answer.PENDING, ("default",))


@pytest.mark.requirement("P1")
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"profile": None}, "unknown_agent"),
        ({"status": SUSPENDED}, "agent_suspended"),
        ({"profile": an_agent(expires=NOW)}, "agent_expired"),
        ({"proposal": Reason.of("unknown_tool")}, "unknown_tool"),
        ({"breakers": (a_breaker(),)}, "breaker_open"),
        ({"verdict": DENY}, "rule_denied"),
        ({"verdict": Verdict(effect=Effect.DENY)}, "no_rule"),
        ({"verdict": ASK, "someone_can_approve": False}, "no_eligible_approver"),
        ({"verdict": replace(ASK, routes=())}, "no_eligible_approver"),
        ({"verdict": ASK, "load": Load(open_for_agent=5)}, "too_many_pending"),
        ({"load": Load(ready_for_agent=100)}, "too_many_pending"),
        ({"verdict": ASK, "load": Load(open_for_run=2)}, "too_many_pending"),
        ({"verdict": ASK, "load": Load(open_for_fullest_route=20)}, "too_many_pending"),
        ({"verdict": ASK, "load": Load(asked_for_agent_in_last_hour=20)}, "too_many_pending"),
    ],
)
def test_whatever_stands_against_it_is_a_deny_that_says_so(changes: dict[str, Any], code: str) -> None:
    answer = decided(**changes)
    assert answer.answer is Answer.DENY
    assert [reason.code for reason in answer.reasons] == [code]


@pytest.mark.requirement("P5")
@pytest.mark.parametrize("impact", [Impact.WRITE, Impact.DESTRUCTIVE])
def test_the_production_floor_holds_even_when_a_judge_only_says_allow(impact: Impact) -> None:
    lapse = replace(ALLOW, routes=("default",))
    assert decided(proposal=a_proposal(impact=impact), verdict=lapse).answer is Answer.PENDING
    assert decided(proposal=a_proposal(impact=impact), verdict=ALLOW).answer is Answer.DENY
    standing = replace(ALLOW, standing=("r1",))
    assert decided(proposal=a_proposal(impact=impact), verdict=standing).answer is Answer.ALLOW
    staging = a_proposal(impact=impact, nonproduction=True, environment="staging")
    assert decided(proposal=staging).answer is Answer.ALLOW


@pytest.mark.requirement("P6")
@pytest.mark.parametrize("state", [s for s in BreakerState if s is not BreakerState.CLOSED])
def test_every_breaker_that_is_not_closed_denies(state: BreakerState) -> None:
    assert decided(breakers=(a_breaker(state=state),)).answer is Answer.DENY


def test_a_breaker_over_something_else_does_not_matter() -> None:
    elsewhere = a_breaker(Scope(environment="staging"))
    closed = a_breaker(state=BreakerState.CLOSED)
    assert decided(breakers=(elsewhere, closed)).answer is Answer.ALLOW


@pytest.mark.requirement("P1")
@given(
    profile=st.sampled_from([None, an_agent(), an_agent(expires=NOW)]),
    status=st.sampled_from([None, SUSPENDED]),
    proposal=st.sampled_from([Reason.of("bad_arguments"), a_proposal(), a_proposal(impact=Impact.READ)]),
    verdict=st.sampled_from([ALLOW, ASK, DENY, replace(ALLOW, standing=("r1",)), Verdict(effect=Effect.DENY)]),
    breakers=st.sampled_from([(), (a_breaker(),), (a_breaker(Scope(agent="other")),)]),
    open_asks=st.integers(0, 6),
    someone=st.booleans(),
)
def test_allow_needs_everything_to_agree(  # noqa: PLR0917  # hypothesis hands them over by name
    profile: Any, status: Any, proposal: Any, verdict: Verdict, breakers: Any, open_asks: int, *, someone: bool
) -> None:
    answer = decided(
        profile=profile,
        status=status,
        proposal=proposal,
        verdict=verdict,
        breakers=breakers,
        load=Load(open_for_agent=open_asks),
        someone_can_approve=someone,
    )
    fine = profile == an_agent() and status is None and not isinstance(proposal, Reason)
    stopped = any(b.scope.covers(agent="bot", tool="k8s.scale", environment="production") for b in breakers)
    floor = not isinstance(proposal, Reason) and proposal.impact is not Impact.READ and not verdict.standing
    if answer.answer is Answer.ALLOW:
        assert fine
        assert not stopped
        assert verdict.effect is Effect.ALLOW
        assert not floor
    if answer.answer is Answer.PENDING:
        assert fine
        assert not stopped
        assert someone
        assert open_asks < 5
    if answer.answer is Answer.DENY:
        assert answer.reasons


verdicts = st.lists(st.sampled_from([ALLOW, ASK, DENY]), max_size=5)


@pytest.mark.requirement("T9")
@given(verdicts)
def test_over_several_principals_the_strictest_wins(found: list[Verdict]) -> None:
    combined = strictest(found)
    expected = max((v.effect for v in found), key=STRICTNESS.__getitem__, default=Effect.DENY)
    assert combined.effect is expected
    assert set(combined.rules) == {rule for v in found for rule in v.rules}


def test_an_exception_from_the_floor_needs_every_principal_to_have_it() -> None:
    standing = replace(ALLOW, standing=("s",))
    assert strictest([standing, ALLOW]).standing == ()
    assert strictest([standing, standing]).standing == ("s",)


HALF_OPEN = a_breaker(
    Scope(tool="k8s.scale"),
    state=BreakerState.HALF_OPEN,
    healing=Healing(wait_in_open=timedelta(seconds=60), probes=2),
    rule="failing",
)


@pytest.mark.requirement("P6")
def test_a_denial_by_a_breaker_names_it_whatever_the_catalogue_makes_of_the_request() -> None:
    over_agent, over_tool = a_breaker(Scope(agent="bot")), a_breaker(Scope(tool="k8s.*"))
    unknown = Reason.of("unknown_tool")
    assert decided(breakers=(over_tool,)).breaker is over_tool
    assert decided(breakers=(over_agent,), proposal=unknown).breaker is over_agent
    assert decided(breakers=(a_breaker(Scope(environment="e")),), proposal=unknown).breaker is not None
    assert decided(breakers=(over_tool,), proposal=unknown).reasons == (unknown,)
    assert decided().breaker is None


def test_a_half_open_breaker_lets_a_read_through_as_its_probe() -> None:
    answer = decided(breakers=(HALF_OPEN,))
    assert (answer.answer, answer.probes) == (Answer.ALLOW, Probing((HALF_OPEN,), by_human=False))


@pytest.mark.parametrize("impact", [Impact.WRITE, Impact.DESTRUCTIVE])
def test_a_probe_that_changes_something_goes_to_a_human_though_policy_allows_it(impact: Impact) -> None:
    staging = a_proposal(impact=impact, nonproduction=True, environment="staging")
    verdict = as_probe(ALLOW, (HALF_OPEN,), staging, "bot")
    assert verdict == replace(ALLOW, effect=Effect.REQUIRE_APPROVAL, routes=("default",))
    answer = decided(proposal=staging, verdict=verdict, breakers=(HALF_OPEN,))
    assert (answer.answer, answer.probes) == (Answer.PENDING, Probing((HALF_OPEN,), by_human=True))
    # Should nobody have looked whom to ask, nobody is asked, and it does not go.
    unasked = decided(proposal=staging, verdict=ALLOW, breakers=(HALF_OPEN,))
    assert [reason.code for reason in unasked.reasons] == ["no_eligible_approver"]


def test_only_what_policy_allows_is_put_before_somebody_as_a_probe() -> None:
    staging, read = a_proposal(nonproduction=True, environment="staging"), a_proposal(impact=Impact.READ)
    other = replace(ASK, routes=("oncall",))
    assert as_probe(other, (HALF_OPEN,), staging, "bot") is other
    assert as_probe(DENY, (HALF_OPEN,), staging, "bot") is DENY
    assert as_probe(ALLOW, (HALF_OPEN,), read, "bot") is ALLOW
    assert as_probe(ALLOW, (), staging, "bot") is ALLOW
    assert as_probe(ALLOW, (a_breaker(),), staging, "bot") is ALLOW


@pytest.mark.requirement("T18")
@pytest.mark.parametrize(
    ("proposal", "denied"),
    [
        (a_proposal(), True),
        (a_proposal(impact=Impact.DESTRUCTIVE), True),
        (a_proposal(impact=Impact.READ), False),
        (a_proposal(nonproduction=True, environment="staging"), False),
    ],
)
def test_counters_that_cannot_be_read_stop_changes_in_production_only(proposal: Proposal, *, denied: bool) -> None:
    answer = decided(proposal=proposal, verdict=replace(ALLOW, standing=("s",)), counters_readable=False)
    assert (answer.answer is Answer.DENY) is denied
    assert [reason.code for reason in answer.reasons] == ["broker_unavailable"] * denied


def test_an_overdrawn_budget_is_a_breaker_that_is_about_to_open() -> None:
    answer = decided(overdrawn="`amount` would come to more than 5 within 1d")
    assert (answer.answer, answer.is_overdrawn, answer.breaker) == (Answer.DENY, True, None)
    assert [reason.code for reason in answer.reasons] == ["breaker_open"]
    assert not decided().is_overdrawn


MINE = attempt_of("a" * 22)


def now(state: ActionState, *, attempt: bytes | None = None, blocked: Reason | None = None) -> Decision:
    action: Action = an_action(state=state, attempt=MINE, reasons=(Reason.of("cancelled"),))
    return answer_now(action, attempt, blocked)


@pytest.mark.requirement("T21", "P4")
@pytest.mark.parametrize(
    ("state", "attempt", "answer"),
    [
        (ActionState.PENDING, None, Answer.PENDING),
        (ActionState.READY, None, Answer.ALLOW),
        (ActionState.EXECUTING, MINE, Answer.ALLOW),
        (ActionState.EXECUTING, attempt_of("b" * 22), Answer.DENY),
        (ActionState.EXECUTING, None, Answer.DENY),
        (ActionState.SUCCEEDED, MINE, Answer.DENY),
        (ActionState.UNKNOWN, MINE, Answer.DENY),
        (ActionState.CANCELLED, None, Answer.DENY),
        (ActionState.DENIED, None, Answer.DENY),
    ],
)
def test_an_earlier_action_answers_for_its_holder_only(
    state: ActionState, attempt: bytes | None, answer: Answer
) -> None:
    assert now(state, attempt=attempt).answer is answer


def test_an_answer_names_the_breaker_where_a_breaker_is_the_reason() -> None:
    stopped, other, breaker = Reason.of("breaker_open"), Reason.of("agent_suspended"), a_breaker()
    for why, named in ((stopped, breaker), (other, None)):
        cancelled = an_action(state=ActionState.CANCELLED, reasons=(Reason.of("rule_denied"), why))
        assert answer_now(cancelled, None, None, breaker).breaker is named
        assert answer_now(an_action(state=ActionState.READY), None, why, breaker).breaker is named
    assert answer_now(an_action(state=ActionState.CANCELLED, reasons=()), None, None, breaker).breaker is None


@pytest.mark.requirement("T21", "P6")
@pytest.mark.parametrize("state", list(ActionState))
def test_what_stops_the_agent_now_stops_what_was_allowed_before(state: ActionState) -> None:
    assert now(state, attempt=MINE, blocked=Reason.of("breaker_open")).answer is Answer.DENY
