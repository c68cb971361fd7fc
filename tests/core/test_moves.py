"""Every move of a row is one revision later, says who made it and when, and leaves everything else as it was."""

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from assent.core import actions, approvals, breakers, credentials, grants
from assent.core.actions import ActionEvent, ActionState, Outcome
from assent.core.approvals import ApprovalState, DenialCategory, Moved, Vote
from assent.core.breakers import BreakerId, BreakerState, NeedsSecond, Scope
from assent.core.decisions import Effect, Verdict
from assent.core.grants import Claim, GrantId, GrantState, Redeemed, RedeemFacts
from assent.core.operators import Assurance, OperatorId
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

SOON = NOW + timedelta(minutes=1)
ATTEMPT = b"a" * 32
WHY = Reason.of("cancelled", "no longer wanted")
EVE, OMAR = an_operator("eve", "oncall"), an_operator("omar", "oncall")


def difference(before: Any, after: Any) -> dict[str, Any]:
    """Return the fields that differ, as they are now, after checking that the move is one revision later."""
    assert after.revision == before.revision + 1
    names = [one.name for one in fields(before) if one.name != "revision"]
    return {name: getattr(after, name) for name in names if getattr(after, name) != getattr(before, name)}


# --- actions ----------------------------------------------------------------------------------------------------------


def test_an_approved_action_waits_to_be_picked_up() -> None:
    before = an_action(revision=4)
    until = SOON + timedelta(minutes=30)
    after = actions.approve(before, now=SOON, pick_up_until=until)
    expected = {"state": ActionState.READY, "decided_at": SOON, "pick_up_until": until}
    assert difference(before, after) == expected


def test_an_action_that_ends_without_running_says_why_and_waits_no_longer() -> None:
    ready = an_action(state=ActionState.READY, revision=2, decided_at=NOW, pick_up_until=SOON, reasons=(WHY,))
    after = actions.end(ready, ActionEvent.LAPSE, Reason.of("not_picked_up"), now=SOON)
    expected = {"state": ActionState.LAPSED, "reasons": (WHY, Reason.of("not_picked_up")), "pick_up_until": None}
    assert difference(ready, after) == expected
    pending = an_action()
    after = actions.end(pending, ActionEvent.DENY, WHY, now=SOON)
    assert difference(pending, after) == {"state": ActionState.DENIED, "reasons": (WHY,), "decided_at": SOON}


def test_an_action_that_starts_is_held_by_its_attempt_until_the_lease_ends() -> None:
    ready = an_action(state=ActionState.READY, pick_up_until=SOON)
    after = actions.start(ready, attempt=ATTEMPT, lease_expires_at=SOON)
    assert difference(ready, after) == {
        "state": ActionState.EXECUTING,
        "attempt": ATTEMPT,
        "pick_up_until": None,
        "lease_expires_at": SOON,
    }


@pytest.mark.parametrize("status", [ActionState.SUCCEEDED, ActionState.FAILED, ActionState.UNKNOWN])
def test_an_outcome_ends_the_run_in_the_state_it_names(status: ActionState) -> None:
    running = an_action(state=ActionState.EXECUTING, attempt=ATTEMPT, lease_expires_at=SOON)
    outcome = Outcome(status=status, at=SOON, reported=True)
    assert difference(running, actions.report(running, outcome)) == {"state": status, "outcome": outcome}


@pytest.mark.parametrize("state", [ActionState.PENDING, ActionState.READY, ActionState.EXECUTING])
def test_what_was_open_when_the_ledger_was_put_back_is_unknown_from_then_on(state: ActionState) -> None:
    before = an_action(state=state, reasons=(WHY,), pick_up_until=SOON)
    after = actions.put_back(before, Reason.of("grant_dead"), now=SOON)
    assert difference(before, after) == {
        "state": ActionState.UNKNOWN,
        "reasons": (WHY, Reason.of("grant_dead")),
        "decided_at": SOON,
        "pick_up_until": None,
        "outcome": Outcome(status=ActionState.UNKNOWN, at=SOON, reported=False),
    }
    decided = actions.put_back(an_action(state=state, decided_at=NOW), WHY, now=SOON)
    assert decided.decided_at == NOW


