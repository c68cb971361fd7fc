"""The machine notices: what happened is counted, and where it is too much a breaker trips by its rule.

Counting follows the commit that it is about and comes before the answer, so what was counted has happened, and whoever
hears the answer meets the breaker. A trip is a transaction of its own, behind the gate like any other.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from assent.core import breakers
from assent.core.actions import Action, ActionState
from assent.core.breaker_rules import Applying, Condition, Counted, Happened, TooOften, counting
from assent.core.breakers import AGENTS_TO_CUT_OFF, SHARE_TO_PAGE, Breaker, BreakerId, Healing, Scope
from assent.core.canonical import Json
from assent.core.errors import LedgerUnavailable
from assent.flows import breaker_entries
from assent.flows.broker import Broker
from assent.flows.held import HeldTrip
from assent.flows.trip_breaker import ALERTS, Tripped, cut_off, tell_tripped
from assent.ports import Gate, Tx

Ids: TypeAlias = tuple[BreakerId, BreakerId]
# One agent alone is no wave, however few there are.
LEAST_TO_PAGE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TooMuchOf:
    """What is too much for a rule: its scope, why in words, and how what it opens may heal (None: by a human)."""

    applying: Applying
    why: str
    healing: Healing | None = None


async def notice(broker: Broker, counted: Counted, happened: Happened) -> None:
    """Count what happened, and trip whatever that is too much for.

    Counters that cannot be read stop nothing here: what must be counted to be safe is not decided without them.
    """
    asked = list(counting(counted.rules, happened)) if counted.rules else []
    if not asked:
        return
    sums = await broker.signals.count([count for one in asked for count in one.counts])
    if sums is None:
        return
    at = 0
    for one in asked:
        part = sums[at : at + len(one.counts)]
        at += len(part)
        why = one.applying.why(one.condition, part)
        if why is not None:
            await too_much(broker, _what(one.applying, one.condition, why))
            # From here on it is the breaker that counts; once that is closed, the rule begins anew.
            await broker.signals.forget([count.counter for count in one.counts])


async def notice_outcome(broker: Broker, action: Action) -> None:
    """Count what became of an action that ran, by its agent's own word or by silence."""
    outcome = action.outcome
    if outcome is not None:
        counted = broker.policy().counted(action.agent, action.tool, action.environment)
        failed = outcome.status is not ActionState.SUCCEEDED
        await notice(broker, counted, Happened(failed=failed, duration_ms=outcome.duration_ms))


def _what(applying: Applying, condition: Condition, why: str) -> TooMuchOf:
    """Return what is too much: failing heals by itself, what an agent does wrong does not."""
    healing = applying.rule.healing if isinstance(condition, TooOften) else None
    return TooMuchOf(applying=applying, why=why, healing=healing)


async def too_much(broker: Broker, found: TooMuchOf) -> None:
    """Trip by a rule, or tell that it would have tripped where the rule only watches."""
    if found.applying.rule.watches:
        await _tell_only(broker, found)
        return
    ids = fresh_ids(broker)
    agents = len(broker.policy().agents())

    async def work(tx: Tx) -> Tripped | None:
        return await trip_by_rule(tx, found, ids=ids, agents=agents)

    try:
        tripped = await broker.ledger.transact(work, gate=Gate.EXCLUSIVE)
    except LedgerUnavailable:
        broker.held.hold(HeldTrip(found.applying.scope, work))
        return
    if tripped is not None:
        tell_tripped(broker, tripped)


def fresh_ids(broker: Broker) -> Ids:
    """Return the ids that one trip may need."""
    return BreakerId(broker.new_id("brk")), BreakerId(broker.new_id("brk"))


async def _tell_only(broker: Broker, found: TooMuchOf) -> None:
    async def work(tx: Tx) -> None:
        scope, rule = found.applying.scope, found.applying.rule
        await tx.append(breaker_entries.watched(scope, rule=rule.id, because=found.why))

    # What was only to be told is lost with a ledger that takes nothing; what must hold is held.
    with suppress(LedgerUnavailable):
        await broker.ledger.transact(work)
        broker.signals.wake(ALERTS)


async def trip_by_rule(tx: Tx, found: TooMuchOf, *, ids: Ids, agents: int) -> Tripped | None:
    """Return the trip, or None where what it would stop is stopped already.

    `ids` are fresh ones for a breaker over the scope and one over the whole tool; `agents` is how many there are.
    """
    rule, scope = found.applying.rule, found.applying.scope
    if breakers.adds_nothing(await tx.breaker_over(scope), healing=found.healing):
        return None
    if found.healing is None or not rule.cuts_off_tool:
        return await _open(tx, found, scope, new_id=ids[0], agents=agents)
    whole = replace(scope, agent=None)
    if breakers.adds_nothing(await tx.breaker_over(whole), healing=found.healing):
        return None
    lately = tx.now - rule.window
    others = breakers.failing_with(await tx.open_breakers(), rule=rule.id, scope=whole, since=lately)
    if len({scope.agent, *(other.scope.agent for other in others)}) < AGENTS_TO_CUT_OFF:
        return await _open(tx, found, scope, new_id=ids[0], agents=agents)
    tripped = await _open(tx, found, whole, new_id=ids[1], agents=agents)
    for other in others:
        # What the trip cut off may have been a probe of this one, and has given its place back.
        fresh = await tx.get(Breaker, other.id) or other
        closed = breakers.taken_over(fresh, now=tx.now)
        await tx.replace(fresh, closed)
        await tx.append(breaker_entries.moved(closed, f"`{tripped.breaker.id}` stops the whole tool"))
    return tripped


async def _open(tx: Tx, found: TooMuchOf, scope: Scope, *, new_id: BreakerId, agents: int) -> Tripped:
    existing = await tx.breaker_over(scope)
    tripped = breakers.trip_by_rule(
        existing,
        new_id=new_id,
        scope=scope,
        rule=found.applying.rule.id,
        now=tx.now,
        reason=found.why,
        healing=found.healing,
    )
    await (tx.add(tripped) if existing is None else tx.replace(existing, tripped))
    return await cut_off(tx, tripped, more=_how_many_at_once(await tx.open_breakers(), tx.now, agents))


def _how_many_at_once(opened: Sequence[Breaker], now: datetime, agents: int) -> dict[str, Json]:
    at_once = breakers.tripped_at_once(opened, now)
    pages = at_once >= LEAST_TO_PAGE and at_once >= SHARE_TO_PAGE * agents
    return {"agents_at_once": at_once} if pages else {}
