"""A broker takes a work lease, renews it, or waits for its turn; between two looks it knows by itself whether it holds.

    hold = LeaseHold(Work.TIMERS, holder, steady)
    await keep_lease(broker, hold)     # again and again
    if hold.is_held: …

Nobody who was stopped for a while goes on believing: `is_held` asks seconds that went by, not a flag.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from assent.core import work_leases
from assent.core.errors import Stale
from assent.core.work_leases import BELIEVED_SECONDS, LEFT_FOR_SECONDS, TAKEN_AFTER_SECONDS, Work, WorkLease
from assent.flows.broker import Broker
from assent.ports import Tx, View


class Kept(Enum):
    """What one look came to."""

    HELD = "held"
    TAKEN = "taken"
    OTHERS = "others"


@dataclass(slots=True)
class LeaseHold:
    """What one process knows of one lease; `steady` are seconds that no setting of a clock moves.

    `seen` is the row as it was when it last changed, `seen_at` when that was noticed here.
    """

    work: Work
    holder: str
    steady: Callable[[], float]
    seen: WorkLease | None = None
    seen_at: float = 0.0
    held_until: float | None = None
    left_at: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process may do the work now."""
        return self.held_until is not None and self.steady() < self.held_until

    def may_take(self, row: WorkLease, at: float) -> bool:
        """Whether the lease is free as far as this process can tell, having looked at `row` at `at`."""
        if row.holder == "":
            return self.left_at is None or at - self.left_at >= LEFT_FOR_SECONDS
        return self.seen == row and at - self.seen_at >= TAKEN_AFTER_SECONDS

    def look_at(self, row: WorkLease, at: float) -> None:
        """Take in the row as it was read at `at`."""
        if self.seen != row:
            self.seen, self.seen_at = row, at


async def keep_lease(broker: Broker, hold: LeaseHold) -> Kept:
    """Renew the lease, take it where nobody does what it is for, or see who has it.

    Raises:
        LedgerUnavailable: nothing is known to be renewed; what is held ends by itself.

    """
    # From before it was asked for: whoever waits begins to count when they see it, which is later.
    began = hold.steady()

    async def look(view: View) -> WorkLease | None:
        return await view.get(WorkLease, hold.work)

    found = await broker.ledger.read(look)
    if found is not None and found.holder != hold.holder:
        hold.held_until = None
        hold.look_at(found, began)
        if not hold.may_take(found, began):
            return Kept.OTHERS
    mine = await _change(broker, hold, found)
    if mine is None:
        hold.held_until = None
        return Kept.OTHERS
    is_new = found is None or found.holder != hold.holder
    hold.look_at(mine, began)
    hold.held_until, hold.left_at = began + BELIEVED_SECONDS, None
    return Kept.TAKEN if is_new else Kept.HELD


async def leave(broker: Broker, hold: LeaseHold) -> None:
    """Let go of the lease, so that somebody else takes it at once.

    Raises:
        LedgerUnavailable: others take it later, when it stood still for long enough.

    """
    if not hold.is_held:
        return
    hold.held_until, hold.left_at = None, hold.steady()

    async def work(tx: Tx) -> None:
        row = await tx.get(WorkLease, hold.work)
        if row is not None and row.holder == hold.holder:
            await tx.replace(row, work_leases.let_go(row))

    with suppress(Stale):
        await broker.ledger.transact(work)


async def _change(broker: Broker, hold: LeaseHold, found: WorkLease | None) -> WorkLease | None:
    """Return the lease as this broker's own, or None where somebody was faster."""

    async def work(tx: Tx) -> WorkLease:
        if found is None:
            made = WorkLease(id=hold.work, holder=hold.holder)
            await tx.add(made)
            return made
        mine = found.holder == hold.holder
        changed = work_leases.renewed(found) if mine else work_leases.taken(found, hold.holder)
        await tx.replace(found, changed)
        return changed

    try:
        return await broker.ledger.transact(work)
    except Stale:
        return None
