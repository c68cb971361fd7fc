"""Breakers: a switch over a scope. Open means that nothing in the scope passes.

Humans trip at once and alone; closing again takes a second, different person, unless the scope names a nonproduction
environment. No time-out closes what a human opened, nor what an agent-scoped rule did.

What opened because it failed may close by itself: after a wait it lets probes through, reserved in its own row.
Outcomes are the agents' own word, so two agents must succeed, or one on a probe that a human let through.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

from assent.core.actions import ActionState, Impact
from assent.core.errors import IllegalMove
from assent.core.operators import Assurance, OperatorId
from assent.core.patterns import TOOL_SEPARATOR, matches
from assent.core.reasons import Reason
from assent.core.second_person import FirstAsk, waits_for

BreakerId = NewType("BreakerId", str)

LONGEST_WAIT: Final = timedelta(hours=1)
AGENTS_TO_CLOSE: Final = 2
AGENTS_TO_CUT_OFF: Final = 3
AT_ONCE: Final = timedelta(minutes=5)
SHARE_TO_PAGE: Final = 0.3
# Whom a probe that is not a plain read is put before, where policy itself would ask nobody.
PROBE_ROUTE: Final = "default"
BREAKER_OPEN: Final = "breaker_open"


class BreakerState(StrEnum):
    """Where a breaker is; all but `closed` deny everything in scope that was not reserved as a probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"


class BreakerEvent(StrEnum):
    """What can happen to a breaker."""

    TRIP = "trip"
    FAIL = "fail"
    WAIT_OVER = "wait_over"
    PROBE_FAILED = "probe_failed"
    PROBES_SUCCEEDED = "probes_succeeded"
    TAKEN_OVER = "taken_over"
    RESET = "reset"


_S, _E = BreakerState, BreakerEvent
MOVES: Final[dict[tuple[BreakerState, BreakerEvent], BreakerState]] = {
    **{(state, _E.TRIP): _S.FORCED_OPEN for state in BreakerState},
    (_S.CLOSED, _E.FAIL): _S.OPEN,
    (_S.OPEN, _E.WAIT_OVER): _S.HALF_OPEN,
    (_S.HALF_OPEN, _E.PROBE_FAILED): _S.OPEN,
    (_S.HALF_OPEN, _E.PROBES_SUCCEEDED): _S.CLOSED,
    # The breaker over the whole tool takes the place of those over each agent with it.
    (_S.OPEN, _E.TAKEN_OVER): _S.CLOSED,
    (_S.HALF_OPEN, _E.TAKEN_OVER): _S.CLOSED,
    **{(state, _E.RESET): _S.CLOSED for state in BreakerState if state is not _S.CLOSED},
}


