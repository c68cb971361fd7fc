"""One transaction of PostgreSQL: a view that also writes. Nothing in it ever suspends.

Rules kept here:
- What is latched (breakers, agents' statuses) changes only while nobody else is at the gate. A work that wants to, and
  stands there with others, is undone and run again alone: `must_be_alone`.
- A work that met somebody else (`collided`) and fails is run again alone too, and so is one that found rows and log in
  contradiction: another broker may have committed between its questions. What it says then is true.
- A credential changes alone as well, and the roster of what is latched with it: whoever remembers either looks again.
- Records take their place at the end of the log last, when the batch commits; a work that looks at the log brings
  that forward.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from assent.core.agents import AgentStatus
from assent.core.breakers import Breaker
from assent.core.credentials import Credential
from assent.core.errors import LedgerUnavailable, Stale
from assent.core.looking import FoundRecords, LogState, RecordFilter
from assent.core.publications import ActivePolicy
from assent.core.records import Record, RecordId, RecordKind
from assent.ports import Row
from assent.stores.latches import Latches
from assent.stores.postgres import faults
from assent.stores.postgres.link import Link
from assent.stores.postgres.locks import TREE
from assent.stores.postgres.log_end import write_records
from assent.stores.postgres.queries import CLAIMING, ERASE_RECORD, INSERTS, UPDATES
from assent.stores.postgres.view import PostgresView
from assent.stores.queries import Queries
from assent.stores.rows import journal
from assent.stores.sealing import LedgerKeys
from assent.stores.tx import Known, LedgerTx, Stamps

_HOLD: Final = "SELECT pg_advisory_xact_lock($1)"


@dataclass(frozen=True, slots=True)
class Begun:
    """What a batch knows: what held at its gate and since, and the records that have no place yet."""

    known: Known
    waiting: tuple[Record, ...] = ()


class PostgresTx(PostgresView, LedgerTx):
    """Writes over the one link of a process that may."""

    sql: ClassVar[Queries] = CLAIMING
    inserts: ClassVar[Mapping[type[Any], str]] = INSERTS
    updates: ClassVar[Mapping[type[Any], str]] = UPDATES

    def __init__(
        self, link: Link, keys: LedgerKeys, stamps: Stamps, begun: Begun, *, alone: bool, seen: int = 0
    ) -> None:
        known = begun.known
        super().__init__(link, keys, stamps.time.now(known.last_time), seen=seen)
        self._stamps = stamps
        self._next_index = known.next_index
        self._last_time = known.last_time
        self._latches = known.latches
        self._credentials = known.credentials
        self._waiting = begun.waiting
        self._alone = alone
        self.must_be_alone = False
        self.collided = False
        self.has_written = False

    def begun(self) -> Begun:
        """Return what the batch knows when this work is part of it."""
        return Begun(self.known(), self._waiting)

    def hold_tree(self) -> None:
        self.fetch(_HOLD, (TREE,))

    async def add(self, row: Row) -> None:
        try:
            await super().add(row)
        except Stale:
            self.collided = True
            raise

    async def replace(self, old: Row, new: Row) -> None:
        try:
            await super().replace(old, new)
        except Stale:
            self.collided = True
            raise

    async def erase(self, key: RecordId) -> None:
        self._take_places()
        row = self.fetch_one(self.sql.record_by_id, (key,))
        if row is not None:
            self.has_written = True
            self.fetch(ERASE_RECORD, (key, journal.without_payload(row, self._keys)[-1]))

    async def records(self, which: RecordFilter, *, limit: int) -> FoundRecords:
        self._take_places()
        return await super().records(which, limit=limit)

    async def records_from(self, index: int, kinds: Sequence[RecordKind], *, limit: int) -> Sequence[Record]:
        self._take_places()
        return await super().records_from(index, kinds, limit=limit)

    async def record(self, key: RecordId) -> Record | None:
        self._take_places()
        return await super().record(key)

    async def next_index(self) -> int:
        self._take_places()
        return await super().next_index()

    async def log_state(self) -> LogState:
        self._take_places()
        return await super().log_state()

    async def damaged(self, limit: int) -> Sequence[str]:
        self._take_places()
        return await super().damaged(limit)

    def write(self, statement: str, values: Sequence[object]) -> int:
        try:
            count = self._open().write(statement, values)
        except faults.FAULTS as fault:
            raise self.refused(fault) from fault
        self.has_written = self.has_written or count > 0
        return count

    def _store(self, row: Row, statement: str, *which: object) -> int:
        if not isinstance(row, Breaker | AgentStatus | ActivePolicy | Credential) or (
            isinstance(row, Credential) and not which
        ):
            return super()._store(row, statement, *which)
        self._be_alone()
        believed = self._believed()
        stored = super()._store(row, statement, *which)
        if isinstance(row, Credential) and stored == 1:
            self._renew(believed.counted())
        return stored

    def _keep(self, made: Record) -> None:
        self._waiting = (*self._waiting, made)

    def _take_places(self) -> None:
        if not self._waiting:
            return
        self.has_written = True
        try:
            end = write_records(self._open(), self._keys, self._waiting)
        except faults.FAULTS as fault:
            raise self.refused(fault) from fault
        self._waiting = ()
        self._next_index, self._last_time = end.next_index, end.last_time

    def _renew(self, changed: Latches) -> None:
        self._be_alone()
        super()._renew(changed)

    def _be_alone(self) -> None:
        if not self._alone:
            self.must_be_alone = True
            self.end()
            raise LedgerUnavailable("this is run again while nobody else decides")
