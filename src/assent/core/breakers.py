"""Breakers: a switch over a scope. Open means that nothing in the scope passes.

Humans trip at once and alone; closing again takes a second, different person, unless the scope names a nonproduction
environment. No time-out closes what a human opened.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NewType

from assent.core.operators import OperatorId
from assent.core.patterns import TOOL_SEPARATOR, matches
from assent.core.reasons import Reason

BreakerId = NewType("BreakerId", str)

SECOND_PERSON_WITHIN = timedelta(minutes=15)


class BreakerState(StrEnum):
    """Where a breaker is; all but `closed` deny everything in scope that was not reserved as a probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a breaker covers: any of agent, tool (pattern) and environment; naming none covers everything."""

    agent: str | None = None
    tool: str | None = None
    environment: str | None = None

    def covers(self, *, agent: str, tool: str, environment: str) -> bool:
        """Whether an action of `agent` with `tool` in `environment` is in scope."""
        if self.agent is not None and self.agent != agent:
            return False
        if self.tool is not None and not matches(self.tool, tool, TOOL_SEPARATOR):
            return False
        # An action whose environment could not be derived is denied anyway; here it must never escape a scope.
        return self.environment is None or environment in {self.environment, ""}

    def describe(self) -> str:
        """Return the scope in words, for people."""
        parts = [f"{name} `{value}`" for name, value in self.named().items()]
        return ", ".join(parts) or "everything"

    def named(self) -> dict[str, str]:
        """Return the named dimensions only."""
        pairs = (("agent", self.agent), ("tool", self.tool), ("environment", self.environment))
        return {name: value for name, value in pairs if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetAsk:
    """One person's wish to close a breaker; it waits for a second person and ends with the breaker's revision."""

    by: OperatorId
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One switch. `ask_again_at` comes from a TTL: then somebody is reminded; it never closes by itself."""

    id: BreakerId
    scope: Scope
    state: BreakerState
    changed_by: OperatorId
    changed_at: datetime
    revision: int = 1
    reason: str = ""
    ask_again_at: datetime | None = None
    reset_asked: ResetAsk | None = None


@dataclass(frozen=True, slots=True)
class NeedsSecond:
    """The reset waits: `breaker` carries the first person's ask, or the same person asked twice."""

    breaker: Breaker


@dataclass(frozen=True, slots=True)
class Closed:
    """The reset took effect."""

    breaker: Breaker


def denies(breaker: Breaker) -> bool:
    """Whether nothing in scope passes; only `closed` is known to let through."""
    return breaker.state is not BreakerState.CLOSED


def first_open(breakers: Iterable[Breaker], *, agent: str, tool: str, environment: str) -> Breaker | None:
    """Return a breaker that stops this action, or None."""
    for breaker in breakers:
        if denies(breaker) and breaker.scope.covers(agent=agent, tool=tool, environment=environment):
            return breaker
    return None


def why_stopped(breakers: Iterable[Breaker], *, agent: str, tool: str, environment: str) -> Reason | None:
    """Return that a breaker stops this action, and over what, or None."""
    held = first_open(breakers, agent=agent, tool=tool, environment=environment)
    return None if held is None else Reason.of("breaker_open", held.scope.describe())


def trip(
    existing: Breaker | None,
    *,
    new_id: BreakerId,
    scope: Scope,
    by: OperatorId,
    now: datetime,
    reason: str = "",
    ask_again_at: datetime | None = None,
) -> Breaker:
    """Return the breaker over `scope` forced open by `by`, whatever it was before; tripping is never refused."""
    revision = 1 if existing is None else existing.revision + 1
    return Breaker(
        id=new_id if existing is None else existing.id,
        scope=scope,
        state=BreakerState.FORCED_OPEN,
        changed_by=by,
        changed_at=now,
        revision=revision,
        reason=reason,
        ask_again_at=ask_again_at,
    )


def reset(
    breaker: Breaker, *, by: OperatorId, now: datetime, reason: str, one_person_is_enough: bool
) -> NeedsSecond | Closed:
    """Return the breaker closed, or waiting for a second person within 15 minutes of the first.

    The caller must have checked permission, that `by` does not own an agent the scope names, and that the breaker is
    not closed already.
    """
    first = breaker.reset_asked
    valid = first is not None and first.by != by and now - first.at <= SECOND_PERSON_WITHIN
    if one_person_is_enough or valid:
        return Closed(
            replace(
                breaker,
                state=BreakerState.CLOSED,
                changed_by=by,
                changed_at=now,
                reason=reason,
                reset_asked=None,
                ask_again_at=None,
                revision=breaker.revision + 1,
            )
        )
    asked = ResetAsk(by=by, at=now, reason=reason)
    return NeedsSecond(replace(breaker, reset_asked=asked, revision=breaker.revision + 1))
