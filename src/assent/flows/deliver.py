"""Cards follow the ledger: what people are shown is compared with what holds, and whatever differs is told anew.

Nothing here decides anything, and a decision never waits for it. What is handed over to a channel is on record before
it leaves; that it arrived is on record afterwards, with a digest of exactly what people saw. A process that dies
between the two leaves a delivery of which nobody knows whether it arrived: the next one looks for the card.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import groupby
from operator import attrgetter

from assent.core import approvals, deliveries
from assent.core.actions import Action, ActionState
from assent.core.approvals import OPEN, Approval
from assent.core.deliveries import (
    LOOK_AFTER,
    PAST,
    Delivery,
    DeliveryFault,
    DeliveryState,
    LockedOut,
    NobodyKnows,
    NotNow,
    Past,
    Showing,
    Told,
    Undeliverable,
    is_over,
    shows,
)
from assent.core.errors import Forged, Stale
from assent.core.presence import Presence
from assent.flows import entries
from assent.flows.broker import Broker
from assent.ports import Channel, Tx, View

AT_ONCE = 100
LOCKED_OUT_WAIT = timedelta(minutes=1)
SILENT_WAIT = timedelta(seconds=5)
EACH_WAITS = timedelta(seconds=1)
DAMAGED_WAIT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Round:
    """One round over all deliveries: how many were looked at, and when something falls due next."""

    looked_at: int
    next_due: datetime | None


class _Task(Enum):
    ANNOUNCE = "announce"
    FIND = "find"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Errand:
    """A delivery that was handed over, what it tells, and what the channel is to do about it."""

    task: _Task
    delivery: Delivery
    showing: Showing
    channel: Channel

    @property
    def where(self) -> str:
        """What the channel calls the destination."""
        return self.delivery.destination.partition(":")[2]


async def deliver(broker: Broker, name: str, channel: Channel) -> Round:
    """Tell, look for and bring up to date what is due at `name:…`, at most 100; one at a time at each destination.

    Channels are told apart so that one that is slow keeps no other waiting.

    Raises:
        LedgerUnavailable: the ledger could not be asked; a channel's faults are kept with the deliveries.

    """

    async def look(view: View) -> tuple[list[Delivery], datetime | None]:
        due, outdated = await view.deliveries_due(name, AT_ONCE), await view.deliveries_outdated(name, AT_ONCE)
        return list({one.id: one for one in (*due, *outdated)}.values()), await view.next_delivery_due(name)

    found, next_due = await broker.ledger.read(look)
    found.sort(key=attrgetter("destination", "due_at"))
    queues = [list(some) for _, some in groupby(found, key=attrgetter("destination"))]
    await asyncio.gather(*(_in_turn(broker, channel, queue) for queue in queues))
    return Round(looked_at=len(found), next_due=next_due)


async def _in_turn(broker: Broker, channel: Channel, queue: Sequence[Delivery]) -> None:
    """Run the errands at one destination; once its channel wants to be left alone, or is silent, the rest waits too."""
    for place, delivery in enumerate(queue):
        errand = await _hand_over(broker, channel, delivery)
        if errand is None:
            continue
        result = await _result(errand)
        await _settle(broker, errand, result)
        if isinstance(result, NotNow | LockedOut | NobodyKnows):
            await _spread(broker, queue[place + 1 :], _wait_for(result) or SILENT_WAIT, result.message)
            return


async def _spread(broker: Broker, rest: Sequence[Delivery], wait: timedelta, why: str) -> None:
    """Put off what has not been tried, each a second later than the one before it, as far as nobody else is at it."""
    if not rest:
        return

    async def work(tx: Tx) -> None:
        for place, delivery in enumerate(rest):
            fresh = await tx.get(Delivery, delivery.id)
            if fresh is not None and fresh.revision == delivery.revision:
                until = tx.now + wait + place * EACH_WAITS
                await tx.replace(fresh, _later(fresh, until=until, why=why))

    await broker.ledger.transact(work)


async def _hand_over(broker: Broker, channel: Channel, delivery: Delivery) -> _Errand | None:
    policy = broker.policy()

    async def work(tx: Tx) -> _Errand | None:
        fresh = await tx.get(Delivery, delivery.id)
        if fresh is None or fresh.revision != delivery.revision:
            return None  # somebody else is at it
        try:
            approval, action = await _about(tx, fresh)
        except Forged as damaged:
            # Nobody is shown what nobody may believe; the others at this destination go on.
            await tx.replace(fresh, _later(fresh, until=tx.now + DAMAGED_WAIT, why=damaged.message))
            return None
        if approval is None or action is None or _comes_too_late(fresh, approval):
            await _end(tx, fresh, "it was over before it was told here")
            return None
        showing = Showing(
            approval=approval,
            action=action,
            now=tx.now,
            who=approvals.who_can_vote(approval, policy.operators(), tx.now) if approval.state in OPEN else (),
            operators=policy.operators(),
            past=await _past(tx, action) if approval.state in OPEN else None,
            presence=await _presence(tx, action) if approval.state in OPEN else None,
        )
        return await _errand(tx, fresh, showing, channel)

    return await broker.ledger.transact(work)


async def _about(tx: Tx, delivery: Delivery) -> tuple[Approval | None, Action | None]:
    approval = await tx.get(Approval, delivery.approval)
    return approval, None if approval is None else await tx.get(Action, approval.action)


async def _past(view: View, action: Action) -> Past:
    found = await view.answered(action.agent, action.tool, view.now - PAST)
    return Past(
        succeeded=found.get(ActionState.SUCCEEDED, 0),
        failed=found.get(ActionState.FAILED, 0),
        unknown=found.get(ActionState.UNKNOWN, 0),
        denied=found.get(ActionState.DENIED, 0),
    )


async def _presence(view: View, action: Action) -> Presence | None:
    try:
        return await view.get(Presence, action.id)
    except Forged:
        return None  # nobody knows


def _later(delivery: Delivery, *, until: datetime, why: str) -> Delivery:
    """Return the delivery put off; a first card that may stand there goes on being looked for."""
    later = deliveries.sought_later if delivery.state is DeliveryState.SENT else deliveries.put_off
    return later(delivery, until=until, why=why)


def _comes_too_late(delivery: Delivery, approval: Approval) -> bool:
    return delivery.state is DeliveryState.QUEUED and approval.state not in OPEN


async def _errand(tx: Tx, delivery: Delivery, showing: Showing, channel: Channel) -> _Errand:
    if delivery.state is DeliveryState.SENT:
        return _Errand(task=_Task.FIND, delivery=delivery, showing=showing, channel=channel)
    task = _Task.ANNOUNCE if delivery.place is None else _Task.UPDATE
    handed_over = deliveries.hand_over(delivery, now=tx.now)
    await tx.replace(delivery, handed_over)
    return _Errand(task=task, delivery=handed_over, showing=showing, channel=channel)


async def _result(errand: _Errand) -> Told | str | DeliveryFault | None:
    """Return what stands there now, the place of a card that was found, None for none, or why nobody can say."""
    delivery, showing, channel = errand.delivery, errand.showing, errand.channel
    try:
        if errand.task is _Task.FIND:
            return await channel.find(errand.where, showing, delivery.handed_over_at or showing.now)
        if delivery.place is not None:
            return await channel.update(errand.where, delivery.place, showing)
        return await channel.announce(errand.where, showing)
    except DeliveryFault as fault:
        return fault


async def _settle(broker: Broker, errand: _Errand, result: Told | str | DeliveryFault | None) -> None:
    async def work(tx: Tx) -> None:
        fresh = await tx.get(Delivery, errand.delivery.id)
        if fresh is None or fresh.revision != errand.delivery.revision:
            return
        if isinstance(result, Told):
            await _arrived(tx, fresh, errand.showing, result)
            return
        await tx.replace(fresh, _after(fresh, errand, result, tx.now))
        await _hurry(tx, errand.showing.approval, fresh.step)

    try:
        await broker.ledger.transact(work)
    except Stale:
        return  # somebody else settled it


async def _arrived(tx: Tx, delivery: Delivery, showing: Showing, told: Told) -> None:
    approval, action = showing.approval, showing.action
    shown = shows(approval, action)
    over = is_over(approval, action)
    await tx.replace(delivery, deliveries.arrived(delivery, place=told.place, shown=shown, over=over, now=tx.now))
    if told.seen:
        await tx.append(entries.approval_shown(action, approval, destination=delivery.destination, told=told))


def _after(delivery: Delivery, errand: _Errand, result: str | DeliveryFault | None, now: datetime) -> Delivery:
    """Return the delivery after something else than a card that arrived."""
    if result is None:
        return deliveries.lost(delivery, now=now)
    if isinstance(result, str):
        # A card stands there, in some earlier form: it is brought up to date next.
        return deliveries.arrived(delivery, place=result, shown="", over=False, now=now)
    wait = _wait_for(result)
    if errand.task is _Task.FIND and not isinstance(result, Undeliverable):
        # It may stand there: it is looked for until somebody can say, and not announced a second time before that.
        return deliveries.sought_later(delivery, until=now + (wait or LOOK_AFTER), why=result.message)
    if wait is not None:
        return deliveries.put_off(delivery, until=now + wait, why=result.message)
    if isinstance(result, NobodyKnows):
        return deliveries.unheard(delivery, why=result.message)
    if isinstance(result, Undeliverable) and delivery.place is not None and errand.showing.approval.state in OPEN:
        return deliveries.gone(delivery, now=now)
    return deliveries.dead(delivery, why=result.message)


def _wait_for(fault: DeliveryFault) -> timedelta | None:
    """Return how long a channel wants to be left alone that has done nothing, or None."""
    if isinstance(fault, NotNow):
        return timedelta(seconds=fault.retry_after_seconds)
    return LOCKED_OUT_WAIT if isinstance(fault, LockedOut) else None


async def _hurry(tx: Tx, approval: Approval, tried: int) -> None:
    """Start the next step at once where one has reached nobody, and in time where `tried` will not."""
    try:
        every = await tx.deliveries_of(approval.id)
    except Forged:
        return  # one of them cannot be believed: every other step begins at its own time
    begins = {}
    if (step := deliveries.unconfirmed_step(every, now=tx.now)) is not None:
        begins[step + 1] = tx.now
    if (at := deliveries.begins_at(every, tried)) is not None:
        begins.setdefault(tried + 1, max(at, tx.now))
    for delivery in every:
        due = begins.get(delivery.step)
        if due is not None and delivery.state is DeliveryState.QUEUED and delivery.due_at > due:
            await tx.replace(delivery, deliveries.hurried(delivery, now=due))


async def _end(tx: Tx, delivery: Delivery, why: str) -> None:
    await tx.replace(delivery, deliveries.dead(delivery, why=why))
    approval = await tx.get(Approval, delivery.approval)
    if approval is not None and approval.state in OPEN:
        await _hurry(tx, approval, delivery.step)