def test_of_sensitive_arguments_those_must_be_seen_that_can_change_what_happens() -> None:
    assert an_action(sensitive=("token", "note"), opaque=("note",)).to_be_revealed == ("token",)


@pytest.mark.requirement("P4", "T21")
@pytest.mark.parametrize(
    ("holder", "asking", "held"),
    [
        (ATTEMPT, ATTEMPT, True),
        (ATTEMPT, b"b" * 32, False),
        (ATTEMPT, None, False),
        (None, ATTEMPT, False),
        (None, None, False),
    ],
)
def test_an_action_is_held_by_the_attempt_it_names_and_by_nobody_when_it_names_none(
    holder: bytes | None, asking: bytes | None, *, held: bool
) -> None:
    assert actions.is_held_by(an_action(attempt=holder), asking) is held


# --- approvals --------------------------------------------------------------------------------------------------------


def test_a_vote_that_is_not_enough_decides_nothing_yet() -> None:
    before = an_approval(a_route((2, "oncall")), revision=3)
    moved = approvals.vote(before, a_voter(EVE), digest_prefix=before.digest[:8], operators=(EVE, OMAR), now=SOON)
    assert isinstance(moved, Moved)
    assert moved.moved
    cast = Vote(operator=EVE.id, at=SOON, assurance=Assurance.CONSOLE, surface="console")
    assert difference(before, moved.approval) == {"state": ApprovalState.PARTIAL, "votes": (cast,)}


def test_the_vote_that_completes_it_says_who_decided_and_when() -> None:
    first = Vote(operator=EVE.id, at=NOW, assurance=Assurance.CONSOLE, surface="console")
    before = an_approval(a_route((2, "oncall")), state=ApprovalState.PARTIAL, votes=(first,), revision=2)
    moved = approvals.vote(before, a_voter(OMAR), digest_prefix=before.digest, operators=(EVE, OMAR), now=SOON)
    assert isinstance(moved, Moved)
    changed = difference(before, moved.approval)
    assert [vote.operator for vote in changed.pop("votes")] == [EVE.id, OMAR.id]
    assert changed == {"state": ApprovalState.APPROVED, "decided_at": SOON, "decided_by": OMAR.id}


def test_a_denial_says_who_when_and_why() -> None:
    before = an_approval()
    moved = approvals.deny(before, a_voter(EVE), category=DenialCategory.TOO_RISKY, comment="not now", now=SOON)
    assert isinstance(moved, Moved)
    assert difference(before, moved.approval) == {
        "state": ApprovalState.DENIED,
        "decided_at": SOON,
        "decided_by": EVE.id,
        "category": DenialCategory.TOO_RISKY,
        "comment": "not now",
    }


@pytest.mark.requirement("P7")
def test_an_expiry_and_a_cancellation_name_nobody() -> None:
    before = an_approval()
    expired, cancelled = approvals.expire(before, now=SOON), approvals.cancel(before, now=SOON)
    assert difference(before, expired) == {"state": ApprovalState.EXPIRED, "decided_at": SOON}
    assert difference(before, cancelled) == {"state": ApprovalState.CANCELLED, "decided_at": SOON}


# --- grants -----------------------------------------------------------------------------------------------------------

READY = an_action(state=ActionState.READY)
GRANT = grants.issue(READY, new_id=GrantId("grt_1"), now=NOW, expires_at=SOON + timedelta(minutes=5))


def test_a_fresh_grant_is_bound_to_its_action() -> None:
    assert (GRANT.action, GRANT.agent, GRANT.tool) == (READY.id, READY.agent, READY.tool)
    assert (GRANT.digest, GRANT.redeemed_by, GRANT.issued_at) == (READY.digest, READY.redeemed_by, NOW)
    assert (GRANT.state, GRANT.revision, GRANT.attempt, GRANT.spent_at) == (GrantState.ISSUED, 1, None, None)


