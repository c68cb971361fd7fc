"""The whole life of one action, driven at random: people, time, breakers and attempts in any order."""

from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from assent.core import actions, approvals, grants
from assent.core.actions import ENDED, Action, ActionEvent, ActionState, Outcome, attempt_of
from assent.core.approvals import OPEN, Approval, ApprovalState, DenialCategory, Moved
from assent.core.breakers import Breaker, Closed, Scope, reset
from assent.core.credentials import Credential, revoke
from assent.core.decisions import Answer, Effect, Verdict, answer_now
from assent.core.grants import Claim, Grant, GrantId, GrantState, Redeemed, RedeemFacts
from assent.core.operators import Operator, OperatorId
from assent.core.reasons import Reason
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

LEASE = timedelta(minutes=5)
PEOPLE = tuple(an_operator(name, "oncall") for name in ("eve", "sam", "kim", "owner", "issuer"))
ATTEMPTS = tuple(attempt_of(letter * 22) for letter in "abc")
people = st.sampled_from(PEOPLE)
attempts = st.sampled_from(ATTEMPTS)


class Life(RuleBasedStateMachine):
    """One action that needs two people, its approval and grant, moved as flows move them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.action: Action = an_action()
        self.approval: Approval = an_approval(a_route((2, "oncall")), key_issuer="issuer")
        self.grant: Grant | None = None
        self.breaker: Breaker | None = None
        self.key: Credential = a_credential()
        self.policy_effect = Effect.REQUIRE_APPROVAL
        self.started_by: list[bytes] = []
        self.ended_as: ActionState | None = None
        self.decided_as: ApprovalState | None = None

    # people

    @rule(person=people, honest=st.booleans())
    def somebody_approves(self, person: Operator, *, honest: bool) -> None:
        prefix = self.approval.digest[:8] if honest else "0" * 8
        voted = approvals.vote(self.approval, a_voter(person), digest_prefix=prefix, operators=PEOPLE, now=self.now)
        if not isinstance(voted, Moved):
            return
        if voted.moved and voted.approval.state is ApprovalState.APPROVED:
            until = self.now + timedelta(minutes=30)
            self.action = actions.approve(self.action, now=self.now, pick_up_until=until)
            self.grant = grants.issue(self.action, new_id=GrantId("grt_1"), now=self.now, expires_at=until)
        self.approval = voted.approval

    @rule(person=people)
    def somebody_denies(self, person: Operator) -> None:
        denied = approvals.deny(self.approval, a_voter(person), category=DenialCategory.OTHER, comment="", now=self.now)
        if isinstance(denied, Moved) and denied.moved:
            self.approval = denied.approval
            self.action = actions.end(self.action, ActionEvent.DENY, Reason.of("approval_denied"), now=self.now)

    @precondition(lambda self: self.action.state is ActionState.READY)
    @rule()
    def somebody_revokes(self) -> None:
        self.withdraw(ActionEvent.REVOKE, "approval_revoked")

    @rule()
    def an_operator_trips(self) -> None:
        self.breaker = a_breaker(Scope(environment="production"))
        if self.action.state in {ActionState.PENDING, ActionState.READY}:
            self.withdraw(ActionEvent.CANCEL, "breaker_open")

    @precondition(lambda self: self.breaker is not None)
    @rule()
    def two_people_reset(self) -> None:
        assert self.breaker is not None
        first = reset(self.breaker, by=OperatorId("eve"), now=self.now, reason="", one_person_is_enough=False)
        second = reset(first.breaker, by=OperatorId("sam"), now=self.now, reason="", one_person_is_enough=False)
        assert isinstance(second, Closed)
        self.breaker = None

    @rule()
    def the_key_is_revoked(self) -> None:
        self.key = revoke(self.key, by="eve", now=self.now)

    @rule(effect=st.sampled_from(list(Effect)))
    def policy_changes(self, effect: Effect) -> None:
        self.policy_effect = effect

    # time

    @rule(minutes=st.integers(1, 40))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule()
    def the_clock_ticks(self) -> None:
        if self.approval.state in OPEN and self.now >= self.approval.expires_at:
            self.approval = approvals.expire(self.approval, now=self.now)
            self.action = actions.end(self.action, ActionEvent.EXPIRE, Reason.of("approval_expired"), now=self.now)
        elif self.action.pick_up_until is not None and self.now >= self.action.pick_up_until:
            self.withdraw(ActionEvent.LAPSE, "not_picked_up")
        elif self.action.state is ActionState.EXECUTING and self.lease_is_over():
            unheard = Outcome(status=ActionState.UNKNOWN, at=self.now, reported=False)
            self.action = actions.report(self.action, unheard)

    # the agent

    @precondition(lambda self: self.grant is not None)
    @rule(attempt=attempts, honest=st.booleans())
    def an_attempt_redeems(self, attempt: bytes, *, honest: bool) -> None:
        assert self.grant is not None
        claim = Claim(attempt=attempt, digest=self.action.digest if honest else "0" * 64)
        result = grants.redeem(self.grant, self.action, claim, self.holds(), self.now)
        if isinstance(result, Redeemed):
            assert honest
            self.check_nothing_stood_against_it(result)
            self.started_by.append(attempt)
            if not result.repeated:
                self.grant = result.grant
                self.action = actions.start(self.action, attempt=attempt, lease_expires_at=self.now + LEASE)

    @rule(attempt=attempts, status=st.sampled_from([ActionState.SUCCEEDED, ActionState.FAILED, ActionState.UNKNOWN]))
    def an_attempt_reports(self, attempt: bytes, status: ActionState) -> None:
        known = self.action.outcome
        if not actions.is_held_by(self.action, attempt) or (known is not None and known.reported):
            return
        if self.action.state is ActionState.UNKNOWN and status is ActionState.UNKNOWN:
            return
        self.action = actions.report(self.action, Outcome(status=status, at=self.now, reported=True))

    # what the rules share

    def withdraw(self, event: ActionEvent, code: str) -> None:
        self.action = actions.end(self.action, event, Reason.of(code), now=self.now)
        if self.approval.state in OPEN:
            self.approval = approvals.cancel(self.approval, now=self.now)
        if self.grant is not None and self.grant.state is GrantState.ISSUED:
            self.grant = grants.kill(self.grant)

    def lease_is_over(self) -> bool:
        return self.action.lease_expires_at is not None and self.now >= self.action.lease_expires_at

    def holds(self) -> RedeemFacts:
        return RedeemFacts(
            profile=an_agent(),
            status=None,
            key=self.key,
            breakers=() if self.breaker is None else (self.breaker,),
            proposal=a_proposal(),
            verdict=Verdict(effect=self.policy_effect),
        )

    def check_nothing_stood_against_it(self, result: Redeemed) -> None:
        if result.repeated:
            return
        assert self.breaker is None
        assert self.key.revoked_at is None
        assert self.policy_effect is not Effect.DENY
        assert self.now < result.grant.expires_at

    # what always holds

    @invariant()
    def at_most_one_attempt_ever_ran_it(self) -> None:
        assert len(set(self.started_by)) <= 1

    @invariant()
    def it_runs_only_after_two_distinct_uninvolved_people(self) -> None:
        if self.action.attempt is not None or self.action.state is ActionState.READY:
            voters = {vote.operator for vote in self.approval.votes}
            assert len(voters) >= 2
            assert not voters & {"owner", "issuer"}

    @invariant()
    def what_ended_stays_ended(self) -> None:
        settled = self.ended_as is ActionState.UNKNOWN and self.action.state in {
            ActionState.SUCCEEDED,
            ActionState.FAILED,
        }
        if self.ended_as is not None and not settled:
            assert self.action.state is self.ended_as
        if self.action.state in ENDED:
            self.ended_as = self.action.state
        if self.decided_as is not None:
            assert self.approval.state is self.decided_as
        if self.approval.state not in OPEN:
            self.decided_as = self.approval.state

    @invariant()
    def action_approval_and_grant_agree(self) -> None:
        assert (self.action.state is ActionState.PENDING) is (self.approval.state in OPEN)
        assert (self.grant is not None) is (self.approval.state is ApprovalState.APPROVED)
        if self.grant is not None and self.grant.state is GrantState.SPENT:
            assert self.action.attempt == self.grant.attempt

    @invariant()
    def only_its_holder_is_told_to_run_it(self) -> None:
        blocked = None if self.breaker is None else Reason.of("breaker_open")
        for attempt in (*ATTEMPTS, None):
            if answer_now(self.action, attempt, blocked).answer is not Answer.ALLOW:
                continue
            assert self.breaker is None
            held = actions.is_held_by(self.action, attempt) and self.action.state is ActionState.EXECUTING
            assert held or self.action.state is ActionState.READY


TestLife = pytest.mark.requirement("P3", "P4", "P5", "P6", "P7", "T18")(Life.TestCase)
TestLife.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_two_people_time_and_one_attempt_is_the_good_story() -> None:
    life = Life()
    for name in ("eve", "sam"):
        life.somebody_approves(person=next(p for p in PEOPLE if p.id == name), honest=True)
    life.an_attempt_redeems(attempt=ATTEMPTS[0], honest=True)
    life.an_attempt_reports(attempt=ATTEMPTS[0], status=ActionState.SUCCEEDED)
    assert life.action.state is ActionState.SUCCEEDED
