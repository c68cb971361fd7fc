"""Approvals: who may answer, what counts, and that nothing leaves a final state."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core import approvals
from assent.core.actions import Impact
from assent.core.approvals import (
    OPEN,
    Approval,
    ApprovalEvent,
    ApprovalState,
    DenialCategory,
    Moved,
    can_be_satisfied,
    deny,
    is_self_approved,
    vote,
    who_can_vote,
    why_not_stop,
)
from assent.core.errors import IllegalMove
from assent.core.operators import PERMISSION_SETS, Assurance, Operator, SinglePerson
from assent.core.reasons import Reason
from tests.core.samples import NOW, a_route, a_voter, an_approval, an_operator

EVE = an_operator("eve", "oncall")
SAM = an_operator("sam", "security")
BOTH = an_operator("both", "oncall", "security")
OWNER = an_operator("owner", "oncall")
PEOPLE = (EVE, SAM, BOTH, OWNER)


def yes(approval: Approval, operator: Operator, people: tuple[Operator, ...] = PEOPLE, **voter: Any) -> Moved | Reason:
    return vote(
        approval,
        a_voter(operator, **voter),
        digest_prefix=approval.digest[:8],
        operators=people,
        now=NOW,
    )


def after(approval: Approval, *operators: Operator, people: tuple[Operator, ...] = PEOPLE) -> Approval:
    for operator in operators:
        voted = yes(approval, operator, people)
        assert isinstance(voted, Moved), voted
        approval = voted.approval
    return approval


def code(result: Moved | Reason | None) -> str:
    assert isinstance(result, Reason)
    return result.code


@pytest.mark.requirement("P5")
def test_one_eligible_yes_completes_a_route_that_needs_one() -> None:
    approved = after(an_approval(), EVE)
    assert approved.state is ApprovalState.APPROVED
    assert approved.decided_by == "eve"
    assert approved.revision == 2


@pytest.mark.requirement("P5")
def test_a_person_in_two_groups_fills_one_seat_only() -> None:
    asked = an_approval(a_route((1, "oncall"), (1, "security")))
    partial = after(asked, BOTH)
    assert partial.state is ApprovalState.PARTIAL
    assert after(partial, EVE).state is ApprovalState.APPROVED


@pytest.mark.requirement("P5")
def test_a_person_fills_one_seat_over_several_routes() -> None:
    asked = an_approval(a_route((1, "oncall")), a_route((1, "security"), name="second"))
    assert after(asked, BOTH).state is ApprovalState.PARTIAL
    assert after(asked, BOTH, SAM).state is ApprovalState.APPROVED


@pytest.mark.requirement("P5")
def test_the_same_person_voting_again_changes_nothing() -> None:
    asked = an_approval(a_route((2, "oncall")))
    once = after(asked, EVE)
    again = yes(once, EVE)
    assert again == Moved(once, moved=False)


@pytest.mark.requirement("P5", "T4")
@pytest.mark.parametrize(
    "changes",
    [{"owner": "eve"}, {"drivers": ("eve",)}, {"key_issuer": "eve"}],
    ids=["owner", "driver", "key issuer"],
)
def test_whoever_is_involved_never_fills_a_seat(changes: dict[str, Any]) -> None:
    asked = an_approval(**changes)
    assert code(yes(asked, EVE)) == "not_eligible"
    assert not can_be_satisfied(asked, (EVE,), NOW)
    assert "eve" not in who_can_vote(asked, PEOPLE, NOW)


@pytest.mark.requirement("P5")
def test_single_person_lets_the_owner_through_in_the_open_and_not_for_destruction() -> None:
    alone = replace(OWNER, single_person=SinglePerson(reason="one founder", until=NOW + timedelta(days=1)))
    people = (alone,)
    approved = after(an_approval(), alone, people=people)
    assert approved.state is ApprovalState.APPROVED
    assert is_self_approved(approved)
    destructive = an_approval(impact=Impact.DESTRUCTIVE)
    assert code(yes(destructive, alone, people)) == "not_eligible"
    over = replace(alone, single_person=SinglePerson(reason="one founder", until=NOW))
    assert code(yes(an_approval(), over, (over,))) == "not_eligible"


@pytest.mark.requirement("P5")
def test_a_vote_dies_when_its_voter_loses_eligibility() -> None:
    partial = after(an_approval(a_route((2, "oncall"))), EVE)
    demoted = replace(EVE, groups=())
    completing = yes(partial, BOTH, (demoted, BOTH))
    assert isinstance(completing, Moved)
    assert completing.approval.state is ApprovalState.PARTIAL


def test_who_lost_the_permission_or_the_group_is_told_so() -> None:
    assert code(yes(an_approval(), replace(EVE, permissions=frozenset()))) == "not_eligible"
    assert code(yes(an_approval(), SAM)) == "not_eligible"


@pytest.mark.requirement("T22")
def test_a_surface_below_the_route_may_not_approve_but_may_deny() -> None:
    asked = an_approval(a_route((1, "oncall"), assurance=Assurance.LINKED))
    by_token = a_voter(EVE, assurance=Assurance.TOKEN, surface="api")
    refused = vote(asked, by_token, digest_prefix=asked.digest, operators=PEOPLE, now=NOW)
    assert code(refused) == "step_up_required"
    denied = deny(asked, by_token, category=DenialCategory.TOO_RISKY, comment="", now=NOW)
    assert isinstance(denied, Moved)
    assert denied.approval.state is ApprovalState.DENIED


@pytest.mark.requirement("T22")
def test_a_token_that_the_owner_issued_waits_a_day_before_it_votes() -> None:
    fresh: dict[str, Any] = {"token_issued_by": "owner", "token_issued_at": NOW - timedelta(hours=23)}
    assert code(yes(an_approval(), EVE, **fresh)) == "not_eligible"
    assert code(yes(an_approval(), EVE, token_issued_by="owner", token_issued_at=None)) == "not_eligible"
    old: dict[str, Any] = {"token_issued_by": "owner", "token_issued_at": NOW - timedelta(hours=24)}
    assert isinstance(yes(an_approval(), EVE, **old), Moved)


@pytest.mark.requirement("T22")
def test_a_fresh_token_issued_by_the_driver_does_not_vote_for_them() -> None:
    asked = an_approval(drivers=("dana",))
    fresh: dict[str, Any] = {"token_issued_by": "dana", "token_issued_at": NOW - timedelta(hours=1)}
    assert code(yes(asked, EVE, **fresh)) == "not_eligible"


@pytest.mark.requirement("P3")
@pytest.mark.parametrize("prefix", ["", "abc", "0" * 64])
def test_a_yes_to_something_else_does_not_count(prefix: str) -> None:
    asked = an_approval()
    assert code(vote(asked, a_voter(EVE), digest_prefix=prefix, operators=PEOPLE, now=NOW)) == "digest_changed"


@pytest.mark.requirement("P7")
def test_a_late_yes_is_told_that_time_is_over_even_before_the_clockwork_noticed() -> None:
    asked = an_approval()
    late = vote(asked, a_voter(EVE), digest_prefix=asked.digest, operators=PEOPLE, now=asked.expires_at)
    assert code(late) == "approval_expired"
    expired = approvals.expire(asked, now=asked.expires_at)
    assert expired.state is ApprovalState.EXPIRED
    assert expired.decided_by is None
    assert code(yes(expired, EVE)) == "approval_expired"


def test_the_second_of_two_racers_hears_who_was_first() -> None:
    approved = after(an_approval(), EVE)
    refused = yes(approved, BOTH)
    assert code(refused) == "already_decided"
    assert isinstance(refused, Reason)
    assert "eve" in refused.message


def test_one_denial_is_enough_and_repeating_it_changes_nothing() -> None:
    asked = after(an_approval(a_route((2, "oncall"))), BOTH)
    denied = deny(asked, a_voter(EVE), category=DenialCategory.MALICIOUS, comment="no", now=NOW)
    assert isinstance(denied, Moved)
    assert denied.approval.category is DenialCategory.MALICIOUS
    again = deny(denied.approval, a_voter(EVE), category=DenialCategory.OTHER, comment="", now=NOW)
    assert again == Moved(denied.approval, moved=False)
    assert code(deny(denied.approval, a_voter(BOTH), category=DenialCategory.OTHER, comment="", now=NOW)) == (
        "already_decided"
    )


def test_owner_and_security_admin_may_deny_and_a_stranger_may_not() -> None:
    asked = an_approval()
    admin = an_operator("admin", permissions=PERMISSION_SETS["security_admin"], security_admin=True)
    assert why_not_stop(asked, a_voter(OWNER), NOW) is None
    assert why_not_stop(asked, a_voter(admin), NOW) is None
    assert code(deny(asked, a_voter(SAM), category=DenialCategory.OTHER, comment="", now=NOW)) == "not_eligible"


def test_an_approval_that_nobody_was_asked_for_is_never_complete() -> None:
    nobody = an_approval(a_route())
    assert not can_be_satisfied(nobody, PEOPLE, NOW)


@pytest.mark.requirement("T18")
@given(
    state=st.sampled_from(sorted(set(ApprovalState) - OPEN)),
    event=st.sampled_from(list(ApprovalEvent)),
)
def test_no_event_leaves_a_final_state(state: ApprovalState, event: ApprovalEvent) -> None:
    with pytest.raises(IllegalMove):
        approvals.move(an_approval(state=state), event)


def test_cancelling_ends_it_without_anybody_having_decided() -> None:
    cancelled = approvals.cancel(an_approval(), now=NOW)
    assert cancelled.state is ApprovalState.CANCELLED
    assert cancelled.decided_by is None


GROUPS = ("a", "b", "c")
people_strategy = st.lists(st.tuples(st.sets(st.sampled_from(GROUPS)), st.sampled_from(list(Assurance))), max_size=4)
needs_strategy = st.lists(st.tuples(st.integers(1, 2), st.sampled_from(GROUPS)), min_size=1, max_size=3)


def naively_filled(seats: list[str], members: list[set[str]]) -> bool:
    if len(members) < len(seats):
        return False
    return any(
        all(seat in groups for seat, groups in zip(seats, chosen, strict=False))
        for chosen in permutations(members, len(seats))
    )


@pytest.mark.requirement("P5")
@given(groups=st.lists(st.sets(st.sampled_from(GROUPS)), max_size=5), needs=needs_strategy)
def test_seats_fill_exactly_when_some_assignment_of_distinct_people_exists(
    groups: list[set[str]], needs: list[tuple[int, str]]
) -> None:
    people = tuple(an_operator(f"p{i}", *sorted(g)) for i, g in enumerate(groups))
    seats = [group for count, group in needs for _ in range(count)]
    assert can_be_satisfied(an_approval(a_route(*needs)), people, NOW) is naively_filled(seats, groups)


@pytest.mark.requirement("P5")
@given(people=people_strategy, needs=needs_strategy, least=st.sampled_from(list(Assurance)), data=st.data())
def test_approved_only_by_distinct_eligible_people_on_good_enough_surfaces(
    people: list[tuple[set[str], Assurance]], needs: list[tuple[int, str]], least: Assurance, data: st.DataObject
) -> None:
    operators = tuple(an_operator(f"p{i}", *sorted(groups)) for i, (groups, _) in enumerate(people))
    surface = {o.id: assurance for o, (_, assurance) in zip(operators, people, strict=True)}
    approval = an_approval(a_route(*needs, assurance=least), owner="p0")
    order = data.draw(st.lists(st.sampled_from(operators), max_size=8)) if operators else []
    for operator in order:
        voted = yes(approval, operator, operators, assurance=surface[operator.id])
        approval = voted.approval if isinstance(voted, Moved) else approval
    seats = sum(count for count, _ in needs)
    voters = [v.operator for v in approval.votes]
    assert len(voters) == len(set(voters))
    assert "p0" not in voters
    if approval.state is ApprovalState.APPROVED:
        assert len({v.operator for v in approval.votes if v.assurance >= least}) >= seats


@pytest.mark.requirement("T4")
def test_no_combination_of_roles_lets_the_involved_approve() -> None:
    surfaces = ("slack", "console", "cli", "api")
    involved: tuple[dict[str, Any], ...] = ({"owner": "eve"}, {"drivers": ("eve",)}, {"key_issuer": "eve"})
    for surface, changes, assurance in product(surfaces, involved, Assurance):
        asked = an_approval(**changes)
        assert code(yes(asked, EVE, surface=surface, assurance=assurance)) == "not_eligible"
