"""How long something that was asked may live, and how long it must, whatever was done to the clock meanwhile.

Two bounds that need no knowledge of how a broker tells the time. Before `not_before` its time cannot have passed, even
if every step forward counted in full. From `not_after` on it must be over: at half the pace its time has passed, or the
clock itself has shown the moment until which it was given.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tests.hammers.budget import expect

# A busy machine, the broker's tick, and the way of an answer.
SLACK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """The clock was set by so many seconds, at some moment between two of the steady clock."""

    begun: float
    done: float
    seconds: float


@dataclass(slots=True)
class Timetable:
    """What was done to a clock that goes `speed` times as fast as the machine's; at `resumed` its broker came up."""

    speed: int
    shown: Callable[[], datetime]
    set_by: Callable[[float], None]
    steady: Callable[[], float] = time.monotonic
    steps: list[Step] = field(default_factory=list)
    resumed: float = 0.0

    def step(self, seconds: float) -> None:
        """Set the clock forward or back, and keep when."""
        begun = self.steady()
        self.set_by(seconds)
        self.steps.append(Step(begun, self.steady(), seconds))

    def reaches(self, until: datetime, since: float) -> float:
        """Return the first moment from `since` on at which the clock shows `until`, if nobody sets it any more."""
        later = [step for step in self.steps if step.done > since]
        now = self.steady()
        missing = (until - self.shown()).total_seconds() + self.speed * (now - since)
        missing += sum(step.seconds for step in later)
        for step in later:
            if since + missing / self.speed <= step.begun:
                break
            missing -= step.seconds
            if since + missing / self.speed <= step.done:
                return step.done
        return since + max(missing, 0.0) / self.speed


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """Something with a time to live: what it is, when it was asked for and heard of, and until when it was given."""

    what: str
    sent: float
    heard: float
    lasts: timedelta
    until: datetime

    def not_before(self, timetable: Timetable) -> float:
        """Return the moment before which it cannot be over."""
        left, now = self.lasts.total_seconds(), self.sent
        for step in timetable.steps:
            if step.done < self.sent or step.seconds <= 0:
                continue
            at = max(step.begun, now)
            left -= (at - now) * timetable.speed
            if left <= 0:
                return at + left / timetable.speed
            left, now = left - step.seconds, at
            if left <= 0:
                return at
        return now + left / timetable.speed

    def not_after(self, timetable: Timetable) -> float:
        """Return the moment from which on it must be over."""
        at_half_pace = max(self.heard, timetable.resumed) + 2 * self.lasts.total_seconds() / timetable.speed
        return min(at_half_pace, max(timetable.reaches(self.until, self.heard), timetable.resumed)) + SLACK_SECONDS

    def expect_may_live(self, sent: float, timetable: Timetable, seen: object) -> None:
        """Look that something that lives for an ask of `sent` is not over for certain. Raises Disproved."""
        late = sent - self.not_after(timetable)
        expect(late <= 0, f"{self.what} lives {late:.2f} s longer than it may: {seen}; set: {timetable.steps}")

    def expect_may_be_over(self, heard: float, timetable: Timetable, seen: object) -> None:
        """Look that something that is over for an answer of `heard` can be. Raises Disproved."""
        early = self.not_before(timetable) - heard
        expect(early <= 0, f"{self.what} ended {early:.2f} s too early: {seen}; set: {timetable.steps}")
