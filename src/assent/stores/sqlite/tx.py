"""One transaction of SQLite: a view that also writes. Nothing in it ever suspends."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from assent.core.records import Record, RecordId
from assent.stores.rows import journal
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite.queries import ERASE_RECORD, INSERT_RECORD, INSERTS, UPDATES
from assent.stores.sqlite.view import SqliteView
from assent.stores.tx import Known, LedgerTx, Stamps


class SqliteTx(SqliteView, LedgerTx):
    """Writes over the one connection of a process that may."""

    inserts: ClassVar[Mapping[type[Any], str]] = INSERTS
    updates: ClassVar[Mapping[type[Any], str]] = UPDATES

    def __init__(
        self, database: sqlite3.Connection, keys: LedgerKeys, stamps: Stamps, known: Known, *, seen: int = 0
    ) -> None:
        super().__init__(database, keys, stamps.time.now(known.last_time), seen=seen)
        self._stamps = stamps
        self._next_index = known.next_index
        self._last_time = known.last_time
        self._latches = known.latches
        self._credentials = known.credentials

    def hold_tree(self) -> None:
        """Do nothing: whoever writes is alone."""

    async def erase(self, key: RecordId) -> None:
        row = self.fetch_one(self.sql.record_by_id, (key,))
        if row is None:
            return
        # Else what was there stays readable in the file, whoever holds the key, until something else needs the room.
        self.write("PRAGMA secure_delete = ON", ())
        self.write(ERASE_RECORD, (journal.without_payload(row, self._keys)[-1], key))

    def _keep(self, made: Record) -> None:
        self.write(INSERT_RECORD, journal.dump(made, self._next_index, self._keys))

    def write(self, statement: str, values: Sequence[object]) -> int:
        try:
            return self._open().execute(statement, values).rowcount
        except sqlite3.Error as error:
            raise self.refused(error) from error
