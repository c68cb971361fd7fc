"""People are told what happened to breakers, and of policies that widen: from the log, at least once, in order.

Whoever trips never waits for it.

Each destination has a mark of its own in the ledger. What lies behind it was told; a crash between telling and moving
the mark tells one alert twice, under the same id. What cannot be told for an hour is passed over, and said so.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, cast

from assent.core.alerts import TOLD, Alert, Mark, alert_of, is_told
from assent.core.canonical import Json, load
from assent.core.errors import Stale
from assent.core.records import Record
from assent.flows.broker import Broker
from assent.ports import AlertChannel, Tx, View

AT_ONCE: Final = 20
GIVE_UP_AFTER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """What one round of telling came to; `more` says that there is more to tell, `failed` that it did not arrive."""

    told: tuple[Alert, ...] = ()
    given_up: tuple[Alert, ...] = ()
    failed: bool = False
    more: bool = False


async def begin_alerts(broker: Broker, channel: AlertChannel) -> None:
    """Let `channel` be told of what is recorded from now on, unless it was told of something before."""

    async def work(tx: Tx) -> None:
        if await tx.get(Mark, channel.name) is None:
            await tx.add(Mark(id=channel.name, told_until=await tx.next_index()))

    await broker.ledger.transact(work)


async def raise_alerts(broker: Broker, channel: AlertChannel) -> Raised:
    """Tell `channel` what it was not told yet, until something does not arrive.

    Raises:
        LedgerUnavailable: nobody knows what there is to tell, or how far it was told.

    """
    untold = await _untold(broker, channel.name)
    if untold is None or not untold.records:
        return Raised()
    raised = Raised(more=len(untold.records) == AT_ONCE)
    mark = done = untold.mark
    for record in untold.records:
        alert = _alert(broker, record)
        if alert is None:
            pass
        elif await channel.alert(alert):
            raised = replace(raised, told=(*raised.told, alert))
        elif record.time < untold.give_up_before:
            raised = replace(raised, given_up=(*raised.given_up, alert))
        else:
            raised = replace(raised, failed=True)
            break
        done = replace(mark, told_until=(record.index or 0) + 1, revision=mark.revision + 1)
    if done is not mark:
        await _move(broker, mark, done)
    return raised


@dataclass(frozen=True, slots=True)
class _Untold:
    mark: Mark
    records: Sequence[Record]
    give_up_before: datetime


async def _untold(broker: Broker, name: str) -> _Untold | None:
    async def work(view: View) -> _Untold | None:
        mark = await view.get(Mark, name)
        if mark is None:
            return None
        records = await view.records_from(mark.told_until, TOLD, limit=AT_ONCE)
        return _Untold(mark, records, view.now - GIVE_UP_AFTER)

    return await broker.ledger.read(work)


async def _move(broker: Broker, mark: Mark, done: Mark) -> None:
    async def work(tx: Tx) -> None:
        await tx.replace(mark, done)

    # Another process told the same and was faster: then it is told.
    with suppress(Stale):
        await broker.ledger.transact(work)


def _alert(broker: Broker, record: Record) -> Alert | None:
    leaf = cast("dict[str, Json]", load(record.leaf))
    if not is_told(leaf):
        return None
    disclosed = record.disclosed.get("reason")
    reason = load(disclosed[1]) if disclosed is not None else ""
    profile = broker.policy().agent(str(leaf.get("agent")))
    return alert_of(leaf, str(reason), "" if profile is None else profile.cut_off)
