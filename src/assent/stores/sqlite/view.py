"""The ledger's view over a connection of SQLite."""

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, ClassVar

from assent.core.errors import LedgerUnavailable, Stale
from assent.stores.queries import Queries
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import faults
from assent.stores.sqlite.queries import QUERIES
from assent.stores.view import LedgerView


class SqliteView(LedgerView):
    """Fetches its rows from one connection; `fault` is what ended it before its time."""

    sql: ClassVar[Queries] = QUERIES

    def __init__(self, database: sqlite3.Connection, keys: LedgerKeys, now: datetime, *, seen: int = 0) -> None:
        super().__init__(keys, now, seen=seen)
        self._database: sqlite3.Connection | None = database
        self.fault: sqlite3.Error | None = None

    def end(self) -> None:
        self._database = None

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            raise LedgerUnavailable("this transaction is over, nothing can be asked of it")
        return self._database

    def fetch(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        try:
            return self._open().execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise self.refused(error) from error

    def fetch_one(self, query: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401  # a row of SQLite
        try:
            return self._open().execute(query, parameters).fetchone()
        except sqlite3.Error as error:
            raise self.refused(error) from error

    def stream(self, query: str, parameters: Sequence[object]) -> Generator[Any]:
        try:
            with closing(self._open().execute(query, parameters)) as found:
                while (row := self._next(found)) is not None:
                    yield row
        except sqlite3.Error as error:
            raise self.refused(error) from error

    def _next(self, found: sqlite3.Cursor) -> Any:  # noqa: ANN401  # a row of SQLite
        self._open()
        return found.fetchone()

    def refused(self, error: sqlite3.Error) -> Stale | LedgerUnavailable:
        """Return what the caller hears of an error of SQLite; unless it only says "taken", nothing more is answered."""
        if faults.is_taken(error):
            return Stale("this exists already", hint="load it instead")
        # The transaction may be gone already. A work that swallows this must not write on without one.
        self.fault = error
        self.end()
        return faults.unavailable(error)
