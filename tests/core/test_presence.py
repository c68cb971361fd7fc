"""An agent that waits is there, quiet, or gone: never gone early, and never when it may stay away."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from assent.core.actions import ActionId
from assent.core.agents import AgentId
from assent.core.approvals import Need, Route
from assent.core.presence import CREDIT, QUIET_AFTER, Presence, begin, forget, is_gone, looked_at, seen, waits

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
NEEDS = (Need(count=1, of="oncall"),)


def presence(*minutes: int | None) -> Presence:
    waits = [None if one is None else timedelta(minutes=one) for one in minutes]
    routes = [Route(name=f"r{n}", needs=NEEDS, agent_gone_after=wait) for n, wait in enumerate(waits)]
    return seen(begin(ActionId("act_1"), AgentId("bot"), routes, now=T0), now=T0)


@pytest.mark.parametrize(
    ("minutes", "after"), [((5,), 5), ((5, 9), 9), ((5, None), None), ((None,), None), ((), None)], ids=str
)
def test_the_most_patient_route_counts(minutes: tuple[int | None, ...], after: int | None) -> None:
    assert presence(*minutes).gone_after == (None if after is None else timedelta(minutes=after))


@given(away=some.integers(0, 3_600), began=some.integers(-600, 3_600))
def test_nobody_is_gone_before_they_were_looked_for_long_enough(away: int, began: int) -> None:
    now, since = T0 + timedelta(seconds=away), T0 + timedelta(seconds=began)
    gone = is_gone(presence(5), watched_since=since, now=now)
    assert gone is (now - max(T0, since) >= timedelta(minutes=5))


@given(away=some.integers(0, 10**7))
def test_who_may_stay_away_is_quiet_and_never_gone(away: int) -> None:
    now = T0 + timedelta(seconds=away)
    looked = looked_at(presence(None), watched_since=T0, now=now)
    assert not is_gone(looked, watched_since=T0, now=now)
    assert looked.is_quiet is (timedelta(seconds=away) >= QUIET_AFTER)
    assert looked.due_at is not None
    assert looked.due_at > now or not looked.is_quiet


def test_a_sign_of_life_begins_anew() -> None:
    quiet = looked_at(presence(5), watched_since=T0, now=T0 + QUIET_AFTER)
    assert (quiet.is_quiet, quiet.due_at) == (True, T0 + timedelta(minutes=5))

    back = seen(quiet, now=T0 + timedelta(minutes=4))
    assert (back.is_quiet, back.due_at) == (False, T0 + timedelta(minutes=4) + QUIET_AFTER)
    assert not is_gone(back, watched_since=T0, now=T0 + timedelta(minutes=8))
    assert (forget(back).due_at, forget(back).revision) == (None, 5)


def test_what_was_missed_while_nobody_looked_is_nobodys_absence() -> None:
    began = T0 + timedelta(hours=1)
    looked = looked_at(presence(5), watched_since=began, now=began)
    assert (looked.is_quiet, looked.due_at) == (False, began + QUIET_AFTER)


@given(away=some.integers(0, 3_600))
def test_whoever_was_seen_waiting_has_credit_because_who_saw_it_may_have_died(away: int) -> None:
    now, waiting = T0 + timedelta(seconds=away), waits(presence(5), now=T0)
    assert is_gone(waiting, watched_since=T0, now=now) is (timedelta(seconds=away) >= CREDIT + timedelta(minutes=5))
    looked = looked_at(waiting, watched_since=T0, now=now)
    assert looked.is_quiet is (timedelta(seconds=away) >= CREDIT + QUIET_AFTER)
    assert waiting.due_at == T0 + CREDIT
