"""The bounds of a life under a clock that is set: what each step may and must have changed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.hammers.budget import Disproved
from tests.hammers.clock import check_log
from tests.hammers.lives import SLACK_SECONDS, Life, Timetable

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
LASTS = timedelta(seconds=100)
SPEED = 10


@dataclass
class Machine:
    """A steady clock that a test moves, and one that is ten times as fast and can be set."""

    steady: float = 0.0
    offset: float = 0.0

    def shown(self) -> datetime:
        return T0 + timedelta(seconds=SPEED * self.steady + self.offset)

    def set_by(self, seconds: float) -> None:
        self.offset += seconds


def lived(*steps: tuple[float, float], until: float = 0.0) -> tuple[Life, Timetable]:
    """Return something asked for at second 0, with the clock set by (second, seconds) since; now is `until`."""
    machine = Machine()
    timetable = Timetable(speed=SPEED, shown=machine.shown, set_by=machine.set_by, steady=lambda: machine.steady)
    for at, seconds in steps:
        machine.steady = at
        timetable.step(seconds)
    machine.steady = until
    return Life(what="it", sent=0.0, heard=0.0, lasts=LASTS, until=T0 + LASTS), timetable


@pytest.mark.parametrize(
    ("steps", "not_before", "not_after"),
    [
        ((), 10.0, 10.0),
        (((5.0, -50),), 10.0, 15.0),
        (((5.0, -3_600),), 10.0, 20.0),
        (((5.0, 20),), 8.0, 8.0),
        (((5.0, 3_600),), 5.0, 5.0),
        (((5.0, 3_600), (6.0, -3_600)), 5.0, 5.0),
        (((5.0, -3_600), (6.0, 3_600)), 6.0, 10.0),
        (((12.0, 3_600),), 10.0, 10.0),
    ],
)
def test_a_life_ends_within_its_bounds(
    steps: tuple[tuple[float, float], ...], not_before: float, not_after: float
) -> None:
    life, timetable = lived(*steps, until=13.0)
    assert life.not_before(timetable) == pytest.approx(not_before)
    assert life.not_after(timetable) - SLACK_SECONDS == pytest.approx(not_after)


def test_a_broker_that_was_away_has_its_time_from_when_it_is_back() -> None:
    life, timetable = lived((5.0, -3_600))
    timetable.resumed = 7.0
    assert life.not_after(timetable) - SLACK_SECONDS == pytest.approx(27.0)


def test_what_lives_on_or_ends_early_is_noticed() -> None:
    life, timetable = lived((5.0, -3_600))
    life.expect_may_live(20.0 + SLACK_SECONDS, timetable, "")
    life.expect_may_be_over(10.0, timetable, "")
    with pytest.raises(Disproved, match="lives"):
        life.expect_may_live(20.1 + SLACK_SECONDS, timetable, "")
    with pytest.raises(Disproved, match="too early"):
        life.expect_may_be_over(9.9, timetable, "")


@pytest.mark.parametrize(
    ("kind", "times", "found"),
    [
        ("grant.redeemed", ("12:00", "12:01"), "redeemed twice"),
        ("action.outcome", ("12:00", "12:01"), "ended twice"),
        ("action.decided", ("12:01", "12:00"), "back in time"),
    ],
)
def test_a_log_that_cannot_be_true_is_noticed(kind: str, times: tuple[str, str], found: str) -> None:
    with pytest.raises(Disproved, match=found):
        check_log([{"kind": kind, "time": time, "grant": "g", "action": "a"} for time in times])
