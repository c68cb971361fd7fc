"""The table of refusals: codes that others branch on, who meets them, and whether asking again can help."""

import pytest

from assent.core.reasons import Reason
from assent.core.refusals import REFUSALS, Seen

# What stands here was told to agents and written into records: it is never renamed and never means another thing.
MET_BY = {
    Seen.AGENT: (
        "unknown_agent agent_expired unknown_tool unknown_principal driver_required bad_arguments not_canonical"
        " environment_unknown no_rule no_eligible_approver too_many_pending cooling_off grant_spent grant_expired"
        " grant_dead digest_mismatch attempt_mismatch outcome_conflict"
    ),
    Seen.BOTH: (
        "agent_suspended rule_denied definition_changed policy_error approval_denied approval_expired not_picked_up"
        " approval_revoked cancelled breaker_open broker_unavailable already_executed"
    ),
    Seen.OPERATOR: (
        "not_eligible step_up_required already_decided not_approved not_denied digest_changed already_closed"
    ),
}
MAY_BE_RETRIED = frozenset(
    [
        "driver_required",
        "bad_arguments",
        "not_canonical",
        "too_many_pending",
        "approval_expired",
        "not_picked_up",
        "cancelled",
        "broker_unavailable",
        "grant_expired",
    ]
)
ROWS = [(code, seen_by) for seen_by, codes in MET_BY.items() for code in codes.split()]


@pytest.mark.requirement("P1", "P7")
@pytest.mark.parametrize(("code", "seen_by"), ROWS)
def test_a_refusal_keeps_its_code_who_meets_it_and_whether_to_ask_again(code: str, seen_by: Seen) -> None:
    refusal = REFUSALS[code]
    assert (refusal.code, refusal.seen_by, refusal.agent_may_retry) == (code, seen_by, code in MAY_BE_RETRIED)
    assert refusal.sentence
    assert refusal.next_step


@pytest.mark.parametrize("code", REFUSALS)
def test_every_refusal_stands_under_its_own_code(code: str) -> None:
    assert REFUSALS[code].code == code


def test_a_reason_says_the_sentence_and_its_detail_behind_a_colon() -> None:
    sentence = REFUSALS["no_rule"].sentence
    assert Reason.of("no_rule") == Reason("no_rule", sentence)
    assert Reason.of("no_rule", "for `k8s.scale`") == Reason("no_rule", f"{sentence}: for `k8s.scale`")
