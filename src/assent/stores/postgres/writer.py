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
from assent.stores.postgres.batch import Batch, Came, Work
from assent.stores.postgres.link import Link
from assent.stores.postgres.locks import GATE
from assent.stores.postgres.tx import PostgresTx
from assent.stores.sealing import LedgerKeys
from assent.stores.tx import Known, Stamps
from assent.stores.writer import LedgerWriter, answer

log = EventLog("assent.ledger")

_SHARED: Final = f"BEGIN; SELECT pg_advisory_xact_lock_shared({GATE})"
_ALONE: Final = f"BEGIN; SELECT pg_advisory_xact_lock({GATE})"
_CAREFULLY: Final = "; SAVEPOINT job"
_BECAME: Final = "SELECT pg_xact_status($1::text::xid8)"
_IN_PROGRESS: Final = "in progress"
_A_MOMENT: Final = "SELECT pg_sleep(0.02)"
_LOOKS_AT_DOUBT: Final = 25


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
            known = self._begin(alone=alone, carefully=alone)
        except faults.FAULTS as fault:
            self._refuse(jobs, faults.unavailable(fault))
            return False
        except opening.PutBack:
            raise
        except AssentError as error:
            self._refuse(jobs, error)
            return False
        claimed, self._again = (self._again, deque()) if alone else (deque[Work](), self._again)
        undone = self._run(self._batch(known, alone=alone, carefully=alone), claimed, jobs)
        if undone:
            self._run_carefully(undone)
        return True

    def _batch(self, known: Known, *, alone: bool, carefully: bool) -> Batch:
        link, seen = self._link, self._seen.count
        return Batch(link, self._keys, self._stamps, known, alone=alone, carefully=carefully, seen=seen)

    def _run_carefully(self, jobs: deque[Work]) -> None:
        """Run what was undone once more, each behind a savepoint: what fails takes nothing else along."""
        try:
            self._link.execute("ROLLBACK")
            known = self._begin(alone=False, carefully=True)
        except faults.FAULTS as fault:
            self._link.drop()
            self._refuse_claimed(jobs, faults.unavailable(fault))
        except opening.PutBack as error:
            self._refuse_claimed(jobs, error)
            raise
        except AssentError as error:
            self._refuse_claimed(jobs, error)
        else:
            self._run(self._batch(known, alone=False, carefully=True), jobs, deque())

    def _run(self, batch: Batch, claimed: deque[Work], jobs: deque[Work]) -> deque[Work]:
        """Run a batch and tell what came of it; return what has to run again, carefully."""
        try:
            came = batch.run(claimed, jobs, self.put_urgent_first)
            if came is Came.UNDONE:
                undone, batch.ran = deque([*batch.ran, *batch.again]), []
                return undone
            self._take_in(batch, is_durable=came is Came.DURABLE)
        except BaseException as error:
            batch.fail(self.said(error))
            raise
        finally:
            # What was to run in a transaction that broke has not, and has its turn.
            self._again.extend(claimed)
            settle(batch.ran)
        return deque()

    def _take_in(self, batch: Batch, *, is_durable: bool) -> None:
        if is_durable:
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

    def _begin(self, *, alone: bool, carefully: bool) -> Known:
        script = (_ALONE if alone else _SHARED) + (_CAREFULLY if carefully else "")
        if self._link.is_open:
            try:
                return self._enter(script)
            except faults.FAULTS as fault:
                self._link.drop()
                if not faults.ends_connection(fault):
                    raise
        # Nothing of this batch has run: a connection that went away while nothing was going on costs nobody anything.
        self._connect()
        try:
            return self._enter(script)
        except BaseException:
            self._link.drop()
            raise

    def _enter(self, script: str) -> Known:
        self._link.execute(script)
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
            log.warning("commit_was_in_doubt", transaction=self._in_doubt, became=self._became(self._in_doubt))
            self._in_doubt = None

    def _became(self, transaction: str) -> str:
        """Return what became of a transaction; the server needs a moment to notice that its line was cut."""
        became = _IN_PROGRESS
        for _ in range(_LOOKS_AT_DOUBT):
            (became,) = self._link.fetch_one(_BECAME, (transaction,))
            if became != _IN_PROGRESS:
                break
            self._link.fetch(_A_MOMENT)
        return str(became)

    def _refuse(self, jobs: deque[Work], error: AssentError) -> None:
        self._refuse_claimed(self._again, error)
        answer(jobs, error)
        jobs.clear()

    def _refuse_claimed(self, jobs: deque[Work], error: AssentError) -> None:
        for job in jobs:
            job.error = error
        settle(jobs)
        jobs.clear()

    def let_go(self) -> None:
        self._link.close()

    def said(self, error: BaseException) -> LedgerUnavailable:
        if isinstance(error, faults.FAULTS):
            return faults.unavailable(error)
        if isinstance(error, LedgerUnavailable):
            return LedgerUnavailable(error.message, hint=error.hint)
        return LedgerUnavailable(f"the ledger stopped: {type(error).__name__}: {error}", hint="restart the broker")
