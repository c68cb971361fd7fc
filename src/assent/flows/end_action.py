"""How an action ends, whatever ended it: the action, its approval and its grant move together, what it held is freed.

What it held of budgets and of breakers' probes is settled in the transaction that ends it, so that neither is lost nor
given twice. Almost no action holds any of it.
"""

from dataclasses import dataclass

from assent.core import approvals, breakers, budgets, grants
from assent.core.actions import DID_NOT_RUN, Action, ActionEvent, ActionId, ActionState, end
from assent.core.approvals import Approval
from assent.core.breakers import Breaker, BreakerState
from assent.core.budgets import Budget
from assent.core.errors import IllegalMove
from assent.core.grants import GrantState
from assent.core.reasons import Reason
from assent.flows import breaker_entries, entries
from assent.flows.answers import Answered, read_anew
from assent.flows.authenticate import AgentCaller, confirm
from assent.flows.broker import Broker
from assent.flows.watch_actions import owned, tell
from assent.ports import Tx


@dataclass(frozen=True, slots=True)
class Ended:
    """An action that ended without running, with the approval that ended along with it."""

    action: Action
    approval: Approval | None


async def end_without_running(
    tx: Tx,
    action: Action,
    event: ActionEvent,
    reason: Reason,
    *,
    by: str | None = None,
    act: entries.Act | None = None,
    because: str = "",
) -> Ended:
    """Store `action` ended by `event`, its open approval cancelled and its unredeemed grant dead, all recorded.

    The record names `by`, or the whole `act` of somebody on the action's approval; `because` where it was nobody's.
    """
    ended = end(action, event, reason, now=tx.now)
    await tx.replace(action, ended)
    moved = entries.action_moved(ended, by=by, because=because)
    await tx.append(moved if act is None else entries.action_revoked(ended, act))
    await settle(tx, ended)
    approval = await cancel_approval(tx, ended) if action.state is ActionState.PENDING else None
    if action.state is ActionState.READY:
        await kill_grant(tx, ended)
    return Ended(ended, approval)


async def cancel_approval(tx: Tx, action: Action) -> Approval | None:
    """Store the open approval of an action that ended as cancelled, on record; return it, or None without one."""
    approval = await tx.approval_of(action.id)
    if approval is None or approval.state not in approvals.OPEN:
        return None
    cancelled = approvals.cancel(approval, now=tx.now)
    await tx.replace(approval, cancelled)
    await tx.append(entries.approval_moved(action, cancelled))
    return cancelled


async def kill_grant(tx: Tx, action: Action) -> None:
    """Store the unredeemed grant of an action that ended as dead, on record."""
    grant = await tx.grant_of(action.id)
    if grant is None or grant.state is not GrantState.ISSUED:
        return
    dead = grants.kill(grant)
    await tx.replace(grant, dead)
    await tx.append(entries.grant_killed(action, dead))


async def settle(tx: Tx, ended: Action) -> tuple[Action, ...]:
    """Store what the end of `ended` means for the breakers it was a probe of and for the budgets it drew on.

    Return the actions that ended along with it: a breaker that opens again cuts off what waits.
    """
    also: tuple[Action, ...] = ()
    for key in ended.probe_of:
        also += await _settle_probe(tx, key, ended)
    if ended.reserved and ended.state in DID_NOT_RUN:
        await _release(tx, ended)
    return also


async def _settle_probe(tx: Tx, key: str, ended: Action) -> tuple[Action, ...]:
    breaker = await tx.get(Breaker, key)
    if breaker is None:
        return ()
    after = breakers.settle(breaker, action=ended.id, became=ended.state, now=tx.now)
    if after is breaker:
        return ()
    await tx.replace(breaker, after)
    if after.state is breaker.state:
        await tx.append(breaker_entries.probed(after, ended))
        return ()
    closed = after.state is BreakerState.CLOSED
    because = "probes succeeded" if closed else f"the probe `{ended.id}` ended as {ended.state.value}"
    await tx.append(breaker_entries.moved(after, because))
    return () if closed else await end_waiting(tx, after)


async def end_waiting(tx: Tx, opened: Breaker, *, by: str | None = None) -> tuple[Action, ...]:
    """Return all actions in the scope of `opened` that had not begun, ended because of it."""
    why = breakers.why_open(opened)
    waiting = await tx.waiting(opened.scope)
    ended = [await end_without_running(tx, action, ActionEvent.CANCEL, why, by=by) for action in waiting]
    return tuple(one.action for one in ended)


async def _release(tx: Tx, ended: Action) -> None:
    for reservation in ended.reserved:
        budget = await tx.get(Budget, reservation.budget)
        if budget is not None:
            await tx.replace(budget, budgets.release(budget, reservation, tx.now))


async def cancel_action(broker: Broker, caller: AgentCaller, key: ActionId, reason: str) -> Answered:
    """Return the caller's own action, cancelled if it had not started; cancelling twice says the same.

    Raises:
        NotFound: no such action of this agent.
        IllegalMove: it is executing or has run; a cancellation would say what is not true.

    """

    async def work(tx: Tx) -> Answered:
        await confirm(tx, caller.key)
        action = await owned(tx, caller, key)
        if action.state in {ActionState.PENDING, ActionState.READY}:
            why = Reason.of("cancelled", reason or "the agent withdrew it")
            action = (await end_without_running(tx, action, ActionEvent.CANCEL, why)).action
        elif action.state not in DID_NOT_RUN:
            raise IllegalMove(f"this action is `{action.state}` and cannot be cancelled any more")
        return await read_anew(tx, broker.policy(), action, None)

    answered = await broker.ledger.transact(work)
    tell(broker, answered.action)
    return answered
