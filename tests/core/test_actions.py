"""Actions: the digest binds every fact, the life moves only forward, only the holder may run and report."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core import actions
from assent.core.actions import (
    ENDED,
    MOVES,
    Action,
    ActionEvent,
    ActionState,
    Impact,
    Outcome,
    action_digest,
    attempt_of,
    can_be_found_again,
    content_of,
    frozen_arguments,
    is_held_by,
)
from assent.core.canonical import canonical, load
from assent.core.errors import IllegalMove
from assent.core.reasons import Reason
from tests.core.samples import NONCE, NOW, a_proposal, an_action

HELD = attempt_of("a" * 22)
leaves = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20)
documents = st.dictionaries(
    st.text(max_size=8), st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=5), max_size=4
)


@pytest.mark.requirement("P3", "T1")
@given(one=documents, other=documents)
def test_different_arguments_have_different_digests_and_key_order_alone_has_not(one: dict, other: dict) -> None:  # type: ignore[type-arg]  # arbitrary JSON
    def digest_of(arguments: object) -> str:
        return action_digest(agent="bot", proposal=a_proposal(arguments=canonical(arguments)), nonce=NONCE)  # type: ignore[arg-type]  # arbitrary JSON

    reordered = dict(reversed(one.items()))
    assert digest_of(one) == digest_of(reordered)
    assert (digest_of(one) == digest_of(other)) is (canonical(one) == canonical(other))


@pytest.mark.requirement("P3", "T1")
@pytest.mark.parametrize(
    "change",
    [{"tool": "k8s.delete"}, {"definition": "e" * 64}, {"resource": "other"}, {"environment": "staging"}],
    ids=lambda change: next(iter(change)),
)
def test_every_fact_is_bound_by_the_digest(change: dict[str, str]) -> None:
    usual = action_digest(agent="bot", proposal=a_proposal(), nonce=NONCE)
    assert action_digest(agent="bot", proposal=a_proposal(**change), nonce=NONCE) != usual
    assert action_digest(agent="other", proposal=a_proposal(), nonce=NONCE) != usual
    assert action_digest(agent="bot", proposal=a_proposal(), nonce=b"n" * 32) != usual


def test_the_frozen_arguments_are_a_fresh_copy_each_time() -> None:
    action = an_action()
    copy = frozen_arguments(action)
    assert isinstance(copy, dict)
    copy["replicas"] = 0
    assert frozen_arguments(action) == load(action.arguments) == {"deployment": "api", "replicas": 5}


def test_acting_for_somebody_else_is_another_ask() -> None:
    asked = {"agent": "bot", "tool": "t", "arguments": b"{}"}
    assert content_of(**asked, on_behalf_of=()) != content_of(**asked, on_behalf_of=("operator:dana",))  # type: ignore[arg-type]  # keyword bundle


@pytest.mark.requirement("T18")
@given(state=st.sampled_from(list(ActionState)), event=st.sampled_from(list(ActionEvent)))
def test_a_move_outside_the_table_is_refused(state: ActionState, event: ActionEvent) -> None:
    action = an_action(state=state)
    if (state, event) in MOVES:
        assert actions.move(action, event) is MOVES[state, event]
    else:
        with pytest.raises(IllegalMove):
            actions.move(action, event)


@pytest.mark.requirement("T18", "P4")
def test_nothing_that_ended_ever_runs_again() -> None:
    runnable = {ActionState.READY, ActionState.EXECUTING}
    assert not [(state, event) for (state, event), after in MOVES.items() if state in ENDED and after in runnable]


def test_approval_makes_it_ready_for_a_while_and_redeeming_makes_it_held() -> None:
    until = NOW + timedelta(minutes=30)
    ready = actions.approve(an_action(), now=NOW, pick_up_until=until)
    assert (ready.state, ready.pick_up_until, ready.revision) == (ActionState.READY, until, 2)
    held = actions.start(ready, attempt=HELD, lease_expires_at=until)
    assert held.state is ActionState.EXECUTING
    assert is_held_by(held, HELD)
    assert not is_held_by(held, attempt_of("b" * 22))
    assert not is_held_by(held, None)
    assert not is_held_by(ready, HELD)


def executing() -> Action:
    return an_action(state=ActionState.EXECUTING, attempt=HELD)


def outcome(status: ActionState, *, reported: bool = True) -> Outcome:
    return Outcome(status=status, at=NOW, reported=reported)


@pytest.mark.parametrize("status", [ActionState.SUCCEEDED, ActionState.FAILED, ActionState.UNKNOWN])
def test_a_reported_outcome_ends_the_action_for_good(status: ActionState) -> None:
    ended = actions.report(executing(), outcome(status))
    assert ended.state is status
    for again in (ActionState.SUCCEEDED, ActionState.FAILED, ActionState.UNKNOWN):
        with pytest.raises(IllegalMove):
            actions.report(ended, outcome(again))


@pytest.mark.requirement("T20")
def test_a_report_after_the_lease_ran_out_unheard_still_tells_what_happened() -> None:
    unheard = actions.report(executing(), outcome(ActionState.UNKNOWN, reported=False))
    assert unheard.state is ActionState.UNKNOWN
    told = actions.report(unheard, outcome(ActionState.SUCCEEDED))
    assert told.state is ActionState.SUCCEEDED
    with pytest.raises(IllegalMove):
        actions.report(unheard, outcome(ActionState.UNKNOWN))


def test_ending_without_running_keeps_why() -> None:
    ended = actions.end(an_action(), ActionEvent.EXPIRE, Reason.of("approval_expired"), now=NOW)
    assert (ended.state, ended.reasons[-1].code, ended.decided_at) == (ActionState.DENIED, "approval_expired", NOW)


@pytest.mark.requirement("T21")
@pytest.mark.parametrize(
    ("impact", "state", "found"),
    [
        (Impact.READ, ActionState.PENDING, True),
        (Impact.READ, ActionState.EXECUTING, False),
        (Impact.WRITE, ActionState.READY, True),
        (Impact.WRITE, ActionState.EXECUTING, True),
        (Impact.DESTRUCTIVE, ActionState.UNKNOWN, True),
        (Impact.READ, ActionState.UNKNOWN, False),
        (Impact.WRITE, ActionState.SUCCEEDED, False),
        (Impact.WRITE, ActionState.DENIED, False),
    ],
)
def test_what_is_found_again_is_what_could_run_twice(impact: Impact, state: ActionState, *, found: bool) -> None:
    assert can_be_found_again(replace(an_action(), impact=impact, state=state)) is found
