"""One transaction over whatever database: a view that also writes; it never suspends.

What it learns about the end of the log and the latches it keeps to itself; the writer takes that over only when the
commit has returned.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Final

from assent.core.agents import AgentStatus
from assent.core.breakers import Breaker
from assent.core.credentials import Credential
from assent.core.errors import Stale
from assent.core.publications import ActivePolicy
from assent.core.records import SALT_BYTES, Entry, Record, RecordId
from assent.core.records import record as recorded
from assent.ports import NewId, R, Row
from assent.stores import latches
from assent.stores.latches import Latches
from assent.stores.ledger_time import LedgerTime
from assent.stores.randomness import Randomness
from assent.stores.rows import TABLES
from assent.stores.view import LedgerView

MAX_CREDENTIALS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Known:
    """What holds as of the last commit: where the next record goes, the last one's time, latches and keys if read.

    `credentials` are rows believed before, because every decision looks at one. All of it is dropped as soon as
    somebody else has written to the ledger.
    """

    next_index: int
    last_time: datetime
    latches: Latches | None = None
    credentials: dict[str, Credential] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """What the ledger puts on a record by itself."""

    time: LedgerTime
    new_id: NewId
    salts: Callable[[int], bytes] = field(default_factory=Randomness)


class LedgerTx(LedgerView):
    """The `Tx` of the port over the writing connection of a store, which sets what is declared here."""

    inserts: ClassVar[Mapping[type[Any], str]]
    updates: ClassVar[Mapping[type[Any], str]]
    _stamps: Stamps
    _next_index: int
    _last_time: datetime
    _credentials: dict[str, Credential]

    @abstractmethod
    def write(self, statement: str, values: Sequence[object]) -> int:
        """Run a statement that writes and return how many rows it touched, for the modules of this package."""

    @abstractmethod
    def hold_tree(self) -> None:
        """Return when nobody else can make the tree grow until this transaction ends."""

    @abstractmethod
    def _keep(self, made: Record) -> None:
        """Store `made` as the next record."""

    def known(self) -> Known:
        """Return what will hold once this transaction is durable."""
        return Known(self._next_index, self._last_time, self._latches, self._credentials)

    async def get(self, kind: type[R], key: str) -> R | None:
        if kind is Credential and key in self._credentials:
            return self._credentials[key]
        found = await super().get(kind, key)
        if isinstance(found, Credential) and len(self._credentials) < MAX_CREDENTIALS:
            self._credentials[key] = found
        return found

    async def add(self, row: Row) -> None:
        if self._store(row, self.inserts[type(row)]) != 1:
            raise Stale("this exists already", hint="load it instead")

    async def replace(self, old: Row, new: Row) -> None:
        if type(old) is not type(new) or old.id != new.id or new.revision != old.revision + 1:
            raise Stale("a row is replaced by itself, one revision later")
        if self._store(new, self.updates[type(new)], old.id, old.revision) != 1:
            raise Stale("somebody else changed this first", hint="load it again")

    async def append(self, entry: Entry) -> Record:
        # Believed before the record is there, which tells of the change that is to be vouched for.
        believed = self._believed() if entry.kind in latches.TOLD_BY else None
        salts = self._stamps.salts(SALT_BYTES * len(entry.payload))
        cut = tuple([salts[at : at + SALT_BYTES] for at in range(0, len(salts), SALT_BYTES)])
        identifier = entry.id or RecordId(self._stamps.new_id("rec"))
        made = recorded(entry, new_id=identifier, now=self._now, salts=cut)
        self._keep(made)
        if believed is not None:
            self._renew(believed.told_by(self._next_index))
        self._next_index, self._last_time = self._next_index + 1, made.time
        return made

    def _store(self, row: Row, statement: str, *which: object) -> int:
        values = (*TABLES[type(row)].dump(row, self._keys), *which)
        if isinstance(row, Credential):
            # A fresh memory, which goes with this transaction if it goes; the old one stays true of the ledger then.
            self._credentials = {}
        if not isinstance(row, Breaker | AgentStatus | ActivePolicy):
            return self.write(statement, values)
        # Believed before the write: vouching for what is found after it would launder what somebody else removed.
        believed = self._believed()
        stored = self.write(statement, values)
        if stored == 1:
            self._renew(believed.having(row))
        return stored

    def _renew(self, changed: Latches) -> None:
        self._latches = changed
        latches.renew(self, self._keys, changed)
