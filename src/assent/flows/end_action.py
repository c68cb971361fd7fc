"""How an action ends without running, whatever ended it: the action, its approval and its grant move together."""

from dataclasses import dataclass

from assent.core import approvals, grants
from assent.core.actions import DID_NOT_RUN, Action, ActionEvent, ActionId, ActionState, end
from assent.core.approvals import Approval
from assent.core.errors import IllegalMove
from assent.core.grants import GrantState
from assent.core.reasons import Reason
from assent.flows import entries
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
) -> Ended:
    """Store `action` ended by `event`, its open approval cancelled and its unredeemed grant dead, all recorded.

    The record names `by`, or the whole `act` of somebody on the action's approval.
    """
    ended = end(action, event, reason, now=tx.now)
    await tx.replace(action, ended)
    await tx.append(entries.action_moved(ended, by=by) if act is None else entries.action_revoked(ended, act))
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
