"""An auditor is shown payload: what records only commit to. The record of it is durable before a value leaves.

Sensitive values are among it. Whoever may read payloads, and asks for them, is named in the log with what they saw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assent.core.canonical import Json
from assent.core.errors import NotFound
from assent.core.looking import RecordFilter
from assent.core.operators import Permission
from assent.core.records import Record, RecordId
from assent.flows import audit_entries
from assent.flows.active_policy import decide, refuse_behind
from assent.flows.authenticate import OperatorCaller, confirm_operator, require
from assent.flows.broker import Broker
from assent.flows.tell_story import action_named, leaf_of
from assent.ports import Tx, View

MAX_REVEALED_RECORDS = 200
_ABOUT = ("agent", "tool", "environment", "action")


@dataclass(frozen=True, slots=True)
class Revealed:
    """Records with what they disclose, oldest first, and the record that says who saw it.

    `rest` is the index where the records of the same action go on, None at the end.
    """

    record: RecordId
    items: tuple[Record, ...]
    rest: int | None = None


async def reveal_action(
    broker: Broker, caller: OperatorCaller, key: str, *, reason: str, first: int | None = None
) -> Revealed:
    """Return the payload of an action's records, named as `tell_story` does, from index `first` on, at most 200.

    Raises:
        Forbidden: the caller may not read payloads.
        NotFound: the log knows no such action.

    """
    require(caller, Permission.AUDIT_PAYLOADS)

    async def work(view: View) -> Revealed:
        await confirm_operator(view, caller)
        which = RecordFilter(action=await action_named(view, key), first=first, oldest_first=True)
        found = await view.records(which, limit=MAX_REVEALED_RECORDS)
        opened = [await view.record(record.id) for record in found.records if leaf_of(record).get("commit")]
        return Revealed(RecordId(""), tuple(record for record in opened if record is not None), found.rest)

    return await _recorded(broker, caller, await broker.ledger.read(work), reason)


async def reveal_record(broker: Broker, caller: OperatorCaller, key: RecordId, *, reason: str) -> Revealed:
    """Return the payload of one record.

    Raises:
        Forbidden: the caller may not read payloads.
        NotFound: no such record.

    """
    require(caller, Permission.AUDIT_PAYLOADS)

    async def work(view: View) -> Revealed:
        await confirm_operator(view, caller)
        found = await view.record(key)
        if found is None:
            raise NotFound(f"no record `{key}`", hint="find it with `assent audit search`")
        return Revealed(RecordId(""), (found,))

    return await _recorded(broker, caller, await broker.ledger.read(work), reason)


async def _recorded(broker: Broker, caller: OperatorCaller, found: Revealed, reason: str) -> Revealed:
    shown = [record.id for record in found.items]
    fields = sorted({name for record in found.items for name in record.disclosed})
    about = _about([leaf_of(record) for record in found.items])

    async def work(tx: Tx) -> Record:
        await confirm_operator(tx, caller)
        await refuse_behind(tx, broker.policy())
        said = audit_entries.payload_revealed(caller.operator.id, shown, fields, about=about, reason=reason)
        return await tx.append(said)

    record = await decide(broker, work)
    return Revealed(record.id, found.items, found.rest)


def _about(leaves: Sequence[Mapping[str, Json]]) -> dict[str, str | None]:
    first = leaves[0] if leaves else {}
    return {name: value if isinstance(value := first.get(name), str) else None for name in _ABOUT}
