"""Breakers, every move of the machine field by field: what it changes, and that it changes nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from assent.core import breakers
from assent.core.actions import ActionState, Impact
from assent.core.breakers import Breaker, BreakerEvent, BreakerId, BreakerState, Healing, Probing, Scope, reset
from assent.core.errors import IllegalMove
from tests.core.samples import NOW, a_breaker
from tests.core.test_breakers import EVE, HEALING, TOOL, opened, trying

LATER = NOW + timedelta(hours=2)


def test_the_first_trip_by_a_rule_says_who_since_when_and_until_when() -> None:
    assert opened() == Breaker(
        id=BreakerId("brk_1"),
        scope=TOOL,
        state=BreakerState.OPEN,
        changed_by="rule:failing",
        changed_at=NOW,
        revision=1,
        reason="3 of 5 calls failed",
        rule="failing",
        tripped_by="rule:failing",
        tripped_at=NOW,
        healing=replace(HEALING, half_open_at=NOW + timedelta(seconds=60)),
    )


def test_a_later_trip_by_a_rule_keeps_the_breaker_and_forgets_how_often_it_opened() -> None:
    old = opened(state=BreakerState.CLOSED, revision=7, reason="old")
    again = breakers.trip_by_rule(
        old,
        new_id=BreakerId("x"),
        scope=TOOL,
        rule="failing",
        now=LATER,
        reason="new",
        healing=replace(HEALING, times=4, half_open_at=NOW),
    )
    assert (again.id, again.revision, again.reason, again.since) == (old.id, 8, "new", LATER)
    assert again.healing == replace(HEALING, half_open_at=LATER + timedelta(seconds=60))


def test_a_breaker_of_a_human_says_who_and_since_when_without_more() -> None:
    assert (a_breaker().by, a_breaker().since, a_breaker().healing, a_breaker().probes) == ("eve", NOW, None, ())
    moved = a_breaker(tripped_by="rule:r", tripped_at=NOW - timedelta(hours=1))
    assert (moved.by, moved.since) == ("rule:r", NOW - timedelta(hours=1))


def test_a_wait_that_is_over_begins_with_no_probes() -> None:
    before = opened(probes=(breakers.Probe(action="old", agent="bot", by_human=False),), revision=4)
    assert breakers.half_open(before, now=LATER) == replace(
        before, state=BreakerState.HALF_OPEN, changed_at=LATER, healing=HEALING, probes=(), revision=5
    )
    assert breakers.half_open(replace(before, changed_by="eve"), now=LATER).changed_by == "rule:failing"


def test_what_has_no_wait_has_none_that_is_over() -> None:
    for breaker in (a_breaker(state=BreakerState.OPEN), opened(healing=HEALING)):
        with pytest.raises(IllegalMove, match="is not over"):
            breakers.half_open(breaker, now=LATER)
        assert breakers.due_at(breaker) is None
        assert breakers.retry_after(breaker, NOW) is None


def test_a_place_is_taken_by_an_action_of_an_agent() -> None:
    tried = trying()
    taken = breakers.reserve(tried, action="a", agent="bot", by_human=True)
    probe = breakers.Probe(action="a", agent="bot", by_human=True, succeeded=False)
    assert taken == replace(tried, probes=(probe,), revision=tried.revision + 1)
    with pytest.raises(IllegalMove):
        breakers.reserve(a_breaker(state=BreakerState.HALF_OPEN), action="a", agent="bot", by_human=True)
    with pytest.raises(IllegalMove):
        breakers.reserve(opened(), action="a", agent="bot", by_human=True)


def test_a_success_among_others_is_kept_for_the_next() -> None:
    tried = breakers.reserve(trying(), action="a", agent="bot", by_human=False)
    tried = breakers.reserve(tried, action="b", agent="bot", by_human=True)
    after = breakers.settle(tried, action="a", became=ActionState.SUCCEEDED, now=LATER)
    assert {(probe.action, probe.succeeded) for probe in after.probes} == {("a", True), ("b", False)}
    assert (after.state, after.revision) == (BreakerState.HALF_OPEN, tried.revision + 1)
    # The human let the other one through, and that one ran.
    closed = breakers.settle(after, action="b", became=ActionState.SUCCEEDED, now=LATER)
    assert closed == replace(
        tried,
        state=BreakerState.CLOSED,
        changed_by="rule:failing",
        changed_at=LATER,
        healing=None,
        probes=(),
        revision=after.revision + 1,
    )


def test_a_failed_probe_opens_it_anew_from_that_moment() -> None:
    tried = breakers.reserve(trying(), action="a", agent="bot", by_human=False)
    again = breakers.settle(tried, action="a", became=ActionState.FAILED, now=LATER)
    assert again == replace(
        tried,
        state=BreakerState.OPEN,
        changed_at=LATER,
        tripped_at=LATER,
        healing=replace(HEALING, times=2, half_open_at=LATER + timedelta(seconds=120)),
        probes=(),
        revision=tried.revision + 1,
    )


@pytest.mark.parametrize("before", [opened(), trying()])
def test_a_breaker_over_the_tool_takes_the_place_of_those_over_each_agent(before: Breaker) -> None:
    assert breakers.taken_over(before, now=LATER) == replace(
        before,
        state=BreakerState.CLOSED,
        changed_by="rule:failing",
        changed_at=LATER,
        healing=None,
        probes=(),
        revision=before.revision + 1,
    )


def test_a_reset_of_what_would_have_healed_leaves_nothing_to_heal() -> None:
    tried = breakers.reserve(trying(), action="a", agent="bot", by_human=False)
    closed = reset(tried, by=EVE, now=LATER, reason="", one_person_is_enough=True).breaker
    assert (closed.healing, closed.probes) == (None, ())


def test_what_is_due_first_is_due() -> None:
    soon, late = NOW + timedelta(seconds=59), NOW + timedelta(seconds=61)
    assert breakers.due_at(opened(ask_again_at=soon)) == soon
    assert breakers.due_at(opened(ask_again_at=late)) == NOW + timedelta(seconds=60)
    assert breakers.due_at(opened(state=BreakerState.FORCED_OPEN)) is None
    assert breakers.due_at(opened(state=BreakerState.FORCED_OPEN, ask_again_at=late)) == late


def test_whoever_asks_a_moment_before_it_is_over_waits_a_second() -> None:
    over = NOW + timedelta(seconds=60)
    assert [breakers.retry_after(opened(), at) for at in (over, over + timedelta(hours=1))] == [1, 1]
    assert breakers.retry_after(trying(Scope(agent="bot")), NOW) == 60
    assert breakers.retry_after(a_breaker(state=BreakerState.HALF_OPEN), NOW) is None
    assert breakers.retry_after(opened(state=BreakerState.FORCED_OPEN), NOW) is None
    short = replace(HEALING, wait_in_open=timedelta(milliseconds=1))
    assert breakers.retry_after(replace(trying(), healing=short), NOW) == 1


def test_a_human_looks_at_a_probe_where_one_of_its_breakers_wants_it() -> None:
    both = [trying(), trying(Scope(agent="bot", tool="k8s.*"))]
    for found in (both, both[::-1]):
        probing = breakers.met(found, agent="bot", tool="k8s.scale", environment="e", impact=Impact.READ)
        assert probing == Probing(tuple(found), by_human=True)
    fine = breakers.met(both[:1], agent="bot", tool="k8s.scale", environment="e", impact=Impact.READ)
    assert fine == Probing((both[0],), by_human=False)


@pytest.mark.requirement("T25")
def test_successes_of_two_agents_count_though_another_failed_to_run() -> None:
    tried = breakers.reserve(trying(), action="a", agent="bot", by_human=False)
    tried = breakers.reserve(tried, action="b", agent="bot", by_human=False)
    tried = breakers.settle(tried, action="a", became=ActionState.SUCCEEDED, now=NOW)
    tried = breakers.settle(tried, action="b", became=ActionState.SUCCEEDED, now=NOW)
    assert tried.state is BreakerState.HALF_OPEN


def test_agents_that_failed_since_and_five_minutes_ago_exactly_still_count() -> None:
    mine = opened(Scope(agent="bot", tool="k8s.scale"))
    assert breakers.failing_with([mine], rule="failing", scope=TOOL, since=NOW) == [mine]
    half = trying(Scope(agent="other", tool="k8s.scale"))
    assert breakers.failing_with([half], rule="failing", scope=TOOL, since=NOW) == [half]
    assert breakers.failing_with([opened(TOOL)], rule="failing", scope=TOOL, since=NOW) == []
    assert breakers.tripped_at_once([mine], NOW + timedelta(minutes=5)) == 1
    assert breakers.tripped_at_once([mine], NOW + timedelta(minutes=5, seconds=1)) == 0
    assert breakers.tripped_at_once([replace(mine, state=BreakerState.CLOSED)], NOW) == 0


def test_doubling_stops_at_an_hour_however_often_it_opened() -> None:
    tiny = Healing(wait_in_open=timedelta(milliseconds=1), probes=2, times=17)
    assert tiny.wait == timedelta(milliseconds=1 << 16)
    assert replace(tiny, times=18).wait == timedelta(milliseconds=1 << 16)
    assert replace(tiny, times=10_000).wait == timedelta(milliseconds=1 << 16)
    assert Healing(wait_in_open=timedelta(seconds=1), probes=2).times == 1


def test_a_scope_names_its_dimensions_as_they_are_stored() -> None:
    whole = Scope(agent="a", tool="t", environment="e")
    assert whole.named() == {"agent": "a", "tool": "t", "environment": "e"}
    assert whole.describe() == "agent `a`, tool `t`, environment `e`"
    assert Scope().named() == {}


def test_events_and_numbers_are_those_of_the_design() -> None:
    assert {event.value for event in BreakerEvent} == {
        "trip", "fail", "wait_over", "probe_failed", "probes_succeeded", "taken_over", "reset",
    }  # fmt: skip
    assert (breakers.AGENTS_TO_CLOSE, breakers.AGENTS_TO_CUT_OFF, breakers.SHARE_TO_PAGE) == (2, 3, 0.3)
    assert breakers.PROBE_ROUTE == "default"


def test_an_action_meets_only_what_is_open_and_over_it() -> None:
    elsewhere, closed = opened(Scope(tool="db.*")), opened(state=BreakerState.CLOSED)
    for found in (elsewhere, closed):
        met = breakers.met([found], agent="bot", tool="k8s.scale", environment="e", impact=Impact.READ)
        assert met is None
    over = opened()
    assert breakers.met([over], agent="bot", tool="k8s.scale", environment="e", impact=Impact.READ) is over
