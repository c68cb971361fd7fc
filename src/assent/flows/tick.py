"""What falls due with time: approvals expire, grants lapse, leases run out. Timers are rows: a restart is nothing."""

from dataclasses import dataclass

from assent.core import actions, approvals
from assent.core.actions import Action, ActionEvent, ActionState, Outcome, end
from assent.core.approvals import Approval
from assent.core.reasons import Reason
from assent.flows import entries
from assent.flows.broker import Broker
from assent.flows.end_action import end_without_running
from assent.flows.watch_actions import tell
from assent.ports import Tx

# One transaction of a tick stays short, so that a decision waiting behind it is not held up.
DUE_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Ticked:
    """What one tick moved; `more` says that as much again may be due already."""

    moved: tuple[Action, ...]
    more: bool


async def tick(broker: Broker) -> Ticked:
    """Move whatever has fallen due, at most 100 of each kind, and record each move."""

    async def work(tx: Tx) -> Ticked:
        due = await tx.due(DUE_AT_ONCE)
        expired = [await _expire(tx, approval) for approval in due.approvals]
        lapsed = [await _run_out(tx, action) for action in due.actions]
        moved = tuple(action for action in (*expired, *lapsed) if action is not None)
        return Ticked(moved, more=max(len(due.actions), len(due.approvals)) >= DUE_AT_ONCE)

    ticked = await broker.ledger.transact(work)
    tell(broker, *ticked.moved)
    return ticked


async def _expire(tx: Tx, approval: Approval) -> Action | None:
    expired = approvals.expire(approval, now=tx.now)
    await tx.replace(approval, expired)
    action = await tx.get(Action, approval.action)
    if action is None or action.state is not ActionState.PENDING:
        return None
    ended = end(action, ActionEvent.EXPIRE, Reason.of("approval_expired"), now=tx.now)
    await tx.replace(action, ended)
    await tx.append(entries.approval_moved(ended, expired))
    return ended


async def _run_out(tx: Tx, action: Action) -> Action:
    if action.state is ActionState.READY:
        why = Reason.of("not_picked_up")
        return (await end_without_running(tx, action, ActionEvent.LAPSE, why)).action
    unheard = Outcome(status=ActionState.UNKNOWN, at=tx.now, reported=False)
    lost = actions.report(action, unheard)
    await tx.replace(action, lost)
    await tx.append(entries.action_outcome(lost))
    return lost
