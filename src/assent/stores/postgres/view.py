"""The ledger's view over a connection to PostgreSQL."""

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any, ClassVar

from assent.core.errors import LedgerUnavailable, Stale
from assent.stores.postgres import faults
from assent.stores.postgres.link import Link
from assent.stores.postgres.queries import QUERIES
from assent.stores.queries import Queries
from assent.stores.sealing import LedgerKeys
from assent.stores.view import LedgerView


class PostgresView(LedgerView):
    """Fetches its rows over one link; `fault` is what ended it before its time."""

    sql: ClassVar[Queries] = QUERIES

    def __init__(self, link: Link, keys: LedgerKeys, now: datetime, *, seen: int = 0) -> None:
        super().__init__(keys, now, seen=seen)
        self._link: Link | None = link
        self.fault: BaseException | None = None

    def end(self) -> None:
        self._link = None

    def _open(self) -> Link:
        if self._link is None:
            raise LedgerUnavailable("this transaction is over, nothing can be asked of it")
        return self._link

    def fetch(self, query: str, parameters: Sequence[object] = ()) -> list[Any]:
        try:
            return self._open().fetch(query, parameters)
        except faults.FAULTS as fault:
            raise self.refused(fault) from fault

    def fetch_one(self, query: str, parameters: Sequence[object] = ()) -> Any:  # noqa: ANN401  # a row of PostgreSQL
        try:
            return self._open().fetch_one(query, parameters)
        except faults.FAULTS as fault:
            raise self.refused(fault) from fault

    def stream(self, query: str, parameters: Sequence[object]) -> Generator[Any]:
        try:
            for row in self._open().stream(query, parameters):
                yield row
                self._open()
        except faults.FAULTS as fault:
            raise self.refused(fault) from fault

    def refused(self, fault: BaseException) -> Stale | LedgerUnavailable:
        """Return what the caller hears of a fault; the savepoint is gone with it, so nothing more is answered."""
        self.fault = fault
        self.end()
        if faults.is_taken(fault):
            return Stale("this exists already", hint="load it instead")
        return faults.unavailable(fault)
