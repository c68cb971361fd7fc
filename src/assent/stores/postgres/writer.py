"""The writer of a PostgreSQL ledger: whatever waits is one batch, over one connection.

Rules kept here:
- A batch is begun, its gate passed, before its jobs are claimed: who gave up meanwhile never ran.
- A connection that is lost is made anew for the next batch; until then everybody is told at once. What the lost one was
  committing is looked up first, where the database still knows.
- A ledger that ends before what this process has seen of it was put back to an older state, or is another one: it is
  closed for good, and nothing more is decided on it.
"""

from collections import deque
from contextlib import suppress
from typing import Final

from assent.core.errors import AssentError, LedgerUnavailable
from assent.logs import EventLog
from assent.ports import Gate
from assent.stores.job import settle
from assent.stores.latches import Seen
from assent.stores.postgres import faults, opening
from assent.stores.postgres.batch import Batch, Work
from assent.stores.postgres.link import Link
from assent.stores.postgres.locks import GATE
from assent.stores.postgres.tx import PostgresTx
from assent.stores.sealing import LedgerKeys
from assent.stores.tx import Known, Stamps
from assent.stores.writer import LedgerWriter, answer

log = EventLog("assent.ledger")

_SHARED: Final = f"BEGIN; SELECT pg_advisory_xact_lock_shared({GATE}); SAVEPOINT job"
_ALONE: Final = f"BEGIN; SELECT pg_advisory_xact_lock({GATE}); SAVEPOINT job"
_BECAME: Final = "SELECT pg_xact_status($1::text::xid8)"


class Writer(LedgerWriter[PostgresTx]):
    """Runs jobs over the only link of this process that writes."""

    def __init__(self, link: Link, keys: LedgerKeys, stamps: Stamps, seen: Seen, end: opening.End) -> None:
        super().__init__()
        self._link = link
        self._keys = keys
        self._stamps = stamps
        self._seen = seen
        self._end = end
        self._again: deque[Work] = deque()
        self._in_doubt: str | None = None
        self.start()

    def serve(self, jobs: deque[Work]) -> None:
        self.put_urgent_first(jobs)
        while self._again or jobs:
            if not self._serve_once(jobs):
                return
            self.put_urgent_first(jobs)

    def _serve_once(self, jobs: deque[Work]) -> bool:
        alone = bool(self._again) or jobs[0].gate is Gate.EXCLUSIVE
        if not self._again and not any(job.is_waiting for job in jobs):
            jobs.clear()
            return False
        try:
            known = self._begin(alone=alone)
        except faults.FAULTS as fault:
            self._refuse(jobs, faults.unavailable(fault))
            return False
        except opening.PutBack:
            raise
        except AssentError as error:
            self._refuse(jobs, error)
            return False
        batch = Batch(self._link, self._keys, self._stamps, known, alone=alone, seen=self._seen.count)
        try:
            self._run(batch, jobs)
        except BaseException as error:
            batch.fail(self.said(error))
            raise
        finally:
            settle(batch.ran)
        return True

    def _run(self, batch: Batch, jobs: deque[Work]) -> None:
        if batch.run(self._again, jobs, self.put_urgent_first):
            self._end = self._end.after(batch.known, None if batch.placed is None else batch.placed.mac, self._keys)
            if batch.known.latches is not None:
                self._seen.take(batch.known.latches.count)
        else:
            self._in_doubt = batch.in_doubt
            if batch.in_doubt is not None:
                log.warning("commit_in_doubt", transaction=batch.in_doubt)
            self._link.drop()
            self._end = self._end.without_latches()
        self._again.extend(batch.again)

    def _begin(self, *, alone: bool) -> Known:
        if self._link.is_open:
            try:
                return self._enter(alone=alone)
            except faults.FAULTS as fault:
                self._link.drop()
                if not faults.ends_connection(fault):
                    raise
        # Nothing of this batch has run: a connection that went away while nothing was going on costs nobody anything.
        self._connect()
        try:
            return self._enter(alone=alone)
        except BaseException:
            self._link.drop()
            raise

    def _enter(self, *, alone: bool) -> Known:
        self._link.execute(_ALONE if alone else _SHARED)
        try:
            self._end, known = opening.known(self._link, self._keys, self._end)
        except AssentError:
            with suppress(*faults.FAULTS):
                self._link.execute("ROLLBACK")
            raise
        return known

    def _connect(self) -> None:
        self._link.open()
        opening.check_same(self._link, self._end)
        if self._in_doubt is not None:
            (became,) = self._link.fetch_one(_BECAME, (self._in_doubt,))
            log.warning("commit_was_in_doubt", transaction=self._in_doubt, became=str(became))
            self._in_doubt = None

    def _refuse(self, jobs: deque[Work], error: AssentError) -> None:
        for job in self._again:
            job.error = error
        settle(self._again)
        self._again.clear()
        answer(jobs, error)
        jobs.clear()

    def let_go(self) -> None:
        self._link.close()

    def said(self, error: BaseException) -> LedgerUnavailable:
        if isinstance(error, faults.FAULTS):
            return faults.unavailable(error)
        if isinstance(error, LedgerUnavailable):
            return LedgerUnavailable(error.message, hint=error.hint)
        return LedgerUnavailable(f"the ledger stopped: {type(error).__name__}: {error}", hint="restart the broker")
