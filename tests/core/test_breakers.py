"""Breakers: what a scope covers, that tripping always works alone and closing takes two."""

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core import breakers
from assent.core.actions import ActionState, Impact
from assent.core.breakers import (
    Breaker,
    BreakerEvent,
    BreakerId,
    BreakerState,
    Closed,
    Healing,
    NeedsSecond,
    Probing,
    Scope,
    first_open,
    reset,
    trip,
)
from assent.core.errors import IllegalMove
from assent.core.operators import OperatorId
from tests.core.samples import NOW, a_breaker

EVE, SAM = OperatorId("eve"), OperatorId("sam")


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope(), True),
        (Scope(agent="bot"), True),
        (Scope(agent="other"), False),
        (Scope(tool="k8s.*"), True),
        (Scope(tool="k8s"), False),
        (Scope(tool="**"), True),
        (Scope(environment="production"), True),
        (Scope(environment="staging"), False),
        (Scope(agent="bot", tool="k8s.scale", environment="production"), True),
        (Scope(agent="bot", tool="db.*"), False),
    ],
)
def test_a_scope_covers_what_matches_every_named_dimension(scope: Scope, *, covered: bool) -> None:
    assert scope.covers(agent="bot", tool="k8s.scale", environment="production") is covered


def test_an_action_without_an_environment_escapes_no_scope() -> None:
    assert Scope(environment="production").covers(agent="bot", tool="t", environment="")


def test_a_scope_reads_as_words() -> None:
    assert Scope().describe() == "everything"
    assert Scope(agent="bot", environment="production").describe() == "agent `bot`, environment `production`"


@pytest.mark.requirement("P6")
@given(state=st.none() | st.sampled_from(list(BreakerState)), revision=st.integers(1, 9))
def test_tripping_works_from_every_state(state: BreakerState | None, revision: int) -> None:
    scope = Scope(environment="production")
    before = None if state is None else a_breaker(scope, state=state, revision=revision)
    tripped = trip(before, new_id=BreakerId("new"), scope=scope, by=EVE, now=NOW, reason="loop")
    assert tripped.state is BreakerState.FORCED_OPEN
    assert tripped.revision == (1 if before is None else revision + 1)
    assert tripped.id == ("new" if before is None else before.id)
    assert first_open([tripped], agent="bot", tool="t", environment="production") is tripped


def test_a_second_different_person_closes_it_within_fifteen_minutes() -> None:
    first = reset(a_breaker(), by=EVE, now=NOW, reason="fixed", one_person_is_enough=False)
    assert isinstance(first, NeedsSecond)
    assert breakers.denies(first.breaker)
    soon = NOW + timedelta(minutes=15)
    second = reset(first.breaker, by=SAM, now=soon, reason="seen", one_person_is_enough=False)
    assert isinstance(second, Closed)
    assert not breakers.denies(second.breaker)
    assert second.breaker.reset_asked is None


@pytest.mark.requirement("P5")
@pytest.mark.parametrize(("by", "minutes"), [(EVE, 1), (SAM, 16)])
def test_the_same_person_twice_or_a_second_too_late_is_one_person(by: OperatorId, minutes: int) -> None:
    first = reset(a_breaker(), by=EVE, now=NOW, reason="", one_person_is_enough=False)
    later = NOW + timedelta(minutes=minutes)
    second = reset(first.breaker, by=by, now=later, reason="", one_person_is_enough=False)
    assert isinstance(second, NeedsSecond)
    assert breakers.denies(second.breaker)


def test_a_trip_forgets_who_wanted_to_close_it() -> None:
    first = reset(a_breaker(), by=EVE, now=NOW, reason="", one_person_is_enough=False)
    again = trip(first.breaker, new_id=BreakerId("x"), scope=Scope(), by=SAM, now=NOW)
    second = reset(again, by=SAM, now=NOW, reason="", one_person_is_enough=False)
    assert isinstance(second, NeedsSecond)


def test_one_person_is_enough_where_the_scope_says_so() -> None:
    result = reset(a_breaker(), by=EVE, now=NOW, reason="", one_person_is_enough=True)
    assert isinstance(result, Closed)


HEALING = Healing(wait_in_open=timedelta(seconds=60), probes=2)
TOOL = Scope(tool="k8s.scale")


def opened(scope: Scope = TOOL, **changes: Any) -> Breaker:
    """Return a breaker that a rule opened on failing."""
    tripped = breakers.trip_by_rule(
        None,
        new_id=BreakerId("brk_1"),
        scope=scope,
        rule="failing",
        now=NOW,
        reason="3 of 5 calls failed",
        healing=HEALING,
    )
    return replace(tripped, **changes)


def trying(scope: Scope = TOOL) -> Breaker:
    """Return the same breaker after its wait."""
    return breakers.half_open(opened(scope), now=NOW + timedelta(seconds=60))


