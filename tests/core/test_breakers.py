"""Breakers: what a scope covers, that tripping always works alone and closing takes two."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.core import breakers
from assent.core.breakers import BreakerId, BreakerState, Closed, NeedsSecond, Scope, first_open, reset, trip
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
