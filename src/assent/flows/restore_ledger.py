"""A copy of the ledger takes its place: whatever was open in it may have gone on since, so none of it ever runs.

What was redeemed after the copy was made stands nowhere in it. Every grant that it holds is dead from here on, every
open question is closed, and where records are known to be lost everything is stopped: among them may be trips,
suspensions and revocations that somebody relied on.
"""

from dataclasses import dataclass

from assent.core import breakers
from assent.core.actions import Action, ActionState, put_back
from assent.core.breakers import Breaker, BreakerId, Scope
from assent.core.operators import OperatorId
from assent.core.reasons import Reason
from assent.flows import breaker_entries, entries
from assent.flows.end_action import cancel_approval, kill_grant, settle
from assent.flows.entries import Restored
from assent.ports import Gate, Ledger, NewId, Tx

# No operator has such a name: nobody is taken for who stopped everything.
BY_RESTORE = OperatorId("assent restore")
WHY = Reason.of("already_executed", "or may have been: the ledger was put back to an earlier state")
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class PutBack:
    """What became of a copy: how many actions may have run since it was made, and the breaker that stops everything."""

    unknown: int
    breaker: Breaker | None


async def restore_ledger(ledger: Ledger, new_id: NewId, restored: Restored) -> PutBack:
    """Record that this ledger is a copy that was put back, and end what is open in it; nobody may serve it yet."""
    breaker_id = BreakerId(new_id("brk"))

    async def begin(tx: Tx) -> Breaker | None:
        await tx.append(entries.ledger_restored(restored))
        return await _stop(tx, breaker_id) if restored.stop else None

    breaker = await ledger.transact(begin, gate=Gate.EXCLUSIVE)
    unknown = 0
    while count := await ledger.transact(_lose_track):
        unknown += count
    return PutBack(unknown=unknown, breaker=breaker)


async def _stop(tx: Tx, breaker_id: BreakerId) -> Breaker:
    over = await tx.breaker_over(Scope())
    reason = "the ledger was put back, and what it forgot may have stopped something"
    tripped = breakers.trip(over, new_id=breaker_id, scope=Scope(), by=BY_RESTORE, now=tx.now, reason=reason)
    await (tx.add(tripped) if over is None else tx.replace(over, tripped))
    await tx.append(breaker_entries.tripped(tripped, cancelled=0, running=0))
    return tripped


async def _lose_track(tx: Tx) -> int:
    """End some of what is open; return how much that was, 0 when nothing is left."""
    found = [*await tx.waiting(Scope()), *await tx.running(Scope())][:AT_ONCE]
    for action in found:
        await _end(tx, action)
    return len(found)


async def _end(tx: Tx, action: Action) -> None:
    lost = put_back(action, WHY, now=tx.now)
    await tx.replace(action, lost)
    await tx.append(entries.action_outcome(lost))
    if action.state is ActionState.PENDING:
        await cancel_approval(tx, lost)
    if action.state is ActionState.READY:
        await kill_grant(tx, lost)
    await settle(tx, lost)
