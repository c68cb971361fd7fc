"""How it is stored which broker does what several could do."""

from assent.core.work_leases import Work, WorkLease
from assent.stores.rows.table import Split, Stored, Table
from assent.stores.sealing import LedgerKeys


def _split(lease: WorkLease, _keys: LedgerKeys) -> Split:
    return (lease.id, lease.revision), {"holder": lease.holder, "term": lease.term}, ()


def _join(stored: Stored) -> WorkLease:
    columns, facts = stored.columns, stored.facts
    return WorkLease(id=Work(columns["id"]), revision=columns["revision"], holder=facts["holder"], term=facts["term"])


WORK_LEASES: Table[WorkLease] = Table(name="work_lease", columns=("id", "revision"), split=_split, join=_join)