def test_only_moves_of_the_table_are_made() -> None:
    for state, event in itertools.product(BreakerState, BreakerEvent):
        breaker = a_breaker(state=state)
        if (state, event) in breakers.MOVES:
            assert breakers.move(breaker, event) is breakers.MOVES[state, event]
        else:
            with pytest.raises(IllegalMove):
                breakers.move(breaker, event)


def test_no_move_but_a_reset_leaves_forced_open() -> None:
    leaving = {
        event for (state, event), after in breakers.MOVES.items() if state is BreakerState.FORCED_OPEN is not after
    }
    assert leaving == {BreakerEvent.RESET}


def test_what_fails_opens_for_a_while_and_then_lets_probes_through() -> None:
    breaker = opened()
    assert (breaker.state, breaker.by, breaker.rule) == (BreakerState.OPEN, "rule:failing", "failing")
    assert breakers.due_at(breaker) == NOW + timedelta(seconds=60)
    assert breakers.retry_after(breaker, NOW + timedelta(seconds=18, milliseconds=500)) == 42
    with pytest.raises(IllegalMove):
        breakers.half_open(breaker, now=NOW + timedelta(seconds=59))
    tried = breakers.half_open(breaker, now=NOW + timedelta(seconds=60))
    assert (tried.state, breakers.due_at(tried)) == (BreakerState.HALF_OPEN, None)
    assert breakers.retry_after(tried, NOW) == 60


def test_what_an_agent_does_wrong_is_forced_open_and_waits_for_a_human() -> None:
    scope = Scope(agent="bot")
    breaker = breakers.trip_by_rule(None, new_id=BreakerId("b"), scope=scope, rule="runaway", now=NOW, reason="loop")
    assert breaker.state is BreakerState.FORCED_OPEN
    assert breakers.due_at(breaker) is None
    assert breakers.retry_after(breaker, NOW) is None


def test_a_rule_adds_nothing_to_what_is_stopped_already() -> None:
    assert not breakers.adds_nothing(None, healing=HEALING)
    assert not breakers.adds_nothing(a_breaker(state=BreakerState.CLOSED), healing=HEALING)
    assert breakers.adds_nothing(opened(), healing=HEALING)
    assert not breakers.adds_nothing(opened(), healing=None)
    assert breakers.adds_nothing(a_breaker(), healing=None)


def met(breaker: Breaker, *, agent: str = "bot", impact: Impact = Impact.READ) -> Breaker | Probing | None:
    return breakers.met([breaker], agent=agent, tool="k8s.scale", environment="production", impact=impact)


@pytest.mark.parametrize(
    ("breaker", "impact", "by_human"),
    [
        (trying(), Impact.READ, False),
        (trying(), Impact.WRITE, True),
        (trying(), Impact.DESTRUCTIVE, True),
        (trying(Scope(agent="bot", tool="k8s.scale")), Impact.READ, True),
        (breakers.reserve(trying(), action="a", agent="bot", by_human=False), Impact.READ, True),
        (breakers.reserve(trying(), action="a", agent="other", by_human=False), Impact.READ, False),
    ],
)
def test_a_probe_is_a_read_of_a_new_agent_or_goes_to_a_human(
    breaker: Breaker, impact: Impact, *, by_human: bool
) -> None:
    found = met(breaker, impact=impact)
    assert isinstance(found, Probing)
    assert found.by_human is by_human


def test_no_more_probes_than_places() -> None:
    full = breakers.reserve(trying(), action="a", agent="one", by_human=False)
    full = breakers.reserve(full, action="b", agent="two", by_human=False)
    assert met(full) is full
    with pytest.raises(IllegalMove):
        breakers.reserve(full, action="c", agent="three", by_human=False)


def test_only_the_reserved_action_passes_a_half_open_breaker() -> None:
    tried = breakers.reserve(trying(), action="a", agent="bot", by_human=False)
    asked = {"agent": "bot", "tool": "k8s.scale", "environment": "production"}
    assert first_open([tried], **asked, action="a") is None
    assert first_open([tried], **asked, action="b") is tried
    assert first_open([tried], **asked) is tried
    stopped = replace(tried, state=BreakerState.OPEN)
    assert first_open([stopped], **asked, action="a") is stopped


def test_another_breaker_over_the_same_action_stops_a_probe() -> None:
    forced = a_breaker(Scope(agent="bot"), id=BreakerId("brk_2"))
    found = breakers.met(
        [trying(), forced], agent="bot", tool="k8s.scale", environment="production", impact=Impact.READ
    )
    assert found is forced


@pytest.mark.requirement("T25")
def test_one_agent_alone_never_closes_by_its_own_word() -> None:
    tried = breakers.reserve(trying(), action="a", agent="bot", by_human=False)
    after = breakers.settle(tried, action="a", became=ActionState.SUCCEEDED, now=NOW)
    assert after.state is BreakerState.HALF_OPEN
    assert met(after) == Probing((after,), by_human=True)