@pytest.mark.requirement("P4")
def test_a_redeemed_grant_says_by_which_attempt_and_when() -> None:
    holds = RedeemFacts(
        profile=an_agent(),
        status=None,
        key=a_credential(),
        breakers=(),
        proposal=a_proposal(),
        verdict=Verdict(effect=Effect.REQUIRE_APPROVAL, routes=("default",)),
    )
    redeemed = grants.redeem(GRANT, READY, Claim(attempt=ATTEMPT, digest=READY.digest), holds, SOON)
    assert isinstance(redeemed, Redeemed)
    assert not redeemed.repeated
    expected = {"state": GrantState.SPENT, "attempt": ATTEMPT, "spent_at": SOON}
    assert difference(GRANT, redeemed.grant) == expected


def test_a_withdrawn_grant_is_dead() -> None:
    assert difference(GRANT, grants.kill(GRANT)) == {"state": GrantState.DEAD}


# --- breakers ---------------------------------------------------------------------------------------------------------


def test_tripping_again_forgets_the_reset_that_was_asked_and_says_who_and_why() -> None:
    asked = FirstAsk(by=OperatorId("eve"), at=NOW, reason="calm")
    before = a_breaker(Scope(tool="k8s.*"), reset_asked=asked, revision=7, reason="old")
    after = breakers.trip(
        before,
        new_id=BreakerId("brk_9"),
        scope=before.scope,
        by=OperatorId("omar"),
        now=SOON,
        reason="again",
        ask_again_at=SOON + timedelta(hours=1),
    )
    assert difference(before, after) == {
        "changed_by": "omar",
        "changed_at": SOON,
        "tripped_by": "omar",
        "tripped_at": SOON,
        "reason": "again",
        "ask_again_at": SOON + timedelta(hours=1),
        "reset_asked": None,
    }


def test_a_first_trip_makes_a_breaker() -> None:
    made = breakers.trip(None, new_id=BreakerId("brk_9"), scope=Scope(agent="bot"), by=OperatorId("omar"), now=SOON)
    assert (made.id, made.scope, made.state) == ("brk_9", Scope(agent="bot"), BreakerState.FORCED_OPEN)
    assert (made.revision, made.reason, made.ask_again_at, made.reset_asked) == (1, "", None, None)


def test_the_first_person_s_wish_for_a_reset_changes_nothing_else() -> None:
    before = a_breaker()
    asked = breakers.reset(before, by=OperatorId("omar"), now=SOON, reason="calm", one_person_is_enough=False)
    assert isinstance(asked, NeedsSecond)
    expected = {"reset_asked": FirstAsk(by=OperatorId("omar"), at=SOON, reason="calm")}
    assert difference(before, asked.breaker) == expected


@pytest.mark.parametrize("alone", [True, False])
def test_a_reset_closes_it_and_says_who_when_and_why(*, alone: bool) -> None:
    first = FirstAsk(by=OperatorId("eve"), at=NOW, reason="calm")
    before = a_breaker(reset_asked=first, ask_again_at=NOW, reason="odd")
    closed = breakers.reset(before, by=OperatorId("omar"), now=SOON, reason="found it", one_person_is_enough=alone)
    assert difference(before, closed.breaker) == {
        "state": BreakerState.CLOSED,
        "changed_by": "omar",
        "changed_at": SOON,
        "reason": "found it",
        "reset_asked": None,
        "ask_again_at": None,
    }


# --- credentials ------------------------------------------------------------------------------------------------------


def test_a_revoked_credential_says_by_whom_and_when_and_only_the_first_counts() -> None:
    before = a_credential()
    after = credentials.revoke(before, by="omar", now=SOON)
    assert difference(before, after) == {"revoked_at": SOON, "revoked_by": "omar"}
    assert credentials.revoke(after, by="eve", now=SOON + timedelta(days=1)) is after