def move(breaker: "Breaker", event: BreakerEvent) -> BreakerState:
    """Return the state that `event` leads to.

    Raises:
        IllegalMove: the table holds no such move.

    """
    try:
        return MOVES[breaker.state, event]
    except KeyError:
        raise IllegalMove(f"a breaker that is `{breaker.state}` cannot `{event}`") from None


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
class Healing:
    """How a breaker that opened on failing may close by itself; copied from its rule when it opened.

    `times` counts how often it opened in a row: each time the wait is twice as long. `half_open_at` is when it is over.
    """

    wait_in_open: timedelta
    probes: int
    times: int = 1
    half_open_at: datetime | None = None

    @property
    def wait(self) -> timedelta:
        """How long it stays open this time."""
        doubled = self.wait_in_open * (1 << min(self.times - 1, 16))
        return max(self.wait_in_open, min(doubled, LONGEST_WAIT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An action that was let through a half-open breaker; `by_human` says that a human was asked about it."""

    action: str
    agent: str
    by_human: bool
    succeeded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One switch. `ask_again_at` comes from a TTL: then somebody is reminded; it never closes by itself.

    `changed_by` is an operator's id, or `rule:ID` where the machine changed it; `tripped_at` is since when it stops
    what is in its scope, `rule` the rule that tripped it.
    """

    id: BreakerId
    scope: Scope
    state: BreakerState
    changed_by: str
    changed_at: datetime
    revision: int = 1
    reason: str = ""
    ask_again_at: datetime | None = None
    reset_asked: FirstAsk | None = None
    rule: str | None = None
    tripped_by: str = ""
    tripped_at: datetime | None = None
    healing: Healing | None = None
    probes: tuple[Probe, ...] = ()

    @property
    def since(self) -> datetime:
        """Since when it is as it is for whoever it stops: its last trip."""
        return self.tripped_at or self.changed_at

    @property
    def by(self) -> str:
        """Who tripped it: an operator's id, or `rule:ID`."""
        return self.tripped_by or self.changed_by


@dataclass(frozen=True, slots=True)
class NeedsSecond:
    """The reset waits: `breaker` carries the first person's ask, or the same person asked twice."""

    breaker: Breaker


@dataclass(frozen=True, slots=True)
class Closed:
    """The reset took effect."""

    breaker: Breaker


@dataclass(frozen=True, slots=True)
class Probing:
    """An action may go as a probe of all these breakers; `by_human` says that a human must be asked first."""

    breakers: tuple[Breaker, ...]
    by_human: bool


def denies(breaker: Breaker) -> bool:
    """Whether nothing in scope passes but probes; only `closed` is known to let through."""
    return breaker.state is not BreakerState.CLOSED


def first_open(
    breakers: Iterable[Breaker], *, agent: str, tool: str, environment: str, action: str | None = None
) -> Breaker | None:
    """Return a breaker that stops this action, or None; `action` is its id once it has one, it may be a probe."""
    for breaker in breakers:
        if (
            denies(breaker)
            and breaker.scope.covers(agent=agent, tool=tool, environment=environment)
            and not _is_probe(breaker, action)
        ):
            return breaker
    return None


def why_open(breaker: Breaker) -> Reason:
    """Return that this breaker stops an action, and over what."""
    return Reason.of(BREAKER_OPEN, breaker.scope.describe())


def met(
    breakers: Iterable[Breaker], *, agent: str, tool: str, environment: str, impact: Impact
) -> Breaker | Probing | None:
    """Return what an action meets that was not decided yet: a breaker that stops it, probes it may take, or nothing."""
    over = [
        breaker
        for breaker in breakers
        if denies(breaker) and breaker.scope.covers(agent=agent, tool=tool, environment=environment)
    ]
    if not over:
        return None
    for breaker in over:
        if not _has_room(breaker):
            return breaker
    return Probing(tuple(over), by_human=any(_asks_human(breaker, agent, impact) for breaker in over))


def _is_probe(breaker: Breaker, action: str | None) -> bool:
    if action is None or breaker.state is not BreakerState.HALF_OPEN:
        return False
    return any(probe.action == action for probe in breaker.probes)


def _has_room(breaker: Breaker) -> bool:
    if breaker.state is not BreakerState.HALF_OPEN or breaker.healing is None:
        return False
    return len(breaker.probes) < breaker.healing.probes


def _asks_human(breaker: Breaker, agent: str, impact: Impact) -> bool:
    # Where one agent alone could come to the end of it by its own word, a human looks at what is tried.
    alone = breaker.scope.agent is not None or any(probe.agent == agent for probe in breaker.probes)
    return alone or impact is not Impact.READ


def retry_after(breaker: Breaker, now: datetime) -> int | None:
    """Return in how many seconds asking again has a chance, None where only a human ends it."""
    if breaker.state is BreakerState.HALF_OPEN and breaker.healing is not None:
        return max(1, math.ceil(breaker.healing.wait_in_open.total_seconds()))
    if breaker.state is BreakerState.OPEN and breaker.healing is not None and breaker.healing.half_open_at is not None:
        return max(1, math.ceil((breaker.healing.half_open_at - now).total_seconds()))
    return None


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
    return Breaker(
        id=new_id if existing is None else existing.id,
        scope=scope,
        state=BreakerState.FORCED_OPEN,
        changed_by=by,
        changed_at=now,
        revision=1 if existing is None else existing.revision + 1,
        reason=reason,
        ask_again_at=ask_again_at,
        tripped_by=by,
        tripped_at=now,
    )


def trip_by_rule(
    existing: Breaker | None,
    *,
    new_id: BreakerId,
    scope: Scope,
    rule: str,
    now: datetime,
    reason: str,
    healing: Healing | None = None,
) -> Breaker:
    """Return the breaker over `scope` tripped by `rule`: open where it can heal, else forced open.

    Raises:
        IllegalMove: it is open already, in a way that this adds nothing to.

    """
    by = f"rule:{rule}"
    fresh = Breaker(
        id=new_id if existing is None else existing.id,
        scope=scope,
        state=BreakerState.CLOSED if existing is None else existing.state,
        changed_by=by,
        changed_at=now,
        revision=1 if existing is None else existing.revision + 1,
        reason=reason,
        rule=rule,
        tripped_by=by,
        tripped_at=now,
    )
    if healing is None:
        return replace(fresh, state=move(fresh, BreakerEvent.TRIP))
    opened = replace(healing, times=1)
    return replace(
        fresh,
        state=move(fresh, BreakerEvent.FAIL),
        healing=replace(opened, half_open_at=now + opened.wait),
    )


def adds_nothing(existing: Breaker | None, *, healing: Healing | None) -> bool:
    """Whether a rule's trip would change nothing: what it would stop is stopped, at least as firmly."""
    if existing is None or not denies(existing):
        return False
    return healing is not None or existing.state is BreakerState.FORCED_OPEN


def due_at(breaker: Breaker) -> datetime | None:
    """Return when something is to be done about the breaker by itself: let probes through, or ask somebody again."""
    healing = breaker.healing
    waits_until = healing.half_open_at if healing is not None and breaker.state is BreakerState.OPEN else None
    return min((at for at in (waits_until, breaker.ask_again_at) if at is not None), default=None)


def half_open(breaker: Breaker, *, now: datetime) -> Breaker:
    """Return the breaker letting probes through, its wait being over.

    Raises:
        IllegalMove: it is not open, or its wait is not over.

    """
    if breaker.healing is None or breaker.healing.half_open_at is None or now < breaker.healing.half_open_at:
        raise IllegalMove("the wait of this breaker is not over")
    moved = _moved(breaker, BreakerEvent.WAIT_OVER, now)
    return replace(moved, healing=replace(breaker.healing, half_open_at=None), probes=())


def reserve(breaker: Breaker, *, action: str, agent: str, by_human: bool) -> Breaker:
    """Return the breaker with one place taken by this action.

    Raises:
        IllegalMove: there is no place left.

    """
    if not _has_room(breaker):
        raise IllegalMove("this breaker lets no more probes through")
    return _probed(breaker, (*breaker.probes, Probe(action=action, agent=agent, by_human=by_human)))


def settle(breaker: Breaker, *, action: str, became: ActionState, now: datetime) -> Breaker:
    """Return the breaker after its probe `action` ended as `became`; what is no probe of it (any more) changes nothing.

    One that never ran frees its place. Success closes when a second agent succeeded, or when a human let it through.
    Failing, and not knowing, opens it again for twice as long.
    """
    if not _is_probe(breaker, action) or breaker.healing is None:
        return breaker
    own = next(probe for probe in breaker.probes if probe.action == action)
    others = tuple(probe for probe in breaker.probes if probe is not own)
    if became is ActionState.SUCCEEDED:
        return _succeeded(breaker, (*others, replace(own, succeeded=True)), now)
    if became in {ActionState.FAILED, ActionState.UNKNOWN}:
        again = replace(breaker.healing, times=breaker.healing.times + 1)
        moved = _moved(breaker, BreakerEvent.PROBE_FAILED, now)
        return replace(moved, healing=replace(again, half_open_at=now + again.wait), probes=(), tripped_at=now)
    return _probed(breaker, others)


def _succeeded(breaker: Breaker, probes: tuple[Probe, ...], now: datetime) -> Breaker:
    good = [probe for probe in probes if probe.succeeded]
    if any(probe.by_human for probe in good) or len({probe.agent for probe in good}) >= AGENTS_TO_CLOSE:
        return replace(_moved(breaker, BreakerEvent.PROBES_SUCCEEDED, now), healing=None, probes=())
    return _probed(breaker, probes)


def taken_over(breaker: Breaker, *, now: datetime) -> Breaker:
    """Return the breaker closed, because the one over the whole tool stops what it did."""
    return replace(_moved(breaker, BreakerEvent.TAKEN_OVER, now), healing=None, probes=())


def failing_with(breakers: Iterable[Breaker], *, rule: str, scope: Scope, since: datetime) -> list[Breaker]:
    """Return the breakers by which `rule` stops one agent each in `scope`, which names none, opened since then."""
    return [
        breaker
        for breaker in breakers
        if breaker.rule == rule
        and breaker.state in {BreakerState.OPEN, BreakerState.HALF_OPEN}
        and breaker.scope.agent is not None
        and replace(breaker.scope, agent=None) == scope
        and breaker.since >= since
    ]


def tripped_at_once(breakers: Iterable[Breaker], now: datetime) -> int:
    """Return how many agents rules have stopped within the last five minutes."""
    return len(
        {
            breaker.scope.agent
            for breaker in breakers
            if denies(breaker) and breaker.rule and breaker.scope.agent and now - breaker.since <= AT_ONCE
        }
    )


def remind(breaker: Breaker) -> Breaker:
    """Return the breaker as it is, without the moment at which somebody was to be asked again."""
    return replace(breaker, ask_again_at=None, revision=breaker.revision + 1)


def _moved(breaker: Breaker, event: BreakerEvent, now: datetime) -> Breaker:
    """Return the breaker moved by the machine; a wish to close what it was before has nothing to close any more."""
    return replace(
        breaker,
        state=move(breaker, event),
        changed_by=f"rule:{breaker.rule}",
        changed_at=now,
        reset_asked=None,
        revision=breaker.revision + 1,
    )


def _probed(breaker: Breaker, probes: tuple[Probe, ...]) -> Breaker:
    return replace(breaker, probes=probes, revision=breaker.revision + 1)


def reset(
    breaker: Breaker,
    *,
    by: OperatorId,
    now: datetime,
    reason: str,
    one_person_is_enough: bool,
    assurance: Assurance = Assurance.TOKEN,
    using: str = "",
) -> NeedsSecond | Closed:
    """Return the breaker closed, or waiting for a second person within 15 minutes of the first.

    The caller must have checked permission, that `by` does not own an agent the scope names, that the breaker is not
    closed already, and that the surface of `by`, of this `assurance` and `using` this token, is sure enough.
    """
    if one_person_is_enough or waits_for(breaker.reset_asked, by, now) is not None:
        return Closed(
            replace(
                breaker,
                state=move(breaker, BreakerEvent.RESET),
                changed_by=by,
                changed_at=now,
                reason=reason,
                reset_asked=None,
                ask_again_at=None,
                healing=None,
                probes=(),
                revision=breaker.revision + 1,
            )
        )
    asked = FirstAsk(by=by, at=now, reason=reason, assurance=assurance, using=using)
    return NeedsSecond(replace(breaker, reset_asked=asked, revision=breaker.revision + 1))