def test_two_agents_close_it() -> None:
    tried = breakers.reserve(trying(), action="a", agent="bot", by_human=False)
    tried = breakers.reserve(tried, action="b", agent="other", by_human=False)
    tried = breakers.settle(tried, action="b", became=ActionState.SUCCEEDED, now=NOW)
    closed = breakers.settle(tried, action="a", became=ActionState.SUCCEEDED, now=NOW)
    assert (closed.state, closed.probes, closed.healing) == (BreakerState.CLOSED, (), None)


def test_one_that_a_human_let_through_closes_it() -> None:
    tried = breakers.reserve(trying(Scope(agent="bot", tool="k8s.scale")), action="a", agent="bot", by_human=True)
    assert breakers.settle(tried, action="a", became=ActionState.SUCCEEDED, now=NOW).state is BreakerState.CLOSED


@pytest.mark.parametrize("became", [ActionState.FAILED, ActionState.UNKNOWN])
def test_a_probe_that_fails_opens_it_for_twice_as_long(became: ActionState) -> None:
    now, tried, waits = NOW, trying(), []
    for _ in range(8):
        tried = breakers.reserve(tried, action="a", agent="bot", by_human=False)
        again = breakers.settle(tried, action="a", became=became, now=now)
        due = breakers.due_at(again)
        assert again.state is BreakerState.OPEN
        assert due is not None
        waits.append((due - now).total_seconds())
        now, tried = due, breakers.half_open(again, now=due)
    assert waits == [120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_wait_longer_than_the_longest_stays_as_long() -> None:
    assert Healing(wait_in_open=timedelta(hours=2), probes=2, times=5).wait == timedelta(hours=2)


@pytest.mark.parametrize("became", [ActionState.DENIED, ActionState.LAPSED, ActionState.CANCELLED, ActionState.REVOKED])
def test_a_probe_that_never_ran_frees_its_place(became: ActionState) -> None:
    tried = breakers.reserve(trying(), action="a", agent="bot", by_human=True)
    freed = breakers.settle(tried, action="a", became=became, now=NOW)
    assert (freed.state, freed.probes) == (BreakerState.HALF_OPEN, ())


def test_what_is_no_probe_any_more_changes_nothing() -> None:
    tried = breakers.reserve(trying(), action="a", agent="bot", by_human=True)
    forced = trip(tried, new_id=BreakerId("x"), scope=TOOL, by=EVE, now=NOW)
    for breaker, action in ((tried, "b"), (forced, "a"), (replace(tried, state=BreakerState.OPEN), "a")):
        assert breakers.settle(breaker, action=action, became=ActionState.SUCCEEDED, now=NOW) is breaker


def test_failing_agents_are_counted_by_rule_scope_and_time() -> None:
    mine = opened(Scope(agent="bot", tool="k8s.scale"))
    found = [
        mine,
        opened(Scope(agent="late", tool="k8s.scale"), tripped_at=NOW - timedelta(minutes=6)),
        opened(Scope(agent="other", tool="db.run")),
        opened(Scope(agent="ruled", tool="k8s.scale"), rule="else"),
        opened(Scope(agent="fine", tool="k8s.scale"), state=BreakerState.CLOSED),
        a_breaker(Scope(agent="human", tool="k8s.scale")),
    ]
    since = NOW - timedelta(minutes=5)
    assert breakers.failing_with(found, rule="failing", scope=TOOL, since=since) == [mine]


def test_agents_are_counted_once_however_often_they_trip() -> None:
    found = [
        opened(Scope(agent="bot", tool="a")),
        opened(Scope(agent="bot", tool="b")),
        opened(Scope(agent="other", tool="b")),
        opened(Scope(agent="early", tool="b"), tripped_at=NOW - timedelta(minutes=6)),
        a_breaker(Scope(agent="human")),
        opened(TOOL),
    ]
    assert breakers.tripped_at_once(found, NOW) == 2


def test_a_reminder_is_due_and_changes_nothing_else() -> None:
    breaker = trip(None, new_id=BreakerId("b"), scope=TOOL, by=EVE, now=NOW, ask_again_at=NOW + timedelta(minutes=30))
    assert breakers.due_at(breaker) == NOW + timedelta(minutes=30)
    reminded = breakers.remind(breaker)
    assert reminded == replace(breaker, ask_again_at=None, revision=2)


def test_a_wish_to_close_ends_when_the_machine_moves_the_breaker() -> None:
    asked = reset(opened(), by=EVE, now=NOW, reason="", one_person_is_enough=False)
    moved = breakers.half_open(asked.breaker, now=NOW + timedelta(seconds=60))
    assert moved.reset_asked is None
