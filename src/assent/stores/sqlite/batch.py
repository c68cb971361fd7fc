"""Many decisions, one fsync: a batch of jobs runs as one transaction, each inside a savepoint of its own.

Rules kept here:
- A job runs to its end before the next begins, so one savepoint is open at a time and nothing interleaves.
- After every error the question is whether the transaction still stands. If SQLite rolled it back (disk full, an
  interrupt), the batch is dead at once: the next savepoint would commit on its own.
- When a batch dies or its commit fails, every job that ran in it hears LedgerUnavailable, also one that had raised an
  error of its own: what it saw may never have been. Jobs that had not run yet form the next batch.
- What is urgent and comes runs next, and the batch ends with it: it commits what ran, and leaves the rest in its order
  to the next one. So an urgent job waits for one other, and what comes behind it waits for its commit.
- What is known of the end of the log moves only after the commit returned.
"""

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from assent.core.errors import LedgerUnavailable
from assent.stores.job import Job
from assent.stores.sealing import LedgerKeys
from assent.stores.sqlite import faults
from assent.stores.sqlite.tx import SqliteTx
from assent.stores.tx import Known, Stamps

Work: TypeAlias = Job[SqliteTx, Any]


class _BatchDied(Exception):
    """The transaction is gone, and with it everything that ran in it."""


class Batch:
    """One transaction that many jobs share; the caller has begun it and takes `known` over after `commit`."""

    def __init__(
        self, database: sqlite3.Connection, keys: LedgerKeys, stamps: Stamps, known: Known, *, seen: int = 0
    ) -> None:
        self.known = known
        self.ran: list[Work] = []
        self.fault: sqlite3.Error | None = None
        self.is_in_doubt = False
        self._database = database
        self._keys = keys
        self._stamps = stamps
        self._seen = seen

    def run(self, jobs: deque[Work], let_in: Callable[[deque[Work]], None]) -> bool:
        """Run `jobs` from the left and commit; return whether all that ran is durable.

        `let_in` puts what is urgent and has come first. What is left in `jobs` has not run: the batch ended with urgent
        jobs; or it died, and `fault` is what killed it. `is_in_doubt` says that the commit itself failed, so that
        nobody knows what is on the disk.
        """
        try:
            while jobs:
                job = jobs.popleft()
                if job.claim():
                    self.ran.append(job)
                    self._run(job)
                if not job.is_urgent:
                    let_in(jobs)
                elif jobs and not jobs[0].is_urgent:
                    break
            self.is_in_doubt = True
            self._database.execute("COMMIT")
        except _BatchDied:
            pass
        except sqlite3.Error as error:
            self.fault = error
        else:
            return True
        self._bury()
        return False

    def _run(self, job: Work) -> None:
        self._database.execute("SAVEPOINT job")
        tx = SqliteTx(self._database, self._keys, self._stamps, self.known, seen=self._seen)
        job.run(tx)
        tx.end()
        if tx.fault is not None:
            self._refuse_dead(tx.fault)
            job.error = job.error or faults.unavailable(tx.fault)
        if job.error is None:
            self.known = tx.known()
        else:
            self._database.execute("ROLLBACK TO job")
        self._database.execute("RELEASE job")

    def _refuse_dead(self, fault: sqlite3.Error) -> None:
        if faults.is_fatal(fault) or not self._database.in_transaction:
            self.fault = fault
            raise _BatchDied

    def _bury(self) -> None:
        fault = self.fault or sqlite3.OperationalError("the batch died")
        self.fail(faults.unavailable(fault))
        if self._database.in_transaction:
            self._database.rollback()

    def fail(self, error: LedgerUnavailable) -> None:
        """Let every job that ran hear that it is not known to be durable."""
        for job in self.ran:
            job.error = LedgerUnavailable(error.message, hint=error.hint)
