"""What falls due with time: approvals expire, grants lapse, leases run out, breakers are tried again.

Timers are rows: a restart is nothing.
"""

from dataclasses import dataclass

from assent.core import actions, approvals, breakers
from assent.core.actions import Action, ActionEvent, ActionState, Outcome, end
from assent.core.approvals import Approval
from assent.core.breakers import Breaker, BreakerState
from assent.core.reasons import Reason
from assent.flows import breaker_entries, entries
from assent.flows.broker import Broker
from assent.flows.end_action import end_without_running, settle
from assent.flows.notice import notice_outcome
from assent.flows.trip_breaker import ALERTS
from assent.flows.watch_actions import tell
from assent.ports import Tx

# One transaction of a tick stays short, so that a decision waiting behind it is not held up.
DUE_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Ticked:
    """What one tick moved; `more` says that as much again may be due already."""

    moved: tuple[Action, ...]
    more: bool
    breakers: tuple[Breaker, ...] = ()


async def tick(broker: Broker) -> Ticked:
    """Move whatever has fallen due, at most 100 of each kind, and record each move."""

    async def work(tx: Tx) -> Ticked:
        due = await tx.due(DUE_AT_ONCE)
        expired = [await _expire(tx, approval) for approval in due.approvals]
        lapsed = [await _run_out(tx, action) for action in due.actions]
        moved = tuple(action for action in (*expired, *lapsed) if action is not None)
        tried = tuple([await _try_again(tx, breaker) for breaker in due.breakers])
        much = max(len(due.actions), len(due.approvals), len(due.breakers))
        return Ticked(moved, more=much >= DUE_AT_ONCE, breakers=tried)

    ticked = await broker.ledger.transact(work)
    tell(broker, *ticked.moved)
    for action in ticked.moved:
        await notice_outcome(broker, action)
    if ticked.breakers:
        broker.signals.wake(ALERTS)
    return ticked


async def _try_again(tx: Tx, due: Breaker) -> Breaker:
    # An action of the same tick may have moved it already.
    breaker = await tx.get(Breaker, due.id) or due
    healing = breaker.healing
    if breaker.state is BreakerState.OPEN and healing is not None and (healing.half_open_at or tx.now) <= tx.now:
        tried = breakers.half_open(breaker, now=tx.now)
        await tx.replace(breaker, tried)
        await tx.append(breaker_entries.moved(tried, "its wait is over, probes may pass"))
        breaker = tried
    if breaker.ask_again_at is not None and breaker.ask_again_at <= tx.now:
        reminded = breakers.remind(breaker)
        await tx.replace(breaker, reminded)
        await tx.append(breaker_entries.reminded(reminded))
        breaker = reminded
    return breaker


async def _expire(tx: Tx, approval: Approval) -> Action | None:
    expired = approvals.expire(approval, now=tx.now)
    await tx.replace(approval, expired)
    action = await tx.get(Action, approval.action)
    if action is None or action.state is not ActionState.PENDING:
        return None
    ended = end(action, ActionEvent.EXPIRE, Reason.of("approval_expired"), now=tx.now)
    await tx.replace(action, ended)
    await tx.append(entries.approval_moved(ended, expired))
    await settle(tx, ended)
    return ended


async def _run_out(tx: Tx, due: Action) -> Action | None:
    action = await tx.get(Action, due.id)
    if action is None or action.state is not due.state:
        # Another action of the same tick opened a breaker that cut this one off.
        return None
    if action.state is ActionState.READY:
        why = Reason.of("not_picked_up")
        return (await end_without_running(tx, action, ActionEvent.LAPSE, why)).action
    unheard = Outcome(status=ActionState.UNKNOWN, at=tx.now, reported=False)
    lost = actions.report(action, unheard)
    await tx.replace(action, lost)
    await tx.append(entries.action_outcome(lost))
    await settle(tx, lost)
    return lost
