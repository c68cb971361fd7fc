"""The ledger's view over a connection to PostgreSQL."""

from collections.abc import Collection, Generator, Sequence
from datetime import datetime
from typing import Any, ClassVar

from assent.core.actions import Action
from assent.core.agents import AgentId
from assent.core.errors import LedgerUnavailable, Stale
from assent.stores.postgres import faults
from assent.stores.postgres.link import Link
from assent.stores.postgres.queries import ASKED_BEFORE, BY_CONTENT, QUERIES
from assent.stores.queries import Queries
from assent.stores.rows.actions import ACTIONS, CONTENT
from assent.stores.sealing import LedgerKeys
from assent.stores.view import LedgerView


class PostgresView(LedgerView):
    """Fetches its rows over one link; `fault` is what ended it before its time."""

    sql: ClassVar[Queries] = QUERIES

    def __init__(self, link: Link, keys: LedgerKeys, now: datetime, *, seen: int = 0) -> None:
        super().__init__(keys, now, seen=seen)
        self._link: Link | None = link
        self.fault: BaseException | None = None

    async def asked_before(
        self,
        agent: AgentId,
        *,
        idempotency_key: str | None,
        run_id: str | None,
        call_id: str | None,
        content: bytes,
        excluding: Collection[str],
    ) -> Action | None:
        # Each question costs a round trip, and nearly always nothing is found: all three are one.
        by_content = (self._keys.blind(CONTENT, content), len(excluding) + 1)
        found = self.fetch(ASKED_BEFORE, (agent, idempotency_key, call_id, run_id, *by_content))
        found.sort(key=lambda row: (row[0], -row[1]))
        key = next((key for how, _, key in found if how != BY_CONTENT or key not in excluding), None)
        return None if key is None else self._row(ACTIONS, self.sql.by_id[Action], key)

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
