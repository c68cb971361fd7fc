"""An export of the log begins: which records it holds is fixed in the transaction that records it.

The records themselves are read page by page after that, without payload, and hold up no decision.
"""

from dataclasses import dataclass
from datetime import datetime

from assent.core.looking import RecordFilter
from assent.core.operators import Permission
from assent.core.records import RecordId, rfc3339
from assent.flows import audit_entries
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.ports import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Which records an export holds: `records` of them, from `first` to `last`; both are None when there are none."""

    record: RecordId
    first: int | None
    last: int | None
    records: int


async def begin_export(
    broker: Broker, caller: OperatorCaller, *, since: datetime | None, until: datetime | None
) -> Export:
    """Return which records lie between `since` (included) and `until` (not), and record who exports them.

    Raises:
        Forbidden: the caller may not read the audit log.

    """
    require(caller, Permission.AUDIT_READ)

    async def work(tx: Tx) -> Export:
        await confirm_operator(tx, caller)
        which = RecordFilter(since=since, until=until)
        newest = (await tx.records(which, limit=1)).records
        oldest = (await tx.records(RecordFilter(since=since, until=until, oldest_first=True), limit=1)).records
        first, last = (found[0].index if found else None for found in (oldest, newest))
        count = 0 if first is None or last is None else last - first + 1
        bounds = [None if moment is None else rfc3339(moment) for moment in (since, until)]
        record = await tx.append(
            audit_entries.log_exported(caller.operator.id, first=first, records=count, since=bounds[0], until=bounds[1])
        )
        return Export(record=record.id, first=first, last=last, records=count)

    return await broker.ledger.transact(work)
