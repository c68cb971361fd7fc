"""Operators read the log: records that match, one record, without payloads."""

from assent.core.errors import NotFound
from assent.core.looking import FoundRecords, RecordFilter
from assent.core.operators import Permission
from assent.core.records import Record, RecordId
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.ports import View

# What no index knows is looked for in steps, each a question of its own, so that none of them takes long.
LOOKS_AT_ONCE = 5


async def list_records(broker: Broker, caller: OperatorCaller, which: RecordFilter, *, limit: int) -> FoundRecords:
    """Return matching records, at most `limit`, and where to go on; it may be fewer, even none, and still go on.

    Raises:
        Forbidden: the caller may not read the audit log.

    """
    require(caller, Permission.AUDIT_READ)
    found = await _look(broker, caller, which, limit)
    for _ in range(LOOKS_AT_ONCE - 1):
        room = limit - len(found.records)
        if found.rest is None or room <= 0:
            break
        more = await _look(broker, caller, which.going_on(found.rest), room)
        found = FoundRecords(found.records + more.records, more.rest)
    return found


async def _look(broker: Broker, caller: OperatorCaller, which: RecordFilter, limit: int) -> FoundRecords:
    async def work(view: View) -> FoundRecords:
        await confirm_operator(view, caller)
        return await view.records(which, limit=limit)

    return await broker.ledger.read(work)


async def show_record(broker: Broker, caller: OperatorCaller, key: RecordId) -> Record:
    """Return one record, without its payload.

    Raises:
        Forbidden: the caller may not read the audit log.
        NotFound: no such record.

    """
    require(caller, Permission.AUDIT_READ)

    async def work(view: View) -> Record:
        await confirm_operator(view, caller)
        found = await view.record(key)
        if found is None:
            raise NotFound(f"no record `{key}`", hint="find it with `assent audit search`")
        return found

    return await broker.ledger.read(work)
