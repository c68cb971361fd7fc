"""Operators read the log: the newest records, without payloads."""

from collections.abc import Sequence

from assent.core.operators import Permission
from assent.core.records import Record
from assent.flows.authenticate import OperatorCaller, confirm, require
from assent.flows.broker import Broker
from assent.ports import RecordFilter, View


async def list_records(broker: Broker, caller: OperatorCaller, which: RecordFilter, *, limit: int) -> Sequence[Record]:
    """Return matching records, newest first, at most `limit`.

    Raises:
        Forbidden: the caller may not read the audit log.

    """
    require(caller, Permission.AUDIT_READ)

    async def work(view: View) -> Sequence[Record]:
        await confirm(view, caller.token.id)
        return await view.records(which, limit=limit)

    return await broker.ledger.read(work)
