"""Many decisions, one commit: a batch of jobs runs as one transaction.

Rules kept here:
- The gate comes first: nothing is read before it is passed. All of a batch stand on one side of it.
- A job runs to its end before the next begins. What it raises undoes its own writes and no other's. Nearly always
  there are none by then; else the transaction is undone, and all of the batch runs again `carefully`, each job behind a
  savepoint of its own. Whoever is at the gate alone runs like that at once.
- What collides with another broker is undone and handed back in `again`, to run while nobody else is at the gate. So
  it collides once: alone it cannot.
- A batch ends with what is urgent, after `BATCH_SECONDS`, and where the next job stands on the other side of the gate:
  whoever stops something on another replica waits for it.
- When the connection is lost, every job that ran in it hears LedgerUnavailable. If that was in the middle of the
  commit, `in_doubt` names the transaction: the database is asked what became of it before anything else is stored.
- What is known of the end of the log moves only after the commit returned.
"""

import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeAlias

from assent.core.errors import Forged, LedgerUnavailable
from assent.ports import Gate
from assent.stores.job import Job
from assent.stores.postgres import faults
from assent.stores.postgres.link import Link
from assent.stores.postgres.log_end import Placed, write_records
from assent.stores.postgres.tx import Begun, PostgresTx
from assent.stores.sealing import LedgerKeys
from assent.stores.tx import Known, Stamps

Work: TypeAlias = Job[PostgresTx, Any]

BATCH_SECONDS: Final = 0.02
_COMMITTED: Final = "COMMIT"


class _Lost(Exception):
    """The connection is gone, and with it everything that ran in this transaction."""


class _ToUndo(Exception):
    """Something of one job is to be undone, and nothing marks where it began."""


class Came(Enum):
    """What a batch came to."""

    DURABLE = "durable"
    FAILED = "failed"
    UNDONE = "undone"


class Batch:
    """One transaction that many jobs share; the caller has begun it and takes `known` over after `commit`."""

    def __init__(
        self,
        link: Link,
        keys: LedgerKeys,
        stamps: Stamps,
        known: Known,
        *,
        alone: bool,
        carefully: bool,
        seen: int = 0,
    ) -> None:
        self.ran: list[Work] = []
        self.again: list[Work] = []
        self.fault: BaseException | None = None
        self.in_doubt: str | None = None
        self.placed: Placed | None = None
        self._link = link
        self._keys = keys
        self._stamps = stamps
        self._begun = Begun(known)
        self._alone = alone
        self._carefully = carefully
        self._seen = seen
        self._savepoint = ""
        self._until = time.monotonic() + BATCH_SECONDS

    @property
    def known(self) -> Known:
        """What holds when this is durable."""
        return self._begun.known

    def run(self, claimed: deque[Work], jobs: deque[Work], let_in: Callable[[deque[Work]], None]) -> Came:
        """Run those that are `claimed`, then `jobs`, and commit; return what became of what ran.

        What is left in either has not run. `fault` is what ended the batch before its time. Where it is undone, what
        ran is to run again, carefully.
        """
        try:
            while claimed:
                self._take(claimed.popleft())
            while jobs and self._goes_on_with(jobs[0]):
                job = jobs.popleft()
                if job.claim():
                    self._take(job)
                if not job.is_urgent:
                    let_in(jobs)
                elif jobs and not jobs[0].is_urgent:
                    break
            self._commit()
        except _Lost:
            pass
        except _ToUndo:
            return Came.UNDONE
        except faults.FAULTS as fault:
            self.fault = fault
        else:
            return Came.DURABLE
        self.fail(faults.unavailable(self.fault or ConnectionError()))
        return Came.FAILED

    def _goes_on_with(self, job: Work) -> bool:
        is_late = bool(self.ran) and time.monotonic() > self._until
        return not is_late and (job.gate is Gate.EXCLUSIVE) == self._alone

    def _take(self, job: Work) -> None:
        self.ran.append(job)
        if self._savepoint:
            self._link.execute(self._savepoint)
        tx = PostgresTx(self._link, self._keys, self._stamps, self._begun, alone=self._alone, seen=self._seen)
        job.error = None
        job.run(tx)
        tx.end()
        if tx.fault is not None and faults.ends_connection(tx.fault):
            self.fault = tx.fault
            raise _Lost
        if not self._carefully and tx.fault is not None:
            raise _ToUndo
        if not self._is_undone(job, tx):
            self._begun = tx.begun()
            self._savepoint = "RELEASE SAVEPOINT job; SAVEPOINT job" if self._carefully else ""
        elif self._carefully:
            self._savepoint = "ROLLBACK TO SAVEPOINT job"
        elif tx.has_written:
            raise _ToUndo

    def _is_undone(self, job: Work, tx: PostgresTx) -> bool:
        # Between two questions another broker may commit; what looks forged then does not to who looks alone.
        collided = tx.collided or isinstance(job.error, Forged)
        collided = collided or (tx.fault is not None and faults.is_collision(tx.fault))
        if not self._alone and (tx.must_be_alone or (collided and (tx.fault is not None or job.error is not None))):
            self.ran.remove(job)
            self.again.append(job)
            return True
        if tx.fault is not None:
            job.error = job.error or faults.unavailable(tx.fault)
        return job.error is not None

    def _commit(self) -> None:
        if self._savepoint.startswith("ROLLBACK"):
            self._link.execute(self._savepoint)
        if self._begun.waiting:
            self.placed = write_records(self._link, self._keys, self._begun.waiting)
            latches, credentials = self.known.latches, self.known.credentials
            self._begun = Begun(Known(self.placed.next_index, self.placed.last_time, latches, credentials))
        try:
            told = self._link.execute("COMMIT")
        except faults.FAULTS as fault:
            if self.placed is not None and faults.ends_connection(fault):
                self.in_doubt = self.placed.transaction
            raise
        if told != _COMMITTED:
            raise ConnectionError("the transaction was undone instead of being committed")

    def fail(self, error: LedgerUnavailable) -> None:
        """Let every job that ran hear that it is not known to be durable."""
        for job in self.ran:
            job.error = LedgerUnavailable(error.message, hint=error.hint)
